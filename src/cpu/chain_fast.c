/*
 * chain_fast.c - the steps of a chain as loops over a block of elements.
 *
 * Every step is one plain loop, compiled for the baseline and for AVX2, so that the compiler's vectorizer does the work.
 */
#include "cpu/chain.h"

#include "chain/codes.h"
#include "cpu/functions.h"

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

/* Loops -------------------------------------------------------------------------------------------------- */

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
