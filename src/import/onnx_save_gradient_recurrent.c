/*
 * onnx_save_gradient_recurrent.c - gradients of recurrent cells: their steps are built once more as a scan, whose gradient is a scan back.
 *
 * What kiln saves of each step ONNX's cells do not give, so the inputs of the cells are read again. Two nodes, back through time and
 * by the hidden weights, are written as one.
 */
#include <string.h>

#include <kiln/control.h>
#include <kiln/indexing.h>
#include <kiln/recurrent.h>

#include "import/onnx_save_row.h"

/* The operators' params and inputs, in their own numbers: src/ops/recurrent.h. */
enum { RNN, LSTM, GRU };
enum { REVERSED = 1, COUPLED = 2, RESET_BEFORE = 4, CLIPPED = 8 };
enum { GRAD_W, GRAD_VECTORS, GRAD_LENGTHS, GRAD_SAVED, GRAD_DY, GRAD_DSTATES };

/* Of what is composed: the cell's inputs and the gradients of its outputs; x, the states before, the vectors' part, the weights. */
enum { X, W, VECTORS, LENGTHS, STATES, DY, DSTATES, INPUTS };
enum { BY_X, BY_STATES, EXTRA, BY_W, OUTPUTS };

/* A step ------------------------------------------------------------------------------------------------- */

struct cell {
    int64_t kind, flags, hidden, gates, directions;
    bool batch_first, after; /* after: a GRU whose reset is behind its product */
    int64_t squash[3];
    double clip, alpha[3], beta[3];
};

static struct cell cell_of(const kiln_node *n)
{
    struct cell c = {.kind = integer(n, "cell"),
                     .flags = integer(n, "flags"),
                     .hidden = integer(n, "hidden"),
                     .directions = integer(n, "directions"),
                     .batch_first = integer(n, "batch_first") != 0,
                     .clip = number(n, "clip")};
    c.gates = c.kind == RNN ? 1 : c.kind == LSTM ? 4 : 3;
    c.after = c.kind == GRU && !(c.flags & RESET_BEFORE);
    kiln_node_integers(n, "squash", c.squash, 3);
    kiln_node_reals(n, "alpha", c.alpha, 3);
    kiln_node_reals(n, "beta", c.beta, 3);
    return c;
}

static kiln_tensor squashed(kiln_graph *g, const struct cell *c, int which, kiln_tensor x)
{
    const double alpha = c->alpha[which], beta = c->beta[which];
    if (c->flags & CLIPPED)
        x = kiln_clip(g, x, -c->clip, c->clip);
    switch (c->squash[which]) {
    case KILN_SQUASH_SIGMOID:
        return kiln_sigmoid(g, x);
    case KILN_SQUASH_TANH:
        return kiln_tanh(g, x);
    case KILN_SQUASH_RELU:
        return kiln_relu(g, x);
    case KILN_SQUASH_LEAKY_RELU:
        return kiln_leaky_relu(g, x, alpha);
    case KILN_SQUASH_THRESHOLDED_RELU:
        return kiln_thresholded_relu(g, x, alpha);
    case KILN_SQUASH_ELU:
        return kiln_elu(g, x, alpha);
    case KILN_SQUASH_HARD_SIGMOID:
        return kiln_hard_sigmoid(g, x, alpha, beta);
    case KILN_SQUASH_SCALED_TANH:
        return kiln_scale(g, kiln_tanh(g, kiln_scale(g, x, beta)), alpha);
    case KILN_SQUASH_SOFTSIGN:
        return kiln_softsign(g, x);
    case KILN_SQUASH_SOFTPLUS:
        return kiln_softplus(g, x);
    default:
        return kiln_shift(g, kiln_scale(g, x, alpha), beta);
    }
}

/* What a step reads: x and vectors by gates, [N, H] or [H]; weights [H, H]; states [N, H]. */
struct step {
    kiln_tensor x[4], w[4], vectors[3], h, c, extra;
};

static kiln_tensor product(kiln_graph *g, const struct step *s, int gate, kiln_tensor h)
{
    return kiln_matmul(g, h, s->w[gate], &(kiln_matmul_params){.transpose_b = true});
}

static kiln_tensor given(kiln_graph *g, const struct step *s, int gate)
{
    return kiln_add(g, s->x[gate], product(g, s, gate, s->h));
}

static kiln_tensor with(kiln_graph *g, kiln_tensor a, kiln_tensor vector, kiln_tensor times)
{
    return !vector.id ? a : kiln_add(g, a, times.id ? kiln_mul(g, vector, times) : vector);
}

/* Gates i, f, g, o. */
static void advance_lstm(kiln_graph *g, const struct cell *p, const struct step *s, kiln_tensor *h,
                         kiln_tensor *c)
{
    const kiln_tensor i = squashed(g, p, 0, with(g, given(g, s, 0), s->vectors[0], s->c));
    const kiln_tensor f =
        p->flags & COUPLED ? one_less(g, i) : squashed(g, p, 0, with(g, given(g, s, 1), s->vectors[1], s->c));
    *c = kiln_add(g, kiln_mul(g, f, s->c), kiln_mul(g, i, squashed(g, p, 1, given(g, s, 2))));
    const kiln_tensor o = squashed(g, p, 0, with(g, given(g, s, 3), s->vectors[2], *c));
    *h = kiln_mul(g, o, squashed(g, p, 2, *c));
}

/* Gates r, z, n. */
static void advance_gru(kiln_graph *g, const struct cell *p, const struct step *s, kiln_tensor *h)
{
    const kiln_tensor of_r = p->after ? s->vectors[0] : KILN_NONE;
    const kiln_tensor r = squashed(g, p, 0, with(g, given(g, s, 0), of_r, KILN_NONE)),
                      z = squashed(g, p, 0, with(g, given(g, s, 1), s->vectors[1], KILN_NONE));
    kiln_tensor inner = product(g, s, 2, p->after ? s->h : kiln_mul(g, r, s->h));
    inner = with(g, inner, s->vectors[2], KILN_NONE);
    if (p->after)
        inner = kiln_mul(g, r, kiln_add(g, inner, s->extra));
    const kiln_tensor n = squashed(g, p, 1, kiln_add(g, s->x[2], inner));
    *h = kiln_add(g, kiln_mul(g, one_less(g, z), n), kiln_mul(g, z, s->h));
}

/* A direction --------------------------------------------------------------------------------------------- */

/* Its values: x [T, N, G H], weights [G H, H], vectors [N, 3 H], lengths [N, 1], states [N, H], extra [T, N, H]. */
struct line {
    kiln_tensor x, w, vectors, lengths, h, c, extra, time;
    bool back;
};

static kiln_tensor input_like(kiln_graph *step, const kiln_graph *g, kiln_tensor t, bool slice,
                              const char *name)
{
    kiln_spec s = kiln_tensor_spec(g, t);
    if (slice) {
        s.shape.rank--;
        memmove(s.shape.size, s.shape.size + 1, (size_t)s.shape.rank * sizeof *s.shape.size);
    }
    return kiln_onnx_body_input(step, s.type, s.shape, name);
}

/* Part i of `parts` along the last axis, or the first. */
static kiln_tensor part(kiln_graph *g, kiln_tensor t, int axis, int64_t i, int64_t size)
{
    return kiln_slice(g, t, axis, i * size, (i + 1) * size, 1);
}

/* Declares the body's inputs in the order of kiln_scan: each, carry, with. */
static void build_step(kiln_graph *b, const kiln_graph *g, const struct cell *p, const struct line *l)
{
    const kiln_tensor x = input_like(b, g, l->x, true, "x");
    struct step s = {.extra = l->extra.id ? input_like(b, g, l->extra, true, "extra") : KILN_NONE};
    const kiln_tensor t = l->time.id ? kiln_input(b, "t", KILN_I32, KILN_SCALAR) : KILN_NONE;
    s.h = input_like(b, g, l->h, false, "h");
    s.c = l->c.id ? input_like(b, g, l->c, false, "c") : KILN_NONE;
    const kiln_tensor w = input_like(b, g, l->w, false, "w"),
                      vectors = l->vectors.id ? input_like(b, g, l->vectors, false, "vectors") : KILN_NONE,
                      lengths = l->lengths.id ? input_like(b, g, l->lengths, false, "lengths") : KILN_NONE;
    for (int i = 0; i < p->gates; i++) {
        s.x[i] = part(b, x, 1, i, p->hidden);
        s.w[i] = part(b, w, 0, i, p->hidden);
    }
    for (int i = 0; vectors.id && i < 3; i++)
        s.vectors[i] = part(b, vectors, 1, i, p->hidden);
    kiln_tensor h = KILN_NONE, c = KILN_NONE;
    if (p->kind == LSTM)
        advance_lstm(b, p, &s, &h, &c);
    else if (p->kind == GRU)
        advance_gru(b, p, &s, &h);
    else
        h = squashed(b, p, 0, given(b, &s, 0));
    kiln_tensor y = h;
    if (lengths.id) {
        const kiln_tensor there = kiln_less(b, t, lengths);
        y = kiln_where(b, there, h, kiln_scalar(b, KILN_F32, 0));
        h = kiln_where(b, there, h, s.h);
        c = c.id ? kiln_where(b, there, c, s.c) : c;
    }
    kiln_output(b, "y", y);
    kiln_output(b, "h.next", h);
    if (c.id)
        kiln_output(b, "c.next", c);
}

/* y [T, N, H], and the states behind. */
static void run_line(kiln_graph *g, const struct cell *p, const struct line *l, kiln_tensor out[3])
{
    kiln_graph *step = kiln_onnx_body_graph(g);
    kiln_scan_params how = {.each = {l->x}, .carry = {l->h, l->c}, .with = {l->w}, .reverse = l->back};
    int each = 1, with_count = 1;
    if (!step)
        return;
    if (l->extra.id)
        how.each[each++] = l->extra;
    if (l->time.id)
        how.each[each++] = l->time;
    if (l->vectors.id)
        how.with[with_count++] = l->vectors;
    if (l->lengths.id)
        how.with[with_count++] = l->lengths;
    build_step(step, g, p, l);
    kiln_scan(g, step, &how, out);
    kiln_graph_destroy(&step);
}

/* All of it ----------------------------------------------------------------------------------------------- */

static kiln_tensor turned(kiln_graph *g, const struct cell *p, kiln_tensor t)
{
    return t.id && p->batch_first ? kiln_move_axis(g, t, 0, 1) : t;
}

static kiln_tensor zeros(kiln_graph *g, kiln_shape shape)
{
    return kiln_expand(g, kiln_scalar(g, KILN_F32, 0), shape);
}

/* What gradients are asked by: x, states [S D, N, H], the vectors as each sequence has them [D, N, 3 H] or a zero beside the GRU's
   product [T, N, D H], weights. */
struct all {
    kiln_tensor by[OUTPUTS];
    kiln_tensor lengths, time;
};

static struct all all_of(kiln_graph *g, const struct cell *p, const kiln_tensor *in)
{
    struct all a = {.by = {[BY_X] = in[X], [BY_W] = in[W]}};
    const kiln_shape x = kiln_tensor_shape(g, in[X]);
    const int64_t n = x.size[!p->batch_first], states = p->kind == LSTM ? 2 : 1;
    a.by[BY_STATES] = in[STATES].id ? in[STATES] : zeros(g, KILN_SHAPE(states * p->directions, n, p->hidden));
    if (in[VECTORS].id && p->kind == LSTM) {
        const kiln_tensor rows =
            kiln_reshape(g, as_float(g, in[VECTORS]), KILN_SHAPE(p->directions, 1, 3 * p->hidden));
        a.by[EXTRA] = kiln_expand(g, rows, KILN_SHAPE(p->directions, n, 3 * p->hidden));
    } else if (p->after) {
        kiln_shape shape = x;
        shape.size[2] = p->directions * p->hidden;
        a.by[EXTRA] = zeros(g, shape);
    }
    if (in[LENGTHS].id) {
        a.lengths = kiln_unsqueeze(g, kiln_cast(g, in[LENGTHS], KILN_I32), 1);
        a.time = kiln_positions(g, in[X], p->batch_first);
    }
    return a;
}

static struct line line_of(kiln_graph *g, const struct cell *p, const kiln_tensor *in, const struct all *a,
                           int64_t d)
{
    const kiln_tensor x = as_float(g, turned(g, p, in[X])), states = as_float(g, a->by[BY_STATES]);
    struct line l = {.x = part(g, x, 2, d, p->gates * p->hidden),
                     .w = part(g, as_float(g, in[W]), 0, d, p->gates * p->hidden),
                     .h = kiln_squeeze(g, part(g, states, 0, d, 1), 0),
                     .lengths = a->lengths,
                     .time = a->time,
                     .back = d || p->flags & REVERSED};
    if (p->kind == LSTM)
        l.c = kiln_squeeze(g, part(g, states, 0, p->directions + d, 1), 0);
    if (p->after)
        l.extra = part(g, turned(g, p, a->by[EXTRA]), 2, d, p->hidden);
    if (in[VECTORS].id && p->kind == LSTM)
        l.vectors = kiln_squeeze(g, part(g, a->by[EXTRA], 0, d, 1), 0);
    else if (in[VECTORS].id)
        l.vectors = kiln_unsqueeze(g, part(g, as_float(g, in[VECTORS]), 0, d, 3 * p->hidden), 0);
    return l;
}

static kiln_tensor pulled(kiln_graph *g, kiln_tensor y, kiln_tensor dy, kiln_tensor before)
{
    if (!dy.id)
        return before;
    const kiln_tensor sum = kiln_sum(g, kiln_mul(g, y, as_float(g, dy)), NULL);
    return before.id ? kiln_add(g, before, sum) : sum;
}

static void compose_gradient(kiln_graph *g, const kiln_node *n, const kiln_tensor *in, kiln_tensor *out)
{
    const struct cell p = cell_of(n);
    const struct all a = all_of(g, &p, in);
    kiln_tensor y[2], state[4], by[OUTPUTS], dx[OUTPUTS] = {{0, 0}};
    int which[OUTPUTS], count = 0;
    for (int64_t d = 0; d < p.directions; d++) {
        const struct line l = line_of(g, &p, in, &a, d);
        kiln_tensor made[3] = {{0, 0}};
        run_line(g, &p, &l, made);
        y[d] = made[0];
        for (int64_t s = 0; s < (p.kind == LSTM ? 2 : 1); s++)
            state[s * p.directions + d] = kiln_unsqueeze(g, made[1 + s], 0);
    }
    const int states = (int)(p.directions * (p.kind == LSTM ? 2 : 1));
    const kiln_tensor all = turned(g, &p, kiln_concat(g, y, (int)p.directions, 2)),
                      last = kiln_concat(g, state, states, 0);
    const kiln_tensor loss = pulled(g, last, in[DSTATES], pulled(g, all, in[DY], KILN_NONE));
    for (int i = 0; i < OUTPUTS; i++)
        if (a.by[i].id) {
            which[count] = i;
            by[count++] = a.by[i];
        }
    kiln_gradient(g, loss, KILN_NONE, by, count, dx);
    for (int i = 0; i < count; i++)
        out[which[i]] = dx[i];
}

static const kiln_node *forward_of(const writer *w, const kiln_node *n)
{
    return kiln_node_of(w->g, n->in[GRAD_SAVED]);
}

/* What is read besides: the cell's own inputs. */
static int read_gradient(const writer *w, const kiln_node *n, kiln_tensor *out)
{
    const kiln_node *forward = forward_of(w, n);
    int count = 0;
    for (int i = 0; i < forward->inputs; i++)
        out[count++] = forward->in[i];
    out[count++] = n->in[GRAD_DY];
    out[count++] = n->in[GRAD_DSTATES];
    return count;
}

/* The node by weights that goes with n, if anybody needs it. */
static const kiln_node *by_weights(const writer *w, const kiln_node *n)
{
    for (int i = 0; i < kiln_graph_node_count(w->g); i++) {
        const kiln_node *other = kiln_graph_node_at(w->g, i);
        if (!strcmp(other->op->name, "recurrent_grad_weight") && other->in[0].id == n->out[0].id &&
            w->needed[other->out[0].id])
            return other;
    }
    return NULL;
}

static void write_gradient(writer *w, const kiln_node *n, const row *r)
{
    kiln_tensor in[INPUTS], out[OUTPUTS] = {n->out[0], n->out[1], n->out[2], {0, 0}};
    const kiln_node *other = by_weights(w, n);
    kiln_node all = *n;
    (void)r;
    if (other)
        out[BY_W] = other->out[0];
    all.in = in;
    all.inputs = read_gradient(w, n, in);
    all.out = out;
    all.outputs = other ? OUTPUTS : EXTRA + 1;
    kiln_onnx_write_composed(w, &all, compose_gradient);
}

/* It is written with the gradient that it reads. */
static void write_nothing(writer *w, const kiln_node *n, const row *r)
{
    (void)w, (void)n, (void)r;
}

const row kiln_onnx_writer_gradient_recurrent[] = {
    {"recurrent_grad", NULL, write_gradient, .read = read_gradient},
    {"recurrent_grad_weight", NULL, write_nothing, .reads = 1},
    {0},
};
