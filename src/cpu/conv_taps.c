/*
 * conv_taps.c - convolution and its transpose, without building any matrix.
 *
 * Both are sums over taps: out[m, t] = sum over k of weight[m, k] * plane[k][t + shift[k]], where t counts
 * positions at the pitch of planes laid out by conv_plane.h. The tile of tile.h walks them by two tables,
 * one for weights, which are read where they lie, one for planes. Positions between the end of a row and
 * the pitch are computed and thrown away.
 *
 *                   rows m     taps k         planes                      written
 *   forward         filters    (c, t, u, v)   x with zeros, in phases     y
 *   transposed      channels   (o, t, u, v)   y with zeros                x, a phase at a time: elements q s + a - pad,
 *                                                                         whose taps are u with u d % s = a
 *
 * The first axis is done slice by slice: for a slice of the result the sources are those slices that the
 * filter's places t meet, each of them planes of their own.
 *
 * A unit of work is an image, a group, a slice, a band of rows and a part of the rows m; it copies the
 * planes it needs.
 */
#include "base/number.h"
#include "conv/conv.h"
#include "cpu/conv_plane.h"
#include "cpu/epilogue_fast.h"
#include "cpu/tile.h"
#include "device/caps.h"
#include "device/variants.h"

#define ROOM  49152 /* floats of a unit's planes and results, about: they stay in the second cache */
#define UNITS 16    /* at least, where there are rows m enough */

struct taps {
    const struct kiln_params_conv *p;
    struct axis a, i, j;
    bool transposed;
    bool in_place;              /* the planes are x as it is */
    size_t m, sources;          /* rows; channels or filters of a group that are read */
    size_t slices, depth_in;    /* of the result; of what is read */
    size_t phases;              /* planes of each source's slice */
    ptrdiff_t first_i, first_j; /* q of the first row and column written (transposed) */
    size_t rows, columns;       /* positions of a slice */
    size_t pitch, reach_i, reach_j;
    size_t band, bands; /* rows of a band; bands of a slice */
    size_t plane;       /* floats of a band's plane */
    size_t part, parts; /* rows m of a part; parts */
    size_t high;        /* rows m of a tile, at most */
    size_t depth;       /* taps at most */
    size_t out;         /* floats of a row of results */
};

static struct taps common(const struct kiln_params_conv *p)
{
    return (struct taps){
        .p = p,
        .a = {p->t, p->stride_a, p->dilation_a, p->pad_a, p->d, p->od},
        .i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
        .j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow},
    };
}

/* Bands, parts and what follows from them. */
static void divide(struct taps *t)
{
    t->high = t->m < KILN_TILE_ROWS ? t->m : KILN_TILE_ROWS;
    const size_t planes =
        t->sources * t->a.taps * t->phases * t->pitch; /* floats of one row of all of them */
    const size_t fixed = planes * t->reach_i, row = planes + t->high * t->pitch;
    const size_t rows = ROOM > fixed + row ? (ROOM - fixed) / row : 1;
    t->bands = (t->rows + rows - 1) / rows;
    t->band = (t->rows + t->bands - 1) / t->bands;
    t->bands = (t->rows + t->band - 1) / t->band;
    t->plane = (t->band + t->reach_i) * t->pitch;
    t->out = kiln_round_up(t->band * t->pitch, KILN_TILE_COLUMNS);
    t->depth = t->sources * t->a.taps * t->i.taps * t->j.taps;

    const size_t units = (size_t)t->p->images * t->p->groups * t->slices * t->bands;
    size_t parts = units < UNITS ? (UNITS + units - 1) / units : 1;
    const size_t most = (t->m + KILN_TILE_ROWS - 1) / KILN_TILE_ROWS;
    parts = parts < most ? parts : most;
    t->part = kiln_round_up((t->m + parts - 1) / parts, KILN_TILE_ROWS);
    t->parts = (t->m + t->part - 1) / t->part;
}

static struct taps forward_taps(const struct kiln_params_conv *p)
{
    struct taps t = common(p);
    t.m = p->filters;
    t.sources = p->channels;
    t.slices = p->od;
    t.depth_in = p->d;
    t.phases = axis_phases(&t.i) * axis_phases(&t.j);
    t.rows = p->oh;
    t.columns = p->ow;
    t.reach_i = axis_reach(&t.i);
    t.reach_j = axis_reach(&t.j);
    t.pitch = p->ow + t.reach_j;
    divide(&t);
    t.in_place = p->stride_i == 1 && p->stride_j == 1 && p->pad_i == 0 && p->pad_j == 0 && t.pitch == p->w &&
                 p->oh + t.reach_i == p->h && p->ow >= KILN_TILE_COLUMNS;
    return t;
}

/* q of element `at` of the result along an axis, counted from the padding on: at + pad = q * stride + phase. */
static ptrdiff_t quotient_of(const struct axis *x, size_t at)
{
    const ptrdiff_t padded = (ptrdiff_t)at + x->pad, stride = (ptrdiff_t)x->stride;
    return padded >= 0 ? padded / stride : -((stride - 1 - padded) / stride);
}

static struct taps transposed_taps(const struct kiln_params_conv *p)
{
    struct taps t = common(p);
    t.transposed = true;
    t.m = p->channels;
    t.sources = p->filters;
    t.slices = p->d;
    t.depth_in = p->od;
    t.phases = 1;
    t.first_i = quotient_of(&t.i, 0);
    t.first_j = quotient_of(&t.j, 0);
    t.rows = (size_t)(quotient_of(&t.i, t.i.size - 1) - t.first_i + 1);
    t.columns = (size_t)(quotient_of(&t.j, t.j.size - 1) - t.first_j + 1);
    t.reach_i = axis_reach(&t.i);
    t.reach_j = axis_reach(&t.j);
    t.pitch = t.columns + t.reach_j;
    divide(&t);
    return t;
}

static struct taps taps_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = (const struct kiln_params_conv *)d->block.words;
    return d->constants[KILN_CONV_MODE] & KILN_CONV_TRANSPOSED ? transposed_taps(p) : forward_taps(p);
}

/* Scratch of a worker ------------------------------------------------------------------------------------ */

struct room {
    int32_t *weight_at, *plane_at; /* the tables */
    float *planes, *out;
};

static size_t tables_of(const struct taps *t)
{
    return kiln_round_up(t->depth, 16);
}

/* The last tile reads beyond. */
static size_t planes_of(const struct taps *t)
{
    return kiln_round_up(t->sources * t->a.taps * t->phases * t->plane + KILN_TILE_COLUMNS, 16);
}

static size_t room_size(const struct taps *t)
{
    return 4 * (2 * tables_of(t) + planes_of(t) + t->high * t->out);
}

static struct room room_of(const struct taps *t, const kiln_memory *m)
{
    int32_t *tables = m->scratch;
    float *floats = (float *)(void *)(tables + 2 * tables_of(t));
    return (struct room){tables, tables + tables_of(t), floats, floats + planes_of(t)};
}

/* Units -------------------------------------------------------------------------------------------------- */

/* A unit, taken apart. */
struct unit {
    size_t image, group, slice, first, rows; /* rows: of the band, from `first` on */
    size_t part, end;                        /* rows m */
};

static struct unit unit_of(const struct taps *t, size_t index)
{
    const size_t part = index % t->parts * t->part, first = index / t->parts % t->bands * t->band;
    const size_t slice = index / t->parts / t->bands, group = slice / t->slices;
    return (struct unit){
        .image = group / t->p->groups,
        .group = group % t->p->groups,
        .slice = slice % t->slices,
        .first = first,
        .rows = t->rows - first < t->band ? t->rows - first : t->band,
        .part = part,
        .end = part + t->part < t->m ? part + t->part : t->m,
    };
}

/* The slice of what is read that place `tap` meets at this slice of the result; -1 where there is none. */
static ptrdiff_t slice_of(const struct taps *t, size_t slice, size_t tap)
{
    const ptrdiff_t stride = (ptrdiff_t)t->a.stride, further = (ptrdiff_t)(tap * t->a.dilation);
    ptrdiff_t at = (ptrdiff_t)slice * stride - t->a.pad + further;
    if (t->transposed) {
        const ptrdiff_t reach = (ptrdiff_t)slice + t->a.pad - further;
        at = reach >= 0 && reach % stride == 0 ? reach / stride : -1;
    }
    return at < (ptrdiff_t)t->depth_in ? at : -1;
}

static const float *read_from(const struct taps *t, const struct unit *u, const kiln_memory *m)
{
    const struct kiln_params_conv *p = t->p;
    const size_t volume = t->transposed ? (size_t)p->od * p->oh * p->ow : (size_t)p->d * p->h * p->w;
    const size_t image =
        t->transposed ? p->y_first + u->image * p->y_image : p->x_first + u->image * p->x_image;
    return (const float *)m->at[0] + image + u->group * t->sources * volume;
}

/* Planes ------------------------------------------------------------------------------------------------- */

/* A slice of x from output row `first` on, in all phases that the filter meets; returns where the next goes. */
static float *copy_forward(const struct taps *t, float *to, const float *x, size_t first)
{
    const size_t down = axis_phases(&t->i), across = axis_phases(&t->j);
    for (size_t a = 0; a < down; a++)
        for (size_t b = 0; b < across; b++, to += t->plane) {
            const struct window w = {
                .first_row = (ptrdiff_t)(first * t->i.stride + a * t->i.dilation % t->i.stride) - t->i.pad,
                .first_column = (ptrdiff_t)(b * t->j.dilation % t->j.stride) - t->j.pad,
                .row_step = (ptrdiff_t)t->i.stride,
                .column_step = (ptrdiff_t)t->j.stride,
                .rows = t->band + t->reach_i,
                .pitch = t->pitch,
            };
            plane_copy(to, x, t->i.size, t->j.size, &w);
        }
    return to;
}

/* A slice of y as far as elements from q row first_i + `first` on meet it. */
static float *copy_transposed(const struct taps *t, float *to, const float *y, size_t first)
{
    const struct window w = {
        .first_row = t->first_i + (ptrdiff_t)first - (ptrdiff_t)t->reach_i,
        .first_column = t->first_j - (ptrdiff_t)t->reach_j,
        .row_step = 1,
        .column_step = 1,
        .rows = t->band + t->reach_i,
        .pitch = t->pitch,
    };
    plane_copy(to, y, t->i.out, t->j.out, &w);
    return to + t->plane;
}

/* All planes of a unit; of a slice that is not met there is nothing. */
static void copy_planes(const struct taps *t, const struct room *room, const struct unit *u,
                        const float *from)
{
    const size_t slice = t->transposed ? t->i.out * t->j.out : t->i.size * t->j.size;
    float *to = room->planes;
    for (size_t s = 0; s < t->sources; s++)
        for (size_t k = 0; k < t->a.taps; k++) {
            const ptrdiff_t at = slice_of(t, u->slice, k);
            if (at < 0)
                continue;
            const float *x = from + (s * t->depth_in + (size_t)at) * slice;
            to = t->transposed ? copy_transposed(t, to, x, u->first) : copy_forward(t, to, x, u->first);
        }
}

/* Whether the planes of unit `index` are those of the one before it. */
static bool same_planes(const struct taps *t, size_t index, size_t first)
{
    return index > first && index % t->parts != 0;
}

/* Tables ------------------------------------------------------------------------------------------------- */

/* The places of one slice whose phase is (a, b), from entry k on; forward, of any. Returns the next entry. */
static size_t add_places(const struct taps *t, const struct room *room, size_t k, size_t weight, size_t plane,
                         size_t a, size_t b)
{
    const size_t down = axis_phases(&t->i), across = axis_phases(&t->j);
    for (size_t u = 0; u < t->i.taps; u++)
        for (size_t v = 0; v < t->j.taps; v++) {
            const size_t i = axis_shift(&t->i, u), j = axis_shift(&t->j, v);
            size_t at = plane + (u % down * across + v % across) * t->plane + i * t->pitch + j;
            if (t->transposed) {
                if (u * t->i.dilation % t->i.stride != a || v * t->j.dilation % t->j.stride != b)
                    continue;
                at = plane + (t->reach_i - i) * t->pitch + t->reach_j - j;
            }
            room->weight_at[k] = (int32_t)(weight + u * t->j.taps + v);
            room->plane_at[k++] = (int32_t)at;
        }
    return k;
}

/* The tables of a slice of the result, of its phase (a, b) where transposed; returns how many places count. */
static size_t make_tables(const struct taps *t, const struct room *room, size_t slice, size_t a, size_t b)
{
    const size_t area = t->i.taps * t->j.taps, filter = t->a.taps * area, x_area = t->i.size * t->j.size;
    size_t k = 0, plane = 0;
    for (size_t s = 0; s < t->sources; s++)
        for (size_t tap = 0; tap < t->a.taps; tap++) {
            const ptrdiff_t at = slice_of(t, slice, tap);
            if (at < 0)
                continue;
            const size_t weight = s * (t->transposed ? t->p->w_filter : filter) + tap * area;
            k = add_places(t, room, k, weight, t->in_place ? (s * t->depth_in + (size_t)at) * x_area : plane,
                           a, b);
            plane += t->phases * t->plane;
        }
    return k;
}

/* Multiplying -------------------------------------------------------------------------------------------- */

/* All positions of a band for up to a tile's rows of weights; the last tile is moved back so as to end
 * with them. */
static void multiply(const struct taps *t, const struct kiln_tiles *tiles, const struct room *room,
                     size_t depth, const float *weight, size_t weight_row, const float *planes, size_t rows,
                     size_t positions)
{
    const size_t wide = (size_t)tiles->columns;
    for (size_t at = 0; at < positions; at += wide) {
        const size_t from = at + wide > positions && positions >= wide ? positions - wide : at;
        tiles->taps[rows](depth, weight, room->weight_at, weight_row, planes + from, room->plane_at,
                          room->out + from, t->out);
    }
}

static size_t positions_of(const struct taps *t, const struct unit *u)
{
    return (u->rows - 1) * t->pitch + t->columns;
}

/* Forward ------------------------------------------------------------------------------------------------ */

static void write_forward(const struct taps *t, const struct unit *u, const float *out, size_t filter,
                          float *y, struct kiln_row_epilogue *epilogue)
{
    const size_t at = t->p->y_first + u->image * t->p->y_image +
                      ((filter * t->slices + u->slice) * t->i.out + u->first) * t->j.out;
    for (size_t i = 0; i < u->rows; i++)
        copy_columns(y + at + i * t->columns, out + i * t->pitch, 1, t->columns);
    kiln_row_epilogue_run(epilogue, y + at, at, 0, t->p->column_first + filter, u->rows * t->columns);
}

static void forward_unit(const struct taps *t, const struct kiln_tiles *tiles, const struct room *room,
                         size_t depth, const struct unit *u, const kiln_memory *m,
                         struct kiln_row_epilogue *epilogue)
{
    const size_t high = (size_t)tiles->rows;
    const float *planes = t->in_place ? read_from(t, u, m) + u->first * t->pitch : room->planes;
    for (size_t row = u->part; row < u->end; row += high) {
        const size_t filter = u->group * t->m + row, rows = u->end - row < high ? u->end - row : high;
        const float *weight = (const float *)m->at[1] + t->p->w_first + filter * t->p->w_filter;
        multiply(t, tiles, room, depth, weight, t->p->w_filter, planes, rows, positions_of(t, u));
        for (size_t i = 0; i < rows; i++)
            write_forward(t, u, room->out + i * t->out, filter + i, m->at[2], epilogue);
    }
}

/* Transposed --------------------------------------------------------------------------------------------- */

/* The element of an axis of x that is number q of a phase; false where it lies outside. */
static bool element_of(const struct axis *x, ptrdiff_t q, size_t phase, size_t *at)
{
    const ptrdiff_t i = q * (ptrdiff_t)x->stride + (ptrdiff_t)phase - x->pad;
    *at = (size_t)i;
    return i >= 0 && i < (ptrdiff_t)x->size;
}

/* The elements of phase (a, b) of one channel's slice. */
static void write_transposed(const struct taps *t, const struct unit *u, const float *out, size_t a, size_t b,
                             float *slice)
{
    const ptrdiff_t stride = (ptrdiff_t)t->j.stride, size = (ptrdiff_t)t->j.size;
    const ptrdiff_t from = t->first_j * stride + (ptrdiff_t)b - t->j.pad; /* column of the first position */
    const ptrdiff_t begin = from < 0 ? (stride - 1 - from) / stride : 0,
                    fit = (size - from + stride - 1) / stride;
    const ptrdiff_t end = fit < (ptrdiff_t)t->columns ? fit : (ptrdiff_t)t->columns;
    size_t row;
    for (size_t i = 0; i < u->rows; i++, out += t->pitch) {
        if (!element_of(&t->i, t->first_i + (ptrdiff_t)(u->first + i), a, &row))
            continue;
        float *to = slice + row * t->j.size;
        if (stride == 1 && begin < end)
            copy_columns(to + from + begin, out + begin, 1, (size_t)(end - begin));
        else
            for (ptrdiff_t j = begin; j < end; j++)
                to[from + j * stride] = out[j];
    }
}

static void transposed_phase(const struct taps *t, const struct kiln_tiles *tiles, const struct room *room,
                             const struct unit *u, const kiln_memory *m, size_t a, size_t b)
{
    const size_t depth = make_tables(t, room, u->slice, a, b), high = (size_t)tiles->rows;
    const size_t filter = t->a.taps * t->i.taps * t->j.taps, area = t->i.size * t->j.size;
    const float *weight = (const float *)m->at[1] + t->p->w_first + u->group * t->sources * t->p->w_filter;
    float *x = (float *)m->at[2] + t->p->x_first + u->image * t->p->x_image;
    for (size_t row = u->part; row < u->end; row += high) {
        const size_t rows = u->end - row < high ? u->end - row : high, channel = u->group * t->m + row;
        multiply(t, tiles, room, depth, weight + row * filter, filter, room->planes, rows,
                 positions_of(t, u));
        for (size_t i = 0; i < rows; i++)
            write_transposed(t, u, room->out + i * t->out, a, b,
                             x + ((channel + i) * t->slices + u->slice) * area);
    }
}

/* The epilogue on what a unit wrote: whole rows, of all its phases, that lie one behind the other. */
static void finish_rows(const struct taps *t, const struct unit *u, float *x,
                        struct kiln_row_epilogue *epilogue)
{
    const ptrdiff_t stride = (ptrdiff_t)t->i.stride, size = (ptrdiff_t)t->i.size;
    const ptrdiff_t top = (t->first_i + (ptrdiff_t)u->first) * stride - t->i.pad;
    const ptrdiff_t bottom = top + (ptrdiff_t)u->rows * stride;
    const size_t begin = top < 0 ? 0 : (size_t)top, end = (size_t)(bottom < size ? bottom : size);
    for (size_t c = u->part; c < u->end && begin < end; c++) {
        const size_t channel = u->group * t->m + c;
        const size_t at = t->p->x_first + u->image * t->p->x_image +
                          ((channel * t->slices + u->slice) * t->i.size + begin) * t->j.size;
        kiln_row_epilogue_run(epilogue, x + at, at, 0, t->p->column_first + channel,
                              (end - begin) * t->j.size);
    }
}

static void transposed_unit(const struct taps *t, const struct kiln_tiles *tiles, const struct room *room,
                            const struct unit *u, const kiln_memory *m, struct kiln_row_epilogue *epilogue)
{
    for (size_t a = 0; a < t->i.stride; a++)
        for (size_t b = 0; b < t->j.stride; b++)
            transposed_phase(t, tiles, room, u, m, a, b);
    if (epilogue->steps)
        finish_rows(t, u, m->at[2], epilogue);
}

/* The variant -------------------------------------------------------------------------------------------- */

static void taps_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct taps t = taps_of(d);
    const struct kiln_tiles *tiles = kiln_tiles_get();
    const struct room room = room_of(&t, m);
    struct kiln_row_epilogue epilogue;
    size_t depth = 0, slice = SIZE_MAX; /* of which the tables are */
    kiln_row_epilogue_init(&epilogue, d->constants, t.p->immediate, m->at + 3, true);

    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&t, index);
        if (!t.in_place && !same_planes(&t, index, first))
            copy_planes(&t, &room, &u, read_from(&t, &u, m));
        if (t.transposed) {
            transposed_unit(&t, tiles, &room, &u, m, &epilogue);
            continue;
        }
        if (slice != u.slice)
            depth = make_tables(&t, &room, slice = u.slice, 0, 0);
        forward_unit(&t, tiles, &room, depth, &u, m, &epilogue);
    }
}

static uint64_t taps_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct taps t = taps_of(d);
    (void)caps;
    return (uint64_t)t.p->images * t.p->groups * t.slices * t.bands * t.parts;
}

static uint64_t taps_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct taps t = taps_of(d);
    return room_size(&t);
}

static bool taps_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((const struct kiln_params_conv *)d->block.words)->pieces == 1;
}

const kiln_variant kiln_cpu_conv_taps = {
    .name = "taps",
    .accepts = taps_accepts,
    .groups = taps_units,
    .scratch = taps_scratch,
    .run = taps_run,
};
