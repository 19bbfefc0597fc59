/* rotary.c - what rotary embedding means, a row at a time. */
#include "rotary/rotary.h"

#include "cpu/reference.h"

void KILN_REFERENCE(rotary)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_rotary *p = block;
    const uint32_t flags = constants[0];
    const size_t pairs = p->turned / 2;
    for (size_t r = first; r < first + count; r++) {
        const size_t outside = r / p->inner, n = outside / p->outer;
        const size_t position = flags & KILN_ROTARY_ROWS_FIRST ? outside % p->outer : r % p->inner;
        const size_t table = (p->first_batch + n) * p->table_batch + position * pairs;
        const real *x = (const real *)m->at[0] + r * p->depth;
        real *y = (real *)m->at[3] + r * p->depth;
        for (size_t i = 0; i < pairs; i++) {
            const size_t a = flags & KILN_ROTARY_INTERLEAVED ? 2 * i : i;
            const size_t b = flags & KILN_ROTARY_INTERLEAVED ? a + 1 : a + pairs;
            const double c = ((const real *)m->at[1])[table + i], sine = ((const real *)m->at[2])[table + i];
            const double s = flags & KILN_ROTARY_INVERSE ? -sine : sine;
            y[a] = (real)(x[a] * c - x[b] * s);
            y[b] = (real)(x[b] * c + x[a] * s);
        }
        for (size_t d = 2 * pairs; d < p->depth; d++)
            y[d] = x[d];
    }
}
