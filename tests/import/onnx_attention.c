/*
 * onnx_attention.c - ONNX's Attention: its values by the standard's pattern, computed here as it is written, its gradients, and
 * every device alike, for attributes and inputs that ONNX's public cases leave out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_text.h"
#include "support/support.h"

enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };
enum mask_kind { NO_MASK, TRUTH, TRUTH_OF_HEADS, BIAS, BIAS_OF_KEYS, SHORT_TRUTH, SHORT_BIAS, DEAD_ROWS };

static const struct attention_case {
    int64_t n, h, g, l, s, d, v,
        past;               /* batch, heads, key heads, queries, new keys, depth, width, old keys */
    const char *attributes; /* as the model has them; and again what of them the pattern reads: */
    double scale, cap;
    int64_t left, right; /* less by one than the attribute: 0 is none */
    int shows;
    bool causal, rows, lengths;
    enum mask_kind mask;
    int output;
    const char *why;
} cases[] = {
    {2, 3, 3, 4, 6, 8, 5, .attributes = "", .why = "nothing but operands"},
    {2, 6, 2, 4, 6, 8, 5, .attributes = "scale=0.25", .scale = 0.25, .mask = BIAS, .why = "grouped"},
    {2, 4, 2, 5, 3, 4, 3, .attributes = "is_causal=1", .causal = true,
     .why = "causal, with more queries than keys"},
    {2, 4, 2, 3, 7, 4, 3, .attributes = "is_causal=1", .causal = true, .rows = true,
     .why = "causal, with fewer queries"},
    {2, 4, 2, 3, 3, 4, 3, 5, "is_causal=1", .causal = true, .why = "the last queries"},
    {2, 4, 2, 3, 2, 4, 3, 5, "is_causal=1", .causal = true, .rows = true,
     .why = "an old cache that says the offset"},
    {2, 4, 2, 3, 2, 4, 3, 5, "", .rows = true, .output = PRESENT_KEY, .why = "keys, old and new"},
    {2, 4, 2, 3, 2, 4, 3, 5, "", .output = PRESENT_VALUE, .why = "values, old and new"},
    {2, 4, 2, 3, 2, 4, 3, 0, "", .rows = true, .output = PRESENT_VALUE,
     .why = "new values alone, heads apart"},
    {3, 2, 2, 4, 9, 4, 3, .attributes = "", .lengths = true, .why = "keys that count"},
    {3, 2, 2, 4, 9, 4, 3, .attributes = "is_causal=1", .causal = true, .lengths = true,
     .why = "a cache kept outside"},
    {3, 2, 1, 4, 9, 4, 3, .attributes = "is_causal=1, qk_matmul_output_mode=3", .causal = true,
     .lengths = true, .mask = TRUTH, .output = SCORES, .shows = 3,
     .why = "a cache kept outside, its probabilities"},
    {2, 3, 3, 4, 6, 4, 3, .attributes = "softcap=0.5", .cap = 0.5, .mask = TRUTH,
     .why = "a cap, truth values"},
    {2, 3, 3, 4, 6, 4, 3, .attributes = "", .mask = TRUTH_OF_HEADS, .rows = true,
     .why = "truth values of heads"},
    {2, 3, 3, 4, 6, 4, 3, .attributes = "is_causal=1", .causal = true, .mask = BIAS_OF_KEYS,
     .why = "a bias of keys"},
    {2, 3, 3, 4, 6, 4, 3, .attributes = "", .mask = SHORT_TRUTH, .why = "truth values of the first keys"},
    {2, 3, 3, 4, 2, 4, 3, 4, "is_causal=1", .causal = true, .mask = SHORT_BIAS,
     .why = "a bias of the first keys"},
    {2, 3, 3, 4, 6, 4, 3, .attributes = "", .mask = DEAD_ROWS, .why = "queries that see nothing"},
    {2, 3, 3, 4, 6, 4, 3, .attributes = "qk_matmul_output_mode=3", .mask = DEAD_ROWS, .output = SCORES,
     .shows = 3, .why = "probabilities of queries that see nothing"},
    {2, 3, 3, 5, 8, 4, 3, .attributes = "left_window_size=2, right_window_size=1", .left = 3, .right = 2,
     .why = "a window"},
    {2, 3, 3, 5, 4, 4, 3, 4, "left_window_size=1, is_causal=1", .left = 2, .causal = true, .mask = BIAS,
     .why = "a window, behind an old cache"},
    {3, 2, 2, 4, 9, 4, 3, .attributes = "right_window_size=0, qk_matmul_output_mode=3", .right = 1,
     .lengths = true, .output = SCORES, .shows = 3, .why = "a window in a cache kept outside"},
    {2, 4, 2, 3, 4, 4, 3, .attributes = "softcap=0.5", .cap = 0.5, .mask = BIAS, .output = SCORES,
     .why = "products"},
    {2, 4, 2, 3, 4, 4, 3, 2, "softcap=0.5, qk_matmul_output_mode=1", .cap = 0.5, .shows = 1, .mask = BIAS,
     .rows = true, .output = SCORES, .why = "capped products"},
    {2, 4, 2, 3, 4, 4, 3, .attributes = "softcap=0.5, qk_matmul_output_mode=2", .cap = 0.5, .shows = 2,
     .mask = BIAS, .output = SCORES, .why = "biased products"},
    {2, 4, 2, 3, 4, 4, 3, .attributes = "qk_matmul_output_mode=3, scale=2.0", .scale = 2, .shows = 3,
     .output = SCORES, .why = "probabilities"},
    {2, 3, 3, 4, 6, 4, 3, .attributes = "softmax_precision=1", .why = "a softmax in single precision"},
    {2, 3, 3, 4, 6, 4, 3, .attributes = "softmax_precision=11, scale=0.0", .scale = 1e-30,
     .why = "a scale of nothing"},
};

/* By output: the others that a node has, and those that the model has. */
static const char *const output_names[] = {"", ", key, value", ", key, value", ", , , scores"};
static const char *const output_list[] = {"y", "key", "value", "scores"};

static int64_t length_of(const struct attention_case *c, int64_t n)
{
    return n == 0 ? c->s : n == 1 ? c->l - 2 : c->l + n; /* all; fewer than queries; some more */
}

/* Operands ---------------------------------------------------------------------------------------------- */

static kiln_tensor keys_or_values(kiln_graph *g, const struct attention_case *c, int k, int64_t width)
{
    return kiln_test_onnx_operand(g, k,
                                  c->rows ? KILN_SHAPE(c->n, c->s, c->g * width)
                                          : KILN_SHAPE(c->n, c->g, c->s, width));
}

static kiln_shape mask_shape(const struct attention_case *c)
{
    const int64_t keys = c->past + c->s;
    switch (c->mask) {
    case TRUTH:
        return KILN_SHAPE(c->l, keys);
    case TRUTH_OF_HEADS:
        return KILN_SHAPE(c->h, c->l, keys);
    case BIAS_OF_KEYS:
        return KILN_SHAPE(c->n, 1, 1, keys);
    case SHORT_TRUTH:
    case SHORT_BIAS:
        return KILN_SHAPE(c->l, keys - 2);
    default:
        return KILN_SHAPE(c->n, c->h, c->l, keys);
    }
}

static bool is_truth(const struct attention_case *c)
{
    return c->mask == TRUTH || c->mask == TRUTH_OF_HEADS || c->mask == SHORT_TRUTH;
}

/* What the mask adds at its element i; DEAD_ROWS: every second row sees nothing. */
static double mask_value(const struct attention_case *c, int64_t i)
{
    const kiln_shape shape = mask_shape(c);
    if (is_truth(c))
        return kiln_test_onnx_value(7, i) > -0.4 ? 0 : -INFINITY;
    return c->mask == DEAD_ROWS && i / shape.size[shape.rank - 1] % 2 ? -INFINITY
                                                                      : (double)kiln_test_onnx_value(7, i);
}

static kiln_tensor mask(kiln_graph *g, const struct attention_case *c)
{
    const kiln_shape shape = mask_shape(c);
    const int64_t count = kiln_shape_count(&shape);
    float *values = malloc((size_t)count * sizeof *values);
    uint8_t *truth = malloc((size_t)count);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)mask_value(c, i);
        truth[i] = values[i] == 0;
    }
    const kiln_tensor t =
        is_truth(c) ? kiln_constant(g, &(kiln_array){.data = truth, .type = KILN_BOOL, .shape = shape})
        : c->mask == DEAD_ROWS ? kiln_constant(g, &(kiln_array){.data = values, .shape = shape})
                               : kiln_test_values(g, shape, values);
    free(values);
    free(truth);
    return t;
}

static kiln_tensor lengths(kiln_graph *g, const struct attention_case *c)
{
    int64_t value[8];
    for (int64_t n = 0; n < c->n; n++)
        value[n] = length_of(c, n);
    return kiln_constant(g, &(kiln_array){.data = value, .type = KILN_I64, .shape = KILN_SHAPE(c->n)});
}

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct attention_case *c = one_case;
    const int64_t past = c->past;
    char inputs[64] = "q k v", heads[64] = "", nodes[320];
    kiln_tensor out[4], in[8] = {kiln_test_onnx_operand(g, 0,
                                                        c->rows ? KILN_SHAPE(c->n, c->l, c->h * c->d)
                                                                : KILN_SHAPE(c->n, c->h, c->l, c->d)),
                                 keys_or_values(g, c, 1, c->d), keys_or_values(g, c, 2, c->v)};
    int count = 3;
    if (c->mask)
        in[count++] = mask(g, c), strcat(inputs, " mask");
    if (past) {
        in[count++] = kiln_test_onnx_operand(g, 3, KILN_SHAPE(c->n, c->g, past, c->d));
        in[count++] = kiln_test_onnx_operand(g, 4, KILN_SHAPE(c->n, c->g, past, c->v));
        strcat(inputs, " pk pv");
    }
    if (c->lengths)
        in[count++] = lengths(g, c), strcat(inputs, " lengths");
    if (c->rows)
        snprintf(heads, sizeof heads, "q_num_heads=%d, kv_num_heads=%d", (int)c->h, (int)c->g);
    snprintf(nodes, sizeof nodes, "y%s = Attention <%s, %s> (q, k, v, %s, %s, %s)", output_names[c->output],
             c->attributes, heads, c->mask ? "mask" : "", past ? "pk, pv" : ",", c->lengths ? "lengths" : "");
    const struct kiln_test_onnx model = {
        .opset = 25, .inputs = inputs, .outputs = output_list[c->output], .nodes = nodes};
    kiln_test_onnx_call(g, &model, in, out);
    return out[0];
}

/* The standard's pattern -------------------------------------------------------------------------------- */

/* Element (n, head, i, e) of an operand that is [N, heads, L, E], or [N, L, heads E]. */
static double element(const struct attention_case *c, int k, int64_t heads, int64_t length, int64_t width,
                      int64_t n, int64_t head, int64_t i, int64_t e)
{
    return kiln_test_onnx_value(k, c->rows ? ((n * length + i) * heads + head) * width + e
                                           : ((n * heads + head) * length + i) * width + e);
}

/* Of keys (k 1, past 3) or values (2, 4), at a place among old and new ones. */
static double cached(const struct attention_case *c, int k, int64_t n, int64_t head, int64_t j, int64_t width,
                     int64_t e)
{
    if (j < c->past)
        return kiln_test_onnx_value(k + 2, ((n * c->g + head) * c->past + j) * width + e);
    return element(c, k, c->g, c->s, width, n, head, j - c->past, e);
}

static double mask_at(const struct attention_case *c, int64_t n, int64_t h, int64_t i, int64_t j)
{
    const kiln_shape shape = mask_shape(c);
    const int64_t at[] = {n, h, i, j}, keys = shape.size[shape.rank - 1];
    int64_t index = 0;
    if (!c->mask)
        return 0;
    if (j >= keys)
        return -INFINITY;
    for (int axis = 0; axis < shape.rank; axis++)
        index = index * shape.size[axis] + (shape.size[axis] > 1 ? at[4 - shape.rank + axis] : 0);
    return mask_value(c, index);
}

/* 0 where query i sees key j, else -infinity; and the mask. */
static double bias_at(const struct attention_case *c, int64_t n, int64_t h, int64_t i, int64_t j)
{
    const int64_t offset = c->past ? c->past : c->lengths ? length_of(c, n) - c->l : 0, back = i + offset - j;
    const bool seen = (!c->causal || back >= 0) && (!c->left || back < c->left) &&
                      (!c->right || -back < c->right) && (!c->lengths || j < length_of(c, n));
    return seen ? mask_at(c, n, h, i, j) : -INFINITY;
}

/* One query's row: scores as the fourth output shows them, and y. */
static void pattern(const struct attention_case *c, int64_t n, int64_t h, int64_t i, double *shown, double *y)
{
    const int64_t keys = c->past + c->s, head = h / (c->h / c->g);
    const double scale = c->scale ? c->scale : 1 / sqrt((double)c->d);
    double p[32], most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < keys; j++) {
        double dot = 0;
        for (int64_t e = 0; e < c->d; e++)
            dot += element(c, 0, c->h, c->l, c->d, n, h, i, e) * cached(c, 1, n, head, j, c->d, e);
        const double raw = dot * scale, capped = c->cap ? c->cap * tanh(raw / c->cap) : raw;
        p[j] = capped + bias_at(c, n, h, i, j);
        shown[j] = c->shows == 0 ? raw : c->shows == 1 ? capped : p[j];
        most = fmax(most, p[j]);
    }
    for (int64_t j = 0; j < keys; j++)
        sum += p[j] = most > -INFINITY ? exp(p[j] - most) : 0;
    for (int64_t j = 0; j < keys; j++) {
        p[j] = sum > 0 ? p[j] / sum : 0;
        if (c->shows == 3)
            shown[j] = p[j];
    }
    for (int64_t e = 0; e < c->v; e++) {
        y[e] = 0;
        for (int64_t j = 0; j < keys; j++)
            y[e] += p[j] * cached(c, 2, n, head, j, c->v, e);
    }
}

static size_t expected_cache(const struct attention_case *c, double *want)
{
    const bool key = c->output == PRESENT_KEY;
    const int64_t width = key ? c->d : c->v;
    size_t count = 0;
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t head = 0; head < c->g; head++)
            for (int64_t j = 0; j < c->past + c->s; j++)
                for (int64_t e = 0; e < width; e++)
                    want[count++] = cached(c, key ? 1 : 2, n, head, j, width, e);
    return count;
}

static size_t expected(const struct attention_case *c, double *want)
{
    const int64_t keys = c->past + c->s;
    double shown[32], y[32];
    if (c->output == PRESENT_KEY || c->output == PRESENT_VALUE)
        return expected_cache(c, want);
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t h = 0; h < c->h; h++)
            for (int64_t i = 0; i < c->l; i++) {
                const int64_t at = c->rows ? (n * c->l + i) * c->h + h : (n * c->h + h) * c->l + i;
                pattern(c, n, h, i, shown, y);
                if (c->output == Y)
                    memcpy(want + at * c->v, y, (size_t)c->v * sizeof *y);
                else
                    memcpy(want + ((n * c->h + h) * c->l + i) * keys, shown, (size_t)keys * sizeof *shown);
            }
    return (size_t)(c->n * c->h * c->l * (c->output == Y ? c->v : keys));
}

Test(onnx_attention, is_the_pattern_of_the_standard)
{
    static double want[4096];
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_values(build, &cases[i], want, expected(&cases[i], want), 1e-12, cases[i].why);
}

Test(onnx_attention, has_the_gradients_of_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        if (cases[i].shows != 2) /* differences of infinities are no numbers */
            kiln_expect_gradient(build, &cases[i], cases[i].why);
}

/* What is not kiln's own attention alone, which tests/ops/attention.c has on every device. */
Test(onnx_attention, is_the_same_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        if (cases[i].shows != 2 && (cases[i].output == SCORES || cases[i].left || cases[i].past))
            kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
}

/* Sizes that are all symbols, the mask's own too, of which no file says that they are sums of others. */
static const struct attention_case free_cases[] = {
    {2, 2, 1, 3, 3, 4, 3, 5, "is_causal=1", .causal = true, .mask = SHORT_BIAS,
     .why = "an old cache, the first keys' bias"},
    {2, 2, 1, 4, 2, 4, 3, 3, "is_causal=1", .causal = true, .mask = TRUTH,
     .why = "more queries than new keys"},
    {2, 2, 1, 3, 2, 4, 3, 4, "qk_matmul_output_mode=3", .shows = 3, .mask = SHORT_TRUTH, .output = SCORES,
     .why = "probabilities"},
};

enum { BATCH = -1, QUERIES = -2, KEYS = -3, OLD = -4, ROWS = -5, COLUMNS = -6, OPERANDS = 6 };

static void load_free(const struct attention_case *c, kiln_graph **g, kiln_weights **w)
{
    const kiln_spec specs[OPERANDS] = {{KILN_F32, KILN_SHAPE(BATCH, c->h, QUERIES, c->d)},
                                       {KILN_F32, KILN_SHAPE(BATCH, c->g, KEYS, c->d)},
                                       {KILN_F32, KILN_SHAPE(BATCH, c->g, KEYS, c->v)},
                                       {is_truth(c) ? KILN_BOOL : KILN_F32, KILN_SHAPE(ROWS, COLUMNS)},
                                       {KILN_F32, KILN_SHAPE(BATCH, c->g, OLD, c->d)},
                                       {KILN_F32, KILN_SHAPE(BATCH, c->g, OLD, c->v)}};
    char nodes[160];
    snprintf(nodes, sizeof nodes, "y%s = Attention <%s> (q, k, v, mask, pk, pv)", output_names[c->output],
             c->attributes);
    const struct kiln_test_onnx model = {
        .opset = 24, .inputs = "q k v mask pk pv", .outputs = output_list[c->output], .nodes = nodes};
    cr_assert_eq(kiln_test_onnx_load(g, w, &model, specs, NULL), KILN_OK, "%s", c->why);
}

/* Operand i as build() has it. */
static void write_operand(kiln_program *p, const kiln_graph *g, const struct attention_case *c, int i)
{
    static const int streams[OPERANDS] = {0, 1, 2, 7, 3, 4};
    const kiln_shape shapes[OPERANDS] = {
        KILN_SHAPE(c->n, c->h, c->l, c->d),    KILN_SHAPE(c->n, c->g, c->s, c->d),
        KILN_SHAPE(c->n, c->g, c->s, c->v),    mask_shape(c),
        KILN_SHAPE(c->n, c->g, c->past, c->d), KILN_SHAPE(c->n, c->g, c->past, c->v)};
    const bool is_mask = i == 3;
    float values[256];
    uint8_t truth[256];
    for (int64_t k = 0; k < kiln_shape_count(&shapes[i]); k++) {
        values[k] = is_mask ? (float)mask_value(c, k) : kiln_test_onnx_value(streams[i], k);
        truth[k] = values[k] == 0;
    }
    const bool bits = is_mask && is_truth(c);
    const kiln_array a = {.data = bits ? (void *)truth : values,
                          .type = bits ? KILN_BOOL : KILN_F32,
                          .shape = shapes[i]};
    for (int k = 0; k < kiln_program_input_count(p); k++) /* scores need no values */
        if (kiln_program_input(p, k).id == kiln_graph_input(g, i).id)
            cr_assert_eq(kiln_program_write(p, kiln_graph_input(g, i), &a), KILN_OK, "%s", c->why);
}

/* Sums of at most 9 products of float32. */
Test(onnx_attention, takes_sizes_that_only_a_run_knows)
{
    for (size_t i = 0; i < KILN_COUNT(free_cases); i++)
        for (int k = 0; kiln_test_device(k); k++) {
            const struct attention_case *c = &free_cases[i];
            kiln_device *dev = kiln_test_open(kiln_test_device(k));
            kiln_graph *g;
            kiln_weights *w;
            kiln_program *p;
            double want[512], got[512];
            float values[512];
            load_free(c, &g, &w);
            cr_assert_eq(kiln_program_create(&p, dev, g, w, NULL), KILN_OK);
            for (int n = 0; n < OPERANDS; n++)
                write_operand(p, g, c, n);
            cr_assert_eq(kiln_program_run(p), KILN_OK, "%s", c->why);
            kiln_array to = {.data = values, .bytes = sizeof values};
            cr_assert_eq(kiln_program_read(p, kiln_graph_output(g, 0), &to), KILN_OK);
            for (int64_t n = 0; n < kiln_shape_count(&to.shape); n++)
                got[n] = values[n];
            kiln_expect_close(got, want, expected(c, want), 1e-5, c->why);
            kiln_program_destroy(&p);
            kiln_weights_destroy(&w);
            kiln_graph_destroy(&g);
            kiln_test_close(&dev);
        }
}
