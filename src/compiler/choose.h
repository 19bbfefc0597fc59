/* choose.h - which lowering of a node and which variant of a dispatch is taken: a tuner's choice, else the usual one. */
#ifndef KILN_COMPILER_CHOOSE_H
#define KILN_COMPILER_CHOOSE_H

#include "compiler/plan.h"

/** The class of a node among those of its operator: types, storage and shapes of what it takes and gives, its params, whether it
 *  has an epilogue, and whether the plan trains: weights that stay are prepared once. */
uint64_t kiln_node_class(const struct kiln_plan *plan, const kiln_node *n);

/** Whether a lowering takes a node; the first that does and pays, NULL for none; and what the plan's choices make of that. */
bool kiln_lowering_accepts(struct kiln_plan *plan, const kiln_lowering *l, const kiln_node *n);
const kiln_lowering *kiln_usual_lowering(struct kiln_plan *plan, const kiln_node *n);
/** The usual one where it joins n with what it reads: no choice changes that, since the time of both would have to be told. */
const kiln_lowering *kiln_joining_lowering(struct kiln_plan *plan, const kiln_node *n);
const kiln_lowering *kiln_choose_lowering(struct kiln_plan *plan, const kiln_node *n);

/** The variant that the plan's choices name for a dispatch, else kiln_choose's. */
const kiln_variant *kiln_choose_variant(const struct kiln_plan *plan, const kiln_dispatch *d);

#endif
