/* lrn.c - local response normalization: PyTorch's values, a composition, every device alike. */
#include "support/golden_case.h"

#include <kiln/norm.h>

static const struct lrn_case {
    kiln_shape x;
    int size;
    const char *why;
} cases[] = {
    {{4, {1, 1, 1, 1}}, 5, "a window wider than what there is"},
    {{4, {2, 7, 3, 5}}, 5, "a window in the middle"},
    {{4, {3, 5, 2, 2}}, 4, "an even window reaches one channel further up"},
    {{3, {2, 6, 300}}, 3, "more positions than a block"},
    {{2, {5, 9}}, 1, "each channel by itself, no positions"},
    {{4, {0, 3, 2, 2}}, 3, "no images"},
    {{4, {70, 24, 13, 17}}, 5, "more than a window of images"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct lrn_case *c = one_case;
    return kiln_local_response_norm(
        g, kiln_test_input_in(g, c->x, -2, 2),
        &(kiln_local_response_norm_params){.size = c->size, .alpha = 0.5, .bias = 2});
}

/* The pull of the neighbours is taken off what x itself passes on: twice the usual bound. */
Test(lrn, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        const int64_t count = kiln_shape_count(&cases[i].x);
        if (count > 0 && count < 5000)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 2e-5, cases[i].why);
    }
}

static kiln_tensor known(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(1, 4), (const float[]){1, 2, 3, 4});
    return kiln_local_response_norm(
        g, x, &(kiln_local_response_norm_params){.size = 2, .alpha = 2, .beta = 1, .bias = KILN_ZERO});
}

Test(lrn, an_even_window_reaches_up)
{
    const double want[] = {1.0 / 5, 2.0 / 13, 3.0 / 25, 4.0 / 16};
    kiln_expect_values(known, NULL, want, KILN_COUNT(want), 1e-12, "known values");
}

static kiln_tensor recorded(kiln_golden_case *c)
{
    return kiln_local_response_norm(
        c->g, kiln_golden_leaf(c, "x"),
        &(kiln_local_response_norm_params){.size = 3, .alpha = 0.3, .beta = 0.6, .bias = 1.5});
}

static const kiln_golden_row rows[] = {{"local_response_norm", recorded}};

Test(lrn, is_that_of_pytorch)
{
    kiln_expect_golden("norm.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("norm.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 0);
}

Test(lrn, says_what_does_not_fit)
{
    for (int i = 0; i < 2; i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, i ? KILN_SHAPE(4) : KILN_SHAPE(4, 4));
        const kiln_local_response_norm_params p = {.size = i ? 3 : 0};
        cr_expect_eq(kiln_local_response_norm(g, x, &p).id, 0);
        cr_expect_eq(kiln_graph_status(g), i ? KILN_ERROR_SHAPE : KILN_ERROR_ARGUMENT);
        kiln_graph_destroy(&g);
    }
}
