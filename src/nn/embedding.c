/* embedding.c - the layer of learned rows. */
#include <kiln/extend.h>
#include <kiln/indexing.h>
#include <kiln/nn.h>
#include <kiln/ops.h>

#include "nn/layer.h"

kiln_tensor kiln_nn_embedding(kiln_graph *g, kiln_tensor index, const kiln_nn_embedding_params *params)
{
    const kiln_nn_embedding_params none = {0}, *p = params ? params : &none;
    const kiln_init normal = {.kind = KILN_INIT_NORMAL};
    if (p->count <= 0 || p->width <= 0)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "embedding layer: %lld rows of width %d, wanted at least 1",
                        (long long)p->count, p->width);
    if (kiln_graph_status(g))
        return KILN_NONE;

    kiln_layer_open(g, "embedding", p->name);
    const kiln_tensor weight = kiln_parameter(g, "weight", KILN_SHAPE(p->count, p->width),
                                              p->init.kind == KILN_INIT_DEFAULT ? &normal : &p->init);
    const kiln_tensor y = kiln_embedding(g, weight, index, &p->embedding);
    kiln_scope_close(g);
    return y;
}
