/* norm.c - the normalization layer. */
#include <kiln/nn.h>
#include <kiln/ops.h>

#include "nn/layer.h"

kiln_tensor kiln_nn_batch_norm(kiln_graph *g, kiln_tensor x, const kiln_nn_batch_norm_params *params)
{
    const kiln_nn_batch_norm_params none = {0}, *p = params ? params : &none;
    const kiln_batch_norm_params norm = {.epsilon = p->epsilon, .momentum = p->momentum, .frozen = p->frozen};
    const kiln_init ones = {.kind = KILN_INIT_CONSTANT, .value = 1}, zeros = {.kind = KILN_INIT_ZEROS};
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
