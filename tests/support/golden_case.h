/*
 * golden_case.h - operators against a file of recorded calls (tools/golden): CASE/x, CASE/w, ... are a case's inputs, CASE/y
 * its result, CASE/dy a gradient of it and CASE/dx, CASE/dw, ... what flows back.
 *
 * A row says by which function a case is built:
 *
 *   static kiln_tensor softmax(kiln_golden_case *c)
 *   {
 *       return kiln_softmax(c->g, kiln_golden_leaf(c, "x"), 1);
 *   }
 */
#ifndef KILN_TESTS_SUPPORT_GOLDEN_CASE_H
#define KILN_TESTS_SUPPORT_GOLDEN_CASE_H

#include "support/golden.h"

enum { KILN_GOLDEN_VALUES = 32 };

/** One case while it is built. */
typedef struct kiln_golden_case {
    const kiln_safetensors *file;
    const char *name;
    kiln_graph *g;
    /* inputs with a gradient; states; results beside y */
    kiln_tensor leaf[KILN_GOLDEN_VALUES], result[KILN_GOLDEN_VALUES];
    const char *leaf_name[KILN_GOLDEN_VALUES], *state_name[KILN_GOLDEN_VALUES],
        *result_name[KILN_GOLDEN_VALUES];
    int leaves, states, results;
} kiln_golden_case;

/** A recorded array of the case, a loan. */
kiln_array kiln_golden_part(const kiln_golden_case *c, const char *name);

/** An input whose gradient is recorded: a parameter that begins with the recorded values. */
kiln_tensor kiln_golden_leaf(kiln_golden_case *c, const char *name);
/** An input without gradient: a constant, F32 where the record is real. */
kiln_tensor kiln_golden_fixed(kiln_golden_case *c, const char *name);
/** A state that begins with the record NAME; after a training run it must be the record NAME_after. */
kiln_tensor kiln_golden_state(kiln_golden_case *c, const char *name);
/** A result beside y, compared with the record of that name. */
void kiln_golden_result(kiln_golden_case *c, const char *name, kiln_tensor t);

typedef struct kiln_golden_row {
    const char *name;
    kiln_tensor (*build)(kiln_golden_case *c);
    /* instead of build, where the case is one operator without params, of x, or of x and w */
    kiln_tensor (*unary)(kiln_graph *g, kiln_tensor x);
    kiln_tensor (*binary)(kiln_graph *g, kiln_tensor a, kiln_tensor b);
    bool infer; /* in a program that does not train */
} kiln_golden_row;

/**
 * All rows on the device, in float64 (then the device is the CPU) or float32. Each tensor must be within `bound` of its
 * record's length: 0 means 1e-9 in float64, and in float32 1e-5: inputs are exact in float32, sums are of at most some 100
 * products, and the kernels' own functions (exp, log, tanh, pow) are good to a few ulps.
 */
void kiln_expect_golden(const char *file, const kiln_golden_row *rows, size_t count, const char *device,
                        bool f64, double bound);

#endif
