/*
 * gather.c - slices picked by index, and their gradient.
 *
 *   y[.., j, ..] = x[.., index[j], ..]      dx[.., r, ..] = sum over j with index[j] = r of dy[.., j, ..]
 *
 * Kernels: shaders/gather/, src/cpu/gather.c, src/cpu/gather_fast.c.   Tests: tests/ops/gather.c.
 */
#include <kiln/ops.h>

#include "base/log.h"
#include "device/variants.h"
#include "gather/gather.h"
#include "graph/graph.h"
#include "ops/kernels.h"
#include "shaders.h"

/* Operators ---------------------------------------------------------------------------------------------- */

static bool is_index(kiln_type type)
{
    return type == KILN_I32 || type == KILN_I64;
}

static kiln_status gather_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]), index = kiln_tensor_spec(g, n->in[1]);
    const int given = *(const int *)n->params, axis = kiln_axis_of(given, x.shape.rank);
    const int rank = x.shape.rank - 1 + index.shape.rank;
    if (!is_index(index.type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "index is %s, wanted i32 or i64",
                              kiln_type_name(index.type));
    if (axis < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "no axis %d in rank %d", given, x.shape.rank);
    if (rank > KILN_MAX_RANK)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "x of rank %d and index of rank %d make more than %d axes", x.shape.rank,
                              index.shape.rank, KILN_MAX_RANK);
    *out = (kiln_spec){x.type, {.rank = rank}};
    int64_t *size = out->shape.size;
    for (int i = 0; i < axis; i++)
        *size++ = x.shape.size[i];
    for (int i = 0; i < index.shape.rank; i++)
        *size++ = index.shape.size[i];
    for (int i = axis + 1; i < x.shape.rank; i++)
        *size++ = x.shape.size[i];
    return KILN_OK;
}

static void gather_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_tensor in[] = {dy[0], n->in[1], n->in[0]};
    dx[0] = kiln_append(g, &kiln_op_gather_grad, in, 3, n->params, n->params_size);
}

/* Of {dy, index, x}: dx, of x's shape. */
static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    *out = kiln_tensor_spec(g, n->in[2]);
    return KILN_OK;
}

static void grad_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] =
        kiln_append(g, &kiln_op_gather, (const kiln_tensor[]){dy[0], n->in[1]}, 2, n->params, n->params_size);
}

/* The block for slices of x, picked by index, along an axis. */
static struct kiln_params_gather block_for(const kiln_plan *plan, kiln_tensor x, kiln_tensor index, int given)
{
    const kiln_shape s = kiln_plan_spec(plan, x).shape, i = kiln_plan_spec(plan, index).shape;
    const int axis = kiln_axis_of(given, s.rank);
    const kiln_shape outer = kiln_shape_of(axis, s.size),
                     inner = kiln_shape_of(s.rank - axis - 1, s.size + axis + 1);
    struct kiln_params_gather block = {
        .outer = (uint32_t)kiln_shape_count(&outer),
        .rows = (uint32_t)s.size[axis],
    };
    KILN_DIVISOR_SET(&block, count, (uint32_t)kiln_shape_count(&i));
    KILN_DIVISOR_SET(&block, inner, (uint32_t)kiln_shape_count(&inner));
    return block;
}

static kiln_status dispatch(kiln_plan *plan, const kiln_kernel *kernel, const kiln_tensor bind[3],
                            const struct kiln_params_gather *block)
{
    kiln_dispatch d = {
        .kernel = kernel,
        .bind = {{.value = bind[0]}, {.value = bind[1]}, {.value = bind[2]}},
        .constants = {kiln_plan_words(plan, bind[2])},
        .constant_count = 1,
        .block_size = sizeof *block,
    };
    *(struct kiln_params_gather *)d.block.words = *block;
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status gather_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_params_gather block = block_for(plan, n->in[0], n->in[1], *(const int *)n->params);
    if (!block.outer || !block.count || !block.inner)
        return KILN_OK;
    if (!block.rows)
        return kiln_fail(KILN_ERROR_SHAPE, "gather: picks %u slices of an axis that has none", block.count);
    return dispatch(plan, &kiln_kernel_gather, (const kiln_tensor[]){n->in[0], n->in[1], n->out[0]}, &block);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    const struct kiln_params_gather block = block_for(plan, n->out[0], n->in[1], *(const int *)n->params);
    if (!block.outer || !block.rows || !block.inner)
        return KILN_OK;
    if (!block.count)
        return kiln_plan_fill(plan, (kiln_binding){.value = n->out[0]}, 0);
    return dispatch(plan, &kiln_kernel_gather_grad, (const kiln_tensor[]){n->in[0], n->in[1], n->out[0]},
                    &block);
}

const kiln_op kiln_op_gather = {
    .name = "gather",
    .fields = (const kiln_field[]){{"axis", KILN_FIELD_INT, 0, 1}, {0}},
    .inputs = 2,
    .outputs = 1,
    .infer = gather_infer,
    .grad = gather_grad,
    .lowerings = (const kiln_lowering[]){{.name = "gather", .lower = gather_lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_gather_grad = {
    .name = "gather_grad",
    .inputs = 3,
    .outputs = 1,
    .shape_inputs = 1u << 2,
    .infer = grad_infer,
    .grad = grad_grad,
    .lowerings = (const kiln_lowering[]){{.name = "gather_grad", .lower = grad_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_gather(kiln_graph *g, kiln_tensor x, kiln_tensor index, int axis)
{
    return kiln_append(g, &kiln_op_gather, (const kiln_tensor[]){x, index}, 2, &axis, sizeof axis);
}

/* Contracts ---------------------------------------------------------------------------------------------- */

static const struct kiln_params_gather *block_of(const kiln_dispatch *d)
{
    return (const struct kiln_params_gather *)d->block.words;
}

static uint64_t rows_of_y(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * block_of(d)->count;
}

static uint64_t rows_of_dx(const kiln_dispatch *d)
{
    return (uint64_t)block_of(d)->outer * block_of(d)->rows;
}

static uint64_t flat_groups(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps;
    return (rows_of_y(d) * block_of(d)->inner + 63) / 64;
}

/* Windows of the index, and of y with it where y's rows follow it. */
static uint64_t gather_extent(const kiln_dispatch *d)
{
    return block_of(d)->outer == 1 ? block_of(d)->count : 1;
}

static void gather_take(kiln_dispatch *d, uint64_t first, uint64_t count)
{
    struct kiln_params_gather *p = (struct kiln_params_gather *)d->block.words;
    const uint64_t row = (uint64_t)p->inner * d->element[2];
    KILN_DIVISOR_SET(p, count, (uint32_t)count);
    d->bind[1].offset += first * d->element[1];
    d->bind[1].bytes = count * d->element[1];
    d->bind[2].offset += first * row;
    d->bind[2].bytes = count * row;
}

static const kiln_cut gather_cut = {gather_extent, gather_take};
static const kiln_variant gather_flat = {
    .name = "flat", .groups = flat_groups, .spirv = &kiln_spirv_gather, .half = &kiln_spirv_gather_half};
static const kiln_variant grad_rows = {.name = "rows", .spirv = &kiln_spirv_gather_grad};

const kiln_kernel kiln_kernel_gather = {
    .name = "gather",
    .block_size = sizeof(struct kiln_params_gather),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .halves = 1 << 0 | 1 << 2,
    .units = rows_of_y,
    .reference = kiln_reference_gather_f32,
    .reference_f64 = kiln_reference_gather_f64,
    .gpu = (const kiln_variant *const[]){&gather_flat, NULL},
    .cuts = &gather_cut,
    .cut_count = 1,
};

const kiln_kernel kiln_kernel_gather_grad = {
    .name = "gather_grad",
    .block_size = sizeof(struct kiln_params_gather),
    .bindings = 3,
    .access = {KILN_READ, KILN_READ, KILN_WRITE},
    .units = rows_of_dx,
    .reference = kiln_reference_gather_grad_f32,
    .reference_f64 = kiln_reference_gather_grad_f64,
    .gpu = (const kiln_variant *const[]){&grad_rows, NULL},
    .cpu = (const kiln_variant *const[]){&kiln_cpu_gather_grad_ranges, NULL},
};
