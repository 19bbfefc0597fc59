/* dense.c - the fully connected layer. */
#include <kiln/extend.h>
#include <kiln/nn.h>
#include <kiln/ops.h>

#include "nn/layer.h"

kiln_tensor kiln_nn_dense(kiln_graph *g, kiln_tensor x, const kiln_nn_dense_params *params)
{
    const kiln_nn_dense_params none = {0}, *p = params ? params : &none;
    const int64_t features = kiln_layer_size(g, "dense", x, -1);
    if (p->units <= 0)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "dense layer: %d units, wanted at least 1", p->units);
    if (kiln_graph_status(g))
        return KILN_NONE;

    kiln_layer_open(g, "dense", p->name);
    const kiln_tensor weight = kiln_layer_parameter(g, "weight", KILN_SHAPE(p->units, features), &p->init, x);
    kiln_tensor y = kiln_matmul(g, x, weight, &(kiln_matmul_params){.transpose_b = true});
    if (!p->no_bias)
        y = kiln_add(g, y, kiln_layer_parameter(g, "bias", KILN_SHAPE(p->units), &p->bias_init, x));
    kiln_scope_close(g);
    return y;
}
