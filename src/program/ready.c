/*
 * ready.c - a plan for one set of sizes, with its memory, recorded and baked: what a run replays.
 *
 * All plans of a program share one scratch buffer. When a larger one is needed, the plans baked with the smaller are dropped
 * and made again when next used; likewise the least recently used one when there are many.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "program/program.h"
#include "program/transfer.h"
#include "recorder/print.h"
#include "recorder/recorder.h"

enum { MOST_READY = 16, MOST_BUFFERS = 256 };

/* Buffers ----------------------------------------------------------------------------------------------------------------- */

static kiln_status make_buffer(kiln_program *p, const char *name, enum kiln_heap heap, uint64_t bytes,
                               struct kiln_buffer **out)
{
    const struct kiln_buffer_params params = {.bytes = bytes, .heap = heap, .name = name};
    return bytes ? kiln_buffer_create(p->dev, &params, out) : KILN_OK;
}

static void release_scratch(kiln_program *p, struct kiln_scratch **scratch)
{
    struct kiln_scratch *s = *scratch;
    *scratch = NULL;
    if (!s || --s->references > 0)
        return;
    kiln_buffer_destroy(p->dev, &s->buffer);
    free(s);
}

/* Plans baked with the smaller scratch go, so that it can be freed before the larger one is made. */
static void drop_users(kiln_program *p, const struct kiln_scratch *scratch)
{
    for (int i = p->ready.count - 1; i >= 0; i--)
        if (p->ready.data[i]->scratch == scratch) {
            kiln_ready_destroy(p, &p->ready.data[i]);
            p->ready.data[i] = p->ready.data[--p->ready.count];
        }
}

static kiln_status take_scratch(kiln_program *p, struct kiln_ready *r)
{
    const uint64_t bytes = r->plan->scratch_bytes;
    if (p->scratch && p->scratch->buffer->bytes < bytes) {
        struct kiln_scratch *small = p->scratch;
        p->scratch = NULL;
        drop_users(p, small);
    }
    if (!p->scratch && bytes) {
        struct kiln_scratch *s = calloc(1, sizeof *s);
        if (!s)
            return kiln_program_no_memory();
        const kiln_status status = make_buffer(p, "scratch", KILN_HEAP_DEVICE, bytes, &s->buffer);
        if (status) {
            free(s);
            return status;
        }
        p->scratch = s;
    }
    r->scratch = p->scratch;
    if (r->scratch)
        r->scratch->references++;
    return KILN_OK;
}

static kiln_status make_constants(kiln_program *p, struct kiln_ready *r)
{
    kiln_status status =
        make_buffer(p, "constants", KILN_HEAP_DEVICE, r->plan->constant_bytes, &r->constants);
    for (int i = 0; i < r->plan->constant.count && !status; i++) {
        const struct kiln_constant_bytes *c = &r->plan->constant.data[i];
        if (c->bytes)
            status = kiln_buffer_write(p->dev, r->constants, r->plan->object.data[c->object].offset, c->data,
                                       c->bytes);
    }
    return status;
}

static kiln_spec result_spec(const kiln_program *p, const struct kiln_ready *r, int i)
{
    return kiln_tensor_spec(r->plan->graph, r->plan->result[p->result.data[i].index]);
}

static kiln_status make_outputs(kiln_program *p, struct kiln_ready *r)
{
    uint64_t bytes = 0;
    kiln_status status = KILN_OK;
    r->output_offset = calloc((size_t)p->result.count + 1, sizeof *r->output_offset);
    if (!r->output_offset)
        return kiln_program_no_memory();
    for (int i = 0; i < p->result.count; i++) {
        const kiln_spec spec = result_spec(p, r, i);
        r->output_offset[i] = bytes;
        if (!p->result.data[i].own)
            bytes += kiln_aligned(kiln_storage_bytes(&spec, p->storage));
    }
    for (int s = 0; s < KILN_SLOTS && !status; s++)
        status = make_buffer(p, "outputs", KILN_HEAP_READBACK, bytes, &r->outputs[s]);
    return status;
}

/* Recording ---------------------------------------------------------------------------------------------------------------- */

/* The table of buffers of a ready plan's lists. */
struct table {
    kiln_program *p;
    struct kiln_ready *r;
    struct kiln_buffer *buffer[MOST_BUFFERS];
    const char *name[MOST_BUFFERS];
    int count;
    bool full;
};

static int table_add(struct table *t, struct kiln_buffer *b, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (t->buffer[i] == b)
            return i;
    t->full |= t->count == MOST_BUFFERS;
    if (t->full)
        return 0;
    t->buffer[t->count] = b;
    t->name[t->count] = name;
    return t->count++;
}

/* The application's buffer in the place of an input or a result. */
static struct kiln_buffer *import(struct table *t, const kiln_program_buffer *own)
{
    struct kiln_buffer *b = NULL;
    const struct kiln_buffer_params params = {
        .bytes = own->bytes, .name = "own", .import = own->buffer, .import_offset = own->offset};
    if (kiln_buffer_create(t->p->dev, &params, &b) || !kiln_vec_push(&t->r->imported, b))
        t->full = true;
    return b;
}

static struct kiln_span locate_input(struct table *t, const struct kiln_object *o)
{
    const struct kiln_program_input *in = &t->p->input.data[o->index];
    if (in->own)
        return (struct kiln_span){table_add(t, import(t, in->own), in->name), 0, o->bytes};
    return (struct kiln_span){table_add(t, t->r->inputs, "inputs"), o->offset, o->bytes};
}

static struct kiln_span locate(void *user, const struct kiln_object *o)
{
    struct table *t = user;
    const kiln_program *p = t->p;
    struct kiln_ready *r = t->r;
    switch (o->kind) {
    case KILN_OBJECT_SCRATCH:
        if (!r->scratch) /* all its values are empty */
            return (struct kiln_span){0};
        return (struct kiln_span){table_add(t, r->scratch->buffer, "scratch"), o->offset, o->bytes};
    case KILN_OBJECT_TRIAL:
        return (struct kiln_span){table_add(t, r->trial, "trial"), 0, o->bytes};
    case KILN_OBJECT_KEPT:
        return (struct kiln_span){table_add(t, r->kept, "kept"), o->offset, o->bytes};
    case KILN_OBJECT_CONSTANT:
        return (struct kiln_span){table_add(t, r->constants, "constants"), o->offset, o->bytes};
    case KILN_OBJECT_INPUT:
        return locate_input(t, o);
    case KILN_OBJECT_ARENA:
        return (struct kiln_span){table_add(t, kiln_copy_arena(p->weights_copy, o->index, o->chunk),
                                            p->weights->store->arena.data[o->index]),
                                  0, o->bytes};
    case KILN_OBJECT_STATES:
        return (struct kiln_span){table_add(t, p->weights_copy->state.data[o->index], "states"), 0, o->bytes};
    default:
        return (struct kiln_span){table_add(t, p->session_copy->state.data[o->index], "session"), 0,
                                  o->bytes};
    }
}

/* Record a part of the plan, with memory of the arena, and bake it; *out stays where it has no commands. */
static kiln_status bake_part(struct table *t, struct kiln_record_params part, struct kiln_arena *arena,
                             struct kiln_commands *list, struct kiln_baked **out)
{
    part.plan = t->r->plan;
    part.locate = locate;
    part.user = t;
    const kiln_status status = kiln_record(list, arena, &part);
    if (status)
        return status;
    if (t->full)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "program: more than %d buffers", MOST_BUFFERS);
    list->buffer = t->buffer;
    list->buffer_name = t->name;
    list->buffer_count = t->count;
    return list->count ? kiln_bake(t->p->dev, list, out) : KILN_OK;
}

kiln_status kiln_ready_bake_steps(kiln_program *p, struct kiln_ready *r, int first, int end,
                                  struct kiln_baked **out, int *commands)
{
    struct table t = {.p = p, .r = r};
    struct kiln_arena arena = {0};
    struct kiln_commands list;
    const struct kiln_record_params part = {.first = first, .end = end, .name = "steps"};
    const kiln_status status = bake_part(&t, part, &arena, &list, out);
    *commands = status ? 0 : list.count;
    kiln_arena_finish(&arena);
    return status;
}

struct kiln_buffer *kiln_ready_buffer(kiln_program *p, struct kiln_ready *r, const struct kiln_touch *t,
                                      uint64_t *offset)
{
    struct table table = {.p = p, .r = r};
    const struct kiln_span span = locate(&table, &r->plan->object.data[t->object]);
    *offset = span.offset + t->offset;
    return table.buffer[span.buffer];
}

kiln_status kiln_ready_trial_scratch(kiln_program *p, struct kiln_ready *r, uint64_t bytes)
{
    if (r->trial && r->trial->bytes >= bytes)
        return KILN_OK;
    if (!r->trial && !kiln_vec_push(&r->plan->object, (struct kiln_object){.kind = KILN_OBJECT_TRIAL}))
        return kiln_program_no_memory();
    if (!r->trial)
        r->trial_object = r->plan->object.count - 1;
    kiln_buffer_destroy(p->dev, &r->trial);
    r->plan->object.data[r->trial_object].bytes = bytes;
    return make_buffer(p, "trial", KILN_HEAP_DEVICE, bytes, &r->trial);
}

/* Where a result's value lies in the plan. */
static struct kiln_span result_span(struct table *t, int i)
{
    const struct kiln_plan *plan = t->r->plan;
    const struct kiln_place *place = &plan->place.data[plan->result[t->p->result.data[i].index].id - 1];
    const kiln_spec spec = result_spec(t->p, t->r, i);
    struct kiln_span span = locate(t, &plan->object.data[place->object]);
    span.offset += place->offset;
    span.bytes = kiln_storage_bytes(&spec, t->p->storage);
    return span;
}

/* Copies of the results to a slot's staging memory, or to the application's buffers. */
static kiln_status bake_out(struct table *t, int slot)
{
    kiln_program *p = t->p;
    int count = 0;
    struct kiln_command *copies =
        kiln_arena_alloc(&t->r->plan->arena, (size_t)(p->result.count + 1) * sizeof *copies);
    if (!copies)
        return kiln_program_no_memory();
    for (int i = 0; i < p->result.count; i++) {
        const kiln_program_buffer *own = p->result.data[i].own;
        const struct kiln_span from = result_span(t, i);
        struct kiln_command c = {.kind = KILN_COMMAND_COPY, .label = "result"};
        c.as.copy.from = from;
        c.as.copy.to = (struct kiln_span){own ? table_add(t, import(t, own), "own")
                                              : table_add(t, t->r->outputs[slot], "outputs"),
                                          own ? 0 : t->r->output_offset[i], from.bytes};
        if (from.bytes)
            copies[count++] = c;
    }
    const struct kiln_commands list = {.command = copies,
                                       .count = count,
                                       .buffer = t->buffer,
                                       .buffer_name = t->name,
                                       .buffer_count = t->count,
                                       .name = "out"};
    if (t->full)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "program: more than %d buffers", MOST_BUFFERS);
    return count ? kiln_bake(p->dev, &list, &t->r->out[slot]) : KILN_OK;
}

/* What the body writes decides whose version moves; what the prologue reads, when it runs again. */
static void note_writes(struct kiln_ready *r)
{
    for (int i = 0; i < r->plan->step.count; i++)
        for (int k = 0; k < r->plan->step.data[i].touches; k++) {
            const struct kiln_touch *t = &r->plan->step.data[i].touch[k];
            if (t->object < 0)
                continue;
            const enum kiln_object_kind kind = r->plan->object.data[t->object].kind;
            const bool weights = kind == KILN_OBJECT_ARENA || kind == KILN_OBJECT_STATES;
            r->prologue_reads_weights |= weights && r->plan->step.data[i].prologue;
            r->writes_weights |= weights && t->access != KILN_READ;
            r->writes_session |= kind == KILN_OBJECT_SESSION && t->access != KILN_READ;
        }
}

static kiln_status bake_all(kiln_program *p, struct kiln_ready *r)
{
    struct table *t = kiln_arena_alloc(&r->plan->arena, sizeof *t);
    if (!t)
        return kiln_program_no_memory();
    *t = (struct table){.p = p, .r = r};
    struct kiln_arena *arena = &r->plan->arena;
    kiln_status status = bake_part(t, (struct kiln_record_params){.prologue = true, .name = "prologue"},
                                   arena, &r->prologue_list, &r->prologue);
    if (!status)
        status = bake_part(t, (struct kiln_record_params){.name = "body"}, arena, &r->body_list, &r->body);
    for (int s = 0; s < KILN_SLOTS && !status; s++)
        status = bake_out(t, s);
    return status;
}

/* Making one ---------------------------------------------------------------------------------------------------------------- */

struct sizes {
    const kiln_program *p;
    const int64_t *size;
};

static int64_t size_of(void *user, int64_t symbol)
{
    const struct sizes *s = user;
    for (int i = 0; i < s->p->symbol.count; i++)
        if (s->p->symbol.data[i] == symbol)
            return s->size[i];
    return -1;
}

/* The plan's inputs by the program's numbers: simplifying may have dropped some. */
static void number_inputs(const kiln_program *p, struct kiln_plan *plan)
{
    for (int i = 0; i < plan->object.count; i++) {
        struct kiln_object *o = &plan->object.data[i];
        if (o->kind != KILN_OBJECT_INPUT)
            continue;
        const char *name = kiln_tensor_name(plan->graph, plan->graph->input.data[o->index]);
        for (int k = 0; k < p->input.count; k++)
            if (!strcmp(p->input.data[k].name, name))
                o->chunk = k;
    }
    for (int i = 0; i < plan->object.count; i++)
        if (plan->object.data[i].kind == KILN_OBJECT_INPUT)
            plan->object.data[i].index = plan->object.data[i].chunk;
}

uint64_t kiln_program_staging(const kiln_program *p)
{
    uint64_t bytes = 0;
    for (int i = 0; i < p->input.count; i++)
        for (int s = 0; s < KILN_SLOTS; s++)
            bytes += p->input.data[i].staging[s] ? p->input.data[i].staging[s]->bytes : 0;
    return bytes;
}

static uint64_t threads_bytes(const kiln_program *p, const struct kiln_plan *plan)
{
    return plan->thread_bytes * p->dev->caps.threads;
}

static kiln_status check_budget(const kiln_program *p, const struct kiln_plan *plan)
{
    uint64_t staging = 2 * plan->input_bytes;
    for (int i = 0; i < p->result.count; i++) {
        const kiln_spec spec = kiln_tensor_spec(plan->graph, plan->result[p->result.data[i].index]);
        staging += 2 * kiln_aligned(kiln_storage_bytes(&spec, p->storage));
    }
    const uint64_t weights = kiln_store_bytes(p->weights->store, p->storage);
    const uint64_t between =
        plan->scratch_bytes + plan->kept_bytes + plan->constant_bytes + threads_bytes(p, plan);
    const uint64_t need = weights + between + plan->input_bytes + staging;
    if (!p->budget || need <= p->budget)
        return KILN_OK;
    return kiln_fail(KILN_ERROR_MEMORY,
                     "program: needs %llu bytes (weights %llu, scratch %llu, inputs and outputs %llu), "
                     "the budget is %llu",
                     (unsigned long long)need, (unsigned long long)weights, (unsigned long long)between,
                     (unsigned long long)(plan->input_bytes + staging), (unsigned long long)p->budget);
}

static kiln_status compile(kiln_program *p, const int64_t *size, struct kiln_ready *r)
{
    struct sizes sizes = {p, size};
    const kiln_status status = kiln_compile(&r->plan, &(struct kiln_compile_params){.graph = p->graph,
                                                                                    .run = p->run.data,
                                                                                    .run_count = p->run.count,
                                                                                    .train = p->train,
                                                                                    .recompute = p->recompute,
                                                                                    .lean = p->give_up,
                                                                                    .budget = p->budget,
                                                                                    .storage = p->storage,
                                                                                    .halves = p->halves,
                                                                                    .dev = p->dev,
                                                                                    .places = &p->places,
                                                                                    .choices = p->choices,
                                                                                    .trial = p->trial,
                                                                                    .size = size_of,
                                                                                    .size_user = &sizes});
    if (status)
        return status;
    number_inputs(p, r->plan);
    note_writes(r);
    return check_budget(p, r->plan);
}

static kiln_status make_memory(kiln_program *p, struct kiln_ready *r)
{
    kiln_status status = kiln_store_copy(p->weights->store, p->dev, p->storage, &p->weights_copy);
    if (!status && p->session)
        status = kiln_store_copy(kiln_session_store(p->session), p->dev, p->storage, &p->session_copy);
    if (!status)
        status = take_scratch(p, r);
    if (!status)
        status = make_buffer(p, "kept", KILN_HEAP_DEVICE, r->plan->kept_bytes, &r->kept);
    if (!status)
        status = make_buffer(p, "inputs", KILN_HEAP_DEVICE, r->plan->input_bytes, &r->inputs);
    if (!status)
        status = make_constants(p, r);
    return status ? status : make_outputs(p, r);
}

static kiln_status make(kiln_program *p, const int64_t *size, struct kiln_ready **out)
{
    const size_t slots = (size_t)(p->input.count + 1) * KILN_SLOTS;
    struct kiln_ready *r = calloc(1, sizeof *r);
    *out = r;
    if (!r)
        return kiln_program_no_memory();
    r->size = malloc((size_t)(p->symbol.count + 1) * sizeof *r->size);
    r->in = calloc(slots, sizeof *r->in);
    r->seen = calloc((size_t)p->input.count + 1, sizeof *r->seen);
    if (!r->size || !r->in || !r->seen)
        return kiln_program_no_memory();
    memcpy(r->size, size, (size_t)p->symbol.count * sizeof *size);
    kiln_status status = compile(p, size, r);
    if (!status)
        status = make_memory(p, r);
    return status ? status : bake_all(p, r);
}

void kiln_ready_destroy(kiln_program *p, struct kiln_ready **ready)
{
    struct kiln_ready *r = *ready;
    *ready = NULL;
    if (!r)
        return;
    if (p->ticket)
        kiln_wait(p->dev, p->ticket);
    if (p->last == r)
        p->last = NULL;
    kiln_store_disown(p->weights->store, r);
    kiln_unbake(p->dev, &r->prologue);
    kiln_unbake(p->dev, &r->body);
    for (int s = 0; s < KILN_SLOTS; s++)
        kiln_unbake(p->dev, &r->out[s]);
    for (int i = 0; r->in && i < p->input.count * KILN_SLOTS; i++)
        kiln_unbake(p->dev, &r->in[i]);
    for (int i = 0; i < r->imported.count; i++)
        kiln_buffer_destroy(p->dev, &r->imported.data[i]);
    kiln_vec_finish(&r->imported);
    if (p->scratch == r->scratch && r->scratch && r->scratch->references == 1)
        p->scratch = NULL;
    release_scratch(p, &r->scratch);
    kiln_buffer_destroy(p->dev, &r->trial);
    kiln_buffer_destroy(p->dev, &r->kept);
    kiln_buffer_destroy(p->dev, &r->constants);
    kiln_buffer_destroy(p->dev, &r->inputs);
    for (int s = 0; s < KILN_SLOTS; s++)
        kiln_buffer_destroy(p->dev, &r->outputs[s]);
    kiln_plan_destroy(&r->plan);
    free(r->size);
    free(r->in);
    free(r->seen);
    free(r->output_offset);
    free(r);
}

void kiln_program_forget(kiln_program *p)
{
    while (p->ready.count)
        kiln_ready_destroy(p, &p->ready.data[--p->ready.count]);
}

static void drop_oldest(kiln_program *p)
{
    int oldest = 0;
    for (int i = 1; i < p->ready.count; i++)
        if (p->ready.data[i]->used < p->ready.data[oldest]->used)
            oldest = i;
    kiln_ready_destroy(p, &p->ready.data[oldest]);
    p->ready.data[oldest] = p->ready.data[--p->ready.count];
}

kiln_status kiln_program_ready(kiln_program *p, const int64_t *size, struct kiln_ready **out)
{
    *out = NULL;
    for (int i = 0; i < p->ready.count; i++) {
        struct kiln_ready *r = p->ready.data[i];
        if (memcmp(r->size, size, (size_t)p->symbol.count * sizeof *size))
            continue;
        r->used = ++p->uses;
        *out = r;
        return kiln_program_has_weights(p, r);
    }
    struct kiln_ready *r = NULL;
    kiln_status status = kiln_program_has_weights(p, NULL);
    if (!status && p->ready.count >= MOST_READY)
        drop_oldest(p);
    if (!status)
        status = make(p, size, &r);
    if (!status && !kiln_vec_push(&p->ready, r))
        status = kiln_program_no_memory();
    if (status) {
        kiln_ready_destroy(p, &r);
        return status;
    }
    r->used = ++p->uses;
    *out = r;
    return KILN_OK;
}

/* Uploads ------------------------------------------------------------------------------------------------------------------- */

static const struct kiln_object *input_object(const struct kiln_ready *r, int input)
{
    for (int i = 0; i < r->plan->object.count; i++)
        if (r->plan->object.data[i].kind == KILN_OBJECT_INPUT && r->plan->object.data[i].index == input)
            return &r->plan->object.data[i];
    return NULL;
}

kiln_status kiln_ready_upload(kiln_program *p, struct kiln_ready *r, int input, struct kiln_baked **out)
{
    static const char *const names[] = {"staging", "inputs"};
    const struct kiln_program_input *in = &p->input.data[input];
    struct kiln_baked **baked = &r->in[input * KILN_SLOTS + in->slot];
    const struct kiln_object *o = *baked ? NULL : input_object(r, input);
    kiln_status status = KILN_OK;
    if (o) {
        struct kiln_command c = {.kind = KILN_COMMAND_COPY, .label = in->name};
        c.as.copy.from = (struct kiln_span){0, 0, o->bytes};
        c.as.copy.to = (struct kiln_span){1, o->offset, o->bytes};
        struct kiln_buffer *buffers[] = {in->staging[in->slot], r->inputs};
        status = kiln_bake(p->dev,
                           &(struct kiln_commands){.command = &c,
                                                   .count = 1,
                                                   .buffer = buffers,
                                                   .buffer_name = names,
                                                   .buffer_count = 2,
                                                   .name = "in"},
                           baked);
    }
    *out = *baked;
    return status;
}

/* Looking inside -------------------------------------------------------------------------------------------------------------- */

static const struct kiln_ready *newest(const kiln_program *p)
{
    const struct kiln_ready *r = p->last;
    for (int i = 0; i < p->ready.count && !p->last; i++)
        if (!r || p->ready.data[i]->used > r->used)
            r = p->ready.data[i];
    return r;
}

kiln_status kiln_program_memory_used(const kiln_program *p, kiln_program_memory *out)
{
    const struct kiln_ready *r = newest(p);
    *out = (kiln_program_memory){0};
    if (!r)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: nothing was planned yet");
    out->weights = kiln_store_bytes(p->weights->store, p->storage);
    out->scratch = r->plan->scratch_bytes + r->plan->kept_bytes;
    out->lower_bound = r->plan->lower_bound + r->plan->kept_bytes;
    out->constants = r->plan->constant_bytes;
    out->threads = threads_bytes(p, r->plan);
    out->staging = kiln_program_staging(p) + (r->inputs ? r->inputs->bytes : 0);
    for (int s = 0; s < KILN_SLOTS; s++)
        out->staging += r->outputs[s] ? r->outputs[s]->bytes : 0;
    return KILN_OK;
}

kiln_status kiln_program_print(const kiln_program *p, void (*write)(void *user, const char *text), void *user)
{
    const struct kiln_ready *r = newest(p);
    if (!r)
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: nothing was planned yet");
    if (r->prologue)
        kiln_commands_print(&r->prologue_list, write, user);
    kiln_commands_print(&r->body_list, write, user);
    return KILN_OK;
}

static kiln_command_time time_of(const kiln_program *p, const struct kiln_ready *r, int index)
{
    const struct kiln_command *c = &r->body_list.command[index];
    kiln_command_time t = {.op = c->label, .node = c->node ? c->node : "", .kernel = "copy", .variant = ""};
    double end;
    if (c->kind == KILN_COMMAND_DISPATCH) {
        t.kernel = c->as.dispatch.dispatch->kernel->name;
        t.variant = c->as.dispatch.dispatch->variant->name;
        t.flops = c->as.dispatch.flops;
        t.bytes = (uint64_t)kiln_traffic(&c->as.dispatch);
    } else if (c->kind == KILN_COMMAND_COPY) {
        t.bytes = 2 * c->as.copy.to.bytes;
    } else {
        t.kernel = "fill";
        t.bytes = c->as.fill.to.bytes;
    }
    if (p->dev->ops->time && r == p->last && p->dev->ops->time(p->dev, r->body, index, &t.begin, &end))
        t.seconds = end - t.begin;
    return t;
}

/* From the first one's begin on. */
static void count_from_the_first(kiln_command_time *t, int count)
{
    double first = INFINITY;
    for (int i = 0; i < count; i++)
        first = t[i].seconds > 0 && t[i].begin < first ? t[i].begin : first;
    for (int i = 0; i < count; i++)
        t[i].begin = t[i].begin > first ? t[i].begin - first : 0;
}

int kiln_program_profile(const kiln_program *p, kiln_command_time *out, int room)
{
    const struct kiln_ready *r = newest(p);
    int count = 0;
    if (!p->profile || !r)
        return -1;
    for (int i = 0; i < r->body_list.count; i++) {
        if (r->body_list.command[i].kind == KILN_COMMAND_BARRIER)
            continue;
        if (count < room)
            out[count] = time_of(p, r, i);
        count++;
    }
    count_from_the_first(out, count < room ? count : room);
    return count;
}
