/*
 * truth.h - what a driver claims is tried before it is trusted. Some claim what they do wrongly, and some do it wrongly only now
 * and then, so a test runs several times; where one fails, the device goes without the feature, with one warning.
 */
#ifndef KILN_RECORDER_TRUTH_H
#define KILN_RECORDER_TRUTH_H

#include "device/device.h"

/** A claim and its test. */
struct kiln_truth {
    const char *what, *mask; /* in words; in a mask (kiln_caps_mask) */
    size_t at;               /* of a bool in the caps */
    uint32_t types;          /* bits of those that call for it */
    bool (*holds)(kiln_device *dev);
};

/** What the library itself relies on where it is claimed; ended by {0}. */
extern const struct kiln_truth kiln_truths[];

/** Whether matmul's variants of a tile multiply halves exactly, in all layouts; those that do not accept are not asked. */
bool kiln_truth_multiplies(kiln_device *dev, const char *tile);

/**
 * Try the features that the device claims, that values of these types (bits of kiln_type) call for, and that were not tried yet:
 * the caps of what fails are cleared. To be called before the caps are asked for them. Threads: any.
 */
void kiln_truth_try(kiln_device *dev, uint32_t types);

#endif
