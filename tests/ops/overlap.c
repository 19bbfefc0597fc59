/*
 * overlap.c - IoU and its relatives: known values, degenerate boxes, gradients, every device alike.
 * PyTorch's numbers: detection_golden.c.
 */
#include "support/support.h"

#include <math.h>

static const float some[] = {0, 0, 4, 2, 1, 1, 3, 5, 5, 5, 6, 6};
static const float others[] = {0, 0, 4, 2, 2, 0, 6, 2};

static kiln_tensor matrix(kiln_graph *g, const void *kind)
{
    return kiln_box_overlap(g, kiln_test_values(g, KILN_SHAPE(3, 4), some),
                            kiln_test_values(g, KILN_SHAPE(2, 4), others), *(const kiln_overlap *)kind);
}

/* 2 / pi times the difference of two boxes' angles, squared. */
static double turn(double w_a, double h_a, double w_b, double h_b)
{
    const double half_pi = acos(0), d = (atan(w_a / h_a) - atan(w_b / h_b)) / half_pi;
    return d * d;
}

static double weighted(double iou, double v)
{
    return v / (1 - iou + v) * v;
}

Test(overlap, known_values)
{
    kiln_overlap kind = KILN_IOU;
    const double iou[] = {1, 4. / 12, 2. / 14, 1. / 15, 0, 0};
    kiln_expect_values(matrix, &kind, iou, 6, 1e-12, "IoU");
    kind = KILN_GIOU;
    const double giou[] = {1, 4. / 12, 2. / 14 - 6. / 20, 1. / 15 - 10. / 25, -27. / 36, -15. / 24};
    kiln_expect_values(matrix, &kind, giou, 6, 1e-12, "GIoU");
    kind = KILN_DIOU;
    const double diou[] = {1,
                           4. / 12 - 4. / 40,
                           2. / 14 - 4. / 41,
                           1. / 15 - 8. / 50,
                           -(12.25 + 20.25) / 72,
                           -(2.25 + 20.25) / 52};
    kiln_expect_values(matrix, &kind, diou, 6, 1e-12, "DIoU");
    kind = KILN_CIOU;
    double ciou[6];
    const double v = turn(4, 2, 2, 4), w = turn(4, 2, 1, 1);
    const double by[] = {0, 0, v, v, w, w};
    for (int i = 0; i < 6; i++)
        ciou[i] = diou[i] - (by[i] > 0 ? weighted(iou[i], by[i]) : 0);
    kiln_expect_values(matrix, &kind, ciou, 6, 1e-12, "CIoU");
}

/* Boxes without area, of any kind: equal, within another, apart, turned inside out. */
static kiln_tensor degenerate(kiln_graph *g, const void *kind)
{
    static const float a[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 1, 1, 2, 0, 2, 4, 0, 0, 0, 0};
    static const float b[] = {1, 1, 1, 1, 0, 0, 2, 2, 4, 5, 4, 5, 0, 0, 2, 2, 0, 2, 4, 2, 0, 0, 1, 0};
    return kiln_box_overlap_each(g, kiln_test_values(g, KILN_SHAPE(6, 4), a),
                                 kiln_test_values(g, KILN_SHAPE(6, 4), b), *(const kiln_overlap *)kind);
}

static kiln_tensor their_gradient(kiln_graph *g, const void *kind)
{
    static const float a[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3,
                              1, 1, 2, 0, 2, 4, 0, 0, 0, 0, 0, 0, 2, 2};
    static const float b[] = {1, 1, 1, 1, 0, 0, 2, 2, 4, 5, 4, 5, 0, 0,
                              2, 2, 0, 2, 4, 2, 0, 0, 1, 0, 0, 0, 2, 2};
    const kiln_tensor x[] = {kiln_test_values(g, KILN_SHAPE(7, 4), a),
                             kiln_test_values(g, KILN_SHAPE(7, 4), b)};
    const kiln_tensor y = kiln_box_overlap_each(g, x[0], x[1], *(const kiln_overlap *)kind);
    kiln_tensor dx[2];
    kiln_gradient(g, kiln_sum(g, y, NULL), KILN_NONE, x, 2, dx);
    return kiln_sum(g, kiln_concat(g, dx, 2, 0), &(kiln_reduce_params){.axes = {1, {1}}});
}

Test(overlap, of_degenerate_boxes)
{
    kiln_overlap kind = KILN_IOU;
    kiln_expect_values(degenerate, &kind, (const double[]){0, 0, 0, 0, 0, 0}, 6, 0, "IoU");
    kind = KILN_GIOU;
    kiln_expect_values(degenerate, &kind, (const double[]){0, 0, -1, 0, -1, 0}, 6, 1e-12, "GIoU");
    kind = KILN_DIOU;
    kiln_expect_values(degenerate, &kind, (const double[]){0, 0, -1, -0.25, 0, -0.25}, 6, 1e-12, "DIoU");
    for (int i = 0; i < 4; i++) {
        kind = (kiln_overlap)i;
        kiln_expect_devices_agree(degenerate, &kind, false, 0, "values");
        kiln_expect_devices_agree(their_gradient, &kind, false, 0, "gradients");
    }
}

/* Awkward numbers of them -------------------------------------------------------------------------------- */

static const struct overlap_case {
    kiln_shape a, b;
    const char *why;
} cases[] = {
    {{2, {1, 4}}, {2, {1, 4}}, "one and one"},
    {{2, {7, 4}}, {2, {13, 4}}, "primes"},
    {{2, {65, 4}}, {2, {1, 4}}, "one past a group"},
    {{3, {3, 5, 4}}, {3, {3, 9, 4}}, "rows"},
    {{3, {3, 5, 4}}, {2, {9, 4}}, "others that rows share"},
    {{2, {5, 4}}, {4, {2, 3, 9, 4}}, "boxes that rows share"},
    {{2, {129, 4}}, {2, {257, 4}}, "many and many"},
    {{2, {5, 4}}, {2, {0, 4}}, "no others"},
    {{3, {0, 5, 4}}, {3, {0, 3, 4}}, "no rows"},
    {{2, {1031, 4}}, {2, {521, 4}}, "more than a window"},
    {{3, {5, 301, 4}}, {3, {5, 257, 4}}, "rows of more than a window"},
};

/* Boxes with sides of 0.3 to 1 in a square of 2. */
static kiln_tensor boxes(kiln_graph *g, kiln_shape shape)
{
    shape.size[shape.rank - 1] = 2;
    const kiln_tensor low = kiln_test_input(g, shape);
    const kiln_tensor both[] = {low, kiln_add(g, low, kiln_test_input_in(g, shape, 0.3, 1))};
    return kiln_concat(g, both, 2, -1);
}

static kiln_overlap wanted;

static kiln_tensor pairs(kiln_graph *g, const void *one_case)
{
    const struct overlap_case *c = one_case;
    return kiln_box_overlap(g, boxes(g, c->a), boxes(g, c->b), wanted);
}

static kiln_tensor each(kiln_graph *g, const void *one_case)
{
    const struct overlap_case *c = one_case;
    return kiln_box_overlap_each(g, boxes(g, c->a), boxes(g, c->a), wanted);
}

static kiln_tensor loss(kiln_graph *g, const void *one_case)
{
    const struct overlap_case *c = one_case;
    return kiln_box_loss(g, boxes(g, c->a), boxes(g, c->a), wanted);
}

Test(overlap, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        for (int kind = 0; kind < 4; kind++) {
            wanted = (kiln_overlap)kind;
            kiln_expect_devices_agree(pairs, &cases[i], i < 9, 0, cases[i].why);
            if (i < 5)
                kiln_expect_devices_agree(each, &cases[i], true, 0, cases[i].why);
        }
}

/* Of CIoU, whose alpha is a constant, PyTorch tells (detection_golden.c). */
Test(overlap, gradients)
{
    for (size_t i = 0; i < 6; i++)
        for (int kind = 0; kind < 3; kind++) {
            wanted = (kiln_overlap)kind;
            kiln_expect_gradient(pairs, &cases[i], cases[i].why);
            if (i < 4) {
                kiln_expect_gradient(each, &cases[i], cases[i].why);
                kiln_expect_gradient(loss, &cases[i], cases[i].why);
            }
        }
}

Test(overlap, refuses_what_does_not_fit)
{
    kiln_graph *g;
    cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
    kiln_box_overlap(g, kiln_input(g, "a", KILN_F32, KILN_SHAPE(3, 4)),
                     kiln_input(g, "b", KILN_F32, KILN_SHAPE(3, 5)), KILN_IOU);
    cr_expect(ne(int, kiln_graph_status(g), KILN_OK));
    kiln_graph_destroy(&g);
    cr_assert(eq(int, kiln_graph_create(&g, NULL), KILN_OK));
    kiln_box_overlap_each(g, kiln_input(g, "a", KILN_F32, KILN_SHAPE(3, 4)),
                          kiln_input(g, "b", KILN_F32, KILN_SHAPE(2, 4)), KILN_IOU);
    cr_expect(ne(int, kiln_graph_status(g), KILN_OK));
    kiln_graph_destroy(&g);
}
