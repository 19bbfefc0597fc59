/*
 * autodiff.c - reverse-mode differentiation: kiln_gradient appends the nodes that compute dx.
 *
 * Only nodes on a path from an x to y take part. They are visited in reverse building order; each operator's rule turns the
 * gradient of its outputs into gradients of its inputs, and contributions to one value are added in that fixed order. The
 * rules append nodes after the ones visited, so the sweep never sees its own work.
 */
#include <stdlib.h>

#include "base/log.h"
#include "graph/graph.h"

#include <kiln/ops.h>

struct sweep {
    kiln_graph *g;
    bool *towards;     /* by id: depends on an x */
    kiln_tensor *grad; /* by id: the sum of contributions so far */
};

/* Mark what depends on the values already marked; nodes are in order, so one pass does it. */
static void mark_dependents(const kiln_graph *g, bool *marked, int nodes)
{
    for (int i = 0; i < nodes; i++) {
        const kiln_node *n = g->node.data[i];
        bool depends = false;
        for (int k = 0; k < n->inputs; k++)
            depends |= n->in[k].id && marked[n->in[k].id];
        for (int k = 0; depends && k < n->outputs; k++)
            marked[n->out[k].id] = true;
    }
}

bool kiln_depends(const kiln_graph *g, kiln_tensor y, kiln_tensor x)
{
    if (!kiln_graph_value(g, y) || !kiln_graph_value(g, x))
        return false;
    bool *marked = calloc((size_t)g->value.count + 1, sizeof *marked);
    if (!marked)
        return false;
    marked[x.id] = true;
    mark_dependents(g, marked, g->node.count);
    const bool depends = marked[y.id];
    free(marked);
    return depends;
}

static void contribute(struct sweep *s, kiln_tensor to, kiln_tensor amount)
{
    if (!to.id || !amount.id || !s->towards[to.id])
        return;
    kiln_tensor *sum = &s->grad[to.id];
    *sum = sum->id ? kiln_add(s->g, *sum, amount) : amount;
}

/* The room a visit needs: gradients of a node's outputs and of its inputs. */
struct room {
    kiln_tensor *dy, *dx;
};

static void visit(struct sweep *s, const kiln_node *n, const struct room *room)
{
    bool used = false, needed = false;
    for (int i = 0; i < n->outputs; i++) {
        room->dy[i] = s->grad[n->out[i].id];
        used |= room->dy[i].id != 0;
    }
    for (int i = 0; i < n->inputs; i++) {
        needed |= n->in[i].id && s->towards[n->in[i].id];
        room->dx[i] = KILN_NONE;
    }
    if (!used || !needed)
        return;
    if (!n->op->grad) {
        kiln_node_fail(s->g, n, KILN_ERROR_UNSUPPORTED, "has no gradient");
        return;
    }
    n->op->grad(s->g, n, room->dy, room->dx);
    for (int i = 0; i < n->inputs; i++)
        contribute(s, n->in[i], room->dx[i]);
}

bool kiln_gradient_wanted(const kiln_graph *g, kiln_tensor t)
{
    return t.id && t.id <= g->wanted_count && g->wanted[t.id];
}

static bool make_room(const kiln_graph *g, int nodes, struct room *room)
{
    int inputs = 1, outputs = 1;
    for (int i = 0; i < nodes; i++) {
        inputs = g->node.data[i]->inputs > inputs ? g->node.data[i]->inputs : inputs;
        outputs = g->node.data[i]->outputs > outputs ? g->node.data[i]->outputs : outputs;
    }
    room->dy = calloc((size_t)outputs, sizeof *room->dy);
    room->dx = calloc((size_t)inputs, sizeof *room->dx);
    return room->dy && room->dx;
}

static bool is_real(const kiln_graph *g, kiln_tensor t)
{
    return kiln_graph_value(g, t) && kiln_type_is_real(kiln_tensor_type(g, t));
}

static bool valid_ends(kiln_graph *g, kiln_tensor y, const kiln_tensor *x, int count)
{
    if (!is_real(g, y)) {
        kiln_graph_fail(g, KILN_ERROR_TYPE, "gradient: y must be a real value of this graph");
        return false;
    }
    for (int i = 0; i < count; i++) {
        const struct kiln_value *v = kiln_graph_value(g, x[i]);
        if (is_real(g, x[i]))
            continue;
        kiln_graph_fail(g, KILN_ERROR_TYPE, "gradient: x %d%s%s is %s, wanted a real value of this graph", i,
                        v && v->name ? " " : "", v && v->name ? v->name : "",
                        v ? kiln_type_name(v->spec.type) : "none");
        return false;
    }
    return true;
}

/* The sum of what several uses of one y ask for. */
static void begin(struct sweep *s, kiln_tensor y, kiln_tensor dy)
{
    kiln_tensor *sum = &s->grad[y.id];
    if (dy.id)
        *sum = sum->id ? kiln_add(s->g, *sum, dy) : dy;
}

/* Through the nodes there were when the sweep began, from those y's on whose grad is set. */
static void run(struct sweep *s, int nodes, const kiln_tensor *x, int count, kiln_tensor *dx)
{
    kiln_graph *g = s->g;
    struct room room;
    for (int i = 0; i < count; i++)
        s->towards[x[i].id] = true;
    mark_dependents(g, s->towards, nodes);
    if (!make_room(g, nodes, &room))
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "gradient: out of memory");
    for (int i = nodes - 1; i >= 0 && !g->status; i--)
        visit(s, g->node.data[i], &room);
    for (int i = 0; i < count && !g->status; i++)
        dx[i] = s->grad[x[i].id];
    free(room.dy);
    free(room.dx);
}

void kiln_gradients(kiln_graph *g, const kiln_tensor *y, const kiln_tensor *dy, int ys, const kiln_tensor *x,
                    int count, kiln_tensor *dx)
{
    for (int i = 0; i < count; i++)
        dx[i] = KILN_NONE;
    if (g->status)
        return;
    struct sweep s = {.g = g};
    s.towards = calloc((size_t)g->value.count + 1, sizeof *s.towards);
    s.grad = calloc((size_t)g->value.count + 1, sizeof *s.grad);
    const bool literal = g->literal, *wanted = g->wanted;
    const uint32_t wanted_count = g->wanted_count;
    const kiln_node_pass pass = g->pass;
    const int nodes = g->node.count;
    g->pass = KILN_PASS_BACKWARD;
    g->literal = true; /* rules read the very values that the forward nodes read */
    g->wanted = s.towards;
    g->wanted_count = (uint32_t)g->value.count;
    for (int i = 0; i < ys && s.towards && s.grad; i++)
        begin(&s, y[i], dy[i]);
    if (s.towards && s.grad)
        run(&s, nodes, x, count, dx);
    else
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "gradient: out of memory");
    g->pass = pass;
    g->literal = literal;
    g->wanted = wanted;
    g->wanted_count = wanted_count;
    free(s.towards);
    free(s.grad);
}

void kiln_gradient(kiln_graph *g, kiln_tensor y, kiln_tensor dy, const kiln_tensor *x, int count,
                   kiln_tensor *dx)
{
    for (int i = 0; i < count; i++)
        dx[i] = KILN_NONE;
    if (g->status || !valid_ends(g, y, x, count))
        return;
    const kiln_tensor start = dy.id ? dy : kiln_ones_like(g, y);
    kiln_gradients(g, &y, &start, 1, x, count, dx);
    for (int i = 0; i < count && !g->status; i++)
        if (!dx[i].id)
            dx[i] = kiln_zeros_like(g, x[i]);
}
