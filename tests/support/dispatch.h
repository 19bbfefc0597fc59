/* dispatch.h - one kernel by itself: every variant that a device accepts against the float64 reference. */
#ifndef KILN_TESTS_SUPPORT_DISPATCH_H
#define KILN_TESTS_SUPPORT_DISPATCH_H

#include "device/device.h"

/** A dispatch of real operands; bindings of which `count` is 0 are unbound. */
struct kiln_test_dispatch {
    kiln_dispatch dispatch;
    size_t count[KILN_MAX_BINDINGS]; /* elements */
    /**
     * How many float32 roundings of the magnitude of a result may add up: the result of the same dispatch
     * on the operands' absolute values. A sum of k products in any order is within k + 1 of them (Higham
     * 2002, 3.1).
     */
    double roundings;
    const char *why;
};

/**
 * Run the float32 reference and every variant that the device accepts on reproducible operands in [-1, 1),
 * and compare with the float64 reference. Results that the reference leaves alone must stay as they were.
 */
void kiln_expect_dispatch(kiln_device *dev, const struct kiln_test_dispatch *t);

/** Each of them on each device of this run (support.h). */
void kiln_expect_dispatches(const struct kiln_test_dispatch *t, size_t count);

#endif
