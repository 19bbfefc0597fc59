/* session.c - states: assigned by the program that lists the effect, in the weights or in a session. */
#include "program/rig.h"

Test(session, an_assignment_happens_where_it_is_listed)
{
    kiln_graph *g = new_graph();
    kiln_tensor s = kiln_state(g, "count", KILN_F32, KILN_SCALAR, KILN_STORE_WEIGHTS);
    kiln_tensor next = kiln_shift(g, s, 1), keep = kiln_assign(g, s, next), after = kiln_scale(g, s, 10);
    kiln_weights *w = new_weights(g, 1);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_program *count = new_program(dev, g, w, KILN_RUN(keep, next), false);
        kiln_program *look = new_program(dev, g, w, KILN_RUN(after), false);
        const float zero[] = {0};
        TRY(kiln_weights_write(w, "count", &(kiln_array){.data = (void *)(uintptr_t)zero}));
        for (int i = 1; i <= 3; i++) {
            TRY(kiln_program_run(count));
            cr_expect_eq(result(count, next), i);
            cr_expect_eq(weight(w, "count"), i);
        }
        TRY(kiln_program_run(look));
        cr_expect_eq(result(look, after), 40, "a read behind the assignment is of what it would store");
        cr_expect_eq(weight(w, "count"), 3, "a program without the effect stores nothing");
        kiln_program_destroy(&count);
        kiln_program_destroy(&look);
        kiln_test_close(&dev);
    }
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(session, a_value_read_before_an_assignment_is_the_old_one)
{
    kiln_graph *g = new_graph();
    kiln_tensor a = kiln_state(g, "a", KILN_F32, KILN_SHAPE(3), KILN_STORE_WEIGHTS);
    kiln_tensor b = kiln_state_init(g, "b", KILN_F32, KILN_SHAPE(3), KILN_STORE_WEIGHTS,
                                    &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 5});
    kiln_tensor old_a = kiln_scale(g, a, 1), old_b = kiln_scale(g, b, 1);
    kiln_tensor swap[] = {kiln_assign(g, a, old_b), kiln_assign(g, b, old_a)};
    kiln_weights *w = new_weights(g, 1);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = new_program(dev, g, w, KILN_RUN(kiln_group(g, swap, 2)), false);
    TRY(kiln_program_run(p));
    cr_expect(weight(w, "a") == 5 && weight(w, "b") == 0);
    TRY(kiln_program_run(p));
    cr_expect(weight(w, "a") == 0 && weight(w, "b") == 5);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

Test(session, two_conversations_on_one_store_do_not_meet)
{
    kiln_graph *g = new_graph();
    kiln_tensor s = kiln_state(g, "said", KILN_F32, KILN_SCALAR, KILN_STORE_SESSION);
    kiln_tensor w0 =
        kiln_parameter(g, "w", KILN_SCALAR, &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 2});
    kiln_tensor next = kiln_add(g, s, w0), keep = kiln_assign(g, s, next);
    kiln_weights *w = new_weights(g, 1);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_session *talk[2];
    kiln_program *p[2];
    for (int i = 0; i < 2; i++) {
        TRY(kiln_session_create(&talk[i], g));
        TRY(kiln_program_create(&p[i], dev, g, w,
                                &(kiln_program_params){.run = KILN_RUN(next, keep), .session = talk[i]}));
    }
    for (int i = 0; i < 3; i++)
        TRY(kiln_program_run(p[0]));
    TRY(kiln_program_run(p[1]));
    float value[1];
    TRY(kiln_session_read(talk[0], "said", INTO(value)));
    cr_expect_eq(value[0], 6);
    TRY(kiln_session_read(talk[1], "said", INTO(value)));
    cr_expect_eq(value[0], 2);
    TRY(kiln_session_reset(talk[0]));
    TRY(kiln_program_run(p[0]));
    cr_expect_eq(result(p[0], next), 2);
    value[0] = 100;
    TRY(kiln_session_write(talk[1], "said", &(kiln_array){.data = value}));
    TRY(kiln_program_run(p[1]));
    cr_expect_eq(result(p[1], next), 102);
    for (int i = 0; i < 2; i++) {
        kiln_session_destroy(&talk[i]);
        TRY(kiln_program_run(p[i]));
        kiln_program_destroy(&p[i]);
    }
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

Test(session, a_program_that_needs_one_says_so)
{
    kiln_graph *g = new_graph();
    kiln_tensor s = kiln_state(g, "said", KILN_F32, KILN_SCALAR, KILN_STORE_SESSION), y = kiln_exp(g, s);
    kiln_weights *w = new_weights(g, 1);
    kiln_device *dev = kiln_test_open("cpu");
    kiln_program *p = NULL;
    keep_lines();
    EXPECT_REFUSED(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}),
                   KILN_ERROR_ARGUMENT, "\"said\"", "session");
    cr_expect_null(p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}

Test(session, a_device_counts_what_it_was_given_and_who_waited)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        kiln_graph *g = new_graph();
        const kiln_tensor s = kiln_state(g, "said", KILN_F32, KILN_SCALAR, KILN_STORE_WEIGHTS);
        const kiln_tensor next = kiln_add(g, s, kiln_scalar(g, KILN_F32, 1)), keep = kiln_assign(g, s, next);
        kiln_weights *w = new_weights(g, 1);
        kiln_program *p = new_program(dev, g, w, KILN_RUN(next, keep), false);
        TRY(kiln_program_run(p));
        cr_expect_eq(result(p, next), 1);
        const kiln_device_counts before = kiln_device_get_counts(dev);
        for (int i = 0; i < 3; i++) {
            TRY(kiln_program_run(p));
            cr_expect_eq(result(p, next), 2 + (float)i);
            cr_expect_eq(result(p, next), 2 + (float)i); /* which is there by then */
        }
        const kiln_device_counts after = kiln_device_get_counts(dev);
        cr_expect_eq(after.submissions - before.submissions, 3);
        cr_expect_eq(after.waits - before.waits, 3);
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
        kiln_test_close(&dev);
    }
}
