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
