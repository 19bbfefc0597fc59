/*
 * record.c - the readings of kiln_fit: kept for the curves and the checkpoint, written as CSV.
 *
 * The last reading of an epoch waits for its validation before it is written.
 */
#include <math.h>

#include "base/log.h"
#include "train/fit.h"

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
    const double first[] = {(double)f->stand.step, (double)(f->stand.epoch + 1), kiln_fit_seconds(f)};
    kiln_status status = write_csv(f);
    bool kept = true;

    if (status)
        return status;
    for (int i = 0; i < kiln_fit_columns(f); i++) {
        const double value = i < 3 ? first[i] : i < 3 + f->scalars ? f->newest[i - 3] : NAN;
        kept = kept && kiln_vec_push(&f->stand.rows, value);
    }
    return kept ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "fit: no memory to keep a reading");
}

kiln_status kiln_record_epoch(struct kiln_fit *f)
{
    if (f->validation_name && f->stand.rows.count > 0)
        f->stand.rows.data[f->stand.rows.count - 1] = f->validation;
    return write_csv(f);
}

void kiln_record_close(struct kiln_fit *f)
{
    kiln_csv_close(&f->csv);
}
