/*
 * rewrite.c - what every pass that makes a new graph from an old one shares: a map from old values to new ones, and copying
 * a node with sizes resolved.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "compiler/plan.h"

/* Expressions keep their numbers, so that symbolic sizes stay valid in the copy. */
static bool copy_dims(const kiln_graph *from, kiln_graph *to)
{
    to->dim.count = 0;
    for (int i = 0; i < from->dim.count; i++) {
        struct kiln_dim_expression e = from->dim.data[i];
        e.name = kiln_arena_text(&to->arena, e.name);
        if (e.op == KILN_DIM_BOUNDED && e.b > 0)
            e.b = -e.b;
        if (!kiln_vec_push(&to->dim, e))
            return false;
    }
    return true;
}

kiln_status kiln_rewrite_begin(struct kiln_rewrite *r)
{
    r->map = calloc((size_t)r->from->value.count + 1, sizeof *r->map);
    const kiln_status status = kiln_graph_create(&r->to, &(kiln_graph_params){.name = r->from->name});
    if (!status && r->map && copy_dims(r->from, r->to)) {
        r->to->literal = true;
        return KILN_OK;
    }
    kiln_graph_destroy(&r->to);
    kiln_rewrite_finish(r);
    return status ? status : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
}

void kiln_rewrite_bind(struct kiln_rewrite *r, const kiln_node *n)
{
    for (int i = 0; i < r->to->dim.count; i++) {
        struct kiln_dim_expression *e = &r->to->dim.data[i];
        for (int k = 0; e->op == KILN_DIM_BOUNDED && k < n->outputs; k++)
            if (e->b == -(int64_t)n->out[k].id && r->map[n->out[k].id].id)
                e->b = r->map[n->out[k].id].id;
    }
}

void kiln_rewrite_finish(struct kiln_rewrite *r)
{
    free(r->map);
    r->map = NULL;
}

kiln_spec kiln_rewrite_spec(struct kiln_rewrite *r, const kiln_spec *spec)
{
    kiln_spec known = *spec;
    char text[128];
    for (int i = 0; r->size && i < spec->shape.rank; i++) {
        int64_t *size = &known.shape.size[i];
        *size = r->keep_counts ? kiln_dim_resolve(r->to, spec->shape.size[i], r->size, r->size_user)
                               : kiln_dim_value(r->from, spec->shape.size[i], r->size, r->size_user);
        if (*size >= 0 || (r->keep_counts && kiln_dim_is_counted(r->to, *size)))
            continue;
        kiln_graph_fail(r->to, KILN_ERROR_SHAPE,
                        "size %s has no value: it is negative, or no input that was written has it",
                        kiln_dim_text(r->from, spec->shape.size[i], text, sizeof text));
        known.shape.size[i] = 0;
    }
    return known;
}

/* Params may point into the old graph's arena: of leaves they are copied whole. */
static bool copy_params(struct kiln_rewrite *r, kiln_node *copy, const kiln_node *n)
{
    if (n->op == &kiln_op_parameter || n->op == &kiln_op_state) {
        struct kiln_leaf_params *p = (struct kiln_leaf_params *)(uintptr_t)copy->params;
        p->init = (kiln_init){0}; /* plans need no initial values */
    }
    if (n->op == &kiln_op_constant) {
        struct kiln_constant_params *p = (struct kiln_constant_params *)(uintptr_t)copy->params;
        if (p->data && !(p->data = kiln_arena_copy(&r->to->arena, p->data, p->bytes)))
            return false;
    }
    return true;
}

static bool copy_name(struct kiln_rewrite *r, kiln_tensor from, kiln_tensor to)
{
    const char *name = kiln_tensor_name(r->from, from);
    if (!name[0])
        return true;
    struct kiln_value *v = &r->to->value.data[to.id - 1];
    v->name = kiln_arena_text(&r->to->arena, name);
    return v->name && kiln_map_put(&r->to->names, name, (int)to.id);
}

kiln_tensor kiln_rewrite_input(const struct kiln_rewrite *r, const kiln_node *n, int i)
{
    const bool shape_only = kiln_node_reads_shape(n, i);
    return !n->in[i].id || (r->size && shape_only && !r->keep_counts) ? KILN_NONE : r->map[n->in[i].id];
}

kiln_node *kiln_rewrite_copy(struct kiln_rewrite *r, const kiln_node *n)
{
    kiln_tensor *in = kiln_arena_alloc(&r->to->arena, (size_t)(n->inputs ? n->inputs : 1) * sizeof *in);
    for (int i = 0; in && i < n->inputs; i++)
        in[i] = kiln_rewrite_input(r, n, i);
    if (in)
        return kiln_rewrite_copy_with(r, n, in);
    kiln_graph_fail(r->to, KILN_ERROR_MEMORY, "compiler: out of memory");
    return NULL;
}

kiln_node *kiln_rewrite_copy_with(struct kiln_rewrite *r, const kiln_node *n, const kiln_tensor *in)
{
    kiln_graph *to = r->to;
    to->pass = n->pass;
    kiln_spec *out = kiln_arena_alloc(&to->arena, (size_t)(n->outputs ? n->outputs : 1) * sizeof *out);
    bool whole = out;
    for (int i = 0; whole && i < n->outputs; i++) {
        const kiln_spec spec = kiln_tensor_spec(r->from, n->out[i]);
        out[i] = kiln_rewrite_spec(r, &spec);
    }
    if (to->status)
        return NULL;
    const char *name = kiln_arena_text(&to->arena, n->name);
    kiln_node *copy =
        whole ? kiln_graph_add(to, n->op, in, n->inputs, n->params, n->params_size, out, n->outputs, name)
              : NULL;
    whole = copy && copy_params(r, copy, n);
    if (whole && n->op == &kiln_op_input)
        whole = kiln_vec_push(&to->input, copy->out[0]);
    for (int i = 0; whole && i < n->outputs; i++) {
        r->map[n->out[i].id] = copy->out[i];
        whole = copy_name(r, n->out[i], copy->out[i]);
    }
    if (!whole)
        kiln_graph_fail(to, KILN_ERROR_MEMORY, "compiler: out of memory");
    return whole ? copy : NULL;
}

bool *kiln_settled(const kiln_graph *g)
{
    bool *settled = calloc((size_t)g->node.count + 1, sizeof *settled);
    bool *value = calloc((size_t)g->value.count + 1, sizeof *value); /* by id */
    for (int i = 0; settled && value && i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        const bool leaf =
            n->op == &kiln_op_parameter || n->op == &kiln_op_state || n->op == &kiln_op_constant;
        bool all = leaf || (n->inputs && !(n->op->flags & (KILN_OP_EFFECT | KILN_OP_RANDOM | KILN_OP_LATE)));
        for (int k = 0; k < n->inputs && all; k++)
            all = !n->in[k].id || value[n->in[k].id];
        settled[i] = all;
        for (int k = 0; k < n->outputs; k++)
            value[n->out[k].id] = all;
    }
    if (!value) {
        free(settled);
        settled = NULL;
    }
    free(value);
    return settled;
}
