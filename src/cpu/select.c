/* select.c - the meaning of compact (units: elements) and of the kernels behind unique (rows). */
#include <math.h>
#include <string.h>

#include "cpu/reference.h"
#include "select/compact.h"
#include "select/unique.h"

void KILN_REFERENCE(compact)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    (void)constants;
    const struct kiln_params_compact *p = block;
    const uint32_t *ranks = m->at[0];
    uint32_t *places = m->at[1];

    for (size_t e = first; e < first + count; e++) {
        const uint32_t before = e ? ranks[e - 1] : 0;
        if (e + 1 == p->elements)
            *(uint32_t *)m->at[2] = ranks[e] < p->bound ? ranks[e] : p->bound;
        if (ranks[e] == before || before >= p->bound)
            continue;
        size_t rest = e;
        for (size_t a = p->axes; a-- > 0; rest /= p->size[a])
            places[before * p->axes + a] = (uint32_t)(rest % p->size[a]);
    }
}

/* Whether elements i and k of x differ. */
static bool differ(const void *x, bool reals, size_t i, size_t k)
{
    if (!reals)
        return ((const uint32_t *)x)[i] != ((const uint32_t *)x)[k];
    const real a = ((const real *)x)[i], b = ((const real *)x)[k];
    return !(a == b);
}

void KILN_REFERENCE(unique_heads)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                  size_t first, size_t count)
{
    const struct kiln_params_unique *p = block;
    const uint32_t *order = m->at[1];
    uint32_t *heads = m->at[3];

    for (size_t s = first; s < first + count; s++) {
        bool head = s == 0;
        for (size_t c = 0; c < p->cols && !head; c++)
            head = differ(m->at[0], constants[0], order[s] * (size_t)p->cols + c,
                          order[s - 1] * (size_t)p->cols + c);
        heads[s] = head && (!constants[1] || (int64_t)s < *(const int32_t *)m->at[2]);
    }
}

void KILN_REFERENCE(unique_store)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                  size_t first, size_t count)
{
    const struct kiln_params_unique *p = block;
    const uint32_t *order = m->at[1], *ranks = m->at[3];
    const size_t bytes = 4 * (size_t)constants[2] * p->cols;
    const int64_t there = constants[1] ? (int64_t) * (const int32_t *)m->at[2] : (int64_t)p->rows;
    const size_t all = there < 0 ? 0 : there < p->rows ? (size_t)there : p->rows;
    uint32_t *places = m->at[5];

    for (size_t s = first; s < first + count; s++) {
        const uint32_t before = s ? ranks[s - 1] : 0, run = ranks[s] ? ranks[s] - 1 : 0;
        places[p->rows + order[s]] = run;
        if (s + 1 == p->rows)
            *(uint32_t *)m->at[6] = ranks[s];
        if (ranks[s] != before) {
            places[run] = order[s];
            memcpy((char *)m->at[4] + run * bytes, (const char *)m->at[0] + order[s] * bytes, bytes);
        }
        if (s < all && (s + 1 == all || ranks[s + 1] != ranks[s]))
            places[2 * (size_t)p->rows + run] = (uint32_t)s + 1;
    }
}

void KILN_REFERENCE(unique_counts)(const void *block, const uint32_t *constants, const kiln_memory *m,
                                   size_t first, size_t count)
{
    (void)constants;
    const struct kiln_params_unique *p = block;
    const uint32_t *ends = (const uint32_t *)m->at[0] + 2 * (size_t)p->rows;

    for (size_t run = first; run < first + count; run++)
        ((uint32_t *)m->at[1])[run] = ends[run] - (run ? ends[run - 1] : 0);
}
