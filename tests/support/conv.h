/* conv.h - awkward convolutions, for the tests of its three kernels. */
#ifndef KILN_TESTS_SUPPORT_CONV_H
#define KILN_TESTS_SUPPORT_CONV_H

#include <string.h>

#include "conv/conv2d.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "support/dispatch.h"

static const struct conv_size {
    uint32_t images, groups, channels, filters, h, w, u, v, stride, pad, dilation, per_split;
    const char *why;
} conv_sizes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, "one product"},
    {3, 1, 1, 6, 28, 28, 5, 5, 1, 2, 1, 2, "the first layer of LeNet; a split that is not full"},
    {5, 1, 6, 16, 14, 14, 5, 5, 1, 0, 1, 2, "the second layer of LeNet"},
    {1, 1, 5, 67, 9, 40, 2, 3, 1, 0, 1, 1, "wide rows, more filters than a tile"},
    {2, 2, 5, 7, 13, 11, 3, 2, 2, 1, 2, 2, "groups, stride and dilation"},
    {2, 1, 3, 5, 16, 16, 4, 4, 4, 0, 1, 1, "patches"},
    {2, 1, 2, 3, 7, 5, 3, 3, 3, 2, 2, 1, "stride 3, dilation 2, padding 2"},
    {2, 8, 1, 2, 12, 12, 3, 3, 1, 1, 1, 2, "depthwise, two filters a channel"},
    {1, 1, 20, 30, 10, 10, 1, 1, 1, 0, 1, 1, "single points"},
    {1, 1, 20, 30, 20, 33, 1, 1, 2, 0, 1, 1, "single points by stride"},
    {1, 1, 65, 3, 60, 62, 3, 3, 1, 1, 1, 1, "several bands"},
};

#define CONV_SIZES (sizeof conv_sizes / sizeof *conv_sizes)

static inline struct kiln_params_conv2d conv_block(const struct conv_size *s)
{
    const uint32_t oh = (s->h + 2 * s->pad - s->dilation * (s->u - 1) - 1) / s->stride + 1;
    const uint32_t ow = (s->w + 2 * s->pad - s->dilation * (s->v - 1) - 1) / s->stride + 1;
    return (struct kiln_params_conv2d){
        .images = s->images,
        .groups = s->groups,
        .channels = s->channels,
        .filters = s->filters,
        .h = s->h,
        .w = s->w,
        .u = s->u,
        .v = s->v,
        .oh = oh,
        .ow = ow,
        .stride_i = s->stride,
        .stride_j = s->stride,
        .pad_i = s->pad,
        .pad_j = s->pad,
        .dilation_i = s->dilation,
        .dilation_j = s->dilation,
        .x_image = s->groups * s->channels * s->h * s->w,
        .y_image = s->groups * s->filters * oh * ow,
        .per_split = s->per_split,
        .part = (s->groups * s->filters * s->channels * s->u * s->v + 63) / 64 * 64,
    };
}

/* A dispatch whose operands have x or y elements, filters, or the splits' filters; sums of so many terms. */
static inline struct kiln_test_dispatch conv_dispatch(const struct conv_size *s, const kiln_kernel *kernel)
{
    const struct kiln_params_conv2d p = conv_block(s);
    const size_t x = (size_t)p.images * p.x_image, y = (size_t)p.images * p.y_image;
    const size_t w = (size_t)p.groups * p.filters * p.channels * p.u * p.v;
    const size_t parts = (size_t)(p.images + p.per_split - 1) / p.per_split * p.part;
    struct kiln_test_dispatch t = {
        .dispatch = {.kernel = kernel, .block_size = sizeof p, .constant_count = KILN_EPILOGUE_CONSTANTS},
        .why = s->why,
    };
    memcpy(t.dispatch.block.bytes, &p, sizeof p);
    if (kernel == &kiln_kernel_conv2d)
        t.count[0] = x, t.count[1] = w, t.count[2] = y, t.roundings = p.channels * p.u * p.v + 2;
    else if (kernel == &kiln_kernel_conv2d_grad_input)
        t.count[0] = y, t.count[1] = w, t.count[2] = x, t.roundings = p.filters * p.u * p.v + 2;
    else
        t.count[0] = y, t.count[1] = x, t.count[2] = parts, t.roundings = p.per_split * p.oh * p.ow + 2;
    return t;
}

/* All sizes on all devices. */
static inline void expect_conv_kernel(const kiln_kernel *kernel)
{
    struct kiln_test_dispatch tests[CONV_SIZES];
    for (size_t i = 0; i < CONV_SIZES; i++)
        tests[i] = conv_dispatch(&conv_sizes[i], kernel);
    kiln_expect_dispatches(tests, CONV_SIZES);
}

#endif
