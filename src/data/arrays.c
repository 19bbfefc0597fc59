/* arrays.c - a dataset of arrays, in memory or from a .npz file: each is a column, its first axis the rows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/import.h>

#include "base/log.h"
#include "base/number.h"
#include "data/source.h"

struct arrays {
    struct kiln_source source;
    const char *from; /* what messages name; while opening */
    const char *data[KILN_MAX_COLUMNS];
    void *own[KILN_MAX_COLUMNS]; /* to be freed at the end; NULL where it is borrowed */
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
        free(a->own[i]);
}

static const struct kiln_source_ops arrays_ops = {.read = arrays_read, .close = arrays_close};

/* What is refused ---------------------------------------------------------------------------------------- */

static kiln_status check_shape(const struct arrays *a, const kiln_named_array *named)
{
    const kiln_array *array = &named->array;
    char text[96];
    size_t bytes;

    if (array->shape.rank < 1 || kiln_shape_count(&array->shape) < 1 ||
        !kiln_size_mul((size_t)kiln_shape_count(&array->shape), kiln_type_size(array->type), &bytes) ||
        bytes == 0)
        return kiln_fail(KILN_ERROR_SHAPE, "%s: \"%s\" is %s of type %s, wanted [rows, ...]", a->from,
                         named->name, kiln_shape_text(&array->shape, text, sizeof text),
                         kiln_type_name(array->type));
    if (array->bytes > 0 && array->bytes < bytes)
        return kiln_fail(KILN_ERROR_SHAPE, "%s: \"%s\" has %zu bytes, its shape takes %zu", a->from,
                         named->name, array->bytes, bytes);
    return KILN_OK;
}

/* Against the columns that are there already. */
static kiln_status check_place(const struct arrays *a, const kiln_named_array *named)
{
    const kiln_column *column = a->source.column;
    const int64_t rows = named->array.shape.size[0];

    for (int i = 0; i < a->source.columns; i++)
        if (strcmp(column[i].name, named->name) == 0)
            return kiln_fail(KILN_ERROR_ARGUMENT, "%s: two arrays are named \"%s\"", a->from, named->name);
    if (a->source.columns > 0 && rows != a->source.rows)
        return kiln_fail(KILN_ERROR_SHAPE, "%s: \"%s\" has %" PRId64 " rows, \"%s\" has %" PRId64, a->from,
                         named->name, rows, column[0].name, a->source.rows);
    return KILN_OK;
}

static kiln_status check_classes(const struct arrays *a, const kiln_named_array *named)
{
    const kiln_array *array = &named->array;
    const int64_t count = named->classes > 0 ? kiln_shape_count(&array->shape) : 0;

    if (count > 0 && array->type != KILN_I32 && array->type != KILN_I64)
        return kiln_fail(KILN_ERROR_TYPE, "%s: the classes of \"%s\" are %s, wanted i32 or i64", a->from,
                         named->name, kiln_type_name(array->type));
    for (int64_t i = 0; i < count; i++) {
        const int64_t value =
            array->type == KILN_I64 ? ((const int64_t *)array->data)[i] : ((const int32_t *)array->data)[i];
        if (value < 0 || value >= named->classes)
            return kiln_fail(KILN_ERROR_ARGUMENT,
                             "%s: \"%s\" holds %" PRId64 " at %" PRId64 ", wanted 0 to %d", a->from,
                             named->name, value, i, named->classes - 1);
    }
    return KILN_OK;
}

static kiln_status check(const struct arrays *a, const kiln_named_array *named)
{
    kiln_status status;

    if (!named->name || !named->array.data)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: an array without %s", a->from,
                         named->name ? "data" : "a name");
    if ((status = check_shape(a, named)) || (status = check_place(a, named)))
        return status;
    return check_classes(a, named);
}

/* Opening ------------------------------------------------------------------------------------------------ */

static kiln_status add(struct arrays *a, const kiln_named_array *named, bool copy)
{
    const kiln_array *array = &named->array;
    const size_t bytes = (size_t)kiln_shape_count(&array->shape) * kiln_type_size(array->type);
    const int c = a->source.columns++;
    kiln_column *column = &a->source.column[c];

    column->name = kiln_arena_text(&a->source.arena, named->name);
    column->type = array->type;
    column->shape = kiln_shape_of(array->shape.rank - 1, array->shape.size + 1);
    column->classes = named->classes;
    a->source.rows = array->shape.size[0];
    a->data[c] = array->data;
    if (copy && (a->own[c] = malloc(bytes)))
        a->data[c] = memcpy(a->own[c], array->data, bytes);
    return column->name && (a->own[c] || !copy)
               ? KILN_OK
               : kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for \"%s\", %zu bytes", a->from, named->name,
                           bytes);
}

static kiln_status arrays_create(struct arrays **out, const kiln_named_array *arrays, int count, bool copy,
                                 const char *from)
{
    struct arrays *a;
    kiln_status status = KILN_OK;

    *out = NULL;
    if (count < 1 || count > KILN_MAX_COLUMNS)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: %d arrays, wanted 1 to %d", from, count, KILN_MAX_COLUMNS);
    if (!(a = kiln_source_create(sizeof *a, &arrays_ops)))
        return KILN_ERROR_MEMORY;
    a->from = from;
    for (int i = 0; i < count && !status; i++)
        if (!(status = check(a, &arrays[i])))
            status = add(a, &arrays[i], copy);
    if (status)
        kiln_source_release(&a->source);
    else
        *out = a;
    return status;
}

kiln_status kiln_arrays_open(kiln_dataset **out, const kiln_named_array *arrays, int count,
                             const kiln_arrays_params *params)
{
    struct arrays *a;
    const kiln_status status = arrays_create(&a, arrays, count, !params || !params->borrow, "dataset");

    *out = NULL;
    return status ? status : kiln_dataset_create(out, &a->source, "dataset");
}

/* .npz --------------------------------------------------------------------------------------------------- */

/* The file's first arrays, as many as there is room for. */
static kiln_status load_arrays(const kiln_npz *file, kiln_named_array *arrays)
{
    const int count = kiln_npz_count(file);
    kiln_status status = KILN_OK;

    for (int i = 0; i < count && i < KILN_MAX_COLUMNS && !status; i++) {
        arrays[i].name = kiln_npz_name(file, i);
        status = kiln_npz_load(file, arrays[i].name, &arrays[i].array);
    }
    return status;
}

/* The arrays become the dataset's own, or stay the caller's on failure. */
static kiln_status take_arrays(kiln_dataset **out, kiln_named_array *arrays, int count, const char *path)
{
    struct arrays *a;
    const kiln_status status = arrays_create(&a, arrays, count, false, path);

    if (status)
        return status;
    for (int i = 0; i < count; i++) {
        a->own[i] = arrays[i].array.data;
        arrays[i].array = (kiln_array){0};
    }
    return kiln_dataset_create(out, &a->source, path);
}

kiln_status kiln_dataset_npz_open(kiln_dataset **out, const char *path)
{
    kiln_named_array arrays[KILN_MAX_COLUMNS] = {0};
    kiln_npz *file;
    kiln_status status = kiln_npz_open(&file, path);

    *out = NULL;
    if (!status && !(status = load_arrays(file, arrays)))
        status = take_arrays(out, arrays, kiln_npz_count(file), path);
    for (int i = 0; i < KILN_MAX_COLUMNS; i++)
        kiln_array_free(&arrays[i].array);
    kiln_npz_close(&file);
    return status;
}
