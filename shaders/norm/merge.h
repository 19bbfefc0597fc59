/*
 * merge.h - one mean and variance of those of parts (Chan, Golub and LeVeque 1979).
 *
 *   mean[r] = sum over s of n[s] part_mean[s, r] / n
 *   variance[r] = sum over s of (m2[s, r] + n[s] (part_mean[s, r] - mean[r])^2) / n
 *
 * where part s has n[s] = part_length values, the last one what is left of n = count.
 *
 * bindings   0: part_mean    1: m2    2: mean    3: variance
 * units      results
 */
#include "interface.h"

KILN_PARAMS(moments_merge)
{
    uint results, parts, part_length, count;
}
KILN_PARAMS_END;
