/* loss.c - losses and metrics: known values, gradients, every device alike. */
#include "support/support.h"

#include <math.h>

static const struct loss_case {
    kiln_shape scores, target;
    const char *why;
} cases[] = {
    {{2, {4, 10}}, {1, {4}}, "few classes"},
    {{2, {3, 100}}, {1, {3}}, "more classes than lanes"},
    {{4, {2, 5, 3, 7}}, {3, {2, 3, 7}}, "a class a pixel"},
};

static kiln_tensor by_class(kiln_graph *g, const void *one_case)
{
    const struct loss_case *c = one_case;
    const kiln_tensor scores = kiln_scale(g, kiln_test_input(g, c->scores), 4);
    return kiln_cross_entropy_each(g, scores, kiln_test_index(g, c->target, (int)c->scores.size[1]));
}

static kiln_tensor by_share(kiln_graph *g, const void *one_case)
{
    const struct loss_case *c = one_case;
    const kiln_tensor scores = kiln_test_input(g, c->scores),
                      target = kiln_softmax(g, kiln_test_input(g, c->scores), 1);
    return kiln_cross_entropy(g, scores, target);
}

Test(loss, cross_entropy_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(by_class, &cases[i], cases[i].why);
        kiln_expect_devices_agree(by_class, &cases[i], true, 0, cases[i].why);
        kiln_expect_gradient(by_share, &cases[i], cases[i].why);
        kiln_expect_devices_agree(by_share, &cases[i], true, 0, cases[i].why);
    }
}

static kiln_tensor index_of(kiln_graph *g, const int32_t *values, int64_t count)
{
    return kiln_constant(
        g, &(kiln_array){.data = (void *)(uintptr_t)values, .type = KILN_I32, .shape = KILN_SHAPE(count)});
}

/* log(e^1 + e^2) - 2; no class 5 */
static kiln_tensor known(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor scores = kiln_test_values(g, KILN_SHAPE(2, 2), (const float[]){1, 2, 1000, 0});
    return kiln_cross_entropy_each(g, scores, index_of(g, (const int32_t[]){1, 5}, 2));
}

Test(loss, a_target_that_is_no_class_gives_nan)
{
    kiln_expect_values(known, NULL, (const double[]){log(exp(1) + exp(2)) - 2, NAN}, 2, 1e-12, "known");
}

/* The gradient's own gradient: a penalty on the gradient of a loss. */
static kiln_tensor penalty(kiln_graph *g, const void *one_case)
{
    const struct loss_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->scores);
    kiln_tensor dx;
    const kiln_tensor each =
        kiln_cross_entropy_each(g, x, kiln_test_index(g, c->target, (int)c->scores.size[1]));
    kiln_gradient(g, kiln_sum(g, kiln_square(g, each), NULL), KILN_NONE, &x, 1, &dx);
    return kiln_sum(g, kiln_square(g, dx), NULL);
}

Test(loss, cross_entropy_has_a_second_derivative)
{
    kiln_expect_gradient(penalty, &cases[0], "penalty");
}

static kiln_tensor regression(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor a = kiln_scale(g, kiln_test_input(g, KILN_SHAPE(5, 4)), 20),
                      b = kiln_test_input_in(g, KILN_SHAPE(5, 4), 0, 1);
    return kiln_add(g, kiln_mean_squared_error(g, a, b), kiln_binary_cross_entropy(g, a, b));
}

Test(loss, squares_and_binary_cross_entropy_on_every_device)
{
    kiln_expect_gradient(regression, NULL, "regression");
    kiln_expect_devices_agree(regression, NULL, true, 0, "regression");
}

static kiln_tensor metrics(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float values[] = {1, 2, 3, 3, 2, 1, 5, 5, 0, 0, 0, 0};
    const kiln_tensor scores = kiln_test_values(g, KILN_SHAPE(4, 3), values);
    const kiln_tensor target = index_of(g, (const int32_t[]){2, 2, 1, 2}, 4);
    const kiln_tensor all[] = {kiln_accuracy(g, scores, target), kiln_top_k_accuracy(g, scores, target, 1),
                               kiln_top_k_accuracy(g, scores, target, 2),
                               kiln_top_k_accuracy(g, scores, target, 3)};
    kiln_tensor row[4];
    for (int i = 0; i < 4; i++)
        row[i] = kiln_unsqueeze(g, all[i], 0);
    return kiln_concat(g, row, 4, 0);
}

Test(loss, accuracy_counts_the_first_of_equals)
{
    kiln_expect_values(metrics, NULL, (const double[]){0.25, 0.25, 0.5, 1}, 4, 1e-12, "metrics");
    kiln_expect_devices_agree(metrics, NULL, false, 1e-7, "metrics");
}

static kiln_tensor one_hot(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_one_hot(g, index_of(g, (const int32_t[]){2, 0}, 2), 3);
}

Test(loss, one_hot_marks_the_index)
{
    kiln_expect_values(one_hot, NULL, (const double[]){0, 0, 1, 1, 0, 0}, 6, 0, "one hot");
}
