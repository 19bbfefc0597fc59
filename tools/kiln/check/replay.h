/*
 * replay.h - a plan replayed dispatch by dispatch: each by itself on the device, by every variant that it accepts,
 * and by the reference in float64.
 *
 * What the reference computes in float32 feeds the next dispatch, so each sees the operands that it would have,
 * and an error is found where it is made. A device that runs nothing compiles them all.
 */
#ifndef KILN_TOOLS_CHECK_REPLAY_H
#define KILN_TOOLS_CHECK_REPLAY_H

#include "check/case.h"
#include "check/compare.h"
#include "device/device.h"

/** What came of one variant in one dispatch. */
struct check_outcome {
    int step;              /* of the plan */
    const kiln_node *node; /* that it is for */
    const kiln_kernel *kernel;
    const kiln_variant *variant;
    struct check_distance distance;
    double seconds;      /* of one run; 0 where not timed */
    double flops, bytes; /* of it */
    const struct kiln_compiled
        *compiled; /* what a device that runs nothing made of it; NULL: none, or it ran */
    bool usual;    /* it pays there: no tuner is needed to take it */
};

struct check_params {
    uint64_t seed;
    int repeat;  /* runs to time; 0: none */
    bool chosen; /* by the variant that the program runs alone */
    void (*report)(void *user, const struct check_outcome *outcome);
    struct kiln_pool *pool; /* that the references share; NULL: none */
    /** Called before each dispatch of a program: false where it is to run without being compared; NULL: all are. */
    bool (*goes_on)(void *user, const kiln_node *node, int step, int steps);
    /** Called for what a device of another kind would run a dispatch by, and this one does not take; NULL: nobody asks. */
    void (*pass_over)(void *user, const kiln_kernel *kernel, const kiln_variant *variant);
    /** Whether to run what the device accepts and only a tuner would take; NULL: always. */
    bool (*wants_spare)(void *user, const kiln_kernel *kernel, const kiln_variant *variant);
    void *user;
    bool expected;      /* out: the row's formula was compared */
    char surprise[160]; /* out: how the first result differs from it; "" */
};

/**
 * Build, compile and replay a case. What is off is reported and no error.
 * Errors: of what could not be built, compiled or run; ERROR_UNSUPPORTED where the device has no code for it.
 */
kiln_status check_replay(kiln_device *dev, const struct check_case *one, struct check_params *params);

/** Replay the plan of a program's last run. Errors: as above. */
kiln_status check_replay_program(kiln_program *program, struct check_params *params);

#endif
