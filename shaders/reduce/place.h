/*
 * place.h - the gradient of max and min: dy where the chosen value was, 0 elsewhere. x is [outer, first, kept, second, inner] as
 * in reduce.h.
 *
 *   dx[o, a, k, b, i] = a * second + b == at[o, k, i] ? dy[o, k, i] : 0
 *
 * bindings   0: dy    1: at, I32    2: dx
 * units      dx's elements
 */
#include "divide.h"
#include "interface.h"

KILN_PARAMS(place)
{
    uint elements, begin;       /* dx's, from that one on */
    KILN_DIVISOR(first);
    KILN_DIVISOR(kept);
    KILN_DIVISOR(second);
    KILN_DIVISOR(inner);
    uint result_first, dx_first; /* what is added, modulo 2^32, to find an element of dy and at, or of dx, in its binding */
}
KILN_PARAMS_END;
