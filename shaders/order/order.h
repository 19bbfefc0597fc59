/*
 * order.h - the parameters of order: of each part of each row, the first `keep` elements in their order. Equal ones keep the
 * order of their positions.
 *
 *   row r of x      its elements lie step apart, from (r / step) * x_cols * step + r % step on
 *   candidates      all of the row (cols = x_cols), or pairs (key, position), [rows, cols]
 *   part q          the candidates q * part and on; its first go to places q * keep and on of the row of the result
 *   row r of y      `kept` places: (parts - 1) * keep, and what the last part has; step apart as in x, or pairs, dense
 *
 * bindings   0: x    1: given pairs    2: values    3: positions in the row of x    4: found pairs, instead of 2 and 3
 * constants  0: key code (codes.h)
 * units      parts of rows
 */
#include "interface.h"
#include "codes.h"

#define KILN_ORDER_GIVEN 1u             /* the candidates are pairs */
#define KILN_ORDER_PAIRS 2u             /* the results are pairs */

KILN_PARAMS(order) {
    uint rows, cols, x_cols, step;
    uint parts, part, keep, kept;
    uint padded;                        /* the power of two that a part fits */
    uint descending, mode;              /* mode: KILN_ORDER_GIVEN and KILN_ORDER_PAIRS */
} KILN_PARAMS_END;
