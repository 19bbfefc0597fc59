/*
 * moments.h - mean and variance over the reduced axes of x [outer, first, kept, second, inner], first and second reduced.
 *
 *   mean[s, o, k, i] = mean over t in part s of x[o, t / second, k, t % second, i]
 *   m2[s, o, k, i] = scale * sum over t in part s of (x[..] - mean)^2
 *
 * Part s holds part_length values from t = s * part_length on, the last one what is left of first * second. scale is 1 where
 * parts are to be merged, else 1 / (first * second).
 *
 * bindings   0: x    1: mean    2: m2
 * units      elements of the mean
 */
#include "interface.h"

KILN_PARAMS(moments)
{
    uint outer, first, kept, second, inner;
    uint parts, part_length;
    KILN_REAL(scale);
}
KILN_PARAMS_END;
