/*
 * conv_pair_fast.c - conv_pair on a CPU: what the first convolution makes of a block of filters, z [positions, filters], stays in the
 * second cache while the depthwise one reads it, filters in the lanes of vectors, and is never written to memory. Only results are
 * turned into planes.
 *
 * A unit of work is an image, a band of rows of y and a block of filters. Within a unit rows of z are made as rows of y need them, few
 * at a time, so that they are mostly read from the first cache. Bands share the rows of z at their edges, which are computed in both:
 * there are only as many as keep z in the second cache.
 */
#include "base/number.h"
#include "conv/conv_pair.h"
#include "cpu/conv_positions.h"
#include "cpu/depthwise_lanes.h"
#include "device/caps.h"
#include "device/variants.h"

#define BLOCK KILN_PACKED_COLUMNS
#define TAPS  KILN_PAIR_TAPS
#define ROOM  98304 /* floats of z, about: with what they are made of they stay in the second cache */
#define MOST  180   /* positions of z at a time: they stay in the first */

struct pair {
    const struct kiln_params_conv_pair *p;
    size_t parts;       /* blocks of filters */
    size_t band, bands; /* rows of y; bands */
    size_t step;        /* rows of y at a time */
    size_t rows;        /* of z */
};

/* An image, rows of y and those of z that they meet, filters. */
struct unit {
    size_t image, first, end, z_first, filter, filters;
};

/* The first row of z that row i of y meets; the end of those. */
static size_t rows_begin(const struct kiln_params_conv_pair *p, size_t i)
{
    const size_t row = i * p->stride, pad = (size_t)p->pad_i;
    return row > pad ? row - pad : 0;
}

static size_t rows_end(const struct kiln_params_conv_pair *p, size_t i)
{
    return kiln_least(i * p->stride + TAPS - (size_t)p->pad_i, p->h);
}

static struct pair pair_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv_pair *p = (const struct kiln_params_conv_pair *)d->block.words;
    const size_t rows = ROOM / (BLOCK * p->w), most = rows > TAPS ? (rows - TAPS) / p->stride + 1 : 1;
    struct pair t = {.p = p, .parts = kiln_parts(p->filters, BLOCK)};
    t.band = kiln_even(p->oh, most, 1);
    t.bands = kiln_parts(p->oh, t.band);
    const size_t step = MOST / (p->stride * p->w);
    t.step = kiln_even(t.band, step ? step : 1, 1);
    t.rows = kiln_least((t.band - 1) * p->stride + TAPS, p->h);
    return t;
}

static struct unit unit_of(const struct pair *t, size_t index)
{
    const size_t first = index / t->parts % t->bands * t->band, filter = index % t->parts * BLOCK;
    return (struct unit){
        .image = index / t->parts / t->bands,
        .first = first,
        .end = kiln_least(first + t->band, t->p->oh),
        .z_first = rows_begin(t->p, first),
        .filter = filter,
        .filters = kiln_least(BLOCK, t->p->filters - filter),
    };
}

/* A worker's scratch: where terms lie, results, and z with a place before it and behind it. */
struct room {
    int32_t *at;
    float *out, *z;
};

static size_t depth_size(const struct pair *t)
{
    return kiln_round_up(t->p->channels, 16);
}

static size_t out_size(const struct pair *t)
{
    return t->step * t->p->ow * BLOCK;
}

static size_t room_size(const struct pair *t)
{
    return depth_size(t) + out_size(t) + (t->rows * t->p->w + 2) * BLOCK;
}

static struct room room_of(const struct pair *t, const kiln_memory *m)
{
    int32_t *at = m->scratch;
    float *out = (float *)(void *)(at + depth_size(t));
    for (size_t c = 0; c < t->p->channels; c++)
        at[c] = (int32_t)(c * t->p->h * t->p->w);
    return (struct room){at, out, out + out_size(t) + BLOCK};
}

/* Both convolutions of a unit ------------------------------------------------------------------------------ */

struct work {
    const struct pair *t;
    struct unit unit;
    struct room room;
    const struct kiln_lanes_sums *sums;
    struct kiln_row_epilogue *inner, *outer; /* z's, y's */
    struct kiln_tile_finish z_finish;
    const float *depthwise;                /* filters */
    struct kiln_positions product, result; /* what makes z; what turns y */
    struct kiln_column_steps z_steps, y_steps;
    struct kiln_tile_finish z_rest, y_rest;
};

static void start_unit(struct work *w, const kiln_memory *m)
{
    const struct kiln_params_conv_pair *p = w->t->p;
    const struct unit *u = &w->unit;
    const size_t plane = (size_t)p->oh * p->ow, flat = u->image * p->filters * plane;
    const struct kiln_tile_finish y_finish = kiln_row_epilogue_finish(w->outer, flat, plane);
    w->z_rest = kiln_positions_lead(&w->z_finish, u->filter, u->filters, &w->z_steps);
    w->y_rest = kiln_positions_lead(&y_finish, u->filter, u->filters, &w->y_steps);
    w->product = (struct kiln_positions){
        .tiles = kiln_tiles_get(),
        .at = w->room.at,
        .depth = p->channels,
        .packed = m->at[1],
        .end = p->filters,
    };
    w->result = (struct kiln_positions){
        .first = u->filter,
        .end = p->filters,
        .plane = plane,
        .flat = flat,
        .out = w->room.out,
        .epilogue = w->outer,
    };
    w->depthwise = (const float *)m->at[5] + u->filter * TAPS * TAPS;
}

/* Rows [from, to) of z; x are those of the image. */
static void make_rows(struct work *w, const float *x, size_t from, size_t to)
{
    const size_t width = w->t->p->w, filter = w->unit.filter;
    float *z = w->room.z + (from - w->unit.z_first) * width * BLOCK;
    w->product.x = x + from * width;
    w->product.count = w->product.run = (to - from) * width;
    w->product.out = z;
    if (to > from)
        kiln_positions_multiply(&w->product, filter, &w->z_steps);
    if (to > from && !w->z_rest.all)
        kiln_row_epilogue_rows(w->inner, z, BLOCK, z, BLOCK, 0, 0, filter, w->product.count, w->unit.filters);
}

/* Row i of y, [columns, BLOCK]: `wide` columns at a time, then what is left. */
static void sum_row(const struct work *w, size_t i, float *out)
{
    const struct kiln_params_conv_pair *p = w->t->p;
    const size_t wide = kiln_even(p->ow, KILN_LANES_MOST, 1), rest = p->ow % wide, whole = p->ow - rest;
    const size_t pad = (size_t)p->pad_j;
    const bool last = (p->ow - 1) * p->stride + TAPS - pad > p->w;
    struct kiln_lanes lanes = {.first = pad > 0,
                               .last = last && rest == 0,
                               .filter = w->depthwise,
                               .filters = w->unit.filters,
                               .steps = &w->y_steps};
    for (size_t u = 0; u < TAPS; u++) {
        const size_t row = i * p->stride + u - (size_t)p->pad_i; /* one above has wrapped around */
        if (row < p->h)
            lanes.line[u] = w->room.z + (row - w->unit.z_first) * p->w * BLOCK - pad * BLOCK;
    }
    w->sums->run[p->stride - 1][wide](&lanes, whole / wide, out);
    if (rest == 0)
        return;
    lanes.first = false;
    lanes.last = last;
    for (size_t u = 0; u < TAPS; u++)
        if (lanes.line[u])
            lanes.line[u] += whole * p->stride * BLOCK;
    w->sums->run[p->stride - 1][rest](&lanes, 1, out + whole * BLOCK);
}

static void run_unit(struct work *w, const kiln_memory *m)
{
    const struct kiln_params_conv_pair *p = w->t->p;
    const struct unit *u = &w->unit;
    const float *x = (const float *)m->at[0] + u->image * p->channels * p->h * p->w;
    float *y = (float *)m->at[2] + (u->image * p->filters + u->filter) * p->oh * p->ow;
    start_unit(w, m);
    for (size_t i = u->first, made = u->z_first, next; i < u->end; i = next) {
        next = kiln_least(i + w->t->step, u->end);
        make_rows(w, x, made, rows_end(p, next - 1));
        made = rows_end(p, next - 1);
        for (size_t row = i; row < next; row++)
            sum_row(w, row, w->room.out + (row - i) * p->ow * BLOCK);
        w->result.place = i * p->ow;
        w->result.y = y + i * p->ow;
        w->result.count = (next - i) * p->ow;
        kiln_positions_turn(&w->result, u->filter, &w->y_rest);
    }
}

/* The variant -------------------------------------------------------------------------------------------- */

/* Beyond a row's end lies one padded column at the most that a result meets, and before it. */
static bool blocks_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv_pair *p = (const struct kiln_params_conv_pair *)d->block.words;
    (void)caps;
    return p->stride <= 2 && p->pad_j >= 0 && p->pad_j <= 1 &&
           (int64_t)(p->ow - 1) * p->stride + TAPS - 1 - p->pad_j <= (int64_t)p->w;
}

static uint64_t blocks_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct pair t = pair_of(d);
    (void)caps;
    return t.p->images * t.bands * t.parts;
}

static uint64_t blocks_scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct pair t = pair_of(d);
    return room_size(&t) * sizeof(float);
}

static void blocks_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const struct pair t = pair_of(d);
    struct kiln_row_epilogue inner, outer;
    struct work work = {
        .t = &t, .room = room_of(&t, m), .sums = kiln_lanes_get(), .inner = &inner, .outer = &outer};
    kiln_row_epilogue_init(&outer, d->constants + KILN_PAIR_SECOND, t.p->second, m->at + 6, true);
    kiln_row_epilogue_init(&inner, d->constants, t.p->immediate, m->at + 3, true);
    work.z_finish = kiln_row_epilogue_finish(&inner, 0, 0);
    if (!work.z_finish.all) /* where it runs over z, filters are columns */
        kiln_row_epilogue_init(&inner, d->constants, t.p->immediate, m->at + 3, false);
    for (size_t unit = first; unit < first + count; unit++) {
        work.unit = unit_of(&t, unit);
        run_unit(&work, m);
    }
}

const kiln_variant kiln_cpu_conv_pair_blocks = {
    .name = "blocks",
    .accepts = blocks_accepts,
    .groups = blocks_units,
    .scratch = blocks_scratch,
    .run = blocks_run,
};
