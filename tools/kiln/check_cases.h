/*
 * check_cases.h - what `kiln check` runs: small graphs of awkward shapes that, compiled, reach every kernel.
 *
 * A case builds values from operands of random content; the dispatches that its plan consists of are what is checked.
 */
#ifndef KILN_TOOLS_CHECK_CASES_H
#define KILN_TOOLS_CHECK_CASES_H

#include <kiln/kiln.h>

enum { CHECK_VALUES = 96 };

/** A case under construction. */
struct check_graph {
    kiln_graph *g;
    uint64_t seed;
    kiln_tensor run[CHECK_VALUES + 1]; /* values and effects, ended by none */
    int count;
};

struct check_case {
    const char *op; /* the family: what --op names */
    void (*build)(struct check_graph *c, const int64_t *n);
    int64_t n[10];
    const char *why; /* that this shape is there */
};

/** Ended by a case without build. */
extern const struct check_case check_cases[];

#endif
