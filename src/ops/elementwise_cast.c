/* elementwise_cast.c - elements of one type as those of another. */
#include <string.h>

#include "ops/elementwise.h"

/* Four operators, by what the target is; params is its kiln_type. */
static kiln_status cast_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    memcpy(&out->type, n->params, sizeof out->type);
    return KILN_OK;
}

/* Whole numbers have no gradient. */
GRADIENT(cast)
{
    const kiln_type type = kiln_tensor_type(g, n->in[0]);
    dx[0] = kiln_type_is_real(type) ? kiln_cast(g, dy[0], type) : KILN_NONE;
}

#define CAST(name, pull, ...) OP_OF(name, cast_infer, pull, NULL, __VA_ARGS__)

#define ARITY 1
CAST(cast_real, cast_pull, .real = {ONE(COPY)}, .integer = {ONE(F_FROM_I)}, .natural = {ONE(F_FROM_U)});
CAST(cast_integer, no_pull, .real = {ONE(I_FROM_F)}, .integer = {ONE(COPY)});
CAST(cast_natural, no_pull, .real = {ONE(U_FROM_F)}, .integer = {ONE(COPY)});
CAST(cast_truth, no_pull, .real = {ONE(TRUTH_F)}, .integer = {ONE(TRUTH_I)}, .truth = true);
#undef ARITY

kiln_tensor kiln_cast(kiln_graph *g, kiln_tensor x, kiln_type type)
{
    if (!x.id || kiln_tensor_type(g, x) == type)
        return x;
    const kiln_op *op = type == KILN_BOOL             ? &kiln_op_cast_truth
                        : kiln_type_is_real(type)     ? &kiln_op_cast_real
                        : kiln_type_is_unsigned(type) ? &kiln_op_cast_natural
                                                      : &kiln_op_cast_integer;
    return kiln_append(g, op, &x, 1, &type, sizeof type);
}
