/* onnx_layout.c - operators that give elements another shape or order, and take parts of them. */
#include <string.h>

#include <kiln/control.h>
#include <kiln/indexing.h>

#include "import/onnx.h"

/* Axes given by a list, each in 0 .. rank - 1, ascending; false where one is out of range or comes twice. */
static bool sorted_axes(kiln_onnx_node *n, const struct kiln_onnx_list *list, int rank, int *axes)
{
    bool there[KILN_MAX_RANK] = {0};
    int count = 0;
    if (list->count > rank || rank > KILN_MAX_RANK) {
        kiln_onnx_refuse(n, "%d axes of a tensor of rank %d", list->count, rank);
        return false;
    }
    for (int i = 0; i < list->count && !n->refused; i++) {
        const int axis = kiln_onnx_axis(n, list->item[i].i, rank);
        if (!n->refused && there[axis])
            kiln_onnx_refuse(n, "axis %d comes twice", axis);
        there[axis] = true;
    }
    for (int axis = 0; axis < rank; axis++)
        if (there[axis])
            axes[count++] = axis;
    return !n->refused;
}

/* Shapes ------------------------------------------------------------------------------------------------- */

/* A tensor without elements, whatever its sizes. */
static kiln_tensor empty(kiln_onnx_node *n, kiln_shape shape)
{
    return kiln_constant(n->g, &(kiln_array){.data = n, .type = kiln_onnx_spec(n, 0).type, .shape = shape});
}

void kiln_onnx_build_reshape(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    struct kiln_onnx_list list;
    kiln_shape shape = {0};
    if (!kiln_onnx_list(n, "shape", 5, 1, &list))
        return;
    if (!list.given || list.count > KILN_MAX_RANK) {
        kiln_onnx_refuse(n, "a shape of rank %d, the largest is %d", list.count, KILN_MAX_RANK);
        return;
    }
    shape.rank = list.count;
    bool zero = false;
    for (int i = 0; i < list.count; i++) {
        const struct kiln_onnx_item item = list.item[i];
        const bool rest = !item.symbol && item.i == -1;
        if (!item.symbol && item.i < -1)
            kiln_onnx_refuse(n, "size %lld of axis %d", (long long)item.i, i);
        shape.size[i] = rest ? KILN_REST : item.i;
        zero = zero || (item.i == 0 && !item.symbol);
    }
    /* A file made for one batch size may name it in its shapes. */
    if (n->m->old_batch && x.rank && x.size[0] == KILN_BATCH && shape.rank &&
        shape.size[0] == n->m->old_batch)
        shape.size[0] = KILN_BATCH;
    if (n->refused)
        return;
    const bool literal = zero && kiln_onnx_int(n, "allowzero", 0);
    kiln_onnx_out(n, 0,
                  literal && kiln_shape_count(&shape) == 0 ? empty(n, shape)
                                                           : kiln_reshape(n->g, kiln_onnx_in(n, 0), shape));
}

void kiln_onnx_build_flatten(kiln_onnx_node *n)
{
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    const int64_t given = kiln_onnx_int(n, "axis", 1);
    const int axis = given == rank ? rank : kiln_onnx_axis(n, given, rank); /* after the last: [all, 1] */
    const kiln_tensor x = kiln_onnx_in(n, 0);
    if (n->refused)
        return;
    if (axis == 0 || axis == rank)
        kiln_onnx_out(n, 0,
                      kiln_reshape(n->g, x, axis ? KILN_SHAPE(KILN_REST, 1) : KILN_SHAPE(1, KILN_REST)));
    else
        kiln_onnx_out(n, 0, kiln_flatten(n->g, x, axis));
}

void kiln_onnx_build_transpose(kiln_onnx_node *n)
{
    const int rank = kiln_onnx_spec(n, 0).shape.rank;
    int order[KILN_MAX_RANK], count;
    const int64_t *given = kiln_onnx_ints(n, "perm", &count);
    unsigned seen = 0;
    if (given && count != rank)
        kiln_onnx_refuse(n, "perm has %d axes, x rank %d", count, rank);
    for (int i = 0; i < rank && !n->refused; i++) {
        order[i] = given ? kiln_onnx_axis(n, given[i], rank) : rank - 1 - i;
        seen |= 1u << order[i];
    }
    if (!n->refused && seen != (1u << rank) - 1)
        kiln_onnx_refuse(n, "perm has an axis twice");
    if (!n->refused)
        kiln_onnx_out(n, 0, kiln_transpose(n->g, kiln_onnx_in(n, 0), order));
}

void kiln_onnx_build_squeeze(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    struct kiln_onnx_list list;
    int axes[KILN_MAX_RANK] = {0}, count = 0;
    if (!kiln_onnx_list(n, "axes", 13, 1, &list) || !sorted_axes(n, &list, x.rank, axes))
        return;
    count = list.count;
    for (int i = 0; i < x.rank && !list.given; i++)
        if (x.size[i] == 1)
            axes[count++] = i;
    kiln_tensor y = kiln_onnx_in(n, 0);
    while (count-- > 0)
        y = kiln_squeeze(n->g, y, axes[count]);
    kiln_onnx_out(n, 0, y);
}

void kiln_onnx_build_unsqueeze(kiln_onnx_node *n)
{
    struct kiln_onnx_list list;
    int axes[KILN_MAX_RANK] = {0};
    if (!kiln_onnx_list(n, "axes", 13, 1, &list) ||
        !sorted_axes(n, &list, kiln_onnx_spec(n, 0).shape.rank + list.count, axes))
        return;
    kiln_tensor y = kiln_onnx_in(n, 0);
    for (int i = 0; i < list.count; i++)
        y = kiln_unsqueeze(n->g, y, axes[i]);
    kiln_onnx_out(n, 0, y);
}

void kiln_onnx_build_expand(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    struct kiln_onnx_list list;
    kiln_shape wanted, shape;
    if (!kiln_onnx_sizes(n, "shape", 1, 1, &list) || !kiln_onnx_shape(n, &list, &wanted))
        return;
    if (!kiln_shape_broadcast(&x, &wanted, &shape)) {
        char a[96], b[96];
        kiln_onnx_refuse(n, "%s does not broadcast to %s", kiln_shape_text(&x, a, sizeof a),
                         kiln_shape_text(&wanted, b, sizeof b));
        return;
    }
    kiln_onnx_out(n, 0, kiln_expand(n->g, kiln_onnx_in(n, 0), shape));
}

/* A block's size; refuses what is none. */
static int block_of(kiln_onnx_node *n)
{
    const int64_t size = kiln_onnx_int(n, "blocksize", 0);
    if (size < 1 || size > INT16_MAX)
        kiln_onnx_refuse(n, "blocks of %lld", (long long)size);
    return (int)size;
}

/* Mode DCR has the blocks before the channels, CRD behind them. */
void kiln_onnx_build_depth_to_space(kiln_onnx_node *n)
{
    const bool behind = !strcmp(kiln_onnx_text(n, "mode", "DCR"), "CRD");
    const int size = block_of(n);
    if (!n->refused)
        kiln_onnx_out(n, 0,
                      (behind ? kiln_pixel_shuffle : kiln_depth_to_space)(n->g, kiln_onnx_in(n, 0), size));
}

void kiln_onnx_build_space_to_depth(kiln_onnx_node *n)
{
    const bool behind = !strcmp(kiln_onnx_text(n, "mode", "DCR"), "CRD");
    const int size = block_of(n);
    if (!n->refused)
        kiln_onnx_out(n, 0,
                      (behind ? kiln_pixel_unshuffle : kiln_space_to_depth)(n->g, kiln_onnx_in(n, 0), size));
}

/* Parts -------------------------------------------------------------------------------------------------- */

kiln_tensor kiln_onnx_join(kiln_onnx_node *n, kiln_tensor *in, int count, int axis)
{
    if (count > KILN_ONNX_MOST_INPUTS)
        kiln_onnx_refuse(n, "%d values side by side, at most %d are supported", count, KILN_ONNX_MOST_INPUTS);
    for (int turn = 0; turn < 2 && !n->refused; turn++) /* the first learns from all, and all from it */
        for (int i = 1; i < count; i++) {
            kiln_onnx_agree(n->g, &in[0], &in[i], axis);
            kiln_onnx_fix_counts(n->g, &in[0], &in[i], axis);
        }
    return n->refused ? KILN_NONE : kiln_concat(n->g, in, count, axis);
}

void kiln_onnx_build_concat(kiln_onnx_node *n)
{
    kiln_tensor in[KILN_ONNX_MOST_INPUTS];
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 1), kiln_onnx_spec(n, 0).shape.rank);
    for (int i = 0; i < n->inputs; i++)
        in[i] = kiln_onnx_in(n, i);
    const kiln_tensor y = n->refused ? KILN_NONE : kiln_onnx_join(n, in, n->inputs, axis);
    if (!n->refused)
        kiln_onnx_out(n, 0, y);
}

/* `count` elements of an axis from `first` on: numbers or symbols. */
static kiln_tensor part_of(kiln_onnx_node *n, kiln_tensor x, int axis, int64_t first, int64_t count)
{
    if (first >= 0 && count >= 0)
        return kiln_slice(n->g, x, axis, first, first + count, 1);
    return kiln_slice_at(n->g, x, axis, kiln_onnx_size_value(n->g, first, KILN_I32), count);
}

/* Equal parts of an axis whose size is a symbol; since opset 18 the last may be less. */
static void split_unknown(kiln_onnx_node *n, int axis, int64_t size)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const bool less = n->opset >= 18;
    const int64_t each = (less ? kiln_dim_ceil_div : kiln_dim_div)(n->g, size, n->outputs);
    for (int i = 0; i < n->outputs; i++) {
        const int64_t first = i ? kiln_dim_mul(n->g, each, i) : 0;
        const bool last = less && i && i == n->outputs - 1;
        kiln_onnx_out(n, i, part_of(n, x, axis, first, last ? kiln_dim_sub(n->g, size, first) : each));
    }
}

/* How long each part is: an attribute, or an input; in the first opset one of the type of x. */
static bool take_parts(kiln_onnx_node *n, struct kiln_onnx_list *parts)
{
    const bool first = n->opset < 2 && kiln_onnx_has(n, 1);
    const kiln_spec spec = kiln_onnx_spec(n, 1);
    const struct kiln_onnx_item *item = first ? kiln_onnx_items(n->m, n->in[1]) : NULL;
    if (!item || !kiln_type_is_real(spec.type) || spec.shape.rank != 1)
        return kiln_onnx_list(n, "split", first ? 1 : 13, 1, parts);
    *parts = (struct kiln_onnx_list){.given = true, .count = (int)spec.shape.size[0]};
    parts->item = kiln_arena_alloc(&n->m->arena, ((size_t)parts->count + 1) * sizeof *parts->item);
    for (int i = 0; parts->item && i < parts->count; i++)
        parts->item[i].i = item[i].r >= 0 && item[i].r <= INT32_MAX ? (int64_t)item[i].r : -1;
    return parts->item != NULL;
}

void kiln_onnx_build_split(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 0), x.rank);
    struct kiln_onnx_list parts;
    if (n->outputs < 1)
        kiln_onnx_refuse(n, "it splits into nothing");
    if (n->refused || !take_parts(n, &parts))
        return;
    const int64_t size = x.size[axis], each = size < 0 ? size : (size + n->outputs - 1) / n->outputs;
    if (parts.given && parts.count != n->outputs) {
        kiln_onnx_refuse(n, "%d parts for %d outputs", parts.count, n->outputs);
        return;
    }
    if (size < 0 && !parts.given) {
        split_unknown(n, axis, size);
        return;
    }
    const kiln_tensor t = kiln_onnx_in(n, 0);
    int64_t first = 0;
    for (int i = 0; i < n->outputs; i++) {
        const int64_t length = parts.given ? parts.item[i].i : each;
        if (length < 0 || length > INT64_MAX / 2 - first ||
            (size >= 0 && (first > size || (parts.given && length > size - first)))) {
            kiln_onnx_refuse(n, "part %d of %lld elements does not fit", i, (long long)length);
            return;
        }
        const int64_t end = first + length;
        kiln_onnx_out(n, i, kiln_slice(n->g, t, axis, first, size >= 0 && end > size ? size : end, 1));
        first = end;
    }
}

/* Of an axis of known size, as the standard clamps: [first, end) by step, forwards or backwards. */
static struct kiln_onnx_range clamp(int axis, int64_t size, int64_t first, int64_t end, int64_t step)
{
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    first = first < 0 && first >= -size ? first + size : first;
    end = end < 0 && end >= -size ? end + size : end;
    first = first < 0 ? (step > 0 ? 0 : -1) : first > high ? high : first;
    end = end < low ? low : end > size ? size : end;
    const int64_t span = step > 0 ? end - first : first - end, pace = step > 0 ? step : -step;
    if (span <= 0)
        return (struct kiln_onnx_range){.axis = axis, .step = 1};
    return (struct kiln_onnx_range){.axis = axis,
                                    .first = first,
                                    .end = end < 0 ? KILN_END : end,
                                    .step = step,
                                    .count = (span - 1) / pace + 1};
}

/* Of an axis of symbolic size: what lies inside, counted from the front or the end, or all that follows. */
static bool symbolic_range(struct kiln_onnx_item first, struct kiln_onnx_item end, int64_t size, int64_t step,
                           struct kiln_onnx_range *out)
{
    const bool whole =
        step > 0 ? (end.symbol ? end.i == size : end.i >= INT32_MAX) : !end.symbol && end.i <= INT32_MIN;
    if ((first.symbol || end.symbol) && !(whole && !first.symbol) && step == 1 && (end.symbol || whole) &&
        (first.symbol || first.i >= 0)) {
        *out = (struct kiln_onnx_range){.axis = out->axis,
                                        .by_sizes = true,
                                        .first = first.i,
                                        .end = whole ? size : end.i,
                                        .step = 1,
                                        .count = -1};
        return true;
    }
    if (first.symbol || (end.symbol && !whole) || first.i <= INT32_MIN || first.i >= INT32_MAX)
        return false;
    *out = (struct kiln_onnx_range){
        .axis = out->axis, .first = first.i, .end = whole ? KILN_END : end.i, .step = step, .count = -1};
    return true;
}

int kiln_onnx_slices(kiln_onnx_node *n, struct kiln_onnx_range *out)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    struct kiln_onnx_list first, end, axes, steps = {0};
    if (!kiln_onnx_list(n, "starts", 10, 1, &first) || !kiln_onnx_list(n, "ends", 10, 2, &end) ||
        !kiln_onnx_list(n, "axes", 10, 3, &axes) ||
        (n->opset >= 10 && !kiln_onnx_list(n, "steps", 10, 4, &steps)))
        return -1;
    if (first.count > x.rank || end.count != first.count || (axes.given && axes.count != first.count) ||
        (steps.given && steps.count != first.count)) {
        kiln_onnx_refuse(n, "%d starts, %d ends, %d axes and %d steps", first.count, end.count, axes.count,
                         steps.count);
        return -1;
    }
    for (int i = 0; i < first.count; i++) {
        const int axis = kiln_onnx_axis(n, axes.given ? axes.item[i].i : i, x.rank);
        const int64_t step = steps.given ? steps.item[i].i : 1, size = n->refused ? 0 : x.size[axis];
        const bool numbers = !first.item[i].symbol && !end.item[i].symbol && size >= 0;
        out[i].axis = axis;
        if (step == 0 || step < -INT32_MAX || step > INT32_MAX)
            kiln_onnx_refuse(n, "step %lld", (long long)step);
        else if (numbers)
            out[i] = clamp(axis, size, first.item[i].i, end.item[i].i, step);
        else if (!symbolic_range(first.item[i], end.item[i], size, step, &out[i]))
            kiln_onnx_refuse(n, "start or end on axis %d, whose size is not known", axis);
        if (n->refused)
            return -1;
    }
    return first.count;
}

/* The first `end` of an axis whose size depends on data, or as many as there are. */
static kiln_tensor first_of(kiln_graph *g, kiln_tensor x, int axis, int64_t end)
{
    const kiln_tensor count =
        kiln_min(g, kiln_onnx_axis_size(g, x, axis), kiln_scalar(g, KILN_I32, (double)end));
    kiln_tensor y = x;
    while (y.id && kiln_dim_is_counted(g, kiln_tensor_shape(g, y).size[axis]))
        y = kiln_whole(g, y, axis, 0);
    const int64_t most = kiln_tensor_shape(g, y).size[axis];
    if (most > end)
        y = kiln_slice(g, y, axis, 0, end, 1);
    return kiln_first(g, y, count, axis);
}

/* The last of an axis, which must have one. */
static kiln_tensor last_of(kiln_graph *g, kiln_tensor x, int axis)
{
    const kiln_tensor zero = kiln_scalar(g, KILN_I32, 0), one = kiln_scalar(g, KILN_I32, 1);
    const kiln_tensor last = kiln_max(g, kiln_sub(g, kiln_onnx_axis_size(g, x, axis), one), zero);
    return kiln_gather(g, x, kiln_reshape(g, last, KILN_SHAPE(1)), axis);
}

/* Of an axis whose size depends on data: what lies where depends on it, too. */
static kiln_tensor slice_counted(kiln_onnx_node *n, kiln_tensor x, struct kiln_onnx_range r)
{
    const int64_t far = INT32_MAX / 2, end = r.end > far ? far : r.end;
    if (r.first == 0 && r.end >= 0 && r.end <= INT32_MAX)
        return first_of(n->g, x, r.axis, r.end);
    if (r.first == -1 && r.end == KILN_END)
        return last_of(n->g, x, r.axis);
    return kiln_onnx_slice_between(n->m, x, r.axis,
                                   kiln_scalar(n->g, KILN_I32, (double)(r.first > far ? far : r.first)),
                                   kiln_scalar(n->g, KILN_I32, (double)end));
}

static kiln_tensor slice_range(kiln_onnx_node *n, kiln_tensor x, struct kiln_onnx_range r)
{
    const bool counted = kiln_dim_is_counted(n->g, kiln_tensor_shape(n->g, x).size[r.axis]);
    return counted && r.step == 1 ? slice_counted(n, x, r)
                                  : kiln_slice(n->g, x, r.axis, r.first, r.end, r.step);
}

/*
 * Whether one axis is cut to its front part, of which a run computes the end, as exports of kiln_first are; and there need not be room
 * for less than the axis has.
 */
static bool computes_end(kiln_onnx_node *n, int *axis)
{
    double first, step = 1, along = 0;
    if (n->opset < 10 || !kiln_onnx_is_computed(n, 2) || kiln_onnx_items(n->m, n->in[2]) ||
        !kiln_onnx_number(n, 1, &first) || first != 0 ||
        (kiln_onnx_has(n, 3) && !kiln_onnx_number(n, 3, &along)) ||
        (kiln_onnx_has(n, 4) && (!kiln_onnx_number(n, 4, &step) || step != 1)))
        return false;
    const kiln_shape shape = kiln_onnx_spec(n, 0).shape;
    *axis = kiln_onnx_axis(n, (int64_t)along, shape.rank);
    const int64_t all = n->refused ? 0 : kiln_dim_most(n->g, shape.size[*axis]);
    return !n->refused && kiln_onnx_most_among(n->m, kiln_onnx_scalar(n, 2), all) == all;
}

/* A negative end counts from the axis' end. */
static kiln_tensor first_computed(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor end)
{
    const kiln_tensor last = kiln_cast(g, end, KILN_I32), there = kiln_onnx_axis_size(g, x, axis);
    const kiln_tensor behind = kiln_less(g, last, kiln_scalar(g, KILN_I32, 0));
    return kiln_first(g, x, kiln_where(g, behind, kiln_add(g, last, there), last), axis);
}

void kiln_onnx_build_slice(kiln_onnx_node *n)
{
    struct kiln_onnx_range range[KILN_MAX_RANK];
    int axis;
    if (computes_end(n, &axis)) {
        kiln_onnx_out(n, 0, first_computed(n->g, kiln_onnx_in(n, 0), axis, kiln_onnx_scalar(n, 2)));
        return;
    }
    if (kiln_onnx_places_are_computed(n)) {
        kiln_onnx_build_slice_computed(n);
        return;
    }
    const int count = kiln_onnx_slices(n, range);
    if (count < 0)
        return;
    kiln_tensor y = kiln_onnx_in(n, 0);
    for (int i = 0; i < count; i++) {
        const struct kiln_onnx_range r = range[i];
        y = r.by_sizes ? part_of(n, y, r.axis, r.first, kiln_dim_sub(n->g, r.end, r.first))
                       : slice_range(n, y, r);
    }
    kiln_onnx_out(n, 0, y);
}
