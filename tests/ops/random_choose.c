/* random_choose.c - choices by scores: how often, of what is kept, alike on every device. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct choice_case {
    kiln_choice_params params;
    int64_t rows, classes, count;
    const char *why;
};

static kiln_tensor chosen(kiln_graph *g, const void *one_case)
{
    const struct choice_case *c = one_case;
    const kiln_tensor scores = kiln_scale(g, kiln_test_input(g, KILN_SHAPE(c->rows, c->classes)), 4);
    return kiln_cast(g, kiln_multinomial(g, scores, c->count, &c->params), KILN_F32);
}

static kiln_tensor scores_alone(kiln_graph *g, const void *one_case)
{
    const struct choice_case *c = one_case;
    return kiln_scale(g, kiln_test_input(g, KILN_SHAPE(c->rows, c->classes)), 4);
}

/* What each class's share should be: softmax at the temperature, of the k largest, of the nucleus of these. */
static void shares_of(const double *score, int classes, const kiln_choice_params *p, double *share)
{
    const double t = p->temperature > 0 ? p->temperature : 1;
    double total = 0, before = 0;
    bool kept[16] = {false};
    const int most = p->top_k > 0 ? (int)p->top_k : classes;
    double all = 0;
    int order[16];
    for (int i = 0; i < classes; i++) {
        int place = 0;
        for (int j = 0; j < classes; j++)
            place += score[j] > score[i] || (score[j] == score[i] && j < i);
        order[place] = i;
    }
    for (int i = 0; i < most; i++)
        all += exp(score[order[i]] / t);
    for (int i = 0; i < most; i++) {
        kept[order[i]] = p->top_p == 0 || before < p->top_p;
        before += exp(score[order[i]] / t) / all;
    }
    for (int i = 0; i < classes; i++)
        total += kept[i] ? exp(score[i] / t) : 0;
    for (int i = 0; i < classes; i++)
        share[i] = kept[i] ? exp(score[i] / t) / total : 0;
}

static const struct choice_case often[] = {
    {{.temperature = 0}, 2, 9, 7000, "as softmax says"},
    {{.temperature = 2.5}, 2, 9, 7000, "warm"},
    {{.top_k = 4}, 2, 9, 7000, "of the largest"},
    {{.top_p = 0.8}, 2, 9, 7000, "of a nucleus"},
    {{.temperature = 1.5, .top_k = 6, .top_p = 0.7}, 2, 9, 7000, "all at once"},
    {{.top_p = 1e-6}, 2, 9, 100, "the first at least"},
};

/* Chi square of at most 8 degrees is below 40 but for 3 in a million; the seed is fixed. */
static void expect_shares(const struct choice_case *c, const double *y)
{
    double *score = kiln_test_eval(scores_alone, c, NULL, NULL), share[16];
    for (int r = 0; r < c->rows; r++) {
        int seen[16] = {0};
        double chi = 0;
        for (int i = 0; i < c->count; i++)
            seen[(int)y[r * c->count + i]]++;
        shares_of(score + r * c->classes, (int)c->classes, &c->params, share);
        for (int i = 0; i < c->classes; i++) {
            const double want = share[i] * (double)c->count;
            cr_expect(want > 0 || seen[i] == 0, "%s: class %d is not kept, but chosen", c->why, i);
            chi += want > 0 ? pow(seen[i] - want, 2) / want : 0;
        }
        cr_expect_lt(chi, 40, "%s, row %d: chi square is %g", c->why, r, chi);
    }
    free(score);
}

Test(random_choose, classes_come_as_often_as_their_probability_says)
{
    for (size_t i = 0; i < KILN_COUNT(often); i++) {
        double *y = kiln_test_eval(chosen, &often[i], NULL, NULL);
        expect_shares(&often[i], y);
        free(y);
    }
}

/* Two sums of score and noise are within a rounding of each other in about one of a million draws: none of these. */
Test(random_choose, every_device_chooses_alike)
{
    static const struct choice_case cases[] = {
        {{.top_k = 0}, 1, 1, 1, "one class"},
        {{.top_k = 0}, 65, 130, 1, "many rows"},
        {{.temperature = 0.7, .top_k = 40, .top_p = 0.9}, 3, 5003, 1, "tokens"},
        {{.top_p = 0.95}, 2, 20000, 1, "a nucleus of many"},
        {{.distinct = true}, 4, 33, 20, "none twice"},
        {{.temperature = KILN_ZERO}, 5, 257, 2, "the largest"},
    };
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        for (size_t i = 0; i < KILN_COUNT(cases); i++) {
            double *want = kiln_test_eval(chosen, &cases[i], NULL, NULL);
            double *got = kiln_test_eval(chosen, &cases[i], dev, NULL);
            kiln_expect_close(got, want, (size_t)(cases[i].rows * cases[i].count), 0, cases[i].why);
            free(want);
            free(got);
        }
        kiln_test_close(&dev);
    }
}

Test(random_choose, distinct_choices_are_none_twice)
{
    const struct choice_case c = {{.distinct = true, .top_k = 12}, 40, 16, 12, "all that are kept"};
    double *y = kiln_test_eval(chosen, &c, NULL, NULL);
    for (int r = 0; r < c.rows; r++) {
        bool seen[16] = {false};
        for (int i = 0; i < c.count; i++) {
            cr_assert(seen[(int)y[r * c.count + i]] == false, "row %d has a class twice", r);
            seen[(int)y[r * c.count + i]] = true;
        }
    }
    free(y);
}

static kiln_tensor by_row(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor scores = kiln_test_values(g, KILN_SHAPE(2, 3), (const float[]){1, 2, 3, 9, 8, 7});
    const kiln_choice_params cold = {.temperature_from = kiln_test_values(g, KILN_SHAPE(2, 1),
                                                                          (const float[]){1e-3f, 1e-3f})},
                             greedy = {.temperature = KILN_ZERO};
    const kiln_tensor y[] = {kiln_multinomial(g, scores, 1, &cold), kiln_multinomial(g, scores, 1, &greedy)};
    return kiln_cast(g, kiln_concat(g, y, 2, 1), KILN_F32);
}

Test(random_choose, what_is_cold_is_the_largest)
{
    kiln_expect_values(by_row, NULL, (const double[]){2, 2, 0, 0}, 4, 0, "cold");
}

Test(random_choose, misfits_are_named)
{
    static const struct {
        const char *says;
        kiln_choice_params params;
    } misfits[] = {{"temperature -1", {.temperature = -1}},
                   {"top_p 2", {.top_p = 2}},
                   {"top_k -3", {.top_k = -3}},
                   {"of 2", {.top_k = 2, .distinct = true}}};
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (size_t i = 0; i < KILN_COUNT(misfits); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(4, 5));
        const kiln_tensor y = kiln_multinomial(g, x, 3, &misfits[i].params);
        cr_expect(y.id == 0 && strstr(kiln_graph_error(g), misfits[i].says), "%s: %s", misfits[i].says,
                  kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
