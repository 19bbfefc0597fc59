/*
 * recurrent.c - RNN, LSTM and GRU over whole sequences: builders, and the operator under them.
 *
 * A builder multiplies all inputs of the sequence with the input weights of both directions at once and adds the biases: an
 * ordinary matmul with its epilogue. The operator takes that, and goes through time with the hidden weights:
 *
 *   recurrent              x, hidden weights, states -> y, last states, saved
 *   recurrent_grad         saved, dy, dstates -> dx, dstates, extra          (recurrent_grad.c)
 *   recurrent_grad_weight  dx, extra, saved -> gradient of the hidden weights, matmuls over all steps at once
 *
 * `saved` holds what the gradient needs of each step, the state before it included, so that no rule ever shifts a sequence in
 * time. Where nothing uses it, it is not written.
 *
 * Lowerings: recurrent_lower.c. Kernels: recurrent_kernel.c, shaders/recurrent/, src/cpu/recurrent*.c.
 * Tests: tests/ops/recurrent.c.
 */
#include <kiln/recurrent.h>

#include <kiln/ops.h>

#include "graph/graph.h"
#include "ops/kernels.h"
#include "ops/recurrent.h"

const kiln_field kiln_recurrent_fields[] = {
    {"cell", KILN_FIELD_INT, offsetof(struct kiln_recurrent, cell), 1},
    {"flags", KILN_FIELD_INT, offsetof(struct kiln_recurrent, flags), 1},
    {"directions", KILN_FIELD_INT, offsetof(struct kiln_recurrent, directions), 1},
    {"batch_first", KILN_FIELD_INT, offsetof(struct kiln_recurrent, batch_first), 1},
    {"by_steps", KILN_FIELD_INT, offsetof(struct kiln_recurrent, by_steps), 1},
    {"hidden", KILN_FIELD_INT, offsetof(struct kiln_recurrent, hidden), 1},
    {"squash", KILN_FIELD_INT, offsetof(struct kiln_recurrent, squash), 3},
    {"clip", KILN_FIELD_REAL, offsetof(struct kiln_recurrent, clip), 1},
    {"alpha", KILN_FIELD_REAL, offsetof(struct kiln_recurrent, alpha), 3},
    {"beta", KILN_FIELD_REAL, offsetof(struct kiln_recurrent, beta), 3},
    {0},
};

/* The operator ------------------------------------------------------------------------------------------- */

/* [S D, N, H] */
static kiln_shape states_shape(const struct kiln_recurrent *p, int64_t sequences)
{
    return KILN_SHAPE(kiln_recurrent_state_count(p->cell) * p->directions, sequences, p->hidden);
}

static kiln_status misfit(kiln_graph *g, const kiln_node *n, const char *what, kiln_tensor got,
                          const kiln_shape *want)
{
    const kiln_spec spec = kiln_tensor_spec(g, got);
    char a[96], b[96];
    return kiln_node_fail(g, n, KILN_ERROR_SHAPE, "%s is %s %s, wanted %s", what, kiln_type_name(spec.type),
                          kiln_graph_shape_text(g, &spec.shape, a, sizeof a),
                          kiln_graph_shape_text(g, want, b, sizeof b));
}

static kiln_status infer(kiln_graph *g, const kiln_node *n, kiln_spec *out)
{
    const struct kiln_recurrent *p = n->params;
    const kiln_spec x = kiln_tensor_spec(g, n->in[KILN_RECURRENT_IN_X]);
    const int64_t columns = p->directions * kiln_recurrent_gate_count(p->cell) * p->hidden;
    const int64_t sequences = x.shape.size[!p->batch_first];
    const struct {
        const char *what;
        kiln_shape shape;
    } wanted[] = {
        {"what the input adds", KILN_SHAPE(x.shape.size[0], x.shape.size[1], columns)},
        {"weights", KILN_SHAPE(columns, p->hidden)},
        {"vectors", KILN_SHAPE(p->directions * 3 * p->hidden)},
        {"lengths", KILN_SHAPE(sequences)},
        {"initial states", states_shape(p, sequences)},
    };
    for (int i = 0; i < KILN_RECURRENT_INPUTS; i++) {
        const kiln_spec have = kiln_tensor_spec(g, n->in[i]);
        const bool whole = !kiln_type_is_real(have.type) && have.type != KILN_BOOL;
        const bool fits =
            i == KILN_RECURRENT_IN_LENGTHS ? whole : have.type == x.type && kiln_type_is_real(x.type);
        if (n->in[i].id && (!fits || !kiln_shape_equal(&have.shape, &wanted[i].shape)))
            return misfit(g, n, wanted[i].what, n->in[i], &wanted[i].shape);
    }
    for (int i = 0; i < 3; i++)
        out[i] = x;
    out[0].shape.size[2] = p->directions * p->hidden;
    out[1].shape = states_shape(p, sequences);
    out[2].type = KILN_F32;
    out[2].shape.size[2] = p->directions * kiln_recurrent_saved_width(p->cell) * p->hidden;
    return KILN_OK;
}

/* Peepholes: their gradients summed over time, [D, N, 3 H]. GRU: the biases b', [D 3 H], of which those of r and z are summed
 * like the input's, that of n by itself. */
static kiln_tensor vectors_gradient(kiln_graph *g, const struct kiln_recurrent *p, kiln_tensor vectors,
                                    kiln_tensor dx, kiln_tensor extra)
{
    const kiln_reduce_params each = {.axes = KILN_AXES(1)}, all = {.axes = KILN_AXES(0, 1)};
    const kiln_type type = kiln_tensor_type(g, vectors);
    if (p->cell == KILN_CELL_LSTM)
        return kiln_reshape_to(g, kiln_cast(g, kiln_sum(g, extra, &each), type), vectors);
    const kiln_shape by_direction = KILN_SHAPE(p->directions, KILN_REST);
    const kiln_tensor gates = kiln_reshape(g, kiln_sum_to(g, dx, vectors), by_direction);
    const kiln_tensor fresh = kiln_cast(g, kiln_sum(g, extra, &all), type);
    const kiln_tensor part[] = {kiln_slice(g, gates, 1, 0, 2 * p->hidden, 1),
                                kiln_reshape(g, fresh, by_direction)};
    return kiln_reshape_to(g, kiln_concat(g, part, 2, 1), vectors);
}

static void grad(kiln_graph *g, const kiln_node *n, const kiln_tensor *dy, kiln_tensor *dx)
{
    const struct kiln_recurrent *p = n->params;
    const kiln_tensor w = n->in[KILN_RECURRENT_IN_W], vectors = n->in[KILN_RECURRENT_IN_VECTORS];
    const kiln_tensor in[KILN_RECURRENT_GRAD_INPUTS] = {w,         vectors, n->in[KILN_RECURRENT_IN_LENGTHS],
                                                        n->out[2], dy[0],   dy[1]};
    const kiln_tensor gates =
        kiln_append(g, &kiln_op_recurrent_grad, in, KILN_RECURRENT_GRAD_INPUTS, p, sizeof *p);
    if (!gates.id)
        return;
    const kiln_tensor extra = kiln_node_output(g, gates, 2);
    dx[KILN_RECURRENT_IN_X] = gates;
    dx[KILN_RECURRENT_IN_W] = kiln_append(g, &kiln_op_recurrent_grad_weight,
                                          (const kiln_tensor[]){gates, extra, n->out[2]}, 3, p, sizeof *p);
    if (vectors.id)
        dx[KILN_RECURRENT_IN_VECTORS] = vectors_gradient(g, p, vectors, gates, extra);
    if (n->in[KILN_RECURRENT_IN_STATES].id)
        dx[KILN_RECURRENT_IN_STATES] = kiln_node_output(g, gates, 1);
}

const kiln_op kiln_op_recurrent = {
    .name = "recurrent",
    .fields = kiln_recurrent_fields,
    .inputs = KILN_RECURRENT_INPUTS,
    .outputs = 3,
    .infer = infer,
    .grad = grad,
    .lowerings = kiln_recurrent_lowerings,
    .lowering_count = 2,
};

/* What the builders are given ---------------------------------------------------------------------------- */

/* A call of a builder. */
struct call {
    kiln_graph *g;
    const char *name;
    const kiln_recurrent_weights *weights;
    const kiln_recurrent_params *params;
    kiln_tensor x;
    struct kiln_recurrent op;
};

static bool refuse(const struct call *c, const char *what, kiln_tensor got, kiln_shape want)
{
    const kiln_spec spec = kiln_tensor_spec(c->g, got);
    char a[96], b[96];
    kiln_graph_fail(c->g, KILN_ERROR_SHAPE, "%s: %s is %s %s, wanted %s", c->name, what,
                    got.id ? kiln_type_name(spec.type) : "not given",
                    got.id ? kiln_graph_shape_text(c->g, &spec.shape, a, sizeof a) : "",
                    kiln_graph_shape_text(c->g, &want, b, sizeof b));
    return false;
}

/* A value of this shape, or none where that is allowed. */
static bool check_one(const struct call *c, const char *what, kiln_tensor got, bool optional, kiln_shape want)
{
    const kiln_shape have = kiln_tensor_shape(c->g, got);
    return (optional && !got.id) || (got.id && kiln_shape_equal(&have, &want)) || refuse(c, what, got, want);
}

/* x and the first direction's weights say H and I; the others must fit them. */
static bool check_weights(struct call *c)
{
    const kiln_shape x = kiln_tensor_shape(c->g, c->x), w = kiln_tensor_shape(c->g, c->weights[0].hidden);
    const int64_t gates = kiln_recurrent_gate_count(c->op.cell), hidden = w.rank == 2 ? w.size[1] : 0;
    if (x.rank != 3 || x.size[2] < 0 || !kiln_type_is_real(kiln_tensor_type(c->g, c->x)))
        return refuse(c, "x", c->x,
                      KILN_SHAPE(kiln_dim(c->g, "T"), kiln_dim(c->g, "N"), x.rank == 3 ? 1 : x.rank));
    if (hidden < 1 || hidden > INT32_MAX / 64)
        return refuse(c, "hidden weights", c->weights[0].hidden, KILN_SHAPE(gates, 1));
    c->op.hidden = (int32_t)hidden;
    bool fits = true;
    for (int d = 0; d < c->op.directions && fits; d++) {
        const kiln_recurrent_weights *one = &c->weights[d], *first = &c->weights[0];
        const kiln_shape row = KILN_SHAPE(gates * hidden);
        fits = check_one(c, "input weights", one->input, false, KILN_SHAPE(gates * hidden, x.size[2])) &&
               check_one(c, "hidden weights", one->hidden, false, KILN_SHAPE(gates * hidden, hidden)) &&
               check_one(c, "input bias", one->input_bias, !first->input_bias.id, row) &&
               check_one(c, "hidden bias", one->hidden_bias, !first->hidden_bias.id, row) &&
               check_one(c, "peepholes", one->peephole, !first->peephole.id, KILN_SHAPE(3 * hidden));
    }
    return fits;
}

static bool check_states(const struct call *c)
{
    const kiln_shape x = kiln_tensor_shape(c->g, c->x);
    const int64_t sequences = x.size[!c->params->batch_first];
    const kiln_shape states = KILN_SHAPE(c->op.directions, sequences, c->op.hidden);
    return check_one(c, "initial h", c->params->initial.h, true, states) &&
           check_one(c, "initial c", c->params->initial.c, true, states) &&
           check_one(c, "lengths", c->params->lengths, true, KILN_SHAPE(sequences));
}

/* What one cell has and another has not. */
static bool check_cell(const struct call *c)
{
    const kiln_recurrent_params *p = c->params;
    const char *odd = NULL;
    if (c->op.cell != KILN_CELL_LSTM && (p->coupled || p->initial.c.id || c->weights[0].peephole.id))
        odd = "coupled gates, a cell state and peepholes are the LSTM's";
    if (c->op.cell != KILN_CELL_GRU && p->reset_before)
        odd = "reset_before is the GRU's";
    if (p->clip < 0)
        odd = "clip is negative";
    for (int i = 0; i < 3; i++)
        if ((c->op.squash[i] == KILN_SQUASH_LEAKY_RELU || c->op.squash[i] == KILN_SQUASH_THRESHOLDED_RELU ||
             c->op.squash[i] == KILN_SQUASH_ELU) &&
            c->op.alpha[i] < 0)
            odd = "alpha of a leaky relu, a thresholded relu or an elu is negative";
    if (odd)
        kiln_graph_fail(c->g, KILN_ERROR_ARGUMENT, "%s: %s", c->name, odd);
    return !odd;
}

/* Squashings --------------------------------------------------------------------------------------------- */

static double or_usual(double given, double usual)
{
    return given == 0 ? usual : given == KILN_ZERO ? 0 : given;
}

static void set_squash(struct kiln_recurrent *op, int i, const kiln_squashing *given, kiln_squash usual)
{
    static const struct {
        double alpha, beta;
    } defaults[] = {
        [KILN_SQUASH_LEAKY_RELU] = {.alpha = 0.01}, [KILN_SQUASH_THRESHOLDED_RELU] = {.alpha = 1},
        [KILN_SQUASH_ELU] = {.alpha = 1},           [KILN_SQUASH_HARD_SIGMOID] = {0.2, 0.5},
        [KILN_SQUASH_SCALED_TANH] = {1, 1},         [KILN_SQUASH_AFFINE] = {.alpha = 1},
    };
    const kiln_squash by = given->by == KILN_SQUASH_DEFAULT ? usual : given->by;
    op->squash[i] = (int32_t)by;
    op->alpha[i] = or_usual(given->alpha, defaults[by].alpha);
    op->beta[i] = or_usual(given->beta, defaults[by].beta);
}

static void set_op(struct call *c, int cell)
{
    const kiln_recurrent_params *p = c->params;
    c->op = (struct kiln_recurrent){
        .cell = cell,
        .flags = (p->direction == KILN_REVERSE ? KILN_RECURRENT_REVERSED : 0) |
                 (p->coupled ? KILN_RECURRENT_COUPLED : 0) |
                 (p->reset_before ? KILN_RECURRENT_RESET_BEFORE : 0) |
                 (p->clip > 0 ? KILN_RECURRENT_CLIPPED : 0),
        .directions = p->direction == KILN_BIDIRECTIONAL ? 2 : 1,
        .batch_first = p->batch_first,
        .by_steps = p->by_steps,
        .clip = p->clip,
    };
    set_squash(&c->op, 0, &p->f, cell == KILN_CELL_RNN ? KILN_SQUASH_TANH : KILN_SQUASH_SIGMOID);
    set_squash(&c->op, 1, &p->g, KILN_SQUASH_TANH);
    set_squash(&c->op, 2, &p->h, KILN_SQUASH_TANH);
}

/* Builders ----------------------------------------------------------------------------------------------- */

/* The same weight of each direction, one behind the other; KILN_NONE where there are none. */
static kiln_tensor joined(const struct call *c, size_t member)
{
    kiln_tensor part[2];
    for (int d = 0; d < c->op.directions; d++)
        part[d] = *(const kiln_tensor *)((const char *)&c->weights[d] + member);
    return !part[0].id || c->op.directions == 1 ? part[0] : kiln_concat(c->g, part, c->op.directions, 0);
}

/* What the input adds to the gates: x W^T + b, and b' where the state's product is not multiplied by anything. */
static kiln_tensor from_input(const struct call *c, bool hidden_bias)
{
    kiln_tensor x = kiln_matmul(c->g, c->x, joined(c, offsetof(kiln_recurrent_weights, input)),
                                &(kiln_matmul_params){.transpose_b = true});
    const kiln_tensor bias = joined(c, offsetof(kiln_recurrent_weights, input_bias));
    if (bias.id)
        x = kiln_add(c->g, x, bias);
    if (hidden_bias)
        x = kiln_add(c->g, x, joined(c, offsetof(kiln_recurrent_weights, hidden_bias)));
    return x;
}

/* h and c, one behind the other; what is not given is 0. */
static kiln_tensor initial_states(const struct call *c)
{
    const kiln_recurrent_states *s = &c->params->initial;
    if (c->op.cell != KILN_CELL_LSTM || (!s->h.id && !s->c.id))
        return s->h;
    const kiln_tensor part[] = {s->h.id ? s->h : kiln_zeros_like(c->g, s->c),
                                s->c.id ? s->c : kiln_zeros_like(c->g, s->h)};
    return kiln_concat(c->g, part, 2, 0);
}

static kiln_tensor append(const struct call *c, kiln_recurrent_states *last)
{
    const bool lstm = c->op.cell == KILN_CELL_LSTM, after = kiln_recurrent_resets_after(&c->op);
    const bool bias = c->weights[0].hidden_bias.id;
    const kiln_tensor in[KILN_RECURRENT_INPUTS] = {
        from_input(c, bias && !after),
        joined(c, offsetof(kiln_recurrent_weights, hidden)),
        joined(c, after ? offsetof(kiln_recurrent_weights, hidden_bias)
                        : offsetof(kiln_recurrent_weights, peephole)),
        c->params->lengths,
        initial_states(c),
    };
    const kiln_tensor y =
        kiln_append(c->g, &kiln_op_recurrent, in, KILN_RECURRENT_INPUTS, &c->op, sizeof c->op);
    if (!y.id || !last)
        return y;
    const kiln_tensor states = kiln_node_output(c->g, y, 1);
    last->h = lstm ? kiln_slice(c->g, states, 0, 0, c->op.directions, 1) : states;
    last->c = lstm ? kiln_slice(c->g, states, 0, c->op.directions, KILN_END, 1) : KILN_NONE;
    return y;
}

static kiln_tensor build(kiln_graph *g, const char *name, int cell, kiln_tensor x,
                         const kiln_recurrent_weights *weights, const kiln_recurrent_params *params,
                         kiln_recurrent_states *last)
{
    const kiln_recurrent_params none = {0};
    struct call c = {.g = g, .name = name, .weights = weights, .params = params ? params : &none, .x = x};
    if (last)
        *last = (kiln_recurrent_states){KILN_NONE, KILN_NONE};
    if (!x.id || kiln_graph_status(g))
        return KILN_NONE;
    set_op(&c, cell);
    if (!check_cell(&c) || !check_weights(&c) || !check_states(&c))
        return KILN_NONE;
    return append(&c, last);
}

kiln_tensor kiln_rnn(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                     const kiln_recurrent_params *params, kiln_recurrent_states *last)
{
    return build(g, "rnn", KILN_CELL_RNN, x, weights, params, last);
}

kiln_tensor kiln_lstm(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                      const kiln_recurrent_params *params, kiln_recurrent_states *last)
{
    return build(g, "lstm", KILN_CELL_LSTM, x, weights, params, last);
}

kiln_tensor kiln_gru(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                     const kiln_recurrent_params *params, kiln_recurrent_states *last)
{
    return build(g, "gru", KILN_CELL_GRU, x, weights, params, last);
}
