/*
 * scatter.h - the parameters of scatter and of the kernels that do the same from sorted indices.
 *
 *   y = base, or zeros; then, in the order of j, y[o, at(index), i] = meet(y[o, at(index), i], u[o, j, i])
 *
 * where at and index are as in gather.h, and an index KILN_INDEX_NOWHERE is skipped. base and y [outer, rows, inner], of which only
 * the rows [first, first + shown) are bound; u [outer, count, inner].
 *
 * The indices form lists: one for each (o, i) where `full`, else one for `share` neighbouring o. A sorted list is pairs (row,
 * position in the list), [lists, count], in the order of (row, position). Its parts are KILN_SCATTER_PART pairs each.
 *
 *   scatter           0: base    1: index    2: u    3: y                     units: o
 *   scatter_distinct  0: index    1: u    2: y, base before                   units: rows (o, j) of u, whose targets differ
 *   scatter_parts     0: pairs    1: u    2: sums [outer, parts, inner]       units: parts (o, q)
 *                     what a part of one row alone comes to; others are left alone
 *   scatter_runs      0: pairs    1: u    2: sums    3: y, base before        units: o
 *
 * constants  0: code (codes.h)    1: words of an element, 2 only for SET
 */
#include "interface.h"
#include "divide.h"
#include "codes.h"

#define KILN_SCATTER_PART 256u

KILN_PARAMS(scatter) {
    uint outer, rows, first;
    KILN_DIVISOR(shown);
    KILN_DIVISOR(count);
    KILN_DIVISOR(inner);
    KILN_DIVISOR(share);
    uint full, based, summed;           /* based, summed: base, or sums, is bound */
} KILN_PARAMS_END;
