/*
 * quantize_panels.c - products of bytes by filters or matrices that are packed as a CPU's tiles read them: convolution with channels last,
 * and matmul, which is one by points.
 *
 *   conv_integer_last     conv_integer over two axes, of x [N, H, W, C], to y [N, H', W', O]; w as it is there, [O, C, U, V]; of one group,
 *                         or with a filter for each channel alone (quantize_each.c)
 *
 * The compiler makes conv_integer_last where the CPU multiplies four bytes at once (compiler/channels.c): a position's channels are then
 * the terms of a sum as they lie, and results side by side are one vector. The contracts have no code for GPUs, and no cuts, since
 * operands are bound whole. Packing a constant is prologue.
 *
 * The kernels: src/cpu/quantize.c, src/cpu/quantize_panels_fast.c.   Tests: tests/cpu/bytes.c, tests/compiler/channels.c.
 */
#include "quantize/conv_panels.h"

#include <string.h>

#include <kiln/ops.h>

#include "device/caps.h"
#include "device/variants.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/quantize.h"
#include "ops/splits.h"
#include "quantize/pack_panels.h"

/* Lowering ----------------------------------------------------------------------------------------------- */

static uint64_t words_of(const struct kiln_params_pack_panels *p)
{
    return (p->columns + (uint64_t)KILN_PANEL - 1) / KILN_PANEL * KILN_PANEL * (p->quads + 1);
}

/* x and y as they lie, and w packed; the block lacks what the node's inputs tell. */
static kiln_dispatch dispatch_of(const kiln_plan *plan, const kiln_node *n,
                                 const struct kiln_params_conv_panels *block)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_panels,
        .bind = {{.value = n->in[0]},
                 {.value = n->in[1]},
                 {.value = kiln_optional_input(n, 2)},
                 {.value = kiln_optional_input(n, 3)},
                 {.value = n->out[0]}},
        .constant_count = 1,
        .block_size = sizeof *block,
    };
    struct kiln_params_conv_panels *p = (struct kiln_params_conv_panels *)d.block.words;
    *p = *block;
    p->w_step = kiln_zero_step(plan, kiln_optional_input(n, 3));
    p->w_flip = kiln_byte_flip(kiln_plan_spec(plan, n->in[1]).type);
    return d;
}

static kiln_status multiply(kiln_plan *plan, const kiln_node *n, kiln_dispatch *d,
                            const struct kiln_params_pack_panels *block)
{
    const kiln_tensor packed = kiln_plan_temporary(plan, KILN_I32, (int64_t)words_of(block));
    kiln_dispatch pack = {
        .kernel = &kiln_kernel_pack_panels,
        .bind = {{.value = n->in[1]}, {.value = packed}},
        .block_size = sizeof *block,
    };
    memcpy(pack.block.bytes, block, sizeof *block);
    ((struct kiln_params_pack_panels *)pack.block.words)->flip =
        kiln_byte_flip(kiln_plan_spec(plan, n->in[1]).type);
    d->bind[1].value = packed;
    kiln_status status = kiln_plan_dispatch(plan, &pack);
    if (!status)
        status = kiln_finish_write(plan, n, d, 5);
    return status ? status : kiln_plan_dispatch(plan, d);
}

static uint32_t quads_of(uint64_t depth)
{
    return (uint32_t)((depth + 3) / 4);
}

/* conv_integer_last -------------------------------------------------------------------------------------- */

/* [N, H, W, C] as [N, C, H, W]. */
static kiln_shape channels_second(const kiln_shape *s)
{
    return (kiln_shape){.rank = 4, .size = {s->size[0], s->size[3], s->size[1], s->size[2]}};
}

static kiln_status last_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    kiln_spec x = kiln_tensor_spec(g, n->in[0]), w = kiln_tensor_spec(g, n->in[1]);
    const kiln_type x_type = x.type, w_type = w.type;
    if (!kiln_is_byte(x_type) || !kiln_is_byte(w_type) || x.shape.rank != 4)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s and w %s, both must be i8 or u8, of rank 4",
                              kiln_type_name(x_type), kiln_type_name(w_type));
    kiln_shape y;
    x.type = w.type = KILN_F32; /* the shape rule is that of reals */
    x.shape = channels_second(&x.shape);
    kiln_status status = kiln_conv_shape(g, n, &x, &w, &y);
    if (status)
        return status;
    *out = (kiln_spec){KILN_I32, KILN_SHAPE(y.size[0], y.size[2], y.size[3], y.size[1])};
    status = kiln_check_zero(g, n, 2, x_type, 1, "x");
    return status ? status : kiln_check_zero(g, n, 3, w_type, w.shape.size[0], "w");
}

struct kiln_conv_sizes kiln_conv_last_sizes(const kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, w = kiln_plan_spec(plan, n->in[1]).shape,
                     y = kiln_plan_spec(plan, n->out[0]).shape;
    const kiln_shape of_x = channels_second(&x), of_y = channels_second(&y);
    return kiln_conv_sizes_of(n->params, &of_x, &w, &of_y);
}

static struct kiln_params_conv_panels last_block(const kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_conv_sizes s = kiln_conv_last_sizes(plan, n);
    const struct kiln_conv_axis *i = &s.axis[1], *j = &s.axis[2];
    return (struct kiln_params_conv_panels){
        .images = (uint32_t)s.images,
        .channels = (uint32_t)s.channels,
        .filters = (uint32_t)s.filters,
        KILN_CONV_PLANE(&s),
        .quads = quads_of((uint64_t)(s.channels * i->taps * j->taps)),
    };
}

static bool last_accepts(kiln_plan *plan, const kiln_node *n)
{
    (void)plan;
    return ((const kiln_conv_params *)n->params)->groups == 1;
}

static kiln_status last_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_params_conv_panels block = last_block(plan, n);
    const kiln_shape y = kiln_plan_spec(plan, n->out[0]).shape;
    if (kiln_shape_count(&y) == 0)
        return KILN_OK;
    const uint32_t taps = block.u * block.v;
    const struct kiln_params_pack_panels pack = {
        .columns = block.filters,
        .channels = block.channels,
        .depth = block.channels * taps,
        .quads = block.quads,
        .x_column = block.channels * taps,
        .x_tap = 1,
        .x_channel = taps,
    };
    kiln_dispatch d = dispatch_of(plan, n, &block);
    return multiply(plan, n, &d, &pack);
}

const kiln_op kiln_op_conv_integer_last = {
    .name = "conv_integer_last",
    .fields = kiln_conv_fields,
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_FINISH,
    .infer = last_infer,
    .beyond = kiln_beyond_in_batch,
    .lowerings = (const kiln_lowering[]){{.name = "each",
                                          .accepts = kiln_conv_each_accepts,
                                          .lower = kiln_conv_each_lower},
                                         {.name = "panels", .accepts = last_accepts, .lower = last_lower}},
    .lowering_count = 2,
};

/* matmul_integer ----------------------------------------------------------------------------------------- */

static struct kiln_params_conv_panels matmul_block(const kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape a = kiln_plan_spec(plan, n->in[0]).shape, y = kiln_plan_spec(plan, n->out[0]).shape;
    const uint32_t depth = (uint32_t)a.size[a.rank - 1], columns = (uint32_t)y.size[y.rank - 1],
                   rows = columns ? (uint32_t)(kiln_shape_count(&y) / columns) : 0;
    return (struct kiln_params_conv_panels){
        .images = 1,
        .channels = depth,
        .filters = columns,
        .h = 1,
        .w = rows,
        .oh = 1,
        .ow = rows,
        .u = 1,
        .v = 1,
        .stride_i = 1,
        .stride_j = 1,
        .dilation_i = 1,
        .dilation_j = 1,
        .quads = quads_of(depth),
    };
}

static struct kiln_params_pack_panels matmul_pack(const kiln_node *n,
                                                  const struct kiln_params_conv_panels *block)
{
    const bool turned = ((const kiln_matmul_params *)n->params)->transpose_b;
    return (struct kiln_params_pack_panels){
        .columns = block->filters,
        .channels = block->channels,
        .depth = block->channels,
        .quads = block->quads,
        .x_column = turned ? block->channels : 1,
        .x_channel = turned ? 1 : block->filters,
    };
}

bool kiln_matmul_panels_accepts(kiln_plan *plan, const kiln_node *n)
{
    const kiln_caps *caps = kiln_plan_caps(plan);
    const kiln_shape a = kiln_plan_spec(plan, n->in[0]).shape, b = kiln_plan_spec(plan, n->in[1]).shape,
                     y = kiln_plan_spec(plan, n->out[0]).shape;
    if (caps->backend != KILN_BACKEND_CPU || !caps->dot || kiln_plan_element(plan, n->in[0]) != 1 ||
        ((const kiln_matmul_params *)n->params)->transpose_a || kiln_shape_count(&y) == 0 ||
        kiln_shape_count(&a) == 0 || kiln_shape_count(&b) != b.size[b.rank - 2] * b.size[b.rank - 1] ||
        kiln_zero_step(plan, kiln_optional_input(n, 2)))
        return false;
    const struct kiln_params_conv_panels block = matmul_block(plan, n);
    const struct kiln_params_pack_panels pack = matmul_pack(n, &block);
    const kiln_dispatch d = dispatch_of(plan, n, &block);
    return kiln_plan_binds_whole(plan, &d, words_of(&pack));
}

kiln_status kiln_matmul_panels_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_params_conv_panels block = matmul_block(plan, n);
    const struct kiln_params_pack_panels pack = matmul_pack(n, &block);
    kiln_dispatch d = dispatch_of(plan, n, &block);
    return multiply(plan, n, &d, &pack);
}

/* Contracts ---------------------------------------------------------------------------------------------- */

static uint64_t panels_units(const kiln_dispatch *d)
{
    const struct kiln_params_pack_panels *p = (const struct kiln_params_pack_panels *)d->block.words;
    return (p->columns + (uint64_t)KILN_PANEL - 1) / KILN_PANEL;
}

const kiln_kernel kiln_kernel_pack_panels = {
    .name = "pack_panels",
    .block_size = sizeof(struct kiln_params_pack_panels),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .bytes = 1 << 0,
    .units = panels_units,
    .reference = kiln_reference_pack_panels_f32,
    .reference_f64 = kiln_reference_pack_panels_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_pack_panels_plain, NULL},
};

static const struct kiln_params_conv_panels *conv_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_conv_panels *)d->block.words;
}

static uint64_t positions(const kiln_dispatch *d)
{
    return (uint64_t)conv_of(d)->images * conv_of(d)->oh * conv_of(d)->ow;
}

static double flops(const kiln_dispatch *d)
{
    return 8.0 * (double)positions(d) * conv_of(d)->filters * conv_of(d)->quads;
}

const kiln_kernel kiln_kernel_conv_panels = {
    .name = "conv_panels",
    .block_size = sizeof(struct kiln_params_conv_panels),
    .bindings = 7,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE, KILN_READ, KILN_READ},
    .bytes = 1 << 0 | 1 << 4,
    .units = positions,
    .reference = kiln_reference_conv_panels_f32,
    .reference_f64 = kiln_reference_conv_panels_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_conv_panels_tiles, NULL},
    .flops = flops,
};
