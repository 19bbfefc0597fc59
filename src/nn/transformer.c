/*
 * transformer.c - the layers of a Transformer: attention to itself, in a decoder to a memory too, and two dense layers, each
 * added to what it was given.
 */
#include <kiln/extend.h>
#include <kiln/nn.h>
#include <kiln/ops.h>

#include "nn/layer.h"

/* A layer while it is built; parts are counted for the names of their norms. */
struct layer {
    kiln_graph *g;
    const kiln_nn_transformer_params *p;
    bool decodes; /* it has a memory */
    int norms;
};

static kiln_tensor normalize(struct layer *l, kiln_tensor x)
{
    static const char *const names[] = {"norm1", "norm2", "norm3"};
    const kiln_nn_layer_norm_params p = {.epsilon = l->p->epsilon, .name = names[l->norms++]};
    return kiln_nn_layer_norm(l->g, x, &p);
}

static kiln_tensor drop(const struct layer *l, kiln_tensor x)
{
    return kiln_dropout(l->g, x, l->p->dropout);
}

static kiln_tensor attend(const struct layer *l, kiln_tensor x, kiln_tensor memory,
                          const kiln_attention_params *how, const char *name)
{
    kiln_nn_attention_params p = {.attention = *how, .name = name};
    if (!memory.id)
        p.cache = l->p->cache;
    if (memory.id || !l->decodes)
        p.weights = l->p->weights;
    if (p.attention.dropout == 0)
        p.attention.dropout = l->p->dropout;
    return kiln_nn_attention(l->g, x, memory, &p);
}

static kiln_tensor feed_forward(const struct layer *l, kiln_tensor x)
{
    kiln_graph *g = l->g;
    const int width = (int)kiln_layer_size(g, "transformer", x, -1);
    const kiln_init xavier = {.kind = KILN_INIT_XAVIER};
    const kiln_nn_dense_params in = {.units = l->p->hidden, .init = xavier, .name = "linear1"};
    const kiln_nn_dense_params out = {.units = width, .init = xavier, .name = "linear2"};
    x = kiln_nn_dense(g, x, &in);
    x = l->p->activation ? l->p->activation(g, x) : kiln_relu(g, x);
    return kiln_nn_dense(g, drop(l, x), &out);
}

/* x + part(x): normalized before the part, or behind the sum. */
enum part { SELF, CROSS, FORWARD };

static kiln_tensor add_part(struct layer *l, enum part part, kiln_tensor x, kiln_tensor memory)
{
    const kiln_nn_transformer_params *p = l->p;
    kiln_attention_params cross = p->cross;
    if (cross.heads == 0)
        cross.heads = p->attention.heads;
    const kiln_tensor from = p->norm_first ? normalize(l, x) : x;
    const kiln_tensor found = part == SELF    ? attend(l, from, KILN_NONE, &p->attention, "self_attn")
                              : part == CROSS ? attend(l, from, memory, &cross, "multihead_attn")
                                              : feed_forward(l, from);
    const kiln_tensor y = kiln_add(l->g, x, drop(l, found));
    return p->norm_first ? y : normalize(l, y);
}

static bool is_given(kiln_graph *g, const kiln_nn_transformer_params *p)
{
    if (p->hidden <= 0)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "transformer layer: %d hidden units, wanted at least 1",
                        p->hidden);
    return kiln_graph_status(g) == KILN_OK;
}

kiln_tensor kiln_nn_encoder_layer(kiln_graph *g, kiln_tensor x, const kiln_nn_transformer_params *params)
{
    const kiln_nn_transformer_params none = {0};
    struct layer l = {.g = g, .p = params ? params : &none};
    if (!is_given(g, l.p))
        return KILN_NONE;
    kiln_layer_open(g, "encoder", l.p->name);
    x = add_part(&l, SELF, x, KILN_NONE);
    x = add_part(&l, FORWARD, x, KILN_NONE);
    kiln_scope_close(g);
    return x;
}

kiln_tensor kiln_nn_decoder_layer(kiln_graph *g, kiln_tensor x, kiln_tensor memory,
                                  const kiln_nn_transformer_params *params)
{
    const kiln_nn_transformer_params none = {0};
    struct layer l = {.g = g, .p = params ? params : &none, .decodes = true};
    if (!is_given(g, l.p) || !memory.id)
        return KILN_NONE;
    kiln_layer_open(g, "decoder", l.p->name);
    x = add_part(&l, SELF, x, KILN_NONE);
    x = add_part(&l, CROSS, x, memory);
    x = add_part(&l, FORWARD, x, KILN_NONE);
    kiln_scope_close(g);
    return x;
}
