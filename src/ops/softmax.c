/*
 * softmax.c - softmax and log-softmax over one axis.
 *
 *   y[.., c, ..] = exp(x[.., c, ..]) / sum over c of exp(x[.., c, ..]), computed from the largest value on
 *
 * Kernels: shaders/softmax/, src/cpu/softmax.c, src/cpu/softmax_fast.c.   Tests: tests/ops/softmax.c.
 */
#include "softmax/softmax.h"

#include <math.h>

#include <kiln/ops.h>

#include "device/variants.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/kernels.h"
#include "ops/rows.h"
#include "shaders.h"

/* The operators ------------------------------------------------------------------------------------------ */

static kiln_tensor append(kiln_graph *g, const kiln_op *op, kiln_tensor x, int axis)
{
    const int32_t p = x.id ? kiln_axis_of(axis, kiln_tensor_shape(g, x).rank) : 0;
    return x.id ? kiln_append(g, op, &x, 1, &p, sizeof p) : KILN_NONE;
}

kiln_tensor kiln_softmax(kiln_graph *g, kiln_tensor x, int axis)
{
    return append(g, &kiln_op_softmax, x, axis);
}

kiln_tensor kiln_log_softmax(kiln_graph *g, kiln_tensor x, int axis)
{
    return append(g, &kiln_op_log_softmax, x, axis);
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    out[0] = kiln_tensor_spec(g, n->in[0]);
    if (!kiln_type_is_real(out[0].type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted a real type",
                              kiln_type_name(out[0].type));
    if (*(const int32_t *)n->params < 0)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "the axis is out of range, x has rank %d",
                              out[0].shape.rank);
    return KILN_OK;
}

static kiln_tensor cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const int32_t axis = *(const int32_t *)n->params + 1;
    return kiln_cases_append(g, n, c, c->in, &axis);
}

static kiln_tensor row_sum(kiln_graph *g, const kiln_node *n, kiln_tensor t)
{
    const int axis = *(const int32_t *)n->params;
    return kiln_sum(g, t, &(kiln_reduce_params){.axes = KILN_AXES(axis), .keep = true});
}

/* dx = y * dy - y * sum(y * dy) */
static void softmax_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_tensor pull = kiln_mul(g, n->out[0], dy[0]);
    dx[0] = kiln_sub(g, pull, kiln_mul(g, n->out[0], row_sum(g, n, pull)));
}

/* dx = dy - exp(y) * sum(dy) */
static void log_softmax_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_sub(g, dy[0], kiln_mul(g, kiln_exp(g, n->out[0]), row_sum(g, n, dy[0])));
}

static kiln_beyond beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)input;
    return axis == *(const int32_t *)n->params ? KILN_FILLED(-INFINITY) : KILN_IGNORED;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape shape = kiln_plan_spec(plan, n->in[0]).shape;
    const struct kiln_rows rows = kiln_rows_of(&shape, *(const int32_t *)n->params);
    if (rows.count == 0 || rows.length == 0)
        return KILN_OK;
    kiln_dispatch d = {
        .kernel = &kiln_kernel_softmax,
        .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
        .constants = {n->op == &kiln_op_log_softmax},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_softmax),
    };
    *(struct kiln_params_softmax *)d.block.words =
        (struct kiln_params_softmax){.rows = rows.count, .cols = rows.length, .step = rows.step};
    return kiln_plan_dispatch(plan, &d);
}

static const kiln_lowering lowerings[] = {{.name = "rows", .lower = lower}};

const kiln_op kiln_op_softmax = {
    .name = "softmax",
    .fields = (const kiln_field[]){{"axis", KILN_FIELD_INT, 0, 1}, {0}},
    .inputs = 1,
    .outputs = 1,
    .infer = infer,
    .grad = softmax_grad,
    .beyond = beyond,
    .lowerings = lowerings,
    .lowering_count = 1,
    .cases = cases,
};

const kiln_op kiln_op_log_softmax = {
    .name = "log_softmax",
    .fields = (const kiln_field[]){{"axis", KILN_FIELD_INT, 0, 1}, {0}},
    .inputs = 1,
    .outputs = 1,
    .infer = infer,
    .grad = log_softmax_grad,
    .beyond = beyond,
    .lowerings = lowerings,
    .lowering_count = 1,
    .cases = cases,
};

/* The kernel --------------------------------------------------------------------------------------------- */

static const struct kiln_params_softmax *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_softmax *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->rows;
}

static double flops(const kiln_dispatch *d)
{
    return 30.0 * block_of(d)->rows * block_of(d)->cols;
}

/* Windows of whole groups of `step` rows. */
static uint64_t extent(const kiln_dispatch *d)
{
    return block_of(d)->rows / block_of(d)->step;
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_softmax *p = (struct kiln_params_softmax *)d->block.words;
    const uint64_t unit = (uint64_t)p->cols * p->step;
    p->rows = (uint32_t)count * p->step;
    for (int i = 0; i < 2; i++) {
        d->bind[i].offset += first * unit * d->element[i];
        d->bind[i].bytes = count * unit * d->element[i];
    }
}

static bool lane_a_row(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_rows_suit_lanes(block_of(d)->cols, block_of(d)->step);
}

static uint64_t lane_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + KILN_ROW_LANES - 1) / KILN_ROW_LANES;
}

static uint64_t columns_rounds(const kiln_dispatch *d)
{
    return 3 * (uint64_t)block_of(d)->cols;
}

static const kiln_variant columns = {.name = "columns",
                                     .accepts = lane_a_row,
                                     .groups = lane_groups,
                                     .rounds = columns_rounds,
                                     .spirv = &kiln_spirv_softmax_columns,
                                     .half = &kiln_spirv_softmax_columns_half,
                                     .lanes = KILN_ROW_LANES};
static const kiln_variant rows = {.name = "rows",
                                  .spirv = &kiln_spirv_softmax_rows,
                                  .half = &kiln_spirv_softmax_rows_half,
                                  .lanes = KILN_ROW_LANES};

const kiln_kernel kiln_kernel_softmax = {
    .name = "softmax",
    .block_size = sizeof(struct kiln_params_softmax),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_softmax_f32,
    .reference_f64 = kiln_reference_softmax_f64,
    .gpu = (const kiln_variant *const[]){&columns, &rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_softmax_rows, NULL},
    .cuts = (const kiln_cut[]){{extent, take}},
    .cut_count = 1,
    .flops = flops,
};
