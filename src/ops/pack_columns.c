/*
 * pack_columns.c - a matrix's columns as the CPU's tiles multiply by them: the contract, and how lowerings plan it.
 *
 * Of weights that stay the dispatch goes to the prologue. There is no code for GPUs, and no cuts: operands are bound whole.
 */
#include "matmul/pack_columns.h"

#include <string.h>

#include "base/number.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/lower.h"

uint64_t kiln_packed_columns(const struct kiln_params_pack_columns *p)
{
    return (uint64_t)p->depth * kiln_round_up(p->columns, KILN_PACKED_COLUMNS);
}

kiln_status kiln_lower_pack_columns(kiln_plan *plan, kiln_tensor from,
                                    const struct kiln_params_pack_columns *p, kiln_tensor *packed)
{
    *packed = kiln_plan_temporary(plan, KILN_F32, (int64_t)kiln_packed_columns(p));
    kiln_dispatch d = {
        .kernel = &kiln_kernel_pack_columns,
        .bind = {{.value = from}, {.value = *packed}},
        .block_size = sizeof *p,
    };
    memcpy(d.block.bytes, p, sizeof *p);
    return kiln_plan_dispatch(plan, &d);
}

static uint64_t units(const kiln_dispatch *d)
{
    return kiln_parts(((const struct kiln_params_pack_columns *)d->block.words)->columns,
                      KILN_PACKED_COLUMNS);
}

const kiln_kernel kiln_kernel_pack_columns = {
    .name = "pack_columns",
    .block_size = sizeof(struct kiln_params_pack_columns),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = units,
    .reference = kiln_reference_pack_columns_f32,
    .reference_f64 = kiln_reference_pack_columns_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_pack_columns_panels, NULL},
};
