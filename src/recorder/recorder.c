/*
 * recorder.c - see recorder.h.
 *
 * A grid is one logical count of workgroups. On a GPU it is folded into x, y and z of at most the device's limit each; what
 * does not fit one command goes on in the next with a first group. The CPU takes units of work as they are.
 */
#include "recorder/recorder.h"

#include <string.h>

#include "base/log.h"
#include "compiler/grid.h"
#include "recorder/hazard.h"

struct recording {
    const struct kiln_record_params *params;
    struct kiln_arena *arena;
    KILN_VEC(struct kiln_command) command;
};

static struct kiln_span locate(const struct recording *r, int object, uint64_t offset, uint64_t bytes)
{
    if (object < 0)
        return (struct kiln_span){.buffer = -1};
    struct kiln_span span = r->params->locate(r->params->user, &r->params->plan->object.data[object]);
    span.offset += offset;
    span.bytes = bytes;
    return span;
}

/* Arithmetic, or an operation a byte. */
static double estimate(const struct kiln_dispatch_command *c)
{
    const double bytes = kiln_traffic(c);
    const double flops = c->dispatch->kernel->flops ? c->dispatch->kernel->flops(c->dispatch) : 0;
    return flops > bytes ? flops : bytes;
}

static bool record_dispatch(struct recording *r, const struct kiln_step *s)
{
    const struct kiln_caps *caps = &r->params->plan->dev->caps;
    const kiln_dispatch *d = s->dispatch;
    struct kiln_command c = {.kind = KILN_COMMAND_DISPATCH,
                             .label = s->node->op->name,
                             .node = s->node->name};
    c.as.dispatch.dispatch = d;
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        c.as.dispatch.bind[i] = i < d->kernel->bindings
                                    ? locate(r, s->touch[i].object, s->touch[i].offset, s->touch[i].bytes)
                                    : (struct kiln_span){.buffer = -1};
    c.as.dispatch.scratch = locate(r, s->scratch_object, 0, s->scratch);
    if (s->indirect >= 0)
        c.as.dispatch.indirect = locate(r, s->touch[s->indirect].object, s->touch[s->indirect].offset, 12);
    const uint64_t total = kiln_grid_total(caps, d);
    for (uint64_t first = 0; first < total;) {
        const uint64_t count = kiln_grid_fold(caps, total - first, c.as.dispatch.groups);
        c.as.dispatch.first = first;
        c.as.dispatch.count = count;
        c.as.dispatch.flops = estimate(&c.as.dispatch) * (double)count / (double)total;
        if (!kiln_vec_push(&r->command, c))
            return false;
        c.as.dispatch.indirect.offset += c.as.dispatch.indirect.bytes; /* a row a part */
        first += count;
    }
    return true;
}

static bool record_step(struct recording *r, const struct kiln_step *s)
{
    if (s->kind == KILN_COMMAND_DISPATCH)
        return record_dispatch(r, s);
    struct kiln_command c = {.kind = s->kind, .label = s->node->op->name, .node = s->node->name};
    if (s->kind == KILN_COMMAND_REPEAT)
        c.as.repeat.count = s->count;
    if (!s->touches) /* the ends of a repeat without a flag */
        return kiln_vec_push(&r->command, c);
    const struct kiln_span first = locate(r, s->touch[0].object, s->touch[0].offset, s->touch[0].bytes);
    if (s->kind == KILN_COMMAND_COPY) {
        c.as.copy.from = first;
        c.as.copy.to = locate(r, s->touch[1].object, s->touch[1].offset, s->touch[1].bytes);
    } else if (s->kind == KILN_COMMAND_FILL) {
        c.as.fill.to = first;
        c.as.fill.value = s->fill;
    } else {
        c.as.repeat.flag = first;
    }
    return kiln_vec_push(&r->command, c);
}

static bool record_steps(struct recording *r)
{
    const struct kiln_plan *plan = r->params->plan;
    const int end = r->params->end ? r->params->end : plan->step.count;
    int wave = -1;
    for (int i = r->params->first; i < end; i++) {
        const struct kiln_step *s = &plan->step.data[i];
        if (s->prologue != r->params->prologue)
            continue;
        const bool mark =
            s->kind == KILN_COMMAND_REPEAT || s->kind == KILN_COMMAND_END; /* a barrier itself */
        if (wave >= 0 && s->wave != wave && !mark &&
            !kiln_vec_push(&r->command, (struct kiln_command){.kind = KILN_COMMAND_BARRIER}))
            return false;
        wave = mark ? -1 : s->wave;
        if (!record_step(r, s))
            return false;
    }
    return true;
}

kiln_status kiln_record(struct kiln_commands *out, struct kiln_arena *arena,
                        const struct kiln_record_params *params)
{
    struct recording r = {.params = params, .arena = arena};
    *out = (struct kiln_commands){.buffer = params->buffer,
                                  .buffer_name = params->buffer_name,
                                  .buffer_count = params->buffer_count,
                                  .name = params->name};
    bool whole = record_steps(&r);
    if (whole && r.command.count) {
        out->command =
            kiln_arena_copy(arena, r.command.data, (size_t)r.command.count * sizeof *r.command.data);
        out->count = r.command.count;
        whole = out->command;
    }
    kiln_vec_finish(&r.command);
    return whole ? kiln_hazard_check(out) : kiln_fail(KILN_ERROR_MEMORY, "recorder: out of memory");
}
