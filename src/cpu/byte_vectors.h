/* byte_vectors.h - a vector of reals, quantized, for AVX-512. In files that contract no products with sums. */
#ifndef KILN_CPU_BYTE_VECTORS_H
#define KILN_CPU_BYTE_VECTORS_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/simd.h"

/**
 * How reals become integers: clip(round(max(least, x) / scale) + zero, low, high), 0 of NaN; least is 0 or -infinity, bounds are whole.
 *
 * It is `plain` where that is zero + round(clip(x / scale, low - zero, high - zero)), which takes fewer instructions: a whole zero point
 * may be added behind, bounds that are whole clip alike before they round, and what is not a number becomes the lower bound.
 */
struct kiln_rounding_vectors {
    __m512 scale, zero, low, high, least;
    __m512 below, above; /* low - zero, high - zero */
    __m512i whole;       /* zero */
    bool plain;
};

static inline KILN_TARGET_AVX512 struct kiln_rounding_vectors kiln_rounding_of(float scale, float zero,
                                                                               float low, float high,
                                                                               float least)
{
    const bool whole = fabsf(zero) <= 1 << 20 && nearbyintf(zero) == zero;
    return (struct kiln_rounding_vectors){
        .scale = _mm512_set1_ps(scale),
        .zero = _mm512_set1_ps(zero),
        .low = _mm512_set1_ps(low),
        .high = _mm512_set1_ps(high),
        .least = _mm512_set1_ps(least),
        .below = _mm512_set1_ps(low - zero),
        .above = _mm512_set1_ps(high - zero),
        .whole = _mm512_set1_epi32(whole ? (int32_t)zero : 0),
        .plain = whole && low == 0 && scale > 0 && (least < 0 || zero == 0),
    };
}

/** Sixteen of them, as bytes. `plain`: r's, known to the compiler. */
static inline __attribute__((always_inline)) KILN_TARGET_AVX512 __m128i
kiln_round_to_bytes(const struct kiln_rounding_vectors *r, __m512 x, bool plain)
{
    if (plain) {
        const __m512 inside = _mm512_min_ps(_mm512_max_ps(_mm512_div_ps(x, r->scale), r->below), r->above);
        return _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(inside), r->whole));
    }
    const __m512 left = _mm512_max_ps(r->least, x); /* NaN stays */
    const __m512 y = _mm512_add_ps(_mm512_roundscale_ps(_mm512_div_ps(left, r->scale), 0), r->zero);
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
