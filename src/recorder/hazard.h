/* hazard.h - proves that a command list has the barriers it needs. */
#ifndef KILN_RECORDER_HAZARD_H
#define KILN_RECORDER_HAZARD_H

#include "device/commands.h"

/**
 * Whether every two commands that touch the same bytes, one of them writing, have a barrier between them.
 *
 * What a dispatch reads and writes is what its contract says; its scratch is both. Commands that run parts of
 * one dispatch (the same kiln_dispatch, cut by groups) count as one.
 *
 * Errors: ERROR_DEVICE naming the two commands and the bytes; ERROR_MEMORY.
 */
kiln_status kiln_hazard_check(const struct kiln_commands *list);

#endif
