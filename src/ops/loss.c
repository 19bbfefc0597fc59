/*
 * loss.c - losses and metrics: softmax cross-entropy against class numbers as a fused operator, the others composed.
 *
 *   cross_entropy_each[r] = log(sum over c of exp(x[r, c])) - x[r, target[r]]
 *   dx[r, c] = (softmax(x)[r, c] - (c == target[r])) * dy[r]
 *
 * A target that is no class gives NaN, so that it cannot pass unseen.
 *
 * Kernels: src/ops/loss_kernel.c, shaders/loss/, src/cpu/loss.c, src/cpu/loss_fast.c.   Tests: tests/ops/loss.c.
 */
#include <kiln/ops.h>

#include "graph/graph.h"
#include "loss/cross_entropy.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/rows.h"

/* Cross-entropy against class numbers -------------------------------------------------------------------- */

/* scores [N, C, ..] without axis 1. */
static kiln_shape without_classes(const kiln_shape *scores)
{
    kiln_shape rows = {.rank = 0};
    for (int i = 0; i < scores->rank; i++)
        if (i != 1)
            rows.size[rows.rank++] = scores->size[i];
    return rows;
}

static kiln_status entropy_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec scores = kiln_tensor_spec(g, n->in[0]), target = kiln_tensor_spec(g, n->in[1]);
    const kiln_shape rows = without_classes(&scores.shape);
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
    out[0] = (kiln_spec){scores.type, rows};
    return KILN_OK;
}

static void entropy_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_cross_entropy_grad, (const kiln_tensor[]){n->in[0], n->in[1], dy[0]}, 3,
                        NULL, 0);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static kiln_tensor class_sum(kiln_graph *g, kiln_tensor t)
{
    return kiln_sum(g, t, &(kiln_reduce_params){.axes = KILN_AXES(1), .keep = true});
}

/* With s = softmax(x), q = s - onehot and dx = q dy: by x, s * (d - sum(s d)) dy; by dy, sum(q d), q being this operator's value
 * for ones. */
static void grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *d, kiln_tensor *dx)
{
    const kiln_tensor s = kiln_softmax(g, n->in[0], 1), pull = kiln_mul(g, s, d[0]);
    const kiln_tensor by_x = kiln_sub(g, pull, kiln_mul(g, s, class_sum(g, pull)));
    dx[0] = kiln_mul(g, by_x, kiln_unsqueeze(g, n->in[2], 1));
    const kiln_tensor ones = kiln_ones_like(g, n->in[2]);
    const kiln_tensor q = kiln_append(g, &kiln_op_cross_entropy_grad,
                                      (const kiln_tensor[]){n->in[0], n->in[1], ones}, 3, NULL, 0);
    dx[2] = kiln_sum(g, kiln_mul(g, q, d[0]), &(kiln_reduce_params){.axes = KILN_AXES(1)});
}

/* Both kernels have one block, their operands in the node's order, and the result behind them. */
static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape shape = kiln_plan_spec(plan, n->in[0]).shape;
    const struct kiln_rows rows = kiln_rows_of(&shape, 1);
    if (rows.count == 0 || rows.length == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = n->inputs == 3 ? &kiln_kernel_cross_entropy_grad : &kiln_kernel_cross_entropy,
        .block_size = sizeof(struct kiln_params_cross_entropy),
    };
    for (int i = 0; i < n->inputs; i++)
        d.bind[i].value = n->in[i];
    d.bind[n->inputs].value = n->out[0];
    *(struct kiln_params_cross_entropy *)d.block.words =
        (struct kiln_params_cross_entropy){.rows = rows.count, .cols = rows.length, .step = rows.step};
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_lowering lowerings[] = {{.name = "rows", .lower = lower}};

/* Rows apart; the classes are all there. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const bool rows = kiln_tensor_shape(g, n->in[input]).rank < kiln_tensor_shape(g, n->in[0]).rank;
    return axis == 1 && !rows ? KILN_REFUSED : KILN_IGNORED;
}

const kiln_op kiln_op_cross_entropy = {
    .name = "cross_entropy",
    .inputs = 2,
    .outputs = 1,
    .infer = entropy_infer,
    .beyond = beyond,
    .grad = entropy_grad,
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
    .lowerings = lowerings,
    .lowering_count = 1,
};

/* Losses ------------------------------------------------------------------------------------------------- */

kiln_tensor kiln_cross_entropy_each(kiln_graph *g, kiln_tensor scores, kiln_tensor target)
{
    if (!scores.id || !target.id)
        return KILN_NONE;
    if (!kiln_type_is_real(kiln_tensor_type(g, target)))
        return kiln_append(g, &kiln_op_cross_entropy, (const kiln_tensor[]){scores, target}, 2, NULL, 0);
    const kiln_tensor share = kiln_mul(g, target, kiln_log_softmax(g, scores, 1));
    return kiln_neg(g, kiln_sum(g, share, &(kiln_reduce_params){.axes = KILN_AXES(1)}));
}

kiln_tensor kiln_cross_entropy(kiln_graph *g, kiln_tensor scores, kiln_tensor target)
{
    return kiln_mean(g, kiln_cross_entropy_each(g, scores, target), NULL);
}

/* softplus(s) - s t is max(s, 0) - s t + log(1 + exp(-|s|)). */
kiln_tensor kiln_binary_cross_entropy(kiln_graph *g, kiln_tensor scores, kiln_tensor target)
{
    return kiln_mean(g, kiln_sub(g, kiln_softplus(g, scores), kiln_mul(g, scores, target)), NULL);
}

kiln_tensor kiln_mean_squared_error(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return kiln_mean(g, kiln_square(g, kiln_sub(g, a, b)), NULL);
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
    const kiln_tensor own = class_sum(g, kiln_where(g, kiln_equal(g, classes, chosen), scores, zero));
    const kiln_tensor tied = kiln_and(g, kiln_equal(g, scores, own), kiln_less(g, classes, chosen));
    const kiln_tensor ahead = kiln_cast(g, kiln_or(g, kiln_less(g, own, scores), tied), KILN_I32);
    const kiln_tensor rank = kiln_sum(g, ahead, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    return share_of(g, kiln_less(g, rank, kiln_scalar(g, KILN_I32, k)));
}
