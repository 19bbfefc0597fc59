/*
 * ssd.c - a detector of one stage with default boxes (Liu 2016): each cell of three maps says of four boxes around it what class is
 * there, background being one, and how the true box differs. Background is everywhere, so only its hardest cases are learned from.
 */
#include "detect.h"

enum { WIDTH = 64 }; /* channels of the pyramid and the heads */

/* A square of two and a half cells, one between it and the next level's, one wider and one higher. */
static void default_boxes(kiln_anchor_params cell[LEVELS])
{
    for (int i = 0; i < LEVELS; i++) {
        const double stride = stride_of(i), ratio = 2;
        cell[i] = (kiln_anchor_params){.stride = {stride}, .offset = 0.5};
        kiln_anchor_add_priors(&cell[i], 2.5 * stride, 5 * stride, &ratio, 1);
    }
}

static kiln_tensor loss_of(kiln_graph *g, const struct task *task, const struct anchored *said,
                           const struct batch *batch)
{
    const kiln_tensor match =
        match_with(g, said->anchors, batch, &(kiln_assign_params){.claim = KILN_CLAIM_OWN}); /* [N, A] */
    const kiln_tensor positive = positives_of(g, match);
    const kiln_tensor classes = class_loss(g, columns(g, said->rows, 4, 5 + task->classes), match, batch);
    const kiln_tensor hard = kiln_hard_negatives(g, kiln_stop_gradient(g, classes), match, 3, 4);
    const kiln_tensor loss =
        kiln_add(g, sum_where(g, kiln_or(g, positive, hard), classes),
                 delta_loss(g, columns(g, said->rows, 0, 4), said->anchors, match, positive, batch));
    return kiln_div(g, loss, count_where(g, positive));
}

static struct findings build(kiln_graph *g, const struct task *task, const struct batch *batch)
{
    kiln_tensor level[LEVELS];
    kiln_anchor_params cell[LEVELS];
    backbone(g, batch->image, level);
    pyramid(g, level, WIDTH);
    default_boxes(cell);
    const struct anchored said = anchored_heads(g, task, level, cell, WIDTH, 4 + 1 + task->classes);
    return (struct findings){.boxes = boxes_from(g, columns(g, said.rows, 0, 4), said.anchors),
                             .scores =
                                 class_scores(g, columns(g, said.rows, 4, 5 + task->classes), task->classes),
                             .loss = loss_of(g, task, &said, batch)};
}

const struct network ssd_network = {.name = "ssd", .build = build};
