/*
 * tune.h - kiln_program_tune from inside: a plan's steps one by one (tune_step.c), and what is tried of them (tune.c).
 */
#ifndef KILN_PROGRAM_TUNE_H
#define KILN_PROGRAM_TUNE_H

#include <kiln/tune.h>

#include "program/program.h"

/** One way to run a step, and how it did. */
struct kiln_try {
    const kiln_variant *variant;
    double seconds; /* the shortest run */
    bool wrong;     /* its result is not the first's */
    bool refused;   /* the device does not take it after all */
    struct kiln_baked *work;
    int commands;
};

enum { KILN_MOST_TRIES = 24 };

/** Tests put a clock of their own in the place of time: the seconds of one way of a kernel or an operator. */
typedef double kiln_tune_clock(void *user, const char *of, const char *way);

/** A walk through a plan. */
struct kiln_walk_steps {
    kiln_program *p;
    struct kiln_ready *ready;
    kiln_tune_clock *clock; /* NULL: the device's */
    void *clock_user;
    double deadline; /* on the clock of kiln_seconds */
};

/** Run steps [first, end) of the plan's body by themselves, and wait: seconds receives what their commands took; NULL: never mind. */
kiln_status kiln_steps_run(struct kiln_walk_steps *w, int first, int end, double *seconds);

/**
 * Run one dispatch in each of these ways, of which the first is the usual one, for at most `slice` seconds apart from two runs of
 * each. What it wrote is afterwards what the first way wrote, or, where that outlives a run, as it was. A way for which no time is left has an
 * infinite time.
 */
kiln_status kiln_step_try(struct kiln_walk_steps *w, int step, struct kiln_try *tries, int count,
                          double slice);

/** Whether one of the steps [first, end) writes to what outlives a run. */
bool kiln_steps_last(const struct kiln_plan *plan, int first, int end);
/** Behind the region that begins with this step; behind the step itself where none does. */
int kiln_steps_behind(const struct kiln_plan *plan, int first);

/** Copy a value that the plan has just computed, as it is stored: so many elements of this type. Owns: free *out. */
kiln_status kiln_value_take(const struct kiln_walk_steps *w, kiln_tensor t, void **out, size_t *count,
                            kiln_type *type);

/** The largest finite number of so many, without its sign; 0 for what is not real. */
double kiln_values_largest(const void *values, size_t count, kiln_type type);
/** Whether `got` and `want` are nowhere further apart; what is not real, bit for bit the same. */
bool kiln_values_agree(const void *got, const void *want, size_t count, kiln_type type, double apart);

/** kiln_program_tune with a clock. */
kiln_status kiln_program_tune_by(kiln_program *p, const kiln_tune_params *params, kiln_tune_report *report,
                                 kiln_tune_clock *clock, void *clock_user);

#endif
