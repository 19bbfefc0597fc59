/*
 * program.c - the public object: take a snapshot of the graph (snapshot.c), take inputs, run, give results.
 *
 * A run finds the ready plan of the sizes that the inputs have (ready.c) and submits its baked lists: uploads of the inputs that
 * changed, the prologue if the weights moved, the body, the copy of the results to the slot's staging memory. Two slots each for
 * inputs and results let one batch be written while another computes.
 */
#include "program/program.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/convert.h"
#include "recorder/truth.h"

kiln_status kiln_program_no_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "program: out of memory");
}

/* Where the compiler finds weights ----------------------------------------------------------------------- */

static kiln_status place_parameter(void *user, const char *name, const kiln_spec *spec, int *chunk,
                                   uint64_t *element)
{
    const kiln_program *p = user;
    const struct kiln_entry *e = kiln_store_find(p->weights->store, name);
    char wanted[96], got[96];
    if (!e || !e->parameter)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: the weights have no parameter \"%s\"", name);
    if (!kiln_shape_equal(&e->spec.shape, &spec->shape))
        return kiln_fail(KILN_ERROR_SHAPE, "program: parameter \"%s\" is %s in the graph, %s in the weights",
                         name, kiln_shape_text(&spec->shape, wanted, sizeof wanted),
                         kiln_shape_text(&e->spec.shape, got, sizeof got));
    *chunk = e->chunk;
    *element = e->element;
    return KILN_OK;
}

static kiln_status place_state(void *user, kiln_store where, const char *name, const kiln_spec *spec,
                               int *chunk, uint64_t *byte)
{
    const kiln_program *p = user;
    if (where == KILN_STORE_SESSION && !p->session)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: state \"%s\" lives in a session, and none was given",
                         name);
    const struct kiln_store_data *s =
        where == KILN_STORE_SESSION ? kiln_session_store(p->session) : p->weights->store;
    const struct kiln_entry *e = kiln_store_find(s, name);
    if (!e || e->parameter || !kiln_shape_equal(&e->spec.shape, &spec->shape) || e->spec.type != spec->type)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: the %s no state \"%s\" of this type and shape",
                         where == KILN_STORE_SESSION ? "session has" : "weights have", name);
    *chunk = e->chunk;
    *byte = e->element * 8;
    return KILN_OK;
}

static kiln_status place_arena(void *user, const char *name, int *index)
{
    kiln_program *p = user;
    *index = kiln_store_arena(p->weights->store, name, true);
    return *index < 0 ? kiln_program_no_memory() : KILN_OK;
}

static uint64_t chunk_elements(void *user, int chunk)
{
    const kiln_program *p = user;
    return p->weights->store->chunk.data[chunk];
}

/* Creating ----------------------------------------------------------------------------------------------- */

static kiln_status share_store(struct kiln_store_data *s, struct kiln_weights **out)
{
    struct kiln_weights *w = calloc(1, sizeof *w);
    *out = w;
    if (!w)
        return kiln_program_no_memory();
    w->store = kiln_store_retain(s);
    return KILN_OK;
}

static kiln_status take_parts(kiln_program *p, kiln_weights *w, const kiln_program_params *params)
{
    kiln_status status = share_store(w->store, &p->weights);
    if (!status && params->session)
        status = share_store(kiln_session_store(params->session), (struct kiln_weights **)&p->session);
    for (int i = 0; i < params->buffer_count && !status; i++)
        if (!kiln_vec_push(&p->own, params->buffers[i]))
            status = kiln_program_no_memory();
    p->places = (struct kiln_places){place_parameter, place_state, place_arena, chunk_elements, p};
    return status;
}

/* Sizes given beforehand, or none needed: plan at once. */
static kiln_status plan_early(kiln_program *p, const kiln_program_params *params)
{
    int64_t *size = malloc((size_t)(p->symbol.count + 1) * sizeof *size);
    struct kiln_ready *ready;
    if (!size)
        return kiln_program_no_memory();
    bool known = true;
    for (int i = 0; i < p->symbol.count; i++) {
        size[i] = -1;
        for (int k = 0; k < params->size_count; k++)
            if (params->sizes[k].symbol == p->symbol.data[i])
                size[i] = params->sizes[k].value;
        known &= size[i] >= 0;
    }
    const kiln_status status = known ? kiln_program_ready(p, size, &ready) : KILN_OK;
    free(size);
    return status;
}

/* Bits of the types that a graph's values have, in a program of that precision. */
static uint32_t types_of(const kiln_graph *g, kiln_precision precision)
{
    uint32_t types = precision == KILN_PRECISION_F16 ? UINT32_C(1) << KILN_F16 : 0;
    for (int i = 0; i < g->value.count; i++)
        types |= UINT32_C(1) << g->value.data[i].spec.type;
    return types;
}

kiln_status kiln_program_create(kiln_program **out, kiln_device *dev, const kiln_graph *g, kiln_weights *w,
                                const kiln_program_params *params)
{
    static const kiln_program_params defaults;
    *out = NULL;
    params = params ? params : &defaults;
    if (g->status)
        return kiln_fail(g->status, "program: the graph \"%s\" has failed: %s", g->name, kiln_graph_error(g));
    if (params->precision == KILN_PRECISION_F64 && !dev->caps.f64)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "program: float64 runs on the CPU, not on \"%s\"",
                         dev->info.name);
    if (params->train && params->give_up)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: one that trains cannot give up its weights");
    kiln_program *p = calloc(1, sizeof *p);
    if (!p)
        return kiln_program_no_memory();
    p->dev = kiln_device_retain(dev);
    p->user_tag = g->tag;
    p->train = params->train;
    p->recompute = params->train && params->recompute;
    kiln_truth_try(dev, types_of(g, params->precision));
    p->storage = kiln_storage_of(&dev->caps, params->precision == KILN_PRECISION_F64);
    p->halves = params->precision == KILN_PRECISION_F16 && p->storage == KILN_STORAGE_HALF;
    p->budget = params->budget;
    p->profile = params->profile;
    p->give_up = params->give_up;
    if (params->tuned == KILN_TUNED_ALWAYS || (params->tuned == KILN_TUNED_USUAL && !params->train))
        p->choices = dev->choices;
    if (p->profile)
        dev->profile = true; /* what is baked from now on is timed */
    kiln_status status = take_parts(p, w, params);
    if (!status)
        status = kiln_program_snapshot(p, g, params);
    if (!status)
        status = plan_early(p, params);
    if (status)
        kiln_program_destroy(&p);
    *out = p;
    return status;
}

static void free_input(kiln_program *p, struct kiln_program_input *in)
{
    for (int s = 0; s < KILN_SLOTS; s++)
        if (in->staging[s])
            kiln_buffer_destroy(p->dev, &in->staging[s]);
}

void kiln_program_destroy(kiln_program **out)
{
    kiln_program *p = *out;
    *out = NULL;
    if (!p)
        return;
    if (p->ticket)
        kiln_wait(p->dev, p->ticket);
    for (int i = 0; i < p->ready.count; i++)
        kiln_ready_destroy(p, &p->ready.data[i]);
    for (int i = 0; i < p->input.count; i++)
        free_input(p, &p->input.data[i]);
    kiln_vec_finish(&p->known);
    kiln_vec_finish(&p->run);
    kiln_vec_finish(&p->input);
    kiln_vec_finish(&p->result);
    kiln_vec_finish(&p->symbol);
    kiln_vec_finish(&p->own);
    kiln_vec_finish(&p->ready);
    kiln_choices_destroy(&p->own_choices);
    kiln_graph_destroy(&p->graph);
    kiln_weights_destroy(&p->weights);
    kiln_session_destroy(&p->session);
    kiln_device_close(&p->dev);
    free(p);
}

/* Inputs ------------------------------------------------------------------------------------------------- */

static kiln_tensor own_tensor(const kiln_program *p, kiln_tensor user)
{
    for (int i = 0; i < p->known.count && user.graph == p->user_tag; i++)
        if (p->known.data[i].user.id == user.id)
            return p->known.data[i].own;
    return KILN_NONE;
}

static struct kiln_program_input *find_input(const kiln_program *p, kiln_tensor user)
{
    const kiln_tensor own = own_tensor(p, user);
    for (int i = 0; i < p->input.count && own.id; i++)
        if (p->input.data[i].tensor.id == own.id)
            return &p->input.data[i];
    return NULL;
}

static bool same_kind(kiln_type a, kiln_type b)
{
    return a == b || (kiln_type_is_real(a) && kiln_type_is_real(b)) ||
           (!kiln_type_is_real(a) && !kiln_type_is_real(b) && a != KILN_BOOL && b != KILN_BOOL);
}

static kiln_status check_source(const kiln_program *p, const struct kiln_program_input *in,
                                const kiln_array *src)
{
    bool fits = src->shape.rank == in->spec.shape.rank && same_kind(src->type, in->spec.type);
    char wanted[128], got[96];
    for (int i = 0; fits && i < src->shape.rank; i++)
        fits = src->shape.size[i] >= 0 &&
               (in->spec.shape.size[i] < 0 || in->spec.shape.size[i] == src->shape.size[i]);
    const int64_t count = kiln_shape_count(&src->shape);
    if (!fits || count < 0)
        return kiln_fail(KILN_ERROR_SHAPE, "input \"%s\" is %s %s, got %s %s", in->name,
                         kiln_type_name(in->spec.type),
                         kiln_graph_shape_text(p->graph, &in->spec.shape, wanted, sizeof wanted),
                         kiln_type_name(src->type), kiln_shape_text(&src->shape, got, sizeof got));
    const size_t bytes = (size_t)count * kiln_type_size(src->type);
    if ((!src->data && count) || (src->bytes && src->bytes < bytes))
        return kiln_fail(KILN_ERROR_ARGUMENT, "input \"%s\": %zu bytes wanted, %zu given", in->name, bytes,
                         src->data ? src->bytes : 0);
    return KILN_OK;
}

/* The integers of a type, as far as `bits` of it go. */
struct range {
    int64_t low, high;
};

static struct range range_of(kiln_type type, int bits)
{
    const int whole = type == KILN_BOOL ? 1 : 8 * (int)kiln_type_size(type);
    const bool natural = type == KILN_BOOL || kiln_type_is_unsigned(type);
    bits = (whole < bits ? whole : bits) - !natural;
    const int64_t reach = bits < 63 ? (INT64_C(1) << bits) - 1 : INT64_MAX;
    return (struct range){natural ? 0 : -reach - 1, reach};
}

/* What a device keeps of integers: 32 bits at the most. */
static struct range stored_range(kiln_type type)
{
    return range_of(type, 32);
}

/* Whether an input takes whatever an array of a type may hold. */
static bool holds(kiln_type type, kiln_type from)
{
    const struct range mine = stored_range(type), its = range_of(from, 64);
    return kiln_type_is_real(type) || (mine.low <= its.low && its.high <= mine.high);
}

/* An integer that the type or its storage cannot hold is an error, not another number. */
static kiln_status check_range(const struct kiln_program_input *in, const kiln_array *src)
{
    enum { BLOCK = 256 };
    const struct range range = stored_range(in->spec.type);
    const size_t count = (size_t)kiln_shape_count(&src->shape), size = kiln_type_size(src->type);
    for (size_t first = 0; first < count; first += BLOCK) {
        int64_t value[BLOCK];
        const size_t length = count - first < BLOCK ? count - first : BLOCK;
        kiln_convert(value, KILN_I64, (const char *)src->data + first * size, src->type, length);
        for (size_t i = 0; i < length; i++)
            if (value[i] < range.low || value[i] > range.high)
                return kiln_fail(KILN_ERROR_ARGUMENT,
                                 "input \"%s\": element %zu is %lld, wanted %lld to %lld", in->name,
                                 first + i, (long long)value[i], (long long)range.low, (long long)range.high);
    }
    return KILN_OK;
}

static kiln_status grow_staging(kiln_program *p, struct kiln_program_input *in, int slot, uint64_t bytes)
{
    struct kiln_buffer *b = in->staging[slot];
    if (b && b->bytes >= bytes)
        return KILN_OK;
    struct kiln_buffer *grown;
    const struct kiln_buffer_params params = {.bytes = bytes ? bytes : 256,
                                              .heap = KILN_HEAP_UPLOAD,
                                              .name = in->name};
    const kiln_status status = kiln_buffer_create(p->dev, &params, &grown);
    if (status)
        return status;
    if (b)
        kiln_buffer_destroy(p->dev, &in->staging[slot]);
    in->staging[slot] = grown;
    for (int i = 0; i < p->ready.count; i++) {
        struct kiln_ready *r = p->ready.data[i];
        const int at = (int)(in - p->input.data) * KILN_SLOTS + slot;
        if (r->in[at])
            kiln_unbake(p->dev, &r->in[at]);
    }
    return KILN_OK;
}

kiln_status kiln_program_write(kiln_program *p, kiln_tensor input, const kiln_array *src)
{
    struct kiln_program_input *in = find_input(p, input);
    if (!in)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: what is written is no input that its run list needs");
    kiln_status status = check_source(p, in, src);
    if (!status && !holds(in->spec.type, src->type))
        status = check_range(in, src);
    if (status)
        return status;
    const int slot = in->serial ? (in->slot + 1) % KILN_SLOTS : 0;
    const size_t count = (size_t)kiln_shape_count(&src->shape);
    const kiln_type stored = kiln_storage_type(in->spec.type, p->storage);
    const kiln_spec now = {in->spec.type, src->shape};
    if (in->ticket[slot])
        status = kiln_wait(p->dev, in->ticket[slot]);
    if (!status)
        status = grow_staging(p, in, slot, kiln_storage_bytes(&now, p->storage));
    if (status)
        return status;
    kiln_convert(in->staging[slot]->map, stored, src->data, src->type, count);
    in->slot = slot;
    in->shape = src->shape;
    in->serial++;
    return KILN_OK;
}

/* Running ------------------------------------------------------------------------------------------------ */

/* Give the symbols the sizes of the inputs; two inputs that disagree are named. */
static kiln_status bind_sizes(const kiln_program *p, int64_t *size, int *from)
{
    for (int i = 0; i < p->symbol.count; i++)
        size[i] = from[i] = -1;
    for (int i = 0; i < p->input.count; i++) {
        const struct kiln_program_input *in = &p->input.data[i];
        if (!in->serial && !in->own)
            return kiln_fail(KILN_ERROR_ARGUMENT, "program: input \"%s\" was never written", in->name);
        for (int k = 0; k < in->spec.shape.rank; k++)
            for (int s = 0; s < p->symbol.count; s++) {
                const int64_t now = in->shape.size[k];
                char name[64];
                if (p->symbol.data[s] != in->spec.shape.size[k])
                    continue;
                if (size[s] >= 0 && size[s] != now)
                    return kiln_fail(KILN_ERROR_SHAPE,
                                     "size \"%s\" is %lld in input \"%s\" and %lld in input \"%s\"",
                                     kiln_dim_text(p->graph, p->symbol.data[s], name, sizeof name),
                                     (long long)size[s], p->input.data[from[s]].name, (long long)now,
                                     in->name);
                size[s] = now;
                from[s] = i;
            }
    }
    return KILN_OK;
}

static kiln_status current_ready(kiln_program *p, struct kiln_ready **out)
{
    int64_t size[64];
    int from[64];
    if (p->symbol.count > 64)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "program: %d symbolic sizes, at most 64", p->symbol.count);
    const kiln_status status = bind_sizes(p, size, from);
    return status ? status : kiln_program_ready(p, size, out);
}

static kiln_status refresh_stores(kiln_program *p, uint64_t *version)
{
    uint64_t ignored;
    kiln_status status = kiln_store_refresh(p->weights->store, p->weights_copy, version);
    if (!status && p->session_copy)
        status = kiln_store_refresh(kiln_session_store(p->session), p->session_copy, &ignored);
    return status;
}

/* The lists that bring the device what the body reads: inputs that changed, and the prologue if the weights moved. */
static kiln_status gather_inputs(kiln_program *p, struct kiln_ready *r, uint64_t version,
                                 struct kiln_baked **work, int *count)
{
    kiln_status status = KILN_OK;
    *count = 0;
    for (int i = 0; i < p->input.count && !status; i++) {
        const struct kiln_program_input *in = &p->input.data[i];
        if (in->own || r->seen[i] == in->serial || !kiln_shape_count(&in->shape))
            continue;
        status = kiln_ready_upload(p, r, i, &work[*count]);
        *count += work[*count] != NULL;
    }
    if (r->prologue &&
        (!r->prologue_version || (r->prologue_reads_weights && r->prologue_version != version)))
        work[(*count)++] = r->prologue;
    return status;
}

static void after_inputs(kiln_program *p, struct kiln_ready *r, bool writes_weights)
{
    for (int i = 0; i < p->input.count; i++) {
        struct kiln_program_input *in = &p->input.data[i];
        if (r->seen[i] != in->serial)
            in->ticket[in->slot] = p->ticket;
        r->seen[i] = in->serial;
    }
    /* what this run itself wrote is nothing that its prologue reads */
    r->prologue_version = kiln_store_used(p->weights->store, p->weights_copy, p->ticket, writes_weights);
}

static void after_submit(kiln_program *p, struct kiln_ready *r, int slot)
{
    after_inputs(p, r, r->writes_weights);
    if (p->session_copy)
        kiln_store_used(kiln_session_store(p->session), p->session_copy, p->ticket, r->writes_session);
    p->slot_ticket[slot] = p->ticket;
    p->last = r;
    p->last_slot = slot;
}

enum { MOST_WORK = 256 };

/* The plan for the inputs as they are, and the stores' newest versions on the device. */
static kiln_status stand_ready(kiln_program *p, struct kiln_ready **r, uint64_t *version)
{
    if (p->input.count > MOST_WORK)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "program: %d inputs, at most %d", p->input.count, MOST_WORK);
    const kiln_status status = current_ready(p, r);
    return status ? status : refresh_stores(p, version);
}

/* Where nothing is submitted, what was before is still what to wait for. */
static kiln_status submit(kiln_program *p, struct kiln_baked *const *work, int count)
{
    kiln_ticket ticket;
    const kiln_status status = kiln_submit(p->dev, work, count, &ticket);
    if (ticket)
        p->ticket = ticket;
    return status;
}

kiln_status kiln_program_prepare(kiln_program *p, struct kiln_ready **out)
{
    struct kiln_baked *work[MOST_WORK + 4];
    uint64_t version = 0;
    int count = 0;
    kiln_status status = stand_ready(p, out, &version);
    if (!status)
        status = gather_inputs(p, *out, version, work, &count);
    if (!status)
        status = submit(p, work, count);
    if (!status)
        after_inputs(p, *out, false);
    return status ? status : kiln_program_wait(p);
}

kiln_status kiln_program_run(kiln_program *p)
{
    struct kiln_ready *r;
    struct kiln_baked *work[MOST_WORK + 4];
    uint64_t version = 0;
    int count = 0;
    kiln_status status = stand_ready(p, &r, &version);
    const int slot = (p->last_slot + 1) % KILN_SLOTS;
    if (!status && p->slot_ticket[slot])
        status = kiln_wait(p->dev, p->slot_ticket[slot]);
    if (!status)
        status = gather_inputs(p, r, version, work, &count);
    if (!status && r->body)
        work[count++] = r->body;
    if (!status && r->out[slot])
        work[count++] = r->out[slot];
    if (!status)
        status = submit(p, work, count);
    if (!status)
        after_submit(p, r, slot);
    if (!status && p->give_up)
        status = kiln_program_give_up(p, r);
    return status;
}

kiln_status kiln_program_wait(kiln_program *p)
{
    return p->ticket ? kiln_wait(p->dev, p->ticket) : KILN_OK;
}

/* Results ------------------------------------------------------------------------------------------------ */

static const struct kiln_program_result *find_result(const kiln_program *p, kiln_tensor user, int *index)
{
    const kiln_tensor own = own_tensor(p, user);
    for (*index = 0; own.id && *index < p->readable; ++*index)
        if (p->result.data[*index].tensor.id == own.id)
            return &p->result.data[*index];
    return NULL;
}

static kiln_status last_spec(const kiln_program *p, kiln_tensor t, int *index, kiln_spec *spec)
{
    const struct kiln_program_result *result = find_result(p, t, index);
    if (!result)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: the value is not in its run list");
    if (!p->last)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: nothing was run yet");
    *spec = kiln_tensor_spec(p->last->plan->graph, p->last->plan->result[result->index]);
    return KILN_OK;
}

static const void *output_of(const kiln_program *p, int index)
{
    return (const char *)p->last->outputs[p->last_slot]->map + p->last->output_offset[index];
}

/* The number of a symbol in the last run, or of what was counted in it. */
static int64_t last_size(void *user, int64_t size)
{
    const kiln_program *p = user;
    const struct kiln_dim_expression *e = kiln_dim_expression_of(p->graph, size);
    for (int i = 0; i < p->symbol.count; i++)
        if (p->symbol.data[i] == size)
            return p->last->size[i];
    for (int i = p->readable; i < p->result.count; i++)
        if (e->op == KILN_DIM_BOUNDED && e->b == p->result.data[i].tensor.id) {
            const int32_t count = *(const int32_t *)output_of(p, i);
            return count < 0 ? 0 : count;
        }
    return -1;
}

/* The shape of what is there: where sizes depend on data, as the run, now over, counted. */
static kiln_status last_shape(const kiln_program *p, int index, kiln_shape *shape)
{
    const kiln_shape declared = kiln_tensor_shape(p->graph, p->result.data[index].tensor);
    for (int i = 0; i < declared.rank; i++) {
        if (!kiln_dim_is_counted(p->graph, declared.size[i]))
            continue;
        const kiln_status status = kiln_wait(p->dev, p->ticket);
        if (status)
            return status;
        const int64_t size = kiln_dim_value(p->graph, declared.size[i], last_size, (void *)(uintptr_t)p);
        shape->size[i] = size < 0 ? 0 : size; /* a difference of more than there are */
    }
    return KILN_OK;
}

kiln_status kiln_program_shape(const kiln_program *p, kiln_tensor t, kiln_shape *shape)
{
    int index;
    kiln_spec spec = {0};
    const kiln_status status = last_spec(p, t, &index, &spec);
    *shape = spec.shape;
    return status ? status : last_shape(p, index, shape);
}

/* Dense elements of `shape` out of those of `planned`, which has as many or more along each axis. */
static void copy_out(void *to, kiln_type to_type, const kiln_shape *shape, const void *from,
                     kiln_type from_type, const kiln_shape *planned)
{
    int axis = shape->rank - 1; /* the innermost that is cut */
    size_t run = 1, stride = 1, outer = 1;
    while (axis >= 0 && shape->size[axis] == planned->size[axis])
        run *= (size_t)shape->size[axis--];
    if (axis < 0) {
        kiln_convert(to, to_type, from, from_type, run);
        return;
    }
    stride = run * (size_t)planned->size[axis];
    run *= (size_t)shape->size[axis];
    for (int i = 0; i < axis; i++)
        outer *= (size_t)shape->size[i];
    for (size_t o = 0; o < outer; o++) {
        size_t rest = o, at = 0, step = stride;
        for (int i = axis - 1; i >= 0; rest /= (size_t)shape->size[i--]) {
            at += rest % (size_t)shape->size[i] * step;
            step *= (size_t)planned->size[i];
        }
        kiln_convert((char *)to + o * run * kiln_type_size(to_type), to_type,
                     (const char *)from + at * kiln_type_size(from_type), from_type, run);
    }
}

kiln_status kiln_program_read(kiln_program *p, kiln_tensor t, kiln_array *dst)
{
    int index;
    kiln_spec spec;
    kiln_status status = last_spec(p, t, &index, &spec);
    if (status)
        return status;
    const kiln_shape planned = spec.shape;
    if ((status = last_shape(p, index, &spec.shape)))
        return status;
    const kiln_type type = kiln_type_is_real(spec.type) && dst->type == KILN_F64 ? KILN_F64 : spec.type;
    const size_t count = (size_t)kiln_shape_count(&spec.shape), bytes = count * kiln_type_size(type);
    if (dst->bytes && dst->bytes < bytes)
        return kiln_fail(KILN_ERROR_SHAPE, "result \"%s\" needs %zu bytes, there is room for %zu",
                         kiln_tensor_name(p->graph, p->result.data[index].tensor), bytes, dst->bytes);
    if (p->result.data[index].own)
        return kiln_fail(KILN_ERROR_ARGUMENT, "result \"%s\" lies in the application's own buffer",
                         kiln_tensor_name(p->graph, p->result.data[index].tensor));
    if ((status = kiln_program_wait(p)))
        return status;
    dst->type = type;
    dst->shape = spec.shape;
    if (count)
        copy_out(dst->data, type, &spec.shape, output_of(p, index), kiln_storage_type(spec.type, p->storage),
                 &planned);
    if (type == KILN_F64 && p->storage != KILN_STORAGE_DOUBLE)
        kiln_round_to(dst->data, spec.type, count);
    return KILN_OK;
}

/* For tools ---------------------------------------------------------------------------------------------- */

int kiln_program_result_count(const kiln_program *p)
{
    return p->readable;
}

kiln_tensor kiln_program_result(const kiln_program *p, int index)
{
    return index >= 0 && index < p->readable ? p->result.data[index].user : KILN_NONE;
}

int kiln_program_input_count(const kiln_program *p)
{
    return p->input.count;
}

kiln_tensor kiln_program_input(const kiln_program *p, int index)
{
    return index >= 0 && index < p->input.count ? p->input.data[index].user : KILN_NONE;
}

const char *kiln_program_tensor_name(const kiln_program *p, kiln_tensor t)
{
    return kiln_tensor_name(p->graph, own_tensor(p, t));
}

kiln_type kiln_program_tensor_type(const kiln_program *p, kiln_tensor t)
{
    return kiln_tensor_type(p->graph, own_tensor(p, t));
}

kiln_shape kiln_program_tensor_shape(const kiln_program *p, kiln_tensor t)
{
    return kiln_tensor_shape(p->graph, own_tensor(p, t));
}

kiln_weights *kiln_program_weights(const kiln_program *p)
{
    return p->weights;
}

kiln_device *kiln_program_device(const kiln_program *p)
{
    return p->dev;
}
