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

static kiln_tensor input_image(kiln_graph *g, const kiln_shape *image)
{
    return kiln_input(g, "image", KILN_F32,
                      KILN_SHAPE(KILN_BATCH, image->size[0], image->size[1], image->size[2]));
}

/* A warm-up of 100 steps, then half a cosine. */
static kiln_tensor minimize(kiln_graph *g, kiln_tensor loss, const struct classifier_params *p)
{
    const kiln_tensor at = kiln_step(g, NULL);
    kiln_minimize_params how = {.by = KILN_ADAMW, .decay = p->decay};

    if (p->rate > 0)
        how.rate_from = kiln_schedule_warm_up(g, at, kiln_schedule_cosine(g, at, p->rate, 0, p->steps), 100);
    return kiln_minimize(g, loss, &how);
}

static kiln_status build(struct classifier *c, const struct classifier_params *p)
{
    kiln_graph *g = c->graph, *d = c->deployed;
    kiln_status status;

    c->image = input_image(g, &p->image);
    c->label = kiln_input(g, "label", KILN_I32, KILN_SHAPE(KILN_BATCH));
    c->scores = lenet(g, c->image, p->classes);
    c->loss = kiln_output(g, "loss", kiln_cross_entropy(g, c->scores, c->label));
    c->accuracy = kiln_output(g, "accuracy", kiln_accuracy(g, c->scores, c->label));
    c->step = minimize(g, c->loss, p);
    kiln_output(d, "probability", kiln_softmax(d, lenet(d, input_image(d, &p->image), p->classes), 1));
    return (status = kiln_graph_status(g)) ? status : kiln_graph_status(d);
}

kiln_status classifier_create(struct classifier *out, const struct classifier_params *params)
{
    kiln_status status;

    *out = (struct classifier){0};
    if ((status = kiln_graph_create(&out->graph, &(kiln_graph_params){.name = "lenet"})) ||
        (status = kiln_graph_create(&out->deployed, &(kiln_graph_params){.name = "lenet"})) ||
        (status = build(out, params)))
        classifier_destroy(out);
    return status;
}

void classifier_destroy(struct classifier *c)
{
    kiln_graph_destroy(&c->graph);
    kiln_graph_destroy(&c->deployed);
}
