/*
 * recurrent.c - RNN, LSTM and GRU: gradients, every device alike, and the same cells unrolled from elementary operators.
 *
 * Values and gradients from PyTorch, and ONNX's cells by a script of their own: recurrent_golden.c.
 */
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum cell { RNN, LSTM, GRU };

/* A layer in one of its shapes. */
struct layer {
    enum cell cell;
    int steps, sequences, features, hidden;
    kiln_recurrent_params p; /* values are added by the build */
    bool bias, peephole, initial, lengths, last;
    const char *why;
};

static int gates_of(enum cell cell)
{
    return cell == RNN ? 1 : cell == LSTM ? 4 : 3;
}

static int directions_of(const struct layer *l)
{
    return l->p.direction == KILN_BIDIRECTIONAL ? 2 : 1;
}

static kiln_recurrent_weights weights_of(kiln_graph *g, const struct layer *l)
{
    const int64_t rows = gates_of(l->cell) * l->hidden;
    const double scale = l->hidden > 8 ? 0.1 : 1; /* gates stay away from their ends */
    kiln_recurrent_weights w = {
        .input = kiln_test_input(g, KILN_SHAPE(rows, l->features)),
        .hidden = kiln_test_input_in(g, KILN_SHAPE(rows, l->hidden), -scale, scale),
    };
    if (l->bias) {
        w.input_bias = kiln_test_input(g, KILN_SHAPE(rows));
        w.hidden_bias = kiln_test_input(g, KILN_SHAPE(rows));
    }
    if (l->peephole)
        w.peephole = kiln_test_input(g, KILN_SHAPE(3 * l->hidden));
    return w;
}

static kiln_tensor run(kiln_graph *g, enum cell cell, kiln_tensor x, const kiln_recurrent_weights *w,
                       const kiln_recurrent_params *p, kiln_recurrent_states *last)
{
    return cell == RNN    ? kiln_rnn(g, x, w, p, last)
           : cell == LSTM ? kiln_lstm(g, x, w, p, last)
                          : kiln_gru(g, x, w, p, last);
}

static kiln_tensor flat(kiln_graph *g, kiln_tensor t)
{
    return kiln_reshape(g, t, KILN_SHAPE(KILN_REST));
}

/* Lengths from none to all steps: n * 3 modulo T + 1, so that neighbours differ. */
static kiln_tensor lengths_of(kiln_graph *g, const struct layer *l)
{
    int32_t length[64];
    for (int n = 0; n < l->sequences; n++)
        length[n] = n * 3 % (l->steps + 1);
    const kiln_array array = {.data = length, .type = KILN_I32, .shape = KILN_SHAPE(l->sequences)};
    return kiln_constant(g, &array);
}

/* y, and the last states, in one value. */
static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct layer *l = one_case;
    const int directions = directions_of(l);
    kiln_recurrent_params p = l->p;
    const kiln_shape states = KILN_SHAPE(directions, l->sequences, l->hidden);
    const int64_t outer = p.batch_first ? l->sequences : l->steps,
                  inner = p.batch_first ? l->steps : l->sequences;
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(outer, inner, l->features));
    kiln_recurrent_weights w[2];
    for (int d = 0; d < directions; d++)
        w[d] = weights_of(g, l);
    if (l->initial) {
        p.initial.h = kiln_test_input(g, states);
        p.initial.c = l->cell == LSTM ? kiln_test_input(g, states) : KILN_NONE;
    }
    if (l->lengths)
        p.lengths = lengths_of(g, l);
    kiln_recurrent_states last;
    const kiln_tensor y = run(g, l->cell, x, w, &p, l->last ? &last : NULL);
    if (!l->last)
        return flat(g, y);
    const kiln_tensor all[] = {flat(g, y), flat(g, last.h), l->cell == LSTM ? flat(g, last.c) : KILN_NONE};
    return kiln_concat(g, all, l->cell == LSTM ? 3 : 2, 0);
}

static const struct layer small[] = {
    {RNN, 1, 1, 1, 1, {0}, .why = "rnn, ones"},
    {RNN, 4, 3, 2, 5, {0}, .bias = true, .last = true, .why = "rnn"},
    {RNN, 3, 2, 3, 4, {.f = {KILN_SQUASH_RELU}}, .bias = true, .initial = true, .last = true, .why = "relu"},
    {RNN,
     4,
     5,
     2,
     3,
     {.direction = KILN_BIDIRECTIONAL},
     .bias = true,
     .initial = true,
     .lengths = true,
     .last = true,
     .why = "rnn, both ways, with lengths"},
    {LSTM, 1, 1, 1, 1, {0}, .why = "lstm, ones"},
    {LSTM, 4, 3, 2, 5, {0}, .bias = true, .last = true, .why = "lstm"},
    {LSTM,
     3,
     4,
     2,
     3,
     {.batch_first = true},
     .bias = true,
     .initial = true,
     .lengths = true,
     .last = true,
     .why = "lstm, batch first, with lengths"},
    {LSTM,
     4,
     5,
     2,
     3,
     {.direction = KILN_BIDIRECTIONAL},
     .bias = true,
     .initial = true,
     .lengths = true,
     .last = true,
     .why = "lstm, both ways, with lengths"},
    {LSTM,
     3,
     2,
     2,
     3,
     {.direction = KILN_REVERSE},
     .bias = true,
     .peephole = true,
     .initial = true,
     .last = true,
     .why = "lstm, reverse, peepholes"},
    {LSTM,
     3,
     3,
     2,
     2,
     {.direction = KILN_BIDIRECTIONAL, .coupled = true},
     .peephole = true,
     .lengths = true,
     .last = true,
     .why = "lstm, coupled, peepholes, both ways"},
    {LSTM,
     3,
     2,
     2,
     3,
     {.f = {KILN_SQUASH_HARD_SIGMOID}, .clip = 0.8},
     .bias = true,
     .last = true,
     .why = "lstm, hard sigmoid, clipped"},
    {LSTM,
     3,
     2,
     2,
     3,
     {.g = {KILN_SQUASH_SOFTSIGN}, .h = {KILN_SQUASH_ELU}, .f = {KILN_SQUASH_AFFINE, 0.5, 0.5}},
     .bias = true,
     .why = "lstm, other squashings"},
    {GRU, 1, 1, 1, 1, {0}, .why = "gru, ones"},
    {GRU, 4, 3, 2, 5, {0}, .bias = true, .last = true, .why = "gru"},
    {GRU,
     4,
     5,
     2,
     3,
     {.direction = KILN_BIDIRECTIONAL},
     .bias = true,
     .initial = true,
     .lengths = true,
     .last = true,
     .why = "gru, both ways, with lengths"},
    {GRU,
     4,
     3,
     2,
     5,
     {.reset_before = true},
     .bias = true,
     .initial = true,
     .last = true,
     .why = "gru, reset before"},
    {GRU,
     4,
     5,
     2,
     3,
     {.direction = KILN_BIDIRECTIONAL, .reset_before = true, .batch_first = true},
     .bias = true,
     .initial = true,
     .lengths = true,
     .last = true,
     .why = "gru, reset before, both ways, with lengths"},
    {GRU,
     3,
     2,
     2,
     3,
     {.g = {KILN_SQUASH_SCALED_TANH, 1.5, 0.5}, .f = {KILN_SQUASH_SOFTPLUS}, .clip = 0.7},
     .bias = true,
     .why = "gru, other squashings, clipped"},
};

/* What one workgroup, one slice, one tile is too small for. */
static const struct layer large[] = {
    {RNN,
     9,
     37,
     5,
     65,
     {.direction = KILN_BIDIRECTIONAL},
     .bias = true,
     .lengths = true,
     .last = true,
     .why = "rnn, one past 64"},
    {LSTM,
     7,
     33,
     3,
     67,
     {.direction = KILN_BIDIRECTIONAL},
     .bias = true,
     .initial = true,
     .lengths = true,
     .last = true,
     .why = "lstm, a prime"},
    {LSTM,
     5,
     3,
     2,
     131,
     {.batch_first = true},
     .bias = true,
     .peephole = true,
     .last = true,
     .why = "lstm, wider than a workgroup"},
    {LSTM, 3, 1, 1, 300, {0}, .bias = true, .why = "lstm, one sequence"},
    {GRU,
     7,
     33,
     3,
     67,
     {.direction = KILN_BIDIRECTIONAL},
     .bias = true,
     .lengths = true,
     .last = true,
     .why = "gru, a prime"},
    {GRU,
     9,
     17,
     4,
     70,
     {.direction = KILN_REVERSE, .reset_before = true},
     .bias = true,
     .initial = true,
     .lengths = true,
     .last = true,
     .why = "gru, reset before"},
    {GRU, 2, 2, 1, 700, {.batch_first = true}, .bias = true, .why = "gru, one sequence a workgroup"},
};

Test(recurrent, gradients_are_those_of_differences)
{
    for (size_t i = 0; i < KILN_COUNT(small); i++)
        kiln_expect_gradient(build, &small[i], small[i].why);
}

Test(recurrent, small_layers_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(small); i++)
        kiln_expect_devices_agree(build, &small[i], true, 0, small[i].why);
}

/* Sums of a few hundred products, and some steps that add up what each of them rounds. */
#define LARGE 3e-5

Test(recurrent, large_layers_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(large); i++)
        kiln_expect_devices_agree(build, &large[i], true, LARGE, large[i].why);
}

static void expect_steps_agree(const struct layer *l, double tolerance)
{
    struct layer by_steps = *l;
    by_steps.p.by_steps = true;
    kiln_expect_devices_agree(build, &by_steps, true, tolerance, l->why);
}

Test(recurrent, steps_by_themselves_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(small); i++)
        expect_steps_agree(&small[i], 0);
    for (size_t i = 0; i < KILN_COUNT(large); i++)
        expect_steps_agree(&large[i], LARGE);
}
