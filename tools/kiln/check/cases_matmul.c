/* cases_matmul.c - matmul, and a layer around it: product, bias and activation in one kernel. */
#include "check/families.h"

/* batch, M, K, N */
static const struct check_shape shapes[] = {
    {"1x1x1x1", "one number"},
    {"1x5x7x3", "smaller than any tile"},
    {"1x64x64x64", "exactly one tile"},
    {"1x65x129x67", "one past a tile"},
    {"3x17x31x13", "a batch of primes"},
    {"1x1x1000x1", "a long sum"},
    {"1x300x1x200", "an outer product"},
    {"1x4x5000x6", "a sum long enough to be split"},
    {"1x1x200x150", "a vector"},
    {"2x68x36x132", "fours that end within a tile"},
    {"2x9x12x35", "rows of whole fours and three"},
    {"2x0x3x4", "no rows"},
    {"2x3x0x4", "sums over nothing"},
    {0},
};

/* a: whether each side comes transposed */
static const struct check_attributes sides[] = {
    {"plain", {0, 0}},
    {"transpose_a", {1, 0}},
    {"transpose_b", {0, 1}},
    {"transpose_a,transpose_b", {1, 1}},
    {0},
};

static void matmul(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_matmul_params how = {.transpose_a = c->a[0], .transpose_b = c->a[1]};
    const kiln_tensor a =
        check_operand(c, c->a[0] ? KILN_SHAPE(n[0], n[2], n[1]) : KILN_SHAPE(n[0], n[1], n[2]));
    const kiln_tensor b =
        check_operand(c, c->a[1] ? KILN_SHAPE(n[0], n[3], n[2]) : KILN_SHAPE(n[0], n[2], n[3]));

    check_result(c, kiln_matmul(c->g, a, b, &how));
}

/* rows, features, units */
static const struct check_shape layers[] = {
    {"1x1x1", "one number"},
    {"33x50x17", "primes and one past a tile"},
    {"128x400x120", "LeNet's"},
    {"1x512x10", "one row"},
    {"64x64x64", "whole tiles"},
    {"300x3x2", "many rows"},
    {"7x2000x5", "long sums"},
    {"0x8x4", "no rows"},
    {0},
};

static void dense(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, KILN_SHAPE(c->n[0], c->n[1]));
    const kiln_nn_dense_params how = {.units = (int)c->n[2]};

    check_result(c, kiln_tanh(c->g, kiln_nn_dense(c->g, x, &how)));
}

const struct check_op check_matmul[] = {
    {.name = "matmul", .types = CHECK_REALS, .shapes = shapes, .attributes = sides, .build = matmul},
    {.name = "dense", .types = CHECK_REALS, .shapes = layers, .build = dense},
    {0},
};
