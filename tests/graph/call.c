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
