/* layers.c - layers: the names and shapes of what they declare, shared weights, and a small network's
 * gradient. */
#include "nn/named.h"

#include <kiln/nn.h>

static kiln_graph *graph(void)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    return g;
}

Test(layers, declare_their_weights_as_pytorch_does)
{
    kiln_graph *g = graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4, 9, 9));
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 6, .size = {3, 5}, .groups = 2});
    x = kiln_nn_batch_norm(g, x, NULL);
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 2, .size = {1, 1}, .no_bias = true});
    kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 10, .name = "head"});
    const kiln_tensor index = kiln_input(g, "token", KILN_I32, KILN_SHAPE(KILN_BATCH, 7));
    const kiln_tensor y = kiln_nn_embedding(g, index, &(kiln_nn_embedding_params){.count = 100, .width = 8});

    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    expect_named(g, "conv1.weight", KILN_SHAPE(6, 2, 3, 5));
    expect_named(g, "conv1.bias", KILN_SHAPE(6));
    expect_named(g, "norm1.weight", KILN_SHAPE(6));
    expect_named(g, "norm1.bias", KILN_SHAPE(6));
    expect_named(g, "norm1.running_mean", KILN_SHAPE(6));
    expect_named(g, "norm1.running_var", KILN_SHAPE(6));
    expect_named(g, "conv2.weight", KILN_SHAPE(2, 6, 1, 1));
    expect_named(g, "head.weight", KILN_SHAPE(10, 70));
    expect_named(g, "embedding1.weight", KILN_SHAPE(100, 8));
    cr_expect_eq(kiln_find(g, "conv2.bias").id, 0);
    cr_expect_eq(kiln_tensor_shape(g, y).rank, 3);
    kiln_graph_destroy(&g);
}

Test(layers, of_normalization_declare_a_scale_and_a_bias)
{
    kiln_graph *g = graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 6, 5, 4));
    x = kiln_nn_layer_norm(g, x, &(kiln_nn_layer_norm_params){.axes = 2});
    x = kiln_nn_rms_norm(g, x, NULL);
    x = kiln_nn_group_norm(g, x, &(kiln_nn_group_norm_params){.groups = 3});
    x = kiln_nn_group_norm(g, x, &(kiln_nn_group_norm_params){.name = "instance"});
    x = kiln_nn_layer_norm(g, x, &(kiln_nn_layer_norm_params){.no_bias = true, .name = "plain"});
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    expect_named(g, "norm1.weight", KILN_SHAPE(5, 4));
    expect_named(g, "norm1.bias", KILN_SHAPE(5, 4));
    expect_named(g, "norm2.weight", KILN_SHAPE(4));
    expect_named(g, "norm3.weight", KILN_SHAPE(6));
    expect_named(g, "norm3.bias", KILN_SHAPE(6));
    expect_named(g, "instance.weight", KILN_SHAPE(6));
    expect_named(g, "plain.weight", KILN_SHAPE(4));
    cr_expect_eq(kiln_find(g, "norm2.bias").id, 0);
    cr_expect_eq(kiln_find(g, "plain.bias").id, 0);
    kiln_graph_destroy(&g);
}

Test(layers, of_one_name_share_their_weights)
{
    kiln_graph *g = graph();
    const kiln_nn_dense_params p = {.units = 4, .name = "same"};
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3, 5, 4));
    const kiln_tensor y = kiln_nn_dense(g, kiln_nn_dense(g, x, &p), &p);
    const kiln_shape shape = kiln_tensor_shape(g, y), want = KILN_SHAPE(3, 5, 4);
    cr_expect(kiln_shape_equal(&shape, &want));
    cr_expect_eq(kiln_graph_parameter_count(g), 2);
    kiln_graph_destroy(&g);
}

Test(layers, need_known_channels_and_their_sizes)
{
    kiln_graph *g = graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3, kiln_dim(g, "width")));
    cr_expect_eq(kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 4}).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_SHAPE);
    kiln_graph_destroy(&g);

    g = graph();
    const kiln_tensor image = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3, 3, 8, 8));
    cr_expect_eq(kiln_nn_conv(g, image, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}, .groups = 2}).id,
                 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_ARGUMENT);
    kiln_graph_destroy(&g);
}

static kiln_tensor network(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    kiln_tensor x = kiln_test_input(g, KILN_SHAPE(2, 2, 6, 6));
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 3, .size = {3, 3}, .pad = {{1, 1}, {1, 1}}});
    x = kiln_max_pool(g, kiln_tanh(g, x), &(kiln_pool_params){.size = {2, 2}});
    return kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 4});
}

Test(layers, a_small_network_on_every_device)
{
    kiln_expect_gradient(network, NULL, "convolution, pooling, dense");
    kiln_expect_devices_agree(network, NULL, true, 0, "convolution, pooling, dense");
}
