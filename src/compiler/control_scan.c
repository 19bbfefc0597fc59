/*
 * control_scan.c - a scan becomes its steps, or a region whose turns are several of them each and what is left over behind it.
 *
 * What can be computed for all steps at once is put before them or behind (fission.h). A value of the body is known for all steps
 * as whole[id]: a slice's source, what was put before, what the steps have stacked, what was put behind.
 */
#include <stdlib.h>
#include <string.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "compiler/control.h"
#include "compiler/fission.h"
#include "compiler/region.h"
#include "ops/control.h"
#include "ops/kernels.h"

/* Nodes that the steps of one scan, or of a turn, may take: planning and baking grow with them. */
enum { MOST_WORK = 1024 };

typedef KILN_VEC(kiln_tensor) values;

struct scan {
    struct kiln_expansion *e;
    kiln_graph *to;
    const kiln_node *n;
    const struct kiln_scan_node *p;
    struct kiln_body body;
    struct kiln_fission f;
    bool *saved; /* by carry: wanted as the steps got it */
    int64_t length;
    kiln_tensor *carry; /* as it is by now */
    kiln_tensor *whole; /* by the body's value id */
    values source;      /* values of the body of which a step takes its row of whole[] */
    values stack;       /* values of the body whose rows are stacked */
    kiln_tensor *rows;  /* of the steps at hand: [stack * steps + row] */
    kiln_tensor *piece; /* by stack: what a region has stacked */
};

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "scan: out of memory");
}

static bool is_used(const struct scan *s, int output)
{
    return s->e->used[s->n->out[output].id];
}

static kiln_tensor carry_input(const struct scan *s, int carry)
{
    return s->body.in[s->p->each + carry];
}

/* What the steps hand on: not what stays as it is, nor what is summed behind. */
static bool is_carried(const struct scan *s, int carry)
{
    return s->body.out[s->p->stacked + carry].id && !s->f.summed[carry];
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
    for (int i = 0; i < p->stacked; i++)
        out[i] = is_used(s, i);
    for (int i = 0; i < p->carry; i++) {
        s->saved[i] = is_used(s, (int)(p->stacked + p->carry) + i);
        out[p->stacked + i] = s->saved[i] || is_used(s, (int)p->stacked + i);
    }
}

static kiln_status prepare_body(struct scan *s)
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
    s->saved = calloc((size_t)p->carry + 1, sizeof *s->saved);
    if (in && out && s->saved) {
        describe(s, in, out);
        status = kiln_body_prepare(&s->body, s->e->r, &wanted);
    }
    free(in);
    free(out);
    return status;
}

/* What no step changes is put, and the rest divided. */
static kiln_status divide_body(struct scan *s)
{
    const struct kiln_scan_node *p = s->p;
    kiln_tensor *given = calloc((size_t)s->n->inputs + 1, sizeof *given);
    s->carry = calloc((size_t)p->carry + 1, sizeof *s->carry);
    s->whole = calloc((size_t)s->body.graph->value.count + 1, sizeof *s->whole);
    const bool room = given && s->carry && s->whole;
    for (int i = 0; i < s->n->inputs && room; i++) {
        const kiln_tensor t = kiln_expansion_value(s->e, s->n->in[i]);
        if (i < p->each)
            s->whole[s->body.in[i].id] = s->body.in[i].id ? t : KILN_NONE;
        else
            *(i < p->each + p->carry ? &s->carry[i - p->each] : &given[i]) = t;
    }
    if (room)
        kiln_body_begin(&s->body, s->to, given, true);
    free(given);
    if (!room)
        return KILN_ERROR_MEMORY;
    s->f = (struct kiln_fission){.b = &s->body,
                                 .each = (int)p->each,
                                 .carry = (int)p->carry,
                                 .stacked = (int)p->stacked,
                                 .saved = s->saved,
                                 .steps = s->length};
    const kiln_status status = kiln_fission_find(&s->f);
    return status ? status : s->to->status;
}

static bool has(const values *list, kiln_tensor t)
{
    for (int i = 0; i < list->count; i++)
        if (list->data[i].id == t.id)
            return true;
    return false;
}

/* A value that a step needs: if its rows are there, the step takes its own. */
static bool need_row(struct scan *s, kiln_tensor t)
{
    return !t.id || !s->whole[t.id].id || has(&s->source, t) || kiln_vec_push(&s->source, t);
}

/* A value that is needed for all steps: if its rows are not there, the steps stack them. */
static bool need_rows(struct scan *s, kiln_tensor t)
{
    return !t.id || s->whole[t.id].id || has(&s->stack, t) || kiln_vec_push(&s->stack, t);
}

static bool is_behind(const struct scan *s, int node)
{
    return s->f.part[node] == KILN_PART_BEHIND || s->f.part[node] == KILN_PART_SUMMAND;
}

/* Whether t comes from a node that is put behind the steps. */
static bool comes_behind(const struct scan *s, kiln_tensor t)
{
    const kiln_graph *g = s->body.graph;
    for (int i = 0; i < g->node.count; i++)
        if (is_behind(s, i) && g->node.data[i]->out[0].id == t.id)
            return true;
    return false;
}

/* Put what comes before the steps, and list what these take and give. */
static bool list_values(struct scan *s)
{
    const kiln_graph *g = s->body.graph;
    const int stacked = (int)s->p->stacked;
    bool whole = true;
    for (int i = 0; i < g->node.count && whole; i++) {
        const kiln_node *n = g->node.data[i];
        if (s->f.part[i] == KILN_PART_BEFORE)
            s->whole[n->out[0].id] = kiln_fission_cases(&s->f, s->to, n, s->whole);
        for (int k = 0; k < n->inputs && whole; k++)
            if (is_behind(s, i))
                whole = !n->in[k].id || !s->body.varies[n->in[k].id] || comes_behind(s, n->in[k]) ||
                        need_rows(s, n->in[k]);
            else if (s->f.part[i] == KILN_PART_STEP)
                whole = need_row(s, n->in[k]);
    }
    for (int i = 0; i < stacked && whole; i++)
        whole = comes_behind(s, s->body.out[i]) || need_rows(s, s->body.out[i]);
    for (int i = 0; i < s->p->carry && whole; i++) {
        whole = !s->saved[i] || need_rows(s, carry_input(s, i));
        whole = whole && (!is_carried(s, i) || need_row(s, s->body.out[stacked + i]));
    }
    return whole;
}

/* Steps ------------------------------------------------------------------------------------------------------ */

static kiln_tensor row_of(kiln_graph *g, kiln_tensor x, int64_t row)
{
    return kiln_squeeze(g, kiln_slice(g, x, 0, row, row + 1, 1), 0);
}

/* The steps of rows [first, first + count) of from[], by source, in the scan's direction. */
static void put_steps(struct scan *s, const kiln_tensor *from, int64_t first, int64_t count)
{
    kiln_tensor *map = s->body.map;
    for (int64_t t = 0; t < count && !s->to->status; t++) {
        const int64_t row = s->p->reverse ? count - 1 - t : t;
        for (int i = 0; i < s->source.count; i++)
            map[s->source.data[i].id] = row_of(s->to, from[i], first + row);
        for (int i = 0; i < s->p->carry; i++)
            kiln_body_set(&s->body, (int)s->p->each + i, s->carry[i]);
        kiln_body_put(&s->body);
        for (int i = 0; i < s->stack.count; i++)
            s->rows[i * count + row] = map[s->stack.data[i].id];
        for (int i = 0; i < s->p->carry; i++)
            if (is_carried(s, i))
                s->carry[i] = kiln_body_get(&s->body, (int)s->p->stacked + i);
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
    for (int i = 0; i < s->stack.count; i++) {
        const kiln_spec one = kiln_tensor_spec(s->body.graph, s->stack.data[i]);
        kiln_carries_add(c, kiln_undefined_rows(s->to, &one, steps * turns));
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
    for (int i = 0; i < s->stack.count; i++, at++)
        if (!c->next[at].id && s->rows[i * steps].id)
            c->next[at] = kiln_put_at(s->to, repeat->out[at], kiln_stacked(s->to, s->rows + i * steps, steps),
                                      0, repeat->out[0]);
}

/* Of a turn of one step: the carries as they are before it, which the step may then write over. */
static void put_carries(struct scan *s, const kiln_node *repeat, int at, struct kiln_carries *c)
{
    for (int i = 0; i < s->stack.count; i++)
        for (int k = 0; k < s->p->carry; k++)
            if (s->stack.data[i].id == carry_input(s, k).id)
                s->rows[i] = s->carry[k];
    put_rows(s, repeat, 1, at, c);
}

static void put_turn(struct scan *s, const kiln_node *repeat, const kiln_tensor *from, int64_t steps,
                     struct kiln_carries *c)
{
    kiln_graph *g = s->to;
    const kiln_tensor row = repeat->out[0];
    kiln_tensor *part = kiln_arena_alloc(&g->arena, (size_t)(s->source.count + 1) * sizeof *part);
    for (int i = 0; i < s->source.count && part; i++)
        part[i] = kiln_slice_at(g, from[i], 0, row, steps);
    const int stack = take_carries(s, repeat->out);
    if (steps == 1)
        put_carries(s, repeat, stack, c);
    if (part)
        put_steps(s, part, 0, steps);
    for (int i = 0, at = 1; i < s->p->carry; i++)
        if (is_carried(s, i))
            c->next[at++] = s->carry[i];
    put_rows(s, repeat, steps, stack, c);
    c->next[0] = kiln_add(g, row, kiln_whole_number(g, s->p->reverse ? -steps : steps));
}

/* `turns` turns of `steps` steps each, over the rows of from[]. */
static void put_turns(struct scan *s, const kiln_tensor *from, int64_t steps, int64_t turns)
{
    struct kiln_carries c = {0};
    const kiln_node *repeat = NULL, *until = NULL;
    if (kiln_carries_make(&c, 1 + (int)s->p->carry + s->stack.count)) {
        list_carries(s, steps, turns, &c);
        repeat = kiln_repeat_open(s->to, c.initial, c.count, &(struct kiln_repeat){turns, -1});
    }
    if (repeat) {
        put_turn(s, repeat, from, steps, &c);
        until = kiln_repeat_close(s->to, repeat, c.next);
    }
    if (until) {
        const int at = take_carries(s, until->out);
        memcpy(s->piece, until->out + at, (size_t)s->stack.count * sizeof *s->piece);
    } else {
        kiln_graph_fail(s->to, KILN_ERROR_MEMORY, "compiler: out of memory");
    }
    kiln_carries_free(&c);
}

/* All steps -------------------------------------------------------------------------------------------------- */

/* How many steps a turn has: of turns of equal length, if there is more than one. */
static int64_t steps_of(const struct scan *s)
{
    int64_t work = 0;
    for (int i = 0; i < s->body.graph->node.count; i++)
        work += s->f.part[i] == KILN_PART_STEP && kiln_body_works(&s->body, s->body.graph->node.data[i]);
    const int64_t most = MOST_WORK / (work ? work : 1) > 0 ? MOST_WORK / (work ? work : 1) : 1;
    if (s->p->form == KILN_LOOP_UNROLLED || (s->p->form == KILN_LOOP_AUTO && s->length <= most))
        return s->length;
    if (s->p->form == KILN_LOOP_REPEATED)
        return 1;
    const int64_t turns = (s->length + most - 1) / most;
    return (s->length + turns - 1) / turns;
}

/* Of stack i the rows of the region, if there was one, and those of the last steps on their side of it. */
static kiln_tensor join_stack(struct scan *s, int i, int64_t rest)
{
    kiln_tensor part[2];
    int parts = 0;
    const kiln_tensor last = rest ? kiln_stacked(s->to, s->rows + i * rest, rest) : KILN_NONE;
    const kiln_tensor order[] = {s->p->reverse ? last : s->piece[i], s->p->reverse ? s->piece[i] : last};
    const kiln_spec one = kiln_tensor_spec(s->body.graph, s->stack.data[i]);
    for (int k = 0; k < 2; k++)
        if (order[k].id)
            part[parts++] = order[k];
    return parts ? kiln_joined(s->to, part, parts) : kiln_undefined_rows(s->to, &one, 0);
}

static kiln_status put_all(struct scan *s)
{
    const int64_t steps = steps_of(s), turns = steps && steps < s->length ? s->length / steps : 0;
    const int64_t rest = s->length - turns * steps, begin = s->p->reverse ? rest : 0;
    const size_t room = (size_t)(steps > rest ? steps : rest);
    kiln_tensor *from = kiln_arena_alloc(&s->to->arena, (size_t)(2 * s->source.count + 1) * sizeof *from);
    kiln_tensor *main = from + s->source.count;
    s->rows = calloc(((size_t)s->stack.count + 1) * (room + 1), sizeof *s->rows);
    s->piece = calloc((size_t)s->stack.count + 1, sizeof *s->piece);
    if (!from || !s->rows || !s->piece)
        return KILN_ERROR_MEMORY;
    for (int i = 0; i < s->source.count; i++) {
        from[i] = main[i] = s->whole[s->source.data[i].id];
        if (turns && rest)
            main[i] = kiln_slice(s->to, from[i], 0, begin, begin + turns * steps, 1);
    }
    if (turns)
        put_turns(s, main, steps, turns);
    put_steps(s, from, s->p->reverse ? 0 : turns * steps, rest);
    for (int i = 0; i < s->stack.count && !s->to->status; i++)
        s->whole[s->stack.data[i].id] = join_stack(s, i, rest);
    return s->to->status;
}

/* Behind the steps ------------------------------------------------------------------------------------------- */

static void put_behind(struct scan *s)
{
    const kiln_graph *g = s->body.graph;
    for (int i = 0; i < g->node.count && !s->to->status; i++)
        if (s->f.part[i] == KILN_PART_BEHIND)
            s->whole[g->node.data[i]->out[0].id] =
                kiln_fission_cases(&s->f, s->to, g->node.data[i], s->whole);
}

/* What a summed carry has become: `sum` so far, and then t, which is the carry, an addition, or a summand. */
static kiln_tensor add_sum(struct scan *s, kiln_tensor t, kiln_tensor carry, kiln_tensor sum)
{
    const kiln_graph *g = s->body.graph;
    const kiln_node *n = kiln_graph_node(g, t);
    int i = 0;
    if (t.id == carry.id)
        return sum;
    while (g->node.data[i] != n)
        i++;
    if (s->f.part[i] == KILN_PART_SUM)
        return add_sum(s, n->in[1], carry, add_sum(s, n->in[0], carry, sum));
    return kiln_add(s->to, sum, kiln_fission_sum(&s->f, s->to, n, s->whole));
}

static void give_outputs(struct scan *s)
{
    kiln_tensor *map = s->e->r->map;
    const int stacked = (int)s->p->stacked, carry = (int)s->p->carry;
    for (int i = 0; i < stacked; i++)
        if (is_used(s, i))
            map[s->n->out[i].id] = s->whole[s->body.out[i].id];
    for (int i = 0; i < carry; i++) {
        if (s->f.summed[i])
            s->carry[i] = add_sum(s, s->body.out[stacked + i], carry_input(s, i), s->carry[i]);
        map[s->n->out[stacked + i].id] = s->carry[i];
        const kiln_tensor saved = s->n->out[stacked + carry + i], rows = s->whole[carry_input(s, i).id];
        const kiln_spec spec = kiln_expansion_spec(s->e, saved);
        if (s->saved[i]) /* of a carry that no step looks at: nor does who is given it */
            map[saved.id] = rows.id ? rows : kiln_undefined(s->to, &spec);
    }
}

static void finish(struct scan *s)
{
    kiln_body_finish(&s->body);
    kiln_fission_finish(&s->f);
    kiln_vec_finish(&s->source);
    kiln_vec_finish(&s->stack);
    free(s->saved);
    free(s->carry);
    free(s->whole);
    free(s->rows);
    free(s->piece);
}

kiln_status kiln_expand_scan(struct kiln_expansion *e, const kiln_node *n)
{
    struct scan s = {.e = e, .to = e->r->to, .n = n, .p = n->params};
    s.length = kiln_expansion_spec(e, n->out[s.p->stacked ? 0 : s.p->carry]).shape.size[0];
    kiln_status status = prepare_body(&s);
    if (!status)
        status = divide_body(&s);
    if (!status && !list_values(&s))
        status = KILN_ERROR_MEMORY;
    for (int i = 0; !status && i < s.body.graph->node.count; i++)
        if (s.f.part[i] != KILN_PART_STEP)
            kiln_body_leave_out(&s.body, s.body.graph->node.data[i]);
    if (!status)
        status = put_all(&s);
    if (!status) {
        put_behind(&s);
        give_outputs(&s);
        status = s.to->status;
    }
    finish(&s);
    return status == KILN_ERROR_MEMORY ? out_of_memory() : status;
}
