/*
 * quantize.h - numbers of 8 and 16 bits that stand for reals: to them, back, and products and convolutions of them.
 *
 *   real = (q - zero) * scale
 *
 * with one scale and zero point for a whole tensor, one for each index of an axis, or one for each block along it. Quantized values
 * are of type I8, U8, I16 or U16 (I32 where sums are dequantized); they are kept like any integer, those of 8 bits as bytes on the CPU,
 * and products of these run on bytes packed four to a word, by the device's integer dot product where it has one. Operands that no
 * input changes (weights) are packed once, not in every run. Where a processor multiplies bytes fast, a program that predicts does so for
 * products and convolutions of what kiln_dequantize gave, too (x with one scale, weights with one or one for each result's channel), and
 * quantizes their sums in the same pass over memory.
 *
 * Common to all: zero points may be KILN_NONE, which means 0. Integers have no gradient; to train with their rounding, let it
 * pass: x + kiln_stop_gradient(dequantized - x).
 *
 * Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference"; the
 * numbers are those of ONNX's operators.
 */
#ifndef KILN_QUANTIZE_H
#define KILN_QUANTIZE_H

#include <kiln/conv.h>
#include <kiln/graph.h>
#include <kiln/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where scale and zero differ within a tensor. Of scalars (or one element) nothing is read. */
typedef struct kiln_quantize_params {
    int axis;      /* the one along which they differ */
    int64_t block; /* how many neighbours along it share one; 0: 1 */
} kiln_quantize_params;

/**
 * To integers:   y = saturate(round(x / scale) + zero)   to the nearest, ties to even; of NaN 0.
 *
 * Shape:   scale is one element, or [n] for the n indices of the axis, or x's shape with ceil(n / block) along the axis. zero has
 *          scale's shape, and the type of y.
 * Errors:  a type that is none of I8, U8, I16, U16; a block along an axis of unknown size, or of more than 2^24.
 */
KILN_API kiln_tensor kiln_quantize(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor zero,
                                   kiln_type type, const kiln_quantize_params *params);

/**
 * Back:   y = (x - zero) * scale   in scale's type. x is any integer type. The gradient flows to scale.
 *
 * Shape:   as kiln_quantize.
 */
KILN_API kiln_tensor kiln_dequantize(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor zero,
                                     const kiln_quantize_params *params);

/** Quantized values with what they mean. */
typedef struct kiln_quantized {
    kiln_tensor values, scale, zero; /* zero may be KILN_NONE */
} kiln_quantized;

/**
 * Quantize by the range that x has, 0 included: U8 over [min(x, 0), max(x, 0)] with a zero point; I8 over [-m, m], m = max |x|,
 * without one. One scale for all of x, or one for each index of the axes that are not given (kept as size 1).
 *
 * Errors:  another type; then the parts are KILN_NONE.
 */
KILN_API kiln_quantized kiln_quantize_dynamic(kiln_graph *g, kiln_tensor x, kiln_type type,
                                              const kiln_axes *axes);

/**
 * The product of matrices of 8-bit numbers, exact in 32 bits (which wrap):
 *
 *   y[.., m, n] = sum over k of (a[.., m, k] - a_zero[m]) * (b[.., k, n] - b_zero[n])
 *
 * Shape:   as kiln_matmul; a and b each I8 or U8, y I32. a_zero is one element or [m], b_zero one element or [n], of the type of
 *          what they belong to.
 */
KILN_API kiln_tensor kiln_matmul_integer(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor a_zero,
                                         kiln_tensor b_zero, const kiln_matmul_params *params);

/**
 * The same of quantized values, quantized again:   y = quantize(a.scale * b.scale * product, scale, zero)
 *
 * Shape:   a.scale one element or [m], b.scale one element or [n]; scale and zero one element. y is of the type given.
 */
KILN_API kiln_tensor kiln_matmul_quantized(kiln_graph *g, kiln_quantized a, kiln_quantized b,
                                           kiln_tensor scale, kiln_tensor zero, kiln_type type,
                                           const kiln_matmul_params *params);

/**
 * Convolution of 8-bit numbers, exact in 32 bits (which wrap), padding counting as x_zero:
 *
 *   y[n, o, i] = sum over c, u of (x[n, c, i'] - x_zero) * (w[o, c, u] - w_zero[o])
 *
 * Shape:   as kiln_conv; x and w each I8 or U8, y I32. x_zero is one element, w_zero one or [O], of the type of what they belong
 *          to.
 */
KILN_API kiln_tensor kiln_conv_integer(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor x_zero,
                                       kiln_tensor w_zero, const kiln_conv_params *params);

/**
 * The same of quantized values, quantized again:
 *
 *   y = quantize(x.scale * w.scale * (convolution + bias), scale, zero)
 *
 * Shape:   x.scale one element, w.scale one element or [O]; bias I32 [O] or KILN_NONE; scale and zero one element. y is of the
 *          type given.
 */
KILN_API kiln_tensor kiln_conv_quantized(kiln_graph *g, kiln_quantized x, kiln_quantized w, kiln_tensor bias,
                                         kiln_tensor scale, kiln_tensor zero, kiln_type type,
                                         const kiln_conv_params *params);

#ifdef __cplusplus
}
#endif
#endif
