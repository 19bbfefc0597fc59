/* border.c - axes that go on beyond their ends: by hand, gradients and theirs, every type, and every device alike. */
#include "support/support.h"

#include <string.h>

static const struct border_case {
    kiln_shape x;
    int64_t before[4], after[4];
    kiln_border border;
    const char *why;
} cases[] = {
    {{2, {3, 4}}, {1, 2}, {2, 1}, KILN_BORDER_EDGE, "edges"},
    {{2, {3, 4}}, {2, 3}, {1, 2}, KILN_BORDER_REFLECT, "reflected"},
    {{2, {3, 4}}, {3, 1}, {2, 4}, KILN_BORDER_SYMMETRIC, "symmetric"},
    {{2, {3, 4}}, {1, 4}, {3, 2}, KILN_BORDER_WRAP, "wrapped"},
    {{3, {2, 3, 5}}, {0, 9, 13}, {1, 8, 11}, KILN_BORDER_REFLECT, "reflected several times"},
    {{3, {2, 3, 5}}, {0, 9, 13}, {1, 8, 11}, KILN_BORDER_SYMMETRIC, "symmetric several times"},
    {{3, {2, 3, 5}}, {0, 9, 13}, {1, 8, 11}, KILN_BORDER_WRAP, "wrapped several times"},
    {{2, {1, 2}}, {3, 1}, {2, 5}, KILN_BORDER_REFLECT, "one and two elements, reflected"},
    {{2, {1, 2}}, {3, 1}, {2, 5}, KILN_BORDER_EDGE, "one and two elements, edges"},
    {{2, {1, 2}}, {3, 1}, {2, 5}, KILN_BORDER_SYMMETRIC, "one and two elements, symmetric"},
    {{4, {2, 3, 13, 17}}, {0, 0, 3, 3}, {0, 0, 3, 3}, KILN_BORDER_REFLECT, "a picture"},
    {{4, {2, 3, 65, 3}}, {0, 1, 0, 1}, {0, 0, 1, 0}, KILN_BORDER_EDGE, "rows past a group"},
    {{2, {0, 4}}, {0, 1}, {0, 1}, KILN_BORDER_WRAP, "no rows"},
    {{3, {5, 300, 257}}, {0, 0, 2}, {0, 1, 0}, KILN_BORDER_REFLECT, "beyond KILN_LIMITS=tiny"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const struct border_case *c = one_case;
    return kiln_pad_border(g, kiln_test_input(g, c->x), c->before, c->after, c->border);
}

static kiln_tensor build_gradient(kiln_graph *g, const void *one_case)
{
    const struct border_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x), y = kiln_pad_border(g, x, c->before, c->after, c->border);
    const kiln_tensor dy = kiln_test_input(g, kiln_tensor_shape(g, y));
    kiln_tensor dx;
    kiln_gradient(g, y, dy, &x, 1, &dx);
    return dx;
}

Test(border, on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        if (kiln_shape_count(&cases[i].x) < 1000) {
            kiln_expect_gradient(build, &cases[i], cases[i].why);
            kiln_expect_gradient(build_gradient, &cases[i], cases[i].why);
        }
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
    }
}

/* As the header shows them, of 0 1 2 3 with three on each side, or six. */
Test(border, goes_on_as_it_says)
{
    static const int64_t want[][10] = {[KILN_BORDER_EDGE] = {0, 0, 0, 0, 1, 2, 3, 3, 3, 3},
                                       [KILN_BORDER_REFLECT] = {3, 2, 1, 0, 1, 2, 3, 2, 1, 0},
                                       [KILN_BORDER_SYMMETRIC] = {2, 1, 0, 0, 1, 2, 3, 3, 2, 1},
                                       [KILN_BORDER_WRAP] = {1, 2, 3, 0, 1, 2, 3, 0, 1, 2}};
    const kiln_type types[] = {KILN_F32, KILN_I32, KILN_I64, KILN_BOOL, KILN_F16};
    for (int border = 0; border < 4; border++)
        for (size_t k = 0; k < KILN_COUNT(types); k++) {
            int32_t values[] = {0, 1, 2, 3};
            int64_t got[10], side = 3;
            kiln_graph *g = NULL;
            cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
            const kiln_tensor x = kiln_input(g, "x", KILN_I32, KILN_SHAPE(kiln_dim(g, "size")));
            const kiln_tensor y =
                kiln_pad_border(g, kiln_cast(g, x, types[k]), &side, &side, (kiln_border)border);
            const kiln_array in[] = {{.data = values, .type = KILN_I32, .shape = KILN_SHAPE(4)}};
            for (int i = 0; kiln_test_device(i); i++) {
                kiln_test_run(g, kiln_cast(g, y, KILN_I32), kiln_test_device(i), in, got);
                for (int at = 0; at < 10; at++)
                    cr_expect_eq(got[at], types[k] == KILN_BOOL ? want[border][at] != 0 : want[border][at],
                                 "border %d of %s on %s, element %d: %lld", border, kiln_type_name(types[k]),
                                 kiln_test_device(i), at, (long long)got[at]);
            }
            kiln_graph_destroy(&g);
        }
}

Test(border, says_what_does_not_fit)
{
    kiln_graph *g = NULL;
    const int64_t one[] = {0, 1}, less[] = {-1, 0};
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    cr_expect_eq(
        kiln_pad_border(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 0)), one, one, KILN_BORDER_EDGE).id, 0);
    cr_expect(strstr(kiln_graph_error(g), "an element to go on from") != NULL, "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    cr_expect_eq(
        kiln_pad_border(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 3)), less, one, KILN_BORDER_EDGE).id,
        0);
    cr_expect(strstr(kiln_graph_error(g), "-1 before") != NULL, "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
}
