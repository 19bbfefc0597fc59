/* fold.h - evaluating nodes of constants while compiling. */
#ifndef KILN_COMPILER_FOLD_H
#define KILN_COMPILER_FOLD_H

#include "compiler/plan.h"

/**
 * If every input of n (mapped: `in`, values of r->to) is a constant, or looked at for its shape alone, and the result is
 * small, make output 0 a constant of r->to, map it and return true. Also true where that failed: see r->to's status.
 */
bool kiln_fold_constant(struct kiln_rewrite *r, const kiln_node *n, const kiln_tensor *in,
                        const kiln_spec *out);

#endif
