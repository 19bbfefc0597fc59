/* cases_border.c - axes that go on beyond their ends, and channels as blocks of places. */
#include "check/families.h"

#define ANY (CHECK_REALS | CHECK_I32 | CHECK_I64 | CHECK_BOOL)

/* Two axes within others. */
static const struct check_shape shapes[] = {
    {"1x1x1x1", "one number"},
    {"2x3x5x7", "primes"},
    {"1x2x65x3", "rows past a group"},
    {"1x1x3x129", "one column past two groups"},
    {"3x2x64x64", "whole groups"},
    {"65x2x2x2", "many pictures"},
    {"1x3x40x61", "a large picture"},
    {"2x0x4x4", "no channels"},
    {0},
};

/* a: border, before and after along the last two axes */
static const struct check_attributes borders[] = {
    {"edge,1", {KILN_BORDER_EDGE, 1, 1, 1, 1}},
    {"edge,uneven", {KILN_BORDER_EDGE, 3, 0, 2, 5}},
    {"reflect,1", {KILN_BORDER_REFLECT, 1, 1, 1, 1}},
    {"reflect,uneven", {KILN_BORDER_REFLECT, 0, 4, 7, 2}},
    {"symmetric,uneven", {KILN_BORDER_SYMMETRIC, 2, 3, 0, 9}},
    {"wrap,uneven", {KILN_BORDER_WRAP, 5, 1, 3, 4}},
    {0},
};

static void pad_border(struct check_graph *c)
{
    const int64_t before[] = {0, 0, c->a[1], c->a[3]}, after[] = {0, 0, c->a[2], c->a[4]};
    const kiln_tensor x = check_operand(c, check_shape_of(c));

    check_result(c, kiln_pad_border(c->g, x, before, after, (kiln_border)c->a[0]));
}

/* Where a place beyond the ends lies, a step after the other. */
static int64_t inside(int64_t i, int64_t size, int64_t border)
{
    while (i < 0 || i >= size)
        switch (border) {
        case KILN_BORDER_EDGE:
            i += i < 0 ? 1 : -1;
            break;
        case KILN_BORDER_REFLECT:
            i = size == 1 ? 0 : i < 0 ? -i : 2 * (size - 1) - i;
            break;
        case KILN_BORDER_SYMMETRIC:
            i = i < 0 ? -1 - i : 2 * size - 1 - i;
            break;
        default:
            i += i < 0 ? size : -size;
        }
    return i;
}

static void expect_border(const struct check_case *one, const struct check_values *v, double *y)
{
    const double *x = kiln_type_is_real(one->type) ? v->real[0] : v->whole[0];
    const int64_t h = one->n[2], w = one->n[3], *a = one->a;

    for (int64_t plane = 0; plane < one->n[0] * one->n[1]; plane++, x += h * w)
        for (int64_t i = -a[1]; i < h + a[2]; i++)
            for (int64_t j = -a[3]; j < w + a[4]; j++)
                *y++ = x[inside(i, h, a[0]) * w + inside(j, w, a[0])];
}

/* N, C, H, W, block */
static const struct check_shape blocks[] = {
    {"1x1x1x1,1", "one number"},     {"2x3x5x7,2", "primes"},      {"1x2x3x5,3", "blocks of three"},
    {"1x1x16x16,4", "whole blocks"}, {"3x5x1x9,2", "one row"},     {"17x1x3x2,2", "many pictures"},
    {"1x33x4x5,2", "many channels"}, {"0x2x3x3,2", "no pictures"}, {0},
};

static void shuffled(struct check_graph *c, kiln_tensor (*call)(kiln_graph *g, kiln_tensor x, int size))
{
    const int64_t *n = c->n, block = n[4] * n[4];
    check_result(c, call(c->g, check_operand(c, KILN_SHAPE(n[0], n[1] * block, n[2], n[3])), (int)n[4]));
}

static void unshuffled(struct check_graph *c, kiln_tensor (*call)(kiln_graph *g, kiln_tensor x, int size))
{
    const int64_t *n = c->n;
    check_result(c,
                 call(c->g, check_operand(c, KILN_SHAPE(n[0], n[1], n[2] * n[4], n[3] * n[4])), (int)n[4]));
}

static void pixel_shuffle(struct check_graph *c)
{
    shuffled(c, kiln_pixel_shuffle);
}

static void depth_to_space(struct check_graph *c)
{
    shuffled(c, kiln_depth_to_space);
}

static void pixel_unshuffle(struct check_graph *c)
{
    unshuffled(c, kiln_pixel_unshuffle);
}

static void space_to_depth(struct check_graph *c)
{
    unshuffled(c, kiln_space_to_depth);
}

const struct check_op check_border[] = {
    {.name = "pad_border",
     .types = ANY,
     .shapes = shapes,
     .attributes = borders,
     .build = pad_border,
     .expect = expect_border},
    {.name = "pixel_shuffle", .types = CHECK_REALS, .shapes = blocks, .build = pixel_shuffle},
    {.name = "depth_to_space", .types = CHECK_REALS, .shapes = blocks, .build = depth_to_space},
    {.name = "pixel_unshuffle", .types = CHECK_REALS, .shapes = blocks, .build = pixel_unshuffle},
    {.name = "space_to_depth", .types = CHECK_REALS, .shapes = blocks, .build = space_to_depth},
    {0},
};
