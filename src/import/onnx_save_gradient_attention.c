/*
 * onnx_save_gradient_attention.c - gradients of attention, by the probabilities p = softmax(s), s = softcap(scale q k^T) + bias, of each head:
 *
 *   ds = p (dp - sum(p dp)),   dp = dy v^T,   dq = scale du k,   dk = scale du^T q,   dv = p^T dy,   du = ds softcap'
 *
 * Heads that share k and v lie one after another as its queries, so that the products add them up.
 */
#include <math.h>
#include <string.h>

#include <kiln/indexing.h>

#include "import/onnx_save_row.h"

enum { Q, K, V, MASK, LENGTHS, OFFSET, COUNTER, Y, LSE, DY };

struct attention {
    int64_t operands, heads, groups, depth, width;
    bool rows;               /* heads lie within rows */
    kiln_tensor q, k, v, dy; /* [N, G, H / G L, D] and [N, G, S, D] */
    kiln_tensor p, slope;    /* slope: softcap' of the scores; KILN_NONE: 1 */
    kiln_tensor factor;      /* of each p, where some are dropped: 0 or 1 / (1 - rate); KILN_NONE: 1 */
    kiln_shape scores;       /* [N, H, L, S] */
    double scale;
};

static kiln_tensor times(kiln_graph *g, kiln_tensor a, kiln_tensor b, bool turn_a, bool turn_b)
{
    return kiln_matmul(g, a, b, &(kiln_matmul_params){.transpose_a = turn_a, .transpose_b = turn_b});
}

static const int swapped[] = {0, 2, 1, 3};

/* [N, L, heads D] as [N, heads, L, D]. */
static kiln_tensor with_heads(kiln_graph *g, kiln_tensor x, int64_t heads, int64_t depth)
{
    return kiln_transpose(g, kiln_reshape(g, x, KILN_SHAPE(0, 0, heads, depth)), swapped);
}

static kiln_tensor heads_from(kiln_graph *g, kiln_tensor x, int64_t first, int64_t count)
{
    return kiln_slice(g, x, 1, first, first + count, 1);
}

static void take_rows(kiln_graph *g, const kiln_tensor *in, struct attention *a)
{
    const int64_t own = a->heads, shared = a->groups;
    if (a->operands == 3) {
        a->q = with_heads(g, in[Q], own, a->depth);
        a->k = with_heads(g, in[K], shared, a->depth);
        a->v = with_heads(g, in[V], shared, a->width);
        return;
    }
    const bool packed = a->operands == 1;
    const kiln_tensor all =
        with_heads(g, packed ? in[Q] : in[K], packed ? own + 2 * shared : 2 * shared, a->depth);
    a->q = packed ? heads_from(g, all, 0, own) : with_heads(g, in[Q], own, a->depth);
    a->k = heads_from(g, all, packed ? own : 0, shared);
    a->v = heads_from(g, all, packed ? own + shared : shared, shared);
}

static kiln_tensor by_groups(kiln_graph *g, const struct attention *a, kiln_tensor x, int64_t last)
{
    return a->heads == a->groups ? x : kiln_reshape(g, x, KILN_SHAPE(0, a->groups, KILN_REST, last));
}

static void take_operands(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, struct attention *a)
{
    const kiln_shape q = kiln_tensor_shape(g, in[Q]), k = kiln_tensor_shape(g, in[K]),
                     dy = kiln_tensor_shape(g, in[DY]);
    a->operands = integer(n, "operands");
    a->rows = q.rank == 3;
    a->heads = a->rows ? integer(n, "heads") : q.size[1];
    a->groups = a->rows ? integer(n, "kv_heads") : k.size[1];
    a->depth = a->rows ? q.size[2] / (a->operands == 1 ? a->heads + 2 * a->groups : a->heads) : q.size[3];
    a->width = a->rows ? dy.size[2] / a->heads : dy.size[3];
    if (a->depth < 1 || a->width < 1 || a->heads < 1) {
        kiln_graph_fail(g, KILN_ERROR_UNSUPPORTED, "its heads or their depth are no known sizes");
        return;
    }
    a->q = in[Q], a->k = in[K], a->v = in[V];
    if (a->rows)
        take_rows(g, in, a);
    a->dy = a->rows ? with_heads(g, in[DY], a->heads, a->width) : in[DY];
    a->scores = kiln_tensor_shape(g, a->q);
    a->scores.size[3] = kiln_tensor_shape(g, a->k).size[2];
    a->scale = number(n, "scale") != 0 ? number(n, "scale") : 1 / sqrt((double)a->depth);
}

/* What a query sees --------------------------------------------------------------------------------------- */

static kiln_tensor both(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return !a.id ? b : !b.id ? a : kiln_and(g, a, b);
}

static kiln_tensor by_batch(kiln_graph *g, kiln_tensor t)
{
    return kiln_reshape(g, kiln_cast(g, t, KILN_I32), KILN_SHAPE(KILN_REST, 1, 1, 1));
}

static kiln_tensor count(kiln_graph *g, kiln_tensor t)
{
    return kiln_cast(g, kiln_count_of(g, t, KILN_AXES(2)), KILN_I32);
}

/* j <= i + offset */
static kiln_tensor causal(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, const struct attention *a)
{
    kiln_tensor i = kiln_unsqueeze(g, kiln_positions(g, a->q, 2), 1);
    if (integer(n, "last"))
        i = kiln_add(g, i, kiln_sub(g, count(g, a->k), count(g, a->q)));
    else if (in[OFFSET].id)
        i = kiln_add(g, i, by_batch(g, in[OFFSET]));
    return kiln_less_equal(g, kiln_positions(g, a->k, 2), i);
}

/* What is added to the scores; KILN_NONE: nothing. */
static kiln_tensor bias_of(kiln_graph *g, const kiln_node *n, const kiln_tensor *in,
                           const struct attention *a)
{
    const kiln_type type = kiln_tensor_type(g, a->q);
    const bool truth = in[MASK].id && kiln_tensor_type(g, in[MASK]) == KILN_BOOL;
    kiln_tensor seen = integer(n, "causal") ? causal(g, n, in, a) : KILN_NONE;
    if (in[LENGTHS].id)
        seen = both(g, seen, kiln_less(g, kiln_positions(g, a->k, 2), by_batch(g, in[LENGTHS])));
    if (truth)
        seen = both(g, seen, in[MASK]);
    const kiln_tensor bias = in[MASK].id && !truth ? kiln_cast(g, in[MASK], type) : KILN_NONE;
    if (!seen.id)
        return bias;
    return kiln_where(g, seen, bias.id ? bias : kiln_scalar(g, type, 0), kiln_scalar(g, type, -INFINITY));
}

/* Gradients ----------------------------------------------------------------------------------------------- */

/* A query that sees no key has no probabilities. */
static void find_probabilities(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, struct attention *a)
{
    const kiln_tensor bias = bias_of(g, n, in, a), zero = kiln_scalar(g, kiln_tensor_type(g, a->q), 0);
    const double cap = number(n, "softcap");
    a->q = by_groups(g, a, a->q, a->depth);
    a->dy = by_groups(g, a, a->dy, a->width);
    kiln_tensor s = times(g, kiln_scale(g, a->q, a->scale), a->k, false, true), any = KILN_NONE;
    s = a->heads == a->groups ? s : kiln_reshape(g, s, a->scores);
    if (cap != 0) {
        const kiln_tensor t = kiln_tanh(g, kiln_scale(g, s, 1 / cap));
        a->slope = one_less(g, kiln_square(g, t));
        s = kiln_scale(g, t, cap);
    }
    if (bias.id) {
        const kiln_tensor most =
            kiln_reduce_max(g, bias, &(kiln_reduce_params){.axes = KILN_AXES(-1), .keep = true});
        any = kiln_less(g, kiln_scalar(g, kiln_tensor_type(g, bias), -INFINITY), most);
        s = kiln_where(g, any, kiln_add(g, s, bias), zero);
    }
    a->p = kiln_softmax(g, s, -1);
    a->p = bias.id ? kiln_where(g, any, a->p, zero) : a->p;
}

static kiln_tensor factored(kiln_graph *g, const struct attention *a, kiln_tensor t)
{
    return a->factor.id ? kiln_mul(g, t, a->factor) : t;
}

/* By the scores. */
static kiln_tensor by_scores(kiln_graph *g, const struct attention *a)
{
    kiln_tensor dp = times(g, a->dy, a->v, false, true);
    dp = factored(g, a, a->heads == a->groups ? dp : kiln_reshape(g, dp, a->scores));
    const kiln_tensor pull = kiln_mul(g, a->p, dp);
    const kiln_tensor all = kiln_sum(g, pull, &(kiln_reduce_params){.axes = KILN_AXES(-1), .keep = true});
    return kiln_sub(g, pull, kiln_mul(g, a->p, all));
}

/* As the operands lie: those within one are joined by their heads. */
static void lay(kiln_graph *g, const struct attention *a, const kiln_tensor d[3], kiln_tensor *out)
{
    const int alone = 3 - (int)a->operands;
    for (int i = 0; i < a->operands; i++) {
        const bool last = i == a->operands - 1;
        out[i] = last && alone ? kiln_concat(g, d + i, alone + 1, 1) : d[i];
        if (a->rows)
            out[i] = kiln_reshape(g, kiln_transpose(g, out[i], swapped), KILN_SHAPE(0, 0, KILN_REST));
    }
}

static void by_operands(kiln_graph *g, const struct attention *a, kiln_tensor *out)
{
    kiln_tensor ds = by_scores(g, a), p = factored(g, a, a->p);
    ds = kiln_scale(g, a->slope.id ? kiln_mul(g, ds, a->slope) : ds, a->scale);
    if (a->heads != a->groups) {
        const kiln_shape joined = KILN_SHAPE(0, a->groups, KILN_REST, a->scores.size[3]);
        ds = kiln_reshape(g, ds, joined);
        p = kiln_reshape(g, p, joined);
    }
    kiln_tensor d[3] = {times(g, ds, a->k, false, false), times(g, ds, a->q, true, false),
                        times(g, p, a->dy, true, false)};
    if (a->heads != a->groups)
        d[Q] = kiln_reshape(g, d[Q], KILN_SHAPE(0, a->heads, KILN_REST, a->depth));
    lay(g, a, d, out);
}

/* drops: which probabilities the node kept is an input besides its own. */
static bool begin(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, bool drops, struct attention *a)
{
    *a = (struct attention){0};
    take_operands(g, n, in, a);
    if (!kiln_graph_status(g))
        find_probabilities(g, n, in, a);
    if (!kiln_graph_status(g) && drops) {
        const kiln_tensor kept = kiln_input(g, "kept", KILN_BOOL, a->scores);
        a->factor =
            kiln_scale(g, kiln_cast(g, kept, kiln_tensor_type(g, a->p)), 1 / (1 - number(n, "dropout")));
    }
    return !kiln_graph_status(g);
}

static void by_all(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, bool drops, kiln_tensor *out)
{
    struct attention a;
    if (!begin(g, n, in, drops, &a))
        return;
    if (!strcmp(n->op->name, "attention_grad_scores"))
        out[0] = by_scores(g, &a);
    else
        by_operands(g, &a, out);
}

static void compose(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    by_all(g, n, in, false, out);
}

static void compose_dropped(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    by_all(g, n, in, true, out);
}

static void write_gradient(writer *w, const kiln_node *n, const row *r)
{
    const bool drops = w->train && number(n, "dropout") != 0;
    (void)r;
    w->besides = drops ? kiln_onnx_kept_name(w, kiln_node_of(w->g, n->in[Y])) : NULL;
    kiln_onnx_write_composed(w, n, drops ? compose_dropped : compose);
}

/* The forward node is needed for what it keeps of what it drops. */
enum { READS = 1 << Q | 1 << K | 1 << V | 1 << MASK | 1 << LENGTHS | 1 << OFFSET | 1 << Y | 1 << DY };

const row kiln_onnx_writer_gradient_attention[] = {
    {"attention_grad", NULL, write_gradient, READS},
    {"attention_grad_scores", NULL, write_gradient, READS},
    {0},
};
