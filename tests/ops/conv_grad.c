/* conv_grad.c - the gradients of 2-D convolution: their own gradients, and every variant of their kernels
 * everywhere. */
#include "support/support.h"

#include "support/conv.h"

static const struct grad_case {
    kiln_shape x, w;
    kiln_conv2d_params params;
    const char *why;
} cases[] = {
    {{4, {2, 2, 5, 4}}, {4, {3, 2, 3, 2}}, {.pad = {{1, 1}, {0, 1}}}, "padding"},
    {{4, {1, 2, 7, 8}}, {4, {3, 2, 3, 3}}, {.stride = {2, 3}, .pad = {{1, 0}, {2, 1}}}, "strides"},
    {{4, {1, 2, 9, 9}}, {4, {2, 2, 2, 3}}, {.stride = {2, 2}, .dilation = {3, 2}}, "dilation and stride"},
    {{4, {2, 4, 5, 4}}, {4, {2, 2, 2, 2}}, {.groups = 2}, "two groups"},
    {{4, {1, 1, 7, 7}}, {4, {1, 1, 2, 2}}, {.stride = {4, 4}}, "pixels that no filter meets"},
};

/* x serves for its shape alone. */
static kiln_tensor grad_input(kiln_graph *g, const void *one_case)
{
    const struct grad_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), w = kiln_test_input(g, c->w);
    const kiln_shape y = kiln_tensor_shape(g, kiln_conv2d(g, x, w, KILN_NONE, &c->params));
    return kiln_conv2d_grad_input(g, kiln_test_input(g, y), w, x, &c->params);
}

static kiln_tensor grad_filter(kiln_graph *g, const void *one_case)
{
    const struct grad_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), w = kiln_test_input(g, c->w);
    const kiln_shape y = kiln_tensor_shape(g, kiln_conv2d(g, x, w, KILN_NONE, &c->params));
    return kiln_conv2d_grad_filter(g, kiln_test_input(g, y), x, w, &c->params);
}

/* Enough images for several splits, and their sum. */
static kiln_tensor many_images(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(67, 1, 16, 17)),
                      w = kiln_test_input(g, KILN_SHAPE(2, 1, 3, 3));
    return kiln_conv2d(g, x, w, KILN_NONE, NULL);
}

Test(conv2d_grad_input, gradient_matches_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_gradient(grad_input, &cases[i], cases[i].why);
}

Test(conv2d_grad_filter, gradient_matches_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_gradient(grad_filter, &cases[i], cases[i].why);
}

Test(conv2d_grad_filter, sums_splits_alike_on_every_device)
{
    kiln_expect_devices_agree(many_images, NULL, true, 0, "67 images");
}

Test(conv2d_grad_input, every_variant_matches_the_reference)
{
    expect_conv_kernel(&kiln_kernel_conv2d_grad_input);
}

Test(conv2d_grad_filter, every_variant_matches_the_reference)
{
    expect_conv_kernel(&kiln_kernel_conv2d_grad_filter);
}
