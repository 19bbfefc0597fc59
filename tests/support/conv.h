/* conv.h - awkward convolutions, for the tests of its kernels. */
#ifndef KILN_TESTS_SUPPORT_CONV_H
#define KILN_TESTS_SUPPORT_CONV_H

#include <string.h>

#include "ops/chain.h"
#include "ops/conv.h"
#include "support/dispatch.h"

static const struct conv_size {
    kiln_shape x, w; /* x's images are what is left of a split of per_split */
    kiln_conv_params p;
    uint32_t per_split;
    const char *why;
    uint32_t pieces; /* 0: one */
} conv_sizes[] = {
    {{4, {1, 1, 1, 1}}, {4, {1, 1, 1, 1}}, {.groups = 1}, 1, "one product"},
    {{4, {3, 1, 28, 28}},
     {4, {6, 1, 5, 5}},
     {.pad = {{2, 2}, {2, 2}}},
     2,
     "the first layer of LeNet; a split that is not full"},
    {{4, {5, 6, 14, 14}}, {4, {16, 6, 5, 5}}, {.groups = 1}, 2, "the second layer of LeNet"},
    {{4, {1, 5, 9, 40}}, {4, {67, 5, 2, 3}}, {.groups = 1}, 1, "wide rows, more filters than a tile"},
    {{4, {2, 10, 13, 11}},
     {4, {14, 5, 3, 2}},
     {.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .dilation = {2, 2}, .groups = 2},
     2,
     "groups, stride and dilation"},
    {{4, {2, 3, 16, 16}}, {4, {5, 3, 4, 4}}, {.stride = {4, 4}}, 1, "patches"},
    {{4, {2, 2, 7, 5}},
     {4, {3, 2, 3, 3}},
     {.stride = {3, 3}, .pad = {{2, 2}, {2, 2}}, .dilation = {2, 2}},
     1,
     "stride 3, dilation 2, padding 2"},
    {{4, {2, 8, 12, 12}},
     {4, {16, 1, 3, 3}},
     {.pad = {{1, 1}, {1, 1}}, .groups = 8},
     2,
     "depthwise, two filters a channel"},
    {{4, {3, 5, 11, 8}},
     {4, {5, 1, 4, 3}},
     {.stride = {2, 3}, .pad = {{0, 3}, {2, 0}}, .dilation = {1, 2}, .groups = 5},
     1,
     "depthwise, uneven in all"},
    {{4, {1, 20, 10, 10}}, {4, {30, 20, 1, 1}}, {.groups = 1}, 1, "single points"},
    {{4, {1, 20, 20, 33}}, {4, {30, 20, 1, 1}}, {.stride = {2, 2}}, 1, "single points by stride"},
    {{4, {1, 2, 71, 70}}, {4, {5, 2, 2, 2}}, {.groups = 1}, 1, "more positions than a table of them"},
    {{4, {1, 65, 60, 62}}, {4, {3, 65, 3, 3}}, {.pad = {{1, 1}, {1, 1}}}, 1, "several bands"},
    {{4, {1, 2, 3, 4}}, {4, {2, 2, 5, 7}}, {.pad = {{4, 1}, {0, 4}}}, 1, "a filter larger than the picture"},
    {{4, {1, 2, 9, 9}}, {4, {3, 2, 2, 2}}, {.stride = {5, 4}}, 1, "a stride larger than the filter"},
    {{3, {2, 6, 131}}, {3, {4, 3, 5}}, {.stride = {3}, .pad = {{2, 1}}, .groups = 2}, 2, "one axis"},
    {{5, {2, 3, 6, 7, 5}},
     {5, {4, 3, 3, 2, 3}},
     {.stride = {2, 1, 2}, .pad = {{1, 1}, {0, 1}, {2, 0}}, .dilation = {1, 2, 1}},
     1,
     "three axes"},
    {{5, {1, 4, 5, 4, 9}},
     {5, {8, 1, 3, 3, 3}},
     {.stride = {1, 2, 1}, .pad = {{1, 1}, {1, 1}, {1, 1}}, .groups = 4},
     1,
     "depthwise along three axes"},
    {{5, {1, 5, 3, 4, 10}}, {5, {7, 5, 1, 1, 3}}, {.groups = 1}, 1, "three axes, two of which are one"},
    {{5, {2, 2, 1, 9, 6}}, {5, {3, 2, 3, 1, 1}}, {.pad = {{1, 1}}, .stride = {1, 3, 1}}, 2, "a depth of one"},
    {{5, {2, 2, 1, 9, 4}},
     {5, {4, 1, 1, 3, 1}},
     {.stride = {2, 2, 2}, .groups = 2},
     1,
     "a depth of one by stride"},
    {{5, {1, 2, 1, 3, 4}},
     {5, {3, 2, 1, 1, 2}},
     {.stride = {3, 1, 1}, .pad = {{1, 1}}},
     1,
     "nothing but padding"},
    {{4, {2, 6, 9, 8}}, {4, {4, 6, 3, 3}}, {.pad = {{1, 1}, {1, 1}}}, 1, "sums in two pieces", 2},
    {{4, {1, 140, 11, 13}},
     {4, {70, 70, 2, 2}},
     {.stride = {2, 2}, .groups = 2},
     1,
     "groups in five pieces, more than a tile of each",
     5},
};

#define CONV_SIZES (sizeof conv_sizes / sizeof *conv_sizes)

static inline kiln_conv_params conv_params(const struct conv_size *s)
{
    kiln_conv_params p = s->p;
    p.groups = p.groups ? p.groups : 1;
    for (int i = 0; i < 3; i++) {
        p.stride[i] = p.stride[i] ? p.stride[i] : 1;
        p.dilation[i] = p.dilation[i] ? p.dilation[i] : 1;
    }
    return p;
}

static inline kiln_shape conv_result(const struct conv_size *s)
{
    const kiln_conv_params p = conv_params(s);
    kiln_shape y = s->x;
    y.size[1] = s->w.size[0];
    for (int i = 0; i < s->x.rank - 2; i++)
        y.size[2 + i] =
            (s->x.size[2 + i] + p.pad[i][0] + p.pad[i][1] - p.dilation[i] * (s->w.size[2 + i] - 1) - 1) /
                p.stride[i] +
            1;
    return y;
}

/* What is computed: y, x or the splits of w. */
enum conv_side { CONV_Y, CONV_X, CONV_W };

/* A dispatch whose operands have x or y elements, filters, or the splits' filters; sums of so many terms. */
static inline struct kiln_test_dispatch conv_dispatch(const struct conv_size *s, enum conv_side side)
{
    const kiln_conv_params params = conv_params(s);
    const kiln_shape shape = conv_result(s);
    const struct kiln_conv_sizes sizes = kiln_conv_sizes_of(&params, &s->x, &s->w, &shape);
    struct kiln_params_conv p = kiln_conv_block(&sizes);
    const size_t x = (size_t)kiln_shape_count(&s->x), y = (size_t)kiln_shape_count(&shape),
                 w = (size_t)kiln_shape_count(&s->w);
    p.part = side == CONV_Y ? (uint32_t)y : side == CONV_X ? (uint32_t)x : (uint32_t)(w + 63) / 64 * 64;
    p.per_split = s->per_split;
    p.pieces = s->pieces ? s->pieces : 1;
    struct kiln_test_dispatch t = {
        .dispatch = {.kernel = side == CONV_W ? &kiln_kernel_conv_grad_filter : &kiln_kernel_conv,
                     .block_size = sizeof p,
                     .constants = {[KILN_CONV_MODE] = kiln_conv_mode(&p, side == CONV_X)},
                     .constant_count = KILN_CONV_MODE + 1},
        .why = s->why,
    };
    memcpy(t.dispatch.block.bytes, &p, sizeof p);
    const double taps = (double)p.t * p.u * p.v;
    if (side == CONV_Y)
        t.count[0] = x, t.count[1] = w, t.count[2] = y * p.pieces, t.roundings = p.channels * taps + 2;
    else if (side == CONV_X)
        t.count[0] = y, t.count[1] = w, t.count[2] = x * p.pieces, t.roundings = p.filters * taps + 2;
    else
        t.count[0] = y, t.count[1] = x,
        t.count[2] = (p.images + p.per_split - 1) / p.per_split * p.pieces * p.part,
        t.roundings = (double)p.per_split * p.od * p.oh * p.ow + 2;
    return t;
}

/* All sizes on all devices. */
static inline void expect_conv_kernel(enum conv_side side)
{
    struct kiln_test_dispatch tests[CONV_SIZES];
    for (size_t i = 0; i < CONV_SIZES; i++)
        tests[i] = conv_dispatch(&conv_sizes[i], side);
    kiln_expect_dispatches(tests, CONV_SIZES);
}

#endif
