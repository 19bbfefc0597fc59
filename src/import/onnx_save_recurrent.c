/*
 * onnx_save_recurrent.c - the operator under RNN, LSTM and GRU, with the product and the biases before it, as one ONNX node.
 *
 *   recurrent(add(add(matmul(x, W^T), b), b'), R, ..)      RNN, LSTM or GRU(x, W, R, [b b'], lengths, h, c, P)
 *
 * The weights' gates are put into ONNX's order, and x and y, where batches come first, turned: ONNX's other layout is rarely read.
 */
#include <string.h>

#include "import/onnx.h"
#include "import/onnx_save_row.h"

/* The operator's params and inputs, in its own numbers. */
enum { RNN, LSTM, GRU };
enum { REVERSED = 1, COUPLED = 2, RESET_BEFORE = 4, CLIPPED = 8 };
enum { IN_X, IN_WEIGHTS, IN_END = 5 };

/* Of the match; the biases are in the order in which they are added. */
enum { X, W, R, VECTORS, LENGTHS, STATES, BIAS, OTHER_BIAS, INPUTS };

static const kiln_node *made_by(const writer *w, kiln_tensor t, const char *op)
{
    const kiln_node *n = kiln_node_of(w->g, t);
    return n && !strcmp(n->op->name, op) ? n : NULL;
}

bool kiln_onnx_match_recurrent(const writer *w, const kiln_node *n, struct kiln_onnx_match *m)
{
    const kiln_node *add;
    kiln_tensor t = n->in[IN_X];
    int biases = 0;
    *m = (struct kiln_onnx_match){.kind = KILN_ONNX_RECURRENT, .inputs = INPUTS};
    for (; biases < 2 && (add = made_by(w, t, "add")); t = add->in[0]) {
        if (kiln_tensor_spec(w->g, add->in[1]).shape.rank != 1)
            return false;
        m->in[BIAS + biases++] = add->in[1];
    }
    const kiln_node *product = made_by(w, t, "matmul");
    if (!product || !integer(product, "transpose_b") || integer(product, "transpose_a") ||
        kiln_tensor_spec(w->g, product->in[1]).shape.rank != 2)
        return false;
    m->in[X] = product->in[0];
    m->in[W] = product->in[1];
    for (int i = IN_WEIGHTS; i < IN_END; i++)
        m->in[R + i - IN_WEIGHTS] = n->in[i];
    return true;
}

/* What is written, by its params. */
struct cell {
    const char *onnx;
    int64_t gates, order[4]; /* ONNX's gate k is kiln's order[k] */
    int squashings;
    int64_t flags, directions, hidden;
    bool batch_first;
    bool shares; /* leaves with the product and the biases before it, which are written as well */
};

static struct cell cell_of(const writer *w, const kiln_node *n)
{
    struct cell c = {"RNN", 1, {0}, 1, 0, 0, 0, false, false};
    if (integer(n, "cell") == LSTM)
        c = (struct cell){"LSTM", 4, {0, 3, 1, 2}, 3, 0, 0, 0, false, false};
    if (integer(n, "cell") == GRU)
        c = (struct cell){"GRU", 3, {1, 0, 2}, 2, 0, 0, 0, false, false};
    c.flags = integer(n, "flags");
    c.directions = integer(n, "directions");
    c.hidden = integer(n, "hidden");
    c.batch_first = integer(n, "batch_first");
    c.shares = w->needed[n->in[IN_X].id];
    return c;
}

static const char *reshaped(writer *w, const char *x, const int64_t *shape, int rank)
{
    return kiln_onnx_step(w, "Reshape", IN(x, kiln_onnx_new_list(w, shape, rank)));
}

/* The initializer that a leaf became, which nothing else reads; NULL where there is none. */
static Onnx__TensorProto *initializer_of(const writer *w, kiln_tensor t)
{
    const kiln_node *n = t.id ? kiln_node_of(w->g, t) : NULL;
    if (!n || n->inputs || w->uses[t.id] != 1)
        return NULL;
    for (int i = 0; i < w->initializer.count; i++)
        if (!strcmp(w->initializer.data[i]->name, kiln_onnx_name(w, t)))
            return w->initializer.data[i];
    return NULL;
}

/* [D, parts H, width], or [D, parts H], in the given order of the parts: in place, so that the weights keep their name. */
static bool reorder_values(writer *w, const struct cell *c, kiln_tensor t, int64_t parts,
                           const int64_t *order, int rank, int64_t width)
{
    Onnx__TensorProto *leaf = c->shares ? NULL : initializer_of(w, t);
    const size_t part = leaf ? leaf->raw_data.len / (size_t)(c->directions * parts) : 0;
    uint8_t *turned = leaf ? kiln_arena_alloc(&w->arena, leaf->raw_data.len + 1) : NULL;
    if (!turned)
        return false;
    for (int64_t i = 0; i < c->directions * parts; i++) {
        const int64_t from = i / parts * parts + (parts > 1 ? order[i % parts] : 0);
        memcpy(turned + (size_t)i * part, leaf->raw_data.data + (size_t)from * part, part);
    }
    leaf->raw_data.data = turned;
    leaf->n_dims = (size_t)rank;
    leaf->dims[0] = c->directions;
    leaf->dims[1] = parts * c->hidden;
    if (rank == 3)
        leaf->dims[2] = width;
    return true;
}

/* [D, parts H, rest] from [D parts H, rest], or [D, parts H] from [D parts H], the parts in the given order. */
static const char *reordered(writer *w, const struct cell *c, kiln_tensor t, int64_t parts,
                             const int64_t *order, int rank, int64_t width)
{
    const char *x = kiln_onnx_name(w, t);
    if (reorder_values(w, c, t, parts, order, rank, width))
        return x;
    const int64_t apart[] = {c->directions, parts, c->hidden, width},
                  together[] = {c->directions, parts * c->hidden, width};
    if (parts == 1)
        return reshaped(w, x, together, rank);
    x = reshaped(w, x, apart, rank + 1);
    const char *turned = kiln_onnx_new_name(w);
    kiln_onnx_put_int(w,
                      kiln_onnx_write(w, "Gather", turned, IN(x, kiln_onnx_new_list(w, order, (int)parts))),
                      "axis", 1);
    return reshaped(w, turned, together, rank);
}

static const char *zeros(writer *w, kiln_type type, int64_t count)
{
    const char *name = kiln_onnx_new_name(w);
    kiln_onnx_new_tensor(w, name, type, &KILN_SHAPE(count));
    return name;
}

/* B [D, 2 G H]. A bias of the state alone stands apart: those of a GRU that resets behind its product. */
static const char *biases(writer *w, const kiln_node *n, const struct kiln_onnx_match *m,
                          const struct cell *c)
{
    const bool apart = !strcmp(c->onnx, "GRU") && !(c->flags & RESET_BEFORE);
    const kiln_tensor part[] = {m->in[BIAS], apart ? m->in[VECTORS] : m->in[OTHER_BIAS]};
    const char *name = kiln_onnx_new_name(w), *in[2];
    if (!part[0].id && !part[1].id)
        return "";
    for (int i = 0; i < 2; i++) {
        const int64_t together[] = {c->directions, c->gates * c->hidden};
        in[i] = part[i].id
                    ? reordered(w, c, part[i], c->gates, c->order, 2, 1)
                    : reshaped(w, zeros(w, spec(w, n->out[0]).type, together[0] * together[1]), together, 2);
    }
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", name, 2, in), "axis", 1);
    return name;
}

static const char *transposed(writer *w, const char *x, const int64_t *order, int rank)
{
    const char *name = kiln_onnx_new_name(w);
    kiln_onnx_put_ints(w, kiln_onnx_write(w, "Transpose", name, IN(x)), "perm", order, rank);
    return name;
}

/* The states [first, first + D) of the D or 2 D that there are. */
static const char *states(writer *w, const char *all, const struct cell *c, int64_t first)
{
    const int64_t end = first + c->directions, axis = 0;
    return kiln_onnx_step(w, "Slice",
                          IN(all, kiln_onnx_new_list(w, &first, 1), kiln_onnx_new_list(w, &end, 1),
                             kiln_onnx_new_list(w, &axis, 1)));
}

static const char *lengths(writer *w, kiln_tensor t)
{
    const char *name = kiln_onnx_name(w, t);
    if (!t.id || spec(w, t).type == KILN_I32)
        return name;
    return cast(w, name, NULL, KILN_I32);
}

/* The names of the squashings, once a direction, and the numbers of those that have some. */
static void put_squashings(writer *w, Onnx__NodeProto *o, const kiln_node *n, const struct cell *c)
{
    const char *names[6];
    double alpha[3] = {0}, beta[3] = {0}, alphas[6], betas[6];
    int64_t squash[3] = {0};
    int count = 0, with_alpha = 0, with_beta = 0;
    kiln_node_integers(n, "squash", squash, 3);
    kiln_node_reals(n, "alpha", alpha, 3);
    kiln_node_reals(n, "beta", beta, 3);
    for (int i = 0; i < c->squashings * (int)c->directions; i++) {
        const int k = i % c->squashings;
        int numbers;
        names[count++] = kiln_onnx_squash_name((kiln_squash)squash[k], &numbers);
        if (numbers > 0)
            alphas[with_alpha++] = alpha[k];
        if (numbers > 1)
            betas[with_beta++] = beta[k];
    }
    kiln_onnx_put_texts(w, o, "activations", names, count);
    if (with_alpha)
        kiln_onnx_put_reals(w, o, "activation_alpha", alphas, with_alpha);
    if (with_beta)
        kiln_onnx_put_reals(w, o, "activation_beta", betas, with_beta);
}

static void put_attributes(writer *w, Onnx__NodeProto *o, const kiln_node *n, const struct cell *c)
{
    kiln_onnx_put_int(w, o, "hidden_size", c->hidden);
    kiln_onnx_put_text(w, o, "direction",
                       c->directions == 2    ? "bidirectional"
                       : c->flags & REVERSED ? "reverse"
                                             : "forward");
    put_squashings(w, o, n, c);
    if (c->flags & CLIPPED)
        kiln_onnx_put_real(w, o, "clip", number(n, "clip"));
    if (c->flags & COUPLED)
        kiln_onnx_put_int(w, o, "input_forget", 1);
    if (!strcmp(c->onnx, "GRU"))
        kiln_onnx_put_int(w, o, "linear_before_reset", !(c->flags & RESET_BEFORE));
}

/* y [T, N, D H] or [N, T, D H] from Y [T, D, N, H], and the last states [S D, N, H] from Y_h and Y_c. */
static void write_results(writer *w, Onnx__NodeProto *o, const kiln_node *n, const struct cell *c,
                          const char *y)
{
    static const int64_t rows[] = {0, 2, 1, 3}, batches[] = {2, 0, 1, 3};
    const int64_t flat[] = {0, 0, c->directions * c->hidden};
    const char *h = kiln_onnx_new_name(w), *cells = kiln_onnx_new_name(w),
               *last = kiln_onnx_name(w, n->out[1]);
    kiln_onnx_put_output(w, o, h);
    kiln_onnx_write(w, "Reshape", out(w, n),
                    IN(transposed(w, y, c->batch_first ? batches : rows, 4), kiln_onnx_new_list(w, flat, 3)));
    if (strcmp(c->onnx, "LSTM")) {
        kiln_onnx_write(w, "Identity", last, IN(h));
        return;
    }
    kiln_onnx_put_output(w, o, cells);
    kiln_onnx_put_int(w, kiln_onnx_write(w, "Concat", last, IN(h, cells)), "axis", 0);
}

void kiln_onnx_write_recurrent(writer *w, const kiln_node *n, const struct kiln_onnx_match *m)
{
    static const int64_t turn[] = {1, 0, 2}, peepholes[] = {0, 2, 1}; /* ONNX: i o f */
    const struct cell c = cell_of(w, n);
    const bool lstm = !strcmp(c.onnx, "LSTM");
    const char *x = kiln_onnx_name(w, m->in[X]), *initial = kiln_onnx_name(w, m->in[STATES]);
    const char *y = kiln_onnx_new_name(w), *p = kiln_onnx_name(w, m->in[VECTORS]);
    const char *in[] = {
        c.batch_first ? transposed(w, x, turn, 3) : x,
        reordered(w, &c, m->in[W], c.gates, c.order, 3, spec(w, m->in[W]).shape.size[1]),
        reordered(w, &c, m->in[R], c.gates, c.order, 3, c.hidden),
        biases(w, n, m, &c),
        lengths(w, m->in[LENGTHS]),
        initial[0] && lstm ? states(w, initial, &c, 0) : initial,
        initial[0] && lstm ? states(w, initial, &c, c.directions) : "",
        lstm && p[0] ? reordered(w, &c, m->in[VECTORS], 3, peepholes, 2, 1) : "",
    };
    Onnx__NodeProto *o = kiln_onnx_write(w, c.onnx, y, lstm ? 8 : 6, in);
    put_attributes(w, o, n, &c);
    write_results(w, o, n, &c, y);
}
