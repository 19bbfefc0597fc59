/* layout.c - reshape and its kin, transpose, expand: shapes, known values, gradients, and every device alike.
 * */
#include "support/support.h"

#include <stdlib.h>

#include <kiln/extend.h>

static kiln_graph *graph(void)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    return g;
}

static void expect_shape(const kiln_graph *g, kiln_tensor t, kiln_shape want, const char *why)
{
    char a[96], b[96];
    const kiln_shape got = kiln_tensor_shape(g, t);
    cr_expect(t.id && kiln_shape_equal(&got, &want), "%s: %s, wanted %s (%s)", why,
              kiln_shape_text(&got, a, sizeof a), kiln_shape_text(&want, b, sizeof b), kiln_graph_error(g));
}

Test(layout, reshape_follows_symbols)
{
    kiln_graph *g = graph();
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH, 4, 6));
    const int64_t rows = kiln_dim_mul(g, KILN_BATCH, 4), all = kiln_dim_mul(g, KILN_BATCH, 24);

    expect_shape(g, kiln_reshape(g, x, KILN_SHAPE(0, KILN_REST)), KILN_SHAPE(KILN_BATCH, 24),
                 "the rest of known axes");
    expect_shape(g, kiln_reshape(g, x, KILN_SHAPE(KILN_REST, 24)), KILN_SHAPE(KILN_BATCH, 24),
                 "the rest is the batch");
    expect_shape(g, kiln_reshape(g, x, KILN_SHAPE(KILN_REST, 6)), KILN_SHAPE(rows, 6),
                 "the rest is an expression");
    expect_shape(g, kiln_flatten(g, x, 1), KILN_SHAPE(KILN_BATCH, 24), "flatten from axis 1");
    expect_shape(g, kiln_flatten(g, x, 2), KILN_SHAPE(rows, 6), "flatten from axis 2");
    expect_shape(g, kiln_flatten(g, x, 3), KILN_SHAPE(all, 1), "flatten behind the last axis");
    expect_shape(g, kiln_unsqueeze(g, x, -1), KILN_SHAPE(KILN_BATCH, 4, 6, 1),
                 "unsqueeze behind the last axis");
    expect_shape(g, kiln_squeeze(g, kiln_unsqueeze(g, x, 1), 1), KILN_SHAPE(KILN_BATCH, 4, 6),
                 "squeeze undoes it");
    const kiln_tensor none = kiln_input(g, "none", KILN_F32, KILN_SHAPE(0, 64));
    expect_shape(g, kiln_reshape(g, none, KILN_SHAPE(0, 2, 8, 9)), KILN_SHAPE(0, 2, 8, 9),
                 "nothing fills nothing");
    expect_shape(g, kiln_reshape_to(g, kiln_flatten(g, x, 1), x), KILN_SHAPE(KILN_BATCH, 4, 6), "reshape_to");
    expect_shape(g, kiln_transpose(g, x, (const int[]){2, 0, -2}), KILN_SHAPE(6, KILN_BATCH, 4), "transpose");
    expect_shape(g, kiln_move_axis(g, x, 0, 2), KILN_SHAPE(4, 6, KILN_BATCH),
                 "the first axis becomes the last");
    expect_shape(g, kiln_move_axis(g, x, -1, 0), KILN_SHAPE(6, KILN_BATCH, 4), "the last becomes the first");
    cr_expect_eq(kiln_move_axis(g, x, 1, -2).id, x.id, "where it is, nothing is moved");
    cr_expect_eq(kiln_graph_status(g), KILN_OK);
    kiln_graph_destroy(&g);
}

static kiln_tensor bad_reshape(kiln_graph *g, kiln_tensor x)
{
    return kiln_reshape(g, x, KILN_SHAPE(4, 2));
}

static kiln_tensor bad_rest(kiln_graph *g, kiln_tensor x)
{
    return kiln_reshape(g, x, KILN_SHAPE(4, KILN_REST));
}

static kiln_tensor two_rests(kiln_graph *g, kiln_tensor x)
{
    return kiln_reshape(g, x, KILN_SHAPE(KILN_REST, KILN_REST));
}

static kiln_tensor bad_squeeze(kiln_graph *g, kiln_tensor x)
{
    return kiln_squeeze(g, x, 1);
}

static kiln_tensor bad_order(kiln_graph *g, kiln_tensor x)
{
    return kiln_transpose(g, x, (const int[]){1, 1});
}

static kiln_tensor bad_expand(kiln_graph *g, kiln_tensor x)
{
    return kiln_expand(g, x, KILN_SHAPE(2, 6));
}

static kiln_tensor bad_move(kiln_graph *g, kiln_tensor x)
{
    return kiln_move_axis(g, x, 0, 2);
}

Test(layout, what_does_not_fit_fails_the_graph)
{
    kiln_tensor (*const bad[])(kiln_graph *, kiln_tensor) = {bad_reshape, bad_rest, two_rests, bad_squeeze,
                                                             bad_order,   bad_move, bad_expand};
    for (size_t i = 0; i < KILN_COUNT(bad); i++) {
        kiln_graph *g = graph();
        const kiln_tensor y = bad[i](g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 3)));
        cr_expect_neq(kiln_graph_status(g), KILN_OK, "case %zu was accepted", i);
        cr_expect_eq(y.id, 0);
        kiln_graph_destroy(&g);
    }
}

/* Values ------------------------------------------------------------------------------------------------- */

static const struct transpose_case {
    int64_t size[KILN_MAX_RANK];
    int rank, order[KILN_MAX_RANK];
    const char *why;
} transposes[] = {
    {{2, 3}, 2, {1, 0}, "a small matrix"},
    {{37, 70}, 2, {1, 0}, "tiles with ragged ends"},
    {{2, 5, 33, 17}, 4, {0, 2, 3, 1}, "channels to the end"},
    {{3, 4, 5}, 3, {2, 1, 0}, "all axes turned"},
    {{3, 1, 4, 1, 2}, 5, {4, 3, 2, 1, 0}, "axes of size 1 drop out"},
    {{2, 2, 2, 2, 2, 2, 2, 2}, 8, {7, 0, 6, 1, 5, 2, 4, 3}, "more axes than a block holds"},
    {{2, 3, 4, 5}, 4, {0, 1, 2, 3}, "nothing moves"},
};

static kiln_tensor build_transpose(kiln_graph *g, const void *one_case)
{
    const struct transpose_case *c = one_case;
    return kiln_transpose(g, kiln_test_input(g, kiln_shape_of(c->rank, c->size)), c->order);
}

static kiln_tensor count_up(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {1, 2, 3, 4, 5, 6};
    return kiln_transpose(g, kiln_test_values(g, KILN_SHAPE(2, 3), x), (const int[]){1, 0});
}

Test(layout, transpose_known_values)
{
    kiln_expect_values(count_up, NULL, (const double[]){1, 4, 2, 5, 3, 6}, 6, 0, "2 x 3");
}

Test(layout, transpose_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(transposes); i++) {
        kiln_expect_gradient(build_transpose, &transposes[i], transposes[i].why);
        kiln_expect_devices_agree(build_transpose, &transposes[i], true, 0, transposes[i].why);
    }
}

static const struct expand_case {
    kiln_shape from, to;
    const char *why;
} expands[] = {
    {{.rank = 0}, {2, {3, 5}}, "a scalar"},
    {{2, {1, 7}}, {2, {40, 7}}, "a row"},
    {{2, {70, 1}}, {2, {70, 33}}, "a column"},
    {{3, {3, 1, 2}}, {4, {2, 3, 4, 2}}, "an axis inside and one before"},
};

static kiln_tensor build_expand(kiln_graph *g, const void *one_case)
{
    const struct expand_case *c = one_case;
    return kiln_expand(g, kiln_test_input(g, c->from), c->to);
}

Test(layout, expand_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(expands); i++) {
        kiln_expect_gradient(build_expand, &expands[i], expands[i].why);
        kiln_expect_devices_agree(build_expand, &expands[i], true, 0, expands[i].why);
    }
}

static kiln_tensor reshape_twice(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(2, 3, 4));
    const kiln_tensor y = kiln_unsqueeze(g, kiln_reshape(g, x, KILN_SHAPE(4, KILN_REST)), 1);
    return kiln_mul(g, kiln_flatten(g, y, 2), kiln_squeeze(g, y, 1));
}

Test(layout, reshapes_pass_values_and_gradients)
{
    kiln_expect_gradient(reshape_twice, NULL, "reshape, unsqueeze, flatten, squeeze");
    kiln_expect_devices_agree(reshape_twice, NULL, true, 0, "reshape, unsqueeze, flatten, squeeze");
}

/* Windows ------------------------------------------------------------------------------------------------ */

static kiln_tensor large_transpose(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_transpose(g, kiln_test_input(g, KILN_SHAPE(700, 900)), (const int[]){1, 0});
}

static kiln_tensor large_expand(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_expand(g, kiln_test_input(g, KILN_SHAPE(700, 1)), KILN_SHAPE(700, 900));
}

Test(layout, windows_cover_what_is_beyond_a_binding)
{
    cr_assert_eq(setenv("KILN_LIMITS", "tiny", 1), 0);
    kiln_expect_devices_agree(large_transpose, NULL, false, 0, "both sides beyond 1 MiB");
    kiln_expect_devices_agree(large_expand, NULL, false, 0, "one side beyond 1 MiB");
}
