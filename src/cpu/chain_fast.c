/*
 * chain_fast.c - the steps of a chain as loops over a block of elements.
 *
 * Every step is one plain loop, compiled for the baseline and for AVX2, so that the compiler's vectorizer does the work; the
 * mathematical functions are therefore free of calls, branches and tables. exp and log are the polynomials of Cephes
 * (Moshier), the others are built on them.
 */
#include "cpu/chain.h"

#include <math.h>

#include "chain/codes.h"
#include "cpu/simd.h"

union word {
    float f;
    int32_t i;
    uint32_t u;
};

/* Mathematical functions ------------------------------------------------------------------------------------------ */

KILN_INLINE float from_bits(uint32_t bits)
{
    return ((union word){.u = bits}).f;
}

KILN_INLINE uint32_t bits_of(float x)
{
    return ((union word){.f = x}).u;
}

/* 2^n for n in -126 .. 128 (128 gives infinity). */
KILN_INLINE float power_of_two(int32_t n)
{
    return from_bits((uint32_t)(n + 127) << 23);
}

/* Both comparisons are false for NaN, which passes. */
KILN_INLINE float clamp(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* x rounded to an integer, for |x| < 2^22; any integer for NaN. */
KILN_INLINE int32_t nearest(float x)
{
    return (int32_t)(bits_of(x + 12582912.0f) & 0x7fffff) - 0x400000;
}

/* x - n ln(2), the first product exact. */
KILN_INLINE float exp_rest(float x, float n)
{
    return x - n * 0.693359375f + n * 2.12194440e-4f;
}

/* exp(r) - 1 for |r| <= ln(2) / 2. */
KILN_INLINE float expm1_near(float r)
{
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    return y * r * r + r;
}

KILN_INLINE float fast_exp(float x)
{
    x = clamp(x, -104, 89);
    const int32_t n = nearest(x * 1.44269504f);
    const float y = expm1_near(exp_rest(x, (float)n)) + 1;
    const int32_t half = n >> 1; /* in two steps: 2^n itself may be out of range */
    return y * power_of_two(half) * power_of_two(n - half);
}

KILN_INLINE float fast_expm1(float x)
{
    x = clamp(x, -28, 89);
    const int32_t n = nearest(x * 1.44269504f);
    const float t = power_of_two(n - 1);
    return 2 * (t * expm1_near(exp_rest(x, (float)n)) + (t - 0.5f));
}

/* Of 1 + f in [sqrt(1/2), sqrt(2)), times 2^e. */
KILN_INLINE float log_near(float f, float e)
{
    float y = 7.0376836292e-2f;
    y = y * f - 1.1514610310e-1f;
    y = y * f + 1.1676998740e-1f;
    y = y * f - 1.2420140846e-1f;
    y = y * f + 1.4249322787e-1f;
    y = y * f - 1.6668057665e-1f;
    y = y * f + 2.0000714765e-1f;
    y = y * f - 2.4999993993e-1f;
    y = y * f + 3.3333331174e-1f;
    y = y * f * f * f - e * 2.12194440e-4f;
    y -= 0.5f * f * f;
    return y + f + e * 0.693359375f;
}

KILN_INLINE float fast_log(float x)
{
    const bool tiny = x < 1.17549435e-38f;
    const uint32_t bits = bits_of(tiny ? x * 8388608 : x) - 0x3f3504f3; /* sqrt(1/2) */
    const float e = (float)((int32_t)bits >> 23) - (tiny ? 23.0f : 0.0f);
    const float y = log_near(from_bits((bits & 0x007fffff) + 0x3f3504f3) - 1, e);
    const float odd = x == 0 ? -INFINITY : x < 0 ? NAN : x; /* 0, negative, infinite, NaN */
    return x > 0 && x < INFINITY ? y : odd;
}

/* log(1 + x) is log(u) + (x - (u - 1)) / u for u the rounded 1 + x. */
KILN_INLINE float fast_log1p(float x)
{
    const float u = 1 + x;
    const float lost = (x - (u - 1)) / u;
    return fast_log(u) + (u > 0 && u < INFINITY ? lost : 0);
}

KILN_INLINE float fast_tanh(float x)
{
    const float z = x * x;
    float y = -5.70498872745e-3f;
    y = y * z + 2.06390887954e-2f;
    y = y * z - 5.37397155531e-2f;
    y = y * z + 1.33314422036e-1f;
    y = y * z - 3.33332819422e-1f;
    y = y * z * x + x;
    const float a = fabsf(x);
    const float far = 1 - 2 / (fast_exp(2 * (a > 10 ? 10 : a)) + 1);
    return a < 0.625f ? y : copysignf(far, x);
}

KILN_INLINE float fast_sigmoid(float x)
{
    const float e = fast_exp(-fabsf(x));
    const float y = 1 / (1 + e);
    return x < 0 ? e * y : y;
}

KILN_INLINE float fast_softplus(float x)
{
    return (x < 0 ? 0 : x) + fast_log1p(fast_exp(-fabsf(x)));
}

/* sin(x + q pi / 2) for |x| < NEAR, reduced in double with pi / 2 in two parts. */
#define NEAR 1e8f
KILN_INLINE float sin_near(float x, int32_t q)
{
    const int32_t n = (int32_t)((double)x * 0.63661977236758134308 + (x < 0 ? -0.5 : 0.5));
    const float r = (float)(x - n * 1.57079631090164184570 - n * 1.58932547735281966916e-8);
    const float z = r * r;
    const float sine = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
    const float cosine =
        ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z +
        1;
    const float y = (n + q) & 1 ? cosine : sine;
    return (n + q) & 2 ? -y : y;
}

KILN_INLINE bool is_near(float x)
{
    return fabsf(x) < NEAR;
}

KILN_INLINE float larger(float a, float b)
{
    return a >= b || a != a ? a : b;
}

KILN_INLINE float smaller(float a, float b)
{
    return a <= b || a != a ? a : b;
}

/* Towards zero; 0 where b is 0. */
KILN_INLINE int32_t divide(int32_t a, int32_t b)
{
    return b == 0 ? 0 : b == -1 ? (int32_t)(0 - (uint32_t)a) : a / b;
}

KILN_INLINE int32_t integer_of(float x)
{
    const int32_t y = (int32_t)clamp(x == x ? x : 0, -2147483648.0f, 2147483520.0f);
    return x >= 2147483648.0f ? INT32_MAX : y;
}

/* Loops ------------------------------------------------------------------------------------------------------------ */

/* code, the result's member of union word, the result by x, y, z (reals), i, j (integers), u, v, w (their bits) */
#define STEPS(X)                             \
    X(ADD_F, f, x + y)                       \
    X(SUB_F, f, x - y)                       \
    X(MUL_F, f, (x * y))                     \
    X(DIV_F, f, x / y)                       \
    X(MAX_F, f, larger(x, y))                \
    X(MIN_F, f, smaller(x, y))               \
    X(POW_F, f, powf(x, y))                  \
    X(ADD_I, u, u + v)                       \
    X(SUB_I, u, u - v)                       \
    X(MUL_I, u, (u * v))                     \
    X(DIV_I, i, divide(i, j))                \
    X(MAX_I, i, i > j ? i : j)               \
    X(MIN_I, i, i < j ? i : j)               \
    X(EQUAL_F, i, x == y)                    \
    X(NOT_EQUAL_F, i, x != y)                \
    X(LESS_F, i, x < y)                      \
    X(LESS_EQUAL_F, i, x <= y)               \
    X(EQUAL_I, i, i == j)                    \
    X(NOT_EQUAL_I, i, i != j)                \
    X(LESS_I, i, i < j)                      \
    X(LESS_EQUAL_I, i, i <= j)               \
    X(AND, i, (u != 0) & (v != 0))           \
    X(OR, i, (u | v) != 0)                   \
    X(NOT, i, u == 0)                        \
    X(WHERE, u, u ? v : w)                   \
    X(NEG_F, u, u ^ 0x80000000)              \
    X(ABS_F, u, u & 0x7fffffff)              \
    X(SIGN_F, f, x > 0 ? 1 : x < 0 ? -1 : x) \
    X(FLOOR_F, f, floorf(x))                 \
    X(EXP_F, f, fast_exp(x))                 \
    X(EXPM1_F, f, fast_expm1(x))             \
    X(LOG_F, f, fast_log(x))                 \
    X(LOG1P_F, f, fast_log1p(x))             \
    X(SQRT_F, f, sqrtf(x))                   \
    X(RSQRT_F, f, 1 / sqrtf(x))              \
    X(RECIPROCAL_F, f, 1 / x)                \
    X(TANH_F, f, fast_tanh(x))               \
    X(SIGMOID_F, f, fast_sigmoid(x))         \
    X(SOFTPLUS_F, f, fast_softplus(x))       \
    X(RELU_F, f, x <= 0 ? 0 : x)             \
    X(LEAKY_RELU_F, f, x > 0 ? x : x * y)    \
    X(CLIP_F, f, smaller(larger(x, y), z))   \
    X(NEG_I, u, 0 - u)                       \
    X(ABS_I, u, i < 0 ? 0 - u : u)           \
    X(F_FROM_I, f, (float)i)                 \
    X(I_FROM_F, i, integer_of(x))            \
    X(TRUTH_F, i, x != 0)                    \
    X(TRUTH_I, i, u != 0)                    \
    X(RELU_GRAD_F, u, x > 0 ? v : 0)         \
    X(COPY, u, u)

/* sin and cos take two: by polynomials where the argument is near zero, by the C library where it is not */
#define PARTS(X)                                         \
    X(SIN_NEAR_F, f, sin_near(is_near(x) ? x : 0, 0))    \
    X(SIN_FAR_F, f, is_near(x) ? d[k].f : (float)sin(x)) \
    X(COS_NEAR_F, f, sin_near(is_near(x) ? x : 0, 1))    \
    X(COS_FAR_F, f, is_near(x) ? d[k].f : (float)cos(x))

typedef void loop(union word *restrict d, const union word *a, const union word *b, const union word *c,
                  int count);

#define LOOP(target, suffix, code, member, result)                                                    \
    target static void code##suffix(union word *restrict d, const union word *a, const union word *b, \
                                    const union word *c, int count)                                   \
    {                                                                                                 \
        for (int k = 0; k < count; k++) {                                                             \
            const float x = a[k].f, y = b[k].f, z = c[k].f;                                           \
            const int32_t i = a[k].i, j = b[k].i;                                                     \
            const uint32_t u = a[k].u, v = b[k].u, w = c[k].u;                                        \
            (void)x, (void)y, (void)z, (void)i, (void)j, (void)u, (void)v, (void)w;                   \
            d[k].member = result;                                                                     \
        }                                                                                             \
    }

#define PLAIN(code, member, result) LOOP(, _plain, code, member, result)
#define AVX2(code, member, result)  LOOP(KILN_TARGET_AVX2, _avx2, code, member, result)
STEPS(PLAIN)
PARTS(PLAIN)
STEPS(AVX2)
PARTS(AVX2)

#define PLAIN_ROW(code, member, result) [KILN_STEP_##code] = {code##_plain},
#define AVX2_ROW(code, member, result)  [KILN_STEP_##code] = {code##_avx2},

static loop *const plain[KILN_STEP_COUNT][2] = {
    STEPS(PLAIN_ROW)[KILN_STEP_SIN_F] = {SIN_NEAR_F_plain, SIN_FAR_F_plain},
    [KILN_STEP_COS_F] = {COS_NEAR_F_plain, COS_FAR_F_plain},
};
static loop *const avx2[KILN_STEP_COUNT][2] = {
    STEPS(AVX2_ROW)[KILN_STEP_SIN_F] = {SIN_NEAR_F_avx2, SIN_FAR_F_avx2},
    [KILN_STEP_COS_F] = {COS_NEAR_F_avx2, COS_FAR_F_avx2},
};

void kiln_chain_run_f32(const uint32_t *step, int steps, float *const registers[KILN_CHAIN_REGISTERS],
                        int count)
{
    loop *const(*const table)[2] = kiln_has_avx2() ? avx2 : plain;
    for (int s = 0; s < steps; s++) {
        const union word *const a = (const union word *)registers[step[s] >> 8 & 255];
        const union word *const b = (const union word *)registers[step[s] >> 16 & 255];
        const union word *const c = (const union word *)registers[step[s] >> 24];
        union word *const d = (union word *)registers[KILN_REGISTER_STEP + s];
        loop *const *const run = table[step[s] & 255];
        run[0](d, a, b, c, count);
        if (run[1])
            run[1](d, a, b, c, count);
    }
}
