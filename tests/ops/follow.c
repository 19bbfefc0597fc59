/* follow.c - operators that follow another value's shape: values, gradients, every device. */
#include "support/support.h"

static const struct follow_case {
    kiln_shape x, like;
    const char *why;
} cases[] = {
    {{2, {6, 5}}, {1, {5}}, "a leading axis"},
    {{4, {2, 3, 4, 5}}, {3, {3, 1, 1}}, "a channel"},
    {{2, {6, 5}}, {0, {0}}, "a scalar"},
    {{3, {2, 3, 4}}, {3, {2, 1, 4}}, "an axis inside"},
    {{5, {2, 3, 2, 3, 2}}, {5, {1, 3, 1, 3, 1}}, "three groups of axes"},
};

static kiln_tensor sum_to(kiln_graph *g, const void *one_case)
{
    const struct follow_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), like = kiln_test_input(g, c->like);
    return kiln_mul(g, kiln_sum_to(g, kiln_square(g, x), like), like);
}

static kiln_tensor expand_to(kiln_graph *g, const void *one_case)
{
    const struct follow_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), small = kiln_test_input(g, c->like);
    return kiln_expand_to(g, kiln_square(g, small), x);
}

Test(follow, sums_and_expansions_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(sum_to, &cases[i], cases[i].why);
        kiln_expect_devices_agree(sum_to, &cases[i], true, 0, cases[i].why);
        kiln_expect_gradient(expand_to, &cases[i], cases[i].why);
        kiln_expect_devices_agree(expand_to, &cases[i], true, 0, cases[i].why);
    }
}

static kiln_tensor counts(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(2, 3, 4));
    const kiln_tensor n =
        kiln_add(g, kiln_count_of(g, x, KILN_AXES(0, -1)), kiln_count_of(g, x, (kiln_axes){0}));
    const kiln_tensor like = kiln_add(g, kiln_ones_like(g, x), kiln_zeros_like(g, x));
    return kiln_add(g, n, kiln_sum(g, like, NULL));
}

Test(follow, counts_are_of_the_axes_named)
{
    kiln_expect_values(counts, NULL, (const double[]){8 + 24 + 24}, 1, 0, "counts");
    kiln_expect_devices_agree(counts, NULL, false, 1e-7, "counts");
}
