/*
 * counts.c - sizes that depend on data: an axis of such a size is planned with as many elements as its bound, and nothing may
 * see those beyond the count.
 *
 * Each operator says what it makes of them (kiln_op.beyond). What works element by element, or row by row, ignores them. What
 * mixes along the axis gets them filled with its neutral element: x becomes where(position < count, x, fill), elementwise work
 * that fuses with what is around it. A few operators are replaced altogether, as a mean, which is divided by the count. An
 * operator that says nothing is refused, before anything runs.
 *
 * Two rewrites, between the first simplification, which made all other sizes numbers, and the next: the replacements, which may
 * be made of operators that need a filling themselves; then the fillings, with sizes as their bounds.
 */
#include "base/log.h"
#include "compiler/plan.h"
#include "ops/chain.h"

#include <kiln/indexing.h>
#include <kiln/ops.h>

static kiln_beyond rule_of(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    if (n->op->beyond)
        return n->op->beyond(g, n, input, axis);
    const bool ignored = kiln_op_elementwise(n->op) || n->op->flags & KILN_OP_EFFECT;
    return (kiln_beyond){.kind = ignored ? KILN_BEYOND_IGNORED : KILN_BEYOND_REFUSED};
}

static kiln_status refuse(const kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const kiln_shape shape = kiln_tensor_shape(g, n->in[input]);
    char text[128];
    return kiln_fail(
        KILN_ERROR_UNSUPPORTED,
        "%s \"%s\": the size of axis %d of its input %d, %s, depends on data, and it cannot tell the "
        "elements that are there from those that are not",
        n->op->name, n->name ? n->name : "", axis, input,
        kiln_graph_shape_text(g, &shape, text, sizeof text));
}

/* The graph that is rewritten belongs to the plan; rules may ask it for sizes that it has no number for yet. */
static kiln_graph *source(const struct kiln_rewrite *r)
{
    return (kiln_graph *)(uintptr_t)r->from;
}

typedef kiln_status axis_fn(struct kiln_rewrite *r, const kiln_node *n, int input, int axis, kiln_tensor *in,
                            bool *replaced);

/* Call fn for every axis of n's inputs whose size depends on data. */
static kiln_status each_axis(struct kiln_rewrite *r, const kiln_node *n, axis_fn *fn, kiln_tensor *in,
                             bool *replaced)
{
    for (int i = 0; i < n->inputs; i++) {
        const kiln_shape shape = kiln_tensor_shape(r->from, n->in[i]);
        for (int axis = 0; axis < shape.rank; axis++) {
            if (!kiln_dim_is_counted(r->from, shape.size[axis]))
                continue;
            const kiln_status status = fn(r, n, i, axis, in, replaced);
            if (status)
                return status;
        }
    }
    return KILN_OK;
}

/* Every node by fn, which says whether it put something in its place; else it is copied. */
static kiln_status sweep(struct kiln_rewrite *r, axis_fn *fn, kiln_tensor *run, int run_count)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < r->from->node.count && !status; i++) {
        const kiln_node *n = r->from->node.data[i];
        bool replaced = false;
        kiln_tensor *in = kiln_arena_alloc(&r->to->arena, (size_t)(n->inputs ? n->inputs : 1) * sizeof *in);
        if (!in)
            return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
        for (int k = 0; k < n->inputs; k++)
            in[k] = n->in[k].id ? r->map[n->in[k].id] : KILN_NONE;
        status = each_axis(r, n, fn, in, &replaced);
        if (!status && !replaced && !kiln_rewrite_copy_with(r, n, in))
            status = r->to->status;
        kiln_rewrite_bind(r, n);
    }
    for (int i = 0; i < run_count && !status; i++)
        run[i] = r->map[run[i].id];
    return status ? status : r->to->status;
}

static kiln_status replace(struct kiln_rewrite *r, const kiln_node *n, int input, int axis, kiln_tensor *in,
                           bool *replaced)
{
    if (*replaced || !n->op->counted || rule_of(source(r), n, input, axis).kind != KILN_BEYOND_COUNTED)
        return KILN_OK;
    const kiln_tensor y = n->op->counted(r->to, n, in);
    for (int i = 0; i < n->outputs; i++)
        r->map[n->out[i].id] = i ? kiln_node_output(r->to, y, i) : y;
    *replaced = true;
    return r->to->status;
}

kiln_status kiln_replace_counted(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    return sweep(r, replace, run, run_count);
}

/* x where it is there, along the axis, else `fill`. */
static kiln_tensor filled(struct kiln_rewrite *r, kiln_tensor x, int axis, int64_t size, double fill)
{
    kiln_graph *g = r->to;
    const kiln_spec spec = kiln_tensor_spec(g, x);
    kiln_tensor position = kiln_positions(g, x, axis);
    for (int i = axis + 1; i < spec.shape.rank; i++)
        position = kiln_unsqueeze(g, position, -1);
    const kiln_tensor there = kiln_less(g, position, kiln_size_tensor(g, size));
    const kiln_tensor other = spec.type == KILN_BOOL ? kiln_cast(g, kiln_scalar(g, KILN_I32, fill), KILN_BOOL)
                                                     : kiln_scalar(g, spec.type, fill);
    return kiln_where(g, there, x, other);
}

static kiln_status fill(struct kiln_rewrite *r, const kiln_node *n, int input, int axis, kiln_tensor *in,
                        bool *replaced)
{
    (void)replaced;
    const kiln_beyond rule = rule_of(source(r), n, input, axis);
    if (rule.kind == KILN_BEYOND_REFUSED || rule.kind == KILN_BEYOND_COUNTED)
        return refuse(r->from, n, input, axis);
    if (rule.kind == KILN_BEYOND_FILLED)
        in[input] =
            filled(r, in[input], axis, kiln_tensor_shape(r->from, n->in[input]).size[axis], rule.fill);
    return r->to->status;
}

kiln_status kiln_fill_beyond_counts(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    return sweep(r, fill, run, run_count);
}
