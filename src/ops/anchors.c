/*
 * anchors.c - the boxes that a detector begins with, at every place of a feature map, and what a region proposal network makes of
 * them. Compositions.
 *
 * Tests: tests/ops/boxes.c.
 */
#include <math.h>

#include <kiln/control.h>
#include <kiln/detection.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"

/* Anchors ------------------------------------------------------------------------------------------------ */

void kiln_anchor_add(kiln_anchor_params *p, double width, double height)
{
    if (p->count < KILN_ANCHORS) {
        p->size[p->count][0] = width;
        p->size[p->count][1] = height;
    }
    p->count++;
}

void kiln_anchor_add_ratios(kiln_anchor_params *p, const double *sizes, int size_count, const double *ratios,
                            int ratio_count)
{
    for (int r = 0; r < ratio_count; r++)
        for (int s = 0; s < size_count; s++)
            kiln_anchor_add(p, sizes[s] / sqrt(ratios[r]), sizes[s] * sqrt(ratios[r]));
}

void kiln_anchor_add_priors(kiln_anchor_params *p, double least, double most, const double *ratios,
                            int ratio_count)
{
    kiln_anchor_add(p, least, least);
    if (most > 0)
        kiln_anchor_add(p, sqrt(least * most), sqrt(least * most));
    for (int r = 0; r < ratio_count; r++) {
        kiln_anchor_add(p, least * sqrt(ratios[r]), least / sqrt(ratios[r]));
        kiln_anchor_add(p, least / sqrt(ratios[r]), least * sqrt(ratios[r]));
    }
}

static kiln_tensor constant(kiln_graph *g, kiln_shape shape, const double *values)
{
    const kiln_array all = {.data = (void *)(uintptr_t)values, .type = KILN_F64, .shape = shape};
    return kiln_cast(g, kiln_constant(g, &all), KILN_F32);
}

/* Where the cells of an axis are, in the two columns of a box that are `column` and `column + 2`. */
static kiln_tensor along(kiln_graph *g, int64_t cells, double stride, double offset, int column,
                         kiln_shape shape)
{
    const double which[] = {column == 0, column == 1, column == 0, column == 1};
    const kiln_tensor at = kiln_sequence(g, KILN_F32, offset * stride, stride, cells);
    return kiln_mul(g, kiln_reshape(g, at, shape), constant(g, KILN_SHAPE(4), which));
}

kiln_tensor kiln_anchors(kiln_graph *g, int64_t rows, int64_t cols, const kiln_anchor_params *p)
{
    double base[4 * KILN_ANCHORS];
    const double down = p->stride[0] != 0 ? p->stride[0] : 1, right = p->stride[1] != 0 ? p->stride[1] : down;
    if (p->count < 1 || p->count > KILN_ANCHORS) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "anchors: %d a cell, wanted 1 to %d", p->count, KILN_ANCHORS);
        return KILN_NONE;
    }
    for (int i = 0; i < p->count; i++)
        for (int k = 0; k < 2; k++) {
            const double half = p->whole ? nearbyint(p->size[i][k] / 2) : p->size[i][k] / 2;
            base[4 * i + k] = -half;
            base[4 * i + 2 + k] = half;
        }
    const kiln_tensor parts[] = {
        along(g, rows, down, p->offset, 1, KILN_SHAPE(KILN_REST, 1, 1, 1)),
        along(g, cols, right, p->offset, 0, KILN_SHAPE(KILN_REST, 1, 1)),
        constant(g, KILN_SHAPE(p->count, 4), base),
    };
    return kiln_reshape(g, kiln_add_all(g, parts, 3), KILN_SHAPE(KILN_REST, 4));
}

/* Proposals ---------------------------------------------------------------------------------------------- */

/* The best of each level, as places among all anchors, and the level of each: [B, K]. */
struct best {
    kiln_tensor scores, places, levels;
};

static kiln_tensor joined(kiln_graph *g, const kiln_tensor *parts, int count)
{
    return count == 1 ? parts[0] : kiln_concat(g, parts, count, 1);
}

/*
 * The k best of a level. Where only the run knows how many anchors it has, it may have fewer: scores of -infinity, which never count, stand
 * behind them, and their places, beyond the last, are taken for it.
 */
static kiln_tensor best_of_level(kiln_graph *g, kiln_tensor scores, int64_t k, kiln_tensor *places)
{
    const int64_t before[2] = {0, 0}, after[2] = {0, k};

    if (kiln_tensor_shape(g, scores).size[1] < 0)
        scores = kiln_pad(g, scores, before, after, -INFINITY);
    return kiln_top_k(g, scores, k, 1, NULL, places);
}

/* A size that may be a symbol, as an I32 scalar. */
static kiln_tensor size_value(kiln_graph *g, int64_t size)
{
    if (size >= 0)
        return kiln_scalar(g, KILN_I32, (double)size);
    const kiln_tensor places = kiln_sequence(g, KILN_I32, 0, 1, size);
    return kiln_cast(g, kiln_count_of(g, places, (kiln_axes){0}), KILN_I32);
}

/* So many scores from the first on: numbers or symbols. */
static kiln_tensor level_of(kiln_graph *g, kiln_tensor scores, int64_t first, int64_t size)
{
    return first >= 0 && size >= 0 ? kiln_slice(g, scores, 1, first, first + size, 1)
                                   : kiln_slice_at(g, scores, 1, size_value(g, first), size);
}

static struct best best_of_levels(kiln_graph *g, kiln_tensor scores, const kiln_proposal_params *p)
{
    const int64_t all = kiln_tensor_shape(g, scores).size[1];
    const int levels = p->level_count > 0 ? p->level_count : 1;
    kiln_tensor values[KILN_LEVELS], places[KILN_LEVELS], numbers[KILN_LEVELS];
    int64_t first = 0;
    for (int i = 0; i < levels; i++) {
        const int64_t size = p->level_count > 0 ? p->level[i] : all;
        const kiln_tensor level = levels > 1 ? level_of(g, scores, first, size) : scores;
        const int64_t keep = p->candidates > 0 && (size < 0 || p->candidates < size) ? p->candidates : size;
        values[i] = size < 0 && !p->candidates ? kiln_sort(g, level, 1, true, &places[i])
                                               : best_of_level(g, level, keep, &places[i]);
        if (levels > 1)
            places[i] = kiln_add(g, places[i], size_value(g, first));
        numbers[i] = kiln_add(g, kiln_zeros_like(g, places[i]), kiln_scalar(g, KILN_I32, i));
        first = kiln_dim_add(g, first, size);
    }
    return (struct best){joined(g, values, levels), joined(g, places, levels),
                         levels > 1 ? joined(g, numbers, levels) : KILN_NONE};
}

/* -infinity where a side is shorter than `least`. */
static kiln_tensor without_small(kiln_graph *g, kiln_tensor scores, kiln_tensor boxes, double least)
{
    const kiln_tensor sides =
        kiln_sub(g, kiln_slice(g, boxes, -1, 2, 4, 1), kiln_slice(g, boxes, -1, 0, 2, 1));
    const kiln_tensor shorter =
        kiln_min(g, kiln_slice(g, sides, -1, 0, 1, 1), kiln_slice(g, sides, -1, 1, 2, 1));
    const kiln_tensor large =
        kiln_less_equal(g, kiln_scalar(g, KILN_F32, least), kiln_squeeze(g, shorter, -1));
    return kiln_where(g, large, scores, kiln_scalar(g, KILN_F32, -INFINITY));
}

/* Anchors of all levels together. */
static int64_t sum_of_levels(kiln_graph *g, const kiln_proposal_params *p)
{
    int64_t sum = 0;
    for (int i = 0; i < p->level_count && i < KILN_LEVELS; i++)
        sum = kiln_dim_add(g, sum, p->level[i]);
    return sum;
}

static bool fits(kiln_graph *g, kiln_tensor scores, kiln_tensor deltas, const kiln_proposal_params *p)
{
    const kiln_shape s = kiln_tensor_shape(g, scores), d = kiln_tensor_shape(g, deltas);
    const int64_t sum = sum_of_levels(g, p);
    char one[96], other[96];
    const bool right = s.rank == 2 && d.rank == 3 && d.size[0] == s.size[0] && d.size[1] == s.size[1] &&
                       p->level_count <= KILN_LEVELS &&
                       (p->level_count <= 0 || sum == s.size[1] || sum < 0 || s.size[1] < 0);
    if (!right)
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "proposals: scores %s and deltas %s, wanted [B, N] and [B, N, 4]; %d levels of %lld",
                        kiln_graph_shape_text(g, &s, one, sizeof one),
                        kiln_graph_shape_text(g, &d, other, sizeof other), p->level_count, (long long)sum);
    return right;
}

/* Where the run alone knows whether the levels are all anchors there are, it refuses this shape if they are not. */
static kiln_tensor of_levels(kiln_graph *g, kiln_tensor scores, const kiln_proposal_params *p)
{
    const kiln_shape s = kiln_tensor_shape(g, scores);
    const int64_t sum = sum_of_levels(g, p);
    return p->level_count <= 0 || sum == s.size[1] ? scores
                                                   : kiln_reshape(g, scores, KILN_SHAPE(s.size[0], sum));
}

kiln_tensor kiln_proposals(kiln_graph *g, kiln_tensor scores, kiln_tensor deltas, kiln_tensor anchors,
                           const kiln_proposal_params *p, kiln_tensor *kept_scores, kiln_tensor *counts)
{
    if (!scores.id || !deltas.id || !anchors.id || !fits(g, scores, deltas, p))
        return KILN_NONE;
    const struct best best = best_of_levels(g, of_levels(g, scores, p), p);
    const kiln_tensor moved = kiln_box_decode(g, kiln_gather_batched(g, deltas, best.places, 1, 1),
                                              kiln_gather(g, anchors, best.places, 0), &p->code);
    const kiln_tensor boxes = p->sizes.id ? kiln_box_clip_to(g, moved, p->sizes) : moved;
    const kiln_nms_params suppression = {
        .overlap = p->overlap != 0 ? p->overlap : 0.7,
        .score = p->score,
        .most = p->most,
    };
    const kiln_tensor usable = p->least > 0 ? without_small(g, best.scores, boxes, p->least) : best.scores;
    const kiln_tensor kept = kiln_nms_rows(g, boxes, usable, best.levels, &suppression, kept_scores, counts);
    return kiln_gather_batched(g, boxes, kept, 1, 1);
}
