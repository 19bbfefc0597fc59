/* cases_elementwise.c - what maps each element: one operand, two that broadcast, three. */
#include "check/families.h"

#define INTEGERS (CHECK_I32 | CHECK_I64)

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

static void clip(struct check_graph *c)
{
    check_result(c, kiln_clip(c->g, check_operand(c, check_shape_of(c)), -0.5, 1));
}

static void leaky_relu(struct check_graph *c)
{
    check_result(c, kiln_leaky_relu(c->g, check_operand(c, check_shape_of(c)), 0.1));
}

static void scale(struct check_graph *c)
{
    check_result(c, kiln_scale(c->g, check_operand(c, check_shape_of(c)), 3));
}

static void shift(struct check_graph *c)
{
    check_result(c, kiln_shift(c->g, check_operand(c, check_shape_of(c)), -2));
}

/* a: the type */
static const struct check_attributes to_types[] = {
    {"to=f32", {KILN_F32}}, {"to=i32", {KILN_I32}}, {"to=i64", {KILN_I64}}, {"to=bool", {KILN_BOOL}}, {0},
};

static bool to_another(const struct check_case *one)
{
    return one->a[0] != (int64_t)one->type;
}

static void cast(struct check_graph *c)
{
    check_result(c, kiln_cast(c->g, check_operand(c, check_shape_of(c)), (kiln_type)c->a[0]));
}

/* Two operands -------------------------------------------------------------------------------------------- */

/* Three axes. */
static const struct check_shape boxes[] = {
    {"1x1x1", "one number"},
    {"5x7x11", "primes"},
    {"0x3x2", "empty"},
    {"33x4x65", "one past a tile"},
    {"2x2x513", "long rows"},
    {"1000x1x3", "many rows"},
    {"4x8x16", "whole vectors"},
    {"1x257x1", "one past a block"},
    {0},
};

/* a: which axes the other operand repeats, by bits */
static const struct check_attributes repeated[] = {
    {"same", {0}}, {"scalar", {7}}, {"row", {3}}, {"column", {4}}, {"middle", {2}}, {"outer", {5}}, {0},
};

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

/* Three operands ------------------------------------------------------------------------------------------ */

static void where(struct check_graph *c)
{
    const kiln_tensor condition = check_truth(c, other_shape(c));
    const kiln_tensor a = check_operand(c, check_shape_of(c)), b = check_operand(c, other_shape(c));
    check_result(c, kiln_where(c->g, condition, a, b));
}

const struct check_op check_elementwise[] = {
    UNARY(abs, CHECK_F32 | INTEGERS, -3, 3),
    UNARY(neg, CHECK_F32 | INTEGERS, -3, 3),
    UNARY(sign, CHECK_F32, -3, 3),
    UNARY(floor, CHECK_F32, -3, 3),
    UNARY(exp, CHECK_F32, -3, 3),
    UNARY(expm1, CHECK_F32, -3, 3),
    UNARY(square, CHECK_F32, -3, 3),
    UNARY(sin, CHECK_F32, -3, 3),
    UNARY(cos, CHECK_F32, -3, 3),
    UNARY(tanh, CHECK_F32, -3, 3),
    UNARY(sigmoid, CHECK_F32, -3, 3),
    UNARY(relu, CHECK_F32, -3, 3),
    UNARY(softplus, CHECK_F32, -3, 3),
    UNARY(log, CHECK_F32, 0.1, 4),
    UNARY(log1p, CHECK_F32, 0.1, 4),
    UNARY(sqrt, CHECK_F32, 0.1, 4),
    UNARY(rsqrt, CHECK_F32, 0.1, 4),
    UNARY(reciprocal, CHECK_F32, 0.1, 4),
    UNARY(not, CHECK_BOOL, 0, 2),
    {.name = "clip", .types = CHECK_F32, .shapes = check_shapes, .build = clip, .low = -3, .high = 3},
    {.name = "leaky_relu", .types = CHECK_F32, .shapes = check_shapes, .build = leaky_relu},
    {.name = "scale", .types = CHECK_F32, .shapes = check_shapes, .build = scale},
    {.name = "shift", .types = CHECK_F32, .shapes = check_shapes, .build = shift},
    {.name = "cast",
     .types = CHECK_F32 | INTEGERS | CHECK_BOOL,
     .shapes = check_shapes,
     .attributes = to_types,
     .fits = to_another,
     .build = cast,
     .low = -3,
     .high = 3},
    BINARY(add, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(sub, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(mul, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(div, CHECK_F32, 0.5, 2),
    BINARY(div, INTEGERS, 0, 0),
    BINARY(max, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(min, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(pow, CHECK_F32, 0.5, 2),
    BINARY(equal, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(not_equal, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(less, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(less_equal, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(greater, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(greater_equal, CHECK_F32 | INTEGERS, 0, 0),
    BINARY(and, CHECK_BOOL, 0, 2),
    BINARY(or, CHECK_BOOL, 0, 2),
    {.name = "where",
     .types = CHECK_F32 | INTEGERS | CHECK_BOOL,
     .shapes = boxes,
     .attributes = repeated,
     .build = where},
    {0},
};
