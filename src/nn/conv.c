/* conv.c - the convolution layer. */
#include <string.h>

#include <kiln/extend.h>
#include <kiln/nn.h>
#include <kiln/ops.h>

#include "nn/layer.h"

/* Channels of x that one filter sees; -1 after a failure. */
static int64_t channels_of(kiln_graph *g, kiln_tensor x, const kiln_nn_conv2d_params *p, int groups)
{
    const int64_t channels = kiln_layer_size(g, "conv", x, 1);
    if (channels < 0)
        return -1;
    if (p->filters > 0 && p->size[0] > 0 && p->size[1] > 0 && groups > 0 && channels % groups == 0 &&
        p->filters % groups == 0)
        return channels / groups;
    kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                    "conv layer: %d filters of size %d x %d in %d groups for %lld channels", p->filters,
                    p->size[0], p->size[1], groups, (long long)channels);
    return -1;
}

kiln_tensor kiln_nn_conv2d(kiln_graph *g, kiln_tensor x, const kiln_nn_conv2d_params *params)
{
    const kiln_nn_conv2d_params none = {0}, *p = params ? params : &none;
    const int groups = p->groups ? p->groups : 1;
    const int64_t channels = channels_of(g, x, p, groups);
    if (channels < 0)
        return KILN_NONE;

    kiln_conv2d_params conv = {.same = p->same, .groups = groups};
    memcpy(conv.stride, p->stride, sizeof conv.stride);
    memcpy(conv.pad, p->pad, sizeof conv.pad);
    memcpy(conv.dilation, p->dilation, sizeof conv.dilation);

    kiln_layer_open(g, "conv", p->name);
    const kiln_shape shape = KILN_SHAPE(p->filters, channels, p->size[0], p->size[1]);
    const kiln_tensor weight = kiln_layer_parameter(g, "weight", shape, &p->init, x);
    const kiln_tensor bias =
        p->no_bias ? KILN_NONE : kiln_layer_parameter(g, "bias", KILN_SHAPE(p->filters), &p->bias_init, x);
    const kiln_tensor y = kiln_conv2d(g, x, weight, bias, &conv);
    kiln_scope_close(g);
    return y;
}
