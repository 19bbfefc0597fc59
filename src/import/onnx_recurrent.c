/*
 * onnx_recurrent.c - RNN, LSTM, GRU: weights with ONNX's order of gates become kiln's, states [D, N, H] move to where ONNX has them.
 *
 * ONNX Runtime's DynamicQuantizeLSTM has W and R as small integers, [D, inputs, 4 H], by a scale each or one for each column. Its x and h
 * are reals, which ONNX Runtime rounds to 8 bits to be faster; here they are not.
 */
#include <math.h>
#include <strings.h>

#include <kiln/quantize.h>

#include "import/onnx.h"

/* What the three differ in. Inputs of all: X W R B sequence_lens initial_h; of the LSTM also initial_c P. */
struct kiln_onnx_cell {
    kiln_tensor (*build)(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                         const kiln_recurrent_params *params, kiln_recurrent_states *last);
    int gates, order[4]; /* kiln's gate k is ONNX's order[k] */
    int squashings;
};

const struct kiln_onnx_cell kiln_onnx_rnn = {kiln_rnn, 1, {0}, 1};
const struct kiln_onnx_cell kiln_onnx_lstm = {kiln_lstm, 4, {0, 2, 3, 1}, 3};
const struct kiln_onnx_cell kiln_onnx_gru = {kiln_gru, 3, {1, 0, 2}, 2};

enum { X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, P, W_SCALE, W_ZERO, R_SCALE, R_ZERO };

/* Weights ------------------------------------------------------------------------------------------------ */

/* Parts of rows [first, first + count rows) of one direction, in another order. */
static kiln_tensor reordered(kiln_onnx_node *n, kiln_tensor w, int64_t first, int64_t rows, const int *order,
                             int count)
{
    kiln_tensor part[4];
    if (count == 1)
        return kiln_slice(n->g, w, 0, first, first + rows, 1);
    for (int k = 0; k < count; k++)
        part[k] = kiln_slice(n->g, w, 0, first + order[k] * rows, first + (order[k] + 1) * rows, 1);
    return kiln_concat(n->g, part, count, 0);
}

/* Input i of one direction. */
static kiln_tensor of_direction(kiln_onnx_node *n, int i, int direction)
{
    return kiln_squeeze(n->g, kiln_slice(n->g, kiln_onnx_in(n, i), 0, direction, direction + 1, 1), 0);
}

static bool is_quantized(const kiln_onnx_node *n)
{
    return n->row->most > W_SCALE;
}

/* W or R of one direction, [gates * hidden, ..]. */
static kiln_tensor matrix_of(kiln_onnx_node *n, int i, int direction)
{
    const int scale = i == W ? W_SCALE : R_SCALE, zero = scale + 1;
    const kiln_tensor w = of_direction(n, i, direction);
    if (!is_quantized(n))
        return w;
    const kiln_tensor at = kiln_onnx_has(n, zero) ? of_direction(n, zero, direction) : KILN_NONE;
    const kiln_quantize_params p = {.axis = 1};
    const kiln_tensor real = kiln_dequantize(n->g, w, of_direction(n, scale, direction), at, &p);
    return kiln_move_axis(n->g, real, 0, 1);
}

static kiln_recurrent_weights weights_of(kiln_onnx_node *n, const struct kiln_onnx_cell *cell, int64_t hidden,
                                         int direction)
{
    static const int peepholes[] = {0, 2, 1}; /* ONNX: i o f */
    const int gates = cell->gates;
    kiln_recurrent_weights w = {
        .input = reordered(n, matrix_of(n, W, direction), 0, hidden, cell->order, gates),
        .hidden = reordered(n, matrix_of(n, R, direction), 0, hidden, cell->order, gates),
    };
    if (kiln_onnx_has(n, B)) {
        const kiln_tensor b = of_direction(n, B, direction);
        w.input_bias = reordered(n, b, 0, hidden, cell->order, gates);
        w.hidden_bias = reordered(n, b, gates * hidden, hidden, cell->order, gates);
    }
    if (kiln_onnx_has(n, P))
        w.peephole = reordered(n, of_direction(n, P, direction), 0, hidden, peepholes, 3);
    return w;
}

/* Squashings --------------------------------------------------------------------------------------------- */

/* ONNX's activations, and how many of alpha and beta each takes from the lists of these. */
static const struct squash {
    const char *name;
    kiln_squash by;
    int numbers;
} squashes[] = {
    {"Affine", KILN_SQUASH_AFFINE, 2},
    {"Elu", KILN_SQUASH_ELU, 1},
    {"HardSigmoid", KILN_SQUASH_HARD_SIGMOID, 2},
    {"LeakyRelu", KILN_SQUASH_LEAKY_RELU, 1},
    {"Relu", KILN_SQUASH_RELU, 0},
    {"ScaledTanh", KILN_SQUASH_SCALED_TANH, 2},
    {"Sigmoid", KILN_SQUASH_SIGMOID, 0},
    {"Softplus", KILN_SQUASH_SOFTPLUS, 0},
    {"Softsign", KILN_SQUASH_SOFTSIGN, 0},
    {"Tanh", KILN_SQUASH_TANH, 0},
    {"ThresholdedRelu", KILN_SQUASH_THRESHOLDED_RELU, 1},
};

const char *kiln_onnx_squash_name(kiln_squash by, int *numbers)
{
    size_t i = 0;
    while (squashes[i].by != by)
        i++;
    *numbers = squashes[i].numbers;
    return squashes[i].name;
}

/* A list of numbers of which each squashing takes the next. */
struct numbers {
    const float *data;
    int count, taken;
};

static double next(struct numbers *n)
{
    const double value = n->taken < n->count ? (double)n->data[n->taken++] : NAN;
    return isnan(value) ? 0 : value == 0 ? KILN_ZERO : value;
}

static bool take_squash(kiln_onnx_node *n, const char *name, struct numbers *alpha, struct numbers *beta,
                        kiln_squashing *out)
{
    for (size_t i = 0; i < sizeof squashes / sizeof *squashes; i++)
        if (!strcasecmp(squashes[i].name, name)) {
            out->by = squashes[i].by;
            out->alpha = squashes[i].numbers > 0 ? next(alpha) : 0;
            out->beta = squashes[i].numbers > 1 ? next(beta) : 0;
            return true;
        }
    kiln_onnx_refuse(n, "activation %s", name);
    return false;
}

static bool is_same(const kiln_squashing *a, const kiln_squashing *b)
{
    return a->by == b->by && a->alpha == b->alpha && a->beta == b->beta;
}

/* The squashings of all directions, which must be the same. */
static bool take_squashings(kiln_onnx_node *n, const struct kiln_onnx_cell *cell, int directions,
                            kiln_recurrent_params *p)
{
    kiln_squashing *const to[] = {&p->f, &p->g, &p->h};
    struct numbers alpha = {0}, beta = {0};
    int count;
    const char *const *names = kiln_onnx_texts(n, "activations", &count);
    alpha.data = kiln_onnx_reals(n, "activation_alpha", &alpha.count);
    beta.data = kiln_onnx_reals(n, "activation_beta", &beta.count);
    if (count && count != cell->squashings * directions)
        kiln_onnx_refuse(n, "%d activations, wanted %d", count, cell->squashings * directions);
    for (int i = 0; i < count && !n->refused; i++) {
        const int k = i % cell->squashings;
        kiln_squashing own = {0};
        if (!take_squash(n, names[i], &alpha, &beta, &own))
            return false;
        if (i >= cell->squashings && !is_same(&own, to[k]))
            kiln_onnx_refuse(n, "the directions have different activations");
        *to[k] = own;
    }
    return !n->refused;
}

/* Directions, layout, states ----------------------------------------------------------------------------- */

static bool take_direction(kiln_onnx_node *n, kiln_direction *out)
{
    static const char *const names[] = {"forward", "reverse", "bidirectional"};
    const char *name = kiln_onnx_text(n, "direction", "forward");
    for (int i = 0; i < 3; i++)
        if (!strcasecmp(name, names[i])) {
            *out = (kiln_direction)i;
            return true;
        }
    kiln_onnx_refuse(n, "direction %s", name);
    return false;
}

/* [D, N, H] from [N, D, H] of layout 1, and back. */
static kiln_tensor turned(kiln_onnx_node *n, kiln_tensor state, bool batch_first)
{
    static const int order[] = {1, 0, 2};
    return batch_first && state.id ? kiln_transpose(n->g, state, order) : state;
}

/* What is transposed here must be of the rank that it should have. */
static void check_rank(kiln_onnx_node *n, int i, const char *name)
{
    const int rank = kiln_onnx_spec(n, i).shape.rank;
    if (kiln_onnx_has(n, i) && rank != 3)
        kiln_onnx_refuse(n, "%s has rank %d, wanted 3", name, rank);
}

static void take_states(kiln_onnx_node *n, kiln_recurrent_params *p)
{
    p->lengths = kiln_onnx_in(n, LENGTHS);
    p->initial.h = turned(n, kiln_onnx_in(n, INITIAL_H), p->batch_first);
    p->initial.c = turned(n, kiln_onnx_in(n, INITIAL_C), p->batch_first);
}

/* y [T, N, D H] as [T, D, N, H], or [N, T, D H] as [N, T, D, H]. */
static kiln_tensor parted(kiln_onnx_node *n, kiln_tensor y, int directions, int64_t hidden, bool batch_first)
{
    static const int order[] = {0, 2, 1, 3};
    const kiln_shape shape = kiln_tensor_shape(n->g, y);
    if (!y.id)
        return y;
    y = kiln_reshape(n->g, y, KILN_SHAPE(shape.size[0], shape.size[1], directions, hidden));
    return batch_first ? y : kiln_transpose(n->g, y, order);
}

void kiln_onnx_build_recurrent(kiln_onnx_node *n)
{
    const struct kiln_onnx_cell *cell = n->row->cell;
    kiln_recurrent_params p = {.batch_first = kiln_onnx_int(n, "layout", 0) != 0,
                               .clip = kiln_onnx_real(n, "clip", 0),
                               .coupled = kiln_onnx_int(n, "input_forget", 0) != 0};
    kiln_recurrent_weights w[2];
    kiln_recurrent_states last;
    const kiln_shape r = kiln_onnx_spec(n, R).shape;
    const int64_t hidden = r.rank == 3 ? r.size[is_quantized(n) ? 1 : 2] : 0;
    if (hidden < 1 || hidden != kiln_onnx_int(n, "hidden_size", hidden))
        kiln_onnx_refuse(n, "R must be [directions, gates * hidden_size, hidden_size]");
    check_rank(n, W, "W");
    check_rank(n, INITIAL_H, "initial_h");
    check_rank(n, INITIAL_C, "initial_c");
    if (is_quantized(n) && (!kiln_onnx_has(n, W_SCALE) || !kiln_onnx_has(n, R_SCALE)))
        kiln_onnx_refuse(n, "W and R have no scale");
    if (n->refused || !take_direction(n, &p.direction))
        return;
    const int directions = p.direction == KILN_BIDIRECTIONAL ? 2 : 1;
    if (!take_squashings(n, cell, directions, &p))
        return;
    p.reset_before = cell == &kiln_onnx_gru && !kiln_onnx_int(n, "linear_before_reset", 0);
    take_states(n, &p);
    for (int d = 0; d < directions; d++)
        w[d] = weights_of(n, cell, hidden, d);
    const kiln_tensor y = cell->build(n->g, kiln_onnx_in(n, X), w, &p, &last);
    kiln_onnx_out(n, 0, parted(n, y, directions, hidden, p.batch_first));
    kiln_onnx_out(n, 1, turned(n, last.h, p.batch_first));
    kiln_onnx_out(n, 2, turned(n, last.c, p.batch_first));
}
