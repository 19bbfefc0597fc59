/*
 * pick.h - the parameters of order_pick: the elements of x that the first `keep` pairs of each row name, and their positions.
 *
 * A row of x has x_cols elements, of the pairs cols, of the results `keep`; x and the results are walked as in order.h.
 *
 * bindings   0: x    1: pairs    2: values    3: positions
 * units      results
 */
#include "interface.h"
#include "divide.h"

KILN_PARAMS(order_pick) {
    uint rows, cols, x_cols;
    KILN_DIVISOR(keep);
    KILN_DIVISOR(step);
} KILN_PARAMS_END;
