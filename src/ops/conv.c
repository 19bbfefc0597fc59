/*
 * conv.c - 2-D convolution.
 *
 *   y[n, o, i, j] = sum over c, u, v of
 *                   x[n, c, i * stride - pad + u * dilation, j * stride - pad + v * dilation] * w[o, c, u, v]
 *
 * The bias is an addition of its own, which the compiler fuses as an epilogue. The gradients are operators
 * (conv_grad.c).
 *
 * The kernel: src/ops/conv_kernel.c, shaders/conv/, src/cpu/conv.c, src/cpu/conv_taps.c, conv_dots.c.
 * Tests: tests/ops/conv.c.
 */
#include "ops/conv.h"
#include "ops/beyond.h"

#include "ops/chain.h"

#include <string.h>

/* Shapes ------------------------------------------------------------------------------------------------- */

kiln_tensor kiln_conv2d_append(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                               const kiln_conv2d_params *params)
{
    const kiln_conv2d_params given = params ? *params : (kiln_conv2d_params){0};
    kiln_conv2d_params p;
    memset(&p, 0, sizeof p); /* the bytes between members too */
    for (int i = 0; i < 2; i++) {
        p.stride[i] = given.stride[i] ? given.stride[i] : 1;
        p.dilation[i] = given.dilation[i] ? given.dilation[i] : 1;
        p.pad[i][0] = given.same ? 0 : given.pad[i][0];
        p.pad[i][1] = given.same ? 0 : given.pad[i][1];
    }
    p.same = given.same;
    p.groups = given.groups ? given.groups : 1;
    return kiln_append(g, op, in, inputs, &p, sizeof p);
}

static kiln_status check_params(kiln_graph *g, const kiln_node *n)
{
    const kiln_conv2d_params *p = n->params;
    for (int i = 0; i < 2; i++)
        if (p->stride[i] < 1 || p->dilation[i] < 1 || p->pad[i][0] < 0 || p->pad[i][1] < 0)
            return kiln_node_fail(
                g, n, KILN_ERROR_ARGUMENT,
                "axis %d has stride %d, dilation %d, pad %d and %d: strides and dilations begin at 1, "
                "pads at 0",
                i, p->stride[i], p->dilation[i], p->pad[i][0], p->pad[i][1]);
    if (p->groups < 1)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "groups is %d, must be at least 1", p->groups);
    return KILN_OK;
}

static kiln_status check_operands(kiln_graph *g, const kiln_node *n, const kiln_spec *x, const kiln_spec *w)
{
    const kiln_conv2d_params *p = n->params;
    char x_text[96], w_text[96];
    kiln_shape_text(&x->shape, x_text, sizeof x_text);
    kiln_shape_text(&w->shape, w_text, sizeof w_text);
    if (!kiln_type_is_real(x->type) || w->type != x->type)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s and w %s, both must be of one real type",
                              kiln_type_name(x->type), kiln_type_name(w->type));
    if (x->shape.rank != 4 || w->shape.rank != 4)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "x %s and w %s must be [N, C, H, W] and [O, C / groups, U, V]", x_text, w_text);

    const int64_t *filter = w->shape.size;
    if (filter[0] < 1 || filter[1] < 1 || filter[2] < 1 || filter[3] < 1)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "the sizes of w %s must be known and not 0", w_text);
    if (x->shape.size[1] != filter[1] * p->groups)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                              "x %s has %lld channels, w %s with %d groups expects %lld", x_text,
                              (long long)x->shape.size[1], w_text, p->groups,
                              (long long)(filter[1] * p->groups));
    if (filter[0] % p->groups)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "w %s has %lld filters, not a multiple of %d groups",
                              w_text, (long long)filter[0], p->groups);
    return KILN_OK;
}

kiln_status kiln_conv2d_shape(kiln_graph *g, const kiln_node *n, const kiln_spec *x, const kiln_spec *w,
                              kiln_shape *y)
{
    kiln_status status = check_params(g, n);
    if (status || (status = check_operands(g, n, x, w)))
        return status;

    const kiln_conv2d_params *p = n->params;
    *y = x->shape;
    y->size[1] = w->shape.size[0];
    for (int i = 0; i < 2; i++) {
        const int64_t size = x->shape.size[2 + i], reach = (w->shape.size[2 + i] - 1) * p->dilation[i] + 1;
        const int64_t pad = (int64_t)p->pad[i][0] + p->pad[i][1];
        if (!p->same && size >= 0 && size + pad < reach)
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                                  "axis %d: a filter that reaches over %lld does not fit %lld "
                                  "with %lld zeros around",
                                  i, (long long)reach, (long long)size, (long long)pad);
        const int64_t first = p->same ? 0 : kiln_dim_sub(g, kiln_dim_add(g, size, pad), reach);
        y->size[2 + i] = p->same ? kiln_dim_ceil_div(g, size, p->stride[i])
                                 : kiln_dim_add(g, kiln_dim_div(g, first, p->stride[i]), 1);
    }
    return KILN_OK;
}

/* Zeros before axis i: given, or what `same` means at these sizes. */
static uint32_t pad_before(const kiln_conv2d_params *p, int i, const kiln_shape *x, const kiln_shape *w,
                           const kiln_shape *y)
{
    if (!p->same)
        return (uint32_t)p->pad[i][0];
    const int64_t reach = (w->size[2 + i] - 1) * p->dilation[i] + 1;
    const int64_t pad = (y->size[2 + i] - 1) * p->stride[i] + reach - x->size[2 + i];
    return pad > 0 ? (uint32_t)(pad / 2) : 0;
}

struct kiln_params_conv2d kiln_conv2d_block(const kiln_conv2d_params *p, const kiln_shape *x,
                                            const kiln_shape *w, const kiln_shape *y)
{
    return (struct kiln_params_conv2d){
        .images = (uint32_t)x->size[0],
        .groups = (uint32_t)p->groups,
        .channels = (uint32_t)w->size[1],
        .filters = (uint32_t)(w->size[0] / p->groups),
        .h = (uint32_t)x->size[2],
        .w = (uint32_t)x->size[3],
        .u = (uint32_t)w->size[2],
        .v = (uint32_t)w->size[3],
        .oh = (uint32_t)y->size[2],
        .ow = (uint32_t)y->size[3],
        .stride_i = (uint32_t)p->stride[0],
        .stride_j = (uint32_t)p->stride[1],
        .pad_i = pad_before(p, 0, x, w, y),
        .pad_j = pad_before(p, 1, x, w, y),
        .dilation_i = (uint32_t)p->dilation[0],
        .dilation_j = (uint32_t)p->dilation[1],
        .x_image = (uint32_t)(x->size[1] * x->size[2] * x->size[3]),
        .y_image = (uint32_t)(y->size[1] * y->size[2] * y->size[3]),
        .per_split = (uint32_t)x->size[0],
        .part = (uint32_t)kiln_shape_count(w),
    };
}

/* The operator ------------------------------------------------------------------------------------------- */

kiln_tensor kiln_conv2d(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor bias,
                        const kiln_conv2d_params *params)
{
    const kiln_tensor y = kiln_conv2d_append(g, &kiln_op_conv2d, (const kiln_tensor[]){x, w}, 2, params);
    return bias.id ? kiln_add(g, y, kiln_reshape(g, bias, KILN_SHAPE(KILN_REST, 1, 1))) : y;
}

static kiln_status conv2d_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]), w = kiln_tensor_spec(g, n->in[1]);
    out->type = x.type;
    return kiln_conv2d_shape(g, n, &x, &w, &out->shape);
}

static void conv2d_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_conv2d_grad_input(g, dy[0], n->in[1], n->in[0], n->params);
    dx[1] = kiln_conv2d_grad_filter(g, dy[0], n->in[0], n->in[1], n->params);
}

static kiln_status conv2d_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape x = kiln_plan_spec(plan, n->in[0]).shape, w = kiln_plan_spec(plan, n->in[1]).shape;
    const kiln_shape y = kiln_plan_spec(plan, n->out[0]).shape;
    if (kiln_shape_count(&y) == 0)
        return KILN_OK;

    struct kiln_params_conv2d block = kiln_conv2d_block(n->params, &x, &w, &y);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv2d,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .block_size = sizeof block,
    };
    const kiln_status status = kiln_epilogue_write(plan, n, &d, 0, 3, block.immediate);
    memcpy(d.block.bytes, &block, sizeof block);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

static const kiln_field conv2d_fields[] = {
    {"stride", KILN_FIELD_INT, offsetof(kiln_conv2d_params, stride), 2},
    {"pad", KILN_FIELD_INT, offsetof(kiln_conv2d_params, pad), 4},
    {"same", KILN_FIELD_BOOL, offsetof(kiln_conv2d_params, same), 1},
    {"dilation", KILN_FIELD_INT, offsetof(kiln_conv2d_params, dilation), 2},
    {"groups", KILN_FIELD_INT, offsetof(kiln_conv2d_params, groups), 1},
    {0},
};

const kiln_op kiln_op_conv2d = {
    .name = "conv2d",
    .fields = conv2d_fields,
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_EPILOGUE,
    .infer = conv2d_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = conv2d_grad,
    .lowerings = (const kiln_lowering[]){{.name = "implicit_gemm", .lower = conv2d_lower}},
    .lowering_count = 1,
};
