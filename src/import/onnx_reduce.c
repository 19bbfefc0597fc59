/* onnx_reduce.c - reductions, of which some are composed; arg max and min. */
#include <string.h>

#include "import/onnx.h"

/* Composed reductions ------------------------------------------------------------------------------------ */

kiln_tensor kiln_onnx_sum_square(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return kiln_sum(g, kiln_mul(g, x, x), params);
}

kiln_tensor kiln_onnx_l1(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return kiln_sum(g, kiln_abs(g, x), params);
}

kiln_tensor kiln_onnx_l2(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return kiln_sqrt(g, kiln_onnx_sum_square(g, x, params));
}

kiln_tensor kiln_onnx_log_sum(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return kiln_log(g, kiln_sum(g, x, params));
}

/* m + log(sum(exp(x - m))) with m the largest, so that nothing overflows. */
kiln_tensor kiln_onnx_log_sum_exp(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    const kiln_reduce_params kept = {.axes = params->axes, .keep = true};
    const kiln_tensor largest = kiln_reduce_max(g, x, &kept);
    const kiln_tensor sum = kiln_sum(g, kiln_exp(g, kiln_sub(g, x, largest)), params);
    return kiln_add(g, kiln_log(g, sum), kiln_reshape_to(g, largest, sum));
}

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
    if (nothing && (n->row->reduce == kiln_sum || n->row->reduce == kiln_mean ||
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
    const bool truth =
        kiln_onnx_spec(n, 0).type == KILN_BOOL; /* the largest truth is "any", the least "all" */
    const kiln_tensor x = kiln_onnx_in(n, 0),
                      y = n->row->reduce(n->g, truth ? kiln_cast(n->g, x, KILN_I32) : x, &params);
    kiln_onnx_out(n, 0, truth ? kiln_cast(n->g, y, KILN_BOOL) : y);
}

/* select_last_index: the first of the reversed axis, counted from its end. */
static kiln_tensor last_of(kiln_onnx_node *n, kiln_tensor x, int axis, bool keep)
{
    const int64_t size = kiln_tensor_shape(n->g, x).size[axis];
    if (size < 1) {
        kiln_onnx_refuse(n, "select_last_index where the size of axis %d is not known", axis);
        return KILN_NONE;
    }
    const kiln_tensor reversed = kiln_slice(n->g, x, axis, size - 1, KILN_END, -1);
    return kiln_sub(n->g, kiln_scalar(n->g, KILN_I32, (double)(size - 1)),
                    kiln_argmax(n->g, reversed, axis, keep));
}

void kiln_onnx_build_arg(kiln_onnx_node *n)
{
    const bool keep = kiln_onnx_int(n, "keepdims", 1) != 0,
               last = kiln_onnx_int(n, "select_last_index", 0) != 0;
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 0), kiln_onnx_spec(n, 0).shape.rank);
    kiln_tensor x = kiln_onnx_in(n, 0);
    if (n->refused)
        return;
    x = n->row->unary ? n->row->unary(n->g, x) : x;
    kiln_onnx_out(
        n, 0, kiln_cast(n->g, last ? last_of(n, x, axis, keep) : kiln_argmax(n->g, x, axis, keep), KILN_I64));
}
