/*
 * conv_pair.c - a convolution and the depthwise one that alone reads it, at once, on the CPU: the lowering of the latter, and the contract.
 *
 * Blocks of a MobileNet expand few channels into many, which memory bounds: what lies between the two is then never written. On GPUs
 * the contract has no code.
 */
#include "conv/conv_pair.h"

#include <string.h>

#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/pack_columns.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/lower.h"
#include "ops/splits.h"

/* Lowering ----------------------------------------------------------------------------------------------- */

/* Whether a node is a depthwise convolution by 3 x 3, no row of whose results meets nothing but zeros. */
static bool is_depthwise(const kiln_plan *plan, const kiln_node *n, const struct kiln_conv_sizes *s)
{
    const struct kiln_conv_axis *a = &s->axis[0], *i = &s->axis[1], *j = &s->axis[2];
    return n->op == &kiln_op_conv && kiln_plan_element(plan, n->in[0]) == sizeof(float) && s->channels == 1 &&
           s->filters == 1 && a->x == 1 && a->y == 1 && a->taps == 1 && a->pad == 0 && i->y > 0 && j->x > 0 &&
           j->y > 0 && i->taps == KILN_PAIR_TAPS && j->taps == KILN_PAIR_TAPS && i->dilation == 1 &&
           j->dilation == 1 && i->stride == j->stride && i->stride <= 2 && i->pad >= 0 &&
           i->pad < KILN_PAIR_TAPS && (i->y - 1) * i->stride - i->pad < i->x;
}

/* What a finish reads is a number or one of a channel. */
static bool is_finished_by_channel(const kiln_plan *plan, const kiln_node *n)
{
    const kiln_spec out = kiln_plan_spec(plan, n->out[0]);
    for (int i = n->op->inputs; i < n->inputs; i++) {
        const kiln_spec spec = kiln_plan_spec(plan, n->in[i]);
        uint32_t walk;
        if (!kiln_epilogue_walk(n->op, &out, &spec, &walk) ||
            (walk != KILN_WALK_SCALAR && walk != KILN_WALK_COLUMN))
            return false;
    }
    return true;
}

static struct kiln_params_conv_pair block_of(const kiln_plan *plan, const kiln_node *first,
                                             const kiln_node *n)
{
    const struct kiln_conv_sizes z = kiln_conv_sizes_of_node(plan, first),
                                 s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_conv_axis *i = &s.axis[1], *j = &s.axis[2];
    return (struct kiln_params_conv_pair){.images = (uint32_t)s.images,
                                          .channels = (uint32_t)z.channels,
                                          .filters = (uint32_t)s.groups,
                                          KILN_CONV_PLANE(&z),
                                          .y_h = (uint32_t)i->y,
                                          .y_w = (uint32_t)j->y,
                                          .y_stride = (uint32_t)j->stride,
                                          .y_pad_i = (int32_t)i->pad,
                                          .y_pad_j = (int32_t)j->pad};
}

static kiln_status fill(kiln_plan *plan, const kiln_node *first, const kiln_node *n, kiln_dispatch *d)
{
    struct kiln_params_conv_pair block = block_of(plan, first, n);
    *d = (kiln_dispatch){
        .kernel = &kiln_kernel_conv_pair,
        .bind = {[0] = {.value = first->in[0]},
                 [1] = {.value = first->in[1]},
                 [2] = {.value = n->out[0]},
                 [5] = {.value = n->in[1]}},
        .block_size = sizeof block,
    };
    kiln_status status = kiln_epilogue_write(plan, first, d, 0, 3, block.immediate);
    if (!status)
        status = kiln_epilogue_write(plan, n, d, KILN_PAIR_SECOND, 6, block.second);
    memcpy(d->block.bytes, &block, sizeof block);
    return status;
}

bool kiln_conv_pair_accepts(kiln_plan *plan, const kiln_node *n)
{
    const kiln_node *first = kiln_plan_joined(plan, n);
    kiln_dispatch d;
    if (!first || first->op != &kiln_op_conv || n->op != &kiln_op_conv)
        return false;
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    return is_depthwise(plan, n, &s) && kiln_conv_packed_accepts(plan, first) &&
           is_finished_by_channel(plan, first) && !fill(plan, first, n, &d) &&
           kiln_cpu_conv_pair_blocks.accepts(kiln_plan_caps(plan), &d) && kiln_plan_binds_whole(plan, &d, 0);
}

/* Filters of points, or a strided one of few filters: those of each block meet the same copy of x, and transformed tiles none. */
bool kiln_conv_pair_pays(kiln_plan *plan, const kiln_node *n)
{
    const kiln_node *first = kiln_plan_joined(plan, n);
    const struct kiln_params_conv_pair p = block_of(plan, first, n);
    const bool points = p.u * p.v == 1 && p.stride_i == 1 && p.stride_j == 1;
    return kiln_conv_packed_pays(plan, first) &&
           (points || (p.stride_j > 1 && p.filters <= KILN_PACKED_COLUMNS));
}

/* Filters of so many terms each. */
static kiln_status pack(kiln_plan *plan, kiln_tensor from, uint32_t filters, uint32_t terms,
                        kiln_tensor *packed)
{
    const struct kiln_params_pack_columns p = {
        .columns = filters, .depth = terms, .column_step = terms, .depth_step = 1};
    return kiln_lower_pack_columns(plan, from, &p, packed);
}

kiln_status kiln_conv_pair_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_node *first = kiln_plan_joined(plan, n);
    const struct kiln_params_conv_pair block = block_of(plan, first, n);
    kiln_dispatch d;
    kiln_status status = fill(plan, first, n, &d);
    if (!status)
        status =
            pack(plan, first->in[1], block.filters, block.channels * block.u * block.v, &d.bind[1].value);
    if (!status)
        status = pack(plan, n->in[1], block.filters, KILN_PAIR_TAPS * KILN_PAIR_TAPS, &d.bind[5].value);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

/* The contract ------------------------------------------------------------------------------------------- */

static const struct kiln_params_conv_pair *params_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_pair *)d->block.words;
}

static uint64_t planes_units(const kiln_dispatch *d)
{
    return (uint64_t)params_of(d)->images * params_of(d)->filters;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_conv_pair *p = params_of(d);
    return 2.0 * p->images * p->filters *
           ((double)p->channels * p->u * p->v * p->oh * p->ow +
            KILN_PAIR_TAPS * KILN_PAIR_TAPS * (double)p->y_h * p->y_w);
}

const kiln_kernel kiln_kernel_conv_pair = {
    .name = "conv_pair",
    .block_size = sizeof(struct kiln_params_conv_pair),
    .bindings = 8,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_READ},
    .units = planes_units,
    .reference = kiln_reference_conv_pair_f32,
    .reference_f64 = kiln_reference_conv_pair_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_pair_blocks, NULL},
    .flops = flops,
};
