/* beyond.h - rules that many operators share for axes whose sizes depend on data (kiln_op.beyond). */
#ifndef KILN_OPS_BEYOND_H
#define KILN_OPS_BEYOND_H

#include <kiln/extend.h>

/** Nothing mixes along any axis. */
kiln_beyond kiln_beyond_ignored(kiln_graph *g, const kiln_node *n, int input, int axis);

/** Nothing mixes along the first axis, the batch; the others are refused. */
kiln_beyond kiln_beyond_in_batch(kiln_graph *g, const kiln_node *n, int input, int axis);

/** For operators that only give elements another shape: ignored where the first ones stay the first ones. */
kiln_beyond kiln_beyond_of_shape(kiln_graph *g, const kiln_node *n, int input, int axis);

/** The least or greatest value of a type; reals: the infinities. Integers of 64 bits count as those of 32, as they are stored. */
double kiln_extreme_of(kiln_type type, bool most);

/** The value that a sort puts last: NaN, or an extreme. */
double kiln_last_of(kiln_type type, bool descending);

/** How many elements there are along the axes in the mask, as an F32 scalar computed from the counts. */
kiln_tensor kiln_count_tensor(kiln_graph *g, const kiln_shape *shape, uint32_t axes);

#define KILN_IGNORED      ((kiln_beyond){.kind = KILN_BEYOND_IGNORED})
#define KILN_REFUSED      ((kiln_beyond){.kind = KILN_BEYOND_REFUSED})
#define KILN_COUNTED      ((kiln_beyond){.kind = KILN_BEYOND_COUNTED})
#define KILN_FILLED(with) ((kiln_beyond){KILN_BEYOND_FILLED, with})

/** Whether y, which kiln_op_reshape made, has its elements elsewhere than x: axes that data counts lie inside of others; and that y. */
bool kiln_reshape_moves(kiln_graph *g, kiln_tensor y);
kiln_tensor kiln_reshape_counted(kiln_graph *g, kiln_tensor x, kiln_shape y);

#endif
