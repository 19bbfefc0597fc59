/* cases_conv.c - convolution over one to three axes, its transpose, and its gradients, which are operators too. */
#include "check/families.h"

/* N, C, sizes; O, filter's sizes */
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
    {"2x65x9x9,67x3x3", "one past a tile in all"},
    {"2x12x9x13,31x3x3", "nearly a block of filters"},
    {"2x3x19x37,6x3x3", "rows of several vectors"},
    {"2x8x10x16,8x3x3", "lines of whole fours"},
    {"1x16x12x16,17x3x3", "transformed tiles of whole fours"},
    {"1x18x21x22,17x3x3", "transformed tiles, more than few"},
    {"34x17x8x7,33x3x3", "transformed tiles of several small pictures"},
    {"9x17x3x4,33x3x3", "smaller transformed tiles"},
    {"5x12x1x1,6x1x1", "pictures of one point"},
    {"3x4x131,6x5", "one axis"},
    {"1x6x1,4x1", "one axis of one point"},
    {"1x4x5x6x7,6x3x2x3", "three axes"},
    {"2x2x1x9x4,4x1x3x1", "three axes, some of them of one"},
    {0},
};

/* a: stride, pad, groups (0: one a channel), dilation, same, output_pad */
static const struct check_attributes how[] = {
    {"plain", {1, 0, 1, 1}},
    {"pad=1", {1, 1, 1, 1}},
    {"stride=2,pad=2", {2, 2, 1, 1, 0, 1}},
    {"stride=3,pad=3", {3, 3, 1, 1, 0, 2}},
    {"groups=2", {1, 0, 2, 1}},
    {"depthwise,pad=1", {1, 1, 0, 1}},
    {"depthwise,stride=2", {2, 0, 0, 1, 0, 1}},
    {"depthwise,stride=2,pad=1", {2, 1, 0, 1}},
    {"dilation=2,pad=1", {1, 1, 1, 2}},
    {"same,stride=2", {2, 0, 1, 1, KILN_SAME_UPPER}},
    {"same_lower", {1, 0, 1, 1, KILN_SAME_LOWER}},
    {0},
};

/* N, C, sizes; channels between. A depthwise convolution behind another. */
static const struct check_shape pairs[] = {
    {"1x1x3x3,8", "one channel"},
    {"2x3x7x5,31", "primes"},
    {"1x16x40x37,33", "one past a block of filters"},
    {"2x5x14x14,32", "rows of nearly a vector"},
    {"1x3x9x16,17", "rows of a vector"},
    {"1x70x7x7,64", "sums of many terms"},
    {"1x9x150x120,3", "bands of rows"},
    {"3x4x2x3,12", "two rows"},
    {"1x3x11x140,24", "strips of columns"},
    {"1x2x130x33,8", "more bands of rows"},
    {"0x3x8x8,16", "no pictures"},
    {0},
};

/* a: stride, pad; the first's size, stride, pad */
static const struct check_attributes behind[] = {
    {"behind_points", {1, 0, 1, 1, 0}},
    {"behind_points,pad=1", {1, 1, 1, 1, 0}},
    {"behind_points,stride=2,pad=1", {2, 1, 1, 1, 0}},
    {"behind_points,pad=2", {1, 2, 1, 1, 0}},
    {"behind_3x3_stride_2,pad=1", {1, 1, 3, 2, 1}},
    {"behind_3x3_stride_2,stride=2,pad=1", {2, 1, 3, 2, 0}},
    {"behind_5x5_stride_3,pad=1", {1, 1, 5, 3, 2}},
    {"behind_points_stride_2", {1, 1, 1, 2, 0}},
    {0},
};

static int axes_of(const struct check_case *one)
{
    return (one->sizes - 3) / 2;
}

static int64_t filters_of(const struct check_case *one)
{
    return one->n[2 + axes_of(one)];
}

static const int64_t *filter_of(const struct check_case *one)
{
    return &one->n[3 + axes_of(one)];
}

static int64_t groups_of(const struct check_case *one)
{
    return one->a[2] ? one->a[2] : one->n[1];
}

static bool conv_fits(const struct check_case *one)
{
    const int64_t groups = groups_of(one);
    bool fits = one->n[1] % groups == 0 && filters_of(one) % groups == 0;

    for (int i = 0; i < axes_of(one) && fits; i++)
        fits = one->a[4] || one->n[2 + i] + 2 * one->a[1] >= one->a[3] * (filter_of(one)[i] - 1) + 1;
    return fits;
}

/* x has the channels that are read, and something is left when the padding is taken off. */
static bool transpose_fits(const struct check_case *one)
{
    const int64_t groups = groups_of(one);
    bool fits = one->n[1] % groups == 0 && filters_of(one) % groups == 0;

    for (int i = 0; i < axes_of(one) && fits; i++)
        fits = (one->n[2 + i] - 1) * one->a[0] + one->a[3] * (filter_of(one)[i] - 1) + 1 > 2 * one->a[1];
    return fits;
}

static kiln_conv_params params_of(const struct check_graph *c, bool transposed)
{
    kiln_conv_params p = {.groups = (int)groups_of(c->one), .same = (kiln_same)c->a[4]};

    for (int i = 0; i < axes_of(c->one); i++) {
        p.stride[i] = (int)c->a[0];
        p.pad[i][0] = p.pad[i][1] = (int)c->a[1];
        p.dilation[i] = (int)c->a[3];
        p.output_pad[i] = transposed ? (int)c->a[5] : 0;
    }
    return p;
}

static kiln_tensor picture(struct check_graph *c)
{
    return check_operand(c, kiln_shape_of(2 + axes_of(c->one), c->n));
}

/* [O, C / groups, ..]; of the transposed one [C, O / groups, ..]. */
static kiln_tensor filters(struct check_graph *c, bool transposed)
{
    const int64_t groups = groups_of(c->one), all = filters_of(c->one), channels = c->n[1];
    kiln_shape shape = {.rank = 2 + axes_of(c->one)};

    shape.size[0] = transposed ? channels : all;
    shape.size[1] = (transposed ? all : channels) / groups;
    for (int i = 0; i < axes_of(c->one); i++)
        shape.size[2 + i] = filter_of(c->one)[i];
    return check_operand(c, shape);
}

/* The gradient that a result of conv would have. */
static kiln_tensor result_like(struct check_graph *c)
{
    const kiln_conv_params p = params_of(c, false);
    kiln_shape y = {.rank = 2 + axes_of(c->one), .size = {c->n[0], filters_of(c->one)}};

    for (int i = 0; i < axes_of(c->one); i++) {
        const int64_t size = c->n[2 + i], reach = p.dilation[i] * (filter_of(c->one)[i] - 1) + 1;
        y.size[2 + i] = p.same ? (size + p.stride[i] - 1) / p.stride[i]
                               : (size + 2 * p.pad[i][0] - reach) / p.stride[i] + 1;
    }
    return check_operand(c, y);
}

/* With the activation that the compiler puts into the kernel. */
static void conv(struct check_graph *c)
{
    const kiln_conv_params p = params_of(c, false);
    const kiln_tensor x = picture(c), w = filters(c, false);
    const kiln_tensor bias = check_operand(c, KILN_SHAPE(filters_of(c->one)));

    check_result(c, kiln_relu(c->g, kiln_conv(c->g, x, w, bias, &p)));
}

/* What the first convolution leaves of an axis. */
static int64_t between(const struct check_case *one, int axis)
{
    return (one->n[axis] + 2 * one->a[4] - one->a[2]) / one->a[3] + 1;
}

static bool pair_fits(const struct check_case *one)
{
    return one->n[2] + 2 * one->a[4] >= one->a[2] && one->n[3] + 2 * one->a[4] >= one->a[2] &&
           between(one, 2) + 2 * one->a[1] >= 3 && between(one, 3) + 2 * one->a[1] >= 3;
}

/* Gradients would read what lies between. */
static void conv_pair(struct check_graph *c)
{
    const int64_t *n = c->one->n, *a = c->one->a, filters = n[4];
    const kiln_tensor x = check_operand(c, kiln_shape_of(4, n)),
                      first = check_operand(c, KILN_SHAPE(filters, n[1], a[2], a[2])),
                      w = check_operand(c, KILN_SHAPE(filters, 1, 3, 3)),
                      bias = check_operand(c, KILN_SHAPE(filters));
    const int stride = (int)a[0], pad = (int)a[1], z_stride = (int)a[3], z_pad = (int)a[4];
    const kiln_tensor z =
        kiln_relu(c->g, kiln_conv(c->g, x, first, bias,
                                  &(kiln_conv_params){.stride = {z_stride, z_stride},
                                                      .pad = {{z_pad, z_pad}, {z_pad, z_pad}}}));

    check_add(c, kiln_relu(c->g, kiln_conv(c->g, z, w, bias,
                                           &(kiln_conv_params){.stride = {stride, stride},
                                                               .pad = {{pad, pad}, {pad, pad}},
                                                               .groups = (int)filters})));
}

static void conv_transpose(struct check_graph *c)
{
    const kiln_conv_params p = params_of(c, true);
    const kiln_tensor x = picture(c), w = filters(c, true);
    const kiln_tensor bias = check_operand(c, KILN_SHAPE(filters_of(c->one)));

    check_result(c, kiln_relu(c->g, kiln_conv_transpose(c->g, x, w, bias, &p)));
}

static void conv_grad_input(struct check_graph *c)
{
    const kiln_conv_params p = params_of(c, false);
    const kiln_tensor dy = result_like(c), w = filters(c, false);

    check_result(c, kiln_conv_grad_input(c->g, dy, w, picture(c), &p));
}

static void conv_grad_filter(struct check_graph *c)
{
    const kiln_conv_params p = params_of(c, false);
    const kiln_tensor dy = result_like(c), x = picture(c);

    check_result(c, kiln_conv_grad_filter(c->g, dy, x, filters(c, false), &p));
}

#define CONV(op, fit)                                                                                    \
    {                                                                                                    \
        .name = #op, .types = CHECK_REALS, .shapes = shapes, .attributes = how, .fits = fit, .build = op \
    }

const struct check_op check_conv[] = {
    CONV(conv, conv_fits),
    {.name = "conv",
     .types = CHECK_F32,
     .shapes = pairs,
     .attributes = behind,
     .fits = pair_fits,
     .build = conv_pair},
    CONV(conv_transpose, transpose_fits),
    CONV(conv_grad_input, conv_fits),
    CONV(conv_grad_filter, conv_fits),
    {0},
};
