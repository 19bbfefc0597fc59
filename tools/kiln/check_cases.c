/* check_cases.c - the cases, a family after the other. */
#include "check_cases.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"

/* Operands and results -------------------------------------------------------------------------------------- */

/* A parameter with values in [low, high): the compiler cannot fold it. */
static kiln_tensor real_in(struct check_graph *c, kiln_shape shape, double low, double high)
{
    char name[32];
    snprintf(name, sizeof name, "x%d", kiln_graph_parameter_count(c->g));
    return kiln_parameter(
        c->g, name, shape,
        &(kiln_init){.kind = KILN_INIT_UNIFORM, .value = (low + high) / 2, .scale = (high - low) / 2});
}

static kiln_tensor real(struct check_graph *c, kiln_shape shape)
{
    return real_in(c, shape, -1, 1);
}

/* Whole numbers from low to high - 1. */
static kiln_tensor whole(struct check_graph *c, kiln_shape shape, double low, double high)
{
    return kiln_cast(c->g, kiln_floor(c->g, real_in(c, shape, low, high)), KILN_I32);
}

static void add(struct check_graph *c, kiln_tensor value)
{
    if (c->count < CHECK_VALUES)
        c->run[c->count++] = value;
}

/* A real result, and its gradient by every operand, for a random gradient of its own. */
static void add_with_gradients(struct check_graph *c, kiln_tensor y)
{
    kiln_tensor x[16], dx[16];
    int count = 0;

    add(c, y);
    for (int i = 0; i < kiln_graph_parameter_count(c->g) && count < 16; i++)
        if (kiln_depends(c->g, y, kiln_graph_parameter(c->g, i)))
            x[count++] = kiln_graph_parameter(c->g, i);
    kiln_gradient(c->g, y, real(c, kiln_tensor_shape(c->g, y)), x, count, dx);
    for (int i = 0; i < count; i++)
        add(c, dx[i]);
}

/* Matrices and pictures ------------------------------------------------------------------------------------- */

/* n: batch, M, K, N, a transposed, b transposed */
static void matmul(struct check_graph *c, const int64_t *n)
{
    const kiln_matmul_params how = {.transpose_a = n[4], .transpose_b = n[5]};
    const kiln_tensor a = real(c, n[4] ? KILN_SHAPE(n[0], n[2], n[1]) : KILN_SHAPE(n[0], n[1], n[2]));
    const kiln_tensor b = real(c, n[5] ? KILN_SHAPE(n[0], n[3], n[2]) : KILN_SHAPE(n[0], n[2], n[3]));
    add_with_gradients(c, kiln_matmul(c->g, a, b, &how));
}

/* n: rows, features, units: product, bias and activation in one kernel where the compiler fuses them */
static void dense(struct check_graph *c, const int64_t *n)
{
    const kiln_tensor x = real(c, KILN_SHAPE(n[0], n[1]));
    add_with_gradients(c,
                       kiln_tanh(c->g, kiln_nn_dense(c->g, x, &(kiln_nn_dense_params){.units = (int)n[2]})));
}

/* n: N, C, H, W, O, U, V, stride, pad, groups */
static void conv(struct check_graph *c, const int64_t *n)
{
    const int pad = (int)n[8], stride = (int)n[7], groups = (int)n[9];
    const kiln_tensor x = real(c, KILN_SHAPE(n[0], n[1], n[2], n[3]));
    const kiln_tensor w = real(c, KILN_SHAPE(n[4], n[1] / n[9], n[5], n[6]));
    const kiln_tensor y = kiln_conv2d(
        c->g, x, w, real(c, KILN_SHAPE(n[4])),
        &(kiln_conv2d_params){.stride = {stride, stride}, .pad = {{pad, pad}, {pad, pad}}, .groups = groups});
    add_with_gradients(c, kiln_relu(c->g, y));
}

/* n: N, C, H, W, window, stride, pad */
static void pool(struct check_graph *c, const int64_t *n)
{
    const int size = (int)n[4], stride = (int)n[5], pad = (int)n[6];
    const kiln_pool2d_params how = {.size = {size, size},
                                    .stride = {stride, stride},
                                    .pad = {{pad, pad}, {pad, pad}}};
    const kiln_tensor x = real(c, KILN_SHAPE(n[0], n[1], n[2], n[3]));
    add_with_gradients(c, kiln_max_pool2d(c->g, x, &how));
    add_with_gradients(c, kiln_average_pool2d(c->g, x, &how));
}

/* Elementwise ----------------------------------------------------------------------------------------------- */

/* n: rows, columns */
static void unary(struct check_graph *c, const int64_t *n)
{
    kiln_graph *g = c->g;
    kiln_tensor (*const any[])(kiln_graph *,
                               kiln_tensor) = {kiln_neg,     kiln_abs,    kiln_sign,    kiln_floor, kiln_exp,
                                               kiln_expm1,   kiln_square, kiln_sin,     kiln_cos,   kiln_tanh,
                                               kiln_sigmoid, kiln_relu,   kiln_softplus};
    kiln_tensor (*const positive[])(kiln_graph *, kiln_tensor) = {kiln_log, kiln_log1p, kiln_sqrt, kiln_rsqrt,
                                                                  kiln_reciprocal};
    const kiln_tensor x = real_in(c, KILN_SHAPE(n[0], n[1]), -3, 3);
    const kiln_tensor p = real_in(c, KILN_SHAPE(n[0], n[1]), 0.1, 4);

    for (size_t i = 0; i < sizeof any / sizeof *any; i++)
        add_with_gradients(c, any[i](g, x));
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
        add_with_gradients(c, positive[i](g, p));
    add_with_gradients(c, kiln_leaky_relu(g, x, 0.1));
    add_with_gradients(c, kiln_clip(g, x, -0.5, 1));
    add_with_gradients(c, kiln_shift(g, kiln_scale(g, x, 3), -2));
    add(c, kiln_cast(g, x, KILN_I32));
    add(c, kiln_cast(g, x, KILN_BOOL));
}

/* Operands of shapes that broadcast to one another. */
static void pairs(struct check_graph *c, kiln_shape one, kiln_shape other)
{
    kiln_graph *g = c->g;
    kiln_tensor (*const arithmetic[])(kiln_graph *, kiln_tensor, kiln_tensor) = {kiln_add, kiln_sub,
                                                                                 kiln_mul, kiln_div,
                                                                                 kiln_max, kiln_min};
    kiln_tensor (*const comparison[])(kiln_graph *, kiln_tensor,
                                      kiln_tensor) = {kiln_equal,      kiln_not_equal, kiln_less,
                                                      kiln_less_equal, kiln_greater,   kiln_greater_equal};
    const kiln_tensor a = real_in(c, one, 0.5, 2), b = real_in(c, other, 0.5, 2);
    const kiln_tensor i = whole(c, one, -5, 5), k = whole(c, other, -5, 5);

    for (int op = 0; op < 6; op++) {
        add_with_gradients(c, arithmetic[op](g, a, b));
        add(c, arithmetic[op](g, i, k));
        add(c, comparison[op](g, a, b));
        add(c, comparison[op](g, i, k));
    }
    add_with_gradients(c, kiln_pow(g, a, b));
    add_with_gradients(c, kiln_where(g, kiln_less(g, i, k), a, b));
    add(c, kiln_or(g, kiln_and(g, kiln_less(g, a, b), kiln_less(g, i, k)), kiln_not(g, kiln_equal(g, i, k))));
}

/* n: the size of three axes, and which of them the other operand repeats, by bits */
static void binary(struct check_graph *c, const int64_t *n)
{
    pairs(c, KILN_SHAPE(n[0], n[1], n[2]),
          KILN_SHAPE(n[3] & 1 ? 1 : n[0], n[3] & 2 ? 1 : n[1], n[3] & 4 ? 1 : n[2]));
}

/* Reductions and normalization ------------------------------------------------------------------------------ */

/* n: three sizes, and the axes to reduce by bits */
static void reduce(struct check_graph *c, const int64_t *n)
{
    kiln_tensor (*const ops[])(kiln_graph *, kiln_tensor, const kiln_reduce_params *) = {kiln_sum, kiln_mean,
                                                                                         kiln_reduce_max,
                                                                                         kiln_reduce_min};
    const kiln_shape shape = KILN_SHAPE(n[0], n[1], n[2]);
    const kiln_tensor x = real(c, shape), i = whole(c, shape, -9, 9);
    kiln_reduce_params how = {0};

    for (int axis = 0; axis < 3; axis++)
        if (n[3] >> axis & 1)
            how.axes.axis[how.axes.count++] = axis;
    for (int op = 0; op < 4; op++) {
        add_with_gradients(c, ops[op](c->g, x, &how));
        if (ops[op] != kiln_mean)
            add(c, ops[op](c->g, i, &how));
    }
    add(c, kiln_argmax(c->g, x, how.axes.axis[0], false));
    add(c, kiln_argmax(c->g, i, how.axes.axis[0], true));
}

/* n: three sizes, the axis */
static void softmax(struct check_graph *c, const int64_t *n)
{
    const kiln_tensor x = real_in(c, KILN_SHAPE(n[0], n[1], n[2]), -20, 20);
    add_with_gradients(c, kiln_softmax(c->g, x, (int)n[3]));
    add_with_gradients(c, kiln_log_softmax(c->g, x, (int)n[3]));
}

/* n: N, C, H, W */
static void norm(struct check_graph *c, const int64_t *n)
{
    kiln_tensor variance;
    const kiln_tensor x = real_in(c, KILN_SHAPE(n[0], n[1], n[2], n[3]), -2, 5);
    add_with_gradients(c, kiln_nn_batch_norm(c->g, x, NULL));
    add_with_gradients(c, kiln_moments(c->g, x, KILN_AXES(0, 2, 3), &variance));
    add_with_gradients(c, variance);
}

/* n: rows, classes */
static void loss(struct check_graph *c, const int64_t *n)
{
    kiln_graph *g = c->g;
    const kiln_tensor s = real_in(c, KILN_SHAPE(n[0], n[1]), -9, 9), other = real(c, KILN_SHAPE(n[0], n[1]));
    const kiln_tensor class = whole(c, KILN_SHAPE(n[0]), 0, (double)n[1]);
    add_with_gradients(c, kiln_cross_entropy_each(g, s, class));
    add_with_gradients(c, kiln_cross_entropy(g, s, kiln_softmax(g, other, 1)));
    add_with_gradients(c, kiln_binary_cross_entropy(g, s, kiln_sigmoid(g, other)));
    add_with_gradients(c, kiln_mean_squared_error(g, s, other));
    add(c, kiln_accuracy(g, s, class));
}

/* n: rows, columns */
static void dropout(struct check_graph *c, const int64_t *n)
{
    add_with_gradients(c, kiln_dropout(c->g, real(c, KILN_SHAPE(n[0], n[1])), 0.3));
}

/* Moving ---------------------------------------------------------------------------------------------------- */

/* n: three sizes */
static void layout(struct check_graph *c, const int64_t *n)
{
    kiln_graph *g = c->g;
    const kiln_tensor x = real(c, KILN_SHAPE(n[0], n[1], n[2])), y = real(c, KILN_SHAPE(n[0], 3, n[2]));
    static const int orders[][3] = {{0, 2, 1}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}};

    for (int i = 0; i < 4; i++)
        add_with_gradients(c, kiln_transpose(g, x, orders[i]));
    for (int axis = 0; axis < 3; axis++)
        add_with_gradients(c, kiln_slice(g, x, axis, n[axis] / 3, KILN_END, 2));
    add_with_gradients(c, kiln_slice(g, x, 2, n[2] - 1, KILN_END, -1));
    add_with_gradients(c, kiln_pad(g, x, (const int64_t[]){1, 0, 2}, (const int64_t[]){0, 3, 1}, 0.5));
    add_with_gradients(c, kiln_concat(g, (const kiln_tensor[]){x, y, x}, 3, 1));
    add_with_gradients(c, kiln_expand(g, kiln_unsqueeze(g, x, 1), KILN_SHAPE(n[0], 2, n[1], n[2])));
    add_with_gradients(c, kiln_flatten(g, kiln_transpose(g, x, orders[0]), 1));
}

/* n: outer, rows, inner, indices */
static void gather(struct check_graph *c, const int64_t *n)
{
    const kiln_tensor x = real(c, KILN_SHAPE(n[0], n[1], n[2]));
    const kiln_tensor index = whole(c, KILN_SHAPE(n[3]), (double)-n[1], (double)n[1]);
    add_with_gradients(c, kiln_gather(c->g, x, index, 1));
    add(c, kiln_one_hot(c->g, index, n[1]));
}

/* Optimizers ------------------------------------------------------------------------------------------------ */

/* n: rows, columns, the optimizer, clipped */
static void update(struct check_graph *c, const int64_t *n)
{
    const kiln_tensor x = real(c, KILN_SHAPE(n[0], n[1])), bias = real(c, KILN_SHAPE(n[1]));
    const kiln_tensor loss = kiln_mean(c->g, kiln_square(c->g, kiln_add(c->g, x, bias)), NULL);
    const kiln_param_group group = {.match = "x1", .rate = 0.5, .decay = 0.1};
    const kiln_minimize_params how = {.by = (kiln_optimizer)n[2],
                                      .decay = 0.01,
                                      .groups = &group,
                                      .group_count = 1,
                                      .clip_norm = n[3] ? 0.01 : 0,
                                      .clip_value = n[3] ? 0.005 : 0};
    add(c, loss);
    add(c, kiln_minimize(c->g, loss, &how));
}

/* n: rows, columns */
static void accumulate(struct check_graph *c, const int64_t *n)
{
    const kiln_tensor x = real(c, KILN_SHAPE(n[0], n[1]));
    const kiln_tensor loss = kiln_mean(c->g, kiln_square(c->g, x), NULL);
    add(c, kiln_backward(c->g, loss, NULL));
    add(c, kiln_update(c->g, &(kiln_minimize_params){.by = KILN_ADAM}));
}

const struct check_case check_cases[] = {
    {"matmul", matmul, {1, 1, 1, 1}, "one number"},
    {"matmul", matmul, {1, 5, 7, 3}, "smaller than any tile"},
    {"matmul", matmul, {1, 64, 64, 64}, "exactly one tile"},
    {"matmul", matmul, {1, 65, 129, 67}, "one past a tile"},
    {"matmul", matmul, {3, 17, 31, 13, 1, 0}, "a batch, the left side transposed"},
    {"matmul", matmul, {2, 19, 23, 37, 0, 1}, "the right side transposed"},
    {"matmul", matmul, {2, 9, 33, 11, 1, 1}, "both sides transposed"},
    {"matmul", matmul, {1, 1, 1000, 1}, "a long sum"},
    {"matmul", matmul, {1, 300, 1, 200}, "an outer product"},
    {"matmul", matmul, {1, 4, 5000, 6}, "a sum long enough to be split"},
    {"matmul", matmul, {1, 1, 200, 150}, "a vector"},
    {"dense", dense, {1, 1, 1}, "one number"},
    {"dense", dense, {33, 50, 17}, "primes and one past a tile"},
    {"dense", dense, {128, 400, 120}, "LeNet's"},
    {"conv", conv, {1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, "one number"},
    {"conv", conv, {2, 3, 7, 5, 4, 3, 3, 1, 1, 1}, "padded"},
    {"conv", conv, {1, 3, 11, 13, 5, 5, 3, 2, 2, 1}, "strided, a filter that is no square"},
    {"conv", conv, {3, 4, 9, 9, 6, 3, 3, 1, 0, 2}, "two groups"},
    {"conv", conv, {2, 8, 6, 10, 8, 3, 3, 1, 1, 8}, "depthwise"},
    {"conv", conv, {2, 16, 8, 8, 17, 1, 1, 1, 0, 1}, "pointwise"},
    {"conv", conv, {16, 1, 28, 28, 6, 5, 5, 1, 2, 1}, "LeNet's first"},
    {"conv", conv, {16, 6, 14, 14, 16, 5, 5, 1, 0, 1}, "LeNet's second"},
    {"conv", conv, {1, 2, 70, 66, 3, 7, 7, 3, 3, 1}, "large strides over a large picture"},
    {"pool", pool, {1, 1, 1, 1, 1, 1, 0}, "one number"},
    {"pool", pool, {2, 3, 8, 8, 2, 2, 0}, "halves"},
    {"pool", pool, {2, 3, 11, 7, 3, 2, 1}, "windows that overlap, padded"},
    {"pool", pool, {1, 5, 9, 13, 4, 3, 2}, "windows larger than the stride"},
    {"pool", pool, {1, 2, 7, 7, 7, 7, 0}, "one window"},
    {"unary", unary, {1, 1}, "one number"},
    {"unary", unary, {7, 13}, "primes"},
    {"unary", unary, {65, 257}, "one past a block"},
    {"binary", binary, {1, 1, 1, 0}, "one number"},
    {"binary", binary, {5, 7, 11, 0}, "equal shapes"},
    {"binary", binary, {5, 7, 11, 7}, "one for all"},
    {"binary", binary, {5, 7, 11, 3}, "one row for all"},
    {"binary", binary, {5, 7, 11, 4}, "one number a row"},
    {"binary", binary, {5, 7, 11, 2}, "the middle axis repeated"},
    {"binary", binary, {33, 4, 65, 5}, "the outer axes repeated"},
    {"reduce", reduce, {1, 1, 1, 1}, "one number"},
    {"reduce", reduce, {5, 7, 11, 4}, "the last axis"},
    {"reduce", reduce, {5, 7, 11, 1}, "the first axis"},
    {"reduce", reduce, {5, 7, 11, 2}, "the middle axis"},
    {"reduce", reduce, {5, 7, 11, 5}, "the outer axes"},
    {"reduce", reduce, {3, 129, 65, 7}, "all"},
    {"reduce", reduce, {2, 3, 5003, 4}, "rows long enough to be split"},
    {"softmax", softmax, {1, 1, 1, 2}, "one number"},
    {"softmax", softmax, {3, 5, 10, 2}, "the last axis"},
    {"softmax", softmax, {3, 129, 4, 1}, "an axis with a stride"},
    {"softmax", softmax, {2, 2, 1000, 2}, "columns that lanes do not divide"},
    {"norm", norm, {2, 1, 1, 2}, "four numbers a channel"},
    {"norm", norm, {4, 3, 5, 7}, "primes"},
    {"norm", norm, {8, 17, 16, 16}, "channels that lanes do not divide"},
    {"norm", norm, {64, 2, 32, 32}, "sums long enough to be split"},
    {"loss", loss, {1, 2}, "one row"},
    {"loss", loss, {7, 10}, "ten classes"},
    {"loss", loss, {65, 257}, "one past a block"},
    {"dropout", dropout, {1, 1}, "one number"},
    {"dropout", dropout, {13, 129}, "elements that 4 does not divide"},
    {"layout", layout, {1, 1, 1}, "one number"},
    {"layout", layout, {5, 7, 11}, "primes"},
    {"layout", layout, {33, 65, 17}, "one past a tile"},
    {"gather", gather, {1, 1, 1, 1}, "one number"},
    {"gather", gather, {3, 7, 5, 19}, "rows taken several times"},
    {"gather", gather, {1, 1000, 3, 50}, "few rows of many"},
    {"gather", gather, {2, 5, 1, 300}, "few rows, each taken often"},
    {"update", update, {1, 1, KILN_SGD, 0}, "one number"},
    {"update", update, {13, 7, KILN_SGD, 1}, "descent, clipped"},
    {"update", update, {13, 7, KILN_MOMENTUM, 0}, "momentum"},
    {"update", update, {65, 67, KILN_NESTEROV, 1}, "Nesterov's, clipped"},
    {"update", update, {13, 7, KILN_RMSPROP, 0}, "RMSProp"},
    {"update", update, {129, 65, KILN_ADAM, 0}, "Adam"},
    {"update", update, {31, 37, KILN_ADAMW, 1}, "AdamW, clipped"},
    {"accumulate", accumulate, {31, 37}, "gathered first"},
    {0},
};
