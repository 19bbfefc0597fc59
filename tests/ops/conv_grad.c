/*
 * conv_grad.c - transposed convolution and the gradient by the filters: their own gradients, sizes that follow others, and
 * every variant of their kernels everywhere.
 */
#include "support/support.h"

#include "support/conv.h"

static const struct grad_case {
    kiln_shape x, w; /* of the convolution */
    kiln_conv_params params;
    const char *why;
} cases[] = {
    {{4, {2, 2, 5, 4}}, {4, {3, 2, 3, 2}}, {.pad = {{1, 1}, {0, 1}}}, "padding"},
    {{4, {1, 2, 7, 8}}, {4, {3, 2, 3, 3}}, {.stride = {2, 3}, .pad = {{1, 0}, {2, 1}}}, "strides"},
    {{4, {1, 2, 9, 9}}, {4, {2, 2, 2, 3}}, {.stride = {2, 2}, .dilation = {3, 2}}, "dilation and stride"},
    {{4, {2, 4, 5, 4}}, {4, {2, 2, 2, 2}}, {.groups = 2}, "two groups"},
    {{4, {2, 3, 5, 4}}, {4, {6, 1, 3, 2}}, {.stride = {2, 1}, .groups = 3}, "a group a channel"},
    {{4, {1, 1, 7, 7}}, {4, {1, 1, 2, 2}}, {.stride = {4, 4}}, "pixels that no filter meets"},
    {{4, {2, 3, 4, 3}}, {4, {2, 3, 1, 1}}, {.groups = 1}, "single points"},
    {{4, {3, 3, 1, 1}}, {4, {2, 3, 1, 1}}, {.groups = 1}, "pictures of one point"},
    {{4, {1, 2, 5, 6}}, {4, {3, 2, 3, 4}}, {.stride = {2, 2}, .same = KILN_SAME_LOWER}, "the same size"},
    {{3, {2, 2, 9}}, {3, {4, 1, 3}}, {.stride = {2}, .pad = {{1, 1}}, .groups = 2}, "one axis"},
    {{5, {1, 2, 3, 4, 5}},
     {5, {2, 2, 2, 2, 3}},
     {.stride = {2, 1, 2}, .pad = {{1, 1}, {0, 1}, {1, 0}}, .dilation = {1, 2, 1}},
     "three axes"},
};

static kiln_shape result(kiln_graph *g, const struct grad_case *c, kiln_tensor x, kiln_tensor w)
{
    return kiln_tensor_shape(g, kiln_conv(g, x, w, KILN_NONE, &c->params));
}

/* x serves for its shape alone. */
static kiln_tensor grad_input(kiln_graph *g, const void *one_case)
{
    const struct grad_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), w = kiln_test_input(g, c->w);
    const kiln_shape y = result(g, c, x, w);
    return kiln_conv_grad_input(g, kiln_test_input(g, y), w, x, &c->params);
}

static kiln_tensor grad_filter(kiln_graph *g, const void *one_case)
{
    const struct grad_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), w = kiln_test_input(g, c->w);
    const kiln_shape y = result(g, c, x, w);
    return kiln_conv_grad_filter(g, kiln_test_input(g, y), x, w, &c->params);
}

/* From y's shape alone, with a bias and an activation in the kernel. */
static kiln_tensor transposed(kiln_graph *g, const void *one_case)
{
    const struct grad_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), w = kiln_test_input(g, c->w);
    const kiln_tensor y = kiln_test_input(g, result(g, c, x, w));
    const kiln_tensor bias = kiln_test_input(g, KILN_SHAPE(c->x.size[1]));
    return kiln_leaky_relu(g, kiln_conv_transpose(g, y, w, bias, &c->params), 0.2);
}

/* Enough images for several splits, and their sum. */
static kiln_tensor many_images(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(67, 1, 16, 17)),
                      w = kiln_test_input(g, KILN_SHAPE(2, 1, 3, 3));
    return kiln_conv(g, x, w, KILN_NONE, NULL);
}

Test(conv_transpose, gradient_matches_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(grad_input, &cases[i], cases[i].why);
        kiln_expect_gradient(transposed, &cases[i], cases[i].why);
    }
}

Test(conv_transpose, agrees_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_devices_agree(transposed, &cases[i], true, 0, cases[i].why);
}

Test(conv_grad_filter, gradient_matches_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_gradient(grad_filter, &cases[i], cases[i].why);
}

Test(conv_grad_filter, sums_splits_alike_on_every_device)
{
    kiln_expect_devices_agree(many_images, NULL, true, 0, "67 images");
}

Test(conv_transpose, every_variant_matches_the_reference)
{
    expect_conv_kernel(CONV_X);
}

Test(conv_grad_filter, every_variant_matches_the_reference)
{
    expect_conv_kernel(CONV_W);
}

/* Sizes -------------------------------------------------------------------------------------------------- */

/* What the transposed one makes of y at symbolic sizes has gradients of y's own size. */
static kiln_tensor symbolic(kiln_graph *g)
{
    const kiln_tensor y =
        kiln_input(g, "y", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, kiln_dim(g, "rows"), kiln_dim(g, "columns")));
    const kiln_tensor w = kiln_parameter(g, "w", KILN_SHAPE(2, 3, 3, 2), NULL);
    const kiln_tensor x =
        kiln_conv_transpose(g, y, w, KILN_NONE, &(kiln_conv_params){.stride = {2, 3}, .output_pad = {1, 2}});
    kiln_tensor dy;
    kiln_gradient(g, kiln_sum(g, kiln_square(g, x), NULL), KILN_NONE, &y, 1, &dy);
    return kiln_output(g, "dy", kiln_add(g, y, dy));
}

Test(conv_transpose, gradients_follow_symbolic_sizes)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open("cpu");
    float values[2 * 4 * 3] = {1, 2, 3};
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor dy = symbolic(g);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, NULL), KILN_OK);
    for (int rows = 1; rows <= 4; rows += 3) {
        const kiln_array y = {.data = values, .shape = KILN_SHAPE(1, 2, rows, 3)};
        kiln_shape shape;
        cr_assert_eq(kiln_program_write(p, kiln_graph_input(g, 0), &y), KILN_OK);
        cr_assert_eq(kiln_program_run(p), KILN_OK);
        cr_assert_eq(kiln_program_shape(p, dy, &shape), KILN_OK);
        cr_expect(kiln_shape_equal(&shape, &y.shape));
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

static void expect_zeros(kiln_program *p, kiln_tensor t, kiln_shape shape)
{
    float values[36];
    kiln_array read = {.data = values, .bytes = sizeof values};
    memset(values, 1, sizeof values);
    cr_assert_eq(kiln_program_read(p, t, &read), KILN_OK);
    cr_expect(kiln_shape_equal(&read.shape, &shape));
    for (int64_t i = 0; i < kiln_shape_count(&shape); i++)
        cr_expect_eq(values[i], 0, "%s: %g", kiln_program_tensor_name(p, t), (double)values[i]);
}

/* Of pictures without a row, whose size only a run says: zeros are what comes of them, and the filters' gradient. */
static void expect_nothing(const char *device)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open(device);
    float none = 0;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor y = kiln_input(g, "y", KILN_F32, KILN_SHAPE(1, 2, kiln_dim(g, "rows"), 3)),
                      filters = kiln_parameter(g, "w", KILN_SHAPE(2, 3, 3, 2), NULL),
                      x = kiln_conv_transpose(g, y, filters, KILN_NONE, NULL);
    kiln_tensor gradient;
    kiln_gradient(g, kiln_sum(g, x, NULL), KILN_NONE, &filters, 1, &gradient);
    kiln_output(g, "gradient", gradient);
    kiln_output(g, "x", x);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, NULL), KILN_OK);
    cr_assert_eq(kiln_program_write(p, y, &(kiln_array){.data = &none, .shape = KILN_SHAPE(1, 2, 0, 3)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    expect_zeros(p, gradient, KILN_SHAPE(2, 3, 3, 2));
    expect_zeros(p, x, KILN_SHAPE(1, 3, 2, 4));
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

Test(conv_grad_filter, is_zero_where_there_is_no_result)
{
    for (int i = 0; kiln_test_device(i); i++)
        expect_nothing(kiln_test_device(i));
}

Test(conv_transpose, says_what_does_not_fit)
{
    static const struct {
        kiln_shape x, w;
        kiln_conv_params p;
        const char *text;
    } refused[] = {
        {{4, {1, 3, 4, 4}}, {4, {2, 3, 3, 3}}, {.groups = 1}, "expects 2"},
        {{4, {1, 2, 4, 4}}, {4, {2, 3, 3, 3}}, {.pad = {{3, 3}}}, "leave 0"},
        {{4, {1, 2, 4, 4}}, {4, {2, 3, 3, 3}}, {.output_pad = {1}}, "output_pad 1"},
        {{4, {1, 3, 4, 4}}, {4, {3, 3, 3, 3}}, {.groups = 2}, "not a multiple of 2"},
    };
    for (size_t i = 0; i < KILN_COUNT(refused); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, refused[i].x),
                          w = kiln_input(g, "w", KILN_F32, refused[i].w);
        cr_expect_eq(kiln_conv_transpose(g, x, w, KILN_NONE, &refused[i].p).id, 0);
        cr_expect(strstr(kiln_graph_error(g), refused[i].text) != NULL, "wanted \"%s\", got \"%s\"",
                  refused[i].text, kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
