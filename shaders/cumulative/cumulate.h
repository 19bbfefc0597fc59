/*
 * cumulate.h - the parameters of cumulate: y[t] = what x[0] .. x[t] combine to, along rows.
 *
 * Row r begins at (r / step) * cols * step + r % step; its elements lie step apart. It is cut into parts of `part` elements,
 * in the order of the cumulation; a part begins from its state in `start` [rows, parts], or from nothing. Totals are [rows,
 * parts], too.
 *
 * bindings   0: x    1: second: LINEAR's factors; of states their second numbers    2: start    3: its second numbers
 *            4: y    5: its second numbers: the index of extremes; of states and totals all of them
 *            1, 3 and 5 are bound where there are second numbers, 2 and 3 where `started`
 * constants  0: code    1: 1 where there are second numbers
 * units      parts of rows
 */
#include "interface.h"
#include "codes.h"

KILN_PARAMS(cumulate) {
    uint rows, cols, step;
    uint parts, part;
    uint how, started;                  /* how: as in codes.h */
} KILN_PARAMS_END;
