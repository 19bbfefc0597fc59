/* byte_rows.h - rows of integers stored as bytes become words, and words bytes. */
#ifndef KILN_CPU_BYTE_ROWS_H
#define KILN_CPU_BYTE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kiln/extend.h>

/** Bytes as words, `natural` (unsigned) or with their signs. */
void kiln_words_from_bytes(uint32_t *to, const uint8_t *from, bool natural, size_t count);

/** The lowest bytes of words. */
void kiln_bytes_from_words(uint8_t *to, const uint32_t *from, size_t count);

/** One byte as a word. */
static inline uint32_t kiln_word_from_byte(uint8_t byte, bool natural)
{
    return natural ? byte : (uint32_t)(int32_t)(int8_t)byte;
}

/** Whether operands 0 and 1 are stored as bytes: what kernels accept that make bytes of bytes and nothing else. */
static inline bool kiln_takes_bytes_alone(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->bytes & 3) == 3;
}

#endif
