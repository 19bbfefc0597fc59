/* fold.c - windows as columns and back, deformable convolution: PyTorch's numbers, every device alike, shapes, refusals. */
#include "support/support.h"

#include <string.h>

#include "support/golden_case.h"

static const kiln_fold_params window = {
    .size = {2, 3}, .dilation = {2, 1}, .pad = {{1, 1}, {2, 2}}, .stride = {1, 2}};

static kiln_tensor unfolded(kiln_golden_case *c)
{
    return kiln_unfold(c->g, kiln_golden_leaf(c, "x"), &window);
}

static kiln_tensor folded(kiln_golden_case *c)
{
    return kiln_fold(c->g, kiln_golden_leaf(c, "x"), (const int64_t[]){5, 6}, 2, &window);
}

static kiln_tensor deformed(kiln_golden_case *c)
{
    const kiln_conv_params p = {.stride = {2, 1}, .pad = {{1, 1}, {0, 0}}, .dilation = {1, 2}, .groups = 2};
    const kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w"),
                      b = kiln_golden_leaf(c, "b"), offset = kiln_golden_leaf(c, "offset");
    return kiln_deform_conv(c->g, x, w, b, offset, kiln_golden_leaf(c, "mask"), 2, &p);
}

static const kiln_golden_row rows[] = {{.name = "unfold", .build = unfolded},
                                       {.name = "fold", .build = folded},
                                       {.name = "deform", .build = deformed}};

Test(fold, in_float64_is_that_of_pytorch)
{
    kiln_expect_golden("algebra.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

Test(fold, on_every_device_is_close_to_that_of_pytorch)
{
    for (int i = 0; kiln_test_device(i); i++)
        kiln_expect_golden("algebra.safetensors", rows, KILN_COUNT(rows), kiln_test_device(i), false, 0);
}

/* Shapes ------------------------------------------------------------------------------------------------- */

struct fold_case {
    kiln_shape x;
    kiln_fold_params p;
    const char *why;
};

/* There and back again: each element as often as windows hold it. */
static kiln_tensor there_and_back(kiln_graph *g, const void *one_case)
{
    const struct fold_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    return kiln_fold(g, kiln_unfold(g, x, &c->p), c->x.size + 2, c->x.rank - 2, &c->p);
}

Test(fold, agrees_on_every_device)
{
    const struct fold_case cases[] = {
        {{3, {2, 3, 7}}, {.size = {3}, .stride = {2}}, "one axis, a rest behind"},
        {{4, {1, 1, 1, 1}}, {.size = {1, 1}}, "one element"},
        {{4, {2, 2, 5, 3}}, {.size = {2, 2}, .pad = {{0, 1}, {2, 0}}}, "uneven pads"},
        {{4, {1, 3, 17, 13}}, {.size = {3, 3}, .stride = {3, 2}, .dilation = {1, 3}}, "far apart"},
        {{5, {1, 2, 3, 4, 3}}, {.size = {2, 2, 2}, .stride = {1, 2, 1}}, "three axes"},
    };
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(there_and_back, &cases[i], cases[i].why);
        kiln_expect_devices_agree(there_and_back, &cases[i], true, 0, cases[i].why);
    }
}

struct deform_case {
    kiln_shape x, w, offset;
    kiln_conv_params p;
    int offset_groups;
    const char *why;
};

/* Offsets within a half of whole steps, away from the elements, where linear sampling has kinks. */
static kiln_tensor bent(kiln_graph *g, const void *one_case)
{
    const struct deform_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), w = kiln_test_input(g, c->w);
    return kiln_deform_conv(g, x, w, KILN_NONE, kiln_test_input_in(g, c->offset, 0.1, 0.9), KILN_NONE,
                            c->offset_groups, &c->p);
}

Test(fold, deformed_windows_agree_on_every_device)
{
    const struct deform_case cases[] = {
        {{4, {1, 1, 1, 1}}, {4, {1, 1, 1, 1}}, {4, {1, 2, 1, 1}}, {{0}}, 0, "one element"},
        {{4, {2, 4, 5, 4}},
         {4, {6, 2, 2, 3}},
         {4, {2, 24, 4, 4}},
         {.groups = 2, .pad = {{0, 0}, {1, 1}}},
         2,
         "two groups of each"},
        {{5, {1, 2, 3, 3, 4}},
         {5, {3, 2, 2, 1, 2}},
         {5, {1, 12, 2, 3, 2}},
         {.stride = {1, 1, 2}},
         1,
         "three axes"},
    };
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(bent, &cases[i], cases[i].why);
        kiln_expect_devices_agree(bent, &cases[i], true, 0, cases[i].why);
    }
}

/* Sizes that are known when data arrives: without offsets it is a convolution. */
Test(fold, without_offsets_it_is_a_convolution_of_symbolic_sizes)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t rows_in = kiln_dim(g, "rows"), columns_in = kiln_dim(g, "columns");
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, rows_in, columns_in));
    const kiln_tensor w = kiln_input(g, "w", KILN_F32, KILN_SHAPE(1, 2, 2, 2));
    const kiln_tensor plain = kiln_conv(g, x, w, KILN_NONE, NULL);
    kiln_shape offset = kiln_tensor_shape(g, plain);
    offset.size[1] = 8;
    const kiln_tensor none = kiln_expand(g, kiln_scalar(g, KILN_F32, 0), offset);
    const kiln_tensor y = kiln_sub(g, kiln_deform_conv(g, x, w, KILN_NONE, none, KILN_NONE, 1, NULL), plain);
    const float x_data[] = {1, 2, 3, 4, 5, 6, -1, 0.5f, 2, 7, 1, 3, 1, 1, 2, 5, 0, 4, 3, 2, 8, 1, 6, 2};
    const float w_data[] = {1, -2, 0.5f, 3, 2, 1, -1, 4};
    const kiln_array in[] = {{.data = (void *)(uintptr_t)x_data, .shape = KILN_SHAPE(2, 2, 2, 3)},
                             {.data = (void *)(uintptr_t)w_data, .shape = KILN_SHAPE(1, 2, 2, 2)}};
    for (int i = 0; kiln_test_device(i); i++) {
        double got[4];
        kiln_test_run(g, y, kiln_test_device(i), in, got);
        kiln_expect_close(got, (const double[]){0, 0, 0, 0}, 4, 1e-5, kiln_test_device(i));
    }
    kiln_graph_destroy(&g);
}

/* Refusals ----------------------------------------------------------------------------------------------- */

Test(fold, says_what_does_not_fit)
{
    static const char *const texts[] = {"unfold: x is [2, 3]", "fold: x is [1, 5, 4]", "deform_conv: x is"};
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (int i = 0; i < 3; i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_fold_params p = {.size = {2, 2}};
        const kiln_tensor flat = kiln_input(g, "flat", KILN_F32, KILN_SHAPE(2, 3)),
                          columns = kiln_input(g, "columns", KILN_F32, KILN_SHAPE(1, 5, 4)),
                          x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 3, 4, 4)),
                          w = kiln_input(g, "w", KILN_F32, KILN_SHAPE(1, 2, 2, 2));
        const kiln_tensor y = i == 0   ? kiln_unfold(g, flat, &p)
                              : i == 1 ? kiln_fold(g, columns, (const int64_t[]){3, 3}, 2, &p)
                                       : kiln_deform_conv(g, x, w, KILN_NONE, x, KILN_NONE, 1, NULL);
        cr_expect_eq(y.id, 0);
        cr_expect(strstr(kiln_graph_error(g), texts[i]) != NULL, "%s", kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
