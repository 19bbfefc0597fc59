/* rounds.h - how often loops go around that lie within one another: what kiln_variant.rounds is made of. */
#ifndef KILN_OPS_ROUNDS_H
#define KILN_OPS_ROUNDS_H

#include <stdint.h>

/** Rounds of three loops, each within the one before. */
static inline uint64_t kiln_rounds(uint64_t a, uint64_t i, uint64_t j)
{
    return 1 + a * (1 + i * (1 + j));
}

#endif
