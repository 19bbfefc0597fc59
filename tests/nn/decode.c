/* decode.c - a beam search's step against a search through all continuations on the host; sampling in a session. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { SEQUENCES = 2, WIDTH = 3, TOKENS = 5, ROWS = SEQUENCES * WIDTH, END = 2 };

/* The log-probability of a token after a row, which `last` may have ended. */
static double log_probability(const float *scores, int row, int token, const int32_t *last)
{
    double sum = 0;
    if (last && last[row] == END)
        return token == END ? 0 : -INFINITY;
    for (int v = 0; v < TOKENS; v++)
        sum += exp(scores[row * TOKENS + v]);
    return scores[row * TOKENS + token] - log(sum);
}

struct choice {
    double score;
    int row, token;
};

static int better(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->row != y->row ? x->row - y->row : x->token - y->token;
}

static void search(const float *scores, const float *sums, const int32_t *last, struct choice *best)
{
    for (int n = 0; n < SEQUENCES; n++) {
        struct choice all[WIDTH * TOKENS];
        for (int i = 0; i < WIDTH * TOKENS; i++) {
            const int row = n * WIDTH + i / TOKENS, token = i % TOKENS;
            all[i] = (struct choice){sums[row] + log_probability(scores, row, token, last), row, token};
        }
        qsort(all, WIDTH * TOKENS, sizeof *all, better);
        for (int w = 0; w < WIDTH; w++)
            best[n * WIDTH + w] = all[w];
    }
}

#define TRY(...) cr_assert_eq((__VA_ARGS__), KILN_OK)

static void expect_step(kiln_device *dev, const char *device, const float *scores, const float *sums,
                        const int32_t *last)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    struct choice best[ROWS];
    int32_t token[ROWS], parent[ROWS];
    float score[ROWS];
    TRY(kiln_graph_create(&g, NULL));
    const kiln_tensor x = kiln_input(g, "scores", KILN_F32, KILN_SHAPE(kiln_dim(g, "rows"), TOKENS));
    const kiln_tensor s = kiln_input(g, "sums", KILN_F32, KILN_SHAPE(KILN_BATCH, WIDTH));
    const kiln_tensor l = kiln_input(g, "last", KILN_I32, KILN_SHAPE(kiln_dim(g, "rows")));
    const kiln_beam beam = kiln_beam_step(g, x, s, last ? &(kiln_beam_params){.last = l, .end = END} : NULL);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    TRY(kiln_weights_create(&w, g, NULL));
    TRY(kiln_program_create(&p, dev, g, w,
                            &(kiln_program_params){.run = KILN_RUN(beam.token, beam.parent, beam.score)}));
    TRY(kiln_program_write(
        p, x, &(kiln_array){.data = (void *)(uintptr_t)scores, .shape = KILN_SHAPE(ROWS, TOKENS)}));
    TRY(kiln_program_write(
        p, s, &(kiln_array){.data = (void *)(uintptr_t)sums, .shape = KILN_SHAPE(SEQUENCES, WIDTH)}));
    if (last)
        TRY(kiln_program_write(
            p, l,
            &(kiln_array){.data = (void *)(uintptr_t)last, .type = KILN_I32, .shape = KILN_SHAPE(ROWS)}));
    TRY(kiln_program_run(p));
    TRY(kiln_program_read(p, beam.token, &(kiln_array){.data = token, .bytes = sizeof token}));
    TRY(kiln_program_read(p, beam.parent, &(kiln_array){.data = parent, .bytes = sizeof parent}));
    TRY(kiln_program_read(p, beam.score, &(kiln_array){.data = score, .bytes = sizeof score}));
    search(scores, sums, last, best);
    for (int i = 0; i < ROWS; i++) {
        cr_expect(token[i] == best[i].token && parent[i] == best[i].row,
                  "%s, beam %d: token %d after row %d, wanted %d after %d", device, i, token[i], parent[i],
                  best[i].token, best[i].row);
        cr_expect_float_eq(score[i], (float)best[i].score, 1e-5f); /* a few roundings of exp and log */
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(decode, the_best_continuations_are_kept)
{
    float scores[ROWS * TOKENS];
    const float first[ROWS] = {0, -INFINITY, -INFINITY, 0, -INFINITY, -INFINITY},
                later[ROWS] = {-1, -2, -2.5f, -0.5f, -0.75f, -4};
    const int32_t last[ROWS] = {0, END, 1, END, 4, END}, none[ROWS] = {0};
    for (int i = 0; i < ROWS * TOKENS; i++)
        scores[i] = (float)(i * 37 % 23) / 7;
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        expect_step(dev, kiln_test_device(i), scores, first, none);
        expect_step(dev, kiln_test_device(i), scores, later, NULL);
        expect_step(dev, kiln_test_device(i), scores, later, last);
        kiln_test_close(&dev);
    }
}

/* Sampling: a chain of tokens whose next depends on the last ---------------------------------------------- */

enum { CHAINS = 8, STEPS = 400, STATES = 5 };

/* From a token to the next, in logarithms; 4 ends, 3 leads there alone. */
static const float chain[STATES][STATES] = {{0, 1, -INFINITY, -4.5f, -INFINITY},
                                            {1, -INFINITY, 0.5f, -4, -INFINITY},
                                            {2, 0, 0, -INFINITY, -INFINITY},
                                            {-INFINITY, -INFINITY, -INFINITY, -INFINITY, 0},
                                            {0, 0, 0, 0, 0}};

/* Token and score are the session's, too: one run is one step. */
static kiln_program *chain_program(kiln_device *dev, kiln_session **session, kiln_sample *sample)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    TRY(kiln_graph_create(&g, NULL));
    const kiln_tensor table = kiln_constant(g, &(kiln_array){.data = (void *)(uintptr_t)chain,
                                                             .shape = KILN_SHAPE(STATES, STATES)});
    const kiln_tensor last = kiln_state(g, "last", KILN_I32, KILN_SHAPE(CHAINS), KILN_STORE_SESSION);
    const kiln_tensor sum = kiln_state(g, "sum", KILN_F32, KILN_SHAPE(CHAINS), KILN_STORE_SESSION);
    const kiln_tensor source = kiln_random_source(g, "draws");
    const kiln_sample_params params = {.choice = {.random = {.source = source}},
                                       .last = last,
                                       .end = STATES - 1};
    *sample = kiln_sample_step(g, kiln_gather(g, table, last, 0), sum, &params);
    const kiln_tensor next = kiln_assign(g, last, sample->token), grown = kiln_assign(g, sum, sample->score);
    const kiln_tensor advance = kiln_random_advance(g, source);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    TRY(kiln_weights_create(&w, g, NULL));
    TRY(kiln_session_create(session, g));
    TRY(kiln_program_create(&p, dev, g, w,
                            &(kiln_program_params){.run = KILN_RUN(sample->token, sample->score, next, grown,
                                                                   advance),
                                                   .session = *session}));
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    return p;
}

/* Tokens of STEPS steps of a seed; the sums behind the last. */
static void walk(kiln_device *dev, int32_t seed, int32_t token[STEPS][CHAINS], float sum[CHAINS])
{
    kiln_session *session = NULL;
    kiln_sample sample;
    kiln_program *p = chain_program(dev, &session, &sample);
    const int32_t source[2] = {seed, 0};
    TRY(kiln_session_write(
        session, "draws",
        &(kiln_array){.data = (void *)(uintptr_t)source, .type = KILN_I32, .shape = KILN_SHAPE(2)}));
    for (int t = 0; t < STEPS; t++) {
        TRY(kiln_program_run(p));
        TRY(kiln_program_read(p, sample.token, &(kiln_array){.data = token[t], .bytes = sizeof *token}));
    }
    TRY(kiln_program_read(p, sample.score, &(kiln_array){.data = sum, .bytes = CHAINS * sizeof *sum}));
    kiln_program_destroy(&p);
    kiln_session_destroy(&session);
}

static double probability(int from, int to)
{
    double all = 0;
    for (int i = 0; i < STATES; i++)
        all += exp(chain[from][i]);
    return exp(chain[from][to]) / all;
}

/* Every step is one that the chain allows, what has ended stays so at no cost, and steps come as often as they should. */
static void expect_walk(int32_t token[STEPS][CHAINS], const float sum[CHAINS])
{
    int seen[STATES][STATES] = {0}, from[STATES] = {0};
    for (int n = 0; n < CHAINS; n++) {
        double want = 0;
        for (int t = 0, last = 0; t < STEPS; last = token[t++][n]) {
            cr_assert(last != STATES - 1 || token[t][n] == STATES - 1, "what has ended goes on");
            cr_assert(chain[last][token[t][n]] > -INFINITY, "%d after %d", token[t][n], last);
            want += last == STATES - 1 ? 0 : log(probability(last, token[t][n]));
            seen[last][token[t][n]]++;
            from[last]++;
        }
        cr_expect_float_eq(sum[n], (float)want, 1e-3f); /* a sum of hundreds rounds at every step */
    }
    cr_expect(from[0] + from[1] + from[2] > 300, "they end too soon");
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            const double p = probability(a, b), off = seen[a][b] - p * from[a];
            cr_expect(fabs(off) <= 6 * sqrt(p * (1 - p) * from[a]) + 1, "%d after %d: %d of %d, wanted %g", b,
                      a, seen[a][b], from[a], p);
        }
}

Test(decode, tokens_are_sampled_in_a_session_alike_on_every_device)
{
    static int32_t want[STEPS][CHAINS], got[STEPS][CHAINS];
    float sum[CHAINS];
    kiln_device *cpu = kiln_test_open("cpu");
    walk(cpu, 5, want, sum);
    expect_walk(want, sum);
    walk(cpu, 6, got, sum);
    expect_walk(got, sum);
    cr_expect_neq(memcmp(got, want, sizeof want), 0, "another seed samples the same");
    kiln_test_close(&cpu);
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        walk(dev, 5, got, sum);
        cr_expect_eq(memcmp(got, want, sizeof want), 0, "%s samples otherwise", kiln_test_device(i));
        kiln_test_close(&dev);
    }
}
