/*
 * scatter_fast.c - scatter by ranges of rows: each unit begins with its rows of base, and goes through the list once for the
 * rows of u that belong to it. A row of y is one unit's alone, so it meets them in the order of the list.
 */
#include <string.h>

#include "cpu/functions.h"
#include "device/caps.h"
#include "device/variants.h"
#include "order/codes.h"
#include "scatter/scatter.h"

/* A range costs a look at every index: the wider the rows, the less that counts. */
enum { MOST_RANGES = 32, LEAST_ROWS = 16, WIDTH_OF_A_LOOK = 8 };

static const struct kiln_params_scatter *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_scatter *)d->block.words;
}

/* By size alone, never by the number of threads. */
static uint32_t ranges_of(const kiln_dispatch *d)
{
    const struct kiln_params_scatter *p = block_of(d);
    const uint32_t wide = p->inner / WIDTH_OF_A_LOOK, most = (p->shown + LEAST_ROWS - 1) / LEAST_ROWS;
    const uint32_t ranges = p->full ? 1 : wide < MOST_RANGES ? wide : MOST_RANGES;
    return ranges < 1 ? 1 : ranges < most ? ranges : most;
}

static uint64_t units(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (uint64_t)block_of(d)->outer * ranges_of(d);
}

/* Elements of one word. */
static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[1] == 1;
}

static int64_t row_of(const struct kiln_params_scatter *p, int32_t index)
{
    const int64_t given = index < 0 ? (int64_t)index + p->rows : index;
    const int64_t at = given < 0 ? 0 : given >= p->rows ? (int64_t)p->rows - 1 : given;
    return (uint32_t)index == KILN_INDEX_NOWHERE ? -1 : at - p->first;
}

/* Meeting ------------------------------------------------------------------------------------------------ */

/* NAME_row: a row of y meets one of u. NAME_list: elements of u, each with an index of its own, meet theirs, [count, inner]. */
#define MEET(name, target, type, expression)                                                                \
    static void name##_row(void *to, const void *from, size_t count)                                        \
    {                                                                                                       \
        target *y = to;                                                                                     \
        const type *u = from;                                                                               \
        for (size_t i = 0; i < count; i++)                                                                  \
            y[i] = expression;                                                                              \
    }                                                                                                       \
    static void name##_list(const struct kiln_params_scatter *p, const int32_t *index, const void *from,    \
                            void *to)                                                                       \
    {                                                                                                       \
        for (size_t e = 0, i = 0; e < (size_t)p->count * p->inner; e++, i = i + 1 < p->inner ? i + 1 : 0) { \
            const int64_t row = row_of(p, index[e]);                                                        \
            target *y = (target *)to + row * (int64_t)p->inner;                                             \
            const type *u = (const type *)from + (e - i);                                                   \
            if (row >= 0 && row < p->shown)                                                                 \
                y[i] = expression;                                                                          \
        }                                                                                                   \
    }

MEET(set, uint32_t, uint32_t, u[i])
MEET(add_real, float, float, y[i] + u[i])
MEET(multiply_real, float, float, y[i] * u[i])
MEET(least_real, float, float, smaller(y[i], u[i]))
MEET(most_real, float, float, larger(y[i], u[i]))
MEET(add, uint32_t, uint32_t, y[i] + u[i])
MEET(multiply, uint32_t, uint32_t, y[i] * u[i])
MEET(least, int32_t, int32_t, u[i] < y[i] ? u[i] : y[i])
MEET(most, int32_t, int32_t, u[i] > y[i] ? u[i] : y[i])
MEET(least_natural, uint32_t, uint32_t, u[i] < y[i] ? u[i] : y[i])
MEET(most_natural, uint32_t, uint32_t, u[i] > y[i] ? u[i] : y[i])
MEET(add_wide, double, float, y[i] + (double)u[i])
MEET(multiply_wide, double, float, y[i] * (double)u[i])
#undef MEET

static const struct meet {
    void (*row)(void *to, const void *from, size_t count);
    void (*list)(const struct kiln_params_scatter *p, const int32_t *index, const void *from, void *to);
} meets[] = {
#define ROW(code, name) [KILN_MEET_##code] = {name##_row, name##_list}
    ROW(SET, set),         ROW(ADD_F, add_real),      ROW(MUL_F, multiply_real), ROW(MIN_F, least_real),
    ROW(MAX_F, most_real), ROW(ADD_I, add),           ROW(MUL_I, multiply),      ROW(MIN_I, least),
    ROW(MAX_I, most),      ROW(MIN_U, least_natural), ROW(MAX_U, most_natural),
#undef ROW
};

/* Sums and products of reals where places get several on average: in double, until all are there. */
static const struct meet *wide_meet(const kiln_dispatch *d)
{
    static const struct meet sum = {add_wide_row, add_wide_list},
                             product = {multiply_wide_row, multiply_wide_list};
    const bool sums = d->constants[0] == KILN_MEET_ADD_F, products = d->constants[0] == KILN_MEET_MUL_F;
    if (block_of(d)->shown > block_of(d)->count)
        return NULL;
    return sums ? &sum : products ? &product : NULL;
}

/* Units -------------------------------------------------------------------------------------------------- */

/* Rows [begin, end) of slab o. */
struct unit {
    size_t o, begin, end;
};

static size_t rows_of_range(const kiln_dispatch *d)
{
    const size_t ranges = ranges_of(d);
    return (block_of(d)->shown + ranges - 1) / ranges;
}

static struct unit unit_of(const kiln_dispatch *d, size_t unit)
{
    const size_t ranges = ranges_of(d), rows = rows_of_range(d), begin = unit % ranges * rows;
    const size_t end = begin + rows < block_of(d)->shown ? begin + rows : block_of(d)->shown;
    return (struct unit){unit / ranges, begin, end};
}

/* Where the lists of the unit's slab lie. */
static const int32_t *index_of(const kiln_dispatch *d, const kiln_memory *m, size_t o)
{
    const struct kiln_params_scatter *p = block_of(d);
    const size_t from = p->full ? o * p->count * p->inner : o / p->share * p->count;
    return (const int32_t *)m->at[1] + from;
}

/* What belongs to the unit meets its rows at `to`, of `element` bytes an element. */
static void scatter_unit(const kiln_dispatch *d, const kiln_memory *m, const struct unit *n,
                         const struct meet *meet, void *to, size_t element)
{
    const struct kiln_params_scatter *p = block_of(d);
    const uint32_t *u = (const uint32_t *)m->at[2] + n->o * p->count * p->inner;
    const int32_t *index = index_of(d, m, n->o);
    if (p->full || p->inner == 1) {
        meet->list(p, index, u, to); /* one range */
        return;
    }
    for (size_t j = 0; j < p->count; j++) {
        const int64_t row = row_of(p, index[j]);
        if (row >= (int64_t)n->begin && row < (int64_t)n->end)
            meet->row((char *)to + ((size_t)row - n->begin) * p->inner * element, u + j * p->inner, p->inner);
    }
}

static void begin_with_base(const kiln_dispatch *d, const kiln_memory *m, size_t from, size_t count)
{
    const uint32_t *base = m->at[0];
    uint32_t *y = m->at[3];
    if (!block_of(d)->based)
        memset(y + from, 0, count * sizeof *y);
    else if (base != y)
        memcpy(y + from, base + from, count * sizeof *y);
}

static void run_unit(const kiln_dispatch *d, const kiln_memory *m, const struct unit *n, double *wide)
{
    const struct kiln_params_scatter *p = block_of(d);
    const size_t from = (n->o * p->shown + n->begin) * p->inner, count = (n->end - n->begin) * p->inner;
    const struct meet *widened = wide_meet(d);
    begin_with_base(d, m, from, count);
    if (!widened) {
        scatter_unit(d, m, n, &meets[d->constants[0]], (uint32_t *)m->at[3] + from, sizeof(uint32_t));
        return;
    }
    float *y = (float *)m->at[3] + from;
    for (size_t i = 0; i < count; i++)
        wide[i] = (double)y[i];
    scatter_unit(d, m, n, widened, wide, sizeof *wide);
    for (size_t i = 0; i < count; i++)
        y[i] = (float)wide[i];
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    double *wide = m->scratch;
    for (size_t unit = first; unit < first + count; unit++) {
        const struct unit n = unit_of(d, unit);
        if (n.begin < n.end)
            run_unit(d, m, &n, wide);
    }
}

static uint64_t scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return wide_meet(d) ? rows_of_range(d) * block_of(d)->inner * sizeof(double) : 0;
}

const kiln_variant kiln_cpu_scatter_ranges = {
    .name = "ranges", .accepts = accepts, .groups = units, .scratch = scratch, .run = run};
