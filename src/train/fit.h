/*
 * fit.h - what the files of kiln_fit share: how training is meant to go, and how far it is.
 *
 *   fit.c         the loop
 *   checkpoint.c  all of `struct kiln_stand`, and the weights, to a file and back
 *   record.c      the readings: CSV and curves
 *   progress.c    the bar
 */
#ifndef KILN_TRAIN_FIT_H
#define KILN_TRAIN_FIT_H

#include <kiln/metrics.h>
#include <kiln/train.h>

#include "base/vec.h"
#include "train/feed.h"

enum { KILN_FIT_SCALARS = 16 };

/** Where training stands: what a checkpoint holds besides the weights. */
struct kiln_stand {
    int64_t epoch;            /* epochs done */
    int64_t step;             /* steps done */
    double seconds;           /* that they took, without what follows `began` */
    double best;              /* NaN before the first validation */
    int64_t stale;            /* epochs since then */
    kiln_dataset_place place; /* of the next batch */
    KILN_VEC(double) rows;    /* the readings, kiln_fit_columns() numbers each */
};

/** One call of kiln_fit. */
struct kiln_fit {
    kiln_program *learn;
    kiln_dataset *data;
    kiln_fit_params params; /* defaults filled in */
    struct kiln_feed feed;
    int64_t epoch_steps; /* batches of an epoch */

    int scalars;
    kiln_tensor scalar[KILN_FIT_SCALARS];
    const char *name[KILN_FIT_SCALARS];
    double newest[KILN_FIT_SCALARS];
    kiln_running_mean mean[KILN_FIT_SCALARS]; /* of this epoch's readings */
    char *validation_name;                    /* "validation accuracy"; NULL without */
    double validation;                        /* of the epoch that has ended */

    struct kiln_stand stand;
    double began;  /* when this call began */
    kiln_csv *csv; /* NULL: none */
    int csv_rows;  /* of the readings that it has */

    double epoch_began; /* where and when this call began the epoch */
    int64_t epoch_row;
    double speed; /* rows a second so far, in this epoch and call */

    bool terminal; /* draw a bar */
    double drawn;  /* when it was drawn last */
};

/** Seconds of training, all calls together. */
double kiln_fit_seconds(const struct kiln_fit *f);

/** Numbers of a reading: step, epoch, seconds, the scalars, validation; and what each is called. */
int kiln_fit_columns(const struct kiln_fit *f);
const char *kiln_fit_column(const struct kiln_fit *f, int column);

/* checkpoint.c */
kiln_status kiln_checkpoint_save(struct kiln_fit *f);
/** Go to where the checkpoint stands, if there is one. */
kiln_status kiln_checkpoint_resume(struct kiln_fit *f);

/* record.c */
kiln_status kiln_record_open(struct kiln_fit *f);
/** Note the newest values. */
kiln_status kiln_record_add(struct kiln_fit *f);
/** Note the validation of the epoch that has ended beside its last reading, write what is to be written, draw. */
kiln_status kiln_record_epoch(struct kiln_fit *f);
void kiln_record_close(struct kiln_fit *f);

/* progress.c */
void kiln_progress_begin(struct kiln_fit *f);
/** Draw the bar, if it is time. */
void kiln_progress_step(struct kiln_fit *f);
/** The line of an epoch that has ended. */
void kiln_progress_epoch(struct kiln_fit *f);
/** Leave the terminal as it was. */
void kiln_progress_end(struct kiln_fit *f);

#endif
