/* cache.c - attention that meets its sequence a piece at a time; what it looks at, as a value. */
#include <kiln/control.h>
#include <kiln/nn.h>
#include <kiln/ops.h>

#include <math.h>
#include <string.h>

#include "support/support.h"

#define TRY(...) cr_assert_eq((__VA_ARGS__), KILN_OK)

enum { N = 2, TARGET = 5, SOURCE = 7, WIDTH = 12, ROOM = 6 };

static kiln_tensor fixed(kiln_graph *g, int64_t length, int seed)
{
    float values[N * SOURCE * WIDTH];
    for (int i = 0; i < N * length * WIDTH; i++)
        values[i] = (float)((i * 37 + seed * 11) % 41) / 20 - 1;
    return kiln_constant(g, &(kiln_array){.data = values, .shape = KILN_SHAPE(N, length, WIDTH)});
}

/* The largest difference of two values, as the device computes it. */
static void expect_alike(kiln_device *dev, const char *device, kiln_graph *g, kiln_tensor a, kiln_tensor b)
{
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    float apart = NAN;
    const kiln_tensor y = kiln_reduce_max(g, kiln_abs(g, kiln_sub(g, a, b)), NULL);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    TRY(kiln_weights_create(&w, g, NULL));
    TRY(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}));
    TRY(kiln_program_run(p));
    TRY(kiln_program_read(p, y, &(kiln_array){.data = &apart, .bytes = sizeof apart}));
    cr_expect(apart < 1e-5f, "%s: apart by %g", device, (double)apart); /* values of 1, sums of 12 products */
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
}

/* The decoder's layer on pieces that begin at first[i]. */
static kiln_tensor by_pieces(kiln_graph *g, kiln_tensor x, kiln_tensor memory, kiln_nn_transformer_params p,
                             const int *first, int pieces)
{
    const kiln_tensor zero = kiln_scalar(g, KILN_F32, 0),
                      room = kiln_expand(g, zero, KILN_SHAPE(N, ROOM, WIDTH));
    kiln_nn_cache cache = {.keys = room, .values = room};
    kiln_tensor y[TARGET];
    p.cache = &cache;
    for (int i = 0; i < pieces; i++) {
        cache.at = kiln_scalar(g, KILN_I32, first[i]);
        y[i] = kiln_nn_decoder_layer(g, kiln_slice(g, x, 1, first[i], first[i + 1], 1), memory, &p);
    }
    return kiln_concat(g, y, pieces, 1);
}

static void expect_pieces(kiln_device *dev, const char *device, const int *first, int pieces)
{
    kiln_graph *g = NULL;
    TRY(kiln_graph_create(&g, NULL));
    const kiln_tensor x = fixed(g, TARGET, 1), memory = fixed(g, SOURCE, 2);
    const kiln_nn_transformer_params p = {.attention = {.heads = 4, .kv_heads = 4, .causal = true},
                                          .hidden = 20,
                                          .norm_first = true,
                                          .name = "layer"};
    const kiln_tensor whole = kiln_nn_decoder_layer(g, x, memory, &p);
    expect_alike(dev, device, g, whole, by_pieces(g, x, memory, p, first, pieces));
    kiln_graph_destroy(&g);
}

Test(cache, pieces_give_what_the_whole_gives)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        expect_pieces(dev, kiln_test_device(d), (const int[]){0, 1, 2, 3, 4, 5}, 5);
        expect_pieces(dev, kiln_test_device(d), (const int[]){0, 2, 3, 5}, 3);
        kiln_test_close(&dev);
    }
}

Test(cache, of_attention_to_a_memory_is_refused)
{
    kiln_graph *g = NULL;
    kiln_nn_cache cache = {KILN_NONE, KILN_NONE, KILN_NONE};
    TRY(kiln_graph_create(&g, NULL));
    const kiln_tensor x = fixed(g, TARGET, 1), memory = fixed(g, SOURCE, 2);
    const kiln_nn_attention_params p = {.attention = {.heads = 4}, .cache = &cache};
    cr_expect_eq(kiln_nn_attention(g, x, memory, &p).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_ARGUMENT);
    kiln_graph_destroy(&g);
}

/* Weights times values are what attention gives ------------------------------------------------------------ */

static void expect_weights(kiln_device *dev, const char *device, kiln_graph *g, kiln_attention_params p)
{
    const kiln_tensor q = fixed(g, TARGET, 3), k = fixed(g, SOURCE, 4), v = fixed(g, SOURCE, 5);
    const int kv = p.kv_heads ? p.kv_heads : p.heads;
    const int64_t depth = WIDTH / p.heads;
    const kiln_tensor keys = kiln_slice(g, k, 2, 0, kv * depth, 1),
                      values = kiln_slice(g, v, 2, 0, kv * depth, 1);
    const kiln_tensor y = kiln_attention(g, q, keys, values, &p);
    const kiln_tensor weights = kiln_attention_weights(g, q, keys, &p); /* [N, H, L, S] */
    const int order[] = {0, 2, 1, 3};
    kiln_tensor each = kiln_transpose(g, kiln_reshape(g, values, KILN_SHAPE(N, SOURCE, kv, depth)), order);
    each = kiln_repeat(g, each, p.heads / kv, 1);
    const kiln_tensor found = kiln_transpose(g, kiln_matmul(g, weights, each, NULL), order);
    expect_alike(dev, device, g, y, kiln_reshape(g, found, KILN_SHAPE(N, TARGET, WIDTH)));
}

Test(cache, weights_times_values_are_what_attention_finds)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        for (int i = 0; i < 7; i++) {
            kiln_graph *g = NULL;
            int32_t lengths[N] = {3, 0}, offsets[N] = {2, -1};
            float hidden[TARGET * SOURCE] = {0};
            for (int k = 0; k <= SOURCE; k++) /* a query that sees nothing, and one that sees not all */
                hidden[k] = -INFINITY;
            TRY(kiln_graph_create(&g, NULL));
            const kiln_tensor l =
                kiln_constant(g, &(kiln_array){.data = lengths, .type = KILN_I32, .shape = KILN_SHAPE(N)});
            const kiln_tensor o =
                kiln_constant(g, &(kiln_array){.data = offsets, .type = KILN_I32, .shape = KILN_SHAPE(N)});
            const kiln_tensor bias =
                kiln_slice(g, kiln_slice(g, fixed(g, SOURCE, 6), 0, 0, 1, 1), 2, 0, SOURCE, 1);
            const kiln_array never = {.data = hidden, .shape = KILN_SHAPE(TARGET, SOURCE)};
            const kiln_attention_params cases[] = {
                {.heads = 3},
                {.heads = 4, .kv_heads = 2, .lengths = l},
                {.heads = 2, .causal = true, .last = true},
                {.heads = 2, .causal = true, .offset = o, .softcap = 0.5},
                {.heads = 1, .causal = true, .lengths = l, .scale = 2},
                {.heads = 2, .mask = kiln_slice(g, bias, 1, 0, TARGET, 1)},
                {.heads = 2, .mask = kiln_constant(g, &never)},
            };
            expect_weights(dev, kiln_test_device(d), g, cases[i]);
            kiln_graph_destroy(&g);
        }
        kiln_test_close(&dev);
    }
}

/* Layers hand them out: of a decoder those of the memory, of which no more than `lengths` is seen. */
Test(cache, layers_say_what_they_look_at)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_graph *g = NULL;
        int32_t lengths[N] = {3, 7};
        kiln_tensor to_memory = KILN_NONE, to_itself = KILN_NONE;
        TRY(kiln_graph_create(&g, NULL));
        const kiln_tensor l =
            kiln_constant(g, &(kiln_array){.data = lengths, .type = KILN_I32, .shape = KILN_SHAPE(N)});
        kiln_nn_transformer_params p = {.attention = {.heads = 4, .causal = true},
                                        .cross = {.lengths = l},
                                        .hidden = 20,
                                        .weights = &to_memory,
                                        .name = "decoder"};
        kiln_nn_decoder_layer(g, fixed(g, TARGET, 1), fixed(g, SOURCE, 2), &p);
        const kiln_nn_transformer_params q = {.attention = {.heads = 4, .causal = true},
                                              .hidden = 20,
                                              .weights = &to_itself,
                                              .name = "encoder"};
        kiln_nn_encoder_layer(g, fixed(g, SOURCE, 2), &q);
        const kiln_shape memory = kiln_tensor_shape(g, to_memory), itself = kiln_tensor_shape(g, to_itself);
        cr_expect(kiln_shape_equal(&memory, &KILN_SHAPE(N, 4, TARGET, SOURCE)));
        cr_expect(kiln_shape_equal(&itself, &KILN_SHAPE(N, 4, SOURCE, SOURCE)));

        /* what is seen sums to 1: of sentence 0 its 3 places, of query i the places up to i */
        const kiln_reduce_params keys = {.axes = KILN_AXES(3)};
        const kiln_tensor first = kiln_slice(g, kiln_slice(g, to_memory, 0, 0, 1, 1), 3, 0, 3, 1);
        const kiln_tensor sums = kiln_sum(g, first, &keys), below = kiln_triangular(g, to_itself, 0, false);
        expect_alike(dev, kiln_test_device(d), g, sums, kiln_ones_like(g, sums));
        const kiln_tensor rows = kiln_sum(g, below, &keys);
        expect_alike(dev, kiln_test_device(d), g, rows, kiln_ones_like(g, rows));
        kiln_graph_destroy(&g);
        kiln_test_close(&dev);
    }
}
