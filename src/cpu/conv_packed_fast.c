/*
 * conv_packed_fast.c - conv_packed on a CPU, and the packing.
 *
 * It is a product of matrices that are never built: rows are positions of the result, columns filters, and what is summed are
 * (c, u, v). A tile's rows are positions in a row of y, which meet x in runs of floats: x as it lies, where filters are points
 * without a stride, else planes laid out by conv_terms.c; a table says where the run of each term begins. So no position is
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
#include "cpu/conv_positions.h"
#include "cpu/conv_terms.h"
#include "cpu/panels.h"
#include "device/caps.h"
#include "device/variants.h"

#define BLOCK KILN_PACKED_COLUMNS
#define ROOM  65536 /* floats of x that a band meets, about: they stay in the second cache */
#define MOST  240   /* positions of a band: their results stay in the first */
#define WIDE  512   /* likewise, as columns */
#define UNITS 8     /* at least, where each still has so many */
#define HIGH  24    /* positions of a band, at the least */
#define PART  4     /* blocks of filters, where each unit copies planes anew */

struct work {
    const struct kiln_params_conv_packed *p;
    struct kiln_terms terms;
    bool columns;               /* positions are a tile's columns */
    size_t places;              /* of y */
    size_t band, bands;         /* positions of a unit: whole rows unless in place; bands */
    size_t blocks, part, parts; /* blocks of filters; of a unit; parts */
};

/* Positions of a band of x as it lies: as many bands as make UNITS, rows of positions together with blocks of filters, and of them an
 * even number, which two processors share. */
static size_t band_in_place(const struct work *w, size_t room)
{
    const size_t others = w->p->images * (w->columns ? 1 : w->blocks),
                 wanted = kiln_parts(UNITS, others ? others : 1), even = wanted + others * wanted % 2;
    const size_t fair = kiln_parts(w->places, even), high = fair > HIGH ? fair : HIGH;
    const size_t most = kiln_least(kiln_least(room ? room : 1, w->columns ? WIDE : MOST), high);
    return kiln_even(w->places, most, w->columns ? KILN_TILE_COLUMNS : 1);
}

/* Positions of a band. */
static size_t band_of(const struct work *w)
{
    const size_t row = kiln_terms_floats(&w->terms, 1), more = kiln_terms_floats(&w->terms, 2) - row;
    if (w->terms.in_place)
        return band_in_place(w, ROOM / w->p->channels);
    const size_t fit = ROOM > row ? (ROOM - row) / more + 1 : 1,
                 many = w->columns ? kiln_parts(w->p->oh, UNITS) : MOST / w->p->ow;
    const size_t rows = kiln_least(fit, many ? many : 1);
    return kiln_parts(w->p->oh, kiln_parts(w->p->oh, rows)) * w->p->ow;
}

/* How many bands; what would be less than a tile goes to the band before, since a tile of columns is whole and its unit's own. */
static size_t bands_of(const struct work *w)
{
    const size_t rest = w->places % w->band;
    return kiln_parts(w->places, w->band) -
           (w->columns && w->terms.in_place && rest > 0 && rest < KILN_TILE_COLUMNS);
}

static struct work work_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv_packed *p = (const struct kiln_params_conv_packed *)d->block.words;
    const struct axis i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
                      j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow};
    struct work w = {
        .p = p,
        .terms = kiln_terms_of(p->channels, &i, &j, false),
        .places = (size_t)p->oh * p->ow,
        .blocks = kiln_parts(p->filters, BLOCK),
    };
    w.columns = kiln_positions_suit_columns(w.terms.in_place ? w.places : p->ow, w.terms.depth);
    if (!w.columns)
        w.terms = kiln_terms_of(p->channels, &i, &j, true);
    w.band = band_of(&w);
    w.bands = bands_of(&w);
    kiln_terms_band(&w.terms, w.band / p->ow);
    const size_t units = p->images * w.bands, parts = kiln_parts(UNITS, units ? units : 1);
    w.part = w.terms.in_place ? w.blocks / kiln_least(parts, w.blocks)
                              : kiln_parts(w.blocks, kiln_least(parts, kiln_parts(w.blocks, PART)));
    w.parts = kiln_parts(w.blocks, w.part);
    return w;
}

/* A worker's tiles and scratch: where terms lie, the planes, and a block's results. */
struct room {
    const struct kiln_tiles *tiles;
    int32_t *at;
    float *planes, *out;
};

static size_t room_size(const struct work *w)
{
    return kiln_round_up(w->terms.depth, 16) + kiln_terms_room(&w->terms) +
           (w->columns ? 0 : w->band * BLOCK);
}

static struct room room_of(const struct work *w, const kiln_memory *m)
{
    int32_t *at = m->scratch;
    float *planes = (float *)(void *)(at + kiln_round_up(w->terms.depth, 16));
    return (struct room){kiln_tiles_get(), at, planes, planes + kiln_terms_room(&w->terms)};
}

struct unit {
    size_t image, first, count; /* positions */
    size_t block, end;          /* blocks of filters */
};

/*
 * Neighbours, which one thread mostly does, share what is dearer: planes that were copied, or the larger of x and the filters, which
 * two threads then need not both read whole.
 */
static struct unit unit_of(const struct work *w, size_t index)
{
    const bool by_filters = w->terms.in_place && w->p->filters > w->places;
    const size_t within = index % (w->parts * w->bands);
    const size_t block = (by_filters ? within / w->bands : within % w->parts) * w->part;
    const size_t band = by_filters ? within % w->bands : within / w->parts, first = band * w->band;
    return (struct unit){
        .image = index / w->parts / w->bands,
        .first = first,
        .count = band + 1 < w->bands ? w->band : w->places - first,
        .block = block,
        .end = kiln_least(block + w->part, w->blocks),
    };
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
    (void)caps;
    const struct work w = work_of(d);
    return room_size(&w) * sizeof(float);
}

static void runs_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct work w = work_of(d);
    const struct room room = room_of(&w, m);
    const size_t picture = (size_t)w.p->channels * w.p->h * w.p->w, x_run = w.terms.step_i * w.terms.pitch;
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d->constants, w.p->immediate, m->at + 3, true);

    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&w, index);
        const float *x = (const float *)m->at[0] + u.image * picture;
        kiln_terms_take(&w.terms, room.at, room.planes, x, u.first / w.p->ow, m, index / w.parts);
        const size_t flat = u.image * w.p->filters * w.places;
        const struct kiln_tile_finish finish = kiln_row_epilogue_finish(&epilogue, flat, w.places);
        const struct kiln_positions positions = {
            .tiles = room.tiles,
            .at = room.at,
            .depth = w.terms.depth,
            .x = w.terms.in_place ? x + u.first : room.planes,
            .count = u.count,
            .run = w.terms.in_place || (x_run == w.p->ow * w.terms.step_j && !w.columns) ? u.count : w.p->ow,
            .x_run = x_run,
            .step = w.terms.step_j,
            .packed = m->at[1],
            .first = u.block * BLOCK,
            .end = kiln_least(u.end * BLOCK, w.p->filters),
            .y = (float *)m->at[2] + flat + u.block * BLOCK * w.places + u.first,
            .plane = w.places,
            .place = u.first,
            .flat = flat,
            .out = room.out,
            .epilogue = &epilogue,
            .finish = &finish,
        };
        if (w.columns)
            kiln_positions_as_columns(&positions);
        else
            kiln_positions_as_rows(&positions);
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
