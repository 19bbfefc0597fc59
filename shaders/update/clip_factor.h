/*
 * clip_factor.h - the parameters of clip_factor: y = min(1, limit / (sqrt(sum of x) + 1e-6)), the factor that
 * brings gradients whose sums of squares are x down to a norm of `limit`.
 */
#include "interface.h"

#define KILN_CLIP_EPSILON 1e-6

KILN_PARAMS(clip_factor) {
    uint count;
    KILN_REAL(limit);
} KILN_PARAMS_END;
