/* digits.c - generated digits: reproducible, of all classes, and such that one can tell them apart. */
#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/data.h>

#include "base/lines.h"

enum { PIXELS = 784 };

static int32_t digit(const kiln_dataset *ds, int64_t row, float *image)
{
    int32_t label;
    cr_assert_eq(kiln_dataset_get(ds, row, 0, &(kiln_array){.data = image, .bytes = PIXELS * sizeof *image}),
                 KILN_OK);
    cr_assert_eq(kiln_dataset_get(ds, row, 1, &(kiln_array){.data = &label, .bytes = sizeof label}), KILN_OK);
    return label;
}

static kiln_dataset *open_digits(int64_t rows, uint64_t seed)
{
    kiln_dataset *ds;
    cr_assert_eq(kiln_digits_open(&ds, &(kiln_digits_params){.rows = rows, .seed = seed}), KILN_OK);
    return ds;
}

Test(digits, are_the_same_for_the_same_seed_however_many)
{
    kiln_dataset *few = open_digits(20, 3), *many = open_digits(50, 3), *others = open_digits(20, 4);
    float a[PIXELS], b[PIXELS];
    int equal = 0;

    for (int row = 0; row < 20; row++) {
        cr_expect_eq(digit(few, row, a), digit(many, row, b));
        cr_expect_eq(memcmp(a, b, sizeof a), 0);
        digit(others, row, b);
        equal += memcmp(a, b, sizeof a) == 0;
    }
    cr_expect_eq(equal, 0);
    kiln_dataset_close(&few);
    kiln_dataset_close(&many);
    kiln_dataset_close(&others);
}

Test(digits, have_all_classes_about_equally_and_values_from_0_to_1)
{
    kiln_dataset *ds = open_digits(2000, 0);
    float image[PIXELS];
    int count[10] = {0};

    for (int row = 0; row < 2000; row++) {
        count[digit(ds, row, image)]++;
        for (int i = 0; i < PIXELS; i++)
            cr_assert(image[i] >= 0 && image[i] <= 1);
    }
    for (int i = 0; i < 10; i++)
        cr_expect(count[i] > 140 && count[i] < 260, "%d times %d", count[i], i);
    cr_expect_str_eq(kiln_dataset_class(ds, 7), "7");
    kiln_dataset_close(&ds);
}

/* The class whose mean picture, itself from other digits, lies closest. */
static int closest(double mean[10][PIXELS], const float *image)
{
    double least = INFINITY;
    int best = 0;

    for (int c = 0; c < 10; c++) {
        double sum = 0;
        for (int i = 0; i < PIXELS; i++)
            sum += (image[i] - mean[c][i]) * (image[i] - mean[c][i]);
        if (sum < least) {
            least = sum;
            best = c;
        }
    }
    return best;
}

Test(digits, can_be_told_apart_but_not_by_their_mean_alone)
{
    static double mean[10][PIXELS];
    kiln_dataset *train = open_digits(2000, 1), *test = open_digits(500, 2);
    float image[PIXELS];
    int count[10] = {0}, right = 0;

    for (int row = 0; row < 2000; row++) {
        const int32_t label = digit(train, row, image);
        count[label]++;
        for (int i = 0; i < PIXELS; i++)
            mean[label][i] += image[i];
    }
    for (int i = 0; i < 10 * PIXELS; i++)
        mean[i / PIXELS][i % PIXELS] /= count[i / PIXELS];
    for (int row = 0; row < 500; row++)
        right += digit(test, row, image) == closest(mean, image);
    cr_expect(right > 250 && right < 475, "%d of 500 right", right);
    kiln_dataset_close(&train);
    kiln_dataset_close(&test);
}

Test(digits, refuse_impossible_counts)
{
    kiln_dataset *ds;

    catch_lines();
    cr_expect_eq(kiln_digits_open(&ds, &(kiln_digits_params){.rows = -1}), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_digits_open(&ds, &(kiln_digits_params){.rows = INT64_MAX}), KILN_ERROR_ARGUMENT);
    cr_expect_null(ds);
    cr_expect_eq(lines.count, 2);
}
