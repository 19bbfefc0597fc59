/*
 * quantize_conv.c - convolution of small integers, over one to three axes.
 *
 *   y[n, o, i] = sum over c, u of (x[n, c, i'] - x_zero) * (w[o, c, u] - w_zero[o]),   padding counting as x_zero
 *
 * Both operands are packed along the channels, four to a word, and multiplied as a product of matrices (shaders/quantize/).
 *
 * The kernels: src/ops/quantize_kernel.c, src/cpu/quantize.c, src/cpu/quantize_fast.c.   Tests: tests/ops/quantize_conv.c.
 */
#include <kiln/quantize.h>

#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/quantize.h"
#include "quantize/conv_bytes.h"

static kiln_status conv_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    kiln_spec x = kiln_tensor_spec(g, n->in[0]), w = kiln_tensor_spec(g, n->in[1]);
    const kiln_type x_type = x.type, w_type = w.type;
    if (!kiln_is_byte(x_type) || !kiln_is_byte(w_type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "x is %s and w %s, both must be i8 or u8",
                              kiln_type_name(x_type), kiln_type_name(w_type));
    x.type = w.type = KILN_F32; /* the shape rule is that of reals */
    out->type = KILN_I32;
    kiln_status status = kiln_conv_shape(g, n, &x, &w, &out->shape);
    if (!status)
        status = kiln_check_zero(g, n, 2, x_type, 1, "x");
    return status ? status : kiln_check_zero(g, n, 3, w_type, w.shape.size[0], "w");
}

/* An operand whose channels lie `places` apart: [batch, quads, places]. */
static kiln_status pack_channels(kiln_plan *plan, kiln_tensor x, uint32_t batch, uint32_t channels,
                                 uint32_t places, kiln_tensor *y)
{
    struct kiln_params_pack_bytes block = {
        .depth = channels, .x_batch = channels * places, .x_row = 1, .x_depth = places};
    KILN_DIVISOR_SET(&block, first, (channels + 3) / 4);
    KILN_DIVISOR_SET(&block, second, places);
    block.words = batch * block.first * places;
    return kiln_lower_pack_bytes(plan, x, &block, false, y);
}

static struct kiln_params_conv_bytes block_of(const struct kiln_conv_sizes *s)
{
    const struct kiln_conv_axis *a = &s->axis[0], *i = &s->axis[1], *j = &s->axis[2];
    const uint32_t quads = (uint32_t)(s->channels + 3) / 4;
    return (struct kiln_params_conv_bytes){
        .images = (uint32_t)s->images,
        .groups = (uint32_t)s->groups,
        .quads = quads,
        .depth = (uint32_t)s->channels,
        .filters = (uint32_t)s->filters,
        .d = (uint32_t)a->x,
        KILN_CONV_PLANE(s),
        .od = (uint32_t)a->y,
        .t = (uint32_t)a->taps,
        .stride_a = (uint32_t)a->stride,
        .pad_a = (int32_t)a->pad,
        .dilation_a = (uint32_t)a->dilation,
        .x_image = (uint32_t)(s->groups * quads * a->x * i->x * j->x),
        .y_image = (uint32_t)(s->groups * s->filters * a->y * i->y * j->y),
    };
}

static kiln_status conv_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_spec x = kiln_plan_spec(plan, n->in[0]), w = kiln_plan_spec(plan, n->in[1]);
    const kiln_shape y = kiln_plan_spec(plan, n->out[0]).shape;
    const struct kiln_conv_sizes s = kiln_conv_sizes_of(n->params, &x.shape, &w.shape, &y);
    const kiln_tensor x_zero = kiln_optional_input(n, 2), w_zero = kiln_optional_input(n, 3);
    struct kiln_params_conv_bytes block = block_of(&s);
    kiln_tensor packed_x = {0}, packed_w = {0};
    if (kiln_shape_count(&y) == 0)
        return KILN_OK;
    block.w_step = kiln_zero_step(plan, w_zero);
    block.x_flip = kiln_byte_flip(x.type);
    block.w_flip = kiln_byte_flip(w.type);
    kiln_status status = pack_channels(plan, n->in[0], block.images * block.groups, block.depth,
                                       block.d * block.h * block.w, &packed_x);
    if (!status)
        status = pack_channels(plan, n->in[1], block.groups * block.filters, block.depth,
                               block.t * block.u * block.v, &packed_w);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_conv_bytes,
        .bind = {{.value = packed_x},
                 {.value = packed_w},
                 {.value = x_zero},
                 {.value = w_zero},
                 {.value = n->out[0]}},
        .constants = {kiln_bytes_zeros(x_zero, block.x_flip, w_zero, block.w_flip)},
        .constant_count = 1,
        .block_size = sizeof block,
    };
    *(struct kiln_params_conv_bytes *)d.block.words = block;
    if (!status)
        status = kiln_finish_write(plan, n, &d, 5);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

const kiln_op kiln_op_conv_integer = {
    .name = "conv_integer",
    .fields = kiln_conv_fields,
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_FINISH,
    .infer = conv_infer,
    .beyond = kiln_beyond_in_batch,
    .lowerings = (const kiln_lowering[]){{.name = "bytes", .lower = conv_lower}},
    .lowering_count = 1,
};

kiln_tensor kiln_conv_integer(kiln_graph *g, kiln_tensor x, kiln_tensor w, kiln_tensor x_zero,
                              kiln_tensor w_zero, const kiln_conv_params *params)
{
    const kiln_tensor in[] = {x, w, x_zero, w_zero};
    return x.id && w.id ? kiln_conv_append(g, &kiln_op_conv_integer, in, 4, params) : KILN_NONE;
}

/* A vector of the filters as it broadcasts to y. */
static kiln_tensor per_filter(kiln_graph *g, kiln_tensor t, kiln_tensor y)
{
    for (int i = 2; i < kiln_tensor_shape(g, y).rank && !kiln_is_one_element(g, t); i++)
        t = kiln_unsqueeze(g, t, -1);
    return t;
}

kiln_tensor kiln_conv_quantized(kiln_graph *g, kiln_quantized x, kiln_quantized w, kiln_tensor bias,
                                kiln_tensor scale, kiln_tensor zero, kiln_type type,
                                const kiln_conv_params *params)
{
    kiln_tensor sum = kiln_conv_integer(g, x.values, w.values, x.zero, w.zero, params);
    if (!sum.id || !x.scale.id || !w.scale.id)
        return KILN_NONE;
    if (bias.id)
        sum = kiln_add(g, sum, per_filter(g, bias, sum));
    const kiln_tensor by =
        kiln_mul(g, kiln_cast(g, x.scale, KILN_F32), kiln_cast(g, per_filter(g, w.scale, sum), KILN_F32));
    return kiln_quantize(g, kiln_mul(g, kiln_cast(g, sum, KILN_F32), by), scale, zero, type, NULL);
}
