/*
 * onnx_agree.c - sizes that must be equal and cannot be told to be, while they are symbols.
 *
 * A file that joins or adds two values says by it that their sizes agree: what a picture of height h became on the way down, h / 4, and on
 * the way up again, h / 8 * 2. One of them is reshaped to the other's size, an axis at a time, so that a run in which the two differ
 * fails where it is planned. No code runs for it.
 */
#include "import/onnx.h"

static kiln_tensor with_size(kiln_graph *g, kiln_tensor x, int axis, int64_t size)
{
    kiln_shape shape = kiln_tensor_shape(g, x);
    shape.size[axis] = size;
    return kiln_reshape(g, x, shape);
}

/* Sizes of data are the business of those who count them, and two numbers that differ that of the operator. */
static bool are_open(const kiln_graph *g, int64_t a, int64_t b)
{
    return a != b && (a < 0 || b < 0) && !kiln_dim_is_counted(g, a) && !kiln_dim_is_counted(g, b);
}

kiln_tensor kiln_onnx_sized(kiln_graph *g, kiln_tensor x, int axis, int64_t size)
{
    const kiln_shape shape = x.id ? kiln_tensor_shape(g, x) : KILN_SCALAR;
    return axis < shape.rank && size > 0 && are_open(g, shape.size[axis], size) ? with_size(g, x, axis, size)
                                                                                : x;
}

void kiln_onnx_agree_along(kiln_graph *g, kiln_tensor *a, int axis_a, kiln_tensor *b, int axis_b)
{
    if (!a->id || !b->id || axis_a < 0 || axis_b < 0)
        return;
    const int64_t x = kiln_tensor_shape(g, *a).size[axis_a], y = kiln_tensor_shape(g, *b).size[axis_b];
    if (x == 0 || y == 0 || x == 1 || y == 1 || !are_open(g, x, y))
        return;
    if (y >= 0) /* a number says more than a symbol */
        *a = with_size(g, *a, axis_a, y);
    else
        *b = with_size(g, *b, axis_b, x);
}

void kiln_onnx_agree(kiln_graph *g, kiln_tensor *a, kiln_tensor *b, int but)
{
    const int ra = kiln_tensor_shape(g, *a).rank, rb = kiln_tensor_shape(g, *b).rank;

    for (int i = 1; i <= ra && i <= rb; i++)
        if (ra - i != but)
            kiln_onnx_agree_along(g, a, ra - i, b, rb - i);
}
