/*
 * order.c - the order of an epoch's rows: shuffled, and brought together by length.
 *
 * By length: the (shuffled) rows are cut into pools of some batches each, a pool is sorted by length, and the full batches come in
 * random order. So a batch's rows are about equally long, and what is beside what is still new in every epoch.
 */
#include "data/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"

/* A row that is sorted: the lengths of its columns, one behind the other, then its place. */
struct sorted {
    uint32_t length[2], place, row;
};

static int by_length(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;

    for (int i = 0; i < 2; i++)
        if (x->length[i] != y->length[i])
            return x->length[i] < y->length[i] ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* The lengths of a row's first two ragged columns. */
static void measure(const kiln_dataset *ds, struct sorted *s)
{
    const struct kiln_source *source = ds->source;
    int found = 0;

    for (int c = 0; c < source->columns && found < 2; c++)
        if (kiln_source_is_ragged(source, c)) {
            const int64_t length = source->ops->length(source, kiln_dataset_source_row(ds, s->row), c);
            s->length[found++] = length < UINT32_MAX ? (uint32_t)length : UINT32_MAX;
        }
}

static void sort_pool(const kiln_dataset *ds, uint32_t *rows, size_t count, struct sorted *work)
{
    for (size_t i = 0; i < count; i++) {
        work[i] = (struct sorted){.place = (uint32_t)i, .row = rows[i]};
        measure(ds, &work[i]);
    }
    qsort(work, count, sizeof *work, by_length);
    for (size_t i = 0; i < count; i++)
        rows[i] = work[i].row;
}

/* Put the full batches in random order; what is left of the last one stays at the end. */
static kiln_status shuffle_batches(uint32_t *rows, size_t count, size_t batch, struct kiln_rng *rng)
{
    const size_t batches = count / batch;
    uint32_t *order = malloc((batches + 1) * sizeof *order), *copy = malloc(count * sizeof *copy);
    kiln_status status =
        order && copy ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory for an order");

    for (size_t i = 0; !status && i < batches; i++)
        order[i] = (uint32_t)i;
    if (!status) {
        kiln_rng_shuffle(rng, order, batches);
        memcpy(copy, rows, count * sizeof *copy);
        for (size_t i = 0; i < batches; i++)
            memcpy(rows + i * batch, copy + order[i] * batch, batch * sizeof *rows);
    }
    free(order);
    free(copy);
    return status;
}

static kiln_status bucket(struct kiln_order *o, const kiln_dataset *ds, struct kiln_rng *rng)
{
    const size_t rows = (size_t)ds->rows, batch = (size_t)o->batch;
    const size_t most = rows / batch + 1, pools = (size_t)o->params.by_length;
    const size_t pool = batch * (pools < most ? pools : most);
    struct sorted *work = malloc((pool < rows ? pool : rows) * sizeof *work);

    if (!work)
        return kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory to sort %zu rows by length", pool);
    for (size_t first = 0; first < rows; first += pool)
        sort_pool(ds, o->rows + first, rows - first < pool ? rows - first : pool, work);
    free(work);
    return o->params.shuffle ? shuffle_batches(o->rows, rows, batch, rng) : KILN_OK;
}

static bool is_made(const struct kiln_order *o, const kiln_dataset_params *p, int64_t epoch, int64_t batch)
{
    return o->rows && o->params.shuffle == p->shuffle && o->params.seed == p->seed &&
           o->params.by_length == p->by_length && o->epoch == epoch &&
           (o->batch == batch || p->by_length == 0);
}

kiln_status kiln_order_make(struct kiln_order *o, const kiln_dataset *ds, const kiln_dataset_params *params,
                            int64_t epoch, int64_t batch)
{
    const size_t rows = (size_t)ds->rows;
    struct kiln_rng rng;

    if (is_made(o, params, epoch, batch))
        return KILN_OK;
    free(o->rows);
    *o = (struct kiln_order){
        .rows = malloc(rows * sizeof *o->rows), .params = *params, .epoch = epoch, .batch = batch};
    if (!o->rows)
        return kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory to shuffle %zu rows", rows);
    for (size_t i = 0; i < rows; i++)
        o->rows[i] = (uint32_t)i;
    kiln_rng_init(&rng, params->seed, kiln_rng_stream("shuffle") + (uint64_t)epoch);
    if (params->shuffle)
        kiln_rng_shuffle(&rng, o->rows, rows);
    if (params->by_length > 0 && bucket(o, ds, &rng)) {
        free(o->rows);
        *o = (struct kiln_order){0};
        return KILN_ERROR_MEMORY;
    }
    return KILN_OK;
}
