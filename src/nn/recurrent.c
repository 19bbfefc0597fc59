/* recurrent.c - the recurrent layers: one cell or a stack of them, with PyTorch's names of weights. */
#include <math.h>
#include <stdio.h>

#include <kiln/extend.h>
#include <kiln/nn.h>
#include <kiln/ops.h>

#include "nn/layer.h"

/* A cell as the stack sees it. */
struct cell {
    const char *kind;
    int gates;
    kiln_tensor (*run)(kiln_graph *g, kiln_tensor x, const kiln_recurrent_weights *weights,
                       const kiln_recurrent_params *params, kiln_recurrent_states *last);
};

static const struct cell rnn = {"rnn", 1, kiln_rnn}, lstm = {"lstm", 4, kiln_lstm},
                         gru = {"gru", 3, kiln_gru};

enum { MOST_LAYERS = 64 };

/* A stack while it is built. */
struct stack {
    kiln_graph *g;
    const kiln_nn_recurrent_params *p;
    int gates, layers, directions;
    kiln_init init;
};

/* "weight_ih_l0", "weight_ih_l0_reverse": a weight of a layer in one direction. */
static kiln_tensor weight(const struct stack *s, const char *name, int layer, int direction, kiln_shape shape,
                          kiln_tensor x)
{
    char text[64];
    snprintf(text, sizeof text, "%s_l%d%s", name, layer, direction ? "_reverse" : "");
    return kiln_layer_parameter(s->g, text, shape, &s->init, x);
}

static kiln_recurrent_weights weights_of(const struct stack *s, int layer, int direction, kiln_tensor x)
{
    const int64_t rows = (int64_t)s->gates * s->p->units, features = kiln_tensor_shape(s->g, x).size[2];
    kiln_recurrent_weights w = {
        .input = weight(s, "weight_ih", layer, direction, KILN_SHAPE(rows, features), x),
        .hidden = weight(s, "weight_hh", layer, direction, KILN_SHAPE(rows, s->p->units), x),
    };
    if (!s->p->no_bias) {
        w.input_bias = weight(s, "bias_ih", layer, direction, KILN_SHAPE(rows), x);
        w.hidden_bias = weight(s, "bias_hh", layer, direction, KILN_SHAPE(rows), x);
    }
    if (s->p->peepholes)
        w.peephole = weight(s, "peephole", layer, direction, KILN_SHAPE(3 * s->p->units), x);
    return w;
}

/* The states of one layer, out of those of all. */
static kiln_tensor states_of(const struct stack *s, kiln_tensor all, int layer)
{
    return s->layers == 1 || !all.id
               ? all
               : kiln_slice(s->g, all, 0, layer * s->directions, (layer + 1) * s->directions, 1);
}

static kiln_tensor run_layer(const struct stack *s, const struct cell *cell, int layer, kiln_tensor x,
                             kiln_recurrent_states *last)
{
    kiln_recurrent_params p = s->p->cell;
    kiln_recurrent_weights w[2];
    for (int d = 0; d < s->directions; d++)
        w[d] = weights_of(s, layer, d, x);
    p.initial.h = states_of(s, s->p->cell.initial.h, layer);
    p.initial.c = states_of(s, s->p->cell.initial.c, layer);
    return cell->run(s->g, x, w, &p, last);
}

static bool check(const struct stack *s, const struct cell *cell, kiln_tensor x)
{
    const kiln_nn_recurrent_params *p = s->p;
    if (p->units < 1 || s->layers < 1 || s->layers > MOST_LAYERS || p->dropout < 0 || p->dropout >= 1)
        kiln_graph_fail(
            s->g, KILN_ERROR_ARGUMENT,
            "%s layer: %d units, %d layers, dropout %g; wanted at least 1 of each, at most %d layers, and "
            "dropout in [0, 1)",
            cell->kind, p->units, s->layers, p->dropout, MOST_LAYERS);
    else if (x.id && kiln_tensor_shape(s->g, x).rank != 3)
        kiln_graph_fail(s->g, KILN_ERROR_SHAPE, "%s layer: x has rank %d, wanted [T, N, I]", cell->kind,
                        kiln_tensor_shape(s->g, x).rank);
    return !kiln_graph_status(s->g) && kiln_layer_size(s->g, cell->kind, x, 2) > 0;
}

static kiln_tensor stack(kiln_graph *g, const struct cell *cell, kiln_tensor x,
                         const kiln_nn_recurrent_params *params, kiln_recurrent_states *last)
{
    const kiln_nn_recurrent_params none = {0}, *p = params ? params : &none;
    struct stack s = {.g = g,
                      .p = p,
                      .gates = cell->gates,
                      .layers = p->layers ? p->layers : 1,
                      .directions = p->cell.direction == KILN_BIDIRECTIONAL ? 2 : 1,
                      .init = p->init};
    kiln_tensor h[MOST_LAYERS], c[MOST_LAYERS];
    if (last)
        *last = (kiln_recurrent_states){KILN_NONE, KILN_NONE};
    if (!check(&s, cell, x))
        return KILN_NONE;
    if (s.init.kind == KILN_INIT_DEFAULT)
        s.init = (kiln_init){.kind = KILN_INIT_UNIFORM, .scale = 1 / sqrt(p->units)};

    kiln_layer_open(g, cell->kind, p->name);
    for (int l = 0; l < s.layers; l++) {
        kiln_recurrent_states own;
        if (l > 0 && p->dropout > 0)
            x = kiln_dropout(g, x, p->dropout);
        x = run_layer(&s, cell, l, x, &own);
        if (!x.id)
            break;
        h[l] = own.h;
        c[l] = own.c;
    }
    kiln_scope_close(g);
    if (last && x.id) {
        last->h = kiln_concat(g, h, s.layers, 0);
        last->c = c[0].id ? kiln_concat(g, c, s.layers, 0) : KILN_NONE;
    }
    return x;
}

kiln_tensor kiln_nn_rnn(kiln_graph *g, kiln_tensor x, const kiln_nn_recurrent_params *params,
                        kiln_recurrent_states *last)
{
    return stack(g, &rnn, x, params, last);
}

kiln_tensor kiln_nn_lstm(kiln_graph *g, kiln_tensor x, const kiln_nn_recurrent_params *params,
                         kiln_recurrent_states *last)
{
    return stack(g, &lstm, x, params, last);
}

kiln_tensor kiln_nn_gru(kiln_graph *g, kiln_tensor x, const kiln_nn_recurrent_params *params,
                        kiln_recurrent_states *last)
{
    return stack(g, &gru, x, params, last);
}
