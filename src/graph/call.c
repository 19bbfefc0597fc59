/*
 * call.c - kiln_call: a graph as a function, inlined.
 *
 * The body's nodes are appended again in their order, with its inputs replaced by the caller's values. Symbols of the body
 * take the sizes that the caller's values have; operators whose params hold sizes map them (kiln_op.sizes).
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "graph/graph.h"

struct call {
    kiln_graph *g;
    const kiln_graph *body;
    kiln_tensor *to; /* by the body's id */
    int64_t *size;   /* by the body's expression: the caller's size; INT64_MIN unknown */
};

static int64_t map_size(void *user, int64_t size)
{
    struct call *c = user;
    if (size >= 0 || -1 - size >= c->body->dim.count)
        return size;
    int64_t *known = &c->size[-1 - size];
    const struct kiln_dim_expression *e = &c->body->dim.data[-1 - size];
    if (*known != INT64_MIN)
        return *known;
    if (e->op == KILN_DIM_SYMBOL)
        return *known = kiln_dim(c->g, e->name); /* a symbol that no input has */
    if (e->op == KILN_DIM_BOUNDED)               /* of a node that comes later */
        return *known = kiln_dim_bounded(c->g, c->to[e->b], map_size(c, e->a));
    const int64_t a = map_size(c, e->a);
    return *known = kiln_dim_apply(c->g, e->op, a, map_size(c, e->b));
}

/* The counts that a node of the body brings are those of its copy. */
static void bind_counts(struct call *c, kiln_tensor from, kiln_tensor to)
{
    const kiln_shape body = kiln_tensor_shape(c->body, from), own = kiln_tensor_shape(c->g, to);
    for (int i = 0; i < body.rank && i < own.rank; i++) {
        const struct kiln_dim_expression *e = kiln_dim_expression_of(c->body, body.size[i]);
        if (e && e->op == KILN_DIM_BOUNDED && c->size[-1 - body.size[i]] == INT64_MIN)
            c->size[-1 - body.size[i]] = own.size[i];
    }
}

/* Give the body's symbols the caller's sizes. */
static bool bind_input(struct call *c, int index, kiln_tensor given)
{
    const kiln_spec want = kiln_tensor_spec(c->body, c->body->input.data[index]);
    const kiln_spec got = kiln_tensor_spec(c->g, given);
    char a[96], b[96];
    bool fits = kiln_graph_value(c->g, given) && want.type == got.type && want.shape.rank == got.shape.rank;
    for (int i = 0; fits && i < want.shape.rank; i++) {
        const int64_t size = want.shape.size[i];
        if (kiln_dim_is_symbol(c->body, size) && c->size[-1 - size] == INT64_MIN)
            c->size[-1 - size] = got.shape.size[i];
        fits = map_size(c, size) == got.shape.size[i];
    }
    if (!fits)
        kiln_graph_fail(c->g, KILN_ERROR_SHAPE, "call of \"%s\": input \"%s\" is %s %s, got %s %s",
                        c->body->name, kiln_tensor_name(c->body, c->body->input.data[index]),
                        kiln_type_name(want.type), kiln_graph_shape_text(c->body, &want.shape, a, sizeof a),
                        kiln_type_name(got.type), kiln_graph_shape_text(c->g, &got.shape, b, sizeof b));
    c->to[c->body->input.data[index].id] = given;
    return fits;
}

static kiln_tensor inline_leaf(struct call *c, const kiln_node *n)
{
    const struct kiln_leaf_params *p = n->params;
    const char *name = kiln_tensor_name(c->body, n->out[0]);
    if (n->op == &kiln_op_parameter)
        return kiln_parameter(c->g, name, p->spec.shape, &p->init);
    return kiln_state_init(c->g, name, p->spec.type, p->spec.shape, p->store, &p->init);
}

static kiln_tensor inline_constant(struct call *c, const kiln_node *n)
{
    const struct kiln_constant_params *p = n->params;
    return kiln_graph_constant(c->g, p->spec, p->stored, kiln_constant_data(p), p->bytes);
}

static kiln_tensor inline_plain(struct call *c, const kiln_node *n)
{
    kiln_graph *g = c->g;
    kiln_tensor *in = kiln_arena_alloc(&g->arena, (size_t)(n->inputs ? n->inputs : 1) * sizeof *in);
    void *params = kiln_arena_copy(&g->arena, n->params, n->params_size);
    if (!in || (!params && n->params_size)) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "call of \"%s\": out of memory", c->body->name);
        return KILN_NONE;
    }
    for (int i = 0; i < n->inputs; i++)
        in[i] = n->in[i].id ? c->to[n->in[i].id] : KILN_NONE;
    if (n->op->sizes)
        n->op->sizes(params, map_size, c);
    if (n->op == &kiln_op_assign)
        return kiln_assign(g, in[0], in[1]);
    return kiln_append(g, n->op, in, n->inputs, params, n->params_size);
}

static void inline_node(struct call *c, const kiln_node *n)
{
    if (n->op == &kiln_op_input)
        return;
    const bool leaf = n->op == &kiln_op_parameter || n->op == &kiln_op_state;
    const kiln_tensor first = leaf                         ? inline_leaf(c, n)
                              : n->op == &kiln_op_constant ? inline_constant(c, n)
                                                           : inline_plain(c, n);
    for (int i = 0; i < n->outputs && !c->g->status; i++) {
        c->to[n->out[i].id] = kiln_node_output(c->g, first, i);
        bind_counts(c, n->out[i], c->to[n->out[i].id]);
    }
}

static void inline_attachments(struct call *c)
{
    for (int i = 0; i < c->body->attachment.count; i++) {
        const struct kiln_attachment *a = &c->body->attachment.data[i];
        const struct kiln_attachment copy = {c->to[a->effect.id], c->to[a->with.id]};
        if (!kiln_vec_push(&c->g->attachment, copy))
            kiln_graph_fail(c->g, KILN_ERROR_MEMORY, "call of \"%s\": out of memory", c->body->name);
    }
}

void kiln_call(kiln_graph *g, const kiln_graph *body, const kiln_tensor *in, kiln_tensor *out)
{
    for (int i = 0; i < body->output.count; i++)
        out[i] = KILN_NONE;
    if (g->status)
        return;
    if (body->status) {
        kiln_graph_fail(g, body->status, "call of \"%s\": the body has failed: %s", body->name,
                        kiln_graph_error(body));
        return;
    }
    struct call c = {.g = g, .body = body};
    c.to = calloc((size_t)body->value.count + 1, sizeof *c.to);
    c.size = malloc((size_t)(body->dim.count + 1) * sizeof *c.size);
    for (int i = 0; c.size && i < body->dim.count; i++)
        c.size[i] = INT64_MIN;
    bool fits = c.to && c.size;
    if (!fits)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "call of \"%s\": out of memory", body->name);
    for (int i = 0; fits && i < body->input.count; i++)
        fits = bind_input(&c, i, in[i]);
    for (int i = 0; fits && i < body->node.count && !g->status; i++)
        inline_node(&c, body->node.data[i]);
    if (fits && !g->status)
        inline_attachments(&c);
    for (int i = 0; fits && i < body->output.count && !g->status; i++)
        out[i] = c.to[body->output.data[i].id];
    free(c.to);
    free(c.size);
}
