/* cases.c - see cases.h. */
#include "ops/cases.h"

#include <string.h>

#include <kiln/ops.h>

kiln_tensor kiln_cases_widen(kiln_graph *g, kiln_tensor x, int rank)
{
    while (x.id && kiln_tensor_shape(g, x).rank < rank + 1)
        x = kiln_unsqueeze(g, x, 1);
    return x;
}

kiln_spec kiln_cases_spec(const kiln_cases *c, const kiln_spec *one)
{
    kiln_spec all = {.type = one->type, .shape = {.rank = one->shape.rank + 1}};
    all.shape.size[0] = c->count;
    memcpy(all.shape.size + 1, one->shape.size, (size_t)one->shape.rank * sizeof *one->shape.size);
    return all;
}

kiln_tensor kiln_cases_append(kiln_graph *g, const kiln_node *n, const kiln_cases *c, const kiln_tensor *in,
                              const void *params)
{
    const kiln_spec out = kiln_cases_spec(c, &c->out);
    const kiln_node *copy = kiln_graph_add(g, n->op, in, n->inputs, params, n->params_size, &out, 1,
                                           kiln_arena_text(&g->arena, n->name));
    return copy ? copy->out[0] : KILN_NONE;
}
