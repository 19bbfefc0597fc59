/* onnx_pool.c - pooling. */
#include <string.h>

#include "import/onnx.h"

static bool take_params(kiln_onnx_node *n, kiln_pool_params *p)
{
    int sizes;
    const int64_t *size = kiln_onnx_ints(n, "kernel_shape", &sizes);
    struct kiln_onnx_window w;
    if (sizes != kiln_onnx_spec(n, 0).shape.rank - 2)
        kiln_onnx_refuse(n, "kernel_shape has %d values, x rank %d", sizes, kiln_onnx_spec(n, 0).shape.rank);
    if (n->refused || !kiln_onnx_take_window(n, size, &w))
        return false;
    *p = (kiln_pool_params){.same = w.same,
                            .ceil = kiln_onnx_int(n, "ceil_mode", 0) != 0,
                            .count_pad = kiln_onnx_int(n, "count_include_pad", 0) != 0};
    memcpy(p->size, w.size, sizeof p->size);
    memcpy(p->stride, w.stride, sizeof p->stride);
    memcpy(p->dilation, w.dilation, sizeof p->dilation);
    memcpy(p->pad, w.pad, sizeof p->pad);
    return !n->refused;
}

/* Whole numbers are pooled as reals: up to 24 bits they pass unchanged. */
static kiln_tensor real_in(kiln_onnx_node *n)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    return kiln_type_is_real(kiln_onnx_spec(n, 0).type) ? x : kiln_cast(n->g, x, KILN_F32);
}

static void real_out(kiln_onnx_node *n, kiln_tensor y)
{
    const kiln_type type = kiln_onnx_spec(n, 0).type;
    kiln_onnx_out(n, 0, kiln_type_is_real(type) ? y : kiln_cast(n->g, y, type));
}

/* Where the largest stands, the second output, is not imported. */
void kiln_onnx_build_max_pool(kiln_onnx_node *n)
{
    kiln_pool_params p;
    if (take_params(n, &p))
        real_out(n, kiln_max_pool(n->g, real_in(n), &p));
}

void kiln_onnx_build_average_pool(kiln_onnx_node *n)
{
    kiln_pool_params p;
    if (take_params(n, &p))
        real_out(n, kiln_average_pool(n->g, real_in(n), &p));
}

void kiln_onnx_build_lp_pool(kiln_onnx_node *n)
{
    kiln_pool_params p;
    const double power = (double)kiln_onnx_int(n, "p", 2);
    if (take_params(n, &p))
        real_out(n, kiln_lp_pool(n->g, real_in(n), power, &p));
}

void kiln_onnx_build_global_pool(kiln_onnx_node *n)
{
    real_out(n, n->row->unary(n->g, real_in(n)));
}

void kiln_onnx_build_global_lp_pool(kiln_onnx_node *n)
{
    real_out(n, kiln_global_lp_pool(n->g, real_in(n), (double)kiln_onnx_int(n, "p", 2)));
}
