/*
 * border.h - an axis that goes on beyond its ends, and the way back.
 *
 *   forth   y[o, j, k] = x[o, at(j - before), k]                              j in 0 .. long - 1
 *   back    x[o, i, k] = sum over j, with at(j - before) = i, of y[o, j, k]   i in 0 .. size - 1
 *
 * at(i) is i clamped to 0 .. size - 1 for EDGE, i modulo size for WRAP; for REFLECT and SYMMETRIC i modulo a period, 2 size - 2 (at
 * least 1) and 2 size, where the second half runs backwards. Sums are of reals, first of those j that run with x and then of
 * those that run against it, each in ascending order.
 *
 * Elements are counted as if all outer ones were bound; NAME_first, modulo 2^32, is added.
 *
 * bindings   0: read    1: write      (forth x and y, back y and x)
 * constants  0: border    1: words of an element (forth; back 1)    2: back
 * units      rows of the result [outer, long or size]
 */
#include "interface.h"
#include "divide.h"

#define KILN_BORDER_CODE_EDGE      0u
#define KILN_BORDER_CODE_REFLECT   1u
#define KILN_BORDER_CODE_SYMMETRIC 2u
#define KILN_BORDER_CODE_WRAP      3u

KILN_PARAMS(border)
{
    uint outer, first_outer, before, size;
    KILN_DIVISOR(rows);     /* of the result: long or size */
    KILN_DIVISOR(inner);
    uint other;             /* rows of what is read: size or long */
    uint read_first, write_first;
}
KILN_PARAMS_END;
