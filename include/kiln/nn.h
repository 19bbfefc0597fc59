/*
 * nn.h - layers: operators that bring their own weights.
 *
 * A layer declares its parameters below the open scope, under its name: "conv1.weight", "conv1.bias". Names
 * are PyTorch's, so that weights go from one to the other by name. A layer that is given no name takes one
 * from the scope's counter (conv1, conv2, ...; see kiln_scope_open); two layers of one name share their
 * weights.
 *
 * Weights are F32. They follow x's type into the arithmetic: of x as F16, values between layers are halves wherever the device
 * keeps them so, and the optimizer still adds to floats. Cast what goes into the loss back to F32, and see loss_scale (train.h).
 * KILN_PRECISION_F16 (program.h) does as much for a graph of F32.
 *
 * Common to all:
 *   Owns:    params is read during the call only; initial values are copied.
 *   Errors:  sizes that the weights need (channels, features) must be known numbers. On a misfit the graph
 *            fails (kiln_graph_status) and the result is KILN_NONE, which all layers and operators pass on.
 */
#ifndef KILN_NN_H
#define KILN_NN_H

#include <kiln/attention.h>
#include <kiln/conv.h>
#include <kiln/graph.h>
#include <kiln/indexing.h>
#include <kiln/recurrent.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_nn_conv_params {
    int filters;       /* must be given */
    int size[3];       /* of a filter, an axis of x behind the channels each; must be given */
    int stride[3];     /* 0 means 1 */
    int pad[3][2];     /* zeros before and after, per axis */
    kiln_same same;    /* padding by the sizes; overrides pad */
    int dilation[3];   /* 0 means 1 */
    int output_pad[3]; /* transposed: places more at the end of an axis */
    int groups;        /* 0 means 1; channels and filters must be multiples of it */
    bool no_bias;
    kiln_init init, bias_init; /* He normal, and zeros, unless said otherwise */
    const char *name;
} kiln_nn_conv_params;

/**
 * Convolve with filters of the layer's own (kiln_conv).
 *
 * Shape:   x [N, C, 1 to 3 sizes]; y [N, filters, sizes].
 * Weights: weight [filters, C / groups, size], bias [filters].
 */
KILN_API kiln_tensor kiln_nn_conv(kiln_graph *g, kiln_tensor x, const kiln_nn_conv_params *params);

/**
 * Spread over more places by filters of the layer's own (kiln_conv_transpose).
 *
 * Shape:   x [N, C, 1 to 3 sizes]; y [N, filters, sizes].
 * Weights: weight [C, filters / groups, size], bias [filters].
 */
KILN_API kiln_tensor kiln_nn_conv_transpose(kiln_graph *g, kiln_tensor x, const kiln_nn_conv_params *params);

typedef struct kiln_nn_dense_params {
    int units; /* must be given */
    bool no_bias;
    kiln_init init, bias_init; /* He normal, and zeros, unless said otherwise */
    const char *name;
} kiln_nn_dense_params;

/**
 * y = x weight^T + bias over the last axis.
 *
 * Shape:   x [.., features]; y [.., units].
 * Weights: weight [units, features], bias [units].
 */
KILN_API kiln_tensor kiln_nn_dense(kiln_graph *g, kiln_tensor x, const kiln_nn_dense_params *params);

typedef struct kiln_nn_batch_norm_params {
    double epsilon;  /* 0 means 1e-5 */
    double momentum; /* share of the new value in the running statistics; 0 means 0.1 */
    bool frozen;     /* use the running statistics in training too, and leave them */
    bool no_scale;   /* neither scale nor shift */
    const char *name;
} kiln_nn_batch_norm_params;

/**
 * Normalize each channel (kiln_batch_norm).
 *
 * Shape:   x [N, C, ..]; y as x.
 * Weights: weight [C] from ones, bias [C] from zeros; states running_mean [C] from zeros and
 *          running_var [C] from ones.
 */
KILN_API kiln_tensor kiln_nn_batch_norm(kiln_graph *g, kiln_tensor x,
                                        const kiln_nn_batch_norm_params *params);

typedef struct kiln_nn_layer_norm_params {
    int axes;       /* how many of the last axes a row is made of; 0 means 1 */
    double epsilon; /* 0 means 1e-5 */
    bool no_scale;  /* neither scale nor bias */
    bool no_bias;
    const char *name;
} kiln_nn_layer_norm_params;

/**
 * Normalize rows by mean and variance (kiln_layer_norm).
 *
 * Shape:   x [.., features]; y as x.
 * Weights: weight from ones, bias from zeros, each of the last axes' shape.
 */
KILN_API kiln_tensor kiln_nn_layer_norm(kiln_graph *g, kiln_tensor x,
                                        const kiln_nn_layer_norm_params *params);

/** Normalize rows by their root mean square (kiln_rms_norm). Weights: weight from ones; there is no bias. */
KILN_API kiln_tensor kiln_nn_rms_norm(kiln_graph *g, kiln_tensor x, const kiln_nn_layer_norm_params *params);

typedef struct kiln_nn_group_norm_params {
    int groups;     /* of channels; 0 means as many as channels: instance normalization */
    double epsilon; /* 0 means 1e-5 */
    bool no_scale;  /* neither scale nor bias */
    const char *name;
} kiln_nn_group_norm_params;

/**
 * Normalize groups of channels (kiln_group_norm).
 *
 * Shape:   x [N, C, ..]; y as x.
 * Weights: weight [C] from ones, bias [C] from zeros.
 */
KILN_API kiln_tensor kiln_nn_group_norm(kiln_graph *g, kiln_tensor x,
                                        const kiln_nn_group_norm_params *params);

typedef struct kiln_nn_embedding_params {
    int64_t count;                   /* rows, one a token; must be given */
    int width;                       /* must be given */
    kiln_init init;                  /* normal with deviation 1 unless said otherwise */
    kiln_embedding_params embedding; /* a row of padding */
    const char *name;
} kiln_nn_embedding_params;

/**
 * A learned row for each index (kiln_embedding).
 *
 * Shape:   index of I32 or I64, any shape; y [index's shape, width].
 * Weights: weight [count, width].
 */
KILN_API kiln_tensor kiln_nn_embedding(kiln_graph *g, kiln_tensor index,
                                       const kiln_nn_embedding_params *params);

typedef struct kiln_nn_recurrent_params {
    int units;  /* of a state; must be given */
    int layers; /* each on the outputs of the one below; 0 means 1 */
    bool no_bias;
    bool peepholes;             /* LSTM */
    double dropout;             /* rate between layers, in training */
    kiln_recurrent_params cell; /* direction, lengths and the like; initial states are [layers D, N, units] */
    kiln_init init; /* uniform in +-1 / sqrt(units), of all weights and biases, unless said otherwise */
    const char *name;
} kiln_nn_recurrent_params;

/**
 * A recurrent layer, or a stack of them (kiln_rnn, kiln_lstm, kiln_gru). The last states of all layers go to *last unless it
 * is NULL: [layers D, N, units].
 *
 * Shape:   x [T, N, I] or [N, T, I] with .cell.batch_first; y [T, N, D units] or [N, T, D units].
 * Weights: of layer k weight_ih_lk [G units, I], weight_hh_lk [G units, units], bias_ih_lk and bias_hh_lk [G units], and
 *          peephole_lk [3 units]; those of the reverse direction end in _reverse.
 */
KILN_API kiln_tensor kiln_nn_rnn(kiln_graph *g, kiln_tensor x, const kiln_nn_recurrent_params *params,
                                 kiln_recurrent_states *last);
KILN_API kiln_tensor kiln_nn_lstm(kiln_graph *g, kiln_tensor x, const kiln_nn_recurrent_params *params,
                                  kiln_recurrent_states *last);
KILN_API kiln_tensor kiln_nn_gru(kiln_graph *g, kiln_tensor x, const kiln_nn_recurrent_params *params,
                                 kiln_recurrent_states *last);

/**
 * What attention to x itself has seen so far, where a sequence comes a piece at a time: states of a session, or what a kiln_loop
 * carries; zeros before the first piece. A layer puts x's keys and values behind what is there, and `keys` and `values` become
 * what goes on.
 */
typedef struct kiln_nn_cache {
    kiln_tensor keys, values; /* [N, S, width of all keys]: room for S places, a number */
    kiln_tensor at;           /* I32 scalar: how many places are taken. Query i sees those up to at + i */
} kiln_nn_cache;

typedef struct kiln_nn_attention_params {
    kiln_attention_params attention; /* heads must be given; masks, a diagonal, dropout and the like */
    bool no_bias;
    kiln_nn_cache *cache; /* not NULL: x is the next piece of its sequence; without a memory only */
    kiln_tensor *weights; /* not NULL: receives what each query gives to each key (kiln_attention_weights) */
    kiln_init init, bias_init; /* Xavier's uniform, and zeros, unless said otherwise */
    const char *name;
} kiln_nn_attention_params;

/**
 * Attention with projections of its own (Vaswani et al. 2017): queries from x, keys and values from memory, or from x too where
 * that is KILN_NONE; what each head found side by side, and projected once more.
 *
 * Shape:   x [N, L, width], memory [N, S, any width]; y [N, L, width], width a multiple of the heads.
 * Weights: as PyTorch's MultiheadAttention: in_proj_weight [width + 2 K, width], rows for queries, keys and values, or for a
 *          memory of another width q_proj_weight, k_proj_weight and v_proj_weight; in_proj_bias [width + 2 K]; out_proj.weight
 *          [width, width] and out_proj.bias. K is the width, or where fewer heads have keys (attention.kv_heads) that of theirs.
 */
KILN_API kiln_tensor kiln_nn_attention(kiln_graph *g, kiln_tensor x, kiln_tensor memory,
                                       const kiln_nn_attention_params *params);

typedef struct kiln_nn_transformer_params {
    kiln_attention_params attention; /* of x to itself; heads must be given */
    kiln_attention_params cross;     /* of a decoder, to the memory; heads 0 means as many */
    kiln_nn_cache *cache; /* not NULL: x is the next piece of its sequence, as of kiln_nn_attention */
    kiln_tensor *weights; /* not NULL: receives those of attention to the memory, in an encoder to x itself */
    int hidden;           /* units between the two dense layers; must be given */
    kiln_tensor (*activation)(kiln_graph *g, kiln_tensor x); /* between them; NULL means kiln_relu */
    bool norm_first;                                         /* normalize before each part, not behind */
    /* of probabilities (where attention does not say otherwise), hidden units, and what each part adds */
    double dropout;
    double epsilon; /* of the norms; 0 means 1e-5 */
    const char *name;
} kiln_nn_transformer_params;

/**
 * A layer of a Transformer's encoder: attention to itself, then two dense layers; each part is added to what it was given, and
 * the sum normalized.
 *
 * Shape:   x [N, L, width]; y as x.
 * Weights: as PyTorch's TransformerEncoderLayer: those of self_attn (kiln_nn_attention), linear1 and linear2, norm1 and norm2.
 */
KILN_API kiln_tensor kiln_nn_encoder_layer(kiln_graph *g, kiln_tensor x,
                                           const kiln_nn_transformer_params *params);

/**
 * A layer of its decoder: attention to itself (with .attention.causal to what came before), to the memory, two dense layers.
 *
 * Shape:   x [N, L, width], memory [N, S, any width]; y as x.
 * Weights: as PyTorch's TransformerDecoderLayer: as the encoder's, and multihead_attn and norm3.
 */
KILN_API kiln_tensor kiln_nn_decoder_layer(kiln_graph *g, kiln_tensor x, kiln_tensor memory,
                                           const kiln_nn_transformer_params *params);

/**
 * What the last layer of a network sees: the first operand of the last matrix product or convolution that `y` is computed from, along
 * each operator's first input that is computed itself. Another head goes on from there; the old one is then needed by nothing.
 *
 * Shape: as that operator takes it: [N, features], or maps [N, C, sizes]. KILN_NONE, and no error, where there is no such layer.
 */
KILN_API kiln_tensor kiln_nn_features(const kiln_graph *g, kiln_tensor y);

#ifdef __cplusplus
}
#endif
#endif
