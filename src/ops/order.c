/*
 * order.c - sort, and the k first of an order, along an axis.
 *
 *   sort     y = the elements of each row in ascending or descending order, and where each stood
 *   top_k    the first k of that
 *
 * Both are stable: equal elements keep the order of their positions. NaN counts as larger than everything else.
 *
 * Lowering, by the length of a row alone:
 *
 *   order    one kernel, a row at a time, where a row suits it. For few of a long row it selects the k first of each part of the
 *            row as pairs (key, position), then of those again, until one part is left.
 *   radix    a long row becomes pairs, which pass by pass are moved to their places by one digit of the key, the lowest first:
 *            count the digits of each part, cumulate the counts over (digit, part), move.
 *
 * The gradient puts dy back where the elements stood.
 *
 * Kernels: src/ops/order_kernel.c, shaders/order/, src/cpu/order.c, src/cpu/order_fast.c.   Tests: tests/ops/order.c.
 */
#include "ops/order.h"
#include "ops/beyond.h"

#include <kiln/indexing.h>
#include <kiln/ops.h>

#include "base/log.h"
#include "cumulative/codes.h"
#include "device/caps.h"
#include "ops/cumulative.h"
#include "ops/kernels.h"
#include "ops/slices.h"
#include "order/keys.h"
#include "order/order.h"
#include "order/pick.h"
#include "order/radix.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

struct order {
    int64_t axis, k;    /* k: of top_k */
    int64_t descending; /* 1: the largest first */
};

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct order *p = n->params;
    out[0] = kiln_tensor_spec(g, n->in[0]);
    if (p->axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "the axis is out of range, x has rank %d",
                              out[0].shape.rank);
    int64_t *size = &out[0].shape.size[p->axis];
    if (n->op == &kiln_op_top_k) {
        if (p->k < 0 || (*size >= 0 && p->k > *size))
            return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "k is %lld, of rows of %lld elements",
                                  (long long)p->k, (long long)*size);
        *size = p->k;
    }
    out[1] = (kiln_spec){KILN_I32, out[0].shape};
    return KILN_OK;
}

/* The positions are distinct, so that no two elements of dy meet. */
static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct order *p = n->params;
    const struct kiln_naming_params names = {.axis = (int32_t)p->axis, .distinct = true};
    const kiln_tensor in[] = {dy[0], n->out[1], n->in[0]};
    if (dy[0].id)
        dx[0] = kiln_append(g, &kiln_op_gather_elements_grad, in, 3, &names, sizeof names);
}

/* They come last, behind what is equal. */
static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const struct order *p = n->params;
    const kiln_type type = kiln_tensor_type(g, n->in[0]);
    (void)input;
    if (axis != p->axis)
        return KILN_IGNORED;
    return KILN_FILLED(kiln_last_of(type, p->descending));
}

static kiln_tensor append(kiln_graph *g, const kiln_op *op, kiln_tensor x, int axis, int64_t k,
                          bool descending)
{
    const struct order p = {kiln_axis_of(axis, kiln_tensor_shape(g, x).rank), k, descending};
    return x.id ? kiln_append(g, op, &x, 1, &p, sizeof p) : KILN_NONE;
}

/* Dispatches --------------------------------------------------------------------------------------------- */

enum {
    GPU_PART = 2048,  /* elements that a workgroup orders in shared memory ... */
    GPU_LONG = 16384, /* ... or of which it selects a few */
    GPU_FEW = 512,
    SOFTWARE_PART = 512, /* where shared memory is as slow as any, passes are fewer steps sooner */
    GPU_DIGIT = 4,       /* bits of a radix pass */
    CPU_ROW = 1 << 16,   /* longer rows are shared by threads */
    CPU_PART = 1 << 15,  /* as parts of so many pairs */
    CPU_DIGIT = 8,
};

static bool on_cpu(const kiln_plan *plan)
{
    return kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU;
}

static uint32_t padded(uint32_t count)
{
    uint32_t power = 1;
    while (power < count)
        power *= 2;
    return power;
}

static uint32_t parts_of(uint32_t cols, uint32_t part)
{
    return (cols + part - 1) / part;
}

kiln_tensor kiln_plan_pairs(kiln_plan *plan, uint32_t rows, uint32_t cols)
{
    return kiln_plan_temporary(plan, KILN_I32, 2 * (int64_t)rows * cols);
}

kiln_status kiln_lower_keys(kiln_plan *plan, uint32_t code, bool descending, uint32_t range, kiln_binding x,
                            const struct kiln_rows *rows, kiln_tensor pairs)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_order_keys,
        .bind = {x, {.value = pairs}},
        .constants = {code},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_order_keys),
    };
    struct kiln_params_order_keys *block = (struct kiln_params_order_keys *)d.block.words;
    block->rows = rows->count;
    block->range = range;
    block->descending = descending;
    KILN_DIVISOR_SET(block, cols, rows->length);
    KILN_DIVISOR_SET(block, step, rows->step);
    return kiln_plan_dispatch(plan, &d);
}

/* Radix passes ------------------------------------------------------------------------------------------- */

static kiln_status pass(kiln_plan *plan, const kiln_kernel *kernel, const struct kiln_params_radix *block,
                        const kiln_tensor bind[3])
{
    kiln_dispatch d = {
        .kernel = kernel,
        .bind = {{.value = bind[0]}, {.value = bind[1]}, {.value = bind[2]}},
        .block_size = sizeof *block,
    };
    *(struct kiln_params_radix *)d.block.words = *block;
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status pass_by_digit(kiln_plan *plan, const struct kiln_params_radix *block, kiln_tensor from,
                                 kiln_tensor to)
{
    const uint32_t counters = block->parts << block->bits;
    const kiln_tensor counts = kiln_plan_temporary(plan, KILN_I32, (int64_t)block->rows * counters);
    const kiln_tensor starts = kiln_plan_temporary(plan, KILN_I32, (int64_t)block->rows * counters);
    kiln_status status =
        pass(plan, &kiln_kernel_radix_count, block, (const kiln_tensor[]){from, counts, KILN_NONE});
    if (!status)
        status = kiln_lower_cumulation(plan, &(struct kiln_cumulation){
                                                 .code = KILN_CUMULATE_SUM_I,
                                                 .how = KILN_CUMULATE_EXCLUSIVE,
                                                 .rows = {block->rows, counters, 1},
                                                 .x = counts,
                                                 .y = starts,
                                             });
    return status ? status
                  : pass(plan, &kiln_kernel_radix_move, block, (const kiln_tensor[]){from, starts, to});
}

kiln_status kiln_lower_sort_pairs(kiln_plan *plan, kiln_tensor pairs, uint32_t rows, uint32_t cols,
                                  uint32_t bits, kiln_tensor *sorted)
{
    const uint32_t part = on_cpu(plan) ? CPU_PART : KILN_RADIX_PART;
    struct kiln_params_radix block = {
        .rows = rows,
        .cols = cols,
        .parts = parts_of(cols, part),
        .part = part,
        .bits = on_cpu(plan) ? CPU_DIGIT : GPU_DIGIT,
    };
    kiln_tensor from = pairs, to = kiln_plan_pairs(plan, rows, cols);
    for (; block.shift < bits; block.shift += block.bits) {
        const kiln_status status = pass_by_digit(plan, &block, from, to);
        if (status)
            return status;
        const kiln_tensor swap = from;
        from = to;
        to = swap;
    }
    *sorted = from;
    return KILN_OK;
}

/* The lowerings ------------------------------------------------------------------------------------------ */

/* A node as work: the first `keep` of each row of x. */
struct work {
    struct kiln_rows rows;
    uint32_t keep, code;
    bool descending;
    kiln_tensor x, values, positions;
};

static uint32_t code_of(kiln_type type)
{
    const bool natural = type == KILN_BOOL || kiln_type_is_unsigned(type);
    return kiln_type_is_real(type) ? KILN_KEY_F : natural ? KILN_KEY_U : KILN_KEY_I;
}

static struct work work_of(const kiln_plan *plan, const kiln_node *n)
{
    const struct order *p = n->params;
    const kiln_spec x = kiln_plan_spec(plan, n->in[0]), y = kiln_plan_spec(plan, n->out[0]);
    return (struct work){
        .rows = kiln_rows_of(&x.shape, (int)p->axis),
        .keep = (uint32_t)y.shape.size[p->axis],
        .code = code_of(x.type),
        .descending = p->descending,
        .x = n->in[0],
        .values = n->out[0],
        .positions = n->out[1],
    };
}

/* Of `cols` candidates a row, in parts: pairs where `found` is given, else the result. */
static kiln_status dispatch_order(kiln_plan *plan, const struct work *w, kiln_tensor given, uint32_t cols,
                                  uint32_t part, uint32_t kept, kiln_tensor found)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_order,
        .bind = {{.value = w->x},
                 {.value = given},
                 {.value = found.id ? KILN_NONE : w->values},
                 {.value = found.id ? KILN_NONE : w->positions},
                 {.value = found}},
        .constants = {w->code},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_order),
    };
    *(struct kiln_params_order *)d.block.words = (struct kiln_params_order){
        .rows = w->rows.count,
        .cols = cols,
        .x_cols = w->rows.length,
        .step = w->rows.step,
        .parts = parts_of(cols, part),
        .part = part,
        .keep = w->keep,
        .kept = kept,
        .padded = padded(part < cols ? part : cols),
        .descending = w->descending,
        .mode = (given.id ? KILN_ORDER_GIVEN : 0) | (found.id ? KILN_ORDER_PAIRS : 0),
    };
    return kiln_plan_dispatch(plan, &d);
}

/* How many elements one unit of the kernel takes. */
static uint32_t part_of(const kiln_plan *plan, const struct work *w)
{
    if (kiln_plan_element(plan, w->x) == 8)
        return w->rows.length; /* pairs hold no doubles */
    if (on_cpu(plan))
        return CPU_ROW;
    if (w->keep <= GPU_FEW && w->rows.length > GPU_PART)
        return GPU_LONG;
    return kiln_plan_caps(plan)->software && w->keep == w->rows.length ? SOFTWARE_PART : GPU_PART;
}

/* Selection makes less of a row, part by part, as long as a part keeps at most half. */
static bool suits_order(const kiln_plan *plan, const struct work *w)
{
    const uint32_t part = part_of(plan, w);
    return w->rows.length <= part || w->keep <= part / 2;
}

static kiln_status lower_order(kiln_plan *plan, const struct work *w)
{
    const uint32_t part = part_of(plan, w);
    kiln_tensor given = KILN_NONE;
    uint32_t cols = w->rows.length;
    while (cols > part) {
        const uint32_t whole = cols / part, rest = cols % part;
        const uint32_t kept = whole * w->keep + (rest < w->keep ? rest : w->keep);
        const kiln_tensor found = kiln_plan_pairs(plan, w->rows.count, kept);
        const kiln_status status = dispatch_order(plan, w, given, cols, part, kept, found);
        if (status)
            return status;
        given = found;
        cols = kept;
    }
    return dispatch_order(plan, w, given, cols, cols, w->keep, KILN_NONE);
}

static kiln_status lower_radix(kiln_plan *plan, const struct work *w)
{
    const kiln_tensor pairs = kiln_plan_pairs(plan, w->rows.count, w->rows.length);
    kiln_tensor sorted = KILN_NONE;
    kiln_status status =
        kiln_lower_keys(plan, w->code, w->descending, 0, (kiln_binding){.value = w->x}, &w->rows, pairs);
    if (!status)
        status = kiln_lower_sort_pairs(plan, pairs, w->rows.count, w->rows.length, 32, &sorted);
    if (status)
        return status;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_order_pick,
        .bind = {{.value = w->x}, {.value = sorted}, {.value = w->values}, {.value = w->positions}},
        .block_size = sizeof(struct kiln_params_order_pick),
    };
    struct kiln_params_order_pick *block = (struct kiln_params_order_pick *)d.block.words;
    block->rows = w->rows.count;
    block->cols = block->x_cols = w->rows.length;
    KILN_DIVISOR_SET(block, keep, w->keep);
    KILN_DIVISOR_SET(block, step, w->rows.step);
    return kiln_plan_dispatch(plan, &d);
}

kiln_status kiln_lower_sort(kiln_plan *plan, kiln_tensor x, uint32_t count, kiln_tensor values,
                            kiln_tensor positions)
{
    const struct work w = {
        .rows = {1, count, 1},
        .keep = count,
        .code = code_of(kiln_plan_spec(plan, x).type),
        .x = x,
        .values = values,
        .positions = positions,
    };
    return suits_order(plan, &w) ? lower_order(plan, &w) : lower_radix(plan, &w);
}

static bool order_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct work w = work_of(plan, n);
    return suits_order(plan, &w);
}

static kiln_status order_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct work w = work_of(plan, n);
    return lower_order(plan, &w);
}

static kiln_status radix_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct work w = work_of(plan, n);
    return lower_radix(plan, &w);
}

/* The operators ------------------------------------------------------------------------------------------ */

static const kiln_lowering lowerings[] = {{"order", order_accepts, order_lower},
                                          {"radix", NULL, radix_lower}};

static const kiln_field fields[] = {
    {"axis", KILN_FIELD_I64, offsetof(struct order, axis), 1},
    {"k", KILN_FIELD_I64, offsetof(struct order, k), 1},
    {"descending", KILN_FIELD_I64, offsetof(struct order, descending), 1},
    {0},
};

const kiln_op kiln_op_sort = {
    .name = "sort",
    .inputs = 1,
    .outputs = 2,
    .infer = infer,
    .beyond = beyond,
    .grad = grad,
    .lowerings = lowerings,
    .lowering_count = 2,
    .fields = fields,
};

const kiln_op kiln_op_top_k = {
    .name = "top_k",
    .inputs = 1,
    .outputs = 2,
    .infer = infer,
    .beyond = beyond,
    .grad = grad,
    .lowerings = lowerings,
    .lowering_count = 2,
    .fields = fields,
};

kiln_tensor kiln_sort(kiln_graph *g, kiln_tensor x, int axis, bool descending, kiln_tensor *index)
{
    const kiln_tensor y = append(g, &kiln_op_sort, x, axis, 0, descending);
    if (index)
        *index = kiln_node_output(g, y, 1);
    return y;
}

kiln_tensor kiln_argsort(kiln_graph *g, kiln_tensor x, int axis, bool descending)
{
    return kiln_node_output(g, append(g, &kiln_op_sort, x, axis, 0, descending), 1);
}

kiln_tensor kiln_top_k(kiln_graph *g, kiln_tensor x, int64_t k, int axis, const kiln_top_k_params *params,
                       kiln_tensor *index)
{
    const kiln_top_k_params p = params ? *params : (kiln_top_k_params){0};
    kiln_tensor y = append(g, &kiln_op_top_k, x, axis, k, !p.smallest);
    kiln_tensor at = kiln_node_output(g, y, 1);
    if (p.by_position) {
        at = kiln_sort(g, at, axis, false, NULL);
        y = kiln_gather_elements(g, x, at, axis);
    }
    if (index)
        *index = at;
    return y;
}
