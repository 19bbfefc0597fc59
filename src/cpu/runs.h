/* runs.h - sums over values that lie behind one another, by vectors: floats over a few hundred of them, doubles beyond. */
#ifndef KILN_CPU_RUNS_H
#define KILN_CPU_RUNS_H

#include <stddef.h>

#include "cpu/simd.h"

/* Lanes of a sum, and values that are summed as floats. */
enum { RUN_LANES = 16, RUN_PART = 512 };

/* The sum of all lanes, by halves: one after the other they would wait for one another. */
KILN_INLINE float run_total(const float *lane)
{
    float half[RUN_LANES / 2], four[RUN_LANES / 4];
    for (size_t l = 0; l < RUN_LANES / 2; l++)
        half[l] = lane[l] + lane[l + RUN_LANES / 2];
    for (size_t l = 0; l < RUN_LANES / 4; l++)
        four[l] = half[l] + half[l + RUN_LANES / 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* The sum of x[0 .. count). */
KILN_INLINE float run_sum(const float *x, size_t count)
{
    float lane[RUN_LANES] = {0}, sum = 0;
    size_t k = 0;
    for (; k + RUN_LANES <= count; k += RUN_LANES)
        for (size_t l = 0; l < RUN_LANES; l++)
            lane[l] += x[k + l];
    for (; k < count; k++)
        sum += x[k];
    return sum + run_total(lane);
}

/* The sum of a[k] * b[k]. */
KILN_INLINE float run_dot(const float *a, const float *b, size_t count)
{
    float lane[RUN_LANES] = {0}, sum = 0;
    size_t k = 0;
    for (; k + RUN_LANES <= count; k += RUN_LANES)
        for (size_t l = 0; l < RUN_LANES; l++)
            lane[l] += a[k + l] * b[k + l];
    for (; k < count; k++)
        sum += a[k] * b[k];
    return sum + run_total(lane);
}

/* total += sum of x - center, and squares += sum of its squares. */
KILN_INLINE void run_moments(const float *x, size_t count, float center, double *total, double *squares)
{
    float d[RUN_PART];
    for (size_t first = 0; first < count; first += RUN_PART) {
        const size_t n = count - first < RUN_PART ? count - first : RUN_PART;
        for (size_t k = 0; k < n; k++)
            d[k] = x[first + k] - center;
        *total += run_sum(d, n);
        *squares += run_dot(d, d, n);
    }
}

/* Ask for `count` values that are read soon: those of another plane, to which no hardware looks ahead. */
KILN_INLINE void run_ask(const float *next, size_t count)
{
    for (size_t k = 0; k < count; k += 16)
        __builtin_prefetch(next + k);
}

#endif
