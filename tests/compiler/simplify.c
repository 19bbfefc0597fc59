/* simplify.c - the first pass: what a run list does not need, what is known, and what is there already
 * goes. */
#include "compiler/plans.h"

Test(simplify, what_the_run_list_does_not_need_is_not_compiled)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4)),
                z = kiln_input(g, "z", KILN_F32, KILN_SHAPE(3));
    kiln_tensor y = kiln_tanh(g, x), dead = kiln_exp(g, kiln_sqrt(g, z));
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_nodes(d.plan, "exp") + count_nodes(d.plan, "sqrt"), 0);
    cr_expect_eq(kiln_program_input_count(d.p), 1);
    cr_expect_eq(kiln_program_input(d.p, 0).id, x.id);
    planned_finish(&d);
    d = plan_of(g, KILN_RUN(dead), false);
    cr_expect_eq(kiln_program_input_count(d.p), 1);
    cr_expect_eq(kiln_program_input(d.p, 0).id, z.id);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(simplify, equal_nodes_become_one)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4)),
                w = kiln_parameter(g, "w", KILN_SHAPE(4, 4), NULL);
    kiln_tensor a = kiln_matmul(g, x, w, NULL), b = kiln_matmul(g, x, w, NULL);
    kiln_tensor c = kiln_matmul(g, x, w, &(kiln_matmul_params){.transpose_b = true});
    struct planned d = plan_of(g, KILN_RUN(a, b, c), false);
    cr_expect_eq(count_nodes(d.plan, "matmul"), 2, "equal inputs and params, and others");
    cr_expect_eq(d.plan->result[0].id, d.plan->result[1].id);
    cr_expect_neq(d.plan->result[0].id, d.plan->result[2].id);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(simplify, nodes_that_follow_other_shapes_stay_apart)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1)),
                a = kiln_parameter(g, "a", KILN_SHAPE(2), NULL),
                b = kiln_parameter(g, "b", KILN_SHAPE(3), NULL),
                c = kiln_parameter(g, "c", KILN_SHAPE(3), NULL);
    kiln_tensor to_a = kiln_expand_to(g, x, a), to_b = kiln_expand_to(g, x, b),
                to_c = kiln_expand_to(g, x, c);
    struct planned d = plan_of(g, KILN_RUN(to_a, to_b, to_c), false);
    cr_expect_neq(d.plan->result[0].id, d.plan->result[1].id);
    cr_expect_eq(d.plan->result[1].id, d.plan->result[2].id);
    cr_expect_eq(kiln_tensor_shape(d.plan->graph, d.plan->result[1]).size[0], 3);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(simplify, two_random_draws_are_never_one)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4));
    kiln_tensor a = kiln_dropout(g, x, 0.5), b = kiln_dropout(g, x, 0.5);
    struct planned d = plan_of(g, KILN_RUN(a, b), true);
    cr_expect_eq(count_nodes(d.plan, "dropout"), 2);
    planned_finish(&d);
    d = plan_of(g, KILN_RUN(a, b), false);
    cr_expect_eq(count_nodes(d.plan, "dropout"), 0, "nothing is dropped outside of training");
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(simplify, only_the_branch_of_the_mode_is_compiled)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4)),
                z = kiln_input(g, "z", KILN_F32, KILN_SHAPE(KILN_BATCH, 4));
    kiln_tensor y = kiln_by_mode(g, kiln_exp(g, x), kiln_tanh(g, z));
    struct planned d = plan_of(g, KILN_RUN(y), true);
    cr_expect_eq(count_nodes(d.plan, "exp"), 1);
    cr_expect_eq(count_nodes(d.plan, "tanh"), 0);
    planned_finish(&d);
    d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_nodes(d.plan, "exp"), 0);
    cr_expect_eq(count_nodes(d.plan, "tanh"), 1);
    cr_expect_eq(kiln_program_input(d.p, 0).id, z.id);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(simplify, no_gradient_is_computed_for_the_other_branch_of_the_mode)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4)),
                z = kiln_input(g, "z", KILN_F32, KILN_SHAPE(4));
    kiln_tensor y = kiln_by_mode(g, kiln_exp(g, x), kiln_neg(g, kiln_mul(g, kiln_tanh(g, x), z)));
    kiln_tensor dx[2];
    kiln_gradient(g, y, KILN_NONE, (kiln_tensor[]){x, z}, 2, dx);
    struct planned d = plan_of(g, KILN_RUN(dx[0], dx[1]), true);
    cr_expect_eq(count_nodes(d.plan, "sum_to"), 0);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1, "the exponential alone");
    planned_finish(&d);
    d = plan_of(g, KILN_RUN(dx[0], dx[1]), false);
    cr_expect_eq(count_nodes(d.plan, "sum_to"), 1);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(simplify, adding_zero_and_multiplying_by_one_do_nothing)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4));
    kiln_tensor zero = kiln_scalar(g, KILN_F32, 0), one = kiln_scalar(g, KILN_F32, 1);
    kiln_tensor y = kiln_div(
        g, kiln_sub(g, kiln_mul(g, one, kiln_add(g, kiln_add(g, x, zero), kiln_zeros_like(g, x))), zero),
        one);
    kiln_tensor kept[] = {
        kiln_sub(g, zero, x), kiln_div(g, one, x),
        kiln_add(g, kiln_constant(g, &(kiln_array){.data = (float[]){0, 0}, .shape = KILN_SHAPE(2, 1, 1)}),
                 x)};
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 0);
    planned_finish(&d);
    for (size_t i = 0; i < KILN_COUNT(kept); i++) {
        d = plan_of(g, KILN_RUN(kept[i]), false);
        cr_expect_eq(count_dispatches(d.plan, NULL), 1, "case %zu is no identity", i);
        planned_finish(&d);
    }
    kiln_graph_destroy(&g);
}

Test(simplify, what_keeps_the_shape_is_passed_on)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4)), t = kiln_tanh(g, x);
    kiln_tensor y =
        kiln_reshape(g, kiln_sum_to(g, kiln_stop_gradient(g, kiln_expand_to(g, t, x)), x), KILN_SHAPE(0, 4));
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1);
    cr_expect_eq(d.plan->graph->node.count, 2);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(simplify, an_elementwise_operator_takes_what_was_expanded)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4)),
                b = kiln_parameter(g, "b", KILN_SHAPE(4), NULL);
    kiln_tensor y = kiln_mul(g, x, kiln_expand_to(g, b, x)), whole = kiln_square(g, kiln_expand_to(g, b, x));
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_nodes(d.plan, "expand_to"), 0);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1);
    planned_finish(&d);
    d = plan_of(g, KILN_RUN(whole), false);
    cr_expect_eq(count_nodes(d.plan, "expand_to"), 1, "nothing else has the full shape");
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(simplify, attached_assignments_join_programs_that_train)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4));
    kiln_tensor seen = kiln_state(g, "seen", KILN_F32, KILN_SCALAR, KILN_STORE_WEIGHTS), y = kiln_tanh(g, x);
    kiln_assign_with(g, seen, kiln_add(g, seen, kiln_sum(g, y, NULL)), y);
    struct planned d = plan_of(g, KILN_RUN(y), true);
    cr_expect_eq(count_nodes(d.plan, "assign"), 1);
    cr_expect_eq(d.plan->results, 2);
    planned_finish(&d);
    d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_nodes(d.plan, "assign"), 0);
    cr_expect_eq(count_nodes(d.plan, "sum"), 0);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}
