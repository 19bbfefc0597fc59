/*
 * scatter_fast.c - scatter by ranges of rows: each unit begins with its rows of base, and goes through the list once for the
 * rows of u that belong to it. A row of y is one unit's alone, so it meets them in the order of the list.
 */
#include <string.h>

#include "cpu/functions.h"
#include "cpu/simd.h"
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
    const uint32_t ranges = d->constants[1] ? 1 : wide < MOST_RANGES ? wide : MOST_RANGES;
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
    return d->constants[4] == 1;
}

static int64_t row_of(const struct kiln_params_scatter *p, int32_t index)
{
    const int64_t given = index < 0 ? (int64_t)index + p->rows : index;
    const int64_t at = given < 0 ? 0 : given >= p->rows ? (int64_t)p->rows - 1 : given;
    return (uint32_t)index == KILN_INDEX_NOWHERE ? -1 : at - p->first;
}

/* Meeting ------------------------------------------------------------------------------------------------ */

/* NAME_row: a row of y meets one of u. NAME_list: elements of u, each with an index of its own, meet theirs, [count, inner]. */
#define MEET(name, type, expression)                                                                        \
    static void name##_row(void *to, const void *from, size_t count)                                        \
    {                                                                                                       \
        type *y = to;                                                                                       \
        const type *u = from;                                                                               \
        for (size_t i = 0; i < count; i++)                                                                  \
            y[i] = expression;                                                                              \
    }                                                                                                       \
    static void name##_list(const struct kiln_params_scatter *p, const int32_t *index, const void *from,    \
                            void *to)                                                                       \
    {                                                                                                       \
        for (size_t e = 0, i = 0; e < (size_t)p->count * p->inner; e++, i = i + 1 < p->inner ? i + 1 : 0) { \
            const int64_t row = row_of(p, index[e]);                                                        \
            type *y = (type *)to + row * (int64_t)p->inner;                                                 \
            const type *u = (const type *)from + (e - i);                                                   \
            if (row >= 0 && row < p->shown)                                                                 \
                y[i] = expression;                                                                          \
        }                                                                                                   \
    }

MEET(set, uint32_t, u[i])
MEET(add_real, float, y[i] + u[i])
MEET(multiply_real, float, y[i] * u[i])
MEET(least_real, float, smaller(y[i], u[i]))
MEET(most_real, float, larger(y[i], u[i]))
MEET(add, uint32_t, y[i] + u[i])
MEET(multiply, uint32_t, y[i] * u[i])
MEET(least, int32_t, u[i] < y[i] ? u[i] : y[i])
MEET(most, int32_t, u[i] > y[i] ? u[i] : y[i])
MEET(least_natural, uint32_t, u[i] < y[i] ? u[i] : y[i])
MEET(most_natural, uint32_t, u[i] > y[i] ? u[i] : y[i])
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

/* Units -------------------------------------------------------------------------------------------------- */

static void scatter_rows(const kiln_dispatch *d, const int32_t *index, const uint32_t *u, uint32_t *y,
                         int64_t begin, int64_t end)
{
    const struct kiln_params_scatter *p = block_of(d);
    const struct meet *meet = &meets[d->constants[0]];
    for (size_t j = 0; j < p->count; j++) {
        const int64_t row = row_of(p, index[j]);
        if (row >= begin && row < end)
            meet->row(y + (size_t)row * p->inner, u + j * p->inner, p->inner);
    }
}

static void run_unit(const kiln_dispatch *d, const kiln_memory *m, size_t unit)
{
    const struct kiln_params_scatter *p = block_of(d);
    const size_t ranges = ranges_of(d), o = unit / ranges, slab = (size_t)p->shown * p->inner;
    const size_t rows = (p->shown + ranges - 1) / ranges, begin = unit % ranges * rows;
    const size_t end = begin + rows < p->shown ? begin + rows : p->shown;
    const uint32_t *base = m->at[0], *u = (const uint32_t *)m->at[2] + o * p->count * p->inner;
    const int32_t *index = m->at[1];
    uint32_t *y = (uint32_t *)m->at[3] + o * slab;
    if (begin >= end)
        return;
    const size_t bytes = (end - begin) * p->inner * sizeof *y;
    if (!d->constants[2])
        memset(y + begin * p->inner, 0, bytes);
    else if (base + o * slab != y)
        memcpy(y + begin * p->inner, base + o * slab + begin * p->inner, bytes);
    if (d->constants[1] || p->inner == 1)
        meets[d->constants[0]].list(
            p, index + (d->constants[1] ? o * p->count * p->inner : o / p->share * p->count), u, y);
    else
        scatter_rows(d, index + o / p->share * p->count, u, y, (int64_t)begin, (int64_t)end);
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    for (size_t unit = first; unit < first + count; unit++)
        run_unit(d, m, unit);
}

const kiln_variant kiln_cpu_scatter_ranges = {
    .name = "ranges", .accepts = accepts, .groups = units, .run = run};
