/*
 * bits.h - the bits of reals as words, and words as bits of reals. In float64 programs the bits are those of the float nearest.
 *
 * bindings   0: x    1: y
 * constants  0: whether y is real, else x is
 * units      elements
 */
#include "interface.h"

KILN_PARAMS(bits)
{
    uint count;
}
KILN_PARAMS_END;
