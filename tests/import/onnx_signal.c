/*
 * onnx_signal.c - ONNX's Fourier transforms against their sums, of short and long sizes, with and without small factors; frames;
 * windows.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "onnx_text.h"
#include "support/support.h"

static const double pi = 3.14159265358979323846;

/* The value of place i, part k of what is transformed. */
static double value(int64_t i, int k, int parts)
{
    return k < parts ? (double)kiln_test_onnx_value(0, i * parts + k) : 0;
}

struct sum {
    double re, im;
};

/* sum over i < given of x[i] exp(sign 2 pi j i k / size) */
static struct sum sum_of(int64_t k, int64_t size, int64_t given, int parts, int sign)
{
    struct sum s = {0, 0};
    for (int64_t i = 0; i < given && i < size; i++) {
        const double angle = sign * 2 * pi * (double)(i * k % size) / (double)size;
        const double re = value(i, 0, parts), im = value(i, 1, parts);
        s.re += re * cos(angle) - im * sin(angle);
        s.im += re * sin(angle) + im * cos(angle);
    }
    return s;
}

/* The reals whose transform begins with the first size / 2 + 1 values: the others are their conjugates. */
static double real_of(int64_t k, int64_t size, int64_t given, int parts)
{
    double total = 0;
    for (int64_t i = 0; i <= size / 2 && i < given; i++) {
        const double angle = 2 * pi * (double)(i * k % size) / (double)size;
        const double once = value(i, 0, parts) * cos(angle) - value(i, 1, parts) * sin(angle);
        const bool alone = i == 0 || 2 * i == size;
        total += (alone ? 1 : 2) * (alone ? value(i, 0, parts) * cos(angle) : once);
    }
    return total / (double)size;
}

static const struct transform {
    int64_t given, size; /* places of x, and of the transform */
    int parts;
    bool inverse, half;
} transforms[] = {
    {1, 1, 1, false, false},      {2, 2, 2, false, false},     {7, 7, 2, false, false},
    {8, 8, 1, false, true},       {9, 9, 1, false, true},      {10, 10, 2, true, false},
    {6, 10, 2, true, true},       {5, 9, 2, true, true},       {5, 8, 1, false, false},
    {9, 4, 2, false, false},      {3, 8, 2, true, true},       {600, 600, 2, false, false},
    {600, 600, 1, false, true},   {521, 521, 1, false, false}, {521, 521, 2, true, false},
    {1042, 1042, 1, false, true}, {522, 1042, 2, true, true},  {4096, 4096, 2, true, false},
};

static void expect_transform(const struct transform *t, const char *device)
{
    char nodes[96], why[256];
    kiln_graph *g = NULL;
    const bool real = t->inverse && t->half;
    const int64_t places = t->half && !t->inverse ? t->size / 2 + 1 : t->size;
    const int64_t size = t->size, axis = 1;
    const kiln_array given[] = {{.data = (void *)(uintptr_t)&size, .type = KILN_I64},
                                {.data = (void *)(uintptr_t)&axis, .type = KILN_I64}};
    const size_t count = (size_t)places * (real ? 1 : 2);
    double *got = malloc(count * sizeof *got), *want = malloc(count * sizeof *want);
    cr_assert(got && want);
    snprintf(nodes, sizeof nodes, "y = DFT <inverse=%d, onesided=%d> (x, size, axis)", t->inverse, t->half);
    snprintf(why, sizeof why, "%s: %lld of %lld places, %s", device, (long long)t->given, (long long)size,
             nodes);
    const struct kiln_test_onnx model = {.opset = 20,
                                         .inputs = "x",
                                         .outputs = "y",
                                         .nodes = nodes,
                                         .initializers = "size axis",
                                         .initializer = given};
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    kiln_tensor y;
    const kiln_tensor x = kiln_test_onnx_operand(g, 0, KILN_SHAPE(1, t->given, t->parts));
    kiln_test_onnx_call(g, &model, KILN_RUN(x), &y);
    kiln_test_run(g, y, device, NULL, got);
    for (int64_t k = 0; k < places; k++) {
        const struct sum s = sum_of(k, size, t->given, t->parts, t->inverse ? 1 : -1);
        const double scale = t->inverse ? 1.0 / (double)size : 1;
        if (real) {
            want[k] = real_of(k, size, t->given, t->parts);
        } else {
            want[2 * k] = s.re * scale;
            want[2 * k + 1] = s.im * scale;
        }
    }
    /* A sum of n values in [-1, 1) with its partial sums rounded to float32: n steps of at most 2^-24 times sqrt(n). */
    const double n = (double)size;
    kiln_expect_close(got, want, count, 1e-6 + 6e-8 * sqrt(n) * sqrt(n), why);
    kiln_graph_destroy(&g);
    free(got);
    free(want);
}

Test(onnx_signal, transforms_are_their_sums)
{
    for (int d = 0; kiln_test_device(d); d++)
        for (size_t i = 0; i < KILN_COUNT(transforms); i++)
            expect_transform(&transforms[i], kiln_test_device(d));
}

/* Of a signal whose length is known when data arrives: frames of 4 that begin 2 apart, weighted. */
Test(onnx_signal, frames_of_a_signal_are_transformed)
{
    const int64_t step = 2;
    const float window[] = {0.5f, 1, 1, 0.5f};
    const kiln_array given[] = {{.data = (void *)(uintptr_t)&step, .type = KILN_I64},
                                {.data = (void *)(uintptr_t)window, .shape = KILN_SHAPE(4)}};
    const struct kiln_test_onnx model = {.opset = 17,
                                         .inputs = "x",
                                         .outputs = "y",
                                         .nodes = "y = STFT(x, step, window)",
                                         .initializers = "step window",
                                         .initializer = given};
    const kiln_spec spec = {KILN_F32, KILN_SHAPE(1, -1, 1)};
    kiln_graph *g;
    kiln_weights *w;
    float x[7];
    double want[2 * 3 * 2];
    for (int i = 0; i < 7; i++)
        x[i] = kiln_test_onnx_value(0, i);
    for (int f = 0; f < 2; f++)
        for (int k = 0; k < 3; k++) {
            double re = 0, im = 0;
            for (int i = 0; i < 4; i++) {
                re += (double)(window[i] * x[2 * f + i]) * cos(2 * pi * i * k / 4);
                im -= (double)(window[i] * x[2 * f + i]) * sin(2 * pi * i * k / 4);
            }
            want[(f * 3 + k) * 2] = re;
            want[(f * 3 + k) * 2 + 1] = im;
        }
    cr_assert_eq(kiln_test_onnx_load(&g, &w, &model, &spec, NULL), KILN_OK);
    const kiln_array in[] = {{.data = x, .shape = KILN_SHAPE(1, 7, 1)}};
    for (int d = 0; kiln_test_device(d); d++) {
        double got[12];
        kiln_test_run(g, kiln_graph_output(g, 0), kiln_test_device(d), in, got);
        kiln_expect_close(got, want, 12, 1e-6, kiln_test_device(d));
    }
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

static void expect_window(const char *node, const double *want, size_t count)
{
    const int64_t size = (int64_t)count;
    const kiln_array given[] = {{.data = (void *)(uintptr_t)&size, .type = KILN_I64}};
    const struct kiln_test_onnx model = {.opset = 17,
                                         .inputs = "",
                                         .outputs = "y",
                                         .nodes = node,
                                         .initializers = "size",
                                         .initializer = given};
    kiln_graph *g;
    kiln_weights *w;
    double got[8];
    cr_assert_eq(kiln_test_onnx_load(&g, &w, &model, NULL, NULL), KILN_OK);
    kiln_test_run(g, kiln_graph_output(g, 0), "cpu", NULL, got);
    kiln_expect_close(got, want, count, 1e-6, node);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(onnx_signal, windows_are_periodic_or_symmetric)
{
    const double low = 25.0 / 46 - 21.0 / 46;
    expect_window("y = HannWindow(size)", (const double[]){0, 0.5, 1, 0.5}, 4);
    expect_window("y = HannWindow <periodic=0> (size)", (const double[]){0, 0.75, 0.75, 0}, 4);
    expect_window("y = HammingWindow(size)", (const double[]){low, 25.0 / 46, 1, 25.0 / 46}, 4);
    expect_window("y = BlackmanWindow <periodic=0> (size)", (const double[]){0, 0.34, 1, 0.34, 0}, 5);
    expect_window("y = HannWindow <periodic=0> (size)", (const double[]){0}, 1);
    expect_window("y = BlackmanWindow <output_datatype=11> (size)", (const double[]){0, 0.34, 1, 0.34}, 4);
}
