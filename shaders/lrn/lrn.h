/*
 * lrn.h - local response normalization of x [outer, channels, inner], and its gradient.
 *
 *   base[o, c, i] = bias + share * sum over d = c - before .. c + after of x[o, d, i]^2
 *   y[o, c, i]    = x[o, c, i] * base[o, c, i]^-power
 *
 *   lrn_grad   dx[o, c, i] = dy * base^-power - 2 * power * share * x * sum over d = c - after .. c + before of dy * y / base
 *
 * where d counts the channels that there are.
 *
 * bindings   lrn        0: x    1: y    2: base
 *            lrn_grad   0: x    1: dy    2: y    3: base    4: dx
 * units      elements
 */
#include "interface.h"
#include "divide.h"

KILN_PARAMS(lrn)
{
    uint outer;
    KILN_DIVISOR(channels);
    KILN_DIVISOR(inner);
    uint before, after;
    KILN_REAL(bias);
    KILN_REAL(share);
    KILN_REAL(power);
}
KILN_PARAMS_END;
