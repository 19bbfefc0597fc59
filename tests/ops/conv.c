/* conv.c - convolution: known values, PyTorch's, its gradients, and every variant of its kernel on every device. */
#include "support/support.h"

#include "support/conv.h"
#include "support/golden_case.h"

static const struct conv_case {
    kiln_shape x, w;
    bool bias;
    kiln_conv_params params;
    const char *why;
} cases[] = {
    {{4, {2, 1, 5, 5}}, {4, {3, 1, 3, 3}}, false, {.groups = 1}, "one channel"},
    {{4, {2, 3, 5, 6}},
     {4, {4, 3, 3, 2}},
     true,
     {.pad = {{1, 1}, {0, 1}}},
     "padding on three sides, and a bias"},
    {{4, {1, 2, 7, 8}}, {4, {3, 2, 3, 3}}, true, {.stride = {2, 3}, .pad = {{1, 0}, {2, 1}}}, "strides"},
    {{4, {1, 2, 9, 8}}, {4, {2, 2, 3, 2}}, false, {.dilation = {2, 3}}, "dilation"},
    {{4, {1, 2, 9, 9}},
     {4, {2, 2, 2, 3}},
     false,
     {.stride = {2, 2}, .dilation = {3, 2}},
     "dilation and stride"},
    {{4, {2, 4, 5, 4}}, {4, {6, 2, 2, 2}}, true, {.groups = 2}, "two groups"},
    {{4, {2, 3, 5, 5}},
     {4, {3, 1, 3, 3}},
     false,
     {.groups = 3, .pad = {{1, 1}, {1, 1}}},
     "a group a channel"},
    {{4, {2, 3, 6, 5}},
     {4, {2, 3, 3, 2}},
     true,
     {.stride = {2, 2}, .same = true},
     "the same size, by stride"},
    {{4, {1, 2, 6, 5}}, {4, {3, 2, 4, 2}}, false, {.same = KILN_SAME_LOWER}, "the odd zero before"},
    {{4, {2, 3, 4, 4}}, {4, {5, 3, 1, 1}}, true, {.groups = 1}, "single points"},
    {{4, {2, 4, 6, 7}}, {4, {6, 2, 1, 1}}, true, {.groups = 2}, "single points in groups"},
    {{4, {3, 4, 1, 1}}, {4, {5, 4, 1, 1}}, true, {.groups = 1}, "pictures of one point"},
    {{4, {1, 1, 7, 7}}, {4, {1, 1, 2, 2}}, false, {.stride = {4, 4}}, "pixels that no filter meets"},
    {{4, {1, 2, 2, 3}},
     {4, {2, 2, 4, 3}},
     true,
     {.pad = {{2, 1}, {0, 2}}},
     "a filter larger than the picture"},
    {{3, {2, 4, 11}}, {3, {6, 2, 3}}, true, {.stride = {2}, .pad = {{1, 2}}, .groups = 2}, "one axis"},
    {{5, {1, 2, 4, 3, 5}},
     {5, {3, 2, 2, 2, 3}},
     true,
     {.stride = {1, 2, 2}, .pad = {{1, 0}, {1, 1}, {0, 2}}, .dilation = {2, 1, 1}},
     "three axes"},
    {{5, {1, 3, 2, 3, 4}}, {5, {4, 3, 1, 1, 1}}, true, {.groups = 1}, "single points along three axes"},
    {{4, {0, 2, 4, 4}}, {4, {3, 2, 3, 3}}, true, {.groups = 1}, "no pictures"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct conv_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), w = kiln_test_input(g, c->w);
    const kiln_tensor bias = c->bias ? kiln_test_input(g, KILN_SHAPE(c->w.size[0])) : KILN_NONE;
    return kiln_relu(g, kiln_conv(g, x, w, bias, &c->params));
}

static kiln_tensor known(kiln_graph *g, const void *one_case)
{
    const kiln_tensor x =
        kiln_test_values(g, KILN_SHAPE(1, 1, 3, 3), (const float[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
    const kiln_tensor w = kiln_test_values(g, KILN_SHAPE(1, 1, 2, 2), (const float[]){1, 2, 3, 4});
    return kiln_conv(g, x, w, kiln_test_values(g, KILN_SHAPE(1), (const float[]){100}), one_case);
}

Test(conv, has_known_values)
{
    kiln_expect_values(known, &(kiln_conv_params){.groups = 1}, (const double[]){137, 147, 167, 177}, 4,
                       1e-15, "no padding");
    kiln_expect_values(known, &(kiln_conv_params){.same = true, .stride = {2, 2}},
                       (const double[]){137, 121, 123, 109}, 4, 1e-15, "the odd zero comes after");
    kiln_expect_values(known, &(kiln_conv_params){.same = KILN_SAME_LOWER, .stride = {2, 2}},
                       (const double[]){104, 118, 136, 177}, 4, 1e-15, "the odd zero comes before");
}

Test(conv, gradient_matches_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_gradient(build, &cases[i], cases[i].why);
}

Test(conv, agrees_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
}

/* Most phases of a stride are met by no place of the filter, and take no room. */
Test(conv, forward_takes_strides_far_beyond_the_picture)
{
    const struct conv_case far[] = {
        {{4, {2, 2, 3, 5}},
         {4, {2, 1, 3, 3}},
         true,
         {.stride = {1 << 30, 1 << 30}, .groups = 2},
         "a group a channel"},
        {{4, {2, 2, 3, 5}}, {4, {2, 2, 3, 3}}, true, {.stride = {1 << 30, 1 << 30}}, "one group"},
        {{4, {1, 3, 9, 31}},
         {4, {3, 1, 2, 3}},
         true,
         {.stride = {3, 6}, .pad = {{1, 0}, {2, 1}}, .dilation = {2, 4}, .groups = 3},
         "more phases than places, and fewer than the stride"},
    };
    for (size_t i = 0; i < KILN_COUNT(far); i++)
        kiln_expect_devices_agree(build, &far[i], false, 0, far[i].why);
}

/* Planes of their own, by filters of 3 x 3: vectors of columns, the last of them overlapping, several rows side by side. */
Test(conv, of_planes_agrees_on_every_device)
{
    const struct conv_case planes[] = {
        {{4, {2, 3, 1, 1}}, {4, {3, 1, 3, 3}}, true, {.pad = {{1, 1}, {1, 1}}, .groups = 3}, "one element"},
        {{4, {1, 2, 7, 7}},
         {4, {4, 1, 3, 3}},
         true,
         {.pad = {{1, 1}, {1, 1}}, .groups = 2},
         "two filters a channel"},
        {{4, {1, 2, 9, 16}}, {4, {2, 1, 3, 3}}, false, {.pad = {{1, 1}, {1, 1}}, .groups = 2}, "a vector"},
        {{4, {2, 2, 15, 17}},
         {4, {2, 1, 3, 3}},
         true,
         {.pad = {{1, 1}, {1, 1}}, .groups = 2},
         "one past a vector"},
        {{4, {1, 3, 10, 49}}, {4, {3, 1, 3, 3}}, true, {.groups = 3}, "no padding"},
        {{4, {1, 2, 4, 34}},
         {4, {2, 1, 3, 3}},
         true,
         {.pad = {{2, 3}, {0, 1}}, .groups = 2},
         "rows of zeros alone"},
        {{4, {2, 2, 14, 14}},
         {4, {2, 1, 3, 3}},
         true,
         {.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .groups = 2},
         "half"},
        {{4, {1, 2, 17, 35}},
         {4, {2, 1, 3, 3}},
         true,
         {.stride = {2, 2}, .pad = {{0, 1}, {0, 1}}, .groups = 2},
         "half, the zero after"},
        {{4, {1, 2, 33, 67}}, {4, {2, 1, 3, 3}}, true, {.stride = {2, 2}, .groups = 2}, "half, no padding"},
        {{4, {1, 2, 3, 3}},
         {4, {2, 1, 3, 3}},
         true,
         {.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .groups = 2},
         "half of three"},
        {{4, {1, 2, 6, 20}}, {4, {2, 1, 3, 3}}, true, {.pad = {{1, 1}, {2, 2}}, .groups = 2}, "wide padding"},
    };
    for (size_t i = 0; i < KILN_COUNT(planes); i++)
        kiln_expect_devices_agree(build, &planes[i], true, 0, planes[i].why);
}

/* A filter of ones over ones, but for one infinity: what no filter meets it with is finite, though it lies beside in memory. */
static kiln_tensor beside_infinity(kiln_graph *g, const void *unused)
{
    float x[2 * 3 * 4], ones[2 * 9];
    (void)unused;
    for (size_t i = 0; i < KILN_COUNT(x); i++)
        x[i] = i == 4 || i == 12 ? INFINITY : 1;
    for (size_t i = 0; i < KILN_COUNT(ones); i++)
        ones[i] = 1;
    const kiln_tensor y = kiln_conv(g, kiln_test_values(g, KILN_SHAPE(1, 2, 3, 4), x),
                                    kiln_test_values(g, KILN_SHAPE(2, 1, 3, 3), ones), KILN_NONE,
                                    &(kiln_conv_params){.pad = {{1, 1}, {1, 1}}, .groups = 2});
    return kiln_slice(g, y, 3, 2, 4, 1);
}

Test(conv, of_planes_reads_nothing_beyond_a_row)
{
    kiln_expect_values(beside_infinity, NULL, (const double[]){6, 4, 9, 6, 6, 4, 6, 4, 9, 6, 6, 4}, 12, 1e-15,
                       "an infinity in the next row and the next plane");
}

/* Filters of 3 x 3 are transformed where that pays: tiles of 4 x 4, blocks of 32 filters, bands of tiles; and on Vulkan devices, where
 * these would be mostly empty, tiles of 2 x 2. */
static const struct conv_case transformed[] = {
    {{4, {1, 16, 12, 16}}, {4, {16, 16, 3, 3}}, false, {.pad = {{1, 1}, {1, 1}}}, "whole tiles"},
    {{4, {2, 17, 9, 14}}, {4, {35, 17, 3, 3}}, true, {.groups = 1}, "no padding, tiles cut off both ways"},
    {{4, {3, 18, 6, 5}},
     {4, {16, 18, 3, 3}},
     true,
     {.pad = {{2, 2}, {2, 2}}},
     "all padding that there can be"},
    {{4, {1, 16, 15, 37}}, {4, {33, 16, 3, 3}}, true, {.pad = {{2, 0}, {0, 1}}}, "uneven padding"},
    {{4, {1, 70, 25, 34}}, {4, {65, 70, 3, 3}}, true, {.same = KILN_SAME_UPPER}, "several bands and blocks"},
    {{4, {1, 16, 19, 22}}, {4, {16, 16, 3, 3}}, true, {.pad = {{1, 1}, {1, 1}}}, "more tiles than few"},
    {{4, {35, 18, 7, 5}},
     {4, {33, 18, 3, 3}},
     true,
     {.groups = 1},
     "groups of small images, the last one smaller"},
    {{4, {2, 131, 11, 9}},
     {4, {45, 131, 3, 3}},
     true,
     {.same = KILN_SAME_UPPER},
     "few tiles: filters of some channels at a time are transformed on the way"},
    {{4, {5, 17, 2, 2}}, {4, {33, 17, 3, 3}}, true, {.pad = {{1, 1}, {1, 1}}}, "tiles of 2 x 2"},
    {{4, {4, 16, 1, 3}},
     {4, {17, 16, 3, 3}},
     true,
     {.pad = {{1, 1}, {1, 1}}},
     "tiles of 2 x 2, cut off both ways"},
};

/* Filters that nearly fill blocks of 32 are packed, on the CPU: rows of positions in tiles, bands of rows, several blocks. */
static const struct conv_case packed[] = {
    {{4, {2, 6, 9, 7}}, {4, {30, 6, 1, 1}}, true, {.groups = 1}, "points as they lie"},
    {{4, {1, 300, 23, 17}}, {4, {95, 300, 1, 1}}, true, {.groups = 1}, "points in several bands"},
    {{4, {2, 18, 35, 31}},
     {4, {94, 18, 1, 1}},
     true,
     {.groups = 1},
     "positions as columns, in several bands"},
    {{4, {1, 8, 104, 74}},
     {4, {32, 8, 1, 1}},
     true,
     {.groups = 1},
     "positions as columns, half a tile left of 15 bands"},
    {{4, {2, 5, 9, 7}}, {4, {9, 5, 1, 1}}, true, {.groups = 1}, "positions as columns of few filters"},
    {{4, {1, 3, 41, 90}},
     {4, {40, 3, 3, 3}},
     true,
     {.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}},
     "positions as columns, in rows"},
    {{4, {3, 5, 11, 9}}, {4, {32, 5, 1, 1}}, false, {.stride = {2, 2}}, "points with a stride"},
    {{4, {1, 3, 37, 45}},
     {4, {64, 3, 7, 7}},
     true,
     {.stride = {2, 2}, .pad = {{3, 3}, {3, 3}}},
     "a network's first"},
    {{4, {2, 40, 50, 31}},
     {4, {61, 40, 3, 2}},
     true,
     {.stride = {3, 2}, .pad = {{2, 0}, {0, 1}}, .dilation = {2, 3}},
     "phases, in several bands"},
    {{3, {2, 9, 33}}, {3, {63, 9, 5}}, true, {.stride = {2}, .pad = {{1, 2}}}, "one axis"},
    {{4, {3, 70, 4, 5}},
     {4, {62, 70, 3, 3}},
     true,
     {.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}},
     "rows of few positions"},
    {{4, {2, 33, 1, 1}}, {4, {64, 33, 3, 3}}, true, {.pad = {{1, 1}, {1, 1}}}, "single positions"},
};

static kiln_tensor build_turned(kiln_graph *g, const void *one_case)
{
    const struct conv_case *c = one_case;
    kiln_shape w = c->w;
    w.size[0] = c->w.size[1], w.size[1] = c->w.size[0];
    return kiln_conv_transpose(g, kiln_test_input(g, c->x), kiln_test_input(g, w),
                               kiln_test_input(g, KILN_SHAPE(w.size[1])), &c->params);
}

Test(conv, by_transformed_filters_agrees_with_float64)
{
    for (size_t i = 0; i < KILN_COUNT(transformed); i++) {
        kiln_expect_devices_agree(build, &transformed[i], true, 0, transformed[i].why);
        kiln_expect_devices_agree(build_turned, &transformed[i], true, 0, transformed[i].why);
    }
}

/* By a factor of each channel, and what lies as the result does. */
static kiln_tensor build_added(kiln_graph *g, const void *one_case)
{
    const struct conv_case *c = one_case;
    const kiln_tensor y =
        kiln_conv(g, kiln_test_input(g, c->x), kiln_test_input(g, c->w), KILN_NONE, &c->params);
    const kiln_shape shape = kiln_tensor_shape(g, y);
    kiln_shape channels = {shape.rank, {1, shape.size[1], 1, 1, 1}};
    return kiln_relu(g, kiln_add(g, kiln_mul(g, y, kiln_test_input(g, channels)), kiln_test_input(g, shape)));
}

static kiln_tensor build_bent(kiln_graph *g, const void *one_case)
{
    const struct conv_case *c = one_case;
    return kiln_tanh(g,
                     kiln_conv(g, kiln_test_input(g, c->x), kiln_test_input(g, c->w), KILN_NONE, &c->params));
}

Test(conv, by_packed_filters_is_finished_by_any_epilogue)
{
    for (size_t i = 0; i < KILN_COUNT(packed); i++) {
        kiln_expect_devices_agree(build_added, &packed[i], false, 0, packed[i].why);
        kiln_expect_devices_agree(build_bent, &packed[i], false, 0, packed[i].why);
    }
}

Test(conv, by_packed_filters_agrees_with_float64)
{
    for (size_t i = 0; i < KILN_COUNT(packed); i++)
        kiln_expect_devices_agree(build, &packed[i], true, 0, packed[i].why);
}

/* PyTorch's numbers -------------------------------------------------------------------------------------- */

static const struct golden {
    const char *name;
    bool transposed;
    kiln_conv_params p;
} golden[] = {
    {"conv1d", false, {.stride = {2}, .pad = {{1, 1}}, .dilation = {2}, .groups = 2}},
    {"conv3d",
     false,
     {.stride = {1, 2, 1}, .pad = {{1, 1}, {0, 0}, {2, 2}}, .dilation = {2, 1, 2}, .groups = 2}},
    {"conv3d_depthwise", false, {.pad = {{1, 1}, {1, 1}, {1, 1}}, .groups = 3}},
    {"conv_same", false, {.same = KILN_SAME_UPPER}},
    {"transpose1d", true, {.stride = {3}, .pad = {{2, 2}}, .output_pad = {1}, .groups = 2}},
    {"transpose2d", true, {.stride = {2, 3}, .pad = {{1, 1}}, .output_pad = {1, 2}}},
    {"transpose2d_up", true, {.stride = {2, 2}}},
    {"transpose2d_dilated", true, {.stride = {2, 2}, .dilation = {3, 2}, .output_pad = {2, 1}}},
    {"transpose2d_depthwise", true, {.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .groups = 3}},
    {"transpose3d",
     true,
     {.stride = {2, 1, 2}, .pad = {{1, 1}, {0, 0}, {1, 1}}, .output_pad = {1}, .groups = 2}},
    {"conv_twice", false, {.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .groups = 2}},
    {"transpose_twice", true, {.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}}},
};

static kiln_tensor convolve(kiln_golden_case *c, kiln_tensor x, kiln_tensor w, kiln_tensor bias)
{
    size_t i = 0;
    while (strcmp(golden[i].name, c->name))
        i++;
    return golden[i].transposed ? kiln_conv_transpose(c->g, x, w, bias, &golden[i].p)
                                : kiln_conv(c->g, x, w, bias, &golden[i].p);
}

static kiln_tensor once(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w");
    return convolve(c, x, w, kiln_golden_leaf(c, "b"));
}

/* The gradient of sum(y^3) by x. */
static kiln_tensor twice(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w");
    const kiln_tensor y = convolve(c, x, w, KILN_NONE);
    kiln_tensor dx;
    kiln_gradient(c->g, kiln_sum(c->g, kiln_mul(c->g, kiln_square(c->g, y), y), NULL), KILN_NONE, &x, 1, &dx);
    return dx;
}

static const kiln_golden_row rows[] = {
    {"conv1d", once},
    {"conv3d", once},
    {"conv3d_depthwise", once},
    {"conv_same", once},
    {"transpose1d", once},
    {"transpose2d", once},
    {"transpose2d_up", once},
    {"transpose2d_dilated", once},
    {"transpose2d_depthwise", once},
    {"transpose3d", once},
    {"conv_twice", twice},
    {"transpose_twice", twice},
};

Test(conv, in_float64_is_that_of_pytorch)
{
    kiln_expect_golden("conv.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

Test(conv, on_every_device_is_close_to_that_of_pytorch)
{
    for (int i = 0; kiln_test_device(i); i++)
        kiln_expect_golden("conv.safetensors", rows, KILN_COUNT(rows), kiln_test_device(i), false, 0);
}

/* Refusals ----------------------------------------------------------------------------------------------- */

static void expect_refusal(kiln_shape x_shape, kiln_shape w_shape, const kiln_conv_params *params,
                           const char *text)
{
    kiln_graph *g = NULL;
    cr_assert(kiln_graph_create(&g, NULL) == KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, x_shape), w = kiln_input(g, "w", KILN_F32, w_shape);
    cr_expect(kiln_conv(g, x, w, KILN_NONE, params).id == 0);
    cr_expect(kiln_graph_status(g) != KILN_OK && strstr(kiln_graph_error(g), text),
              "wanted \"%s\", got \"%s\"", text, kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(conv, says_what_does_not_fit)
{
    const kiln_shape x = KILN_SHAPE(1, 3, 8, 8);
    expect_refusal(x, KILN_SHAPE(4, 4, 3, 3), NULL, "expects 4");
    expect_refusal(x, KILN_SHAPE(4, 3, 9, 3), NULL, "reaches over 9");
    expect_refusal(x, KILN_SHAPE(4, 1, 3, 3), &(kiln_conv_params){.groups = 3}, "not a multiple of 3");
    expect_refusal(x, KILN_SHAPE(4, 3, 3, 3), &(kiln_conv_params){.stride = {-1, 1}}, "stride -1");
    expect_refusal(x, KILN_SHAPE(4, 3, 3, 3), &(kiln_conv_params){.output_pad = {0, 1}}, "output_pad 1");
    expect_refusal(x, KILN_SHAPE(4, 3, 3, 3), &(kiln_conv_params){.groups = -1}, "groups is -1");
    expect_refusal(KILN_SHAPE(3, 8, 8), KILN_SHAPE(4, 3, 3, 3), NULL, "[3, 8, 8]");
    expect_refusal(KILN_SHAPE(3, 8), KILN_SHAPE(4, 3), NULL, "1 to 3 sizes");
}

/* Variants ----------------------------------------------------------------------------------------------- */

Test(conv, every_variant_matches_the_reference)
{
    expect_conv_kernel(CONV_Y);
}

Test(conv, every_variant_applies_bias_and_relu)
{
    struct kiln_test_dispatch tests[4];
    for (int i = 0; i < 4; i++) { /* in a picture, depthwise */
        struct kiln_test_dispatch *t = &tests[i];
        *t = conv_dispatch(&conv_sizes[i & 1 ? 7 : 2], i & 2 ? CONV_X : CONV_Y);
        t->dispatch.constants[0] = 2 | 2 << 8 | KILN_WALK_COLUMN << 16 | (KILN_REGISTER_STEP + 1) << 24;
        t->dispatch.constants[1] = KILN_STEP(KILN_STEP_ADD_F, 0, 1, 0);
        t->dispatch.constants[2] = KILN_STEP(KILN_STEP_RELU_F, KILN_REGISTER_STEP, 0, 0);
        t->count[3] = 16;
        t->roundings += 1;
        t->why = "a bias and relu";
    }
    kiln_expect_dispatches(tests, 4);
}
