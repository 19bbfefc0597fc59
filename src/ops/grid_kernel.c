/* grid_kernel.c - sampling's nodes become dispatches, and their contracts: units, windows, variants. */
#include "ops/grid.h"

#include "device/variants.h"
#include "ops/lower.h"
#include "ops/window.h"
#include "shaders.h"

/* Lowering ----------------------------------------------------------------------------------------------- */

static kiln_dispatch dispatch_of(const kiln_kernel *kernel, const struct kiln_grid *p, const kiln_shape *x,
                                 const kiln_shape *grid)
{
    const bool volume = x->rank == 5;
    kiln_dispatch d = {.kernel = kernel,
                       .constants = {(uint32_t)p->mode, (uint32_t)p->padding,
                                     (p->align_corners ? KILN_GRID_ALIGN : 0) |
                                         (p->elements ? KILN_GRID_ELEMENTS : 0) |
                                         (volume ? KILN_GRID_VOLUME : 0)},
                       .constant_count = 3,
                       .block_size = sizeof(struct kiln_params_grid)};
    struct kiln_params_grid *b = (struct kiln_params_grid *)d.block.words;
    const kiln_shape places = kiln_shape_of(grid->rank - 2, grid->size + 1);
    KILN_DIVISOR_SET(b, places, (uint32_t)kiln_shape_count(&places));
    KILN_DIVISOR_SET(b, channels, (uint32_t)x->size[1]);
    b->d = volume ? (uint32_t)x->size[2] : 1;
    b->h = (uint32_t)x->size[x->rank - 2];
    b->w = (uint32_t)x->size[x->rank - 1];
    b->results = (uint32_t)x->size[0] * b->places;
    return d;
}

static kiln_status sample_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, grid = kiln_plan_spec(plan, n->in[1]).shape,
                     y = kiln_plan_spec(plan, n->out[0]).shape;
    kiln_dispatch d = dispatch_of(&kiln_kernel_grid_sample, n->params, &x, &grid);
    if (kiln_shape_count(&y) == 0)
        return KILN_OK;
    ((struct kiln_params_grid *)d.block.words)->results = (uint32_t)kiln_shape_count(&y);
    d.bind[0].value = n->in[0];
    d.bind[1].value = n->in[1];
    d.bind[2].value = n->out[0];
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, grid = kiln_plan_spec(plan, n->in[1]).shape;
    kiln_dispatch d = dispatch_of(&kiln_kernel_grid_sample_grad, n->params, &x, &grid);
    if (kiln_shape_count(&grid) == 0)
        return KILN_OK;
    if (kiln_shape_count(&x) == 0)
        return kiln_lower_constant(plan, n->out[0], 0);
    d.bind[0].value = n->in[0];
    d.bind[1].value = n->in[1];
    d.bind[2].value = n->out[0];
    d.bind[3].value = n->in[2];
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status taps_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape grid = kiln_plan_spec(plan, n->in[0]).shape, x = kiln_plan_spec(plan, n->in[1]).shape;
    kiln_dispatch d = dispatch_of(&kiln_kernel_grid_taps, n->params, &x, &grid);
    if (kiln_shape_count(&grid) == 0)
        return KILN_OK;
    d.bind[0].value = n->in[0];
    d.bind[1].value = n->out[0];
    d.bind[2].value = n->out[1];
    return kiln_plan_dispatch(plan, &d);
}

const kiln_lowering kiln_grid_sample_lowering = {.name = "places", .lower = sample_lower};
const kiln_lowering kiln_grid_sample_grad_lowering = {.name = "places", .lower = grad_lower};
const kiln_lowering kiln_grid_taps_lowering = {.name = "places", .lower = taps_lower};

/* Windows ------------------------------------------------------------------------------------------------ */

static const struct kiln_params_grid *block(const kiln_dispatch *d)
{
    return (const struct kiln_params_grid *)d->block.words;
}

static struct kiln_params_grid *block_of(kiln_dispatch *d)
{
    return (struct kiln_params_grid *)d->block.words;
}

static uint64_t volume(const kiln_dispatch *d)
{
    return (uint64_t)block(d)->d * block(d)->h * block(d)->w;
}

static uint64_t axes(const kiln_dispatch *d)
{
    return d->constants[2] & KILN_GRID_VOLUME ? 3 : 2;
}

static void take_grid(kiln_dispatch *d, int slot, uint64_t first, uint64_t count)
{
    block_of(d)->grid_first =
        kiln_bind_window(d, slot, block(d)->grid_first + first * axes(d), count * axes(d));
}

static void take_y(kiln_dispatch *d, int slot, uint64_t first, uint64_t count)
{
    block_of(d)->y_first = kiln_bind_window(d, slot, block(d)->y_first + first, count);
}

static void take_x(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    block_of(d)->x_first = kiln_bind_window(d, 0, block(d)->x_first + first, count);
}

/* grid_sample: images; the channels of one; the places of one channel. */
static uint64_t image_of(const kiln_dispatch *d)
{
    return (uint64_t)block(d)->channels * block(d)->places;
}

static uint64_t images_extent(const kiln_dispatch *d)
{
    return block(d)->results / image_of(d);
}

static void take_images(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_grid *p = block_of(d);
    const uint64_t x = p->channels * volume(d), y = image_of(d);
    p->results = (uint32_t)(count * y);
    take_x(d, first * x, count * x);
    take_grid(d, 1, first * p->places, count * p->places);
    take_y(d, 2, first * y, count * y);
}

static uint64_t channels_extent(const kiln_dispatch *d)
{
    return images_extent(d) == 1 ? block(d)->channels : 1;
}

static void take_channels(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_grid *p = block_of(d);
    p->results = (uint32_t)count * p->places;
    KILN_DIVISOR_SET(p, channels, (uint32_t)count);
    take_x(d, first * volume(d), count * volume(d));
    take_y(d, 2, first * p->places, count * p->places);
}

static uint64_t places_extent(const kiln_dispatch *d)
{
    return block(d)->results == block(d)->places ? block(d)->places : 1;
}

static void take_places(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_grid *p = block_of(d);
    p->results = (uint32_t)count;
    KILN_DIVISOR_SET(p, places, (uint32_t)count);
    take_grid(d, 1, first, count);
    take_y(d, 2, first, count);
}

/* The kernels by place: images. */
static uint64_t grids_extent(const kiln_dispatch *d)
{
    return block(d)->results / block(d)->places;
}

static void take_grids(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_grid *p = block_of(d);
    const uint64_t x = p->channels * volume(d), grid = p->places * axes(d), y = image_of(d);
    p->results = (uint32_t)count * p->places;
    take_x(d, first * x, count * x);
    take_grid(d, 1, first * p->places, count * p->places);
    p->out_first = kiln_bind_window(d, 2, p->out_first + first * grid, count * grid);
    take_y(d, 3, first * y, count * y);
}

static uint64_t taps_of(const kiln_dispatch *d)
{
    const struct kiln_grid mode = {.mode = (int32_t)d->constants[0]};
    const uint64_t taps = (uint64_t)kiln_grid_taps(&mode);
    return taps * taps * (axes(d) == 3 ? taps : 1);
}

static void bind_taps(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_grid *p = block_of(d);
    const uint64_t taps = taps_of(d);
    take_grid(d, 0, first, count);
    p->out_first = kiln_bind_window(d, 1, p->out_first + first * taps, count * taps);
    take_y(d, 2, first * taps, count * taps);
}

static void take_taps(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_grid *p = block_of(d);
    p->first += (uint32_t)first;
    p->results = (uint32_t)count * p->places;
    bind_taps(d, first * p->places, count * p->places);
}

static void take_taps_of_one(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_grid *p = block_of(d);
    p->results = (uint32_t)count;
    KILN_DIVISOR_SET(p, places, (uint32_t)count);
    bind_taps(d, first, count);
}

/* Contracts ---------------------------------------------------------------------------------------------- */

static uint64_t units(const kiln_dispatch *d)
{
    return block(d)->results;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + 63) / 64;
}

static double sample_flops(const kiln_dispatch *d)
{
    return (double)block(d)->results * (double)(3 * taps_of(d) + 20);
}

static double grad_flops(const kiln_dispatch *d)
{
    return (double)block(d)->results * (double)taps_of(d) * (2.0 * block(d)->channels + 10);
}

static const kiln_variant sample_flat = {
    .name = "flat", .groups = groups, .spirv = &kiln_spirv_grid_sample, .half = &kiln_spirv_grid_sample_half};
static const kiln_variant grad_flat = {.name = "flat",
                                       .groups = groups,
                                       .spirv = &kiln_spirv_grid_sample_grad,
                                       .half = &kiln_spirv_grid_sample_grad_half};
static const kiln_variant taps_flat = {
    .name = "flat", .groups = groups, .spirv = &kiln_spirv_grid_taps, .half = &kiln_spirv_grid_taps_half};

const kiln_kernel kiln_kernel_grid_sample = {
    .name = "grid_sample",
    .block_size = sizeof(struct kiln_params_grid),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .mixed = 1 << 0 | 1 << 1 | 1 << 2,
    .units = units,
    .reference = kiln_reference_grid_sample_f32,
    .reference_f64 = kiln_reference_grid_sample_f64,
    .gpu = (const kiln_variant *const[]){&sample_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_grid_sample_blocks, NULL},
    .cuts = (const kiln_cut[]){{images_extent, take_images, kiln_cut_anywhere},
                               {channels_extent, take_channels, kiln_cut_anywhere},
                               {places_extent, take_places, kiln_cut_anywhere}},
    .cut_count = 3,
    .flops = sample_flops,
};

const kiln_kernel kiln_kernel_grid_sample_grad = {
    .name = "grid_sample_grad",
    .block_size = sizeof(struct kiln_params_grid),
    .bindings = 4,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ},
    .mixed = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3,
    .units = units,
    .reference = kiln_reference_grid_sample_grad_f32,
    .reference_f64 = kiln_reference_grid_sample_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_flat, NULL},
    .cuts = (const kiln_cut[]){{grids_extent, take_grids, kiln_cut_anywhere}},
    .cut_count = 1,
    .flops = grad_flops,
};

const kiln_kernel kiln_kernel_grid_taps = {
    .name = "grid_taps",
    .block_size = sizeof(struct kiln_params_grid),
    .bindings = 3,
    .access = {KILN_READ, KILN_WRITE, KILN_WRITE},
    .mixed = 1 << 0,
    .units = units,
    .reference = kiln_reference_grid_taps_f32,
    .reference_f64 = kiln_reference_grid_taps_f64,
    .gpu = (const kiln_variant *const[]){&taps_flat, NULL},
    .cuts = (const kiln_cut[]){{grids_extent, take_taps, kiln_cut_anywhere},
                               {places_extent, take_taps_of_one, kiln_cut_anywhere}},
    .cut_count = 2,
};
