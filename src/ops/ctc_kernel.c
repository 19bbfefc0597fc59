/* ctc_kernel.c - the contracts of connectionist temporal classification: units, windows, variants. */
#include "ctc/ctc.h"

#include "device/caps.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

/* Invocations of a workgroup, and states that it holds in shared memory. FEW are for
 * drivers that run on the CPU, where lanes take turns and every barrier changes between them: 7 times as fast on lavapipe. */
enum { LANES = 128, FEW = 8, ROOM = 1024 };

static const struct kiln_params_ctc *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_ctc *)d->block.words;
}

static uint64_t states_of(const kiln_dispatch *d)
{
    return 2 * (uint64_t)block_of(d)->labels + 1;
}

static uint64_t sequences(const kiln_dispatch *d)
{
    return block_of(d)->sequences;
}

static double row_flops(const kiln_dispatch *d)
{
    const struct kiln_params_ctc *p = block_of(d);
    return 60.0 * p->count * p->sequences * (double)states_of(d);
}

static bool fits_shared(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return states_of(d) <= ROOM;
}

static bool suits_few(const kiln_caps *caps, const kiln_dispatch *d)
{
    return caps->software && states_of(d) <= ROOM;
}

static const kiln_variant few_lanes = {.name = "few",
                                       .accepts = suits_few,
                                       .spirv = &kiln_spirv_ctc,
                                       .half = &kiln_spirv_ctc_half,
                                       .lanes = FEW};
static const kiln_variant shared_row = {.name = "shared",
                                        .accepts = fits_shared,
                                        .spirv = &kiln_spirv_ctc,
                                        .half = &kiln_spirv_ctc_half,
                                        .lanes = LANES};
static const kiln_variant long_row = {
    .name = "long", .spirv = &kiln_spirv_ctc_long, .half = &kiln_spirv_ctc_long_half, .lanes = LANES};

const kiln_kernel kiln_kernel_ctc = {
    .name = "ctc",
    .block_size = sizeof(struct kiln_params_ctc),
    .bindings = 6,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ_WRITE, KILN_WRITE, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 5,
    .units = sequences,
    .reference = kiln_reference_ctc_f32,
    .reference_f64 = kiln_reference_ctc_f64,
    .gpu = (const kiln_variant *const[]){&few_lanes, &shared_row, &long_row, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_ctc_rows, NULL},
    .flops = row_flops,
};

/* Links: windows of sequences ---------------------------------------------------------------------------- */

static uint64_t linked(const kiln_dispatch *d)
{
    return block_of(d)->count;
}

static void take_sequences(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_ctc *p = (struct kiln_params_ctc *)d->block.words;
    const uint64_t links = p->classes + p->labels;
    p->first += (uint32_t)first;
    p->count = (uint32_t)count;
    d->bind[0].offset += first * p->labels * 4;
    d->bind[0].bytes = count * p->labels * 4;
    d->bind[2].offset += first * links * 4;
    d->bind[2].bytes = count * links * 4;
}

static const kiln_variant links = {.name = "lanes", .spirv = &kiln_spirv_ctc_links, .lanes = 64};

const kiln_kernel kiln_kernel_ctc_links = {
    .name = "ctc_links",
    .block_size = sizeof(struct kiln_params_ctc),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_READ_WRITE},
    .units = linked,
    .reference = kiln_reference_ctc_links_f32,
    .reference_f64 = kiln_reference_ctc_links_f64,
    .gpu = (const kiln_variant *const[]){&links, NULL},
    .cuts = (const kiln_cut[]){{linked, take_sequences}},
    .cut_count = 1,
};

/* The gradient: windows of frames ------------------------------------------------------------------------ */

static uint64_t frames_of_all(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->count * block_of(d)->sequences;
}

static uint64_t frames(const kiln_dispatch *d)
{
    return block_of(d)->count;
}

static void take_frames(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_ctc *p = (struct kiln_params_ctc *)d->block.words;
    const uint64_t x = (uint64_t)p->sequences * p->classes, rows = p->sequences * states_of(d);
    p->first += (uint32_t)first;
    p->count = (uint32_t)count;
    p->x_skip = kiln_bind_window(d, 0, first * x, count * x);
    kiln_bind_window(d, 7, first * x, count * x);
    p->row_skip = kiln_bind_window(d, 4, first * rows, count * rows);
    kiln_bind_window(d, 5, first * rows, count * rows);
}

static double grad_flops(const kiln_dispatch *d)
{
    return (double)frames_of_all(d) * (50 * (double)states_of(d) + block_of(d)->classes);
}

static const kiln_variant grad_few = {.name = "few",
                                      .accepts = kiln_on_software,
                                      .spirv = &kiln_spirv_ctc_grad,
                                      .half = &kiln_spirv_ctc_grad_half,
                                      .lanes = FEW};
static const kiln_variant grad = {
    .name = "frames", .spirv = &kiln_spirv_ctc_grad, .half = &kiln_spirv_ctc_grad_half, .lanes = 64};

const kiln_kernel kiln_kernel_ctc_grad = {
    .name = "ctc_grad",
    .block_size = sizeof(struct kiln_params_ctc),
    .bindings = 8,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 6 | 1 << 7,
    .units = frames_of_all,
    .reference = kiln_reference_ctc_grad_f32,
    .reference_f64 = kiln_reference_ctc_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_few, &grad, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_ctc_grad_frames, NULL},
    .cuts = (const kiln_cut[]){{frames, take_frames, kiln_cut_anywhere}},
    .cut_count = 1,
    .flops = grad_flops,
};
