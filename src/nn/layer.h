/* layer.h - what the layers share. */
#ifndef KILN_NN_LAYER_H
#define KILN_NN_LAYER_H

#include <kiln/graph.h>

/** Open the scope of a layer, named by the user or by the counter of its kind. kiln_scope_close ends it. */
void kiln_layer_open(kiln_graph *g, const char *kind, const char *name);

/** Size `axis` (negative from the end) of x, which weights depend on; fails the graph and returns -1 where it
 * is unknown. */
int64_t kiln_layer_size(kiln_graph *g, const char *kind, kiln_tensor x, int axis);

/** A parameter as a layer of x uses it: F32 in the weights, in the type of x where that is another real one. */
kiln_tensor kiln_layer_parameter(kiln_graph *g, const char *name, kiln_shape shape, const kiln_init *init,
                                 kiln_tensor x);

#endif
