/*
 * layout.c - the same elements in another shape or order: reshape and its kin, transpose, expand.
 *
 * The reshaping ones are aliases: no code runs. Their rules look at x's axes, not at sizes, so that they hold
 * for symbols.
 *
 * Lowering: src/ops/copy.c.   Tests: tests/ops/layout.c.
 */
#include <string.h>

#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/copy.h"
#include "ops/kernels.h"

static void back_to_x(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_reshape_to(g, dy[0], n->in[0]);
}

#define KILN_ALIAS(op)                                            \
    const kiln_op kiln_op_##op = {.name = #op,                    \
                                  .inputs = 1,                    \
                                  .outputs = 1,                   \
                                  .flags = KILN_OP_ALIAS,         \
                                  .infer = op##_infer,            \
                                  .beyond = kiln_beyond_of_shape, \
                                  .grad = back_to_x}

/* Reshape ------------------------------------------------------------------------------------------------ */

/* Sizes in params, without padding: equal params have equal bytes. */
struct sizes {
    int64_t rank, size[KILN_MAX_RANK];
};

static struct sizes sizes_of(const kiln_shape *shape)
{
    struct sizes s = {.rank = shape->rank};
    for (int i = 0; i < shape->rank && i < KILN_MAX_RANK; i++)
        s.size[i] = shape->size[i];
    return s;
}

static void map_sizes(void *params, int64_t (*map)(void *user, int64_t size), void *user)
{
    struct sizes *s = params;
    for (int i = 0; i < s->rank; i++)
        s->size[i] = map(user, s->size[i]);
}

static kiln_status check_rank(kiln_graph *g, const kiln_node *n, int64_t rank)
{
    if (rank >= 0 && rank <= KILN_MAX_RANK)
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "rank %lld, wanted 0 to %d", (long long)rank,
                          KILN_MAX_RANK);
}

/* Take a size off those that are left; equal sizes on both sides need no arithmetic, symbols or not. */
static bool cancel(kiln_shape *left, int64_t size)
{
    for (int i = 0; i < left->rank; i++)
        if (left->size[i] == size) {
            left->size[i] = 1;
            return true;
        }
    return false;
}

static kiln_status misfit(kiln_graph *g, const kiln_node *n, const kiln_shape *x, const kiln_shape *y)
{
    char from[96], to[96];
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x is %s, which does not fill %s",
                          kiln_graph_shape_text(g, x, from, sizeof from),
                          kiln_graph_shape_text(g, y, to, sizeof to));
}

static kiln_status reshape_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct sizes *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]);
    if (check_rank(g, n, p->rank))
        return KILN_ERROR_SHAPE;

    *out = (kiln_spec){x.type, {.rank = (int)p->rank}};
    kiln_shape left = x.shape;
    int64_t wanted = 1, *rest = NULL;
    for (int i = 0; i < p->rank; i++) {
        int64_t *size = &out->shape.size[i];
        *size = p->size[i];
        if (*size == KILN_REST) {
            if (rest)
                return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "KILN_REST stands for axes %d and %d",
                                      (int)(rest - out->shape.size), i);
            rest = size;
            continue;
        }
        if (*size == 0 && i >= x.shape.rank)
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "axis %d copies x's size, but x has rank %d", i,
                                  x.shape.rank);
        *size = *size ? *size : x.shape.size[i];
        wanted = cancel(&left, *size) ? wanted : kiln_dim_mul(g, wanted, *size);
    }

    if (!rest && kiln_shape_count(&x.shape) == 0 && kiln_shape_count(&out->shape) == 0)
        return KILN_OK; /* nothing fills nothing, whatever the other sizes are */
    const int64_t have = kiln_dim_product(g, left.size, left.rank);
    const bool known = have >= 0 && wanted >= 0;
    if (rest)
        *rest = 1;
    if (known && (rest ? !wanted || have % wanted : have != wanted))
        return misfit(g, n, &x.shape, &out->shape);
    if (rest)
        *rest = kiln_dim_div(g, have, wanted);
    return KILN_OK;
}

const kiln_op kiln_op_reshape = {
    .name = "reshape",
    .inputs = 1,
    .outputs = 1,
    .flags = KILN_OP_ALIAS,
    .infer = reshape_infer,
    .beyond = kiln_beyond_of_shape,
    .grad = back_to_x,
    .sizes = map_sizes,
};

kiln_tensor kiln_reshape(kiln_graph *g, kiln_tensor x, kiln_shape shape)
{
    const struct sizes p = sizes_of(&shape);
    const kiln_tensor y = kiln_append(g, &kiln_op_reshape, &x, 1, &p, sizeof p);
    return y.id && kiln_reshape_moves(g, y) ? kiln_reshape_counted(g, x, kiln_tensor_shape(g, y)) : y;
}

static kiln_status reshape_to_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]), like = kiln_tensor_spec(g, n->in[1]);
    const int64_t have = kiln_shape_count(&x.shape), wanted = kiln_shape_count(&like.shape);
    *out = (kiln_spec){x.type, like.shape};
    return have >= 0 && wanted >= 0 && have != wanted ? misfit(g, n, &x.shape, &like.shape) : KILN_OK;
}

const kiln_op kiln_op_reshape_to = {
    .name = "reshape_to",
    .inputs = 2,
    .outputs = 1,
    .shape_inputs = 1u << 1,
    .flags = KILN_OP_ALIAS,
    .infer = reshape_to_infer,
    .beyond = kiln_beyond_of_shape,
    .grad = back_to_x,
};

kiln_tensor kiln_reshape_to(kiln_graph *g, kiln_tensor x, kiln_tensor like)
{
    return kiln_append(g, &kiln_op_reshape_to, (const kiln_tensor[]){x, like}, 2, NULL, 0);
}

/* Axes joined, inserted, removed ------------------------------------------------------------------------- */

static kiln_status no_axis(kiln_graph *g, const kiln_node *n, int axis, int rank)
{
    return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "no axis %d in rank %d", axis, rank);
}

/* Between axes, so the place behind the last counts too. */
static kiln_status flatten_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]);
    const int given = *(const int *)n->params, rank = x.shape.rank;
    const int axis = given == rank ? rank : kiln_axis_of(given, rank);
    if (axis < 0)
        return no_axis(g, n, given, rank);
    const int64_t before = kiln_dim_product(g, x.shape.size, axis);
    *out = (kiln_spec){x.type, KILN_SHAPE(before, kiln_dim_product(g, x.shape.size + axis, rank - axis))};
    return KILN_OK;
}

static kiln_status unsqueeze_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    const int given = *(const int *)n->params, rank = out->shape.rank;
    const int axis = kiln_axis_of(given, rank + 1);
    if (check_rank(g, n, rank + 1))
        return KILN_ERROR_SHAPE;
    if (axis < 0)
        return no_axis(g, n, given, rank + 1);
    int64_t *at = out->shape.size + axis;
    memmove(at + 1, at, (size_t)(rank - axis) * sizeof *at);
    *at = 1;
    out->shape.rank++;
    return KILN_OK;
}

static kiln_status squeeze_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    const int given = *(const int *)n->params, rank = out->shape.rank;
    const int axis = kiln_axis_of(given, rank);
    char text[96];
    if (axis < 0)
        return no_axis(g, n, given, rank);
    int64_t *at = out->shape.size + axis;
    if (*at != 1)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "axis %d of x %s is longer than 1", axis,
                              kiln_graph_shape_text(g, &out->shape, text, sizeof text));
    memmove(at, at + 1, (size_t)(rank - axis - 1) * sizeof *at);
    out->shape.size[--out->shape.rank] = 0;
    return KILN_OK;
}

KILN_ALIAS(flatten);
KILN_ALIAS(unsqueeze);
KILN_ALIAS(squeeze);
#undef KILN_ALIAS

kiln_tensor kiln_flatten(kiln_graph *g, kiln_tensor x, int axis)
{
    return kiln_append(g, &kiln_op_flatten, &x, 1, &axis, sizeof axis);
}

kiln_tensor kiln_unsqueeze(kiln_graph *g, kiln_tensor x, int axis)
{
    return kiln_append(g, &kiln_op_unsqueeze, &x, 1, &axis, sizeof axis);
}

kiln_tensor kiln_squeeze(kiln_graph *g, kiln_tensor x, int axis)
{
    return kiln_append(g, &kiln_op_squeeze, &x, 1, &axis, sizeof axis);
}

/* Transpose ---------------------------------------------------------------------------------------------- */

struct order {
    int axis[KILN_MAX_RANK];
};

static kiln_status transpose_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct order *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]);
    unsigned seen = 0;
    *out = x;
    for (int i = 0; i < x.shape.rank; i++) {
        const int axis = kiln_axis_of(p->axis[i], x.shape.rank);
        if (axis < 0 || seen >> axis & 1)
            return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "order[%d] is %d: no order of %d axes", i,
                                  p->axis[i], x.shape.rank);
        seen |= 1u << axis;
        out->shape.size[i] = x.shape.size[axis];
    }
    return KILN_OK;
}

static void transpose_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct order *p = n->params;
    const int rank = kiln_tensor_spec(g, n->in[0]).shape.rank;
    int back[KILN_MAX_RANK];
    for (int i = 0; i < rank; i++)
        back[kiln_axis_of(p->axis[i], rank)] = i;
    dx[0] = kiln_transpose(g, dy[0], back);
}

static kiln_tensor transpose_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const struct order *p = n->params;
    const int rank = c->out.shape.rank;
    struct order all = {{0}};
    for (int i = 0; i < rank; i++)
        all.axis[i + 1] = kiln_axis_of(p->axis[i], rank) + 1;
    return rank < KILN_MAX_RANK ? kiln_cases_append(g, n, c, c->in, &all) : KILN_NONE;
}

void kiln_transpose_order(const kiln_node *n, int rank, int *order)
{
    const struct order *p = n->params;
    for (int i = 0; i < rank; i++)
        order[i] = kiln_axis_of(p->axis[i], rank);
}

static kiln_status transpose_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, y = kiln_plan_spec(plan, n->out[0]).shape;
    struct kiln_walk w = {.rank = y.rank};
    int64_t step[KILN_MAX_RANK];
    int order[KILN_MAX_RANK];
    kiln_transpose_order(n, y.rank, order);
    kiln_dense_steps(&x, step);
    kiln_dense_steps(&y, w.y_step);
    for (int i = 0; i < y.rank; i++) {
        w.size[i] = y.size[i];
        w.x_step[i] = step[order[i]];
    }
    return kiln_plan_walk(plan, n->in[0], n->out[0], &w);
}

const kiln_op kiln_op_transpose = {
    .name = "transpose",
    .fields = (const kiln_field[]){{"order", KILN_FIELD_INT, 0, KILN_MAX_RANK}, {0}},
    .inputs = 1,
    .outputs = 1,
    .infer = transpose_infer,
    .beyond = kiln_beyond_ignored,
    .grad = transpose_grad,
    .lowerings = (const kiln_lowering[]){{.name = "bytes",
                                          .accepts = kiln_turn_bytes_accepts,
                                          .lower = kiln_turn_bytes_lower},
                                         {.name = "copy", .lower = transpose_lower}},
    .lowering_count = 2,
    .cases = transpose_cases,
};

kiln_tensor kiln_transpose(kiln_graph *g, kiln_tensor x, const int *order)
{
    struct order p = {{0}};
    for (int i = 0; i < kiln_tensor_spec(g, x).shape.rank; i++)
        p.axis[i] = order[i];
    return kiln_append(g, &kiln_op_transpose, &x, 1, &p, sizeof p);
}

kiln_tensor kiln_move_axis(kiln_graph *g, kiln_tensor x, int from, int to)
{
    const int rank = kiln_tensor_shape(g, x).rank, source = kiln_axis_of(from, rank),
              target = kiln_axis_of(to, rank);
    int order[KILN_MAX_RANK];

    if (source < 0 || target < 0) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "move_axis: axis %d to %d of a value of rank %d", from, to,
                        rank);
        return KILN_NONE;
    }
    for (int i = 0, next = 0; i < rank; i++) {
        next += next == source;
        order[i] = i == target ? source : next++;
    }
    return source == target ? x : kiln_transpose(g, x, order);
}

/* Expand ------------------------------------------------------------------------------------------------- */

static kiln_status expand_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct sizes *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]);
    char from[96], to[96];
    if (check_rank(g, n, p->rank))
        return KILN_ERROR_SHAPE;
    const kiln_shape wanted = kiln_shape_of((int)p->rank, p->size);
    out->type = x.type;
    if (kiln_shape_broadcast(&x.shape, &wanted, &out->shape) && kiln_shape_equal(&out->shape, &wanted))
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x is %s, which does not broadcast to %s",
                          kiln_graph_shape_text(g, &x.shape, from, sizeof from),
                          kiln_graph_shape_text(g, &wanted, to, sizeof to));
}

static void expand_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_sum_to(g, dy[0], n->in[0]);
}

static kiln_status expand_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, y = kiln_plan_spec(plan, n->out[0]).shape;
    const int lead = y.rank - x.rank;
    struct kiln_walk w = {.rank = y.rank};
    int64_t step[KILN_MAX_RANK];
    kiln_dense_steps(&x, step);
    kiln_dense_steps(&y, w.y_step);
    for (int i = 0; i < y.rank; i++) {
        w.size[i] = y.size[i];
        w.x_step[i] = i < lead || x.size[i - lead] == 1 ? 0 : step[i - lead];
    }
    return kiln_plan_walk(plan, n->in[0], n->out[0], &w);
}

static const kiln_lowering expand_lowerings[] = {{.name = "copy", .lower = expand_lower}};

const kiln_op kiln_op_expand = {
    .name = "expand",
    .inputs = 1,
    .outputs = 1,
    .infer = expand_infer,
    .beyond = kiln_beyond_ignored,
    .grad = expand_grad,
    .lowerings = expand_lowerings,
    .lowering_count = 1,
    .sizes = map_sizes,
};

kiln_tensor kiln_expand(kiln_graph *g, kiln_tensor x, kiln_shape shape)
{
    const struct sizes p = sizes_of(&shape);
    return kiln_append(g, &kiln_op_expand, &x, 1, &p, sizeof p);
}
