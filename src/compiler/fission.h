/*
 * fission.h - what a scan's body computes for all steps at once instead of step by step.
 *
 *   before   what depends on the slices alone, and not on a carry: one large matmul for all inputs of a sequence
 *   behind   what only stacked outputs depend on: one for all outputs
 *   summed   what a carry is nothing but the sum of: the gradient of a weight is one matmul over all steps
 *
 * Then fewer nodes are left to the steps, and those that leave are larger. It pays where an operator has a way to do many cases at
 * once (kiln_op.cases); elementwise work goes with it.
 */
#ifndef KILN_COMPILER_FISSION_H
#define KILN_COMPILER_FISSION_H

#include "compiler/body.h"

enum kiln_part {
    KILN_PART_STEP,
    KILN_PART_BEFORE,
    KILN_PART_BEHIND,
    KILN_PART_SUMMAND, /* computed behind, as its sum over the steps */
    KILN_PART_SUM,     /* an addition of such sums, or to them */
};

struct kiln_fission {
    const struct kiln_body *b;
    int each, carry, stacked; /* as in struct kiln_scan_node: inputs, and outputs, of the body */
    const bool *saved;        /* by carry: wanted as the steps got it */
    int64_t steps;
    /* found */
    unsigned char *part; /* by node of the body's graph */
    bool *summed;        /* by carry: it is a sum */
    int *uses;           /* by value id: inputs of nodes */
    bool *put_out;       /* by value id: a stacked output, or what a carry becomes */
};

/** Find the parts. With one step all is a step's. */
kiln_status kiln_fission_find(struct kiln_fission *f);
void kiln_fission_finish(struct kiln_fission *f);

/**
 * Node n of the body for all steps, in graph `to`. whole[id] is a value of the body for all steps, where it is known; a value that
 * does not vary is the body's map's. KILN_NONE: there is no such way.
 */
kiln_tensor kiln_fission_cases(const struct kiln_fission *f, kiln_graph *to, const kiln_node *n,
                               const kiln_tensor *whole);
/** The sum of its output over the steps. */
kiln_tensor kiln_fission_sum(const struct kiln_fission *f, kiln_graph *to, const kiln_node *n,
                             const kiln_tensor *whole);

#endif
