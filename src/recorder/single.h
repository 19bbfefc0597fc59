/* single.h - one dispatch by itself, on host arrays and any device: what kernels are checked and timed by. */
#ifndef KILN_RECORDER_SINGLE_H
#define KILN_RECORDER_SINGLE_H

#include "device/device.h"

/** The arrays that a dispatch's bindings stand for; data NULL: unbound. */
struct kiln_single {
    void *data[KILN_MAX_BINDINGS];
    size_t bytes[KILN_MAX_BINDINGS]; /* multiples of 2 */
    /* where it is given: receives what a second run on the same arrays writes */
    void *again[KILN_MAX_BINDINGS];
    /* where it is given: receives for each binding whether something was written beyond its end; of short arrays alone */
    bool *beyond;
};

/**
 * Run d once on dev with the arrays (d->bind is not used), and store what it writes to them. d->variant
 * NULL means the first that accepts. With `repeat` above 0 it is run so often after that, and *seconds is the
 * shortest of these runs, as the host sees it; each finds the arrays as they were. Errors: ERROR_UNSUPPORTED where no
 * variant runs there, and what device calls return.
 */
kiln_status kiln_single_run(kiln_device *dev, const kiln_dispatch *d, const struct kiln_single *arrays,
                            int repeat, double *seconds);

#endif
