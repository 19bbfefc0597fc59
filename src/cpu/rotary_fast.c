/* rotary_fast.c - rotary embedding by vectors: pairs of halves as they lie, neighbours by even and odd elements. */
#include <string.h>

#include "cpu/simd.h"
#include "device/variants.h"
#include "rotary/rotary.h"

/* The turn of a row whose pairs are its halves; s is to be taken times `sign`. */
KILN_INLINE void halves_body(const float *x, const float *c, const float *s, float sign, float *restrict y,
                             size_t pairs)
{
    for (size_t i = 0; i < pairs; i++) {
        const float a = x[i], b = x[pairs + i], turn = s[i] * sign;
        y[i] = a * c[i] - b * turn;
        y[pairs + i] = b * c[i] + a * turn;
    }
}

KILN_INLINE void neighbours_body(const float *x, const float *c, const float *s, float sign,
                                 float *restrict y, size_t pairs)
{
    for (size_t i = 0; i < pairs; i++) {
        const float a = x[2 * i], b = x[2 * i + 1], turn = s[i] * sign;
        y[2 * i] = a * c[i] - b * turn;
        y[2 * i + 1] = b * c[i] + a * turn;
    }
}

static void halves(const float *x, const float *c, const float *s, float sign, float *y, size_t pairs);
static void neighbours(const float *x, const float *c, const float *s, float sign, float *y, size_t pairs);
KILN_CLONES(halves, (const float *x, const float *c, const float *s, float sign, float *y, size_t pairs),
            (x, c, s, sign, y, pairs))
KILN_CLONES(neighbours, (const float *x, const float *c, const float *s, float sign, float *y, size_t pairs),
            (x, c, s, sign, y, pairs))

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_rotary *p = (const void *)d->block.words;
    const uint32_t flags = d->constants[0];
    const size_t pairs = p->turned / 2;
    const float sign = flags & KILN_ROTARY_INVERSE ? -1.0f : 1.0f;
    for (size_t r = first; r < first + count; r++) {
        const size_t outside = r / p->inner, n = outside / p->outer;
        const size_t position =
            flags & KILN_ROTARY_ROWS_FIRST ? outside - n * p->outer : r - outside * p->inner;
        const size_t table = (p->first_batch + n) * p->table_batch + position * pairs;
        const float *x = (const float *)m->at[0] + r * p->depth;
        const float *c = (const float *)m->at[1] + table, *s = (const float *)m->at[2] + table;
        float *y = (float *)m->at[3] + r * p->depth;
        if (flags & KILN_ROTARY_INTERLEAVED)
            neighbours(x, c, s, sign, y, pairs);
        else
            halves(x, c, s, sign, y, pairs);
        memcpy(y + 2 * pairs, x + 2 * pairs, (p->depth - 2 * pairs) * sizeof *y);
    }
}

const kiln_variant kiln_cpu_rotary_rows = {.name = "rows", .run = run, .grain = 64};
