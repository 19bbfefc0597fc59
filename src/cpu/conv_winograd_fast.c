/*
 * conv_winograd_fast.c - conv_winograd on a CPU, and its filters.
 *
 * A unit of work is an image, or a few small ones, a band of rows of tiles and some blocks of filters. It transforms the band's tiles
 * of all channels once, eight tiles in a row at a time, to v [36, channels, tiles]; then place by place it makes the 36 products
 *
 *   s[k, tile, o] = sum over c of v[k, c, tile] * u[k, c, o]
 *
 * by the tiles of tile.h, of which v and u are read as they lie: v of a place stays in the second cache while all blocks of u go
 * by. At last it transforms what is there of a tile, eight filters at a time, and writes rows of four results.
 *
 * Rows of x fall apart into four phases, columns 0, 4, 8, ..., columns 1, 5, 9, ... and so on: column j of eight tiles in a row
 * is then a run of phase j % 4. What is read beyond a row's ends is masked, for zeros.
 */
#include <string.h>

#include "base/number.h"
#include "conv/conv_winograd.h"
#include "conv/conv_winograd_filters.h"
#include "cpu/conv_winograd.h"
#include "cpu/epilogue_fast.h"
#include "cpu/tile.h"
#include "device/caps.h"
#include "device/variants.h"

#define BLOCK KILN_WINOGRAD_BLOCK
#define ROOM  163840 /* floats of v and s, about: they stay in the second cache, */
#define TILES 24     /* unless filters would then be read for fewer tiles */
#define UNITS 8      /* at least, where each still has so many */
#define PART  4      /* blocks of filters: each unit transforms x anew */
#define SLAB  64     /* channels whose filters are transformed at once */
#define TAPS  9
#define AHEAD 4 /* channels whose filters are asked for */

struct work {
    const struct kiln_params_conv_winograd *p;
    size_t across, down;        /* tiles of an image */
    size_t band, bands;         /* rows of tiles of a unit; bands */
    size_t group, groups;       /* images of a unit, each in one band; groups */
    size_t tiles;               /* of a unit */
    size_t blocks, part, parts; /* blocks of filters; of a unit; parts */
    size_t v_place, s_place;    /* floats from one of the 36 places to the next */
    size_t u_place;             /* likewise of filters that are transformed on the way, */
    size_t slab;                /* so many channels at once; 0: they come transformed */
    size_t phase;               /* floats of one phase of a row */
};

/* How many images are a unit's: at most so many, and few enough for so many groups; 1 where an image has several bands. */
static size_t group_of(const struct work *w, size_t most, size_t groups)
{
    const size_t images = w->p->images;
    if (w->bands > 1 || images <= groups)
        return 1;
    groups = groups > kiln_parts(images, most) ? groups : kiln_parts(images, most);
    return kiln_parts(images, groups);
}

static struct work work_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv_winograd *p = (const struct kiln_params_conv_winograd *)d->block.words;
    struct work w = {
        .p = p,
        .across = kiln_parts(p->ow, OUT),
        .down = kiln_parts(p->oh, OUT),
        .blocks = kiln_parts(p->filters, BLOCK),
    };
    const size_t row = PLACES * (p->channels + w.blocks * BLOCK) * w.across,
                 least = kiln_parts(TILES, w.across);
    const size_t most = ROOM / row > least ? ROOM / row : least;
    w.bands = kiln_parts(w.down, most);
    w.band = kiln_parts(w.down, w.bands);
    w.bands = kiln_parts(w.down, w.band);
    const size_t most_parts = kiln_parts(w.blocks, PART);
    w.group = group_of(&w, most / w.down, kiln_parts(UNITS, most_parts));
    w.groups = kiln_parts(p->images, w.group);
    w.tiles = w.group * w.band * w.across;
    const size_t units = w.groups * w.bands, parts = kiln_parts(UNITS, units);
    w.part = kiln_parts(w.blocks, parts < most_parts ? parts : most_parts);
    w.parts = kiln_parts(w.blocks, w.part);
    /* A line more than a power of two: places would else share a few sets of the caches. */
    w.v_place = p->channels * w.tiles + 16;
    w.s_place = w.part * w.tiles * BLOCK + 16;
    w.slab = !p->taps ? 0 : kiln_parts(p->channels, kiln_parts(p->channels, SLAB));
    w.u_place = p->taps ? w.slab * BLOCK + 16 : 0;
    w.phase = kiln_round_up(w.across, LANES) + LANES;
    return w;
}

/* Scratch of a worker: v, s, the phases of a channel's rows, and which columns of a row are there. */
struct room {
    float *v, *s, *u, *x;
    int *mask;
};

static size_t rows_of(const struct work *w)
{
    return w->band * OUT + IN - OUT;
}

static size_t room_size(const struct work *w)
{
    return kiln_round_up(PLACES * (w->v_place + w->s_place + w->u_place) + (rows_of(w) + 1) * OUT * w->phase,
                         16);
}

static struct room room_of(const struct work *w, const kiln_memory *m)
{
    float *v = m->scratch;
    float *s = v + PLACES * w->v_place, *u = s + PLACES * w->s_place, *x = u + PLACES * w->u_place;
    return (struct room){v, s, u, x, (int *)(void *)(x + rows_of(w) * OUT * w->phase)};
}

struct unit {
    size_t image, images;
    size_t first, rows; /* rows of tiles */
    size_t tiles;       /* of an image */
    size_t block, end;  /* blocks of filters */
};

static struct unit unit_of(const struct work *w, size_t index)
{
    const size_t block = index % w->parts * w->part, first = index / w->parts % w->bands * w->band,
                 rows = w->down - first < w->band ? w->down - first : w->band,
                 image = index / w->parts / w->bands * w->group;
    return (struct unit){
        .image = image,
        .images = w->p->images - image < w->group ? w->p->images - image : w->group,
        .first = first,
        .rows = rows,
        .tiles = rows * w->across,
        .block = block,
        .end = block + w->part < w->blocks ? block + w->part : w->blocks,
    };
}

/* Input -------------------------------------------------------------------------------------------------- */

/* All ones for columns of x, from -pad_j on. */
static void make_mask(const struct work *w, int *mask)
{
    for (size_t j = 0; j < OUT * w->phase; j++) {
        const ptrdiff_t column = (ptrdiff_t)j - w->p->pad_j;
        mask[j] = column >= 0 && column < (ptrdiff_t)w->p->w ? -1 : 0;
    }
}

/* Four phases' next four columns: those from `from` on that lie in x, which has `size` floats, and under the mask. */
KILN_INLINE void copy_group(float *to, size_t phase, const float *x, ptrdiff_t size, ptrdiff_t from,
                            const int *mask)
{
    float some[4 * OUT] = {0};
    const float *at = x + from;
    if (from < 0 || from + 4 * OUT > size) {
        for (ptrdiff_t i = 0; i < 4 * OUT; i++)
            some[i] = mask[i] ? x[from + i] : 0;
        at = some;
    }
    kiln_four four[OUT];
    for (size_t i = 0; i < OUT; i++)
        four[i] = kiln_four_masked(at + 4 * i, mask + 4 * i);
    kiln_four_transpose(four);
    for (size_t i = 0; i < OUT; i++)
        kiln_four_store(to + i * phase, four[i]);
}

/* A row that begins at x[from] in phases, as far as tiles meet it; outside of the picture, zeros. */
KILN_INLINE void copy_row(const struct work *w, float *to, const float *x, ptrdiff_t size, ptrdiff_t from,
                          bool inside, const int *mask)
{
    const size_t count = kiln_round_up(w->across + 1, 4);
    if (!inside) {
        memset(to, 0, OUT * w->phase * sizeof *to);
        return;
    }
    for (size_t t = 0; t < count; t += 4)
        copy_group(to + t, w->phase, x, size, from + (ptrdiff_t)(OUT * t) - w->p->pad_j, mask + OUT * t);
}

/* Eight tiles in a row: x is their first row in phases; v that of place 0. */
KILN_INLINE void transform_tiles(const struct work *w, float *v, const float *x)
{
    lanes half[IN * IN], d[IN];
    for (size_t j = 0; j < IN; j++) {
        EACH_IN(i)
            d[i] = LOAD(x + (i * OUT + j % OUT) * w->phase + j / OUT);
        transform_in(half + j, IN, d);
    }
    for (size_t i = 0; i < IN; i++, v += IN * w->v_place) {
        transform_in(d, 1, half + i * IN);
        EACH_IN(j)
            STORE(v + j * w->v_place, d[j]);
    }
}

/* The tiles of a channel of one image, whose plane begins at x[at]; `size` floats are there. */
KILN_INLINE void transform_plane(const struct work *w, const struct room *room, const struct unit *u,
                                 const float *x, ptrdiff_t size, ptrdiff_t at, float *v)
{
    const size_t rows = u->rows * OUT + IN - OUT;
    const ptrdiff_t height = w->p->h, width = w->p->w, first = (ptrdiff_t)(OUT * u->first) - w->p->pad_i;
    for (size_t r = 0; r < rows; r++) {
        const ptrdiff_t row = first + (ptrdiff_t)r;
        copy_row(w, room->x + r * OUT * w->phase, x, size, at + row * width, row >= 0 && row < height,
                 room->mask);
    }
    for (size_t i = 0; i < u->rows; i++)
        for (size_t t = 0; t < w->across; t += LANES)
            transform_tiles(w, v + i * w->across + t, room->x + i * OUT * OUT * w->phase + t);
}

/*
 * All tiles of a unit, whose first image begins at x. Lanes beyond the end of a row of tiles are overwritten by what belongs there:
 * the next row, image or channel; behind the last one is room.
 */
KILN_INLINE void transform_input_body(const struct work *w, const struct room *room, const struct unit *u,
                                      const float *x)
{
    const size_t plane = (size_t)w->p->h * w->p->w, picture = w->p->channels * plane;
    for (size_t c = 0; c < w->p->channels; c++)
        for (size_t n = 0; n < u->images; n++)
            transform_plane(w, room, u, x, (ptrdiff_t)(u->images * picture),
                            (ptrdiff_t)(n * picture + c * plane), room->v + c * w->tiles + n * u->tiles);
}

static void transform_input(const struct work *w, const struct room *room, const struct unit *u,
                            const float *x);
KILN_CLONES(transform_input,
            (const struct work *w, const struct room *room, const struct unit *u, const float *x),
            (w, room, u, x))

/* Products ----------------------------------------------------------------------------------------------- */

/* The tiles of one place for one block of filters: s [tiles, BLOCK]. */
static void multiply_place(const struct work *w, const struct kiln_tiles *tiles, size_t count, size_t filters,
                           size_t channels, const float *v, const float *u, float *s, bool add)
{
    const size_t high = kiln_parts(count, kiln_parts(count, (size_t)tiles->rows)),
                 wide = (size_t)tiles->columns;
    for (size_t j = 0; j < filters; j += wide)
        for (size_t i = 0; i < count; i += high)
            tiles->packed[count - i < high ? count - i : high](channels, v + i, w->tiles, u + j, BLOCK,
                                                               s + i * BLOCK + j, BLOCK, add);
}

/* Sixteen filters at once. */
typedef float sixteen __attribute__((vector_size(64)));
typedef float taps_loose __attribute__((vector_size(64), aligned(4), may_alias));

/* to = S G w for three vectors, where S makes numbers of the machine of G's; to lies `step` apart. */
KILN_INLINE void transform_taps(sixteen *to, size_t step, const sixteen w[3])
{
    const sixteen outer = w[0] + w[2], far = w[0] * 0.25f + w[2], near = w[1] * 0.5f;
    to[0] = w[0];
    to[step] = outer + w[1];
    to[2 * step] = outer - w[1];
    to[3 * step] = far + near;
    to[4 * step] = far - near;
    to[5 * step] = w[2];
}

/* A block's filters of some channels, packed in w, to u [36, channels, BLOCK]. */
KILN_INLINE void transform_slab_body(float *u, size_t place, const float *w, size_t channels)
{
    for (size_t c = 0; c < channels; c++, w += TAPS * BLOCK, u += BLOCK)
        for (size_t o = 0; o < BLOCK; o += 16) {
            sixteen taps[TAPS], half[3 * IN], d[IN];
            for (size_t i = 0; i < TAPS; i++) {
                taps[i] = *(const taps_loose *)(w + i * BLOCK + o);
                __builtin_prefetch(w + (AHEAD * TAPS + i) * BLOCK + o);
            }
            for (size_t j = 0; j < 3; j++) {
                const sixteen column[3] = {taps[j], taps[3 + j], taps[6 + j]};
                transform_taps(half + j, 3, column);
            }
            EACH_IN(i) {
                transform_taps(d, 1, half + 3 * i);
                EACH_IN(j)
                    *(taps_loose *)(u + (i * IN + j) * place + o) = d[j];
            }
        }
}

static void transform_slab(float *u, size_t place, const float *w, size_t channels);
KILN_WIDE_CLONES(transform_slab, (float *u, size_t place, const float *w, size_t channels),
                 (u, place, w, channels))

/* The same by filters that are packed: some channels of one block are transformed, then multiplied by. */
static void multiply_taps(const struct work *w, const struct room *room, const struct unit *unit,
                          const float *packed)
{
    const struct kiln_tiles *tiles = kiln_tiles_get();
    for (size_t c = 0; c < w->p->channels; c += w->slab)
        for (size_t b = unit->block; b < unit->end; b++) {
            const size_t rest = w->p->channels - c, channels = rest < w->slab ? rest : w->slab;
            const size_t left = w->p->filters - b * BLOCK, filters = left < BLOCK ? left : BLOCK;
            transform_slab(room->u, w->u_place, packed + (b * w->p->channels + c) * TAPS * BLOCK, channels);
            for (size_t k = 0; k < PLACES; k++)
                multiply_place(w, kiln_tiles_across(tiles, filters), unit->images * unit->tiles, filters,
                               channels, room->v + k * w->v_place + c * w->tiles, room->u + k * w->u_place,
                               room->s + k * w->s_place + (b - unit->block) * w->tiles * BLOCK, c > 0);
        }
}

/* s [36, blocks, tiles, BLOCK] of a unit's blocks of the filters u. */
static void multiply(const struct work *w, const struct room *room, const struct unit *unit, const float *u)
{
    const struct kiln_tiles *tiles = kiln_tiles_get();
    const size_t block = w->p->channels * BLOCK;
    for (size_t k = 0; k < PLACES; k++)
        for (size_t b = unit->block; b < unit->end; b++) {
            const size_t left = w->p->filters - b * BLOCK, filters = left < BLOCK ? left : BLOCK;
            multiply_place(w, kiln_tiles_across(tiles, filters), unit->images * unit->tiles, filters,
                           w->p->channels, room->v + k * w->v_place, u + (k * w->blocks + b) * block,
                           room->s + k * w->s_place + (b - unit->block) * w->tiles * BLOCK, false);
        }
}

/* Output ------------------------------------------------------------------------------------------------- */

/* to = A^T s for six vectors, where to lies `step` apart. */
KILN_INLINE void transform_out(lanes *to, size_t step, const lanes s[IN])
{
    const lanes plus = s[1] + s[2], minus = s[1] - s[2], wide = s[3] + s[4], apart = s[3] - s[4];
    to[0] = s[0] + plus + wide;
    to[step] = minus + 2 * apart;
    to[2 * step] = plus + 4 * wide;
    to[3 * step] = minus + 8 * apart + s[5];
}

/* A row of four results of eight filters, whose planes lie `plane` apart. */
KILN_INLINE void write_row(float *y, size_t plane, const lanes row[OUT], size_t filters, size_t columns)
{
    for (size_t half = 0; half < LANES; half += 4) {
        kiln_four four[OUT];
        for (size_t j = 0; j < OUT; j++)
            four[j] = half ? __builtin_shufflevector(row[j], row[j], 4, 5, 6, 7)
                           : __builtin_shufflevector(row[j], row[j], 0, 1, 2, 3);
        kiln_four_transpose(four);
        for (size_t o = half; o < half + 4 && o < filters; o++)
            if (columns == OUT)
                kiln_four_store(y + o * plane, four[o - half]);
            else
                memcpy(y + o * plane, &four[o - half], columns * sizeof *y);
    }
}

/* What S left out, of a row and of a column. */
static const float scales[IN] = {1 / 4.0f, -1 / 6.0f, -1 / 6.0f, 1 / 6.0f, 1 / 6.0f, 1};

/* Tile (i, j) of the picture for eight filters: s is theirs at place 0. */
KILN_INLINE void write_tile(const struct work *w, bool taps, float *y, const float *s, size_t i, size_t j,
                            size_t filters)
{
    const size_t height = w->p->oh - i * OUT, width = w->p->ow - j * OUT;
    lanes half[OUT * IN], d[IN];
    for (size_t k = 0; k < IN; k++) {
        EACH_IN(r)
            d[r] = LOAD(s + (r * IN + k) * w->s_place) * (taps ? scales[r] * scales[k] : 1);
        transform_out(half + k, IN, d);
    }
    y += i * OUT * w->p->ow + j * OUT;
    for (size_t k = 0; k < OUT && k < height; k++, y += w->p->ow) {
        transform_out(d, 1, half + k * IN);
        write_row(y, (size_t)w->p->oh * w->p->ow, d, filters, width < OUT ? width : OUT);
    }
}

/* The tiles of one image of a unit for one block of filters, whose planes begin at y. */
KILN_INLINE void write_tiles(const struct work *w, bool taps, const float *s, const struct unit *u, float *y,
                             size_t filters)
{
    const size_t plane = (size_t)w->p->oh * w->p->ow;
    for (size_t o = 0; o < filters; o += LANES)
        for (size_t t = 0; t < u->tiles; t++)
            write_tile(w, taps, y + o * plane, s + t * BLOCK + o, u->first + t / w->across, t % w->across,
                       filters - o < LANES ? filters - o : LANES);
}

KILN_INLINE void write_block_body(const struct work *w, const float *s, const struct unit *u, float *y,
                                  size_t filters)
{
    if (w->slab)
        write_tiles(w, true, s, u, y, filters);
    else
        write_tiles(w, false, s, u, y, filters);
}

static void write_block(const struct work *w, const float *s, const struct unit *u, float *y, size_t filters);
KILN_CLONES(write_block,
            (const struct work *w, const float *s, const struct unit *u, float *y, size_t filters),
            (w, s, u, y, filters))

/* The epilogue on what a unit wrote of some planes of y, from number `first` on: whole rows. */
static void finish(const struct work *w, const struct unit *u, float *y, size_t first, size_t planes,
                   struct kiln_row_epilogue *epilogue)
{
    const size_t plane = (size_t)w->p->oh * w->p->ow, top = u->first * OUT * w->p->ow;
    const size_t bottom = (u->first + u->rows) * OUT * w->p->ow, end = bottom < plane ? bottom : plane;
    for (size_t o = first; o < first + planes; o++) {
        const size_t at = o * plane + top;
        kiln_row_epilogue_run(epilogue, y + at, at, 0, o % w->p->filters, end - top);
    }
}

/* What a unit's products make of block b. */
static void write(const struct work *w, const struct unit *u, const float *s, size_t b, float *y,
                  struct kiln_row_epilogue *epilogue)
{
    const size_t plane = (size_t)w->p->oh * w->p->ow, o = b * BLOCK, left = w->p->filters - o,
                 filters = left < BLOCK ? left : BLOCK;
    for (size_t n = 0; n < u->images; n++) {
        const size_t first = (u->image + n) * w->p->filters + o;
        write_block(w, s + ((b - u->block) * w->tiles + n * u->tiles) * BLOCK, u, y + first * plane, filters);
        finish(w, u, y, first, filters, epilogue);
    }
}

/* The variant -------------------------------------------------------------------------------------------- */

static uint64_t bands_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct work w = work_of(d);
    (void)caps;
    return (uint64_t)w.groups * w.bands * w.parts;
}

static uint64_t bands_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct work w = work_of(d);
    return room_size(&w) * sizeof(float);
}

static void bands_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct work w = work_of(d);
    const struct room room = room_of(&w, m);
    const size_t picture = (size_t)w.p->channels * w.p->h * w.p->w;
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d->constants, w.p->immediate, m->at + 3, true);
    make_mask(&w, room.mask);

    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&w, index);
        if (index == first || index % w.parts == 0)
            transform_input(&w, &room, &u, (const float *)m->at[0] + u.image * picture);
        (w.slab ? multiply_taps : multiply)(&w, &room, &u, m->at[1]);
        for (size_t b = u.block; b < u.end; b++)
            write(&w, &u, room.s, b, m->at[2], &epilogue);
    }
}

static bool bands_accept(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((const struct kiln_params_conv_winograd *)d->block.words)->tile == OUT;
}

const kiln_variant kiln_cpu_conv_winograd_bands = {
    .name = "bands",
    .accepts = bands_accept,
    .groups = bands_units,
    .scratch = bands_scratch,
    .run = bands_run,
};

/* Filters ------------------------------------------------------------------------------------------------ */

/* In double: filters are transformed once, and what their rounding loses is lost in every product. */
typedef double wide_lanes __attribute__((vector_size(8 * LANES)));

/* to = G w for three vectors, where to lies `step` apart. */
KILN_INLINE void transform_filter(wide_lanes *to, size_t step, const wide_lanes w[3])
{
    const wide_lanes outer = w[0] + w[2], far = w[0] / 24 + w[2] / 6;
    to[0] = w[0] / 4;
    to[step] = (outer + w[1]) / -6;
    to[2 * step] = (w[1] - outer) / 6;
    to[3 * step] = far + w[1] / 12;
    to[4 * step] = far - w[1] / 12;
    to[5 * step] = w[2];
}

/* Up to eight filters of one channel, from w on; u is that of place 0, and places lie `place` apart. */
KILN_INLINE void transform_eight(const struct kiln_params_conv_winograd_filters *p, float *u, size_t place,
                                 const float *w, size_t filters)
{
    wide_lanes taps[9] = {0}, half[3 * IN], d[IN];
    for (size_t i = 0; i < 9; i++)
        for (size_t o = 0; o < filters; o++)
            taps[i][o] = (double)w[o * p->filter_step + (p->turned ? 8 - i : i)];
    for (size_t j = 0; j < 3; j++)
        transform_filter(half + j, 3, (wide_lanes[3]){taps[j], taps[3 + j], taps[6 + j]});
    for (size_t i = 0; i < IN; i++, u += IN * place) {
        transform_filter(d, 1, half + 3 * i);
        EACH_IN(j)
            STORE(u + j * place, __builtin_convertvector(d[j], lanes));
    }
}

KILN_INLINE void transform_block_body(const struct kiln_params_conv_winograd_filters *p, float *u,
                                      size_t place, const float *w, size_t filters)
{
    for (size_t c = 0; c < p->channels; c++, w += p->channel_step, u += BLOCK)
        for (size_t o = 0; o < BLOCK; o += LANES) {
            const size_t left = o < filters ? filters - o : 0;
            transform_eight(p, u + o, place, w + o * p->filter_step, left < LANES ? left : LANES);
        }
}

static void transform_block(const struct kiln_params_conv_winograd_filters *p, float *u, size_t place,
                            const float *w, size_t filters);
KILN_CLONES(transform_block,
            (const struct kiln_params_conv_winograd_filters *p, float *u, size_t place, const float *w,
             size_t filters),
            (p, u, place, w, filters))

static void blocks_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct kiln_params_conv_winograd_filters *p =
        (const struct kiln_params_conv_winograd_filters *)d->block.words;
    const size_t block = (size_t)p->channels * BLOCK, place = kiln_parts(p->filters, BLOCK) * block;
    (void)worker;
    for (size_t b = first; b < first + count; b++)
        transform_block(p, (float *)m->at[1] + b * block, place,
                        (const float *)m->at[0] + b * BLOCK * p->filter_step,
                        p->filters - b * BLOCK < BLOCK ? p->filters - b * BLOCK : BLOCK);
}

static bool blocks_accept(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((const struct kiln_params_conv_winograd_filters *)d->block.words)->tile == OUT;
}

const kiln_variant kiln_cpu_conv_winograd_filters_blocks = {
    .name = "blocks",
    .accepts = blocks_accept,
    .run = blocks_run,
};
