/* gather.c - rows by index: any axis, negative and repeated indices, gradients, and every device alike. */
#include "support/support.h"

static const struct gather_case {
    kiln_shape x, index;
    int axis, bound;
    const char *why;
} cases[] = {
    {{2, {7, 4}}, {2, {3, 4}}, 0, 7, "rows of a table, with repeats"},
    {{2, {500, 33}}, {1, {200}}, 0, 500, "more indices than lanes"},
    {{2, {3, 5}}, {1, {8}}, 1, 5, "columns"},
    {{3, {2, 6, 3}}, {2, {2, 2}}, -2, 6, "an axis inside"},
    {{1, {9}}, {.rank = 0}, 0, 9, "one element"},
    {{2, {5, 2}}, {1, {70}}, 0, 1, "all of them the same row"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct gather_case *c = one_case;
    return kiln_gather(g, kiln_test_input(g, c->x), kiln_test_index(g, c->index, c->bound), c->axis);
}

static kiln_tensor from_the_end(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const int32_t index[] = {-1, 0, -3, 2};
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(3, 2), (const float[]){1, 2, 3, 4, 5, 6});
    const kiln_array array = {.data = (void *)(uintptr_t)index, .type = KILN_I32, .shape = KILN_SHAPE(4)};
    return kiln_gather(g, x, kiln_constant(g, &array), 0);
}

Test(gather, known_values)
{
    const double want[] = {5, 6, 1, 2, 1, 2, 5, 6};
    kiln_expect_values(from_the_end, NULL, want, KILN_COUNT(want), 0, "negative indices");
    kiln_expect_devices_agree(from_the_end, NULL, true, 0, "negative indices");
}

Test(gather, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
    }
}

static const struct naming_case {
    kiln_shape x, index;
    int axis, batch, bound; /* axis -1: tuples */
    const char *why;
} named[] = {
    {{2, {4, 6}}, {2, {4, 3}}, 1, 0, 6, "elements along the last axis"},
    {{3, {5, 3, 2}}, {3, {70, 3, 2}}, 0, 0, 5, "elements along the first axis"},
    {{1, {1}}, {1, {9}}, 0, 0, 1, "elements of one"},
    {{3, {4, 5, 6}}, {2, {8, 2}}, -1, 0, 4, "pairs that name rows"},
    {{2, {4, 5}}, {3, {3, 2, 2}}, -1, 0, 4, "pairs that name elements"},
    {{3, {2, 4, 5}}, {3, {2, 7, 1}}, -1, 1, 4, "one axis, a batch"},
    {{4, {2, 3, 4, 5}}, {4, {2, 3, 6, 2}}, -1, 2, 4, "pairs, two axes of batch"},
    {{2, {3, 4}}, {1, {2}}, -1, 0, 3, "a lone pair"},
};

static kiln_tensor build_named(kiln_graph *g, const void *one_case)
{
    const struct naming_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), index = kiln_test_index(g, c->index, c->bound);
    return c->axis < 0 ? kiln_gather_nd(g, x, index, c->batch) : kiln_gather_elements(g, x, index, c->axis);
}

Test(gather, elements_and_tuples_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(named); i++) {
        kiln_expect_gradient(build_named, &named[i], named[i].why);
        kiln_expect_devices_agree(build_named, &named[i], true, 0, named[i].why);
    }
}

static const struct batch_case {
    kiln_shape x, index;
    int axis, batch, bound;
    const char *why;
} batches[] = {
    {{3, {2, 5, 3}}, {2, {2, 4}}, 1, 1, 5, "a list an item"},
    {{4, {2, 3, 5, 2}}, {2, {2, 4}}, 2, 1, 5, "an axis between"},
    {{4, {2, 3, 5, 2}}, {3, {2, 3, 1}}, -2, 2, 5, "two axes of batch"},
    {{3, {2, 3, 40}}, {3, {2, 20, 15}}, 2, 1, 40, "long lists"},
};

static kiln_tensor build_batched(kiln_graph *g, const void *one_case)
{
    const struct batch_case *c = one_case;
    return kiln_gather_batched(g, kiln_test_input(g, c->x), kiln_test_index(g, c->index, c->bound), c->axis,
                               c->batch);
}

Test(gather, batches_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(batches); i++) {
        kiln_expect_gradient(build_batched, &batches[i], batches[i].why);
        kiln_expect_devices_agree(build_batched, &batches[i], true, 0, batches[i].why);
    }
}

static kiln_tensor nowhere(kiln_graph *g, const void *elements)
{
    const int32_t index[] = {1, KILN_NOWHERE, -1, 0};
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(2, 2), (const float[]){1, 2, 3, 4});
    const bool each = *(const bool *)elements;
    const kiln_array array = {.data = (void *)(uintptr_t)index,
                              .type = KILN_I32,
                              .shape = each ? KILN_SHAPE(2, 2) : KILN_SHAPE(4)};
    const kiln_tensor at = kiln_constant(g, &array);
    return each ? kiln_gather_elements(g, x, at, 1) : kiln_gather(g, x, at, 1);
}

Test(gather, nowhere_is_zero)
{
    const bool no = false, yes = true;
    kiln_expect_values(nowhere, &no, (const double[]){2, 0, 2, 1, 4, 0, 4, 3}, 8, 0, "columns");
    kiln_expect_values(nowhere, &yes, (const double[]){2, 0, 4, 3}, 4, 0, "elements");
    kiln_expect_gradient(nowhere, &no, "columns");
    kiln_expect_gradient(nowhere, &yes, "elements");
    kiln_expect_devices_agree(nowhere, &no, true, 0, "columns");
    kiln_expect_devices_agree(nowhere, &yes, true, 0, "elements");
}

Test(gather, an_index_must_be_an_integer)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3)),
                      i = kiln_input(g, "i", KILN_F32, KILN_SHAPE(2));
    cr_expect_eq(kiln_gather(g, x, i, 0).id, 0);
    cr_expect_eq(kiln_graph_status(g), KILN_ERROR_TYPE);
    kiln_graph_destroy(&g);
}
