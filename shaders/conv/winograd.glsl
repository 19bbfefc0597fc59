/*
 * winograd.glsl - the matrices of F(TILE x TILE, 3x3) (conv_winograd.h), applied to the IN numbers of a line, or to fours of them:
 * REAL. TILE is 4 unless -DTILE=2 says otherwise.
 */
#ifndef REAL
#define REAL float
#endif
#ifndef TILE
#define TILE 4
#endif
#define IN (TILE + 2)

#if TILE == 4

void kiln_to_tile(REAL d[IN], out REAL v[IN])
{
    v[0] = 4.0 * d[0] - 5.0 * d[2] + d[4];
    v[1] = d[4] - 4.0 * d[2] + (d[3] - 4.0 * d[1]);
    v[2] = d[4] - 4.0 * d[2] - (d[3] - 4.0 * d[1]);
    v[3] = d[4] - d[2] + 2.0 * (d[3] - d[1]);
    v[4] = d[4] - d[2] - 2.0 * (d[3] - d[1]);
    v[5] = 4.0 * d[1] - 5.0 * d[3] + d[5];
}

void kiln_from_tile(REAL m[IN], out REAL y[TILE])
{
    const REAL sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum + sum2;
    y[1] = difference + 2.0 * difference2;
    y[2] = sum + 4.0 * sum2;
    y[3] = difference + 8.0 * difference2 + m[5];
}

#else

void kiln_to_tile(REAL d[IN], out REAL v[IN])
{
    v[0] = d[0] - d[2];
    v[1] = d[2] + d[1];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
}

void kiln_from_tile(REAL m[IN], out REAL y[TILE])
{
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
}

#endif
