/* fold.c - what is known beforehand is computed while compiling, in double precision. */
#include <math.h>

#include "compiler/plans.h"

/* The constant that a value of the plan became, as doubles. */
static const double *constant_of(const struct kiln_plan *plan, int result)
{
    const kiln_node *n = kiln_graph_node(plan->graph, plan->result[result]);
    cr_assert_eq(n->op, &kiln_op_constant, "it is %s", n->op->name);
    const struct kiln_constant_params *p = n->params;
    cr_assert_eq(p->stored, KILN_F64);
    return kiln_constant_data(p);
}

Test(fold, arithmetic_on_constants_is_done_in_double)
{
    kiln_graph *g = plan_graph();
    kiln_tensor sum = kiln_add(g, kiln_scalar(g, KILN_F32, 0.1), kiln_scalar(g, KILN_F32, 0.2));
    struct planned d = plan_of(g, KILN_RUN(kiln_exp(g, sum)), false);
    cr_expect_eq(constant_of(d.plan, 0)[0], exp(0.1 + 0.2));
    cr_expect_eq(count_dispatches(d.plan, NULL), 0);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fold, any_operator_on_constants_is_computed_by_its_reference)
{
    kiln_graph *g = plan_graph();
    const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, 0, -1};
    kiln_tensor m = kiln_constant(g, &(kiln_array){.data = (float *)a, .shape = KILN_SHAPE(2, 3)});
    kiln_tensor v = kiln_constant(g, &(kiln_array){.data = (float *)b, .shape = KILN_SHAPE(3, 1)});
    kiln_tensor y = kiln_matmul(g, m, v, NULL), t = kiln_transpose(g, m, (const int[]){1, 0});
    kiln_tensor s = kiln_sum(g, m, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    struct planned d = plan_of(g, KILN_RUN(y, t, s), false);
    const double *got = constant_of(d.plan, 0);
    cr_expect(got[0] == -2 && got[1] == -2);
    got = constant_of(d.plan, 1);
    cr_expect(got[0] == 1 && got[1] == 4 && got[2] == 2 && got[5] == 6);
    got = constant_of(d.plan, 2);
    cr_expect(got[0] == 6 && got[1] == 15);
    cr_expect_eq(count_dispatches(d.plan, NULL), 0);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fold, the_size_of_a_value_is_a_constant_of_the_plan)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 5, 3)),
                w = kiln_parameter(g, "w", KILN_SHAPE(7), NULL);
    kiln_tensor all = kiln_count_of(g, x, (kiln_axes){0}),
                rows = kiln_count_of(g, kiln_exp(g, x), KILN_AXES(0));
    kiln_tensor ratio = kiln_div(g, kiln_scalar(g, KILN_F32, 1), all),
                zeros = kiln_mul(g, w, kiln_zeros_like(g, w));
    struct planned d = plan_of(g, KILN_RUN(all, rows, ratio, zeros), false);
    cr_expect_eq(constant_of(d.plan, 0)[0], 8 * 5 * 3);
    cr_expect_eq(constant_of(d.plan, 1)[0], 8);
    cr_expect_eq(constant_of(d.plan, 2)[0], 1.0 / (8 * 5 * 3));
    cr_expect_eq(count_nodes(d.plan, "exp") + count_nodes(d.plan, "input"), 0,
                 "only x's shape was asked for");
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fold, the_mean_divides_by_a_constant)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 6)), dx;
    kiln_gradient(g, kiln_mean(g, kiln_square(g, x), NULL), KILN_NONE, &x, 1, &dx);
    struct planned d = plan_of(g, KILN_RUN(dx), false);
    cr_expect_eq(count_nodes(d.plan, "count_of"), 0);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1, "2 x / 48");
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fold, large_random_and_unknown_values_are_left)
{
    kiln_graph *g = plan_graph();
    static const float many[8192];
    kiln_tensor large =
        kiln_exp(g, kiln_constant(g, &(kiln_array){.data = (float *)many, .shape = KILN_SHAPE(8192)}));
    kiln_tensor random =
        kiln_dropout(g, kiln_constant(g, &(kiln_array){.data = (float *)many, .shape = KILN_SHAPE(16)}), 0.5);
    kiln_tensor w = kiln_parameter(g, "w", KILN_SHAPE(4), NULL), unknown = kiln_exp(g, w);
    struct planned d = plan_of(g, KILN_RUN(large, random, unknown), true);
    cr_expect_eq(count_nodes(d.plan, "exp"), 2);
    cr_expect_eq(count_nodes(d.plan, "dropout"), 1);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fold, a_float64_program_keeps_all_digits_of_a_constant)
{
    kiln_graph *g = plan_graph();
    kiln_device *dev = kiln_test_open("cpu");
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    double got[2];
    kiln_tensor c = kiln_div(g, kiln_scalar(g, KILN_F32, 1), kiln_scalar(g, KILN_F32, 3));
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(2)), y = kiln_add(g, x, c);
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w,
                                     &(kiln_program_params){.run = KILN_RUN(y),
                                                            .precision = KILN_PRECISION_F64}),
                 KILN_OK);
    const double in[] = {0.1, 1e-9};
    cr_assert_eq(kiln_program_write(
                     p, x, &(kiln_array){.data = (double *)in, .type = KILN_F64, .shape = KILN_SHAPE(2)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(p), KILN_OK);
    cr_assert_eq(kiln_program_read(p, y, &(kiln_array){.data = got, .type = KILN_F64}), KILN_OK);
    cr_expect(fabs(got[0] - (0.1 + 1.0 / 3)) < 1e-14 && fabs(got[1] - (1e-9 + 1.0 / 3)) < 1e-14,
              "%.17g %.17g", got[0], got[1]);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}
