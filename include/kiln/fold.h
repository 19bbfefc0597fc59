/*
 * fold.h - windows of pictures as columns, back again, and convolution whose windows bend. Compositions: they run everywhere and
 * have gradients.
 *
 * x is [N, C, one to three sizes]; params list the axes behind the channels in x's order.
 */
#ifndef KILN_FOLD_H
#define KILN_FOLD_H

#include <kiln/conv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_fold_params {
    int size[3];     /* of a window */
    int stride[3];   /* 0 means 1 */
    int pad[3][2];   /* zeros before and after, per axis */
    int dilation[3]; /* 0 means 1 */
} kiln_fold_params;

/**
 * Each window as a column:   y[n, (c, u), l] = x[n, c, l stride - pad + u dilation], for two axes likewise by pairs.
 * Shape:   x [N, C, sizes], reals, C known; y [N, C times a window's places, windows].
 */
KILN_API kiln_tensor kiln_unfold(kiln_graph *g, kiln_tensor x, const kiln_fold_params *params);

/**
 * The way back, which is the gradient of kiln_unfold: where windows overlap their elements add up.
 * Shape:   x [N, C times a window's places, windows], reals; y [N, C, size[0], .. of `axes` known sizes].
 */
KILN_API kiln_tensor kiln_fold(kiln_graph *g, kiln_tensor x, const int64_t *size, int axes,
                               const kiln_fold_params *params);

/**
 * Convolution (kiln_conv, whose params it takes but for `same` and `output_pad`) that reads each element beside its place by an
 * offset, between elements linearly (Dai et al. 2017), times a mask (Zhu et al. 2019). What lies outside of x is 0.
 *
 * Shape:   x [N, C, two or three sizes], w [O, C / groups, filter's sizes]; offset [N, D K axes, y's sizes], for each of D groups
 *          of channels and each of a filter's K places a coordinate an axis, in x's order; mask [N, D K, y's sizes] or
 *          KILN_NONE; bias [O] or KILN_NONE. All channels known. y [N, O, sizes as kiln_conv].
 */
KILN_API kiln_tensor kiln_deform_conv(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor bias,
                                      kiln_tensor offset, kiln_tensor mask, int offset_groups,
                                      const kiln_conv_params *params);

#ifdef __cplusplus
}
#endif
#endif
