/* average_precision.c - detections against pycocotools and the VOC development kit, by hand, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/metrics.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/vec.h"
#include "config.h"

/* Goldens ------------------------------------------------------------------------------------------------ */

struct picture {
    KILN_VEC(kiln_scene_object) objects;
    KILN_VEC(kiln_detection) found;
};

static double number_of(const struct kiln_json *item)
{
    double number = NAN;

    cr_assert(kiln_json_number(item, &number));
    return number;
}

static void read_numbers(const struct kiln_json *list, double *to, int count)
{
    const struct kiln_json *item = kiln_json_first(list);

    for (int i = 0; i < count; i++, item = kiln_json_next(item))
        to[i] = number_of(item);
    cr_assert_null(item);
}

static void read_picture(const struct kiln_json *item, struct picture *p)
{
    double n[8];

    for (const struct kiln_json *o = kiln_json_first(kiln_json_find(item, "objects")); o;
         o = kiln_json_next(o)) {
        read_numbers(o, n, 8);
        cr_assert(kiln_vec_push(&p->objects, (kiln_scene_object){.box = {(float)n[0], (float)n[1],
                                                                         (float)n[2], (float)n[3]},
                                                                 .class_index = (int)n[4],
                                                                 .crowd = n[5] != 0,
                                                                 .difficult = n[6] != 0,
                                                                 .area = (float)n[7]}));
    }
    for (const struct kiln_json *f = kiln_json_first(kiln_json_find(item, "found")); f;
         f = kiln_json_next(f)) {
        read_numbers(f, n, 6);
        cr_assert(kiln_vec_push(&p->found,
                                (kiln_detection){.box = {(float)n[0], (float)n[1], (float)n[2], (float)n[3]},
                                                 .class_index = (int)n[4],
                                                 .score = (float)n[5]}));
    }
}

/* Count all pictures of a case. */
static kiln_detection_score *count_case(const struct kiln_json *one, kiln_score_by by, int classes)
{
    kiln_detection_score *score;

    cr_assert_eq(kiln_detection_score_create(&score, classes, &(kiln_detection_score_params){.by = by}),
                 KILN_OK);
    for (const struct kiln_json *i = kiln_json_first(kiln_json_find(one, "pictures")); i;
         i = kiln_json_next(i)) {
        struct picture p = {{0}, {0}};
        read_picture(i, &p);
        for (int o = 0; o < p.objects.count && by == KILN_SCORE_COCO; o++)
            p.objects.data[o].difficult = false; /* which COCO's evaluator does not know */
        cr_assert_eq(kiln_detection_score_add(score, p.objects.data, p.objects.count, p.found.data,
                                              p.found.count),
                     KILN_OK);
        kiln_vec_finish(&p.objects);
        kiln_vec_finish(&p.found);
    }
    return score;
}

/* 1e-12: the same numbers in float64, added in another order. */
static void expect_number(double got, double want, const char *name, const char *what, int i)
{
    cr_expect(fabs(got - want) <= 1e-12, "%s: %s %d is %.15g, wanted %.15g", name, what, i, got, want);
}

static void check_coco(const struct kiln_json *one, const char *name, int classes)
{
    static const struct {
        bool recall;
        kiln_score_query query;
    } rows[12] = {{false, {0}},
                  {false, {.overlap = 0.5}},
                  {false, {.overlap = 0.75}},
                  {false, {.area = KILN_AREA_SMALL}},
                  {false, {.area = KILN_AREA_MEDIUM}},
                  {false, {.area = KILN_AREA_LARGE}},
                  {true, {.most = 1}},
                  {true, {.most = 10}},
                  {true, {0}},
                  {true, {.area = KILN_AREA_SMALL}},
                  {true, {.area = KILN_AREA_MEDIUM}},
                  {true, {.area = KILN_AREA_LARGE}}};
    const struct kiln_json *want = kiln_json_find(one, "coco");
    kiln_detection_score *score = count_case(one, KILN_SCORE_COCO, classes);
    double number[12], each[2][8], curve[KILN_RECALLS], got[KILN_RECALLS];

    read_numbers(kiln_json_find(want, "summary"), number, 12);
    read_numbers(kiln_json_find(want, "by_class"), each[0], classes);
    read_numbers(kiln_json_find(want, "by_class_50"), each[1], classes);
    read_numbers(kiln_json_find(want, "curve_50"), curve, KILN_RECALLS);
    for (int i = 0; i < 12; i++)
        expect_number(rows[i].recall ? kiln_detection_score_recall(score, &rows[i].query)
                                     : kiln_detection_score_precision(score, &rows[i].query),
                      number[i], name, "number", i);
    for (int c = 0; c < classes; c++)
        for (int k = 0; k < 2; k++)
            expect_number(kiln_detection_score_precision(score, &(kiln_score_query){.overlap = k ? 0.5 : 0,
                                                                                    .class_number = c + 1}),
                          each[k][c], name, "class", c);
    cr_expect_eq(kiln_detection_score_curve(score, &(kiln_score_query){.class_number = 1}, got), KILN_OK);
    for (int i = 0; i < KILN_RECALLS; i++)
        expect_number(got[i], fmax(curve[i], 0), name, "point", i);
    kiln_detection_score_destroy(&score);
}

static void check_voc(const struct kiln_json *one, const char *key, kiln_score_by by, const char *name,
                      int classes)
{
    const struct kiln_json *want = kiln_json_find(one, key);
    kiln_detection_score *score = count_case(one, by, classes);
    double each[8];

    read_numbers(kiln_json_find(want, "by_class"), each, classes);
    expect_number(kiln_detection_score_precision(score, NULL), number_of(kiln_json_find(want, "mean")), name,
                  key, -1);
    for (int c = 0; c < classes; c++)
        expect_number(kiln_detection_score_precision(score, &(kiln_score_query){.class_number = c + 1}),
                      each[c], name, key, c);
    kiln_detection_score_destroy(&score);
}

Test(average_precision, is_that_of_the_standard_evaluators)
{
    const char *folder = getenv("KILN_TEST_ROOT");
    struct kiln_json *root;
    char path[1024];
    int cases = 0;

    if (!KILN_HAVE_JSON)
        cr_skip("this kiln has no cJSON");
    snprintf(path, sizeof path, "%s/golden/detections.json", folder ? folder : "tests");
    cr_assert_eq(kiln_json_open(&root, path), KILN_OK);
    for (const struct kiln_json *one = kiln_json_first(root); one; one = kiln_json_next(one), cases++) {
        const char *name = kiln_json_text(kiln_json_find(one, "name"));
        const int classes = (int)number_of(kiln_json_find(one, "classes"));
        check_coco(one, name, classes);
        check_voc(one, "voc", KILN_SCORE_VOC, name, classes);
        check_voc(one, "voc_2007", KILN_SCORE_VOC_2007, name, classes);
    }
    cr_expect_eq(cases, 11);
    kiln_json_close(&root);
}

/* By hand ------------------------------------------------------------------------------------------------ */

static const kiln_scene_object there[] = {{.box = {0, 0, 100, 100}, .area = 10000},
                                          {.box = {200, 0, 300, 100}, .area = 10000}};

Test(average_precision, of_one_right_one_wrong_and_one_missing)
{
    const kiln_detection found[] = {{.box = {0, 0, 100, 90}, .score = 0.9f},
                                    {.box = {0, 200, 50, 300}, .score = 0.95f}};
    kiln_detection_score *score;

    cr_assert_eq(kiln_detection_score_create(&score, 1, NULL), KILN_OK);
    cr_expect_eq(kiln_detection_score_precision(score, NULL), -1);
    cr_assert_eq(kiln_detection_score_add(score, there, 2, found, 2), KILN_OK);
    /* the best so many have recall 0, then 1/2 at precision 1/2: 51 of the 101 points */
    expect_number(kiln_detection_score_precision(score, &(kiln_score_query){.overlap = 0.5}), 0.5 * 51 / 101,
                  "hand", "50", 0);
    expect_number(kiln_detection_score_precision(score, &(kiln_score_query){.overlap = 0.9}), 0.5 * 51 / 101,
                  "hand", "90", 0);
    expect_number(kiln_detection_score_precision(score, &(kiln_score_query){.overlap = 0.95}), 0, "hand",
                  "95", 0);
    expect_number(kiln_detection_score_precision(score, NULL), 0.9 * 0.5 * 51 / 101, "hand", "mean", 0);
    expect_number(kiln_detection_score_recall(score, &(kiln_score_query){.overlap = 0.5}), 0.5, "hand",
                  "recall", 0);
    expect_number(kiln_detection_score_recall(score, &(kiln_score_query){.overlap = 0.5, .most = 1}), 0,
                  "hand", "best", 0);
    kiln_detection_score_reset(score);
    cr_expect_eq(kiln_detection_score_precision(score, NULL), -1);
    kiln_detection_score_destroy(&score);
    kiln_detection_score_destroy(&score);
}

Test(average_precision, voc_counts_an_overlap_above_its_threshold_alone)
{
    const kiln_detection half = {.box = {0, 0, 100, 50}, .score = 1};
    kiln_detection_score *score;

    cr_assert_eq(kiln_detection_score_create(&score, 1, &(kiln_detection_score_params){.by = KILN_SCORE_VOC}),
                 KILN_OK);
    cr_assert_eq(kiln_detection_score_add(score, there, 1, &half, 1), KILN_OK);
    cr_expect_eq(kiln_detection_score_precision(score, NULL), 0);
    kiln_detection_score_destroy(&score);
    cr_assert_eq(kiln_detection_score_create(
                     &score, 1, &(kiln_detection_score_params){.by = KILN_SCORE_VOC, .overlap = 0.45}),
                 KILN_OK);
    cr_assert_eq(kiln_detection_score_add(score, there, 1, &half, 1), KILN_OK);
    expect_number(kiln_detection_score_precision(score, NULL), 1, "hand", "voc", 0);
    kiln_detection_score_destroy(&score);
}

Test(average_precision, voc_takes_the_first_of_objects_that_are_overlapped_alike)
{
    kiln_scene_object twins[] = {there[0], there[0]};
    const kiln_detection found = {.box = {0, 0, 100, 100}, .score = 1};
    kiln_detection_score *score;

    for (int first = 0; first < 2; first++) {
        twins[first].difficult = true;
        twins[1 - first].difficult = false;
        cr_assert_eq(kiln_detection_score_create(&score, 1,
                                                 &(kiln_detection_score_params){.by = KILN_SCORE_VOC}),
                     KILN_OK);
        cr_assert_eq(kiln_detection_score_add(score, twins, 2, &found, 1), KILN_OK);
        cr_expect_eq(kiln_detection_score_precision(score, NULL) > 0.5, first == 1, "difficult is object %d",
                     first);
        kiln_detection_score_destroy(&score);
    }
}

static void append(void *user, const char *text)
{
    strcat(user, text);
}

Test(average_precision, prints_a_table)
{
    static const char *const names[] = {"dog", "cat"};
    const kiln_detection found = {.box = {0, 0, 100, 100}, .score = 1};
    char text[4096] = "";
    kiln_detection_score *score;

    cr_assert_eq(kiln_detection_score_create(&score, 2, NULL), KILN_OK);
    cr_assert_eq(kiln_detection_score_add(score, there, 1, &found, 1), KILN_OK);
    cr_assert_eq(kiln_detection_score_print(score, names, append, text), KILN_OK);
    cr_expect_not_null(strstr(text, "average precision  0.50:0.95  all       100   1.0000\n"), "%s", text);
    cr_expect_not_null(strstr(text, "average recall     0.50:0.95  small     100  -1.0000\n"), "%s", text);
    cr_expect_not_null(strstr(text, "dog                        1     1.0000   1.0000\n"), "%s", text);
    cr_expect_not_null(strstr(text, "cat                        0    -1.0000  -1.0000\n"), "%s", text);
    cr_expect_not_null(strstr(text, "mean                       1     1.0000   1.0000\n"), "%s", text);
    kiln_detection_score_destroy(&score);
}

Test(average_precision, refuses_what_cannot_be_counted)
{
    const kiln_detection nan = {.score = NAN}, other = {.class_index = 1};
    const kiln_scene_object strange = {.class_index = -1};
    double curve[KILN_RECALLS];
    kiln_detection_score *score;

    catch_lines();
    cr_expect_eq(kiln_detection_score_create(&score, 0, NULL), KILN_ERROR_ARGUMENT);
    cr_expect_null(score);
    cr_expect_eq(kiln_detection_score_create(&score, 1, &(kiln_detection_score_params){.overlap = 2}),
                 KILN_ERROR_ARGUMENT);
    cr_assert_eq(kiln_detection_score_create(&score, 1, NULL), KILN_OK);
    cr_expect_eq(kiln_detection_score_add(score, there, 2, &nan, 1), KILN_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(lines.newest, "detection 0 is no finite number"));
    cr_expect_eq(kiln_detection_score_add(score, there, 2, &other, 1), KILN_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(lines.newest, "detection 0 is of class 1, there are 1"));
    cr_expect_eq(kiln_detection_score_add(score, &strange, 1, NULL, 0), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_detection_score_precision(score, NULL), -1, "nothing was counted");
    cr_expect_eq(kiln_detection_score_precision(score, &(kiln_score_query){.overlap = 0.52}), -1);
    cr_expect_not_null(strstr(lines.newest, "0.52 was not counted"));
    cr_expect_eq(kiln_detection_score_curve(score, NULL, curve), KILN_ERROR_ARGUMENT);
    kiln_detection_score_destroy(&score);
}
