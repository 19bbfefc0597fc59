/* byte_vectors.h - a vector of reals, quantized, for AVX-512. In files that contract no products with sums. */
#ifndef KILN_CPU_BYTE_VECTORS_H
#define KILN_CPU_BYTE_VECTORS_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/simd.h"

/** How reals become integers, as a lane of each vector: clip(round(max(least, x) / scale) + zero, low, high). */
struct kiln_rounding_vectors {
    __m512 scale, zero, low, high, least;
};

/** Sixteen of them, as bytes; 0 of NaN. */
static inline __attribute__((always_inline)) KILN_TARGET_AVX512 __m128i
kiln_round_to_bytes(const struct kiln_rounding_vectors *r, __m512 x)
{
    const __m512 above = _mm512_max_ps(r->least, x); /* NaN stays */
    const __m512 y = _mm512_add_ps(_mm512_roundscale_ps(_mm512_div_ps(above, r->scale), 0), r->zero);
    const __mmask16 number = _mm512_cmp_ps_mask(y, y, _CMP_ORD_Q);
    const __m512 inside = _mm512_min_ps(_mm512_max_ps(y, r->low), r->high);
    return _mm512_cvtepi32_epi8(_mm512_maskz_cvttps_epi32(number, inside));
}

/** Store the bytes of those lanes. All of them are a store of its own: masked ones of bytes take several times as long. */
static inline __attribute__((always_inline)) KILN_TARGET_AVX512 void kiln_store_lanes(uint8_t *to,
                                                                                      __mmask16 mask,
                                                                                      __m128i bytes)
{
    if (mask == 0xffff)
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
    else
        _mm_mask_storeu_epi8(to, mask, bytes);
}

/** The lanes of a vector that `left` elements fill. */
static inline __mmask16 kiln_lanes(size_t left)
{
    return (__mmask16)(left < 16 ? (1u << left) - 1 : 0xffff);
}

#endif
