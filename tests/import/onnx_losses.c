/*
 * onnx_losses.c - SoftmaxCrossEntropyLoss and NegativeLogLikelihoodLoss: values by the standard's formulas, as they are written,
 * and gradients, for every reduction, with and without weights and an index that is ignored.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "onnx_text.h"
#include "support/support.h"

enum { CLASSES = 4, MOST = 256 };
enum reduction { MEAN, SUM, NONE };

#define V kiln_test_onnx_value

static const struct loss_case {
    int opset;
    const char *attributes;
    kiln_shape x; /* [N, CLASSES, ..] */
    enum reduction reduction;
    bool soft, weighted, ignores; /* soft: cross-entropy */
    int ignored;
    bool log_probabilities; /* the output looked at is the second */
    const char *why;
} cases[] = {
    {12, "", {2, {5, CLASSES}}, MEAN, .why = "a likelihood"},
    {13,
     "reduction=\"sum\"",
     {2, {5, CLASSES}},
     SUM,
     .weighted = true,
     .why = "a sum of likelihoods, weighted"},
    {13, "reduction=\"none\"", {3, {2, CLASSES, 3}}, NONE, .weighted = true, .why = "likelihoods"},
    {13,
     "reduction=\"mean\", ignore_index=2",
     {4, {2, CLASSES, 2, 3}},
     MEAN,
     .weighted = true,
     .ignores = true,
     .ignored = 2,
     .why = "a weighted mean, one class ignored"},
    {22,
     "ignore_index=-3",
     {3, {2, CLASSES, 5}},
     MEAN,
     .ignores = true,
     .ignored = -3,
     .why = "a mark for none"},
    {22,
     "reduction=\"none\", ignore_index=1",
     {5, {2, CLASSES, 2, 1, 2}},
     NONE,
     .ignores = true,
     .ignored = 1,
     .why = "likelihoods, one class ignored"},
    {12, "", {2, {5, CLASSES}}, MEAN, .soft = true, .why = "a cross-entropy"},
    {13,
     "reduction=\"sum\", ignore_index=0",
     {3, {2, CLASSES, 3}},
     SUM,
     .soft = true,
     .weighted = true,
     .ignores = true,
     .ignored = 0,
     .why = "a weighted sum, the first class ignored"},
    {13, "reduction=\"none\"", {4, {2, CLASSES, 2, 3}}, NONE, .soft = true, .why = "cross-entropies"},
    {13,
     "ignore_index=7",
     {3, {2, CLASSES, 3}},
     MEAN,
     .soft = true,
     .weighted = true,
     .ignores = true,
     .ignored = 7,
     .why = "a weighted mean, a mark for none"},
    {13,
     "",
     {3, {2, CLASSES, 3}},
     MEAN,
     .soft = true,
     .log_probabilities = true,
     .why = "logarithms of probabilities"},
};

/* Positions: all but the classes. */
static int64_t positions(const struct loss_case *c)
{
    return kiln_shape_count(&c->x) / CLASSES;
}

static int64_t behind(const struct loss_case *c)
{
    return positions(c) / c->x.size[0];
}

/* The class at position i; every fourth is the one ignored. */
static int64_t target(const struct loss_case *c, int64_t i)
{
    return c->ignores && i % 4 == 1 ? c->ignored : (i * 7 + i / 3) % CLASSES;
}

static float weight(int64_t class)
{
    return 0.5f + (float)class / 4;
}

static kiln_tensor weights(kiln_graph *g)
{
    float values[CLASSES];
    for (int i = 0; i < CLASSES; i++)
        values[i] = weight(i);
    return kiln_constant(g, &(kiln_array){.data = values, .shape = KILN_SHAPE(CLASSES)});
}

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct loss_case *c = one_case;
    kiln_shape shape = {.rank = c->x.rank - 1, .size = {c->x.size[0]}};
    int64_t targets[MOST];
    char nodes[256];
    for (int i = 1; i < shape.rank; i++)
        shape.size[i] = c->x.size[i + 1];
    for (int64_t i = 0; i < positions(c); i++)
        targets[i] = target(c, i);
    kiln_tensor out[1],
        in[4] = {kiln_test_onnx_operand(g, 0, c->x),
                 kiln_constant(g, &(kiln_array){.data = targets, .type = KILN_I64, .shape = shape})};
    if (c->weighted)
        in[2] = weights(g);
    snprintf(nodes, sizeof nodes, "loss%s = %s <%s> (x, t%s)", c->soft ? ", logs" : "",
             c->soft ? "SoftmaxCrossEntropyLoss" : "NegativeLogLikelihoodLoss", c->attributes,
             c->weighted ? ", w" : "");
    const struct kiln_test_onnx model = {.opset = c->opset,
                                         .inputs = c->weighted ? "x t w" : "x t",
                                         .outputs = c->log_probabilities ? "logs" : "loss",
                                         .nodes = nodes};
    kiln_test_onnx_call(g, &model, in, out);
    return out[0];
}

/* The score of a class at position i, or with `soft` the logarithm of its probability. */
static double logarithm(const struct loss_case *c, int64_t i, int64_t class)
{
    const int64_t first = i / behind(c) * CLASSES * behind(c) + i % behind(c);
    double sum = 0;
    for (int64_t k = 0; k < CLASSES; k++)
        sum += exp(V(0, first + k * behind(c)));
    return V(0, first + class * behind(c)) - (c->soft ? log(sum) : 0);
}

static size_t expected(const struct loss_case *c, double *want)
{
    double sum = 0, total = 0;
    for (int64_t i = 0; i < positions(c) && c->log_probabilities; i++)
        for (int64_t k = 0; k < CLASSES; k++)
            want[(i / behind(c) * CLASSES + k) * behind(c) + i % behind(c)] = logarithm(c, i, k);
    if (c->log_probabilities)
        return (size_t)kiln_shape_count(&c->x);
    for (int64_t i = 0; i < positions(c); i++) {
        const int64_t class = target(c, i);
        const bool counts = !c->ignores || class != c->ignored;
        const double w = !counts ? 0 : c->weighted ? (double)weight(class) : 1;
        want[i] = counts ? -logarithm(c, i, class) * w : 0;
        sum += want[i], total += w;
    }
    if (c->reduction == NONE)
        return (size_t)positions(c);
    want[0] = c->reduction == SUM ? sum : sum / total;
    return 1;
}

Test(onnx_losses, are_those_of_the_standard)
{
    double want[MOST];
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_values(build, &cases[i], want, expected(&cases[i], want), 1e-12, cases[i].why);
        kiln_expect_gradient(build, &cases[i], cases[i].why);
    }
}

Test(onnx_losses, are_the_same_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i += 3)
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
}

Test(onnx_losses, know_three_reductions)
{
    const struct kiln_test_onnx model = {.opset = 13,
                                         .inputs = "x t",
                                         .outputs = "loss",
                                         .nodes =
                                             "loss = SoftmaxCrossEntropyLoss <reduction=\"median\"> (x, t)"};
    const kiln_spec specs[] = {{KILN_F32, KILN_SHAPE(2, CLASSES)}, {KILN_I64, KILN_SHAPE(2)}};
    cr_expect(kiln_test_onnx_refused(&model, specs));
}

/* Whether a loss of two rows whose labels the model itself has is refused. */
static bool refuses_labels(const char *labels, const char *attributes)
{
    char nodes[160];
    snprintf(nodes, sizeof nodes,
             "t = Constant <value_ints=%s> ()\nloss = NegativeLogLikelihoodLoss <%s> (x, t)", labels,
             attributes);
    const struct kiln_test_onnx model = {.opset = 13, .inputs = "x", .outputs = "loss", .nodes = nodes};
    return kiln_test_onnx_refused(&model, &(kiln_spec){KILN_F32, KILN_SHAPE(2, CLASSES)});
}

Test(onnx_losses, labels_that_are_known_are_classes)
{
    cr_expect(refuses_labels("[0, 3]", "reduction=\"sum\"") == false);
    cr_expect(refuses_labels("[0, 4]", "reduction=\"sum\""));
    cr_expect(refuses_labels("[-1, 3]", "reduction=\"sum\""));
    cr_expect(refuses_labels("[-1, 3]", "ignore_index=-1") == false);
    cr_expect(refuses_labels("[-2, 3]", "ignore_index=-1"));
}
