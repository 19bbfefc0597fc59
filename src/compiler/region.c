/*
 * region.c - the operators that open and close a region, and their lowering.
 *
 * A repeat copies what each carry begins as into the carry's memory, unless it was computed there (place.c), and an until
 * likewise what it becomes. On the CPU a turn's flag is looked at before the turn. On a device that runs a list by itself,
 * every dispatch of a region with a flag takes its number of workgroups from a table in device memory, and a *gate* writes the
 * table before the region and at the end of each turn: the true numbers, or zeros when the flag says that it is done. Copies and
 * fills inside become dispatches, so that they stop too. A gate within another region with a flag is also shut where that one is.
 */
#include "compiler/region.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/grid.h"
#include "compiler/objects.h"
#include "control/gate.h"
#include "ops/copy.h"
#include "ops/kernels.h"

/* Operators ---------------------------------------------------------------------------------------------- */

static kiln_status undefined_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    (void)g;
    *out = *(const kiln_spec *)n->params;
    return KILN_OK;
}

/* Carries are copied, not inferred: the compiler makes these nodes with their specs. */
static kiln_status carries_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    for (int i = 0; i < n->outputs; i++)
        out[i] = kiln_tensor_spec(g, n->in[i]);
    return KILN_OK;
}

const kiln_op kiln_op_undefined = {.name = "undefined", .outputs = 1, .infer = undefined_infer};
const kiln_op kiln_op_repeat = {.name = "repeat", .inputs = 1, .infer = carries_infer};
const kiln_op kiln_op_until = {.name = "until", .inputs = 2, .infer = carries_infer};

kiln_tensor kiln_undefined(kiln_graph *g, const kiln_spec *spec)
{
    kiln_spec params;
    memset(&params, 0, sizeof params); /* padding too: params are compared by their bytes */
    params.type = spec->type;
    params.shape = kiln_shape_of(spec->shape.rank, spec->shape.size);
    const kiln_node *n =
        kiln_graph_add(g, &kiln_op_undefined, NULL, 0, &params, sizeof params, spec, 1, NULL);
    return n ? n->out[0] : KILN_NONE;
}

kiln_tensor kiln_undefined_rows(kiln_graph *g, const kiln_spec *spec, int64_t rows)
{
    kiln_spec all = {.type = spec->type, .shape = {.rank = spec->shape.rank + 1}};
    all.shape.size[0] = rows;
    memcpy(all.shape.size + 1, spec->shape.size, (size_t)spec->shape.rank * sizeof *spec->shape.size);
    return kiln_undefined(g, &all);
}

static const kiln_node *add(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs, int carries,
                            const struct kiln_repeat *p)
{
    kiln_spec *spec = kiln_arena_alloc(&g->arena, (size_t)(carries + 1) * sizeof *spec);
    for (int i = 0; spec && i < carries; i++)
        spec[i] = kiln_tensor_spec(g, in[i]);
    if (spec && !g->status)
        return kiln_graph_add(g, op, in, inputs, p, sizeof *p, spec, carries, NULL);
    kiln_graph_fail(g, KILN_ERROR_MEMORY, "compiler: out of memory");
    return NULL;
}

const kiln_node *kiln_repeat_open(kiln_graph *g, const kiln_tensor *initial, int carries,
                                  const struct kiln_repeat *p)
{
    return add(g, &kiln_op_repeat, initial, carries, carries, p);
}

const kiln_node *kiln_repeat_close(kiln_graph *g, const kiln_node *repeat, const kiln_tensor *next)
{
    const int carries = repeat->outputs;
    kiln_tensor *in = kiln_arena_alloc(&g->arena, (size_t)(2 * carries) * sizeof *in);
    if (!in) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "compiler: out of memory");
        return NULL;
    }
    memcpy(in, repeat->out, (size_t)carries * sizeof *in);
    memcpy(in + carries, next, (size_t)carries * sizeof *in);
    return add(g, &kiln_op_until, in, 2 * carries, carries, repeat->params);
}

int *kiln_regions(const kiln_graph *g)
{
    int *region = malloc((size_t)(g->node.count + 1) * sizeof *region), now = -1;
    for (int i = 0; region && i < g->node.count; i++) {
        const kiln_op *op = g->node.data[i]->op;
        if (op == &kiln_op_until)
            now = region[now];
        region[i] = now;
        if (op == &kiln_op_repeat)
            now = i;
    }
    return region;
}

/* Gates -------------------------------------------------------------------------------------------------- */

static struct kiln_open_region *innermost(struct kiln_plan *plan)
{
    return &plan->open.data[plan->open.count - 1];
}

/* The innermost open region with a gate, of the first `count`; NULL: none. */
static const struct kiln_open_region *gated(const struct kiln_plan *plan, int count)
{
    for (int i = count - 1; i >= 0; i--)
        if (plan->open.data[i].live.id)
            return &plan->open.data[i];
    return NULL;
}

bool kiln_plan_gated(const kiln_plan *plan)
{
    return gated(plan, plan->open.count);
}

/* Steps whose numbers of groups this region's table holds: not those of a region within that has its own. */
static bool is_guarded(const struct kiln_step *s)
{
    return s->kind == KILN_COMMAND_DISPATCH && !s->gate && s->indirect < 0;
}

typedef KILN_VEC(uint32_t) words;

/* Three words a command: the dispatch's groups. */
static bool add_rows(const struct kiln_caps *caps, const kiln_dispatch *d, words *w)
{
    bool whole = true;
    for (uint64_t left = kiln_grid_total(caps, d); left && whole;) {
        uint32_t groups[3];
        left -= kiln_grid_fold(caps, left, groups);
        for (int i = 0; i < 3; i++)
            whole = whole && kiln_vec_push(w, groups[i]);
    }
    return whole;
}

/* Point every guarded step from `first` on to its rows of the live table, and list what they are when it is open. */
static kiln_status guard_steps(struct kiln_plan *plan, int first, const struct kiln_place *live, words *w)
{
    for (int i = first; i < plan->step.count; i++) {
        struct kiln_step *s = &plan->step.data[i];
        const int before = w->count;
        if (!is_guarded(s))
            continue;
        if (!add_rows(kiln_plan_caps(plan), s->dispatch, w))
            return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
        s->indirect = s->touches;
        s->touch[s->touches++] = (struct kiln_touch){live->object, live->offset + 4 * (uint64_t)before,
                                                     4 * (uint64_t)(w->count - before), KILN_READ};
    }
    return KILN_OK;
}

/* The live table grows to what it must hold; it was made when only that there would be one was known. */
static void resize_table(struct kiln_plan *plan, kiln_tensor live, int count)
{
    plan->graph->value.data[live.id - 1].spec.shape.size[0] = count;
    plan->object.data[kiln_place_of(plan, live)->object].bytes = 4 * (uint64_t)count;
}

/* Plan a gate, and move its step to `at`. */
static kiln_status add_gate(struct kiln_plan *plan, int at, kiln_tensor flag, kiln_tensor full,
                            kiln_tensor live)
{
    const struct kiln_open_region *outer = gated(plan, plan->open.count - 1);
    const struct kiln_params_gate block = {(uint32_t)kiln_plan_spec(plan, live).shape.size[0], outer != NULL};
    kiln_dispatch d = {
        .kernel = &kiln_kernel_gate,
        .bind = {{.value = flag},
                 {.value = outer ? outer->live : KILN_NONE, .bytes = 4},
                 {.value = full},
                 {.value = live}},
        .block_size = sizeof block,
    };
    memcpy(d.block.bytes, &block, sizeof block);
    const kiln_status status = kiln_plan_dispatch(plan, &d);
    if (status)
        return status;
    struct kiln_step gate = plan->step.data[plan->step.count - 1];
    gate.gate = true;
    memmove(&plan->step.data[at + 1], &plan->step.data[at],
            (size_t)(plan->step.count - 1 - at) * sizeof gate);
    plan->step.data[at] = gate;
    return KILN_OK;
}

/* A region that may make several turns shuts its gate at the end of each. */
static kiln_status add_gates(struct kiln_plan *plan, const kiln_node *repeat)
{
    const struct kiln_repeat *p = repeat->params;
    const struct kiln_open_region r = *innermost(plan);
    words w = {0};
    kiln_status status = guard_steps(plan, r.step + 1, kiln_place_of(plan, r.live), &w);
    for (int i = w.count; i < 3 && !status; i++) /* nothing is guarded, but gates within look at this table */
        if (!kiln_vec_push(&w, 1))
            status = kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    const kiln_tensor full = status ? KILN_NONE : kiln_plan_table(plan, w.data, w.count);
    if (!status && !full.id)
        status = kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    if (!status) {
        resize_table(plan, r.live, w.count);
        if (p->count > 1)
            status = add_gate(plan, plan->step.count, repeat->out[p->flag], full, r.live);
    }
    if (!status)
        status = add_gate(plan, r.step, repeat->out[p->flag], full, r.live);
    kiln_vec_finish(&w);
    return status;
}

/* Lowering ----------------------------------------------------------------------------------------------- */

static kiln_status copy_value(struct kiln_plan *plan, kiln_tensor from, kiln_tensor to)
{
    if (kiln_plan_in_place(plan, from, to))
        return KILN_OK;
    return kiln_plan_copy(plan, (kiln_binding){.value = from}, (kiln_binding){.value = to});
}

static kiln_status push_marker(struct kiln_plan *plan, enum kiln_command_kind kind, const kiln_node *repeat)
{
    const struct kiln_repeat *p = repeat->params;
    struct kiln_step s = kiln_new_step(plan, kind);
    s.count = (uint64_t)p->count;
    if (kind == KILN_COMMAND_REPEAT && p->flag >= 0) {
        const struct kiln_place *flag = kiln_place_of(plan, repeat->out[p->flag]);
        s.touch[s.touches++] = (struct kiln_touch){flag->object, flag->offset, 4, KILN_READ};
    }
    return kiln_add_step(plan, &s);
}

kiln_status kiln_lower_repeat(struct kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_repeat *p = n->params;
    kiln_status status = KILN_OK;
    for (int i = 0; i < n->outputs && !status; i++)
        if (kiln_graph_node(plan->graph, n->in[i])->op != &kiln_op_undefined)
            status = copy_value(plan, n->in[i], n->out[i]);
    struct kiln_open_region r = {.repeat = n, .step = plan->step.count};
    if (!status && p->flag >= 0 && kiln_plan_caps(plan)->backend != KILN_BACKEND_CPU) {
        r.live = kiln_plan_temporary(plan, KILN_I32, 1);
        status = r.live.id ? KILN_OK : KILN_ERROR_MEMORY;
    }
    if (!status && !kiln_vec_push(&plan->open, r))
        status = kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    return status ? status : push_marker(plan, KILN_COMMAND_REPEAT, n);
}

/* Whether t's bytes are those of a carry of this region other than i: a copy over carry i or another might come too early. */
static bool in_other_carry(const struct kiln_plan *plan, const kiln_node *repeat, kiln_tensor t, int i)
{
    for (int k = 0; k < repeat->outputs; k++)
        if (k != i && kiln_place_of(plan, t)->object == kiln_place_of(plan, repeat->out[k])->object)
            return true;
    return false;
}

/* Carries may change places: what lies in another carry's memory is set aside before any of them is written. */
static kiln_status hand_on(struct kiln_plan *plan, const kiln_node *repeat, const kiln_tensor *next)
{
    const int carries = repeat->outputs;
    kiln_tensor *from = kiln_arena_alloc(&plan->arena, (size_t)(carries + 1) * sizeof *from);
    kiln_status status = from ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    for (int i = 0; i < carries && !status; i++) {
        from[i] = next[i];
        if (kiln_plan_in_place(plan, next[i], repeat->out[i]) || !in_other_carry(plan, repeat, next[i], i))
            continue;
        const kiln_spec spec = kiln_plan_spec(plan, next[i]);
        from[i] = kiln_plan_temporary(plan, spec.type, kiln_shape_count(&spec.shape));
        status = from[i].id ? copy_value(plan, next[i], from[i]) : KILN_ERROR_MEMORY;
    }
    for (int i = 0; i < carries && !status; i++)
        status = copy_value(plan, from[i], repeat->out[i]);
    return status;
}

kiln_status kiln_lower_until(struct kiln_plan *plan, const kiln_node *n)
{
    const kiln_node *repeat = innermost(plan)->repeat;
    kiln_status status = hand_on(plan, repeat, n->in + repeat->outputs);
    if (!status && innermost(plan)->live.id)
        status = add_gates(plan, repeat);
    if (!status)
        status = push_marker(plan, KILN_COMMAND_END, repeat);
    kiln_vec_pop(&plan->open);
    return status;
}
