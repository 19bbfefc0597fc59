/* roi.c - regions of interest: torchvision's numbers, gradients, boxes that lie anywhere, and every device alike. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/golden_case.h"

/* torchvision's numbers ---------------------------------------------------------------------------------- */

static const struct golden {
    const char *name;
    bool pool;
    kiln_roi_params p;
} golden[] = {
    {"usual", false, {.size = {3, 4}, .scale = 0.125, .samples = 2}},
    {"aligned", false, {.size = {3, 3}, .scale = 0.25, .samples = 2, .half_pixel = true}},
    {"adaptive", false, {.size = {2, 3}}},
    {"adaptive_aligned", false, {.size = {7, 7}, .scale = 0.1, .half_pixel = true}},
    {"beyond", false, {.size = {3, 2}, .samples = 3}},
    {"beyond_adaptive", false, {.size = {2, 2}, .half_pixel = true}},
    {"small", false, {.size = {2, 2}}},
    {"small_aligned", false, {.size = {2, 2}, .half_pixel = true}},
    {"turned", false, {.size = {2, 3}, .samples = 2, .half_pixel = true}},
    {"corners", false, {.size = {5, 5}, .samples = 1}},
    {"largest", false, {.size = {3, 4}, .scale = 0.25, .samples = 2, .largest = true}},
    {"largest_adaptive", false, {.size = {2, 3}, .half_pixel = true, .largest = true}},
    {"pool", true, {.size = {3, 4}, .scale = 0.125}},
    {"pool_beyond", true, {.size = {2, 4}}},
    {"pool_small", true, {.size = {2, 4}}},
    {"pool_ties", true, {.size = {2, 2}}},
};

static kiln_tensor roi_recorded(kiln_golden_case *c)
{
    const struct golden *k = golden;
    while (strcmp(k->name, c->name))
        k++;
    const kiln_tensor x = kiln_golden_leaf(c, "x"), boxes = kiln_golden_fixed(c, "boxes"),
                      image = kiln_golden_fixed(c, "image");
    kiln_tensor place;
    if (!k->pool)
        return kiln_roi_align(c->g, x, boxes, image, &k->p);
    const kiln_tensor y = kiln_roi_pool(c->g, x, boxes, image, &k->p, &place);
    kiln_golden_result(c, "place", kiln_cast(c->g, place, KILN_F32));
    return y;
}

static void expect_golden(const char *device, bool f64)
{
    kiln_golden_row rows[KILN_COUNT(golden)];
    for (size_t i = 0; i < KILN_COUNT(golden); i++)
        rows[i] = (kiln_golden_row){.name = golden[i].name, .build = roi_recorded};
    kiln_expect_golden("roi.safetensors", rows, KILN_COUNT(golden), device, f64, 0);
}

Test(roi, in_float64_is_that_of_torchvision)
{
    expect_golden("cpu", true);
}

Test(roi, on_every_device_is_close_to_that_of_torchvision)
{
    for (int i = 0; kiln_test_device(i); i++)
        expect_golden(kiln_test_device(i), false);
}

/* Every device and gradient ------------------------------------------------------------------------------ */

static const struct roi_case {
    kiln_shape x;
    int64_t boxes; /* of each map where `each`, else in all */
    bool each, pool;
    kiln_roi_params p;
    double low, high; /* where corners lie */
    const char *why;
} cases[] = {
    {{4, {2, 3, 9, 11}}, 5, false, false, {.size = {3, 2}, .samples = 2}, 0, 9, "some samples"},
    {{4, {2, 3, 9, 11}}, 5, false, false, {.size = {3, 2}}, 0, 9, "as many samples as cells"},
    {{4, {3, 2, 7, 5}}, 2, true, false, {.size = {2, 3}, .half_pixel = true}, 0, 7, "boxes of each map"},
    {{4, {1, 1, 1, 1}}, 1, false, false, {.size = {1, 1}}, 0, 1, "one cell"},
    {{4, {2, 5, 17, 9}}, 70, false, false, {.size = {2, 2}, .samples = 2}, -3, 12, "more boxes than lanes"},
    {{4, {1, 65, 9, 8}}, 3, false, false, {.size = {7, 7}}, 0, 8, "a channel past a block"},
    {{4, {1, 2, 33, 40}},
     3,
     false,
     false,
     {.size = {5, 14}, .scale = 0.5, .half_pixel = true},
     -20,
     90,
     "large boxes"},
    {{4, {2, 3, 9, 11}},
     5,
     false,
     false,
     {.size = {3, 2}, .samples = 2, .largest = true},
     -2,
     12,
     "the largest part"},
    {{4, {2, 3, 9, 11}}, 5, false, true, {.size = {3, 2}}, -2, 12, "the largest cell"},
    {{4, {3, 17, 10, 5}},
     66,
     false,
     true,
     {.size = {4, 4}, .scale = 0.5},
     -4,
     22,
     "the largest cell, more boxes"},
    {{4, {2, 6, 12, 9}},
     67,
     false,
     false,
     {.size = {3, 3}, .largest = true},
     -2,
     12,
     "the largest part, more boxes"},
    /* beyond KILN_LIMITS=tiny: maps, boxes, channels of a map, channels of a box */
    {{4, {2, 17, 128, 64}},
     20,
     false,
     false,
     {.size = {28, 28}, .samples = 1},
     -9,
     99,
     "maps and boxes of a megabyte"},
    {{4, {2, 17, 128, 64}}, 20, false, true, {.size = {28, 28}}, -9, 99, "likewise, the largest cell"},
    {{4, {1, 33, 128, 64}}, 3, false, false, {.size = {3, 3}}, 0, 64, "a map of a megabyte"},
    {{4, {2, 40, 8, 8}}, 1, false, false, {.size = {90, 90}}, 0, 8, "a box of a megabyte"},
    {{4, {2, 3, 4, 5}}, 0, false, false, {.size = {2, 2}}, 0, 1, "no boxes"},
    {{4, {0, 3, 4, 5}}, 3, false, false, {.size = {2, 2}}, 0, 4, "no maps"},
};

/* Constants: boxes get no gradient, however much depends on them. */
static kiln_tensor boxes_of(kiln_graph *g, const struct roi_case *c)
{
    const kiln_shape shape = c->each ? KILN_SHAPE(c->x.size[0], c->boxes, 4) : KILN_SHAPE(c->boxes, 4);
    const int64_t count = kiln_shape_count(&shape);
    float *corner = malloc((size_t)(count + 1) * sizeof *corner);
    uint32_t state = 1;
    cr_assert_not_null(corner);
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        corner[i] = (float)(c->low + (c->high - c->low) * (double)(state >> 8) / (1 << 24));
    }
    for (int64_t i = 0; i < count; i += 4)
        for (int k = 0; k < 2; k++)
            if (corner[i + k] > corner[i + k + 2]) {
                const float other = corner[i + k];
                corner[i + k] = corner[i + k + 2];
                corner[i + k + 2] = other;
            }
    const kiln_tensor boxes = kiln_constant(g, &(kiln_array){.data = corner, .shape = shape});
    free(corner);
    return boxes;
}

/* One more than there are maps: the last is of none. */
static kiln_tensor maps_of(kiln_graph *g, const struct roi_case *c)
{
    return c->each ? KILN_NONE : kiln_test_index(g, KILN_SHAPE(c->boxes), (int)c->x.size[0] + 1);
}

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct roi_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), boxes = boxes_of(g, c), image = maps_of(g, c);
    kiln_tensor place;
    if (!c->pool)
        return kiln_roi_align(g, x, boxes, image, &c->p);
    const kiln_tensor y = kiln_roi_pool(g, x, boxes, image, &c->p, &place);
    return kiln_add(
        g, y, kiln_scale(g, kiln_cast(g, kiln_max(g, place, kiln_scalar(g, KILN_I32, -1)), KILN_F32), 0.25));
}

/* A sample's place is rounded up to 8 times (6e-8 each) as a number of the map's size, and so is what it takes of its cells. */
static double tolerance_of(const struct roi_case *c)
{
    const int64_t cells = c->x.size[2] > c->x.size[3] ? c->x.size[2] : c->x.size[3];
    return cells < 64 ? 0 : 8 * 6e-8 * (double)cells;
}

Test(roi, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        if (kiln_shape_count(&cases[i].x) < 1000)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, tolerance_of(&cases[i]), cases[i].why);
    }
}

/* The gradient of sum(y dy) by x is linear in dy, and so has gradients by dy alone. */
static kiln_tensor build_gradient(kiln_graph *g, const void *one_case)
{
    const struct roi_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x),
                      y = kiln_roi_align(g, x, boxes_of(g, c), maps_of(g, c), &c->p);
    const kiln_tensor dy = kiln_test_input(g, kiln_tensor_shape(g, y));
    kiln_tensor dx;
    kiln_gradient(g, y, dy, &x, 1, &dx);
    return dx;
}

Test(roi, the_gradient_of_a_mean_has_a_gradient)
{
    for (size_t i = 0; i < 4; i++)
        kiln_expect_gradient(build_gradient, &cases[i], cases[i].why);
}

static const struct roi_case one_plane = {{4, {1, 1, 520, 512}}, 7,  false, false,
                                          {.size = {9, 9}},      -9, 599,   "a plane of a megabyte"};

Test(roi, of_a_large_plane_rows_are_told_apart)
{
    kiln_expect_devices_agree(build_gradient, &one_plane, false, tolerance_of(&one_plane), one_plane.why);
}

/* Corners ------------------------------------------------------------------------------------------------ */

static kiln_tensor strange(kiln_graph *g, const void *pool)
{
    const float boxes[] = {0, 0, 2, 2,        0, 0, NAN, 2, -INFINITY, 0,     2,    2,
                           0, 0, 2, INFINITY, 0, 0, 2,   2, -1e9f,     -1e9f, 1e9f, 1e9f};
    const int32_t image[] = {0, 0, 0, 0, 1, 0};
    const kiln_tensor at = kiln_test_values(g, KILN_SHAPE(6, 4), boxes),
                      x = kiln_ones_like(g, kiln_test_input(g, KILN_SHAPE(1, 1, 4, 4)));
    const kiln_tensor map =
        kiln_constant(g, &(kiln_array){.data = (void *)image, .type = KILN_I32, .shape = KILN_SHAPE(6)});
    const kiln_roi_params p = {.size = {1, 1}};
    return pool ? kiln_roi_pool(g, x, at, map, &p, NULL) : kiln_roi_align(g, x, at, map, &p);
}

Test(roi, boxes_that_are_not_finite_or_of_no_map_give_nothing)
{
    /* of the last one, next to all samples lie outside */
    const double mean[] = {1, 0, 0, 0, 0, 0}, most[] = {1, 0, 0, 0, 0, 1};
    for (int i = 0; kiln_test_device(i); i++)
        for (int pool = 0; pool < 2; pool++) {
            kiln_device *dev = kiln_test_open(kiln_test_device(i));
            kiln_shape shape;
            double *got = kiln_test_eval(strange, pool ? "pool" : NULL, dev, &shape);
            kiln_expect_close(got, pool ? most : mean, 6, 1e-6, kiln_test_device(i));
            free(got);
            kiln_test_close(&dev);
        }
}

/* Two parts of one map side by side: symbolic sizes, and lists of boxes that are not full. */
Test(roi, works_at_symbolic_sizes)
{
    kiln_graph *g = NULL;
    float x[2 * 16], boxes[2 * 2 * 4] = {0, 0, 1, 1, 2, 2, 3, 3, 0, 2, 1, 3, 2, 0, 3, 1};
    for (int i = 0; i < 32; i++)
        x[i] = (float)i;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor maps = kiln_input(g, "x", KILN_F32,
                                        KILN_SHAPE(KILN_BATCH, 1, kiln_dim(g, "h"), kiln_dim(g, "w"))),
                      at = kiln_input(g, "boxes", KILN_F32, KILN_SHAPE(KILN_BATCH, kiln_dim(g, "boxes"), 4));
    const kiln_tensor y = kiln_roi_pool(g, maps, at, KILN_NONE, &(kiln_roi_params){.size = {1, 1}}, NULL);
    const kiln_array in[] = {{.data = x, .shape = KILN_SHAPE(2, 1, 4, 4)},
                             {.data = boxes, .shape = KILN_SHAPE(2, 2, 4)}};
    for (int i = 0; kiln_test_device(i); i++) {
        double values[4];
        kiln_test_run(g, y, kiln_test_device(i), in, values);
        const double want[] = {5, 15, 29, 23};
        kiln_expect_close(values, want, 4, 0, kiln_test_device(i));
    }
    kiln_graph_destroy(&g);
}

static void expect_refusal(kiln_shape x, kiln_shape boxes, kiln_shape image, const kiln_roi_params *p,
                           const char *text)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    cr_expect_eq(kiln_roi_align(g, kiln_input(g, "x", KILN_F32, x), kiln_input(g, "boxes", KILN_F32, boxes),
                                kiln_input(g, "image", KILN_I32, image), p)
                     .id,
                 0);
    cr_expect(kiln_graph_status(g) && strstr(kiln_graph_error(g), text), "wanted \"%s\", got \"%s\"", text,
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(roi, says_what_does_not_fit)
{
    const kiln_shape x = KILN_SHAPE(KILN_BATCH, 3, 4, 4), boxes = KILN_SHAPE(5, 4), image = KILN_SHAPE(5);
    const kiln_roi_params fine = {.size = {2, 2}};
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    expect_refusal(x, boxes, image, NULL, "0 x 0 bins");
    expect_refusal(x, boxes, image, &(kiln_roi_params){.size = {2, 2}, .samples = -1}, "-1 samples");
    expect_refusal(x, boxes, image, &(kiln_roi_params){.size = {2, 2}, .scale = -0.5}, "a scale of -0.5");
    expect_refusal(KILN_SHAPE(3, 4, 4), boxes, image, &fine, "wanted reals [N, C, H, W]");
    expect_refusal(x, KILN_SHAPE(5, 5), image, &fine, "wanted reals [R, 4]");
    expect_refusal(x, boxes, KILN_SHAPE(4), &fine, "wanted i32 or i64 [R]");
}
