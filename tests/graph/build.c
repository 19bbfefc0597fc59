/* build.c - building graphs: names, scopes, states, and failures that stick. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "support/support.h"

static kiln_graph *new_graph(void)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    return g;
}

Test(build, a_failure_names_the_operator_and_both_shapes_and_sticks)
{
    kiln_graph *g = new_graph();
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    kiln_tensor a = kiln_input(g, "a", KILN_F32, KILN_SHAPE(2, 3)),
                b = kiln_input(g, "b", KILN_F32, KILN_SHAPE(4, 5));
    kiln_tensor c = kiln_matmul(g, a, b, NULL);
    cr_expect_eq(c.id, 0u);
    cr_expect_neq(kiln_graph_status(g), KILN_OK);
    cr_expect(strstr(kiln_graph_error(g), "matmul") && strstr(kiln_graph_error(g), "[2, 3]") &&
                  strstr(kiln_graph_error(g), "[4, 5]"),
              "%s", kiln_graph_error(g));
    char first[512];
    snprintf(first, sizeof first, "%s", kiln_graph_error(g));
    cr_expect_eq(kiln_add(g, c, a).id, 0u);
    cr_expect_eq(kiln_add(g, a, kiln_input(g, "d", KILN_F32, KILN_SHAPE(7))).id, 0u);
    cr_expect_str_eq(kiln_graph_error(g), first);
    kiln_weights *w = NULL;
    cr_expect_neq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_expect_null(w);
    kiln_graph_destroy(&g);
}

Test(build, a_value_of_another_graph_is_refused)
{
    kiln_graph *g = new_graph(), *h = new_graph();
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    kiln_tensor a = kiln_input(g, "a", KILN_F32, KILN_SHAPE(2));
    cr_expect_eq(kiln_relu(h, a).id, 0u);
    cr_expect_eq(kiln_graph_status(h), KILN_ERROR_ARGUMENT);
    kiln_graph_destroy(&g);
    kiln_graph_destroy(&h);
}

Test(build, parameters_are_tied_by_name_and_differing_shapes_are_an_error)
{
    kiln_graph *g = new_graph();
    kiln_tensor a = kiln_parameter(g, "w", KILN_SHAPE(2, 3), NULL);
    cr_expect_eq(kiln_parameter(g, "w", KILN_SHAPE(2, 3), NULL).id, a.id);
    cr_expect_eq(kiln_graph_parameter_count(g), 1);
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_expect_eq(kiln_parameter(g, "w", KILN_SHAPE(3, 2), NULL).id, 0u);
    cr_expect(strstr(kiln_graph_error(g), "[2, 3]") && strstr(kiln_graph_error(g), "[3, 2]"));
    kiln_graph_destroy(&g);
}

Test(build, an_integer_that_is_none_is_refused)
{
    static const double values[] = {0.5, INFINITY, -INFINITY, NAN, 0x1p63, -0x1p70};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        kiln_graph *g = new_graph();
        cr_expect_neq(kiln_scalar(g, KILN_F32, values[i]).id, 0u);
        cr_expect_neq(kiln_scalar(g, KILN_I64, -0x1p63).id, 0u);
        kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
        cr_expect_eq(kiln_scalar(g, KILN_I32, values[i]).id, 0u, "%g", values[i]);
        cr_expect_eq(kiln_graph_status(g), KILN_ERROR_ARGUMENT);
        kiln_graph_destroy(&g);
    }
}

Test(build, scopes_name_and_reopening_one_shares)
{
    kiln_graph *g = new_graph();
    kiln_scope_open(g, "encoder");
    cr_expect_str_eq(kiln_scope_name(g, "dense", NULL), "dense1");
    cr_expect_str_eq(kiln_scope_name(g, "dense", NULL), "dense2");
    cr_expect_str_eq(kiln_scope_name(g, "conv", NULL), "conv1");
    kiln_tensor w = kiln_parameter(g, "w", KILN_SHAPE(1), NULL);
    cr_expect_str_eq(kiln_tensor_name(g, w), "encoder.w");
    kiln_scope_close(g);
    kiln_scope_open(g, "encoder");
    cr_expect_str_eq(kiln_scope_name(g, "dense", NULL), "dense1");
    cr_expect_eq(kiln_parameter(g, "w", KILN_SHAPE(1), NULL).id, w.id);
    kiln_scope_close(g);
    cr_expect_str_eq(kiln_scope_name(g, "dense", NULL), "dense1");
    cr_expect_eq(kiln_find(g, "encoder.w").id, w.id);
    cr_expect_eq(kiln_find(g, "nothing").id, 0u);
    kiln_graph_destroy(&g);
}

Test(build, reading_a_state_gives_its_newest_value)
{
    kiln_graph *g = new_graph();
    kiln_tensor s = kiln_state(g, "count", KILN_F32, KILN_SCALAR, KILN_STORE_WEIGHTS);
    kiln_tensor before = kiln_shift(g, s, 0.5), next = kiln_shift(g, s, 1);
    kiln_tensor keep = kiln_assign(g, s, next), after = kiln_shift(g, s, 0.25);
    cr_expect_neq(keep.id, 0u);
    cr_expect_eq(kiln_graph_node(g, before)->in[0].id, s.id);
    cr_expect_eq(kiln_graph_node(g, after)->in[0].id, next.id);
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_expect_eq(kiln_assign(g, before, next).id, 0u, "what is no state cannot be assigned");
    kiln_graph_destroy(&g);
}

Test(build, every_graph_keeps_the_invariants)
{
    kiln_graph *g = new_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 8)), d;
    kiln_tensor y =
        kiln_sum(g, kiln_tanh(g, kiln_matmul(g, x, kiln_parameter(g, "w", KILN_SHAPE(8, 2), NULL), NULL)),
                 NULL);
    kiln_gradient(g, y, KILN_NONE, &x, 1, &d);
    cr_expect_eq(kiln_graph_verify(g), KILN_OK);
    kiln_graph_destroy(&g);
}
