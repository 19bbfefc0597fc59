/*
 * peak.h - the parameters of peak, by which `kiln bench` measures how fast a device multiplies and adds: PEAK_CHAINS chains an
 * element that nothing but arithmetic holds up, of `turns` turns each.
 *
 *   y[i] = sum over c of x_c,  x_c = c + i / 2^20 + first at first, then `turns` times x_c * scale + shift
 *
 * bindings   0: first in, a float    1: y out, a float an element
 */
#include "interface.h"

#define PEAK_CHAINS 12
#define PEAK_STEPS  4 /* turns between two looks at the counter; `turns` is a multiple */

KILN_PARAMS(peak)
{
    uint count; /* of elements */
    uint turns;
    float scale, shift;
}
KILN_PARAMS_END;
