/* chain.c - fused chains: what one kernel computes equals what its parts do, on every device. */
#include "support/support.h"

#include <stdlib.h>

static kiln_tensor x, y, z;

static void operands(kiln_graph *g)
{
    x = kiln_test_input(g, KILN_SHAPE(6, 5, 7));
    y = kiln_test_input(g, KILN_SHAPE(5, 1));
    z = kiln_test_input(g, KILN_SHAPE(7));
}

static kiln_tensor flat(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    operands(g);
    return kiln_mul(g, kiln_tanh(g, kiln_scale(g, x, 2)), kiln_sigmoid(g, kiln_shift(g, x, 0.5)));
}

static kiln_tensor mixed(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    operands(g);
    return kiln_add(g, kiln_mul(g, kiln_add(g, x, y), z), kiln_exp(g, kiln_sub(g, x, z)));
}

static kiln_tensor lengthy(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    operands(g);
    kiln_tensor t = x;
    for (int i = 0; i < 12; i++)
        t = kiln_add(g, kiln_tanh(g, t), i % 2 ? y : z);
    return t;
}

static kiln_tensor truth(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    operands(g);
    return kiln_where(g, kiln_less(g, x, y), kiln_square(g, x), kiln_mul(g, y, z));
}

static const struct chain_case {
    kiln_test_build *build;
    const char *why;
} cases[] = {
    {flat, "one operand"},
    {mixed, "operands walked in three ways"},
    {lengthy, "more steps than a chain has"},
    {truth, "a comparison inside"},
};

Test(chain, fused_or_not_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(cases[i].build, NULL, cases[i].why);
        kiln_expect_devices_agree(cases[i].build, NULL, true, 0, cases[i].why);
    }
}

/* Work beyond a binding range of 2 MiB, along every axis that a contract offers. */
static const struct window_case {
    kiln_shape a, b;
    const char *why;
} windows[] = {
    {{2, {1400, 1000}}, {2, {1400, 1000}}, "elements"},
    {{2, {2800, 500}}, {1, {500}}, "rows that share a row"},
    {{2, {2800, 500}}, {2, {2800, 1}}, "rows with a value each"},
    {{3, {700, 20, 100}}, {2, {20, 1}}, "an outermost axis"},
};

static kiln_tensor windowed(kiln_graph *g, const void *one_case)
{
    const struct window_case *c = one_case;
    const kiln_tensor a = kiln_test_input(g, c->a), b = kiln_test_input(g, c->b);
    const kiln_tensor share = kiln_softmax(g, kiln_add(g, a, b), -1);
    const kiln_reduce_params rows = {.axes = KILN_AXES(-1)};
    return kiln_add(g, kiln_mean(g, kiln_square(g, share), NULL),
                    kiln_sum(g, kiln_reduce_max(g, share, &rows), NULL));
}

Test(chain, windows_of_large_values)
{
    setenv("KILN_LIMITS", "max_binding=2097152", 1);
    for (size_t i = 0; i < KILN_COUNT(windows); i++)
        kiln_expect_devices_agree(windowed, &windows[i], false, 0, windows[i].why);
}
