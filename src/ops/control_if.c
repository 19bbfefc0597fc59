/*
 * control_if.c - one of two bodies.
 *
 * The gradient is a branch too, by the same condition: in each, the branch's body is computed again and differentiated.
 *
 * Lowering: src/compiler/control.c.   Tests: tests/ops/control.c.
 */
#include <string.h>

#include <kiln/ops.h>

#include "ops/control.h"
#include "ops/kernels.h"

/* The operator ------------------------------------------------------------------------------------------- */

static int if_outputs(const void *params)
{
    return ((const struct kiln_if_node *)params)->then->output.count;
}

static const kiln_graph *if_body(const void *params, int index)
{
    const struct kiln_if_node *p = params;
    return index == 0 ? p->then : index == 1 ? p->otherwise : NULL;
}

static kiln_status infer_branch(kiln_graph *g, const kiln_node *n, const kiln_graph *body, kiln_spec *out)
{
    struct kiln_sizes s;
    kiln_status status = KILN_OK;
    if (!kiln_sizes_begin(&s, g, body))
        return KILN_ERROR_MEMORY;
    for (int i = 1; i < n->inputs && !status; i++) {
        const kiln_spec got = kiln_tensor_spec(g, n->in[i]);
        status = kiln_body_bind(&s, n, i - 1, &got);
    }
    for (int i = 0; i < body->output.count && !status; i++)
        out[i] = kiln_body_output_spec(&s, i);
    kiln_sizes_finish(&s);
    return status;
}

static kiln_status if_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_if_node *p = n->params;
    const int outputs = p->then->output.count;
    const kiln_spec condition = kiln_tensor_spec(g, n->in[0]);
    kiln_spec *other = kiln_arena_alloc(&g->arena, (size_t)(outputs + 1) * sizeof *other);
    char a[96], b[96];
    if (!other)
        return KILN_ERROR_MEMORY;
    if (condition.type != KILN_BOOL || condition.shape.rank)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "the condition is %s %s, wanted a bool scalar",
                              kiln_type_name(condition.type),
                              kiln_graph_shape_text(g, &condition.shape, a, sizeof a));
    kiln_status status = infer_branch(g, n, p->then, out);
    if (!status)
        status = infer_branch(g, n, p->otherwise, other);
    for (int i = 0; i < outputs && !status; i++)
        if (out[i].type != other[i].type || !kiln_shape_equal(&out[i].shape, &other[i].shape))
            status =
                kiln_node_fail(g, n, KILN_ERROR_SHAPE, "output %d is %s %s of \"%s\", and %s %s of \"%s\"", i,
                               kiln_type_name(out[i].type),
                               kiln_graph_shape_text(g, &out[i].shape, a, sizeof a), p->then->name,
                               kiln_type_name(other[i].type),
                               kiln_graph_shape_text(g, &other[i].shape, b, sizeof b), p->otherwise->name);
    return status;
}

/* The gradient ------------------------------------------------------------------------------------------- */

/* The body that gives the gradients by the inputs x (of the node; count), from the inputs and from a gradient of each output that
 * has one. */
static kiln_graph *branch_gradient(kiln_graph *g, const kiln_node *n, const kiln_graph *body,
                                   const kiln_tensor *dy, const int *x, int count)
{
    kiln_graph *back = kiln_graph_alike(g, body);
    const int inputs = body->input.count, outputs = body->output.count;
    kiln_tensor *in =
        kiln_arena_alloc(&g->arena, (size_t)(inputs + 2 * outputs + 2 * count + 1) * sizeof *in);
    if (!back || !in) {
        kiln_graph_destroy(&back);
        return NULL;
    }
    kiln_tensor *y = in + inputs, *seed = y + outputs, *by = seed + outputs, *dx = by + count;
    for (int i = 0; i < inputs; i++) {
        const kiln_spec spec = kiln_tensor_spec(body, body->input.data[i]);
        in[i] = kiln_body_input(back, &spec, true);
    }
    for (int i = 0; i < outputs; i++) {
        const kiln_spec spec = kiln_tensor_spec(body, body->output.data[i]);
        seed[i] = dy[i].id ? kiln_body_input(back, &spec, true) : KILN_NONE;
    }
    for (int i = 0; i < count; i++)
        by[i] = in[x[i] - 1];
    kiln_call(back, body, in, y);
    kiln_gradients(back, y, seed, outputs, by, count, dx);
    bool whole = true;
    for (int i = 0; i < count && whole; i++)
        whole = kiln_vec_push(&back->output, dx[i].id ? dx[i] : kiln_zeros_like(back, by[i]));
    if (!back->status && whole)
        return back;
    kiln_node_fail(g, n, back->status ? back->status : KILN_ERROR_MEMORY, "the gradient of body \"%s\": %s",
                   body->name, whole ? kiln_graph_error(back) : "out of memory");
    kiln_graph_destroy(&back);
    return NULL;
}

static void if_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct kiln_if_node *p = n->params;
    kiln_tensor *in = kiln_arena_alloc(&g->arena, (size_t)(n->inputs + n->outputs) * sizeof *in);
    int *x = kiln_arena_alloc(&g->arena, (size_t)n->inputs * sizeof *x), count = 0, inputs = n->inputs;
    if (!in || !x) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "if: out of memory");
        return;
    }
    for (int i = 1; i < n->inputs; i++)
        if (kiln_gradient_wanted(g, n->in[i]) && kiln_type_is_real(kiln_tensor_type(g, n->in[i])))
            x[count++] = i;
    memcpy(in, n->in, (size_t)n->inputs * sizeof *in);
    for (int i = 0; i < n->outputs; i++)
        if (dy[i].id)
            in[inputs++] = dy[i];
    kiln_graph *then = count ? branch_gradient(g, n, p->then, dy, x, count) : NULL;
    kiln_graph *otherwise = then ? branch_gradient(g, n, p->otherwise, dy, x, count) : NULL;
    if (otherwise) {
        const struct kiln_if_node back = {then, otherwise};
        const kiln_tensor node = kiln_append(g, &kiln_op_if, in, inputs, &back, sizeof back);
        for (int i = 0; i < count && node.id; i++)
            dx[x[i]] = kiln_node_output(g, node, i);
    }
    kiln_graph_destroy(&then);
    kiln_graph_destroy(&otherwise);
}

const kiln_op kiln_op_if = {
    .name = "if",
    .inputs = 1,
    .output_count = if_outputs,
    .infer = if_infer,
    .grad = if_grad,
    .body = if_body,
};

/* The builder -------------------------------------------------------------------------------------------- */

/* Both take the same and give the same, effects included. */
static bool alike(kiln_graph *g, const kiln_graph *then, const kiln_graph *otherwise)
{
    bool same = then->input.count == otherwise->input.count && then->output.count == otherwise->output.count;
    if (!same)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                        "if: \"%s\" has %d inputs and %d outputs, \"%s\" has %d and %d", then->name,
                        then->input.count, then->output.count, otherwise->name, otherwise->input.count,
                        otherwise->output.count);
    for (int i = 0; same && i < then->output.count; i++)
        if (kiln_is_effect(then, then->output.data[i]) !=
            kiln_is_effect(otherwise, otherwise->output.data[i])) {
            kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                            "if: output %d is an effect of one of \"%s\" and \"%s\" only", i, then->name,
                            otherwise->name);
            same = false;
        }
    if (same && !then->output.count)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "if: the body \"%s\" has no outputs", then->name);
    return !g->status;
}

static kiln_tensor append(kiln_graph *g, kiln_tensor condition, const kiln_graph *then,
                          const kiln_graph *otherwise, const kiln_tensor *given, const kiln_captures *list)
{
    const int before = then->input.count, count = before + list->count;
    kiln_tensor *in = kiln_arena_alloc(&g->arena, (size_t)(count + 1) * sizeof *in);
    struct kiln_if_node p = {0};
    kiln_graph *a = in ? kiln_body_close(g, then, before, list) : NULL;
    kiln_graph *b = a ? kiln_body_close(g, otherwise, before, list) : NULL;
    kiln_tensor t = KILN_NONE;
    if (b) {
        in[0] = condition;
        kiln_captures_inputs(list, given, before, before, in + 1);
        p.then = a;
        p.otherwise = b;
        t = kiln_append(g, &kiln_op_if, in, count + 1, &p, sizeof p);
    }
    kiln_graph_destroy(&a);
    kiln_graph_destroy(&b);
    return t;
}

void kiln_if(kiln_graph *g, kiln_tensor condition, const kiln_graph *then, const kiln_graph *otherwise,
             const kiln_tensor *in, kiln_tensor *out)
{
    kiln_captures list = {0};
    for (int i = 0; i < then->output.count; i++)
        out[i] = KILN_NONE;
    if (!kiln_body_fits(g, "if", then) || !kiln_body_fits(g, "if", otherwise) || !alike(g, then, otherwise))
        return;
    kiln_capture_leaves(g, then, &list);
    kiln_capture_leaves(g, otherwise, &list);
    const kiln_tensor node = g->status ? KILN_NONE : append(g, condition, then, otherwise, in, &list);
    const int values = kiln_body_values(then);
    for (int i = 0, at = 0; i < then->output.count && node.id; i++)
        if (!kiln_is_effect(then, then->output.data[i]))
            out[i] = kiln_node_output(g, node, at++);
    if (node.id)
        kiln_captures_assign(g, then, &list, node, values, out);
    kiln_vec_finish(&list);
}
