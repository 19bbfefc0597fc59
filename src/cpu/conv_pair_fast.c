/*
 * conv_pair_fast.c - conv_pair on a CPU: what the first convolution makes of some filters, in a band of rows, stays in the second cache
 * while the depthwise one reads it, and is never written to memory.
 *
 * A unit of work is an image, a band of rows of y and a block of filters, or half of one where positions are columns. Bands share the rows of z at their edges, which
 * are computed in both: so there are only as many as keep z in the cache.
 */
#include "base/number.h"
#include "conv/conv_pair.h"
#include "cpu/conv_positions.h"
#include "cpu/depthwise.h"
#include "device/caps.h"
#include "device/variants.h"

#define BLOCK KILN_PACKED_COLUMNS
#define ROOM  98304 /* floats of z, about: with what they are made of they stay in the second cache */
#define MOST  240   /* positions as rows at a time: their results stay in the first */

struct pair {
    const struct kiln_params_conv_pair *p;
    struct kiln_params_conv second; /* the depthwise convolution as one of its own */
    bool columns;                   /* positions are a tile's columns */
    size_t part, parts;             /* filters of a unit; parts */
    size_t band, bands;             /* rows of y; bands */
    size_t plane;                   /* floats of z's planes */
};

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rows of y and those of z that they meet. */
static struct kiln_depthwise_band band_at(const struct pair *t, size_t index)
{
    const struct kiln_params_conv_pair *p = t->p;
    const size_t first = index * t->band, count = least_of(p->oh - first, t->band), pad = (size_t)p->pad_i;
    const size_t begin = first * p->stride, end = (first + count - 1) * p->stride + KILN_PAIR_TAPS;
    const size_t x_first = begin > pad ? begin - pad : 0;
    return (struct kiln_depthwise_band){
        .x_first = x_first, .x_count = least_of(end - pad, p->h) - x_first, .first = first, .count = count};
}

static size_t units_of(const struct pair *t)
{
    return t->p->images * t->bands * t->parts;
}

/* Equal bands whose rows of z leave room. */
static void find_bands(struct pair *t)
{
    const struct kiln_params_conv_pair *p = t->p;
    const size_t rows = ROOM / (t->part * p->w),
                 most = rows > KILN_PAIR_TAPS ? (rows - KILN_PAIR_TAPS) / p->stride + 1 : 1;
    t->band = kiln_parts(p->oh, kiln_parts(p->oh, most));
    t->bands = kiln_parts(p->oh, t->band);
    t->plane = least_of((t->band - 1) * p->stride + KILN_PAIR_TAPS, p->h) * p->w;
    t->parts = kiln_parts(p->filters, t->part);
}

static struct pair pair_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv_pair *p = (const struct kiln_params_conv_pair *)d->block.words;
    struct pair t = {
        .p = p,
        .second = {.h = p->h,
                   .w = p->w,
                   .oh = p->oh,
                   .ow = p->ow,
                   .u = KILN_PAIR_TAPS,
                   .v = KILN_PAIR_TAPS,
                   .stride_i = p->stride,
                   .stride_j = p->stride,
                   .pad_i = p->pad_i,
                   .pad_j = p->pad_j,
                   .dilation_i = 1,
                   .dilation_j = 1},
        .part = BLOCK / 2,
    };
    find_bands(&t);
    t.columns = kiln_positions_suit_columns(t.plane, p->channels) &&
                band_at(&t, t.bands - 1).x_count * p->w >= KILN_TILE_COLUMNS;
    if (!t.columns) {
        t.part = BLOCK;
        find_bands(&t);
    }
    return t;
}

/* A worker's scratch: where terms lie, the depthwise convolution's, results of a block, and z. */
struct room {
    int32_t *at;
    float *scratch, *out, *z, *end;
};

static size_t depth_size(const struct pair *t)
{
    return kiln_round_up(t->p->channels, 16);
}

static size_t scratch_size(const struct pair *t)
{
    return kiln_round_up(kiln_depthwise_scratch(&t->second), 16);
}

static size_t out_size(const struct pair *t)
{
    return t->columns ? 0 : least_of(MOST, t->plane) * BLOCK;
}

static size_t room_size(const struct pair *t)
{
    return depth_size(t) + scratch_size(t) + out_size(t) +
           kiln_round_up(t->part * t->plane + 2 * KILN_DEPTHWISE_BEYOND, 16);
}

static struct room room_of(const struct pair *t, const kiln_memory *m, int worker)
{
    int32_t *at = (int32_t *)m->scratch + (size_t)worker * room_size(t);
    float *scratch = (float *)(void *)(at + depth_size(t)), *out = scratch + scratch_size(t),
          *z = out + out_size(t);
    for (size_t c = 0; c < t->p->channels; c++)
        at[c] = (int32_t)(c * t->p->h * t->p->w);
    return (struct room){at, scratch, out, z + KILN_DEPTHWISE_BEYOND,
                         z + t->part * t->plane + 2 * KILN_DEPTHWISE_BEYOND};
}

/* z of filters [first, end) in the rows of a band. */
static void make_between(const struct pair *t, const struct room *room, const struct kiln_depthwise_band *b,
                         const kiln_memory *m, size_t image, size_t first, size_t end,
                         struct kiln_row_epilogue *epilogue)
{
    const struct kiln_params_conv_pair *p = t->p;
    const struct kiln_tile_finish finish = kiln_row_epilogue_finish(epilogue, 0, t->plane);
    const size_t count = b->x_count * p->w, most = t->columns ? count : least_of(MOST, t->plane);
    struct kiln_positions positions = {
        .tiles = kiln_tiles_get(),
        .at = room->at,
        .depth = p->channels,
        .packed = m->at[1],
        .first = first,
        .end = end,
        .plane = t->plane,
        .out = room->out,
        .epilogue = epilogue,
        .finish = &finish,
    };
    const float *x = (const float *)m->at[0] + image * p->channels * p->h * p->w + b->x_first * p->w;
    for (size_t at = 0; at < count; at += most) {
        positions.x = x + at;
        positions.y = room->z + at;
        positions.count = positions.run = least_of(most, count - at);
        if (t->columns)
            kiln_positions_as_columns(&positions);
        else
            kiln_positions_as_rows(&positions);
    }
}

/* y of filter o from its plane of z, b->x. */
static void sum_plane(const struct pair *t, struct kiln_depthwise *depthwise,
                      const struct kiln_depthwise_band *b, const kiln_memory *m, size_t image, size_t o,
                      struct kiln_row_epilogue *epilogue)
{
    const struct kiln_params_conv_pair *p = t->p;
    const size_t flat = ((image * p->filters + o) * p->oh + b->first) * p->ow;
    float *y = (float *)m->at[2] + flat;
    depthwise->rows.step = kiln_row_epilogue_numbers(epilogue, o);
    depthwise->rows.steps = depthwise->rows.step ? epilogue->steps : 0;
    kiln_depthwise_sum(depthwise, y, (const float *)m->at[5] + o * KILN_PAIR_TAPS * KILN_PAIR_TAPS, b);
    if (!depthwise->rows.step)
        kiln_row_epilogue_run(epilogue, y, flat, 0, o, b->count * p->ow);
}

/* The variant -------------------------------------------------------------------------------------------- */

static bool blocks_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct pair t = pair_of(d);
    (void)caps;
    return kiln_depthwise_fits(&t.second);
}

static uint64_t blocks_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct pair t = pair_of(d);
    (void)caps;
    return units_of(&t);
}

static uint64_t blocks_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct pair t = pair_of(d);
    return (uint64_t)caps->threads * room_size(&t) * sizeof(float);
}

static void blocks_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const struct pair t = pair_of(d);
    const struct room room = room_of(&t, m, worker);
    struct kiln_depthwise depthwise =
        kiln_depthwise_of(&t.second, room.z - KILN_DEPTHWISE_BEYOND, room.end, room.scratch);
    struct kiln_row_epilogue inner, outer;
    kiln_row_epilogue_init(&inner, d->constants, t.p->immediate, m->at + 3, true);
    kiln_row_epilogue_init(&outer, d->constants + KILN_PAIR_SECOND, t.p->second, m->at + 6, true);

    for (size_t unit = first; unit < first + count; unit++) {
        const size_t image = unit / t.parts / t.bands, o = unit % t.parts * t.part,
                     end = least_of(o + t.part, t.p->filters);
        struct kiln_depthwise_band band = band_at(&t, unit / t.parts % t.bands);
        make_between(&t, &room, &band, m, image, o, end, &inner);
        for (size_t i = o; i < end; i++) {
            band.x = room.z + (i - o) * t.plane;
            sum_plane(&t, &depthwise, &band, m, image, i, &outer);
        }
    }
}

const kiln_variant kiln_cpu_conv_pair_blocks = {
    .name = "blocks",
    .accepts = blocks_accepts,
    .groups = blocks_units,
    .scratch = blocks_scratch,
    .run = blocks_run,
};
