/*
 * reduce.h - operators that reduce axes: sums, products, norms, extremes and where they are, variance.
 *
 * Sums of reals are accumulated in float32 or better whatever x's type, in an order that sizes and the kind of device decide;
 * integers wrap. Where nothing is reduced the result is the neutral element, if it does not say otherwise.
 */
#ifndef KILN_REDUCE_H
#define KILN_REDUCE_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Axes to reduce: KILN_AXES(1, 2); {0} means all. */
typedef struct kiln_axes {
    int count;
    int axis[KILN_MAX_RANK];
} kiln_axes;

#ifndef __cplusplus
#define KILN_AXES(...) \
    ((kiln_axes){.count = (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)), .axis = {__VA_ARGS__}})
#endif

typedef struct kiln_reduce_params {
    kiln_axes axes;
    bool keep; /* keep reduced axes as size 1 */
} kiln_reduce_params;

/* Sums and products: y has x's type -------------------------------------------------------------------- */

KILN_API kiln_tensor kiln_sum(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
/** Reals. Of nothing: NaN. */
KILN_API kiln_tensor kiln_mean(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
/** Of nothing: 1. Its gradient is right where entries are 0 too; that of the gradient where none is. */
KILN_API kiln_tensor kiln_product(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
/** The sum of |x|, and of x^2. */
KILN_API kiln_tensor kiln_reduce_l1(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
KILN_API kiln_tensor kiln_sum_square(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
/** The root of the sum of x^2, reals; its gradient at 0 is 0. */
KILN_API kiln_tensor kiln_reduce_l2(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
/** log(sum(x)), and log(sum(exp(x))), which does not overflow; reals. Of nothing: -infinity. */
KILN_API kiln_tensor kiln_log_sum(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
KILN_API kiln_tensor kiln_log_sum_exp(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);

/**
 * sum((x - mean(x))^2) / (n - correction), and its root; reals, accumulated from the mean (Welford). A correction of 1 makes the
 * estimate unbiased. Of F16 and BF16 the result is F32.
 */
KILN_API kiln_tensor kiln_variance(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params,
                                   double correction);
KILN_API kiln_tensor kiln_deviation(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params,
                                    double correction);

/**
 * Mean and biased variance over axes, kept as size 1; variance is node output 1. Of nothing: NaN. Of F16 and BF16 they are F32,
 * as a square may have no room in a half. Gradients by both.
 */
KILN_API kiln_tensor kiln_moments(kiln_graph *g, kiln_tensor x, kiln_axes axes, kiln_tensor *variance);

/* Extremes ----------------------------------------------------------------------------------------------- */

/** NaN passes. Of nothing: -infinity and +infinity; of integers the least and the most. Ties give their gradient to the first. */
KILN_API kiln_tensor kiln_reduce_max(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
KILN_API kiln_tensor kiln_reduce_min(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);

/** Whether any is true, and whether all are; BOOL. */
KILN_API kiln_tensor kiln_any(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);
KILN_API kiln_tensor kiln_all(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);

/** Index of the largest (smallest) value along one axis, I32; the first of equals, or the last. NaN counts as such. No gradient. */
KILN_API kiln_tensor kiln_argmax(kiln_graph *g, kiln_tensor x, int axis, bool keep);
KILN_API kiln_tensor kiln_argmin(kiln_graph *g, kiln_tensor x, int axis, bool keep);
KILN_API kiln_tensor kiln_argmax_last(kiln_graph *g, kiln_tensor x, int axis, bool keep);
KILN_API kiln_tensor kiln_argmin_last(kiln_graph *g, kiln_tensor x, int axis, bool keep);

#ifdef __cplusplus
}
#endif
#endif
