/*
 * pool.h - pooling over one, two or three axes: the largest, the mean or a norm of windows, and where the largest stands.
 *
 * x is [N, C, W], [N, C, H, W] or [N, C, D, H, W] of a real type; params list the axes behind the channels in x's order, as
 * conv.h's do. Padding is never chosen as the largest, and counts in a mean only where that is asked for.
 */
#ifndef KILN_POOL_H
#define KILN_POOL_H

#include <kiln/conv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_pool_params {
    int size[3];     /* window; must be given */
    int stride[3];   /* 0 means the window's size */
    int pad[3][2];   /* before and after, per axis; each less than the window */
    kiln_same same;  /* padding by the sizes; overrides pad */
    int dilation[3]; /* 0 means 1 */
    /* a last window that reaches beyond the padded x counts too, if it begins before the padding behind */
    bool ceil;
    bool count_pad; /* average: divide by the whole window, padding included, but not what lies beyond it */
    bool column_major; /* an index counts the first axis fastest, not the last */
} kiln_pool_params;

/**
 * Largest value of each window; NaN is larger than all, and the first of equals gets the gradient.
 *
 * Shape:   y [N, C, sizes] with (size + pads - dilation (window - 1) - 1) / stride + 1 for each axis, rounded up with `ceil`.
 */
KILN_API kiln_tensor kiln_max_pool(kiln_graph *g, kiln_tensor x, const kiln_pool_params *params);

/**
 * The same, and where it stands: *index, of y's shape, I32, is its place among the values of its image and channel. The gradient
 * goes by the index. A window that holds nothing has -infinity and KILN_NOWHERE (indexing.h).
 */
KILN_API kiln_tensor kiln_max_pool_index(kiln_graph *g, kiln_tensor x, const kiln_pool_params *params,
                                         kiln_tensor *index);

/** Mean of each window. */
KILN_API kiln_tensor kiln_average_pool(kiln_graph *g, kiln_tensor x, const kiln_pool_params *params);

/** (sum over the window of |x|^power)^(1 / power) for a power above 0; the gradient of a window of zeros is 0. */
KILN_API kiln_tensor kiln_lp_pool(kiln_graph *g, kiln_tensor x, double power, const kiln_pool_params *params);

/**
 * Undo kiln_max_pool_index: each value of x at the place of its index, which is not column-major, zeros elsewhere; of several
 * at one place the last counts.
 *
 * Shape:   x and index alike; y [N, C, size], where `size` lists the axes' sizes, or is NULL for those that follow from the
 *          window: (size - 1) stride - pads + window.
 */
KILN_API kiln_tensor kiln_max_unpool(kiln_graph *g, kiln_tensor x, kiln_tensor index,
                                     const kiln_pool_params *params, const int64_t *size);

/**
 * Windows that divide each axis into so many: number q of n covers places floor(q size / n) to ceil((q + 1) size / n) - 1.
 *
 * Shape:   y [N, C, size]; a size of 0 keeps x's. index may be NULL.
 */
KILN_API kiln_tensor kiln_adaptive_average_pool(kiln_graph *g, kiln_tensor x, const int64_t *size);
KILN_API kiln_tensor kiln_adaptive_max_pool(kiln_graph *g, kiln_tensor x, const int64_t *size,
                                            kiln_tensor *index);

/** One window over all axes behind the channels, which become 1. x [N, C, any]. */
KILN_API kiln_tensor kiln_global_average_pool(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_global_max_pool(kiln_graph *g, kiln_tensor x);
KILN_API kiln_tensor kiln_global_lp_pool(kiln_graph *g, kiln_tensor x, double power);

#ifdef __cplusplus
}
#endif
#endif
