/* evaluate.c - means over a dataset. */
#include <math.h>

#include "base/lines.h"
#include "train/toy.h"

Test(evaluate, weighs_the_ragged_last_batch_by_its_rows)
{
    struct toy t;
    double want = 0, got;
    toy_open(&t, "cpu", 1e-2);
    for (int r = 0; r < TOY_ROWS; r++)
        for (int c = 0; c < TOY_FEATURES; c++)
            want += toy_feature(r, c) / (double)(TOY_ROWS * TOY_FEATURES);
    cr_assert_eq(kiln_evaluate(t.grade, t.data, t.mean, &got), KILN_OK);
    cr_expect_float_eq(got, want, 1e-6, "%.9g, wanted %.9g", got, want);
    toy_close(&t);
}

Test(evaluate, begins_at_the_first_row_wherever_the_dataset_stands)
{
    struct toy t;
    double first, again;
    kiln_batch batch;
    toy_open(&t, "cpu", 1e-2);
    cr_assert_eq(kiln_evaluate(t.grade, t.data, t.loss, &first), KILN_OK);
    cr_assert_eq(kiln_dataset_next(t.data, 50, &batch), KILN_OK);
    cr_assert_eq(kiln_evaluate(t.grade, t.data, t.loss, &again), KILN_OK);
    cr_expect_float_eq(first, again, 1e-6);
    cr_expect_eq(kiln_dataset_position(t.data).row, 0);
    toy_close(&t);
}

Test(evaluate, refuses_what_is_no_scalar_or_not_in_the_list)
{
    struct toy t;
    double mean;
    toy_open(&t, "cpu", 1e-2);
    catch_lines();
    cr_expect_neq(kiln_evaluate(t.grade, t.data, kiln_find(t.graph, "x"), &mean), KILN_OK);
    cr_expect(isnan(mean));
    toy_close(&t);
}
