/* dim.c - symbolic sizes: equal expressions are equal, unit laws hold, values come out. */
#include <string.h>

#include "graph/graph.h"
#include "support/support.h"

static int64_t lookup(void *user, int64_t symbol)
{
    const int64_t *value = user;
    return symbol == KILN_BATCH ? value[0] : value[1];
}

Test(dim, expressions_are_shared_and_simplified)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t b = KILN_BATCH, n = kiln_dim(g, "length");
    cr_expect_eq(kiln_dim(g, "batch"), b);
    cr_expect_eq(kiln_dim(g, "length"), n);
    cr_expect_neq(n, b);
    cr_expect_eq(kiln_dim_mul(g, b, n), kiln_dim_mul(g, n, b));
    cr_expect_eq(kiln_dim_mul(g, b, 1), b);
    cr_expect_eq(kiln_dim_add(g, 0, n), n);
    cr_expect_eq(kiln_dim_sub(g, n, n), 0);
    cr_expect_eq(kiln_dim_div(g, kiln_dim_mul(g, b, 12), 4), kiln_dim_mul(g, b, 3));
    cr_expect_eq(kiln_dim_div(g, kiln_dim_mul(g, b, n), b), n);
    cr_expect_eq(kiln_dim_mul(g, 6, 7), 42);
    kiln_graph_destroy(&g);
}

/* What a network of pictures does to their sizes, by one way and another. */
Test(dim, offsets_and_quotients_have_one_form)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t h = kiln_dim(g, "height"), half = kiln_dim_div(g, h, 2);
    cr_expect_eq(kiln_dim_add(g, kiln_dim_sub(g, kiln_dim_add(g, h, 2), 3), 1), h);
    cr_expect_eq(kiln_dim_sub(g, kiln_dim_add(g, 6, h), 7), kiln_dim_sub(g, h, 1));
    cr_expect_eq(kiln_dim_add(g, kiln_dim_div(g, kiln_dim_sub(g, h, 2), 2), 1), half);
    cr_expect_eq(kiln_dim_sub(g, half, 3), kiln_dim_div(g, kiln_dim_sub(g, h, 6), 2));
    cr_expect_eq(kiln_dim_div(g, half, 3), kiln_dim_div(g, h, 6));
    cr_expect_neq(kiln_dim_add(g, kiln_dim_ceil_div(g, h, 2), 1), kiln_dim_add(g, half, 1));
    for (int64_t value[] = {0, 7}; value[1] < 20; value[1]++) {
        const int64_t e = kiln_dim_add(g, kiln_dim_div(g, kiln_dim_sub(g, kiln_dim_add(g, h, 4), 7), 3), 1);
        cr_expect_eq(kiln_dim_value(g, e, lookup, value), (value[1] + 4 - 7) / 3 + 1);
    }
    kiln_graph_destroy(&g);
}

/* What the last places of a padded axis, or of one that strides made, are. */
Test(dim, sizes_that_differ_by_a_number_leave_it)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t x = kiln_dim(g, "length"), y = kiln_dim(g, "width"), half = kiln_dim_div(g, x, 2);
    const int64_t more = kiln_dim_add(g, x, 5), less = kiln_dim_sub(g, x, 5), product = kiln_dim_mul(g, x, y);
    cr_expect_eq(kiln_dim_sub(g, more, kiln_dim_sub(g, more, 3)), 3);
    cr_expect_eq(kiln_dim_sub(g, more, kiln_dim_sub(g, more, 5)), 5);
    cr_expect_eq(kiln_dim_sub(g, more, kiln_dim_sub(g, more, 8)), 8);
    cr_expect_eq(kiln_dim_sub(g, less, kiln_dim_sub(g, less, 3)), 3);
    cr_expect_eq(kiln_dim_sub(g, x, less), 5);
    cr_expect_eq(kiln_dim_sub(g, more, x), 5);
    cr_expect_eq(kiln_dim_sub(g, more, more), 0);
    cr_expect_eq(kiln_dim_sub(g, half, kiln_dim_sub(g, half, 3)), 3);
    cr_expect_eq(kiln_dim_sub(g, kiln_dim_add(g, half, 4), kiln_dim_sub(g, half, 3)), 7);
    cr_expect_eq(kiln_dim_sub(g, kiln_dim_add(g, product, 2), kiln_dim_sub(g, product, 1)), 3);
    cr_expect_eq(kiln_dim_sub(g, kiln_dim_add(g, x, y), x), y);
    cr_expect_eq(kiln_dim_sub(g, x, kiln_dim_sub(g, x, y)), y);
    kiln_graph_destroy(&g);
}

/* Of a quotient of x + 3 by 2 and one of x the difference is 1 or 2, by x. */
Test(dim, sizes_that_differ_by_no_one_number_stay_expressions)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t x = kiln_dim(g, "length"), y = kiln_dim(g, "width"), half = kiln_dim_div(g, x, 2);
    const int64_t far = kiln_dim_add(g, x, INT64_MAX), odd = kiln_dim_div(g, kiln_dim_add(g, x, 3), 2);
    const int64_t apart[][2] = {{kiln_dim_add(g, x, 2), kiln_dim_sub(g, y, 2)},
                                {kiln_dim_sub(g, x, 2), x},
                                {x, kiln_dim_add(g, x, 2)},
                                {odd, half},
                                {kiln_dim_div(g, kiln_dim_add(g, x, 4), 3), half},
                                {kiln_dim_div(g, kiln_dim_add(g, y, 4), 2), half},
                                {kiln_dim_div(g, kiln_dim_add(g, x, 4), y), kiln_dim_div(g, x, y)},
                                {kiln_dim_sub(g, half, 1), half},
                                {kiln_dim_ceil_div(g, kiln_dim_add(g, x, 4), 2), half},
                                {far, kiln_dim_sub(g, x, 1)},
                                {kiln_dim_mul(g, x, 3), x}};
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
        cr_expect_lt(kiln_dim_sub(g, apart[i][0], apart[i][1]), 0, "%zu", i);
    for (int64_t value[] = {0, 2}; value[1] < 9; value[1]++)
        cr_expect_eq(kiln_dim_value(g, kiln_dim_sub(g, odd, half), lookup, value),
                     (value[1] + 3) / 2 - value[1] / 2);
    kiln_graph_destroy(&g);
}

Test(dim, values_come_from_the_symbols)
{
    kiln_graph *g = NULL;
    int64_t value[] = {5, 9};
    char text[64];
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t n = kiln_dim(g, "length"), e = kiln_dim_ceil_div(g, kiln_dim_sub(g, n, 2), 3);
    cr_expect_eq(kiln_dim_value(g, e, lookup, value), 3);
    cr_expect_eq(kiln_dim_value(g, kiln_dim_add(g, KILN_BATCH, n), lookup, value), 14);
    cr_expect_str_eq(kiln_dim_text(g, e, text, sizeof text), "((length - 2) ceil/ 3)");
    value[1] = -1;
    cr_expect_lt(kiln_dim_value(g, e, lookup, value), 0);
    kiln_graph_destroy(&g);
}

Test(dim, a_size_that_cannot_be_fails_the_graph)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    kiln_dim_sub(g, 3, 5);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_SHAPE);
    kiln_graph_destroy(&g);
}
