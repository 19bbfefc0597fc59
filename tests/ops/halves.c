/*
 * halves.c - every operator on F16: stored as halves or widened, computed in float, so that all devices agree with the float64
 * references within the rounding of what is stored.
 *
 * Operands are multiples of 1/64 in [-1, 1), which halves hold exactly. What a device that stores halves adds is one rounding,
 * 2^-11 of the value, for each value on the way that is stored; a case says how many that are at the most, its gradient's
 * included.
 */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include <kiln/extend.h>

#include "device/device.h"

static kiln_tensor operand(kiln_graph *g, kiln_shape shape)
{
    const size_t count = (size_t)kiln_shape_count(&shape);
    float *values = malloc(count * sizeof *values);
    uint32_t state = 77u + (uint32_t)kiln_graph_parameter_count(g);
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = ((float)(state >> 25) - 63.5f) / 64;
    }
    const kiln_tensor x = kiln_test_values(g, shape, values);
    free(values);
    return kiln_cast(g, x, KILN_F16);
}

/* Cases ---------------------------------------------------------------------------------------------------- */

static kiln_tensor flat_chain(kiln_graph *g)
{
    const kiln_tensor a = operand(g, KILN_SHAPE(7, 257)), b = operand(g, KILN_SHAPE(7, 257));
    return kiln_tanh(g, kiln_add(g, kiln_mul(g, a, b), a));
}

static kiln_tensor rows_and_columns(kiln_graph *g)
{
    const kiln_tensor a = operand(g, KILN_SHAPE(33, 65)), row = operand(g, KILN_SHAPE(65));
    return kiln_add(g, kiln_mul(g, a, row), operand(g, KILN_SHAPE(33, 1)));
}

static kiln_tensor strided_chain(kiln_graph *g)
{
    const kiln_tensor a = operand(g, KILN_SHAPE(3, 1, 5, 7)), b = operand(g, KILN_SHAPE(3, 4, 1, 7));
    return kiln_where(g, kiln_less(g, a, b), kiln_mul(g, a, b), b);
}

static kiln_tensor casts(kiln_graph *g)
{
    const kiln_tensor a = operand(g, KILN_SHAPE(301)), wide = kiln_square(g, kiln_cast(g, a, KILN_F32));
    const kiln_tensor whole = kiln_cast(g, kiln_scale(g, a, 9), KILN_I32);
    return kiln_add(g, kiln_cast(g, wide, KILN_F16), kiln_cast(g, whole, KILN_F16));
}

static kiln_tensor product(kiln_graph *g)
{
    const kiln_tensor a = operand(g, KILN_SHAPE(65, 33)), b = operand(g, KILN_SHAPE(33, 67));
    return kiln_relu(g, kiln_add(g, kiln_matmul(g, a, b, NULL), operand(g, KILN_SHAPE(67))));
}

static kiln_tensor batches(kiln_graph *g)
{
    const kiln_tensor a = operand(g, KILN_SHAPE(2, 3, 5, 17)), b = operand(g, KILN_SHAPE(3, 7, 17));
    return kiln_matmul(g, a, b, &(kiln_matmul_params){.transpose_b = true});
}

static kiln_tensor product_to_float(kiln_graph *g)
{
    const kiln_tensor a = operand(g, KILN_SHAPE(9, 300)), b = operand(g, KILN_SHAPE(300, 5));
    return kiln_exp(g, kiln_scale(g, kiln_cast(g, kiln_matmul(g, a, b, NULL), KILN_F32), 0.125));
}

static kiln_tensor convolution(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(3, 4, 9, 10)), w = operand(g, KILN_SHAPE(6, 2, 3, 3));
    const kiln_conv_params how = {.groups = 2, .stride = {2, 1}, .pad = {{1, 1}, {1, 1}}};
    return kiln_relu(g, kiln_conv(g, x, w, operand(g, KILN_SHAPE(6)), &how));
}

/* Enough images that the gradient of the filters is summed in parts. */
static kiln_tensor many_images(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(40, 1, 12, 12)), w = operand(g, KILN_SHAPE(2, 1, 5, 5));
    return kiln_conv(g, x, w, KILN_NONE, NULL);
}

static kiln_tensor largest(kiln_graph *g)
{
    return kiln_max_pool(g, operand(g, KILN_SHAPE(2, 3, 9, 8)), &(kiln_pool_params){.size = {3, 2}});
}

static kiln_tensor averages(kiln_graph *g)
{
    const kiln_pool_params how = {.size = {3, 3}, .pad = {{1, 1}, {1, 1}}};
    return kiln_average_pool(g, operand(g, KILN_SHAPE(2, 3, 9, 8)), &how);
}

static kiln_tensor rows(kiln_graph *g)
{
    return kiln_softmax(g, kiln_scale(g, operand(g, KILN_SHAPE(7, 300)), 4), 1);
}

static kiln_tensor columns(kiln_graph *g)
{
    return kiln_log_softmax(g, operand(g, KILN_SHAPE(3, 9, 70)), 1);
}

static kiln_tensor sums(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(5, 11, 7));
    return kiln_sum(g, x, &(kiln_reduce_params){.axes = KILN_AXES(0, 2)});
}

/* The sum of 120000 ones and more does not fit a half, nor do the parts of their mean. */
static kiln_tensor long_mean(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(300, 400));
    return kiln_mean(g, kiln_shift(g, x, 8), NULL);
}

static kiln_tensor extremes(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(9, 31));
    const kiln_tensor most = kiln_reduce_max(g, x, &(kiln_reduce_params){.axes = KILN_AXES(1), .keep = true});
    return kiln_sub(g, x, most);
}

static kiln_tensor normalized(kiln_graph *g)
{
    return kiln_nn_batch_norm(g, kiln_scale(g, operand(g, KILN_SHAPE(8, 5, 6, 7)), 100), NULL);
}

static kiln_tensor layer_normalized(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(9, 70)), scale = operand(g, KILN_SHAPE(70));
    return kiln_layer_norm(g, x, -1, scale, kiln_test_input(g, KILN_SHAPE(70)), 0);
}

static kiln_tensor group_normalized(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(3, 4, 5, 9));
    return kiln_group_norm(g, x, 2, kiln_test_input(g, KILN_SHAPE(4)), operand(g, KILN_SHAPE(4)), 0);
}

static kiln_tensor across_channels(kiln_graph *g)
{
    const kiln_local_response_norm_params how = {.size = 3, .alpha = 0.5};
    return kiln_local_response_norm(g, operand(g, KILN_SHAPE(2, 7, 5)), &how);
}

static kiln_tensor attended(kiln_graph *g)
{
    const kiln_tensor q = operand(g, KILN_SHAPE(1, 2, 40, 9)), k = operand(g, KILN_SHAPE(1, 1, 35, 9));
    const kiln_tensor v = operand(g, KILN_SHAPE(1, 1, 35, 70));
    return kiln_attention(g, q, k, v, &(kiln_attention_params){.mask = operand(g, KILN_SHAPE(40, 35))});
}

static kiln_tensor entropy(kiln_graph *g)
{
    const kiln_tensor x = kiln_scale(g, operand(g, KILN_SHAPE(17, 10)), 4);
    return kiln_cross_entropy_each(g, x, kiln_test_index(g, KILN_SHAPE(17), 10));
}

static kiln_tensor picked(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(11, 5));
    return kiln_gather(g, x, kiln_test_index(g, KILN_SHAPE(23), 11), 0);
}

/* 63 elements a part: the second begins within a word. */
static kiln_tensor joined(kiln_graph *g)
{
    const kiln_tensor a = kiln_tanh(g, operand(g, KILN_SHAPE(9, 7))),
                      b = kiln_neg(g, operand(g, KILN_SHAPE(2, 7)));
    return kiln_concat(g, (const kiln_tensor[]){a, b, a}, 3, 0);
}

/* 128 elements a part: their producers write there. */
static kiln_tensor placed(kiln_graph *g)
{
    const kiln_tensor a = kiln_tanh(g, operand(g, KILN_SHAPE(4, 32))),
                      b = kiln_neg(g, operand(g, KILN_SHAPE(4, 32)));
    return kiln_concat(g, (const kiln_tensor[]){a, b}, 2, 0);
}

static kiln_tensor inner_joined(kiln_graph *g)
{
    const kiln_tensor a = operand(g, KILN_SHAPE(5, 3)), b = operand(g, KILN_SHAPE(5, 4));
    return kiln_concat(g, (const kiln_tensor[]){a, b}, 2, 1);
}

static kiln_tensor turned(kiln_graph *g)
{
    return kiln_transpose(g, operand(g, KILN_SHAPE(33, 2, 45)), (const int[]){2, 1, 0});
}

static kiln_tensor cut_and_padded(kiln_graph *g)
{
    const kiln_tensor x = kiln_slice(g, operand(g, KILN_SHAPE(9, 11)), 1, 10, KILN_END, -3);
    const int64_t before[] = {1, 0}, after[] = {0, 2};
    return kiln_pad(g, x, before, after, 0.75);
}

static kiln_tensor ones(kiln_graph *g)
{
    const kiln_tensor x = operand(g, KILN_SHAPE(3));
    return kiln_add(g, kiln_ones_like(g, x), kiln_mul(g, x, kiln_scalar(g, KILN_F16, 0.5)));
}

static const struct half_case {
    kiln_tensor (*build)(kiln_graph *g);
    int roundings;
    const char *why;
} cases[] = {
    {flat_chain, 4, "a flat chain"},
    {rows_and_columns, 4, "a chain with a row and a column"},
    {strided_chain, 4, "a chain with full index arithmetic"},
    {casts, 3, "casts between halves, floats and integers"},
    {product, 4, "a product with an epilogue"},
    {batches, 3, "a product of batches"},
    {product_to_float, 8, "a product whose epilogue goes on in float: exp of up to 8, rounded before"},
    {convolution, 5, "a convolution with an epilogue"},
    {many_images, 3, "a gradient summed in parts"},
    {largest, 3, "largest of windows"},
    {averages, 3, "averages of windows"},
    {rows, 8, "softmax of rows, scaled by 4"},
    {columns, 5, "log-softmax of columns"},
    {sums, 2, "sums along two axes"},
    {long_mean, 4, "a mean of many"},
    {extremes, 4, "largest of rows"},
    {normalized, 8, "batch normalization, values of 100"},
    {layer_normalized, 8, "layer normalization, an affine map of halves and floats"},
    {group_normalized, 8, "group normalization"},
    {across_channels, 4, "normalization across channels"},
    {attended, 8, "attention with a bias"},
    {entropy, 8, "cross entropy, scaled by 4"},
    {picked, 5, "rows picked by index, and added up again"},
    {joined, 4, "parts that begin within a word"},
    {placed, 4, "parts that are written in place"},
    {inner_joined, 2, "parts side by side"},
    {turned, 2, "a transposition"},
    {cut_and_padded, 2, "a slice backwards within a constant"},
    {ones, 3, "constants"},
};

static kiln_tensor build(kiln_graph *g, const void *one_case)
{
    const kiln_tensor y = ((const struct half_case *)one_case)->build(g);
    return kiln_cast(g, y, KILN_F32);
}

Test(halves, give_what_floats_give_but_for_their_rounding)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        kiln_expect_devices_agree(build, &cases[i], true, cases[i].roundings * 0x1p-11, cases[i].why);
}

/* By what a loss is scaled, and scores; by what queries and values are. */
struct attended {
    double loss, scale, q, v;
};

/* Attention and its gradients in one row, less the scales of values and of the loss: two heads that share their keys; blocks of those that are whole, cut
 * by the diagonal, cut at the end. */
static kiln_tensor attended_by_units(kiln_graph *g, const void *one_case)
{
    const struct attended *c = one_case;
    const kiln_tensor q = kiln_scale(g, operand(g, KILN_SHAPE(1, 2, 41, 24)), c->q);
    const kiln_tensor k = operand(g, KILN_SHAPE(1, 1, 71, 24));
    const kiln_tensor v = kiln_scale(g, operand(g, KILN_SHAPE(1, 1, 71, 64)), c->v);
    const kiln_attention_params p = {.causal = true, .scale = c->scale};
    const kiln_tensor y = kiln_attention(g, q, k, v, &p);
    const kiln_tensor dy = kiln_shift(g, kiln_scale(g, kiln_stop_gradient(g, y), 0.5 / c->v), 0.5);
    kiln_tensor all[4];
    kiln_gradient(g, y, kiln_scale(g, dy, c->loss), (kiln_tensor[]){q, k, v}, 3, all);
    all[3] = y;
    for (int i = 0; i < 4; i++) {
        const kiln_tensor one = kiln_cast(g, kiln_reshape(g, all[i], KILN_SHAPE(KILN_REST)), KILN_F32);
        all[i] = kiln_scale(g, one, 1 / (i < 3 ? c->loss : c->v));
    }
    return kiln_concat(g, all, 4, 0);
}

/* As much as attention's gradients round where halves are summed otherwise. */
static void expect_units_agree(const char *device, const uint32_t size[3], const struct attended *c)
{
    kiln_shape shape;
    double *want = kiln_test_eval(attended_by_units, c, NULL, &shape);
    kiln_device *dev = kiln_test_open(device);
    if (dev->caps.coop_emulated && dev->caps.storage16) {
        dev->caps.software = false;
        memcpy(dev->caps.coop_size, size, sizeof dev->caps.coop_size);
        double *got = kiln_test_eval(attended_by_units, c, dev, NULL);
        kiln_expect_close(got, want, (size_t)kiln_shape_count(&shape), 8 * 0x1p-11, device);
        free(got);
    }
    kiln_test_close(&dev);
    free(want);
}

/* Drivers on the CPU play matrix units of any size: strips of one fragment or two, sums over few terms or many. */
Test(halves, are_attended_to_alike_by_matrix_units_of_every_size)
{
    static const uint32_t sizes[][3] = {{16, 16, 16}, {8, 16, 16},  {16, 8, 16},
                                        {8, 8, 8},    {16, 16, 32}, {8, 32, 16}};
    for (int i = 0; kiln_test_device(i); i++)
        for (size_t k = 0; k < KILN_COUNT(sizes); k++)
            expect_units_agree(kiln_test_device(i), sizes[k], &(struct attended){1, 2, 1, 1});
}

/* Weights of gradients beyond what a half holds, and below what it has digits for. */
Test(halves, have_gradients_by_matrix_units_however_a_loss_is_scaled)
{
    static const uint32_t usual[] = {16, 16, 16};
    static const struct attended losses[] = {{0x1p13, 0x1p-7, 1, 64}, {0x1p-12, 0x1p8, 0x1p-8, 0x1p-6}};
    for (int i = 0; kiln_test_device(i); i++)
        for (size_t k = 0; k < KILN_COUNT(losses); k++)
            expect_units_agree(kiln_test_device(i), usual, &losses[k]);
}

/* Each evaluation has weights of its own, so that all of them draw the first step's mask. */
static kiln_tensor dropped(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    return kiln_cast(g, kiln_dropout(g, operand(g, KILN_SHAPE(3, 1001)), 0.25), KILN_F32);
}

Test(halves, are_dropped_by_the_same_mask_everywhere)
{
    double *want = kiln_test_eval(dropped, NULL, NULL, NULL);
    for (int i = 0; kiln_test_device(i); i++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(i));
        double *got = kiln_test_eval(dropped, NULL, dev, NULL);
        kiln_expect_close(got, want, 3003, 0x1p-11, kiln_test_device(i));
        free(got);
        kiln_test_close(&dev);
    }
    free(want);
}

/* Windows: operands of more than 1 MiB, under a limit that hides no feature. */

static kiln_tensor large(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = operand(g, KILN_SHAPE(1501, 403)), w = operand(g, KILN_SHAPE(403, 401));
    const kiln_tensor y = kiln_relu(g, kiln_matmul(g, x, w, NULL));
    const kiln_tensor z =
        kiln_transpose(g, kiln_softmax(g, kiln_add(g, y, kiln_tanh(g, y)), 1), (const int[]){1, 0});
    return kiln_cast(g, kiln_sum(g, z, &(kiln_reduce_params){.axes = KILN_AXES(1)}), KILN_F32);
}

Test(halves, in_windows_give_the_results_of_the_whole)
{
    kiln_shape shape;
    for (int i = 0; kiln_test_device(i); i++) {
        double *y[2];
        for (int limited = 0; limited < 2; limited++) {
            setenv("KILN_LIMITS", limited ? "max_binding=1M,max_groups=64" : "", 1);
            kiln_device *dev = kiln_test_open(kiln_test_device(i));
            y[limited] = kiln_test_eval(large, NULL, dev, &shape);
            kiln_test_close(&dev);
        }
        kiln_expect_close(y[1], y[0], 401, 1e-6, kiln_test_device(i));
        free(y[0]);
        free(y[1]);
    }
}
