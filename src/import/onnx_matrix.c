/*
 * onnx_matrix.c - matrix products, convolution and pooling.
 *
 * kiln's images are [N, C, H, W]; what is [N, C, L] in the file gets an H of 1 for the operator. Three spatial axes are refused.
 */
#include <string.h>

#include "import/onnx.h"

/* Products ----------------------------------------------------------------------------------------------- */

void kiln_onnx_build_matmul(kiln_onnx_node *n)
{
    kiln_onnx_out(n, 0, kiln_matmul(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), NULL));
}

static kiln_tensor scaled(kiln_graph *g, kiln_tensor x, double factor)
{
    return factor == 1 ? x : kiln_scale(g, x, factor);
}

/* y = alpha a b + beta c */
void kiln_onnx_build_gemm(kiln_onnx_node *n)
{
    const kiln_matmul_params p = {.transpose_a = kiln_onnx_int(n, "transA", 0) != 0,
                                  .transpose_b = kiln_onnx_int(n, "transB", 0) != 0};
    const double alpha = kiln_onnx_real(n, "alpha", 1), beta = kiln_onnx_real(n, "beta", 1);
    if (kiln_onnx_spec(n, 0).shape.rank != 2 || kiln_onnx_spec(n, 1).shape.rank != 2) {
        kiln_onnx_refuse(n, "operands have ranks %d and %d, wanted 2", kiln_onnx_spec(n, 0).shape.rank,
                         kiln_onnx_spec(n, 1).shape.rank);
        return;
    }
    kiln_tensor y = scaled(n->g, kiln_matmul(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), &p), alpha);
    if (kiln_onnx_has(n, 2) && beta != 0)
        y = kiln_add(n->g, y, scaled(n->g, kiln_onnx_in(n, 2), beta));
    kiln_onnx_out(n, 0, y);
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* The attributes that convolution and pooling share, of two axes; one axis of the file is the second. */
struct window {
    int64_t size[2];
    int stride[2], dilation[2], pad[2][2];
    bool same; /* a convolution that pads so that its size, unknown now, is kept */
};

static void take_ints(kiln_onnx_node *n, const char *name, int axes, int *to, int step)
{
    int count;
    const int64_t *ints = kiln_onnx_ints(n, name, &count);
    if (count && count != axes)
        kiln_onnx_refuse(n, "%s has %d values, wanted %d", name, count, axes);
    for (int i = 0; i < count && !n->refused; i++) {
        if (ints[i] < 0 || ints[i] > INT16_MAX)
            kiln_onnx_refuse(n, "%s holds %lld", name, (long long)ints[i]);
        to[i * step] = (int)ints[i];
    }
}

/* pads are all those before, then all those after. */
static void take_pads(kiln_onnx_node *n, int axes, struct window *w)
{
    int pads[4] = {0};
    take_ints(n, "pads", 2 * axes, pads, 1);
    for (int i = 0; i < axes; i++) {
        w->pad[2 - axes + i][0] = pads[i];
        w->pad[2 - axes + i][1] = pads[axes + i];
    }
}

/* Pads that keep ceil(size / stride), the odd one after (upper) or before (lower). */
static void pad_same(kiln_onnx_node *n, const kiln_shape *x, int axes, bool upper, bool conv,
                     struct window *w)
{
    for (int i = 2 - axes; i < 2; i++) {
        const int64_t size = x->size[x->rank - 2 + i];
        if (size < 0) {
            w->same = conv && upper;
            if (!w->same)
                kiln_onnx_refuse(n, "auto_pad where the size of x is not known");
            return;
        }
        const int64_t y = (size + w->stride[i] - 1) / w->stride[i];
        const int64_t need = (y - 1) * w->stride[i] + (w->size[i] - 1) * w->dilation[i] + 1 - size;
        const int all = need > 0 ? (int)need : 0;
        w->pad[i][0] = upper ? all / 2 : all - all / 2;
        w->pad[i][1] = all - w->pad[i][0];
    }
}

/* x [N, C, spatial axes], of which there are 1 or 2. */
static bool take_window(kiln_onnx_node *n, const int64_t *size, bool conv, struct window *w)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    const int axes = x.rank - 2;
    const char *pad = kiln_onnx_text(n, "auto_pad", "NOTSET");
    *w = (struct window){.size = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    if (axes < 1 || axes > 2) {
        kiln_onnx_refuse(n, "%d spatial axes, supported are 1 and 2", axes);
        return false;
    }
    for (int i = 0; i < axes; i++)
        w->size[2 - axes + i] = size[i];
    take_ints(n, "strides", axes, &w->stride[2 - axes], 1);
    take_ints(n, "dilations", axes, &w->dilation[2 - axes], 1);
    for (int i = 0; i < 2; i++)
        if (w->stride[i] < 1 || w->dilation[i] < 1 || w->size[i] < 1 || w->size[i] > INT16_MAX)
            kiln_onnx_refuse(n, "a window of size %lld, stride %d, dilation %d", (long long)w->size[i],
                             w->stride[i], w->dilation[i]);
    if (n->refused)
        return false;
    const bool upper = !strcmp(pad, "SAME_UPPER"), lower = !strcmp(pad, "SAME_LOWER");
    if (upper || lower)
        pad_same(n, &x, axes, upper, conv, w);
    else if (!strcmp(pad, "NOTSET") || !pad[0])
        take_pads(n, axes, w);
    else if (strcmp(pad, "VALID"))
        kiln_onnx_refuse(n, "auto_pad %s", pad);
    return !n->refused;
}

/* [N, C, L] as [N, C, 1, L], and back. */
static kiln_tensor widen(kiln_graph *g, kiln_tensor x)
{
    return kiln_tensor_shape(g, x).rank == 3 ? kiln_unsqueeze(g, x, 2) : x;
}

static kiln_tensor narrow(kiln_graph *g, kiln_tensor y, int rank)
{
    return rank == 3 ? kiln_squeeze(g, y, 2) : y;
}

/* Convolution -------------------------------------------------------------------------------------------- */

void kiln_onnx_build_conv(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape, filter = kiln_onnx_spec(n, 1).shape;
    int sizes;
    const int64_t *size = kiln_onnx_ints(n, "kernel_shape", &sizes);
    struct window w;
    if (filter.rank != x.rank || x.rank < 3) {
        kiln_onnx_refuse(n, "x has rank %d and w rank %d", x.rank, filter.rank);
        return;
    }
    for (int i = 0; i < sizes; i++)
        if (sizes != filter.rank - 2 || size[i] != filter.size[2 + i]) {
            kiln_onnx_refuse(n, "kernel_shape differs from the shape of w");
            return;
        }
    if (!take_window(n, &filter.size[2], true, &w))
        return;
    const int64_t groups = kiln_onnx_int(n, "group", 1);
    if (groups < 1 || groups > INT16_MAX) {
        kiln_onnx_refuse(n, "group is %lld", (long long)groups);
        return;
    }
    kiln_conv2d_params p = {.same = w.same, .groups = (int)groups};
    memcpy(p.stride, w.stride, sizeof p.stride);
    memcpy(p.dilation, w.dilation, sizeof p.dilation);
    memcpy(p.pad, w.pad, sizeof p.pad);
    const kiln_tensor y = kiln_conv2d(n->g, widen(n->g, kiln_onnx_in(n, 0)), widen(n->g, kiln_onnx_in(n, 1)),
                                      kiln_onnx_in(n, 2), &p);
    kiln_onnx_out(n, 0, narrow(n->g, y, x.rank));
}

/* Pooling ------------------------------------------------------------------------------------------------ */

typedef kiln_tensor pool_fn(kiln_graph *g, kiln_tensor x, const kiln_pool2d_params *params);

/* Whole numbers are pooled as reals: up to 24 bits they pass unchanged. */
static kiln_tensor pool(kiln_onnx_node *n, pool_fn *function, const kiln_pool2d_params *p)
{
    const kiln_spec spec = kiln_onnx_spec(n, 0);
    const bool real = kiln_type_is_real(spec.type);
    kiln_tensor x = widen(n->g, kiln_onnx_in(n, 0));
    x = function(n->g, real ? x : kiln_cast(n->g, x, KILN_F32), p);
    return narrow(n->g, real ? x : kiln_cast(n->g, x, spec.type), spec.shape.rank);
}

static void build_pool(kiln_onnx_node *n, pool_fn *function)
{
    int sizes;
    const int64_t *size = kiln_onnx_ints(n, "kernel_shape", &sizes);
    struct window w;
    if (sizes != kiln_onnx_spec(n, 0).shape.rank - 2) {
        kiln_onnx_refuse(n, "kernel_shape has %d values, x rank %d", sizes, kiln_onnx_spec(n, 0).shape.rank);
        return;
    }
    if (!take_window(n, size, false, &w))
        return;
    kiln_pool2d_params p = {.size = {(int)w.size[0], (int)w.size[1]},
                            .ceil = kiln_onnx_int(n, "ceil_mode", 0) != 0,
                            .count_pad = kiln_onnx_int(n, "count_include_pad", 0) != 0};
    memcpy(p.stride, w.stride, sizeof p.stride);
    memcpy(p.dilation, w.dilation, sizeof p.dilation);
    memcpy(p.pad, w.pad, sizeof p.pad);
    kiln_onnx_out(n, 0, pool(n, function, &p));
}

void kiln_onnx_build_max_pool(kiln_onnx_node *n)
{
    build_pool(n, kiln_max_pool2d);
}

void kiln_onnx_build_average_pool(kiln_onnx_node *n)
{
    build_pool(n, kiln_average_pool2d);
}

void kiln_onnx_build_global_pool(kiln_onnx_node *n)
{
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    kiln_reduce_params p = {.axes = {.count = rank - 2}, .keep = true};
    if (rank < 3) {
        kiln_onnx_refuse(n, "x has rank %d, wanted 3 or more", rank);
        return;
    }
    for (int i = 0; i < rank - 2; i++)
        p.axes.axis[i] = i + 2;
    kiln_onnx_out(n, 0, n->row->reduce(n->g, kiln_onnx_in(n, 0), &p));
}
