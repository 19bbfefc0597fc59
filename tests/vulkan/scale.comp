#version 450
/* scale - y[i] = factor * x[i]; x is a buffer, or with WIDTH 1 and 4 texels of so many floats. */
#include "kiln.glsl"

KILN_PARAMS(scale) {
    uint count;
    float factor;
} KILN_PARAMS_END;

#ifdef WIDTH
KILN_TEXELS(0, x);
#define X(i) texelFetch(x, int((i) / WIDTH))[(i) % WIDTH]
#else
KILN_IN(0, float, x);
#define X(i) x[i]
#endif
KILN_OUT(1, float, y);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    if (i < p.count)
        y[i] = p.factor * X(i);
}
