/* search.c - places in sorted lists: known values, ties, NaN, lists of their own, every device alike. */
#include "support/support.h"

#include <math.h>

#define EXACT 1e-30

static const struct search_case {
    kiln_shape list, x;
    bool right, whole;
    const char *why;
} cases[] = {
    {{1, {1}}, {1, {1}}, false, false, "a lone boundary"},
    {{1, {7}}, {2, {5, 13}}, false, false, "one list for all"},
    {{1, {7}}, {2, {5, 13}}, true, false, "one list for all, to the right of equals"},
    {{2, {5, 33}}, {2, {5, 9}}, false, true, "a list a row, integers"},
    {{3, {2, 3, 65}}, {3, {2, 3, 129}}, true, true, "a list a row, integers, to the right"},
    {{1, {1000}}, {1, {3001}}, false, true, "many in many"},
    {{1, {0}}, {1, {4}}, false, false, "an empty list"},
};

static kiln_tensor coarse(kiln_graph *g, kiln_shape shape, bool whole)
{
    const kiln_tensor x = kiln_floor(g, kiln_scale(g, kiln_test_input(g, shape), 16));
    return whole ? kiln_cast(g, x, KILN_I32) : x;
}

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct search_case *c = one_case;
    const kiln_tensor list = kiln_sort(g, coarse(g, c->list, c->whole), -1, false, NULL);
    return kiln_search_sorted(g, list, coarse(g, c->x, c->whole), c->right);
}

Test(search, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_devices_agree(build, &cases[i], false, EXACT, cases[i].why);
}

static kiln_tensor known(kiln_graph *g, const void *right)
{
    const kiln_tensor list = kiln_test_values(g, KILN_SHAPE(5), (const float[]){-1, 0, 2, 2, 5});
    const kiln_tensor x =
        kiln_test_values(g, KILN_SHAPE(8), (const float[]){-2, -1, -0.f, 2, 3, 5, INFINITY, NAN});
    return kiln_search_sorted(g, list, x, *(const bool *)right);
}

Test(search, known_values)
{
    const bool no = false, yes = true;
    kiln_expect_values(known, &no, (const double[]){0, 0, 1, 2, 4, 4, 5, 5}, 8, 0, "left");
    kiln_expect_values(known, &yes, (const double[]){0, 1, 2, 4, 4, 5, 5, 5}, 8, 0, "right");
    kiln_expect_devices_agree(known, &no, false, EXACT, "left");
    kiln_expect_devices_agree(known, &yes, false, EXACT, "right");
}
