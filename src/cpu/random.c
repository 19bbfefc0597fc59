/* random.c - what dropout means, an element at a time. */
#include "base/rng.h"
#include "cpu/reference.h"
#include "random/dropout.h"

void KILN_REFERENCE(dropout)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    (void)constants;
    const struct kiln_params_dropout *p = block;
    const uint32_t *counter = m->at[1];
    for (size_t i = first; i < first + count; i++) {
        const size_t element = p->first + i;
        uint32_t draw[4];
        kiln_philox((const uint32_t[4]){(uint32_t)(element / 4), 0, counter[1], p->stream},
                    (const uint32_t[2]){counter[0], 0}, draw);
        const real x = ((const real *)m->at[0])[i];
        ((real *)m->at[2])[i] = draw[element % 4] >= p->threshold ? (real)(x * KILN_REAL_GET(p, scale)) : 0;
    }
}
