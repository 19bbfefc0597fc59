/* onnx_norm.c - normalization and softmax. */
#include <kiln/indexing.h>
#include <kiln/norm.h>

#include "import/onnx.h"

/* Batch normalization ------------------------------------------------------------------------------------ */

enum { X, SCALE, BIAS, MEAN, VARIANCE };
enum { Y, NEW_MEAN, NEW_VARIANCE, SAVED_MEAN, SAVED_VARIANCE };

struct batch_norm {
    kiln_tensor x; /* F32, of rank 2 or more */
    int rank;
    bool spatial; /* statistics of channels; else of each place, over the batch alone */
    double epsilon, momentum;
};

/* What the file asks for: until opset 13 by its outputs, of which test mode has one. */
static bool asks_for_training(kiln_onnx_node *n)
{
    bool more = false;
    for (int i = 1; i < n->outputs; i++)
        more = more || n->out[i];
    if (n->opset >= 14)
        return kiln_onnx_int(n, "training_mode", 0) != 0;
    return more && !kiln_onnx_int(n, "is_test", 0);
}

static bool take_batch_norm(kiln_onnx_node *n, struct batch_norm *b)
{
    const int own = kiln_onnx_spec(n, X).shape.rank;
    *b = (struct batch_norm){.rank = own > 1 ? own : 2,
                             .spatial = kiln_onnx_int(n, "spatial", 1) != 0,
                             .epsilon = kiln_onnx_real(n, "epsilon", 1e-5),
                             .momentum = kiln_onnx_real(n, "momentum", 0.9)};
    if (own < 1)
        kiln_onnx_refuse(n, "x is one number");
    for (int i = SCALE; i <= VARIANCE && !n->refused; i++) {
        const int rank = kiln_onnx_spec(n, i).shape.rank;
        if (rank != 1 && (b->spatial || rank != b->rank - 1))
            kiln_onnx_refuse(n, "input %d has rank %d", i, rank);
        else if (!b->spatial && rank != b->rank - 1 && asks_for_training(n))
            kiln_onnx_refuse(n, "statistics of each place, and input %d of channels", i);
    }
    if (n->refused)
        return false;
    b->x = kiln_cast(n->g, kiln_onnx_in(n, X), KILN_F32);
    if (own == 1) /* one channel */
        b->x = kiln_unsqueeze(n->g, b->x, 1);
    return true;
}

/* A vector [C] as [C, 1, ..] to go with axis 1 of x; values of each place as they are. */
static kiln_tensor laid(kiln_onnx_node *n, const struct batch_norm *b, int i)
{
    const kiln_tensor v = kiln_cast(n->g, kiln_onnx_in(n, i), KILN_F32);
    kiln_shape shape = {.rank = b->rank - 1, .size = {KILN_REST}};
    if (kiln_onnx_spec(n, i).shape.rank == b->rank - 1)
        return v;
    for (int axis = 1; axis < shape.rank; axis++)
        shape.size[axis] = 1;
    return kiln_reshape(n->g, v, shape);
}

/* The axes that statistics are over: all but 1, the channels; or the first. */
static kiln_axes averaged(const struct batch_norm *b)
{
    kiln_axes axes = {.count = b->spatial ? b->rank - 1 : 1};
    for (int i = 1; i < axes.count; i++)
        axes.axis[i] = i + 1;
    return axes;
}

/* (x - mean) / sqrt(variance + epsilon) * scale + bias */
static kiln_tensor normalize(kiln_onnx_node *n, const struct batch_norm *b, kiln_tensor mean,
                             kiln_tensor variance)
{
    const kiln_tensor factor = kiln_rsqrt(n->g, kiln_shift(n->g, variance, b->epsilon));
    const kiln_tensor y = kiln_mul(n->g, kiln_sub(n->g, b->x, mean), factor);
    return kiln_add(n->g, kiln_mul(n->g, y, laid(n, b, SCALE)), laid(n, b, BIAS));
}

/* y, of x's shape and type. */
static void give(kiln_onnx_node *n, const struct batch_norm *b, kiln_tensor y)
{
    const kiln_spec x = kiln_onnx_spec(n, X);
    y = x.shape.rank < b->rank ? kiln_squeeze(n->g, y, 1) : y;
    kiln_onnx_out(n, Y, kiln_cast(n->g, y, x.type));
}

/* A statistic of the batch as it was, and what it makes of the running one: old * momentum + new * (1 - momentum). */
static void give_statistic(kiln_onnx_node *n, const struct batch_norm *b, int input, kiln_tensor batch)
{
    const kiln_tensor old = kiln_onnx_in(n, input);
    const kiln_tensor now = kiln_reshape_to(n->g, batch, old);
    const kiln_tensor kept = kiln_scale(n->g, kiln_cast(n->g, old, KILN_F32), b->momentum);
    const kiln_tensor mixed = kiln_add(n->g, kept, kiln_scale(n->g, now, 1 - b->momentum));
    const kiln_type type = kiln_onnx_spec(n, input).type;
    kiln_onnx_out(n, input - MEAN + NEW_MEAN, kiln_cast(n->g, mixed, type));
    kiln_onnx_out(n, input - MEAN + SAVED_MEAN, kiln_cast(n->g, now, type));
}

/* By running statistics that are states: what a program that trains may learn. */
static kiln_tensor normalize_learning(kiln_onnx_node *n, const struct batch_norm *b)
{
    const double share = 1 - b->momentum;
    const kiln_batch_norm_params params = {.epsilon = b->epsilon > 0 ? b->epsilon : KILN_ZERO,
                                           .momentum = share > 0 ? share : KILN_ZERO,
                                           .frozen = !n->m->params.train};
    return kiln_batch_norm(n->g, b->x, kiln_cast(n->g, kiln_onnx_in(n, SCALE), KILN_F32),
                           kiln_cast(n->g, kiln_onnx_in(n, BIAS), KILN_F32), kiln_onnx_in(n, MEAN),
                           kiln_onnx_in(n, VARIANCE), &params);
}

void kiln_onnx_build_batch_norm(kiln_onnx_node *n)
{
    const bool training = asks_for_training(n);
    struct batch_norm b;
    kiln_tensor mean = KILN_NONE, variance = KILN_NONE;
    if (!take_batch_norm(n, &b))
        return;
    const bool kept =
        b.spatial && n->in[MEAN]->role == KILN_ONNX_STATE && n->in[VARIANCE]->role == KILN_ONNX_STATE;
    if (training) {
        mean = kiln_moments(n->g, b.x, averaged(&b), &variance);
        give_statistic(n, &b, MEAN, mean);
        give_statistic(n, &b, VARIANCE, variance);
    }
    if (kept && (!training || n->m->params.train))
        give(n, &b, normalize_learning(n, &b));
    else if (training)
        give(n, &b, normalize(n, &b, mean, variance));
    else
        give(n, &b, normalize(n, &b, laid(n, &b, MEAN), laid(n, &b, VARIANCE)));
}

/* Other normalization ------------------------------------------------------------------------------------ */

/* An epsilon of 0 means none. */
static double epsilon_of(kiln_onnx_node *n)
{
    const double epsilon = kiln_onnx_real(n, "epsilon", 1e-5);
    return epsilon > 0 ? epsilon : KILN_ZERO;
}

void kiln_onnx_build_instance_norm(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    if (rank < 3) {
        kiln_onnx_refuse(n, "x has rank %d, wanted 3 or more", rank);
        return;
    }
    kiln_onnx_out(n, 0, kiln_instance_norm(n->g, x, kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), epsilon_of(n)));
}

/* A vector of the groups as one of the channels. */
static kiln_tensor each_channel(kiln_onnx_node *n, int i, int64_t groups, int64_t channels)
{
    const kiln_tensor t = kiln_onnx_in(n, i);
    if (kiln_onnx_spec(n, i).shape.size[0] != groups || groups == channels)
        return t;
    const kiln_shape apart = KILN_SHAPE(groups, channels / groups);
    return kiln_reshape(n->g, kiln_expand(n->g, kiln_unsqueeze(n->g, t, 1), apart), KILN_SHAPE(channels));
}

/* Until opset 20 scale and bias were the groups', since then they are the channels'. */
void kiln_onnx_build_group_norm(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    const int64_t groups = kiln_onnx_int(n, "num_groups", 0);
    if (x.rank < 2 || x.size[1] < 1 || groups < 1 || x.size[1] % groups) {
        kiln_onnx_refuse(n, "%lld groups of the channels of x, of rank %d", (long long)groups, x.rank);
        return;
    }
    kiln_onnx_out(n, 0,
                  kiln_group_norm(n->g, kiln_onnx_in(n, 0), (int)groups,
                                  each_channel(n, 1, groups, x.size[1]),
                                  each_channel(n, 2, groups, x.size[1]), epsilon_of(n)));
}

void kiln_onnx_build_layer_norm(kiln_onnx_node *n)
{
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", -1), kiln_onnx_spec(n, 0).shape.rank);
    if (n->refused)
        return;
    const kiln_tensor y = kiln_layer_norm(n->g, kiln_onnx_in(n, 0), axis, kiln_onnx_in(n, 1),
                                          kiln_onnx_in(n, 2), epsilon_of(n));
    for (int i = 0; i < 3 && y.id; i++)
        kiln_onnx_out(n, i, kiln_node_output(n->g, y, i));
}

void kiln_onnx_build_rms_norm(kiln_onnx_node *n)
{
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", -1), kiln_onnx_spec(n, 0).shape.rank);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_rms_norm(n->g, kiln_onnx_in(n, 0), axis, kiln_onnx_in(n, 1), epsilon_of(n)));
}

/* Vectors of length 0 stay as they are. */
void kiln_onnx_build_lp_norm(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", -1), kiln_onnx_spec(n, 0).shape.rank);
    const int64_t power = kiln_onnx_int(n, "p", 2);
    const double least = 1e-25; /* what is shorter counts as 0 */
    if (power != 1 && power != 2)
        kiln_onnx_refuse(n, "p is %lld, wanted 1 or 2", (long long)power);
    if (n->refused)
        return;
    if (power == 2) {
        kiln_onnx_out(n, 0, kiln_l2_normalize(n->g, x, axis, least));
        return;
    }
    const kiln_reduce_params params = {.axes = KILN_AXES(axis), .keep = true};
    const kiln_tensor length = kiln_reduce_l1(n->g, x, &params);
    kiln_onnx_out(
        n, 0, kiln_div(n->g, x, kiln_max(n->g, length, kiln_scalar(n->g, kiln_onnx_spec(n, 0).type, least))));
}

void kiln_onnx_build_mean_variance_norm(kiln_onnx_node *n)
{
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    kiln_axes axes = KILN_AXES(0, 2, 3);
    int count;
    const int64_t *given = kiln_onnx_ints(n, "axes", &count);
    if (count > KILN_MAX_RANK)
        kiln_onnx_refuse(n, "%d axes", count);
    for (int i = 0; given && !n->refused && i < count; i++)
        axes.axis[i] = (int)given[i];
    axes.count = given ? count : axes.count;
    for (int i = 0; i < axes.count && !n->refused; i++)
        axes.axis[i] = kiln_onnx_axis(n, axes.axis[i], rank);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_mean_variance_norm(n->g, kiln_onnx_in(n, 0), axes));
}

static double or_zero(double value)
{
    return value == 0 ? KILN_ZERO : value;
}

void kiln_onnx_build_lrn(kiln_onnx_node *n)
{
    const kiln_local_response_norm_params params = {.size = (int)kiln_onnx_int(n, "size", 0),
                                                    .alpha = or_zero(kiln_onnx_real(n, "alpha", 1e-4)),
                                                    .beta = or_zero(kiln_onnx_real(n, "beta", 0.75)),
                                                    .bias = or_zero(kiln_onnx_real(n, "bias", 1))};
    if (params.size < 1)
        kiln_onnx_refuse(n, "size is %d", params.size);
    else
        kiln_onnx_out(n, 0, kiln_local_response_norm(n->g, kiln_onnx_in(n, 0), &params));
}

void kiln_onnx_build_softmax(kiln_onnx_node *n)
{
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", -1), kiln_onnx_spec(n, 0).shape.rank);
    if (!n->refused)
        kiln_onnx_out(n, 0, n->row->softmax(n->g, kiln_onnx_in(n, 0), axis));
}

kiln_tensor kiln_onnx_flat(kiln_graph *g, kiln_onnx_axis_fn *softmax, kiln_tensor x, int axis)
{
    if (axis == kiln_tensor_shape(g, x).rank - 1)
        return softmax(g, x, -1);
    return kiln_reshape_to(g, softmax(g, kiln_flatten(g, x, axis), -1), x);
}

void kiln_onnx_build_softmax_flat(kiln_onnx_node *n)
{
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 1), kiln_onnx_spec(n, 0).shape.rank);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_onnx_flat(n->g, n->row->softmax, kiln_onnx_in(n, 0), axis));
}

/* 1 at the first of the largest along an axis, else 0. */
static kiln_tensor hardmax(kiln_graph *g, kiln_tensor x, int axis)
{
    const int rank = kiln_tensor_shape(g, x).rank;
    kiln_tensor place = kiln_positions(g, x, axis);
    for (int i = axis + 1; i < rank; i++)
        place = kiln_unsqueeze(g, place, -1);
    const kiln_tensor first = kiln_argmax(g, x, axis, true);
    return kiln_cast(g, kiln_equal(g, place, first), kiln_tensor_type(g, x));
}

/* Before opset 13: over all axes from `axis` on, as one. */
void kiln_onnx_build_hardmax(kiln_onnx_node *n)
{
    const bool flat = n->opset < 13;
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    const int64_t given = kiln_onnx_int(n, "axis", flat ? 1 : -1);
    const int axis = flat && rank == 1 && given == 1 ? 0 : kiln_onnx_axis(n, given, rank);
    const kiln_tensor x = kiln_onnx_in(n, 0);
    if (n->refused)
        return;
    if (flat && axis < rank - 1)
        kiln_onnx_out(n, 0, kiln_reshape_to(n->g, hardmax(n->g, kiln_flatten(n->g, x, axis), 1), x));
    else
        kiln_onnx_out(n, 0, hardmax(n->g, x, axis));
}
