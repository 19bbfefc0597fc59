/* byte_rows.c - see byte_rows.h. */
#include "cpu/byte_rows.h"

#include "cpu/simd.h"

KILN_INLINE void kiln_words_from_bytes_body(uint32_t *restrict to, const uint8_t *restrict from, bool natural,
                                            size_t count)
{
    if (natural)
        for (size_t i = 0; i < count; i++)
            to[i] = from[i];
    else
        for (size_t i = 0; i < count; i++)
            to[i] = (uint32_t)(int8_t)from[i];
}

KILN_WIDE_CLONES(kiln_words_from_bytes, (uint32_t * to, const uint8_t *from, bool natural, size_t count),
                 (to, from, natural, count))

enum { LANES = 16 };

/* One vector of words. */
KILN_INLINE void take_vector(uint8_t *restrict to, const uint32_t *restrict from)
{
    for (int i = 0; i < LANES; i++)
        to[i] = (uint8_t)from[i];
}

/* Rows are often shorter than a vector of bytes: by vectors of words, of which the last two may overlap. */
KILN_INLINE void kiln_bytes_from_words_body(uint8_t *to, const uint32_t *from, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        take_vector(to + i, from + i);
    if (i < count && count >= LANES)
        take_vector(to + count - LANES, from + count - LANES);
    else
        for (; i < count; i++)
            to[i] = (uint8_t)from[i];
}

KILN_WIDE_CLONES(kiln_bytes_from_words, (uint8_t * to, const uint32_t *from, size_t count), (to, from, count))
