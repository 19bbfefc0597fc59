/* pool.c - pooling: PyTorch's numbers, sizes of y, ties, gradients, and every device alike. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct pool_case {
    kiln_shape x;
    kiln_pool2d_params p;
    const char *why;
} cases[] = {
    {{4, {2, 3, 8, 8}}, {.size = {2, 2}}, "side by side"},
    {{4, {2, 3, 9, 11}}, {.size = {2, 2}}, "an odd row and column left over"},
    {{4, {2, 2, 9, 8}}, {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}}, "overlapping, padded"},
    {{4, {1, 2, 7, 6}}, {.size = {3, 3}, .stride = {1, 1}}, "every place"},
    {{4, {1, 1, 7, 10}}, {.size = {2, 3}, .stride = {3, 2}, .pad = {{0, 1}, {2, 0}}}, "uneven in all"},
    {{4, {1, 2, 9, 9}}, {.size = {2, 3}, .stride = {2, 1}, .dilation = {2, 3}}, "dilated"},
    {{4, {2, 1, 6, 7}}, {.size = {3, 3}, .stride = {2, 2}, .ceil = true}, "a last window that reaches out"},
    {{4, {1, 1, 5, 5}},
     {.size = {2, 2}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .ceil = true, .count_pad = true},
     "padding that counts, cut short at the end"},
    {{4, {1, 2, 3, 301}}, {.size = {3, 3}, .stride = {2, 2}}, "rows of more windows than a block"},
};

static kiln_tensor build_max(kiln_graph *g, const void *one_case)
{
    const struct pool_case *c = one_case;
    return kiln_max_pool2d(g, kiln_test_input(g, c->x), &c->p);
}

static kiln_tensor build_average(kiln_graph *g, const void *one_case)
{
    const struct pool_case *c = one_case;
    return kiln_average_pool2d(g, kiln_test_input(g, c->x), &c->p);
}

Test(pool, max_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(build_max, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build_max, &cases[i], true, 0, cases[i].why);
    }
}

Test(pool, average_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(build_average, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build_average, &cases[i], true, 0, cases[i].why);
    }
}

/* Numbers from PyTorch ----------------------------------------------------------------------------------- */

static const struct golden_case {
    const char *name;
    bool average;
    kiln_pool2d_params p;
} golden[] = {
    {"max_pool2d", false, {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}}},
    {"max_pool2d_ties", false, {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}}},
    {"avg_pool2d_with_padding",
     true,
     {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .count_pad = true}},
    {"avg_pool2d_without_padding", true, {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}}},
};

static const kiln_safetensors *file;

static kiln_array recorded(const char *name, const char *part)
{
    char full[128];
    kiln_array view;
    snprintf(full, sizeof full, "%s/%s", name, part);
    cr_assert(kiln_safetensors_find(file, full, &view), "%s is not recorded", full);
    return view;
}

static kiln_tensor constant(kiln_graph *g, const char *name, const char *part)
{
    const kiln_array array = recorded(name, part);
    return kiln_cast(g, kiln_constant(g, &array), KILN_F32);
}

static kiln_tensor value(kiln_graph *g, const void *one_case)
{
    const struct golden_case *c = one_case;
    const kiln_tensor x = constant(g, c->name, "x");
    return c->average ? kiln_average_pool2d(g, x, &c->p) : kiln_max_pool2d(g, x, &c->p);
}

static kiln_tensor gradient(kiln_graph *g, const void *one_case)
{
    const struct golden_case *c = one_case;
    const kiln_tensor x = constant(g, c->name, "x");
    const kiln_tensor y = c->average ? kiln_average_pool2d(g, x, &c->p) : kiln_max_pool2d(g, x, &c->p);
    kiln_tensor dx;
    kiln_gradient(g, y, constant(g, c->name, "dy"), &x, 1, &dx);
    return dx;
}

Test(pool, agrees_with_pytorch)
{
    char path[1024];
    kiln_safetensors *opened = NULL;
    snprintf(path, sizeof path, "%s/golden/operators.safetensors", getenv("KILN_TEST_ROOT"));
    cr_assert_eq(kiln_safetensors_open(&opened, path), KILN_OK);
    file = opened;
    for (size_t i = 0; i < KILN_COUNT(golden); i++) {
        const kiln_array y = recorded(golden[i].name, "y"), dx = recorded(golden[i].name, "dx");
        kiln_expect_values(value, &golden[i], y.data, (size_t)kiln_shape_count(&y.shape), 1e-12,
                           golden[i].name);
        kiln_expect_values(gradient, &golden[i], dx.data, (size_t)kiln_shape_count(&dx.shape), 1e-12,
                           golden[i].name);
    }
    kiln_safetensors_close(&opened);
}

/* Corners ------------------------------------------------------------------------------------------------ */

static kiln_tensor corner(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {1, NAN, 3, 4, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
    const kiln_pool2d_params p = {.size = {2, 2}};
    return kiln_max_pool2d(g, kiln_test_values(g, KILN_SHAPE(2, 1, 2, 2), x), &p);
}

Test(pool, passes_nan_and_infinity)
{
    const double want[] = {NAN, -INFINITY};
    kiln_expect_values(corner, NULL, want, 2, 0, "NaN wins; the largest of -infinity is that");
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        kiln_shape shape;
        double *got = kiln_test_eval(corner, NULL, dev, &shape);
        kiln_expect_close(got, want, 2, 0, kiln_test_device(i));
        free(got);
        kiln_test_close(&dev);
    }
}

Test(pool, a_window_larger_than_x_fails_the_graph)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 4, 4));
    cr_expect_eq(kiln_max_pool2d(g, x, &(kiln_pool2d_params){.size = {5, 5}}).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_SHAPE);
    kiln_graph_destroy(&g);
}
