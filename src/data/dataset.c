/*
 * dataset.c - datasets: tables that are read in batches, and views of them.
 *
 * A dataset is a list of row numbers (or none, for all of them) over a source that counts its references. What comes
 * next is told by params and place alone; loader.c prepares it.
 */
#include "data/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/loader.h"
#include "data/scenes.h"

enum { MOST_SHIFT = 1 << 24 }; /* pixels: no picture is wider */

/* Life --------------------------------------------------------------------------------------------------- */

static kiln_status view_create(kiln_dataset **out, struct kiln_source *source, int64_t rows)
{
    kiln_dataset *ds = calloc(1, sizeof *ds);

    *out = ds;
    if (!ds)
        return kiln_fail(KILN_ERROR_MEMORY, "dataset: out of memory");
    atomic_fetch_add(&source->references, 1);
    ds->source = source;
    ds->rows = rows;
    return KILN_OK;
}

kiln_status kiln_dataset_create(kiln_dataset **out, struct kiln_source *source, const char *path)
{
    kiln_status status;

    *out = NULL;
    if (source->rows < 1)
        status = kiln_fail(KILN_ERROR_FILE, "%s: wanted a dataset, got one of no rows", path);
    else if (source->rows >= UINT32_MAX)
        status = kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: %" PRId64 " rows, wanted less than 2^32 - 1", path,
                           source->rows);
    else
        status = view_create(out, source, source->rows);
    kiln_source_release(source);
    return status;
}

void kiln_dataset_close(kiln_dataset **ds)
{
    kiln_dataset *d = *ds;

    *ds = NULL;
    if (!d)
        return;
    kiln_loader_destroy(&d->loader);
    kiln_source_release(d->source);
    free(d->pick);
    free(d);
}

/* What it holds ------------------------------------------------------------------------------------------ */

int64_t kiln_dataset_rows(const kiln_dataset *ds)
{
    return ds->rows;
}

int kiln_dataset_columns(const kiln_dataset *ds)
{
    return ds->source->columns;
}

const kiln_column *kiln_dataset_column(const kiln_dataset *ds, int column)
{
    return column >= 0 && column < ds->source->columns ? &ds->source->column[column] : NULL;
}

int kiln_dataset_find(const kiln_dataset *ds, const char *name)
{
    for (int i = 0; i < ds->source->columns; i++)
        if (strcmp(ds->source->column[i].name, name) == 0)
            return i;
    return -1;
}

const char *kiln_dataset_class(const kiln_dataset *ds, int class_index)
{
    const struct kiln_source *source = ds->source;
    return source->class_name && class_index >= 0 && class_index < source->classes
               ? source->class_name[class_index]
               : NULL;
}

/* What an item of a column is in that row of the source: its shape, and its bytes. */
static size_t describe_item(const struct kiln_source *source, int64_t row, int column, kiln_shape *shape)
{
    const kiln_column *c = &source->column[column];

    *shape = c->shape;
    if (kiln_source_is_ragged(source, column))
        shape->size[0] = source->ops->length(source, row, column);
    return (size_t)kiln_shape_count(shape) * kiln_type_size(c->type);
}

kiln_status kiln_dataset_get(const kiln_dataset *ds, int64_t row, int column, kiln_array *item)
{
    const kiln_column *c = kiln_dataset_column(ds, column);
    kiln_shape shape;
    size_t bytes;

    if (!c || row < 0 || row >= ds->rows)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "dataset: wanted row %" PRId64 " of column %d, it has %" PRId64
                         " rows of %d columns",
                         row, column, ds->rows, ds->source->columns);
    row = kiln_dataset_source_row(ds, row);
    bytes = describe_item(ds->source, row, column, &shape);
    if (item->bytes > 0 && item->bytes < bytes)
        return kiln_fail(KILN_ERROR_SHAPE,
                         "dataset: an item of \"%s\" takes %zu bytes, there is room for %zu", c->name, bytes,
                         item->bytes);
    item->type = c->type;
    item->shape = shape;
    return ds->source->ops->read(ds->source, row, column, item->data);
}

/* Batches ------------------------------------------------------------------------------------------------ */

static kiln_status check_augment(const kiln_dataset *ds, const kiln_augment *a)
{
    const struct {
        const char *name;
        float value, most;
    } reals[] = {{"mosaic", a->mosaic, 1},     {"smaller", a->smaller, 100},
                 {"larger", a->larger, 100},   {"stretch", a->stretch, 100},
                 {"visible", a->visible, 1},   {"brightness", a->brightness, 1},
                 {"contrast", a->contrast, 1}, {"saturation", a->saturation, 1},
                 {"hue", a->hue, 0.5f}};

    if (a->shift < 0 || a->shift > MOST_SHIFT)
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: a shift of up to %d pixels, wanted 0 to %d", a->shift,
                         MOST_SHIFT);
    if (a->repeat_edge && kiln_scenes_of(ds->source))
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: pictures with boxes do not repeat their edges");
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        if (!(reals[i].value >= 0 && reals[i].value <= reals[i].most))
            return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: augmentation by %s %g, wanted 0 to %g",
                             reals[i].name, (double)reals[i].value, (double)reals[i].most);
        if (reals[i].value > 0 && !kiln_scenes_of(ds->source))
            return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: augmentation by %s is for pictures with boxes",
                             reals[i].name);
    }
    return KILN_OK;
}

kiln_status kiln_dataset_set_params(kiln_dataset *ds, const kiln_dataset_params *params)
{
    const kiln_dataset_params p = params ? *params : (kiln_dataset_params){0};
    kiln_status status;

    if ((status = check_augment(ds, &p.augment)))
        return status;
    if (p.by_length < 0 || (p.by_length > 0 && !ds->source->ops->length))
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: rows of %" PRId64 " batches sorted by length, %s",
                         p.by_length, p.by_length < 0 ? "wanted 0 or more" : "but no column has lengths");
    if (p.threads < 0 || p.threads > 64)
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: %d threads, wanted 1 to 64, or 0 for the usual",
                         p.threads);
    ds->params = p;
    kiln_dataset_rewind(ds);
    return KILN_OK;
}

kiln_dataset_params kiln_dataset_get_params(const kiln_dataset *ds)
{
    return ds->params;
}

kiln_status kiln_dataset_next(kiln_dataset *ds, int64_t batch_size, kiln_batch *batch)
{
    kiln_status status;

    *batch = (kiln_batch){0};
    if (batch_size < 1)
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: a batch of %" PRId64 " rows, wanted at least 1",
                         batch_size);
    if (ds->params.drop_last && batch_size > ds->rows)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "dataset: full batches of %" PRId64 " rows alone are wanted, it has %" PRId64
                         " rows",
                         batch_size, ds->rows);
    if (!ds->loader && (status = kiln_loader_create(&ds->loader, ds)))
        return status;
    return kiln_loader_next(ds->loader, batch_size < ds->rows ? batch_size : ds->rows, batch, &ds->place);
}

kiln_dataset_place kiln_dataset_position(const kiln_dataset *ds)
{
    return ds->place;
}

kiln_status kiln_dataset_seek(kiln_dataset *ds, kiln_dataset_place place)
{
    if (place.epoch < 0 || place.row < 0 || place.row > ds->rows)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "dataset: wanted row %" PRId64 " of epoch %" PRId64 ", it has %" PRId64 " rows",
                         place.row, place.epoch, ds->rows);
    ds->place = place;
    if (ds->loader)
        kiln_loader_restart(ds->loader);
    return KILN_OK;
}

void kiln_dataset_rewind(kiln_dataset *ds)
{
    kiln_dataset_seek(ds, (kiln_dataset_place){.epoch = ds->place.epoch});
}

/* Views -------------------------------------------------------------------------------------------------- */

/* A view of `rows` rows whose numbers the caller fills in. */
static kiln_status picked_create(kiln_dataset **out, const kiln_dataset *src, int64_t rows)
{
    kiln_status status = view_create(out, src->source, rows);

    if (status)
        return status;
    if (!((*out)->pick = malloc((size_t)rows * sizeof *(*out)->pick))) {
        kiln_dataset_close(out);
        return kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory to list %" PRId64 " rows", rows);
    }
    return KILN_OK;
}

kiln_status kiln_dataset_slice(kiln_dataset **out, const kiln_dataset *src, int64_t first, int64_t rows)
{
    kiln_status status;

    *out = NULL;
    if (first < 0 || first >= src->rows || rows < 1)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "dataset: wanted %" PRId64 " rows from row %" PRId64 ", it has %" PRId64, rows,
                         first, src->rows);
    if (rows > src->rows - first)
        rows = src->rows - first;
    if ((status = picked_create(out, src, rows)))
        return status;
    for (int64_t i = 0; i < rows; i++)
        (*out)->pick[i] = (uint32_t)kiln_dataset_source_row(src, first + i);
    return KILN_OK;
}

/* Rows before the end of part `part`. */
static int64_t part_end(const kiln_dataset *src, const double *fraction, int part)
{
    double sum = 0;

    for (int i = 0; i <= part; i++)
        sum += fraction[i];
    return (int64_t)fmin(floor(sum * (double)src->rows + 0.5), (double)src->rows);
}

static kiln_status check_fractions(const kiln_dataset *src, const double *fraction, int count)
{
    double sum = 0;

    for (int i = 0; i < count; i++) {
        if (!(fraction[i] > 0) || part_end(src, fraction, i) <= (i ? part_end(src, fraction, i - 1) : 0))
            return kiln_fail(KILN_ERROR_ARGUMENT,
                             "dataset: part %d is %g of %" PRId64 " rows, wanted at least one", i,
                             fraction[i], src->rows);
        sum += fraction[i];
    }
    if (sum > 1 + 1e-9)
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: parts add up to %g, wanted at most 1", sum);
    return KILN_OK;
}

/* Rows in order, each to the part that the shuffled row dealt at its place belongs to. */
static void deal(kiln_dataset **out, const kiln_dataset *src, const uint32_t *place, const double *fraction,
                 int count)
{
    for (int part = 0; part < count; part++) {
        const int64_t first = part ? part_end(src, fraction, part - 1) : 0,
                      end = part_end(src, fraction, part);
        int64_t rows = 0;

        for (int64_t row = 0; row < src->rows; row++)
            if (place[row] >= first && place[row] < end)
                out[part]->pick[rows++] = (uint32_t)kiln_dataset_source_row(src, row);
    }
}

static kiln_status split(kiln_dataset **out, const kiln_dataset *src, const double *fraction, int count,
                         uint32_t *place, uint64_t seed)
{
    struct kiln_rng rng;

    for (int i = 0; i < count; i++) {
        const int64_t first = i ? part_end(src, fraction, i - 1) : 0;
        const kiln_status status = picked_create(&out[i], src, part_end(src, fraction, i) - first);
        if (status)
            return status;
    }
    for (int64_t row = 0; row < src->rows; row++)
        place[row] = (uint32_t)row;
    kiln_rng_init(&rng, seed, kiln_rng_stream("split"));
    kiln_rng_shuffle(&rng, place, (size_t)src->rows);
    deal(out, src, place, fraction, count);
    return KILN_OK;
}

kiln_status kiln_dataset_split(kiln_dataset **out, const kiln_dataset *src, const double *fraction, int count,
                               uint64_t seed)
{
    kiln_status status;
    uint32_t *place;

    for (int i = 0; i < count; i++)
        out[i] = NULL;
    if ((status = check_fractions(src, fraction, count)))
        return status;
    if (!(place = malloc((size_t)src->rows * sizeof *place)))
        return kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory to deal %" PRId64 " rows", src->rows);
    if ((status = split(out, src, fraction, count, place, seed)))
        for (int i = 0; i < count; i++)
            kiln_dataset_close(&out[i]);
    free(place);
    return status;
}
