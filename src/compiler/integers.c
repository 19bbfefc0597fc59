/*
 * integers.c - products of numbers that were dequantized first become products of integers, scaled behind:
 *
 *   conv((x - zx) sx, (w - zw) sw)  =  conv_integer(x, w, zx, zw) (sx sw)
 *
 * That is the form (QDQ) in which quantizers of today write a model. Sums of bytes are exact, and where one instruction multiplies four of
 * them a fraction of the time. Filters and matrices that are weights alone count: others would be packed in every run.
 */
#include <stdlib.h>

#include <kiln/ops.h>
#include <kiln/quantize.h>

#include "base/log.h"
#include "compiler/plan.h"
#include "ops/conv.h"
#include "ops/kernels.h"
#include "ops/quantize.h"

/* Terms of a sum that words of four hold, channels of one tap or, where channels are last, of all, below which tiles are too thin, but for
 * filters of one channel each; terms of up to 255 x 255 whose sum 32 bits hold. */
enum { LEAST_DEPTH = 16, MOST_DEPTH = 1 << 15 };

/* The bytes that t shows as words, maybe in another shape; KILN_NONE: none. */
static kiln_tensor bytes_behind(const kiln_graph *g, kiln_tensor t)
{
    const kiln_node *n = kiln_graph_node(g, t);
    while (n && ((n->op->flags & KILN_OP_ALIAS) ||
                 (n->op == &kiln_op_cast_integer && kiln_tensor_type(g, t) == KILN_I32))) {
        t = n->in[0];
        n = kiln_graph_node(g, t);
    }
    return kiln_is_byte(kiln_tensor_type(g, t)) ? t : KILN_NONE;
}

/* Whether t is what kiln_dequantize makes of bytes; the scale is as it broadcasts there. */
static bool find_quantized(const kiln_graph *g, kiln_tensor t, kiln_quantized *q)
{
    const kiln_node *product = kiln_graph_node(g, t);
    const kiln_node *cast =
        product && product->op == &kiln_op_mul ? kiln_graph_node(g, product->in[0]) : NULL;
    if (!cast || cast->op != &kiln_op_cast_real)
        return false;
    const kiln_node *less = kiln_graph_node(g, cast->in[0]);
    const bool has_zero = less && less->op == &kiln_op_sub;
    *q = (kiln_quantized){.values = bytes_behind(g, has_zero ? less->in[0] : cast->in[0]),
                          .zero = has_zero ? bytes_behind(g, less->in[1]) : KILN_NONE,
                          .scale = product->in[1]};
    return q->values.id && (!has_zero || q->zero.id) &&
           (!has_zero || kiln_tensor_type(g, q->zero) == kiln_tensor_type(g, q->values)) &&
           kiln_tensor_type(g, q->scale) == KILN_F32;
}

/* Whether t is one element, or one for each index of an axis of w alone. */
static bool is_along(const kiln_graph *g, kiln_tensor t, kiln_tensor w, int axis)
{
    const kiln_shape shape = kiln_tensor_shape(g, t), filters = kiln_tensor_shape(g, w);
    const int at = axis - (filters.rank - shape.rank);
    return kiln_is_one_element(g, t) || (at >= 0 && at < shape.rank && shape.size[at] == filters.size[axis] &&
                                         kiln_shape_count(&shape) == shape.size[at]);
}

struct product {
    kiln_quantized x, w;
    int axis; /* of w, that of the result's channels */
};

/* Channels of x that a result adds up are axis 1 of the filters, with all axes behind it; and where the results' lie. `last`: channels of
 * planes will be last. */
static bool has_sums(const kiln_graph *g, const kiln_node *n, bool last, int *axis)
{
    const kiln_shape w = kiln_tensor_shape(g, n->in[1]);
    int64_t depth = 1;
    if (n->op == &kiln_op_conv && n->inputs == 2) {
        *axis = 0;
        for (int i = 1; i < w.rank; i++)
            depth *= w.size[i];
        const int groups = ((const kiln_conv_params *)n->params)->groups;
        const bool each = last && w.rank == 4 && w.size[1] == 1 && groups == w.size[0];
        last &= w.rank == 4 && groups == 1;
        return ((last ? depth : w.size[1]) >= LEAST_DEPTH || each) && depth <= MOST_DEPTH;
    }
    if (n->op != &kiln_op_matmul || w.rank != 2 || kiln_tensor_shape(g, n->in[0]).rank < 2)
        return false;
    *axis = !((const kiln_matmul_params *)n->params)->transpose_b;
    depth = w.size[1 - *axis];
    return depth >= LEAST_DEPTH && depth <= MOST_DEPTH;
}

static bool find_product(const kiln_graph *g, const bool *settled, const int *node_of, const kiln_node *n,
                         bool last, struct product *p)
{
    if ((n->op != &kiln_op_conv && n->op != &kiln_op_matmul) || !has_sums(g, n, last, &p->axis) ||
        !find_quantized(g, n->in[0], &p->x) || !find_quantized(g, n->in[1], &p->w))
        return false;
    const kiln_shape zero = p->w.zero.id ? kiln_tensor_shape(g, p->w.zero) : KILN_SCALAR;
    return settled[node_of[p->w.values.id]] && !settled[node_of[p->x.values.id]] &&
           kiln_is_one_element(g, p->x.scale) && (!p->x.zero.id || kiln_is_one_element(g, p->x.zero)) &&
           is_along(g, p->w.scale, n->in[1], p->axis) &&
           (!p->w.zero.id || kiln_is_one_element(g, p->w.zero) || zero.rank == 1);
}

static kiln_tensor mapped(const struct kiln_rewrite *r, kiln_tensor t)
{
    return t.id ? r->map[t.id] : KILN_NONE;
}

static kiln_tensor multiply(struct kiln_rewrite *r, const kiln_node *n, const struct product *p)
{
    kiln_graph *g = r->to;
    const kiln_tensor x = mapped(r, p->x.values), w = mapped(r, p->w.values);
    const kiln_tensor zx = mapped(r, p->x.zero), zw = mapped(r, p->w.zero);
    const bool conv = n->op == &kiln_op_conv;
    const kiln_tensor sum = conv ? kiln_conv_integer(g, x, w, zx, zw, n->params)
                                 : kiln_matmul_integer(g, x, w, zx, zw, n->params);
    kiln_tensor scale = mapped(r, p->w.scale);
    if (!sum.id)
        return KILN_NONE;
    if (!kiln_is_one_element(g, scale)) {
        kiln_shape shape = {.rank = conv ? kiln_tensor_shape(g, sum).rank - 1 : 1};
        for (int i = 0; i < shape.rank; i++)
            shape.size[i] = 1;
        shape.size[0] = kiln_tensor_shape(g, w).size[p->axis];
        scale = kiln_reshape(g, scale, shape);
    }
    const kiln_tensor by = kiln_mul(g, mapped(r, p->x.scale), scale);
    return kiln_mul(g, kiln_cast(g, sum, KILN_F32), by);
}

/* The product of integers, scaled, in the place of n and by its name. */
static kiln_status emit(struct kiln_rewrite *r, const kiln_node *n, const struct product *p)
{
    if (n->name)
        kiln_scope_open(r->to, n->name);
    r->map[n->out[0].id] = multiply(r, n, p);
    if (n->name)
        kiln_scope_close(r->to);
    return r->to->status;
}

bool kiln_has_bytes(const kiln_graph *g)
{
    for (int i = 0; i < g->value.count; i++)
        if (kiln_is_byte(g->value.data[i].spec.type))
            return true;
    return false;
}

kiln_status kiln_multiply_integers(struct kiln_rewrite *r, kiln_tensor *run, int run_count, bool last)
{
    const kiln_graph *g = r->from;
    bool *settled = kiln_settled(g);
    int *node_of = calloc((size_t)g->value.count + 1, sizeof *node_of);
    kiln_status status =
        settled && node_of ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");

    for (int i = 0; i < g->node.count && !status; i++) {
        const kiln_node *n = g->node.data[i];
        struct product p;
        for (int k = 0; k < n->outputs; k++)
            node_of[n->out[k].id] = i;
        if (find_product(g, settled, node_of, n, last, &p))
            status = emit(r, n, &p);
        else if (!kiln_rewrite_copy(r, n))
            status = r->to->status;
        kiln_rewrite_bind(r, n);
    }
    for (int i = 0; i < run_count && !status; i++)
        run[i] = r->map[run[i].id];
    free(settled);
    free(node_of);
    return status;
}
