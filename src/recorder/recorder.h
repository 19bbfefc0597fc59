/* recorder.h - a plan becomes a list of commands: barriers between waves, grids folded into the device's limits. */
#ifndef KILN_RECORDER_RECORDER_H
#define KILN_RECORDER_RECORDER_H

#include "compiler/plan.h"

/** Where an object lies: the index of its buffer in the list's table, and its offset there. */
typedef struct kiln_span kiln_locate_fn(void *user, const struct kiln_object *object);

struct kiln_record_params {
    const struct kiln_plan *plan;
    bool prologue;  /* the prologue's steps, else the body's */
    int first, end; /* of these alone; end 0: to the last */
    const char *name;
    kiln_locate_fn *locate;
    void *user;
    struct kiln_buffer **buffer; /* the list's table; a loan for as long as the list is used */
    const char *const *buffer_name;
    int buffer_count;
};

/** Write the list; its memory is arena's. Every list passes the hazard verifier before it is returned. */
kiln_status kiln_record(struct kiln_commands *out, struct kiln_arena *arena,
                        const struct kiln_record_params *params);

#endif
