/* rows_recurrent.c - recurrent layers alone: all steps in one dispatch, where the device's choice is that, beside one a step. */
#include "row.h"

/* `size` units through 40 steps of 16 sequences, and with `train` back; what they take comes from no input. */
static kiln_status build(struct bench_work *w, const struct bench_row *row)
{
    kiln_graph *g = w->graph;
    const struct bench_sequence *s = &row->as.sequence;
    const kiln_nn_recurrent_params params = {.units = (int)row->size,
                                             .cell = {.by_steps = s->by_steps},
                                             .name = "layer"};
    const kiln_tensor x = kiln_parameter(g, "x", KILN_SHAPE(40, 16, 1), NULL);
    const kiln_tensor y = s->layer(g, x, &params, NULL), hidden = kiln_find(g, "layer.weight_hh_l0");
    kiln_tensor gradient;

    if (!s->train)
        return bench_keep(w, y);
    kiln_gradient(g, kiln_sum(g, kiln_square(g, y), NULL), KILN_NONE, &hidden, 1, &gradient);
    return bench_keep(w, gradient);
}

#define ROW(name, size, of, by_steps, train)                                               \
    {                                                                                      \
        name, build, size, 4, BENCH_OPERATOR, 0, 0, .as.sequence = { of, by_steps, train } \
    }
#define LAYER(name, of, size)                                                    \
    ROW("forward " name " t40 b16, all steps at once", size, of, false, false),  \
        ROW("forward " name " t40 b16, step by step", size, of, true, false),    \
        ROW("train " name " t40 b16, all steps at once", size, of, false, true), \
        ROW("train " name " t40 b16, step by step", size, of, true, true)

static const struct bench_row rows[] = {
    LAYER("rnn 64", kiln_nn_rnn, 64),   LAYER("rnn 128", kiln_nn_rnn, 128),
    LAYER("gru 64", kiln_nn_gru, 64),   LAYER("gru 128", kiln_nn_gru, 128),
    LAYER("lstm 64", kiln_nn_lstm, 64), LAYER("lstm 128", kiln_nn_lstm, 128),
};

const struct bench_rows bench_recurrent = {rows, sizeof rows / sizeof *rows};
