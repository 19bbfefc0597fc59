/*
 * precision.c - KILN_PRECISION_F16: floats between operators become halves, where the device stores these.
 *
 * Halves begin at matmuls and convolutions, whose operands and results they are, and are carried on by what moves them, picks among
 * them or keeps them near their size. Thus what is computed of parameters, constants and positions alone stays float32, as do
 * sums over many elements, powers, exponentials and quotients, which leave a half's range; and results, states and inputs, whose
 * types are the graph's. Kernels compute in float either way, elementwise ones and reductions read halves as they come, and what
 * cannot is given a cast. What a region repeats (region.h) stays float32 too.
 *
 * A half that nothing would read as one is none: what goes into a loss or a result alone, and the gradients of parameters, which
 * go to the optimizer, come from kernels that read halves and write floats.
 *
 * A cast is made once a value: back to float32 at once where a region reads it, so that it runs before the region.
 */
#include <stdlib.h>

#include <kiln/ops.h>

#include "base/log.h"
#include "compiler/plan.h"
#include "compiler/region.h"
#include "ops/chain.h"
#include "ops/kernels.h"

enum how {
    BEGINS,  /* halves in, a half out */
    CARRIES, /* likewise, where one of these inputs is a half already */
    READS,   /* takes what is a half as it is; a float comes out */
    SUMS,    /* halves in, a float out */
};

/* What an operator does. */
struct rule {
    const kiln_op *op;
    enum how how;
    uint32_t inputs; /* bit i: input i may be a half */
    bool free;       /* where halves come in, a float may come out */
    bool all;        /* every real output is as the first one, not that alone */
};

#define ALL UINT32_MAX

static const struct rule rules[] = {
    {&kiln_op_matmul, BEGINS, 3, .free = true},
    {&kiln_op_conv, BEGINS, 3, .free = true},
    {&kiln_op_conv_transpose, BEGINS, 3, .free = true},
    {&kiln_op_conv_grad_filter, SUMS, 3},
    {&kiln_op_attention, BEGINS, 7},
    {&kiln_op_attention_grad, BEGINS, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 7 | 1 << 9,
     .all = true}, /* q, k, v, y, dy */
    {&kiln_op_layer_norm, CARRIES, 1},
    {&kiln_op_group_norm, CARRIES, 1},
    {&kiln_op_rms_norm, CARRIES, 1},
    {&kiln_op_l2_normalize, CARRIES, 1},
    {&kiln_op_normalize_grad, CARRIES, 3},
    {&kiln_op_normalize_sums, READS, 3},
    {&kiln_op_channel_sums, READS, 3},
    {&kiln_op_softmax, CARRIES, 1},
    {&kiln_op_pool, CARRIES, 1},
    {&kiln_op_pool_index, CARRIES, 1},
    {&kiln_op_pool_grad, CARRIES, 3},
    {&kiln_op_pool_grad_index, CARRIES, 1},
    {&kiln_op_dropout, CARRIES, 1},
    {&kiln_op_resize, CARRIES, 1},
    {&kiln_op_resize_grad, CARRIES, 1},
    {&kiln_op_rotary, CARRIES, 1},
    {&kiln_op_border, CARRIES, 1},
    {&kiln_op_border_grad, CARRIES, 1},
    {&kiln_op_gather, CARRIES, 1},
    {&kiln_op_concat, CARRIES, ALL},
    {&kiln_op_concat_grad, CARRIES, 1},
    {&kiln_op_slice, CARRIES, 1},
    {&kiln_op_slice_grad, CARRIES, 1},
    {&kiln_op_pad, CARRIES, 1},
    {&kiln_op_pad_grad, CARRIES, 1},
    {&kiln_op_transpose, CARRIES, 1},
    {&kiln_op_expand, CARRIES, 1},
    {&kiln_op_expand_to, CARRIES, 1},
    {&kiln_op_reshape, CARRIES, 1},
    {&kiln_op_reshape_to, CARRIES, 1},
    {&kiln_op_flatten, CARRIES, 1},
    {&kiln_op_squeeze, CARRIES, 1},
    {&kiln_op_unsqueeze, CARRIES, 1},
    {&kiln_op_sum, READS, 1},
    {&kiln_op_sum_to, READS, 1},
    {&kiln_op_mean, READS, 1},
    {&kiln_op_moments, READS, 1},
};

/* Elementwise operators whose results are about as large as their operands, or bounded; the others only read. */
static const kiln_op *const near[] = {
    &kiln_op_abs,
    &kiln_op_add,
    &kiln_op_ceil,
    &kiln_op_clip,
    &kiln_op_cos,
    &kiln_op_elu,
    &kiln_op_erf,
    &kiln_op_floor,
    &kiln_op_gelu,
    &kiln_op_gelu_tanh,
    &kiln_op_max,
    &kiln_op_hard_sigmoid,
    &kiln_op_min,
    &kiln_op_hard_swish,
    &kiln_op_mish,
    &kiln_op_leaky_relu,
    &kiln_op_mul,
    &kiln_op_neg,
    &kiln_op_prelu,
    &kiln_op_relu,
    &kiln_op_round,
    &kiln_op_scale,
    &kiln_op_shift,
    &kiln_op_shrink,
    &kiln_op_sigmoid,
    &kiln_op_sign,
    &kiln_op_sin,
    &kiln_op_softplus,
    &kiln_op_softsign,
    &kiln_op_sub,
    &kiln_op_swish,
    &kiln_op_tanh,
    &kiln_op_trunc,
    &kiln_op_where,
    &kiln_op_thresholded_relu,
    /* slopes are about 1 at the most */
    &kiln_op_erf_grad,
    &kiln_op_gelu_grad,
    &kiln_op_gelu_tanh_grad,
    &kiln_op_hard_sigmoid_grad,
    &kiln_op_hard_swish_grad,
    &kiln_op_leaky_relu_grad,
    &kiln_op_mish_grad,
    &kiln_op_prelu_grad,
    &kiln_op_relu_grad,
    &kiln_op_sigmoid_grad,
    &kiln_op_softplus_grad,
    &kiln_op_softsign_grad,
    &kiln_op_swish_grad,
    &kiln_op_tanh_grad,
    &kiln_op_threshold_grad,
};

/* A product of a value with itself grows as a power does. */
static bool is_near(const kiln_node *n)
{
    for (size_t i = 0; i < sizeof near / sizeof *near; i++)
        if (near[i] == n->op)
            return n->op != &kiln_op_mul || n->in[0].id != n->in[1].id;
    return false;
}

/* False: an operator that knows floats alone. */
static bool rule_of(const kiln_node *n, struct rule *rule)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].op == n->op) {
            *rule = rules[i];
            return true;
        }
    *rule = (struct rule){n->op, is_near(n) ? CARRIES : READS, ALL, .free = true};
    return kiln_op_elementwise(n->op) != NULL;
}

struct narrowing {
    struct kiln_rewrite *r;
    /* by value id of the old graph: the value in F16 and in F32; KILN_NONE: not made */
    kiln_tensor *half, *full;
    bool *repeated; /* by value id: a region reads it */
    bool *wanted;   /* by value id: something reads it as a half, were it one */
    int *region;    /* by node (region.h) */
};

/* The value as the one or the other, by a cast if need be; other types as they are. */
static kiln_tensor half_of(struct narrowing *w, kiln_tensor t)
{
    kiln_tensor *half = &w->half[t.id];
    if (t.id && !half->id && w->full[t.id].id)
        *half = kiln_cast(w->r->to, w->full[t.id], KILN_F16);
    return half->id ? *half : w->r->map[t.id];
}

static kiln_tensor full_of(struct narrowing *w, kiln_tensor t)
{
    kiln_tensor *full = &w->full[t.id];
    if (t.id && !full->id && w->half[t.id].id)
        *full = kiln_cast(w->r->to, w->half[t.id], KILN_F32);
    return full->id ? *full : w->r->map[t.id];
}

static bool takes(const struct rule *rule, int i)
{
    return rule->inputs == ALL || (i < 32 && rule->inputs >> i & 1);
}

/* Whether the value itself became a half, and not a copy of it. */
static bool is_half(const struct narrowing *w, kiln_tensor t)
{
    return w->half[t.id].id && w->half[t.id].id == w->r->map[t.id].id;
}

/* Whether the operands become halves, and output 0 as far as it is free to. */
static bool narrows(const struct narrowing *w, const kiln_node *n, const struct rule *rule)
{
    bool half = rule->how == BEGINS || rule->how == SUMS;
    for (int i = 0; i < n->inputs && rule->how == CARRIES; i++)
        half |= takes(rule, i) && is_half(w, n->in[i]);
    return half && kiln_tensor_type(w->r->from, n->out[0]) == KILN_F32;
}

/* Input i: an elementwise operator mixes what it reads, others want all of one kind. */
static kiln_tensor input_of(struct narrowing *w, const kiln_node *n, const struct rule *rule, bool half,
                            int i)
{
    if (kiln_node_reads_shape(n, i))
        return w->r->map[n->in[i].id];
    if (!takes(rule, i))
        return full_of(w, n->in[i]);
    return half && !kiln_op_elementwise(n->op) ? half_of(w, n->in[i]) : w->r->map[n->in[i].id];
}

static void note(struct narrowing *w, const kiln_node *n, bool half, bool all)
{
    kiln_graph *to = w->r->to;
    for (int i = 0; i < n->outputs; i++) {
        const uint32_t id = n->out[i].id;
        struct kiln_value *v = &to->value.data[w->r->map[id].id - 1];
        if (kiln_tensor_type(w->r->from, n->out[i]) != KILN_F32)
            continue;
        if (!half || (i && !all)) {
            w->full[id] = w->r->map[id];
            continue;
        }
        v->spec.type = KILN_F16;
        w->half[id] = w->r->map[id];
        if (w->repeated[id])
            full_of(w, n->out[i]);
    }
}

static kiln_status narrow(struct narrowing *w, int index)
{
    kiln_graph *to = w->r->to;
    const kiln_node *n = w->r->from->node.data[index];
    struct rule rule = {0};
    const bool known = w->region[index] < 0 && rule_of(n, &rule), half = known && narrows(w, n, &rule);
    kiln_tensor *in = kiln_arena_alloc(&to->arena, (size_t)(n->inputs ? n->inputs : 1) * sizeof *in);
    if (!in)
        return kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    for (int i = 0; i < n->inputs; i++) {
        if (!n->in[i].id)
            in[i] = KILN_NONE;
        else
            in[i] = known ? input_of(w, n, &rule, half, i) : full_of(w, n->in[i]);
    }
    const bool stays = half && (rule.how == SUMS || (rule.free && !w->wanted[n->out[0].id]));
    if (!to->status && kiln_rewrite_copy_with(w->r, n, in))
        note(w, n, half && !stays, known && rule.all);
    return to->status;
}

/* From the last reader to the first: who carries a half on reads it as one where the result is wanted so. */
static void find_wanted(struct narrowing *w)
{
    const kiln_graph *g = w->r->from;
    for (int i = g->node.count - 1; i >= 0; i--) {
        const kiln_node *n = g->node.data[i];
        struct rule rule;
        if (w->region[i] >= 0 || !rule_of(n, &rule) || (rule.how == CARRIES && !w->wanted[n->out[0].id]))
            continue;
        for (int k = 0; k < n->inputs; k++)
            w->wanted[n->in[k].id] |= takes(&rule, k) && !kiln_node_reads_shape(n, k);
    }
}

static void find_repeated(struct narrowing *w)
{
    const kiln_graph *g = w->r->from;
    for (int i = 0; i < g->node.count; i++) {
        const kiln_node *n = g->node.data[i];
        const bool within = w->region[i] >= 0 || n->op == &kiln_op_until;
        for (int k = 0; k < n->inputs && within; k++)
            w->repeated[n->in[k].id] = true;
    }
}

kiln_status kiln_store_halves(struct kiln_rewrite *r, kiln_tensor *run, int run_count)
{
    const size_t values = (size_t)r->from->value.count + 1;
    struct narrowing w = {.r = r,
                          .half = calloc(values, sizeof *w.half),
                          .full = calloc(values, sizeof *w.full),
                          .repeated = calloc(values, sizeof *w.repeated),
                          .wanted = calloc(values, sizeof *w.wanted),
                          .region = kiln_regions(r->from)};
    kiln_status status = w.half && w.full && w.repeated && w.wanted && w.region
                             ? KILN_OK
                             : kiln_fail(KILN_ERROR_MEMORY, "compiler: out of memory");
    if (!status) {
        find_repeated(&w);
        find_wanted(&w);
    }
    for (int i = 0; i < r->from->node.count && !status; i++)
        status = narrow(&w, i);
    for (int i = 0; i < run_count && !status; i++)
        run[i] = full_of(&w, run[i]);
    free(w.half);
    free(w.full);
    free(w.repeated);
    free(w.wanted);
    free(w.region);
    return status ? status : r->to->status;
}
