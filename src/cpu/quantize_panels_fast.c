/*
 * quantize_panels_fast.c - packed panels of bytes, and their products with what lies channels last, for AVX-512 VNNI.
 *
 *   y = sum of u s - zx * sum of s - zs * (sum of u - depth * zx)      u: x as unsigned bytes, s: signed filters, zx and zs their zeros
 *
 * A unit is some rows, which are positions, with some panels. Convolution by points reads rows as they lie in x; for others what a
 * filter meets at a position is copied together, a run of its taps at a time. Sums stay in registers over all terms, and are finished
 * a tile at a time.
 */
#include <string.h>

#include "base/number.h"
#include "cpu/bytes_finish.h"
#include "cpu/conv_places.h"
#include "cpu/cpu.h"
#include "cpu/simd.h"
#include "device/variants.h"
#include "quantize/conv_panels.h"
#include "quantize/pack_panels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* pack_panels -------------------------------------------------------------------------------------------- */

static uint32_t byte_of(const void *x, bool bytes, size_t at)
{
    return bytes ? ((const uint8_t *)x)[at] : ((const uint32_t *)x)[at] & 0xff;
}

static void pack_panel(const struct kiln_params_pack_panels *p, const void *x, bool bytes, size_t first,
                       uint32_t *y)
{
    const size_t columns = p->columns - first < KILN_PANEL ? p->columns - first : KILN_PANEL;
    uint32_t *sums = y + (size_t)p->quads * KILN_PANEL;
    memset(y, 0, ((size_t)p->quads + 1) * KILN_PANEL * sizeof *y);
    for (size_t k = 0, tap = 0, channel = 0; k < p->depth; k++) {
        const size_t at = first * p->x_column + tap * p->x_tap + channel * p->x_channel;
        uint32_t *to = y + k / 4 * KILN_PANEL;
        for (size_t c = 0; c < columns; c++) {
            const uint32_t byte = byte_of(x, bytes, at + c * p->x_column) ^ p->flip;
            to[c] |= byte << 8 * (k % 4);
            sums[c] += (uint32_t)(int8_t)byte;
        }
        if (++channel == p->channels) {
            channel = 0;
            tap++;
        }
    }
}

static void pack_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_pack_panels *p = (const struct kiln_params_pack_panels *)d->block.words;
    for (size_t panel = first; panel < first + count; panel++)
        pack_panel(p, m->at[0], d->bytes & 1, panel * KILN_PANEL,
                   (uint32_t *)m->at[1] + panel * (p->quads + 1) * KILN_PANEL);
}

const kiln_variant kiln_cpu_pack_panels_plain = {.name = "plain", .run = pack_run, .bytes = true};

/* Tiles -------------------------------------------------------------------------------------------------- */

enum {
    TILE = 12,        /* rows whose sums fit into registers, of two vectors each */
    LANES = 16,       /* sums of a vector */
    ROWS = 96,        /* of a unit, at the most */
    PANELS = 4,       /* of a unit, at the most */
    ROOM = 256 << 10, /* bytes that its rows take together, unless they are few */
};

/* c[i][j] = first[j] + sum over k of the dot product of row i's bytes 4 k .. with word j of b's row k; c's rows are KILN_FINISH_MOST
 * apart. */
typedef void tile_fn(size_t quads, const uint8_t *a, size_t a_row, const int32_t *b, const int32_t *first,
                     int32_t *c);

#if defined(__x86_64__)
#define DOT(sum, a, b) \
    ((vec)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(a), (__m512i)(b))) /* unsigned, signed */
#define EACH_ROW _Pragma("GCC unroll 12") for (int i = 0; i < rows; i++)

typedef int32_t vec __attribute__((vector_size(4 * LANES)));
typedef int32_t loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in memory */

static inline __attribute__((always_inline)) KILN_TARGET_VNNI void tile(int rows, size_t quads,
                                                                        const uint8_t *a, size_t a_row,
                                                                        const int32_t *b,
                                                                        const int32_t *first, int32_t *c)
{
    vec sum[TILE][2];
    EACH_ROW {
        sum[i][0] = *(const loose *)first;
        sum[i][1] = *(const loose *)(first + LANES);
    }
    for (size_t k = 0; k < quads; k++, a += 4, b += KILN_PANEL) {
        const vec left = *(const loose *)b, right = *(const loose *)(b + LANES);
        EACH_ROW {
            int32_t word;
            memcpy(&word, a + (size_t)i * a_row, sizeof word);
            const vec row = (vec){0} + word;
            sum[i][0] = DOT(sum[i][0], row, left);
            sum[i][1] = DOT(sum[i][1], row, right);
        }
    }
    EACH_ROW {
        *(loose *)(c + i * KILN_FINISH_MOST) = sum[i][0];
        *(loose *)(c + i * KILN_FINISH_MOST + LANES) = sum[i][1];
    }
}

#define EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define DEFINE(n)                                                                                         \
    static KILN_TARGET_VNNI void tile_##n(size_t quads, const uint8_t *a, size_t a_row, const int32_t *b, \
                                          const int32_t *first, int32_t *c)                               \
    {                                                                                                     \
        tile(n, quads, a, a_row, b, first, c);                                                            \
    }
EACH(DEFINE)
#undef DEFINE
#define NAME(n) [n] = tile_##n,
static tile_fn *const tiles[TILE + 1] = {EACH(NAME)};
#undef NAME
#undef EACH
#undef EACH_ROW
#undef DOT
#else
static tile_fn *const tiles[TILE + 1] = {NULL}; /* never called: no processor but these has VNNI */
#endif

/* Rows --------------------------------------------------------------------------------------------------- */

static const struct kiln_params_conv_panels *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_panels *)d->block.words;
}

static size_t positions_of(const struct kiln_params_conv_panels *p)
{
    return (size_t)p->images * p->oh * p->ow;
}

static size_t depth_of(const struct kiln_params_conv_panels *p)
{
    return (size_t)p->channels * p->u * p->v;
}

/* Whether rows of terms are x's own, as they lie: unsigned bytes, in whole words. */
static bool reads_x(const kiln_dispatch *d)
{
    const struct kiln_params_conv_panels *p = block_of(d);
    return d->natural & 1 && p->u == 1 && p->v == 1 && p->stride_i == 1 && p->stride_j == 1 &&
           p->oh == p->h && p->ow == p->w && p->pad_i == 0 && p->pad_j == 0 && p->channels % 4 == 0;
}

/* Rows of a unit, about alike in all of them. */
static size_t rows_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv_panels *p = block_of(d);
    const size_t room = reads_x(d) ? ROWS : ROOM / (4 * (size_t)p->quads), positions = positions_of(p);
    const size_t most = room > ROWS ? ROWS : room < TILE ? TILE : room;
    return kiln_parts(positions, kiln_parts(positions, most));
}

/* Neighbouring bytes, which are often few: pieces of sizes that are known, of which the last two may overlap. */
static inline void copy(uint8_t *restrict to, const uint8_t *restrict from, size_t count)
{
    if (count < 4 || count > 256) {
        memcpy(to, from, count);
    } else if (count < 8) {
        memcpy(to, from, 4);
        memcpy(to + count - 4, from + count - 4, 4);
    } else if (count < 16) {
        memcpy(to, from, 8);
        memcpy(to + count - 8, from + count - 8, 8);
    } else if (count <= 32) {
        memcpy(to, from, 16);
        memcpy(to + count - 16, from + count - 16, 16);
    } else {
        size_t i = 0;
        for (; i + 32 < count; i += 32)
            memcpy(to + i, from + i, 32);
        memcpy(to + count - 32, from + count - 32, 32);
    }
}

/* Taps of a filter side by side, of which the first meets column j of a row of x; outside it is `fill`. */
static inline void copy_taps(const struct kiln_params_conv_panels *p, const uint8_t *row, ptrdiff_t j,
                             size_t taps, uint8_t fill, uint8_t *to)
{
    const size_t size = p->channels, before = j >= 0 ? 0 : kiln_least((size_t)-j, taps);
    const ptrdiff_t left = (ptrdiff_t)p->w - j;
    const size_t end = left <= (ptrdiff_t)before ? before : kiln_least((size_t)left, taps);
    if (before)
        memset(to, fill, before * size);
    if (end > before)
        copy(to + before * size, row + (j + (ptrdiff_t)before) * (ptrdiff_t)size, (end - before) * size);
    if (end < taps)
        memset(to + end * size, fill, (taps - end) * size);
}

/* The terms of a position: what its filter meets, and zeros up to a whole word. */
static void gather(const struct kiln_params_conv_panels *p, const uint8_t *x,
                   const struct kiln_conv_place *at, uint8_t fill, uint8_t *to)
{
    const size_t row = (size_t)p->w * p->channels, taps = p->dilation_j == 1 ? p->v : 1,
                 rest = 4 * (size_t)p->quads - depth_of(p);
    const ptrdiff_t i0 = (ptrdiff_t)(at->i * p->stride_i) - p->pad_i,
                    j0 = (ptrdiff_t)(at->j * p->stride_j) - p->pad_j;
    const bool whole = taps == p->v && i0 >= 0 && j0 >= 0 && j0 + (ptrdiff_t)p->v <= (ptrdiff_t)p->w &&
                       i0 + (ptrdiff_t)((p->u - 1) * p->dilation_i) < (ptrdiff_t)p->h;
    for (size_t u = 0; u < p->u && whole; u++, to += taps * p->channels)
        copy(to, x + (at->image * p->h + (size_t)i0 + u * p->dilation_i) * row + (size_t)j0 * p->channels,
             taps * p->channels);
    for (size_t u = 0; u < p->u && !whole; u++) {
        const ptrdiff_t i = i0 + (ptrdiff_t)(u * p->dilation_i);
        const bool inside = i >= 0 && i < (ptrdiff_t)p->h;
        const uint8_t *from = x + (at->image * p->h + (inside ? (size_t)i : 0)) * row;
        for (size_t v = 0; v < p->v; v += taps, to += taps * p->channels)
            if (inside)
                copy_taps(p, from, j0 + (ptrdiff_t)(v * p->dilation_j), taps, fill, to);
            else
                memset(to, fill, taps * p->channels);
    }
    for (size_t k = 0; k < rest; k++) /* three at the most */
        to[k] = 0;
}

/* Signed numbers become unsigned ones, 128 more. */
static void lift(uint8_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] ^= 128;
}

/* Units -------------------------------------------------------------------------------------------------- */

/* What is the same for all units of a dispatch. */
struct job {
    const struct kiln_params_conv_panels *p;
    const kiln_memory *m;
    bool natural, reads_x;
    int32_t zx; /* of x as unsigned bytes */
    struct kiln_bytes_finish finish;
};

/* Rows of terms. */
struct rows {
    const uint8_t *at;
    size_t step, first, count;
};

static struct rows rows_at(const struct job *job, size_t first, size_t count)
{
    const struct kiln_params_conv_panels *p = job->p;
    const size_t row = job->reads_x ? p->channels : 4 * (size_t)p->quads;
    const uint8_t *x = job->m->at[0];
    uint8_t *to = job->m->scratch;
    if (job->reads_x)
        return (struct rows){x + first * row, row, first, count};
    struct kiln_conv_place at = kiln_conv_place_of(first, p->oh, p->ow);
    for (size_t i = 0; i < count; i++, kiln_conv_place_step(&at, p->oh, p->ow))
        gather(p, x, &at, (uint8_t)(job->natural ? job->zx : job->zx - 128), to + i * row);
    if (!job->natural)
        lift(to, count * row);
    return (struct rows){to, row, first, count};
}

/* The zero point of a filter's signed bytes. */
static int32_t zero_of(const struct job *job, size_t filter)
{
    const int32_t *at = job->m->at[3];
    return (at ? at[filter * job->p->w_step] : 0) - (int32_t)job->p->w_flip;
}

static bool has_zeros(const struct job *job, size_t filter, size_t count)
{
    for (size_t c = 0; c < count; c++)
        if (zero_of(job, filter + c))
            return true;
    return false;
}

/* What the filters' zero points take off a tile's sums. */
static void take_off(const struct job *job, const uint8_t *a, size_t a_row, size_t rows, size_t filter,
                     size_t count, int32_t (*sum)[KILN_FINISH_MOST])
{
    const size_t depth = depth_of(job->p);
    for (size_t i = 0; i < rows; i++) {
        uint32_t of_row = 0;
        for (size_t k = 0; k < depth; k++)
            of_row += a[i * a_row + k];
        of_row -= (uint32_t)depth * (uint32_t)job->zx;
        for (size_t c = 0; c < count; c++)
            sum[i][c] = (int32_t)((uint32_t)sum[i][c] - of_row * (uint32_t)zero_of(job, filter + c));
    }
}

/* The rows' results of one panel. */
static void run_panel(struct job *job, const struct rows *rows, size_t panel)
{
    const struct kiln_params_conv_panels *p = job->p;
    const size_t filter = panel * KILN_PANEL, columns = kiln_least(KILN_PANEL, p->filters - filter),
                 tall = kiln_parts(rows->count, kiln_parts(rows->count, TILE));
    const int32_t *b = (const int32_t *)job->m->at[1] + panel * (p->quads + 1) * KILN_PANEL,
                  *b_sum = b + (size_t)p->quads * KILN_PANEL;
    const bool zeros = has_zeros(job, filter, columns);
    _Alignas(64) int32_t first[KILN_PANEL], sum[ROWS][KILN_FINISH_MOST];
    _Static_assert(KILN_PANEL == 2 * LANES && KILN_PANEL <= KILN_FINISH_MOST, "a tile is a panel wide");
    for (size_t c = 0; c < KILN_PANEL; c++)
        first[c] = (int32_t)(0 - (uint32_t)job->zx * (uint32_t)b_sum[c]);
    for (size_t i = 0; i < rows->count; i += tall) {
        const size_t count = kiln_least(tall, rows->count - i);
        const uint8_t *a = rows->at + i * rows->step;
        tiles[count](p->quads, a, rows->step, b, first, sum[i]);
        if (zeros)
            take_off(job, a, rows->step, count, filter, columns, sum + i);
    }
    kiln_bytes_finish_store(&job->finish, job->m->at[4], rows->first * p->filters + filter, p->filters,
                            sum[0], rows->count, filter, columns);
}

static size_t panels_of(const struct kiln_params_conv_panels *p)
{
    return kiln_parts(p->filters, KILN_PANEL);
}

static uint64_t units(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (uint64_t)kiln_parts(positions_of(block_of(d)), rows_of(d)) *
           kiln_parts(panels_of(block_of(d)), PANELS);
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_params_conv_panels *p = block_of(d);
    const size_t rows = rows_of(d), panels = panels_of(p), across = kiln_parts(panels, PANELS);
    const bool natural = d->natural & 1;
    struct job job = {.p = p,
                      .m = m,
                      .natural = natural,
                      .reads_x = reads_x(d),
                      .zx = (m->at[2] ? *(const int32_t *)m->at[2] : 0) + (natural ? 0 : 128)};
    kiln_bytes_finish_init(&job.finish, d, m, false);
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t row = unit / across * rows, panel = unit % across * PANELS;
        const struct rows at = rows_at(&job, row, kiln_least(rows, positions_of(p) - row));
        for (size_t i = panel; i < kiln_least(panel + PANELS, panels); i++)
            run_panel(&job, &at, i);
    }
}

static bool accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->bytes & 1 && kiln_cpu_detect()->vnni;
}

static uint64_t scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return reads_x(d) ? 0 : (uint64_t)rows_of(d) * 4 * block_of(d)->quads;
}

const kiln_variant kiln_cpu_conv_panels_tiles = {
    .name = "tiles", .accepts = accepts, .groups = units, .scratch = scratch, .run = run, .bytes = true};
