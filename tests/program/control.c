/* control.c - bodies of loops that draw, count and remember: as their steps by hand do, over several runs; sizes that change. */
#include "program/rig.h"

enum { MOST_STEPS = 1000 };

static kiln_graph *new_body(const char *name)
{
    kiln_graph *g = NULL;
    TRY(kiln_graph_create(&g, &(kiln_graph_params){.name = name}));
    return g;
}

/* x [B, 3], h [B, 3] -> h, with dropout, running statistics and a parameter */
static kiln_graph *make_noisy(void)
{
    kiln_graph *g = new_body("noisy");
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3)),
                      h = kiln_input(g, "h", KILN_F32, KILN_SHAPE(KILN_BATCH, 3));
    const kiln_tensor mean = kiln_state(g, "mean", KILN_F32, KILN_SHAPE(3), KILN_STORE_WEIGHTS);
    const kiln_tensor variance = kiln_state_init(g, "variance", KILN_F32, KILN_SHAPE(3), KILN_STORE_WEIGHTS,
                                                 &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 1});
    const kiln_tensor w = kiln_parameter(g, "w", KILN_SHAPE(3, 3), &(kiln_init){.kind = KILN_INIT_UNIFORM});
    const kiln_tensor y = kiln_batch_norm(g, kiln_add(g, kiln_matmul(g, x, w, NULL), h), KILN_NONE, KILN_NONE,
                                          mean, variance, NULL);
    kiln_output(g, "next", kiln_dropout(g, y, 0.5));
    return g;
}

/* A program that scans a noisy body, in a form or by hand, and learns from it. */
struct noisy {
    kiln_graph *g;
    kiln_weights *w;
    kiln_program *p;
    kiln_tensor loss;
};

enum { BY_HAND = -1, ROWS = 4, STEPS = 5 };

static struct noisy make_program(kiln_device *dev, int form, bool train)
{
    struct noisy n = {.g = new_graph()};
    kiln_graph *body = make_noisy();
    static float values[STEPS * ROWS * 3];
    for (int i = 0; i < STEPS * ROWS * 3; i++)
        values[i] = (float)(i * 7 % 11) / 5 - 1;
    const kiln_tensor x = kiln_constant(n.g, FLOATS(values, STEPS, ROWS, 3));
    kiln_tensor h = kiln_constant(n.g, FLOATS(values + 5, ROWS, 3));
    if (form == BY_HAND)
        for (int t = 0; t < STEPS; t++)
            kiln_call(n.g, body, (kiln_tensor[]){kiln_squeeze(n.g, kiln_slice(n.g, x, 0, t, t + 1, 1), 0), h},
                      &h);
    else
        kiln_scan(n.g, body, &(kiln_scan_params){.each = {x}, .carry = {h}, .form = (kiln_loop_form)form},
                  &h);
    n.loss = kiln_sum(n.g, kiln_square(n.g, h), NULL);
    const kiln_tensor step =
        kiln_minimize(n.g, n.loss, &(kiln_minimize_params){.by = KILN_SGD, .rate = 0.01});
    n.w = new_weights(n.g, 3);
    n.p = train ? new_program(dev, n.g, n.w, KILN_RUN(n.loss, step), true)
                : new_program(dev, n.g, n.w, KILN_RUN(n.loss), false);
    kiln_graph_destroy(&body);
    return n;
}

static void destroy(struct noisy *n)
{
    kiln_program_destroy(&n->p);
    kiln_weights_destroy(&n->w);
    kiln_graph_destroy(&n->g);
}

/* Sums differ in their order alone, by a few roundings in each of three runs. */
static void expect_like_by_hand(kiln_device *dev, const char *device, int form, bool train)
{
    struct noisy hand = make_program(dev, BY_HAND, train), scan = make_program(dev, form, train);
    float losses[3];
    for (int i = 0; i < 3; i++) {
        TRY(kiln_program_run(hand.p));
        TRY(kiln_program_run(scan.p));
        losses[i] = result(hand.p, hand.loss);
        cr_expect_float_eq(result(scan.p, scan.loss), losses[i], 1e-4f * fabsf(losses[i]),
                           "%s, form %d, run %d: %g, by hand %g", device, form, i, result(scan.p, scan.loss),
                           losses[i]);
        if (i && train)
            cr_expect_neq(losses[i], losses[i - 1], "nothing new was drawn");
    }
    static const char *const names[] = {"mean", "variance", "w"};
    for (size_t i = 0; i < KILN_COUNT(names); i++)
        cr_expect_float_eq(weight(scan.w, names[i]), weight(hand.w, names[i]), 1e-5f,
                           "%s, form %d, %s: %g, by hand %g", device, form, names[i],
                           weight(scan.w, names[i]), weight(hand.w, names[i]));
    int32_t counters[2][2];
    TRY(kiln_weights_read(scan.w, "random", INTO(counters[0])));
    TRY(kiln_weights_read(hand.w, "random", INTO(counters[1])));
    cr_expect_eq(counters[0][1], train ? 3 * STEPS : 0, "%d draws were counted", counters[0][1]);
    cr_expect_eq(counters[1][1], counters[0][1]);
    destroy(&hand);
    destroy(&scan);
}

Test(control, each_step_draws_anew_and_statistics_follow)
{
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        for (int form = KILN_LOOP_UNROLLED; form <= KILN_LOOP_REPEATED; form++)
            for (int train = 0; train < 2; train++)
                expect_like_by_hand(dev, kiln_test_device(i), form, train);
        kiln_test_close(&dev);
    }
}

/* States ------------------------------------------------------------------------------------------------- */

/* x -> total so far, which a state of the session remembers */
static kiln_graph *make_counting(void)
{
    kiln_graph *g = new_body("counting");
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SCALAR);
    const kiln_tensor total = kiln_state(g, "total", KILN_F32, KILN_SCALAR, KILN_STORE_SESSION);
    const kiln_tensor next = kiln_add(g, total, x);
    kiln_output(g, "keep", kiln_assign(g, total, next));
    kiln_output(g, "next", next);
    return g;
}

static void expect_state(kiln_device *dev, const char *device, kiln_loop_form form)
{
    kiln_graph *g = new_graph(), *body = make_counting();
    kiln_session *s = NULL;
    kiln_program *keeps = NULL, *looks = NULL;
    kiln_tensor out[2];
    float x[MOST_STEPS];
    const kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(kiln_dim(g, "steps")));
    kiln_scan(g, body, &(kiln_scan_params){.each = {in}, .form = form}, out);
    const kiln_tensor last = kiln_reduce_max(g, out[1], NULL);
    kiln_weights *w = new_weights(g, 1);
    TRY(kiln_session_create(&s, g));
    TRY(kiln_program_create(&keeps, dev, g, w,
                            &(kiln_program_params){.run = KILN_RUN(out[0], last), .session = s}));
    TRY(kiln_program_create(&looks, dev, g, w, &(kiln_program_params){.run = KILN_RUN(last), .session = s}));
    float want = 0;
    static const int steps[] = {3, 1, 2, 50};
    for (size_t i = 0; i < KILN_COUNT(steps); i++) {
        for (int t = 0; t < steps[i]; t++)
            x[t] = (float)(t + 1);
        TRY(kiln_program_write(keeps, in, FLOATS(x, steps[i])));
        TRY(kiln_program_write(looks, in, FLOATS(x, steps[i])));
        TRY(kiln_program_run(looks)); /* does not list the effect, so that nothing is kept */
        TRY(kiln_program_run(keeps));
        want += (float)(steps[i] * (steps[i] + 1) / 2);
        cr_expect_eq(result(keeps, last), want, "%s, form %d: %g after %d steps", device, form,
                     result(keeps, last), steps[i]);
        cr_expect_eq(result(looks, last), want);
    }
    kiln_program_destroy(&keeps);
    kiln_program_destroy(&looks);
    kiln_session_destroy(&s);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&body);
    kiln_graph_destroy(&g);
}

Test(control, a_state_that_the_body_assigns_is_handed_on_and_kept)
{
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        for (int form = KILN_LOOP_AUTO; form <= KILN_LOOP_REPEATED; form++)
            expect_state(dev, kiln_test_device(i), (kiln_loop_form)form);
        kiln_test_close(&dev);
    }
}

/* Lengths ------------------------------------------------------------------------------------------------ */

/* h' = 0.99 h + x, stacked, and its last. */
static void expect_lengths(kiln_device *dev, const char *device, bool reverse)
{
    kiln_graph *g = new_graph(), *body = new_body("decay");
    kiln_tensor out[2];
    static float x[MOST_STEPS * 2], rows[MOST_STEPS * 2];
    const kiln_tensor a = kiln_input(body, "x", KILN_F32, KILN_SHAPE(2)),
                      h = kiln_input(body, "h", KILN_F32, KILN_SHAPE(2));
    const kiln_tensor next = kiln_add(body, kiln_scale(body, h, 0.99), a);
    kiln_output(body, "y", kiln_add(body, next, h));
    kiln_output(body, "next", next);
    const kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(kiln_dim(g, "steps"), 2));
    const float start[] = {1, -1};
    kiln_scan(
        g, body,
        &(kiln_scan_params){.each = {in}, .carry = {kiln_constant(g, FLOATS(start, 2))}, .reverse = reverse},
        out);
    kiln_weights *w = new_weights(g, 1);
    kiln_program *p = new_program(dev, g, w, KILN_RUN(out[0], out[1]), false);
    static const int lengths[] = {0, 1, 2, 7, 100, MOST_STEPS, 517};
    for (size_t i = 0; i < KILN_COUNT(lengths); i++) {
        const int length = lengths[i];
        double want[2] = {1, -1}, worst = 0;
        for (int t = 0; t < 2 * length; t++)
            x[t] = (float)(t % 5) - 2;
        TRY(kiln_program_write(p, in, FLOATS(x, length, 2)));
        TRY(kiln_program_run(p));
        TRY(kiln_program_read(p, out[0], &(kiln_array){.data = rows, .bytes = sizeof rows}));
        for (int t = 0; t < length; t++)
            for (int k = 0; k < 2; k++) {
                const int row = reverse ? length - 1 - t : t;
                const double before = want[k];
                want[k] = 0.99 * before + x[2 * row + k];
                worst = fmax(worst, fabs(rows[2 * row + k] - want[k] - before));
            }
        float last[2];
        TRY(kiln_program_read(p, out[1], INTO(last)));
        /* sums of 100 steps' weight, each with a rounding of values up to 100 */
        cr_expect(worst < 1e-3, "%s, %d steps: a row is %g off", device, length, worst);
        cr_expect_float_eq(last[0], (float)want[0], 1e-3f, "%s, %d steps: the last is %g, wanted %g", device,
                           length, last[0], want[0]);
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&body);
    kiln_graph_destroy(&g);
}

Test(control, scans_of_any_length_run)
{
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        expect_lengths(dev, kiln_test_device(i), false);
        expect_lengths(dev, kiln_test_device(i), true);
        kiln_test_close(&dev);
    }
}

Test(control, what_training_attaches_is_not_read_in_inference)
{
    kiln_device *dev = kiln_test_open("cpu");
    kiln_graph *g = new_graph();
    const kiln_tensor s = kiln_state(g, "s", KILN_F32, KILN_SCALAR, KILN_STORE_WEIGHTS);
    const kiln_tensor x = kiln_shift(g, s, 1);
    kiln_assign_with(g, s, kiln_shift(g, s, 10), x);
    const kiln_tensor later = kiln_add(g, s, x);
    kiln_weights *w = new_weights(g, 1);
    kiln_program *train = new_program(dev, g, w, KILN_RUN(later), true),
                 *infer = new_program(dev, g, w, KILN_RUN(later), false);
    TRY(kiln_program_run(infer));
    cr_expect_eq(result(infer, later), 1);
    TRY(kiln_program_run(train));
    cr_expect_eq(result(train, later), 11);
    TRY(kiln_program_run(infer));
    cr_expect_eq(result(infer, later), 21);
    kiln_program_destroy(&train);
    kiln_program_destroy(&infer);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}
