/*
 * norm.h - normalization: values brought to one scale, by rows, by groups of channels, by a vector's length.
 *
 * Batch normalization, which counts running statistics, is in ops.h; the layers that bring their own weights are in nn.h.
 *
 * Common to all:
 *   x is of a real type, y has its shape. scale and bias may be KILN_NONE, which means 1 and 0. An epsilon of 0 means the
 *   default, KILN_ZERO means none. Sums are of float32 whatever x's type, in an order that sizes and the kind of device decide.
 *   Gradients by x, scale and bias; a gradient of these gradients has no rule, unless it says otherwise.
 */
#ifndef KILN_NORM_H
#define KILN_NORM_H

#include <kiln/graph.h>
#include <kiln/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rows --------------------------------------------------------------------------------------------------- */

/**
 * Layer normalization (Ba, Kiros and Hinton 2016) over the axes from `axis` to the last:
 *
 *   y = (x - mean) / sqrt(variance + epsilon) * scale + bias,   the variance biased, epsilon 1e-5 by default
 *
 * Shape:   scale and bias as x's axes from `axis` on, or what broadcasts to them.
 *          Node outputs 1 and 2 are mean and 1 / sqrt(variance + epsilon), x's shape with those axes as 1, without gradient.
 */
KILN_API kiln_tensor kiln_layer_norm(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor scale,
                                     kiln_tensor bias, double epsilon);

/**
 * Root mean square normalization (Zhang and Sennrich 2019) over the axes from `axis` to the last:
 *
 *   y = x / sqrt(mean of x^2 + epsilon) * scale,   epsilon 1e-5 by default
 *
 * Shape:   scale as in kiln_layer_norm.
 */
KILN_API kiln_tensor kiln_rms_norm(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor scale, double epsilon);

/**
 * Vectors along an axis brought to length 1:   y = x / max(||x||, epsilon),   epsilon 1e-12 by default
 *
 * Where the maximum is epsilon, it is taken for constant by the gradient.
 */
KILN_API kiln_tensor kiln_l2_normalize(kiln_graph *g, kiln_tensor x, int axis, double epsilon);

/* Channels: x [N, C, ..] ----------------------------------------------------------------------------------- */

/**
 * Group normalization (Wu and He 2018): the C / groups channels of a group, over all of their positions, as one row of layer
 * normalization; each channel then has a scale and a bias of its own.
 *
 * Shape:   scale, bias [C]; C a multiple of groups. Node outputs 1 and 2: mean and 1 / sqrt(variance + epsilon), [N, groups].
 */
KILN_API kiln_tensor kiln_group_norm(kiln_graph *g, kiln_tensor x, int groups, kiln_tensor scale,
                                     kiln_tensor bias, double epsilon);

/** Instance normalization (Ulyanov, Vedaldi and Lempitsky 2016): as many groups as channels. */
KILN_API kiln_tensor kiln_instance_norm(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor bias,
                                        double epsilon);

/**
 * Mean-variance normalization: y = (x - mean) / (sqrt(variance) + 1e-9) over any axes, {0} all; ONNX means {0, 2, 3}.
 * A composition: it has gradients of any order.
 * Errors:  more than two groups of neighbouring axes, when a program is created.
 */
KILN_API kiln_tensor kiln_mean_variance_norm(kiln_graph *g, kiln_tensor x, kiln_axes axes);

typedef struct kiln_local_response_norm_params {
    int size;     /* channels in a sum; must be given */
    double alpha; /* 0 means 1e-4 */
    double beta;  /* 0 means 0.75 */
    double bias;  /* 0 means 1 */
} kiln_local_response_norm_params;

/**
 * Local response normalization (Krizhevsky, Sutskever and Hinton 2012), across channels:
 *
 *   y[n, c, ..] = x[n, c, ..] / (bias + alpha / size * sum over d of x[n, d, ..]^2)^beta,
 *
 * d from c - (size - 1) / 2 to c + size / 2, each rounded down, of the channels that there are: an even window reaches one
 * further up, as in ONNX. PyTorch's reaches one further down.
 */
KILN_API kiln_tensor kiln_local_response_norm(kiln_graph *g, kiln_tensor x,
                                              const kiln_local_response_norm_params *params);

/* Weights ------------------------------------------------------------------------------------------------ */

/**
 * Weight normalization (Salimans and Kingma 2016): w = scale v / ||v||, the length of each v[o, ..] taken by itself; a weight
 * of any layer as a direction and a length that are learned apart.
 *
 * Shape:   v [O, ..], scale [O] or [O, 1, ..]; w as v.
 */
KILN_API kiln_tensor kiln_weight_norm(kiln_graph *g, kiln_tensor v, kiln_tensor scale);

#ifdef __cplusplus
}
#endif
#endif
