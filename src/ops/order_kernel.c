/* order_kernel.c - the contracts of ordering and of radix passes: units, windows, variants. */
#include "device/caps.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "order/keys.h"
#include "order/order.h"
#include "order/pick.h"
#include "order/radix.h"
#include "shaders.h"

/* order -------------------------------------------------------------------------------------------------- */

static const struct kiln_params_order *order_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_order *)d->block.words;
}

static uint64_t order_units(const kiln_dispatch *d)
{
    return (uint64_t)order_block(d)->rows * order_block(d)->parts;
}

/* Comparisons, by n log n. */
static double order_flops(const kiln_dispatch *d)
{
    const struct kiln_params_order *p = order_block(d);
    double levels = 1;
    for (uint32_t size = p->padded; size > 1; size /= 2)
        levels++;
    return 2 * levels * p->rows * p->cols;
}

/* Windows of whole groups of `step` rows. */
static uint64_t order_extent(const kiln_dispatch *d)
{
    return order_block(d)->rows / order_block(d)->step;
}

static void order_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    const struct kiln_params_order *p = order_block(d);
    const uint64_t step = p->step;
    unit[0] = step * p->x_cols * d->element[0];
    unit[1] = step * p->cols * 8;
    unit[2] = step * p->kept * d->element[2];
    unit[3] = step * p->kept * 4;
    unit[4] = step * p->kept * 8;
}

static void order_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    uint64_t unit[5];
    order_bytes(d, unit);
    ((struct kiln_params_order *)d->block.words)->rows = (uint32_t)count * order_block(d)->step;
    kiln_narrow(d, first, count, unit);
}

static uint64_t order_unit(const kiln_dispatch *d)
{
    uint64_t unit[5];
    order_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

enum { SHORT = 64, SMALL = 512, LARGE = 2048 };

static bool is_short(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return order_block(d)->part <= SHORT;
}

static uint64_t lanes_of_candidates(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (order_units(d) * order_block(d)->part + 63) / 64;
}

static bool is_small(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return order_block(d)->padded <= SMALL;
}

static bool is_large(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return order_block(d)->padded <= LARGE;
}

static bool has_many_lanes(const kiln_caps *caps, const kiln_dispatch *d)
{
    return caps->max_invocations >= 512 && !caps->software && order_block(d)->padded <= LARGE;
}

static const kiln_variant ranks = {.name = "ranks",
                                   .accepts = is_short,
                                   .groups = lanes_of_candidates,
                                   .spirv = &kiln_spirv_order_ranks,
                                   .half = &kiln_spirv_order_ranks_half};
static const kiln_variant small = {.name = "bitonic_512",
                                   .accepts = is_small,
                                   .spirv = &kiln_spirv_order_bitonic,
                                   .half = &kiln_spirv_order_bitonic_half,
                                   .lanes = 128,
                                   .tuning = (const uint32_t[]){SMALL},
                                   .tuning_count = 1};
/* Of a part that shared memory could hold, few enough; of any longer one it is the only way. */
static bool keeps_few(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_order *p = order_block(d);
    return p->padded > LARGE || (p->keep <= SMALL && p->part >= 8 * p->keep && p->padded > SMALL);
}

static const kiln_variant select = {.name = "select",
                                    .accepts = keeps_few,
                                    .spirv = &kiln_spirv_order_select,
                                    .half = &kiln_spirv_order_select_half,
                                    .lanes = 128};
static const kiln_variant wide = {.name = "bitonic_2048_wide",
                                  .accepts = has_many_lanes,
                                  .spirv = &kiln_spirv_order_bitonic,
                                  .half = &kiln_spirv_order_bitonic_half,
                                  .lanes = 512,
                                  .tuning = (const uint32_t[]){LARGE},
                                  .tuning_count = 1};
static const kiln_variant large = {.name = "bitonic_2048",
                                   .accepts = is_large,
                                   .spirv = &kiln_spirv_order_bitonic,
                                   .half = &kiln_spirv_order_bitonic_half,
                                   .lanes = 128,
                                   .tuning = (const uint32_t[]){LARGE},
                                   .tuning_count = 1};

const kiln_kernel kiln_kernel_order = {
    .name = "order",
    .block_size = sizeof(struct kiln_params_order),
    .bindings = 5,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 2,
    .units = order_units,
    .reference = kiln_reference_order_f32,
    .reference_f64 = kiln_reference_order_f64,
    .gpu = (const kiln_variant *const[]){&ranks, &small, &select, &wide, &large, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_order_rows, NULL},
    .cuts = (const kiln_cut[]){{order_extent, order_take, order_unit}},
    .cut_count = 1,
    .flops = order_flops,
};

/* Pairs -------------------------------------------------------------------------------------------------- */

static const struct kiln_params_order_keys *keys_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_order_keys *)d->block.words;
}

static uint64_t keys_units(const kiln_dispatch *d)
{
    return (uint64_t)keys_block(d)->rows * keys_block(d)->cols;
}

static uint64_t a_lane_each(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + 63) / 64;
}

static uint64_t keys_extent(const kiln_dispatch *d)
{
    return keys_block(d)->rows / keys_block(d)->step;
}

static void keys_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    const uint64_t elements = (uint64_t)keys_block(d)->cols * keys_block(d)->step;
    unit[0] = elements * d->element[0];
    unit[1] = elements * 8;
}

static void keys_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    uint64_t unit[2];
    keys_bytes(d, unit);
    ((struct kiln_params_order_keys *)d->block.words)->rows = (uint32_t)count * keys_block(d)->step;
    kiln_narrow(d, first, count, unit);
}

static uint64_t keys_unit(const kiln_dispatch *d)
{
    uint64_t unit[2];
    keys_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

static const kiln_variant keys_flat = {.name = "flat",
                                       .groups = a_lane_each,
                                       .spirv = &kiln_spirv_order_keys,
                                       .half = &kiln_spirv_order_keys_half};

const kiln_kernel kiln_kernel_order_keys = {
    .name = "order_keys",
    .block_size = sizeof(struct kiln_params_order_keys),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .mixed = 1 << 0,
    .units = keys_units,
    .reference = kiln_reference_order_keys_f32,
    .reference_f64 = kiln_reference_order_keys_f64,
    .gpu = (const kiln_variant *const[]){&keys_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_order_keys_blocks, NULL},
    .cuts = (const kiln_cut[]){{keys_extent, keys_take, keys_unit}},
    .cut_count = 1,
};

static const struct kiln_params_order_pick *pick_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_order_pick *)d->block.words;
}

static uint64_t pick_units(const kiln_dispatch *d)
{
    return (uint64_t)pick_block(d)->rows * pick_block(d)->keep;
}

static uint64_t pick_extent(const kiln_dispatch *d)
{
    return pick_block(d)->rows / pick_block(d)->step;
}

static void pick_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    const struct kiln_params_order_pick *p = pick_block(d);
    const uint64_t step = p->step;
    unit[0] = step * p->x_cols * d->element[0];
    unit[1] = step * p->cols * 8;
    unit[2] = step * p->keep * d->element[2];
    unit[3] = step * p->keep * 4;
}

static void pick_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    uint64_t unit[4];
    pick_bytes(d, unit);
    ((struct kiln_params_order_pick *)d->block.words)->rows = (uint32_t)count * pick_block(d)->step;
    kiln_narrow(d, first, count, unit);
}

static uint64_t pick_unit(const kiln_dispatch *d)
{
    uint64_t unit[4];
    pick_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

static const kiln_variant pick_flat = {.name = "flat",
                                       .groups = a_lane_each,
                                       .spirv = &kiln_spirv_order_pick,
                                       .half = &kiln_spirv_order_pick_half};

const kiln_kernel kiln_kernel_order_pick = {
    .name = "order_pick",
    .block_size = sizeof(struct kiln_params_order_pick),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 2,
    .units = pick_units,
    .reference = kiln_reference_order_pick_f32,
    .reference_f64 = kiln_reference_order_pick_f64,
    .gpu = (const kiln_variant *const[]){&pick_flat, NULL},
    .cuts = (const kiln_cut[]){{pick_extent, pick_take, pick_unit}},
    .cut_count = 1,
};

/* Radix passes ------------------------------------------------------------------------------------------- */

enum { FEW_LANES = 16, MANY_LANES = 128 };

static const struct kiln_params_radix *radix_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_radix *)d->block.words;
}

static uint64_t radix_units(const kiln_dispatch *d)
{
    return (uint64_t)radix_block(d)->rows * radix_block(d)->parts;
}

/* Rows stay whole: a pair may go anywhere in its row. */
static uint64_t radix_extent(const kiln_dispatch *d)
{
    return radix_block(d)->rows;
}

static void radix_bytes(const kiln_dispatch *d, uint64_t *unit)
{
    const struct kiln_params_radix *p = radix_block(d);
    unit[0] = unit[2] = (uint64_t)p->cols * 8;
    unit[1] = ((uint64_t)p->parts << p->bits) * 4;
}

static void radix_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    uint64_t unit[3];
    radix_bytes(d, unit);
    ((struct kiln_params_radix *)d->block.words)->rows = (uint32_t)count;
    kiln_narrow(d, first, count, unit);
}

static uint64_t radix_unit(const kiln_dispatch *d)
{
    uint64_t unit[3];
    radix_bytes(d, unit);
    return kiln_narrow_unit(d, unit);
}

/* A driver that runs on the CPU switches between lanes at every barrier: few of them, with more to do, are better there. */
static const kiln_variant count_few = {
    .name = "few_lanes", .accepts = kiln_on_software, .spirv = &kiln_spirv_radix_count, .lanes = FEW_LANES};
static const kiln_variant move_few = {
    .name = "few_lanes", .accepts = kiln_on_software, .spirv = &kiln_spirv_radix_move, .lanes = FEW_LANES};
static const kiln_variant count_parts = {.name = "parts",
                                         .spirv = &kiln_spirv_radix_count,
                                         .lanes = MANY_LANES};
static const kiln_variant move_parts = {.name = "parts",
                                        .spirv = &kiln_spirv_radix_move,
                                        .lanes = MANY_LANES};

const kiln_kernel kiln_kernel_radix_count = {
    .name = "radix_count",
    .block_size = sizeof(struct kiln_params_radix),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = radix_units,
    .reference = kiln_reference_radix_count_f32,
    .reference_f64 = kiln_reference_radix_count_f64,
    .gpu = (const kiln_variant *const[]){&count_few, &count_parts, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_radix_count_parts, NULL},
    .cuts = (const kiln_cut[]){{radix_extent, radix_take, radix_unit}},
    .cut_count = 1,
};

const kiln_kernel kiln_kernel_radix_move = {
    .name = "radix_move",
    .block_size = sizeof(struct kiln_params_radix),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .units = radix_units,
    .reference = kiln_reference_radix_move_f32,
    .reference_f64 = kiln_reference_radix_move_f64,
    .gpu = (const kiln_variant *const[]){&move_few, &move_parts, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_radix_move_parts, NULL},
    .cuts = (const kiln_cut[]){{radix_extent, radix_take, radix_unit}},
    .cut_count = 1,
};
