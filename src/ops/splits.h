/* splits.h - products of matrices whose terms are summed in splits, so that few results still keep a device busy. */
#ifndef KILN_OPS_SPLITS_H
#define KILN_OPS_SPLITS_H

#include <kiln/extend.h>

struct kiln_params_split_sum;

/** Plan sum = the block->splits in parts, block->part elements apart, added up in order. */
kiln_status kiln_plan_split_sum(kiln_plan *plan, kiln_tensor parts, kiln_tensor sum,
                                const struct kiln_params_split_sum *block);

/**
 * Plan d, which writes binding 2 in `sum->splits` parts, into a temporary, and after it their sum. The epilogue of d, whose
 * operands are bindings 3 and 4 and whose words are at `immediate`, moves there; NULL: it has none.
 */
kiln_status kiln_plan_splits(kiln_plan *plan, kiln_dispatch *d, uint32_t *immediate,
                             const struct kiln_params_split_sum *sum);

/** Whether everything that d binds, and `parts` elements more, can be bound as a whole, so that nothing is cut into windows. */
bool kiln_plan_binds_whole(const kiln_plan *plan, const kiln_dispatch *d, uint64_t parts);

/** Plan a product of matrices, in splits where that pays. */
kiln_status kiln_plan_product(kiln_plan *plan, const kiln_dispatch *d);

#endif
