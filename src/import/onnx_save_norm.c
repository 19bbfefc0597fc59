/* onnx_save_norm.c - normalization, probabilities and positions. */
#include "import/onnx_save_row.h"

static bool is_needed(writer *w, const kiln_node *n, int k)
{
    return w->needed[n->out[k].id];
}

/* A scale or bias that is left out: ones or zeros of that shape, which must be known. */
static const char *constant(writer *w, const kiln_node *n, const kiln_shape *shape, double value)
{
    if (kiln_shape_count(shape) < 0)
        kiln_onnx_writer_refuse(w, n, "neither scale nor known sizes");
    return kiln_onnx_step(w, "Expand",
                          IN(kiln_onnx_new_scalar(w, spec(w, n->in[0]).type, value),
                             kiln_onnx_new_list(w, shape->size, shape->rank)));
}

static const char *scale(writer *w, const kiln_node *n, const kiln_shape *shape)
{
    return n->in[1].id ? in(w, n, 1) : constant(w, n, shape, 1);
}

static void write_rows(writer *w, const kiln_node *n, const row *r)
{
    const int64_t axis = integer(n, "axis");
    const kiln_shape x = spec(w, n->in[0]).shape, tail = kiln_shape_of(x.rank - (int)axis, x.size + axis);
    const bool biased = n->in[2].id;
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), biased ? 3 : 2,
                                         (const char *[]){in(w, n, 0), scale(w, n, &tail), in(w, n, 2)});
    kiln_onnx_put_int(w, o, "axis", axis);
    kiln_onnx_put_real(w, o, "epsilon", number(n, "epsilon"));
    for (int k = 1; k < 3 && (is_needed(w, n, 1) || is_needed(w, n, 2)); k++)
        kiln_onnx_put_output(w, o, kiln_onnx_name(w, n->out[k]));
}

/* As many groups as channels are instance normalization. */
static void write_groups(writer *w, const kiln_node *n, const row *r)
{
    const kiln_shape x = spec(w, n->in[0]).shape, channels = kiln_shape_of(1, x.size + 1);
    const int64_t groups = integer(n, "groups");
    Onnx__NodeProto *o = kiln_onnx_write(w, groups ? r->onnx : "InstanceNormalization", out(w, n),
                                         IN(in(w, n, 0), scale(w, n, &channels),
                                            n->in[2].id ? in(w, n, 2) : constant(w, n, &channels, 0)));
    if (groups)
        kiln_onnx_put_int(w, o, "num_groups", groups);
    kiln_onnx_put_real(w, o, "epsilon", number(n, "epsilon"));
    if (is_needed(w, n, 1) || is_needed(w, n, 2))
        kiln_onnx_writer_refuse(w, n, "ONNX gives no mean of a group");
}

static void write_length(writer *w, const kiln_node *n, const row *r)
{
    if (number(n, "epsilon") > 1e-6)
        kiln_onnx_writer_refuse(w, n, "ONNX has no least length");
    kiln_onnx_put_int(w, kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0))), "axis", integer(n, "axis"));
}

static void write_responses(writer *w, const kiln_node *n, const row *r)
{
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0)));
    kiln_onnx_put_int(w, o, "size", integer(n, "size"));
    kiln_onnx_put_real(w, o, "alpha", number(n, "alpha"));
    kiln_onnx_put_real(w, o, "beta", number(n, "beta"));
    kiln_onnx_put_real(w, o, "bias", number(n, "bias"));
}

/* A table of all batches lies in ONNX once for each. */
static const char *table(writer *w, const kiln_node *n, int i)
{
    const kiln_shape x = spec(w, n->in[0]).shape, t = spec(w, n->in[i]).shape;
    if (t.rank == 3)
        return in(w, n, i);
    if (x.size[0] < 0 || t.size[0] < 0 || t.size[1] < 0) {
        kiln_onnx_writer_refuse(w, n, "a table of all batches, and a symbolic size");
        return in(w, n, i);
    }
    const int64_t all[] = {x.size[0], t.size[0], t.size[1]};
    return kiln_onnx_step(w, "Expand", IN(in(w, n, i), kiln_onnx_new_list(w, all, 3)));
}

/* A gradient turns the other way. */
static void write_rotary(writer *w, const kiln_node *n, const row *r)
{
    enum { INTERLEAVED = 1, INVERSE = 2 };
    const int64_t flags = integer(n, "flags");
    const char *sine = flags & INVERSE ? kiln_onnx_step(w, "Neg", IN(table(w, n, 2))) : table(w, n, 2);
    Onnx__NodeProto *o = kiln_onnx_write(w, r->onnx, out(w, n), IN(in(w, n, 0), table(w, n, 1), sine));
    kiln_onnx_put_int(w, o, "interleaved", flags & INTERLEAVED);
    kiln_onnx_put_int(w, o, "rotary_embedding_dim", integer(n, "size"));
    if (spec(w, n->in[0]).shape.rank == 3)
        kiln_onnx_put_int(w, o, "num_heads", integer(n, "heads"));
}

const row kiln_onnx_writer_norm[] = {
    {"group_norm", "GroupNormalization", write_groups, 0, 21, .lacks = HALVES},
    {"l2_normalize", "LpNormalization", write_length, 0, .lacks = HALVES},
    {"layer_norm", "LayerNormalization", write_rows, 0, .lacks = HALVES},
    {"lrn", "LRN", write_responses, 0, .lacks = HALVES},
    {"log_softmax", "LogSoftmax", kiln_onnx_write_axis, 0, .lacks = HALVES},
    {"rms_norm", "RMSNormalization", write_rows, 0, 23, .lacks = HALVES},
    {"rotary", "RotaryEmbedding", write_rotary, 0, 23, .lacks = HALVES},
    {"softmax", "Softmax", kiln_onnx_write_axis, 0},
    {0},
};
