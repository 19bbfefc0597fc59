/* decode.c - a beam search's step against a search through all continuations on the host. */
#include <math.h>
#include <stdlib.h>

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
