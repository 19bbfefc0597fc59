/* norm.c - moments and batch normalization: values, gradients, running statistics, every device alike. */
#include "support/support.h"

static const struct norm_case {
    kiln_shape x;
    kiln_axes axes;
    const char *why;
} cases[] = {
    {{4, {3, 2, 4, 5}}, {3, {0, 2, 3}}, "a channel's"},
    {{2, {6, 30}}, {1, {-1}}, "rows"},
    {{2, {30, 40}}, {1, {0}}, "columns"},
    {{3, {70, 2, 70}}, {2, {0, 2}}, "parts to merge"},
    {{2, {0, 3}}, {1, {0}}, "over nothing"},
    {{2, {0, 3}}, {1, {1}}, "no results"},
};

static kiln_tensor moments(kiln_graph *g, const void *one_case)
{
    const struct norm_case *c = one_case;
    kiln_tensor variance;
    const kiln_tensor x = kiln_test_input_in(g, c->x, 9, 11);
    const kiln_tensor mean = kiln_moments(g, x, c->axes, &variance);
    return kiln_add(g, mean, kiln_sqrt(g, variance));
}

Test(norm, moments_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        if (kiln_shape_count(&cases[i].x) && kiln_shape_count(&cases[i].x) < 2000)
            kiln_expect_gradient(moments, &cases[i], cases[i].why);
        kiln_expect_devices_agree(moments, &cases[i], true, 1e-4, cases[i].why);
    }
}

static kiln_tensor known(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    kiln_tensor variance;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(2, 4), (const float[]){1, 2, 3, 4, 5, 5, 5, 9});
    const kiln_tensor mean = kiln_moments(g, x, KILN_AXES(1), &variance);
    return kiln_concat(g, (const kiln_tensor[]){mean, variance}, 2, 1);
}

Test(norm, the_variance_is_biased)
{
    kiln_expect_values(known, NULL, (const double[]){2.5, 1.25, 6, 3}, 4, 1e-12, "moments");
}

static const struct batch_case {
    kiln_shape x;
    bool frozen, bare; /* by running statistics; without scale and bias */
    const char *why;
} batches[] = {
    {{4, {5, 3, 2, 4}}, false, false, "by mode"},
    {{4, {5, 3, 2, 4}}, true, false, "frozen"},
    {{4, {5, 3, 2, 4}}, false, true, "neither scale nor bias"},
    {{2, {9, 70}}, false, false, "channels side by side"},
    {{3, {40, 2, 67}}, false, false, "sums in parts"},
    {{3, {1, 3, 1}}, false, false, "one value a channel"},
    {{3, {0, 3, 2}}, false, false, "no values"},
};

static kiln_tensor batch_norm(kiln_graph *g, const void *one_case)
{
    const struct batch_case *c = one_case;
    const kiln_shape channels = KILN_SHAPE(c->x.size[1]);
    const kiln_tensor x = kiln_test_input(g, c->x);
    const kiln_tensor scale = c->bare ? KILN_NONE : kiln_test_input(g, channels);
    const kiln_tensor bias = c->bare ? KILN_NONE : kiln_test_input(g, channels);
    const kiln_tensor mean = kiln_state(g, "mean", KILN_F32, channels, KILN_STORE_WEIGHTS);
    const kiln_init ones = {.kind = KILN_INIT_CONSTANT, .value = 1};
    const kiln_tensor variance =
        kiln_state_init(g, "variance", KILN_F32, channels, KILN_STORE_WEIGHTS, &ones);
    return kiln_batch_norm(g, x, scale, bias, mean, variance, &(kiln_batch_norm_params){.frozen = c->frozen});
}

Test(norm, batch_normalization_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(batches); i++) {
        if (kiln_shape_count(&batches[i].x) && kiln_shape_count(&batches[i].x) < 2000)
            kiln_expect_gradient(batch_norm, &batches[i], batches[i].why);
        kiln_expect_devices_agree(batch_norm, &batches[i], true, 0, batches[i].why);
    }
}

/* What is differentiated again: the sums over the batch, and the mean and deviation that they read. */
static kiln_tensor slope(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(4, 2, 3)), scale = kiln_test_input(g, KILN_SHAPE(2));
    const kiln_tensor mean = kiln_state(g, "mean", KILN_F32, KILN_SHAPE(2), KILN_STORE_WEIGHTS);
    const kiln_tensor variance = kiln_state(g, "variance", KILN_F32, KILN_SHAPE(2), KILN_STORE_WEIGHTS);
    const kiln_tensor y = kiln_batch_norm(g, x, scale, KILN_NONE, mean, variance, NULL);
    kiln_tensor dx[2];
    kiln_gradient(g, kiln_mul(g, y, kiln_mul(g, y, y)), KILN_NONE, (const kiln_tensor[]){x, scale}, 2, dx);
    return kiln_add(g, dx[0], kiln_unsqueeze(g, dx[1], 1));
}

Test(norm, the_gradient_of_batch_normalization_has_one)
{
    kiln_expect_gradient(slope, NULL, "the gradient's gradient");
}
