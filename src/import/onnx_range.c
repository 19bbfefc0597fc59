/*
 * onnx_range.c - Range: start, start + delta, .. before a limit.
 *
 * How many there are is a number where all three are numbers; a size of the model where they are whole numbers and sizes; else what a run
 * computes, with room for as many as the model bounds (onnx_counted.c). Reals that were made of integers are whole.
 */
#include <math.h>
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx.h"

enum { START, LIMIT, DELTA };

/* Input i as a whole number or a symbol. */
static bool take_size(kiln_onnx_node *n, int i, struct kiln_onnx_item *out)
{
    const struct kiln_onnx_item *item = kiln_onnx_items(n->m, n->in[i]);
    double number;
    if (!item)
        return false;
    *out = *item;
    if (kiln_onnx_number(n, i, &number))
        out->i = fabs(number) <= INT32_MAX ? (int64_t)number : INT64_MAX;
    return item->symbol || (double)out->i == number;
}

/* Input i as an I32 scalar; KILN_NONE where it need not be whole. */
static kiln_tensor whole_at(kiln_onnx_node *n, int i)
{
    struct kiln_onnx_item item;
    if (take_size(n, i, &item))
        return item.symbol ? kiln_onnx_size_value(n->g, item.i, KILN_I32)
                           : kiln_scalar(n->g, KILN_I32, (double)item.i);
    kiln_tensor t = n->in[i]->known ? KILN_NONE : kiln_onnx_in(n, i);
    const kiln_node *made = t.id ? kiln_node_of(n->g, t) : NULL;
    if (made && !strcmp(made->op->name, "cast_real"))
        t = made->in[0];
    if (!t.id || kiln_type_is_real(kiln_tensor_type(n->g, t)))
        return KILN_NONE;
    return kiln_cast(n->g, kiln_reshape(n->g, t, KILN_SCALAR), KILN_I32);
}

/* Between numbers of which a run computes one, or by a step that it computes. */
static void build_computed(kiln_onnx_node *n, kiln_type type)
{
    kiln_tensor part[3];
    struct kiln_onnx_item count;
    for (int i = START; i <= DELTA; i++)
        part[i] = kiln_onnx_scalar(n, i);
    const kiln_tensor steps = kiln_range_count(n->g, part[START], part[LIMIT], part[DELTA]);
    if (n->refused || !steps.id || !kiln_onnx_size_counted(n, steps, &count))
        return;
    const kiln_tensor along = kiln_mul(n->g, kiln_sequence(n->g, type, 0, 1, count.i), part[DELTA]);
    kiln_onnx_out(n, 0, kiln_add(n->g, along, part[START]));
}

/* By a whole number, between such of which data gives one or both. */
static void build_between(kiln_onnx_node *n, kiln_type type, kiln_tensor start, kiln_tensor end, double delta)
{
    const bool up = delta > 0;
    int64_t count;
    if (!kiln_onnx_size_between(n, up ? start : end, up ? end : start, (int64_t)fabs(delta), &count))
        return;
    const kiln_tensor steps = kiln_sequence(n->g, type, 0, delta, count);
    kiln_onnx_out(n, 0, kiln_add(n->g, steps, kiln_cast(n->g, start, type)));
}

/* a - b; false where it is known to be negative. */
static bool size_between(kiln_graph *g, const struct kiln_onnx_item *a, const struct kiln_onnx_item *b,
                         int64_t *out)
{
    if (!a->symbol && a->i < 0)
        return false;
    *out = !b->symbol && b->i < 0 ? kiln_dim_add(g, a->i, -b->i) : kiln_dim_sub(g, a->i, b->i);
    return true;
}

/* The same between numbers and sizes. */
static void build_of_sizes(kiln_onnx_node *n, kiln_type type, struct kiln_onnx_item start,
                           struct kiln_onnx_item end, double delta)
{
    int64_t count = 0;
    if (!size_between(n->g, delta > 0 ? &end : &start, delta > 0 ? &start : &end, &count))
        count = 0;
    if (fabs(delta) != 1)
        count = kiln_dim_ceil_div(n->g, count, (int64_t)fabs(delta));
    kiln_tensor y = kiln_sequence(n->g, type, start.symbol ? 0 : (double)start.i, delta, count);
    if (start.symbol)
        y = kiln_add(n->g, y, kiln_onnx_size_value(n->g, start.i, type));
    kiln_onnx_out(n, 0, y);
}

/* By a whole number; false where an end need not be whole. One that data gives is the size itself, from 0 on. */
static bool build_by_whole(kiln_onnx_node *n, kiln_type type, double delta)
{
    struct kiln_onnx_item start, end;
    const bool from_size = take_size(n, START, &start), to_size = take_size(n, LIMIT, &end);
    const bool from_zero = from_size && !start.symbol && start.i == 0 && delta > 0;
    const kiln_tensor first = from_size ? KILN_NONE : whole_at(n, START),
                      last = to_size ? KILN_NONE : whole_at(n, LIMIT);
    if ((!from_size && !first.id) || (!to_size && !last.id))
        return false;
    if (from_zero && !to_size && !kiln_onnx_size_counted(n, last, &end))
        return true;
    if (from_size && (to_size || from_zero))
        build_of_sizes(n, type, start, end, delta);
    else
        build_between(n, type, whole_at(n, START), whole_at(n, LIMIT), delta);
    return true;
}

void kiln_onnx_build_range(kiln_onnx_node *n)
{
    const kiln_type type = kiln_onnx_spec(n, START).type;
    double start, limit, delta;
    const bool by_number = kiln_onnx_number(n, DELTA, &delta);
    const bool by_whole = by_number && delta == rint(delta) && delta != 0 && fabs(delta) <= INT32_MAX;
    if (by_number && kiln_onnx_number(n, START, &start) && kiln_onnx_number(n, LIMIT, &limit))
        kiln_onnx_out(n, 0, kiln_arange(n->g, type, start, limit, delta));
    else if (by_number && delta == 0)
        kiln_onnx_refuse(n, "its step is 0");
    else if (!by_whole || !build_by_whole(n, type, delta))
        build_computed(n, type);
}
