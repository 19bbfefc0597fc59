/*
 * channels.c - convolutions of bytes with channels last, [N, H, W, C], and what stands between them.
 *
 * There a position's channels are the terms of a sum as they lie, and no operand is packed but the filters. conv_integer over two axes
 * becomes conv_integer_last; what is computed element by element from such values, the largest byte of windows and means over whole
 * pictures keep that order. Bytes are what changes places where anything else reads a value: reals that are dequantized are so in
 * either order, and whichever nothing wants is dropped by simplification. Graphs with loops or branches stay as they are: a value turned
 * there is not there elsewhere.
 */
#include <stdlib.h>

#include <kiln/elementwise.h>
#include <kiln/ops.h>
#include <kiln/reduce.h>

#include "base/log.h"
#include "compiler/plan.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/kernels.h"
#include "ops/pool.h"
#include "ops/quantize.h"

enum { MOST_PARTS = 8 };

/* Values with channels last that are one when they are joined along these. */
struct parts {
    kiln_tensor at[MOST_PARTS];
    int count;
};

struct turning {
    uint64_t most;          /* bytes that may be bound whole: there are no cuts */
    struct kiln_rewrite *r; /* its map: values as they were; KILN_NONE: not made yet */
    kiln_tensor *last;      /* by the id in `from`: with channels last; KILN_NONE: not made yet */
    struct parts *parts;    /* likewise; of none: not in parts */
};

/* Values in both orders ----------------------------------------------------------------------------------- */

/* Pictures of single points lie alike. */
static kiln_tensor turn(kiln_graph *g, kiln_tensor t, bool to_last)
{
    static const int orders[2][4] = {{0, 3, 1, 2}, {0, 2, 3, 1}};
    const kiln_shape s = kiln_tensor_shape(g, t);
    const int *order = orders[to_last];
    if (s.size[to_last ? 2 : 1] != 1 || s.size[to_last ? 3 : 2] != 1)
        return kiln_transpose(g, t, order);
    return kiln_reshape(g, t,
                        KILN_SHAPE(s.size[order[0]], s.size[order[1]], s.size[order[2]], s.size[order[3]]));
}

static bool is_made(const struct turning *t, kiln_tensor x)
{
    return t->r->map[x.id].id;
}

static kiln_tensor join(kiln_graph *g, const struct parts *parts)
{
    const int axis = 3;
    return kiln_append(g, &kiln_op_concat, parts->at, parts->count, &axis, sizeof axis);
}

static kiln_tensor last(struct turning *t, kiln_tensor x)
{
    if (!t->last[x.id].id)
        t->last[x.id] =
            t->parts[x.id].count ? join(t->r->to, &t->parts[x.id]) : turn(t->r->to, t->r->map[x.id], true);
    return t->last[x.id];
}

/* A value as it was. */
static kiln_tensor plain(struct turning *t, kiln_tensor x)
{
    if (x.id && !is_made(t, x))
        t->r->map[x.id] = turn(t->r->to, last(t, x), false);
    return x.id ? t->r->map[x.id] : KILN_NONE;
}

/* n's result with channels last; bytes change places here, which are the least. */
static void give(struct turning *t, const kiln_node *n, kiln_tensor y)
{
    t->last[n->out[0].id] = y;
    if (y.id && kiln_is_byte(kiln_tensor_type(t->r->to, y)))
        t->r->map[n->out[0].id] = turn(t->r->to, y, false);
}

/* Nodes --------------------------------------------------------------------------------------------------- */

/* Whether a convolution's operands can be bound whole: results may be words, filters fill panels. */
static bool binds_whole(const kiln_shape *x, const kiln_shape *w, const kiln_shape *y, uint64_t most)
{
    const uint64_t filters = (uint64_t)w->size[0],
                   packed = (filters + 32) * ((uint64_t)kiln_shape_count(w) / filters + 8);
    return (uint64_t)kiln_shape_count(x) <= most && sizeof(int32_t) * packed <= most &&
           sizeof(int32_t) * (uint64_t)kiln_shape_count(y) <= most;
}

static bool turns_convolution(const struct turning *t, const kiln_node *n)
{
    const kiln_graph *g = t->r->from;
    if (n->op != &kiln_op_conv_integer || kiln_tensor_shape(g, n->out[0]).rank != 4)
        return false;
    const kiln_shape x = kiln_tensor_shape(g, n->in[0]), w = kiln_tensor_shape(g, n->in[1]),
                     y = kiln_tensor_shape(g, n->out[0]);
    if (kiln_shape_count(&x) == 0 || kiln_shape_count(&w) == 0 || !binds_whole(&x, &w, &y, t->most))
        return false;
    const int groups = ((const kiln_conv_params *)n->params)->groups;
    return groups == 1 || (groups == w.size[0] && w.size[1] == 1); /* as conv_integer_last takes them */
}

static void emit_convolution(struct turning *t, const kiln_node *n)
{
    const kiln_tensor in[] = {last(t, n->in[0]), plain(t, n->in[1]), plain(t, kiln_optional_input(n, 2)),
                              plain(t, kiln_optional_input(n, 3))};
    give(t, n, kiln_append(t->r->to, &kiln_op_conv_integer_last, in, 4, n->params, n->params_size));
}

/* Whether an operand of y, of its rank or less, is the same for all positions of a picture. */
static bool is_of_points(const kiln_shape *s, const kiln_shape *y)
{
    for (int i = 2; i < 4; i++)
        if (s->rank >= 4 - i && s->size[s->rank - 4 + i] != 1)
            return false;
    return s->rank <= y->rank;
}

static bool turns_elementwise(const struct turning *t, const kiln_node *n)
{
    const kiln_graph *g = t->r->from;
    const kiln_shape y = kiln_tensor_shape(g, n->out[0]);
    bool any = false;
    for (int k = 0; k < n->inputs; k++) {
        const kiln_shape x = kiln_tensor_shape(g, n->in[k]);
        const bool whole = kiln_shape_equal(&x, &y);
        if (!n->in[k].id || (whole && !t->last[n->in[k].id].id) || (!whole && !is_of_points(&x, &y)))
            return false;
        any |= whole;
    }
    return any && y.rank == 4 && kiln_op_elementwise(n->op);
}

/* An operand that is the same for all positions. */
static kiln_tensor of_points(struct turning *t, kiln_tensor x)
{
    const kiln_tensor p = plain(t, x);
    const kiln_shape s = kiln_tensor_shape(t->r->to, p);
    if (kiln_shape_count(&s) == 1)
        return p;
    return kiln_reshape(t->r->to, p, KILN_SHAPE(s.rank == 4 ? s.size[0] : 1, 1, 1, s.size[s.rank - 3]));
}

/* Whether all that n reads is made with channels second; then so is its result, which nothing may want. */
static kiln_status emit_second(struct turning *t, const kiln_node *n)
{
    bool all = true;
    for (int k = 0; k < n->inputs; k++)
        all &= is_made(t, n->in[k]);
    return !all || kiln_rewrite_copy(t->r, n) ? KILN_OK : t->r->to->status;
}

static kiln_status emit_elementwise(struct turning *t, const kiln_node *n)
{
    const kiln_shape y = kiln_tensor_shape(t->r->from, n->out[0]);
    kiln_tensor in[KILN_CHAIN_OPERANDS];
    for (int k = 0; k < n->inputs; k++) {
        const kiln_shape x = kiln_tensor_shape(t->r->from, n->in[k]);
        in[k] = kiln_shape_equal(&x, &y) ? t->last[n->in[k].id] : of_points(t, n->in[k]);
    }
    const kiln_status status = emit_second(t, n);
    give(t, n, kiln_append(t->r->to, n->op, in, n->inputs, n->params, n->params_size));
    return status;
}

static bool turns_concat(const struct turning *t, const kiln_node *n)
{
    if (n->op != &kiln_op_concat || n->inputs > MOST_PARTS ||
        kiln_tensor_shape(t->r->from, n->out[0]).rank != 4 || kiln_axis_of(*(const int *)n->params, 4) != 1)
        return false;
    for (int k = 0; k < n->inputs; k++)
        if (!t->last[n->in[k].id].id)
            return false;
    return true;
}

static kiln_status emit_concat(struct turning *t, const kiln_node *n)
{
    struct parts *parts = &t->parts[n->out[0].id];
    for (int k = 0; k < n->inputs; k++)
        parts->at[parts->count++] = t->last[n->in[k].id];
    return emit_second(t, n);
}

/* What is computed of a value in parts and of numbers is computed of each part: bytes are joined, not the reals that become these. */
static const struct parts *parts_of(const struct turning *t, const kiln_node *n)
{
    const kiln_graph *g = t->r->from;
    const kiln_shape y = kiln_tensor_shape(g, n->out[0]);
    const struct parts *parts = NULL;
    for (int k = 0; k < n->inputs; k++) {
        const kiln_shape x = kiln_tensor_shape(g, n->in[k]);
        if (!n->in[k].id || kiln_is_one_element(g, n->in[k]))
            continue;
        if (parts || !kiln_shape_equal(&x, &y) || !t->parts[n->in[k].id].count)
            return NULL;
        parts = &t->parts[n->in[k].id];
    }
    return kiln_op_elementwise(n->op) ? parts : NULL;
}

static kiln_status emit_parts(struct turning *t, const kiln_node *n, const struct parts *of)
{
    kiln_tensor in[KILN_CHAIN_OPERANDS];
    struct parts parts = {.count = of->count};
    const kiln_status status = emit_second(t, n);
    for (int i = 0; i < of->count && !status; i++) {
        for (int k = 0; k < n->inputs; k++)
            in[k] = t->parts[n->in[k].id].count ? of->at[i] : plain(t, n->in[k]);
        parts.at[i] = kiln_append(t->r->to, n->op, in, n->inputs, n->params, n->params_size);
    }
    if (kiln_is_byte(kiln_tensor_type(t->r->from, n->out[0])))
        give(t, n, join(t->r->to, &parts));
    else
        t->parts[n->out[0].id] = parts;
    return status;
}

/* A constant of one element that is above 0. */
static bool is_positive(const kiln_graph *g, kiln_tensor t)
{
    double number;
    bool integer;
    return kiln_constant_number(kiln_graph_node(g, t), &number, &integer) && number > 0;
}

/* The bytes, turned already, of which x is made so that larger ones become larger, as where they are dequantized; KILN_NONE: it is not so. */
static kiln_tensor rising_bytes(const struct turning *t, kiln_tensor x)
{
    const kiln_graph *g = t->r->from;
    while (!kiln_is_byte(kiln_tensor_type(g, x))) {
        const kiln_node *n = kiln_graph_node(g, x);
        const bool rises = n->op == &kiln_op_cast_real || n->op == &kiln_op_cast_integer ||
                           (n->op == &kiln_op_sub && kiln_is_one_element(g, n->in[1])) ||
                           (n->op == &kiln_op_mul && is_positive(g, n->in[1]));
        if (!rises || n->inputs == 0)
            return KILN_NONE;
        x = n->in[0];
    }
    return t->last[x.id].id ? x : KILN_NONE;
}

/* The same of other bytes. */
static kiln_tensor rise(struct turning *t, kiln_tensor x, kiln_tensor from, kiln_tensor bytes)
{
    if (x.id == from.id)
        return bytes;
    const kiln_node *n = kiln_graph_node(t->r->from, x);
    const kiln_tensor in[] = {rise(t, n->in[0], from, bytes), n->inputs > 1 ? plain(t, n->in[1]) : KILN_NONE};
    return kiln_append(t->r->to, n->op, in, n->inputs, n->params, n->params_size);
}

/* The largest of what bytes stand for is what the largest byte stands for. Each window holds one. */
static bool turns_pool(const struct turning *t, const kiln_node *n)
{
    const struct kiln_pool *p = n->params;
    return n->op == &kiln_op_pool && kiln_tensor_shape(t->r->from, n->in[0]).rank == 4 &&
           p->mode == KILN_POOL_MAX && !p->adaptive && p->dilation[0] == 1 && p->dilation[1] == 1 &&
           rising_bytes(t, n->in[0]).id;
}

static void emit_pool(struct turning *t, const kiln_node *n)
{
    const kiln_tensor from = rising_bytes(t, n->in[0]);
    const kiln_tensor y =
        kiln_append(t->r->to, &kiln_op_pool_last, &t->last[from.id], 1, n->params, n->params_size);
    t->r->map[n->out[0].id] = rise(t, n->in[0], from, turn(t->r->to, y, false));
    t->last[n->out[0].id] = rise(t, n->in[0], from, y);
}

static bool turns_mean(const struct turning *t, const kiln_node *n)
{
    const kiln_graph *g = t->r->from;
    const kiln_shape x = kiln_tensor_shape(g, n->in[0]), y = kiln_tensor_shape(g, n->out[0]);
    return n->op == &kiln_op_mean && t->last[n->in[0].id].id && x.rank == 4 && y.rank == 4 &&
           y.size[1] == x.size[1] && y.size[0] == x.size[0] && y.size[2] == 1 && y.size[3] == 1 &&
           kiln_shape_count(&y) > 1;
}

static void emit_mean(struct turning *t, const kiln_node *n)
{
    const kiln_reduce_params points = {.axes = {.count = 2, .axis = {1, 2}}, .keep = true};
    t->last[n->out[0].id] = kiln_mean(t->r->to, t->last[n->in[0].id], &points);
}

/* As it was, of operands as they were. */
static kiln_status emit_plain(struct turning *t, const kiln_node *n)
{
    for (int k = 0; k < n->inputs; k++)
        plain(t, n->in[k]);
    return kiln_rewrite_copy(t->r, n) ? KILN_OK : t->r->to->status;
}

static kiln_status emit(struct turning *t, const kiln_node *n)
{
    const bool convolution = turns_convolution(t, n);
    const struct parts *parts = parts_of(t, n);
    kiln_status status = KILN_OK;
    t->r->to->pass = n->pass;
    if (n->name)
        kiln_scope_open(t->r->to, n->name);
    if (convolution)
        emit_convolution(t, n);
    else if (turns_pool(t, n))
        emit_pool(t, n);
    else if (turns_mean(t, n))
        emit_mean(t, n);
    else if (turns_concat(t, n))
        status = emit_concat(t, n);
    else if (turns_elementwise(t, n))
        status = emit_elementwise(t, n);
    else if (parts)
        status = emit_parts(t, n, parts);
    else
        status = emit_plain(t, n);
    if (n->name)
        kiln_scope_close(t->r->to);
    kiln_rewrite_bind(t->r, n);
    return status ? status : t->r->to->status;
}

/* The pass ------------------------------------------------------------------------------------------------ */

static bool pays(const struct turning *t)
{
    const kiln_graph *g = t->r->from;
    bool any = false;
    for (int i = 0; i < g->node.count; i++)
        any |= turns_convolution(t, g->node.data[i]);
    return any;
}

kiln_status kiln_turn_channels(struct kiln_rewrite *r, kiln_tensor *run, int run_count,
                               const struct kiln_caps *caps)
{
    const size_t values = (size_t)r->from->value.count + 1;
    struct turning t = {.most = caps->max_binding,
                        .r = r,
                        .last = calloc(values, sizeof *t.last),
                        .parts = calloc(values, sizeof *t.parts)};
    kiln_status status =
        t.last && t.parts ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    const bool any = !status && pays(&t);
    for (int i = 0; i < r->from->node.count && !status; i++)
        status = any ? emit(&t, r->from->node.data[i]) : emit_plain(&t, r->from->node.data[i]);
    for (int i = 0; i < run_count && !status; i++)
        run[i] = plain(&t, run[i]);
    free(t.last);
    free(t.parts);
    return status;
}
