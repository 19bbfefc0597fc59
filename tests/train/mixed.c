/*
 * mixed.c - training programs of KILN_PRECISION_F16: what reaches the optimizer, what overflows, and that networks learn.
 *
 * Where a device stores no halves such a program is that of float32: its bits are the test there.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/nets.h"

static bool has_halves(const kiln_device *dev)
{
    return kiln_device_get_info(dev)->half;
}

/* Gradients ---------------------------------------------------------------------------------------------- */

/* Convolution, batch norm, pooling and dense layers without a kink, at which a rounding could turn a gradient another way. */
static kiln_tensor smooth(kiln_graph *g, kiln_tensor x)
{
    const kiln_pool_params half = {.size = {2, 2}};
    x = kiln_nn_conv(g, x,
                     &(kiln_nn_conv_params){.filters = 6, .size = {5, 5}, .no_bias = true, .name = "conv1"});
    x = kiln_tanh(g, kiln_nn_batch_norm(g, x, &(kiln_nn_batch_norm_params){.name = "norm"}));
    x = kiln_average_pool(g, x, &half);
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 16, .size = {5, 5}, .name = "conv2"});
    x = kiln_average_pool(g, kiln_tanh(g, x), &half);
    x = kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 40, .name = "fc1"});
    return kiln_nn_dense(g, kiln_tanh(g, x), &(kiln_nn_dense_params){.units = 10, .name = "fc2"});
}

static const char *const parameters[] = {"conv1.weight", "norm.weight", "norm.bias",
                                         "conv2.weight", "conv2.bias",  "fc1.weight",
                                         "fc1.bias",     "fc2.weight",  "fc2.bias"};

enum { BATCH = 4, LARGEST = 40 * 16 * 4 * 4 };

struct learner {
    struct kiln_test_learner l;
    kiln_program *p;
};

static struct learner learner(kiln_device *dev, kiln_tensor network(kiln_graph *g, kiln_tensor x),
                              const kiln_minimize_params *how, kiln_precision precision)
{
    struct learner n = {.l = kiln_test_learner(network, how)};
    const kiln_program_params params = {.run = KILN_RUN(n.l.step, n.l.loss),
                                        .train = true,
                                        .precision = precision};
    cr_assert_eq(kiln_program_create(&n.p, dev, n.l.g, n.l.weights, &params), KILN_OK);
    return n;
}

static void learner_finish(struct learner *n)
{
    kiln_program_destroy(&n->p);
    kiln_test_learner_finish(&n->l);
}

static void read_reals(kiln_weights *w, const char *name, double *to, size_t *count)
{
    kiln_array into = {.data = to, .bytes = LARGEST * sizeof *to, .type = KILN_F64};
    cr_assert_eq(kiln_weights_read(w, name, &into), KILN_OK, "%s", name);
    *count = (size_t)kiln_shape_count(&into.shape);
}

/* The largest distance of a parameter's two values, over the largest step that it took from `start`. */
static double apart(kiln_weights *start, kiln_weights *a, kiln_weights *b, const char *name)
{
    static double s[LARGEST], x[LARGEST], y[LARGEST];
    double most = 0, step = 0;
    size_t count;
    read_reals(start, name, s, &count);
    read_reals(a, name, x, &count);
    read_reals(b, name, y, &count);
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs(x[i] - y[i]));
        step = fmax(step, fabs(x[i] - s[i]));
    }
    return most / step;
}

/* One plain step is the gradient. On its way lie some ten roundings to 11 bits, each of at most 2^-11, of activations and of what
 * flows back, and they go up and down alike: some three times a single one, and 2^-9 is four times. */
static void expect_gradients(kiln_device *dev, const char *device, int batch)
{
    const kiln_minimize_params how = {.by = KILN_SGD, .rate = 1, .dynamic_scale = true, .loss_scale = 1024};
    struct learner floats = learner(dev, smooth, &how, KILN_PRECISION_F32),
                   halves = learner(dev, smooth, &how, KILN_PRECISION_F16);
    struct kiln_test_learner start = kiln_test_learner(smooth, &how);
    double loss[2], worst = 0;
    kiln_test_train(&floats.l, floats.p, batch, 1, &loss[0]);
    kiln_test_train(&halves.l, halves.p, batch, 1, &loss[1]);
    for (size_t i = 0; i < KILN_COUNT(parameters); i++) {
        const double off = apart(start.weights, floats.l.weights, halves.l.weights, parameters[i]);
        cr_expect(off <= 0x1p-9, "%s, %d: the gradient of %s is off by %.3g, allowed 2^-9", device, batch,
                  parameters[i], off);
        worst = fmax(worst, off);
    }
    cr_expect_eq(worst > 0, has_halves(dev), "%s: %s was rounded", device,
                 worst > 0 ? "something" : "nothing");
    kiln_test_learner_finish(&start);
    learner_finish(&floats);
    learner_finish(&halves);
}

Test(mixed, a_step_of_halves_has_the_gradients_of_one_of_floats)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        expect_gradients(dev, kiln_test_device(d), BATCH);
        expect_gradients(dev, kiln_test_device(d), 1); /* where a sum over the batch is none */
        kiln_test_close(&dev);
    }
}

/* Overflow ----------------------------------------------------------------------------------------------- */

static float scale_of(kiln_weights *w)
{
    float scale;
    cr_assert_eq(kiln_weights_read(w, "optimizer.loss_scale",
                                   &(kiln_array){.data = &scale, .bytes = sizeof scale}),
                 KILN_OK);
    return scale;
}

/* Gradients 2^40 times too large are beyond a half, and not beyond a float: where there are halves, steps are left out, and
 * parameters stay the bits that they are, until the scale has come down; then the network learns. */
Test(mixed, what_overflows_a_half_is_left_out_until_the_scale_is_right)
{
    enum { STEPS = 40 };
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        const double first = 0x1p40;
        const kiln_minimize_params how = {
            .by = KILN_ADAM, .rate = 0.003, .dynamic_scale = true, .loss_scale = first};
        struct learner n = learner(dev, smooth, &how, KILN_PRECISION_F16);
        static double was[LARGEST], now[LARGEST];
        double loss[STEPS];
        size_t count;
        read_reals(n.l.weights, "fc1.weight", was, &count);
        kiln_test_train(&n.l, n.p, BATCH, 1, loss);
        read_reals(n.l.weights, "fc1.weight", now, &count);
        cr_expect_eq(memcmp(was, now, count * sizeof *now) == 0, has_halves(dev), "%s", kiln_test_device(d));
        cr_expect_eq(scale_of(n.l.weights) == first / 2, has_halves(dev), "%s: %g", kiln_test_device(d),
                     (double)scale_of(n.l.weights));
        kiln_test_train(&n.l, n.p, BATCH, STEPS, loss);
        cr_expect_eq(scale_of(n.l.weights) < 0x1p30, has_halves(dev), "%s: %g", kiln_test_device(d),
                     (double)scale_of(n.l.weights));
        cr_expect(loss[STEPS - 1] < loss[0], "%s: the loss did not fall: %g, then %g", kiln_test_device(d),
                  loss[0], loss[STEPS - 1]);
        learner_finish(&n);
        kiln_test_close(&dev);
    }
}

/* Learning ----------------------------------------------------------------------------------------------- */

enum { TEST_ROWS = 300 };

/* The share of test digits that the weights tell, in float32. */
static double accuracy_of(kiln_device *dev, const struct kiln_test_learner *l)
{
    static float scores[TEST_ROWS * 10];
    kiln_dataset *digits = NULL;
    kiln_program *p = NULL;
    kiln_batch b;
    int right = 0;
    cr_assert_eq(kiln_digits_open(&digits, &(kiln_digits_params){.rows = TEST_ROWS, .seed = 99}), KILN_OK);
    cr_assert_eq(kiln_dataset_next(digits, TEST_ROWS, &b), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, l->g, l->weights,
                                     &(kiln_program_params){.run = KILN_RUN(l->scores)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_write(p, l->image, &b.column[kiln_dataset_find(digits, "image")]), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    cr_assert_eq(kiln_program_read(p, l->scores, &(kiln_array){.data = scores, .bytes = sizeof scores}),
                 KILN_OK);
    const int32_t *label = b.column[kiln_dataset_find(digits, "label")].data;
    for (int row = 0; row < TEST_ROWS; row++) {
        int best = 0;
        for (int c = 1; c < 10; c++)
            best = scores[row * 10 + c] > scores[row * 10 + best] ? c : best;
        right += best == label[row];
    }
    kiln_program_destroy(&p);
    kiln_dataset_close(&digits);
    return (double)right / TEST_ROWS;
}

/* The rows of a picture as words of a Transformer's encoder, and the mean of what it makes of them. */
static kiln_tensor reading_rows(kiln_graph *g, kiln_tensor x)
{
    const kiln_nn_transformer_params p = {.attention = {.heads = 2}, .hidden = 32, .activation = kiln_gelu};
    x = kiln_nn_dense(g, kiln_reshape(g, x, KILN_SHAPE(0, 28, 28)), &(kiln_nn_dense_params){.units = 32});
    x = kiln_add(g, x,
                 kiln_parameter(g, "places", KILN_SHAPE(28, 32), &(kiln_init){.kind = KILN_INIT_UNIFORM}));
    x = kiln_nn_encoder_layer(g, x, &p);
    x = kiln_mean(g, x, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    return kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 10});
}

struct lesson {
    kiln_tensor (*network)(kiln_graph *g, kiln_tensor x);
    int steps;
    double tells; /* of 300 digits, at the least, in float32 */
};

/* Train a network; its losses. Returns the accuracy. */
static double learns(kiln_device *dev, const struct lesson *one, kiln_precision precision, int steps,
                     double *loss)
{
    const kiln_minimize_params how = {.by = KILN_ADAM,
                                      .rate = 2e-3,
                                      .dynamic_scale = precision == KILN_PRECISION_F16,
                                      .scale_interval = 20};
    struct learner n = learner(dev, one->network, &how, precision);
    kiln_test_train(&n.l, n.p, 16, steps, loss);
    const double accuracy = accuracy_of(dev, &n.l);
    learner_finish(&n);
    return accuracy;
}

/* Of 300 digits, 3 % are what another start makes of it. Without halves the bits are the same, which a few steps show. */
static void expect_learnt_as_well(const struct lesson *one)
{
    enum { MOST = 200, FEW = 5 };
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        const int steps = has_halves(dev) ? one->steps : FEW;
        double loss[2][MOST];
        const double floats = learns(dev, one, KILN_PRECISION_F32, steps, loss[0]),
                     halves = learns(dev, one, KILN_PRECISION_F16, steps, loss[1]);
        const bool same = !memcmp(loss[0], loss[1], (size_t)steps * sizeof loss[0][0]);
        cr_expect_eq(same, !has_halves(dev), "%s: losses are %s", kiln_test_device(d),
                     same ? "the same" : "others");
        cr_expect(floats > one->tells || !has_halves(dev), "%s: float32 tells %.3f", kiln_test_device(d),
                  floats);
        cr_expect(halves >= floats - 0.03, "%s: float16 tells %.3f, float32 %.3f", kiln_test_device(d),
                  halves, floats);
        kiln_test_close(&dev);
    }
}

Test(mixed, lenet_learns_digits_as_well)
{
    expect_learnt_as_well(&(struct lesson){kiln_test_lenet, 100, 0.7});
}

Test(mixed, a_transformer_learns_digits_as_well)
{
    expect_learnt_as_well(&(struct lesson){reading_rows, 120, 0.5});
}

/* Memory ------------------------------------------------------------------------------------------------- */

/* Wide enough that activations are what a step holds. */
static kiln_tensor wide(kiln_graph *g, kiln_tensor x)
{
    for (int i = 0; i < 3; i++)
        x = kiln_relu(g, kiln_nn_conv(g, x,
                                      &(kiln_nn_conv_params){.filters = 16, .size = {3, 3}, .same = true}));
    return kiln_nn_dense(g, kiln_flatten(g, kiln_average_pool(g, x, &(kiln_pool_params){.size = {4, 4}}), 1),
                         &(kiln_nn_dense_params){.units = 10});
}

static uint64_t scratch_of(kiln_device *dev, kiln_precision precision)
{
    struct learner n =
        learner(dev, wide, &(kiln_minimize_params){.by = KILN_SGD, .loss_scale = 256}, precision);
    kiln_program_memory memory;
    double loss;
    kiln_test_train(&n.l, n.p, 8, 1, &loss);
    cr_assert_eq(kiln_program_memory_used(n.p, &memory), KILN_OK);
    learner_finish(&n);
    return memory.scratch;
}

/* What is kept for the way back and what flows there is halves, all but the input's copy and the gradients of parameters. */
Test(mixed, a_step_of_halves_takes_little_more_than_half_the_memory)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        const uint64_t floats = scratch_of(dev, KILN_PRECISION_F32),
                       halves = scratch_of(dev, KILN_PRECISION_F16);
        if (has_halves(dev))
            cr_expect(10 * halves <= 6 * floats, "%s: %llu bytes for %llu", kiln_test_device(d),
                      (unsigned long long)halves, (unsigned long long)floats);
        else
            cr_expect_eq(halves, floats, "%s", kiln_test_device(d));
        kiln_test_close(&dev);
    }
}
