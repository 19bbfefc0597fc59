/*
 * assign.c - which anchors stand for which true boxes, and a choice of them.
 *
 *   claim   overlap -> owner: an anchor for each true box
 *
 * The rest is composed: a box is a place along an axis of the overlaps, a choice is a rank in a sorted row.
 *
 * Kernel: shaders/assign/, src/cpu/assign.c.   Tests: tests/ops/assign.c.
 */
#include <kiln/assign.h>

#include <math.h>

#include <kiln/elementwise.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>
#include <kiln/random.h>

#include "assign/claim.h"
#include "device/caps.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

/* Claims ------------------------------------------------------------------------------------------------- */

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_shape overlap = kiln_tensor_shape(g, n->in[0]);
    *out = (kiln_spec){KILN_I32, KILN_SHAPE(overlap.size[0], overlap.size[2])};
    return KILN_OK;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape overlap = kiln_plan_spec(plan, n->in[0]).shape;
    const int64_t images = overlap.size[0], truths = overlap.size[1], anchors = overlap.size[2];
    if (!images || !anchors)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_claim,
        .bind = {{.value = n->in[0]},
                 {.value = n->out[0]},
                 {.value = kiln_plan_temporary(plan, KILN_I32, images * (truths ? truths : 1))}},
        .block_size = sizeof(struct kiln_params_claim),
    };
    *(struct kiln_params_claim *)d.block.words = (struct kiln_params_claim){.images = (uint32_t)images,
                                                                            .truths = (uint32_t)truths,
                                                                            .anchors = (uint32_t)anchors};
    return kiln_plan_dispatch(plan, &d);
}

const kiln_op kiln_op_claim = {
    .name = "claim",
    .inputs = 1,
    .outputs = 1,
    .infer = infer,
    .beyond = kiln_beyond_in_batch,
    .lowerings = (const kiln_lowering[]){{.name = "pictures", .lower = lower}},
    .lowering_count = 1,
};

static const struct kiln_params_claim *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_claim *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->images;
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_claim *p = (struct kiln_params_claim *)d->block.words;
    const uint64_t overlaps = (uint64_t)p->truths * p->anchors, from = p->first_image + first;
    p->first_image = (uint32_t)from;
    p->images = (uint32_t)count;
    kiln_bind_elements(d, 0, &p->overlap_first, from * overlaps, (from + count) * overlaps);
    kiln_bind_elements(d, 1, &p->owner_first, from * p->anchors, (from + count) * p->anchors);
    kiln_bind_elements(d, 2, &p->best_first, from * p->truths, (from + count) * p->truths);
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->images;
}

static double flops(const kiln_dispatch *d)
{
    return 2.0 * block_of(d)->images * block_of(d)->truths * block_of(d)->anchors;
}

static const kiln_variant pictures = {
    .name = "pictures", .groups = groups, .spirv = &kiln_spirv_claim, .lanes = 128};

const kiln_kernel kiln_kernel_claim = {
    .name = "claim",
    .block_size = sizeof(struct kiln_params_claim),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ_WRITE, KILN_READ_WRITE},
    .units = units,
    .reference = kiln_reference_claim_f32,
    .reference_f64 = kiln_reference_claim_f64,
    .gpu = (const kiln_variant *const[]){&pictures, NULL},
    .cuts = (const kiln_cut[]){{units, take, kiln_cut_anywhere}},
    .cut_count = 1,
    .flops = flops,
};

/* What is common ----------------------------------------------------------------------------------------- */

static kiln_tensor whole(kiln_graph *g, int64_t value)
{
    return kiln_scalar(g, KILN_I32, (double)value);
}

static bool has_rank(kiln_graph *g, const char *what, kiln_tensor t, int rank)
{
    char text[96];
    const kiln_shape shape = t.id ? kiln_tensor_shape(g, t) : (kiln_shape){0};
    if (!t.id || shape.rank == rank || shape.rank == rank - 1)
        return t.id;
    kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s is %s, wanted rank %d, or one less for one picture", what,
                    kiln_graph_shape_text(g, &shape, text, sizeof text), rank);
    return false;
}

/* t with an axis of pictures. */
static kiln_tensor with_pictures(kiln_graph *g, kiln_tensor t, int rank)
{
    return t.id && kiln_tensor_shape(g, t).rank < rank ? kiln_unsqueeze(g, t, 0) : t;
}

/* And without it, if t had none. */
static kiln_tensor as_given(kiln_graph *g, kiln_tensor y, kiln_tensor t, int rank)
{
    return kiln_tensor_shape(g, t).rank < rank ? kiln_squeeze(g, y, 0) : y;
}

static kiln_reduce_params along(int axis, bool keep)
{
    return (kiln_reduce_params){.axes = {.count = 1, .axis = {axis}}, .keep = keep};
}

/* How many of each row [N, A] are true: [N, 1]. */
static kiln_tensor count_true(kiln_graph *g, kiln_tensor truth)
{
    const kiln_reduce_params rows = along(1, true);
    return kiln_sum(g, kiln_cast(g, truth, KILN_I32), &rows);
}

/* Where each element of a row stands in an order of it, as kiln_argsort gives it. */
static kiln_tensor rank_of(kiln_graph *g, kiln_tensor order)
{
    const kiln_tensor place = kiln_expand_to(g, kiln_positions(g, order, 1), order);
    const kiln_scatter_params how = {.distinct = true};
    return kiln_scatter_elements(g, kiln_zeros_like(g, order), order, place, 1, &how);
}

/* Assignment --------------------------------------------------------------------------------------------- */

/* Overlaps [N, T, A] with those boxes that are not there overlapping nothing. */
static kiln_tensor present(kiln_graph *g, kiln_tensor overlap, kiln_tensor count)
{
    if (!count.id)
        return overlap;
    const kiln_tensor truth = kiln_unsqueeze(g, kiln_positions(g, overlap, 1), 1),
                      most = kiln_unsqueeze(g, kiln_unsqueeze(g, kiln_cast(g, count, KILN_I32), -1), -1);
    return kiln_where(g, kiln_less(g, truth, most), overlap,
                      kiln_scalar(g, kiln_tensor_type(g, overlap), -1));
}

/* Whether an anchor overlaps some box as much as any anchor does: [N, A]. */
static kiln_tensor is_closest(kiln_graph *g, kiln_tensor overlap)
{
    const kiln_reduce_params anchors = along(2, true), truths = along(1, false);
    const kiln_tensor most = kiln_reduce_max(g, overlap, &anchors);
    const kiln_tensor some = kiln_less(g, kiln_scalar(g, kiln_tensor_type(g, overlap), 0), most);
    return kiln_any(g, kiln_and(g, kiln_equal(g, overlap, most), some), &truths);
}

static kiln_tensor by_thresholds(kiln_graph *g, kiln_tensor most, kiln_tensor who,
                                 const kiln_assign_params *p)
{
    const double positive = p->positive ? p->positive : 0.5, negative = p->negative ? p->negative : positive;
    const kiln_type type = kiln_tensor_type(g, most);
    const kiln_tensor none = kiln_where(g, kiln_less(g, most, kiln_scalar(g, type, negative)),
                                        whole(g, KILN_ASSIGN_NEGATIVE), whole(g, KILN_ASSIGN_IGNORED));
    if (negative > positive)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                        "assign_truths: negative below %g, positive from %g on: they overlap", negative,
                        positive);
    return kiln_where(g, kiln_greater_equal(g, most, kiln_scalar(g, type, positive)), who, none);
}

kiln_tensor kiln_assign_truths(kiln_graph *g, kiln_tensor overlap, kiln_tensor count,
                               const kiln_assign_params *params)
{
    const kiln_assign_params none = {0}, *p = params ? params : &none;
    if (!has_rank(g, "assign_truths: overlap", overlap, 3))
        return KILN_NONE;
    const kiln_reduce_params truths = along(1, false);
    const kiln_tensor all = present(g, with_pictures(g, overlap, 3), with_pictures(g, count, 1));
    const kiln_tensor most = kiln_reduce_max(g, all, &truths), who = kiln_argmax(g, all, 1, false);
    kiln_tensor match = by_thresholds(g, most, who, p);
    if (p->claim == KILN_CLAIM_CLOSEST)
        match = kiln_where(g, is_closest(g, all), who, match);
    if (p->claim == KILN_CLAIM_OWN) {
        const kiln_tensor real = kiln_cast(g, all, KILN_F32),
                          owner = kiln_append(g, &kiln_op_claim, &real, 1, NULL, 0);
        match = kiln_where(g, kiln_less_equal(g, whole(g, 0), owner), owner, match);
    }
    return match.id ? as_given(g, match, overlap, 3) : KILN_NONE;
}

/* Where a metric [N, T, A] is among the `most` largest of its row, and above 0. */
static kiln_tensor is_among_best(kiln_graph *g, kiln_tensor metric, int64_t most)
{
    const int64_t anchors = kiln_tensor_shape(g, metric).size[2];
    const kiln_tensor zero = kiln_scalar(g, kiln_tensor_type(g, metric), 0);
    kiln_tensor best;
    if (anchors >= 0 && most > anchors)
        most = anchors;
    kiln_top_k(g, metric, most, 2, NULL, &best);
    const kiln_scatter_params how = {.distinct = true};
    const kiln_tensor chosen =
        kiln_scatter_elements(g, kiln_zeros_like(g, metric), best,
                              kiln_cast(g, kiln_ones_like(g, best), kiln_tensor_type(g, metric)), 2, &how);
    return kiln_less(g, zero, kiln_mul(g, chosen, metric));
}

kiln_tensor kiln_assign_best(kiln_graph *g, kiln_tensor metric, kiln_tensor overlap, int most)
{
    if (!has_rank(g, "assign_best: metric", metric, 3) || !has_rank(g, "assign_best: overlap", overlap, 3))
        return KILN_NONE;
    if (most < 1) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "assign_best: the %d best, wanted 1 or more", most);
        return KILN_NONE;
    }
    const kiln_reduce_params truths = along(1, false);
    const kiln_tensor wanted = is_among_best(g, with_pictures(g, metric, 3), most);
    const kiln_tensor all = with_pictures(g, overlap, 3);
    const kiln_tensor nowhere = kiln_scalar(g, kiln_tensor_type(g, all), -INFINITY);
    const kiln_tensor who = kiln_argmax(g, kiln_where(g, wanted, all, nowhere), 1, false);
    const kiln_tensor match =
        kiln_where(g, kiln_any(g, wanted, &truths), who, whole(g, KILN_ASSIGN_NEGATIVE));
    return match.id ? as_given(g, match, metric, 3) : KILN_NONE;
}

kiln_tensor kiln_assigned(kiln_graph *g, kiln_tensor values, kiln_tensor match)
{
    if (!values.id || !has_rank(g, "assigned: match", match, 2))
        return KILN_NONE;
    const int batch = kiln_tensor_shape(g, match).rank - 1;
    const kiln_tensor at = kiln_where(g, kiln_less(g, match, whole(g, 0)), whole(g, KILN_NOWHERE), match);
    return kiln_gather_batched(g, values, at, batch, batch);
}

/* Choices ------------------------------------------------------------------------------------------------ */

static kiln_tensor is_positive(kiln_graph *g, kiln_tensor match)
{
    return kiln_less_equal(g, whole(g, 0), match);
}

static kiln_tensor is_negative(kiln_graph *g, kiln_tensor match)
{
    return kiln_equal(g, match, whole(g, KILN_ASSIGN_NEGATIVE));
}

kiln_tensor kiln_hard_negatives(kiln_graph *g, kiln_tensor loss, kiln_tensor match, double ratio, int least)
{
    if (!has_rank(g, "hard_negatives: match", match, 2) || !has_rank(g, "hard_negatives: loss", loss, 2))
        return KILN_NONE;
    const kiln_tensor row = with_pictures(g, match, 2), negative = is_negative(g, row);
    const kiln_tensor all = with_pictures(g, loss, 2);
    const kiln_tensor hard =
        kiln_where(g, negative, all, kiln_scalar(g, kiln_tensor_type(g, all), -INFINITY));
    const kiln_tensor rank = rank_of(g, kiln_argsort(g, hard, 1, true));
    const kiln_tensor wanted =
        kiln_max(g, kiln_scale(g, kiln_cast(g, count_true(g, is_positive(g, row)), KILN_F32), ratio),
                 kiln_scalar(g, KILN_F32, least));
    const kiln_tensor chosen = kiln_and(g, negative, kiln_less(g, kiln_cast(g, rank, KILN_F32), wanted));
    return chosen.id ? as_given(g, chosen, match, 2) : KILN_NONE;
}

/* A picture's anchors in the order positives, negatives, others, each by their draws, and how many of the first two are chosen. */
struct sample {
    kiln_tensor positive, negative; /* [N, A] */
    kiln_tensor order;              /* [N, A] */
    kiln_tensor positives;          /* [N, 1]: how many there are */
    kiln_tensor some, others;       /* [N, 1]: positives and negatives that are chosen */
};

static struct sample sample_of(kiln_graph *g, kiln_tensor match, kiln_tensor draw,
                               const kiln_balance_params *p)
{
    const double fraction = p->fraction ? p->fraction : 0.5;
    struct sample s = {.positive = is_positive(g, match), .negative = is_negative(g, match)};
    const kiln_tensor one = kiln_scalar(g, KILN_F32, 1), two = kiln_scalar(g, KILN_F32, 2);
    const kiln_tensor key =
        kiln_where(g, s.positive, kiln_sub(g, draw, one), kiln_where(g, s.negative, draw, two));
    s.order = kiln_argsort(g, key, 1, false);
    s.positives = count_true(g, s.positive);
    s.some = kiln_min(g, s.positives, whole(g, (int64_t)(p->count * fraction)));
    s.others = kiln_min(g, count_true(g, s.negative), kiln_sub(g, whole(g, p->count), s.some));
    return s;
}

/* The chosen ones of the order, side by side. */
static kiln_tensor places_of(kiln_graph *g, const struct sample *s, int count)
{
    const kiln_tensor i = kiln_unsqueeze(g, kiln_range(g, count), 0);
    const kiln_tensor at =
        kiln_where(g, kiln_less(g, i, s->some), i, kiln_add(g, i, kiln_sub(g, s->positives, s->some)));
    const kiln_tensor there = kiln_less(g, i, kiln_add(g, s->some, s->others)),
                      nowhere = whole(g, KILN_NOWHERE);
    const kiln_tensor named = kiln_where(g, there, at, nowhere);
    return kiln_where(g, there, kiln_gather_elements(g, s->order, named, 1), nowhere);
}

kiln_tensor kiln_sample_balanced(kiln_graph *g, kiln_tensor match, kiln_tensor draw,
                                 const kiln_balance_params *params, kiln_tensor *index)
{
    const kiln_balance_params none = {0}, *p = params ? params : &none;
    if (index)
        *index = KILN_NONE;
    if (!has_rank(g, "sample_balanced: match", match, 2))
        return KILN_NONE;
    if (!draw.id)
        draw = kiln_random_uniform_like(g, match, 0, 1, NULL);
    if (!has_rank(g, "sample_balanced: draw", draw, 2))
        return KILN_NONE;
    if (p->count < 1 || !(p->fraction >= 0 && p->fraction <= 1)) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                        "sample_balanced: a count of %d, a fraction of %g; wanted at least 1, and 0 to 1",
                        p->count, p->fraction);
        return KILN_NONE;
    }
    const struct sample s = sample_of(g, with_pictures(g, match, 2), with_pictures(g, draw, 2), p);
    const kiln_tensor rank = rank_of(g, s.order);
    const kiln_tensor chosen =
        kiln_or(g, kiln_and(g, s.positive, kiln_less(g, rank, s.some)),
                kiln_and(g, s.negative, kiln_less(g, kiln_sub(g, rank, s.positives), s.others)));
    if (index && chosen.id)
        *index = as_given(g, places_of(g, &s, p->count), match, 2);
    return chosen.id ? as_given(g, chosen, match, 2) : KILN_NONE;
}
