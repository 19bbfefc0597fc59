/* store.c - one store on several devices and in both precisions: the newest copy counts. */
#include "program/rig.h"

/* y = x w, and a step that changes w. */
struct net {
    kiln_graph *g;
    kiln_tensor y, step;
};

static struct net make(void)
{
    struct net n = {.g = new_graph()};
    kiln_tensor w =
        kiln_parameter(n.g, "w", KILN_SHAPE(4), &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 1});
    n.y = kiln_scale(n.g, w, 2);
    n.step =
        kiln_minimize(n.g, kiln_sum(n.g, w, NULL), &(kiln_minimize_params){.by = KILN_SGD, .rate = 0.125});
    return n;
}

Test(store, each_program_sees_what_another_device_learned)
{
    struct net n = make();
    kiln_weights *w = new_weights(n.g, 1);
    kiln_device *cpu = kiln_test_open("cpu");
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *learn = new_program(dev, n.g, w, KILN_RUN(n.step), true);
        kiln_program *here = new_program(cpu, n.g, w, KILN_RUN(n.y, n.step), true);
        const float start = weight(w, "w");
        TRY(kiln_program_run(learn));
        cr_expect_eq(weight(w, "w"), start - 0.125f);
        TRY(kiln_program_run(here));
        cr_expect_eq(result(here, n.y), 2 * (start - 0.125f));
        TRY(kiln_program_run(learn));
        cr_expect_eq(weight(w, "w"), start - 0.375f);
        const float again[] = {3, 3, 3, 3};
        TRY(kiln_weights_write(w, "w", FLOATS(again, 4)));
        TRY(kiln_program_run(learn));
        cr_expect_eq(weight(w, "w"), 2.875f);
        kiln_program_destroy(&learn);
        kiln_program_destroy(&here);
        kiln_test_close(&dev);
    }
    kiln_device_close(&cpu);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&n.g);
}

Test(store, a_float64_program_keeps_its_digits_and_hands_on_rounded_ones)
{
    kiln_graph *g = new_graph();
    kiln_tensor s = kiln_state(g, "s", KILN_F32, KILN_SHAPE(2), KILN_STORE_WEIGHTS);
    kiln_tensor keep = kiln_assign(g, s, kiln_shift(g, s, 1.0 / 3)),
                look = kiln_scale(g, kiln_find(g, "s"), 1);
    kiln_weights *w = new_weights(g, 1);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *wide = NULL;
    double got[2];
    TRY(kiln_program_create(&wide, dev, g, w,
                            &(kiln_program_params){.run = KILN_RUN(keep), .precision = KILN_PRECISION_F64}));
    TRY(kiln_program_run(wide));
    TRY(kiln_program_run(wide));
    TRY(kiln_weights_read(w, "s", &(kiln_array){.data = got, .type = KILN_F64}));
    cr_expect(fabs(got[0] - 2.0 / 3) < 1e-14);
    cr_expect_eq(weight(w, "s"), 2.0f / 3);
    (void)look;
    kiln_program_destroy(&wide);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

Test(store, programs_keep_their_weights_and_device_alive)
{
    struct net n = make();
    kiln_weights *w = new_weights(n.g, 1);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = new_program(dev, n.g, w, KILN_RUN(n.y, n.step), true);
    kiln_device_close(&dev);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&n.g);
    for (int i = 0; i < 3; i++) {
        TRY(kiln_program_run(p));
        cr_expect_eq(result(p, n.y), 2 - 0.25f * (float)i);
    }
    cr_expect_eq(weight(kiln_program_weights(p), "w"), 0.625f);
    kiln_program_destroy(&p);
}

Test(store, memory_is_given_back)
{
    for (int d = 0; kiln_test_device(d); d++) {
        struct net n = make();
        kiln_weights *w = new_weights(n.g, 1);
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        const uint64_t before = kiln_device_memory_used(dev);
        kiln_program *p = new_program(dev, n.g, w, KILN_RUN(n.y, n.step), true);
        TRY(kiln_program_run(p));
        cr_expect_gt(kiln_device_memory_used(dev), before);
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        cr_expect_eq(kiln_device_memory_used(dev), before);
        kiln_graph_destroy(&n.g);
        kiln_test_close(&dev);
    }
}

/* Lent values ------------------------------------------------------------------------------------------------ */

struct lender {
    float values[4];
    int released, rested;
};

/* What was given back is the owner's, who does with it what he likes. */
static void take_back(void *user)
{
    struct lender *l = user;
    l->released++;
    for (int i = 0; i < 4; i++)
        l->values[i] = NAN;
}

static void note_rest(void *user, const void *from, size_t bytes)
{
    cr_expect(from == ((struct lender *)user)->values && bytes == 4 * sizeof(float));
    ((struct lender *)user)->rested++;
}

static void lend(kiln_weights *w, struct lender *l, float first)
{
    *l = (struct lender){.values = {first, first, first, first}};
    TRY(kiln_weights_lend(w, "w", FLOATS(l->values, 4), &(kiln_loan){take_back, note_rest, l}));
}

Test(store, lent_values_are_read_where_they_lie_until_a_device_has_them)
{
    struct net n = make();
    struct lender l;
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_weights *w = new_weights(n.g, 1);
        kiln_program *p = new_program(dev, n.g, w, KILN_RUN(n.y, n.step), true);
        lend(w, &l, 3);
        cr_expect_eq(l.released, 0, "%s", kiln_test_device(d));
        l.values[0] = 5;
        cr_expect_eq(weight(w, "w"), 5, "a copy was made");
        cr_expect_eq(l.rested, 1);
        TRY(kiln_program_run(p));
        cr_expect_eq(result(p, n.y), 10);
        cr_expect_eq(l.released, 1, "%s keeps them lent", kiln_test_device(d));
        cr_expect(l.rested >= 2);
        cr_expect_eq(weight(w, "w"), 4.875f);
        lend(w, &l, 7); /* to a device that has the weights: copied */
        cr_expect_eq(l.released, 1);
        cr_expect_eq(weight(w, "w"), 7);
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        cr_expect_eq(l.released, 1);
        kiln_test_close(&dev);
    }
    kiln_graph_destroy(&n.g);
}

Test(store, lent_values_are_given_back_when_a_float64_device_has_them)
{
    struct net n = make();
    struct lender l;
    kiln_device *dev = kiln_test_open("cpu");
    kiln_weights *w = new_weights(n.g, 1);
    const kiln_program_params params = {.run = KILN_RUN(n.y), .precision = KILN_PRECISION_F64};
    kiln_program *wide, *p = new_program(dev, n.g, w, KILN_RUN(n.y), false);
    TRY(kiln_program_create(&wide, dev, n.g, w, &params));
    lend(w, &l, 3);
    TRY(kiln_program_run(wide));
    cr_expect_eq(result(wide, n.y), 6);
    cr_expect_eq(l.released, 1);
    cr_expect_eq(weight(w, "w"), 3);
    TRY(kiln_program_run(p));
    cr_expect_eq(result(p, n.y), 6, "what the other has serves a program in float32");
    kiln_program_destroy(&p);
    kiln_program_destroy(&wide);
    kiln_weights_destroy(&w);
    cr_expect_eq(l.released, 1);
    kiln_graph_destroy(&n.g);
    kiln_test_close(&dev);
}

Test(store, lent_values_are_given_back_once_whatever_becomes_of_the_weights)
{
    struct net n = make();
    struct lender l, other;
    kiln_weights *w = new_weights(n.g, 1);
    const float two[] = {2, 2, 2, 2};
    const double three[] = {3, 3, 3, 3};
    lend(w, &l, 1);
    TRY(kiln_weights_write(w, "w", FLOATS(two, 4)));
    cr_expect_eq(l.released, 1);
    cr_expect_eq(weight(w, "w"), 2);
    lend(w, &l, 4);
    lend(w, &other, 5);
    cr_expect(l.released == 1 && other.released == 0);
    cr_expect_eq(weight(w, "w"), 5);
    TRY(kiln_weights_write(w, "w", FLOATS(other.values, 4)));
    cr_expect_eq(other.released, 1);
    cr_expect_eq(weight(w, "w"), 5, "released before they were written");
    kiln_weights_destroy(&w);
    cr_expect(l.released == 1 && other.released == 1);

    w = new_weights(n.g, 1);
    keep_lines();
    l = (struct lender){0};
    TRY(kiln_weights_lend(
        w, "w", &(kiln_array){.data = (void *)(uintptr_t)three, .type = KILN_F64, .shape = KILN_SHAPE(4)},
        &(kiln_loan){.release = take_back, .user = &l}));
    cr_expect_eq(l.released, 1, "another type is copied");
    cr_expect_eq(weight(w, "w"), 3);
    EXPECT_REFUSED(kiln_weights_lend(w, "w", FLOATS(two, 3), &(kiln_loan){take_back, NULL, &l}),
                   KILN_ERROR_SHAPE, "[4]", "[3]");
    EXPECT_REFUSED(kiln_weights_lend(w, "v", FLOATS(two, 4), &(kiln_loan){take_back, NULL, &l}),
                   KILN_ERROR_ARGUMENT, "\"v\"", "");
    cr_expect_eq(l.released, 3);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&n.g);
}
