/*
 * conv_columns.c - convolution on drivers that run on the CPU: what the filters meet is laid out, and then it is a product of matrices,
 * whose operands such drivers read four at a time (matmul_kernel.c).
 *
 * The layout takes taps times the memory of x and a pass over it, which many filters share. GPUs gather while they multiply instead
 * (conv_kernel.c).
 */
#include "conv/conv_columns.h"

#include <string.h>

#include "base/number.h"
#include "device/caps.h"
#include "matmul/matmul.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/copy.h"
#include "ops/kernels.h"
#include "ops/rounds.h"
#include "ops/splits.h"
#include "shaders.h"

enum {
    FEW_FILTERS = 16,        /* share too little */
    MOST_ELEMENTS = 1 << 24, /* laid out */
};

static const struct kiln_params_conv_columns *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_columns *)d->block.words;
}

static struct kiln_params_conv_columns sizes_of(const struct kiln_conv_sizes *s)
{
    const struct kiln_conv_axis *i = &s->axis[1], *j = &s->axis[2];
    struct kiln_params_conv_columns p = {
        .images = (uint32_t)s->images,
        KILN_CONV_PLANE(s),
        .terms = (uint32_t)kiln_round_up((uint64_t)(s->channels * i->taps * j->taps), 4),
    };
    KILN_DIVISOR_SET(&p, channels, (uint32_t)s->channels);
    KILN_DIVISOR_SET(&p, ow, (uint32_t)j->y);
    KILN_DIVISOR_SET(&p, fours, (uint32_t)kiln_parts((uint64_t)(i->y * j->y), 4));
    return p;
}

static uint64_t elements_of(const struct kiln_params_conv_columns *p)
{
    return (uint64_t)p->images * p->terms * p->fours * 4;
}

bool kiln_conv_columns_accepts(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    if (kiln_plan_caps(plan)->backend == KILN_BACKEND_CPU || n->op != &kiln_op_conv ||
        !kiln_conv_is_plane(plan, n, &s) || s.images * s.channels == 0)
        return false;
    const struct kiln_params_conv_columns p = sizes_of(&s);
    const kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_columns,
        .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
    };
    const uint64_t filters = (uint64_t)s.filters * p.terms;
    const uint64_t most = filters > elements_of(&p) ? filters : elements_of(&p);
    return most <= MOST_ELEMENTS && p.fours > 0 && kiln_plan_binds_whole(plan, &d, most);
}

bool kiln_conv_columns_pays(kiln_plan *plan, const kiln_node *n)
{
    const kiln_caps *caps = kiln_plan_caps(plan);
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_columns p = sizes_of(&s);
    const bool endless =
        (uint64_t)s.channels * kiln_rounds(1, p.u, p.v) > caps->max_rounds; /* term by term */
    return caps->software && (endless || s.filters >= FEW_FILTERS);
}

static kiln_tensor plan_columns(kiln_plan *plan, const kiln_node *n, const struct kiln_params_conv_columns *p,
                                kiln_status *status)
{
    const kiln_tensor z = kiln_plan_temporary(plan, KILN_F32, (int64_t)elements_of(p));
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_columns,
        .bind = {{.value = n->in[0]}, {.value = z}},
        .block_size = sizeof *p,
    };
    memcpy(d.block.bytes, p, sizeof *p);
    *status = kiln_plan_dispatch(plan, &d);
    return z;
}

/* The filters, each of as many terms as a column: as they are, or with zeros behind them. */
static kiln_tensor plan_filters(kiln_plan *plan, const kiln_node *n, int64_t filters, int64_t terms,
                                int64_t rounded, kiln_status *status)
{
    if (terms == rounded || *status)
        return n->in[1];
    const kiln_tensor w = kiln_plan_temporary(plan, KILN_F32, filters * rounded);
    *status = kiln_plan_fill(plan, (kiln_binding){.value = w}, 0);
    if (!*status)
        *status = kiln_plan_walk(plan, n->in[1], w,
                                 &(struct kiln_walk){.rank = 2,
                                                     .size = {filters, terms},
                                                     .x_step = {terms, 1},
                                                     .y_step = {rounded, 1}});
    return w;
}

kiln_status kiln_conv_columns_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_sizes_of_node(plan, n);
    const struct kiln_params_conv_columns p = sizes_of(&s);
    const uint32_t plane = (uint32_t)(s.axis[1].y * s.axis[2].y), filters = (uint32_t)s.filters;
    kiln_status status;
    const kiln_tensor z = plan_columns(plan, n, &p, &status);
    const kiln_tensor w = plan_filters(plan, n, s.filters, s.channels * p.u * p.v, p.terms, &status);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_matmul,
        .bind = {{.value = w}, {.value = z}, {.value = n->out[0]}},
        .block_size = sizeof(struct kiln_params_matmul),
    };
    struct kiln_params_matmul *b = (struct kiln_params_matmul *)d.block.words;
    if (!status)
        status = kiln_epilogue_write(plan, n, &d, 0, 3, b->immediate);
    kiln_conv_turn_walks(&d.constants[0]);
    b->m = filters;
    b->k = b->a_m = p.terms;
    b->n = b->c_m = plane;
    b->a_k = b->b_n = b->batch1 = 1;
    b->b_k = 4 * p.fours;
    b->batch = b->batch2 = p.images;
    b->b_batch2 = p.terms * b->b_k;
    b->c_batch = filters * plane;
    return status ? status : kiln_plan_product(plan, &d);
}

/* The contract ------------------------------------------------------------------------------------------- */

static uint64_t rows_units(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->images * block_of(d)->terms;
}

static uint64_t four_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv_columns *p = block_of(d);
    (void)caps;
    return kiln_parts((uint64_t)p->images * p->channels * p->fours, 64);
}

static bool x_texels(const kiln_caps *caps, const kiln_dispatch *d)
{
    const struct kiln_params_conv_columns *p = block_of(d);
    return (uint64_t)p->images * p->channels * p->h * p->w <= caps->max_texels;
}

static const kiln_variant columns_texels = {
    .name = "texels",
    .accepts = x_texels,
    .pays = kiln_on_software,
    .groups = four_groups,
    .spirv = &kiln_spirv_conv_columns_texels,
    .texels = 1 << 0,
};
static const kiln_variant columns_plain = {
    .name = "plain",
    .groups = four_groups,
    .spirv = &kiln_spirv_conv_columns,
};

const kiln_kernel kiln_kernel_conv_columns = {
    .name = "conv_columns",
    .block_size = sizeof(struct kiln_params_conv_columns),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = rows_units,
    .reference = kiln_reference_conv_columns_f32,
    .reference_f64 = kiln_reference_conv_columns_f64,
    .gpu = (const kiln_variant *const[]){&columns_texels, &columns_plain, NULL},
};
