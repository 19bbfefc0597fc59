/*
 * random.h - y[i] = what element i draws (codes.h).
 *
 * Element i has word i % 4 of Philox with counter {i / 4, 0, step, stream} and key {seed, 0}, i from `first` on, so that draws
 * are the same on every device, however the work is cut. A word w becomes
 *
 *   uniform   u = (w >> 8) / 2^24
 *   gumbel    u = w / 2^32, of whose bits the first 24 from the highest one on count; w = 0 counts as 1
 *   normal    elements 2 k and 2 k + 1 share their words v and w: r cos(t), r sin(t) with r = sqrt(- 2 log u) of v, u as
 *             above, and t = (w >> 30) + ((w << 2) >> 8) / 2^24 - 1/2 quarters of a turn
 *
 * which float holds exactly; a product is rounded before anything is added to it.
 *
 * bindings   0: {seed, step}, I32    1: y
 * constants  0: code
 * units      elements
 */
#include "interface.h"
#include "codes.h"

KILN_PARAMS(random) {
    uint elements;
    uint first;         /* number of the first element; a multiple of 4 */
    uint stream;
    uint low, count;    /* of WHOLE */
    KILN_REAL(a);
    KILN_REAL(b);
} KILN_PARAMS_END;
