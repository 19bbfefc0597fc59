/* elementwise.c - arithmetic, comparison, functions, casts: known values, gradients, broadcasting, every device alike. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Functions of one value, over a range without kinks. */
static const struct unary {
    const char *why;
    kiln_tensor (*f)(kiln_graph *g, kiln_tensor x);
    double low, high;
} unaries[] = {
    {"neg", kiln_neg, -1, 1},
    {"abs", kiln_abs, 0.1, 1},
    {"exp", kiln_exp, -3, 3},
    {"expm1", kiln_expm1, -3, 3},
    {"log", kiln_log, 0.1, 4},
    {"log1p", kiln_log1p, -0.9, 4},
    {"sqrt", kiln_sqrt, 0.1, 4},
    {"rsqrt", kiln_rsqrt, 0.1, 4},
    {"reciprocal", kiln_reciprocal, 0.2, 4},
    {"square", kiln_square, -2, 2},
    {"sin", kiln_sin, -20, 20},
    {"cos", kiln_cos, -20, 20},
    {"tanh", kiln_tanh, -4, 4},
    {"sigmoid", kiln_sigmoid, -8, 8},
    {"softplus", kiln_softplus, -8, 8},
    {"relu above zero", kiln_relu, 0.1, 2},
    {"relu below zero", kiln_relu, -2, -0.1},
};

static kiln_tensor build_unary(kiln_graph *g, const void *one_case)
{
    const struct unary *u = one_case;
    return u->f(g, kiln_test_input_in(g, KILN_SHAPE(3, 100), u->low, u->high));
}

Test(elementwise, functions_of_one_value_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(unaries); i++) {
        kiln_expect_gradient(build_unary, &unaries[i], unaries[i].why);
        kiln_expect_devices_agree(build_unary, &unaries[i], true, 0, unaries[i].why);
    }
}

/* Functions of two, over shapes that exercise each walk. */
static const struct binary {
    const char *why;
    kiln_tensor (*f)(kiln_graph *g, kiln_tensor a, kiln_tensor b);
    kiln_shape a, b;
} binaries[] = {
    {"add, alike", kiln_add, {2, {7, 41}}, {2, {7, 41}}},
    {"sub, a scalar", kiln_sub, {2, {7, 41}}, {0, {0}}},
    {"mul, a row for all rows", kiln_mul, {2, {70, 5}}, {1, {5}}},
    {"div, a value a row", kiln_div, {2, {7, 41}}, {2, {7, 1}}},
    {"add, a value a channel", kiln_add, {4, {2, 3, 4, 5}}, {3, {3, 1, 1}}},
    {"max, both broadcast", kiln_max, {2, {9, 1}}, {2, {1, 33}}},
    {"min, axes inside", kiln_min, {3, {2, 1, 6}}, {3, {2, 5, 1}}},
    {"pow", kiln_pow, {2, {6, 30}}, {1, {30}}},
    {"mod", kiln_mod, {2, {6, 30}}, {1, {30}}},
    {"fmod", kiln_fmod, {2, {6, 1}}, {1, {7}}},
    {"mul, every other axis", kiln_mul, {6, {2, 1, 3, 1, 2, 1}}, {6, {1, 2, 1, 3, 1, 2}}},
    {"sub, more axes than the block has room for",
     kiln_sub,
     {8, {2, 1, 2, 1, 2, 1, 2, 1}},
     {8, {1, 2, 1, 2, 1, 2, 1, 2}}},
};

static kiln_tensor build_binary(kiln_graph *g, const void *one_case)
{
    const struct binary *b = one_case;
    const kiln_tensor x = kiln_test_input_in(g, b->a, 0.5, 2), y = kiln_test_input_in(g, b->b, 0.6, 2);
    return b->f(g, x, y);
}

Test(elementwise, functions_of_two_values_broadcast_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(binaries); i++) {
        kiln_expect_gradient(build_binary, &binaries[i], binaries[i].why);
        kiln_expect_devices_agree(build_binary, &binaries[i], true, 0, binaries[i].why);
    }
}

static kiln_tensor build_numbers(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(4, 9));
    const kiln_tensor leaky = kiln_leaky_relu(g, kiln_shift(g, x, 0.01), 0.2);
    return kiln_add(g, leaky, kiln_clip(g, kiln_scale(g, x, 3), -1.003, 1.501));
}

Test(elementwise, numbers_are_immediates)
{
    kiln_expect_gradient(build_numbers, NULL, "leaky relu, shift, clip, scale");
    kiln_expect_devices_agree(build_numbers, NULL, true, 0, "leaky relu, shift, clip, scale");
}

/* Ties of max go to a: both gradients are 1/2 by central differences, so the values are compared. */
static kiln_tensor build_ties(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float values[] = {1, 2, 3};
    const kiln_tensor a = kiln_test_values(g, KILN_SHAPE(3), values),
                      b = kiln_test_values(g, KILN_SHAPE(3), values);
    kiln_tensor dx[2];
    kiln_gradient(g, kiln_sum(g, kiln_max(g, a, b), NULL), KILN_NONE, (const kiln_tensor[]){a, b}, 2, dx);
    return kiln_sub(g, dx[0], dx[1]);
}

Test(elementwise, ties_of_max_go_to_the_first)
{
    kiln_expect_values(build_ties, NULL, (const double[]){1, 1, 1}, 3, 0, "ties");
}

static kiln_tensor build_logic(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor a = kiln_test_index(g, KILN_SHAPE(50), 4), b = kiln_test_index(g, KILN_SHAPE(2, 50), 4);
    const kiln_tensor some =
        kiln_or(g, kiln_less(g, a, b),
                kiln_and(g, kiln_equal(g, a, b), kiln_not(g, kiln_greater_equal(g, a, b))));
    const kiln_tensor number = kiln_where(g, some, kiln_add(g, a, b), kiln_neg(g, kiln_div(g, b, a)));
    return kiln_cast(g, number, KILN_F32);
}

Test(elementwise, integers_and_truth_on_every_device)
{
    kiln_expect_devices_agree(build_logic, NULL, false, 1e-30, "where, less, or, and, division by zero");
}

static kiln_tensor build_casts(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {1.9f, -1.9f, NAN, 3e9f, -3e9f, 0};
    const kiln_tensor t = kiln_test_values(g, KILN_SHAPE(6), x);
    const kiln_tensor whole = kiln_cast(g, kiln_cast(g, t, KILN_I32), KILN_F32);
    return kiln_add(g, whole, kiln_cast(g, kiln_cast(g, t, KILN_BOOL), KILN_F32));
}

Test(elementwise, casts_drop_the_fraction_and_saturate)
{
    const double want[] = {2, 0, 1, 2147483648.0, -2147483647.0, 0};
    kiln_expect_values(build_casts, NULL, want, 6, 1e-9, "casts");
    kiln_expect_devices_agree(build_casts, NULL, false, 1e-7, "casts");
}

static kiln_tensor build_nan(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {NAN, 1, -INFINITY, INFINITY, -2}, y[] = {1, NAN, 0, 0, -3};
    const kiln_tensor a = kiln_test_values(g, KILN_SHAPE(5), x), b = kiln_test_values(g, KILN_SHAPE(5), y);
    const kiln_tensor all[] = {kiln_max(g, a, b),      kiln_min(g, a, b), kiln_relu(g, a),
                               kiln_clip(g, a, -1, 1), kiln_exp(g, a),    kiln_tanh(g, a),
                               kiln_sigmoid(g, a)};
    return kiln_concat(g, all, KILN_COUNT(all), 0);
}

Test(elementwise, nan_and_infinity_pass_as_in_c)
{
    const double e = exp(1), t = tanh(1), s = 1 / (1 + exp(-1));
    const double want[] = {NAN,       NAN,      0,        INFINITY, -2,  NAN, NAN,
                           -INFINITY, 0,        -3,       NAN,      1,   0,   INFINITY,
                           0,         NAN,      1,        -1,       1,   -1,  NAN,
                           e,         0,        INFINITY, exp(-2),  NAN, t,   -1,
                           1,         tanh(-2), NAN,      s,        0,   1,   1 / (1 + exp(2))};
    kiln_expect_values(build_nan, NULL, want, KILN_COUNT(want), 1e-12, "odd values");
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        kiln_shape shape;
        double *got = kiln_test_eval(build_nan, NULL, dev, &shape);
        kiln_expect_close(got, want, KILN_COUNT(want), 1e-5, kiln_test_device(i));
        free(got);
        kiln_test_close(&dev);
    }
}

static kiln_tensor build_whole(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 0.49999997f, 8388609, NAN, -INFINITY, 1e30f};
    const kiln_tensor t = kiln_test_values(g, KILN_SHAPE(11), x);
    const kiln_tensor all[] = {kiln_floor(g, t), kiln_ceil(g, t), kiln_round(g, t), kiln_trunc(g, t)};
    return kiln_concat(g, all, KILN_COUNT(all), 0);
}

Test(elementwise, rounding_goes_four_ways)
{
    const double inf = INFINITY, big = 1e30f;
    const double want[] = {-3, -2, -1, 0, 1, 2, 0, 8388609, NAN, -inf, big,  /* down */
                           -2, -1, 0,  1, 2, 3, 1, 8388609, NAN, -inf, big,  /* up */
                           -2, -2, 0,  0, 2, 2, 0, 8388609, NAN, -inf, big,  /* to the nearest */
                           -2, -1, 0,  0, 1, 2, 0, 8388609, NAN, -inf, big}; /* towards zero */
    kiln_expect_values(build_whole, NULL, want, KILN_COUNT(want), 0, "rounding");
    kiln_expect_devices_agree(build_whole, NULL, false, 1e-38, "rounding");
}

static kiln_tensor build_rests(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float a[] = {5.5f, -5.5f, 5.5f, -5.5f, 1e30f, 3, 3, NAN, INFINITY, -6, 16777216, 2e-38f};
    const float b[] = {2, 2, -2, -2, 7, INFINITY, 0, 1, 2, 3, 0.1f, 1.5e-38f};
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(12), a), y = kiln_test_values(g, KILN_SHAPE(12), b);
    return kiln_concat(g, (const kiln_tensor[]){kiln_mod(g, x, y), kiln_fmod(g, x, y)}, 2, 0);
}

/* The rests are exact, so every device has them to the bit; of the least numbers too, unless it makes denormals zero. */
Test(elementwise, rests_of_division_are_exact)
{
    const double far = fmod(1e30f, 7), fine = fmod(16777216, 0.1f), least = (double)2e-38f - (double)1.5e-38f;
    const double want[] = {1.5, 0.5,  -0.5, -1.5, far, 3, NAN, NAN, NAN, 0, fine, least,
                           1.5, -1.5, 1.5,  -1.5, far, 3, NAN, NAN, NAN, 0, fine, least};
    kiln_expect_values(build_rests, NULL, want, KILN_COUNT(want), 0, "rests");
    kiln_expect_devices_agree(build_rests, NULL, false, 1e-37, "rests");
}

static kiln_tensor build_odd(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {NAN, 1, -INFINITY, INFINITY, 0, -NAN};
    const kiln_tensor t = kiln_test_values(g, KILN_SHAPE(6), x);
    const kiln_tensor all[] = {kiln_is_nan(g, t), kiln_is_infinite(g, t, 0), kiln_is_infinite(g, t, 1),
                               kiln_is_infinite(g, t, -1)};
    return kiln_cast(g, kiln_concat(g, all, KILN_COUNT(all), 0), KILN_F32);
}

Test(elementwise, nan_and_infinity_are_told)
{
    const double want[] = {1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0};
    kiln_expect_values(build_odd, NULL, want, KILN_COUNT(want), 0, "odd values");
    kiln_expect_devices_agree(build_odd, NULL, false, 1e-30, "odd values");
}

static kiln_tensor build_many(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    kiln_tensor x[9];
    for (int i = 0; i < 9; i++)
        x[i] = kiln_test_input(g, i % 2 ? KILN_SHAPE(5) : KILN_SHAPE(3, 5));
    const kiln_tensor sums = kiln_sub(g, kiln_add_all(g, x, 9), kiln_mean_all(g, x, 3));
    return kiln_add(g, sums, kiln_mul(g, kiln_max_all(g, x, 9), kiln_min_all(g, x, 9)));
}

Test(elementwise, many_operands_become_one)
{
    kiln_expect_gradient(build_many, NULL, "sum, mean, max and min of many");
    kiln_expect_devices_agree(build_many, NULL, true, 0, "sum, mean, max and min of many");
}

static kiln_tensor build_clipped(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_index(g, KILN_SHAPE(9), 1000), y = kiln_cast(g, x, KILN_U32);
    const kiln_tensor low = kiln_clip(g, kiln_neg(g, x), -500.5, INFINITY);
    const kiln_tensor high = kiln_clip(g, kiln_bit_not(g, y), -1, 4294967000.5);
    const kiln_tensor kept = kiln_bit_and(g, high, kiln_scalar(g, KILN_U32, 0xffff)); /* exact in a float */
    return kiln_add(g, kiln_cast(g, low, KILN_F32), kiln_cast(g, kept, KILN_F32));
}

Test(elementwise, integers_are_clipped_to_whole_bounds)
{
    kiln_expect_devices_agree(build_clipped, NULL, false, 1e-30, "clipped integers");
}

Test(elementwise, misfits_are_named)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor a = kiln_input(g, "a", KILN_F32, KILN_SHAPE(2, 3)),
                      b = kiln_input(g, "b", KILN_F32, KILN_SHAPE(4));
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_expect_eq(kiln_add(g, a, b).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_SHAPE);
    cr_expect(strstr(kiln_graph_error(g), "[2, 3]") && strstr(kiln_graph_error(g), "[4]"));
    kiln_graph_destroy(&g);
}
