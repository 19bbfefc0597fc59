/*
 * pool_last.c - the largest byte of windows over two axes, channels last, which convolutions of bytes around it want (compiler/channels.c).
 *
 *   pool_last     x [N, H, W, C] -> y [N, H', W', C]
 *
 * The contract has no code for GPUs, and no cuts.
 *
 * The kernels: src/cpu/pool.c, src/cpu/pool_last_fast.c.   Tests: tests/cpu/bytes.c, tests/compiler/channels.c.
 */
#include "pool/pool_last.h"

#include "device/variants.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/pool.h"
#include "ops/quantize.h"

static kiln_status last_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[0]);
    if (!kiln_is_byte(out->type) || out->shape.rank != 4)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s of rank %d, wanted i8 or u8 of rank 4",
                              kiln_type_name(out->type), out->shape.rank);
    for (int i = 0; i < 2; i++)
        out->shape.size[1 + i] = kiln_pool_windows(g, n->params, i, out->shape.size[1 + i]);
    return KILN_OK;
}

static kiln_status last_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_pool *p = n->params;
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, y = kiln_plan_spec(plan, n->out[0]).shape;
    kiln_dispatch d = {.kernel = &kiln_kernel_pool_last,
                       .bind = {{.value = n->in[0]}, {.value = n->out[0]}},
                       .block_size = sizeof(struct kiln_params_pool_last)};
    if (kiln_shape_count(&y) == 0)
        return KILN_OK;
    *(struct kiln_params_pool_last *)d.block.words = (struct kiln_params_pool_last){
        .images = (uint32_t)x.size[0],
        .channels = (uint32_t)x.size[3],
        .h = (uint32_t)x.size[1],
        .w = (uint32_t)x.size[2],
        .oh = (uint32_t)y.size[1],
        .ow = (uint32_t)y.size[2],
        .size_i = (uint32_t)p->size[0],
        .size_j = (uint32_t)p->size[1],
        .stride_i = (uint32_t)p->stride[0],
        .stride_j = (uint32_t)p->stride[1],
        .pad_i = (uint32_t)kiln_pool_pad(p, 0, x.size[1], y.size[1]),
        .pad_j = (uint32_t)kiln_pool_pad(p, 1, x.size[2], y.size[2]),
        .dilation_i = (uint32_t)p->dilation[0],
        .dilation_j = (uint32_t)p->dilation[1],
    };
    return kiln_plan_dispatch(plan, &d);
}

const kiln_op kiln_op_pool_last = {
    .name = "pool_last",
    .fields = kiln_pool_fields,
    .inputs = 1,
    .outputs = 1,
    .infer = last_infer,
    .beyond = kiln_beyond_in_batch,
    .lowerings = (const kiln_lowering[]){{.name = "windows", .lower = last_lower}},
    .lowering_count = 1,
};

static uint64_t rows(const kiln_dispatch *d)
{
    const struct kiln_params_pool_last *p = (const struct kiln_params_pool_last *)d->block.words;
    return (uint64_t)p->images * p->oh;
}

const kiln_kernel kiln_kernel_pool_last = {
    .name = "pool_last",
    .block_size = sizeof(struct kiln_params_pool_last),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .bytes = 1 << 0 | 1 << 1,
    .units = rows,
    .reference = kiln_reference_pool_last_f32,
    .reference_f64 = kiln_reference_pool_last_f64,
    .cpu = (const kiln_variant *const[]){&kiln_cpu_pool_last_rows, NULL},
};
