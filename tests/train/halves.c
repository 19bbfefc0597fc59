/*
 * halves.c - networks whose values are halves, with weights of floats: what reaches the optimizer, and that they learn.
 *
 * A half has 11 bits. The network here has no decisions that a rounding could turn: with relu and pools of maxima one in 2^11
 * turns in every step, which changes a gradient by some 2 %. Without, roundings average out over the many terms of a loss, and
 * its own stays within the one rounding of a half.
 */
#include <math.h>

#include "support/nets.h"

enum { BATCH = 4, STEPS = 60 };

static kiln_tensor smooth(kiln_graph *g, kiln_tensor x)
{
    const kiln_pool_params half = {.size = {2, 2}};
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 6, .size = {5, 5}, .name = "conv1"});
    x = kiln_average_pool(g, kiln_tanh(g, x), &half);
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 16, .size = {5, 5}, .name = "conv2"});
    x = kiln_average_pool(g, kiln_tanh(g, x), &half);
    x = kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 40, .name = "fc1"});
    return kiln_nn_dense(g, kiln_tanh(g, x), &(kiln_nn_dense_params){.units = 10, .name = "fc2"});
}

static kiln_tensor smooth_of_halves(kiln_graph *g, kiln_tensor x)
{
    return kiln_cast(g, smooth(g, kiln_cast(g, x, KILN_F16)), KILN_F32);
}

static void train(kiln_tensor network(kiln_graph *g, kiln_tensor x), kiln_device *dev,
                  const kiln_minimize_params *how, double *loss)
{
    struct kiln_test_learner l = kiln_test_learner(network, how);
    kiln_program *p = NULL;
    cr_assert_eq(kiln_program_create(&p, dev, l.g, l.weights,
                                     &(kiln_program_params){.run = KILN_RUN(l.step, l.loss), .train = true}),
                 KILN_OK);
    kiln_test_train(&l, p, BATCH, STEPS, loss);
    kiln_program_destroy(&p);
    kiln_test_learner_finish(&l);
}

Test(halves, learn_as_floats_do)
{
    const kiln_minimize_params how = {.by = KILN_SGD, .rate = 0.02, .loss_scale = 1024};
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        double want[STEPS], got[STEPS];
        train(smooth, dev, &how, want);
        train(smooth_of_halves, dev, &how, got);
        double worst = 0;
        for (int i = 0; i < STEPS; i++)
            worst = fmax(worst, fabs(got[i] - want[i]) / want[i]);
        cr_expect(got[STEPS - 1] < got[0], "%s: the loss did not fall", kiln_test_device(d));
        cr_expect(worst > 0, "%s: nothing was rounded", kiln_test_device(d));
        cr_expect(worst <= 0x1p-11, "%s: losses are off by %.3g, allowed 2^-11", kiln_test_device(d), worst);
        kiln_test_close(&dev);
    }
}

/* Of loss = 1e-9 sum(p), as halves in between: the parameters after one step of rate 1e9. */
static void step_once(kiln_device *dev, double loss_scale, float *p)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *program = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x =
        kiln_parameter(g, "p", KILN_SHAPE(3), &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 2});
    const kiln_tensor half = kiln_cast(g, kiln_relu(g, kiln_cast(g, x, KILN_F16)), KILN_F32);
    const kiln_tensor loss = kiln_scale(g, kiln_sum(g, half, NULL), 1e-9);
    const kiln_tensor step =
        kiln_minimize(g, loss,
                      &(kiln_minimize_params){.by = KILN_SGD, .rate = 1e9, .loss_scale = loss_scale});
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&program, dev, g, w,
                                     &(kiln_program_params){.run = KILN_RUN(step), .train = true}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(program), KILN_OK);
    cr_assert_eq(kiln_weights_read(w, "p", &(kiln_array){.data = p, .shape = KILN_SHAPE(3), .bytes = 12}),
                 KILN_OK);
    kiln_program_destroy(&program);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

/* 1e-9 is below the least half; 2^20 times as much is none that loses more than its last bit. */
Test(halves, carry_gradients_that_are_lifted_above_their_least)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        float p[3];
        step_once(dev, 0, p);
        cr_expect_float_eq(p[0], 2.0f, 0, "%s: %g", kiln_test_device(d), (double)p[0]);
        step_once(dev, 1 << 20, p);
        cr_expect_float_eq(p[2], 1.0f, 0x1p-11, "%s: %g", kiln_test_device(d), (double)p[2]);
        kiln_test_close(&dev);
    }
}
