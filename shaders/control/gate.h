/*
 * gate.h - the parameters of gate: live[i] = open ? full[i] : 0 for i below count, where open is whether the flag is not 0 and,
 * with `nested`, the first word of the outer table is not 0 either.
 */
#include "interface.h"

KILN_PARAMS(gate) {
    uint count, nested;
} KILN_PARAMS_END;
