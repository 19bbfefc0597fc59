/* assign.c - anchors for true boxes, hard negatives, samples: against plain loops over everything, on every device. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ANCHORS = 700, MOST_TRUTHS = 140 };

static const struct sizes {
    int pictures, truths, anchors;
    bool ties; /* overlaps of a few values only */
    const char *why;
} sizes[] = {
    {1, 1, 1, false, "one of each"},
    {2, 3, 7, true, "ties"},
    {3, 5, 131, false, "an anchor more than lanes, and some"},
    {2, 7, 3, false, "more boxes than anchors"},
    {2, 7, 40, true, "boxes that want the same"},
    {1, 130, 150, true, "more boxes than lanes"},
    {2, 129, 257, false, "boxes and anchors one past lanes"},
    {1, 17, 700, false, "many anchors"},
    {0, 3, 5, false, "no pictures"},
    {2, 3, 0, false, "no anchors"},
};

/* Numbers in 0 .. 1, the same on every run. */
static double next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return (double)(*state >> 8) / (1 << 24);
}

/* A picture's overlaps, of boxes about half of which are there; anchors overlap most boxes little, some not at all. */
static void fill(const struct sizes *s, uint32_t *state, float *overlap, int32_t *count)
{
    for (int n = 0; n < s->pictures; n++) {
        count[n] = n % 3 == 1 ? 0 : s->truths - (n % 2);
        for (int i = 0; i < s->truths * s->anchors; i++) {
            const double u = next(state), v = s->ties ? floor(u * 5) / 4 : u * u;
            *overlap++ = (float)(v < 0.1 ? 0 : v);
        }
    }
}

/* Plain loops -------------------------------------------------------------------------------------------- */

static double at(const float *overlap, int count, const struct sizes *s, int t, int a)
{
    return t < count ? (double)overlap[t * s->anchors + a] : -1;
}

static int best_truth(const float *overlap, int count, const struct sizes *s, int a)
{
    int best = 0;
    for (int t = 1; t < s->truths; t++)
        if (at(overlap, count, s, t, a) > at(overlap, count, s, best, a))
            best = t;
    return best;
}

static void claim_closest(const float *overlap, int count, const struct sizes *s, int64_t *match)
{
    for (int t = 0; t < count; t++) {
        double most = 0;
        for (int a = 0; a < s->anchors; a++)
            most = fmax(most, at(overlap, count, s, t, a));
        for (int a = 0; a < s->anchors && most > 0; a++)
            if (at(overlap, count, s, t, a) == most)
                match[a] = best_truth(overlap, count, s, a);
    }
}

/* The largest of all pairs that are left, again and again. */
static void claim_own(const float *overlap, int count, const struct sizes *s, int64_t *match)
{
    bool has[MOST_TRUTHS] = {false}, taken[MOST_ANCHORS] = {false};
    for (;;) {
        int truth = -1, anchor = -1;
        for (int t = 0; t < count; t++)
            for (int a = 0; a < s->anchors && !has[t]; a++) {
                const double most = truth < 0 ? 0 : at(overlap, count, s, truth, anchor);
                if (!taken[a] && at(overlap, count, s, t, a) > most)
                    truth = t, anchor = a;
            }
        if (truth < 0)
            return;
        has[truth] = taken[anchor] = true;
        match[anchor] = truth;
    }
}

static void assign(const float *overlap, int count, const struct sizes *s, const kiln_assign_params *p,
                   int64_t *match)
{
    const double positive = p->positive ? p->positive : 0.5, negative = p->negative ? p->negative : positive;
    for (int a = 0; a < s->anchors; a++) {
        const int best = best_truth(overlap, count, s, a);
        const double most = at(overlap, count, s, best, a);
        match[a] = most >= positive ? best : most < negative ? KILN_ASSIGN_NEGATIVE : KILN_ASSIGN_IGNORED;
    }
    if (p->claim == KILN_CLAIM_CLOSEST)
        claim_closest(overlap, count, s, match);
    if (p->claim == KILN_CLAIM_OWN)
        claim_own(overlap, count, s, match);
}

/* Assignment --------------------------------------------------------------------------------------------- */

static void expect_whole(const int64_t *got, const int64_t *want, int count, const char *device,
                         const char *why)
{
    for (int i = 0; i < count; i++)
        if (got[i] != want[i]) {
            cr_expect(false, "%s on %s: element %d is %lld, wanted %lld", why, device, i, (long long)got[i],
                      (long long)want[i]);
            return;
        }
}

static void expect_assignment(const struct sizes *s, const kiln_assign_params *p)
{
    const size_t overlaps = (size_t)(s->pictures * s->truths * s->anchors),
                 all = (size_t)(s->pictures * s->anchors);
    float *overlap = malloc((overlaps + 1) * sizeof *overlap);
    int32_t count[8] = {0};
    int64_t *want = malloc((all + 1) * sizeof *want), *got = malloc((all + 1) * sizeof *got);
    uint32_t state = 5;
    kiln_graph *g = NULL;
    fill(s, &state, overlap, count);
    for (int n = 0; n < s->pictures; n++)
        assign(overlap + n * s->truths * s->anchors, count[n], s, p, want + n * s->anchors);

    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, kiln_dim(g, "truths"), kiln_dim(g, "anchors"));
    const kiln_tensor pairs = kiln_input(g, "overlap", KILN_F32, shape),
                      present = kiln_input(g, "count", KILN_I32, KILN_SHAPE(KILN_BATCH));
    const kiln_tensor y = kiln_assign_truths(g, pairs, present, p);
    const kiln_array in[] = {{.data = overlap, .shape = KILN_SHAPE(s->pictures, s->truths, s->anchors)},
                             {.data = count, .type = KILN_I32, .shape = KILN_SHAPE(s->pictures)}};
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_test_run(g, y, kiln_test_device(i), in, got);
        expect_whole(got, want, (int)all, kiln_test_device(i), s->why);
    }
    kiln_graph_destroy(&g);
    free(overlap);
    free(want);
    free(got);
}

Test(assign, anchors_are_of_the_box_that_they_overlap_most)
{
    const kiln_assign_params params[] = {{0},
                                         {.positive = 0.7, .negative = 0.3},
                                         {.positive = 0.7, .negative = 0.3, .claim = KILN_CLAIM_CLOSEST},
                                         {.claim = KILN_CLAIM_OWN},
                                         {.positive = 0.9, .negative = 0.4, .claim = KILN_CLAIM_OWN}};
    for (size_t i = 0; i < KILN_COUNT(sizes); i++)
        for (size_t k = 0; k < KILN_COUNT(params); k++)
            expect_assignment(&sizes[i], &params[k]);
}

/* Two boxes want anchor 1; the second overlaps it more, so the first gets what is next. One picture, no count. */
Test(assign, a_box_whose_anchor_is_taken_gets_the_next)
{
    const float overlap[] = {0.3f, 0.5f, 0.1f, 0.0f, 0.0f, 0.6f, 0.2f, 0.0f, 0.0f, 0.4f, 0.2f, 0.0f};
    const int64_t want[] = {0, 1, 2, KILN_ASSIGN_NEGATIVE};
    kiln_graph *g = NULL;
    int64_t got[4];
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "overlap", KILN_F32, KILN_SHAPE(3, 4));
    const kiln_tensor y =
        kiln_assign_truths(g, x, KILN_NONE, &(kiln_assign_params){.positive = 0.7, .claim = KILN_CLAIM_OWN});
    const kiln_array in[] = {{.data = (void *)overlap, .shape = KILN_SHAPE(3, 4)}};
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_test_run(g, y, kiln_test_device(i), in, got);
        expect_whole(got, want, 4, kiln_test_device(i), "by hand");
    }
    kiln_graph_destroy(&g);
}

/* What assign_best says: each box in its turn takes its best anchors, one that is better for it than for who has it too. */
static void take_best(const float *metric, const float *overlap, const struct sizes *s, int most,
                      int64_t *match)
{
    bool wanted[MOST_TRUTHS][MOST_ANCHORS] = {{false}};
    for (int t = 0; t < s->truths; t++)
        for (int k = 0; k < most; k++) {
            int best = -1;
            for (int a = 0; a < s->anchors; a++)
                if (!wanted[t][a] && (best < 0 || metric[t * s->anchors + a] > metric[t * s->anchors + best]))
                    best = a;
            if (best >= 0 && metric[t * s->anchors + best] > 0)
                wanted[t][best] = true;
        }
    for (int a = 0; a < s->anchors; a++) {
        match[a] = KILN_ASSIGN_NEGATIVE;
        for (int t = 0; t < s->truths; t++)
            if (wanted[t][a] &&
                (match[a] < 0 || overlap[t * s->anchors + a] > overlap[match[a] * s->anchors + a]))
                match[a] = t;
    }
}

static void expect_best(const struct sizes *s, int most)
{
    const size_t pairs = (size_t)(s->pictures * s->truths * s->anchors),
                 all = (size_t)(s->pictures * s->anchors);
    float *metric = malloc((pairs + 1) * sizeof *metric), *overlap = malloc((pairs + 1) * sizeof *overlap);
    int64_t *want = malloc((all + 1) * sizeof *want), *got = malloc((all + 1) * sizeof *got);
    int32_t count[8];
    uint32_t state = 9;
    kiln_graph *g = NULL;
    fill(s, &state, metric, count);
    fill(s, &state, overlap, count);
    for (int n = 0; n < s->pictures; n++)
        take_best(metric + n * s->truths * s->anchors, overlap + n * s->truths * s->anchors, s, most,
                  want + n * s->anchors);

    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, kiln_dim(g, "truths"), s->anchors);
    const kiln_tensor good = kiln_input(g, "metric", KILN_F32, shape),
                      over = kiln_input(g, "overlap", KILN_F32, shape);
    const kiln_tensor y = kiln_assign_best(g, good, over, most);
    const kiln_shape given = KILN_SHAPE(s->pictures, s->truths, s->anchors);
    const kiln_array in[] = {{.data = metric, .shape = given}, {.data = overlap, .shape = given}};
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_test_run(g, y, kiln_test_device(i), in, got);
        expect_whole(got, want, (int)all, kiln_test_device(i), s->why);
    }
    kiln_graph_destroy(&g);
    free(metric);
    free(overlap);
    free(want);
    free(got);
}

Test(assign, boxes_get_the_anchors_that_tell_them_best)
{
    for (size_t i = 0; i < KILN_COUNT(sizes); i++) {
        expect_best(&sizes[i], 1);
        expect_best(&sizes[i], 10);
    }
}

static kiln_tensor belongings(kiln_graph *g, const void *one)
{
    const int32_t match[] = {1, -1, 0, -2, 2, 2, -1, 0};
    const kiln_array rows = {.data = (void *)match,
                             .type = KILN_I32,
                             .shape = one ? KILN_SHAPE(8) : KILN_SHAPE(2, 4)};
    const float values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const kiln_shape shape = one ? KILN_SHAPE(3, 4) : KILN_SHAPE(2, 3, 2);
    return kiln_assigned(g, kiln_test_values(g, shape, values), kiln_constant(g, &rows));
}

Test(assign, anchors_get_what_belongs_to_their_box)
{
    const double many[] = {3, 4, 0, 0, 1, 2, 0, 0, 11, 12, 11, 12, 0, 0, 7, 8};
    const double one[] = {5, 6,  7,  8,  0, 0,  0,  0,  1, 2, 3, 4, 0, 0, 0, 0,
                          9, 10, 11, 12, 9, 10, 11, 12, 0, 0, 0, 0, 1, 2, 3, 4};
    kiln_expect_values(belongings, NULL, many, 16, 0, "pictures");
    kiln_expect_values(belongings, "one", one, 32, 0, "one picture");
    kiln_expect_gradient(belongings, NULL, "pictures");
    kiln_expect_devices_agree(belongings, NULL, true, 0, "pictures");
}

/* Choices ------------------------------------------------------------------------------------------------ */

/* Matches and numbers that decide: losses or draws, some of them equal. */
static void fill_rows(const struct sizes *s, int32_t *match, float *number)
{
    uint32_t state = 9;
    for (int i = 0; i < s->pictures * s->anchors; i++) {
        const double u = next(&state);
        match[i] = u < 0.2 ? (int32_t)(u * 50) : u < 0.8 ? KILN_ASSIGN_NEGATIVE : KILN_ASSIGN_IGNORED;
        number[i] = (float)(floor(next(&state) * 97) / 97);
    }
}

static bool is_of(int32_t match, bool positive)
{
    return positive ? match >= 0 : match == KILN_ASSIGN_NEGATIVE;
}

/* How many of the same kind come before an anchor. */
static int rank(const int32_t *match, const float *number, int anchors, int a, bool positive, bool descending)
{
    int before = 0;
    for (int b = 0; b < anchors; b++)
        if (is_of(match[b], positive) && ((descending ? number[b] > number[a] : number[b] < number[a]) ||
                                          (number[b] == number[a] && b < a)))
            before++;
    return before;
}

static int count_of(const int32_t *match, int anchors, bool positive)
{
    int count = 0;
    for (int a = 0; a < anchors; a++)
        count += is_of(match[a], positive);
    return count;
}

struct rows {
    int32_t match[8 * MOST_ANCHORS];
    float number[8 * MOST_ANCHORS];
    int64_t want[8 * MOST_ANCHORS], got[8 * MOST_ANCHORS];
};

static void expect_rows(const struct sizes *s, struct rows *r, const kiln_graph *g, kiln_tensor y, int count)
{
    const kiln_shape shape = KILN_SHAPE(s->pictures, s->anchors);
    const kiln_array in[] = {{.data = r->match, .type = KILN_I32, .shape = shape},
                             {.data = r->number, .shape = shape}};
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_test_run(g, y, kiln_test_device(i), in, r->got);
        expect_whole(r->got, r->want, count, kiln_test_device(i), s->why);
    }
}

static kiln_graph *graph_of(kiln_tensor *match, kiln_tensor *number)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_shape shape = KILN_SHAPE(KILN_BATCH, kiln_dim(g, "anchors"));
    *match = kiln_input(g, "match", KILN_I32, shape);
    *number = kiln_input(g, "number", KILN_F32, shape);
    return g;
}

Test(assign, the_hardest_negatives_are_as_many_as_asked_for)
{
    static struct rows r;
    for (size_t i = 0; i < KILN_COUNT(sizes); i += 1 + i % 2)
        for (int least = 0; least <= 5; least += 5) {
            const struct sizes *s = &sizes[i];
            kiln_tensor match, loss;
            kiln_graph *g = graph_of(&match, &loss);
            fill_rows(s, r.match, r.number);
            for (int k = 0; k < s->pictures * s->anchors; k++) {
                const int first = k / s->anchors * s->anchors;
                const int wanted = 2 * count_of(r.match + first, s->anchors, true);
                r.want[k] = is_of(r.match[k], false) &&
                            rank(r.match + first, r.number + first, s->anchors, k - first, false, true) <
                                (wanted < least ? least : wanted);
            }
            expect_rows(s, &r, g, kiln_hard_negatives(g, loss, match, 2, least), s->pictures * s->anchors);
            kiln_graph_destroy(&g);
        }
}

/* Whether an anchor is chosen, and the how manieth it is among those. */
static int chosen(const struct sizes *s, const struct rows *r, int first, int a, int count, double fraction)
{
    const int32_t *match = r->match + first;
    const int positives = count_of(match, s->anchors, true), most = (int)(count * fraction);
    const int some = positives < most ? positives : most;
    const bool positive = is_of(match[a], true);
    const int place = rank(match, r->number + first, s->anchors, a, positive, false);
    if (positive)
        return place < some ? place : -1;
    return is_of(match[a], false) && place < count - some ? some + place : -1;
}

Test(assign, samples_are_balanced_and_listed)
{
    enum { COUNT = 12 };
    static struct rows r;
    const kiln_balance_params p = {.count = COUNT, .fraction = 0.25};
    for (size_t i = 0; i < KILN_COUNT(sizes); i += 1 + i % 2) {
        const struct sizes *s = &sizes[i];
        kiln_tensor match, draw, index;
        kiln_graph *g = graph_of(&match, &draw);
        const kiln_tensor y = kiln_sample_balanced(g, match, draw, &p, &index);
        fill_rows(s, r.match, r.number);
        for (int k = 0; k < s->pictures * s->anchors; k++) {
            const int first = k / s->anchors * s->anchors;
            r.want[k] = chosen(s, &r, first, k - first, COUNT, 0.25) >= 0;
        }
        expect_rows(s, &r, g, y, s->pictures * s->anchors);
        for (int k = 0; k < s->pictures * COUNT; k++)
            r.want[k] = KILN_NOWHERE;
        for (int k = 0; k < s->pictures * s->anchors; k++) {
            const int n = k / s->anchors, a = k % s->anchors,
                      place = chosen(s, &r, n * s->anchors, a, COUNT, 0.25);
            if (place >= 0)
                r.want[n * COUNT + place] = a;
        }
        if (s->anchors)
            expect_rows(s, &r, g, index, s->pictures * COUNT);
        kiln_graph_destroy(&g);
    }
}

/* Without a draw the weights' own source draws: in turns of the same seed the same on every device, and not the first ones. */
Test(assign, samples_are_drawn)
{
    enum { ANCHORS = 300, COUNT = 20 };
    int32_t match[ANCHORS];
    int64_t first[COUNT], got[COUNT];
    kiln_graph *g = NULL;
    kiln_tensor index;
    for (int i = 0; i < ANCHORS; i++)
        match[i] = i % 3 ? KILN_ASSIGN_NEGATIVE : 0;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_sample_balanced(g, kiln_input(g, "match", KILN_I32, KILN_SHAPE(ANCHORS)), KILN_NONE,
                         &(kiln_balance_params){.count = COUNT}, &index);
    const kiln_array in[] = {{.data = match, .type = KILN_I32, .shape = KILN_SHAPE(ANCHORS)}};
    for (int i = 0; kiln_test_device(i); i++) {
        int far = 0;
        kiln_test_run(g, index, kiln_test_device(i), in, i ? got : first);
        for (int k = 0; k < COUNT; k++) {
            const int64_t at = (i ? got : first)[k];
            cr_assert(at >= 0 && at < ANCHORS && at == first[k], "%d on %s: %lld", k, kiln_test_device(i),
                      (long long)at);
            cr_expect_eq(match[at] == 0, k < COUNT / 2, "%d of the list is %lld", k, (long long)at);
            far += at > ANCHORS / 2;
        }
        cr_expect(far > 0 && far < COUNT, "%d of %d in the second half", far, COUNT);
    }
    kiln_graph_destroy(&g);
}

Test(assign, says_what_does_not_fit)
{
    kiln_graph *g = NULL;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 3, 4));
    kiln_assign_truths(g, x, KILN_NONE, &(kiln_assign_params){.positive = 0.3, .negative = 0.5});
    cr_expect(strstr(kiln_graph_error(g), "they overlap") != NULL, "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor z = kiln_input(g, "z", KILN_F32, KILN_SHAPE(2, 3, 4));
    cr_expect_eq(kiln_assign_best(g, z, z, 0).id, 0);
    cr_expect(strstr(kiln_graph_error(g), "the 0 best") != NULL, "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor m = kiln_input(g, "m", KILN_I32, KILN_SHAPE(2, 3));
    cr_expect_eq(kiln_sample_balanced(g, m, kiln_input(g, "u", KILN_F32, KILN_SHAPE(2, 3)), NULL, NULL).id,
                 0);
    cr_expect(strstr(kiln_graph_error(g), "a count of 0") != NULL, "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
}
