/*
 * reshape_counted.c - other shapes of a value with axes that data counts inside of others: elements move up.
 *
 * In memory such an axis has room for as many elements as its bound, so the elements that are there do not lie one behind the other, as
 * those of the other shape do. Element j of it, in the order of those that are there, is looked up where it lies.
 *
 * Tests: tests/ops/beyond.c.
 */
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/beyond.h"

/* The axes in which two shapes differ: from `first` on, so many of each. */
struct middle {
    int first, x_axes, y_axes;
};

static struct middle middle_of(const kiln_shape *x, const kiln_shape *y)
{
    struct middle m = {.x_axes = x->rank, .y_axes = y->rank};
    while (m.first < x->rank && m.first < y->rank && x->size[m.first] == y->size[m.first])
        m.first++;
    m.x_axes -= m.first;
    m.y_axes -= m.first;
    while (m.x_axes && m.y_axes && x->size[m.first + m.x_axes - 1] == y->size[m.first + m.y_axes - 1])
        m.x_axes--, m.y_axes--;
    return m;
}

static kiln_tensor whole_number(kiln_graph *g, int64_t value)
{
    return kiln_scalar(g, KILN_I32, (double)value);
}

/* A size as an I32 scalar, at least 1. */
static kiln_tensor size_of(kiln_graph *g, int64_t size)
{
    if (size >= 0)
        return whole_number(g, size ? size : 1);
    const kiln_tensor places = kiln_sequence(g, KILN_I32, 0, 1, size);
    const kiln_tensor count = kiln_cast(g, kiln_count_of(g, places, (kiln_axes){0}), KILN_I32);
    return kiln_max(g, count, whole_number(g, 1));
}

/* Of y's elements along the middle: the how manieth each is among those that are there. */
static kiln_tensor order_of(kiln_graph *g, const int64_t *size, int count)
{
    kiln_tensor at = whole_number(g, 0);
    for (int i = 0; i < count; i++) {
        kiln_tensor place = kiln_sequence(g, KILN_I32, 0, 1, size[i]);
        for (int k = i + 1; k < count; k++)
            place = kiln_unsqueeze(g, place, -1);
        at = kiln_add(g, kiln_mul(g, at, size_of(g, size[i])), place);
    }
    return at;
}

/* Where those lie in x's memory, whose axes have room for so many; those beyond the count lie somewhere in it. */
static kiln_tensor places_of(kiln_graph *g, kiln_tensor order, const int64_t *size, const int64_t *room,
                             int count)
{
    kiln_tensor at = whole_number(g, 0), stride = whole_number(g, 1);
    for (int i = count - 1; i >= 0; i--) {
        const kiln_tensor n = size_of(g, size[i]), next = kiln_div(g, order, n);
        const kiln_tensor last = kiln_sub(g, n, whole_number(g, 1));
        const kiln_tensor place = i ? kiln_sub(g, order, kiln_mul(g, next, n)) : kiln_min(g, order, last);
        at = kiln_add(g, at, kiln_mul(g, place, stride));
        stride = kiln_mul(g, stride, size_of(g, room[i]));
        order = next;
    }
    return at;
}

bool kiln_reshape_moves(kiln_graph *g, kiln_tensor y)
{
    const kiln_node *n = kiln_node_of(g, y);
    const kiln_shape x = kiln_tensor_shape(g, n->in[0]);
    for (int axis = 0; axis < x.rank; axis++)
        if (kiln_dim_is_counted(g, x.size[axis]) &&
            kiln_beyond_of_shape(g, n, 0, axis).kind == KILN_BEYOND_REFUSED)
            return true;
    return false;
}

kiln_tensor kiln_reshape_counted(kiln_graph *g, kiln_tensor x, kiln_shape y)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const struct middle m = middle_of(&shape, &y);
    int64_t room[KILN_MAX_RANK] = {0}, all = 1;
    kiln_shape flat = {.rank = shape.rank - m.x_axes + 1};
    for (int i = 0; i < m.x_axes && x.id; i++) {
        const int axis = m.first + i;
        while (x.id && kiln_dim_is_counted(g, kiln_tensor_shape(g, x).size[axis]))
            x = kiln_whole(g, x, axis, 0);
        room[i] = x.id ? kiln_tensor_shape(g, x).size[axis] : 0;
        all = kiln_dim_mul(g, all, room[i]);
    }
    if (!x.id)
        return KILN_NONE;
    if (all > INT32_MAX) {
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED,
                        "reshape: %lld elements of axes that data counts, at most 2^31", (long long)all);
        return KILN_NONE;
    }
    for (int i = 0; i < m.first; i++)
        flat.size[i] = shape.size[i];
    flat.size[m.first] = all;
    for (int i = m.first + m.x_axes, k = m.first + 1; i < shape.rank; i++, k++)
        flat.size[k] = shape.size[i];
    const kiln_tensor order = order_of(g, y.size + m.first, m.y_axes);
    const kiln_tensor places = places_of(g, order, shape.size + m.first, room, m.x_axes);
    return kiln_gather(g, kiln_reshape(g, x, flat), places, m.first);
}
