/*
 * yolo.c - a detector of one stage without anchor boxes: each cell of three maps tells the distances to the sides of a box around its
 * centre (Tian 2019, FCOS), and how well it fits a box of each class.
 *
 * Which cells learn which box is decided by what they say of it so far (Feng 2021, TOOD; YOLOv8): those within it of the largest
 *
 *   score^0.5 IoU^6
 *
 * and the score that such a cell learns to give is that, scaled so that the best cell of a box learns its overlap. Scores so say how
 * well a box fits, which is what suppression goes by.
 */
#include "detect.h"

#include <math.h>
#include <stdio.h>

enum {
    WIDTH = 64, /* channels of the pyramid and the heads */
    BEST = 10,  /* cells that a box has at the most */
};
static const double box_share = 2.5; /* of the loss of boxes beside that of scores */

/* What all cells say -------------------------------------------------------------------------------------- */

struct cells {
    kiln_tensor anchors; /* [A, 4]: the cells themselves */
    kiln_tensor boxes;   /* [N, A, 4] */
    kiln_tensor logits;  /* [N, A, C] */
};

/* At first a box is some 4 cells wide, and nothing is likely. */
static kiln_tensor level_head(kiln_graph *g, kiln_tensor x, int level, int classes)
{
    float bias[4 + MOST_CLASSES];
    char name[16];
    for (int i = 0; i < 4 + classes; i++)
        bias[i] = i < 4 ? 2 : -4;
    snprintf(name, sizeof name, "head%d", level + 1);
    return rows_of(g,
                   head(g, x, name, WIDTH, 4 + classes,
                        &(kiln_array){.data = bias, .shape = KILN_SHAPE(4 + classes)}),
                   4 + classes);
}

static struct cells cells_of(kiln_graph *g, const struct task *task, kiln_tensor image)
{
    kiln_tensor level[LEVELS], anchors[LEVELS], boxes[LEVELS], logits[LEVELS];
    backbone(g, image, level);
    pyramid(g, level, WIDTH);
    for (int i = 0; i < LEVELS; i++) {
        const int stride = stride_of(i);
        kiln_anchor_params cell = {.stride = {stride}, .offset = 0.5};
        kiln_anchor_add(&cell, stride, stride);
        anchors[i] = kiln_anchors(g, task->height / stride, task->width / stride, &cell);
        const kiln_tensor x = level_head(g, level[i], i, task->classes);
        boxes[i] = kiln_yolo_decode(g, kiln_softplus(g, columns(g, x, 0, 4)), anchors[i], stride,
                                    KILN_YOLO_DISTANCES);
        logits[i] = columns(g, x, 4, 4 + task->classes);
    }
    return (struct cells){.anchors = kiln_concat(g, anchors, LEVELS, 0),
                          .boxes = kiln_concat(g, boxes, LEVELS, 1),
                          .logits = kiln_concat(g, logits, LEVELS, 1)};
}

/* What they should say ------------------------------------------------------------------------------------ */

/* Whether the centres of cells [A, 4] lie within boxes [N, M, 4]: [N, M, A]. */
static kiln_tensor is_within(kiln_graph *g, kiln_tensor cells, kiln_tensor boxes)
{
    const kiln_tensor centre =
        columns(g, kiln_box_convert(g, cells, KILN_BOX_CORNERS, KILN_BOX_CENTRES), 0, 2);
    const kiln_tensor box = kiln_unsqueeze(g, boxes, 2);
    return kiln_all(g,
                    kiln_and(g, kiln_less(g, columns(g, box, 0, 2), centre),
                             kiln_less(g, centre, columns(g, box, 2, 4))),
                    &(kiln_reduce_params){.axes = KILN_AXES(3)});
}

/* How well each cell tells each box: [N, M, A]; 0 for cells outside of it and boxes that are not there. */
static kiln_tensor fitness(kiln_graph *g, const struct cells *said, const struct batch *batch,
                           kiln_tensor overlap)
{
    const int order[] = {0, 2, 1};
    const kiln_tensor zero = kiln_scalar(g, KILN_F32, 0), none = kiln_scalar(g, KILN_I32, 0);
    const kiln_tensor there = kiln_unsqueeze(g, kiln_less_equal(g, none, batch->labels), 2);
    const kiln_tensor scores = kiln_transpose(g, kiln_sigmoid(g, said->logits), order); /* [N, C, A] */
    const kiln_tensor score = kiln_gather_batched(g, scores, kiln_max(g, batch->labels, none), 1, 1);
    const kiln_tensor cubed = kiln_mul(g, overlap, kiln_square(g, overlap));
    return kiln_where(g, kiln_and(g, there, is_within(g, said->anchors, batch->boxes)),
                      kiln_mul(g, kiln_sqrt(g, score), kiln_square(g, cubed)), zero);
}

/* What each cell should say: the box, and the scores of it. */
struct targets {
    kiln_tensor boxes;  /* [N, A, 4] */
    kiln_tensor scores; /* [N, A, C] */
    kiln_tensor weight; /* [N, A]: the score of the box's class; 0 for background */
};

/* The largest along an axis of [N, M, A], which stays as 1. */
static kiln_tensor most_along(kiln_graph *g, kiln_tensor x, int axis)
{
    return kiln_reduce_max(g, x, &(kiln_reduce_params){.axes = KILN_AXES(axis), .keep = true});
}

static struct targets targets_of(kiln_graph *g, const struct task *task, const struct cells *said,
                                 const struct batch *batch)
{
    const kiln_tensor zero = kiln_scalar(g, KILN_F32, 0);
    const kiln_tensor overlap = kiln_box_overlap(g, batch->boxes, said->boxes, KILN_IOU); /* [N, M, A] */
    const kiln_tensor fit = fitness(g, said, batch, overlap);
    const kiln_tensor match = kiln_assign_best(g, fit, overlap, BEST); /* [N, A] */

    /* fit / the best fit of the box * its best overlap */
    const kiln_tensor truth = kiln_unsqueeze(g, kiln_unsqueeze(g, kiln_range(g, task->most), 0), 2);
    const kiln_tensor own = kiln_equal(g, kiln_unsqueeze(g, match, 1), truth); /* [N, M, A] */
    const kiln_tensor own_fit = kiln_where(g, own, fit, zero),
                      own_overlap = kiln_where(g, own, overlap, zero);
    const kiln_tensor scale =
        kiln_div(g, most_along(g, own_overlap, 2), kiln_shift(g, most_along(g, own_fit, 2), 1e-9));
    const kiln_tensor weight = most_along(g, kiln_mul(g, own_fit, scale), 1); /* [N, 1, A] */

    struct targets y = {.boxes = kiln_assigned(g, batch->boxes, match),
                        .weight = kiln_stop_gradient(g, kiln_squeeze(g, weight, 1))};
    const kiln_tensor class = kiln_one_hot(g, kiln_assigned(g, batch->labels, match), task->classes);
    y.scores = kiln_mul(g, class, kiln_unsqueeze(g, y.weight, 2));
    return y;
}

/* The network --------------------------------------------------------------------------------------------- */

static kiln_tensor loss_of(kiln_graph *g, const struct cells *said, const struct targets *wanted)
{
    const kiln_tensor total =
        kiln_max(g, kiln_sum(g, wanted->weight, NULL), kiln_scalar(g, KILN_F32, 1)); /* of good cells */
    const kiln_tensor scores = kiln_sum(
        g, kiln_binary_cross_entropy_with(g, said->logits, wanted->scores, KILN_NONE, KILN_LOSS_EACH), NULL);
    const kiln_tensor misfit = kiln_sub(g, kiln_scalar(g, KILN_F32, 1),
                                        kiln_box_overlap_each(g, said->boxes, wanted->boxes, KILN_CIOU));
    const kiln_tensor boxes = kiln_sum(g, kiln_mul(g, wanted->weight, misfit), NULL);
    return kiln_div(g, kiln_add(g, scores, kiln_scale(g, boxes, box_share)), total);
}

static struct findings build(kiln_graph *g, const struct task *task, const struct batch *batch)
{
    const struct cells said = cells_of(g, task, batch->image);
    const struct cells fixed = {.anchors = said.anchors,
                                .boxes = kiln_stop_gradient(g, said.boxes),
                                .logits = kiln_stop_gradient(g, said.logits)};
    const struct targets wanted = targets_of(g, task, &fixed, batch);
    return (struct findings){.boxes = said.boxes,
                             .scores = kiln_sigmoid(g, said.logits),
                             .loss = loss_of(g, &said, &wanted)};
}

const struct network yolo_network = {.name = "yolo", .build = build};
