/*
 * conv_winograd_grad.c - conv_grad_winograd on a CPU.
 *
 * A unit of work is a split, a block of filters and a block of channels. It goes through its images, or bands of their rows of tiles,
 * as many at a time as fit into the second cache. Of y and x eight planes at a time are laid side by side, so that a tile's elements are
 * vectors of filters or channels, and transformed to
 *
 *   f[k, tile, o] = (A y A^T)[k]        c[k, tile, c] = (B^T x B)[k]
 *
 * for each of the 36 places k; the tiles of tile.h then add to sum[k, o, c] the products over all tiles. What the transform of the
 * sums gives is stored once, at the end.
 */
#include <string.h>

#include "base/number.h"
#include "conv/conv_grad_winograd.h"
#include "cpu/conv_winograd.h"
#include "cpu/tile.h"
#include "device/caps.h"
#include "device/variants.h"

#define TAPS     3
#define CHANNELS KILN_TILE_COLUMNS /* of a unit */
#define FILTERS  48                /* of a unit, at most */
#define ROOM     131072            /* floats of both transformed operands, about */

struct work {
    const struct kiln_params_conv_grad_winograd *p;
    size_t across, down; /* tiles of an image */
    size_t images, band; /* at a time: images, rows of tiles of each */
    size_t tiles;        /* at a time, at most */
    size_t filters;      /* of a unit: a multiple of LANES */
    size_t splits, filter_parts, channel_parts;
    size_t f_place, c_place; /* floats from one of the 36 places to the next */
};

static struct work work_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv_grad_winograd *p =
        (const struct kiln_params_conv_grad_winograd *)d->block.words;
    struct work w = {
        .p = p,
        .across = kiln_parts(p->ow, OUT),
        .down = kiln_parts(p->oh, OUT),
        .splits = kiln_parts(p->images, p->per_split),
        .filter_parts = kiln_parts(p->filters, FILTERS),
        .channel_parts = kiln_parts(p->channels, CHANNELS),
    };
    w.filters = kiln_round_up(kiln_parts(p->filters, w.filter_parts), LANES);
    const size_t most = ROOM / (PLACES * (w.filters + CHANNELS)), image = w.across * w.down;
    w.band = image <= most ? w.down : most > w.across ? most / w.across : 1;
    w.images = image <= most ? most / image : 1;
    w.images = w.images < p->per_split ? w.images : p->per_split;
    w.tiles = w.images * w.band * w.across;
    /* A line more than a power of two: places would else share a few sets of the caches. */
    w.f_place = w.tiles * w.filters + 16;
    w.c_place = w.tiles * CHANNELS + 16;
    return w;
}

/* Scratch of a worker: transformed operands, sums, and eight planes side by side. */
struct room {
    float *f, *c, *sum, *planes;
};

static size_t sums_of(const struct work *w)
{
    return PLACES * w->filters * CHANNELS;
}

static size_t room_size(const struct work *w)
{
    const size_t planes = (w->band * OUT + IN - OUT) * (w->across * OUT + IN - OUT) * LANES;
    return kiln_round_up(PLACES * (w->f_place + w->c_place) + sums_of(w) + planes, 16);
}

static struct room room_of(const struct work *w, const kiln_memory *m)
{
    float *f = m->scratch;
    float *c = f + PLACES * w->f_place, *sum = c + PLACES * w->c_place;
    return (struct room){f, c, sum, sum + sums_of(w)};
}

struct unit {
    size_t image, end;      /* of the split */
    size_t filter, filters; /* the first one, how many */
    size_t channel, channels;
    size_t split;
};

static struct unit unit_of(const struct work *w, size_t index)
{
    const size_t channel = index % w->channel_parts * CHANNELS;
    const size_t filter = index / w->channel_parts % w->filter_parts * w->filters;
    const size_t split = index / w->channel_parts / w->filter_parts, image = split * w->p->per_split;
    return (struct unit){
        .image = image,
        .end = image + w->p->per_split < w->p->images ? image + w->p->per_split : w->p->images,
        .filter = filter,
        .filters = w->p->filters - filter < w->filters ? w->p->filters - filter : w->filters,
        .channel = channel,
        .channels = w->p->channels - channel < CHANNELS ? w->p->channels - channel : CHANNELS,
        .split = split,
    };
}

/* Eight planes side by side ------------------------------------------------------------------------------ */

/* A part of a plane, zeros where it lies outside. */
struct part {
    ptrdiff_t height, width; /* of the plane */
    ptrdiff_t row, column;   /* of its first element */
    size_t rows, columns;
};

KILN_INLINE void interleave_row(float *to, const float *const row[LANES], const struct part *p)
{
    const ptrdiff_t all = (ptrdiff_t)p->columns, before = -p->column, after = p->width - p->column;
    const ptrdiff_t begin = before < 0     ? 0
                            : before < all ? before
                                           : all,
                    end = after < begin ? begin
                          : after < all ? after
                                        : all;
    memset(to, 0, (size_t)begin * LANES * sizeof *to);
    ptrdiff_t i = begin;
    for (; i + 4 <= end; i += 4)
        for (size_t half = 0; half < LANES; half += 4) {
            kiln_four four[4];
            for (size_t k = 0; k < 4; k++)
                four[k] = kiln_four_load(row[half + k] + p->column + i);
            kiln_four_transpose(four);
            for (ptrdiff_t k = 0; k < 4; k++)
                kiln_four_store(to + (i + k) * LANES + half, four[k]);
        }
    for (; i < end; i++)
        for (size_t k = 0; k < LANES; k++)
            to[i * LANES + (ptrdiff_t)k] = row[k][p->column + i];
    memset(to + end * LANES, 0, (size_t)(all - end) * LANES * sizeof *to);
}

/* `count` planes, at most eight; in place of those that are missing stands the last one, whose results nobody reads. */
KILN_INLINE void interleave(float *to, const float *planes, size_t count, const struct part *p)
{
    for (size_t r = 0; r < p->rows; r++, to += p->columns * LANES) {
        const ptrdiff_t at = p->row + (ptrdiff_t)r;
        const float *row[LANES];
        if (at < 0 || at >= p->height) {
            memset(to, 0, p->columns * LANES * sizeof *to);
            continue;
        }
        for (size_t k = 0; k < LANES; k++)
            row[k] = planes + ((ptrdiff_t)(k < count ? k : count - 1) * p->height + at) * p->width;
        interleave_row(to, row, p);
    }
}

/* Transforms --------------------------------------------------------------------------------------------- */

/* to = A y for four vectors, where to lies `step` apart. */
KILN_INLINE void transform_y(lanes *to, size_t step, const lanes y[OUT])
{
    const lanes even = y[0] + y[2], odd = y[1] + y[3], wide = y[0] + 4 * y[2], far = 2 * y[1] + 8 * y[3];
    to[0] = y[0];
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = wide + far;
    to[4 * step] = wide - far;
    to[5 * step] = y[3];
}

/* to = G^T s for six vectors, where to lies `step` apart. */
KILN_INLINE void transform_back(lanes *to, size_t step, const lanes s[IN])
{
    const lanes plus = s[1] + s[2], minus = s[2] - s[1], wide = s[3] + s[4], apart = s[3] - s[4];
    to[0] = s[0] * (1 / 4.0f) - plus * (1 / 6.0f) + wide * (1 / 24.0f);
    to[step] = minus * (1 / 6.0f) + apart * (1 / 12.0f);
    to[2 * step] = (wide - plus) * (1 / 6.0f) + s[5];
}

/* A tile of y, rows `row` floats apart, to f, whose places lie `place` apart. */
KILN_INLINE void transform_y_tile(float *f, size_t place, const float *y, size_t row)
{
    lanes half[IN * OUT], d[IN];
    for (size_t j = 0; j < OUT; j++) {
        for (size_t i = 0; i < OUT; i++)
            d[i] = LOAD(y + i * row + j * LANES);
        transform_y(half + j, OUT, d);
    }
    for (size_t i = 0; i < IN; i++, f += IN * place) {
        transform_y(d, 1, half + i * OUT);
        EACH_IN(j)
            STORE(f + j * place, d[j]);
    }
}

KILN_INLINE void transform_x_tile(float *c, size_t place, const float *x, size_t row)
{
    lanes half[IN * IN], d[IN];
    for (size_t j = 0; j < IN; j++) {
        EACH_IN(i)
            d[i] = LOAD(x + i * row + j * LANES);
        transform_in(half + j, IN, d);
    }
    for (size_t i = 0; i < IN; i++, c += IN * place) {
        transform_in(d, 1, half + i * IN);
        EACH_IN(j)
            STORE(c + j * place, d[j]);
    }
}

/* Rows of tiles of one image: tiles go to place `tile` and on. */
KILN_INLINE void transform_image_body(const struct work *w, const struct room *room, const struct unit *u,
                                      const float *y, const float *x, size_t first, size_t rows, size_t tile)
{
    const struct kiln_params_conv_grad_winograd *p = w->p;
    const size_t y_area = (size_t)p->oh * p->ow, x_area = (size_t)p->h * p->w;
    const struct part y_part = {p->oh, p->ow, (ptrdiff_t)(first * OUT), 0, rows * OUT, w->across * OUT};
    const struct part x_part = {p->h,
                                p->w,
                                (ptrdiff_t)(first * OUT) - p->pad_i,
                                -p->pad_j,
                                rows * OUT + IN - OUT,
                                w->across * OUT + IN - OUT};
    for (size_t o = 0; o < u->filters; o += LANES) {
        interleave(room->planes, y + (u->filter + o) * y_area,
                   u->filters - o < LANES ? u->filters - o : LANES, &y_part);
        for (size_t t = 0; t < rows * w->across; t++)
            transform_y_tile(room->f + (tile + t) * w->filters + o, w->f_place,
                             room->planes + (t / w->across * y_part.columns + t % w->across) * OUT * LANES,
                             y_part.columns * LANES);
    }
    for (size_t c = 0; c < u->channels; c += LANES) {
        interleave(room->planes, x + (u->channel + c) * x_area,
                   u->channels - c < LANES ? u->channels - c : LANES, &x_part);
        for (size_t t = 0; t < rows * w->across; t++)
            transform_x_tile(room->c + (tile + t) * CHANNELS + c, w->c_place,
                             room->planes + (t / w->across * x_part.columns + t % w->across) * OUT * LANES,
                             x_part.columns * LANES);
    }
}

static void transform_image(const struct work *w, const struct room *room, const struct unit *u,
                            const float *y, const float *x, size_t first, size_t rows, size_t tile);
KILN_CLONES(transform_image,
            (const struct work *w, const struct room *room, const struct unit *u, const float *y,
             const float *x, size_t first, size_t rows, size_t tile),
            (w, room, u, y, x, first, rows, tile))

/* Products ----------------------------------------------------------------------------------------------- */

/* Add the products over `tiles` tiles to the sums. */
static void add_products(const struct work *w, const struct kiln_tiles *tiles, const struct room *room,
                         const struct unit *u, size_t count)
{
    const size_t high = kiln_parts(u->filters, kiln_parts(u->filters, (size_t)tiles->rows));
    for (size_t c = 0; c < u->channels; c += (size_t)tiles->columns) {
        tiles = kiln_tiles_across(tiles, u->channels - c);
        for (size_t k = 0; k < PLACES; k++)
            for (size_t o = 0; o < u->filters; o += high)
                tiles->packed[u->filters - o < high ? u->filters - o : high](
                    count, room->f + k * w->f_place + o, w->filters, room->c + k * w->c_place + c, CHANNELS,
                    room->sum + (k * w->filters + o) * CHANNELS + c, CHANNELS, true);
    }
}

/* The gradient from the sums; w begins at the unit's first filter and channel. */
KILN_INLINE void write_sums_body(const struct work *t, const struct room *room, const struct unit *u,
                                 float *w)
{
    const size_t place = t->filters * CHANNELS;
    for (size_t o = 0; o < u->filters; o++, w += t->p->channels * TAPS * TAPS)
        for (size_t c = 0; c < u->channels; c += LANES) {
            const size_t count = u->channels - c < LANES ? u->channels - c : LANES;
            lanes half[TAPS * IN], d[IN], taps[TAPS * TAPS];
            for (size_t j = 0; j < IN; j++) {
                EACH_IN(i)
                    d[i] = LOAD(room->sum + (i * IN + j) * place + o * CHANNELS + c);
                transform_back(half + j, IN, d);
            }
            for (size_t i = 0; i < TAPS; i++)
                transform_back(taps + i * TAPS, 1, half + i * IN);
            for (size_t k = 0; k < count; k++)
                for (size_t i = 0; i < TAPS * TAPS; i++)
                    w[(c + k) * TAPS * TAPS + i] = taps[i][k];
        }
}

static void write_sums(const struct work *t, const struct room *room, const struct unit *u, float *w);
KILN_CLONES(write_sums, (const struct work *t, const struct room *room, const struct unit *u, float *w),
            (t, room, u, w))

/* The variant -------------------------------------------------------------------------------------------- */

static void run_unit(const struct work *w, const struct room *room, const struct unit *u,
                     const kiln_memory *m)
{
    const struct kiln_params_conv_grad_winograd *p = w->p;
    const size_t y_image = (size_t)p->filters * p->oh * p->ow, x_image = (size_t)p->channels * p->h * p->w;
    memset(room->sum, 0, sums_of(w) * sizeof *room->sum);
    for (size_t n = u->image; n < u->end; n += w->images)
        for (size_t first = 0; first < w->down; first += w->band) {
            const size_t rows = w->down - first < w->band ? w->down - first : w->band;
            size_t tiles = 0;
            for (size_t i = n; i < n + w->images && i < u->end; i++, tiles += rows * w->across)
                transform_image(w, room, u, (const float *)m->at[0] + i * y_image,
                                (const float *)m->at[1] + i * x_image, first, rows, tiles);
            add_products(w, kiln_tiles_get(), room, u, tiles);
        }
    write_sums(w, room, u,
               (float *)m->at[2] + u->split * p->part + (u->filter * p->channels + u->channel) * TAPS * TAPS);
}

static uint64_t blocks_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct work w = work_of(d);
    (void)caps;
    return (uint64_t)w.splits * w.filter_parts * w.channel_parts;
}

static uint64_t blocks_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct work w = work_of(d);
    return room_size(&w) * sizeof(float);
}

static void blocks_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct work w = work_of(d);
    const struct room room = room_of(&w, m);
    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&w, index);
        run_unit(&w, &room, &u, m);
    }
}

const kiln_variant kiln_cpu_conv_grad_winograd_blocks = {
    .name = "blocks",
    .groups = blocks_units,
    .scratch = blocks_scratch,
    .run = blocks_run,
};
