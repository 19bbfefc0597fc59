/*
 * join_bytes.h - rows of bytes as parts of longer rows:
 *
 *   y[row * y_row + first + i] = x[row * x_row + i]     i < x_row
 *
 * bindings   0: x    1: y
 * units      rows
 */
#include "interface.h"

KILN_PARAMS(join_bytes)
{
    uint rows, x_row, y_row, first;
}
KILN_PARAMS_END;
