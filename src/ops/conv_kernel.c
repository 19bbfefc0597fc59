/*
 * conv_kernel.c - the contracts of 2-D convolution and its gradients: units, windows and variants.
 *
 * On a GPU all three are implicit products of matrices in tiles of 64 x 64; on drivers that run on the CPU
 * each invocation keeps 8 x 8 results in registers, as for matmul.
 *
 *                  rows            columns                     summed
 *   conv2d         filters         positions of all images     channels * u * v
 *   grad_input     channels        pixels of all images        filters * u * v
 *   grad_filter    filters         channels * u * v            positions of a split's images
 */
#include "conv/conv2d.h"

#include "device/caps.h"
#include "device/variants.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "shaders.h"

static const struct kiln_params_conv2d *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv2d *)d->block.words;
}

static uint64_t splits_of(const struct kiln_params_conv2d *p)
{
    return p->per_split ? ((uint64_t)p->images + p->per_split - 1) / p->per_split : 1;
}

/* Elements of one filter. */
static uint64_t taps_of(const struct kiln_params_conv2d *p)
{
    return (uint64_t)p->channels * p->u * p->v;
}

static double conv2d_flops(const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return 2.0 * p->images * p->groups * p->filters * p->oh * p->ow * (double)taps_of(p);
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* Let binding i begin `skip` elements further on and hold `span` of them behind its first. */
static void narrow(kiln_dispatch *d, int i, uint64_t skip, uint64_t span)
{
    d->bind[i].offset += skip * d->element[i];
    d->bind[i].bytes = span * d->element[i];
}

static uint64_t images_extent(const kiln_dispatch *d)
{
    return block_of(d)->images;
}

/* The fewest images, a multiple of `step`, behind which both operands are at a multiple of 256 bytes. */
static uint64_t whole_images(const kiln_dispatch *d, uint64_t step)
{
    const struct kiln_params_conv2d *p = block_of(d);
    const uint64_t grain = kiln_dispatch_unit(d);
    uint64_t unit = step;
    while (unit * p->x_image % grain || unit * p->y_image % grain)
        unit += step;
    return unit;
}

static uint64_t images_unit(const kiln_dispatch *d)
{
    return whole_images(d, 1);
}

static void conv2d_take_images(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv2d *p = (struct kiln_params_conv2d *)d->block.words;
    p->images = (uint32_t)count;
    narrow(d, 0, first * p->x_image, count * p->x_image);
    narrow(d, 2, first * p->y_image, count * p->y_image);
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++)
        if (d->bind[3 + i].value.id && (d->constants[0] >> (16 + 4 * i) & 15) == KILN_WALK_FLAT)
            narrow(d, 3 + i, first * p->y_image, count * p->y_image);
}

static uint64_t filters_extent(const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return p->groups == 1 ? p->filters : 1;
}

static void conv2d_take_filters(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv2d *p = (struct kiln_params_conv2d *)d->block.words;
    const uint64_t plane = (uint64_t)p->oh * p->ow,
                   span = (p->images - 1) * (uint64_t)p->y_image + count * plane;
    p->filters = (uint32_t)count;
    narrow(d, 1, first * taps_of(p), count * taps_of(p));
    narrow(d, 2, first * plane, span);
    for (int i = 0; i < KILN_EPILOGUE_OPERANDS; i++) {
        const uint32_t walk = d->constants[0] >> (16 + 4 * i) & 15;
        if (d->bind[3 + i].value.id && walk == KILN_WALK_FLAT)
            narrow(d, 3 + i, first * plane, span);
        else if (d->bind[3 + i].value.id && walk == KILN_WALK_COLUMN)
            narrow(d, 3 + i, first, count);
    }
}

static void grad_input_take_images(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv2d *p = (struct kiln_params_conv2d *)d->block.words;
    p->images = (uint32_t)count;
    narrow(d, 0, first * p->y_image, count * p->y_image);
    narrow(d, 2, first * p->x_image, count * p->x_image);
}

static uint64_t grad_filter_extent(const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return splits_of(p) > 1 ? p->images : 1;
}

static uint64_t grad_filter_unit(const kiln_dispatch *d)
{
    return whole_images(d, block_of(d)->per_split);
}

static void grad_filter_take_images(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_conv2d *p = (struct kiln_params_conv2d *)d->block.words;
    p->images = (uint32_t)count;
    narrow(d, 0, first * p->y_image, count * p->y_image);
    narrow(d, 1, first * p->x_image, count * p->x_image);
    narrow(d, 2, first / p->per_split * p->part, splits_of(p) * p->part);
}

/* Units -------------------------------------------------------------------------------------------------- */

/* Planes of y, planes of x, filters of all splits. */
static uint64_t conv2d_units(const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return (uint64_t)p->images * p->groups * p->filters;
}

static uint64_t grad_input_units(const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return (uint64_t)p->images * p->groups * p->channels;
}

static uint64_t grad_filter_units(const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return splits_of(p) * p->groups * p->filters;
}

/* Variants ----------------------------------------------------------------------------------------------- */

static uint64_t parts(uint64_t count, uint64_t size)
{
    return (count + size - 1) / size;
}

/* Tiles of `size` x `size` results: the images count as one row of columns, groups and splits apart. */
static uint64_t conv2d_tiles(const struct kiln_params_conv2d *p, uint32_t size)
{
    return p->groups * parts(p->filters, size) * parts((uint64_t)p->images * p->oh * p->ow, size);
}

static uint64_t grad_input_tiles(const struct kiln_params_conv2d *p, uint32_t size)
{
    return p->groups * parts(p->channels, size) * parts((uint64_t)p->images * p->h * p->w, size);
}

static uint64_t grad_filter_tiles(const struct kiln_params_conv2d *p, uint32_t size)
{
    return splits_of(p) * p->groups * parts(p->filters, size) * parts(taps_of(p), size);
}

#define GROUPS(kernel)                                                                    \
    static uint64_t kernel##_direct_groups(const kiln_caps *caps, const kiln_dispatch *d) \
    {                                                                                     \
        (void)caps;                                                                       \
        return parts(kernel##_tiles(block_of(d), 8), 64);                                 \
    }                                                                                     \
    static uint64_t kernel##_tiled_groups(const kiln_caps *caps, const kiln_dispatch *d)  \
    {                                                                                     \
        (void)caps;                                                                       \
        return kernel##_tiles(block_of(d), 64);                                           \
    }
GROUPS(conv2d)
GROUPS(grad_input)
GROUPS(grad_filter)
#undef GROUPS

static bool software(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)d;
    return caps->software;
}

static uint64_t filters_span(const struct kiln_params_conv2d *p)
{
    return p->groups * p->filters * taps_of(p);
}

static bool conv2d_fits_texels(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return caps->software && (uint64_t)p->images * p->x_image <= caps->max_texels &&
           filters_span(p) <= caps->max_texels;
}

static bool grad_input_fits_texels(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return caps->software && (uint64_t)p->images * p->y_image <= caps->max_texels &&
           filters_span(p) <= caps->max_texels;
}

static bool grad_filter_fits_texels(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv2d *p = block_of(d);
    return caps->software && (uint64_t)p->images * p->x_image <= caps->max_texels &&
           (uint64_t)p->images * p->y_image <= caps->max_texels;
}

#define VARIANTS(kernel, stem)                           \
    static const kiln_variant kernel##_direct_texels = { \
        .name = "direct_texels",                         \
        .accepts = kernel##_fits_texels,                 \
        .groups = kernel##_direct_groups,                \
        .spirv = &kiln_spirv_##stem##_direct_texels,     \
        .half = &kiln_spirv_##stem##_direct_texels_half, \
        .texels = 1 << 0 | 1 << 1,                       \
    };                                                   \
    static const kiln_variant kernel##_direct = {        \
        .name = "direct",                                \
        .accepts = software,                             \
        .groups = kernel##_direct_groups,                \
        .spirv = &kiln_spirv_##stem##_direct,            \
        .half = &kiln_spirv_##stem##_direct_half,        \
    };                                                   \
    static const kiln_variant kernel##_tiled = {         \
        .name = "tiled_64",                              \
        .groups = kernel##_tiled_groups,                 \
        .spirv = &kiln_spirv_##stem##_tiled,             \
        .half = &kiln_spirv_##stem##_tiled_half,         \
        .lanes = 128,                                    \
    };
VARIANTS(conv2d, conv2d)
VARIANTS(grad_input, conv2d_grad_input)
VARIANTS(grad_filter, conv2d_grad_filter)
#undef VARIANTS

/* Contracts ---------------------------------------------------------------------------------------------- */

const kiln_kernel kiln_kernel_conv2d = {
    .name = "conv2d",
    .block_size = sizeof(struct kiln_params_conv2d),
    .bindings = 5,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .halves = 1 << 0 | 1 << 1,
    .mixed = 1 << 2 | 1 << 3 | 1 << 4,
    .units = conv2d_units,
    .reference = kiln_reference_conv2d_f32,
    .reference_f64 = kiln_reference_conv2d_f64,
    .gpu = (const kiln_variant *const[]){&conv2d_direct_texels, &conv2d_direct, &conv2d_tiled, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv2d_taps, NULL},
    .cuts = (const kiln_cut[]){{images_extent, conv2d_take_images, images_unit},
                               {filters_extent, conv2d_take_filters}},
    .cut_count = 2,
    .flops = conv2d_flops,
};

const kiln_kernel kiln_kernel_conv2d_grad_input = {
    .name = "conv2d_grad_input",
    .block_size = sizeof(struct kiln_params_conv2d),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1 | 1 << 2,
    .units = grad_input_units,
    .reference = kiln_reference_conv2d_grad_input_f32,
    .reference_f64 = kiln_reference_conv2d_grad_input_f64,
    .gpu =
        (const kiln_variant *const[]){&grad_input_direct_texels, &grad_input_direct, &grad_input_tiled, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv2d_grad_input_taps, NULL},
    .cuts = (const kiln_cut[]){{images_extent, grad_input_take_images, images_unit}},
    .cut_count = 1,
    .flops = conv2d_flops,
};

const kiln_kernel kiln_kernel_conv2d_grad_filter = {
    .name = "conv2d_grad_filter",
    .block_size = sizeof(struct kiln_params_conv2d),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .mixed = 1 << 2,
    .units = grad_filter_units,
    .reference = kiln_reference_conv2d_grad_filter_f32,
    .reference_f64 = kiln_reference_conv2d_grad_filter_f64,
    .gpu = (const kiln_variant *const[]){&grad_filter_direct_texels, &grad_filter_direct, &grad_filter_tiled,
                                         NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv2d_grad_filter_dots, NULL},
    .cuts = (const kiln_cut[]){{grad_filter_extent, grad_filter_take_images, grad_filter_unit}},
    .cut_count = 1,
    .flops = conv2d_flops,
};
