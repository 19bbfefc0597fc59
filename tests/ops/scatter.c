/*
 * scatter.c - scatter in its three ways and five kinds, short and long lists, repeated places: known values, gradients, every
 * device alike.
 */
#include "support/support.h"

#include <math.h>
#include <string.h>

#define EXACT 1e-30

enum way { ROWS, ELEMENTS, TUPLES };

static const struct scatter_case {
    kiln_shape x, index;
    int axis, bound;
    enum way way;
    kiln_scatter_kind kind;
    const char *why;
} cases[] = {
    {{2, {7, 4}}, {1, {1}}, 0, 7, ROWS, KILN_SCATTER_SET, "a lone row"},
    {{2, {7, 4}}, {2, {3, 4}}, 0, 7, ROWS, KILN_SCATTER_SET, "rows, the last of equals stays"},
    {{2, {7, 40}}, {1, {12}}, 0, 7, ROWS, KILN_SCATTER_ADD, "wide rows with repeats"},
    {{3, {3, 5, 2}}, {1, {8}}, 1, 5, ROWS, KILN_SCATTER_MUL, "an axis inside"},
    {{2, {3, 9}}, {1, {20}}, -1, 9, ROWS, KILN_SCATTER_MAX, "columns"},
    {{1, {9}}, {.rank = 0}, 0, 9, ROWS, KILN_SCATTER_ADD, "one element"},
    {{2, {4, 6}}, {2, {4, 3}}, 1, 6, ELEMENTS, KILN_SCATTER_SET, "elements along the last axis"},
    {{3, {5, 3, 2}}, {3, {7, 3, 2}}, 0, 5, ELEMENTS, KILN_SCATTER_ADD, "elements along the first axis"},
    {{2, {3, 5}}, {2, {3, 9}}, 1, 5, ELEMENTS, KILN_SCATTER_MIN, "more elements than places"},
    {{3, {4, 5, 6}}, {2, {8, 2}}, 0, 4, TUPLES, KILN_SCATTER_ADD, "pairs that name rows"},
    {{2, {4, 5}}, {3, {3, 2, 2}}, 0, 4, TUPLES, KILN_SCATTER_SET, "pairs that name elements"},
    {{2, {4, 5}}, {2, {6, 1}}, 0, 4, TUPLES, KILN_SCATTER_MUL, "tuples of one"},
    {{2, {30, 5}}, {1, {300}}, 0, 30, ROWS, KILN_SCATTER_ADD, "a long list"},
    {{2, {3, 40}}, {1, {300}}, 1, 40, ROWS, KILN_SCATTER_SET, "a long list that slabs share"},
    {{2, {40, 3}}, {2, {300, 3}}, 0, 40, ELEMENTS, KILN_SCATTER_ADD, "long lists, side by side"},
    {{2, {3, 4}}, {2, {3, 2500}}, 1, 4, ELEMENTS, KILN_SCATTER_ADD, "long lists to few places"},
    {{2, {2, 33}}, {1, {2500}}, 0, 1, ROWS, KILN_SCATTER_ADD, "all to one place"},
    {{2, {2, 3}}, {1, {2500}}, 0, 2, ROWS, KILN_SCATTER_MAX, "the largest of many"},
    {{2, {3000, 3}}, {1, {700}}, 0, 3000, ROWS, KILN_SCATTER_ADD, "more places than updates"},
};

static kiln_shape update_shape(const struct scatter_case *c)
{
    kiln_shape u = c->index;
    int axis = c->axis < 0 ? c->axis + c->x.rank : c->axis;
    if (c->way == ELEMENTS)
        return u;
    if (c->way == TUPLES) {
        u.rank--;
        for (int i = (int)c->index.size[u.rank]; i < c->x.rank; i++)
            u.size[u.rank++] = c->x.size[i];
        return u;
    }
    u = (kiln_shape){0};
    for (int i = 0; i < axis; i++)
        u.size[u.rank++] = c->x.size[i];
    for (int i = 0; i < c->index.rank; i++)
        u.size[u.rank++] = c->index.size[i];
    for (int i = axis + 1; i < c->x.rank; i++)
        u.size[u.rank++] = c->x.size[i];
    return u;
}

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct scatter_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), u = kiln_test_input(g, update_shape(c));
    const kiln_tensor index = kiln_test_index(g, c->index, c->bound);
    const kiln_scatter_params p = {.kind = c->kind};
    return c->way == ROWS       ? kiln_scatter(g, x, index, u, c->axis, &p)
           : c->way == ELEMENTS ? kiln_scatter_elements(g, x, index, u, c->axis, &p)
                                : kiln_scatter_nd(g, x, index, u, &p);
}

/* A sum of 2500 values in float32 is within 2500 roundings of the sum of their magnitudes, a thousand times its own at the most;
 * the references add the same values in double. */
static double bound_of(const struct scatter_case *c)
{
    return c->kind == KILN_SCATTER_ADD && c->index.size[c->index.rank ? c->index.rank - 1 : 0] > 1000 ? 1e-4
                                                                                                      : 0;
}

Test(scatter, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        if (cases[i].index.size[0] < 1000)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, bound_of(&cases[i]), cases[i].why);
    }
}

static kiln_tensor index_of(kiln_graph *g, kiln_shape shape, const int32_t *values)
{
    const kiln_array array = {.data = (void *)(uintptr_t)values, .type = KILN_I32, .shape = shape};
    return kiln_constant(g, &array);
}

static kiln_tensor known(kiln_graph *g, const void *kind)
{
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(4, 2), (const float[]){1, 2, 3, 4, 5, 6, 7, 8});
    const kiln_tensor u = kiln_test_values(g, KILN_SHAPE(4, 2), (const float[]){10, 0, 20, -1, 30, 9, 40, 1});
    const kiln_tensor index = index_of(g, KILN_SHAPE(4), (const int32_t[]){2, -3, 2, KILN_NOWHERE});
    return kiln_scatter(g, x, index, u, 0, &(kiln_scatter_params){.kind = *(const kiln_scatter_kind *)kind});
}

Test(scatter, known_values)
{
    static const struct {
        kiln_scatter_kind kind;
        double y[8];
    } want[] = {
        {KILN_SCATTER_SET, {1, 2, 20, -1, 30, 9, 7, 8}},   {KILN_SCATTER_ADD, {1, 2, 23, 3, 45, 15, 7, 8}},
        {KILN_SCATTER_MUL, {1, 2, 60, -4, 1500, 0, 7, 8}}, {KILN_SCATTER_MIN, {1, 2, 3, -1, 5, 0, 7, 8}},
        {KILN_SCATTER_MAX, {1, 2, 20, 4, 30, 9, 7, 8}},
    };
    for (size_t i = 0; i < KILN_COUNT(want); i++) {
        kiln_expect_values(known, &want[i].kind, want[i].y, 8, 0, "repeated, from the end, nowhere");
        kiln_expect_gradient(known, &want[i].kind, "repeated, from the end, nowhere");
        kiln_expect_devices_agree(known, &want[i].kind, true, 0, "repeated, from the end, nowhere");
    }
}

/* Both the value there and two updates are zero, or one alone. */
static kiln_tensor zeros(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(4), (const float[]){0, 2, 3, 0});
    const kiln_tensor u = kiln_test_values(g, KILN_SHAPE(5), (const float[]){5, 0, 7, 0, 0});
    const kiln_tensor index = index_of(g, KILN_SHAPE(5), (const int32_t[]){0, 1, 1, 2, 2});
    return kiln_scatter(g, x, index, u, 0, &(kiln_scatter_params){.kind = KILN_SCATTER_MUL});
}

Test(scatter, a_product_with_zeros_has_a_gradient)
{
    kiln_expect_gradient(zeros, NULL, "zeros");
    kiln_expect_devices_agree(zeros, NULL, true, 0, "zeros");
}

static kiln_tensor distinct(kiln_graph *g, const void *kind)
{
    const kiln_tensor x = kiln_test_input(g, KILN_SHAPE(3, 400)), u = kiln_test_input(g, KILN_SHAPE(3, 300));
    int32_t places[300];
    for (int i = 0; i < 300; i++)
        places[i] = i * 7 % 400; /* 7 and 400 have no common divisor */
    const kiln_scatter_params p = {.kind = *(const kiln_scatter_kind *)kind, .distinct = true};
    return kiln_scatter(g, x, index_of(g, KILN_SHAPE(300), places), u, 1, &p);
}

Test(scatter, distinct_places)
{
    const kiln_scatter_kind set = KILN_SCATTER_SET, add = KILN_SCATTER_ADD;
    kiln_expect_gradient(distinct, &set, "distinct, set");
    kiln_expect_devices_agree(distinct, &set, true, EXACT, "distinct, set");
    kiln_expect_devices_agree(distinct, &add, true, 0, "distinct, add");
}

static kiln_tensor whole(kiln_graph *g, const void *kind)
{
    const kiln_tensor x = kiln_cast(g, kiln_scale(g, kiln_test_input(g, KILN_SHAPE(20, 3)), 128), KILN_I32);
    const kiln_tensor u = kiln_cast(g, kiln_scale(g, kiln_test_input(g, KILN_SHAPE(600, 3)), 128), KILN_I32);
    const kiln_scatter_params p = {.kind = *(const kiln_scatter_kind *)kind};
    return kiln_scatter(g, x, kiln_test_index(g, KILN_SHAPE(600), 20), u, 0, &p);
}

/* Whole numbers, whose sums a half holds exactly. */
static kiln_tensor halves(kiln_graph *g, const void *length)
{
    const int count = *(const int *)length;
    const kiln_tensor x = kiln_floor(g, kiln_scale(g, kiln_test_input(g, KILN_SHAPE(20, 3)), 8));
    const kiln_tensor u = kiln_floor(g, kiln_scale(g, kiln_test_input(g, KILN_SHAPE(count, 3)), 4));
    return kiln_scatter(g, kiln_cast(g, x, KILN_F16), kiln_test_index(g, KILN_SHAPE(count), 20),
                        kiln_cast(g, u, KILN_F16), 0, &(kiln_scatter_params){.kind = KILN_SCATTER_ADD});
}

Test(scatter, halves)
{
    const int list = 30, sorted = 1100;
    kiln_expect_devices_agree(halves, &list, false, EXACT, "a short list");
    kiln_expect_devices_agree(halves, &sorted, false, EXACT, "a long list");
}

Test(scatter, integers)
{
    for (int kind = KILN_SCATTER_SET; kind <= KILN_SCATTER_MAX; kind++)
        kiln_expect_devices_agree(whole, &(const kiln_scatter_kind){(kiln_scatter_kind)kind}, false, EXACT,
                                  "integers");
}

static kiln_tensor nothing(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_scatter(g, kiln_test_input(g, KILN_SHAPE(3, 2)), kiln_test_index(g, KILN_SHAPE(0), 3),
                        kiln_test_input(g, KILN_SHAPE(0, 2)), 0, NULL);
}

Test(scatter, no_update_leaves_all_as_it_is)
{
    kiln_expect_devices_agree(nothing, NULL, true, EXACT, "no update");
}

static void expect_error(kiln_shape index, kiln_shape updates, kiln_status status, const char *text)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_scatter(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(3, 2)), kiln_test_index(g, index, 9),
                 kiln_input(g, "u", KILN_F32, updates), 0, NULL);
    cr_expect_eq(kiln_graph_status(g), status);
    cr_expect_not_null(strstr(kiln_graph_error(g), text), "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(scatter, what_does_not_fit_is_an_error)
{
    expect_error(KILN_SHAPE(4), KILN_SHAPE(4, 3), KILN_ERROR_ARGUMENT, "out of range, there are 3");
    expect_error(KILN_SHAPE(0), KILN_SHAPE(4, 3), KILN_ERROR_SHAPE, "the updates are [4, 3], wanted [0, 2]");
}
