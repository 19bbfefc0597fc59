/*
 * pool.c - the largest or the mean value of windows over images, and their gradients.
 *
 * The gradient operators take {x, dy}: the shape of dx is x's, and where the largest value lay is found
 * again.
 *
 * Kernels: shaders/pool/, src/cpu/pool.c, src/cpu/pool_fast.c.   Tests: tests/cpu/pool.c, tests/ops/pool.c.
 */
#include <kiln/ops.h>

#include "base/log.h"
#include "device/variants.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/kernels.h"
#include "pool/pool2d.h"
#include "shaders.h"

/* Operators ---------------------------------------------------------------------------------------------- */

/* kiln_pool2d_params with every default in place, without padding bytes. */
struct pool {
    int mode;
    int size[2], stride[2], pad[2][2], dilation[2];
    int ceil;
};

static struct pool pool_of(int mode, const kiln_pool2d_params *params)
{
    const kiln_pool2d_params none = {0}, *given = params ? params : &none;
    struct pool p = {.mode = mode, .ceil = given->ceil};
    for (int i = 0; i < 2; i++) {
        p.size[i] = given->size[i];
        p.stride[i] = given->stride[i] ? given->stride[i] : given->size[i];
        p.dilation[i] = given->dilation[i] ? given->dilation[i] : 1;
        p.pad[i][0] = given->pad[i][0];
        p.pad[i][1] = given->pad[i][1];
    }
    return p;
}

/* From the first tap of a window to its last. */
static int64_t reach_of(const struct pool *p, int i)
{
    return (int64_t)p->dilation[i] * (p->size[i] - 1) + 1;
}

static kiln_status check(kiln_graph *g, const kiln_node *n, const struct pool *p, const kiln_spec *x)
{
    char text[96];
    if (x->shape.rank != 4 || !kiln_type_is_real(x->type))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x is %s %s, wanted reals [N, C, H, W]",
                              kiln_type_name(x->type),
                              kiln_graph_shape_text(g, &x->shape, text, sizeof text));
    for (int i = 0; i < 2; i++) {
        const int64_t size = x->shape.size[2 + i];
        if (p->size[i] < 1 || p->stride[i] < 1 || p->dilation[i] < 1)
            return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "axis %d: size %d, stride %d, dilation %d", i,
                                  p->size[i], p->stride[i], p->dilation[i]);
        if (p->pad[i][0] < 0 || p->pad[i][1] < 0 || p->pad[i][0] >= reach_of(p, i) ||
            p->pad[i][1] >= reach_of(p, i))
            return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT,
                                  "axis %d: padding %d and %d, a window reaches over %lld", i, p->pad[i][0],
                                  p->pad[i][1], (long long)reach_of(p, i));
        if (size >= 0 && size + p->pad[i][0] + p->pad[i][1] < reach_of(p, i))
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                                  "axis %d: a window reaches over %lld, the padded x has %lld", i,
                                  (long long)reach_of(p, i), (long long)(size + p->pad[i][0] + p->pad[i][1]));
    }
    return KILN_OK;
}

/* Windows along an axis. With ceil the last one may reach beyond the padding, but begins before x ends. */
static int64_t windows(kiln_graph *g, const struct pool *p, int i, int64_t size)
{
    const int64_t reach = reach_of(p, i), stride = p->stride[i];
    if (!p->ceil) {
        const int64_t padded = kiln_dim_add(g, size, p->pad[i][0] + p->pad[i][1]);
        return kiln_dim_add(g, kiln_dim_div(g, kiln_dim_sub(g, padded, reach), stride), 1);
    }
    const int64_t more = stride + p->pad[i][1] - reach, from = kiln_dim_add(g, size, p->pad[i][0]);
    return kiln_dim_ceil_div(g, more < 0 ? kiln_dim_sub(g, from, -more) : from, stride);
}

static kiln_status pool_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct pool *p = n->params;
    *out = kiln_tensor_spec(g, n->in[0]);
    if (check(g, n, p, out))
        return kiln_graph_status(g);
    for (int i = 0; i < 2; i++)
        out->shape.size[2 + i] = windows(g, p, i, out->shape.size[2 + i]);
    return KILN_OK;
}

static void pool_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_append(g, &kiln_op_pool2d_grad, (const kiln_tensor[]){n->in[0], dy[0]}, 2, n->params,
                        n->params_size);
}

static kiln_status like_x_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static kiln_dispatch dispatch_of(const kiln_plan *plan, const kiln_kernel *kernel, const struct pool *p,
                                 kiln_tensor x, kiln_tensor y)
{
    const kiln_shape in = kiln_plan_spec(plan, x).shape, out = kiln_plan_spec(plan, y).shape;
    kiln_dispatch d = {
        .kernel = kernel,
        .constants = {(uint32_t)p->mode},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_pool2d),
    };
    struct kiln_params_pool2d *block = (struct kiln_params_pool2d *)d.block.words;
    block->planes = (uint32_t)(in.size[0] * in.size[1]);
    KILN_DIVISOR_SET(block, height, (uint32_t)in.size[2]);
    KILN_DIVISOR_SET(block, width, (uint32_t)in.size[3]);
    KILN_DIVISOR_SET(block, out_height, (uint32_t)out.size[2]);
    KILN_DIVISOR_SET(block, out_width, (uint32_t)out.size[3]);
    block->size_h = (uint32_t)p->size[0], block->size_w = (uint32_t)p->size[1];
    block->stride_h = (uint32_t)p->stride[0], block->stride_w = (uint32_t)p->stride[1];
    block->dilation_h = (uint32_t)p->dilation[0], block->dilation_w = (uint32_t)p->dilation[1];
    block->pad_h = (uint32_t)p->pad[0][0], block->pad_w = (uint32_t)p->pad[1][0];
    block->padded_h = block->height + (uint32_t)(p->pad[0][0] + p->pad[0][1]);
    block->padded_w = block->width + (uint32_t)(p->pad[1][0] + p->pad[1][1]);
    return d;
}

static kiln_status pool_lower(kiln_plan *plan, const kiln_node *n)
{
    kiln_dispatch d = dispatch_of(plan, &kiln_kernel_pool2d, n->params, n->in[0], n->out[0]);
    d.bind[0].value = n->in[0];
    d.bind[1].value = n->out[0];
    const kiln_shape y = kiln_plan_spec(plan, n->out[0]).shape;
    return kiln_shape_count(&y) ? kiln_plan_dispatch(plan, &d) : KILN_OK;
}

/* A mean needs no x: dy stands in for it, so that x need not live until here. */
static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct pool *p = n->params;
    kiln_dispatch d = dispatch_of(plan, &kiln_kernel_pool2d_grad, p, n->out[0], n->in[1]);
    d.bind[0].value = p->mode == KILN_POOL_MAX ? n->in[0] : n->in[1];
    d.bind[1].value = n->in[1];
    d.bind[2].value = n->out[0];
    const kiln_shape dx = kiln_plan_spec(plan, n->out[0]).shape;
    return kiln_shape_count(&dx) ? kiln_plan_dispatch(plan, &d) : KILN_OK;
}

static const kiln_field pool_fields[] = {
    {"mode", KILN_FIELD_INT, offsetof(struct pool, mode), 1},
    {"size", KILN_FIELD_INT, offsetof(struct pool, size), 2},
    {"stride", KILN_FIELD_INT, offsetof(struct pool, stride), 2},
    {"pad", KILN_FIELD_INT, offsetof(struct pool, pad), 4},
    {"dilation", KILN_FIELD_INT, offsetof(struct pool, dilation), 2},
    {"ceil", KILN_FIELD_INT, offsetof(struct pool, ceil), 1},
    {0},
};

const kiln_op kiln_op_pool2d = {
    .name = "pool2d",
    .fields = pool_fields,
    .inputs = 1,
    .outputs = 1,
    .infer = pool_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = pool_grad,
    .lowerings = (const kiln_lowering[]){{.name = "pool2d", .lower = pool_lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_pool2d_grad = {
    .name = "pool2d_grad",
    .inputs = 2,
    .outputs = 1,
    .infer = like_x_infer,
    .beyond = kiln_beyond_in_batch,
    .lowerings = (const kiln_lowering[]){{.name = "pool2d_grad", .lower = grad_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_max_pool2d(kiln_graph *g, kiln_tensor x, const kiln_pool2d_params *params)
{
    const struct pool p = pool_of(KILN_POOL_MAX, params);
    return kiln_append(g, &kiln_op_pool2d, &x, 1, &p, sizeof p);
}

kiln_tensor kiln_average_pool2d(kiln_graph *g, kiln_tensor x, const kiln_pool2d_params *params)
{
    const struct pool p =
        pool_of(params && params->count_pad ? KILN_POOL_MEAN_PADDED : KILN_POOL_MEAN, params);
    return kiln_append(g, &kiln_op_pool2d, &x, 1, &p, sizeof p);
}

/* Contracts ---------------------------------------------------------------------------------------------- */

static const struct kiln_params_pool2d *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_pool2d *)d->block.words;
}

static uint64_t in_plane(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->height * block_of(d)->width;
}

static uint64_t out_plane(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->out_height * block_of(d)->out_width;
}

static uint64_t pool_units(const kiln_dispatch *d)
{
    return block_of(d)->planes * out_plane(d);
}

static uint64_t grad_units(const kiln_dispatch *d)
{
    return block_of(d)->planes * in_plane(d);
}

static uint64_t pool_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (pool_units(d) + 63) / 64;
}

static uint64_t grad_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (grad_units(d) + 63) / 64;
}

/* Windows are planes. */
static uint64_t planes_of(const kiln_dispatch *d)
{
    return block_of(d)->planes;
}

static void narrow(kiln_dispatch *d, int i, uint64_t plane, uint64_t first, uint64_t count)
{
    const uint64_t bytes = plane * d->element[i];
    d->bind[i].offset += first * bytes;
    d->bind[i].bytes = count * bytes;
}

static void pool_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    ((struct kiln_params_pool2d *)d->block.words)->planes = (uint32_t)count;
    narrow(d, 0, in_plane(d), first, count);
    narrow(d, 1, out_plane(d), first, count);
}

static void grad_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    ((struct kiln_params_pool2d *)d->block.words)->planes = (uint32_t)count;
    narrow(d, 0, d->constants[0] == KILN_POOL_MAX ? in_plane(d) : out_plane(d), first, count);
    narrow(d, 1, out_plane(d), first, count);
    narrow(d, 2, in_plane(d), first, count);
}

/* The fewest planes behind which both operands are at a multiple of 256 bytes. */
static uint64_t planes_unit(const kiln_dispatch *d)
{
    const uint64_t grain = kiln_dispatch_unit(d);
    uint64_t unit = 1;
    while (unit * in_plane(d) % grain || unit * out_plane(d) % grain)
        unit++;
    return unit;
}

static const kiln_cut pool_cut = {planes_of, pool_take, planes_unit},
                      grad_cut = {planes_of, grad_take, planes_unit};
static const kiln_variant pool_flat = {
    .name = "flat", .groups = pool_groups, .spirv = &kiln_spirv_pool2d, .half = &kiln_spirv_pool2d_half};
static const kiln_variant grad_flat = {.name = "flat",
                                       .groups = grad_groups,
                                       .spirv = &kiln_spirv_pool2d_grad,
                                       .half = &kiln_spirv_pool2d_grad_half};

const kiln_kernel kiln_kernel_pool2d = {
    .name = "pool2d",
    .block_size = sizeof(struct kiln_params_pool2d),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = pool_units,
    .reference = kiln_reference_pool2d_f32,
    .reference_f64 = kiln_reference_pool2d_f64,
    .gpu = (const kiln_variant *const[]){&pool_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_pool2d_planes, NULL},
    .cuts = &pool_cut,
    .cut_count = 1,
};

const kiln_kernel kiln_kernel_pool2d_grad = {
    .name = "pool2d_grad",
    .block_size = sizeof(struct kiln_params_pool2d),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1 | 1 << 2,
    .units = grad_units,
    .reference = kiln_reference_pool2d_grad_f32,
    .reference_f64 = kiln_reference_pool2d_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_pool2d_grad_planes, NULL},
    .cuts = &grad_cut,
    .cut_count = 1,
};
