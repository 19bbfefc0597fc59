/* chain.c - the steps of a chain on the CPU: awkward values and accuracy, against the C library in double. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "chain/codes.h"
#include "cpu/chain.h"

enum { COUNT = KILN_CHAIN_BLOCK };

static void run(uint32_t code, const float *a, const float *b, const float *c, float *d, int count)
{
    static float immediate[COUNT];
    float *registers[KILN_CHAIN_REGISTERS] = {(float *)a, (float *)b, (float *)c, [8] = d, [16] = immediate};
    const uint32_t step = code | 0u << 8 | 1u << 16 | 2u << 24;
    kiln_chain_run_f32(&step, 1, registers, count);
}

static float unary(uint32_t code, float x)
{
    float y;
    run(code, &x, &x, &x, &y, 1);
    return y;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

static double reciprocal(double x)
{
    return 1 / x;
}

static double gelu(double x)
{
    return x * erfc(-x / sqrt(2)) / 2;
}

static double mish(double x)
{
    return x * tanh(softplus(x));
}

static double rsqrt(double x)
{
    return 1 / sqrt(x);
}

/* ulp > 0: relative bound; below: absolute, in units of 2^-24. */
static const struct function {
    const char *name;
    uint32_t code;
    double (*exact)(double);
    double from, to, ulp;
} functions[] = {
    {"exp", KILN_STEP_EXP_F, exp, -87, 88.7, 3},
    {"exp, denormal results", KILN_STEP_EXP_F, exp, -104, -86, 3},
    {"expm1", KILN_STEP_EXPM1_F, expm1, -30, 88.7, 4},
    {"expm1, near zero", KILN_STEP_EXPM1_F, expm1, -1.2, 1.2, 4},
    {"log", KILN_STEP_LOG_F, log, 0, 1e38, 3},
    {"log, near one", KILN_STEP_LOG_F, log, 0.5, 2, 3},
    {"log, near zero", KILN_STEP_LOG_F, log, 1e-38, 1e-2, 3},
    {"log1p", KILN_STEP_LOG1P_F, log1p, -0.9999, 4, 4},
    {"log1p, near zero", KILN_STEP_LOG1P_F, log1p, -1e-3, 1e-3, 4},
    {"log1p, large", KILN_STEP_LOG1P_F, log1p, 1, 1e30, 4},
    {"sin", KILN_STEP_SIN_F, sin, -1000, 1000, -2},
    {"cos", KILN_STEP_COS_F, cos, -1000, 1000, -2},
    {"sin, large", KILN_STEP_SIN_F, sin, -1e9, 1e9, -2},
    {"cos, huge", KILN_STEP_COS_F, cos, -1e38, 1e38, -2},
    {"tanh", KILN_STEP_TANH_F, tanh, -12, 12, 3},
    {"tanh, near zero", KILN_STEP_TANH_F, tanh, -0.7, 0.7, 3},
    {"sigmoid", KILN_STEP_SIGMOID_F, sigmoid, -87, 20, 3},
    {"softplus", KILN_STEP_SOFTPLUS_F, softplus, -87, 40, 4},
    {"tan", KILN_STEP_TAN_F, tan, -1000, 1000, 4},
    {"tan, near zero", KILN_STEP_TAN_F, tan, -0.8, 0.8, 3},
    {"tan, huge", KILN_STEP_TAN_F, tan, -1e38, 1e38, 4},
    {"asin", KILN_STEP_ASIN_F, asin, -1, 1, 3},
    {"acos", KILN_STEP_ACOS_F, acos, -1, 1, 3},
    {"acos, near one", KILN_STEP_ACOS_F, acos, 0.999, 1, 3},
    {"atan", KILN_STEP_ATAN_F, atan, -1e6, 1e6, 3},
    {"atan, near zero", KILN_STEP_ATAN_F, atan, -2, 2, 3},
    {"sinh", KILN_STEP_SINH_F, sinh, -89, 89, 6},
    {"sinh, near zero", KILN_STEP_SINH_F, sinh, -1.5, 1.5, 4},
    {"cosh", KILN_STEP_COSH_F, cosh, -89, 89, 6},
    {"asinh", KILN_STEP_ASINH_F, asinh, -1e5, 1e5, 5},
    {"asinh, near zero", KILN_STEP_ASINH_F, asinh, -2, 2, 5},
    {"acosh", KILN_STEP_ACOSH_F, acosh, 1, 1e5, 5},
    {"acosh, near one", KILN_STEP_ACOSH_F, acosh, 1, 1.5, 5},
    {"atanh", KILN_STEP_ATANH_F, atanh, -1, 1, 6},
    {"atanh, near zero", KILN_STEP_ATANH_F, atanh, -0.01, 0.01, 6},
    {"erf", KILN_STEP_ERF_F, erf, -5, 5, 3},
    {"gelu", KILN_STEP_GELU_F, gelu, -10, 10, 6},
    {"mish", KILN_STEP_MISH_F, mish, -80, 20, 5},
    {"sqrt", KILN_STEP_SQRT_F, sqrt, 0, 1e30, 1},
    {"rsqrt", KILN_STEP_RSQRT_F, rsqrt, 1e-30, 1e10, 2},
    {"reciprocal", KILN_STEP_RECIPROCAL_F, reciprocal, -100, 100, 1},
};

/* Distance in units of the last place of the exact value; of the least denormal below the normal range. */
static double distance(float got, double exact, bool absolute)
{
    if (isnan(got) || isnan(exact))
        return isnan(got) && isnan(exact) ? 0 : INFINITY;
    int e;
    frexp(exact, &e);
    const double unit = absolute ? ldexp(1, -24) : ldexp(1, e - 24 < -149 ? -149 : e - 24);
    return fabs(got - exact) / unit;
}

Test(chain, functions_keep_their_bounds)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 2);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const struct function *f = &functions[i];
        double worst = 0, where = 0;
        for (int block = 0; block < 400; block++) {
            float x[COUNT], y[COUNT];
            for (int k = 0; k < COUNT; k++)
                x[k] = (float)(f->from + (f->to - f->from) * kiln_rng_uniform(&rng));
            run(f->code, x, x, x, y, COUNT);
            for (int k = 0; k < COUNT; k++) {
                const double d = distance(y[k], f->exact(x[k]), f->ulp < 0);
                if (d > worst)
                    worst = d, where = x[k];
            }
        }
        cr_expect_leq(worst, fabs(f->ulp), "%s(%.9g): %.2f units off, %g allowed", f->name, where, worst,
                      fabs(f->ulp));
    }
}

Test(chain, functions_take_the_odd_values_as_c_does)
{
    const float odd[] = {0,      -0.0f,   1,      -1,      INFINITY, -INFINITY, NAN,
                         1e-45f, -1e-45f, 1e-38f, 3.4e38f, -3.4e38f, 89,        -110};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
            const float got = unary(functions[i].code, odd[k]), want = (float)functions[i].exact(odd[k]);
            const bool same =
                isnan(want) ? isnan(got) : got == want || fabsf(got - want) <= 4e-7f * fabsf(want) + 2e-45f;
            cr_expect(same, "%s(%g): wanted %g, got %g", functions[i].name, odd[k], want, got);
        }
}

Test(chain, nan_passes_max_min_clip_and_relu)
{
    const float x[] = {NAN, 1, NAN, -2}, y[] = {1, NAN, NAN, -3}, z[] = {2, 2, 2, -2.5f};
    float d[4];
    run(KILN_STEP_MAX_F, x, y, z, d, 4);
    cr_expect(isnan(d[0]) && isnan(d[1]) && isnan(d[2]) && d[3] == -2);
    run(KILN_STEP_MIN_F, x, y, z, d, 4);
    cr_expect(isnan(d[0]) && isnan(d[1]) && isnan(d[2]) && d[3] == -3);
    run(KILN_STEP_CLIP_F, x, z, z, d, 4);
    cr_expect(isnan(d[0]) && d[1] == 2 && d[3] == -2.5f);
    run(KILN_STEP_RELU_F, x, y, z, d, 4);
    cr_expect(isnan(d[0]) && d[1] == 1 && d[3] == 0);
}

static int32_t integer(uint32_t code, int32_t a, int32_t b)
{
    float x, y, d;
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    run(code, &x, &y, &y, &d, 1);
    int32_t result;
    memcpy(&result, &d, 4);
    return result;
}

Test(chain, integers_wrap_and_divide_by_zero_to_zero)
{
    cr_expect_eq(integer(KILN_STEP_ADD_I, INT32_MAX, 1), INT32_MIN);
    cr_expect_eq(integer(KILN_STEP_MUL_I, 1 << 20, 1 << 20), 0);
    cr_expect_eq(integer(KILN_STEP_DIV_I, -7, 2), -3);
    cr_expect_eq(integer(KILN_STEP_DIV_I, 7, 0), 0);
    cr_expect_eq(integer(KILN_STEP_DIV_I, INT32_MIN, -1), INT32_MIN);
    cr_expect_eq(integer(KILN_STEP_ABS_I, INT32_MIN, 0), INT32_MIN);
    cr_expect_eq(integer(KILN_STEP_LESS_I, -1, 1), 1);
    cr_expect_eq(integer(KILN_STEP_AND, 2, 1), 1);
}

Test(chain, reals_become_integers_towards_zero_and_saturate)
{
    const float x[] = {1.9f, -1.9f, NAN, 3e9f, -3e9f, 2147483520.0f, INFINITY, -INFINITY};
    const int32_t want[] = {1, -1, 0, INT32_MAX, INT32_MIN, 2147483520, INT32_MAX, INT32_MIN};
    float d[8];
    int32_t got[8];
    run(KILN_STEP_I_FROM_F, x, x, x, d, 8);
    memcpy(got, d, sizeof got);
    cr_expect_arr_eq(got, want, sizeof want);
}

Test(chain, steps_of_quantizing_are_those_that_they_stand_for)
{
    float x[COUNT], y[COUNT], a[COUNT], b[COUNT], want[COUNT], got[COUNT];
    struct kiln_rng rng;
    kiln_rng_init(&rng, 5, 6);
    for (int k = 0; k < COUNT; k++) {
        const int32_t whole[] = {(int32_t)kiln_rng_next(&rng), (int32_t)kiln_rng_next(&rng)};
        x[k] = 0.5f * (float)(k - COUNT / 2); /* ties, too */
        y[k] = k % 3 ? (float)kiln_rng_normal(&rng) : 1;
        memcpy(&a[k], &whole[0], sizeof *whole);
        memcpy(&b[k], &whole[1], sizeof *whole);
    }
    run(KILN_STEP_DIV_F, x, y, y, want, COUNT);
    run(KILN_STEP_ROUND_F, want, y, y, want, COUNT);
    run(KILN_STEP_ROUNDED_F, x, y, y, got, COUNT);
    cr_expect_arr_eq(got, want, sizeof want);

    run(KILN_STEP_SUB_I, a, b, b, want, COUNT);
    run(KILN_STEP_F_FROM_I, want, b, b, want, COUNT);
    run(KILN_STEP_MUL_F, want, y, y, want, COUNT);
    run(KILN_STEP_SCALED_I, a, b, y, got, COUNT);
    cr_expect_arr_eq(got, want, sizeof want);
}

Test(chain, a_result_does_not_depend_on_its_place_in_the_block)
{
    float x[COUNT], y[COUNT];
    struct kiln_rng rng;
    kiln_rng_init(&rng, 3, 4);
    for (int k = 0; k < COUNT; k++)
        x[k] = (float)kiln_rng_normal(&rng);
    for (uint32_t code = 1; code < KILN_STEP_COUNT; code++) {
        run(code, x, x, x, y, COUNT);
        for (int k = 0; k < COUNT; k++) {
            float alone;
            run(code, &x[k], &x[k], &x[k], &alone, 1);
            cr_assert_eq(memcmp(&alone, &y[k], 4), 0, "code %u, element %d", code, k);
        }
    }
}
