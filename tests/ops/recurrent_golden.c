/* recurrent_golden.c - recurrent layers against PyTorch's, and cells as ONNX has them (tools/golden/recurrent.py). */
#include <stdio.h>
#include <string.h>

#include "support/golden_case.h"

static const struct recorded {
    const char *name;
    enum { RNN, LSTM, GRU } cell;
    int layers; /* 0 means 1 */
    bool no_bias, states, lengths, peephole;
    kiln_recurrent_params p;
} recorded[] = {
    {"rnn_tanh", RNN, .states = true},
    {"rnn_relu", RNN, .p = {.f = {KILN_SQUASH_RELU}}},
    {"rnn_both_ways_lengths", RNN, .states = true, .lengths = true, .p = {.direction = KILN_BIDIRECTIONAL}},
    {"lstm", LSTM, .states = true},
    {"lstm_no_bias", LSTM, .no_bias = true},
    {"lstm_batch_first_lengths", LSTM, .lengths = true, .p = {.batch_first = true}},
    {"lstm_both_ways_lengths", LSTM, .states = true, .lengths = true, .p = {.direction = KILN_BIDIRECTIONAL}},
    {"lstm_two_layers", LSTM, 2, .states = true, .p = {.direction = KILN_BIDIRECTIONAL}},
    {"gru", GRU, .states = true},
    {"gru_both_ways_lengths", GRU, .states = true, .lengths = true, .p = {.direction = KILN_BIDIRECTIONAL}},
    {"gru_two_layers_lengths", GRU, 2, .lengths = true,
     .p = {.direction = KILN_BIDIRECTIONAL, .batch_first = true}},
    {"onnx_lstm_peepholes", LSTM, .states = true, .peephole = true},
    {"onnx_lstm_hard_sigmoid_clip", LSTM, .states = true,
     .p = {.f = {KILN_SQUASH_HARD_SIGMOID}, .clip = 0.9}},
    {"onnx_lstm_input_forget", LSTM, .states = true, .peephole = true, .p = {.coupled = true}},
    {"onnx_gru", GRU, .states = true, .p = {.reset_before = true}},
    {"onnx_gru_linear_before_reset", GRU, .states = true},
};

enum { CASES = KILN_COUNT(recorded) };

static const struct recorded *find(const char *name)
{
    int i = 0;
    while (strcmp(recorded[i].name, name))
        i++;
    return &recorded[i];
}

/* "weight_ih_l0", ...; the names must last as long as the case. */
static kiln_tensor weight(kiln_golden_case *c, const char *kind, int layer, int direction)
{
    static char names[2][2][4][32];
    static const char *const kinds[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    int k = 0;
    while (strcmp(kinds[k], kind))
        k++;
    char *name = names[layer][direction][k];
    snprintf(name, sizeof names[0][0][0], "%s_l%d%s", kind, layer, direction ? "_reverse" : "");
    return kiln_golden_leaf(c, name);
}

static kiln_recurrent_weights weights(kiln_golden_case *c, const struct recorded *r, int layer, int direction)
{
    kiln_recurrent_weights w = {
        .input = weight(c, "weight_ih", layer, direction),
        .hidden = weight(c, "weight_hh", layer, direction),
    };
    if (!r->no_bias) {
        w.input_bias = weight(c, "bias_ih", layer, direction);
        w.hidden_bias = weight(c, "bias_hh", layer, direction);
    }
    return w;
}

static kiln_tensor flat(kiln_graph *g, kiln_tensor t)
{
    return kiln_reshape(g, t, KILN_SHAPE(KILN_REST));
}

static kiln_tensor build(kiln_golden_case *c)
{
    const struct recorded *r = find(c->name);
    const int layers = r->layers ? r->layers : 1, directions = r->p.direction == KILN_BIDIRECTIONAL ? 2 : 1;
    kiln_recurrent_params p = r->p;
    kiln_recurrent_states first = {KILN_NONE, KILN_NONE}, last[2];
    kiln_tensor x = kiln_golden_leaf(c, "x"), all[5], h[2], cells[2];
    if (r->states) {
        first.h = kiln_golden_leaf(c, "h0");
        first.c = r->cell == LSTM ? kiln_golden_leaf(c, "c0") : KILN_NONE;
    }
    const kiln_tensor peephole = r->peephole ? kiln_golden_leaf(c, "peephole") : KILN_NONE;
    if (r->lengths)
        p.lengths = kiln_golden_fixed(c, "lengths");
    for (int l = 0; l < layers; l++) {
        kiln_recurrent_weights w[2];
        for (int d = 0; d < directions; d++)
            w[d] = weights(c, r, l, d);
        w[0].peephole = peephole;
        if (r->states)
            p.initial.h = kiln_slice(c->g, first.h, 0, l * directions, (l + 1) * directions, 1);
        if (first.c.id)
            p.initial.c = kiln_slice(c->g, first.c, 0, l * directions, (l + 1) * directions, 1);
        x = r->cell == RNN    ? kiln_rnn(c->g, x, w, &p, &last[l])
            : r->cell == LSTM ? kiln_lstm(c->g, x, w, &p, &last[l])
                              : kiln_gru(c->g, x, w, &p, &last[l]);
        h[l] = last[l].h;
        cells[l] = last[l].c;
    }
    all[0] = flat(c->g, x);
    all[1] = flat(c->g, kiln_concat(c->g, h, layers, 0));
    all[2] = r->cell == LSTM ? flat(c->g, kiln_concat(c->g, cells, layers, 0)) : KILN_NONE;
    return kiln_concat(c->g, all, r->cell == LSTM ? 3 : 2, 0);
}

static kiln_golden_row rows[CASES];

static const kiln_golden_row *all_rows(void)
{
    for (int i = 0; i < CASES; i++)
        rows[i] = (kiln_golden_row){recorded[i].name, build};
    return rows;
}

Test(recurrent_golden, layers_in_float64_are_those_of_pytorch_and_onnx)
{
    kiln_expect_golden("recurrent.safetensors", all_rows(), CASES, "cpu", true, 0);
}

Test(recurrent_golden, layers_on_every_device_are_close_to_them)
{
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("recurrent.safetensors", all_rows(), CASES, kiln_test_device(d), false, 0);
}
