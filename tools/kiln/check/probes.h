/*
 * probes.h - what is true of a device as a whole, and of no operator: that training twice gives the same bits, that
 * memory does not grow, that submissions stay short. What its driver claims is tried by truths.h and recorder/truth.h.
 */
#ifndef KILN_TOOLS_CHECK_PROBES_H
#define KILN_TOOLS_CHECK_PROBES_H

#include "check/run.h"

struct check_probe_row {
    const char *name;
    /** Sets status and what. Errors: where it cannot be tried. */
    kiln_status (*run)(kiln_device *dev, struct check_probe *out);
};

/** Ended by {0}. */
extern const struct check_probe_row check_probes[];

#endif
