/*
 * nms.c - non-maximum suppression: known values, both ways of computing it, the soft methods, classes, counts, every device alike.
 */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT 1e-30

/* Known values ------------------------------------------------------------------------------------------- */

/* Two piles of boxes and a box alone: 0, 1 and 2 overlap by 0.9 (0 with 1 and 1 with 2) and 0.8 (0 with 2). */
static const float piles[] = {
    0,  0,  10, 10, 0,  0,  10, 9,  0,  0,  10, 8,  20, 20,
    30, 30, 20, 20, 30, 29, 50, 50, 60, 60, 60, 60, 50, 50}; /* 6 is 5 by its other corners */
static const float their_scores[] = {0.5f, 0.9f, 0.7f, 0.6f, 0.6f, 0.2f, 0.1f};
static const int32_t their_classes[] = {0, 0, 1, 2, 2, 0, 1};

static kiln_tensor places(kiln_graph *g, const void *params)
{
    return kiln_nms(g, kiln_test_values(g, KILN_SHAPE(7, 4), piles),
                    kiln_test_values(g, KILN_SHAPE(7), their_scores), KILN_NONE, params, NULL);
}

static kiln_tensor places_by_class(kiln_graph *g, const void *params)
{
    const kiln_tensor classes = kiln_constant(
        g, &(kiln_array){.data = (void *)(uintptr_t)their_classes, .type = KILN_I32, .shape = KILN_SHAPE(7)});
    return kiln_nms(g, kiln_test_values(g, KILN_SHAPE(7, 4), piles),
                    kiln_test_values(g, KILN_SHAPE(7), their_scores), classes, params, NULL);
}

static kiln_tensor how_many(kiln_graph *g, const void *params)
{
    kiln_tensor count;
    kiln_nms(g, kiln_test_values(g, KILN_SHAPE(7, 4), piles),
             kiln_test_values(g, KILN_SHAPE(7), their_scores), KILN_NONE, params, &count);
    return count;
}

#define EXPECT(build, ...)                                                \
    do {                                                                  \
        const double want[] = {__VA_ARGS__};                              \
        kiln_expect_values(build, &p, want, KILN_COUNT(want), 0, #build); \
        kiln_expect_devices_agree(build, &p, false, EXACT, #build);       \
    } while (0)

Test(nms, known_values)
{
    kiln_nms_params p = {0};
    EXPECT(places, 1, 3, 5);
    EXPECT(how_many, 3);
    EXPECT(places_by_class, 1, 2, 3, 5, 6);
    p.overlap = 0.85; /* 0 and 2 overlap by less, but 1 with each by more */
    EXPECT(places, 1, 3, 5);
    p.overlap = 0.95;
    EXPECT(places, 1, 2, 3, 4, 0, 5);
    p.most = 4;
    EXPECT(places, 1, 2, 3, 4);
    EXPECT(how_many, 4);
    p.score = 0.6; /* not above it */
    EXPECT(places, 1, 2);
    p = (kiln_nms_params){.candidates = 2};
    EXPECT(places, 1);
}

/* An overlap of exactly the threshold does not suppress. */
static kiln_tensor at_the_threshold(kiln_graph *g, const void *params)
{
    static const float boxes[] = {0, 0, 10, 10, 0, 0, 10, 5, 0, 0, 10, 5.001f};
    return kiln_nms(g, kiln_test_values(g, KILN_SHAPE(3, 4), boxes),
                    kiln_test_values(g, KILN_SHAPE(3), (const float[]){3, 2, 1}), KILN_NONE, params, NULL);
}

static kiln_tensor of_centres(kiln_graph *g, const void *params)
{
    static const float boxes[] = {5, 5, 10, 10, 5, 4, 10, 8, 0, 0, 9, 9};
    return kiln_nms(g, kiln_test_values(g, KILN_SHAPE(3, 4), boxes),
                    kiln_test_values(g, KILN_SHAPE(3), (const float[]){3, 2, 1}), KILN_NONE, params, NULL);
}

/* Of empty boxes and scores that are no numbers: nothing suppresses an empty box, and NaN and -infinity are never kept. */
static kiln_tensor degenerate(kiln_graph *g, const void *params)
{
    static const float boxes[] = {5, 5, 5, 5, 5, 5, 5, 5, 0, 0, 9, 9, 0, 0, 9, 9, 1, 1, 3, 1, 0, 0, 9, 9};
    static const float scores[] = {1, 2, NAN, -INFINITY, 3, INFINITY};
    return kiln_nms(g, kiln_test_values(g, KILN_SHAPE(6, 4), boxes),
                    kiln_test_values(g, KILN_SHAPE(6), scores), KILN_NONE, params, NULL);
}

/* NaN comes first in the order, and candidates behind whole words of it. */
static kiln_tensor behind_nan(kiln_graph *g, const void *params)
{
    float boxes[4 * 70], scores[70];
    for (int i = 0; i < 70; i++) {
        const float box[] = {(float)i, 0, (float)i + 1, 1};
        memcpy(&boxes[4 * i], box, sizeof box);
        scores[i] = i < 66 ? NAN : (float)i;
    }
    return kiln_nms(g, kiln_test_values(g, KILN_SHAPE(70, 4), boxes),
                    kiln_test_values(g, KILN_SHAPE(70), scores), KILN_NONE, params, NULL);
}

Test(nms, edges)
{
    kiln_nms_params p = {0};
    EXPECT(at_the_threshold, 0, 1);
    EXPECT(degenerate, 5, 4, 1, 0);
    EXPECT(behind_nan, 69, 68, 67, 66);
    EXPECT(of_centres, 0, 1, 2);
    p.centres = true;
    EXPECT(of_centres, 0, 2);
}

/* Soft scores: box 1 keeps 0.9; 0.5 (1 - 0.9) and 0.7 (1 - 8/9) are left of 0 and 2. */
static kiln_tensor soft_scores(kiln_graph *g, const void *params)
{
    kiln_tensor scores;
    kiln_nms_rows(g, kiln_test_values(g, KILN_SHAPE(7, 4), piles),
                  kiln_test_values(g, KILN_SHAPE(7), their_scores), KILN_NONE, params, &scores, NULL);
    return scores;
}

Test(nms, soft_scores)
{
    kiln_nms_params p = {.method = KILN_NMS_LINEAR, .score = 0.07};
    const double linear[] = {0.9, 0.6, 0.2, 0.7 / 9, 0, 0, 0};
    kiln_expect_values(soft_scores, &p, linear, 7, 1e-7, "linear"); /* the scores are floats */
    kiln_expect_devices_agree(soft_scores, &p, false, 0, "linear");
    p = (kiln_nms_params){.method = KILN_NMS_GAUSSIAN, .sigma = 2, .most = 3};
    const double gaussian[] = {0.9, 0.6, 0.7 * exp(-64. / 81 / 2)};
    kiln_expect_values(soft_scores, &p, gaussian, 3, 1e-7, "gaussian");
    kiln_expect_devices_agree(soft_scores, &p, false, 0, "gaussian");
}

/* Rows --------------------------------------------------------------------------------------------------- */

static const struct rows_case {
    kiln_shape boxes, scores;
    double extent; /* of boxes, in a square of side 2: how much they overlap */
    bool classes;
    kiln_nms_params p;
    const char *why;
} cases[] = {
    {{2, {1, 4}}, {1, {1}}, 1, false, {0}, "a lone box"},
    {{2, {31, 4}}, {1, {31}}, 0.5, false, {0}, "less than a word"},
    {{2, {32, 4}}, {1, {32}}, 0.5, true, {.overlap = 0.3}, "a word"},
    {{2, {33, 4}}, {1, {33}}, 0.5, false, {.overlap = 0.2}, "one past a word"},
    {{3, {3, 65, 4}}, {2, {3, 65}}, 1, false, {.overlap = 0.1}, "one past a tile"},
    {{3, {3, 65, 4}}, {3, {3, 2, 65}}, 1, false, {.overlap = 0.1}, "classes that share boxes"},
    {{3, {2, 129, 4}}, {2, {2, 129}}, 0.3, true, {.most = 17}, "few are kept"},
    {{2, {1031, 4}}, {1, {1031}}, 0.2, false, {.score = 0.1}, "a long row"},
    {{2, {4111, 4}}, {1, {4111}}, 0.05, false, {.most = 300}, "many tiles"},
    {{2, {1031, 4}}, {1, {1031}}, 0.2, true, {.candidates = 200}, "few take part"},
    {{3, {70, 9, 4}}, {2, {70, 9}}, 1, true, {.centres = true}, "many rows"},
    {{3, {70, 9, 4}}, {2, {70, 9}}, 1, true, {.score = 2}, "no candidate"},
    {{3, {19, 997, 4}}, {2, {19, 997}}, 0.1, true, {.most = 33}, "masks of more than a window"},
    {{3, {3, 3001, 4}}, {2, {3, 3001}}, 0.1, false, {.most = 5}, "a mask of more than a window"},
    {{2, {0, 4}}, {1, {0}}, 1, false, {0}, "no box"},
    {{3, {0, 5, 4}}, {2, {0, 5}}, 1, false, {.most = 3}, "no row"},
    {{2, {200, 4}}, {1, {200}}, 0.5, false, {KILN_NMS_LINEAR, .score = 0.1}, "linear"},
    {{3, {3, 65, 4}}, {3, {3, 2, 65}}, 1, false, {KILN_NMS_LINEAR, .overlap = 0.2, .score = 0.05}, "linear"},
    {{3, {2, 129, 4}}, {2, {2, 129}}, 0.3, true, {KILN_NMS_GAUSSIAN, .score = 0.1, .most = 50}, "gaussian"},
};

static void operands(kiln_graph *g, const struct rows_case *c, kiln_tensor *boxes, kiln_tensor *scores,
                     kiln_tensor *classes)
{
    kiln_shape half = c->boxes;
    half.size[half.rank - 1] = 2;
    const kiln_tensor low = kiln_test_input(g, half), size = kiln_test_input_in(g, half, 0, c->extent);
    const kiln_tensor both[] = {low, c->p.centres ? size : kiln_add(g, low, size)};
    *boxes = kiln_concat(g, both, 2, -1);
    *scores = kiln_test_input_in(g, c->scores, 0, 1);
    *classes = c->classes ? kiln_test_index(g, c->scores, 3) : KILN_NONE;
}

static kiln_tensor kept(kiln_graph *g, const void *one_case)
{
    const struct rows_case *c = one_case;
    kiln_tensor boxes, scores, classes;
    operands(g, c, &boxes, &scores, &classes);
    return kiln_nms_rows(g, boxes, scores, classes, &c->p, NULL, NULL);
}

static kiln_tensor kept_scores(kiln_graph *g, const void *one_case)
{
    const struct rows_case *c = one_case;
    kiln_tensor boxes, scores, classes, kept_scores;
    operands(g, c, &boxes, &scores, &classes);
    kiln_nms_rows(g, boxes, scores, classes, &c->p, &kept_scores, NULL);
    return kept_scores;
}

static kiln_tensor counts(kiln_graph *g, const void *one_case)
{
    const struct rows_case *c = one_case;
    kiln_tensor boxes, scores, classes, counts;
    operands(g, c, &boxes, &scores, &classes);
    kiln_nms_rows(g, boxes, scores, classes, &c->p, NULL, &counts);
    return counts;
}

Test(nms, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_devices_agree(kept, &cases[i], false, EXACT, cases[i].why);
        kiln_expect_devices_agree(kept_scores, &cases[i], false, 0, cases[i].why);
        kiln_expect_devices_agree(counts, &cases[i], false, EXACT, cases[i].why);
    }
}

/* As many rounds of a shader's loops as some drivers take, and more than would be if each were of one box (kiln_caps.max_rounds). */
Test(nms, nearly_all_of_many_boxes_are_kept_on_every_device)
{
    const struct rows_case many = {{2, {28001, 4}}, {1, {28001}}, 1e-3, false, {0}, "many boxes"};
    kiln_expect_devices_agree(kept, &many, false, EXACT, many.why);
}

/* What is kept, by the definition: the best, without those that it suppresses. */
static bool competes(const double *a, const double *b, double overlap)
{
    const double w = fmax(fmin(a[2], b[2]) - fmax(a[0], b[0]), 0),
                 h = fmax(fmin(a[3], b[3]) - fmax(a[1], b[1]), 0);
    const double areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]);
    return w * h > overlap * (areas - w * h);
}

static kiln_tensor their_boxes(kiln_graph *g, const void *one_case)
{
    kiln_tensor boxes, scores, classes;
    operands(g, one_case, &boxes, &scores, &classes);
    return boxes;
}

static kiln_tensor boxes_scores(kiln_graph *g, const void *one_case)
{
    kiln_tensor boxes, scores, classes;
    operands(g, one_case, &boxes, &scores, &classes);
    return scores;
}

static void expect_definition(const struct rows_case *c)
{
    kiln_shape shape;
    double *boxes = kiln_test_eval(their_boxes, c, NULL, &shape),
           *scores = kiln_test_eval(boxes_scores, c, NULL, &shape),
           *got = kiln_test_eval(kept, c, NULL, &shape);
    for (int64_t k = 0; k < shape.size[0]; k++) {
        int64_t best = -1;
        for (int64_t i = 0; i < c->scores.size[0]; i++)
            if (scores[i] > c->p.score && (best < 0 || scores[i] > scores[best]))
                best = i;
        cr_expect(eq(dbl, got[k], best < 0 ? (double)INT32_MIN : (double)best), "%s: kept %d", c->why,
                  (int)k);
        for (int64_t i = 0; best >= 0 && i < c->scores.size[0]; i++)
            if (competes(&boxes[4 * best], &boxes[4 * i], c->p.overlap ? c->p.overlap : 0.5))
                scores[i] = -1;
    }
    free(boxes), free(scores), free(got);
}

Test(nms, keeps_what_its_definition_says)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        if (cases[i].boxes.rank == 2 && !cases[i].classes && cases[i].p.method == KILN_NMS_HARD)
            expect_definition(&cases[i]);
}

/* Soft scores that fall to nothing leave what the mask leaves: LINEAR beside equal boxes. */
static kiln_tensor copies(kiln_graph *g, const void *params)
{
    const kiln_tensor low = kiln_test_input(g, KILN_SHAPE(37, 1, 2));
    const kiln_tensor corners[] = {low, kiln_shift(g, low, 0.01)};
    const kiln_tensor boxes = kiln_repeat(g, kiln_concat(g, corners, 2, -1), 5, 1);
    return kiln_nms(g, kiln_reshape(g, boxes, KILN_SHAPE(185, 4)),
                    kiln_test_input_in(g, KILN_SHAPE(185), 0.1, 1), KILN_NONE, params, NULL);
}

Test(nms, both_ways_keep_the_same)
{
    kiln_shape shape, other;
    kiln_nms_params p = {.score = 1e-3, .overlap = 0.99};
    double *hard = kiln_test_eval(copies, &p, NULL, &shape);
    p.method = KILN_NMS_LINEAR;
    double *soft = kiln_test_eval(copies, &p, NULL, &other);
    cr_assert(eq(i64, shape.size[0], 37));
    cr_assert(eq(i64, other.size[0], 37));
    kiln_expect_close(soft, hard, 37, 0, "one of each");
    free(hard), free(soft);
    kiln_expect_devices_agree(copies, &p, false, EXACT, "linear");
}

/* By class, as ONNX has it ------------------------------------------------------------------------------- */

static kiln_tensor by_class(kiln_graph *g, const void *one_case)
{
    const struct rows_case *c = one_case;
    kiln_tensor boxes, scores, classes;
    operands(g, c, &boxes, &scores, &classes);
    return kiln_nms_by_class(g, boxes, scores, &c->p, NULL);
}

static const struct rows_case class_cases[] = {
    {{3, {2, 33, 4}}, {3, {2, 3, 33}}, 1, false, {.overlap = 0.1, .score = 0.3, .most = 5}, "some of each"},
    {{3, {1, 257, 4}}, {3, {1, 20, 257}}, 0.5, false, {.score = 0.9}, "few of many classes"},
    {{3, {3, 7, 4}}, {3, {3, 5, 7}}, 0.5, false, {.score = 2}, "none"},
};

Test(nms, by_class_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(class_cases); i++)
        kiln_expect_devices_agree(by_class, &class_cases[i], false, EXACT, class_cases[i].why);
}

static kiln_tensor two_pictures(kiln_graph *g, const void *params)
{
    static const float boxes[] = {0, 0, 2, 2, 0, 0, 2, 1.9f, 4, 4, 6, 6, 0, 0, 1, 1, 3, 3, 4, 4, 0, 0, 1, 1};
    static const float scores[] = {0.3f, 0.4f, 0.5f, 0.9f, 0.1f, 0.2f, 0.6f, 0.7f, 0.8f, 0.0f, 0.0f, 0.4f};
    return kiln_nms_by_class(g, kiln_test_values(g, KILN_SHAPE(2, 3, 4), boxes),
                             kiln_test_values(g, KILN_SHAPE(2, 2, 3), scores), params, NULL);
}

Test(nms, by_class_known_values)
{
    const kiln_nms_params p = {.score = 0.05};
    EXPECT(two_pictures, 0, 0, 2, 0, 0, 1, 0, 1, 0, 0, 1, 2, 1, 0, 2, 1, 0, 1, 1, 1, 2);
}

/* Sizes that depend on data ------------------------------------------------------------------------------- */

/* Of boxes that were selected before: their count is the run's. */
static kiln_tensor of_selected(kiln_graph *g, const void *params)
{
    const kiln_tensor boxes = kiln_test_values(g, KILN_SHAPE(7, 4), piles),
                      scores = kiln_test_values(g, KILN_SHAPE(7), their_scores);
    const kiln_tensor most = kiln_less(g, scores, kiln_scalar(g, KILN_F32, 0.65)); /* 0, 3, 4, 5 and 6 */
    return kiln_nms(g, kiln_compress(g, boxes, most, 0), kiln_compress(g, scores, most, 0), KILN_NONE, params,
                    NULL);
}

/* Chosen boxes again: gather by a count. */
static kiln_tensor area_kept(kiln_graph *g, const void *params)
{
    const kiln_tensor boxes = kiln_test_values(g, KILN_SHAPE(7, 4), piles);
    return kiln_sum(g, kiln_gather(g, boxes, places(g, params), 0), NULL);
}

Test(nms, of_and_to_sizes_that_depend_on_data)
{
    const kiln_nms_params p = {0};
    EXPECT(of_selected, 1, 0, 3); /* of equal scores the first */
    EXPECT(area_kept, 19 + 100 + 220);
}

/* Errors ------------------------------------------------------------------------------------------------- */

static void expect_refused(kiln_shape boxes, kiln_shape scores, const kiln_nms_params *p)
{
    kiln_graph *g;
    cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
    kiln_nms_rows(g, kiln_input(g, "boxes", KILN_F32, boxes), kiln_input(g, "scores", KILN_F32, scores),
                  KILN_NONE, p, NULL, NULL);
    cr_expect(ne(int, kiln_graph_status(g), KILN_OK));
    kiln_graph_destroy(&g);
}

Test(nms, refuses_what_does_not_fit)
{
    expect_refused(KILN_SHAPE(4), KILN_SCALAR, NULL);
    expect_refused(KILN_SHAPE(7, 5), KILN_SHAPE(7), NULL);
    expect_refused(KILN_SHAPE(2, 7, 4), KILN_SHAPE(3, 7), NULL);
    expect_refused(KILN_SHAPE(7, 4), KILN_SHAPE(7), &(kiln_nms_params){.most = -1});
    expect_refused(KILN_SHAPE(7, 4), KILN_SHAPE(7), &(kiln_nms_params){.candidates = -1});
}
