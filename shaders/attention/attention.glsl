/*
 * attention.glsl - what every shader of attention shares: the bindings, where rows lie, what becomes of a score.
 *
 * A workgroup or an invocation computes rows of the result, its *own* axis (queries, or of the gradients by keys and values
 * keys), and goes along the *other* axis in blocks: products of own and other rows become weights, and the rows of a third
 * operand, x, are summed with these weights.
 *
 *              own      other    products        x
 *   attention  q        k        q k             v
 *   QUERY      q, dy    k, v     q k, dy v       k
 *   KEY        k, v     q, dy    k q, v dy       q
 *   VALUE      k        q        k q             dy
 *   SCORES     q, dy    k, v     q k, dy v       (the weights are stored)
 *
 * With TEXELS q, k and v are texel buffers, of fours, and with COOP they and the result are of what matrix units' slabs store
 * (coop.glsl); what reads single terms is not there.
 */
#include "kiln.glsl"
#ifdef COOP
#include "coop.glsl"
#define ELEMENTS STORED_TYPE
#else
#define ELEMENTS T
#endif
#include "math.glsl"
#include "philox.glsl"
#include "attention.h"

KILN_CONSTANT(0, FLAGS);
KILN_CONSTANT(1, MODE);

#define IS(flag) ((FLAGS & KILN_ATTENTION_##flag) != 0u)
#define OF(mode) (MODE == KILN_ATTENTION_##mode)

#ifdef TEXELS
KILN_TEXELS(0, q);
KILN_TEXELS(1, k);
KILN_TEXELS(2, v);
#else
KILN_IN(0, ELEMENTS, q);
KILN_IN(1, ELEMENTS, k);
KILN_IN(2, ELEMENTS, v);
#endif
KILN_IN_ANY(3, mask);
KILN_IN(4, int, numbers);
#ifdef GRAD
KILN_IN(5, ELEMENTS, dy);
KILN_IN(6, float, rows);
KILN_OUT(7, ELEMENTS, result);
#define OWN_IS_KEY (OF(KEY) || OF(VALUE))
#else
KILN_OUT(5, ELEMENTS, result);
KILN_OUT(6, float, lse);
#define OWN_IS_KEY false
#endif

/* Where things lie ---------------------------------------------------------------------------------------- */

/* Rows of an operand of one head: row i begins at first + i * step. */
struct span {
    uint first, step;
};

uint batch, head;                       /* n and h */
uint local_batch, local_head;           /* n counted from the operands' first batch; head of their first pair */
int length, offset;                     /* of the keys; of the diagonal */
span q_span, k_span, v_span, y_span;    /* y's is also dy's */

/* Head number `at` of an operand with `count` rows of `size`, or head h of `heads` within them. */
span span_of(uint at, uint h, uint heads, uint count, uint size)
{
    if (IS(ROWS_FIRST))
        return span(local_batch * count * heads * size + h * size, heads * size);
    return span(at * count * size, size);
}

/* Pair b and query head g of it. */
void go_to(uint b, uint g)
{
    const uint pair = p.first + b, kv_head = pair % p.kv_heads, heads = p.kv_heads * p.group;
    batch = pair / p.kv_heads;
    local_batch = batch - p.first / p.kv_heads;
    local_head = b * p.group + g;
    head = kv_head * p.group + g;
    const uint packed = IS(PACKED) ? heads + 2u * p.kv_heads : 0u;         /* heads within a row of q, k and v */
    const uint paired = IS(PACKED) ? packed : IS(PAIRED) ? 2u * p.kv_heads : p.kv_heads;
    const uint k_head = IS(PACKED) ? heads + kv_head : kv_head;
    const uint v_head = IS(PACKED) || IS(PAIRED) ? k_head + p.kv_heads : kv_head;
    q_span = span_of(local_head, head, IS(PACKED) ? packed : heads, p.queries, p.depth);
    y_span = span_of(local_head, head, heads, p.queries, p.width);
    k_span = span_of(b, k_head, paired, p.keys, p.depth);
    v_span = span_of(b, v_head, paired, p.keys, p.width);
    length = int(p.keys);
    if (IS(LENGTHS))
        length = clamp(numbers[p.lengths_at + batch], 0, length);
    offset = int(p.offset);
    if (p.offset_at != KILN_ATTENTION_NONE)
        offset = numbers[p.offset_at + batch * p.offset_step];
}

uint row_of(uint query) { return (batch * p.kv_heads * p.group + head) * p.queries + query; }

/* Of the axes, given that keys are those that any of the queries [from, to) sees, and the other way round. */
uint keys_end(uint query_to)
{
    return uint(IS(CAUSAL) ? clamp(int(query_to) + offset, 0, length) : length);
}
uint queries_begin(uint key_from)
{
    return uint(IS(CAUSAL) ? clamp(int(key_from) - offset, 0, int(p.queries)) : 0);
}

/* Where the others end that rows [from, to) need. */
uint others_end(uint from, uint to)
{
    if (OWN_IS_KEY)
        return int(from) < length ? p.queries : 0u;
#ifdef GRAD
    if (OF(SCORES))
        return p.keys;
#endif
    return keys_end(to);
}

/* Scores and weights -------------------------------------------------------------------------------------- */

/* By its bits: drivers may assume that there is no infinity. */
bool is_left_out(float a) { return floatBitsToUint(a) == 0xff800000u; }

bool is_seen(uint query, uint key)
{
    return query < p.queries && int(key) < length && !(IS(CAUSAL) && int(key) > int(query) + offset);
}

uint mask_at(uint query, uint key)
{
    return batch * p.mask_batch + head * p.mask_head + query * p.mask_row + key * p.mask_key;
}

/* s of the product, without the mask. */
float capped(float product)
{
    const float s = product * p.scale;
    return IS(CAPPED) ? p.cap * kiln_tanh(s / p.cap) : s;
}

/* a of s. */
float masked(float s, uint query, uint key)
{
    if (!is_seen(query, key))
        return KILN_MINUS_INFINITY;
    if (IS(BIASED))
        return s + uintBitsToFloat(KILN_LOAD(3, mask, mask_at(query, key)));
    if (IS(MASKED) && KILN_LOAD(3, mask, mask_at(query, key)) == 0u)
        return KILN_MINUS_INFINITY;
    return s;
}

/* Which of four neighbouring keys' probabilities are kept, and by what they grow. */
bool is_dropping() { return IS(DROPPED) && numbers[p.counter_at + 2u] != 0; }
float growth() { return is_dropping() ? p.keep : 1.0; }

bvec4 keeps_of(uint query, uint first_key)
{
    if (!is_dropping())
        return bvec4(true);
    const uvec4 draw = kiln_philox(uvec4(first_key / 4u, row_of(query), uint(numbers[p.counter_at + 1u]), p.stream),
                                   uvec2(uint(numbers[p.counter_at]), 0u));
    return greaterThanEqual(draw, uvec4(uint(numbers[p.counter_at + 2u])));
}

#ifdef GRAD

/*
 * The probability of (query, key) by their product; lse is the query's. Of QUERY and KEY with what is left of it behind the
 * cap, of VALUE with what is kept; else one that is dropped comes negative, for weight_of.
 */
float probability_of(float product, uint query, uint key, bool keeps, float lse)
{
    const float s = capped(product), a = masked(s, query, key);
    if (is_left_out(a) || is_left_out(lse))
        return 0.0;
    float x = kiln_exp(a - lse);
    if (OF(VALUE))
        return !IS(DROPPED) ? x : keeps ? x * growth() : 0.0;
    if (IS(CAPPED) && !OF(SCORES))
        x *= 1.0 - s / p.cap * (s / p.cap);
    return keeps ? x : -x;
}

/* The weight of a probability: pull is the product of dy and v, delta the query's. */
float weight_of(float probability, float pull, float delta)
{
    const float kept = !IS(DROPPED) ? 1.0 : kiln_is_negative(probability) ? 0.0 : growth();
    return abs(probability) * (kept * pull - delta);
}

#endif

#if !defined(TEXELS) && !defined(COOP)

/* The operands by their parts ------------------------------------------------------------------------------- */

#ifdef GRAD
float dy_at(uint i) { return float(dy[i]); }
#else
float dy_at(uint i) { return 0.0; }
#endif

/* Term of row `own` of the first (q or k) or second (dy or v) product. */
float own_term(bool second, uint own, uint term)
{
    if (OWN_IS_KEY)
        return second ? float(v[v_span.first + own * v_span.step + term]) : float(k[k_span.first + own * k_span.step + term]);
    return second ? dy_at(y_span.first + own * y_span.step + term) : float(q[q_span.first + own * q_span.step + term]);
}

float other_term(bool second, uint other, uint term)
{
    if (OWN_IS_KEY)
        return second ? dy_at(y_span.first + other * y_span.step + term) : float(q[q_span.first + other * q_span.step + term]);
    return second ? float(v[v_span.first + other * v_span.step + term]) : float(k[k_span.first + other * k_span.step + term]);
}

float x_term(uint other, uint column)
{
    if (OWN_IS_KEY)
        return OF(VALUE) ? dy_at(y_span.first + other * y_span.step + column)
                         : float(q[q_span.first + other * q_span.step + column]);
#ifdef GRAD
    return float(k[k_span.first + other * k_span.step + column]);
#else
    return float(v[v_span.first + other * v_span.step + column]);
#endif
}

#endif

#ifdef GRAD
#define COLUMNS_OF_X (OF(VALUE) ? p.width : p.depth)
#define HAS_SECOND   (!OF(VALUE))
#define FACTOR       (OF(VALUE) ? 1.0 : p.scale)
#else
#define COLUMNS_OF_X p.width
#define HAS_SECOND   false
#endif

/* Rows of the result. */
span result_span()
{
#ifdef GRAD
    if (OF(SCORES))
        return span(local_head * p.queries * p.keys, p.keys);
    return OF(QUERY) ? q_span : OF(KEY) ? k_span : v_span;
#else
    return y_span;
#endif
}
