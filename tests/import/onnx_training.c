/*
 * onnx_training.c - ai.onnx.preview.training: gradients of a model's own values, taken where they stand and elsewhere, of first
 * and second order; and one step of each optimizer by the standard's formulas, as they are written.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_text.h"
#include "support/support.h"

enum { SIZE = 3, MOST = 64 };

#define TRAINING "ai.onnx.preview.training."
#define V        kiln_test_onnx_value

/* The model's outputs, all [SIZE], one behind the other. */
static kiln_tensor outputs(kiln_graph *g, const struct kiln_test_onnx *model, const kiln_tensor *in,
                           int count)
{
    kiln_tensor out[16];
    kiln_test_onnx_call(g, model, in, out);
    return kiln_concat(g, out, count, 0);
}

/* Gradients ------------------------------------------------------------------------------------------------ */

typedef double value_fn(int output, double a, double b);

static double sum(int output, double a, double b)
{
    (void)output, (void)a, (void)b;
    return 1;
}

static double product_and_sum(int output, double a, double b)
{
    return output ? a : b + 1;
}

static double elsewhere(int output, double a, double b)
{
    return output ? b : a;
}

static double cut(int output, double a, double b)
{
    (void)b;
    return output ? a * a : a;
}

static double once(int output, double a, double b)
{
    (void)output;
    return a * b;
}

static double second(int output, double a, double b)
{
    return output ? 6 * a * b : 3 * a * a * b;
}

static double none(int output, double a, double b)
{
    (void)b;
    return output ? 0 : 2 * a;
}

static const struct gradient_case {
    const char *nodes, *outputs;
    int count;
    value_fn *want;
    const char *why;
} gradients[] = {
    {"c = Add (a, b)\n"
     "da, db = " TRAINING "Gradient <xs=[\"a\", \"b\"], y=\"c\"> (a, b)",
     "da db", 2, sum, "a sum"},
    {"c = Add (a, b)\n"
     "d = Mul (c, a)\n"
     "e = Sub (d, b)\n"
     "s = Mul (a, b)\n"
     "t = Add (s, a)\n"
     "da, db = " TRAINING "Gradient <xs=[\"a\", \"b\"], y=\"t\"> (a, b)",
     "da db", 2, product_and_sum, "a product and a sum"},
    {"c = Mul (a, b)\n"
     "da, db = " TRAINING "Gradient <xs=[\"a\", \"b\"], y=\"c\"> (b, a)",
     "da db", 2, elsewhere, "taken where each is the other"},
    {"h = Mul (a, a)\n"
     "y = Mul (h, a)\n"
     "dh, da = " TRAINING "Gradient <xs=[\"h\", \"a\"], y=\"y\"> (h, a)",
     "dh da", 2, cut, "a value between, which is held"},
    {"h = Mul (a, b)\n"
     "y = Mul (h, a)\n"
     "da = " TRAINING "Gradient <xs=[\"a\"], zs=[\"h\"], y=\"y\"> (a, h)",
     "da", 1, once, "by one value, the other held"},
    {"s = Mul (a, a)\n"
     "t = Mul (s, a)\n"
     "y = Mul (t, b)\n"
     "da = " TRAINING "Gradient <xs=[\"a\"], zs=[\"b\"], y=\"y\"> (a, b)\n"
     "daa = " TRAINING "Gradient <xs=[\"a\"], zs=[\"b\"], y=\"da\"> (a, b)",
     "da daa", 2, second, "a gradient's gradient"},
    {"y = Mul (a, a)\n"
     "da, db = " TRAINING "Gradient <xs=[\"a\", \"b\"], y=\"y\"> (a, b)",
     "da db", 2, none, "by what it does not depend on"},
};

static kiln_tensor build_gradient(kiln_graph *g, const void *one_case)
{
    const struct gradient_case *c = one_case;
    const struct kiln_test_onnx model = {
        .opset = 15, .inputs = "a b", .outputs = c->outputs, .nodes = c->nodes};
    const kiln_tensor in[] = {kiln_test_onnx_operand(g, 0, KILN_SHAPE(SIZE)),
                              kiln_test_onnx_operand(g, 1, KILN_SHAPE(SIZE)), KILN_NONE};
    return outputs(g, &model, in, c->count);
}

Test(onnx_training, gradients_are_those_of_the_functions_that_nodes_name)
{
    double want[MOST];
    for (size_t i = 0; i < KILN_COUNT(gradients); i++) {
        const struct gradient_case *c = &gradients[i];
        for (int k = 0; k < c->count * SIZE; k++)
            want[k] = c->want(k / SIZE, V(0, k % SIZE), V(1, k % SIZE));
        kiln_expect_values(build_gradient, c, want, (size_t)(c->count * SIZE), 1e-12, c->why);
        kiln_expect_gradient(build_gradient, c, c->why);
        kiln_expect_devices_agree(build_gradient, c, false, 0, c->why);
    }
}

/* The gradient of a loss by a weight, and by the same weight where a kiln program takes it, are one. */
static kiln_tensor build_loss(kiln_graph *g, const void *one_case)
{
    const bool by_node = *(const bool *)one_case;
    const struct kiln_test_onnx model = {
        .opset = 15,
        .inputs = "x w t",
        .outputs = "loss dw",
        .nodes = "scores = Gemm (x, w)\n"
                 "loss = SoftmaxCrossEntropyLoss (scores, t)\n"
                 "dw = " TRAINING "Gradient <xs=[\"w\"], zs=[\"x\", \"t\"], y=\"loss\"> (w, x, t)"};
    int64_t classes[] = {2, 0, 1, 1};
    const kiln_tensor w = kiln_test_onnx_operand(g, 1, KILN_SHAPE(2, 3));
    const kiln_tensor in[] = {
        kiln_test_onnx_operand(g, 0, KILN_SHAPE(4, 2)), w,
        kiln_constant(g, &(kiln_array){.data = classes, .type = KILN_I64, .shape = KILN_SHAPE(4)}),
        KILN_NONE};
    kiln_tensor out[2], dw;
    kiln_test_onnx_call(g, &model, in, out);
    if (by_node)
        return out[1];
    kiln_gradient(g, out[0], KILN_NONE, &w, 1, &dw);
    return dw;
}

Test(onnx_training, a_loss_has_the_gradient_that_kiln_gives_it)
{
    const bool by_node = true, by_kiln = false;
    kiln_shape shape;
    double *want = kiln_test_eval(build_loss, &by_kiln, NULL, &shape);
    kiln_expect_values(build_loss, &by_node, want, (size_t)kiln_shape_count(&shape), 1e-12, "a loss");
    free(want);
}

Test(onnx_training, says_what_a_node_lacks)
{
    static const char *const nodes[] = {
        "da = " TRAINING "Gradient <xs=[\"a\"], y=\"nowhere\"> (a)",
        "c = Add (a, b)\nda = " TRAINING "Gradient <xs=[\"a\"], y=\"c\"> (a, b)",
        "da = " TRAINING
        "Momentum <alpha=0.9, beta=1.0, norm_coefficient=0.0, mode=\"none\"> (a, a, b, b, b)",
        "da = " TRAINING "Adam (a, a, b, b, b)",
    };
    const kiln_spec specs[] = {{KILN_F32, KILN_SHAPE(1)}, {KILN_F32, KILN_SHAPE(1)}};
    for (size_t i = 0; i < KILN_COUNT(nodes); i++) {
        const struct kiln_test_onnx model = {
            .opset = 15, .inputs = "a b", .outputs = "da", .nodes = nodes[i]};
        cr_expect(kiln_test_onnx_refused(&model, specs), "%s", nodes[i]);
    }
}

/* Optimizers ----------------------------------------------------------------------------------------------- */

enum { STATES = 2, RATE = 0 };

/* One element: x, its gradient and its states, as the standard's text has them. */
typedef void step_fn(double r, double t, double *x, double g, double *state);

static void adagrad(double r, double t, double *x, double g, double *h)
{
    g = 0.25 * *x + g;
    h[0] = h[0] + g * g;
    *x = *x - r / (1 + t * 0.125) * g / (sqrt(h[0]) + 0.0625);
}

static void adam(double r, double t, double *x, double g, double *s)
{
    g = 0.25 * *x + g;
    s[0] = 0.75 * s[0] + 0.25 * g;
    s[1] = 0.875 * s[1] + 0.125 * g * g;
    const double adjusted = t > 0 ? r * sqrt(1 - pow(0.875, t)) / (1 - pow(0.75, t)) : r;
    *x = *x - adjusted * s[0] / (sqrt(s[1]) + 0.0625);
    *x = (1 - 0.5) * *x;
}

static void standard(double r, double t, double *x, double g, double *v)
{
    g = 0.25 * *x + g;
    v[0] = 0.75 * v[0] + (t > 0 ? 0.5 : 1) * g;
    *x = *x - r * v[0];
}

static void nesterov(double r, double t, double *x, double g, double *v)
{
    g = 0.25 * *x + g;
    v[0] = 0.75 * v[0] + (t > 0 ? 0.5 : 1) * g;
    *x = *x - r * (g + 0.75 * v[0]);
}

static const struct step_case {
    const char *node;
    int states, tensors;
    int64_t t;
    step_fn *step;
} steps[] = {
    {"Adagrad <norm_coefficient=0.25, decay_factor=0.125, epsilon=0.0625>", 1, 1, 0, adagrad},
    {"Adagrad <norm_coefficient=0.25, decay_factor=0.125, epsilon=0.0625>", 1, 3, 5, adagrad},
    {"Adam <norm_coefficient=0.25, norm_coefficient_post=0.5, alpha=0.75, beta=0.875, epsilon=0.0625>", 2, 1,
     0, adam},
    {"Adam <norm_coefficient=0.25, norm_coefficient_post=0.5, alpha=0.75, beta=0.875, epsilon=0.0625>", 2, 2,
     3, adam},
    {"Momentum <norm_coefficient=0.25, alpha=0.75, beta=0.5, mode=\"standard\">", 1, 2, 0, standard},
    {"Momentum <norm_coefficient=0.25, alpha=0.75, beta=0.5, mode=\"standard\">", 1, 1, 7, standard},
    {"Momentum <norm_coefficient=0.25, alpha=0.75, beta=0.5, mode=\"nesterov\">", 1, 1, 0, nesterov},
    {"Momentum <norm_coefficient=0.25, alpha=0.75, beta=0.5, mode=\"nesterov\">", 1, 3, 7, nesterov},
};

/* Operand k of tensor i: x, the gradient, the states; sums of squares are positive. */
static double operand(const struct step_case *c, int k, int i, int e)
{
    const double value = V(1 + k * c->tensors + i, e);
    return k > 1 && c->step != standard && c->step != nesterov && k == 1 + c->states ? fabs(value) : value;
}

static kiln_tensor operand_of(kiln_graph *g, const struct step_case *c, int k, int i)
{
    float values[SIZE];
    for (int e = 0; e < SIZE; e++)
        values[e] = (float)operand(c, k, i, e);
    return kiln_test_values(g, KILN_SHAPE(SIZE), values);
}

static kiln_tensor build_step(kiln_graph *g, const void *one_case)
{
    const struct step_case *c = one_case;
    const int operands = (2 + c->states) * c->tensors, results = (1 + c->states) * c->tensors;
    char in_names[256] = "", out_names[256] = "", nodes[1024], name[16];
    kiln_tensor in[16] = {kiln_test_onnx_operand(g, RATE, KILN_SHAPE(1)),
                          kiln_scalar(g, KILN_I64, (double)c->t)};
    for (int i = 0; i < operands; i++) {
        snprintf(name, sizeof name, ", i%d", i);
        strcat(in_names, name);
        in[2 + i] = operand_of(g, c, i / c->tensors, i % c->tensors);
    }
    for (int i = 0; i < results; i++) {
        snprintf(name, sizeof name, "%so%d", i ? ", " : "", i);
        strcat(out_names, name);
    }
    snprintf(nodes, sizeof nodes, "%s = " TRAINING "%s (r, t%s)", out_names, c->node, in_names);
    for (char *at = in_names; *at; at++)
        *at = *at == ',' ? ' ' : *at;
    for (char *at = out_names; *at; at++)
        *at = *at == ',' ? ' ' : *at;
    char inputs[300];
    snprintf(inputs, sizeof inputs, "r t%s", in_names);
    const struct kiln_test_onnx model = {.opset = 15, .inputs = inputs, .outputs = out_names, .nodes = nodes};
    return outputs(g, &model, in, results);
}

Test(onnx_training, optimizers_step_as_the_standard_says)
{
    double want[MOST];
    for (size_t i = 0; i < KILN_COUNT(steps); i++) {
        const struct step_case *c = &steps[i];
        for (int k = 0; k < c->tensors * SIZE; k++) {
            const int tensor = k / SIZE, e = k % SIZE;
            double x = operand(c, 0, tensor, e), s[STATES] = {operand(c, 2, tensor, e), 0};
            if (c->states > 1)
                s[1] = operand(c, 3, tensor, e);
            c->step(V(RATE, 0), (double)c->t, &x, operand(c, 1, tensor, e), s);
            want[k] = x;
            for (int m = 0; m < c->states; m++)
                want[(1 + m) * c->tensors * SIZE + k] = s[m];
        }
        kiln_expect_values(build_step, c, want, (size_t)((1 + c->states) * c->tensors * SIZE), 1e-12,
                           c->node);
        kiln_expect_devices_agree(build_step, c, false, 0, c->node);
    }
}
