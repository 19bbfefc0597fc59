/*
 * onnx_save_match.c - groups of nodes that ONNX has one operator for.
 *
 *   add(conv(x, w), reshape(b))                                    Conv(x, w, b)
 *   add(matmul(x, w), b)                                           Gemm(x, w, b), of rank 2
 *   add(mul(x, up(a)), up(b - mean a)), a = scale rsqrt(v + e)     BatchNormalization(x, scale, b, mean, v)
 *   recurrent(..)                                                  RNN, LSTM, GRU (onnx_save_recurrent.c)
 *   what kiln_nms_by_class appends                                 NonMaxSuppression(boxes, scores, ..)
 *
 * A value within a group must have no reader outside of it. Graphs stay right without these; they read better, and what is
 * imported again can be trained like the original.
 */
#include <math.h>
#include <string.h>

#include "import/onnx_save.h"

/* The node of that operator that makes t; NULL if another one does. */
static const kiln_node *made_by(const struct kiln_onnx_writer *w, kiln_tensor t, const char *op)
{
    const kiln_node *n = kiln_node_of(w->g, t);
    return n && !strcmp(n->op->name, op) ? n : NULL;
}

static bool is_leaf(const struct kiln_onnx_writer *w, kiln_tensor t)
{
    return made_by(w, t, "parameter") || made_by(w, t, "state") || made_by(w, t, "constant");
}

static kiln_shape shape_of(const struct kiln_onnx_writer *w, kiln_tensor t)
{
    return kiln_tensor_spec(w->g, t).shape;
}

/* What was reshaped, if only by axes of size 1. */
static kiln_tensor below(const struct kiln_onnx_writer *w, kiln_tensor t)
{
    for (const kiln_node *n; (n = kiln_node_of(w->g, t));) {
        if (strcmp(n->op->name, "reshape") && strcmp(n->op->name, "unsqueeze"))
            break;
        t = n->in[0];
    }
    return t;
}

/* A vector [C] that lies along axis 1 of a tensor of that rank, as [C, 1, ..]; KILN_NONE if t is none. */
static kiln_tensor channels(const struct kiln_onnx_writer *w, kiln_tensor t, int rank)
{
    const kiln_shape wide = shape_of(w, t), narrow = shape_of(w, below(w, t));
    bool fits = wide.rank == rank - 1 && narrow.rank == 1 && wide.rank > 0 && wide.size[0] == narrow.size[0];
    for (int i = 1; fits && i < wide.rank; i++)
        fits = wide.size[i] == 1;
    return fits ? below(w, t) : KILN_NONE;
}

static bool match_bias(const struct kiln_onnx_writer *w, const kiln_node *n, struct kiln_onnx_match *m)
{
    const kiln_node *forward = made_by(w, n->in[0], "conv"), *product = made_by(w, n->in[0], "matmul");
    const kiln_node *conv = forward ? forward : made_by(w, n->in[0], "conv_transpose");
    const int rank = shape_of(w, n->in[0]).rank;
    if ((!conv && !product) || w->uses[n->in[0].id] != 1 || shape_of(w, n->out[0]).rank != rank)
        return false;
    kiln_tensor bias = n->in[1];
    if (conv)
        bias = channels(w, bias, rank);
    else if (rank != 2 || shape_of(w, product->in[0]).rank != 2 || shape_of(w, product->in[1]).rank != 2)
        return false;
    const kiln_shape vector = shape_of(w, bias);
    if (!bias.id || !is_leaf(w, bias) || vector.rank != 1 || vector.size[0] != shape_of(w, n->out[0]).size[1])
        return false;
    *m = (struct kiln_onnx_match){.kind = KILN_ONNX_BIAS, .main = conv ? conv : product, .inputs = 3};
    m->in[0] = m->main->in[0];
    m->in[1] = m->main->in[1];
    m->in[2] = bias;
    return true;
}

/* a = scale rsqrt(variance + epsilon) */
static bool match_gain(const struct kiln_onnx_writer *w, kiln_tensor a, struct kiln_onnx_match *m)
{
    const kiln_node *mul = made_by(w, a, "mul"), *rate = mul ? made_by(w, mul->in[1], "rsqrt") : NULL;
    const kiln_node *shift = rate ? made_by(w, rate->in[0], "shift") : NULL;
    if (!shift || !kiln_node_reals(shift, "term", &m->epsilon, 1))
        return false;
    m->in[1] = mul->in[0];
    m->in[4] = shift->in[0];
    return true;
}

static bool match_batch_norm(const struct kiln_onnx_writer *w, const kiln_node *n, struct kiln_onnx_match *m)
{
    const int rank = shape_of(w, n->out[0]).rank;
    const kiln_node *scaled = made_by(w, n->in[0], "mul");
    const kiln_tensor a = scaled ? channels(w, scaled->in[1], rank) : KILN_NONE,
                      b = channels(w, n->in[1], rank);
    const kiln_node *shifted = made_by(w, b, "sub"),
                    *pull = shifted ? made_by(w, shifted->in[1], "mul") : NULL;
    *m = (struct kiln_onnx_match){.kind = KILN_ONNX_BATCH_NORM, .inputs = 5};
    if (!a.id || !pull || pull->in[1].id != a.id || w->uses[n->in[0].id] != 1 || !match_gain(w, a, m))
        return false;
    m->in[0] = scaled->in[0];
    m->in[2] = shifted->in[0];
    m->in[3] = pull->in[0];
    bool leaves = shape_of(w, m->in[0]).rank == rank;
    for (int i = 1; i < 5; i++)
        leaves = leaves && is_leaf(w, m->in[i]);
    return leaves;
}

/* concat(slice(where), unsqueeze(gather_nd(nms, where))), where = non_zero(0 <= nms), nms of gathered boxes and sorted scores */
static bool match_nms(const struct kiln_onnx_writer *w, const kiln_node *n, struct kiln_onnx_match *m)
{
    const kiln_node *slice = made_by(w, n->in[0], "slice"), *column = made_by(w, n->in[1], "unsqueeze");
    const kiln_node *where = slice ? made_by(w, slice->in[0], "non_zero") : NULL;
    const kiln_node *picked = column ? made_by(w, column->in[0], "gather_nd") : NULL;
    const kiln_node *nms = picked ? made_by(w, picked->in[0], "nms") : NULL;
    const kiln_node *kept = where ? made_by(w, where->in[0], "less_equal") : NULL;
    if (!nms || !kept || picked->in[1].id != where->out[0].id || kept->in[1].id != nms->out[0].id)
        return false;
    const kiln_node *boxes = made_by(w, nms->in[0], "gather"), *sorted = made_by(w, nms->in[1], "sort");
    int64_t method = 1;
    kiln_node_integers(nms, "method", &method, 1);
    if (!boxes || !sorted || nms->in[2].id != sorted->out[1].id || boxes->in[1].id != sorted->out[1].id ||
        method || shape_of(w, boxes->in[0]).rank != 3 || shape_of(w, sorted->in[0]).rank != 3)
        return false;
    *m = (struct kiln_onnx_match){
        .kind = KILN_ONNX_NMS, .main = nms, .in = {boxes->in[0], sorted->in[0]}, .inputs = 2};
    return true;
}

/* ONNX's is of int64. */
static void write_nms(struct kiln_onnx_writer *w, const kiln_node *nms, const char *const *in,
                      const char *out)
{
    int64_t most = 0, centres = 0;
    double overlap = 0, score = 0;
    kiln_node_integers(nms, "most", &most, 1);
    kiln_node_integers(nms, "centres", &centres, 1);
    kiln_node_reals(nms, "overlap", &overlap, 1);
    kiln_node_reals(nms, "score", &score, 1);
    const char *all[] = {in[0], in[1], kiln_onnx_new_scalar(w, KILN_I64, most ? (double)most : INT32_MAX),
                         kiln_onnx_new_scalar(w, KILN_F32, overlap),
                         isinf(score) ? "" : kiln_onnx_new_scalar(w, KILN_F32, score)};
    const char *wide = kiln_onnx_new_name(w);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "NonMaxSuppression", wide, isinf(score) ? 4 : 5, all),
                      "center_point_box", centres);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Cast", out, 1, &wide), "to",
                      ONNX__TENSOR_PROTO__DATA_TYPE__INT32);
}

struct kiln_onnx_match kiln_onnx_match(const struct kiln_onnx_writer *w, const kiln_node *n)
{
    struct kiln_onnx_match m = {.kind = KILN_ONNX_ALONE};
    if (!strcmp(n->op->name, "add") && (match_bias(w, n, &m) || match_batch_norm(w, n, &m)))
        return m;
    if (!strcmp(n->op->name, "recurrent") && kiln_onnx_match_recurrent(w, n, &m))
        return m;
    if (!strcmp(n->op->name, "concat") && n->inputs == 2 && match_nms(w, n, &m))
        return m;
    return (struct kiln_onnx_match){.kind = KILN_ONNX_ALONE};
}

void kiln_onnx_write_match(struct kiln_onnx_writer *w, const kiln_node *n, const struct kiln_onnx_match *m)
{
    const char *in[8], *out = kiln_onnx_name(w, n->out[0]);
    for (int i = 0; i < m->inputs; i++)
        in[i] = kiln_onnx_name(w, m->in[i]);
    if (m->kind == KILN_ONNX_RECURRENT)
        kiln_onnx_write_recurrent(w, n, m);
    else if (m->kind == KILN_ONNX_BATCH_NORM)
        kiln_onnx_put_real(w, kiln_onnx_write(w, "BatchNormalization", out, 5, in), "epsilon", m->epsilon);
    else if (m->kind == KILN_ONNX_NMS)
        write_nms(w, m->main, in, out);
    else if (!strcmp(m->main->op->name, "matmul"))
        kiln_onnx_write_matmul(w, m->main, in[2], out);
    else
        kiln_onnx_write_conv(w, m->main, in[2], out);
}
