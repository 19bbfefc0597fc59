/*
 * verify.c - the invariants of the IR, checked after every pass of the compiler in debug builds and by tests:
 * nodes use only values made before them, ids and outputs agree, every spec is a shape.
 */
#include "base/log.h"
#include "graph/graph.h"

static bool valid_spec(const kiln_graph *g, const kiln_spec *spec)
{
    bool valid = kiln_type_size(spec->type) && spec->shape.rank >= 0 && spec->shape.rank <= KILN_MAX_RANK;
    for (int i = 0; valid && i < spec->shape.rank; i++)
        valid = spec->shape.size[i] >= -(int64_t)g->dim.count;
    return valid;
}

/* A body has no leaf of its own but inputs and constants, and no effect. */
static kiln_status verify_bodies(const kiln_node *n)
{
    const kiln_graph *body;
    kiln_status status = KILN_OK;
    for (int i = 0; n->op->body && !status && (body = n->op->body(n->params, i)); i++) {
        status = kiln_graph_verify(body);
        for (int k = 0; k < body->node.count && !status; k++) {
            const kiln_op *op = body->node.data[k]->op;
            if (op == &kiln_op_parameter || op == &kiln_op_state || op->flags & KILN_OP_EFFECT)
                status = kiln_fail(KILN_ERROR_ARGUMENT, "IR: body \"%s\" of %s is not closed: it has %s %d",
                                   body->name, n->op->name, op->name, k);
        }
    }
    return status;
}

static kiln_status verify_node(const kiln_graph *g, const kiln_node *n, uint32_t made)
{
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i].id && (n->in[i].graph != g->tag || n->in[i].id > made))
            return kiln_fail(KILN_ERROR_ARGUMENT, "IR: %s uses value %u before it is made", n->op->name,
                             n->in[i].id);
    for (int i = 0; i < n->outputs; i++) {
        const struct kiln_value *v = kiln_graph_value(g, n->out[i]);
        if (!v || v->node != n || v->output != i)
            return kiln_fail(KILN_ERROR_ARGUMENT, "IR: output %d of %s does not know its node", i,
                             n->op->name);
        if (!valid_spec(g, &v->spec))
            return kiln_fail(KILN_ERROR_ARGUMENT, "IR: output %d of %s has no valid type and shape", i,
                             n->op->name);
    }
    return verify_bodies(n);
}

kiln_status kiln_graph_verify(const kiln_graph *g)
{
    uint32_t made = 0;
    for (int i = 0; i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        const kiln_status status = verify_node(g, n, made);
        if (status)
            return status;
        made += (uint32_t)n->outputs;
    }
    return made == (uint32_t)g->value.count
               ? KILN_OK
               : kiln_fail(KILN_ERROR_ARGUMENT, "IR: %u values made, %d known", made, g->value.count);
}
