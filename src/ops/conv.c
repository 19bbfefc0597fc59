/*
 * conv.c - convolution over one to three axes, its transpose, and its gradient by the filters.
 *
 *   y[n, o, i]  = sum over c, u of x[n, c, i'] * w[o, c, u]        conv
 *   x[n, c, i'] = sum over o, u of y[n, o, i]  * w[o, c, u]        conv_transpose
 *   w[o, c, u]  = sum over n, i of y[n, o, i]  * x[n, c, i']       conv_grad_filter
 *
 * with i' = i * stride - pad + u * dilation along each axis: one relation, each side of which is linear in the other two, so
 * that the gradients of each operator are the two others. An optional last input gives the shape of the result where that
 * does not follow from the operands (of a stride, several sizes of x have one y) or is a symbol of its own.
 *
 * The bias is an addition, which the compiler fuses as an epilogue.
 *
 * Lowering: src/ops/conv_lower.c, conv_bands.c. Kernels: src/ops/conv_kernel.c, shaders/conv/, src/cpu/conv.c, conv_taps.c,
 * conv_dots.c. Tests: tests/ops/conv.c, conv_grad.c.
 */
#include "ops/conv.h"

#include <string.h>

#include <kiln/ops.h>

#include "ops/beyond.h"

/* Params ------------------------------------------------------------------------------------------------- */

kiln_tensor kiln_conv_append(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                             const kiln_conv_params *params)
{
    const kiln_conv_params none = {0}, *given = params ? params : &none;
    kiln_conv_params p;
    memset(&p, 0, sizeof p);
    for (int i = 0; i < KILN_CONV_AXES; i++) {
        p.stride[i] = given->stride[i] ? given->stride[i] : 1;
        p.dilation[i] = given->dilation[i] ? given->dilation[i] : 1;
        p.pad[i][0] = given->same ? 0 : given->pad[i][0];
        p.pad[i][1] = given->same ? 0 : given->pad[i][1];
        p.output_pad[i] = given->same ? 0 : given->output_pad[i];
    }
    p.same = given->same;
    p.groups = given->groups ? given->groups : 1;
    return kiln_append(g, op, in, inputs, &p, sizeof p);
}

static kiln_status check_params(kiln_graph *g, const kiln_node *n, int axes)
{
    const kiln_conv_params *p = n->params;
    for (int i = 0; i < axes; i++) {
        if (p->stride[i] < 1 || p->dilation[i] < 1 || p->pad[i][0] < 0 || p->pad[i][1] < 0)
            return kiln_node_fail(
                g, n, KILN_ERROR_ARGUMENT,
                "axis %d has stride %d, dilation %d, pad %d and %d: strides and dilations begin at 1, "
                "pads at 0",
                i, p->stride[i], p->dilation[i], p->pad[i][0], p->pad[i][1]);
        const int most = p->stride[i] > p->dilation[i] ? p->stride[i] : p->dilation[i];
        if (p->output_pad[i] < 0 || p->output_pad[i] >= most)
            return kiln_node_fail(
                g, n, KILN_ERROR_ARGUMENT,
                "axis %d has output_pad %d, which must be less than its stride %d or dilation %d", i,
                p->output_pad[i], p->stride[i], p->dilation[i]);
    }
    if (p->groups < 1 || p->same < KILN_SAME_NOT || p->same > KILN_SAME_LOWER)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT,
                              "groups is %d, must be at least 1; same is %d of 0 to 2", p->groups,
                              (int)p->same);
    return KILN_OK;
}

/* Shapes ------------------------------------------------------------------------------------------------- */

static int64_t reach_of(const kiln_conv_params *p, int axis, int64_t taps)
{
    return (taps - 1) * p->dilation[axis] + 1;
}

/* Types and ranks of what is read and of the filters, and the filters' sizes. */
static kiln_status check_operands(kiln_graph *g, const kiln_node *n, const kiln_spec *in, const kiln_spec *w)
{
    const kiln_conv_params *p = n->params;
    char in_text[96], w_text[96];
    kiln_shape_text(&in->shape, in_text, sizeof in_text);
    kiln_shape_text(&w->shape, w_text, sizeof w_text);
    if (!kiln_type_is_real(in->type) || w->type != in->type)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s and w %s, both must be of one real type",
                              kiln_type_name(in->type), kiln_type_name(w->type));
    const int axes = w->shape.rank - 2;
    if (axes < 1 || axes > KILN_CONV_AXES || in->shape.rank != w->shape.rank)
        return kiln_node_fail(
            g, n, KILN_ERROR_SHAPE,
            "x %s and w %s must be [N, channels, 1 to 3 sizes] and [O, C / groups, as many sizes]", in_text,
            w_text);
    for (int i = 0; i < w->shape.rank; i++)
        if (w->shape.size[i] < 1)
            return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "the sizes of w %s must be known and not 0",
                                  w_text);
    const kiln_status status = check_params(g, n, axes);
    if (status)
        return status;
    if (w->shape.size[0] % p->groups)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "w %s has %lld filters, not a multiple of %d groups",
                              w_text, (long long)w->shape.size[0], p->groups);
    return KILN_OK;
}

static kiln_status check_channels(kiln_graph *g, const kiln_node *n, const kiln_spec *in, const kiln_spec *w,
                                  int64_t expected)
{
    char in_text[96], w_text[96];
    if (in->shape.size[1] == expected)
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "x %s has %lld channels, w %s in %d groups expects %lld",
                          kiln_shape_text(&in->shape, in_text, sizeof in_text), (long long)in->shape.size[1],
                          kiln_shape_text(&w->shape, w_text, sizeof w_text),
                          ((const kiln_conv_params *)n->params)->groups, (long long)expected);
}

kiln_status kiln_conv_shape(kiln_graph *g, const kiln_node *n, const kiln_spec *x, const kiln_spec *w,
                            kiln_shape *y)
{
    const kiln_conv_params *p = n->params;
    kiln_status status = check_operands(g, n, x, w);
    if (status || (status = check_channels(g, n, x, w, w->shape.size[1] * p->groups)))
        return status;

    *y = x->shape;
    y->size[1] = w->shape.size[0];
    for (int i = 0; i < x->shape.rank - 2; i++) {
        const int64_t size = x->shape.size[2 + i], reach = reach_of(p, i, w->shape.size[2 + i]);
        const int64_t pad = (int64_t)p->pad[i][0] + p->pad[i][1];
        if (!p->same && size >= 0 && size + pad < reach)
            return kiln_node_fail(
                g, n, KILN_ERROR_SHAPE,
                "axis %d: a filter that reaches over %lld does not fit %lld with %lld zeros around", i,
                (long long)reach, (long long)size, (long long)pad);
        const int64_t free = p->same ? 0 : kiln_dim_sub(g, kiln_dim_add(g, size, pad), reach);
        y->size[2 + i] = p->same ? kiln_dim_ceil_div(g, size, p->stride[i])
                                 : kiln_dim_add(g, kiln_dim_div(g, free, p->stride[i]),
                                                1 - p->output_pad[i] / p->stride[i]);
    }
    return KILN_OK;
}

/* x of y. */
static kiln_status transposed_shape(kiln_graph *g, const kiln_node *n, const kiln_spec *y, const kiln_spec *w,
                                    kiln_shape *x)
{
    const kiln_conv_params *p = n->params;
    kiln_status status = check_operands(g, n, y, w);
    if (status || (status = check_channels(g, n, y, w, w->shape.size[0])))
        return status;

    *x = y->shape;
    x->size[1] = w->shape.size[1] * p->groups;
    for (int i = 0; i < y->shape.rank - 2; i++) {
        const int64_t size = y->shape.size[2 + i], stride = p->stride[i];
        const int64_t more =
            reach_of(p, i, w->shape.size[2 + i]) + p->output_pad[i] - p->pad[i][0] - p->pad[i][1];
        if (!p->same && size >= 0 && (size < 1 || (size - 1) * stride + more < 1))
            return kiln_node_fail(
                g, n, KILN_ERROR_SHAPE,
                "axis %d: of %lld places with stride %lld, the filter and the padding leave %lld", i,
                (long long)size, (long long)stride, (long long)((size - 1) * stride + more));
        const int64_t spread = kiln_dim_mul(g, size, stride), rest = more - stride;
        x->size[2 + i] = p->same    ? spread
                         : rest < 0 ? kiln_dim_sub(g, spread, -rest)
                                    : kiln_dim_add(g, spread, rest);
    }
    return KILN_OK;
}

/* Whether an operand, or the shape that is asked for, is what the others give. Symbols are known to fit only by running. */
static kiln_status check_fit(kiln_graph *g, const kiln_node *n, const char *what, const kiln_spec *have,
                             kiln_type type, const kiln_shape *want)
{
    char have_text[96], want_text[96];
    bool fits = have->type == type && have->shape.rank == want->rank;
    for (int i = 0; i < want->rank && fits; i++)
        fits = have->shape.size[i] == want->size[i] || have->shape.size[i] < 0 || want->size[i] < 0;
    if (fits)
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%s is %s %s, the convolution gives %s %s", what,
                          kiln_type_name(have->type),
                          kiln_shape_text(&have->shape, have_text, sizeof have_text), kiln_type_name(type),
                          kiln_shape_text(want, want_text, sizeof want_text));
}

/* The operators ------------------------------------------------------------------------------------------ */

static kiln_tensor add_bias(kiln_graph *g, kiln_tensor y, kiln_tensor bias)
{
    const int axes = y.id ? kiln_tensor_shape(g, y).rank - 2 : 0;
    if (!bias.id)
        return y;
    return kiln_add(g, y,
                    kiln_reshape(g, bias, kiln_shape_of(1 + axes, (const int64_t[]){KILN_REST, 1, 1, 1})));
}

static bool has_like(const kiln_node *n)
{
    return n->inputs > 2 && n->in[2].id;
}

static kiln_tensor forward_like(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor y_like,
                                const kiln_conv_params *params)
{
    return kiln_conv_append(g, &kiln_op_conv, (const kiln_tensor[]){x, w, y_like}, 3, params);
}

kiln_tensor kiln_conv(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor bias,
                      const kiln_conv_params *params)
{
    return add_bias(g, kiln_conv_append(g, &kiln_op_conv, (const kiln_tensor[]){x, w}, 2, params), bias);
}

kiln_tensor kiln_conv_transpose(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor bias,
                                const kiln_conv_params *params)
{
    return add_bias(g, kiln_conv_append(g, &kiln_op_conv_transpose, (const kiln_tensor[]){x, w}, 2, params),
                    bias);
}

kiln_tensor kiln_conv_grad_input(kiln_graph *g, kiln_tensor dy, kiln_tensor w, kiln_tensor x_like,
                                 const kiln_conv_params *params)
{
    return kiln_conv_append(g, &kiln_op_conv_transpose, (const kiln_tensor[]){dy, w, x_like}, 3, params);
}

kiln_tensor kiln_conv_grad_filter(kiln_graph *g, kiln_tensor dy, kiln_tensor x, kiln_tensor w_like,
                                  const kiln_conv_params *params)
{
    return kiln_conv_append(g, &kiln_op_conv_grad_filter, (const kiln_tensor[]){dy, x, w_like}, 3, params);
}

static kiln_status conv_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec x = kiln_tensor_spec(g, n->in[0]), w = kiln_tensor_spec(g, n->in[1]);
    out->type = x.type;
    const kiln_status status = kiln_conv_shape(g, n, &x, &w, &out->shape);
    if (status || !has_like(n))
        return status;
    const kiln_shape given = out->shape;
    *out = kiln_tensor_spec(g, n->in[2]);
    return check_fit(g, n, "the shape asked for", out, x.type, &given);
}

static kiln_status transpose_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec y = kiln_tensor_spec(g, n->in[0]), w = kiln_tensor_spec(g, n->in[1]);
    kiln_shape back;
    out->type = y.type;
    if (!has_like(n))
        return transposed_shape(g, n, &y, &w, &out->shape);
    *out = kiln_tensor_spec(g, n->in[2]);
    const kiln_status status = kiln_conv_shape(g, n, out, &w, &back);
    return status ? status : check_fit(g, n, "dy", &y, out->type, &back);
}

static kiln_status grad_filter_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec dy = kiln_tensor_spec(g, n->in[0]), x = kiln_tensor_spec(g, n->in[1]);
    kiln_shape y;
    out[0] = kiln_tensor_spec(g, n->in[2]);
    const kiln_status status = kiln_conv_shape(g, n, &x, out, &y);
    return status ? status : check_fit(g, n, "dy", &dy, x.type, &y);
}

static void conv_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    dx[0] = kiln_conv_grad_input(g, dy[0], n->in[1], n->in[0], n->params);
    dx[1] = kiln_conv_grad_filter(g, dy[0], n->in[0], n->in[1], n->params);
}

static void transpose_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dx, kiln_tensor *dy)
{
    dy[0] = forward_like(g, dx[0], n->in[1], n->in[0], n->params);
    dy[1] = kiln_conv_grad_filter(g, n->in[0], dx[0], n->in[1], n->params);
}

static void grad_filter_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dw, kiln_tensor *d)
{
    d[0] = forward_like(g, n->in[1], dw[0], n->in[0], n->params);
    d[1] = kiln_conv_grad_input(g, n->in[0], dw[0], n->in[1], n->params);
}

/* The batch is summed up. */
static kiln_beyond filter_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    (void)g, (void)n;
    return axis == 0 && input < 2 ? KILN_FILLED(0) : KILN_REFUSED;
}

const kiln_field kiln_conv_fields[] = {
    {"stride", KILN_FIELD_INT, offsetof(kiln_conv_params, stride), 3},
    {"pad", KILN_FIELD_INT, offsetof(kiln_conv_params, pad), 6},
    {"same", KILN_FIELD_INT, offsetof(kiln_conv_params, same), 1},
    {"dilation", KILN_FIELD_INT, offsetof(kiln_conv_params, dilation), 3},
    {"output_pad", KILN_FIELD_INT, offsetof(kiln_conv_params, output_pad), 3},
    {"groups", KILN_FIELD_INT, offsetof(kiln_conv_params, groups), 1},
    {0},
};

const kiln_op kiln_op_conv = {
    .name = "conv",
    .fields = kiln_conv_fields,
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_EPILOGUE,
    .shape_inputs = 1u << 2,
    .infer = conv_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = conv_grad,
    .lowerings = kiln_conv_lowerings,
    .lowering_count = sizeof kiln_conv_lowerings / sizeof *kiln_conv_lowerings,
};

const kiln_op kiln_op_conv_transpose = {
    .name = "conv_transpose",
    .fields = kiln_conv_fields,
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_EPILOGUE,
    .shape_inputs = 1u << 2,
    .infer = transpose_infer,
    .beyond = kiln_beyond_in_batch,
    .grad = transpose_grad,
    .lowerings = kiln_conv_lowerings,
    .lowering_count = sizeof kiln_conv_lowerings / sizeof *kiln_conv_lowerings,
};

const kiln_op kiln_op_conv_grad_filter = {
    .name = "conv_grad_filter",
    .fields = kiln_conv_fields,
    .inputs = 3,
    .outputs = 1,
    .shape_inputs = 1u << 2,
    .infer = grad_filter_infer,
    .beyond = filter_beyond,
    .grad = grad_filter_grad,
    .lowerings = kiln_conv_grad_filter_lowerings,
    .lowering_count = sizeof kiln_conv_grad_filter_lowerings / sizeof *kiln_conv_grad_filter_lowerings,
};
