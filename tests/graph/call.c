/* call.c - a graph as a function: inlined twice, with the body's symbols bound to the caller's sizes. */
#include <string.h>

#include "support/support.h"

/* cell: x [batch, n], h [batch, n] -> tanh(x w + h) with a shared parameter */
static kiln_graph *make_cell(void)
{
    kiln_graph *cell = NULL;
    cr_assert_eq(kiln_graph_create(&cell, &(kiln_graph_params){.name = "cell"}), KILN_OK);
    kiln_tensor x = kiln_input(cell, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3));
    kiln_tensor h = kiln_input(cell, "h", KILN_F32, KILN_SHAPE(KILN_BATCH, 3));
    kiln_tensor w = kiln_parameter(cell, "w", KILN_SHAPE(3, 3), NULL);
    kiln_output(cell, "next", kiln_tanh(cell, kiln_add(cell, kiln_matmul(cell, x, w, NULL), h)));
    cr_assert_eq(kiln_graph_status(cell), KILN_OK);
    return cell;
}

static kiln_tensor twice(kiln_graph *g, const void *one_case)
{
    kiln_graph *cell = make_cell();
    kiln_tensor x = kiln_test_input(g, KILN_SHAPE(2, 3)), h = kiln_test_input(g, KILN_SHAPE(2, 3));
    (void)one_case;
    kiln_call(g, cell, (kiln_tensor[]){x, h}, &h);
    kiln_call(g, cell, (kiln_tensor[]){x, h}, &h);
    kiln_graph_destroy(&cell);
    return h;
}

Test(call, a_cell_called_twice_shares_its_parameter_and_has_a_gradient)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    twice(g, NULL);
    cr_expect_eq(kiln_graph_parameter_count(g), 3); /* x, h and one w */
    kiln_graph_destroy(&g);
    kiln_expect_gradient(twice, NULL, "two steps of a cell");
}

Test(call, an_argument_that_does_not_fit_is_named)
{
    kiln_graph *g = NULL, *cell = make_cell();
    kiln_tensor out;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 3)),
                h = kiln_input(g, "h", KILN_F32, KILN_SHAPE(4, 3));
    kiln_call(g, cell, (kiln_tensor[]){x, h}, &out);
    cr_expect_eq(out.id, 0u);
    cr_expect(strstr(kiln_graph_error(g), "\"h\"") && strstr(kiln_graph_error(g), "[4, 3]"), "%s",
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&cell);
}

Test(call, a_body_reads_its_states_as_it_was_built)
{
    kiln_graph *body = NULL, *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    kiln_device *dev = kiln_test_open("cpu");
    kiln_tensor out[2];
    float x = 5, got[2];
    cr_assert_eq(kiln_graph_create(&body, NULL), KILN_OK);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor in = kiln_input(body, "in", KILN_F32, KILN_SCALAR);
    const kiln_tensor s = kiln_state_init(body, "s", KILN_F32, KILN_SCALAR, KILN_STORE_WEIGHTS,
                                          &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 3});
    const kiln_tensor y = kiln_mul(body, s, in);
    kiln_assign(body, s, kiln_shift(body, s, 1));
    kiln_tensor dy; /* by the rule of mul: the value of s that y was made of, though a newer one is known */
    kiln_gradient(body, y, KILN_NONE, &in, 1, &dy);
    kiln_output(body, "dy", dy);
    kiln_output(body, "y", y);

    const kiln_tensor given = kiln_input(g, "x", KILN_F32, KILN_SCALAR);
    kiln_call(g, body, &given, out);
    cr_expect_eq(kiln_graph_status(g), KILN_OK, "%s", kiln_graph_error(g));
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(out[0], out[1])}),
                 KILN_OK);
    cr_assert_eq(kiln_program_write(p, given, &(kiln_array){.data = &x}), KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(kiln_program_read(p, out[i], &(kiln_array){.data = &got[i], .bytes = sizeof got[i]}),
                     KILN_OK);
    cr_expect_eq(got[0], 3);
    cr_expect_eq(got[1], 15);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&body);
    kiln_device_close(&dev);
}
