/*
 * onnx_save_mode.c - what values are in the mode that is written, inference or training: another value, or nothing.
 *
 * A choice by mode hands one of two values on. To the gradient of the other nothing comes (no_gradient), and what is linear in nothing is
 * nothing, whatever else it is made of: so half of a gradient's graph is left out, as src/compiler/simplify.c does it.
 */
#include <string.h>

#include "import/onnx_save.h"

static bool is_one_of(const kiln_node *n, const char *const *ops)
{
    while (*ops && strcmp(n->op->name, *ops))
        ops++;
    return *ops != NULL;
}

static bool is(const kiln_node *n, const char *op)
{
    return !strcmp(n->op->name, op);
}

int kiln_onnx_mode_input(const struct kiln_onnx_writer *w)
{
    return w->train ? 0 : 1;
}

static bool makes_nothing(const struct kiln_onnx_writer *w, const kiln_node *n)
{
    static const char *const linear[] = {"cast_real", "div",       "expand",     "expand_to", "flatten",
                                         "neg",       "reshape",   "reshape_to", "squeeze",   "sum",
                                         "sum_to",    "transpose", "unsqueeze",  NULL};
    const bool first = n->inputs && w->nothing[n->in[0].id],
               second = n->inputs > 1 && w->nothing[n->in[1].id];
    if (is(n, "no_gradient"))
        return true;
    if (is(n, "by_mode"))
        return w->nothing[n->in[kiln_onnx_mode_input(w)].id];
    if (is(n, "add") || is(n, "sub"))
        return first && second;
    if (is(n, "channel_sums")) /* of x and dy */
        return second;
    return is(n, "mul") ? first || second : first && is_one_of(n, linear);
}

void kiln_onnx_find_nothing(struct kiln_onnx_writer *w)
{
    for (int i = 0; i < kiln_graph_node_count(w->g); i++) {
        const kiln_node *n = kiln_graph_node_at(w->g, i);
        for (int k = 0; k < n->outputs; k++)
            w->nothing[n->out[k].id] = makes_nothing(w, n);
    }
}

/* A sum with nothing is the other term, where that has its shape. */
static kiln_tensor only_term(const struct kiln_onnx_writer *w, const kiln_node *n)
{
    const bool sum = is(n, "add");
    for (int i = 0; i < 2 && (sum || is(n, "sub")); i++) {
        const kiln_spec own = kiln_tensor_spec(w->g, n->in[i]), all = kiln_tensor_spec(w->g, n->out[0]);
        if ((sum || i == 0) && w->nothing[n->in[1 - i].id] && own.type == all.type &&
            kiln_shape_equal(&own.shape, &all.shape))
            return n->in[i];
    }
    return KILN_NONE;
}

kiln_tensor kiln_onnx_handed_on(const struct kiln_onnx_writer *w, const kiln_node *n)
{
    if (!w->within && kiln_tensor_name(w->g, n->out[0])[0])
        return KILN_NONE;
    return is(n, "by_mode")         ? n->in[kiln_onnx_mode_input(w)]
           : is(n, "stop_gradient") ? n->in[0]
                                    : only_term(w, n);
}
