/* normalize_kernel.c - the contracts of normalization and its gradients: units, windows, variants. */
#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "normalize/normalize.h"
#include "normalize/sums.h"
#include "ops/kernels.h"
#include "ops/rows.h"
#include "ops/window.h"
#include "shaders.h"

static const struct kiln_params_normalize *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_normalize *)d->block.words;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->rows;
}

static double flops(const kiln_dispatch *d)
{
    return 10.0 * block_of(d)->rows * block_of(d)->cols;
}

/* Windows of whole groups of rows, so that their channels stay the same. */
static uint64_t extent(const kiln_dispatch *d)
{
    const struct kiln_params_normalize *p = block_of(d);
    return p->rows / p->step / p->groups;
}

/* Values of x that belong to a unit of the cut. */
static uint64_t values_of(const struct kiln_params_normalize *p)
{
    return (uint64_t)p->step * p->groups * p->cols;
}

static uint64_t unit(const kiln_dispatch *d)
{
    return kiln_value_unit(values_of(block_of(d)));
}

/* x and what has its shape; mean and inverse stay whole. */
static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_normalize *p = (struct kiln_params_normalize *)d->block.words;
    const bool grad = d->kernel == &kiln_kernel_normalize_grad;
    const uint64_t values = values_of(p);
    p->first += (uint32_t)first * p->step * p->groups;
    p->rows = (uint32_t)count * p->step * p->groups;
    for (int i = 0; i < 6; i++)
        if (i == 0 || (grad ? i == 1 || i == 5 : i == 3)) {
            d->bind[i].offset += first * values * d->element[i];
            d->bind[i].bytes = count * values * d->element[i];
        }
}

static const kiln_cut cut = {extent, take, unit};

static bool lane_a_row(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_rows_suit_lanes(block_of(d)->cols, block_of(d)->step);
}

static uint64_t lane_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + KILN_ROW_LANES - 1) / KILN_ROW_LANES;
}

#define COLUMNS(name_, spirv_)                                                                     \
    {                                                                                              \
        .name = "columns", .accepts = name_, .groups = lane_groups, .spirv = &kiln_spirv_##spirv_, \
        .half = &kiln_spirv_##spirv_##_half, .lanes = KILN_ROW_LANES,                              \
    }
#define ROWS(spirv_)                                                                        \
    {                                                                                       \
        .name = "rows", .spirv = &kiln_spirv_##spirv_, .half = &kiln_spirv_##spirv_##_half, \
        .lanes = KILN_ROW_LANES                                                             \
    }

/* Whether a team of lanes reads rows in fours, and what scales and shifts their elements. */
static bool team_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_normalize *p = block_of(d);
    const bool each = p->groups == 1 && p->inner == 1;
    return kiln_has_teams(caps) && p->step == 1 && p->cols % 4 == 0 &&
           (uint64_t)p->rows * p->cols <= caps->max_texels &&
           (each || !(d->constants[0] & (KILN_NORMALIZE_SCALED | KILN_NORMALIZE_SHIFTED)));
}

static uint64_t team_rounds(const kiln_dispatch *d)
{
    return 3 * (uint64_t)kiln_parts(block_of(d)->cols, 4 * KILN_TEAM_LANES);
}

#define FOURS(spirv_, texels_)                                                                        \
    {                                                                                                 \
        .name = "fours", .accepts = team_accepts, .pays = kiln_on_software, .rounds = team_rounds,    \
        .spirv = &kiln_spirv_##spirv_, .half = &kiln_spirv_##spirv_##_half, .lanes = KILN_TEAM_LANES, \
        .texels = texels_, .fours = texels_,                                                          \
    }

static const kiln_variant fours = FOURS(normalize_fours, 1 << 0 | 1 << 1 | 1 << 2),
                          grad_fours = FOURS(normalize_grad_fours, 1 << 0 | 1 << 1 | 1 << 2);
static const kiln_variant columns = COLUMNS(lane_a_row, normalize_columns), rows = ROWS(normalize_rows);
static const kiln_variant grad_columns = COLUMNS(lane_a_row, normalize_grad_columns),
                          grad_rows = ROWS(normalize_grad_rows);

const kiln_kernel kiln_kernel_normalize = {
    .name = "normalize",
    .block_size = sizeof(struct kiln_params_normalize),
    .bindings = 6,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE, KILN_WRITE},
    .halves = 1 << 0 | 1 << 3,
    .mixed = 1 << 1 | 1 << 2,
    .units = units,
    .reference = kiln_reference_normalize_f32,
    .reference_f64 = kiln_reference_normalize_f64,
    .gpu = (const kiln_variant *const[]){&fours, &columns, &rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_normalize_rows, NULL},
    .cuts = &cut,
    .cut_count = 1,
    .flops = flops,
};

const kiln_kernel kiln_kernel_normalize_grad = {
    .name = "normalize_grad",
    .block_size = sizeof(struct kiln_params_normalize),
    .bindings = 6,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1 | 1 << 5,
    .mixed = 1 << 2,
    .units = units,
    .reference = kiln_reference_normalize_grad_f32,
    .reference_f64 = kiln_reference_normalize_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_fours, &grad_columns, &grad_rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_normalize_grad_rows, NULL},
    .cuts = &cut,
    .cut_count = 1,
    .flops = flops,
};

/* normalize_sums ----------------------------------------------------------------------------------------- */

static const struct kiln_params_normalize_sums *sums_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_normalize_sums *)d->block.words;
}

static uint64_t sums_units(const kiln_dispatch *d)
{
    return (uint64_t)sums_of(d)->parts * sums_of(d)->channels;
}

static double sums_flops(const kiln_dispatch *d)
{
    const struct kiln_params_normalize_sums *p = sums_of(d);
    return 5.0 * p->count * p->channels * p->inner;
}

/* Windows of whole parts. */
static uint64_t sums_extent(const kiln_dispatch *d)
{
    return sums_of(d)->parts;
}

static uint64_t sums_unit(const kiln_dispatch *d)
{
    const struct kiln_params_normalize_sums *p = sums_of(d);
    return kiln_value_unit((uint64_t)p->part_length * p->channels * p->inner);
}

static void sums_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_normalize_sums *p = (struct kiln_params_normalize_sums *)d->block.words;
    const uint64_t from = first * p->part_length, left = p->count - from, wanted = count * p->part_length;
    const uint64_t values = (uint64_t)p->channels * p->inner;
    p->count = (uint32_t)(wanted < left ? wanted : left);
    p->parts = (uint32_t)count;
    p->first_row += (uint32_t)from * p->groups;
    p->first_part += (uint32_t)first;
    for (int i = 0; i < 2; i++) {
        d->bind[i].offset += from * values * d->element[i];
        d->bind[i].bytes = p->count * values * d->element[i];
    }
}

static bool side_by_side(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return sums_of(d)->inner < KILN_ROW_LANES / 4;
}

static const kiln_variant sums_columns = COLUMNS(side_by_side, normalize_sums_columns),
                          sums_rows = ROWS(normalize_sums_rows);

const kiln_kernel kiln_kernel_normalize_sums = {
    .name = "normalize_sums",
    .block_size = sizeof(struct kiln_params_normalize_sums),
    .bindings = 6,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = sums_units,
    .reference = kiln_reference_normalize_sums_f32,
    .reference_f64 = kiln_reference_normalize_sums_f64,
    .gpu = (const kiln_variant *const[]){&sums_columns, &sums_rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_normalize_sums_parts, NULL},
    .cuts = (const kiln_cut[]){{sums_extent, sums_take, sums_unit}},
    .cut_count = 1,
    .flops = sums_flops,
};
