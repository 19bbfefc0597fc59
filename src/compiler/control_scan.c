/*
 * control_scan.c - a scan becomes its steps, or a region whose turns are several of them each and what is left over behind it.
 */
#include <stdlib.h>
#include <string.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "compiler/control.h"
#include "compiler/region.h"
#include "ops/control.h"
#include "ops/kernels.h"

/* Nodes that the steps of one scan, or of a turn, may take: docs/BENCHMARKS.md has the measurement. */
enum { MOST_WORK = 1024 };

struct scan {
    struct kiln_expansion *e;
    kiln_graph *to;
    const kiln_node *n;
    const struct kiln_scan_node *p;
    struct kiln_body body;
    int64_t length;
    int stacks;         /* that may be wanted: stacked outputs, then carries as the steps got them */
    kiln_tensor *each;  /* by input */
    kiln_tensor *carry; /* as it is by now */
    kiln_tensor *rows;  /* of the steps at hand: [stack * steps + row] */
    kiln_tensor *stack; /* what a region has stacked */
};

/* The node's output that stack i becomes. */
static kiln_tensor stack_output(const struct scan *s, int i)
{
    return s->n->out[i < s->p->stacked ? i : i + s->p->carry];
}

static bool is_wanted(const struct scan *s, int stack)
{
    return s->e->used[stack_output(s, stack).id];
}

static bool is_carried(const struct scan *s, int carry)
{
    return s->body.out[s->p->stacked + carry].id;
}

/* Preparing -------------------------------------------------------------------------------------------------- */

/* What the steps get, and which of their outputs are wanted: a carry that is looked at before a step is one after the last. */
static void describe(struct scan *s, kiln_spec *in, bool *out)
{
    const struct kiln_scan_node *p = s->p;
    for (int i = 0; i < s->n->inputs; i++) {
        in[i] = kiln_tensor_spec(s->to, kiln_expansion_value(s->e, s->n->in[i]));
        if (i < p->each) {
            in[i].shape.rank--;
            memmove(in[i].shape.size, in[i].shape.size + 1,
                    (size_t)in[i].shape.rank * sizeof *in[i].shape.size);
        }
    }
    for (int i = 0; i < s->stacks; i++)
        out[i] = is_wanted(s, i);
    for (int i = 0; i < p->carry; i++)
        out[p->stacked + i] |= s->e->used[s->n->out[p->stacked + i].id];
}

static kiln_status prepare(struct scan *s)
{
    const struct kiln_scan_node *p = s->p;
    kiln_spec *in = calloc((size_t)s->n->inputs + 1, sizeof *in);
    bool *out = calloc((size_t)s->n->outputs + 1, sizeof *out);
    const struct kiln_body_wanted wanted = {.body = p->body,
                                            .in = in,
                                            .out = out,
                                            .carries = (int)p->carry,
                                            .carry_in = (int)p->each,
                                            .carry_out = (int)p->stacked};
    kiln_status status = KILN_ERROR_MEMORY;
    if (in && out) {
        describe(s, in, out);
        status = kiln_body_prepare(&s->body, s->e->r, &wanted);
    }
    free(in);
    free(out);
    return status;
}

static kiln_status begin(struct scan *s)
{
    const struct kiln_scan_node *p = s->p;
    kiln_tensor *given = calloc((size_t)s->n->inputs + 1, sizeof *given);
    s->each = calloc((size_t)p->each + 1, sizeof *s->each);
    s->carry = calloc((size_t)p->carry + 1, sizeof *s->carry);
    s->stack = calloc((size_t)s->stacks + 1, sizeof *s->stack);
    const bool whole = given && s->each && s->carry && s->stack;
    for (int i = 0; i < s->n->inputs && whole; i++) {
        const kiln_tensor t = kiln_expansion_value(s->e, s->n->in[i]);
        *(i < p->each ? &s->each[i] : i < p->each + p->carry ? &s->carry[i - p->each] : &given[i]) = t;
    }
    if (whole)
        kiln_body_begin(&s->body, s->to, given, true);
    free(given);
    return whole ? s->to->status : KILN_ERROR_MEMORY;
}

/* Steps ------------------------------------------------------------------------------------------------------ */

static void put_step(struct scan *s, const kiln_tensor *each, int64_t row)
{
    const int slices = (int)s->p->each;
    for (int i = 0; i < slices; i++)
        if (s->body.in[i].id)
            kiln_body_set(&s->body, i,
                          kiln_squeeze(s->to, kiln_slice(s->to, each[i], 0, row, row + 1, 1), 0));
    for (int i = 0; i < s->p->carry; i++)
        kiln_body_set(&s->body, slices + i, s->carry[i]);
    kiln_body_put(&s->body);
}

/* The steps of rows [first, first + count) of the values in `each`, in the scan's direction. */
static void put_steps(struct scan *s, const kiln_tensor *each, int64_t first, int64_t count)
{
    const int plain = (int)s->p->stacked;
    for (int64_t t = 0; t < count && !s->to->status; t++) {
        const int64_t row = s->p->reverse ? count - 1 - t : t;
        put_step(s, each, first + row);
        for (int i = 0; i < s->stacks; i++)
            if (is_wanted(s, i))
                s->rows[i * count + row] = i < plain ? kiln_body_get(&s->body, i) : s->carry[i - plain];
        for (int i = 0; i < s->p->carry; i++)
            if (is_carried(s, i))
                s->carry[i] = kiln_body_get(&s->body, plain + i);
    }
}

/* Turns ------------------------------------------------------------------------------------------------------ */

/* What a region carries: the first row of a turn, the scan's carries, the stacks. */
static void list_carries(struct scan *s, int64_t steps, int64_t turns, struct kiln_carries *c)
{
    kiln_carries_add(c, kiln_whole_number(s->to, s->p->reverse ? (turns - 1) * steps : 0));
    for (int i = 0; i < s->p->carry; i++)
        if (is_carried(s, i))
            kiln_carries_add(c, s->carry[i]);
    for (int i = 0; i < s->stacks; i++) {
        kiln_spec spec = kiln_expansion_spec(s->e, stack_output(s, i));
        spec.shape.size[0] = steps * turns;
        if (is_wanted(s, i))
            kiln_carries_add(c, kiln_undefined(s->to, &spec));
    }
}

/* The carries' values of a region from there on. Returns where the stacks begin. */
static int take_carries(struct scan *s, const kiln_tensor *from)
{
    int at = 1;
    for (int i = 0; i < s->p->carry; i++)
        if (is_carried(s, i))
            s->carry[i] = from[at++];
    return at;
}

/* Put the rows of a turn that are there by now; `at` is the region's first stack. */
static void put_rows(struct scan *s, const kiln_node *repeat, int64_t steps, int at, struct kiln_carries *c)
{
    for (int i = 0; i < s->stacks; i++) {
        if (!is_wanted(s, i))
            continue;
        if (!c->next[at].id && s->rows[i * steps].id)
            c->next[at] = kiln_put_at(s->to, repeat->out[at], kiln_stacked(s->to, s->rows + i * steps, steps),
                                      0, repeat->out[0]);
        at++;
    }
}

/* Of a turn of one step: the carries as they are before it, which the step may then write over. */
static void put_carries(struct scan *s, const kiln_node *repeat, int at, struct kiln_carries *c)
{
    for (int i = (int)s->p->stacked; i < s->stacks; i++)
        s->rows[i] = s->carry[i - s->p->stacked];
    put_rows(s, repeat, 1, at, c);
}

static void put_turn(struct scan *s, const kiln_node *repeat, int64_t steps, struct kiln_carries *c)
{
    kiln_graph *g = s->to;
    const kiln_tensor row = repeat->out[0];
    kiln_tensor *each = kiln_arena_alloc(&g->arena, (size_t)(s->p->each + 1) * sizeof *each);
    for (int i = 0; i < s->p->each && each; i++)
        if (s->body.in[i].id)
            each[i] = kiln_slice_at(g, s->each[i], 0, row, steps);
    const int stack = take_carries(s, repeat->out);
    if (steps == 1)
        put_carries(s, repeat, stack, c);
    if (each)
        put_steps(s, each, 0, steps);
    for (int i = 0, at = 1; i < s->p->carry; i++)
        if (is_carried(s, i))
            c->next[at++] = s->carry[i];
    put_rows(s, repeat, steps, stack, c);
    c->next[0] = kiln_add(g, row, kiln_whole_number(g, s->p->reverse ? -steps : steps));
}

/* `turns` turns of `steps` steps each, over the values in s->each. */
static void put_turns(struct scan *s, int64_t steps, int64_t turns)
{
    struct kiln_carries c = {0};
    const kiln_node *repeat = NULL, *until = NULL;
    if (kiln_carries_make(&c, 1 + (int)s->p->carry + s->stacks)) {
        list_carries(s, steps, turns, &c);
        repeat = kiln_repeat_open(s->to, c.initial, c.count, &(struct kiln_repeat){turns, -1});
    }
    if (repeat) {
        put_turn(s, repeat, steps, &c);
        until = kiln_repeat_close(s->to, repeat, c.next);
    }
    if (until) {
        int at = take_carries(s, until->out);
        for (int i = 0; i < s->stacks; i++)
            if (is_wanted(s, i))
                s->stack[i] = until->out[at++];
    } else {
        kiln_graph_fail(s->to, KILN_ERROR_MEMORY, "compiler: out of memory");
    }
    kiln_carries_free(&c);
}

/* Rows [first, first + count) of what is cut. */
static void cut_each(struct scan *s, int64_t first, int64_t count)
{
    for (int i = 0; i < s->p->each; i++)
        if (s->body.in[i].id && count < s->length)
            s->each[i] = kiln_slice(s->to, s->each[i], 0, first, first + count, 1);
}

/* The whole -------------------------------------------------------------------------------------------------- */

/* How many steps a turn has: of turns of equal length, if there is more than one. */
static int64_t steps_of(const struct scan *s)
{
    const int64_t work = s->body.work > 0 ? s->body.work : 1,
                  most = MOST_WORK / work > 0 ? MOST_WORK / work : 1;
    if (s->p->form == KILN_LOOP_UNROLLED || (s->p->form == KILN_LOOP_AUTO && s->length <= most))
        return s->length;
    if (s->p->form == KILN_LOOP_REPEATED)
        return 1;
    const int64_t turns = (s->length + most - 1) / most;
    return (s->length + turns - 1) / turns;
}

/* The node's outputs: of stacks the rows of the region, if there was one, and those of the last steps on their side of it. */
static void give_outputs(struct scan *s, int64_t steps)
{
    struct kiln_rewrite *r = s->e->r;
    for (int i = 0; i < s->stacks; i++) {
        kiln_tensor part[2];
        int parts = 0;
        if (!is_wanted(s, i))
            continue;
        const kiln_tensor last = steps ? kiln_stacked(s->to, s->rows + i * steps, steps) : KILN_NONE;
        const kiln_tensor order[] = {s->p->reverse ? last : s->stack[i], s->p->reverse ? s->stack[i] : last};
        for (int k = 0; k < 2; k++)
            if (order[k].id)
                part[parts++] = order[k];
        const kiln_spec none = kiln_expansion_spec(s->e, stack_output(s, i));
        r->map[stack_output(s, i).id] =
            parts ? kiln_joined(s->to, part, parts) : kiln_undefined(s->to, &none);
    }
    for (int i = 0; i < s->p->carry; i++)
        r->map[s->n->out[s->p->stacked + i].id] = s->carry[i];
}

static kiln_status expand(struct scan *s)
{
    const int64_t steps = steps_of(s), turns = steps && steps < s->length ? s->length / steps : 0;
    const int64_t rest = s->length - turns * steps, begin = s->p->reverse ? rest : 0;
    kiln_tensor *all = calloc((size_t)s->p->each + 1, sizeof *all);
    s->rows = calloc((size_t)(s->stacks + 1) * (size_t)(steps > rest ? steps : rest), sizeof *s->rows);
    if (!all || !s->rows) {
        free(all);
        return KILN_ERROR_MEMORY;
    }
    memcpy(all, s->each, (size_t)s->p->each * sizeof *all);
    if (turns) {
        cut_each(s, begin, turns * steps);
        put_turns(s, steps, turns);
    }
    put_steps(s, all, s->p->reverse ? 0 : turns * steps, rest);
    if (!s->to->status)
        give_outputs(s, rest);
    free(all);
    return s->to->status;
}

kiln_status kiln_expand_scan(struct kiln_expansion *e, const kiln_node *n)
{
    struct scan s = {.e = e, .to = e->r->to, .n = n, .p = n->params};
    s.stacks = (int)(s.p->stacked + s.p->carry);
    s.length = kiln_expansion_spec(e, n->out[s.p->stacked ? 0 : s.p->carry]).shape.size[0];
    kiln_status status = prepare(&s);
    if (!status)
        status = begin(&s);
    if (!status)
        status = expand(&s);
    kiln_body_finish(&s.body);
    free(s.each);
    free(s.carry);
    free(s.rows);
    free(s.stack);
    return status == KILN_ERROR_MEMORY ? kiln_fail(status, "scan: out of memory") : status;
}
