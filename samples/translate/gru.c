/*
 * gru.c - a GRU reads the source both ways, another writes, and looks at each of its steps where in the source it is: additive
 * attention (Bahdanau, Cho and Bengio 2015).
 *
 *   a[s]    = softmax over s of  v . tanh(query(h) + key(memory[s]))
 *   context = sum over s of  a[s] memory[s]
 *   h'      = GRU([token, context], h)
 *   scores  = dense([h', context, token])
 */
#include "translate.h"

enum { MEMORY, KEYS, LENGTHS };

static void encode(kiln_graph *g, const struct config *c, kiln_tensor source, kiln_tensor lengths,
                   struct values *seen, struct values *carried)
{
    kiln_recurrent_states last;
    kiln_scope_open(g, "encoder");
    const kiln_tensor x = kiln_dropout(g, embed(g, "tokens", source, c->sources, c), c->dropout);
    const kiln_tensor memory =
        kiln_nn_gru(g, x,
                    &(kiln_nn_recurrent_params){
                        .units = c->width / 2,
                        .cell = {.direction = KILN_BIDIRECTIONAL, .batch_first = true, .lengths = lengths},
                        .name = "gru"},
                    &last); /* [N, S, W], [2, N, W / 2] */
    const int64_t rows = kiln_tensor_shape(g, lengths).size[0];
    const kiln_tensor ends = kiln_transpose(g, last.h, (const int[]){1, 0, 2});
    const kiln_tensor h =
        kiln_tanh(g, dense(g, "first", kiln_reshape(g, ends, KILN_SHAPE(rows, c->width)), c->width));
    const kiln_tensor keys = dense(g, "keys", memory, c->width);
    kiln_scope_close(g);
    *seen = (struct values){.of = {memory, keys, lengths}, .count = 3};
    *carried = (struct values){.of = {h}, .count = 1};
}

/* How much of each source: h [N, W] -> [N, S]. */
static kiln_tensor look(kiln_graph *g, const struct config *c, kiln_tensor h, const kiln_tensor *seen)
{
    const kiln_tensor query = kiln_unsqueeze(g, dense(g, "query", h, c->width), 1);
    const kiln_tensor energy =
        kiln_squeeze(g, dense(g, "energy", kiln_tanh(g, kiln_add(g, seen[KEYS], query)), 1), 2);
    const kiln_tensor there = kiln_less(g, kiln_positions(g, energy, 1), kiln_unsqueeze(g, seen[LENGTHS], 1));
    return kiln_softmax(g, kiln_where(g, there, energy, kiln_scalar(g, KILN_F32, -1e9)), 1);
}

/* out: h', context [N, W], where it looked [N, S]. */
static void cell(kiln_graph *g, const struct config *c, kiln_tensor token, kiln_tensor h,
                 const kiln_tensor *seen, kiln_tensor out[3])
{
    kiln_recurrent_states last;
    out[2] = look(g, c, h, seen);
    out[1] = kiln_squeeze(g, kiln_matmul(g, kiln_unsqueeze(g, out[2], 1), seen[MEMORY], NULL), 1);
    const kiln_tensor x = kiln_concat(g, (const kiln_tensor[]){token, out[1]}, 2, 1);
    kiln_nn_gru(g, kiln_unsqueeze(g, x, 0),
                &(kiln_nn_recurrent_params){
                    .units = c->width, .cell = {.initial = {.h = kiln_unsqueeze(g, h, 0)}}, .name = "gru"},
                &last);
    out[0] = kiln_squeeze(g, last.h, 0);
}

static kiln_tensor scores_of(kiln_graph *g, const struct config *c, const kiln_tensor parts[3], int axis)
{
    return dense(g, "scores", kiln_dropout(g, kiln_concat(g, parts, 3, axis), c->dropout), c->targets);
}

/* The cell as a body: token [N, W], h, memory, keys, lengths -> h', context, where it looked, and h' again to go on. */
static kiln_graph *make_body(const struct config *c)
{
    kiln_graph *g = NULL;
    kiln_tensor out[3];
    if (kiln_graph_create(&g, &(kiln_graph_params){.name = "cell"}))
        return NULL;
    const int64_t source = kiln_dim(g, "source");
    const kiln_tensor token = kiln_input(g, "token", KILN_F32, KILN_SHAPE(KILN_BATCH, c->width));
    const kiln_tensor h = kiln_input(g, "state", KILN_F32, KILN_SHAPE(KILN_BATCH, c->width));
    const kiln_shape memory = KILN_SHAPE(KILN_BATCH, source, c->width);
    const kiln_tensor seen[] = {kiln_input(g, "memory", KILN_F32, memory),
                                kiln_input(g, "keys", KILN_F32, memory),
                                kiln_input(g, "lengths", KILN_I32, KILN_SHAPE(KILN_BATCH))};
    cell(g, c, token, h, seen, out);
    kiln_output(g, "found", out[0]);
    kiln_output(g, "context", out[1]);
    kiln_output(g, "map", out[2]);
    kiln_output(g, "next", out[0]);
    return g;
}

static kiln_tensor teach(kiln_graph *g, const struct config *c, kiln_tensor given, const struct values *seen,
                         const struct values *carried, kiln_tensor *map)
{
    kiln_graph *body = make_body(c);
    kiln_tensor out[4] = {KILN_NONE, KILN_NONE, KILN_NONE, KILN_NONE}; /* [N, T, ..] */
    if (!body)
        return KILN_NONE;
    kiln_scope_open(g, "decoder");
    const kiln_tensor tokens = kiln_dropout(g, embed(g, "tokens", given, c->targets, c), c->dropout);
    kiln_scan(g, body,
              &(kiln_scan_params){.each = {tokens},
                                  .carry = {carried->of[0]},
                                  .with = {seen->of[MEMORY], seen->of[KEYS], seen->of[LENGTHS]},
                                  .axis = 1},
              out);
    if (map)
        *map = out[2];
    const kiln_tensor scores = scores_of(g, c, (const kiln_tensor[]){out[0], out[1], tokens}, 2);
    kiln_scope_close(g);
    kiln_graph_destroy(&body);
    return scores;
}

static kiln_tensor step(kiln_graph *g, const struct config *c, kiln_tensor token, kiln_tensor at,
                        const struct values *seen, struct values *carried)
{
    kiln_tensor out[3];
    (void)at;
    kiln_scope_open(g, "decoder");
    const kiln_tensor x = embed(g, "tokens", token, c->targets, c);
    cell(g, c, x, carried->of[0], seen->of, out);
    const kiln_tensor scores = scores_of(g, c, (const kiln_tensor[]){out[0], out[1], x}, 1);
    kiln_scope_close(g);
    carried->of[0] = out[0];
    return scores;
}

const struct model gru = {"gru", encode, teach, step};
