/* chain.c - fused chains: what one kernel computes equals what its parts do, on every device. */
#include "support/support.h"

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
        t = kiln_add(g, kiln_sin(g, t), i % 2 ? y : z);
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
