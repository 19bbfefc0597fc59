/*
 * reduce.c - sum, mean, max, min and argmax over any axes.
 *
 * Lowering: axes of size 1 are dropped and neighbours of one kind merged, until x is [outer, first, kept, second, inner] with
 * first and second reduced: what the kernel takes without transposition. More reduced groups than two take several
 * dispatches, the last group first. A long reduction to few results is split into parts, by sizes alone, and their results
 * are reduced again: the order of a sum never depends on the number of threads.
 *
 * The gradient of max and min goes to the first of equals: an operator of the same kernel finds its place, another puts dy
 * there. "First" follows from reducing the last group first, so several groups become several nodes there.
 *
 * The kernels: src/ops/reduce_kernel.c, shaders/reduce/, src/cpu/reduce.c, src/cpu/reduce_fast.c.   Tests: tests/ops/reduce.c.
 */
#include "reduce/reduce.h"

#include <math.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "device/caps.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "ops/lower.h"
#include "reduce/codes.h"
#include "reduce/place.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

struct reduce_params {
    uint32_t axes; /* bit i: axis i */
    uint32_t keep;
};

/* An operator's kernel codes, for reals and for integers. */
struct kind {
    uint32_t real, integer;
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

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct reduce_params *p = n->params;
    const struct kind *kind = n->op->extra;
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]);
    if (p->axes >> x.shape.rank)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "an axis is out of range, x has rank %d", x.shape.rank);
    if (x.type == KILN_BOOL || (kind->mean && !kiln_type_is_real(x.type)))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted %s", kiln_type_name(x.type),
                              kind->mean ? "a real type" : "a number");
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

static void sum_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_expand_to(g, kept(g, n, dy[0]), n->in[0]);
}

static void mean_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct reduce_params *p = n->params;
    const kiln_tensor count = p->axes ? kiln_count_of(g, n->in[0], axes_of(p->axes)) : KILN_NONE;
    const kiln_type type = kiln_tensor_type(g, dy[0]), wide = kiln_sum_type(type);
    const kiln_tensor share =
        count.id ? kiln_div(g, kiln_cast(g, dy[0], wide), kiln_cast(g, count, wide)) : dy[0];
    dx[0] = kiln_expand_to(g, kept(g, n, kiln_cast(g, share, type)), n->in[0]);
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
    dx[0] = place(g, dy[0], append(g, finder, n->in[0], p->axes, p->keep), n->in[0], p);
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
    dx[0] = append(g, &kiln_op_sum, kiln_mul(g, dy[0], here), p->axes, p->keep);
}

/* Axes --------------------------------------------------------------------------------------------------- */

/* Runs of neighbouring axes of one kind, longer than 1, outermost first. */
struct runs {
    int count, reduced; /* reduced: how many of them are */
    bool is_reduced[KILN_MAX_RANK];
    int64_t size[KILN_MAX_RANK];
};

static struct runs runs_of(const kiln_shape *shape, uint32_t axes)
{
    struct runs r = {0};
    for (int i = 0; i < shape->rank; i++) {
        const bool reduced = axes >> i & 1;
        if (shape->size[i] == 1)
            continue;
        if (r.count && r.is_reduced[r.count - 1] == reduced) {
            r.size[r.count - 1] *= shape->size[i];
            continue;
        }
        r.is_reduced[r.count] = reduced;
        r.size[r.count++] = shape->size[i];
        r.reduced += reduced;
    }
    return r;
}

/* For at most two reduced runs; a lone one is second. */
static struct kiln_view view_of(const struct runs *r)
{
    struct kiln_view v = {1, 1, 1, 1, 1};
    int64_t *const place[] = {&v.outer, &v.first, &v.kept, &v.second, &v.inner};
    int at = r->reduced == 2 ? 0 : r->reduced == 1 ? 2 : 4;
    for (int i = 0; i < r->count; i++) {
        while ((at & 1) != r->is_reduced[i])
            at++;
        *place[at++] = r->size[i];
    }
    return v;
}

bool kiln_view_of(const kiln_shape *shape, uint32_t axes, struct kiln_view *out)
{
    const struct runs r = runs_of(shape, axes);
    if (r.reduced <= 2)
        *out = view_of(&r);
    return r.reduced <= 2;
}

/* Lowering ----------------------------------------------------------------------------------------------- */

enum { PART = 4096, MOST_PARTS = 512, MANY_RESULTS = 2048 };

int64_t kiln_parts_of(int64_t length, int64_t results)
{
    const int64_t parts = (length + PART - 1) / PART;
    return results >= MANY_RESULTS ? 1 : parts < MOST_PARTS ? parts : MOST_PARTS;
}

static kiln_status dispatch(kiln_plan *plan, uint32_t code, const struct kiln_view *v, int64_t parts,
                            kiln_tensor x, kiln_tensor y, double scale)
{
    const int64_t length = v->first * v->second, part = (length + parts - 1) / parts;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_reduce,
        .bind = {{.value = x}, {.value = y}},
        .constants = {code},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_reduce),
    };
    struct kiln_params_reduce *block = (struct kiln_params_reduce *)d.block.words;
    block->outer = (uint32_t)v->outer;
    block->first = (uint32_t)v->first;
    block->kept = (uint32_t)v->kept;
    block->second = (uint32_t)v->second;
    block->inner = (uint32_t)v->inner;
    block->parts = (uint32_t)parts;
    block->part_length = (uint32_t)part;
    KILN_REAL_SET(block, scale, scale);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status reduce_view(kiln_plan *plan, uint32_t code, const struct kiln_view *v, kiln_tensor x,
                               kiln_type type, kiln_tensor y, double scale);

/* One run after the other: what lies between them is then at most as long as a binding, or can be cut. */
static kiln_status reduce_twice(kiln_plan *plan, uint32_t code, const struct kiln_view *v, kiln_tensor x,
                                kiln_type type, kiln_tensor y, double scale)
{
    const struct kiln_view rows = {1, 1, v->outer * v->first * v->kept, v->second, v->inner};
    const struct kiln_view columns = {v->outer, 1, 1, v->first, v->kept * v->inner};
    const kiln_tensor less = kiln_plan_temporary(plan, type, rows.kept * rows.inner);
    const kiln_status status = reduce_view(plan, code, &rows, x, type, less, 1);
    return status ? status : reduce_view(plan, code, &columns, less, type, y, scale);
}

/* At most two reduced runs. */
static kiln_status reduce_view(kiln_plan *plan, uint32_t code, const struct kiln_view *v, kiln_tensor x,
                               kiln_type type, kiln_tensor y, double scale)
{
    const int64_t results = v->outer * v->kept * v->inner, length = v->first * v->second;
    const int64_t bound = (int64_t)(kiln_plan_caps(plan)->max_binding / kiln_plan_element(plan, x));
    const bool beyond = v->outer * length * v->kept * v->inner > bound, many_rows = v->outer * v->kept > 1;
    if (beyond && v->first > 1 && code < KILN_REDUCE_ARGMAX_F)
        return reduce_twice(plan, code, v, x, type, y, scale);
    int64_t parts =
        code < KILN_REDUCE_ARGMAX_F && !(beyond && many_rows) ? kiln_parts_of(length, results) : 1;
    if (parts == 1)
        return dispatch(plan, code, v, 1, x, y, scale);
    const int64_t part = (length + parts - 1) / parts;
    parts = (length + part - 1) / part;
    const kiln_tensor partial = kiln_plan_temporary(plan, type, parts * results);
    const kiln_status status = dispatch(plan, code, v, parts, x, partial, 1);
    const struct kiln_view sums = {1, 1, 1, parts, results};
    return status ? status : dispatch(plan, code, &sums, 1, partial, y, scale);
}

static kiln_status reduce_runs(kiln_plan *plan, uint32_t code, struct runs r, kiln_tensor x, kiln_type type,
                               kiln_tensor y, double scale)
{
    while (r.reduced > 2) { /* the last reduced run goes, its neighbours become one */
        int last = r.count - 1;
        while (!r.is_reduced[last])
            last--;
        struct kiln_view v = {1, 1, 1, r.size[last], last + 1 < r.count ? r.size[last + 1] : 1};
        for (int i = 0; i < last; i++)
            v.kept *= r.size[i];
        const kiln_tensor less = kiln_plan_temporary(plan, type, v.kept * v.inner);
        const kiln_status status = reduce_view(plan, code, &v, x, type, less, 1);
        if (status)
            return status;
        r.size[last - 1] *= v.inner;
        r.count = last;
        r.reduced--;
        x = less;
    }
    const struct kiln_view v = view_of(&r);
    return reduce_view(plan, code, &v, x, type, y, scale);
}

/* What a reduction over nothing gives. Integers have no infinity. */
static double of_nothing(const struct kind *kind, bool real)
{
    const double infinity = INFINITY, most = real ? infinity : INT32_MAX;
    const double least = real ? -infinity : INT32_MIN;
    const double nothing[] = {
        [KILN_REDUCE_SUM_F] = 0, [KILN_REDUCE_MAX_F] = least, [KILN_REDUCE_MIN_F] = most};
    return kind->mean ? NAN : kind->place ? 0 : nothing[kind->real];
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
        return kiln_lower_constant(plan, n->out[0], of_nothing(kind, kiln_type_is_real(x.type)));
    const struct runs r = runs_of(&x.shape, p->axes);
    if (kind->place && r.reduced > 2)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: %d groups of axes, at most 2", n->op->name, r.reduced);
    const uint32_t code = kiln_type_is_real(x.type) ? kind->real : kind->integer;
    return reduce_runs(plan, code, r, n->in[0], kiln_sum_type(x.type), n->out[0],
                       kind->mean ? (double)to / (double)from : 1);
}

kiln_status kiln_lower_sum(kiln_plan *plan, kiln_tensor x, const kiln_shape *shape, uint32_t axes,
                           kiln_tensor y)
{
    const kiln_type type = kiln_plan_spec(plan, x).type;
    const uint32_t code = kiln_type_is_real(type) ? KILN_REDUCE_SUM_F : KILN_REDUCE_SUM_I;
    return reduce_runs(plan, code, runs_of(shape, axes), x, kiln_sum_type(type), y, 1);
}

static kiln_status place_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct reduce_params *p = n->params;
    const kiln_shape shape = kiln_plan_spec(plan, n->out[0]).shape;
    const struct runs r = runs_of(&shape, p->axes);
    const struct kiln_view v = view_of(&r);
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
    if (kind->mean)
        return KILN_COUNTED;
    const bool most = kind->real == KILN_REDUCE_MAX_F || kind->real == KILN_REDUCE_ARGMAX_F;
    if (kind->real == KILN_REDUCE_SUM_F)
        return KILN_FILLED(0);
    return KILN_FILLED(kiln_extreme_of(kiln_tensor_type(g, n->in[0]), !most));
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
        .extra = &(const struct kind){__VA_ARGS__}, \
    }

OP(sum, sum_grad, KILN_REDUCE_SUM_F, KILN_REDUCE_SUM_I);
OP(mean, mean_grad, KILN_REDUCE_SUM_F, KILN_REDUCE_SUM_I, .mean = true);
OP(reduce_max, max_grad, KILN_REDUCE_MAX_F, KILN_REDUCE_MAX_I);
OP(reduce_min, max_grad, KILN_REDUCE_MIN_F, KILN_REDUCE_MIN_I);
OP(find_max, NULL, KILN_REDUCE_ARGMAX_F, KILN_REDUCE_ARGMAX_I, .place = true);
OP(find_min, NULL, KILN_REDUCE_ARGMIN_F, KILN_REDUCE_ARGMIN_I, .place = true);

const kiln_op kiln_op_place = {
    .name = "place",
    .inputs = 3,
    .outputs = 1,
    .shape_inputs = 1 << 2,
    .infer = place_infer,
    .grad = place_grad,
    .beyond = kiln_beyond_ignored,
    .lowerings = (const kiln_lowering[]){{.name = "place", .lower = place_lower}},
    .lowering_count = 1,
};

static kiln_tensor reduce(kiln_graph *g, const kiln_op *op, kiln_tensor x, const kiln_reduce_params *params)
{
    const kiln_reduce_params p = params ? *params : (kiln_reduce_params){0};
    return x.id ? append(g, op, x, kiln_axes_mask(&p.axes, kiln_tensor_shape(g, x).rank), p.keep) : KILN_NONE;
}

kiln_tensor kiln_sum(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return reduce(g, &kiln_op_sum, x, params);
}

kiln_tensor kiln_mean(kiln_graph *g, kiln_tensor x, const kiln_reduce_params *params)
{
    return reduce(g, &kiln_op_mean, x, params);
}

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

kiln_tensor kiln_argmax(kiln_graph *g, kiln_tensor x, int axis, bool keep)
{
    return reduce(g, &kiln_op_find_max, x, &(kiln_reduce_params){.axes = KILN_AXES(axis), .keep = keep});
}
