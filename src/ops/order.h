/*
 * order.h - sorting pairs of a key and a payload, for the families that need it: the base of every scatter that adds up.
 */
#ifndef KILN_OPS_ORDER_H
#define KILN_OPS_ORDER_H

#include <kiln/extend.h>

#include "ops/rows.h"
#include "order/codes.h"

/** Plan x's first `count` elements in ascending order, as one row, and where each stood (I32). */
kiln_status kiln_lower_sort(kiln_plan *plan, kiln_tensor x, uint32_t count, kiln_tensor values,
                            kiln_tensor positions);

/** A value for pairs: rows * cols of them, two words each. */
kiln_tensor kiln_plan_pairs(kiln_plan *plan, uint32_t rows, uint32_t cols);

/**
 * Plan pairs (key, position in its row) of every element of x, [rows, length]. code is of order/codes.h; range is INDEX's.
 */
kiln_status kiln_lower_keys(kiln_plan *plan, uint32_t code, bool descending, uint32_t range, kiln_binding x,
                            const struct kiln_rows *rows, kiln_tensor pairs);

/**
 * Plan a stable sort of each row of pairs by the lowest `bits` bits of the key; the others are 0. The pairs given may be
 * overwritten.
 */
kiln_status kiln_lower_sort_pairs(kiln_plan *plan, kiln_tensor pairs, uint32_t rows, uint32_t cols,
                                  uint32_t bits, kiln_tensor *sorted);

#endif
