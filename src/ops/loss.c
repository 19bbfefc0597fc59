/*
 * loss.c - losses of classes: softmax cross-entropy against class numbers as a fused operator, the others composed of it.
 *
 *   cross_entropy[r] = log(sum over c of exp(x[r, c])) - (1 - s) x[r, target[r]] - s mean over c of x[r, c]
 *   dx[r, c] = (softmax(x)[r, c] - (1 - s) (c == target[r]) - s / C) * dy[r]        s: the smoothing
 *
 * A target that is no class gives NaN, so that it cannot pass unseen. Weights and what is ignored are factors of rows.
 *
 * Kernels: src/ops/loss_kernel.c, shaders/loss/, src/cpu/loss.c, src/cpu/loss_fast.c.   Tests: tests/ops/loss.c.
 */
#include "ops/loss.h"

#include <math.h>

#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "loss/cross_entropy.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/rows.h"

/* Cross-entropy against class numbers -------------------------------------------------------------------- */

struct entropy_params {
    double smoothing;
    int64_t axis; /* of the classes */
};

/* scores [N, C, ..] without the classes. */
static kiln_shape without_classes(const kiln_shape *scores, int64_t axis)
{
    kiln_shape rows = {.rank = 0};
    for (int i = 0; i < scores->rank; i++)
        if (i != axis)
            rows.size[rows.rank++] = scores->size[i];
    return rows;
}

static kiln_status entropy_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct entropy_params *p = n->params;
    const kiln_spec scores = kiln_tensor_spec(g, n->in[0]), target = kiln_tensor_spec(g, n->in[1]);
    const kiln_shape rows = without_classes(&scores.shape, p->axis);
    char a[96], b[96];
    if (!kiln_type_is_real(scores.type) || kiln_type_is_real(target.type) || target.type == KILN_BOOL)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE,
                              "scores are %s and target %s, wanted reals and class numbers",
                              kiln_type_name(scores.type), kiln_type_name(target.type));
    if (scores.shape.rank < 2 || !kiln_shape_equal(&rows, &target.shape))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "scores are %s and target %s, wanted [N, C, ..] and [N, ..]",
                              kiln_graph_shape_text(g, &scores.shape, a, sizeof a),
                              kiln_graph_shape_text(g, &target.shape, b, sizeof b));
    if (!(p->smoothing >= 0 && p->smoothing <= 1))
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "smoothing is %g, wanted 0 to 1", p->smoothing);
    out[0] = (kiln_spec){scores.type, rows};
    return KILN_OK;
}

static kiln_tensor entropy_grad_of(kiln_graph *g, const kiln_node *n, kiln_tensor dy)
{
    return kiln_append(g, &kiln_op_cross_entropy_grad, (const kiln_tensor[]){n->in[0], n->in[1], dy}, 3,
                       n->params, n->params_size);
}

static void entropy_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = entropy_grad_of(g, n, dy[0]);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static kiln_tensor class_sum(kiln_graph *g, kiln_tensor t, int64_t axis, bool keep)
{
    return kiln_sum(g, t, &(kiln_reduce_params){.axes = KILN_AXES((int)axis), .keep = keep});
}

/* With s = softmax(x), q = s - what is wanted, and dx = q dy: by x, s * (d - sum(s d)) dy; by dy, sum(q d), q being this
 * operator's value for ones. */
static void grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *d, kiln_tensor *dx)
{
    const int64_t axis = ((const struct entropy_params *)n->params)->axis;
    const kiln_tensor s = kiln_softmax(g, n->in[0], (int)axis), pull = kiln_mul(g, s, d[0]);
    const kiln_tensor by_x = kiln_sub(g, pull, kiln_mul(g, s, class_sum(g, pull, axis, true)));
    dx[0] = kiln_mul(g, by_x, kiln_unsqueeze(g, n->in[2], (int)axis));
    const kiln_tensor q = entropy_grad_of(g, n, kiln_ones_like(g, n->in[2]));
    dx[2] = class_sum(g, kiln_mul(g, q, d[0]), axis, false);
}

/* Both kernels have one block, their operands in the node's order, and the result behind them. */
static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct entropy_params *p = n->params;
    const kiln_shape shape = kiln_plan_spec(plan, n->in[0]).shape;
    const struct kiln_rows rows = kiln_rows_of(&shape, (int)p->axis);
    if (rows.count == 0 || rows.length == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = n->inputs == 3 ? &kiln_kernel_cross_entropy_grad : &kiln_kernel_cross_entropy,
        .block_size = sizeof(struct kiln_params_cross_entropy),
    };
    for (int i = 0; i < n->inputs; i++)
        d.bind[i].value = n->in[i];
    d.bind[n->inputs].value = n->out[0];
    struct kiln_params_cross_entropy *block = (struct kiln_params_cross_entropy *)d.block.words;
    *block = (struct kiln_params_cross_entropy){.rows = rows.count, .cols = rows.length, .step = rows.step};
    KILN_REAL_SET(block, spread, p->smoothing);
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_lowering lowerings[] = {{.name = "rows", .lower = lower}};

/* Rows apart; the classes are all there. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const struct entropy_params *p = n->params;
    const bool rows = kiln_tensor_shape(g, n->in[input]).rank < kiln_tensor_shape(g, n->in[0]).rank;
    return axis == p->axis && !rows ? KILN_REFUSED : KILN_IGNORED;
}

static const kiln_field fields[] = {
    {"smoothing", KILN_FIELD_REAL, offsetof(struct entropy_params, smoothing), 1},
    {"axis", KILN_FIELD_I64, offsetof(struct entropy_params, axis), 1},
    {0},
};

const kiln_op kiln_op_cross_entropy = {
    .name = "cross_entropy",
    .inputs = 2,
    .outputs = 1,
    .infer = entropy_infer,
    .beyond = beyond,
    .grad = entropy_grad,
    .fields = fields,
    .lowerings = lowerings,
    .lowering_count = 1,
};

const kiln_op kiln_op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .inputs = 3,
    .outputs = 1,
    .infer = grad_infer,
    .beyond = beyond,
    .grad = grad_grad,
    .fields = fields,
    .lowerings = lowerings,
    .lowering_count = 1,
};

/* Rows --------------------------------------------------------------------------------------------------- */

/* What a loss of classes is made of: checked params, and the rows' factors. */
struct classes {
    kiln_class_loss_params p;
    int axis;
    kiln_tensor target;
    kiln_tensor counts; /* BOOL: which rows count; KILN_NONE: all */
    kiln_type type;     /* of the loss */
};

/* Whether there is a weight a class. */
static bool weights_fit(kiln_graph *g, kiln_tensor weights, kiln_tensor scores, int axis, const char *what)
{
    if (!weights.id)
        return true;
    char text[2][96];
    const kiln_shape w = kiln_tensor_shape(g, weights), s = kiln_tensor_shape(g, scores);
    const bool fit = w.rank == 1 && (w.size[0] == s.size[axis] || w.size[0] < 0 || s.size[axis] < 0);
    if (!fit)
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s: weights are %s, wanted one for each class of %s, axis %d",
                        what, kiln_graph_shape_text(g, &w, text[0], sizeof text[0]),
                        kiln_graph_shape_text(g, &s, text[1], sizeof text[1]), axis);
    return fit;
}

static bool begin(kiln_graph *g, struct classes *c, kiln_tensor scores, kiln_tensor target,
                  const kiln_class_loss_params *params, const char *what)
{
    c->p = params ? *params : (kiln_class_loss_params){0};
    if (!scores.id || !target.id)
        return false;
    const int rank = kiln_tensor_shape(g, scores).rank;
    c->axis = kiln_axis_of(c->p.axis ? c->p.axis : 1, rank);
    c->type = kiln_tensor_type(g, scores);
    c->target = target;
    if (c->axis < 0)
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s: axis %d of scores of rank %d", what,
                        c->p.axis ? c->p.axis : 1, rank);
    return c->axis >= 0 && weights_fit(g, c->p.weights, scores, c->axis, what);
}

/* Rows that do not count get class 0, so that nothing is NaN. */
static void leave_out(kiln_graph *g, struct classes *c)
{
    const kiln_tensor zero = kiln_scalar(g, kiln_tensor_type(g, c->target), 0);
    if (c->p.ignores) {
        const kiln_tensor ignored = kiln_scalar(g, kiln_tensor_type(g, c->target), (double)c->p.ignored);
        const kiln_tensor other = kiln_not_equal(g, c->target, ignored);
        c->counts = c->counts.id ? kiln_and(g, c->counts, other) : other;
    }
    if (c->counts.id)
        c->target = kiln_where(g, c->counts, c->target, zero);
}

/* The rows' weights, 0 where they do not count; KILN_NONE: all are 1. */
static kiln_tensor row_weights(kiln_graph *g, const struct classes *c)
{
    const kiln_tensor zero = kiln_scalar(g, c->type, 0);
    if (!c->p.weights.id)
        return c->counts.id ? kiln_cast(g, c->counts, c->type) : KILN_NONE;
    const kiln_tensor own = kiln_cast(g, kiln_gather(g, c->p.weights, c->target, 0), c->type);
    return c->counts.id ? kiln_where(g, c->counts, own, zero) : own;
}

/* The reduction of losses that are weighed: their mean is over the weights. */
static kiln_tensor end(kiln_graph *g, const struct classes *c, kiln_tensor each, kiln_tensor weights)
{
    if (c->counts.id)
        each = kiln_where(g, c->counts, each, kiln_scalar(g, c->type, 0));
    if (c->p.reduction != KILN_LOSS_MEAN || !weights.id)
        return kiln_loss_reduce(g, each, c->p.reduction);
    return kiln_div(g, kiln_sum(g, each, NULL), kiln_sum(g, weights, NULL));
}

static kiln_tensor weighed(kiln_graph *g, kiln_tensor each, kiln_tensor weights)
{
    return weights.id ? kiln_mul(g, each, weights) : each;
}

/* A weight a class, beside scores. */
static kiln_tensor class_weights(kiln_graph *g, const struct classes *c, kiln_tensor scores)
{
    kiln_tensor w = kiln_cast(g, c->p.weights, c->type);
    for (int i = c->axis + 1; i < kiln_tensor_shape(g, scores).rank; i++)
        w = kiln_unsqueeze(g, w, -1);
    return w;
}

/* Cross-entropy ------------------------------------------------------------------------------------------ */

static kiln_tensor fused(kiln_graph *g, const struct classes *c, kiln_tensor scores, double smoothing)
{
    const struct entropy_params p = {smoothing, c->axis};
    return kiln_append(g, &kiln_op_cross_entropy, (const kiln_tensor[]){scores, c->target}, 2, &p, sizeof p);
}

/* Smoothed losses under weights: (1 - s) w[t] loss + s / C sum(- w log p). */
static kiln_tensor smoothed(kiln_graph *g, const struct classes *c, kiln_tensor scores, kiln_tensor weights)
{
    const double s = c->p.smoothing;
    const kiln_reduce_params classes = {.axes = KILN_AXES(c->axis)};
    const kiln_tensor logs = kiln_log_softmax(g, scores, c->axis);
    const kiln_tensor all = kiln_mean(g, kiln_mul(g, logs, class_weights(g, c, scores)), &classes);
    return kiln_sub(g, kiln_scale(g, weighed(g, fused(g, c, scores, 0), weights), 1 - s),
                    kiln_scale(g, all, s));
}

static kiln_tensor of_numbers(kiln_graph *g, struct classes *c, kiln_tensor scores)
{
    leave_out(g, c);
    const kiln_tensor weights = row_weights(g, c);
    const bool both = c->p.smoothing > 0 && c->p.weights.id;
    const kiln_tensor each =
        both ? smoothed(g, c, scores, weights) : weighed(g, fused(g, c, scores, c->p.smoothing), weights);
    return end(g, c, each, weights);
}

/* - sum(w target log p); the mean is over the rows. */
static kiln_tensor of_probabilities(kiln_graph *g, const struct classes *c, kiln_tensor scores)
{
    const double s = c->p.smoothing;
    const kiln_reduce_params classes = {.axes = KILN_AXES(c->axis)};
    kiln_tensor target = c->target, all = KILN_NONE, logs = kiln_log_softmax(g, scores, c->axis);
    if (c->p.weights.id)
        logs = kiln_mul(g, logs, class_weights(g, c, scores));
    if (s > 0) {
        all = kiln_scale(g, kiln_mean(g, logs, &classes), s);
        target = kiln_scale(g, target, 1 - s);
    }
    const kiln_tensor own = kiln_sum(g, kiln_mul(g, target, logs), &classes);
    return kiln_loss_reduce(g, kiln_neg(g, all.id ? kiln_add(g, own, all) : own), c->p.reduction);
}

kiln_tensor kiln_cross_entropy_with(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                    const kiln_class_loss_params *params)
{
    struct classes c = {0};
    if (!begin(g, &c, scores, target, params, "cross_entropy"))
        return KILN_NONE;
    return kiln_type_is_real(kiln_tensor_type(g, target)) ? of_probabilities(g, &c, scores)
                                                          : of_numbers(g, &c, scores);
}

kiln_tensor kiln_cross_entropy_each(kiln_graph *g, kiln_tensor scores, kiln_tensor target)
{
    return kiln_cross_entropy_with(g, scores, target, &(kiln_class_loss_params){.reduction = KILN_LOSS_EACH});
}

kiln_tensor kiln_cross_entropy(kiln_graph *g, kiln_tensor scores, kiln_tensor target)
{
    return kiln_cross_entropy_with(g, scores, target, NULL);
}

/* BOOL [N, T]: the first counts[n] of each sequence. */
static kiln_tensor within(kiln_graph *g, kiln_tensor target, kiln_tensor lengths)
{
    const kiln_tensor at = kiln_positions(g, target, 1);
    return kiln_less(g, at, kiln_unsqueeze(g, kiln_cast(g, lengths, KILN_I32), 1));
}

kiln_tensor kiln_sequence_cross_entropy(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                        kiln_tensor counts, const kiln_class_loss_params *params)
{
    kiln_class_loss_params p = params ? *params : (kiln_class_loss_params){0};
    struct classes c = {0};
    p.axis = -1;
    if (!counts.id || !begin(g, &c, scores, target, &p, "sequence_cross_entropy"))
        return KILN_NONE;
    if (kiln_tensor_shape(g, target).rank != 2) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE, "sequence_cross_entropy: target has rank %d, wanted [N, T]",
                        kiln_tensor_shape(g, target).rank);
        return KILN_NONE;
    }
    c.counts = kiln_tensor_type(g, counts) == KILN_BOOL ? counts : within(g, target, counts);
    return of_numbers(g, &c, scores);
}

/* The others of class numbers ---------------------------------------------------------------------------- */

kiln_tensor kiln_negative_log_likelihood(kiln_graph *g, kiln_tensor log_probabilities, kiln_tensor target,
                                         const kiln_class_loss_params *params)
{
    struct classes c = {0};
    if (!begin(g, &c, log_probabilities, target, params, "negative_log_likelihood"))
        return KILN_NONE;
    leave_out(g, &c);
    const kiln_tensor weights = row_weights(g, &c);
    const kiln_tensor at = kiln_unsqueeze(g, kiln_cast(g, c.target, KILN_I32), c.axis);
    const kiln_tensor own = kiln_squeeze(g, kiln_gather_elements(g, log_probabilities, at, c.axis), c.axis);
    return end(g, &c, kiln_neg(g, weighed(g, own, weights)), weights);
}

/* 1 - p is -expm1(-loss). */
kiln_tensor kiln_softmax_focal_loss(kiln_graph *g, kiln_tensor scores, kiln_tensor target,
                                    kiln_tensor weights, double gamma, kiln_loss_reduction reduction)
{
    const kiln_tensor loss = kiln_cross_entropy_each(g, scores, target);
    if (!loss.id || !weights_fit(g, weights, scores, 1, "softmax_focal_loss"))
        return KILN_NONE;
    const kiln_tensor off = kiln_neg(g, kiln_expm1(g, kiln_neg(g, loss)));
    const kiln_tensor power = kiln_scalar(g, kiln_tensor_type(g, loss), gamma);
    kiln_tensor each = kiln_mul(g, kiln_pow(g, off, power), loss);
    if (weights.id)
        each = kiln_mul(g, each, kiln_gather(g, weights, target, 0));
    return kiln_loss_reduce(g, each, reduction);
}

/* Metrics ------------------------------------------------------------------------------------------------ */

kiln_tensor kiln_one_hot(kiln_graph *g, kiln_tensor index, int64_t depth)
{
    if (!index.id)
        return KILN_NONE;
    const kiln_tensor wide = kiln_unsqueeze(g, kiln_cast(g, index, KILN_I32), -1);
    return kiln_cast(g, kiln_equal(g, wide, kiln_range(g, depth)), KILN_F32);
}

static kiln_tensor share_of(kiln_graph *g, kiln_tensor truth)
{
    return kiln_mean(g, kiln_cast(g, truth, KILN_F32), NULL);
}

kiln_tensor kiln_accuracy(kiln_graph *g, kiln_tensor scores, kiln_tensor target)
{
    return share_of(g, kiln_equal(g, kiln_argmax(g, scores, 1, false), kiln_cast(g, target, KILN_I32)));
}

/* Ahead of the target are larger scores, and equal ones of smaller classes. */
kiln_tensor kiln_top_k_accuracy(kiln_graph *g, kiln_tensor scores, kiln_tensor target, int k)
{
    if (!scores.id || !target.id)
        return KILN_NONE;
    const kiln_shape shape = kiln_tensor_shape(g, scores);
    if (shape.rank != 2 || shape.size[1] < 0) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "top_k_accuracy: scores have rank %d, wanted [N, C] with C known", shape.rank);
        return KILN_NONE;
    }
    const kiln_tensor classes = kiln_range(g, shape.size[1]);
    const kiln_tensor chosen = kiln_unsqueeze(g, kiln_cast(g, target, KILN_I32), 1);
    const kiln_tensor zero = kiln_scalar(g, kiln_tensor_type(g, scores), 0);
    const kiln_tensor own =
        class_sum(g, kiln_where(g, kiln_equal(g, classes, chosen), scores, zero), 1, true);
    const kiln_tensor tied = kiln_and(g, kiln_equal(g, scores, own), kiln_less(g, classes, chosen));
    const kiln_tensor ahead = kiln_cast(g, kiln_or(g, kiln_less(g, own, scores), tied), KILN_I32);
    const kiln_tensor rank = kiln_sum(g, ahead, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    return share_of(g, kiln_less(g, rank, kiln_scalar(g, KILN_I32, k)));
}
