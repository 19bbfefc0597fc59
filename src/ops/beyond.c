/*
 * beyond.c - axes whose sizes depend on data: their sizes as values, rules that families share, and the way into such an axis
 * and out of it.
 *
 *   first   x, of which along an axis only the first `count` elements are there
 *   whole   x with all elements that there may be, those that are not there filled
 *
 * Both are the same memory under another shape. The compiler's part is src/compiler/counts.c.   Tests: tests/ops/beyond.c.
 */
#include "ops/beyond.h"

#include <math.h>
#include <stddef.h>

#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/kernels.h"

/* Rules -------------------------------------------------------------------------------------------------- */

kiln_beyond kiln_beyond_ignored(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)n, (void)input, (void)axis;
    return KILN_IGNORED;
}

kiln_beyond kiln_beyond_in_batch(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)n, (void)input;
    return axis == 0 ? KILN_IGNORED : KILN_REFUSED;
}

static bool any_counted(const kiln_graph *g, const int64_t *size, int count)
{
    for (int i = 0; i < count; i++)
        if (kiln_dim_is_counted(g, size[i]))
            return true;
    return false;
}

/* Whether x's axes from a on and y's from b on begin with as many elements, each side's first axis alone being counted. */
static bool begin_alike(kiln_graph *g, const kiln_shape *x, int a, const kiln_shape *y, int b)
{
    for (int m = 1; a + m <= x->rank && !any_counted(g, x->size + a + 1, m - 1); m++)
        for (int k = 1; b + k <= y->rank && !any_counted(g, y->size + b + 1, k - 1); k++)
            if (kiln_dim_product(g, x->size + a, m) == kiln_dim_product(g, y->size + b, k))
                return true;
    return false;
}

/* The axis is where it was, joined with axes inside it, or split with the counted part outside. */
kiln_beyond kiln_beyond_of_shape(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const kiln_shape x = kiln_tensor_shape(g, n->in[0]), y = kiln_tensor_shape(g, n->out[0]);
    if (input > 0)
        return KILN_IGNORED; /* looked at for its shape alone */
    for (int b = 0; b < y.rank; b++)
        if (kiln_dim_product(g, x.size, axis) == kiln_dim_product(g, y.size, b) &&
            begin_alike(g, &x, axis, &y, b))
            return KILN_IGNORED;
    return KILN_REFUSED;
}

double kiln_extreme_of(kiln_type type, bool most)
{
    const size_t bytes = kiln_type_size(type) < 4 ? kiln_type_size(type) : 4;
    const double values = ldexp(1, 8 * (int)bytes);
    if (kiln_type_is_real(type))
        return most ? INFINITY : -INFINITY;
    if (type == KILN_BOOL)
        return most;
    if (kiln_type_is_unsigned(type))
        return most ? values - 1 : 0;
    return most ? values / 2 - 1 : -values / 2;
}

double kiln_last_of(kiln_type type, bool descending)
{
    return kiln_type_is_real(type) && !descending ? NAN : kiln_extreme_of(type, !descending);
}

/* Sizes as values ---------------------------------------------------------------------------------------- */

static kiln_tensor whole_number(kiln_graph *g, int64_t value)
{
    if (value <= INT32_MAX)
        return kiln_scalar(g, KILN_I32, (double)value);
    kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "size: %lld is beyond 32 bits", (long long)value);
    return KILN_NONE;
}

/* In 0 .. bound, whatever was counted. */
static kiln_tensor count_tensor(kiln_graph *g, const struct kiln_dim_expression *e)
{
    const kiln_tensor count = {g->tag, (uint32_t)(e->b > 0 ? e->b : 0)}, zero = whole_number(g, 0);
    const kiln_tensor bound = kiln_size_tensor(g, e->a);
    if (kiln_graph_value(g, count))
        return kiln_min(g, kiln_max(g, count, zero), bound);
    kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "size: what counts it is no value of this graph");
    return KILN_NONE;
}

kiln_tensor kiln_size_tensor(kiln_graph *g, int64_t size)
{
    const struct kiln_dim_expression *found = kiln_dim_expression_of(g, size);
    if (g->status)
        return KILN_NONE;
    if (!found)
        return whole_number(g, size);
    const struct kiln_dim_expression e = *found;
    if (e.op == KILN_DIM_BOUNDED)
        return count_tensor(g, &e);
    if (e.op == KILN_DIM_SYMBOL) {
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "size \"%s\" has no value before sizes are known", e.name);
        return KILN_NONE;
    }
    const kiln_tensor a = kiln_size_tensor(g, e.a), b = kiln_size_tensor(g, e.b), zero = whole_number(g, 0);
    switch (e.op) {
    case KILN_DIM_ADD:
        return kiln_add(g, a, b);
    case KILN_DIM_SUB:
        return kiln_max(g, kiln_sub(g, a, b), zero);
    case KILN_DIM_MUL:
        return kiln_mul(g, a, b);
    case KILN_DIM_DIV:
        return kiln_div(g, a, b);
    default:
        return kiln_div(g, kiln_add(g, a, kiln_sub(g, b, whole_number(g, 1))), b);
    }
}

kiln_tensor kiln_count_tensor(kiln_graph *g, const kiln_shape *shape, uint32_t axes)
{
    kiln_tensor product = kiln_scalar(g, KILN_F32, 1);
    for (int i = 0; i < shape->rank; i++)
        if (axes >> i & 1)
            product = kiln_mul(g, product, kiln_cast(g, kiln_size_tensor(g, shape->size[i]), KILN_F32));
    return product;
}

/* first -------------------------------------------------------------------------------------------------- */

struct ends {
    int64_t axis;
    double fill; /* of whole */
};

static kiln_status first_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct ends *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    if (p->axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "the axis is out of range, x has rank %d",
                              out->shape.rank);
    out->shape.size[p->axis] = kiln_dim_bounded(g, n->in[1], out->shape.size[p->axis]);
    return g->status;
}

static kiln_tensor append_whole(kiln_graph *g, kiln_tensor x, int64_t axis, double fill)
{
    const struct ends p = {axis, fill};
    return kiln_append(g, &kiln_op_whole, &x, 1, &p, sizeof p);
}

static void first_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = append_whole(g, dy[0], ((const struct ends *)n->params)->axis, 0);
}

const kiln_op kiln_op_first = {
    .name = "first",
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_ALIAS,
    .infer = first_infer,
    .grad = first_grad,
    .beyond = kiln_beyond_ignored,
    .fields = (const kiln_field[]){{"axis", KILN_FIELD_I64, 0, 1}, {0}},
};

kiln_tensor kiln_first(kiln_graph *g, kiln_tensor x, kiln_tensor count, int axis)
{
    const struct ends p = {.axis = kiln_axis_of(axis, kiln_tensor_shape(g, x).rank)};
    return x.id && count.id ? kiln_append(g, &kiln_op_first, (const kiln_tensor[]){x, count}, 2, &p, sizeof p)
                            : KILN_NONE;
}

/* whole -------------------------------------------------------------------------------------------------- */

static kiln_status whole_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct ends *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    if (p->axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "the axis is out of range, x has rank %d",
                              out->shape.rank);
    int64_t *size = &out->shape.size[p->axis];
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, *size);
    *size = e && e->op == KILN_DIM_BOUNDED ? e->a : kiln_dim_most(g, *size);
    return g->status;
}

/* Back to the elements that are there. */
static void whole_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const int axis = (int)((const struct ends *)n->params)->axis;
    const int64_t size = kiln_tensor_shape(g, n->in[0]).size[axis];
    const struct kiln_dim_expression *e = kiln_dim_expression_of(g, size);
    dx[0] = e && e->op == KILN_DIM_BOUNDED ? kiln_first(g, dy[0], (kiln_tensor){g->tag, (uint32_t)e->b}, axis)
                                           : kiln_reshape_to(g, dy[0], n->in[0]);
}

static kiln_beyond whole_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)input;
    const struct ends *p = n->params;
    return axis == p->axis ? KILN_FILLED(p->fill) : KILN_IGNORED;
}

const kiln_op kiln_op_whole = {
    .name = "whole",
    .inputs = 1,
    .outputs = 1,
    .flags = KILN_OP_ALIAS,
    .infer = whole_infer,
    .grad = whole_grad,
    .beyond = whole_beyond,
    .fields = (const kiln_field[]){{"axis", KILN_FIELD_I64, offsetof(struct ends, axis), 1},
                                   {"fill", KILN_FIELD_REAL, offsetof(struct ends, fill), 1},
                                   {0}},
};

kiln_tensor kiln_whole(kiln_graph *g, kiln_tensor x, int axis, double fill)
{
    return x.id ? append_whole(g, x, kiln_axis_of(axis, kiln_tensor_shape(g, x).rank), fill) : KILN_NONE;
}
