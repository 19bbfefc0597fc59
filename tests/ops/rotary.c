/* rotary.c - sinusoids and rotary embedding: known values, turning back, every device alike. */
#include <kiln/attention.h>
#include <kiln/indexing.h>

#include <math.h>
#include <stdlib.h>

#include "support/golden_case.h"

static const struct rotary_case {
    kiln_shape x;
    int heads, size;
    bool interleaved, each; /* each: a table a batch */
    const char *why;
} cases[] = {
    {{4, {1, 1, 1, 2}}, 0, 0, .why = "one pair"},
    {{4, {2, 3, 5, 8}}, 0, 0, .why = "halves"},
    {{4, {2, 3, 5, 8}}, 0, 0, .interleaved = true, .why = "neighbours"},
    {{4, {2, 3, 7, 13}}, 0, 6, .why = "halves of a part"},
    {{4, {2, 3, 7, 13}},
     0,
     10,
     .interleaved = true,
     .each = true,
     .why = "neighbours of a part, a table a batch"},
    {{3, {2, 9, 12}}, 3, 0, .why = "heads within rows"},
    {{3, {3, 4, 30}},
     5,
     4,
     .interleaved = true,
     .each = true,
     .why = "heads within rows, a part, a table a batch"},
    {{4, {0, 3, 5, 8}}, 0, 0, .why = "no batches"},
    {{4, {80, 4, 33, 64}}, 0, 0, .each = true, .why = "more than a window"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct rotary_case *c = one_case;
    const kiln_rotary_params p = {.heads = c->heads, .size = c->size, .interleaved = c->interleaved};
    const int64_t depth = c->x.rank == 4 ? c->x.size[3] : c->x.size[2] / c->heads;
    const int64_t length = c->x.size[c->x.rank - 2];
    const kiln_shape places = c->each ? KILN_SHAPE(c->x.size[0], length) : KILN_SHAPE(length);
    kiln_tensor sine;
    const kiln_tensor cosine =
        kiln_rotary_table(g, kiln_test_index(g, places, 50), c->size ? c->size : (int)depth, 0, &sine);
    return kiln_rotary(g, kiln_test_input(g, c->x), cosine, sine, &p);
}

/* Angles of up to 50 are good to some 4e-6 in float32: twice the usual bound. */
Test(rotary, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        const int64_t count = kiln_shape_count(&cases[i].x);
        if (count > 0 && count < 5000)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 2e-5, cases[i].why);
    }
}

static kiln_tensor known(kiln_graph *g, const void *one_case)
{
    const bool interleaved = *(const bool *)one_case;
    const kiln_tensor x =
        kiln_test_values(g, KILN_SHAPE(1, 1, 2, 5), (const float[]){1, 2, 3, 4, 5, 1, 2, 3, 4, 5});
    const kiln_tensor c = kiln_test_values(g, KILN_SHAPE(2, 2), (const float[]){1, 1, 0, 0.6f}),
                      s = kiln_test_values(g, KILN_SHAPE(2, 2), (const float[]){0, 0, 1, 0.8f});
    const kiln_rotary_params p = {.size = 4, .interleaved = interleaved};
    return kiln_rotary(g, x, kiln_stop_gradient(g, c), kiln_stop_gradient(g, s), &p);
}

Test(rotary, known_values)
{
    const double halves[] = {1, 2, 3, 4, 5, -3, 2 * 0.6 - 4 * 0.8, 1, 4 * 0.6 + 2 * 0.8, 5};
    const double pairs[] = {1, 2, 3, 4, 5, -2, 1, 3 * 0.6 - 4 * 0.8, 4 * 0.6 + 3 * 0.8, 5};
    kiln_expect_values(known, &(bool){false}, halves, 10, 1e-6, "halves");
    kiln_expect_values(known, &(bool){true}, pairs, 10, 1e-6, "neighbours");
}

/* Sinusoids ---------------------------------------------------------------------------------------------- */

static kiln_tensor sinusoids(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(2, 7, 6));
    return kiln_add(g, kiln_scale(g, x, 0), kiln_sinusoidal(g, kiln_positions(g, x, 1), 6, 100));
}

Test(rotary, sinusoids_are_those_of_vaswani)
{
    double want[2 * 7 * 6];
    for (int k = 0; k < 2 * 7 * 6; k++) {
        const double angle = k / 6 % 7 * pow(100, -(k % 6 / 2) / 3.0);
        want[k] = k % 2 ? cos(angle) : sin(angle);
    }
    kiln_expect_values(sinusoids, NULL, want, KILN_COUNT(want), 1e-12, "sinusoids");
    kiln_expect_devices_agree(sinusoids, NULL, false, 1e-6, "sinusoids");
}

Test(rotary, sinusoids_follow_a_length_that_is_a_symbol)
{
    kiln_graph *g = NULL;
    kiln_device *dev = kiln_test_open("cpu");
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, kiln_dim(g, "length"), 4));
    const kiln_tensor y = kiln_add(g, x, kiln_sinusoidal(g, kiln_positions(g, x, 1), 4, 0));
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}), KILN_OK);
    for (int64_t length = 1; length < 6; length += 2) {
        float zeros[20] = {0}, got[20];
        kiln_array to = {.data = got, .bytes = sizeof got};
        cr_assert_eq(kiln_program_write(p, x,
                                        &(kiln_array){.data = zeros, .shape = KILN_SHAPE(1, length, 4)}),
                     KILN_OK);
        cr_assert_eq(kiln_program_run(p), KILN_OK);
        cr_assert_eq(kiln_program_read(p, y, &to), KILN_OK);
        cr_expect(fabs(got[4 * (length - 1)] - sin((double)length - 1)) < 1e-6);
    }
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

/* Errors ------------------------------------------------------------------------------------------------- */

static kiln_tensor wrong(kiln_graph *g, int which)
{
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 2, 5, 8)),
                      whole = kiln_input(g, "whole", KILN_I32, KILN_SHAPE(KILN_BATCH, 2, 5, 8)),
                      flat = kiln_input(g, "flat", KILN_F32, KILN_SHAPE(KILN_BATCH, 5, 16)),
                      table = kiln_parameter(g, "table", KILN_SHAPE(5, 4), NULL);
    kiln_tensor dx;
    switch (which) {
    case 0:
        return kiln_rotary(g, whole, table, table, NULL);
    case 1:
        return kiln_rotary(g, flat, table, table, NULL); /* how many heads? */
    case 2:
        return kiln_rotary(g, x, table, table, &(kiln_rotary_params){.size = 6});
    case 3:
        return kiln_rotary(g, x, table, table, &(kiln_rotary_params){.size = 7});
    case 4:
        return kiln_sinusoidal(g, table, 3, 0);
    default: /* an angle is no operand that learns */
        kiln_gradient(g, kiln_rotary(g, x, table, table, NULL), KILN_NONE, &table, 1, &dx);
        return dx;
    }
}

Test(rotary, says_what_does_not_fit)
{
    static const kiln_status want[] = {KILN_ERROR_TYPE,  KILN_ERROR_SHAPE,    KILN_ERROR_SHAPE,
                                       KILN_ERROR_SHAPE, KILN_ERROR_ARGUMENT, KILN_ERROR_UNSUPPORTED};
    for (int i = 0; i < (int)KILN_COUNT(want); i++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        cr_expect_eq(wrong(g, i).id, 0);
        cr_expect_eq(kiln_graph_status(g), want[i], "case %d: %s", i, kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
