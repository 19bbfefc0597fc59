/*
 * cases.h - an operator for many cases at once: what rules for kiln_op.cases are made of.
 *
 * A stacked value has a new axis 0, along which it is what the operator takes, or gives, in each case.
 */
#ifndef KILN_OPS_CASES_H
#define KILN_OPS_CASES_H

#include "graph/graph.h"

/** x, which is stacked, with axes of size 1 behind axis 0, so that one case of it has that rank. */
kiln_tensor kiln_cases_widen(kiln_graph *g, kiln_tensor x, int rank);

/** The spec of a stacked value. */
kiln_spec kiln_cases_spec(const kiln_cases *c, const kiln_spec *one);

/** Append n's operator with these inputs and params, and a stacked result. */
kiln_tensor kiln_cases_append(kiln_graph *g, const kiln_node *n, const kiln_cases *c, const kiln_tensor *in,
                              const void *params);

#endif
