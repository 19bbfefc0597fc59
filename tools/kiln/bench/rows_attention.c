/* rows_attention.c - attention, and what else a transformer is made of: layer normalization, tables of embeddings. */
#include "row.h"

/* One batch of attention of `size` tokens, and with `train` back to its operands. */
static kiln_status build(struct bench_work *w, const struct bench_row *row)
{
    kiln_graph *g = w->graph;
    const struct bench_attention *a = &row->as.attention;
    const kiln_attention_params params = {.causal = a->causal};
    kiln_tensor x[3], dx[4];

    for (int i = 0; i < 3; i++)
        x[i] = kiln_input(g, (const char *const[]){"q", "k", "v"}[i], KILN_F32,
                          KILN_SHAPE(1, a->heads, row->size, 64));
    dx[3] = kiln_attention(g, x[0], x[1], x[2], &params);
    if (!a->train)
        return bench_keep(w, dx[3]);
    kiln_gradient(g, dx[3], x[0], x, 3, dx);
    return bench_keep(w, kiln_concat(g, dx, 4, 0));
}

static kiln_status build_layer_norm(struct bench_work *w, const struct bench_row *row)
{
    kiln_graph *g = w->graph;
    const kiln_shape each = KILN_SHAPE(row->size);
    const kiln_tensor x = bench_matrix(w, "x", 4096, row->size);
    const kiln_tensor scale = kiln_parameter(g, "scale", each, NULL),
                      bias = kiln_parameter(g, "bias", each, NULL);
    const kiln_tensor by[] = {x, scale, bias}, y = kiln_layer_norm(g, x, -1, scale, bias, 0);
    kiln_tensor dx[4];

    kiln_gradient(g, y, x, by, 3, dx);
    dx[3] = y;
    for (int i = 0; i < 4; i++)
        dx[i] = kiln_reshape(g, dx[i], KILN_SHAPE(KILN_REST));
    return bench_keep(w, kiln_concat(g, dx, 4, 0));
}

/* The gradient of a table of 30,000 rows of 256, of which `size` are picked. */
static kiln_status build_embedding(struct bench_work *w, const struct bench_row *row)
{
    kiln_graph *g = w->graph;
    const kiln_tensor table = kiln_parameter(g, "table", KILN_SHAPE(30000, 256), NULL);
    const kiln_tensor index = kiln_input(g, "index", KILN_I32, KILN_SHAPE(row->size));
    kiln_tensor gradient;

    kiln_gradient(g, kiln_embedding(g, table, index, NULL), KILN_NONE, &table, 1, &gradient);
    return bench_keep(w, gradient);
}

/* Two products forward; five back, one of which brings the scores again. */
#define FLOPS(heads, length, products) (2.0 * 64 * (products) * (heads) * (length) * (length))

static const struct bench_row rows[] = {
    {"attention 197 h3 d64", build, 197, 16, 0, FLOPS(3, 197, 2), .as.attention = {3}},
    {"attention 1024 h8 d64", build, 1024, 1, 0, FLOPS(8, 1024, 2), .as.attention = {8}},
    {"attention 1024 h8 d64, causal", build, 1024, 1, 0, FLOPS(8, 1024, 1),
     .as.attention = {8, .causal = true}},
    {"train attention 1024 h8 d64", build, 1024, 1, 0, FLOPS(8, 1024, 7), .as.attention = {8, .train = true}},
    {"train layer norm 4096x768", build_layer_norm, 768, 1, 0, 0, 3 * 12 * BENCH_MIB},
    {"train embedding 30000x256, 2048 rows", build_embedding, 2048, 1, 0, 0, (30000.0 + 2048) * 256 * 4},
};

const struct bench_rows bench_attention = {rows, sizeof rows / sizeof *rows};
