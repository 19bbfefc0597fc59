/* cases_conv.c - convolution and its gradients, which are operators too. */
#include "check/families.h"

/* N, C, H, W, O, U, V */
static const struct check_shape shapes[] = {
    {"1x1x1x1,1x1x1", "one number"},
    {"2x3x7x5,4x3x3", "primes"},
    {"1x3x11x13,5x5x3", "a filter that is no square"},
    {"3x4x9x9,6x3x3", "channels in twos"},
    {"2x8x6x10,8x3x3", "as many filters as channels"},
    {"2x16x8x8,17x1x1", "pointwise"},
    {"16x1x28x28,6x5x5", "LeNet's first"},
    {"16x6x14x14,16x5x5", "LeNet's second"},
    {"1x2x70x66,3x7x7", "a large picture"},
    {"0x3x8x8,4x3x3", "no pictures"},
    {0},
};

/* a: stride, pad, groups (0: one a channel), dilation */
static const struct check_attributes how[] = {
    {"plain", {1, 0, 1, 1}},
    {"pad=1", {1, 1, 1, 1}},
    {"stride=2,pad=2", {2, 2, 1, 1}},
    {"stride=3,pad=3", {3, 3, 1, 1}},
    {"groups=2", {1, 0, 2, 1}},
    {"depthwise,pad=1", {1, 1, 0, 1}},
    {"dilation=2,pad=1", {1, 1, 1, 2}},
    {0},
};

static int64_t groups_of(const struct check_case *one)
{
    return one->a[2] ? one->a[2] : one->n[1];
}

static bool reaches(const struct check_case *one, int64_t size, int64_t filter)
{
    return size + 2 * one->a[1] >= one->a[3] * (filter - 1) + 1;
}

static bool conv_fits(const struct check_case *one)
{
    const int64_t *n = one->n, groups = groups_of(one);

    return n[1] % groups == 0 && n[4] % groups == 0 && reaches(one, n[2], n[5]) && reaches(one, n[3], n[6]);
}

static kiln_conv2d_params params_of(const struct check_graph *c)
{
    const int stride = (int)c->a[0], pad = (int)c->a[1], dilation = (int)c->a[3];

    return (kiln_conv2d_params){.stride = {stride, stride},
                                .pad = {{pad, pad}, {pad, pad}},
                                .groups = (int)groups_of(c->one),
                                .dilation = {dilation, dilation}};
}

static kiln_tensor picture(struct check_graph *c)
{
    return check_operand(c, KILN_SHAPE(c->n[0], c->n[1], c->n[2], c->n[3]));
}

static kiln_tensor filters(struct check_graph *c)
{
    return check_operand(c, KILN_SHAPE(c->n[4], c->n[1] / groups_of(c->one), c->n[5], c->n[6]));
}

/* The gradient that a result of conv2d would have. */
static kiln_tensor result_like(struct check_graph *c)
{
    const kiln_conv2d_params p = params_of(c);
    int64_t size[2];

    for (int i = 0; i < 2; i++)
        size[i] = (c->n[2 + i] + 2 * p.pad[i][0] - p.dilation[i] * (c->n[5 + i] - 1) - 1) / p.stride[i] + 1;
    return check_operand(c, KILN_SHAPE(c->n[0], c->n[4], size[0], size[1]));
}

/* With the activation that the compiler puts into the kernel. */
static void conv2d(struct check_graph *c)
{
    const kiln_conv2d_params p = params_of(c);
    const kiln_tensor x = picture(c), w = filters(c);
    const kiln_tensor bias = check_operand(c, KILN_SHAPE(c->n[4]));

    check_result(c, kiln_relu(c->g, kiln_conv2d(c->g, x, w, bias, &p)));
}

static void conv2d_grad_input(struct check_graph *c)
{
    const kiln_conv2d_params p = params_of(c);
    const kiln_tensor dy = result_like(c), w = filters(c);

    check_result(c, kiln_conv2d_grad_input(c->g, dy, w, picture(c), &p));
}

static void conv2d_grad_filter(struct check_graph *c)
{
    const kiln_conv2d_params p = params_of(c);
    const kiln_tensor dy = result_like(c), x = picture(c);

    check_result(c, kiln_conv2d_grad_filter(c->g, dy, x, filters(c), &p));
}

#define CONV(op)                                                                                   \
    {                                                                                              \
        .name = #op, .types = CHECK_REALS, .shapes = shapes, .attributes = how, .fits = conv_fits, \
        .build = op                                                                                \
    }

const struct check_op check_conv[] = {
    CONV(conv2d),
    CONV(conv2d_grad_input),
    CONV(conv2d_grad_filter),
    {0},
};
