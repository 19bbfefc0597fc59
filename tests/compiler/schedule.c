/* schedule.c - waves without a conflict inside, effects at the end, and a prologue of what follows from
 * weights alone. */
#include <math.h>

#include "compiler/plans.h"
#include "support/nets.h"

static bool conflict(const struct kiln_touch *a, const struct kiln_touch *b)
{
    return a->object >= 0 && a->object == b->object && (a->access != KILN_READ || b->access != KILN_READ) &&
           a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void expect_no_conflict(const struct kiln_plan *plan)
{
    for (int i = 0; i < plan->step.count; i++)
        for (int j = 0; j < i; j++) {
            const struct kiln_step *a = &plan->step.data[j], *b = &plan->step.data[i];
            cr_expect_leq(a->prologue == b->prologue ? a->wave : 0, b->wave,
                          "steps are in the order of waves");
            for (int k = 0; k < a->touches * b->touches && a->wave == b->wave && a->prologue == b->prologue;
                 k++)
                cr_expect_not(conflict(&a->touch[k % a->touches], &b->touch[k / a->touches]),
                              "steps %d and %d of wave %d touch the same bytes", j, i, a->wave);
        }
}

static int count_barriers(const struct kiln_commands *list)
{
    int count = 0;
    for (int i = 0; i < list->count; i++)
        count += list->command[i].kind == KILN_COMMAND_BARRIER;
    return count;
}

Test(schedule, no_step_touches_what_another_of_its_wave_writes)
{
    const kiln_minimize_params adam = {.by = KILN_ADAM, .clip_norm = 1};
    struct kiln_test_learner nets[] = {kiln_test_learner(kiln_test_lenet, &adam),
                                       kiln_test_learner(kiln_test_noisy, &adam)};
    for (size_t i = 0; i < KILN_COUNT(nets); i++) {
        struct planned d = plan_of(nets[i].g, KILN_RUN(nets[i].step, nets[i].loss), true);
        expect_no_conflict(d.plan);
        cr_expect_eq(count_barriers(&d.p->ready.data[0]->body_list), d.plan->waves - 1,
                     "one barrier between two waves");
        planned_finish(&d);
        kiln_test_learner_finish(&nets[i]);
    }
}

Test(schedule, independent_work_shares_a_wave)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4)), y[3];
    for (int i = 0; i < 3; i++)
        y[i] = kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 4});
    struct planned d = plan_of(g, KILN_RUN(y[0], y[1], y[2]), false);
    cr_expect_eq(d.plan->waves, 1);
    expect_no_conflict(d.plan);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

/* A network at inference whose normalization follows from weights alone, and its output for ones. */
static float predict(kiln_program *p, kiln_tensor x, kiln_tensor y)
{
    const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    float got[8];
    cr_assert_eq(kiln_program_write(p, x, &(kiln_array){.data = (float *)ones, .shape = KILN_SHAPE(8, 1)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    cr_assert_eq(kiln_program_read(p, y, &(kiln_array){.data = got, .bytes = sizeof got}), KILN_OK);
    return got[7];
}

Test(schedule, what_follows_from_weights_alone_is_a_prologue_that_runs_again_when_they_change)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1));
    kiln_tensor w =
        kiln_parameter(g, "w", KILN_SHAPE(1), &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 2});
    kiln_tensor y = kiln_mul(g, x, kiln_exp(g, w));
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    cr_expect(d.plan->step.count == 2 && d.plan->step.data[0].prologue && !d.plan->step.data[1].prologue);
    cr_expect_gt(d.plan->kept_bytes, 0);
    cr_expect(fabs(predict(d.p, x, y) - exp(2)) < 1e-5);
    cr_expect(fabs(predict(d.p, x, y) - exp(2)) < 1e-5, "replayed or not");
    const float three[] = {3};
    cr_assert_eq(kiln_weights_write(d.w, "w", &(kiln_array){.data = (float *)three, .shape = KILN_SHAPE(1)}),
                 KILN_OK);
    cr_expect(fabs(predict(d.p, x, y) - exp(3)) < 1e-5);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(schedule, a_training_step_changes_what_the_next_prologue_reads)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1));
    kiln_tensor w =
        kiln_parameter(g, "w", KILN_SHAPE(1), &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 2});
    kiln_tensor y = kiln_mul(g, x, kiln_exp(g, w));
    kiln_tensor step =
        kiln_minimize(g, kiln_mean(g, w, NULL), &(kiln_minimize_params){.by = KILN_SGD, .rate = 1});
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    kiln_program *learn = NULL;
    cr_assert_eq(kiln_program_create(&learn, d.dev, g, d.w,
                                     &(kiln_program_params){.run = KILN_RUN(step), .train = true}),
                 KILN_OK);
    cr_expect(fabs(predict(d.p, x, y) - exp(2)) < 1e-5);
    cr_assert_eq(kiln_program_run(learn), KILN_OK);
    cr_expect(fabs(predict(d.p, x, y) - exp(1)) < 1e-5);
    kiln_program_destroy(&learn);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(schedule, what_a_program_writes_itself_is_no_prologue)
{
    kiln_graph *g = plan_graph();
    kiln_tensor s = kiln_state(g, "s", KILN_F32, KILN_SHAPE(1), KILN_STORE_WEIGHTS), before = kiln_exp(g, s);
    kiln_tensor keep = kiln_assign(g, s, kiln_shift(g, s, 1));
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(before, keep), false);
    for (int i = 0; i < d.plan->step.count; i++)
        cr_expect_not(d.plan->step.data[i].prologue);
    for (int i = 0; i < 3; i++) {
        float got;
        cr_assert_eq(kiln_program_run(d.p), KILN_OK);
        cr_assert_eq(kiln_program_read(d.p, before, &(kiln_array){.data = &got}), KILN_OK);
        cr_expect(fabs(got - exp(i)) < 1e-5, "a read sees the state as it was before the run");
    }
    planned_finish(&d);
    kiln_graph_destroy(&g);
}
