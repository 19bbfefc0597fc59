/*
 * follow.c - operators that follow another value's shape: what gradients are made of where sizes are symbols.
 *
 * The value that is followed is an input of which only the shape counts: no lowering reads it.
 *
 * Lowering: by reductions, chains and fills.   Tests: tests/ops/follow.c.
 */
#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/kernels.h"
#include "ops/lower.h"
#include "ops/narrow.h"

static bool same_shape(const kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    const kiln_shape x = kiln_tensor_shape(g, a), y = kiln_tensor_shape(g, b);
    return kiln_shape_equal(&x, &y);
}

static kiln_status misfit(kiln_graph *g, const kiln_node *n, const char *verb)
{
    const kiln_shape x = kiln_tensor_shape(g, n->in[0]), like = kiln_tensor_shape(g, n->in[1]);
    char a[96], b[96];
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%s does not %s %s",
                          kiln_graph_shape_text(g, &x, a, sizeof a), verb,
                          kiln_graph_shape_text(g, &like, b, sizeof b));
}

/* Whether `small` broadcasts to `large`. A known size may meet a symbol only where it is 1. */
static bool fits(const kiln_graph *g, kiln_tensor small, kiln_tensor large)
{
    const kiln_shape from = kiln_tensor_shape(g, small), to = kiln_tensor_shape(g, large);
    kiln_shape both;
    return kiln_shape_broadcast(&from, &to, &both) && kiln_shape_equal(&both, &to);
}

/* The type of x under the shape of `like`. */
static kiln_spec like_spec(const kiln_graph *g, const kiln_node *n)
{
    return (kiln_spec){kiln_tensor_type(g, n->in[0]), kiln_tensor_shape(g, n->in[1])};
}

static kiln_tensor pair(kiln_graph *g, const kiln_op *op, kiln_tensor x, kiln_tensor like)
{
    if (!x.id || !like.id || same_shape(g, x, like))
        return like.id ? x : KILN_NONE;
    return kiln_append(g, op, (const kiln_tensor[]){x, like}, 2, NULL, 0);
}

/* sum_to ------------------------------------------------------------------------------------------------- */

static kiln_status sum_to_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = like_spec(g, n);
    return fits(g, n->in[1], n->in[0]) ? KILN_OK : misfit(g, n, "sum to");
}

static void sum_to_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_expand_to(g, dy[0], n->in[0]);
}

static kiln_status sum_to_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, like = kiln_plan_spec(plan, n->out[0]).shape;
    uint32_t axes = 0;
    for (int i = 0; i < x.rank; i++) {
        const int at = i - (x.rank - like.rank);
        axes |= (uint32_t)(at < 0 || (like.size[at] == 1 && x.size[i] != 1)) << i;
    }
    if (kiln_shape_count(&like) == 0)
        return KILN_OK;
    if (kiln_shape_count(&x) == 0)
        return kiln_lower_constant(plan, n->out[0], 0);
    const bool alike = kiln_plan_element(plan, n->in[0]) == kiln_plan_element(plan, n->out[0]);
    if (kiln_shape_count(&x) == kiln_shape_count(&like) && alike)
        return kiln_plan_copy(plan, (kiln_binding){.value = n->in[0]}, (kiln_binding){.value = n->out[0]});
    return kiln_lower_sum(plan, n->in[0], &x, axes, n->out[0]);
}

/* The cases' axis stays in front while those behind it are summed; axes that are gone are 1 until then. */
static kiln_tensor sum_to_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const int rank = kiln_tensor_shape(g, c->in[0]).rank - 1;
    kiln_cases wide = *c;
    const int more = rank - c->out.shape.rank;
    for (int i = 0; i < rank; i++)
        wide.out.shape.size[i] = i < more ? 1 : c->out.shape.size[i - more];
    wide.out.shape.rank = rank;
    kiln_tensor y = c->stacked[0]
                        ? kiln_cases_append(g, n, &wide, (const kiln_tensor[]){c->in[0], KILN_NONE}, NULL)
                        : KILN_NONE;
    for (int i = 0; i < more && y.id; i++)
        y = kiln_squeeze(g, y, 1);
    return y;
}

/* All axes in front of the result's are summed anyway. */
static kiln_tensor sum_to_sum(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const kiln_node *sum = c->stacked[0]
                               ? kiln_graph_add(g, n->op, (const kiln_tensor[]){c->in[0], KILN_NONE}, 2, NULL,
                                                0, &c->out, 1, NULL)
                               : NULL;
    return sum ? sum->out[0] : KILN_NONE;
}

/* Where axes are summed up, nothing adds nothing. */
static kiln_beyond sum_to_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const kiln_shape x = kiln_tensor_shape(g, n->in[0]), y = kiln_tensor_shape(g, n->out[0]);
    const int at = axis - (x.rank - y.rank);
    return input == 0 && (at < 0 || y.size[at] != x.size[axis]) ? KILN_FILLED(0) : KILN_IGNORED;
}

const kiln_op kiln_op_sum_to = {
    .name = "sum_to",
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_FOLLOWS,
    .shape_inputs = 1 << 1,
    .infer = sum_to_infer,
    .grad = sum_to_grad,
    .beyond = sum_to_beyond,
    .lowerings = (const kiln_lowering[]){{.name = "reduce", .lower = sum_to_lower}},
    .lowering_count = 1,
    .cases = sum_to_cases,
    .sum_cases = sum_to_sum,
};

/* Sums of narrow integers are those of words, wrapped. */
kiln_tensor kiln_sum_to(kiln_graph *g, kiln_tensor x, kiln_tensor like)
{
    const kiln_type type = x.id ? kiln_tensor_type(g, x) : KILN_F32;
    if (!kiln_is_narrow(type))
        return pair(g, &kiln_op_sum_to, x, like);
    return kiln_cast(g, pair(g, &kiln_op_sum_to, kiln_cast(g, x, KILN_I32), like), type);
}

/* expand_to ---------------------------------------------------------------------------------------------- */

static kiln_status expand_to_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = like_spec(g, n);
    return fits(g, n->in[0], n->in[1]) ? KILN_OK : misfit(g, n, "expand to");
}

static void expand_to_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_sum_to(g, dy[0], n->in[0]);
}

static kiln_tensor expand_to_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    if (!c->stacked[0])
        return KILN_NONE;
    const kiln_tensor x = kiln_cases_widen(g, c->in[0], c->out.shape.rank);
    return kiln_cases_append(g, n, c, (const kiln_tensor[]){x, KILN_NONE}, NULL);
}

static kiln_status expand_to_lower(kiln_plan *plan, const kiln_node *n)
{
    return kiln_lower_expand(plan, n->in[0], n->out[0]);
}

const kiln_op kiln_op_expand_to = {
    .name = "expand_to",
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_FOLLOWS,
    .shape_inputs = 1 << 1,
    .infer = expand_to_infer,
    .grad = expand_to_grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "chain", .lower = expand_to_lower}},
    .lowering_count = 1,
    .cases = expand_to_cases,
};

kiln_tensor kiln_expand_to(kiln_graph *g, kiln_tensor x, kiln_tensor like)
{
    return pair(g, &kiln_op_expand_to, x, like);
}

/* count_of ----------------------------------------------------------------------------------------------- */

/* params is the mask of axes. */
static kiln_status count_of_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const int rank = kiln_tensor_shape(g, n->in[0]).rank;
    *out = (kiln_spec){KILN_F32, KILN_SCALAR};
    if (*(const uint32_t *)n->params >> rank)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "an axis is out of range, x has rank %d", rank);
    return KILN_OK;
}

static void no_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
}

static kiln_status count_of_fold(const kiln_graph *g, const kiln_node *n, const kiln_array *in,
                                 kiln_array *out)
{
    (void)g;
    const uint32_t axes = *(const uint32_t *)n->params;
    double product = 1;
    for (int i = 0; i < in[0].shape.rank; i++)
        if (axes >> i & 1)
            product *= (double)in[0].shape.size[i];
    *(double *)out->data = product;
    return KILN_OK;
}

static kiln_beyond count_of_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)input;
    return *(const uint32_t *)n->params >> axis & 1 ? KILN_COUNTED : KILN_IGNORED;
}

/* The product of those that are there. */
static kiln_tensor count_of_counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    const kiln_shape shape = kiln_tensor_shape(g, in[0]);
    return kiln_count_tensor(g, &shape, *(const uint32_t *)n->params);
}

/* Once sizes are known it is a constant, but for those that depend on data. */
const kiln_op kiln_op_count_of = {
    .name = "count_of",
    .inputs = 1,
    .outputs = 1,
    .shape_inputs = 1 << 0,
    .infer = count_of_infer,
    .grad = no_grad,
    .beyond = count_of_beyond,
    .counted = count_of_counted,
    .fold = count_of_fold,
    .fields = (const kiln_field[]){{"axes", KILN_FIELD_UINT, 0, 1}, {0}}, /* bit i: axis i */
};

kiln_tensor kiln_count_of(kiln_graph *g, kiln_tensor x, kiln_axes axes)
{
    if (!x.id)
        return KILN_NONE;
    const uint32_t mask = kiln_axes_mask(&axes, kiln_tensor_shape(g, x).rank);
    return kiln_append(g, &kiln_op_count_of, &x, 1, &mask, sizeof mask);
}

/* zeros_like, ones_like ---------------------------------------------------------------------------------- */

static kiln_status same_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static kiln_status zeros_lower(kiln_plan *plan, const kiln_node *n)
{
    return kiln_plan_fill(plan, (kiln_binding){.value = n->out[0]}, 0);
}

static kiln_status ones_lower(kiln_plan *plan, const kiln_node *n)
{
    return kiln_lower_constant(plan, n->out[0], 1);
}

static void fill(kiln_array *out, int value)
{
    const int64_t count = kiln_shape_count(&out->shape);
    for (int64_t i = 0; i < count; i++) {
        if (out->type == KILN_F64)
            ((double *)out->data)[i] = value;
        else
            ((int64_t *)out->data)[i] = value;
    }
}

static kiln_status zeros_fold(const kiln_graph *g, const kiln_node *n, const kiln_array *in, kiln_array *out)
{
    (void)g, (void)n, (void)in;
    fill(out, 0);
    return KILN_OK;
}

static kiln_status ones_fold(const kiln_graph *g, const kiln_node *n, const kiln_array *in, kiln_array *out)
{
    (void)g, (void)n, (void)in;
    fill(out, 1);
    return KILN_OK;
}

const kiln_op kiln_op_zeros_like = {
    .name = "zeros_like",
    .inputs = 1,
    .outputs = 1,
    .shape_inputs = 1 << 0,
    .infer = same_infer,
    .grad = no_grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "fill", .lower = zeros_lower}},
    .lowering_count = 1,
    .fold = zeros_fold,
};

const kiln_op kiln_op_ones_like = {
    .name = "ones_like",
    .inputs = 1,
    .outputs = 1,
    .shape_inputs = 1 << 0,
    .infer = same_infer,
    .grad = no_grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "constant", .lower = ones_lower}},
    .lowering_count = 1,
    .fold = ones_fold,
};

kiln_tensor kiln_zeros_like(kiln_graph *g, kiln_tensor x)
{
    return x.id ? kiln_append(g, &kiln_op_zeros_like, &x, 1, NULL, 0) : KILN_NONE;
}

kiln_tensor kiln_ones_like(kiln_graph *g, kiln_tensor x)
{
    return x.id ? kiln_append(g, &kiln_op_ones_like, &x, 1, NULL, 0) : KILN_NONE;
}
