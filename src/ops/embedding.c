/*
 * embedding.c - rows of a table by index, one of which may be left as it is.
 *
 *   y[.., i] = table[index[..], i]
 *
 * A composition: the gradient adds rows in the order of the index (src/ops/scatter.c); rows of padding have it stopped.
 */
#include <kiln/extend.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

kiln_tensor kiln_embedding(kiln_graph *g, kiln_tensor table, kiln_tensor index,
                           const kiln_embedding_params *params)
{
    const kiln_embedding_params none = {0}, *p = params ? params : &none;
    const kiln_tensor y = kiln_gather(g, table, index, 0);
    if (!y.id || !p->has_padding)
        return y;
    const kiln_tensor padding = kiln_scalar(g, kiln_tensor_type(g, index), (double)p->padding);
    kiln_tensor is_padding = kiln_equal(g, index, padding);
    for (int i = kiln_tensor_shape(g, index).rank; i < kiln_tensor_shape(g, y).rank && is_padding.id; i++)
        is_padding = kiln_unsqueeze(g, is_padding, -1);
    return kiln_where(g, is_padding, kiln_stop_gradient(g, y), y);
}
