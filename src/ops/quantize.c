/*
 * quantize.c - reals as small integers, and products of them.
 *
 *   quantize     y = saturate(round(x / scale) + zero)        dequantize   y = (x - zero) * scale
 *
 * These two are compositions: a chain, which fuses with what stands before and behind. A product of 8-bit operands packs each of
 * them into words of four signed bytes, rows along the sum, and multiplies those (shaders/quantize/): packing a constant is
 * prologue.
 *
 * The kernels: src/ops/quantize_kernel.c, src/cpu/quantize.c, src/cpu/quantize_fast.c.   Tests: tests/ops/quantize.c.
 */
#include "ops/quantize.h"

#include <stdlib.h>

#include <kiln/quantize.h>

#include "base/log.h"
#include "graph/graph.h"
#include "ops/beyond.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/lower.h"
#include "ops/matmul.h"
#include "quantize/matmul_bytes.h"

/* To integers and back ------------------------------------------------------------------------------------ */

bool kiln_is_one_element(const kiln_graph *g, kiln_tensor t)
{
    const kiln_shape s = kiln_tensor_shape(g, t);
    return kiln_shape_count(&s) == 1;
}

enum { MOST_IN_BLOCKS = 1 << 24 }; /* places of an axis that is cut into blocks, each of which is listed */

/* t repeated `block` times along the axis, cut to x's size of it. */
static kiln_tensor repeated(kiln_graph *g, kiln_tensor t, int64_t size, int axis, int64_t block)
{
    if (size < 0 || size > MOST_IN_BLOCKS) {
        kiln_graph_fail(g, KILN_ERROR_SHAPE,
                        "quantize: axis %d must have a known size, of at most %d, to be cut into blocks",
                        axis, MOST_IN_BLOCKS);
        return KILN_NONE;
    }
    int32_t *index = malloc(((size_t)size + 1) * sizeof *index);
    if (!index) {
        kiln_graph_fail(g, KILN_ERROR_MEMORY, "quantize: no memory for an axis of %lld", (long long)size);
        return KILN_NONE;
    }
    for (int64_t i = 0; i < size; i++)
        index[i] = (int32_t)(i / block);
    const kiln_tensor at =
        kiln_constant(g, &(kiln_array){.type = KILN_I32, .shape = KILN_SHAPE(size), .data = index});
    free(index);
    return kiln_gather(g, t, at, axis);
}

/* A scale or zero point as it broadcasts to x. */
static kiln_tensor beside(kiln_graph *g, kiln_tensor t, kiln_tensor x, const kiln_quantize_params *params)
{
    const kiln_quantize_params p = params ? *params : (kiln_quantize_params){0};
    const kiln_shape shape = kiln_tensor_shape(g, x);
    const int rank = kiln_tensor_shape(g, t).rank, axis = kiln_axis_of(p.axis, shape.rank);
    if (!t.id || kiln_is_one_element(g, t))
        return t;
    if (axis < 0 || p.block < 0) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "quantize: no axis %d in rank %d, or blocks of %lld", p.axis,
                        shape.rank, (long long)p.block);
        return KILN_NONE;
    }
    if (p.block > 1)
        return repeated(g, t, shape.size[axis], axis, p.block);
    for (int i = axis + 1; rank == 1 && i < shape.rank; i++)
        t = kiln_unsqueeze(g, t, -1);
    return t;
}

static bool is_small(kiln_type type)
{
    return type == KILN_I8 || type == KILN_U8 || type == KILN_I16 || type == KILN_U16;
}

static bool fits_type(kiln_graph *g, const char *what, kiln_tensor zero, kiln_type type)
{
    if (!zero.id || kiln_tensor_type(g, zero) == type)
        return true;
    kiln_graph_fail(g, KILN_ERROR_TYPE, "%s: the zero point is %s, the values are %s", what,
                    kiln_type_name(kiln_tensor_type(g, zero)), kiln_type_name(type));
    return false;
}

kiln_tensor kiln_quantize(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor zero, kiln_type type,
                          const kiln_quantize_params *params)
{
    if (!x.id || !scale.id || !fits_type(g, "quantize", zero, type))
        return KILN_NONE;
    if (!is_small(type)) {
        kiln_graph_fail(g, KILN_ERROR_TYPE, "quantize: to %s, wanted i8, u8, i16 or u16",
                        kiln_type_name(type));
        return KILN_NONE;
    }
    const kiln_tensor by = kiln_cast(g, beside(g, scale, x, params), KILN_F32);
    kiln_tensor y = kiln_round(g, kiln_div(g, kiln_cast(g, x, KILN_F32), by));
    if (zero.id)
        y = kiln_add(g, y, kiln_cast(g, beside(g, zero, x, params), KILN_F32));
    return kiln_cast(g, y, type);
}

kiln_tensor kiln_dequantize(kiln_graph *g, kiln_tensor x, kiln_tensor scale, kiln_tensor zero,
                            const kiln_quantize_params *params)
{
    if (!x.id || !scale.id || !fits_type(g, "dequantize", zero, kiln_tensor_type(g, x)))
        return KILN_NONE;
    kiln_tensor y = kiln_cast(g, x, KILN_I32);
    if (zero.id)
        y = kiln_sub(g, y, kiln_cast(g, beside(g, zero, x, params), KILN_I32));
    const kiln_tensor by = kiln_cast(g, beside(g, scale, x, params), KILN_F32);
    return kiln_cast(g, kiln_mul(g, kiln_cast(g, y, KILN_F32), by), kiln_tensor_type(g, scale));
}

kiln_quantized kiln_quantize_dynamic(kiln_graph *g, kiln_tensor x, kiln_type type, const kiln_axes *axes)
{
    kiln_quantized q = {KILN_NONE, KILN_NONE, KILN_NONE};
    const kiln_reduce_params range = {.axes = axes ? *axes : (kiln_axes){0}, .keep = axes};
    if (!x.id)
        return q;
    if (type != KILN_U8 && type != KILN_I8) {
        kiln_graph_fail(g, KILN_ERROR_TYPE, "dynamic quantization: to %s, wanted u8 or i8",
                        kiln_type_name(type));
        return q;
    }
    x = kiln_cast(g, x, KILN_F32);
    if (type == KILN_I8) {
        q.scale = kiln_scale(g, kiln_reduce_max(g, kiln_abs(g, x), &range), 1.0 / 127);
    } else {
        const kiln_tensor nothing = kiln_scalar(g, KILN_F32, 0);
        const kiln_tensor low = kiln_min(g, kiln_reduce_min(g, x, &range), nothing);
        const kiln_tensor high = kiln_max(g, kiln_reduce_max(g, x, &range), nothing);
        q.scale = kiln_scale(g, kiln_sub(g, high, low), 1.0 / 255);
        q.zero = kiln_cast(g, kiln_round(g, kiln_neg(g, kiln_div(g, low, q.scale))), KILN_U8);
    }
    q.values = kiln_quantize(g, x, q.scale, q.zero, type, NULL);
    return q;
}

/* Products ------------------------------------------------------------------------------------------------ */

bool kiln_is_byte(kiln_type type)
{
    return type == KILN_I8 || type == KILN_U8;
}

/* A zero point of `size` rows or columns; "a" or "b". */
kiln_status kiln_check_zero(kiln_graph *g, const kiln_node *n, int input, kiln_type type, int64_t size,
                            const char *what)
{
    if (n->inputs <= input || !n->in[input].id)
        return KILN_OK;
    const kiln_spec zero = kiln_tensor_spec(g, n->in[input]);
    char text[96];
    if (zero.type != type)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "the zero point of %s is %s, %s is %s", what,
                              kiln_type_name(zero.type), what, kiln_type_name(type));
    if (!kiln_is_one_element(g, n->in[input]) && (zero.shape.rank != 1 || zero.shape.size[0] != size))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "the zero point of %s is %s, wanted one or a vector",
                              what, kiln_graph_shape_text(g, &zero.shape, text, sizeof text));
    return KILN_OK;
}

static kiln_status integer_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec a = kiln_tensor_spec(g, n->in[0]), b = kiln_tensor_spec(g, n->in[1]);
    if (!kiln_is_byte(a.type) || !kiln_is_byte(b.type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "a is %s and b %s, both must be i8 or u8",
                              kiln_type_name(a.type), kiln_type_name(b.type));
    out->type = KILN_I32;
    kiln_status status = kiln_matmul_shape(g, n, n->params, &a.shape, &b.shape, &out->shape);
    if (!status)
        status = kiln_check_zero(g, n, 2, a.type, out->shape.size[out->shape.rank - 2], "a");
    return status ? status : kiln_check_zero(g, n, 3, b.type, out->shape.size[out->shape.rank - 1], "b");
}

/* What turns a byte of this type into a signed one. */
uint32_t kiln_byte_flip(kiln_type type)
{
    return type == KILN_U8 ? 128 : 0;
}

kiln_status kiln_lower_pack_bytes(kiln_plan *plan, kiln_tensor x, const struct kiln_params_pack_bytes *block,
                                  bool quads_last, kiln_tensor *y)
{
    *y = kiln_plan_temporary(plan, KILN_I32, block->words);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_pack_bytes,
        .bind = {{.value = x}, {.value = *y}},
        .constants = {quads_last},
        .constant_count = 1,
        .block_size = sizeof *block,
    };
    *(struct kiln_params_pack_bytes *)d.block.words = *block;
    ((struct kiln_params_pack_bytes *)d.block.words)->flip = kiln_byte_flip(kiln_plan_spec(plan, x).type);
    return kiln_plan_dispatch(plan, &d);
}

/* An operand of a product: `rows` rows over the sum in each of its matrices. */
static kiln_status pack_rows(kiln_plan *plan, kiln_tensor x, uint32_t rows, uint32_t depth, bool along_rows,
                             kiln_tensor *y)
{
    const kiln_shape shape = kiln_plan_spec(plan, x).shape;
    struct kiln_params_pack_bytes block = {
        .depth = depth,
        .x_batch = rows * depth,
        .x_row = along_rows ? depth : 1,
        .x_depth = along_rows ? 1 : rows,
    };
    KILN_DIVISOR_SET(&block, first, rows);
    KILN_DIVISOR_SET(&block, second, (depth + 3) / 4);
    block.words = (uint32_t)(kiln_shape_count(&shape) / depth) * block.second;
    return kiln_lower_pack_bytes(plan, x, &block, true, y);
}

kiln_tensor kiln_optional_input(const kiln_node *n, int input)
{
    return n->inputs > input ? n->in[input] : KILN_NONE;
}

uint32_t kiln_bytes_zeros(kiln_tensor a_zero, uint32_t a_flip, kiln_tensor b_zero, uint32_t b_flip)
{
    return (a_zero.id || a_flip ? KILN_BYTES_A_ZERO : 0) | (b_zero.id || b_flip ? KILN_BYTES_B_ZERO : 0) |
           (a_zero.id ? KILN_BYTES_A_BOUND : 0) | (b_zero.id ? KILN_BYTES_B_BOUND : 0);
}

uint32_t kiln_zero_step(const kiln_plan *plan, kiln_tensor zero)
{
    if (!zero.id)
        return 0;
    const kiln_shape shape = kiln_plan_spec(plan, zero).shape;
    return kiln_shape_count(&shape) > 1;
}

/* The batch axes; where one b serves all of a's matrices and one zero point their rows, those are one matrix of more rows. */
static kiln_status set_batch(struct kiln_params_matmul_bytes *p, const kiln_shape *a, const kiln_shape *b,
                             const kiln_shape *out)
{
    struct kiln_batch_axis all[KILN_MAX_RANK], *axis = all;
    int count = kiln_batch_axes(a, b, out, all);
    const uint64_t matrix_a = (uint64_t)p->m * p->depth, matrix_b = (uint64_t)p->n * p->depth;
    if (count && !p->a_step && axis[count - 1].b == 0 && axis[count - 1].a == matrix_a)
        p->m *= (uint32_t)axis[--count].size;
    if (count > 3)
        return kiln_fail(KILN_ERROR_UNSUPPORTED,
                         "matmul_integer: batch axes broadcast in %d groups, at most 3", count);
    const struct kiln_batch_axis one = {1, 0, 0};
    const struct kiln_batch_axis at[3] = {count > 2 ? axis[count - 3] : one,
                                          count > 1 ? axis[count - 2] : one,
                                          count > 0 ? axis[count - 1] : one};
    uint32_t words[3][2];
    for (int i = 0; i < 3; i++) {
        words[i][0] = (uint32_t)(at[i].a / matrix_a * (matrix_a / p->depth) * p->quads);
        words[i][1] = (uint32_t)(at[i].b / matrix_b * p->n * p->quads);
    }
    p->batch = (uint32_t)(at[0].size * at[1].size * at[2].size);
    p->batch1 = (uint32_t)at[1].size;
    p->batch2 = (uint32_t)at[2].size;
    p->a_batch0 = words[0][0], p->a_batch1 = words[1][0], p->a_batch2 = words[2][0];
    p->b_batch0 = words[0][1], p->b_batch1 = words[1][1], p->b_batch2 = words[2][1];
    p->c_m = p->n;
    p->c_batch = p->m * p->n;
    return KILN_OK;
}

static kiln_status multiply(kiln_plan *plan, const kiln_node *n, kiln_tensor a, kiln_tensor b,
                            const struct kiln_params_matmul_bytes *block)
{
    const kiln_tensor a_zero = kiln_optional_input(n, 2), b_zero = kiln_optional_input(n, 3);
    kiln_dispatch d = {
        .kernel = &kiln_kernel_matmul_bytes,
        .bind = {{.value = a}, {.value = b}, {.value = a_zero}, {.value = b_zero}, {.value = n->out[0]}},
        .constants = {kiln_bytes_zeros(a_zero, block->a_flip, b_zero, block->b_flip)},
        .constant_count = 1,
        .block_size = sizeof *block,
    };
    *(struct kiln_params_matmul_bytes *)d.block.words = *block;
    const kiln_status status = kiln_finish_write(plan, n, &d, 5);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

static kiln_status integer_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_matmul_params *how = n->params;
    const kiln_spec a = kiln_plan_spec(plan, n->in[0]), b = kiln_plan_spec(plan, n->in[1]);
    const kiln_shape out = kiln_plan_spec(plan, n->out[0]).shape;
    struct kiln_params_matmul_bytes block = {
        .m = (uint32_t)out.size[out.rank - 2],
        .n = (uint32_t)out.size[out.rank - 1],
        .depth = (uint32_t)a.shape.size[a.shape.rank - 1 - how->transpose_a],
        .a_step = kiln_zero_step(plan, kiln_optional_input(n, 2)),
        .b_step = kiln_zero_step(plan, kiln_optional_input(n, 3)),
        .a_flip = kiln_byte_flip(a.type),
        .b_flip = kiln_byte_flip(b.type),
    };
    kiln_tensor packed_a, packed_b;
    if (kiln_shape_count(&out) == 0)
        return KILN_OK;
    if (block.depth == 0)
        return kiln_plan_fill(plan, (kiln_binding){.value = n->out[0]}, 0);
    block.quads = (block.depth + 3) / 4;
    kiln_status status = pack_rows(plan, n->in[0], block.m, block.depth, !how->transpose_a, &packed_a);
    if (!status)
        status = pack_rows(plan, n->in[1], block.n, block.depth, how->transpose_b, &packed_b);
    if (!status)
        status = set_batch(&block, &a.shape, &b.shape, &out);
    return status ? status : multiply(plan, n, packed_a, packed_b, &block);
}

static const kiln_field matmul_fields[] = {
    {"transpose_a", KILN_FIELD_BOOL, offsetof(kiln_matmul_params, transpose_a), 1},
    {"transpose_b", KILN_FIELD_BOOL, offsetof(kiln_matmul_params, transpose_b), 1},
    {0},
};

/* What lies beyond a count of rows or columns reaches only results beyond it; of a sum it would have to be the zero point. */
static kiln_beyond matmul_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const kiln_matmul_params *p = n->params;
    const int rank = kiln_tensor_shape(g, n->in[input]).rank;
    const bool turned = input ? p->transpose_b : p->transpose_a;
    const int summed = (input == 1) != turned ? rank - 2 : rank - 1;
    return input < 2 && axis == summed ? KILN_REFUSED : KILN_IGNORED;
}

const kiln_op kiln_op_matmul_integer = {
    .name = "matmul_integer",
    .fields = matmul_fields,
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_FINISH,
    .infer = integer_infer,
    .beyond = matmul_beyond,
    .lowerings = (const kiln_lowering[]){{.name = "panels",
                                          .accepts = kiln_matmul_panels_accepts,
                                          .lower = kiln_matmul_panels_lower},
                                         {.name = "bytes", .lower = integer_lower}},
    .lowering_count = 2,
};

kiln_tensor kiln_matmul_integer(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor a_zero,
                                kiln_tensor b_zero, const kiln_matmul_params *params)
{
    const kiln_tensor in[] = {a, b, a_zero, b_zero};
    return a.id && b.id ? kiln_append_product(g, &kiln_op_matmul_integer, in, 4, params) : KILN_NONE;
}

kiln_tensor kiln_matmul_quantized(kiln_graph *g, kiln_quantized a, kiln_quantized b, kiln_tensor scale,
                                  kiln_tensor zero, kiln_type type, const kiln_matmul_params *params)
{
    if (!a.scale.id || !b.scale.id)
        return KILN_NONE;
    const kiln_tensor sum = kiln_matmul_integer(g, a.values, b.values, a.zero, b.zero, params);
    const kiln_tensor rows = kiln_is_one_element(g, a.scale) ? a.scale : kiln_unsqueeze(g, a.scale, -1);
    const kiln_tensor by = kiln_mul(g, kiln_cast(g, rows, KILN_F32), kiln_cast(g, b.scale, KILN_F32));
    const kiln_tensor y = sum.id ? kiln_mul(g, kiln_cast(g, sum, KILN_F32), by) : KILN_NONE;
    return kiln_quantize(g, y, scale, zero, type, NULL);
}
