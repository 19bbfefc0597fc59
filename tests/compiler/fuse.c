/* fuse.c - chains and epilogues: what becomes one kernel, and what must not. */
#include <math.h>

#include "compiler/plans.h"
#include "device/caps.h"
#include "ops/chain.h"
#include "ops/kernels.h"

static const kiln_shape rows_of_4 = {2, {KILN_BATCH, 4}};

/* Every chain keeps to its limits. */
static void expect_limits(const struct kiln_plan *plan)
{
    for (int i = 0; i < plan->graph->node.count; i++) {
        const kiln_node *n = plan->graph->node.data[i];
        const kiln_chain *c = n->op == &kiln_op_chain ? n->params : n->epilogue;
        if (!c)
            continue;
        cr_expect_leq(c->steps, 8);
        cr_expect_leq(c->operands + c->results, 8, "%d operands, %d results", c->operands, c->results);
    }
}

Test(fuse, elementwise_work_becomes_one_kernel)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4), b = kiln_parameter(g, "b", KILN_SHAPE(4), NULL);
    kiln_tensor y = kiln_scale(g, kiln_tanh(g, kiln_add(g, kiln_square(g, x), b)), 2);
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1);
    cr_expect_eq(count_nodes(d.plan, "chain"), 1);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, a_residual_sum_of_bytes_is_one_chain)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_U8, rows_of_4), y = kiln_input(g, "y", KILN_U8, rows_of_4);
    const kiln_tensor scale = kiln_scalar(g, KILN_F32, 0.1),
                      zero = kiln_cast(g, kiln_scalar(g, KILN_I32, 3), KILN_U8);
    const kiln_tensor sum =
        kiln_add(g, kiln_dequantize(g, x, scale, zero, NULL), kiln_dequantize(g, y, scale, zero, NULL));
    const kiln_tensor q = kiln_quantize(g, kiln_relu(g, sum), scale, zero, KILN_U8, NULL);
    struct planned d = plan_of(g, KILN_RUN(q), false);
    expect_limits(d.plan);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, a_step_that_is_read_twice_stays)
{
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4);
    const kiln_tensor ratio = kiln_div(g, x, kiln_scalar(g, KILN_F32, 0.3));
    const kiln_tensor rest = kiln_sub(g, ratio, kiln_round(g, ratio));
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(rest), false);
    float got[32], largest = 0;
    write_input(d.p, x, KILN_SHAPE(8, 4));
    cr_assert_eq(kiln_program_run(d.p), KILN_OK);
    cr_assert_eq(kiln_program_read(d.p, rest, &(kiln_array){.data = got, .bytes = sizeof got}), KILN_OK);
    for (int i = 0; i < 32; i++)
        largest = fmaxf(largest, fabsf(got[i]));
    cr_expect(largest > 0.3f && largest <= 0.5f, "%g from a whole number", largest);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, a_chain_has_at_most_eight_steps)
{
    for (int length = 7; length <= 20; length++) {
        kiln_graph *g = plan_graph();
        kiln_tensor y = kiln_input(g, "x", KILN_F32, rows_of_4);
        for (int i = 0; i < length; i++)
            y = i % 2 ? kiln_tanh(g, y) : kiln_exp(g, y);
        struct planned d = plan_of(g, KILN_RUN(y), false);
        expect_limits(d.plan);
        cr_expect_eq(count_dispatches(d.plan, NULL), (length + 7) / 8, "%d steps", length);
        planned_finish(&d);
        kiln_graph_destroy(&g);
    }
}

Test(fuse, a_chain_has_at_most_eight_buffers)
{
    kiln_graph *g = plan_graph();
    kiln_tensor y = kiln_input(g, "x0", KILN_F32, rows_of_4);
    for (int i = 1; i < 14; i++) {
        char name[8] = {'x', (char)('a' + i)};
        y = kiln_max(g, y, kiln_input(g, name, KILN_F32, rows_of_4));
    }
    struct planned d = plan_of(g, KILN_RUN(y), false);
    expect_limits(d.plan);
    cr_expect_eq(count_dispatches(d.plan, NULL), 3, "7, 6 and 3 operands");
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, a_value_that_two_use_is_computed_once)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4), e = kiln_exp(g, x);
    kiln_tensor a = kiln_tanh(g, e), b = kiln_sum(g, e, NULL);
    struct planned d = plan_of(g, KILN_RUN(a, b), false);
    cr_expect_eq(count_nodes(d.plan, "exp"), 1);
    cr_expect_eq(count_nodes(d.plan, "tanh"), 1);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, a_value_that_is_asked_for_stays_one)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4), e = kiln_exp(g, x), y = kiln_tanh(g, e);
    struct planned d = plan_of(g, KILN_RUN(e, y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 2);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, a_value_given_twice_to_one_node_is_one_operand)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4), e = kiln_exp(g, x), y = kiln_mul(g, e, e);
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, what_is_smaller_is_computed_first)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4), b = kiln_input(g, "b", KILN_F32, KILN_SHAPE(4));
    kiln_tensor y = kiln_add(g, x, kiln_exp(g, b));
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 2, "4 exponentials are cheaper than 32");
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, bias_and_activation_become_the_epilogue_of_a_matmul)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4);
    kiln_tensor y = kiln_relu(g, kiln_nn_dense(g, x, &(kiln_nn_dense_params){.units = 3}));
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1);
    cr_expect_eq(count_dispatches(d.plan, "matmul"), 1);
    expect_limits(d.plan);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, bias_residual_and_activation_become_the_epilogue_of_a_convolution)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, 6, 6));
    kiln_tensor y =
        kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 3, .size = {3, 3}, .pad = {{1, 1}, {1, 1}}});
    y = kiln_relu(g, kiln_add(g, y, x));
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 1);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, of_two_convolutions_that_meet_each_has_an_epilogue)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 3, 6, 6)), part[2];
    for (int i = 0; i < 2; i++)
        part[i] =
            kiln_nn_conv(g, x, &(kiln_nn_conv_params){.filters = 5, .size = {3, 3}, .pad = {{1, 1}, {1, 1}}});
    const kiln_tensor y = kiln_relu(g, kiln_add(g, part[0], part[1]));
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 2, "no pass over both");
    cr_expect_eq(count_nodes(d.plan, "chain"), 0);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, a_product_that_two_use_has_no_epilogue)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4),
                w = kiln_parameter(g, "w", KILN_SHAPE(4, 4), NULL);
    kiln_tensor m = kiln_matmul(g, x, w, NULL), a = kiln_tanh(g, m), b = kiln_sum(g, m, NULL);
    struct planned d = plan_of(g, KILN_RUN(a, b), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 3);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, where_a_driver_does_not_fold_constants_chains_stay_apart)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4), y = kiln_tanh(g, kiln_exp(g, kiln_square(g, x)));
    kiln_device *dev = kiln_test_open("null");
    dev->caps.folds_constants = false;
    struct planned d = plan_on(dev, g, KILN_RUN(y), false);
    cr_expect_eq(count_dispatches(d.plan, NULL), 3);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(fuse, a_fused_value_is_the_one_computed_step_by_step)
{
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, rows_of_4), b = kiln_input(g, "b", KILN_F32, KILN_SHAPE(4));
    kiln_tensor step[6], y = x;
    step[0] = y = kiln_add(g, y, b);
    step[1] = y = kiln_mul(g, y, kiln_scalar(g, KILN_F32, 0.37));
    step[2] = y = kiln_where(g, kiln_less(g, x, kiln_scalar(g, KILN_F32, 0)), y, x);
    step[3] = y = kiln_sub(g, b, y);
    step[4] = y = kiln_div(g, y, kiln_shift(g, kiln_square(g, x), 1));
    step[5] = y = kiln_clip(g, y, -0.5, 0.5);
    struct planned fused = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    struct planned apart =
        plan_on(kiln_test_open("cpu"), g, KILN_RUN(y, step[0], step[1], step[2], step[3], step[4]), false);
    cr_expect_lt(count_dispatches(fused.plan, NULL), count_dispatches(apart.plan, NULL));
    struct planned *both[] = {&fused, &apart};
    float value[2][32];
    for (int i = 0; i < 2; i++) {
        write_input(both[i]->p, x, KILN_SHAPE(8, 4));
        write_input(both[i]->p, b, KILN_SHAPE(4));
        cr_assert_eq(kiln_program_run(both[i]->p), KILN_OK);
        cr_assert_eq(kiln_program_read(both[i]->p, y,
                                       &(kiln_array){.data = value[i], .bytes = sizeof value[i]}),
                     KILN_OK);
    }
    for (int i = 0; i < 32; i++)
        cr_expect(fabsf(value[0][i] - value[1][i]) <= 1e-6f, "element %d: %g and %g", i, value[0][i],
                  value[1][i]);
    planned_finish(&fused);
    planned_finish(&apart);
    kiln_graph_destroy(&g);
}
