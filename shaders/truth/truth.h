/*
 * truth.h - what a driver claims, tried by shaders that do nothing else: `kiln check` compares what they write with what it
 * must be.
 *
 * bindings   0: x in    1: y out, KILN_TRUTH_WORDS for each invocation
 * dispatch   LANES elements of x a workgroup; there are no others
 */
#include "interface.h"

#define KILN_TRUTH_WORDS 8

KILN_PARAMS(truth)
{
    uint elements;
}
KILN_PARAMS_END;
