/* elementwise_functions.c - functions of one real: exponential, logarithm, roots, trigonometric, hyperbolic, rounding; atan2. */
#include "ops/elementwise.h"

/* Gradients: x is the operand, y the result -------------------------------------------------------------- */

GRADIENT(exp)
{
    dx[0] = kiln_mul(g, dy[0], n->out[0]);
}

GRADIENT(expm1)
{
    dx[0] = kiln_mul(g, dy[0], kiln_shift(g, n->out[0], 1));
}

GRADIENT(log)
{
    dx[0] = kiln_div(g, dy[0], n->in[0]);
}

GRADIENT(log1p)
{
    dx[0] = kiln_div(g, dy[0], kiln_shift(g, n->in[0], 1));
}

GRADIENT(sqrt)
{
    dx[0] = kiln_scale(g, kiln_div(g, dy[0], n->out[0]), 0.5);
}

/* -1/2 y^3 */
GRADIENT(rsqrt)
{
    const kiln_tensor cube = kiln_mul(g, kiln_square(g, n->out[0]), n->out[0]);
    dx[0] = kiln_scale(g, kiln_mul(g, dy[0], cube), -0.5);
}

GRADIENT(erf)
{
    dx[0] = kiln_append_two(g, &kiln_op_erf_grad, n->in[0], dy[0]);
}

GRADIENT(sin)
{
    dx[0] = kiln_mul(g, dy[0], kiln_cos(g, n->in[0]));
}

GRADIENT(cos)
{
    dx[0] = kiln_neg(g, kiln_mul(g, dy[0], kiln_sin(g, n->in[0])));
}

/* 1 + y^2 */
GRADIENT(tan)
{
    dx[0] = kiln_mul(g, dy[0], kiln_shift(g, kiln_square(g, n->out[0]), 1));
}

/* sign x^2 + term */
static kiln_tensor parabola(kiln_graph *g, kiln_tensor x, double sign, double term)
{
    return kiln_shift(g, kiln_scale(g, kiln_square(g, x), sign), term);
}

/* 1 / sqrt(1 - x^2) */
GRADIENT(asin)
{
    dx[0] = kiln_mul(g, dy[0], kiln_rsqrt(g, parabola(g, n->in[0], -1, 1)));
}

GRADIENT(acos)
{
    dx[0] = kiln_neg(g, kiln_mul(g, dy[0], kiln_rsqrt(g, parabola(g, n->in[0], -1, 1))));
}

/* 1 / (1 + x^2) */
GRADIENT(atan)
{
    dx[0] = kiln_div(g, dy[0], parabola(g, n->in[0], 1, 1));
}

/* Of the angle of (x, y): x / (x^2 + y^2) by y, -y / (x^2 + y^2) by x. */
GRADIENT(atan2)
{
    const kiln_tensor y = n->in[0], x = n->in[1];
    const kiln_tensor pull = kiln_div(g, dy[0], kiln_add(g, kiln_square(g, x), kiln_square(g, y)));
    dx[0] = kiln_sum_to(g, kiln_mul(g, pull, x), y);
    dx[1] = kiln_sum_to(g, kiln_neg(g, kiln_mul(g, pull, y)), x);
}

GRADIENT(sinh)
{
    dx[0] = kiln_mul(g, dy[0], kiln_cosh(g, n->in[0]));
}

GRADIENT(cosh)
{
    dx[0] = kiln_mul(g, dy[0], kiln_sinh(g, n->in[0]));
}

GRADIENT(asinh)
{
    dx[0] = kiln_mul(g, dy[0], kiln_rsqrt(g, parabola(g, n->in[0], 1, 1)));
}

GRADIENT(acosh)
{
    dx[0] = kiln_mul(g, dy[0], kiln_rsqrt(g, parabola(g, n->in[0], 1, -1)));
}

GRADIENT(atanh)
{
    dx[0] = kiln_div(g, dy[0], parabola(g, n->in[0], -1, 1));
}

/* Operators ---------------------------------------------------------------------------------------------- */

#define ARITY 1
OP(exp, exp_pull, .real = {ONE(EXP_F)});
OP(expm1, expm1_pull, .real = {ONE(EXPM1_F)});
OP(log, log_pull, .real = {ONE(LOG_F)});
OP(log1p, log1p_pull, .real = {ONE(LOG1P_F)});
OP(sqrt, sqrt_pull, .real = {ONE(SQRT_F)});
OP(rsqrt, rsqrt_pull, .real = {ONE(RSQRT_F)});
OP(erf, erf_pull, .real = {ONE(ERF_F)});
OP(sin, sin_pull, .real = {ONE(SIN_F)});
OP(cos, cos_pull, .real = {ONE(COS_F)});
OP(tan, tan_pull, .real = {ONE(TAN_F)});
OP(asin, asin_pull, .real = {ONE(ASIN_F)});
OP(acos, acos_pull, .real = {ONE(ACOS_F)});
OP(atan, atan_pull, .real = {ONE(ATAN_F)});
OP(sinh, sinh_pull, .real = {ONE(SINH_F)});
OP(cosh, cosh_pull, .real = {ONE(COSH_F)});
OP(asinh, asinh_pull, .real = {ONE(ASINH_F)});
OP(acosh, acosh_pull, .real = {ONE(ACOSH_F)});
OP(atanh, atanh_pull, .real = {ONE(ATANH_F)});
OP(floor, no_pull, .real = {ONE(FLOOR_F)});
OP(ceil, no_pull, .real = {ONE(CEIL_F)});
OP(round, no_pull, .real = {ONE(ROUND_F)});
OP(trunc, no_pull, .real = {ONE(TRUNC_F)});
#undef ARITY

#define ARITY 2
OP(atan2, atan2_pull, .real = {TWO(ATAN2_F)});
#undef ARITY

UNARY(exp)
UNARY(expm1)
UNARY(log)
UNARY(log1p)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(erf)
UNARY(sin)
UNARY(cos)
UNARY(tan)
UNARY(asin)
UNARY(acos)
UNARY(atan)
BINARY(atan2)
UNARY(sinh)
UNARY(cosh)
UNARY(asinh)
UNARY(acosh)
UNARY(atanh)
UNARY(floor)
UNARY(ceil)
UNARY(round)
UNARY(trunc)
