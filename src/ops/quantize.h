/* quantize.h - what products and convolutions of packed bytes share. */
#ifndef KILN_OPS_QUANTIZE_H
#define KILN_OPS_QUANTIZE_H

#include <kiln/extend.h>

#include "ops/conv.h"
#include "quantize/pack_bytes.h"

/** Plan the packing of x, I8 or U8, as the block says (its flip is set here), into a temporary. */
kiln_status kiln_lower_pack_bytes(kiln_plan *plan, kiln_tensor x, const struct kiln_params_pack_bytes *block,
                                  bool quads_last, kiln_tensor *y);

/** The lowering of matmul_integer by one matrix for all rows, packed as tiles read it (quantize_panels.c), on the CPU. */
bool kiln_matmul_panels_accepts(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_matmul_panels_lower(kiln_plan *plan, const kiln_node *n);

/** The lowering of conv_integer_last by a filter for each channel alone (quantize_each.c). */
bool kiln_conv_each_accepts(kiln_plan *plan, const kiln_node *n);
kiln_status kiln_conv_each_lower(kiln_plan *plan, const kiln_node *n);

/** The sizes of a node of conv_integer_last (quantize_panels.c). */
struct kiln_conv_sizes kiln_conv_last_sizes(const kiln_plan *plan, const kiln_node *n);

/** I8 or U8. */
bool kiln_is_byte(kiln_type type);

/** Input i of n, KILN_NONE where it was not given. */
kiln_tensor kiln_optional_input(const kiln_node *n, int input);

/** What turns a byte of this type into a signed one: 128 of U8, else 0. */
uint32_t kiln_byte_flip(kiln_type type);

/** Constant 0 of matmul_bytes and conv_bytes (quantize/zeros.h). */
uint32_t kiln_bytes_zeros(kiln_tensor a_zero, uint32_t a_flip, kiln_tensor b_zero, uint32_t b_flip);

/** 0 for a zero point of one element, 1 for a vector of them. */
uint32_t kiln_zero_step(const kiln_plan *plan, kiln_tensor zero);

/** Whether t has one element, whatever its rank. */
bool kiln_is_one_element(const kiln_graph *g, kiln_tensor t);

/** A zero point among n's inputs must be of the type and of one element or [size]; `what` it belongs to. */
kiln_status kiln_check_zero(kiln_graph *g, const kiln_node *n, int input, kiln_type type, int64_t size,
                            const char *what);

#endif
