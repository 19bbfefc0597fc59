/* window.c - rows at a position that data gives: read, replaced, kept in a state; gradients; every device alike. */
#include <string.h>

#include "support/support.h"

static const struct window_case {
    kiln_shape x;
    int axis;
    int64_t count;
    int position;
    const char *why;
} cases[] = {
    {{1, {1}}, 0, 1, 0, "a lone element"},
    {{2, {5, 3}}, 0, 1, 4, "the last row"},
    {{2, {5, 3}}, 0, 2, 4, "moved back from the end"},
    {{2, {5, 3}}, 0, 2, -4, "counted from the end"},
    {{2, {5, 3}}, -1, 2, -9, "beyond the beginning"},
    {{2, {5, 3}}, 1, 3, 1, "the whole axis, wherever"},
    {{3, {3, 7, 5}}, 1, 4, 2, "rows inside"},
    {{3, {2, 66, 33}}, 1, 65, 1, "one past a workgroup"},
    {{2, {700, 513}}, 0, 3, 600, "rows beyond a small binding"},
    {{3, {3, 400, 300}}, 1, 390, 7, "parts beyond a small binding"},
};

static kiln_tensor position_of(kiln_graph *g, const struct window_case *c)
{
    const int32_t at = c->position;
    return kiln_constant(g, &(kiln_array){.data = (void *)(uintptr_t)&at, .type = KILN_I32});
}

static kiln_tensor build_slice(kiln_graph *g, const void *one_case)
{
    const struct window_case *c = one_case;
    return kiln_slice_at(g, kiln_test_input(g, c->x), c->axis, position_of(g, c), c->count);
}

static kiln_shape part_of(const struct window_case *c)
{
    kiln_shape part = c->x;
    part.size[c->axis < 0 ? c->axis + part.rank : c->axis] = c->count;
    return part;
}

static kiln_tensor build_put(kiln_graph *g, const void *one_case)
{
    const struct window_case *c = one_case;
    const kiln_tensor x = kiln_scale(g, kiln_test_input(g, c->x), 2), value = kiln_test_input(g, part_of(c));
    return kiln_put_at(g, x, value, c->axis, position_of(g, c));
}

/* x is read again behind the put, which then must not write over it. */
static kiln_tensor build_kept(kiln_graph *g, const void *one_case)
{
    const struct window_case *c = one_case;
    const kiln_tensor x = kiln_scale(g, kiln_test_input(g, c->x), 2), value = kiln_test_input(g, part_of(c));
    return kiln_mul(g, x, kiln_put_at(g, x, value, c->axis, position_of(g, c)));
}

/* Nothing is computed: what is moved has the same bits everywhere. */
Test(window, on_every_device)
{
    static kiln_test_build *const builds[] = {build_slice, build_put, build_kept};
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        for (size_t k = 0; k < KILN_COUNT(builds); k++) {
            if (kiln_shape_count(&cases[i].x) < 1000)
                kiln_expect_gradient(builds[k], &cases[i], cases[i].why);
            kiln_expect_devices_agree(builds[k], &cases[i], true, 0, cases[i].why);
        }
}

static kiln_tensor four_rows(kiln_graph *g)
{
    return kiln_test_values(g, KILN_SHAPE(4, 2), (const float[]){0, 1, 2, 3, 4, 5, 6, 7});
}

static kiln_tensor known_slice(kiln_graph *g, const void *position)
{
    return kiln_slice_at(g, four_rows(g), 0, kiln_scalar(g, KILN_I32, *(const int *)position), 2);
}

static kiln_tensor known_put(kiln_graph *g, const void *position)
{
    const kiln_tensor value = kiln_test_values(g, KILN_SHAPE(4, 1), (const float[]){-1, -2, -3, -4});
    return kiln_put_at(g, four_rows(g), value, 1, kiln_scalar(g, KILN_I32, *(const int *)position));
}

Test(window, known_values)
{
    kiln_expect_values(known_slice, &(int){1}, (const double[]){2, 3, 4, 5}, 4, 0, "rows 1 and 2");
    kiln_expect_values(known_slice, &(int){-1}, (const double[]){4, 5, 6, 7}, 4, 0,
                       "the last row has none behind it");
    kiln_expect_values(known_slice, &(int){-7}, (const double[]){0, 1, 2, 3}, 4, 0, "before the first");
    kiln_expect_values(known_put, &(int){1}, (const double[]){0, -1, 2, -2, 4, -3, 6, -4}, 8, 0, "column 1");
    kiln_expect_values(known_put, &(int){0}, (const double[]){-1, 1, -2, 3, -3, 5, -4, 7}, 8, 0, "column 0");
}

static void expect_failure(kiln_graph *g, const char *words)
{
    cr_expect(strstr(kiln_graph_error(g), words) != NULL, "%s", kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

static kiln_graph *new_graph(kiln_tensor *x)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(4, 2));
    return g;
}

Test(window, what_does_not_fit_is_named)
{
    kiln_tensor x;
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    kiln_graph *g = new_graph(&x);
    kiln_slice_at(g, x, 0, kiln_scalar(g, KILN_I32, 0), 5);
    expect_failure(g, "5 rows of an axis that has 4");
    g = new_graph(&x);
    kiln_slice_at(g, x, 2, kiln_scalar(g, KILN_I32, 0), 1);
    expect_failure(g, "no axis 2");
    g = new_graph(&x);
    kiln_slice_at(g, x, 0, x, 1);
    expect_failure(g, "position is f32 of rank 2");
    g = new_graph(&x);
    kiln_put_at(g, x, x, 3, kiln_scalar(g, KILN_I32, 0));
    expect_failure(g, "f32 [4, 2] does not fit into f32 [4, 2] along axis 3");
}

/* A cache of rows in a session: each run puts one and sums all. */
static void run_cache(const char *device)
{
    kiln_device *dev = kiln_test_open(device);
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_session *s = NULL;
    kiln_program *p = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor row = kiln_input(g, "row", KILN_F32, KILN_SHAPE(2, 1, 3));
    const kiln_tensor at = kiln_input(g, "at", KILN_I32, KILN_SCALAR);
    const kiln_tensor cache = kiln_state(g, "cache", KILN_F32, KILN_SHAPE(2, 4, 3), KILN_STORE_SESSION);
    const kiln_tensor keep = kiln_assign_slice(g, cache, row, 1, at);
    const kiln_tensor sum = kiln_sum(g, cache, &(kiln_reduce_params){.axes = KILN_AXES(1)});
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK, "%s", kiln_graph_error(g));
    cr_assert_eq(kiln_session_create(&s, g), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w,
                                     &(kiln_program_params){.run = KILN_RUN(keep, sum), .session = s}),
                 KILN_OK);
    for (int t = 0; t < 6; t++) {
        float x[6], got[6];
        for (int i = 0; i < 6; i++)
            x[i] = (float)(100 * t + i);
        cr_assert_eq(kiln_program_write(p, row, &(kiln_array){.data = x, .shape = KILN_SHAPE(2, 1, 3)}),
                     KILN_OK);
        cr_assert_eq(kiln_program_write(p, at, &(kiln_array){.data = &t, .type = KILN_I32}), KILN_OK);
        cr_assert_eq(kiln_program_run(p), KILN_OK);
        cr_assert_eq(kiln_program_read(p, sum, &(kiln_array){.data = got, .bytes = sizeof got}), KILN_OK);
        for (int i = 0; i < 6; i++) { /* rows 4 and 5 go over row 3 */
            const int rows = t < 4 ? t + 1 : 4, hundreds = t < 4 ? t * (t + 1) / 2 : 3 + t;
            cr_expect_eq(got[i], (float)(100 * hundreds + rows * i), "%s: step %d, sum %d is %g", device, t,
                         i, got[i]);
        }
    }
    kiln_program_destroy(&p);
    kiln_session_destroy(&s);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_test_close(&dev);
}

Test(window, a_cache_grows_in_its_session)
{
    for (int i = 0; kiln_test_device(i); i++)
        run_cache(kiln_test_device(i));
}
