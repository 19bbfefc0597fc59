/* objects.h - objects and places while lowering: what lower.c, place.c and region.c share. */
#ifndef KILN_COMPILER_OBJECTS_H
#define KILN_COMPILER_OBJECTS_H

#include "compiler/plan.h"

/** A new object; -1 out of memory (logged). */
int kiln_add_object(struct kiln_plan *plan, struct kiln_object object);
/** A new object for a value of that spec, in scratch memory. */
int kiln_add_scratch(struct kiln_plan *plan, const kiln_spec *spec);
/** Where t lies. */
struct kiln_place *kiln_place_of(const struct kiln_plan *plan, kiln_tensor t);
/** Give a state its place in the weights or the session. */
kiln_status kiln_place_state(struct kiln_plan *plan, const kiln_node *n);

/** An empty step of the node that is being lowered. */
struct kiln_step kiln_new_step(const struct kiln_plan *plan, enum kiln_command_kind kind);
/** Put it behind the others. */
kiln_status kiln_add_step(struct kiln_plan *plan, const struct kiln_step *s);

/** place.c: which values lie within others, or over what they replace. */
kiln_status kiln_place_values(struct kiln_plan *plan);

/** join.c: find what has one reader; and whether such a node's reader computes it, too, by a lowering that joins. */
kiln_status kiln_find_readers(struct kiln_plan *plan);
bool kiln_is_joined(struct kiln_plan *plan, const kiln_node *n);

/** region.c: the ends of what is repeated. */
kiln_status kiln_lower_repeat(struct kiln_plan *plan, const kiln_node *n);
kiln_status kiln_lower_until(struct kiln_plan *plan, const kiln_node *n);

#endif
