/*
 * sequence.h - the parameters of sequence: y[i] = start + i * delta
 *
 * bindings   0: y
 * constants  0: 1 for reals, else integers of 32 bits, which wrap
 * units      elements
 */
#include "interface.h"

KILN_PARAMS(sequence) {
    uint count;
    uint whole_start, whole_delta;
    KILN_REAL(start);
    KILN_REAL(delta);
} KILN_PARAMS_END;
