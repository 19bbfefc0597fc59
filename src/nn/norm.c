/* norm.c - the normalization layers. */
#include <kiln/nn.h>
#include <kiln/norm.h>
#include <kiln/ops.h>

#include "nn/layer.h"

static const kiln_init ones = {.kind = KILN_INIT_CONSTANT, .value = 1}, zeros = {.kind = KILN_INIT_ZEROS};

kiln_tensor kiln_nn_batch_norm(kiln_graph *g, kiln_tensor x, const kiln_nn_batch_norm_params *params)
{
    const kiln_nn_batch_norm_params none = {0}, *p = params ? params : &none;
    const kiln_batch_norm_params norm = {.epsilon = p->epsilon, .momentum = p->momentum, .frozen = p->frozen};
    const int64_t channels = kiln_layer_size(g, "norm", x, 1);
    if (channels < 0)
        return KILN_NONE;

    kiln_layer_open(g, "norm", p->name);
    const kiln_shape shape = KILN_SHAPE(channels);
    const kiln_tensor scale = p->no_scale ? KILN_NONE : kiln_parameter(g, "weight", shape, &ones);
    const kiln_tensor bias = p->no_scale ? KILN_NONE : kiln_parameter(g, "bias", shape, &zeros);
    const kiln_tensor mean = kiln_state_init(g, "running_mean", KILN_F32, shape, KILN_STORE_WEIGHTS, &zeros);
    const kiln_tensor variance =
        kiln_state_init(g, "running_var", KILN_F32, shape, KILN_STORE_WEIGHTS, &ones);
    const kiln_tensor y = kiln_batch_norm(g, x, scale, bias, mean, variance, &norm);
    kiln_scope_close(g);
    return y;
}

/* The shape of x's last axes, which must be known; false after a failure. */
static bool rows_of(kiln_graph *g, kiln_tensor x, int axes, kiln_shape *out)
{
    *out = (kiln_shape){.rank = axes};
    for (int i = 0; i < axes && i < KILN_MAX_RANK; i++)
        if ((out->size[i] = kiln_layer_size(g, "norm", x, i - axes)) < 0)
            return false;
    return true;
}

kiln_tensor kiln_nn_layer_norm(kiln_graph *g, kiln_tensor x, const kiln_nn_layer_norm_params *params)
{
    const kiln_nn_layer_norm_params none = {0}, *p = params ? params : &none;
    const int axes = p->axes > 0 ? p->axes : 1;
    kiln_shape shape;
    if (!rows_of(g, x, axes, &shape))
        return KILN_NONE;

    kiln_layer_open(g, "norm", p->name);
    const kiln_tensor scale = p->no_scale ? KILN_NONE : kiln_parameter(g, "weight", shape, &ones);
    const kiln_tensor bias = p->no_scale || p->no_bias ? KILN_NONE : kiln_parameter(g, "bias", shape, &zeros);
    const kiln_tensor y = kiln_layer_norm(g, x, -axes, scale, bias, p->epsilon);
    kiln_scope_close(g);
    return y;
}

kiln_tensor kiln_nn_rms_norm(kiln_graph *g, kiln_tensor x, const kiln_nn_layer_norm_params *params)
{
    const kiln_nn_layer_norm_params none = {0}, *p = params ? params : &none;
    const int axes = p->axes > 0 ? p->axes : 1;
    kiln_shape shape;
    if (!rows_of(g, x, axes, &shape))
        return KILN_NONE;

    kiln_layer_open(g, "norm", p->name);
    const kiln_tensor scale = p->no_scale ? KILN_NONE : kiln_parameter(g, "weight", shape, &ones);
    const kiln_tensor y = kiln_rms_norm(g, x, -axes, scale, p->epsilon);
    kiln_scope_close(g);
    return y;
}

kiln_tensor kiln_nn_group_norm(kiln_graph *g, kiln_tensor x, const kiln_nn_group_norm_params *params)
{
    const kiln_nn_group_norm_params none = {0}, *p = params ? params : &none;
    const int64_t channels = kiln_layer_size(g, "norm", x, 1);
    if (channels < 0)
        return KILN_NONE;

    kiln_layer_open(g, "norm", p->name);
    const kiln_shape shape = KILN_SHAPE(channels);
    const kiln_tensor scale = p->no_scale ? KILN_NONE : kiln_parameter(g, "weight", shape, &ones);
    const kiln_tensor bias = p->no_scale ? KILN_NONE : kiln_parameter(g, "bias", shape, &zeros);
    const kiln_tensor y = p->groups ? kiln_group_norm(g, x, p->groups, scale, bias, p->epsilon)
                                    : kiln_instance_norm(g, x, scale, bias, p->epsilon);
    kiln_scope_close(g);
    return y;
}
