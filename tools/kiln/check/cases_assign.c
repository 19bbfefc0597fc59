/* cases_assign.c - anchors for true boxes, and choices of them. */
#include "check/families.h"

/* N, T, A */
static const struct check_shape shapes[] = {
    {"1x1x1", "one of each"},
    {"2x3x7", "primes"},
    {"3x5x129", "an anchor past the lanes"},
    {"2x9x4", "more boxes than anchors"},
    {"1x129x150", "a box past the lanes"},
    {"4x16x64", "whole tiles"},
    {"1x7x3000", "many anchors"},
    {"17x2x11", "many pictures"},
    {"0x3x5", "no pictures"},
    {0},
};

/* a: positive and negative in tenths, claim */
static const struct check_attributes claims[] = {
    {"none", {5, 5, KILN_CLAIM_NONE}},
    {"positive=0.7,negative=0.3", {7, 3, KILN_CLAIM_NONE}},
    {"positive=0.7,negative=0.3,closest", {7, 3, KILN_CLAIM_CLOSEST}},
    {"own", {5, 5, KILN_CLAIM_OWN}},
    {0},
};

/* a: most */
static const struct check_attributes bests[] = {{"most=1", {1}}, {"most=10", {10}}, {0}};

/* a: ratio, least */
static const struct check_attributes ratios[] = {{"ratio=3", {3, 0}}, {"ratio=1,least=5", {1, 5}}, {0}};

/* a: count, fraction in quarters */
static const struct check_attributes counts[] = {{"count=1", {1, 2}},
                                                 {"count=16,fraction=0.25", {16, 1}},
                                                 {0}};

/* Thresholds lie within what is drawn, and some overlaps are none. */
static void assign_truths(struct check_graph *c)
{
    const kiln_assign_params p = {(double)c->a[0] / 10, (double)c->a[1] / 10, (kiln_claim)c->a[2]};
    const kiln_tensor overlap = check_operand_in(c, check_shape_of(c), -0.4, 0.8);

    check_add(c, kiln_assign_truths(c->g, overlap,
                                    check_whole(c, KILN_SHAPE(c->n[0]), 0, (double)c->n[1] + 1), &p));
}

struct picture {
    const double *overlap; /* [count, anchors] */
    int64_t count, anchors;
};

static double overlap_of(const struct picture *p, int64_t t, int64_t a)
{
    return p->overlap[t * p->anchors + a];
}

/* The box that overlaps an anchor most; -1 where there is none. */
static int64_t best_of(const struct picture *p, int64_t a)
{
    int64_t best = p->count ? 0 : -1;

    for (int64_t t = 1; t < p->count; t++)
        if (overlap_of(p, t, a) > overlap_of(p, best, a))
            best = t;
    return best;
}

static void claim_closest(const struct picture *p, double *match)
{
    for (int64_t t = 0; t < p->count; t++) {
        int64_t first = -1;

        for (int64_t a = 0; a < p->anchors; a++)
            if (overlap_of(p, t, a) > (first < 0 ? 0 : overlap_of(p, t, first)))
                first = a;
        if (first >= 0)
            match[first] = (double)best_of(p, first);
    }
}

/* Whether a box has an anchor, or an anchor a box, among the first `pairs` ones. */
static bool is_in(int64_t what, const int64_t *list, int64_t pairs)
{
    for (int64_t i = 0; i < pairs; i++)
        if (list[i] == what)
            return true;
    return false;
}

/* The largest overlap of all pairs that are left, over and over. */
static void claim_own(const struct picture *p, double *match)
{
    int64_t truth[256], anchor[256];

    for (int64_t pairs = 0; pairs < p->count; pairs++) {
        double most = 0;
        for (int64_t t = 0; t < p->count; t++)
            for (int64_t a = 0; a < p->anchors; a++)
                if (overlap_of(p, t, a) > most && !is_in(t, truth, pairs) && !is_in(a, anchor, pairs)) {
                    most = overlap_of(p, t, a);
                    truth[pairs] = t;
                    anchor[pairs] = a;
                }
        if (most <= 0)
            return;
        match[anchor[pairs]] = (double)truth[pairs];
    }
}

static void expect_truths(const struct check_case *one, const struct check_values *v, double *y)
{
    const double positive = (double)one->a[0] / 10, negative = (double)one->a[1] / 10;

    for (int64_t n = 0; n < one->n[0]; n++, y += one->n[2]) {
        const struct picture p = {v->real[0] + n * one->n[1] * one->n[2], (int64_t)v->whole[0][n], one->n[2]};
        for (int64_t a = 0; a < p.anchors; a++) {
            const int64_t best = best_of(&p, a);
            const double most = best < 0 ? -1 : overlap_of(&p, best, a);
            y[a] = most >= positive  ? (double)best
                   : most < negative ? KILN_ASSIGN_NEGATIVE
                                     : KILN_ASSIGN_IGNORED;
        }
        if (one->a[2] == KILN_CLAIM_CLOSEST)
            claim_closest(&p, y);
        if (one->a[2] == KILN_CLAIM_OWN)
            claim_own(&p, y);
    }
}

/* Anchors of about half the pairs may stand for the box. */
static void assign_best(struct check_graph *c)
{
    const kiln_tensor metric = check_real_in(c, check_shape_of(c), -0.5, 0.5),
                      overlap = check_real_in(c, check_shape_of(c), 0, 1);
    check_add(c, kiln_assign_best(c->g, metric, overlap, (int)c->a[0]));
}

/* A match: a third of it positive. */
static kiln_tensor match_of(struct check_graph *c)
{
    const double truths = (double)c->n[1];
    const kiln_tensor drawn = check_whole(c, KILN_SHAPE(c->n[0], c->n[2]), -2 * truths, truths);

    return kiln_max(c->g, drawn, kiln_scalar(c->g, KILN_I32, -2));
}

static void assigned(struct check_graph *c)
{
    const kiln_tensor values = check_operand(c, KILN_SHAPE(c->n[0], c->n[1], 4));
    check_result(c, kiln_assigned(c->g, values, match_of(c)));
}

static void hard_negatives(struct check_graph *c)
{
    const kiln_tensor loss = check_real(c, KILN_SHAPE(c->n[0], c->n[2]));
    check_add(c, kiln_hard_negatives(c->g, loss, match_of(c), (double)c->a[0], (int)c->a[1]));
}

static void sample_balanced(struct check_graph *c)
{
    const kiln_balance_params p = {.count = (int)c->a[0], .fraction = (double)c->a[1] / 4};
    const kiln_tensor draw = check_real_in(c, KILN_SHAPE(c->n[0], c->n[2]), 0, 1);
    kiln_tensor index;

    check_add(c, kiln_sample_balanced(c->g, match_of(c), draw, &p, &index));
    check_add(c, index);
}

const struct check_op check_assign[] = {
    {.name = "assign_truths",
     .types = CHECK_F32,
     .shapes = shapes,
     .attributes = claims,
     .build = assign_truths,
     .expect = expect_truths},
    {.name = "assign_best", .types = CHECK_F32, .shapes = shapes, .attributes = bests, .build = assign_best},
    {.name = "assigned", .types = CHECK_REALS, .shapes = shapes, .build = assigned},
    {.name = "hard_negatives",
     .types = CHECK_F32,
     .shapes = shapes,
     .attributes = ratios,
     .build = hard_negatives},
    {.name = "sample_balanced",
     .types = CHECK_F32,
     .shapes = shapes,
     .attributes = counts,
     .build = sample_balanced},
    {0},
};
