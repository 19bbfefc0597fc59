/* windows.c - windows along a text and along a series. */
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/data.h>

#include "base/lines.h"

TestSuite(windows, .init = catch_lines);

Test(windows, rows_begin_a_stride_apart)
{
    int32_t text[11];
    kiln_dataset *ds;
    kiln_batch batch;

    for (int i = 0; i < 11; i++)
        text[i] = i;
    const kiln_array series = {.data = text, .type = KILN_I32, .shape = KILN_SHAPE(11)};
    const kiln_window windows[] = {{"text", 0, 3}, {"next", 1, 3}};
    cr_assert_eq(kiln_windows_open(&ds, &series, windows, 2, &(kiln_windows_params){.stride = 3}), KILN_OK);
    memset(text, 0, sizeof text); /* it was copied */
    cr_expect_eq(kiln_dataset_rows(ds), 3, "0..3, 3..6, 6..9; at 9 there is not enough");
    cr_assert_eq(kiln_dataset_next(ds, 8, &batch), KILN_OK);
    cr_assert(batch.rows == 3 && batch.column[0].shape.size[1] == 3);
    for (int i = 0; i < 9; i++) {
        cr_expect_eq(((int32_t *)batch.column[0].data)[i], i);
        cr_expect_eq(((int32_t *)batch.column[1].data)[i], i + 1);
    }
    kiln_dataset_close(&ds);
}

Test(windows, a_series_of_several_values_has_windows_of_any_places)
{
    float values[20];
    kiln_dataset *ds;
    float item[6];

    for (int i = 0; i < 20; i++)
        values[i] = (float)i;
    const kiln_array series = {.data = values, .shape = KILN_SHAPE(10, 2)};
    const kiln_window windows[] = {{"past", 0, 3}, {"future", 5, 2}};
    cr_assert_eq(kiln_windows_open(&ds, &series, windows, 2, &(kiln_windows_params){.borrow = true}),
                 KILN_OK);
    cr_expect_eq(kiln_dataset_rows(ds), 4);
    kiln_array to = {.data = item, .bytes = sizeof item};
    cr_assert_eq(kiln_dataset_get(ds, 3, 1, &to), KILN_OK);
    cr_expect(to.shape.rank == 2 && to.shape.size[0] == 2 && to.shape.size[1] == 2);
    cr_expect(item[0] == 16 && item[3] == 19);
    cr_assert_eq(kiln_dataset_get(ds, 3, 0, &to), KILN_OK);
    cr_expect(item[0] == 6 && item[5] == 11);
    kiln_dataset_close(&ds);
}

Test(windows, bad_arguments_are_refused)
{
    float values[4] = {0};
    const kiln_array series = {.data = values, .shape = KILN_SHAPE(4)},
                     few = {.data = values, .bytes = 8, .shape = KILN_SHAPE(4)};
    kiln_dataset *ds;

    cr_expect_eq(kiln_windows_open(&ds, &series, &(kiln_window){"x", 2, 3}, 1, NULL), KILN_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(lines.newest, "\"x\" is 3 steps from step 2 on, the series has 4"));
    cr_expect_null(ds);
    cr_expect_eq(kiln_windows_open(&ds, &series, &(kiln_window){"x", 0, 0}, 1, NULL), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_windows_open(&ds, &series, &(kiln_window){"x", -1, 1}, 1, NULL), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_windows_open(&ds, &series, (kiln_window[]){{"x", 0, 1}, {"x", 1, 1}}, 2, NULL),
                 KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_windows_open(&ds, &series, NULL, 0, NULL), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_windows_open(&ds, &few, &(kiln_window){"x", 0, 1}, 1, NULL), KILN_ERROR_SHAPE);
    cr_expect_eq(kiln_windows_open(&ds, &(kiln_array){0}, &(kiln_window){"x", 0, 1}, 1, NULL),
                 KILN_ERROR_SHAPE);
}
