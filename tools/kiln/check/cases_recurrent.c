/* cases_recurrent.c - recurrent cells over whole sequences, and their gradients. */
#include "check/families.h"

/* T, N, I, H */
static const struct check_shape shapes[] = {
    {"1x1x1x1", "ones"},
    {"5x7x3x11", "primes"},
    {"0x3x2x4", "no steps"},
    {"4x0x2x4", "no sequences"},
    {"3x2x4x65", "a state one past a tile"},
    {"50x2x1x8", "many steps"},
    {"2x37x3x5", "many sequences"},
    {"2x130x2x3", "sequences for many workgroups of eight"},
    {"3x16x8x64", "whole tiles"},
    {"2x3x2x300", "a state wider than a workgroup"},
    {0},
};

/* What a case's attributes are, by bits of a[0]; a[1] is the direction, a[2] and a[3] are squashings. */
enum {
    PLAIN_WEIGHTS = 1, /* no biases */
    LENGTHS = 2,
    STATES = 4,
    BATCH_FIRST = 8,
    BY_STEPS = 16,
    CLIPPED = 32,
    OWN = 64,      /* LSTM: peepholes; GRU: reset before */
    COUPLED = 128, /* LSTM */
};

#define COMMON                                                                                  \
    {"forward", {0}}, {"no_bias", {PLAIN_WEIGHTS}}, {"reverse,states", {STATES, KILN_REVERSE}}, \
        {"both,lengths,states", {LENGTHS | STATES, KILN_BIDIRECTIONAL}},                        \
        {"both,batch_first,lengths", {BATCH_FIRST | LENGTHS, KILN_BIDIRECTIONAL}},              \
        {"both,steps,lengths,states", {BY_STEPS | LENGTHS | STATES, KILN_BIDIRECTIONAL}},       \
        {"steps", {BY_STEPS}},                                                                  \
    {                                                                                           \
        "clip",                                                                                 \
        {                                                                                       \
            CLIPPED                                                                             \
        }                                                                                       \
    }

static const struct check_attributes rnn_how[] = {
    COMMON,
    {"relu", {0, 0, KILN_SQUASH_RELU}},
    {"leaky_relu", {0, 0, KILN_SQUASH_LEAKY_RELU}},
    {"thresholded_relu", {0, 0, KILN_SQUASH_THRESHOLDED_RELU}},
    {"elu", {0, 0, KILN_SQUASH_ELU}},
    {"softplus", {0, 0, KILN_SQUASH_SOFTPLUS}},
    {"scaled_tanh", {0, 0, KILN_SQUASH_SCALED_TANH}},
    {0},
};

static const struct check_attributes lstm_how[] = {
    COMMON,
    {"peepholes", {OWN}},
    {"peepholes,both,lengths", {OWN | LENGTHS, KILN_BIDIRECTIONAL}},
    {"peepholes,steps", {OWN | BY_STEPS}},
    {"coupled", {COUPLED}},
    {"hard_sigmoid,softsign", {0, 0, KILN_SQUASH_HARD_SIGMOID, KILN_SQUASH_SOFTSIGN}},
    {"affine,clip", {CLIPPED, 0, KILN_SQUASH_AFFINE}},
    {0},
};

static const struct check_attributes gru_how[] = {
    COMMON,
    {"before", {OWN}},
    {"before,both,lengths,states", {OWN | LENGTHS | STATES, KILN_BIDIRECTIONAL}},
    {"before,steps,lengths", {OWN | BY_STEPS | LENGTHS}},
    {"before,clip", {OWN | CLIPPED}},
    {"hard_sigmoid,softsign", {0, 0, KILN_SQUASH_HARD_SIGMOID, KILN_SQUASH_SOFTSIGN}},
    {0},
};

typedef kiln_tensor cell_fn(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                            const kiln_recurrent_params *params, kiln_recurrent_states *last);

static bool has(const struct check_graph *c, int64_t what)
{
    return c->a[0] & what;
}

/* Weights of the size that layers begin with: larger ones drive every gate to an end. */
static kiln_tensor weights(struct check_graph *c, int64_t rows, int64_t columns)
{
    const double scale = c->n[3] > 8 ? 0.25 : 1;
    return check_operand_in(c, columns ? KILN_SHAPE(rows, columns) : KILN_SHAPE(rows), -scale, scale);
}

static void set_weights(struct check_graph *c, int64_t gates, bool lstm, kiln_recurrent_weights *w)
{
    const int64_t rows = gates * c->n[3];

    *w = (kiln_recurrent_weights){.input = weights(c, rows, c->n[2]), .hidden = weights(c, rows, c->n[3])};
    if (!has(c, PLAIN_WEIGHTS)) {
        w->input_bias = weights(c, rows, 0);
        w->hidden_bias = weights(c, rows, 0);
    }
    if (lstm && has(c, OWN))
        w->peephole = weights(c, 3 * c->n[3], 0);
}

static void run(struct check_graph *c, cell_fn *cell, int64_t gates)
{
    const bool lstm = gates == 4, first = has(c, BATCH_FIRST);
    const int directions = c->a[1] == KILN_BIDIRECTIONAL ? 2 : 1;
    const kiln_shape states = KILN_SHAPE(directions, c->n[1], c->n[3]);
    const kiln_tensor x = check_operand(c, KILN_SHAPE(c->n[first], c->n[!first], c->n[2]));
    kiln_recurrent_weights w[2];
    kiln_recurrent_states last;
    kiln_recurrent_params p = {
        .direction = (kiln_direction)c->a[1],
        .batch_first = first,
        .f = {(kiln_squash)c->a[2]},
        .g = {(kiln_squash)c->a[3]},
        .clip = has(c, CLIPPED) ? 0.4 : 0,
        .coupled = has(c, COUPLED),
        .reset_before = !lstm && has(c, OWN),
        .by_steps = has(c, BY_STEPS),
    };

    for (int d = 0; d < directions; d++)
        set_weights(c, gates, lstm, &w[d]);
    if (has(c, STATES)) {
        p.initial.h = check_operand(c, states);
        p.initial.c = lstm ? check_operand(c, states) : KILN_NONE;
    }
    if (has(c, LENGTHS))
        p.lengths = check_whole(c, KILN_SHAPE(c->n[1]), 0, (double)c->n[0] + 1);
    check_result(c, cell(c->g, x, w, &p, &last));
    check_result(c, last.h);
    if (lstm)
        check_result(c, last.c);
}

static void rnn(struct check_graph *c)
{
    run(c, kiln_rnn, 1);
}

static void lstm(struct check_graph *c)
{
    run(c, kiln_lstm, 4);
}

static void gru(struct check_graph *c)
{
    run(c, kiln_gru, 3);
}

const struct check_op check_recurrent[] = {
    {.name = "rnn", .types = CHECK_REALS, .shapes = shapes, .attributes = rnn_how, .build = rnn},
    {.name = "lstm", .types = CHECK_REALS, .shapes = shapes, .attributes = lstm_how, .build = lstm},
    {.name = "gru", .types = CHECK_REALS, .shapes = shapes, .attributes = gru_how, .build = gru},
    {0},
};
