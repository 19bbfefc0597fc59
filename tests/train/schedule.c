/* schedule.c - rates by step: the formulas, for many steps at once. */
#include "support/support.h"

#include <math.h>

enum { STEPS = 7 };
static const float steps[STEPS] = {0, 1, 9, 10, 30, 99, 1000};

typedef kiln_tensor schedule_fn(kiln_graph *g, kiln_tensor step);

static kiln_tensor by_step(kiln_graph *g, kiln_tensor step)
{
    return kiln_schedule_step(g, step, 0.5, 10, 0.1);
}

static kiln_tensor inverse(kiln_graph *g, kiln_tensor step)
{
    return kiln_schedule_inverse(g, step, 0.5, 0.01);
}

static kiln_tensor exponential(kiln_graph *g, kiln_tensor step)
{
    return kiln_schedule_exponential(g, step, 0.5, 0.99);
}

static kiln_tensor cosine(kiln_graph *g, kiln_tensor step)
{
    return kiln_schedule_cosine(g, step, 0.5, 0.1, 100);
}

static kiln_tensor warm_up(kiln_graph *g, kiln_tensor step)
{
    return kiln_schedule_warm_up(g, step, kiln_schedule_exponential(g, step, 0.5, 0.99), 20);
}

static double want_step(double t)
{
    return 0.5 * pow(0.1, floor(t / 10));
}

static double want_inverse(double t)
{
    return 0.5 / (1 + 0.01 * t);
}

static double want_exponential(double t)
{
    return 0.5 * pow(0.99, t);
}

static double want_cosine(double t)
{
    return 0.1 + 0.4 * (1 + cos(acos(-1) * fmin(t, 100) / 100)) / 2;
}

static double want_warm_up(double t)
{
    return want_exponential(t) * fmin(1, (t + 1) / 20);
}

static const struct schedule_case {
    schedule_fn *build;
    double (*want)(double t);
    const char *why;
} cases[] = {
    {by_step, want_step, "step"},
    {inverse, want_inverse, "inverse"},
    {exponential, want_exponential, "exponential"},
    {cosine, want_cosine, "cosine"},
    {warm_up, want_warm_up, "warm-up"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct schedule_case *c = one_case;
    return c->build(g, kiln_test_values(g, KILN_SHAPE(STEPS), steps));
}

Test(schedule, follows_its_formula_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        double want[STEPS];
        for (int k = 0; k < STEPS; k++)
            want[k] = cases[i].want(steps[k]);
        kiln_expect_values(build, &cases[i], want, STEPS, 1e-12, cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], false, 0, cases[i].why);
    }
}

Test(schedule, the_step_counts_updates)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open("cpu");
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor step = kiln_step(g, NULL), x = kiln_parameter(g, "x", KILN_SHAPE(2), NULL);
    const kiln_tensor learn = kiln_minimize(g, kiln_sum(g, kiln_square(g, x), NULL), NULL);
    const kiln_tensor run[] = {learn, step, KILN_NONE};
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = run, .train = true}),
                 KILN_OK);
    for (int i = 0; i < 3; i++) {
        float got = -1;
        cr_assert_eq(kiln_program_run(p), KILN_OK);
        cr_assert_eq(kiln_program_read(p, step, &(kiln_array){.data = &got, .bytes = sizeof got}), KILN_OK);
        cr_expect_eq(got, (float)i);
    }
    int32_t count = 0;
    kiln_array to = {.data = &count, .bytes = sizeof count, .type = KILN_I32};
    cr_expect_eq(kiln_weights_read(w, "optimizer.step", &to), KILN_OK);
    cr_expect_eq(count, 3);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}
