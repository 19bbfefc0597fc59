/*
 * onnx_tensor.c - TensorProto: type, shape and elements, which lie as raw bytes, in a list of one of five types, or elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/number.h"
#include "import/onnx.h"

/* ONNX's number of each type of ours, and the list that holds its elements where they are not raw. */
static const struct {
    int onnx;
    kiln_type type;
    enum { FLOATS, INT32S, INT64S, DOUBLES, UINT64S } list;
} types[] = {
    {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, KILN_F32, FLOATS},
    {ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, KILN_U8, INT32S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, KILN_I8, INT32S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__UINT16, KILN_U16, INT32S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__INT16, KILN_I16, INT32S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__INT32, KILN_I32, INT32S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__INT64, KILN_I64, INT64S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, KILN_BOOL, INT32S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, KILN_F16, INT32S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, KILN_F64, DOUBLES},
    {ONNX__TENSOR_PROTO__DATA_TYPE__UINT32, KILN_U32, UINT64S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__UINT64, KILN_U64, UINT64S},
    {ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16, KILN_BF16, INT32S},
};
enum { TYPES = sizeof types / sizeof *types };

static int row_of(int64_t onnx)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].onnx == onnx)
            return i;
    return -1;
}

bool kiln_onnx_type(int64_t onnx, kiln_type *type)
{
    const int row = row_of(onnx);
    if (row >= 0)
        *type = types[row].type;
    return row >= 0;
}

int kiln_onnx_type_of(kiln_type type)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].type == type)
            return types[i].onnx;
    return 0;
}

/* Keep the low bytes of each of count integers: little-endian, as the file's raw bytes. */
static void narrow(unsigned char *to, size_t size, const void *from, size_t wide, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * size, (const unsigned char *)from + i * wide, size);
}

static kiln_status take_list(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what, int row,
                             size_t count, kiln_array *out)
{
    const struct {
        size_t count;
        const void *data;
        size_t size;
    } lists[] =
        {
            [FLOATS] = {t->n_float_data, t->float_data, sizeof(float)},
            [INT32S] = {t->n_int32_data, t->int32_data, sizeof(int32_t)},
            [INT64S] = {t->n_int64_data, t->int64_data, sizeof(int64_t)},
            [DOUBLES] = {t->n_double_data, t->double_data, sizeof(double)},
            [UINT64S] = {t->n_uint64_data, t->uint64_data, sizeof(uint64_t)},
        },
      *list = &lists[types[row].list];
    const size_t size = kiln_type_size(out->type);
    if (list->count != count)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its shape has %zu elements, its data %zu", what, count,
                              list->count);
    out->data =
        size == list->size ? (void *)(uintptr_t)list->data : kiln_arena_alloc(&m->arena, count * size + 1);
    if (count && !out->data)
        return kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
    if (size != list->size)
        narrow(out->data, size, list->data, list->size, count);
    return KILN_OK;
}

static kiln_status take_raw(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what, size_t count,
                            kiln_array *out)
{
    const size_t bytes = count * kiln_type_size(out->type);
    if (t->raw_data.len != bytes)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its shape needs %zu bytes, its raw data has %zu", what,
                              bytes, t->raw_data.len);
    out->data = t->raw_data.data;
    return KILN_OK;
}

/* Any byte but 0 is true: an untrusted file may hold others than 1. */
static kiln_status clean_bools(struct kiln_onnx *m, const char *what, size_t count, kiln_array *out)
{
    const unsigned char *from = out->data;
    unsigned char *to = kiln_arena_alloc(&m->arena, count + 1);
    if (!to)
        return kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
    for (size_t i = 0; i < count; i++)
        to[i] = from[i] != 0;
    out->data = to;
    return KILN_OK;
}

kiln_status kiln_onnx_take_shape(struct kiln_onnx *m, const int64_t *dims, size_t rank, const char *what,
                                 kiln_array *out, size_t *count)
{
    if (rank > KILN_MAX_RANK)
        return kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED, "%s: rank %zu, the largest is %d", what, rank,
                              KILN_MAX_RANK);
    out->shape.rank = (int)rank;
    *count = 1;
    for (size_t i = 0; i < rank; i++) {
        out->shape.size[i] = dims[i];
        if (dims[i] < 0)
            return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: size %lld of axis %zu is negative", what,
                                  (long long)dims[i], i);
        if ((uint64_t)dims[i] > SIZE_MAX || !kiln_size_mul(*count, (size_t)dims[i], count))
            return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its sizes are too large to multiply", what);
    }
    size_t bytes;
    if (!kiln_size_mul(*count, kiln_type_size(out->type), &bytes) || bytes > PTRDIFF_MAX)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: its sizes are too large to multiply", what);
    return KILN_OK;
}

static kiln_status take_elements(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what, int row,
                                 size_t count, kiln_array *out)
{
    if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || t->n_external_data)
        return kiln_onnx_take_external(m, t, what, count * kiln_type_size(out->type), out);
    return t->has_raw_data ? take_raw(m, t, what, count, out) : take_list(m, t, what, row, count, out);
}

kiln_status kiln_onnx_tensor(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                             kiln_array *out)
{
    const int row = row_of(t->data_type);
    size_t count = 0;
    *out = (kiln_array){0};
    if (t->segment)
        return kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED,
                              "%s: its data comes in segments, which is not supported", what);
    if (row < 0)
        return kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED, "%s: elements of ONNX type %d are not supported",
                              what, t->data_type);
    out->type = types[row].type;
    kiln_status status = kiln_onnx_take_shape(m, t->dims, t->n_dims, what, out, &count);
    if (!status)
        status = take_elements(m, t, what, row, count, out);
    if (!status && out->type == KILN_BOOL)
        status = clean_bools(m, what, count, out);
    if (!status && !out->data)
        out->data = &m->arena; /* of no element: not NULL, never read */
    return status;
}

kiln_status kiln_onnx_packed_tensor(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                                    kiln_array *out)
{
    kiln_array pairs = {.type = KILN_U8};
    size_t count = 0;
    *out = (kiln_array){.type = t->data_type == KILN_ONNX_INT4 ? KILN_I8 : KILN_U8};
    kiln_status status = kiln_onnx_take_shape(m, t->dims, t->n_dims, what, out, &count);
    if (!status)
        status =
            take_elements(m, t, what, row_of(ONNX__TENSOR_PROTO__DATA_TYPE__UINT8), (count + 1) / 2, &pairs);
    unsigned char *to = status ? NULL : kiln_arena_alloc(&m->arena, count + 1);
    if (!status && !to)
        return kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
    for (size_t i = 0; to && i < count; i++) {
        const int value = ((const unsigned char *)pairs.data)[i / 2] >> i % 2 * 4 & 15;
        to[i] = (unsigned char)(out->type == KILN_I8 && value > 7 ? value - 16 : value);
    }
    out->data = to;
    return status;
}

kiln_status kiln_onnx_load_tensor(kiln_array *out, const char *path)
{
    struct kiln_onnx m = {.path = path};
    struct kiln_file file = {0};
    kiln_array view;
    *out = (kiln_array){0};
    kiln_status status = kiln_file_map(&file, path);
    Onnx__TensorProto *t =
        status ? NULL : kiln_onnx_unpack(path, &onnx__tensor_proto__descriptor, file.data, file.size);
    if (!status)
        status = t ? kiln_onnx_tensor(&m, t, "tensor", &view) : KILN_ERROR_FILE;
    if (!status) {
        const size_t bytes = (size_t)kiln_shape_count(&view.shape) * kiln_type_size(view.type);
        void *data = malloc(bytes + 1);
        if (data)
            *out = (kiln_array){.data = memcpy(data, view.data, bytes),
                                .bytes = bytes,
                                .type = view.type,
                                .shape = view.shape};
        else
            status = kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", path);
    }
    kiln_onnx_free(t);
    kiln_arena_finish(&m.arena);
    kiln_file_unmap(&file);
    return status;
}
