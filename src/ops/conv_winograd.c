/*
 * conv_winograd.c - convolution, and its transpose, by transformed filters of 3 x 3: when it pays, its dispatches, its contracts.
 *
 * The filters are transformed by a dispatch of their own: of weights that stay it goes to the prologue. On GPUs the tiles of
 * conv_kernel.c serve instead: the contracts have no code for them, and no cuts, since operands are bound whole.
 */
#include "conv/conv_winograd.h"

#include <string.h>

#include "base/number.h"
#include "conv/conv_winograd_filters.h"
#include "device/caps.h"
#include "device/variants.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/splits.h"

enum {
    TILE = 4, /* results of a side */
    SOURCES =
        16, /* channels and filters at the least: with fewer the transforms take what the products save, */
    TILES = 12, /* and with fewer tiles reading the transformed filters does */
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

/* Of tiles that stick out far the rest is lost. */
static bool pays(const struct kiln_params_conv_winograd *p)
{
    const uint64_t tiles = kiln_parts(p->oh, TILE) * kiln_parts(p->ow, TILE);
    return p->channels >= SOURCES && p->filters >= SOURCES && p->images * tiles >= TILES &&
           tiles * TILE * TILE <= 2 * (uint64_t)p->oh * p->ow;
}

/* Lowering ----------------------------------------------------------------------------------------------- */

bool kiln_conv_winograd_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_winograd p = block_of(&s, n->op == &kiln_op_conv_transpose);
    const kiln_caps *caps = kiln_plan_caps(plan);
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_winograd,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
    };
    return caps->backend == KILN_BACKEND_CPU && !kiln_plan_lean(plan) &&
           kiln_plan_element(plan, n->in[0]) == sizeof(float) && s.groups == 1 && s.axis[0].x == 1 &&
           s.axis[0].y == 1 && s.axis[0].taps == 1 && s.axis[0].pad == 0 && is_three(&s.axis[1]) &&
           is_three(&s.axis[2]) && pays(&p) && kiln_plan_binds_whole(plan, &d, filters_size(&p));
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
