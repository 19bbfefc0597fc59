/* onnx_norm.c - normalization and softmax. */
#include <kiln/indexing.h>
#include <kiln/norm.h>

#include "import/onnx.h"

/* A vector [C] as [C, 1, ..] to go with axis 1 of a tensor of that rank. */
static kiln_tensor along_channels(kiln_graph *g, kiln_tensor v, int rank)
{
    kiln_shape shape = {.rank = rank - 1, .size = {KILN_REST}};
    for (int i = 1; i < shape.rank; i++)
        shape.size[i] = 1;
    return kiln_reshape(g, v, shape);
}

/* All axes of a tensor but 1, the channels. */
static kiln_axes axes_but_channels(int rank)
{
    kiln_axes axes = {.count = rank - 1};
    for (int i = 1; i < axes.count; i++)
        axes.axis[i] = i + 1;
    return axes;
}

/* (x - mean) / sqrt(variance + epsilon) */
static kiln_tensor normalize(kiln_graph *g, kiln_tensor x, kiln_tensor mean, kiln_tensor variance,
                             double epsilon)
{
    return kiln_mul(g, kiln_sub(g, x, mean), kiln_rsqrt(g, kiln_shift(g, variance, epsilon)));
}

static kiln_tensor scale_and_shift(kiln_onnx_node *n, kiln_tensor y, int rank)
{
    y = kiln_mul(n->g, y, along_channels(n->g, kiln_onnx_in(n, 1), rank));
    return kiln_add(n->g, y, along_channels(n->g, kiln_onnx_in(n, 2), rank));
}

/* old * momentum + new * (1 - momentum) */
static kiln_tensor blend(kiln_onnx_node *n, int input, kiln_tensor moment, double momentum)
{
    const kiln_tensor old = kiln_onnx_in(n, input);
    return kiln_add(n->g, kiln_scale(n->g, old, momentum),
                    kiln_scale(n->g, kiln_reshape(n->g, moment, KILN_SHAPE(KILN_REST)), 1 - momentum));
}

/* training_mode: normalize by the batch, and give the statistics that would be kept. */
static void batch_norm_training(kiln_onnx_node *n, int rank, double epsilon, double momentum)
{
    kiln_tensor variance;
    const kiln_tensor x = kiln_onnx_in(n, 0),
                      mean = kiln_moments(n->g, x, axes_but_channels(rank), &variance);
    kiln_onnx_out(n, 0, scale_and_shift(n, normalize(n->g, x, mean, variance, epsilon), rank));
    if (n->outputs > 1)
        kiln_onnx_out(n, 1, blend(n, 3, mean, momentum));
    if (n->outputs > 2)
        kiln_onnx_out(n, 2, blend(n, 4, variance, momentum));
}

/*
 * Statistics of a type of their own, or one for each element of an image instead of a channel (spatial 0, which opset 9 gave up):
 * as the formula says, for prediction.
 */
static void batch_norm_plain(kiln_onnx_node *n, int rank, double epsilon)
{
    const bool each = kiln_onnx_int(n, "spatial", 1) == 0;
    kiln_tensor in[5];
    if (kiln_onnx_int(n, "training_mode", 0) || n->outputs > 1)
        kiln_onnx_refuse(n, each ? "spatial = 0 in training" : "statistics of another type in training");
    for (int i = 0; i < 5 && !n->refused; i++) {
        in[i] = kiln_cast(n->g, kiln_onnx_in(n, i), KILN_F32);
        if (i && !each)
            in[i] = along_channels(n->g, in[i], rank);
    }
    if (n->refused)
        return;
    const kiln_tensor y = kiln_mul(n->g, normalize(n->g, in[0], in[3], in[4], epsilon), in[1]);
    kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_add(n->g, y, in[2]), kiln_onnx_spec(n, 0).type));
}

void kiln_onnx_build_batch_norm(kiln_onnx_node *n)
{
    const double epsilon = kiln_onnx_real(n, "epsilon", 1e-5), momentum = kiln_onnx_real(n, "momentum", 0.9);
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    if (rank < 2) {
        kiln_onnx_refuse(n, "x has rank %d, wanted 2 or more", rank);
        return;
    }
    if (kiln_onnx_spec(n, 0).type != kiln_onnx_spec(n, 3).type || kiln_onnx_int(n, "spatial", 1) == 0) {
        batch_norm_plain(n, rank, epsilon);
        return;
    }
    if (kiln_onnx_int(n, "training_mode", 0)) {
        batch_norm_training(n, rank, epsilon, momentum);
        return;
    }
    const kiln_tensor x = kiln_onnx_in(n, 0), mean = kiln_onnx_in(n, 3), variance = kiln_onnx_in(n, 4);
    const kiln_batch_norm_params params = {.epsilon = epsilon > 0 ? epsilon : KILN_ZERO,
                                           .momentum = 1 - momentum,
                                           .frozen = !n->m->params.train};
    if (n->in[3]->role == KILN_ONNX_STATE && n->in[4]->role == KILN_ONNX_STATE)
        kiln_onnx_out(
            n, 0, kiln_batch_norm(n->g, x, kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), mean, variance, &params));
    else
        kiln_onnx_out(n, 0,
                      scale_and_shift(n,
                                      normalize(n->g, x, along_channels(n->g, mean, rank),
                                                along_channels(n->g, variance, rank), epsilon),
                                      rank));
}

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

/* Before opset 13: over all axes from `axis` on, as one. */
void kiln_onnx_build_softmax_flat(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 1), rank);
    if (n->refused)
        return;
    const kiln_tensor y = n->row->softmax(n->g, axis == rank - 1 ? x : kiln_flatten(n->g, x, axis), -1);
    kiln_onnx_out(n, 0, axis == rank - 1 ? y : kiln_reshape_to(n->g, y, x));
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
