/* arrays.c - a dataset of arrays in memory: each is a column, its first axis the rows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "data/source.h"

struct arrays {
    struct kiln_source source;
    const char *data[KILN_MAX_COLUMNS];
    void *copy[KILN_MAX_COLUMNS]; /* NULL where it is borrowed */
};

static kiln_status arrays_read(const struct kiln_source *source, int64_t row, int column, void *item)
{
    const struct arrays *a = (const struct arrays *)source;
    const size_t bytes = kiln_source_item_bytes(source, column);

    memcpy(item, a->data[column] + (size_t)row * bytes, bytes);
    return KILN_OK;
}

static void arrays_close(struct kiln_source *source)
{
    struct arrays *a = (struct arrays *)source;

    for (int i = 0; i < source->columns; i++)
        free(a->copy[i]);
}

static const struct kiln_source_ops arrays_ops = {.read = arrays_read, .close = arrays_close};

static kiln_status check(const kiln_named_array *named, const kiln_named_array *first)
{
    const kiln_array *a = &named->array;
    char text[96];
    size_t bytes;

    if (!named->name || !a->data)
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: an array without %s",
                         named->name ? "data" : "a name");
    if (a->shape.rank < 1 || kiln_shape_count(&a->shape) < 1 ||
        !kiln_size_mul((size_t)kiln_shape_count(&a->shape), kiln_type_size(a->type), &bytes) || bytes == 0)
        return kiln_fail(KILN_ERROR_SHAPE, "dataset: \"%s\" is %s of type %s, wanted [rows, ...]",
                         named->name, kiln_shape_text(&a->shape, text, sizeof text), kiln_type_name(a->type));
    if (a->bytes > 0 && a->bytes < bytes)
        return kiln_fail(KILN_ERROR_SHAPE, "dataset: \"%s\" has %zu bytes, its shape takes %zu", named->name,
                         a->bytes, bytes);
    if (a->shape.size[0] != first->array.shape.size[0])
        return kiln_fail(KILN_ERROR_SHAPE, "dataset: \"%s\" has %" PRId64 " rows, \"%s\" has %" PRId64,
                         named->name, a->shape.size[0], first->name, first->array.shape.size[0]);
    if (named->classes > 0 && a->type != KILN_I32 && a->type != KILN_I64)
        return kiln_fail(KILN_ERROR_TYPE, "dataset: the classes of \"%s\" are %s, wanted i32 or i64",
                         named->name, kiln_type_name(a->type));
    return KILN_OK;
}

static kiln_status check_classes(const kiln_named_array *named)
{
    const int64_t count = named->classes > 0 ? kiln_shape_count(&named->array.shape) : 0;

    for (int64_t i = 0; i < count; i++) {
        const int64_t value = named->array.type == KILN_I64 ? ((const int64_t *)named->array.data)[i]
                                                            : ((const int32_t *)named->array.data)[i];
        if (value < 0 || value >= named->classes)
            return kiln_fail(KILN_ERROR_ARGUMENT,
                             "dataset: \"%s\" holds %" PRId64 " at %" PRId64 ", wanted 0 to %d", named->name,
                             value, i, named->classes - 1);
    }
    return KILN_OK;
}

static kiln_status add(struct arrays *a, const kiln_named_array *named, bool borrow)
{
    const kiln_array *array = &named->array;
    const size_t bytes = (size_t)kiln_shape_count(&array->shape) * kiln_type_size(array->type);
    const int c = a->source.columns++;
    kiln_column *column = &a->source.column[c];

    column->name = kiln_arena_text(&a->source.arena, named->name);
    column->type = array->type;
    column->shape = kiln_shape_of(array->shape.rank - 1, array->shape.size + 1);
    column->classes = named->classes;
    a->data[c] = array->data;
    if (!borrow && (a->copy[c] = malloc(bytes)))
        a->data[c] = memcpy(a->copy[c], array->data, bytes);
    return column->name && (borrow || a->copy[c])
               ? KILN_OK
               : kiln_fail(KILN_ERROR_MEMORY, "dataset: no memory for \"%s\", %zu bytes", named->name, bytes);
}

static kiln_status add_all(struct arrays *a, const kiln_named_array *arrays, int count, bool borrow)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < count && !status; i++) {
        for (int j = 0; j < i; j++)
            if (strcmp(a->source.column[j].name, arrays[i].name ? arrays[i].name : "") == 0)
                return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: two arrays are named \"%s\"", arrays[i].name);
        if (!(status = check(&arrays[i], &arrays[0])) && !(status = check_classes(&arrays[i])))
            status = add(a, &arrays[i], borrow);
    }
    return status;
}

kiln_status kiln_arrays_open(kiln_dataset **out, const kiln_named_array *arrays, int count,
                             const kiln_arrays_params *params)
{
    struct arrays *a;
    kiln_status status;

    *out = NULL;
    if (count < 1 || count > KILN_MAX_COLUMNS)
        return kiln_fail(KILN_ERROR_ARGUMENT, "dataset: %d arrays, wanted 1 to %d", count, KILN_MAX_COLUMNS);
    if (!(a = kiln_source_create(sizeof *a, &arrays_ops)))
        return KILN_ERROR_MEMORY;
    if ((status = add_all(a, arrays, count, params && params->borrow))) {
        kiln_source_release(&a->source);
        return status;
    }
    a->source.rows = arrays[0].array.shape.size[0];
    return kiln_dataset_create(out, &a->source, "arrays");
}
