/* features.c - what the last layer of a network sees is found behind whatever follows that layer. */
#include <kiln/kiln.h>

#include "support/support.h"

static kiln_graph *graph(void)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    return g;
}

Test(features, lie_before_a_dense_layer_and_its_softmax)
{
    kiln_graph *g = graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 6));
    const kiln_tensor hidden = kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 4}));
    const kiln_tensor scores = kiln_nn_dense(g, hidden, &(kiln_nn_dense_params){.units = 3});
    cr_expect_eq(kiln_nn_features(g, kiln_softmax(g, scores, 1)).id, hidden.id);
    cr_expect_eq(kiln_nn_features(g, scores).id, hidden.id);
    cr_expect_eq(kiln_nn_features(g, hidden).id, x.id, "of an inner value: of the layer before it");
    kiln_graph_destroy(&g);
}

Test(features, are_maps_before_a_convolution)
{
    kiln_graph *g = graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, 8, 8));
    const kiln_tensor maps =
        kiln_relu(g, kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 5, .size = {3, 3}}));
    kiln_tensor y = kiln_nn_conv(g, maps, &(kiln_nn_conv_params){.filters = 2, .size = {1, 1}});
    y = kiln_flatten(g, kiln_global_average_pool(g, kiln_relu(g, y)), 1);
    cr_expect_eq(kiln_nn_features(g, y).id, maps.id);
    kiln_graph_destroy(&g);
}

/* As files write it that add the product to the bias. */
Test(features, are_looked_for_behind_the_input_that_is_computed)
{
    kiln_graph *g = graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 6));
    const kiln_tensor hidden = kiln_tanh(g, x);
    const kiln_tensor product = kiln_matmul(g, hidden, kiln_parameter(g, "w", KILN_SHAPE(6, 2), NULL), NULL);
    const kiln_tensor y = kiln_add(g, kiln_parameter(g, "b", KILN_SHAPE(2), NULL), product);
    cr_expect_eq(kiln_nn_features(g, y).id, hidden.id);
    kiln_graph_destroy(&g);
}

Test(features, are_none_where_no_layer_is)
{
    kiln_graph *g = graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 6));
    cr_expect_eq(kiln_nn_features(g, kiln_relu(g, x)).id, 0);
    cr_expect_eq(kiln_nn_features(g, x).id, 0);
    cr_expect_eq(kiln_nn_features(g, KILN_NONE).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_OK);
    kiln_graph_destroy(&g);
}
