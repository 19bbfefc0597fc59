/*
 * chain_kernel.c - the contracts of a fused chain, one for each way of finding an operand's element: their units, windows
 * and variants. shaders/chain/chain.h says what block and constants hold.
 */
#include "chain/chain.h"
#include "chain/codes.h"
#include "chain/strided.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "shaders.h"

enum { RESULT = KILN_CHAIN_OPERANDS - 1, PER_LANE = 4, LANES = 64 };

static const struct kiln_params_chain *flat_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_chain *)d->block.words;
}

static const struct kiln_params_chain_strided *strided_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_chain_strided *)d->block.words;
}

static uint32_t walk_of(const kiln_dispatch *d, int operand)
{
    return d->constants[9] >> 4 * operand & 15;
}

static int operands_of(const kiln_dispatch *d)
{
    return (int)(d->constants[0] & 0xff);
}

static int steps_of(const kiln_dispatch *d)
{
    return (int)(d->constants[0] >> 8 & 0xff);
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* Let binding i begin `skip` elements further on and hold `span`. */
static void narrow(kiln_dispatch *d, int i, uint64_t skip, uint64_t span)
{
    d->bind[i].offset += skip * d->element[i];
    d->bind[i].bytes = span * d->element[i];
}

static bool has_rows(const kiln_dispatch *d)
{
    for (int i = 0; i < operands_of(d); i++)
        if (walk_of(d, i) == KILN_WALK_ROW || walk_of(d, i) == KILN_WALK_COLUMN)
            return true;
    return false;
}

/* Elements that one unit of the cut axis stands for: a row where there are rows, else an element. */
static uint64_t flat_unit(const kiln_dispatch *d)
{
    return has_rows(d) ? flat_of(d)->row : 1;
}

static uint64_t flat_extent(const kiln_dispatch *d)
{
    return flat_of(d)->elements / flat_unit(d);
}

static void flat_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    const uint64_t unit = flat_unit(d);
    ((struct kiln_params_chain *)d->block.words)->elements = (uint32_t)(count * unit);
    narrow(d, RESULT, first * unit, count * unit);
    for (int i = 0; i < operands_of(d); i++) {
        if (walk_of(d, i) == KILN_WALK_FLAT)
            narrow(d, i, first * unit, count * unit);
        else if (walk_of(d, i) == KILN_WALK_ROW)
            narrow(d, i, first, count);
    }
}

/* The axes of a strided chain: sizes of all but the outermost, then steps. */
static uint32_t rank_of(const kiln_dispatch *d)
{
    return d->constants[0] >> 24;
}

static uint32_t step_of(const kiln_dispatch *d, int operand, uint32_t axis)
{
    const uint32_t place = d->constants[11] >> 4 * operand & 15;
    return strided_of(d)->walk[3 * (rank_of(d) - 1) + place * rank_of(d) + axis];
}

/* Elements of the result under one index of the outermost axis. */
static uint64_t strided_unit(const kiln_dispatch *d)
{
    uint64_t unit = 1;
    for (uint32_t axis = 1; axis < rank_of(d); axis++)
        unit *= strided_of(d)->walk[3 * (axis - 1)];
    return unit;
}

static uint64_t strided_extent(const kiln_dispatch *d)
{
    return strided_of(d)->elements / strided_unit(d);
}

static void strided_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    const uint64_t unit = strided_unit(d);
    ((struct kiln_params_chain_strided *)d->block.words)->elements = (uint32_t)(count * unit);
    narrow(d, RESULT, first * unit, count * unit);
    for (int i = 0; i < operands_of(d); i++) {
        const uint32_t walk = walk_of(d, i);
        const uint64_t step = walk == KILN_WALK_STRIDED ? step_of(d, i, 0) : 0;
        if (walk == KILN_WALK_FLAT)
            narrow(d, i, first * unit, count * unit);
        else if (step) /* operands are dense, so that what follows the axis is step long */
            narrow(d, i, first * step, count * step);
    }
}

/* Work --------------------------------------------------------------------------------------------------- */

static uint64_t flat_units(const kiln_dispatch *d)
{
    return flat_of(d)->elements;
}

static uint64_t strided_units(const kiln_dispatch *d)
{
    return strided_of(d)->elements;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (d->kernel->units(d) + PER_LANE * LANES - 1) / (PER_LANE * LANES);
}

static double flops(const kiln_dispatch *d)
{
    return (double)d->kernel->units(d) * steps_of(d);
}

static bool one_step(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return steps_of(d) == 1;
}

/* A long step stands in the shaders for one step alone. */
static bool short_steps(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return !KILN_STEP_IS_LONG(d->constants[1] & 0xff);
}

/* Variants ----------------------------------------------------------------------------------------------- */

/* Whole groups. Drivers on the CPU have nothing to wait for, and longer code to compile. */
static bool whole(const kiln_caps *caps, const kiln_dispatch *d)
{
    return caps->unrolls && d->kernel->units(d) % (PER_LANE * LANES) == 0;
}

static bool one_step_together(const kiln_caps *caps, const kiln_dispatch *d)
{
    return whole(caps, d) && one_step(caps, d);
}

static bool short_steps_together(const kiln_caps *caps, const kiln_dispatch *d)
{
    return whole(caps, d) && short_steps(caps, d);
}

static const uint32_t together[] = {1};
#define VARIANT(id, title, shader, accepted)                                        \
    static const kiln_variant id##_together = {.name = title "together",            \
                                               .accepts = accepted##_together,      \
                                               .groups = groups,                    \
                                               .spirv = &kiln_spirv_##shader,       \
                                               .half = &kiln_spirv_##shader##_half, \
                                               .lanes = LANES,                      \
                                               .tuning = together,                  \
                                               .tuning_count = 1};                  \
    static const kiln_variant id = {.name = #id,                                    \
                                    .accepts = accepted,                            \
                                    .groups = groups,                               \
                                    .spirv = &kiln_spirv_##shader,                  \
                                    .half = &kiln_spirv_##shader##_half,            \
                                    .lanes = LANES}
VARIANT(one, "one_", chain_one, one_step);
VARIANT(flat, "", chain, short_steps);
VARIANT(strided_one, "one_", chain_strided_one, one_step);
VARIANT(strided, "", chain_strided, short_steps);
#undef VARIANT

#define ACCESS                                                                                  \
    {                                                                                           \
        KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE \
    }

const kiln_kernel kiln_kernel_chain = {
    .name = "chain",
    .block_size = sizeof(struct kiln_params_chain),
    .bindings = KILN_CHAIN_OPERANDS,
    .access = ACCESS,
    .mixed = (1 << KILN_CHAIN_OPERANDS) - 1,
    .bytes = (1 << KILN_CHAIN_OPERANDS) - 1,
    .units = flat_units,
    .reference = kiln_reference_chain_f32,
    .reference_f64 = kiln_reference_chain_f64,
    .gpu = (const kiln_variant *const[]){&one_together, &flat_together, &one, &flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_chain_bytes, &kiln_cpu_chain_blocks, NULL},
    .cuts = (const kiln_cut[]){{flat_extent, flat_take}},
    .cut_count = 1,
    .flops = flops,
};

const kiln_kernel kiln_kernel_chain_strided = {
    .name = "chain_strided",
    .block_size = sizeof(struct kiln_params_chain_strided),
    .bindings = KILN_CHAIN_OPERANDS,
    .access = ACCESS,
    .mixed = (1 << KILN_CHAIN_OPERANDS) - 1,
    .bytes = (1 << KILN_CHAIN_OPERANDS) - 1,
    .units = strided_units,
    .reference = kiln_reference_chain_strided_f32,
    .reference_f64 = kiln_reference_chain_strided_f64,
    .gpu =
        (const kiln_variant *const[]){&strided_one_together, &strided_together, &strided_one, &strided, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_chain_strided_blocks, NULL},
    .cuts = (const kiln_cut[]){{strided_extent, strided_take}},
    .cut_count = 1,
    .flops = flops,
};
