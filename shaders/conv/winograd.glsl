/* winograd.glsl - the matrices of F(4x4, 3x3), applied to six numbers (conv_winograd.h), or fours of them: REAL. */
#ifndef REAL
#define REAL float
#endif

void kiln_to_tile(REAL d[6], out REAL v[6])
{
    v[0] = 4.0 * d[0] - 5.0 * d[2] + d[4];
    v[1] = d[4] - 4.0 * d[2] + (d[3] - 4.0 * d[1]);
    v[2] = d[4] - 4.0 * d[2] - (d[3] - 4.0 * d[1]);
    v[3] = d[4] - d[2] + 2.0 * (d[3] - d[1]);
    v[4] = d[4] - d[2] - 2.0 * (d[3] - d[1]);
    v[5] = 4.0 * d[1] - 5.0 * d[3] + d[5];
}

void kiln_from_tile(REAL m[6], out REAL y[4])
{
    const REAL sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum + sum2;
    y[1] = difference + 2.0 * difference2;
    y[2] = sum + 4.0 * sum2;
    y[3] = difference + 8.0 * difference2 + m[5];
}
