/*
 * conv_winograd.c - convolution by filters of 3 x 3, its transpose and its gradient by the filters in transformed tiles: when that
 * pays, the dispatches, the contracts.
 *
 * The filters are transformed by a dispatch of their own: of weights that stay it goes to the prologue. On the CPU one kernel does the
 * rest of a convolution, and where a plan has no room for transformed filters it transforms packed ones, a quarter as large, on the way.
 * Vulkan devices transform x, multiply matrices (matmul), one a place for each block of filters, and transform back: drivers on the CPU
 * wherever it pays, GPUs where there is much to multiply. They have tiles of 2 x 2 as well, for pictures that ones of 4 x 4 fill badly.
 * The gradient by the filters is the CPU's alone. The contracts have no cuts, since
 * operands are bound whole.
 */
#include "conv/conv_winograd.h"

#include <string.h>

#include "base/number.h"
#include "conv/conv_grad_winograd.h"
#include "conv/conv_winograd_filters.h"
#include "conv/conv_winograd_in.h"
#include "conv/conv_winograd_out.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/matmul.h"
#include "matmul/pack_columns.h"
#include "matmul/split_sum.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/kernels.h"
#include "ops/lines.h"
#include "ops/lower.h"
#include "ops/splits.h"
#include "shaders.h"

enum {
    LARGE = 4, /* tiles: results of a side */
    SMALL = 2,
    /* channels and filters at the least: with fewer the transforms take what the products save */
    SOURCES = 16,
    TILES = 12, /* at the least: with fewer, reading the transformed filters takes it */
    /* up to so many, packed filters are transformed on the way: reading transformed ones takes as long */
    FEW_TILES = 24,
    DRIVER_TILES = 4, /* of Vulkan drivers on the CPU */
    REST = 2,         /* times as many results as wanted lie in tiles, at the most */
    DRIVER_REST = 3,  /* where columns, which there is instead, take longer */
    GPU_SOURCES = 64, /* on a GPU: not measured, so where a large part of the time is multiplication */
    GPU_TILES = 2048,
    MOST_ELEMENTS = 1 << 24, /* of transformed x, and of the products */
    UNITS = 16,              /* of work of a gradient by filters, where there are images enough */
    GRADIENT_BLOCK = 32,     /* filters and channels of one, about */
};

/* Sizes -------------------------------------------------------------------------------------------------- */

/* The convolution that computes the node's output from its first input; its transpose reads y and turns the filters. */
static struct kiln_params_conv_winograd block_of(const struct kiln_conv_sizes *s, bool transposed,
                                                 uint32_t tile)
{
    const struct kiln_conv_axis *i = &s->axis[1], *j = &s->axis[2];
    if (transposed)
        return (struct kiln_params_conv_winograd){.tile = tile,
                                                  .images = (uint32_t)s->images,
                                                  .channels = (uint32_t)s->filters,
                                                  .filters = (uint32_t)s->channels,
                                                  .h = (uint32_t)i->y,
                                                  .w = (uint32_t)j->y,
                                                  .oh = (uint32_t)i->x,
                                                  .ow = (uint32_t)j->x,
                                                  .pad_i = (int32_t)(i->taps - 1 - i->pad),
                                                  .pad_j = (int32_t)(j->taps - 1 - j->pad)};
    return (struct kiln_params_conv_winograd){.tile = tile,
                                              .images = (uint32_t)s->images,
                                              .channels = (uint32_t)s->channels,
                                              .filters = (uint32_t)s->filters,
                                              .h = (uint32_t)i->x,
                                              .w = (uint32_t)j->x,
                                              .oh = (uint32_t)i->y,
                                              .ow = (uint32_t)j->y,
                                              .pad_i = (int32_t)i->pad,
                                              .pad_j = (int32_t)j->pad};
}

static bool is_three(const struct kiln_conv_axis *a)
{
    return a->taps == 3 && a->stride == 1 && a->dilation == 1;
}

/* Elements of the transformed filters. */
static uint64_t filters_size(const struct kiln_params_conv_winograd *p)
{
    return (uint64_t)KILN_WINOGRAD_PLACES(p->tile) * p->channels *
           kiln_round_up(p->filters, KILN_WINOGRAD_BLOCK);
}

static uint64_t tiles_of(const struct kiln_params_conv_winograd *p)
{
    return p->images * kiln_parts(p->oh, p->tile) * kiln_parts(p->ow, p->tile);
}

/* Lowering ----------------------------------------------------------------------------------------------- */

static bool suits(const kiln_plan *plan, const kiln_node *n, const struct kiln_conv_sizes *s)
{
    return kiln_conv_is_plane(plan, n, s) && is_three(&s->axis[1]) && is_three(&s->axis[2]);
}

static bool on_cpu(const kiln_plan *plan)
{
    return kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU;
}

static uint64_t columns_of(const struct kiln_params_conv_winograd *p)
{
    return kiln_round_up(tiles_of(p), 4);
}

static uint64_t rows_of(const struct kiln_params_conv_winograd *p)
{
    return kiln_round_up(p->filters, KILN_WINOGRAD_BLOCK);
}

/* Whether a Vulkan device has room for what lies between the dispatches. */
static bool fits_between(const kiln_caps *caps, const struct kiln_params_conv_winograd *p)
{
    const uint64_t deepest = p->channels > rows_of(p) ? p->channels : rows_of(p);
    const uint64_t elements = KILN_WINOGRAD_PLACES(p->tile) * deepest * columns_of(p);
    return elements <= MOST_ELEMENTS && elements * sizeof(float) <= caps->max_binding && elements > 0;
}

static struct kiln_params_conv_winograd block_of_node(const kiln_plan *plan, const kiln_node *n,
                                                      uint32_t tile)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    return block_of(&s, n->op == &kiln_op_conv_transpose, tile);
}

static bool accepts(kiln_plan *plan, const kiln_node *n, uint32_t tile)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_winograd p = block_of(&s, n->op == &kiln_op_conv_transpose, tile);
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_winograd,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
    };
    const bool room = on_cpu(plan) || fits_between(kiln_plan_caps(plan), &p);
    return suits(plan, n, &s) && room && !kiln_plan_lean(plan) &&
           kiln_plan_binds_whole(plan, &d, filters_size(&p));
}

bool kiln_conv_winograd_accepts(kiln_plan *plan, const kiln_node *n)
{
    return accepts(plan, n, LARGE);
}

bool kiln_conv_winograd_small_accepts(kiln_plan *plan, const kiln_node *n)
{
    return !on_cpu(plan) && accepts(plan, n, SMALL);
}

/* Of tiles that stick out far the rest is lost. */
static bool tiles_pay(kiln_plan *plan, const kiln_node *n, uint32_t tile)
{
    const struct kiln_params_conv_winograd p = block_of_node(plan, n, tile);
    const kiln_caps *caps = kiln_plan_caps(plan);
    const bool driver = !on_cpu(plan) && caps->software, gpu = !on_cpu(plan) && !driver;
    const uint64_t tiles = driver ? DRIVER_TILES : gpu ? GPU_TILES : TILES;
    const uint64_t sources = gpu ? GPU_SOURCES : SOURCES, rest = driver ? DRIVER_REST : REST;
    return p.channels >= sources && p.filters >= sources && tiles_of(&p) >= tiles &&
           tiles_of(&p) * tile * tile <= rest * p.images * p.oh * p.ow;
}

bool kiln_conv_winograd_pays(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_params_conv_winograd p = block_of_node(plan, n, LARGE);
    const bool few = n->op == &kiln_op_conv && on_cpu(plan) && tiles_of(&p) <= FEW_TILES;
    return tiles_pay(plan, n, LARGE) && !few;
}

bool kiln_conv_winograd_small_pays(kiln_plan *plan, const kiln_node *n)
{
    return tiles_pay(plan, n, SMALL) && !tiles_pay(plan, n, LARGE);
}

static kiln_form form(const kiln_plan *plan, const kiln_node *n, uint32_t tile)
{
    const struct kiln_params_conv_winograd p = block_of_node(plan, n, tile);
    return (kiln_form){filters_size(&p) * sizeof(float), (uint64_t)p.images * p.oh * p.ow};
}

kiln_form kiln_conv_winograd_form(const kiln_plan *plan, const kiln_node *n)
{
    return form(plan, n, LARGE);
}

kiln_form kiln_conv_winograd_small_form(const kiln_plan *plan, const kiln_node *n)
{
    return form(plan, n, SMALL);
}

static kiln_tensor plan_filters(kiln_plan *plan, const kiln_node *n,
                                const struct kiln_params_conv_winograd *p, const struct kiln_conv_sizes *s,
                                kiln_status *status)
{
    const bool transposed = n->op == &kiln_op_conv_transpose;
    const uint32_t filter = (uint32_t)(9 * s->channels);
    const kiln_tensor u = kiln_plan_temporary(plan, KILN_F32, (int64_t)filters_size(p));
    const struct kiln_params_conv_winograd_filters block = {.tile = p->tile,
                                                            .filters = p->filters,
                                                            .channels = p->channels,
                                                            .filter_step = transposed ? 9 : filter,
                                                            .channel_step = transposed ? filter : 9,
                                                            .turned = transposed};
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_winograd_filters,
        .bind = {{.value = n->in[1]}, {.value = u}},
        .block_size = sizeof block,
    };
    memcpy(d.block.bytes, &block, sizeof block);
    *status = kiln_plan_dispatch(plan, &d);
    return u;
}

/* Everything behind the filters at once. */
static kiln_status lower_whole(kiln_plan *plan, const kiln_node *n, struct kiln_params_conv_winograd *p,
                               kiln_tensor u)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_winograd,
        .bind = {{.value = n->in[0]}, {.value = u}, {.value = n->out[0]}},
        .block_size = sizeof *p,
    };
    const kiln_status status = kiln_epilogue_write(plan, n, &d, 0, 3, p->immediate);
    memcpy(d.block.bytes, p, sizeof *p);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

static kiln_status plan_in(kiln_plan *plan, kiln_tensor x, kiln_tensor v,
                           const struct kiln_params_conv_winograd *p)
{
    const struct kiln_params_conv_winograd_in block = {.tile = p->tile,
                                                       .images = p->images,
                                                       .channels = p->channels,
                                                       .h = p->h,
                                                       .w = p->w,
                                                       .pad_i = p->pad_i,
                                                       .pad_j = p->pad_j,
                                                       .down = (uint32_t)kiln_parts(p->oh, p->tile),
                                                       .across = (uint32_t)kiln_parts(p->ow, p->tile),
                                                       .columns = (uint32_t)columns_of(p)};
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_winograd_in,
        .bind = {{.value = x}, {.value = v}},
        .block_size = sizeof block,
    };
    memcpy(d.block.bytes, &block, sizeof block);
    return kiln_plan_dispatch(plan, &d);
}

/* For each place and block of filters, m [block, columns] = u [block, channels] x v [channels, columns]. */
static kiln_status plan_products(kiln_plan *plan, kiln_tensor u, kiln_tensor v, kiln_tensor m,
                                 const struct kiln_params_conv_winograd *p)
{
    const uint32_t columns = (uint32_t)columns_of(p), blocks = (uint32_t)rows_of(p) / KILN_WINOGRAD_BLOCK;
    const uint32_t places = KILN_WINOGRAD_PLACES(p->tile);
    const struct kiln_params_matmul block = {.m = KILN_WINOGRAD_BLOCK,
                                             .n = columns,
                                             .k = p->channels,
                                             .batch = places * blocks,
                                             .batch1 = places,
                                             .batch2 = blocks,
                                             .a_m = 1,
                                             .a_k = KILN_WINOGRAD_BLOCK,
                                             .a_batch1 = blocks * p->channels * KILN_WINOGRAD_BLOCK,
                                             .a_batch2 = p->channels * KILN_WINOGRAD_BLOCK,
                                             .b_k = columns,
                                             .b_n = 1,
                                             .b_batch1 = p->channels * columns,
                                             .c_m = columns,
                                             .c_batch = KILN_WINOGRAD_BLOCK * columns};
    kiln_dispatch d = {
        .kernel = &kiln_kernel_matmul,
        .bind = {{.value = u}, {.value = v}, {.value = m}},
        .block_size = sizeof block,
        .constant_count = KILN_EPILOGUE_CONSTANTS,
    };
    memcpy(d.block.bytes, &block, sizeof block);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status plan_out(kiln_plan *plan, const kiln_node *n, kiln_tensor m,
                            const struct kiln_params_conv_winograd *p)
{
    struct kiln_params_conv_winograd_out block = {.tile = p->tile,
                                                  .images = p->images,
                                                  .filters = p->filters,
                                                  .rows = (uint32_t)rows_of(p),
                                                  .oh = p->oh,
                                                  .ow = p->ow,
                                                  .down = (uint32_t)kiln_parts(p->oh, p->tile),
                                                  .across = (uint32_t)kiln_parts(p->ow, p->tile),
                                                  .columns = (uint32_t)columns_of(p)};
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_winograd_out,
        .bind = {{.value = m}, {.value = n->out[0]}},
        .block_size = sizeof block,
    };
    const kiln_status status = kiln_epilogue_write(plan, n, &d, 0, 2, block.immediate);
    memcpy(d.block.bytes, &block, sizeof block);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

static kiln_status lower_in_steps(kiln_plan *plan, const kiln_node *n,
                                  const struct kiln_params_conv_winograd *p, kiln_tensor u)
{
    const int64_t column = KILN_WINOGRAD_PLACES(p->tile) * (int64_t)columns_of(p);
    const kiln_tensor v = kiln_plan_temporary(plan, KILN_F32, column * p->channels);
    const kiln_tensor m = kiln_plan_temporary(plan, KILN_F32, column * (int64_t)rows_of(p));
    kiln_status status = plan_in(plan, n->in[0], v, p);
    if (!status)
        status = plan_products(plan, u, v, m, p);
    return status ? status : plan_out(plan, n, m, p);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n, uint32_t tile)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    struct kiln_params_conv_winograd block = block_of(&s, n->op == &kiln_op_conv_transpose, tile);
    kiln_status status;
    const kiln_tensor u = plan_filters(plan, n, &block, &s, &status);
    if (status)
        return status;
    return on_cpu(plan) ? lower_whole(plan, n, &block, u) : lower_in_steps(plan, n, &block, u);
}

kiln_status kiln_conv_winograd_lower(kiln_plan *plan, const kiln_node *n)
{
    return lower(plan, n, LARGE);
}

kiln_status kiln_conv_winograd_small_lower(kiln_plan *plan, const kiln_node *n)
{
    return lower(plan, n, SMALL);
}

bool kiln_conv_winograd_packed_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    return suits(plan, n, &s) && kiln_conv_packed_accepts(plan, n);
}

bool kiln_conv_winograd_packed_pays(kiln_plan *plan, const kiln_node *n)
{
    return tiles_pay(plan, n, LARGE);
}

kiln_status kiln_conv_winograd_packed_lower(kiln_plan *plan, const kiln_node *n)
{
    struct kiln_params_conv_winograd block = block_of_node(plan, n, LARGE);
    const uint32_t filter = 9 * block.channels;
    kiln_tensor packed;
    const kiln_status status =
        kiln_lower_pack_columns(plan, n->in[1],
                                &(struct kiln_params_pack_columns){.columns = block.filters,
                                                                   .depth = filter,
                                                                   .column_step = filter,
                                                                   .depth_step = 1},
                                &packed);
    block.taps = 1;
    return status ? status : lower_whole(plan, n, &block, packed);
}

/* The gradient by the filters ---------------------------------------------------------------------------- */

/* As many splits as make some work for all threads: by sizes alone. */
static struct kiln_params_conv_grad_winograd gradient_block(const struct kiln_conv_sizes *s)
{
    const struct kiln_params_conv_winograd p = block_of(s, false, LARGE);
    const uint64_t blocks = kiln_parts(p.filters, GRADIENT_BLOCK) * kiln_parts(p.channels, GRADIENT_BLOCK);
    const uint64_t splits = kiln_parts(UNITS, blocks);
    const uint32_t count = 9 * p.filters * p.channels;
    return (struct kiln_params_conv_grad_winograd){.images = p.images,
                                                   .channels = p.channels,
                                                   .filters = p.filters,
                                                   .h = p.h,
                                                   .w = p.w,
                                                   .oh = p.oh,
                                                   .ow = p.ow,
                                                   .pad_i = p.pad_i,
                                                   .pad_j = p.pad_j,
                                                   .per_split = (uint32_t)kiln_parts(p.images, splits),
                                                   .part = (uint32_t)kiln_round_up(count, 64)};
}

static uint32_t splits_of(const struct kiln_params_conv_grad_winograd *p)
{
    return (uint32_t)kiln_parts(p->images, p->per_split);
}

bool kiln_conv_grad_winograd_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    if (kiln_conv_is_of_nothing(&s) || !on_cpu(plan) || !suits(plan, n, &s))
        return false;
    const struct kiln_params_conv_grad_winograd p = gradient_block(&s);
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_grad_winograd,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
    };
    return kiln_plan_binds_whole(plan, &d, (uint64_t)splits_of(&p) * p.part);
}

kiln_status kiln_conv_grad_winograd_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_grad_winograd block = gradient_block(&s);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_grad_winograd,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .block_size = sizeof block,
    };
    memcpy(d.block.bytes, &block, sizeof block);
    if (splits_of(&block) == 1)
        return kiln_plan_dispatch(plan, &d);
    return kiln_plan_splits(plan, &d, NULL,
                            &(struct kiln_params_split_sum){.count = 9 * block.filters * block.channels,
                                                            .splits = splits_of(&block),
                                                            .part = block.part});
}

/* Contracts ---------------------------------------------------------------------------------------------- */

static uint64_t blocks_units(const kiln_dispatch *d)
{
    return kiln_parts(((const struct kiln_params_conv_winograd_filters *)d->block.words)->filters,
                      KILN_WINOGRAD_BLOCK);
}

static uint64_t planes_units(const kiln_dispatch *d)
{
    const struct kiln_params_conv_winograd *p = (const struct kiln_params_conv_winograd *)d->block.words;
    return (uint64_t)p->images * p->filters;
}

static uint64_t filters_units(const kiln_dispatch *d)
{
    const struct kiln_params_conv_grad_winograd *p =
        (const struct kiln_params_conv_grad_winograd *)d->block.words;
    return (uint64_t)splits_of(p) * p->filters;
}

static double gradient_flops(const kiln_dispatch *d)
{
    const struct kiln_params_conv_grad_winograd *p =
        (const struct kiln_params_conv_grad_winograd *)d->block.words;
    return 2.0 * 9 * p->images * p->filters * p->channels * p->oh * p->ow;
}

/* Of the convolution that it stands for, so that rates compare. */
static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_conv_winograd *p = (const struct kiln_params_conv_winograd *)d->block.words;
    return 2.0 * 9 * p->images * p->filters * p->channels * p->oh * p->ow;
}

/* Vulkan's: an invocation an element of a place. */
static uint64_t filters_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv_winograd_filters *p =
        (const struct kiln_params_conv_winograd_filters *)d->block.words;
    (void)caps;
    return kiln_parts(blocks_units(d) * KILN_WINOGRAD_BLOCK * p->channels, 64);
}

static const struct kiln_params_conv_winograd_in *in_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_winograd_in *)d->block.words;
}

static uint64_t in_units(const kiln_dispatch *d)
{
    return in_block(d)->channels;
}

static uint64_t in_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_parts((uint64_t)in_block(d)->channels * in_block(d)->columns, 64);
}

/* Drivers on the CPU: four columns an invocation, x read in fours. */
static uint64_t in_lines_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_parts((uint64_t)in_block(d)->channels * in_block(d)->columns / 4, LINES_LANES);
}

static bool in_lines_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv_winograd_in *p = in_block(d);
    const uint64_t elements = (uint64_t)p->images * p->channels * p->h * p->w;
    return p->tile == LARGE && kiln_parts(elements, 4) <= caps->max_texels && p->columns % 4 == 0 &&
           (d->bind[0].bytes == 0 || elements % 4 == 0);
}

/* Whether all lines of tiles begin three elements behind a four. */
static bool in_even_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    return in_lines_accepts(caps, d) && in_block(d)->w % 4 == 0 && in_block(d)->pad_j == 1;
}

static const struct kiln_params_conv_winograd_out *out_block(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_winograd_out *)d->block.words;
}

static uint64_t out_units(const kiln_dispatch *d)
{
    return (uint64_t)out_block(d)->images * out_block(d)->filters;
}

static uint64_t out_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_parts(out_units(d) * out_block(d)->down * out_block(d)->across, 64);
}

static uint64_t out_fours_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return kiln_parts((uint64_t)out_block(d)->filters * out_block(d)->columns / 4, LINES_LANES);
}

static bool out_ones_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv_winograd_out *p = out_block(d);
    return p->tile == LARGE &&
           (uint64_t)KILN_WINOGRAD_PLACES(LARGE) * p->rows * p->columns / 4 <= caps->max_texels &&
           p->columns % 4 == 0;
}

static bool out_fours_accepts(const kiln_caps *caps, const kiln_dispatch *d)
{
    return out_ones_accepts(caps, d) && out_block(d)->ow % 4 == 0;
}

/* A shader for each size of tiles. */
#define TILE_VARIANTS(stem)                                                                      \
    static bool stem##_is_large(const kiln_caps *caps, const kiln_dispatch *d)                   \
    {                                                                                            \
        (void)caps;                                                                              \
        return ((const struct kiln_params_conv_winograd_##stem *)d->block.words)->tile == LARGE; \
    }                                                                                            \
    static bool stem##_is_small(const kiln_caps *caps, const kiln_dispatch *d)                   \
    {                                                                                            \
        (void)caps;                                                                              \
        return ((const struct kiln_params_conv_winograd_##stem *)d->block.words)->tile == SMALL; \
    }                                                                                            \
    static const kiln_variant stem##_plain = {                                                   \
        .name = "plain",                                                                         \
        .accepts = stem##_is_large,                                                              \
        .groups = stem##_groups,                                                                 \
        .spirv = &kiln_spirv_conv_winograd_##stem,                                               \
    };                                                                                           \
    static const kiln_variant stem##_small = {                                                   \
        .name = "small",                                                                         \
        .accepts = stem##_is_small,                                                              \
        .groups = stem##_groups,                                                                 \
        .spirv = &kiln_spirv_conv_winograd_##stem##_2,                                           \
    }

TILE_VARIANTS(filters);
TILE_VARIANTS(in);
TILE_VARIANTS(out);
LINES_VARIANT(in_even, kiln_spirv_conv_winograd_in_lines, NULL, in_lines_groups, 1 << 0, 3);
LINES_VARIANT(in_lines, kiln_spirv_conv_winograd_in_lines, NULL, in_lines_groups, 1 << 0, 4);
LINES_VARIANT(out_fours, kiln_spirv_conv_winograd_out_fours, NULL, out_fours_groups, 1 << 0, 0);
LINES_VARIANT(out_ones, kiln_spirv_conv_winograd_out_fours, NULL, out_fours_groups, 1 << 0, 1);

const kiln_kernel kiln_kernel_conv_winograd_in = {
    .name = "conv_winograd_in",
    .block_size = sizeof(struct kiln_params_conv_winograd_in),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = in_units,
    .reference = kiln_reference_conv_winograd_in_f32,
    .reference_f64 = kiln_reference_conv_winograd_in_f64,
    .gpu = (const kiln_variant *const[]){&in_even, &in_lines, &in_plain, &in_small, NULL},
};

const kiln_kernel kiln_kernel_conv_winograd_out = {
    .name = "conv_winograd_out",
    .block_size = sizeof(struct kiln_params_conv_winograd_out),
    .bindings = 4,
    .access = {KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .units = out_units,
    .reference = kiln_reference_conv_winograd_out_f32,
    .reference_f64 = kiln_reference_conv_winograd_out_f64,
    .gpu = (const kiln_variant *const[]){&out_fours, &out_ones, &out_plain, &out_small, NULL},
};

const kiln_kernel kiln_kernel_conv_winograd_filters = {
    .name = "conv_winograd_filters",
    .block_size = sizeof(struct kiln_params_conv_winograd_filters),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = blocks_units,
    .reference = kiln_reference_conv_winograd_filters_f32,
    .reference_f64 = kiln_reference_conv_winograd_filters_f64,
    .gpu = (const kiln_variant *const[]){&filters_plain, &filters_small, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_winograd_filters_blocks, NULL},
};

const kiln_kernel kiln_kernel_conv_winograd = {
    .name = "conv_winograd",
    .block_size = sizeof(struct kiln_params_conv_winograd),
    .bindings = 5,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .units = planes_units,
    .reference = kiln_reference_conv_winograd_f32,
    .reference_f64 = kiln_reference_conv_winograd_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_winograd_bands, NULL},
    .flops = flops,
};

const kiln_kernel kiln_kernel_conv_grad_winograd = {
    .name = "conv_grad_winograd",
    .block_size = sizeof(struct kiln_params_conv_grad_winograd),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .units = filters_units,
    .reference = kiln_reference_conv_grad_winograd_f32,
    .reference_f64 = kiln_reference_conv_grad_winograd_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_grad_winograd_blocks, NULL},
    .flops = gradient_flops,
};
