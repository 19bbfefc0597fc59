/* generate.c - the meaning of sequence. Units are elements. */
#include "cpu/reference.h"
#include "generate/sequence.h"

void KILN_REFERENCE(sequence)(const void *block, const uint32_t *constants, const kiln_memory *m,
                              size_t first, size_t count)
{
    const struct kiln_params_sequence *p = block;
    const double start = KILN_REAL_GET(p, start), delta = KILN_REAL_GET(p, delta);

    for (size_t i = first; i < first + count; i++)
        if (constants[0])
            ((real *)m->at[0])[i] = (real)(start + (double)i * delta);
        else
            ((uint32_t *)m->at[0])[i] = p->whole_start + (uint32_t)i * p->whole_delta;
}
