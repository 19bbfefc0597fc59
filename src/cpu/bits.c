/* bits.c - what reading bits as another type means. */
#include "bits/bits.h"

#include "base/half.h"
#include "cpu/reference.h"

void KILN_REFERENCE(bits)(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                          size_t count)
{
    (void)block;
    for (size_t i = first; i < first + count; i++) {
        if (constants[0])
            ((real *)m->at[1])[i] = (real)kiln_float_of(((const uint32_t *)m->at[0])[i]);
        else
            ((uint32_t *)m->at[1])[i] = kiln_float_bits((float)((const real *)m->at[0])[i]);
    }
}
