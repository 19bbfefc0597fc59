/*
 * loader.c - prepares batches on a thread of its own, two ahead of the reader.
 *
 * Three slots in a ring:  lent | ready | ready.  The thread fills the slot behind the ready ones while there are fewer
 * than two, so it never touches the one that the reader holds.
 *
 * Where rows take long, a pool of threads shares those of a slot, each row by itself: what comes does not depend on how many they are.
 *
 * A job says what to put into a slot: place, size, params. The thread takes the next job under the lock, fills the slot
 * without it, and publishes the slot under it again. When the reader turns elsewhere (another batch size, a seek, other
 * params, the end), the round grows: the thread sees that between two rows and drops what it was at.
 */
#include "data/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "base/threads.h"
#include "data/augment.h"
#include "data/order.h"

enum {
    SLOTS = 3,
    AHEAD = 2,
    USUAL = 8
}; /* threads that share a batch, at the most, unless more are asked for */

struct slot {
    kiln_batch batch; /* its arrays are the memory below */
    size_t room[KILN_MAX_COLUMNS];
    kiln_dataset_place after; /* where the reader stands once it has this */
    kiln_status status;
};

struct job {
    kiln_dataset_place place;
    int64_t rows; /* of a full batch */
    kiln_dataset_params params;
    unsigned round;
};

struct kiln_loader {
    const kiln_dataset *ds;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wanted, filled;

    struct slot slots[SLOTS];
    int first, ready; /* slots first .. first + ready - 1, around the ring, are ready */
    struct job next;  /* what to prepare next; rows is 0 until the reader has asked */
    bool stale;       /* what the reader wants is not what is being prepared */
    bool stopping;
    atomic_uint round;       /* changes under the lock; looked at without it by a thread that is filling */
    struct kiln_order order; /* the thread's */
    struct kiln_pool *pool;  /* the thread's: it and others that share a batch; NULL: alone */
};

/* The thread: filling a slot ----------------------------------------------------------------------------- */

/* Whether rows are taken in an order of their own. */
static bool is_ordered(const struct job *job)
{
    return job->params.shuffle || job->params.by_length > 0;
}

/* The source's row that is row i of a batch. */
static int64_t row_at(const struct kiln_loader *l, const struct job *job, int64_t i)
{
    const int64_t at = job->place.row + i;

    return kiln_dataset_source_row(l->ds, is_ordered(job) ? l->order.rows[at] : at);
}

/* The length of a ragged column's longest item among so many rows, or the next multiple that the source wants. */
static int64_t longest(const struct kiln_loader *l, const struct job *job, int64_t rows, int column)
{
    const struct kiln_source *source = l->ds->source;
    int64_t most = 0;

    for (int64_t i = 0; i < rows; i++) {
        const int64_t length = source->ops->length(source, row_at(l, job, i), column);
        most = length > most ? length : most;
    }
    const int64_t multiple = source->multiple[column] > 1 ? source->multiple[column] : 1;
    return (most + multiple - 1) / multiple * multiple;
}

/* The batch's arrays as of so many rows. */
static kiln_status describe(struct kiln_loader *l, const struct job *job, kiln_batch *batch, int64_t rows)
{
    const struct kiln_source *source = l->ds->source;

    batch->rows = rows;
    batch->columns = source->columns;
    for (int c = 0; c < source->columns; c++) {
        const kiln_column *column = &source->column[c];
        kiln_array *a = &batch->column[c];
        size_t count;

        batch->name[c] = column->name;
        a->type = column->type;
        a->shape.rank = column->shape.rank + 1;
        a->shape.size[0] = rows;
        memcpy(a->shape.size + 1, column->shape.size, (size_t)column->shape.rank * sizeof *a->shape.size);
        if (kiln_source_is_ragged(source, c))
            a->shape.size[1] = longest(l, job, rows, c);
        count = kiln_shape_count(&a->shape) < 0 ? SIZE_MAX : (size_t)kiln_shape_count(&a->shape);
        if (!kiln_size_mul(count, kiln_type_size(a->type), &a->bytes))
            return kiln_fail(KILN_ERROR_MEMORY,
                             "dataset: a batch of %lld rows of \"%s\" is beyond all memory", (long long)rows,
                             column->name);
    }
    return KILN_OK;
}

static kiln_status reserve(struct slot *slot)
{
    for (int c = 0; c < slot->batch.columns; c++) {
        const size_t bytes = slot->batch.column[c].bytes;
        if (bytes <= slot->room[c])
            continue;
        free(slot->batch.column[c].data);
        slot->room[c] = 0;
        if (!(slot->batch.column[c].data = malloc(bytes)))
            return kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory for %lld rows of \"%s\", %zu bytes",
                             (long long)slot->batch.rows, slot->batch.name[c], bytes);
        slot->room[c] = bytes;
    }
    return KILN_OK;
}

/* Fill up what is behind the end of a row's ragged items. */
static void fill_up(const struct kiln_source *source, const kiln_batch *batch, int64_t row,
                    void *const *items)
{
    for (int c = 0; c < source->columns; c++) {
        if (!kiln_source_is_ragged(source, c))
            continue;
        for (int64_t i = source->ops->length(source, row, c); i < batch->column[c].shape.size[1]; i++)
            ((int32_t *)items[c])[i] = source->fill[c];
    }
}

static kiln_status read_row(const struct kiln_source *source, const struct kiln_draw *draw, int64_t row,
                            void *const *items)
{
    const struct kiln_warp warp = kiln_warp_draw(draw->augment, draw->seed, draw->epoch, row);

    for (int c = 0; c < source->columns; c++) {
        const kiln_status status = source->ops->read(source, row, c, items[c]);
        if (status)
            return status;
        kiln_warp_apply(&warp, &source->column[c], items[c]);
    }
    return KILN_OK;
}

static kiln_status fill_row(struct kiln_loader *l, const struct job *job, struct slot *slot, int64_t i)
{
    const int64_t row = row_at(l, job, i);
    const struct kiln_source *source = l->ds->source;
    const struct kiln_draw draw = {.augment = &job->params.augment,
                                   .seed = job->params.seed,
                                   .epoch = job->place.epoch,
                                   .pick = l->ds->pick,
                                   .rows = l->ds->rows};
    void *items[KILN_MAX_COLUMNS];

    for (int c = 0; c < source->columns; c++) {
        const kiln_array *all = &slot->batch.column[c];
        char *data = all->data; /* NULL: no row has anything */
        items[c] = data ? data + (size_t)i * (all->bytes / (size_t)slot->batch.rows) : NULL;
    }
    fill_up(source, &slot->batch, row, items);
    return source->ops->read_row ? source->ops->read_row(source, &draw, row, items)
                                 : read_row(source, &draw, row, items);
}

static bool dropped(struct kiln_loader *l, const struct job *job)
{
    return atomic_load_explicit(&l->round, memory_order_relaxed) != job->round;
}

static int64_t rows_of(const struct kiln_loader *l, const struct job *job)
{
    const int64_t left = l->ds->rows - job->place.row;
    return left >= job->rows ? job->rows : job->params.drop_last ? 0 : left;
}

struct filling {
    struct kiln_loader *loader;
    const struct job *job;
    struct slot *slot;
    atomic_int failed; /* a row's status; after it no row is begun */
};

static void fill_rows(void *user, size_t first, size_t count, int worker)
{
    struct filling *f = user;

    (void)worker;
    for (size_t i = first; i < first + count && !atomic_load(&f->failed) && !dropped(f->loader, f->job);
         i++) {
        const kiln_status status = fill_row(f->loader, f->job, f->slot, (int64_t)i);
        if (status)
            atomic_store(&f->failed, (int)status);
    }
}

/* As many threads as the job wants. */
static kiln_status start_pool(struct kiln_loader *l, const struct job *job)
{
    const int half = kiln_processors() / 2, usual = half < 1 ? 1 : half > USUAL ? USUAL : half;
    const int threads = !l->ds->source->ops->slow ? 1 : job->params.threads > 0 ? job->params.threads : usual;

    if ((l->pool ? kiln_pool_threads(l->pool) : 1) == threads)
        return KILN_OK;
    kiln_pool_destroy(&l->pool);
    return threads > 1 ? kiln_pool_create(&l->pool, threads) : KILN_OK;
}

static kiln_status fill(struct kiln_loader *l, const struct job *job, struct slot *slot, int64_t rows)
{
    const bool ordered = rows > 0 && is_ordered(job);
    struct filling f = {.loader = l, .job = job, .slot = slot};
    kiln_status status =
        ordered ? kiln_order_make(&l->order, l->ds, &job->params, job->place.epoch, job->rows) : KILN_OK;

    if (!status)
        status = describe(l, job, &slot->batch, rows);
    if (!status)
        status = reserve(slot);
    if (status || (status = start_pool(l, job)))
        return status;
    atomic_init(&f.failed, KILN_OK);
    if (l->pool)
        kiln_pool_run(l->pool, (size_t)rows, 1, fill_rows, &f);
    else
        fill_rows(&f, 0, (size_t)rows, 0);
    return (kiln_status)atomic_load(&f.failed);
}

/* The thread: taking jobs -------------------------------------------------------------------------------- */

static kiln_dataset_place place_after(const struct job *job, int64_t rows)
{
    const kiln_dataset_place place = job->place;
    return rows == 0 ? (kiln_dataset_place){place.epoch + 1, 0}
                     : (kiln_dataset_place){place.epoch, place.row + rows};
}

static bool has_job(const struct kiln_loader *l)
{
    return !l->stale && l->next.rows > 0 && l->ready < AHEAD;
}

/* Fill one slot, with the lock given back meanwhile. */
static void do_job(struct kiln_loader *l)
{
    const struct job job = l->next;
    struct slot *slot = &l->slots[(l->first + l->ready) % SLOTS];
    const int64_t rows = rows_of(l, &job);

    pthread_mutex_unlock(&l->lock);
    slot->status = fill(l, &job, slot, rows);
    slot->after = slot->status ? job.place : place_after(&job, rows);
    pthread_mutex_lock(&l->lock);
    if (dropped(l, &job))
        return;
    l->ready++;
    l->next.place = slot->after;
    l->stale = slot->status != KILN_OK; /* nothing follows a failure until the reader has seen it */
    pthread_cond_signal(&l->filled);
}

static void *work(void *argument)
{
    struct kiln_loader *l = argument;

    pthread_mutex_lock(&l->lock);
    while (!l->stopping)
        if (has_job(l))
            do_job(l);
        else
            pthread_cond_wait(&l->wanted, &l->lock);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* The reader --------------------------------------------------------------------------------------------- */

/* Under the lock: drop what is ready and what is being filled. */
static void drop(struct kiln_loader *l)
{
    atomic_fetch_add_explicit(&l->round, 1, memory_order_relaxed);
    l->ready = 0;
    l->stale = true;
}

void kiln_loader_restart(struct kiln_loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    drop(loader);
    pthread_mutex_unlock(&loader->lock);
}

static void ask(struct kiln_loader *l, int64_t batch_size, kiln_dataset_place place)
{
    drop(l);
    l->next = (struct job){.place = place,
                           .rows = batch_size,
                           .params = l->ds->params,
                           .round = atomic_load_explicit(&l->round, memory_order_relaxed)};
    l->stale = false;
    pthread_cond_signal(&l->wanted);
}

kiln_status kiln_loader_next(struct kiln_loader *loader, int64_t batch_size, kiln_batch *batch,
                             kiln_dataset_place *place)
{
    const struct slot *slot;
    kiln_status status;

    pthread_mutex_lock(&loader->lock);
    if (batch_size != loader->next.rows || (loader->stale && loader->ready == 0))
        ask(loader, batch_size, *place);
    while (loader->ready == 0)
        pthread_cond_wait(&loader->filled, &loader->lock);
    slot = &loader->slots[loader->first];
    loader->first = (loader->first + 1) % SLOTS;
    loader->ready--;
    pthread_cond_signal(&loader->wanted);
    pthread_mutex_unlock(&loader->lock);

    if (!(status = slot->status))
        *batch = slot->batch;
    *place = slot->after;
    return status;
}

/* Life --------------------------------------------------------------------------------------------------- */

kiln_status kiln_loader_create(struct kiln_loader **out, const kiln_dataset *ds)
{
    struct kiln_loader *l = calloc(1, sizeof *l);
    int error;

    *out = NULL;
    if (!l)
        return kiln_fail(KILN_ERROR_MEMORY, "dataset: out of memory");
    l->ds = ds;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->wanted, NULL);
    pthread_cond_init(&l->filled, NULL);
    if ((error = pthread_create(&l->thread, NULL, work, l))) {
        l->ds = NULL;
        kiln_loader_destroy(&l);
        return kiln_fail(KILN_ERROR_MEMORY, "dataset: its loader thread did not start: %s", strerror(error));
    }
    *out = l;
    return KILN_OK;
}

static void stop(struct kiln_loader *l)
{
    pthread_mutex_lock(&l->lock);
    drop(l);
    l->stopping = true;
    pthread_cond_signal(&l->wanted);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
}

void kiln_loader_destroy(struct kiln_loader **loader)
{
    struct kiln_loader *l = *loader;

    *loader = NULL;
    if (!l)
        return;
    if (l->ds) /* NULL: the thread did not start */
        stop(l);
    for (int i = 0; i < SLOTS; i++)
        for (int c = 0; c < KILN_MAX_COLUMNS; c++)
            free(l->slots[i].batch.column[c].data);
    pthread_cond_destroy(&l->filled);
    kiln_pool_destroy(&l->pool);
    pthread_cond_destroy(&l->wanted);
    pthread_mutex_destroy(&l->lock);
    free(l->order.rows);
    free(l);
}
