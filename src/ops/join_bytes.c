/*
 * join_bytes.c - a concatenation of bytes on the CPU, an input at a time: when that is so, the dispatch, the contract.
 *
 * The kernels: src/cpu/layout.c, src/cpu/join_bytes_fast.c.   Tests: tests/cpu/bytes.c, tests/compiler/channels.c.
 */
#include "layout/join_bytes.h"

#include "device/caps.h"
#include "device/variants.h"
#include "ops/copy.h"
#include "ops/kernels.h"
#include "ops/splits.h"

/* x's place in y along the axis, from `begin` on. */
static kiln_dispatch dispatch_of(const kiln_plan *plan, kiln_tensor x, kiln_tensor y, int axis, int64_t begin)
{
    const kiln_shape from = kiln_plan_spec(plan, x).shape, to = kiln_plan_spec(plan, y).shape;
    kiln_dispatch d = {.kernel = &kiln_kernel_join_bytes,
                       .bind = {{.value = x}, {.value = y}},
                       .block_size = sizeof(struct kiln_params_join_bytes)};
    int64_t rows = 1, inner = 1;
    for (int i = 0; i < axis; i++)
        rows *= to.size[i];
    for (int i = axis + 1; i < to.rank; i++)
        inner *= to.size[i];
    *(struct kiln_params_join_bytes *)d.block.words =
        (struct kiln_params_join_bytes){(uint32_t)rows, (uint32_t)(from.size[axis] * inner),
                                        (uint32_t)(to.size[axis] * inner), (uint32_t)(begin * inner)};
    return d;
}

bool kiln_join_bytes_accepts(const kiln_plan *plan, kiln_tensor x, kiln_tensor y)
{
    const kiln_shape shape = kiln_plan_spec(plan, x).shape;
    const kiln_dispatch d = {.kernel = &kiln_kernel_join_bytes, .bind = {{.value = x}, {.value = y}}};
    return kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU && kiln_plan_element(plan, y) == 1 &&
           kiln_shape_count(&shape) > 0 && kiln_plan_binds_whole(plan, &d, 0);
}

kiln_status kiln_join_bytes_lower(kiln_plan *plan, kiln_tensor x, kiln_tensor y, int axis, int64_t begin)
{
    const kiln_dispatch d = dispatch_of(plan, x, y, axis, begin);
    return kiln_plan_dispatch(plan, &d);
}

static uint64_t units(const kiln_dispatch *d)
{
    return ((const struct kiln_params_join_bytes *)d->block.words)->rows;
}

const kiln_kernel kiln_kernel_join_bytes = {
    .name = "join_bytes",
    .block_size = sizeof(struct kiln_params_join_bytes),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .bytes = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_join_bytes_f32,
    .reference_f64 = kiln_reference_join_bytes_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_join_bytes_rows, NULL},
};
