/*
 * attention_fast.c - attention and its gradients from packed panels, by the tiles of matmul (tile.h).
 *
 * A unit of work is a block of own rows of one head: queries, or for the gradients by keys and values keys. Its rows are packed
 * once as columns of tiles; blocks of the others are rows of tiles, where they lie or packed. A product then leaves the scores of a
 * panel as lines of others with own rows in the lanes, where maxima and sums need no shuffles, and where they lie as the second operand of
 * the next product, which adds up the result with its rows turned into columns.
 *
 * Units depend on sizes alone; a sum is never split: results do not depend on the number of threads.
 */
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "cpu/attention_lines.h"
#include "cpu/panels.h"
#include "cpu/runs.h"
#include "cpu/simd.h"
#include "device/caps.h"
#include "device/variants.h"

typedef struct kiln_params_attention params;

enum {
    OTHERS = 204,   /* of a block: a multiple of every tile's rows, and of 4 for dropout's draws */
    OWN_MOST = 256, /* rows of a unit, a multiple of every tile's columns; fewer where there would be ... */
    UNITS = 16,     /* ... less units than that */
};

/* What is computed: by the contract's constants. */
static bool is_grad(const kiln_dispatch *d)
{
    return d->kernel->bindings == 8;
}

static uint32_t mode_of(const kiln_dispatch *d)
{
    return is_grad(d) ? d->constants[1] : KILN_ATTENTION_NONE;
}

/* Of the scores' gradient too, whose lanes then are neighbours of the result. */
static bool own_is_key(const kiln_dispatch *d)
{
    return is_grad(d) && d->constants[1] != KILN_ATTENTION_QUERY;
}

static const params *block_of(const kiln_dispatch *d)
{
    return (const params *)d->block.words;
}

/* Units -------------------------------------------------------------------------------------------------- */

/* Sizes of the work: heads (of the scores' gradient those of queries), and rows, blocks and columns of each. */
struct work {
    size_t heads, rows, own, blocks, columns;
};

static struct work work_of(const kiln_dispatch *d)
{
    const params *p = block_of(d);
    const uint32_t mode = mode_of(d);
    const bool pairs = mode == KILN_ATTENTION_KEY || mode == KILN_ATTENTION_VALUE;
    struct work w = {
        .heads = (size_t)p->count * (pairs ? 1 : p->group),
        .rows = own_is_key(d) ? p->keys : p->queries,
        .own = OWN_MOST,
        .columns = mode == KILN_ATTENTION_NONE || mode == KILN_ATTENTION_VALUE ? p->width : p->depth,
    };
    while (w.own > KILN_TILE_COLUMNS && w.heads * ((w.rows + w.own - 1) / w.own) < UNITS)
        w.own /= 2;
    if (w.own > w.rows)
        w.own = kiln_round_up(w.rows, KILN_TILE_COLUMNS);
    w.blocks = w.own ? (w.rows + w.own - 1) / w.own : 0;
    return w;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct work w = work_of(d);
    return w.heads * w.blocks;
}

/* A worker's memory, in floats. */
struct room {
    float *own[2];   /* panels of the unit's rows, for both products */
    float *other[2]; /* panels of a block of others */
    float *x;        /* panels of what is summed */
    float *score, *pull, *rest;
    float *total;      /* [panel, column, lane] */
    float *peak, *sum; /* by own rows; of gradients lse and delta */
    float *line[2];    /* lse and delta by others */
};

/* Lay the room out from `at` on, or only count it; floats that it takes. */
static size_t lay_out(const kiln_dispatch *d, float *at, struct room *r)
{
    const params *p = block_of(d);
    const struct work w = work_of(d);
    const size_t depth = p->depth, width = is_grad(d) ? p->width : 0;
    const size_t size[] = {w.own * depth,
                           w.own * width,
                           OTHERS * depth,
                           OTHERS * width,
                           OTHERS * w.columns,
                           OTHERS * KILN_TILE_COLUMNS,
                           OTHERS * KILN_TILE_COLUMNS,
                           OTHERS * KILN_TILE_COLUMNS,
                           w.own * w.columns,
                           w.own,
                           w.own,
                           OTHERS,
                           OTHERS};
    float **const part[] = {&r->own[0], &r->own[1],  &r->other[0], &r->other[1], &r->x,
                            &r->score,  &r->pull,    &r->rest,     &r->total,    &r->peak,
                            &r->sum,    &r->line[0], &r->line[1]};
    size_t total = 0;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (at)
            *part[i] = at + total;
        total += kiln_round_up(size[i], 16);
    }
    return total;
}

static uint64_t scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    struct room r;
    return lay_out(d, NULL, &r) * sizeof(float);
}

/* Rows of an operand of one head. */
struct rows {
    const float *at;
    size_t step, count, size;
};

/* A unit's head: own and other rows of both products, rows that are summed. */
struct job {
    const kiln_dispatch *d;
    const kiln_memory *m;
    const params *p;
    const struct kiln_tiles *tiles;
    struct work w;
    struct room room;
    struct kiln_head head;
    struct kiln_lines lines;
    struct rows own[2], other[2], x;
    struct kiln_operand factor[2], terms; /* of a block of others: x's are the terms */
    size_t first, count;                  /* own rows of the unit */
    bool second;                          /* there is a second product */
};

static struct rows rows_of(const kiln_memory *m, int i, size_t at, size_t step, size_t count, size_t size)
{
    return (struct rows){(const float *)m->at[i] + at, step, count, size};
}

/* Query head g of pair b. */
static void go_to(struct job *j, size_t b, size_t g)
{
    const params *p = j->p;
    const kiln_memory *m = j->m;
    const uint32_t mode = mode_of(j->d), flags = j->d->constants[0];
    j->head = kiln_head_of(p, flags, m->at[4], b, g);
    const struct kiln_head *h = &j->head;
    const struct rows q = rows_of(m, 0, h->q, h->q_step, p->queries, p->depth),
                      k = rows_of(m, 1, h->k, h->k_step, p->keys, p->depth),
                      v = rows_of(m, 2, h->v, h->v_step, p->keys, p->width);
    const struct rows dy = is_grad(j->d) ? rows_of(m, 5, h->y, h->y_step, p->queries, p->width) : q;
    const bool keys = own_is_key(j->d);
    j->own[0] = keys ? k : q, j->other[0] = keys ? q : k;
    j->own[1] = keys ? v : dy, j->other[1] = keys ? dy : v;
    j->x = mode == KILN_ATTENTION_NONE    ? v
           : mode == KILN_ATTENTION_QUERY ? k
           : mode == KILN_ATTENTION_VALUE ? dy
                                          : q;
    j->second = is_grad(j->d) && mode != KILN_ATTENTION_VALUE;
    j->lines = (struct kiln_lines){
        .p = p,
        .flags = flags,
        .head = h,
        .lanes_are_keys = keys,
        .bias = m->at[3],
        .mask = m->at[3],
        .counter = flags & KILN_ATTENTION_DROPPED ? (const uint32_t *)m->at[4] + p->counter_at : NULL,
    };
}

/* Packing and multiplying -------------------------------------------------------------------------------- */

/* The tiles of the panel of own rows from `at` on: a last one of few rows is narrower. */
static const struct kiln_tiles *tiles_at(const struct job *j, size_t at)
{
    return kiln_tiles_across(kiln_tiles_get(), j->count - at);
}

static void take_panel(struct job *j, size_t at)
{
    j->tiles = tiles_at(j, at);
    j->lines.lanes = (size_t)j->tiles->columns;
    j->lines.own = j->first + at;
}

/* The unit's rows as columns of tiles. */
static void pack_columns(const struct job *j, float *to, const struct rows *from)
{
    size_t lanes;
    for (size_t at = 0; at < j->count; at += lanes) {
        const size_t left = j->count - at;
        lanes = (size_t)tiles_at(j, at)->columns;
        kiln_panels_pack(to + at * from->size, lanes, false, from->at + (j->first + at) * from->step,
                         from->step, 1, left < lanes ? left : lanes, from->size);
    }
}

/* c[row * lanes + lane] = or += sum over k of a[row, k] * b[k * lanes + lane] */
static void multiply(const struct job *j, size_t depth, const struct kiln_operand *a, size_t rows,
                     const float *b, float *c, bool add)
{
    const size_t lanes = (size_t)j->tiles->columns;
    const struct kiln_operand panel = {b, KILN_LIES_PACKED, 0};
    kiln_panels_multiply(j->tiles, NULL, a, (size_t)j->tiles->rows, &panel, rows, lanes, depth, c, lanes,
                         add);
}

/* A block of others as rows of tiles: where they lie, or packed. */
static struct kiln_operand others_of(const struct job *j, float *room, const struct rows *from, size_t first,
                                     size_t count)
{
    const float *at = from->at + first * from->step;
    if (kiln_lies_well(from->step))
        return (struct kiln_operand){at, KILN_LIES_ROWS, from->step};
    kiln_panels_pack(room, (size_t)j->tiles->rows, true, at, from->step, 1, count, from->size);
    return (struct kiln_operand){room, KILN_LIES_PACKED, 0};
}

/* The block's rows that are summed, as terms. */
static struct kiln_operand terms_of(const struct job *j, size_t first, size_t count)
{
    const float *at = j->x.at + first * j->x.step;
    if (kiln_lies_well(j->x.step))
        return (struct kiln_operand){at, KILN_LIES_TERMS, j->x.step};
    kiln_panels_pack(j->room.x, (size_t)j->tiles->rows, true, at, 1, j->x.step, j->w.columns, count);
    return (struct kiln_operand){j->room.x, KILN_LIES_PACKED, 0};
}

static void take_others(struct job *j, size_t first, size_t count)
{
    j->factor[0] = others_of(j, j->room.other[0], &j->other[0], first, count);
    if (j->second)
        j->factor[1] = others_of(j, j->room.other[1], &j->other[1], first, count);
    if (mode_of(j->d) != KILN_ATTENTION_SCORES)
        j->terms = terms_of(j, first, count);
}

/* A panel's lanes to rows of the result, each times its factor, by fours and what is left of them. */
static void store_panel(const float *total, size_t lanes, size_t columns, size_t count, const float *factor,
                        float *to, size_t step)
{
    const size_t fours = count / 4 * 4, whole = columns / 4 * 4;
    for (size_t i = 0; i < fours; i += 4)
        for (size_t c = 0; c < whole; c += 4) {
            kiln_four four[4];
            for (size_t r = 0; r < 4; r++)
                four[r] = kiln_four_load(total + (c + r) * lanes + i);
            kiln_four_transpose(four);
            for (size_t r = 0; r < 4; r++)
                kiln_four_store(to + (i + r) * step + c, four[r] * factor[i + r]);
        }
    for (size_t i = 0; i < count; i++)
        for (size_t c = i < fours ? whole : 0; c < columns; c++)
            to[i * step + c] = total[c * lanes + i] * factor[i];
}

/* The unit's rows of the result, times a factor of each, or one of all. */
static void store(const struct job *j, float *to, size_t step, const float *factor, float all)
{
    float one[KILN_MOST_LANES];
    size_t lanes;
    for (size_t i = 0; i < KILN_MOST_LANES; i++)
        one[i] = all;
    for (size_t at = 0; at < j->count; at += lanes) {
        const size_t left = j->count - at;
        lanes = (size_t)tiles_at(j, at)->columns;
        store_panel(j->room.total + at * j->w.columns, lanes, j->w.columns, left < lanes ? left : lanes,
                    factor ? factor + at : one, to + at * step, step);
    }
}

/* The others that the unit's rows need: [*begin, end). */
static size_t range_of(const struct job *j, size_t *begin)
{
    const struct kiln_head *h = &j->head;
    const params *p = j->p;
    const bool causal = j->d->constants[0] & KILN_ATTENTION_CAUSAL;
    *begin = 0;
    if (mode_of(j->d) == KILN_ATTENTION_SCORES)
        return p->queries;
    if (!own_is_key(j->d)) {
        const int64_t end = (int64_t)(j->first + j->count) + h->offset;
        return (size_t)(!causal || end > h->length ? h->length : end < 0 ? 0 : end);
    }
    const int64_t from = (int64_t)j->first - h->offset;
    if (causal && from > 0)
        *begin = (size_t)from / 4 * 4;
    return (int64_t)j->first < h->length ? p->queries : 0;
}

/* Attention ---------------------------------------------------------------------------------------------- */

/* The scores of a panel: products, special or to be scaled. */
static float score_panel(struct job *j, const float *own, float *rest)
{
    struct kiln_lines *b = &j->lines;
    multiply(j, j->own[0].size, &j->factor[0], b->lines, own, j->room.score, false);
    if (!kiln_lines_are_special(b))
        return j->p->scale;
    kiln_lines_mask(b, j->room.score, rest);
    return 1;
}

static bool rises(const float *ratio, size_t lanes)
{
    bool all_ones = true;
    for (size_t i = 0; i < lanes; i++)
        all_ones &= ratio[i] == 1;
    return !all_ones;
}

static void attend_panel(struct job *j, size_t at)
{
    struct kiln_lines *b = &j->lines;
    const size_t lanes = b->lanes;
    float ratio[KILN_MOST_LANES], *total = j->room.total + at * j->w.columns;
    const float scale = score_panel(j, j->room.own[0] + at * j->own[0].size, NULL);
    kiln_lines_raise(lanes, b->lines, scale, j->room.score, j->room.peak + at, j->room.sum + at, ratio);
    if (b->flags & KILN_ATTENTION_DROPPED)
        kiln_lines_drop(b, j->room.score);
    if (rises(ratio, lanes))
        kiln_lines_rescale(lanes, j->w.columns, total, ratio);
    multiply(j, b->lines, &j->terms, j->w.columns, j->room.score, total, true);
}

/* Sums become factors, and with the largest scores lse. */
static void finish(struct job *j)
{
    float *lse = (float *)j->m->at[6] + kiln_head_row(j->p, &j->head, j->first);
    float *sum = j->room.sum;
    for (size_t i = 0; i < j->count; i++) {
        lse[i] = sum[i] == 0 ? -INFINITY : (float)(j->room.peak[i] + log(sum[i]));
        sum[i] = sum[i] == 0 ? 0 : 1 / sum[i];
    }
    store(j, (float *)j->m->at[5] + j->head.y + j->first * j->head.y_step, j->head.y_step, sum, 0);
}

static void attend(struct job *j)
{
    size_t begin;
    const size_t end = range_of(j, &begin);
    pack_columns(j, j->room.own[0], &j->own[0]);
    memset(j->room.total, 0, j->w.own * j->w.columns * sizeof(float));
    for (size_t i = 0; i < j->w.own; i++) {
        j->room.peak[i] = -INFINITY;
        j->room.sum[i] = 0;
    }
    for (size_t first = begin; first < end; first += OTHERS) {
        j->lines.other = first;
        j->lines.lines = end - first < OTHERS ? end - first : OTHERS;
        take_others(j, first, j->lines.lines);
        for (size_t at = 0; at < j->count; at += j->lines.lanes) {
            take_panel(j, at);
            if (!kiln_lines_are_unseen(&j->lines))
                attend_panel(j, at);
        }
    }
    finish(j);
}

/* Gradients ---------------------------------------------------------------------------------------------- */

/* lse and delta of queries; of one that sees nothing lse becomes infinity, so that all probabilities are 0. */
static void take_rows(const struct job *j, size_t first, size_t count, float *lse, float *delta)
{
    const float *rows = (const float *)j->m->at[6] + kiln_head_row(j->p, &j->head, first);
    for (size_t i = 0; i < count; i++) {
        lse[i] = rows[i] == -INFINITY ? INFINITY : rows[i];
        delta[i] = rows[j->p->delta_at + i];
    }
}

/* The weights of a panel, in room.score. */
static void weigh_panel(struct job *j, size_t at)
{
    struct kiln_lines *b = &j->lines;
    const uint32_t mode = mode_of(j->d);
    const bool capped = b->flags & KILN_ATTENTION_CAPPED && j->second && mode != KILN_ATTENTION_SCORES;
    float *rest = capped ? j->room.rest : NULL;
    const float scale = score_panel(j, j->room.own[0] + at * j->own[0].size, rest);
    const float *lse = b->lanes_are_keys ? j->room.line[0] : j->room.peak + at;
    const float *delta = b->lanes_are_keys ? j->room.line[1] : j->room.sum + at;
    kiln_lines_probability(b, scale, j->room.score, lse);
    if (j->second)
        multiply(j, j->own[1].size, &j->factor[1], b->lines, j->room.own[1] + at * j->own[1].size,
                 j->room.pull, false);
    if (b->flags & KILN_ATTENTION_DROPPED)
        kiln_lines_drop(b, j->second ? j->room.pull : j->room.score);
    if (j->second)
        kiln_lines_weigh(b, j->room.score, j->room.pull, rest, delta);
}

/* Lines to rows of the scores' gradient; lanes are neighbours there. */
static void store_scores(const struct job *j, size_t head)
{
    const struct kiln_lines *b = &j->lines;
    const size_t left = j->p->keys - b->own, lanes = left < b->lanes ? left : b->lanes;
    float *to = (float *)j->m->at[7] + (head * j->p->queries + b->other) * j->p->keys + b->own;
    for (size_t line = 0; line < b->lines; line++)
        memcpy(to + line * j->p->keys, j->room.score + line * b->lanes, lanes * sizeof *to);
}

/* All others of the job's head; `head` counts the query heads. */
static void go_along(struct job *j, size_t head)
{
    const bool scores = mode_of(j->d) == KILN_ATTENTION_SCORES;
    size_t begin;
    const size_t end = range_of(j, &begin);
    for (size_t first = begin; first < end; first += OTHERS) {
        j->lines.other = first;
        j->lines.lines = end - first < OTHERS ? end - first : OTHERS;
        take_others(j, first, j->lines.lines);
        if (j->lines.lanes_are_keys)
            take_rows(j, first, j->lines.lines, j->room.line[0], j->room.line[1]);
        for (size_t at = 0; at < j->count; at += j->lines.lanes) {
            take_panel(j, at);
            if (!scores && kiln_lines_are_unseen(&j->lines))
                continue;
            weigh_panel(j, at);
            if (scores)
                store_scores(j, head);
            else
                multiply(j, j->lines.lines, &j->terms, j->w.columns, j->room.score,
                         j->room.total + at * j->w.columns, true);
        }
    }
}

static void pack_own(struct job *j)
{
    pack_columns(j, j->room.own[0], &j->own[0]);
    if (j->second)
        pack_columns(j, j->room.own[1], &j->own[1]);
}

static void pull(struct job *j, size_t head)
{
    const uint32_t mode = mode_of(j->d);
    const bool pairs = mode == KILN_ATTENTION_KEY || mode == KILN_ATTENTION_VALUE;
    const size_t pair = pairs ? head : head / j->p->group, from = pairs ? 0 : head % j->p->group;
    const size_t to = pairs ? j->p->group : from + 1;
    if (mode != KILN_ATTENTION_SCORES)
        memset(j->room.total, 0, j->w.own * j->w.columns * sizeof(float));
    for (size_t g = from; g < to; g++) {
        go_to(j, pair, g);
        if (g == from) /* heads that share keys and values share what is packed */
            pack_own(j);
        if (!j->lines.lanes_are_keys) {
            memset(j->room.peak, 0, j->w.own * sizeof(float));
            memset(j->room.sum, 0, j->w.own * sizeof(float));
            take_rows(j, j->first, j->count, j->room.peak, j->room.sum);
        }
        go_along(j, pairs ? 0 : head);
    }
    if (mode == KILN_ATTENTION_SCORES)
        return;
    const struct kiln_head *h = &j->head;
    const size_t at = mode == KILN_ATTENTION_QUERY ? h->q : mode == KILN_ATTENTION_KEY ? h->k : h->v;
    const size_t step = mode == KILN_ATTENTION_QUERY ? h->q_step
                        : mode == KILN_ATTENTION_KEY ? h->k_step
                                                     : h->v_step;
    store(j, (float *)j->m->at[7] + at + j->first * step, step, NULL,
          mode == KILN_ATTENTION_VALUE ? 1 : j->p->scale);
}

/* Variants ----------------------------------------------------------------------------------------------- */

static void run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    struct job j = {.d = d, .m = m, .p = block_of(d), .tiles = kiln_tiles_get(), .w = work_of(d)};
    lay_out(d, m->scratch, &j.room);
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t head = unit / j.w.blocks, left = j.w.rows - unit % j.w.blocks * j.w.own;
        j.first = unit % j.w.blocks * j.w.own;
        j.count = left < j.w.own ? left : j.w.own;
        if (is_grad(d))
            pull(&j, head);
        else {
            go_to(&j, head / j.p->group, head % j.p->group);
            attend(&j);
        }
    }
}

const kiln_variant kiln_cpu_attention_panels = {
    .name = "panels", .groups = groups, .scratch = scratch, .run = run};
const kiln_variant kiln_cpu_attention_grad_panels = {
    .name = "panels", .groups = groups, .scratch = scratch, .run = run};

KILN_INLINE void delta_body(const float *y, const float *dy, size_t count, float *out)
{
    double sum = 0;
    for (size_t first = 0; first < count; first += RUN_PART)
        sum += run_dot(y + first, dy + first, count - first < RUN_PART ? count - first : RUN_PART);
    *out = (float)sum;
}

static void delta(const float *y, const float *dy, size_t count, float *out);
KILN_CLONES(delta, (const float *y, const float *dy, size_t count, float *out), (y, dy, count, out))

static void run_delta(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    const params *p = block_of(d);
    const float *y = m->at[0], *dy = m->at[1], *lse = m->at[2];
    float *rows = m->at[3];
    for (size_t unit = first; unit < first + count; unit++) {
        const size_t i = unit % p->queries, head = unit / p->queries;
        const uint32_t layout = d->constants[0] & KILN_ATTENTION_ROWS_FIRST;
        const struct kiln_head h = kiln_head_of(p, layout, NULL, head / p->group, head % p->group);
        const size_t row = kiln_head_row(p, &h, i), at = h.y + i * h.y_step;
        rows[row] = lse[row];
        delta(y + at, dy + at, p->width, &rows[p->delta_at + row]);
    }
}

const kiln_variant kiln_cpu_attention_delta_rows = {.name = "rows", .run = run_delta, .grain = 64};
