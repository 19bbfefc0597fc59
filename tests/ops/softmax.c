/* softmax.c - softmax and log-softmax: known values, gradients, every device alike. */
#include "support/support.h"

#include <math.h>

static const struct softmax_case {
    kiln_shape x;
    int axis;
    bool logarithm;
    const char *why;
} cases[] = {
    {{2, {1, 1}}, 1, false, "a lone value is certain"},
    {{2, {3, 5}}, 1, false, "fewer columns than lanes"},
    {{2, {2, 128}}, -1, true, "columns that lanes divide"},
    {{2, {7, 300}}, 1, false, "columns that lanes do not divide"},
    {{4, {2, 5, 3, 4}}, 1, true, "an axis inside"},
    {{3, {2, 70, 90}}, 1, false, "rows side by side, more than a block"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct softmax_case *c = one_case;
    const kiln_tensor x = kiln_scale(g, kiln_test_input(g, c->x), 5);
    return c->logarithm ? kiln_log_softmax(g, x, c->axis) : kiln_softmax(g, x, c->axis);
}

/* The gradient is a difference of products near y dy, of which rows that are almost certain leave little: five times the usual
 * bound. */
Test(softmax, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        if (kiln_shape_count(&cases[i].x) < 1000)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 5e-5, cases[i].why);
    }
}

static kiln_tensor odd(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x =
        kiln_test_values(g, KILN_SHAPE(3, 2), (const float[]){0, 0, 1e30f, 0, -INFINITY, 2});
    return kiln_softmax(g, x, 1);
}

Test(softmax, large_and_infinite_scores_do_not_overflow)
{
    kiln_expect_values(odd, NULL, (const double[]){0.5, 0.5, 1, 0, 0, 1}, 6, 1e-12, "odd values");
    kiln_expect_devices_agree(odd, NULL, false, 1e-6, "odd values");
}
