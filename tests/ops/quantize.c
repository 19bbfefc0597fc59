/* quantize.c - reals as small integers and back, products of them: known values, naive sums, every device alike. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static kiln_graph *new_graph(void)
{
    kiln_graph *g = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    return g;
}

/* A constant of the type from whole numbers; NULL: none. */
static kiln_tensor whole(kiln_graph *g, kiln_type type, kiln_shape shape, const int32_t *values)
{
    if (!values)
        return KILN_NONE;
    const kiln_array array = {.type = KILN_I32, .shape = shape, .data = (void *)(uintptr_t)values};
    return kiln_cast(g, kiln_constant(g, &array), type);
}

static kiln_tensor reals(kiln_graph *g, kiln_shape shape, const float *values)
{
    return kiln_constant(g, &(kiln_array){.shape = shape, .data = (void *)(uintptr_t)values});
}

/* What an input of the graph is given, and what should come out on every device. */
static void expect_whole(kiln_graph *g, kiln_tensor y, const kiln_array *in, const int64_t *want, int count,
                         const char *why)
{
    int64_t *got = malloc((size_t)count * sizeof *got);
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_test_run(g, y, kiln_test_device(d), in, got);
        for (int i = 0; i < count; i++)
            cr_assert_eq(got[i], want[i], "%s on %s: element %d is %lld, wanted %lld", why,
                         kiln_test_device(d), i, (long long)got[i], (long long)want[i]);
    }
    free(got);
    kiln_graph_destroy(&g);
}

/* To integers and back ------------------------------------------------------------------------------------ */

/* The examples of ONNX's QuantizeLinear. */
Test(quantize, rounds_to_even_and_saturates)
{
    const float x[] = {0, 2, 3, 1000, -254, -1000, 1, -1, NAN};
    const int64_t want[] = {128, 129, 130, 255, 1, 0, 128, 128, 0};
    kiln_graph *g = new_graph();
    const kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(9));
    const kiln_tensor y =
        kiln_quantize(g, in, reals(g, KILN_SCALAR, (const float[]){2}),
                      whole(g, KILN_U8, KILN_SCALAR, (const int32_t[]){128}), KILN_U8, NULL);
    expect_whole(g, y, &(kiln_array){.shape = KILN_SHAPE(9), .data = (void *)(uintptr_t)x}, want, 9,
                 "one scale");
}

Test(quantize, along_an_axis)
{
    const float x[] = {-162, 10, -100, 232, -20,  -50,  -76,  0,    0,
                       252,  32, -44,  245, -485, -960, -270, -375, -470};
    const int64_t want[] = {3, 89, 34, 200, 74, 59, 5, 24, 24, 87, 32, 13, 245, 99, 4, 142, 121, 102};
    kiln_graph *g = new_graph();
    const kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(1, 3, 3, 2));
    const kiln_tensor y = kiln_quantize(g, in, reals(g, KILN_SHAPE(3), (const float[]){2, 4, 5}),
                                        whole(g, KILN_U8, KILN_SHAPE(3), (const int32_t[]){84, 24, 196}),
                                        KILN_U8, &(kiln_quantize_params){.axis = 1});
    expect_whole(g, y, &(kiln_array){.shape = KILN_SHAPE(1, 3, 3, 2), .data = (void *)(uintptr_t)x}, want, 18,
                 "an axis");
}

/* Blocks of two along an axis of five: the last one holds one. */
Test(quantize, in_blocks_and_back)
{
    const float x[] = {1, 2, 3, 4, 5, 10, 20, 30, 40, 50}, scale[] = {1, 0.5f, 0.25f, 10, 5, 2};
    const int32_t zero[] = {0, 1, 2, 3, -4, -5};
    const int64_t want[] = {1, 2, 7, 9, 22, 4, 5, 2, 4, 20};
    for (int d = 0; kiln_test_device(d); d++) {
        int64_t got[10];
        double back[10];
        kiln_graph *g = new_graph();
        const kiln_quantize_params how = {.axis = -1, .block = 2};
        const kiln_tensor s = reals(g, KILN_SHAPE(2, 3), scale),
                          z = whole(g, KILN_I16, KILN_SHAPE(2, 3), zero);
        const kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 5));
        const kiln_tensor q = kiln_quantize(g, in, s, z, KILN_I16, &how),
                          y = kiln_dequantize(g, q, s, z, &how);
        const kiln_array array = {.shape = KILN_SHAPE(2, 5), .data = (void *)(uintptr_t)x};
        kiln_test_run(g, q, kiln_test_device(d), &array, got);
        kiln_test_run(g, y, kiln_test_device(d), &array, back);
        for (int i = 0; i < 10; i++) {
            const int block = i / 5 * 3 + i % 5 / 2;
            cr_expect_eq(got[i], want[i], "%s: element %d is %lld", kiln_test_device(d), i,
                         (long long)got[i]);
            cr_expect_eq(back[i], ((double)want[i] - zero[block]) * (double)scale[block],
                         "%s: element %d is %g back", kiln_test_device(d), i, back[i]);
        }
        kiln_graph_destroy(&g);
    }
}

/* What 8 bits cannot hold in between: a difference of bytes, a sum of 32 bits. */
Test(quantize, back_to_reals_from_any_integer)
{
    static const struct {
        kiln_type type;
        int32_t x, zero;
        double want;
    } cases[] = {
        {KILN_I8, -128, 127, -127.5},  {KILN_U8, 0, 255, -127.5},        {KILN_I16, 32767, -32768, 32767.5},
        {KILN_U16, 65535, 0, 32767.5}, {KILN_I32, 16777216, 2, 8388607}, {KILN_I32, -5, 0, -2.5},
    };
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        for (int d = 0; kiln_test_device(d); d++) {
            double got;
            kiln_graph *g = new_graph();
            const kiln_tensor x = kiln_input(g, "x", cases[i].type, KILN_SHAPE(1));
            const kiln_tensor y = kiln_dequantize(g, x, reals(g, KILN_SCALAR, (const float[]){0.5f}),
                                                  whole(g, cases[i].type, KILN_SCALAR, &cases[i].zero), NULL);
            int32_t value = cases[i].x;
            kiln_test_run(g, y, kiln_test_device(d),
                          &(kiln_array){.type = KILN_I32, .shape = KILN_SHAPE(1), .data = &value}, &got);
            cr_expect_eq(got, cases[i].want, "case %zu on %s: %g", i, kiln_test_device(d), got);
            kiln_graph_destroy(&g);
        }
}

static kiln_tensor dequantized(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor x = kiln_cast(g, kiln_test_index(g, KILN_SHAPE(4, 3), 200), KILN_U8);
    return kiln_dequantize(g, x, kiln_test_input(g, KILN_SHAPE(3)), KILN_NONE,
                           &(kiln_quantize_params){.axis = 1});
}

Test(quantize, the_gradient_flows_to_the_scale)
{
    kiln_expect_gradient(dequantized, NULL, "scale");
    kiln_expect_devices_agree(dequantized, NULL, true, 0, "scale");
}

/* The examples of ONNX's DynamicQuantizeLinear, and what is nothing but zeros. */
Test(quantize, by_the_range_that_values_have)
{
    static const struct {
        float x[6];
        double scale;
        int64_t zero, want[6];
    } cases[] = {
        {{0, 2, -3, -2.5f, 1.34f, 0.5f}, 5 / 255.0, 153, {153, 255, 0, 26, 221, 179}},
        {{1, 2.1f, 1.3f, 2.5f, 3.34f, 4}, 4 / 255.0, 0, {64, 134, 83, 159, 213, 255}},
        {{0}, 0, 0, {0}},
    };
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        for (int d = 0; kiln_test_device(d); d++) {
            int64_t got[6], zero;
            double scale;
            kiln_graph *g = new_graph();
            const kiln_quantized q =
                kiln_quantize_dynamic(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(6)), KILN_U8, NULL);
            const kiln_array in = {.shape = KILN_SHAPE(6), .data = (void *)(uintptr_t)cases[i].x};
            kiln_test_run(g, q.values, kiln_test_device(d), &in, got);
            kiln_test_run(g, q.scale, kiln_test_device(d), &in, &scale);
            kiln_test_run(g, q.zero, kiln_test_device(d), &in, &zero);
            cr_expect(fabs(scale - cases[i].scale) <= 1e-8 && zero == cases[i].zero,
                      "case %zu on %s: %g, %lld", i, kiln_test_device(d), scale, (long long)zero);
            for (int k = 0; k < 6; k++)
                cr_expect_eq(got[k], cases[i].want[k], "case %zu on %s: element %d is %lld", i,
                             kiln_test_device(d), k, (long long)got[k]);
            kiln_graph_destroy(&g);
        }
}

Test(quantize, by_the_range_of_each_row)
{
    const float x[] = {1, -2, 0.5f, 100, 50, -127};
    const int64_t want[] = {64, -127, 32, 100, 50, -127};
    kiln_graph *g = new_graph();
    const kiln_axes columns = KILN_AXES(1);
    const kiln_quantized q =
        kiln_quantize_dynamic(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(2, 3)), KILN_I8, &columns);
    cr_expect_eq(q.zero.id, 0);
    expect_whole(g, q.values, &(kiln_array){.shape = KILN_SHAPE(2, 3), .data = (void *)(uintptr_t)x}, want, 6,
                 "rows");
}

/* Products ------------------------------------------------------------------------------------------------ */

static const struct product_case {
    int batch_a, batch_b, m, k, n;
    kiln_type a, b;
    int a_zeros, b_zeros; /* 0: none, 1: one, 2: a vector */
    bool transpose_a, transpose_b, constant_b;
    const char *why;
} products[] = {
    {1, 1, 1, 1, 1, KILN_I8, KILN_I8, 0, 0, false, false, false, "one number"},
    {1, 1, 3, 5, 7, KILN_U8, KILN_I8, 1, 0, false, false, false, "primes, a zero point of a"},
    {1, 1, 4, 8, 4, KILN_I8, KILN_U8, 0, 1, false, false, false, "whole words, a zero point of b"},
    {1, 1, 65, 67, 66, KILN_U8, KILN_U8, 1, 1, false, false, false, "one past a tile"},
    {1, 1, 9, 130, 70, KILN_I8, KILN_I8, 2, 2, false, false, false, "zero points by row and by column"},
    {1, 1, 64, 64, 128, KILN_U8, KILN_I8, 2, 1, false, true, true, "whole tiles, weights in rows"},
    {1, 1, 17, 33, 5, KILN_U8, KILN_U8, 0, 2, true, false, true,
     "a transposed, no zero point of unsigned bytes"},
    {1, 1, 2, 1029, 3, KILN_I8, KILN_I8, 1, 1, true, true, false, "a long sum, both transposed"},
    {3, 3, 5, 6, 7, KILN_U8, KILN_I8, 1, 2, false, false, false, "batches"},
    {4, 1, 5, 9, 6, KILN_I8, KILN_U8, 1, 0, false, false, true, "one b for all batches"},
    {4, 1, 5, 9, 6, KILN_I8, KILN_U8, 2, 0, false, false, false, "one b, zero points by row"},
    {1, 3, 2, 4, 6, KILN_U8, KILN_I8, 0, 0, false, true, false, "one a for all batches"},
    {1, 1, 2, 0, 3, KILN_I8, KILN_I8, 1, 1, false, false, false, "a sum over nothing"},
    {1, 1, 300, 40, 1, KILN_U8, KILN_I8, 1, 0, false, false, false, "a column"},
    {1, 1, 1, 300, 200, KILN_U8, KILN_I8, 1, 2, false, false, true, "a row"},
};

/* All numbers of the type. */
static void draw(int32_t *values, size_t count, kiln_type type, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (int32_t)(seed >> 24) - (type == KILN_I8 ? 128 : 0);
    }
}

struct operand {
    int32_t *values, *zero; /* of a: [batch, m, k] or [batch, k, m]; of b: [batch, k, n] or [batch, n, k] */
    kiln_shape shape;
    int zeros;
};

static struct operand make_operand(int batch, int rows, int depth, bool depth_first, kiln_type type,
                                   int zeros, uint32_t seed)
{
    const size_t count = (size_t)(batch * rows * depth);
    struct operand o = {.zeros = zeros == 2 ? rows : zeros};
    o.shape = depth_first ? KILN_SHAPE(batch, depth, rows) : KILN_SHAPE(batch, rows, depth);
    o.values = malloc((count + 1) * sizeof *o.values);
    o.zero = malloc((size_t)(rows + 1) * sizeof *o.zero);
    draw(o.values, count, type, seed);
    draw(o.zero, (size_t)rows, type, seed + 1);
    return o;
}

static int32_t at(const struct operand *o, bool depth_first, int batch, int rows, int depth, int row, int k)
{
    const int b = o->shape.size[0] == 1 ? 0 : batch;
    const int32_t zero = o->zeros ? o->zero[o->zeros > 1 ? row : 0] : 0;
    return o->values[(b * rows + (depth_first ? 0 : row)) * depth + (depth_first ? k * rows + row : k)] -
           zero;
}

static void naive(const struct product_case *c, const struct operand *a, const struct operand *b, int64_t *y)
{
    const int batch = c->batch_a > c->batch_b ? c->batch_a : c->batch_b;
    for (int i = 0; i < batch * c->m * c->n; i++) {
        const int n = i % c->n, m = i / c->n % c->m, at_batch = i / c->n / c->m;
        y[i] = 0;
        for (int k = 0; k < c->k; k++)
            y[i] += (int64_t)at(a, c->transpose_a, at_batch, c->m, c->k, m, k) *
                    at(b, !c->transpose_b, at_batch, c->n, c->k, n, k);
    }
}

static kiln_tensor zeros_of(kiln_graph *g, const struct operand *o, kiln_type type)
{
    const kiln_shape shape = o->zeros > 1 ? KILN_SHAPE(o->zeros) : KILN_SCALAR;
    return whole(g, type, shape, o->zeros ? o->zero : NULL);
}

static void expect_product(const struct product_case *c)
{
    struct operand a = make_operand(c->batch_a, c->m, c->k, c->transpose_a, c->a, c->a_zeros, 1);
    struct operand b = make_operand(c->batch_b, c->n, c->k, !c->transpose_b, c->b, c->b_zeros, 2);
    const int count = (c->batch_a > c->batch_b ? c->batch_a : c->batch_b) * c->m * c->n;
    int64_t *want = malloc((size_t)count * sizeof *want);
    naive(c, &a, &b, want);

    kiln_graph *g = new_graph();
    const kiln_array in[] = {{.type = KILN_I32, .shape = a.shape, .data = a.values},
                             {.type = KILN_I32, .shape = b.shape, .data = b.values}};
    const kiln_tensor x = kiln_input(g, "a", c->a, a.shape);
    const kiln_tensor w =
        c->constant_b ? whole(g, c->b, b.shape, b.values) : kiln_input(g, "b", c->b, b.shape);
    const kiln_matmul_params how = {.transpose_a = c->transpose_a, .transpose_b = c->transpose_b};
    const kiln_tensor y = kiln_matmul_integer(g, x, w, zeros_of(g, &a, c->a), zeros_of(g, &b, c->b), &how);
    expect_whole(g, y, in, want, count, c->why);
    free(a.values);
    free(a.zero);
    free(b.values);
    free(b.zero);
    free(want);
}

Test(quantize, products_are_exact)
{
    for (size_t i = 0; i < KILN_COUNT(products); i++)
        expect_product(&products[i]);
}

Test(quantize, vectors_are_rows_and_columns)
{
    const int32_t values[] = {1, -2, 3, 4, 100, -128, 127, -50};
    const int32_t one[] = {7, -3, 2, 5};
    const kiln_array in = {.type = KILN_I32, .shape = KILN_SHAPE(4), .data = (void *)(uintptr_t)one};
    const int64_t by_row[] = {7 + 6 + 6 + 20, 700 + 384 + 254 - 250}, by_itself[] = {49 + 9 + 4 + 25};
    for (int i = 0; i < 3; i++) {
        const bool first = i == 0, last = i == 1;
        kiln_graph *g = new_graph();
        const kiln_tensor x = kiln_input(g, "x", KILN_I8, KILN_SHAPE(4)),
                          w = whole(g, KILN_I8, KILN_SHAPE(2, 4), values);
        const kiln_matmul_params turned = {.transpose_b = true};
        const kiln_tensor y = first  ? kiln_matmul_integer(g, x, w, KILN_NONE, KILN_NONE, &turned)
                              : last ? kiln_matmul_integer(g, w, x, KILN_NONE, KILN_NONE, NULL)
                                     : kiln_matmul_integer(g, x, x, KILN_NONE, KILN_NONE, NULL);
        cr_expect_eq(kiln_tensor_shape(g, y).rank, i < 2);
        expect_whole(g, y, &in, i < 2 ? by_row : by_itself, i < 2 ? 2 : 1, "a vector");
    }
}

/* The example of ONNX's QLinearMatMul. */
Test(quantize, products_of_quantized_values)
{
    const int32_t a[] = {208, 236, 0, 238, 3, 214, 255, 29};
    const int32_t b[] = {152, 51, 244, 60, 26, 255, 0, 127, 246, 127, 254, 247};
    const int64_t want[] = {168, 115, 255, 1, 66, 151};
    kiln_graph *g = new_graph();
    const kiln_quantized x = {kiln_input(g, "a", KILN_U8, KILN_SHAPE(2, 4)),
                              reals(g, KILN_SHAPE(1), (const float[]){0.0066f}),
                              whole(g, KILN_U8, KILN_SHAPE(1), (const int32_t[]){113})};
    const kiln_quantized w = {whole(g, KILN_U8, KILN_SHAPE(4, 3), b),
                              reals(g, KILN_SHAPE(1), (const float[]){0.00705f}),
                              whole(g, KILN_U8, KILN_SHAPE(1), (const int32_t[]){114})};
    const kiln_tensor y =
        kiln_matmul_quantized(g, x, w, reals(g, KILN_SHAPE(1), (const float[]){0.0107f}),
                              whole(g, KILN_U8, KILN_SHAPE(1), (const int32_t[]){118}), KILN_U8, NULL);
    expect_whole(g, y,
                 &(kiln_array){.type = KILN_I32, .shape = KILN_SHAPE(2, 4), .data = (void *)(uintptr_t)a},
                 want, 6, "quantized");
}

Test(quantize, what_does_not_fit_fails_with_a_message)
{
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (int i = 0; i < 7; i++) {
        kiln_graph *g = new_graph();
        const kiln_tensor x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(3, 4)),
                          q = kiln_input(g, "q", KILN_I8, KILN_SHAPE(3, 4));
        const kiln_tensor scale = kiln_scalar(g, KILN_F32, 2), zero = kiln_scalar(g, KILN_U8, 2);
        if (i == 0)
            kiln_quantize(g, x, scale, zero, KILN_I8, NULL);
        else if (i == 1)
            kiln_quantize(g, x, scale, KILN_NONE, KILN_I32, NULL);
        else if (i == 2)
            kiln_dequantize(g, q, scale, zero, NULL);
        else if (i == 3)
            kiln_matmul_integer(g, q, kiln_input(g, "b", KILN_I8, KILN_SHAPE(4, 2)), zero, KILN_NONE, NULL);
        else if (i == 4)
            kiln_matmul_integer(g, q, q, KILN_NONE, KILN_NONE, NULL);
        else if (i == 5)
            kiln_matmul_integer(g, x, q, KILN_NONE, KILN_NONE, NULL);
        else
            kiln_quantize_dynamic(g, x, KILN_I16, NULL);
        cr_expect_neq(kiln_graph_status(g), KILN_OK, "case %d", i);
        kiln_graph_destroy(&g);
    }
}
