/* philox.c - see philox.h. */
#include "cpu/philox.h"

#include "cpu/simd.h"

#if KILN_HAVE_AVX2
#include <immintrin.h>
#endif

enum { ROUNDS = 10 };

static const uint32_t left_factor = 0xd2511f53, right_factor = 0xcd9e8d57,
                      key_step[2] = {0x9e3779b9, 0xbb67ae85};

/* What every machine has. */
static void draw_plain(const uint32_t *four, const uint32_t *row, uint32_t step, uint32_t stream,
                       uint32_t seed, uint32_t *bits)
{
    for (int i = 0; i < KILN_PHILOX; i++) {
        uint32_t c0 = four[i], c1 = row[i], c2 = step, c3 = stream, k0 = seed, k1 = 0;
        for (int round = 0; round < ROUNDS; round++) {
            const uint64_t left = (uint64_t)left_factor * c0, right = (uint64_t)right_factor * c2;
            c0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
            c2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
            c1 = (uint32_t)right;
            c3 = (uint32_t)left;
            k0 += key_step[0];
            k1 += key_step[1];
        }
        bits[4 * i] = c0;
        bits[4 * i + 1] = c1;
        bits[4 * i + 2] = c2;
        bits[4 * i + 3] = c3;
    }
}

#if KILN_HAVE_AVX2

enum { LANES = 4, VECTORS = 4 };

#define EACH_VECTOR(v) _Pragma("GCC unroll 4") for (int v = 0; v < VECTORS; v++)

/* Words in the lower halves of lanes of 64 bits, where products need no shuffles; what the upper halves hold does not matter. */
KILN_TARGET_AVX2 static void draw_lanes(const uint32_t *four, const uint32_t *row, uint32_t step,
                                        uint32_t stream, uint32_t seed, uint32_t *bits)
{
    const __m256i by_left = _mm256_set1_epi64x(left_factor), by_right = _mm256_set1_epi64x(right_factor);
    __m256i c0[VECTORS], c1[VECTORS], c2[VECTORS], c3[VECTORS];
    EACH_VECTOR(v) {
        c0[v] = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)(four + LANES * v)));
        c1[v] = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)(row + LANES * v)));
        c2[v] = _mm256_set1_epi64x(step);
        c3[v] = _mm256_set1_epi64x(stream);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const __m256i k0 = _mm256_set1_epi64x(seed + round * key_step[0]),
                      k1 = _mm256_set1_epi64x(round * key_step[1]);
        EACH_VECTOR(v) {
            const __m256i left = _mm256_mul_epu32(c0[v], by_left), right = _mm256_mul_epu32(c2[v], by_right);
            c0[v] = _mm256_xor_si256(_mm256_srli_epi64(right, 32), _mm256_xor_si256(c1[v], k0));
            c2[v] = _mm256_xor_si256(_mm256_srli_epi64(left, 32), _mm256_xor_si256(c3[v], k1));
            c1[v] = right;
            c3[v] = left;
        }
    }
    EACH_VECTOR(v) {
        const __m256i a = _mm256_blend_epi32(c0[v], _mm256_slli_epi64(c1[v], 32), 0xaa),
                      b = _mm256_blend_epi32(c2[v], _mm256_slli_epi64(c3[v], 32), 0xaa);
        const __m256i even = _mm256_unpacklo_epi64(a, b), odd = _mm256_unpackhi_epi64(a, b);
        __m256i *to = (__m256i *)(void *)(bits + 4 * LANES * v);
        _mm256_storeu_si256(to, _mm256_permute2x128_si256(even, odd, 0x20));
        _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(even, odd, 0x31));
    }
}

#endif

void kiln_cpu_philox(const uint32_t *four, const uint32_t *row, uint32_t step, uint32_t stream, uint32_t seed,
                     uint32_t *bits)
{
#if KILN_HAVE_AVX2
    if (kiln_has_avx2()) {
        for (int i = 0; i < KILN_PHILOX; i += LANES * VECTORS)
            draw_lanes(four + i, row + i, step, stream, seed, bits + 4 * i);
        return;
    }
#endif
    draw_plain(four, row, step, stream, seed, bits);
}
