/* search.c - the meaning of search. Units are elements of x. */
#include "search/search.h"

#include <math.h>

#include "cpu/reference.h"

/* Whether element i of a comes before element k of b. */
static bool is_before(uint32_t code, const void *a, size_t i, const void *b, size_t k)
{
    if (code == KILN_KEY_F) {
        const real x = ((const real *)a)[i], y = ((const real *)b)[k];
        return x < y || (isnan(y) && !isnan(x));
    }
    const uint32_t flip = code == KILN_KEY_I ? UINT32_C(1) << 31 : 0;
    return (((const uint32_t *)a)[i] ^ flip) < (((const uint32_t *)b)[k] ^ flip);
}

void KILN_REFERENCE(search)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                            size_t count)
{
    const struct kiln_params_search *p = block;
    for (size_t e = first; e < first + count; e++) {
        const size_t begin = p->lists == 1 ? 0 : e / p->cols * p->entries;
        size_t low = 0, high = p->entries;
        while (low < high) {
            const size_t middle = (low + high) / 2;
            const bool before = constants[1] ? !is_before(constants[0], m->at[1], e, m->at[0], begin + middle)
                                             : is_before(constants[0], m->at[0], begin + middle, m->at[1], e);
            if (before)
                low = middle + 1;
            else
                high = middle;
        }
        ((uint32_t *)m->at[2])[e] = (uint32_t)low;
    }
}
