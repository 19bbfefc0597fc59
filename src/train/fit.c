/*
 * fit.c - kiln_fit: epochs of batches, with validation, early stopping and checkpoints.
 *
 *   epoch:  step, step, ... -> validate -> record -> save the best -> checkpoint
 *
 * Only a reading waits for the device: between two of them steps are handed over as fast as batches are prepared.
 */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"
#include "train/fit.h"

double kiln_fit_seconds(const struct kiln_fit *f)
{
    return f->stand.seconds + kiln_seconds() - f->began;
}

int kiln_fit_columns(const struct kiln_fit *f)
{
    return 3 + f->scalars + (f->validation_name != NULL);
}

const char *kiln_fit_column(const struct kiln_fit *f, int column)
{
    static const char *const first[] = {"step", "epoch", "seconds"};
    if (column < 3)
        return first[column];
    return column < 3 + f->scalars ? f->name[column - 3] : f->validation_name;
}

/* Beginning ---------------------------------------------------------------------------------------------- */

static kiln_status check_params(const kiln_fit_params *p)
{
    if (p->epochs < 0 || p->steps < 0 || p->batch < 0 || p->patience < 0 || p->every < 0 || p->read_every < 0)
        return kiln_fail(KILN_ERROR_ARGUMENT, "fit: a count is negative");
    if ((p->validation != NULL) != (p->grade != NULL))
        return kiln_fail(KILN_ERROR_ARGUMENT, "fit: validation and grade go together, only %s is given",
                         p->grade ? "grade" : "validation");
    if (!p->validation && (p->patience || p->best))
        return kiln_fail(KILN_ERROR_ARGUMENT, "fit: %s needs validation", p->best ? "best" : "patience");
    if (!p->checkpoint && (p->every || p->resume))
        return kiln_fail(KILN_ERROR_ARGUMENT, "fit: %s needs checkpoint", p->resume ? "resume" : "every");
    return KILN_OK;
}

/* Fill in the defaults that depend on the data. */
static kiln_status settle(struct kiln_fit *f)
{
    kiln_fit_params *p = &f->params;
    const int64_t rows = kiln_dataset_rows(f->data);
    kiln_dataset_params how = kiln_dataset_get_params(f->data);

    p->batch = p->batch ? p->batch : 128;
    p->epochs = p->epochs ? p->epochs : p->steps ? INT64_MAX : 1;
    f->epoch_steps = how.drop_last ? rows / p->batch : (rows + p->batch - 1) / p->batch;
    if (f->epoch_steps == 0)
        return kiln_fail(KILN_ERROR_ARGUMENT, "fit: %lld rows make no batch of %lld", (long long)rows,
                         (long long)p->batch);
    if (!p->read_every)
        p->read_every = f->epoch_steps < 100 ? 1 : f->epoch_steps < 5000 ? f->epoch_steps / 100 : 50;
    if (p->in_order || how.shuffle)
        return KILN_OK;
    how.shuffle = true;
    return kiln_dataset_set_params(f->data, &how);
}

static void find_scalars(struct kiln_fit *f)
{
    for (int i = 0; i < kiln_program_result_count(f->learn) && f->scalars < KILN_FIT_SCALARS; i++) {
        const kiln_tensor t = kiln_program_result(f->learn, i);
        const char *name = kiln_program_tensor_name(f->learn, t);
        if (!name[0] || !kiln_feed_is_scalar(f->learn, t))
            continue;
        f->scalar[f->scalars] = t;
        f->newest[f->scalars] = NAN;
        f->name[f->scalars++] = name;
    }
}

static kiln_status find_watched(struct kiln_fit *f)
{
    kiln_fit_params *p = &f->params;
    struct kiln_text name = {0};

    if (!p->grade)
        return KILN_OK;
    if (!p->watch.id && kiln_program_result_count(p->grade) > 0)
        p->watch = kiln_program_result(p->grade, 0);
    if (!p->watch.id)
        return kiln_fail(KILN_ERROR_ARGUMENT, "fit: grade has no result to watch");
    kiln_text_add(&name, "validation %s", kiln_program_tensor_name(p->grade, p->watch));
    f->validation_name = name.data; /* ours from now on */
    return name.failed ? kiln_fail(KILN_ERROR_MEMORY, "fit: no memory for a name") : KILN_OK;
}

static kiln_status begin(struct kiln_fit *f)
{
    kiln_status status;

    f->began = kiln_seconds();
    f->stand.best = f->validation = NAN;
    if ((status = check_params(&f->params)) || (status = kiln_feed_bind(&f->feed, f->learn, f->data)) ||
        (status = settle(f)) || (status = find_watched(f)))
        return status;
    find_scalars(f);
    f->stand.place = kiln_dataset_position(f->data);
    if (f->params.resume && (status = kiln_checkpoint_resume(f)))
        return status;
    if ((status = kiln_record_open(f)))
        return status;
    kiln_progress_begin(f);
    return KILN_OK;
}

static void finish(struct kiln_fit *f)
{
    kiln_progress_end(f);
    kiln_record_close(f);
    kiln_vec_finish(&f->stand.rows);
    free(f->validation_name);
}

/* Steps -------------------------------------------------------------------------------------------------- */

static bool is_out_of_steps(const struct kiln_fit *f)
{
    return f->params.steps && f->stand.step >= f->params.steps;
}

/* Let the caller know; false ends training. */
static bool call(const struct kiln_fit *f, bool epoch_ended)
{
    double mean[KILN_FIT_SCALARS];

    if (!f->params.call)
        return true;
    for (int i = 0; i < f->scalars; i++)
        mean[i] = kiln_running_mean_value(&f->mean[i]);
    return f->params.call(f->params.user, &(kiln_fit_info){
                                              .epoch = f->stand.epoch + !epoch_ended,
                                              .step = f->stand.step,
                                              .epoch_ended = epoch_ended,
                                              .seconds = kiln_fit_seconds(f),
                                              .count = f->scalars,
                                              .name = f->name,
                                              .value = epoch_ended ? mean : f->newest,
                                              .validation = f->validation,
                                              .best = f->stand.best,
                                          });
}

/* Read the scalars of the step just done. */
static kiln_status read_scalars(struct kiln_fit *f, int64_t rows)
{
    for (int i = 0; i < f->scalars; i++) {
        const kiln_status status = kiln_feed_read(f->learn, f->scalar[i], &f->newest[i]);
        if (status)
            return status;
        kiln_running_mean_add(&f->mean[i], f->newest[i], (double)rows);
    }
    return kiln_record_add(f);
}

static kiln_status step(struct kiln_fit *f, const kiln_batch *batch)
{
    const kiln_fit_params *p = &f->params;
    kiln_status status = kiln_feed_run(&f->feed, batch);
    bool last, go_on = true;

    if (status)
        return status;
    f->stand.step++;
    f->stand.place = kiln_dataset_position(f->data);
    f->speed = (double)(f->stand.place.row - f->epoch_row) / (kiln_seconds() - f->epoch_began + 1e-9);
    last = is_out_of_steps(f) || (f->stand.place.row + p->batch - 1) / p->batch >= f->epoch_steps;
    if (last || f->stand.step % p->read_every == 0) {
        if ((status = read_scalars(f, batch->rows)))
            return status;
        go_on = call(f, false);
    }
    kiln_progress_step(f);
    if (!go_on || (p->every && f->stand.step % p->every == 0))
        status = kiln_checkpoint_save(f);
    return status || go_on ? status : KILN_ERROR_STOPPED;
}

/* Epochs ------------------------------------------------------------------------------------------------- */

static bool is_better(const struct kiln_fit *f)
{
    if (isnan(f->stand.best))
        return !isnan(f->validation);
    return f->params.lower ? f->validation < f->stand.best : f->validation > f->stand.best;
}

static kiln_status validate(struct kiln_fit *f)
{
    const kiln_fit_params *p = &f->params;
    kiln_status status;

    if (!p->validation)
        return KILN_OK;
    if ((status = kiln_evaluate(p->grade, p->validation, p->watch, &f->validation)))
        return status;
    f->stand.stale++;
    if (!is_better(f))
        return KILN_OK;
    f->stand.best = f->validation;
    f->stand.stale = 0;
    return p->best ? kiln_weights_save(kiln_program_weights(f->learn), p->best) : KILN_OK;
}

static kiln_status end_epoch(struct kiln_fit *f)
{
    kiln_status status = validate(f);
    bool go_on;

    if (status)
        return status;
    f->stand.place = kiln_dataset_position(f->data);
    f->stand.epoch++;
    if ((status = kiln_record_epoch(f)))
        return status;
    kiln_progress_epoch(f);
    go_on = call(f, true);
    if ((status = kiln_checkpoint_save(f)))
        return status;
    return go_on ? KILN_OK : KILN_ERROR_STOPPED;
}

static kiln_status run_epoch(struct kiln_fit *f)
{
    kiln_batch batch;
    kiln_status status = KILN_OK;

    for (int i = 0; i < f->scalars; i++)
        f->mean[i] = (kiln_running_mean){0};
    f->validation = NAN;
    f->epoch_row = f->stand.place.row;
    f->epoch_began = kiln_seconds();
    while (!status && !is_out_of_steps(f)) {
        status = kiln_dataset_next(f->data, f->params.batch, &batch);
        if (!status && batch.rows == 0)
            break;
        if (!status)
            status = step(f, &batch);
    }
    return status ? status : end_epoch(f);
}

static bool is_over(const struct kiln_fit *f)
{
    return f->stand.epoch >= f->params.epochs || is_out_of_steps(f) ||
           (f->params.patience && f->stand.stale >= f->params.patience);
}

kiln_status kiln_fit(kiln_program *learn, kiln_dataset *data, const kiln_fit_params *params)
{
    struct kiln_fit f = {.learn = learn, .data = data, .params = params ? *params : (kiln_fit_params){0}};
    kiln_status status = begin(&f);

    while (!status && !is_over(&f))
        status = run_epoch(&f);
    finish(&f);
    return status;
}
