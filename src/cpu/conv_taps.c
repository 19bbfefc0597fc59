/*
 * conv_taps.c - convolution and its gradient by the input, without building any matrix.
 *
 * Both are sums over taps: out[m, t] = sum over k of weight[m, k] * plane[k][t + shift[k]], where t counts
 * positions at the pitch of planes laid out by conv_plane.h. The tile of tile.h walks them by two tables,
 * one for weights, which are read where they lie, one for planes. Positions between the end of a row and
 * the pitch are computed and thrown away.
 *
 *               rows m     taps k      planes                      written
 *   conv2d      filters    (c, u, v)   x with zeros, in phases     y
 *   grad_input  channels   (o, u, v)   dy with zeros               dx, a phase at a time: pixels q s + a - pad,
 *                                                                  whose taps are u with u d % s = a
 *
 * A unit of work is an image, a group, a band of rows and a part of the rows m; it copies the planes it
 * needs.
 */
#include "base/number.h"
#include "conv/conv2d.h"
#include "cpu/conv_plane.h"
#include "cpu/epilogue_fast.h"
#include "cpu/tile.h"
#include "device/caps.h"
#include "device/variants.h"

#define PLANES 49152 /* floats of the planes of a unit, about: they stay in the second cache */
#define UNITS  16    /* at least, where there are rows m enough */

struct taps {
    const struct kiln_params_conv2d *p;
    struct axis i, j;
    bool backward;           /* grad_input */
    bool in_place;           /* the planes are the picture as it is */
    size_t m, sources;       /* rows; planes of a group before phases */
    size_t phases;           /* planes of each source */
    size_t first_i, first_j; /* q of the first row and column written (backward) */
    size_t rows, columns;    /* positions of an image */
    size_t pitch, reach_i, reach_j;
    size_t band, bands; /* rows of a band; bands of an image */
    size_t plane;       /* floats of a band's plane */
    size_t part, parts; /* rows m of a part; parts */
    size_t depth;       /* taps at most */
    size_t out;         /* floats of a row of results */
};

static struct taps common(const struct kiln_params_conv2d *p)
{
    return (struct taps){
        .p = p,
        .i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
        .j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow},
    };
}

/* Bands, parts and what follows from them. */
static void divide(struct taps *t)
{
    const size_t row = t->sources * t->phases * t->pitch; /* floats of one row of all planes */
    const size_t high = PLANES / row > t->reach_i ? PLANES / row - t->reach_i : 1;
    t->bands = (t->rows + high - 1) / high;
    t->band = (t->rows + t->bands - 1) / t->bands;
    t->bands = (t->rows + t->band - 1) / t->band;
    t->plane = (t->band + t->reach_i) * t->pitch;
    t->out = kiln_round_up(t->band * t->pitch, KILN_TILE_COLUMNS);

    const size_t units = (size_t)t->p->images * t->p->groups * t->bands;
    size_t parts = units < UNITS ? (UNITS + units - 1) / units : 1;
    const size_t most = (t->m + KILN_TILE_ROWS - 1) / KILN_TILE_ROWS;
    parts = parts < most ? parts : most;
    t->part = kiln_round_up((t->m + parts - 1) / parts, KILN_TILE_ROWS);
    t->parts = (t->m + t->part - 1) / t->part;
}

static struct taps forward_taps(const struct kiln_params_conv2d *p)
{
    struct taps t = common(p);
    t.m = p->filters;
    t.sources = p->channels;
    t.phases = axis_phases(&t.i) * axis_phases(&t.j);
    t.rows = p->oh;
    t.columns = p->ow;
    t.reach_i = axis_reach(&t.i);
    t.reach_j = axis_reach(&t.j);
    t.pitch = p->ow + t.reach_j;
    t.depth = (size_t)p->channels * p->u * p->v;
    divide(&t);
    t.in_place = p->stride_i == 1 && p->stride_j == 1 && p->pad_i == 0 && p->pad_j == 0 && t.pitch == p->w &&
                 p->oh + t.reach_i == p->h && p->ow >= KILN_TILE_COLUMNS;
    return t;
}

static struct taps backward_taps(const struct kiln_params_conv2d *p)
{
    struct taps t = common(p);
    t.backward = true;
    t.m = p->channels;
    t.sources = p->filters;
    t.phases = 1;
    t.first_i = p->pad_i / p->stride_i;
    t.first_j = p->pad_j / p->stride_j;
    t.rows = (p->pad_i + p->h - 1) / p->stride_i - t.first_i + 1;
    t.columns = (p->pad_j + p->w - 1) / p->stride_j - t.first_j + 1;
    t.reach_i = axis_reach(&t.i);
    t.reach_j = axis_reach(&t.j);
    t.pitch = t.columns + t.reach_j;
    t.depth = (size_t)p->filters * p->u * p->v;
    divide(&t);
    return t;
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

static size_t planes_of(const struct taps *t)
{
    return kiln_round_up(t->sources * t->phases * t->plane + KILN_TILE_COLUMNS,
                         16); /* the last tile reads beyond */
}

static size_t room_size(const struct taps *t)
{
    return 4 * (2 * tables_of(t) + planes_of(t) + KILN_TILE_ROWS * t->out);
}

static struct room room_of(const struct taps *t, const kiln_memory *m, int worker)
{
    int32_t *tables = (int32_t *)(void *)((char *)m->scratch + (size_t)worker * room_size(t));
    float *floats = (float *)(void *)(tables + 2 * tables_of(t));
    return (struct room){tables, tables + tables_of(t), floats, floats + planes_of(t)};
}

/* Planes ------------------------------------------------------------------------------------------------- */

/* x from output row `first` on, in all phases that the filter meets. */
static void copy_forward(const struct taps *t, float *to, const float *x, size_t first)
{
    const size_t down = axis_phases(&t->i), across = axis_phases(&t->j);
    for (size_t c = 0; c < t->sources; c++, x += t->i.size * t->j.size)
        for (size_t a = 0; a < down; a++)
            for (size_t b = 0; b < across; b++, to += t->plane) {
                const struct window w = {
                    .first_row = (ptrdiff_t)(first * t->i.stride + a * t->i.dilation % t->i.stride) -
                                 (ptrdiff_t)t->i.pad,
                    .first_column = (ptrdiff_t)(b * t->j.dilation % t->j.stride) - (ptrdiff_t)t->j.pad,
                    .row_step = (ptrdiff_t)t->i.stride,
                    .column_step = (ptrdiff_t)t->j.stride,
                    .rows = t->band + t->reach_i,
                    .pitch = t->pitch,
                };
                plane_copy(to, x, t->i.size, t->j.size, &w);
            }
}

/* dy as far as pixels from q row first_i + `first` on meet it. */
static void copy_backward(const struct taps *t, float *to, const float *dy, size_t first)
{
    const struct window w = {
        .first_row = (ptrdiff_t)(t->first_i + first) - (ptrdiff_t)t->reach_i,
        .first_column = (ptrdiff_t)t->first_j - (ptrdiff_t)t->reach_j,
        .row_step = 1,
        .column_step = 1,
        .rows = t->band + t->reach_i,
        .pitch = t->pitch,
    };
    for (size_t o = 0; o < t->sources; o++, dy += t->i.out * t->j.out, to += t->plane)
        plane_copy(to, dy, t->i.out, t->j.out, &w);
}

/* Tables ------------------------------------------------------------------------------------------------- */

static size_t forward_table(const struct taps *t, const struct room *room)
{
    const size_t down = axis_phases(&t->i), across = axis_phases(&t->j);
    const size_t source = t->in_place ? t->i.size * t->j.size : t->phases * t->plane;
    size_t k = 0;
    for (size_t c = 0; c < t->sources; c++)
        for (size_t u = 0; u < t->i.taps; u++)
            for (size_t v = 0; v < t->j.taps; v++, k++) {
                const size_t phase = u % down * across + v % across;
                room->weight_at[k] = (int32_t)k;
                room->plane_at[k] = (int32_t)(c * source + phase * t->plane +
                                              axis_shift(&t->i, u) * t->pitch + axis_shift(&t->j, v));
            }
    return k;
}

/* The taps of phase (a, b) of the pixels. */
static size_t backward_table(const struct taps *t, const struct room *room, size_t a, size_t b)
{
    const size_t filter = t->i.taps * t->j.taps;
    size_t k = 0;
    for (size_t o = 0; o < t->sources; o++)
        for (size_t u = 0; u < t->i.taps; u++)
            for (size_t v = 0; v < t->j.taps; v++) {
                if (u * t->i.dilation % t->i.stride != a || v * t->j.dilation % t->j.stride != b)
                    continue;
                room->weight_at[k] = (int32_t)(o * t->m * filter + u * t->j.taps + v);
                room->plane_at[k] = (int32_t)(o * t->plane + (t->reach_i - axis_shift(&t->i, u)) * t->pitch +
                                              t->reach_j - axis_shift(&t->j, v));
                k++;
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

/* A unit, taken apart. */
struct unit {
    size_t image, group, first, rows; /* of the band */
    size_t part, end;                 /* rows m */
};

static struct unit unit_of(const struct taps *t, size_t index)
{
    const size_t part = index % t->parts * t->part, first = index / t->parts % t->bands * t->band;
    const size_t group = index / t->parts / t->bands;
    return (struct unit){
        .image = group / t->p->groups,
        .group = group % t->p->groups,
        .first = first,
        .rows = t->rows - first < t->band ? t->rows - first : t->band,
        .part = part,
        .end = part + t->part < t->m ? part + t->part : t->m,
    };
}

/* Whether the planes of unit `index` are those of the one before it. */
static bool same_planes(const struct taps *t, size_t index, size_t first)
{
    return index > first && index % t->parts != 0;
}

static size_t positions_of(const struct taps *t, const struct unit *u)
{
    return (u->rows - 1) * t->pitch + t->columns;
}

/* conv2d ------------------------------------------------------------------------------------------------- */

static void write_forward(const struct taps *t, const struct unit *u, const float *out, size_t filter,
                          float *y, struct kiln_row_epilogue *epilogue)
{
    for (size_t i = 0; i < u->rows; i++) {
        const size_t at = u->image * t->p->y_image + (filter * t->i.out + u->first + i) * t->j.out;
        memcpy(y + at, out + i * t->pitch, t->columns * sizeof *y);
        kiln_row_epilogue_run(epilogue, y + at, at, 0, filter, t->columns);
    }
}

static void forward_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct taps t = forward_taps((const struct kiln_params_conv2d *)d->block.words);
    const struct kiln_tiles *tiles = kiln_tiles_get();
    const struct room room = room_of(&t, m, worker);
    const size_t depth = forward_table(&t, &room), high = (size_t)tiles->rows;
    struct kiln_row_epilogue epilogue;
    kiln_row_epilogue_init(&epilogue, d, t.p->immediate, m, true);

    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&t, index);
        const float *x =
            (const float *)m->at[0] + u.image * t.p->x_image + u.group * t.sources * t.i.size * t.j.size;
        if (!t.in_place && !same_planes(&t, index, first))
            copy_forward(&t, room.planes, x, u.first);
        const float *planes = t.in_place ? x + u.first * t.pitch : room.planes;
        for (size_t row = u.part; row < u.end; row += high) {
            const size_t filter = u.group * t.m + row, rows = u.end - row < high ? u.end - row : high;
            multiply(&t, tiles, &room, depth, (const float *)m->at[1] + filter * depth, depth, planes, rows,
                     positions_of(&t, &u));
            for (size_t i = 0; i < rows; i++)
                write_forward(&t, &u, room.out + i * t.out, filter + i, m->at[2], &epilogue);
        }
    }
}

static uint64_t units_of(const struct taps *t)
{
    return (uint64_t)t->p->images * t->p->groups * t->bands * t->parts;
}

static uint64_t forward_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct taps t = forward_taps((const struct kiln_params_conv2d *)d->block.words);
    (void)caps;
    return units_of(&t);
}

static uint64_t forward_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct taps t = forward_taps((const struct kiln_params_conv2d *)d->block.words);
    return (uint64_t)caps->threads * room_size(&t);
}

const kiln_variant kiln_cpu_conv2d_taps = {
    .name = "taps",
    .groups = forward_units,
    .scratch = forward_scratch,
    .run = forward_run,
};

/* grad_input --------------------------------------------------------------------------------------------- */

/* The pixels of phase (a, b) of one channel. */
static void write_backward(const struct taps *t, const struct unit *u, const float *out, size_t a, size_t b,
                           float *dx)
{
    for (size_t i = 0; i < u->rows; i++, out += t->pitch) {
        const size_t row = (t->first_i + u->first + i) * t->i.stride + a; /* padded */
        if (row < t->i.pad || row - t->i.pad >= t->i.size)
            continue;
        float *to = dx + (row - t->i.pad) * t->j.size;
        for (size_t j = 0; j < t->columns; j++) {
            const size_t column = (t->first_j + j) * t->j.stride + b;
            if (column >= t->j.pad && column - t->j.pad < t->j.size)
                to[column - t->j.pad] = out[j];
        }
    }
}

static void backward_phase(const struct taps *t, const struct kiln_tiles *tiles, const struct room *room,
                           const struct unit *u, const kiln_memory *m, size_t a, size_t b)
{
    const size_t depth = backward_table(t, room, a, b), high = (size_t)tiles->rows,
                 filter = t->i.taps * t->j.taps;
    const float *weight = (const float *)m->at[1] + u->group * t->sources * t->m * filter;
    float *dx = (float *)m->at[2] + u->image * t->p->x_image;
    for (size_t row = u->part; row < u->end; row += high) {
        const size_t rows = u->end - row < high ? u->end - row : high, channel = u->group * t->m + row;
        multiply(t, tiles, room, depth, weight + row * filter, filter, room->planes, rows,
                 positions_of(t, u));
        for (size_t i = 0; i < rows; i++)
            write_backward(t, u, room->out + i * t->out, a, b, dx + (channel + i) * t->i.size * t->j.size);
    }
}

static void backward_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct taps t = backward_taps((const struct kiln_params_conv2d *)d->block.words);
    const struct kiln_tiles *tiles = kiln_tiles_get();
    const struct room room = room_of(&t, m, worker);
    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&t, index);
        if (!same_planes(&t, index, first))
            copy_backward(&t, room.planes,
                          (const float *)m->at[0] + u.image * t.p->y_image +
                              u.group * t.sources * t.i.out * t.j.out,
                          u.first);
        for (size_t a = 0; a < t.i.stride; a++)
            for (size_t b = 0; b < t.j.stride; b++)
                backward_phase(&t, tiles, &room, &u, m, a, b);
    }
}

static uint64_t backward_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct taps t = backward_taps((const struct kiln_params_conv2d *)d->block.words);
    (void)caps;
    return units_of(&t);
}

static uint64_t backward_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct taps t = backward_taps((const struct kiln_params_conv2d *)d->block.words);
    return (uint64_t)caps->threads * room_size(&t);
}

const kiln_variant kiln_cpu_conv2d_grad_input_taps = {
    .name = "taps",
    .groups = backward_units,
    .scratch = backward_scratch,
    .run = backward_run,
};
