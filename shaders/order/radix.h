/*
 * radix.h - the parameters of radix_count and radix_move: a pass of a stable sort of pairs (key, payload), row by row, by one
 * digit of the key: (key >> shift) % 2^bits.
 *
 * A row of cols pairs is cut into parts of `part` pairs.
 *
 *   radix_count   counts[row, digit, q] = how many pairs of part q have the digit. Their exclusive sums over (digit, q)
 *                 are where each part's first pair of each digit goes.
 *   radix_move    y[row, starts[row, digit, q] + i] = the i-th pair with the digit in part q of x
 *
 * bindings   radix_count 0: x    1: counts        radix_move 0: x    1: starts    2: y
 * units      parts of rows
 */
#include "interface.h"

#define KILN_RADIX_PART 2048u           /* pairs of a part at the most, and digits of 4 bits, in the GPU's variants */

KILN_PARAMS(radix) {
    uint rows, cols;
    uint parts, part;
    uint shift, bits;
} KILN_PARAMS_END;
