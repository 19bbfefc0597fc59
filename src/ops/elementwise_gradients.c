/*
 * elementwise_gradients.c - the gradients of activations that are a step of their own: dx = dy f'(a), where a is the activation's
 * x, or its y where that says enough.
 *
 * Each has a gradient itself: d, what flows back to dx, gives d f'(a) to dy, the same operator on d, and d dy f''(a) to a,
 * composed.
 */
#include "ops/elementwise.h"

/* What flows to dy: n on d. */
static kiln_tensor by_dy(kiln_graph *g, const kiln_node *n, kiln_tensor d)
{
    kiln_tensor in[3] = {n->in[0], d};
    for (int i = 2; i < n->inputs; i++)
        in[i] = n->in[i];
    return kiln_append(g, n->op, in, n->inputs, n->params, n->params_size);
}

/* Gradients: `a` and `product` = d dy ------------------------------------------------------------------------ */

#define SECOND(name)                                                                    \
    static kiln_tensor name##_bend(kiln_graph *g, const kiln_node *n, kiln_tensor a);   \
    GRADIENT(name)                                                                      \
    {                                                                                   \
        dx[1] = by_dy(g, n, dy[0]);                                                     \
        dx[0] = kiln_mul(g, kiln_mul(g, dy[0], n->in[1]), name##_bend(g, n, n->in[0])); \
    }                                                                                   \
    static kiln_tensor name##_bend(kiln_graph *g, const kiln_node *n, kiln_tensor a)

/* Of what is straight piece by piece. */
GRADIENT(straight)
{
    dx[1] = by_dy(g, n, dy[0]);
}

/* -2 y */
SECOND(tanh_grad)
{
    (void)n;
    return kiln_scale(g, a, -2);
}

/* 1 - 2 y */
SECOND(sigmoid_grad)
{
    (void)n;
    return kiln_shift(g, kiln_scale(g, a, -2), 1);
}

/* exp(-y) */
SECOND(softplus_grad)
{
    (void)n;
    return kiln_exp(g, kiln_neg(g, a));
}

/* -2 (1 - |y|) sign(y) = 2 (y - sign(y)) */
SECOND(softsign_grad)
{
    (void)n;
    return kiln_scale(g, kiln_sub(g, a, kiln_sign(g, a)), 2);
}

/* 1/3 within 3 of 0 */
SECOND(hard_swish_grad)
{
    (void)n;
    const kiln_tensor within = kiln_less(g, kiln_abs(g, a), kiln_scalar_like(g, a, 3));
    return kiln_scale(g, kiln_cast(g, within, kiln_tensor_type(g, a)), 1.0 / 3);
}

/* -2 x f'(x) */
SECOND(erf_grad)
{
    const kiln_tensor slope = kiln_append_two(g, n->op, a, kiln_ones_like(g, a));
    return kiln_scale(g, kiln_mul(g, a, slope), -2);
}

/* (2 - x^2) exp(-x^2 / 2) / sqrt(2 pi) */
SECOND(gelu_grad)
{
    (void)n;
    const kiln_tensor square = kiln_square(g, a);
    const kiln_tensor bell = kiln_scale(g, kiln_exp(g, kiln_scale(g, square, -0.5)), 0.3989422804014327);
    return kiln_mul(g, bell, kiln_shift(g, kiln_neg(g, square), 2));
}

/* For x sigmoid(v): s (1 - s) (2 v' + x (v'' + (1 - 2 s) v'^2)). */
static kiln_tensor gated_bend(kiln_graph *g, kiln_tensor x, kiln_tensor v, kiln_tensor first,
                              kiln_tensor second)
{
    const kiln_tensor s = kiln_sigmoid(g, v), turned = kiln_shift(g, kiln_neg(g, s), 1);
    const kiln_tensor down = kiln_shift(g, kiln_scale(g, s, -2), 1);
    kiln_tensor rest = kiln_mul(g, down, kiln_square(g, first));
    if (second.id)
        rest = kiln_add(g, rest, second);
    const kiln_tensor sum = kiln_add(g, kiln_scale(g, first, 2), kiln_mul(g, x, rest));
    return kiln_mul(g, kiln_mul(g, s, turned), sum);
}

/* v = k (x + c x^3) */
SECOND(gelu_tanh_grad)
{
    (void)n;
    const double k = 1.5957691216057308, c = 0.044715;
    const kiln_tensor square = kiln_square(g, a);
    const kiln_tensor v = kiln_mul(g, a, kiln_shift(g, kiln_scale(g, square, k * c), k));
    const kiln_tensor first = kiln_shift(g, kiln_scale(g, square, 3 * k * c), k);
    return gated_bend(g, a, v, first, kiln_scale(g, a, 6 * k * c));
}

/* v = alpha x */
SECOND(swish_grad)
{
    const double alpha = *(const double *)n->params;
    const kiln_tensor slope = kiln_scale(g, kiln_ones_like(g, a), alpha);
    return gated_bend(g, a, kiln_scale(g, a, alpha), slope, KILN_NONE);
}

/* With t = tanh(softplus(x)), s = sigmoid(x), w = (1 - t^2) s: w (2 + x (1 - s - 2 t s)). */
SECOND(mish_grad)
{
    (void)n;
    const kiln_tensor t = kiln_tanh(g, kiln_softplus(g, a)), s = kiln_sigmoid(g, a);
    const kiln_tensor w = kiln_mul(g, s, kiln_shift(g, kiln_neg(g, kiln_square(g, t)), 1));
    const kiln_tensor twice = kiln_shift(g, kiln_scale(g, t, 2), 1);
    const kiln_tensor bend = kiln_shift(g, kiln_neg(g, kiln_mul(g, s, twice)), 1);
    return kiln_mul(g, w, kiln_shift(g, kiln_mul(g, a, bend), 2));
}

/* y > 0 ? 1 : c y + a: its own slope is c below. */
GRADIENT(elu_slope)
{
    const kiln_tensor zero = kiln_scalar_like(g, dy[0], 0), above = kiln_less(g, zero, n->in[0]);
    dx[0] = kiln_where(g, above, zero, kiln_scale(g, dy[0], *(const double *)n->params));
}

/* x > 0 ? dy : slope dy, for each operand of its own. */
GRADIENT(prelu_grad)
{
    const kiln_tensor zero = kiln_scalar_like(g, dy[0], 0), above = kiln_less(g, zero, n->in[0]);
    const kiln_tensor below = kiln_where(g, above, zero, kiln_mul(g, dy[0], n->in[1]));
    dx[1] = kiln_sum_to(g, by_dy(g, n, dy[0]), n->in[1]);
    dx[2] = kiln_sum_to(g, below, n->in[2]);
}

/* Operators: register 0 is a, 1 is dy, 2 or an immediate the number ---------------------------------------- */

static const kiln_field number_field[] = {{"number", KILN_FIELD_REAL, 0, 1}, {0}};
static const kiln_field line_fields[] = {{"slope", KILN_FIELD_REAL, 0, 1},
                                         {"term", KILN_FIELD_REAL, sizeof(double), 1},
                                         {0}};

#define GRAD(name, pull, code) OP(name, pull, .real = {TWO(code)})
#define GRAD_OF(name, pull, code)                                            \
    OP_OF(name, kiln_elementwise_infer, pull, number_field, .immediates = 1, \
          .real = {KILN_STEP(KILN_STEP_##code, 0, 1, KILN_REGISTER_IMMEDIATE)})

#define ARITY 2
GRAD(relu_grad, straight_pull, RELU_GRAD_F);
GRAD(tanh_grad, tanh_grad_pull, TANH_GRAD_F);
GRAD(sigmoid_grad, sigmoid_grad_pull, SIGMOID_GRAD_F);
GRAD(softplus_grad, softplus_grad_pull, SOFTPLUS_GRAD_F);
GRAD(softsign_grad, softsign_grad_pull, SOFTSIGN_GRAD_F);
GRAD(hard_swish_grad, hard_swish_grad_pull, HARD_SWISH_GRAD_F);
GRAD(erf_grad, erf_grad_pull, ERF_GRAD_F);
GRAD(gelu_grad, gelu_grad_pull, GELU_GRAD_F);
GRAD(gelu_tanh_grad, gelu_tanh_grad_pull, GELU_TANH_GRAD_F);
GRAD(mish_grad, mish_grad_pull, MISH_GRAD_F);
GRAD_OF(swish_grad, swish_grad_pull, SILU_GRAD_F);
GRAD_OF(leaky_relu_grad, straight_pull, LEAKY_RELU_GRAD_F);
GRAD_OF(hard_sigmoid_grad, straight_pull, HARD_SIGMOID_GRAD_F);
GRAD_OF(threshold_grad, straight_pull, THRESHOLD_GRAD_F);
#undef ARITY

#define ARITY 1
OP_OF(elu_slope, kiln_elementwise_infer, elu_slope_pull, line_fields, .immediates = 2,
      .real = {NUMBERS(ELU_SLOPE_F, 0, 1)});
#undef ARITY

#define ARITY 3
OP(prelu_grad, prelu_grad_pull, .real = {KILN_STEP(KILN_STEP_LEAKY_RELU_GRAD_F, 0, 1, 2)});
#undef ARITY
