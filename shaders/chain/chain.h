/*
 * chain.h - the block of a fused chain whose operands are walked FLAT, SCALAR, ROW or COLUMN.
 *
 * bindings   0 .. 6: operands    7: the result
 * constants  0: operands | steps << 8 | register of the result << 16 | rank << 24 (of strided.h; else 0)
 *            1 .. 8: the steps    9: walk of operand i << 4 i
 *            10: bit i: binding i holds reals; bit 8 + i: immediate i is an integer
 *            11: place of operand i among the STRIDED ones << 4 i
 */
#include "divide.h"
#include "interface.h"

KILN_PARAMS(chain)
{
    uint elements;
    KILN_DIVISOR(row);      /* elements of a row, for ROW and COLUMN; else 1 */
    uint immediate[16];     /* pairs: a real's float and what it leaves; an integer and 0 */
}
KILN_PARAMS_END;
