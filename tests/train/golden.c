/*
 * golden.c - ten Adam steps of LeNet against PyTorch's (tools/golden/lenet.py): losses, gradients of the
 * first and the tenth step, and the weights after it.
 *
 * In float64 the two differ by roundings: 1e-9. In float32 the loss may be off by 1e-5, a gradient by 1e-4
 * and the change of the weights by 1e-3 of their length, as Adam divides by the root of a square and so
 * magnifies small differences.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/golden.h"
#include "support/nets.h"

enum { STEPS = 10, MOST = 120 * 400 };

static const struct bounds {
    kiln_precision precision;
    double loss, gradient, weights;
    bool change; /* the weights' bound is of their change since the start */
} f64 = {KILN_PRECISION_F64, 1e-9, 1e-9, 1e-9, false}, f32 = {KILN_PRECISION_F32, 1e-5, 1e-4, 1e-3, true};

struct comparison {
    const kiln_safetensors *file;
    const struct bounds *within;
    const char *device;
    struct kiln_test_learner net;
    kiln_tensor run[32]; /* the step, the loss, a gradient for each parameter */
    kiln_program *p;
    double got[MOST];
};

static void expect_near(const struct comparison *c, const char *prefix, const char *name, const double *got,
                        double bound, bool change)
{
    const kiln_array recorded = kiln_golden_find(c->file, prefix, name),
                     start = kiln_golden_find(c->file, "start", name);
    double *want = kiln_test_doubles(&recorded), *from = kiln_test_doubles(&start);
    const double apart =
        kiln_test_distance(got, want, change ? from : NULL, (size_t)kiln_shape_count(&recorded.shape));
    cr_expect(apart <= bound, "%s/%s on %s: off by %.3g, allowed %.3g", prefix, name, c->device, apart,
              bound);
    free(want);
    free(from);
}

static void build(struct comparison *c, kiln_device *dev)
{
    kiln_tensor dx[16], x[16];
    c->net = kiln_test_learner(kiln_test_lenet, &(kiln_minimize_params){.by = KILN_ADAM, .rate = 1e-3});
    const int count = kiln_graph_parameter_count(c->net.g);
    for (int i = 0; i < count; i++)
        x[i] = kiln_graph_parameter(c->net.g, i);
    kiln_gradient(c->net.g, c->net.loss, KILN_NONE, x, count, dx);
    c->run[0] = c->net.step;
    c->run[1] = c->net.loss;
    for (int i = 0; i < count; i++)
        c->run[2 + i] = dx[i];
    const kiln_program_params params = {.run = c->run, .train = true, .precision = c->within->precision};
    cr_assert_eq(kiln_program_create(&c->p, dev, c->net.g, c->net.weights, &params), KILN_OK);
}

static void begin(struct comparison *c)
{
    for (int i = 0; i < kiln_graph_parameter_count(c->net.g); i++) {
        const char *name = kiln_tensor_name(c->net.g, kiln_graph_parameter(c->net.g, i));
        const kiln_array start = kiln_golden_find(c->file, "start", name);
        cr_assert_eq(kiln_weights_write(c->net.weights, name, &start), KILN_OK);
    }
    const kiln_array image = kiln_golden_find(c->file, NULL, "input"),
                     label = kiln_golden_find(c->file, NULL, "label");
    cr_assert_eq(kiln_program_write(c->p, c->net.image, &image), KILN_OK);
    cr_assert_eq(kiln_program_write(c->p, c->net.label, &label), KILN_OK);
}

static void compare_step(struct comparison *c, int step)
{
    const kiln_array losses = kiln_golden_find(c->file, NULL, "loss");
    const double want = ((const double *)losses.data)[step];
    double loss;
    char prefix[16];
    cr_assert_eq(kiln_program_run(c->p), KILN_OK);
    cr_assert_eq(kiln_program_read(c->p, c->net.loss, &(kiln_array){.data = &loss, .type = KILN_F64}),
                 KILN_OK);
    cr_expect(fabs(loss - want) <= c->within->loss * want, "loss %d on %s: %.12g, recorded %.12g", step,
              c->device, loss, want);
    snprintf(prefix, sizeof prefix, "grad%d", step + 1);
    for (int i = 0; i < kiln_graph_parameter_count(c->net.g) && (step == 0 || step == STEPS - 1); i++) {
        kiln_array to = {.data = c->got, .bytes = sizeof c->got, .type = KILN_F64};
        cr_assert_eq(kiln_program_read(c->p, c->run[2 + i], &to), KILN_OK);
        expect_near(c, prefix, kiln_tensor_name(c->net.g, kiln_graph_parameter(c->net.g, i)), c->got,
                    c->within->gradient, false);
    }
}

static void compare(const kiln_safetensors *file, const char *device, const struct bounds *within)
{
    struct comparison *c = calloc(1, sizeof *c);
    cr_assert_not_null(c);
    kiln_device *dev = kiln_test_open(device);
    c->file = file;
    c->within = within;
    c->device = device;
    build(c, dev);
    begin(c);
    for (int i = 0; i < STEPS; i++)
        compare_step(c, i);
    for (int i = 0; i < kiln_graph_parameter_count(c->net.g); i++) {
        const char *name = kiln_tensor_name(c->net.g, kiln_graph_parameter(c->net.g, i));
        kiln_array to = {.data = c->got, .bytes = sizeof c->got, .type = KILN_F64};
        cr_assert_eq(kiln_weights_read(c->net.weights, name, &to), KILN_OK);
        expect_near(c, "after", name, c->got, within->weights, within->change);
    }
    kiln_program_destroy(&c->p);
    kiln_test_learner_finish(&c->net);
    kiln_test_close(&dev);
    free(c);
}

Test(golden, ten_adam_steps_of_lenet_in_float64_are_those_of_pytorch)
{
    kiln_safetensors *file = kiln_golden_open("lenet.safetensors");
    compare(file, "cpu", &f64);
    kiln_safetensors_close(&file);
}

Test(golden, ten_adam_steps_of_lenet_on_every_device_are_close_to_those_of_pytorch)
{
    kiln_safetensors *file = kiln_golden_open("lenet.safetensors");
    for (int d = 0; kiln_test_device(d); d++)
        compare(file, kiln_test_device(d), &f32);
    kiln_safetensors_close(&file);
}
