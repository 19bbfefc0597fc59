/* cumulative.c - cumulative sums, products, extremes and the linear recurrence: known values, gradients, every device alike. */
#include "support/support.h"

#include <math.h>

enum kind { SUM, PRODUCT, MOST, LEAST, MOST_INDEX, LINEAR, WHOLE_SUM, WHOLE_MOST, HALF_MOST };

static const struct cumulative_case {
    kiln_shape x;
    int axis;
    enum kind kind;
    kiln_cumulative_params how;
    const char *why;
} cases[] = {
    {{1, {1}}, 0, SUM, {0}, "a lone value"},
    {{2, {3, 5}}, 1, SUM, {0}, "short rows"},
    {{2, {3, 5}}, 1, SUM, {.exclusive = true, .reverse = true}, "short rows from the end, exclusive"},
    {{2, {3, 131}}, -1, SUM, {.exclusive = true}, "one element beyond lanes, exclusive"},
    {{3, {2, 37, 20}}, 1, SUM, {.reverse = true}, "rows side by side, from the end"},
    {{2, {2, 1030}}, 1, SUM, {0}, "several blocks"},
    {{2, {2, 8193}}, 1, SUM, {.reverse = true}, "one beyond a whole row, from the end"},
    {{2, {2, 20000}}, 1, SUM, {.exclusive = true}, "several parts, exclusive"},
    {{2, {3, 9}}, 1, PRODUCT, {0}, "products"},
    {{2, {3, 9}}, 1, PRODUCT, {.exclusive = true, .reverse = true}, "products from the end, exclusive"},
    {{3, {2, 40, 17}}, 1, PRODUCT, {.reverse = true}, "products side by side, from the end"},
    {{2, {2, 40}}, 1, MOST, {0}, "largest so far"},
    {{3, {2, 50, 3}}, 1, LEAST, {.reverse = true}, "least so far, from the end"},
    {{2, {2, 9000}}, 1, MOST_INDEX, {0}, "where the largest stands, in parts"},
    {{2, {2, 9000}}, 1, MOST_INDEX, {.reverse = true}, "where the largest stands, in parts, from the end"},
    {{2, {3, 9}}, 1, LINEAR, {0}, "the recurrence"},
    {{3, {2, 60, 20}}, 1, LINEAR, {.reverse = true}, "the recurrence side by side, from the end"},
    {{2, {2, 9000}}, 1, LINEAR, {0}, "the recurrence in parts"},
    {{2, {2, 9000}}, 1, WHOLE_SUM, {.exclusive = true}, "sums of integers in parts"},
    {{2, {2, 301}}, 1, HALF_MOST, {0}, "largest of halves"},
    {{2, {2, 300}}, 1, WHOLE_MOST, {.reverse = true}, "largest of integers, from the end"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct cumulative_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    kiln_tensor index;
    switch (c->kind) {
    case SUM:
        return kiln_cumsum(g, x, c->axis, &c->how);
    case PRODUCT:
        return kiln_cumprod(g, kiln_shift(g, kiln_scale(g, x, 0.3), 1), c->axis, &c->how);
    case MOST:
        return kiln_cummax(g, x, c->axis, &c->how, NULL);
    case LEAST:
        return kiln_cummin(g, x, c->axis, &c->how, NULL);
    case MOST_INDEX:
        kiln_cummax(g, kiln_floor(g, kiln_scale(g, x, 64)), c->axis, &c->how, &index);
        return index;
    case LINEAR:
        return kiln_linear_scan(g, kiln_test_input(g, c->x), x, c->axis, c->how.reverse);
    case WHOLE_SUM:
        return kiln_cumsum(g, kiln_cast(g, kiln_scale(g, x, 1 << 20), KILN_I32), c->axis, &c->how);
    case HALF_MOST: /* of what a half holds exactly */
        return kiln_cummax(g, kiln_cast(g, kiln_floor(g, kiln_scale(g, x, 256)), KILN_F16), c->axis, &c->how,
                           NULL);
    default:
        return kiln_cummax(g, kiln_cast(g, kiln_scale(g, x, 128), KILN_I32), c->axis, &c->how, NULL);
    }
}

/* A sum of 20,000 values of [-1, 1) wanders up to some hundred, which the comparison is relative to; its roundings are as many as
 * a part's lanes and parts: the usual bound. */
Test(cumulative, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        const bool gradient = cases[i].kind != MOST_INDEX && cases[i].kind < WHOLE_SUM;
        if (gradient && kiln_shape_count(&cases[i].x) < 5000)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], gradient, gradient ? 0 : 1e-30, cases[i].why);
    }
}

static const float row[] = {2, 0, -1, 3, 0, 5};

static kiln_tensor zeros_in_a_product(kiln_graph *g, const void *how)
{
    return kiln_cumprod(g, kiln_test_values(g, KILN_SHAPE(6), row), 0, how);
}

static kiln_tensor known_sum(kiln_graph *g, const void *how)
{
    return kiln_cumsum(g, kiln_test_values(g, KILN_SHAPE(6), row), 0, how);
}

Test(cumulative, known_values)
{
    const kiln_cumulative_params plain = {0}, back = {.exclusive = true, .reverse = true};
    kiln_expect_values(known_sum, &plain, (const double[]){2, 2, 1, 4, 4, 9}, 6, 0, "sums");
    kiln_expect_values(known_sum, &back, (const double[]){7, 7, 8, 5, 5, 0}, 6, 0,
                       "sums from the end, exclusive");
    kiln_expect_values(zeros_in_a_product, &plain, (const double[]){2, 0, 0, 0, 0, 0}, 6, 0, "products");
    kiln_expect_gradient(zeros_in_a_product, &plain, "zeros");
    kiln_expect_gradient(zeros_in_a_product, &back, "zeros, from the end, exclusive");
    kiln_expect_devices_agree(zeros_in_a_product, &plain, true, 0, "zeros");
}

static const float odd[] = {-INFINITY, 1, 1, NAN, 7, 2};

static kiln_tensor odd_most(kiln_graph *g, const void *index)
{
    kiln_tensor at;
    const kiln_tensor y = kiln_cummax(g, kiln_test_values(g, KILN_SHAPE(6), odd), 0, NULL, &at);
    return *(const bool *)index ? at : y;
}

Test(cumulative, nan_stays_and_the_first_of_equals_counts)
{
    const bool no = false, yes = true;
    kiln_expect_values(odd_most, &no, (const double[]){-INFINITY, 1, 1, NAN, NAN, NAN}, 6, 0, "values");
    kiln_expect_values(odd_most, &yes, (const double[]){0, 1, 1, 3, 3, 3}, 6, 0, "places");
    kiln_expect_devices_agree(odd_most, &no, false, 1e-30, "values");
    kiln_expect_devices_agree(odd_most, &yes, false, 1e-30, "places");
}

/* Numbers beyond 2^31. */
static kiln_tensor naturals(kiln_graph *g, const void *least)
{
    const kiln_tensor x =
        kiln_cast(g, kiln_test_values(g, KILN_SHAPE(4), (const float[]){2, 3, 1, 5}), KILN_U32);
    const kiln_tensor y = kiln_mul(g, x, kiln_scalar(g, KILN_U32, 750000000));
    return *(const bool *)least ? kiln_cummin(g, y, 0, NULL, NULL) : kiln_cummax(g, y, 0, NULL, NULL);
}

/* 100 + 100 and 7 * 37 in eight bits. */
static kiln_tensor narrow(kiln_graph *g, const void *product)
{
    const bool multiply = *(const bool *)product;
    const float values[2][3] = {{100, 100, -1}, {7, 37, 2}};
    const kiln_tensor x = kiln_cast(g, kiln_test_values(g, KILN_SHAPE(3), values[multiply]), KILN_I8);
    return multiply ? kiln_cumprod(g, x, 0, NULL) : kiln_cumsum(g, x, 0, NULL);
}

Test(cumulative, narrow_integers_wrap)
{
    const bool no = false, yes = true;
    kiln_expect_values(narrow, &no, (const double[]){100, -56, -57}, 3, 0, "sums");
    kiln_expect_values(narrow, &yes, (const double[]){7, 3, 6}, 3, 0, "products");
    kiln_expect_devices_agree(narrow, &no, false, 1e-30, "sums");
    kiln_expect_devices_agree(narrow, &yes, false, 1e-30, "products");
}

Test(cumulative, unsigned_integers_have_no_sign)
{
    const bool no = false, yes = true;
    kiln_expect_values(naturals, &no, (const double[]){1.5e9, 2.25e9, 2.25e9, 3.75e9}, 4, 0, "largest");
    kiln_expect_values(naturals, &yes, (const double[]){1.5e9, 1.5e9, 0.75e9, 0.75e9}, 4, 0, "least");
    kiln_expect_devices_agree(naturals, &no, false, 1e-30, "largest");
    kiln_expect_devices_agree(naturals, &yes, false, 1e-30, "least");
}

/* The gradient of a gradient: of the sum of the squares of what the first gives. */
static kiln_tensor twice(kiln_graph *g, const void *reverse)
{
    const kiln_tensor a = kiln_test_input(g, KILN_SHAPE(2, 5)), x = kiln_test_input(g, KILN_SHAPE(2, 5));
    const kiln_tensor y = kiln_linear_scan(g, a, x, 1, *(const bool *)reverse), in[] = {a, x};
    kiln_tensor dx[2];
    kiln_gradient(g, kiln_sum(g, kiln_square(g, y), NULL), KILN_NONE, in, 2, dx);
    return kiln_add(g, kiln_square(g, dx[0]), kiln_square(g, dx[1]));
}

Test(cumulative, the_recurrence_has_a_gradient_of_its_gradient)
{
    const bool no = false, yes = true;
    kiln_expect_gradient(twice, &no, "forth");
    kiln_expect_gradient(twice, &yes, "back");
}

static kiln_tensor empty(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_cumsum(g, kiln_test_input(g, KILN_SHAPE(0, 3)), 0, NULL);
}

Test(cumulative, nothing_accumulates_to_nothing)
{
    kiln_expect_devices_agree(empty, NULL, true, 1e-30, "an empty axis");
}
