/*
 * concat.c - values joined along an axis.
 *
 * Where the axis is the outermost one that is longer than 1, the inputs lie in y one behind the other, and
 * the compiler may let their producers write there (place). Else each input is one strided copy. The gradient
 * by input i takes the values before it as inputs of its own, because their sizes, known only while planning,
 * say where its part of dy begins.
 *
 * Lowering: src/ops/copy.c.   Tests: tests/ops/layout.c.
 */
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/copy.h"
#include "ops/kernels.h"
#include "ops/slices.h"

enum { MOST_INPUTS = 256 };

static kiln_status concat_misfit(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const kiln_spec x0 = kiln_tensor_spec(g, n->in[0]), x = kiln_tensor_spec(g, n->in[input]);
    char first[96], other[96];
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                          "along axis %d input %d, %s %s, does not fit input 0, %s %s", axis, input,
                          kiln_type_name(x.type), kiln_graph_shape_text(g, &x.shape, other, sizeof other),
                          kiln_type_name(x0.type), kiln_graph_shape_text(g, &x0.shape, first, sizeof first));
}

static kiln_status concat_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    const int given = *(const int *)n->params, axis = kiln_axis_of(given, out->shape.rank);
    if (axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "no axis %d in rank %d", given, out->shape.rank);
    for (int i = 1; i < n->inputs; i++) {
        kiln_spec x = kiln_tensor_spec(g, n->in[i]);
        if (x.type != out->type || x.shape.rank != out->shape.rank)
            return concat_misfit(g, n, i, axis);
        const int64_t joined = kiln_dim_add(g, out->shape.size[axis], x.shape.size[axis]);
        x.shape.size[axis] = out->shape.size[axis];
        if (!kiln_shape_equal(&x.shape, &out->shape))
            return concat_misfit(g, n, i, axis);
        out->shape.size[axis] = joined;
    }
    return KILN_OK;
}

static kiln_tensor concat_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const int axis = kiln_axis_of(*(const int *)n->params, c->out.shape.rank) + 1;
    for (int i = 0; i < n->inputs; i++)
        if (!c->stacked[i])
            return KILN_NONE;
    return kiln_cases_append(g, n, c, c->in, &axis);
}

static void concat_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    kiln_tensor in[MOST_INPUTS + 1] = {dy[0]};
    for (int i = 0; i < n->inputs; i++) {
        in[i + 1] = n->in[i];
        dx[i] = kiln_append(g, &kiln_op_concat_grad, in, i + 2, n->params, n->params_size);
    }
}

/* How far along the axis input i begins. */
static int64_t begin_of(const kiln_plan *plan, const kiln_tensor *in, int i, int axis)
{
    int64_t begin = 0;
    for (int k = 0; k < i; k++)
        begin += kiln_plan_spec(plan, in[k]).shape.size[axis];
    return begin;
}

static int axis_of(const kiln_plan *plan, const kiln_node *n)
{
    return kiln_axis_of(*(const int *)n->params, kiln_plan_spec(plan, n->out[0]).shape.rank);
}

static bool concat_place(const kiln_plan *plan, const kiln_node *n, int input, uint64_t *offset)
{
    const kiln_shape y = kiln_plan_spec(plan, n->out[0]).shape;
    const int axis = axis_of(plan, n);
    int64_t step[KILN_MAX_RANK];
    kiln_dense_steps(&y, step);
    for (int i = 0; i < axis; i++)
        if (y.size[i] != 1)
            return false;
    *offset =
        (uint64_t)(begin_of(plan, n->in, input, axis) * step[axis]) * kiln_plan_element(plan, n->out[0]);
    return true;
}

static kiln_status concat_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape y = kiln_plan_spec(plan, n->out[0]).shape;
    const int axis = axis_of(plan, n);
    kiln_status status = KILN_OK;
    for (int i = 0; i < n->inputs && !status; i++) {
        if (kiln_plan_placed(plan, n, i))
            continue;
        const int64_t begin = begin_of(plan, n->in, i, axis);
        if (kiln_join_bytes_accepts(plan, n->in[i], n->out[0])) {
            status = kiln_join_bytes_lower(plan, n->in[i], n->out[0], axis, begin);
            continue;
        }
        const kiln_shape x = kiln_plan_spec(plan, n->in[i]).shape;
        struct kiln_walk w = {.rank = y.rank};
        kiln_dense_steps(&x, w.x_step);
        kiln_dense_steps(&y, w.y_step);
        for (int k = 0; k < y.rank; k++)
            w.size[k] = x.size[k];
        w.y_start = begin * w.y_step[axis];
        status = kiln_plan_walk(plan, n->in[i], n->out[0], &w);
    }
    return status;
}

/* Sizes that depend on data ------------------------------------------------------------------------------ */

/*
 * Behind all others there may be elements that are not there. Elsewhere what comes next has to move up: the inputs are joined whole, and
 * element j of the result is read that many places further on as are missing from the inputs that end before it.
 */
static kiln_beyond concat_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const int along = kiln_axis_of(*(const int *)n->params, kiln_tensor_shape(g, n->in[0]).rank);
    return axis == along && input < n->inputs - 1 ? KILN_COUNTED : KILN_IGNORED;
}

/* x with all elements along the axis for which there is room, and how many these are. */
static kiln_tensor whole_of(kiln_graph *g, kiln_tensor x, int axis, kiln_tensor *room)
{
    while (kiln_dim_is_counted(g, kiln_tensor_shape(g, x).size[axis]))
        if (!(x = kiln_whole(g, x, axis, 0)).id)
            return KILN_NONE;
    *room = kiln_size_tensor(g, kiln_tensor_shape(g, x).size[axis]);
    return x;
}

/* x's slices at places that are known to be there. */
static kiln_tensor pick(kiln_graph *g, kiln_tensor x, kiln_tensor places, int axis)
{
    const struct kiln_naming_params p = {.axis = axis, .counted = true};
    return kiln_append(g, &kiln_op_gather, (const kiln_tensor[]){x, places}, 2, &p, sizeof p);
}

static kiln_tensor concat_counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    const int axis = kiln_axis_of(*(const int *)n->params, kiln_tensor_shape(g, in[0]).rank);
    kiln_tensor whole[MOST_INPUTS], room;
    int64_t size = kiln_tensor_shape(g, in[0]).size[axis];
    for (int i = 1; i < n->inputs; i++)
        size = kiln_dim_add(g, size, kiln_tensor_shape(g, in[i]).size[axis]);
    const kiln_tensor place = kiln_sequence(g, KILN_I32, 0, 1, size), zero = kiln_scalar(g, KILN_I32, 0);
    kiln_tensor from = place, end = zero, all = zero;
    for (int i = 0; i < n->inputs; i++) {
        const kiln_tensor there = kiln_size_tensor(g, kiln_tensor_shape(g, in[i]).size[axis]);
        whole[i] = whole_of(g, in[i], axis, &room);
        end = kiln_add(g, end, there);
        all = kiln_add(g, all, room);
        if (i < n->inputs - 1)
            from = kiln_add(g, from, kiln_where(g, kiln_less(g, place, end), zero, kiln_sub(g, room, there)));
    }
    from = kiln_min(g, from, kiln_sub(g, all, kiln_scalar(g, KILN_I32, 1)));
    return pick(g, kiln_append(g, &kiln_op_concat, whole, n->inputs, &axis, sizeof axis), from, axis);
}

const kiln_op kiln_op_concat = {
    .name = "concat",
    .fields = (const kiln_field[]){{"axis", KILN_FIELD_INT, 0, 1}, {0}},
    .inputs = 1,
    .outputs = 1,
    .infer = concat_infer,
    .beyond = concat_beyond,
    .counted = concat_counted,
    .grad = concat_grad,
    .lowerings = (const kiln_lowering[]){{.name = "copy", .lower = concat_lower}},
    .lowering_count = 1,
    .place = concat_place,
    .cases = concat_cases,
};

kiln_tensor kiln_concat(kiln_graph *g, const kiln_tensor *x, int count, int axis)
{
    if (count > MOST_INPUTS) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "concat: %d inputs, at most %d are allowed", count,
                        MOST_INPUTS);
        return KILN_NONE;
    }
    return kiln_append(g, &kiln_op_concat, x, count, &axis, sizeof axis);
}

/* Gradient: inputs {dy, x[0], .., x[i]}, output the part of dy that came from x[i]: a slice, once sizes are known */

static kiln_status part_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[n->inputs - 1]);
    return KILN_OK;
}

/* Where values before the part are counted, it begins where they end. */
static kiln_beyond part_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const int along = kiln_axis_of(*(const int *)n->params, kiln_tensor_shape(g, n->in[0]).rank);
    return axis == along && input > 0 && input < n->inputs - 1 ? KILN_COUNTED : KILN_IGNORED;
}

static kiln_tensor part_counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    const int axis = kiln_axis_of(*(const int *)n->params, kiln_tensor_shape(g, in[0]).rank);
    const kiln_tensor size = kiln_size_tensor(g, kiln_tensor_shape(g, in[0]).size[axis]);
    kiln_tensor from = kiln_positions(g, in[n->inputs - 1], axis);
    for (int i = 1; i < n->inputs - 1; i++)
        from = kiln_add(g, from, kiln_size_tensor(g, kiln_tensor_shape(g, in[i]).size[axis]));
    const kiln_tensor last =
        kiln_max(g, kiln_sub(g, size, kiln_scalar(g, KILN_I32, 1)), kiln_scalar(g, KILN_I32, 0));
    return pick(g, in[0], kiln_min(g, from, last), axis);
}

const kiln_op kiln_op_concat_grad = {
    .name = "concat_grad",
    .fields = (const kiln_field[]){{"axis", KILN_FIELD_INT, 0, 1}, {0}},
    .inputs = 2,
    .outputs = 1,
    .infer = part_infer,
    .beyond = part_beyond,
    .counted = part_counted,
};
