/* attention.c - the layers of attention and of Transformers: PyTorch's values by PyTorch's names, symbolic sizes, devices. */
#include <kiln/nn.h>

#include <stdlib.h>
#include <string.h>

#include "nn/named.h"
#include "support/golden_case.h"

/* What PyTorch computes: the weights of "layer" are declared with the recorded values before the layer asks for them. */

static void weights(kiln_golden_case *c, const char *const *names)
{
    for (; *names; names++)
        kiln_golden_leaf(c, *names);
}

#define ATTENTION(prefix)                                                                                \
    "layer." prefix "in_proj_weight", "layer." prefix "in_proj_bias", "layer." prefix "out_proj.weight", \
        "layer." prefix "out_proj.bias"
#define PAIR(name) "layer." name ".weight", "layer." name ".bias"

static const char *const own[] = {ATTENTION(""), NULL};
static const char *const plain[] = {"layer.in_proj_weight", "layer.out_proj.weight", NULL};
static const char *const apart[] = {"layer.q_proj_weight",
                                    "layer.k_proj_weight",
                                    "layer.v_proj_weight",
                                    "layer.in_proj_bias",
                                    "layer.out_proj.weight",
                                    "layer.out_proj.bias",
                                    NULL};
static const char *const encoder_names[] = {ATTENTION("self_attn."), PAIR("linear1"), PAIR("linear2"),
                                            PAIR("norm1"),           PAIR("norm2"),   NULL};
static const char *const decoder_names[] = {ATTENTION("self_attn."), ATTENTION("multihead_attn."),
                                            PAIR("linear1"),         PAIR("linear2"),
                                            PAIR("norm1"),           PAIR("norm2"),
                                            PAIR("norm3"),           NULL};

static kiln_tensor layer_self(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x");
    weights(c, own);
    return kiln_nn_attention(c->g, x, KILN_NONE,
                             &(kiln_nn_attention_params){.attention = {.heads = 3, .causal = true},
                                                         .name = "layer"});
}

static kiln_tensor cross(kiln_golden_case *c, const char *const *names)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x"), memory = kiln_golden_leaf(c, "memory");
    weights(c, names);
    return kiln_nn_attention(c->g, x, memory,
                             &(kiln_nn_attention_params){.attention = {.heads = 3}, .name = "layer"});
}

static kiln_tensor layer_cross(kiln_golden_case *c)
{
    return cross(c, own);
}

static kiln_tensor layer_widths(kiln_golden_case *c)
{
    return cross(c, apart);
}

static kiln_tensor layer_plain(kiln_golden_case *c)
{
    const kiln_tensor x = kiln_golden_leaf(c, "x");
    weights(c, plain);
    return kiln_nn_attention(
        c->g, x, KILN_NONE,
        &(kiln_nn_attention_params){.attention = {.heads = 3}, .no_bias = true, .name = "layer"});
}

static kiln_nn_transformer_params params_of(const kiln_golden_case *c)
{
    const bool first = strstr(c->name, "norm_first") != NULL;
    return (kiln_nn_transformer_params){.attention = {.heads = 2, .causal = true},
                                        .hidden = 8,
                                        .activation = first ? kiln_gelu : NULL,
                                        .norm_first = first,
                                        .name = "layer"};
}

static kiln_tensor encoder(kiln_golden_case *c)
{
    const kiln_nn_transformer_params p = params_of(c);
    const kiln_tensor x = kiln_golden_leaf(c, "x");
    weights(c, encoder_names);
    return kiln_nn_encoder_layer(c->g, x, &p);
}

static kiln_tensor decoder(kiln_golden_case *c)
{
    const kiln_nn_transformer_params p = params_of(c);
    const kiln_tensor x = kiln_golden_leaf(c, "x"), memory = kiln_golden_leaf(c, "memory");
    weights(c, decoder_names);
    return kiln_nn_decoder_layer(c->g, x, memory, &p);
}

static const kiln_golden_row rows[] = {
    {"layer_self", layer_self},     {"layer_cross", layer_cross},
    {"layer_widths", layer_widths}, {"layer_plain", layer_plain},
    {"encoder", encoder},           {"encoder_norm_first", encoder},
    {"decoder", decoder},           {"decoder_norm_first", decoder},
};

Test(attention, layers_in_float64_are_those_of_pytorch)
{
    kiln_expect_golden("attention.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

/* Norms divide by deviations of six values: some ten times the usual bound. */
Test(attention, layers_on_every_device_are_close_to_those_of_pytorch)
{
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("attention.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 1e-4);
}

/* Names, sizes, errors ----------------------------------------------------------------------------------- */

Test(attention, layers_take_sizes_that_are_symbols)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const int64_t source = kiln_dim(g, "source"), target = kiln_dim(g, "target");
    const kiln_tensor a = kiln_input(g, "a", KILN_F32, KILN_SHAPE(KILN_BATCH, source, 12));
    const kiln_tensor b = kiln_input(g, "b", KILN_F32, KILN_SHAPE(KILN_BATCH, target, 12));
    const kiln_nn_transformer_params p = {.attention = {.heads = 4, .kv_heads = 2, .causal = true},
                                          .hidden = 20,
                                          .dropout = 0.1};
    const kiln_tensor memory = kiln_nn_encoder_layer(g, a, &p);
    const kiln_tensor y = kiln_nn_decoder_layer(g, b, memory, &p);
    const kiln_tensor loss = kiln_mean(g, kiln_square(g, y), NULL);
    kiln_minimize(g, loss, NULL);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    expect_named(g, "encoder1.self_attn.in_proj_weight", KILN_SHAPE(12 + 2 * 6, 12));
    expect_named(g, "encoder1.self_attn.out_proj.weight", KILN_SHAPE(12, 12));
    expect_named(g, "encoder1.linear1.weight", KILN_SHAPE(20, 12));
    expect_named(g, "encoder1.norm2.bias", KILN_SHAPE(12));
    expect_named(g, "decoder1.multihead_attn.in_proj_weight", KILN_SHAPE(36, 12));
    expect_named(g, "decoder1.norm3.weight", KILN_SHAPE(12));
    kiln_graph_destroy(&g);
}

Test(attention, layers_want_heads_that_divide_the_width)
{
    for (int heads = 0; heads < 6; heads += 5) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, 12));
        const kiln_nn_attention_params p = {.attention = {.heads = heads}};
        cr_expect_eq(kiln_nn_attention(g, x, KILN_NONE, &p).id, 0);
        cr_expect_eq(kiln_graph_status(g), KILN_ERROR_ARGUMENT);
        kiln_graph_destroy(&g);
    }
}
