/* model.c - what the models share, and a model's graph to learn with: all tokens of a target at once, each told the ones before. */
#include "translate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct model *find_model(const char *name)
{
    const struct model *const models[] = {&lstm, &gru, &transformer};
    for (int i = 0; i < 3; i++)
        if (!strcmp(models[i]->name, name))
            return models[i];
    fprintf(stderr, "translate: there is no model \"%s\": lstm, gru, transformer\n", name);
    return NULL;
}

bool fits(const struct config *c)
{
    return c->width >= 2 && c->width % 2 == 0 && c->heads >= 1 && c->width % c->heads == 0 &&
           c->layers >= 1 && c->layers <= 6 && c->hidden >= 1 && c->longest >= 2;
}

kiln_tensor embed(kiln_graph *g, const char *name, kiln_tensor tokens, int count, const struct config *c)
{
    return kiln_nn_embedding(g, tokens,
                             &(kiln_nn_embedding_params){.count = count,
                                                         .width = c->width,
                                                         .init = {.kind = KILN_INIT_NORMAL,
                                                                  .scale = 1 / sqrt((double)c->width)},
                                                         .name = name});
}

kiln_tensor dense(kiln_graph *g, const char *name, kiln_tensor x, int units)
{
    return kiln_nn_dense(
        g, x, &(kiln_nn_dense_params){.units = units, .init = {.kind = KILN_INIT_XAVIER}, .name = name});
}

kiln_status make_net(struct net *net, const struct model *model, const struct config *config,
                     double smoothing)
{
    kiln_graph *g = NULL;
    struct values seen, carried;
    kiln_status status = kiln_graph_create(&g, &(kiln_graph_params){.name = model->name});
    *net = (struct net){.graph = g};
    if (status)
        return status;
    const int64_t sources = kiln_dim(g, "source"), targets = kiln_dim(g, "target");
    net->source = kiln_input(g, "source", KILN_I32, KILN_SHAPE(KILN_BATCH, sources));
    net->lengths = kiln_input(g, "source_length", KILN_I32, KILN_SHAPE(KILN_BATCH));
    net->given = kiln_input(g, "given", KILN_I32, KILN_SHAPE(KILN_BATCH, targets));
    const kiln_tensor wanted = kiln_input(g, "wanted", KILN_I32, KILN_SHAPE(KILN_BATCH, targets));
    const kiln_tensor counts = kiln_input(g, "wanted_length", KILN_I32, KILN_SHAPE(KILN_BATCH));

    model->encode(g, config, net->source, net->lengths, &seen, &carried);
    const kiln_tensor scores = model->teach(g, config, net->given, &seen, &carried, &net->map);
    net->loss = kiln_sequence_cross_entropy(g, scores, wanted, counts,
                                            &(kiln_class_loss_params){.smoothing = smoothing});
    net->grade = kiln_sequence_cross_entropy(g, scores, wanted, counts, NULL);
    kiln_name(g, net->loss, "loss");
    kiln_name(g, net->grade, "grade");
    return kiln_graph_status(g);
}
