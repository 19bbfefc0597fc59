/*
 * onnx_save_gradient.c - gradients that are operators of their own, built of those that ONNX has: what a model that learns holds. Here are
 * those of activations, filters and parts; those of families have files of their own (onnx_save_gradient_*.c).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/conv.h>
#include <kiln/indexing.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* Activations: dx = dy f'(a), a the activation's x, or its y where that says enough ---------------------- */

static kiln_tensor is_above(kiln_graph *g, kiln_tensor a, double limit)
{
    const kiln_tensor above = kiln_less(g, kiln_scalar(g, KILN_F32, limit), kiln_cast(g, a, KILN_F32));
    return kiln_cast(g, above, kiln_tensor_type(g, a));
}

typedef kiln_tensor slope_fn(kiln_graph *g, kiln_tensor a, double c);

static kiln_tensor of_relu(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    return is_above(g, a, 0);
}

static kiln_tensor of_leaky_relu(kiln_graph *g, kiln_tensor a, double c)
{
    return kiln_shift(g, kiln_scale(g, is_above(g, a, 0), 1 - c), c);
}

static kiln_tensor of_hard_sigmoid(kiln_graph *g, kiln_tensor a, double c)
{
    return kiln_scale(g, kiln_mul(g, is_above(g, a, 0), is_above(g, one_less(g, a), 0)), c);
}

static kiln_tensor of_tanh(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    return kiln_mul(g, one_less(g, a), kiln_shift(g, a, 1));
}

static kiln_tensor of_sigmoid(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    return kiln_mul(g, a, one_less(g, a));
}

static kiln_tensor of_softplus(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    return one_less(g, kiln_exp(g, kiln_neg(g, a)));
}

static kiln_tensor of_softsign(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    return kiln_square(g, one_less(g, kiln_abs(g, a)));
}

static kiln_tensor of_hard_swish(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    const kiln_tensor line = kiln_shift(g, kiln_scale(g, a, 1.0 / 3), 0.5);
    const kiln_tensor risen = kiln_where(g, kiln_less(g, a, kiln_scalar(g, kiln_tensor_type(g, a), 3)), line,
                                         kiln_scalar(g, kiln_tensor_type(g, a), 1));
    return kiln_mul(g, is_above(g, a, -3), risen);
}

static kiln_tensor of_erf(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    return kiln_scale(g, kiln_exp(g, kiln_neg(g, kiln_square(g, a))), 1.1283791670955126);
}

static kiln_tensor of_gelu(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    const kiln_tensor below = kiln_scale(g, kiln_shift(g, kiln_erf(g, kiln_scale(g, a, sqrt(0.5))), 1), 0.5);
    const kiln_tensor bell =
        kiln_scale(g, kiln_exp(g, kiln_scale(g, kiln_square(g, a), -0.5)), 0.3989422804014327);
    return kiln_add(g, below, kiln_mul(g, a, bell));
}

/* Of x sigmoid(v), where v has the slope `by`. */
static kiln_tensor of_gate(kiln_graph *g, kiln_tensor x, kiln_tensor v, kiln_tensor by)
{
    const kiln_tensor s = kiln_sigmoid(g, v);
    return kiln_add(g, s, kiln_mul(g, kiln_mul(g, x, by), kiln_mul(g, s, one_less(g, s))));
}

static kiln_tensor of_gelu_tanh(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    const double k = 1.5957691216057308, cube = 0.044715 * k;
    const kiln_tensor square = kiln_square(g, a);
    return of_gate(g, a, kiln_mul(g, a, kiln_shift(g, kiln_scale(g, square, cube), k)),
                   kiln_shift(g, kiln_scale(g, square, 3 * cube), k));
}

static kiln_tensor of_swish(kiln_graph *g, kiln_tensor a, double c)
{
    return of_gate(g, a, kiln_scale(g, a, c), kiln_scalar(g, kiln_tensor_type(g, a), c));
}

static kiln_tensor of_mish(kiln_graph *g, kiln_tensor a, double c)
{
    (void)c;
    const kiln_tensor t = kiln_tanh(g, kiln_softplus(g, a)), bend = one_less(g, kiln_square(g, t));
    return kiln_add(g, t, kiln_mul(g, a, kiln_mul(g, bend, kiln_sigmoid(g, a))));
}

static const struct {
    const char *op;
    slope_fn *slope;
} slopes[] = {
    {"erf_grad", of_erf},
    {"gelu_grad", of_gelu},
    {"gelu_tanh_grad", of_gelu_tanh},
    {"hard_sigmoid_grad", of_hard_sigmoid},
    {"hard_swish_grad", of_hard_swish},
    {"leaky_relu_grad", of_leaky_relu},
    {"mish_grad", of_mish},
    {"relu_grad", of_relu},
    {"sigmoid_grad", of_sigmoid},
    {"softplus_grad", of_softplus},
    {"softsign_grad", of_softsign},
    {"swish_grad", of_swish},
    {"tanh_grad", of_tanh},
    {"threshold_grad", is_above},
};

static void compose_slope(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    for (size_t i = 0; i < sizeof slopes / sizeof *slopes; i++)
        if (!strcmp(slopes[i].op, n->op->name))
            out[0] = kiln_mul(g, in[1], slopes[i].slope(g, in[0], number(n, "number")));
}

static void compose_prelu(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    (void)n;
    const kiln_tensor above = kiln_less(g, kiln_scalar(g, kiln_tensor_type(g, in[0]), 0), in[0]);
    out[0] = kiln_where(g, above, in[1], kiln_mul(g, in[1], in[2]));
}

static void compose_elu_slope(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_type type = kiln_tensor_type(g, in[0]);
    const kiln_tensor line = kiln_shift(g, kiln_scale(g, in[0], number(n, "slope")), number(n, "term"));
    out[0] = kiln_where(g, kiln_less(g, kiln_scalar(g, type, 0), in[0]), kiln_scalar(g, type, 1), line);
}

/* Filters ------------------------------------------------------------------------------------------------ */

/* [N, groups C, ..] as [C, groups N, ..], or, of what becomes filters, [groups C, N, ..]. */
static kiln_tensor turned(kiln_graph *g, kiln_tensor x, int64_t groups, bool filters)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    int order[KILN_MAX_RANK] = {1, 0};
    if (groups == 1 || filters) {
        for (int i = 2; i < shape.rank; i++)
            order[i] = i;
        return kiln_transpose(g, x, order);
    }
    kiln_shape apart = {.rank = shape.rank + 1, .size = {shape.size[0], groups, shape.size[1] / groups}},
               joined = {.rank = shape.rank, .size = {shape.size[1] / groups, KILN_REST}};
    for (int i = 2; i < shape.rank; i++)
        apart.size[i + 1] = joined.size[i] = shape.size[i];
    for (int i = 0; i < apart.rank; i++)
        order[i] = i < 3 ? (int[]){2, 1, 0}[i] : i;
    return kiln_reshape(g, kiln_transpose(g, kiln_reshape(g, x, apart), order), joined);
}

/* Zeros that follow from the sizes, of places and taps that have changed their parts. */
static void pads_of(const kiln_node *n, kiln_conv_params *p, int i, int64_t size, int64_t places,
                    int64_t taps)
{
    const int64_t same = integer(n, "same"),
                  all = (places - 1) * p->dilation[i] + (taps - 1) * p->stride[i] + 1 - size;
    const int64_t zeros = all > 0 ? all : 0, before = same == KILN_SAME_UPPER ? zeros / 2 : zeros - zeros / 2;
    if (same) {
        p->pad[i][0] = (int)before;
        p->pad[i][1] = (int)(zeros - before);
    }
}

/* [N, groups C, ..] as [groups, C, N ..]. */
static kiln_tensor as_columns(kiln_graph *g, kiln_tensor x, int64_t groups)
{
    const int64_t channels = kiln_tensor_shape(g, x).size[1];
    const kiln_tensor apart = kiln_reshape(g, x, KILN_SHAPE(0, groups, channels / groups, KILN_REST));
    return kiln_reshape(g, kiln_transpose(g, apart, (const int[]){1, 2, 0, 3}),
                        KILN_SHAPE(groups, channels / groups, KILN_REST));
}

/* What tap t of the filters meets: as many places as dy has. Strides of p are the filter's dilations, and its dilations strides. */
static kiln_tensor under_tap(kiln_graph *g, kiln_tensor wide, const kiln_shape *dy, const kiln_shape *w,
                             const kiln_conv_params *p, int64_t t)
{
    for (int i = w->rank - 3; i >= 0; i--) {
        const int64_t first = t % w->size[i + 2] * p->stride[i];
        wide = kiln_slice(g, wide, i + 2, first, first + (dy->size[i + 2] - 1) * p->dilation[i] + 1,
                          p->dilation[i]);
        t /= w->size[i + 2];
    }
    return wide;
}

/* Of a batch of symbolic size, which no convolution has as its channels: a product of matrices for each tap. */
static kiln_tensor by_taps(kiln_graph *g, kiln_tensor x, kiln_tensor dy, kiln_tensor like,
                           const kiln_conv_params *p, int64_t groups)
{
    enum { MOST_TAPS = 256 };
    const kiln_shape from = kiln_tensor_shape(g, x), to = kiln_tensor_shape(g, dy),
                     w = kiln_tensor_shape(g, like);
    int64_t before[KILN_MAX_RANK] = {0}, after[KILN_MAX_RANK] = {0}, taps = 1;
    kiln_tensor part[MOST_TAPS];
    for (int i = 0; i < w.rank - 2; i++) {
        const int64_t reach = (to.size[i + 2] - 1) * p->dilation[i] + (w.size[i + 2] - 1) * p->stride[i] + 1,
                      short_of = reach - from.size[i + 2] - p->pad[i][0];
        before[i + 2] = p->pad[i][0];
        after[i + 2] = short_of > 0 ? short_of : 0;
        taps *= w.size[i + 2];
        if (p->pad[i][0] < 0 || p->pad[i][1] < 0 || taps > MOST_TAPS) {
            kiln_graph_fail(
                g, KILN_ERROR_UNSUPPORTED,
                "a gradient of filters of more than 256 taps, or of cropped maps, over a symbolic batch");
            return KILN_NONE;
        }
    }
    const kiln_tensor wide = kiln_pad(g, x, before, after, 0), rows = as_columns(g, dy, groups);
    for (int64_t t = 0; t < taps; t++) {
        const kiln_tensor met = as_columns(g, under_tap(g, wide, &to, &w, p, t), groups);
        const kiln_tensor y = kiln_matmul(g, rows, met, &(kiln_matmul_params){.transpose_b = true});
        part[t] = kiln_reshape(g, y, KILN_SHAPE(w.size[0], w.size[1], 1));
    }
    return kiln_reshape(g, kiln_concat(g, part, (int)taps, 2), w);
}

/*
 * A convolution of x, whose channels are its batch, by dy, whose places are the taps: strides and dilations change their parts. There
 * may be places behind the filter's own where the last window does not end with x.
 */
static void compose_filters(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_shape dy = kiln_tensor_shape(g, in[0]), x = kiln_tensor_shape(g, in[1]),
                     w = kiln_tensor_shape(g, in[2]);
    int64_t stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, pad[3][2] = {{0}};
    kiln_conv_params p = {.groups = (int)integer(n, "groups")};
    const int64_t groups = p.groups ? p.groups : 1;
    kiln_node_integers(n, "stride", stride, 3);
    kiln_node_integers(n, "dilation", dilation, 3);
    kiln_node_integers(n, "pad", pad[0], 6);
    for (int i = 0; i < x.rank - 2; i++) {
        if (x.size[i + 2] < 0 || dy.size[i + 2] < 0) {
            kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "a gradient of filters over maps of symbolic sizes");
            return;
        }
        p.stride[i] = (int)(dilation[i] ? dilation[i] : 1);
        p.dilation[i] = (int)(stride[i] ? stride[i] : 1);
        p.pad[i][0] = (int)pad[i][0];
        p.pad[i][1] = (int)pad[i][1];
        pads_of(n, &p, i, x.size[i + 2], dy.size[i + 2], w.size[i + 2]);
    }
    if (x.size[0] < 1) {
        out[0] = by_taps(g, in[1], in[0], in[2], &p, groups);
        return;
    }
    kiln_tensor y =
        kiln_conv(g, turned(g, in[1], groups, false), turned(g, in[0], groups, true), KILN_NONE, &p);
    y = turned(g, y, 1, true);
    for (int i = 2; i < w.rank; i++)
        y = kiln_slice(g, y, i, 0, w.size[i], 1);
    out[0] = y;
}

/* Parts: inputs are dy and, for their shapes, the operator's own ------------------------------------------ */

static void compose_pad_gradient(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    int64_t before[KILN_MAX_RANK], after[KILN_MAX_RANK];
    kiln_node_integers(n, "before", before, KILN_MAX_RANK);
    kiln_node_integers(n, "after", after, KILN_MAX_RANK);
    out[0] = in[0];
    for (int i = 0; i < kiln_tensor_shape(g, in[0]).rank; i++)
        if (before[i] || after[i])
            out[0] = kiln_slice(g, out[0], i, before[i], after[i] ? -after[i] : KILN_END, 1);
}

/* Of the last of the inputs, which begins behind the others. */
static void compose_concat_gradient(kiln_graph *g, const kiln_node *n, const kiln_tensor *in,
                                    kiln_tensor *out)
{
    const int axis = kiln_axis_of((int)integer(n, "axis"), kiln_tensor_shape(g, in[0]).rank);
    const int64_t own = kiln_tensor_shape(g, in[n->inputs - 1]).size[axis];
    int64_t first = 0;
    bool known = own >= 0;
    for (int i = 1; i < n->inputs - 1; i++) {
        const int64_t size = kiln_tensor_shape(g, in[i]).size[axis];
        known = known && size >= 0;
        first += size;
    }
    if (!known)
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "parts of a symbolic size");
    else
        out[0] = kiln_slice(g, in[0], axis, first, first + own, 1);
}

/* Where each element of the axis lies in dy; KILN_NOWHERE: the slice has left it out. */
static kiln_tensor spread(kiln_graph *g, kiln_tensor dy, int axis, int64_t size, int64_t first, int64_t step)
{
    const int64_t own = kiln_tensor_shape(g, dy).size[axis];
    int32_t *at = malloc((size_t)size * sizeof *at + 1);
    for (int64_t i = 0; at && i < size; i++) {
        const int64_t steps = (i - first) / step;
        at[i] = steps >= 0 && steps < own && first + steps * step == i ? (int32_t)steps : KILN_NOWHERE;
    }
    const kiln_array index = {.data = at, .type = KILN_I32, .shape = KILN_SHAPE(size)};
    const kiln_tensor y = at ? kiln_gather(g, dy, kiln_constant(g, &index), axis) : KILN_NONE;
    if (!at)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "no memory for places");
    free(at);
    return y;
}

static void compose_slice_gradient(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_shape x = kiln_tensor_shape(g, in[1]), dy = kiln_tensor_shape(g, in[0]);
    const int axis = kiln_axis_of((int)integer(n, "axis"), x.rank);
    const int64_t size = x.size[axis], step = integer(n, "step"), first = integer(n, "first");
    if (dy.size[axis] == 0)
        out[0] = kiln_zeros_like(g, in[1]);
    else if (size < 0)
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "a slice of a symbolic size");
    else {
        const int64_t begin = first < 0 ? first + size : first, last = step < 0 ? size - 1 : size;
        out[0] = spread(g, in[0], axis, size, begin < 0 ? 0 : begin > last ? last : begin, step);
    }
}

/* The table ---------------------------------------------------------------------------------------------- */

const row kiln_onnx_writer_gradient[] = {
    {"concat_grad", .compose = compose_concat_gradient},
    {"conv_grad_filter", .compose = compose_filters},
    {"elu_slope", .compose = compose_elu_slope},
    {"erf_grad", .compose = compose_slope},
    {"gelu_grad", .compose = compose_slope},
    {"gelu_tanh_grad", .compose = compose_slope},
    {"hard_sigmoid_grad", .compose = compose_slope},
    {"hard_swish_grad", .compose = compose_slope},
    {"leaky_relu_grad", .compose = compose_slope},
    {"mish_grad", .compose = compose_slope},
    {"pad_grad", .compose = compose_pad_gradient},
    {"prelu_grad", .compose = compose_prelu},
    {"relu_grad", .compose = compose_slope},
    {"sigmoid_grad", .compose = compose_slope},
    {"slice_grad", .compose = compose_slice_gradient},
    {"softplus_grad", .compose = compose_slope},
    {"softsign_grad", .compose = compose_slope},
    {"swish_grad", .compose = compose_slope},
    {"tanh_grad", .compose = compose_slope},
    {"threshold_grad", .compose = compose_slope},
    {0},
};
