/*
 * onnx_roles.c - what a value that a model's nodes read is to them: learned, counted, or a constant.
 *
 * The rows of the table say which inputs are parameters and states. A weight may go through nodes that hand it on in another
 * shape, and into functions, whose own nodes tell.
 */
#include <string.h>

#include "import/onnx.h"

struct roles {
    struct kiln_onnx *m;
    const Onnx__GraphProto *graph; /* that the nodes are of; NULL: a function's */
    Onnx__NodeProto *const *node;
    struct kiln_map *of;   /* name -> enum kiln_onnx_role */
    struct kiln_map maker; /* name -> index in node */
};

/* The nodes that hand a weight on in another shape. */
static bool hands_on(const Onnx__NodeProto *n)
{
    static const char *const names[] = {"Identity",  "Reshape", "Transpose", "Squeeze",
                                        "Unsqueeze", "Flatten", "Gather",    "Concat"};
    for (size_t i = 0; n->op_type && n->n_input && i < sizeof names / sizeof *names; i++)
        if (!strcmp(n->op_type, names[i]))
            return true;
    return false;
}

/* y = Add(MatMul(x, w), b): b is learned like the biases that Gemm and Conv take themselves. */
static bool adds_bias(const struct roles *r, const Onnx__NodeProto *n, size_t input)
{
    if (!n->op_type || strcmp(n->op_type, "Add") || n->n_input != 2)
        return false;
    const int maker = kiln_map_find(&r->maker, n->input[1 - input]);
    const struct kiln_onnx_row *row = maker < 0 ? NULL : kiln_onnx_row_for(r->m, r->node[maker]);
    return row && (!strcmp(row->name, "MatMul") || !strcmp(row->name, "Conv"));
}

bool kiln_onnx_is_initializer(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        if (g->initializer[i]->name && !strcmp(g->initializer[i]->name, name))
            return true;
    return false;
}

/* Whether data gives a value, not the file. A function has no initializers: its inputs may bear the names of the model's. */
static bool is_given(const struct roles *r, const char *name)
{
    const int maker = kiln_map_find(&r->maker, name);
    if (maker >= 0)
        return !r->node[maker]->op_type || strcmp(r->node[maker]->op_type, "Constant") != 0;
    return !r->graph || !kiln_onnx_is_initializer(r->graph, name);
}

/* y = Gather(table, index) of rows that data names: an embedding. */
static bool is_embedding(const struct roles *r, const Onnx__NodeProto *n)
{
    if (!n->op_type || strcmp(n->op_type, "Gather") || n->n_input != 2)
        return false;
    for (size_t i = 0; i < n->n_attribute; i++)
        if (n->attribute[i]->name && !strcmp(n->attribute[i]->name, "axis") && n->attribute[i]->i)
            return false;
    return is_given(r, n->input[1]);
}

static bool put(struct roles *r, const char *name, enum kiln_onnx_role role)
{
    return role == KILN_ONNX_CONSTANT || kiln_map_find(r->of, name) >= 0 || kiln_map_put(r->of, name, role);
}

static enum kiln_onnx_role role_of_input(const struct roles *r, const Onnx__NodeProto *n, size_t i)
{
    const struct kiln_onnx_function *f = kiln_onnx_function_for(r->m, n);
    const struct kiln_onnx_row *row = f ? NULL : kiln_onnx_row_for(r->m, n);
    if (f)
        return i < f->proto->n_input ? f->roles[i] : KILN_ONNX_CONSTANT;
    if (row && i < 32 && (row->parameters >> i & 1 || adds_bias(r, n, i) || (i == 0 && is_embedding(r, n))))
        return KILN_ONNX_PARAMETER;
    return row && i < 32 && row->states >> i & 1 ? KILN_ONNX_STATE : KILN_ONNX_CONSTANT;
}

static bool look_at(struct roles *r, const Onnx__NodeProto *n)
{
    bool kept = true;
    for (size_t i = 0; i < n->n_input; i++)
        kept = kept && put(r, n->input[i], role_of_input(r, n, i));
    const int handed = hands_on(n) && n->n_output ? kiln_map_find(r->of, n->output[0]) : -1;
    const size_t parts = n->op_type && !strcmp(n->op_type, "Concat") ? n->n_input : 1;
    for (size_t i = 0; handed >= 0 && i < parts; i++)
        kept = kept && put(r, n->input[i], (enum kiln_onnx_role)handed);
    return kept;
}

kiln_status kiln_onnx_find_roles(struct kiln_onnx *m, const Onnx__GraphProto *graph,
                                 Onnx__NodeProto *const *node, size_t count, struct kiln_map *of)
{
    struct roles r = {.m = m, .graph = graph, .node = node, .of = of};
    bool kept = true;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < node[i]->n_output; k++)
            kept = kept && kiln_map_put(&r.maker, node[i]->output[k], (int)i);
    for (size_t i = count; i-- > 0;)
        kept = kept && look_at(&r, node[i]);
    kiln_map_finish(&r.maker);
    return kept ? KILN_OK : kiln_onnx_fail(m, KILN_ERROR_MEMORY, "out of memory");
}
