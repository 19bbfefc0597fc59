/*
 * metrics.h - how well a network does: a confusion matrix and what follows from it, running means, a log of numbers.
 *
 * Counts are exact. Where a ratio would divide by zero (the precision of a class never guessed, the recall of one that never
 * occurs) it is 0, as scikit-learn has it.
 */
#ifndef KILN_METRICS_H
#define KILN_METRICS_H

#include <kiln/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Confusion matrix --------------------------------------------------------------------------------------- */

/** How often each class was taken for which. */
typedef struct kiln_confusion kiln_confusion;

/** An empty matrix of classes x classes. Errors: ERROR_ARGUMENT for less than 1 class or more than 65536. */
KILN_API kiln_status kiln_confusion_create(kiln_confusion **out, int classes);
KILN_API void kiln_confusion_destroy(kiln_confusion **c);

/** Forget all that was counted. */
KILN_API void kiln_confusion_reset(kiln_confusion *c);

/**
 * Count a batch.
 *
 * Of scores the largest is the guess, the first of equal ones; they may be probabilities or logits.
 *
 * Shape:   guess [N, C] of scores, real, or [N] of classes, integer; target [N] of classes, integer, or [N, C] with the
 *          largest value at the class (one-hot).
 * Errors:  ERROR_SHAPE, ERROR_TYPE; ERROR_ARGUMENT naming the row of a class outside 0..C-1 or a score that is no number.
 *          Nothing is counted then.
 */
KILN_API kiln_status kiln_confusion_add(kiln_confusion *c, const kiln_array *guess, const kiln_array *target);

/** The classes, the rows counted, and how many rows of class `target` were taken for class `guess`. */
KILN_API int kiln_confusion_classes(const kiln_confusion *c);
KILN_API uint64_t kiln_confusion_rows(const kiln_confusion *c);
KILN_API uint64_t kiln_confusion_count(const kiln_confusion *c, int target, int guess);

/** Rows guessed right / rows. */
KILN_API double kiln_confusion_accuracy(const kiln_confusion *c);

/**
 * Rows whose target is among the k largest scores / rows that came with scores. A score that equals the target's counts as
 * larger if its class comes first.
 */
KILN_API double kiln_confusion_top(const kiln_confusion *c, int k);

/** TP: rows of the class guessed so; FP: other rows guessed so; FN: rows of the class guessed otherwise. */
typedef struct kiln_score {
    double precision; /* TP / (TP + FP) */
    double recall;    /* TP / (TP + FN) */
    double f1;        /* 2 TP / (2 TP + FP + FN) */
    uint64_t support; /* TP + FN */
} kiln_score;

/** The score of one class. */
KILN_API kiln_score kiln_confusion_score(const kiln_confusion *c, int class_index);

typedef enum kiln_average {
    KILN_AVERAGE_MACRO, /* the mean over classes, each alike; classes neither seen nor guessed are left out */
    KILN_AVERAGE_MICRO, /* of TP, FP and FN summed over classes: with one class a row, the accuracy */
    KILN_AVERAGE_WEIGHTED, /* the mean over classes, weighted by support */
} kiln_average;

/** The score of all classes together; support is the number of rows. */
KILN_API kiln_score kiln_confusion_average(const kiln_confusion *c, kiln_average by);

/**
 * Print a table of scores, a line a class, and the averages; then the matrix, if it has at most 20 classes.
 * `names` of the classes may be NULL. `write` receives a line at a time, with its newline.
 */
KILN_API kiln_status kiln_confusion_print(const kiln_confusion *c, const char *const *names,
                                          void (*write)(void *user, const char *text), void *user);

/* Running mean ------------------------------------------------------------------------------------------- */

/** The mean of batches' means, weighted by their rows, so that a ragged last batch counts right. {0} is empty. */
typedef struct kiln_running_mean {
    double sum, error; /* of value * rows: the error is what rounding left out of the sum */
    double rows;
} kiln_running_mean;

/** Count a batch's mean. */
KILN_API void kiln_running_mean_add(kiln_running_mean *m, double value, double rows);

/** The mean so far; 0 if nothing was added. */
KILN_API double kiln_running_mean_value(const kiln_running_mean *m);

/* CSV log ------------------------------------------------------------------------------------------------ */

/** A table that grows by a line at a time: a header of names, then rows of numbers, the first of them a step. */
typedef struct kiln_csv kiln_csv;

typedef struct kiln_csv_params {
    bool resume;  /* go on with a file that is there; otherwise it is replaced */
    double after; /* resuming: rows of later steps, and a torn last line, are cut off */
} kiln_csv_params;

/**
 * Open a log of `count` columns. names[0] is the step's.
 *
 * Errors:  ERROR_FILE where it cannot be written, or, resuming, where the file's header has other names: both are named.
 */
KILN_API kiln_status kiln_csv_open(kiln_csv **out, const char *path, const char *const *names, int count,
                                   const kiln_csv_params *params);

/**
 * Append a row of as many values as there are names, each in the fewest digits that read back as it is. The system has the
 * row when this returns, so that a killed program loses none.
 */
KILN_API kiln_status kiln_csv_add(kiln_csv *csv, const double *values);
KILN_API void kiln_csv_close(kiln_csv **csv);

#ifdef __cplusplus
}
#endif
#endif
