/*
 * recorder.c - see recorder.h.
 *
 * A grid is one logical count of workgroups. On a GPU it is folded into x, y and z of at most the device's limit each; what
 * does not fit one command goes on in the next with a first group. The CPU takes units of work as they are.
 */
#include "recorder/recorder.h"

#include <string.h>

#include "base/log.h"
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

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* x * y * z >= count with little to spare; returns how many groups they hold, at most count. */
static uint64_t fold_grid(uint64_t count, uint64_t most, uint32_t groups[3])
{
    const uint64_t x = smaller(count, most), rows = (count + x - 1) / x;
    const uint64_t y = smaller(rows, most), layers = (rows + y - 1) / y;
    const uint64_t z = smaller(layers, most);
    groups[0] = (uint32_t)x;
    groups[1] = (uint32_t)y;
    groups[2] = (uint32_t)z;
    return smaller(count, x * y * z);
}

static double estimate(const struct kiln_step *s)
{
    double bytes = 0;
    for (int i = 0; i < s->touches; i++)
        bytes += s->touch[i].object >= 0 ? (double)s->touch[i].bytes : 0;
    const double flops = s->dispatch->kernel->flops ? s->dispatch->kernel->flops(s->dispatch) : 0;
    return flops > bytes ? flops : bytes;
}

static bool record_dispatch(struct recording *r, const struct kiln_step *s)
{
    const struct kiln_caps *caps = &r->params->plan->dev->caps;
    const kiln_dispatch *d = s->dispatch;
    struct kiln_command c = {.kind = KILN_COMMAND_DISPATCH, .label = s->node->op->name};
    c.as.dispatch.dispatch = d;
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        c.as.dispatch.bind[i] = i < s->touches
                                    ? locate(r, s->touch[i].object, s->touch[i].offset, s->touch[i].bytes)
                                    : (struct kiln_span){.buffer = -1};
    c.as.dispatch.scratch = locate(r, s->scratch_object, 0, s->scratch);
    const uint64_t total = d->variant->groups ? d->variant->groups(caps, d) : d->kernel->units(d);
    for (uint64_t first = 0; first < total;) {
        uint32_t *groups = c.as.dispatch.groups;
        groups[0] = groups[1] = groups[2] = 1;
        const bool fold = caps->backend != KILN_BACKEND_CPU;
        const uint64_t count = fold ? fold_grid(total - first, caps->max_groups, groups) : total;
        c.as.dispatch.first = first;
        c.as.dispatch.count = count;
        c.as.dispatch.flops = estimate(s) * (double)count / (double)total;
        if (!kiln_vec_push(&r->command, c))
            return false;
        first += count;
    }
    return true;
}

static bool record_step(struct recording *r, const struct kiln_step *s)
{
    if (s->kind == KILN_COMMAND_DISPATCH)
        return record_dispatch(r, s);
    struct kiln_command c = {.kind = s->kind, .label = s->node->op->name};
    const struct kiln_span first = locate(r, s->touch[0].object, s->touch[0].offset, s->touch[0].bytes);
    if (s->kind == KILN_COMMAND_COPY) {
        c.as.copy.from = first;
        c.as.copy.to = locate(r, s->touch[1].object, s->touch[1].offset, s->touch[1].bytes);
    } else {
        c.as.fill.to = first;
        c.as.fill.value = s->fill;
    }
    return kiln_vec_push(&r->command, c);
}

static bool record_steps(struct recording *r)
{
    const struct kiln_plan *plan = r->params->plan;
    int wave = -1;
    for (int i = 0; i < plan->step.count; i++) {
        const struct kiln_step *s = &plan->step.data[i];
        if (s->prologue != r->params->prologue)
            continue;
        if (wave >= 0 && s->wave != wave &&
            !kiln_vec_push(&r->command, (struct kiln_command){.kind = KILN_COMMAND_BARRIER}))
            return false;
        wave = s->wave;
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
