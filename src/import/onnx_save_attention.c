/*
 * onnx_save_attention.c - attention: one node where the opset has it (23), else the standard's pattern, step by step:
 *
 *   y = softmax(softcap(scale q k^T) + bias) v
 *
 * The bias is -infinity where a query does not see a key. A query that sees none gets 0, which the standard says, too;
 * a Softmax gives it NaN, so its row is taken out before, and made zeros behind. What drops probabilities is written step by step.
 */
#include <math.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

enum { Q, K, V, MASK, LENGTHS, OFFSET };

struct operands {
    int64_t heads, kv_heads, depth, width;
    int64_t keys;          /* -1: a symbol */
    int axis;              /* of the positions */
    bool rows;             /* the node's heads lie within rows ... */
    bool whole;            /* ... and these operands' too */
    const char *q, *k, *v; /* [N, heads, L, D], or [N, L, heads D] */
};

static const char *transposed(writer *w, const char *x, const int64_t order[4])
{
    const char *name = kiln_onnx_new_name(w);
    kiln_onnx_put_ints(w, kiln_onnx_write(w, "Transpose", name, IN(x)), "perm", order, 4);
    return name;
}

static const char *reshaped(writer *w, const char *x, const int64_t *shape, int rank)
{
    return kiln_onnx_step(w, "Reshape", IN(x, kiln_onnx_new_list(w, shape, rank)));
}

/* Input i with its heads as an axis. */
static const char *split(writer *w, const kiln_node *n, int i, int64_t heads, int64_t depth)
{
    const int64_t apart[] = {0, 0, heads, depth}, order[] = {0, 2, 1, 3};
    return transposed(w, reshaped(w, in(w, n, i), apart, 4), order);
}

/* Heads from `first` on. */
static const char *part(writer *w, const char *x, int64_t first, int64_t heads)
{
    const int64_t end = first + heads, axis = 1;
    return kiln_onnx_step(w, "Slice",
                          IN(x, kiln_onnx_new_list(w, &first, 1), kiln_onnx_new_list(w, &end, 1),
                             kiln_onnx_new_list(w, &axis, 1)));
}

static void split_rows(writer *w, const kiln_node *n, int64_t parts, struct operands *o)
{
    const int64_t own = o->heads, shared = o->kv_heads;
    const char *q = split(w, n, Q, parts == 1 ? own + 2 * shared : own, o->depth);
    const char *k = parts == 1 ? q : split(w, n, K, parts == 2 ? 2 * shared : shared, o->depth);
    const int64_t first = parts == 1 ? own : 0;
    o->q = parts == 1 ? part(w, q, 0, own) : q;
    o->k = parts < 3 ? part(w, k, first, shared) : k;
    o->v = parts < 3 ? part(w, k, first + shared, shared) : split(w, n, V, shared, o->width);
}

/* whole: three operands stay as they are, which a node of the standard takes. */
static struct operands operands_of(writer *w, const kiln_node *n, bool whole)
{
    const kiln_shape q = spec(w, n->in[Q]).shape, y = spec(w, n->out[0]).shape;
    const int64_t parts = integer(n, "operands");
    struct operands o = {.rows = q.rank == 3, .q = in(w, n, Q), .k = in(w, n, K), .v = in(w, n, V)};
    o.whole = whole && o.rows && parts == 3;
    o.axis = o.whole ? 1 : 2;
    o.heads = o.rows ? integer(n, "heads") : q.size[1];
    o.kv_heads = o.rows ? integer(n, "kv_heads") : spec(w, n->in[K]).shape.size[1];
    o.depth = o.rows ? q.size[2] / (parts == 1 ? o.heads + 2 * o.kv_heads : o.heads) : q.size[3];
    o.width = o.rows ? y.size[2] / o.heads : y.size[3];
    o.keys = parts == 1 ? q.size[1] : spec(w, n->in[K]).shape.size[o.rows ? 1 : 2];
    o.keys = o.keys < 0 ? -1 : o.keys;
    if (o.depth < 1 || o.width < 1 || o.heads < 1)
        kiln_onnx_writer_refuse(w, n, "its heads or their depth are no known sizes");
    if (o.rows && !o.whole)
        split_rows(w, n, parts, &o);
    return o;
}

/* What a query sees ------------------------------------------------------------------------------------- */

static const char *length_of(writer *w, const struct operands *o, const char *x)
{
    return kiln_onnx_step(w, "Gather",
                          IN(kiln_onnx_step(w, "Shape", IN(x)), kiln_onnx_new_scalar(w, KILN_I64, o->axis)));
}

static const char *places(writer *w, const char *length)
{
    return kiln_onnx_step(
        w, "Range", IN(kiln_onnx_new_scalar(w, KILN_I64, 0), length, kiln_onnx_new_scalar(w, KILN_I64, 1)));
}

/* An integer for all, or one a batch, as what broadcasts to the scores. */
static const char *by_batch(writer *w, const kiln_node *n, int i)
{
    const int64_t shape[] = {-1, 1, 1, 1};
    return reshaped(w, cast(w, in(w, n, i), NULL, KILN_I64), shape, 4);
}

static const char *both(writer *w, const char *a, const char *b)
{
    return !a ? b : !b ? a : kiln_onnx_step(w, "And", IN(a, b));
}

/* j <= i + offset */
static const char *causal(writer *w, const kiln_node *n, const struct operands *o)
{
    const int64_t column[] = {-1, 1};
    const char *queries = length_of(w, o, o->q), *keys = length_of(w, o, o->k);
    const char *i = reshaped(w, places(w, queries), column, 2);
    if (integer(n, "last"))
        i = kiln_onnx_step(w, "Add", IN(i, kiln_onnx_step(w, "Sub", IN(keys, queries))));
    else if (n->in[OFFSET].id)
        i = kiln_onnx_step(w, "Add", IN(i, by_batch(w, n, OFFSET)));
    return kiln_onnx_step(w, "LessOrEqual", IN(places(w, keys), i));
}

/* Where keys are seen, by all but a real mask; NULL: everywhere. */
static const char *seen_of(writer *w, const kiln_node *n, const struct operands *o, bool is_causal)
{
    const char *seen = is_causal ? causal(w, n, o) : NULL;
    if (n->in[LENGTHS].id)
        seen = both(w, seen,
                    kiln_onnx_step(w, "Less", IN(places(w, length_of(w, o, o->k)), by_batch(w, n, LENGTHS))));
    if (n->in[MASK].id && spec(w, n->in[MASK]).type == KILN_BOOL)
        seen = both(w, seen, in(w, n, MASK));
    return seen;
}

/* What is added to the scores, of q's type, for what is seen and a mask; NULL: nothing. */
static const char *bias_of(writer *w, const kiln_node *n, const char *seen)
{
    const kiln_type type = spec(w, n->in[Q]).type, mask = spec(w, n->in[MASK]).type;
    const bool real = n->in[MASK].id && mask != KILN_BOOL;
    const char *bias = !real ? NULL : mask == type ? in(w, n, MASK) : cast(w, in(w, n, MASK), NULL, type);
    if (!seen)
        return bias;
    return kiln_onnx_step(w, "Where", IN(seen, bias ? bias : scalar(w, n, 0), scalar(w, n, -INFINITY)));
}

/* Step by step ------------------------------------------------------------------------------------------ */

/* Each of k's or v's heads as often as queries share it. */
static const char *shared(writer *w, const struct operands *o, const char *x, int64_t width)
{
    const int64_t axis = 2, times[] = {1, 1, o->heads / o->kv_heads, 1, 1},
                  joined[] = {0, o->heads, o->keys, width};
    if (o->heads == o->kv_heads)
        return x;
    const char *apart = kiln_onnx_step(w, "Unsqueeze", IN(x, kiln_onnx_new_list(w, &axis, 1)));
    return reshaped(w, kiln_onnx_step(w, "Expand", IN(apart, kiln_onnx_new_list(w, times, 5))), joined, 4);
}

static double scale_of(const kiln_node *n, const struct operands *o)
{
    const double given = number(n, "scale");
    return given ? given : 1 / sqrt((double)(o->depth > 0 ? o->depth : 1));
}

static const char *scores_of(writer *w, const kiln_node *n, const struct operands *o)
{
    const int64_t turned[] = {0, 1, 3, 2};
    const double cap = number(n, "softcap");
    const char *k = transposed(w, shared(w, o, o->k, o->depth), turned);
    const char *q = kiln_onnx_step(w, "Mul", IN(o->q, scalar(w, n, scale_of(n, o))));
    const char *y = kiln_onnx_step(w, "MatMul", IN(q, k));
    if (!cap)
        return y;
    const char *limit = scalar(w, n, cap);
    const char *squashed = kiln_onnx_step(w, "Tanh", IN(kiln_onnx_step(w, "Div", IN(y, limit))));
    return kiln_onnx_step(w, "Mul", IN(squashed, limit));
}

/* Whether there is a key at all that a query sees, of a bias. */
static const char *sees(writer *w, const kiln_node *n, const char *bias)
{
    const int64_t last = -1;
    const char *most = kiln_onnx_new_name(w);
    Onnx__NodeProto *o =
        w->opset < 18 ? kiln_onnx_write(w, "ReduceMax", most, IN(bias))
                      : kiln_onnx_write(w, "ReduceMax", most, IN(bias, kiln_onnx_new_list(w, &last, 1)));
    if (w->opset < 18)
        kiln_onnx_put_ints(w, o, "axes", &last, 1);
    kiln_onnx_put_int(w, o, "keepdims", 1);
    return kiln_onnx_step(w, "Greater", IN(most, scalar(w, n, -INFINITY)));
}

static const char *softmax(writer *w, const char *scores)
{
    const char *p = kiln_onnx_new_name(w);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Softmax", p, IN(scores)), "axis", -1);
    return p;
}

/* The name of what has y's heads as an axis: y itself, or what write_joined makes y of. */
static const char *result_name(writer *w, const kiln_node *n, const struct operands *o)
{
    return o->rows && !o->whole ? kiln_onnx_new_name(w) : out(w, n);
}

static void write_joined(writer *w, const kiln_node *n, const struct operands *o, const char *y)
{
    const int64_t order[] = {0, 2, 1, 3}, joined[] = {0, 0, o->heads * o->width};
    if (o->rows && !o->whole)
        kiln_onnx_write(w, "Reshape", out(w, n),
                        IN(transposed(w, y, order), kiln_onnx_new_list(w, joined, 3)));
}

static const char *dropped(writer *w, const kiln_node *n, const char *p)
{
    const char *kept = kiln_onnx_new_name(w), *rate = kiln_onnx_new_scalar(w, KILN_F32, number(n, "dropout"));
    kiln_onnx_put_output(
        w, kiln_onnx_write(w, "Dropout", kept, IN(p, rate, kiln_onnx_new_scalar(w, KILN_BOOL, 1))),
        kiln_onnx_kept_name(w, n));
    return kept;
}

static void write_steps(writer *w, const kiln_node *n)
{
    const struct operands o = operands_of(w, n, false);
    const char *bias = bias_of(w, n, seen_of(w, n, &o, integer(n, "causal"))), *scores = scores_of(w, n, &o);
    const char *zero = scalar(w, n, 0), *any = bias ? sees(w, n, bias) : NULL;
    if (bias)
        scores = kiln_onnx_step(w, "Where", IN(any, kiln_onnx_step(w, "Add", IN(scores, bias)), zero));
    const char *p = softmax(w, scores);
    if (bias)
        p = kiln_onnx_step(w, "Where", IN(any, p, zero));
    p = w->train && number(n, "dropout") != 0 ? dropped(w, n, p) : p;
    const char *y = result_name(w, n, &o);
    kiln_onnx_write(w, "MatMul", y, IN(p, shared(w, &o, o.v, o.width)));
    write_joined(w, n, &o, y);
}

/* One node ---------------------------------------------------------------------------------------------- */

/* Its own causal mask counts from the first key; where queries stand elsewhere, a mask says so. */
static void write_whole(writer *w, const kiln_node *n)
{
    const struct operands o = operands_of(w, n, true);
    const bool own = integer(n, "causal") && !integer(n, "last") && !n->in[OFFSET].id && !n->in[LENGTHS].id;
    const bool real = n->in[MASK].id && spec(w, n->in[MASK]).type != KILN_BOOL;
    const char *seen = seen_of(w, n, &o, integer(n, "causal") && !own);
    const char *mask = real ? bias_of(w, n, seen) : seen;
    const char *inputs[] = {o.q, o.k, o.v, mask};
    const char *y = result_name(w, n, &o);
    Onnx__NodeProto *node = kiln_onnx_write(w, "Attention", y, mask ? 4 : 3, inputs);
    kiln_onnx_put_int(w, node, "is_causal", own);
    kiln_onnx_put_real(w, node, "scale", scale_of(n, &o));
    kiln_onnx_put_real(w, node, "softcap", number(n, "softcap"));
    if (o.whole) {
        kiln_onnx_put_int(w, node, "q_num_heads", o.heads);
        kiln_onnx_put_int(w, node, "kv_num_heads", o.kv_heads);
    }
    write_joined(w, n, &o, y);
}

static void write_attention(writer *w, const kiln_node *n, const row *r)
{
    (void)r;
    if (w->needed[n->out[1].id])
        kiln_onnx_writer_refuse(w, n, "ONNX gives no sums of exponentials");
    else if (w->opset >= 23 && !(w->train && number(n, "dropout") != 0))
        write_whole(w, n);
    else
        write_steps(w, n);
}

const row kiln_onnx_writer_attention[] = {
    {"attention", NULL, write_attention, 1 << Q | 1 << K | 1 << V | 1 << MASK | 1 << LENGTHS | 1 << OFFSET},
    {0},
};
