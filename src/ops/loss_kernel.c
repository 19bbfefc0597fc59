/* loss_kernel.c - the contracts of cross-entropy and its gradient: units, windows, variants. */
#include "device/variants.h"
#include "loss/cross_entropy.h"
#include "ops/kernels.h"
#include "ops/rows.h"
#include "shaders.h"

static const struct kiln_params_cross_entropy *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_cross_entropy *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->rows;
}

static double flops(const kiln_dispatch *d)
{
    return 30.0 * block_of(d)->rows * block_of(d)->cols;
}

/* Windows of whole groups of `step` rows: the scores have cols values a row, what else is bound one. */
static uint64_t extent(const kiln_dispatch *d)
{
    return block_of(d)->rows / block_of(d)->step;
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_cross_entropy *p = (struct kiln_params_cross_entropy *)d->block.words;
    p->rows = (uint32_t)count * p->step;
    for (int i = 0; i < d->kernel->bindings; i++) {
        const uint64_t values = (uint64_t)p->step * (i == 0 || i == 3 ? p->cols : 1);
        const uint64_t unit = values * d->element[i];
        d->bind[i].offset += first * unit;
        d->bind[i].bytes = count * unit;
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

#define VARIANTS(name_, kernel)                                                               \
    static const kiln_variant name_##_columns = {.name = "columns",                           \
                                                 .accepts = lane_a_row,                       \
                                                 .groups = lane_groups,                       \
                                                 .rounds = columns_rounds,                    \
                                                 .spirv = &kiln_spirv_##kernel##_columns,     \
                                                 .half = &kiln_spirv_##kernel##_columns_half, \
                                                 .lanes = KILN_ROW_LANES};                    \
    static const kiln_variant name_##_rows = {.name = "rows",                                 \
                                              .spirv = &kiln_spirv_##kernel##_rows,           \
                                              .half = &kiln_spirv_##kernel##_rows_half,       \
                                              .lanes = KILN_ROW_LANES}

VARIANTS(loss, cross_entropy);
VARIANTS(grad, cross_entropy_grad);

const kiln_kernel kiln_kernel_cross_entropy = {
    .name = "cross_entropy",
    .block_size = sizeof(struct kiln_params_cross_entropy),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 2,
    .units = units,
    .reference = kiln_reference_cross_entropy_f32,
    .reference_f64 = kiln_reference_cross_entropy_f64,
    .gpu = (const kiln_variant *const[]){&loss_columns, &loss_rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_cross_entropy_rows, NULL},
    .cuts = (const kiln_cut[]){{extent, take}},
    .cut_count = 1,
    .flops = flops,
};

const kiln_kernel kiln_kernel_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .block_size = sizeof(struct kiln_params_cross_entropy),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 2 | 1 << 3,
    .units = units,
    .reference = kiln_reference_cross_entropy_grad_f32,
    .reference_f64 = kiln_reference_cross_entropy_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_columns, &grad_rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_cross_entropy_grad_rows, NULL},
    .cuts = (const kiln_cut[]){{extent, take}},
    .cut_count = 1,
    .flops = flops,
};
