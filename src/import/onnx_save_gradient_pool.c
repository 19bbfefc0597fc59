/*
 * onnx_save_gradient_pool.c - gradients of pooling, and of resizing.
 *
 * Of the largest, dy goes where the largest is found again. Of a mean or a sum, what an element gets is a product along each axis, by a
 * matrix [windows, elements] that says what a window hands to an element of the axis: what it divides by is a product of the axes' own.
 * Of a resize such a matrix is what becomes of the axis of an identity.
 */
#include <stdlib.h>

#include <kiln/indexing.h>
#include <kiln/pool.h>
#include <kiln/resize.h>

#include "import/onnx_save_row.h"

enum { MAX, MEAN, MEAN_PADDED, SUM };

/* The windows along an axis. */
struct windows {
    int64_t count, size, taps, stride, dilation, before, after;
    bool adaptive;
};

static kiln_pool_params params_of(const kiln_node *n)
{
    int64_t size[3] = {0}, stride[3] = {0}, dilation[3] = {0}, pad[6] = {0};
    kiln_pool_params p = {.same = (kiln_same)integer(n, "same"), .ceil = integer(n, "ceil")};
    kiln_node_integers(n, "size", size, 3);
    kiln_node_integers(n, "stride", stride, 3);
    kiln_node_integers(n, "dilation", dilation, 3);
    kiln_node_integers(n, "pad", pad, 6);
    for (int i = 0; i < 3; i++) {
        p.size[i] = (int)size[i];
        p.stride[i] = (int)stride[i];
        p.dilation[i] = (int)dilation[i];
        p.pad[i][0] = (int)pad[2 * i];
        p.pad[i][1] = (int)pad[2 * i + 1];
    }
    return p;
}

static struct windows windows_of(const kiln_node *n, const kiln_pool_params *p, int axis, int64_t size,
                                 int64_t count)
{
    struct windows w = {.count = count,
                        .size = size,
                        .taps = p->size[axis],
                        .stride = p->stride[axis],
                        .dilation = p->dilation[axis],
                        .before = p->pad[axis][0],
                        .after = p->pad[axis][1],
                        .adaptive = integer(n, "adaptive") != 0};
    const int64_t all = (count - 1) * w.stride + w.dilation * (w.taps - 1) + 1 - size,
                  zeros = all > 0 ? all : 0;
    if (p->same) {
        w.before = p->same == KILN_SAME_UPPER ? zeros / 2 : zeros - zeros / 2;
        w.after = zeros - w.before;
    }
    return w;
}

/* Tap t of window o, an element or a zero beside them. Of an adaptive pool only those below window_end are. */
static int64_t place_of(const struct windows *w, int64_t o, int64_t t)
{
    return w->adaptive ? kiln_onnx_window_begin(o, w->size, w->count) + t
                       : o * w->stride - w->before + t * w->dilation;
}

static int64_t taps_of(const struct windows *w, int64_t o)
{
    return w->adaptive
               ? kiln_onnx_window_end(o, w->size, w->count) - kiln_onnx_window_begin(o, w->size, w->count)
               : w->taps;
}

/* One row of the matrix: a window's taps, by those that the mean counts. */
static void put_window(const struct windows *w, int64_t mode, int64_t o, float *of)
{
    int64_t counted = 0;
    for (int64_t t = 0; t < taps_of(w, o); t++) {
        const int64_t at = place_of(w, o, t);
        const bool inside = at >= 0 && at < w->size;
        counted += mode == MEAN_PADDED ? at >= -w->before && at < w->size + w->after : inside;
        if (inside)
            of[at]++;
    }
    for (int64_t i = 0; i < w->size && mode != SUM && counted; i++)
        of[i] /= (float)counted;
}

static kiln_tensor matrix_of(kiln_graph *g, const struct windows *w, int64_t mode)
{
    float *of = calloc((size_t)(w->count * w->size) + 1, sizeof *of);
    const kiln_array values = {.data = of, .shape = KILN_SHAPE(w->count, w->size)};
    for (int64_t o = 0; of && o < w->count; o++)
        put_window(w, mode, o, of + o * w->size);
    const kiln_tensor m = of ? kiln_constant(g, &values) : KILN_NONE;
    if (!of)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "no memory for windows");
    free(of);
    return m;
}

/* dy with axis i of windows as one of elements: what lies before and behind it is joined for the product. */
static kiln_tensor spread(kiln_graph *g, kiln_tensor dy, kiln_tensor matrix, int axis)
{
    kiln_shape s = kiln_tensor_shape(g, dy), flat = KILN_SHAPE(KILN_REST, s.size[axis], 1);
    for (int i = axis + 1; i < s.rank; i++)
        flat.size[2] *= s.size[i];
    const kiln_tensor y =
        kiln_matmul(g, matrix, kiln_reshape(g, dy, flat), &(kiln_matmul_params){.transpose_a = true});
    s.size[axis] = kiln_tensor_shape(g, matrix).size[1];
    return kiln_reshape(g, y, s);
}

static kiln_tensor of_means(kiln_graph *g, const kiln_node *n, const kiln_pool_params *p, kiln_tensor x,
                            kiln_tensor dy)
{
    const kiln_shape from = kiln_tensor_shape(g, x), to = kiln_tensor_shape(g, dy);
    for (int i = 2; i < from.rank; i++) {
        if (from.size[i] < 0 || to.size[i] < 0) {
            kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "a gradient of windows over symbolic sizes");
            return KILN_NONE;
        }
        const struct windows w = windows_of(n, p, i - 2, from.size[i], to.size[i]);
        dy = spread(g, dy, matrix_of(g, &w, integer(n, "mode")), i);
    }
    return dy;
}

/* dy added to zeros like x, at places that are counted through each map. */
static kiln_tensor put_back(kiln_graph *g, kiln_tensor dy, kiln_tensor index, kiln_tensor like)
{
    const kiln_scatter_params add = {.kind = KILN_SCATTER_ADD};
    const kiln_tensor zeros =
        kiln_cast(g, kiln_zeros_like(g, kiln_flatten(g, like, 2)), kiln_tensor_type(g, dy));
    return kiln_scatter_elements(g, zeros, kiln_flatten(g, index, 2), kiln_flatten(g, dy, 2), 1, &add);
}

static void compose_pool(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor x = as_float(g, in[0]), dy = as_float(g, in[1]);
    const kiln_pool_params p = params_of(n);
    int64_t size[3] = {0};
    kiln_tensor index;
    if (integer(n, "mode") != MAX) {
        out[0] = kiln_cast(g, of_means(g, n, &p, x, dy), kiln_tensor_type(g, in[0]));
        return;
    }
    kiln_node_integers(n, "size", size, 3);
    if (integer(n, "adaptive"))
        kiln_adaptive_max_pool(g, x, size, &index);
    else
        kiln_max_pool_index(g, x, &p, &index);
    out[0] = kiln_cast(g, kiln_reshape_to(g, put_back(g, dy, index, x), x), kiln_tensor_type(g, in[0]));
}

/* Where columns are counted first, the map is put back with its axes in reverse. */
static void compose_pool_index(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor dy = as_float(g, in[0]), index = in[1], like = in[2];
    const int rank = kiln_tensor_shape(g, like).rank;
    int order[KILN_MAX_RANK] = {0, 1};
    for (int i = 2; i < rank; i++)
        order[i] = rank + 1 - i;
    const bool turned = integer(n, "column_major");
    const kiln_tensor as = turned ? kiln_transpose(g, like, order) : like;
    const kiln_tensor dx = kiln_reshape_to(g, put_back(g, dy, index, as), as);
    out[0] = kiln_cast(g, turned ? kiln_transpose(g, dx, order) : dx, kiln_tensor_type(g, in[0]));
}

static kiln_tensor identity(kiln_graph *g, int64_t size)
{
    float *one = calloc((size_t)(size * size) + 1, sizeof *one);
    for (int64_t i = 0; one && i < size; i++)
        one[i * size + i] = 1;
    const kiln_tensor t =
        one ? kiln_constant(g, &(kiln_array){.data = one, .shape = KILN_SHAPE(size, size)}) : KILN_NONE;
    if (!one)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "no memory for an identity");
    free(one);
    return t;
}

/* What axis i of x, of `from` elements, is made of: [to, from]. What lies outside of x is no part of it. */
static kiln_tensor resizing_of(kiln_graph *g, const kiln_node *n, int i, int64_t from, int64_t to)
{
    int64_t size[KILN_MAX_RANK], up[KILN_MAX_RANK], down[KILN_MAX_RANK];
    double crop[KILN_MAX_RANK][2];
    kiln_node_integers(n, "size", size, KILN_MAX_RANK);
    kiln_node_integers(n, "up", up, KILN_MAX_RANK);
    kiln_node_integers(n, "down", down, KILN_MAX_RANK);
    kiln_node_reals(n, "crop", crop[0], 2 * KILN_MAX_RANK);
    return kiln_resize(g, identity(g, from),
                       &(kiln_resize_params){
                           .axes = KILN_AXES(0),
                           .size = {size[i] ? to : 0},
                           .scale = {size[i] ? 0 : (double)up[i] / (double)down[i]},
                           .mode = (kiln_resize_mode)integer(n, "mode"),
                           .places = (kiln_resize_places)integer(n, "places"),
                           .rounding = (kiln_resize_rounding)integer(n, "rounding"),
                           .cubic = number(n, "cubic"),
                           .exclude_outside = integer(n, "exclude_outside"),
                           .antialias = integer(n, "antialias"),
                           .crop = {{crop[i][0], crop[i][1]}},
                       });
}

static void compose_resize(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    enum { MOST_ELEMENTS = 4096 };
    const kiln_shape x = kiln_tensor_shape(g, in[1]), y = kiln_tensor_shape(g, in[0]);
    kiln_tensor dx = as_float(g, in[0]);
    for (int i = 0; i < x.rank; i++) {
        if (!(integer(n, "axes") >> i & 1))
            continue;
        if (x.size[i] < 0 || y.size[i] < 0 || x.size[i] > MOST_ELEMENTS || integer(n, "aspect")) {
            kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED,
                            "a gradient of symbolic sizes, of more than 4096 elements, or by an aspect");
            return;
        }
        dx = spread(g, dx, resizing_of(g, n, i, x.size[i], y.size[i]), i);
    }
    out[0] = kiln_cast(g, dx, kiln_tensor_type(g, in[0]));
}

const row kiln_onnx_writer_gradient_pool[] = {
    {"pool_grad", .compose = compose_pool},
    {"pool_grad_index", .compose = compose_pool_index},
    {"resize_grad", .compose = compose_resize},
    {0},
};
