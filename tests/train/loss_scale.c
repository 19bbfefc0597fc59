/*
 * loss_scale.c - a loss that is scaled: the scale goes as PyTorch's GradScaler has it go, a step that overflows changes nothing, one
 * that does not gives the bits of a step without scale, and all of it goes on from a file.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/nets.h"
#include "train/toy.h"

TestSuite(loss_scale, .fini = toy_clean);

enum { ELEMENTS = 5 };

/* A network whose gradient is its input: loss = sum(p x); with params of an optimizer, as one step or as two halves. */
struct network {
    kiln_graph *g;
    kiln_weights *w;
    kiln_program *p;
    kiln_tensor x, scale;
};

static struct network network(kiln_device *dev, const kiln_minimize_params *how, bool split)
{
    struct network n = {0};
    const kiln_init two = {.kind = KILN_INIT_CONSTANT, .value = 2};
    cr_assert_eq(kiln_graph_create(&n.g, NULL), KILN_OK);
    n.x = kiln_input(n.g, "x", KILN_F32, KILN_SHAPE(ELEMENTS));
    const kiln_tensor p = kiln_parameter(n.g, "p", KILN_SHAPE(ELEMENTS), &two);
    const kiln_tensor loss = kiln_sum(n.g, kiln_mul(n.g, p, n.x), NULL);
    const kiln_tensor first = split ? kiln_backward(n.g, loss, how) : kiln_minimize(n.g, loss, how);
    const kiln_tensor second = split ? kiln_update(n.g, how) : KILN_NONE;
    n.scale = kiln_output(n.g, "loss scale", kiln_loss_scale(n.g, how));
    const kiln_tensor run[] = {first, n.scale, second, KILN_NONE};
    cr_assert_eq(kiln_graph_status(n.g), KILN_OK, "%s", kiln_graph_error(n.g));
    cr_assert_eq(kiln_weights_create(&n.w, n.g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&n.p, dev, n.g, n.w, &(kiln_program_params){.run = run, .train = true}),
                 KILN_OK);
    return n;
}

static void network_finish(struct network *n)
{
    kiln_program_destroy(&n->p);
    kiln_weights_destroy(&n->w);
    kiln_graph_destroy(&n->g);
}

/* One step with a gradient of `value` everywhere but for its last element, which is `last`. */
static void step(struct network *n, float value, float last)
{
    float x[ELEMENTS];
    for (int i = 0; i < ELEMENTS; i++)
        x[i] = i + 1 < ELEMENTS ? value : last;
    cr_assert_eq(kiln_program_write(n->p, n->x, &(kiln_array){.data = x, .shape = KILN_SHAPE(ELEMENTS)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(n->p), KILN_OK);
}

static double scalar(kiln_weights *w, const char *name)
{
    union {
        float real;
        int32_t whole;
    } value;
    kiln_array to = {.data = &value, .bytes = sizeof value};
    cr_assert_eq(kiln_weights_read(w, name, &to), KILN_OK, "%s", name);
    return to.type == KILN_F32 ? (double)value.real : value.whole;
}

/* What a step may change, bit for bit. */
struct kept {
    float p[ELEMENTS], m[ELEMENTS], v[ELEMENTS];
    double steps;
};

static struct kept keep(kiln_weights *w)
{
    struct kept k = {.steps = scalar(w, "optimizer.step")};
    float *const at[] = {k.p, k.m, k.v};
    static const char *const name[] = {"p", "optimizer.m/p", "optimizer.v/p"};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(kiln_weights_read(w, name[i], &(kiln_array){.data = at[i], .bytes = sizeof k.p}),
                     KILN_OK, "%s", name[i]);
    return k;
}

/* torch.cuda.amp.GradScaler: its scale and growth tracker behind a step (update() and _amp_update_scale_). */
struct scaler {
    double scale;
    int clean;
};

static void scaler_step(struct scaler *s, bool overflow, int interval)
{
    if (overflow) {
        s->scale *= 0.5;
        s->clean = 0;
    } else if (++s->clean == interval) {
        s->scale *= 2;
        s->clean = 0;
    }
}

static void expect_sequence(kiln_device *dev, bool split)
{
    enum { INTERVAL = 3 };
    static const char steps[] = ".......i..n...i.ni....m.......";
    struct scaler want = {.scale = 8};
    struct network n =
        network(dev,
                &(kiln_minimize_params){
                    .by = KILN_ADAM, .loss_scale = 8, .dynamic_scale = true, .scale_interval = INTERVAL},
                split);
    step(&n, 0.5f, 0.5f); /* makes the moments */
    scaler_step(&want, false, INTERVAL);
    for (int i = 0; steps[i]; i++) {
        const bool overflow = steps[i] != '.';
        const float last = steps[i] == 'i' ? INFINITY : steps[i] == 'm' ? -INFINITY : overflow ? NAN : 0.25f;
        const struct kept was = keep(n.w);
        double shown;
        step(&n, -0.5f, last);
        cr_assert_eq(kiln_program_read(n.p, n.scale, &(kiln_array){.data = &shown, .type = KILN_F64}),
                     KILN_OK);
        cr_expect_float_eq(shown, want.scale, 0, "step %d: the loss had scale %g, wanted %g", i, shown,
                           want.scale);
        scaler_step(&want, overflow, INTERVAL);
        const struct kept now = keep(n.w);
        cr_expect_float_eq(scalar(n.w, "optimizer.loss_scale"), want.scale, 0, "step %d: %g", i, want.scale);
        cr_expect_eq((int)scalar(n.w, "optimizer.clean_steps"), want.clean, "step %d", i);
        cr_expect_float_eq(now.steps, was.steps + !overflow, 0, "step %d", i);
        cr_expect_eq(memcmp(now.p, was.p, sizeof now.p) == 0, overflow, "step %d: parameters", i);
        cr_expect_eq(memcmp(now.m, was.m, sizeof now.m) == 0, overflow, "step %d: m", i);
        cr_expect_eq(memcmp(now.v, was.v, sizeof now.v) == 0, overflow, "step %d: v", i);
    }
    network_finish(&n);
}

Test(loss_scale, goes_as_pytorch_has_it_and_a_step_that_overflows_changes_nothing)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        expect_sequence(dev, false);
        expect_sequence(dev, true);
        kiln_test_close(&dev);
    }
}

/* 1e36 times 65536 is beyond a float, times 256 it is not: 8 steps are left out, and the next one is made. */
Test(loss_scale, comes_down_from_what_overflows)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        struct network n =
            network(dev, &(kiln_minimize_params){.by = KILN_SGD, .rate = 1e-36, .dynamic_scale = true},
                    false);
        float p[ELEMENTS];
        for (int i = 0; i < 9; i++)
            step(&n, 1e36f, 1e36f);
        cr_expect_float_eq(scalar(n.w, "optimizer.loss_scale"), 256, 0);
        cr_expect_float_eq(scalar(n.w, "optimizer.step"), 1, 0);
        cr_assert_eq(kiln_weights_read(n.w, "p", &(kiln_array){.data = p, .bytes = sizeof p}), KILN_OK);
        cr_expect_float_eq(p[0], 1, 1e-6, "2 - 1e-36 1e36 is %g", (double)p[0]); /* 1e36f is 1e36 to 6e-8 */
        network_finish(&n);
        kiln_test_close(&dev);
    }
}

/* Of each kind one: a step by it would be nothing, or what is not finite. */
Test(loss_scale, that_cannot_be_is_refused)
{
    const kiln_minimize_params bad[] = {
        {.loss_scale = -1024},
        {.loss_scale = NAN},
        {.loss_scale = INFINITY},
        {.loss_scale = 0x1p-127},
        {.loss_scale = 0x1p127},
        {.dynamic_scale = true, .loss_scale = -1},
        {.dynamic_scale = true, .scale_interval = -1},
    };
    for (size_t i = 0; i < KILN_COUNT(bad); i++)
        for (int way = 0; way < 3; way++) {
            kiln_graph *g;
            cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
            const kiln_tensor loss = kiln_sum(g, kiln_parameter(g, "p", KILN_SHAPE(ELEMENTS), NULL), NULL);
            const kiln_tensor step = way == 0   ? kiln_minimize(g, loss, &bad[i])
                                     : way == 1 ? kiln_backward(g, loss, &bad[i])
                                                : kiln_update(g, &bad[i]);
            cr_expect_eq(step.id, 0);
            cr_expect_eq(kiln_graph_status(g), KILN_ERROR_ARGUMENT, "%d of %zu", way, i);
            cr_expect(strstr(kiln_graph_error(g), "loss scale") != NULL, "%s", kiln_graph_error(g));
            kiln_graph_destroy(&g);
        }
}

/* A scale that is given, and not dynamic, stays; steps that overflow are left out all the same. */
Test(loss_scale, that_is_fixed_leaves_out_steps_too)
{
    kiln_device *dev = kiln_test_open("cpu");
    struct network n = network(dev, &(kiln_minimize_params){.by = KILN_ADAM, .loss_scale = 1024}, false);
    step(&n, 0.5f, 0.5f);
    const struct kept was = keep(n.w);
    step(&n, 0.5f, NAN);
    const struct kept same = keep(n.w);
    cr_expect_eq(memcmp(&same, &was, sizeof was), 0);
    step(&n, 0.5f, 0.5f);
    const struct kept now = keep(n.w);
    cr_expect_float_eq(now.steps, 2, 0);
    cr_expect(memcmp(now.p, was.p, sizeof now.p) != 0);
    network_finish(&n);
    kiln_test_close(&dev);
}

/* Bits --------------------------------------------------------------------------------------------------- */

static bool is_of_the_scale(const char *name)
{
    return strstr(name, "loss_scale") || strstr(name, "clean_steps");
}

/* Every tensor of a, but for the scale's own, against b's of that name. */
static void expect_same_weights(kiln_weights *a, kiln_weights *b, const char *why)
{
    static float x[1 << 16], y[1 << 16];
    for (int i = 0; i < kiln_weights_count(a); i++) {
        const char *name = kiln_weights_name(a, i);
        kiln_array to = {.data = x, .bytes = sizeof x}, other = {.data = y, .bytes = sizeof y};
        if (is_of_the_scale(name))
            continue;
        cr_assert_eq(kiln_weights_read(a, name, &to), KILN_OK, "%s", name);
        cr_assert_eq(kiln_weights_read(b, name, &other), KILN_OK, "%s", name);
        const size_t bytes = (size_t)kiln_shape_count(&to.shape) * kiln_type_size(to.type);
        cr_expect_eq(memcmp(x, y, bytes), 0, "%s: %s differs", why, name);
    }
}

/* The weights after some steps of a network with all that depends on training. */
static struct kiln_test_learner learned(kiln_device *dev, const kiln_minimize_params *how)
{
    enum { BATCH = 3, STEPS = 4 };
    struct kiln_test_learner l = kiln_test_learner(kiln_test_noisy, how);
    kiln_program *p = NULL;
    double loss[STEPS];
    cr_assert_eq(kiln_program_create(&p, dev, l.g, l.weights,
                                     &(kiln_program_params){.run = KILN_RUN(l.step, l.loss), .train = true}),
                 KILN_OK);
    kiln_test_train(&l, p, BATCH, STEPS, loss);
    kiln_program_destroy(&p);
    return l;
}

/* Clipped by element and by norm, both of which see gradients as they are. */
Test(loss_scale, that_is_a_power_of_two_changes_no_bits)
{
    static const struct {
        const char *what;
        double scale;
        bool dynamic;
        int interval;
    } cases[] = {{"1024", 1024, false, 0}, {"dynamic", 0, true, 0}, {"growing with each step", 0, true, 1}};
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_minimize_params how = {
            .by = KILN_ADAM, .rate = 0.01, .decay = 0.1, .clip_value = 0.05, .clip_norm = 0.5};
        struct kiln_test_learner want = learned(dev, &how);
        for (size_t i = 0; i < KILN_COUNT(cases); i++) {
            how.loss_scale = cases[i].scale;
            how.dynamic_scale = cases[i].dynamic;
            how.scale_interval = cases[i].interval;
            struct kiln_test_learner got = learned(dev, &how);
            expect_same_weights(want.weights, got.weights, cases[i].what);
            kiln_test_learner_finish(&got);
        }
        kiln_test_learner_finish(&want);
        kiln_test_close(&dev);
    }
}

/* Of batches that are gathered, with a scale that changes from step to step. */
Test(loss_scale, changes_no_bits_of_what_is_gathered)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_minimize_params how = {.by = KILN_ADAM, .rate = 0.01, .clip_norm = 0.5};
        struct network plain = network(dev, &how, true);
        how.dynamic_scale = true;
        how.scale_interval = 1;
        struct network scaled = network(dev, &how, true);
        for (int i = 0; i < 4; i++) {
            step(&plain, 0.3f * (float)(i + 1), -0.7f);
            step(&scaled, 0.3f * (float)(i + 1), -0.7f);
        }
        expect_same_weights(plain.w, scaled.w, "gathered");
        cr_expect_float_eq(scalar(scaled.w, "optimizer.loss_scale"), 65536 * 16, 0);
        network_finish(&plain);
        network_finish(&scaled);
        kiln_test_close(&dev);
    }
}

/* Files -------------------------------------------------------------------------------------------------- */

/* Steps of which the third overflows; the scale grows after 2 in a row. */
static void steps(struct network *n, int first, int last)
{
    for (int i = first; i < last; i++)
        step(n, 0.1f * (float)(i + 1), i == 2 ? INFINITY : 0.5f);
}

Test(loss_scale, goes_on_from_a_file_bit_for_bit)
{
    const kiln_minimize_params how = {
        .by = KILN_ADAM, .rate = 0.01, .dynamic_scale = true, .scale_interval = 2};
    const char *path = toy_path("scaled");
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        struct network whole = network(dev, &how, false), resumed = network(dev, &how, false);
        steps(&whole, 0, 4);
        cr_assert_eq(kiln_weights_save(whole.w, path), KILN_OK);
        cr_assert_eq(kiln_weights_load(resumed.w, path, NULL), KILN_OK);
        steps(&whole, 4, 9);
        steps(&resumed, 4, 9);
        expect_same_weights(whole.w, resumed.w, "resumed");
        cr_expect_float_eq(scalar(resumed.w, "optimizer.loss_scale"), scalar(whole.w, "optimizer.loss_scale"),
                           0);
        cr_expect_eq((int)scalar(resumed.w, "optimizer.clean_steps"),
                     (int)scalar(whole.w, "optimizer.clean_steps"));
        network_finish(&whole);
        network_finish(&resumed);
        kiln_test_close(&dev);
    }
}
