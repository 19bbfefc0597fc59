/* attention.c - the attention layer: projections to queries, keys and values, attention, and a projection of what it found. */
#include <kiln/control.h>
#include <kiln/extend.h>
#include <kiln/nn.h>
#include <kiln/ops.h>

#include "nn/layer.h"

/* A layer while it is built. */
struct layer {
    kiln_graph *g;
    const kiln_nn_attention_params *p;
    kiln_init init;
    int64_t width, memory_width; /* of x and of what is looked up */
    int64_t kv_width;            /* of all keys: as many heads as they have, as wide as those of queries */
};

static bool sizes_fit(struct layer *l, kiln_tensor x, kiln_tensor memory)
{
    const kiln_attention_params *a = &l->p->attention;
    const int kv_heads = a->kv_heads ? a->kv_heads : a->heads;
    l->width = kiln_layer_size(l->g, "attention", x, -1);
    l->memory_width = memory.id ? kiln_layer_size(l->g, "attention", memory, -1) : l->width;
    if (l->width < 0 || l->memory_width < 0)
        return false;
    if (a->heads > 0 && kv_heads > 0 && a->heads % kv_heads == 0 && l->width % a->heads == 0) {
        l->kv_width = l->width / a->heads * kv_heads;
        return true;
    }
    kiln_graph_fail(l->g, KILN_ERROR_ARGUMENT,
                    "attention layer: %d heads, and %d of keys, for a width of %lld", a->heads, kv_heads,
                    (long long)l->width);
    return false;
}

/* Rows [first, first + count) of a weight or a bias. */
static kiln_tensor part(kiln_graph *g, kiln_tensor t, int64_t first, int64_t count)
{
    return kiln_slice(g, t, 0, first, first + count, 1);
}

static kiln_tensor project(kiln_graph *g, kiln_tensor x, kiln_tensor weight, kiln_tensor bias)
{
    const kiln_tensor y = kiln_matmul(g, x, weight, &(kiln_matmul_params){.transpose_b = true});
    return bias.id ? kiln_add(g, y, bias) : y;
}

/* Columns [first, first + count) of a projection. */
static kiln_tensor columns(kiln_graph *g, kiln_tensor t, int64_t first, int64_t count)
{
    return kiln_slice(g, t, 2, first, first + count, 1);
}

/* Hand out the probabilities where they are asked for. */
static void show(const struct layer *l, kiln_tensor q, kiln_tensor k, const kiln_attention_params *how)
{
    if (l->p->weights)
        *l->p->weights = kiln_attention_weights(l->g, q, k, how);
}

/* All of x's projection side by side. What was seen before is in the cache, which gets x's keys and values. */
static kiln_tensor attend_itself(const struct layer *l, kiln_tensor all)
{
    kiln_graph *g = l->g;
    kiln_nn_cache *cache = l->p->cache;
    kiln_attention_params how = l->p->attention;
    if (!cache && !l->p->weights)
        return kiln_attention(g, all, KILN_NONE, KILN_NONE, &how);
    const kiln_tensor q = columns(g, all, 0, l->width);
    kiln_tensor k = columns(g, all, l->width, l->kv_width),
                v = columns(g, all, l->width + l->kv_width, l->kv_width);
    if (cache) {
        k = cache->keys = kiln_put_at(g, cache->keys, k, 1, cache->at);
        v = cache->values = kiln_put_at(g, cache->values, v, 1, cache->at);
        how.causal = true;
        how.last = false;
        how.offset = cache->at;
    }
    show(l, q, k, &how);
    return kiln_attention(g, q, k, v, &how);
}

/* Queries, keys and values of one width: one product for all, or of two sources for queries and for the others. */
static kiln_tensor attend_one_weight(const struct layer *l, kiln_tensor x, kiln_tensor memory,
                                     kiln_tensor bias)
{
    kiln_graph *g = l->g;
    const int64_t all = l->width + 2 * l->kv_width;
    const kiln_tensor weight =
        kiln_layer_parameter(g, "in_proj_weight", KILN_SHAPE(all, l->width), &l->init, x);
    if (!memory.id)
        return attend_itself(l, project(g, x, weight, bias));
    const kiln_tensor q_bias = bias.id ? part(g, bias, 0, l->width) : KILN_NONE;
    const kiln_tensor kv_bias = bias.id ? part(g, bias, l->width, 2 * l->kv_width) : KILN_NONE;
    const kiln_tensor q = project(g, x, part(g, weight, 0, l->width), q_bias);
    const kiln_tensor kv = project(g, memory, part(g, weight, l->width, 2 * l->kv_width), kv_bias);
    if (l->p->weights)
        show(l, q, columns(g, kv, 0, l->kv_width), &l->p->attention);
    return kiln_attention(g, q, kv, KILN_NONE, &l->p->attention);
}

/* A memory of another width has weights of its own. */
static kiln_tensor attend_own_weights(const struct layer *l, kiln_tensor x, kiln_tensor memory,
                                      kiln_tensor bias)
{
    static const char *const names[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};
    const kiln_tensor from[] = {x, memory, memory};
    kiln_tensor y[3];
    int64_t first = 0;
    for (int i = 0; i < 3; i++) {
        const int64_t rows = i ? l->kv_width : l->width, columns = i ? l->memory_width : l->width;
        const kiln_tensor weight =
            kiln_layer_parameter(l->g, names[i], KILN_SHAPE(rows, columns), &l->init, x);
        y[i] = project(l->g, from[i], weight, bias.id ? part(l->g, bias, first, rows) : KILN_NONE);
        first += rows;
    }
    show(l, y[0], y[1], &l->p->attention);
    return kiln_attention(l->g, y[0], y[1], y[2], &l->p->attention);
}

kiln_tensor kiln_nn_attention(kiln_graph *g, kiln_tensor x, kiln_tensor memory,
                              const kiln_nn_attention_params *params)
{
    const kiln_nn_attention_params none = {0}, *p = params ? params : &none;
    struct layer l = {.g = g, .p = p, .init = p->init};
    if (l.init.kind == KILN_INIT_DEFAULT)
        l.init.kind = KILN_INIT_XAVIER;
    if (!sizes_fit(&l, x, memory))
        return KILN_NONE;
    if (p->cache && memory.id) {
        kiln_graph_fail(g, KILN_ERROR_ARGUMENT, "attention layer: a cache is for attention to x itself");
        return KILN_NONE;
    }

    kiln_layer_open(g, "attention", p->name);
    const int64_t all = l.width + 2 * l.kv_width;
    const kiln_tensor bias =
        p->no_bias ? KILN_NONE : kiln_layer_parameter(g, "in_proj_bias", KILN_SHAPE(all), &p->bias_init, x);
    const kiln_tensor found = l.memory_width == l.width ? attend_one_weight(&l, x, memory, bias)
                                                        : attend_own_weights(&l, x, memory, bias);
    const kiln_tensor y = kiln_nn_dense(g, found,
                                        &(kiln_nn_dense_params){.units = (int)l.width,
                                                                .no_bias = p->no_bias,
                                                                .init = l.init,
                                                                .bias_init = p->bias_init,
                                                                .name = "out_proj"});
    kiln_scope_close(g);
    return y;
}
