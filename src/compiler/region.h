/*
 * region.h - what is repeated, within a flat graph: the nodes between a "repeat" and its "until".
 *
 *   repeat   inputs: what each carry begins as.   outputs: the carries as a turn finds them.
 *   until    inputs: the outputs of its repeat, then what each carry becomes.   outputs: the carries after the last turn.
 *
 * A carry is one piece of memory through all turns. Values from before the repeat are used inside freely; what is made inside is
 * used there alone, and leaves as a carry. Regions nest.
 */
#ifndef KILN_COMPILER_REGION_H
#define KILN_COMPILER_REGION_H

#include "graph/graph.h"

struct kiln_repeat {
    int64_t count; /* of turns, at the most */
    /* the carry that says, before each turn, whether there is one: a BOOL scalar; -1: there always is */
    int64_t flag;
};

extern const kiln_op kiln_op_repeat, kiln_op_until;

/** A value that nothing has computed: its bytes mean nothing. Params: its spec. */
extern const kiln_op kiln_op_undefined;
kiln_tensor kiln_undefined(kiln_graph *g, const kiln_spec *spec);
/** `rows` of that spec, along a new axis 0. */
kiln_tensor kiln_undefined_rows(kiln_graph *g, const kiln_spec *spec, int64_t rows);

/** Open a region; NULL, and g fails, where memory is short. */
const kiln_node *kiln_repeat_open(kiln_graph *g, const kiln_tensor *initial, int carries,
                                  const struct kiln_repeat *p);
/** Close it: next[i] is what carry i becomes. */
const kiln_node *kiln_repeat_close(kiln_graph *g, const kiln_node *repeat, const kiln_tensor *next);

/** By node: the index of the repeat whose region it lies in, the innermost; -1: none. A repeat and its until lie outside theirs.
 *  malloc'ed; NULL out of memory. */
int *kiln_regions(const kiln_graph *g);

#endif
