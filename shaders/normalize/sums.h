/*
 * sums.h - the gradients of a normalization's scale and shift, in parts: of x and dy [count, channels, inner]
 *
 *   by_scale[s, k] = sum over n in part s and i of dy[n, k, i] * (x[n, k, i] - mean[r]) * inverse[r]
 *   by_shift[s, k] = sum over n in part s and i of dy[n, k, i]
 *
 * where r = n * groups + k / group and group = channels / groups. Part s holds part_length of the n, from s * part_length on,
 * the last one what is left of them. mean and inverse of row r are at first_row + r, results of part s at first_part + s.
 *
 * bindings   0: x    1: dy    2: mean; unbound it is 0    3: inverse    4: by_scale    5: by_shift
 * constants  0: 1 where mean is bound    1: 1 where groups is 0: all n share the channels' means
 * units      elements of by_scale
 */
#include "interface.h"

KILN_PARAMS(normalize_sums)
{
    uint count, channels, inner;
    uint groups, group;
    uint parts, part_length;
    uint first_row, first_part;
}
KILN_PARAMS_END;
