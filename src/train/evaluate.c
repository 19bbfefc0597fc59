/* evaluate.c - kiln_evaluate: the mean of a scalar over a dataset. */
#include <math.h>

#include <kiln/metrics.h>
#include <kiln/train.h>

#include "base/log.h"
#include "train/feed.h"

enum { BATCH = 256 };

static kiln_status add_batch(const struct kiln_feed *feed, const kiln_batch *batch, kiln_tensor scalar,
                             kiln_running_mean *mean)
{
    double value;
    kiln_status status = kiln_feed_run(feed, batch);

    if (!status && !(status = kiln_feed_read(feed->program, scalar, &value)))
        kiln_running_mean_add(mean, value, (double)batch->rows);
    return status;
}

kiln_status kiln_evaluate(kiln_program *grade, kiln_dataset *data, kiln_tensor scalar, double *mean)
{
    struct kiln_feed feed;
    kiln_running_mean sum = {0};
    kiln_batch batch = {0};
    kiln_status status = kiln_feed_bind(&feed, grade, data);

    *mean = NAN;
    if (!status && !kiln_feed_is_scalar(grade, scalar))
        status = kiln_fail(KILN_ERROR_SHAPE, "evaluate: \"%s\" is no scalar",
                           kiln_program_tensor_name(grade, scalar));
    kiln_dataset_rewind(data);
    while (!status && !(status = kiln_dataset_next(data, BATCH, &batch)) && batch.rows > 0)
        status = add_batch(&feed, &batch, scalar, &sum);
    if (!status)
        *mean = kiln_running_mean_value(&sum);
    return status;
}
