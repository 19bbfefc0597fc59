/*
 * chain.c - what each step of a chain means.
 */
#include <math.h>

#include "chain/codes.h"
#include "cpu/reference.h"

/* max and min pass NaN on. */
static real larger(real a, real b)
{
    return a >= b || isnan(a) ? a : b;
}

static real smaller(real a, real b)
{
    return a <= b || isnan(a) ? a : b;
}

/* Integers wrap; a division by zero gives 0. */
static int32_t wrapped(int64_t value)
{
    return (int32_t)(uint32_t)value;
}

static int32_t divided(int32_t a, int32_t b)
{
    return b ? wrapped((int64_t)a / b) : 0;
}

/* Drops the fraction, saturates, makes 0 of NaN. */
static int32_t integer_of(real x)
{
    if (isnan(x))
        return 0;
    return x >= (real)2147483648.0 ? INT32_MAX : x <= (real)-2147483648.0 ? INT32_MIN : (int32_t)x;
}

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

/* code, member of the result, its value by the registers a, b, c */
#define STEPS(X)                                        \
    X(ADD_F, f, a.f + b.f)                              \
    X(SUB_F, f, a.f - b.f)                              \
    X(MUL_F, f, (a.f * b.f))                            \
    X(DIV_F, f, a.f / b.f)                              \
    X(MAX_F, f, larger(a.f, b.f))                       \
    X(MIN_F, f, smaller(a.f, b.f))                      \
    X(POW_F, f, pow(a.f, b.f))                          \
    X(ADD_I, i, wrapped((int64_t)a.i + b.i))            \
    X(SUB_I, i, wrapped((int64_t)a.i - b.i))            \
    X(MUL_I, i, wrapped(b.i *(int64_t)a.i))             \
    X(DIV_I, i, divided(a.i, b.i))                      \
    X(MAX_I, i, a.i > b.i ? a.i : b.i)                  \
    X(MIN_I, i, a.i < b.i ? a.i : b.i)                  \
    X(EQUAL_F, i, a.f == b.f)                           \
    X(NOT_EQUAL_F, i, a.f != b.f)                       \
    X(LESS_F, i, a.f < b.f)                             \
    X(LESS_EQUAL_F, i, a.f <= b.f)                      \
    X(EQUAL_I, i, a.i == b.i)                           \
    X(NOT_EQUAL_I, i, a.i != b.i)                       \
    X(LESS_I, i, a.i < b.i)                             \
    X(LESS_EQUAL_I, i, a.i <= b.i)                      \
    X(AND, i, (a.i && b.i))                             \
    X(OR, i, a.i || b.i)                                \
    X(NOT, i, !a.i)                                     \
    X(NEG_F, f, -a.f)                                   \
    X(ABS_F, f, fabs(a.f))                              \
    X(SIGN_F, f, a.f > 0 ? 1 : a.f < 0 ? -1 : a.f)      \
    X(FLOOR_F, f, floor(a.f))                           \
    X(EXP_F, f, exp(a.f))                               \
    X(EXPM1_F, f, expm1(a.f))                           \
    X(LOG_F, f, log(a.f))                               \
    X(LOG1P_F, f, log1p(a.f))                           \
    X(SQRT_F, f, sqrt(a.f))                             \
    X(RSQRT_F, f, 1 / sqrt(a.f))                        \
    X(RECIPROCAL_F, f, 1 / a.f)                         \
    X(SIN_F, f, sin(a.f))                               \
    X(COS_F, f, cos(a.f))                               \
    X(TANH_F, f, tanh(a.f))                             \
    X(SIGMOID_F, f, sigmoid(a.f))                       \
    X(SOFTPLUS_F, f, softplus(a.f))                     \
    X(RELU_F, f, a.f <= 0 ? 0 : a.f)                    \
    X(LEAKY_RELU_F, f, a.f > 0 ? a.f : a.f * b.f)       \
    X(CLIP_F, f, smaller(larger(a.f, b.f), c.f))        \
    X(NEG_I, i, wrapped(-(int64_t)a.i))                 \
    X(ABS_I, i, a.i < 0 ? wrapped(-(int64_t)a.i) : a.i) \
    X(F_FROM_I, f, a.i)                                 \
    X(I_FROM_F, i, integer_of(a.f))                     \
    X(TRUTH_F, i, a.f != 0)                             \
    X(TRUTH_I, i, a.i != 0)                             \
    X(RELU_GRAD_F, f, a.f > 0 ? b.f : 0)

kiln_register kiln_cpu_step(uint32_t step, const kiln_register *registers)
{
    const kiln_register a = registers[step >> 8 & 255];
    const kiln_register b = registers[step >> 16 & 255];
    const kiln_register c = registers[step >> 24];
    kiln_register d = a; /* KILN_STEP_COPY */
    switch (step & 255) {
#define X(code, member, value) \
    case KILN_STEP_##code:     \
        d.member = (value);    \
        break;
        STEPS(X)
#undef X
    case KILN_STEP_WHERE:
        d = a.i ? b : c;
        break;
    }
    return d;
}
