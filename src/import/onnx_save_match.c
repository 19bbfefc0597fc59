/*
 * onnx_save_match.c - groups of nodes that ONNX has one operator for.
 *
 *   add(conv(x, w), reshape(b))                                    Conv(x, w, b)
 *   add(matmul(x, w), b)                                           Gemm(x, w, b), of rank 2
 *   add(mul(x, up(a)), up(b - mean a)), a = scale rsqrt(v + e)     BatchNormalization(x, scale, b, mean, v)
 *   recurrent(..)                                                  RNN, LSTM, GRU (onnx_save_recurrent.c)
 *   what kiln_nms_by_class appends                                 NonMaxSuppression(boxes, scores, ..)
 *   gather(x, what onnx_counted.c computes of places)              Slice(x, first, end, axis)
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

/* Slices between places that a run computes ----------------------------------------------------------------- */

static bool is_number(const struct kiln_onnx_writer *w, kiln_tensor t, int64_t wanted)
{
    int32_t value = 0;
    const kiln_spec spec = kiln_tensor_spec(w->g, t);
    return made_by(w, t, "constant") && spec.type == KILN_I32 && kiln_shape_count(&spec.shape) == 1 &&
           !kiln_constant_read(w->g, t, &(kiln_array){.data = &value, .bytes = sizeof value}) &&
           value == wanted;
}

static bool is_size_of(const struct kiln_onnx_writer *w, kiln_tensor t, kiln_tensor x, int64_t axis)
{
    const int64_t size = shape_of(w, x).size[axis];
    const kiln_node *cast = made_by(w, t, "cast_integer"),
                    *count = cast ? made_by(w, cast->in[0], "count_of") : NULL;
    int64_t axes = 0;
    if (size >= 0)
        return is_number(w, t, size);
    return count && count->in[0].id == x.id && kiln_node_integers(count, "axes", &axes, 1) &&
           axes == (int64_t)1 << axis;
}

/* p of where(p < 0, p + size, p), before it was cast to 32 bits; KILN_NONE if t is none. */
static kiln_tensor counted_from_the_end(const struct kiln_onnx_writer *w, kiln_tensor t, kiln_tensor x,
                                        int64_t axis)
{
    const kiln_node *where = made_by(w, t, "where"), *less = where ? made_by(w, where->in[0], "less") : NULL,
                    *add = where ? made_by(w, where->in[1], "add") : NULL;
    const bool matches = less && add && less->in[0].id == where->in[2].id && is_number(w, less->in[1], 0) &&
                         add->in[0].id == where->in[2].id && is_size_of(w, add->in[1], x, axis);
    if (!matches)
        return KILN_NONE;
    const kiln_node *cast = made_by(w, where->in[2], "cast_integer");
    return cast && kiln_tensor_spec(w->g, cast->in[0]).type == KILN_I64 ? cast->in[0] : where->in[2];
}

/* The place of a slice that becomes t = min(max(place, 0), size): it may be counted from the end, else t serves. KILN_NONE: t is none. */
static kiln_tensor place_of(const struct kiln_onnx_writer *w, kiln_tensor t, kiln_tensor x, int64_t axis)
{
    const kiln_node *within = made_by(w, t, "min"), *least = within ? made_by(w, within->in[0], "max") : NULL;
    if (!least || !is_number(w, least->in[1], 0) || !is_size_of(w, within->in[1], x, axis))
        return KILN_NONE;
    const kiln_tensor place = counted_from_the_end(w, least->in[0], x, axis);
    return place.id ? place : t;
}

/* The last place: max(size - 1, 0). */
static bool is_last_of(const struct kiln_onnx_writer *w, kiln_tensor t, kiln_tensor x, int64_t axis)
{
    const kiln_node *least = made_by(w, t, "max"), *sub = least ? made_by(w, least->in[0], "sub") : NULL;
    return sub && is_number(w, least->in[1], 0) && is_number(w, sub->in[1], 1) &&
           is_size_of(w, sub->in[0], x, axis);
}

/* x at min(0 .. count + first, last), count = max(end - first, 0). */
static bool match_slice(const struct kiln_onnx_writer *w, const kiln_node *n, struct kiln_onnx_match *m)
{
    const kiln_tensor x = n->in[0];
    const kiln_node *index = made_by(w, n->in[1], "min"),
                    *add = index ? made_by(w, index->in[0], "add") : NULL,
                    *places = add ? made_by(w, add->in[0], "sequence") : NULL;
    int64_t batch = 1;
    kiln_dim_parts size = {0};
    kiln_node_integers(n, "axis", &m->axis, 1);
    kiln_node_integers(n, "batch", &batch, 1);
    if (!places || batch || !is_last_of(w, index->in[1], x, m->axis) ||
        !kiln_dim_read(w->g, shape_of(w, places->out[0]).size[0], &size) || size.op != KILN_DIM_BOUNDED)
        return false;
    const kiln_node *count = made_by(w, size.count, "max"),
                    *sub = count ? made_by(w, count->in[0], "sub") : NULL;
    double start = 1, delta = 0;
    kiln_node_reals(places, "start", &start, 1);
    kiln_node_reals(places, "delta", &delta, 1);
    if (!sub || sub->in[1].id != add->in[1].id || !is_number(w, count->in[1], 0) || start != 0 || delta != 1)
        return false;
    m->kind = KILN_ONNX_SLICE;
    m->inputs = 3;
    m->in[0] = x;
    m->in[1] = place_of(w, sub->in[1], x, m->axis);
    m->in[2] = place_of(w, sub->in[0], x, m->axis);
    return m->in[1].id && m->in[2].id;
}

/* Places are a list of one; their type is that of `axes`. */
static void write_slice(struct kiln_onnx_writer *w, const struct kiln_onnx_match *m, const char *const *in,
                        const char *out)
{
    const int64_t one = 1;
    const char *all[4] = {in[0], NULL, NULL, kiln_onnx_new_list(w, &m->axis, 1)};
    for (int i = 1; i < 3; i++) {
        const char *place[] = {in[i], kiln_onnx_new_list(w, &one, 1)};
        if (kiln_tensor_spec(w->g, m->in[i]).type != KILN_I64) {
            place[0] = kiln_onnx_new_name(w);
            kiln_onnx_put_int(w, kiln_onnx_write(w, "Cast", place[0], 1, &in[i]), "to",
                              ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
        }
        all[i] = kiln_onnx_step(w, "Reshape", 2, place);
    }
    kiln_onnx_write(w, "Slice", out, 4, all);
}

/* All groups ------------------------------------------------------------------------------------------------- */

struct kiln_onnx_match kiln_onnx_match(const struct kiln_onnx_writer *w, const kiln_node *n)
{
    struct kiln_onnx_match m = {.kind = KILN_ONNX_ALONE};
    if (!strcmp(n->op->name, "add") && (match_bias(w, n, &m) || match_batch_norm(w, n, &m)))
        return m;
    if (!strcmp(n->op->name, "recurrent") && kiln_onnx_match_recurrent(w, n, &m))
        return m;
    if (!strcmp(n->op->name, "concat") && n->inputs == 2 && match_nms(w, n, &m))
        return m;
    if (!strcmp(n->op->name, "gather") && match_slice(w, n, &m))
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
    else if (m->kind == KILN_ONNX_SLICE)
        write_slice(w, m, in, out);
    else if (!strcmp(m->main->op->name, "matmul"))
        kiln_onnx_write_matmul(w, m->main, in[2], out);
    else
        kiln_onnx_write_conv(w, m->main, in[2], out);
}
