/*
 * two_stage.c - a detector of two stages (Ren 2015, Faster R-CNN; Lin 2017): the first proposes regions where something may be, the
 * second looks at each of them, brought to one size by RoIAlign, and says what it is and where exactly. Both learn at once.
 */
#include "detect.h"

enum {
    WIDTH = 64,      /* channels of the pyramid and the heads */
    PROPOSALS = 100, /* of a picture */
    LEARNED = 64,    /* of them the second stage learns from so many */
    BINS = 6,        /* a region's height and width */
    UNITS = 128,     /* of the second stage */
};

/* Proposals ----------------------------------------------------------------------------------------------- */

static void anchors_of_cells(kiln_anchor_params cell[LEVELS])
{
    static const double ratios[] = {0.5, 1, 2};
    for (int i = 0; i < LEVELS; i++) {
        const double size = 4 * stride_of(i);
        cell[i] = (kiln_anchor_params){.stride = {stride_of(i)}, .offset = 0.5};
        kiln_anchor_add_ratios(&cell[i], &size, 1, ratios, COUNT(ratios));
    }
}

static kiln_tensor proposals(kiln_graph *g, const struct task *task, const struct anchored *said,
                             const kiln_anchor_params cell[LEVELS])
{
    float size[] = {(float)task->width, (float)task->height};
    kiln_proposal_params p = {.code = box_code,
                              .sizes = kiln_constant(g, &(kiln_array){.data = size, .shape = KILN_SHAPE(2)}),
                              .level_count = LEVELS,
                              .candidates = 3 * PROPOSALS,
                              .most = PROPOSALS,
                              .least = 2};
    for (int i = 0; i < LEVELS; i++)
        p.level[i] = (int64_t)(task->height / stride_of(i)) * (task->width / stride_of(i)) * cell[i].count;
    const kiln_tensor rows = kiln_stop_gradient(g, said->rows);
    return kiln_proposals(g, kiln_squeeze(g, columns(g, rows, 4, 5), 2), columns(g, rows, 0, 4),
                          said->anchors, &p, NULL, NULL);
}

static kiln_tensor proposal_loss(kiln_graph *g, const struct anchored *said, const struct batch *batch)
{
    const kiln_tensor match =
        match_with(g, said->anchors, batch,
                   &(kiln_assign_params){.positive = 0.6, .negative = 0.3, .claim = KILN_CLAIM_CLOSEST});
    const kiln_tensor chosen =
        kiln_sample_balanced(g, match, KILN_NONE, &(kiln_balance_params){.count = 128}, NULL);
    const kiln_tensor something = kiln_cast(g, positives_of(g, match), KILN_F32);
    const kiln_tensor logits = kiln_squeeze(g, columns(g, said->rows, 4, 5), 2);
    const kiln_tensor each = kiln_binary_cross_entropy_with(g, logits, something, KILN_NONE, KILN_LOSS_EACH);
    const kiln_tensor loss =
        kiln_add(g, sum_where(g, chosen, each),
                 delta_loss(g, columns(g, said->rows, 0, 4), said->anchors, match, chosen, batch));
    return kiln_div(g, loss, count_where(g, chosen));
}

/* Regions ------------------------------------------------------------------------------------------------- */

/* What the second stage says of regions [N, K, 4]: [N, K, 4 + 1 + classes]. */
static kiln_tensor look_at(kiln_graph *g, const struct task *task, kiln_tensor map, kiln_tensor regions)
{
    const kiln_roi_params align = {
        .size = {BINS, BINS}, .scale = 1.0 / stride_of(0), .samples = 2, .half_pixel = true};
    const int64_t count = kiln_tensor_shape(g, regions).size[1];
    kiln_scope_open(g, "regions");
    kiln_tensor x = kiln_flatten(g, kiln_roi_align(g, map, regions, KILN_NONE, &align), 1);
    x = kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = UNITS, .name = "first"}));
    x = kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = UNITS, .name = "second"}));
    x = kiln_nn_dense(g, x,
                      &(kiln_nn_dense_params){.units = 5 + task->classes,
                                              .init = {.kind = KILN_INIT_NORMAL, .scale = 0.01},
                                              .name = "last"});
    kiln_scope_close(g);
    return kiln_reshape(g, x, KILN_SHAPE(KILN_REST, count, 5 + task->classes));
}

static kiln_tensor is_box(kiln_graph *g, kiln_tensor boxes)
{
    return kiln_less(g, kiln_scalar(g, KILN_F32, 0), kiln_box_area(g, boxes));
}

/* Regions to learn from, [N, LEARNED, 4], and what box each of them is of: proposals, and the true boxes themselves. */
static kiln_tensor learned_regions(kiln_graph *g, kiln_tensor proposed, const struct batch *batch,
                                   kiln_tensor *match)
{
    const kiln_tensor ignored = kiln_scalar(g, KILN_I32, KILN_ASSIGN_IGNORED);
    const kiln_tensor all = kiln_concat(g, (const kiln_tensor[]){proposed, batch->boxes}, 2, 1);
    const kiln_tensor of = kiln_where(g, is_box(g, all), match_with(g, all, batch, NULL), ignored);
    kiln_tensor index;
    kiln_sample_balanced(g, of, KILN_NONE, &(kiln_balance_params){.count = LEARNED, .fraction = 0.25},
                         &index);
    const kiln_tensor there = kiln_less_equal(g, kiln_scalar(g, KILN_I32, 0), index);
    *match = kiln_where(g, there, kiln_gather_batched(g, of, index, 1, 1), ignored);
    return kiln_gather_batched(g, all, index, 1, 1);
}

static kiln_tensor region_loss(kiln_graph *g, const struct task *task, kiln_tensor map, kiln_tensor proposed,
                               const struct batch *batch)
{
    kiln_tensor match;
    const kiln_tensor regions = kiln_stop_gradient(g, learned_regions(g, proposed, batch, &match));
    const kiln_tensor counts = kiln_less_equal(g, kiln_scalar(g, KILN_I32, KILN_ASSIGN_NEGATIVE), match);
    const kiln_tensor said = look_at(g, task, map, regions);
    const kiln_tensor classes = class_loss(g, columns(g, said, 4, 5 + task->classes), match, batch);
    const kiln_tensor loss = kiln_add(g, sum_where(g, counts, classes),
                                      delta_loss(g, columns(g, said, 0, 4), regions, match, counts, batch));
    return kiln_div(g, loss, count_where(g, counts));
}

/* The network --------------------------------------------------------------------------------------------- */

static struct findings build(kiln_graph *g, const struct task *task, const struct batch *batch)
{
    kiln_tensor level[LEVELS];
    kiln_anchor_params cell[LEVELS];
    backbone(g, batch->image, level);
    pyramid(g, level, WIDTH);
    anchors_of_cells(cell);
    const struct anchored first = anchored_heads(g, task, level, cell, WIDTH, 5);
    const kiln_tensor proposed = proposals(g, task, &first, cell);
    const kiln_tensor second = look_at(g, task, level[0], proposed);
    const kiln_tensor scores = class_scores(g, columns(g, second, 4, 5 + task->classes), task->classes);
    const kiln_tensor there = kiln_cast(g, kiln_unsqueeze(g, is_box(g, proposed), 2), KILN_F32);
    return (struct findings){.boxes = boxes_from(g, columns(g, second, 0, 4), proposed),
                             .scores = kiln_mul(g, scores, there),
                             .loss = kiln_add(g, proposal_loss(g, &first, batch),
                                              region_loss(g, task, level[0], proposed, batch))};
}

const struct network two_stage_network = {.name = "two-stage", .build = build};
