/*
 * elementwise_activations.c - activations and functions of one value: PyTorch's values, gradients, gradients of gradients, every
 * device alike.
 */
#include "support/golden_case.h"

#include <math.h>
#include <stdlib.h>

static kiln_tensor elu(kiln_graph *g, kiln_tensor x)
{
    return kiln_elu(g, x, 0.7);
}

static kiln_tensor elu_turned(kiln_graph *g, kiln_tensor x)
{
    return kiln_elu(g, x, -0.7);
}

static kiln_tensor celu(kiln_graph *g, kiln_tensor x)
{
    return kiln_celu(g, x, 0.75);
}

static kiln_tensor swish(kiln_graph *g, kiln_tensor x)
{
    return kiln_swish(g, x, 1.5);
}

static kiln_tensor hard_sigmoid(kiln_graph *g, kiln_tensor x)
{
    return kiln_hard_sigmoid(g, x, 1.0 / 6, 0.5);
}

static kiln_tensor threshold(kiln_graph *g, kiln_tensor x)
{
    return kiln_thresholded_relu(g, x, 0.25);
}

static kiln_tensor hard_shrink(kiln_graph *g, kiln_tensor x)
{
    return kiln_shrink(g, x, 0.5, 0);
}

static kiln_tensor soft_shrink(kiln_graph *g, kiln_tensor x)
{
    return kiln_shrink(g, x, 0.5, 0.5);
}

static kiln_tensor leaky(kiln_graph *g, kiln_tensor x)
{
    return kiln_leaky_relu(g, x, 0.2);
}

static kiln_tensor leaky_turned(kiln_graph *g, kiln_tensor x)
{
    return kiln_leaky_relu(g, x, -0.2);
}

static const struct activation {
    const char *why;
    kiln_tensor (*f)(kiln_graph *g, kiln_tensor x);
    double low, high;
} activations[] = {
    {"relu", kiln_relu, -2, 2},
    {"leaky relu", leaky, -2, 2},
    {"leaky relu, turned", leaky_turned, -2, 2},
    {"elu", elu, -3, 3},
    {"elu, turned", elu_turned, -3, 3},
    {"celu", celu, -3, 3},
    {"selu", kiln_selu, -3, 3},
    {"gelu", kiln_gelu, -4, 4},
    {"gelu, tanh", kiln_gelu_tanh, -4, 4},
    {"silu", kiln_silu, -6, 6},
    {"swish", swish, -6, 6},
    {"mish", kiln_mish, -6, 6},
    {"sigmoid", kiln_sigmoid, -6, 6},
    {"tanh", kiln_tanh, -3, 3},
    {"softplus", kiln_softplus, -6, 6},
    {"softsign", kiln_softsign, -5, 5},
    {"hard sigmoid", hard_sigmoid, -4, 4},
    {"hard swish", kiln_hard_swish, -4, 4},
    {"thresholded relu", threshold, -1, 1},
    {"hard shrink", hard_shrink, -1, 1},
    {"soft shrink", soft_shrink, -1, 1},
    {"erf", kiln_erf, -3, 3},
    {"tan", kiln_tan, -1.3, 1.3},
    {"asin", kiln_asin, -0.9, 0.9},
    {"acos", kiln_acos, -0.9, 0.9},
    {"atan", kiln_atan, -3, 3},
    {"sinh", kiln_sinh, -3, 3},
    {"cosh", kiln_cosh, -3, 3},
    {"asinh", kiln_asinh, -5, 5},
    {"acosh", kiln_acosh, 1.2, 5},
    {"atanh", kiln_atanh, -0.9, 0.9},
};

struct activation_case {
    const struct activation *a;
    kiln_shape shape;
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct activation_case *c = one_case;
    return c->a->f(g, kiln_test_input_in(g, c->shape, c->a->low, c->a->high));
}

Test(elementwise_activations, gradients_match_finite_differences)
{
    for (size_t i = 0; i < KILN_COUNT(activations); i++)
        kiln_expect_gradient(build, &(struct activation_case){&activations[i], KILN_SHAPE(5, 9)},
                             activations[i].why);
}

/* The gradient as a value, whose own gradient is checked. */
static kiln_tensor slope(kiln_graph *g, const void *one_case)
{
    const struct activation_case *c = one_case;
    const kiln_tensor x = kiln_test_input_in(g, c->shape, c->a->low, c->a->high);
    const kiln_tensor dy = kiln_test_input(g, c->shape);
    kiln_tensor dx;
    kiln_gradient(g, c->a->f(g, x), dy, &x, 1, &dx);
    return dx;
}

Test(elementwise_activations, gradients_have_gradients)
{
    for (size_t i = 0; i < KILN_COUNT(activations); i++)
        kiln_expect_gradient(slope, &(struct activation_case){&activations[i], KILN_SHAPE(3, 7)},
                             activations[i].why);
}

/* One element, primes, one past a workgroup, none. */
static kiln_tensor build_shapes(kiln_graph *g, const void *one_case)
{
    static const kiln_shape shapes[] = {{1, {1}}, {2, {7, 13}}, {2, {1, 257}}, {3, {2, 0, 5}}};
    kiln_tensor y[KILN_COUNT(shapes)];
    for (size_t i = 0; i < KILN_COUNT(shapes); i++)
        y[i] = kiln_flatten(g, build(g, &(struct activation_case){one_case, shapes[i]}), 0);
    return kiln_concat(g, y, KILN_COUNT(shapes), 1);
}

Test(elementwise_activations, every_device_agrees)
{
    for (size_t i = 0; i < KILN_COUNT(activations); i++)
        kiln_expect_devices_agree(build_shapes, &activations[i], true, 0, activations[i].why);
}

/* A slope that is learned, broadcast in each way. */
static const struct prelu_case {
    kiln_shape x, slope;
    const char *why;
} prelus[] = {
    {{2, {4, 9}}, {0, {0}}, "one slope"},
    {{2, {4, 9}}, {1, {9}}, "a slope a column"},
    {{4, {2, 3, 4, 5}}, {3, {3, 1, 1}}, "a slope a channel"},
    {{2, {6, 70}}, {2, {6, 70}}, "a slope each"},
};

static kiln_tensor prelu(kiln_graph *g, const void *one_case)
{
    const struct prelu_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    return kiln_prelu(g, x, kiln_test_input_in(g, c->slope, -0.5, 0.5));
}

Test(elementwise_activations, a_learned_slope_broadcasts)
{
    for (size_t i = 0; i < KILN_COUNT(prelus); i++) {
        kiln_expect_gradient(prelu, &prelus[i], prelus[i].why);
        kiln_expect_devices_agree(prelu, &prelus[i], true, 0, prelus[i].why);
    }
}

static kiln_tensor odd(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {NAN, INFINITY, 0.25f, 0.5f, -0.5f};
    const kiln_tensor t = kiln_test_values(g, KILN_SHAPE(5), x);
    const kiln_tensor all[] = {threshold(g, t),    hard_shrink(g, t), soft_shrink(g, t),
                               hard_sigmoid(g, t), kiln_gelu(g, t),   kiln_mish(g, t),
                               kiln_silu(g, t),    elu(g, t),         kiln_hard_swish(g, t)};
    return kiln_concat(g, all, KILN_COUNT(all), 0);
}

/* NaN passes each of them, and infinity stays it where the activation grows. */
Test(elementwise_activations, odd_values_pass)
{
    kiln_expect_devices_agree(odd, NULL, false, 1e-6, "odd values");
    kiln_shape shape;
    double *y = kiln_test_eval(odd, NULL, NULL, &shape);
    for (int i = 0; i < 9; i++) {
        cr_expect(isnan(y[5 * i]), "activation %d makes %g of NaN", i, y[5 * i]);
        cr_expect(y[5 * i + 1] == (i == 3 ? 1 : INFINITY), "activation %d makes %g of infinity", i,
                  y[5 * i + 1]);
    }
    free(y);
}

/* As PyTorch ----------------------------------------------------------------------------------------------- */

static const kiln_golden_row rows[] = {
    {"elu", .unary = elu},
    {"celu", .unary = celu},
    {"selu", .unary = kiln_selu},
    {"gelu", .unary = kiln_gelu},
    {"gelu_tanh", .unary = kiln_gelu_tanh},
    {"silu", .unary = kiln_silu},
    {"mish", .unary = kiln_mish},
    {"softplus", .unary = kiln_softplus},
    {"softsign", .unary = kiln_softsign},
    {"hard_sigmoid", .unary = hard_sigmoid},
    {"hard_swish", .unary = kiln_hard_swish},
    {"threshold", .unary = threshold},
    {"hard_shrink", .unary = hard_shrink},
    {"soft_shrink", .unary = soft_shrink},
    {"prelu", .binary = kiln_prelu},
    {"erf", .unary = kiln_erf},
    {"tan", .unary = kiln_tan},
    {"asin", .unary = kiln_asin},
    {"acos", .unary = kiln_acos},
    {"atan", .unary = kiln_atan},
    {"sinh", .unary = kiln_sinh},
    {"cosh", .unary = kiln_cosh},
    {"asinh", .unary = kiln_asinh},
    {"acosh", .unary = kiln_acosh},
    {"atanh", .unary = kiln_atanh},
    {"atan2", .binary = kiln_atan2},
    {"remainder", .binary = kiln_mod},
    {"fmod", .binary = kiln_fmod},
};

Test(elementwise_activations, in_float64_they_are_those_of_pytorch)
{
    kiln_expect_golden("elementwise.safetensors", rows, KILN_COUNT(rows), "cpu", true, 0);
}

Test(elementwise_activations, on_every_device_they_are_close_to_those_of_pytorch)
{
    for (int d = 0; kiln_test_device(d); d++)
        kiln_expect_golden("elementwise.safetensors", rows, KILN_COUNT(rows), kiln_test_device(d), false, 0);
}
