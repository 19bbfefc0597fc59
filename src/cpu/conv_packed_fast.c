/*
 * conv_packed_fast.c - conv_packed on a CPU, and the packing.
 *
 * It is a product of matrices that are never built: rows are positions of the result, columns filters, and what is summed are
 * (c, u, v). A tile's rows are positions in a row of y, which meet x in runs of floats: x as it lies, where filters are points
 * without a stride, else planes laid out by conv_plane.h; a table says where the run of each term begins. So no position is
 * computed in vain however small the picture is, and the filters are read from end to end.
 *
 * A unit of work is an image, a band of positions and some blocks of filters. A block's results [positions, filters] stay in the
 * first cache until they are turned into planes of y.
 *
 * Where sums are short, turning would take as long as they do: filters are then a tile's rows, positions its columns, and results
 * go straight to y, finished. The last columns are done twice where they do not fill a tile. What the columns of a tile meet of x is
 * read once for all filters.
 */
#include "base/number.h"
#include "conv/conv_packed.h"
#include "cpu/conv_plane.h"
#include "cpu/epilogue_fast.h"
#include "cpu/panels.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/pack_columns.h"

#define BLOCK KILN_PACKED_COLUMNS
#define ROOM  65536 /* floats of x that a band meets, about: they stay in the second cache */
#define MOST  240   /* positions of a band: their results stay in the first */
#define WIDE  512   /* likewise, as columns */
#define TURN  8     /* terms of a sum that take as long as turning its result */
#define UNITS 8     /* at least, where each still has so many */
#define HIGH  24    /* positions of a band, at the least */
#define PART  4     /* blocks of filters, where each unit copies planes anew */

struct work {
    const struct kiln_params_conv_packed *p;
    struct axis i, j;
    bool in_place, columns;     /* x is read as it lies; positions are a tile's columns */
    size_t depth;               /* terms of a sum */
    size_t places;              /* of y */
    size_t band, bands;         /* positions of a unit: whole rows unless in place; bands */
    size_t blocks, part, parts; /* blocks of filters; of a unit; parts */
    size_t pitch, rows, plane;  /* of planes; rows that a band meets; floats of a plane */
};

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Positions of a band of x as it lies: as many bands as make UNITS, rows of positions together with blocks of filters. */
static size_t band_in_place(const struct work *w, size_t room)
{
    const size_t others = w->p->images * (w->columns ? 1 : w->blocks),
                 wanted = kiln_parts(UNITS, others ? others : 1);
    const size_t fair = kiln_parts(w->places, wanted), high = fair > HIGH ? fair : HIGH;
    const size_t most = least_of(least_of(room ? room : 1, w->columns ? WIDE : MOST), high);
    return kiln_even(w->places, most, w->columns ? KILN_TILE_COLUMNS : 1);
}

/* Positions of a band. */
static size_t band_of(const struct work *w)
{
    const size_t source = w->p->channels * axis_phases(&w->i) * axis_phases(&w->j), room = ROOM / source;
    if (w->in_place)
        return band_in_place(w, room);
    const size_t fit = room / w->pitch, reach = axis_reach(&w->i),
                 many = w->columns ? kiln_parts(w->p->oh, UNITS) : MOST / w->p->ow;
    const size_t rows = least_of(fit > reach ? fit - reach : 1, many ? many : 1);
    return kiln_parts(w->p->oh, kiln_parts(w->p->oh, rows)) * w->p->ow;
}

/* How many bands; what would be less than a tile goes to the band before, since a tile of columns is whole and its unit's own. */
static size_t bands_of(const struct work *w)
{
    const size_t rest = w->places % w->band;
    return kiln_parts(w->places, w->band) -
           (w->columns && w->in_place && rest > 0 && rest < KILN_TILE_COLUMNS);
}

/* Positions that lie behind one another. */
static size_t run_of(const struct work *w)
{
    return w->in_place ? w->places : w->p->ow;
}

/* Whether columns done in vain, or twice, cost less than turning results; a run is a tile at the least. */
static bool suits_columns(const struct work *w)
{
    const size_t run = run_of(w), rest = run % KILN_TILE_COLUMNS, lost = rest ? KILN_TILE_COLUMNS - rest : 0;
    return run >= KILN_TILE_COLUMNS && lost * w->depth <= TURN * run;
}

static struct work work_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv_packed *p = (const struct kiln_params_conv_packed *)d->block.words;
    struct work w = {
        .p = p,
        .i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
        .j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow},
        .depth = (size_t)p->channels * p->u * p->v,
        .places = (size_t)p->oh * p->ow,
        .blocks = kiln_parts(p->filters, BLOCK),
    };
    w.in_place = w.depth == p->channels && p->stride_i == 1 && p->stride_j == 1 && p->pad_i == 0 &&
                 p->pad_j == 0 && p->h == p->oh && p->w == p->ow;
    w.columns = suits_columns(&w);
    w.pitch = p->ow + axis_reach(&w.j);
    w.band = band_of(&w);
    w.bands = bands_of(&w);
    w.rows = w.band / p->ow + axis_reach(&w.i);
    w.plane = w.rows * w.pitch;
    const size_t units = p->images * w.bands, parts = kiln_parts(UNITS, units ? units : 1);
    w.part = w.in_place ? w.blocks / least_of(parts, w.blocks)
                        : kiln_parts(w.blocks, least_of(parts, kiln_parts(w.blocks, PART)));
    w.parts = kiln_parts(w.blocks, w.part);
    return w;
}

/* A worker's tiles and scratch: where terms lie, the planes, and a block's results. */
struct room {
    const struct kiln_tiles *tiles;
    int32_t *at;
    float *planes, *out;
};

static size_t planes_size(const struct work *w)
{
    const size_t phases = axis_phases(&w->i) * axis_phases(&w->j);
    return w->in_place ? 0 : kiln_round_up(w->p->channels * phases * w->plane, 16);
}

static size_t room_size(const struct work *w)
{
    return kiln_round_up(w->depth, 16) + planes_size(w) + (w->columns ? 0 : w->band * BLOCK);
}

static struct room room_of(const struct work *w, const kiln_memory *m, int worker)
{
    int32_t *at = (int32_t *)m->scratch + (size_t)worker * room_size(w);
    float *planes = (float *)(void *)(at + kiln_round_up(w->depth, 16));
    return (struct room){kiln_tiles_get(), at, planes, planes + planes_size(w)};
}

struct unit {
    size_t image, first, count; /* positions */
    size_t block, end;          /* blocks of filters */
};

/* Neighbours share what is dearer: planes that were copied, or filters. */
static struct unit unit_of(const struct work *w, size_t index)
{
    const size_t within = index % (w->parts * w->bands);
    const size_t block = (w->in_place ? within / w->bands : within % w->parts) * w->part;
    const size_t band = w->in_place ? within % w->bands : within / w->parts, first = band * w->band;
    return (struct unit){
        .image = index / w->parts / w->bands,
        .first = first,
        .count = band + 1 < w->bands ? w->band : w->places - first,
        .block = block,
        .end = least_of(block + w->part, w->blocks),
    };
}

/* Where terms lie ---------------------------------------------------------------------------------------- */

static void find_terms(const struct work *w, int32_t *at)
{
    const size_t down = axis_phases(&w->i), across = axis_phases(&w->j), taps = w->i.taps * w->j.taps;
    const size_t channel = w->in_place ? w->places : down * across * w->plane;
    for (size_t k = 0; k < taps; k++) {
        const size_t u = k / w->j.taps, v = k % w->j.taps;
        at[k] = (int32_t)((u % down * across + v % across) * w->plane + axis_shift(&w->i, u) * w->pitch +
                          axis_shift(&w->j, v));
    }
    for (size_t k = taps; k < w->depth; k++) /* those of the first channel, and so on */
        at[k] = at[k - taps] + (int32_t)channel;
}

/* The planes of all channels that a unit meets, x being those of its image. */
KILN_INLINE void copy_planes_body(const struct work *w, const struct unit *unit, float *to, const float *x)
{
    const size_t down = axis_phases(&w->i), across = axis_phases(&w->j);
    const size_t first = unit->first / w->p->ow * w->i.stride, picture = w->i.size * w->j.size;
    for (size_t c = 0; c < w->p->channels; c++, x += picture)
        for (size_t a = 0; a < down; a++)
            for (size_t b = 0; b < across; b++, to += w->plane) {
                const struct window window = {
                    .first_row = (ptrdiff_t)(first + a * w->i.dilation % w->i.stride) - w->i.pad,
                    .first_column = (ptrdiff_t)(b * w->j.dilation % w->j.stride) - w->j.pad,
                    .row_step = (ptrdiff_t)w->i.stride,
                    .column_step = (ptrdiff_t)w->j.stride,
                    .rows = w->rows,
                    .pitch = w->pitch,
                };
                plane_copy(to, x, w->i.size, w->j.size, &window);
            }
}

static void copy_planes(const struct work *w, const struct unit *unit, float *to, const float *x);
KILN_CLONES(copy_planes, (const struct work *w, const struct unit *unit, float *to, const float *x),
            (w, unit, to, x))

/* Products ----------------------------------------------------------------------------------------------- */

/* Filters come from memory. While a block is multiplied, the tiles together ask for the next one, each for its share. */
struct ahead {
    const float *at;
    size_t row;
};

/* Positions that lie behind one another, in tiles of about one height. */
static void multiply_run(const struct work *w, const struct kiln_tiles *tiles, const int32_t *at,
                         const float *x, const float *filters, float *out, size_t length, struct ahead *ahead)
{
    const size_t high = kiln_parts(length, kiln_parts(length, (size_t)tiles->rows));
    for (size_t t = 0; t < length; t += high)
        for (size_t j = 0; j < BLOCK; j += (size_t)tiles->columns, ahead->at += w->depth * ahead->row)
            tiles->runs[length - t < high ? length - t : high](w->depth, x + t, at, filters + j, BLOCK,
                                                               out + t * BLOCK + j, BLOCK, ahead->at,
                                                               ahead->row);
}

/* out [positions, BLOCK] of one block. */
static void multiply(const struct work *w, const struct room *room, const struct unit *u, const float *x,
                     const float *filters)
{
    const struct kiln_tiles *tiles = room->tiles;
    const size_t run = w->in_place ? u->count : w->p->ow,
                 calls =
                     u->count / run * kiln_parts(run, (size_t)tiles->rows) * (BLOCK / (size_t)tiles->columns);
    struct ahead ahead = {filters + w->depth * BLOCK, kiln_parts(BLOCK, calls)};
    for (size_t t = 0; t < u->count; t += run)
        multiply_run(w, tiles, room->at, w->in_place ? x + u->first : room->planes + t / w->p->ow * w->pitch,
                     filters, room->out + t * BLOCK, run, &ahead);
}

#define LANES      8
#define EACH_EIGHT _Pragma("GCC unroll 8") for (int i = 0; i < LANES; i++)
#define EACH_FOUR  _Pragma("GCC unroll 4") for (int i = 0; i < LANES / 2; i++)

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t lane_masks __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in memory */

#define LOAD(at) (*(const loose *)(at))

/* Rows become columns: pairs of elements, then of pairs, then of halves change places. */
KILN_INLINE void turn_eight(lanes *row)
{
    lanes pair[LANES], four[LANES];
    EACH_FOUR
    {
        pair[2 * i] = __builtin_shufflevector(row[2 * i], row[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pair[2 * i + 1] = __builtin_shufflevector(row[2 * i], row[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    EACH_FOUR
    {
        const int at = i / 2 * 4 + i % 2, to = i / 2 * 4 + i % 2 * 2;
        four[to] = __builtin_shufflevector(pair[at], pair[at + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        four[to + 1] = __builtin_shufflevector(pair[at], pair[at + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    EACH_FOUR
    {
        row[i] = __builtin_shufflevector(four[i], four[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        row[i + 4] = __builtin_shufflevector(four[i], four[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* A step on eight filters' results at `place` and behind it, the first filter being o. */
KILN_INLINE void take_step(lanes *row, const struct kiln_tile_step *step, size_t o, size_t place)
{
    const float *at = step->at + o * step->row + (step->wide ? place : 0);
    if (step->code == KILN_TILE_RELU)
        EACH_EIGHT
    row[i] = (lanes)(~(row[i] <= 0) & (lane_masks)row[i]); /* NaN passes */
    else if (step->wide && step->code == KILN_TILE_ADD) EACH_EIGHT row[i] += LOAD(at + (size_t)i * step->row);
    else if (step->wide) EACH_EIGHT row[i] *= LOAD(at + (size_t)i * step->row);
    else if (step->code == KILN_TILE_ADD) EACH_EIGHT row[i] += at[(size_t)i * step->row];
    else EACH_EIGHT row[i] *= at[(size_t)i * step->row];
}

/* Eight filters' results at `count` positions, eight at the least, become rows, `plane` apart, finished. */
KILN_INLINE void turn_body(float *y, size_t plane, const float *out, size_t count,
                           const struct kiln_tile_finish *finish, size_t o, size_t place)
{
    for (size_t t = 0; t < count; t += LANES) {
        const size_t at = t + LANES > count ? count - LANES : t; /* the last ones are done twice */
        lanes row[LANES];
        EACH_EIGHT
        row[i] = LOAD(out + (at + (size_t)i) * BLOCK);
        turn_eight(row);
        for (int s = 0; s < finish->steps; s++)
            take_step(row, &finish->step[s], o, place + at);
        EACH_EIGHT
        *(loose *)(y + (size_t)i * plane + at) = row[i];
    }
}

static void turn(float *y, size_t plane, const float *out, size_t count,
                 const struct kiln_tile_finish *finish, size_t o, size_t place);
KILN_CLONES(turn,
            (float *y, size_t plane, const float *out, size_t count, const struct kiln_tile_finish *finish,
             size_t o, size_t place),
            (y, plane, out, count, finish, o, place))

/* Where there are fewer than eight of either. */
static void turn_few(float *y, size_t plane, const float *out, size_t count, size_t filters)
{
    for (size_t i = 0; i < filters; i++)
        for (size_t t = 0; t < count; t++)
            y[i * plane + t] = out[t * BLOCK + i];
}

/* A block's results, as far as there are filters, and the epilogue; y are the planes of its image, `flat` their first element. */
static void write_block(const struct work *w, const struct unit *u, const float *out, size_t block, float *y,
                        size_t flat, const struct kiln_tile_finish *finish,
                        struct kiln_row_epilogue *epilogue)
{
    const size_t end = (block + 1) * BLOCK < w->p->filters ? (block + 1) * BLOCK : w->p->filters;
    for (size_t o = block * BLOCK; o < end; o += LANES, out += LANES) {
        const size_t at = o * w->places + u->first, filters = end - o < LANES ? end - o : LANES;
        const bool whole = filters == LANES && u->count >= LANES;
        if (whole)
            turn(y + at, w->places, out, u->count, finish, o, u->first);
        else
            turn_few(y + at, w->places, out, u->count, filters);
        for (size_t i = 0; i < filters && !(whole && finish->all); i++)
            kiln_row_epilogue_run(epilogue, y + at + i * w->places, flat + at + i * w->places, 0, o + i,
                                  u->count);
    }
}

/* All filters of a unit at a tile of columns, of which `place` is the first in y; x is what they meet in the first channel. */
static void write_tile(const struct work *w, const struct kiln_tiles *tiles, const int32_t *at,
                       const struct unit *u, const float *x, const float *packed, float *y,
                       const struct kiln_tile_finish *finish, size_t place)
{
    for (size_t b = u->block; b < u->end; b++, packed += w->depth * BLOCK) {
        const size_t left = w->p->filters - b * BLOCK, filters = left < BLOCK ? left : BLOCK;
        const size_t high = kiln_parts(filters, kiln_parts(filters, (size_t)tiles->rows));
        for (size_t i = 0; i < filters; i += high)
            tiles->finished[filters - i < high ? filters - i : high](w->depth, packed + i, BLOCK, x, at,
                                                                     y + (b * BLOCK + i) * w->places + place,
                                                                     w->places, finish, b * BLOCK + i, place);
    }
}

/* A unit with filters as rows; y are the planes of its image, `flat` their first element. */
static void write_columns(const struct work *w, const struct room *room, const struct unit *u, const float *x,
                          const float *packed, float *y, size_t flat, const struct kiln_tile_finish *finish,
                          struct kiln_row_epilogue *epilogue)
{
    const size_t wide = (size_t)room->tiles->columns, run = w->in_place ? u->count : w->p->ow;
    for (size_t t = 0; t < u->count; t += run) {
        const float *from = w->in_place ? x + u->first : room->planes + t / w->p->ow * w->pitch;
        for (size_t j = 0; j < run; j += wide) {
            const struct kiln_tiles *tiles = kiln_tiles_across(room->tiles, run - j);
            const size_t here = (size_t)tiles->columns, column = j + here > run ? run - here : j;
            write_tile(w, tiles, room->at, u, from + column, packed, y, finish, u->first + t + column);
        }
    }
    const size_t end = u->end * BLOCK < w->p->filters ? u->end * BLOCK : w->p->filters;
    for (size_t o = u->block * BLOCK; o < end && !finish->all; o++)
        kiln_row_epilogue_run(epilogue, y + o * w->places + u->first, flat + o * w->places + u->first, 0, o,
                              u->count);
}

/* The variant -------------------------------------------------------------------------------------------- */

static uint64_t runs_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct work w = work_of(d);
    (void)caps;
    return (uint64_t)w.p->images * w.bands * w.parts;
}

static uint64_t runs_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct work w = work_of(d);
    return (uint64_t)caps->threads * room_size(&w) * sizeof(float);
}

static void runs_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct work w = work_of(d);
    const struct room room = room_of(&w, m, worker);
    const size_t picture = (size_t)w.p->channels * w.p->h * w.p->w;
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d, w.p->immediate, m, true);
    find_terms(&w, room.at);

    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&w, index);
        const float *x = (const float *)m->at[0] + u.image * picture;
        if (!w.in_place && (index == first || index % w.parts == 0))
            copy_planes(&w, &u, room.planes, x);
        const float *packed = (const float *)m->at[1] + u.block * w.depth * BLOCK;
        const size_t flat = u.image * w.p->filters * w.places;
        float *y = (float *)m->at[2] + flat;
        const struct kiln_tile_finish finish = kiln_row_epilogue_finish(&epilogue, flat, w.places);
        if (w.columns)
            write_columns(&w, &room, &u, x, packed, y, flat, &finish, &epilogue);
        for (size_t b = u.block; b < u.end && !w.columns; b++, packed += w.depth * BLOCK) {
            multiply(&w, &room, &u, x, packed);
            write_block(&w, &u, room.out, b, y, flat, &finish, &epilogue);
        }
    }
}

const kiln_variant kiln_cpu_conv_packed_runs = {
    .name = "runs",
    .groups = runs_units,
    .scratch = runs_scratch,
    .run = runs_run,
};

/* Packing ------------------------------------------------------------------------------------------------ */

static void panels_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct kiln_params_pack_columns *p = (const struct kiln_params_pack_columns *)d->block.words;
    (void)worker;
    for (size_t b = first; b < first + count; b++)
        kiln_panels_pack((float *)m->at[1] + b * p->depth * BLOCK, BLOCK, false,
                         (const float *)m->at[0] + b * BLOCK * p->column_step, p->column_step, p->depth_step,
                         p->columns - b * BLOCK < BLOCK ? p->columns - b * BLOCK : BLOCK, p->depth);
}

const kiln_variant kiln_cpu_pack_columns_panels = {
    .name = "panels",
    .run = panels_run,
};
