/* sequences.c - batches of sequences: filled up, brought together by length, the same by seed and epoch, resumed. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/data.h>

#include "base/lines.h"

enum { ROWS = 103, MOST = 20 };

TestSuite(sequences, .init = catch_lines);

/* Row i of "a" has i * 7 % MOST numbers, i + 1 each; of "b" one more, -i - 1 each. */
static int length_of(int row)
{
    return row * 7 % MOST;
}

static kiln_dataset *opened(bool borrow)
{
    static int32_t a[ROWS * MOST], b[ROWS * (MOST + 1)];
    static int64_t first[2][ROWS + 1];
    kiln_sequences of[2] = {{ROWS, a, first[0]}, {ROWS, b, first[1]}};
    kiln_dataset *ds;

    for (int i = 0; i < ROWS; i++) {
        first[0][i + 1] = first[0][i] + length_of(i);
        first[1][i + 1] = first[1][i] + length_of(i) + 1;
        for (int64_t k = first[0][i]; k < first[0][i + 1]; k++)
            a[k] = i + 1;
        for (int64_t k = first[1][i]; k < first[1][i + 1]; k++)
            b[k] = -i - 1;
    }
    const kiln_named_sequences named[] = {{"a", &of[0]}, {"b", &of[1]}};
    cr_assert_eq(kiln_sequences_open(&ds, named, 2, &(kiln_sequences_params){.fill = -99, .borrow = borrow}),
                 KILN_OK);
    if (!borrow)
        memset(a, 0, sizeof a); /* it was copied */
    return ds;
}

/* A batch is what it should be; its rows go into `rows`. How many. */
static int take(kiln_dataset *ds, int size, int *rows)
{
    kiln_batch batch;
    int64_t longest = 0;

    cr_assert_eq(kiln_dataset_next(ds, size, &batch), KILN_OK, "%s", lines.newest);
    for (int i = 0; i < batch.rows; i++) {
        const int64_t wide[2] = {batch.column[0].shape.size[1], batch.column[2].shape.size[1]};
        const int32_t *a = (int32_t *)batch.column[0].data + i * wide[0],
                      *b = (int32_t *)batch.column[2].data + i * wide[1];
        const int32_t length = ((int32_t *)batch.column[1].data)[i];

        cr_assert_eq(((int32_t *)batch.column[3].data)[i], length + 1);
        rows[i] = -b[0] - 1;
        cr_assert_eq(length, length_of(rows[i]));
        for (int64_t k = 0; k < wide[0]; k++)
            cr_assert_eq(a[k], k < length ? rows[i] + 1 : -99);
        for (int64_t k = 0; k < wide[1]; k++)
            cr_assert_eq(b[k], k <= length ? -rows[i] - 1 : -99);
        longest = length > longest ? length : longest;
    }
    if (batch.rows > 0)
        cr_assert_eq(batch.column[0].shape.size[1], longest, "no batch is longer than it must be");
    return (int)batch.rows;
}

static int take_epoch(kiln_dataset *ds, int size, int *rows)
{
    int count = 0, came;

    while ((came = take(ds, size, rows + count)) > 0)
        count += came;
    return count;
}

static void expect_each_once(const int *rows, int count)
{
    int seen[ROWS] = {0};

    cr_assert_eq(count, ROWS);
    for (int i = 0; i < count; i++)
        cr_expect_eq(seen[rows[i]]++, 0);
}

Test(sequences, rows_are_filled_up_to_the_longest_of_their_batch)
{
    for (int borrow = 0; borrow < 2; borrow++) {
        kiln_dataset *ds = opened(borrow);
        int rows[ROWS];

        cr_expect_eq(kiln_dataset_columns(ds), 4);
        cr_expect_eq(kiln_dataset_find(ds, "b_length"), 3);
        cr_expect_eq(kiln_dataset_column(ds, 0)->shape.size[0], KILN_RAGGED);
        cr_assert_eq(take_epoch(ds, 10, rows), ROWS);
        for (int i = 0; i < ROWS; i++)
            cr_expect_eq(rows[i], i);
        kiln_dataset_close(&ds);
    }
}

Test(sequences, rows_of_a_batch_are_of_about_one_length)
{
    kiln_dataset *ds = opened(false);
    int rows[ROWS], spread = 0, ordered = 0;

    for (int by_length = 0; by_length < 2; by_length++) {
        int *sum = by_length ? &ordered : &spread;
        cr_assert_eq(kiln_dataset_set_params(ds, &(kiln_dataset_params){.shuffle = true,
                                                                        .seed = 3,
                                                                        .by_length = by_length ? 100 : 0}),
                     KILN_OK);
        expect_each_once(rows, take_epoch(ds, 8, rows));
        for (int i = 0; i + 8 <= ROWS; i += 8) {
            int least = MOST, most = 0;
            for (int k = i; k < i + 8; k++) {
                least = length_of(rows[k]) < least ? length_of(rows[k]) : least;
                most = length_of(rows[k]) > most ? length_of(rows[k]) : most;
            }
            *sum += most - least;
        }
    }
    cr_expect_gt(spread, 100);
    cr_expect_lt(ordered, 40, "12 batches of %d lengths: %d", MOST, ordered);
    kiln_dataset_close(&ds);
}

Test(sequences, the_order_is_that_of_seed_and_epoch_and_resumes)
{
    const kiln_dataset_params params = {.shuffle = true, .seed = 9, .by_length = 3};
    kiln_dataset *ds = opened(false), *again = opened(true);
    int first[ROWS], second[ROWS], rows[ROWS], rest[ROWS];

    cr_assert_eq(kiln_dataset_set_params(ds, &params), KILN_OK);
    cr_assert_eq(kiln_dataset_set_params(again, &params), KILN_OK);
    take_epoch(ds, 16, first);
    take_epoch(ds, 16, second);
    cr_expect_neq(memcmp(first, second, sizeof first), 0);
    expect_each_once(second, ROWS);
    take_epoch(again, 16, rows);
    cr_expect_arr_eq(rows, first, sizeof rows);
    cr_assert_eq(kiln_dataset_seek(again, (kiln_dataset_place){1, 32}), KILN_OK);
    cr_expect_eq(take_epoch(again, 16, rest), ROWS - 32);
    cr_expect_arr_eq(rest, second + 32, (ROWS - 32) * sizeof *rest);
    kiln_dataset_close(&ds);
    kiln_dataset_close(&again);
}

Test(sequences, without_shuffling_pools_are_sorted_and_stay_in_order)
{
    kiln_dataset *ds = opened(false);
    int rows[ROWS];

    cr_assert_eq(kiln_dataset_set_params(ds, &(kiln_dataset_params){.by_length = 2}), KILN_OK);
    expect_each_once(rows, take_epoch(ds, 10, rows));
    for (int i = 0; i < ROWS; i++) {
        cr_expect_eq(rows[i] / 20, i / 20, "pools of 2 batches of 10");
        if (i % 20)
            cr_expect_leq(length_of(rows[i - 1]), length_of(rows[i]));
    }
    kiln_dataset_close(&ds);
}

Test(sequences, an_item_is_as_long_as_it_is)
{
    kiln_dataset *ds = opened(false), *part;
    int32_t item[MOST];
    kiln_array to = {.data = item, .bytes = sizeof item};

    cr_assert_eq(kiln_dataset_get(ds, 2, 0, &to), KILN_OK);
    cr_expect(to.shape.rank == 1 && to.shape.size[0] == 14 && item[0] == 3 && item[13] == 3);
    to.bytes = 8;
    cr_expect_eq(kiln_dataset_get(ds, 2, 0, &to), KILN_ERROR_SHAPE);
    cr_assert_eq(kiln_dataset_slice(&part, ds, 2, 5), KILN_OK);
    to.bytes = sizeof item;
    cr_assert_eq(kiln_dataset_get(part, 0, 0, &to), KILN_OK);
    cr_expect_eq(to.shape.size[0], 14);
    kiln_dataset_close(&part);
    kiln_dataset_close(&ds);
}

Test(sequences, batches_are_as_long_as_the_next_multiple)
{
    int32_t ids[12] = {1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3};
    int64_t first[] = {0, 3, 8, 12};
    const kiln_sequences three = {3, ids, first};
    const int64_t wanted[] = {4, 8, 4};
    kiln_dataset *ds;
    kiln_batch batch;

    cr_assert_eq(kiln_sequences_open(&ds, (kiln_named_sequences[]){{"a", &three}}, 1,
                                     &(kiln_sequences_params){.fill = 7, .multiple = 4}),
                 KILN_OK);
    for (int row = 0; row < 3; row++) {
        cr_assert_eq(kiln_dataset_next(ds, 1, &batch), KILN_OK);
        const int32_t *a = batch.column[0].data;
        const int length = *(const int32_t *)batch.column[1].data;
        cr_assert_eq(batch.column[0].shape.size[1], wanted[row]);
        cr_expect_eq(length, first[row + 1] - first[row]);
        for (int i = 0; i < wanted[row]; i++)
            cr_expect_eq(a[i], i < length ? row + 1 : 7);
    }
    kiln_dataset_close(&ds);
    cr_expect_eq(kiln_sequences_open(&ds, (kiln_named_sequences[]){{"a", &three}}, 1,
                                     &(kiln_sequences_params){.multiple = -1}),
                 KILN_ERROR_ARGUMENT);
}

Test(sequences, bad_arguments_are_refused)
{
    int32_t ids[4] = {1, 2, 3, 4};
    int64_t good[] = {0, 2, 4}, back[] = {0, 3, 2};
    const kiln_sequences two = {2, ids, good}, bad = {2, ids, back}, one = {1, ids, good};
    kiln_dataset *ds;

    cr_expect_eq(kiln_sequences_open(&ds, (kiln_named_sequences[]){{"a", &bad}}, 1, NULL),
                 KILN_ERROR_ARGUMENT);
    cr_expect_null(ds);
    cr_expect_eq(kiln_sequences_open(&ds, (kiln_named_sequences[]){{"a", &two}, {"b", &one}}, 2, NULL),
                 KILN_ERROR_SHAPE);
    cr_expect_not_null(strstr(lines.newest, "\"b\" has 1 rows, \"a\" has 2"));
    cr_expect_eq(kiln_sequences_open(&ds, NULL, 0, NULL), KILN_ERROR_ARGUMENT);
    cr_assert_eq(
        kiln_arrays_open(&ds,
                         &(kiln_named_array){"x", {.data = ids, .type = KILN_I32, .shape = KILN_SHAPE(4)}, 0},
                         1, NULL),
        KILN_OK);
    cr_expect_eq(kiln_dataset_set_params(ds, &(kiln_dataset_params){.by_length = 2}), KILN_ERROR_ARGUMENT);
    kiln_dataset_close(&ds);
}
