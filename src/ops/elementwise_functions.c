/* elementwise_functions.c - functions of one real: exponential, logarithm, roots, trigonometric, rounding. */
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

GRADIENT(sin)
{
    dx[0] = kiln_mul(g, dy[0], kiln_cos(g, n->in[0]));
}

GRADIENT(cos)
{
    dx[0] = kiln_neg(g, kiln_mul(g, dy[0], kiln_sin(g, n->in[0])));
}

/* Operators ---------------------------------------------------------------------------------------------- */

#define ARITY 1
OP(exp, exp_pull, .real = {ONE(EXP_F)});
OP(expm1, expm1_pull, .real = {ONE(EXPM1_F)});
OP(log, log_pull, .real = {ONE(LOG_F)});
OP(log1p, log1p_pull, .real = {ONE(LOG1P_F)});
OP(sqrt, sqrt_pull, .real = {ONE(SQRT_F)});
OP(rsqrt, rsqrt_pull, .real = {ONE(RSQRT_F)});
OP(sin, sin_pull, .real = {ONE(SIN_F)});
OP(cos, cos_pull, .real = {ONE(COS_F)});
OP(floor, no_pull, .real = {ONE(FLOOR_F)});
OP(ceil, no_pull, .real = {ONE(CEIL_F)});
OP(round, no_pull, .real = {ONE(ROUND_F)});
OP(trunc, no_pull, .real = {ONE(TRUNC_F)});
#undef ARITY

UNARY(exp)
UNARY(expm1)
UNARY(log)
UNARY(log1p)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(sin)
UNARY(cos)
UNARY(floor)
UNARY(ceil)
UNARY(round)
UNARY(trunc)
