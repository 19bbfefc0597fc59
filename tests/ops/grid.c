/* grid.c - sampling by grids: PyTorch's numbers, gradients, corners, affine grids, and every device alike. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/golden_case.h"

static const struct grid_case {
    kiln_shape x, grid;
    kiln_grid_params p;
    const char *why;
} cases[] = {
    {{4, {2, 3, 4, 5}}, {4, {2, 3, 7, 2}}, {.mode = KILN_GRID_LINEAR}, "between four"},
    {{4, {1, 2, 5, 3}},
     {4, {1, 4, 6, 2}},
     {.mode = KILN_GRID_LINEAR, .padding = KILN_GRID_BORDER, .align_corners = true},
     "clamped"},
    {{4, {1, 2, 5, 3}},
     {4, {1, 4, 6, 2}},
     {.mode = KILN_GRID_LINEAR, .padding = KILN_GRID_REFLECTION},
     "mirrored"},
    {{4, {2, 2, 4, 6}}, {4, {2, 5, 2, 2}}, {.mode = KILN_GRID_CUBIC}, "curves"},
    {{4, {1, 1, 4, 6}},
     {4, {1, 5, 3, 2}},
     {.mode = KILN_GRID_CUBIC, .padding = KILN_GRID_REFLECTION, .align_corners = true},
     "mirrored curves"},
    {{4, {1, 3, 4, 6}}, {4, {1, 5, 13, 2}}, {.mode = KILN_GRID_NEAREST}, "one past a block of places"},
    {{5, {1, 2, 3, 4, 5}}, {5, {1, 2, 3, 4, 3}}, {.mode = KILN_GRID_LINEAR}, "between eight"},
    {{5, {2, 1, 3, 2, 4}},
     {5, {2, 2, 1, 3, 3}},
     {.mode = KILN_GRID_CUBIC, .padding = KILN_GRID_BORDER},
     "between sixty-four"},
    {{4, {2, 3, 2, 3}}, {4, {2, 4, 3, 2}}, {.mode = KILN_GRID_LINEAR, .elements = true}, "by elements"},
    {{4, {1, 2, 1, 1}},
     {4, {1, 2, 2, 2}},
     {.padding = KILN_GRID_BORDER, .align_corners = true},
     "one element"},
    {{4, {1, 0, 2, 3}}, {4, {1, 2, 2, 2}}, {.mode = KILN_GRID_LINEAR}, "no channels"},
    {{4, {0, 2, 2, 3}}, {4, {0, 2, 2, 2}}, {.mode = KILN_GRID_LINEAR}, "no pictures"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct grid_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    return kiln_grid_sample(g, x, kiln_test_input_in(g, c->grid, -1.5, 1.5), &c->p);
}

Test(grid, agrees_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
    }
}

/* Beyond a binding of 1 MiB, which KILN_LIMITS=tiny has: images, channels, places. */
static const struct grid_case large[] = {
    {{4, {5, 1, 300, 301}}, {4, {5, 60, 61, 2}}, {.mode = KILN_GRID_LINEAR}, "images"},
    {{4, {1, 3, 300, 301}}, {4, {1, 150, 121, 2}}, {.mode = KILN_GRID_NEAREST}, "channels"},
    {{4, {1, 1, 30, 31}}, {4, {1, 400, 401, 2}}, {.mode = KILN_GRID_NEAREST}, "places"},
};

Test(grid, large_ones_on_every_device)
{
    /* A coordinate of 300 elements is rounded by up to 2e-5, and neighbours differ by up to 2. */
    for (size_t i = 0; i < KILN_COUNT(large); i++) /* gradients by the grid are cut by images alone */
        kiln_expect_devices_agree(build, &large[i], i == 0, 1e-4, large[i].why);
}

/* The gradient of sum(y dy) by x, for its own gradient by dy. */
static kiln_tensor build_gradient(kiln_graph *g, const void *one_case)
{
    const struct grid_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    const kiln_tensor whole = kiln_cast(g, kiln_test_index(g, c->grid, 2999), KILN_F32);
    const kiln_tensor grid = kiln_sub(g, kiln_scale(g, whole, 1e-3), kiln_scalar(g, KILN_F32, 1.5));
    const kiln_tensor y = kiln_grid_sample(g, x, grid, &c->p);
    const kiln_tensor dy = kiln_test_input(g, kiln_tensor_shape(g, y));
    kiln_tensor dx;
    kiln_gradient(g, y, dy, &x, 1, &dx);
    return dx;
}

Test(grid, gradients_by_x_have_gradients)
{
    for (size_t i = 0; i < 4; i++)
        kiln_expect_gradient(build_gradient, &cases[i], cases[i].why);
}

/* Known values ------------------------------------------------------------------------------------------- */

/* A row of x at places that are told, on the middle of one line. */
static kiln_tensor build_row(kiln_graph *g, const void *one_case)
{
    static const float x[] = {1, 2, 4, 8};
    static const float at[] = {-0.75f, 0, -0.5f, 0, 0, 0, 1, 0, 1.25f, 0, NAN, 0, INFINITY, 0, -INFINITY, 0};
    return kiln_grid_sample(g, kiln_test_values(g, KILN_SHAPE(1, 1, 1, 4), x),
                            kiln_test_values(g, KILN_SHAPE(1, 1, 8, 2), at), one_case);
}

/* Elements lie at -0.75, -0.25, 0.25, 0.75; halves are rounded to the even one. */
Test(grid, places_beyond_x_are_zero_clamped_or_mirrored)
{
    static const struct {
        kiln_grid_params p;
        double want[8];
        const char *why;
    } rows[] = {
        {{.mode = KILN_GRID_LINEAR}, {1, 1.5, 3, 4, 0, 0, 0, 0}, "zeros"},
        {{.padding = KILN_GRID_BORDER}, {1, 1.5, 3, 8, 8, 1, 8, 1}, "border"},
        {{.mode = KILN_GRID_NEAREST}, {1, 1, 4, 0, 0, 0, 0, 0}, "nearest"},
        {{.mode = KILN_GRID_NEAREST, .padding = KILN_GRID_BORDER},
         {1, 1, 4, 8, 8, 1, 8, 1},
         "nearest, border"},
    };
    for (size_t i = 0; i < KILN_COUNT(rows); i++) {
        kiln_expect_values(build_row, &rows[i].p, rows[i].want, 8, 1e-12, rows[i].why);
        for (int k = 0; kiln_test_device(k); k++) {
            kiln_device *dev = kiln_test_open(kiln_test_device(k));
            kiln_shape shape;
            double *got = kiln_test_eval(build_row, &rows[i].p, dev, &shape);
            kiln_expect_close(got, rows[i].want, 8, 1e-6, kiln_test_device(k));
            free(got);
            kiln_test_close(&dev);
        }
    }
}

/* An identity at symbolic sizes is x again. */
Test(grid, affine_grids_have_symbolic_sizes)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t size[] = {kiln_dim(g, "rows"), kiln_dim(g, "columns")};
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, size[0], size[1]));
    const kiln_tensor theta = kiln_input(g, "theta", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, 3));
    const kiln_tensor y = kiln_grid_sample(g, x, kiln_affine_grid(g, theta, size, false), NULL);
    float x_data[6] = {1, 2, 3, 4, 5, 6}, turned[6] = {-1, 0, 0, 0, -1, 0};
    const kiln_array in[] = {{.data = x_data, .shape = KILN_SHAPE(1, 1, 2, 3)},
                             {.data = turned, .shape = KILN_SHAPE(1, 2, 3)}};
    for (int i = 0; kiln_test_device(i); i++) {
        double got[6];
        kiln_test_run(g, y, kiln_test_device(i), in, got);
        kiln_expect_close(got, (const double[]){6, 5, 4, 3, 2, 1}, 6, 1e-6, kiln_test_device(i));
    }
    kiln_graph_destroy(&g);
}

/* PyTorch's numbers -------------------------------------------------------------------------------------- */

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

static kiln_tensor sampled(kiln_golden_case *c)
{
    const kiln_grid_params p = {
        .mode = has(c->name, "nearest")   ? KILN_GRID_NEAREST
                : has(c->name, "bicubic") ? KILN_GRID_CUBIC
                                          : KILN_GRID_LINEAR,
        .padding = has(c->name, "border")       ? KILN_GRID_BORDER
                   : has(c->name, "reflection") ? KILN_GRID_REFLECTION
                                                : KILN_GRID_ZEROS,
        .align_corners = has(c->name, "corners"),
    };
    const kiln_tensor x = kiln_golden_leaf(c, "x");
    return kiln_grid_sample(c->g, x, kiln_golden_leaf(c, "grid"), &p);
}

static kiln_tensor mapped(kiln_golden_case *c)
{
    const int64_t flat[] = {4, 5}, deep[] = {3, 2, 4};
    return kiln_affine_grid(c->g, kiln_golden_leaf(c, "theta"), has(c->name, "3d") ? deep : flat,
                            has(c->name, "corners"));
}

static void expect_golden(const char *device, bool f64)
{
    static const char *const modes[] = {"bilinear", "nearest", "bicubic", "tribilinear", "trinearest"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    static const char *const affine[] = {"affine", "affine_corners", "affine_3d", "affine_3d_corners"};
    char names[30][64];
    kiln_golden_row rows[34];
    size_t count = 0;
    for (size_t i = 0; i < 30; i++) {
        snprintf(names[i], sizeof names[i], "%s_%s%s", modes[i % 5], paddings[i / 5 % 3],
                 i < 15 ? "" : "_corners");
        rows[count++] = (kiln_golden_row){.name = names[i], .build = sampled};
    }
    for (size_t i = 0; i < 4; i++)
        rows[count++] = (kiln_golden_row){.name = affine[i], .build = mapped};
    kiln_expect_golden("grid.safetensors", rows, count, device, f64, 0);
}

Test(grid, in_float64_is_that_of_pytorch)
{
    expect_golden("cpu", true);
}

Test(grid, on_every_device_is_close_to_that_of_pytorch)
{
    for (int i = 0; kiln_test_device(i); i++)
        expect_golden(kiln_test_device(i), false);
}

/* Refusals ----------------------------------------------------------------------------------------------- */

static void expect_refusal(kiln_shape x, kiln_shape grid, kiln_grid_params p, const char *text)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    cr_expect_eq(
        kiln_grid_sample(g, kiln_input(g, "x", KILN_F32, x), kiln_input(g, "grid", KILN_F32, grid), &p).id,
        0);
    cr_expect(kiln_graph_status(g) && strstr(kiln_graph_error(g), text), "wanted \"%s\", got \"%s\"", text,
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(grid, says_what_does_not_fit)
{
    const kiln_grid_params p = {0};
    const kiln_shape x = KILN_SHAPE(2, 1, 4, 4);
    expect_refusal(x, KILN_SHAPE(2, 3, 3, 3), p, "as many");
    expect_refusal(x, KILN_SHAPE(1, 3, 3, 2), p, "as many");
    expect_refusal(KILN_SHAPE(2, 1, 4), KILN_SHAPE(2, 3, 1), p, "as many");
    expect_refusal(KILN_SHAPE(2, 1, 0, 4), KILN_SHAPE(2, 3, 3, 2), p, "axis 2 of x is empty");
    expect_refusal(x, KILN_SHAPE(2, 3, 3, 2), (kiln_grid_params){.mode = (kiln_grid_mode)3}, "mode 3");
}
