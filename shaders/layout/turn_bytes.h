/*
 * turn_bytes.h - matrices of bytes, turned:
 *
 *   y[batch, column, row] = x[batch, row, column]
 *
 * bindings   0: x    1: y
 * units      matrices
 */
#include "interface.h"

KILN_PARAMS(turn_bytes)
{
    uint batch, rows, columns;
}
KILN_PARAMS_END;
