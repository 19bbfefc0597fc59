/*
 * record.c - the readings of kiln_fit: kept for the curves and the checkpoint, written as CSV, drawn.
 *
 * The last reading of an epoch waits for its validation before it is written.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/draw.h>

#include "base/log.h"
#include "train/fit.h"

enum { FIRST = 3 }; /* the scalars come after step, epoch and seconds */

static int rows_of(const struct kiln_fit *f)
{
    return f->stand.rows.count / kiln_fit_columns(f);
}

/* Write the readings that the file lacks. */
static kiln_status write_csv(struct kiln_fit *f)
{
    kiln_status status = KILN_OK;

    for (; f->csv && f->csv_rows < rows_of(f) && !status; f->csv_rows++)
        status = kiln_csv_add(f->csv, &f->stand.rows.data[f->csv_rows * kiln_fit_columns(f)]);
    return status;
}

/* Curves ------------------------------------------------------------------------------------------------- */

/* Losses go down and have a scale of their own; what else there is, as accuracies, goes by the axis on the right. */
static bool is_loss(const char *name)
{
    return strstr(name, "loss") || strstr(name, "error");
}

/* A factor of the loss is a setting that goes by powers of two: on no axis of the others. */
static bool is_drawn(const char *name)
{
    return !strstr(name, "scale");
}

/* The points of a column that are numbers, stored at x and y. */
static kiln_series series_of(const struct kiln_fit *f, int column, double *x, double *y)
{
    const int columns = kiln_fit_columns(f);
    kiln_series s = {.name = kiln_fit_column(f, column), .x = x, .y = y};

    s.second = !is_loss(s.name);
    for (int row = 0; row < rows_of(f); row++) {
        const double *values = &f->stand.rows.data[row * columns];
        if (isnan(values[column]))
            continue;
        x[s.count] = values[0];
        y[s.count++] = values[column];
    }
    return s;
}

static kiln_status draw(const struct kiln_fit *f, double *points)
{
    const int rows = rows_of(f);
    kiln_series series[KILN_FIT_SCALARS + 1];
    kiln_curves_params how = {.title = "Training", .x_label = "step", .log = true};
    int count = 0, losses = 0;

    for (int c = FIRST; c < kiln_fit_columns(f); c++, points += 2 * rows) {
        if (!is_drawn(kiln_fit_column(f, c)))
            continue;
        series[count] = series_of(f, c, points, points + rows);
        losses += !series[count].second;
        count += series[count].count > 0;
    }
    for (int i = 0; i < count; i++)
        series[i].second = series[i].second && losses > 0;
    how.y_label = losses > 0 ? "loss" : NULL;
    for (int i = count - 1; i >= 0; i--)
        if (series[i].second)
            how.second_label = series[i].name;
    how.log = losses > 0;
    return count > 0 ? kiln_draw_curves(f->params.curves, series, count, &how) : KILN_OK;
}

static kiln_status draw_curves(const struct kiln_fit *f)
{
    double *points;
    kiln_status status;

    if (!f->params.curves || f->stand.rows.count == 0)
        return KILN_OK;
    points = calloc(2 * (size_t)f->stand.rows.count, sizeof *points);
    if (!points)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for the curves", f->params.curves);
    status = draw(f, points);
    free(points);
    return status;
}

/* Readings ----------------------------------------------------------------------------------------------- */

kiln_status kiln_record_open(struct kiln_fit *f)
{
    const char *names[KILN_FIT_SCALARS + 4];
    const bool resumed = f->params.resume && f->stand.step > 0;

    if (!f->params.csv)
        return KILN_OK;
    for (int i = 0; i < kiln_fit_columns(f); i++)
        names[i] = kiln_fit_column(f, i);
    f->csv_rows = resumed ? rows_of(f) : 0;
    return kiln_csv_open(&f->csv, f->params.csv, names, kiln_fit_columns(f),
                         &(kiln_csv_params){.resume = resumed, .after = (double)f->stand.step});
}

kiln_status kiln_record_add(struct kiln_fit *f)
{
    const double first[FIRST] = {(double)f->stand.step, (double)(f->stand.epoch + 1),
                                 round(kiln_fit_seconds(f) * 1e3) / 1e3};
    kiln_status status = write_csv(f);
    bool kept = true;

    if (status)
        return status;
    for (int i = 0; i < kiln_fit_columns(f); i++) {
        const double value = i < FIRST ? first[i] : i < FIRST + f->scalars ? f->newest[i - FIRST] : NAN;
        kept = kept && kiln_vec_push(&f->stand.rows, value);
    }
    return kept ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "fit: no memory to keep a reading");
}

kiln_status kiln_record_epoch(struct kiln_fit *f)
{
    if (f->validation_name && f->stand.rows.count > 0)
        f->stand.rows.data[f->stand.rows.count - 1] = f->validation;
    const kiln_status status = write_csv(f);
    return status ? status : draw_curves(f);
}

void kiln_record_close(struct kiln_fit *f)
{
    kiln_csv_close(&f->csv);
}
