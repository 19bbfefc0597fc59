/*
 * lstm.c - an LSTM reads the source both ways, another writes the target from where it ended (Sutskever, Vinyals and Le 2014).
 *
 * All that the writer knows of a sentence is the reader's last state, h and c: [N, layers, W], of both directions side by side.
 */
#include "translate.h"

/* [2 layers, N, W / 2], a layer's directions one behind the other -> [N, layers, W]. */
static kiln_tensor joined(kiln_graph *g, kiln_tensor state, const struct config *c)
{
    const int64_t rows = kiln_tensor_shape(g, state).size[1];
    const kiln_tensor apart = kiln_reshape(g, state, KILN_SHAPE(c->layers, 2, rows, c->width / 2));
    return kiln_reshape(g, kiln_transpose(g, apart, (const int[]){2, 0, 1, 3}),
                        KILN_SHAPE(rows, c->layers, c->width));
}

static void encode(kiln_graph *g, const struct config *c, kiln_tensor source, kiln_tensor lengths,
                   struct values *seen, struct values *carried)
{
    kiln_recurrent_states last;
    kiln_scope_open(g, "encoder");
    const kiln_tensor x = kiln_dropout(g, embed(g, "tokens", source, c->sources, c), c->dropout);
    kiln_nn_lstm(g, x,
                 &(kiln_nn_recurrent_params){
                     .units = c->width / 2,
                     .layers = c->layers,
                     .dropout = c->dropout,
                     .cell = {.direction = KILN_BIDIRECTIONAL, .batch_first = true, .lengths = lengths},
                     .name = "lstm"},
                 &last);
    kiln_scope_close(g);
    *seen = (struct values){.count = 0};
    *carried = (struct values){.of = {joined(g, last.h, c), joined(g, last.c, c)}, .count = 2};
}

/* [N, layers, W] and [layers, N, W]. */
static kiln_tensor turned(kiln_graph *g, kiln_tensor state)
{
    return kiln_transpose(g, state, (const int[]){1, 0, 2});
}

/* Tokens [N, T] -> scores [N, T, V]; the states go on. */
static kiln_tensor write(kiln_graph *g, const struct config *c, kiln_tensor tokens, struct values *carried)
{
    kiln_recurrent_states last;
    kiln_scope_open(g, "decoder");
    const kiln_tensor x = kiln_dropout(g, embed(g, "tokens", tokens, c->targets, c), c->dropout);
    const kiln_tensor y =
        kiln_nn_lstm(g, x,
                     &(kiln_nn_recurrent_params){.units = c->width,
                                                 .layers = c->layers,
                                                 .dropout = c->dropout,
                                                 .cell = {.batch_first = true,
                                                          .initial = {.h = turned(g, carried->of[0]),
                                                                      .c = turned(g, carried->of[1])}},
                                                 .name = "lstm"},
                     &last);
    const kiln_tensor scores = dense(g, "scores", kiln_dropout(g, y, c->dropout), c->targets);
    kiln_scope_close(g);
    carried->of[0] = turned(g, last.h);
    carried->of[1] = turned(g, last.c);
    return scores;
}

static kiln_tensor teach(kiln_graph *g, const struct config *c, kiln_tensor given, const struct values *seen,
                         const struct values *carried, kiln_tensor *map)
{
    struct values states = *carried;
    (void)seen;
    if (map)
        *map = KILN_NONE;
    return write(g, c, given, &states);
}

static kiln_tensor step(kiln_graph *g, const struct config *c, kiln_tensor token, kiln_tensor at,
                        const struct values *seen, struct values *carried)
{
    (void)seen, (void)at;
    return kiln_squeeze(g, write(g, c, kiln_unsqueeze(g, token, 1), carried), 1);
}

const struct model lstm = {"lstm", encode, teach, step};
