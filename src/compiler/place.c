/*
 * place.c - which values lie within others, or over what they replace, before any is lowered.
 *
 *   inside   the inputs of concat-like nodes at their places in the output (kiln_op.place)
 *   over     what a carry becomes in the carry's memory, what a state becomes in the state's, what an operator writes over its
 *            input (kiln_op.over)
 *
 * A value may lie over another if its producer comes behind every reader of that other one, or is the last of them and reads each
 * element no later than it writes it, as elementwise work does; then no copy is needed. Nodes are visited from the last to the
 * first, so that nested ones nest: where a value's memory is decided, that of what is computed into it follows, and must find
 * the memory as free (placing.over).
 */
#include <stdlib.h>

#include "base/log.h"
#include "compiler/objects.h"
#include "compiler/region.h"
#include "ops/chain.h"
#include "ops/kernels.h"

struct placing {
    struct kiln_plan *plan;
    int *index; /* by value id: its node */
    int *first,
        *user;    /* by value id: its users' nodes are user[first[id]] .. user[first[id + 1] - 1], in order */
    bool *result; /* by value id: in the run list */
    int *matching;     /* by node that is an until: its repeat */
    kiln_tensor *over; /* by value id: the value whose memory it takes; KILN_NONE: memory of its own */
};

static const kiln_node *node_at(const struct placing *p, int index)
{
    return p->plan->graph->node.data[index];
}

static const kiln_node *node_of(const struct placing *p, kiln_tensor t)
{
    return node_at(p, p->index[t.id]);
}

/* Users ---------------------------------------------------------------------------------------------------- */

/* Counts two places on become beginnings one place on, which filling moves to their own. */
static void list_users(struct placing *p)
{
    const kiln_graph *g = p->plan->graph;
    for (int i = 0; i < g->node.count; i++)
        for (int k = 0; k < g->node.data[i]->inputs; k++)
            p->first[g->node.data[i]->in[k].id + 2]++;
    for (int id = 0; id <= g->value.count; id++)
        p->first[id + 1] += p->first[id];
    for (int i = 0; i < g->node.count; i++)
        for (int k = 0; k < g->node.data[i]->inputs; k++)
            p->user[p->first[g->node.data[i]->in[k].id + 1]++] = i;
}

/* Room for all, and what is known before the first value is placed. */
static bool prepare(struct placing *p)
{
    const kiln_graph *g = p->plan->graph;
    const size_t values = (size_t)g->value.count + 3;
    int inputs = 0, now = -1, *outer = malloc((size_t)(g->node.count + 1) * sizeof *outer);
    for (int i = 0; i < g->node.count; i++)
        inputs += g->node.data[i]->inputs;
    p->index = calloc(values, sizeof *p->index);
    p->first = calloc(values, sizeof *p->first);
    p->user = calloc((size_t)inputs + 1, sizeof *p->user);
    p->result = calloc(values, sizeof *p->result);
    p->matching = calloc((size_t)g->node.count + 1, sizeof *p->matching);
    p->over = calloc(values, sizeof *p->over);
    const bool whole = p->index && p->first && p->user && p->result && p->matching && p->over && outer;
    for (int i = 0; whole && i < g->node.count; i++) {
        for (int k = 0; k < g->node.data[i]->outputs; k++)
            p->index[g->node.data[i]->out[k].id] = i;
        if (g->node.data[i]->op == &kiln_op_repeat) {
            outer[i] = now;
            now = i;
        } else if (g->node.data[i]->op == &kiln_op_until) {
            p->matching[i] = now;
            now = outer[now];
        }
    }
    for (int i = 0; whole && i < p->plan->results; i++)
        p->result[p->plan->result[i].id] = true;
    if (whole)
        list_users(p);
    free(outer);
    return whole;
}

static void finish(struct placing *p)
{
    free(p->index);
    free(p->first);
    free(p->user);
    free(p->result);
    free(p->matching);
    free(p->over);
}

/* What may be placed ----------------------------------------------------------------------------------------- */

/* Whether t's producer may write anywhere: it is computed by a kernel, into memory of its own. */
static bool movable(const struct placing *p, kiln_tensor t)
{
    const kiln_op *op = node_of(p, t)->op;
    const bool leaf =
        op == &kiln_op_input || op == &kiln_op_constant || op == &kiln_op_parameter || op == &kiln_op_state;
    return !leaf && !(op->flags & (KILN_OP_EFFECT | KILN_OP_ALIAS)) && kiln_place_of(p->plan, t)->object < 0;
}

/* The value whose memory an alias shares. */
static kiln_tensor alias_root(const struct placing *p, kiln_tensor t)
{
    while (node_of(p, t)->op->flags & KILN_OP_ALIAS)
        t = node_of(p, t)->in[0];
    return t;
}

/* Give t memory of its own unless it has some already. */
static kiln_status own_place(const struct placing *p, kiln_tensor t)
{
    struct kiln_place *place = kiln_place_of(p->plan, t);
    const kiln_spec spec = kiln_plan_spec(p->plan, t);
    if (place->object < 0)
        *place = (struct kiln_place){.object = kiln_add_scratch(p->plan, &spec)};
    return place->object < 0 ? KILN_ERROR_MEMORY : KILN_OK;
}

/* Over ------------------------------------------------------------------------------------------------------- */

static bool same_bytes(const struct kiln_plan *plan, kiln_tensor a, kiln_tensor b)
{
    const kiln_shape x = kiln_plan_spec(plan, a).shape, y = kiln_plan_spec(plan, b).shape;
    return kiln_plan_element(plan, a) == kiln_plan_element(plan, b) && kiln_shape_equal(&x, &y);
}

/* Whether node n, which reads t as input k, reads each element of it no later than it writes the same one of its output. */
static bool reads_in_step(const struct kiln_plan *plan, const kiln_node *n, int k)
{
    const bool elementwise = kiln_op_elementwise(n->op) || n->op == &kiln_op_chain;
    return (elementwise || n->op->over == k + 1) && same_bytes(plan, n->in[k], n->out[0]);
}

/* Who writes: a node, and of a repeat the carry that is meant; -1: its readers may be any. */
struct writer {
    int node, carry;
};

/* The node that first writes t's memory: of what leaves a region, the repeat. */
static struct writer writer_of(const struct placing *p, kiln_tensor t)
{
    const int at = p->index[t.id];
    const bool leaves = node_at(p, at)->op == &kiln_op_until;
    return (struct writer){leaves ? p->matching[at] : at, kiln_graph_value(p->plan->graph, t)->output};
}

/* Whether node `at`, which reads t, leaves its memory free for a writer. */
static bool allows(const struct placing *p, kiln_tensor t, int at, struct writer w);

/* Whether all who read t, as it is or under another shape, leave its memory free for a writer. */
static bool readers_allow(const struct placing *p, kiln_tensor t, struct writer w)
{
    bool free = !p->result[t.id];
    for (int i = p->first[t.id]; free && i < p->first[t.id + 1]; i++)
        free = allows(p, t, p->user[i], w);
    return free;
}

static bool allows(const struct placing *p, kiln_tensor t, int at, struct writer w)
{
    const kiln_node *n = node_at(p, at);
    bool free = true;
    if (n->op->flags & KILN_OP_EFFECT) /* effects come last; an assignment to t is the one that asks */
        return n->op == &kiln_op_assign && n->in[0].id == t.id && n->in[1].id != t.id;
    if (n->op->flags & KILN_OP_ALIAS || n->op->view)
        return readers_allow(p, n->out[0], w);
    for (int k = 0; k < n->inputs && free; k++) {
        if (n->in[k].id != t.id || (n->op == &kiln_op_until && k < n->outputs)) /* it names its own carries */
            continue;
        const bool begins = n->op == &kiln_op_repeat && (w.carry < 0 || k == w.carry);
        free = at < w.node || (at == w.node && (begins || reads_in_step(p->plan, n, k)));
    }
    return free;
}

/* Whether a writer finds t's memory free: t was there before, as states always are, and nobody reads it any more. */
static bool leaves_free(const struct placing *p, kiln_tensor t, struct writer w)
{
    const int at = p->index[t.id];
    return (at < w.node || node_at(p, at)->op == &kiln_op_state) && readers_allow(p, t, w);
}

/* Let t, which may be written anywhere, lie in the memory of `host`, `offset` bytes on, if that is free for its producer. */
static void put(const struct placing *p, kiln_tensor t, kiln_tensor host, uint64_t offset)
{
    const kiln_tensor over = p->over[host.id];
    if (over.id && !leaves_free(p, over, writer_of(p, t)))
        return;
    const struct kiln_place *at = kiln_place_of(p->plan, host);
    *kiln_place_of(p->plan, t) = (struct kiln_place){at->object, at->offset + offset};
    p->over[t.id] = over;
}

/* Let `next` lie where `was` does, if nothing reads `was` once `next` is written. */
static void put_over(const struct placing *p, kiln_tensor was, kiln_tensor next)
{
    const kiln_tensor root = alias_root(p, next);
    const kiln_spec spec = kiln_plan_spec(p->plan, root), old = kiln_plan_spec(p->plan, was);
    const bool fits = kiln_shape_count(&spec.shape) == kiln_shape_count(&old.shape) &&
                      kiln_plan_element(p->plan, root) == kiln_plan_element(p->plan, was);
    if (!fits || !movable(p, root) || !leaves_free(p, was, writer_of(p, root)))
        return;
    *kiln_place_of(p->plan, root) = *kiln_place_of(p->plan, was);
    p->over[root.id] = was;
}

/* What a state becomes is computed where the state lies, if that is assigned once. */
static kiln_status place_states(const struct placing *p)
{
    const kiln_graph *g = p->plan->graph;
    kiln_status status = KILN_OK;
    for (int i = g->node.count - 1; i >= 0 && !status; i--) {
        const kiln_node *n = g->node.data[i];
        int assignments = 0;
        if (n->op != &kiln_op_assign)
            continue;
        for (int k = p->first[n->in[0].id]; k < p->first[n->in[0].id + 1]; k++)
            assignments += node_at(p, p->user[k])->op == &kiln_op_assign;
        status = kiln_place_state(p->plan, kiln_graph_node(g, n->in[0]));
        if (!status && assignments == 1)
            put_over(p, n->in[0], n->in[1]);
    }
    return status;
}

/* Regions ------------------------------------------------------------------------------------------------------ */

/* A carry is one piece of memory: what leaves the region, what a turn finds, and if it can be what it becomes. */
static kiln_status place_until(const struct placing *p, const kiln_node *until, const kiln_node *repeat)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < until->outputs && !status; i++) {
        status = own_place(p, until->out[i]);
        *kiln_place_of(p->plan, repeat->out[i]) = *kiln_place_of(p->plan, until->out[i]);
        p->over[repeat->out[i].id] = p->over[until->out[i].id];
        if (!status)
            put_over(p, repeat->out[i], until->in[until->outputs + i]);
    }
    return status;
}

/* What a carry begins as may be computed in its memory, if nobody wants it once the region has begun. */
static void place_repeat(const struct placing *p, int index)
{
    const kiln_node *n = node_at(p, index);
    for (int i = 0; i < n->outputs; i++) {
        const kiln_tensor root = alias_root(p, n->in[i]);
        if (movable(p, root) && leaves_free(p, root, (struct writer){index, -1}))
            put(p, root, n->out[i], 0);
    }
}

/* Inside and over ------------------------------------------------------------------------------------------- */

static void place_inputs(const struct placing *p, const kiln_node *n)
{
    for (int k = 0; k < n->inputs; k++) {
        uint64_t offset;
        const kiln_tensor root = n->in[k].id ? alias_root(p, n->in[k]) : KILN_NONE;
        const uint64_t begin = kiln_place_of(p->plan, n->out[0])->offset;
        if (root.id && n->op->place(p->plan, n, k, &offset) && (begin + offset) % 256 == 0 &&
            movable(p, root))
            put(p, root, n->out[0], offset);
    }
}

static kiln_status place_node(const struct placing *p, int index)
{
    const kiln_node *n = node_at(p, index);
    kiln_status status = KILN_OK;
    if (n->op == &kiln_op_until)
        return place_until(p, n, node_at(p, p->matching[index]));
    if (n->op == &kiln_op_repeat)
        place_repeat(p, index);
    if (n->op->place || n->op->over)
        status = own_place(p, n->out[0]);
    if (n->op->place && !status)
        place_inputs(p, n);
    if (n->op->over && !status) {
        const kiln_tensor root = alias_root(p, n->in[n->op->over - 1]);
        if (movable(p, root) && leaves_free(p, root, (struct writer){index, -1}))
            put(p, root, n->out[0], 0);
    }
    return status;
}

kiln_status kiln_place_values(struct kiln_plan *plan)
{
    struct placing p = {.plan = plan};
    kiln_status status = prepare(&p) ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    if (!status)
        status = place_states(&p);
    for (int i = plan->graph->node.count - 1; i >= 0 && !status; i--)
        status = place_node(&p, i);
    finish(&p);
    return status;
}
