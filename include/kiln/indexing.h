/*
 * indexing.h - where things are: order, places named by an index, what accumulates along an axis.
 *
 * Common to all:
 *   An axis may be negative: it then counts from the last. An index is I32 or I64; a negative one counts from the end. One that
 *   is out of range is clamped on the device, and an error where it is a constant. KILN_NOWHERE names no place: reading there
 *   gives 0, writing there does nothing. Results are the same on every run and, where no sum of reals is involved, on every
 *   device.
 *   Gradients by every real operand, and of these gradients again, unless it says otherwise. An index has none.
 */
#ifndef KILN_INDEXING_H
#define KILN_INDEXING_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The index that names no place. */
#define KILN_NOWHERE INT32_MIN

/* Order -------------------------------------------------------------------------------------------------- */

/**
 * The elements of each row along an axis in ascending order, or descending. Stable: equal elements keep the order of their
 * positions, either way. NaN counts as larger than infinity, so that it comes last in ascending order and first in
 * descending; -0 equals 0. BOOL is sorted as false, true.
 *
 * Shape:   y as x. *index, where index is not NULL, as x, I32: y[i] = x[index[i]] along the axis.
 */
KILN_API kiln_tensor kiln_sort(kiln_graph *g, kiln_tensor x, int axis, bool descending, kiln_tensor *index);

/** The index of kiln_sort alone. */
KILN_API kiln_tensor kiln_argsort(kiln_graph *g, kiln_tensor x, int axis, bool descending);

typedef struct kiln_top_k_params {
    bool smallest;    /* the k smallest, not the k largest */
    bool by_position; /* in the order of their positions, not of their values */
} kiln_top_k_params;

/**
 * The k largest elements of each row along an axis, the largest first. Of equal ones the first are taken. NaN counts as largest.
 *
 * Shape:   y as x with k in the place of the axis; *index likewise, I32, where index is not NULL.
 * Errors:  k is negative, or more than the row has.
 */
KILN_API kiln_tensor kiln_top_k(kiln_graph *g, kiln_tensor x, int64_t k, int axis,
                                const kiln_top_k_params *params, kiln_tensor *index);

/* Places named by an index: kiln_gather is in ops.h ------------------------------------------------------ */

/**
 * An element for each coordinate beside the axis:   y[.., j, ..] = x[.., index[.., j, ..], ..]
 *
 * Shape:   index and y have x's shape but for the axis.
 */
KILN_API kiln_tensor kiln_gather_elements(kiln_graph *g, kiln_tensor x, kiln_tensor index, int axis);

/**
 * Slices named by tuples of coordinates, the index's last axis:   y[b, j, ..] = x[b, index[b, j, 0], index[b, j, 1], .., ..]
 *
 * Shape:   x [B.., S1, .., SK, rest..], index [B.., J.., K], y [B.., J.., rest..], with `batch` axes B in common.
 */
KILN_API kiln_tensor kiln_gather_nd(kiln_graph *g, kiln_tensor x, kiln_tensor index, int batch);

/** How an update meets what is at its place. */
typedef enum kiln_scatter_kind {
    KILN_SCATTER_SET, /* it takes the place; of several the last in the order of the index */
    KILN_SCATTER_ADD,
    KILN_SCATTER_MUL,
    KILN_SCATTER_MIN, /* NaN passes */
    KILN_SCATTER_MAX,
} kiln_scatter_kind;

typedef struct kiln_scatter_params {
    kiln_scatter_kind kind;
    bool distinct; /* promised: no two updates name one place. Saves their sorting on a GPU */
} kiln_scatter_params;

/**
 * x, with slices along an axis updated:   y = x, then for each j   y[.., index[j], ..] meets updates[.., j, ..]
 *
 * Shape:   y as x; updates as kiln_gather(g, x, index, axis).
 */
KILN_API kiln_tensor kiln_scatter(kiln_graph *g, kiln_tensor x, kiln_tensor index, kiln_tensor updates,
                                  int axis, const kiln_scatter_params *params);
/** Likewise for elements: updates and index as kiln_gather_elements(g, x, index, axis). */
KILN_API kiln_tensor kiln_scatter_elements(kiln_graph *g, kiln_tensor x, kiln_tensor index,
                                           kiln_tensor updates, int axis, const kiln_scatter_params *params);
/** Likewise for tuples: updates as kiln_gather_nd(g, x, index, 0). */
KILN_API kiln_tensor kiln_scatter_nd(kiln_graph *g, kiln_tensor x, kiln_tensor index, kiln_tensor updates,
                                     const kiln_scatter_params *params);

/* What accumulates along an axis ------------------------------------------------------------------------- */

typedef struct kiln_cumulative_params {
    bool exclusive; /* y[t] leaves x[t] out: the first is 0, 1, or the type's least or greatest */
    bool reverse;   /* from the end of the axis */
} kiln_cumulative_params;

/** y[t] = x[0] + .. + x[t] along an axis. Any number type; y as x. */
KILN_API kiln_tensor kiln_cumsum(kiln_graph *g, kiln_tensor x, int axis,
                                 const kiln_cumulative_params *params);
/** y[t] = x[0] .. x[t], the product. Its gradient takes no quotient, so zeros are like any other value. */
KILN_API kiln_tensor kiln_cumprod(kiln_graph *g, kiln_tensor x, int axis,
                                  const kiln_cumulative_params *params);
/**
 * y[t] = the largest, or least, of x[0], .., x[t]; NaN passes. *index, where index is not NULL, I32: where it stands, the first
 * of equals. No gradient of exclusive ones.
 */
KILN_API kiln_tensor kiln_cummax(kiln_graph *g, kiln_tensor x, int axis, const kiln_cumulative_params *params,
                                 kiln_tensor *index);
KILN_API kiln_tensor kiln_cummin(kiln_graph *g, kiln_tensor x, int axis, const kiln_cumulative_params *params,
                                 kiln_tensor *index);

/**
 * The linear recurrence along an axis, from y[-1] = 0:   y[t] = a[t] y[t - 1] + x[t]
 *
 * Discounted sums, moving averages and diagonal state spaces are of this form. reverse: from the end of the axis.
 * Shape:   a, x and y alike, of a real type.
 */
KILN_API kiln_tensor kiln_linear_scan(kiln_graph *g, kiln_tensor a, kiln_tensor x, int axis, bool reverse);

/* Sizes that depend on data (kiln_dim_bounded in graph.h) -------------------------------------------------- */

/**
 * The first `count` elements of x along an axis, where count is an I32 scalar that the run computes. No element moves. A count
 * that is negative, or more than there are, means none, or all.
 * Shape:   y as x, but of a size that depends on data in the place of the axis.
 */
KILN_API kiln_tensor kiln_first(kiln_graph *g, kiln_tensor x, kiln_tensor count, int axis);

/**
 * Where x is not 0, in the order of its elements.
 *
 * Shape:   y [S, x's rank], I32: the coordinates of each. S, which data decides, is at most `bound`, or x's elements where bound
 *          is 0; of more than bound the first are taken. *count, where count is not NULL: S as an I32 scalar.
 */
KILN_API kiln_tensor kiln_non_zero(kiln_graph *g, kiln_tensor x, int64_t bound, kiln_tensor *count);

/** x's slices along an axis for which condition, a vector of the axis' size, is not 0. Gradient by x. */
KILN_API kiln_tensor kiln_compress(kiln_graph *g, kiln_tensor x, kiln_tensor condition, int axis);
/** x's elements where mask, which broadcasts to x, is not 0, as one row. Gradient by x. */
KILN_API kiln_tensor kiln_masked_select(kiln_graph *g, kiln_tensor x, kiln_tensor mask);

typedef struct kiln_unique_params {
    bool along; /* slices along `axis`, at most 64 elements each; else x's elements, as one row */
    int axis;
    bool
        by_appearance; /* in the order in which they first stand; else ascending, slices as in a dictionary */
} kiln_unique_params;

typedef struct kiln_unique_parts {
    kiln_tensor first;   /* [S]: where each first stands */
    kiln_tensor inverse; /* [n]: which of the S each of x's elements or slices is */
    kiln_tensor counts;  /* [S]: how often each occurs */
} kiln_unique_parts;

/**
 * The different elements of x, or slices along an axis. Zeros are equal whatever their sign; each NaN is an element of its own.
 * parts may be NULL. Gradient by x, to where each first stands.
 */
KILN_API kiln_tensor kiln_unique(kiln_graph *g, kiln_tensor x, const kiln_unique_params *params,
                                 kiln_unique_parts *parts);

/** x with as many elements along an axis as there may be at the most; those that are not there are `fill`. */
KILN_API kiln_tensor kiln_whole(kiln_graph *g, kiln_tensor x, int axis, double fill);

#ifdef __cplusplus
}
#endif
#endif
