/*
 * onnx_fused_attention.c - attention and rotary embedding of ONNX Runtime's own domain, as its optimizers write them.
 *
 * Attention projects x itself, q, k and v by one matrix; MultiHeadAttention is given them. Keys that a mask leaves out are not unseen:
 * a number is added to their scores (mask_filter_value), so that a query all of whose keys are left out sees them alike.
 */
#include <kiln/attention.h>
#include <kiln/indexing.h>

#include "import/onnx_attention.h"

/* Heads ------------------------------------------------------------------------------------------------- */

/* [N, L, heads D] with its heads as an axis, which one of rank 4 has. */
static kiln_tensor apart(kiln_graph *g, kiln_tensor x, int64_t heads)
{
    return kiln_tensor_shape(g, x).rank == 3 ? kiln_onnx_split_heads(g, x, heads) : x;
}

/* `part` of x [N, L, heads, parts, D] as [N, heads, L, D] */
static kiln_tensor packed_part(kiln_graph *g, kiln_tensor x, int part)
{
    const kiln_tensor one = kiln_squeeze(g, kiln_slice(g, x, 3, part, part + 1, 1), 3);
    return kiln_move_axis(g, one, 1, 2);
}

static int64_t heads_of(kiln_onnx_node *n)
{
    const int64_t heads = kiln_onnx_int(n, "num_heads", 0);
    if (heads < 1 || heads > INT16_MAX)
        kiln_onnx_refuse(n, "num_heads is %lld", (long long)heads);
    return heads;
}

/* Masks ------------------------------------------------------------------------------------------------- */

static kiln_tensor where_seen(kiln_onnx_node *n, kiln_tensor seen, kiln_type type)
{
    const double filter = kiln_onnx_real(n, "mask_filter_value", -10000);
    return kiln_where(n->g, seen, kiln_scalar(n->g, type, 0), kiln_scalar(n->g, type, filter));
}

/* `rows` of a list, of one a batch, from the first-th on: [N, 1, 1, 1] */
static kiln_tensor by_batch(kiln_graph *g, kiln_tensor list, int64_t first, int64_t rows)
{
    const kiln_tensor part = rows < 0 ? list : kiln_slice(g, list, 0, first, first + rows, 1);
    return kiln_reshape(g, part, KILN_SHAPE(KILN_REST, 1, 1, 1));
}

/* A list: where each row's keys end, and then, where it is twice as long, where they begin. */
static kiln_tensor seen_between(kiln_onnx_node *n, int input, int64_t batch, kiln_tensor k)
{
    kiln_graph *g = n->g;
    const int64_t count = kiln_onnx_spec(n, input).shape.size[0];
    const bool begins = batch > 0 && count == 2 * batch;
    const kiln_tensor list = kiln_cast(g, kiln_onnx_in(n, input), KILN_I32),
                      key = kiln_positions(g, k, kiln_tensor_shape(g, k).rank - 2);
    if (count != batch && !begins) {
        kiln_onnx_refuse(n, "a mask of %lld places for a batch of %lld", (long long)count, (long long)batch);
        return KILN_NONE;
    }
    const kiln_tensor before_end = kiln_less(g, key, by_batch(g, list, 0, begins ? batch : -1));
    if (!begins)
        return before_end;
    return kiln_and(g, before_end, kiln_greater_equal(g, key, by_batch(g, list, batch, batch)));
}

/* What the mask at an input adds to scores: of keys, of rank 1 or 2, or of queries and keys, of rank 3. KILN_NONE: nothing. */
static kiln_tensor mask_at(kiln_onnx_node *n, int input, int64_t batch, kiln_tensor k)
{
    kiln_graph *g = n->g;
    const kiln_spec mask = kiln_onnx_spec(n, input);
    const kiln_type type = kiln_tensor_type(g, k);
    if (!kiln_onnx_has(n, input))
        return KILN_NONE;
    if (mask.shape.rank < 1 || mask.shape.rank > 3) {
        kiln_onnx_refuse(n, "a mask of rank %d, wanted 1 to 3", mask.shape.rank);
        return KILN_NONE;
    }
    if (mask.shape.rank == 1) {
        const kiln_tensor seen = seen_between(n, input, batch, k);
        return n->refused ? KILN_NONE : where_seen(n, seen, type);
    }
    const kiln_tensor given = kiln_onnx_in(n, input);
    const kiln_tensor seen = kiln_not_equal(g, given, kiln_scalar(g, mask.type, 0));
    const kiln_tensor wide = kiln_unsqueeze(g, seen, 1); /* of heads */
    return where_seen(n, mask.shape.rank == 2 ? kiln_unsqueeze(g, wide, 1) : wide, type);
}

/* Attention --------------------------------------------------------------------------------------------- */

/* Two masks that are added to the scores. */
static kiln_tensor added(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_tensor q, kiln_tensor k)
{
    a = kiln_onnx_mask_agreed(g, q, k, a);
    b = kiln_onnx_mask_agreed(g, q, k, b);
    return !a.id ? b : !b.id ? a : kiln_add(g, a, b);
}

/* q, k and v as kiln_attention takes them; the mask at one input, what else scores get at another. */
static void attend(kiln_onnx_node *n, kiln_tensor q, kiln_tensor k, kiln_tensor v, int mask, int bias)
{
    const kiln_shape shape = kiln_tensor_shape(n->g, q);
    const double scale = kiln_onnx_real(n, "scale", 0);
    if (scale < 0)
        kiln_onnx_refuse(n, "scale is %g, wanted none that is negative", scale);
    if (n->refused || kiln_graph_status(n->g))
        return;
    kiln_onnx_agree_operands(n->g, q, &k, &v);
    const kiln_tensor filter = mask_at(n, mask, shape.size[0], k.id ? k : q);
    const kiln_attention_params p = {.heads = (int)kiln_onnx_int(n, "num_heads", 0),
                                     .scale = scale,
                                     .causal = kiln_onnx_int(n, "unidirectional", 0) != 0,
                                     .last = true,
                                     .mask = added(n->g, filter, kiln_onnx_in(n, bias), q, k.id ? k : q)};
    if (n->refused)
        return;
    const kiln_tensor y = kiln_attention(n->g, q, k, v, &p);
    kiln_onnx_out(n, 0, shape.rank == 4 ? kiln_onnx_join_heads(n->g, y) : y);
}

/* Attention, which projects x --------------------------------------------------------------------------- */

/* How wide q, k and v are together, and each; of equal parts of the weights where nothing says it. */
static bool take_widths(kiln_onnx_node *n, int64_t *width)
{
    const kiln_shape w = kiln_onnx_spec(n, 1).shape;
    const int64_t heads = heads_of(n);
    int count;
    const int64_t *given = kiln_onnx_ints(n, "qkv_hidden_sizes", &count);
    for (int i = 0; i < 3; i++)
        width[i] = given && count == 3 ? given[i] : w.size[1] / 3;
    if (!n->refused && (w.rank != 2 || (given && count != 3) || width[0] < 1 || width[0] != width[1] ||
                        width[2] < 1 || width[2] > w.size[1] || width[0] > w.size[1] ||
                        2 * width[0] + width[2] != w.size[1] || width[0] % heads || width[2] % heads))
        kiln_onnx_refuse(
            n, "weights of rank %d with %lld columns for queries of %lld and values of %lld in %lld heads",
            w.rank, (long long)w.size[1], (long long)width[0], (long long)width[2], (long long)heads);
    return !n->refused;
}

/* What came before, [2, N, heads, L, D], keys or values; and x behind it. */
static kiln_tensor behind(kiln_onnx_node *n, int past, int which, kiln_tensor x)
{
    if (!kiln_onnx_has(n, past))
        return x;
    const kiln_tensor before = kiln_slice(n->g, kiln_onnx_in(n, past), 0, which, which + 1, 1);
    kiln_tensor parts[] = {kiln_squeeze(n->g, before, 0), x};
    return kiln_onnx_join(n, parts, 2, 2);
}

/* Which inputs hold what there may be; -1: none does. */
struct extras {
    int mask, past, score_bias;
};

/* Whether the node asks for nothing that is left out, and its operands fit. */
static bool fits(kiln_onnx_node *n, int64_t *width)
{
    if (kiln_onnx_spec(n, 0).shape.rank != 3)
        kiln_onnx_refuse(n, "x has rank %d, wanted 3", kiln_onnx_spec(n, 0).shape.rank);
    if (kiln_onnx_int(n, "do_rotary", 0))
        kiln_onnx_refuse(n, "do_rotary says no angles: RotaryEmbedding before MultiHeadAttention does");
    if (kiln_onnx_int(n, "past_present_share_buffer", 0))
        kiln_onnx_refuse(n, "past_present_share_buffer is not supported");
    return !n->refused && take_widths(n, width);
}

/* all: q, k and v side by side, so wide. */
static void attend_projected(kiln_onnx_node *n, kiln_tensor all, const int64_t *width, struct extras in)
{
    enum { PRESENT = 1 };
    kiln_graph *g = n->g;
    const int64_t heads = kiln_onnx_int(n, "num_heads", 1);
    const bool cached = kiln_onnx_has(n, in.past) || kiln_onnx_wants(n, PRESENT);
    kiln_tensor part[3];
    if (!cached && width[0] == width[2]) {
        attend(n, all, KILN_NONE, KILN_NONE, in.mask, in.score_bias);
        return;
    }
    for (int i = 0, first = 0; i < 3; first += (int)width[i++]) {
        part[i] = kiln_slice(g, all, 2, first, first + width[i], 1);
        part[i] = cached ? kiln_onnx_split_heads(g, part[i], heads) : part[i];
    }
    part[1] = behind(n, in.past, 0, part[1]);
    part[2] = behind(n, in.past, 1, part[2]);
    if (kiln_onnx_wants(n, PRESENT)) {
        const kiln_tensor both[] = {kiln_unsqueeze(g, part[1], 0), kiln_unsqueeze(g, part[2], 0)};
        kiln_onnx_out(n, PRESENT, kiln_concat(g, both, 2, 0));
    }
    attend(n, part[0], part[1], part[2], in.mask, in.score_bias);
}

void kiln_onnx_build_fused_attention(kiln_onnx_node *n)
{
    enum { X, W, BIAS, MASK, PAST, SCORE_BIAS };
    int64_t width[3];
    if (!fits(n, width))
        return;
    kiln_tensor all = kiln_matmul(n->g, kiln_onnx_in(n, X), kiln_onnx_in(n, W), NULL);
    if (kiln_onnx_has(n, BIAS))
        all = kiln_add(n->g, all, kiln_onnx_in(n, BIAS));
    attend_projected(n, all, width, (struct extras){MASK, PAST, SCORE_BIAS});
}

/* Of x and weights that are small integers. */
void kiln_onnx_build_quantized_attention(kiln_onnx_node *n)
{
    enum { BIAS = 2, SCALES, MASK = 5, ZEROS, PAST = 8 };
    int64_t width[3];
    if (!fits(n, width))
        return;
    const kiln_tensor all = kiln_onnx_real_product(n, SCALES, ZEROS, BIAS);
    if (!n->refused)
        attend_projected(n, all, width, (struct extras){MASK, PAST, -1});
}

/* MultiHeadAttention, which is given what was projected ------------------------------------------------- */

enum { Q, K, V, BIAS, MASK, SCORE_BIAS, PAST_KEY, PAST_VALUE };

/* An input [N, L, heads D], with its part of the bias, from `first` on; one [N, heads, L, D] is as it should be, and has no bias. */
static kiln_tensor given(kiln_onnx_node *n, int i, int64_t heads, int64_t first)
{
    const kiln_shape shape = kiln_onnx_spec(n, i).shape;
    kiln_tensor x = kiln_onnx_in(n, i);
    if (shape.rank == 4)
        return x;
    if (shape.rank != 3 || shape.size[2] < 1 || shape.size[2] % heads) {
        kiln_onnx_refuse(n, "input %d has rank %d, wanted 3, and heads side by side", i, shape.rank);
        return KILN_NONE;
    }
    if (kiln_onnx_has(n, BIAS))
        x = kiln_add(n->g, x, kiln_slice(n->g, kiln_onnx_in(n, BIAS), 0, first, first + shape.size[2], 1));
    return x;
}

/* Of one input, or of k's; false: they are apart. */
static bool take_packed(kiln_onnx_node *n, int64_t heads, kiln_tensor *q, kiln_tensor *k, kiln_tensor *v)
{
    const int source = kiln_onnx_spec(n, Q).shape.rank == 5 ? Q : K, parts = source == Q ? 3 : 2;
    const kiln_shape shape = kiln_onnx_spec(n, source).shape;
    if (shape.rank != 5)
        return false;
    if (shape.size[2] != heads || shape.size[3] != parts || kiln_onnx_has(n, BIAS) || kiln_onnx_has(n, V)) {
        kiln_onnx_refuse(n, "packed operands that are not [N, L, heads, %d, D] without a bias", parts);
        return true;
    }
    const kiln_tensor x = kiln_onnx_in(n, source);
    *q = source == Q ? packed_part(n->g, x, 0) : given(n, Q, heads, 0);
    *k = packed_part(n->g, x, parts - 2);
    *v = packed_part(n->g, x, parts - 1);
    return true;
}

void kiln_onnx_build_multi_head_attention(kiln_onnx_node *n)
{
    const int64_t heads = heads_of(n), width = kiln_onnx_spec(n, Q).shape.size[2];
    kiln_tensor q = KILN_NONE, k = KILN_NONE, v = KILN_NONE;
    if (n->refused)
        return;
    if (!take_packed(n, heads, &q, &k, &v)) {
        if (!kiln_onnx_has(n, K) || !kiln_onnx_has(n, V))
            kiln_onnx_refuse(n, "queries alone, of rank %d", kiln_onnx_spec(n, Q).shape.rank);
        if (n->refused)
            return;
        q = given(n, Q, heads, 0);
        k = given(n, K, heads, width);
        v = given(n, V, heads, 2 * width);
    }
    if (kiln_onnx_has(n, PAST_KEY) != kiln_onnx_has(n, PAST_VALUE))
        kiln_onnx_refuse(n, "past_key and past_value belong together");
    if (n->refused)
        return;
    if (kiln_onnx_has(n, PAST_KEY) || kiln_onnx_wants(n, 1) || kiln_onnx_wants(n, 2) ||
        kiln_tensor_shape(n->g, q).rank != 3 || kiln_tensor_shape(n->g, k).rank != 3 ||
        kiln_tensor_shape(n->g, v).rank != 3) {
        q = apart(n->g, q, heads);
        k = kiln_onnx_behind(n, PAST_KEY, apart(n->g, k, heads));
        v = kiln_onnx_behind(n, PAST_VALUE, apart(n->g, v, heads));
    }
    kiln_onnx_out(n, 1, k);
    kiln_onnx_out(n, 2, v);
    attend(n, q, k, v, MASK, SCORE_BIAS);
}

/* Rotary embedding -------------------------------------------------------------------------------------- */

/* One position is the first one's, and the others follow. */
static kiln_tensor positions_of(kiln_onnx_node *n, int input)
{
    const kiln_shape shape = kiln_onnx_spec(n, input).shape, x = kiln_onnx_spec(n, 0).shape;
    const kiln_tensor given = kiln_cast(n->g, kiln_onnx_in(n, input), KILN_I32);
    if (shape.rank == 2)
        return given;
    return kiln_add(n->g, kiln_positions(n->g, kiln_onnx_in(n, 0), x.rank - 2), given);
}

void kiln_onnx_build_fused_rotary(kiln_onnx_node *n)
{
    enum { X, POSITIONS, COSINE, SINE };
    const kiln_shape x = kiln_onnx_spec(n, X).shape, cache = kiln_onnx_spec(n, COSINE).shape;
    const int64_t size = kiln_onnx_int(n, "rotary_embedding_dim", 0);
    int64_t heads = kiln_onnx_int(n, "num_heads", 0);
    if (kiln_onnx_int(n, "is_packed_batching", 0) || kiln_onnx_real(n, "scale", 1) != 1)
        kiln_onnx_refuse(n, "packed batches, and a scale other than 1, are not supported");
    if ((x.rank != 3 && x.rank != 4) || cache.rank != 2 || cache.size[1] < 1)
        kiln_onnx_refuse(n, "x has rank %d and the cache %d, wanted 3 or 4, and 2", x.rank, cache.rank);
    if (!n->refused && !heads && x.rank == 3 && x.size[2] > 0)
        heads = x.size[2] / (2 * cache.size[1]);
    if (n->refused || (x.rank == 3 && (heads < 1 || heads > INT16_MAX))) {
        kiln_onnx_refuse(n, "num_heads is %lld", (long long)heads);
        return;
    }
    const kiln_tensor at = positions_of(n, POSITIONS);
    const kiln_rotary_params p = {.heads = (int)heads,
                                  .size = (int)size,
                                  .interleaved = kiln_onnx_int(n, "interleaved", 0) != 0};
    if (kiln_onnx_lie_on(n, POSITIONS, COSINE, 0) && kiln_onnx_lie_on(n, POSITIONS, SINE, 0) && !n->refused)
        kiln_onnx_out(n, 0,
                      kiln_rotary(n->g, kiln_onnx_in(n, X), kiln_gather(n->g, kiln_onnx_in(n, COSINE), at, 0),
                                  kiln_gather(n->g, kiln_onnx_in(n, SINE), at, 0), &p));
}
