/*
 * conv_grad.c - the two gradients of 2-D convolution, operators of their own with gradients in turn: each
 * of the three is linear in both operands, so their gradients are one another.
 *
 *   dx[n, c, i', j']  = sum over o, u, v of dy[n, o, i, j] * w[o, c, u, v]
 *   dw[o, c, u, v]    = sum over n, i, j of dy[n, o, i, j] * x[n, c, i', j']
 *
 * with i' = i * stride - pad + u * dilation.
 *
 * The second sums over far more terms than it has results: where those are few, the images are split, each
 * split summed by itself and the splits added up in order. How many depends on sizes alone.
 */
#include "ops/beyond.h"
#include "ops/conv.h"

#include "base/number.h"
#include "device/caps.h"
#include "matmul/split_sum.h"

#include <string.h>

/* dy must be what conv2d of x and w gives. */
static kiln_status check_dy(kiln_graph *g, const kiln_node *n, const kiln_spec *dy, const kiln_spec *x,
                            const kiln_spec *w)
{
    kiln_shape y;
    const kiln_status status = kiln_conv2d_shape(g, n, x, w, &y);
    if (status)
        return status;
    if (dy->type == x->type && kiln_shape_equal(&dy->shape, &y))
        return KILN_OK;
    char have[96], want[96];
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "dy is %s %s, the convolution gives %s %s",
                          kiln_type_name(dy->type), kiln_shape_text(&dy->shape, have, sizeof have),
                          kiln_type_name(x->type), kiln_shape_text(&y, want, sizeof want));
}

/* Gradient by the input ---------------------------------------------------------------------------------- */

kiln_tensor kiln_conv2d_grad_input(kiln_graph *g, kiln_tensor dy, kiln_tensor w, kiln_tensor x_like,
                                   const kiln_conv2d_params *params)
{
    return kiln_conv2d_append(g, &kiln_op_conv2d_grad_input, (const kiln_tensor[]){dy, w, x_like}, 3, params);
}

static kiln_status grad_input_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec dy = kiln_tensor_spec(g, n->in[0]), w = kiln_tensor_spec(g, n->in[1]);
    out[0] = kiln_tensor_spec(g, n->in[2]);
    return check_dy(g, n, &dy, out, &w);
}

static void grad_input_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dz, kiln_tensor *dx)
{
    dx[0] = kiln_conv2d(g, dz[0], n->in[1], KILN_NONE, n->params);
    dx[1] = kiln_conv2d_grad_filter(g, n->in[0], dz[0], n->in[1], n->params);
}

static kiln_status grad_input_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape dy = kiln_plan_spec(plan, n->in[0]).shape, w = kiln_plan_spec(plan, n->in[1]).shape;
    const kiln_shape x = kiln_plan_spec(plan, n->out[0]).shape;
    if (kiln_shape_count(&x) == 0)
        return KILN_OK;

    const struct kiln_params_conv2d block = kiln_conv2d_block(n->params, &x, &w, &dy);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv2d_grad_input,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .block_size = sizeof block,
    };
    memcpy(d.block.bytes, &block, sizeof block);
    return kiln_plan_dispatch(plan, &d);
}

const kiln_op kiln_op_conv2d_grad_input = {
    .name = "conv2d_grad_input",
    .inputs = 3,
    .outputs = 1,
    .shape_inputs = 1u << 2,
    .infer = grad_input_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = grad_input_grad,
    .lowerings = (const kiln_lowering[]){{.name = "implicit_gemm", .lower = grad_input_lower}},
    .lowering_count = 1,
};

/* Gradient by the filters -------------------------------------------------------------------------------- */

kiln_tensor kiln_conv2d_grad_filter(kiln_graph *g, kiln_tensor dy, kiln_tensor x, kiln_tensor w_like,
                                    const kiln_conv2d_params *params)
{
    return kiln_conv2d_append(g, &kiln_op_conv2d_grad_filter, (const kiln_tensor[]){dy, x, w_like}, 3,
                              params);
}

static kiln_status grad_filter_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec dy = kiln_tensor_spec(g, n->in[0]), x = kiln_tensor_spec(g, n->in[1]);
    out[0] = kiln_tensor_spec(g, n->in[2]);
    return check_dy(g, n, &dy, &x, out);
}

static void grad_filter_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dz, kiln_tensor *dx)
{
    dx[0] = kiln_conv2d(g, n->in[1], dz[0], KILN_NONE, n->params);
    dx[1] = kiln_conv2d_grad_input(g, n->in[0], dz[0], n->in[1], n->params);
}

/* Images of one split: so few that there are some 32768 results in all, but with 256 positions at the
 * least; a power of two up to 64, so that windows can be cut between splits, or all of them. */
static uint32_t images_of_split(const struct kiln_params_conv2d *p, uint64_t results, bool windows)
{
    const uint64_t splits = 32768 / results + 1, positions = (uint64_t)p->oh * p->ow;
    uint64_t want = p->images / splits;
    want = want > 256 / positions ? want : 256 / positions;
    if (want >= p->images && !windows)
        return p->images;
    uint32_t images = 1;
    while (images < 64 && 2 * images <= want)
        images *= 2;
    return images;
}

static kiln_status sum_splits(kiln_plan *plan, kiln_tensor parts, kiln_tensor sum,
                              const struct kiln_params_split_sum *block)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_split_sum,
        .bind = {{.value = parts}, {.value = sum}},
        .block_size = sizeof *block,
    };
    memcpy(d.block.bytes, block, sizeof *block);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status grad_filter_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape dy = kiln_plan_spec(plan, n->in[0]).shape, x = kiln_plan_spec(plan, n->in[1]).shape;
    const kiln_shape w = kiln_plan_spec(plan, n->out[0]).shape;
    const uint64_t limit = kiln_plan_caps(plan)->max_binding;
    const uint64_t count = (uint64_t)kiln_shape_count(&w);

    struct kiln_params_conv2d block = kiln_conv2d_block(n->params, &x, &w, &dy);
    const uint64_t images = block.images;
    if (images > 0 && block.oh > 0 && block.ow > 0)
        block.per_split =
            images_of_split(&block, count,
                            4 * images * block.x_image > limit || 4 * images * block.y_image > limit);
    kiln_tensor parts = n->out[0];
    const uint64_t splits = block.per_split ? (images + block.per_split - 1) / block.per_split : 1;
    if (splits > 1) {
        block.part = (uint32_t)kiln_round_up(count, 64);
        parts = kiln_plan_temporary(plan, KILN_F32, (int64_t)(splits * block.part));
    }

    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv2d_grad_filter,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = parts}},
        .block_size = sizeof block,
    };
    memcpy(d.block.bytes, &block, sizeof block);
    const kiln_status status = kiln_plan_dispatch(plan, &d);
    if (status || splits == 1)
        return status;
    return sum_splits(plan, parts, n->out[0],
                      &(struct kiln_params_split_sum){(uint32_t)count, (uint32_t)splits, block.part});
}

/* The batch is summed up. */
static kiln_beyond filter_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)n;
    return axis == 0 && input < 2 ? KILN_FILLED(0) : KILN_REFUSED;
}

const kiln_op kiln_op_conv2d_grad_filter = {
    .name = "conv2d_grad_filter",
    .inputs = 3,
    .outputs = 1,
    .shape_inputs = 1u << 2,
    .infer = grad_filter_infer,
    .beyond = filter_beyond,
    .grad = grad_filter_grad,
    .lowerings = (const kiln_lowering[]){{.name = "implicit_gemm", .lower = grad_filter_lower}},
    .lowering_count = 1,
};
