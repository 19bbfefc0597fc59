/* confusion.c - the confusion matrix and its scores, against numbers worked out by hand and by scikit-learn's rules. */
#include <kiln/metrics.h>

#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/lines.h"

TestSuite(confusion, .init = catch_lines);

static kiln_confusion *matrix(int classes)
{
    kiln_confusion *c;
    cr_assert_eq(kiln_confusion_create(&c, classes), KILN_OK);
    return c;
}

/* Ten rows of three classes, and a fourth class that neither occurs nor is guessed. */
static int32_t target[] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 2};
static uint8_t guess[] = {0, 0, 0, 1, 1, 1, 0, 2, 0, 1};

static kiln_confusion *ten_rows(void)
{
    kiln_confusion *c = matrix(4);
    const kiln_array g = {.data = guess, .type = KILN_U8, .shape = KILN_SHAPE(10)};
    const kiln_array t = {.data = target, .type = KILN_I32, .shape = KILN_SHAPE(10)};
    cr_assert_eq(kiln_confusion_add(c, &g, &t), KILN_OK);
    return c;
}

static void expect_score(kiln_score s, double precision, double recall, double f1, uint64_t support)
{
    cr_expect_float_eq(s.precision, precision, 1e-12);
    cr_expect_float_eq(s.recall, recall, 1e-12);
    cr_expect_float_eq(s.f1, f1, 1e-12);
    cr_expect_eq(s.support, support);
}

Test(confusion, counts_and_scores_of_ten_rows)
{
    kiln_confusion *c = ten_rows();

    cr_expect_eq(kiln_confusion_rows(c), 10);
    cr_expect_eq(kiln_confusion_classes(c), 4);
    cr_expect_eq(kiln_confusion_count(c, 0, 0), 3);
    cr_expect_eq(kiln_confusion_count(c, 2, 1), 1);
    cr_expect_eq(kiln_confusion_count(c, 4, 0), 0);
    cr_expect_float_eq(kiln_confusion_accuracy(c), 0.6, 1e-12);
    expect_score(kiln_confusion_score(c, 0), 3.0 / 5, 3.0 / 4, 2.0 / 3, 4);
    expect_score(kiln_confusion_score(c, 1), 2.0 / 4, 2.0 / 3, 4.0 / 7, 3);
    expect_score(kiln_confusion_score(c, 2), 1, 1.0 / 3, 0.5, 3);
    kiln_confusion_destroy(&c);
    kiln_confusion_destroy(&c);
}

Test(confusion, averages_as_scikit_learn_has_them)
{
    kiln_confusion *c = ten_rows();

    expect_score(kiln_confusion_average(c, KILN_AVERAGE_MACRO), 0.7, 7.0 / 12, 73.0 / 126, 10);
    expect_score(kiln_confusion_average(c, KILN_AVERAGE_MICRO), 0.6, 0.6, 0.6, 10);
    expect_score(kiln_confusion_average(c, KILN_AVERAGE_WEIGHTED), 0.69, 0.6,
                 (4 * 2.0 / 3 + 3 * 4.0 / 7 + 1.5) / 10, 10);
    kiln_confusion_destroy(&c);
}

Test(confusion, a_ratio_without_rows_is_zero)
{
    kiln_confusion *c = ten_rows();

    expect_score(kiln_confusion_score(c, 3), 0, 0, 0, 0);
    expect_score(kiln_confusion_score(c, 9), 0, 0, 0, 0);
    kiln_confusion_reset(c);
    cr_expect_eq(kiln_confusion_rows(c), 0);
    cr_expect_eq(kiln_confusion_accuracy(c), 0);
    cr_expect_eq(kiln_confusion_top(c, 1), 0);
    expect_score(kiln_confusion_average(c, KILN_AVERAGE_MACRO), 0, 0, 0, 0);
    expect_score(kiln_confusion_average(c, KILN_AVERAGE_WEIGHTED), 0, 0, 0, 0);
    kiln_confusion_destroy(&c);
}

Test(confusion, scores_give_guesses_and_top_k)
{
    float scores[] = {
        0.1f, 0.7f,      0.2f, /* guess 1, target 1: first */
        0.5f, 0.1f,      0.4f, /* guess 0, target 2: second */
        0.3f, 0.3f,      0.3f, /* all equal: guess 0, target 2 is third */
        -9,   -INFINITY, 8,    /* guess 2, target 1: third */
    };
    float one_hot[] = {0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0};
    const kiln_array g = {.data = scores, .shape = KILN_SHAPE(4, 3)},
                     t = {.data = one_hot, .shape = KILN_SHAPE(4, 3)};
    kiln_confusion *c = matrix(3);

    cr_assert_eq(kiln_confusion_add(c, &g, &t), KILN_OK);
    cr_expect_eq(kiln_confusion_count(c, 1, 1), 1);
    cr_expect_eq(kiln_confusion_count(c, 2, 0), 2);
    cr_expect_eq(kiln_confusion_count(c, 1, 2), 1);
    cr_expect_eq(kiln_confusion_top(c, 0), 0);
    cr_expect_eq(kiln_confusion_top(c, 1), 0.25);
    cr_expect_eq(kiln_confusion_top(c, 2), 0.5);
    cr_expect_eq(kiln_confusion_top(c, 99), 1);
    kiln_confusion_destroy(&c);
}

static void expect_refused(kiln_confusion *c, const kiln_array *g, const kiln_array *t, kiln_status status,
                           const char *line)
{
    lines.count = 0;
    cr_expect_eq(kiln_confusion_add(c, g, t), status, "%s", line);
    cr_expect_eq(lines.count, 1);
    cr_expect(strstr(lines.newest, line), "wanted \"%s\" in \"%s\"", line, lines.newest);
    cr_expect_eq(kiln_confusion_rows(c), 0, "%s: nothing is counted", line);
}

Test(confusion, a_bad_batch_is_refused_whole)
{
    int32_t far[] = {0, 1, 4}, negative[] = {0, -1, 1};
    float scores[] = {0, 1, 2, 3, 4, NAN, 6, 7, 8};
    const kiln_array good = {.data = target, .type = KILN_I32, .shape = KILN_SHAPE(3)};
    const kiln_array a = {.data = far, .type = KILN_I32, .shape = KILN_SHAPE(3)};
    const kiln_array b = {.data = negative, .type = KILN_I32, .shape = KILN_SHAPE(3)};
    const kiln_array nan = {.data = scores, .shape = KILN_SHAPE(3, 3)};
    const kiln_array wide = {.data = scores, .shape = KILN_SHAPE(2, 4)};
    const kiln_array real = {.data = scores, .shape = KILN_SHAPE(3)};
    const kiln_array shorter = {.data = target, .type = KILN_I32, .shape = KILN_SHAPE(2)};
    kiln_confusion *c = matrix(3);

    expect_refused(c, &good, &a, KILN_ERROR_ARGUMENT, "target 2 is class 4, wanted 0 to 2");
    expect_refused(c, &b, &good, KILN_ERROR_ARGUMENT, "guess 1 is class -1");
    expect_refused(c, &nan, &good, KILN_ERROR_ARGUMENT, "guess 1 has a score that is no number, of class 2");
    expect_refused(c, &wide, &good, KILN_ERROR_SHAPE, "guess is [2, 4], wanted [N] classes or [N, 3] scores");
    expect_refused(c, &real, &good, KILN_ERROR_TYPE, "guess is f32, wanted integer classes");
    expect_refused(c, &good, &shorter, KILN_ERROR_SHAPE, "3 guesses, but 2 targets");
    kiln_confusion_destroy(&c);
    cr_expect_eq(kiln_confusion_create(&c, 0), KILN_ERROR_ARGUMENT);
    cr_expect_null(c);
}

static char printed[8192];

static void print(void *user, const char *text)
{
    (void)user;
    strcat(printed, text);
}

Test(confusion, prints_scores_and_matrix)
{
    static const char *const names[] = {"cat", "dog", "bird", "fish"};
    kiln_confusion *c = ten_rows();

    cr_assert_eq(kiln_confusion_print(c, names, print, NULL), KILN_OK);
    cr_expect_str_eq(printed, "class            precision    recall        f1   support\n"
                              "cat                 0.6000    0.7500    0.6667         4\n"
                              "dog                 0.5000    0.6667    0.5714         3\n"
                              "bird                1.0000    0.3333    0.5000         3\n"
                              "fish                0.0000    0.0000    0.0000         0\n"
                              "\n"
                              "macro average       0.7000    0.5833    0.5794        10\n"
                              "weighted average    0.6900    0.6000    0.5881        10\n"
                              "accuracy            0.6000  of 10 rows\n"
                              "\n"
                              "true \\ guessed        0      1      2      3\n"
                              " 0 cat                3      1      0      0\n"
                              " 1 dog                1      2      0      0\n"
                              " 2 bird               1      1      1      0\n"
                              " 3 fish               0      0      0      0\n");
    kiln_confusion_destroy(&c);
}
