/*
 * quantize_conv_fast.c - convolution of packed bytes, fast: the words that a block of positions meets are gathered into columns, as
 * im2col does, some at a time, and multiplied with the filters' by bytes.h. Positions side by side meet words side by side.
 */
#include <string.h>

#include "base/number.h"
#include "cpu/bytes.h"
#include "cpu/bytes_finish.h"
#include "cpu/simd.h"
#include "device/variants.h"
#include "quantize/conv_bytes.h"

#define ROWS    KILN_BYTES_ROWS
#define COLUMNS KILN_BYTES_COLUMNS
#define QUADS   KILN_BYTES_QUADS

static const struct kiln_params_conv_bytes *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_bytes *)d->block.words;
}

static size_t volume_of(const struct kiln_params_conv_bytes *p)
{
    return (size_t)p->od * p->oh * p->ow;
}

static size_t filter_of(const struct kiln_params_conv_bytes *p)
{
    return (size_t)p->quads * p->t * p->u * p->v;
}

/* A unit: some filters of a group at some positions, which count through all images. */
static uint64_t units(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_conv_bytes *p = block_of(d);
    return (uint64_t)p->groups * kiln_parts(p->filters, ROWS) * kiln_parts(p->images * volume_of(p), COLUMNS);
}

/* Where a position's filter begins: its image's first quad of the group, and places along the axes. */
struct corner {
    size_t x; /* word of x */
    int32_t a, i, j;
};

/* Neighbouring columns whose words lie `step` apart, or outside of x. */
struct run {
    size_t first, count, at, step;
    bool inside;
};

/* Those at one tap of the filter. */
struct runs {
    struct run run[COLUMNS];
    size_t count;
};

enum { KEPT = 9 }; /* taps whose runs are found once a unit */

/* A unit at work. */
struct unit {
    const struct kiln_params_conv_bytes *p;
    const uint32_t *x;
    struct corner corner[COLUMNS];
    struct runs runs[KEPT]; /* of tap i, if there are no more; else of the one at hand in the first */
    struct kiln_bytes_block block;
};

/* Those of neighbouring positions; the last axis steps on, those before it when it has been through. */
static void find_corners(struct unit *u, size_t group, size_t position)
{
    const struct kiln_params_conv_bytes *p = u->p;
    const size_t volume = volume_of(p), plane = (size_t)p->d * p->h * p->w;
    size_t image = position / volume, at = position % volume;
    size_t a = at / p->ow / p->oh, i = at / p->ow % p->oh, j = at % p->ow;
    for (size_t c = 0; c < u->block.columns; c++) {
        u->corner[c] = (struct corner){
            .x = image * p->x_image + group * p->quads * plane,
            .a = (int32_t)(a * p->stride_a) - p->pad_a,
            .i = (int32_t)(i * p->stride_i) - p->pad_i,
            .j = (int32_t)(j * p->stride_j) - p->pad_j,
        };
        if (++j < p->ow)
            continue;
        j = 0;
        if (++i < p->oh)
            continue;
        i = 0;
        if (++a == p->od) {
            a = 0;
            image++;
        }
    }
}

static size_t taps_of(const struct kiln_params_conv_bytes *p)
{
    return (size_t)p->t * p->u * p->v;
}

/* Where the columns meet x at a tap of the filter, as runs. */
static void find_runs(const struct unit *u, size_t tap, struct runs *to)
{
    const struct kiln_params_conv_bytes *p = u->p;
    const int32_t a_off = (int32_t)(tap / p->v / p->u * p->dilation_a);
    const int32_t i_off = (int32_t)(tap / p->v % p->u * p->dilation_i);
    const int32_t j_off = (int32_t)(tap % p->v * p->dilation_j);
    struct run *last = NULL;
    to->count = 0;
    for (size_t c = 0; c < u->block.columns; c++) {
        const struct corner *corner = &u->corner[c];
        const uint32_t a = (uint32_t)(corner->a + a_off), i = (uint32_t)(corner->i + i_off),
                       j = (uint32_t)(corner->j + j_off);
        const bool inside = a < p->d && i < p->h && j < p->w;
        const size_t at = inside ? corner->x + ((size_t)a * p->h + i) * p->w + j : 0;
        if (last && last->inside == inside && (!inside || at == last->at + last->count * last->step)) {
            last->count++;
            continue;
        }
        last = &to->run[to->count++];
        *last = (struct run){.first = c, .count = 1, .at = at, .step = p->stride_j, .inside = inside};
    }
}

/* Four channels of the padding: the zero point where there is a channel. */
static int32_t padding(const struct kiln_params_conv_bytes *p, size_t quad, int32_t zero)
{
    const size_t left = p->depth - 4 * quad;
    return (int32_t)(((uint32_t)zero & 0xff) * UINT32_C(0x01010101) &
                     (left < 4 ? (UINT32_C(1) << 8 * left) - 1 : UINT32_MAX));
}

/* By vectors of sizes that are known, of which the last two may overlap: runs are short. */
static inline void copy_run(int32_t *to, const uint32_t *from, size_t count)
{
    if (count >= 16) {
        for (size_t c = 0; c + 16 < count; c += 16)
            memcpy(to + c, from + c, 16 * sizeof *to);
        memcpy(to + count - 16, from + count - 16, 16 * sizeof *to);
    } else if (count >= 8) {
        memcpy(to, from, 8 * sizeof *to);
        memcpy(to + count - 8, from + count - 8, 8 * sizeof *to);
    } else if (count >= 4) {
        memcpy(to, from, 4 * sizeof *to);
        memcpy(to + count - 4, from + count - 4, 4 * sizeof *to);
    } else {
        for (size_t c = 0; c < count; c++)
            memcpy(to + c, from + c, sizeof *to);
    }
}

/* Every second word: by vectors, which read a word more than they take where another follows. */
static inline void copy_second(int32_t *to, const uint32_t *from, size_t count)
{
    size_t c = 0;
    for (; c + 4 < count; c += 4) {
        const kiln_four words = kiln_four_even((const float *)(const void *)(from + 2 * c));
        memcpy(to + c, &words, sizeof words);
    }
    for (; c < count; c++)
        memcpy(to + c, from + 2 * c, sizeof *to);
}

/* A row of the block: the words that the columns meet at one tap and quad. */
static void gather_row(const struct unit *u, const struct runs *runs, size_t quad, int32_t *to)
{
    const struct kiln_params_conv_bytes *p = u->p;
    const uint32_t *x = u->x + quad * p->d * p->h * p->w;
    const int32_t outside = padding(p, quad, u->block.zb[0]);
    for (const struct run *r = runs->run; r < runs->run + runs->count; r++) {
        if (r->inside && r->step == 1)
            copy_run(to + r->first, x + r->at, r->count);
        else if (r->inside && r->step == 2)
            copy_second(to + r->first, x + r->at, r->count);
        else if (r->inside)
            for (size_t c = 0; c < r->count; c++)
                to[r->first + c] = (int32_t)x[r->at + c * r->step];
        else
            for (size_t c = 0; c < r->count; c++)
                to[r->first + c] = outside;
    }
}

/* Words [first, first + count) of a filter: those of a quad are its taps. */
static void gather(struct unit *u, size_t first, size_t count)
{
    const size_t taps = taps_of(u->p);
    for (size_t tap = 0; tap < taps; tap++) {
        const size_t skipped = (tap + taps - first % taps) % taps;
        if (skipped >= count)
            continue;
        struct runs *runs = &u->runs[taps <= KEPT ? tap : 0];
        if (taps > KEPT)
            find_runs(u, tap, runs);
        for (size_t k = skipped; k < count; k += taps)
            gather_row(u, runs, (first + k) / taps, u->block.b[k]);
    }
}

/* Columns of neighbouring images, whose results lie apart. */
static void store(const struct kiln_params_conv_bytes *p, struct kiln_bytes_block *t,
                  struct kiln_bytes_finish *finish, void *y, size_t filter, size_t position)
{
    const size_t volume = volume_of(p);
    _Static_assert(COLUMNS == KILN_FINISH_MOST, "rows are finished at once");
    kiln_bytes_end(t, p->depth * taps_of(p));
    for (size_t j = 0; j < t->columns;) {
        const size_t image = (position + j) / volume, at = (position + j) % volume;
        const size_t count = kiln_least(volume - at, t->columns - j);
        kiln_bytes_finish_store(finish, y, image * p->y_image + filter * volume + at, volume, &t->sum[0][j],
                                t->rows, filter, count);
        j += count;
    }
}

static void run_unit(const struct kiln_params_conv_bytes *p, const kiln_memory *m,
                     const struct kiln_bytes_tiles *tiles, struct kiln_bytes_finish *finish, size_t unit)
{
    const size_t positions = p->images * volume_of(p), words = filter_of(p);
    const size_t across = kiln_parts(positions, COLUMNS), down = kiln_parts(p->filters, ROWS);
    const size_t position = unit % across * COLUMNS, row = unit / across % down * ROWS,
                 group = unit / across / down, filter = group * p->filters + row;
    const uint32_t *w = (const uint32_t *)m->at[1] + filter * words;
    struct unit u; /* large: only what is needed is set */
    u.p = p;
    u.x = m->at[0];
    kiln_bytes_begin(&u.block, tiles, kiln_least(ROWS, p->filters - row),
                     kiln_least(COLUMNS, positions - position),
                     kiln_bytes_zeros_from(m->at[3], filter, p->w_step, p->w_flip),
                     kiln_bytes_zeros_from(m->at[2], 0, 0, p->x_flip));
    find_corners(&u, group, position);
    for (size_t tap = 0; taps_of(p) <= KEPT && tap < taps_of(p); tap++)
        find_runs(&u, tap, &u.runs[tap]);
    for (size_t k = 0; k < words; k += QUADS) {
        gather(&u, k, kiln_least(QUADS, words - k));
        kiln_bytes_add(&u.block, w + k, words, kiln_least(QUADS, words - k));
    }
    store(p, &u.block, finish, m->at[4], filter, position);
}

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct kiln_bytes_tiles *tiles = kiln_bytes_tiles_get();
    struct kiln_bytes_finish finish;
    kiln_bytes_finish_init(&finish, d, m, true);
    for (size_t unit = first; unit < first + count; unit++)
        run_unit(block_of(d), m, tiles, &finish, unit);
}

const kiln_variant kiln_cpu_conv_bytes_tiles = {.name = "tiles", .groups = units, .run = run, .bytes = true};
