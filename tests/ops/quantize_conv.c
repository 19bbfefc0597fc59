/* quantize_conv.c - convolution of small integers: naive sums, ONNX's examples, every device alike. */
#include <stdlib.h>

#include "support/support.h"

static kiln_tensor whole(kiln_graph *g, kiln_type type, kiln_shape shape, const int32_t *values)
{
    const kiln_array array = {.type = KILN_I32, .shape = shape, .data = (void *)(uintptr_t)values};
    return kiln_cast(g, kiln_constant(g, &array), type);
}

static void expect_whole(const kiln_graph *g, kiln_tensor y, const kiln_array *in, const int64_t *want,
                         int count, const char *why)
{
    int64_t *got = malloc((size_t)(count + 1) * sizeof *got);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_test_run(g, y, kiln_test_device(d), in, got);
        for (int i = 0; i < count; i++)
            cr_assert_eq(got[i], want[i], "%s on %s: element %d is %lld, wanted %lld", why,
                         kiln_test_device(d), i, (long long)got[i], (long long)want[i]);
    }
    free(got);
}

static const struct conv_case {
    int axes, x[5], w[5]; /* x [N, C, sizes], w [O, C / groups, sizes] */
    kiln_conv_params how;
    kiln_type x_type, w_type;
    int x_zeros, w_zeros; /* 0: none, 1: one, 2: a vector */
    bool constant_w;
    const char *why;
} cases[] = {
    {2, {1, 1, 1, 1}, {1, 1, 1, 1}, {{0}}, KILN_I8, KILN_I8, 0, 0, false, "one number"},
    {2, {2, 3, 7, 8}, {5, 3, 3, 2}, {{0}}, KILN_U8, KILN_I8, 1, 0, true, "primes, three channels of a word"},
    {2,
     {1, 4, 6, 6},
     {8, 4, 3, 3},
     {.pad = {{1, 1}, {1, 1}}},
     KILN_U8,
     KILN_U8,
     1,
     1,
     false,
     "padding is the zero point"},
    {2,
     {1, 5, 6, 6},
     {3, 5, 3, 3},
     {.pad = {{1, 0}, {2, 1}}},
     KILN_I8,
     KILN_U8,
     1,
     2,
     false,
     "padding, five channels"},
    {2,
     {2, 6, 9, 7},
     {4, 3, 3, 3},
     {.groups = 2, .stride = {2, 1}, .pad = {{1, 1}, {0, 0}}},
     KILN_U8,
     KILN_I8,
     1,
     2,
     true,
     "groups"},
    {2, {1, 8, 10, 10}, {65, 8, 1, 1}, {{0}}, KILN_U8, KILN_I8, 1, 2, false, "one past a tile of filters"},
    {2, {3, 2, 12, 12}, {4, 2, 3, 3}, {.dilation = {2, 3}}, KILN_I8, KILN_I8, 0, 2, false, "dilation"},
    {2, {1, 130, 5, 5}, {3, 130, 3, 3}, {.same = KILN_SAME_UPPER}, KILN_U8, KILN_I8, 1, 1, true, "long sums"},
    {2,
     {2, 4, 8, 8},
     {4, 1, 3, 3},
     {.groups = 4, .same = KILN_SAME_LOWER},
     KILN_U8,
     KILN_U8,
     0,
     0,
     false,
     "a channel a group"},
    {1, {3, 7, 20}, {5, 7, 4}, {.stride = {2}, .pad = {{3, 1}}}, KILN_U8, KILN_I8, 1, 2, false, "one axis"},
    {3,
     {1, 3, 4, 5, 6},
     {2, 3, 2, 3, 2},
     {.pad = {{1, 1}, {1, 0}, {0, 1}}},
     KILN_U8,
     KILN_U8,
     1,
     1,
     false,
     "three axes"},
    {2, {0, 3, 5, 5}, {2, 3, 3, 3}, {{0}}, KILN_I8, KILN_I8, 1, 1, false, "no images"},
};

static void draw(int32_t *values, size_t count, kiln_type type, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (int32_t)(seed >> 24) - (type == KILN_I8 ? 128 : 0);
    }
}

/* Sizes as three axes, the first ones 1 where there are fewer; of params likewise. */
struct sizes {
    int64_t n, c, o, groups, x[3], w[3], y[3], stride[3], pad[3], dilation[3];
};

static struct sizes sizes_of(const struct conv_case *c, const kiln_shape *y)
{
    struct sizes s = {.n = c->x[0], .c = c->w[1], .o = c->w[0], .groups = c->how.groups ? c->how.groups : 1};
    for (int i = 0; i < 3; i++) {
        const int from = i - (3 - c->axes);
        s.x[i] = s.w[i] = s.y[i] = s.stride[i] = s.dilation[i] = 1;
        if (from < 0)
            continue;
        s.x[i] = c->x[2 + from];
        s.w[i] = c->w[2 + from];
        s.y[i] = y->size[2 + from];
        s.stride[i] = c->how.stride[from] ? c->how.stride[from] : 1;
        s.dilation[i] = c->how.dilation[from] ? c->how.dilation[from] : 1;
        const int64_t reach = (s.y[i] - 1) * s.stride[i] + (s.w[i] - 1) * s.dilation[i] + 1 - s.x[i];
        const int64_t around = reach > 0 ? reach : 0;
        s.pad[i] = c->how.same == KILN_SAME_NOT     ? c->how.pad[from][0]
                   : c->how.same == KILN_SAME_UPPER ? around / 2
                                                    : around - around / 2;
    }
    return s;
}

/* One result: image n, filter o, place q. */
static int64_t result(const struct sizes *s, const int32_t *x, const int32_t *w, const int32_t *zeros,
                      int64_t n, int64_t o, const int64_t q[3])
{
    const int64_t group = o / (s->o / s->groups), taps = s->w[0] * s->w[1] * s->w[2];
    int64_t sum = 0;
    for (int64_t k = 0; k < s->c * taps; k++) {
        const int64_t c = k / taps,
                      tap[3] = {k % taps / s->w[2] / s->w[1], k % taps / s->w[2] % s->w[1], k % s->w[2]};
        int64_t at = n * s->c * s->groups + group * s->c + c;
        bool inside = true;
        for (int i = 0; i < 3; i++) {
            const int64_t p = q[i] * s->stride[i] - s->pad[i] + tap[i] * s->dilation[i];
            inside &= p >= 0 && p < s->x[i];
            at = at * s->x[i] + p;
        }
        if (inside)
            sum += (int64_t)(x[at] - zeros[0]) * (w[o * s->c * taps + k] - zeros[1]);
    }
    return sum;
}

static void naive(const struct sizes *s, const struct conv_case *c, const int32_t *x, const int32_t *w,
                  int32_t x_zero, const int32_t *w_zero, int64_t *y)
{
    const int64_t volume = s->y[0] * s->y[1] * s->y[2];
    for (int64_t i = 0; i < s->n * s->o * volume; i++) {
        const int64_t o = i / volume % s->o,
                      q[3] = {i % volume / s->y[2] / s->y[1], i % volume / s->y[2] % s->y[1], i % s->y[2]};
        const int32_t zeros[2] = {c->x_zeros ? x_zero : 0, c->w_zeros ? w_zero[c->w_zeros == 2 ? o : 0] : 0};
        y[i] = result(s, x, w, zeros, i / volume / s->o, o, q);
    }
}

static void expect_convolution(const struct conv_case *c)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_shape x_shape = {.rank = c->axes + 2}, w_shape = x_shape;
    for (int i = 0; i < x_shape.rank; i++) {
        x_shape.size[i] = c->x[i];
        w_shape.size[i] = c->w[i];
    }
    const size_t x_count = (size_t)kiln_shape_count(&x_shape), w_count = (size_t)kiln_shape_count(&w_shape);
    int32_t *x = malloc((x_count + 1) * sizeof *x), *w = malloc(w_count * sizeof *w), x_zero, w_zero[256];
    draw(x, x_count, c->x_type, 3);
    draw(w, w_count, c->w_type, 4);
    draw(&x_zero, 1, c->x_type, 5);
    draw(w_zero, 256, c->w_type, 6);

    const kiln_tensor in_x = kiln_input(g, "x", c->x_type, x_shape);
    const kiln_tensor in_w =
        c->constant_w ? whole(g, c->w_type, w_shape, w) : kiln_input(g, "w", c->w_type, w_shape);
    const kiln_tensor zx = c->x_zeros ? whole(g, c->x_type, KILN_SCALAR, &x_zero) : KILN_NONE;
    const kiln_shape per_filter = c->w_zeros == 2 ? KILN_SHAPE(c->w[0]) : KILN_SCALAR;
    const kiln_tensor zw = c->w_zeros ? whole(g, c->w_type, per_filter, w_zero) : KILN_NONE;
    const kiln_tensor y = kiln_conv_integer(g, in_x, in_w, zx, zw, &c->how);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s: %s", c->why, kiln_graph_error(g));

    const kiln_shape y_shape = kiln_tensor_shape(g, y);
    const struct sizes s = sizes_of(c, &y_shape);
    const int count = (int)kiln_shape_count(&y_shape);
    int64_t *want = malloc((size_t)(count + 1) * sizeof *want);
    naive(&s, c, x, w, x_zero, w_zero, want);
    const kiln_array in[] = {{.type = KILN_I32, .shape = x_shape, .data = x},
                             {.type = KILN_I32, .shape = w_shape, .data = w}};
    expect_whole(g, y, in, want, count, c->why);
    free(x);
    free(w);
    free(want);
    kiln_graph_destroy(&g);
}

Test(quantize_conv, sums_are_exact)
{
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        expect_convolution(&cases[i]);
}

/* The examples of ONNX's ConvInteger. */
Test(quantize_conv, known_values)
{
    const int32_t x[] = {2, 3, 4, 5, 6, 7, 8, 9, 10}, ones[] = {1, 1, 1, 1}, one = 1;
    const int64_t plain[] = {12, 16, 24, 28},
                  padded[] = {1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9};
    for (int pad = 0; pad < 2; pad++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_conv_params how = {.pad = {{pad, pad}, {pad, pad}}};
        const kiln_tensor y = kiln_conv_integer(g, kiln_input(g, "x", KILN_U8, KILN_SHAPE(1, 1, 3, 3)),
                                                whole(g, KILN_U8, KILN_SHAPE(1, 1, 2, 2), ones),
                                                whole(g, KILN_U8, KILN_SCALAR, &one), KILN_NONE, &how);
        const kiln_array in = {.type = KILN_I32,
                               .shape = KILN_SHAPE(1, 1, 3, 3),
                               .data = (void *)(uintptr_t)x};
        expect_whole(g, y, &in, pad ? padded : plain, pad ? 16 : 4, "ConvInteger");
        kiln_graph_destroy(&g);
    }
}

/* That of QLinearConv turns each number to its opposite; here with a bias of 3 as well, worth
 * 3 * 0.00369 * 0.00173 / 0.00163, which is less than half a step. */
Test(quantize_conv, known_values_of_quantized_ones)
{
    int32_t x[49], zero = 0, bias = 3;
    int64_t want[49];
    for (int i = 0; i < 49; i++) {
        x[i] = i * 37 % 256;
        want[i] = 255 - x[i];
    }
    for (int with_bias = 0; with_bias < 2; with_bias++) {
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_quantized in = {kiln_input(g, "x", KILN_U8, KILN_SHAPE(1, 1, 7, 7)),
                                   kiln_scalar(g, KILN_F32, 0.00369204697), kiln_scalar(g, KILN_U8, 132)};
        const kiln_quantized w = {whole(g, KILN_U8, KILN_SHAPE(1, 1, 1, 1), &zero),
                                  kiln_scalar(g, KILN_F32, 0.00172794575), kiln_scalar(g, KILN_U8, 255)};
        const kiln_tensor b = with_bias ? whole(g, KILN_I32, KILN_SHAPE(1), &bias) : KILN_NONE;
        const kiln_tensor y = kiln_conv_quantized(g, in, w, b, kiln_scalar(g, KILN_F32, 0.00162681262),
                                                  kiln_scalar(g, KILN_U8, 123), KILN_U8, NULL);
        const kiln_array array = {.type = KILN_I32, .shape = KILN_SHAPE(1, 1, 7, 7), .data = x};
        expect_whole(g, y, &array, want, 49, with_bias ? "QLinearConv and a bias" : "QLinearConv");
        kiln_graph_destroy(&g);
    }
}

/* Scales of each filter, and a bias that counts. */
Test(quantize_conv, each_filter_has_its_scale_and_bias)
{
    const int32_t x[] = {10, -20, 30}, w[] = {2, -4, 100}, bias[] = {100, 0, -500};
    const float scale[] = {0.5f, 2, 0.25f};
    const int64_t want[] = {60, 30, 80, -80, 127, -128, 125, -128, 127}; /* (x w + bias) scale, saturated */
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_quantized in = {kiln_input(g, "x", KILN_I8, KILN_SHAPE(1, 1, 3)), kiln_scalar(g, KILN_F32, 1),
                               KILN_NONE};
    const kiln_quantized filters = {
        whole(g, KILN_I8, KILN_SHAPE(3, 1, 1), w),
        kiln_constant(g, &(kiln_array){.shape = KILN_SHAPE(3), .data = (void *)(uintptr_t)scale}), KILN_NONE};
    const kiln_tensor y = kiln_conv_quantized(g, in, filters, whole(g, KILN_I32, KILN_SHAPE(3), bias),
                                              kiln_scalar(g, KILN_F32, 1), KILN_NONE, KILN_I8, NULL);
    const kiln_array array = {.type = KILN_I32, .shape = KILN_SHAPE(1, 1, 3), .data = (void *)(uintptr_t)x};
    expect_whole(g, y, &array, want, 9, "filters");
    kiln_graph_destroy(&g);
}
