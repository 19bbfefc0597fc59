/* norm_kernel.c - the contracts of moments and of merging their parts: units, windows, variants. */
#include "device/variants.h"
#include "norm/merge.h"
#include "norm/moments.h"
#include "ops/kernels.h"
#include "shaders.h"

enum { LANES = 64 };

static const struct kiln_params_moments *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_moments *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    const struct kiln_params_moments *p = block_of(d);
    return (uint64_t)p->parts * p->outer * p->kept * p->inner;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_moments *p = block_of(d);
    return 4.0 * p->outer * p->first * p->kept * p->second * p->inner;
}

/* Windows along the outermost axis that is there. */
static void narrow(kiln_dispatch *d, uint64_t first, uint64_t count, uint64_t x, uint64_t y)
{
    for (int i = 0; i < 3; i++) {
        d->bind[i].offset += first * (i ? y : x) * d->element[i];
        d->bind[i].bytes = count * (i ? y : x) * d->element[i];
    }
}

static uint64_t outer_extent(const kiln_dispatch *d)
{
    return block_of(d)->parts == 1 ? block_of(d)->outer : 1;
}

static void outer_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_moments *p = (struct kiln_params_moments *)d->block.words;
    const uint64_t y = (uint64_t)p->kept * p->inner;
    p->outer = (uint32_t)count;
    narrow(d, first, count, y * p->first * p->second, y);
}

static uint64_t kept_extent(const kiln_dispatch *d)
{
    const struct kiln_params_moments *p = block_of(d);
    return p->parts == 1 && p->outer == 1 && p->first == 1 ? p->kept : 1;
}

static void kept_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_moments *p = (struct kiln_params_moments *)d->block.words;
    p->kept = (uint32_t)count;
    narrow(d, first, count, (uint64_t)p->second * p->inner, p->inner);
}

static bool side_by_side(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return block_of(d)->inner >= LANES / 4;
}

static uint64_t a_lane_each(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + LANES - 1) / LANES;
}

static const kiln_variant columns = {.name = "columns",
                                     .accepts = side_by_side,
                                     .groups = a_lane_each,
                                     .spirv = &kiln_spirv_moments_columns,
                                     .half = &kiln_spirv_moments_columns_half,
                                     .lanes = LANES};
static const kiln_variant rows = {
    .name = "rows", .spirv = &kiln_spirv_moments_rows, .half = &kiln_spirv_moments_rows_half, .lanes = LANES};

const kiln_kernel kiln_kernel_moments = {
    .name = "moments",
    .block_size = sizeof(struct kiln_params_moments),
    .bindings = 3,
    .access = {KILN_READ, KILN_WRITE, KILN_WRITE},
    .halves = 1 << 0,
    .mixed = 1 << 1 | 1 << 2,
    .sums = true,
    .units = units,
    .reference = kiln_reference_moments_f32,
    .reference_f64 = kiln_reference_moments_f64,
    .gpu = (const kiln_variant *const[]){&columns, &rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_moments_lanes, NULL},
    .cuts = (const kiln_cut[]){{outer_extent, outer_take}, {kept_extent, kept_take}},
    .cut_count = 2,
    .flops = flops,
};

/* moments_merge ------------------------------------------------------------------------------------------ */

static uint64_t merge_units(const kiln_dispatch *d)
{
    return ((const struct kiln_params_moments_merge *)d->block.words)->results;
}

static const kiln_variant merge_flat = {.name = "flat",
                                        .groups = a_lane_each,
                                        .spirv = &kiln_spirv_moments_merge,
                                        .half = &kiln_spirv_moments_merge_half,
                                        .lanes = LANES};

const kiln_kernel kiln_kernel_moments_merge = {
    .name = "moments_merge",
    .block_size = sizeof(struct kiln_params_moments_merge),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE},
    .mixed = 1 << 2 | 1 << 3,
    .units = merge_units,
    .reference = kiln_reference_moments_merge_f32,
    .reference_f64 = kiln_reference_moments_merge_f64,
    .gpu = (const kiln_variant *const[]){&merge_flat, NULL},
};
