/*
 * keys.h - the parameters of order_keys: pairs (key, position in the row) of every element of x, [rows, cols] dense.
 *
 * Row r of x begins at (r / step) * cols * step + r % step; its elements lie step apart.
 *
 * bindings   0: x    1: pairs
 * constants  0: key code (codes.h)
 * units      elements
 */
#include "interface.h"
#include "divide.h"
#include "codes.h"

KILN_PARAMS(order_keys) {
    uint rows, descending;
    uint range;                         /* of INDEX */
    KILN_DIVISOR(cols);
    KILN_DIVISOR(step);
} KILN_PARAMS_END;
