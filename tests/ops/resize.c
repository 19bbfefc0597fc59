/* resize.c - resizing: PyTorch's numbers and ONNX's corners, symbolic sizes, gradients and theirs, and every device alike. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/golden_case.h"

#define CROP(a, b) .places = KILN_RESIZE_CROP, .crop = {{a, b}, {a, b}, {a, b}}

static const struct resize_case {
    kiln_shape x;
    kiln_resize_params p;
    const char *why;
} cases[] = {
    {{4, {2, 3, 4, 21}}, {.scale = {2, 2}}, "nearest, doubled"},
    {{4, {2, 1, 8, 26}}, {.scale = {0.5, 0.5}}, "nearest, halved"},
    {{4, {1, 2, 5, 7}},
     {.size = {8, 3}, .places = KILN_RESIZE_ASYMMETRIC, .rounding = KILN_RESIZE_CEIL},
     "up"},
    {{4, {1, 2, 4, 19}}, {.scale = {2, 2}, .mode = KILN_RESIZE_LINEAR}, "lines, doubled"},
    {{4, {1, 2, 6, 40}}, {.scale = {0.5, 0.5}, .mode = KILN_RESIZE_LINEAR, .antialias = true}, "smoothed"},
    {{4, {2, 2, 5, 7}},
     {.size = {7, 4}, .mode = KILN_RESIZE_LINEAR, .places = KILN_RESIZE_ALIGN_CORNERS},
     "corners on corners"},
    {{4, {1, 2, 4, 22}}, {.scale = {2, 2}, .mode = KILN_RESIZE_CUBIC}, "curves, doubled"},
    {{4, {1, 1, 5, 6}},
     {.size = {3, 9}, .mode = KILN_RESIZE_CUBIC, .exclude_outside = true, .cubic = -0.5},
     "curves that leave out what is outside"},
    {{4, {1, 1, 30, 7}},
     {.size = {3, 4}, .mode = KILN_RESIZE_CUBIC, .antialias = true},
     "an axis after the other: long sums"},
    {{3, {2, 3, 11}}, {.size = {17}, .mode = KILN_RESIZE_LINEAR}, "one axis"},
    {{5, {1, 2, 3, 4, 5}}, {.size = {5, 3, 7}, .mode = KILN_RESIZE_LINEAR}, "three axes"},
    {{4, {2, 3, 4, 5}},
     {.axes = {2, {1, 2}}, .size = {5, 7}, .mode = KILN_RESIZE_LINEAR},
     "channels behind the picture"},
    {{5, {1, 3, 3, 4, 2}},
     {.axes = {3, {3, 1, 2}}, .size = {5, 2, 4}, .mode = KILN_RESIZE_LINEAR},
     "three axes in another order, channels behind them"},
    {{3, {4, 5, 6}}, {.axes = {2, {0, -1}}, .size = {7, 4}, .mode = KILN_RESIZE_LINEAR}, "axes apart"},
    {{5, {2, 3, 2, 3, 4}},
     {.axes = {4, {0, 1, 3, 4}}, .size = {3, 4, 5, 6}, .mode = KILN_RESIZE_LINEAR},
     "four axes"},
    {{4, {1, 2, 5, 6}},
     {.size = {4, 7}, .mode = KILN_RESIZE_LINEAR, .outside = 3, CROP(0.3, 1.2)},
     "a part, and something beyond"},
    {{4, {1, 1, 4, 9}}, {.size = {4, 9}, .outside = -2, CROP(1, -0.1)}, "a part, turned round"},
    {{4, {1, 2, 1, 1}}, {.size = {3, 5}, .mode = KILN_RESIZE_CUBIC}, "one element"},
    {{4, {1, 2, 3, 5}}, {.size = {1, 1}, .mode = KILN_RESIZE_LINEAR}, "to one element"},
    {{4, {2, 2, 3, 5}}, {.scale = {1, 1}, .mode = KILN_RESIZE_LINEAR}, "the same size"},
    {{4, {0, 2, 3, 5}}, {.scale = {2, 2}}, "no pictures"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct resize_case *c = one_case;
    return kiln_resize(g, kiln_test_input(g, c->x), &c->p);
}

/* The gradient of sum(y dy) by x, for its own gradient by dy. */
static kiln_tensor build_gradient(kiln_graph *g, const void *one_case)
{
    const struct resize_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), y = kiln_resize(g, x, &c->p);
    const kiln_tensor dy = kiln_test_input(g, kiln_tensor_shape(g, y));
    kiln_tensor dx;
    kiln_gradient(g, y, dy, &x, 1, &dx);
    return dx;
}

Test(resize, agrees_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
    }
}

Test(resize, gradients_have_gradients)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_gradient(build_gradient, &cases[i], cases[i].why);
}

/* Planes beyond a binding of 1 MiB, which KILN_LIMITS=tiny has: bands of rows, of slices, of a line. */
static const struct resize_case large[] = {
    {{4, {1, 2, 531, 601}}, {.scale = {1.5, 0.75}, .mode = KILN_RESIZE_LINEAR}, "bands of rows"},
    {{5, {1, 1, 9, 150, 161}}, {.scale = {0.6, 1, 1.1}, .mode = KILN_RESIZE_CUBIC}, "bands of slices"},
    {{3, {2, 1, 400003}}, {.scale = {1.25}}, "bands of a line"},
    {{3, {1001, 401, 2}},
     {.axes = {2, {0, 1}}, .size = {333, 801}, .mode = KILN_RESIZE_LINEAR, .antialias = true},
     "bands of rows, channels behind them"},
};

Test(resize, large_pictures_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(large); i++)
        kiln_expect_devices_agree(build, &large[i], true, 0, large[i].why);
}

/* Sizes -------------------------------------------------------------------------------------------------- */

static void expect_shape(kiln_shape x, kiln_resize_params p, kiln_shape y)
{
    kiln_graph *g = NULL;
    char got[64], want[64];
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_shape shape = kiln_tensor_shape(g, kiln_resize(g, kiln_input(g, "x", KILN_F32, x), &p));
    cr_expect(kiln_shape_equal(&shape, &y), "got %s, wanted %s", kiln_shape_text(&shape, got, sizeof got),
              kiln_shape_text(&y, want, sizeof want));
    kiln_graph_destroy(&g);
}

Test(resize, sizes_follow_from_scales)
{
    const kiln_shape x = KILN_SHAPE(2, 3, 10, 7);
    expect_shape(x, (kiln_resize_params){.scale = {0.7f, 1.0 / 3}}, KILN_SHAPE(2, 3, 7, 2));
    expect_shape(x, (kiln_resize_params){.scale = {0.65, 2.5}}, KILN_SHAPE(2, 3, 6, 17));
    expect_shape(x, (kiln_resize_params){.scale = {0, 2}}, KILN_SHAPE(2, 3, 10, 14));
    expect_shape(x, (kiln_resize_params){.axes = {2, {3, 1}}, .size = {9, 5}}, KILN_SHAPE(2, 5, 10, 9));
}

Test(resize, sizes_may_keep_the_aspect)
{
    const kiln_shape x = KILN_SHAPE(1, 1, 2, 4);
    expect_shape(x, (kiln_resize_params){.size = {7, 8}, .aspect = KILN_RESIZE_NOT_LARGER},
                 KILN_SHAPE(1, 1, 4, 8));
    expect_shape(x, (kiln_resize_params){.size = {7, 8}, .aspect = KILN_RESIZE_NOT_SMALLER},
                 KILN_SHAPE(1, 1, 7, 14));
    expect_shape(x, (kiln_resize_params){.size = {3, 5}, .aspect = KILN_RESIZE_NOT_LARGER},
                 KILN_SHAPE(1, 1, 3, 5));
}

/* To twice x's rows, and to as many columns as another value has, all symbols, and back. */
Test(resize, symbols_have_scales_and_are_sizes)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t rows = kiln_dim(g, "rows"), columns = kiln_dim(g, "columns"), wide = kiln_dim(g, "wide");
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, rows, columns));
    const kiln_tensor like = kiln_input(g, "like", KILN_F32, KILN_SHAPE(wide));
    const kiln_tensor y =
        kiln_resize(g, x, &(kiln_resize_params){.scale = {2}, .size = {0, wide}, .mode = KILN_RESIZE_LINEAR});
    const kiln_tensor sums = kiln_sum_to(g, kiln_mul(g, y, kiln_expand_to(g, like, y)), like);
    kiln_tensor dx;
    kiln_gradient(g, sums, KILN_NONE, &x, 1, &dx);
    float x_data[6] = {1, 2, 3, 4, 5, 6}, like_data[5] = {1, 1, 1, 1, 1};
    const kiln_array in[] = {{.data = x_data, .shape = KILN_SHAPE(1, 1, 2, 3)},
                             {.data = like_data, .shape = KILN_SHAPE(5)}};
    for (int i = 0; kiln_test_device(i); i++) {
        double got[6];
        kiln_test_run(g, dx, kiln_test_device(i), in, got);
        const double want[] = {3.2, 3.6, 3.2, 3.2, 3.6, 3.2};
        kiln_expect_close(got, want, 6, 1e-6, kiln_test_device(i)); /* weights of fifths, rounded */
    }
    kiln_graph_destroy(&g);
}

/* Known values ------------------------------------------------------------------------------------------- */

static const float ramp[] = {1, 2, 3, 4};

static kiln_tensor build_ramp(kiln_graph *g, const void *one_case)
{
    return kiln_resize(g, kiln_test_values(g, KILN_SHAPE(1, 1, 4), ramp), one_case);
}

/* Of 4 elements 2.4, or 2: where the last one lies depends on which. */
Test(resize, places_differ_where_the_scale_leaves_a_rest)
{
    kiln_resize_params p = {.scale = {0.6}, .mode = KILN_RESIZE_LINEAR};
    kiln_expect_values(build_ramp, &p, (const double[]){4.0 / 3, 3}, 2, 1e-12, "half pixel");
    p.places = KILN_RESIZE_HALF_PIXEL_SYMMETRIC;
    kiln_expect_values(build_ramp, &p, (const double[]){5.0 / 3, 10.0 / 3}, 2, 1e-12, "symmetric");
    p.places = KILN_RESIZE_ASYMMETRIC;
    kiln_expect_values(build_ramp, &p, (const double[]){1, 8.0 / 3}, 2, 1e-12, "asymmetric");
    p.places = KILN_RESIZE_ALIGN_CORNERS;
    kiln_expect_values(build_ramp, &p, (const double[]){1, 1 + 3 / 1.4}, 2, 1e-12, "align corners");
    p.places = KILN_RESIZE_TF_HALF_PIXEL;
    kiln_expect_values(build_ramp, &p, (const double[]){1 + 5.0 / 6, 3.5}, 2, 1e-12, "without the half");
    p.scale[0] = 0.25;
    p.places = KILN_RESIZE_PYTORCH_HALF_PIXEL;
    kiln_expect_values(build_ramp, &p, (const double[]){1}, 1, 0, "the first of all");
}

Test(resize, halves_are_rounded_as_asked)
{
    static const double want[][4] = {{1, 3}, {2, 4}, {1, 3}, {2, 4}};
    for (int i = 0; i < 4; i++) {
        const kiln_resize_params p = {.scale = {0.5}, .rounding = (kiln_resize_rounding)i};
        kiln_expect_values(build_ramp, &p, want[i], 2, 0, "at 0.5 and 2.5");
    }
    for (int i = 0; i < 4; i++) { /* at 0, 4/3, 8/3 */
        static const double three[][3] = {{1, 2, 4}, {1, 2, 4}, {1, 2, 3}, {1, 3, 4}};
        const kiln_resize_params p = {.size = {3},
                                      .places = KILN_RESIZE_ASYMMETRIC,
                                      .rounding = (kiln_resize_rounding)i};
        kiln_expect_values(build_ramp, &p, three[i], 3, 0, "at thirds");
    }
}

static kiln_tensor build_holes(kiln_graph *g, const void *one_case)
{
    const float x[] = {NAN, 1, 2, INFINITY};
    return kiln_resize(g, kiln_test_values(g, KILN_SHAPE(1, 1, 4), x), one_case);
}

/* What weighs nothing is not looked at. */
Test(resize, nan_reaches_its_neighbours_alone)
{
    const kiln_resize_params p = {.size = {7},
                                  .mode = KILN_RESIZE_LINEAR,
                                  .places = KILN_RESIZE_ALIGN_CORNERS};
    const double want[] = {NAN, NAN, 1, 1.5, 2, INFINITY, INFINITY};
    kiln_expect_values(build_holes, &p, want, 7, 1e-12, "float64");
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        kiln_shape shape;
        double *got = kiln_test_eval(build_holes, &p, dev, &shape);
        kiln_expect_close(got, want, 7, 1e-6, kiln_test_device(i));
        free(got);
        kiln_test_close(&dev);
    }
}

/* PyTorch's numbers -------------------------------------------------------------------------------------- */

#define BY_SIZE(a, b, c) .size = {a, b, c}
#define LINES            .mode = KILN_RESIZE_LINEAR
#define CURVES           .mode = KILN_RESIZE_CUBIC
#define CORNERS          .places = KILN_RESIZE_ALIGN_CORNERS
#define NEAREST          .places = KILN_RESIZE_ASYMMETRIC, .rounding = KILN_RESIZE_FLOOR
#define EXACT            .rounding = KILN_RESIZE_PREFER_CEIL
#define SMOOTH           .antialias = true, .exclude_outside = true, .cubic = -0.5

static const struct golden {
    const char *name;
    kiln_resize_params p;
} golden[] = {
    {"nearest_1d", {NEAREST, BY_SIZE(11, 0, 0)}},
    {"nearest_2d", {NEAREST, BY_SIZE(8, 4, 0)}},
    {"nearest_3d", {NEAREST, BY_SIZE(5, 3, 7)}},
    {"nearest_double", {NEAREST, .scale = {2, 2}}},
    {"nearest-exact_1d", {EXACT, BY_SIZE(11, 0, 0)}},
    {"nearest-exact_2d", {EXACT, BY_SIZE(8, 4, 0)}},
    {"nearest-exact_3d", {EXACT, BY_SIZE(5, 3, 7)}},
    {"nearest-exact_double", {EXACT, .scale = {2, 2}}},
    {"linear_half", {LINES, BY_SIZE(12, 0, 0)}},
    {"bilinear_half", {LINES, BY_SIZE(9, 4, 0)}},
    {"trilinear_half", {LINES, BY_SIZE(5, 3, 7)}},
    {"bicubic_half", {CURVES, BY_SIZE(8, 5, 0)}},
    {"linear_corners", {LINES, CORNERS, BY_SIZE(12, 0, 0)}},
    {"bilinear_corners", {LINES, CORNERS, BY_SIZE(9, 4, 0)}},
    {"trilinear_corners", {LINES, CORNERS, BY_SIZE(5, 3, 7)}},
    {"bicubic_corners", {CURVES, CORNERS, BY_SIZE(8, 5, 0)}},
    {"bilinear_double", {LINES, .scale = {2, 2}}},
    {"bilinear_half_size", {LINES, .scale = {0.5, 0.5}}},
    {"bicubic_scale", {CURVES, .scale = {1.5, 1.5}}},
    {"bilinear_one", {LINES, CORNERS, BY_SIZE(1, 1, 0)}},
    {"bilinear_antialias", {LINES, SMOOTH, BY_SIZE(4, 5, 0)}},
    {"bicubic_antialias", {CURVES, SMOOTH, BY_SIZE(5, 14, 0)}},
};

static kiln_tensor recorded(kiln_golden_case *c)
{
    const struct golden *k = golden;
    while (strcmp(k->name, c->name))
        k++;
    return kiln_resize(c->g, kiln_golden_leaf(c, "x"), &k->p);
}

static void expect_golden(const char *device, bool f64)
{
    kiln_golden_row rows[KILN_COUNT(golden)];
    for (size_t i = 0; i < KILN_COUNT(golden); i++)
        rows[i] = (kiln_golden_row){.name = golden[i].name, .build = recorded};
    kiln_expect_golden("resize.safetensors", rows, KILN_COUNT(golden), device, f64, 0);
}

Test(resize, in_float64_is_that_of_pytorch)
{
    expect_golden("cpu", true);
}

Test(resize, on_every_device_is_close_to_that_of_pytorch)
{
    for (int i = 0; kiln_test_device(i); i++)
        expect_golden(kiln_test_device(i), false);
}

/* Refusals ----------------------------------------------------------------------------------------------- */

static void expect_refusal(kiln_type type, kiln_shape shape, kiln_resize_params p, const char *text)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    cr_expect_eq(kiln_resize(g, kiln_input(g, "x", type, shape), &p).id, 0);
    cr_expect(kiln_graph_status(g) && strstr(kiln_graph_error(g), text), "wanted \"%s\", got \"%s\"", text,
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(resize, says_what_does_not_fit)
{
    const kiln_shape x = KILN_SHAPE(1, 1, 4, 4);
    expect_refusal(KILN_I32, x, (kiln_resize_params){.scale = {2}}, "x is i32");
    expect_refusal(KILN_F32, KILN_SHAPE(4, 4), (kiln_resize_params){.scale = {2}}, "0 axes of x");
    expect_refusal(KILN_F32, x, (kiln_resize_params){.axes = {1, {4}}}, "axis 4 is not one of rank 4");
    expect_refusal(KILN_F32, x, (kiln_resize_params){.axes = {2, {1, -3}}}, "listed twice");
    expect_refusal(KILN_F32, x, (kiln_resize_params){.scale = {-1}}, "axis 2 has scale -1");
    expect_refusal(KILN_F32, x, (kiln_resize_params){.scale = {1, NAN}}, "axis 3 has scale ");
    expect_refusal(KILN_F32, x, (kiln_resize_params){.mode = (kiln_resize_mode)3}, "mode 3");
    expect_refusal(KILN_F32, KILN_SHAPE(1, 1, 0, 4), (kiln_resize_params){.size = {2, 2}}, "is empty");
    expect_refusal(KILN_F32, KILN_SHAPE(1, 1, KILN_BATCH, 4),
                   (kiln_resize_params){.size = {2, 2}, .aspect = KILN_RESIZE_NOT_LARGER}, "must be numbers");
}
