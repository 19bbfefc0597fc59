/* resize.c - sums over runs of neighbours, by tables of weights. */
#include "resize/resize.h"
#include "cpu/reference.h"

#include <string.h>

/* A row of an axis's table, and where its weights' rests lie. */
struct run {
    int64_t first, count;
    const uint32_t *weight, *rest;
};

static struct run run_of(const struct kiln_params_resize *p, const uint32_t *table, uint32_t rows,
                         uint32_t taps, uint32_t q)
{
    const uint32_t *row = table + rows + q * (taps + KILN_RESIZE_HEAD);
    return (struct run){row[0], row[1], row + KILN_RESIZE_HEAD, row + KILN_RESIZE_HEAD + p->rest};
}

static double weight(const struct run *r, int64_t tap)
{
    float weight, rest;
    memcpy(&weight, r->weight + tap, sizeof weight);
    memcpy(&rest, r->rest + tap, sizeof rest);
    return (double)weight + (double)rest;
}

/* The sum for one element; x begins with its image's element c of the inner axis. */
static double sum_of(const struct kiln_params_resize *p, const real *x, struct run a, struct run i,
                     struct run j)
{
    double sum = 0;
    for (int64_t s = 0; s < a.count; s++)
        for (int64_t t = 0; t < i.count; t++)
            for (int64_t u = 0; u < j.count; u++) {
                const int64_t at = ((a.first + s) * p->i + i.first + t) * p->j + j.first + u;
                sum += weight(&a, s) * weight(&i, t) * weight(&j, u) * x[at * p->inner];
            }
    return sum;
}

void KILN_REFERENCE(resize)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_resize *p = block;
    const uint32_t *table = m->at[2];
    (void)constants;
    for (size_t unit = first; unit < first + count; unit++) {
        const uint32_t e = (uint32_t)unit, c = e % p->inner, column = e / p->inner, row = column / p->oj,
                       slice = row / p->oi, n = slice / p->oa;
        const struct run a = run_of(p, table, p->rows_a, p->taps_a, slice % p->oa),
                         i = run_of(p, table, p->rows_i, p->taps_i, row % p->oi),
                         j = run_of(p, table, p->rows_j, p->taps_j, column % p->oj);
        const real *x =
            (const real *)m->at[0] + (ptrdiff_t)(int32_t)(p->x_first + n * p->a * p->i * p->j * p->inner + c);
        const bool outside = !a.count || !i.count || !j.count;
        ((real *)m->at[1])[p->y_first + e] =
            (real)(outside ? KILN_REAL_GET(p, outside) : sum_of(p, x, a, i, j));
    }
}
