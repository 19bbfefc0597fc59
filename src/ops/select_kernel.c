/* select_kernel.c - the contracts of compact and of the kernels behind unique. */
#include "ops/kernels.h"
#include "select/compact.h"
#include "select/unique.h"
#include "shaders.h"

static uint64_t a_lane_each(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + 63) / 64;
}

static uint64_t elements(const kiln_dispatch *d)
{
    return ((const struct kiln_params_compact *)d->block.words)->elements;
}

static uint64_t rows(const kiln_dispatch *d)
{
    return ((const struct kiln_params_unique *)d->block.words)->rows;
}

static const kiln_variant compact = {.name = "flat", .groups = a_lane_each, .spirv = &kiln_spirv_compact};
static const kiln_variant heads = {.name = "flat",
                                   .groups = a_lane_each,
                                   .spirv = &kiln_spirv_unique_heads,
                                   .half = &kiln_spirv_unique_heads_half};
static const kiln_variant store = {.name = "flat",
                                   .groups = a_lane_each,
                                   .spirv = &kiln_spirv_unique_store,
                                   .half = &kiln_spirv_unique_store_half};
static const kiln_variant counts = {.name = "flat",
                                    .groups = a_lane_each,
                                    .spirv = &kiln_spirv_unique_counts};

const kiln_kernel kiln_kernel_compact = {
    .name = "compact",
    .block_size = sizeof(struct kiln_params_compact),
    .bindings = 3,
    .access = {KILN_READ, KILN_WRITE, KILN_WRITE},
    .units = elements,
    .reference = kiln_reference_compact_f32,
    .reference_f64 = kiln_reference_compact_f64,
    .gpu = (const kiln_variant *const[]){&compact, NULL},
};

const kiln_kernel kiln_kernel_unique_heads = {
    .name = "unique_heads",
    .block_size = sizeof(struct kiln_params_unique),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .mixed = 1 << 0,
    .units = rows,
    .reference = kiln_reference_unique_heads_f32,
    .reference_f64 = kiln_reference_unique_heads_f64,
    .gpu = (const kiln_variant *const[]){&heads, NULL},
};

const kiln_kernel kiln_kernel_unique_store = {
    .name = "unique_store",
    .block_size = sizeof(struct kiln_params_unique),
    .bindings = 7,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 4,
    .units = rows,
    .reference = kiln_reference_unique_store_f32,
    .reference_f64 = kiln_reference_unique_store_f64,
    .gpu = (const kiln_variant *const[]){&store, NULL},
};

const kiln_kernel kiln_kernel_unique_counts = {
    .name = "unique_counts",
    .block_size = sizeof(struct kiln_params_unique),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = rows,
    .reference = kiln_reference_unique_counts_f32,
    .reference_f64 = kiln_reference_unique_counts_f64,
    .gpu = (const kiln_variant *const[]){&counts, NULL},
};
