/* feed.h - a program fed by a dataset: its inputs take the columns of the same name. */
#ifndef KILN_TRAIN_FEED_H
#define KILN_TRAIN_FEED_H

#include <kiln/data.h>
#include <kiln/program.h>

struct kiln_feed {
    kiln_program *program;
    int count;
    kiln_tensor input[KILN_MAX_COLUMNS];
    int column[KILN_MAX_COLUMNS];
};

/** Find the column of each input. Errors: ERROR_ARGUMENT naming an input without one, and the columns that there are. */
kiln_status kiln_feed_bind(struct kiln_feed *f, kiln_program *program, const kiln_dataset *data);

/** Write a batch; and run. */
kiln_status kiln_feed_write(const struct kiln_feed *f, const kiln_batch *batch);
kiln_status kiln_feed_run(const struct kiln_feed *f, const kiln_batch *batch);

/** Whether a result of the program holds one number. */
bool kiln_feed_is_scalar(const kiln_program *program, kiln_tensor t);

/** Read such a result, of any type, from the last run. */
kiln_status kiln_feed_read(kiln_program *program, kiln_tensor t, double *value);

#endif
