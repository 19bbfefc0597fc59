/*
 * quantize_each_fast.c - convolution of bytes with channels last, each channel by a filter of its own, for AVX-512 VNNI.
 *
 *   y = sum of x w - zx * sum of w      w: less its zero point
 *
 * Lanes are channels: a byte, widened to a word, is multiplied by the lower half of a filter's. A unit is some positions; where their
 * filters meet x is found once for all channels, outside of it a row of zero points.
 */
#include <string.h>

#include "base/number.h"
#include "cpu/bytes_finish.h"
#include "cpu/conv_places.h"
#include "cpu/cpu.h"
#include "cpu/simd.h"
#include "device/variants.h"
#include "quantize/conv_each.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    ROWS = 48,
    LANES = 16,
    COLUMNS = KILN_FINISH_MOST
}; /* positions of a unit; channels of a vector, of a line */

static const struct kiln_params_conv_each *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_each *)d->block.words;
}

static size_t positions_of(const struct kiln_params_conv_each *p)
{
    return (size_t)p->images * p->oh * p->ow;
}

static size_t taps_of(const struct kiln_params_conv_each *p)
{
    return (size_t)p->u * p->v;
}

/* Where the taps at a position meet x, channels of which lie from there on; outside of it at `none`. */
static void find_taps(const struct kiln_params_conv_each *p, const uint8_t *x, const uint8_t *none,
                      const struct kiln_conv_place *at, const uint8_t **to)
{
    const ptrdiff_t i = (ptrdiff_t)(at->i * p->stride_i) - p->pad_i,
                    j = (ptrdiff_t)(at->j * p->stride_j) - p->pad_j,
                    row = (ptrdiff_t)p->w * (ptrdiff_t)p->channels,
                    high = (ptrdiff_t)((p->u - 1) * p->dilation_i),
                    wide = (ptrdiff_t)((p->v - 1) * p->dilation_j);
    const bool whole = i >= 0 && j >= 0 && i + high < (ptrdiff_t)p->h && j + wide < (ptrdiff_t)p->w;
    const uint8_t *image = x + at->image * p->h * p->w * p->channels;
    for (ptrdiff_t a = i; a <= i + high; a += p->dilation_i)
        for (ptrdiff_t b = j; b <= j + wide; b += p->dilation_j) {
            const bool inside = whole || (a >= 0 && a < (ptrdiff_t)p->h && b >= 0 && b < (ptrdiff_t)p->w);
            *to++ = inside ? image + a * row + b * (ptrdiff_t)p->channels : none;
        }
}

#if defined(__x86_64__)
#define EACH_VECTOR _Pragma("GCC unroll 4") for (int v = 0; v < vectors; v++)

static inline __attribute__((always_inline)) KILN_TARGET_VNNI __m512i widened(bool natural, __m128i bytes)
{
    return natural ? _mm512_cvtepu8_epi32(bytes) : _mm512_cvtepi8_epi32(bytes);
}

/* Sums of some vectors of channels from c on, whose filters' words are w_row apart. */
static inline __attribute__((always_inline)) KILN_TARGET_VNNI void sum_vectors(
    bool natural, int vectors, size_t taps, const uint8_t *const *x, size_t c, const int32_t *w, size_t w_row,
    const int32_t *first, int32_t *sum)
{
    __m512i s[COLUMNS / LANES];
    EACH_VECTOR
        s[v] = _mm512_loadu_si512(first + v * LANES);
    for (size_t tap = 0; tap < taps; tap++, w += w_row)
        EACH_VECTOR
            s[v] = _mm512_dpwssd_epi32(
                s[v], widened(natural, _mm_loadu_si128((const __m128i *)(const void *)(x[tap] + c) + v)),
                _mm512_loadu_si512(w + v * LANES));
    EACH_VECTOR
        _mm512_storeu_si512(sum + v * LANES, s[v]);
}

/* Sums of fewer channels than a vector has. */
static inline __attribute__((always_inline)) KILN_TARGET_VNNI void sum_rest(bool natural, size_t taps,
                                                                            const uint8_t *const *x, size_t c,
                                                                            const int32_t *w, size_t w_row,
                                                                            const int32_t *first,
                                                                            int32_t *sum, size_t count)
{
    const __mmask16 mask = (__mmask16)((1u << count) - 1);
    __m512i s = _mm512_maskz_loadu_epi32(mask, first);
    for (size_t tap = 0; tap < taps; tap++, w += w_row)
        s = _mm512_dpwssd_epi32(s, widened(natural, _mm_maskz_loadu_epi8(mask, x[tap] + c)),
                                _mm512_maskz_loadu_epi32(mask, w));
    _mm512_storeu_si512(sum, s);
}

static inline __attribute__((always_inline)) KILN_TARGET_VNNI void sum_channels(
    bool natural, size_t taps, const uint8_t *const *x, size_t c, const int32_t *w, size_t w_row,
    const int32_t *first, int32_t *sum, size_t count)
{
    size_t j = count / (2 * LANES) * (2 * LANES);
    if (count == COLUMNS)
        sum_vectors(natural, 4, taps, x, c, w, w_row, first, sum);
    else if (j)
        sum_vectors(natural, 2, taps, x, c, w, w_row, first, sum);
    for (; j + LANES <= count; j += LANES)
        sum_vectors(natural, 1, taps, x, c + j, w + j, w_row, first + j, sum + j);
    if (j < count)
        sum_rest(natural, taps, x, c + j, w + j, w_row, first + j, sum + j, count - j);
}

static KILN_TARGET_VNNI void sum_rows(bool natural, size_t taps, const uint8_t *const *x, size_t c,
                                      const int32_t *w, size_t w_row, const int32_t *first,
                                      int32_t (*sum)[COLUMNS], size_t rows, size_t count)
{
    for (size_t i = 0; i < rows; i++, x += taps)
        if (natural)
            sum_channels(true, taps, x, c, w, w_row, first, sum[i], count);
        else
            sum_channels(false, taps, x, c, w, w_row, first, sum[i], count);
}
#undef EACH_VECTOR
#else
static void sum_rows(bool natural, size_t taps, const uint8_t *const *x, size_t c, const int32_t *w,
                     size_t w_row, const int32_t *first, int32_t (*sum)[COLUMNS], size_t rows, size_t count)
{
    (void)natural, (void)taps, (void)x, (void)c, (void)w, (void)w_row; /* never called */
    (void)first, (void)sum, (void)rows, (void)count;
}
#endif

/* Units -------------------------------------------------------------------------------------------------- */

static uint64_t units(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (positions_of(block_of(d)) + ROWS - 1) / ROWS;
}

/* A row of zero points, behind it where the taps of each position meet x. */
static size_t row_room(const struct kiln_params_conv_each *p)
{
    return ((size_t)p->channels + 63) / 64 * 64;
}

static uint64_t scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return row_room(block_of(d)) + ROWS * taps_of(block_of(d)) * sizeof(uint8_t *);
}

static void run_unit(const kiln_dispatch *d, const kiln_memory *m, struct kiln_bytes_finish *finish,
                     int32_t zx, size_t position, size_t rows)
{
    const struct kiln_params_conv_each *p = block_of(d);
    const size_t taps = taps_of(p);
    const uint8_t **x = (const uint8_t **)(void *)((uint8_t *)m->scratch + row_room(p));
    const int32_t *w = m->at[1], *w_sum = w + taps * p->channels;
    _Alignas(64) int32_t first[COLUMNS], sum[ROWS][COLUMNS];
    struct kiln_conv_place at = kiln_conv_place_of(position, p->oh, p->ow);
    for (size_t i = 0; i < rows; i++, kiln_conv_place_step(&at, p->oh, p->ow))
        find_taps(p, m->at[0], m->scratch, &at, x + i * taps);
    for (size_t c = 0; c < p->channels; c += COLUMNS) {
        const size_t count = kiln_least(COLUMNS, p->channels - c);
        for (size_t j = 0; j < count; j++)
            first[j] = (int32_t)(0 - (uint32_t)zx * (uint32_t)w_sum[c + j]);
        sum_rows(d->natural & 1, taps, x, c, w + c, p->channels, first, sum, rows, count);
        kiln_bytes_finish_store(finish, m->at[4], position * p->channels + c, p->channels, sum[0], rows, c,
                                count);
    }
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const size_t positions = positions_of(block_of(d));
    const int32_t zx = m->at[2] ? *(const int32_t *)m->at[2] : 0;
    struct kiln_bytes_finish finish;
    kiln_bytes_finish_init(&finish, d, m, false);
    memset(m->scratch, (uint8_t)zx, row_room(block_of(d)));
    for (size_t unit = first; unit < first + count; unit++)
        run_unit(d, m, &finish, zx, unit * ROWS, kiln_least(ROWS, positions - unit * ROWS));
}

static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->bytes & 1 && kiln_cpu_detect()->vnni;
}

const kiln_variant kiln_cpu_conv_each_rows = {
    .name = "rows", .accepts = accepts, .groups = units, .scratch = scratch, .run = run, .bytes = true};
