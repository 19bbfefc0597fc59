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

kiln_register kiln_cpu_step(uint32_t step, const kiln_register *registers)
{
    const kiln_register a = registers[step >> 8 & 255], b = registers[step >> 16 & 255], c = registers[step >> 24];
#define REAL(value) return (kiln_register){.f = (real)(value)}
#define INTEGER(value) return (kiln_register){.i = (value)}
    switch (step & 255) {
    case KILN_STEP_ADD_F: REAL(a.f + b.f);
    case KILN_STEP_SUB_F: REAL(a.f - b.f);
    case KILN_STEP_MUL_F: REAL(a.f * b.f);
    case KILN_STEP_DIV_F: REAL(a.f / b.f);
    case KILN_STEP_MAX_F: REAL(larger(a.f, b.f));
    case KILN_STEP_MIN_F: REAL(smaller(a.f, b.f));
    case KILN_STEP_POW_F: REAL(pow(a.f, b.f));

    case KILN_STEP_ADD_I: INTEGER(wrapped((int64_t)a.i + b.i));
    case KILN_STEP_SUB_I: INTEGER(wrapped((int64_t)a.i - b.i));
    case KILN_STEP_MUL_I: INTEGER(wrapped((int64_t)a.i * b.i));
    case KILN_STEP_DIV_I: INTEGER(divided(a.i, b.i));
    case KILN_STEP_MAX_I: INTEGER(a.i > b.i ? a.i : b.i);
    case KILN_STEP_MIN_I: INTEGER(a.i < b.i ? a.i : b.i);

    case KILN_STEP_EQUAL_F: INTEGER(a.f == b.f);
    case KILN_STEP_NOT_EQUAL_F: INTEGER(a.f != b.f);
    case KILN_STEP_LESS_F: INTEGER(a.f < b.f);
    case KILN_STEP_LESS_EQUAL_F: INTEGER(a.f <= b.f);
    case KILN_STEP_EQUAL_I: INTEGER(a.i == b.i);
    case KILN_STEP_NOT_EQUAL_I: INTEGER(a.i != b.i);
    case KILN_STEP_LESS_I: INTEGER(a.i < b.i);
    case KILN_STEP_LESS_EQUAL_I: INTEGER(a.i <= b.i);

    case KILN_STEP_AND: INTEGER(a.i && b.i);
    case KILN_STEP_OR: INTEGER(a.i || b.i);
    case KILN_STEP_NOT: INTEGER(!a.i);
    case KILN_STEP_WHERE: return a.i ? b : c;

    case KILN_STEP_NEG_F: REAL(-a.f);
    case KILN_STEP_ABS_F: REAL(fabs(a.f));
    case KILN_STEP_SIGN_F: REAL(a.f > 0 ? 1 : a.f < 0 ? -1 : a.f);
    case KILN_STEP_FLOOR_F: REAL(floor(a.f));
    case KILN_STEP_EXP_F: REAL(exp(a.f));
    case KILN_STEP_EXPM1_F: REAL(expm1(a.f));
    case KILN_STEP_LOG_F: REAL(log(a.f));
    case KILN_STEP_LOG1P_F: REAL(log1p(a.f));
    case KILN_STEP_SQRT_F: REAL(sqrt(a.f));
    case KILN_STEP_RSQRT_F: REAL(1 / sqrt(a.f));
    case KILN_STEP_RECIPROCAL_F: REAL(1 / a.f);
    case KILN_STEP_SIN_F: REAL(sin(a.f));
    case KILN_STEP_COS_F: REAL(cos(a.f));
    case KILN_STEP_TANH_F: REAL(tanh(a.f));
    case KILN_STEP_SIGMOID_F: REAL(sigmoid(a.f));
    case KILN_STEP_SOFTPLUS_F: REAL(softplus(a.f));
    case KILN_STEP_RELU_F: REAL(a.f <= 0 ? 0 : a.f);
    case KILN_STEP_LEAKY_RELU_F: REAL(a.f > 0 ? a.f : a.f * b.f);
    case KILN_STEP_CLIP_F: REAL(smaller(larger(a.f, b.f), c.f));

    case KILN_STEP_NEG_I: INTEGER(wrapped(-(int64_t)a.i));
    case KILN_STEP_ABS_I: INTEGER(a.i < 0 ? wrapped(-(int64_t)a.i) : a.i);
    case KILN_STEP_F_FROM_I: REAL(a.i);
    case KILN_STEP_I_FROM_F: INTEGER(integer_of(a.f));
    case KILN_STEP_TRUTH_F: INTEGER(a.f != 0);
    case KILN_STEP_TRUTH_I: INTEGER(a.i != 0);
    case KILN_STEP_RELU_GRAD_F: REAL(a.f > 0 ? b.f : 0);
    }
#undef REAL
#undef INTEGER
    return a;                                   /* KILN_STEP_COPY */
}
