/* networks.c - networks, written as an application would. */
#include "networks.h"

kiln_tensor lenet(kiln_graph *g, kiln_tensor x, int classes)
{
    const kiln_pool_params half = {.size = {2, 2}};

    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 6, .size = {5, 5}, .pad = {{2, 2}, {2, 2}}});
    x = kiln_max_pool(g, kiln_relu(g, x), &half);
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 16, .size = {5, 5}});
    x = kiln_max_pool(g, kiln_relu(g, x), &half);
    x = kiln_relu(g, kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 120}));
    x = kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 84}));
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = classes});
}

kiln_tensor characters(kiln_graph *g, kiln_tensor text, recurrent_layer *layer, int symbols, int width)
{
    const kiln_nn_recurrent_params params = {.units = width, .cell = {.batch_first = true}};
    const kiln_tensor states = layer(g, kiln_one_hot(g, text, symbols), &params, NULL);
    return kiln_nn_dense(g, kiln_flatten(g, states, 2), &(kiln_nn_dense_params){.units = symbols});
}

kiln_tensor vision_transformer(kiln_graph *g, kiln_tensor picture, int classes)
{
    enum { WIDTH = 192, LAYERS = 12, HEADS = 3, PATCHES = 14 * 14 };
    const kiln_nn_transformer_params layer = {
        .attention = {.heads = HEADS}, .hidden = 4 * WIDTH, .activation = kiln_gelu, .norm_first = true};
    const kiln_nn_conv_params patch = {.filters = WIDTH, .size = {16, 16}, .stride = {16, 16}};
    const int64_t batch = kiln_tensor_shape(g, picture).size[0];

    kiln_tensor x = kiln_reshape(g, kiln_nn_conv(g, picture, &patch), KILN_SHAPE(batch, WIDTH, PATCHES));
    x = kiln_transpose(g, x, (const int[]){0, 2, 1});
    const kiln_tensor token = kiln_parameter(g, "token", KILN_SHAPE(1, 1, WIDTH), NULL);
    const kiln_tensor first = kiln_expand(g, token, KILN_SHAPE(batch, 1, WIDTH));
    x = kiln_concat(g, (const kiln_tensor[]){first, x}, 2, 1);
    x = kiln_add(g, x, kiln_parameter(g, "position", KILN_SHAPE(1, PATCHES + 1, WIDTH), NULL));
    for (int i = 0; i < LAYERS; i++)
        x = kiln_nn_encoder_layer(g, x, &layer);
    x = kiln_squeeze(g, kiln_slice(g, x, 1, 0, 1, 1), 1);
    return kiln_nn_dense(g, kiln_nn_layer_norm(g, x, NULL), &(kiln_nn_dense_params){.units = classes});
}

kiln_tensor translator(kiln_graph *g, kiln_tensor source, kiln_tensor target, int symbols)
{
    enum { WIDTH = 128, LAYERS = 2, HEADS = 4, HIDDEN = 512 };
    const kiln_nn_embedding_params embedding = {.count = symbols, .width = WIDTH};
    kiln_nn_transformer_params layer = {.attention = {.heads = HEADS}, .hidden = HIDDEN, .dropout = 0.1};
    kiln_tensor memory = kiln_nn_embedding(g, source, &embedding);
    for (int i = 0; i < LAYERS; i++)
        memory = kiln_nn_encoder_layer(g, memory, &layer);
    memory = kiln_nn_layer_norm(g, memory, NULL);

    kiln_tensor y = kiln_nn_embedding(g, target, &embedding);
    layer.attention.causal = true;
    for (int i = 0; i < LAYERS; i++)
        y = kiln_nn_decoder_layer(g, y, memory, &layer);
    y = kiln_flatten(g, kiln_nn_layer_norm(g, y, NULL), 2);
    return kiln_nn_dense(g, y, &(kiln_nn_dense_params){.units = symbols});
}
