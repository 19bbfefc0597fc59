/*
 * gather.c - slices picked by index.
 *
 *   gather            y[.., j, ..] = x[.., index[j], ..]
 *   gather_elements   y[.., j, ..] = x[.., index[.., j, ..], ..]
 *   gather_nd         y[b, j, ..] = x[b, index[b, j, 0], index[b, j, 1], .., ..]
 *
 * One kernel does all three, on x as [outer, rows, inner]; tuples become one index first. The gradient adds what was picked to
 * where it came from: operators of src/ops/scatter.c.
 *
 * Kernels: shaders/gather/, src/cpu/gather.c, src/cpu/gather_fast.c.   Tests: tests/ops/gather.c.
 */
#include "gather/gather.h"

#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "base/log.h"
#include "device/variants.h"
#include "gather/fold.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/kernels.h"
#include "ops/slices.h"
#include "ops/window.h"
#include "shaders.h"

/* Shapes ------------------------------------------------------------------------------------------------- */

static enum kiln_naming naming_of(const kiln_node *n)
{
    return *(const enum kiln_naming *)n->op->extra;
}

/* Element i of a constant of integers. */
static int64_t constant_at(const struct kiln_constant_params *p, int64_t i)
{
    const void *data = kiln_constant_data(p);
    return p->stored == KILN_I64 ? ((const int64_t *)data)[i] : ((const int32_t *)data)[i];
}

/* An index that is known already is in range: element i names one of size[i % period]. */
static kiln_status check_range(kiln_graph *g, const kiln_node *n, kiln_tensor index, const int64_t *size,
                               int64_t period)
{
    const kiln_node *leaf = kiln_graph_node(g, index);
    const struct kiln_constant_params *p = leaf->params;
    if (leaf->op != &kiln_op_constant || (p->stored != KILN_I64 && p->stored != KILN_I32))
        return KILN_OK;
    const int64_t count = kiln_shape_count(&p->spec.shape);
    for (int64_t i = 0; i < count; i++) {
        const int64_t rows = size[i % period], at = constant_at(p, i);
        if (rows >= 0 && (at < -rows || at >= rows) && at != KILN_NOWHERE)
            return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "index %lld is out of range, there are %lld",
                                  (long long)at, (long long)rows);
    }
    return KILN_OK;
}

static kiln_status misfit(kiln_graph *g, const kiln_node *n, const kiln_shape *x, const kiln_shape *index)
{
    char a[96], b[96];
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x %s and index %s do not fit",
                          kiln_graph_shape_text(g, x, a, sizeof a),
                          kiln_graph_shape_text(g, index, b, sizeof b));
}

/* [x before axis, index's axes from `begin` to `end`, x from `rest` on] */
static kiln_status join(kiln_graph *g, const kiln_node *n, const kiln_shape *x, int axis,
                        const kiln_shape *index, int begin, int end, int rest, kiln_shape *out)
{
    const int rank = axis + end - begin + x->rank - rest;
    if (rank > KILN_MAX_RANK)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "x of rank %d and index of rank %d make more than %d axes", x->rank,
                              index->rank, KILN_MAX_RANK);
    *out = (kiln_shape){.rank = rank};
    int64_t *size = out->size;
    for (int i = 0; i < axis; i++)
        *size++ = x->size[i];
    for (int i = begin; i < end; i++)
        *size++ = index->size[i];
    for (int i = rest; i < x->rank; i++)
        *size++ = x->size[i];
    return KILN_OK;
}

/* The first axes of both, as many as they have in common. */
static bool share_batch(const kiln_shape *x, const kiln_shape *index, int batch)
{
    bool fits = batch >= 0 && batch <= index->rank && batch <= x->rank;
    for (int i = 0; fits && i < batch; i++)
        fits = x->size[i] == index->size[i];
    return fits;
}

static kiln_status row_shape(kiln_graph *g, const kiln_node *n, const kiln_shape *x, int axis, int batch,
                             const kiln_shape *index, kiln_shape *out)
{
    return share_batch(x, index, batch) && batch <= axis
               ? join(g, n, x, axis, index, batch, index->rank, axis + 1, out)
               : misfit(g, n, x, index);
}

static kiln_status element_shape(kiln_graph *g, const kiln_node *n, const kiln_shape *x, int axis,
                                 const kiln_shape *index, kiln_shape *out)
{
    bool fits = x->rank == index->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == axis || x->size[i] == index->size[i];
    *out = *index;
    return fits ? KILN_OK : misfit(g, n, x, index);
}

static kiln_status tuple_shape(kiln_graph *g, const kiln_node *n, const kiln_shape *x, int batch,
                               const kiln_shape *index, kiln_shape *out)
{
    const int last = index->rank - 1;
    const int64_t axes = last >= 0 ? index->size[last] : 0;
    return share_batch(x, index, batch) && batch <= last && axes >= 1 && axes <= x->rank - batch
               ? join(g, n, x, 0, index, 0, last, batch + (int)axes, out)
               : misfit(g, n, x, index);
}

kiln_status kiln_slices_shape(kiln_graph *g, const kiln_node *n, kiln_tensor x, kiln_tensor index,
                              kiln_shape *out)
{
    const struct kiln_naming_params *p = n->params;
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const kiln_spec named = kiln_tensor_spec(g, index);
    const bool tuples = naming_of(n) == KILN_NAMES_TUPLES;
    const int axis = tuples ? 0 : kiln_axis_of(p->axis, shape.rank);
    if (named.type != KILN_I32 && named.type != KILN_I64)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "index is %s, wanted i32 or i64",
                              kiln_type_name(named.type));
    if (axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "no axis %d in rank %d", p->axis, shape.rank);
    const kiln_status status = tuples ? tuple_shape(g, n, &shape, p->batch, &named.shape, out)
                               : naming_of(n) == KILN_NAMES_ELEMENTS
                                   ? element_shape(g, n, &shape, axis, &named.shape, out)
                                   : row_shape(g, n, &shape, axis, p->batch, &named.shape, out);
    return status ? status
                  : check_range(g, n, index, shape.size + (tuples ? p->batch : axis),
                                tuples ? named.shape.size[named.shape.rank - 1] : 1);
}

/* Slices ------------------------------------------------------------------------------------------------- */

static uint32_t product(const int64_t *size, int count)
{
    const kiln_shape shape = kiln_shape_of(count, size);
    return (uint32_t)kiln_shape_count(&shape);
}

/* Tuples as numbers: x's axes from `batch` on, which they name, become one. */
static kiln_status fold(kiln_plan *plan, const kiln_shape *x, int batch, int axes, kiln_tensor index,
                        uint32_t count, kiln_binding *out)
{
    struct kiln_params_index_fold block = {.count = count, .axes = (uint32_t)axes};
    uint32_t step = 1;
    for (int k = axes - 1; k >= 0; k--) {
        block.size[k] = (uint32_t)x->size[batch + k];
        block.step[k] = step;
        step *= block.size[k];
    }
    *out = (kiln_binding){.value = kiln_plan_temporary(plan, KILN_I32, count)};
    kiln_dispatch d = {
        .kernel = &kiln_kernel_index_fold,
        .bind = {{.value = index}, *out},
        .block_size = sizeof block,
    };
    *(struct kiln_params_index_fold *)d.block.words = block;
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status plan_tuples(kiln_plan *plan, int batch, const kiln_shape *x, kiln_tensor index,
                               struct kiln_slices *out)
{
    const kiln_shape i = kiln_plan_spec(plan, index).shape;
    const int axes = (int)i.size[i.rank - 1];
    *out = (struct kiln_slices){
        .outer = product(x->size, batch),
        .rows = product(x->size + batch, axes),
        .inner = product(x->size + batch + axes, x->rank - batch - axes),
        .count = product(i.size + batch, i.rank - 1 - batch),
        .share = 1,
        .index = {.value = index},
    };
    const bool empty = !out->outer || !out->rows || !out->count;
    return axes == 1 || empty ? KILN_OK
                              : fold(plan, x, batch, axes, index, out->outer * out->count, &out->index);
}

kiln_status kiln_plan_slices(kiln_plan *plan, const kiln_node *n, const kiln_shape *x, kiln_tensor index,
                             struct kiln_slices *out)
{
    const struct kiln_naming_params *p = n->params;
    const kiln_shape i = kiln_plan_spec(plan, index).shape;
    if (naming_of(n) == KILN_NAMES_TUPLES)
        return plan_tuples(plan, p->batch, x, index, out);
    const int axis = kiln_axis_of(p->axis, x->rank);
    const bool full = naming_of(n) == KILN_NAMES_ELEMENTS;
    *out = (struct kiln_slices){
        .outer = product(x->size, axis),
        .rows = (uint32_t)x->size[axis],
        .inner = product(x->size + axis + 1, x->rank - axis - 1),
        .count = full ? (uint32_t)i.size[axis] : product(i.size + p->batch, i.rank - p->batch),
        .share = full ? 1 : product(x->size + p->batch, axis - p->batch),
        .full = full,
        .index = {.value = index},
    };
    return KILN_OK;
}

/* Sizes that depend on data ------------------------------------------------------------------------------ */

kiln_beyond kiln_slices_beyond(const kiln_graph *g, const kiln_node *n, kiln_tensor x, kiln_tensor index,
                               int axis)
{
    const struct kiln_naming_params *p = n->params;
    const kiln_shape i = kiln_tensor_shape(g, index);
    const bool tuples = naming_of(n) == KILN_NAMES_TUPLES;
    const bool named = tuples ? axis >= p->batch && axis < p->batch + i.size[i.rank - 1]
                              : axis == kiln_axis_of(p->axis, kiln_tensor_shape(g, x).rank);
    return named && !p->counted ? KILN_COUNTED : KILN_IGNORED;
}

/* Negative ones from the last that is there, and none beyond it; nowhere stays nowhere. */
static kiln_tensor index_counted(kiln_graph *g, kiln_tensor index, int64_t size)
{
    const kiln_type type = kiln_tensor_type(g, index);
    const kiln_tensor zero = kiln_scalar(g, type, 0), one = kiln_scalar(g, type, 1);
    const kiln_tensor rows = kiln_cast(g, kiln_size_tensor(g, size), type);
    const kiln_tensor from_end = kiln_where(g, kiln_less(g, index, zero), rows, zero);
    const kiln_tensor last = kiln_max(g, kiln_sub(g, rows, one), zero);
    const kiln_tensor at = kiln_min(g, kiln_max(g, kiln_add(g, index, from_end), zero), last);
    return kiln_where(g, kiln_equal(g, index, kiln_scalar(g, type, KILN_NOWHERE)), index, at);
}

/* Each number of the tuples by its axis of x. */
static kiln_tensor tuples_counted(kiln_graph *g, kiln_tensor index, const kiln_shape *x, int batch)
{
    const kiln_shape i = kiln_tensor_shape(g, index);
    const int last = i.rank - 1, count = (int)i.size[last];
    kiln_tensor part[KILN_MAX_RANK];
    for (int k = 0; k < count; k++) {
        const int64_t size = x->size[batch + k];
        part[k] = kiln_slice(g, index, last, k, k + 1, 1);
        part[k] = kiln_dim_is_counted(g, size) ? index_counted(g, part[k], size) : part[k];
    }
    return count == 1 ? part[0] : kiln_concat(g, part, count, last);
}

kiln_tensor kiln_slices_counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor x,
                                kiln_tensor index)
{
    struct kiln_naming_params p = *(const struct kiln_naming_params *)n->params;
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const kiln_tensor at = naming_of(n) == KILN_NAMES_TUPLES
                               ? tuples_counted(g, index, &shape, p.batch)
                               : index_counted(g, index, shape.size[kiln_axis_of(p.axis, shape.rank)]);
    kiln_tensor again[3];
    for (int i = 0; i < n->inputs; i++)
        again[i] = in[i].id == index.id ? at : in[i];
    p.counted = true;
    return kiln_append(g, n->op, again, n->inputs, &p, sizeof p);
}

/* The operators ------------------------------------------------------------------------------------------ */

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out->type = kiln_tensor_type(g, n->in[0]);
    return kiln_slices_shape(g, n, n->in[0], n->in[1], &out->shape);
}

static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    return input ? KILN_IGNORED : kiln_slices_beyond(g, n, n->in[0], n->in[1], axis);
}

static kiln_tensor counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    return kiln_slices_counted(g, n, in, in[0], in[1]);
}

/* Rows along the first axis: the cases' indices are more of them. */
static kiln_tensor cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const struct kiln_naming_params *p = n->params;
    const int rank = kiln_tensor_shape(g, c->in[0]).rank;
    const bool rows = naming_of(n) == KILN_NAMES_ROWS && !p->batch && kiln_axis_of(p->axis, rank) == 0;
    if (!rows || c->stacked[0] || !c->stacked[1])
        return KILN_NONE;
    struct kiln_naming_params first = *p;
    first.axis = 0;
    return kiln_cases_append(g, n, c, c->in, &first);
}

/* Each has its adding counterpart. */
static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    static const kiln_op *const back[] = {
        [KILN_NAMES_ROWS] = &kiln_op_gather_grad,
        [KILN_NAMES_ELEMENTS] = &kiln_op_gather_elements_grad,
        [KILN_NAMES_TUPLES] = &kiln_op_gather_nd_grad,
    };
    const kiln_tensor in[] = {dy[0], n->in[1], n->in[0]};
    dx[0] = kiln_append(g, back[naming_of(n)], in, 3, n->params, n->params_size);
}

kiln_status kiln_lower_gather(kiln_plan *plan, const struct kiln_slices *s, kiln_tensor x, kiln_tensor y)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_gather,
        .bind = {{.value = x}, s->index, {.value = y}},
        .constants = {kiln_plan_words(plan, y), s->full},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_gather),
    };
    struct kiln_params_gather *block = (struct kiln_params_gather *)d.block.words;
    if (!s->rows)
        return kiln_fail(KILN_ERROR_SHAPE, "gather: picks %u slices of an axis that has none", s->count);
    block->outer = s->outer;
    block->rows = block->shown = s->rows;
    KILN_DIVISOR_SET(block, count, s->count);
    KILN_DIVISOR_SET(block, inner, s->inner);
    KILN_DIVISOR_SET(block, share, s->share);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape;
    struct kiln_slices s;
    const kiln_status status = kiln_plan_slices(plan, n, &x, n->in[1], &s);
    return status ? status : kiln_lower_gather(plan, &s, n->in[0], n->out[0]);
}

const kiln_field kiln_naming_fields[] = {
    {"axis", KILN_FIELD_INT, offsetof(struct kiln_naming_params, axis), 1},
    {"batch", KILN_FIELD_INT, offsetof(struct kiln_naming_params, batch), 1},
    {"kind", KILN_FIELD_INT, offsetof(struct kiln_naming_params, meets), 1},
    {"distinct", KILN_FIELD_INT, offsetof(struct kiln_naming_params, distinct), 1},
    {0},
};

static const kiln_lowering lowerings[] = {{.name = "gather", .lower = lower}};

#define OP(name_, naming_)                                        \
    const kiln_op kiln_op_##name_ = {                             \
        .name = #name_,                                           \
        .inputs = 2,                                              \
        .outputs = 1,                                             \
        .infer = infer,                                           \
        .grad = grad,                                             \
        .beyond = beyond,                                         \
        .counted = counted,                                       \
        .lowerings = lowerings,                                   \
        .lowering_count = 1,                                      \
        .cases = cases,                                           \
        .fields = kiln_naming_fields,                             \
        .extra = &(const enum kiln_naming){KILN_NAMES_##naming_}, \
    }

OP(gather, ROWS);
OP(gather_elements, ELEMENTS);
OP(gather_nd, TUPLES);

static kiln_tensor append(kiln_graph *g, const kiln_op *op, kiln_tensor x, kiln_tensor index, int axis,
                          int batch)
{
    const struct kiln_naming_params p = {.axis = axis, .batch = batch};
    return x.id && index.id ? kiln_append(g, op, (const kiln_tensor[]){x, index}, 2, &p, sizeof p)
                            : KILN_NONE;
}

kiln_tensor kiln_gather(kiln_graph *g, kiln_tensor x, kiln_tensor index, int axis)
{
    return append(g, &kiln_op_gather, x, index, axis, 0);
}

kiln_tensor kiln_gather_batched(kiln_graph *g, kiln_tensor x, kiln_tensor index, int axis, int batch)
{
    return append(g, &kiln_op_gather, x, index, axis, batch);
}

kiln_tensor kiln_gather_elements(kiln_graph *g, kiln_tensor x, kiln_tensor index, int axis)
{
    return append(g, &kiln_op_gather_elements, x, index, axis, 0);
}

kiln_tensor kiln_gather_nd(kiln_graph *g, kiln_tensor x, kiln_tensor index, int batch)
{
    return append(g, &kiln_op_gather_nd, x, index, 0, batch);
}

/* Contracts ---------------------------------------------------------------------------------------------- */

static const struct kiln_params_gather *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_gather *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * block_of(d)->count;
}

static uint64_t flat_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) * block_of(d)->inner + 63) / 64;
}

/* Windows of o, in whole groups that share a list. */
static uint64_t outer_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer / block_of(d)->share;
}

static void outer_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    const struct kiln_params_gather *p = block_of(d);
    const uint64_t row = p->inner * (uint64_t)d->element[2];
    unit[0] = p->share * p->shown * row;
    unit[1] = p->count * (d->constants[1] ? p->inner : UINT64_C(1)) * 4;
    unit[2] = p->share * p->count * row;
}

static void outer_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    uint64_t unit[3];
    outer_bytes(d, unit);
    ((struct kiln_params_gather *)d->block.words)->outer = (uint32_t)count * block_of(d)->share;
    kiln_narrow(d, first, count, unit);
}

static uint64_t outer_unit(const kiln_dispatch *d)
{
    uint64_t unit[3];
    outer_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

/* Windows of the index, and of y with it where y's rows follow it. */
static uint64_t list_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer == 1 ? block_of(d)->count : 1;
}

static void list_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    unit[0] = 0;
    unit[1] = d->constants[1] ? block_of(d)->inner * UINT64_C(4) : 4;
    unit[2] = block_of(d)->inner * (uint64_t)d->element[2];
}

static void list_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_gather *p = (struct kiln_params_gather *)d->block.words;
    const kiln_binding x = d->bind[0];
    uint64_t unit[3];
    list_bytes(d, unit);
    KILN_DIVISOR_SET(p, count, (uint32_t)count);
    kiln_narrow(d, first, count, unit);
    d->bind[0] = x;
}

static uint64_t list_unit(const kiln_dispatch *d)
{
    uint64_t unit[3];
    list_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

/* Windows of x: each takes what it has, and leaves the rest of y to the others. */
static uint64_t row_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer == 1 ? block_of(d)->shown : 1;
}

static void row_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_gather *p = (struct kiln_params_gather *)d->block.words;
    const uint64_t row = p->inner * (uint64_t)d->element[2];
    p->first += (uint32_t)first;
    p->shown = (uint32_t)count;
    d->bind[0].offset += first * row;
    d->bind[0].bytes = count * row;
}

static const kiln_variant flat = {
    .name = "flat", .groups = flat_groups, .spirv = &kiln_spirv_gather, .half = &kiln_spirv_gather_half};

const kiln_kernel kiln_kernel_gather = {
    .name = "gather",
    .block_size = sizeof(struct kiln_params_gather),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 2,
    .units = units,
    .reference = kiln_reference_gather_f32,
    .reference_f64 = kiln_reference_gather_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_gather_rows, NULL},
    .cuts = (const kiln_cut[]){{outer_extent, outer_take, outer_unit},
                               {list_extent, list_take, list_unit},
                               {row_extent, row_take}},
    .cut_count = 3,
};

static uint64_t tuples(const kiln_dispatch *d)
{
    return ((const struct kiln_params_index_fold *)d->block.words)->count;
}

static uint64_t tuple_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (tuples(d) + 63) / 64;
}

static void tuple_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_index_fold *p = (struct kiln_params_index_fold *)d->block.words;
    p->count = (uint32_t)count;
    kiln_narrow(d, first, count, (const uint64_t[]){4 * (uint64_t)p->axes, 4});
}

static const kiln_variant fold_flat = {.name = "flat",
                                       .groups = tuple_groups,
                                       .spirv = &kiln_spirv_index_fold};

const kiln_kernel kiln_kernel_index_fold = {
    .name = "index_fold",
    .block_size = sizeof(struct kiln_params_index_fold),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = tuples,
    .reference = kiln_reference_index_fold_f32,
    .reference_f64 = kiln_reference_index_fold_f64,
    .gpu = (const kiln_variant *const[]){&fold_flat, NULL},
    .cuts = (const kiln_cut[]){{tuples, tuple_take}},
    .cut_count = 1,
};
