/*
 * rows.h - the two numbers behind every softmax, by vectors: of one row whose values lie behind one another, or of a block of
 * rows that lie side by side.
 */
#ifndef KILN_CPU_ROWS_H
#define KILN_CPU_ROWS_H

#include "cpu/functions.h"
#include "cpu/runs.h"

/* Rows of a block, and along a row lanes of a sum and values at a time. */
enum { ROW_BLOCK = 64, ROW_LANES = 16, ROW_PART = 256 };

/* The largest of x[0 .. cols). */
KILN_INLINE float row_peak(const float *x, size_t cols)
{
    float lane[ROW_LANES];
    for (size_t l = 0; l < ROW_LANES; l++)
        lane[l] = -INFINITY;
    size_t c = 0;
    for (; c + ROW_LANES <= cols; c += ROW_LANES)
        for (size_t l = 0; l < ROW_LANES; l++)
            lane[l] = larger(lane[l], x[c + l]);
    for (; c < cols; c++)
        lane[0] = larger(lane[0], x[c]);
    for (size_t l = 1; l < ROW_LANES; l++)
        lane[0] = larger(lane[0], lane[l]);
    return lane[0];
}

/* The sum of exp(x - peak). */
KILN_INLINE float row_total(const float *x, size_t cols, float peak)
{
    float part[ROW_PART];
    double total = 0;
    for (size_t first = 0; first < cols; first += ROW_PART) {
        const size_t count = cols - first < ROW_PART ? cols - first : ROW_PART;
        for (size_t c = 0; c < count; c++)
            part[c] = fast_exp_below(x[first + c] - peak);
        total += run_sum(part, count);
    }
    return (float)total;
}

/* The same of `width` rows, whose values c lie at x + c * step. */
KILN_INLINE void block_totals(const float *x, size_t cols, size_t step, size_t width, float *peak,
                              float *total)
{
    for (size_t i = 0; i < width; i++) {
        peak[i] = -INFINITY;
        total[i] = 0;
    }
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < width; i++)
            peak[i] = larger(peak[i], x[c * step + i]);
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < width; i++)
            total[i] += fast_exp_below(x[c * step + i] - peak[i]);
}

#endif
