/*
 * onnx_attention.c - attention's family: attention itself, and what tells positions apart.
 *
 * Attention is kiln's own (kiln/attention.h), which never holds the scores as a whole, wherever the node asks for nothing but y and
 * the caches. One that wants to see the scores, or the softmax rounded, is the standard's pattern step by step:
 *
 *   scores = softcap(scale q k^T);   biased = scores + bias;   p = softmax(biased);   y = p v
 *
 * Where a query sees no key, p and y are 0. What a query sees: the keys j <= i + offset where the node is causal, of a window
 * those near i + offset, those before nonpad_kv_seqlen, and what the mask lets through. The offset is how many keys precede the
 * first query: those of the past; of a cache that is kept outside (nonpad_kv_seqlen) all but the queries' own; else none.
 */
#include <math.h>

#include <kiln/attention.h>
#include <kiln/indexing.h>

#include "import/onnx_attention.h"

/* Rotary embedding -------------------------------------------------------------------------------------- */

enum { X, COSINE, SINE, POSITIONS };

/* A cache [N, L, pairs]; or [positions, pairs], of which the positions [N, L] say the rows. */
static kiln_tensor angles(kiln_onnx_node *n, int i)
{
    const kiln_tensor cache = kiln_onnx_in(n, i);
    return kiln_onnx_has(n, POSITIONS) ? kiln_gather(n->g, cache, kiln_onnx_in(n, POSITIONS), 0) : cache;
}

void kiln_onnx_build_rotary(kiln_onnx_node *n)
{
    const kiln_rotary_params params = {.heads = (int)kiln_onnx_int(n, "num_heads", 0),
                                       .size = (int)kiln_onnx_int(n, "rotary_embedding_dim", 0),
                                       .interleaved = kiln_onnx_int(n, "interleaved", 0) != 0};
    const bool lie = !kiln_onnx_has(n, POSITIONS) ||
                     (kiln_onnx_lie_on(n, POSITIONS, COSINE, 0) && kiln_onnx_lie_on(n, POSITIONS, SINE, 0));
    const kiln_tensor cosine = angles(n, COSINE), sine = angles(n, SINE);
    if (lie && !n->refused)
        kiln_onnx_out(n, 0, kiln_rotary(n->g, kiln_onnx_in(n, X), cosine, sine, &params));
}

/* Attention --------------------------------------------------------------------------------------------- */

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

/* What the fourth output holds. */
enum { RAW, CAPPED, BIASED, PROBABILITIES };

kiln_tensor kiln_onnx_split_heads(kiln_graph *g, kiln_tensor x, int64_t heads)
{
    const kiln_tensor apart = kiln_reshape(g, x, KILN_SHAPE(0, 0, heads, KILN_REST));
    return kiln_move_axis(g, apart, 1, 2);
}

kiln_tensor kiln_onnx_join_heads(kiln_graph *g, kiln_tensor x)
{
    const kiln_tensor rows = kiln_move_axis(g, x, 1, 2);
    return kiln_reshape(g, rows, KILN_SHAPE(0, 0, KILN_REST));
}

static bool read_heads(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    const kiln_shape q = kiln_onnx_spec(n, Q).shape, k = kiln_onnx_spec(n, K).shape;
    a->rows = q.rank == 3;
    a->heads = a->rows ? kiln_onnx_int(n, "q_num_heads", 0) : q.size[1];
    a->kv_heads = a->rows ? kiln_onnx_int(n, "kv_num_heads", 0) : k.size[1];
    if (k.rank != q.rank || kiln_onnx_spec(n, V).shape.rank != q.rank || (q.rank != 3 && q.rank != 4))
        kiln_onnx_refuse(n, "Q and K have rank %d and %d, wanted 3 or 4", q.rank, k.rank);
    else if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads || a->heads > INT16_MAX)
        kiln_onnx_refuse(n, "%lld heads of queries share %lld of keys", (long long)a->heads,
                         (long long)a->kv_heads);
    return !n->refused;
}

static bool take_attributes(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    const kiln_type type = kiln_onnx_spec(n, Q).type;
    const int64_t precision = kiln_onnx_int(n, "softmax_precision", 0);
    *a = (struct kiln_onnx_attention){.scale = kiln_onnx_real(n, "scale", 0),
                                      .softcap = kiln_onnx_real(n, "softcap", 0),
                                      .left = kiln_onnx_int(n, "left_window_size", -1),
                                      .right = kiln_onnx_int(n, "right_window_size", -1),
                                      .shows = kiln_onnx_int(n, "qk_matmul_output_mode", 0),
                                      .precision = type,
                                      .causal = kiln_onnx_int(n, "is_causal", 0) != 0};
    if (kiln_onnx_has_attribute(n, "scale") && a->scale == 0)
        a->scale = KILN_ZERO;
    if (precision && (!kiln_onnx_type(precision, &a->precision) || !kiln_type_is_real(a->precision)))
        kiln_onnx_refuse(n, "softmax_precision is %lld, wanted a real type", (long long)precision);
    if (a->softcap < 0 || a->scale < 0)
        kiln_onnx_refuse(n, "softcap is %g and scale %g, wanted none negative", a->softcap, a->scale);
    if (a->left < -1 || a->right < -1 || a->left > INT32_MAX || a->right > INT32_MAX)
        kiln_onnx_refuse(n, "a window of %lld and %lld keys", (long long)a->left, (long long)a->right);
    if (a->shows < RAW || a->shows > PROBABILITIES)
        kiln_onnx_refuse(n, "qk_matmul_output_mode is %lld, wanted 0 to 3", (long long)a->shows);
    if (kiln_onnx_has(n, PAST_KEY) != kiln_onnx_has(n, PAST_VALUE))
        kiln_onnx_refuse(n, "past_key and past_value belong together");
    if (kiln_onnx_has(n, LENGTHS) && kiln_onnx_has(n, PAST_KEY))
        kiln_onnx_refuse(n, "nonpad_kv_seqlen and past_key are two kinds of cache");
    a->stepwise = kiln_onnx_wants(n, SCORES) || (type == KILN_F32 && kiln_type_size(a->precision) == 2);
    return !n->refused && read_heads(n, a);
}

kiln_tensor kiln_onnx_behind(kiln_onnx_node *n, int past, kiln_tensor x)
{
    kiln_tensor parts[] = {kiln_onnx_in(n, past), x};
    return kiln_onnx_has(n, past) ? kiln_onnx_join(n, parts, 2, 2) : x;
}

static void take_operands(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    const bool apart = a->rows && (a->stepwise || kiln_onnx_has(n, PAST_KEY) ||
                                   kiln_onnx_wants(n, PRESENT_KEY) || kiln_onnx_wants(n, PRESENT_VALUE));
    a->q = kiln_onnx_in(n, Q);
    a->k = kiln_onnx_in(n, K);
    a->v = kiln_onnx_in(n, V);
    if (kiln_onnx_spec(n, V).type != kiln_onnx_spec(n, Q).type)
        a->v = kiln_cast(n->g, a->v, kiln_onnx_spec(n, Q).type);
    if (apart) {
        a->q = kiln_onnx_split_heads(n->g, a->q, a->heads);
        a->k = kiln_onnx_split_heads(n->g, a->k, a->kv_heads);
        a->v = kiln_onnx_split_heads(n->g, a->v, a->kv_heads);
    }
    a->k = kiln_onnx_behind(n, PAST_KEY, a->k);
    a->v = kiln_onnx_behind(n, PAST_VALUE, a->v);
    kiln_onnx_out(n, PRESENT_KEY, a->k);
    kiln_onnx_out(n, PRESENT_VALUE, kiln_cast(n->g, a->v, kiln_onnx_spec(n, V).type));
}

/* The axis of q's or k's positions. */
static int positions_axis(kiln_onnx_node *n, kiln_tensor x)
{
    return kiln_tensor_shape(n->g, x).rank - 2;
}

/* How many positions x has, an integer [] of the graph, where the size may be a symbol. */
static kiln_tensor length_of(kiln_onnx_node *n, kiln_tensor x)
{
    return kiln_onnx_axis_size(n->g, x, positions_axis(n, x));
}

static void find_offset(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    const kiln_spec lengths = kiln_onnx_spec(n, LENGTHS), past = kiln_onnx_spec(n, PAST_KEY);
    const int64_t queries = kiln_tensor_shape(n->g, a->q).size[positions_axis(n, a->q)];
    if (kiln_onnx_has(n, LENGTHS)) {
        a->lengths = kiln_cast(n->g, kiln_onnx_in(n, LENGTHS), KILN_I32);
        a->offset = kiln_sub(n->g, a->lengths, length_of(n, a->q));
    } else if (kiln_onnx_has(n, PAST_KEY)) {
        const kiln_shape k = kiln_onnx_spec(n, K).shape;
        a->last = k.size[a->rows ? 1 : 2] == queries;
        a->offset = length_of(n, kiln_onnx_in(n, PAST_KEY));
    }
    if (kiln_onnx_has(n, LENGTHS) && lengths.shape.rank != 1)
        kiln_onnx_refuse(n, "nonpad_kv_seqlen has rank %d, wanted 1", lengths.shape.rank);
    if (kiln_onnx_has(n, PAST_KEY) && past.shape.rank != 4)
        kiln_onnx_refuse(n, "past_key has rank %d, wanted 4", past.shape.rank);
}

/* Whether two sizes may turn out to be one, but one of them is a symbol of its own. */
static bool may_be_one(int64_t given, int64_t wanted)
{
    return given != wanted && (given < 0 || wanted < 0);
}

/* The mask with an axis, counted from the end, by x's positions; beyond its own end its last place again. */
static kiln_tensor by_positions(kiln_onnx_node *n, kiln_tensor mask, int from_end, kiln_tensor x)
{
    const int rank = kiln_tensor_shape(n->g, mask).rank;
    return kiln_gather(n->g, mask, kiln_positions(n->g, x, positions_axis(n, x)), rank - from_end);
}

/* The mask as long as the queries, which it is where its size is a symbol. */
static kiln_tensor over_queries(kiln_onnx_node *n, const struct kiln_onnx_attention *a, kiln_tensor mask)
{
    const kiln_shape shape = kiln_tensor_shape(n->g, mask);
    const int64_t queries = kiln_tensor_shape(n->g, a->q).size[positions_axis(n, a->q)];
    const int64_t own = shape.rank > 1 ? shape.size[shape.rank - 2] : 1;
    return own != 1 && may_be_one(own, queries) ? by_positions(n, mask, 2, a->q) : mask;
}

/* The mask as long as the keys, of which what it leaves out is not seen. */
static kiln_tensor over_keys(kiln_onnx_node *n, const struct kiln_onnx_attention *a, kiln_tensor mask)
{
    const kiln_spec own = kiln_tensor_spec(n->g, mask);
    const int64_t keys = kiln_tensor_shape(n->g, a->k).size[positions_axis(n, a->k)];
    const int last = own.shape.rank - 1;
    const double out = own.type == KILN_BOOL ? 0 : -INFINITY;
    const int64_t before[KILN_MAX_RANK] = {0};
    int64_t after[KILN_MAX_RANK] = {0};
    if (last < 0 || own.shape.size[last] == keys)
        return mask;
    if (may_be_one(own.shape.size[last], keys)) {
        const kiln_tensor length = kiln_onnx_axis_size(n->g, mask, last);
        const kiln_tensor there =
            kiln_less(n->g, kiln_positions(n->g, a->k, positions_axis(n, a->k)), length);
        const kiln_tensor whole = by_positions(n, mask, 1, a->k);
        if (own.type == KILN_BOOL)
            return kiln_and(n->g, there, whole);
        return kiln_where(n->g, there, whole, kiln_scalar(n->g, own.type, out));
    }
    after[last] = keys - own.shape.size[last];
    return kiln_pad(n->g, mask, before, after, out);
}

void kiln_onnx_take_mask(kiln_onnx_node *n, struct kiln_onnx_attention *a, int i)
{
    if (!kiln_onnx_has(n, i) || n->refused || kiln_graph_status(n->g))
        return;
    const kiln_spec mask = kiln_onnx_spec(n, i);
    const kiln_type type = kiln_tensor_type(n->g, a->q);
    const int64_t keys = kiln_tensor_shape(n->g, a->k).size[positions_axis(n, a->k)];
    const int64_t given = mask.shape.rank ? mask.shape.size[mask.shape.rank - 1] : keys;
    if (mask.shape.rank > 4 || (keys >= 0 && given > keys)) {
        kiln_onnx_refuse(n, "a mask of rank %d with %lld places for %lld keys", mask.shape.rank,
                         (long long)given, (long long)keys);
        return;
    }
    a->mask = kiln_onnx_in(n, i);
    if (mask.type != KILN_BOOL && mask.type != type)
        a->mask = kiln_cast(n->g, a->mask, type);
    a->mask = over_queries(n, a, over_keys(n, a, a->mask));
}

static kiln_tensor both(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    return !a.id ? b : !b.id ? a : kiln_and(g, a, b);
}

/* [] or [N] as what broadcasts to [N, H, L, S]. */
static kiln_tensor by_batch(kiln_graph *g, kiln_tensor t)
{
    return kiln_tensor_shape(g, t).rank ? kiln_reshape(g, t, KILN_SHAPE(KILN_REST, 1, 1, 1)) : t;
}

/* i + offset - j for query i and key j: how far the key lies back. */
static kiln_tensor distance(kiln_onnx_node *n, const struct kiln_onnx_attention *a)
{
    const kiln_tensor i = kiln_positions(n->g, a->q, positions_axis(n, a->q)),
                      j = kiln_positions(n->g, a->k, positions_axis(n, a->k));
    const kiln_tensor back = kiln_sub(n->g, kiln_unsqueeze(n->g, i, 1), j);
    return a->offset.id ? kiln_add(n->g, back, by_batch(n->g, a->offset)) : back;
}

static kiln_tensor integer(kiln_graph *g, int64_t value)
{
    return kiln_scalar(g, KILN_I32, (double)value);
}

/* Where the window lets keys be seen, and with `all` what attention itself would leave out; KILN_NONE: everywhere. */
static kiln_tensor find_seen(kiln_onnx_node *n, const struct kiln_onnx_attention *a, bool all)
{
    const bool causal = all && a->causal;
    const int64_t right = causal ? 0 : a->right;
    kiln_tensor seen = KILN_NONE;
    if (a->left >= 0 || right >= 0) {
        const kiln_tensor back = distance(n, a);
        if (a->left >= 0)
            seen = kiln_less_equal(n->g, back, integer(n->g, a->left));
        if (right >= 0)
            seen = both(n->g, seen, kiln_greater_equal(n->g, back, integer(n->g, -right)));
    }
    if (all && a->lengths.id) {
        const kiln_tensor j = kiln_positions(n->g, a->k, positions_axis(n, a->k));
        seen = both(n->g, seen, kiln_less(n->g, j, by_batch(n->g, a->lengths)));
    }
    return seen;
}

/* The mask where keys are seen, and there alone. */
static kiln_tensor mask_seen(kiln_onnx_node *n, kiln_tensor mask, kiln_tensor seen)
{
    if (!seen.id || !mask.id || kiln_tensor_type(n->g, mask) == KILN_BOOL)
        return both(n->g, mask, seen);
    return kiln_where(n->g, seen, mask, kiln_scalar(n->g, kiln_tensor_type(n->g, mask), -INFINITY));
}

static kiln_tensor behind_zero(kiln_graph *g, kiln_tensor x, int axis)
{
    int64_t before[KILN_MAX_RANK] = {0}, after[KILN_MAX_RANK] = {0};
    before[axis] = 1;
    return kiln_pad(g, x, before, after, 0);
}

/* A sink is a key in front that is nothing, and so is its value; its score, which each query sees, comes from the mask. */
static void add_sink(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    kiln_graph *g = n->g;
    const kiln_type type = kiln_tensor_type(g, a->q);
    const kiln_tensor zero = kiln_scalar(g, type, 0), seen = mask_seen(n, a->mask, find_seen(n, a, false));
    kiln_tensor bias = seen;
    if (seen.id && kiln_tensor_type(g, seen) == KILN_BOOL)
        bias = kiln_where(g, seen, zero, kiln_scalar(g, type, -INFINITY));
    if (bias.id)
        bias = behind_zero(g, bias, kiln_tensor_shape(g, bias).rank - 1);
    a->k = behind_zero(g, a->k, 2);
    a->v = behind_zero(g, a->v, 2);
    const kiln_tensor first = kiln_equal(g, kiln_positions(g, a->k, 2), integer(g, 0));
    const kiln_tensor sink = kiln_reshape(g, a->sink, KILN_SHAPE(KILN_REST, 1, 1));
    a->mask = kiln_where(g, first, sink, bias.id ? bias : zero);
    a->left = a->right = -1;
    a->offset = a->offset.id ? kiln_add(g, a->offset, integer(g, 1)) : integer(g, 1);
    a->lengths = a->lengths.id ? kiln_add(g, a->lengths, integer(g, 1)) : KILN_NONE;
}

kiln_tensor kiln_onnx_mask_agreed(kiln_graph *g, kiln_tensor q, kiln_tensor k, kiln_tensor mask)
{
    const int rank = mask.id ? kiln_tensor_shape(g, mask).rank : 0;
    if (!mask.id || !q.id || !k.id)
        return mask;
    kiln_onnx_agree_along(g, &k, kiln_tensor_shape(g, k).rank - 2, &mask, rank - 1);
    kiln_onnx_agree_along(g, &q, kiln_tensor_shape(g, q).rank - 2, &mask, rank - 2);
    kiln_onnx_agree_along(g, &q, 0, &mask, rank - 4);
    return mask;
}

void kiln_onnx_agree_operands(kiln_graph *g, kiln_tensor q, kiln_tensor *k, kiln_tensor *v)
{
    const int axis = k->id ? kiln_tensor_shape(g, *k).rank - 2 : -1;
    kiln_onnx_agree_along(g, k, axis, v, axis);
    kiln_onnx_agree_along(g, &q, 0, k, 0);
    kiln_onnx_agree_along(g, &q, 0, v, 0);
}

void kiln_onnx_attend(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    kiln_onnx_agree_operands(n->g, a->q, &a->k, &a->v);
    a->mask = kiln_onnx_mask_agreed(n->g, a->q, a->k, a->mask);
    if (a->sink.id)
        add_sink(n, a);
    const kiln_attention_params params = {.heads = (int)a->heads,
                                          .kv_heads = (int)a->kv_heads,
                                          .scale = a->scale,
                                          .softcap = a->softcap,
                                          .causal = a->causal,
                                          .last = a->last,
                                          .offset = a->offset,
                                          .lengths = a->lengths,
                                          .mask = mask_seen(n, a->mask, find_seen(n, a, false))};
    const kiln_tensor y = kiln_attention(n->g, a->q, a->k, a->v, &params);
    const bool split = a->rows && kiln_tensor_shape(n->g, a->q).rank == 4;
    kiln_onnx_out(n, Y, split ? kiln_onnx_join_heads(n->g, y) : y);
}

/* q k^T, both scaled by the scale's root, which keeps halves in their range. */
static kiln_tensor products(kiln_onnx_node *n, const struct kiln_onnx_attention *a, kiln_tensor k)
{
    const int64_t depth = kiln_tensor_shape(n->g, a->q).size[3];
    const double root = sqrt(a->scale ? a->scale : 1 / sqrt((double)depth));
    const kiln_matmul_params params = {.transpose_b = true};
    return kiln_matmul(n->g, kiln_scale(n->g, a->q, root), kiln_scale(n->g, k, root), &params);
}

static kiln_tensor cap(kiln_graph *g, kiln_tensor scores, double limit)
{
    return limit ? kiln_scale(g, kiln_tanh(g, kiln_scale(g, scores, 1 / limit)), limit) : scores;
}

/* What is added to the scores, KILN_NONE if nothing is: -infinity where a key is not seen. */
static kiln_tensor bias_of(kiln_onnx_node *n, const struct kiln_onnx_attention *a)
{
    const kiln_type type = kiln_tensor_type(n->g, a->q);
    const kiln_tensor mask = mask_seen(n, a->mask, find_seen(n, a, true));
    if (!mask.id || kiln_tensor_type(n->g, mask) != KILN_BOOL)
        return mask;
    return kiln_where(n->g, mask, kiln_scalar(n->g, type, 0), kiln_scalar(n->g, type, -INFINITY));
}

/* The softmax of scores, in the precision asked for; 0 where the bias lets a query see nothing. */
static kiln_tensor probabilities(kiln_onnx_node *n, const struct kiln_onnx_attention *a, kiln_tensor scores,
                                 kiln_tensor bias)
{
    const kiln_type type = kiln_tensor_type(n->g, a->q);
    const kiln_tensor zero = kiln_scalar(n->g, type, 0);
    const kiln_reduce_params keys = {.axes = KILN_AXES(-1), .keep = true};
    kiln_tensor sees = KILN_NONE;
    if (bias.id) {
        sees = kiln_greater(n->g, kiln_reduce_max(n->g, bias, &keys), kiln_scalar(n->g, type, -INFINITY));
        scores = kiln_where(n->g, sees, scores, zero);
    }
    const kiln_tensor p =
        kiln_cast(n->g, kiln_softmax(n->g, kiln_cast(n->g, scores, a->precision), -1), type);
    return sees.id ? kiln_where(n->g, sees, p, zero) : p;
}

static void build_stepwise(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    const int64_t group = a->heads / a->kv_heads;
    const kiln_tensor k = group > 1 ? kiln_repeat(n->g, a->k, group, 1) : a->k,
                      v = group > 1 ? kiln_repeat(n->g, a->v, group, 1) : a->v;
    const kiln_tensor bias = bias_of(n, a);
    kiln_tensor shown[4];
    shown[RAW] = products(n, a, k);
    shown[CAPPED] = cap(n->g, shown[RAW], a->softcap);
    shown[BIASED] = bias.id ? kiln_add(n->g, shown[CAPPED], bias) : shown[CAPPED];
    shown[PROBABILITIES] = probabilities(n, a, shown[BIASED], bias);
    kiln_onnx_out(n, SCORES, shown[a->shows]);
    const kiln_tensor y = kiln_matmul(n->g, shown[PROBABILITIES], v, NULL);
    kiln_onnx_out(n, Y, a->rows ? kiln_onnx_join_heads(n->g, y) : y);
}

void kiln_onnx_build_attention(kiln_onnx_node *n)
{
    struct kiln_onnx_attention a;
    if (!take_attributes(n, &a))
        return;
    take_operands(n, &a);
    if (!kiln_graph_status(n->g) && !n->refused)
        find_offset(n, &a);
    kiln_onnx_take_mask(n, &a, MASK);
    if (!kiln_graph_status(n->g) && !n->refused)
        (a.stepwise ? build_stepwise : kiln_onnx_attend)(n, &a);
}
