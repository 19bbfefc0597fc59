/* update.c - optimizers as operators: every rule against PyTorch's numbers, in float64 and on every device.
 * */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 8, A = 12, B = 5 };

static const struct rule_case {
    const char *name;
    kiln_minimize_params p;
} rules[] = {
    {"sgd", {.by = KILN_SGD}},
    {"sgd_decay", {.by = KILN_SGD, .decay = 0.1}},
    {"momentum", {.by = KILN_MOMENTUM}},
    {"momentum_average", {.by = KILN_MOMENTUM, .averaged = true}},
    {"nesterov", {.by = KILN_NESTEROV}},
    {"rmsprop", {.by = KILN_RMSPROP, .beta2 = 0.9}},
    {"rmsprop_corrected", {.by = KILN_RMSPROP, .beta2 = 0.9, .corrected = true}},
    {"adam", {.by = KILN_ADAM, .beta2 = 0.99}},
    {"adam_decay", {.by = KILN_ADAM, .beta2 = 0.99, .decay = 0.1}},
    {"adamw", {.by = KILN_ADAMW, .beta2 = 0.99, .decay = 0.1}},
    {"sgd_clip_norm", {.by = KILN_SGD, .clip_norm = 1.5}},
    {"sgd_clip_value", {.by = KILN_SGD, .clip_value = 0.4}},
    {"adam_clip_norm", {.by = KILN_ADAM, .beta2 = 0.99, .clip_norm = 1.5}},
};

static kiln_safetensors *recording(void)
{
    char path[1024];
    kiln_safetensors *file = NULL;
    snprintf(path, sizeof path, "%s/golden/optimizers.safetensors", getenv("KILN_TEST_ROOT"));
    cr_assert_eq(kiln_safetensors_open(&file, path), KILN_OK);
    return file;
}

static const double *recorded(const kiln_safetensors *file, const char *name, const char *part)
{
    char full[128];
    kiln_array view;
    snprintf(full, sizeof full, "%s/%s", name, part);
    cr_assert(kiln_safetensors_find(file, full, &view), "%s is not recorded", full);
    return view.data;
}

/* A network whose gradients are its inputs: loss = sum(a ga) + sum(b gb). */
struct network {
    kiln_graph *g;
    kiln_weights *w;
    kiln_tensor ga, gb, loss;
};

static struct network network(const kiln_safetensors *file)
{
    struct network n = {0};
    const kiln_array a = {(void *)(uintptr_t)recorded(file, "start", "a"), 0, KILN_F64, KILN_SHAPE(3, 4)};
    const kiln_array b = {(void *)(uintptr_t)recorded(file, "start", "b"), 0, KILN_F64, KILN_SHAPE(5)};
    cr_assert_eq(kiln_graph_create(&n.g, NULL), KILN_OK);
    n.ga = kiln_input(n.g, "ga", KILN_F32, a.shape);
    n.gb = kiln_input(n.g, "gb", KILN_F32, b.shape);
    const kiln_init from_a = {.kind = KILN_INIT_VALUES, .values = &a},
                    from_b = {.kind = KILN_INIT_VALUES, .values = &b};
    const kiln_tensor pa = kiln_parameter(n.g, "a", a.shape, &from_a),
                      pb = kiln_parameter(n.g, "b", b.shape, &from_b);
    n.loss = kiln_add(n.g, kiln_sum(n.g, kiln_mul(n.g, pa, n.ga), NULL),
                      kiln_sum(n.g, kiln_mul(n.g, pb, n.gb), NULL));
    return n;
}

static void write_gradients(kiln_program *p, const struct network *n, const kiln_safetensors *file, int step)
{
    const double *a = recorded(file, "gradient", "a") + step * A,
                 *b = recorded(file, "gradient", "b") + step * B;
    const kiln_array ga = {(void *)(uintptr_t)a, 0, KILN_F64, KILN_SHAPE(3, 4)};
    const kiln_array gb = {(void *)(uintptr_t)b, 0, KILN_F64, KILN_SHAPE(5)};
    cr_assert_eq(kiln_program_write(p, n->ga, &ga), KILN_OK);
    cr_assert_eq(kiln_program_write(p, n->gb, &gb), KILN_OK);
}

static void expect_weights(kiln_weights *w, const char *name, const double *want, size_t count,
                           double tolerance, const char *why)
{
    double got[A];
    kiln_array to = {.data = got, .bytes = sizeof got, .type = KILN_F64};
    cr_assert_eq(kiln_weights_read(w, name, &to), KILN_OK);
    kiln_expect_close(got, want, count, tolerance, why);
}

/* Run all steps and compare after each. `effects` end with KILN_NONE. */
static void expect_steps(const struct network *n, kiln_device *dev, const kiln_tensor *effects, bool f64,
                         const kiln_safetensors *file, const char *rule)
{
    const kiln_program_params params = {.run = effects,
                                        .train = true,
                                        .precision = f64 ? KILN_PRECISION_F64 : KILN_PRECISION_F32};
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    cr_assert_eq(kiln_weights_create(&w, n->g, NULL), KILN_OK, "%s", rule);
    cr_assert_eq(kiln_program_create(&p, dev, n->g, w, &params), KILN_OK, "%s", rule);
    for (int step = 0; step < STEPS; step++) {
        write_gradients(p, n, file, step);
        cr_assert_eq(kiln_program_run(p), KILN_OK, "%s", rule);
        expect_weights(w, "a", recorded(file, rule, "a") + step * A, A, f64 ? 1e-11 : 1e-5, rule);
        expect_weights(w, "b", recorded(file, rule, "b") + step * B, B, f64 ? 1e-11 : 1e-5, rule);
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
}

static void expect_rule(const struct rule_case *rule, kiln_device *dev, bool f64, bool split)
{
    kiln_safetensors *file = recording();
    struct network n = network(file);
    kiln_minimize_params p = rule->p;
    p.rate = 0.05;
    kiln_tensor effects[3] = {KILN_NONE, KILN_NONE, KILN_NONE};
    if (split) {
        effects[0] = kiln_backward(n.g, n.loss, &p);
        effects[1] = kiln_update(n.g, &p);
    } else {
        effects[0] = kiln_minimize(n.g, n.loss, &p);
    }
    cr_assert_eq(kiln_graph_status(n.g), KILN_OK, "%s: %s", rule->name, kiln_graph_error(n.g));
    expect_steps(&n, dev, effects, f64, file, rule->name);
    kiln_graph_destroy(&n.g);
    kiln_safetensors_close(&file);
}

Test(update, agrees_with_pytorch_in_float64)
{
    kiln_device *dev = kiln_test_open("cpu");
    for (size_t i = 0; i < KILN_COUNT(rules); i++) {
        expect_rule(&rules[i], dev, true, false);
        expect_rule(&rules[i], dev, true, true);
    }
    kiln_test_close(&dev);
}

Test(update, agrees_with_pytorch_on_every_device)
{
    for (int k = 0; kiln_test_device(k); k++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(k));
        for (size_t i = 0; i < KILN_COUNT(rules); i++) {
            expect_rule(&rules[i], dev, false, false);
            expect_rule(&rules[i], dev, false, true);
        }
        kiln_test_close(&dev);
    }
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* Three parameters, one of them beyond 1 MiB, take a step of Adam with a scaled loss: from 1 each element goes down by the rate.
 */
static void expect_large(kiln_device *dev, bool split)
{
    enum { LARGE = 300000, SMALL = 70 };
    const kiln_init one = {.kind = KILN_INIT_CONSTANT, .value = 1};
    const kiln_minimize_params p = {.by = KILN_ADAM, .rate = 0.25, .clip_norm = 1e9, .dynamic_scale = true};
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x[] = {kiln_parameter(g, "x0", KILN_SHAPE(SMALL), &one),
                             kiln_parameter(g, "x1", KILN_SHAPE(LARGE), &one),
                             kiln_parameter(g, "x2", KILN_SHAPE(SMALL), &one)};
    const kiln_tensor loss = kiln_sum(g, kiln_concat(g, x, 3, 0), NULL);
    const kiln_tensor effects[] = {split ? kiln_backward(g, loss, &p) : kiln_minimize(g, loss, &p),
                                   split ? kiln_update(g, &p) : KILN_NONE, KILN_NONE};
    kiln_weights *w = NULL;
    kiln_program *program = NULL;
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&program, dev, g, w,
                                     &(kiln_program_params){.run = effects, .train = true}),
                 KILN_OK);
    for (int step = 0; step < 2; step++)
        cr_assert_eq(kiln_program_run(program), KILN_OK);

    static float got[LARGE];
    const char *const names[] = {"x0", "x1", "x2"};
    for (int i = 0; i < 3; i++) {
        kiln_array to = {.data = got, .bytes = sizeof got};
        cr_assert_eq(kiln_weights_read(w, names[i], &to), KILN_OK);
        for (int64_t k = 0; k < kiln_shape_count(&to.shape); k++)
            cr_assert(fabsf(got[k] - 0.5f) < 1e-5f, "%s[%d] is %g", names[i], (int)k, got[k]);
    }
    kiln_program_destroy(&program);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(update, windows_cover_what_is_beyond_a_binding)
{
    cr_assert_eq(setenv("KILN_LIMITS", "tiny", 1), 0);
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        expect_large(dev, false);
        expect_large(dev, true);
        kiln_test_close(&dev);
    }
}

/* Groups and errors -------------------------------------------------------------------------------------- */

Test(update, groups_take_other_rates_and_leave_out_the_frozen)
{
    kiln_safetensors *file = recording();
    kiln_device *dev = kiln_test_open("cpu");
    struct network n = network(file);
    const kiln_param_group groups[] = {{.match = "a", .rate = 2}, {.match = "?", .frozen = true}};
    const kiln_minimize_params p = {.rate = 0.5, .groups = groups, .group_count = 2};
    const kiln_tensor effects[] = {kiln_minimize(n.g, n.loss, &p), KILN_NONE};
    kiln_program *program = NULL;
    double want[A];

    cr_assert_eq(kiln_weights_create(&n.w, n.g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&program, dev, n.g, n.w,
                                     &(kiln_program_params){.run = effects, .train = true}),
                 KILN_OK);
    write_gradients(program, &n, file, 0);
    cr_assert_eq(kiln_program_run(program), KILN_OK);
    for (int i = 0; i < A; i++)
        want[i] = recorded(file, "start", "a")[i] - recorded(file, "gradient", "a")[i];
    expect_weights(n.w, "a", want, A, 1e-6, "twice the rate of 0.5");
    expect_weights(n.w, "b", recorded(file, "start", "b"), B, 0, "frozen");

    kiln_program_destroy(&program);
    kiln_weights_destroy(&n.w);
    kiln_graph_destroy(&n.g);
    kiln_test_close(&dev);
    kiln_safetensors_close(&file);
}

Test(update, nothing_to_train_or_a_loss_that_is_no_scalar_fails_the_graph)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3));
    cr_expect_eq(kiln_minimize(g, kiln_sum(g, x, NULL), NULL).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_ARGUMENT);
    kiln_graph_destroy(&g);

    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor p = kiln_parameter(g, "p", KILN_SHAPE(3), NULL);
    cr_expect_eq(kiln_minimize(g, kiln_square(g, p), NULL).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_SHAPE);
    kiln_graph_destroy(&g);
}
