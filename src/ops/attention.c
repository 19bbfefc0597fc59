/*
 * attention.c - scaled dot-product attention and its gradients.
 *
 *   y = softmax(scale q k^T + mask) v, for each head
 *
 * A node keeps the logarithm of each row's sum of exponentials; the gradients recompute the probabilities from it. Those by
 * q, by k and by v are dispatches of one kernel, which differ in what they go along: each result is summed by one workgroup,
 * in an order that sizes alone decide. That by a mask is the gradient of the scores as a whole, an operator of its own, which
 * a program without such a gradient does not compute.
 *
 * The kernels: src/ops/attention_kernel.c, shaders/attention/, src/cpu/attention.c, src/cpu/attention_fast.c.
 * Tests: tests/ops/attention.c.
 */
#include "attention/attention.h"

#include <math.h>

#include <kiln/attention.h>

#include "base/number.h"
#include "graph/graph.h"
#include "graph/random.h"
#include "ops/kernels.h"

/* Nodes -------------------------------------------------------------------------------------------------- */

struct params {
    int32_t heads, kv_heads; /* 0: by the shapes, of rank 4 */
    int32_t operands;        /* 3; 2 where k holds v too; 1 where q holds both */
    int32_t causal, last;
    int32_t unused;        /* no padding: equal params have equal bytes */
    double scale, softcap; /* 0: by the depth; none */
    double rate;
    uint64_t stream;
};

static const kiln_field fields[] = {
    {"heads", KILN_FIELD_INT, offsetof(struct params, heads), 1},
    {"kv_heads", KILN_FIELD_INT, offsetof(struct params, kv_heads), 1},
    {"operands", KILN_FIELD_INT, offsetof(struct params, operands), 1},
    {"causal", KILN_FIELD_INT, offsetof(struct params, causal), 1},
    {"last", KILN_FIELD_INT, offsetof(struct params, last), 1},
    {"scale", KILN_FIELD_REAL, offsetof(struct params, scale), 1},
    {"softcap", KILN_FIELD_REAL, offsetof(struct params, softcap), 1},
    {"dropout", KILN_FIELD_REAL, offsetof(struct params, rate), 1},
    {0},
};

/* Inputs; the gradients have three more. */
enum { Q, K, V, MASK, LENGTHS, OFFSET, COUNTER, INPUTS, Y = INPUTS, LSE, DY, GRAD_INPUTS };

/* Sizes by their names; symbols where they are not known. */
struct sizes {
    int64_t batch, heads, kv_heads, queries, keys, depth, width;
};

/* Heads within a row of q, and of k, where heads lie within rows. */
static int64_t row_heads(const struct params *p, int input)
{
    if (p->operands == 1)
        return p->heads + 2 * (int64_t)p->kv_heads;
    return input == Q ? p->heads : input == K && p->operands == 2 ? 2 * (int64_t)p->kv_heads : p->kv_heads;
}

/* Of shapes that fit; of operands that lie within another that one's shape. */
static struct sizes sizes_of(const struct params *p, const kiln_shape *q, const kiln_shape *k,
                             const kiln_shape *v)
{
    if (q->rank == 4)
        return (struct sizes){q->size[0], q->size[1], k->size[1], q->size[2],
                              k->size[2], q->size[3], v->size[3]};
    struct sizes s = {.batch = q->size[0], .heads = p->heads, .kv_heads = p->kv_heads, .queries = q->size[1]};
    s.depth = s.width = q->size[2] / row_heads(p, Q);
    s.keys = p->operands == 1 ? s.queries : k->size[1];
    if (p->operands == 3)
        s.width = v->size[2] / row_heads(p, V);
    return s;
}

/* The shapes of the operands that there are. */
static void shapes_of(const kiln_graph *g, const kiln_node *n, kiln_shape shape[3])
{
    for (int i = Q; i <= V; i++)
        shape[i] = kiln_tensor_shape(g, n->in[i]);
}

/* Whether a size is made of `parts` parts, which must be known. */
static bool divides(int64_t parts, int64_t size)
{
    return parts > 0 && size > 0 && size % parts == 0;
}

/* [N, H, L, D], [N, G, S, D], [N, G, S, V] */
static bool heads_fit(const struct params *p, const kiln_shape *q, const kiln_shape *k, const kiln_shape *v)
{
    return p->operands == 3 && k->rank == 4 && v->rank == 4 && k->size[0] == q->size[0] &&
           v->size[0] == q->size[0] && k->size[1] == v->size[1] && divides(k->size[1], q->size[1]) &&
           k->size[2] == v->size[2] && q->size[3] == k->size[3];
}

/* [N, L, heads D], [N, S, kv_heads D], [N, S, kv_heads V], or fewer operands with more heads. */
static bool rows_fit(const struct params *p, const kiln_shape shape[3])
{
    if (p->heads < 1 || p->kv_heads < 1 || p->heads % p->kv_heads)
        return false;
    for (int i = Q; i < p->operands; i++)
        if (shape[i].rank != 3 || shape[i].size[0] != shape[Q].size[0] ||
            !divides(row_heads(p, i), shape[i].size[2]))
            return false;
    const int64_t depth = shape[Q].size[2] / row_heads(p, Q);
    return (p->operands == 1 || shape[K].size[2] / row_heads(p, K) == depth) &&
           (p->operands < 3 || shape[V].size[1] == shape[K].size[1]);
}

static kiln_status check_operands(kiln_graph *g, const kiln_node *n)
{
    const struct params *p = n->params;
    kiln_shape shape[3];
    char text[3][96];
    shapes_of(g, n, shape);
    const kiln_type type = kiln_tensor_type(g, n->in[Q]);
    for (int i = Q; i < p->operands; i++) {
        const kiln_type own = kiln_tensor_type(g, n->in[i]);
        if (!kiln_type_is_real(own) || own != type)
            return kiln_node_fail(g, n, KILN_ERROR_TYPE, "%c is %s and q %s, wanted one real type", "qkv"[i],
                                  kiln_type_name(own), kiln_type_name(type));
    }
    if (shape[Q].rank == 4 ? heads_fit(p, &shape[Q], &shape[K], &shape[V]) : rows_fit(p, shape))
        return KILN_OK;
    for (int i = Q; i <= V; i++)
        kiln_graph_shape_text(g, &shape[i], text[i], sizeof text[i]);
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE,
                          "q is %s, k %s and v %s with %d heads and %d of k and v, wanted [N, H, L, D], "
                          "[N, G, S, D] and [N, G, S, V], or the heads within the last axis",
                          text[Q], p->operands > 1 ? text[K] : "within it", p->operands > 2 ? text[V] : "too",
                          p->heads, p->kv_heads);
}

static kiln_shape scores_shape(const struct sizes *s)
{
    return KILN_SHAPE(s->batch, s->heads, s->queries, s->keys);
}

static kiln_status check_mask(kiln_graph *g, const kiln_node *n, const struct sizes *s)
{
    const kiln_spec mask = kiln_tensor_spec(g, n->in[MASK]);
    const kiln_shape scores = scores_shape(s);
    kiln_shape both;
    char a[96], b[96];
    if (!n->in[MASK].id)
        return KILN_OK;
    if (mask.type != KILN_BOOL && !kiln_type_is_real(mask.type))
        return kiln_node_fail(g, n, KILN_ERROR_TYPE, "mask is %s, wanted bool or a real type",
                              kiln_type_name(mask.type));
    if (kiln_shape_broadcast(&mask.shape, &scores, &both) && kiln_shape_equal(&both, &scores))
        return KILN_OK;
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "mask is %s, which does not broadcast to %s",
                          kiln_graph_shape_text(g, &mask.shape, a, sizeof a),
                          kiln_graph_shape_text(g, &scores, b, sizeof b));
}

/* Integers, one a batch, or where it may be so one for all. */
static kiln_status check_integers(kiln_graph *g, const kiln_node *n, int input, const char *name,
                                  int64_t batch)
{
    const kiln_spec t = kiln_tensor_spec(g, n->in[input]);
    char text[96];
    if (!n->in[input].id)
        return KILN_OK;
    const bool whole = t.type == KILN_I32 || t.type == KILN_I64;
    const bool each = t.shape.rank == 1 && t.shape.size[0] == batch;
    if (whole && (each || (input == OFFSET && kiln_shape_count(&t.shape) == 1)))
        return KILN_OK;
    return kiln_node_fail(g, n, whole ? KILN_ERROR_SHAPE : KILN_ERROR_TYPE,
                          "%s is %s %s, wanted i32 or i64 and one a batch%s", name, kiln_type_name(t.type),
                          kiln_graph_shape_text(g, &t.shape, text, sizeof text),
                          input == OFFSET ? ", or one for all" : "");
}

static struct sizes node_sizes(const kiln_graph *g, const kiln_node *n)
{
    kiln_shape shape[3];
    shapes_of(g, n, shape);
    return sizes_of(n->params, &shape[Q], &shape[K], &shape[V]);
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct params *p = n->params;
    kiln_status status = check_operands(g, n);
    if (status)
        return status;
    const struct sizes s = node_sizes(g, n);
    if (!(p->rate >= 0 && p->rate < 1))
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "dropout is %g, wanted 0 to below 1", p->rate);
    if (p->softcap < 0)
        return kiln_node_fail(g, n, KILN_ERROR_ARGUMENT, "softcap is %g, wanted 0 or more", p->softcap);
    if ((status = check_mask(g, n, &s)) || (status = check_integers(g, n, LENGTHS, "lengths", s.batch)) ||
        (status = check_integers(g, n, OFFSET, "offset", s.batch)))
        return status;
    out[0] = kiln_tensor_spec(g, n->in[Q]);
    out[0].shape.size[out[0].shape.rank - 1] = out[0].shape.rank == 4 ? s.width : s.heads * s.width;
    out[1] = (kiln_spec){KILN_F32, KILN_SHAPE(s.batch, s.heads, s.queries)};
    return KILN_OK;
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    kiln_tensor in[GRAD_INPUTS];
    if (dy[1].id)
        kiln_node_fail(g, n, KILN_ERROR_UNSUPPORTED, "the logarithms of the sums have no gradient");
    if (!dy[0].id)
        return;
    for (int i = 0; i < INPUTS; i++)
        in[i] = n->in[i];
    in[Y] = n->out[0], in[LSE] = n->out[1], in[DY] = dy[0];
    const kiln_tensor dq =
        kiln_append(g, &kiln_op_attention_grad, in, GRAD_INPUTS, n->params, n->params_size);
    if (!dq.id)
        return;
    const struct params *p = n->params;
    for (int i = Q; i < p->operands; i++)
        dx[i] = kiln_node_output(g, dq, i);
    const kiln_type type = kiln_tensor_type(g, n->in[MASK]);
    if (!n->in[MASK].id || type == KILN_BOOL || !kiln_gradient_wanted(g, n->in[MASK]))
        return;
    const kiln_tensor scores =
        kiln_append(g, &kiln_op_attention_grad_scores, in, GRAD_INPUTS, n->params, n->params_size);
    dx[MASK] = kiln_sum_to(g, kiln_cast(g, scores, type), n->in[MASK]);
}

static kiln_status grad_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct params *p = n->params;
    for (int i = Q; i < p->operands; i++)
        out[i] = kiln_tensor_spec(g, n->in[i]);
    return KILN_OK;
}

static int grad_outputs(const void *params)
{
    return ((const struct params *)params)->operands;
}

static kiln_status scores_infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct sizes s = node_sizes(g, n);
    *out = (kiln_spec){kiln_tensor_type(g, n->in[Q]), scores_shape(&s)};
    return KILN_OK;
}

/* Lowering ----------------------------------------------------------------------------------------------- */

/* The stride of the mask along axis `axis` of the scores: 0 where it is the same all along. */
static uint32_t mask_stride(const kiln_shape *mask, int axis)
{
    const int at = axis - (4 - mask->rank);
    uint32_t stride = 1;
    if (at < 0 || mask->size[at] == 1)
        return 0;
    for (int i = at + 1; i < mask->rank; i++)
        stride *= (uint32_t)mask->size[i];
    return stride;
}

static struct sizes plan_sizes(const kiln_plan *plan, const kiln_node *n)
{
    kiln_shape shape[3];
    for (int i = Q; i <= V; i++)
        shape[i] = kiln_plan_spec(plan, n->in[i]).shape;
    return sizes_of(n->params, &shape[Q], &shape[K], &shape[V]);
}

/* What the node's numbers and mask do to scores. */
static uint32_t flags_of(const kiln_plan *plan, const kiln_node *n)
{
    const struct params *p = n->params;
    const bool truth = kiln_plan_spec(plan, n->in[MASK]).type == KILN_BOOL;
    return (kiln_plan_spec(plan, n->in[Q]).shape.rank == 3 ? KILN_ATTENTION_ROWS_FIRST : 0) |
           (p->operands == 2   ? KILN_ATTENTION_PAIRED
            : p->operands == 1 ? KILN_ATTENTION_PACKED
                               : 0) |
           (p->causal ? KILN_ATTENTION_CAUSAL : 0) | (n->in[LENGTHS].id ? KILN_ATTENTION_LENGTHS : 0) |
           (n->in[MASK].id ? truth ? KILN_ATTENTION_MASKED : KILN_ATTENTION_BIASED : 0) |
           (p->softcap ? KILN_ATTENTION_CAPPED : 0) | (p->rate ? KILN_ATTENTION_DROPPED : 0);
}

static void set_block(const kiln_plan *plan, const kiln_node *n, struct kiln_params_attention *block)
{
    const struct params *p = n->params;
    const struct sizes s = plan_sizes(plan, n);
    *block = (struct kiln_params_attention){
        .count = (uint32_t)(s.batch * s.kv_heads),
        .kv_heads = (uint32_t)s.kv_heads,
        .group = (uint32_t)(s.heads / s.kv_heads),
        .queries = (uint32_t)s.queries,
        .keys = (uint32_t)s.keys,
        .depth = (uint32_t)s.depth,
        .width = (uint32_t)s.width,
        .offset_at = KILN_ATTENTION_NONE,
        .offset = p->last ? (uint32_t)(s.keys - s.queries) : 0,
        .stream = (uint32_t)p->stream,
        .delta_at = (uint32_t)(s.batch * s.heads * s.queries),
    };
    if (n->in[MASK].id) {
        const kiln_shape mask = kiln_plan_spec(plan, n->in[MASK]).shape;
        block->mask_batch = mask_stride(&mask, 0);
        block->mask_head = mask_stride(&mask, 1);
        block->mask_row = mask_stride(&mask, 2);
        block->mask_key = mask_stride(&mask, 3);
    }
    KILN_REAL_SET(block, scale, p->scale ? p->scale : 1 / sqrt((double)s.depth));
    KILN_REAL_SET(block, cap, p->softcap);
    KILN_REAL_SET(block, keep, 1 / (1 - p->rate));
}

/* Lengths, offset and counter as one operand, where there is more than one of them. */
static kiln_status gather_numbers(kiln_plan *plan, const kiln_node *n, struct kiln_params_attention *block,
                                  kiln_tensor *out)
{
    const struct params *p = n->params;
    const kiln_tensor part[] = {n->in[LENGTHS], p->causal && !p->last ? n->in[OFFSET] : KILN_NONE,
                                n->in[COUNTER]};
    uint32_t *const at[] = {&block->lengths_at, &block->offset_at, &block->counter_at};
    uint32_t total = 0;
    int parts = 0;
    *out = KILN_NONE;
    for (int i = 0; i < 3; i++) {
        const kiln_shape shape = kiln_plan_spec(plan, part[i]).shape;
        if (!part[i].id)
            continue;
        *at[i] = total;
        total += (uint32_t)kiln_shape_count(&shape);
        *out = part[i];
        parts++;
    }
    const kiln_shape offset = kiln_plan_spec(plan, part[1]).shape;
    block->offset_step = part[1].id && kiln_shape_count(&offset) > 1;
    if (parts < 2)
        return KILN_OK;

    *out = kiln_plan_temporary(plan, KILN_I32, total);
    kiln_status status = KILN_OK;
    for (int i = 0; i < 3 && !status; i++) {
        const kiln_shape shape = kiln_plan_spec(plan, part[i]).shape;
        if (part[i].id)
            status = kiln_plan_copy(plan, (kiln_binding){.value = part[i]},
                                    (kiln_binding){.value = *out,
                                                   .offset = 4 * (uint64_t)*at[i],
                                                   .bytes = 4 * (uint64_t)kiln_shape_count(&shape)});
    }
    return status;
}

/* The input that holds q, k or v. */
static int holder(const kiln_node *n, int input)
{
    const int operands = ((const struct params *)n->params)->operands;
    return input < operands ? input : operands - 1;
}

/* A dispatch with all that the kernels have in common. */
static kiln_status prepare(kiln_plan *plan, const kiln_node *n, const kiln_kernel *kernel, kiln_dispatch *d)
{
    struct kiln_params_attention *block = (struct kiln_params_attention *)d->block.words;
    *d = (kiln_dispatch){
        .kernel = kernel,
        .bind = {{.value = n->in[Q]},
                 {.value = n->in[holder(n, K)]},
                 {.value = n->in[holder(n, V)]},
                 {.value = n->in[MASK]}},
        .constants = {flags_of(plan, n)},
        .constant_count = 2,
        .block_size = sizeof *block,
    };
    set_block(plan, n, block);
    return gather_numbers(plan, n, block, &d->bind[4].value);
}

static kiln_status lower(kiln_plan *plan, const kiln_node *n)
{
    kiln_dispatch d;
    const kiln_status status = prepare(plan, n, &kiln_kernel_attention, &d);
    d.bind[5].value = n->out[0];
    d.bind[6].value = n->out[1];
    return status ? status : kiln_plan_dispatch(plan, &d);
}

/* lse and delta of every row. */
static kiln_status find_rows(kiln_plan *plan, const kiln_node *n, kiln_tensor *rows)
{
    kiln_dispatch d = {
        .kernel = &kiln_kernel_attention_delta,
        .bind = {{.value = n->in[Y]}, {.value = n->in[DY]}, {.value = n->in[LSE]}},
        .constants = {flags_of(plan, n)},
        .constant_count = 1,
        .block_size = sizeof(struct kiln_params_attention),
    };
    struct kiln_params_attention *block = (struct kiln_params_attention *)d.block.words;
    set_block(plan, n, block);
    d.bind[3].value = *rows = kiln_plan_temporary(plan, KILN_F32, 2 * (int64_t)block->delta_at);
    return kiln_plan_dispatch(plan, &d);
}

static kiln_status grad_lower(kiln_plan *plan, const kiln_node *n)
{
    static const uint32_t mode[] = {KILN_ATTENTION_QUERY, KILN_ATTENTION_KEY, KILN_ATTENTION_VALUE};
    kiln_dispatch d;
    kiln_status status = prepare(plan, n, &kiln_kernel_attention_grad, &d);
    d.bind[5].value = n->in[DY];
    if (!status)
        status = find_rows(plan, n, &d.bind[6].value);
    for (int i = Q; i <= V && !status; i++) {
        d.constants[1] = mode[i];
        d.bind[7].value = n->out[holder(n, i)];
        status = kiln_plan_dispatch(plan, &d);
    }
    return status;
}

static kiln_status scores_lower(kiln_plan *plan, const kiln_node *n)
{
    kiln_dispatch d;
    kiln_status status = prepare(plan, n, &kiln_kernel_attention_grad, &d);
    d.constants[1] = KILN_ATTENTION_SCORES;
    d.bind[5].value = n->in[DY];
    d.bind[7].value = n->out[0];
    if (!status)
        status = find_rows(plan, n, &d.bind[6].value);
    return status ? status : kiln_plan_dispatch(plan, &d);
}

/* Operators ---------------------------------------------------------------------------------------------- */

const kiln_op kiln_op_attention = {
    .name = "attention",
    .fields = fields,
    .inputs = INPUTS,
    .outputs = 2,
    .infer = infer,
    .grad = grad,
    .lowerings = (const kiln_lowering[]){{.name = "tiles", .lower = lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_attention_grad = {
    .name = "attention_grad",
    .fields = fields,
    .inputs = GRAD_INPUTS,
    .output_count = grad_outputs,
    .infer = grad_infer,
    .lowerings = (const kiln_lowering[]){{.name = "tiles", .lower = grad_lower}},
    .lowering_count = 1,
};

const kiln_op kiln_op_attention_grad_scores = {
    .name = "attention_grad_scores",
    .fields = fields,
    .inputs = GRAD_INPUTS,
    .outputs = 1,
    .infer = scores_infer,
    .lowerings = (const kiln_lowering[]){{.name = "tiles", .lower = scores_lower}},
    .lowering_count = 1,
};

/* {seed, step, threshold} in training, else zeros: a node that drops or does not is one node, and so is its gradient. */
static kiln_tensor draw_counter(kiln_graph *g, double rate)
{
    const uint32_t threshold = rate > 0 && rate < 1 ? (uint32_t)(rate * 4294967296.0) : 0;
    const int32_t limit_word = (int32_t)threshold, zeros[3] = {0};
    const kiln_tensor limit = kiln_constant(
        g, &(kiln_array){.data = (void *)(uintptr_t)&limit_word, .type = KILN_I32, .shape = KILN_SHAPE(1)});
    const kiln_tensor none = kiln_constant(
        g, &(kiln_array){.data = (void *)(uintptr_t)zeros, .type = KILN_I32, .shape = KILN_SHAPE(3)});
    return kiln_by_mode(g, kiln_concat(g, (const kiln_tensor[]){kiln_random_counter(g), limit}, 2, 0), none);
}

kiln_tensor kiln_attention(kiln_graph *g, kiln_tensor q, kiln_tensor k, kiln_tensor v,
                           const kiln_attention_params *params)
{
    const kiln_attention_params none = {0}, *given = params ? params : &none;
    if (!q.id || (v.id && !k.id))
        return KILN_NONE;
    const bool rows_first = kiln_tensor_shape(g, q).rank == 3;
    struct params p = {
        .heads = rows_first ? given->heads : 0,
        .kv_heads = rows_first ? given->kv_heads ? given->kv_heads : given->heads : 0,
        .operands = v.id   ? 3
                    : k.id ? 2
                           : 1,
        .causal = given->causal,
        .last = given->causal && given->last,
        .scale = given->scale,
        .softcap = given->softcap,
    };
    const kiln_tensor offset = p.causal && !p.last ? given->offset : KILN_NONE;
    kiln_tensor in[INPUTS] = {q, k, v, given->mask, given->lengths, offset, KILN_NONE};
    if (given->dropout != 0) {
        p.rate = given->dropout;
        p.stream = kiln_random_stream(g, "attention");
        in[COUNTER] = draw_counter(g, p.rate);
    }
    return kiln_append(g, &kiln_op_attention, in, INPUTS, &p, sizeof p);
}
