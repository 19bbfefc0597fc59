/* onnx_recurrent.c - recurrent cells through an ONNX file and back: the same outputs and last states. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"

enum { STEPS = 5, ROWS = 3, INPUTS = 2, HIDDEN = 4 };

typedef kiln_tensor cell_fn(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                            const kiln_recurrent_params *params, kiln_recurrent_states *last);

static const struct cell {
    const char *name;
    cell_fn *build;
    int gates;
    bool no_bias, one_bias, peephole, states, lengths;
    kiln_recurrent_params p;
} cells[] = {
    {"rnn", kiln_rnn, 1},
    {"rnn back, relu", kiln_rnn, 1, .p = {.direction = KILN_REVERSE, .f = {KILN_SQUASH_RELU}}},
    {"rnn both ways", kiln_rnn, 1, .states = true, .lengths = true, .p = {.direction = KILN_BIDIRECTIONAL}},
    {"lstm without biases", kiln_lstm, 4, .no_bias = true},
    {"lstm with one bias", kiln_lstm, 4, .one_bias = true, .p = {.batch_first = true}},
    {"lstm with all", kiln_lstm, 4, .peephole = true, .states = true, .lengths = true,
     .p = {.direction = KILN_BIDIRECTIONAL, .batch_first = true}},
    {"lstm coupled, clipped", kiln_lstm, 4,
     .p = {.coupled = true, .clip = 0.4, .g = {KILN_SQUASH_SCALED_TANH, 1.5, 0.5}}},
    {"lstm of other squashings", kiln_lstm, 4,
     .p = {.direction = KILN_BIDIRECTIONAL,
           .f = {KILN_SQUASH_HARD_SIGMOID, 0.3, 0.4},
           .g = {KILN_SQUASH_LEAKY_RELU, 0.125},
           .h = {KILN_SQUASH_AFFINE, 0.5, 0.25}}},
    {"gru", kiln_gru, 3, .states = true},
    {"gru with one bias", kiln_gru, 3, .one_bias = true},
    {"gru, reset before", kiln_gru, 3, .lengths = true,
     .p = {.reset_before = true, .direction = KILN_BIDIRECTIONAL}},
};

static void ok(kiln_status status)
{
    cr_assert(status == KILN_OK, "%s", kiln_status_text(status));
}

/* A weight of one direction. */
static kiln_tensor weight(kiln_graph *g, const char *kind, int direction, kiln_shape shape)
{
    const kiln_init init = {.kind = KILN_INIT_UNIFORM, .scale = 0.8};
    char name[32];
    snprintf(name, sizeof name, "%s.%d", kind, direction);
    return kiln_parameter(g, name, shape, &init);
}

static kiln_recurrent_weights weights(kiln_graph *g, const struct cell *c, int direction)
{
    const int64_t rows = (int64_t)c->gates * HIDDEN;
    kiln_recurrent_weights w = {.input = weight(g, "wi", direction, KILN_SHAPE(rows, INPUTS)),
                                .hidden = weight(g, "wh", direction, KILN_SHAPE(rows, HIDDEN))};
    if (!c->no_bias)
        w.input_bias = weight(g, "bi", direction, KILN_SHAPE(rows));
    if (!c->no_bias && !c->one_bias)
        w.hidden_bias = weight(g, "bh", direction, KILN_SHAPE(rows));
    if (c->peephole)
        w.peephole = weight(g, "p", direction, KILN_SHAPE(3 * HIDDEN));
    return w;
}

/* Outputs: y and the last states. The length of sequences is a symbol. */
static void build(kiln_graph *g, const struct cell *c)
{
    const int64_t directions = c->p.direction == KILN_BIDIRECTIONAL ? 2 : 1;
    const kiln_shape states = KILN_SHAPE(directions, ROWS, HIDDEN);
    kiln_recurrent_params p = c->p;
    kiln_recurrent_weights w[2];
    kiln_recurrent_states last;
    const kiln_tensor x = kiln_input(g, "x", KILN_F32,
                                     p.batch_first ? KILN_SHAPE(ROWS, kiln_dim(g, "T"), INPUTS)
                                                   : KILN_SHAPE(kiln_dim(g, "T"), ROWS, INPUTS));
    for (int d = 0; d < directions; d++)
        w[d] = weights(g, c, d);
    if (c->lengths)
        p.lengths = kiln_constant(
            g, &(kiln_array){.type = KILN_I32, .shape = KILN_SHAPE(ROWS), .data = (int32_t[]){4, 0, STEPS}});
    if (c->states)
        p.initial.h = weight(g, "h", 0, states);
    if (c->states && c->gates == 4)
        p.initial.c = weight(g, "c", 0, states);
    kiln_output(g, "y", c->build(g, x, w, &p, &last));
    kiln_output(g, "last.h", last.h);
    if (c->gates == 4)
        kiln_output(g, "last.c", last.c);
}

enum { VALUES = STEPS * ROWS * 2 * HIDDEN, STATES = 2 * ROWS * HIDDEN, MOST = VALUES + 2 * STATES };

/* All outputs, one behind the other; returns how many numbers. */
static int run(const kiln_graph *g, kiln_weights *w, bool batch_first, float *out)
{
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    float x[STEPS * ROWS * INPUTS];
    int count = 0;
    for (int i = 0; i < STEPS * ROWS * INPUTS; i++)
        x[i] = (float)(i * 37 % 101) / 50 - 1;
    ok(kiln_program_create(&p, dev, g, w, NULL));
    ok(kiln_program_write(p, kiln_graph_input(g, 0),
                          &(kiln_array){.data = x,
                                        .shape = batch_first ? KILN_SHAPE(ROWS, STEPS, INPUTS)
                                                             : KILN_SHAPE(STEPS, ROWS, INPUTS)}));
    ok(kiln_program_run(p));
    for (int i = 0; i < kiln_graph_output_count(g); i++) {
        kiln_array to = {.data = out + count, .bytes = (size_t)(MOST - count) * sizeof *out};
        ok(kiln_program_read(p, kiln_graph_output(g, i), &to));
        count += (int)kiln_shape_count(&to.shape);
    }
    kiln_program_destroy(&p);
    kiln_test_close(&dev);
    return count;
}

static void around(const struct cell *c)
{
    kiln_graph *g = NULL, *again = NULL;
    kiln_weights *w = NULL, *read = NULL;
    float want[MOST], got[MOST];
    char path[64];
    snprintf(path, sizeof path, "/tmp/kiln_recurrent_%ld.onnx", (long)getpid());
    ok(kiln_graph_create(&g, NULL));
    build(g, c);
    cr_assert(kiln_graph_status(g) == KILN_OK, "%s: %s", c->name, kiln_graph_error(g));
    ok(kiln_weights_create(&w, g, NULL));
    ok(kiln_onnx_save(g, w, path, NULL));
    ok(kiln_onnx_load(&again, &read, path, NULL));
    const int count = run(g, w, c->p.batch_first, want);
    cr_assert_eq(run(again, read, c->p.batch_first, got), count);
    for (int i = 0; i < count; i++)
        cr_expect(fabsf(got[i] - want[i]) < 1e-5f, "%s, %d: %g, wanted %g", c->name, i, (double)got[i],
                  (double)want[i]); /* sums of a few terms near 1, in another order */
    for (int i = 0; i < kiln_graph_parameter_count(g); i++) {
        const char *name = kiln_tensor_name(g, kiln_graph_parameter(g, i));
        const bool state =
            !strcmp(name, "h.0") || !strcmp(name, "c.0"); /* what it begins with is no weight */
        cr_expect(state || kiln_weights_is_parameter(read, name), "%s: %s is no parameter", c->name, name);
    }
    unlink(path);
    kiln_weights_destroy(&w);
    kiln_weights_destroy(&read);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&again);
}

Test(onnx_recurrent, cells_come_back_with_the_same_outputs_and_states)
{
    for (size_t i = 0; i < KILN_COUNT(cells); i++)
        around(&cells[i]);
}
