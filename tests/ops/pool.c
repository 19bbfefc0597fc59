/* pool.c - pooling: PyTorch's numbers, sizes of y, ties, gradients and theirs, and every device alike. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/golden_case.h"

static const struct pool_case {
    kiln_shape x;
    kiln_pool_params p;
    const char *why;
} cases[] = {
    {{4, {2, 3, 8, 8}}, {.size = {2, 2}}, "side by side"},
    {{4, {2, 3, 9, 11}}, {.size = {2, 2}}, "an odd row and column left over"},
    {{4, {2, 2, 9, 8}}, {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}}, "overlapping, padded"},
    {{4, {1, 2, 7, 6}}, {.size = {3, 3}, .stride = {1, 1}}, "every place"},
    {{4, {1, 1, 7, 10}}, {.size = {2, 3}, .stride = {3, 2}, .pad = {{0, 1}, {2, 0}}}, "uneven in all"},
    {{4, {1, 2, 9, 9}}, {.size = {2, 3}, .stride = {2, 1}, .dilation = {2, 3}}, "dilated"},
    {{4, {2, 1, 6, 7}}, {.size = {3, 3}, .stride = {2, 2}, .ceil = true}, "a last window that reaches out"},
    {{4, {2, 3, 9, 27}}, {.size = {3, 3}, .stride = {2, 2}}, "threes, more than eight in a row"},
    {{4, {1, 2, 7, 17}}, {.size = {3, 3}, .stride = {2, 2}}, "eight threes in a row"},
    {{4, {1, 1, 5, 5}},
     {.size = {2, 2}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .ceil = true, .count_pad = true},
     "padding that counts, cut short at the end"},
    {{4, {1, 2, 3, 301}}, {.size = {3, 3}, .stride = {2, 2}}, "rows of more windows than a block"},
    {{4, {1, 2, 9, 8}},
     {.size = {5, 5}, .stride = {1, 1}, .pad = {{2, 2}, {2, 2}}},
     "windows worth searching first"},
    {{4, {2, 1, 7, 6}},
     {.size = {3, 2}, .stride = {2, 2}, .same = KILN_SAME_UPPER},
     "the same size, by stride"},
    {{4, {2, 1, 7, 6}},
     {.size = {4, 2}, .stride = {1, 1}, .same = KILN_SAME_LOWER, .count_pad = true},
     "the odd one before"},
    {{3, {2, 3, 11}}, {.size = {3}, .stride = {2}, .pad = {{1, 0}}}, "one axis"},
    {{5, {1, 2, 5, 4, 6}},
     {.size = {2, 3, 2}, .stride = {2, 1, 3}, .pad = {{1, 0}, {1, 1}, {0, 1}}, .ceil = true},
     "three axes"},
    {{5, {1, 1, 4, 6, 8}}, {.size = {1, 2, 2}}, "three axes, pairs along two"},
    {{4, {1, 1, 1, 1}}, {.size = {1, 1}}, "one number"},
    {{4, {0, 2, 4, 4}}, {.size = {2, 2}}, "no pictures"},
};

static kiln_tensor build_max(kiln_graph *g, const void *one_case)
{
    const struct pool_case *c = one_case;
    return kiln_max_pool(g, kiln_test_input(g, c->x), &c->p);
}

static kiln_tensor build_average(kiln_graph *g, const void *one_case)
{
    const struct pool_case *c = one_case;
    return kiln_average_pool(g, kiln_test_input(g, c->x), &c->p);
}

/* The index is an integer: it is weighed into the result. */
static kiln_tensor build_index(kiln_graph *g, const void *one_case)
{
    const struct pool_case *c = one_case;
    kiln_pool_params p = c->p;
    kiln_tensor index;
    p.column_major = c->x.size[0] == 1;
    const kiln_tensor y = kiln_max_pool_index(g, kiln_test_input(g, c->x), &p, &index);
    return kiln_add(g, y, kiln_scale(g, kiln_cast(g, index, KILN_F32), 0.25));
}

static kiln_tensor build_lp(kiln_graph *g, const void *one_case)
{
    const struct pool_case *c = one_case;
    return kiln_lp_pool(g, kiln_test_input(g, c->x), 3, &c->p);
}

/* The gradient of sum(y dy) by x, for its own gradients by x and dy. */
static kiln_tensor gradient_of(kiln_graph *g, kiln_tensor x, kiln_tensor y)
{
    const kiln_tensor dy = kiln_test_input(g, kiln_tensor_shape(g, y));
    kiln_tensor dx;
    kiln_gradient(g, y, dy, &x, 1, &dx);
    return dx;
}

static kiln_tensor build_gradient(kiln_graph *g, const void *one_case)
{
    const struct pool_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    kiln_tensor index;
    kiln_pool_params p = c->p;
    p.column_major = c->x.size[0] == 1;
    return kiln_add(g, gradient_of(g, x, kiln_max_pool(g, x, &c->p)),
                    kiln_add(g, gradient_of(g, x, kiln_average_pool(g, x, &c->p)),
                             gradient_of(g, x, kiln_max_pool_index(g, x, &p, &index))));
}

static void expect(kiln_test_build *build)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        if (kiln_shape_count(&cases[i].x) < 1000)
            kiln_expect_gradient(build, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build, &cases[i], true, 0, cases[i].why);
    }
}

Test(pool, max_on_every_device)
{
    expect(build_max);
}

Test(pool, average_on_every_device)
{
    expect(build_average);
}

Test(pool, index_on_every_device)
{
    expect(build_index);
}

Test(pool, lp_on_every_device)
{
    expect(build_lp);
}

Test(pool, gradients_have_gradients)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        if (kiln_shape_count(&cases[i].x) < 200)
            kiln_expect_gradient(build_gradient, &cases[i], cases[i].why);
}

/* Windows that divide an axis, and windows over whole axes ----------------------------------------------- */

static const struct adaptive_case {
    kiln_shape x;
    int64_t size[3];
    const char *why;
} adaptive_cases[] = {
    {{4, {2, 3, 6, 8}}, {3, 2}, "evenly"},
    {{4, {1, 2, 7, 5}}, {3, 4}, "unevenly"},
    {{4, {1, 2, 3, 4}}, {5, 7}, "into more than there are"},
    {{4, {2, 2, 5, 1}}, {0, 1}, "one axis as it is"},
    {{3, {2, 3, 13}}, {4}, "one axis"},
    {{5, {1, 2, 5, 3, 7}}, {2, 3, 4}, "three axes"},
    {{4, {1, 1, 13, 11}}, {2, 2}, "windows worth searching first"},
};

static kiln_tensor build_adaptive(kiln_graph *g, const void *one_case)
{
    const struct adaptive_case *c = one_case;
    kiln_tensor index;
    const kiln_tensor x = kiln_test_input(g, c->x), most = kiln_adaptive_max_pool(g, x, c->size, &index);
    return kiln_add(g,
                    kiln_add(g, kiln_adaptive_average_pool(g, x, c->size),
                             kiln_adaptive_max_pool(g, x, c->size, NULL)),
                    kiln_add(g, most, kiln_cast(g, index, KILN_F32)));
}

Test(pool, adaptive_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(adaptive_cases); i++) {
        kiln_expect_gradient(build_adaptive, &adaptive_cases[i], adaptive_cases[i].why);
        kiln_expect_devices_agree(build_adaptive, &adaptive_cases[i], true, 0, adaptive_cases[i].why);
    }
}

static kiln_tensor build_global(kiln_graph *g, const void *one_case)
{
    const struct adaptive_case *c = one_case;
    const kiln_tensor x = kiln_test_input(g, c->x);
    return kiln_add(g, kiln_global_average_pool(g, x),
                    kiln_add(g, kiln_global_max_pool(g, x), kiln_global_lp_pool(g, x, 2)));
}

Test(pool, global_on_every_device)
{
    for (size_t i = 0; i < KILN_COUNT(adaptive_cases); i++) {
        kiln_expect_gradient(build_global, &adaptive_cases[i], adaptive_cases[i].why);
        kiln_expect_devices_agree(build_global, &adaptive_cases[i], true, 0, adaptive_cases[i].why);
    }
}

static kiln_tensor zeros(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_test_values(g, KILN_SHAPE(1, 1, 2, 2), (const float[]){0, 0, 0, 0});
    kiln_tensor dx[2];
    kiln_gradient(g, kiln_lp_pool(g, x, 2, &(kiln_pool_params){.size = {2, 2}}), KILN_NONE, &x, 1, &dx[0]);
    kiln_gradient(g, kiln_global_lp_pool(g, x, 3), KILN_NONE, &x, 1, &dx[1]);
    return kiln_add(g, dx[0], dx[1]);
}

Test(pool, a_norm_of_zeros_has_no_slope)
{
    kiln_expect_values(zeros, NULL, (const double[]){0, 0, 0, 0}, 4, 0, "zeros");
}

/* Unpooling ---------------------------------------------------------------------------------------------- */

/* From windows that overlap, so that several have one place and the last counts. */
static kiln_tensor build_unpool(kiln_graph *g, const void *one_case)
{
    const struct pool_case *c = one_case;
    kiln_tensor index;
    kiln_max_pool_index(g, kiln_test_input(g, c->x), &c->p, &index);
    const kiln_tensor x = kiln_test_input(g, kiln_tensor_shape(g, index));
    return kiln_max_unpool(g, x, index, &c->p, &c->x.size[2]);
}

Test(pool, unpooling_on_every_device)
{
    for (size_t i = 0; i < 4; i++) {
        kiln_expect_gradient(build_unpool, &cases[i], cases[i].why);
        kiln_expect_devices_agree(build_unpool, &cases[i], true, 0, cases[i].why);
    }
}

/* PyTorch's numbers -------------------------------------------------------------------------------------- */

enum kind { MAX, AVERAGE, LP, ADAPTIVE, ADAPTIVE_MAX, UNPOOL };

static const struct golden {
    const char *name;
    enum kind kind;
    kiln_pool_params p;
    int64_t size[3]; /* adaptive: of y; unpooled: likewise */
    double power;
} golden[] = {
    {"max1d", MAX, {.size = {3}, .stride = {2}, .pad = {{1, 1}}}},
    {"max2d", MAX, {.size = {3, 2}, .stride = {2, 3}, .pad = {{1, 1}}, .dilation = {2, 1}}},
    {"max2d_ceil", MAX, {.size = {3, 3}, .stride = {2, 2}, .ceil = true}},
    {"max2d_large", MAX, {.size = {5, 5}, .stride = {1, 1}, .pad = {{2, 2}, {2, 2}}}},
    {"max2d_ties", MAX, {.size = {3, 3}, .stride = {1, 1}}},
    {"max3d", MAX, {.size = {2, 3, 2}, .stride = {2, 1, 2}, .pad = {{1, 1}, {1, 1}}}},
    {"average1d", AVERAGE, {.size = {4}, .stride = {3}, .pad = {{2, 2}}, .count_pad = true}},
    {"average2d_ceil", AVERAGE, {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .ceil = true}},
    {"average2d_ceil_counted",
     AVERAGE,
     {.size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 1}}, .ceil = true, .count_pad = true}},
    {"average3d",
     AVERAGE,
     {.size = {2, 3, 3}, .stride = {1, 2, 2}, .pad = {{0, 0}, {1, 1}, {1, 1}}, .count_pad = true}},
    {"lp1d", LP, {.size = {3}, .stride = {2}}, .power = 3},
    {"lp2d", LP, {.size = {2, 3}, .stride = {2, 2}}, .power = 2},
    {"adaptive1d", ADAPTIVE, .size = {3}},
    {"adaptive1d_max", ADAPTIVE_MAX, .size = {3}},
    {"adaptive2d", ADAPTIVE, .size = {5, 4}},
    {"adaptive2d_max", ADAPTIVE_MAX, .size = {5, 4}},
    {"adaptive2d_even", ADAPTIVE, .size = {3, 2}},
    {"adaptive2d_even_max", ADAPTIVE_MAX, .size = {3, 2}},
    {"adaptive2d_more", ADAPTIVE, .size = {5, 4}},
    {"adaptive2d_more_max", ADAPTIVE_MAX, .size = {5, 4}},
    {"adaptive3d", ADAPTIVE, .size = {2, 4, 5}},
    {"adaptive3d_max", ADAPTIVE_MAX, .size = {2, 4, 5}},
    {"unpool1d", UNPOOL, {.size = {2}}, .size = {8}},
    {"unpool2d", UNPOOL, {.size = {2, 3}}, .size = {6, 7}},
    {"unpool3d", UNPOOL, {.size = {2, 2, 2}}, .size = {4, 4, 6}},
};

static kiln_tensor pool_recorded(kiln_golden_case *c)
{
    const struct golden *k = golden;
    while (strcmp(k->name, c->name))
        k++;
    const kiln_tensor x = kiln_golden_leaf(c, "x");
    kiln_tensor index = KILN_NONE, y = KILN_NONE;
    switch (k->kind) {
    case MAX:
        y = kiln_max_pool_index(c->g, x, &k->p, &index);
        break;
    case AVERAGE:
        return kiln_average_pool(c->g, x, &k->p);
    case LP:
        return kiln_lp_pool(c->g, x, k->power, &k->p);
    case ADAPTIVE:
        return kiln_adaptive_average_pool(c->g, x, k->size);
    case ADAPTIVE_MAX:
        y = kiln_adaptive_max_pool(c->g, x, k->size, &index);
        break;
    case UNPOOL:
        return kiln_max_unpool(c->g, x, kiln_golden_fixed(c, "index"), &k->p, k->size);
    }
    kiln_golden_result(c, "index", kiln_cast(c->g, index, KILN_F32));
    return y;
}

static void expect_golden(const char *device, bool f64)
{
    kiln_golden_row rows[KILN_COUNT(golden)];
    for (size_t i = 0; i < KILN_COUNT(golden); i++)
        rows[i] = (kiln_golden_row){.name = golden[i].name, .build = pool_recorded};
    kiln_expect_golden("pool.safetensors", rows, KILN_COUNT(golden), device, f64, 0);
}

Test(pool, in_float64_is_that_of_pytorch)
{
    expect_golden("cpu", true);
}

Test(pool, on_every_device_is_close_to_that_of_pytorch)
{
    for (int i = 0; kiln_test_device(i); i++)
        expect_golden(kiln_test_device(i), false);
}

/* ONNX's example of an index that counts columns first. */
static kiln_tensor columns(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    float x[25];
    kiln_tensor index;
    for (int i = 0; i < 25; i++)
        x[i] = (float)(i + 1);
    kiln_max_pool_index(g, kiln_test_values(g, KILN_SHAPE(1, 1, 5, 5), x),
                        &(kiln_pool_params){.size = {2, 2}, .column_major = true}, &index);
    return kiln_cast(g, index, KILN_F32);
}

Test(pool, an_index_may_count_columns_first)
{
    kiln_expect_values(columns, NULL, (const double[]){6, 16, 8, 18}, 4, 0, "columns first");
    kiln_expect_devices_agree(columns, NULL, false, 1e-7, "columns first");
}

/* Corners ------------------------------------------------------------------------------------------------ */

static kiln_tensor corner(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const float x[] = {1, NAN, 3, 4, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
    const kiln_pool_params p = {.size = {2, 2}};
    return kiln_max_pool(g, kiln_test_values(g, KILN_SHAPE(2, 1, 2, 2), x), &p);
}

/* Windows of threes, at every second of 19 columns: a NaN under the upper left of one, the lower right of two, and the middle of one. */
static kiln_tensor corner_of_threes(kiln_graph *g, const void *one_case)
{
    float x[3 * 19];
    (void)one_case;
    for (int i = 0; i < 3 * 19; i++)
        x[i] = i < 19 ? -INFINITY : (float)(i % 19);
    x[0] = x[2 * 19 + 6] = x[19 + 17] = NAN;
    const kiln_pool_params p = {.size = {3, 3}, .stride = {2, 2}};
    return kiln_max_pool(g, kiln_test_values(g, KILN_SHAPE(1, 1, 3, 19), x), &p);
}

static void expect_everywhere(kiln_test_build *build, const double *want, size_t count, const char *why)
{
    kiln_expect_values(build, NULL, want, count, 0, why);
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        kiln_shape shape;
        double *got = kiln_test_eval(build, NULL, dev, &shape);
        kiln_expect_close(got, want, count, 0, kiln_test_device(i));
        free(got);
        kiln_test_close(&dev);
    }
}

Test(pool, passes_nan_and_infinity)
{
    expect_everywhere(corner, (const double[]){NAN, -INFINITY}, 2,
                      "NaN wins; the largest of -infinity is that");
    expect_everywhere(corner_of_threes, (const double[]){NAN, 4, NAN, NAN, 10, 12, 14, 16, NAN}, 9,
                      "among threes");
}

static void expect_refusal(kiln_shape shape, const kiln_pool_params *p, const char *text)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    cr_expect_eq(kiln_max_pool(g, kiln_input(g, "x", KILN_F32, shape), p).id, 0);
    cr_expect(kiln_graph_status(g) && strstr(kiln_graph_error(g), text), "wanted \"%s\", got \"%s\"", text,
              kiln_graph_error(g));
    kiln_graph_destroy(&g);
}

Test(pool, says_what_does_not_fit)
{
    const kiln_shape x = KILN_SHAPE(KILN_BATCH, 1, 4, 4);
    expect_refusal(x, &(kiln_pool_params){.size = {5, 5}}, "reaches over 5");
    expect_refusal(x, NULL, "size 0");
    expect_refusal(x, &(kiln_pool_params){.size = {2, 2}, .pad = {{2, 0}}}, "padding 2 and 0");
    expect_refusal(x, &(kiln_pool_params){.size = {2, 2}, .stride = {-1, 1}}, "stride -1");
    expect_refusal(KILN_SHAPE(4, 4), &(kiln_pool_params){.size = {2, 2}}, "1 to 3 sizes");
}
