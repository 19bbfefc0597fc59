/* windows.c - a dataset of windows that slide along a text or a series: row r shows what begins at r strides. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "data/source.h"

struct windows {
    struct kiln_source source;
    const char *data;
    char *own;   /* NULL where data is borrowed */
    size_t step; /* bytes of one step of the series */
    int64_t stride, offset[KILN_MAX_COLUMNS];
};

static kiln_status windows_read(const struct kiln_source *source, int64_t row, int column, void *item)
{
    const struct windows *w = (const struct windows *)source;
    const size_t first = (size_t)(row * w->stride + w->offset[column]);

    memcpy(item, w->data + first * w->step, kiln_source_item_bytes(source, column));
    return KILN_OK;
}

static void windows_close(struct kiln_source *source)
{
    free(((struct windows *)source)->own);
}

static const struct kiln_source_ops windows_ops = {.read = windows_read, .close = windows_close};

static kiln_status add(struct windows *w, const kiln_array *series, const kiln_window *window)
{
    struct kiln_source *source = &w->source;
    const int c = source->columns++;
    kiln_shape shape = series->shape;

    if (!window->name || window->length < 1 || window->offset < 0 ||
        window->offset > series->shape.size[0] - window->length)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "windows: \"%s\" is %" PRId64 " steps from step %" PRId64
                         " on, the series has %" PRId64,
                         window->name ? window->name : "", window->length, window->offset,
                         series->shape.size[0]);
    for (int i = 0; i < c; i++)
        if (strcmp(source->column[i].name, window->name) == 0)
            return kiln_fail(KILN_ERROR_ARGUMENT, "windows: two of them are named \"%s\"", window->name);
    shape.size[0] = window->length;
    source->column[c] = (kiln_column){kiln_arena_text(&source->arena, window->name), series->type, shape, 0};
    w->offset[c] = window->offset;
    const int64_t rows = (series->shape.size[0] - window->offset - window->length) / w->stride + 1;
    source->rows = c == 0 || rows < source->rows ? rows : source->rows;
    return source->column[c].name ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "windows: out of memory");
}

static kiln_status check(const kiln_array *series, int count, int64_t stride)
{
    char text[96];
    size_t bytes;

    if (count < 1 || count > KILN_MAX_COLUMNS || stride < 0)
        return kiln_fail(KILN_ERROR_ARGUMENT, "windows: %d of them, %" PRId64 " steps apart; wanted 1 to %d",
                         count, stride, KILN_MAX_COLUMNS);
    if (!series->data || series->shape.rank < 1 || kiln_shape_count(&series->shape) < 1)
        return kiln_fail(KILN_ERROR_SHAPE, "windows: the series is %s, wanted [steps, ...]",
                         kiln_shape_text(&series->shape, text, sizeof text));
    if (kiln_array_size(series, &bytes) || (series->bytes > 0 && series->bytes < bytes))
        return kiln_fail(KILN_ERROR_SHAPE, "windows: the series has %zu bytes, its shape takes more",
                         series->bytes);
    return KILN_OK;
}

static kiln_status fill(struct windows *w, const kiln_array *series, const kiln_window *windows, int count,
                        const kiln_windows_params *p)
{
    kiln_status status = KILN_OK;
    size_t bytes = 0;

    w->stride = p->stride > 0 ? p->stride : 1;
    w->data = series->data;
    for (int i = 0; i < count && !status; i++)
        status = add(w, series, &windows[i]);
    if (!status)
        status = kiln_array_size(series, &bytes);
    if (status)
        return status;
    w->step = bytes / (size_t)series->shape.size[0];
    if (p->borrow)
        return KILN_OK;
    if (!(w->own = malloc(bytes)))
        return kiln_fail(KILN_ERROR_MEMORY, "windows: no memory for a series of %zu bytes", bytes);
    w->data = memcpy(w->own, series->data, bytes);
    return KILN_OK;
}

kiln_status kiln_windows_open(kiln_dataset **out, const kiln_array *series, const kiln_window *windows,
                              int count, const kiln_windows_params *params)
{
    const kiln_windows_params p = params ? *params : (kiln_windows_params){0};
    struct windows *w;
    kiln_status status = check(series, count, p.stride);

    *out = NULL;
    if (status)
        return status;
    if (!(w = kiln_source_create(sizeof *w, &windows_ops)))
        return KILN_ERROR_MEMORY;
    if (!(status = fill(w, series, windows, count, &p)))
        return kiln_dataset_create(out, &w->source, "windows");
    kiln_source_release(&w->source);
    return status;
}
