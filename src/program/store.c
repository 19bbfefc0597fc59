/* store.c - see store.h. */
#include "program/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/convert.h"
#include "program/transfer.h"

enum {
    ALIGN = 64,               /* elements: 256 bytes at 4 bytes an element */
    STATE_ALIGN = 32,         /* 8-byte elements */
    CHUNK_ELEMENTS = 1 << 28, /* 1 GiB of floats */
    PIECE_BYTES = 16 << 20,   /* of lent values that go to a device at once */
};

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "weights: out of memory");
}

/* Layout ------------------------------------------------------------------------------------------------- */

const struct kiln_entry *kiln_store_find(const struct kiln_store_data *s, const char *name)
{
    const int index = kiln_map_find(&s->names, name);
    return index < 0 ? NULL : &s->entry.data[index];
}

int kiln_store_arena(struct kiln_store_data *s, const char *name, bool make)
{
    for (int i = 0; i < s->arena.count; i++)
        if (!strcmp(s->arena.data[i], name))
            return i;
    const char *copy = make ? kiln_arena_text(&s->memory, name) : NULL;
    return copy && kiln_vec_push(&s->arena, copy) ? s->arena.count - 1 : -1;
}

/* Lay a tensor behind the others of its chunk, or in a new chunk where it would not fit. `fresh` chunks belong to this call. */
static bool lay(struct kiln_store_data *s, struct kiln_entry *e, int *fresh)
{
    const uint64_t count = (uint64_t)kiln_shape_count(&e->spec.shape),
                   align = e->parameter ? ALIGN : STATE_ALIGN;
    const uint64_t room = (count + align - 1) / align * align;
    uint64_t *const last =
        e->parameter ? (s->chunk.count ? &s->chunk.data[s->chunk.count - 1] : NULL)
                     : (s->state_chunk.count ? &s->state_chunk.data[s->state_chunk.count - 1] : NULL);
    if (*fresh && last && (*last + room <= CHUNK_ELEMENTS || *last == 0)) {
        e->chunk = (e->parameter ? s->chunk.count : s->state_chunk.count) - 1;
        e->element = *last;
        *last += room;
        return true;
    }
    *fresh = 1;
    e->chunk = e->parameter ? s->chunk.count : s->state_chunk.count;
    e->element = 0;
    return e->parameter ? kiln_vec_push(&s->chunk, room) : kiln_vec_push(&s->state_chunk, room);
}

static bool keep_init(struct kiln_store_data *s, struct kiln_entry *e)
{
    if (e->init.kind != KILN_INIT_VALUES)
        return true;
    kiln_array *copy = kiln_arena_copy(&s->memory, e->init.values, sizeof *copy);
    const size_t bytes = (size_t)kiln_shape_count(&e->spec.shape) * kiln_type_size(e->init.values->type);
    if (copy)
        copy->data = kiln_arena_copy(&s->memory, e->init.values->data, bytes);
    e->init.values = copy;
    return copy && (copy->data || !bytes);
}

static kiln_status add_entry(struct kiln_store_data *s, const char *name, const struct kiln_leaf_params *p,
                             bool parameter, int *fresh)
{
    const struct kiln_entry *known = kiln_store_find(s, name);
    char was[96], is[96];
    if (known && known->spec.type == p->spec.type && kiln_shape_equal(&known->spec.shape, &p->spec.shape))
        return KILN_OK;
    if (known)
        return kiln_fail(KILN_ERROR_SHAPE, "weights: \"%s\" is %s %s here, the graph declares %s %s", name,
                         kiln_type_name(known->spec.type),
                         kiln_shape_text(&known->spec.shape, was, sizeof was), kiln_type_name(p->spec.type),
                         kiln_shape_text(&p->spec.shape, is, sizeof is));
    struct kiln_entry e = {
        .name = kiln_arena_text(&s->memory, name), .spec = p->spec, .init = p->init, .parameter = parameter};
    e.lent = kiln_arena_alloc(&s->memory, sizeof *e.lent);
    if (!e.name || !e.lent || !keep_init(s, &e) || !lay(s, &e, fresh) || !kiln_vec_push(&s->entry, e))
        return out_of_memory();
    if (!kiln_map_put(&s->names, name, s->entry.count - 1))
        return out_of_memory();
    return !parameter || kiln_vec_push(&s->parameter, s->entry.count - 1) ? KILN_OK : out_of_memory();
}

static kiln_status check_graph(const kiln_graph *g)
{
    return g->status ? kiln_fail(g->status, "weights: the graph \"%s\" has failed: %s", g->name,
                                 kiln_graph_error(g))
                     : KILN_OK;
}

/* Whether a graph has a tensor for this store that is not here yet. */
static bool brings_new(const struct kiln_store_data *s, const kiln_graph *g)
{
    bool is_new = false;
    for (int i = 0; i < g->parameter.count && s->kind == KILN_STORE_WEIGHTS; i++)
        is_new |= !kiln_store_find(s, kiln_tensor_name(g, g->parameter.data[i]));
    for (int i = 0; i < g->state.count; i++) {
        const struct kiln_leaf_params *p = kiln_graph_node(g, g->state.data[i].state)->params;
        is_new |= p->store == s->kind && !kiln_store_find(s, kiln_tensor_name(g, g->state.data[i].state));
    }
    return is_new;
}

static kiln_status add_all(struct kiln_store_data *s, const kiln_graph *g)
{
    int fresh_parameters = 0, fresh_states = 0;
    kiln_status status = KILN_OK;
    for (int i = 0; i < g->parameter.count && !status && s->kind == KILN_STORE_WEIGHTS; i++) {
        const kiln_tensor t = g->parameter.data[i];
        status = add_entry(s, kiln_tensor_name(g, t), kiln_graph_node(g, t)->params, true, &fresh_parameters);
    }
    for (int i = 0; i < g->state.count && !status; i++) {
        const kiln_tensor t = g->state.data[i].state;
        const struct kiln_leaf_params *p = kiln_graph_node(g, t)->params;
        if (p->store == s->kind)
            status = add_entry(s, kiln_tensor_name(g, t), p, false, &fresh_states);
    }
    return status;
}

/* Copies ------------------------------------------------------------------------------------------------- */

static kiln_status make_buffer(struct kiln_copy *c, uint64_t bytes, struct kiln_buffer **out)
{
    bytes = bytes ? bytes : 256;
    if (c->dev) {
        const struct kiln_buffer_params params = {.bytes = bytes,
                                                  .heap = KILN_HEAP_DEVICE,
                                                  .name = "weights"};
        const kiln_status status = kiln_buffer_create(c->dev, &params, out);
        return status ? status : kiln_buffer_clear(c->dev, *out);
    }
    struct kiln_buffer *b = calloc(1, sizeof *b);
    if (b && (b->map = calloc(1, (size_t)bytes))) {
        b->bytes = bytes;
        *out = b;
        return KILN_OK;
    }
    free(b);
    return out_of_memory();
}

static void free_buffer(struct kiln_copy *c, struct kiln_buffer *b)
{
    if (c->dev) {
        kiln_buffer_destroy(c->dev, &b);
    } else if (b) {
        free(b->map);
        free(b);
    }
}

static void free_copy(struct kiln_copy *c)
{
    if (!c)
        return;
    if (c->dev && c->ticket)
        kiln_wait(c->dev, c->ticket);
    for (int i = 0; i < c->arena.count; i++)
        free_buffer(c, c->arena.data[i]);
    for (int i = 0; i < c->state.count; i++)
        free_buffer(c, c->state.data[i]);
    kiln_vec_finish(&c->arena);
    kiln_vec_finish(&c->state);
    if (c->dev)
        kiln_device_close(&c->dev);
    free(c);
}

/* Buffers of arena a, chunk k lie at [a + k * MOST_ARENAS], so that new arenas and new chunks move none. */
enum { MOST_ARENAS = 32 };

struct kiln_buffer *kiln_copy_arena(const struct kiln_copy *c, int arena, int chunk)
{
    return c->arena.data[arena + chunk * MOST_ARENAS];
}

/* Make the buffers that the copy lacks. */
static kiln_status complete(struct kiln_store_data *s, struct kiln_copy *c)
{
    kiln_status status = KILN_OK;
    const int slots = s->chunk.count * MOST_ARENAS;
    if (s->arena.count > MOST_ARENAS)
        return kiln_fail(KILN_ERROR_ARGUMENT, "weights: more than %d arenas of optimizer state", MOST_ARENAS);
    while (c->arena.count < slots)
        if (!kiln_vec_push(&c->arena, NULL))
            return out_of_memory();
    for (int k = 0; k < s->chunk.count; k++)
        for (int a = 0; a < s->arena.count && !status; a++)
            if (!c->arena.data[a + k * MOST_ARENAS])
                status = make_buffer(c, s->chunk.data[k] * kiln_storage_size(KILN_F32, c->storage),
                                     &c->arena.data[a + k * MOST_ARENAS]);
    while (c->state.count < s->state_chunk.count && !status) {
        struct kiln_buffer *b = NULL;
        status = make_buffer(c, s->state_chunk.data[c->state.count] * 8, &b);
        if (!status && !kiln_vec_push(&c->state, b)) {
            free_buffer(c, b);
            status = out_of_memory();
        }
    }
    return status;
}

static struct kiln_copy *find_copy(const struct kiln_store_data *s, const kiln_device *dev,
                                   enum kiln_storage storage)
{
    for (int i = 0; i < s->copy.count; i++)
        if (s->copy.data[i]->dev == dev && s->copy.data[i]->storage == storage)
            return s->copy.data[i];
    return NULL;
}

static struct kiln_copy *add_copy(struct kiln_store_data *s, kiln_device *dev, enum kiln_storage storage)
{
    struct kiln_copy *c = calloc(1, sizeof *c);
    if (!c || !kiln_vec_push(&s->copy, c)) {
        free(c);
        return NULL;
    }
    c->dev = dev ? kiln_device_retain(dev) : NULL;
    c->storage = storage;
    return c;
}

static bool is_double(const struct kiln_copy *c)
{
    return c->storage == KILN_STORAGE_DOUBLE;
}

/* Of several copies that are up to date a float64 one: what is written to it keeps its precision. */
static struct kiln_copy *newest(const struct kiln_store_data *s)
{
    struct kiln_copy *best = NULL;
    for (int i = 0; i < s->copy.count; i++) {
        struct kiln_copy *c = s->copy.data[i];
        if (c->version == s->version && (!best || (is_double(c) && !is_double(best))))
            best = c;
    }
    return best ? best : s->copy.data[0];
}

kiln_status kiln_store_copy(struct kiln_store_data *s, kiln_device *dev, enum kiln_storage storage,
                            struct kiln_copy **out)
{
    pthread_mutex_lock(&s->lock);
    struct kiln_copy *c = find_copy(s, dev, storage);
    if (!c)
        c = add_copy(s, dev, storage);
    const kiln_status status = c ? complete(s, c) : out_of_memory();
    pthread_mutex_unlock(&s->lock);
    *out = status ? NULL : c;
    return status;
}

/* Whether the values are here; a plan that runs without them gave them up. */
static kiln_status check_there(const struct kiln_store_data *s)
{
    return s->owner ? kiln_fail(KILN_ERROR_ARGUMENT, "weights: a program was told to give them up, and has")
                    : KILN_OK;
}

/* Values ------------------------------------------------------------------------------------------------- */

static void release(const struct kiln_entry *e)
{
    const struct kiln_lent lent = *e->lent;
    *e->lent = (struct kiln_lent){0};
    if (lent.data)
        lent.loan.release(lent.loan.user);
}

static void rest(const struct kiln_entry *e, const void *from, size_t bytes)
{
    if (e->lent->loan.rest)
        e->lent->loan.rest(e->lent->loan.user, from, bytes);
}

/* Whether the values are read elsewhere than in the copy's memory. */
static bool is_lent(const struct kiln_copy *c, int arena, const struct kiln_entry *e)
{
    return !c->dev && !arena && e->lent && e->lent->data;
}

static struct kiln_buffer *buffer_of(const struct kiln_copy *c, int arena, const struct kiln_entry *e)
{
    return e->parameter ? kiln_copy_arena(c, arena, e->chunk) : c->state.data[e->chunk];
}

/* Where a tensor begins in its buffer: states, in elements of 8 bytes whatever their type. */
static uint64_t offset_of(const struct kiln_copy *c, const struct kiln_entry *e)
{
    return e->element * (e->parameter ? kiln_type_size(kiln_storage_type(e->spec.type, c->storage)) : 8);
}

/* A tensor's own bytes in the host's copy, and those that hold its values. */
static unsigned char *own_bytes(const struct kiln_copy *c, int arena, const struct kiln_entry *e)
{
    return (unsigned char *)buffer_of(c, arena, e)->map + offset_of(c, e);
}

static unsigned char *host_bytes(const struct kiln_copy *c, int arena, const struct kiln_entry *e)
{
    return is_lent(c, arena, e) ? (unsigned char *)(uintptr_t)e->lent->data : own_bytes(c, arena, e);
}

/* Bytes of a tensor, from its first + skip on. */
static kiln_status move_bytes(struct kiln_copy *c, int arena, const struct kiln_entry *e, uint64_t skip,
                              void *host, uint64_t bytes, bool write)
{
    if (c->dev && c->ticket) {
        const kiln_status status = kiln_wait(c->dev, c->ticket);
        if (status)
            return status;
    }
    struct kiln_buffer *b = buffer_of(c, arena, e);
    if (c->dev)
        return write ? kiln_buffer_write(c->dev, b, offset_of(c, e) + skip, host, bytes)
                     : kiln_buffer_read(c->dev, b, offset_of(c, e) + skip, host, bytes);
    unsigned char *at = (write ? own_bytes(c, arena, e) : host_bytes(c, arena, e)) + skip;
    memcpy(write ? at : host, write ? host : at, (size_t)bytes);
    if (is_lent(c, arena, e) && write)
        release(e); /* not before: what is written may be what was lent */
    else if (is_lent(c, arena, e))
        rest(e, at, (size_t)bytes);
    return KILN_OK;
}

/* Move a tensor between a copy and dense memory of any type. */
static kiln_status move_entry(struct kiln_copy *c, int arena, const struct kiln_entry *e, void *host,
                              kiln_type type, bool write)
{
    const kiln_type stored = kiln_storage_type(e->spec.type, c->storage);
    const size_t count = (size_t)kiln_shape_count(&e->spec.shape), size = kiln_type_size(stored);
    if (stored == type)
        return move_bytes(c, arena, e, 0, host, count * size, write);
    void *between = malloc(count * size + 1);
    if (!between)
        return out_of_memory();
    if (write)
        kiln_convert(between, stored, host, type, count);
    kiln_status status = move_bytes(c, arena, e, 0, between, count * size, write);
    if (!status && !write)
        kiln_convert(host, type, between, stored, count);
    free(between);
    return status;
}

/* Where a tensor's values lie in the host's copy, if as that type; NULL elsewhere. */
static void *in_place(const struct kiln_copy *c, int arena, const struct kiln_entry *e, kiln_type type)
{
    if (c->dev || kiln_storage_type(e->spec.type, c->storage) != type)
        return NULL;
    return host_bytes(c, arena, e);
}

/* Piece by piece, so that no more of a mapped file is in memory than that. */
static kiln_status transfer_lent(struct kiln_copy *to, const struct kiln_entry *e)
{
    const uint64_t bytes = (uint64_t)kiln_shape_count(&e->spec.shape) * kiln_type_size(e->spec.type);
    unsigned char *from = (unsigned char *)(uintptr_t)e->lent->data;
    kiln_status status = KILN_OK;
    for (uint64_t done = 0; done < bytes && !status; done += PIECE_BYTES) {
        const uint64_t size = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
        status = move_bytes(to, 0, e, done, from + done, size, true);
        rest(e, from + done, (size_t)size);
    }
    return status;
}

static kiln_status transfer_entry(struct kiln_copy *from, struct kiln_copy *to, int arena,
                                  const struct kiln_entry *e, kiln_type type)
{
    if (is_lent(from, arena, e) && to->dev && kiln_storage_type(e->spec.type, to->storage) == e->spec.type)
        return transfer_lent(to, e);
    void *there = in_place(from, arena, e, type);
    void *values =
        there ? there : malloc((size_t)kiln_shape_count(&e->spec.shape) * kiln_type_size(type) + 1);
    kiln_status status = values ? KILN_OK : out_of_memory();
    if (!status && !there)
        status = move_entry(from, arena, e, values, type, false);
    if (!status)
        status = move_entry(to, arena, e, values, type, true);
    if (!there)
        free(values);
    return status;
}

/* Tensor by tensor: what a copy of another precision or device holds. */
static kiln_status transfer(struct kiln_store_data *s, struct kiln_copy *from, struct kiln_copy *to)
{
    const bool both = is_double(from) && is_double(to);
    kiln_status status = KILN_OK;
    for (int i = 0; i < s->entry.count && !status; i++) {
        const struct kiln_entry *e = &s->entry.data[i];
        const kiln_type type =
            kiln_storage_type(e->spec.type, both ? KILN_STORAGE_DOUBLE : KILN_STORAGE_SINGLE);
        for (int a = 0; a < (e->parameter ? s->arena.count : 1) && !status; a++)
            status = transfer_entry(from, to, a, e, type);
    }
    return status;
}

static void release_all(struct kiln_store_data *s)
{
    for (int i = 0; i < s->entry.count; i++)
        release(&s->entry.data[i]);
}

/* The host's copy has served once a device holds the same. */
static void drop_host(struct kiln_store_data *s, const struct kiln_copy *kept)
{
    for (int i = 0; i < s->copy.count; i++) {
        struct kiln_copy *c = s->copy.data[i];
        if (c->dev || c == kept || kept->version != s->version)
            continue;
        s->copy.data[i] = s->copy.data[--s->copy.count];
        free_copy(c);
        release_all(s);
        return;
    }
}

static kiln_status refresh(struct kiln_store_data *s, struct kiln_copy *c)
{
    kiln_status status = complete(s, c);
    struct kiln_copy *from = newest(s);
    if (!status && c->version != s->version) {
        status = check_there(s);
        if (!status)
            status = complete(s, from);
        if (!status)
            status = transfer(s, from, c);
        if (!status) {
            c->version = s->version;
            drop_host(s, c);
        }
    }
    return status;
}

kiln_status kiln_store_refresh(struct kiln_store_data *s, struct kiln_copy *c, uint64_t *version)
{
    pthread_mutex_lock(&s->lock);
    const kiln_status status = refresh(s, c);
    *version = c->version;
    pthread_mutex_unlock(&s->lock);
    return status;
}

uint64_t kiln_store_used(struct kiln_store_data *s, struct kiln_copy *c, kiln_ticket ticket, bool writes)
{
    pthread_mutex_lock(&s->lock);
    c->ticket = ticket > c->ticket ? ticket : c->ticket;
    if (writes)
        c->version = ++s->version;
    const uint64_t version = c->version;
    pthread_mutex_unlock(&s->lock);
    return version;
}

kiln_status kiln_store_wait(struct kiln_store_data *s, const struct kiln_copy *c)
{
    pthread_mutex_lock(&s->lock);
    const kiln_ticket ticket = c->ticket;
    pthread_mutex_unlock(&s->lock);
    return c->dev && ticket ? kiln_wait(c->dev, ticket) : KILN_OK;
}

/* Giving up ---------------------------------------------------------------------------------------------- */

bool kiln_store_claim(struct kiln_store_data *s, const void *plan)
{
    pthread_mutex_lock(&s->lock);
    const bool first = !s->owner;
    if (first)
        s->owner = plan;
    pthread_mutex_unlock(&s->lock);
    return first;
}

bool kiln_store_serves(struct kiln_store_data *s, const void *plan)
{
    pthread_mutex_lock(&s->lock);
    const bool serves = !s->owner || s->owner == plan;
    pthread_mutex_unlock(&s->lock);
    return serves;
}

void kiln_store_disown(struct kiln_store_data *s, const void *plan)
{
    pthread_mutex_lock(&s->lock);
    if (s->owner == plan)
        s->owner = s; /* what the plan had in its own form is gone with it */
    pthread_mutex_unlock(&s->lock);
}

/* Tensors ------------------------------------------------------------------------------------------------ */

/* Move an entry of the newest copy between there and `data`; inwards makes the copy newer still. */
static kiln_status exchange(struct kiln_store_data *s, int arena, const struct kiln_entry *e, void *data,
                            kiln_type type, bool inwards)
{
    pthread_mutex_lock(&s->lock);
    struct kiln_copy *c = newest(s);
    kiln_status status = check_there(s);
    if (!status)
        status = complete(s, c);
    if (!status)
        status = move_entry(c, arena, e, data, type, inwards);
    if (!status && inwards)
        c->version = ++s->version;
    pthread_mutex_unlock(&s->lock);
    return status;
}

kiln_status kiln_store_get(struct kiln_store_data *s, int arena, const struct kiln_entry *e, void *to,
                           kiln_type type)
{
    return exchange(s, arena, e, to, type, false);
}

kiln_status kiln_store_set(struct kiln_store_data *s, int arena, const struct kiln_entry *e, const void *from,
                           kiln_type type)
{
    return exchange(s, arena, e, (void *)(uintptr_t)from, type, true);
}

kiln_status kiln_store_lend(struct kiln_store_data *s, const struct kiln_entry *e,
                            const struct kiln_lent *lent, kiln_type type)
{
    pthread_mutex_lock(&s->lock);
    struct kiln_copy *c = newest(s);
    const bool stays = !c->dev && lent->data && kiln_storage_type(e->spec.type, c->storage) == type;
    kiln_status status = check_there(s);
    if (!status && stays) {
        release(e);
        *e->lent = *lent;
        c->version = ++s->version;
    }
    pthread_mutex_unlock(&s->lock);
    if (!status && !stays)
        status = kiln_store_set(s, 0, e, lent->data, type);
    if (status || !stays)
        lent->loan.release(lent->loan.user);
    return status;
}

kiln_status kiln_store_chunk(struct kiln_store_data *s, int arena, int chunk, float *to, const float *from)
{
    /* a chunk is one long parameter without a name */
    const struct kiln_entry whole = {.spec = {KILN_F32, KILN_SHAPE((int64_t)s->chunk.data[chunk])},
                                     .parameter = true,
                                     .chunk = chunk};
    return from ? kiln_store_set(s, arena, &whole, from, KILN_F32)
                : kiln_store_get(s, arena, &whole, to, KILN_F32);
}

/* Initial values ----------------------------------------------------------------------------------------- */

static kiln_status draw(struct kiln_store_data *s, struct kiln_copy *c, int first, bool fresh)
{
    kiln_status status = KILN_OK;
    for (int i = first; i < s->entry.count && !status; i++) {
        const struct kiln_entry *e = &s->entry.data[i];
        if (fresh && e->init.kind == KILN_INIT_ZEROS)
            continue; /* as the memory is */
        double *values = malloc((size_t)kiln_shape_count(&e->spec.shape) * sizeof *values + 1);
        if (!values)
            return out_of_memory();
        kiln_init_draw(e->name, &e->spec, &e->init, s->seed, values);
        status = move_entry(c, 0, e, values, KILN_F64, true);
        free(values);
    }
    return status;
}

kiln_status kiln_store_add(struct kiln_store_data *s, const kiln_graph *g)
{
    pthread_mutex_lock(&s->lock);
    const int before = s->entry.count;
    kiln_status status = check_graph(g);
    if (!status && brings_new(s, g))
        status = check_there(s);
    if (!status)
        status = add_all(s, g);
    struct kiln_copy *c = newest(s);
    if (!status)
        status = complete(s, c);
    if (!status && s->entry.count > before) {
        status = draw(s, c, before, true);
        c->version = ++s->version;
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

kiln_status kiln_store_reset(struct kiln_store_data *s)
{
    pthread_mutex_lock(&s->lock);
    struct kiln_copy *c = newest(s);
    kiln_status status = check_there(s);
    if (!status) {
        status = draw(s, c, 0, false);
        c->version = ++s->version;
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

uint64_t kiln_store_bytes(const struct kiln_store_data *s, enum kiln_storage storage)
{
    uint64_t elements = 0, states = 0;
    for (int i = 0; i < s->chunk.count; i++)
        elements += s->chunk.data[i];
    for (int i = 0; i < s->state_chunk.count; i++)
        states += s->state_chunk.data[i];
    return elements * (uint64_t)s->arena.count * kiln_storage_size(KILN_F32, storage) + states * 8;
}

/* Life --------------------------------------------------------------------------------------------------- */

struct kiln_store_data *kiln_store_retain(struct kiln_store_data *s)
{
    atomic_fetch_add(&s->references, 1);
    return s;
}

void kiln_store_release(struct kiln_store_data **out)
{
    struct kiln_store_data *s = *out;
    *out = NULL;
    if (!s || atomic_fetch_sub(&s->references, 1) > 1)
        return;
    for (int i = 0; i < s->copy.count; i++)
        free_copy(s->copy.data[i]);
    release_all(s);
    kiln_vec_finish(&s->copy);
    kiln_vec_finish(&s->entry);
    kiln_vec_finish(&s->parameter);
    kiln_vec_finish(&s->chunk);
    kiln_vec_finish(&s->state_chunk);
    kiln_vec_finish(&s->arena);
    kiln_map_finish(&s->names);
    kiln_arena_finish(&s->memory);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

kiln_status kiln_store_create(struct kiln_store_data **out, const kiln_graph *g, uint64_t seed,
                              kiln_store kind)
{
    *out = NULL;
    struct kiln_store_data *s = calloc(1, sizeof *s);
    if (!s)
        return out_of_memory();
    pthread_mutex_init(&s->lock, NULL);
    atomic_init(&s->references, 1);
    s->seed = seed;
    s->kind = kind;
    s->version = 1;
    kiln_status status = KILN_OK;
    if (kiln_store_arena(s, "parameter", true) != 0 || !add_copy(s, NULL, KILN_STORAGE_SINGLE))
        status = out_of_memory();
    if (!status)
        status = kiln_store_add(s, g);
    if (status)
        kiln_store_release(&s);
    *out = s;
    return status;
}
