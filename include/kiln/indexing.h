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
 * kiln_gather with a list for each item of a batch:   y[b, .., j, ..] = x[b, .., index[b, j], ..]
 *
 * Shape:   x [B.., M.., S, rest..] with S the axis, index [B.., J..], y [B.., M.., J.., rest..], `batch` axes B in common.
 */
KILN_API kiln_tensor kiln_gather_batched(kiln_graph *g, kiln_tensor x, kiln_tensor index, int axis,
                                         int batch);

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

typedef struct kiln_embedding_params {
    bool has_padding;
    int64_t padding; /* an index whose row gets no gradient, and so stays as it is */
} kiln_embedding_params;

/**
 * Rows of a table: kiln_gather on axis 0. The gradient is as large as the table; rows are added in the order of the index.
 *
 * Shape:   table [rows, any ..], index any shape; y [index's shape, any ..].
 */
KILN_API kiln_tensor kiln_embedding(kiln_graph *g, kiln_tensor table, kiln_tensor index,
                                    const kiln_embedding_params *params);

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
    int batch;     /* of kiln_scatter: so many first axes are common to x and index */
} kiln_scatter_params;

/**
 * x, with slices along an axis updated:   y = x, then for each j   y[.., index[j], ..] meets updates[.., j, ..]
 *
 * Shape:   y as x; updates as kiln_gather_batched(g, x, index, axis, batch).
 */
KILN_API kiln_tensor kiln_scatter(kiln_graph *g, kiln_tensor x, kiln_tensor index, kiln_tensor updates,
                                  int axis, const kiln_scatter_params *params);
/** Likewise for elements: updates and index as kiln_gather_elements(g, x, index, axis). */
KILN_API kiln_tensor kiln_scatter_elements(kiln_graph *g, kiln_tensor x, kiln_tensor index,
                                           kiln_tensor updates, int axis, const kiln_scatter_params *params);
/** Likewise for tuples: updates as kiln_gather_nd(g, x, index, 0). */
KILN_API kiln_tensor kiln_scatter_nd(kiln_graph *g, kiln_tensor x, kiln_tensor index, kiln_tensor updates,
                                     const kiln_scatter_params *params);

/**
 * A cache, with new steps written behind what it holds:   y = cache, but y[b, .., (at[b] + t), ..] = updates[b, .., t, ..]
 *
 * What would lie beyond the axis is dropped, or with `circular` goes on from its beginning. Assigned to the state that it was
 * computed from, and nowhere else used before, the cache is written in place.
 * Shape:   cache [B, .., S, ..] with S the axis, a known size; updates [B, .., T, ..]; at [B], integers, not negative.
 */
KILN_API kiln_tensor kiln_tensor_scatter(kiln_graph *g, kiln_tensor cache, kiln_tensor updates,
                                         kiln_tensor at, int axis, bool circular);

/**
 * Where each x would go into a sorted list: how many elements of it are less, or with `right` not greater. The order is that of
 * kiln_sort, ascending. Also known as bucketize, x's bucket between boundaries.
 * Shape:   list [L], or [.., L] with x's other axes; x [.., C]; y as x, I32.
 */
KILN_API kiln_tensor kiln_search_sorted(kiln_graph *g, kiln_tensor list, kiln_tensor x, bool right);

/** How often each of 0 .. bins - 1 occurs in index, I32; with weights, of index's shape, the sum of these. Others are left out. */
KILN_API kiln_tensor kiln_bincount(kiln_graph *g, kiln_tensor index, kiln_tensor weights, int64_t bins);
/** How many elements of x lie in each of `bins` equal parts of [low, high], I32; high belongs to the last. */
KILN_API kiln_tensor kiln_histogram(kiln_graph *g, kiln_tensor x, double low, double high, int64_t bins);

/** Along an axis, where condition is first, or last, not 0, I32; -1 where it is 0 throughout. The axis goes. */
KILN_API kiln_tensor kiln_index_of_first(kiln_graph *g, kiln_tensor condition, int axis);
KILN_API kiln_tensor kiln_index_of_last(kiln_graph *g, kiln_tensor condition, int axis);

/* Values made of their places ---------------------------------------------------------------------------- */

/** start, start + delta, ..: count of them, which may be a symbol. Any number type. */
KILN_API kiln_tensor kiln_sequence(kiln_graph *g, kiln_type type, double start, double delta, int64_t count);
/** The sequence from start on, before limit. */
KILN_API kiln_tensor kiln_arange(kiln_graph *g, kiln_type type, double start, double limit, double delta);
/** The same of scalars of one type that the run computes: so many as there are, but at most `bound` (kiln_dim_bounded). */
KILN_API kiln_tensor kiln_range_between(kiln_graph *g, kiln_tensor start, kiln_tensor limit,
                                        kiln_tensor delta, int64_t bound);
/** How many those are without a bound, an I32 scalar; none where it is negative. */
KILN_API kiln_tensor kiln_range_count(kiln_graph *g, kiln_tensor start, kiln_tensor limit, kiln_tensor delta);
/** 0, 1, .., I32: as many as x has along an axis, whatever its size will be. */
KILN_API kiln_tensor kiln_positions(kiln_graph *g, kiln_tensor x, int axis);

/** x where column - row <= k in its last two axes (>= k with `upper`), else 0. */
KILN_API kiln_tensor kiln_triangular(kiln_graph *g, kiln_tensor x, int k, bool upper);
/** 1 where column - row = k, else 0. */
KILN_API kiln_tensor kiln_eye(kiln_graph *g, kiln_type type, int64_t rows, int64_t columns, int k);
/**
 * `on` where index is the position along a new axis of size depth, else `off`, both scalars of one type. A negative index counts
 * from the end; one out of range is off throughout. kiln_one_hot in ops.h is the usual case.
 */
KILN_API kiln_tensor kiln_one_hot_between(kiln_graph *g, kiln_tensor index, int64_t depth, int axis,
                                          kiln_tensor off, kiln_tensor on);

/* Arrangements along an axis ----------------------------------------------------------------------------- */

/** x side by side with itself, times[i] times along axis i (x's rank of them). */
KILN_API kiln_tensor kiln_tile(kiln_graph *g, kiln_tensor x, const int64_t *times);
/** Each element of an axis so often in a row. */
KILN_API kiln_tensor kiln_repeat(kiln_graph *g, kiln_tensor x, int64_t times, int axis);
/** From the last to the first. */
KILN_API kiln_tensor kiln_flip(kiln_graph *g, kiln_tensor x, int axis);
/** y[i + shift] = x[i]; what leaves at one end comes in at the other. Of a symbolic size the shift must be less. */
KILN_API kiln_tensor kiln_roll(kiln_graph *g, kiln_tensor x, int64_t shift, int axis);
/** y[i] = x[i + 1] - x[i]: one element less. */
KILN_API kiln_tensor kiln_diff(kiln_graph *g, kiln_tensor x, int axis);
/**
 * The first lengths[b] steps of each sequence backwards, the rest as it is.
 * Shape:   x [B, T, ..] where time_axis is 1, [T, B, ..] where it is 0; lengths [B], integers.
 */
KILN_API kiln_tensor kiln_reverse_sequence(kiln_graph *g, kiln_tensor x, kiln_tensor lengths, int time_axis);

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
    /* in the order in which they first stand; else ascending, slices as in a dictionary */
    bool by_appearance;
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
