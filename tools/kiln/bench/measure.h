/* measure.h - how long a row takes, and what its plan needs. */
#ifndef KILN_TOOLS_BENCH_MEASURE_H
#define KILN_TOOLS_BENCH_MEASURE_H

#include "row.h"

/** What is measured on. */
struct bench {
    kiln_device *dev;
    int64_t repeat;           /* samples a row */
    bool processor;           /* time by the processor time of all of the process's threads */
    bool profile;             /* print what each command took, before the row */
    kiln_tuned tuned;         /* of the rows' programs */
    kiln_precision precision; /* likewise */
    bool recompute;           /* likewise */
    int measured;             /* rows so far */
    double fma, bandwidth;    /* the device's best so far, per second; 0: not measured */
};

struct bench_result {
    const char *device;         /* that ran it; a loan of the bench's device */
    double median, best;        /* seconds of a run */
    double processor;           /* seconds of all of the process's threads, the mean */
    double flops, bytes;        /* of a run; 0: not what the row is about */
    double share;               /* of the device's best, by the best sample; 0: unknown */
    kiln_program_memory memory; /* of the plan */
    double peak_mib;            /* of the process, beyond what it held before the row; 0: not its first row */
    int commands;               /* that a run replays, but for copies of inputs and results */
};

/** Whether the device can run a row at all: half precision is not everywhere. */
bool bench_runs(const struct bench *b, const struct bench_row *row);

/** A row's graph and weights. */
struct bench_open_row {
    const struct bench_row *row;
    struct bench_work work;
    kiln_weights *weights;
    kiln_device *null; /* of a replay */
};

/** Build a row for a device; in float16 steps of training scale their loss. Owns: bench_close, also after a failure. */
kiln_status bench_open(struct bench_open_row *o, kiln_device *dev, const struct bench_row *row,
                       kiln_precision precision);
void bench_close(struct bench_open_row *o);

/** A program of an open row, given its inputs; params.run and params.train are the row's. */
kiln_status bench_program(const struct bench_open_row *o, kiln_program_params params, kiln_program **out);

/** The middle of some samples, which it sorts. */
double bench_median(double *sample, size_t count);

/** Build, run and time a row; one that measures the device raises b->fma or b->bandwidth. */
kiln_status bench_measure(struct bench *b, const struct bench_row *row, struct bench_result *out);

#endif
