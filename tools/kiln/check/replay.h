/*
 * replay.h - a plan replayed dispatch by dispatch: each by itself on the device, by every variant that it accepts,
 * and by the reference in float64.
 *
 * What the reference computes in float32 feeds the next dispatch, so each sees the operands that it would have,
 * and an error is found where it is made.
 */
#ifndef KILN_TOOLS_CHECK_REPLAY_H
#define KILN_TOOLS_CHECK_REPLAY_H

#include "check/case.h"
#include "device/device.h"

/** What came of one variant in one dispatch. */
struct check_outcome {
    int step; /* of the plan */
    const kiln_kernel *kernel;
    const kiln_variant *variant;
    bool passed;
    double error,
        bound;      /* the largest difference over the largest magnitude of that result; what it may be */
    char what[160]; /* the first element that is off; "" */
    double seconds; /* of one run; 0 where not timed */
    double flops, bytes; /* of it */
};

struct check_params {
    uint64_t seed;
    int repeat; /* runs to time; 0: none */
    void (*report)(void *user, const struct check_outcome *outcome);
    void *user;
};

/**
 * Build, compile and replay a case. What is off is reported and no error.
 * Errors: of what could not be built, compiled or run; ERROR_UNSUPPORTED where the device has no code for it.
 */
kiln_status check_replay(kiln_device *dev, const struct check_case *one, const struct check_params *params);

#endif
