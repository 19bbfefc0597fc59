/*
 * pack_bytes.h - the low bytes of words, four to a word along one axis, as signed numbers: 8-bit operands as products want them.
 *
 *   byte j of y[b, f, s] = x[b * x_batch + row * x_row + (4 quad + j) * x_depth] ^ flip, and 0 from 4 quad + j = depth on
 *
 * where (row, quad) is (f, s) if constant 0 is 1, else (s, f). flip is 128 where the bytes are unsigned: what then stands there
 * is the number less 128.
 *
 * bindings   0: x, words    1: y [batch, first, second]
 * constants  0: whether quads lie side by side in y (else rows do)
 * units      y's words
 */
#include "divide.h"
#include "interface.h"

KILN_PARAMS(pack_bytes)
{
    uint words;             /* of y */
    KILN_DIVISOR(first);
    KILN_DIVISOR(second);
    uint depth;             /* bytes of a row */
    uint x_batch, x_row, x_depth;
    uint flip;
}
KILN_PARAMS_END;
