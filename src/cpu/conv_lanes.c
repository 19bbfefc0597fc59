/*
 * conv_lanes.c - the gradient of convolution by its filters, with filters in the lanes of tiles.
 *
 *   dw[s, o, c, u, v] = sum over n of split s, and t, of x[n, c, place(u, v) + at(t)] * dy[n, o, t]
 *
 * It is a product whose rows are places of the filter (c, u, v), whose columns are filters, and whose terms are positions of dy,
 * which is turned so that its filters lie side by side. A row begins where its place meets the first position, and a table leads
 * from there to the others, whatever the stride is: x is read as it lies, or, where the filter reaches beyond, with its zeros around
 * it.
 *
 * A unit of work is a split, a group, a block of filters and some channels. It goes through its images in bands of rows, several
 * images at a time where they are small.
 */
#include "base/number.h"
#include "conv/conv.h"
#include "cpu/conv_plane.h"
#include "cpu/panels.h"
#include "device/caps.h"
#include "device/variants.h"

#define PLACES    144   /* of a unit, about: a multiple of every tile's rows */
#define ROOM      32768 /* floats of the planes of a unit, about: they stay in the second cache */
#define TABLE     4096  /* positions of a band that needs none, about */
#define POSITIONS 192   /* that go through all rows before the next: turned, they stay in the first */
#define IMAGES    16    /* at a time, at most */
#define FEWEST    4     /* filters that fill lanes well enough */

struct lanes {
    const struct kiln_params_conv *p;
    struct axis i, j;
    bool in_place; /* no place reaches beyond x */
    size_t splits, per_split;
    size_t taps;              /* places of a channel */
    size_t filters, channels; /* of a unit */
    size_t filter_parts, channel_parts;
    const struct kiln_tiles *tiles; /* for as many columns as there are filters */
    size_t wide;                    /* a tile's columns */
    size_t band, images;            /* rows of dy, images at a time */
    size_t pitch, rows, plane;      /* of a channel in a band */
    size_t image;                   /* floats from one image's planes to the next one's */
};

/* Whether no position reaches beyond the picture along an axis. */
static bool reaches_no_end(const struct axis *x)
{
    return x->pad <= 0 &&
           (ptrdiff_t)((x->out - 1) * x->stride + (x->taps - 1) * x->dilation) - x->pad < (ptrdiff_t)x->size;
}

/* Rows or columns of x that `count` positions along an axis meet. */
static size_t reach_of(const struct axis *x, size_t count)
{
    return (count - 1) * x->stride + (x->taps - 1) * x->dilation + 1;
}

/* Bands and images at a time. */
static void set_bands(struct lanes *t)
{
    const size_t most = t->in_place ? TABLE / t->j.out : ROOM / (t->channels * t->pitch * t->i.stride);
    const size_t rows = most ? most : 1, area = t->i.out * t->j.out;
    t->band = kiln_parts(t->i.out, kiln_parts(t->i.out, rows));
    t->images = t->band < t->i.out || area >= POSITIONS ? 1 : POSITIONS / area;
    t->images = t->images < IMAGES ? t->images : IMAGES;
    t->images = t->images < t->per_split ? t->images : t->per_split;
    t->rows = t->in_place ? t->i.size : reach_of(&t->i, t->band);
    t->plane = t->rows * t->pitch;
    if (!t->in_place && !kiln_lies_well(t->plane))
        t->plane += 16;
    t->image = t->in_place ? t->p->x_image : t->channels * t->plane;
}

static struct lanes lanes_of(const struct kiln_params_conv *p)
{
    struct lanes t = {
        .p = p,
        .i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
        .j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow},
        .per_split = p->per_split ? p->per_split : 1,
        .taps = (size_t)p->u * p->v,
    };
    t.in_place = reaches_no_end(&t.i) && reaches_no_end(&t.j) && kiln_lies_well((size_t)p->h * p->w);
    t.splits = p->images ? kiln_parts(p->images, t.per_split) : 1;
    t.tiles = kiln_tiles_across(kiln_tiles_get(), p->filters);
    t.wide = (size_t)t.tiles->columns;
    t.filters = p->filters < t.wide ? p->filters : t.wide;
    t.filter_parts = kiln_parts(p->filters, t.filters);
    t.channels = kiln_parts(p->channels, kiln_parts(p->channels * t.taps, PLACES));
    t.channel_parts = kiln_parts(p->channels, t.channels);
    t.pitch = t.in_place ? p->w : reach_of(&t.j, p->ow);
    set_bands(&t);
    return t;
}

static size_t positions_of(const struct lanes *t)
{
    return t->images * t->band * t->j.out;
}

/* Scratch ------------------------------------------------------------------------------------------------ */

/* A worker's: where positions lie, and places, the planes, dy turned, and the sums [place, filter]. */
struct room {
    int32_t *at, *place;
    float *planes, *dy, *sum;
};

static size_t planes_size(const struct lanes *t)
{
    return t->in_place ? 0 : kiln_round_up(t->images * t->image, 16);
}

static size_t room_size(const struct lanes *t)
{
    const size_t places = t->channels * t->taps;
    return kiln_round_up(positions_of(t), 16) + kiln_round_up(places, 16) + planes_size(t) +
           (POSITIONS + places) * t->wide;
}

static struct room room_of(const struct lanes *t, const kiln_memory *m)
{
    int32_t *at = m->scratch;
    int32_t *place = at + kiln_round_up(positions_of(t), 16);
    float *planes = (float *)(void *)(place + kiln_round_up(t->channels * t->taps, 16));
    float *dy = planes + planes_size(t);
    return (struct room){at, place, planes, dy, dy + POSITIONS * t->wide};
}

/* Positions of all images from the first of a band on. */
static void find_positions(const struct lanes *t, int32_t *at)
{
    for (size_t n = 0; n < t->images; n++)
        for (size_t i = 0; i < t->band; i++)
            for (size_t j = 0; j < t->j.out; j++)
                *at++ = (int32_t)(n * t->image + i * t->i.stride * t->pitch + j * t->j.stride);
}

/* Places of all channels from the first one on. */
static void find_places(const struct lanes *t, int32_t *place)
{
    for (size_t c = 0; c < t->channels; c++)
        for (size_t y = 0; y < t->i.taps; y++)
            for (size_t x = 0; x < t->j.taps; x++)
                *place++ = (int32_t)(c * t->plane + y * t->i.dilation * t->pitch + x * t->j.dilation);
}

/* Units -------------------------------------------------------------------------------------------------- */

/* A unit, taken apart: filter and channel within the group. */
struct unit {
    size_t split, group, filter, filters, channel, channels;
    const struct kiln_tiles *tiles;
};

static struct unit unit_of(const struct lanes *t, size_t index)
{
    const size_t channel = index % t->channel_parts * t->channels;
    const size_t filter = index / t->channel_parts % t->filter_parts * t->filters;
    const size_t rest = index / t->channel_parts / t->filter_parts, left = t->p->filters - filter;
    struct unit u = {
        .split = rest / t->p->groups,
        .group = rest % t->p->groups,
        .filter = filter,
        .filters = left < t->filters ? left : t->filters,
        .channel = channel,
        .channels = t->p->channels - channel < t->channels ? t->p->channels - channel : t->channels,
    };
    u.tiles = kiln_tiles_across(t->tiles, u.filters);
    return u;
}

/* The unit's channels of image n. */
static const float *picture_of(const struct lanes *t, const struct unit *u, const float *x, size_t n)
{
    return x + t->p->x_first + n * t->p->x_image +
           (u->group * t->p->channels + u->channel) * t->i.size * t->j.size;
}

/* Where the first place meets the first position of a band of image n, which may be followed by others. */
static const float *take_planes(const struct lanes *t, const struct unit *u, const struct room *room,
                                const float *x, size_t n, size_t images, size_t first)
{
    const struct window w = {
        .first_row = (ptrdiff_t)(first * t->i.stride) - t->i.pad,
        .first_column = -t->j.pad,
        .row_step = 1,
        .column_step = 1,
        .rows = t->rows,
        .pitch = t->pitch,
    };
    if (t->in_place)
        return picture_of(t, u, x, n) + w.first_row * (ptrdiff_t)t->pitch + w.first_column;
    for (size_t slot = 0; slot < images; slot++)
        for (size_t c = 0; c < u->channels; c++)
            plane_copy(room->planes + slot * t->image + c * t->plane,
                       picture_of(t, u, x, n + slot) + c * t->i.size * t->j.size, t->i.size, t->j.size, &w);
    return room->planes;
}

/* dy of image n and those behind it at `count` positions each, from `first` on, with its filters side by side. */
static void turn_dy(const struct lanes *t, const struct unit *u, float *to, const float *dy, size_t n,
                    size_t images, size_t first, size_t count)
{
    const size_t area = t->i.out * t->j.out, filter = u->group * t->p->filters + u->filter;
    dy += t->p->y_first + filter * area + first;
    for (size_t slot = 0; slot < images; slot++, to += count * t->wide)
        kiln_panels_pack(to, t->wide, false, dy + (n + slot) * t->p->y_image, area, 1, u->filters, count);
}

/* Add the products at `count` positions to the unit's sums. */
static void add_products(const struct lanes *t, const struct unit *u, const float *planes,
                         const int32_t *place, const int32_t *at, const float *dy, size_t count, float *sum)
{
    const size_t places = u->channels * t->taps;
    const size_t high = kiln_parts(places, kiln_parts(places, (size_t)u->tiles->rows));
    for (size_t k = 0; k < places; k += high) {
        const size_t rows = places - k < high ? places - k : high;
        const float *a[KILN_TILE_ROWS];
        for (size_t i = 0; i < rows; i++)
            a[i] = planes + place[k + i];
        u->tiles->spots[rows](count, a, at, dy, t->wide, sum + k * t->wide, t->wide, true);
    }
}

static void write_sums(const struct lanes *t, const struct unit *u, const float *sum, float *dw)
{
    const size_t places = u->channels * t->taps;
    dw += t->p->w_first + u->split * t->p->part + (u->group * t->p->filters + u->filter) * t->p->w_filter +
          u->channel * t->taps;
    for (size_t o = 0; o < u->filters; o++, dw += t->p->w_filter)
        for (size_t k = 0; k < places; k++)
            dw[k] = sum[k * t->wide + o];
}

static void run_unit(const struct lanes *t, const struct unit *u, const struct room *room,
                     const kiln_memory *m)
{
    const size_t begin = u->split * t->per_split;
    const size_t end = begin + t->per_split < t->p->images ? begin + t->per_split : t->p->images;
    memset(room->sum, 0, u->channels * t->taps * t->wide * sizeof *room->sum);
    for (size_t n = begin; n < end; n += t->images)
        for (size_t first = 0; first < t->i.out; first += t->band) {
            const size_t images = end - n < t->images ? end - n : t->images;
            const size_t rows = t->i.out - first < t->band ? t->i.out - first : t->band;
            const float *planes = take_planes(t, u, room, m->at[1], n, images, first);
            for (size_t k = 0; k < rows * t->j.out; k += POSITIONS) { /* of several images one turn */
                const size_t left = rows * t->j.out - k, count = left < POSITIONS ? left : POSITIONS;
                turn_dy(t, u, room->dy, m->at[0], n, images, first * t->j.out + k, count);
                add_products(t, u, planes, room->place, room->at + k, room->dy, images * count, room->sum);
            }
        }
    write_sums(t, u, room->sum, m->at[2]);
}

/* The variant -------------------------------------------------------------------------------------------- */

static const struct kiln_params_conv *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv *)d->block.words;
}

static uint64_t lanes_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct lanes t = lanes_of(block_of(d));
    (void)caps;
    return (uint64_t)t.splits * t.p->groups * t.filter_parts * t.channel_parts;
}

static uint64_t lanes_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct lanes t = lanes_of(block_of(d));
    return room_size(&t) * sizeof(float);
}

static void lanes_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct lanes t = lanes_of(block_of(d));
    const struct room room = room_of(&t, m);
    find_positions(&t, room.at);
    find_places(&t, room.place);
    for (size_t index = first; index < first + count; index++) {
        const struct unit u = unit_of(&t, index);
        run_unit(&t, &u, &room, m);
    }
}

/* Two axes, and tables that reach all of a band. */
static bool lanes_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv *p = block_of(d);
    (void)caps;
    if (p->pieces != 1 || p->d != 1 || p->od != 1 || p->t != 1 || p->pad_a != 0 || p->channels == 0 ||
        p->filters == 0 || p->oh == 0 || p->ow == 0 || (uint64_t)p->x_image * IMAGES > INT32_MAX)
        return false;
    const struct lanes t = lanes_of(p);
    return t.images * t.image <= INT32_MAX;
}

static bool lanes_pays(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->filters >= FEWEST;
}

const kiln_variant kiln_cpu_conv_grad_filter_lanes = {
    .name = "lanes",
    .accepts = lanes_accepts,
    .pays = lanes_pays,
    .groups = lanes_units,
    .scratch = lanes_scratch,
    .run = lanes_run,
};
