/* conv.c - 2-D convolution: known values, its gradients, and every variant of its kernel on every device. */
#include "support/support.h"

#include "support/conv.h"

static const struct conv_case {
    kiln_shape x, w;
    bool bias;
    kiln_conv2d_params params;
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
    {{4, {2, 3, 4, 4}}, {4, {5, 3, 1, 1}}, true, {.groups = 1}, "single points"},
    {{4, {1, 1, 7, 7}}, {4, {1, 1, 2, 2}}, false, {.stride = {4, 4}}, "pixels that no filter meets"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct conv_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), w = kiln_test_input(g, c->w);
    const kiln_tensor bias = c->bias ? kiln_test_input(g, KILN_SHAPE(c->w.size[0])) : KILN_NONE;
    return kiln_conv2d(g, x, w, bias, &c->params);
}

static kiln_tensor known(kiln_graph *g, const void *one_case)
{
    const kiln_tensor x =
        kiln_test_values(g, KILN_SHAPE(1, 1, 3, 3), (const float[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
    const kiln_tensor w = kiln_test_values(g, KILN_SHAPE(1, 1, 2, 2), (const float[]){1, 2, 3, 4});
    return kiln_conv2d(g, x, w, kiln_test_values(g, KILN_SHAPE(1), (const float[]){100}), one_case);
}

Test(conv2d, has_known_values)
{
    kiln_expect_values(known, &(kiln_conv2d_params){.groups = 1}, (const double[]){137, 147, 167, 177}, 4,
                       1e-15, "no padding");
    kiln_expect_values(known, &(kiln_conv2d_params){.same = true, .stride = {2, 2}},
                       (const double[]){137, 121, 123, 109}, 4, 1e-15, "the odd zero comes after");
}

Test(conv2d, gradient_matches_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_gradient(build, &cases[i], cases[i].why);
}

Test(conv2d, agrees_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
}

static void expect_refusal(kiln_shape x_shape, kiln_shape w_shape, const kiln_conv2d_params *params,
                           const char *text)
{
    kiln_graph *g = NULL;
    cr_assert(kiln_graph_create(&g, NULL) == KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, x_shape), w = kiln_input(g, "w", KILN_F32, w_shape);
    cr_expect(kiln_conv2d(g, x, w, KILN_NONE, params).id == 0);
    cr_expect(kiln_graph_status(g) != KILN_OK && strstr(kiln_graph_error(g), text),
              "wanted \"%s\", got \"%s\"", text, kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(conv2d, says_what_does_not_fit)
{
    const kiln_shape x = KILN_SHAPE(1, 3, 8, 8);
    expect_refusal(x, KILN_SHAPE(4, 4, 3, 3), NULL, "expects 4");
    expect_refusal(x, KILN_SHAPE(4, 3, 9, 3), NULL, "reaches over 9");
    expect_refusal(x, KILN_SHAPE(4, 1, 3, 3), &(kiln_conv2d_params){.groups = 3}, "not a multiple of 3");
    expect_refusal(x, KILN_SHAPE(4, 3, 3, 3), &(kiln_conv2d_params){.stride = {-1, 1}}, "stride -1");
    expect_refusal(KILN_SHAPE(3, 8, 8), KILN_SHAPE(4, 3, 3, 3), NULL, "[3, 8, 8]");
}

Test(conv2d, every_variant_matches_the_reference)
{
    expect_conv_kernel(&kiln_kernel_conv2d);
}

Test(conv2d, every_variant_applies_bias_and_relu)
{
    struct kiln_test_dispatch t = conv_dispatch(&conv_sizes[2], &kiln_kernel_conv2d);
    t.dispatch.constants[0] = 2 | 2 << 8 | KILN_WALK_COLUMN << 16 | (KILN_REGISTER_STEP + 1) << 24;
    t.dispatch.constants[1] = KILN_STEP(KILN_STEP_ADD_F, 0, 1, 0);
    t.dispatch.constants[2] = KILN_STEP(KILN_STEP_RELU_F, KILN_REGISTER_STEP, 0, 0);
    t.count[3] = 16;
    t.roundings += 1;
    t.why = "a bias and relu";
    kiln_expect_dispatches(&t, 1);
}
