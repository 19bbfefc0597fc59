/*
 * control_gate.c - the kernel that lets the dispatches of a region run, or not: see compiler/region.c.
 *
 * Kernel: shaders/control/, src/cpu/control.c.   Tests: tests/ops/control.c.
 */
#include "control/gate.h"
#include "ops/kernels.h"
#include "shaders.h"

static uint64_t units(const kiln_dispatch *d)
{
    return ((const struct kiln_params_gate *)d->block.words)->count;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + 63) / 64;
}

static const kiln_variant flat = {.name = "flat", .groups = groups, .spirv = &kiln_spirv_gate};

const kiln_kernel kiln_kernel_gate = {
    .name = "gate",
    .block_size = sizeof(struct kiln_params_gate),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .units = units,
    .reference = kiln_reference_gate_f32,
    .reference_f64 = kiln_reference_gate_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
};
