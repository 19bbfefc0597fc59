/* concat.c - joined values: along any axis, gradients, and every device alike. */
#include "support/support.h"

static const struct concat_case {
    int axis, count;
    kiln_shape x[3];
    const char *why;
} cases[] = {
    {0, 2, {{2, {2, 3}}, {2, {4, 3}}}, "rows: one behind the other"},
    {0, 2, {{1, {64}}, {1, {3}}}, "places that are aligned, so that nothing is copied"},
    {1, 3, {{2, {5, 2}}, {2, {5, 1}}, {2, {5, 4}}}, "columns"},
    {-2, 3, {{3, {2, 3, 4}}, {3, {2, 1, 4}}, {3, {2, 2, 4}}}, "an axis inside, from the end"},
    {1, 2, {{3, {1, 3, 4}}, {3, {1, 2, 4}}}, "outermost after an axis of 1"},
    {0, 1, {{1, {5}}}, "a lone value"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct concat_case *c = one_case;
    kiln_tensor x[3];
    for (int i = 0; i < c->count; i++)
        x[i] = kiln_relu(g, kiln_test_input(g, c->x[i]));
    return kiln_concat(g, x, c->count, c->axis);
}

static kiln_tensor pair(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x[] = {
        kiln_test_values(g, KILN_SHAPE(2, 1), (const float[]){1, 2}),
        kiln_test_values(g, KILN_SHAPE(2, 2), (const float[]){3, 4, 5, 6}),
    };
    return kiln_concat(g, x, 2, 1);
}

Test(concat, known_values)
{
    kiln_expect_values(pair, NULL, (const double[]){1, 3, 4, 2, 5, 6}, 6, 0, "columns");
}

Test(concat, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
    }
}

Test(concat, other_sizes_must_be_equal)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x[] = {kiln_input(g, "a", KILN_F32, KILN_SHAPE(2, 3)),
                             kiln_input(g, "b", KILN_F32, KILN_SHAPE(3, 3))};
    cr_expect_eq(kiln_concat(g, x, 2, 1).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_SHAPE);
    kiln_graph_destroy(&g);
}
