/* lower.h - what the lowerings of this room share: a chain, a reduction, a constant, planned for given values. */
#ifndef KILN_OPS_LOWER_H
#define KILN_OPS_LOWER_H

#include <kiln/extend.h>
#include <kiln/ops.h>

#include "ops/chain.h"

/**
 * The node that gives n's first input, if n's lowering may compute that, too: nothing else reads it, and what it reads is still there
 * when n runs. KILN_NONE's node, NULL, otherwise.
 */
const kiln_node *kiln_plan_joined(const kiln_plan *plan, const kiln_node *n);

/** Plan results = chain(operands), broadcast to the results' common shape. A result a dispatch. */
kiln_status kiln_lower_chain(kiln_plan *plan, const kiln_chain *chain, const kiln_tensor *operand,
                             const kiln_tensor *result);

/** Plan a copy of `count` reals from one binding to another, which may be stored differently. */
kiln_status kiln_lower_copy(kiln_plan *plan, kiln_binding from, kiln_binding to, uint64_t count);

struct kiln_params_pack_columns;

/** Elements that packed columns take (pack_columns.c). */
uint64_t kiln_packed_columns(const struct kiln_params_pack_columns *p);
/** Plan the packing of a matrix's columns; *packed is where to. */
kiln_status kiln_lower_pack_columns(kiln_plan *plan, kiln_tensor from,
                                    const struct kiln_params_pack_columns *p, kiln_tensor *packed);

/** Plan y = x broadcast to y's shape, element for element. */
kiln_status kiln_lower_expand(kiln_plan *plan, kiln_tensor x, kiln_tensor y);

/** Plan y = value everywhere. */
kiln_status kiln_lower_constant(kiln_plan *plan, kiln_tensor y, double value);

/**
 * Plan y = x reduced over the axes in the mask (bit i: axis i of shape, x's) by a code and a finish of reduce/codes.h; y has
 * what is left, in order. scale is that of sums of reals, else 1. Nothing is empty.
 */
kiln_status kiln_lower_reduce(kiln_plan *plan, uint32_t code, uint32_t finish, double scale, kiln_tensor x,
                              const kiln_shape *shape, uint32_t axes, kiln_tensor y);

/** Plan y = x summed over the axes in the mask (bit i: axis i of shape, x's); y has what is left, in order. */
kiln_status kiln_lower_sum(kiln_plan *plan, kiln_tensor x, const kiln_shape *shape, uint32_t axes,
                           kiln_tensor y);

/** The type of sums of a type, and of what is not the last result yet: F32 for F16 and BF16, else the type itself. */
static inline kiln_type kiln_sum_type(kiln_type type)
{
    return type == KILN_F16 || type == KILN_BF16 ? KILN_F32 : type;
}

/** A value as reductions see it: [outer, first, kept, second, inner], first and second reduced. */
struct kiln_view {
    int64_t outer, first, kept, second, inner;
};

/** The axes in the mask as first and second; false where they form more than two groups of neighbours. */
bool kiln_view_of(const kiln_shape *shape, uint32_t axes, struct kiln_view *out);

/** Into how many parts a reduction of `length` values to each of `results` is split: by sizes and, for `columns`, results that
 * lie side by side, by the kind of device. */
int64_t kiln_parts_of(const kiln_caps *caps, int64_t length, int64_t results, bool columns);

/** The bits of axes of a value of that rank ({0}: all); all bits where one is out of range. */
uint32_t kiln_axes_mask(const kiln_axes *axes, int rank);

#endif
