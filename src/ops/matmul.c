/*
 * matmul.c - the product of matrices over the last two axes, batch axes broadcast.
 *
 *   y[.., m, n] = sum over k of a[.., m, k] * b[.., k, n]
 *
 * Lowering: batch axes of size 1 are dropped, those that both operands walk alike are merged, and where b
 * is the same for all of them they become rows of a. What then remains beyond three batch axes is one
 * dispatch an index.
 *
 * The kernel: src/ops/matmul_kernel.c, shaders/matmul/, src/cpu/matmul.c, src/cpu/gemm.c.   Tests:
 * tests/ops/matmul.c.
 */
#include "ops/matmul.h"

#include "matmul/matmul.h"
#include "ops/beyond.h"
#include "ops/cases.h"
#include "ops/chain.h"
#include "ops/kernels.h"
#include "ops/splits.h"

/* The operator ------------------------------------------------------------------------------------------- */

static int rank_of(const kiln_graph *g, kiln_tensor t)
{
    return kiln_tensor_spec(g, t).shape.rank;
}

kiln_tensor kiln_append_product(kiln_graph *g, const kiln_op *op, const kiln_tensor *in, int inputs,
                                const kiln_matmul_params *params)
{
    enum { MOST = 4 };
    kiln_matmul_params p = params ? *params : (kiln_matmul_params){0};
    kiln_tensor all[MOST] = {in[0], in[1]};
    const bool vector_a = in[0].id && rank_of(g, in[0]) == 1, vector_b = in[1].id && rank_of(g, in[1]) == 1;
    for (int i = 2; i < inputs && i < MOST; i++)
        all[i] = in[i];
    if (vector_a) { /* a row */
        all[0] = kiln_unsqueeze(g, in[0], 0);
        p.transpose_a = false;
    }
    if (vector_b) { /* a column */
        all[1] = kiln_unsqueeze(g, in[1], 1);
        p.transpose_b = false;
    }
    kiln_tensor y = kiln_append(g, op, all, inputs, &p, sizeof p);
    if (vector_b)
        y = kiln_squeeze(g, y, -1);
    if (vector_a)
        y = kiln_squeeze(g, y, vector_b ? -1 : -2);
    return y;
}

kiln_tensor kiln_matmul(kiln_graph *g, kiln_tensor a, kiln_tensor b, const kiln_matmul_params *params)
{
    return kiln_append_product(g, &kiln_op_matmul, (const kiln_tensor[]){a, b}, 2, params);
}

/* The shape of the batch axes: all but the last two. */
static kiln_shape batch_of(const kiln_shape *s)
{
    return kiln_shape_of(s->rank - 2, s->size);
}

kiln_status kiln_matmul_shape(kiln_graph *g, const kiln_node *n, const kiln_matmul_params *p,
                              const kiln_shape *a, const kiln_shape *b, kiln_shape *out)
{
    char a_text[96], b_text[96];
    kiln_shape_text(a, a_text, sizeof a_text);
    kiln_shape_text(b, b_text, sizeof b_text);
    const int ra = a->rank, rb = b->rank;
    if (ra < 2 || rb < 2)
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "a is %s and b %s, both must be matrices", a_text,
                              b_text);
    if (a->size[ra - 1 - p->transpose_a] != b->size[rb - 2 + p->transpose_b])
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "a%s %s and b%s %s do not multiply",
                              p->transpose_a ? " transposed" : "", a_text,
                              p->transpose_b ? " transposed" : "", b_text);

    const kiln_shape batch_a = batch_of(a), batch_b = batch_of(b);
    if (!kiln_shape_broadcast(&batch_a, &batch_b, out))
        return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "the batch axes of a %s and b %s do not fit", a_text,
                              b_text);
    out->size[out->rank++] = a->size[ra - 2 + p->transpose_a];
    out->size[out->rank++] = b->size[rb - 1 - p->transpose_b];
    return KILN_OK;
}

static kiln_status matmul_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const kiln_spec a = kiln_tensor_spec(g, n->in[0]), b = kiln_tensor_spec(g, n->in[1]);
    if (!kiln_type_is_real(a.type) || b.type != a.type)
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "a is %s and b %s, both must be of one real type",
                              kiln_type_name(a.type), kiln_type_name(b.type));
    out->type = a.type;
    return kiln_matmul_shape(g, n, n->params, &a.shape, &b.shape, &out->shape);
}

static kiln_tensor product(kiln_graph *g, kiln_tensor a, bool transpose_a, kiln_tensor b, bool transpose_b)
{
    return kiln_matmul(g, a, b,
                       &(kiln_matmul_params){.transpose_a = transpose_a, .transpose_b = transpose_b});
}

/* da = dy b^T and db = a^T dy, each transposed where its operand was; then the broadcast is undone. Where
 * one matrix b serves all of a's batch, the batch is more rows: one product instead of many and their sum. */
static void matmul_grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const kiln_matmul_params *p = n->params;
    const kiln_tensor a = n->in[0], b = n->in[1];
    const bool ta = p->transpose_a, tb = p->transpose_b;
    const int rank = rank_of(g, a);

    kiln_tensor da = ta ? product(g, b, tb, dy[0], true) : product(g, dy[0], false, b, !tb);
    dx[0] = kiln_sum_to(g, da, a);

    kiln_tensor rows = a, pull = dy[0];
    if (rank > 2 && !ta && rank_of(g, b) == 2) {
        rows = kiln_flatten(g, a, rank - 1);
        pull = kiln_flatten(g, pull, rank - 1);
    }
    kiln_tensor db = tb ? product(g, pull, true, rows, ta) : product(g, rows, !ta, pull, false);
    dx[1] = kiln_sum_to(g, db, b);
}

/* Batch axes stay aligned at the last ones, and those of the cases come in front of all. */
static kiln_tensor matmul_cases(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    kiln_tensor in[2];
    for (int i = 0; i < 2; i++)
        in[i] = c->stacked[i] ? kiln_cases_widen(g, c->in[i], c->out.shape.rank) : c->in[i];
    return n->inputs == 2 ? kiln_cases_append(g, n, c, in, n->params) : KILN_NONE;
}

/* An operand of all cases with the cases beside its inner axis, as one with that. */
static kiln_tensor beside_inner(kiln_graph *g, kiln_tensor x, bool last)
{
    kiln_shape shape = kiln_tensor_shape(g, x), merged = {.rank = shape.rank - 1};
    const int inner = shape.rank - (last ? 1 : 2);
    int order[KILN_MAX_RANK];
    for (int i = 0; i < shape.rank; i++) {
        order[i] = i < inner - 1 ? i + 1 : i == inner - 1 ? 0 : i;
        if (i)
            merged.size[i - 1] = shape.size[i];
    }
    merged.size[inner - 1] *= shape.size[0];
    return kiln_reshape(g, inner == 1 ? x : kiln_transpose(g, x, order), merged);
}

static bool same_batch(const kiln_shape *a, const kiln_shape *b)
{
    const kiln_shape batch_a = batch_of(a), batch_b = batch_of(b);
    return kiln_shape_equal(&batch_a, &batch_b);
}

/* The sum of products over all cases is one product, whose inner axis is that of all; a factor that all share is taken out. */
static kiln_tensor matmul_sum(kiln_graph *g, const kiln_node *n, const kiln_cases *c)
{
    const kiln_matmul_params *p = n->params;
    const kiln_shape a = kiln_tensor_shape(g, c->in[0]), b = kiln_tensor_shape(g, c->in[1]);
    if (n->inputs != 2)
        return KILN_NONE;
    if (c->stacked[0] && c->stacked[1])
        return same_batch(&a, &b) ? product(g, beside_inner(g, c->in[0], !p->transpose_a), p->transpose_a,
                                            beside_inner(g, c->in[1], p->transpose_b), p->transpose_b)
                                  : KILN_NONE;
    kiln_tensor in[2];
    for (int i = 0; i < 2; i++)
        in[i] = c->stacked[i] ? kiln_sum(g, c->in[i], &(kiln_reduce_params){.axes = KILN_AXES(0)}) : c->in[i];
    return product(g, in[0], p->transpose_a, in[1], p->transpose_b);
}

/* Lowering ----------------------------------------------------------------------------------------------- */

/* An operand's stride along batch axis `axis` of the output: 0 where it is broadcast. */
static uint64_t batch_stride(const kiln_shape *s, int axis, int out_rank)
{
    const int i = axis - (out_rank - s->rank);
    if (i < 0 || s->size[i] == 1)
        return 0;
    uint64_t stride = 1;
    for (int k = i + 1; k < s->rank; k++)
        stride *= (uint64_t)s->size[k];
    return stride;
}

int kiln_batch_axes(const kiln_shape *a, const kiln_shape *b, const kiln_shape *out,
                    struct kiln_batch_axis axis[KILN_MAX_RANK])
{
    int count = 0;
    for (int i = 0; i < out->rank - 2; i++) {
        const struct kiln_batch_axis next = {
            .size = (uint64_t)out->size[i],
            .a = batch_stride(a, i, out->rank),
            .b = batch_stride(b, i, out->rank),
        };
        struct kiln_batch_axis *last = count ? &axis[count - 1] : NULL;
        if (next.size == 1)
            continue;
        if (last && last->a == next.a * next.size && last->b == next.b * next.size)
            *last = (struct kiln_batch_axis){last->size * next.size, next.a, next.b};
        else
            axis[count++] = next;
    }
    return count;
}

static bool walks_rows(const kiln_dispatch *d)
{
    return (d->constants[0] >> 16 & 15) == KILN_WALK_ROW || (d->constants[0] >> 20 & 15) == KILN_WALK_ROW;
}

/* Sizes and strides of the block, batch axes aside. */
static void set_matrices(struct kiln_params_matmul *block, const kiln_matmul_params *p, const kiln_shape *a,
                         const kiln_shape *out)
{
    block->m = (uint32_t)out->size[out->rank - 2];
    block->n = (uint32_t)out->size[out->rank - 1];
    block->k = (uint32_t)a->size[a->rank - 1 - p->transpose_a];
    block->a_m = p->transpose_a ? 1 : block->k;
    block->a_k = p->transpose_a ? block->m : 1;
    block->b_k = p->transpose_b ? 1 : block->n;
    block->b_n = p->transpose_b ? block->k : 1;
    block->c_m = block->n;
}

/* The three innermost axes; absent ones have size 1. */
static void set_batch(struct kiln_params_matmul *block, const struct kiln_batch_axis *axis, int count)
{
    const struct kiln_batch_axis one = {1, 0, 0};
    const struct kiln_batch_axis *a2 = count > 0 ? &axis[count - 1] : &one,
                                 *a1 = count > 1 ? &axis[count - 2] : &one,
                                 *a0 = count > 2 ? &axis[count - 3] : &one;
    block->batch = (uint32_t)(a0->size * a1->size * a2->size);
    block->batch1 = (uint32_t)a1->size;
    block->batch2 = (uint32_t)a2->size;
    block->a_batch0 = (uint32_t)a0->a, block->a_batch1 = (uint32_t)a1->a, block->a_batch2 = (uint32_t)a2->a;
    block->b_batch0 = (uint32_t)a0->b, block->b_batch1 = (uint32_t)a1->b, block->b_batch2 = (uint32_t)a2->b;
    block->c_batch = block->m * block->c_m;
}

/* One dispatch for each index of the axes outside of those in the block. */
static kiln_status dispatch_outer(kiln_plan *plan, kiln_dispatch *d, const struct kiln_batch_axis *axis,
                                  int count)
{
    struct kiln_params_matmul *block = (struct kiln_params_matmul *)d->block.words;
    if (count <= 0)
        return kiln_plan_product(plan, d);

    uint64_t inner = block->batch;
    for (const struct kiln_batch_axis *x = axis + 1; x < axis + count; x++)
        inner *= x->size;
    const struct kiln_params_matmul start = *block;
    for (uint64_t i = 0; i < axis->size; i++) {
        block->a_first = start.a_first + (uint32_t)(i * axis->a);
        block->b_first = start.b_first + (uint32_t)(i * axis->b);
        block->c_first = start.c_first + (uint32_t)(i * inner * start.c_batch);
        const kiln_status status = dispatch_outer(plan, d, axis + 1, count - 1);
        if (status)
            return status;
    }
    *block = start;
    return KILN_OK;
}

static kiln_status matmul_lower(kiln_plan *plan, const kiln_node *n)
{
    const kiln_shape a = kiln_plan_spec(plan, n->in[0]).shape, b = kiln_plan_spec(plan, n->in[1]).shape;
    const kiln_shape out = kiln_plan_spec(plan, n->out[0]).shape;
    if (kiln_shape_count(&out) == 0)
        return KILN_OK;

    kiln_dispatch d = {
        .kernel = &kiln_kernel_matmul,
        .bind = {{.value = n->in[0]}, {.value = n->in[1]}, {.value = n->out[0]}},
        .block_size = sizeof(struct kiln_params_matmul),
    };
    struct kiln_params_matmul *block = (struct kiln_params_matmul *)d.block.words;
    const kiln_status status = kiln_epilogue_write(plan, n, &d, 0, 3, block->immediate);
    if (status)
        return status;

    struct kiln_batch_axis axis[KILN_MAX_RANK];
    int count = kiln_batch_axes(&a, &b, &out, axis);
    set_matrices(block, n->params, &a, &out);
    if (count && axis[count - 1].b == 0 && axis[count - 1].a == (uint64_t)block->m * block->a_m &&
        !walks_rows(&d))
        block->m *= (uint32_t)axis[--count].size;
    set_batch(block, axis, count);
    return dispatch_outer(plan, &d, axis, count - 3);
}

static const kiln_field matmul_fields[] = {
    {"transpose_a", KILN_FIELD_BOOL, offsetof(kiln_matmul_params, transpose_a), 1},
    {"transpose_b", KILN_FIELD_BOOL, offsetof(kiln_matmul_params, transpose_b), 1},
    {0},
};

/* Along the axis that is summed, nothing adds nothing. */
static kiln_beyond matmul_beyond(kiln_graph *g, const kiln_node *n, int input, int axis)
{
    const kiln_matmul_params *p = n->params;
    const int rank = kiln_tensor_shape(g, n->in[input]).rank;
    const bool turned = input ? p->transpose_b : p->transpose_a;
    const int summed = rank == 1 ? 0 : (input == 1) != turned ? rank - 2 : rank - 1;
    return input < 2 && axis == summed ? KILN_FILLED(0) : KILN_IGNORED;
}

const kiln_op kiln_op_matmul = {
    .name = "matmul",
    .fields = matmul_fields,
    .inputs = 2,
    .outputs = 1,
    .flags = KILN_OP_EPILOGUE,
    .infer = matmul_infer,
    .beyond = matmul_beyond,
    .grad = matmul_grad,
    .lowerings = (const kiln_lowering[]){{.name = "packed",
                                          .accepts = kiln_matmul_packed_accepts,
                                          .pays = kiln_matmul_packed_pays,
                                          .lower = kiln_matmul_packed_lower,
                                          .form = kiln_matmul_packed_form},
                                         {.name = "gemm", .lower = matmul_lower}},
    .lowering_count = 2,
    .cases = matmul_cases,
    .sum_cases = matmul_sum,
};
