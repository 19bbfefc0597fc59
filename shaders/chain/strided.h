/*
 * strided.h - the block of a fused chain of which some operands are walked STRIDED; bindings and constants as in chain.h.
 *
 * walk holds size, multiplier and shift of the axes 1 .. rank - 1, then each STRIDED operand's step along the axes
 * 0 .. rank - 1.
 */
#include "divide.h"
#include "interface.h"

#define KILN_STRIDED_WORDS 44

KILN_PARAMS(chain_strided)
{
    KILN_QUADS(immediate, 4);
    KILN_QUADS(walk, 11);
    uint elements;
}
KILN_END_UNIFORM;
