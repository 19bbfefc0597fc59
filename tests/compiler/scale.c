/* scale.c - factors of channels go into filters where an epilogue is short of operands, and only there. */
#include <kiln/kiln.h>

#include "compiler/plans.h"

/* Dispatches of elementwise work in the body: what no epilogue took. */
static int count_chains(const struct kiln_plan *plan)
{
    int count = 0;
    for (int i = 0; i < plan->step.count; i++)
        count += !plan->step.data[i].prologue && plan->step.data[i].kind == KILN_COMMAND_DISPATCH &&
                 !strncmp(plan->step.data[i].dispatch->kernel->name, "chain", 5);
    return count;
}

static kiln_tensor picture(kiln_graph *g)
{
    return kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4, 6, 6));
}

/* Convolved and normalized; *raw is what the convolution gives. */
static kiln_tensor normalized(kiln_graph *g, kiln_tensor x, kiln_tensor *raw)
{
    *raw = kiln_nn_conv(
        g, x, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}, .pad = {{1, 1}, {1, 1}}, .no_bias = true});
    return kiln_nn_batch_norm(g, *raw, NULL);
}

Test(scale, a_residual_is_added_in_the_epilogue_of_filters_that_are_scaled)
{
    kiln_graph *g = plan_graph();
    kiln_tensor raw;
    const kiln_tensor x = picture(g), y = kiln_relu(g, kiln_add(g, normalized(g, x, &raw), x));
    struct planned d = plan_of(g, KILN_RUN(y), false);
    cr_expect_eq(count_chains(d.plan), 0);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}

Test(scale, filters_stay_as_they_are_where_the_epilogue_has_room_or_others_read_the_result)
{
    kiln_graph *g = plan_graph();
    kiln_tensor raw, other;
    const kiln_tensor x = picture(g), y = kiln_relu(g, normalized(g, x, &raw)),
                      sum = kiln_add(g, normalized(g, x, &other), x);
    struct planned plain = plan_of(g, KILN_RUN(y), false), shared = plan_of(g, KILN_RUN(sum, other), false);
    cr_expect_eq(count_nodes(plain.plan, "conv"), 1);
    cr_expect_eq(plain.plan->graph->node.data[plain.plan->graph->node.count - 1]->inputs, 4,
                 "picture, filters, factor and bias");
    cr_expect_gt(count_chains(shared.plan), 0, "what a convolution gives is a result");
    planned_finish(&plain);
    planned_finish(&shared);
    kiln_graph_destroy(&g);
}

/* Weights that change between two runs, and what the program then gives for ones. */
static void expect_prediction(struct planned *d, kiln_tensor x, kiln_tensor y, float wanted)
{
    float ones[8], got[8];
    for (size_t i = 0; i < KILN_COUNT(ones); i++)
        ones[i] = 1;
    cr_assert_eq(kiln_program_write(d->p, x, &(kiln_array){.data = ones, .shape = KILN_SHAPE(8, 1, 1, 1)}),
                 KILN_OK);
    cr_assert_eq(kiln_program_run(d->p), KILN_OK);
    cr_assert_eq(kiln_program_read(d->p, y, &(kiln_array){.data = got, .bytes = sizeof got}), KILN_OK);
    for (size_t i = 0; i < KILN_COUNT(got); i++)
        cr_expect_float_eq(got[i], wanted, 1e-6f);
}

Test(scale, filters_are_scaled_anew_when_weights_change)
{
    const float five[] = {5};
    kiln_graph *g = plan_graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 1, 1, 1));
    const kiln_tensor w = kiln_parameter(g, "w", KILN_SHAPE(1, 1, 1, 1),
                                         &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 2}),
                      a = kiln_parameter(g, "a", KILN_SHAPE(1, 1, 1),
                                         &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 3}),
                      b = kiln_parameter(g, "b", KILN_SHAPE(1, 1, 1),
                                         &(kiln_init){.kind = KILN_INIT_CONSTANT, .value = 10});
    const kiln_tensor conv = kiln_conv(g, x, w, KILN_NONE, NULL);
    const kiln_tensor y = kiln_add(g, kiln_add(g, kiln_mul(g, a, conv), b), x);
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    cr_expect_eq(count_chains(d.plan), 0);
    expect_prediction(&d, x, y, 17);
    cr_assert_eq(kiln_weights_write(d.w, "a",
                                    &(kiln_array){.data = (float *)five, .shape = KILN_SHAPE(1, 1, 1)}),
                 KILN_OK);
    expect_prediction(&d, x, y, 21);
    planned_finish(&d);
    kiln_graph_destroy(&g);
}
