/*
 * cumulate.h - the parameters of cumulate: y[t] = what x[0] .. x[t] combine to, along rows.
 *
 * Row r begins at (r / step) * cols * step + r % step; its elements lie step apart. It is cut into parts of `part` elements,
 * in the order of the cumulation; a part begins from its state in `start`, or from nothing.
 *
 * bindings   0: x    1: a, LINEAR's factors    2: start, a state a part    3: y    4: index, where an extreme stands
 *            start, and x or y where they are states, are two words each, [rows, parts] or [rows, cols]; 1, 2 and 4 may be
 *            unbound, as constants say
 * constants  0: code    1: how (codes.h)    2: 1 where start is bound    3: 1 where index is
 * units      parts of rows
 */
#include "interface.h"
#include "codes.h"

KILN_PARAMS(cumulate) {
    uint rows, cols, step;
    uint parts, part;
} KILN_PARAMS_END;
