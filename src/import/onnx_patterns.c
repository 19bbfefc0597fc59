/*
 * onnx_patterns.c - what exporters write in pieces, as the one operator that it is: fewer kernels, less memory, and one gradient.
 *
 *   softmax(factor q k^T + mask) v                                 attention
 *   (x - mean) / sqrt(variance + epsilon) * scale + bias           layer normalization
 *   x (1 + erf(x / sqrt 2)) / 2                                    gelu
 *
 * A query whose scores are all -infinity gets 0 from attention, where the pieces would give NaN.
 *
 * A pattern is recognized when its last node is read, by what the graph says of that node's operands. The pieces stay where
 * they are: what nobody else reads is never computed. Where anything is unlike the pattern the node is what it says.
 */
#include <math.h>
#include <string.h>

#include <kiln/attention.h>
#include <kiln/norm.h>

#include "base/half.h"
#include "import/onnx.h"

/* Reading back ------------------------------------------------------------------------------------------- */

/* The node of that operator that makes t; NULL if another one does. */
static const kiln_node *made_by(const kiln_graph *g, kiln_tensor t, const char *op)
{
    const kiln_node *n = t.id ? kiln_node_of(g, t) : NULL;
    return n && !strcmp(n->op->name, op) ? n : NULL;
}

/* Whether t is a constant of one real, and which. */
static bool number_of(const kiln_graph *g, kiln_tensor t, double *value)
{
    const kiln_spec spec = kiln_tensor_spec(g, t);
    float single;
    uint16_t half;
    void *const to = spec.type == KILN_F32 ? (void *)&single : spec.type == KILN_F16 ? (void *)&half : value;
    const bool known = spec.type == KILN_F32 || spec.type == KILN_F16 || spec.type == KILN_F64;
    if (!known || !made_by(g, t, "constant") || kiln_shape_count(&spec.shape) != 1 ||
        kiln_constant_read(g, t, &(kiln_array){.data = to, .bytes = kiln_type_size(spec.type)}))
        return false;
    if (spec.type != KILN_F64)
        *value = spec.type == KILN_F32 ? (double)single : (double)kiln_half_to(half);
    return true;
}

static bool is_number(const kiln_graph *g, kiln_tensor t, double wanted)
{
    double value;
    const double within = kiln_tensor_type(g, t) == KILN_F16 ? 1e-3 : 1e-6; /* as the type has it */
    return number_of(g, t, &value) && fabs(value - wanted) <= within * fabs(wanted);
}

static bool same_spec(const kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    const kiln_spec x = kiln_tensor_spec(g, a), y = kiln_tensor_spec(g, b);
    return x.type == y.type && kiln_shape_equal(&x.shape, &y.shape);
}

/* Whether a size depends on data, along which operators of pieces may go and the whole one does not. */
static bool is_counted(const kiln_graph *g, kiln_tensor t)
{
    const kiln_shape shape = kiln_tensor_shape(g, t);
    bool counted = false;
    for (int i = 0; i < shape.rank; i++)
        counted |= kiln_dim_is_counted(g, shape.size[i]);
    return counted;
}

/* What is left of t without factors that are numbers; these are multiplied to *factor. */
static kiln_tensor without_factors(const kiln_graph *g, kiln_tensor t, double *factor)
{
    for (;;) {
        const kiln_node *mul = made_by(g, t, "mul"), *div = made_by(g, t, "div"), *n = mul ? mul : div;
        double number;
        const int from = n && number_of(g, n->in[1], &number)     ? 0
                         : mul && number_of(g, n->in[0], &number) ? 1
                                                                  : -1;
        if (from < 0 || !same_spec(g, n->in[from], t))
            return t;
        *factor = mul ? *factor * number : *factor / number;
        t = n->in[from];
    }
}

/* Attention ---------------------------------------------------------------------------------------------- */

/* k of k^T, whose last two axes are turned: without a transposition where that was one. */
static kiln_tensor turned_back(kiln_graph *g, kiln_tensor t)
{
    const kiln_node *turn = made_by(g, t, "transpose");
    const int rank = kiln_tensor_shape(g, t).rank;
    int64_t order[KILN_MAX_RANK] = {0};
    int back[KILN_MAX_RANK];
    bool same = true;
    if (turn)
        kiln_node_integers(turn, "order", order, KILN_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        const int at = i < rank - 2 ? i : 2 * rank - 3 - i;
        back[i] = turn ? (int)(order[at] < 0 ? order[at] + rank : order[at]) : at;
        same &= back[i] == i;
    }
    return same ? turn->in[0] : kiln_transpose(g, turn ? turn->in[0] : t, back);
}

/* Scores, as far as they are recognized: factor q k^T + mask. */
struct scores {
    kiln_tensor q, turned, mask; /* turned: k^T */
    double factor;
};

static bool find_product(const kiln_graph *g, kiln_tensor t, struct scores *s)
{
    s->factor = 1;
    const kiln_node *n = made_by(g, without_factors(g, t, &s->factor), "matmul");
    int64_t turned[2] = {0};
    if (!n)
        return false;
    kiln_node_integers(n, "transpose_a", &turned[0], 1);
    kiln_node_integers(n, "transpose_b", &turned[1], 1);
    s->q = without_factors(g, n->in[0], &s->factor);
    s->turned = without_factors(g, n->in[1], &s->factor);
    return !turned[0] && !turned[1] && isfinite(s->factor) && s->factor != 0; /* 0 would mean the default */
}

static bool find_scores(const kiln_graph *g, kiln_tensor t, struct scores *s)
{
    const kiln_node *sum = made_by(g, t, "add");
    for (int i = 0; sum && i < 2; i++)
        if (same_spec(g, sum->in[i], t) && find_product(g, sum->in[i], s)) {
            s->mask = sum->in[1 - i];
            return true;
        }
    s->mask = KILN_NONE;
    return find_product(g, t, s);
}

/* Whether q [.., L, D], k^T [.., D, S] and v [.., S, V] are alike in all other axes and no size depends on data. */
static bool operands_fit(const kiln_graph *g, const struct scores *s, kiln_tensor v)
{
    const kiln_shape a = kiln_tensor_shape(g, s->q), b = kiln_tensor_shape(g, s->turned),
                     c = kiln_tensor_shape(g, v);
    const int rank = a.rank;
    if ((rank != 3 && rank != 4) || b.rank != rank || c.rank != rank)
        return false;
    bool fit = b.size[rank - 1] == c.size[rank - 2] && a.size[rank - 1] == b.size[rank - 2] &&
               a.size[rank - 1] > 0 && c.size[rank - 1] > 0 && (rank == 3 || a.size[1] > 0);
    for (int i = 0; i < rank - 2; i++)
        fit &= a.size[i] == b.size[i] && a.size[i] == c.size[i];
    const kiln_type type = kiln_tensor_type(g, v);
    return fit && !is_counted(g, s->q) && !is_counted(g, s->turned) && kiln_tensor_type(g, s->q) == type &&
           kiln_tensor_type(g, s->turned) == type;
}

/* p of where(p is no number, 0, p), which is how PyTorch lets a query that sees no key get 0; else t. */
static kiln_tensor unguarded(const kiln_graph *g, kiln_tensor t)
{
    const kiln_node *where = made_by(g, t, "where"), *nan = where ? made_by(g, where->in[0], "is_nan") : NULL;
    double other = 1;
    const bool guards =
        nan && nan->in[0].id == where->in[2].id && number_of(g, where->in[1], &other) && other == 0;
    return guards ? where->in[2] : t;
}

kiln_tensor kiln_onnx_find_attention(kiln_graph *g, kiln_tensor p, kiln_tensor v)
{
    p = unguarded(g, p);
    const kiln_node *softmax = made_by(g, p, "softmax");
    const int rank = kiln_tensor_shape(g, p).rank;
    int64_t axis = -1;
    struct scores s;
    if (!softmax || kiln_node_integers(softmax, "axis", &axis, 1) != 1 || axis != rank - 1 ||
        !find_scores(g, softmax->in[0], &s) || !operands_fit(g, &s, v))
        return KILN_NONE;
    if (s.mask.id && rank == 3 && kiln_tensor_shape(g, s.mask).rank == 3) /* [N, L, S], of one head */
        s.mask = kiln_unsqueeze(g, s.mask, 1);
    return kiln_attention(g, s.q, turned_back(g, s.turned), v,
                          &(kiln_attention_params){.heads = 1, .scale = s.factor, .mask = s.mask});
}

/* Layer normalization ------------------------------------------------------------------------------------ */

/* The axes of a mean of x that keeps them, as bits; 0 if t is none. */
static uint32_t mean_axes(const kiln_graph *g, kiln_tensor t, kiln_tensor x)
{
    const kiln_node *n = made_by(g, t, "mean");
    int64_t axes = 0, keep = 0;
    if (!n || n->in[0].id != x.id)
        return 0;
    kiln_node_integers(n, "axes", &axes, 1);
    kiln_node_integers(n, "keep", &keep, 1);
    return keep ? (uint32_t)axes : 0;
}

static bool is_square(const kiln_graph *g, kiln_tensor t, kiln_tensor x)
{
    const kiln_node *pow = made_by(g, t, "pow"), *mul = made_by(g, t, "mul");
    return (pow && pow->in[0].id == x.id && is_number(g, pow->in[1], 2)) ||
           (mul && mul->in[0].id == x.id && mul->in[1].id == x.id);
}

/* x of (x - mean) / sqrt(variance + epsilon), over which axes, and epsilon. */
static kiln_tensor find_normalized(const kiln_graph *g, kiln_tensor t, uint32_t *axes, double *epsilon)
{
    const kiln_node *div = made_by(g, t, "div"), *root = div ? made_by(g, div->in[1], "sqrt") : NULL;
    const kiln_node *sum = root ? made_by(g, root->in[0], "add") : NULL,
                    *less = div ? made_by(g, div->in[0], "sub") : NULL;
    const int number = sum && number_of(g, sum->in[1], epsilon)   ? 1
                       : sum && number_of(g, sum->in[0], epsilon) ? 0
                                                                  : -1;
    if (!less || number < 0 || *epsilon <= 0)
        return KILN_NONE;
    const kiln_node *variance = made_by(g, sum->in[1 - number], "mean");
    if (!variance || !is_square(g, variance->in[0], less->out[0]))
        return KILN_NONE;
    *axes = mean_axes(g, less->in[1], less->in[0]);
    return *axes && *axes == mean_axes(g, variance->out[0], variance->in[0]) ? less->in[0] : KILN_NONE;
}

/* The first of the axes if they are x's last ones; -1 if they are others. */
static int first_axis(uint32_t axes, int rank)
{
    int first = rank;
    while (first > 0 && axes >> (first - 1) & 1)
        first--;
    return first < rank && axes == (UINT32_C(1) << rank) - (UINT32_C(1) << first) ? first : -1;
}

/* Whether t lies over x's axes from `first` on, and makes no more of x. */
static bool lies_over(const kiln_graph *g, kiln_tensor t, kiln_tensor x, int first)
{
    const kiln_spec own = kiln_tensor_spec(g, t), whole = kiln_tensor_spec(g, x);
    kiln_shape both;
    return own.type == whole.type && own.shape.rank <= whole.shape.rank - first &&
           kiln_shape_broadcast(&own.shape, &whole.shape, &both) && kiln_shape_equal(&both, &whole.shape);
}

kiln_tensor kiln_onnx_find_layer_norm(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    for (int side = 0; side < 2; side++) {
        const kiln_tensor scaled = side ? b : a, bias = side ? a : b;
        const kiln_node *mul = made_by(g, scaled, "mul");
        for (int i = 0; mul && i < 2; i++) {
            uint32_t axes = 0;
            double epsilon = 0;
            const kiln_tensor x = find_normalized(g, mul->in[i], &axes, &epsilon), scale = mul->in[1 - i];
            const int first = x.id ? first_axis(axes, kiln_tensor_shape(g, x).rank) : -1;
            if (first < 0 || is_counted(g, x) || !lies_over(g, scale, x, first) ||
                !lies_over(g, bias, x, first))
                continue;
            return kiln_layer_norm(g, x, first, scale, bias, epsilon);
        }
    }
    return KILN_NONE;
}

/* Gelu --------------------------------------------------------------------------------------------------- */

/* x of 1 + erf(x / sqrt 2). */
static kiln_tensor find_twice_normal(const kiln_graph *g, kiln_tensor t)
{
    const kiln_node *sum = made_by(g, t, "add");
    for (int i = 0; sum && i < 2; i++) {
        const kiln_node *erf = made_by(g, sum->in[i], "erf");
        double factor = 1;
        if (!erf || !is_number(g, sum->in[1 - i], 1))
            continue;
        const kiln_tensor x = without_factors(g, erf->in[0], &factor);
        if (fabs(factor * sqrt(2) - 1) <= (kiln_tensor_type(g, x) == KILN_F16 ? 1e-3 : 1e-6))
            return x;
    }
    return KILN_NONE;
}

/* The factors of a product of products. */
static int factors_of(const kiln_graph *g, const kiln_tensor side[2], kiln_tensor out[4])
{
    int count = 0;
    for (int i = 0; i < 2; i++) {
        const kiln_node *mul = made_by(g, side[i], "mul"), *div = made_by(g, side[i], "div");
        const bool halved = div && is_number(g, div->in[1], 2) && same_spec(g, div->in[0], side[i]);
        if (mul)
            out[count++] = mul->in[0], out[count++] = mul->in[1];
        else
            out[count++] = halved ? div->in[0] : side[i];
        if (halved)
            out[count++] = KILN_NONE; /* one half */
    }
    return count;
}

kiln_tensor kiln_onnx_find_gelu(kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    kiln_tensor factor[4];
    const int count = factors_of(g, (const kiln_tensor[]){a, b}, factor);
    for (int i = 0; count == 3 && i < 3; i++) {
        const kiln_tensor x = factor[i].id ? find_twice_normal(g, factor[i]) : KILN_NONE;
        for (int k = 0; x.id && k < 3; k++) {
            if (k == i || factor[k].id != x.id || !same_spec(g, x, factor[i]))
                continue;
            const kiln_tensor half = factor[3 - i - k];
            const bool wider = kiln_tensor_shape(g, half).rank > kiln_tensor_shape(g, x).rank;
            if (!half.id || (is_number(g, half, 0.5) && !wider))
                return kiln_gelu(g, x);
        }
    }
    return KILN_NONE;
}
