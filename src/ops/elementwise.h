/*
 * elementwise.h - how the families of elementwise operators (elementwise_*.c) are written: an operator is a row, OP(name,
 * gradient, steps ..), its builder another, UNARY(name) or BINARY(name).
 *
 * Define ARITY, the number of operands, around rows of OP.
 */
#ifndef KILN_OPS_ELEMENTWISE_H
#define KILN_OPS_ELEMENTWISE_H

#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/chain.h"
#include "ops/kernels.h"

/* Types and shapes --------------------------------------------------------------------------------------- */

/** Operands of one type that the operator has steps for; they broadcast. */
kiln_status kiln_elementwise_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out);
/** As above, for BOOL alone. */
kiln_status kiln_elementwise_infer_truth(kiln_graph *g, const kiln_node *n, kiln_spec *out);

/** The common type of the operands from `first` on, and the common shape of all. */
kiln_status kiln_elementwise_type(kiln_graph *g, const kiln_node *n, int first, kiln_type *out);
kiln_status kiln_elementwise_shape(kiln_graph *g, const kiln_node *n, kiln_shape *out);

/* Gradients ---------------------------------------------------------------------------------------------- */

#define GRADIENT(name) \
    static void name##_pull(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)

/** Leaves dx as it is, KILN_NONE: of what is constant piece by piece. */
static inline void no_pull(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

/** A scalar of a value's type. */
kiln_tensor kiln_scalar_like(kiln_graph *g, kiln_tensor like, double value);

/* Operators ---------------------------------------------------------------------------------------------- */

/* The step on register 0, or on 0 and 1, or on 0 and immediates. */
#define ONE(code) KILN_STEP(KILN_STEP_##code, 0, 0, 0)
#define TWO(code) KILN_STEP(KILN_STEP_##code, 0, 1, 0)
#define NUMBERS(code, b, c) \
    KILN_STEP(KILN_STEP_##code, 0, KILN_REGISTER_IMMEDIATE + (b), KILN_REGISTER_IMMEDIATE + (c))

#define OP(name_, grad_, ...) OP_OF(name_, kiln_elementwise_infer, grad_, NULL, __VA_ARGS__)
#define OP_OF(name_, infer_, grad_, fields_, ...)                           \
    const kiln_op kiln_op_##name_ = {                                       \
        .name = #name_,                                                     \
        .inputs = ARITY,                                                    \
        .outputs = 1,                                                       \
        .infer = infer_,                                                    \
        .grad = grad_,                                                      \
        .fields = fields_,                                                  \
        .lowerings = kiln_elementwise_lowerings,                            \
        .lowering_count = 1,                                                \
        .extra = &(const kiln_elementwise){.operands = ARITY, __VA_ARGS__}, \
    }

/* The function that builds the node. */
#define UNARY(name)                                       \
    kiln_tensor kiln_##name(kiln_graph *g, kiln_tensor x) \
    {                                                     \
        return kiln_append_one(g, &kiln_op_##name, x);    \
    }
#define BINARY(name)                                                     \
    kiln_tensor kiln_##name(kiln_graph *g, kiln_tensor a, kiln_tensor b) \
    {                                                                    \
        return kiln_append_two(g, &kiln_op_##name, a, b);                \
    }

/** Append an operator; KILN_NONE where an operand is. With numbers: its params are `count` doubles. */
kiln_tensor kiln_append_one(kiln_graph *g, const kiln_op *op, kiln_tensor x);
kiln_tensor kiln_append_two(kiln_graph *g, const kiln_op *op, kiln_tensor a, kiln_tensor b);
kiln_tensor kiln_append_three(kiln_graph *g, const kiln_op *op, kiln_tensor a, kiln_tensor b, kiln_tensor c);
kiln_tensor kiln_append_numbers(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                                const double *number, int count);

#endif
