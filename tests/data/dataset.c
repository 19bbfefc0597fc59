/* dataset.c - batches, order, positions and views of datasets, on arrays whose values are their row numbers. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include <kiln/data.h>
#include <kiln/import.h>

#include "base/lines.h"
#include "config.h"

enum { MOST = 256 };

/* Rows 0 .. rows - 1: "x" F32 [2] = {row, -row}, "label" I32 = row % 3. */
static kiln_dataset *numbers(int rows)
{
    static float x[2 * MOST];
    static int32_t label[MOST];
    kiln_dataset *ds;

    for (int i = 0; i < rows; i++) {
        x[2 * i] = (float)i;
        x[2 * i + 1] = -(float)i;
        label[i] = i % 3;
    }
    const kiln_named_array arrays[] = {
        {"x", {.data = x, .shape = KILN_SHAPE(rows, 2)}, 0},
        {"label", {.data = label, .type = KILN_I32, .shape = KILN_SHAPE(rows)}, 3},
    };
    cr_assert_eq(kiln_arrays_open(&ds, arrays, 2, NULL), KILN_OK);
    memset(x, 0, sizeof x); /* it was copied */
    return ds;
}

/* The rows of a batch, which must belong together; how many. */
static int take(kiln_dataset *ds, int batch_size, int *rows)
{
    kiln_batch b;

    cr_assert_eq(kiln_dataset_next(ds, batch_size, &b), KILN_OK);
    for (int i = 0; i < b.rows; i++) {
        const float *x = (const float *)b.column[0].data + 2 * (ptrdiff_t)i;
        rows[i] = (int)x[0];
        cr_assert(x[1] == -x[0] && ((const int32_t *)b.column[1].data)[i] == rows[i] % 3);
    }
    return (int)b.rows;
}

/* All rows of an epoch in order of appearance; how many. */
static int take_epoch(kiln_dataset *ds, int batch_size, int *rows)
{
    int count = 0, came;

    while ((came = take(ds, batch_size, rows + count)) > 0)
        count += came;
    return count;
}

static bool are_each_once(const int *rows, int count)
{
    bool seen[MOST] = {0};

    for (int i = 0; i < count; i++) {
        if (rows[i] < 0 || rows[i] >= count || seen[rows[i]])
            return false;
        seen[rows[i]] = true;
    }
    return true;
}

TestSuite(dataset, .init = catch_lines);

/* What it holds ------------------------------------------------------------------------------------------ */

Test(dataset, tells_its_rows_columns_and_classes)
{
    kiln_dataset *ds = numbers(10);

    cr_expect_eq(kiln_dataset_rows(ds), 10);
    cr_expect_eq(kiln_dataset_columns(ds), 2);
    cr_expect_str_eq(kiln_dataset_column(ds, 1)->name, "label");
    cr_expect_eq(kiln_dataset_column(ds, 1)->classes, 3);
    cr_expect_eq(kiln_dataset_column(ds, 0)->shape.rank, 1);
    cr_expect_null(kiln_dataset_column(ds, 2));
    cr_expect_null(kiln_dataset_column(ds, -1));
    cr_expect_eq(kiln_dataset_find(ds, "label"), 1);
    cr_expect_eq(kiln_dataset_find(ds, "bogus"), -1);
    cr_expect_null(kiln_dataset_class(ds, 0), "these classes have no names");
    kiln_dataset_close(&ds);
    cr_expect_null(ds);
    kiln_dataset_close(&ds);
}

Test(dataset, gives_single_items)
{
    kiln_dataset *ds = numbers(10);
    float x[2] = {0};
    kiln_array item = {.data = x, .bytes = sizeof x};

    cr_expect_eq(kiln_dataset_get(ds, 7, 0, &item), KILN_OK);
    cr_expect(x[0] == 7 && x[1] == -7 && item.shape.rank == 1 && item.shape.size[0] == 2);
    cr_expect_eq(kiln_dataset_get(ds, 10, 0, &item), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_dataset_get(ds, 0, 2, &item), KILN_ERROR_ARGUMENT);
    item.bytes = 4;
    cr_expect_eq(kiln_dataset_get(ds, 0, 0, &item), KILN_ERROR_SHAPE);
    cr_expect_eq(lines.count, 3);
    kiln_dataset_close(&ds);
}

Test(dataset, refuses_arrays_that_are_no_table)
{
    static float x[6];
    static int32_t label[3] = {0, 3, 1};
    const kiln_named_array good = {"x", {.data = x, .shape = KILN_SHAPE(3, 2)}, 0};
    const struct {
        kiln_named_array array;
        const char *reason;
    } bad[] = {
        {{"y", {.data = x, .shape = KILN_SHAPE(2, 3)}, 0}, "2 rows"},
        {{"y", {.data = x, .shape = KILN_SCALAR}, 0}, "wanted [rows"},
        {{"y", {.data = x, .shape = KILN_SHAPE(3, KILN_BATCH)}, 0}, "wanted [rows"},
        {{"y", {.data = x, .shape = KILN_SHAPE(3, INT64_MAX / 3)}, 0}, "wanted [rows"},
        {{"y", {.data = x, .bytes = 8, .shape = KILN_SHAPE(3, 2)}, 0}, "8 bytes"},
        {{"y", {.data = label, .type = KILN_I32, .shape = KILN_SHAPE(3)}, 3}, "holds 3 at 1"},
        {{"y", {.data = x, .shape = KILN_SHAPE(3)}, 3}, "wanted i32"},
        {{"y", {.shape = KILN_SHAPE(3)}, 0}, "without data"},
        {{NULL, {.data = x, .shape = KILN_SHAPE(3)}, 0}, "without a name"},
        {{"x", {.data = x, .shape = KILN_SHAPE(3)}, 0}, "two arrays"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kiln_dataset *ds;
        lines.count = 0;
        cr_expect_neq(kiln_arrays_open(&ds, (kiln_named_array[]){good, bad[i].array}, 2, NULL), KILN_OK);
        cr_expect_null(ds);
        cr_expect(lines.count == 1 && strstr(lines.newest, bad[i].reason), "wanted \"%s\": %s", bad[i].reason,
                  lines.newest);
    }
}

Test(dataset, borrows_arrays_when_asked)
{
    float x[3] = {1, 2, 3}, item;
    const kiln_named_array array = {"x", {.data = x, .shape = KILN_SHAPE(3)}, 0};
    kiln_dataset *ds;

    cr_assert_eq(kiln_arrays_open(&ds, &array, 1, &(kiln_arrays_params){.borrow = true}), KILN_OK);
    x[1] = 5;
    cr_assert_eq(kiln_dataset_get(ds, 1, 0, &(kiln_array){.data = &item}), KILN_OK);
    cr_expect_eq(item, 5);
    kiln_dataset_close(&ds);
}

#if KILN_HAVE_ZLIB

Test(dataset, reads_npz_files)
{
    float x[6] = {1, 2, 3, 4, 5, 6}, item[2];
    int64_t label[3] = {7, 8, 9}, number;
    const char *names[] = {"x", "label"};
    kiln_array arrays[] = {{.data = x, .shape = KILN_SHAPE(3, 2)},
                           {.data = label, .type = KILN_I64, .shape = KILN_SHAPE(3)}};
    char path[] = "/tmp/kiln-npz-XXXXXX";
    kiln_dataset *ds;

    close(mkstemp(path));
    cr_assert_eq(kiln_npz_save(path, names, arrays, 2), KILN_OK);
    cr_assert_eq(kiln_dataset_npz_open(&ds, path), KILN_OK, "%s", lines.newest);
    cr_expect_eq(kiln_dataset_rows(ds), 3);
    cr_assert_eq(kiln_dataset_get(ds, 2, kiln_dataset_find(ds, "x"), &(kiln_array){.data = item}), KILN_OK);
    cr_assert_eq(kiln_dataset_get(ds, 1, kiln_dataset_find(ds, "label"), &(kiln_array){.data = &number}),
                 KILN_OK);
    cr_expect(item[0] == 5 && item[1] == 6 && number == 8);
    kiln_dataset_close(&ds);

    arrays[1].shape.size[0] = 2;
    cr_assert_eq(kiln_npz_save(path, names, arrays, 2), KILN_OK);
    cr_expect_eq(kiln_dataset_npz_open(&ds, path), KILN_ERROR_SHAPE);
    cr_expect(!ds && lines.count == 1 && strstr(lines.newest, path) && strstr(lines.newest, "2 rows"), "%s",
              lines.newest);
    cr_assert_eq(truncate(path, 100), 0);
    cr_expect_eq(kiln_dataset_npz_open(&ds, path), KILN_ERROR_FILE);
    cr_expect(!ds && lines.count == 2);
    remove(path);
}

#endif

/* Batches ------------------------------------------------------------------------------------------------ */

Test(dataset, gives_the_ragged_last_batch_then_an_empty_one_then_the_next_epoch)
{
    kiln_dataset *ds = numbers(10);
    kiln_batch b;

    for (int epoch = 0; epoch < 3; epoch++) {
        const int wanted[] = {4, 4, 2, 0};
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(kiln_dataset_next(ds, 4, &b), KILN_OK);
            cr_expect_eq(b.rows, wanted[i]);
            cr_expect_eq(b.column[0].shape.size[0], wanted[i]);
            cr_expect_eq(b.column[0].bytes, (size_t)wanted[i] * 8);
        }
        cr_expect_eq(kiln_dataset_position(ds).epoch, epoch + 1);
        cr_expect_eq(kiln_dataset_position(ds).row, 0);
    }
    cr_expect_eq(b.columns, 2);
    cr_expect_str_eq(b.name[1], "label");
    kiln_dataset_close(&ds);
}

Test(dataset, drops_the_last_batch_when_asked)
{
    kiln_dataset *ds = numbers(10);
    kiln_batch b;
    int rows[MOST];

    kiln_dataset_set_params(ds, &(kiln_dataset_params){.drop_last = true});
    cr_expect_eq(take_epoch(ds, 4, rows), 8);
    cr_expect_eq(take_epoch(ds, 5, rows), 10);
    cr_expect_eq(kiln_dataset_next(ds, 11, &b), KILN_ERROR_ARGUMENT, "no batch would ever come");
    cr_expect_eq(kiln_dataset_next(ds, 0, &b), KILN_ERROR_ARGUMENT);
    cr_expect_eq(lines.count, 2);
    kiln_dataset_close(&ds);
}

Test(dataset, takes_batches_larger_than_itself_and_of_changing_size)
{
    kiln_dataset *ds = numbers(10);
    int rows[MOST], count = 0;

    cr_expect_eq(take_epoch(ds, 1000000, rows), 10);
    for (int size = 1; size <= 4; size++)
        count += take(ds, size, rows + count);
    cr_expect_eq(count, 10);
    cr_expect(are_each_once(rows, 10) && rows[9] == 9);
    kiln_dataset_close(&ds);
}

Test(dataset, shuffles_each_epoch_anew_and_alike_for_the_same_seed)
{
    kiln_dataset *a = numbers(100), *b = numbers(100);
    int first[MOST], second[MOST], again[MOST];

    kiln_dataset_set_params(a, &(kiln_dataset_params){.shuffle = true, .seed = 5});
    kiln_dataset_set_params(b, &(kiln_dataset_params){.shuffle = true, .seed = 5});
    cr_expect_eq(take_epoch(a, 7, first), 100);
    cr_expect_eq(take_epoch(a, 7, second), 100);
    cr_expect(are_each_once(first, 100) && are_each_once(second, 100));
    cr_expect(memcmp(first, second, sizeof(int) * 100) != 0);
    take_epoch(b, 13, again);
    cr_expect_eq(memcmp(first, again, sizeof(int) * 100), 0, "the batch size does not matter");

    kiln_dataset_set_params(b, &(kiln_dataset_params){.shuffle = true, .seed = 6});
    take_epoch(b, 13, again);
    cr_expect(memcmp(second, again, sizeof(int) * 100) != 0, "another seed, another order");
    kiln_dataset_close(&a);
    kiln_dataset_close(&b);
}

Test(dataset, resumes_at_any_position_as_if_it_had_never_stopped)
{
    const kiln_dataset_params params = {.shuffle = true, .seed = 9};
    kiln_dataset *a = numbers(50);
    int wanted[MOST], got[MOST];

    kiln_dataset_set_params(a, &params);
    for (int i = 0; i < 23; i++) {
        kiln_dataset *b = numbers(50);
        const kiln_dataset_place place = kiln_dataset_position(a);
        const int rows = take(a, 8, wanted);

        kiln_dataset_set_params(b, &params);
        cr_assert_eq(kiln_dataset_seek(b, place), KILN_OK);
        cr_expect_eq(take(b, 8, got), rows);
        cr_expect(rows == 0 || memcmp(wanted, got, sizeof(int) * (size_t)rows) == 0, "batch %d", i);
        kiln_dataset_close(&b);
    }
    kiln_dataset_close(&a);
}

Test(dataset, rewinds_to_the_start_of_the_epoch)
{
    kiln_dataset *ds = numbers(20);
    int first[MOST], again[MOST];

    kiln_dataset_set_params(ds, &(kiln_dataset_params){.shuffle = true});
    take_epoch(ds, 8, first);
    take(ds, 8, first);
    take(ds, 8, again);
    kiln_dataset_rewind(ds);
    cr_expect_eq(kiln_dataset_position(ds).epoch, 1);
    take(ds, 8, again);
    cr_expect_eq(memcmp(first, again, sizeof(int) * 8), 0);
    kiln_dataset_close(&ds);
}

Test(dataset, refuses_places_and_params_that_do_not_exist)
{
    kiln_dataset *ds = numbers(20);

    cr_expect_eq(kiln_dataset_seek(ds, (kiln_dataset_place){0, 21}), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_dataset_seek(ds, (kiln_dataset_place){-1, 0}), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_dataset_seek(ds, (kiln_dataset_place){3, 20}), KILN_OK, "the end is a place");
    cr_expect_eq(kiln_dataset_set_params(ds, &(kiln_dataset_params){.augment.shift = -1}),
                 KILN_ERROR_ARGUMENT);
    cr_expect_eq(lines.count, 3);
    kiln_dataset_close(&ds);
}

/* Views -------------------------------------------------------------------------------------------------- */

Test(dataset, slices_share_storage_and_outlive_their_source)
{
    kiln_dataset *all = numbers(20), *part, *inner;
    int rows[MOST];

    cr_assert_eq(kiln_dataset_slice(&part, all, 5, 10), KILN_OK);
    cr_assert_eq(kiln_dataset_slice(&inner, part, 8, 100), KILN_OK);
    kiln_dataset_close(&all);
    kiln_dataset_close(&part);
    cr_expect_eq(kiln_dataset_rows(inner), 2);
    cr_expect_eq(take_epoch(inner, 8, rows), 2);
    cr_expect(rows[0] == 13 && rows[1] == 14);
    cr_expect_eq(kiln_dataset_slice(&part, inner, 2, 1), KILN_ERROR_ARGUMENT);
    cr_expect_null(part);
    cr_expect_eq(kiln_dataset_slice(&part, inner, 0, 0), KILN_ERROR_ARGUMENT);
    cr_expect_eq(lines.count, 2);
    kiln_dataset_close(&inner);
}

Test(dataset, splits_into_disjoint_parts_by_seed)
{
    const double fraction[] = {0.7, 0.2, 0.1};
    kiln_dataset *all = numbers(101), *part[3], *again[3];
    int rows[MOST], same[MOST], count = 0;

    cr_assert_eq(kiln_dataset_split(part, all, fraction, 3, 4), KILN_OK);
    cr_assert_eq(kiln_dataset_split(again, all, fraction, 3, 4), KILN_OK);
    for (int i = 0; i < 3; i++) {
        const int came = take_epoch(part[i], 16, rows + count);
        cr_expect_eq(take_epoch(again[i], 16, same), came);
        cr_expect_eq(memcmp(rows + count, same, sizeof(int) * (size_t)came), 0);
        for (int j = 1; j < came; j++)
            cr_expect(rows[count + j] > rows[count + j - 1], "a part keeps the order");
        count += came;
    }
    cr_expect_eq(kiln_dataset_rows(part[0]), 71);
    cr_expect(count == 101 && are_each_once(rows, 101));
    kiln_dataset_close(&again[0]);
    cr_assert_eq(kiln_dataset_split(again, all, fraction, 1, 5), KILN_OK);
    take_epoch(again[0], 16, same);
    cr_expect(memcmp(rows, same, sizeof(int) * 71) != 0, "another seed, other parts");
    for (int i = 0; i < 3; i++) {
        kiln_dataset_close(&part[i]);
        kiln_dataset_close(&again[i]);
    }
    kiln_dataset_close(&all);
}

Test(dataset, refuses_splits_that_do_not_add_up)
{
    const double bad[][2] = {{0.7, 0.4}, {1, 0.001}, {0.5, 0}, {0.5, -0.1}, {0.01, 0.5}};
    kiln_dataset *all = numbers(20), *part[2];

    for (int i = 0; i < 5; i++) {
        lines.count = 0;
        cr_expect_eq(kiln_dataset_split(part, all, bad[i], 2, 0), KILN_ERROR_ARGUMENT);
        cr_expect(!part[0] && !part[1] && lines.count == 1);
    }
    kiln_dataset_close(&all);
}
