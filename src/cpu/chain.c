/*
 * chain.c - what each step of a chain means, and the chain kernels: an element at a time.
 */
#include "chain/chain.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "chain/codes.h"
#include "chain/strided.h"
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

/* What is left, with the sign of a; and with that of b. */
static int32_t rest(int32_t a, int32_t b)
{
    return b ? (int32_t)((int64_t)a % b) : 0;
}

static int32_t modulo(int32_t a, int32_t b)
{
    const int32_t left = rest(a, b);
    return left && (left < 0) != (b < 0) ? left + b : left;
}

static double modulo_real(double a, double b)
{
    const double left = fmod(a, b);
    return left != 0 && (left < 0) != (b < 0) ? left + b : left;
}

static int32_t power(int32_t a, int32_t b)
{
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    uint32_t y = 1;
    for (uint32_t square = (uint32_t)a; b; b >>= 1, square *= square)
        y *= b & 1 ? square : 1;
    return (int32_t)y;
}

static int32_t shifted_right(int32_t a, uint32_t by)
{
    const int64_t wide = a;
    return (int32_t)(wide >> (by < 32 ? by : 31));
}

/* Drops the fraction, saturates, makes 0 of NaN. */
static int32_t integer_of(real x)
{
    if (isnan(x))
        return 0;
    return x >= (real)2147483648.0 ? INT32_MAX : x <= (real)-2147483648.0 ? INT32_MIN : (int32_t)x;
}

static uint32_t unsigned_of(real x)
{
    return x >= (real)4294967296.0 ? UINT32_MAX : x > 0 ? (uint32_t)x : 0;
}

/* In float64 programs every real is a double. */
static real to_half(real x)
{
    return KILN_REAL_IS_DOUBLE ? x : kiln_half_to(kiln_half_from((float)x));
}

static real to_bfloat(real x)
{
    return KILN_REAL_IS_DOUBLE ? x : kiln_bf16_to(kiln_bf16_from((float)x));
}

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

/* Activations, and the slopes of those whose gradient is a step. */
static double above(double x)
{
    return erfc(x / sqrt(2)) / 2; /* of the normal distribution */
}

static double bell(double x)
{
    return exp(-x * x / 2) / sqrt(2 * acos(-1));
}

static double erf_slope(double x)
{
    return 2 / sqrt(acos(-1)) * exp(-x * x);
}

static double gelu_tanh(double x)
{
    return x * sigmoid(sqrt(8 / acos(-1)) * (x + 0.044715 * x * x * x));
}

static double gelu_tanh_slope(double x)
{
    const double k = sqrt(8 / acos(-1)), s = sigmoid(k * (x + 0.044715 * x * x * x));
    return s + x * s * (1 - s) * k * (1 + 3 * 0.044715 * x * x);
}

static double silu_slope(double x, double a)
{
    const double s = sigmoid(a * x);
    return s + a * x * s * (1 - s);
}

static double mish_slope(double x)
{
    const double t = tanh(softplus(x));
    return t + x * (1 - t * t) * sigmoid(x);
}

static double shrink(double x, double edge, double bias)
{
    return x > edge ? x - bias : x < -edge ? x + bias : isnan(x) ? x : 0;
}

static double hard_sigmoid(double x, double slope, double term)
{
    const double y = slope * x + term;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

static double hard_swish_slope(double x)
{
    return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5;
}

/* code, member of the result, its value by the registers a, b, c */
#define STEPS(X)                                                  \
    X(ADD_F, f, a.f + b.f)                                        \
    X(SUB_F, f, a.f - b.f)                                        \
    X(MUL_F, f, (a.f * b.f))                                      \
    X(DIV_F, f, a.f / b.f)                                        \
    X(MAX_F, f, larger(a.f, b.f))                                 \
    X(MIN_F, f, smaller(a.f, b.f))                                \
    X(POW_F, f, pow(a.f, b.f))                                    \
    X(ADD_I, u, a.u + b.u)                                        \
    X(SUB_I, u, a.u - b.u)                                        \
    X(MUL_I, u, (a.u * b.u))                                      \
    X(DIV_I, i, divided(a.i, b.i))                                \
    X(MOD_I, i, modulo(a.i, b.i))                                 \
    X(REST_I, i, rest(a.i, b.i))                                  \
    X(MAX_I, i, a.i > b.i ? a.i : b.i)                            \
    X(MIN_I, i, a.i < b.i ? a.i : b.i)                            \
    X(DIV_U, u, b.u ? a.u / b.u : 0)                              \
    X(MOD_U, u, b.u ? a.u % b.u : 0)                              \
    X(MAX_U, u, a.u > b.u ? a.u : b.u)                            \
    X(MIN_U, u, a.u < b.u ? a.u : b.u)                            \
    X(BIT_AND, u, (a.u & b.u))                                    \
    X(BIT_OR, u, a.u | b.u)                                       \
    X(BIT_XOR, u, a.u ^ b.u)                                      \
    X(SHIFT_LEFT, u, b.u < 32 ? a.u << b.u : 0)                   \
    X(SHIFT_RIGHT_I, i, shifted_right(a.i, b.u))                  \
    X(SHIFT_RIGHT_U, u, b.u < 32 ? a.u >> b.u : 0)                \
    X(EQUAL_F, i, a.f == b.f)                                     \
    X(NOT_EQUAL_F, i, a.f != b.f)                                 \
    X(LESS_F, i, a.f < b.f)                                       \
    X(LESS_EQUAL_F, i, a.f <= b.f)                                \
    X(EQUAL_I, i, a.i == b.i)                                     \
    X(NOT_EQUAL_I, i, a.i != b.i)                                 \
    X(LESS_I, i, a.i < b.i)                                       \
    X(LESS_EQUAL_I, i, a.i <= b.i)                                \
    X(LESS_U, i, a.u < b.u)                                       \
    X(LESS_EQUAL_U, i, a.u <= b.u)                                \
    X(AND, i, (a.i && b.i))                                       \
    X(OR, i, a.i || b.i)                                          \
    X(XOR, i, !a.i != !b.i)                                       \
    X(INSIDE_F, i, b.f <= a.f && a.f <= c.f)                      \
    X(NOT, i, !a.i)                                               \
    X(TRUTH_F, i, a.f != 0)                                       \
    X(TRUTH_I, i, a.i != 0)                                       \
    X(INFINITE_F, i, isinf(a.f) != 0)                             \
    X(NEG_F, f, -a.f)                                             \
    X(ABS_F, f, fabs(a.f))                                        \
    X(SIGN_F, f, a.f > 0 ? 1 : a.f < 0 ? -1 : a.f)                \
    X(FLOOR_F, f, floor(a.f))                                     \
    X(CEIL_F, f, ceil(a.f))                                       \
    X(ROUND_F, f, nearbyint(a.f))                                 \
    X(TRUNC_F, f, trunc(a.f))                                     \
    X(EXP_F, f, exp(a.f))                                         \
    X(EXPM1_F, f, expm1(a.f))                                     \
    X(LOG_F, f, log(a.f))                                         \
    X(LOG1P_F, f, log1p(a.f))                                     \
    X(SQRT_F, f, sqrt(a.f))                                       \
    X(RSQRT_F, f, 1 / sqrt(a.f))                                  \
    X(RECIPROCAL_F, f, 1 / a.f)                                   \
    X(SIN_F, f, sin(a.f))                                         \
    X(COS_F, f, cos(a.f))                                         \
    X(TANH_F, f, tanh(a.f))                                       \
    X(SIGMOID_F, f, sigmoid(a.f))                                 \
    X(SOFTPLUS_F, f, softplus(a.f))                               \
    X(RELU_F, f, a.f <= 0 ? 0 : a.f)                              \
    X(ERF_F, f, erf(a.f))                                         \
    X(GELU_F, f, (a.f * above(-a.f)))                             \
    X(GELU_TANH_F, f, gelu_tanh(a.f))                             \
    X(MISH_F, f, (a.f * tanh(softplus(a.f))))                     \
    X(HARD_SWISH_F, f, (a.f * hard_sigmoid(a.f, 1.0 / 6, 0.5)))   \
    X(SOFTSIGN_F, f, a.f / (1 + fabs(a.f)))                       \
    X(LEAKY_RELU_F, f, a.f > 0 ? a.f : a.f * b.f)                 \
    X(CLIP_F, f, smaller(larger(a.f, b.f), c.f))                  \
    X(SILU_F, f, (a.f * sigmoid((double)b.f * a.f)))              \
    X(ELU_F, f, a.f > 0 ? a.f : b.f * expm1((double)c.f * a.f))   \
    X(SHRINK_F, f, shrink(a.f, b.f, c.f))                         \
    X(THRESHOLD_F, f, a.f <= b.f ? 0 : a.f)                       \
    X(HARD_SIGMOID_F, f, hard_sigmoid(a.f, b.f, c.f))             \
    X(NEG_I, u, 0 - a.u)                                          \
    X(ABS_I, u, a.i < 0 ? 0 - a.u : a.u)                          \
    X(SIGN_I, i, (a.i > 0) - (a.i < 0))                           \
    X(BIT_NOT, u, ~a.u)                                           \
    X(CLIP_I, i, a.i > c.i ? c.i : a.i < b.i ? b.i : a.i)         \
    X(CLIP_U, u, a.u > c.u ? c.u : a.u < b.u ? b.u : a.u)         \
    X(F_FROM_I, f, (real)a.i)                                     \
    X(F_FROM_U, f, (real)a.u)                                     \
    X(I_FROM_F, i, integer_of(a.f))                               \
    X(U_FROM_F, u, unsigned_of(a.f))                              \
    X(TO_F16, f, to_half(a.f))                                    \
    X(TO_BF16, f, to_bfloat(a.f))                                 \
    X(RELU_GRAD_F, f, a.f > 0 ? b.f : 0)                          \
    X(LEAKY_RELU_GRAD_F, f, a.f > 0 ? b.f : b.f * c.f)            \
    X(THRESHOLD_GRAD_F, f, a.f > c.f ? b.f : 0)                   \
    X(TANH_GRAD_F, f, b.f *(1 - a.f) * (1 + a.f))                 \
    X(SIGMOID_GRAD_F, f, b.f *a.f *(1 - a.f))                     \
    X(SOFTPLUS_GRAD_F, f, expm1(-a.f) * -b.f)                     \
    X(SOFTSIGN_GRAD_F, f, b.f *(1 - fabs(a.f)) * (1 - fabs(a.f))) \
    X(HARD_SIGMOID_GRAD_F, f, a.f > 0 && a.f < 1 ? b.f * c.f : 0) \
    X(HARD_SWISH_GRAD_F, f, hard_swish_slope(a.f) * b.f)          \
    X(ERF_GRAD_F, f, erf_slope(a.f) * b.f)                        \
    X(GELU_GRAD_F, f, b.f *(above(-a.f) + a.f * bell(a.f)))       \
    X(GELU_TANH_GRAD_F, f, gelu_tanh_slope(a.f) * b.f)            \
    X(SILU_GRAD_F, f, silu_slope(a.f, c.f) * b.f)                 \
    X(MISH_GRAD_F, f, mish_slope(a.f) * b.f)                      \
    X(ELU_SLOPE_F, f, a.f > 0 ? 1 : a.f * b.f + c.f)              \
    X(ROUNDED_F, f, nearbyint(a.f / b.f))                         \
    X(SCALED_I, f, (real)(int32_t)(a.u - b.u) * c.f)              \
    X(TAN_F, f, tan(a.f))                                         \
    X(ASIN_F, f, asin(a.f))                                       \
    X(ACOS_F, f, acos(a.f))                                       \
    X(ATAN_F, f, atan(a.f))                                       \
    X(ATAN2_F, f, atan2(a.f, b.f))                                \
    X(SINH_F, f, sinh(a.f))                                       \
    X(COSH_F, f, cosh(a.f))                                       \
    X(ASINH_F, f, asinh(a.f))                                     \
    X(ACOSH_F, f, acosh(a.f))                                     \
    X(ATANH_F, f, atanh(a.f))                                     \
    X(MOD_F, f, modulo_real(a.f, b.f))                            \
    X(REST_F, f, fmod(a.f, b.f))                                  \
    X(POW_I, i, power(a.i, b.i))

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

/* The kernels -------------------------------------------------------------------------------------------- */

/* The constants of a dispatch (chain/chain.h). */
static uint32_t walk_of(const uint32_t *constants, int operand)
{
    return constants[9] >> 4 * operand & 15;
}

static bool is_real(const uint32_t *constants, int binding)
{
    return constants[10] >> binding & 1;
}

static kiln_register load(const kiln_memory *m, const uint32_t *constants, int binding, size_t i)
{
    kiln_register r = {0};
    if (is_real(constants, binding))
        r.f = ((const real *)m->at[binding])[i];
    else
        r.i = ((const int32_t *)m->at[binding])[i];
    return r;
}

static void set_immediates(kiln_register *registers, const uint32_t *words, uint32_t integers)
{
    for (int i = 0; i < KILN_CHAIN_IMMEDIATES; i++) {
        float part[2];
        memcpy(part, words + 2 * i, sizeof part);
        if (integers >> i & 1)
            registers[KILN_REGISTER_IMMEDIATE + i].i = (int32_t)words[2 * i];
        else
            registers[KILN_REGISTER_IMMEDIATE + i].f = (real)((double)part[0] + (double)part[1]);
    }
}

/* Run the steps on loaded registers and store the result as element i. */
static void run(const uint32_t *constants, kiln_register *registers, const kiln_memory *m, size_t i)
{
    const int steps = (int)(constants[0] >> 8 & 255), result = KILN_CHAIN_OPERANDS - 1;
    for (int s = 0; s < steps; s++)
        registers[KILN_REGISTER_STEP + s] = kiln_cpu_step(constants[1 + s], registers);
    const kiln_register y = registers[constants[0] >> 16 & 255];
    if (is_real(constants, result))
        ((real *)m->at[result])[i] = y.f;
    else
        ((int32_t *)m->at[result])[i] = y.i;
}

void KILN_REFERENCE(chain)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                           size_t count)
{
    const struct kiln_params_chain *p = block;
    const int operands = (int)(constants[0] & 255);
    kiln_register registers[24] = {{0}};
    set_immediates(registers, p->immediate, constants[10] >> 8);
    for (size_t i = first; i < first + count; i++) {
        const size_t at[] = {[KILN_WALK_FLAT] = i,
                             [KILN_WALK_SCALAR] = 0,
                             [KILN_WALK_ROW] = i / p->row,
                             [KILN_WALK_COLUMN] = i % p->row};
        for (int k = 0; k < operands; k++)
            registers[k] = load(m, constants, k, at[walk_of(constants, k)]);
        run(constants, registers, m, i);
    }
}

/* The element of a strided operand that belongs to element i of the result. */
static size_t strided(const struct kiln_params_chain_strided *p, uint32_t rank, uint32_t place, size_t i)
{
    const uint32_t *step = p->walk + 3 * (rank - 1) + place * rank;
    size_t at = 0;
    for (uint32_t axis = rank - 1; axis > 0; axis--) {
        const uint32_t size = p->walk[3 * (axis - 1)];
        at += i % size * step[axis];
        i /= size;
    }
    return at + i * step[0];
}

void KILN_REFERENCE(chain_strided)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                   size_t first, size_t count)
{
    const struct kiln_params_chain_strided *p = block;
    const int operands = (int)(constants[0] & 255);
    kiln_register registers[24] = {{0}};
    set_immediates(registers, p->immediate, constants[10] >> 8);
    for (size_t i = first; i < first + count; i++) {
        for (int k = 0; k < operands; k++) {
            const uint32_t walk = walk_of(constants, k);
            const size_t at = walk == KILN_WALK_STRIDED
                                  ? strided(p, constants[0] >> 24, constants[11] >> 4 * k & 15, i)
                              : walk == KILN_WALK_FLAT ? i
                                                       : 0;
            registers[k] = load(m, constants, k, at);
        }
        run(constants, registers, m, i);
    }
}
