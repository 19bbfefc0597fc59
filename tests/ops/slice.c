/* slice.c - slices and padding: ends, steps, symbols, gradients, and every device alike. */
#include "support/support.h"

#include <kiln/extend.h>

static const struct slice_case {
    int64_t size;
    int64_t first, end, step;
    int count;
    double want[6]; /* of 0, 1, 2, ... */
    const char *why;
} lines[] = {
    {6, 1, 4, 1, 3, {1, 2, 3}, "from the middle"},
    {6, 0, KILN_END, 2, 3, {0, 2, 4}, "every other one"},
    {6, -2, KILN_END, 1, 2, {4, 5}, "counted from the end"},
    {6, 4, 99, 1, 2, {4, 5}, "an end that is clamped"},
    {6, KILN_END, KILN_END, -1, 6, {5, 4, 3, 2, 1, 0}, "all backwards"},
    {6, -1, 1, -2, 2, {5, 3}, "backwards by two, to an end"},
    {7, 1, -1, 3, 2, {1, 4}, "an end counted from the end"},
};

static kiln_tensor slice_line(kiln_graph *g, const void *one_case)
{
    const struct slice_case *c = one_case;
    const float line[] = {0, 1, 2, 3, 4, 5, 6};
    return kiln_slice(g, kiln_test_values(g, KILN_SHAPE(c->size), line), 0, c->first, c->end, c->step);
}

static kiln_tensor slice_inside(kiln_graph *g, const void *one_case)
{
    const struct slice_case *c = one_case;
    return kiln_slice(g, kiln_test_input(g, KILN_SHAPE(3, c->size, 5)), 1, c->first, c->end, c->step);
}

Test(slice, known_values_and_devices)
{
    for (size_t i = 0; i < KILN_COUNT(lines); i++) {
        kiln_expect_values(slice_line, &lines[i], lines[i].want, (size_t)lines[i].count, 0, lines[i].why);
        kiln_expect_gradient(slice_inside, &lines[i], lines[i].why);
        kiln_expect_devices_agree(slice_line, &lines[i], true, 0, lines[i].why);
        kiln_expect_devices_agree(slice_inside, &lines[i], true, 0, lines[i].why);
    }
}

Test(slice, of_a_symbol_is_an_expression)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(KILN_BATCH));
    const int64_t back = kiln_tensor_shape(g, kiln_slice(g, x, 0, -1, KILN_END, -1)).size[0];
    const int64_t rest = kiln_tensor_shape(g, kiln_slice(g, x, 0, 2, KILN_END, 1)).size[0];
    const int64_t some = kiln_tensor_shape(g, kiln_slice(g, x, 0, 1, 4, 1)).size[0];
    cr_expect_eq(kiln_graph_status(g), KILN_OK);
    cr_expect_lt(back, 0);
    cr_expect_eq(rest, kiln_dim_sub(g, KILN_BATCH, 2));
    cr_expect_eq(some, 3);
    kiln_graph_destroy(&g);
}

/* Padding ------------------------------------------------------------------------------------------------ */

static const struct pad_case {
    kiln_shape x;
    int64_t before[4], after[4];
    double value;
    const char *why;
} pads[] = {
    {{1, {3}}, {1}, {2}, 0.5, "a line"},
    {{3, {2, 3, 4}}, {0, 1, 2}, {1, 0, 3}, -0.3, "a value that float64 holds differently"},
    {{4, {2, 3, 9, 9}}, {0, 0, 2, 2}, {0, 0, 2, 2}, 0, "zeros around images"},
    {{2, {3, 3}}, {0}, {0}, 7, "nothing to add"},
};

static kiln_tensor build_pad(kiln_graph *g, const void *one_case)
{
    const struct pad_case *c = one_case;
    return kiln_pad(g, kiln_test_input(g, c->x), c->before, c->after, c->value);
}

static kiln_tensor pad_line(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(2), (const float[]){1, 2});
    return kiln_pad(g, x, (const int64_t[]){1}, (const int64_t[]){2}, 0.1);
}

Test(slice, pad_known_values)
{
    kiln_expect_values(pad_line, NULL, (const double[]){0.1, 1, 2, 0.1, 0.1}, 5, 1e-15,
                       "a double stays whole");
}

Test(slice, pad_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(pads); i++) {
        kiln_expect_gradient(build_pad, &pads[i], pads[i].why);
        kiln_expect_devices_agree(build_pad, &pads[i], true, 0, pads[i].why);
    }
}
