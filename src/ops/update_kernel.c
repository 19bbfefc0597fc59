/*
 * update_kernel.c - the contracts of update, accumulate and row_sums, whose units and workgroups are rows
 * of the table, and of clip_factor, which is one workgroup.
 */
#include "device/variants.h"
#include "ops/kernels.h"
#include "shaders.h"

#include "update/accumulate.h"
#include "update/clip_factor.h"
#include "update/row_sums.h"
#include "update/update.h"

/* Of the first three the block begins with the number of rows. */
static uint64_t rows(const kiln_dispatch *d)
{
    return d->block.words[0];
}

static uint64_t one(const kiln_dispatch *d)
{
    (void)d;
    return 1;
}

/* A shader for each number of bindings that hold state, since a shader's bindings are all bound. */
static bool no_state(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[0] == KILN_UPDATE_SGD;
}

static bool one_state(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[0] != KILN_UPDATE_SGD && d->constants[0] <= KILN_UPDATE_RMSPROP;
}

static bool two_states(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return d->constants[0] > KILN_UPDATE_RMSPROP;
}

static const kiln_variant update_0 = {.name = "rows0", .accepts = no_state, .spirv = &kiln_spirv_update_0};
static const kiln_variant update_1 = {.name = "rows1", .accepts = one_state, .spirv = &kiln_spirv_update_1};
static const kiln_variant update_2 = {.name = "rows2", .accepts = two_states, .spirv = &kiln_spirv_update_2};
static const kiln_variant accumulate_rows = {.name = "rows", .spirv = &kiln_spirv_accumulate};
static const kiln_variant row_sums_rows = {.name = "rows", .spirv = &kiln_spirv_row_sums};
static const kiln_variant clip_factor_one = {.name = "one", .spirv = &kiln_spirv_clip_factor};

const kiln_kernel kiln_kernel_update = {
    .name = "update",
    .block_size = sizeof(struct kiln_params_update),
    .bindings = 7,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ_WRITE, KILN_READ, KILN_READ_WRITE, KILN_READ_WRITE},
    .units = rows,
    .reference = kiln_reference_update_f32,
    .reference_f64 = kiln_reference_update_f64,
    .gpu = (const kiln_variant *const[]){&update_0, &update_1, &update_2, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_update_rows, NULL},
};

const kiln_kernel kiln_kernel_accumulate = {
    .name = "accumulate",
    .block_size = sizeof(struct kiln_params_accumulate),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_READ_WRITE},
    .units = rows,
    .reference = kiln_reference_accumulate_f32,
    .reference_f64 = kiln_reference_accumulate_f64,
    .gpu = (const kiln_variant *const[]){&accumulate_rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_accumulate_rows, NULL},
};

const kiln_kernel kiln_kernel_row_sums = {
    .name = "row_sums",
    .block_size = sizeof(struct kiln_params_row_sums),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ},
    .units = rows,
    .reference = kiln_reference_row_sums_f32,
    .reference_f64 = kiln_reference_row_sums_f64,
    .gpu = (const kiln_variant *const[]){&row_sums_rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_row_sums_count, NULL},
};

const kiln_kernel kiln_kernel_clip_factor = {
    .name = "clip_factor",
    .block_size = sizeof(struct kiln_params_clip_factor),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = one,
    .reference = kiln_reference_clip_factor_f32,
    .reference_f64 = kiln_reference_clip_factor_f64,
    .gpu = (const kiln_variant *const[]){&clip_factor_one, NULL},
};
