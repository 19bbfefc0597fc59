/* attention_weights.c - the probabilities of attention as a value of their own, composed of operators. */
#include <kiln/attention.h>
#include <kiln/extend.h>
#include <kiln/indexing.h>
#include <kiln/ops.h>

#include <math.h>

/* [N, H, L, D] of [N, L, H D]; rank 4 is that already. */
static kiln_tensor heads_of(kiln_graph *g, kiln_tensor x, int heads)
{
    const kiln_shape shape = kiln_tensor_shape(g, x);
    if (shape.rank != 3)
        return x;
    if (heads <= 0 || shape.size[2] <= 0 || shape.size[2] % heads) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "attention weights: %d heads for a width of %lld", heads,
                        (long long)shape.size[2]);
        return KILN_NONE;
    }
    const kiln_tensor apart = kiln_reshape(g, x, KILN_SHAPE(0, 0, heads, shape.size[2] / heads));
    return kiln_transpose(g, apart, (const int[]){0, 2, 1, 3});
}

/* What is given for all, [], or for each batch, [N], in front of the scores' last three axes. */
static kiln_tensor by_batch(kiln_graph *g, kiln_tensor t)
{
    const kiln_tensor y = kiln_cast(g, t, KILN_I32);
    return kiln_tensor_shape(g, t).rank ? kiln_reshape(g, y, KILN_SHAPE(0, 1, 1, 1)) : y;
}

static kiln_tensor both(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return a.id ? kiln_and(g, a, b) : b;
}

/* Which keys a query sees, broadcast to [N, H, L, S]; KILN_NONE: all. */
static kiln_tensor seen_by(kiln_graph *g, kiln_tensor q, kiln_tensor k, const kiln_attention_params *p)
{
    const kiln_tensor key = kiln_positions(g, k, 2); /* [S] */
    kiln_tensor seen = KILN_NONE;
    if (p->causal) {
        kiln_tensor last = kiln_unsqueeze(g, kiln_positions(g, q, 2), 1); /* [L, 1] */
        if (p->last)
            last = kiln_add(g, last,
                            kiln_cast(g,
                                      kiln_sub(g, kiln_count_of(g, k, KILN_AXES(2)),
                                               kiln_count_of(g, q, KILN_AXES(2))),
                                      KILN_I32));
        else if (p->offset.id)
            last = kiln_add(g, last, by_batch(g, p->offset));
        seen = kiln_less_equal(g, key, last);
    }
    if (p->lengths.id)
        seen = both(g, seen, kiln_less(g, key, by_batch(g, p->lengths)));
    if (p->mask.id) { /* a real one leaves out what it makes infinitely unlikely */
        const kiln_type type = kiln_tensor_type(g, p->mask);
        seen = both(g, seen,
                    type == KILN_BOOL ? p->mask : kiln_greater(g, p->mask, kiln_scalar(g, type, -INFINITY)));
    }
    return seen;
}

static kiln_tensor scores_of(kiln_graph *g, kiln_tensor q, kiln_tensor k, const kiln_attention_params *p)
{
    const int64_t depth = kiln_tensor_shape(g, q).size[3];
    const kiln_type type = kiln_tensor_type(g, q);
    const double scale = p->scale ? p->scale : 1 / sqrt((double)depth);
    kiln_tensor y = kiln_matmul(g, q, k, &(kiln_matmul_params){.transpose_b = true});
    y = kiln_scale(g, y, scale);
    if (p->softcap > 0) {
        const kiln_tensor cap = kiln_scalar(g, type, p->softcap);
        y = kiln_mul(g, kiln_tanh(g, kiln_div(g, y, cap)), cap);
    }
    return p->mask.id && kiln_tensor_type(g, p->mask) != KILN_BOOL ? kiln_add(g, y, p->mask) : y;
}

kiln_tensor kiln_attention_weights(kiln_graph *g, kiln_tensor q, kiln_tensor k,
                                   const kiln_attention_params *params)
{
    const kiln_attention_params none = {0}, *p = params ? params : &none;
    if (!q.id || !k.id)
        return KILN_NONE;
    q = heads_of(g, q, p->heads);
    k = heads_of(g, k, p->kv_heads ? p->kv_heads : p->heads);
    if (!q.id || !k.id)
        return KILN_NONE;
    const int64_t heads = kiln_tensor_shape(g, q).size[1], shared = kiln_tensor_shape(g, k).size[1];
    if (heads != shared && heads > 0 && shared > 0 && heads % shared == 0)
        k = kiln_repeat(g, k, heads / shared, 1);
    const kiln_tensor scores = scores_of(g, q, k, p), seen = seen_by(g, q, k, p);
    if (!seen.id)
        return kiln_softmax(g, scores, 3);
    const kiln_type type = kiln_tensor_type(g, scores);
    const kiln_tensor far = kiln_scalar(g, type, type == KILN_F16 ? -6e4 : -1e30);
    const kiln_tensor y = kiln_softmax(g, kiln_where(g, seen, scores, far), 3);
    return kiln_where(g, seen, y, kiln_scalar(g, type, 0));
}
