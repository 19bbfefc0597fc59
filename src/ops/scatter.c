/*
 * scatter.c - slices written, or combined, into a copy of a value at places that an index names: gather's counterpart.
 *
 *   y = x;  then for each j in order   y[.., index[j], ..] = meet(y[.., index[j], ..], updates[.., j, ..])
 *
 * and likewise for the two other ways of naming slices (src/ops/gather.c). Where several updates name one place they meet it in
 * the order of the index, whatever the device.
 *
 * Lowering, by sizes alone:
 *
 *   direct    the CPU goes through the list
 *   distinct  x copied, every update straight to its place, where the caller promises that places differ
 *   list      short lists: every element of y goes through its list
 *   sorted    x copied; (place, position) sorted by radix passes over the bits that places have, and where a place's run begins
 *             an invocation goes through it. Long runs are cut: parts of sorted pairs that are of one place are combined
 *             before, side by side.
 *
 * Gradients. Of "set" by x: nothing where something was written; by an update: what came to its place, if it was the last one
 * there. Of "add": everything to both. Of "mul" the product of all others, by counting zeros. Of "min" and "max" to the first of
 * equals, x before the updates.
 *
 * Kernels: src/ops/scatter_kernel.c, shaders/scatter/, src/cpu/scatter.c, src/cpu/scatter_fast.c.   Tests: tests/ops/scatter.c.
 */
#include "ops/scatter.h"

#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "base/log.h"
#include "device/caps.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/kernels.h"
#include "ops/narrow.h"
#include "ops/order.h"
#include "scatter/scatter.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_naming_params *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]), u = kiln_tensor_spec(g, n->in[2]);
    kiln_shape slices;
    char a[96], b[96];
    *out = x;
    if (u.type != x.type || (x.type == KILN_BOOL && p->meets != KILN_SCATTER_SET))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, the updates are %s", kiln_type_name(x.type),
                              kiln_type_name(u.type));
    const kiln_status status = kiln_slices_shape(g, n, n->in[0], n->in[1], &slices);
    if (status || kiln_shape_equal(&slices, &u.shape))
        return status;
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "the updates are %s, wanted %s",
                          kiln_graph_shape_text(g, &u.shape, a, sizeof a),
                          kiln_graph_shape_text(g, &slices, b, sizeof b));
}

static uint32_t code_of(kiln_type type, int32_t meets)
{
    static const uint32_t reals[] = {KILN_MEET_SET, KILN_MEET_ADD_F, KILN_MEET_MUL_F, KILN_MEET_MIN_F,
                                     KILN_MEET_MAX_F},
                          whole[] = {KILN_MEET_SET, KILN_MEET_ADD_I, KILN_MEET_MUL_I, KILN_MEET_MIN_I,
                                     KILN_MEET_MAX_I},
                          natural[] = {KILN_MEET_SET, KILN_MEET_ADD_I, KILN_MEET_MUL_I, KILN_MEET_MIN_U,
                                       KILN_MEET_MAX_U};
    return (kiln_type_is_real(type) ? reals : kiln_type_is_unsigned(type) ? natural : whole)[meets];
}

/* Work --------------------------------------------------------------------------------------------------- */

enum { SHORT_LIST = 256 };

static kiln_dispatch dispatch_of(const kiln_kernel *kernel, const struct kiln_scatter *s, uint32_t words,
                                 const kiln_binding *bind)
{
    const struct kiln_slices *l = &s->slices;
    kiln_dispatch d = {
        .kernel = kernel,
        .constants = {s->code, words},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_scatter),
    };
    struct kiln_params_scatter *block = (struct kiln_params_scatter *)d.block.words;
    block->outer = l->outer;
    block->rows = l->rows;
    KILN_DIVISOR_SET(block, shown, l->rows);
    KILN_DIVISOR_SET(block, count, l->count);
    KILN_DIVISOR_SET(block, inner, l->inner);
    KILN_DIVISOR_SET(block, share, l->share);
    block->full = l->full;
    block->based = s->base.id != 0;
    for (int i = 0; i < kernel->bindings; i++)
        d.bind[i] = bind[i];
    return d;
}

static kiln_status direct(kiln_plan *plan, const struct kiln_scatter *s)
{
    const kiln_binding bind[] = {{.value = s->base}, s->slices.index, s->u, {.value = s->y}};
    const kiln_dispatch d = dispatch_of(&kiln_kernel_scatter, s, kiln_plan_words(plan, s->y), bind);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status begin_with_base(kiln_plan *plan, const struct kiln_scatter *s)
{
    if (s->base.id && s->base.id == s->y.id)
        return KILN_OK;
    return s->base.id ? kiln_plan_copy(plan, (kiln_binding){.value = s->base}, (kiln_binding){.value = s->y})
                      : kiln_plan_fill(plan, (kiln_binding){.value = s->y}, 0);
}

static kiln_status distinct(kiln_plan *plan, const struct kiln_scatter *s)
{
    const kiln_binding bind[] = {s->slices.index, s->u, {.value = s->y}};
    const kiln_dispatch d = dispatch_of(&kiln_kernel_scatter_distinct, s, kiln_plan_words(plan, s->y), bind);
    const kiln_status status = begin_with_base(plan, s);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

static uint32_t bits_of(uint32_t most)
{
    uint32_t bits = 1;
    while (most >> bits)
        bits++;
    return bits;
}

/* The lists, as rows that are sorted by themselves. */
static struct kiln_rows lists_of(const struct kiln_slices *l)
{
    return l->full ? (struct kiln_rows){l->outer * l->inner, l->count, l->inner}
                   : (struct kiln_rows){l->outer / l->share, l->count, 1};
}

static kiln_status sort_lists(kiln_plan *plan, const struct kiln_scatter *s, kiln_tensor *sorted)
{
    const struct kiln_rows lists = lists_of(&s->slices);
    const kiln_tensor pairs = kiln_plan_pairs(plan, lists.count, lists.length);
    const kiln_status status =
        kiln_lower_keys(plan, KILN_KEY_INDEX, false, s->slices.rows, s->slices.index, &lists, pairs);
    return status ? status
                  : kiln_lower_sort_pairs(plan, pairs, lists.count, lists.length, bits_of(s->slices.rows),
                                          sorted);
}

/* What each part of sorted pairs comes to, where lists are long enough to have long runs. */
static kiln_status sum_parts(kiln_plan *plan, const struct kiln_scatter *s, kiln_tensor pairs,
                             kiln_tensor *sums)
{
    const struct kiln_slices *l = &s->slices;
    const int64_t parts = l->count / KILN_SCATTER_PART;
    *sums = KILN_NONE;
    if (parts < 4 || s->code == KILN_MEET_SET)
        return KILN_OK;
    const bool real = kiln_type_is_real(kiln_plan_spec(plan, s->y).type);
    *sums = kiln_plan_temporary(plan, real ? KILN_F32 : KILN_I32, parts * l->outer * l->inner);
    const kiln_binding bind[] = {{.value = pairs}, s->u, {.value = *sums}};
    const kiln_dispatch d = dispatch_of(&kiln_kernel_scatter_parts, s, 1, bind);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status sorted(kiln_plan *plan, const struct kiln_scatter *s)
{
    kiln_tensor pairs, sums;
    kiln_status status = begin_with_base(plan, s);
    if (!status)
        status = sort_lists(plan, s, &pairs);
    if (!status)
        status = sum_parts(plan, s, pairs, &sums);
    if (status)
        return status;
    const kiln_binding bind[] = {{.value = pairs}, s->u, {.value = sums}, {.value = s->y}};
    kiln_dispatch d = dispatch_of(&kiln_kernel_scatter_runs, s, 1, bind);
    ((struct kiln_params_scatter *)d.block.words)->summed = sums.id != 0;
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status lower_list(kiln_plan *plan, const struct kiln_scatter *s)
{
    if (kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU)
        return direct(plan, s);
    if (s->distinct)
        return distinct(plan, s);
    return s->slices.count <= SHORT_LIST ? direct(plan, s) : sorted(plan, s);
}

/* A list whose updates are more than a binding may cover is scattered piece by piece, each into what the last one left. */
static kiln_status lower_pieces(kiln_plan *plan, const struct kiln_scatter *s, uint32_t most)
{
    const struct kiln_slices *l = &s->slices;
    const uint64_t row = l->inner * kiln_plan_element(plan, s->y),
                   word = l->full ? l->inner * UINT64_C(4) : 4;
    struct kiln_scatter piece = *s;
    kiln_status status = KILN_OK;
    for (uint32_t first = 0; first < l->count && !status; first += most) {
        const uint32_t left = l->count - first, count = left < most ? left : most;
        piece.slices.count = count;
        piece.slices.index.offset = l->index.offset + first * word;
        piece.slices.index.bytes = count * word;
        piece.u.offset = s->u.offset + first * row;
        piece.u.bytes = count * row;
        status = lower_list(plan, &piece);
        piece.base = s->y;
    }
    return status;
}

kiln_status kiln_lower_scatter(kiln_plan *plan, const struct kiln_scatter *s)
{
    const struct kiln_slices *l = &s->slices;
    if (!l->rows && l->count)
        return kiln_fail(KILN_ERROR_SHAPE, "scatter: %u slices to an axis that has no place", l->count);
    if (!l->count)
        return begin_with_base(plan, s);
    const uint64_t most =
        kiln_plan_caps(plan)->max_binding / (l->inner * kiln_plan_element(plan, s->y)) / 128 * 128;
    return l->outer == 1 && l->count > most && most ? lower_pieces(plan, s, (uint32_t)most)
                                                    : lower_list(plan, s);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_naming_params *p = n->params;
    const kiln_spec y = kiln_plan_spec(plan, n->out[0]);
    struct kiln_scatter s = {
        .code = code_of(y.type, p->meets),
        .distinct = p->distinct,
        .base = n->in[0],
        .u = {.value = n->in[2]},
        .y = n->out[0],
    };
    const kiln_status status = kiln_plan_slices(plan, n, &y.shape, n->in[1], &s.slices);
    return status ? status : kiln_lower_scatter(plan, &s);
}

/* Of {dy, index, x}: dy added to zeros of x's shape. */
static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_naming_params *p = n->params;
    const kiln_spec y = kiln_plan_spec(plan, n->out[0]);
    struct kiln_scatter s = {
        .code = p->distinct ? KILN_MEET_SET : KILN_MEET_ADD_F,
        .distinct = p->distinct,
        .u = {.value = n->in[0]},
        .y = n->out[0],
    };
    const kiln_status status = kiln_plan_slices(plan, n, &y.shape, n->in[1], &s.slices);
    return status ? status : kiln_lower_scatter(plan, &s);
}

/* Gradients ---------------------------------------------------------------------------------------------- */

static enum kiln_naming naming_of(const kiln_node *n)
{
    return *(const enum kiln_naming *)n->op->extra;
}

/* What stands in t at the places that n's index names. */
static kiln_tensor picked(kiln_graph *g, const kiln_node *n, kiln_tensor t)
{
    const struct kiln_naming_params *p = n->params;
    return naming_of(n) == KILN_NAMES_ROWS       ? kiln_gather_batched(g, t, n->in[1], p->axis, p->batch)
           : naming_of(n) == KILN_NAMES_ELEMENTS ? kiln_gather_elements(g, t, n->in[1], p->axis)
                                                 : kiln_gather_nd(g, t, n->in[1], 0);
}

static kiln_tensor scattered(kiln_graph *g, const kiln_node *n, kiln_tensor x, kiln_tensor u,
                             kiln_scatter_kind kind)
{
    struct kiln_naming_params p = *(const struct kiln_naming_params *)n->params;
    p.meets = (int32_t)kind;
    return kiln_append(g, n->op, (const kiln_tensor[]){x, n->in[1], u}, 3, &p, sizeof p);
}

/* 0, 1, 2, .. in the order of the updates, each update's own: of their shape. */
static kiln_tensor numbers_of(kiln_graph *g, kiln_tensor u)
{
    const kiln_tensor ones = kiln_cast(g, kiln_ones_like(g, u), KILN_I32);
    const kiln_tensor flat = kiln_reshape(g, ones, KILN_SHAPE(KILN_REST));
    const kiln_cumulative_params before = {.exclusive = true};
    return kiln_reshape_to(g, kiln_cumsum(g, flat, 0, &before), u);
}

static kiln_tensor where_not(kiln_graph *g, kiln_tensor condition, kiln_tensor t)
{
    return kiln_where(g, condition, kiln_scalar(g, kiln_tensor_type(g, t), 0), t);
}

/* The update that was the last to be set. */
static void set_grad(kiln_graph *g, const kiln_node *n, kiln_tensor dy, kiln_tensor *dx)
{
    const kiln_tensor x = n->in[0], u = n->in[2];
    const struct kiln_naming_params *p = n->params;
    dx[0] = scattered(g, n, dy, kiln_zeros_like(g, u), KILN_SCATTER_SET);
    dx[2] = picked(g, n, dy);
    if (p->distinct)
        return;
    const kiln_tensor number = numbers_of(g, u);
    const kiln_tensor last =
        scattered(g, n, kiln_cast(g, kiln_zeros_like(g, x), KILN_I32), number, KILN_SCATTER_SET);
    dx[2] = where_not(g, kiln_not_equal(g, picked(g, n, last), number), dx[2]);
}

/* y / u where nothing is zero; where one alone is zero, it gets the product of the others. */
static void mul_grad(kiln_graph *g, const kiln_node *n, kiln_tensor dy, kiln_tensor *dx)
{
    const kiln_tensor in[] = {n->in[0], n->in[2]};
    const kiln_tensor zero = kiln_scalar(g, kiln_tensor_type(g, dy), 0), one = kiln_ones_like(g, zero);
    kiln_tensor is_zero[2], number[2], others[2];
    for (int i = 0; i < 2; i++) {
        is_zero[i] = kiln_equal(g, in[i], zero);
        number[i] = kiln_cast(g, is_zero[i], kiln_tensor_type(g, dy));
        others[i] = kiln_where(g, is_zero[i], one, in[i]);
    }
    const kiln_tensor product = scattered(g, n, others[0], others[1], KILN_SCATTER_MUL);
    const kiln_tensor zeros = scattered(g, n, number[0], number[1], KILN_SCATTER_ADD);
    const kiln_tensor pull = kiln_mul(g, dy, product);
    for (int i = 0; i < 2; i++) {
        const kiln_tensor beside = kiln_sub(g, i ? picked(g, n, zeros) : zeros, number[i]);
        const kiln_tensor all = kiln_div(g, i ? picked(g, n, pull) : pull, others[i]);
        dx[2 * i] = where_not(g, kiln_less(g, zero, beside), all);
    }
}

/* x if it is equal to the extreme, else the first update that is. */
static void extreme_grad(kiln_graph *g, const kiln_node *n, kiln_tensor dy, kiln_tensor *dx)
{
    const kiln_tensor x = n->in[0], u = n->in[2], y = n->out[0], number = numbers_of(g, u);
    const kiln_tensor never = kiln_scalar(g, KILN_I32, INT32_MAX);
    const kiln_tensor wins = kiln_equal(g, u, picked(g, n, y));
    const kiln_tensor taken = kiln_scalar(g, KILN_I32, -1); /* by x: before any update */
    const kiln_tensor open = kiln_where(g, kiln_equal(g, x, y), taken, never);
    const kiln_tensor first = scattered(g, n, open, kiln_where(g, wins, number, never), KILN_SCATTER_MIN);
    dx[0] = where_not(g, kiln_not_equal(g, x, y), dy);
    dx[2] = where_not(g, kiln_not_equal(g, picked(g, n, first), number), picked(g, n, dy));
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct kiln_naming_params *p = n->params;
    switch (p->meets) {
    case KILN_SCATTER_SET:
        set_grad(g, n, dy[0], dx);
        break;
    case KILN_SCATTER_ADD:
        dx[0] = dy[0];
        dx[2] = picked(g, n, dy[0]);
        break;
    case KILN_SCATTER_MUL:
        mul_grad(g, n, dy[0], dx);
        break;
    default:
        extreme_grad(g, n, dy[0], dx);
    }
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[2]);
    return KILN_OK;
}

static void grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct kiln_naming_params *p = n->params;
    dx[0] = naming_of(n) == KILN_NAMES_ROWS       ? kiln_gather_batched(g, dy[0], n->in[1], p->axis, p->batch)
            : naming_of(n) == KILN_NAMES_ELEMENTS ? kiln_gather_elements(g, dy[0], n->in[1], p->axis)
                                                  : kiln_gather_nd(g, dy[0], n->in[1], p->batch);
}

/* Sizes that depend on data ------------------------------------------------------------------------------ */

/* Inputs {x, index, updates}: an update that is not there goes nowhere. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    return input == 0   ? kiln_slices_beyond(g, n, n->in[0], n->in[1], axis)
           : input == 1 ? KILN_FILLED(KILN_NOWHERE)
                        : KILN_IGNORED;
}

static kiln_tensor counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    return kiln_slices_counted(g, n, in, in[0], in[1]);
}

/* Inputs {dy, index, x}. */
static kiln_beyond grad_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    return input == 2   ? kiln_slices_beyond(g, n, n->in[2], n->in[1], axis)
           : input == 1 ? KILN_FILLED(KILN_NOWHERE)
                        : KILN_IGNORED;
}

static kiln_tensor grad_counted(kiln_graph *g, const kiln_node *n, const kiln_tensor *in)
{
    return kiln_slices_counted(g, n, in, in[2], in[1]);
}

/* Of rows along the first axis: those of all cases are added up as those of one are. */
static kiln_tensor grad_sum(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const struct kiln_naming_params *p = n->params;
    const bool rows =
        naming_of(n) == KILN_NAMES_ROWS && !p->batch && kiln_axis_of(p->axis, c->out.shape.rank) == 0;
    if (!rows || !c->stacked[0] || !c->stacked[1])
        return KILN_NONE;
    struct kiln_naming_params first = *p;
    first.axis = 0;
    const kiln_node *sum = kiln_graph_add(g, n->op, (const kiln_tensor[]){c->in[0], c->in[1], KILN_NONE}, 3,
                                          &first, sizeof first, &c->out, 1, NULL);
    return sum ? sum->out[0] : KILN_NONE;
}

/* The operators ------------------------------------------------------------------------------------------ */

#define OP(name_, naming_)                                                         \
    const kiln_op kiln_op_##name_ = {                                              \
        .name = #name_,                                                            \
        .inputs = 3,                                                               \
        .outputs = 1,                                                              \
        .over = 1,                                                                 \
        .infer = infer,                                                            \
        .grad = grad,                                                              \
        .beyond = beyond,                                                          \
        .counted = counted,                                                        \
        .lowerings = (const kiln_lowering[]){{.name = "scatter", .lower = lower}}, \
        .lowering_count = 1,                                                       \
        .fields = kiln_naming_fields,                                              \
        .extra = &(const enum kiln_naming){KILN_NAMES_##naming_},                  \
    }

OP(scatter, ROWS);
OP(scatter_elements, ELEMENTS);
OP(scatter_nd, TUPLES);
#undef OP

#define OP(name_, naming_)                                                              \
    const kiln_op kiln_op_##name_ = {                                                   \
        .name = #name_,                                                                 \
        .inputs = 3,                                                                    \
        .outputs = 1,                                                                   \
        .shape_inputs = 1u << 2,                                                        \
        .infer = grad_infer,                                                            \
        .grad = grad_grad,                                                              \
        .beyond = grad_beyond,                                                          \
        .counted = grad_counted,                                                        \
        .lowerings = (const kiln_lowering[]){{.name = "scatter", .lower = grad_lower}}, \
        .lowering_count = 1,                                                            \
        .sum_cases = grad_sum,                                                          \
        .fields = kiln_naming_fields,                                                   \
        .extra = &(const enum kiln_naming){KILN_NAMES_##naming_},                       \
    }

OP(gather_grad, ROWS);
OP(gather_elements_grad, ELEMENTS);
OP(gather_nd_grad, TUPLES);
#undef OP

static kiln_tensor append(kiln_graph *g, const kiln_op *op, const kiln_tensor in[3], int axis,
                          const kiln_scatter_params *params)
{
    struct kiln_naming_params p = {.axis = axis};
    if (params) {
        p.meets = (int32_t)params->kind;
        p.distinct = params->distinct;
        p.batch = params->batch;
    }
    if (!in[0].id || !in[1].id || !in[2].id)
        return KILN_NONE;
    const kiln_type type = kiln_tensor_type(g, in[0]);
    if (!kiln_is_narrow(type) || (p.meets != KILN_SCATTER_ADD && p.meets != KILN_SCATTER_MUL))
        return kiln_append(g, op, in, 3, &p, sizeof p);
    const kiln_tensor wide[] = {kiln_cast(g, in[0], KILN_I32), in[1], kiln_cast(g, in[2], KILN_I32)};
    return kiln_cast(g, kiln_append(g, op, wide, 3, &p, sizeof p), type);
}

kiln_tensor kiln_scatter(kiln_graph *g, kiln_tensor x, kiln_tensor index, kiln_tensor updates, int axis,
                         const kiln_scatter_params *params)
{
    return append(g, &kiln_op_scatter, (const kiln_tensor[]){x, index, updates}, axis, params);
}

kiln_tensor kiln_scatter_elements(kiln_graph *g, kiln_tensor x, kiln_tensor index, kiln_tensor updates,
                                  int axis, const kiln_scatter_params *params)
{
    return append(g, &kiln_op_scatter_elements, (const kiln_tensor[]){x, index, updates}, axis, params);
}

kiln_tensor kiln_scatter_nd(kiln_graph *g, kiln_tensor x, kiln_tensor index, kiln_tensor updates,
                            const kiln_scatter_params *params)
{
    return append(g, &kiln_op_scatter_nd, (const kiln_tensor[]){x, index, updates}, 0, params);
}
