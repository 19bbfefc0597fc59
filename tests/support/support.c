/* support.c - see support.h. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compiler/convert.h"
#include "vulkan/vk.h"

/* Devices ------------------------------------------------------------------------------------------------ */

const char *kiln_test_device(int index)
{
    static char list[256], *names[16];
    static int count = -1;
    if (count < 0) {
        const char *env = getenv("KILN_TEST_DEVICES");
        snprintf(list, sizeof list, "%s", env && *env ? env : "cpu");
        count = 0;
        for (char *rest = list, *name; count < 15 && (name = strtok_r(rest, ",", &rest));)
            names[count++] = name;
    }
    return index < count ? names[index] : NULL;
}

kiln_device *kiln_test_open(const char *name)
{
    static const struct {
        const char *test, *device;
    } known[] = {{"lavapipe", "vulkan:llvmpipe"}, {"swiftshader", "vulkan:SwiftShader"}};
    const char *device = name;
    for (size_t i = 0; i < KILN_COUNT(known); i++)
        if (!strcmp(known[i].test, name))
            device = known[i].device;
    kiln_device *dev = NULL;
    cr_assert_eq(kiln_device_open(&dev, &(kiln_device_params){.name = device}), KILN_OK,
                 "device %s cannot be opened", name);
    return dev;
}

void kiln_test_close(kiln_device **dev)
{
    kiln_device_close(dev);
    cr_expect_eq(kiln_vulkan_messages(), 0, "the validation layers had %d messages", kiln_vulkan_messages());
}

/* Operands ----------------------------------------------------------------------------------------------- */

static kiln_tensor draw(kiln_graph *g, kiln_shape shape, double low, double high, double gap)
{
    char name[32];
    struct kiln_rng rng;
    snprintf(name, sizeof name, "x%d", kiln_graph_parameter_count(g));
    const int64_t count = kiln_shape_count(&shape);
    float *values = malloc((size_t)(count + 1) * sizeof *values);
    kiln_rng_init(&rng, 7, kiln_rng_stream(name));
    for (int64_t i = 0; i < count; i++) {
        do
            values[i] = (float)(low + (high - low) * kiln_rng_uniform(&rng));
        while (fabs(values[i]) < gap);
    }
    const kiln_tensor t = kiln_test_values(g, shape, values);
    free(values);
    return t;
}

kiln_tensor kiln_test_values(kiln_graph *g, kiln_shape shape, const float *values)
{
    char name[32];
    snprintf(name, sizeof name, "x%d", kiln_graph_parameter_count(g));
    const kiln_array array = {.data = (void *)(uintptr_t)values, .shape = shape};
    return kiln_parameter(g, name, shape, &(kiln_init){.kind = KILN_INIT_VALUES, .values = &array});
}

kiln_tensor kiln_test_input(kiln_graph *g, kiln_shape shape)
{
    return draw(g, shape, -1, 1, 1e-3);
}

kiln_tensor kiln_test_input_in(kiln_graph *g, kiln_shape shape, double low, double high)
{
    return draw(g, shape, low, high, 0);
}

kiln_tensor kiln_test_index(kiln_graph *g, kiln_shape shape, int bound)
{
    struct kiln_rng rng;
    const int64_t count = kiln_shape_count(&shape);
    int32_t *values = malloc((size_t)(count + 1) * sizeof *values);
    kiln_rng_init(&rng, 11, (uint64_t)bound);
    for (int64_t i = 0; i < count; i++)
        values[i] = (int32_t)kiln_rng_below(&rng, (uint32_t)bound);
    const kiln_tensor t = kiln_constant(g, &(kiln_array){.data = values, .type = KILN_I32, .shape = shape});
    free(values);
    return t;
}

/* One case as programs ----------------------------------------------------------------------------------- */

/* The network of a case: its output, a scalar that weighs it at random, and that scalar's gradients. */
struct net {
    kiln_graph *g;
    kiln_weights *weights;
    kiln_tensor y, loss;
    kiln_tensor run[66]; /* y and the gradients, ended by none */
    int count;
};

static kiln_tensor weigh(kiln_graph *g, kiln_tensor y)
{
    const kiln_shape shape = kiln_tensor_shape(g, y);
    struct kiln_rng rng;
    const int64_t count = kiln_shape_count(&shape);
    double *values = malloc((size_t)(count + 1) * sizeof *values);
    kiln_rng_init(&rng, 13, (uint64_t)count);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(0.5 + kiln_rng_uniform(&rng));
    float *floats = malloc((size_t)(count + 1) * sizeof *floats);
    for (int64_t i = 0; i < count; i++)
        floats[i] = (float)values[i];
    const kiln_tensor r = kiln_constant(g, &(kiln_array){.data = floats, .shape = shape});
    free(values);
    free(floats);
    return kiln_sum(g, kiln_mul(g, y, r), NULL);
}

static struct net make_net(kiln_test_build *build, const void *one_case, bool gradient, const char *why)
{
    struct net n = {0};
    kiln_tensor x[64], dx[64];
    cr_assert_eq(kiln_graph_create(&n.g, NULL), KILN_OK);
    n.run[n.count++] = n.y = build(n.g, one_case);
    cr_assert_eq(kiln_graph_status(n.g), KILN_OK, "%s: %s", why, kiln_graph_error(n.g));
    if (gradient) {
        int inputs = 0;
        n.loss = weigh(n.g, n.y);
        for (int i = 0; i < kiln_graph_parameter_count(n.g) && inputs < 64; i++)
            if (kiln_depends(n.g, n.loss, kiln_graph_parameter(n.g, i)))
                x[inputs++] = kiln_graph_parameter(n.g, i);
        kiln_gradient(n.g, n.loss, KILN_NONE, x, inputs, dx);
        for (int i = 0; i < inputs; i++)
            n.run[n.count++] = dx[i];
        cr_assert_eq(kiln_graph_status(n.g), KILN_OK, "%s: %s", why, kiln_graph_error(n.g));
    }
    cr_assert_eq(kiln_weights_create(&n.weights, n.g, NULL), KILN_OK);
    return n;
}

static void free_net(struct net *n)
{
    kiln_weights_destroy(&n->weights);
    kiln_graph_destroy(&n->g);
}

/* Run the list on a device, in float64 if dev is NULL; a malloc'ed array of doubles for each value. */
static void run_net(struct net *n, kiln_device *dev, double **value, kiln_shape *shape, const char *why)
{
    kiln_device *cpu = NULL;
    kiln_program *p = NULL;
    if (!dev)
        cpu = kiln_test_open("cpu");
    const kiln_program_params params = {.run = n->run,
                                        .precision = dev ? KILN_PRECISION_F32 : KILN_PRECISION_F64,
                                        .train = true};
    cr_assert_eq(kiln_program_create(&p, dev ? dev : cpu, n->g, n->weights, &params), KILN_OK,
                 "%s: no program", why);
    cr_assert_eq(kiln_program_run(p), KILN_OK, "%s: does not run", why);
    for (int i = 0; i < n->count; i++) {
        const kiln_type type = kiln_tensor_type(n->g, n->run[i]);
        cr_assert_eq(kiln_program_shape(p, n->run[i], &shape[i]), KILN_OK);
        const size_t count = (size_t)kiln_shape_count(&shape[i]);
        kiln_array array = {.type = KILN_F64, .data = value[i] = malloc((count + 1) * sizeof **value)};
        cr_assert_eq(kiln_program_read(p, n->run[i], &array), KILN_OK, "%s: cannot be read", why);
        if (!kiln_type_is_real(type)) {
            double *const converted = malloc((count + 1) * sizeof *converted);
            kiln_convert(converted, KILN_F64, value[i], type, count);
            free(value[i]);
            value[i] = converted;
        }
    }
    kiln_program_destroy(&p);
    if (cpu)
        kiln_device_close(&cpu);
}

double *kiln_test_eval(kiln_test_build *build, const void *one_case, kiln_device *dev, kiln_shape *shape)
{
    struct net n = make_net(build, one_case, false, "eval");
    double *value;
    kiln_shape own;
    run_net(&n, dev, &value, shape ? shape : &own, "eval");
    free_net(&n);
    return value;
}

/* Comparisons -------------------------------------------------------------------------------------------- */

static bool close_enough(double got, double want, double allowed)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    return got == want || fabs(got - want) <= allowed;
}

void kiln_expect_close(const double *got, const double *want, size_t count, double tolerance, const char *why)
{
    for (size_t i = 0; i < count; i++)
        if (!close_enough(got[i], want[i], tolerance * fmax(1, fabs(want[i])))) {
            cr_expect(false, "%s: element %zu is %.9g, wanted %.9g within %g", why, i, got[i], want[i],
                      tolerance);
            return;
        }
}

void kiln_expect_values(kiln_test_build *build, const void *one_case, const double *want, size_t count,
                        double tolerance, const char *why)
{
    kiln_shape shape;
    double *got = kiln_test_eval(build, one_case, NULL, &shape);
    cr_assert_eq((size_t)kiln_shape_count(&shape), count, "%s: %lld values, wanted %zu", why,
                 (long long)kiln_shape_count(&shape), count);
    kiln_expect_close(got, want, count, tolerance, why);
    free(got);
}

void kiln_expect_gradient(kiln_test_build *build, const void *one_case, const char *why)
{
    struct net n = make_net(build, one_case, true, why);
    double error = 0;
    char worst[64] = "";
    const kiln_check_params params = {
        .train = true, .worst = worst, .worst_bytes = sizeof worst, .error = &error};
    cr_expect_eq(kiln_check_gradient(n.g, n.weights, n.loss, &params), KILN_OK,
                 "%s: gradient by %s is off by %g", why, worst, error);
    free_net(&n);
}

static void compare(const double *got, const double *want, size_t count, double tolerance, const char *device,
                    int which, const char *why)
{
    double size = 1e-3;
    for (size_t i = 0; i < count; i++)
        if (isfinite(want[i]))
            size = fmax(size, fabs(want[i]));
    for (size_t i = 0; i < count; i++)
        if (!close_enough(got[i], want[i], tolerance * size)) {
            cr_expect(false, "%s on %s: element %zu of %s %d is %.9g, wanted %.9g (largest %.3g)", why,
                      device, i, which ? "gradient" : "value", which, got[i], want[i], size);
            return;
        }
}

void kiln_expect_devices_agree(kiln_test_build *build, const void *one_case, bool gradient, double tolerance,
                               const char *why)
{
    struct net n = make_net(build, one_case, gradient, why);
    double *want[66], *got[66];
    kiln_shape shape[66], same[66];
    run_net(&n, NULL, want, shape, why);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        run_net(&n, dev, got, same, why);
        for (int i = 0; i < n.count; i++) {
            cr_expect(kiln_shape_equal(&shape[i], &same[i]), "%s: shapes differ", why);
            compare(got[i], want[i], (size_t)kiln_shape_count(&shape[i]), tolerance > 0 ? tolerance : 1e-5,
                    kiln_test_device(d), i, why);
            free(got[i]);
        }
        kiln_test_close(&dev);
    }
    for (int i = 0; i < n.count; i++)
        free(want[i]);
    free_net(&n);
}

void kiln_test_run(const kiln_graph *g, kiln_tensor y, const char *device, const kiln_array *in, void *got)
{
    kiln_device *dev = kiln_test_open(device);
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}), KILN_OK);
    for (int i = 0; i < kiln_program_input_count(p); i++)
        cr_assert_eq(kiln_program_write(p, kiln_program_input(p, i), &in[i]), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    kiln_shape shape;
    cr_assert_eq(kiln_program_shape(p, y, &shape), KILN_OK);
    const size_t count = (size_t)kiln_shape_count(&shape);
    kiln_array to = {.type = KILN_F64, .data = malloc(8 * count + 1)};
    cr_assert_eq(kiln_program_read(p, y, &to), KILN_OK);
    kiln_convert(got, to.type == KILN_F64 ? KILN_F64 : KILN_I64, to.data, to.type, count);
    free(to.data);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_test_close(&dev);
}
