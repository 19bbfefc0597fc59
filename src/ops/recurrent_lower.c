/*
 * recurrent_lower.c - a sequence becomes dispatches: all steps in one, or one after another.
 *
 *   sequence   every workgroup (CPU: thread) takes some sequences through all steps
 *   steps      every workgroup takes some units of some sequences through one step; a barrier, and the next. Where a step is
 *              two products one after the other (reset_before), it is two dispatches
 *
 * Both directions run side by side. Where the values of all steps are beyond what a binding may cover, time is cut into
 * windows (of a batch-first value: the sequences are); where the weights are, directions and units are. What a dispatch hands
 * on to the next lies in the states: forward they go from one temporary to the other, the gradient's stay where they are.
 *
 * A GPU reads the weights packed (shaders/recurrent/recurrent.h); these copies depend on weights alone, so that programs that
 * do not train make them once. The CPU reads them where they lie.
 */
#include "ops/recurrent.h"

#include <string.h>

#include "device/caps.h"
#include "ops/copy.h"
#include "ops/kernels.h"
#include "ops/lower.h"

struct kiln_recurrent_sizes kiln_recurrent_sizes_of(const kiln_plan *plan, const struct kiln_recurrent *p,
                                                    kiln_tensor t)
{
    const kiln_shape shape = kiln_plan_spec(plan, t).shape;
    return (struct kiln_recurrent_sizes){
        .steps = shape.size[p->batch_first],
        .sequences = shape.size[!p->batch_first],
        .hidden = p->hidden,
        .directions = p->directions,
        .gates = kiln_recurrent_gate_count(p->cell),
        .width = kiln_recurrent_saved_width(p->cell),
        .states = kiln_recurrent_state_count(p->cell),
    };
}

/* A node on its way to dispatches. */
struct work {
    kiln_plan *plan;
    const kiln_node *node;
    const struct kiln_recurrent *p;
    struct kiln_recurrent_sizes s;
    bool gradient, by_steps;
    kiln_dispatch d;      /* what all dispatches have in common */
    kiln_tensor weights;  /* packed; else the node's own */
    int64_t window_units; /* that see one piece of the weights */
    bool together;        /* both directions in one dispatch */
    kiln_tensor last;     /* states behind the last dispatch */
    struct {
        kiln_tensor from, to;
    } half[3]; /* results that are stored as halves, and where they are computed */
    int halves;
    kiln_status status;
    kiln_tensor between[2]; /* states from a dispatch to the next */
};

/* Part of the work: the steps [first, first + count) in order of execution, for some rows of the states. */
struct part {
    int64_t first_step, steps, first_row, rows;
    int first_direction, directions;
};

static struct kiln_params_recurrent *block_of(kiln_dispatch *d)
{
    return (struct kiln_params_recurrent *)d->block.words;
}

/* Weights ------------------------------------------------------------------------------------------------ */

static int64_t fours(const struct work *w)
{
    return (w->s.hidden + 3) / 4;
}

/* Elements of the packed weights of one direction for `units` units: a multiple of 64, so that each begins aligned. */
static int64_t packed_count(const struct work *w, int64_t units)
{
    return (w->s.gates * fours(w) * 4 * units + 63) / 64 * 64;
}

/* Copy the terms [first, first + count) of every sum, a full four or what is left of the last one. */
static kiln_status pack_terms(const struct work *w, kiln_tensor plain, int direction, int64_t first_unit,
                              int64_t units, int64_t four, int64_t count, int64_t within, int64_t to)
{
    const int64_t h = w->s.hidden, g = w->s.gates;
    struct kiln_walk walk = {
        .rank = 4,
        .size = {count, g, units, within},
        .x_step = {4, h * h, h, 1},
        .y_step = {g * units * 4, units * 4, 4, 1},
        .x_start = direction * g * h * h + first_unit * h + four * 4,
        .y_start = to + four * g * units * 4,
    };
    if (w->gradient) {
        memcpy(walk.x_step, (const int64_t[]){4 * h, h * h, 1, h}, 4 * sizeof *walk.x_step);
        memcpy(walk.y_step, (const int64_t[]){units * 4, fours(w) * units * 4, 4, 1},
               4 * sizeof *walk.y_step);
        walk.x_start = direction * g * h * h + first_unit + four * 4 * h;
        walk.y_start = to + four * units * 4;
    }
    return kiln_plan_walk(w->plan, plain, w->weights, &walk);
}

/* Where the packed weights of a direction's window begin, in elements. */
static int64_t packed_at(const struct work *w, int direction, int64_t first_unit)
{
    return direction * packed_count(w, w->s.hidden) + packed_count(w, first_unit);
}

static kiln_status pack_weights(struct work *w, kiln_tensor plain)
{
    const int64_t whole = w->s.hidden / 4, left = w->s.hidden % 4;
    kiln_status status = KILN_OK;
    w->weights = kiln_plan_temporary(w->plan, KILN_F32, w->s.directions * packed_count(w, w->s.hidden));
    if (left)
        status = kiln_plan_fill(w->plan, (kiln_binding){.value = w->weights}, 0);
    for (int d = 0; d < w->s.directions && !status; d++)
        for (int64_t u = 0; u < w->s.hidden && !status; u += w->window_units) {
            const int64_t rest = w->s.hidden - u, units = rest < w->window_units ? rest : w->window_units;
            const int64_t to = packed_at(w, d, u);
            status = pack_terms(w, plain, d, u, units, 0, whole, 4, to);
            if (left && !status)
                status = pack_terms(w, plain, d, u, units, whole, 1, left, to);
        }
    return status;
}

/* Units whose weights fit a binding: all, or a multiple of 16, so that every window begins aligned. */
static void choose_units(struct work *w)
{
    const uint64_t most = kiln_plan_caps(w->plan)->max_binding / kiln_plan_element(w->plan, w->weights);
    const uint64_t all = (uint64_t)packed_count(w, w->s.hidden);
    w->together = w->s.directions == 1 || all * 2 <= most;
    w->window_units = w->s.hidden;
    if (all > most && w->by_steps) {
        const uint64_t units = most / (uint64_t)packed_count(w, 16) * 16;
        w->window_units = units ? (int64_t)units : 16;
    }
}

/* Bindings ----------------------------------------------------------------------------------------------- */

/* Values with a row a position: their binding, and states a row. */
struct rows {
    int binding;
    int64_t width;
};

static int rows_of(const struct work *w, struct rows out[4])
{
    const struct rows forward[] = {{0, w->s.gates}, {6, 1}, {7, w->s.width}};
    const struct rows gradient[] = {{3, w->s.width}, {4, 1}, {6, w->s.gates}, {7, 1}};
    const bool extra = kiln_recurrent_resets_after(w->p);
    memcpy(out, w->gradient ? gradient : forward, w->gradient ? sizeof gradient : sizeof forward);
    return w->gradient && extra ? 4 : 3;
}

/* Bind of each value with a row a position what a part touches, and count positions from there. */
static void bind_rows(const struct work *w, const struct part *part, kiln_dispatch *d, int64_t low_time)
{
    struct kiln_params_recurrent *b = block_of(d);
    const int64_t first = low_time * b->time_step + part->first_row * b->row_step;
    const int64_t last = first + (part->steps - 1) * b->time_step + (part->rows - 1) * b->row_step;
    const int64_t skipped = first / 64 * 64;
    struct rows rows[4];
    const int count = rows_of(w, rows);
    for (int i = 0; i < count; i++) {
        kiln_binding *bind = &d->bind[rows[i].binding];
        const uint64_t row = (uint64_t)(w->s.directions * rows[i].width * w->s.hidden) *
                             (bind->value.id ? kiln_plan_element(w->plan, bind->value) : 0);
        bind->offset = (uint64_t)skipped * row;
        bind->bytes = (uint64_t)(last + 1 - skipped) * row;
    }
    b->skipped = (uint32_t)skipped;
}

/* The weights of the part's directions and, where the weights are cut, of a window of units. */
static void bind_weights(const struct work *w, const struct part *part, int64_t first_unit, int64_t units,
                         kiln_dispatch *d)
{
    const bool packed = w->d.constants[4] & KILN_RECURRENT_PACKED;
    const int64_t own = w->s.gates * w->s.hidden * w->s.hidden;
    const int64_t at = packed ? packed_at(w, part->first_direction, first_unit) : part->first_direction * own;
    const int64_t count = part->directions * (packed ? packed_count(w, units) : own);
    const uint64_t element = kiln_plan_element(w->plan, w->weights);
    d->bind[w->gradient ? 0 : 1] =
        (kiln_binding){w->weights, (uint64_t)at * element, (uint64_t)count * element};
    block_of(d)->units = (uint32_t)units;
    block_of(d)->first_unit = (uint32_t)first_unit;
}

/* Dispatches --------------------------------------------------------------------------------------------- */

static bool is_cut(const struct work *w, const struct part *part)
{
    return part->steps < w->s.steps;
}

/* The states before and behind dispatch `hop` of `hops`, which follow one another. */
static void bind_states(const struct work *w, int64_t hop, int64_t hops, kiln_dispatch *d)
{
    if (w->gradient)
        return;
    if (hop > 0) {
        d->bind[4].value = w->between[(hop - 1) % 2];
        d->constants[4] |= KILN_RECURRENT_INITIAL;
    }
    d->bind[5].value = hop + 1 < hops ? w->between[hop % 2] : w->last;
}

/* `steps` steps from the one at `first` on, in order of execution. */
static void set_steps(const struct work *w, int64_t first, int64_t steps, kiln_dispatch *d)
{
    struct kiln_params_recurrent *b = block_of(d);
    b->steps = (uint32_t)steps;
    b->start = (uint32_t)first;
    b->start_back = (uint32_t)(w->s.steps - 1 - first);
}

/* One dispatch, or one a window of units where the weights are cut. */
static kiln_status dispatch_units(const struct work *w, const struct part *part, uint32_t flags,
                                  kiln_dispatch d)
{
    kiln_status status = KILN_OK;
    d.constants[4] |= flags;
    for (int64_t u = 0; u < w->s.hidden && !status; u += w->window_units) {
        const int64_t left = w->s.hidden - u;
        bind_weights(w, part, u, left < w->window_units ? left : w->window_units, &d);
        status = kiln_plan_dispatch(w->plan, &d);
    }
    return status;
}

/* All steps of the part at once. */
static kiln_status run_sequence(const struct work *w, const struct part *part, int64_t hop, int64_t hops,
                                kiln_dispatch d)
{
    const uint32_t usual = w->gradient ? KILN_RECURRENT_FIRST | KILN_RECURRENT_LEAVE : KILN_RECURRENT_SECOND;
    const bool twice = w->p->flags & KILN_RECURRENT_RESET_BEFORE;
    bind_states(w, hop, hops, &d);
    set_steps(w, part->first_step, part->steps, &d);
    return dispatch_units(w, part, usual | (twice ? KILN_RECURRENT_FIRST | KILN_RECURRENT_SECOND : 0), d);
}

/* The parts of one step: {first, second}, the second with what every step has. */
static kiln_status run_step(const struct work *w, const struct part *part, int64_t step, kiln_dispatch d)
{
    const bool twice = w->p->flags & KILN_RECURRENT_RESET_BEFORE;
    const uint32_t enter = w->gradient && step > part->first_step ? KILN_RECURRENT_ENTER : 0;
    kiln_status status = KILN_OK;
    bind_states(w, step, w->s.steps, &d);
    set_steps(w, step, 1, &d);
    if (twice || w->gradient)
        status = dispatch_units(w, part, KILN_RECURRENT_FIRST | enter, d);
    if (!status && (twice || !w->gradient))
        status = dispatch_units(w, part, KILN_RECURRENT_SECOND, d);
    return status;
}

static kiln_status run_steps(const struct work *w, const struct part *part, kiln_dispatch d)
{
    kiln_status status = KILN_OK;
    for (int64_t i = 0; i < part->steps && !status; i++)
        status = run_step(w, part, part->first_step + i, d);
    if (!w->gradient || status)
        return status;
    set_steps(w, part->first_step + part->steps, 0, &d);
    return dispatch_units(w, part, KILN_RECURRENT_LEAVE, d);
}

static kiln_status run_part(const struct work *w, const struct part *part, int64_t hop, int64_t hops)
{
    kiln_dispatch d = w->d;
    struct kiln_params_recurrent *b = block_of(&d);
    const bool reversed = part->first_direction == 1 || w->p->flags & KILN_RECURRENT_REVERSED;
    const bool ahead = reversed == w->gradient;
    b->rows = (uint32_t)part->rows;
    b->first_row = (uint32_t)part->first_row;
    b->own_directions = (uint32_t)part->directions;
    b->first_direction = (uint32_t)part->first_direction;
    bind_rows(w, part, &d, ahead ? part->first_step : w->s.steps - part->first_step - part->steps);
    return w->by_steps ? run_steps(w, part, d) : run_sequence(w, part, hop, hops, d);
}

/* All steps of some rows and directions, a window of time after the other. */
static kiln_status run_rows(const struct work *w, struct part part, int64_t window)
{
    const int64_t hops = (w->s.steps + window - 1) / window;
    kiln_status status = KILN_OK;
    for (int64_t hop = 0; hop < hops && !status; hop++) {
        const int64_t left = w->s.steps - hop * window;
        part.first_step = hop * window;
        part.steps = left < window ? left : window;
        status = run_part(w, &part, hop, hops);
    }
    return status;
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* The most steps and rows whose values fit a binding: whole along the inner axis if that can be. */
static struct part window_of(const struct work *w)
{
    const int64_t steps = w->s.steps, sequences = w->s.sequences;
    int64_t most = INT64_MAX;
    struct rows rows[4];
    const int count = rows_of(w, rows);
    for (int i = 0; i < count; i++) {
        const kiln_tensor t = w->d.bind[rows[i].binding].value;
        const int64_t row = w->s.directions * rows[i].width * w->s.hidden;
        const int64_t here =
            t.id ? (int64_t)(kiln_plan_caps(w->plan)->max_binding / kiln_plan_element(w->plan, t)) / row
                 : most;
        most = here < most ? here : most;
    }
    if (steps * sequences <= most)
        return (struct part){.steps = steps, .rows = sequences};
    most -= 63; /* windows begin at multiples of 64 */
    const int64_t inner = w->p->batch_first ? steps : sequences, outer = most / inner;
    const int64_t one = most > 1 ? most : 1;
    if (w->p->batch_first)
        return (struct part){.steps = outer ? steps : one < steps ? one : steps, .rows = outer ? outer : 1};
    return (struct part){.steps = outer ? outer : 1,
                         .rows = outer             ? sequences
                                 : one < sequences ? one
                                                   : sequences};
}

static kiln_status run_all(struct work *w)
{
    const struct part window = window_of(w);
    const bool together = w->together && !is_cut(w, &window);
    kiln_status status = KILN_OK;
    if (!w->gradient && (w->by_steps ? w->s.steps > 1 : is_cut(w, &window)))
        for (int i = 0; i < 2; i++)
            w->between[i] = kiln_plan_temporary(w->plan, KILN_F32,
                                                w->s.states * w->s.directions * w->s.sequences * w->s.hidden);
    for (int64_t r = 0; r < w->s.sequences && !status; r += window.rows)
        for (int d = 0; d < w->s.directions && !status; d += together ? 2 : 1) {
            const int64_t left = w->s.sequences - r;
            const struct part part = {
                .first_row = r,
                .rows = left < window.rows ? left : window.rows,
                .first_direction = d,
                .directions = together ? (int)w->s.directions : 1,
            };
            status = run_rows(w, part, window.steps);
        }
    return status;
}

/* Nodes -------------------------------------------------------------------------------------------------- */

static void set_reals(struct kiln_params_recurrent *b, const struct kiln_recurrent *p)
{
    KILN_REAL_SET(b, clip, p->clip);
    KILN_REAL_SET(b, f_alpha, p->alpha[0]);
    KILN_REAL_SET(b, f_beta, p->beta[0]);
    KILN_REAL_SET(b, g_alpha, p->alpha[1]);
    KILN_REAL_SET(b, g_beta, p->beta[1]);
    KILN_REAL_SET(b, h_alpha, p->alpha[2]);
    KILN_REAL_SET(b, h_beta, p->beta[2]);
}

/* What a node's dispatches have in common; `rows` is a value with a row a position. */
static struct work work_of(kiln_plan *plan, const kiln_node *n, bool gradient, bool by_steps,
                           kiln_tensor rows)
{
    const struct kiln_recurrent *p = n->params;
    struct work w = {
        .plan = plan,
        .node = n,
        .p = p,
        .s = kiln_recurrent_sizes_of(plan, p, rows),
        .gradient = gradient,
        .by_steps = by_steps,
        .d = {.kernel = gradient ? &kiln_kernel_recurrent_grad : &kiln_kernel_recurrent,
              .constants = {(uint32_t)p->cell, (uint32_t)p->squash[0], (uint32_t)p->squash[1],
                            (uint32_t)p->squash[2], (uint32_t)p->flags},
              .constant_count = 5,
              .block_size = sizeof(struct kiln_params_recurrent)},
    };
    struct kiln_params_recurrent *b = block_of(&w.d);
    b->hidden = (uint32_t)w.s.hidden;
    b->sequences = (uint32_t)w.s.sequences;
    b->directions = (uint32_t)w.s.directions;
    b->time_step = p->batch_first ? 1 : (uint32_t)w.s.sequences;
    b->row_step = p->batch_first ? (uint32_t)w.s.steps : 1;
    set_reals(b, p);
    return w;
}

static kiln_binding whole(kiln_tensor t)
{
    return (kiln_binding){.value = t};
}

static uint64_t count_of(const kiln_plan *plan, kiln_tensor t)
{
    const kiln_spec spec = kiln_plan_spec(plan, t);
    return (uint64_t)kiln_shape_count(&spec.shape);
}

/* Kernels compute with floats: halves are widened once, before the first dispatch, and results become halves at the end. */
static kiln_tensor floats_like(struct work *w, kiln_tensor t)
{
    return t.id && kiln_plan_element(w->plan, t) == 2
               ? kiln_plan_temporary(w->plan, KILN_F32, (int64_t)count_of(w->plan, t))
               : t;
}

static kiln_tensor floats_of(struct work *w, kiln_tensor t)
{
    const kiln_tensor wide = floats_like(w, t);
    if (wide.id != t.id && !w->status)
        w->status = kiln_lower_copy(w->plan, whole(t), whole(wide), count_of(w->plan, t));
    return wide;
}

static kiln_tensor floats_for(struct work *w, kiln_tensor result)
{
    const kiln_tensor wide = floats_like(w, result);
    if (wide.id != result.id) {
        w->half[w->halves].from = wide;
        w->half[w->halves++].to = result;
    }
    return wide;
}

/* Bind an input if it is there, and say so. */
static void bind_optional(struct work *w, int input, int binding, uint32_t flag)
{
    w->d.bind[binding].value = floats_of(w, w->node->in[input]);
    w->d.constants[4] |= w->node->in[input].id ? flag : 0;
}

/* The CPU reads the weights where they lie, if it may bind them whole. */
static bool reads_plain(const kiln_plan *plan, kiln_tensor weights)
{
    const kiln_caps *caps = kiln_plan_caps(plan);
    const kiln_spec spec = kiln_plan_spec(plan, weights);
    const uint64_t bytes = (uint64_t)kiln_shape_count(&spec.shape) * kiln_plan_element(plan, weights);
    return caps->backend == KILN_BACKEND_CPU && bytes <= caps->max_binding;
}

static kiln_status finish(struct work *w)
{
    const kiln_tensor plain =
        floats_of(w, w->node->in[w->gradient ? KILN_RECURRENT_GRAD_W : KILN_RECURRENT_IN_W]);
    w->weights = plain;
    choose_units(w);
    if (!reads_plain(w->plan, plain)) {
        w->d.constants[4] |= KILN_RECURRENT_PACKED;
        w->status = w->status ? w->status : pack_weights(w, plain);
    }
    if (!w->status)
        w->status = run_all(w);
    for (int i = 0; i < w->halves && !w->status; i++)
        w->status = kiln_lower_copy(w->plan, whole(w->half[i].from), whole(w->half[i].to),
                                    count_of(w->plan, w->half[i].to));
    return w->status;
}

static kiln_status fill_zero(kiln_plan *plan, kiln_tensor t)
{
    return count_of(plan, t) ? kiln_plan_fill(plan, whole(t), 0) : KILN_OK;
}

/* Let `states` begin as `from`, or as zeros. */
static kiln_status begin_states(kiln_plan *plan, kiln_tensor from, kiln_tensor states)
{
    const uint64_t count = count_of(plan, states);
    if (!from.id || !count)
        return fill_zero(plan, states);
    return kiln_lower_copy(plan, whole(from), whole(states), count);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n, bool by_steps)
{
    struct work w = work_of(plan, n, false, by_steps, n->in[KILN_RECURRENT_IN_X]);
    if (w.s.steps * w.s.sequences == 0)
        return begin_states(plan, n->in[KILN_RECURRENT_IN_STATES], n->out[1]);
    w.d.bind[0].value = floats_of(&w, n->in[KILN_RECURRENT_IN_X]);
    bind_optional(&w, KILN_RECURRENT_IN_VECTORS, 2, KILN_RECURRENT_VECTORS);
    bind_optional(&w, KILN_RECURRENT_IN_LENGTHS, 3, KILN_RECURRENT_LENGTHS);
    bind_optional(&w, KILN_RECURRENT_IN_STATES, 4, KILN_RECURRENT_INITIAL);
    w.d.bind[6].value = floats_for(&w, n->out[0]);
    w.last = floats_for(&w, n->out[1]);
    if (kiln_plan_used(plan, n->out[2]) || (by_steps && w.p->flags & KILN_RECURRENT_RESET_BEFORE)) {
        w.d.bind[7].value = n->out[2];
        w.d.constants[4] |= KILN_RECURRENT_SAVES;
    }
    return finish(&w);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n, bool by_steps)
{
    struct work w = work_of(plan, n, true, by_steps, n->in[KILN_RECURRENT_GRAD_SAVED]);
    const bool empty = w.s.steps * w.s.sequences == 0, sums = !kiln_recurrent_resets_after(w.p);
    if (empty)
        w.status = begin_states(plan, n->in[KILN_RECURRENT_GRAD_DSTATES], n->out[1]);
    if (!w.status && (empty || sums))
        w.status = fill_zero(plan, n->out[2]);
    if (empty || w.status)
        return w.status;
    bind_optional(&w, KILN_RECURRENT_GRAD_VECTORS, 1, KILN_RECURRENT_VECTORS);
    bind_optional(&w, KILN_RECURRENT_GRAD_LENGTHS, 2, KILN_RECURRENT_LENGTHS);
    w.d.bind[3].value = n->in[KILN_RECURRENT_GRAD_SAVED];
    bind_optional(&w, KILN_RECURRENT_GRAD_DY, 4, KILN_RECURRENT_DY);
    w.d.bind[5].value = floats_for(&w, n->out[1]);
    w.status =
        w.status ? w.status : begin_states(plan, n->in[KILN_RECURRENT_GRAD_DSTATES], w.d.bind[5].value);
    w.d.bind[6].value = floats_for(&w, n->out[0]);
    if (count_of(plan, n->out[2]))
        w.d.bind[7].value = n->out[2];
    return finish(&w);
}

/* All steps at once: on the CPU; on a GPU where a workgroup holds the states and one step has too little work. */
static bool suits(kiln_plan *plan, const kiln_node *n, bool gradient)
{
    const struct kiln_recurrent *p = n->params;
    const kiln_tensor rows = n->in[gradient ? KILN_RECURRENT_GRAD_SAVED : KILN_RECURRENT_IN_X];
    const kiln_tensor weights = n->in[gradient ? KILN_RECURRENT_GRAD_W : KILN_RECURRENT_IN_W];
    const struct kiln_recurrent_sizes s = kiln_recurrent_sizes_of(plan, p, rows);
    const kiln_caps *caps = kiln_plan_caps(plan);
    if (p->by_steps)
        return false;
    return caps->backend == KILN_BACKEND_CPU ? reads_plain(plan, weights)
                                             : kiln_recurrent_suits_groups(caps, p, &s, gradient);
}

static bool forward_suits(kiln_plan *plan, const kiln_node *n)
{
    return suits(plan, n, false);
}

static bool grad_suits(kiln_plan *plan, const kiln_node *n)
{
    return suits(plan, n, true);
}

static kiln_status forward_sequence(kiln_plan *plan, const kiln_node *n)
{
    return lower(plan, n, false);
}

static kiln_status forward_steps(kiln_plan *plan, const kiln_node *n)
{
    return lower(plan, n, true);
}

static kiln_status grad_sequence(kiln_plan *plan, const kiln_node *n)
{
    return grad_lower(plan, n, false);
}

static kiln_status grad_steps(kiln_plan *plan, const kiln_node *n)
{
    return grad_lower(plan, n, true);
}

const kiln_lowering kiln_recurrent_lowerings[2] = {
    {.name = "sequence", .accepts = forward_suits, .lower = forward_sequence},
    {.name = "steps", .lower = forward_steps},
};

const kiln_lowering kiln_recurrent_grad_lowerings[2] = {
    {.name = "sequence", .accepts = grad_suits, .lower = grad_sequence},
    {.name = "steps", .lower = grad_steps},
};
