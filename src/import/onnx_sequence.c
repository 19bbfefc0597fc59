/*
 * onnx_sequence.c - sequences: lists of values that the reading keeps, so that nothing of them is left when a model runs.
 *
 *   a list     its values are known one by one: what SequenceConstruct, SplitToSequence and the like make
 *   a stack    what a loop appended, a row a step, [T, ..]: the number of steps may be known to the run alone
 *
 * Places in a list must be known while reading. No sequence is an input or an output of a model.
 */
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx.h"

static struct kiln_onnx_sequence *sequence_in(kiln_onnx_node *n)
{
    struct kiln_onnx_sequence *s = kiln_onnx_has(n, 0) ? n->in[0]->sequence : NULL;
    if (!s)
        kiln_onnx_refuse(n, "its first input is no sequence");
    return s;
}

/* A new list of so many values, as output 0; NULL where there are too many of them. */
static struct kiln_onnx_sequence *list_out(kiln_onnx_node *n, int64_t count)
{
    struct kiln_onnx_sequence *s = n->refused ? NULL : kiln_onnx_new_sequence(n->m, count);
    if (!s)
        kiln_onnx_refuse(n, "a sequence of %lld values", (long long)count);
    else if (n->outputs && n->out[0])
        n->out[0]->sequence = s;
    return s;
}

struct kiln_onnx_sequence *kiln_onnx_new_sequence(struct kiln_onnx *m, int64_t count)
{
    if (count < 0 || count > KILN_ONNX_MOST_ITEMS || count + 1 > m->shared->items_left)
        return NULL;
    m->shared->items_left -= count + 1;
    struct kiln_onnx_sequence *s = kiln_onnx_alloc(m, sizeof *s);
    if (s)
        s->item = kiln_onnx_alloc(m, ((size_t)count + 1) * sizeof *s->item);
    if (!s || !s->item)
        return NULL;
    s->count = (int)count;
    return s;
}

/* A value of no name that is a tensor of the graph. */
static struct kiln_onnx_value *value_of(kiln_onnx_node *n, kiln_tensor t)
{
    struct kiln_onnx_value *v = kiln_onnx_alloc(n->m, sizeof *v);
    if (v) {
        v->name = "";
        v->index = -1;
        v->tensor = t;
    }
    return v;
}

/* The place that input i says in s, or, of so many `places`, behind it; `otherwise` where it is left out; refuses. */
static int place_of(kiln_onnx_node *n, int i, const struct kiln_onnx_sequence *s, int places, int otherwise)
{
    double at = otherwise;
    if (kiln_onnx_has(n, i) && !kiln_onnx_number(n, i, &at))
        kiln_onnx_refuse(n, "a place in a sequence must be known before anything runs");
    at += at < 0 ? s->count : 0;
    if (!n->refused && !(at >= 0 && at < places))
        kiln_onnx_refuse(n, "place %.0f of %d in a sequence", at, places);
    return n->refused ? 0 : (int)at;
}

static bool is_list(kiln_onnx_node *n, const struct kiln_onnx_sequence *s)
{
    if (s && s->stack.id)
        kiln_onnx_refuse(n, "a sequence whose length only a run knows");
    return s && !n->refused;
}

/* Lists ------------------------------------------------------------------------------------------------------------ */

void kiln_onnx_build_sequence_empty(kiln_onnx_node *n)
{
    list_out(n, 0);
}

void kiln_onnx_build_sequence_construct(kiln_onnx_node *n)
{
    struct kiln_onnx_sequence *s = list_out(n, n->inputs);
    for (int i = 0; s && i < n->inputs; i++)
        if (!(s->item[i] = n->in[i]))
            kiln_onnx_refuse(n, "input %d is left out", i);
}

void kiln_onnx_build_sequence_insert(kiln_onnx_node *n)
{
    const struct kiln_onnx_sequence *from = sequence_in(n);
    if (!is_list(n, from))
        return;
    const int at = place_of(n, 2, from, from->count + 1, from->count);
    if (from->grows && kiln_onnx_has(n, 2))
        kiln_onnx_refuse(n, "a loop's sequence grows at its end alone");
    struct kiln_onnx_sequence *s = list_out(n, from->count + 1);
    if (!s)
        return;
    memcpy(s->item, from->item, (size_t)at * sizeof *s->item);
    memcpy(s->item + at + 1, from->item + at, (size_t)(from->count - at) * sizeof *s->item);
    s->item[at] = n->in[1];
    s->grows = from->grows;
}

/* What grows is not all there yet. */
static bool is_whole(kiln_onnx_node *n, const struct kiln_onnx_sequence *s)
{
    if (s && s->grows)
        kiln_onnx_refuse(n, "a sequence that a loop still appends to");
    return s && !n->refused;
}

void kiln_onnx_build_sequence_erase(kiln_onnx_node *n)
{
    const struct kiln_onnx_sequence *from = sequence_in(n);
    if (!is_list(n, from) || !is_whole(n, from))
        return;
    const int at = place_of(n, 1, from, from->count, from->count - 1);
    struct kiln_onnx_sequence *s = n->refused ? NULL : list_out(n, from->count - 1);
    if (!s)
        return;
    memcpy(s->item, from->item, (size_t)at * sizeof *s->item);
    memcpy(s->item + at, from->item + at + 1, (size_t)(from->count - 1 - at) * sizeof *s->item);
}

/* Where parts of an axis end: equal ones of `each` but the last, or as a list says. */
static void split(kiln_onnx_node *n, int axis, int64_t each, const struct kiln_onnx_list *parts)
{
    const kiln_tensor x = kiln_onnx_in(n, 0);
    const int64_t size = kiln_tensor_shape(n->g, x).size[axis],
                  count = parts ? parts->count : (size + each - 1) / each;
    const bool one = !kiln_onnx_has(n, 1) && !kiln_onnx_int(n, "keepdims", 1);
    struct kiln_onnx_sequence *s = list_out(n, count);
    int64_t first = 0;
    for (int i = 0; s && i < s->count; i++) {
        const int64_t length = parts ? parts->item[i].i : each < size - first ? each : size - first;
        if (length < 0 || length > size - first || (parts && parts->item[i].symbol)) {
            kiln_onnx_refuse(n, "part %d of %lld elements does not fit", i, (long long)length);
            return;
        }
        const kiln_tensor part = kiln_slice(n->g, x, axis, first, first + length, 1);
        if (!(s->item[i] = value_of(n, one ? kiln_squeeze(n->g, part, axis) : part)))
            return;
        first += length;
    }
}

void kiln_onnx_build_split_to_sequence(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0), how = kiln_onnx_spec(n, 1);
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 0), x.shape.rank);
    struct kiln_onnx_list parts = {0};
    double each = 1;
    if (n->refused)
        return;
    if (x.shape.size[axis] < 0)
        kiln_onnx_refuse(n, "the size of axis %d must be known before anything runs", axis);
    else if (kiln_onnx_has(n, 1) && how.shape.rank && kiln_onnx_list(n, "split", 1, 1, &parts))
        split(n, axis, 1, &parts);
    else if (!n->refused && kiln_onnx_has(n, 1) && (!kiln_onnx_number(n, 1, &each) || !(each >= 1)))
        kiln_onnx_refuse(n,
                         "the size of a part must be a positive number that is known before anything runs");
    else if (!n->refused)
        split(n, axis, each < (double)KILN_ONNX_MOST_SIZE ? (int64_t)each : KILN_ONNX_MOST_SIZE, NULL);
}

/* What a sequence holds -------------------------------------------------------------------------------------------- */

void kiln_onnx_build_sequence_length(kiln_onnx_node *n)
{
    const struct kiln_onnx_sequence *s = sequence_in(n);
    struct kiln_onnx_item *item = is_whole(n, s) ? kiln_onnx_out_items(n, 0, KILN_I64, KILN_SCALAR) : NULL;
    if (!item)
        return;
    item->i = s->stack.id ? kiln_tensor_shape(n->g, s->stack).size[0] : s->count;
    item->symbol = item->i < 0;
}

void kiln_onnx_build_sequence_at(kiln_onnx_node *n)
{
    const struct kiln_onnx_sequence *s = sequence_in(n);
    if (!is_whole(n, s))
        return;
    if (s->stack.id) {
        kiln_onnx_out(n, 0, kiln_gather(n->g, s->stack, kiln_onnx_scalar(n, 1), 0));
        return;
    }
    const int at = place_of(n, 1, s, s->count, -1);
    if (!n->refused && n->out[0])
        kiln_onnx_become(n->m, n->out[0], s->item[at]);
}

/* The rows of a stack along another axis: side by side, or each as one index of it. */
static kiln_tensor spread(kiln_onnx_node *n, kiln_tensor stack, int axis, bool new_axis)
{
    const kiln_tensor moved = kiln_move_axis(n->g, stack, 0, axis);
    if (new_axis)
        return moved;
    kiln_shape shape = kiln_tensor_shape(n->g, moved);
    shape.size[axis] = kiln_dim_mul(n->g, shape.size[axis], shape.size[axis + 1]);
    for (int i = axis + 1; i + 1 < shape.rank; i++)
        shape.size[i] = shape.size[i + 1];
    shape.rank--;
    return kiln_reshape(n->g, moved, shape);
}

static kiln_tensor join(kiln_onnx_node *n, const struct kiln_onnx_sequence *s, int axis, bool new_axis)
{
    kiln_tensor *in = kiln_onnx_alloc(n->m, ((size_t)s->count + 1) * sizeof *in);
    for (int i = 0; in && i < s->count; i++) {
        in[i] = kiln_onnx_tensor_of(n->m, s->item[i]);
        if (new_axis)
            in[i] = kiln_unsqueeze(n->g, in[i], axis);
    }
    return in ? kiln_onnx_join(n, in, s->count, axis) : KILN_NONE;
}

void kiln_onnx_build_concat_from_sequence(kiln_onnx_node *n)
{
    const struct kiln_onnx_sequence *s = sequence_in(n);
    const bool new_axis = kiln_onnx_int(n, "new_axis", 0);
    if (!is_whole(n, s))
        return;
    if (!s->stack.id && !s->count) {
        kiln_onnx_refuse(n, "a sequence of no values");
        return;
    }
    const kiln_tensor first = s->stack.id ? s->stack : kiln_onnx_tensor_of(n->m, s->item[0]);
    const int rank = kiln_tensor_shape(n->g, first).rank - (s->stack.id ? 1 : 0);
    const int axis = kiln_onnx_axis(n, kiln_onnx_int(n, "axis", 0), rank + new_axis);
    if (n->refused)
        return;
    const kiln_tensor y = s->stack.id ? spread(n, s->stack, axis, new_axis) : join(n, s, axis, new_axis);
    if (!n->refused)
        kiln_onnx_out(n, 0, y);
}
