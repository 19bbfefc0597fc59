/* fit.c - the ready-made loop: it learns, stops when told, and refuses what cannot be. */
#include <stdio.h>
#include <string.h>

#include "base/lines.h"
#include "train/toy.h"

TestSuite(fit, .fini = toy_clean);

Test(fit, learns_on_every_device)
{
    for (int d = 0; kiln_test_device(d); d++) {
        struct toy t;
        double before, after;
        toy_open(&t, kiln_test_device(d), 1e-2);
        cr_assert_eq(kiln_evaluate(t.grade, t.data, t.loss, &before), KILN_OK);
        cr_assert_eq(kiln_fit(t.learn, t.data, &(kiln_fit_params){.epochs = 12, .batch = 32, .quiet = true}),
                     KILN_OK);
        cr_assert_eq(kiln_evaluate(t.grade, t.data, t.accuracy, &after), KILN_OK);
        cr_expect_gt(after, 0.85, "accuracy %g on %s", after, kiln_test_device(d));
        cr_assert_eq(kiln_evaluate(t.grade, t.data, t.loss, &after), KILN_OK);
        cr_expect_lt(after, before / 2, "loss from %g to %g", before, after);
        toy_close(&t);
    }
}

/* What a callback saw. */
struct seen {
    int readings, epochs;
    int64_t step, stop_at;
    double best;
};

static bool look(void *user, const kiln_fit_info *info)
{
    struct seen *s = user;
    s->readings += !info->epoch_ended;
    s->epochs += info->epoch_ended;
    s->step = info->step;
    s->best = info->best;
    cr_expect_eq(info->count, 2);
    cr_expect_str_eq(info->name[0], "loss");
    cr_expect_str_eq(info->name[1], "accuracy");
    return s->stop_at == 0 || info->step < s->stop_at;
}

Test(fit, ends_after_so_many_steps_in_the_middle_of_an_epoch)
{
    struct toy t;
    struct seen seen = {0};
    toy_open(&t, "cpu", 1e-2);
    cr_assert_eq(
        kiln_fit(t.learn, t.data,
                 &(kiln_fit_params){.steps = 17, .batch = 32, .quiet = true, .call = look, .user = &seen}),
        KILN_OK);
    cr_expect_eq(seen.step, 17);
    cr_expect_eq(seen.epochs, 2, "11 steps make an epoch: %d ended", seen.epochs);
    cr_expect_eq(kiln_dataset_position(t.data).row, 6 * 32);
    toy_close(&t);
}

Test(fit, stops_when_its_caller_says_so)
{
    struct toy t;
    struct seen seen = {.stop_at = 5};
    toy_open(&t, "cpu", 1e-2);
    cr_assert_eq(
        kiln_fit(t.learn, t.data,
                 &(kiln_fit_params){.epochs = 9, .batch = 32, .quiet = true, .call = look, .user = &seen}),
        KILN_ERROR_STOPPED);
    cr_expect_eq(seen.step, 5);
    toy_close(&t);
}

Test(fit, stops_early_when_validation_gets_no_better)
{
    struct toy t;
    struct seen seen = {0};
    const char *best = toy_path("best.safetensors");
    toy_open(&t, "cpu", KILN_ZERO);
    cr_assert_eq(kiln_dataset_set_params(t.data, NULL), KILN_OK);
    cr_assert_eq(kiln_fit(t.learn, t.data,
                          &(kiln_fit_params){.epochs = 50,
                                             .batch = 64,
                                             .in_order = true, /* in another the mean rounds otherwise */
                                             .validation = t.data,
                                             .grade = t.grade,
                                             .watch = t.loss,
                                             .lower = true,
                                             .patience = 3,
                                             .best = best,
                                             .quiet = true,
                                             .call = look,
                                             .user = &seen}),
                 KILN_OK);
    cr_expect_eq(seen.epochs, 4, "the first is the best, then 3: %d", seen.epochs);
    cr_expect_eq(kiln_weights_load(t.weights, best, NULL), KILN_OK);
    toy_close(&t);
}

Test(fit, logs_a_row_a_reading_and_draws_curves)
{
    struct toy t;
    const char *csv = toy_path("log.csv"), *curves = toy_path("curves.svg");
    char line[256];
    int rows = 0;
    toy_open(&t, "cpu", 1e-2);
    const kiln_status status = kiln_fit(t.learn, t.data,
                                        &(kiln_fit_params){.epochs = 3,
                                                           .batch = 100,
                                                           .read_every = 2,
                                                           .validation = t.data,
                                                           .grade = t.grade,
                                                           .csv = csv,
                                                           .curves = curves,
                                                           .quiet = true});
    cr_assert(status == KILN_OK || status == KILN_ERROR_UNSUPPORTED, "%s", kiln_status_text(status));
    FILE *f = fopen(csv, "r");
    cr_assert_not_null(f);
    cr_assert_not_null(fgets(line, sizeof line, f));
    cr_expect_str_eq(line, "step,epoch,seconds,loss,accuracy,validation accuracy\n");
    while (fgets(line, sizeof line, f))
        rows++;
    fclose(f);
    if (status == KILN_OK) { /* without cairo it ends at the first drawing */
        cr_expect_eq(rows, 6, "4 steps an epoch, every 2nd read: %d rows", rows);
        cr_expect_not_null(f = fopen(curves, "r"));
        if (f)
            fclose(f);
    }
    toy_close(&t);
}

Test(fit, names_the_input_that_has_no_column)
{
    struct toy t;
    kiln_dataset *other;
    float x[12] = {0};
    toy_open(&t, "cpu", 1e-2);
    const kiln_named_array array = {.name = "x", .array = {.data = x, .shape = KILN_SHAPE(2, TOY_FEATURES)}};
    cr_assert_eq(kiln_arrays_open(&other, &array, 1, NULL), KILN_OK);
    catch_lines();
    cr_expect_eq(kiln_fit(t.learn, other, NULL), KILN_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(lines.newest, "\"label\""), "%s", lines.newest);
    cr_expect_not_null(strstr(lines.newest, "\"x\""), "%s", lines.newest);
    kiln_dataset_close(&other);
    toy_close(&t);
}

Test(fit, refuses_params_that_do_not_fit_together)
{
    struct toy t;
    toy_open(&t, "cpu", 1e-2);
    const kiln_fit_params wrong[] = {{.epochs = -1},     {.batch = -3},    {.validation = t.data},
                                     {.grade = t.grade}, {.patience = 2},  {.best = "x"},
                                     {.every = 5},       {.resume = true}, {.read_every = -1}};
    catch_lines();
    for (size_t i = 0; i < KILN_COUNT(wrong); i++)
        cr_expect_eq(kiln_fit(t.learn, t.data, &wrong[i]), KILN_ERROR_ARGUMENT, "number %zu was taken", i);
    cr_expect_eq(lines.count, (int)KILN_COUNT(wrong), "one line each, there are %d", lines.count);
    toy_close(&t);
}

Test(fit, refuses_a_batch_that_the_rows_cannot_fill)
{
    struct toy t;
    toy_open(&t, "cpu", 1e-2);
    cr_assert_eq(kiln_dataset_set_params(t.data, &(kiln_dataset_params){.drop_last = true}), KILN_OK);
    catch_lines();
    cr_expect_eq(kiln_fit(t.learn, t.data, &(kiln_fit_params){.batch = TOY_ROWS + 1}), KILN_ERROR_ARGUMENT);
    toy_close(&t);
}
