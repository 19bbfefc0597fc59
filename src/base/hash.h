/* hash.h - FNV-1a, 64 bits: names to streams, keys to slots, plans to fingerprints. Not for secrets. */
#ifndef KILN_BASE_HASH_H
#define KILN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KILN_HASH_START UINT64_C(0xcbf29ce484222325)

/** Go on hashing from `hash`, which is KILN_HASH_START or an earlier result. */
static inline uint64_t kiln_hash(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static inline uint64_t kiln_hash_text(const char *text)
{
    return kiln_hash(KILN_HASH_START, text, strlen(text));
}

#endif
