/*
 * run.h - a model while `kiln run` runs it.
 *
 *   cmd_run.c      options, running, latency
 *   run_inputs.c   pictures, arrays, made-up values -> inputs
 *   run_report.c   classes, outputs, times -> text, JSON, files
 *   run_check.c    outputs against the CPU's float64
 *   run_trace.c    the last run's commands -> a trace for Perfetto
 */
#ifndef KILN_TOOLS_RUN_H
#define KILN_TOOLS_RUN_H

#include <kiln/kiln.h>

#include "args.h"
#include "arrays.h"
#include "presets.h"

struct run_options {
    const char *model, *labels, *device, *layout, *precision, *profile;
    struct picture_options picture;
    struct args_list image, input, output, size;
    int64_t top, repeat, most_steps, most_size;
    uint64_t seed;
    double tolerance;
    bool random, check, json;
};

struct run {
    const struct run_options *o;
    struct arrays arrays;
    kiln_graph *g;
    kiln_weights *weights;
    kiln_device *dev;
    kiln_program *program;
    kiln_program *reference; /* with check: in float64 on the CPU, fed with the same */
    kiln_device *cpu;
    kiln_array *result; /* an array an output of the graph */
    int results;
    struct run_check {
        double error, largest,
            bound; /* of an output: the largest difference, the largest value, what is allowed */
        bool fits; /* within it, and of the same shape */
    } * check;     /* an item a result */
    /* in seconds: reading the model, the run that plans and compiles, and of those after it the middle, the least and the last */
    double load, first, median, least, last;
};

/** Log a line of the command's; returns KILN_ERROR_ARGUMENT. */
kiln_status run_wrong(const char *format, ...) KILN_FORMAT(1, 2);

/** Give every input its values. */
kiln_status run_write_inputs(struct run *r);

/** Say all that came of it, and write what files are asked for. */
kiln_status run_report(const struct run *r);

/** Compare r->result with what the reference gives; r->check says what came of it. */
kiln_status run_compare(struct run *r);
/** Whether every output fits. */
bool run_fits(const struct run *r);

/** Write the last run's commands to r->o->profile. */
kiln_status run_write_trace(const struct run *r);

#endif
