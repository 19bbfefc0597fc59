/*
 * call.c - kiln_call: a graph as a function, inlined.
 *
 * The body's nodes are appended again in their order, with its inputs replaced by the caller's values. Symbols of the body
 * take the sizes that the caller's values have (body.c); operators whose params hold sizes map them (kiln_op.sizes).
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "graph/body.h"

struct call {
    kiln_graph *g;
    const kiln_graph *body;
    kiln_tensor *to;    /* by the body's id */
    kiln_tensor *state; /* likewise: the state itself, of which `to` is the value at the call */
    struct kiln_sizes sizes;
};

static bool bind_input(struct call *c, int index, kiln_tensor given)
{
    const kiln_tensor input = c->body->input.data[index];
    const kiln_spec want = kiln_tensor_spec(c->body, input), got = kiln_tensor_spec(c->g, given);
    char a[96], b[96];
    const bool fits = kiln_graph_value(c->g, given) && kiln_sizes_bind(&c->sizes, &want, &got);
    if (!fits)
        kiln_graph_fail(c->g, KILN_ERROR_SHAPE, "call of \"%s\": input \"%s\" is %s %s, got %s %s",
                        c->body->name, kiln_tensor_name(c->body, input), kiln_type_name(want.type),
                        kiln_graph_shape_text(c->body, &want.shape, a, sizeof a), kiln_type_name(got.type),
                        kiln_graph_shape_text(c->g, &got.shape, b, sizeof b));
    c->to[input.id] = kiln_newest(c->g, given);
    return fits;
}

static kiln_tensor inline_leaf(struct call *c, const kiln_node *n)
{
    const kiln_tensor leaf = kiln_leaf_again(c->g, c->body, n);
    if (n->op == &kiln_op_state)
        c->state[n->out[0].id] = leaf;
    return kiln_newest(c->g, leaf);
}

static kiln_tensor inline_constant(struct call *c, const kiln_node *n)
{
    const struct kiln_constant_params *p = n->params;
    return kiln_graph_constant(c->g, p->spec, p->stored, kiln_constant_data(p), p->bytes);
}

/* The body's nodes say themselves which value of a state they read, so theirs are taken as they are. */
static kiln_tensor append_literally(kiln_graph *g, const kiln_node *n, const kiln_tensor *in,
                                    const void *params)
{
    const bool literal = g->literal;
    g->literal = true;
    const kiln_tensor t = kiln_append(g, n->op, in, n->inputs, params, n->params_size);
    g->literal = literal;
    return t;
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
        n->op->sizes(params, kiln_sizes_map, &c->sizes);
    if (n->op == &kiln_op_assign)
        return kiln_assign(g, c->state[n->in[0].id], in[1]);
    return append_literally(g, n, in, params);
}

static void inline_node(struct call *c, const kiln_node *n)
{
    if (n->op == &kiln_op_input)
        return;
    const bool leaf = n->op == &kiln_op_parameter || n->op == &kiln_op_state;
    const kiln_tensor first = leaf                         ? inline_leaf(c, n)
                              : n->op == &kiln_op_constant ? inline_constant(c, n)
                                                           : inline_plain(c, n);
    c->to[n->out[0].id] = first; /* of a state a newer value, which another node may make */
    for (int i = 1; i < n->outputs && !c->g->status; i++)
        c->to[n->out[i].id] = kiln_node_output(c->g, first, i);
    for (int i = 0; i < n->outputs && !c->g->status; i++)
        kiln_sizes_bind_counts(&c->sizes, n->out[i], c->to[n->out[i].id]);
}

/* After the call a state is what the body made of it. */
static void inline_newest(struct call *c)
{
    for (int i = 0; i < c->body->state.count; i++) {
        const struct kiln_state_value *s = &c->body->state.data[i];
        if (s->newest.id != s->state.id)
            kiln_set_newest(c->g, c->state[s->state.id], c->to[s->newest.id]);
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
    c.state = calloc((size_t)body->value.count + 1, sizeof *c.state);
    bool fits = kiln_sizes_begin(&c.sizes, g, body) && c.to && c.state;
    c.sizes.to = c.to;
    if (!c.to || !c.state)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "call of \"%s\": out of memory", body->name);
    for (int i = 0; fits && i < body->input.count; i++)
        fits = bind_input(&c, i, in[i]);
    for (int i = 0; fits && i < body->node.count && !g->status; i++)
        inline_node(&c, body->node.data[i]);
    if (fits && !g->status)
        inline_attachments(&c);
    if (fits && !g->status)
        inline_newest(&c);
    for (int i = 0; fits && i < body->output.count && !g->status; i++)
        out[i] = c.to[body->output.data[i].id];
    free(c.to);
    free(c.state);
    kiln_sizes_finish(&c.sizes);
}
