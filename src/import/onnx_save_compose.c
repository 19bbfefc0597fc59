/*
 * onnx_save_compose.c - operators that ONNX lacks, built of those that it has.
 *
 * What a node computes is built once more, by kiln's own builders, in a graph whose inputs are the node's; its nodes are then
 * written in the node's place. So types, broadcasting and symbolic sizes need no second thought here.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kiln/control.h>
#include <kiln/detection.h>
#include <kiln/indexing.h>

#include "import/onnx_save_row.h"

static kiln_tensor number_like(kiln_graph *g, kiln_tensor x, double value)
{
    return kiln_scalar(g, kiln_tensor_type(g, x), value);
}

static int rank_of(const kiln_graph *g, kiln_tensor x)
{
    return kiln_tensor_shape(g, x).rank;
}

/* Elementwise -------------------------------------------------------------------------------------------- */

/* Of y / x the arc tangent, half a turn away where x < 0; 0 / 0 counts as 0. */
static void compose_atan2(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor y = in[0], x = in[1], zero = number_like(g, x, 0);
    const kiln_tensor none = kiln_and(g, kiln_equal(g, x, zero), kiln_equal(g, y, zero));
    const kiln_tensor angle = kiln_where(g, none, zero, kiln_atan(g, kiln_div(g, y, x)));
    const kiln_tensor half = number_like(g, x, 3.14159265358979323846);
    const kiln_tensor turned =
        kiln_where(g, kiln_less(g, y, zero), kiln_sub(g, angle, half), kiln_add(g, angle, half));
    (void)n;
    out[0] = kiln_where(g, kiln_less(g, x, zero), turned, angle);
}

/* 1 where low <= x <= high. */
static void compose_inside(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor x = in[0];
    out[0] = kiln_and(g, kiln_less_equal(g, number_like(g, x, number(n, "low")), x),
                      kiln_less_equal(g, x, number_like(g, x, number(n, "high"))));
}

/* Bits of signed numbers move as those of unsigned ones; to the right they are divided, rounding down. */
void kiln_onnx_compose_shift(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_type type = kiln_tensor_type(g, in[0]);
    const kiln_type natural = type == KILN_I8 ? KILN_U8 : type == KILN_I16 ? KILN_U16 : KILN_U32;
    const kiln_tensor by = kiln_cast(g, in[1], natural);
    if (n->op->name[6] == 'l') {
        out[0] = kiln_cast(g, kiln_shift_left(g, kiln_cast(g, in[0], natural), by), type);
        return;
    }
    const kiln_tensor wide = kiln_cast(g, in[0], KILN_I64);
    const kiln_tensor unit =
        kiln_cast(g, kiln_shift_left(g, kiln_scalar(g, KILN_U32, 1), kiln_cast(g, in[1], KILN_U32)),
                  KILN_I64);
    out[0] = kiln_cast(g, kiln_div(g, kiln_sub(g, wide, kiln_mod(g, wide, unit)), unit), type);
}

/* Shapes ------------------------------------------------------------------------------------------------- */

/* The axes of a broadcast are summed. */
static void compose_sum_to(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_shape x = kiln_tensor_shape(g, in[0]), y = kiln_tensor_shape(g, in[1]);
    kiln_reduce_params p = {.keep = true};
    (void)n;
    for (int i = 0; i < x.rank; i++) {
        const int at = i - (x.rank - y.rank);
        if (at < 0 || (y.size[at] == 1 && x.size[i] != 1))
            p.axes.axis[p.axes.count++] = i;
    }
    out[0] = p.axes.count ? kiln_sum(g, in[0], &p) : in[0];
    for (int i = y.rank; i < x.rank; i++)
        out[0] = kiln_squeeze(g, out[0], 0);
}

/* Places ------------------------------------------------------------------------------------------------- */

/* Where an extreme over several axes is: they are joined as the last. */
void kiln_onnx_compose_find(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_shape x = kiln_tensor_shape(g, in[0]);
    const int64_t axes = integer(n, "axes");
    kiln_shape joined = {.rank = 0};
    int order[KILN_MAX_RANK], behind = 0;
    for (int i = 0; i < x.rank; i++)
        if (!(axes >> i & 1)) {
            order[joined.rank] = i;
            joined.size[joined.rank++] = x.size[i];
        }
    for (int i = 0; i < x.rank; i++)
        if (axes >> i & 1)
            order[joined.rank + behind++] = i;
    joined.size[joined.rank++] = KILN_REST;
    const bool last = !strncmp(n->op->name, "find_last", strlen("find_last")),
               most = strstr(n->op->name, "max") != NULL;
    const kiln_tensor rows = kiln_reshape(g, kiln_transpose(g, in[0], order), joined);
    out[0] = last ? (most ? kiln_argmax_last : kiln_argmin_last)(g, rows, -1, false)
                  : (most ? kiln_argmax : kiln_argmin)(g, rows, -1, false);
    for (int i = 0; i < x.rank && integer(n, "keep"); i++)
        if (axes >> i & 1)
            out[0] = kiln_unsqueeze(g, out[0], i);
}

/* How many of a sorted list come before each x: a comparison of all with all. */
static void compose_search(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor list = kiln_unsqueeze(g, in[0], rank_of(g, in[0]) - 1),
                      x = kiln_unsqueeze(g, in[1], rank_of(g, in[1]));
    const kiln_tensor before = integer(n, "right") ? kiln_less_equal(g, list, x) : kiln_less(g, list, x);
    out[0] = kiln_sum(g, kiln_cast(g, before, KILN_I32), &(kiln_reduce_params){.axes = KILN_AXES(-1)});
}

/* An index that is in range: clamped where it is not, and `rows` where it names no place. */
static kiln_tensor in_range(kiln_graph *g, kiln_tensor index, kiln_tensor rows)
{
    const kiln_tensor zero = kiln_scalar(g, KILN_I32, 0),
                      last = kiln_sub(g, rows, kiln_scalar(g, KILN_I32, 1));
    const kiln_tensor whole = kiln_cast(g, index, KILN_I32);
    const kiln_tensor none = kiln_equal(g, whole, kiln_scalar(g, KILN_I32, KILN_NOWHERE));
    const kiln_tensor positive = kiln_where(g, kiln_less(g, whole, zero), kiln_add(g, whole, rows), whole);
    return kiln_where(g, none, rows, kiln_min(g, kiln_max(g, positive, zero), last));
}

/*
 * y[.., index[j], ..] meets u[.., j, ..]. The axes of j become one, the index an element of each slice; what names no place goes
 * to a row behind the last, which is cut off.
 */
static void compose_scatter(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const int axis = (int)integer(n, "axis"), batch = (int)integer(n, "batch");
    const kiln_scatter_params p = {.kind = (kiln_scatter_kind)integer(n, "kind")};
    const kiln_shape x = kiln_tensor_shape(g, in[0]), index = kiln_tensor_shape(g, in[1]);
    kiln_shape lined = {.rank = x.rank};
    int64_t none[KILN_MAX_RANK] = {0}, one[KILN_MAX_RANK] = {0};
    one[axis] = 1;
    for (int i = 0; i < x.rank; i++)
        lined.size[i] = i == axis ? KILN_REST : i < batch ? x.size[i] : 1;
    kiln_shape updates = x;
    updates.size[axis] = KILN_REST;
    if (index.rank == batch) /* a single place */
        lined.size[axis] = updates.size[axis] = 1;
    const kiln_tensor u = kiln_reshape(g, in[2], updates);
    const kiln_tensor places =
        kiln_expand_to(g, kiln_reshape(g, in_range(g, in[1], size_of_axis(g, in[0], axis)), lined), u);
    const kiln_tensor longer = kiln_pad(g, in[0], none, one, 0);
    out[0] = kiln_slice(g, kiln_scatter_elements(g, longer, places, u, axis, &p), axis, 0, -1, 1);
}

/* A position from the end where it is negative, and so that `count` rows fit. I32 scalars. */
static kiln_tensor position_of(kiln_graph *g, kiln_tensor given, kiln_tensor rows, kiln_tensor count)
{
    const kiln_tensor zero = kiln_scalar(g, KILN_I32, 0), at = kiln_cast(g, given, KILN_I32);
    const kiln_tensor from_end = kiln_where(g, kiln_less(g, at, zero), kiln_add(g, at, rows), at);
    return kiln_max(g, kiln_min(g, from_end, kiln_sub(g, rows, count)), zero);
}

/* Rows picked by their numbers; as many as the third input has, or the node says. */
static void compose_slice_at(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const int axis = (int)integer(n, "axis");
    const int64_t count = integer(n, "count");
    if (!in[2].id && count < 0) {
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "a symbolic number of rows");
        return;
    }
    const kiln_tensor steps =
        n->inputs > 2 ? kiln_positions(g, in[2], axis) : kiln_sequence(g, KILN_I32, 0, 1, count);
    const kiln_tensor first = position_of(g, in[1], size_of_axis(g, in[0], axis), size_of_axis(g, steps, 0));
    out[0] = kiln_gather(g, in[0], kiln_add(g, steps, first), axis);
}

/* The value's rows where it lies, x's elsewhere. */
static void compose_put_at(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const int axis = (int)integer(n, "axis"), rank = rank_of(g, in[0]);
    const kiln_tensor count = size_of_axis(g, in[1], axis), zero = kiln_scalar(g, KILN_I32, 0);
    const kiln_tensor first = position_of(g, in[2], size_of_axis(g, in[0], axis), count);
    const kiln_tensor at_row = kiln_sub(g, kiln_positions(g, in[0], axis), first);
    const kiln_tensor last = kiln_sub(g, count, kiln_scalar(g, KILN_I32, 1));
    kiln_tensor inside = kiln_and(g, kiln_less_equal(g, zero, at_row), kiln_less(g, at_row, count));
    for (int i = axis + 1; i < rank; i++)
        inside = kiln_unsqueeze(g, inside, -1);
    const kiln_tensor at = kiln_max(g, kiln_min(g, at_row, last), zero);
    out[0] = kiln_where(g, inside, kiln_gather(g, in[1], at, axis), in[0]);
}

/* What is read at no place is 0. */
void kiln_onnx_compose_gather(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor x = in[0], zero = kiln_scalar(g, KILN_I32, 0), index = kiln_cast(g, in[1], KILN_I32);
    const kiln_tensor none = kiln_equal(g, index, kiln_scalar(g, KILN_I32, KILN_NOWHERE));
    const kiln_tensor at = kiln_where(g, none, zero, index);
    const int axis = (int)integer(n, "axis"), batch = (int)integer(n, "batch");
    const bool tuples = !strcmp(n->op->name, "gather_nd"), elements = !strcmp(n->op->name, "gather_elements");
    kiln_tensor y = tuples     ? kiln_gather_nd(g, x, at, batch)
                    : elements ? kiln_gather_elements(g, x, at, axis)
                               : kiln_gather_batched(g, x, at, axis, batch);
    kiln_tensor bad = tuples ? kiln_any(g, none, &(kiln_reduce_params){.axes = KILN_AXES(-1)}) : none;
    const int behind = rank_of(g, y) - rank_of(g, bad) - (tuples || elements ? 0 : axis - batch);
    for (int i = 0; i < behind; i++)
        bad = kiln_unsqueeze(g, bad, rank_of(g, bad));
    for (int i = batch; !tuples && !elements && i < axis; i++)
        bad = kiln_unsqueeze(g, bad, batch);
    out[0] = kiln_where(g, bad, number_like(g, y, 0), y);
}

/* x's axis, or y's axes of the index, moved to behind the batch, or back from there: those between change places with them. */
static kiln_tensor with_moved(kiln_graph *g, kiln_tensor x, int batch, int between, int moved)
{
    int order[KILN_MAX_RANK];
    for (int i = 0; i < rank_of(g, x); i++)
        order[i] = i < batch || i >= batch + between + moved ? i
                   : i < batch + moved                       ? i + between
                                                             : i - moved;
    return kiln_transpose(g, x, order);
}

void kiln_onnx_compose_gather_moved(kiln_graph *g, const kiln_node *n, const kiln_tensor *in,
                                    kiln_tensor *out)
{
    const int batch = (int)integer(n, "batch"), between = (int)integer(n, "axis") - batch;
    const kiln_tensor x = with_moved(g, in[0], batch, between, 1);
    const kiln_tensor y = kiln_gather_batched(g, x, in[1], batch, batch);
    out[0] = with_moved(g, y, batch, rank_of(g, in[1]) - batch, between);
}

/* What accumulates: a step after the other --------------------------------------------------------------- */

enum { EXCLUSIVE = 1, REVERSE = 2, LAGGED = 4 };

/* An input of a step, of that type, like a row of x, the steps being x's axis 0. */
static kiln_tensor step_input(kiln_graph *step, const kiln_graph *g, kiln_tensor x, kiln_type type,
                              const char *name)
{
    const kiln_shape all = kiln_tensor_shape(g, x);
    return kiln_onnx_body_input(step, type, kiln_shape_of(all.rank - 1, all.size + 1), name);
}

/* A row like those of x with one value everywhere. */
static kiln_tensor row_with(kiln_graph *g, kiln_tensor x, double value)
{
    const kiln_tensor zeros = kiln_sum(g, kiln_zeros_like(g, x), &(kiln_reduce_params){.axes = KILN_AXES(0)});
    return kiln_where(g, kiln_equal(g, zeros, zeros), number_like(g, x, value), zeros);
}

/* y[t] = the state before, or behind, step(state, x[t], a[t]); `built` is what the step makes of them. */
struct recurrence {
    kiln_graph *g, *step;
    kiln_tensor each[2], state[2]; /* of the step */
    kiln_tensor sequence[2], first[2], stacked[2];
    int axis, sequences, states;
    int64_t how;
};

static void take_sequence(struct recurrence *r, kiln_tensor x)
{
    const int i = r->sequences++;
    r->sequence[i] = kiln_move_axis(r->g, x, r->axis, 0);
    r->each[i] = step_input(r->step, r->g, r->sequence[i], kiln_tensor_type(r->g, x), i ? "a" : "x");
}

static void take_state(struct recurrence *r, kiln_tensor first)
{
    const int i = r->states++;
    r->first[i] = first;
    r->state[i] =
        step_input(r->step, r->g, r->sequence[0], kiln_tensor_type(r->g, first), i ? "place" : "state");
}

static bool begin(struct recurrence *r, kiln_graph *g, const kiln_node *n, kiln_tensor x)
{
    *r = (struct recurrence){
        .g = g, .step = kiln_onnx_body_graph(g), .axis = (int)integer(n, "axis"), .how = integer(n, "how")};
    if (r->step)
        take_sequence(r, x);
    return r->step;
}

/* next[i]: what state i becomes. */
static void run(struct recurrence *r, const kiln_tensor *next, kiln_tensor *out)
{
    kiln_scan_params p = {.reverse = r->how & REVERSE};
    kiln_tensor results[4];
    for (int i = 0; i < r->sequences; i++)
        p.each[i] = r->sequence[i];
    for (int i = 0; i < r->states; i++) {
        p.carry[i] = r->first[i];
        kiln_output(r->step, i ? "y1" : "y0", r->how & EXCLUSIVE ? r->state[i] : next[i]);
    }
    for (int i = 0; i < r->states; i++)
        kiln_output(r->step, i ? "next1" : "next0", next[i]);
    kiln_scan(r->g, r->step, &p, results);
    for (int i = 0; i < r->states; i++)
        out[i] = kiln_move_axis(r->g, results[i], 0, r->axis);
    kiln_graph_destroy(&r->step);
}

/* A type of at least as many bits that ONNX Runtime compares and multiplies. */
static kiln_type wide_of(kiln_type type)
{
    if (kiln_type_is_real(type) || type == KILN_I64)
        return type;
    return type == KILN_U32 ? KILN_I64 : KILN_I32;
}

static void compose_cumprod(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_type type = kiln_tensor_type(g, in[0]);
    struct recurrence r;
    const bool half = kiln_type_is_real(type) && kiln_type_size(type) == 2; /* are multiplied as floats */
    if (!begin(&r, g, n, kiln_cast(g, in[0], half ? KILN_F32 : wide_of(type))))
        return;
    take_state(&r, row_with(g, r.sequence[0], 1));
    const kiln_tensor next = kiln_mul(r.step, r.state[0], r.each[0]);
    run(&r, &next, out);
    out[0] = kiln_cast(g, out[0], type);
}

/* The factors a step later than they are; nothing comes to the first. */
static kiln_tensor lagged(kiln_graph *g, kiln_tensor a, int axis, bool reverse)
{
    int64_t none[KILN_MAX_RANK] = {0}, one[KILN_MAX_RANK] = {0};
    one[axis] = 1;
    const kiln_tensor wide = reverse ? kiln_pad(g, a, none, one, 0) : kiln_pad(g, a, one, none, 0);
    return kiln_slice(g, wide, axis, reverse, reverse ? KILN_END : -1, 1);
}

/* y[t] = a[t] y[t - 1] + x[t]; LAGGED: with the factor of the step before. */
static void compose_linear_scan(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    struct recurrence r;
    if (!begin(&r, g, n, in[0]))
        return;
    take_sequence(&r, r.how & LAGGED ? lagged(g, in[1], (int)integer(n, "axis"), r.how & REVERSE) : in[1]);
    take_state(&r, row_with(g, r.sequence[0], 0));
    const kiln_tensor next = kiln_add(r.step, kiln_mul(r.step, r.each[1], r.state[0]), r.each[0]);
    run(&r, &next, out);
}

/* What is less, or more, than all of a type, as 32 bits hold it. */
static double end_of(kiln_type type, bool least)
{
    const int bits = 8 * (int)(kiln_type_size(type) < 4 ? kiln_type_size(type) : 4);
    if (kiln_type_is_real(type))
        return least ? -INFINITY : INFINITY;
    if (kiln_type_is_unsigned(type))
        return least ? 0 : ldexp(1, bits) - 1;
    return least ? -ldexp(1, bits - 1) : ldexp(1, bits - 1) - 1;
}

/* The largest so far and its place. Equal ones later do not count; NaN does, and stays. */
static void compose_extreme(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const bool largest = n->op->name[4] == 'a';
    const kiln_type type = kiln_tensor_type(g, in[0]);
    struct recurrence r;
    if (!begin(&r, g, n, kiln_cast(g, in[0], wide_of(type))))
        return;
    const kiln_tensor i = kiln_input(r.step, "i", KILN_I32, KILN_SCALAR), x = r.each[0];
    const kiln_tensor nothing = row_with(g, r.sequence[0], end_of(type, largest));
    const kiln_tensor at = kiln_positions(g, r.sequence[0], 0), zero = kiln_scalar(g, KILN_I32, 0);
    const kiln_tensor first =
        r.how & REVERSE ? kiln_sub(g, size_of_axis(g, r.sequence[0], 0), kiln_scalar(g, KILN_I32, 1)) : zero;
    take_state(&r, nothing);
    take_state(&r, kiln_add(g, kiln_cast(g, kiln_zeros_like(g, nothing), KILN_I32), first));
    r.sequence[r.sequences++] = at;
    const kiln_tensor best = r.state[0];
    kiln_tensor wins = largest ? kiln_less(r.step, best, x) : kiln_less(r.step, x, best);
    if (kiln_type_is_real(type))
        wins = kiln_and(r.step, kiln_or(r.step, wins, kiln_is_nan(r.step, x)),
                        kiln_not(r.step, kiln_is_nan(r.step, best)));
    const kiln_tensor next[] = {kiln_where(r.step, wins, x, best), kiln_where(r.step, wins, i, r.state[1])};
    run(&r, next, out);
    out[0] = kiln_cast(g, out[0], type);
}

/* Losses and boxes --------------------------------------------------------------------------------------- */

/* -(1 - s) log p[target] - s mean log p; a target that is no class gives NaN in kiln, and anything here. */
void kiln_onnx_compose_cross_entropy(kiln_graph *g, const kiln_node *n, const kiln_tensor *in,
                                     kiln_tensor *out)
{
    const int axis = (int)integer(n, "axis");
    const double s = number(n, "smoothing");
    const kiln_tensor p = kiln_log_softmax(g, in[0], axis), at = kiln_unsqueeze(g, in[1], axis);
    const kiln_tensor picked = kiln_squeeze(g, kiln_gather_elements(g, p, at, axis), axis);
    const kiln_tensor mean = kiln_mean(g, p, &(kiln_reduce_params){.axes = KILN_AXES(axis)});
    out[0] = kiln_neg(g, s != 0 ? kiln_add(g, kiln_scale(g, picked, 1 - s), kiln_scale(g, mean, s)) : picked);
}

/* v scale / |v|, rows apart. */
static void compose_weight_norm(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    kiln_reduce_params p = {.keep = true};
    const int rank = rank_of(g, in[0]);
    const kiln_tensor v = kiln_cast(g, in[0], KILN_F32);
    kiln_tensor scale = kiln_cast(g, in[1], KILN_F32);
    (void)n;
    for (int i = 1; i < rank; i++) {
        p.axes.axis[p.axes.count++] = i;
        scale = rank_of(g, in[1]) ? kiln_unsqueeze(g, scale, i) : scale;
    }
    out[0] = kiln_cast(g, kiln_div(g, kiln_mul(g, v, scale), kiln_reduce_l2(g, v, &p)),
                       kiln_tensor_type(g, in[0]));
}

/* Pools whose windows differ in size --------------------------------------------------------------------- */

/* The elements of each window, as many as the longest has: the last stands in for those that are missing. */
static kiln_tensor window_places(kiln_graph *g, int64_t x, int64_t y, int64_t longest)
{
    int32_t *at = malloc((size_t)(y * longest) * sizeof *at);
    for (int64_t i = 0; at && i < y * longest; i++) {
        const int64_t place = kiln_onnx_window_begin(i / longest, x, y) + i % longest,
                      last = kiln_onnx_window_end(i / longest, x, y) - 1;
        at[i] = (int32_t)(place < last ? place : last);
    }
    const kiln_tensor places =
        at ? kiln_constant(g, &(kiln_array){.data = at, .type = KILN_I32, .shape = KILN_SHAPE(y, longest)})
           : KILN_NONE;
    if (!at)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "no memory for windows");
    free(at);
    return places;
}

/* The windows of an axis as an axis of their own, and the elements of each as the next. */
static kiln_tensor windows_of(kiln_graph *g, kiln_tensor x, int axis, int64_t count, kiln_tensor *places)
{
    const int64_t size = kiln_tensor_shape(g, x).size[axis];
    int64_t longest = 1;
    for (int64_t o = 0; o < count; o++) {
        const int64_t length = kiln_onnx_window_end(o, size, count) - kiln_onnx_window_begin(o, size, count);
        longest = length > longest ? length : longest;
    }
    *places = window_places(g, size, count, longest);
    return kiln_gather(g, x, *places, axis);
}

/* 1 where an element is the first of its place in a window, by the size of the window. */
static kiln_tensor shares_of(kiln_graph *g, int64_t x, int64_t y, int64_t longest)
{
    float *share = malloc((size_t)(y * longest) * sizeof *share);
    for (int64_t i = 0; share && i < y * longest; i++) {
        const int64_t length =
            kiln_onnx_window_end(i / longest, x, y) - kiln_onnx_window_begin(i / longest, x, y);
        share[i] = i % longest < length ? 1 / (float)length : 0;
    }
    const kiln_tensor shares =
        share ? kiln_constant(g, &(kiln_array){.data = share, .shape = KILN_SHAPE(y, longest)}) : KILN_NONE;
    if (!share)
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "no memory for windows");
    free(share);
    return shares;
}

/*
 * Of windows [.., o, elements, ..] of an axis, the place of the first largest in each: its place along the axis, times the stride, and
 * the place along the axes behind that it had already. `at` [o, elements] says which elements of the axis the windows have.
 */
static kiln_tensor places_within(kiln_graph *g, kiln_tensor windows, int axis, kiln_tensor at, int64_t stride,
                                 kiln_tensor behind)
{
    const kiln_tensor best = kiln_argmax(g, windows, axis + 1, true);
    kiln_tensor begin = kiln_slice(g, at, 1, 0, 1, 1);
    for (int i = axis + 2; i < rank_of(g, windows); i++)
        begin = kiln_unsqueeze(g, begin, -1);
    kiln_tensor place = kiln_mul(g, kiln_add(g, best, begin), kiln_scalar(g, KILN_I32, (double)stride));
    if (behind.id)
        place = kiln_add(g, place, kiln_gather_elements(g, kiln_gather(g, behind, at, axis), best, axis + 1));
    return kiln_squeeze(g, place, axis + 1);
}

/* An axis after the other, the last one first: so the first of several that are largest is the first in memory. */
void kiln_onnx_compose_adaptive_pool(kiln_graph *g, const kiln_node *n, const kiln_tensor *in,
                                     kiln_tensor *out)
{
    const kiln_shape x = kiln_tensor_shape(g, in[0]);
    const bool largest = integer(n, "mode") == 0;
    int64_t size[3] = {0}, stride = 1;
    kiln_node_integers(n, "size", size, 3);
    kiln_tensor y = largest ? in[0] : kiln_cast(g, in[0], KILN_F32), at, place = KILN_NONE;
    for (int axis = x.rank - 1; axis >= 2; axis--) {
        if (x.size[axis] < 0 || size[axis - 2] < 1) {
            kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "windows of a symbolic size");
            return;
        }
        y = windows_of(g, y, axis, size[axis - 2], &at);
        const kiln_reduce_params p = {.axes = KILN_AXES(axis + 1)};
        if (!largest) {
            kiln_tensor shares = shares_of(g, x.size[axis], size[axis - 2], kiln_tensor_shape(g, at).size[1]);
            for (int k = axis + 1; k < x.rank; k++)
                shares = kiln_unsqueeze(g, shares, -1);
            y = kiln_mul(g, y, shares);
        } else if (n->outputs > 1) {
            place = places_within(g, y, axis, at, stride, place);
        }
        y = largest ? kiln_reduce_max(g, y, &p) : kiln_sum(g, y, &p);
        stride *= x.size[axis];
    }
    out[0] = kiln_cast(g, y, kiln_tensor_type(g, in[0]));
    if (n->outputs > 1)
        out[1] = place;
}

/* Boxes -------------------------------------------------------------------------------------------------- */

static kiln_tensor quotient(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    const kiln_tensor zero = number_like(g, b, 0), there = kiln_less(g, zero, b);
    return kiln_where(g, there, kiln_div(g, a, kiln_where(g, there, b, number_like(g, b, 1))), zero);
}

/* Column k of [.., 2], and the product of both, or the sum of their squares. */
static kiln_tensor column(kiln_graph *g, kiln_tensor x, int k)
{
    return kiln_squeeze(g, kiln_slice(g, x, -1, k, k + 1, 1), -1);
}

static kiln_tensor area_of(kiln_graph *g, kiln_tensor size)
{
    return kiln_mul(g, column(g, size, 0), column(g, size, 1));
}

static kiln_tensor squares_of(kiln_graph *g, kiln_tensor x)
{
    return kiln_sum(g, kiln_square(g, x), &(kiln_reduce_params){.axes = KILN_AXES(-1)});
}

/* Boxes by corners. */
struct boxes {
    kiln_tensor first, last, size;
};

static struct boxes boxes_of(kiln_graph *g, kiln_tensor x)
{
    struct boxes b = {kiln_slice(g, x, -1, 0, 2, 1), kiln_slice(g, x, -1, 2, 4, 1), KILN_NONE};
    b.size = kiln_relu(g, kiln_sub(g, b.last, b.first));
    return b;
}

static kiln_tensor intersection_of(kiln_graph *g, const struct boxes *a, const struct boxes *b)
{
    return area_of(g,
                   kiln_relu(g, kiln_sub(g, kiln_min(g, a->last, b->last), kiln_max(g, a->first, b->first))));
}

/* v = 4 / pi^2 (difference of the angles)^2, and alpha v, of which gradients take alpha as a constant. */
static kiln_tensor unlike(kiln_graph *g, const struct boxes *a, const struct boxes *b, kiln_tensor iou)
{
    const kiln_tensor angle_a = kiln_atan2(g, column(g, a->size, 0), column(g, a->size, 1)),
                      angle_b = kiln_atan2(g, column(g, b->size, 0), column(g, b->size, 1));
    const kiln_tensor v = kiln_scale(g, kiln_square(g, kiln_sub(g, angle_a, angle_b)), 0.40528473456935109);
    const kiln_tensor alpha = quotient(g, v, kiln_shift(g, kiln_sub(g, v, iou), 1));
    return kiln_mul(g, kiln_stop_gradient(g, alpha), v);
}

/* shaders/overlap/overlap.h says what each kind is. */
void kiln_onnx_compose_overlap(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_overlap kind = (kiln_overlap)integer(n, "kind");
    const int rank_a = rank_of(g, in[0]), rank_b = rank_of(g, in[1]);
    const struct boxes a = boxes_of(g, kiln_unsqueeze(g, kiln_cast(g, in[0], KILN_F32), rank_a - 1)),
                       b = boxes_of(g, kiln_unsqueeze(g, kiln_cast(g, in[1], KILN_F32), rank_b - 2));
    const kiln_tensor common = intersection_of(g, &a, &b);
    const kiln_tensor all = kiln_sub(g, kiln_add(g, area_of(g, a.size), area_of(g, b.size)), common);
    const kiln_tensor hull =
        kiln_relu(g, kiln_sub(g, kiln_max(g, a.last, b.last), kiln_min(g, a.first, b.first)));
    const kiln_tensor apart =
        kiln_scale(g, kiln_sub(g, kiln_add(g, a.first, a.last), kiln_add(g, b.first, b.last)), 0.5);
    const kiln_tensor iou = quotient(g, common, all);
    out[0] = iou;
    if (kind == KILN_GIOU)
        out[0] = kiln_sub(g, iou, quotient(g, kiln_sub(g, area_of(g, hull), all), area_of(g, hull)));
    if (kind == KILN_DIOU || kind == KILN_CIOU)
        out[0] = kiln_sub(g, iou, quotient(g, squares_of(g, apart), squares_of(g, hull)));
    if (kind == KILN_CIOU)
        out[0] = kiln_sub(g, out[0], unlike(g, &a, &b, iou));
}

/* Corners in order, whichever are given. */
static kiln_tensor ordered(kiln_graph *g, kiln_tensor x, bool centres)
{
    const kiln_tensor a = kiln_slice(g, x, -1, 0, 2, 1), b = kiln_slice(g, x, -1, 2, 4, 1),
                      half = kiln_scale(g, b, 0.5);
    const kiln_tensor first = centres ? kiln_sub(g, a, half) : a, last = centres ? kiln_add(g, a, half) : b;
    return kiln_concat(g, (const kiln_tensor[]){kiln_min(g, first, last), kiln_max(g, first, last)}, 2, -1);
}

/* What becomes of the scores s where box `best` has been taken. */
static kiln_tensor scores_after(kiln_graph *g, const kiln_node *n, kiln_tensor s, kiln_tensor best,
                                kiln_tensor boxes, kiln_tensor classes)
{
    const int rank = rank_of(g, s);
    const kiln_tensor none = kiln_scalar(g, KILN_F32, -INFINITY);
    const kiln_tensor at = kiln_unsqueeze(g, best, rank),
                      four = kiln_concat(g, (const kiln_tensor[]){at, at, at, at}, 4, rank);
    const struct boxes one = boxes_of(g, kiln_gather_elements(g, boxes, four, rank - 1)),
                       all = boxes_of(g, boxes);
    const kiln_tensor common = intersection_of(g, &one, &all);
    const kiln_tensor both = kiln_sub(g, kiln_add(g, area_of(g, one.size), area_of(g, all.size)), common);
    kiln_tensor hits = kiln_less(g, kiln_scale(g, both, number(n, "overlap")), common), after = none;
    if (integer(n, "method") == KILN_NMS_LINEAR)
        after = kiln_mul(g, s, kiln_shift(g, kiln_neg(g, quotient(g, common, both)), 1));
    if (integer(n, "method") == KILN_NMS_GAUSSIAN) {
        const kiln_tensor far = kiln_square(g, quotient(g, common, both));
        after = kiln_mul(g, s, kiln_exp(g, kiln_scale(g, far, -1 / number(n, "sigma"))));
        hits = kiln_equal(g, hits, hits);
    }
    if (classes.id)
        hits = kiln_and(g, hits, kiln_equal(g, kiln_gather_elements(g, classes, best, rank - 1), classes));
    s = kiln_where(g, kiln_and(g, hits, kiln_less(g, none, s)), after, s);
    return kiln_where(g, kiln_equal(g, kiln_positions(g, s, rank - 1), best), none, s);
}

/* One box more: its place, its score, or KILN_NOWHERE and 0; and the scores behind it. */
static void take_best(kiln_graph *g, const kiln_node *n, kiln_tensor s, kiln_tensor boxes, kiln_tensor order,
                      kiln_tensor classes)
{
    const int last = rank_of(g, s) - 1;
    const kiln_tensor best = kiln_argmax(g, s, last, true), top = kiln_gather_elements(g, s, best, last);
    const kiln_tensor counts = kiln_less(g, kiln_scalar(g, KILN_F32, fmax(number(n, "score"), -3e38)), top);
    const kiln_tensor place = kiln_gather_elements(g, order, best, last);
    kiln_output(g, "place",
                kiln_squeeze(g, kiln_where(g, counts, place, kiln_scalar(g, KILN_I32, KILN_NOWHERE)), last));
    kiln_output(g, "score", kiln_squeeze(g, kiln_where(g, counts, top, kiln_scalar(g, KILN_F32, 0)), last));
    kiln_output(g, "scores", scores_after(g, n, s, best, boxes, classes));
}

/* The best of what is left, again and again: shaders/nms/nms.h says it as nms_pick. */
static void compose_nms(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_tensor boxes = ordered(g, kiln_cast(g, in[0], KILN_F32), integer(n, "centres"));
    const kiln_tensor none = kiln_scalar(g, KILN_F32, -INFINITY), scores = kiln_cast(g, in[1], KILN_F32);
    const kiln_tensor order = kiln_cast(g, in[2], KILN_I32),
                      classes = n->inputs > 3 ? kiln_cast(g, in[3], KILN_I32) : KILN_NONE;
    const int last = rank_of(g, scores) - 1;
    const int64_t most = integer(n, "most");
    kiln_graph *step = kiln_onnx_body_graph(g);
    kiln_tensor results[3], given[4] = {boxes, order, classes}, inner[4] = {{0, 0}};
    if (!step)
        return;
    const kiln_tensor s = kiln_input(step, "s", KILN_F32, kiln_tensor_shape(g, scores));
    for (int i = 0; i < 3 && given[i].id; i++)
        inner[i] = kiln_input(step, (const char *[]){"boxes", "order", "classes"}[i],
                              kiln_tensor_type(g, given[i]), kiln_tensor_shape(g, given[i]));
    take_best(step, n, s, inner[0], inner[1], inner[2]);
    const kiln_scan_params p = {
        .carry = {kiln_where(g, kiln_is_nan(g, scores), none, scores)},
        .with = {given[0], given[1], given[2]},
        .length = most ? most : kiln_tensor_shape(g, scores).size[last],
    };
    kiln_scan(g, step, &p, results);
    out[0] = kiln_move_axis(g, results[0], 0, last);
    out[1] = kiln_move_axis(g, results[1], 0, last);
    const kiln_tensor kept = kiln_not_equal(g, out[0], kiln_scalar(g, KILN_I32, KILN_NOWHERE));
    out[2] = kiln_sum(g, kiln_cast(g, kept, KILN_I32), &(kiln_reduce_params){.axes = KILN_AXES(last)});
    kiln_graph_destroy(&step);
}

/* A value but 0 where it is one of those. */
static kiln_tensor without(kiln_graph *g, kiln_tensor x, kiln_tensor those)
{
    return kiln_where(g, those, number_like(g, x, 0), x);
}

/* The largest overlap of boxes and anchors that are left, [N, T, A], joins them: shaders/assign/claim.h. owner: [N, A]. */
static void join(kiln_graph *g, kiln_tensor left, kiln_tensor owner)
{
    const kiln_tensor all = kiln_flatten(g, left, 1), best = kiln_argmax(g, all, 1, true),
                      anchors = size_of_axis(g, left, 2);
    const kiln_tensor joined = kiln_less(g, number_like(g, all, 0), kiln_gather_elements(g, all, best, 1));
    const kiln_tensor box = kiln_div(g, best, anchors), anchor = kiln_mod(g, best, anchors);
    const kiln_tensor own = kiln_and(g, joined, kiln_equal(g, kiln_positions(g, owner, 1), anchor)),
                      its = kiln_and(g, joined, kiln_equal(g, kiln_positions(g, left, 1), box));
    kiln_output(g, "left",
                without(g, without(g, left, kiln_unsqueeze(g, own, 1)), kiln_unsqueeze(g, its, 2)));
    kiln_output(g, "owner", kiln_where(g, own, box, owner));
}

static void compose_claim(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const kiln_shape shape = kiln_tensor_shape(g, in[0]);
    const kiln_tensor overlap = without(g, in[0], kiln_is_nan(g, in[0])),
                      none = kiln_expand(g, kiln_scalar(g, KILN_I32, -1),
                                         KILN_SHAPE(shape.size[0], shape.size[2]));
    kiln_graph *step = kiln_onnx_body_graph(g);
    kiln_tensor results[2];
    (void)n;
    if (!step)
        return;
    const kiln_tensor left = kiln_onnx_body_like(step, g, overlap, "left_before"),
                      owner = kiln_onnx_body_like(step, g, none, "owner_before");
    join(step, left, owner);
    kiln_scan(g, step, &(kiln_scan_params){.carry = {overlap, none}, .length = shape.size[1]}, results);
    out[0] = results[1];
    kiln_graph_destroy(&step);
}

/* The table ---------------------------------------------------------------------------------------------- */

const row kiln_onnx_writer_composed[] = {
    {"atan2", .compose = compose_atan2},
    {"claim", .compose = compose_claim},
    {"ctc", .compose = kiln_onnx_compose_ctc},
    {"cummax", .compose = compose_extreme},
    {"cummin", .compose = compose_extreme},
    {"cumprod", .compose = compose_cumprod},
    {"inside", .compose = compose_inside},
    {"linear_scan", .compose = compose_linear_scan},
    {"nms", .compose = compose_nms},
    {"overlap", .compose = kiln_onnx_compose_overlap},
    {"put_at", .compose = compose_put_at},
    {"scatter", .compose = compose_scatter},
    {"search", .compose = compose_search},
    {"slice_at", .compose = compose_slice_at},
    {"sum_to", .compose = compose_sum_to, .reads = 1},
    {"weight_norm", .compose = compose_weight_norm},
    {0},
};
