/*
 * tune.h - let a device say which of several ways to compute the same is the fastest on it.
 *
 * A kernel has variants, and an operator may have several lowerings to kernels (extend.h). Without a tuner the first is taken that
 * is likely the fastest on such a device. A tuner runs those that accept on the program's own memory, one step of its plan at a
 * time, and remembers for each class of sizes which was the fastest: in the device, and in a file of the cache folder
 * (kiln_device_params.cache), by device and driver. kiln_program_params.tuned says which programs use what is remembered.
 */
#ifndef KILN_TUNE_H
#define KILN_TUNE_H

#include <kiln/program.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What was found for a class of sizes. Texts are loans for the call. */
typedef struct kiln_tune_result {
    const char *op, *node; /* the first node of the class */
    const char *kernel;    /* whose variants were tried; "": the operator's lowerings were */
    const char *usual;     /* what is taken without a tuner ... */
    const char *best;      /* ... and what was the fastest; the same where no other won by more than 3 % */
    double usual_seconds, best_seconds; /* the shortest of some runs */
    int count;                          /* dispatches, or nodes, of this class in the program */
    int tried;                          /* ways, the usual one among them */
    int wrong; /* of these, how many gave another result than the usual one: they are never chosen */
} kiln_tune_result;

typedef struct kiln_tune_params {
    /* seconds in all, compiling and running; the try that is under way then ends first. 0 means 60 */
    double budget;
    bool again;  /* try what is remembered already, too */
    bool forget; /* keep what is found in the device alone: no file is written */
    /* for each class, as soon as it is decided; may be NULL */
    void (*call)(void *user, const kiln_tune_result *found);
    void *user;
} kiln_tune_params;

typedef struct kiln_tune_report {
    int known;   /* classes of which a choice was remembered, and that were not tried */
    int tried;   /* classes that were tried ... */
    int changed; /* ... and of which another way than the usual one won */
    int left;    /* classes for which there was no time */
    int wrong;   /* ways whose results were off: each is a fault of a driver or of kiln, and has a warning */
    double seconds; /* that it took */
    double saved;   /* seconds of a run of the program, by what was measured step by step */
} kiln_tune_report;

/**
 * Tune what the program would run for the inputs that it was given last.
 *
 * The plan is run in part, some steps several times; what writes to weights, session or an application's buffers is left out, so
 * these stay as they are. From then on the program uses what is remembered, whatever its params say, and its next run plans anew.
 * A choice is a variant or a lowering that accepts this very work, and whose result agreed with the usual one's on it.
 *
 * Errors:  ERROR_ARGUMENT naming an input that was never written, or for a program that gives up its weights or runs in float64;
 *          ERROR_FILE where the choices cannot be kept (the program uses them all the same); those of a run.
 */
KILN_API kiln_status kiln_program_tune(kiln_program *p, const kiln_tune_params *params,
                                       kiln_tune_report *report);

/**
 * The choices that the program looks into, as text: lines that kiln_program_choose takes; "" where it looks into none. Bits of a
 * result are the same on the same device where these are: a checkpoint carries them (train.h).
 *
 * Owns: free it. NULL, and a line: no memory.
 */
KILN_API char *kiln_program_choices(const kiln_program *p);

/**
 * Use these choices from now on, and no others; the next run plans anew. Those that name what there is not, or what does not accept
 * the work, are passed over.
 * Errors: ERROR_ARGUMENT for what is no such text.
 */
KILN_API kiln_status kiln_program_choose(kiln_program *p, const char *choices);

#ifdef __cplusplus
}
#endif
#endif
