/*
 * conv_dots.c - the gradient of convolution by its filters, as products of rows with rows.
 *
 *   dw[s, o, c, u, v] = sum over n of split s, and t, of dy[n, o, t] * plane[n, c, phase(u, v)][t + shift(u, v)]
 *
 * with planes as in conv_plane.h and dy at their pitch, zeros between its rows: both operands are then
 * runs of consecutive floats, for which tile.h has the products of 3 rows with 4.
 *
 * A unit of work is a split, a group, some filters and some channels. It goes through its images in bands
 * of rows that fit into the second cache, several images at a time where they are small.
 */
#include "base/number.h"
#include "conv/conv2d.h"
#include "cpu/conv_plane.h"
#include "cpu/tile.h"
#include "device/caps.h"
#include "device/variants.h"

#define ROOM     49152 /* floats of both operands of a unit, about */
#define FILTERS  48    /* of a unit, at most */
#define CHANNELS 16
#define IMAGES   16 /* at a time, at most */

struct dots {
    const struct kiln_params_conv2d *p;
    struct axis i, j;
    size_t splits, per_split;
    size_t filters, channels; /* of a unit */
    size_t filter_parts, channel_parts;
    size_t phases, reach_i, pitch;
    size_t band, images; /* rows, images at a time */
    size_t run;          /* floats of dy's band: whole vectors */
    size_t plane;
};

static struct dots dots_of(const struct kiln_params_conv2d *p)
{
    struct dots t = {
        .p = p,
        .i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
        .j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow},
        .per_split = p->per_split ? p->per_split : 1,
    };
    t.splits = p->images ? (p->images + t.per_split - 1) / t.per_split : 1;
    t.filters = p->filters < FILTERS ? p->filters : FILTERS;
    t.channels = p->channels < CHANNELS ? p->channels : CHANNELS;
    t.filter_parts = (p->filters + t.filters - 1) / t.filters;
    t.channel_parts = (p->channels + t.channels - 1) / t.channels;
    t.phases = axis_phases(&t.i) * axis_phases(&t.j);
    t.reach_i = axis_reach(&t.i);
    t.pitch = p->ow + axis_reach(&t.j);

    const size_t row = (t.filters + t.channels * t.phases) * t.pitch; /* floats of one row of everything */
    const size_t fixed = t.channels * t.phases * t.reach_i * t.pitch;
    const size_t high = ROOM > fixed + row ? (ROOM - fixed) / row : 1;
    t.band = high < p->oh ? high : p->oh;
    t.run = kiln_round_up(t.band * t.pitch, KILN_DOTS_DEPTH);
    t.plane = (t.band + t.reach_i) * t.pitch;
    const size_t image = t.filters * t.run + t.channels * t.phases * t.plane;
    t.images = t.band < p->oh ? 1 : ROOM / image;
    t.images = t.images < IMAGES ? t.images : IMAGES;
    t.images = t.images < t.per_split ? t.images : t.per_split;
    t.images = t.images ? t.images : 1;
    return t;
}

/* Scratch of a worker: planes [channel, phase, image], dy [filter, image], and zeros where the last run
 * reads beyond. */
static size_t planes_of(const struct dots *t)
{
    return kiln_round_up(t->channels * t->phases * t->images * t->plane + KILN_DOTS_DEPTH, 16);
}

static size_t room_of(const struct dots *t)
{
    return planes_of(t) + t->filters * t->images * t->run;
}

/* A unit, taken apart. */
struct unit {
    size_t split, group, filter, filters, channel, channels; /* filter and channel within the group */
};

static struct unit unit_of(const struct dots *t, size_t index)
{
    const size_t channel = index % t->channel_parts * t->channels;
    const size_t filter = index / t->channel_parts % t->filter_parts * t->filters;
    const size_t rest = index / t->channel_parts / t->filter_parts;
    return (struct unit){
        .split = rest / t->p->groups,
        .group = rest % t->p->groups,
        .filter = filter,
        .filters = t->p->filters - filter < t->filters ? t->p->filters - filter : t->filters,
        .channel = channel,
        .channels = t->p->channels - channel < t->channels ? t->p->channels - channel : t->channels,
    };
}

/* Rows `first` .. of the output, in image n, to place `slot`. */
static void copy_planes(const struct dots *t, const struct unit *u, float *planes, const float *x, size_t n,
                        size_t slot, size_t first)
{
    const size_t down = axis_phases(&t->i), across = axis_phases(&t->j);
    const float *picture =
        x + n * t->p->x_image + (u->group * t->p->channels + u->channel) * t->i.size * t->j.size;
    float *to = planes + slot * t->plane;
    for (size_t c = 0; c < u->channels; c++, picture += t->i.size * t->j.size)
        for (size_t a = 0; a < down; a++)
            for (size_t b = 0; b < across; b++, to += t->images * t->plane) {
                const struct window w = {
                    .first_row = (ptrdiff_t)(first * t->i.stride + a * t->i.dilation % t->i.stride) -
                                 (ptrdiff_t)t->i.pad,
                    .first_column = (ptrdiff_t)(b * t->j.dilation % t->j.stride) - (ptrdiff_t)t->j.pad,
                    .row_step = (ptrdiff_t)t->i.stride,
                    .column_step = (ptrdiff_t)t->j.stride,
                    .rows = t->band + t->reach_i,
                    .pitch = t->pitch,
                };
                plane_copy(to, picture, t->i.size, t->j.size, &w);
            }
}

static void copy_dy(const struct dots *t, const struct unit *u, float *to, const float *dy, size_t n,
                    size_t slot, size_t first)
{
    const size_t rows = t->i.out - first < t->band ? t->i.out - first : t->band;
    const float *from =
        dy + n * t->p->y_image + ((u->group * t->p->filters + u->filter) * t->i.out + first) * t->j.out;
    to += slot * t->run;
    for (size_t o = 0; o < u->filters; o++, to += t->images * t->run, from += t->i.out * t->j.out) {
        memset(to, 0, t->run * sizeof *to);
        for (size_t i = 0; i < rows; i++)
            memcpy(to + i * t->pitch, from + i * t->j.out, t->j.out * sizeof *to);
    }
}

/* Floats from plane 0 to the one that place k = (c, u, v) meets, and on to its first position. */
static size_t place(const struct dots *t, size_t k)
{
    const size_t v = k % t->j.taps, u = k / t->j.taps % t->i.taps, c = k / t->j.taps / t->i.taps;
    const size_t across = axis_phases(&t->j), phase = u % axis_phases(&t->i) * across + v % across;
    return (c * t->phases + phase) * t->images * t->plane + axis_shift(&t->i, u) * t->pitch +
           axis_shift(&t->j, v);
}

/* Add the products of `images` images' bands to dw, which begins at the unit's first filter and channel. */
static void add_products(const struct dots *t, const struct kiln_tiles *tiles, const struct unit *u,
                         const float *planes, const float *dy, size_t images, float *dw)
{
    const size_t places = u->channels * t->i.taps * t->j.taps,
                 filter = (size_t)t->p->channels * t->i.taps * t->j.taps;
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
    const size_t filter = (size_t)t->p->channels * t->i.taps * t->j.taps, place = t->i.taps * t->j.taps;
    const size_t begin = u->split * t->per_split;
    const size_t end = begin + t->per_split < t->p->images ? begin + t->per_split : t->p->images;
    float *dy = planes + planes_of(t);
    float *dw = (float *)m->at[2] + u->split * t->p->part + (u->group * t->p->filters + u->filter) * filter +
                u->channel * place;

    for (size_t o = 0; o < u->filters; o++)
        memset(dw + o * filter, 0, u->channels * place * sizeof *dw);
    for (size_t n = begin; n < end; n += t->images)
        for (size_t first = 0; first < t->i.out; first += t->band) {
            const size_t images = end - n < t->images ? end - n : t->images;
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
    const struct dots t = dots_of((const struct kiln_params_conv2d *)d->block.words);
    (void)caps;
    return (uint64_t)t.splits * t.p->groups * t.filter_parts * t.channel_parts;
}

static uint64_t dots_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct dots t = dots_of((const struct kiln_params_conv2d *)d->block.words);
    return (uint64_t)caps->threads * room_of(&t) * sizeof(float);
}

static void dots_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct dots t = dots_of((const struct kiln_params_conv2d *)d->block.words);
    const struct kiln_tiles *tiles = kiln_tiles_get();
    float *planes = (float *)m->scratch + (size_t)worker * room_of(&t);
    memset(planes, 0, planes_of(&t) * sizeof *planes); /* runs read on into what no picture fills */
    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&t, index);
        run_unit(&t, tiles, &u, m, planes);
    }
}

const kiln_variant kiln_cpu_conv2d_grad_filter_dots = {
    .name = "dots",
    .groups = dots_units,
    .scratch = dots_scratch,
    .run = dots_run,
};
