/* cases_pool.c - the largest and the mean of windows. */
#include "check/families.h"

/* N, C, H, W */
static const struct check_shape shapes[] = {
    {"1x1x1x1", "one number"},
    {"2x3x8x8", "halves"},
    {"2x3x11x7", "primes"},
    {"1x5x9x13", "primes"},
    {"1x2x7x7", "one large window"},
    {"3x65x4x4", "one channel past a tile"},
    {"1x1x65x129", "a large picture"},
    {"0x2x8x8", "no pictures"},
    {0},
};

/* a: window, stride, pad, dilation, ceil, count_pad */
static const struct check_attributes windows[] = {
    {"size=1", {1, 1, 0, 1}},
    {"size=2", {2, 2, 0, 1}},
    {"size=3,stride=2,pad=1", {3, 2, 1, 1}},
    {"size=4,stride=3,pad=2", {4, 3, 2, 1}},
    {"size=7", {7, 7, 0, 1}},
    {"size=2,dilation=2", {2, 1, 0, 2}},
    {"size=3,stride=2,ceil", {3, 2, 0, 1, 1}},
    {"size=3,stride=2,pad=1,count_pad", {3, 2, 1, 1, 0, 1}},
    {0},
};

static bool window_fits(const struct check_case *one)
{
    const int64_t span = one->a[3] * (one->a[0] - 1) + 1 - 2 * one->a[2];

    return one->n[2] >= span && one->n[3] >= span;
}

static kiln_pool2d_params params_of(const struct check_graph *c)
{
    const int size = (int)c->a[0], stride = (int)c->a[1], pad = (int)c->a[2], dilation = (int)c->a[3];

    return (kiln_pool2d_params){.size = {size, size},
                                .stride = {stride, stride},
                                .pad = {{pad, pad}, {pad, pad}},
                                .dilation = {dilation, dilation},
                                .ceil = c->a[4],
                                .count_pad = c->a[5]};
}

static void max_pool2d(struct check_graph *c)
{
    const kiln_pool2d_params p = params_of(c);
    check_result(c, kiln_max_pool2d(c->g, check_operand(c, check_shape_of(c)), &p));
}

static void average_pool2d(struct check_graph *c)
{
    const kiln_pool2d_params p = params_of(c);
    check_result(c, kiln_average_pool2d(c->g, check_operand(c, check_shape_of(c)), &p));
}

#define POOL(op)                                                                                         \
    {                                                                                                    \
        .name = #op, .types = CHECK_REALS, .shapes = shapes, .attributes = windows, .fits = window_fits, \
        .build = op                                                                                      \
    }

const struct check_op check_pool[] = {
    POOL(max_pool2d),
    POOL(average_pool2d),
    {0},
};
