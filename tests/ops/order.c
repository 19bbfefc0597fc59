/*
 * order.c - sort and top-k: known values, ties, NaN, gradients, rows short and long, and every device alike. Nothing is computed,
 * so that devices must agree to the last bit: EXACT.
 */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT 1e-30

enum kind { REALS, TIES, EQUAL, WHOLE, HALVES, ASCENDING, DESCENDING };

static const struct order_case {
    kiln_shape x;
    int axis;
    enum kind kind;
    bool descending, index;
    int k; /* 0: sort */
    const char *why;
} cases[] = {
    {{1, {1}}, 0, REALS, false, false, 0, "a lone value"},
    {{2, {3, 5}}, 1, REALS, false, false, 0, "a few short rows"},
    {{2, {3, 64}}, -1, TIES, true, true, 0, "ties keep their order, descending too"},
    {{2, {2, 65}}, 1, TIES, false, true, 0, "one beyond the short rows"},
    {{3, {3, 67, 5}}, 1, REALS, true, false, 0, "an axis inside"},
    {{2, {70, 3}}, 0, TIES, false, true, 0, "the first axis"},
    {{2, {2000, 7}}, 1, REALS, false, true, 0, "many tiny rows"},
    {{1, {512}}, 0, EQUAL, false, true, 0, "all are equal"},
    {{1, {513}}, 0, WHOLE, true, true, 0, "integers, one beyond a half"},
    {{2, {2, 2048}}, 1, ASCENDING, false, true, 0, "sorted already, a full workgroup"},
    {{2, {3, 2049}}, 1, DESCENDING, false, true, 0, "the wrong way round, one beyond a workgroup"},
    {{1, {5000}}, 0, TIES, true, true, 0, "a long row with ties"},
    {{3, {2, 2500, 3}}, 1, WHOLE, false, true, 0, "long rows side by side"},
    {{1, {70001}}, 0, REALS, false, true, 0, "a row that threads share"},
    {{2, {3, 5}}, 1, REALS, true, false, 2, "two of five"},
    {{2, {4, 5}}, 1, TIES, true, true, 5, "all of five"},
    {{3, {2, 130, 3}}, -2, TIES, false, true, 7, "the least along an axis inside"},
    {{2, {2, 5000}}, 1, TIES, true, true, 100, "a hundred of a long row"},
    {{1, {5000}}, 0, REALS, true, true, 1500, "so many that the row is sorted"},
    {{1, {70001}}, 0, WHOLE, false, true, 10, "ten of a row that threads share"},
    {{1, {70001}}, 0, EQUAL, true, true, 3, "the first of equals"},
    {{2, {2, 2000}}, 1, TIES, false, true, 1200, "more than half of a workgroup's"},
    {{2, {3, 1000}}, 1, TIES, true, true, 300, "few of a workgroup's"},
    {{2, {3, 41}}, 1, HALVES, false, false, 0, "halves, short rows"},
    {{2, {3, 700}}, 0, HALVES, true, false, 2, "halves, the larger of three"},
    {{2, {2, 2049}}, 1, HALVES, false, false, 0, "halves, long rows"},
};

/* Values of a kind, made by operators, so that they are no constants. */
static kiln_tensor values_of(kiln_graph *g, const struct order_case *c)
{
    const kiln_tensor x = kiln_test_input(g, c->x);
    switch (c->kind) {
    case REALS:
        return x;
    case TIES:
        return kiln_floor(g, kiln_scale(g, x, 4));
    case EQUAL:
        return kiln_scale(g, x, 0);
    case HALVES: /* what a half holds exactly */
        return kiln_cast(g, kiln_scale(g, kiln_floor(g, kiln_scale(g, x, 256)), 1 / 256.), KILN_F16);
    case WHOLE:
        return kiln_cast(g, kiln_scale(g, x, 1024), KILN_I32);
    default:
        return kiln_cumsum(g, kiln_scale(g, kiln_abs(g, x), c->kind == ASCENDING ? 1 : -1), c->axis, NULL);
    }
}

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct order_case *c = one_case;
    kiln_tensor index, x = values_of(g, c), y;
    if (c->k)
        y = kiln_top_k(g, x, c->k, c->axis, &(kiln_top_k_params){.smallest = !c->descending}, &index);
    else
        y = kiln_sort(g, x, c->axis, c->descending, &index);
    return c->index ? index : y;
}

Test(order, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        const bool gradient = cases[i].kind == REALS && !cases[i].index;
        if (gradient)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], gradient, EXACT, cases[i].why);
    }
}

/* What the C library says, with positions to part equals. */
struct element {
    double value;
    int position;
};

static int by_value(const void *a, const void *b)
{
    const struct element *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value ? 1 : x->position - y->position;
}

static kiln_tensor long_values(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_floor(g, kiln_scale(g, kiln_test_input(g, KILN_SHAPE(4001)), 300));
}

static kiln_tensor long_index(kiln_graph *g, const void *one_case)
{
    return kiln_argsort(g, long_values(g, one_case), 0, false);
}

Test(order, agrees_with_the_c_library)
{
    kiln_shape shape;
    double *x = kiln_test_eval(long_values, NULL, NULL, &shape), want[4001];
    struct element element[4001];
    for (int i = 0; i < 4001; i++)
        element[i] = (struct element){x[i], i};
    qsort(element, 4001, sizeof *element, by_value);
    for (int i = 0; i < 4001; i++)
        want[i] = element[i].position;
    kiln_expect_values(long_index, NULL, want, 4001, 0, "a long row with ties");
    free(x);
}

static const float odd[] = {0, NAN, -INFINITY, -0.f, 3, INFINITY, -3, NAN, 0};

static kiln_tensor odd_index(kiln_graph *g, const void *descending)
{
    return kiln_argsort(g, kiln_test_values(g, KILN_SHAPE(9), odd), 0, *(const bool *)descending);
}

static kiln_tensor odd_values(kiln_graph *g, const void *descending)
{
    return kiln_sort(g, kiln_test_values(g, KILN_SHAPE(9), odd), 0, *(const bool *)descending, NULL);
}

Test(order, nan_is_largest_and_zeros_are_equal)
{
    const bool no = false, yes = true;
    const double up[] = {2, 6, 0, 3, 8, 4, 5, 1, 7}, down[] = {1, 7, 5, 4, 0, 3, 8, 6, 2};
    const double values[] = {-INFINITY, -3, 0, -0., 0, 3, INFINITY, NAN, NAN};
    kiln_expect_values(odd_index, &no, up, 9, 0, "ascending");
    kiln_expect_values(odd_index, &yes, down, 9, 0, "descending");
    kiln_expect_values(odd_values, &no, values, 9, 0, "ascending values");
    kiln_expect_devices_agree(odd_index, &no, false, EXACT, "ascending");
    kiln_expect_devices_agree(odd_index, &yes, false, EXACT, "descending");
    kiln_expect_devices_agree(odd_values, &yes, false, EXACT, "descending values");
}

static kiln_tensor by_position(kiln_graph *g, const void *want_index)
{
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(2, 4), (const float[]){3, 9, 1, 9, 5, 6, 7, 8});
    kiln_tensor index;
    const kiln_tensor y = kiln_top_k(g, x, 3, 1, &(kiln_top_k_params){.by_position = true}, &index);
    return *(const bool *)want_index ? index : y;
}

Test(order, top_k_in_the_order_of_positions)
{
    const bool no = false, yes = true;
    kiln_expect_values(by_position, &no, (const double[]){3, 9, 9, 6, 7, 8}, 6, 0, "values");
    kiln_expect_values(by_position, &yes, (const double[]){0, 1, 3, 1, 2, 3}, 6, 0, "positions");
    kiln_expect_gradient(by_position, &no, "by position");
    kiln_expect_devices_agree(by_position, &yes, false, EXACT, "by position");
}

static kiln_tensor empty(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_sort(g, kiln_test_input(g, KILN_SHAPE(3, 0)), 1, false, NULL);
}

static kiln_tensor none_of(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_top_k(g, kiln_test_input(g, KILN_SHAPE(3, 4)), 0, 1, NULL, NULL);
}

Test(order, nothing_is_sorted_too)
{
    kiln_expect_devices_agree(empty, NULL, true, EXACT, "rows of nothing");
    kiln_expect_devices_agree(none_of, NULL, true, EXACT, "the first none");
}

Test(order, k_is_at_most_the_rows_length)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_top_k(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 3)), 4, 1, NULL, NULL);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(kiln_graph_error(g), "k is 4, of rows of 3"), "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
}
