/* cases_detection.c - boxes: formats, codes, overlap, suppression, proposals. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/families.h"

/* Formats and codes -------------------------------------------------------------------------------------- */

/* Pictures, boxes */
static const struct check_shape lists[] = {
    {"1x1", "a lone box"},        {"2x7", "primes"},
    {"1x64", "a group"},          {"3x65", "one past a group"},
    {"1x1031", "many"},           {"131x3", "many lists"},
    {"5x130", "past two groups"}, {"0x5", "no lists"},
    {"3x0", "no boxes"},          {0},
};

static kiln_tensor any_boxes(struct check_graph *c)
{
    return check_operand(c, KILN_SHAPE(c->n[0], c->n[1], 4));
}

/* Centres in the square of side 2, sides of 0.3 to 1. */
static kiln_tensor sized_boxes(struct check_graph *c, kiln_shape rows, kiln_box_format format)
{
    rows.size[rows.rank++] = 2;
    const kiln_tensor both[] = {check_operand(c, rows), check_operand_in(c, rows, 0.3, 1)};
    return kiln_box_convert(c->g, kiln_concat(c->g, both, 2, -1), KILN_BOX_CENTRES, format);
}

static const struct check_attributes conversions[] = {
    {"corners-to-centres", {KILN_BOX_CORNERS, KILN_BOX_CENTRES}},
    {"corners-to-sides", {KILN_BOX_CORNERS, KILN_BOX_SIDES}},
    {"centres-to-corners", {KILN_BOX_CENTRES, KILN_BOX_CORNERS}},
    {"centres-to-sides", {KILN_BOX_CENTRES, KILN_BOX_SIDES}},
    {"sides-to-corners", {KILN_BOX_SIDES, KILN_BOX_CORNERS}},
    {"sides-to-centres", {KILN_BOX_SIDES, KILN_BOX_CENTRES}},
    {0},
};

static void box_convert(struct check_graph *c)
{
    check_result(c, kiln_box_convert(c->g, any_boxes(c), (kiln_box_format)c->a[0], (kiln_box_format)c->a[1]));
}

static void box_area(struct check_graph *c)
{
    check_result(c, kiln_box_area(c->g, any_boxes(c)));
}

static void box_clip(struct check_graph *c)
{
    check_result(c, kiln_box_clip(c->g, any_boxes(c), 0.6, 0.3));
}

static void box_clip_to(struct check_graph *c)
{
    const kiln_tensor sizes = check_operand_in(c, KILN_SHAPE(c->n[0], 2), 0.2, 0.7);
    check_result(c, kiln_box_clip_to(c->g, any_boxes(c), sizes));
}

/* a: whether differences have weights, the formats of boxes and anchors */
static const struct check_attributes codes[] = {
    {"plain", {0}},
    {"weights,centres", {1, KILN_BOX_CENTRES, KILN_BOX_CENTRES}},
    {"weights,sides", {1, KILN_BOX_SIDES, KILN_BOX_CORNERS}},
    {0},
};

static kiln_box_code code_of(const struct check_graph *c)
{
    kiln_box_code code = {.boxes = (kiln_box_format)c->a[1], .anchors = (kiln_box_format)c->a[2]};
    for (int i = 0; i < 4 && c->a[0]; i++)
        code.weights[i] = i < 2 ? 10 : 5;
    return code;
}

static void box_encode(struct check_graph *c)
{
    const kiln_box_code code = code_of(c);
    const kiln_tensor anchors = sized_boxes(c, KILN_SHAPE(c->n[1]), code.anchors);
    check_result(c, kiln_box_encode(c->g, sized_boxes(c, KILN_SHAPE(c->n[0], c->n[1]), code.boxes), anchors,
                                    &code));
}

static void box_decode(struct check_graph *c)
{
    const kiln_box_code code = code_of(c);
    const kiln_tensor anchors = sized_boxes(c, KILN_SHAPE(c->n[1]), code.anchors);
    check_result(c, kiln_box_decode(c->g, any_boxes(c), anchors, &code));
}

static const struct check_attributes yolos[] = {{"exponential", {KILN_YOLO_EXPONENTIAL}},
                                                {"square", {KILN_YOLO_SQUARE}},
                                                {"distances", {KILN_YOLO_DISTANCES}},
                                                {0}};

static void yolo_decode(struct check_graph *c)
{
    const kiln_tensor anchors = sized_boxes(c, KILN_SHAPE(c->n[1]), KILN_BOX_CORNERS);
    check_result(c, kiln_yolo_decode(c->g, any_boxes(c), anchors, 0.5, (kiln_yolo)c->a[0]));
}

/* Anchors ------------------------------------------------------------------------------------------------ */

/* Rows and columns of cells */
static const struct check_shape maps[] = {
    {"1x1", "one cell"},   {"3x5", "primes"},   {"1x65", "a row"},
    {"65x1", "a column"},  {"8x8", "a square"}, {"0x3", "no rows"},
    {"3x0", "no columns"}, {"37x41", "many"},   {0},
};

/* Beside an operand, so that they are not all that there is. */
static void anchors(struct check_graph *c)
{
    kiln_anchor_params p = {.stride = {16, 8}, .offset = 0.5};
    kiln_anchor_add_ratios(&p, (const double[]){16, 32}, 2, (const double[]){0.5, 1, 2}, 3);
    const kiln_tensor all = kiln_anchors(c->g, c->n[0], c->n[1], &p);
    check_result(c, kiln_add(c->g, all, check_operand(c, KILN_SHAPE(4))));
}

/* Overlap ------------------------------------------------------------------------------------------------ */

/* Rows, boxes, others */
static const struct check_shape pairs[] = {
    {"1x1x1", "a lone pair"},
    {"2x7x13", "primes"},
    {"1x65x1", "one past a group"},
    {"1x1x65", "one and many"},
    {"3x129x5", "many pairs"},
    {"131x1x1", "many rows"},
    {"1x67x257", "a large matrix"},
    {"0x2x3", "no rows"},
    {"2x0x3", "no boxes"},
    {"2x3x0", "no others"},
    {0},
};

/* a: which, and whether rows share the others */
static const struct check_attributes overlaps[] = {
    {"iou", {KILN_IOU}},
    {"giou", {KILN_GIOU}},
    {"diou", {KILN_DIOU}},
    {"ciou", {KILN_CIOU}},
    {"iou,shared", {KILN_IOU, 1}},
    {"ciou,shared", {KILN_CIOU, 1}},
    {0},
};

/* Differences would move alpha, which gradients take as a constant: those of CIOU are computed, not compared with any. */
static void overlap_result(struct check_graph *c, kiln_tensor y, const kiln_tensor x[2])
{
    kiln_tensor dx[2];
    if (c->a[0] != KILN_CIOU) {
        check_result(c, y);
        return;
    }
    check_add(c, y);
    kiln_gradient(c->g, kiln_sum(c->g, y, NULL), KILN_NONE, x, 2, dx);
    check_add(c, dx[0]);
    check_add(c, dx[1]);
}

static void box_overlap(struct check_graph *c)
{
    const kiln_tensor x[] = {sized_boxes(c, KILN_SHAPE(c->n[0], c->n[1]), KILN_BOX_CORNERS),
                             sized_boxes(c, c->a[1] ? KILN_SHAPE(c->n[2]) : KILN_SHAPE(c->n[0], c->n[2]),
                                         KILN_BOX_CORNERS)};
    overlap_result(c, kiln_box_overlap(c->g, x[0], x[1], (kiln_overlap)c->a[0]), x);
}

static void box_overlap_each(struct check_graph *c)
{
    const kiln_shape rows = KILN_SHAPE(c->n[0], c->n[1]);
    const kiln_tensor x[] = {sized_boxes(c, rows, KILN_BOX_CORNERS), sized_boxes(c, rows, KILN_BOX_CORNERS)};
    overlap_result(c, kiln_box_overlap_each(c->g, x[0], x[1], (kiln_overlap)c->a[0]), x);
}

static void box_loss(struct check_graph *c)
{
    const kiln_shape rows = KILN_SHAPE(c->n[0], c->n[1]);
    const kiln_tensor x[] = {sized_boxes(c, rows, KILN_BOX_CORNERS), sized_boxes(c, rows, KILN_BOX_CORNERS)};
    overlap_result(c, kiln_box_loss(c->g, x[0], x[1], (kiln_overlap)c->a[0]), x);
}

static bool has_one_list(const struct check_case *one)
{
    return !one->a[1];
}

static bool has_boxes(const struct check_case *one)
{
    return !one->a[1] && one->n[0] && one->n[1];
}

/* Suppression -------------------------------------------------------------------------------------------- */

/* Rows, boxes */
static const struct check_shape rows_of_boxes[] = {
    {"1x1", "a lone box"},
    {"3x2", "two boxes"},
    {"5x31", "less than a word"},
    {"2x32", "a word"},
    {"3x33", "one past a word"},
    {"2x65", "one past a tile"},
    {"1x129", "one past a group"},
    {"70x7", "many rows"},
    {"1x1031", "a long row"},
    {"0x5", "no rows"},
    {"3x0", "no boxes"},
    {"1x66001", "more than a mask is made of"},
    {0},
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

/* Of very many no more than some are kept. */
static bool is_short(const struct check_case *one)
{
    return one->n[1] < 10000 || one->a[3] > 0;
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

/* Proposals ---------------------------------------------------------------------------------------------- */

/* a: candidates, most, levels */
static const struct check_attributes proposing[] = {
    {"plain", {0}}, {"candidates=3,most=2", {3, 2}}, {"most=4,levels=2", {0, 4, 2}}, {0}};

/* An input, by which there is no gradient: low, low + 1/512, .., below high. */
static kiln_tensor fixed(struct check_graph *c, kiln_shape shape, double low, double high)
{
    const kiln_tensor x = kiln_cast(c->g, check_whole(c, shape, low * 512, high * 512), KILN_F32);
    return kiln_scale(c->g, x, 1. / 512);
}

static void proposals(struct check_graph *c)
{
    const int64_t first = c->n[1] / 2;
    const kiln_proposal_params p = {
        .sizes = fixed(c, KILN_SHAPE(2), 0.8, 1.2),
        .candidates = c->a[0],
        .most = c->a[1],
        .level_count = (int)c->a[2],
        .level = {first, c->n[1] - first},
        .least = 0.2,
        .overlap = 0.4,
    };
    const kiln_tensor scores = fixed(c, check_shape_of(c), 0, 1);
    const kiln_tensor parts[] = {fixed(c, KILN_SHAPE(c->n[1], 2), -1, 1),
                                 fixed(c, KILN_SHAPE(c->n[1], 2), 0.3, 1)};
    const kiln_tensor base =
        kiln_box_convert(c->g, kiln_concat(c->g, parts, 2, -1), KILN_BOX_CENTRES, KILN_BOX_CORNERS);
    kiln_tensor kept_scores, counts;
    check_result(c, kiln_proposals(c->g, scores, any_boxes(c), base, &p, &kept_scores, &counts));
    check_add(c, kept_scores);
    check_add(c, counts);
}

static bool has_anchors(const struct check_case *one)
{
    return one->n[1] > 0;
}

#define LIST(op, attributes_)                                                                    \
    {                                                                                            \
        .name = #op, .types = CHECK_F32, .shapes = lists, .attributes = attributes_, .build = op \
    }
#define PAIRS(op, fit)                                                                                     \
    {                                                                                                      \
        .name = #op, .types = CHECK_F32, .shapes = pairs, .attributes = overlaps, .fits = fit, .build = op \
    }

const struct check_op check_detection[] = {
    {.name = "anchors", .types = CHECK_F32, .shapes = maps, .build = anchors},
    LIST(box_area, NULL),
    LIST(box_clip, NULL),
    LIST(box_clip_to, NULL),
    LIST(box_convert, conversions),
    LIST(box_decode, codes),
    LIST(box_encode, codes),
    PAIRS(box_loss, has_boxes),
    PAIRS(box_overlap, NULL),
    PAIRS(box_overlap_each, has_one_list),
    LIST(yolo_decode, yolos),
    {.name = "proposals",
     .types = CHECK_F32,
     .shapes = lists,
     .attributes = proposing,
     .fits = has_anchors,
     .build = proposals},
    {.name = "nms",
     .types = CHECK_F32,
     .shapes = rows_of_boxes,
     .attributes = suppressions,
     .fits = is_short,
     .build = nms,
     .expect = expect_nms},
    {.name = "nms_rows",
     .types = CHECK_F32,
     .shapes = rows_of_boxes,
     .attributes = suppressions,
     .fits = is_short,
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
