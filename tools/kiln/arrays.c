/* arrays.c - see arrays.h. */
#include "arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/text.h"
#include "compiler/convert.h"

bool arrays_ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text), b = strlen(end);
    return a >= b && !strcmp(text + a - b, end);
}

const char *arrays_split(const char *item, char *name, size_t bytes)
{
    const char *sign = strchr(item, '=');
    snprintf(name, bytes, "%.*s", sign ? (int)(sign - item) : 0, item);
    return sign ? sign + 1 : item;
}

static kiln_status wrong(const struct arrays *a, const char *item, const char *what)
{
    fprintf(stderr, "kiln %s: \"%s\": %s\n", a->command, item, what);
    return KILN_ERROR_ARGUMENT;
}

/* Reading ------------------------------------------------------------------------------------------------- */

/* The array is a's from then on. */
static kiln_status keep(struct arrays *a, const char *name, kiln_array array)
{
    struct arrays_item item = {.array = array};
    snprintf(item.name, sizeof item.name, "%s", name);
    if (kiln_vec_push(&a->item, item))
        return KILN_OK;
    kiln_array_free(&array);
    return KILN_ERROR_MEMORY;
}

/* One array of an archive, or without a name all of them. */
static kiln_status read_archive(struct arrays *a, const char *name, const char *path, const char *entry)
{
    kiln_npz *file = NULL;
    kiln_array array;
    kiln_status status = kiln_npz_open(&file, path);
    for (int i = 0; !status && !entry && i < kiln_npz_count(file); i++)
        if (!(status = kiln_npz_load(file, kiln_npz_name(file, i), &array)))
            status = keep(a, kiln_npz_name(file, i), array);
    if (!status && entry && !(status = kiln_npz_load(file, entry, &array)))
        status = keep(a, name, array);
    kiln_npz_close(&file);
    return status;
}

static bool type_of(const char *text, size_t length, kiln_type *type)
{
    for (int i = 0; kiln_type_size((kiln_type)i); i++) {
        *type = (kiln_type)i;
        if (strlen(kiln_type_name(*type)) == length && !strncmp(kiln_type_name(*type), text, length))
            return true;
    }
    return false;
}

/* "1,3,4"; nothing is a scalar. */
static bool sizes_of(const char *text, kiln_shape *shape)
{
    char *end;
    *shape = (kiln_shape){0};
    while (*text) {
        const long long size = strtoll(text, &end, 10);
        if (end == text || (*end && *end != ',') || size < 0 || shape->rank == KILN_MAX_RANK)
            return false;
        shape->size[shape->rank++] = size;
        text = *end ? end + 1 : end;
    }
    return kiln_shape_count(shape) >= 0;
}

static kiln_status read_raw(struct arrays *a, const char *name, const char *item, const char *path,
                            kiln_array array)
{
    struct kiln_file file;
    char text[160];
    kiln_status status = kiln_file_map(&file, path);
    if (status)
        return status;
    const uint64_t bytes = (uint64_t)kiln_shape_count(&array.shape) * kiln_type_size(array.type);
    snprintf(text, sizeof text, "the file has %zu bytes, that takes %llu", file.size,
             (unsigned long long)bytes);
    if (file.size != bytes)
        status = wrong(a, item, text);
    else if (!(array.data = malloc(file.size + 1)))
        status = KILN_ERROR_MEMORY;
    if (!status) {
        memcpy(array.data, file.data, file.size);
        status = keep(a, name, array);
    }
    kiln_file_unmap(&file);
    return status;
}

/* FILE:TYPE:SIZES, where what stands before the last two colons may hold more of them. */
static bool is_raw(const char *file, char *path, size_t bytes, kiln_array *array)
{
    const char *sizes = strrchr(file, ':'), *type = sizes;
    while (type && type > file && type[-1] != ':')
        type--;
    if (!sizes || type == file || !type_of(type, (size_t)(sizes - type), &array->type) ||
        !sizes_of(sizes + 1, &array->shape))
        return false;
    snprintf(path, bytes, "%.*s", (int)(type - 1 - file), file);
    return true;
}

static kiln_status read_item(struct arrays *a, const char *item)
{
    char name[256], path[4096];
    const char *file = arrays_split(item, name, sizeof name), *inside = strstr(file, ".npz:");
    kiln_array array = {0};
    if (inside) {
        snprintf(path, sizeof path, "%.*s", (int)(inside + 4 - file), file);
        return read_archive(a, name, path, inside + 5);
    }
    if (arrays_ends_with(file, ".npz"))
        return read_archive(a, name, file, name[0] ? name : NULL);
    if (is_raw(file, path, sizeof path, &array))
        return read_raw(a, name, item, path, array);
    const kiln_status status =
        arrays_ends_with(file, ".pb") ? kiln_onnx_load_tensor(&array, file) : kiln_npy_load(&array, file);
    return status ? status : keep(a, name, array);
}

kiln_status arrays_read(struct arrays *a, const struct args_list *items)
{
    kiln_status status = KILN_OK;
    for (int i = 0; !status && i < items->count; i++)
        status = read_item(a, items->item[i]);
    return status;
}

void arrays_finish(struct arrays *a)
{
    for (int i = 0; i < a->item.count; i++)
        kiln_array_free(&a->item.data[i].array);
    kiln_vec_finish(&a->item);
}

/* Loading ------------------------------------------------------------------------------------------------- */

bool arrays_may_be_constant(const kiln_array *a)
{
    return a->shape.rank == 0 ||
           (a->shape.rank == 1 && (!kiln_type_is_real(a->type) || a->shape.size[0] <= 2 * KILN_MAX_RANK));
}

/* Lines are kept: those of a failure do not matter where the second try succeeds. */
static void keep_line(void *user, kiln_log_level level, const char *line)
{
    const char *what = level == KILN_LOG_ERROR ? "error: " : level == KILN_LOG_WARNING ? "warning: " : "";
    kiln_text_add(user, "kiln: %s%s\n", what, line);
}

static kiln_status try_load(const struct arrays *a, const char *path, const kiln_onnx_params *params,
                            struct kiln_text *said, kiln_graph **g, kiln_weights **w)
{
    kiln_text_finish(said);
    kiln_log_to(keep_line, said, a->tell ? KILN_LOG_INFO : KILN_LOG_WARNING);
    const kiln_status status = kiln_onnx_load(g, w, path, params);
    kiln_log_to(NULL, NULL, KILN_LOG_WARNING);
    return status;
}

/* How a model may be loaded, each way with more given than the one before. */
enum way { AS_IT_IS, WITH_SHAPES, WITH_VALUES, WITH_GUESS, WAYS };

/* With shapes only, or with the values of those that may be constants. */
static void fix(struct arrays *a, kiln_onnx_fixed *fixed, bool values)
{
    for (int i = 0; i < a->item.count; i++) {
        struct arrays_item *item = &a->item.data[i];
        item->constant = values && arrays_may_be_constant(&item->array);
        fixed[i] = (kiln_onnx_fixed){.input = item->name[0] ? item->name : NULL, .value = item->array};
        if (!item->constant)
            fixed[i].value.data = NULL;
    }
}

kiln_status arrays_take_sizes(const char *command, const struct args_list *list, struct arrays_sizes *out)
{
    for (int i = 0; i < list->count; i++) {
        char *end;
        const char *number = arrays_split(list->item[i], out->name[i], sizeof out->name[i]);
        out->item[i] = (kiln_onnx_size){out->name[i], strtoll(number, &end, 10)};
        if (!out->name[i][0] || end == number || *end || out->item[i].value < 0) {
            fprintf(stderr, "kiln %s: \"%s\": wanted NAME=N\n", command, list->item[i]);
            return KILN_ERROR_ARGUMENT;
        }
    }
    return KILN_OK;
}

/* The next way in which more is given. */
static enum way next_way(const struct arrays *a, const struct args_list *sizes, enum way way)
{
    if (way == AS_IT_IS && (a->item.count || sizes->count))
        return WITH_SHAPES;
    for (int i = 0; way < WITH_VALUES && i < a->item.count; i++)
        if (arrays_may_be_constant(&a->item.data[i].array))
            return WITH_VALUES;
    return way < WITH_GUESS && !a->most_size ? WITH_GUESS : WAYS;
}

kiln_status arrays_load(struct arrays *a, const struct args_list *sizes, const char *path, kiln_graph **g,
                        kiln_weights **w)
{
    struct arrays_sizes given;
    struct kiln_text said = {0};
    kiln_onnx_fixed *fixed = calloc((size_t)a->item.count + 1, sizeof *fixed);
    kiln_status status = fixed ? arrays_take_sizes(a->command, sizes, &given) : KILN_ERROR_MEMORY;
    enum way way = a->symbols ? AS_IT_IS : WITH_SHAPES;
    for (bool again = !status; again;) {
        fix(a, fixed, way >= WITH_VALUES);
        const kiln_onnx_params params = {.fixed = fixed,
                                         .fixed_count = way == AS_IT_IS ? 0 : a->item.count,
                                         .sizes = given.item,
                                         .size_count = way == AS_IT_IS ? 0 : sizes->count,
                                         .most_steps = a->most_steps,
                                         .most_size = a->most_size,
                                         .guess_size = way == WITH_GUESS};
        status = try_load(a, path, &params, &said, g, w);
        way = next_way(a, sizes, way);
        again = status == KILN_ERROR_UNSUPPORTED && way < WAYS;
    }
    fputs(kiln_text_get(&said), stderr);
    kiln_text_finish(&said);
    free(fixed);
    return status;
}

/* Writing ------------------------------------------------------------------------------------------------- */

kiln_tensor arrays_input(const char *command, const kiln_graph *g, const char *name)
{
    for (int i = 0; i < kiln_graph_input_count(g); i++)
        if (!name[0] || !strcmp(kiln_tensor_name(g, kiln_graph_input(g, i)), name))
            return kiln_graph_input(g, i);
    fprintf(stderr, "kiln %s: the model has no input \"%s\"; 'kiln inspect' lists them\n", command, name);
    return KILN_NONE;
}

/* An input that no output depends on has no place in a program. */
static bool needs(const kiln_program *program, kiln_tensor input)
{
    for (int i = 0; i < kiln_program_input_count(program); i++)
        if (kiln_program_input(program, i).id == input.id)
            return true;
    return false;
}

kiln_status arrays_write(const struct arrays *a, kiln_program *program, const kiln_graph *g)
{
    kiln_status status = KILN_OK;
    for (int i = 0; !status && i < a->item.count; i++) {
        const struct arrays_item *item = &a->item.data[i];
        const kiln_tensor input = item->constant ? KILN_NONE : arrays_input(a->command, g, item->name);
        if (input.id && needs(program, input))
            status = kiln_program_write(program, input, &item->array);
        else if (!input.id && !item->constant)
            status = KILN_ERROR_ARGUMENT;
    }
    return status;
}

kiln_status arrays_make_up(kiln_program *program, const kiln_graph *g, kiln_tensor input, kiln_shape shape,
                           uint64_t seed)
{
    kiln_array array = {.type = kiln_tensor_type(g, input), .shape = shape};
    const bool real = kiln_type_is_real(array.type);
    const size_t count = (size_t)kiln_shape_count(&array.shape);
    double *values = malloc((count + 1) * sizeof *values);
    struct kiln_rng rng;
    kiln_status status = KILN_ERROR_MEMORY;

    kiln_rng_init(&rng, seed, kiln_rng_stream(kiln_tensor_name(g, input)));
    array.data = malloc((count + 1) * sizeof *values);
    if (values && array.data) {
        for (size_t i = 0; i < count; i++)
            values[i] = real ? 2 * kiln_rng_uniform(&rng) - 1 : kiln_rng_next(&rng) & 1;
        kiln_convert(array.data, array.type, values, KILN_F64, count);
        status = kiln_program_write(program, input, &array);
    }
    free(values);
    free(array.data);
    return status;
}

kiln_status arrays_result(kiln_program *program, kiln_tensor t, kiln_type type, kiln_array *out)
{
    *out = (kiln_array){.type = type};
    const kiln_status status = kiln_program_shape(program, t, &out->shape);
    if (status)
        return status;
    out->bytes = (size_t)kiln_shape_count(&out->shape) * kiln_type_size(type);
    out->data = malloc(out->bytes + 1);
    return out->data ? kiln_program_read(program, t, out)
                     : kiln_fail(KILN_ERROR_MEMORY, "no memory for a result of %zu bytes", out->bytes);
}

int64_t arrays_size(const struct args_list *sizes, const char *symbol)
{
    const size_t length = strlen(symbol);
    for (int i = 0; i < sizes->count; i++)
        if (!strncmp(sizes->item[i], symbol, length) && sizes->item[i][length] == '=')
            return strtoll(sizes->item[i] + length + 1, NULL, 10);
    return 1;
}

kiln_shape arrays_shape(const kiln_graph *g, kiln_tensor input, const struct args_list *sizes)
{
    kiln_shape shape = kiln_tensor_shape(g, input);
    for (int i = 0; i < shape.rank; i++) {
        const char *symbol = shape.size[i] < 0 ? kiln_dim_name(g, shape.size[i]) : NULL;
        if (shape.size[i] < 0)
            shape.size[i] = symbol ? arrays_size(sizes, symbol) : 1;
    }
    return shape;
}

kiln_status arrays_precision(const char *command, const char *name, kiln_precision *precision)
{
    static const struct {
        const char *name;
        kiln_precision precision;
    } all[] = {{"f32", KILN_PRECISION_F32}, {"f16", KILN_PRECISION_F16}, {"f64", KILN_PRECISION_F64}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!name || !strcmp(name, all[i].name)) {
            *precision = all[i].precision;
            return KILN_OK;
        }
    fprintf(stderr, "kiln %s: --precision \"%s\": wanted f32, f16 or f64\n", command, name);
    return KILN_ERROR_ARGUMENT;
}
