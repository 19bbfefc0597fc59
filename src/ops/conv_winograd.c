/*
 * conv_winograd.c - convolution by filters of 3 x 3, its transpose and its gradient by the filters in transformed tiles: when that
 * pays, the dispatches, the contracts.
 *
 * The filters are transformed by a dispatch of their own: of weights that stay it goes to the prologue. On GPUs the tiles of
 * conv_kernel.c serve instead: the contracts have no code for them, and no cuts, since operands are bound whole.
 */
#include "conv/conv_winograd.h"

#include <string.h>

#include "base/number.h"
#include "conv/conv_grad_winograd.h"
#include "conv/conv_winograd_filters.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/split_sum.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/splits.h"

enum {
    TILE = 4, /* results of a side */
    SOURCES =
        16, /* channels and filters at the least: with fewer the transforms take what the products save, */
    TILES = 12,          /* and with fewer tiles reading the transformed filters does */
    UNITS = 16,          /* of work of a gradient by filters, where there are images enough */
    GRADIENT_BLOCK = 32, /* filters and channels of one, about */
};

/* Sizes -------------------------------------------------------------------------------------------------- */

/* The convolution that computes the node's output from its first input; its transpose reads y and turns the filters. */
static struct kiln_params_conv_winograd block_of(const struct kiln_conv_sizes *s, bool transposed)
{
    const struct kiln_conv_axis *i = &s->axis[1], *j = &s->axis[2];
    if (transposed)
        return (struct kiln_params_conv_winograd){.images = (uint32_t)s->images,
                                                  .channels = (uint32_t)s->filters,
                                                  .filters = (uint32_t)s->channels,
                                                  .h = (uint32_t)i->y,
                                                  .w = (uint32_t)j->y,
                                                  .oh = (uint32_t)i->x,
                                                  .ow = (uint32_t)j->x,
                                                  .pad_i = (int32_t)(i->taps - 1 - i->pad),
                                                  .pad_j = (int32_t)(j->taps - 1 - j->pad)};
    return (struct kiln_params_conv_winograd){.images = (uint32_t)s->images,
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
    return (uint64_t)KILN_WINOGRAD_PLACES * p->channels * kiln_round_up(p->filters, KILN_WINOGRAD_BLOCK);
}

/* Lowering ----------------------------------------------------------------------------------------------- */

/* Two axes of a single group on the CPU, in float. */
static bool suits(const kiln_plan *plan, const kiln_node *n, const struct kiln_conv_sizes *s)
{
    const struct kiln_conv_axis *a = &s->axis[0];
    return kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU &&
           kiln_plan_element(plan, n->in[0]) == sizeof(float) && s->groups == 1 && a->x == 1 && a->y == 1 &&
           a->taps == 1 && a->pad == 0 && is_three(&s->axis[1]) && is_three(&s->axis[2]);
}

bool kiln_conv_winograd_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_winograd p = block_of(&s, n->op == &kiln_op_conv_transpose);
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_winograd,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
    };
    return suits(plan, n, &s) && !kiln_plan_lean(plan) && kiln_plan_binds_whole(plan, &d, filters_size(&p));
}

/* Of tiles that stick out far the rest is lost. */
bool kiln_conv_winograd_pays(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_winograd p = block_of(&s, n->op == &kiln_op_conv_transpose);
    const uint64_t tiles = kiln_parts(p.oh, TILE) * kiln_parts(p.ow, TILE);
    return p.channels >= SOURCES && p.filters >= SOURCES && p.images * tiles >= TILES &&
           tiles * TILE * TILE <= 2 * (uint64_t)p.oh * p.ow;
}

static kiln_tensor plan_filters(kiln_plan *plan, const kiln_node *n,
                                const struct kiln_params_conv_winograd *p, const struct kiln_conv_sizes *s,
                                kiln_status *status)
{
    const bool transposed = n->op == &kiln_op_conv_transpose;
    const uint32_t filter = (uint32_t)(9 * s->channels);
    const kiln_tensor u = kiln_plan_temporary(plan, KILN_F32, (int64_t)filters_size(p));
    const struct kiln_params_conv_winograd_filters block = {.filters = p->filters,
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

kiln_status kiln_conv_winograd_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    struct kiln_params_conv_winograd block = block_of(&s, n->op == &kiln_op_conv_transpose);
    kiln_status status;
    const kiln_tensor u = plan_filters(plan, n, &block, &s, &status);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_winograd,
        .bind = {{.value = n->in[0]}, {.value = u}, {.value = n->out[0]}},
        .block_size = sizeof block,
    };
    if (!status)
        status = kiln_epilogue_write(plan, n, &d, 0, 3, block.immediate);
    d.constant_count = KILN_EPILOGUE_CONSTANTS;
    memcpy(d.block.bytes, &block, sizeof block);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

/* The gradient by the filters ---------------------------------------------------------------------------- */

/* As many splits as make some work for all threads: by sizes alone. */
static struct kiln_params_conv_grad_winograd gradient_block(const struct kiln_conv_sizes *s)
{
    const struct kiln_params_conv_winograd p = block_of(s, false);
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
    if (s.images == 0 || !suits(plan, n, &s))
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

const kiln_kernel kiln_kernel_conv_winograd_filters = {
    .name = "conv_winograd_filters",
    .block_size = sizeof(struct kiln_params_conv_winograd_filters),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = blocks_units,
    .reference = kiln_reference_conv_winograd_filters_f32,
    .reference_f64 = kiln_reference_conv_winograd_filters_f64,
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
