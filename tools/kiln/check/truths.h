/*
 * truths.h - what a driver claims and kiln itself does not yet rely on, tried by shaders that do nothing else.
 */
#ifndef KILN_TOOLS_CHECK_TRUTHS_H
#define KILN_TOOLS_CHECK_TRUTHS_H

#include "device/device.h"

struct check_truth {
    const char *name, *mask; /* in words; in a mask (kiln_caps_mask) */
    bool (*claimed)(const struct kiln_caps *caps);
    bool (*holds)(kiln_device *dev);
};

/** Ended by {0}. */
extern const struct check_truth check_truths[];

#endif
