/* nms_kernel.c - the contracts of non-maximum suppression: rows may be cut anywhere. */
#include "device/variants.h"
#include "nms/nms.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

enum {
    SCAN_LANES = 128,
    PICK_LANES = 128,
    TREE = 9 /* rounds that find the best of all lanes, and the pass itself */
};

static struct kiln_params_nms *block_of(const kiln_dispatch *d)
{
    return (struct kiln_params_nms *)d->block.words;
}

static uint64_t boxes(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->rows * block_of(d)->count;
}

static uint64_t rows(const kiln_dispatch *d)
{
    return block_of(d)->rows;
}

static uint64_t tiles(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (uint64_t)block_of(d)->rows * block_of(d)->tiles * block_of(d)->words;
}

/* Let each binding have the rows [first, first + count), of unit[i] elements in binding i. */
static void take(kiln_dispatch *d, uint64_t first, uint64_t count, const uint64_t *unit)
{
    struct kiln_params_nms *p = block_of(d);
    for (int i = 0; i < d->kernel->bindings; i++)
        p->first[i] = kiln_bind_window(d, i, p->first[i] + first * unit[i], count * unit[i]);
    p->rows = (uint32_t)count;
}

static uint64_t mask_of_row(const struct kiln_params_nms *p)
{
    return (uint64_t)p->count * p->words;
}

static void take_masks(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    const struct kiln_params_nms *p = block_of(d);
    take(d, first, count, (const uint64_t[]){4 * (uint64_t)p->count, p->count, p->count, mask_of_row(p)});
}

static void take_scans(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    const struct kiln_params_nms *p = block_of(d);
    take(d, first, count, (const uint64_t[]){p->count, mask_of_row(p), p->count, p->keep, p->keep, 1});
}

static void take_picks(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    const struct kiln_params_nms *p = block_of(d);
    take(d, first, count,
         (const uint64_t[]){4 * (uint64_t)p->count, p->count, p->count, p->count, p->count, p->keep, p->keep,
                            1});
}

/* Some twenty operations a pair of boxes, each pair once. */
static double mask_flops(const kiln_dispatch *d)
{
    return 10.0 * (double)boxes(d) * block_of(d)->count;
}

/* A pass a box that is kept. */
static double pick_flops(const kiln_dispatch *d)
{
    return 20.0 * (double)boxes(d) * block_of(d)->keep;
}

/* Per 32 boxes: those that are kept among them, and for each word behind them, a lane's share of which is half of all on average. */
static uint64_t scan_rounds(const kiln_dispatch *d)
{
    const struct kiln_params_nms *p = block_of(d);
    const uint64_t words = p->words, steps = 1 + 32 / KILN_NMS_UNROLLED;
    const uint64_t shares = words + words * words / (2 * SCAN_LANES);
    return steps * (words + shares) + (words + p->keep) / SCAN_LANES + 2;
}

/* A pass over the boxes for each that is kept, and a tree of lanes. */
static uint64_t pick_rounds(const kiln_dispatch *d)
{
    const struct kiln_params_nms *p = block_of(d);
    const uint64_t passes = 1 + (uint64_t)(p->keep < p->count ? p->keep : p->count);
    return passes * (p->count / PICK_LANES + TREE) + p->keep / PICK_LANES + 1;
}

static const kiln_variant mask_tiles = {
    .name = "tiles", .groups = tiles, .spirv = &kiln_spirv_nms_mask, .lanes = KILN_NMS_TILE};
static const kiln_variant scan_rows = {
    .name = "rows", .spirv = &kiln_spirv_nms_scan, .lanes = SCAN_LANES, .rounds = scan_rounds};
static const kiln_variant pick_rows = {
    .name = "rows", .spirv = &kiln_spirv_nms_pick, .lanes = PICK_LANES, .rounds = pick_rounds};

const kiln_kernel kiln_kernel_nms_mask = {
    .name = "nms_mask",
    .block_size = sizeof(struct kiln_params_nms),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .units = boxes,
    .reference = kiln_reference_nms_mask_f32,
    .reference_f64 = kiln_reference_nms_mask_f64,
    .gpu = (const kiln_variant *const[]){&mask_tiles, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_nms_mask_words, NULL},
    .cuts = (const kiln_cut[]){{rows, take_masks, kiln_cut_anywhere}},
    .cut_count = 1,
    .flops = mask_flops,
};

const kiln_kernel kiln_kernel_nms_scan = {
    .name = "nms_scan",
    .block_size = sizeof(struct kiln_params_nms),
    .bindings = 6,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE, KILN_WRITE},
    .units = rows,
    .reference = kiln_reference_nms_scan_f32,
    .reference_f64 = kiln_reference_nms_scan_f64,
    .gpu = (const kiln_variant *const[]){&scan_rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_nms_scan_rows, NULL},
    .cuts = (const kiln_cut[]){{rows, take_scans, kiln_cut_anywhere}},
    .cut_count = 1,
};

const kiln_kernel kiln_kernel_nms_pick = {
    .name = "nms_pick",
    .block_size = sizeof(struct kiln_params_nms),
    .bindings = 8,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE, KILN_WRITE, KILN_WRITE},
    .units = rows,
    .reference = kiln_reference_nms_pick_f32,
    .reference_f64 = kiln_reference_nms_pick_f64,
    .gpu = (const kiln_variant *const[]){&pick_rows, NULL},
    .cuts = (const kiln_cut[]){{rows, take_picks, kiln_cut_anywhere}},
    .cut_count = 1,
    .flops = pick_flops,
};
