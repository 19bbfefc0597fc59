/* reduce.c - sum, mean, max, min, argmax: any axes, ties, nothing, and every device alike. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>

typedef kiln_tensor reduction(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params);

static const struct reduce_case {
    kiln_shape x;
    kiln_axes axes;
    bool keep;
    const char *why;
} cases[] = {
    {{2, {3, 5}}, {0, {0}}, false, "all"},
    {{2, {3, 5}}, {1, {1}}, false, "rows"},
    {{2, {9, 40}}, {1, {0}}, true, "columns"},
    {{3, {4, 6, 20}}, {1, {1}}, false, "an axis inside"},
    {{4, {3, 4, 5, 6}}, {3, {0, 2, 3}}, false, "a channel's"},
    {{3, {3, 1, 4}}, {1, {1}}, false, "an axis of one"},
    {{5, {2, 3, 2, 3, 2}}, {3, {0, 2, 4}}, true, "three groups of axes"},
    {{5, {2, 3, 2, 3, 2}}, {3, {0, 2, -1}}, false, "three groups of axes, dropped"},
    {{1, {9000}}, {0, {0}}, false, "long enough for parts"},
    {{3, {130, 2, 70}}, {2, {0, 2}}, false, "parts that end inside a run"},
};

static reduction *reduce;

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct reduce_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    return reduce(g, x, &(kiln_reduce_params){.axes = c->axes, .keep = c->keep});
}

static void check(reduction *f, const char *name)
{
    reduce = f;
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        char why[96];
        snprintf(why, sizeof why, "%s of %s", name, cases[i].why);
        if (kiln_shape_count(&cases[i].x) < 1000)
            kiln_expect_gradient(build, &cases[i], why);
        kiln_expect_devices_agree(build, &cases[i], true, 0, why);
    }
}

Test(reduce, sum_on_every_device)
{
    check(kiln_sum, "sum");
}

Test(reduce, mean_on_every_device)
{
    check(kiln_mean, "mean");
}

Test(reduce, max_on_every_device)
{
    check(kiln_reduce_max, "max");
}

Test(reduce, min_on_every_device)
{
    check(kiln_reduce_min, "min");
}

static kiln_tensor places(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {1, 3, 3, 2, -0.0f, 0, 0, -1, 5, NAN, 7, NAN};
    return kiln_cast(g, kiln_argmax(g, kiln_test_values(g, KILN_SHAPE(3, 4), x), 1, false), KILN_F32);
}

Test(reduce, argmax_takes_the_first_of_equals_and_nan)
{
    kiln_expect_values(places, NULL, (const double[]){1, 0, 1}, 3, 0, "argmax");
    kiln_expect_devices_agree(places, NULL, false, 1e-7, "argmax");
}

/* The gradient of max over values with ties. */
static kiln_tensor ties(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(2, 2, 2), (const float[]){1, 2, 2, 0, 2, 2, 1, 2});
    kiln_tensor dx;
    kiln_gradient(g, kiln_reduce_max(g, x, &(kiln_reduce_params){.axes = KILN_AXES(0, 2)}), KILN_NONE, &x, 1,
                  &dx);
    return dx;
}

Test(reduce, ties_of_max_give_to_the_first)
{
    kiln_expect_values(ties, NULL, (const double[]){0, 1, 1, 0, 0, 0, 0, 0}, 8, 0, "ties");
    kiln_expect_devices_agree(ties, NULL, false, 1e-7, "ties");
}

static kiln_tensor nothing(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(1, 0), (const float[]){0});
    const kiln_reduce_params rows = {.axes = KILN_AXES(1)};
    const kiln_tensor all[] = {kiln_sum(g, x, &rows), kiln_reduce_max(g, x, &rows),
                               kiln_reduce_min(g, x, &rows)};
    return kiln_concat(g, all, 3, 0);
}

Test(reduce, over_nothing_gives_the_neutral_value)
{
    kiln_expect_values(nothing, NULL, (const double[]){0, -INFINITY, INFINITY}, 3, 0, "nothing");
}
