/*
 * onnx_quantize.c - small integers that stand for reals: to them, back, and products of them.
 *
 * A zero point that belongs to rows or columns comes as a vector or with axes of size 1 beside it; the operators take a vector.
 */
#include <kiln/indexing.h>
#include <kiln/quantize.h>

#include "import/onnx.h"

/* Input i, of which at most one axis is longer than 1, as one element or a vector. */
static kiln_tensor vector(kiln_onnx_node *n, int i)
{
    const kiln_shape shape = kiln_onnx_spec(n, i).shape;
    int64_t longest = 1;
    int longer = 0;
    for (int k = 0; k < shape.rank; k++) {
        longer += shape.size[k] != 1;
        longest = shape.size[k] != 1 ? shape.size[k] : longest;
    }
    if (longer > 1)
        kiln_onnx_refuse(n, "input \"%s\" differs along %d axes, supported is one", n->in[i]->name, longer);
    const kiln_tensor t = kiln_onnx_in(n, i);
    return shape.rank < 2 || n->refused ? t : kiln_reshape(n->g, t, KILN_SHAPE(longest));
}

/* Values at input i, their scale and zero point behind. */
static kiln_quantized quantized(kiln_onnx_node *n, int i)
{
    return (kiln_quantized){kiln_onnx_in(n, i), vector(n, i + 1), vector(n, i + 2)};
}

/* The type an attribute asks for; `otherwise` where it does not. */
static kiln_type output_type(kiln_onnx_node *n, kiln_type otherwise)
{
    const int64_t asked = kiln_onnx_int(n, "output_dtype", 0);
    kiln_type type = otherwise;
    if (asked && !kiln_onnx_type(asked, &type))
        kiln_onnx_refuse(n, "output_dtype %lld is not supported", (long long)asked);
    return type;
}

/* Where scales differ; block_size 0 is one scale for each index. Of a single scale the axis means nothing. */
static kiln_quantize_params place(kiln_onnx_node *n)
{
    const int64_t axis = kiln_onnx_int(n, "axis", 1), block = kiln_onnx_int(n, "block_size", 0);
    const kiln_shape scale = kiln_onnx_spec(n, 1).shape;
    const bool differ = scale.rank > 1 || (scale.rank == 1 && scale.size[0] != 1);
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    if (block < 0)
        kiln_onnx_refuse(n, "block_size is %lld", (long long)block);
    return (kiln_quantize_params){.axis = differ ? kiln_onnx_axis(n, axis, rank) : 0, .block = block};
}

void kiln_onnx_build_quantize(kiln_onnx_node *n)
{
    const bool zero = kiln_onnx_has(n, 2);
    const kiln_quantize_params p = place(n);
    const kiln_type type = output_type(n, zero ? kiln_onnx_spec(n, 2).type : KILN_U8);
    if (!n->refused)
        kiln_onnx_out(
            n, 0, kiln_quantize(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), type, &p));
}

void kiln_onnx_build_dequantize(kiln_onnx_node *n)
{
    const kiln_quantize_params p = place(n);
    const kiln_type type = output_type(n, kiln_onnx_spec(n, 1).type);
    if (n->refused)
        return;
    const kiln_tensor y =
        kiln_dequantize(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), kiln_onnx_in(n, 2), &p);
    kiln_onnx_out(n, 0, kiln_cast(n->g, y, type));
}

void kiln_onnx_build_quantize_dynamic(kiln_onnx_node *n)
{
    const kiln_quantized q = kiln_quantize_dynamic(n->g, kiln_onnx_in(n, 0), KILN_U8, NULL);
    kiln_onnx_out(n, 0, q.values);
    kiln_onnx_out(n, 1, q.scale);
    kiln_onnx_out(n, 2, q.zero);
}

void kiln_onnx_build_matmul_integer(kiln_onnx_node *n)
{
    const kiln_tensor a_zero = vector(n, 2), b_zero = vector(n, 3);
    if (!n->refused)
        kiln_onnx_out(
            n, 0, kiln_matmul_integer(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), a_zero, b_zero, NULL));
}

void kiln_onnx_build_matmul_quantized(kiln_onnx_node *n)
{
    const kiln_quantized a = quantized(n, 0), b = quantized(n, 3);
    if (!n->refused)
        kiln_onnx_out(n, 0,
                      kiln_matmul_quantized(n->g, a, b, kiln_onnx_in(n, 6), kiln_onnx_in(n, 7),
                                            kiln_onnx_spec(n, 7).type, NULL));
}

void kiln_onnx_build_conv_integer(kiln_onnx_node *n)
{
    const kiln_tensor x_zero = vector(n, 2), w_zero = vector(n, 3);
    kiln_conv_params p;
    if (kiln_onnx_take_conv(n, 1, &p) && !n->refused)
        kiln_onnx_out(n, 0,
                      kiln_conv_integer(n->g, kiln_onnx_in(n, 0), kiln_onnx_in(n, 1), x_zero, w_zero, &p));
}

void kiln_onnx_build_conv_quantized(kiln_onnx_node *n)
{
    const kiln_quantized x = quantized(n, 0), w = quantized(n, 3);
    kiln_conv_params p;
    if (kiln_onnx_take_conv(n, 3, &p) && !n->refused)
        kiln_onnx_out(n, 0,
                      kiln_conv_quantized(n->g, x, w, kiln_onnx_in(n, 8), kiln_onnx_in(n, 6),
                                          kiln_onnx_in(n, 7), kiln_onnx_spec(n, 7).type, &p));
}

/* ONNX Runtime's own, which its quantizer writes: among reals what their names say, quantized again ------------------- */

/* Input i, quantized as a whole, its scale and zero point behind, as reals. */
static kiln_tensor dequantized(kiln_onnx_node *n, int i)
{
    return kiln_dequantize(n->g, kiln_onnx_in(n, i), kiln_onnx_in(n, i + 1), kiln_onnx_in(n, i + 2), NULL);
}

/* y by the scale at input i and the zero point behind it. */
static void put_quantized(kiln_onnx_node *n, kiln_tensor y, int i)
{
    const kiln_type type = kiln_onnx_has(n, i + 1) ? kiln_onnx_spec(n, i + 1).type : KILN_U8;
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_quantize(n->g, y, kiln_onnx_in(n, i), kiln_onnx_in(n, i + 1), type, NULL));
}

void kiln_onnx_build_quantized_unary(kiln_onnx_node *n)
{
    put_quantized(n, n->row->unary(n->g, dequantized(n, 0)), 3);
}

void kiln_onnx_build_quantized_leaky_relu(kiln_onnx_node *n)
{
    put_quantized(n, kiln_leaky_relu(n->g, dequantized(n, 0), kiln_onnx_real(n, "alpha", 0.01)), 3);
}

void kiln_onnx_build_quantized_binary(kiln_onnx_node *n)
{
    put_quantized(n, n->row->binary(n->g, dequantized(n, 0), dequantized(n, 3)), 6);
}

void kiln_onnx_build_quantized_average_pool(kiln_onnx_node *n)
{
    kiln_pool_params p;
    if (kiln_onnx_take_pool(n, &p))
        put_quantized(n, kiln_average_pool(n->g, dequantized(n, 0), &p), 3);
}

/* As softmax of the opset that an attribute tells. */
void kiln_onnx_build_quantized_softmax(kiln_onnx_node *n)
{
    const bool flat = kiln_onnx_int(n, "opset", 13) < 13;
    const int rank = kiln_onnx_spec(n, 0).shape.rank,
              axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", flat ? 1 : -1), rank);
    if (n->refused)
        return;
    const kiln_tensor x = dequantized(n, 0);
    put_quantized(n, flat ? kiln_onnx_flat(n->g, kiln_softmax, x, axis) : kiln_softmax(n->g, x, axis), 3);
}

/* A condition, and two values with their scales. */
void kiln_onnx_build_quantized_where(kiln_onnx_node *n)
{
    put_quantized(n, kiln_where(n->g, kiln_onnx_in(n, 0), dequantized(n, 1), dequantized(n, 4)), 7);
}

void kiln_onnx_build_quantized_global_pool(kiln_onnx_node *n)
{
    const int rank = kiln_onnx_spec(n, 0).shape.rank, last = kiln_onnx_int(n, "channels_last", 0) != 0;
    kiln_reduce_params p = {.keep = true};
    if (rank < 3)
        kiln_onnx_refuse(n, "x has rank %d, wanted at least 3", rank);
    for (int i = 2 - last; i < rank - last; i++)
        p.axes.axis[p.axes.count++] = i;
    if (!n->refused)
        put_quantized(n, kiln_mean(n->g, dequantized(n, 0), &p), 3);
}

/* Scale and zero point of the result come first, then each part with its own. */
void kiln_onnx_build_quantized_concat(kiln_onnx_node *n)
{
    kiln_tensor part[KILN_ONNX_MOST_INPUTS];
    int count = 0;
    if (n->inputs % 3 != 2 || n->inputs < 5) {
        kiln_onnx_refuse(n, "%d inputs, wanted two and three a part", n->inputs);
        return;
    }
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 0), kiln_onnx_spec(n, 2).shape.rank);
    for (int i = 2; i < n->inputs; i += 3)
        part[count++] = dequantized(n, i);
    if (!n->refused)
        put_quantized(n, kiln_concat(n->g, part, count, axis), 0);
}

/* alpha * (a b + c), exact in 32 bits until it is scaled; without a scale for the result reals. */
void kiln_onnx_build_quantized_gemm(kiln_onnx_node *n)
{
    kiln_graph *g = n->g;
    const kiln_matmul_params p = {.transpose_a = kiln_onnx_int(n, "transA", 0) != 0,
                                  .transpose_b = kiln_onnx_int(n, "transB", 0) != 0};
    const kiln_quantized a = quantized(n, 0), b = quantized(n, 3);
    const double alpha = kiln_onnx_real(n, "alpha", 1);
    if (n->refused)
        return;
    kiln_tensor sum = kiln_matmul_integer(g, a.values, b.values, a.zero, b.zero, &p);
    if (kiln_onnx_has(n, 6))
        sum = kiln_add(g, sum, kiln_onnx_in(n, 6));
    const kiln_tensor scale = kiln_mul(g, kiln_mul(g, a.scale, b.scale), kiln_scalar(g, KILN_F32, alpha));
    const kiln_tensor y = kiln_mul(g, kiln_cast(g, sum, KILN_F32), scale);
    if (kiln_onnx_has(n, 7))
        put_quantized(n, y, 7);
    else
        kiln_onnx_out(n, 0, y);
}

/* a b of integers, exact in 32 bits, as reals, and the bias at an input. */
static kiln_tensor real_product(kiln_onnx_node *n, kiln_quantized a, kiln_quantized b, int bias)
{
    kiln_graph *g = n->g;
    if (n->refused)
        return KILN_NONE;
    const kiln_tensor sum = kiln_matmul_integer(g, a.values, b.values, a.zero, b.zero, NULL);
    const kiln_tensor y = kiln_mul(g, kiln_cast(g, sum, KILN_F32), kiln_mul(g, a.scale, b.scale));
    return kiln_onnx_has(n, bias) ? kiln_add(g, y, kiln_onnx_in(n, bias)) : y;
}

kiln_tensor kiln_onnx_real_product(kiln_onnx_node *n, int scales, int zeros, int bias)
{
    const kiln_quantized a = {kiln_onnx_in(n, 0), vector(n, scales), vector(n, zeros)},
                         b = {kiln_onnx_in(n, 1), vector(n, scales + 1), vector(n, zeros + 1)};
    return real_product(n, a, b, bias);
}

void kiln_onnx_build_matmul_to_real(kiln_onnx_node *n)
{
    enum { A, B, SCALES, ZEROS = SCALES + 2, BIAS = ZEROS + 2 };
    const kiln_tensor y = kiln_onnx_real_product(n, SCALES, ZEROS, BIAS);
    if (!n->refused)
        kiln_onnx_out(n, 0, y);
}

/* Of reals, which become integers of 8 bits by their own range. */
void kiln_onnx_build_matmul_dynamic(kiln_onnx_node *n)
{
    enum { A, B, BIAS = 4 };
    const kiln_quantized b = quantized(n, B);
    if (!n->refused)
        kiln_onnx_out(
            n, 0, real_product(n, kiln_quantize_dynamic(n->g, kiln_onnx_in(n, A), KILN_U8, NULL), b, BIAS));
}

/* Weights of 4 or 8 bits in blocks of their rows, ONNX Runtime's --------------------------------------------------- */

/* [rows, bytes] as [rows, count] numbers, two of each byte where they have 4 bits, the lower half first. */
static kiln_tensor spread(kiln_onnx_node *n, kiln_tensor bytes, int64_t bits, int64_t count)
{
    kiln_graph *g = n->g;
    const int64_t rows = kiln_tensor_shape(g, bytes).size[0];
    if (bits == 4) {
        const kiln_tensor b = kiln_unsqueeze(g, bytes, 2);
        const kiln_tensor halves[] = {kiln_bit_and(g, b, kiln_scalar(g, KILN_U8, 15)),
                                      kiln_shift_right(g, b, kiln_scalar(g, KILN_U8, 4))};
        bytes = kiln_reshape(g, kiln_concat(g, halves, 2, 2), KILN_SHAPE(rows, KILN_REST));
    }
    return kiln_cast(g, kiln_slice(g, bytes, 1, 0, count, 1), KILN_F32);
}

/* The zero point of each block: given as a real or packed as the weights are, else the middle of what there is. */
static kiln_tensor zero_of_blocks(kiln_onnx_node *n, int i, int64_t bits, int64_t rows, int64_t blocks)
{
    if (!kiln_onnx_has(n, i))
        return kiln_scalar(n->g, KILN_F32, bits == 4 ? 8 : 128);
    const bool packed = !kiln_type_is_real(kiln_onnx_spec(n, i).type);
    const kiln_tensor rest = kiln_reshape(n->g, kiln_onnx_in(n, i), KILN_SHAPE(rows, KILN_REST));
    return kiln_unsqueeze(n->g, packed ? spread(n, rest, bits, blocks) : kiln_cast(n->g, rest, KILN_F32), 2);
}

/* x times the transpose of W [N, K], of whose rows each block has a scale. */
void kiln_onnx_build_matmul_bits(kiln_onnx_node *n)
{
    enum { X, W, SCALES, ZEROS, ORDER, BIAS, MOST = 1 << 30 };
    kiln_graph *g = n->g;
    const int64_t rows = kiln_onnx_int(n, "N", 0), columns = kiln_onnx_int(n, "K", 0),
                  block = kiln_onnx_int(n, "block_size", 0), bits = kiln_onnx_int(n, "bits", 4),
                  blocks = block > 0 ? columns / block + (columns % block != 0) : 0;
    const kiln_shape w = kiln_onnx_spec(n, W).shape;
    if ((bits != 4 && bits != 8) || kiln_onnx_has(n, ORDER))
        kiln_onnx_refuse(n, "supported are weights of 4 and of 8 bits, in their order");
    else if (rows < 1 || rows > MOST || columns < 1 || columns > MOST || blocks < 1 || block > MOST ||
             block * bits % 8 || kiln_onnx_spec(n, W).type != KILN_U8 ||
             kiln_shape_count(&w) != rows * blocks * (block * bits / 8))
        kiln_onnx_refuse(n, "weights of %lld x %lld, in blocks of %lld, are not what \"%s\" holds",
                         (long long)rows, (long long)columns, (long long)block, n->in[W]->name);
    if (n->refused)
        return;
    const kiln_tensor bytes = kiln_reshape(g, kiln_onnx_in(n, W), KILN_SHAPE(rows, KILN_REST));
    const kiln_tensor codes =
        kiln_reshape(g, spread(n, bytes, bits, blocks * block), KILN_SHAPE(rows, blocks, block));
    const kiln_tensor scales = kiln_cast(g, kiln_onnx_in(n, SCALES), KILN_F32),
                      zeros = zero_of_blocks(n, ZEROS, bits, rows, blocks);
    const kiln_tensor real =
        kiln_mul(g, kiln_sub(g, codes, zeros), kiln_reshape(g, scales, KILN_SHAPE(rows, blocks, 1)));
    const kiln_tensor all =
        kiln_slice(g, kiln_reshape(g, real, KILN_SHAPE(rows, blocks * block)), 1, 0, columns, 1);
    const kiln_type type = kiln_onnx_spec(n, X).type;
    kiln_tensor y = kiln_matmul(g, kiln_onnx_in(n, X), kiln_cast(g, all, type),
                                &(kiln_matmul_params){.transpose_b = true});
    if (kiln_onnx_has(n, BIAS))
        y = kiln_add(g, y, kiln_onnx_in(n, BIAS));
    kiln_onnx_out(n, 0, y);
}

/* [rows, blocks] as [rows, columns]: what each block has for each of its columns. */
static kiln_tensor by_blocks(kiln_graph *g, kiln_tensor x, int64_t block, int64_t columns)
{
    return kiln_slice(g, kiln_repeat(g, x, block, 1), 1, 0, columns, 1);
}

/* Rows of `x` at an index of any shape, as the rows of a matrix. */
static kiln_tensor rows_at(kiln_graph *g, kiln_tensor x, kiln_tensor index)
{
    const int64_t columns = kiln_tensor_shape(g, x).size[1];
    return kiln_reshape(g, kiln_gather(g, x, index, 0), KILN_SHAPE(KILN_REST, columns));
}

/* A table [rows, columns] of such numbers, whose rows have a scale, and a zero point, for each of their blocks: rows of it, as reals. */
void kiln_onnx_build_gather_bits(kiln_onnx_node *n)
{
    enum { TABLE, INDEX, SCALES, ZEROS };
    kiln_graph *g = n->g;
    const kiln_spec table = kiln_onnx_spec(n, TABLE), scales = kiln_onnx_spec(n, SCALES);
    const kiln_shape index = kiln_onnx_spec(n, INDEX).shape;
    const int64_t bits = kiln_onnx_int(n, "bits", 4), block = kiln_onnx_int(n, "block_size", 128),
                  axis = kiln_onnx_int(n, "quantize_axis", 1),
                  columns = table.shape.rank == 2 ? table.shape.size[1] * 8 / (bits == 4 ? 4 : 8) : 0,
                  blocks = block > 0 ? columns / block + (columns % block != 0) : 0;
    if ((bits != 4 && bits != 8) || table.type != KILN_U8 || kiln_onnx_int(n, "gather_axis", 0) ||
        (axis != 1 && axis != -1) || index.rank + 1 > KILN_MAX_RANK)
        kiln_onnx_refuse(n, "supported are rows of a table [rows, columns] of 4 or 8 bits in bytes");
    else if (blocks < 1 || scales.shape.rank != 2 || scales.shape.size[0] != table.shape.size[0] ||
             scales.shape.size[1] != blocks)
        kiln_onnx_refuse(n, "rows of %lld numbers in blocks of %lld are not what the scales are for",
                         (long long)columns, (long long)block);
    if (n->refused)
        return;
    const kiln_tensor at = kiln_onnx_in(n, INDEX);
    const kiln_tensor codes = spread(n, rows_at(g, kiln_onnx_in(n, TABLE), at), bits, columns);
    const kiln_tensor scale = kiln_cast(g, rows_at(g, kiln_onnx_in(n, SCALES), at), KILN_F32);
    kiln_tensor zero = kiln_scalar(g, KILN_F32, bits == 4 ? 8 : 128);
    if (kiln_onnx_has(n, ZEROS))
        zero = by_blocks(g, spread(n, rows_at(g, kiln_onnx_in(n, ZEROS), at), bits, blocks), block, columns);
    const kiln_tensor real = kiln_mul(g, kiln_sub(g, codes, zero), by_blocks(g, scale, block, columns));
    kiln_shape y = index;
    y.size[y.rank++] = columns;
    kiln_onnx_out(n, 0, kiln_cast(g, kiln_reshape(g, real, y), scales.type));
}
