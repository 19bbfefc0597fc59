/*
 * normalize.h - the block of normalize and normalize_grad: rows of x brought to one scale.
 *
 *   normalize
 *     mean[r]    = with CENTER the sum over t of x[r, t] / cols, else 0
 *     inverse[r] = 1 / sqrt(share * sum over t of (x[r, t] - mean[r])^2 + epsilon), with LENGTH 1 / max(sqrt(..), epsilon)
 *     y[r, t]    = (x[r, t] - mean[r]) * inverse[r] * scale[k] + shift[k]
 *
 *   normalize_grad, where g = dy * scale[k] and h = (x - mean[r]) * inverse[r]
 *     dx[r, t] = inverse[r] * (g - center - h * pull), where
 *     center   = with CENTER the sum over t of g / cols, else 0
 *     pull     = share * sum over t of g * h; with LENGTH 0 where inverse[r] * epsilon is CONSTANT or more
 *
 * Row r begins at element r / step * cols * step + r % step, its values lie step apart. Element t of it has the channel
 * k = r % groups * channels + t / inner. mean and inverse of row r are at first + r.
 *
 * bindings   normalize        0: x    1: scale    2: shift    3: y    4: mean    5: inverse
 *            normalize_grad   0: x    1: dy    2: scale    3: mean    4: inverse    5: dx
 *            scale and shift where SCALED and SHIFTED, mean where CENTER
 * constants  0: flags
 * units      rows
 */
#include "interface.h"
#include "divide.h"

#define KILN_NORMALIZE_CENTER  1u
#define KILN_NORMALIZE_LENGTH  2u
#define KILN_NORMALIZE_SCALED  4u
#define KILN_NORMALIZE_SHIFTED 8u
#define KILN_NORMALIZE_CONSTANT 0.999999    /* 1, less some roundings */

KILN_PARAMS(normalize)
{
    uint rows, cols, step;
    uint first;         /* row, of those that mean and inverse hold */
    uint groups, channels;
    KILN_DIVISOR(inner);
    KILN_REAL(share);
    KILN_REAL(epsilon);
}
KILN_PARAMS_END;
