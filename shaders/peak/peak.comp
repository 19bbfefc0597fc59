#version 450
/*
 * peak - multiplications and additions alone (peak.h).
 *
 * -DF16 calculates in vectors of two halves, and so twice as much: what a device can do in half precision without matrix units.
 *
 * dispatch   an element an invocation
 */
#include "kiln.glsl"
#include "peak.h"

#ifdef F16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define REAL float16_t
#define FEW f16vec2
#define SUM(few) (float(few.x) + float(few.y))
#else
#define REAL float
#define FEW float
#define SUM(few) few
#endif

KILN_IN(0, float, start);
KILN_OUT(1, float, y);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    const FEW first = FEW(REAL(float(i) / 1048576.0 + start[0])), scale = FEW(REAL(p.scale)), shift = FEW(REAL(p.shift));
    FEW x0 = first, x1 = first + REAL(1), x2 = first + REAL(2), x3 = first + REAL(3);
    FEW x4 = first + REAL(4), x5 = first + REAL(5), x6 = first + REAL(6), x7 = first + REAL(7);
    FEW x8 = first + REAL(8), x9 = first + REAL(9), xa = first + REAL(10), xb = first + REAL(11);

#define TURN                                                                                                         \
    x0 = x0 * scale + shift, x1 = x1 * scale + shift, x2 = x2 * scale + shift, x3 = x3 * scale + shift;              \
    x4 = x4 * scale + shift, x5 = x5 * scale + shift, x6 = x6 * scale + shift, x7 = x7 * scale + shift;              \
    x8 = x8 * scale + shift, x9 = x9 * scale + shift, xa = xa * scale + shift, xb = xb * scale + shift;
    for (uint turn = 0u; turn < p.turns; turn += PEAK_STEPS) {
        TURN TURN TURN TURN
    }
    if (i < p.count)
        y[i] = SUM(x0) + SUM(x1) + SUM(x2) + SUM(x3) + SUM(x4) + SUM(x5) + SUM(x6) + SUM(x7) + SUM(x8) + SUM(x9) +
               SUM(xa) + SUM(xb);
}
