/*
 * conv_dots.c - the gradient of convolution by its filters, as products of rows with rows.
 *
 *   dw[s, o, c, u, v] = sum over n of split s, and t, of dy[n, o, t] * plane[n, c, phase(u, v)][t + shift(u, v)]
 *
 * with planes as in conv_plane.h and dy at their pitch, zeros between its rows: both operands are then
 * runs of consecutive floats, for which tile.h has the products of 3 rows with 4. Of three axes the first
 * counts with the rest: a slice of dy is an image, and what its place in the filter meets of x is a channel,
 * here called a source, (c, t).
 *
 * A unit of work is a split, a group, some filters and some sources. It goes through its images in bands
 * of rows that fit into the second cache, several images at a time where they are small.
 */
#include "base/number.h"
#include "conv/conv.h"
#include "cpu/conv_plane.h"
#include "cpu/tile.h"
#include "device/caps.h"
#include "device/variants.h"

#define ROOM    49152 /* floats of both operands of a unit, about */
#define FILTERS 48    /* of a unit, at most */
#define SOURCES 16
#define IMAGES  16 /* at a time, at most */

struct dots {
    const struct kiln_params_conv *p;
    struct axis a, i, j;
    size_t splits, per_split;
    size_t all;              /* sources of a group */
    size_t filters, sources; /* of a unit */
    size_t filter_parts, source_parts;
    size_t phases, reach_i, pitch;
    size_t band, images; /* rows, images at a time */
    size_t run;          /* floats of dy's band: whole vectors */
    size_t plane;
};

static struct dots dots_of(const struct kiln_params_conv *p)
{
    struct dots t = {
        .p = p,
        .a = {p->t, p->stride_a, p->dilation_a, p->pad_a, p->d, p->od},
        .i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
        .j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow},
        .per_split = p->per_split ? p->per_split : 1,
    };
    t.splits = p->images ? (p->images + t.per_split - 1) / t.per_split : 1;
    t.all = (size_t)p->channels * p->t;
    t.filters = p->filters < FILTERS ? p->filters : FILTERS;
    t.sources = t.all < SOURCES ? t.all : SOURCES;
    t.filter_parts = (p->filters + t.filters - 1) / t.filters;
    t.source_parts = (t.all + t.sources - 1) / t.sources;
    t.phases = axis_phases(&t.i) * axis_phases(&t.j);
    t.reach_i = axis_reach(&t.i);
    t.pitch = p->ow + axis_reach(&t.j);

    const size_t row = (t.filters + t.sources * t.phases) * t.pitch; /* floats of one row of everything */
    const size_t fixed = t.sources * t.phases * t.reach_i * t.pitch;
    const size_t high = ROOM > fixed + row ? (ROOM - fixed) / row : 1;
    t.band = high < p->oh ? high : p->oh;
    t.run = kiln_round_up(t.band * t.pitch, KILN_DOTS_DEPTH);
    t.plane = (t.band + t.reach_i) * t.pitch;
    const size_t image = t.filters * t.run + t.sources * t.phases * t.plane;
    t.images = t.band < p->oh ? 1 : ROOM / image;
    t.images = t.images < IMAGES ? t.images : IMAGES;
    t.images = t.images < t.per_split * p->od ? t.images : t.per_split * p->od;
    t.images = t.images ? t.images : 1;
    return t;
}

/* Scratch of a worker: planes [source, phase, image], dy [filter, image], and zeros where the last run
 * reads beyond. */
static size_t planes_of(const struct dots *t)
{
    return kiln_round_up(t->sources * t->phases * t->images * t->plane + KILN_DOTS_DEPTH, 16);
}

static size_t room_of(const struct dots *t)
{
    return planes_of(t) + t->filters * t->images * t->run;
}

/* A unit, taken apart. */
struct unit {
    size_t split, group, filter, filters, source, sources; /* filter and source within the group */
};

static struct unit unit_of(const struct dots *t, size_t index)
{
    const size_t source = index % t->source_parts * t->sources;
    const size_t filter = index / t->source_parts % t->filter_parts * t->filters;
    const size_t rest = index / t->source_parts / t->filter_parts;
    return (struct unit){
        .split = rest / t->p->groups,
        .group = rest % t->p->groups,
        .filter = filter,
        .filters = t->p->filters - filter < t->filters ? t->p->filters - filter : t->filters,
        .source = source,
        .sources = t->all - source < t->sources ? t->all - source : t->sources,
    };
}

/* Where a source begins in an image of x, at one slice of dy; NULL where it meets none. */
static const float *source_at(const struct dots *t, const struct unit *u, const float *x, size_t source,
                              size_t slice)
{
    const size_t channel = u->group * t->p->channels + source / t->a.taps, tap = source % t->a.taps;
    const ptrdiff_t at = (ptrdiff_t)(slice * t->a.stride + tap * t->a.dilation) - t->a.pad;
    if (at < 0 || at >= (ptrdiff_t)t->a.size)
        return NULL;
    return x + (channel * t->a.size + (size_t)at) * t->i.size * t->j.size;
}

/* Rows `first` .. of slice n of dy, as far as x is concerned, to place `slot`. */
static void copy_planes(const struct dots *t, const struct unit *u, float *planes, const float *x, size_t n,
                        size_t slot, size_t first)
{
    const size_t down = axis_phases(&t->i), across = axis_phases(&t->j);
    const float *image = x + t->p->x_first + n / t->a.out * t->p->x_image;
    float *to = planes + slot * t->plane;
    for (size_t s = 0; s < u->sources; s++) {
        const float *picture = source_at(t, u, image, u->source + s, n % t->a.out);
        for (size_t a = 0; a < down; a++)
            for (size_t b = 0; b < across; b++, to += t->images * t->plane) {
                const struct window w = {
                    .first_row =
                        (ptrdiff_t)(first * t->i.stride + a * t->i.dilation % t->i.stride) - t->i.pad,
                    .first_column = (ptrdiff_t)(b * t->j.dilation % t->j.stride) - t->j.pad,
                    .row_step = (ptrdiff_t)t->i.stride,
                    .column_step = (ptrdiff_t)t->j.stride,
                    .rows = t->band + t->reach_i,
                    .pitch = t->pitch,
                };
                if (picture)
                    plane_copy(to, picture, t->i.size, t->j.size, &w);
                else
                    memset(to, 0, t->plane * sizeof *to);
            }
    }
}

static void copy_dy(const struct dots *t, const struct unit *u, float *to, const float *dy, size_t n,
                    size_t slot, size_t first)
{
    const size_t rows = t->i.out - first < t->band ? t->i.out - first : t->band;
    const size_t filter = u->group * t->p->filters + u->filter, area = t->i.out * t->j.out;
    const float *from = dy + t->p->y_first + n / t->a.out * t->p->y_image +
                        (filter * t->a.out + n % t->a.out) * area + first * t->j.out;
    to += slot * t->run;
    for (size_t o = 0; o < u->filters; o++, to += t->images * t->run, from += t->a.out * area) {
        memset(to, 0, t->run * sizeof *to);
        for (size_t i = 0; i < rows; i++)
            memcpy(to + i * t->pitch, from + i * t->j.out, t->j.out * sizeof *to);
    }
}

/* Floats from plane 0 to the one that place k = (source, u, v) meets, and on to its first position. */
static size_t place(const struct dots *t, size_t k)
{
    const size_t v = k % t->j.taps, u = k / t->j.taps % t->i.taps, c = k / t->j.taps / t->i.taps;
    const size_t across = axis_phases(&t->j), phase = u % axis_phases(&t->i) * across + v % across;
    return (c * t->phases + phase) * t->images * t->plane + axis_shift(&t->i, u) * t->pitch +
           axis_shift(&t->j, v);
}

/* Add the products of `images` images' bands to dw, which begins at the unit's first filter and source. */
static void add_products(const struct dots *t, const struct kiln_tiles *tiles, const struct unit *u,
                         const float *planes, const float *dy, size_t images, float *dw)
{
    const size_t places = u->sources * t->i.taps * t->j.taps, filter = t->p->w_filter;
    for (size_t k = 0; k < places; k += KILN_DOTS_B) {
        const float *b[KILN_DOTS_B];
        for (size_t j = 0; j < KILN_DOTS_B; j++) /* beyond the edge the last place again */
            b[j] = planes + place(t, k + j < places ? k + j : places - 1);
        for (size_t o = 0; o < u->filters; o += KILN_DOTS_A) {
            const float *a[KILN_DOTS_A];
            float sum[KILN_DOTS_A * KILN_DOTS_B];
            for (size_t i = 0; i < KILN_DOTS_A; i++)
                a[i] = dy + (o + i < u->filters ? o + i : u->filters - 1) * t->images * t->run;
            tiles->dots(t->run, images, a, t->run, b, t->plane, sum);
            for (size_t i = 0; i < KILN_DOTS_A && o + i < u->filters; i++)
                for (size_t j = 0; j < KILN_DOTS_B && k + j < places; j++)
                    dw[(o + i) * filter + k + j] += sum[i * KILN_DOTS_B + j];
        }
    }
}

static void run_unit(const struct dots *t, const struct kiln_tiles *tiles, const struct unit *u,
                     const kiln_memory *m, float *planes)
{
    const size_t filter = t->p->w_filter, place = t->i.taps * t->j.taps;
    const size_t begin = u->split * t->per_split;
    const size_t end = begin + t->per_split < t->p->images ? begin + t->per_split : t->p->images;
    float *dy = planes + planes_of(t);
    float *dw = (float *)m->at[2] + t->p->w_first + u->split * t->p->part +
                (u->group * t->p->filters + u->filter) * filter + u->source * place;

    for (size_t o = 0; o < u->filters; o++)
        memset(dw + o * filter, 0, u->sources * place * sizeof *dw);
    for (size_t n = begin * t->a.out; n < end * t->a.out; n += t->images)
        for (size_t first = 0; first < t->i.out; first += t->band) {
            const size_t left = end * t->a.out - n, images = left < t->images ? left : t->images;
            for (size_t slot = 0; slot < images; slot++) {
                copy_planes(t, u, planes, m->at[1], n + slot, slot, first);
                copy_dy(t, u, dy, m->at[0], n + slot, slot, first);
            }
            add_products(t, tiles, u, planes, dy, images, dw);
        }
}

/* The variant -------------------------------------------------------------------------------------------- */

static uint64_t dots_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct dots t = dots_of((const struct kiln_params_conv *)d->block.words);
    (void)caps;
    return (uint64_t)t.splits * t.p->groups * t.filter_parts * t.source_parts;
}

static uint64_t dots_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct dots t = dots_of((const struct kiln_params_conv *)d->block.words);
    return room_of(&t) * sizeof(float);
}

static void dots_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct dots t = dots_of((const struct kiln_params_conv *)d->block.words);
    const struct kiln_tiles *tiles = kiln_tiles_get();
    float *planes = m->scratch;
    memset(planes, 0, planes_of(&t) * sizeof *planes); /* runs read on into what no picture fills */
    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&t, index);
        run_unit(&t, tiles, &u, m, planes);
    }
}

static bool dots_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((const struct kiln_params_conv *)d->block.words)->pieces == 1;
}

const kiln_variant kiln_cpu_conv_grad_filter_dots = {
    .name = "dots",
    .accepts = dots_accepts,
    .groups = dots_units,
    .scratch = dots_scratch,
    .run = dots_run,
};
