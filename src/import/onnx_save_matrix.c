/* onnx_save_matrix.c - convolutions and products of matrices, of reals and of small integers. */
#include <string.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* What every kind of convolution has. */
static void put_conv(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    const kiln_shape filter = spec(w, n->in[1]).shape;
    kiln_onnx_put_ints(w, o, "kernel_shape", &filter.size[2], axes_behind(w, n));
    put_field(w, o, n, "stride", "strides");
    put_field(w, o, n, "dilation", "dilations");
    kiln_onnx_put_int(w, o, "group", integer(n, "groups"));
}

/* Of a shape that follows another value's: what is missing behind it. */
static void put_following(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    const kiln_shape x = spec(w, n->in[0]).shape, filter = spec(w, n->in[1]).shape,
                     y = spec(w, n->out[0]).shape;
    int64_t stride[3], dilation[3], pad[6], behind[3] = {0};
    kiln_node_integers(n, "stride", stride, 3);
    kiln_node_integers(n, "dilation", dilation, 3);
    kiln_node_integers(n, "pad", pad, 6);
    if (integer(n, "same")) {
        kiln_onnx_put_ints(w, o, "output_shape", &y.size[2], x.rank - 2);
        return;
    }
    for (int i = 0; i < x.rank - 2; i++) {
        const int64_t window = (filter.size[2 + i] - 1) * dilation[i] + 1;
        behind[i] = y.size[2 + i] - stride[i] * (x.size[2 + i] - 1) - window + pad[2 * i] + pad[2 * i + 1];
        if (x.size[2 + i] < 0 || y.size[2 + i] < 0)
            kiln_onnx_writer_refuse(w, n, "its shape follows another value, and sizes are symbols");
        else if (behind[i] >= stride[i] && behind[i] >= dilation[i])
            kiln_onnx_writer_refuse(w, n, "its shape is larger than that of any convolution's input");
    }
    kiln_onnx_put_ints(w, o, "output_padding", behind, x.rank - 2);
}

/*
 * Zeros of a transposed convolution by `same`, as numbers, where a window is shorter than its stride: what lies behind the last window is 0,
 * and ONNX's rules of shapes would leave it out. False: none is.
 */
static bool put_short(writer *w, Onnx__NodeProto *o, const kiln_node *n)
{
    const kiln_shape filter = spec(w, n->in[1]).shape;
    const int axes = filter.rank - 2;
    int64_t stride[3], dilation[3], behind[3] = {0}, pads[6];
    bool is_short = false;
    kiln_node_integers(n, "stride", stride, 3);
    kiln_node_integers(n, "dilation", dilation, 3);
    kiln_node_integers(n, "output_pad", behind, 3);
    for (int i = 0; i < axes; i++) {
        const int64_t more = (filter.size[2 + i] - 1) * dilation[i] + 1 - stride[i],
                      zeros = more > 0 ? more : 0;
        is_short = is_short || more < 0;
        behind[i] += zeros - more;
        pads[i] = integer(n, "same") == KILN_SAME_UPPER ? zeros / 2 : zeros - zeros / 2;
        pads[axes + i] = zeros - pads[i];
    }
    if (!integer(n, "same") || !is_short)
        return false;
    kiln_onnx_put_ints(w, o, "pads", pads, 2 * axes);
    kiln_onnx_put_ints(w, o, "output_padding", behind, axes);
    return true;
}

void kiln_onnx_write_conv(writer *w, const kiln_node *n, const char *bias, const char *name)
{
    const bool transposed = !strcmp(n->op->name, "conv_transpose");
    Onnx__NodeProto *o = kiln_onnx_write(w, transposed ? "ConvTranspose" : "Conv", name, bias[0] ? 3 : 2,
                                         (const char *[]){in(w, n, 0), in(w, n, 1), bias});
    const bool follows = n->inputs > 2 && n->in[2].id;
    put_conv(w, o, n);
    if (transposed && !follows && put_short(w, o, n))
        return;
    put_padding(w, o, n);
    if (transposed && follows)
        put_following(w, o, n);
    else if (transposed)
        put_field(w, o, n, "output_pad", "output_padding");
}

static void write_conv(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write_conv(w, n, "", out(w, n));
}

/* The name of operand i with its last two axes swapped. */
static const char *swapped(writer *w, const kiln_node *n, int i)
{
    const int rank = spec(w, n->in[i]).shape.rank;
    int64_t order[KILN_MAX_RANK];
    const char *name = kiln_onnx_new_name(w);
    for (int k = 0; k < rank; k++)
        order[k] = k < rank - 2 ? k : k == rank - 2 ? rank - 1 : rank - 2;
    kiln_onnx_put_ints(w, kiln_onnx_write(w, "Transpose", name, IN(in(w, n, i))), "perm", order, rank);
    return name;
}

/* Gemm where it can be one: both of rank 2, and a bias to add or an operand to transpose; else MatMul. */
void kiln_onnx_write_matmul(writer *w, const kiln_node *n, const char *bias, const char *name)
{
    const bool turn_a = integer(n, "transpose_a"), turn_b = integer(n, "transpose_b");
    const bool flat = spec(w, n->in[0]).shape.rank == 2 && spec(w, n->in[1]).shape.rank == 2;
    if (flat && (bias[0] || turn_a || turn_b)) {
        Onnx__NodeProto *o = kiln_onnx_write(w, "Gemm", name, bias[0] ? 3 : 2,
                                             (const char *[]){in(w, n, 0), in(w, n, 1), bias});
        kiln_onnx_put_int(w, o, "transA", turn_a);
        kiln_onnx_put_int(w, o, "transB", turn_b);
        return;
    }
    kiln_onnx_write(w, "MatMul", name,
                    IN(turn_a ? swapped(w, n, 0) : in(w, n, 0), turn_b ? swapped(w, n, 1) : in(w, n, 1)));
}

static void write_matmul(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    kiln_onnx_write_matmul(w, n, "", out(w, n));
}

/* Small integers; the zero points are inputs 2 and 3. */

static void write_conv_integer(writer *w, const kiln_node *n, const row *r)
{
    Onnx__NodeProto *o =
        kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), in(w, n, 1), in(w, n, 2), in(w, n, 3)));
    put_conv(w, o, n);
    put_padding(w, o, n);
}

/* A zero point, with axes of size 1 beside it where it is a vector of the rows or columns of stacked matrices. */
static const char *zero_of(writer *w, const kiln_node *n, int matrix, int along)
{
    const int i = matrix + 2, rank = spec(w, n->in[matrix]).shape.rank;
    const kiln_shape zero = i < n->inputs && n->in[i].id ? spec(w, n->in[i]).shape : KILN_SCALAR;
    int64_t axes[KILN_MAX_RANK];
    if (rank < 3 || kiln_shape_count(&zero) == 1)
        return in(w, n, i);
    for (int k = 0; k < rank - 1; k++)
        axes[k] = k < along ? k : k + 1;
    return kiln_onnx_step(w, "Unsqueeze", IN(in(w, n, i), kiln_onnx_new_list(w, axes, rank - 1)));
}

static void write_matmul_integer(writer *w, const kiln_node *n, const row *r)
{
    const bool turn_a = integer(n, "transpose_a"), turn_b = integer(n, "transpose_b");
    const char *a_zero = zero_of(w, n, 0, spec(w, n->in[0]).shape.rank - 2),
               *b_zero = zero_of(w, n, 1, spec(w, n->in[1]).shape.rank - 1);
    kiln_onnx_write(w, r->onnx, out(w, n),
                    IN(turn_a ? swapped(w, n, 0) : in(w, n, 0), turn_b ? swapped(w, n, 1) : in(w, n, 1),
                       a_zero, b_zero));
}

const row kiln_onnx_writer_matrix[] = {
    {"conv", "Conv", write_conv, 0},
    {"conv_integer", "ConvInteger", write_conv_integer, 0},
    {"conv_transpose", "ConvTranspose", write_conv, 0},
    {"matmul", "MatMul", write_matmul, 0},
    {"matmul_integer", "MatMulInteger", write_matmul_integer, 0},
    {0},
};
