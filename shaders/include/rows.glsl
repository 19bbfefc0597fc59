/*
 * rows.glsl - rows of cols values that lie step apart, and the two numbers behind every softmax: peak, the largest value, and
 * total = sum of exp(x - peak). Include after the block, which has rows, cols and step, and after the buffer x; with
 * FOURS it is no buffer of numbers, and only rows are.
 *
 * A row is a workgroup's, or with COLUMNS a lane's (lanes.glsl); all of its lanes get the results.
 */
#include "math.glsl"

#include "lanes.glsl"

#define KILN_ROW(name) KILN_RESULT(name, p.rows)

uint kiln_row_start(uint row) { return row / p.step * p.cols * p.step + row % p.step; }

#ifndef FOURS

float kiln_row_peak(uint start)
{
    float peak = KILN_MINUS_INFINITY;
    for (uint c = FIRST; c < p.cols; c += STEP)
        peak = kiln_max(peak, float(x[start + c * p.step]));
    return MAX(peak);
}

/* A long row is summed in parts: a sorted one has its largest terms first, and the many small ones would be lost beside them. */
float kiln_row_total(uint start, float peak)
{
    float total = 0.0;
    for (uint first = FIRST; first < p.cols; first += 32u * STEP) {
        float part = 0.0;
        for (uint c = first; c < min(first + 32u * STEP, p.cols); c += STEP)
            part += kiln_exp(float(x[start + c * p.step]) - peak);
        total += part;
    }
    return SUM(total);
}

#endif
