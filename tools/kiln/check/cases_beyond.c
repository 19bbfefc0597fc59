/*
 * cases_beyond.c - each way of finding an element, once really beyond 65,535 workgroups an axis and 128 MiB a binding. What
 * KILN_LIMITS makes of small cases, these are: a grid in two axes, operands in windows. And products of so many results, though
 * of few terms, that a real GPU takes its largest tiles.
 */
#include "check/families.h"

/* An element a lane. */
static void beyond_flat(struct check_graph *c)
{
    check_add(c, kiln_relu(c->g, check_operand(c, check_shape_of(c))));
}

/* A workgroup a row. */
static void beyond_rows(struct check_graph *c)
{
    check_add(c, kiln_softmax(c->g, check_operand(c, check_shape_of(c)), -1));
}

/* Tiles of a batch: M, K, N. */
static void beyond_matmul(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor a = check_operand(c, KILN_SHAPE(n[0], n[1], n[2]));
    const kiln_tensor b = check_operand(c, KILN_SHAPE(n[0], n[2], n[3]));

    check_add(c, kiln_matmul(c->g, a, b, NULL));
}

/* Index arithmetic over three axes. */
static void beyond_strided(struct check_graph *c)
{
    const kiln_tensor a = check_operand(c, KILN_SHAPE(c->n[0], 1, c->n[2]));
    const kiln_tensor b = check_operand(c, KILN_SHAPE(1, c->n[1], c->n[2]));

    check_add(c, kiln_add(c->g, a, b));
}

/* Strides of a whole matrix. */
static void beyond_transpose(struct check_graph *c)
{
    check_add(c, kiln_transpose(c->g, check_operand(c, check_shape_of(c)), (const int[]){0, 2, 1}));
}

static void tiles_matmul(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor a = check_operand(c, KILN_SHAPE(n[0], n[1], n[2]));
    const kiln_tensor b = check_operand(c, KILN_SHAPE(n[0], n[2], n[3]));

    check_result(c, kiln_matmul(c->g, a, b, NULL));
}

/* N, C, H, W; O, C, U, V. The gradient by filters is a product of its own. */
static void tiles_conv(struct check_graph *c)
{
    const int64_t *n = c->n;
    const kiln_tensor x = check_operand(c, KILN_SHAPE(n[0], n[1], n[2], n[3]));
    const kiln_tensor w = check_operand(c, KILN_SHAPE(n[4], n[5], n[6], n[7]));

    check_result(c, kiln_conv(c->g, x, w, KILN_NONE, NULL));
}

static const struct check_shape many_products[] = {{"128x128x3x128", "large tiles"}, {0}};
static const struct check_shape many_filters[] = {
    {"16x1x32x33,128x1x1x2", "large tiles of results"},
    {"1x4096x1x2,512x4096x1x1", "large tiles of filters"},
    {0},
};

#define BEYOND(way, sizes)                                                               \
    {                                                                                    \
        .name = #way, .types = CHECK_F32, .build = way, .large = true,                   \
        .shapes = (const struct check_shape[]){{sizes, "beyond grid and binding"}, {0}}, \
    }

const struct check_op check_beyond[] = {
    BEYOND(beyond_flat, "34000003"),
    BEYOND(beyond_rows, "66001x513"),
    BEYOND(beyond_matmul, "66001x24x9x23"),
    BEYOND(beyond_strided, "640x54x1001"),
    BEYOND(beyond_transpose, "3x3391x3361"),
    {.name = "tiles_matmul",
     .types = CHECK_REALS,
     .shapes = many_products,
     .build = tiles_matmul,
     .large = true},
    {.name = "tiles_conv", .types = CHECK_REALS, .shapes = many_filters, .build = tiles_conv, .large = true},
    {0},
};
