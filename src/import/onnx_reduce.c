/* onnx_reduce.c - reductions; arg max and min. */
#include <string.h>

#include "import/onnx.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

void kiln_onnx_build_reduce(kiln_onnx_node *n)
{
    const int since = strcmp(n->row->name, "ReduceSum") ? 18 : 13, rank = kiln_onnx_spec(n, 0).shape.rank;
    kiln_reduce_params params = {.keep = kiln_onnx_int(n, "keepdims", 1) != 0};
    struct kiln_onnx_list axes;
    if (!n->row->reduce)
        kiln_onnx_refuse(n, "supported only where its inputs are known before anything runs");
    if (n->refused || !kiln_onnx_list(n, "axes", since, 1, &axes))
        return;
    const bool nothing = kiln_onnx_int(n, "noop_with_empty_axes", 0) && axes.count == 0;
    if (nothing &&
        (n->row->reduce == kiln_sum || n->row->reduce == kiln_product || n->row->reduce == kiln_mean ||
         n->row->reduce == kiln_reduce_max || n->row->reduce == kiln_reduce_min)) {
        kiln_onnx_out(n, 0, kiln_onnx_in(n, 0));
        return;
    }
    if (nothing || axes.count > rank) {
        kiln_onnx_refuse(n, "%d axes of a tensor of rank %d", axes.count, rank);
        return;
    }
    params.axes.count = axes.count;
    for (int i = 0; i < axes.count; i++)
        params.axes.axis[i] = kiln_onnx_axis(n, axes.item[i].i, rank);
    if (n->refused)
        return;
    const kiln_tensor x = kiln_onnx_in(n, 0);
    if (kiln_onnx_spec(n, 0).type == KILN_BOOL) /* the largest truth is "any", the least "all" */
        kiln_onnx_out(n, 0, (n->row->reduce == kiln_reduce_max ? kiln_any : kiln_all)(n->g, x, &params));
    else
        kiln_onnx_out(n, 0, n->row->reduce(n->g, x, &params));
}

void kiln_onnx_build_arg(kiln_onnx_node *n)
{
    const bool keep = kiln_onnx_int(n, "keepdims", 1) != 0, most = !strcmp(n->row->name, "ArgMax");
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 0), kiln_onnx_spec(n, 0).shape.rank);
    kiln_tensor (*const first)(kiln_graph *, kiln_tensor, int, bool) = most ? kiln_argmax : kiln_argmin;
    kiln_tensor (*const last)(kiln_graph *, kiln_tensor, int, bool) =
        most ? kiln_argmax_last : kiln_argmin_last;
    const kiln_tensor x = kiln_onnx_in(n, 0);
    if (n->refused)
        return;
    const kiln_tensor y = (kiln_onnx_int(n, "select_last_index", 0) ? last : first)(n->g, x, axis, keep);
    kiln_onnx_out(n, 0, kiln_cast(n->g, y, KILN_I64));
}
