/* layer.c - what the layers share: their scopes, and the sizes of x that weights depend on. */
#include "nn/layer.h"

#include <kiln/extend.h>
#include <kiln/ops.h>

void kiln_layer_open(kiln_graph *g, const char *kind, const char *name)
{
    kiln_scope_open(g, kiln_scope_name(g, kind, name));
}

int64_t kiln_layer_size(kiln_graph *g, const char *kind, kiln_tensor x, int axis)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const int at = kiln_axis_of(axis, shape.rank);
    char text[96];
    if (at >= 0 && shape.size[at] > 0)
        return shape.size[at];
    kiln_graph_fail(g, KILN_ERROR_SHAPE, "%s layer: x is %s, wanted a known size of axis %d", kind,
                    x.id ? kiln_shape_text(&shape, text, sizeof text) : "none", axis);
    return -1;
}

kiln_tensor kiln_layer_parameter(kiln_graph *g, const char *name, kiln_shape shape, const kiln_init *init,
                                 kiln_tensor x)
{
    const kiln_tensor t = kiln_parameter(g, name, shape, init);
    return kiln_type_is_real(kiln_tensor_type(g, x)) ? kiln_cast(g, t, kiln_tensor_type(g, x)) : t;
}
