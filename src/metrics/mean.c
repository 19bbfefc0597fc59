/*
 * mean.c - a running mean, by Neumaier's sum: what rounding leaves out of the sum is kept beside it, so that the mean of
 * millions of batches is as exact as that of few, in whatever order they come.
 */
#include <math.h>

#include <kiln/metrics.h>

void kiln_running_mean_add(kiln_running_mean *m, double value, double rows)
{
    const double x = value * rows, sum = m->sum + x;

    m->error += fabs(m->sum) >= fabs(x) ? (m->sum - sum) + x : (x - sum) + m->sum;
    m->sum = sum;
    m->rows += rows;
}

double kiln_running_mean_value(const kiln_running_mean *m)
{
    const double sum =
        isfinite(m->error) ? m->sum + m->error : m->sum; /* past the largest number only the sum is right */
    return m->rows != 0 ? sum / m->rows : 0;
}
