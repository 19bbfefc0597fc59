/* cases_quantize.c - reals as small integers, and products of them. Scales are powers of two, so that no division rounds. */
#include <kiln/extend.h>
#include <kiln/quantize.h>

#include "check/families.h"

enum { ONE, AXIS, BLOCKS };

/* Three axes, of which the second may have scales of its own. */
static const struct check_shape boxes[] = {
    {"1x1x1", "one number"},   {"5x7x11", "primes"},
    {"0x3x2", "empty"},        {"33x4x65", "one past a tile"},
    {"2x2x513", "long rows"},  {"1000x1x3", "many rows"},
    {"4x8x16", "whole words"}, {"1x257x1", "one past a block"},
    {"9x64x5", "odd rows"},    {0},
};

/* a: the type; where scales differ */
static const struct check_attributes to_integers[] = {
    {"to=i8", {KILN_I8, ONE}},
    {"to=u8", {KILN_U8, ONE}},
    {"to=i16", {KILN_I16, ONE}},
    {"to=u16", {KILN_U16, ONE}},
    {"to=u8,axis=1", {KILN_U8, AXIS}},
    {"to=i8,axis=1", {KILN_I8, AXIS}},
    {"to=u8,block=3", {KILN_U8, BLOCKS}},
    {0},
};

static const struct check_attributes scales[] = {
    {"one", {0, ONE}}, {"axis=1", {0, AXIS}}, {"block=3", {0, BLOCKS}}, {0}};

/* 1/8, or what differs along the second axis: 1/8, 1/4, ..., 2 and again. */
static kiln_tensor scale_of(struct check_graph *c, kiln_shape *shape)
{
    float values[5000];
    int64_t count = 1;

    *shape = c->a[1] == ONE    ? KILN_SCALAR
             : c->a[1] == AXIS ? KILN_SHAPE(c->n[1])
                               : KILN_SHAPE(c->n[0], (c->n[1] + 2) / 3, c->n[2]);
    count = kiln_shape_count(shape);
    for (int64_t i = 0; i < count && i < 5000; i++)
        values[i] = (float)(1 << i % 5) / 8;
    return kiln_constant(c->g, &(kiln_array){.shape = *shape, .data = values});
}

static kiln_quantize_params how(const struct check_graph *c)
{
    return (kiln_quantize_params){.axis = 1, .block = c->a[1] == BLOCKS ? 3 : 0};
}

static kiln_tensor zero_of(struct check_graph *c, kiln_type type, kiln_shape shape)
{
    return kiln_cast(c->g, check_whole(c, shape, type == KILN_I8 || type == KILN_I16 ? -9 : 0, 100), type);
}

/* Eighths, which halves hold: what is rounded to whole numbers must not depend on an earlier rounding. */
static kiln_tensor eighths(struct check_graph *c)
{
    const kiln_tensor x = kiln_cast(c->g, check_whole(c, check_shape_of(c), -800, 800), KILN_F32);
    return kiln_cast(c->g, kiln_scale(c->g, x, 0.125), c->type);
}

static void quantize(struct check_graph *c)
{
    const kiln_quantize_params p = how(c);
    const kiln_type type = (kiln_type)c->a[0];
    kiln_shape shape;
    const kiln_tensor x = eighths(c), scale = scale_of(c, &shape);

    check_result(c, kiln_quantize(c->g, x, scale, zero_of(c, type, shape), type, &p));
}

static void dequantize(struct check_graph *c)
{
    const kiln_quantize_params p = how(c);
    kiln_shape shape;
    const kiln_tensor x = check_operand(c, check_shape_of(c)), scale = scale_of(c, &shape);

    check_result(c, kiln_dequantize(c->g, x, scale, zero_of(c, c->type, shape), &p));
}

/* a: the type; 1: a range for each row */
static const struct check_attributes ranges[] = {
    {"to=u8", {KILN_U8, 0}},
    {"to=i8", {KILN_I8, 0}},
    {"to=u8,rows", {KILN_U8, 1}},
    {"to=i8,rows", {KILN_I8, 1}},
    {0},
};

static bool has_range(const struct check_case *one)
{
    return one->n[0] > 0;
}

/* The values depend on the last bit of a scale: they are compared as they were rounded, the scale within its bound. */
static void quantize_dynamic(struct check_graph *c)
{
    const kiln_axes rows = KILN_AXES(2);
    const kiln_tensor x = check_operand(c, check_shape_of(c));
    const kiln_quantized q = kiln_quantize_dynamic(c->g, x, (kiln_type)c->a[0], c->a[1] ? &rows : NULL);

    check_add(c, q.scale);
}

/* batch, M, K, N */
static const struct check_shape shapes[] = {
    {"1x1x1x1", "one number"},
    {"1x5x7x3", "smaller than any tile"},
    {"1x64x64x64", "exactly one tile"},
    {"1x65x129x67", "one past a tile"},
    {"3x17x31x13", "a batch of primes"},
    {"1x1x1000x1", "a long sum"},
    {"1x300x1x200", "an outer product"},
    {"1x1x200x150", "a vector"},
    {"2x0x3x4", "no rows"},
    {"2x3x0x4", "sums over nothing"},
    {0},
};

/* a: whether each side comes transposed; zero points of each: 0 none, 1 one, 2 a vector */
static const struct check_attributes sides[] = {
    {"plain", {0, 0, 0, 0}},
    {"zeros", {0, 0, 1, 1}},
    {"transpose_a,zero_a", {1, 0, 1, 0}},
    {"transpose_b,zero_b", {0, 1, 0, 1}},
    {"zeros=vectors", {0, 0, 2, 2}},
    {"other_sign", {0, 0, 1, 0, 1}},
    {0},
};

static kiln_type other_sign(kiln_type type)
{
    return type == KILN_I8 ? KILN_U8 : KILN_I8;
}

/* Operands of all values that 8 bits have. */
static kiln_tensor bytes(struct check_graph *c, kiln_type type, kiln_shape shape)
{
    const double low = type == KILN_I8 ? -128 : 0;
    const kiln_tensor x = check_whole(c, shape, low, low + 256);
    return kiln_cast(c->g, x, type);
}

static kiln_tensor zero_points(struct check_graph *c, kiln_type type, int64_t which, int64_t size)
{
    return which ? bytes(c, type, which == 2 ? KILN_SHAPE(size) : KILN_SCALAR) : KILN_NONE;
}

/* One scale, or one for each of count; of a result 32: then its units are 1024 of the integer product's, or 512, .. */
static kiln_tensor scale_for(struct check_graph *c, int64_t count)
{
    const float one[] = {0.125f, 0.25f, 0.125f, 0.0625f};
    float all[512];

    for (int64_t i = 0; i < count && i < 512; i++)
        all[i] = one[i % 4];
    const kiln_array scale = {.shape = count ? KILN_SHAPE(count) : KILN_SCALAR,
                              .data = count ? all : (void *)one};
    return kiln_constant(c->g, &scale);
}

static kiln_tensor unit(struct check_graph *c)
{
    return kiln_scalar(c->g, KILN_F32, 32);
}

/* Both sides of a product, and their zero points. */
static void matmul_operands(struct check_graph *c, kiln_quantized *x, kiln_quantized *y)
{
    const int64_t *n = c->n, *a = c->a;
    const kiln_type right = a[4] ? other_sign(c->type) : c->type;

    x->values = bytes(c, c->type, a[0] ? KILN_SHAPE(n[0], n[2], n[1]) : KILN_SHAPE(n[0], n[1], n[2]));
    y->values = bytes(c, right, a[1] ? KILN_SHAPE(n[0], n[3], n[2]) : KILN_SHAPE(n[0], n[2], n[3]));
    x->zero = zero_points(c, c->type, a[2], n[1]);
    y->zero = zero_points(c, right, a[3], n[3]);
    x->scale = scale_for(c, a[2] == 2 ? n[1] : 0);
    y->scale = scale_for(c, a[3] == 2 ? n[3] : 0);
}

static kiln_matmul_params product_of(const struct check_graph *c)
{
    return (kiln_matmul_params){.transpose_a = c->a[0], .transpose_b = c->a[1]};
}

static void matmul_integer(struct check_graph *c)
{
    const kiln_matmul_params p = product_of(c);
    kiln_quantized x, y;

    matmul_operands(c, &x, &y);
    check_result(c, kiln_matmul_integer(c->g, x.values, y.values, x.zero, y.zero, &p));
}

static void matmul_quantized(struct check_graph *c)
{
    const kiln_matmul_params p = product_of(c);
    kiln_quantized x, y;

    matmul_operands(c, &x, &y);
    check_result(c,
                 kiln_matmul_quantized(c->g, x, y, unit(c), zero_of(c, c->type, KILN_SCALAR), c->type, &p));
}

/* N, C, sizes; filters and their sizes */
static const struct check_shape pictures[] = {
    {"1x1x1x1,1x1x1", "one number"},
    {"2x3x7x8,5x3x2", "primes"},
    {"1x4x8x8,8x3x3", "whole words"},
    {"1x5x9x9,67x1x1", "one past a tile"},
    {"4x2x12x12,4x5x5", "many images"},
    {"1x130x4x4,2x3x3", "long sums"},
    {"1x8x1x200,2x1x7", "one row"},
    {"3x6x131,4x5", "one axis"},
    {"1x4x5x6x7,6x3x2x3", "three axes"},
    {"0x3x5x5,2x3x3", "no images"},
    {0},
};

/* a: stride; pad; dilation; zero points of x and w: 0 none, 1 one, 2 a vector; whether w has the other sign; groups */
static const struct check_attributes windows[] = {
    {"plain", {1, 0, 1, 0, 0, 0, 1}},
    {"pad=1,zeros", {1, 1, 1, 1, 1, 0, 1}},
    {"stride=2,zeros=vectors", {2, 0, 1, 1, 2, 0, 1}},
    {"dilation=2,pad=4,other_sign", {1, 4, 2, 1, 0, 1, 1}},
    {"groups=2,pad=1,zeros=vectors", {1, 1, 1, 1, 2, 0, 2}},
    {0},
};

static int axes_of(const struct check_case *one)
{
    return (one->sizes - 3) / 2;
}

static const int64_t *filters_of(const struct check_case *one)
{
    return &one->n[2 + axes_of(one)];
}

static bool window_fits(const struct check_case *one)
{
    const int64_t *filters = filters_of(one), groups = one->a[6];
    bool fits = one->n[1] % groups == 0 && filters[0] % groups == 0;

    for (int i = 0; i < axes_of(one) && fits; i++)
        fits = one->n[2 + i] + 2 * one->a[1] >= one->a[2] * (filters[1 + i] - 1) + 1;
    return fits;
}

static kiln_conv_params window_of(const struct check_graph *c)
{
    kiln_conv_params p = {.groups = (int)c->a[6]};

    for (int i = 0; i < axes_of(c->one); i++) {
        p.stride[i] = (int)c->a[0];
        p.pad[i][0] = p.pad[i][1] = (int)c->a[1];
        p.dilation[i] = (int)c->a[2];
    }
    return p;
}

/* x and w with their zero points. */
static void conv_operands(struct check_graph *c, kiln_quantized *x, kiln_quantized *w)
{
    const int64_t *filters = filters_of(c->one), *a = c->a;
    const int axes = axes_of(c->one);
    const kiln_type w_type = a[5] ? other_sign(c->type) : c->type;
    kiln_shape shape = {.rank = 2 + axes, .size = {filters[0], c->n[1] / a[6]}};

    for (int i = 0; i < axes; i++)
        shape.size[2 + i] = filters[1 + i];
    x->values = bytes(c, c->type, kiln_shape_of(2 + axes, c->n));
    w->values = bytes(c, w_type, shape);
    x->zero = zero_points(c, c->type, a[3], 1);
    w->zero = zero_points(c, w_type, a[4], filters[0]);
    x->scale = scale_for(c, 0);
    w->scale = scale_for(c, a[4] == 2 ? filters[0] : 0);
}

static void conv_integer(struct check_graph *c)
{
    const kiln_conv_params p = window_of(c);
    kiln_quantized x, w;

    conv_operands(c, &x, &w);
    check_result(c, kiln_conv_integer(c->g, x.values, w.values, x.zero, w.zero, &p));
}

static void conv_quantized(struct check_graph *c)
{
    const kiln_conv_params p = window_of(c);
    const kiln_tensor bias = check_whole(c, KILN_SHAPE(filters_of(c->one)[0]), -9000, 9000);
    kiln_quantized x, w;

    conv_operands(c, &x, &w);
    check_result(c, kiln_conv_quantized(c->g, x, w, bias, unit(c), zero_of(c, c->type, KILN_SCALAR), c->type,
                                        &p));
}

#define BYTES (CHECK_I8 | CHECK_U8)

const struct check_op check_quantize[] = {
    {.name = "quantize", .types = CHECK_REALS, .shapes = boxes, .attributes = to_integers, .build = quantize},
    {.name = "dequantize",
     .types = BYTES | CHECK_I16 | CHECK_U16 | CHECK_I32,
     .shapes = boxes,
     .attributes = scales,
     .build = dequantize},
    {.name = "quantize_dynamic",
     .types = CHECK_REALS,
     .shapes = boxes,
     .attributes = ranges,
     .fits = has_range,
     .build = quantize_dynamic},
    {.name = "matmul_integer",
     .types = BYTES,
     .shapes = shapes,
     .attributes = sides,
     .build = matmul_integer},
    {.name = "matmul_quantized",
     .types = BYTES,
     .shapes = shapes,
     .attributes = sides,
     .build = matmul_quantized},
    {.name = "conv_integer",
     .types = BYTES,
     .shapes = pictures,
     .attributes = windows,
     .fits = window_fits,
     .build = conv_integer},
    {.name = "conv_quantized",
     .types = BYTES,
     .shapes = pictures,
     .attributes = windows,
     .fits = window_fits,
     .build = conv_quantized},
    {0},
};
