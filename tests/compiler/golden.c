/*
 * golden.c - whole plans against the text in tests/golden/NAME.plan: kernels, variants, waves and bytes, on
 * the null device and so on any machine. Where a plan changes for the better, KILN_UPDATE_GOLDEN=1 writes it
 * anew.
 */
#include <stdio.h>

#include "base/text.h"
#include "compiler/plans.h"
#include "support/nets.h"

static void add_text(void *user, const char *text)
{
    kiln_text_add(user, "%s", text);
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (f && text)
        text[fread(text, 1, (1 << 20) - 1, f)] = 0;
    if (f)
        fclose(f);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f, "%s cannot be written", path);
    fputs(text, f);
    fclose(f);
}

/* The line that `at` lies in. */
static int line_at(const char *text, size_t at, const char **begin)
{
    int line = 1;
    *begin = text;
    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') {
            line++;
            *begin = text + i + 1;
        }
    return line;
}

static void expect_text(const char *name, const char *got, const char *wanted)
{
    size_t at = 0;
    const char *was, *is;
    while (got[at] && got[at] == wanted[at])
        at++;
    if (!got[at] && !wanted[at])
        return;
    const int line = line_at(wanted, at, &was);
    line_at(got, at, &is);
    cr_expect(false, "%s.plan, line %d is\n  %.*s\nwas\n  %.*s", name, line, (int)strcspn(is, "\n"), is,
              (int)strcspn(was, "\n"), was);
}

static void expect_plan(const char *name, const struct planned *d)
{
    char path[1024];
    struct kiln_text text = {0};
    snprintf(path, sizeof path, "%s/golden/%s.plan", getenv("KILN_TEST_ROOT"), name);
    cr_assert_eq(kiln_program_print(d->p, add_text, &text), KILN_OK);
    if (getenv("KILN_UPDATE_GOLDEN"))
        write_file(path, kiln_text_get(&text));
    char *wanted = read_file(path);
    cr_assert_not_null(wanted);
    expect_text(name, kiln_text_get(&text), wanted);
    free(wanted);
    kiln_text_finish(&text);
}

Test(golden, lenet_predicts_as_planned)
{
    struct kiln_test_learner l = kiln_test_learner(kiln_test_lenet, NULL);
    struct planned d = plan_of(l.g, KILN_RUN(l.scores), false);
    expect_plan("lenet_predict", &d);
    planned_finish(&d);
    kiln_test_learner_finish(&l);
}

Test(golden, lenet_learns_as_planned)
{
    struct kiln_test_learner l = kiln_test_learner(kiln_test_lenet, &(kiln_minimize_params){.by = KILN_ADAM});
    struct planned d = plan_of(l.g, KILN_RUN(l.step, l.loss), true);
    expect_plan("lenet_learn", &d);
    planned_finish(&d);
    kiln_test_learner_finish(&l);
}

Test(golden, batch_norm_at_inference_is_folded_as_planned)
{
    struct kiln_test_learner l = kiln_test_learner(kiln_test_noisy, NULL);
    struct planned d = plan_of(l.g, KILN_RUN(l.scores), false);
    expect_plan("norm_predict", &d);
    planned_finish(&d);
    kiln_test_learner_finish(&l);
}
