/* loss.c - losses and metrics: known values, gradients, every device alike. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* Smoothed, weighed and with rows left out, over axis 1 and over the last. */
static kiln_tensor with_all(kiln_graph *g, const void *one_case)
{
    const struct loss_case *c = one_case;
    const kiln_tensor scores = kiln_scale(g, kiln_test_input(g, c->scores), 4);
    const kiln_tensor target = kiln_test_index(g, c->target, (int)c->scores.size[1]);
    const kiln_tensor weights = kiln_test_input_in(g, KILN_SHAPE(c->scores.size[1]), 0.5, 2);
    const kiln_class_loss_params p = {.ignores = true, .ignored = 1, .smoothing = 0.1, .weights = weights};
    const kiln_class_loss_params smooth = {.smoothing = 0.25};
    return kiln_add(g, kiln_cross_entropy_with(g, scores, target, &p),
                    kiln_cross_entropy_with(g, scores, target, &smooth));
}

static kiln_tensor over_the_last_axis(kiln_graph *g, const void *one_case)
{
    const struct loss_case *c = one_case;
    const int order[] = {0, 2, 3, 1}, flat[] = {0, 1};
    const kiln_tensor scores = kiln_test_input(g, c->scores);
    const kiln_tensor turned = kiln_transpose(g, scores, c->scores.rank == 4 ? order : flat);
    const kiln_class_loss_params p = {.axis = -1, .smoothing = 0.1, .reduction = KILN_LOSS_EACH};
    return kiln_cross_entropy_with(g, turned, kiln_test_index(g, c->target, (int)c->scores.size[1]), &p);
}

Test(loss, classes_are_weighed_ignored_and_smoothed_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(with_all, &cases[i], cases[i].why);
        kiln_expect_devices_agree(with_all, &cases[i], true, 0, cases[i].why);
        kiln_expect_gradient(over_the_last_axis, &cases[i], cases[i].why);
        kiln_expect_devices_agree(over_the_last_axis, &cases[i], true, 0, cases[i].why);
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

/* Tokens beyond a sequence may be anything, and take no part; by a mask as by lengths. */
static kiln_tensor sequences(kiln_graph *g, const void *one_case)
{
    const bool masked = *(const bool *)one_case;
    const int32_t token[] = {1, 2, -100, 0, 99, 99}, truth[] = {1, 1, 0, 1, 0, 0};
    const kiln_tensor scores = kiln_test_input(g, KILN_SHAPE(2, 3, 4));
    const kiln_tensor target = kiln_reshape(g, index_of(g, token, 6), KILN_SHAPE(2, 3));
    const kiln_tensor mask =
        kiln_cast(g, kiln_reshape(g, index_of(g, truth, 6), KILN_SHAPE(2, 3)), KILN_BOOL);
    const kiln_tensor lengths = index_of(g, (const int32_t[]){2, 1}, 2);
    const kiln_class_loss_params p = {.smoothing = 0.1};
    return kiln_sequence_cross_entropy(g, scores, target, masked ? mask : lengths, &p);
}

Test(loss, tokens_beyond_a_sequence_take_no_part)
{
    kiln_shape shape;
    double *by_length = kiln_test_eval(sequences, &(bool){false}, NULL, &shape);
    kiln_expect_values(sequences, &(bool){true}, by_length, 1, 1e-12, "a mask");
    free(by_length);
    for (int masked = 0; masked < 2; masked++) {
        kiln_expect_gradient(sequences, &(bool){masked}, "sequences");
        kiln_expect_devices_agree(sequences, &(bool){masked}, true, 0, "sequences");
    }
}

struct misfit_operands {
    kiln_tensor scores, target, row; /* [4, 3], [4], [4] */
};

static kiln_tensor no_such_axis(kiln_graph *g, const struct misfit_operands *o)
{
    return kiln_cross_entropy_with(g, o->scores, o->target, &(kiln_class_loss_params){.axis = 3});
}

static kiln_tensor no_sequence(kiln_graph *g, const struct misfit_operands *o)
{
    return kiln_sequence_cross_entropy(g, o->scores, o->target, o->target, NULL);
}

static kiln_tensor smoothed_away(kiln_graph *g, const struct misfit_operands *o)
{
    return kiln_cross_entropy_with(g, o->scores, o->target, &(kiln_class_loss_params){.smoothing = 2});
}

static kiln_tensor no_rows(kiln_graph *g, const struct misfit_operands *o)
{
    return kiln_dice_loss(g, o->row, o->row, 1, KILN_LOSS_MEAN);
}

static kiln_tensor weights_of_others(kiln_graph *g, const struct misfit_operands *o)
{
    return kiln_negative_log_likelihood(g, o->scores, o->target,
                                        &(kiln_class_loss_params){.weights = o->row});
}

static kiln_tensor weights_in_rows(kiln_graph *g, const struct misfit_operands *o)
{
    return kiln_cross_entropy_with(g, o->scores, o->target, &(kiln_class_loss_params){.weights = o->scores});
}

static kiln_tensor focal_weights_of_others(kiln_graph *g, const struct misfit_operands *o)
{
    return kiln_softmax_focal_loss(g, o->scores, o->target, o->row, 2, KILN_LOSS_MEAN);
}

Test(loss, misfits_of_losses_are_named)
{
    static const struct {
        kiln_tensor (*build)(kiln_graph *g, const struct misfit_operands *o);
        const char *says;
    } misfits[] = {
        {no_such_axis, "axis 3"},
        {no_sequence, "wanted [N, T]"},
        {smoothed_away, "smoothing is 2"},
        {no_rows, "wanted [N, ..]"},
        {weights_of_others, "weights are [4], wanted one for each class of [4, 3], axis 1"},
        {weights_in_rows, "weights are [4, 3], wanted one for each class"},
        {focal_weights_of_others, "softmax_focal_loss: weights are [4]"},
    };
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (size_t i = 0; i < KILN_COUNT(misfits); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor y =
            misfits[i].build(g, &(struct misfit_operands){kiln_input(g, "x", KILN_F32, KILN_SHAPE(4, 3)),
                                                          kiln_input(g, "t", KILN_I32, KILN_SHAPE(4)),
                                                          kiln_input(g, "one", KILN_F32, KILN_SHAPE(4))});
        cr_expect(y.id == 0 && strstr(kiln_graph_error(g), misfits[i].says), "%s: %s", misfits[i].says,
                  kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
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
