/* copy.h - moving elements: the one kernel behind transpose, expand, concat, slice and pad. */
#ifndef KILN_OPS_COPY_H
#define KILN_OPS_COPY_H

#include <kiln/extend.h>

/**
 * The same index over two values: y[y_start + i . y_step] = x[x_start + i . x_step] for each i below size, in
 * elements. The last axis with more than one element should be the one along which y is dense.
 */
struct kiln_walk {
    int rank;
    int64_t size[KILN_MAX_RANK], x_step[KILN_MAX_RANK], y_step[KILN_MAX_RANK];
    int64_t x_start, y_start;
};

/** The steps of a dense value. */
void kiln_dense_steps(const kiln_shape *shape, int64_t *step);

/** Whether what is planned now may have to be left out on the device, so that it must all be dispatches. */
bool kiln_plan_gated(const kiln_plan *plan);

/** Of a slice n of x, whose sizes are known and which joins values: the one that the slice is; KILN_NONE: none. */
kiln_tensor kiln_slice_of_joined(const kiln_graph *g, const kiln_node *n, kiln_tensor x);

/** Make n a slice [first, end) along an axis: of the same outputs, and of its first input. */
kiln_status kiln_make_slice(kiln_graph *g, kiln_node *n, int axis, int64_t first, int64_t end);

/** The axes of x in the order in which a node of kiln_transpose gives them. */
void kiln_transpose_order(const kiln_node *n, int rank, int *order);

/** The lowering of a transpose of bytes whose axes change places as two groups (turn_bytes.c), on the CPU. */
bool kiln_turn_bytes_accepts(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_turn_bytes_lower(kiln_plan *plan, const kiln_node *n);

/** Whether bytes may be moved to their place in a concatenation y as such (join_bytes.c), and that: along an axis, from `begin` on. */
bool kiln_join_bytes_accepts(const kiln_plan *plan, kiln_tensor x, kiln_tensor y);
kiln_status kiln_join_bytes_lower(kiln_plan *plan, kiln_tensor x, kiln_tensor y, int axis, int64_t begin);

/** Plan the move of elements of x's and y's common type. What is dense on both sides becomes a plain copy. */
kiln_status kiln_plan_walk(kiln_plan *plan, kiln_tensor x, kiln_tensor y, const struct kiln_walk *walk);

#endif
