/* cases_elementwise.c - what maps each element: one operand, two that broadcast, three. */
#include "check/families.h"

/* One operand --------------------------------------------------------------------------------------------- */

static void unary(struct check_graph *c)
{
    check_result(c, c->one->op->call.unary(c->g, check_operand(c, check_shape_of(c))));
}

#define UNARY(op, types_, low_, high_)                                                                 \
    {                                                                                                  \
        .name = #op, .types = types_, .shapes = check_shapes, .build = unary, .call.unary = kiln_##op, \
        .low = low_, .high = high_                                                                     \
    }

/* Quarters, which halves hold too: what is rounded to a whole number is the same in every precision. */
static void quarters(struct check_graph *c)
{
    const kiln_tensor whole = kiln_cast(c->g, check_whole(c, check_shape_of(c), -13, 14), c->type);
    check_result(c, c->one->op->call.unary(c->g, kiln_scale(c->g, whole, 0.25)));
}

#define QUARTERS(op)                                                                  \
    {                                                                                 \
        .name = #op, .types = CHECK_REALS, .shapes = check_shapes, .build = quarters, \
        .call.unary = kiln_##op                                                       \
    }

/* With numbers: those of the attributes are thousandths. */
static double number(const struct check_graph *c, int i)
{
    return (double)c->a[i] / 1000;
}

static const struct check_attributes bounds[] = {
    {"-0.5,1", {-500, 1000}}, {"low=0", {0, 1000000}}, {"high=1.5", {-1000000, 1500}}, {0}};
static const struct check_attributes numbers[] = {{"3", {3000}}, {"-2", {-2000}}, {0}};
static const struct check_attributes slopes[] = {{"0.1", {100}}, {"-0.5", {-500}}, {0}};
static const struct check_attributes edges[] = {
    {"0.5,0", {500, 0}}, {"0.5,0.5", {500, 500}}, {"1,-1", {1000, -1000}}, {0}};
static const struct check_attributes lines[] = {{"0.2,0.5", {200, 500}}, {"1,0", {1000, 0}}, {0}};
static const struct check_attributes alphas[] = {{"1", {1000}}, {"0.7", {700}}, {"2", {2000}}, {0}};

static void clip(struct check_graph *c)
{
    check_result(c, kiln_clip(c->g, check_operand(c, check_shape_of(c)), number(c, 0), number(c, 1)));
}

static void with_number(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, c->one->op->call.with_number(c->g, x, number(c, 0)));
}

static void with_numbers(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, c->one->op->call.with_numbers(c->g, x, number(c, 0), number(c, 1)));
}

#define NUMBER(op, attributes_, low_, high_)                                                  \
    {                                                                                         \
        .name = #op, .types = CHECK_REALS, .shapes = check_shapes, .attributes = attributes_, \
        .build = with_number, .call.with_number = kiln_##op, .low = low_, .high = high_       \
    }
#define NUMBERS(op, attributes_, low_, high_)                                                 \
    {                                                                                         \
        .name = #op, .types = CHECK_REALS, .shapes = check_shapes, .attributes = attributes_, \
        .build = with_numbers, .call.with_numbers = kiln_##op, .low = low_, .high = high_     \
    }

static const struct check_attributes signs[] = {{"any", {0}}, {"above", {1}}, {"below", {-1}}, {0}};

/* Infinite are the reciprocals of zeros. */
static void is_infinite(struct check_graph *c)
{
    const kiln_tensor whole = kiln_trunc(c->g, check_operand(c, check_shape_of(c)));
    check_result(c, kiln_is_infinite(c->g, kiln_reciprocal(c->g, whole), (int)c->a[0]));
}

static void is_nan(struct check_graph *c)
{
    const kiln_tensor whole = kiln_trunc(c->g, check_operand(c, check_shape_of(c)));
    check_result(c, kiln_is_nan(c->g, kiln_div(c->g, whole, whole)));
}

/* a: the type */
static const struct check_attributes to_types[] = {
    {"to=f32", {KILN_F32}}, {"to=f16", {KILN_F16}}, {"to=bf16", {KILN_BF16}}, {"to=i64", {KILN_I64}},
    {"to=i32", {KILN_I32}}, {"to=i16", {KILN_I16}}, {"to=i8", {KILN_I8}},     {"to=u32", {KILN_U32}},
    {"to=u16", {KILN_U16}}, {"to=u8", {KILN_U8}},   {"to=bool", {KILN_BOOL}}, {0},
};

static bool to_another(const struct check_case *one)
{
    return one->a[0] != (int64_t)one->type;
}

/* Words as reals are words again: small ones are subnormal as reals. */
static void bitcast(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    const kiln_tensor y = kiln_bitcast(c->g, x, c->type == KILN_F32 ? KILN_I32 : KILN_F32);
    check_result(c, c->type == KILN_F32 ? y : kiln_bitcast(c->g, y, c->type));
}

static void cast(struct check_graph *c)
{
    check_result(c, kiln_cast(c->g, check_operand(c, check_shape_of(c)), (kiln_type)c->a[0]));
}

/* Two operands -------------------------------------------------------------------------------------------- */

/* Three axes. */
static const struct check_shape boxes[] = {
    {"1x1x1", "one number"},     {"5x7x11", "primes"},
    {"0x3x2", "empty"},          {"33x4x65", "one past a tile"},
    {"2x2x513", "long rows"},    {"1000x1x3", "many rows"},
    {"4x8x16", "whole vectors"}, {"1x257x1", "one past a block"},
    {"1x2x3", "few numbers"},    {0},
};

/* a: which axes the other operand repeats, by bits */
static const struct check_attributes repeated[] = {
    {"same", {0}}, {"scalar", {7}}, {"row", {3}}, {"column", {4}}, {"middle", {2}}, {"outer", {5}}, {0},
};

static const struct check_attributes alike[] = {{"same", {0}}, {"scalar", {7}}, {"row", {3}}, {0}};

static kiln_shape other_shape(const struct check_graph *c)
{
    return KILN_SHAPE(c->a[0] & 1 ? 1 : c->n[0], c->a[0] & 2 ? 1 : c->n[1], c->a[0] & 4 ? 1 : c->n[2]);
}

static void binary(struct check_graph *c)
{
    const kiln_tensor a = check_operand(c, check_shape_of(c)), b = check_operand(c, other_shape(c));
    check_result(c, c->one->op->call.binary(c->g, a, b));
}

#define BINARY(op, types_, low_, high_)                                                         \
    {                                                                                           \
        .name = #op, .types = types_, .shapes = boxes, .attributes = repeated, .build = binary, \
        .call.binary = kiln_##op, .low = low_, .high = high_                                    \
    }

/* Integers of both kinds take the broadcasts in turn with the reals; these take fewer. */
#define ALIKE(op, types_, low_, high_)                                                       \
    {                                                                                        \
        .name = #op, .types = types_, .shapes = boxes, .attributes = alike, .build = binary, \
        .call.binary = kiln_##op, .low = low_, .high = high_                                 \
    }

/* Of halves: their rounding is more than a lone difference may be off, so there is no shape of one number. */
#define HALVES(op, low_, high_)                                                                     \
    {                                                                                               \
        .name = #op, .types = CHECK_F16, .shapes = boxes + 1, .attributes = alike, .build = binary, \
        .call.binary = kiln_##op, .low = low_, .high = high_                                        \
    }

/* A shift by a number of bits, or more than there are. */
static void shift_bits(struct check_graph *c)
{
    const kiln_tensor a = check_operand(c, check_shape_of(c));
    const kiln_tensor b = check_operand_in(c, other_shape(c), 0, 40);
    check_result(c, c->one->op->call.binary(c->g, a, b));
}

static const struct check_attributes counts[] = {{"2", {2}}, {"9", {9}}, {0}};

/* Of values that broadcast together. */
static void many(struct check_graph *c)
{
    kiln_tensor x[9];
    for (int i = 0; i < c->a[0]; i++)
        x[i] = check_operand(c, i % 2 ? KILN_SHAPE(1, c->n[1], c->n[2]) : check_shape_of(c));
    check_result(c, c->one->op->call.many(c->g, x, (int)c->a[0]));
}

#define MANY(op, types_)                                                                    \
    {                                                                                       \
        .name = #op, .types = types_, .shapes = boxes, .attributes = counts, .build = many, \
        .call.many = kiln_##op                                                              \
    }

/* Three operands ------------------------------------------------------------------------------------------ */

static void where(struct check_graph *c)
{
    const kiln_tensor condition = check_truth(c, other_shape(c));
    const kiln_tensor a = check_operand(c, check_shape_of(c)), b = check_operand(c, other_shape(c));
    check_result(c, kiln_where(c->g, condition, a, b));
}

#define REALS  CHECK_REALS
#define WIDE   (CHECK_I32 | CHECK_I64 | CHECK_U32)
#define NARROW CHECK_NARROW
#define WHOLE  CHECK_INTEGERS

const struct check_op check_elementwise[] = {
    UNARY(abs, REALS | WHOLE, -3, 3),
    UNARY(neg, REALS | WHOLE, -3, 3),
    UNARY(sign, REALS | WHOLE, -3, 3),
    UNARY(square, REALS | WHOLE, -3, 3),
    UNARY(bit_not, WHOLE, 0, 0),
    UNARY(not, CHECK_BOOL, 0, 2),
    QUARTERS(floor),
    QUARTERS(ceil),
    QUARTERS(round),
    QUARTERS(trunc),
    UNARY(exp, REALS, -3, 3),
    UNARY(expm1, REALS, -3, 3),
    UNARY(log, REALS, 0.1, 4),
    UNARY(log1p, REALS, 0.1, 4),
    UNARY(sqrt, REALS, 0.1, 4),
    UNARY(rsqrt, REALS, 0.1, 4),
    UNARY(reciprocal, REALS, 0.1, 4),
    UNARY(erf, REALS, -3, 3),
    UNARY(sin, REALS, -3, 3),
    UNARY(cos, REALS, -3, 3),
    UNARY(tan, REALS, -1.2, 1.2),
    UNARY(asin, REALS, -0.9, 0.9),
    UNARY(acos, REALS, -0.9, 0.9),
    UNARY(atan, REALS, -3, 3),
    UNARY(sinh, REALS, -3, 3),
    UNARY(cosh, REALS, -3, 3),
    UNARY(asinh, REALS, -3, 3),
    UNARY(acosh, REALS, 1.2, 5),
    UNARY(atanh, REALS, -0.9, 0.9),
    UNARY(tanh, REALS, -3, 3),
    UNARY(sigmoid, REALS, -3, 3),
    UNARY(softplus, REALS, -3, 3),
    UNARY(softsign, REALS, -3, 3),
    UNARY(relu, REALS, -3, 3),
    UNARY(selu, REALS, -3, 3),
    UNARY(gelu, REALS, -3, 3),
    UNARY(gelu_tanh, REALS, -3, 3),
    UNARY(silu, REALS, -3, 3),
    UNARY(mish, REALS, -3, 3),
    UNARY(hard_swish, REALS, -2.9, 2.9),
    NUMBER(leaky_relu, slopes, 0, 0),
    NUMBER(thresholded_relu, alphas, -3, 3),
    NUMBER(elu, alphas, -3, 3),
    NUMBER(celu, alphas, -3, 3),
    NUMBER(swish, alphas, -3, 3),
    NUMBER(scale, numbers, 0, 0),
    NUMBER(shift, numbers, 0, 0),
    NUMBERS(hard_sigmoid, lines, -4, 4),
    NUMBERS(shrink, edges, -2, 2),
    {.name = "clip",
     .types = REALS | WHOLE,
     .shapes = check_shapes,
     .attributes = bounds,
     .build = clip,
     .low = -3,
     .high = 3},
    {.name = "is_infinite",
     .types = REALS,
     .shapes = check_shapes,
     .attributes = signs,
     .build = is_infinite,
     .low = -3,
     .high = 3},
    {.name = "is_nan", .types = REALS, .shapes = check_shapes, .build = is_nan, .low = -3, .high = 3},
    {.name = "bitcast", .types = CHECK_F32 | CHECK_I32, .shapes = check_shapes, .build = bitcast},
    {.name = "cast",
     .types = REALS | CHECK_BF16 | WHOLE | CHECK_BOOL,
     .shapes = check_shapes,
     .attributes = to_types,
     .fits = to_another,
     .build = cast,
     .low = -3,
     .high = 3},

    BINARY(add, CHECK_F32 | CHECK_I32, 0, 0),
    BINARY(sub, CHECK_F32, 0, 0),
    BINARY(mul, CHECK_F32, 0, 0),
    BINARY(div, CHECK_F32, 0.5, 2),
    BINARY(max, CHECK_F32, 0, 0),
    BINARY(min, CHECK_F32, 0, 0),
    BINARY(less, CHECK_F32 | CHECK_I32, 0, 0),
    ALIKE(less, CHECK_F16 | CHECK_I64 | CHECK_U32 | NARROW, 0, 0),
    ALIKE(less_equal, REALS | WHOLE, 0, 0),
    ALIKE(greater, REALS | WHOLE, 0, 0),
    ALIKE(greater_equal, REALS | WHOLE, 0, 0),
    ALIKE(equal, REALS | WHOLE, 0, 0),
    ALIKE(equal, CHECK_BOOL, 0, 2),
    ALIKE(not_equal, REALS | WHOLE, 0, 0),
    ALIKE(not_equal, CHECK_BOOL, 0, 2),
    ALIKE(pow, REALS, 0.5, 2),
    ALIKE(pow, WIDE, 0, 5),
    ALIKE(pow, NARROW, 0, 4),
    ALIKE(mod, REALS, 0.5, 3),
    ALIKE(mod, WHOLE, 0, 0),
    ALIKE(fmod, REALS, 0.5, 3),
    ALIKE(fmod, WHOLE, 0, 0),
    ALIKE(atan2, REALS, -2, 2),
    ALIKE(prelu, REALS, -1, 1),
    ALIKE(add, NARROW | CHECK_U32 | CHECK_I64, 0, 0),
    ALIKE(sub, WHOLE, 0, 0),
    ALIKE(mul, WHOLE, 0, 0),
    ALIKE(div, WHOLE, 0, 0),
    ALIKE(max, WHOLE, 0, 0),
    ALIKE(min, WHOLE, 0, 0),
    HALVES(add, -1, 1),
    HALVES(sub, -1, 1),
    HALVES(mul, -1, 1),
    HALVES(div, 0.5, 2),
    HALVES(max, -1, 1),
    HALVES(min, -1, 1),
    ALIKE(bit_and, WHOLE, 0, 0),
    ALIKE(bit_or, WHOLE, 0, 0),
    ALIKE(bit_xor, WHOLE, 0, 0),
    ALIKE(and, CHECK_BOOL, 0, 2),
    ALIKE(or, CHECK_BOOL, 0, 2),
    ALIKE(xor, CHECK_BOOL, 0, 2),
    {.name = "shift_left",
     .types = WHOLE,
     .shapes = boxes,
     .attributes = alike,
     .build = shift_bits,
     .call.binary = kiln_shift_left},
    {.name = "shift_right",
     .types = WHOLE,
     .shapes = boxes,
     .attributes = alike,
     .build = shift_bits,
     .call.binary = kiln_shift_right},
    MANY(add_all, REALS | WHOLE),
    MANY(mean_all, REALS),
    MANY(max_all, REALS | WHOLE),
    MANY(min_all, REALS | WHOLE),
    {.name = "where",
     .types = REALS | WHOLE | CHECK_BOOL,
     .shapes = boxes,
     .attributes = repeated,
     .build = where},
    {0},
};
