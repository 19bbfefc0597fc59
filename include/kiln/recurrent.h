/*
 * recurrent.h - recurrent layers over whole sequences: vanilla RNN, LSTM, GRU.
 *
 * An operator takes all steps of a sequence at once. What each input contributes to the gates is one matmul over all of
 * them; only what depends on the state before it goes step by step, forward in time and back again.
 *
 * Letters:  T steps, N sequences, I features of an input, H units of a state, G gates a unit, D directions (1 or 2).
 *
 * Common to all:
 *   Shape:    x [T, N, I], or [N, T, I] with .batch_first; y [T, N, D H] or [N, T, D H]: at each step the state h, the
 *             forward direction's in front of the reverse one's. States are [D, N, H], initial ones and the last.
 *   Lengths:  with .lengths [N], of I32 or I64, sequence n has lengths[n] steps, at least 0 and at most T. Behind them
 *             y is 0 and the state stays as it is. The reverse direction begins at each sequence's own last step.
 *   Sizes:    N and T may be symbols. I and H must be numbers.
 *   Gradient: by x, all weights and the initial states, from y and from the last states; back through time in full.
 *   Order of gates, along the first axis of every weight: PyTorch's. LSTM: input, forget, cell, output (i f g o), where
 *             ONNX has i o f c; GRU: reset, update, new (r z n), where ONNX has z r h.
 *   Errors:   shapes that do not fit fail the graph (kiln_graph_status), and the result is KILN_NONE.
 */
#ifndef KILN_RECURRENT_H
#define KILN_RECURRENT_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What squashes a gate or a state: ONNX's list. alpha and beta 0 mean the default that is given; KILN_ZERO means 0. */
typedef enum kiln_squash {
    KILN_SQUASH_DEFAULT, /* what the cell has usually */
    KILN_SQUASH_SIGMOID,
    KILN_SQUASH_TANH,
    KILN_SQUASH_RELU,
    KILN_SQUASH_LEAKY_RELU,       /* x < 0 ? alpha x : x, alpha 0.01; not negative */
    KILN_SQUASH_THRESHOLDED_RELU, /* x > alpha ? x : 0, alpha 1; not negative */
    KILN_SQUASH_ELU,              /* x < 0 ? alpha (exp(x) - 1) : x, alpha 1; not negative */
    KILN_SQUASH_HARD_SIGMOID,     /* min(max(alpha x + beta, 0), 1), alpha 0.2, beta 0.5 */
    KILN_SQUASH_SCALED_TANH,      /* alpha tanh(beta x), both 1 */
    KILN_SQUASH_SOFTSIGN,         /* x / (1 + |x|) */
    KILN_SQUASH_SOFTPLUS,         /* log(1 + exp(x)) */
    KILN_SQUASH_AFFINE,           /* alpha x + beta, alpha 1, beta 0 */
} kiln_squash;

typedef struct kiln_squashing {
    kiln_squash by;
    double alpha, beta;
} kiln_squashing;

/** The weights of one direction. */
typedef struct kiln_recurrent_weights {
    kiln_tensor input;       /* [G H, I] */
    kiln_tensor hidden;      /* [G H, H] */
    kiln_tensor input_bias;  /* [G H], or KILN_NONE */
    kiln_tensor hidden_bias; /* [G H], or KILN_NONE */
    kiln_tensor peephole;    /* LSTM: [3 H], of i, f and o (Gers and Schmidhuber 2000); or KILN_NONE */
} kiln_recurrent_weights;

/** States [D, N, H]; c is the LSTM's. */
typedef struct kiln_recurrent_states {
    kiln_tensor h, c;
} kiln_recurrent_states;

typedef enum kiln_direction { KILN_FORWARD, KILN_REVERSE, KILN_BIDIRECTIONAL } kiln_direction;

typedef struct kiln_recurrent_params {
    kiln_direction direction;
    bool batch_first;
    kiln_tensor lengths;           /* [N]; KILN_NONE: all have T steps */
    kiln_recurrent_states initial; /* KILN_NONE: zeros */
    /* RNN: f. LSTM: f of the gates, g of the cell's input, h of the cell. GRU: f of the gates, g of the new state. */
    kiln_squashing f, g, h;
    double clip;       /* what f, g and h are given is limited to [-clip, clip] first; 0: it is not */
    bool coupled;      /* LSTM: the forget gate is 1 - i; its own weights are not used */
    bool reset_before; /* GRU: reset the state before its product with the weights, not the product */
    bool by_steps; /* a dispatch a step, also where one for all steps is expected to be faster: to compare */
} kiln_recurrent_params;

/**
 * Vanilla RNN (Elman 1990):  h[t] = f(W x[t] + b + R h[t-1] + b').
 *
 * f is tanh unless .f says otherwise. `weights` has one entry a direction. The last states go to *last unless it is NULL.
 */
KILN_API kiln_tensor kiln_rnn(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                              const kiln_recurrent_params *params, kiln_recurrent_states *last);

/**
 * LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers, Schmidhuber and Cummins 2000):
 *
 *   i, f, o = f(W x[t] + b + R h[t-1] + b' + P c)     with P c = P_i c[t-1], P_f c[t-1], P_o c[t]
 *   g       = g(W x[t] + b + R h[t-1] + b')
 *   c[t]    = f c[t-1] + i g
 *   h[t]    = o h(c[t])
 *
 * f is the sigmoid, g and h are tanh unless the params say otherwise. Arguments as of kiln_rnn.
 */
KILN_API kiln_tensor kiln_lstm(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                               const kiln_recurrent_params *params, kiln_recurrent_states *last);

/**
 * GRU (Cho et al. 2014):
 *
 *   r, z = f(W x[t] + b + R h[t-1] + b')
 *   n    = g(W x[t] + b + r (R h[t-1] + b'))      PyTorch's, cuDNN's; ONNX's with linear_before_reset
 *   n    = g(W x[t] + b + R (r h[t-1]) + b')      with .reset_before: ONNX's without
 *   h[t] = (1 - z) n + z h[t-1]
 *
 * f is the sigmoid, g is tanh unless the params say otherwise. Arguments as of kiln_rnn.
 */
KILN_API kiln_tensor kiln_gru(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                              const kiln_recurrent_params *params, kiln_recurrent_states *last);

#ifdef __cplusplus
}
#endif
#endif
