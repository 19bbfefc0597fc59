/*
 * conv.h - convolution over one, two or three axes, its transpose and their gradients.
 *
 * x is [N, C, W], [N, C, H, W] or [N, C, D, H, W]; params list the axes behind the channels in x's order, so that of two axes
 * stride[0] is H's and stride[1] W's, and what lies behind is not looked at. Operands are of one real type.
 */
#ifndef KILN_CONV_H
#define KILN_CONV_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Padding that follows from the sizes, where they are known when data arrives; it overrides the pads that are given. */
typedef enum kiln_same {
    KILN_SAME_NOT, /* as given */
    KILN_SAME_UPPER, /* so that y has ceil(size / stride) places along an axis (transposed: size * stride), the odd zero after */
    KILN_SAME_LOWER, /* the odd zero before */
} kiln_same;

typedef struct kiln_conv_params {
    int stride[3];     /* 0 means 1 */
    int pad[3][2];     /* zeros before and after, per axis; negative ones crop */
    kiln_same same;    /* overrides pad; `true` is KILN_SAME_UPPER */
    int dilation[3];   /* 0 means 1 */
    int output_pad[3]; /* transposed: places more at the end of an axis, less than its stride or dilation */
    int groups;        /* 0 means 1; channels and filters must be multiples of it */
} kiln_conv_params;

/**
 * Convolve with learned filters (LeCun et al. 1989). For two axes
 *
 *   y[n, o, i, j] = bias[o] + sum over c, u, v of
 *                   x[n, c, i * stride - pad + u * dilation, j * stride - pad + v * dilation] * w[o, c, u, v]
 *
 * where x is 0 outside, and c counts the channels of o's group.
 *
 * Shape:   x [N, C, sizes], w [O, C / groups, filter's sizes], bias [O] or KILN_NONE; y [N, O, sizes] with
 *          (size + pad before + pad after - dilation (filter - 1) - 1) / stride + 1 for each axis.
 */
KILN_API kiln_tensor kiln_conv(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor bias,
                               const kiln_conv_params *params);

/**
 * The transpose of that map (Zeiler et al. 2010): each value of x spreads over the places that a filter meets,
 *
 *   y[n, c, i * stride - pad + u * dilation, ..] += x[n, o, i, ..] * w[o, c, u, ..]
 *
 * Shape:   x [N, O, sizes], w [O, C / groups, filter's sizes], bias [C] or KILN_NONE; y [N, C, sizes] with
 *          (size - 1) * stride - pad before - pad after + dilation (filter - 1) + 1 + output_pad for each axis.
 */
KILN_API kiln_tensor kiln_conv_transpose(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor bias,
                                         const kiln_conv_params *params);

/**
 * The gradients of kiln_conv, operators with gradients of their own: by its input, which is the transposed convolution to
 * the shape of x_like, and by its filters, of the shape of w_like.
 */
KILN_API kiln_tensor kiln_conv_grad_input(kiln_graph *g, kiln_tensor dy, kiln_tensor w, kiln_tensor x_like,
                                          const kiln_conv_params *params);
KILN_API kiln_tensor kiln_conv_grad_filter(kiln_graph *g, kiln_tensor dy, kiln_tensor x, kiln_tensor w_like,
                                           const kiln_conv_params *params);

#ifdef __cplusplus
}
#endif
#endif
