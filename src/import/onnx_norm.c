/* onnx_norm.c - normalization and softmax. */
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

void kiln_onnx_build_batch_norm(kiln_onnx_node *n)
{
    const double epsilon = kiln_onnx_real(n, "epsilon", 1e-5), momentum = kiln_onnx_real(n, "momentum", 0.9);
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    if (rank < 2 || kiln_onnx_int(n, "spatial", 1) != 1) {
        kiln_onnx_refuse(n, rank < 2 ? "x has rank %d, wanted 2 or more" : "spatial = 0 is not supported",
                         rank);
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

void kiln_onnx_build_instance_norm(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    if (rank < 3) {
        kiln_onnx_refuse(n, "x has rank %d, wanted 3 or more", rank);
        return;
    }
    kiln_axes axes = {.count = rank - 2};
    for (int i = 0; i < axes.count; i++)
        axes.axis[i] = i + 2;
    kiln_tensor variance;
    const kiln_tensor mean = kiln_moments(n->g, x, axes, &variance);
    kiln_onnx_out(n, 0,
                  scale_and_shift(n, normalize(n->g, x, mean, variance, kiln_onnx_real(n, "epsilon", 1e-5)),
                                  rank));
}

void kiln_onnx_build_layer_norm(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const int rank = kiln_onnx_spec(n, 0).shape.rank,
              first = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", -1), rank);
    const double epsilon = kiln_onnx_real(n, "epsilon", 1e-5);
    kiln_axes axes = {.count = rank - first};
    for (int i = 0; i < axes.count; i++)
        axes.axis[i] = first + i;
    if (n->refused)
        return;
    kiln_tensor variance;
    const kiln_tensor mean = kiln_moments(n->g, x, axes, &variance);
    kiln_tensor y = kiln_mul(n->g, normalize(n->g, x, mean, variance, epsilon), kiln_onnx_in(n, 1));
    if (kiln_onnx_has(n, 2))
        y = kiln_add(n->g, y, kiln_onnx_in(n, 2));
    kiln_onnx_out(n, 0, y);
    kiln_onnx_out(n, 1, mean);
    if (n->outputs > 2)
        kiln_onnx_out(n, 2, kiln_rsqrt(n->g, kiln_shift(n->g, variance, epsilon)));
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
