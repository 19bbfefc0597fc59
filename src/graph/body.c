/*
 * body.c - see body.h.
 *
 * Closing copies the nodes that lead to the outputs and to the states' next values, in their order and with their specs; a
 * closed body has its sizes by the same numbers. Effects stay behind: what they would store is handed out.
 */
#include "graph/body.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "graph/random.h"

#include <kiln/ops.h>

/* Sizes -------------------------------------------------------------------------------------------------- */

static void out_of_memory(kiln_graph *g, const kiln_graph *body)
{
    kiln_graph_fail(g, KILN_ERROR_MEMORY, "body \"%s\": out of memory", body->name);
}

bool kiln_sizes_begin(struct kiln_sizes *s, kiln_graph *g, const kiln_graph *body)
{
    *s = (struct kiln_sizes){.g = g, .body = body};
    s->size = malloc((size_t)(body->dim.count + 1) * sizeof *s->size);
    for (int i = 0; s->size && i < body->dim.count; i++)
        s->size[i] = INT64_MIN;
    if (!s->size)
        out_of_memory(g, body);
    return s->size;
}

void kiln_sizes_finish(struct kiln_sizes *s)
{
    free(s->size);
    s->size = NULL;
}

/* At most so many: what counts them is a value that is inlined too. */
static int64_t map_bounded(struct kiln_sizes *s, const struct kiln_dim_expression *e)
{
    const kiln_tensor count = s->to && e->b > 0 ? s->to[e->b] : KILN_NONE;
    if (count.id)
        return kiln_dim_bounded(s->g, count, kiln_sizes_map(s, e->a));
    kiln_graph_fail(s->g, KILN_ERROR_UNSUPPORTED,
                    "body \"%s\": a value whose size depends on data cannot leave it", s->body->name);
    return 0;
}

int64_t kiln_sizes_map(void *sizes, int64_t size)
{
    struct kiln_sizes *s = sizes;
    const struct kiln_dim_expression *e = kiln_dim_expression_of(s->body, size);
    if (!e)
        return size;
    int64_t *known = &s->size[-1 - size];
    if (*known != INT64_MIN)
        return *known;
    if (e->op == KILN_DIM_SYMBOL)
        return *known = kiln_dim(s->g, e->name); /* a symbol that no input has */
    if (e->op == KILN_DIM_BOUNDED)
        return *known = map_bounded(s, e);
    const int64_t a = kiln_sizes_map(s, e->a);
    return *known = kiln_dim_apply(s->g, e->op, a, kiln_sizes_map(s, e->b));
}

void kiln_sizes_bind_counts(struct kiln_sizes *s, kiln_tensor from, kiln_tensor to)
{
    const kiln_shape body = kiln_tensor_shape(s->body, from), own = kiln_tensor_shape(s->g, to);
    for (int i = 0; i < body.rank && i < own.rank; i++) {
        const struct kiln_dim_expression *e = kiln_dim_expression_of(s->body, body.size[i]);
        if (e && e->op == KILN_DIM_BOUNDED && s->size[-1 - body.size[i]] == INT64_MIN)
            s->size[-1 - body.size[i]] = own.size[i];
    }
}

bool kiln_sizes_bind(struct kiln_sizes *s, const kiln_spec *declared, const kiln_spec *given)
{
    bool fits = declared->type == given->type && declared->shape.rank == given->shape.rank;
    for (int i = 0; fits && i < declared->shape.rank; i++) {
        const int64_t size = declared->shape.size[i];
        if (kiln_dim_is_symbol(s->body, size) && s->size[-1 - size] == INT64_MIN)
            s->size[-1 - size] = given->shape.size[i];
        fits = kiln_sizes_map(s, size) == given->shape.size[i];
    }
    return fits;
}

kiln_spec kiln_sizes_spec(struct kiln_sizes *s, const kiln_spec *spec)
{
    kiln_spec mapped = *spec;
    for (int i = 0; i < spec->shape.rank; i++)
        mapped.shape.size[i] = kiln_sizes_map(s, spec->shape.size[i]);
    return mapped;
}

kiln_graph *kiln_graph_alike(kiln_graph *g, const kiln_graph *like)
{
    kiln_graph *copy = NULL;
    bool whole = !kiln_graph_create(&copy, &(kiln_graph_params){.name = like->name});
    if (whole)
        copy->dim.count = 0;
    for (int i = 0; whole && i < like->dim.count; i++) {
        struct kiln_dim_expression e = like->dim.data[i];
        e.name = kiln_arena_text(&copy->arena, e.name);
        if (e.op == KILN_DIM_BOUNDED)
            e.b = 0; /* what counts it is not there yet */
        whole = kiln_vec_push(&copy->dim, e);
    }
    if (whole)
        return copy;
    out_of_memory(g, like);
    kiln_graph_destroy(&copy);
    return NULL;
}

/* Leaves ------------------------------------------------------------------------------------------------- */

/* The random counter is one a graph, whatever scope is open. */
kiln_tensor kiln_leaf_again(kiln_graph *g, const kiln_graph *body, const kiln_node *n)
{
    const struct kiln_leaf_params *p = n->params;
    const char *name = kiln_tensor_name(body, n->out[0]);
    if (n->op == &kiln_op_parameter)
        return kiln_parameter(g, name, p->spec.shape, &p->init);
    const int depth = g->scope.count;
    g->scope.count = strcmp(name, KILN_RANDOM_STATE) ? depth : 0;
    const kiln_tensor t = kiln_state_init(g, name, p->spec.type, p->spec.shape, p->store, &p->init);
    g->scope.count = depth;
    return t;
}

/* Captures ----------------------------------------------------------------------------------------------- */

bool kiln_is_effect(const kiln_graph *g, kiln_tensor t)
{
    const kiln_node *n = kiln_graph_node(g, t);
    return n && n->op->flags & KILN_OP_EFFECT;
}

static struct kiln_capture *find_capture(const kiln_captures *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (!strcmp(list->data[i].name, name))
            return &list->data[i];
    return NULL;
}

/* What the body makes of a state; KILN_NONE: it leaves it. */
static kiln_tensor next_of(const kiln_graph *body, kiln_tensor state)
{
    for (int i = 0; i < body->state.count; i++)
        if (body->state.data[i].state.id == state.id && body->state.data[i].newest.id != state.id)
            return body->state.data[i].newest;
    return KILN_NONE;
}

/* Whether what the state becomes is assigned by kiln_assign_with. */
static bool is_attached(const kiln_graph *body, kiln_tensor state)
{
    for (int i = 0; i < body->attachment.count; i++)
        if (kiln_graph_node(body, body->attachment.data[i].effect)->in[0].id == state.id)
            return true;
    return false;
}

static void capture(kiln_graph *g, const kiln_graph *body, const kiln_node *n, kiln_captures *list)
{
    const char *name = kiln_tensor_name(body, n->out[0]);
    const bool assigned = n->op == &kiln_op_state && next_of(body, n->out[0]).id;
    struct kiln_capture *known = find_capture(list, name);
    const struct kiln_capture new = {.name = kiln_arena_text(&g->arena, name),
                                     .leaf = kiln_leaf_again(g, body, n)};
    if (g->status)
        return;
    if (!known && (!new.name || !kiln_vec_push(list, new))) {
        out_of_memory(g, body);
        return;
    }
    known = known ? known : &list->data[list->count - 1];
    known->attached = assigned ? is_attached(body, n->out[0]) : known->attached;
    known->assigned |= assigned;
}

void kiln_capture_leaves(kiln_graph *g, const kiln_graph *body, kiln_captures *list)
{
    for (int i = 0; i < body->node.count && !g->status; i++) {
        const kiln_node *n = body->node.data[i];
        if (n->op == &kiln_op_parameter || n->op == &kiln_op_state)
            capture(g, body, n, list);
    }
}

int kiln_captures_assigned(const kiln_captures *list)
{
    int count = 0;
    for (int i = 0; i < list->count; i++)
        count += list->data[i].assigned;
    return count;
}

void kiln_captures_inputs(const kiln_captures *list, const kiln_tensor *given, int before, int count,
                          kiln_tensor *in)
{
    memcpy(in, given, (size_t)before * sizeof *in);
    in += before;
    for (int assigned = 1; assigned >= 0; assigned--) {
        for (int i = 0; i < list->count; i++)
            if (list->data[i].assigned == assigned)
                *in++ = list->data[i].leaf;
        for (int i = before; assigned && i < count; i++)
            *in++ = given[i];
    }
}

/* Closing ------------------------------------------------------------------------------------------------ */

/* The parameter or state of that name; KILN_NONE where the body has none. */
static kiln_tensor leaf_named(const kiln_graph *body, const char *name)
{
    const kiln_tensor t = kiln_find(body, name);
    const kiln_node *n = kiln_graph_node(body, t);
    return n && (n->op == &kiln_op_parameter || n->op == &kiln_op_state) ? t : KILN_NONE;
}

struct closing {
    kiln_graph *g; /* that fails */
    const kiln_graph *body;
    kiln_graph *to;
    const kiln_captures *list;
    kiln_tensor *map;      /* by the body's id */
    kiln_tensor *captured; /* by capture: its input */
    bool *needed;
};

static void close_input(struct closing *c, kiln_tensor from)
{
    const struct kiln_value *v = kiln_graph_value(c->body, from);
    c->map[from.id] = kiln_input(c->to, v->name, v->spec.type, v->spec.shape);
}

/* The inputs of the captures that are (or are not) assigned: one each, in their order. One that this body does not use has no
 * name, which might be another value's here. */
static void close_captures(struct closing *c, bool assigned)
{
    kiln_graph *to = c->to;
    for (int i = 0; i < c->list->count && !to->status; i++) {
        const struct kiln_capture *k = &c->list->data[i];
        const kiln_tensor leaf = leaf_named(c->body, k->name);
        const struct kiln_leaf_params p = {.spec = kiln_tensor_spec(c->g, k->leaf)};
        if (k->assigned != assigned)
            continue;
        const kiln_node *n = kiln_graph_add(to, &kiln_op_input, NULL, 0, &p, sizeof p, &p.spec, 1, NULL);
        if (!n || !kiln_vec_push(&to->input, n->out[0])) {
            out_of_memory(c->g, c->body);
            return;
        }
        c->captured[i] = n->out[0];
        if (leaf.id)
            c->map[leaf.id] = kiln_name(to, n->out[0], k->name);
    }
}

static void close_node(struct closing *c, const kiln_node *n)
{
    kiln_graph *to = c->to;
    if (n->op == &kiln_op_constant) {
        const struct kiln_constant_params *p = n->params;
        c->map[n->out[0].id] = kiln_graph_constant(to, p->spec, p->stored, kiln_constant_data(p), p->bytes);
        return;
    }
    kiln_tensor *in = kiln_arena_alloc(&to->arena, (size_t)(n->inputs ? n->inputs : 1) * sizeof *in);
    kiln_spec *out = kiln_arena_alloc(&to->arena, (size_t)n->outputs * sizeof *out);
    for (int i = 0; in && i < n->inputs; i++)
        in[i] = n->in[i].id ? c->map[n->in[i].id] : KILN_NONE;
    for (int i = 0; out && i < n->outputs; i++)
        out[i] = kiln_tensor_spec(c->body, n->out[i]);
    const char *name = kiln_arena_text(&to->arena, n->name);
    const kiln_node *copy =
        in && out ? kiln_graph_add(to, n->op, in, n->inputs, n->params, n->params_size, out, n->outputs, name)
                  : NULL;
    for (int i = 0; copy && i < n->outputs; i++)
        c->map[n->out[i].id] = copy->out[i];
    if (!copy)
        out_of_memory(c->g, c->body);
}

static void need(void *needed, uint32_t id)
{
    ((bool *)needed)[id] = true;
}

/* What counts the sizes of a node's outputs, which need not be among its inputs. */
static void need_counts(struct closing *c, const kiln_node *n)
{
    for (int i = 0; i < n->outputs; i++) {
        const kiln_shape shape = kiln_tensor_shape(c->body, n->out[i]);
        for (int k = 0; k < shape.rank; k++)
            kiln_dim_counts(c->body, shape.size[k], need, c->needed);
    }
}

static void find_needed(struct closing *c)
{
    const kiln_graph *body = c->body;
    for (int i = 0; i < body->output.count; i++)
        c->needed[body->output.data[i].id] = !kiln_is_effect(body, body->output.data[i]);
    for (int i = 0; i < body->state.count; i++)
        c->needed[body->state.data[i].newest.id] = true;
    for (int i = body->node.count - 1; i >= 0; i--) {
        const kiln_node *n = body->node.data[i];
        bool used = false;
        for (int k = 0; k < n->outputs; k++)
            used |= c->needed[n->out[k].id];
        for (int k = 0; used && k < n->inputs; k++)
            c->needed[n->in[k].id] = true;
        if (used)
            need_counts(c, n);
    }
}

static void close_nodes(struct closing *c)
{
    for (int i = 0; i < c->body->node.count && !c->to->status && !c->g->status; i++) {
        const kiln_node *n = c->body->node.data[i];
        bool used = false;
        for (int k = 0; k < n->outputs; k++)
            used |= c->needed[n->out[k].id];
        if (used && !c->map[n->out[0].id].id)
            close_node(c, n);
    }
}

/* Sizes that depend on data within the body do so in the copy. */
static void close_counts(struct closing *c)
{
    for (int i = 0; i < c->body->dim.count; i++) {
        const struct kiln_dim_expression *e = &c->body->dim.data[i];
        if (e->op == KILN_DIM_BOUNDED && e->b > 0)
            c->to->dim.data[i].b = c->map[e->b].id;
    }
}

/* What a captured state is after the body. */
static kiln_tensor close_next(const struct closing *c, int index)
{
    const kiln_tensor leaf = leaf_named(c->body, c->list->data[index].name);
    const kiln_tensor next = leaf.id ? next_of(c->body, leaf) : KILN_NONE;
    return next.id ? c->map[next.id] : c->captured[index];
}

static void close_outputs(struct closing *c)
{
    bool whole = true;
    for (int i = 0; i < c->body->output.count && whole; i++) {
        const kiln_tensor t = c->body->output.data[i];
        if (!kiln_is_effect(c->body, t))
            whole = kiln_vec_push(&c->to->output, c->map[t.id]);
    }
    for (int i = 0; i < c->list->count && whole; i++)
        if (c->list->data[i].assigned)
            whole = kiln_vec_push(&c->to->output, close_next(c, i));
    if (!whole)
        out_of_memory(c->g, c->body);
}

kiln_graph *kiln_body_close(kiln_graph *g, const kiln_graph *body, int before, const kiln_captures *list)
{
    struct closing c = {.g = g, .body = body, .list = list};
    c.map = calloc((size_t)body->value.count + 1, sizeof *c.map);
    c.needed = calloc((size_t)body->value.count + 1, sizeof *c.needed);
    c.captured = calloc((size_t)list->count + 1, sizeof *c.captured);
    if (!c.map || !c.needed || !c.captured)
        out_of_memory(g, body);
    else
        c.to = kiln_graph_alike(g, body);
    if (c.to) {
        for (int i = 0; i < before; i++)
            close_input(&c, body->input.data[i]);
        close_captures(&c, true);
        for (int i = before; i < body->input.count; i++)
            close_input(&c, body->input.data[i]);
        close_captures(&c, false);
        find_needed(&c);
        close_nodes(&c);
        close_counts(&c);
        close_outputs(&c);
        if (c.to->status)
            kiln_graph_fail(g, c.to->status, "body \"%s\": %s", body->name, kiln_graph_error(c.to));
    }
    free(c.map);
    free(c.needed);
    free(c.captured);
    if (g->status)
        kiln_graph_destroy(&c.to);
    return c.to;
}

/* Effects ------------------------------------------------------------------------------------------------ */

/* The effects of g that stand for an effect of the body: assignments, alone or grouped. */
static bool gather_effects(const kiln_graph *body, kiln_tensor effect, const kiln_captures *list,
                           const kiln_tensor *made, kiln_tensor *out, int *count)
{
    const kiln_node *n = kiln_graph_node(body, effect);
    if (n->op == &kiln_op_group) {
        bool known = true;
        for (int i = 0; i < n->inputs && known; i++)
            known = gather_effects(body, n->in[i], list, made, out, count);
        return known;
    }
    if (n->op != &kiln_op_assign)
        return false;
    const struct kiln_capture *k = find_capture(list, kiln_tensor_name(body, n->in[0]));
    bool there = false;
    for (int i = 0; i < *count; i++)
        there |= out[i].id == made[k - list->data].id;
    if (!there)
        out[(*count)++] = made[k - list->data];
    return true;
}

static kiln_tensor effect_of(kiln_graph *g, const kiln_graph *body, kiln_tensor effect,
                             const kiln_captures *list, const kiln_tensor *made)
{
    kiln_tensor *all = kiln_arena_alloc(&g->arena, (size_t)(list->count + 1) * sizeof *all);
    int count = 0;
    if (!all)
        out_of_memory(g, body);
    else if (!gather_effects(body, effect, list, made, all, &count))
        kiln_graph_fail(
            g, KILN_ERROR_UNSUPPORTED,
            "body \"%s\": its output \"%s\" is an effect, of which only assignments can be repeated",
            body->name, kiln_tensor_name(body, effect));
    else
        return count == 1 ? all[0] : kiln_group(g, all, count);
    return KILN_NONE;
}

/* In training with any output of the node. */
static kiln_tensor assign(kiln_graph *g, const struct kiln_capture *k, kiln_tensor final, const kiln_node *n)
{
    const kiln_tensor effect = kiln_assign(g, k->leaf, final);
    for (int i = 0; i < n->outputs && k->attached && effect.id; i++)
        if (!kiln_vec_push(&g->attachment, (struct kiln_attachment){effect, n->out[i]}))
            kiln_graph_fail(g, KILN_ERROR_MEMORY, "assign \"%s\": out of memory", k->name);
    return effect;
}

void kiln_captures_assign(kiln_graph *g, const kiln_graph *body, const kiln_captures *list, kiln_tensor node,
                          int first, kiln_tensor *out)
{
    const kiln_node *n = kiln_graph_node(g, node);
    kiln_tensor *made = kiln_arena_alloc(&g->arena, (size_t)(list->count + 1) * sizeof *made);
    if (!made || !n) {
        out_of_memory(g, body);
        return;
    }
    for (int i = 0; i < list->count; i++)
        if (list->data[i].assigned)
            made[i] = assign(g, &list->data[i], kiln_node_output(g, node, first++), n);
    for (int i = 0; i < body->output.count && !g->status; i++)
        if (kiln_is_effect(body, body->output.data[i]))
            out[i] = effect_of(g, body, body->output.data[i], list, made);
}
