/* matmul.h - what products of matrices share, whatever their elements are: the shape rule, and batch axes that broadcast. */
#ifndef KILN_OPS_MATMUL_H
#define KILN_OPS_MATMUL_H

#include <kiln/extend.h>
#include <kiln/ops.h>

/**
 * The shape of the product of a and b: the last two axes are matrices, the others broadcast.
 * Errors: fails the node where they do not fit.
 */
kiln_status kiln_matmul_shape(kiln_graph *g, const kiln_node *n, const kiln_matmul_params *p,
                              const kiln_shape *a, const kiln_shape *b, kiln_shape *out);

/**
 * Append a product of the first two inputs, of at most four: a vector among them is a row or a column, whose axis the result
 * has not.
 */
kiln_tensor kiln_append_product(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                                const kiln_matmul_params *params);

/** The lowering by one matrix that is packed ahead, for all rows (matmul_packed.c). */
bool kiln_matmul_packed_accepts(kiln_plan *plan, const kiln_node *n);
bool kiln_matmul_packed_pays(kiln_plan *plan, const kiln_node *n);
kiln_form kiln_matmul_packed_form(const kiln_plan *plan, const kiln_node *n);
kiln_status kiln_matmul_packed_lower(kiln_plan *plan, const kiln_node *n);

/** One batch axis, with the strides of both operands in elements; 0 where an operand is broadcast. */
struct kiln_batch_axis {
    uint64_t size, a, b;
};

/**
 * The batch axes of a product that are longer than 1, outermost first; neighbours that both operands walk as one are one.
 * Returns how many there are.
 */
int kiln_batch_axes(const kiln_shape *a, const kiln_shape *b, const kiln_shape *out,
                    struct kiln_batch_axis axis[KILN_MAX_RANK]);

#endif
