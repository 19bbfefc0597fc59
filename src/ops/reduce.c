/*
 * reduce.c - sums, products, norms, extremes and their places, over any axes.
 *
 * One kernel does all of them, by a code (shaders/reduce/codes.h); reduce_lower.c says how axes and long rows become dispatches.
 *
 * The gradient of max and min goes to the first of equals: an operator of the same kernel finds its place, another puts dy
 * there. "First" follows from reducing the last group of axes first, so several groups become several nodes there.
 *
 * The kernels: src/ops/reduce_kernel.c, shaders/reduce/, src/cpu/reduce.c, src/cpu/reduce_fast.c.   Tests: tests/ops/reduce.c.
 */
#include "reduce/reduce.h"

#include <math.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/kernels.h"
#include "ops/lower.h"
#include "ops/narrow.h"
#include "reduce/codes.h"
#include "reduce/place.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

struct reduce_params {
    uint32_t axes; /* bit i: axis i */
    uint32_t keep;
};

/* What a reduction takes, by its kernel's codes. */
enum takes { REALS, NUMBERS, TRUTH };

struct kind {
    enum takes takes;
    uint32_t real, integer,
        natural; /* the codes for reals, for integers and BOOL, and for unsigned integers */
    uint32_t finish;
    bool mean, place; /* place: the result is I32 */
};

/* The bits of the axes; all bits where one is out of range. */
uint32_t kiln_axes_mask(const kiln_axes *axes, int rank)
{
    uint32_t mask = axes->count ? 0 : (UINT32_C(1) << rank) - 1;
    for (int i = 0; i < axes->count; i++) {
        const int axis = kiln_axis_of(axes->axis[i], rank);
        if (axis < 0)
            return UINT32_MAX;
        mask |= UINT32_C(1) << axis;
    }
    return mask;
}

static uint32_t code_of(const struct kind *kind, kiln_type type)
{
    return kiln_type_is_real(type) ? kind->real : kiln_type_is_unsigned(type) ? kind->natural : kind->integer;
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    static const char *const wanted[] = {"a real type", "a number", "bool"};
    const struct reduce_params *p = n->params;
    const struct kind *kind = n->op->extra;
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]);
    const bool real = kiln_type_is_real(x.type), truth = x.type == KILN_BOOL;
    if (p->axes >> x.shape.rank)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "an axis is out of range, x has rank %d", x.shape.rank);
    if (truth != (kind->takes == TRUTH) || (!real && kind->takes == REALS))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted %s", kiln_type_name(x.type),
                              wanted[kind->takes]);
    *out = (kiln_spec){.type = kind->place ? KILN_I32 : x.type};
    for (int i = 0; i < x.shape.rank; i++) {
        const bool reduced = p->axes >> i & 1;
        if (!reduced || p->keep)
            out->shape.size[out->shape.rank++] = reduced ? 1 : x.shape.size[i];
    }
    return KILN_OK;
}

static kiln_tensor append(kiln_graph *g, const kiln_op *op, kiln_tensor x, uint32_t axes, bool keep)
{
    const struct reduce_params p = {.axes = axes, .keep = keep};
    return kiln_append(g, op, &x, 1, &p, sizeof p);
}

/* dy with the reduced axes as size 1, whether the node kept them or not. */
static kiln_tensor kept(kiln_graph *g, const kiln_node *n, kiln_tensor dy)
{
    const struct reduce_params *p = n->params;
    for (int i = 0; i < KILN_MAX_RANK && !p->keep; i++)
        if (p->axes >> i & 1)
            dy = kiln_unsqueeze(g, dy, i);
    return dy;
}

static kiln_axes axes_of(uint32_t mask)
{
    kiln_axes axes = {0};
    for (int i = 0; i < KILN_MAX_RANK; i++)
        if (mask >> i & 1)
            axes.axis[axes.count++] = i;
    return axes;
}

/* Gradients ---------------------------------------------------------------------------------------------- */

/* A value of the results' shape, as wide as x. */
static kiln_tensor spread(kiln_graph *g, const kiln_node *n, kiln_tensor t)
{
    return kiln_expand_to(g, kept(g, n, t), n->in[0]);
}

/* The same reduction as n's by another operator, over the same axes. */
static kiln_tensor alike(kiln_graph *g, const kiln_node *n, const kiln_op *op, kiln_tensor x)
{
    const struct reduce_params *p = n->params;
    return append(g, op, x, p->axes, p->keep);
}

static void sum_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = spread(g, n, dy[0]);
}

static void mean_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct reduce_params *p = n->params;
    const kiln_tensor count = p->axes ? kiln_count_of(g, n->in[0], axes_of(p->axes)) : KILN_NONE;
    const kiln_type type = kiln_tensor_type(g, dy[0]), wide = kiln_sum_type(type);
    const kiln_tensor share =
        count.id ? kiln_div(g, kiln_cast(g, dy[0], wide), kiln_cast(g, count, wide)) : dy[0];
    dx[0] = spread(g, n, kiln_cast(g, share, type));
}

/*
 * y is the product of the others times x. With z zeros in a row and Q the product of what is not 0, the others' product is
 * Q / x for z = 0, Q at the zero for z = 1, and 0 else. Its own gradient holds where nothing is 0.
 */
static void product_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_tensor x = n->in[0], zero = kiln_scalar(g, kiln_tensor_type(g, x), 0);
    const kiln_tensor one = kiln_scalar(g, kiln_tensor_type(g, x), 1), is_zero = kiln_equal(g, x, zero);
    const kiln_tensor others = kiln_where(g, is_zero, one, x);
    const kiln_tensor pull = kiln_mul(g, dy[0], alike(g, n, &kiln_op_product, others));
    const kiln_tensor zeros = alike(g, n, &kiln_op_sum, kiln_cast(g, is_zero, kiln_tensor_type(g, x)));
    const kiln_tensor none = kiln_where(g, kiln_equal(g, zeros, zero), pull, zero);
    const kiln_tensor lone = kiln_where(g, kiln_equal(g, zeros, one), pull, zero);
    dx[0] = kiln_where(g, is_zero, spread(g, n, lone), kiln_div(g, spread(g, n, none), others));
}

static void l1_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_mul(g, spread(g, n, dy[0]), kiln_sign(g, n->in[0]));
}

static void sum_square_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_mul(g, spread(g, n, kiln_scale(g, dy[0], 2)), n->in[0]);
}

/* x / y, and 0 where all are 0. */
static void l2_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_tensor y = n->out[0], zero = kiln_scalar(g, kiln_tensor_type(g, y), 0);
    const kiln_tensor share = kiln_where(g, kiln_equal(g, y, zero), zero, kiln_div(g, dy[0], y));
    dx[0] = kiln_mul(g, spread(g, n, share), n->in[0]);
}

static void log_sum_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = spread(g, n, kiln_div(g, dy[0], alike(g, n, &kiln_op_sum, n->in[0])));
}

/* exp(x - y); nothing flows where all are -infinity. */
static void log_sum_exp_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_tensor y = n->out[0], zero = kiln_scalar(g, kiln_tensor_type(g, y), 0);
    const kiln_tensor level = kiln_where(g, kiln_is_infinite(g, y, -1), zero, y);
    const kiln_tensor share = kiln_exp(g, kiln_sub(g, n->in[0], spread(g, n, level)));
    dx[0] = kiln_mul(g, spread(g, n, dy[0]), share);
}

/* Put dy where place says; x gives the shape. */
static kiln_tensor place(kiln_graph *g, kiln_tensor dy, kiln_tensor at, kiln_tensor x,
                         const struct reduce_params *p)
{
    return kiln_append(g, &kiln_op_place, (const kiln_tensor[]){dy, at, x}, 3, p, sizeof *p);
}

static void max_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct reduce_params *p = n->params;
    const kiln_op *finder = n->op == &kiln_op_reduce_max ? &kiln_op_find_max : &kiln_op_find_min;
    dx[0] = place(g, dy[0], alike(g, n, finder, n->in[0]), n->in[0], p);
}

static kiln_status place_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[2]);
    return KILN_OK;
}

/* By dy: what stands at the places. */
static void place_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct reduce_params *p = n->params;
    const kiln_tensor here = place(g, kiln_ones_like(g, n->in[0]), n->in[1], n->in[2], p);
    dx[0] = alike(g, n, &kiln_op_sum, kiln_mul(g, dy[0], here));
}

/* Lowering ----------------------------------------------------------------------------------------------- */

/* What changes no result: what a reduction over nothing begins with. */
static double neutral(const struct kind *kind, kiln_type type)
{
    switch (kind->real) {
    case KILN_REDUCE_PRODUCT_F:
        return 1;
    case KILN_REDUCE_EXP_F:
        return -INFINITY;
    case KILN_REDUCE_MAX_F:
    case KILN_REDUCE_ARGMAX_F:
        return kiln_extreme_of(type, false);
    case KILN_REDUCE_MIN_F:
    case KILN_REDUCE_ARGMIN_F:
        return kiln_extreme_of(type, true);
    default:
        return 0;
    }
}

static double of_nothing(const struct kind *kind, kiln_type type)
{
    if (kind->mean || kind->place)
        return kind->mean ? NAN : 0;
    return kind->finish == KILN_REDUCE_FINISH_LOG ? -INFINITY : neutral(kind, type);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct reduce_params *p = n->params;
    const struct kind *kind = n->op->extra;
    const kiln_spec x = kiln_plan_spec(plan, n->in[0]), y = kiln_plan_spec(plan, n->out[0]);
    const int64_t from = kiln_shape_count(&x.shape), to = kiln_shape_count(&y.shape);
    if (to == 0)
        return KILN_OK;
    if (from == 0)
        return kiln_lower_constant(plan, n->out[0], of_nothing(kind, x.type));
    return kiln_lower_reduce(plan, code_of(kind, x.type), kind->finish,
                             kind->mean ? (double)to / (double)from : 1, n->in[0], &x.shape, p->axes,
                             n->out[0]);
}

static kiln_status place_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct reduce_params *p = n->params;
    const kiln_shape shape = kiln_plan_spec(plan, n->out[0]).shape;
    struct kiln_view v = {0};
    if (!kiln_view_of(&shape, p->axes, &v))
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "place: more than two groups of axes");
    const int64_t count = kiln_shape_count(&shape);
    if (count == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_place,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .block_size = sizeof(struct kiln_params_place),
    };
    struct kiln_params_place *block = (struct kiln_params_place *)d.block.words;
    block->elements = (uint32_t)count;
    KILN_DIVISOR_SET(block, first, (uint32_t)v.first);
    KILN_DIVISOR_SET(block, kept, (uint32_t)v.kept);
    KILN_DIVISOR_SET(block, second, (uint32_t)v.second);
    KILN_DIVISOR_SET(block, inner, (uint32_t)v.inner);
    return kiln_plan_dispatch(plan, &d);
}

/* Sizes that depend on data ------------------------------------------------------------------------------ */

/* What a reduction over nothing gives is its neutral element. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)input;
    const struct reduce_params *p = n->params;
    const struct kind *kind = n->op->extra;
    if (!(p->axes >> axis & 1))
        return KILN_IGNORED;
    return kind->mean ? KILN_COUNTED : KILN_FILLED(neutral(kind, kiln_tensor_type(g, n->in[0])));
}

/* sum / count, in x's type */
static kiln_tensor mean_counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    const struct reduce_params *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, in[0]);
    const kiln_tensor count = kiln_cast(g, kiln_count_tensor(g, &x.shape, p->axes), x.type);
    return kiln_div(g, append(g, &kiln_op_sum, in[0], p->axes, p->keep), count);
}

/* Operators ---------------------------------------------------------------------------------------------- */

static const kiln_lowering lowerings[] = {{.name = "reduce", .lower = lower}};

static const kiln_field fields[] = {
    {"axes", KILN_FIELD_UINT, offsetof(struct reduce_params, axes), 1}, /* bit i: axis i */
    {"keep", KILN_FIELD_UINT, offsetof(struct reduce_params, keep), 1},
    {0},
};

/* Many cases at once, whose axis is one more in front; the first two inputs may be stacked, what gives the shape is not asked. */
static kiln_tensor cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    struct reduce_params p = *(const struct reduce_params *)n->params;
    p.axes <<= 1;
    for (int i = 0; i < n->inputs && i < 2; i++)
        if (!c->stacked[i])
            return KILN_NONE;
    return kiln_cases_append(g, n, c,
                             (const kiln_tensor[]){c->in[0], n->inputs > 1 ? c->in[1] : KILN_NONE, KILN_NONE},
                             &p);
}

/* The sum of sums is one of all axes. */
static kiln_tensor sum_of_sums(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const struct reduce_params *p = n->params;
    if (n->op != &kiln_op_sum || !c->stacked[0])
        return KILN_NONE;
    const kiln_tensor sum = append(g, n->op, c->in[0], p->axes << 1 | 1, p->keep);
    return p->keep ? kiln_squeeze(g, sum, 0) : sum;
}

#define OP(name_, grad_, ...)                       \
    const kiln_op kiln_op_##name_ = {               \
        .name = #name_,                             \
        .inputs = 1,                                \
        .outputs = 1,                               \
        .infer = infer,                             \
        .grad = grad_,                              \
        .beyond = beyond,                           \
        .counted = mean_counted,                    \
        .fields = fields,                           \
        .lowerings = lowerings,                     \
        .lowering_count = 1,                        \
        .cases = cases,                             \
        .sum_cases = sum_of_sums,                   \
        .extra = &(const struct kind){__VA_ARGS__}, \
    }

#define CODES(name)    KILN_REDUCE_##name##_F, KILN_REDUCE_##name##_I, KILN_REDUCE_##name##_I
#define CODES_OF(name) KILN_REDUCE_##name##_F, KILN_REDUCE_##name##_I, KILN_REDUCE_##name##_U
#define REAL(name)     KILN_REDUCE_##name##_F, 0, 0
#define FINISH(name)   .finish = KILN_REDUCE_FINISH_##name

OP(sum, sum_grad, NUMBERS, CODES(SUM));
OP(mean, mean_grad, REALS, REAL(SUM), .mean = true);
OP(product, product_grad, NUMBERS, CODES(PRODUCT));
OP(reduce_l1, l1_grad, NUMBERS, KILN_REDUCE_L1_F, KILN_REDUCE_L1_I, KILN_REDUCE_SUM_I);
OP(reduce_l2, l2_grad, REALS, REAL(SQUARES), FINISH(ROOT));
OP(sum_square, sum_square_grad, NUMBERS, CODES(SQUARES));
OP(log_sum, log_sum_grad, REALS, REAL(SUM), FINISH(LOG));
OP(log_sum_exp, log_sum_exp_grad, REALS, REAL(EXP));
OP(reduce_max, max_grad, NUMBERS, CODES_OF(MAX));
OP(reduce_min, max_grad, NUMBERS, CODES_OF(MIN));
OP(any, NULL, TRUTH, CODES(MAX));
OP(all, NULL, TRUTH, CODES(MIN));
OP(find_max, NULL, NUMBERS, CODES_OF(ARGMAX), .place = true);
OP(find_min, NULL, NUMBERS, CODES_OF(ARGMIN), .place = true);
OP(find_last_max, NULL, NUMBERS, CODES_OF(ARGMAX), FINISH(LAST), .place = true);
OP(find_last_min, NULL, NUMBERS, CODES_OF(ARGMIN), FINISH(LAST), .place = true);

const kiln_op kiln_op_place = {
    .name = "place",
    .fields = fields,
    .inputs = 3,
    .outputs = 1,
    .shape_inputs = 1 << 2,
    .infer = place_infer,
    .grad = place_grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "place", .lower = place_lower}},
    .lowering_count = 1,
    .cases = cases,
};

static kiln_tensor reduce(kiln_graph *g, const kiln_op *op, kiln_tensor x, const kiln_reduce_params *params)
{
    const kiln_reduce_params p = params ? *params : (kiln_reduce_params){0};
    return x.id ? append(g, op, x, kiln_axes_mask(&p.axes, kiln_tensor_shape(g, x).rank), p.keep) : KILN_NONE;
}

/* Sums and products of narrow integers are those of wide ones, wrapped. */
static kiln_tensor total(kiln_graph *g, const kiln_op *op, kiln_tensor x, const kiln_reduce_params *params)
{
    const kiln_type type = x.id ? kiln_tensor_type(g, x) : KILN_F32;
    if (!kiln_is_narrow(type))
        return reduce(g, op, x, params);
    return kiln_cast(g, reduce(g, op, kiln_cast(g, x, KILN_I32), params), type);
}

#define TOTAL(name)                                                                         \
    kiln_tensor kiln_##name(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params) \
    {                                                                                       \
        return total(g, &kiln_op_##name, x, params);                                        \
    }

TOTAL(sum)
TOTAL(mean)
TOTAL(product)
TOTAL(reduce_l1)
TOTAL(reduce_l2)
TOTAL(sum_square)
TOTAL(log_sum)
TOTAL(log_sum_exp)
TOTAL(any)
TOTAL(all)

/* The last group of neighbouring axes in the mask. */
static uint32_t last_group(uint32_t mask)
{
    int top = KILN_MAX_RANK - 1;
    while (!(mask >> top & 1))
        top--;
    uint32_t group = 0;
    for (; top >= 0 && mask >> top & 1; top--)
        group |= UINT32_C(1) << top;
    return group;
}

static int groups_of(uint32_t mask)
{
    int groups = 0;
    for (uint32_t ends = mask & ~(mask << 1); ends; ends &= ends - 1)
        groups++;
    return groups;
}

/* A node a group of neighbouring axes, the last group first: then windows can be cut between the rows of each. */
static kiln_tensor extreme(kiln_graph *g, const kiln_op *op, kiln_tensor x, const kiln_reduce_params *params)
{
    if (!x.id)
        return KILN_NONE;
    const kiln_reduce_params p = params ? *params : (kiln_reduce_params){0};
    const uint32_t all = kiln_axes_mask(&p.axes, kiln_tensor_shape(g, x).rank);
    uint32_t left = all;
    while (all != UINT32_MAX && groups_of(left) > 1) {
        x = append(g, op, x, last_group(left), true);
        left &= ~last_group(left);
    }
    kiln_tensor y = append(g, op, x, left, p.keep || left != all);
    for (int i = KILN_MAX_RANK - 1; i >= 0 && left != all && !p.keep; i--)
        if (all >> i & 1)
            y = kiln_squeeze(g, y, i);
    return y;
}

kiln_tensor kiln_reduce_max(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return extreme(g, &kiln_op_reduce_max, x, params);
}

kiln_tensor kiln_reduce_min(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return extreme(g, &kiln_op_reduce_min, x, params);
}

/* Places ------------------------------------------------------------------------------------------------- */

static kiln_tensor find(kiln_graph *g, const kiln_op *op, kiln_tensor x, int axis, bool keep)
{
    return reduce(g, op, x, &(kiln_reduce_params){.axes = KILN_AXES(axis), .keep = keep});
}

kiln_tensor kiln_argmax(kiln_graph *g, kiln_tensor x, int axis, bool keep)
{
    return find(g, &kiln_op_find_max, x, axis, keep);
}

kiln_tensor kiln_argmin(kiln_graph *g, kiln_tensor x, int axis, bool keep)
{
    return find(g, &kiln_op_find_min, x, axis, keep);
}

kiln_tensor kiln_argmax_last(kiln_graph *g, kiln_tensor x, int axis, bool keep)
{
    return find(g, &kiln_op_find_last_max, x, axis, keep);
}

kiln_tensor kiln_argmin_last(kiln_graph *g, kiln_tensor x, int axis, bool keep)
{
    return find(g, &kiln_op_find_last_min, x, axis, keep);
}

/* Variance ----------------------------------------------------------------------------------------------- */

/* The biased variance of moments, times n / (n - correction). */
kiln_tensor kiln_variance(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params, double correction)
{
    if (!x.id)
        return KILN_NONE;
    const kiln_reduce_params p = params ? *params : (kiln_reduce_params){0};
    const uint32_t axes = kiln_axes_mask(&p.axes, kiln_tensor_shape(g, x).rank);
    kiln_tensor y = KILN_NONE;
    kiln_moments(g, x, p.axes, &y);
    if (correction != 0) {
        const kiln_tensor count = kiln_count_of(g, x, p.axes);
        const kiln_tensor share = kiln_div(g, count, kiln_shift(g, count, -correction));
        y = kiln_mul(g, y, kiln_cast(g, share, kiln_tensor_type(g, y)));
    }
    for (int i = KILN_MAX_RANK - 1; i >= 0 && !p.keep; i--)
        if (axes >> i & 1)
            y = kiln_squeeze(g, y, i);
    return y;
}

kiln_tensor kiln_deviation(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params, double correction)
{
    return kiln_sqrt(g, kiln_variance(g, x, params, correction));
}
