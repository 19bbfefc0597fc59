/*
 * onnx_linear.c - what remembers its past in a state of one size: linear attention, and causal convolution.
 *
 * Linear attention keeps S, a matrix for each key head, and reads it with each query:
 *
 *   S[t] = decay[t] S[t - 1] + k[t] (x) u[t],   y[t] = scale q[t] S[t],   with one of
 *   u[t] = v[t]                                      linear, gated
 *   u[t] = beta[t] (v[t] - k[t] decay[t] S[t - 1])   delta, gated_delta
 *
 * It is a scan over the steps (kiln/control.h): one recorded body that the device repeats, with a gradient. All is computed in
 * F32 whatever the operands' type.
 */
#include <math.h>
#include <string.h>

#include <kiln/control.h>

#include "import/onnx.h"

/* Linear attention -------------------------------------------------------------------------------------- */

enum { QUERY, KEY, VALUE, STATE, DECAY, BETA };

struct linear {
    int64_t kv_heads, group, depth, width; /* group: queries that share a key head */
    double scale;
    bool gated, delta;
};

static bool take_rule(kiln_onnx_node *n, struct linear *l)
{
    const char *rule = kiln_onnx_text(n, "update_rule", "gated_delta");
    l->gated = !strcmp(rule, "gated") || !strcmp(rule, "gated_delta");
    l->delta = !strcmp(rule, "delta") || !strcmp(rule, "gated_delta");
    if (!l->gated && !l->delta && strcmp(rule, "linear"))
        kiln_onnx_refuse(n, "update_rule %s is none of linear, gated, delta, gated_delta", rule);
    else if (l->gated != kiln_onnx_has(n, DECAY) || l->delta != kiln_onnx_has(n, BETA))
        kiln_onnx_refuse(n, "update_rule %s: decay is %s and beta is %s", rule,
                         kiln_onnx_has(n, DECAY) ? "given" : "left out",
                         kiln_onnx_has(n, BETA) ? "given" : "left out");
    return !n->refused;
}

static bool take_linear(kiln_onnx_node *n, struct linear *l)
{
    const int64_t heads = kiln_onnx_int(n, "q_num_heads", 0), own = kiln_onnx_int(n, "kv_num_heads", 0);
    *l = (struct linear){.kv_heads = own, .scale = kiln_onnx_real(n, "scale", 0)};
    for (int i = QUERY; i <= BETA; i++)
        if (kiln_onnx_has(n, i) && kiln_onnx_spec(n, i).shape.rank != (i == STATE ? 4 : 3))
            kiln_onnx_refuse(n, "input %d has rank %d", i, kiln_onnx_spec(n, i).shape.rank);
    if (!n->refused && (own < 1 || heads < own || heads % own))
        kiln_onnx_refuse(n, "%lld heads of queries share %lld of keys", (long long)heads, (long long)own);
    if (n->refused)
        return false;
    const int64_t queries = kiln_onnx_spec(n, QUERY).shape.size[2],
                  keys = kiln_onnx_spec(n, KEY).shape.size[2],
                  values = kiln_onnx_spec(n, VALUE).shape.size[2];
    l->group = heads / own;
    l->depth = queries / heads;
    l->width = values / own;
    if (l->depth < 1 || l->width < 1 || queries % heads || values % own || keys != own * l->depth)
        kiln_onnx_refuse(n, "queries of %lld, keys of %lld and values of %lld in %lld and %lld heads",
                         (long long)queries, (long long)keys, (long long)values, (long long)heads,
                         (long long)own);
    if (l->scale == 0)
        l->scale = 1 / sqrt((double)(l->depth > 0 ? l->depth : 1));
    return !n->refused && take_rule(n, l);
}

/* Input i, [N, T, ..], as F32 [N, T, heads, rows, columns]. */
static kiln_tensor steps(kiln_onnx_node *n, int i, int64_t heads, int64_t rows, int64_t columns)
{
    const kiln_tensor x = kiln_cast(n->g, kiln_onnx_in(n, i), KILN_F32);
    return kiln_reshape(n->g, x, KILN_SHAPE(0, 0, heads, rows, columns));
}

/* exp(decay), for each row of the state or for all of a head's. */
static kiln_tensor decay(kiln_onnx_node *n, const struct linear *l)
{
    const int64_t given = kiln_onnx_spec(n, DECAY).shape.size[2];
    if (given != l->kv_heads && given != l->kv_heads * l->depth) {
        kiln_onnx_refuse(n, "decay has %lld numbers a step", (long long)given);
        return KILN_NONE;
    }
    return kiln_exp(n->g, steps(n, DECAY, l->kv_heads, given / l->kv_heads, 1));
}

static kiln_tensor beta(kiln_onnx_node *n, const struct linear *l)
{
    const int64_t given = kiln_onnx_spec(n, BETA).shape.size[2];
    if (given != l->kv_heads && given != 1) {
        kiln_onnx_refuse(n, "beta has %lld numbers a step", (long long)given);
        return KILN_NONE;
    }
    return steps(n, BETA, given, 1, 1);
}

static kiln_tensor first_state(kiln_onnx_node *n, const struct linear *l)
{
    const int64_t batch = kiln_onnx_spec(n, QUERY).shape.size[0];
    if (kiln_onnx_has(n, STATE))
        return kiln_cast(n->g, kiln_onnx_in(n, STATE), KILN_F32);
    return kiln_expand(n->g, kiln_scalar(n->g, KILN_F32, 0),
                       KILN_SHAPE(batch, l->kv_heads, l->depth, l->width));
}

/* A body's input for one step of x [N, T, ..]; x itself where it is no sequence. */
static kiln_tensor body_input(kiln_graph *body, const char *name, const kiln_graph *g, kiln_tensor x,
                              bool sequence)
{
    const kiln_shape whole = kiln_tensor_shape(g, x);
    kiln_shape shape = {.rank = sequence ? whole.rank - 1 : whole.rank, .size = {kiln_dim(body, "N")}};
    for (int i = 1; i < shape.rank; i++)
        shape.size[i] = whole.size[sequence ? i + 1 : i];
    return kiln_input(body, name, KILN_F32, shape);
}

/* One step: q [N, G, R, D], k [N, G, 1, D], v [N, G, 1, V], decay [N, G, D or 1, 1], beta [N, G or 1, 1, 1], S [N, G, D, V]. */
static void build_step(kiln_graph *b, const kiln_graph *g, const kiln_scan_params *p, const struct linear *l)
{
    static const char *const names[] = {"q", "k", "v", "gate0", "gate1"};
    kiln_tensor in[BETA + 1] = {KILN_NONE};
    int count = 0;
    for (; p->each[count].id; count++)
        in[count] = body_input(b, names[count], g, p->each[count], true);
    kiln_tensor s = body_input(b, "S", g, p->carry[0], false), u = in[VALUE];
    if (l->gated)
        s = kiln_mul(b, s, in[VALUE + 1]);
    if (l->delta)
        u = kiln_mul(b, in[count - 1], kiln_sub(b, u, kiln_matmul(b, in[KEY], s, NULL)));
    s = kiln_add(b, s, kiln_mul(b, kiln_move_axis(b, in[KEY], 2, 3), u));
    kiln_output(b, "y", kiln_matmul(b, in[QUERY], s, NULL));
    kiln_output(b, "S.next", s);
}

void kiln_onnx_build_linear_attention(kiln_onnx_node *n)
{
    struct linear l;
    kiln_graph *body = NULL;
    kiln_tensor out[2];
    if (!take_linear(n, &l))
        return;
    kiln_scan_params p = {.each = {steps(n, QUERY, l.kv_heads, l.group, l.depth),
                                   steps(n, KEY, l.kv_heads, 1, l.depth),
                                   steps(n, VALUE, l.kv_heads, 1, l.width)},
                          .carry = {first_state(n, &l)},
                          .axis = 1};
    int count = VALUE + 1;
    if (l.gated)
        p.each[count++] = decay(n, &l);
    if (l.delta)
        p.each[count++] = beta(n, &l);
    if (n->refused || kiln_graph_status(n->g) || kiln_graph_create(&body, NULL))
        return;
    build_step(body, n->g, &p, &l);
    kiln_scan(n->g, body, &p, out);
    kiln_graph_destroy(&body);
    const kiln_type type = kiln_onnx_spec(n, QUERY).type;
    const kiln_tensor y = kiln_reshape(n->g, kiln_scale(n->g, out[0], l.scale), KILN_SHAPE(0, 0, KILN_REST));
    kiln_onnx_out(n, 0, kiln_cast(n->g, y, type));
    kiln_onnx_out(n, 1,
                  kiln_cast(n->g, out[1], kiln_onnx_has(n, STATE) ? kiln_onnx_spec(n, STATE).type : type));
}

/* Causal convolution ------------------------------------------------------------------------------------ */

enum { X, FILTER, BIAS, PAST };

/* The last `count` places of an axis whose size may be a symbol; -0 would be the first place. */
static kiln_tensor last_places(kiln_graph *g, kiln_tensor x, int axis, int64_t count)
{
    return count ? kiln_slice(g, x, axis, -count, KILN_END, 1) : kiln_slice(g, x, axis, 0, 0, 1);
}

void kiln_onnx_build_causal_conv(kiln_onnx_node *n)
{
    const kiln_shape x = kiln_onnx_spec(n, X).shape, filter = kiln_onnx_spec(n, FILTER).shape;
    const char *activation = kiln_onnx_text(n, "activation", "none");
    const bool silu = !strcmp(activation, "silu") || !strcmp(activation, "swish");
    if (!silu && strcmp(activation, "none"))
        kiln_onnx_refuse(n, "activation %s is none of none, silu, swish", activation);
    if (x.rank != 3 || filter.rank != 3 || filter.size[2] < 1 || x.size[1] < 1 || filter.size[0] != x.size[1])
        kiln_onnx_refuse(n, "input of rank %d and weight of rank %d, wanted [N, C, L] and [C, 1, K]", x.rank,
                         filter.rank);
    if (n->refused)
        return;
    const int64_t past = filter.size[2] - 1, before[] = {0, 0, past}, none[] = {0, 0, 0};
    const kiln_tensor parts[] = {kiln_onnx_in(n, PAST), kiln_onnx_in(n, X)};
    const kiln_tensor whole =
        kiln_onnx_has(n, PAST) ? kiln_concat(n->g, parts, 2, 2) : kiln_pad(n->g, parts[1], before, none, 0);
    const kiln_conv_params params = {.groups = (int)x.size[1]};
    const kiln_tensor y = kiln_conv(n->g, whole, kiln_onnx_in(n, FILTER), kiln_onnx_in(n, BIAS), &params);
    kiln_onnx_out(n, 0, silu ? kiln_silu(n->g, y) : y);
    if (n->outputs > 1)
        kiln_onnx_out(n, 1, last_places(n->g, whole, 2, past));
}
