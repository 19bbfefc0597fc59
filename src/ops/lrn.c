/*
 * lrn.c - local response normalization across channels, as AlexNet has it.
 *
 *   y[n, c, ..] = x[n, c, ..] * (bias + alpha / size * sum over d near c of x[n, d, ..]^2)^-beta
 *
 * What is taken to the power -beta is an output: the gradient reads it, and y.
 *
 * Kernels: shaders/lrn/, src/cpu/lrn.c, src/cpu/lrn_fast.c.   Tests: tests/ops/lrn.c.
 */
#include "lrn/lrn.h"

#include <kiln/norm.h>

#include "base/number.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "ops/window.h"
#include "shaders.h"

struct params {
    int64_t size;
    double alpha, beta, bias;
};

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct params *p = n->params;
    out[0] = kiln_tensor_spec(g, n->in[0]);
    if (!kiln_type_is_real(out[0].type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s, wanted a real type",
                              kiln_type_name(out[0].type));
    if (out[0].shape.rank < 2)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x has rank %d, wanted [N, C, ..]", out[0].shape.rank);
    if (p->size < 1)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "sums over %lld channels, wanted at least 1",
                              (long long)p->size);
    out[1] = (kiln_spec){KILN_F32, out[0].shape};
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    if (dy[0].id)
        dx[0] =
            kiln_append(g, &kiln_op_lrn_grad, (const kiln_tensor[]){n->in[0], dy[0], n->out[0], n->out[1]}, 4,
                        n->params, n->params_size);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    return KILN_OK;
}

static kiln_status dispatch(kiln_plan *plan, const kiln_node *n, const kiln_kernel *kernel,
                            const kiln_tensor *bind)
{
    const struct params *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape;
    const kiln_shape inner = kiln_shape_of(x.rank - 2, x.size + 2);
    if (kiln_shape_count(&x) == 0)
        return KILN_OK;
    kiln_dispatch d = {.kernel = kernel, .block_size = sizeof(struct kiln_params_lrn)};
    for (int i = 0; i < kernel->bindings; i++)
        d.bind[i].value = bind[i];
    struct kiln_params_lrn *block = (struct kiln_params_lrn *)d.block.words;
    block->outer = (uint32_t)x.size[0];
    KILN_DIVISOR_SET(block, channels, (uint32_t)x.size[1]);
    KILN_DIVISOR_SET(block, inner, (uint32_t)kiln_shape_count(&inner));
    block->before = (uint32_t)((p->size - 1) / 2);
    block->after = (uint32_t)(p->size / 2);
    KILN_REAL_SET(block, bias, p->bias);
    KILN_REAL_SET(block, share, p->alpha / (double)p->size);
    KILN_REAL_SET(block, power, p->beta);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    return dispatch(plan, n, &kiln_kernel_lrn, (const kiln_tensor[]){n->in[0], n->out[0], n->out[1]});
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    return dispatch(plan, n, &kiln_kernel_lrn_grad,
                    (const kiln_tensor[]){n->in[0], n->in[1], n->in[2], n->in[3], n->out[0]});
}

static const kiln_field fields[] = {
    {"size", KILN_FIELD_I64, offsetof(struct params, size), 1},
    {"alpha", KILN_FIELD_REAL, offsetof(struct params, alpha), 1},
    {"beta", KILN_FIELD_REAL, offsetof(struct params, beta), 1},
    {"bias", KILN_FIELD_REAL, offsetof(struct params, bias), 1},
    {0},
};

const kiln_op kiln_op_lrn = {
    .name = "lrn",
    .fields = fields,
    .inputs = 1,
    .outputs = 2,
    .infer = infer,
    .grad = grad,
    .lowerings = (const kiln_lowering[]){{.name = "window", .lower = lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_lrn_grad = {
    .name = "lrn_grad",
    .fields = fields,
    .inputs = 4,
    .outputs = 1,
    .infer = grad_infer,
    .lowerings = (const kiln_lowering[]){{.name = "window", .lower = grad_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_local_response_norm(kiln_graph *g, kiln_tensor x,
                                     const kiln_local_response_norm_params *params)
{
    const kiln_local_response_norm_params none = {0}, *given = params ? params : &none;
    const struct params p = {.size = given->size,
                             .alpha = kiln_real_or(given->alpha, 1e-4),
                             .beta = kiln_real_or(given->beta, 0.75),
                             .bias = kiln_real_or(given->bias, 1)};
    return x.id ? kiln_append(g, &kiln_op_lrn, &x, 1, &p, sizeof p) : KILN_NONE;
}

/* The kernels -------------------------------------------------------------------------------------------- */

enum { LANES = 64 };

static const struct kiln_params_lrn *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_lrn *)d->block.words;
}

static uint64_t image_of(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->channels * block_of(d)->inner;
}

static uint64_t units(const kiln_dispatch *d)
{
    return block_of(d)->outer * image_of(d);
}

static double flops(const kiln_dispatch *d)
{
    return (40.0 + 2.0 * (block_of(d)->before + block_of(d)->after)) * (double)units(d);
}

static uint64_t extent(const kiln_dispatch *d)
{
    return block_of(d)->outer;
}

static uint64_t unit(const kiln_dispatch *d)
{
    return kiln_value_unit(image_of(d));
}

static void take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    ((struct kiln_params_lrn *)d->block.words)->outer = (uint32_t)count;
    for (int i = 0; i < d->kernel->bindings; i++) {
        d->bind[i].offset += first * image_of(d) * d->element[i];
        d->bind[i].bytes = count * image_of(d) * d->element[i];
    }
}

static uint64_t groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (units(d) + LANES - 1) / LANES;
}

static const kiln_cut cut = {extent, take, unit};
static const kiln_variant flat = {
    .name = "flat", .groups = groups, .spirv = &kiln_spirv_lrn, .half = &kiln_spirv_lrn_half, .lanes = LANES};
static const kiln_variant grad_flat = {.name = "flat",
                                       .groups = groups,
                                       .spirv = &kiln_spirv_lrn_grad,
                                       .half = &kiln_spirv_lrn_grad_half,
                                       .lanes = LANES};

const kiln_kernel kiln_kernel_lrn = {
    .name = "lrn",
    .block_size = sizeof(struct kiln_params_lrn),
    .bindings = 3,
    .access = {KILN_READ, KILN_WRITE, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1,
    .units = units,
    .reference = kiln_reference_lrn_f32,
    .reference_f64 = kiln_reference_lrn_f64,
    .gpu = (const kiln_variant *const[]){&flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_lrn_blocks, NULL},
    .cuts = &cut,
    .cut_count = 1,
    .flops = flops,
};

const kiln_kernel kiln_kernel_lrn_grad = {
    .name = "lrn_grad",
    .block_size = sizeof(struct kiln_params_lrn),
    .bindings = 5,
    .access = {KILN_READ, KILN_READ, KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4,
    .units = units,
    .reference = kiln_reference_lrn_grad_f32,
    .reference_f64 = kiln_reference_lrn_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_flat, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_lrn_grad_blocks, NULL},
    .cuts = &cut,
    .cut_count = 1,
    .flops = flops,
};
