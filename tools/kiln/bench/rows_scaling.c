/*
 * rows_scaling.c - networks at sizes that double: a convolutional one over the batch, a Transformer's encoder over the length, an
 * LSTM over its width. tools/scaling.py looks whether time grows as the work does, and draws it.
 */
#include "row.h"

/* What the row is about as one number, learned or kept. */
static kiln_status finish(struct bench_work *w, kiln_tensor y, bool train)
{
    if (!train)
        return bench_keep(w, y);
    w->train = true;
    w->run[0] = kiln_minimize(w->graph, kiln_mean(w->graph, kiln_square(w->graph, y), NULL),
                              &(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3});
    return kiln_graph_status(w->graph);
}

static kiln_status build_pictures(struct bench_work *w, const struct bench_row *row)
{
    const kiln_tensor x = kiln_input(w->graph, "image", KILN_F32, KILN_SHAPE(row->size, 3, 32, 32));
    return finish(w, resnet20(w->graph, x), row->as.train);
}

/* Two layers of width 128 on four texts. */
static kiln_status build_encoder(struct bench_work *w, const struct bench_row *row)
{
    enum { TEXTS = 4, WIDTH = 128, LAYERS = 2 };
    const kiln_nn_transformer_params layer = {.attention = {.heads = 4}, .hidden = 4 * WIDTH};
    kiln_tensor x = kiln_input(w->graph, "text", KILN_F32, KILN_SHAPE(TEXTS, row->size, WIDTH));
    for (int i = 0; i < LAYERS; i++)
        x = kiln_nn_encoder_layer(w->graph, x, &layer);
    return finish(w, x, row->as.train);
}

/* 32 steps of 16 sequences, as wide as the states. */
static kiln_status build_lstm(struct bench_work *w, const struct bench_row *row)
{
    enum { STEPS = 32, SEQUENCES = 16 };
    const kiln_tensor x = kiln_input(w->graph, "x", KILN_F32, KILN_SHAPE(STEPS, SEQUENCES, row->size));
    return finish(w, kiln_nn_lstm(w->graph, x, &(kiln_nn_recurrent_params){.units = (int)row->size}, NULL),
                  row->as.train);
}

#define BOTH(of, letter, build, size)                                                         \
    {"scaling forward " of " " letter #size, build, size, 1, BENCH_MODEL, .as.train = false}, \
    {                                                                                         \
        "scaling train " of " " letter #size, build, size, 1, BENCH_MODEL, .as.train = true   \
    }
#define PICTURES(size) BOTH("resnet20", "b", build_pictures, size)
#define ENCODER(size)  BOTH("encoder", "t", build_encoder, size)
#define LSTM(size)     BOTH("lstm", "h", build_lstm, size)

static const struct bench_row rows[] = {
    PICTURES(1), PICTURES(2), PICTURES(4), PICTURES(8),  PICTURES(16), PICTURES(32), PICTURES(64),
    ENCODER(16), ENCODER(32), ENCODER(64), ENCODER(128), ENCODER(256), ENCODER(512), ENCODER(1024),
    LSTM(64),    LSTM(128),   LSTM(256),   LSTM(512),    LSTM(1024),
};

const struct bench_rows bench_scaling = {rows, sizeof rows / sizeof *rows};
