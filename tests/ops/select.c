/*
 * select.c - non-zero, compress, masked select and unique: known values, shapes that data decides, gradients, every device alike.
 */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT 1e-30

/* Known values ------------------------------------------------------------------------------------------- */

static const float table[] = {0, 3, 0, -1, 0, 0, 2, 0, 7, 0, 0, 4}; /* [3, 4] */

static kiln_tensor values(kiln_graph *g)
{
    return kiln_test_values(g, KILN_SHAPE(3, 4), table);
}

static kiln_tensor coordinates(kiln_graph *g, const void *bound)
{
    return kiln_non_zero(g, values(g), *(const int *)bound, NULL);
}

static kiln_tensor how_many(kiln_graph *g, const void *bound)
{
    kiln_tensor count;
    kiln_non_zero(g, values(g), *(const int *)bound, &count);
    return count;
}

/* [12, 1], and [3, 4, 1] */
static kiln_tensor standing(kiln_graph *g, const void *rank)
{
    const kiln_shape shape = *(const int *)rank == 2 ? KILN_SHAPE(12, 1) : KILN_SHAPE(3, 4, 1);
    return kiln_non_zero(g, kiln_reshape(g, values(g), shape), 0, NULL);
}

static kiln_tensor chosen(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = values(g);
    return kiln_masked_select(g, kiln_square(g, x), kiln_less(g, kiln_scalar(g, KILN_F32, 0), x));
}

static kiln_tensor kept_columns(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = values(g);
    const kiln_tensor sums = kiln_sum(g, x, &(kiln_reduce_params){.axes = {1, {0}}}); /* 7, 3, 2, 3 */
    return kiln_compress(g, x, kiln_less(g, sums, kiln_scalar(g, KILN_F32, 5)), 1);
}

Test(select, known_values)
{
    const int all = 0, three = 3;
    const double where[] = {0, 1, 0, 3, 1, 2, 2, 0, 2, 3};
    kiln_expect_values(coordinates, &all, where, 10, 0, "all");
    kiln_expect_values(coordinates, &three, where, 6, 0, "the first three");
    kiln_expect_values(how_many, &all, (const double[]){5}, 1, 0, "all");
    const double column[] = {1, 0, 3, 0, 6, 0, 8, 0, 11, 0},
                 last[] = {0, 1, 0, 0, 3, 0, 1, 2, 0, 2, 0, 0, 2, 3, 0};
    kiln_expect_values(standing, &(int){2}, column, 10, 0, "of a column");
    kiln_expect_values(standing, &(int){3}, last, 15, 0, "with a last axis of one");
    kiln_expect_values(how_many, &three, (const double[]){3}, 1, 0, "the first three");
    kiln_expect_values(chosen, NULL, (const double[]){9, 4, 49, 16}, 4, 0, "above zero");
    kiln_expect_values(kept_columns, NULL, (const double[]){3, 0, -1, 0, 2, 0, 0, 0, 4}, 9, 0, "columns");
    kiln_expect_devices_agree(coordinates, &all, false, EXACT, "all");
    kiln_expect_devices_agree(coordinates, &three, false, EXACT, "the first three");
    kiln_expect_devices_agree(chosen, NULL, false, EXACT, "above zero");
    kiln_expect_devices_agree(kept_columns, NULL, false, EXACT, "columns");
}

/* The sum of what was chosen, in some way that its order matters to; a scalar, so that gradients can be checked. */
static kiln_tensor chosen_sum(kiln_graph *g, const void *one_case)
{
    const kiln_tensor y = chosen(g, one_case);
    return kiln_sum(g, kiln_mul(g, y, kiln_cumsum(g, y, 0, NULL)), NULL);
}

static kiln_tensor kept_softmax(kiln_graph *g, const void *one_case)
{
    return kiln_sum(g, kiln_square(g, kiln_softmax(g, kept_columns(g, one_case), 1)), NULL);
}

Test(select, gradients_flow_to_what_was_chosen)
{
    kiln_expect_gradient(chosen_sum, NULL, "masked select");
    kiln_expect_gradient(kept_softmax, NULL, "compress");
    kiln_expect_devices_agree(chosen_sum, NULL, true, 0, "masked select");
    kiln_expect_devices_agree(kept_softmax, NULL, true, 0, "compress");
}

/* Many, few, none ---------------------------------------------------------------------------------------- */

static const struct select_case {
    kiln_shape x;
    double above; /* chosen of [-1, 1) */
    const char *why;
} cases[] = {
    {{1, {1}}, -2, "a lone element"},
    {{1, {1}}, 2, "not even that"},
    {{2, {7, 13}}, 0, "about half"},
    {{3, {3, 5, 67}}, 0.9, "few"},
    {{1, {4097}}, -2, "all"},
    {{1, {20001}}, 0.5, "of a long row"},
    {{4, {2, 3, 0, 4}}, 0, "of nothing"},
    {{2, {257, 65}}, 2, "none of many"},
    {{1, {20001}}, 0.9999, "nearly none"},
};

static kiln_tensor where(kiln_graph *g, const void *one_case)
{
    const struct select_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    return kiln_non_zero(g, kiln_less(g, kiln_scalar(g, KILN_F32, c->above), x), 0, NULL);
}

static kiln_tensor what(kiln_graph *g, const void *one_case)
{
    const struct select_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    return kiln_masked_select(g, x, kiln_less(g, kiln_scalar(g, KILN_F32, c->above), x));
}

Test(select, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_devices_agree(where, &cases[i], false, EXACT, cases[i].why);
        kiln_expect_devices_agree(what, &cases[i], false, EXACT, cases[i].why);
    }
}

/* Unique ------------------------------------------------------------------------------------------------- */

enum part { VALUES, FIRST, INVERSE, COUNTS };

static const struct unique_case {
    kiln_shape x;
    double levels; /* different values, about; 0: all differ */
    enum part part;
    kiln_unique_params how;
    const char *why;
} unique_cases[] = {
    {{1, {1}}, 3, VALUES, {0}, "a lone value"},
    {{1, {50}}, 5, VALUES, {0}, "values"},
    {{1, {50}}, 5, FIRST, {0}, "where they first stand"},
    {{2, {5, 10}}, 5, INVERSE, {0}, "which is which"},
    {{1, {50}}, 5, COUNTS, {0}, "how often"},
    {{1, {50}}, 5, VALUES, {.by_appearance = true}, "values as they appear"},
    {{1, {50}}, 5, INVERSE, {.by_appearance = true}, "which is which as they appear"},
    {{1, {50}}, 5, COUNTS, {.by_appearance = true}, "how often as they appear"},
    {{1, {3000}}, 40, INVERSE, {0}, "a long row"},
    {{1, {3000}}, 0, COUNTS, {0}, "a long row, all differ"},
    {{1, {3000}}, 0.2, COUNTS, {0}, "a long row, two values"},
    {{2, {40, 3}}, 1, VALUES, {.along = true}, "rows"},
    {{2, {3, 40}}, 1, VALUES, {.along = true, .axis = -1}, "columns"},
    {{3, {2, 30, 2}}, 1, INVERSE, {.along = true, .axis = 1}, "slices inside"},
    {{2, {40, 3}}, 1, FIRST, {.along = true, .by_appearance = true}, "rows as they appear"},
    {{1, {0}}, 1, VALUES, {0}, "nothing"},
};

static kiln_tensor unique(kiln_graph *g, const void *one_case)
{
    const struct unique_case *c = one_case;
    kiln_unique_parts parts;
    kiln_tensor x = kiln_test_input(g, c->x);
    if (c->levels > 0)
        x = kiln_floor(g, kiln_scale(g, x, c->levels));
    const kiln_tensor y = kiln_unique(g, x, &c->how, &parts);
    return c->part == VALUES    ? y
           : c->part == FIRST   ? parts.first
           : c->part == INVERSE ? parts.inverse
                                : parts.counts;
}

Test(select, unique_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(unique_cases); i++)
        kiln_expect_devices_agree(unique, &unique_cases[i], false, EXACT, unique_cases[i].why);
}

static kiln_tensor known_unique(kiln_graph *g, const void *part)
{
    kiln_unique_parts parts;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(7), (const float[]){2, NAN, -0.f, 2, 0, NAN, -1});
    const kiln_tensor y = kiln_unique(g, x, NULL, &parts);
    const kiln_tensor all[] = {y, parts.first, parts.inverse, parts.counts};
    return all[*(const enum part *)part];
}

Test(select, unique_known_values)
{
    static const double want[][7] = {
        {-1, -0., 2, NAN, NAN}, {6, 2, 0, 1, 5}, {2, 3, 1, 2, 1, 4, 0}, {1, 2, 2, 1, 1}};
    for (enum part part = VALUES; part <= COUNTS; part++) {
        kiln_expect_values(known_unique, &part, want[part], part == INVERSE ? 7 : 5, 0, "unique");
        kiln_expect_devices_agree(known_unique, &part, false, EXACT, "unique");
    }
}

/* What is unique among what was chosen: a size that depends on data, of one that does. */
static kiln_tensor unique_chosen(kiln_graph *g, const void *part)
{
    kiln_unique_parts parts;
    const kiln_tensor x = kiln_floor(g, kiln_scale(g, kiln_test_input(g, KILN_SHAPE(300)), 8));
    const kiln_tensor some = kiln_masked_select(g, x, kiln_less(g, x, kiln_scalar(g, KILN_F32, 2)));
    const kiln_tensor y = kiln_unique(g, some, NULL, &parts);
    const kiln_tensor all[] = {y, parts.first, parts.inverse, parts.counts};
    return all[*(const enum part *)part];
}

Test(select, unique_of_what_was_chosen)
{
    const enum part which = VALUES;
    kiln_expect_values(unique_chosen, &which, (const double[]){-8, -7, -6, -5, -4, -3, -2, -1, 0, 1}, 10, 0,
                       "chosen");
    for (enum part part = VALUES; part <= COUNTS; part++)
        kiln_expect_devices_agree(unique_chosen, &part, false, EXACT, "chosen");
}

static kiln_tensor unique_squares(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(5), (const float[]){3, 1, 4, -1, 5});
    return kiln_sum(g, kiln_square(g, kiln_unique(g, x, NULL, NULL)), NULL);
}

Test(select, unique_has_a_gradient)
{
    kiln_expect_gradient(unique_squares, NULL, "unique");
    kiln_expect_devices_agree(unique_squares, NULL, true, 0, "unique");
}

/* Sizes of every run ------------------------------------------------------------------------------------- */

/* One program, a batch of any size, and another count in each run. */
Test(select, each_run_has_its_own_count)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_graph *g = NULL;
        kiln_weights *w = NULL;
        kiln_program *p = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH));
        const kiln_tensor y = kiln_masked_select(g, x, x), mean = kiln_mean(g, y, NULL);
        cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
        const kiln_program_params params = {.run = KILN_RUN(y, mean)};
        cr_assert_eq(kiln_program_create(&p, dev, g, w, &params), KILN_OK);
        cr_expect_eq(kiln_program_result_count(p), 2);
        for (int run = 0; run < 6; run++) {
            float in[8] = {0}, out[8], average;
            const int size = run < 3 ? 8 : 5, count = (run * 3 + 1) % (size + 1);
            for (int i = 0; i < count; i++)
                in[size - 1 - i] = (float)(i + 1);
            const kiln_array from = {.data = in, .shape = KILN_SHAPE(size)};
            kiln_array to = {.data = out, .bytes = sizeof out},
                       one = {.data = &average, .bytes = sizeof average};
            cr_assert_eq(kiln_program_write(p, x, &from), KILN_OK);
            cr_assert_eq(kiln_program_run(p), KILN_OK);
            cr_assert_eq(kiln_program_read(p, y, &to), KILN_OK);
            cr_assert_eq(kiln_program_read(p, mean, &one), KILN_OK);
            cr_expect_eq(to.shape.size[0], count, "run %d has %d", run, (int)to.shape.size[0]);
            for (int i = 0; i < count; i++)
                cr_expect_eq(out[i], (float)(count - i));
            cr_expect(count ? fabsf(average - (float)(count + 1) / 2) < 1e-5 : isnan(average));
        }
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
        kiln_test_close(&dev);
    }
}
