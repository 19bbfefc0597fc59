/* elementwise_activations.c - activations of networks. */
#include "ops/elementwise.h"

/* 1 - y^2 */
GRADIENT(tanh)
{
    const kiln_tensor pull = kiln_mul(g, dy[0], kiln_square(g, n->out[0]));
    dx[0] = kiln_sub(g, dy[0], pull);
}

/* y (1 - y) */
GRADIENT(sigmoid)
{
    const kiln_tensor pull = kiln_mul(g, dy[0], n->out[0]);
    dx[0] = kiln_sub(g, pull, kiln_mul(g, pull, n->out[0]));
}

GRADIENT(softplus)
{
    dx[0] = kiln_mul(g, dy[0], kiln_sigmoid(g, n->in[0]));
}

GRADIENT(relu)
{
    dx[0] = kiln_append_two(g, &kiln_op_relu_grad, n->out[0], dy[0]);
}

GRADIENT(relu_grad)
{
    dx[1] = kiln_append_two(g, &kiln_op_relu_grad, n->in[0], dy[0]);
}

GRADIENT(leaky_relu)
{
    const double slope = *(const double *)n->params;
    const kiln_tensor above = kiln_less(g, kiln_scalar_like(g, dy[0], 0), n->in[0]);
    dx[0] = kiln_where(g, above, dy[0], kiln_scale(g, dy[0], slope));
}

/* Operators ---------------------------------------------------------------------------------------------- */

#define ARITY 1
OP(tanh, tanh_pull, .real = {ONE(TANH_F)});
OP(sigmoid, sigmoid_pull, .real = {ONE(SIGMOID_F)});
OP(softplus, softplus_pull, .real = {ONE(SOFTPLUS_F)});
OP(relu, relu_pull, .real = {ONE(RELU_F)});
#undef ARITY

#define ARITY 2
OP(relu_grad, relu_grad_pull, .real = {TWO(RELU_GRAD_F)});
#undef ARITY

UNARY(tanh)
UNARY(sigmoid)
UNARY(softplus)
UNARY(relu)

/* With numbers ------------------------------------------------------------------------------------------- */

static const kiln_field slope_field[] = {{"slope", KILN_FIELD_REAL, 0, 1}, {0}};

#define ARITY 1
OP_OF(leaky_relu, kiln_elementwise_infer, leaky_relu_pull, slope_field, .immediates = 1,
      .real = {NUMBERS(LEAKY_RELU_F, 0, 0)});
#undef ARITY

kiln_tensor kiln_leaky_relu(kiln_graph *g, kiln_tensor x, double slope)
{
    return kiln_append_numbers(g, &kiln_op_leaky_relu, &x, 1, &slope, 1);
}
