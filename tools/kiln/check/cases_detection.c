/* cases_detection.c - boxes: their suppression. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/families.h"

/* Suppression -------------------------------------------------------------------------------------------- */

/* Rows, boxes */
static const struct check_shape rows_of_boxes[] = {
    {"1x1", "a lone box"},         {"3x2", "two boxes"},
    {"5x31", "less than a word"},  {"2x32", "a word"},
    {"3x33", "one past a word"},   {"2x65", "one past a tile"},
    {"1x129", "one past a group"}, {"70x7", "many rows"},
    {"1x1031", "a long row"},      {"0x5", "no rows"},
    {"3x0", "no boxes"},           {0},
};

/* a: method, overlap and score in hundredths (0: as nothing given), most, candidates, centres, classes */
static const struct check_attributes suppressions[] = {
    {"plain", {0}},
    {"overlap=0.1,classes", {0, 10, 0, 0, 0, 0, 3}},
    {"overlap=0.3,most=7", {0, 30, 0, 7}},
    {"score=0.5,centres", {0, 20, 50, 0, 0, 1}},
    {"linear", {KILN_NMS_LINEAR, 10, 30}},
    {"linear,most=5,classes", {KILN_NMS_LINEAR, 30, 20, 5, 0, 0, 2}},
    {"gaussian", {KILN_NMS_GAUSSIAN, 0, 40}},
    {0},
};

static kiln_nms_params suppression_of(const int64_t *a)
{
    return (kiln_nms_params){
        .method = (kiln_nms_method)a[0],
        .overlap = (double)a[1] / 100,
        .score = (double)a[2] / 100,
        .most = a[3],
        .candidates = a[4],
        .centres = a[5],
    };
}

/* Any two opposite corners; or centres, and sizes that may be negative. */
static kiln_tensor boxes(struct check_graph *c, kiln_shape rows)
{
    rows.size[rows.rank++] = 4;
    return check_operand(c, rows);
}

static void nms_rows(struct check_graph *c)
{
    const kiln_nms_params p = suppression_of(c->a);
    const kiln_shape rows = check_shape_of(c);
    const kiln_tensor all = boxes(c, rows), scores = check_real_in(c, rows, 0, 1),
                      classes = c->a[6] ? check_whole(c, rows, 0, (double)c->a[6]) : KILN_NONE;
    kiln_tensor kept_scores, counts;

    check_add(c, kiln_nms_rows(c->g, all, scores, classes, &p, &kept_scores, &counts));
    check_add(c, kept_scores);
    check_add(c, counts);
}

/* Intersection over union of a and b, as float32 has it. */
static float overlap_of(const double *a, const double *b, bool centres)
{
    float low[2][2], high[2][2], side[2], area[2];

    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 2; i++) {
            const float first = (float)(k ? b : a)[i], second = (float)(k ? b : a)[2 + i];
            const float one = centres ? first - second / 2 : first,
                        other = centres ? first + second / 2 : second;
            low[k][i] = fminf(one, other);
            high[k][i] = fmaxf(one, other);
        }
    for (int i = 0; i < 2; i++) {
        side[i] = fmaxf(fminf(high[0][i], high[1][i]) - fmaxf(low[0][i], low[1][i]), 0);
        area[i] = (high[i][0] - low[i][0]) * (high[i][1] - low[i][1]);
    }
    const float both = side[0] * side[1];
    return both > 0 ? both / (area[0] + area[1] - both) : 0;
}

static double decay_of(const kiln_nms_params *p, float overlap)
{
    const bool competes = overlap > (float)(p->overlap > 0 ? p->overlap : 0.5);

    if (p->method == KILN_NMS_GAUSSIAN)
        return exp(-(double)overlap * overlap / 0.5);
    return !competes ? 1 : p->method == KILN_NMS_HARD ? 0 : 1 - (double)overlap;
}

/* The best, which lowers the others, and so on; scores are above 0. Returns how many are kept. */
static int64_t suppress(const kiln_nms_params *p, int64_t count, const double *box, const double *score,
                        const double *class, int64_t room, double *kept)
{
    double *left = malloc((size_t)(count + 1) * sizeof *left);
    int64_t k = 0;

    if (left && count)
        memcpy(left, score, (size_t)count * sizeof *left);
    while (left && k < room) {
        int64_t best = 0;
        for (int64_t i = 1; i < count; i++)
            best = left[i] > left[best] ? i : best;
        if (!count || !(left[best] > p->score))
            break;
        kept[k++] = (double)best;
        left[best] = 0;
        for (int64_t i = 0; i < count; i++)
            if (!class || class[i] == class[best])
                left[i] *= decay_of(p, overlap_of(&box[4 * best], &box[4 * i], p->centres));
    }
    free(left);
    return k;
}

static void expect_nms_rows(const struct check_case *one, const struct check_values *v, double *y)
{
    const kiln_nms_params p = suppression_of(one->a);
    const int64_t count = one->n[1], room = p.most ? p.most : count;

    for (int64_t r = 0; r < one->n[0]; r++) {
        const double *class = one->a[6] ? v->whole[0] + r * count : NULL;
        int64_t k = suppress(&p, count, v->real[0] + 4 * r * count, v->real[1] + r * count, class, room,
                             y + r * room);
        while (k < room)
            y[r * room + k++] = KILN_NOWHERE;
    }
}

/* Of one row: how many, and which. */
static void nms(struct check_graph *c)
{
    const kiln_nms_params p = suppression_of(c->a);
    const kiln_shape row = KILN_SHAPE(c->n[0] * c->n[1]);
    const kiln_tensor all = boxes(c, row), scores = check_real_in(c, row, 0, 1),
                      classes = c->a[6] ? check_whole(c, row, 0, (double)c->a[6]) : KILN_NONE;
    kiln_tensor count;
    const kiln_tensor kept = kiln_nms(c->g, all, scores, classes, &p, &count);

    check_add(c, count);
    check_add(c, kept);
}

static void expect_nms(const struct check_case *one, const struct check_values *v, double *y)
{
    const kiln_nms_params p = suppression_of(one->a);
    const int64_t count = one->n[0] * one->n[1], room = p.most ? p.most : count;
    double *kept = malloc((size_t)(count + 1) * sizeof *kept);

    *y = kept ? (double)suppress(&p, count, v->real[0], v->real[1], one->a[6] ? v->whole[0] : NULL,
                                 room < count ? room : count, kept)
              : NAN;
    free(kept);
}

/* Pictures, classes, boxes */
static const struct check_shape classes_of_boxes[] = {
    {"1x1x1", "a lone box"},     {"2x3x5", "primes"},
    {"1x1x32", "a word"},        {"2x2x33", "one past a word"},
    {"1x20x65", "many classes"}, {"13x2x7", "many pictures"},
    {"1x3x257", "long rows"},    {"0x2x5", "no pictures"},
    {"2x3x0", "no boxes"},       {0},
};

static const struct check_attributes by_class[] = {
    {"plain", {0}},
    {"overlap=0.1,score=0.6,most=3", {0, 10, 60, 3}},
    {"candidates=2", {0, 10, 0, 0, 2}},
    {0},
};

static void nms_by_class(struct check_graph *c)
{
    const kiln_nms_params p = suppression_of(c->a);
    const kiln_tensor all = boxes(c, KILN_SHAPE(c->n[0], c->n[2]));
    kiln_tensor count;
    const kiln_tensor kept =
        kiln_nms_by_class(c->g, all, check_real_in(c, check_shape_of(c), 0, 1), &p, &count);

    check_add(c, count);
    check_add(c, kept);
}

static void expect_nms_by_class(const struct check_case *one, const struct check_values *v, double *y)
{
    const kiln_nms_params p = suppression_of(one->a);
    const int64_t count = one->n[2], most = p.most && p.most < count ? p.most : count;
    double *kept = malloc((size_t)(count + 1) * sizeof *kept),
           *score = malloc((size_t)(count + 1) * sizeof *score);

    *y = 0;
    for (int64_t r = 0; kept && score && r < one->n[0] * one->n[1]; r++) {
        const double *given = v->real[1] + r * count;
        for (int64_t i = 0; i < count; i++) { /* a candidate has fewer than so many before it */
            int64_t before = 0;
            for (int64_t k = 0; k < count; k++)
                before += given[k] > given[i] || (given[k] == given[i] && k < i);
            score[i] = !p.candidates || before < p.candidates ? given[i] : 0;
        }
        *y += (double)suppress(&p, count, v->real[0] + 4 * (r / one->n[1]) * count, score, NULL, most, kept);
    }
    free(kept);
    free(score);
}

const struct check_op check_detection[] = {
    {.name = "nms",
     .types = CHECK_F32,
     .shapes = rows_of_boxes,
     .attributes = suppressions,
     .build = nms,
     .expect = expect_nms},
    {.name = "nms_rows",
     .types = CHECK_F32,
     .shapes = rows_of_boxes,
     .attributes = suppressions,
     .build = nms_rows,
     .expect = expect_nms_rows},
    {.name = "nms_by_class",
     .types = CHECK_F32,
     .shapes = classes_of_boxes,
     .attributes = by_class,
     .build = nms_by_class,
     .expect = expect_nms_by_class},
    {0},
};
