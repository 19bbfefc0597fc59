/* scatter_kernel.c - the contracts of scatter and of the kernels that work on sorted lists: units, windows, variants. */
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "scatter/scatter.h"
#include "shaders.h"

static const struct kiln_params_scatter *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_scatter *)d->block.words;
}

static uint64_t slabs(const kiln_dispatch *d)
{
    return block_of(d)->outer;
}

static uint64_t rows_of_u(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * block_of(d)->count;
}

static uint64_t rows_of_y(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * block_of(d)->shown;
}

static uint64_t parts(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * (block_of(d)->count / KILN_SCATTER_PART);
}

static uint64_t lanes(uint64_t elements)
{
    return (elements + 63) / 64;
}

static uint64_t groups_of_rows(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return rows_of_y(d);
}

static uint64_t lanes_of_y(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return lanes(rows_of_y(d) * block_of(d)->inner);
}

static uint64_t lanes_of_u(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return lanes(rows_of_u(d) * block_of(d)->inner);
}

static uint64_t lanes_of_parts(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return lanes(parts(d) * block_of(d)->inner);
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* What a binding holds. */
enum operand { Y, INDEX, U, PAIRS, SUMS };

/* The operands of a kernel's bindings, in their order. */
static const enum operand *operands_of(const kiln_kernel *kernel)
{
    static const enum operand direct[] = {Y, INDEX, U, Y}, distinct[] = {INDEX, U, Y},
                              parts_[] = {PAIRS, U, SUMS}, runs[] = {PAIRS, U, SUMS, Y};
    return kernel == &kiln_kernel_scatter            ? direct
           : kernel == &kiln_kernel_scatter_distinct ? distinct
           : kernel == &kiln_kernel_scatter_parts    ? parts_
                                                     : runs;
}

/* Bytes that `share` neighbouring o take in each binding. */
static void outer_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    const struct kiln_params_scatter *p = block_of(d);
    const bool full = p->full;
    const uint64_t inner = p->inner, share = p->share, list = full ? inner : 1;
    const uint64_t elements[] = {
        [Y] = share * p->shown * inner,
        [INDEX] = p->count * list,
        [U] = share * p->count * inner,
        [PAIRS] = p->count * list * 2,
        [SUMS] = share * (p->count / KILN_SCATTER_PART) * inner,
    };
    for (int i = 0; i < d->kernel->bindings; i++)
        unit[i] = elements[operands_of(d->kernel)[i]] * d->element[i];
}

static uint64_t outer_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer / block_of(d)->share;
}

static void outer_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    uint64_t unit[KILN_MAX_BINDINGS];
    outer_bytes(d, unit);
    ((struct kiln_params_scatter *)d->block.words)->outer = (uint32_t)count * block_of(d)->share;
    kiln_narrow(d, first, count, unit);
}

static uint64_t outer_unit(const kiln_dispatch *d)
{
    uint64_t unit[KILN_MAX_BINDINGS];
    outer_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

/* Rows of a lone slab: every window goes through all that is scattered, and takes what is its own. */
static uint64_t row_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer == 1 && !(block_of(d)->full && block_of(d)->inner > 1) ? block_of(d)->shown : 1;
}

static void row_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_scatter *p = (struct kiln_params_scatter *)d->block.words;
    const uint64_t shown = p->shown;
    uint64_t unit[KILN_MAX_BINDINGS];
    outer_bytes(d, unit);
    for (int i = 0; i < d->kernel->bindings; i++) {
        const enum operand operand = operands_of(d->kernel)[i];
        if (operand != Y)
            continue;
        d->bind[i].offset += first * (unit[i] / shown);
        d->bind[i].bytes = count * (unit[i] / shown);
    }
    p->first += (uint32_t)first;
    KILN_DIVISOR_SET(p, shown, (uint32_t)count);
}

/* Contracts ---------------------------------------------------------------------------------------------- */

static bool has_wide_rows(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return !block_of(d)->full && block_of(d)->inner >= 32;
}

static const kiln_variant by_hits = {.name = "hits",
                                     .accepts = has_wide_rows,
                                     .groups = groups_of_rows,
                                     .spirv = &kiln_spirv_scatter_hits,
                                     .half = &kiln_spirv_scatter_hits_half};
static const kiln_variant by_lanes = {.name = "lanes",
                                      .groups = lanes_of_y,
                                      .spirv = &kiln_spirv_scatter_lanes,
                                      .half = &kiln_spirv_scatter_lanes_half};
static const kiln_variant distinct = {.name = "flat",
                                      .groups = lanes_of_u,
                                      .spirv = &kiln_spirv_scatter_distinct,
                                      .half = &kiln_spirv_scatter_distinct_half};
static const kiln_variant sums = {.name = "flat",
                                  .groups = lanes_of_parts,
                                  .spirv = &kiln_spirv_scatter_parts,
                                  .half = &kiln_spirv_scatter_parts_half};
static const kiln_variant runs = {.name = "flat",
                                  .groups = lanes_of_u,
                                  .spirv = &kiln_spirv_scatter_runs,
                                  .half = &kiln_spirv_scatter_runs_half};

#define CUTS \
    .cuts = (const kiln_cut[]){{outer_extent, outer_take, outer_unit}, {row_extent, row_take}}, .cut_count = 2

const kiln_kernel kiln_kernel_scatter = {
    .name = "scatter",
    .block_size = sizeof(struct kiln_params_scatter),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 2 | 1 << 3,
    .units = slabs,
    .reference = kiln_reference_scatter_f32,
    .reference_f64 = kiln_reference_scatter_f64,
    .gpu = (const kiln_variant *const[]){&by_hits, &by_lanes, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_scatter_ranges, NULL},
    CUTS,
};

const kiln_kernel kiln_kernel_scatter_distinct = {
    .name = "scatter_distinct",
    .block_size = sizeof(struct kiln_params_scatter),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_READ_WRITE},
    .mixed = 1 << 1 | 1 << 2,
    .units = rows_of_u,
    .reference = kiln_reference_scatter_distinct_f32,
    .reference_f64 = kiln_reference_scatter_distinct_f64,
    .gpu = (const kiln_variant *const[]){&distinct, NULL},
    CUTS,
};

const kiln_kernel kiln_kernel_scatter_parts = {
    .name = "scatter_parts",
    .block_size = sizeof(struct kiln_params_scatter),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .mixed = 1 << 1,
    .units = parts,
    .reference = kiln_reference_scatter_parts_f32,
    .reference_f64 = kiln_reference_scatter_parts_f64,
    .gpu = (const kiln_variant *const[]){&sums, NULL},
    CUTS,
};

const kiln_kernel kiln_kernel_scatter_runs = {
    .name = "scatter_runs",
    .block_size = sizeof(struct kiln_params_scatter),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ_WRITE},
    .mixed = 1 << 1 | 1 << 3,
    .units = slabs,
    .reference = kiln_reference_scatter_runs_f32,
    .reference_f64 = kiln_reference_scatter_runs_f64,
    .gpu = (const kiln_variant *const[]){&runs, NULL},
    CUTS,
};
