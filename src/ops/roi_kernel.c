/* roi_kernel.c - regions of interest become dispatches, and their contracts: units, windows, variants. */
#include "ops/roi.h"

#include "device/variants.h"
#include "ops/window.h"
#include "shaders.h"

/* Lowering ----------------------------------------------------------------------------------------------- */

static void set_channels(struct kiln_params_roi *b, uint32_t channels)
{
    b->channels = channels;
    KILN_DIVISOR_SET(b, blocks, (channels + KILN_ROI_CHANNELS - 1) / KILN_ROI_CHANNELS);
}

/* All of maps x and of y. */
static kiln_dispatch dispatch_of(const kiln_kernel *kernel, const struct kiln_roi *p, const kiln_shape *x,
                                 const kiln_shape *y)
{
    kiln_dispatch d = {
        .kernel = kernel,
        .constants = {(uint32_t)p->mode, p->half_pixel ? KILN_ROI_HALF_PIXEL : 0},
        .constant_count = 2,
        .block_size = sizeof(struct kiln_params_roi),
    };
    struct kiln_params_roi *b = (struct kiln_params_roi *)d.block.words;
    b->rois = (uint32_t)y->size[0];
    b->images = b->all_images = (uint32_t)x->size[0];
    b->all_channels = (uint32_t)x->size[1];
    set_channels(b, b->all_channels);
    b->rows = b->h = (uint32_t)x->size[2];
    b->w = (uint32_t)x->size[3];
    b->high = (uint32_t)p->size[0];
    KILN_DIVISOR_SET(b, wide, (uint32_t)p->size[1]);
    KILN_DIVISOR_SET(b, bins, b->high * b->wide);
    b->samples = (uint32_t)p->samples;
    KILN_REAL_SET(b, scale, p->scale);
    return d;
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[KILN_ROI_X]).shape,
                     y = kiln_plan_spec(plan, n->out[0]).shape;
    if (kiln_shape_count(&y) == 0)
        return KILN_OK;
    kiln_dispatch d = dispatch_of(&kiln_kernel_roi, n->params, &x, &y);
    for (int i = 0; i < 3; i++)
        d.bind[i].value = n->in[i];
    d.bind[3].value = n->out[0];
    for (int i = 1; i < n->outputs; i++)
        if (kiln_plan_used(plan, n->out[i])) {
            for (int k = 1; k < n->outputs; k++)
                d.bind[3 + k].value = n->out[k];
            d.constants[1] |= KILN_ROI_PLACED;
        }
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->out[0]).shape,
                     y = kiln_plan_spec(plan, n->in[KILN_ROI_DY]).shape;
    if (kiln_shape_count(&x) == 0)
        return KILN_OK;
    kiln_dispatch d = dispatch_of(&kiln_kernel_roi_grad, n->params, &x, &y);
    d.bind[0].value = n->out[0];
    d.bind[1].value = n->in[KILN_ROI_BOXES];
    d.bind[2].value = n->in[KILN_ROI_IMAGE];
    d.bind[3].value = n->in[KILN_ROI_DY];
    d.bind[4].value = n->in[KILN_ROI_PLACE];
    d.bind[5].value = n->in[KILN_ROI_WEIGHT];
    return kiln_plan_dispatch(plan, &d);
}

const kiln_lowering kiln_roi_lowerings[] = {{.name = "bins", .lower = lower}};
const kiln_lowering kiln_roi_grad_lowerings[] = {{.name = "elements", .lower = grad_lower}};

/* Windows of the contracts ------------------------------------------------------------------------------- */

enum { MAPS, BOXES, IMAGE, BINS, PLACES, WEIGHTS };

static struct kiln_params_roi *block_of(kiln_dispatch *d)
{
    return (struct kiln_params_roi *)d->block.words;
}

static const struct kiln_params_roi *block(const kiln_dispatch *d)
{
    return (const struct kiln_params_roi *)d->block.words;
}

static bool is_backward(const kiln_dispatch *d)
{
    return d->kernel == &kiln_kernel_roi_grad;
}

/* Elements [from, end) of the bins, and of what lies as they do. */
static void bind_bins(kiln_dispatch *d, uint64_t from, uint64_t end)
{
    for (int i = PLACES; i <= WEIGHTS; i++) {
        uint32_t first = block(d)->y_first;
        kiln_bind_elements(d, i, &first, from, end);
    }
    kiln_bind_elements(d, BINS, &block_of(d)->y_first, from, end);
}

static uint64_t images_extent(const kiln_dispatch *d)
{
    return block(d)->channels == block(d)->all_channels && block(d)->rows == block(d)->h ? block(d)->images
                                                                                         : 1;
}

static void take_images(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_roi *p = block_of(d);
    const uint64_t map = (uint64_t)p->all_channels * p->h * p->w;
    p->first_image += (uint32_t)first;
    p->images = (uint32_t)count;
    kiln_bind_elements(d, MAPS, &p->x_first, p->first_image * map, (p->first_image + count) * map);
}

static uint64_t rois_extent(const kiln_dispatch *d)
{
    return block(d)->channels == block(d)->all_channels ? block(d)->rois : 1;
}

/* Of the gradient each part after the first adds to what is there. */
static void take_rois(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_roi *p = block_of(d);
    const uint64_t bins = (uint64_t)p->all_channels * p->bins;
    p->first_roi += (uint32_t)first;
    p->rois = (uint32_t)count;
    const uint64_t from = p->first_roi, end = from + count;
    kiln_bind_elements(d, BOXES, &p->box_first, 4 * from, 4 * end);
    kiln_bind_elements(d, IMAGE, &p->image_first, from, end);
    bind_bins(d, from * bins, end * bins);
    if (is_backward(d) && first)
        d->constants[1] |= KILN_ROI_ONTO;
}

static uint64_t channels_extent(const kiln_dispatch *d)
{
    const struct kiln_params_roi *p = block(d);
    return (p->images == 1 || p->rois == 1) && p->rows == p->h ? p->channels : 1;
}

static void take_channels(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_roi *p = block_of(d);
    const uint64_t plane = (uint64_t)p->h * p->w;
    p->first_channel += (uint32_t)first;
    set_channels(p, (uint32_t)count);
    const uint64_t x = (uint64_t)p->first_image * p->all_channels + p->first_channel,
                   y = (uint64_t)p->first_roi * p->all_channels + p->first_channel;
    if (p->images == 1)
        kiln_bind_elements(d, MAPS, &p->x_first, x * plane, (x + count) * plane);
    if (p->rois == 1)
        bind_bins(d, y * p->bins, (y + count) * p->bins);
}

/* Rows of a lone plane of dx. */
static uint64_t rows_extent(const kiln_dispatch *d)
{
    return block(d)->images == 1 && block(d)->channels == 1 ? block(d)->rows : 1;
}

static void take_rows(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_roi *p = block_of(d);
    p->first_row += (uint32_t)first;
    p->rows = (uint32_t)count;
    const uint64_t plane = (uint64_t)p->first_image * p->all_channels + p->first_channel,
                   row = plane * p->h + p->first_row;
    kiln_bind_elements(d, MAPS, &p->x_first, row * p->w, (row + count) * p->w);
}

static const kiln_cut cuts[] = {
    {images_extent, take_images, kiln_cut_anywhere},
    {rois_extent, take_rois, kiln_cut_anywhere},
    {channels_extent, take_channels, kiln_cut_anywhere},
    {rows_extent, take_rows, kiln_cut_anywhere},
};

enum { FORWARD_CUTS = 3, BACKWARD_CUTS = 4 };

/* Contracts ---------------------------------------------------------------------------------------------- */

enum { LANES = 64, TILE = 8 }; /* roi_grad.comp */

static uint64_t units(const kiln_dispatch *d)
{
    return (uint64_t)block(d)->rois * block(d)->channels * block(d)->bins;
}

static uint64_t grad_units(const kiln_dispatch *d)
{
    return (uint64_t)block(d)->images * block(d)->channels * block(d)->rows * block(d)->w;
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return ((uint64_t)block(d)->rois * block(d)->blocks * block(d)->bins + LANES - 1) / LANES;
}

static uint64_t grad_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    const struct kiln_params_roi *p = block(d);
    return (uint64_t)p->images * p->blocks * ((p->rows + TILE - 1) / TILE) * ((p->w + TILE - 1) / TILE);
}

/* Where the grid is not given, of boxes of about a quarter of the map's width and height. */
static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_roi *p = block(d);
    const double cells = (double)p->h * p->w / 16,
                 grid = p->samples ? (double)p->samples * p->samples * p->bins : cells;
    return (double)p->rois * p->channels * (d->constants[0] == KILN_ROI_CELLS ? cells : 8 * grid);
}

static const kiln_variant bins = {
    .name = "bins", .groups = groups, .spirv = &kiln_spirv_roi, .half = &kiln_spirv_roi_half, .lanes = LANES};
static const kiln_variant elements = {.name = "tiles",
                                      .groups = grad_groups,
                                      .spirv = &kiln_spirv_roi_grad,
                                      .half = &kiln_spirv_roi_grad_half,
                                      .lanes = LANES};

const kiln_kernel kiln_kernel_roi = {
    .name = "roi",
    .block_size = sizeof(struct kiln_params_roi),
    .bindings = 6,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_WRITE, KILN_WRITE},
    .halves = 1 << MAPS | 1 << BINS,
    .units = units,
    .reference = kiln_reference_roi_f32,
    .reference_f64 = kiln_reference_roi_f64,
    .gpu = (const kiln_variant *const[]){&bins, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_roi_boxes, NULL},
    .cuts = cuts,
    .cut_count = FORWARD_CUTS,
    .flops = flops,
};

const kiln_kernel kiln_kernel_roi_grad = {
    .name = "roi_grad",
    .block_size = sizeof(struct kiln_params_roi),
    .bindings = 6,
    .access = {KILN_READ_WRITE, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ},
    .halves = 1 << MAPS | 1 << BINS,
    .units = grad_units,
    .reference = kiln_reference_roi_grad_f32,
    .reference_f64 = kiln_reference_roi_grad_f64,
    .gpu = (const kiln_variant *const[]){&elements, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_roi_grad_planes, NULL},
    .cuts = cuts,
    .cut_count = BACKWARD_CUTS,
    .flops = flops,
};
