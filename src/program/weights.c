/*
 * weights.c - kiln_weights and kiln_session on top of a store: names to tensors.
 *
 * A tensor of an arena is called "ARENA/PARAMETER"; the arena "parameter" has no prefix.
 */
#include "program/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static kiln_status create(struct kiln_weights **out, const kiln_graph *g, uint64_t seed, kiln_store kind)
{
    *out = NULL;
    struct kiln_weights *w = calloc(1, sizeof *w);
    if (!w)
        return kiln_fail(KILN_ERROR_MEMORY, "weights: out of memory");
    const kiln_status status = kiln_store_create(&w->store, g, seed, kind);
    if (status)
        free(w);
    else
        *out = w;
    return status;
}

kiln_status kiln_weights_create(kiln_weights **out, const kiln_graph *g, const kiln_weights_params *params)
{
    return create(out, g, params ? params->seed : 0, KILN_STORE_WEIGHTS);
}

kiln_status kiln_weights_add(kiln_weights *w, const kiln_graph *g)
{
    return kiln_store_add(w->store, g);
}

void kiln_weights_destroy(kiln_weights **out)
{
    kiln_weights *w = *out;
    *out = NULL;
    if (!w)
        return;
    kiln_store_release(&w->store);
    for (int i = 0; i < w->names.count; i++)
        free(w->names.data[i]);
    kiln_vec_finish(&w->names);
    free(w);
}

/* Names -------------------------------------------------------------------------------------------------- */

int kiln_weights_count(const kiln_weights *w)
{
    const struct kiln_store_data *s = w->store;
    return s->entry.count + (s->arena.count - 1) * s->parameter.count;
}

/* "ARENA/PARAMETER" names are made when first asked for; the list only grows, as the store does. */
const char *kiln_weights_name(const kiln_weights *w, int index)
{
    const struct kiln_store_data *s = w->store;
    if (index < 0 || index >= kiln_weights_count(w))
        return NULL;
    if (index < s->entry.count)
        return s->entry.data[index].name;
    struct kiln_weights *own = (struct kiln_weights *)(uintptr_t)w;
    const int beyond = index - s->entry.count;
    const char *arena = s->arena.data[1 + beyond / s->parameter.count];
    const char *parameter = s->entry.data[s->parameter.data[beyond % s->parameter.count]].name;
    for (int i = 0; i < w->names.count; i++) {
        const size_t length = strlen(arena);
        const char *name = w->names.data[i];
        if (!strncmp(name, arena, length) && name[length] == '/' && !strcmp(name + length + 1, parameter))
            return name;
    }
    const size_t bytes = strlen(arena) + strlen(parameter) + 2;
    char *name = malloc(bytes);
    if (!name || !kiln_vec_push(&own->names, name)) {
        free(name);
        return NULL;
    }
    snprintf(name, bytes, "%s/%s", arena, parameter);
    return name;
}

/* The entry of a full name and the arena it is in; makes the arena if asked to. */
static const struct kiln_entry *find(struct kiln_store_data *s, const char *name, bool make, int *arena)
{
    const struct kiln_entry *e = kiln_store_find(s, name);
    *arena = 0;
    for (const char *slash = strchr(name, '/'); !e && slash; slash = strchr(slash + 1, '/')) {
        char prefix[128];
        const struct kiln_entry *parameter = kiln_store_find(s, slash + 1);
        if (!parameter || !parameter->parameter || (size_t)(slash - name) >= sizeof prefix)
            continue;
        snprintf(prefix, sizeof prefix, "%.*s", (int)(slash - name), name);
        *arena = kiln_store_arena(s, prefix, make);
        e = *arena >= 0 ? parameter : NULL;
    }
    return e;
}

bool kiln_weights_find(const kiln_weights *w, const char *name, kiln_type *type, kiln_shape *shape)
{
    int arena;
    const struct kiln_entry *e = find(w->store, name, false, &arena);
    if (!e)
        return false;
    if (type)
        *type = e->spec.type;
    if (shape)
        *shape = e->spec.shape;
    return true;
}

bool kiln_weights_is_parameter(const kiln_weights *w, const char *name)
{
    const struct kiln_entry *e = kiln_store_find(w->store, name);
    return e && e->parameter;
}

/* Values ------------------------------------------------------------------------------------------------- */

static bool convertible(kiln_type a, kiln_type b)
{
    return kiln_type_is_real(a) == kiln_type_is_real(b);
}

static kiln_status read_tensor(struct kiln_store_data *s, const char *name, kiln_array *dst)
{
    int arena;
    const struct kiln_entry *e = find(s, name, false, &arena);
    if (!e)
        return kiln_fail(KILN_ERROR_ARGUMENT, "weights: there is no tensor \"%s\"", name);
    const kiln_type type = kiln_type_is_real(e->spec.type) && dst->type == KILN_F64 ? KILN_F64 : e->spec.type;
    const size_t bytes = (size_t)kiln_shape_count(&e->spec.shape) * kiln_type_size(type);
    if (dst->bytes && dst->bytes < bytes)
        return kiln_fail(KILN_ERROR_SHAPE, "weights: \"%s\" needs %zu bytes, there is room for %zu", name,
                         bytes, dst->bytes);
    dst->type = type;
    dst->shape = e->spec.shape;
    return kiln_store_get(s, arena, e, dst->data, type);
}

/* The tensor that a write of such an array means. */
static kiln_status find_fitting(struct kiln_store_data *s, const char *name, const kiln_array *src,
                                const struct kiln_entry **out, int *arena)
{
    const struct kiln_entry *e = *out = find(s, name, true, arena);
    char wanted[96], got[96];
    if (!e)
        return kiln_fail(KILN_ERROR_ARGUMENT, "weights: there is no tensor \"%s\"", name);
    if (!kiln_shape_equal(&e->spec.shape, &src->shape) || !convertible(e->spec.type, src->type))
        return kiln_fail(KILN_ERROR_SHAPE, "weights: \"%s\" is %s %s, got %s %s", name,
                         kiln_type_name(e->spec.type), kiln_shape_text(&e->spec.shape, wanted, sizeof wanted),
                         kiln_type_name(src->type), kiln_shape_text(&src->shape, got, sizeof got));
    return KILN_OK;
}

static kiln_status write_tensor(struct kiln_store_data *s, const char *name, const kiln_array *src)
{
    const struct kiln_entry *e;
    int arena;
    const kiln_status status = find_fitting(s, name, src, &e, &arena);
    return status ? status : kiln_store_set(s, arena, e, src->data, src->type);
}

kiln_status kiln_weights_read(kiln_weights *w, const char *name, kiln_array *dst)
{
    return read_tensor(w->store, name, dst);
}

kiln_status kiln_weights_write(kiln_weights *w, const char *name, const kiln_array *src)
{
    return write_tensor(w->store, name, src);
}

/* Through float64, which holds whatever a store keeps of a real tensor. */
kiln_status kiln_weights_copy(kiln_weights *to, kiln_weights *from, const char *name)
{
    kiln_array x = {0};
    if (!kiln_weights_find(from, name, &x.type, &x.shape))
        return kiln_fail(KILN_ERROR_ARGUMENT, "weights: there is no tensor \"%s\" to copy", name);
    x.type = kiln_type_is_real(x.type) ? KILN_F64 : x.type;
    x.bytes = (size_t)kiln_shape_count(&x.shape) * kiln_type_size(x.type);
    if (!(x.data = malloc(x.bytes + 1)))
        return kiln_fail(KILN_ERROR_MEMORY, "weights: no memory for %zu bytes of \"%s\"", x.bytes, name);
    kiln_status status = read_tensor(from->store, name, &x);
    if (!status)
        status = write_tensor(to->store, name, &x);
    free(x.data);
    return status;
}

kiln_status kiln_weights_lend(kiln_weights *w, const char *name, const kiln_array *src, const kiln_loan *loan)
{
    const struct kiln_lent lent = {src->data, *loan};
    const struct kiln_entry *e;
    int arena;
    kiln_status status = find_fitting(w->store, name, src, &e, &arena);
    if (!status && !arena)
        return kiln_store_lend(w->store, e, &lent, src->type);
    if (!status)
        status = kiln_store_set(w->store, arena, e, src->data, src->type);
    loan->release(loan->user);
    return status;
}

/* Gradients as flat memory ------------------------------------------------------------------------------- */

int kiln_weights_gradient_chunks(const kiln_weights *w)
{
    return kiln_store_arena(w->store, "gradient", false) < 0 ? 0 : w->store->chunk.count;
}

size_t kiln_weights_gradient_count(const kiln_weights *w, int index)
{
    return index >= 0 && index < kiln_weights_gradient_chunks(w) ? (size_t)w->store->chunk.data[index] : 0;
}

static kiln_status gradient_chunk(kiln_weights *w, int index, float *to, const float *from)
{
    if (index < 0 || index >= kiln_weights_gradient_chunks(w))
        return kiln_fail(KILN_ERROR_ARGUMENT, "weights: gradient chunk %d of %d", index,
                         kiln_weights_gradient_chunks(w));
    return kiln_store_chunk(w->store, kiln_store_arena(w->store, "gradient", false), index, to, from);
}

kiln_status kiln_weights_gradient_read(kiln_weights *w, int index, float *to)
{
    return gradient_chunk(w, index, to, NULL);
}

kiln_status kiln_weights_gradient_write(kiln_weights *w, int index, const float *from)
{
    return gradient_chunk(w, index, NULL, from);
}

/* Sessions ----------------------------------------------------------------------------------------------- */

kiln_status kiln_session_create(kiln_session **out, const kiln_graph *g)
{
    struct kiln_weights *w;
    const kiln_status status = create(&w, g, 0, KILN_STORE_SESSION);
    *out = (kiln_session *)w;
    return status;
}

void kiln_session_destroy(kiln_session **s)
{
    struct kiln_weights *w = (struct kiln_weights *)*s;
    *s = NULL;
    kiln_weights_destroy(&w);
}

kiln_status kiln_session_reset(kiln_session *s)
{
    return kiln_store_reset(kiln_session_store(s));
}

kiln_status kiln_session_read(kiln_session *s, const char *name, kiln_array *dst)
{
    return read_tensor(kiln_session_store(s), name, dst);
}

kiln_status kiln_session_write(kiln_session *s, const char *name, const kiln_array *src)
{
    return write_tensor(kiln_session_store(s), name, src);
}

struct kiln_store_data *kiln_session_store(kiln_session *s)
{
    return ((struct kiln_weights *)s)->store;
}
