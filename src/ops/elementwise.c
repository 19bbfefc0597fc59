/*
 * elementwise.c - y[i] = f(a[i], b[i], ..): arithmetic, comparison, logic, functions of one value, casts, where.
 *
 * Each operator is a chain of one step (chain.h), so that the compiler can fuse any of them; what remains alone is lowered as
 * a chain as well. Operands broadcast; the gradients are composed of operators, and kiln_sum_to undoes the broadcast.
 *
 * Lowering: src/ops/chain.c.   Tests: tests/ops/elementwise.c, tests/cpu/chain.c.
 */
#include <string.h>

#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/chain.h"
#include "ops/kernels.h"

/* Types and shapes --------------------------------------------------------------------------------------- */

static kiln_status broadcast(kiln_graph *g, const kiln_node *n, kiln_shape *out)
{
    *out = KILN_SCALAR;
    for (int i = 0; i < n->inputs; i++) {
        const kiln_shape next = kiln_tensor_spec(g, n->in[i]).shape;
        char a[96], b[96];
        kiln_graph_shape_text(g, out, a, sizeof a);
        if (!kiln_shape_broadcast(out, &next, out))
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%s and %s do not broadcast", a,
                                  kiln_graph_shape_text(g, &next, b, sizeof b));
    }
    return KILN_OK;
}

/* The common type of the operands from `first` on. */
static kiln_status common_type(kiln_graph *g, const kiln_node *n, int first, kiln_type *out)
{
    *out = kiln_tensor_spec(g, n->in[first]).type;
    for (int i = first + 1; i < n->inputs; i++) {
        const kiln_type type = kiln_tensor_spec(g, n->in[i]).type;
        if (type != *out)
            return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operands are %s and %s, wanted one type",
                                  kiln_type_name(*out), kiln_type_name(type));
    }
    return KILN_OK;
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_elementwise *e = n->op->extra;
    kiln_type type;
    const kiln_status status = common_type(g, n, 0, &type);
    if (status)
        return status;
    if (!(kiln_type_is_real(type) ? e->real : e->integer)[0])
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operand is %s, wanted %s", kiln_type_name(type),
                              e->integer[0] ? "an integer" : "a real type");
    if (type == KILN_BOOL && !e->truth)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operand is bool, wanted a number");
    out->type = e->truth ? KILN_BOOL : type;
    return broadcast(g, n, &out->shape);
}

static kiln_status infer_logic(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    kiln_type type;
    const kiln_status status = common_type(g, n, 0, &type);
    if (status)
        return status;
    if (type != KILN_BOOL)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "operand is %s, wanted bool", kiln_type_name(type));
    out->type = KILN_BOOL;
    return broadcast(g, n, &out->shape);
}

static kiln_status infer_where(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_type condition = kiln_tensor_spec(g, n->in[0]).type;
    if (condition != KILN_BOOL)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "condition is %s, wanted bool",
                              kiln_type_name(condition));
    const kiln_status status = common_type(g, n, 1, &out->type);
    return status ? status : broadcast(g, n, &out->shape);
}

/* Gradients: `x` and `b` are the operands, `y` the result ------------------------------------------------ */

#define GRADIENT(name) \
    static void name##_pull(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)

static kiln_tensor real_scalar(kiln_graph *g, kiln_tensor like, double value)
{
    return kiln_scalar(g, kiln_tensor_type(g, like), value);
}

/* Leave dx as it is: KILN_NONE. */
GRADIENT(no)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

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

/* To a where a wins, to b where `b_wins`. */
static void choose(kiln_graph *g, const kiln_node *n, kiln_tensor b_wins, kiln_tensor dy, kiln_tensor *dx)
{
    const kiln_tensor zero = real_scalar(g, dy, 0);
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
    const kiln_tensor a = n->in[0], b = n->in[1], zero = real_scalar(g, dy[0], 0);
    const kiln_tensor slope = kiln_mul(g, b, kiln_pow(g, a, kiln_shift(g, b, -1)));
    const kiln_tensor by_a = kiln_where(g, kiln_equal(g, b, zero), zero, slope);
    const kiln_tensor by_b =
        kiln_where(g, kiln_less(g, zero, a), kiln_mul(g, n->out[0], kiln_log(g, a)), zero);
    dx[0] = kiln_sum_to(g, kiln_mul(g, dy[0], by_a), a);
    dx[1] = kiln_sum_to(g, kiln_mul(g, dy[0], by_b), b);
}

GRADIENT(where)
{
    const kiln_tensor zero = real_scalar(g, dy[0], 0);
    dx[1] = kiln_sum_to(g, kiln_where(g, n->in[0], dy[0], zero), n->in[1]);
    dx[2] = kiln_sum_to(g, kiln_where(g, n->in[0], zero, dy[0]), n->in[2]);
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

GRADIENT(reciprocal)
{
    dx[0] = kiln_neg(g, kiln_mul(g, dy[0], kiln_square(g, n->out[0])));
}

GRADIENT(square)
{
    dx[0] = kiln_scale(g, kiln_mul(g, dy[0], n->in[0]), 2);
}

GRADIENT(sin)
{
    dx[0] = kiln_mul(g, dy[0], kiln_cos(g, n->in[0]));
}

GRADIENT(cos)
{
    dx[0] = kiln_neg(g, kiln_mul(g, dy[0], kiln_sin(g, n->in[0])));
}

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

static kiln_tensor relu_grad(kiln_graph *g, kiln_tensor y, kiln_tensor dy)
{
    return kiln_append(g, &kiln_op_relu_grad, (const kiln_tensor[]){y, dy}, 2, NULL, 0);
}

GRADIENT(relu)
{
    dx[0] = relu_grad(g, n->out[0], dy[0]);
}

GRADIENT(relu_grad)
{
    dx[1] = relu_grad(g, n->in[0], dy[0]);
}

GRADIENT(leaky_relu)
{
    const double slope = *(const double *)n->params;
    const kiln_tensor above = kiln_less(g, real_scalar(g, dy[0], 0), n->in[0]);
    dx[0] = kiln_where(g, above, dy[0], kiln_scale(g, dy[0], slope));
}

GRADIENT(clip)
{
    const double *bound = n->params;
    const kiln_tensor x = n->in[0];
    const kiln_tensor above = kiln_less_equal(g, real_scalar(g, x, bound[0]), x);
    const kiln_tensor below = kiln_less_equal(g, x, real_scalar(g, x, bound[1]));
    dx[0] = kiln_where(g, kiln_and(g, above, below), dy[0], real_scalar(g, x, 0));
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

/* Operators ---------------------------------------------------------------------------------------------- */

/* The step on register 0, or on 0 and 1. */
#define ONE(code)                     KILN_STEP(KILN_STEP_##code, 0, 0, 0)
#define TWO(code)                     KILN_STEP(KILN_STEP_##code, 0, 1, 0)
#define OP(name_, infer_, grad_, ...) OP_OF(name_, infer_, grad_, NULL, __VA_ARGS__)
#define OP_OF(name_, infer_, grad_, fields_, ...)                                       \
    const kiln_op kiln_op_##name_ = {                                                   \
        .name = #name_,                                                                 \
        .inputs = ARITY,                                                                \
        .outputs = 1,                                                                   \
        .infer = infer_,                                                                \
        .grad = grad_,                                                                  \
        .fields = fields_,                                                              \
        .lowerings = kiln_elementwise_lowerings,                                        \
        .lowering_count = 1,                                                            \
        .extra = &(const kiln_elementwise){.operands = ARITY, .steps = 1, __VA_ARGS__}, \
    }

/* The function that builds the node. */
#define UNARY(name)                                                                \
    kiln_tensor kiln_##name(kiln_graph *g, kiln_tensor x)                          \
    {                                                                              \
        return x.id ? kiln_append(g, &kiln_op_##name, &x, 1, NULL, 0) : KILN_NONE; \
    }
#define BINARY(name)                                                     \
    kiln_tensor kiln_##name(kiln_graph *g, kiln_tensor a, kiln_tensor b) \
    {                                                                    \
        return binary(g, &kiln_op_##name, a, b);                         \
    }

static kiln_tensor binary(kiln_graph *g, const kiln_op *op, kiln_tensor a, kiln_tensor b)
{
    return a.id && b.id ? kiln_append(g, op, (const kiln_tensor[]){a, b}, 2, NULL, 0) : KILN_NONE;
}

#define ARITY 2
OP(add, infer, add_pull, .real = {TWO(ADD_F)}, .integer = {TWO(ADD_I)});
OP(sub, infer, sub_pull, .real = {TWO(SUB_F)}, .integer = {TWO(SUB_I)});
OP(mul, infer, mul_pull, .real = {TWO(MUL_F)}, .integer = {TWO(MUL_I)});
OP(div, infer, div_pull, .real = {TWO(DIV_F)}, .integer = {TWO(DIV_I)});
OP(max, infer, max_pull, .real = {TWO(MAX_F)}, .integer = {TWO(MAX_I)});
OP(min, infer, min_pull, .real = {TWO(MIN_F)}, .integer = {TWO(MIN_I)});
OP(pow, infer, pow_pull, .real = {TWO(POW_F)});
OP(equal, infer, no_pull, .real = {TWO(EQUAL_F)}, .integer = {TWO(EQUAL_I)}, .truth = true);
OP(not_equal, infer, no_pull, .real = {TWO(NOT_EQUAL_F)}, .integer = {TWO(NOT_EQUAL_I)}, .truth = true);
OP(less, infer, no_pull, .real = {TWO(LESS_F)}, .integer = {TWO(LESS_I)}, .truth = true);
OP(less_equal, infer, no_pull, .real = {TWO(LESS_EQUAL_F)}, .integer = {TWO(LESS_EQUAL_I)}, .truth = true);
OP(and, infer_logic, no_pull, .integer = {TWO(AND)}, .truth = true);
OP(or, infer_logic, no_pull, .integer = {TWO(OR)}, .truth = true);
OP(relu_grad, infer, relu_grad_pull, .real = {TWO(RELU_GRAD_F)});
#undef ARITY

BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(max)
BINARY(min)
BINARY(pow)
BINARY(equal)
BINARY(not_equal)
BINARY(less)
BINARY(less_equal)
BINARY(and)
BINARY(or)

kiln_tensor kiln_greater(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return kiln_less(g, b, a);
}

kiln_tensor kiln_greater_equal(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return kiln_less_equal(g, b, a);
}

#define ARITY 1
OP(not, infer_logic, no_pull, .integer = {ONE(NOT)}, .truth = true);
OP(neg, infer, neg_pull, .real = {ONE(NEG_F)}, .integer = {ONE(NEG_I)});
OP(abs, infer, abs_pull, .real = {ONE(ABS_F)}, .integer = {ONE(ABS_I)});
OP(sign, infer, no_pull, .real = {ONE(SIGN_F)});
OP(floor, infer, no_pull, .real = {ONE(FLOOR_F)});
OP(exp, infer, exp_pull, .real = {ONE(EXP_F)});
OP(expm1, infer, expm1_pull, .real = {ONE(EXPM1_F)});
OP(log, infer, log_pull, .real = {ONE(LOG_F)});
OP(log1p, infer, log1p_pull, .real = {ONE(LOG1P_F)});
OP(sqrt, infer, sqrt_pull, .real = {ONE(SQRT_F)});
OP(rsqrt, infer, rsqrt_pull, .real = {ONE(RSQRT_F)});
OP(reciprocal, infer, reciprocal_pull, .real = {ONE(RECIPROCAL_F)});
OP(square, infer, square_pull, .real = {ONE(MUL_F)});
OP(sin, infer, sin_pull, .real = {ONE(SIN_F)});
OP(cos, infer, cos_pull, .real = {ONE(COS_F)});
OP(tanh, infer, tanh_pull, .real = {ONE(TANH_F)});
OP(sigmoid, infer, sigmoid_pull, .real = {ONE(SIGMOID_F)});
OP(softplus, infer, softplus_pull, .real = {ONE(SOFTPLUS_F)});
OP(relu, infer, relu_pull, .real = {ONE(RELU_F)});
#undef ARITY

UNARY(not )
UNARY(neg)
UNARY(abs)
UNARY(sign)
UNARY(floor)
UNARY(exp)
UNARY(expm1)
UNARY(log)
UNARY(log1p)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(reciprocal)
UNARY(square)
UNARY(sin)
UNARY(cos)
UNARY(tanh)
UNARY(sigmoid)
UNARY(softplus)
UNARY(relu)

#define ARITY 3
OP(where, infer_where, where_pull, .integer = {KILN_STEP(KILN_STEP_WHERE, 0, 1, 2)});
#undef ARITY

kiln_tensor kiln_where(kiln_graph *g, kiln_tensor condition, kiln_tensor a, kiln_tensor b)
{
    const kiln_tensor in[] = {condition, a, b};
    return condition.id && a.id && b.id ? kiln_append(g, &kiln_op_where, in, 3, NULL, 0) : KILN_NONE;
}

/* With numbers ------------------------------------------------------------------------------------------- */

/* A step on register 0 and immediates. */
#define NUMBERS(code, b, c) \
    KILN_STEP(KILN_STEP_##code, 0, KILN_REGISTER_IMMEDIATE + (b), KILN_REGISTER_IMMEDIATE + (c))

static const kiln_field slope_field[] = {{"slope", KILN_FIELD_REAL, 0, 1}, {0}};
static const kiln_field bounds_field[] = {{"low", KILN_FIELD_REAL, 0, 1},
                                          {"high", KILN_FIELD_REAL, sizeof(double), 1},
                                          {0}};
static const kiln_field factor_field[] = {{"factor", KILN_FIELD_REAL, 0, 1}, {0}};
static const kiln_field term_field[] = {{"term", KILN_FIELD_REAL, 0, 1}, {0}};

#define ARITY 1
OP_OF(leaky_relu, infer, leaky_relu_pull, slope_field, .immediates = 1,
      .real = {NUMBERS(LEAKY_RELU_F, 0, 0)});
OP_OF(clip, infer, clip_pull, bounds_field, .immediates = 2, .real = {NUMBERS(CLIP_F, 0, 1)});
OP_OF(scale, infer, scale_pull, factor_field, .immediates = 1, .real = {NUMBERS(MUL_F, 0, 0)});
OP_OF(shift, infer, shift_pull, term_field, .immediates = 1, .real = {NUMBERS(ADD_F, 0, 0)});
#undef ARITY

static kiln_tensor with_numbers(kiln_graph *g, const kiln_op *op, kiln_tensor x, const double *number,
                                int count)
{
    return x.id ? kiln_append(g, op, &x, 1, number, (size_t)count * sizeof *number) : KILN_NONE;
}

kiln_tensor kiln_leaky_relu(kiln_graph *g, kiln_tensor x, double slope)
{
    return with_numbers(g, &kiln_op_leaky_relu, x, &slope, 1);
}

kiln_tensor kiln_clip(kiln_graph *g, kiln_tensor x, double low, double high)
{
    return with_numbers(g, &kiln_op_clip, x, (const double[]){low, high}, 2);
}

kiln_tensor kiln_scale(kiln_graph *g, kiln_tensor x, double factor)
{
    return with_numbers(g, &kiln_op_scale, x, &factor, 1);
}

kiln_tensor kiln_shift(kiln_graph *g, kiln_tensor x, double term)
{
    return with_numbers(g, &kiln_op_shift, x, &term, 1);
}

/* Casts -------------------------------------------------------------------------------------------------- */

/* Three operators, by what the target is; params is its kiln_type. */
static kiln_status infer_cast(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    memcpy(&out->type, n->params, sizeof out->type);
    return KILN_OK;
}

GRADIENT(cast)
{
    dx[0] = kiln_cast(g, dy[0], kiln_tensor_type(g, n->in[0]));
}

#define ARITY 1
OP(cast_real, infer_cast, cast_pull, .real = {ONE(COPY)}, .integer = {ONE(F_FROM_I)});
OP(cast_integer, infer_cast, no_pull, .real = {ONE(I_FROM_F)}, .integer = {ONE(COPY)});
OP(cast_truth, infer_cast, no_pull, .real = {ONE(TRUTH_F)}, .integer = {ONE(TRUTH_I)}, .truth = true);
#undef ARITY

kiln_tensor kiln_cast(kiln_graph *g, kiln_tensor x, kiln_type type)
{
    if (!x.id || kiln_tensor_type(g, x) == type)
        return x;
    const kiln_op *op = type == KILN_BOOL         ? &kiln_op_cast_truth
                        : kiln_type_is_real(type) ? &kiln_op_cast_real
                                                  : &kiln_op_cast_integer;
    return kiln_append(g, op, &x, 1, &type, sizeof type);
}
