/* interpret.h - a plan's steps run one after another by the kernels' references, on plain memory. */
#ifndef KILN_COMPILER_INTERPRET_H
#define KILN_COMPILER_INTERPRET_H

#include "compiler/plan.h"

/**
 * Evaluate one node in double precision. in: a dense array an input, reals as F64 and the others as I64; y likewise, with
 * room for its shape.
 */
kiln_status kiln_interpret_node(const kiln_graph *g, const kiln_node *n, const kiln_array *in, kiln_array *y);

#endif
