#version 450
/*
 * resize - sums over runs of neighbours along up to three axes, by tables of weights (resize.h).
 *
 * bindings   0: x in    1: y out    2: tables in
 * dispatch   LANES elements of y a workgroup
 * numerics   sums in float: along the last axis first; a copy is exact
 */
#include "kiln.glsl"
#include "resize.h"

KILN_CONSTANT(0, FLAGS);
#define COPY ((FLAGS & KILN_RESIZE_COPY) != 0u)
#define VOLUME ((FLAGS & KILN_RESIZE_VOLUME) != 0u)
KILN_IN_ANY(0, x);
KILN_OUT_ANY(1, y);
KILN_IN(2, uint, table);

/* A row of an axis's table. */
struct kiln_run {
    uint first, count, weights;
};

kiln_run run_of(uint rows, uint taps, uint q)
{
    const uint at = rows + q * (taps + KILN_RESIZE_HEAD);
    return kiln_run(table[at], table[at + 1u], at + KILN_RESIZE_HEAD);
}

float weight(kiln_run r, uint tap) { return uintBitsToFloat(table[r.weights + tap]); }

/* Along axis j, from the element of x at `at`. */
float line(kiln_run j, uint at)
{
    float sum = 0.0;
    for (uint u = 0; u < j.count; u++)
        sum += weight(j, u) * uintBitsToFloat(KILN_LOAD(0, x, at + u * p.inner));
    return sum;
}

float plane(kiln_run i, kiln_run j, uint at)
{
    float sum = 0.0;
    for (uint t = 0; t < i.count; t++)
        sum += weight(i, t) * line(j, at + t * p.j * p.inner);
    return sum;
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.results)
        return;

    const uint column = KILN_DIVIDE(e, inner), row = KILN_DIVIDE(column, oj), slice = KILN_DIVIDE(row, oi);
    const uint n = VOLUME ? KILN_DIVIDE(slice, oa) : slice;
    const kiln_run i = run_of(p.rows_i, p.taps_i, row - slice * p.oi), j = run_of(p.rows_j, p.taps_j, column - row * p.oj);
    kiln_run a = kiln_run(0u, 1u, 0u);
    if (VOLUME)
        a = run_of(p.rows_a, p.taps_a, slice - n * p.oa);

    const uint at = p.x_first + ((((VOLUME ? n * p.a + a.first : n) * p.i + i.first) * p.j) + j.first) * p.inner + e -
                    column * p.inner;
    uint bits = floatBitsToUint(p.outside);
    if (a.count != 0u && i.count != 0u && j.count != 0u) {
        if (COPY) {
            bits = KILN_LOAD(0, x, at);
        } else {
            float sum = 0.0;
            for (uint s = 0; s < a.count; s++)
                sum += (VOLUME ? weight(a, s) : 1.0) * plane(i, j, at + s * p.i * p.j * p.inner);
            bits = floatBitsToUint(sum);
        }
    }
    KILN_SAVE(1, y, p.y_first + e, bits);
}
