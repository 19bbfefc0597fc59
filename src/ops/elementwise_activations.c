/*
 * elementwise_activations.c - activations of networks, x to y.
 *
 * Where the derivative is known from y, the gradient takes y: x then need not be kept, and the activation may be the epilogue of
 * what computed x. Gradients of several steps are operators of their own (elementwise_gradients.c).
 */
#include "ops/elementwise.h"

/* Gradients ---------------------------------------------------------------------------------------------- */

GRADIENT(relu)
{
    dx[0] = kiln_append_two(g, &kiln_op_relu_grad, n->out[0], dy[0]);
}

GRADIENT(tanh)
{
    dx[0] = kiln_append_two(g, &kiln_op_tanh_grad, n->out[0], dy[0]);
}

GRADIENT(sigmoid)
{
    dx[0] = kiln_append_two(g, &kiln_op_sigmoid_grad, n->out[0], dy[0]);
}

GRADIENT(softplus)
{
    dx[0] = kiln_append_two(g, &kiln_op_softplus_grad, n->out[0], dy[0]);
}

GRADIENT(softsign)
{
    dx[0] = kiln_append_two(g, &kiln_op_softsign_grad, n->out[0], dy[0]);
}

GRADIENT(hard_swish)
{
    dx[0] = kiln_append_two(g, &kiln_op_hard_swish_grad, n->in[0], dy[0]);
}

GRADIENT(gelu)
{
    dx[0] = kiln_append_two(g, &kiln_op_gelu_grad, n->in[0], dy[0]);
}

GRADIENT(gelu_tanh)
{
    dx[0] = kiln_append_two(g, &kiln_op_gelu_tanh_grad, n->in[0], dy[0]);
}

GRADIENT(mish)
{
    dx[0] = kiln_append_two(g, &kiln_op_mish_grad, n->in[0], dy[0]);
}

GRADIENT(swish)
{
    dx[0] =
        kiln_append_numbers(g, &kiln_op_swish_grad, (const kiln_tensor[]){n->in[0], dy[0]}, 2, n->params, 1);
}

/* y is above 0 where x is, unless the slope is below. */
GRADIENT(leaky_relu)
{
    const double *slope = n->params;
    const kiln_tensor in[] = {*slope < 0 ? n->in[0] : n->out[0], dy[0]};
    dx[0] = kiln_append_numbers(g, &kiln_op_leaky_relu_grad, in, 2, slope, 1);
}

GRADIENT(prelu)
{
    const kiln_tensor x = n->in[0], slope = n->in[1];
    const kiln_tensor below = kiln_min(g, x, kiln_scalar_like(g, x, 0));
    dx[0] = kiln_sum_to(g, kiln_append_three(g, &kiln_op_prelu_grad, x, dy[0], slope), x);
    dx[1] = kiln_sum_to(g, kiln_mul(g, dy[0], below), slope);
}

/* From y: a (exp(c x) - 1) has the slope c (y + a), and 1 where y is above 0, unless a or c turn it around. */
GRADIENT(elu)
{
    const double *p = n->params, a = p[0], c = p[1];
    if (a >= 0 && c >= 0) {
        const kiln_tensor slope =
            kiln_append_numbers(g, &kiln_op_elu_slope, &n->out[0], 1, (const double[]){c, a * c}, 2);
        dx[0] = kiln_mul(g, dy[0], slope);
        return;
    }
    const kiln_tensor x = n->in[0], above = kiln_less(g, kiln_scalar_like(g, x, 0), x);
    const kiln_tensor below = kiln_scale(g, kiln_mul(g, dy[0], kiln_exp(g, kiln_scale(g, x, c))), a * c);
    dx[0] = kiln_where(g, above, dy[0], below);
}

GRADIENT(hard_sigmoid)
{
    const kiln_tensor in[] = {n->out[0], dy[0]};
    dx[0] = kiln_append_numbers(g, &kiln_op_hard_sigmoid_grad, in, 2, n->params, 1);
}

GRADIENT(thresholded_relu)
{
    const kiln_tensor in[] = {n->in[0], dy[0]};
    dx[0] = kiln_append_numbers(g, &kiln_op_threshold_grad, in, 2, n->params, 1);
}

GRADIENT(shrink)
{
    const kiln_tensor in[] = {kiln_abs(g, n->in[0]), dy[0]};
    dx[0] = kiln_append_numbers(g, &kiln_op_threshold_grad, in, 2, n->params, 1);
}

/* Of one value ------------------------------------------------------------------------------------------- */

#define ARITY 1
OP(relu, relu_pull, .real = {ONE(RELU_F)});
OP(tanh, tanh_pull, .real = {ONE(TANH_F)});
OP(sigmoid, sigmoid_pull, .real = {ONE(SIGMOID_F)});
OP(softplus, softplus_pull, .real = {ONE(SOFTPLUS_F)});
OP(softsign, softsign_pull, .real = {ONE(SOFTSIGN_F)});
OP(hard_swish, hard_swish_pull, .real = {ONE(HARD_SWISH_F)});
OP(gelu, gelu_pull, .real = {ONE(GELU_F)});
OP(gelu_tanh, gelu_tanh_pull, .real = {ONE(GELU_TANH_F)});
OP(mish, mish_pull, .real = {ONE(MISH_F)});
#undef ARITY

UNARY(relu)
UNARY(tanh)
UNARY(sigmoid)
UNARY(softplus)
UNARY(softsign)
UNARY(hard_swish)
UNARY(gelu)
UNARY(gelu_tanh)
UNARY(mish)

/* With numbers ------------------------------------------------------------------------------------------- */

static const kiln_field slope_field[] = {{"slope", KILN_FIELD_REAL, 0, 1}, {0}};
static const kiln_field alpha_field[] = {{"alpha", KILN_FIELD_REAL, 0, 1}, {0}};
static const kiln_field elu_fields[] = {{"alpha", KILN_FIELD_REAL, 0, 1},
                                        {"inner", KILN_FIELD_REAL, sizeof(double), 1},
                                        {0}};
static const kiln_field line_fields[] = {{"alpha", KILN_FIELD_REAL, 0, 1},
                                         {"beta", KILN_FIELD_REAL, sizeof(double), 1},
                                         {0}};
static const kiln_field shrink_fields[] = {{"edge", KILN_FIELD_REAL, 0, 1},
                                           {"bias", KILN_FIELD_REAL, sizeof(double), 1},
                                           {0}};

#define NUMBERED(name, fields, count, code)                                       \
    OP_OF(name, kiln_elementwise_infer, name##_pull, fields, .immediates = count, \
          .real = {NUMBERS(code, 0, (count)-1)})

#define ARITY 1
NUMBERED(leaky_relu, slope_field, 1, LEAKY_RELU_F);
NUMBERED(swish, alpha_field, 1, SILU_F);
NUMBERED(elu, elu_fields, 2, ELU_F);
NUMBERED(hard_sigmoid, line_fields, 2, HARD_SIGMOID_F);
NUMBERED(thresholded_relu, alpha_field, 1, THRESHOLD_F);
NUMBERED(shrink, shrink_fields, 2, SHRINK_F);
#undef ARITY

#define ARITY 2
OP(prelu, prelu_pull, .real = {TWO(LEAKY_RELU_F)});
#undef ARITY

BINARY(prelu)

static kiln_tensor with(kiln_graph *g, const kiln_op *op, kiln_tensor x, double number)
{
    return kiln_append_numbers(g, op, &x, 1, &number, 1);
}

static kiln_tensor with_two(kiln_graph *g, const kiln_op *op, kiln_tensor x, double first, double second)
{
    return kiln_append_numbers(g, op, &x, 1, (const double[]){first, second}, 2);
}

kiln_tensor kiln_leaky_relu(kiln_graph *g, kiln_tensor x, double slope)
{
    return with(g, &kiln_op_leaky_relu, x, slope);
}

kiln_tensor kiln_swish(kiln_graph *g, kiln_tensor x, double alpha)
{
    return with(g, &kiln_op_swish, x, alpha);
}

kiln_tensor kiln_silu(kiln_graph *g, kiln_tensor x)
{
    return kiln_swish(g, x, 1);
}

kiln_tensor kiln_elu(kiln_graph *g, kiln_tensor x, double alpha)
{
    return with_two(g, &kiln_op_elu, x, alpha, 1);
}

kiln_tensor kiln_celu(kiln_graph *g, kiln_tensor x, double alpha)
{
    return with_two(g, &kiln_op_elu, x, alpha, 1 / alpha);
}

kiln_tensor kiln_selu(kiln_graph *g, kiln_tensor x)
{
    return kiln_scale(g, kiln_elu(g, x, 1.6732632423543772), 1.0507009873554805);
}

kiln_tensor kiln_hard_sigmoid(kiln_graph *g, kiln_tensor x, double alpha, double beta)
{
    return with_two(g, &kiln_op_hard_sigmoid, x, alpha, beta);
}

kiln_tensor kiln_thresholded_relu(kiln_graph *g, kiln_tensor x, double alpha)
{
    return with(g, &kiln_op_thresholded_relu, x, alpha);
}

kiln_tensor kiln_shrink(kiln_graph *g, kiln_tensor x, double edge, double bias)
{
    return with_two(g, &kiln_op_shrink, x, edge, bias);
}
