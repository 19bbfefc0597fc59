/*
 * halves.c - layers of halves: their losses and the gradients of their weights beside those in float64.
 *
 * A half has 11 bits: every value between layers, and every gradient on its way back, is off by up to 2^-11 of itself, and some
 * dozens of these meet in a weight's gradient. As vectors the gradients are apart by 2^-11 times the root of as many, 6 at the most.
 */
#include <math.h>
#include <stdlib.h>

#include <kiln/kiln.h>

#include "support/support.h"

static kiln_tensor images(kiln_graph *g, kiln_tensor x)
{
    x = kiln_reshape(g, x, KILN_SHAPE(2, 2, 6, 6));
    x = kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 6, .size = {3, 3}, .groups = 2});
    x = kiln_tanh(g, kiln_nn_batch_norm(g, x, NULL));
    x = kiln_nn_conv_transpose(g, x, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}, .stride = {2, 2}});
    x = kiln_tanh(g, kiln_nn_group_norm(g, x, &(kiln_nn_group_norm_params){.groups = 2}));
    x = kiln_average_pool(g, x, &(kiln_pool_params){.size = {3, 3}, .stride = {2, 2}});
    x = kiln_nn_layer_norm(g, x, &(kiln_nn_layer_norm_params){.axes = 3});
    return kiln_nn_dense(g, kiln_flatten(g, x, 1), &(kiln_nn_dense_params){.units = 5});
}

static kiln_tensor attending(kiln_graph *g, kiln_tensor x)
{
    const kiln_nn_transformer_params p = {
        .attention = {.heads = 2}, .hidden = 12, .activation = kiln_gelu, .norm_first = true};
    const kiln_tensor memory = kiln_nn_encoder_layer(g, kiln_reshape(g, x, KILN_SHAPE(2, 9, 8)), &p);
    x = kiln_nn_decoder_layer(g, kiln_slice(g, memory, 1, 2, 7, 1), memory, &p);
    return kiln_nn_dense(g, kiln_nn_rms_norm(g, x, NULL), &(kiln_nn_dense_params){.units = 5});
}

struct net_case {
    const char *why;
    kiln_tensor (*build)(kiln_graph *g, kiln_tensor x);
    kiln_type type;
};

/* Behind the loss the gradients of all parameters, one after another. */
static kiln_tensor loss_and_gradients(kiln_graph *g, const void *one_case)
{
    enum { MOST = 64 };
    const struct net_case *c = one_case;
    const kiln_tensor x = kiln_cast(g, kiln_test_input(g, KILN_SHAPE(144)), c->type), y = c->build(g, x);
    cr_expect_eq(kiln_tensor_type(g, y), c->type, "%s: a layer does not follow x's type", c->why);
    const kiln_tensor loss = kiln_mean(g, kiln_square(g, kiln_cast(g, y, KILN_F32)), NULL);
    kiln_tensor parameter[MOST], gradient[MOST], part[MOST + 1] = {kiln_unsqueeze(g, loss, 0)};
    const int count = kiln_graph_parameter_count(g);
    cr_assert_lt(count, MOST);
    for (int i = 0; i < count; i++)
        parameter[i] = kiln_graph_parameter(g, i);
    kiln_gradient(g, loss, KILN_NONE, parameter, count, gradient);
    for (int i = 0; i < count; i++) {
        const kiln_shape shape = kiln_tensor_shape(g, parameter[i]);
        part[i + 1] = kiln_reshape(g, gradient[i], KILN_SHAPE(kiln_shape_count(&shape)));
    }
    return kiln_concat(g, part, count + 1, 0);
}

static double distance(const double *a, const double *b, size_t count)
{
    double apart = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        apart += (a[i] - b[i]) * (a[i] - b[i]);
        all += b[i] * b[i];
    }
    return sqrt(apart / all);
}

static void expect_near(const struct net_case *c)
{
    const struct net_case exact = {c->why, c->build, KILN_F32};
    kiln_shape shape;
    double *want = kiln_test_eval(loss_and_gradients, &exact, NULL, &shape);
    const size_t count = (size_t)kiln_shape_count(&shape);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        double *got = kiln_test_eval(loss_and_gradients, c, dev, NULL);
        const double loss = fabs(got[0] - want[0]) / want[0], apart = distance(got + 1, want + 1, count - 1);
        cr_expect(loss <= 4 * 0x1p-11, "%s, %s: the loss is off by %.3g", c->why, kiln_test_device(d), loss);
        cr_expect(apart <= 6 * 0x1p-11, "%s, %s: gradients are off by %.3g", c->why, kiln_test_device(d),
                  apart);
        cr_expect(apart > 0, "%s, %s: nothing was rounded", c->why, kiln_test_device(d));
        free(got);
        kiln_test_close(&dev);
    }
    free(want);
}

Test(halves, give_gradients_near_those_of_floats)
{
    expect_near(&(struct net_case){"images", images, KILN_F16});
    expect_near(&(struct net_case){"attention", attending, KILN_F16});
}
