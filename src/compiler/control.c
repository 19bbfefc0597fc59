/*
 * control.c - scans, loops and branches: their bodies take the place of their nodes.
 *
 * A scan becomes its steps one behind the other as long as these are few and small: slices are then views, what is stacked is
 * computed where it lies, equal work of several steps is done once, and what the gradient computes again is there already. A
 * longer one becomes a region whose turns are several steps each: a turn reads its rows by a counter and puts what it stacks
 * likewise (control_scan.c). So a plan's size is bounded whatever the length.
 *
 * A loop whose steps data decides is a region with a flag, a step a turn. A branch is a pair of regions of one turn at the most,
 * or both branches and a choice where these are elementwise, and so hardly more than the choice.
 *
 * What does not depend on the step is computed once, before.
 */
#include "compiler/control.h"

#include <stdlib.h>
#include <string.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "compiler/region.h"
#include "ops/control.h"
#include "ops/kernels.h"

static kiln_status out_of_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}

/* What expansions share -------------------------------------------------------------------------------------- */

kiln_tensor kiln_expansion_value(const struct kiln_expansion *e, kiln_tensor t)
{
    return t.id ? e->r->map[t.id] : KILN_NONE;
}

kiln_spec kiln_expansion_spec(struct kiln_expansion *e, kiln_tensor t)
{
    const kiln_spec spec = kiln_tensor_spec(e->r->from, t);
    return kiln_rewrite_spec(e->r, &spec);
}

bool kiln_carries_make(struct kiln_carries *c, int most)
{
    *c = (struct kiln_carries){0};
    c->initial = calloc((size_t)most + 1, sizeof *c->initial);
    c->next = calloc((size_t)most + 1, sizeof *c->next);
    return c->initial && c->next;
}

void kiln_carries_free(struct kiln_carries *c)
{
    free(c->initial);
    free(c->next);
    *c = (struct kiln_carries){0};
}

void kiln_carries_add(struct kiln_carries *c, kiln_tensor initial)
{
    c->initial[c->count++] = initial;
}

kiln_tensor kiln_whole_number(kiln_graph *g, int64_t value)
{
    return kiln_scalar(g, KILN_I32, (double)value);
}

kiln_tensor kiln_joined(kiln_graph *g, const kiln_tensor *x, int64_t count)
{
    const int axis = 0;
    return count == 1 ? x[0] : kiln_append(g, &kiln_op_concat, x, (int)count, &axis, sizeof axis);
}

kiln_tensor kiln_stacked(kiln_graph *g, const kiln_tensor *x, int64_t count)
{
    kiln_tensor *rows = kiln_arena_alloc(&g->arena, (size_t)(count + 1) * sizeof *rows);
    for (int64_t i = 0; rows && i < count; i++)
        rows[i] = kiln_unsqueeze(g, x[i], 0);
    if (rows)
        return kiln_joined(g, rows, count);
    kiln_graph_fail(g, KILN_ERROR_MEMORY, "compiler: out of memory");
    return KILN_NONE;
}

/* Loop ------------------------------------------------------------------------------------------------------- */

struct loop {
    struct kiln_expansion *e;
    kiln_graph *to;
    const kiln_node *n;
    const struct kiln_loop_node *p;
    struct kiln_body body;
    int64_t bound;
    kiln_tensor trips; /* as I32; KILN_NONE: none */
    bool flagged;
    struct kiln_carries c;
};

static bool loop_wants(const struct loop *l, int output)
{
    return l->e->used[l->n->out[output].id];
}

/* The outputs of the body beyond the first are those of the node. */
static kiln_status prepare_loop(struct loop *l)
{
    const int inputs = l->p->body->input.count, outputs = l->p->body->output.count;
    kiln_spec *in = calloc((size_t)inputs + 1, sizeof *in);
    bool *out = calloc((size_t)outputs + 1, sizeof *out);
    const struct kiln_body_wanted wanted = {.body = l->p->body,
                                            .in = in,
                                            .out = out,
                                            .carries = (int)l->p->carry,
                                            .carry_in = 1,
                                            .carry_out = (int)(1 + l->p->stacked)};
    kiln_status status = in && out ? KILN_OK : out_of_memory();
    for (int i = 0; i < inputs && !status; i++)
        in[i] = i ? kiln_tensor_spec(l->to, kiln_expansion_value(l->e, l->n->in[i + 1]))
                  : (kiln_spec){KILN_I32, KILN_SCALAR};
    for (int i = 0; i < outputs && !status; i++)
        out[i] = !i || loop_wants(l, i);
    if (!status)
        status = kiln_body_prepare(&l->body, l->e->r, &wanted);
    free(in);
    free(out);
    return status;
}

static kiln_status begin_loop(struct loop *l)
{
    kiln_tensor *given = calloc((size_t)l->body.inputs + 1, sizeof *given);
    if (!given)
        return out_of_memory();
    for (int i = 1 + (int)l->p->carry; i < l->body.inputs; i++)
        given[i] = kiln_expansion_value(l->e, l->n->in[i + 1]);
    kiln_body_begin(&l->body, l->to, given, true);
    free(given);
    return l->to->status;
}

/* Whether there is a first turn; KILN_NONE, and l->bound the number of turns, where that is known. */
static kiln_tensor find_turns(struct loop *l)
{
    kiln_graph *g = l->to;
    const kiln_tensor trips = kiln_expansion_value(l->e, l->n->in[0]),
                      begins = kiln_expansion_value(l->e, l->n->in[1]);
    int64_t most = l->bound, begin = 1, goes_on = 0;
    const bool counted = !trips.id || kiln_constant_integer(g, trips, &most),
               asked = begins.id && !kiln_constant_integer(g, begins, &begin);
    const bool stays = kiln_constant_integer(l->body.graph, l->body.out[0], &goes_on) && goes_on;
    most = !begin || most < 0 ? 0 : most;
    if (counted)
        l->bound = most < l->bound ? most : l->bound;
    l->flagged = !counted || asked || !stays;
    if (!l->flagged)
        return KILN_NONE;
    kiln_tensor flag = asked ? begins : kiln_scalar(g, KILN_BOOL, 1);
    if (!counted) {
        l->trips = kiln_cast(g, trips, KILN_I32);
        flag = kiln_and(g, flag, kiln_less(g, kiln_whole_number(g, 0), l->trips));
    }
    return flag;
}

/* What the region carries: the flag if there is one, the step, the loop's carries, what is stacked. */
static void list_carries(struct loop *l, kiln_tensor flag)
{
    const int stacked = (int)l->p->stacked;
    if (l->flagged)
        kiln_carries_add(&l->c, flag);
    kiln_carries_add(&l->c, kiln_whole_number(l->to, 0));
    for (int i = 0; i < l->p->carry; i++)
        if (l->body.out[1 + stacked + i].id)
            kiln_carries_add(&l->c, kiln_expansion_value(l->e, l->n->in[2 + i]));
    for (int i = 1; i <= stacked; i++) {
        const kiln_spec spec = kiln_expansion_spec(l->e, l->n->out[i]);
        if (loop_wants(l, i)) /* rows behind the last step's mean nothing */
            kiln_carries_add(&l->c, kiln_undefined(l->to, &spec));
    }
}

/* Rows of what is stacked: of what the step was given before it is made, so that a carry may then be written over. */
static void put_rows(struct loop *l, const kiln_node *repeat, int at, bool given)
{
    for (int i = 1; i <= l->p->stacked; i++) {
        if (!loop_wants(l, i))
            continue;
        if (kiln_body_passes(&l->body, i) == given) {
            const kiln_tensor row = kiln_unsqueeze(l->to, kiln_body_get(&l->body, i), 0);
            l->c.next[at] = kiln_put_at(l->to, repeat->out[at], row, 0, repeat->out[l->flagged]);
        }
        at++;
    }
}

/* The step's number is counted, and the flag is found, when nothing reads the old ones any more. */
static void count_on(struct loop *l, kiln_tensor step)
{
    kiln_graph *g = l->to;
    const kiln_tensor next = kiln_add(g, step, kiln_whole_number(g, 1));
    kiln_tensor flag = kiln_body_get(&l->body, 0);
    if (l->trips.id)
        flag = kiln_and(g, flag, kiln_less(g, next, l->trips));
    l->c.next[l->flagged] = next;
    if (l->flagged)
        l->c.next[0] = flag;
}

static void put_turn(struct loop *l, const kiln_node *repeat)
{
    const int stacked = (int)l->p->stacked, first = l->flagged + 1;
    int at = first, stack = first;
    kiln_body_set(&l->body, 0, repeat->out[l->flagged]);
    for (int i = 0; i < l->p->carry; i++)
        if (l->body.out[1 + stacked + i].id)
            kiln_body_set(&l->body, 1 + i, repeat->out[stack++]);
    put_rows(l, repeat, stack, true);
    kiln_body_put(&l->body);
    for (int i = 0; i < l->p->carry; i++)
        if (l->body.out[1 + stacked + i].id)
            l->c.next[at++] = kiln_body_get(&l->body, 1 + stacked + i);
    put_rows(l, repeat, stack, false);
    count_on(l, repeat->out[l->flagged]);
}

static void give_outputs(struct loop *l, const kiln_tensor *final)
{
    const int stacked = (int)l->p->stacked;
    kiln_tensor *map = l->e->r->map;
    int at = l->flagged;
    map[l->n->out[0].id] = final[at++];
    for (int i = 0; i < l->p->carry; i++)
        if (l->body.out[1 + stacked + i].id)
            map[l->n->out[1 + stacked + i].id] = final[at++];
    for (int i = 1; i <= stacked; i++)
        if (loop_wants(l, i))
            map[l->n->out[i].id] = final[at++];
}

static kiln_status put_region(struct loop *l)
{
    const kiln_tensor flag = find_turns(l);
    if (!kiln_carries_make(&l->c, l->n->outputs + 1))
        return out_of_memory();
    list_carries(l, flag);
    if (!l->bound)
        give_outputs(l, l->c.initial);
    if (!l->bound || l->to->status)
        return l->to->status;
    const struct kiln_repeat turns = {l->bound, l->flagged ? 0 : -1};
    const kiln_node *repeat = kiln_repeat_open(l->to, l->c.initial, l->c.count, &turns);
    if (repeat)
        put_turn(l, repeat);
    const kiln_node *until = repeat && !l->to->status ? kiln_repeat_close(l->to, repeat, l->c.next) : NULL;
    if (until)
        give_outputs(l, until->out);
    return until ? KILN_OK : l->to->status;
}

static kiln_status expand_loop(struct kiln_expansion *e, const kiln_node *n)
{
    struct loop l = {.e = e, .to = e->r->to, .n = n, .p = n->params};
    l.bound = l.p->stacked ? kiln_expansion_spec(e, n->out[1]).shape.size[0]
                           : kiln_dim_value(e->r->from, l.p->bound, e->r->size, e->r->size_user);
    if (l.bound < 0)
        return kiln_fail(KILN_ERROR_SHAPE, "loop: its bound has no value");
    kiln_status status = prepare_loop(&l);
    if (!status)
        status = begin_loop(&l);
    if (!status)
        status = put_region(&l);
    kiln_body_finish(&l.body);
    kiln_carries_free(&l.c);
    return status;
}

/* If --------------------------------------------------------------------------------------------------------- */

enum { MOST_CHOICE = 16 }; /* nodes of both branches that may be computed instead of choosing */

struct branches {
    struct kiln_expansion *e;
    kiln_graph *to;
    const kiln_node *n;
    struct kiln_body body[2];
    kiln_tensor *given; /* by the bodies' input */
    kiln_tensor *out;   /* by output */
};

static kiln_status prepare_branch(struct branches *b, const kiln_graph *body, int which)
{
    kiln_spec *in = calloc((size_t)body->input.count + 1, sizeof *in);
    bool *out = calloc((size_t)body->output.count + 1, sizeof *out);
    kiln_status status = in && out ? KILN_OK : out_of_memory();
    for (int i = 0; i < body->input.count && !status; i++)
        in[i] = kiln_tensor_spec(b->to, b->given[i]);
    for (int i = 0; i < body->output.count && !status; i++)
        out[i] = b->e->used[b->n->out[i].id];
    if (!status)
        status = kiln_body_prepare(&b->body[which], b->e->r,
                                   &(struct kiln_body_wanted){.body = body, .in = in, .out = out});
    if (!status)
        kiln_body_begin(&b->body[which], b->to, b->given, false);
    free(in);
    free(out);
    return status ? status : b->to->status;
}

/* A branch as part of the graph around it. */
static void put_plainly(struct branches *b, int which, kiln_tensor *out)
{
    kiln_body_put(&b->body[which]);
    for (int i = 0; i < b->n->outputs; i++)
        out[i] = kiln_body_get(&b->body[which], i);
}

static kiln_status choose(struct branches *b, kiln_tensor condition)
{
    kiln_tensor *other = kiln_arena_alloc(&b->to->arena, (size_t)(b->n->outputs + 1) * sizeof *other);
    if (!other)
        return out_of_memory();
    put_plainly(b, 0, b->out);
    put_plainly(b, 1, other);
    for (int i = 0; i < b->n->outputs; i++)
        if (b->out[i].id)
            b->out[i] = kiln_where(b->to, condition, b->out[i], other[i]);
    return b->to->status;
}

/* A region of one turn, if the flag says so, that leaves its outputs in the memory of b->out. */
static kiln_status put_branch(struct branches *b, int which, kiln_tensor flag)
{
    struct kiln_carries c;
    if (!kiln_carries_make(&c, b->n->outputs + 1))
        return out_of_memory();
    kiln_carries_add(&c, flag);
    for (int i = 0; i < b->n->outputs; i++)
        if (b->out[i].id)
            kiln_carries_add(&c, b->out[i]);
    const kiln_node *repeat = kiln_repeat_open(b->to, c.initial, c.count, &(struct kiln_repeat){1, 0});
    const kiln_node *until = NULL;
    if (repeat) {
        kiln_body_put(&b->body[which]);
        c.next[0] = repeat->out[0];
        for (int i = 0, at = 1; i < b->n->outputs; i++)
            if (b->out[i].id)
                c.next[at++] = kiln_body_get(&b->body[which], i);
        until = b->to->status ? NULL : kiln_repeat_close(b->to, repeat, c.next);
    }
    for (int i = 0, at = 1; i < b->n->outputs && until; i++)
        if (b->out[i].id)
            b->out[i] = until->out[at++];
    kiln_carries_free(&c);
    return until ? KILN_OK : b->to->status;
}

static kiln_status put_regions(struct branches *b, kiln_tensor condition)
{
    for (int i = 0; i < b->n->outputs; i++) {
        const kiln_spec spec = kiln_expansion_spec(b->e, b->n->out[i]);
        b->out[i] = b->e->used[b->n->out[i].id] ? kiln_undefined(b->to, &spec) : KILN_NONE;
    }
    const kiln_status status = put_branch(b, 0, condition);
    return status ? status : put_branch(b, 1, kiln_not(b->to, condition));
}

static kiln_status put_branches(struct branches *b, const struct kiln_if_node *p)
{
    const kiln_tensor condition = kiln_expansion_value(b->e, b->n->in[0]);
    int64_t known = 0;
    kiln_status status = KILN_OK;
    if (kiln_constant_integer(b->to, condition, &known)) {
        status = prepare_branch(b, known ? p->then : p->otherwise, 0);
        if (!status)
            put_plainly(b, 0, b->out);
        return status ? status : b->to->status;
    }
    if (!(status = prepare_branch(b, p->then, 0)))
        status = prepare_branch(b, p->otherwise, 1);
    if (status)
        return status;
    const bool cheap =
        b->body[0].elementwise && b->body[1].elementwise && b->body[0].work + b->body[1].work <= MOST_CHOICE;
    return cheap ? choose(b, condition) : put_regions(b, condition);
}

static kiln_status expand_if(struct kiln_expansion *e, const kiln_node *n)
{
    struct branches b = {.e = e, .to = e->r->to, .n = n};
    b.given = kiln_arena_alloc(&b.to->arena, (size_t)(n->inputs + 1) * sizeof *b.given);
    b.out = kiln_arena_alloc(&b.to->arena, (size_t)(n->outputs + 1) * sizeof *b.out);
    kiln_status status = b.given && b.out ? KILN_OK : out_of_memory();
    for (int i = 1; i < n->inputs && !status; i++)
        b.given[i - 1] = kiln_expansion_value(e, n->in[i]);
    if (!status)
        status = put_branches(&b, n->params);
    for (int i = 0; i < n->outputs && !status; i++)
        if (b.out[i].id)
            e->r->map[n->out[i].id] = b.out[i];
    for (int i = 0; i < 2; i++)
        kiln_body_finish(&b.body[i]);
    return status;
}

/* The pass --------------------------------------------------------------------------------------------------- */

static void find_used(struct kiln_expansion *e, const kiln_tensor *run, int run_count)
{
    const kiln_graph *g = e->r->from;
    for (int i = 0; i < run_count; i++)
        e->used[run[i].id] = true;
    for (int i = 0; i < g->node.count; i++)
        for (int k = 0; k < g->node.data[i]->inputs; k++)
            e->used[g->node.data[i]->in[k].id] = true;
}

static kiln_status expand_node(struct kiln_expansion *e, const kiln_node *n)
{
    e->r->to->pass = n->pass;
    if (n->op == &kiln_op_scan)
        return kiln_expand_scan(e, n);
    if (n->op == &kiln_op_loop)
        return expand_loop(e, n);
    if (n->op == &kiln_op_if)
        return expand_if(e, n);
    return kiln_rewrite_copy(e->r, n) ? KILN_OK : e->r->to->status;
}

bool kiln_has_control(const kiln_graph *g)
{
    for (int i = 0; i < g->node.count; i++)
        if (g->node.data[i]->op->body)
            return true;
    return false;
}

kiln_status kiln_expand_control(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    struct kiln_expansion e = {.r = r};
    e.used = calloc((size_t)r->from->value.count + 1, sizeof *e.used);
    kiln_status status = e.used ? KILN_OK : out_of_memory();
    if (!status)
        find_used(&e, run, run_count);
    for (int i = 0; i < r->from->node.count && !status; i++) {
        status = expand_node(&e, r->from->node.data[i]);
        status = status ? status : r->to->status;
    }
    for (int i = 0; i < run_count && !status; i++)
        run[i] = r->map[run[i].id];
    free(e.used);
    return status;
}
