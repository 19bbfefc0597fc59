/*
 * transformer.c - attention alone (Vaswani et al. 2017), normalized before each part (Xiong et al. 2020).
 *
 * The table of target tokens makes scores, too: scores = y table^T. A step's keys and values are kept: each layer carries a
 * cache of `longest` places.
 */
#include "translate.h"

#include <math.h>
#include <stdio.h>

enum { MEMORY, LENGTHS };

static kiln_nn_transformer_params layer_params(const struct config *c)
{
    return (kiln_nn_transformer_params){
        .attention = {.heads = c->heads}, .hidden = c->hidden, .norm_first = true, .dropout = c->dropout};
}

/* Tokens where they stand: [N, L] -> [N, L, W]; positions [L]. */
static kiln_tensor places(kiln_graph *g, const struct config *c, kiln_tensor tokens, int count,
                          kiln_tensor positions)
{
    const kiln_tensor x =
        kiln_mul(g, embed(g, "tokens", tokens, count, c), kiln_scalar(g, KILN_F32, sqrt((double)c->width)));
    return kiln_dropout(g, kiln_add(g, x, kiln_sinusoidal(g, positions, c->width, 0)), c->dropout);
}

static const char *layer_name(char name[24], int i)
{
    snprintf(name, 24, "layers.%d", i);
    return name;
}

static void encode(kiln_graph *g, const struct config *c, kiln_tensor source, kiln_tensor lengths,
                   struct values *seen, struct values *carried)
{
    kiln_nn_transformer_params p = layer_params(c);
    const int64_t rows = kiln_tensor_shape(g, lengths).size[0];
    char name[24];
    kiln_scope_open(g, "encoder");
    kiln_tensor x = places(g, c, source, c->sources, kiln_positions(g, source, 1));
    p.attention.lengths = lengths;
    for (int i = 0; i < c->layers; i++) {
        p.name = layer_name(name, i);
        x = kiln_nn_encoder_layer(g, x, &p);
    }
    x = kiln_nn_layer_norm(g, x, &(kiln_nn_layer_norm_params){.name = "norm"});
    kiln_scope_close(g);
    *seen = (struct values){.of = {x, lengths}, .count = 2};
    *carried = (struct values){.count = 2 * c->layers};
    for (int i = 0; i < carried->count; i++) /* nothing is seen yet */
        carried->of[i] = kiln_expand(g, kiln_scalar(g, KILN_F32, 0), KILN_SHAPE(rows, c->longest, c->width));
}

/* x [N, L, W] -> [N, L, V]. With `carried` x is one step; *map is the mean of the last layer's heads. */
static kiln_tensor layers(kiln_graph *g, const struct config *c, kiln_tensor x, kiln_tensor at,
                          const struct values *seen, struct values *carried, kiln_tensor *map)
{
    kiln_nn_transformer_params p = layer_params(c);
    kiln_nn_cache cache = {.at = at};
    kiln_tensor weights = KILN_NONE;
    char name[24];
    p.attention.causal = true;
    p.cross.lengths = seen->of[LENGTHS];
    for (int i = 0; i < c->layers; i++) {
        p.name = layer_name(name, i);
        p.weights = map && i + 1 == c->layers ? &weights : NULL;
        if (carried) {
            cache.keys = carried->of[2 * i];
            cache.values = carried->of[2 * i + 1];
            p.cache = &cache;
        }
        x = kiln_nn_decoder_layer(g, x, seen->of[MEMORY], &p);
        if (carried) {
            carried->of[2 * i] = cache.keys;
            carried->of[2 * i + 1] = cache.values;
        }
    }
    if (map)
        *map = kiln_mean(g, weights, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    x = kiln_nn_layer_norm(g, x, &(kiln_nn_layer_norm_params){.name = "norm"});
    const kiln_tensor table =
        kiln_parameter(g, "tokens.weight", KILN_SHAPE(c->targets, c->width), NULL); /* that of embed */
    return kiln_matmul(g, x, table, &(kiln_matmul_params){.transpose_b = true});
}

static kiln_tensor teach(kiln_graph *g, const struct config *c, kiln_tensor given, const struct values *seen,
                         const struct values *carried, kiln_tensor *map)
{
    (void)carried;
    kiln_scope_open(g, "decoder");
    const kiln_tensor x = places(g, c, given, c->targets, kiln_positions(g, given, 1));
    const kiln_tensor scores = layers(g, c, x, KILN_NONE, seen, NULL, map);
    kiln_scope_close(g);
    return scores;
}

static kiln_tensor step(kiln_graph *g, const struct config *c, kiln_tensor token, kiln_tensor at,
                        const struct values *seen, struct values *carried)
{
    kiln_scope_open(g, "decoder");
    const kiln_tensor x =
        places(g, c, kiln_unsqueeze(g, token, 1), c->targets, kiln_reshape(g, at, KILN_SHAPE(1)));
    const kiln_tensor scores = layers(g, c, x, at, seen, carried, NULL);
    kiln_scope_close(g);
    return kiln_squeeze(g, scores, 1);
}

const struct model transformer = {"transformer", encode, teach, step};
