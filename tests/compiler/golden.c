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

/* x [T, B, 8], h -> tanh(x w + h u), in turns. */
static kiln_tensor scanned(kiln_graph *g, int64_t steps)
{
    kiln_graph *cell = plan_graph();
    const kiln_tensor x = kiln_input(cell, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 8)),
                      h = kiln_input(cell, "h", KILN_F32, KILN_SHAPE(KILN_BATCH, 8));
    const kiln_tensor w = kiln_parameter(cell, "w", KILN_SHAPE(8, 8), NULL),
                      u = kiln_parameter(cell, "u", KILN_SHAPE(8, 8), NULL);
    const kiln_tensor next =
        kiln_tanh(cell, kiln_add(cell, kiln_matmul(cell, x, w, NULL), kiln_matmul(cell, h, u, NULL)));
    kiln_output(cell, "y", kiln_scale(cell, next, 2));
    kiln_output(cell, "next", next);
    const kiln_tensor all = kiln_input(g, "all", KILN_F32, KILN_SHAPE(steps, KILN_BATCH, 8)),
                      first = kiln_input(g, "first", KILN_F32, KILN_SHAPE(KILN_BATCH, 8));
    kiln_tensor out[2];
    kiln_scan(g, cell, &(kiln_scan_params){.each = {all}, .carry = {first}, .form = KILN_LOOP_REPEATED}, out);
    kiln_graph_destroy(&cell);
    return kiln_add(g, kiln_sum(g, out[0], NULL), kiln_sum(g, out[1], NULL));
}

Test(golden, a_repeated_scan_learns_as_planned)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor loss = scanned(g, 20), step = kiln_minimize(g, loss, NULL);
    struct planned d = plan_of(g, KILN_RUN(step, loss), true);
    expect_plan("scan_learn", &d);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

/* Halve n while it is even, or take 3 n + 1: until it is 1. */
static kiln_tensor looped(kiln_graph *g)
{
    kiln_graph *body = plan_graph(), *branch[] = {plan_graph(), plan_graph()};
    kiln_tensor out[2];
    for (int i = 0; i < 2; i++) {
        kiln_graph *b = branch[i];
        const kiln_tensor n = kiln_input(b, "n", KILN_F32, KILN_SHAPE(4)),
                          next = i ? kiln_scale(b, n, 0.5) : kiln_shift(b, kiln_scale(b, n, 3), 1);
        kiln_output(b, "next", kiln_softmax(b, next, 0));
    }
    const kiln_tensor step = kiln_input(body, "step", KILN_I32, KILN_SCALAR),
                      n = kiln_input(body, "n", KILN_F32, KILN_SHAPE(4));
    kiln_if(body, kiln_less(body, step, kiln_scalar(body, KILN_I32, 5)), branch[0], branch[1], &n, out);
    kiln_output(body, "more",
                kiln_less(body, kiln_reduce_max(body, out[0], NULL), kiln_scalar(body, KILN_F32, 0.9)));
    kiln_output(body, "next", out[0]);
    const kiln_tensor start = kiln_input(g, "start", KILN_F32, KILN_SHAPE(4));
    kiln_loop(g, body, &(kiln_loop_params){.carry = {start}, .bound = 30}, out);
    kiln_graph_destroy(&body);
    for (int i = 0; i < 2; i++)
        kiln_graph_destroy(&branch[i]);
    return out[1];
}

Test(golden, a_branch_in_a_loop_is_gated_as_planned)
{
    kiln_graph *g = plan_graph();
    struct planned d = plan_of(g, KILN_RUN(looped(g)), false);
    expect_plan("loop", &d);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}
