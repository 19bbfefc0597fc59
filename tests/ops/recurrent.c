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

/* The same cells, unrolled from elementary operators ----------------------------------------------------- */

/* Gate `index` of what all gates are given. */
static kiln_tensor gate(kiln_graph *g, kiln_tensor all, int index, int hidden)
{
    return kiln_slice(g, all, 1, index * hidden, (index + 1) * hidden, 1);
}

static kiln_tensor affine(kiln_graph *g, kiln_tensor x, kiln_tensor weights, kiln_tensor bias)
{
    return kiln_add(g, kiln_matmul(g, x, weights, &(kiln_matmul_params){.transpose_b = true}), bias);
}

/* (1 - z) n + z h */
static kiln_tensor mixed(kiln_graph *g, kiln_tensor z, kiln_tensor n, kiln_tensor h)
{
    return kiln_add(g, n, kiln_mul(g, z, kiln_sub(g, h, n)));
}

/* One step of one direction: x [N, I], states [N, H]. */
static void unrolled_step(kiln_graph *g, const struct layer *l, kiln_tensor x,
                          const kiln_recurrent_weights *w, kiln_recurrent_states *s)
{
    const int hidden = l->hidden;
    const kiln_tensor in = affine(g, x, w->input, w->input_bias),
                      own = affine(g, s->h, w->hidden, w->hidden_bias);
    const kiln_tensor both = kiln_add(g, in, own);
    if (l->cell == RNN) {
        s->h = kiln_tanh(g, both);
    } else if (l->cell == LSTM) {
        const kiln_tensor i = kiln_sigmoid(g, gate(g, both, 0, hidden)),
                          f = kiln_sigmoid(g, gate(g, both, 1, hidden));
        const kiln_tensor c = kiln_tanh(g, gate(g, both, 2, hidden)),
                          o = kiln_sigmoid(g, gate(g, both, 3, hidden));
        s->c = kiln_add(g, kiln_mul(g, f, s->c), kiln_mul(g, i, c));
        s->h = kiln_mul(g, o, kiln_tanh(g, s->c));
    } else {
        const kiln_tensor r = kiln_sigmoid(g, gate(g, both, 0, hidden)),
                          z = kiln_sigmoid(g, gate(g, both, 1, hidden));
        kiln_tensor inner = kiln_mul(g, r, gate(g, own, 2, hidden));
        if (l->p.reset_before)
            inner = gate(g, affine(g, kiln_mul(g, r, s->h), w->hidden, w->hidden_bias), 2, hidden);
        s->h = mixed(g, z, kiln_tanh(g, kiln_add(g, gate(g, in, 2, hidden), inner)), s->h);
    }
}

/* `next` where the sequence runs at t, else `held`. */
static kiln_tensor chosen(kiln_graph *g, kiln_tensor lengths, int t, kiln_tensor next, kiln_tensor held)
{
    const kiln_tensor runs = kiln_less(g, kiln_scalar(g, KILN_I32, t), kiln_unsqueeze(g, lengths, 1));
    return kiln_where(g, runs, next, held);
}

/* All steps of one direction: y [T, N, H]. */
static kiln_tensor unrolled(kiln_graph *g, const struct layer *l, kiln_tensor x, kiln_tensor lengths,
                            const kiln_recurrent_weights *w, kiln_recurrent_states s, bool reverse)
{
    kiln_tensor y[16];
    for (int step = 0; step < l->steps; step++) {
        const int t = reverse ? l->steps - 1 - step : step;
        kiln_recurrent_states next = s;
        unrolled_step(g, l, kiln_squeeze(g, kiln_slice(g, x, 0, t, t + 1, 1), 0), w, &next);
        y[t] = kiln_unsqueeze(g, chosen(g, lengths, t, next.h, kiln_zeros_like(g, next.h)), 0);
        s.h = chosen(g, lengths, t, next.h, s.h);
        s.c = next.c.id ? chosen(g, lengths, t, next.c, s.c) : KILN_NONE;
    }
    return kiln_concat(g, y, l->steps, 0);
}

static kiln_tensor state_of(kiln_graph *g, kiln_tensor states, int direction)
{
    return states.id ? kiln_squeeze(g, kiln_slice(g, states, 0, direction, direction + 1, 1), 0) : KILN_NONE;
}

/* What a layer and the same cells unrolled differ by: in y, and in the gradients of a sum over y squared. */
static kiln_tensor difference(kiln_graph *g, const void *one_case)
{
    const struct layer *l = one_case;
    const kiln_shape states = KILN_SHAPE(2, l->sequences, l->hidden);
    kiln_recurrent_params p = {.direction = KILN_BIDIRECTIONAL, .reset_before = l->p.reset_before};
    kiln_tensor operand[16], a[16], b[16], y[2], flats[17];
    int count = 0;
    const kiln_tensor x = operand[count++] =
        kiln_test_input(g, KILN_SHAPE(l->steps, l->sequences, l->features));
    kiln_recurrent_weights w[2];
    for (int d = 0; d < 2; d++) {
        w[d] = weights_of(g, l);
        memcpy(&operand[count],
               (const kiln_tensor[]){w[d].input, w[d].hidden, w[d].input_bias, w[d].hidden_bias},
               4 * sizeof *operand);
        count += 4;
    }
    p.initial.h = operand[count++] = kiln_test_input(g, states);
    if (l->cell == LSTM)
        p.initial.c = operand[count++] = kiln_test_input(g, states);
    p.lengths = lengths_of(g, l);

    const kiln_tensor whole = run(g, l->cell, x, w, &p, NULL);
    for (int d = 0; d < 2; d++) {
        const kiln_recurrent_states s = {state_of(g, p.initial.h, d), state_of(g, p.initial.c, d)};
        y[d] = unrolled(g, l, x, p.lengths, &w[d], s, d);
    }
    const kiln_tensor steps = kiln_concat(g, y, 2, 2);
    kiln_gradient(g, kiln_sum(g, kiln_square(g, whole), NULL), KILN_NONE, operand, count, a);
    kiln_gradient(g, kiln_sum(g, kiln_square(g, steps), NULL), KILN_NONE, operand, count, b);
    flats[0] = flat(g, kiln_sub(g, whole, steps));
    for (int i = 0; i < count; i++)
        flats[i + 1] = flat(g, kiln_sub(g, a[i], b[i]));
    return kiln_concat(g, flats, count + 1, 0);
}

Test(recurrent, layers_are_their_cells_unrolled)
{
    static const struct layer layers[] = {
        {RNN, 6, 5, 3, 7, {0}, .bias = true, .why = "rnn unrolled"},
        {LSTM, 6, 5, 3, 7, {0}, .bias = true, .why = "lstm unrolled"},
        {GRU, 6, 5, 3, 7, {0}, .bias = true, .why = "gru unrolled"},
        {GRU, 6, 5, 3, 7, {.reset_before = true}, .bias = true, .why = "gru unrolled, reset before"},
    };
    for (size_t i = 0; i < KILN_COUNT(layers); i++) {
        kiln_shape shape;
        double *apart = kiln_test_eval(difference, &layers[i], NULL, &shape);
        const size_t count = (size_t)kiln_shape_count(&shape);
        double *zeros = calloc(count, sizeof *zeros);
        kiln_expect_close(apart, zeros, count, 1e-12, layers[i].why);
        free(zeros);
        free(apart);
    }
}

/* Odd sizes and arguments -------------------------------------------------------------------------------- */

Test(recurrent, of_no_steps_or_no_sequences_hands_its_states_on)
{
    static const struct layer empty[] = {
        {LSTM, 0, 3, 2, 4, {0}, .bias = true, .initial = true, .last = true, .why = "no steps"},
        {GRU,
         0,
         3,
         2,
         4,
         {.direction = KILN_BIDIRECTIONAL},
         .bias = true,
         .last = true,
         .why = "no steps, no states"},
        {LSTM, 3, 0, 2, 4, {0}, .bias = true, .initial = true, .last = true, .why = "no sequences"},
        {RNN, 2, 0, 2, 4, {.batch_first = true}, .bias = true, .why = "no sequences, batch first"},
    };
    for (size_t i = 0; i < KILN_COUNT(empty); i++)
        kiln_expect_devices_agree(build, &empty[i], true, 0, empty[i].why);
}

/* What is wrong with a call, and a word of the message. */
static const struct wrong {
    enum cell cell;
    kiln_recurrent_params p;
    int64_t input_rows, hidden_columns;
    bool with_c, with_lengths;
    const char *word;
} wrongs[] = {
    {LSTM, {0}, 15, 4, .word = "input weights"},
    {LSTM, {0}, 16, 5, .word = "input weights"},
    {GRU, {0}, 12, 4, .with_c = true, .word = "cell state"},
    {RNN, {.coupled = true}, 4, 4, .word = "coupled"},
    {LSTM, {.reset_before = true}, 16, 4, .word = "reset_before"},
    {LSTM, {.clip = -1}, 16, 4, .word = "clip"},
    {RNN, {.f = {KILN_SQUASH_ELU, -1}}, 4, 4, .word = "alpha"},
    {GRU, {0}, 12, 4, .with_lengths = true, .word = "lengths"},
};

Test(recurrent, bad_arguments_are_told)
{
    for (size_t i = 0; i < KILN_COUNT(wrongs); i++) {
        const struct wrong *c = &wrongs[i];
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3, 2, 5));
        kiln_recurrent_params p = c->p;
        if (c->with_c)
            p.initial.c = kiln_input(g, "c", KILN_F32, KILN_SHAPE(1, 2, 4));
        if (c->with_lengths)
            p.lengths = kiln_input(g, "lengths", KILN_I32, KILN_SHAPE(3));
        const kiln_recurrent_weights w = {
            .input = kiln_parameter(g, "i", KILN_SHAPE(c->input_rows, 5), NULL),
            .hidden = kiln_parameter(g, "h", KILN_SHAPE(gates_of(c->cell) * 4, c->hidden_columns), NULL),
        };
        cr_expect_eq(run(g, c->cell, x, &w, &p, NULL).id, 0);
        cr_expect_neq(kiln_graph_status(g), KILN_OK);
        cr_expect_neq(strstr(kiln_graph_error(g), c->word), NULL, "\"%s\" does not say \"%s\"",
                      kiln_graph_error(g), c->word);
        kiln_graph_destroy(&g);
    }
}
