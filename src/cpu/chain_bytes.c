/*
 * chain_bytes.c - chains that quantize reals, or what one or two values of bytes stand for, as residual sums of quantized networks are,
 * in registers, for AVX-512:
 *
 *   y = clip(round(relu(x) / scale) + zero)     x: a value of reals, or (a - za) sa + (b - zb) sb; the quotient is always there
 *
 * All others run through the chain's blocks. No product is contracted with a sum here: chains round both.
 */
#include <math.h>
#include <string.h>

#include "chain/chain.h"
#include "chain/codes.h"
#include "cpu/simd.h"
#include "device/variants.h"

#if defined(__x86_64__)
#include "cpu/byte_vectors.h"
#endif

enum { BLOCK = 4096, RESULT = KILN_CHAIN_OPERANDS - 1, REGISTERS = 24 };

/* Reading the steps --------------------------------------------------------------------------------------- */

struct term {
    int operand;
    int32_t zero;
    float by;
};

struct sum {
    struct term term[2]; /* the first one's operand is x where that is real */
    int terms;
    bool is_real;
    float least, scale, zero, low, high;
};

/* What a register holds on the way. */
enum stage { NOTHING, REAL, TERM, SUM, QUOTIENT, SHIFTED, INTEGER, DONE };

struct reading {
    const kiln_dispatch *d;
    struct sum sum;
    enum stage stage[REGISTERS];
    int term[REGISTERS]; /* of REAL and TERM: which */
};

static bool is_number(uint32_t reg)
{
    return reg >= KILN_REGISTER_IMMEDIATE && reg < REGISTERS;
}

static uint32_t word_at(const struct reading *r, uint32_t reg)
{
    return ((const struct kiln_params_chain *)(const void *)r->d->block.words)
        ->immediate[2 * (reg - KILN_REGISTER_IMMEDIATE)];
}

static float real_at(const struct reading *r, uint32_t reg)
{
    const uint32_t word = word_at(r, reg);
    float x;
    memcpy(&x, &word, sizeof x);
    return x;
}

/* An operand of bytes that lie as the results. */
static bool is_bytes(const struct reading *r, uint32_t reg)
{
    return reg < (r->d->constants[0] & 255) && r->d->bytes >> reg & 1 &&
           (r->d->constants[9] >> 4 * reg & 15) == KILN_WALK_FLAT;
}

static enum stage begin_term(struct reading *r, uint32_t to, uint32_t operand, int32_t zero, float by,
                             enum stage stage)
{
    if (!is_bytes(r, operand) || r->sum.terms == 2)
        return NOTHING;
    r->term[to] = r->sum.terms;
    r->sum.term[r->sum.terms++] = (struct term){(int)operand, zero, by};
    return stage;
}

static enum stage scale_term(struct reading *r, uint32_t to, uint32_t a, uint32_t by)
{
    if (r->stage[a] != REAL || !is_number(by))
        return NOTHING;
    r->term[to] = r->term[a];
    r->sum.term[r->term[a]].by = real_at(r, by);
    return TERM;
}

static enum stage add(struct reading *r, uint32_t a, uint32_t b)
{
    if (r->stage[a] == TERM && r->stage[b] == TERM && r->term[a] != r->term[b])
        return SUM;
    if (r->stage[a] != QUOTIENT || !is_number(b))
        return NOTHING;
    r->sum.zero = real_at(r, b);
    return SHIFTED;
}

/* An operand of reals that lie as the results. */
static bool is_real(const struct reading *r, uint32_t reg)
{
    return reg < (r->d->constants[0] & 255) && r->d->constants[10] >> reg & 1 && !(r->d->halves >> reg & 1) &&
           (r->d->constants[9] >> 4 * reg & 15) == KILN_WALK_FLAT;
}

/* Whether a register holds the sum of all terms, or reals in its place. */
static bool is_sum(struct reading *r, uint32_t reg)
{
    if (r->sum.terms == 0 && is_real(r, reg)) {
        r->sum.term[r->sum.terms++].operand = (int)reg;
        r->sum.is_real = true;
        r->stage[reg] = SUM;
    }
    return r->stage[reg] == SUM || (r->stage[reg] == TERM && r->sum.terms == 1);
}

static enum stage cut(struct reading *r, uint32_t a)
{
    r->sum.least = 0;
    return is_sum(r, a) ? SUM : NOTHING;
}

static enum stage divide(struct reading *r, uint32_t a, uint32_t by)
{
    if (!is_sum(r, a) || !is_number(by))
        return NOTHING;
    r->sum.scale = real_at(r, by);
    return QUOTIENT;
}

/* Reals within bounds that are whole numbers are clipped alike before they become integers and behind that. */
static enum stage clip(struct reading *r, uint32_t a, uint32_t low, uint32_t high)
{
    if (r->stage[a] != INTEGER || !is_number(low) || !is_number(high))
        return NOTHING;
    const int32_t least = (int32_t)word_at(r, low), most = (int32_t)word_at(r, high);
    r->sum.low = (float)least;
    r->sum.high = (float)most;
    return least >= -(1 << 23) && most <= 1 << 23 ? DONE : NOTHING; /* which floats hold */
}

static enum stage take(struct reading *r, uint32_t to, uint32_t word)
{
    const uint32_t a = word >> 8 & 255, b = word >> 16 & 255, c = word >> 24;
    switch (word & 255) {
    case KILN_STEP_SCALED_I:
        return is_number(b) && is_number(c)
                   ? begin_term(r, to, a, (int32_t)word_at(r, b), real_at(r, c), TERM)
                   : NOTHING;
    case KILN_STEP_F_FROM_I:
        return begin_term(r, to, a, 0, 1, REAL);
    case KILN_STEP_MUL_F:
        return is_number(a) ? scale_term(r, to, b, a) : scale_term(r, to, a, b);
    case KILN_STEP_ADD_F:
        return is_number(a) ? add(r, b, a) : add(r, a, b);
    case KILN_STEP_RELU_F:
        return cut(r, a);
    case KILN_STEP_ROUNDED_F:
        return divide(r, a, b);
    case KILN_STEP_I_FROM_F:
        return r->stage[a] == QUOTIENT || r->stage[a] == SHIFTED ? INTEGER : NOTHING;
    case KILN_STEP_CLIP_I:
        return clip(r, a, b, c);
    default:
        return NOTHING;
    }
}

/* Whether a dispatch is such a chain and nothing else. */
static bool find_sum(const kiln_dispatch *d, struct sum *sum)
{
    const int steps = (int)(d->constants[0] >> 8 & 255);
    const uint32_t result = d->constants[0] >> 16 & 255;
    struct reading r = {.d = d, .sum = {.least = -INFINITY, .zero = -0.0f}};
    if (!(d->bytes >> RESULT & 1))
        return false;
    for (int s = 0; s < steps; s++) {
        const uint32_t to = KILN_REGISTER_STEP + (uint32_t)s;
        if ((r.stage[to] = take(&r, to, d->constants[1 + s])) == NOTHING)
            return false;
    }
    *sum = r.sum;
    return steps && r.stage[result] == DONE;
}

/* Running them -------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
KILN_TARGET_AVX512 static struct kiln_rounding_vectors rounding_of(const struct sum *s)
{
    return kiln_rounding_of(s->scale, s->zero, s->low, s->high, s->least);
}

KILN_TARGET_AVX512 static inline __attribute__((always_inline)) void quantize_reals(
    const struct kiln_rounding_vectors *r, bool plain, const float *x, uint8_t *y, size_t count)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm_storeu_si128((__m128i *)(void *)(y + i), kiln_round_to_bytes(r, _mm512_loadu_ps(x + i), plain));
    if (i < count) {
        const __mmask16 rest = kiln_lanes(count - i);
        _mm_mask_storeu_epi8(y + i, rest, kiln_round_to_bytes(r, _mm512_maskz_loadu_ps(rest, x + i), plain));
    }
}

KILN_TARGET_AVX512 static void run_reals(const struct sum *s, const float *x, uint8_t *y, size_t count)
{
    const struct kiln_rounding_vectors r = rounding_of(s);
    if (r.plain)
        quantize_reals(&r, true, x, y, count);
    else
        quantize_reals(&r, false, x, y, count);
}

/* A value of bytes, and what they stand for. */
struct bytes {
    const uint8_t *at;
    bool natural;
    __m512i zero;
    __m512 by;
};

KILN_TARGET_AVX512 static struct bytes bytes_of(const struct term *t, const kiln_dispatch *d,
                                                const kiln_memory *m, size_t from)
{
    return (struct bytes){(const uint8_t *)m->at[t->operand] + from, d->natural >> t->operand & 1,
                          _mm512_set1_epi32(t->zero), _mm512_set1_ps(t->by)};
}

static inline __attribute__((always_inline)) KILN_TARGET_AVX512 __m512 reals_of(const struct bytes *b,
                                                                                __m128i x)
{
    const __m512i words = b->natural ? _mm512_cvtepu8_epi32(x) : _mm512_cvtepi8_epi32(x);
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(words, b->zero)), b->by);
}

KILN_TARGET_AVX512 static inline __attribute__((always_inline)) void quantize_bytes(
    const struct kiln_rounding_vectors *r, bool plain, const struct bytes *a, const struct bytes *b, bool two,
    uint8_t *y, size_t count)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m512 x = reals_of(a, _mm_loadu_si128((const __m128i *)(const void *)(a->at + i)));
        const __m128i other = _mm_loadu_si128((const __m128i *)(const void *)(b->at + i));
        _mm_storeu_si128((__m128i *)(void *)(y + i),
                         kiln_round_to_bytes(r, two ? _mm512_add_ps(x, reals_of(b, other)) : x, plain));
    }
    if (i < count) {
        const __mmask16 rest = kiln_lanes(count - i);
        const __m512 x = reals_of(a, _mm_maskz_loadu_epi8(rest, a->at + i));
        const __m128i other = _mm_maskz_loadu_epi8(rest, b->at + i);
        _mm_mask_storeu_epi8(y + i, rest,
                             kiln_round_to_bytes(r, two ? _mm512_add_ps(x, reals_of(b, other)) : x, plain));
    }
}

KILN_TARGET_AVX512 static void run_bytes(const struct sum *s, const kiln_dispatch *d, const kiln_memory *m,
                                         size_t from, uint8_t *y, size_t count)
{
    const struct kiln_rounding_vectors r = rounding_of(s);
    const struct bytes a = bytes_of(&s->term[0], d, m, from),
                       b = bytes_of(&s->term[s->terms - 1], d, m, from);
    if (r.plain)
        quantize_bytes(&r, true, &a, &b, s->terms == 2, y, count);
    else
        quantize_bytes(&r, false, &a, &b, s->terms == 2, y, count);
}

static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    struct sum s;
    (void)caps;
    return kiln_has_avx512() && find_sum(d, &s);
}
#else
static void run_reals(const struct sum *s, const float *x, uint8_t *y, size_t count) /* never called */
{
    (void)s, (void)x, (void)y, (void)count;
}

static void run_bytes(const struct sum *s, const kiln_dispatch *d, const kiln_memory *m, size_t from,
                      uint8_t *y, size_t count) /* never called */
{
    (void)s, (void)d, (void)m, (void)from, (void)y, (void)count;
}

static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps, (void)d;
    return false;
}
#endif

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const size_t elements = ((const struct kiln_params_chain *)(const void *)d->block.words)->elements;
    const size_t from = first * BLOCK, left = elements - from,
                 length = count * BLOCK < left ? count * BLOCK : left;
    uint8_t *y = (uint8_t *)m->at[RESULT] + from;
    struct sum s;
    find_sum(d, &s);
    if (s.is_real)
        run_reals(&s, (const float *)m->at[s.term[0].operand] + from, y, length);
    else
        run_bytes(&s, d, m, from, y, length);
}

static uint64_t blocks(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + BLOCK - 1) / BLOCK;
}

const kiln_variant kiln_cpu_chain_bytes = {
    .name = "bytes", .accepts = accepts, .groups = blocks, .run = run, .bytes = true};
