/* lower.c - operands beyond what a device binds are cut into windows, and the result is the same. */
#include <math.h>

#include "compiler/plans.h"
#include "device/caps.h"

#define MIB ((uint64_t)1 << 20)

/* Networks whose operands are some MiB. */
static kiln_tensor product(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(700, 600));
    return kiln_relu(g, kiln_nn_dense(g, *x, &(kiln_nn_dense_params){.units = 500}));
}

static kiln_tensor product_of_batches(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(5, 320, 200));
    return kiln_matmul(g, *x, *x, &(kiln_matmul_params){.transpose_b = true});
}

static kiln_tensor elementwise(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(900, 1000));
    kiln_tensor b = kiln_parameter(g, "b", KILN_SHAPE(1000), NULL),
                c = kiln_parameter(g, "c", KILN_SHAPE(900, 1), NULL);
    return kiln_mul(g, kiln_tanh(g, kiln_add(g, *x, b)), kiln_shift(g, c, 1));
}

static kiln_tensor images(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(70, 3, 48, 48));
    kiln_tensor y = kiln_nn_conv(g, *x, &(kiln_nn_conv_params){.filters = 4, .size = {3, 3}});
    return kiln_max_pool(g, kiln_relu(g, y), &(kiln_pool_params){.size = {2, 2}});
}

static kiln_tensor rows(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3000, 120));
    return kiln_log_softmax(g, *x, 1);
}

static kiln_tensor sums(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3000, 120));
    return kiln_mean(g, *x, &(kiln_reduce_params){.axes = KILN_AXES(1)});
}

/* Images of which no small number begins at a multiple of 256 bytes. */
static kiln_tensor odd_images(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(66, 3, 61, 61));
    return kiln_relu(g, kiln_nn_conv(g, *x, &(kiln_nn_conv_params){.filters = 2, .size = {3, 3}}));
}

/* One image is longer than a binding, and so is what is added to the result. */
static kiln_tensor large_image(kiln_graph *g, kiln_tensor *x)
{
    const kiln_nn_conv_params p = {.filters = 7, .size = {3, 4}, .stride = {1, 2}, .pad = {{2, 0}, {1, 1}}};
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 5, 260, 230));
    const kiln_tensor y = kiln_nn_conv(g, *x, &p);
    return kiln_relu(g, kiln_add(g, y, kiln_parameter(g, "more", kiln_tensor_shape(g, y), NULL)));
}

static kiln_tensor large_groups(kiln_graph *g, kiln_tensor *x)
{
    const kiln_nn_conv_params p = {.filters = 7, .size = {3, 3}, .dilation = {2, 1}, .groups = 7};
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 7, 230, 210));
    return kiln_tanh(g, kiln_nn_conv(g, *x, &p));
}

static kiln_tensor large_transposed(kiln_graph *g, kiln_tensor *x)
{
    const kiln_nn_conv_params p = {
        .filters = 3, .size = {3, 2, 2}, .stride = {2, 3, 2}, .pad = {{1, 0}, {0, 1}, {0, 0}}};
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 17, 5, 55, 60));
    return kiln_relu(g, kiln_nn_conv_transpose(g, *x, &p));
}

static kiln_tensor odd_planes(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(33, 5, 59, 61));
    return kiln_add(g, kiln_max_pool(g, *x, &(kiln_pool_params){.size = {2, 3}}),
                    kiln_average_pool(g, *x, &(kiln_pool_params){.size = {2, 3}}));
}

/* One plane is longer than a binding. */
static kiln_tensor large_plane(kiln_graph *g, kiln_tensor *x)
{
    const kiln_pool_params p = {
        .size = {3, 3}, .stride = {2, 2}, .pad = {{1, 1}, {1, 0}}, .dilation = {2, 1}};
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 2, 701, 640));
    kiln_tensor index;
    return kiln_add(g, kiln_max_pool(g, *x, &p),
                    kiln_add(g, kiln_average_pool(g, *x, &p), kiln_max_pool_index(g, *x, &p, &index)));
}

static kiln_tensor large_volume(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 1, 70, 60, 80));
    return kiln_add(g, kiln_adaptive_average_pool(g, *x, (const int64_t[]){13, 17, 19}),
                    kiln_adaptive_max_pool(g, *x, (const int64_t[]){13, 17, 19}, NULL));
}

static kiln_tensor extremes(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(41, 11, 23, 47));
    const kiln_tensor y = kiln_reduce_max(g, *x, &(kiln_reduce_params){.axes = KILN_AXES(3)});
    return kiln_add(g, y, kiln_reduce_min(g, *x, &(kiln_reduce_params){.axes = KILN_AXES(3)}));
}

static kiln_tensor channels(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(9, 7, 83, 61));
    return kiln_reduce_max(g, *x, &(kiln_reduce_params){.axes = KILN_AXES(0, 2, 3)});
}

static kiln_tensor channel_sums(kiln_graph *g, kiln_tensor *x)
{
    *x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(9, 7, 83, 61));
    return kiln_sum(g, *x, &(kiln_reduce_params){.axes = KILN_AXES(0, 2, 3)});
}

static const struct window_case {
    kiln_tensor (*build)(kiln_graph *g, kiln_tensor *x);
    const char *why;
    bool learns; /* its gradients are cut too */
} cases[] = {
    {product, "a matrix product with an epilogue"},
    {product_of_batches, "a product of batches"},
    {elementwise, "a chain with a row and a column"},
    {images, "a convolution and pooling", true},
    {odd_images, "images that begin anywhere", true},
    {large_image, "one image beyond a binding", true},
    {large_groups, "one image, a group a channel", true},
    {large_transposed, "a transposed convolution along three axes", true},
    {odd_planes, "planes that begin anywhere", true},
    {large_plane, "one plane beyond a binding", true},
    {large_volume, "one volume beyond a binding, divided", true},
    {extremes, "largest and least of many rows", true},
    {channels, "the largest of a channel", true},
    {channel_sums, "the sum of a channel", false},
    {rows, "rows of a softmax"},
    {sums, "sums of rows"},
};

static void expect_windows(const struct kiln_plan *plan, const char *why)
{
    bool cut = false;
    for (int i = 0; i < plan->step.count; i++)
        for (int k = 0; k < plan->step.data[i].touches; k++) {
            const struct kiln_step *s = &plan->step.data[i];
            if (s->kind != KILN_COMMAND_DISPATCH || s->touch[k].object < 0)
                continue;
            cr_expect_leq(s->touch[k].bytes, MIB, "%s: %s binds %llu bytes", why, s->dispatch->kernel->name,
                          (unsigned long long)s->touch[k].bytes);
            cut |= s->touch[k].bytes < plan->object.data[s->touch[k].object].bytes;
        }
    cr_expect(cut, "%s: nothing was cut", why);
}

Test(lower, operands_beyond_a_binding_are_bound_in_windows)
{
    setenv("KILN_LIMITS", "tiny", 1);
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_graph *g = plan_graph();
        kiln_tensor x, y = cases[i].build(g, &x);
        struct planned d = plan_of(g, KILN_RUN(y), false);
        expect_windows(d.plan, cases[i].why);
        planned_finish(&d);
        kiln_graph_destroy(&g);
    }
}

static float *values_of(const kiln_graph *g, kiln_tensor x, kiln_tensor y, const char *limits,
                        kiln_shape *shape)
{
    setenv("KILN_LIMITS", limits, 1);
    struct planned d = plan_on(kiln_test_open("cpu"), g, KILN_RUN(y), false);
    write_input(d.p, x, kiln_tensor_shape(g, x));
    cr_assert_eq(kiln_program_run(d.p), KILN_OK);
    cr_assert_eq(kiln_program_shape(d.p, y, shape), KILN_OK);
    kiln_array to = {.data = malloc((size_t)kiln_shape_count(shape) * sizeof(float) + 1)};
    cr_assert_eq(kiln_program_read(d.p, y, &to), KILN_OK);
    planned_finish(&d);
    return to.data;
}

Test(lower, windows_give_the_results_of_the_whole)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_graph *g = plan_graph();
        kiln_tensor x, y = cases[i].build(g, &x);
        kiln_shape shape;
        float *whole = values_of(g, x, y, "", &shape), *cut = values_of(g, x, y, "tiny", &shape);
        double apart = 0, size = 0;
        for (int64_t k = 0; k < kiln_shape_count(&shape); k++) {
            apart = fmax(apart, fabs((double)whole[k] - cut[k]));
            size = fmax(size, fabs((double)whole[k]));
        }
        cr_expect_leq(apart, 1e-6 * size, "%s: off by %g of %g", cases[i].why, apart, size);
        free(whole);
        free(cut);
        kiln_graph_destroy(&g);
    }
}

/* Sums over windows are added up in another order than sums over the whole. */
static void expect_same_gradient(const kiln_graph *g, kiln_tensor x, kiln_tensor dx, const char *why)
{
    kiln_shape shape;
    float *whole = values_of(g, x, dx, "", &shape), *cut = values_of(g, x, dx, "tiny", &shape);
    double apart = 0, size = 0;
    for (int64_t k = 0; k < kiln_shape_count(&shape); k++) {
        apart = fmax(apart, fabs((double)whole[k] - cut[k]));
        size = fmax(size, fabs((double)whole[k]));
    }
    cr_expect_leq(apart, 3e-6 * size, "%s: off by %g of %g", why, apart, size);
    free(whole);
    free(cut);
}

Test(lower, training_in_windows_gives_the_same_gradients)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        if (!cases[i].learns)
            continue;
        kiln_graph *g = plan_graph();
        kiln_tensor x, y = cases[i].build(g, &x), loss = kiln_mean(g, kiln_square(g, y), NULL), by[4], dx[4];
        int count = 0;
        by[count++] = x;
        for (int k = 0; k < kiln_graph_parameter_count(g); k++)
            by[count++] = kiln_graph_parameter(g, k);
        kiln_gradient(g, loss, KILN_NONE, by, count, dx);
        for (int k = 0; k < count; k++)
            expect_same_gradient(g, x, dx[k], cases[i].why);
        kiln_graph_destroy(&g);
    }
}

Test(lower, where_nothing_can_be_cut_the_program_is_refused_before_it_runs)
{
    setenv("KILN_LIMITS", "max_binding=4K", 1);
    kiln_graph *g = plan_graph();
    kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 3000)), y = kiln_softmax(g, x, 1);
    kiln_device *dev = kiln_test_open("null");
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    cr_expect_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}),
                 KILN_ERROR_UNSUPPORTED);
    cr_expect_null(p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
}
