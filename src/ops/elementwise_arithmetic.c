/* elementwise_arithmetic.c - sums, products, powers, extremes; what a number does to a value; integers and their bits. */
#include <math.h>

#include "ops/elementwise.h"

/* Types -------------------------------------------------------------------------------------------------- */

/* Integers alone. */
static kiln_status bits_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_status status = kiln_elementwise_infer(g, n, out);
    if (!status && kiln_type_is_real(out->type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operand is %s, wanted an integer",
                              kiln_type_name(out->type));
    return status;
}

/* Gradients: a and b are the operands, y the result ------------------------------------------------------ */

GRADIENT(add)
{
    dx[0] = kiln_sum_to(g, dy[0], n->in[0]);
    dx[1] = kiln_sum_to(g, dy[0], n->in[1]);
}

GRADIENT(sub)
{
    dx[0] = kiln_sum_to(g, dy[0], n->in[0]);
    dx[1] = kiln_sum_to(g, kiln_neg(g, dy[0]), n->in[1]);
}

GRADIENT(mul)
{
    dx[0] = kiln_sum_to(g, kiln_mul(g, dy[0], n->in[1]), n->in[0]);
    dx[1] = kiln_sum_to(g, kiln_mul(g, dy[0], n->in[0]), n->in[1]);
}

/* (a / b)' = a' / b - b' y / b */
GRADIENT(div)
{
    const kiln_tensor pull = kiln_div(g, dy[0], n->in[1]);
    dx[0] = kiln_sum_to(g, pull, n->in[0]);
    dx[1] = kiln_sum_to(g, kiln_neg(g, kiln_mul(g, pull, n->out[0])), n->in[1]);
}

/* a - floor(a / b) b, and with the fraction dropped: the quotient does not move. */
GRADIENT(mod)
{
    const kiln_tensor a = n->in[0], b = n->in[1];
    const kiln_tensor quotient = kiln_round(g, kiln_div(g, kiln_sub(g, a, n->out[0]), b));
    dx[0] = kiln_sum_to(g, dy[0], a);
    dx[1] = kiln_sum_to(g, kiln_neg(g, kiln_mul(g, dy[0], quotient)), b);
}

/* To a where a wins, to b where `b_wins`. */
static void choose(kiln_graph *g, const kiln_node *n, kiln_tensor b_wins, kiln_tensor dy, kiln_tensor *dx)
{
    const kiln_tensor zero = kiln_scalar_like(g, dy, 0);
    dx[0] = kiln_sum_to(g, kiln_where(g, b_wins, zero, dy), n->in[0]);
    dx[1] = kiln_sum_to(g, kiln_where(g, b_wins, dy, zero), n->in[1]);
}

GRADIENT(max)
{
    choose(g, n, kiln_less(g, n->in[0], n->in[1]), dy[0], dx);
}

GRADIENT(min)
{
    choose(g, n, kiln_less(g, n->in[1], n->in[0]), dy[0], dx);
}

/* (a^b)' = a' b a^(b - 1) + b' y log(a); the first is 0 where b is, the second where a <= 0. */
GRADIENT(pow)
{
    const kiln_tensor a = n->in[0], b = n->in[1], zero = kiln_scalar_like(g, dy[0], 0);
    const kiln_tensor slope = kiln_mul(g, b, kiln_pow(g, a, kiln_shift(g, b, -1)));
    const kiln_tensor by_a = kiln_where(g, kiln_equal(g, b, zero), zero, slope);
    const kiln_tensor by_b =
        kiln_where(g, kiln_less(g, zero, a), kiln_mul(g, n->out[0], kiln_log(g, a)), zero);
    dx[0] = kiln_sum_to(g, kiln_mul(g, dy[0], by_a), a);
    dx[1] = kiln_sum_to(g, kiln_mul(g, dy[0], by_b), b);
}

GRADIENT(neg)
{
    (void)n;
    dx[0] = kiln_neg(g, dy[0]);
}

GRADIENT(abs)
{
    dx[0] = kiln_mul(g, dy[0], kiln_sign(g, n->in[0]));
}

GRADIENT(square)
{
    dx[0] = kiln_scale(g, kiln_mul(g, dy[0], n->in[0]), 2);
}

GRADIENT(reciprocal)
{
    dx[0] = kiln_neg(g, kiln_mul(g, dy[0], kiln_square(g, n->out[0])));
}

GRADIENT(clip)
{
    const kiln_tensor inside = kiln_append_numbers(g, &kiln_op_inside, n->in, 1, n->params, 2);
    dx[0] = kiln_where(g, inside, dy[0], kiln_scalar_like(g, dy[0], 0));
}

GRADIENT(scale)
{
    dx[0] = kiln_scale(g, dy[0], *(const double *)n->params);
}

GRADIENT(shift)
{
    (void)g, (void)n;
    dx[0] = dy[0];
}

/* Two operands ------------------------------------------------------------------------------------------- */

#define BITS(name, ...) OP_OF(name, bits_infer, no_pull, NULL, .integer = __VA_ARGS__)

#define ARITY 2
OP(add, add_pull, .real = {TWO(ADD_F)}, .integer = {TWO(ADD_I)});
OP(sub, sub_pull, .real = {TWO(SUB_F)}, .integer = {TWO(SUB_I)});
OP(mul, mul_pull, .real = {TWO(MUL_F)}, .integer = {TWO(MUL_I)});
OP(div, div_pull, .real = {TWO(DIV_F)}, .integer = {TWO(DIV_I)}, .natural = {TWO(DIV_U)});
OP(mod, mod_pull, .real = {TWO(MOD_F)}, .integer = {TWO(MOD_I)}, .natural = {TWO(MOD_U)});
OP(fmod, mod_pull, .real = {TWO(REST_F)}, .integer = {TWO(REST_I)}, .natural = {TWO(MOD_U)});
OP(max, max_pull, .real = {TWO(MAX_F)}, .integer = {TWO(MAX_I)}, .natural = {TWO(MAX_U)});
OP(min, min_pull, .real = {TWO(MIN_F)}, .integer = {TWO(MIN_I)}, .natural = {TWO(MIN_U)});
OP(pow, pow_pull, .real = {TWO(POW_F)}, .integer = {TWO(POW_I)});
BITS(bit_and, {TWO(BIT_AND)});
BITS(bit_or, {TWO(BIT_OR)});
BITS(bit_xor, {TWO(BIT_XOR)});
BITS(shift_left, {TWO(SHIFT_LEFT)});
BITS(shift_right, {TWO(SHIFT_RIGHT_I)}, .natural = {TWO(SHIFT_RIGHT_U)});
#undef ARITY

BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(mod)
BINARY(fmod)
BINARY(max)
BINARY(min)
BINARY(bit_and)
BINARY(bit_or)
BINARY(bit_xor)
BINARY(shift_left)
BINARY(shift_right)

/* Powers of narrow integers are those of wide ones, wrapped: the step is a long one, behind which no other stands. */
kiln_tensor kiln_pow(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    const kiln_type type = kiln_tensor_type(g, a);
    if (kiln_type_is_real(type) || type == KILN_BOOL || kiln_type_size(type) > 2 || !a.id)
        return kiln_append_two(g, &kiln_op_pow, a, b);
    return kiln_cast(g, kiln_pow(g, kiln_cast(g, a, KILN_I32), kiln_cast(g, b, KILN_I32)), type);
}

/* One operand -------------------------------------------------------------------------------------------- */

#define ARITY 1
OP(neg, neg_pull, .real = {ONE(NEG_F)}, .integer = {ONE(NEG_I)});
OP(abs, abs_pull, .real = {ONE(ABS_F)}, .integer = {ONE(ABS_I)}, .natural = {ONE(COPY)});
OP(sign, no_pull, .real = {ONE(SIGN_F)}, .integer = {ONE(SIGN_I)}, .natural = {ONE(TRUTH_I)});
OP(square, square_pull, .real = {ONE(MUL_F)}, .integer = {ONE(MUL_I)});
OP(reciprocal, reciprocal_pull, .real = {ONE(RECIPROCAL_F)});
BITS(bit_not, {ONE(BIT_NOT)});
#undef ARITY

UNARY(neg)
UNARY(abs)
UNARY(sign)
UNARY(square)
UNARY(reciprocal)
UNARY(bit_not)

/* With numbers ------------------------------------------------------------------------------------------- */

static const kiln_field bounds_field[] = {{"low", KILN_FIELD_REAL, 0, 1},
                                          {"high", KILN_FIELD_REAL, sizeof(double), 1},
                                          {0}};
static const kiln_field factor_field[] = {{"factor", KILN_FIELD_REAL, 0, 1}, {0}};
static const kiln_field term_field[] = {{"term", KILN_FIELD_REAL, 0, 1}, {0}};

#define ARITY 1
OP_OF(clip, kiln_elementwise_infer, clip_pull, bounds_field, .immediates = 2, .real = {NUMBERS(CLIP_F, 0, 1)},
      .integer = {NUMBERS(CLIP_I, 0, 1)}, .natural = {NUMBERS(CLIP_U, 0, 1)});
OP_OF(inside, kiln_elementwise_infer, no_pull, bounds_field, .immediates = 2,
      .real = {NUMBERS(INSIDE_F, 0, 1)}, .truth = true);
OP_OF(scale, kiln_elementwise_infer, scale_pull, factor_field, .immediates = 1,
      .real = {NUMBERS(MUL_F, 0, 0)});
OP_OF(shift, kiln_elementwise_infer, shift_pull, term_field, .immediates = 1, .real = {NUMBERS(ADD_F, 0, 0)});
#undef ARITY

/* Bounds of an integer are whole numbers of its storage. */
kiln_tensor kiln_clip(kiln_graph *g, kiln_tensor x, double low, double high)
{
    if (!x.id)
        return KILN_NONE;
    const kiln_type type = kiln_tensor_type(g, x);
    if (!kiln_type_is_real(type)) {
        const double least = kiln_type_is_unsigned(type) ? 0 : INT32_MIN;
        const double most = kiln_type_is_unsigned(type) ? UINT32_MAX : INT32_MAX;
        low = fmin(fmax(ceil(low), least), most);
        high = fmin(fmax(floor(high), least), most);
    }
    return kiln_append_numbers(g, &kiln_op_clip, &x, 1, (const double[]){low, high}, 2);
}

kiln_tensor kiln_scale(kiln_graph *g, kiln_tensor x, double factor)
{
    return kiln_append_numbers(g, &kiln_op_scale, &x, 1, &factor, 1);
}

kiln_tensor kiln_shift(kiln_graph *g, kiln_tensor x, double term)
{
    return kiln_append_numbers(g, &kiln_op_shift, &x, 1, &term, 1);
}

/* Of many ------------------------------------------------------------------------------------------------ */

static kiln_tensor of_many(kiln_graph *g, const kiln_op *op, const kiln_tensor *x, int count)
{
    if (count < 1) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "%s of %d values, wanted at least one", op->name, count);
        return KILN_NONE;
    }
    kiln_tensor y = x[0];
    for (int i = 1; i < count; i++)
        y = kiln_append_two(g, op, y, x[i]);
    return y;
}

kiln_tensor kiln_add_all(kiln_graph *g, const kiln_tensor *x, int count)
{
    return of_many(g, &kiln_op_add, x, count);
}

kiln_tensor kiln_mean_all(kiln_graph *g, const kiln_tensor *x, int count)
{
    return kiln_scale(g, of_many(g, &kiln_op_add, x, count), 1.0 / count);
}

kiln_tensor kiln_max_all(kiln_graph *g, const kiln_tensor *x, int count)
{
    return of_many(g, &kiln_op_max, x, count);
}

kiln_tensor kiln_min_all(kiln_graph *g, const kiln_tensor *x, int count)
{
    return of_many(g, &kiln_op_min, x, count);
}
