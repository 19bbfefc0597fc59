/*
 * elementwise.c - y[i] = f(a[i], b[i], ..): what all elementwise operators have in common.
 *
 *   elementwise_arithmetic.c     sums, products, powers, extremes; integers and their bits
 *   elementwise_compare.c        comparison, logic, where
 *   elementwise_functions.c      functions of one real
 *   elementwise_activations.c    activations
 *   elementwise_gradients.c      their gradients, where these are steps of their own
 *   elementwise_cast.c           conversion
 *
 * Each operator is a chain of one or two steps (chain.h), so that the compiler can fuse any of them; what remains alone is
 * lowered as a chain as well. Operands broadcast; the gradients are composed of operators, and kiln_sum_to undoes the
 * broadcast.
 *
 * Lowering: src/ops/chain.c.   Tests: tests/ops/elementwise.c, tests/cpu/chain.c.
 */
#include "ops/elementwise.h"

/* Types and shapes --------------------------------------------------------------------------------------- */

kiln_status kiln_elementwise_shape(kiln_graph *g, const kiln_node *n, kiln_shape *out)
{
    *out = KILN_SCALAR;
    for (int i = 0; i < n->inputs; i++) {
        const kiln_shape next = kiln_tensor_spec(g, n->in[i]).shape;
        char a[96], b[96];
        kiln_graph_shape_text(g, out, a, sizeof a);
        if (!kiln_shape_broadcast(out, &next, out))
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%s and %s do not broadcast", a,
                                  kiln_graph_shape_text(g, &next, b, sizeof b));
    }
    return KILN_OK;
}

kiln_status kiln_elementwise_type(kiln_graph *g, const kiln_node *n, int first, kiln_type *out)
{
    *out = kiln_tensor_spec(g, n->in[first]).type;
    for (int i = first + 1; i < n->inputs; i++) {
        const kiln_type type = kiln_tensor_spec(g, n->in[i]).type;
        if (type != *out)
            return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operands are %s and %s, wanted one type",
                                  kiln_type_name(*out), kiln_type_name(type));
    }
    return KILN_OK;
}

kiln_status kiln_elementwise_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_elementwise *e = n->op->extra;
    kiln_type type;
    const kiln_status status = kiln_elementwise_type(g, n, 0, &type);
    if (status)
        return status;
    if (!kiln_elementwise_steps(e, type)[0])
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operand is %s, wanted %s", kiln_type_name(type),
                              e->integer[0] ? "an integer" : "a real type");
    if (type == KILN_BOOL && !e->truth)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operand is bool, wanted a number");
    out->type = e->truth ? KILN_BOOL : type;
    return kiln_elementwise_shape(g, n, &out->shape);
}

kiln_status kiln_elementwise_infer_truth(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    kiln_type type;
    const kiln_status status = kiln_elementwise_type(g, n, 0, &type);
    if (status)
        return status;
    if (type != KILN_BOOL)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operand is %s, wanted bool", kiln_type_name(type));
    out->type = KILN_BOOL;
    return kiln_elementwise_shape(g, n, &out->shape);
}

/* Building ----------------------------------------------------------------------------------------------- */

kiln_tensor kiln_scalar_like(kiln_graph *g, kiln_tensor like, double value)
{
    return like.id ? kiln_scalar(g, kiln_tensor_type(g, like), value) : KILN_NONE;
}

kiln_tensor kiln_append_one(kiln_graph *g, const kiln_op *op, kiln_tensor x)
{
    return x.id ? kiln_append(g, op, &x, 1, NULL, 0) : KILN_NONE;
}

kiln_tensor kiln_append_two(kiln_graph *g, const kiln_op *op, kiln_tensor a, kiln_tensor b)
{
    return a.id && b.id ? kiln_append(g, op, (const kiln_tensor[]){a, b}, 2, NULL, 0) : KILN_NONE;
}

kiln_tensor kiln_append_three(kiln_graph *g, const kiln_op *op, kiln_tensor a, kiln_tensor b, kiln_tensor c)
{
    const kiln_tensor in[] = {a, b, c};
    return a.id && b.id && c.id ? kiln_append(g, op, in, 3, NULL, 0) : KILN_NONE;
}

kiln_tensor kiln_append_numbers(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                                const double *number, int count)
{
    for (int i = 0; i < inputs; i++)
        if (!in[i].id)
            return KILN_NONE;
    return kiln_append(g, op, in, inputs, number, (size_t)count * sizeof *number);
}
