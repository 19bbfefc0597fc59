/*
 * onnx_linear.c - ONNX's LinearAttention and CausalConvWithState: their values by the standard's recurrences, computed here as
 * they are written, their gradients, and every device alike.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "onnx_text.h"
#include "support/support.h"

enum { MOST = 1024 };

/* Linear attention -------------------------------------------------------------------------------------- */

enum { QUERY, KEY, VALUE, STATE, DECAY, BETA };

static const struct linear_case {
    const char *attributes;
    int n, t, g, r, d, v; /* batch, steps, key heads, queries a key head, depth, width */
    int decay, beta;      /* numbers a head, or with beta -1 one for all heads; 0: none */
    bool past, state;     /* with an old state; the output looked at is the new state */
    double scale;         /* 0: 1 / sqrt(d) */
    const char *why;
} cases[] = {
    {"update_rule=\"linear\"", 2, 5, 3, 1, 4, 3, .why = "a sum"},
    {"update_rule=\"linear\", scale=0.5", 2, 4, 2, 2, 4, 3, .past = true, .scale = 0.5,
     .why = "a sum, on a state"},
    {"update_rule=\"gated\"", 2, 5, 2, 1, 4, 3, .decay = 4, .why = "a decay of each row"},
    {"update_rule=\"gated\"", 1, 5, 2, 3, 4, 3, .decay = 1, .past = true, .state = true,
     .why = "a decay of heads, its state"},
    {"update_rule=\"delta\"", 2, 5, 2, 2, 3, 4, .beta = 1, .why = "a correction"},
    {"update_rule=\"delta\", chunk_size=2", 2, 5, 2, 2, 3, 4, .beta = -1, .past = true,
     .why = "one rate for all heads"},
    {"", 2, 6, 2, 2, 3, 4, .decay = 1, .beta = 1, .past = true, .why = "the default rule"},
    {"update_rule=\"gated_delta\"", 2, 6, 1, 4, 3, 4, .decay = 3, .beta = -1, .state = true,
     .why = "one key head, its state"},
    {"update_rule=\"gated_delta\"", 2, 1, 2, 1, 3, 2, .decay = 3, .beta = 1, .past = true, .why = "one step"},
    {"update_rule=\"gated_delta\"", 1, 40, 1, 1, 2, 2, .decay = 2, .beta = 1, .why = "many steps"},
};

static kiln_tensor build_linear(kiln_graph *g, const void *one_case)
{
    const struct linear_case *c = one_case;
    char inputs[64] = "q k v", nodes[256];
    kiln_tensor out[2], in[8] = {kiln_test_onnx_operand(g, QUERY, KILN_SHAPE(c->n, c->t, c->g * c->r * c->d)),
                                 kiln_test_onnx_operand(g, KEY, KILN_SHAPE(c->n, c->t, c->g * c->d)),
                                 kiln_test_onnx_operand(g, VALUE, KILN_SHAPE(c->n, c->t, c->g * c->v))};
    int count = 3;
    if (c->past)
        in[count++] = kiln_test_onnx_operand(g, STATE, KILN_SHAPE(c->n, c->g, c->d, c->v)),
        strcat(inputs, " s");
    if (c->decay)
        in[count++] = kiln_test_onnx_operand(g, DECAY, KILN_SHAPE(c->n, c->t, c->g * c->decay)),
        strcat(inputs, " gate");
    if (c->beta)
        in[count++] = kiln_test_onnx_operand(g, BETA, KILN_SHAPE(c->n, c->t, c->beta < 0 ? 1 : c->g)),
        strcat(inputs, " rate");
    snprintf(nodes, sizeof nodes,
             "y, state = LinearAttention <q_num_heads=%d, kv_num_heads=%d, %s> (q, k, v, %s, %s, %s)",
             c->g * c->r, c->g, c->attributes, c->past ? "s" : "", c->decay ? "gate" : "",
             c->beta ? "rate" : "");
    const struct kiln_test_onnx model = {
        .opset = 27, .inputs = inputs, .outputs = c->state ? "state" : "y", .nodes = nodes};
    kiln_test_onnx_call(g, &model, in, out);
    return out[0];
}

/* One step of key head h in batch n: the state s [d, v] as the rule says. */
static void step(const struct linear_case *c, int64_t n, int64_t t, int64_t h, double *s)
{
    const int64_t row = n * c->t + t, head = row * c->g + h;
    for (int i = 0; i < c->d * c->v && c->decay; i++)
        s[i] *= exp(kiln_test_onnx_value(DECAY, head * c->decay + (c->decay > 1 ? i / c->v : 0)));
    for (int m = 0; m < c->v; m++) {
        double u = kiln_test_onnx_value(VALUE, head * c->v + m);
        for (int i = 0; i < c->d && c->beta; i++)
            u -= s[i * c->v + m] * kiln_test_onnx_value(KEY, head * c->d + i);
        if (c->beta)
            u *= kiln_test_onnx_value(BETA, c->beta < 0 ? row : head);
        for (int i = 0; i < c->d; i++)
            s[i * c->v + m] += kiln_test_onnx_value(KEY, head * c->d + i) * u;
    }
}

static size_t expected_linear(const struct linear_case *c, double *want)
{
    const double scale = c->scale ? c->scale : 1 / sqrt((double)c->d);
    double s[64];
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t h = 0; h < c->g; h++) {
            for (int i = 0; i < c->d * c->v; i++)
                s[i] = c->past ? (double)kiln_test_onnx_value(STATE, (n * c->g + h) * c->d * c->v + i) : 0;
            for (int64_t t = 0; t < c->t; t++) {
                step(c, n, t, h, s);
                for (int64_t r = 0; r < c->r && !c->state; r++)
                    for (int m = 0; m < c->v; m++) {
                        const int64_t q = ((n * c->t + t) * c->g + h) * c->r + r;
                        double *y = &want[q * c->v + m];
                        *y = 0;
                        for (int i = 0; i < c->d; i++)
                            *y += scale * kiln_test_onnx_value(QUERY, q * c->d + i) * s[i * c->v + m];
                    }
            }
            if (c->state)
                memcpy(want + (n * c->g + h) * c->d * c->v, s, (size_t)(c->d * c->v) * sizeof *s);
        }
    return (size_t)(c->state ? c->n * c->g * c->d * c->v : c->n * c->t * c->g * c->r * c->v);
}

Test(onnx_linear, attention_is_the_recurrence_of_the_standard)
{
    double want[MOST];
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_values(build_linear, &cases[i], want, expected_linear(&cases[i], want), 1e-12,
                           cases[i].why);
}

Test(onnx_linear, attention_has_the_gradients_of_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_gradient(build_linear, &cases[i], cases[i].why);
}

Test(onnx_linear, attention_is_the_same_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i += 3)
        kiln_expect_devices_agree(build_linear, &cases[i], true, 0, cases[i].why);
}

/* Causal convolution ------------------------------------------------------------------------------------ */

enum { X, FILTER, BIAS, PAST };

static const struct conv_case {
    const char *attributes;
    int n, c, l, k;
    bool bias, past, silu, state;
    const char *why;
} convs[] = {
    {"", 2, 3, 7, 4, .why = "zeros before the first"},
    {"activation=\"none\"", 2, 3, 7, 4, .bias = true, .past = true, .why = "a state before the first"},
    {"activation=\"silu\"", 2, 3, 5, 3, .past = true, .silu = true, .why = "silu"},
    {"activation=\"swish\"", 1, 2, 5, 3, .bias = true, .silu = true, .why = "swish"},
    {"activation=\"silu\"", 2, 3, 2, 5, .past = true, .silu = true, .state = true,
     .why = "a state that old places stay in"},
    {"", 2, 3, 2, 5, .state = true, .why = "a state that zeros stay in"},
    {"", 2, 3, 1, 4, .bias = true, .past = true, .why = "one step"},
    {"", 2, 1, 6, 1, .bias = true, .why = "a filter of one place"},
};

static kiln_tensor build_conv(kiln_graph *g, const void *one_case)
{
    const struct conv_case *c = one_case;
    char inputs[64] = "x w", nodes[256];
    kiln_tensor out[2], in[8] = {kiln_test_onnx_operand(g, X, KILN_SHAPE(c->n, c->c, c->l)),
                                 kiln_test_onnx_operand(g, FILTER, KILN_SHAPE(c->c, 1, c->k))};
    int count = 2;
    if (c->bias)
        in[count++] = kiln_test_onnx_operand(g, BIAS, KILN_SHAPE(c->c)), strcat(inputs, " b");
    if (c->past)
        in[count++] = kiln_test_onnx_operand(g, PAST, KILN_SHAPE(c->n, c->c, c->k - 1)), strcat(inputs, " s");
    snprintf(nodes, sizeof nodes, "y, state = CausalConvWithState <%s> (x, w, %s, %s)", c->attributes,
             c->bias ? "b" : "", c->past ? "s" : "");
    const struct kiln_test_onnx model = {
        .opset = 27, .inputs = inputs, .outputs = c->state ? "state" : "y", .nodes = nodes};
    kiln_test_onnx_call(g, &model, in, out);
    return out[0];
}

/* Place i of row `row` (batch and channel), negative before the first. */
static double place(const struct conv_case *c, int64_t row, int64_t i)
{
    if (i >= 0)
        return kiln_test_onnx_value(X, row * c->l + i);
    return c->past ? (double)kiln_test_onnx_value(PAST, row * (c->k - 1) + i + c->k - 1) : 0;
}

static size_t expected_conv(const struct conv_case *c, double *want)
{
    size_t count = 0;
    for (int64_t row = 0; row < (int64_t)c->n * c->c; row++) {
        for (int64_t i = c->l - c->k + 1; i < c->l && c->state; i++)
            want[count++] = place(c, row, i);
        for (int64_t i = 0; i < c->l && !c->state; i++) {
            const int64_t channel = row % c->c;
            double y = c->bias ? (double)kiln_test_onnx_value(BIAS, channel) : 0;
            for (int64_t k = 0; k < c->k; k++)
                y += kiln_test_onnx_value(FILTER, channel * c->k + k) * place(c, row, i + k - c->k + 1);
            want[count++] = c->silu ? y / (1 + exp(-y)) : y;
        }
    }
    return count;
}

Test(onnx_linear, convolution_sees_the_present_and_the_past)
{
    double want[MOST];
    for (size_t i = 0; i < KILN_COUNT(convs); i++) {
        kiln_expect_values(build_conv, &convs[i], want, expected_conv(&convs[i], want), 1e-12, convs[i].why);
        kiln_expect_gradient(build_conv, &convs[i], convs[i].why);
    }
}

Test(onnx_linear, convolution_is_the_same_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(convs); i += 2)
        kiln_expect_devices_agree(build_conv, &convs[i], true, 0, convs[i].why);
}
