/* objects.h - objects, places and steps while lowering: what lower.c, steps.c, place.c and region.c share. */
#ifndef KILN_COMPILER_OBJECTS_H
#define KILN_COMPILER_OBJECTS_H

#include "compiler/plan.h"

/** A new object; -1 out of memory (logged). */
int kiln_add_object(struct kiln_plan *plan, struct kiln_object object);
/** The object of this kind, index and chunk; made if it is new. */
int kiln_find_object(struct kiln_plan *plan, struct kiln_object object);
/** An object for constants, which lie one after another in one buffer; -1 out of memory. The bytes are copied. */
int kiln_add_constant(struct kiln_plan *plan, const void *data, uint64_t bytes);
/** A new object for a value of that spec, in scratch memory. */
int kiln_add_scratch(struct kiln_plan *plan, const kiln_spec *spec);
/** Where t lies. */
struct kiln_place *kiln_place_of(const struct kiln_plan *plan, kiln_tensor t);
/** Room for the places of all values, of those too that are appended while lowering; false out of memory. */
bool kiln_grow_places(struct kiln_plan *plan);
/** A value that has no node of the user's, in an object: a temporary, a table, an arena. KILN_NONE out of memory, or for object -1. */
kiln_tensor kiln_add_value(struct kiln_plan *plan, kiln_type type, int64_t count, int object,
                           uint64_t offset);
/** Give a state its place in the weights or the session. */
kiln_status kiln_place_state(struct kiln_plan *plan, const kiln_node *n);

/** steps.c: an empty step of the node that is being lowered. */
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
