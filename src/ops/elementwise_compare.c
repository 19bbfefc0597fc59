/* elementwise_compare.c - comparison, logic, and the choice between two values. */
#include <math.h>

#include "ops/elementwise.h"

static kiln_status where_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_type condition = kiln_tensor_spec(g, n->in[0]).type;
    if (condition != KILN_BOOL)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "condition is %s, wanted bool",
                              kiln_type_name(condition));
    const kiln_status status = kiln_elementwise_type(g, n, 1, &out->type);
    return status ? status : kiln_elementwise_shape(g, n, &out->shape);
}

GRADIENT(where)
{
    const kiln_tensor zero = kiln_scalar_like(g, dy[0], 0);
    dx[1] = kiln_sum_to(g, kiln_where(g, n->in[0], dy[0], zero), n->in[1]);
    dx[2] = kiln_sum_to(g, kiln_where(g, n->in[0], zero, dy[0]), n->in[2]);
}

#define COMPARE(name, ...) OP(name, no_pull, .truth = true, __VA_ARGS__)
#define LOGIC(name, ...)   OP_OF(name, kiln_elementwise_infer_truth, no_pull, NULL, .truth = true, __VA_ARGS__)

#define ARITY 2
COMPARE(equal, .real = {TWO(EQUAL_F)}, .integer = {TWO(EQUAL_I)});
COMPARE(not_equal, .real = {TWO(NOT_EQUAL_F)}, .integer = {TWO(NOT_EQUAL_I)});
COMPARE(less, .real = {TWO(LESS_F)}, .integer = {TWO(LESS_I)}, .natural = {TWO(LESS_U)});
COMPARE(less_equal, .real = {TWO(LESS_EQUAL_F)}, .integer = {TWO(LESS_EQUAL_I)},
        .natural = {TWO(LESS_EQUAL_U)});
LOGIC(and, .integer = {TWO(AND)});
LOGIC(or, .integer = {TWO(OR)});
LOGIC(xor, .integer = {TWO(XOR)});
#undef ARITY

/* NaN is what does not equal itself. */
#define ARITY 1
LOGIC(not, .integer = {ONE(NOT)});
COMPARE(is_nan, .real = {ONE(NOT_EQUAL_F)});
COMPARE(is_infinite, .real = {ONE(INFINITE_F)});
#undef ARITY

#define ARITY 3
OP_OF(where, where_infer, where_pull, NULL, .integer = {KILN_STEP(KILN_STEP_WHERE, 0, 1, 2)});
#undef ARITY

BINARY(equal)
BINARY(not_equal)
BINARY(less)
BINARY(less_equal)
BINARY(and)
BINARY(or)
BINARY(xor)
UNARY(not )
UNARY(is_nan)

kiln_tensor kiln_is_infinite(kiln_graph *g, kiln_tensor x, int sign)
{
    if (sign == 0)
        return kiln_append_one(g, &kiln_op_is_infinite, x);
    return kiln_equal(g, x, kiln_scalar_like(g, x, sign < 0 ? -INFINITY : INFINITY));
}

kiln_tensor kiln_greater(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return kiln_less(g, b, a);
}

kiln_tensor kiln_greater_equal(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return kiln_less_equal(g, b, a);
}

kiln_tensor kiln_where(kiln_graph *g, kiln_tensor condition, kiln_tensor a, kiln_tensor b)
{
    return kiln_append_three(g, &kiln_op_where, condition, a, b);
}
