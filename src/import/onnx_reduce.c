/* onnx_reduce.c - reductions; arg max and min. */
#include <string.h>

#include "import/onnx.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

static bool wants_reals(kiln_onnx_reduce_fn *reduce)
{
    return reduce == kiln_mean || reduce == kiln_reduce_l2 || reduce == kiln_log_sum ||
           reduce == kiln_log_sum_exp;
}

/* Over no axis each element is reduced by itself. */
static kiln_tensor alone(kiln_onnx_node *n, kiln_tensor x)
{
    kiln_onnx_reduce_fn *const reduce = n->row->reduce;
    if (reduce == kiln_reduce_l1 || reduce == kiln_reduce_l2)
        return kiln_abs(n->g, x);
    if (reduce == kiln_sum_square)
        return kiln_mul(n->g, x, x);
    if (reduce != kiln_log_sum)
        return x;
    const kiln_type type = kiln_tensor_type(n->g, x);
    return kiln_type_is_real(type) ? kiln_log(n->g, x)
                                   : kiln_cast(n->g, kiln_log(n->g, kiln_cast(n->g, x, KILN_F32)), type);
}

void kiln_onnx_build_reduce(kiln_onnx_node *n)
{
    const int since = strcmp(n->row->name, "ReduceSum") ? 18 : 13, rank = kiln_onnx_spec(n, 0).shape.rank;
    kiln_reduce_params params = {.keep = kiln_onnx_int(n, "keepdims", 1) != 0};
    struct kiln_onnx_list axes;
    if (!n->row->reduce)
        kiln_onnx_refuse(n, "supported only where its inputs are known before anything runs");
    if (n->refused || !kiln_onnx_list(n, "axes", since, 1, &axes))
        return;
    if (kiln_onnx_int(n, "noop_with_empty_axes", 0) && axes.count == 0) {
        kiln_onnx_out(n, 0, alone(n, kiln_onnx_in(n, 0)));
        return;
    }
    if (axes.count > rank) {
        kiln_onnx_refuse(n, "%d axes of a tensor of rank %d", axes.count, rank);
        return;
    }
    params.axes.count = axes.count;
    for (int i = 0; i < axes.count; i++)
        params.axes.axis[i] = kiln_onnx_axis(n, axes.item[i].i, rank);
    if (n->refused)
        return;
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const kiln_type type = kiln_onnx_spec(n, 0).type;
    if (type == KILN_BOOL) /* the largest truth is "any", the least "all" */
        kiln_onnx_out(n, 0, (n->row->reduce == kiln_reduce_max ? kiln_any : kiln_all)(n->g, x, &params));
    else if (!kiln_type_is_real(type) && wants_reals(n->row->reduce))
        kiln_onnx_out(n, 0,
                      kiln_cast(n->g, n->row->reduce(n->g, kiln_cast(n->g, x, KILN_F32), &params), type));
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
