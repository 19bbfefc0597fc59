/*
 * dropout.h - y[i] = x[i] * scale where the draw of element i is at least `threshold`, else 0.
 *
 * The draw is word i % 4 of Philox with counter {i / 4, 0, step, stream} and key {seed, 0}, i from `first` on.
 *
 * bindings   0: x    1: {seed, step}, I32    2: y
 * units      elements
 */
#include "interface.h"

KILN_PARAMS(dropout)
{
    uint elements;
    uint first;         /* number of the first element; a multiple of 4 */
    uint stream;
    uint threshold;     /* rate * 2^32 */
    KILN_REAL(scale);
}
KILN_PARAMS_END;
