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
    uint32_t count;    /* values there were before */
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

enum { MOST_OUTPUTS = 16 };

static void visit(struct sweep *s, const kiln_node *n, kiln_tensor *dx)
{
    kiln_tensor dy[MOST_OUTPUTS] = {{0}};
    bool used = false, needed = false;
    for (int i = 0; i < n->outputs; i++) {
        dy[i] = s->grad[n->out[i].id];
        used |= dy[i].id != 0;
    }
    for (int i = 0; i < n->inputs; i++) {
        needed |= n->in[i].id && s->towards[n->in[i].id];
        dx[i] = KILN_NONE;
    }
    if (!used || !needed)
        return;
    if (!n->op->grad) {
        kiln_node_fail(s->g, n, KILN_ERROR_UNSUPPORTED, "has no gradient");
        return;
    }
    n->op->grad(s->g, n, dy, dx);
    for (int i = 0; i < n->inputs; i++)
        contribute(s, n->in[i], dx[i]);
}

static int most_inputs(const kiln_graph *g, int nodes)
{
    int most = 1;
    for (int i = 0; i < nodes; i++)
        most = g->node.data[i]->inputs > most ? g->node.data[i]->inputs : most;
    return most;
}

static bool valid_ends(kiln_graph *g, kiln_tensor y, const kiln_tensor *x, int count)
{
    const struct kiln_value *end = kiln_graph_value(g, y);
    if (!end || !kiln_type_is_real(end->spec.type)) {
        kiln_graph_fail(g, KILN_ERROR_TYPE, "gradient: y must be a real value of this graph");
        return false;
    }
    for (int i = 0; i < count; i++) {
        const struct kiln_value *v = kiln_graph_value(g, x[i]);
        if (v && kiln_type_is_real(v->spec.type))
            continue;
        kiln_graph_fail(g, KILN_ERROR_TYPE, "gradient: x %d%s%s is %s, wanted a real value of this graph", i,
                        v && v->name ? " " : "", v && v->name ? v->name : "",
                        v ? kiln_type_name(v->spec.type) : "none");
        return false;
    }
    return true;
}

static void run(struct sweep *s, kiln_tensor y, kiln_tensor dy, const kiln_tensor *x, int count,
                kiln_tensor *dx)
{
    kiln_graph *g = s->g;
    const int nodes = g->node.count;
    kiln_tensor *amounts = calloc((size_t)most_inputs(g, nodes), sizeof *amounts);
    if (!amounts) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "gradient: out of memory");
        return;
    }
    for (int i = 0; i < count; i++)
        s->towards[x[i].id] = true;
    mark_dependents(g, s->towards, nodes);
    s->grad[y.id] = dy.id ? dy : kiln_ones_like(g, y);
    for (int i = nodes - 1; i >= 0 && !g->status; i--)
        visit(s, g->node.data[i], amounts);
    for (int i = 0; i < count && !g->status; i++)
        dx[i] = s->grad[x[i].id].id ? s->grad[x[i].id] : kiln_zeros_like(g, x[i]);
    free(amounts);
}

void kiln_gradient(kiln_graph *g, kiln_tensor y, kiln_tensor dy, const kiln_tensor *x, int count,
                   kiln_tensor *dx)
{
    for (int i = 0; i < count; i++)
        dx[i] = KILN_NONE;
    if (g->status || !valid_ends(g, y, x, count))
        return;
    struct sweep s = {.g = g, .count = (uint32_t)g->value.count};
    s.towards = calloc((size_t)s.count + 1, sizeof *s.towards);
    s.grad = calloc((size_t)s.count + 1, sizeof *s.grad);
    const bool literal = g->literal;
    g->literal = true; /* rules read the very values that the forward nodes read */
    if (s.towards && s.grad)
        run(&s, y, dy, x, count, dx);
    else
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "gradient: out of memory");
    g->literal = literal;
    free(s.towards);
    free(s.grad);
}
