/* reduce.c - sums, products, norms, extremes and places: any axes, ties, nothing, PyTorch's values, every device alike. */
#include "support/golden_case.h"

#include <math.h>
#include <stdio.h>

#include "compiler/convert.h"

typedef kiln_tensor reduction(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);

static const struct reduce_case {
    kiln_shape x;
    kiln_axes axes;
    bool keep;
    const char *why;
} cases[] = {
    {{2, {3, 5}}, {0, {0}}, false, "all"},
    {{2, {3, 5}}, {1, {1}}, false, "rows"},
    {{2, {9, 40}}, {1, {0}}, true, "columns"},
    {{3, {4, 6, 20}}, {1, {1}}, false, "an axis inside"},
    {{4, {3, 4, 5, 6}}, {3, {0, 2, 3}}, false, "a channel's"},
    {{3, {3, 1, 4}}, {1, {1}}, false, "an axis of one"},
    {{5, {2, 3, 2, 3, 2}}, {3, {0, 2, 4}}, true, "three groups of axes"},
    {{5, {2, 3, 2, 3, 2}}, {3, {0, 2, -1}}, false, "three groups of axes, dropped"},
    {{1, {9000}}, {0, {0}}, false, "long enough for parts"},
    {{3, {130, 2, 70}}, {2, {0, 2}}, false, "parts that end inside a run"},
};

static reduction *reduce;
static double low, high;

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct reduce_case *c = one_case;
    const kiln_tensor x = low < 0 ? kiln_test_input(g, c->x) : kiln_test_input_in(g, c->x, low, high);
    return reduce(g, x, &(kiln_reduce_params){.axes = c->axes, .keep = c->keep});
}

static void check_in(reduction *f, const char *name, double from, double to, double tolerance)
{
    reduce = f;
    low = from;
    high = to;
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        char why[96];
        snprintf(why, sizeof why, "%s of %s", name, cases[i].why);
        if (kiln_shape_count(&cases[i].x) < 1000)
            kiln_expect_gradient(build, &cases[i], why);
        kiln_expect_devices_agree(build, &cases[i], true, tolerance, why);
    }
}

static void check(reduction *f, const char *name)
{
    check_in(f, name, -1, 1, 0);
}

Test(reduce, sum_on_every_device)
{
    check(kiln_sum, "sum");
}

Test(reduce, mean_on_every_device)
{
    check(kiln_mean, "mean");
}

Test(reduce, max_on_every_device)
{
    check(kiln_reduce_max, "max");
}

Test(reduce, min_on_every_device)
{
    check(kiln_reduce_min, "min");
}

/* 9000 factors round 9000 times: up to 5e-4, usually the root of that many times. */
Test(reduce, product_on_every_device)
{
    check_in(kiln_product, "product", 0.99, 1.01, 1e-4);
}

Test(reduce, norms_on_every_device)
{
    check(kiln_reduce_l1, "l1");
    check(kiln_reduce_l2, "l2");
    check(kiln_sum_square, "sum of squares");
}

Test(reduce, logarithms_on_every_device)
{
    check_in(kiln_log_sum, "log of the sum", 0.1, 1, 0);
    check(kiln_log_sum_exp, "log of the sum of exp");
}

static kiln_tensor variance(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return kiln_variance(g, x, params, 1);
}

static kiln_tensor deviation(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return kiln_deviation(g, x, params, 0);
}

/* An axis of one has no unbiased variance: the first five cases. */
Test(reduce, variance_on_every_device)
{
    reduce = variance;
    low = -1;
    for (size_t i = 0; i < 5; i++) {
        kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
    }
    reduce = deviation;
    kiln_expect_gradient(build, &cases[4], "deviation");
    kiln_expect_devices_agree(build, &cases[4], true, 0, "deviation");
}

/* Gradients of products and norms where entries are 0, and their values where they could overflow. */
static kiln_tensor along(kiln_golden_case *c, reduction *f, bool keep)
{
    return f(c->g, kiln_golden_leaf(c, "x"), &(kiln_reduce_params){.axes = KILN_AXES(1), .keep = keep});
}

static kiln_tensor golden_product(kiln_golden_case *c)
{
    return along(c, kiln_product, false);
}

static kiln_tensor golden_product_all(kiln_golden_case *c)
{
    return kiln_product(c->g, kiln_golden_leaf(c, "x"), NULL);
}

static kiln_tensor golden_l1(kiln_golden_case *c)
{
    return along(c, kiln_reduce_l1, false);
}

static kiln_tensor golden_l2(kiln_golden_case *c)
{
    return along(c, kiln_reduce_l2, false);
}

static kiln_tensor golden_sum_square(kiln_golden_case *c)
{
    return along(c, kiln_sum_square, false);
}

static kiln_tensor golden_log_sum(kiln_golden_case *c)
{
    return along(c, kiln_log_sum, false);
}

static kiln_tensor golden_log_sum_exp(kiln_golden_case *c)
{
    return along(c, kiln_log_sum_exp, false);
}

static kiln_tensor golden_variance(kiln_golden_case *c)
{
    return along(c, variance, false);
}

static kiln_tensor golden_variance_biased(kiln_golden_case *c)
{
    return kiln_variance(c->g, kiln_golden_leaf(c, "x"), NULL, 0);
}

static kiln_tensor golden_deviation(kiln_golden_case *c)
{
    const kiln_reduce_params how = {.axes = KILN_AXES(1), .keep = true};
    return kiln_deviation(c->g, kiln_golden_leaf(c, "x"), &how, 1);
}

static const kiln_golden_row golden_rows[] = {
    {"product", golden_product},
    {"product_zero", golden_product},
    {"product_zeros", golden_product},
    {"product_all", golden_product_all},
    {"l1", golden_l1},
    {"l2", golden_l2},
    {"l2_of_zeros", golden_l2},
    {"sum_square", golden_sum_square},
    {"log_sum", golden_log_sum},
    {"log_sum_exp", golden_log_sum_exp},
    {"log_sum_exp_far", golden_log_sum_exp},
    {"variance", golden_variance},
    {"variance_biased", golden_variance_biased},
    {"deviation", golden_deviation},
};

Test(reduce, values_and_gradients_are_those_of_pytorch)
{
    kiln_expect_golden("reduce.safetensors", golden_rows, KILN_COUNT(golden_rows), "cpu", true, 0);
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("reduce.safetensors", golden_rows, KILN_COUNT(golden_rows), kiln_test_device(d),
                           false, 0);
}

static kiln_tensor places(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {1, 3, 3, 2, -0.0f, 0, 0, -1, 5, NAN, 7, NAN, -1, 0, -1, 0};
    const kiln_tensor t = kiln_test_values(g, KILN_SHAPE(4, 4), x);
    const kiln_tensor all[] = {kiln_argmax(g, t, 1, false), kiln_argmax_last(g, t, 1, false),
                               kiln_argmin(g, t, 1, false), kiln_argmin_last(g, t, 1, false)};
    return kiln_cast(g, kiln_concat(g, all, 4, 0), KILN_F32);
}

Test(reduce, places_are_the_first_of_equals_or_the_last_and_nan)
{
    const double want[] = {1, 0, 1, 1, 2, 2, 3, 3, 0, 3, 1, 0, 0, 3, 3, 2};
    kiln_expect_values(places, NULL, want, 16, 0, "places");
    kiln_expect_devices_agree(places, NULL, false, 1e-7, "places");
}

/* Infinities and NaN in a sum of exponentials. */
static kiln_tensor odd(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float inf = INFINITY;
    const float x[] = {-inf, -inf, -inf, inf, 0, inf, NAN, 1, 2, -inf, 1, -inf, 1000, 1000, -1000};
    return kiln_log_sum_exp(g, kiln_test_values(g, KILN_SHAPE(5, 3), x),
                            &(kiln_reduce_params){.axes = KILN_AXES(1)});
}

Test(reduce, log_sum_exp_takes_infinity)
{
    const double want[] = {-INFINITY, INFINITY, NAN, 1, 1000 + log(2)};
    kiln_expect_values(odd, NULL, want, 5, 1e-12, "odd values");
    kiln_expect_devices_agree(odd, NULL, false, 1e-6, "odd values");
}

/* Integers ------------------------------------------------------------------------------------------------ */

typedef kiln_tensor place_of(kiln_graph *g, kiln_tensor x, int axis, bool keep);

/* Rows of 3. */
static const struct integer_case {
    const char *why;
    kiln_type type;
    reduction *f;
    place_of *place;
    int64_t x[6], want[2];
} integers[] = {
    {"sum wraps", KILN_I32, kiln_sum, NULL, {INT32_MAX, 1, 0, -5, 2, 1}, {INT32_MIN, -2}},
    {"sum, unsigned", KILN_U32, kiln_sum, NULL, {3000000000, 1, 2, 4294967295, 1, 0}, {3000000003, 0}},
    {"narrow sums wrap", KILN_I8, kiln_sum, NULL, {100, 100, 1, -100, -100, 0}, {-55, 56}},
    {"product wraps", KILN_I32, kiln_product, NULL, {65536, 65536, 3, -2, 3, 7}, {0, -42}},
    {"l1", KILN_I32, kiln_reduce_l1, NULL, {-4, 5, -6, 0, 0, 1}, {15, 1}},
    {"squares", KILN_I64, kiln_sum_square, NULL, {-4, 5, -6, 0, 0, 1}, {77, 1}},
    {"max", KILN_I32, kiln_reduce_max, NULL, {-4, -5, -6, 7, 9, INT32_MIN}, {-4, 9}},
    {"max, unsigned",
     KILN_U32,
     kiln_reduce_max,
     NULL,
     {1, 4294967295, 3, 7, 2147483648, 9},
     {4294967295, 2147483648}},
    {"min", KILN_I32, kiln_reduce_min, NULL, {-4, -5, -6, 7, 9, INT32_MIN}, {-6, INT32_MIN}},
    {"min, unsigned",
     KILN_U32,
     kiln_reduce_min,
     NULL,
     {4294967295, 2147483648, 3000000000, 0, 1, 2},
     {2147483648, 0}},
    {"any", KILN_BOOL, kiln_any, NULL, {0, 0, 1, 0, 0, 0}, {1, 0}},
    {"all", KILN_BOOL, kiln_all, NULL, {1, 1, 1, 1, 0, 1}, {1, 0}},
    {"argmax", KILN_I32, NULL, kiln_argmax, {-4, 5, 5, INT32_MIN, INT32_MIN, -1}, {1, 2}},
    {"argmax, unsigned", KILN_U32, NULL, kiln_argmax, {1, 4294967295, 4294967295, 7, 2147483648, 9}, {1, 1}},
    {"last argmax", KILN_I32, NULL, kiln_argmax_last, {-4, 5, 5, 3, 3, 3}, {2, 2}},
    {"argmin", KILN_U8, NULL, kiln_argmin, {255, 3, 3, 0, 1, 0}, {1, 0}},
    {"last argmin, unsigned", KILN_U32, NULL, kiln_argmin_last, {4294967295, 3, 3, 0, 1, 0}, {2, 2}},
};

static void expect_integers(const struct integer_case *c, kiln_device *dev, bool f64)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    int64_t own[6], raw[2], got[2];
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", c->type, KILN_SHAPE(2, 3));
    const kiln_tensor y =
        c->f ? c->f(g, x, &(kiln_reduce_params){.axes = KILN_AXES(1)}) : c->place(g, x, 1, false);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s: %s", c->why, kiln_graph_error(g));
    const kiln_program_params params = {.run = KILN_RUN(y),
                                        .precision = f64 ? KILN_PRECISION_F64 : KILN_PRECISION_F32};
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &params), KILN_OK, "%s", c->why);
    kiln_convert(own, c->type, c->x, KILN_I64, 6);
    const kiln_array from = {.data = own, .type = c->type, .shape = KILN_SHAPE(2, 3)};
    cr_assert_eq(kiln_program_write(p, x, &from), KILN_OK, "%s", c->why);
    cr_assert_eq(kiln_program_run(p), KILN_OK, "%s", c->why);
    kiln_array to = {.data = raw, .bytes = sizeof raw};
    cr_assert_eq(kiln_program_read(p, y, &to), KILN_OK, "%s", c->why);
    kiln_convert(got, KILN_I64, raw, to.type, 2);
    for (int i = 0; i < 2; i++)
        cr_expect_eq(got[i], c->want[i], "%s: row %d gives %lld, wanted %lld", c->why, i, (long long)got[i],
                     (long long)c->want[i]);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(reduce, integers_on_every_device)
{
    for (int d = -1; d < 0 || kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(d < 0 ? "cpu" : kiln_test_device(d));
        for (size_t i = 0; i < KILN_COUNT(integers); i++)
            expect_integers(&integers[i], dev, d < 0);
        kiln_test_close(&dev);
    }
}

/* Long rows of truth and of places: more than a workgroup's lanes. */
static kiln_tensor long_rows(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_index(g, KILN_SHAPE(3, 5000), 100000);
    const kiln_reduce_params how = {.axes = KILN_AXES(1)};
    const kiln_tensor big = kiln_less(g, kiln_scalar(g, KILN_I32, 99990), x);
    const kiln_tensor all[] = {kiln_argmax(g, x, 1, false), kiln_argmin_last(g, x, 1, false),
                               kiln_cast(g, kiln_any(g, big, &how), KILN_I32),
                               kiln_cast(g, kiln_all(g, kiln_not(g, big), &how), KILN_I32)};
    return kiln_cast(g, kiln_concat(g, all, 4, 0), KILN_F32);
}

Test(reduce, long_rows_of_integers_on_every_device)
{
    kiln_expect_devices_agree(long_rows, NULL, false, 1e-30, "long rows");
}

/* The gradient of max over values with ties. */
static kiln_tensor ties(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(2, 2, 2), (const float[]){1, 2, 2, 0, 2, 2, 1, 2});
    kiln_tensor dx;
    kiln_gradient(g, kiln_reduce_max(g, x, &(kiln_reduce_params){.axes = KILN_AXES(0, 2)}), KILN_NONE, &x, 1,
                  &dx);
    return dx;
}

Test(reduce, ties_of_max_give_to_the_first)
{
    kiln_expect_values(ties, NULL, (const double[]){0, 1, 1, 0, 0, 0, 0, 0}, 8, 0, "ties");
    kiln_expect_devices_agree(ties, NULL, false, 1e-7, "ties");
}

static kiln_tensor nothing(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(1, 0), (const float[]){0});
    const kiln_reduce_params rows = {.axes = KILN_AXES(1)};
    const kiln_tensor all[] = {kiln_sum(g, x, &rows),        kiln_reduce_max(g, x, &rows),
                               kiln_reduce_min(g, x, &rows), kiln_product(g, x, &rows),
                               kiln_reduce_l2(g, x, &rows),  kiln_log_sum(g, x, &rows),
                               kiln_log_sum_exp(g, x, &rows)};
    return kiln_concat(g, all, KILN_COUNT(all), 0);
}

Test(reduce, over_nothing_gives_the_neutral_value)
{
    kiln_expect_values(nothing, NULL, (const double[]){0, -INFINITY, INFINITY, 1, 0, -INFINITY, -INFINITY}, 7,
                       0, "nothing");
}
