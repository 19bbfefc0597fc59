/* onnx_matrix.c - matrix products and convolution, and the attributes of windows. */
#include <string.h>

#include <kiln/algebra.h>
#include <kiln/fold.h>
#include <kiln/quantize.h>

#include "import/onnx.h"

/* Products ----------------------------------------------------------------------------------------------- */

/* Byte i of each element. */
static kiln_tensor byte_of(kiln_graph *g, kiln_tensor x, int i)
{
    const kiln_tensor at = kiln_shift_right(g, x, kiln_scalar(g, KILN_U32, 8 * i));
    return kiln_cast(g, kiln_bit_and(g, at, kiln_scalar(g, KILN_U32, 255)), KILN_U8);
}

/* The product of whole numbers, modulo 2^32: of their bytes, exact in 32 bits, each at its place. */
static kiln_tensor whole_product(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    const kiln_type type = kiln_tensor_type(g, a);
    const kiln_tensor left = kiln_cast(g, a, KILN_U32), right = kiln_cast(g, b, KILN_U32);
    kiln_tensor y = KILN_NONE;
    for (int i = 0; i < 4; i++)
        for (int k = 0; i + k < 4; k++) {
            const kiln_tensor part =
                kiln_shift_left(g,
                                kiln_matmul_integer(g, byte_of(g, left, i), byte_of(g, right, k), KILN_NONE,
                                                    KILN_NONE, NULL),
                                kiln_scalar(g, KILN_I32, 8 * (i + k)));
            y = y.id ? kiln_add(g, y, part) : part;
        }
    return kiln_cast(g, y, type);
}

/* What is summed over, and the axes before the matrices. */
static void agree(kiln_graph *g, kiln_tensor *a, kiln_tensor *b)
{
    const int ra = kiln_tensor_shape(g, *a).rank, rb = kiln_tensor_shape(g, *b).rank;
    kiln_onnx_agree_along(g, a, ra - 1, b, rb > 1 ? rb - 2 : 0);
    for (int i = 3; i <= ra && i <= rb; i++)
        kiln_onnx_agree_along(g, a, ra - i, b, rb - i);
}

void kiln_onnx_build_matmul(kiln_onnx_node *n)
{
    kiln_tensor a = kiln_onnx_in(n, 0), b = kiln_onnx_in(n, 1);
    agree(n->g, &a, &b);
    const kiln_tensor attention = kiln_onnx_find_attention(n->g, a, b);
    kiln_onnx_out(n, 0,
                  attention.id                                   ? attention
                  : kiln_type_is_real(kiln_onnx_spec(n, 0).type) ? kiln_matmul(n->g, a, b, NULL)
                                                                 : whole_product(n->g, a, b));
}

static kiln_tensor turned_if(kiln_graph *g, kiln_tensor x, bool turn)
{
    return turn ? kiln_move_axis(g, x, 0, 1) : x;
}

/* Of whole numbers the factors are applied as reals, unless they are 1. */
static kiln_tensor scaled_whole(kiln_graph *g, kiln_tensor x, double factor)
{
    const kiln_type type = kiln_tensor_type(g, x);
    return factor == 1 ? x : kiln_cast(g, kiln_scale(g, kiln_cast(g, x, KILN_F32), factor), type);
}

static kiln_tensor whole_gemm(kiln_onnx_node *n, const kiln_matmul_params *p, double alpha, double beta)
{
    const kiln_tensor a = turned_if(n->g, kiln_onnx_in(n, 0), p->transpose_a),
                      b = turned_if(n->g, kiln_onnx_in(n, 1), p->transpose_b);
    kiln_tensor y = scaled_whole(n->g, whole_product(n->g, a, b), alpha);
    if (kiln_onnx_has(n, 2) && beta != 0)
        y = kiln_add(n->g, y, scaled_whole(n->g, kiln_onnx_in(n, 2), beta));
    return y;
}

static kiln_tensor scaled(kiln_graph *g, kiln_tensor x, double factor)
{
    return factor == 1 ? x : kiln_scale(g, x, factor);
}

kiln_tensor kiln_onnx_gemm(kiln_onnx_node *n)
{
    const kiln_matmul_params p = {.transpose_a = kiln_onnx_int(n, "transA", 0) != 0,
                                  .transpose_b = kiln_onnx_int(n, "transB", 0) != 0};
    const double alpha = kiln_onnx_real(n, "alpha", 1), beta = kiln_onnx_real(n, "beta", 1);
    if (kiln_onnx_spec(n, 0).shape.rank != 2 || kiln_onnx_spec(n, 1).shape.rank != 2) {
        kiln_onnx_refuse(n, "operands have ranks %d and %d, wanted 2", kiln_onnx_spec(n, 0).shape.rank,
                         kiln_onnx_spec(n, 1).shape.rank);
        return KILN_NONE;
    }
    if (!kiln_type_is_real(kiln_onnx_spec(n, 0).type))
        return whole_gemm(n, &p, alpha, beta);
    kiln_tensor y = scaled(n->g, kiln_matmul(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), &p), alpha);
    if (kiln_onnx_has(n, 2) && beta != 0)
        y = kiln_add(n->g, y, scaled(n->g, kiln_onnx_in(n, 2), beta));
    return y;
}

void kiln_onnx_build_gemm(kiln_onnx_node *n)
{
    const kiln_tensor y = kiln_onnx_gemm(n);
    if (!n->refused)
        kiln_onnx_out(n, 0, y);
}

/* Alike for whole numbers; of truths there is no such sum. */
void kiln_onnx_build_einsum(kiln_onnx_node *n)
{
    kiln_tensor in[KILN_ONNX_MOST_INPUTS];
    for (int i = 0; i < n->inputs; i++)
        in[i] = kiln_onnx_in(n, i);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_einsum(n->g, kiln_onnx_text(n, "equation", ""), in, n->inputs));
}

/* Windows ------------------------------------------------------------------------------------------------ */

static void take_ints(kiln_onnx_node *n, const char *name, int axes, int least, int *to)
{
    int count;
    const int64_t *ints = kiln_onnx_ints(n, name, &count);
    if (count && count != axes)
        kiln_onnx_refuse(n, "%s has %d values, wanted %d", name, count, axes);
    for (int i = 0; i < count && !n->refused; i++) {
        if (ints[i] < least || ints[i] > INT16_MAX)
            kiln_onnx_refuse(n, "%s holds %lld", name, (long long)ints[i]);
        to[i] = (int)ints[i];
    }
}

/* pads are all those before, then all those after. */
static void take_pads(kiln_onnx_node *n, struct kiln_onnx_window *w)
{
    int pads[2 * KILN_ONNX_WINDOW_AXES] = {0};
    take_ints(n, "pads", 2 * w->axes, 0, pads);
    for (int i = 0; i < w->axes; i++) {
        w->pad[i][0] = pads[i];
        w->pad[i][1] = pads[w->axes + i];
    }
}

bool kiln_onnx_take_window(kiln_onnx_node *n, const int64_t *size, struct kiln_onnx_window *w)
{
    const char *pad = kiln_onnx_text(n, "auto_pad", "NOTSET");
    *w = (struct kiln_onnx_window){.axes = kiln_onnx_spec(n, 0).shape.rank - 2,
                                   .stride = {1, 1, 1},
                                   .dilation = {1, 1, 1}};
    if (w->axes < 1 || w->axes > KILN_ONNX_WINDOW_AXES) {
        kiln_onnx_refuse(n, "%d spatial axes, supported are 1 to 3", w->axes);
        return false;
    }
    for (int i = 0; i < w->axes; i++) {
        if (size[i] < 1 || size[i] > INT16_MAX)
            kiln_onnx_refuse(n, "a window of size %lld", (long long)size[i]);
        w->size[i] = (int)size[i];
    }
    take_ints(n, "strides", w->axes, 1, w->stride);
    take_ints(n, "dilations", w->axes, 1, w->dilation);
    if (!strcmp(pad, "SAME_UPPER") || !strcmp(pad, "SAME_LOWER"))
        w->same = pad[5] == 'U' ? KILN_SAME_UPPER : KILN_SAME_LOWER;
    else if (!strcmp(pad, "NOTSET") || !pad[0])
        take_pads(n, w);
    else if (strcmp(pad, "VALID"))
        kiln_onnx_refuse(n, "auto_pad %s", pad);
    return !n->refused;
}

/* Convolution -------------------------------------------------------------------------------------------- */

bool kiln_onnx_take_conv(kiln_onnx_node *n, int w_input, kiln_conv_params *p)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape, filter = kiln_onnx_spec(n, w_input).shape;
    const int64_t groups = kiln_onnx_int(n, "group", 1);
    int sizes;
    const int64_t *size = kiln_onnx_ints(n, "kernel_shape", &sizes);
    struct kiln_onnx_window w;
    if (filter.rank != x.rank || x.rank < 3)
        kiln_onnx_refuse(n, "x has rank %d and w rank %d", x.rank, filter.rank);
    for (int i = 0; i < sizes && !n->refused; i++)
        if (sizes != filter.rank - 2 || size[i] != filter.size[2 + i])
            kiln_onnx_refuse(n, "kernel_shape differs from the shape of w");
    if (groups < 1 || groups > INT16_MAX)
        kiln_onnx_refuse(n, "group is %lld", (long long)groups);
    if (n->refused || !kiln_onnx_take_window(n, &filter.size[2], &w))
        return false;
    *p = (kiln_conv_params){.same = w.same, .groups = (int)groups};
    memcpy(p->stride, w.stride, sizeof p->stride);
    memcpy(p->dilation, w.dilation, sizeof p->dilation);
    memcpy(p->pad, w.pad, sizeof p->pad);
    return true;
}

void kiln_onnx_build_conv(kiln_onnx_node *n)
{
    kiln_conv_params p;
    if (!kiln_onnx_take_conv(n, 1, &p))
        return;
    const int64_t channels = kiln_onnx_spec(n, 1).shape.size[1] * (p.groups ? p.groups : 1);
    const kiln_tensor x = kiln_onnx_sized(n->g, kiln_onnx_in(n, 0), 1, channels);
    kiln_onnx_out(n, 0, kiln_conv(n->g, x, kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), &p));
}

/* Pads, or more places at the end, that give axis i `wanted` places; the odd one comes after for SAME_UPPER, else before. */
static void pad_to(kiln_onnx_node *n, kiln_conv_params *p, int i, int64_t wanted, bool upper)
{
    const int64_t size = kiln_onnx_spec(n, 0).shape.size[2 + i],
                  taps = kiln_onnx_spec(n, 1).shape.size[2 + i];
    const int64_t whole = p->stride[i] * (size - 1) + p->output_pad[i] + (taps - 1) * p->dilation[i] + 1;
    const int64_t pads = size < 0 || wanted < 0 ? INT64_MAX : whole - wanted, half = pads / 2;
    if (pads > INT16_MAX || -pads > INT16_MAX) {
        kiln_onnx_refuse(n, "output_shape %lld of %lld places", (long long)wanted, (long long)size);
        return;
    }
    p->pad[i][0] = pads < 0 ? 0 : (int)(upper ? half : pads - half);
    p->pad[i][1] = pads < 0 ? 0 : (int)(pads - p->pad[i][0]);
    p->output_pad[i] += pads < 0 ? (int)-pads : 0;
}

void kiln_onnx_build_conv_transpose(kiln_onnx_node *n)
{
    const int axes = kiln_onnx_spec(n, 0).shape.rank - 2;
    kiln_conv_params p;
    int count;
    if (!kiln_onnx_take_conv(n, 1, &p))
        return;
    const int64_t *shape = kiln_onnx_ints(n, "output_shape", &count);
    take_ints(n, "output_padding", axes, 0, p.output_pad);
    if (count && count != axes)
        kiln_onnx_refuse(n, "output_shape has %d values, wanted %d", count, axes);
    for (int i = 0; i < count && !n->refused; i++)
        pad_to(n, &p, i, shape[i], p.same == KILN_SAME_UPPER);
    p.same = count ? KILN_SAME_NOT : p.same;
    if (!n->refused)
        kiln_onnx_out(
            n, 0, kiln_conv_transpose(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), &p));
}

/* Columns and offsets ------------------------------------------------------------------------------------ */

/* A list as up to three sizes; how many, 0 after a refusal. */
static int take_sizes(kiln_onnx_node *n, const char *name, int input, int64_t *size)
{
    struct kiln_onnx_list list;
    if (!kiln_onnx_list(n, name, 1, input, &list))
        return 0;
    if (list.count < 1 || list.count > KILN_ONNX_WINDOW_AXES)
        kiln_onnx_refuse(n, "%s has %d axes, supported are 1 to %d", name, list.count, KILN_ONNX_WINDOW_AXES);
    for (int i = 0; i < list.count && !n->refused; i++) {
        size[i] = list.item[i].i;
        if (list.item[i].symbol || size[i] < 1 || size[i] > INT32_MAX)
            kiln_onnx_refuse(n, "%s holds a size that is not known, or none", name);
    }
    return n->refused ? 0 : list.count;
}

/* Whole numbers are added up as reals: up to 24 bits they are exact. */
void kiln_onnx_build_col2im(kiln_onnx_node *n)
{
    const kiln_type type = kiln_onnx_spec(n, 0).type, work = kiln_type_is_real(type) ? type : KILN_F32;
    int64_t image[KILN_ONNX_WINDOW_AXES], block[KILN_ONNX_WINDOW_AXES];
    const int axes = take_sizes(n, "image_shape", 1, image);
    kiln_fold_params p = {{0}};
    int pads[2 * KILN_ONNX_WINDOW_AXES] = {0};
    if (!axes || take_sizes(n, "block_shape", 2, block) != axes) {
        kiln_onnx_refuse(n, "block_shape and image_shape differ in rank");
        return;
    }
    take_ints(n, "strides", axes, 1, p.stride);
    take_ints(n, "dilations", axes, 1, p.dilation);
    take_ints(n, "pads", 2 * axes, 0, pads);
    for (int i = 0; i < axes; i++) {
        p.size[i] = block[i] > INT16_MAX ? 0 : (int)block[i];
        p.pad[i][0] = pads[i];
        p.pad[i][1] = pads[axes + i];
    }
    const kiln_tensor x = kiln_cast(n->g, kiln_onnx_in(n, 0), work);
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_cast(n->g, kiln_fold(n->g, x, image, axes, &p), type));
}

void kiln_onnx_build_deform_conv(kiln_onnx_node *n)
{
    const int64_t groups = kiln_onnx_int(n, "offset_group", 1);
    kiln_conv_params p;
    if (groups < 1 || groups > INT16_MAX)
        kiln_onnx_refuse(n, "offset_group is %lld", (long long)groups);
    if (!n->refused && kiln_onnx_take_conv(n, 1, &p))
        kiln_onnx_out(n, 0,
                      kiln_deform_conv(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), kiln_onnx_in(n, 3),
                                       kiln_onnx_in(n, 2), kiln_onnx_in(n, 4), (int)groups, &p));
}
