/*
 * onnx_fold.c - shape arithmetic, computed while reading, element by element (onnx_fold_element.c).
 *
 * Every fold answers false where it cannot: the node is then built like any other.
 */
#include <math.h>
#include <string.h>

#include "import/onnx.h"

/* Elementwise -------------------------------------------------------------------------------------------- */

/* Where element i of a tensor of shape `of` reads one that is broadcast to it. */
static int64_t broadcast_index(const kiln_shape *of, const kiln_shape *from, int64_t i)
{
    int64_t index = 0, step = 1;
    for (int axis = of->rank - 1, own = from->rank - 1; own >= 0; axis--, own--) {
        const int64_t at = i % of->size[axis];
        i /= of->size[axis];
        index += from->size[own] == 1 ? 0 : at * step;
        step *= from->size[own];
    }
    return index;
}

bool kiln_onnx_fold_unary(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const struct kiln_onnx_item *from = kiln_onnx_items(n->m, n->in[0]), none = {0};
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, x.type, x.shape);
    bool folded = to && kiln_onnx_fold_takes(x.type);
    for (int64_t i = 0; folded && i < kiln_shape_count(&x.shape); i++)
        folded = kiln_onnx_fold_element(n, x.type, from[i], none, &to[i]);
    if (n->outputs && n->out[0])
        n->out[0]->known = folded;
    return folded;
}

/* y = x[0] op x[1] op x[2] .. */
bool kiln_onnx_fold_binary(kiln_onnx_node *n)
{
    const kiln_type type = kiln_onnx_spec(n, 0).type;
    kiln_shape shape = kiln_onnx_spec(n, 0).shape;
    bool folded = kiln_onnx_fold_takes(type) && !kiln_onnx_has_attribute(n, "axis");
    for (int i = 1; folded && i < n->inputs; i++) {
        const kiln_spec next = kiln_onnx_spec(n, i);
        folded = next.type == type && kiln_shape_broadcast(&shape, &next.shape, &shape);
    }
    const bool truth = n->row->operation >= KILN_ONNX_EQUAL;
    struct kiln_onnx_item *to = folded ? kiln_onnx_out_items(n, 0, truth ? KILN_BOOL : type, shape) : NULL;
    folded = to != NULL;
    for (int64_t i = 0; folded && i < kiln_shape_count(&shape); i++) {
        const kiln_shape first = kiln_onnx_spec(n, 0).shape;
        to[i] = kiln_onnx_items(n->m, n->in[0])[broadcast_index(&shape, &first, i)];
        for (int k = 1; folded && k < n->inputs; k++) {
            const kiln_shape own = kiln_onnx_spec(n, k).shape;
            folded = kiln_onnx_fold_element(n, type, to[i],
                                            kiln_onnx_items(n->m, n->in[k])[broadcast_index(&shape, &own, i)],
                                            &to[i]);
        }
    }
    if (n->outputs && n->out[0])
        n->out[0]->known = folded;
    return folded;
}

bool kiln_onnx_fold_where(kiln_onnx_node *n)
{
    kiln_shape shape = kiln_onnx_spec(n, 0).shape, own[3];
    bool fits =
        kiln_onnx_spec(n, 1).type == kiln_onnx_spec(n, 2).type && kiln_onnx_spec(n, 0).type == KILN_BOOL;
    for (int k = 0; k < 3; k++) {
        own[k] = kiln_onnx_spec(n, k).shape;
        fits = fits && kiln_shape_broadcast(&shape, &own[k], &shape);
    }
    struct kiln_onnx_item *to = fits ? kiln_onnx_out_items(n, 0, kiln_onnx_spec(n, 1).type, shape) : NULL;
    for (int64_t i = 0; to && i < kiln_shape_count(&shape); i++) {
        const int k = kiln_onnx_items(n->m, n->in[0])[broadcast_index(&shape, &own[0], i)].i ? 1 : 2;
        to[i] = kiln_onnx_items(n->m, n->in[k])[broadcast_index(&shape, &own[k], i)];
    }
    return to != NULL;
}

static struct kiln_onnx_item converted(struct kiln_onnx_item item, kiln_type from, kiln_type to)
{
    const bool was = kiln_type_is_real(from), is = kiln_type_is_real(to);
    struct kiln_onnx_item y = item;
    if (item.symbol)
        return item;
    if (to == KILN_BOOL)
        y.i = was ? item.r != 0 : item.i != 0;
    else if (was && !is)
        y.i = isnan(item.r)       ? 0
              : item.r >= 9.2e18  ? INT64_MAX
              : item.r <= -9.2e18 ? INT64_MIN
                                  : (int64_t)item.r;
    else if (!was && is)
        y.r = (double)item.i;
    return kiln_onnx_fold_rounded(to, y);
}

/* Halves are taken as they are, and not made: what the graph makes of them is rounded. */
bool kiln_onnx_fold_to(kiln_onnx_node *n, kiln_type type)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const struct kiln_onnx_item *from = kiln_onnx_has(n, 0) ? kiln_onnx_items(n->m, n->in[0]) : NULL;
    if (!from || n->in[0]->role != KILN_ONNX_CONSTANT || !kiln_onnx_fold_takes(type) ||
        (!kiln_onnx_fold_takes(x.type) && !kiln_type_is_real(x.type)))
        return false;
    const int64_t count = kiln_shape_count(&x.shape);
    for (int64_t i = 0; i < count; i++)
        if (from[i].symbol && type == KILN_BOOL)
            return false;
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, type, x.shape);
    for (int64_t i = 0; to && i < count; i++)
        to[i] = converted(from[i], x.type, type);
    return to != NULL;
}

bool kiln_onnx_fold_cast(kiln_onnx_node *n)
{
    kiln_type type;
    return kiln_onnx_cast_type(n, &type) && kiln_onnx_fold_to(n, type);
}

/* Of elements of 64 bits: a program keeps them in 32, so here alone they are whole. */
bool kiln_onnx_fold_bitcast(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const struct kiln_onnx_item *from = kiln_onnx_has(n, 0) ? kiln_onnx_items(n->m, n->in[0]) : NULL;
    const int64_t count = kiln_shape_count(&x.shape);
    kiln_type type;
    if (!from || !kiln_onnx_type(kiln_onnx_int(n, "to", 0), &type) || kiln_type_size(type) != 8 ||
        kiln_type_size(x.type) != 8)
        return false;
    for (int64_t i = 0; i < count; i++)
        if (from[i].symbol)
            return false;
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, type, x.shape);
    for (int64_t i = 0; to && i < count; i++) {
        const void *bits = kiln_type_is_real(x.type) ? (const void *)&from[i].r : (const void *)&from[i].i;
        to[i] = (struct kiln_onnx_item){0};
        memcpy(kiln_type_is_real(type) ? (void *)&to[i].r : (void *)&to[i].i, bits, sizeof from->i);
    }
    return to != NULL;
}

/* Layout ------------------------------------------------------------------------------------------------- */

/* The same elements in another shape. */
static bool reshaped(kiln_onnx_node *n, kiln_shape shape)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const int64_t count = kiln_shape_count(&x.shape);
    struct kiln_onnx_item *to =
        kiln_shape_count(&shape) == count ? kiln_onnx_out_items(n, 0, x.type, shape) : NULL;
    if (to)
        memcpy(to, kiln_onnx_items(n->m, n->in[0]), (size_t)count * sizeof *to);
    return to != NULL;
}

bool kiln_onnx_fold_reshape(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    struct kiln_onnx_list list;
    if (!kiln_onnx_list(n, "shape", 5, 1, &list) || list.count > KILN_MAX_RANK)
        return false;
    kiln_shape shape = {.rank = list.count};
    int64_t known = 1;
    int rest = -1;
    for (int i = 0; i < list.count; i++) {
        const struct kiln_onnx_item item = list.item[i];
        const bool copy = item.i == 0 && !kiln_onnx_int(n, "allowzero", 0) && i < x.rank;
        if (item.symbol || item.i < -1 || (item.i == -1 && rest >= 0))
            return false;
        rest = item.i == -1 ? i : rest;
        shape.size[i] = copy ? x.size[i] : item.i;
        known *= item.i == -1 ? 1 : shape.size[i] > KILN_ONNX_MOST_ITEMS ? 0 : shape.size[i];
        if (known > KILN_ONNX_MOST_ITEMS)
            return false;
    }
    if (rest >= 0 && known > 0)
        shape.size[rest] = kiln_shape_count(&x) / known;
    return (rest < 0 || known > 0) && reshaped(n, shape);
}

/* Axes of a list that count from the end of that rank; false where one is no axis. */
static bool marked(const struct kiln_onnx_list *list, int rank, bool *there)
{
    for (int i = 0; i < list->count; i++) {
        const int64_t axis = list->item[i].i + (list->item[i].i < 0 ? rank : 0);
        if (axis < 0 || axis >= rank || there[axis])
            return false;
        there[axis] = true;
    }
    return true;
}

bool kiln_onnx_fold_squeeze(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    bool drop[KILN_MAX_RANK] = {0};
    struct kiln_onnx_list list;
    kiln_shape shape = {0};
    if (!kiln_onnx_list(n, "axes", 13, 1, &list) || !marked(&list, x.rank, drop))
        return false;
    for (int i = 0; i < x.rank; i++) {
        if (drop[i] && x.size[i] != 1)
            return false;
        if (list.given ? !drop[i] : x.size[i] != 1)
            shape.size[shape.rank++] = x.size[i];
    }
    return reshaped(n, shape);
}

bool kiln_onnx_fold_unsqueeze(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, 0).shape;
    bool insert[KILN_MAX_RANK] = {0};
    struct kiln_onnx_list list;
    if (!kiln_onnx_list(n, "axes", 13, 1, &list) || list.count > KILN_MAX_RANK - x.rank)
        return false;
    kiln_shape shape = {.rank = x.rank + list.count};
    if (!marked(&list, shape.rank, insert))
        return false;
    for (int i = 0, own = 0; i < shape.rank; i++)
        shape.size[i] = insert[i] ? 1 : x.size[own++];
    return reshaped(n, shape);
}

/* Whether the inputs are alike but for their sizes on that axis; shape receives that of all of them end to end. */
static bool joined(kiln_onnx_node *n, int axis, kiln_shape *shape)
{
    const kiln_spec first = kiln_onnx_spec(n, 0);
    *shape = first.shape;
    for (int i = 1; i < n->inputs; i++) {
        const kiln_spec x = kiln_onnx_spec(n, i);
        kiln_shape own = x.shape;
        if (x.type != first.type || own.rank != shape->rank)
            return false;
        own.size[axis] = shape->size[axis];
        if (!kiln_shape_equal(&own, shape))
            return false;
        shape->size[axis] += x.shape.size[axis];
    }
    return true;
}

bool kiln_onnx_fold_concat(kiln_onnx_node *n)
{
    const kiln_spec first = kiln_onnx_spec(n, 0);
    const int64_t given = kiln_onnx_int(n, "axis", 1);
    const int axis = (int)(given < 0 ? given + first.shape.rank : given);
    kiln_shape shape;
    if (axis < 0 || axis >= first.shape.rank || !joined(n, axis, &shape))
        return false;
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, first.type, shape);
    int64_t rows = 1;
    for (int i = 0; i < axis; i++)
        rows *= shape.size[i];
    const int64_t length = rows ? kiln_shape_count(&shape) / rows : 0; /* of a row, in all of them */
    int64_t at = 0;
    for (int i = 0; to && rows && i < n->inputs; i++) {
        const kiln_shape own = kiln_onnx_spec(n, i).shape;
        const int64_t part = kiln_shape_count(&own) / rows;
        for (int64_t r = 0; r < rows; r++)
            memcpy(to + r * length + at, kiln_onnx_items(n->m, n->in[i]) + r * part,
                   (size_t)part * sizeof *to);
        at += part;
    }
    return to != NULL;
}

/* How the elements of an output lie in its input: index i of axis k is `step[k]` times i further. */
struct view {
    kiln_shape shape;
    int64_t first, step[KILN_MAX_RANK];
};

static struct view whole(kiln_shape x)
{
    struct view v = {.shape = x};
    int64_t step = 1;
    for (int i = x.rank - 1; i >= 0; i--) {
        v.step[i] = step;
        step *= x.size[i];
    }
    return v;
}

static bool viewed(kiln_onnx_node *n, const struct view *v)
{
    const struct kiln_onnx_item *from = kiln_onnx_items(n->m, n->in[0]);
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, kiln_onnx_spec(n, 0).type, v->shape);
    for (int64_t i = 0; to && i < kiln_shape_count(&v->shape); i++) {
        int64_t rest = i, at = v->first;
        for (int k = v->shape.rank - 1; k >= 0; k--) {
            at += rest % v->shape.size[k] * v->step[k];
            rest /= v->shape.size[k];
        }
        to[i] = from[at];
    }
    return to != NULL;
}

bool kiln_onnx_fold_slice(kiln_onnx_node *n)
{
    struct view v = whole(kiln_onnx_spec(n, 0).shape);
    struct kiln_onnx_range r[KILN_MAX_RANK];
    bool cut[KILN_MAX_RANK] = {0};
    const int count = kiln_onnx_slices(n, r);
    for (int i = 0; i < count; i++) {
        if (r[i].count < 0 || cut[r[i].axis])
            return false;
        cut[r[i].axis] = true;
        v.first += r[i].first * v.step[r[i].axis];
        v.step[r[i].axis] *= r[i].step;
        v.shape.size[r[i].axis] = r[i].count;
    }
    return count >= 0 && viewed(n, &v);
}

bool kiln_onnx_fold_transpose(kiln_onnx_node *n)
{
    const struct view x = whole(kiln_onnx_spec(n, 0).shape);
    struct view v = x;
    bool there[KILN_MAX_RANK] = {0};
    int count;
    const int64_t *perm = kiln_onnx_ints(n, "perm", &count);
    if (perm && count != x.shape.rank)
        return false;
    for (int i = 0; i < x.shape.rank; i++) {
        const int64_t from = perm ? perm[i] : x.shape.rank - 1 - i;
        if (from < 0 || from >= x.shape.rank || there[from])
            return false;
        there[from] = true;
        v.shape.size[i] = x.shape.size[from];
        v.step[i] = x.step[from];
    }
    return viewed(n, &v);
}

/* A list in parts. */
bool kiln_onnx_fold_split(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    const int64_t count = x.shape.rank == 1 ? x.shape.size[0] : -1,
                  each = (count + n->outputs - 1) / (n->outputs ? n->outputs : 1);
    struct kiln_onnx_list parts;
    if (count < 0 || n->opset < 2 || !kiln_onnx_list(n, "split", 13, 1, &parts) ||
        (parts.given && parts.count != n->outputs))
        return false;
    const struct kiln_onnx_item *from = kiln_onnx_items(n->m, n->in[0]);
    int64_t first = 0;
    for (int i = 0; i < n->outputs; i++) {
        const int64_t rest = count - first, length = parts.given   ? parts.item[i].i
                                                     : each < rest ? each
                                                                   : rest;
        if (length < 0 || length > rest)
            return false;
        struct kiln_onnx_item *to = kiln_onnx_out_items(n, i, x.type, KILN_SHAPE(length));
        if (to)
            memcpy(to, from + first, (size_t)length * sizeof *to);
        first += length;
    }
    return true;
}

/* Along axis 0: each index takes a row. */
bool kiln_onnx_fold_gather(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0), index = kiln_onnx_spec(n, 1);
    if (kiln_onnx_int(n, "axis", 0) != 0 || x.shape.rank < 1 ||
        index.shape.rank + x.shape.rank - 1 > KILN_MAX_RANK)
        return false;
    kiln_shape shape = index.shape, row = kiln_shape_of(x.shape.rank - 1, &x.shape.size[1]);
    for (int i = 0; i < row.rank; i++)
        shape.size[shape.rank++] = row.size[i];
    const struct kiln_onnx_item *from = kiln_onnx_items(n->m, n->in[0]),
                                *at = kiln_onnx_items(n->m, n->in[1]);
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, x.type, shape);
    const int64_t length = kiln_shape_count(&row), rows = x.shape.size[0];
    for (int64_t i = 0; to && i < kiln_shape_count(&index.shape); i++) {
        const int64_t r = at[i].i + (at[i].i < 0 ? rows : 0);
        if (at[i].symbol || r < 0 || r >= rows) {
            kiln_onnx_refuse(n, "index %lld of %lld", (long long)at[i].i, (long long)rows);
            return true;
        }
        memcpy(to + i * length, from + r * length, (size_t)length * sizeof *to);
    }
    return to != NULL;
}

bool kiln_onnx_fold_expand(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    struct kiln_onnx_list list;
    kiln_shape wanted, shape;
    if (!kiln_onnx_list(n, "shape", 1, 1, &list) || !kiln_onnx_shape(n, &list, &wanted) ||
        !kiln_shape_broadcast(&x.shape, &wanted, &shape))
        return false;
    const struct kiln_onnx_item *from = kiln_onnx_items(n->m, n->in[0]);
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, x.type, shape);
    for (int64_t i = 0; to && i < kiln_shape_count(&shape); i++)
        to[i] = from[broadcast_index(&shape, &x.shape, i)];
    return to != NULL;
}

/* A list, again and again. */
bool kiln_onnx_fold_tile(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    double times;
    if (x.shape.rank != 1 || n->opset < 6 || !kiln_onnx_number(n, 1, &times) ||
        !(times >= 0 && times <= KILN_ONNX_MOST_ITEMS))
        return false;
    const int64_t length = x.shape.size[0], count = length * (int64_t)times;
    const struct kiln_onnx_item *from = kiln_onnx_items(n->m, n->in[0]);
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, x.type, KILN_SHAPE(count));
    for (int64_t i = 0; to && i < count; i++)
        to[i] = from[i % length];
    return to != NULL;
}

/* start, start + delta, ... before limit */
bool kiln_onnx_fold_range(kiln_onnx_node *n)
{
    const kiln_type type = kiln_onnx_spec(n, 0).type;
    double start, limit, delta;
    if (!kiln_onnx_fold_takes(type) || !kiln_onnx_number(n, 0, &start) || !kiln_onnx_number(n, 1, &limit) ||
        !kiln_onnx_number(n, 2, &delta) || delta == 0)
        return false;
    const double steps = ceil((limit - start) / delta);
    if (!(steps <= KILN_ONNX_MOST_ITEMS))
        return false;
    const int64_t count = steps > 0 ? (int64_t)steps : 0;
    struct kiln_onnx_item *to = kiln_onnx_out_items(n, 0, type, KILN_SHAPE(count));
    for (int64_t i = 0; to && i < count; i++)
        to[i] =
            kiln_onnx_fold_rounded(type, (struct kiln_onnx_item){.i = (int64_t)(start + (double)i * delta),
                                                                 .r = start + (double)i * delta});
    return to != NULL;
}

/* Of a list, over its one axis. */
bool kiln_onnx_fold_reduce(kiln_onnx_node *n)
{
    const kiln_spec x = kiln_onnx_spec(n, 0);
    if (!n->row->operation || x.shape.rank != 1 || x.shape.size[0] < 1 || !kiln_onnx_fold_takes(x.type))
        return false;
    const struct kiln_onnx_item *from = kiln_onnx_items(n->m, n->in[0]);
    struct kiln_onnx_item y = from[0];
    for (int64_t i = 1; i < x.shape.size[0]; i++)
        if (!kiln_onnx_fold_element(n, x.type, y, from[i], &y))
            return false;
    struct kiln_onnx_item *to =
        kiln_onnx_out_items(n, 0, x.type, kiln_onnx_int(n, "keepdims", 1) ? KILN_SHAPE(1) : KILN_SCALAR);
    if (to)
        *to = y;
    return to != NULL;
}
