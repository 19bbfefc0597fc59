/*
 * algebra.h - sums of products by an equation, and determinants. Compositions: they fuse, run everywhere and have gradients.
 */
#ifndef KILN_ALGEBRA_H
#define KILN_ALGEBRA_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A sum of products by Einstein's convention, as NumPy and ONNX write it: "bij,bjk->bik" is a product of matrices.
 *
 * Each letter names an axis, the same letter the same size; what stands in no result is summed over. A letter twice in one operand
 * is its diagonal. "..." stands for axes that broadcast, as many in each operand that has it. Without "->" the result has the
 * axes of "..." and then the letters that occur once, in the order of ASCII. Spaces mean nothing.
 *
 * Operands are taken from the first to the last, two by two: real ones that share a summed axis are a matmul, others a product.
 *
 * Shape:   count operands of one type, reals or integers.
 * Errors:  an equation that is none, or does not fit the operands.
 */
KILN_API kiln_tensor kiln_einsum(kiln_graph *g, const char *equation, const kiln_tensor *x, int count);

/**
 * Determinants of matrices: by their formulas up to 3 x 3, above by elimination with the largest element of a column as pivot.
 *
 * Shape:   x [.., M, M], reals, M known; y [..].
 */
KILN_API kiln_tensor kiln_determinant(kiln_graph *g, kiln_tensor x);

#ifdef __cplusplus
}
#endif
#endif
