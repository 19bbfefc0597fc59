/*
 * onnx_grouped_attention.c - GroupQueryAttention of ONNX Runtime's own domain, which decoders of language models are written with.
 *
 * Each row n of the batch says how many keys it has when the step is done, T[n] = seqlens_k[n] + 1. The step's own Q[n] are the last of
 * them, and stand behind before[n] = T[n] - Q[n] of the past, wherever the past's own room ends:
 *
 *   present[n, j] = past[n, j] where j < before[n], else own[n, j - before[n]]
 *
 * so that a past may grow by each step or be as long as there may ever be keys. Rows beyond T[n] are arbitrary.
 */
#include <string.h>

#include <kiln/attention.h>
#include <kiln/indexing.h>
#include <kiln/norm.h>

#include "import/onnx_attention.h"

enum {
    Q,
    K,
    V,
    PAST_KEY,
    PAST_VALUE,
    LAST,
    TOTAL,
    COSINE,
    SINE,
    POSITIONS,
    BIAS,
    SINK,
    K_SCALE,
    V_SCALE,
    Q_NORM,
    K_NORM,
    QUERIES
};
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

struct grouped {
    struct kiln_onnx_attention a;
    kiln_tensor before; /* [N], as a.lengths */
};

static kiln_tensor integer(kiln_graph *g, int64_t value)
{
    return kiln_scalar(g, KILN_I32, (double)value);
}

/* What is asked ------------------------------------------------------------------------------------------ */

/* What ONNX Runtime has for caches of small integers, or of a window's size, and for looking inside. */
static void refuse_the_rest(kiln_onnx_node *n)
{
    const bool quantized = strcmp(kiln_onnx_text(n, "k_quant_type", "NONE"), "NONE") != 0 ||
                           strcmp(kiln_onnx_text(n, "v_quant_type", "NONE"), "NONE") != 0;
    if (quantized || kiln_onnx_has(n, K_SCALE) || kiln_onnx_has(n, V_SCALE))
        kiln_onnx_refuse(n, "a cache of small integers is not supported");
    if (kiln_onnx_int(n, "sliding_window_cache", 0))
        kiln_onnx_refuse(n, "a cache as long as its window is not supported");
    if (kiln_onnx_wants(n, SCORES) || kiln_onnx_int(n, "qk_output", 0))
        kiln_onnx_refuse(n, "its products as an output are not supported");
    if (kiln_onnx_has(n, PAST_KEY) != kiln_onnx_has(n, PAST_VALUE) ||
        kiln_onnx_has(n, K) != kiln_onnx_has(n, V) || kiln_onnx_has(n, Q_NORM) != kiln_onnx_has(n, K_NORM))
        kiln_onnx_refuse(n, "what there is of keys and of values belongs together");
}

static bool take_attributes(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    const int64_t window = kiln_onnx_int(n, "local_window_size", -1);
    *a = (struct kiln_onnx_attention){.heads = kiln_onnx_int(n, "num_heads", 0),
                                      .kv_heads = kiln_onnx_int(n, "kv_num_heads", 0),
                                      .scale = kiln_onnx_real(n, "scale", 0),
                                      .softcap = kiln_onnx_real(n, "softcap", 0),
                                      .causal = kiln_onnx_int(n, "causal", 1) != 0,
                                      .left = window > 0 ? window - 1
                                                         : -1, /* the query's own key is one of them */
                                      .right = -1,
                                      .rows = true};
    refuse_the_rest(n);
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads || a->heads > INT16_MAX)
        kiln_onnx_refuse(n, "%lld heads of queries share %lld of keys", (long long)a->heads,
                         (long long)a->kv_heads);
    if (a->softcap < 0 || a->scale < 0 || window < -1 || !window || window > INT32_MAX)
        kiln_onnx_refuse(n, "softcap is %g, scale %g and local_window_size %lld", a->softcap, a->scale,
                         (long long)window);
    if (!kiln_onnx_has(n, LAST) || !kiln_onnx_has(n, TOTAL))
        kiln_onnx_refuse(n, "seqlens_k and total_sequence_length are left out");
    if (kiln_onnx_spec(n, Q).shape.rank != 3)
        kiln_onnx_refuse(n, "its queries have rank %d, wanted 3", kiln_onnx_spec(n, Q).shape.rank);
    return !n->refused;
}

/* Operands ----------------------------------------------------------------------------------------------- */

/* q, k and v, [N, heads, L, D], of three inputs or side by side in one. */
static void take_operands(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    const int64_t all = a->heads + 2 * a->kv_heads, width = kiln_onnx_spec(n, Q).shape.size[2];
    kiln_tensor part[3] = {kiln_onnx_in(n, Q), kiln_onnx_in(n, K), kiln_onnx_in(n, V)};
    if (!kiln_onnx_has(n, K)) {
        const int64_t count[] = {a->heads, a->kv_heads, a->kv_heads};
        if (width < 1 || width % all) {
            kiln_onnx_refuse(n, "%lld columns side by side for %lld heads", (long long)width, (long long)all);
            return;
        }
        for (int64_t i = 0, first = 0; i < 3; first += count[i++] * (width / all))
            part[i] = kiln_slice(n->g, kiln_onnx_in(n, Q), 2, first, first + count[i] * (width / all), 1);
    }
    a->q = kiln_onnx_split_heads(n->g, part[0], a->heads);
    a->k = kiln_onnx_split_heads(n->g, part[1], a->kv_heads);
    a->v = kiln_onnx_split_heads(n->g, part[2], a->kv_heads);
    if (kiln_onnx_has(n, Q_NORM)) {
        const double both = kiln_onnx_real(n, "qk_norm_epsilon", 1e-6);
        a->q =
            kiln_rms_norm(n->g, a->q, -1, kiln_onnx_in(n, Q_NORM), kiln_onnx_real(n, "q_norm_epsilon", both));
        a->k =
            kiln_rms_norm(n->g, a->k, -1, kiln_onnx_in(n, K_NORM), kiln_onnx_real(n, "k_norm_epsilon", both));
    }
}

static kiln_tensor by_row(kiln_onnx_node *n, int i)
{
    return kiln_cast(n->g, kiln_reshape(n->g, kiln_onnx_in(n, i), KILN_SHAPE(KILN_REST)), KILN_I32);
}

/* T, and before: of rows with fewer keys than the step is long, the first are its own. */
static void take_lengths(kiln_onnx_node *n, struct grouped *o)
{
    kiln_graph *g = n->g;
    const kiln_tensor own =
        kiln_onnx_has(n, QUERIES) ? by_row(n, QUERIES) : kiln_onnx_axis_size(g, o->a.q, 2);
    o->a.lengths = kiln_add(g, by_row(n, LAST), integer(g, 1));
    o->a.offset = o->before = kiln_max(g, kiln_sub(g, o->a.lengths, own), integer(g, 0));
}

/* Of a list by rows: [N, 1] */
static kiln_tensor standing(kiln_graph *g, kiln_tensor list)
{
    return kiln_unsqueeze(g, list, 1);
}

static void turn(kiln_onnx_node *n, struct grouped *o)
{
    kiln_graph *g = n->g;
    const kiln_shape cache = kiln_onnx_spec(n, COSINE).shape;
    if (!kiln_onnx_has(n, COSINE) || !kiln_onnx_has(n, SINE) || cache.rank != 2 || cache.size[1] < 1) {
        kiln_onnx_refuse(n, "do_rotary without tables of rank 2");
        return;
    }
    const kiln_tensor at = kiln_onnx_has(n, POSITIONS)
                               ? kiln_cast(g, kiln_onnx_in(n, POSITIONS), KILN_I32)
                               : kiln_add(g, standing(g, o->before), kiln_positions(g, o->a.q, 2));
    const kiln_tensor cosine = kiln_gather(g, kiln_onnx_in(n, COSINE), at, 0),
                      sine = kiln_gather(g, kiln_onnx_in(n, SINE), at, 0);
    const kiln_rotary_params p = {.size = (int)(2 * cache.size[1]),
                                  .interleaved = kiln_onnx_int(n, "rotary_interleaved", 0) != 0};
    o->a.q = kiln_rotary(g, o->a.q, cosine, sine, &p);
    o->a.k = kiln_rotary(g, o->a.k, cosine, sine, &p);
}

/* The cache ---------------------------------------------------------------------------------------------- */

/* The rows of a past and of x behind it, each where its own past ends. */
static kiln_tensor behind(kiln_onnx_node *n, const struct grouped *o, int past, kiln_tensor x)
{
    kiln_graph *g = n->g;
    if (!kiln_onnx_has(n, past))
        return x;
    const kiln_tensor all = kiln_onnx_behind(n, past, x);
    const kiln_tensor j = kiln_positions(g, all, 2), before = standing(g, o->before);
    const kiln_tensor room = kiln_onnx_axis_size(g, kiln_onnx_in(n, past), 2),
                      count = kiln_onnx_axis_size(g, all, 2);
    const kiln_tensor own =
        kiln_min(g, kiln_add(g, kiln_sub(g, j, before), room), kiln_sub(g, count, integer(g, 1)));
    return kiln_gather_batched(g, all, kiln_where(g, kiln_less(g, j, before), j, own), 2, 1);
}

/* As long as the batch's longest row, or as the past, whichever is longer; x has room for both. */
static void show_present(kiln_onnx_node *n, int past, int present, kiln_tensor x)
{
    kiln_graph *g = n->g;
    if (!kiln_onnx_wants(n, present) || n->refused)
        return;
    if (kiln_onnx_has(n, past)) {
        const int64_t all = kiln_tensor_shape(g, x).size[2], before = kiln_onnx_spec(n, past).shape.size[2];
        const struct kiln_onnx_item *total = kiln_onnx_items(n->m, n->in[TOTAL]);
        const kiln_tensor longest = kiln_max(g, kiln_cast(g, kiln_onnx_scalar(n, TOTAL), KILN_I32),
                                             kiln_onnx_axis_size(g, kiln_onnx_in(n, past), 2));
        if (total && !total->symbol && all >= 0)
            x = kiln_slice(g, x, 2, 0, total->i > before ? total->i : before, 1);
        else if (!total || total->i != all)
            x = kiln_first(g, x, longest, 2);
    }
    kiln_onnx_out(n, present, x);
}

/* All ---------------------------------------------------------------------------------------------------- */

/* What each head adds to the sum of its exponentials. */
static void take_sink(kiln_onnx_node *n, struct kiln_onnx_attention *a)
{
    if (kiln_onnx_has(n, SINK))
        a->sink = kiln_cast(n->g, kiln_onnx_in(n, SINK), kiln_tensor_type(n->g, a->q));
    else if (kiln_onnx_int(n, "smooth_softmax", 0))
        a->sink = kiln_scalar(n->g, kiln_tensor_type(n->g, a->q), 0);
}

void kiln_onnx_build_grouped_attention(kiln_onnx_node *n)
{
    struct grouped o = {0};
    if (!take_attributes(n, &o.a))
        return;
    take_operands(n, &o.a);
    if (n->refused || kiln_graph_status(n->g))
        return;
    take_lengths(n, &o);
    if (kiln_onnx_int(n, "do_rotary", 0))
        turn(n, &o);
    if (n->refused || kiln_graph_status(n->g))
        return;
    o.a.k = behind(n, &o, PAST_KEY, o.a.k);
    o.a.v = behind(n, &o, PAST_VALUE, o.a.v);
    show_present(n, PAST_KEY, PRESENT_KEY, o.a.k);
    show_present(n, PAST_VALUE, PRESENT_VALUE, o.a.v);
    kiln_onnx_take_mask(n, &o.a, BIAS);
    take_sink(n, &o.a);
    if (!n->refused && !kiln_graph_status(n->g))
        kiln_onnx_attend(n, &o.a);
}
