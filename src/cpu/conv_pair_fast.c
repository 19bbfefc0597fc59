/*
 * conv_pair_fast.c - conv_pair on a CPU: what the first convolution makes of a block of filters, z [positions, filters], stays in the
 * first cache while the depthwise one reads it, filters in the lanes of vectors, and is never written to memory. Only results are
 * turned into planes.
 *
 * A unit of work is an image, a band of rows of y, a strip of its columns and a block of filters. Within a unit rows of z are made as
 * rows of y need them, few at a time, in a ring of rows: new ones take the lines of those that nothing needs any longer. Bands and strips
 * share places of z at their edges, which are computed in both: strips are as wide as a row's lines allow, bands high.
 */
#include "base/number.h"
#include "conv/conv_pair.h"
#include "cpu/conv_positions.h"
#include "cpu/conv_terms.h"
#include "cpu/depthwise_lanes.h"
#include "device/caps.h"
#include "device/variants.h"

#define BLOCK KILN_PACKED_COLUMNS
#define TAPS  KILN_PAIR_TAPS
#define ROOM  98304 /* floats of z of a unit, about, and of planes of x, which stay in the second cache */
#define MOST \
    256 /* places of z, and of y before they are turned, that are there at a time: they stay in the first */
#define WIDE 64 /* of a row of z: three such rows, and one of y, are no more */

struct pair {
    const struct kiln_params_conv_pair *p;
    struct kiln_terms terms;
    size_t parts;         /* blocks of filters */
    size_t strip, strips; /* columns of y; strips */
    size_t band, bands;   /* rows of y; bands */
    size_t step;          /* rows of y at a time */
    size_t width, ring;   /* of z: the most columns, and rows, that are there at a time */
};

/* Of y, and of what it meets of z, along an axis. */
struct stretch {
    size_t first, end, z_first, z_end;
};

struct unit {
    size_t image, filter, filters;
    struct stretch rows, columns;
};

/* The end of the places of z, of which there are so many, that those of y before `end` meet along an axis. */
static size_t end_of_z(const struct kiln_params_conv_pair *p, size_t end, int32_t pad, size_t z)
{
    return kiln_least((end - 1) * p->y_stride + TAPS - (size_t)pad, z);
}

/* The part of an axis of y from `first` on, at most `count`; of y and z the sizes. */
static struct stretch stretch_of(const struct kiln_params_conv_pair *p, size_t first, size_t count,
                                 int32_t pad, size_t y, size_t z)
{
    const size_t end = kiln_least(first + count, y), from = first * p->y_stride;
    return (struct stretch){.first = first,
                            .end = end,
                            .z_first = from > (size_t)pad ? from - (size_t)pad : 0,
                            .z_end = end_of_z(p, end, pad, z)};
}

/* Of so many places of z, those of y that meet them. */
static size_t places_of_y(const struct pair *t, size_t z)
{
    return z > TAPS ? (z - TAPS) / t->p->y_stride + 1 : 1;
}

/* The most rows of z that there is room for, and for what they meet. */
static size_t rows_most(const struct pair *t)
{
    const size_t fit = ROOM / (BLOCK * t->width);
    if (t->terms.in_place)
        return fit;
    const size_t row = kiln_terms_floats(&t->terms, 1), more = kiln_terms_floats(&t->terms, 2) - row;
    return kiln_least(fit, ROOM > row ? (ROOM - row) / more + 1 : 1);
}

/* Rows of z that so many of y need: a multiple of those that are new each time, which then lie behind one another. */
static size_t ring_of(const struct pair *t, size_t step)
{
    return kiln_round_up((step - 1) * t->p->y_stride + TAPS, step * t->p->y_stride);
}

/* The most rows of y at a time that there is room for. */
static size_t step_most(const struct pair *t)
{
    size_t step = 1;
    while (step < t->band && ring_of(t, step + 1) * t->width + (step + 1) * t->strip <= MOST)
        step++;
    return step;
}

static struct pair pair_of(const kiln_dispatch *d)
{
    const struct kiln_params_conv_pair *p = (const struct kiln_params_conv_pair *)d->block.words;
    const struct axis i = {p->u, p->stride_i, p->dilation_i, p->pad_i, p->h, p->oh},
                      j = {p->v, p->stride_j, p->dilation_j, p->pad_j, p->w, p->ow};
    struct pair t = {.p = p,
                     .terms = kiln_terms_of(p->channels, &i, &j, true),
                     .parts = kiln_parts(p->filters, BLOCK)};
    t.strip = p->ow > WIDE ? kiln_even(p->y_w, places_of_y(&t, WIDE), 1) : p->y_w;
    t.strips = kiln_parts(p->y_w, t.strip);
    t.width = kiln_least((t.strip - 1) * p->y_stride + TAPS, p->ow);
    t.band = kiln_even(p->y_h, places_of_y(&t, rows_most(&t)), 1);
    t.bands = kiln_parts(p->y_h, t.band);
    t.step = kiln_even(t.band, step_most(&t), 1);
    t.ring = ring_of(&t, t.step);
    kiln_terms_band(&t.terms, kiln_least((t.band - 1) * p->y_stride + TAPS, p->oh));
    return t;
}

static struct unit unit_of(const struct pair *t, size_t index)
{
    const struct kiln_params_conv_pair *p = t->p;
    const size_t filter = index % t->parts * BLOCK, place = index / t->parts;
    return (struct unit){
        .image = place / t->strips / t->bands,
        .filter = filter,
        .filters = kiln_least(BLOCK, p->filters - filter),
        .rows = stretch_of(p, place / t->strips % t->bands * t->band, t->band, p->y_pad_i, p->y_h, p->oh),
        .columns = stretch_of(p, place % t->strips * t->strip, t->strip, p->y_pad_j, p->y_w, p->ow),
    };
}

/* A worker's scratch: where terms lie, planes of x, results, and z with a place before it and behind it. */
struct room {
    int32_t *at;
    float *planes, *out, *z;
};

static size_t depth_size(const struct pair *t)
{
    return kiln_round_up(t->terms.depth, 16);
}

static size_t out_size(const struct pair *t)
{
    return t->step * t->strip * BLOCK;
}

static size_t room_size(const struct pair *t)
{
    return depth_size(t) + kiln_terms_room(&t->terms) + out_size(t) + (t->ring * t->width + 2) * BLOCK;
}

static struct room room_of(const struct pair *t, const kiln_memory *m)
{
    int32_t *at = m->scratch;
    float *planes = (float *)(void *)(at + depth_size(t)), *out = planes + kiln_terms_room(&t->terms);
    return (struct room){at, planes, out, out + out_size(t) + BLOCK};
}

/* Both convolutions of a unit ------------------------------------------------------------------------------ */

struct work {
    const struct pair *t;
    struct unit unit;
    struct room room;
    const float *x; /* what the first row of z meets */
    size_t width;   /* of those */
    size_t turned;  /* the place of row 0 of z is as many rows before that of the first */
    const struct kiln_lanes_sums *sums;
    struct kiln_row_epilogue *inner, *outer; /* z's, y's */
    struct kiln_tile_finish z_finish;
    const float *depthwise;                /* filters */
    struct kiln_positions product, result; /* what makes z; what turns y */
    float *y;
    struct kiln_column_steps z_steps, y_steps;
    struct kiln_tile_finish z_rest, y_rest;
};

static void start_unit(struct work *w, const kiln_memory *m)
{
    const struct kiln_params_conv_pair *p = w->t->p;
    const struct kiln_terms *terms = &w->t->terms;
    const struct unit *u = &w->unit;
    const float *x = (const float *)m->at[0] + u->image * p->channels * p->h * p->w;
    const size_t plane = (size_t)p->y_h * p->y_w, flat = u->image * p->filters * plane;
    const struct kiln_tile_finish y_finish = kiln_row_epilogue_finish(w->outer, flat, plane);
    kiln_terms_take(terms, w->room.at, w->room.planes, x, u->rows.z_first, m,
                    u->image * w->t->bands + u->rows.first / w->t->band);
    w->z_rest = kiln_positions_lead(&w->z_finish, u->filter, u->filters, &w->z_steps);
    w->y_rest = kiln_positions_lead(&y_finish, u->filter, u->filters, &w->y_steps);
    w->width = u->columns.z_end - u->columns.z_first;
    w->x =
        (terms->in_place ? x + u->rows.z_first * p->w : w->room.planes) + u->columns.z_first * terms->step_j;
    w->product = (struct kiln_positions){
        .tiles = kiln_tiles_get(),
        .at = w->room.at,
        .depth = terms->depth,
        .run = w->width,
        .x_run = terms->step_i * terms->pitch,
        .step = terms->step_j,
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

static float *row_of_z(const struct work *w, size_t row)
{
    return w->room.z + (row + w->turned) % w->t->ring * w->width * BLOCK;
}

/* Rows [from, to) of z, which lie behind one another. */
static void make_rows(struct work *w, size_t from, size_t to)
{
    float *z = row_of_z(w, from);
    w->product.x = w->x + (from - w->unit.rows.z_first) * w->product.x_run;
    w->product.count = (to - from) * w->width;
    if (w->product.x_run == w->width * w->product.step) /* so do those of x */
        w->product.run = w->product.count;
    w->product.out = z;
    if (to > from)
        kiln_positions_multiply(&w->product, w->unit.filter, &w->z_steps);
    if (to > from && !w->z_rest.all)
        kiln_row_epilogue_rows(w->inner, z, BLOCK, z, BLOCK, 0, 0, w->unit.filter, w->product.count,
                               w->unit.filters);
}

/* Rows [from, to) of y, [rows, columns, BLOCK], to the room for results: `wide` columns at a time, then what is left. */
static void sum_rows(const struct work *w, size_t from, size_t to)
{
    const struct kiln_params_conv_pair *p = w->t->p;
    const struct stretch *c = &w->unit.columns;
    const size_t columns = c->end - c->first, wide = kiln_even(columns, KILN_LANES_MOST, 1),
                 rest = columns % wide, whole = columns - rest;
    const size_t pad = c->first == 0 ? (size_t)p->y_pad_j : 0; /* places before the first of z */
    const bool last = (c->end - 1) * p->y_stride + TAPS - (size_t)p->y_pad_j > p->ow;
    const float *line[MOST + TAPS]; /* there are no more in the ring */
    struct kiln_lanes lanes = {.line = line,
                               .first = pad > 0,
                               .last = last && rest == 0,
                               .filter = w->depthwise,
                               .filters = w->unit.filters,
                               .steps = &w->y_steps,
                               .y_row = columns * BLOCK};
    for (size_t u = 0; u < (to - from - 1) * p->y_stride + TAPS; u++) {
        const size_t row = from * p->y_stride + u - (size_t)p->y_pad_i; /* one above has wrapped around */
        line[u] = row < p->oh ? row_of_z(w, row) - pad * BLOCK : NULL;
    }
    w->sums->run[p->y_stride - 1][wide](&lanes, to - from, whole / wide, w->room.out);
    if (rest == 0)
        return;
    lanes.first = false;
    lanes.last = last;
    lanes.from = whole * p->y_stride * BLOCK;
    w->sums->run[p->y_stride - 1][rest](&lanes, to - from, 1, w->room.out + whole * BLOCK);
}

/* Rows [from, to) of y as planes; of a strip, row by row. */
static void turn_rows(struct work *w, size_t from, size_t to)
{
    const struct kiln_params_conv_pair *p = w->t->p;
    const struct stretch *c = &w->unit.columns;
    const size_t columns = c->end - c->first, rows = columns == p->y_w ? to - from : 1;
    w->result.count = rows * columns;
    w->result.out = w->room.out;
    for (; from < to; from += rows, w->result.out += rows * columns * BLOCK) {
        w->result.place = from * p->y_w + c->first;
        w->result.y = w->y + w->result.place;
        kiln_positions_turn(&w->result, w->unit.filter, &w->y_rest);
    }
}

static void run_unit(struct work *w, const kiln_memory *m)
{
    const struct kiln_params_conv_pair *p = w->t->p;
    const struct unit *u = &w->unit;
    w->y = (float *)m->at[2] + (u->image * p->filters + u->filter) * p->y_h * p->y_w;
    start_unit(w, m);
    for (size_t i = u->rows.first, made = u->rows.z_first, next, end; i < u->rows.end; i = next, made = end) {
        next = kiln_least(i + w->t->step, u->rows.end);
        end = end_of_z(p, next, p->y_pad_i, p->oh);
        if (i == u->rows.first) /* the first ones end where the ring does, so later ones begin there */
            w->turned = w->t->ring - end % w->t->ring;
        make_rows(w, made, end);
        sum_rows(w, i, next);
        turn_rows(w, i, next);
    }
}

/* The variant -------------------------------------------------------------------------------------------- */

/* Beyond a row's end lies one padded column at the most that a result meets, and before it. */
static bool blocks_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv_pair *p = (const struct kiln_params_conv_pair *)d->block.words;
    (void)caps;
    return p->y_stride <= 2 && p->y_pad_j >= 0 && p->y_pad_j <= 1 &&
           (int64_t)(p->y_w - 1) * p->y_stride + TAPS - 1 - p->y_pad_j <= (int64_t)p->ow;
}

static uint64_t blocks_units(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct pair t = pair_of(d);
    (void)caps;
    return t.p->images * t.bands * t.strips * t.parts;
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
