/* cases_normalize.c - normalization of rows, of groups of channels, of vectors, and across channels. */
#include "check/families.h"

#include <kiln/norm.h>

/* Three axes. */
static const struct check_shape rows[] = {
    {"1x1x2", "two numbers"},
    {"3x5x10", "short rows"},
    {"2x3x65", "one past the lanes"},
    {"7x11x13", "primes"},
    {"2x2x1000", "columns that lanes do not divide"},
    {"67x5x64", "many rows"},
    {"1x2x5003", "long rows"},
    {"0x3x5", "no rows"},
    {"3x130x4", "more rows than lanes"},
    {0},
};

/* a: the first axis of a row; whether there is a scale, and a bias */
static const struct check_attributes affine[] = {
    {"axis=-1", {-1}},
    {"axis=-1,scale", {-1, 1}},
    {"axis=-1,scale,bias", {-1, 1, 1}},
    {"axis=1,scale,bias", {1, 1, 1}},
    {0},
};

/* What a scale or a bias of the rows is, where the attribute wants one. */
static kiln_tensor row_operand(struct check_graph *c, bool wanted)
{
    const int axis = (int)(c->a[0] < 0 ? c->a[0] + 3 : c->a[0]);
    return wanted ? check_real(c, kiln_shape_of(3 - axis, c->n + axis)) : KILN_NONE;
}

static void layer_norm(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c)), scale = row_operand(c, c->a[1]);
    check_result(c, kiln_layer_norm(c->g, x, (int)c->a[0], scale, row_operand(c, c->a[2]), 0));
}

static bool without_bias(const struct check_case *one)
{
    return !one->a[2] || one->a[0] == 1; /* which then is only the axis of two */
}

static void rms_norm(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    check_result(c, kiln_rms_norm(c->g, x, (int)c->a[0], row_operand(c, c->a[1]), 0));
}

static const struct check_attributes axes[] = {{"axis=0", {0}}, {"axis=1", {1}}, {"axis=-1", {-1}}, {0}};

/* Of a lone value's gradient nothing is left but roundings. */
static bool is_longer(const struct check_case *one)
{
    return one->n[one->a[0] < 0 ? 2 : one->a[0]] > 1;
}

static void l2_normalize(struct check_graph *c)
{
    check_result(c, kiln_l2_normalize(c->g, check_operand(c, check_shape_of(c)), (int)c->a[0], 0));
}

static void weight_norm(struct check_graph *c)
{
    const kiln_tensor v = check_operand(c, check_shape_of(c));
    check_result(c, kiln_weight_norm(c->g, v, check_real(c, KILN_SHAPE(c->n[0]))));
}

/* N, C, H, W */
static const struct check_shape images[] = {
    {"1x6x1x2", "pairs"},
    {"4x6x5x7", "primes"},
    {"2x12x1x65", "one past the lanes"},
    {"8x18x16x16", "channels that lanes do not divide"},
    {"70x6x2x2", "many images"},
    {"5x12x3x1", "three positions"},
    {"1x6x50x60", "large images"},
    {"0x6x2x2", "no images"},
    {0},
};

/* a: groups, 0 a channel each; whether there is a scale, and a bias */
static const struct check_attributes groups[] = {
    {"groups=1,scale,bias", {1, 1, 1}},
    {"groups=3", {3}},
    {"groups=3,scale", {3, 1}},
    {"groups=3,scale,bias", {3, 1, 1}},
    {0},
};
static const struct check_attributes channels[] = {{"plain", {0}}, {"scale,bias", {0, 1, 1}}, {0}};

static kiln_tensor channel_operand(struct check_graph *c, bool wanted)
{
    return wanted ? check_real(c, KILN_SHAPE(c->n[1])) : KILN_NONE;
}

static void group_norm(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c)), scale = channel_operand(c, c->a[1]);
    check_result(c, kiln_group_norm(c->g, x, (int)c->a[0], scale, channel_operand(c, c->a[2]), 0));
}

static void instance_norm(struct check_graph *c)
{
    const kiln_tensor x = check_operand(c, check_shape_of(c)), scale = channel_operand(c, c->a[1]);
    check_result(c, kiln_instance_norm(c->g, x, scale, channel_operand(c, c->a[2]), 0));
}

static const struct check_attributes over[] = {{"axes=0,2,3", {0, 2, 3}}, {"axes=1,2,3", {1, 2, 3}}, {0}};

static void mean_variance_norm(struct check_graph *c)
{
    const kiln_axes all = KILN_AXES((int)c->a[0], (int)c->a[1], (int)c->a[2]);
    check_result(c, kiln_mean_variance_norm(c->g, check_operand(c, check_shape_of(c)), all));
}

static const struct check_attributes windows[] = {
    {"size=1", {1}}, {"size=2", {2}}, {"size=5", {5}}, {"size=9", {9}}, {0}};

static void local_response_norm(struct check_graph *c)
{
    const kiln_local_response_norm_params p = {.size = (int)c->a[0], .alpha = 0.1};
    check_result(c, kiln_local_response_norm(c->g, check_operand(c, check_shape_of(c)), &p));
}

#define OP(name_, shapes_, attributes_, fits_)                                                              \
    {                                                                                                       \
        .name = #name_, .types = CHECK_REALS, .shapes = shapes_, .attributes = attributes_, .build = name_, \
        .fits = fits_, .low = -2, .high = 5                                                                 \
    }

const struct check_op check_normalize[] = {
    OP(layer_norm, rows, affine, NULL),
    OP(rms_norm, rows, affine, without_bias),
    OP(l2_normalize, rows, axes, is_longer),
    OP(weight_norm, rows, NULL, NULL),
    OP(group_norm, images, groups, NULL),
    OP(instance_norm, images, channels, NULL),
    OP(mean_variance_norm, images, over, NULL),
    OP(local_response_norm, images, windows, NULL),
    {0},
};
