/*
 * recurrent.c - recurrent networks learn, on every device, with sizes that change from batch to batch.
 *
 *   characters   an LSTM says which character comes next in sentences of a small grammar
 *   adding       a GRU adds two marked numbers of a sequence whose length varies (Hochreiter and Schmidhuber 1997)
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "support/support.h"

/* What is trained. */
struct net {
    kiln_device *dev;
    kiln_graph *g;
    kiln_weights *weights;
    kiln_program *learn;
    kiln_tensor in[3], loss;
    struct kiln_rng rng;
};

static void begin(struct net *n, const char *device)
{
    *n = (struct net){.dev = kiln_test_open(device)};
    kiln_rng_init(&n->rng, 7, kiln_rng_stream("recurrent"));
    cr_assert_eq(kiln_graph_create(&n->g, NULL), KILN_OK);
}

static void make(struct net *n, double rate)
{
    const kiln_tensor step =
        kiln_minimize(n->g, n->loss, &(kiln_minimize_params){.by = KILN_ADAM, .rate = rate});
    cr_assert_eq(kiln_weights_create(&n->weights, n->g, NULL), KILN_OK, "%s", kiln_graph_error(n->g));
    cr_assert_eq(kiln_program_create(&n->learn, n->dev, n->g, n->weights,
                                     &(kiln_program_params){.train = true, .run = KILN_RUN(step, n->loss)}),
                 KILN_OK);
}

static void end(struct net *n)
{
    kiln_program_destroy(&n->learn);
    kiln_weights_destroy(&n->weights);
    kiln_graph_destroy(&n->g);
    kiln_test_close(&n->dev);
}

static void give(struct net *n, int input, kiln_type type, const void *data, kiln_shape shape)
{
    const kiln_array array = {.data = (void *)(uintptr_t)data, .type = type, .shape = shape};
    cr_assert_eq(kiln_program_write(n->learn, n->in[input], &array), KILN_OK);
}

static double step(struct net *n)
{
    float loss;
    kiln_array to = {.data = &loss, .bytes = sizeof loss};
    cr_assert_eq(kiln_program_run(n->learn), KILN_OK);
    cr_assert_eq(kiln_program_read(n->learn, n->loss, &to), KILN_OK);
    return loss;
}

/* Characters --------------------------------------------------------------------------------------------- */

enum { SYMBOLS = 27, LONGEST = 24, TEXTS = 16 };

/* A sentence of four words, each one of four: log(4) nats each. The next character is certain but for the first of a word. */
static void sentence(struct kiln_rng *rng, char *text)
{
    static const char *const words[4][4] = {{"cats ", "dogs ", "men ", "owls "},
                                            {"see ", "hear ", "find ", "lose "},
                                            {"a ", "the ", "my ", "one "},
                                            {"key ", "road ", "boat ", "inn "}};
    *text = 0;
    for (int i = 0; i < 4; i++)
        strcat(text, words[i][kiln_rng_below(rng, 4)]);
}

/* A batch of texts of `length` characters and the ones that follow: 0 is the blank. */
static void write_texts(struct net *n, int length)
{
    int32_t now[TEXTS * LONGEST], next[TEXTS * LONGEST];
    for (int t = 0; t < TEXTS; t++) {
        char text[4 * LONGEST] = "";
        while (strlen(text) <= (size_t)length)
            sentence(&n->rng, text + strlen(text));
        for (int i = 0; i < length; i++) {
            now[t * length + i] = text[i] == ' ' ? 0 : text[i] - 'a' + 1;
            next[t * length + i] = text[i + 1] == ' ' ? 0 : text[i + 1] - 'a' + 1;
        }
    }
    give(n, 0, KILN_I32, now, KILN_SHAPE(TEXTS, length));
    give(n, 1, KILN_I32, next, KILN_SHAPE(TEXTS, length));
}

static void build_characters(struct net *n)
{
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, kiln_dim(n->g, "length"));
    n->in[0] = kiln_input(n->g, "now", KILN_I32, shape);
    n->in[1] = kiln_input(n->g, "next", KILN_I32, shape);
    const kiln_tensor h =
        kiln_nn_lstm(n->g, kiln_one_hot(n->g, n->in[0], SYMBOLS),
                     &(kiln_nn_recurrent_params){.units = 40, .cell = {.batch_first = true}}, NULL);
    const kiln_tensor scores =
        kiln_nn_dense(n->g, kiln_flatten(n->g, h, 2), &(kiln_nn_dense_params){.units = SYMBOLS});
    n->loss = kiln_cross_entropy(n->g, scores, kiln_reshape(n->g, n->in[1], KILN_SHAPE(KILN_REST)));
    make(n, 1e-2);
}

/* Some 18 characters a sentence hide 4 log(4) nats: 0.31 a character, of which what a first character tells of its word is
 * learned in a few dozen steps; from log(27) = 3.3 down to 0.4. */
Test(recurrent_training, an_lstm_learns_the_characters_of_a_grammar_on_every_device)
{
    for (int d = 0; kiln_test_device(d); d++) {
        struct net n;
        double loss = 0;
        begin(&n, kiln_test_device(d));
        build_characters(&n);
        for (int i = 0; i < 100; i++) {
            write_texts(&n, i % 3 ? LONGEST : LONGEST - 5);
            loss += i >= 90 ? step(&n) / 10 : 0 * step(&n);
        }
        cr_expect_lt(loss, 0.4, "the last ten losses are %g on %s", loss, kiln_test_device(d));
        end(&n);
    }
}

/* Adding ------------------------------------------------------------------------------------------------- */

enum { STEPS = 8, ROWS = 32 };

/* x [T, N, 2]: numbers in [0, 1), and a mark at two of them; the sum of those two; lengths. */
static void write_numbers(struct net *n)
{
    float x[STEPS * ROWS * 2] = {0}, sum[ROWS] = {0};
    int32_t length[ROWS];
    for (int r = 0; r < ROWS; r++) {
        length[r] = 4 + (int32_t)kiln_rng_below(&n->rng, STEPS - 3);
        const int first = (int)kiln_rng_below(&n->rng, 2),
                  second = 2 + (int)kiln_rng_below(&n->rng, (uint32_t)length[r] - 2);
        for (int t = 0; t < STEPS; t++) {
            float *at = &x[(t * ROWS + r) * 2];
            at[0] = (float)kiln_rng_uniform(&n->rng);
            at[1] = t == first || t == second;
            sum[r] += at[0] * at[1];
        }
    }
    give(n, 0, KILN_F32, x, KILN_SHAPE(STEPS, ROWS, 2));
    give(n, 1, KILN_F32, sum, KILN_SHAPE(ROWS, 1));
    give(n, 2, KILN_I32, length, KILN_SHAPE(ROWS));
}

static void build_adding(struct net *n)
{
    kiln_recurrent_states last;
    n->in[0] = kiln_input(n->g, "x", KILN_F32, KILN_SHAPE(kiln_dim(n->g, "length"), KILN_BATCH, 2));
    n->in[1] = kiln_input(n->g, "sum", KILN_F32, KILN_SHAPE(KILN_BATCH, 1));
    n->in[2] = kiln_input(n->g, "lengths", KILN_I32, KILN_SHAPE(KILN_BATCH));
    kiln_nn_gru(n->g, n->in[0], &(kiln_nn_recurrent_params){.units = 24, .cell = {.lengths = n->in[2]}},
                &last);
    const kiln_tensor guess =
        kiln_nn_dense(n->g, kiln_squeeze(n->g, last.h, 0), &(kiln_nn_dense_params){.units = 1});
    n->loss = kiln_mean_squared_error(n->g, guess, n->in[1]);
    make(n, 1e-2);
}

/* Always guessing 1 is off by 1/6 in the mean square; what finds both numbers goes below 0.01. */
Test(recurrent_training, a_gru_learns_to_add_on_every_device)
{
    for (int d = 0; kiln_test_device(d); d++) {
        struct net n;
        double loss = 0;
        begin(&n, kiln_test_device(d));
        build_adding(&n);
        for (int i = 0; i < 200; i++) {
            write_numbers(&n);
            loss += i >= 190 ? step(&n) / 10 : 0 * step(&n);
        }
        cr_expect_lt(loss, 0.01, "the last ten losses are %g on %s", loss, kiln_test_device(d));
        end(&n);
    }
}
