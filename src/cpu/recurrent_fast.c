/*
 * recurrent_fast.c - recurrent and its gradient: some sequences through all steps, a product of packed panels and a pass over the
 * gates at each.
 *
 * A unit of work is a slice of the sequences in one direction. It packs the weights once, for all of its steps; a step packs the
 * states of the slice, multiplies, and computes the gates of each sequence while they are in the first caches. Few sequences read
 * the weights where they lie: there packing costs more than it saves.
 *
 * Slices depend on sizes alone; results do not depend on the number of threads.
 */
#include <string.h>

#include "base/number.h"
#include "cpu/panels.h"
#include "cpu/recurrent_rows.h"
#include "cpu/simd.h"
#include "device/caps.h"
#include "device/variants.h"

#define DEPTH  256 /* of a slab of a product, at most */
#define SLICES 4   /* at least, of */
#define LEAST  8   /* sequences; */
#define MOST   32  /* with more of them what is read of the weights serves enough */
#define FEW    96  /* sequences times steps of a slice below which the weights are not packed */

static const struct kiln_params_recurrent *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_recurrent *)d->block.words;
}

/* Sequences of a slice; the last one may have fewer. */
static size_t slice_of(const struct kiln_params_recurrent *p)
{
    const size_t wanted = kiln_parts(p->rows, SLICES), most = wanted < LEAST  ? LEAST
                                                              : wanted > MOST ? MOST
                                                                              : wanted;
    return kiln_parts(p->rows, kiln_parts(p->rows, most));
}

/* Products ----------------------------------------------------------------------------------------------- */

/* Weights as a product sees them: term k of column j at w[j * step + k * step_k], packed or where they lie. */
struct factor {
    const float *w;
    size_t step, step_k, columns, depth;
    bool by_terms; /* a term's columns lie side by side, else a column's terms do */
    float *packed; /* NULL: not packed */
};

struct tools {
    const struct kiln_tiles *tiles;
    size_t high;  /* rows of a panel of a slice */
    float *panel; /* room for a slab of a slice */
    float *edge;
};

static size_t packed_columns(const struct tools *t, size_t columns)
{
    return kiln_round_up(columns, (size_t)t->tiles->columns);
}

static void pack_factor(const struct tools *t, const struct factor *f)
{
    const size_t columns = packed_columns(t, f->columns);
    for (size_t k = 0; f->packed && k < f->depth; k += DEPTH)
        kiln_panels_pack(f->packed + k * columns, (size_t)t->tiles->columns, false, f->w + k * f->step_k,
                         f->step, f->step_k, f->columns, f->depth - k < DEPTH ? f->depth - k : DEPTH);
}

/* c[j] = sum over k of a[k] w[j][k], rows of w dense; four rows side by side, eight sums a row. */
KILN_INLINE void dots_body(const float *a, const float *w, size_t columns, size_t depth, float *restrict c)
{
    enum { LANES = 16 };
    for (size_t j = 0; j < columns; j++, w += depth) {
        float sum[LANES] = {0}, rest = 0;
        size_t k = 0;
        for (; k + LANES <= depth; k += LANES)
            for (size_t l = 0; l < LANES; l++)
                sum[l] += a[k + l] * w[k + l];
        for (; k < depth; k++)
            rest += a[k] * w[k];
        for (size_t step = LANES / 2; step > 0; step /= 2)
            for (size_t l = 0; l < step; l++)
                sum[l] += sum[l + step];
        c[j] = sum[0] + rest;
    }
}

/* c[j] += sum over k of a[k] w[k][j] */
KILN_INLINE void rows_body(const float *a, const float *w, size_t columns, size_t depth, float *restrict c)
{
    for (size_t k = 0; k < depth; k++, w += columns)
        for (size_t j = 0; j < columns; j++)
            c[j] += a[k] * w[j];
}

static void dots(const float *a, const float *w, size_t columns, size_t depth, float *restrict c);
static void rows(const float *a, const float *w, size_t columns, size_t depth, float *restrict c);
KILN_CLONES(dots, (const float *a, const float *w, size_t columns, size_t depth, float *restrict c),
            (a, w, columns, depth, c))
KILN_CLONES(rows, (const float *a, const float *w, size_t columns, size_t depth, float *restrict c),
            (a, w, columns, depth, c))

static struct kiln_operand rows_of(const struct tools *t, const float *a, size_t step, size_t count,
                                   size_t depth)
{
    if (step && kiln_lies_well(step))
        return (struct kiln_operand){a, KILN_LIES_ROWS, step};
    kiln_panels_pack(t->panel, t->high, true, a, step, 1, count, depth);
    return (struct kiln_operand){t->panel, KILN_LIES_PACKED, 0};
}

/* c[i] (+)= a[i] w for `count` rows, a_step and c_step apart. */
static void multiply(const struct tools *t, const struct factor *f, const float *a, size_t a_step,
                     size_t count, float *c, size_t c_step, bool add)
{
    const size_t columns = packed_columns(t, f->columns);
    for (size_t k = 0; f->packed && k < f->depth; k += DEPTH) {
        const size_t depth = f->depth - k < DEPTH ? f->depth - k : DEPTH;
        const struct kiln_operand w = {f->packed + k * columns, KILN_LIES_PACKED, 0};
        const struct kiln_operand rows = rows_of(t, a + k, a_step, count, depth);
        kiln_panels_multiply(t->tiles, t->edge, &rows, t->high, &w, count, f->columns, depth, c, c_step,
                             add || k > 0);
    }
    for (size_t i = 0; !f->packed && i < count; i++, a += a_step, c += c_step) {
        if (!f->by_terms) { /* forward, where nothing is added to */
            dots(a, f->w, f->columns, f->depth, c);
            continue;
        }
        if (!add)
            memset(c, 0, f->columns * sizeof *c);
        rows(a, f->w, f->columns, f->depth, c);
    }
}

/* Slices ------------------------------------------------------------------------------------------------- */

/* What a worker has, and which part of it a slice uses. */
struct slice {
    struct view v;
    const kiln_memory *m;
    struct tools tools;
    struct factor all, fresh; /* the gates that wait for nothing, and a GRU's new gate where it does */
    size_t first, rows, own;  /* sequences; direction of the dispatch's */
    float *product, *state, *cell, *reset, *room;
};

/* Floats of a worker's room, and where its parts begin in it. */
struct layout {
    size_t weights, panel, edge, product, state, cell, reset, room, all;
};

static struct layout layout_of(const kiln_dispatch *d)
{
    const struct kiln_params_recurrent *p = block_of(d);
    const size_t gates[] = {1, 4, 3}, hidden = p->hidden, rows = slice_of(p), wide = KILN_TILE_COLUMNS;
    const size_t all = gates[d->constants[0]] * hidden, state = rows * hidden;
    const bool packs = rows * p->steps >= FEW;
    struct layout l = {0};
    l.panel = l.weights + (packs ? (kiln_round_up(all, wide) + 2 * wide) * kiln_round_up(hidden, wide) : 0);
    l.panel = kiln_round_up(l.panel, 16);
    l.edge = l.panel + rows * DEPTH;
    l.product = l.edge + KILN_TILE_ROWS * KILN_TILE_COLUMNS;
    l.state = l.product + rows * all;
    l.cell = l.state + state;
    l.reset = l.cell + state;
    l.room = l.reset + state;
    l.all = kiln_round_up(l.room + KILN_RECURRENT_ROOM * hidden, 16);
    return l;
}

static struct slice slice_begin(const kiln_dispatch *d, const kiln_memory *m)
{
    const struct layout l = layout_of(d);
    float *room = m->scratch;
    struct slice s = {
        .v = view_of(d->block.words, d->constants),
        .m = m,
        .tools = {.tiles = kiln_tiles_get(), .panel = room + l.panel, .edge = room + l.edge},
        .product = room + l.product,
        .state = room + l.state,
        .cell = room + l.cell,
        .reset = room + l.reset,
        .room = room + l.room,
    };
    if (l.panel)
        s.all.packed = s.fresh.packed = room;
    return s;
}

/* Stand at a unit of work; true where its weights are others than the last one's. */
static bool slice_take(struct slice *s, size_t unit)
{
    const size_t rows = slice_of(s->v.p), slices = kiln_parts(s->v.p->rows, rows), own = unit / slices;
    const bool other = own != s->own || !s->rows;
    s->own = own;
    s->first = unit % slices * rows;
    s->rows = s->v.p->rows - s->first < rows ? s->v.p->rows - s->first : rows;
    s->tools.high = kiln_parts(s->rows, kiln_parts(s->rows, (size_t)s->tools.tiles->rows));
    return other;
}

static struct line line_at(const struct slice *s, size_t i, bool gradient)
{
    return line_of(&s->v, s->own * s->v.p->rows + s->first + i, gradient, s->m->at[gradient ? 2 : 3]);
}

static float *row_at(const struct slice *s, int binding, const struct line *l, size_t t, size_t width)
{
    return (float *)s->m->at[binding] + row_of(&s->v, l, t) * width * s->v.p->hidden;
}

static const float *vectors_of(const struct slice *s, int binding)
{
    const size_t direction = s->v.p->first_direction + s->own;
    return s->v.flags & KILN_RECURRENT_VECTORS
               ? (const float *)s->m->at[binding] + direction * 3 * s->v.p->hidden
               : NULL;
}

/* The factors of the slice's direction: gates [0, waiting) and the others, as rows (gradient) or columns of a product. */
static void set_factors(struct slice *s, const float *w, bool gradient)
{
    const size_t hidden = s->v.p->hidden, gates = s->v.gates;
    const bool waits = s->v.cell == KILN_CELL_GRU && (gradient || s->v.flags & KILN_RECURRENT_RESET_BEFORE);
    const size_t direct = waits ? 2 : gates;
    w += s->own * gates * hidden * hidden;
    for (int i = 0; i < 2; i++) {
        struct factor *f = i ? &s->fresh : &s->all;
        const size_t count = (i ? gates - direct : direct) * hidden;
        f->w = w + (i ? direct * hidden * hidden : 0);
        f->by_terms = gradient;
        f->step = gradient ? 1 : hidden;
        f->step_k = gradient ? hidden : 1;
        f->columns = gradient ? hidden : count;
        f->depth = gradient ? count : hidden;
    }
    if (s->all.packed)
        s->fresh.packed = s->all.packed + packed_columns(&s->tools, s->all.columns) * s->all.depth;
    pack_factor(&s->tools, &s->all);
    if (waits)
        pack_factor(&s->tools, &s->fresh);
}

/* Forward ------------------------------------------------------------------------------------------------ */

static void load_states(const struct slice *s)
{
    const size_t hidden = s->v.p->hidden, bytes = hidden * sizeof(float);
    const bool initial = s->v.flags & KILN_RECURRENT_INITIAL;
    for (size_t i = 0; i < s->rows; i++) {
        const struct line l = line_at(s, i, false);
        float *const to[] = {s->state + i * hidden, s->cell + i * hidden};
        for (size_t kind = 0; kind < (s->v.cell == KILN_CELL_LSTM ? 2 : 1); kind++)
            if (initial)
                memcpy(to[kind], state_of(&s->v, &l, s->m->at[4], kind), bytes);
            else
                memset(to[kind], 0, bytes);
    }
}

static void store_states(const struct slice *s)
{
    const size_t hidden = s->v.p->hidden, bytes = hidden * sizeof(float);
    for (size_t i = 0; i < s->rows; i++) {
        const struct line l = line_at(s, i, false);
        memcpy(state_of(&s->v, &l, s->m->at[5], 0), s->state + i * hidden, bytes);
        if (s->v.cell == KILN_CELL_LSTM)
            memcpy(state_of(&s->v, &l, s->m->at[5], 1), s->cell + i * hidden, bytes);
    }
}

static struct kiln_recurrent_row forward_row(const struct slice *s, const struct line *l, size_t i, size_t t)
{
    const size_t hidden = s->v.p->hidden;
    float *h = s->state + i * hidden, *c = s->cell + i * hidden;
    return (struct kiln_recurrent_row){
        .v = &s->v,
        .x = row_at(s, 0, l, t, s->v.gates),
        .product = s->product + i * s->v.gates * hidden,
        .vectors = vectors_of(s, 2),
        .h = h,
        .c = c,
        .h_next = h,
        .c_next = c,
        .y = row_at(s, 6, l, t, 1),
        .saved = s->v.flags & KILN_RECURRENT_SAVES ? row_at(s, 7, l, t, s->v.width) : NULL,
        .rh = s->reset + i * hidden,
        .room = s->room,
    };
}

static void forward_step(const struct slice *s, int64_t step)
{
    const size_t hidden = s->v.p->hidden, width = s->v.gates * hidden;
    const bool first = s->v.flags & KILN_RECURRENT_RESET_BEFORE;
    multiply(&s->tools, &s->all, s->state, hidden, s->rows, s->product, width, false);
    for (size_t i = 0; i < s->rows && first; i++) {
        const struct line l = line_at(s, i, false);
        const struct kiln_recurrent_row r = forward_row(s, &l, i, time_of(&s->v, &l, step));
        if (time_of(&s->v, &l, step) < l.steps)
            kiln_recurrent_reset(&r);
        else
            memset(r.rh, 0, hidden * sizeof *r.rh);
    }
    if (first)
        multiply(&s->tools, &s->fresh, s->reset, hidden, s->rows, s->product + 2 * hidden, width, false);
    for (size_t i = 0; i < s->rows; i++) {
        const struct line l = line_at(s, i, false);
        const size_t t = time_of(&s->v, &l, step);
        const struct kiln_recurrent_row r = forward_row(s, &l, i, t);
        if (t < l.steps)
            kiln_recurrent_forward(&r);
        else
            kiln_recurrent_rest(&r);
    }
}

static void forward(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    struct slice s = slice_begin(d, m);
    for (size_t unit = first; unit < first + count; unit++) {
        if (slice_take(&s, unit))
            set_factors(&s, m->at[1], false);
        load_states(&s);
        for (uint32_t step = 0; step < s.v.p->steps; step++)
            forward_step(&s, step);
        store_states(&s);
    }
}

/* Backward ----------------------------------------------------------------------------------------------- */

static bool has_extra_rows(const struct view *v)
{
    return v->cell == KILN_CELL_GRU && !(v->flags & KILN_RECURRENT_RESET_BEFORE);
}

/* Elements from a sequence's row of one time to the next sequence's. */
static size_t stride_of(const struct slice *s, size_t width)
{
    return (size_t)s->v.p->row_step * s->v.p->directions * width * s->v.p->hidden;
}

/* Add to the gradients of the states what the step's gates pull through the weights. */
static void pull(const struct slice *s, int64_t step)
{
    const size_t hidden = s->v.p->hidden;
    const struct line l = line_at(s, 0, true);
    const size_t t = time_of(&s->v, &l, step);
    multiply(&s->tools, &s->all, row_at(s, 6, &l, t, s->v.gates), stride_of(s, s->v.gates), s->rows,
             s->product, hidden, false);
    if (has_extra_rows(&s->v))
        multiply(&s->tools, &s->fresh, row_at(s, 7, &l, t, 1), stride_of(s, 1), s->rows, s->product, hidden,
                 true);
    for (size_t i = 0; i < s->rows; i++) {
        const struct line own = line_at(s, i, true);
        float *dh = state_of(&s->v, &own, s->m->at[5], 0);
        const float *product = s->product + i * hidden;
        for (size_t u = 0; u < hidden && t < own.steps; u++)
            dh[u] += product[u];
    }
}

static struct kiln_recurrent_back_row back_row(const struct slice *s, const struct line *l, size_t i,
                                               size_t t)
{
    const struct view *v = &s->v;
    float *extra = has_extra_rows(v) ? row_at(s, 7, l, t, 1) : NULL;
    if (v->cell == KILN_CELL_LSTM && v->flags & KILN_RECURRENT_VECTORS)
        extra = (float *)s->m->at[7] + (l->d * v->p->sequences + l->n) * 3 * v->p->hidden;
    return (struct kiln_recurrent_back_row){
        .v = v,
        .saved = row_at(s, 3, l, t, v->width),
        .dy = v->flags & KILN_RECURRENT_DY ? row_at(s, 4, l, t, 1) : NULL,
        .vectors = vectors_of(s, 1),
        .product = s->product + i * v->p->hidden,
        .dh = state_of(v, l, s->m->at[5], 0),
        .dc = state_of(v, l, s->m->at[5], 1),
        .dx = row_at(s, 6, l, t, v->gates),
        .extra = extra,
        .room = s->room,
    };
}

/* Behind a sequence's end. */
static void back_rest(const struct slice *s, const struct kiln_recurrent_back_row *r)
{
    const size_t bytes = s->v.p->hidden * sizeof(float);
    memset(r->dx, 0, s->v.gates * bytes);
    if (has_extra_rows(&s->v))
        memset(r->extra, 0, bytes);
}

static void back_step(const struct slice *s, int64_t step)
{
    const size_t hidden = s->v.p->hidden;
    for (size_t i = 0; i < s->rows; i++) {
        const struct line l = line_at(s, i, true);
        const size_t t = time_of(&s->v, &l, step);
        const struct kiln_recurrent_back_row r = back_row(s, &l, i, t);
        if (t < l.steps)
            kiln_recurrent_backward(&r);
        else
            back_rest(s, &r);
    }
    if (!(s->v.flags & KILN_RECURRENT_SECOND))
        return;
    const struct line l = line_at(s, 0, true);
    const size_t t = time_of(&s->v, &l, step);
    multiply(&s->tools, &s->fresh, row_at(s, 6, &l, t, s->v.gates) + 2 * hidden, stride_of(s, s->v.gates),
             s->rows, s->product, hidden, false);
    for (size_t i = 0; i < s->rows; i++) {
        const struct line own = line_at(s, i, true);
        const struct kiln_recurrent_back_row r = back_row(s, &own, i, t);
        if (t < own.steps)
            kiln_recurrent_back_reset(&r);
    }
}

static void backward(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)worker;
    struct slice s = slice_begin(d, m);
    for (size_t unit = first; unit < first + count; unit++) {
        if (slice_take(&s, unit))
            set_factors(&s, m->at[0], true);
        for (uint32_t step = 0; step < s.v.p->steps; step++) {
            if (step > 0)
                pull(&s, step - 1);
            back_step(&s, step);
        }
        pull(&s, (int64_t)s.v.p->steps - 1);
    }
}

/* The variants ------------------------------------------------------------------------------------------- */

/* Whole steps of all units by weights as they are. */
static bool is_plain(const kiln_dispatch *d)
{
    return !(d->constants[4] & (KILN_RECURRENT_PACKED | KILN_RECURRENT_ENTER)) && block_of(d)->steps > 0 &&
           block_of(d)->units == block_of(d)->hidden;
}

static bool forward_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const bool first = d->constants[4] & KILN_RECURRENT_FIRST,
               twice = d->constants[4] & KILN_RECURRENT_RESET_BEFORE;
    return is_plain(d) && d->constants[4] & KILN_RECURRENT_SECOND && first == twice;
}

static bool backward_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const bool second = d->constants[4] & KILN_RECURRENT_SECOND,
               twice = d->constants[4] & KILN_RECURRENT_RESET_BEFORE;
    return is_plain(d) && d->constants[4] & KILN_RECURRENT_LEAVE && second == twice;
}

static uint64_t slices(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_recurrent *p = block_of(d);
    return (uint64_t)kiln_parts(p->rows, slice_of(p)) * p->own_directions;
}

static uint64_t scratch(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return layout_of(d).all * sizeof(float);
}

const kiln_variant kiln_cpu_recurrent_slices = {
    .name = "slices", .accepts = forward_accepts, .groups = slices, .scratch = scratch, .run = forward};
const kiln_variant kiln_cpu_recurrent_grad_slices = {
    .name = "slices", .accepts = backward_accepts, .groups = slices, .scratch = scratch, .run = backward};
