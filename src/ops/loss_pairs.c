/*
 * loss_pairs.c - losses that are composed: of numbers, of probabilities of two classes, of distributions, of pairs of vectors.
 * Their steps fuse with one another; a reduction ends them.
 *
 * Tests: tests/ops/loss.c.
 */
#include <math.h>

#include <kiln/losses.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/loss.h"

kiln_tensor kiln_loss_reduce(kiln_graph *g, kiln_tensor each, kiln_loss_reduction reduction)
{
    if (!each.id || reduction == KILN_LOSS_EACH)
        return each;
    if (reduction == KILN_LOSS_MEAN)
        return kiln_mean(g, each, NULL);
    const kiln_tensor sum = kiln_sum(g, each, NULL);
    if (reduction == KILN_LOSS_SUM || kiln_tensor_shape(g, each).rank == 0)
        return sum;
    const kiln_tensor rows = kiln_count_of(g, each, KILN_AXES(0));
    return kiln_div(g, sum, kiln_cast(g, rows, kiln_tensor_type(g, sum)));
}

static kiln_tensor like(kiln_graph *g, kiln_tensor x, double value)
{
    return kiln_scalar(g, x.id ? kiln_tensor_type(g, x) : KILN_F32, value);
}

/* Numbers ------------------------------------------------------------------------------------------------ */

kiln_tensor kiln_mean_squared_error(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return kiln_squared_error(g, a, b, KILN_LOSS_MEAN);
}

kiln_tensor kiln_squared_error(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_loss_reduction reduction)
{
    return kiln_loss_reduce(g, kiln_square(g, kiln_sub(g, a, b)), reduction);
}

kiln_tensor kiln_absolute_error(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_loss_reduction reduction)
{
    return kiln_loss_reduce(g, kiln_abs(g, kiln_sub(g, a, b)), reduction);
}

/* With c = d within delta of 0: c (d - c / 2). */
static kiln_tensor huber(kiln_graph *g, kiln_tensor a, kiln_tensor b, double delta)
{
    const kiln_tensor d = kiln_sub(g, a, b), c = kiln_clip(g, d, -delta, delta);
    return kiln_mul(g, c, kiln_sub(g, d, kiln_scale(g, c, 0.5)));
}

kiln_tensor kiln_huber_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, double delta,
                            kiln_loss_reduction reduction)
{
    return kiln_loss_reduce(g, huber(g, a, b, delta), reduction);
}

kiln_tensor kiln_smooth_l1_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, double beta,
                                kiln_loss_reduction reduction)
{
    if (beta == 0)
        return kiln_absolute_error(g, a, b, reduction);
    return kiln_loss_reduce(g, kiln_scale(g, huber(g, a, b, beta), 1 / beta), reduction);
}

/* Two classes -------------------------------------------------------------------------------------------- */

kiln_tensor kiln_binary_cross_entropy(kiln_graph *g, kiln_tensor scores, kiln_tensor target)
{
    return kiln_binary_cross_entropy_with(g, scores, target, KILN_NONE, KILN_LOSS_MEAN);
}

/* softplus(s) - s t is max(s, 0) - s t + log(1 + exp(-|s|)); with t weighed, (1 - t) s + (1 + (w - 1) t) softplus(-s). */
kiln_tensor kiln_binary_cross_entropy_with(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                           kiln_tensor positive, kiln_loss_reduction reduction)
{
    if (!positive.id) {
        const kiln_tensor product = kiln_mul(g, scores, target);
        return kiln_loss_reduce(g, kiln_sub(g, kiln_softplus(g, scores), product), reduction);
    }
    const kiln_tensor rest = kiln_mul(g, scores, kiln_shift(g, kiln_neg(g, target), 1));
    const kiln_tensor weight = kiln_shift(g, kiln_mul(g, kiln_shift(g, positive, -1), target), 1);
    const kiln_tensor soft = kiln_softplus(g, kiln_neg(g, scores));
    return kiln_loss_reduce(g, kiln_add(g, rest, kiln_mul(g, weight, soft)), reduction);
}

/* With u = s on the side of the target, p = sigmoid(u), -log(p) = softplus(-u) and (1 - p)^gamma = exp(-gamma softplus(u)). */
kiln_tensor kiln_sigmoid_focal_loss(kiln_graph *g, kiln_tensor scores, kiln_tensor target, double alpha,
                                    double gamma, kiln_loss_reduction reduction)
{
    const kiln_tensor side = kiln_shift(g, kiln_scale(g, target, 2), -1), u = kiln_mul(g, scores, side);
    const kiln_tensor fade = kiln_exp(g, kiln_scale(g, kiln_softplus(g, u), -gamma));
    kiln_tensor each = kiln_mul(g, kiln_softplus(g, kiln_neg(g, u)), fade);
    if (alpha >= 0)
        each = kiln_mul(g, each, kiln_shift(g, kiln_scale(g, target, 2 * alpha - 1), 1 - alpha));
    return kiln_loss_reduce(g, each, reduction);
}

kiln_tensor kiln_hinge_loss(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                            kiln_loss_reduction reduction)
{
    const kiln_tensor short_of = kiln_shift(g, kiln_neg(g, kiln_mul(g, scores, target)), 1);
    return kiln_loss_reduce(g, kiln_relu(g, short_of), reduction);
}

kiln_tensor kiln_squared_hinge_loss(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                    kiln_loss_reduction reduction)
{
    return kiln_loss_reduce(g, kiln_square(g, kiln_hinge_loss(g, scores, target, KILN_LOSS_EACH)), reduction);
}

/* All axes but the first. */
static kiln_reduce_params behind_first(kiln_graph *g, kiln_tensor x)
{
    kiln_reduce_params p = {0};
    for (int i = 1; x.id && i < kiln_tensor_shape(g, x).rank; i++)
        p.axes.axis[p.axes.count++] = i;
    return p;
}

kiln_tensor kiln_dice_loss(kiln_graph *g, kiln_tensor probabilities, kiln_tensor target, double smooth,
                           kiln_loss_reduction reduction)
{
    const kiln_reduce_params rows = behind_first(g, probabilities);
    if (probabilities.id && rows.axes.count == 0) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "dice_loss: probabilities have rank %d, wanted [N, ..]",
                        kiln_tensor_shape(g, probabilities).rank);
        return KILN_NONE;
    }
    const kiln_tensor both = kiln_sum(g, kiln_mul(g, probabilities, target), &rows);
    const kiln_tensor one = kiln_sum(g, kiln_add(g, probabilities, target), &rows);
    const kiln_tensor share =
        kiln_div(g, kiln_shift(g, kiln_scale(g, both, 2), smooth), kiln_shift(g, one, smooth));
    return kiln_loss_reduce(g, kiln_shift(g, kiln_neg(g, share), 1), reduction);
}

/* Distributions ------------------------------------------------------------------------------------------ */

/* t log t is 0 for t = 0, as the logarithm is kept finite. */
kiln_tensor kiln_kl_divergence(kiln_graph *g, kiln_tensor q, kiln_tensor target, bool logarithms,
                               kiln_loss_reduction reduction)
{
    const kiln_tensor share = logarithms ? kiln_exp(g, target) : target;
    const kiln_tensor level = logarithms ? target : kiln_log(g, kiln_clip(g, target, 1e-37, INFINITY));
    return kiln_loss_reduce(g, kiln_mul(g, share, kiln_sub(g, level, q)), reduction);
}

/* Pairs -------------------------------------------------------------------------------------------------- */

static const kiln_reduce_params last = {.axes = {1, {-1}}};

static kiln_tensor distance(kiln_graph *g, kiln_tensor a, kiln_tensor b, double beside)
{
    return kiln_reduce_l2(g, kiln_shift(g, kiln_sub(g, a, b), beside), &last);
}

kiln_tensor kiln_triplet_loss(kiln_graph *g, kiln_tensor anchor, kiln_tensor positive, kiln_tensor negative,
                              double margin, kiln_loss_reduction reduction)
{
    const kiln_tensor near = distance(g, anchor, positive, 1e-6), far = distance(g, anchor, negative, 1e-6);
    return kiln_loss_reduce(g, kiln_relu(g, kiln_shift(g, kiln_sub(g, near, far), margin)), reduction);
}

kiln_tensor kiln_contrastive_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor same,
                                  double margin, kiln_loss_reduction reduction)
{
    const kiln_tensor d = distance(g, a, b, 0), other = kiln_shift(g, kiln_neg(g, same), 1);
    const kiln_tensor apart = kiln_square(g, kiln_relu(g, kiln_shift(g, kiln_neg(g, d), margin)));
    const kiln_tensor sum = kiln_add(g, kiln_mul(g, same, kiln_square(g, d)), kiln_mul(g, other, apart));
    return kiln_loss_reduce(g, kiln_scale(g, sum, 0.5), reduction);
}

kiln_tensor kiln_cosine_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor same, double margin,
                             kiln_loss_reduction reduction)
{
    const kiln_tensor lengths = kiln_mul(g, kiln_shift(g, kiln_sum_square(g, a, &last), 1e-12),
                                         kiln_shift(g, kiln_sum_square(g, b, &last), 1e-12));
    const kiln_tensor cosine = kiln_mul(g, kiln_sum(g, kiln_mul(g, a, b), &last), kiln_rsqrt(g, lengths));
    const kiln_tensor near = kiln_shift(g, kiln_neg(g, cosine), 1);
    const kiln_tensor far = kiln_relu(g, kiln_shift(g, cosine, -margin));
    return kiln_loss_reduce(g, kiln_where(g, kiln_less(g, like(g, same, 0), same), near, far), reduction);
}
