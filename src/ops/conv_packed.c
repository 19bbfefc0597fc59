/*
 * conv_packed.c - convolution by packed filters on the CPU: when that pays, the dispatches, the contracts.
 *
 * The filters are packed by a dispatch of their own: of weights that stay it goes to the prologue. On GPUs the tiles of
 * conv_kernel.c serve instead: the contracts have no code for them, and no cuts, since operands are bound whole.
 */
#include "conv/conv_packed.h"

#include <string.h>

#include "base/number.h"
#include "device/caps.h"
#include "device/variants.h"
#include "matmul/pack_columns.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/lower.h"
#include "ops/splits.h"

enum {
    FEW = 8,   /* filters, that nearly fill a tile's rows */
    MANY = 4,  /* times as many positions as channels */
    SHORT = 7, /* positions of a row: fewer fill no vector */
};

/* Lowering ----------------------------------------------------------------------------------------------- */

static struct kiln_params_conv_packed block_of(const struct kiln_conv_sizes *s)
{
    return (struct kiln_params_conv_packed){.images = (uint32_t)s->images,
                                            .channels = (uint32_t)s->channels,
                                            .filters = (uint32_t)s->filters,
                                            KILN_CONV_PLANE(s)};
}

static uint32_t depth_of(const struct kiln_params_conv_packed *p)
{
    return p->channels * p->u * p->v;
}

static struct kiln_params_pack_columns pack_of(const struct kiln_params_conv_packed *p)
{
    return (struct kiln_params_pack_columns){
        .columns = p->filters,
        .depth = depth_of(p),
        .column_step = depth_of(p),
        .depth_step = 1,
    };
}

bool kiln_conv_packed_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_packed p = block_of(&s);
    const struct kiln_params_pack_columns pack = pack_of(&p);
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_packed,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
    };
    return n->op == &kiln_op_conv && kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU &&
           kiln_conv_is_plane(plan, n, &s) && !kiln_plan_lean(plan) &&
           kiln_plan_binds_whole(plan, &d, kiln_packed_columns(&pack));
}

/* Whether there are so many positions, of points as they lie, that these are columns, and filters need not fill blocks. */
static bool has_columns(const struct kiln_conv_sizes *s)
{
    const struct kiln_conv_axis *i = &s->axis[1], *j = &s->axis[2];
    return kiln_conv_is_plain(i) && kiln_conv_is_plain(j) && i->y * j->y >= MANY * s->channels;
}

/* Filters that nearly fill their blocks, or rows so short that only filters fill vectors. */
bool kiln_conv_packed_pays(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_packed p = block_of(&s);
    return (p.filters >= FEW && has_columns(&s)) ||
           4 * p.filters >= 3 * kiln_round_up(p.filters, KILN_PACKED_COLUMNS) || p.ow < SHORT;
}

kiln_form kiln_conv_packed_form(const kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_packed p = block_of(&s);
    const struct kiln_params_pack_columns pack = pack_of(&p);
    return (kiln_form){kiln_packed_columns(&pack) * sizeof(float), (uint64_t)p.images * p.oh * p.ow};
}

kiln_status kiln_conv_packed_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    struct kiln_params_conv_packed block = block_of(&s);
    if ((uint64_t)block.images * block.filters * block.oh * block.ow == 0)
        return KILN_OK;
    const struct kiln_params_pack_columns pack = pack_of(&block);
    kiln_tensor packed;
    kiln_status status = kiln_lower_pack_columns(plan, n->in[1], &pack, &packed);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_packed,
        .bind = {{.value = n->in[0]}, {.value = packed}, {.value = n->out[0]}},
        .block_size = sizeof block,
    };
    if (!status)
        status = kiln_epilogue_write(plan, n, &d, 0, 3, block.immediate);
    d.constant_count = KILN_EPILOGUE_CONSTANTS;
    memcpy(d.block.bytes, &block, sizeof block);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

/* Contracts ---------------------------------------------------------------------------------------------- */

static uint64_t planes_units(const kiln_dispatch *d)
{
    const struct kiln_params_conv_packed *p = (const struct kiln_params_conv_packed *)d->block.words;
    return (uint64_t)p->images * p->filters;
}

static double flops(const kiln_dispatch *d)
{
    const struct kiln_params_conv_packed *p = (const struct kiln_params_conv_packed *)d->block.words;
    return 2.0 * depth_of(p) * p->images * p->filters * p->oh * p->ow;
}

const kiln_kernel kiln_kernel_conv_packed = {
    .name = "conv_packed",
    .block_size = sizeof(struct kiln_params_conv_packed),
    .bindings = 5,
    .access = {KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .units = planes_units,
    .reference = kiln_reference_conv_packed_f32,
    .reference_f64 = kiln_reference_conv_packed_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_packed_runs, NULL},
    .flops = flops,
};
