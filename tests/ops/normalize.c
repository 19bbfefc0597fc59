/* normalize.c - layer, group, instance, RMS, L2 and weight normalization: PyTorch's values, compositions, every device alike. */
#include "support/golden_case.h"

#include <math.h>

#include <kiln/norm.h>

enum kind { LAYER, RMS, L2, GROUP, INSTANCE, WEIGHT, MEAN_VARIANCE };

static const struct norm_case {
    enum kind kind;
    kiln_shape x;
    int at; /* the axis, or how many groups */
    bool affine;
    const char *why;
} cases[] = {
    {LAYER, {2, {1, 1}}, -1, true, "a lone value is its mean"},
    {LAYER, {2, {3, 5}}, -1, true, "rows shorter than the lanes"},
    {LAYER, {2, {70, 33}}, 1, true, "more rows than a block, one past a half row of lanes"},
    {LAYER, {3, {2, 3, 257}}, -1, true, "a row of four parts and one value"},
    {LAYER, {3, {5, 7, 11}}, -2, true, "two axes a row"},
    {LAYER, {2, {2, 1031}}, -1, false, "long rows, no scale"},
    {LAYER, {2, {67, 64}}, -1, true, "sums of more than one part"},
    {LAYER, {2, {0, 4}}, -1, true, "no rows"},
    {RMS, {2, {1, 1}}, -1, true, "a lone value"},
    {RMS, {2, {9, 65}}, -1, true, "one past the lanes"},
    {RMS, {3, {3, 2, 30}}, 1, false, "two axes a row, no scale"},
    {L2, {2, {5, 37}}, 1, false, "along a row"},
    {L2, {4, {2, 13, 5, 14}}, 1, false, "rows side by side, one block and a part"},
    {L2, {3, {3, 4, 2}}, -2, false, "few rows side by side"},
    {GROUP, {4, {2, 6, 3, 5}}, 3, true, "two channels a group"},
    {GROUP, {4, {3, 4, 5, 5}}, 1, true, "one group"},
    {GROUP, {2, {5, 12}}, 4, true, "no positions"},
    {GROUP, {3, {2, 4, 300}}, 2, true, "long channels"},
    {GROUP, {2, {70, 6}}, 2, false, "no scale, no positions"},
    {INSTANCE, {4, {3, 5, 4, 7}}, 0, true, "a channel at a time"},
    {INSTANCE, {3, {2, 3, 40}}, 0, false, "no scale"},
    {WEIGHT, {4, {6, 3, 3, 3}}, 0, true, "filters"},
    {WEIGHT, {2, {3, 200}}, 0, true, "long rows"},
    {LAYER, {2, {5000, 100}}, -1, true, "more than a window of rows"},
    {GROUP, {4, {130, 8, 20, 20}}, 8, true, "more than a window of groups"},
    {MEAN_VARIANCE, {4, {3, 4, 5, 2}}, 0, false, "a channel at a time"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct norm_case *c = one_case;
    const kiln_tensor x = kiln_test_input_in(g, c->x, -1, 2);
    const int axis = c->at < 0 ? c->at + c->x.rank : c->at;
    const kiln_shape tail = kiln_shape_of(c->x.rank - axis, c->x.size + axis);
    const kiln_shape channels = KILN_SHAPE(c->x.size[c->kind == WEIGHT ? 0 : 1]);
    const kiln_shape shape = c->kind == LAYER || c->kind == RMS ? tail : channels;
    const kiln_tensor scale = c->affine ? kiln_test_input(g, shape) : KILN_NONE;
    const kiln_tensor bias =
        c->affine && c->kind != RMS && c->kind != WEIGHT ? kiln_test_input(g, shape) : KILN_NONE;
    switch (c->kind) {
    case LAYER:
        return kiln_layer_norm(g, x, c->at, scale, bias, 0);
    case RMS:
        return kiln_rms_norm(g, x, c->at, scale, 0);
    case L2:
        return kiln_l2_normalize(g, x, c->at, 0);
    case GROUP:
        return kiln_group_norm(g, x, c->at, scale, bias, 0);
    case INSTANCE:
        return kiln_instance_norm(g, x, scale, bias, 0);
    case WEIGHT:
        return kiln_weight_norm(g, x, scale);
    default:
        return kiln_mean_variance_norm(g, x, KILN_AXES(0, 2, 3));
    }
}

/* Gradients are differences of products near the value's size: five times the usual bound. */
Test(normalize, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) { /* of a lone value nothing is left but roundings */
        const bool gradient = kiln_shape_count(&cases[i].x) != 1;
        kiln_expect_devices_agree(build, &cases[i], gradient, 5e-5, cases[i].why);
    }
}

Test(normalize, gradients_are_those_of_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        if (kiln_shape_count(&cases[i].x) && kiln_shape_count(&cases[i].x) < 5000)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
}

/* What PyTorch computes ---------------------------------------------------------------------------------- */

static kiln_tensor layer(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w");
    return kiln_layer_norm(c->g, x, -kiln_tensor_shape(c->g, w).rank, w, kiln_golden_leaf(c, "b"), 0);
}

static kiln_tensor layer_plain(kiln_golden_case *c)
{
    return kiln_layer_norm(c->g, kiln_golden_leaf(c, "x"), -1, KILN_NONE, KILN_NONE, 1e-3);
}

static kiln_tensor group(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w");
    return kiln_group_norm(c->g, x, 3, w, kiln_golden_leaf(c, "b"), 0);
}

static kiln_tensor instance(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w");
    return kiln_instance_norm(c->g, x, w, kiln_golden_leaf(c, "b"), 0);
}

static kiln_tensor l2(kiln_golden_case *c)
{
    return kiln_l2_normalize(c->g, kiln_golden_leaf(c, "x"), 1, 0);
}

static kiln_tensor l2_clamped(kiln_golden_case *c)
{
    return kiln_l2_normalize(c->g, kiln_golden_leaf(c, "x"), -1, 2);
}

static kiln_tensor weight(kiln_golden_case *c)
{
    const kiln_tensor v = kiln_golden_leaf(c, "x");
    return kiln_weight_norm(c->g, v, kiln_golden_leaf(c, "w"));
}

static kiln_tensor rms(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w");
    return kiln_rms_norm(c->g, x, -kiln_tensor_shape(c->g, w).rank, w, 0);
}

static kiln_tensor mean_variance(kiln_golden_case *c)
{
    return kiln_mean_variance_norm(c->g, kiln_golden_leaf(c, "x"), KILN_AXES(0, 2, 3));
}

static const kiln_golden_row rows[] = {
    {"layer_norm", layer}, {"layer_norm_two_axes", layer},     {"layer_norm_plain", layer_plain},
    {"group_norm", group}, {"group_norm_no_positions", group}, {"instance_norm", instance},
    {"normalize", l2},     {"normalize_clamped", l2_clamped},  {"weight_norm", weight},
    {"rms_norm", rms},     {"rms_norm_two_axes", rms},         {"mean_variance_norm", mean_variance},
};

Test(normalize, in_float64_is_that_of_pytorch)
{
    kiln_expect_golden("norm.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

Test(normalize, on_every_device_is_close_to_that_of_pytorch)
{
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("norm.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 0);
}

/* Known answers ------------------------------------------------------------------------------------------ */

static kiln_tensor far_from_zero(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {10000, 10001, 10002, 10003, -10000, -10000, -10000, -10000};
    return kiln_layer_norm(g, kiln_test_values(g, KILN_SHAPE(2, 4), x), -1, KILN_NONE, KILN_NONE, KILN_ZERO);
}

/* A variance of differences of squares would lose all of it; equal values give 0 / 0 without an epsilon. */
Test(normalize, a_large_mean_costs_no_digits)
{
    const double s = sqrt(1.25), want[] = {-1.5 / s, -0.5 / s, 0.5 / s, 1.5 / s, NAN, NAN, NAN, NAN};
    kiln_expect_values(far_from_zero, NULL, want, KILN_COUNT(want), 1e-12, "far from zero");
    kiln_expect_devices_agree(far_from_zero, NULL, false, 1e-6, "far from zero");
}

static kiln_tensor zeros(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {0, 0, 3, 4};
    return kiln_l2_normalize(g, kiln_test_values(g, KILN_SHAPE(2, 2), x), 1, 0);
}

Test(normalize, a_vector_of_length_0_stays_0)
{
    kiln_expect_values(zeros, NULL, (const double[]){0, 0, 0.6, 0.8}, 4, 1e-12, "a zero vector");
    kiln_expect_devices_agree(zeros, NULL, true, 1e-6, "a zero vector");
}

static kiln_tensor one_nan(kiln_graph *g, const void *one_case)
{
    const float x[] = {1, NAN, 3, 4, 5, 7};
    const kiln_tensor t = kiln_test_values(g, KILN_SHAPE(2, 3), x);
    return *(const bool *)one_case ? kiln_l2_normalize(g, t, 1, 0)
                                   : kiln_layer_norm(g, t, -1, KILN_NONE, KILN_NONE, 0);
}

Test(normalize, a_nan_stays_in_its_row)
{
    for (int l2_norm = 0; l2_norm < 2; l2_norm++) {
        double *y = kiln_test_eval(one_nan, &(bool){l2_norm}, NULL, NULL);
        for (int i = 0; i < 6; i++)
            cr_expect_eq(isnan(y[i]) != 0, i < 3);
        free(y);
        kiln_expect_devices_agree(one_nan, &(bool){l2_norm}, false, 1e-6, "a NaN");
    }
}

/* Errors ------------------------------------------------------------------------------------------------- */

Test(normalize, says_what_does_not_fit)
{
    for (int i = 0; i < 4; i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 6, 4));
        const kiln_tensor five = kiln_input(g, "five", KILN_F32, KILN_SHAPE(5));
        const kiln_tensor whole = kiln_input(g, "whole", KILN_I32, KILN_SHAPE(3, 6));
        const kiln_tensor y = i == 0   ? kiln_layer_norm(g, x, 3, KILN_NONE, KILN_NONE, 0)
                              : i == 1 ? kiln_group_norm(g, x, 4, KILN_NONE, KILN_NONE, 0)
                              : i == 2 ? kiln_group_norm(g, x, 3, five, KILN_NONE, 0)
                                       : kiln_l2_normalize(g, whole, 1, 0);
        cr_expect_eq(y.id, 0);
        cr_expect_eq(kiln_graph_status(g), i == 3 ? KILN_ERROR_TYPE : KILN_ERROR_SHAPE, "case %d: %s", i,
                     kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
