/*
 * arrange.c - arrangements along an axis that are composed of slices, expansions and gathers: no kernel of their own.
 *
 * Tests: tests/ops/arrange.c.
 */
#include <kiln/elementwise.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/kernels.h"
#include "ops/slices.h"

/* The axis as 0 .. rank - 1; fails the graph where it is out of range. */
static int axis_of(kiln_graph *g, kiln_tensor x, int axis, const char *name)
{
    const int rank = kiln_tensor_shape(g, x).rank, at = kiln_axis_of(axis, rank);
    if (x.id && at < 0)
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "%s: no axis %d in rank %d", name, axis, rank);
    return at;
}

/* Copies ------------------------------------------------------------------------------------------------- */

/* x in a shape of as many elements, of which some may be 0. */
static kiln_tensor in_shape(kiln_graph *g, kiln_tensor x, kiln_shape shape)
{
    for (int i = 0; i < shape.rank; i++)
        if (!shape.size[i])
            return kiln_reshape_to(g, x, kiln_expand(g, kiln_scalar(g, KILN_F32, 0), shape));
    return kiln_reshape(g, x, shape);
}

/* Each element of the axis `times` times in a row, or the whole axis so often: an axis of that size inside it, or outside. */
static kiln_tensor multiply_axis(kiln_graph *g, kiln_tensor x, int64_t times, int axis, bool inside)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    if (times == 1)
        return x;
    const kiln_tensor wide = kiln_unsqueeze(g, x, axis + inside);
    kiln_shape expanded = kiln_tensor_shape(g, wide), joined = shape;
    expanded.size[axis + inside] = times;
    joined.size[axis] = kiln_dim_mul(g, shape.size[axis], times);
    return in_shape(g, kiln_expand(g, wide, expanded), joined);
}

kiln_tensor kiln_tile(kiln_graph *g, kiln_tensor x, const int64_t *times)
{
    for (int i = kiln_tensor_shape(g, x).rank - 1; i >= 0; i--)
        x = multiply_axis(g, x, times[i], i, false);
    return x;
}

kiln_tensor kiln_repeat(kiln_graph *g, kiln_tensor x, int64_t times, int axis)
{
    const int at = axis_of(g, x, axis, "repeat");
    return at < 0 ? KILN_NONE : multiply_axis(g, x, times, at, true);
}

/* Order -------------------------------------------------------------------------------------------------- */

kiln_tensor kiln_flip(kiln_graph *g, kiln_tensor x, int axis)
{
    return x.id ? kiln_slice(g, x, axis, -1, KILN_END, -1) : KILN_NONE;
}

kiln_tensor kiln_roll(kiln_graph *g, kiln_tensor x, int64_t shift, int axis)
{
    const int at = axis_of(g, x, axis, "roll");
    if (at < 0)
        return KILN_NONE;
    const int64_t size = kiln_tensor_shape(g, x).size[at];
    if (size > 0)
        shift = (shift % size + size) % size;
    if (shift == 0 || size == 0)
        return x;
    const int64_t cut = -shift; /* of a size that is not known yet the shift is taken to be less */
    return kiln_concat(
        g, (const kiln_tensor[]){kiln_slice(g, x, at, cut, KILN_END, 1), kiln_slice(g, x, at, 0, cut, 1)}, 2,
        at);
}

kiln_tensor kiln_diff(kiln_graph *g, kiln_tensor x, int axis)
{
    return x.id ? kiln_sub(g, kiln_slice(g, x, axis, 1, KILN_END, 1), kiln_slice(g, x, axis, 0, -1, 1))
                : KILN_NONE;
}

/* [B, T]: T - 1 - t of what is before the length of row b, else t. */
static kiln_tensor reversed_places(kiln_graph *g, kiln_tensor lengths, kiln_tensor steps)
{
    const kiln_tensor length = kiln_unsqueeze(g, kiln_cast(g, lengths, KILN_I32), 1);
    const kiln_tensor back = kiln_sub(g, kiln_sub(g, length, kiln_scalar(g, KILN_I32, 1)), steps);
    return kiln_where(g, kiln_less(g, steps, length), back, steps);
}

kiln_tensor kiln_reverse_sequence(kiln_graph *g, kiln_tensor x, kiln_tensor lengths, int time_axis)
{
    const int rank = kiln_tensor_shape(g, x).rank;
    const struct kiln_naming_params p = {.axis = 1, .batch = 1, .distinct = true};
    int turn[KILN_MAX_RANK];
    if (!x.id || !lengths.id)
        return KILN_NONE;
    if (rank < 2 || time_axis < 0 || time_axis > 1) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "reverse_sequence: x of rank %d, time axis %d, wanted 0 or 1",
                        rank, time_axis);
        return KILN_NONE;
    }
    for (int i = 0; i < rank; i++)
        turn[i] = i < 2 ? 1 - i : i;
    const kiln_tensor rows = time_axis ? x : kiln_transpose(g, x, turn);
    const kiln_tensor places = reversed_places(g, lengths, kiln_positions(g, x, time_axis));
    const kiln_tensor y =
        kiln_append(g, &kiln_op_gather, (const kiln_tensor[]){rows, places}, 2, &p, sizeof p);
    return time_axis ? y : kiln_transpose(g, y, turn);
}

/* Places ------------------------------------------------------------------------------------------------- */

/* Positions along the axis where condition holds, else `other`. */
static kiln_tensor places_where(kiln_graph *g, kiln_tensor condition, int axis, double other)
{
    kiln_tensor place = kiln_positions(g, condition, axis);
    for (int i = axis + 1; i < kiln_tensor_shape(g, condition).rank; i++)
        place = kiln_unsqueeze(g, place, -1);
    return kiln_where(g, kiln_cast(g, condition, KILN_BOOL), place, kiln_scalar(g, KILN_I32, other));
}

kiln_tensor kiln_index_of_first(kiln_graph *g, kiln_tensor condition, int axis)
{
    const int at = axis_of(g, condition, axis, "index_of_first");
    if (at < 0)
        return KILN_NONE;
    const kiln_tensor never = kiln_scalar(g, KILN_I32, INT32_MAX);
    const kiln_tensor least = kiln_reduce_min(g, places_where(g, condition, at, INT32_MAX),
                                              &(kiln_reduce_params){.axes = KILN_AXES(at)});
    return kiln_where(g, kiln_equal(g, least, never), kiln_scalar(g, KILN_I32, -1), least);
}

kiln_tensor kiln_index_of_last(kiln_graph *g, kiln_tensor condition, int axis)
{
    const int at = axis_of(g, condition, axis, "index_of_last");
    return at < 0 ? KILN_NONE
                  : kiln_max(g,
                             kiln_reduce_max(g, places_where(g, condition, at, -1),
                                             &(kiln_reduce_params){.axes = KILN_AXES(at)}),
                             kiln_scalar(g, KILN_I32, -1));
}

/* Counting ----------------------------------------------------------------------------------------------- */

kiln_tensor kiln_bincount(kiln_graph *g, kiln_tensor index, kiln_tensor weights, int64_t bins)
{
    const kiln_shape flat = KILN_SHAPE(KILN_REST);
    if (!index.id)
        return KILN_NONE;
    const kiln_tensor at = kiln_reshape(g, kiln_cast(g, index, KILN_I32), flat);
    const kiln_tensor zero = kiln_scalar(g, KILN_I32, 0), end = kiln_scalar(g, KILN_I32, (double)bins);
    const kiln_tensor inside = kiln_and(g, kiln_less_equal(g, zero, at), kiln_less(g, at, end));
    const kiln_tensor place = kiln_where(g, inside, at, kiln_scalar(g, KILN_I32, KILN_NOWHERE));
    const kiln_tensor one = kiln_ones_like(g, at);
    const kiln_tensor u = weights.id ? kiln_reshape(g, weights, flat) : one;
    const kiln_tensor none = kiln_sequence(g, kiln_tensor_type(g, u), 0, 0, bins);
    return kiln_scatter(g, none, place, u, 0, &(kiln_scatter_params){.kind = KILN_SCATTER_ADD});
}

kiln_tensor kiln_histogram(kiln_graph *g, kiln_tensor x, double low, double high, int64_t bins)
{
    if (!x.id)
        return KILN_NONE;
    if (!g->status && !(low < high && bins > 0))
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "histogram: %lld bins from %g to %g", (long long)bins, low,
                        high);
    if (kiln_type_size(kiln_tensor_type(g, x)) == 2) /* a bin's number may be beyond what halves count */
        x = kiln_cast(g, x, KILN_F32);
    const kiln_type type = kiln_tensor_type(g, x);
    const kiln_tensor place =
        kiln_floor(g, kiln_scale(g, kiln_shift(g, x, -low), (double)bins / (high - low)));
    const kiln_tensor last = kiln_scalar(g, type, (double)bins - 1), top = kiln_scalar(g, type, high);
    const kiln_tensor bottom = kiln_scalar(g, type, low);
    const kiln_tensor inside = kiln_and(g, kiln_less_equal(g, bottom, x), kiln_less_equal(g, x, top));
    const kiln_tensor bin = kiln_cast(g, kiln_min(g, place, last), KILN_I32);
    return kiln_bincount(g, kiln_where(g, inside, bin, kiln_scalar(g, KILN_I32, -1)), KILN_NONE, bins);
}

/* Caches ------------------------------------------------------------------------------------------------- */

kiln_tensor kiln_tensor_scatter(kiln_graph *g, kiln_tensor cache, kiln_tensor updates, kiln_tensor at,
                                int axis, bool circular)
{
    const int along = axis_of(g, cache, axis, "tensor_scatter");
    if (along < 0 || !updates.id || !at.id)
        return KILN_NONE;
    const int64_t room = kiln_tensor_shape(g, cache).size[along],
                  steps = kiln_tensor_shape(g, updates).size[along];
    if (along < 1 || room < 0) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT,
                        "tensor_scatter: the axis lies behind the batch's and has a known size");
        return KILN_NONE;
    }
    const kiln_tensor first = kiln_unsqueeze(g, kiln_cast(g, at, KILN_I32), 1);
    const kiln_tensor place = kiln_add(g, first, kiln_positions(g, updates, along));
    const kiln_tensor end = kiln_scalar(g, KILN_I32, (double)room);
    const kiln_tensor index =
        circular ? kiln_mod(g, place, end)
                 : kiln_where(g, kiln_less(g, place, end), place, kiln_scalar(g, KILN_I32, KILN_NOWHERE));
    const kiln_scatter_params p = {.batch = 1, .distinct = !circular || (steps >= 0 && steps <= room)};
    return kiln_scatter(g, cache, index, updates, along, &p);
}
