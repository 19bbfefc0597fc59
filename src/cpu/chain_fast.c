/*
 * chain_fast.c - the steps of a chain as loops over a block of elements.
 *
 * Every step is one plain loop, compiled for the baseline, AVX2 and AVX-512, so that the compiler's vectorizer does the work.
 */
#include "cpu/chain.h"

#include "chain/codes.h"
#include "cpu/activations.h"
#include "cpu/functions.h"
#include "cpu/trigonometry.h"

/* Towards zero; 0 where b is 0. */
KILN_INLINE int32_t divide(int32_t a, int32_t b)
{
    return b == 0 ? 0 : b == -1 ? (int32_t)(0 - (uint32_t)a) : a / b;
}

/* What is left, with the sign of a; and with that of b. */
KILN_INLINE int32_t rest(int32_t a, int32_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}

KILN_INLINE int32_t modulo(int32_t a, int32_t b)
{
    const int32_t left = rest(a, b);
    return left && (left < 0) != (b < 0) ? left + b : left;
}

KILN_INLINE float modulo_real(float a, float b)
{
    const float left = fmodf(a, b);
    return left != 0 && (left < 0) != (b < 0) ? left + b : left;
}

KILN_INLINE uint32_t power(uint32_t a, uint32_t b)
{
    if ((int32_t)b < 0)
        return a == 1 ? 1 : a == UINT32_MAX ? (b & 1 ? a : 1) : 0;
    uint32_t y = 1;
    for (; b; b >>= 1, a *= a)
        y *= b & 1 ? a : 1;
    return y;
}

KILN_INLINE int32_t shift_right(int32_t a, uint32_t by)
{
    return a >> (by < 32 ? by : 31);
}

/* By conversions to signed integers, which vectors have. */
KILN_INLINE uint32_t unsigned_of(float x)
{
    const float positive = x > 0 ? x : 0, inside = positive < 4294967040.0f ? positive : 4294967040.0f;
    const bool upper = inside >= 2147483648.0f;
    const uint32_t y = (uint32_t)(int32_t)(upper ? inside - 2147483648.0f : inside);
    return x >= 4294967296.0f ? UINT32_MAX : upper ? y ^ UINT32_C(0x80000000) : y;
}

KILN_INLINE int32_t integer_of(float x)
{
    const float above = x > -2147483648.0f ? x : -2147483648.0f; /* of NaN, too */
    const int32_t y = (int32_t)(above < 2147483520.0f ? above : 2147483520.0f);
    return x >= 2147483648.0f ? INT32_MAX : x == x ? y : 0;
}

/* To the nearest that F16 and BF16 hold; base/half.h without branches. */
KILN_INLINE float to_half(float x)
{
    const uint32_t bits = bits_of(x), size = bits & 0x7fffffff, sign = bits ^ size;
    const uint32_t near = (size + 0xfff + (size >> 13 & 1)) & 0xffffe000;
    const uint32_t tiny = bits_of(from_bits(size) + 0.5f - 0.5f);
    const uint32_t normal = near >= 0x47800000 ? 0x7f800000 : near;
    return size > 0x7f800000 ? x : from_bits(sign | (size < 0x38800000 ? tiny : normal));
}

KILN_INLINE uint32_t to_bfloat(uint32_t bits)
{
    const uint32_t near = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    return (bits & 0x7fffffff) > 0x7f800000 ? bits : near;
}

/* Loops -------------------------------------------------------------------------------------------------- */

/* code, the result's member of union word, the result by x, y, z (reals), i, j, k (integers), u, v, w (their bits) */
#define STEPS(X)                                                  \
    X(ADD_F, f, x + y)                                            \
    X(SUB_F, f, x - y)                                            \
    X(MUL_F, f, (x * y))                                          \
    X(DIV_F, f, x / y)                                            \
    X(MAX_F, f, larger(x, y))                                     \
    X(MIN_F, f, smaller(x, y))                                    \
    X(POW_F, f, powf(x, y))                                       \
    X(ADD_I, u, u + v)                                            \
    X(SUB_I, u, u - v)                                            \
    X(MUL_I, u, (u * v))                                          \
    X(DIV_I, i, divide(i, j))                                     \
    X(MOD_I, i, modulo(i, j))                                     \
    X(REST_I, i, rest(i, j))                                      \
    X(MAX_I, i, i > j ? i : j)                                    \
    X(MIN_I, i, i < j ? i : j)                                    \
    X(DIV_U, u, v ? u / v : 0)                                    \
    X(MOD_U, u, v ? u % v : 0)                                    \
    X(MAX_U, u, u > v ? u : v)                                    \
    X(MIN_U, u, u < v ? u : v)                                    \
    X(BIT_AND, u, (u & v))                                        \
    X(BIT_OR, u, u | v)                                           \
    X(BIT_XOR, u, u ^ v)                                          \
    X(SHIFT_LEFT, u, v < 32 ? u << (v & 31) : 0)                  \
    X(SHIFT_RIGHT_I, i, shift_right(i, v))                        \
    X(SHIFT_RIGHT_U, u, v < 32 ? u >> (v & 31) : 0)               \
    X(EQUAL_F, i, x == y)                                         \
    X(NOT_EQUAL_F, i, x != y)                                     \
    X(LESS_F, i, x < y)                                           \
    X(LESS_EQUAL_F, i, x <= y)                                    \
    X(EQUAL_I, i, i == j)                                         \
    X(NOT_EQUAL_I, i, i != j)                                     \
    X(LESS_I, i, i < j)                                           \
    X(LESS_EQUAL_I, i, i <= j)                                    \
    X(LESS_U, i, u < v)                                           \
    X(LESS_EQUAL_U, i, u <= v)                                    \
    X(AND, i, (u != 0) & (v != 0))                                \
    X(OR, i, (u | v) != 0)                                        \
    X(XOR, i, (u != 0) != (v != 0))                               \
    X(INSIDE_F, i, (y <= x) & (x <= z))                           \
    X(NOT, i, u == 0)                                             \
    X(TRUTH_F, i, x != 0)                                         \
    X(TRUTH_I, i, u != 0)                                         \
    X(INFINITE_F, i, (u & 0x7fffffff) == 0x7f800000)              \
    X(WHERE, u, u ? v : w)                                        \
    X(NEG_F, u, u ^ 0x80000000)                                   \
    X(ABS_F, u, u & 0x7fffffff)                                   \
    X(SIGN_F, f, x > 0 ? 1 : x < 0 ? -1 : x)                      \
    X(FLOOR_F, f, floorf(x))                                      \
    X(CEIL_F, f, ceilf(x))                                        \
    X(ROUND_F, f, nearbyintf(x))                                  \
    X(TRUNC_F, f, truncf(x))                                      \
    X(EXPM1_F, f, fast_expm1(x))                                  \
    X(LOG_F, f, fast_log(x))                                      \
    X(LOG1P_F, f, fast_log1p(x))                                  \
    X(SQRT_F, f, sqrtf(x))                                        \
    X(RSQRT_F, f, 1 / sqrtf(x))                                   \
    X(RECIPROCAL_F, f, 1 / x)                                     \
    X(SOFTPLUS_F, f, fast_softplus(x))                            \
    X(RELU_F, f, x <= 0 ? 0 : x)                                  \
    X(MISH_F, f, mish(x))                                         \
    X(HARD_SWISH_F, f, (x * hard_sigmoid(x, 0.166666667f, 0.5f))) \
    X(SOFTSIGN_F, f, x / (1 + fabsf(x)))                          \
    X(LEAKY_RELU_F, f, x > 0 ? x : x * y)                         \
    X(CLIP_F, f, smaller(larger(x, y), z))                        \
    X(ELU_F, f, elu(x, y, z))                                     \
    X(SHRINK_F, f, shrink(x, y, z))                               \
    X(THRESHOLD_F, f, x <= y ? 0 : x)                             \
    X(HARD_SIGMOID_F, f, hard_sigmoid(x, y, z))                   \
    X(NEG_I, u, 0 - u)                                            \
    X(ABS_I, u, i < 0 ? 0 - u : u)                                \
    X(SIGN_I, i, (i > 0) - (i < 0))                               \
    X(BIT_NOT, u, ~u)                                             \
    X(CLIP_I, i, i > k ? k : i < j ? j : i)                       \
    X(CLIP_U, u, u > w ? w : u < v ? v : u)                       \
    X(F_FROM_I, f, (float)i)                                      \
    X(F_FROM_U, f, (float)u)                                      \
    X(I_FROM_F, i, integer_of(x))                                 \
    X(U_FROM_F, u, unsigned_of(x))                                \
    X(TO_F16, f, to_half(x))                                      \
    X(TO_BF16, u, to_bfloat(u))                                   \
    X(RELU_GRAD_F, u, x > 0 ? v : 0)                              \
    X(LEAKY_RELU_GRAD_F, f, x > 0 ? y : y * z)                    \
    X(THRESHOLD_GRAD_F, u, x > z ? v : 0)                         \
    X(TANH_GRAD_F, f, y *(1 - x) * (1 + x))                       \
    X(SIGMOID_GRAD_F, f, y *x *(1 - x))                           \
    X(SOFTPLUS_GRAD_F, f, fast_expm1(-x) * -y)                    \
    X(SOFTSIGN_GRAD_F, f, softsign_slope(x) * y)                  \
    X(HARD_SIGMOID_GRAD_F, f, ((x > 0) & (x < 1)) ? y *z : 0)     \
    X(HARD_SWISH_GRAD_F, f, hard_swish_slope(x) * y)              \
    X(ERF_GRAD_F, f, erf_slope(x) * y)                            \
    X(MISH_GRAD_F, f, mish_slope(x) * y)                          \
    X(ELU_SLOPE_F, f, x > 0 ? 1 : x * y + z)                      \
    X(ROUNDED_F, f, nearbyintf(x / y))                            \
    X(SCALED_I, f, ((float)(int32_t)(u - v) * z))                 \
    X(COPY, u, u)                                                 \
    X(ASIN_F, f, fast_asin(x))                                    \
    X(ACOS_F, f, fast_acos(x))                                    \
    X(ATAN_F, f, fast_atan2(x, 1))                                \
    X(ATAN2_F, f, fast_atan2(x, y))                               \
    X(SINH_F, f, fast_sinh(x))                                    \
    X(COSH_F, f, fast_cosh(x))                                    \
    X(ASINH_F, f, fast_asinh(x))                                  \
    X(ACOSH_F, f, fast_acosh(x))                                  \
    X(ATANH_F, f, fast_atanh(x))                                  \
    X(MOD_F, f, modulo_real(x, y))                                \
    X(REST_F, f, fmodf(x, y))                                     \
    X(POW_I, u, power(u, v))                                      \
    X(EXP_F, f, fast_exp(x))                                      \
    X(TANH_F, f, fast_tanh(x))                                    \
    X(SIGMOID_F, f, fast_sigmoid(x))                              \
    X(ERF_F, f, fast_erf(x))                                      \
    X(GELU_F, f, fast_gelu(x))                                    \
    X(GELU_TANH_F, f, gelu_tanh(x))                               \
    X(SILU_F, f, silu(x, y))                                      \
    X(GELU_GRAD_F, f, gelu_slope(x) * y)                          \
    X(GELU_TANH_GRAD_F, f, gelu_tanh_slope(x) * y)                \
    X(SILU_GRAD_F, f, silu_slope(x, z) * y)

/* sin, cos and tan take two: by polynomials where the argument is near zero, by the C library where it is not */
#define PARTS(X)                                         \
    X(SIN_NEAR_F, f, sin_near(is_near(x) ? x : 0, 0))    \
    X(SIN_FAR_F, f, is_near(x) ? d[e].f : (float)sin(x)) \
    X(COS_NEAR_F, f, sin_near(is_near(x) ? x : 0, 1))    \
    X(COS_FAR_F, f, is_near(x) ? d[e].f : (float)cos(x)) \
    X(TAN_NEAR_F, f, tan_near(is_near(x) ? x : 0))       \
    X(TAN_FAR_F, f, is_near(x) ? d[e].f : (float)tan(x))

typedef void loop(union word *restrict d, const union word *a, const union word *b, const union word *c,
                  int count);

#define LOOP(target, suffix, code, member, result)                                                    \
    target static void code##suffix(union word *restrict d, const union word *a, const union word *b, \
                                    const union word *c, int count)                                   \
    {                                                                                                 \
        for (int e = 0; e < count; e++) {                                                             \
            const float x = a[e].f, y = b[e].f, z = c[e].f;                                           \
            const int32_t i = a[e].i, j = b[e].i, k = c[e].i;                                         \
            const uint32_t u = a[e].u, v = b[e].u, w = c[e].u;                                        \
            (void)x, (void)y, (void)z, (void)i, (void)j, (void)k, (void)u, (void)v, (void)w;          \
            d[e].member = result;                                                                     \
        }                                                                                             \
    }

#define PLAIN(code, member, result)  LOOP(, _plain, code, member, result)
#define AVX2(code, member, result)   LOOP(KILN_TARGET_AVX2, _avx2, code, member, result)
#define AVX512(code, member, result) LOOP(KILN_TARGET_AVX512, _avx512, code, member, result)
STEPS(PLAIN)
PARTS(PLAIN)
STEPS(AVX2)
PARTS(AVX2)
STEPS(AVX512)
PARTS(AVX512)

#define PLAIN_ROW(code, member, result)  [KILN_STEP_##code] = {code##_plain},
#define AVX2_ROW(code, member, result)   [KILN_STEP_##code] = {code##_avx2},
#define AVX512_ROW(code, member, result) [KILN_STEP_##code] = {code##_avx512},

#define TABLE(name, ROW, suffix)                                               \
    static loop *const name[KILN_STEP_COUNT][2] = {                            \
        STEPS(ROW)[KILN_STEP_SIN_F] = {SIN_NEAR_F##suffix, SIN_FAR_F##suffix}, \
        [KILN_STEP_COS_F] = {COS_NEAR_F##suffix, COS_FAR_F##suffix},           \
        [KILN_STEP_TAN_F] = {TAN_NEAR_F##suffix, TAN_FAR_F##suffix},           \
    }
TABLE(plain, PLAIN_ROW, _plain);
TABLE(avx2, AVX2_ROW, _avx2);
TABLE(avx512, AVX512_ROW, _avx512);

void kiln_chain_run_f32(const uint32_t *step, int steps, float *const registers[KILN_CHAIN_REGISTERS],
                        int count)
{
    loop *const(*const table)[2] = kiln_has_avx512() ? avx512 : kiln_has_avx2() ? avx2 : plain;
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
