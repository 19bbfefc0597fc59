/*
 * elementwise_bounds.c - the accuracy of functions: a dense sweep of each, on every device, within the bounds that math.glsl,
 * activations.glsl and trigonometry.glsl state.
 */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1 << 15 };

/* The unit of an error: that of the last place of the exact value; below the normal range its own, as denormals may be zero. */
static double unit_of(double exact)
{
    int e;
    frexp(exact, &e);
    return ldexp(1, e - 24 < -126 ? -126 : e - 24);
}

static kiln_tensor silu_narrow(kiln_graph *g, kiln_tensor x)
{
    return kiln_swish(g, x, 1.702);
}

static kiln_tensor elu(kiln_graph *g, kiln_tensor x)
{
    return kiln_elu(g, x, 1);
}

static const struct bound {
    const char *why;
    kiln_tensor (*f)(kiln_graph *g, kiln_tensor x);
    double low, high;       /* where it is swept */
    double units, absolute; /* allowed: the larger of the two */
    bool follows;           /* swept behind a product, too, where four results are finished at once */
} bounds[] = {
    {"exp", kiln_exp, -86, 88, 2, 0},
    {"expm1", kiln_expm1, -20, 88, 3, 0},
    {"expm1 near zero", kiln_expm1, -0.5, 0.5, 3, 0},
    {"log", kiln_log, 1e-37, 3e38, 2, 0},
    {"log near one", kiln_log, 0.7, 1.5, 2, 0},
    {"log1p", kiln_log1p, -0.99, 10, 4, 0},
    {"log1p near zero", kiln_log1p, -1e-3, 1e-3, 4, 0},
    {"tanh", kiln_tanh, -10, 10, 4, 0, true},
    {"tanh near zero", kiln_tanh, -0.7, 0.7, 4, 0, true},
    {"sigmoid", kiln_sigmoid, -80, 20, 5, 0, true},
    {"softplus", kiln_softplus, -80, 40, 5, 0},
    {"sin", kiln_sin, -100, 100, 0, 0x1p-22},
    {"cos of large values", kiln_cos, -1e6, 1e6, 0, 0x1p-22},
    {"sin of huge values", kiln_sin, -1e38, 1e38, 0, 0x1p-22},
    {"tan", kiln_tan, -100, 100, 6, 0},
    {"tan near zero", kiln_tan, -0.8, 0.8, 6, 0},
    {"tan of huge values", kiln_tan, -1e38, 1e38, 6, 0},
    {"asin", kiln_asin, -1, 1, 6, 0},
    {"acos", kiln_acos, -1, 1, 6, 0},
    {"acos near one", kiln_acos, 0.99, 1, 6, 0},
    {"atan", kiln_atan, -1e38, 1e38, 5, 0},
    {"atan near one", kiln_atan, -3, 3, 5, 0},
    {"sinh", kiln_sinh, -89, 89, 6, 0},
    {"sinh near zero", kiln_sinh, -1.1, 1.1, 6, 0},
    {"cosh", kiln_cosh, -89, 89, 6, 0},
    {"asinh", kiln_asinh, -1e38, 1e38, 8, 0},
    {"asinh near zero", kiln_asinh, -10, 10, 8, 0},
    {"acosh", kiln_acosh, 1, 1e38, 8, 0},
    {"acosh near one", kiln_acosh, 1, 1.1, 8, 0},
    {"atanh", kiln_atanh, -0.9999, 0.9999, 8, 0},
    {"erf", kiln_erf, -5, 5, 4, 0},
    {"gelu", kiln_gelu, -10, 10, 10, 0, true},
    {"gelu far below", kiln_gelu, -14.4, -9, 10, 0x1p-60, true},
    {"gelu, tanh", kiln_gelu_tanh, -12, 12, 12, 0x1p-28, true},
    {"silu", kiln_silu, -10, 20, 10, 0, true},
    {"silu, narrow", silu_narrow, -5.8, 30, 12, 0, true},
    {"mish", kiln_mish, -80, 20, 6, 0},
    {"elu", elu, -80, 4, 4, 0},
    {"softsign", kiln_softsign, -1e30, 1e30, 4, 0},
    {"hard swish", kiln_hard_swish, -4, 4, 3, 0x1p-23, true},
};

/* Floats in order: neighbours are neighbouring numbers. */
static int64_t order_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? (int64_t)INT32_MIN - bits : bits;
}

static float float_of(int64_t order)
{
    const int32_t bits = (int32_t)(order < 0 ? INT32_MIN - order : order);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Half evenly among the floats of the range, half evenly in the range. */
static kiln_tensor sweep(kiln_graph *g, double low, double high)
{
    float *x = malloc(COUNT * sizeof *x);
    const int64_t first = order_of((float)low), last = order_of((float)high);
    for (int i = 0; i < COUNT / 2; i++) {
        x[i] = float_of(first + (last - first) * i / (COUNT / 2 - 1));
        x[COUNT / 2 + i] = (float)(low + (high - low) * i / (COUNT / 2 - 1));
    }
    const kiln_tensor t = kiln_test_values(g, KILN_SHAPE(COUNT), x);
    free(x);
    return t;
}

static kiln_tensor build_bound(kiln_graph *g, const void *one_case)
{
    const struct bound *b = one_case;
    return b->f(g, sweep(g, b->low, b->high));
}

/* Behind a product with one, whose results lie in fours. */
static kiln_tensor build_behind(kiln_graph *g, const void *one_case)
{
    enum { SIDE = 8 };
    const struct bound *b = one_case;
    float one[SIDE * SIDE] = {0};
    for (int i = 0; i < SIDE; i++)
        one[i * SIDE + i] = 1;
    const kiln_tensor x = kiln_reshape(g, sweep(g, b->low, b->high), KILN_SHAPE(COUNT / SIDE, SIDE));
    return b->f(g, kiln_matmul(g, x, kiln_test_values(g, KILN_SHAPE(SIDE, SIDE), one), NULL));
}

/* The largest error, over what is allowed. */
static double worst_of(const double *got, const double *want, size_t count, double units, double absolute)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        const double allowed = fmax(fmax(units, 1) * unit_of(want[i]), absolute);
        if (units == 0 && absolute > 0)
            worst = fmax(worst, fabs(got[i] - want[i]) / absolute);
        else if (got[i] != want[i])
            worst = fmax(worst, isfinite(got[i]) ? fabs(got[i] - want[i]) / allowed : INFINITY);
    }
    return worst;
}

/* A function swept over a range, and what is allowed. */
struct claim {
    const char *why;
    kiln_test_build *build;
    const void *one_case;
    double units, absolute;
    double *want;
    size_t count;
};

static void expect_claim(const struct claim *c, kiln_device *dev, const char *device)
{
    double *got = kiln_test_eval(c->build, c->one_case, dev, NULL);
    const double worst = worst_of(got, c->want, c->count, c->units, c->absolute);
    cr_expect_leq(worst, 1, "%s on %s: %.2f of the %g units or %g that are allowed", c->why, device, worst,
                  c->units, c->absolute);
    free(got);
}

static void expect_claims(struct claim *claims, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        kiln_shape shape;
        claims[i].want = kiln_test_eval(claims[i].build, claims[i].one_case, NULL, &shape);
        claims[i].count = (size_t)kiln_shape_count(&shape);
    }
    for (int k = 0; kiln_test_device(k); k++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(k));
        for (size_t i = 0; i < count; i++)
            expect_claim(&claims[i], dev, kiln_test_device(k));
        kiln_test_close(&dev);
    }
    for (size_t i = 0; i < count; i++)
        free(claims[i].want);
}

Test(elementwise_bounds, functions_keep_theirs_on_every_device)
{
    struct claim claims[KILN_COUNT(bounds)];
    for (size_t i = 0; i < KILN_COUNT(bounds); i++) {
        const struct bound *b = &bounds[i];
        claims[i] = (struct claim){b->why, build_bound, b, b->units, b->absolute, NULL, 0};
    }
    expect_claims(claims, KILN_COUNT(claims));
}

Test(elementwise_bounds, activations_keep_theirs_behind_a_product)
{
    struct claim claims[KILN_COUNT(bounds)];
    size_t count = 0;
    for (size_t i = 0; i < KILN_COUNT(bounds); i++) {
        const struct bound *b = &bounds[i];
        if (b->follows)
            claims[count++] = (struct claim){b->why, build_behind, b, b->units, b->absolute, NULL, 0};
    }
    expect_claims(claims, count);
}

/* The slope of an activation is the gradient of its sum. */
static const struct slope {
    const char *why;
    kiln_tensor (*f)(kiln_graph *g, kiln_tensor x);
    double low, high;
} slopes[] = {
    {"gelu", kiln_gelu, -12, 12},
    {"gelu, tanh", kiln_gelu_tanh, -12, 12},
    {"silu", kiln_silu, -40, 40},
    {"mish", kiln_mish, -40, 40},
    {"erf", kiln_erf, -5, 5},
    {"softsign", kiln_softsign, -100, 100},
    {"softplus", kiln_softplus, -80, 30},
    {"tanh", kiln_tanh, -10, 10},
    {"sigmoid", kiln_sigmoid, -80, 20},
};

static kiln_tensor build_slope(kiln_graph *g, const void *one_case)
{
    const struct slope *s = one_case;
    const kiln_tensor x = sweep(g, s->low, s->high);
    kiln_tensor dx;
    kiln_gradient(g, s->f(g, x), KILN_NONE, &x, 1, &dx);
    return dx;
}

Test(elementwise_bounds, slopes_keep_theirs_on_every_device)
{
    struct claim claims[KILN_COUNT(slopes)];
    for (size_t i = 0; i < KILN_COUNT(slopes); i++)
        claims[i] = (struct claim){slopes[i].why, build_slope, &slopes[i], 0, 0x1p-20, NULL, 0};
    expect_claims(claims, KILN_COUNT(claims));
}

/* Two operands ------------------------------------------------------------------------------------------- */

static kiln_tensor build_pow(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_pow(g, kiln_test_input_in(g, KILN_SHAPE(20000), 1e-3, 50),
                    kiln_test_input_in(g, KILN_SHAPE(20000), -8, 8));
}

static kiln_tensor build_odd_pow(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float a[] = {-2, -2, -2, 0, 0, 0, 1, NAN, INFINITY, -INFINITY, 0.5f, 2, -1, 9};
    const float b[] = {3, 2, 0.5f, 2, -1, 0, NAN, 0, -2, 3, INFINITY, -INFINITY, INFINITY, 0.5f};
    return kiln_pow(g, kiln_test_values(g, KILN_SHAPE(14), a), kiln_test_values(g, KILN_SHAPE(14), b));
}

static void expect_odd(kiln_test_build *build, const double *want, size_t count, const char *why)
{
    kiln_expect_values(build, NULL, want, count, 1e-12, why);
    for (int k = 0; kiln_test_device(k); k++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(k));
        double *got = kiln_test_eval(build, NULL, dev, NULL);
        kiln_expect_close(got, want, count, 1e-6, kiln_test_device(k));
        free(got);
        kiln_test_close(&dev);
    }
}

Test(elementwise_bounds, powers_keep_their_bound_and_their_odd_values)
{
    const double odd[] = {-8, 4, NAN, 0, INFINITY, 1, 1, 1, 0, -INFINITY, 0, 0, 1, 3};
    expect_claims(&(struct claim){"pow", build_pow, NULL, 16, 0, NULL, 0}, 1);
    expect_odd(build_odd_pow, odd, KILN_COUNT(odd), "odd powers");
}

static kiln_tensor build_angle(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_atan2(g, kiln_test_input_in(g, KILN_SHAPE(20000), -3, 3),
                      kiln_test_input_in(g, KILN_SHAPE(20000), -3, 3));
}

static kiln_tensor build_odd_angle(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float inf = INFINITY;
    const float y[] = {0, -0.0f, 0, -0.0f, 1, -1, inf, -inf, inf, 2, NAN, 1, 1e38f, 3e-38f, 3e38f};
    const float x[] = {1, 1, -1, -0.0f, 0, -0.0f, inf, -inf, -1, -inf, 1, NAN, 1e38f, 6e-38f, -1e-30f};
    return kiln_atan2(g, kiln_test_values(g, KILN_SHAPE(15), y), kiln_test_values(g, KILN_SHAPE(15), x));
}

Test(elementwise_bounds, angles_keep_their_bound_and_their_odd_values)
{
    const double pi = acos(-1);
    const double odd[] = {0,           0,      pi, -pi, pi / 2, -pi / 2, pi / 4,
                          -3 * pi / 4, pi / 2, pi, NAN, NAN,    pi / 4,  atan2(3e-38f, 6e-38f),
                          pi / 2};
    expect_claims(&(struct claim){"atan2", build_angle, NULL, 6, 0, NULL, 0}, 1);
    expect_odd(build_odd_angle, odd, KILN_COUNT(odd), "odd angles");
}

/* NaN, the infinities, and what lies outside a domain ---------------------------------------------------- */

static kiln_tensor build_outside(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {NAN, INFINITY, -INFINITY, 1, -1, 1.5f, -1.5f, 0};
    const kiln_tensor t = kiln_test_values(g, KILN_SHAPE(8), x);
    const kiln_tensor all[] = {kiln_tan(g, t),   kiln_asin(g, t), kiln_acos(g, t),  kiln_atan(g, t),
                               kiln_sinh(g, t),  kiln_cosh(g, t), kiln_asinh(g, t), kiln_acosh(g, t),
                               kiln_atanh(g, t), kiln_erf(g, t)};
    return kiln_concat(g, all, KILN_COUNT(all), 0);
}

Test(elementwise_bounds, odd_values_pass_as_in_c)
{
    static double (*const f[])(double) = {tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh, erf};
    const double x[] = {NAN, INFINITY, -INFINITY, 1, -1, 1.5, -1.5, 0};
    double want[KILN_COUNT(f) * KILN_COUNT(x)];
    for (size_t i = 0; i < KILN_COUNT(want); i++)
        want[i] = f[i / KILN_COUNT(x)](x[i % KILN_COUNT(x)]);
    expect_odd(build_outside, want, KILN_COUNT(want), "outside");
}
