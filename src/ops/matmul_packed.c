/*
 * matmul_packed.c - matmul by one matrix for all rows, packed as columns, on the CPU: when that pays, the dispatches, the contract.
 *
 * The matrix is packed by a dispatch of its own: of weights that stay it goes to the prologue. The contract has no code for GPUs,
 * and no cuts, since operands are bound whole.
 */
#include "matmul/matmul_packed.h"

#include <string.h>

#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/pack_columns.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/lower.h"
#include "ops/matmul.h"
#include "ops/splits.h"

enum {
    FEW = 8,   /* rows, for which b is read once, as it lies */
    SOME = 72, /* rows, for which tiles read columns that lie side by side as fast as packed ones */
};

/* Lowering ----------------------------------------------------------------------------------------------- */

struct packed {
    struct kiln_params_matmul_packed block;
    struct kiln_params_pack_columns pack;
};

/* The sizes of a node; false where b is not one matrix, or where a's matrices are no rows behind one another. */
static bool sizes_of(const kiln_plan *plan, const kiln_node *n, struct packed *to)
{
    const kiln_matmul_params *p = n->params;
    const kiln_shape a = kiln_plan_spec(plan, n->in[0]).shape, b = kiln_plan_spec(plan, n->in[1]).shape;
    const kiln_shape out = kiln_plan_spec(plan, n->out[0]).shape;
    const uint32_t rows = (uint32_t)out.size[out.rank - 2], k = (uint32_t)a.size[a.rank - 1 - p->transpose_a],
                   columns = (uint32_t)out.size[out.rank - 1];
    struct kiln_batch_axis axis[KILN_MAX_RANK];
    const int axes = kiln_batch_axes(&a, &b, &out, axis);
    const bool one = axes == 1 && axis[0].b == 0 && !p->transpose_a && axis[0].a == (uint64_t)rows * k;
    if (kiln_shape_count(&out) == 0 || (axes && !one))
        return false;
    to->block = (struct kiln_params_matmul_packed){
        .m = axes ? rows * (uint32_t)axis[0].size : rows,
        .n = columns,
        .k = k,
        .rows = rows,
        .a_m = p->transpose_a ? 1 : k,
        .a_k = p->transpose_a ? rows : 1,
    };
    to->pack = (struct kiln_params_pack_columns){
        .columns = columns,
        .depth = k,
        .column_step = p->transpose_b ? k : 1,
        .depth_step = p->transpose_b ? 1 : columns,
    };
    return true;
}

bool kiln_matmul_packed_accepts(kiln_plan *plan, const kiln_node *n)
{
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_matmul_packed,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
    };
    struct packed s;
    return kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU &&
           kiln_plan_element(plan, n->in[0]) == sizeof(float) && !kiln_plan_lean(plan) &&
           sizes_of(plan, n, &s) && s.block.k > 0 &&
           kiln_plan_binds_whole(plan, &d, kiln_packed_columns(&s.pack));
}

/* Columns that nearly fill their blocks, and rows, as they lie, that are worth the packing. */
bool kiln_matmul_packed_pays(kiln_plan *plan, const kiln_node *n)
{
    struct packed s;
    return sizes_of(plan, n, &s) &&
           4 * s.pack.columns >= 3 * kiln_round_up(s.pack.columns, KILN_PACKED_COLUMNS) && s.block.a_k == 1 &&
           s.block.m > (s.pack.depth_step == 1 ? FEW : SOME);
}

kiln_form kiln_matmul_packed_form(const kiln_plan *plan, const kiln_node *n)
{
    struct packed s;
    if (!sizes_of(plan, n, &s))
        return (kiln_form){0};
    return (kiln_form){kiln_packed_columns(&s.pack) * sizeof(float), s.block.m};
}

kiln_status kiln_matmul_packed_lower(kiln_plan *plan, const kiln_node *n)
{
    struct packed s;
    if (!sizes_of(plan, n, &s))
        return KILN_OK;
    kiln_tensor packed;
    kiln_status status = kiln_lower_pack_columns(plan, n->in[1], &s.pack, &packed);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_matmul_packed,
        .bind = {{.value = n->in[0]}, {.value = packed}, {.value = n->out[0]}},
        .block_size = sizeof s.block,
    };
    if (!status)
        status = kiln_epilogue_write(plan, n, &d, 0, 3, s.block.immediate);
    d.constant_count = KILN_EPILOGUE_CONSTANTS;
    memcpy(d.block.bytes, &s.block, sizeof s.block);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

/* Contract ----------------------------------------------------------------------------------------------- */

static const struct kiln_params_matmul_packed *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_matmul_packed *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->m;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_matmul_packed *p = block_of(d);
    return 2.0 * p->m * p->n * p->k;
}

const kiln_kernel kiln_kernel_matmul_packed = {
    .name = "matmul_packed",
    .block_size = sizeof(struct kiln_params_matmul_packed),
    .bindings = 5,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .units = units,
    .reference = kiln_reference_matmul_packed_f32,
    .reference_f64 = kiln_reference_matmul_packed_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_matmul_packed_blocks, NULL},
    .flops = flops,
};
