/*
 * narrow.c - types that are narrower than what they are stored in: integers of 8 and 16 bits wrap at their own width, casts wrap
 * or saturate, F16 and BF16 are rounded by casts. Every device gives what C gives, bit for bit.
 */
#include <math.h>
#include <stdlib.h>

#include "base/half.h"
#include "support/support.h"

static int bits_of(kiln_type type)
{
    return 8 * (int)kiln_type_size(type);
}

/* What is left of a number in that many bits. */
static int64_t wrapped(int64_t value, kiln_type type)
{
    const int bits = bits_of(type) < 32 ? bits_of(type) : 32;
    const int64_t low = value & ((INT64_C(1) << bits) - 1);
    return kiln_type_is_unsigned(type) || !(low >> (bits - 1)) ? low : low - (INT64_C(1) << bits);
}

/* Arithmetic ----------------------------------------------------------------------------------------------- */

/* One operator of everything that may leave the range; steps in between must not see what a register could hold. */
static kiln_tensor all_steps(kiln_graph *g, kiln_tensor a, kiln_tensor b, int which)
{
    switch (which) {
    case 0:
        return kiln_add(g, a, b);
    case 1:
        return kiln_sub(g, a, b);
    case 2:
        return kiln_mul(g, a, b);
    case 3:
        return kiln_div(g, kiln_neg(g, a), b);
    case 4:
        return kiln_max(g, kiln_add(g, a, b), a); /* the sum is compared as it wrapped */
    case 5:
        return kiln_abs(g, kiln_sub(g, a, b));
    case 6:
        return kiln_shift_right(g, kiln_shift_left(g, a, kiln_scalar(g, kiln_tensor_type(g, a), 1)),
                                kiln_scalar(g, kiln_tensor_type(g, a), 1));
    case 7:
        return kiln_bit_not(g, kiln_mul(g, a, a));
    default:
        return kiln_pow(g, a, kiln_scalar(g, kiln_tensor_type(g, a), 3));
    }
}

enum { WHICH = 9 };

static int64_t shifted(int64_t value, kiln_type type)
{
    const int64_t left = wrapped(2 * value, type);
    return left < 0 ? (left - 1) / 2 : left / 2;
}

static int64_t expected(int64_t a, int64_t b, kiln_type type, int which)
{
    switch (which) {
    case 0:
        return wrapped(a + b, type);
    case 1:
        return wrapped(a - b, type);
    case 2:
        return wrapped(a * b, type);
    case 3:
        return b ? wrapped(wrapped(-a, type) / b, type) : 0;
    case 4:
        return wrapped(a + b, type) > a ? wrapped(a + b, type) : a;
    case 5:
        return wrapped(llabs(wrapped(a - b, type)), type);
    case 6:
        return shifted(a, type);
    case 7:
        return wrapped(~wrapped(a * a, type), type);
    default:
        return wrapped(wrapped(a * a, type) * a, type);
    }
}

static const kiln_type narrow[] = {KILN_I8, KILN_U8, KILN_I16, KILN_U16};

/* All numbers of 8 bits, and as many of 16, against some that are at the ends. */
enum { A = 256, B = 9 };

static void operands(kiln_type type, int64_t *a, int64_t *b)
{
    static const int64_t near[B] = {0, 1, 2, 3, -1, -2, 7, 100, -100};
    const int64_t top = INT64_C(1) << (bits_of(type) - 1);
    for (int i = 0; i < A; i++)
        a[i] = wrapped(i * (bits_of(type) == 8 ? 1 : 257), type);
    for (int i = 0; i < B; i++)
        b[i] = wrapped(i == 6 ? top : i == 7 ? top - 1 : near[i], type);
}

Test(narrow, integers_wrap_at_their_own_width)
{
    for (size_t t = 0; t < KILN_COUNT(narrow); t++)
        for (int which = 0; which < WHICH; which++) {
            int64_t a[A], b[B], got[A * B];
            kiln_graph *g = NULL;
            cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
            const kiln_tensor x = kiln_input(g, "a", narrow[t], KILN_SHAPE(A, 1)),
                              y = kiln_input(g, "b", narrow[t], KILN_SHAPE(1, B));
            const kiln_tensor zero = kiln_mul(g, y, kiln_scalar(g, narrow[t], 0));
            const kiln_tensor z =
                all_steps(g, kiln_add(g, x, zero), y, which); /* [A, B], whatever is used of y */
            operands(narrow[t], a, b);
            const kiln_array in[] = {{.type = KILN_I64, .shape = KILN_SHAPE(A, 1), .data = a},
                                     {.type = KILN_I64, .shape = KILN_SHAPE(1, B), .data = b}};
            for (int d = 0; kiln_test_device(d); d++) {
                kiln_test_run(g, z, kiln_test_device(d), in, got);
                for (int i = 0; i < A * B; i++)
                    cr_assert_eq(got[i], expected(a[i / B], b[i % B], narrow[t], which),
                                 "%s on %s, operator %d of %lld and %lld: %lld", kiln_type_name(narrow[t]),
                                 kiln_test_device(d), which, (long long)a[i / B], (long long)b[i % B],
                                 (long long)got[i]);
            }
            kiln_graph_destroy(&g);
        }
}

/* Casts ---------------------------------------------------------------------------------------------------- */

static const kiln_type integers[] = {KILN_I8, KILN_U8, KILN_I16, KILN_U16, KILN_I32, KILN_U32};

Test(narrow, casts_between_integers_wrap)
{
    for (size_t f = 0; f < KILN_COUNT(integers); f++)
        for (size_t t = 0; t < KILN_COUNT(integers); t++) {
            int64_t a[A], got[A];
            kiln_graph *g = NULL;
            cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
            const kiln_tensor x = kiln_input(g, "x", integers[f], KILN_SHAPE(A));
            const kiln_tensor y = kiln_cast(g, x, integers[t]);
            for (int i = 0; i < A; i++)
                a[i] = wrapped(i * INT64_C(0x01010305), integers[f]);
            const kiln_array in = {.type = KILN_I64, .shape = KILN_SHAPE(A), .data = a};
            for (int d = 0; kiln_test_device(d); d++) {
                kiln_test_run(g, y, kiln_test_device(d), &in, got);
                for (int i = 0; i < A; i++)
                    cr_assert_eq(got[i], wrapped(a[i], integers[t]), "%s to %s on %s: %lld gives %lld",
                                 kiln_type_name(integers[f]), kiln_type_name(integers[t]),
                                 kiln_test_device(d), (long long)a[i], (long long)got[i]);
            }
            kiln_graph_destroy(&g);
        }
}

static double clamped(double value, kiln_type type)
{
    const double reach = ldexp(1, bits_of(type)), low = kiln_type_is_unsigned(type) ? 0 : -reach / 2;
    const double high = low + reach - 1;
    return isnan(value) ? 0 : value < low ? low : value > high ? high : trunc(value);
}

Test(narrow, casts_of_reals_drop_the_fraction_and_saturate)
{
    static const float x[] = {0,       -0.0f,    0.9f,   -0.9f,    1.5f,      -1.5f,      127.9f, 128,
                              -128.9f, -129,     255.5f, 256,      300,       -300,       32767,  32768,
                              -32769,  65535.5f, 65536,  70000,    -70000,    2147483520, 3e9f,   -3e9f,
                              5e9f,    1e30f,    -1e30f, INFINITY, -INFINITY, NAN};
    enum { X = KILN_COUNT(x) };
    for (size_t t = 0; t < KILN_COUNT(integers); t++) {
        int64_t got[X];
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor y = kiln_cast(g, kiln_input(g, "x", KILN_F32, KILN_SHAPE(X)), integers[t]);
        const kiln_array in = {.type = KILN_F32, .shape = KILN_SHAPE(X), .data = (void *)(uintptr_t)x};
        for (int d = 0; kiln_test_device(d); d++) {
            kiln_test_run(g, y, kiln_test_device(d), &in, got);
            for (int i = 0; i < X; i++)
                cr_expect_eq((double)got[i], clamped(x[i], integers[t]), "%g to %s on %s: %lld", (double)x[i],
                             kiln_type_name(integers[t]), kiln_test_device(d), (long long)got[i]);
        }
        kiln_graph_destroy(&g);
    }
}

/* Each half, and what lies a quarter, a half and three quarters on the way to the next one. */
enum { STEPS = 4, HALVES = 0x7c00, ROUNDED = 2 * STEPS * HALVES };

static float on_the_way(int i)
{
    const uint16_t half = (uint16_t)(i / STEPS % HALVES);
    const float low = kiln_half_to(half), high = half == 0x7bff ? 65536 : kiln_half_to((uint16_t)(half + 1));
    const float x = low + (high - low) * (float)(i % STEPS) / STEPS;
    return i / STEPS < HALVES ? x : -x;
}

static void expect_rounding(kiln_type type, double (*rounded)(float x), const float *x, int count)
{
    kiln_graph *g = NULL;
    double *got = malloc((size_t)count * sizeof *got);
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor in = kiln_input(g, "x", KILN_F32, KILN_SHAPE(count));
    const kiln_tensor y = kiln_cast(g, kiln_cast(g, in, type), KILN_F32);
    const kiln_array array = {.type = KILN_F32, .shape = KILN_SHAPE(count), .data = (void *)(uintptr_t)x};
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_test_run(g, y, kiln_test_device(d), &array, got);
        for (int i = 0; i < count; i++)
            cr_assert(got[i] == rounded(x[i]) || (isnan(got[i]) && isnan(rounded(x[i]))),
                      "%a to %s on %s: %a, wanted %a", (double)x[i], kiln_type_name(type),
                      kiln_test_device(d), got[i], rounded(x[i]));
    }
    free(got);
    kiln_graph_destroy(&g);
}

static double half_of(float x)
{
    return kiln_half_to(kiln_half_from(x));
}

static double bfloat_of(float x)
{
    return kiln_bf16_to(kiln_bf16_from(x));
}

/* The two casts are one chain: nothing is stored in between. */
Test(narrow, casts_of_reals_round_to_the_nearest)
{
    float *x = malloc(ROUNDED * sizeof *x);
    const float odd[] = {0x1p-25f, 0x1.000002p-25f, 0x1p-26f,  1e-30f, 65519.996f, 65520,
                         1e6f,     INFINITY,        -INFINITY, NAN};
    for (int i = 0; i < ROUNDED; i++)
        x[i] = on_the_way(i);
    expect_rounding(KILN_F16, half_of, x, ROUNDED);
    expect_rounding(KILN_F16, half_of, odd, KILN_COUNT(odd));
    expect_rounding(KILN_BF16, bfloat_of, x, ROUNDED);
    expect_rounding(KILN_BF16, bfloat_of, odd, KILN_COUNT(odd));
    free(x);
}

/* Inputs --------------------------------------------------------------------------------------------------- */

Test(narrow, inputs_beyond_their_type_are_refused)
{
    static const struct {
        kiln_type type;
        int64_t value;
        bool fits;
    } cases[] = {
        {KILN_I8, 127, true},     {KILN_I8, 128, false},         {KILN_U8, 255, true},
        {KILN_U8, -1, false},     {KILN_I16, -32768, true},      {KILN_I16, 32768, false},
        {KILN_U16, 65536, false}, {KILN_I64, 2147483648, false}, {KILN_U64, 4294967295, true},
        {KILN_U64, -1, false},    {KILN_I64, -2147483648, true},
    };
    kiln_device *dev = kiln_test_open("cpu");
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (size_t i = 0; i < KILN_COUNT(cases); i++) {
        kiln_graph *g = NULL;
        kiln_weights *w = NULL;
        kiln_program *p = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_tensor x = kiln_input(g, "x", cases[i].type, KILN_SHAPE(1));
        const kiln_tensor y = kiln_add(g, x, x);
        cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
        cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(y)}), KILN_OK);
        int64_t value = cases[i].value;
        const kiln_status status =
            kiln_program_write(p, x, &(kiln_array){.type = KILN_I64, .shape = KILN_SHAPE(1), .data = &value});
        cr_expect_eq(status == KILN_OK, cases[i].fits, "%lld as %s", (long long)value,
                     kiln_type_name(cases[i].type));
        kiln_program_destroy(&p);
        kiln_weights_destroy(&w);
        kiln_graph_destroy(&g);
    }
    kiln_test_close(&dev);
}
