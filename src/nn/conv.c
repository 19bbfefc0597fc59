/* conv.c - the layers of convolution. */
#include <string.h>

#include <kiln/conv.h>
#include <kiln/extend.h>
#include <kiln/nn.h>

#include "nn/layer.h"

/* Axes of x behind its channels, which are stored; 0 after a failure. */
static int axes_of(kiln_graph *g, kiln_tensor x, const kiln_nn_conv_params *p, int groups, int64_t *channels)
{
    const int axes = x.id ? kiln_tensor_shape(g, x).rank - 2 : 0;
    *channels = kiln_layer_size(g, "conv", x, 1);
    if (*channels < 0)
        return 0;
    bool fits = axes >= 1 && axes <= 3 && p->filters > 0 && groups > 0 && *channels % groups == 0 &&
                p->filters % groups == 0;
    for (int i = 0; i < axes && fits; i++)
        fits = p->size[i] > 0;
    if (fits)
        return axes;
    kiln_graph_fail(
        g, KILN_ERROR_ARGUMENT,
        "conv layer: %d filters of size %d x %d x %d (0: none) in %d groups for %lld channels and %d axes, "
        "wanted 1 to 3 of them",
        p->filters, p->size[0], p->size[1], p->size[2], groups, (long long)*channels, axes);
    return 0;
}

static kiln_tensor convolve(kiln_graph *g, kiln_tensor x, const kiln_nn_conv_params *params, bool transposed)
{
    const kiln_nn_conv_params none = {0}, *p = params ? params : &none;
    const int groups = p->groups ? p->groups : 1;
    int64_t channels;
    const int axes = axes_of(g, x, p, groups, &channels);
    if (!axes)
        return KILN_NONE;

    kiln_conv_params conv = {.same = p->same, .groups = groups};
    memcpy(conv.stride, p->stride, sizeof conv.stride);
    memcpy(conv.pad, p->pad, sizeof conv.pad);
    memcpy(conv.dilation, p->dilation, sizeof conv.dilation);
    memcpy(conv.output_pad, p->output_pad, sizeof conv.output_pad);

    kiln_layer_open(g, "conv", p->name);
    kiln_shape shape = {.rank = 2 + axes};
    shape.size[0] = transposed ? channels : p->filters;
    shape.size[1] = (transposed ? p->filters : channels) / groups;
    for (int i = 0; i < axes; i++)
        shape.size[2 + i] = p->size[i];
    const kiln_tensor weight = kiln_layer_parameter(g, "weight", shape, &p->init, x);
    const kiln_tensor bias =
        p->no_bias ? KILN_NONE : kiln_layer_parameter(g, "bias", KILN_SHAPE(p->filters), &p->bias_init, x);
    const kiln_tensor y =
        transposed ? kiln_conv_transpose(g, x, weight, bias, &conv) : kiln_conv(g, x, weight, bias, &conv);
    kiln_scope_close(g);
    return y;
}

kiln_tensor kiln_nn_conv(kiln_graph *g, kiln_tensor x, const kiln_nn_conv_params *params)
{
    return convolve(g, x, params, false);
}

kiln_tensor kiln_nn_conv_transpose(kiln_graph *g, kiln_tensor x, const kiln_nn_conv_params *params)
{
    return convolve(g, x, params, true);
}
