/*
 * onnx_modes.c - what differs between training and inference, in each version of the standard: batch normalization by its
 * formulas, as they are written, and dropout by what it must be, whatever is drawn.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_text.h"
#include "support/support.h"

enum { MOST = 256 };

#define V kiln_test_onnx_value

/* Batch normalization -------------------------------------------------------------------------------------- */

enum { X, SCALE, BIAS, MEAN, VARIANCE };

static const struct norm_case {
    int opset;
    const char *attributes, *outputs; /* the node's, of which `output` is looked at */
    int output;
    kiln_shape x;
    double epsilon, momentum; /* as in the attributes; 0: the defaults */
    bool training, places, half;
    const char *why;
} norms[] = {
    {1, "is_test=1, consumed_inputs=[0, 0, 0, 1, 1]", "y", 0, {4, {2, 3, 2, 2}}, .why = "the first version"},
    {1,
     "momentum=0.75, consumed_inputs=[0, 0, 0, 1, 1]",
     "y, m, v, sm, sv",
     0,
     {4, {2, 3, 2, 2}},
     .training = true,
     .why = "the first version, training"},
    {6, "is_test=1, epsilon=0.25", "y", 0, {3, {2, 3, 4}}, 0.25, .why = "an epsilon"},
    {6,
     "momentum=0.75",
     "y, m, v, sm, sv",
     1,
     {3, {2, 3, 4}},
     0,
     0.75,
     .training = true,
     .why = "a running mean"},
    {6, "is_test=1, spatial=0", "y", 0, {3, {2, 3, 4}}, .places = true, .why = "each place"},
    {7,
     "spatial=0",
     "y, m, v",
     0,
     {4, {5, 3, 2, 2}},
     .training = true,
     .places = true,
     .why = "each place, training"},
    {7,
     "spatial=0, momentum=0.5",
     "y, m, v",
     2,
     {3, {5, 3, 2}},
     0,
     0.5,
     .training = true,
     .places = true,
     .why = "each place's running variance"},
    {7, "spatial=1", "y", 0, {2, {4, 3}}, .why = "rows"},
    {9, "", "y, m, v, sm, sv", 3, {4, {2, 3, 2, 2}}, .training = true, .why = "the batch's mean"},
    {9,
     "epsilon=0.5",
     "y, m, v, sm, sv",
     4,
     {4, {2, 3, 2, 2}},
     0.5,
     .training = true,
     .why = "the batch's variance"},
    {9, "", "y", 0, {1, {7}}, .why = "one channel"},
    {9, "momentum=0.25", "y, m, v", 0, {1, {7}}, 0, 0.25, .training = true, .why = "one channel, training"},
    {14, "momentum=0.25", "y", 0, {4, {2, 3, 2, 2}}, .why = "inference"},
    {14,
     "training_mode=1, momentum=0.25",
     "y, m, v",
     0,
     {4, {2, 3, 2, 2}},
     0,
     0.25,
     .training = true,
     .why = "training"},
    {15,
     "training_mode=1, momentum=0.25",
     "y, m, v",
     1,
     {5, {2, 3, 2, 1, 2}},
     0,
     0.25,
     .training = true,
     .why = "a running mean, three axes"},
    {15, "training_mode=1", "y, m, v", 2, {3, {2, 3, 4}}, .training = true, .why = "a running variance"},
    {15, "training_mode=1", "y", 0, {3, {2, 3, 4}}, .training = true, .why = "training without statistics"},
    {15,
     "epsilon=0.0",
     "y",
     0,
     {3, {2, 3, 4}},
     1e-300,
     .half = true,
     .why = "halves, statistics in single precision"},
    {15,
     "training_mode=1",
     "y, m, v",
     0,
     {3, {2, 3, 4}},
     .training = true,
     .half = true,
     .why = "halves, training"},
};

/* Scale, bias, mean and variance: as long as there are channels, or places. */
static int64_t vector_size(const struct norm_case *c)
{
    int64_t size = 1;
    for (int i = 1; i < c->x.rank; i++)
        size *= i == 1 || c->places ? c->x.size[i] : 1;
    return size;
}

static kiln_shape vector_shape(const struct norm_case *c)
{
    return c->places ? kiln_shape_of(c->x.rank - 1, c->x.size + 1) : KILN_SHAPE(vector_size(c));
}

static double number(int k, int64_t i)
{
    return k == VARIANCE ? fabs((double)V(k, i)) + 0.5 : (double)V(k, i);
}

static kiln_tensor vector(kiln_graph *g, const struct norm_case *c, int k)
{
    float values[MOST];
    for (int64_t i = 0; i < vector_size(c); i++)
        values[i] = (float)number(k, i);
    return kiln_test_values(g, vector_shape(c), values);
}

static kiln_tensor build_norm(kiln_graph *g, const void *one_case)
{
    static const char *const names[] = {"y", "m", "v", "sm", "sv"};
    const struct norm_case *c = one_case;
    char nodes[256];
    kiln_tensor out[1], in[] = {kiln_test_onnx_operand(g, X, c->x),
                                vector(g, c, SCALE),
                                vector(g, c, BIAS),
                                vector(g, c, MEAN),
                                vector(g, c, VARIANCE),
                                KILN_NONE};
    for (int i = X; i <= BIAS && c->half; i++)
        in[i] = kiln_cast(g, in[i], KILN_F16);
    snprintf(nodes, sizeof nodes, "%s = BatchNormalization <%s> (x, s, b, mean, variance)", c->outputs,
             c->attributes);
    const struct kiln_test_onnx model = {
        .opset = c->opset, .inputs = "x s b mean variance", .outputs = names[c->output], .nodes = nodes};
    kiln_test_onnx_call(g, &model, in, out);
    cr_expect_eq(kiln_tensor_type(g, out[0]), c->half && !c->output ? KILN_F16 : KILN_F32, "%s", c->why);
    return kiln_cast(g, out[0], KILN_F32);
}

/* Which statistic element i of x belongs to. */
static int64_t owner(const struct norm_case *c, int64_t i)
{
    int64_t behind = 1, all = 1;
    for (int k = 1; k < c->x.rank; k++) {
        behind *= k > 1 ? c->x.size[k] : 1;
        all *= c->x.size[k];
    }
    return c->places ? i % all : c->x.rank < 2 ? 0 : i / behind % c->x.size[1];
}

static void statistics(const struct norm_case *c, double *mean, double *variance)
{
    const int64_t count = kiln_shape_count(&c->x), own = vector_size(c);
    for (int64_t k = 0; k < own; k++) {
        double n = 0;
        mean[k] = variance[k] = 0;
        for (int64_t i = 0; i < count; i++)
            if (owner(c, i) == k)
                mean[k] += V(X, i), n++;
        mean[k] /= n;
        for (int64_t i = 0; i < count; i++)
            if (owner(c, i) == k)
                variance[k] += (V(X, i) - mean[k]) * (V(X, i) - mean[k]) / n;
    }
}

static size_t expected_norm(const struct norm_case *c, double *want)
{
    const double epsilon = c->epsilon ? c->epsilon : 1e-5, momentum = c->momentum ? c->momentum : 0.9;
    const int64_t count = kiln_shape_count(&c->x), own = vector_size(c);
    double mean[MOST], variance[MOST];
    statistics(c, mean, variance);
    for (int64_t k = 0; k < own && c->output; k++) {
        const double now = c->output % 2 ? mean[k] : variance[k];
        want[k] = c->output > 2 ? now : number(c->output + 2, k) * momentum + now * (1 - momentum);
    }
    for (int64_t i = 0; i < count && !c->output; i++) {
        const int64_t k = owner(c, i);
        const double m = c->training ? mean[k] : number(MEAN, k),
                     v = c->training ? variance[k] : number(VARIANCE, k);
        want[i] = (V(X, i) - m) / sqrt(v + epsilon) * number(SCALE, k) + number(BIAS, k);
    }
    return (size_t)(c->output ? own : count);
}

/* Attributes are float32: a momentum of 0.9 is off by 2.4e-8, an epsilon of 1e-5 by 2.5e-13, which small variances magnify. */
Test(onnx_modes, batch_normalization_is_that_of_the_standard)
{
    double want[MOST];
    for (size_t i = 0; i < KILN_COUNT(norms); i++)
        kiln_expect_values(build_norm, &norms[i], want, expected_norm(&norms[i], want), 1e-7, norms[i].why);
}

Test(onnx_modes, batch_normalization_has_gradients_in_training)
{
    for (size_t i = 0; i < KILN_COUNT(norms); i++)
        if (!norms[i].half) /* whose gradients are rounded */
            kiln_expect_gradient(build_norm, &norms[i], norms[i].why);
}

Test(onnx_modes, batch_normalization_is_the_same_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(norms); i++)
        if (norms[i].training && !norms[i].half)
            kiln_expect_devices_agree(build_norm, &norms[i], false, 0, norms[i].why);
}

/* Running statistics that are initializers: the batch's count where the file trains, and by them where the caller does. */
static void run_learned(bool train, double *y)
{
    float vectors[4][2], x[4];
    kiln_array arrays[4];
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 2; i++)
            vectors[k][i] = (float)number(SCALE + k, i);
        arrays[k] = (kiln_array){.data = vectors[k], .shape = KILN_SHAPE(2)};
    }
    for (int i = 0; i < 4; i++)
        x[i] = V(X, i);
    const struct kiln_test_onnx model = {
        .opset = 15,
        .inputs = "x",
        .outputs = "y",
        .nodes = "y, m, v = BatchNormalization <training_mode=1> (x, s, b, mean, var)",
        .initializers = "s b mean var",
        .initializer = arrays};
    const kiln_spec spec = {KILN_F32, KILN_SHAPE(2, 2)};
    const kiln_array in = {.data = x, .shape = KILN_SHAPE(2, 2)};
    kiln_device *dev = kiln_test_open("cpu");
    kiln_graph *g;
    kiln_weights *w;
    kiln_program *p;
    float got[4];
    cr_assert_eq(kiln_test_onnx_load(&g, &w, &model, &spec, &(kiln_onnx_params){.train = train}), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, NULL), KILN_OK);
    cr_assert_eq(kiln_program_write(p, kiln_graph_input(g, 0), &in), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    cr_assert_eq(kiln_program_read(p, kiln_graph_output(g, 0),
                                   &(kiln_array){.data = got, .bytes = sizeof got}),
                 KILN_OK);
    for (int i = 0; i < 4; i++)
        y[i] = got[i];
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

Test(onnx_modes, batch_normalization_keeps_the_mode_of_the_file_unless_asked)
{
    struct norm_case c = {.opset = 15, .x = {2, {2, 2}}, .training = true};
    double want[4], got[4];
    run_learned(false, got);
    expected_norm(&c, want);
    kiln_expect_close(got, want, 4, 1e-6, "as the file says");
    c.training = false;
    run_learned(true, got);
    expected_norm(&c, want);
    kiln_expect_close(got, want, 4, 1e-6, "inference of a network that the caller trains");
}

/* Dropout -------------------------------------------------------------------------------------------------- */

enum { ROWS = 40, COLUMNS = 50, COUNT = ROWS * COLUMNS };

static const struct drop_case {
    int opset;
    const char *attributes, *inputs; /* of the node, behind x */
    double rate;
    int training; /* -1: an input that is not known while reading, and true; -2: and false */
    bool half;
    const char *why;
} drops[] = {
    {1, "is_test=1, ratio=0.25, consumed_inputs=[0]", "", 0.25, 0, .why = "the first version, in test mode"},
    {1, "ratio=0.25", "", 0.25, 1, .why = "the first version"},
    {6, "", "", 0.5, 1, .why = "the default ratio"},
    {7, "ratio=0.25", "", 0.25, 0, .why = "a version without a mode"},
    {10, "ratio=0.25", "", 0.25, 0, .why = "truth values in the mask"},
    {12, "", ", quarter", 0.25, 0, .why = "no training_mode"},
    {12, "seed=7", ", quarter, yes", 0.25, 1, .why = "a seed"},
    {13, "", ", , yes", 0.5, 1, .why = "a ratio that is left out"},
    {13, "", ", quarter, no", 0.25, 0, .why = "not in training"},
    {22, "", ", quarter, mode", 0.25, -1, .why = "a mode that the run says"},
    {22, "", ", quarter, mode", 0.25, -2, .why = "a mode that the run says: no"},
    {22, "", ", ratio, yes", 0.75, 1, .why = "a ratio that the run says"},
    {22, "seed=1", ", half, yes", 0.5, 1, .half = true, .why = "halves"},
};

/* y, and the mask as numbers behind it. */
static kiln_tensor build_drop(kiln_graph *g, const void *one_case)
{
    const struct drop_case *c = one_case;
    float ratios[] = {0.25f, 0.5f};
    uint8_t truth[] = {1, 0, c->training == -1};
    char nodes[128];
    const kiln_array initializers[] = {
        {.data = &ratios[0], .shape = KILN_SCALAR},
        {.data = &ratios[1], .shape = KILN_SCALAR},
        {.data = &truth[0], .type = KILN_BOOL, .shape = KILN_SCALAR},
        {.data = &truth[1], .type = KILN_BOOL, .shape = KILN_SCALAR},
    };
    const kiln_tensor ones = kiln_ones_like(g, kiln_test_onnx_operand(g, 0, KILN_SHAPE(ROWS, COLUMNS)));
    kiln_tensor out[2],
        in[] = {c->half ? kiln_cast(g, ones, KILN_F16) : ones,
                kiln_constant(g, &(kiln_array){.data = &truth[2], .type = KILN_BOOL, .shape = KILN_SCALAR}),
                kiln_scalar(g, KILN_F32, 0.75), KILN_NONE};
    snprintf(nodes, sizeof nodes, "y, mask = Dropout <%s> (x%s)", c->attributes, c->inputs);
    const struct kiln_test_onnx model = {.opset = c->opset,
                                         .inputs = "x mode ratio",
                                         .outputs = "y mask",
                                         .nodes = nodes,
                                         .initializers = "quarter half yes no",
                                         .initializer = initializers};
    kiln_test_onnx_call(g, &model, in, out);
    cr_expect_eq(kiln_tensor_type(g, out[0]), c->half ? KILN_F16 : KILN_F32, "%s", c->why);
    cr_expect_eq(kiln_tensor_type(g, out[1]), c->opset < 10 ? KILN_F32 : KILN_BOOL, "%s", c->why);
    const kiln_tensor parts[] = {kiln_cast(g, out[0], KILN_F32), kiln_cast(g, out[1], KILN_F32)};
    return kiln_concat(g, parts, 2, 0);
}

/* Of ones: 0 where the mask is 0, else 1 / (1 - rate). */
static void expect_dropped(const struct drop_case *c, const double *got)
{
    const bool drops_now = c->training == 1 || c->training == -1;
    int kept = 0;
    for (int i = 0; i < COUNT; i++) {
        const double y = drops_now ? got[COUNT + i] / (1 - c->rate) : 1;
        cr_assert(got[COUNT + i] == 0 || got[COUNT + i] == 1, "%s: a mask of %g", c->why, got[COUNT + i]);
        cr_assert(fabs(got[i] - y) <= 1e-6 * y, "%s: %g, wanted %g", c->why, got[i], y);
        kept += got[COUNT + i] == 1;
    }
    if (drops_now) /* 5 deviations of a mean of 2000 draws */
        cr_expect(fabs(kept - (1 - c->rate) * COUNT) < 5 * 0.0112 * COUNT, "%s: %d are kept", c->why, kept);
    else
        cr_expect_eq(kept, COUNT, "%s", c->why);
}

/* How many of COLUMNS ones a dropout that its file has in training drops. */
static int count_dropped(const kiln_onnx_params *as, bool train)
{
    const uint8_t yes = 1;
    const kiln_array learns = {.data = (void *)(uintptr_t)&yes, .type = KILN_BOOL, .shape = KILN_SCALAR};
    const struct kiln_test_onnx model = {.opset = 13,
                                         .inputs = "x",
                                         .outputs = "y",
                                         .nodes = "y = Dropout (x, , yes)",
                                         .initializers = "yes",
                                         .initializer = &learns};
    const kiln_spec spec = {KILN_F32, KILN_SHAPE(COLUMNS)};
    kiln_device *dev = kiln_test_open("cpu");
    kiln_graph *g;
    kiln_weights *w;
    kiln_program *p;
    float x[COLUMNS];
    int dropped = 0;
    for (int i = 0; i < COLUMNS; i++)
        x[i] = 1;
    const kiln_array in = {.data = x, .bytes = sizeof x, .shape = KILN_SHAPE(COLUMNS)};
    cr_assert_eq(kiln_test_onnx_load(&g, &w, &model, &spec, as), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.train = train}), KILN_OK);
    cr_assert_eq(kiln_program_write(p, kiln_graph_input(g, 0), &in), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    cr_assert_eq(kiln_program_read(p, kiln_graph_output(g, 0), &(kiln_array){.data = x, .bytes = sizeof x}),
                 KILN_OK);
    for (int i = 0; i < COLUMNS; i++)
        dropped += x[i] == 0;
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
    return dropped;
}

Test(onnx_modes, dropout_keeps_the_mode_of_the_file_unless_asked)
{
    const kiln_onnx_params asked = {.train = true}, none = {0};
    cr_expect(count_dropped(&none, false) > 0, "as the file says");
    cr_expect(count_dropped(&none, true) > 0, "as the file says, in training");
    cr_expect(count_dropped(&asked, true) > 0, "training of a network that the caller trains");
    cr_expect_eq(count_dropped(&asked, false), 0, "inference of a network that the caller trains");
}

Test(onnx_modes, dropout_is_that_of_the_standard_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(drops); i++)
        for (int k = 0; kiln_test_device(k); k++) {
            kiln_device *dev = kiln_test_open(kiln_test_device(k));
            kiln_shape shape;
            double *got = kiln_test_eval(build_drop, &drops[i], dev, &shape);
            expect_dropped(&drops[i], got);
            free(got);
            kiln_test_close(&dev);
        }
}
