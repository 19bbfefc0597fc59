#version 450
/*
 * index_fold - tuples of indices as one index (fold.h), a tuple a lane.
 *
 * dispatch   LANES tuples a workgroup
 */
#include "kiln.glsl"
#include "fold.h"

KILN_IN(0, int, x);
KILN_OUT(1, int, y);

const int NOWHERE = int(0x80000000u);

void main()
{
    KILN_GROUP(group);
    const uint n = group * LANES + LANE;
    if (n >= p.count)
        return;

    uint sum = 0;
    bool nowhere = false;
    for (uint k = 0; k < p.axes; k++) {
        const int given = x[n * p.axes + k], size = int(p.size[k]);
        nowhere = nowhere || given == NOWHERE;
        sum += uint(clamp(given < 0 ? given + size : given, 0, size - 1)) * p.step[k];
    }
    y[n] = nowhere ? NOWHERE : int(sum);
}
