/* features.c - what a network's last layer sees. */
#include <string.h>

#include <kiln/extend.h>
#include <kiln/nn.h>

/* The node's first input that a node with inputs computes; KILN_NONE if all are leaves. */
static kiln_tensor computed_input(const kiln_graph *g, const kiln_node *n)
{
    for (int i = 0; i < n->inputs; i++) {
        const kiln_node *from = kiln_node_of(g, n->in[i]);
        if (from && from->inputs)
            return n->in[i];
    }
    return KILN_NONE;
}

static bool is_layer(const kiln_node *n)
{
    static const char *const layers[] = {"matmul", "conv"};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (!strcmp(n->op->name, layers[i]))
            return true;
    return false;
}

kiln_tensor kiln_nn_features(const kiln_graph *g, kiln_tensor y)
{
    for (const kiln_node *n; (n = kiln_node_of(g, y)); y = computed_input(g, n))
        if (is_layer(n))
            return n->in[0];
    return KILN_NONE;
}
