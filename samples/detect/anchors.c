/* anchors.c - what the networks that tell boxes by how they differ from anchors have in common. */
#include "detect.h"

#include <stdio.h>

const kiln_box_code box_code = {.weights = {10, 10, 5, 5}};

kiln_tensor match_with(kiln_graph *g, kiln_tensor anchors, const struct batch *batch,
                       const kiln_assign_params *rule)
{
    return kiln_assign_truths(g, kiln_box_overlap(g, batch->boxes, anchors, KILN_IOU), batch->count, rule);
}

kiln_tensor boxes_from(kiln_graph *g, kiln_tensor deltas, kiln_tensor anchors)
{
    return kiln_box_decode(g, deltas, anchors, &box_code);
}

kiln_tensor sum_where(kiln_graph *g, kiln_tensor condition, kiln_tensor x)
{
    return kiln_sum(g, kiln_where(g, condition, x, kiln_scalar(g, KILN_F32, 0)), NULL);
}

kiln_tensor positives_of(kiln_graph *g, kiln_tensor match)
{
    return kiln_less_equal(g, kiln_scalar(g, KILN_I32, 0), match);
}

kiln_tensor count_where(kiln_graph *g, kiln_tensor condition)
{
    return kiln_max(g, kiln_sum(g, kiln_cast(g, condition, KILN_F32), NULL), kiln_scalar(g, KILN_F32, 1));
}

kiln_tensor delta_loss(kiln_graph *g, kiln_tensor deltas, kiln_tensor anchors, kiln_tensor match,
                       kiln_tensor counts, const struct batch *batch)
{
    /* anchors without a box learn nothing: what they would learn may be infinite, and is left out */
    const kiln_tensor learns = kiln_unsqueeze(g, kiln_and(g, positives_of(g, match), counts), 2);
    const kiln_tensor wanted =
        kiln_where(g, learns, kiln_box_encode(g, kiln_assigned(g, batch->boxes, match), anchors, &box_code),
                   kiln_scalar(g, KILN_F32, 0));
    return sum_where(g, learns, kiln_smooth_l1_loss(g, deltas, wanted, 1, KILN_LOSS_EACH));
}

kiln_tensor class_loss(kiln_graph *g, kiln_tensor logits, kiln_tensor match, const struct batch *batch)
{
    const kiln_tensor class =
        kiln_add(g, kiln_assigned(g, batch->labels, match), kiln_scalar(g, KILN_I32, 1));
    const kiln_tensor wanted = kiln_where(g, positives_of(g, match), class, kiln_scalar(g, KILN_I32, 0));
    return kiln_cross_entropy_with(g, logits, wanted,
                                   &(kiln_class_loss_params){.axis = -1, .reduction = KILN_LOSS_EACH});
}

kiln_tensor class_scores(kiln_graph *g, kiln_tensor logits, int classes)
{
    return columns(g, kiln_softmax(g, logits, -1), 1, 1 + classes);
}

struct anchored anchored_heads(kiln_graph *g, const struct task *task, const kiln_tensor level[LEVELS],
                               const kiln_anchor_params cell[LEVELS], int width, int outputs)
{
    kiln_tensor anchors[LEVELS], said[LEVELS];
    for (int i = 0; i < LEVELS; i++) {
        const int stride = stride_of(i);
        char name[16];
        snprintf(name, sizeof name, "head%d", i + 1);
        anchors[i] = kiln_anchors(g, task->height / stride, task->width / stride, &cell[i]);
        said[i] = rows_of(g, head(g, level[i], name, width, cell[i].count * outputs, NULL), outputs);
    }
    return (struct anchored){kiln_concat(g, anchors, LEVELS, 0), kiln_concat(g, said, LEVELS, 1)};
}
