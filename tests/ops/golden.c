/* golden.c - operators' values and gradients against PyTorch's (tools/golden/operators.py), case by case. */
#include <string.h>

#include "support/golden_case.h"

static kiln_tensor convolve(kiln_golden_case *c, kiln_conv_params p)
{
    kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w");
    return kiln_conv(c->g, x, w, kiln_golden_leaf(c, "b"), &p);
}

static kiln_tensor conv2d(kiln_golden_case *c)
{
    return convolve(
        c, (kiln_conv_params){.stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .dilation = {2, 2}, .groups = 2});
}

static kiln_tensor conv2d_plain(kiln_golden_case *c)
{
    return convolve(c, (kiln_conv_params){.groups = 1});
}

static kiln_tensor conv2d_uneven(kiln_golden_case *c)
{
    return convolve(c, (kiln_conv_params){.stride = {2, 1}, .pad = {{1, 1}, {3, 3}}, .dilation = {1, 2}});
}

static kiln_tensor conv2d_depthwise(kiln_golden_case *c)
{
    return convolve(c, (kiln_conv_params){.stride = {1, 2}, .pad = {{1, 1}, {1, 1}}, .groups = 6});
}

static const kiln_pool_params window = {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}};

static kiln_tensor max_pool(kiln_golden_case *c)
{
    return kiln_max_pool(c->g, kiln_golden_leaf(c, "x"), &window);
}

static kiln_tensor average_without(kiln_golden_case *c)
{
    return kiln_average_pool(c->g, kiln_golden_leaf(c, "x"), &window);
}

static kiln_tensor average_with(kiln_golden_case *c)
{
    kiln_pool_params counting = window;
    counting.count_pad = true;
    return kiln_average_pool(c->g, kiln_golden_leaf(c, "x"), &counting);
}

static kiln_tensor batch_norm(kiln_golden_case *c)
{
    kiln_tensor x = kiln_golden_leaf(c, "x"), w = kiln_golden_leaf(c, "w"), b = kiln_golden_leaf(c, "b");
    return kiln_batch_norm(c->g, x, w, b, kiln_golden_state(c, "mean"), kiln_golden_state(c, "variance"),
                           NULL);
}

static kiln_tensor softmax(kiln_golden_case *c)
{
    return kiln_softmax(c->g, kiln_golden_leaf(c, "x"), 1);
}

static kiln_tensor log_softmax(kiln_golden_case *c)
{
    return kiln_log_softmax(c->g, kiln_golden_leaf(c, "x"), 1);
}

static kiln_tensor cross_entropy(kiln_golden_case *c)
{
    return kiln_cross_entropy(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "label"));
}

static kiln_tensor cross_entropy_soft(kiln_golden_case *c)
{
    return kiln_cross_entropy(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"));
}

static kiln_tensor binary_cross_entropy(kiln_golden_case *c)
{
    return kiln_binary_cross_entropy(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "target"));
}

static kiln_tensor mean_squared_error(kiln_golden_case *c)
{
    kiln_tensor x = kiln_golden_leaf(c, "x");
    return kiln_mean_squared_error(c->g, x, kiln_golden_leaf(c, "target"));
}

static kiln_tensor leaky_relu(kiln_golden_case *c)
{
    return kiln_leaky_relu(c->g, kiln_golden_leaf(c, "x"), 0.1);
}

static kiln_tensor clip(kiln_golden_case *c)
{
    return kiln_clip(c->g, kiln_golden_leaf(c, "x"), -0.5, 0.75);
}

static kiln_tensor gather_rows(kiln_golden_case *c)
{
    return kiln_gather(c->g, kiln_golden_leaf(c, "x"), kiln_golden_fixed(c, "index"), 0);
}

static kiln_tensor pad(kiln_golden_case *c)
{
    return kiln_pad(c->g, kiln_golden_leaf(c, "x"), (const int64_t[]){0, 0, 1}, (const int64_t[]){0, 3, 2},
                    0.5);
}

/* The case's name ends in what is done to each side: n nothing, t transpose. */
static kiln_tensor multiply(kiln_golden_case *c)
{
    const char *sides = c->name + strlen("matmul_");
    kiln_tensor x = kiln_golden_leaf(c, "x");
    return kiln_matmul(c->g, x, kiln_golden_leaf(c, "w"),
                       &(kiln_matmul_params){sides[0] == 't', sides[1] == 't'});
}

static const kiln_golden_row rows[] = {
    {"conv2d", conv2d},
    {"conv2d_plain", conv2d_plain},
    {"conv2d_uneven", conv2d_uneven},
    {"conv2d_depthwise", conv2d_depthwise},
    {"conv2d_pointwise", conv2d_plain},
    {"max_pool2d", max_pool},
    {"max_pool2d_ties", max_pool},
    {"avg_pool2d_with_padding", average_with},
    {"avg_pool2d_without_padding", average_without},
    {"batch_norm_training", batch_norm},
    {"batch_norm_inference", batch_norm, .infer = true},
    {"softmax", softmax},
    {"log_softmax", log_softmax},
    {"cross_entropy", cross_entropy},
    {"cross_entropy_axis_1", cross_entropy},
    {"cross_entropy_one_hot", cross_entropy_soft},
    {"binary_cross_entropy_with_logits", binary_cross_entropy},
    {"mse", mean_squared_error},
    {"leaky_relu", leaky_relu},
    {"clip", clip},
    {"relu", .unary = kiln_relu},
    {"sigmoid", .unary = kiln_sigmoid},
    {"tanh", .unary = kiln_tanh},
    {"exp", .unary = kiln_exp},
    {"log", .unary = kiln_log},
    {"sqrt", .unary = kiln_sqrt},
    {"pow", .binary = kiln_pow},
    {"div", .binary = kiln_div},
    {"matmul_nn", multiply},
    {"matmul_nt", multiply},
    {"matmul_tn", multiply},
    {"matmul_tt", multiply},
    {"gather_rows", gather_rows},
    {"pad", pad},
};

Test(golden, operators_in_float64_are_those_of_pytorch)
{
    kiln_expect_golden("operators.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

Test(golden, operators_on_every_device_are_close_to_those_of_pytorch)
{
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("operators.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 0);
}
