/*
 * onnx_value.c - the values of a model: known while reading, or computed by the graph; the first become the second when a
 * node needs them there.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include <kiln/indexing.h>

#include "base/half.h"
#include "base/log.h"
#include "import/onnx.h"

struct kiln_onnx_value *kiln_onnx_find(const struct kiln_onnx *m, const char *name)
{
    const int index = kiln_map_find(&m->names, name);
    return index < 0 ? NULL : m->value.data[index];
}

struct kiln_onnx_value *kiln_onnx_find_made(const struct kiln_onnx *m, const char *name)
{
    struct kiln_onnx_value *v = kiln_onnx_find(m, name);
    return v && (v->tensor.id || v->known || v->sequence || v->absent || v->refused) ? v : NULL;
}

struct kiln_onnx_value *kiln_onnx_add(struct kiln_onnx *m, const char *name)
{
    if (kiln_map_find(&m->names, name) >= 0) {
        kiln_onnx_fail(m, KILN_ERROR_FILE, "\"%s\" is made twice", name);
        return NULL;
    }
    struct kiln_onnx_value *v = kiln_arena_alloc(&m->arena, sizeof *v);
    if (!v || !kiln_map_put(&m->names, name, m->value.count) || !kiln_vec_push(&m->value, v)) {
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "value \"%s\": out of memory", name);
        return NULL;
    }
    v->name = name;
    v->index = m->value.count - 1;
    return v;
}

enum { MOST_SIZES = 16 }; /* of a value that holds sizes which are not known */

void kiln_onnx_alias(struct kiln_onnx *m, const char *name, struct kiln_onnx_value *v)
{
    if (!kiln_map_put(&m->names, name, m->value.count) || !kiln_vec_push(&m->value, v))
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "value \"%s\": out of memory", name);
}

/* A weight is declared under its first name, and is a value like others under the second. */
void kiln_onnx_become(struct kiln_onnx *m, struct kiln_onnx_value *v, struct kiln_onnx_value *from)
{
    const struct kiln_onnx_value own = *v;
    const bool learned = from->role != KILN_ONNX_CONSTANT;
    if (learned)
        kiln_onnx_tensor_of(m, from);
    *v = *from;
    v->name = own.name;
    v->index = own.index;
    v->known = from->known && !learned;
    v->role = KILN_ONNX_CONSTANT;
}

/* Elements while reading --------------------------------------------------------------------------------- */

static struct kiln_onnx_item load(kiln_type type, const void *data, int64_t i)
{
    struct kiln_onnx_item item = {0};
    switch (type) {
    case KILN_F32:
        item.r = ((const float *)data)[i];
        break;
    case KILN_F64:
        item.r = ((const double *)data)[i];
        break;
    case KILN_F16:
        item.r = kiln_half_to(((const uint16_t *)data)[i]);
        break;
    case KILN_BF16:
        item.r = kiln_bf16_to(((const uint16_t *)data)[i]);
        break;
    case KILN_I64:
    case KILN_U64:
        item.i = ((const int64_t *)data)[i];
        break;
    case KILN_I32:
        item.i = ((const int32_t *)data)[i];
        break;
    case KILN_U32:
        item.i = ((const uint32_t *)data)[i];
        break;
    case KILN_I16:
        item.i = ((const int16_t *)data)[i];
        break;
    case KILN_U16:
        item.i = ((const uint16_t *)data)[i];
        break;
    case KILN_I8:
        item.i = ((const int8_t *)data)[i];
        break;
    case KILN_U8:
    case KILN_BOOL:
        item.i = ((const uint8_t *)data)[i];
        break;
    }
    return item;
}

static void store(kiln_type type, void *data, int64_t i, struct kiln_onnx_item item)
{
    const float r = (float)item.r;
    const uint16_t half = type == KILN_F16 ? kiln_half_from(r) : kiln_bf16_from(r);
    const size_t size = kiln_type_size(type);
    const void *from = type == KILN_F32   ? (const void *)&r
                       : type == KILN_F64 ? (const void *)&item.r
                                          : (const void *)&half;
    if (!kiln_type_is_real(type))
        from = &item.i; /* little-endian: the low bytes come first */
    memcpy((unsigned char *)data + (size_t)i * size, from, size);
}

struct kiln_onnx_item *kiln_onnx_new_items(struct kiln_onnx *m, int64_t count)
{
    if (count < 0 || count > KILN_ONNX_MOST_ITEMS || count + 1 > m->shared->items_left)
        return NULL;
    m->shared->items_left -= count + 1;
    struct kiln_onnx_item *items = kiln_arena_alloc(&m->arena, ((size_t)count + 1) * sizeof *items);
    if (!items)
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "out of memory");
    return items;
}

struct kiln_onnx_item *kiln_onnx_items(struct kiln_onnx *m, struct kiln_onnx_value *v)
{
    const int64_t count = kiln_shape_count(&v->spec.shape);
    if (!v->known || v->items)
        return v->items;
    v->items = kiln_onnx_new_items(m, count);
    for (int64_t i = 0; v->items && i < count; i++)
        v->items[i] = load(v->spec.type, v->data, i);
    return v->items;
}

/* Elements in the graph ---------------------------------------------------------------------------------- */

/* The dense elements of a value whose items were computed; NULL where one of them is a symbol. */
static const void *pack(struct kiln_onnx *m, const struct kiln_onnx_value *v)
{
    const int64_t count = kiln_shape_count(&v->spec.shape);
    void *data = kiln_arena_alloc(&m->arena, (size_t)count * kiln_type_size(v->spec.type) + 1);
    for (int64_t i = 0; i < count; i++) {
        if (data && v->items[i].symbol)
            return NULL;
        if (data)
            store(v->spec.type, data, i, v->items[i]);
    }
    if (!data)
        kiln_onnx_fail(m, KILN_ERROR_MEMORY, "value \"%s\": out of memory", v->name);
    return data;
}

/* A program in float32 makes of such numbers the largest that it has: 1e300 is a mask, as a rule, and stays one. */
static void tell_range(struct kiln_onnx *m, const struct kiln_onnx_value *v)
{
    const double *x = v->data;
    const int64_t count = kiln_shape_count(&v->spec.shape);
    if (v->spec.type != KILN_F64 || m->shared->told_range)
        return;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(x[i]) && fabs(x[i]) > FLT_MAX) {
            m->shared->told_range = true;
            kiln_warn(
                "%s: \"%s\" holds %g, which float32 has not: programs in it take %g instead, those in float64 "
                "as it is",
                m->path, v->name, x[i], copysign(FLT_MAX, x[i]));
            return;
        }
}

/* Parameters and states begin with zeros in the graph; kiln_onnx_load writes the file's values to the weights. */
static kiln_tensor declare(struct kiln_onnx *m, const struct kiln_onnx_value *v)
{
    const kiln_init zeros = {.kind = KILN_INIT_ZEROS};
    const kiln_spec s = v->spec;
    if (v->role == KILN_ONNX_PARAMETER)
        return kiln_parameter(m->g, v->name, s.shape, &zeros);
    if (v->role == KILN_ONNX_STATE)
        return kiln_state(m->g, v->name, s.type, s.shape, KILN_STORE_WEIGHTS);
    tell_range(m, v);
    const kiln_tensor constant =
        kiln_constant(m->g,
                      &(kiln_array){.data = (void *)(uintptr_t)v->data, .type = s.type, .shape = s.shape});
    return v->initializer && !kiln_find(m->g, v->name).id ? kiln_name(m->g, constant, v->name) : constant;
}

kiln_tensor kiln_onnx_size_value(kiln_graph *g, int64_t size, kiln_type type)
{
    if (size >= 0)
        return kiln_scalar(g, type, (double)size);
    const kiln_tensor places = kiln_sequence(g, KILN_I32, 0, 1, size);
    return kiln_cast(g, kiln_count_of(g, places, (kiln_axes){0}), type);
}

kiln_tensor kiln_onnx_axis_size(kiln_graph *g, kiln_tensor x, int axis)
{
    const int64_t size = kiln_tensor_shape(g, x).size[axis];
    return size >= 0 ? kiln_scalar(g, KILN_I32, (double)size)
                     : kiln_cast(g, kiln_count_of(g, x, KILN_AXES(axis)), KILN_I32);
}

/* Numbers of which some are sizes that are not known yet. */
static kiln_tensor join_sizes(struct kiln_onnx *m, const struct kiln_onnx_value *v)
{
    const int64_t count = kiln_shape_count(&v->spec.shape);
    kiln_tensor *part =
        count <= MOST_SIZES ? kiln_arena_alloc(&m->arena, (size_t)count * sizeof *part) : NULL;
    for (int64_t i = 0; part && i < count; i++) {
        const struct kiln_onnx_item item = v->items[i];
        const double number = kiln_type_is_real(v->spec.type) ? item.r : (double)item.i;
        part[i] = item.symbol ? kiln_onnx_size_value(m->g, item.i, v->spec.type)
                              : kiln_scalar(m->g, v->spec.type, number);
        part[i] = kiln_reshape(m->g, part[i], KILN_SHAPE(1));
    }
    if (!part || v->spec.type == KILN_BOOL)
        return KILN_NONE;
    return kiln_reshape(m->g, count == 1 ? *part : kiln_concat(m->g, part, (int)count, 0), v->spec.shape);
}

kiln_tensor kiln_onnx_tensor_of(struct kiln_onnx *m, struct kiln_onnx_value *v)
{
    if (v->tensor.id || !v->known)
        return v->tensor;
    if (!v->data)
        v->data = pack(m, v);
    if (v->data)
        v->tensor = declare(m, v);
    else if (!m->status)
        v->tensor = join_sizes(m, v);
    return v->tensor;
}
