/*
 * onnx_sparse.c - sparse tensors, as dense ones: zeros, and the values that are listed with their places.
 *
 * Places are a number each, counted over the whole tensor, or one an axis. What all of a model's sparse tensors become has a limit,
 * as a few bytes of a file may name any shape.
 */
#include <string.h>

#include "base/number.h"
#include "import/onnx.h"

struct places {
    const int64_t *at;
    int each; /* numbers a place; 0: one over the whole tensor */
};

static kiln_status take_places(struct kiln_onnx *m, const Onnx__TensorProto *t, const char *what,
                               int64_t count, int rank, struct places *out)
{
    kiln_array array;
    const kiln_status status = kiln_onnx_tensor(m, t, what, &array);
    if (status)
        return status;
    const bool pairs = array.shape.rank == 2 && array.shape.size[1] == rank,
               fits = (pairs || array.shape.rank == 1) && array.shape.size[0] == count;
    if (array.type != KILN_I64 || !fits)
        return kiln_onnx_fail(m, KILN_ERROR_FILE,
                              "%s: its places must be %lld numbers or lists of %d, of type i64", what,
                              (long long)count, rank);
    *out = (struct places){.at = array.data, .each = pairs ? rank : 0};
    return KILN_OK;
}

/* Where value i belongs; -1 for a place outside. */
static int64_t place_of(const struct places *p, int64_t i, const kiln_shape *shape, int64_t count)
{
    int64_t place = p->each ? 0 : p->at[i];
    for (int axis = 0; axis < p->each; axis++) {
        const int64_t at = p->at[i * p->each + axis];
        if (at < 0 || at >= shape->size[axis])
            return -1;
        place = place * shape->size[axis] + at;
    }
    return place < count ? place : -1;
}

static kiln_status make_dense(struct kiln_onnx *m, const char *what, kiln_array *out, size_t *count)
{
    size_t bytes;
    if (!kiln_size_mul(*count, kiln_type_size(out->type), &bytes) || bytes > m->shared->dense_left)
        return kiln_onnx_fail(m, KILN_ERROR_UNSUPPORTED,
                              "%s: the model's sparse tensors become more than %d MiB", what,
                              KILN_ONNX_MOST_DENSE >> 20);
    m->shared->dense_left -= bytes;
    out->data = kiln_arena_alloc(&m->arena, bytes + 1);
    return out->data ? KILN_OK : kiln_onnx_fail(m, KILN_ERROR_MEMORY, "%s: out of memory", what);
}

kiln_status kiln_onnx_sparse(struct kiln_onnx *m, const Onnx__SparseTensorProto *t, const char *what,
                             kiln_array *out)
{
    kiln_array values;
    struct places places = {0};
    size_t count;
    *out = (kiln_array){0};
    if (!t->values || !t->indices)
        return kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: a sparse tensor without values or places", what);
    kiln_status status = kiln_onnx_tensor(m, t->values, what, &values);
    out->type = values.type;
    if (!status)
        status = kiln_onnx_take_shape(m, t->dims, t->n_dims, what, out, &count);
    if (!status && values.shape.rank != 1)
        status = kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: the values of a sparse tensor must be a list", what);
    if (!status)
        status = take_places(m, t->indices, what, values.shape.size[0], out->shape.rank, &places);
    if (!status)
        status = make_dense(m, what, out, &count);
    const size_t size = kiln_type_size(out->type);
    for (int64_t i = 0; !status && i < values.shape.size[0]; i++) {
        const int64_t place = place_of(&places, i, &out->shape, (int64_t)count);
        if (place < 0)
            status = kiln_onnx_fail(m, KILN_ERROR_FILE, "%s: place %lld is outside of its shape", what,
                                    (long long)i);
        else
            memcpy((unsigned char *)out->data + (size_t)place * size,
                   (const unsigned char *)values.data + (size_t)i * size, size);
    }
    return status;
}
