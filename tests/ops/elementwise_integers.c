/* elementwise_integers.c - integers of both kinds, their bits, truth, casts: known values on every device. */
#include "support/support.h"

#include <math.h>

#include "compiler/convert.h"

#define MOST  INT32_MAX
#define LEAST INT32_MIN
#define ALL   UINT32_MAX

typedef kiln_tensor binary(kiln_graph *g, kiln_tensor a, kiln_tensor b);
typedef kiln_tensor unary(kiln_graph *g, kiln_tensor x);

enum { ROOM = 8 };

static const struct integer_case {
    const char *why;
    kiln_type type;
    binary *two;
    unary *one;
    int count;
    int64_t a[ROOM], b[ROOM], want[ROOM];
} cases[] = {
    {"add wraps", KILN_I32, kiln_add, NULL, 3, {MOST, -5, 7}, {1, 3, 9}, {LEAST, -2, 16}},
    {"sub wraps", KILN_U32, kiln_sub, NULL, 3, {1, 0, ALL}, {2, 0, 1}, {ALL, 0, ALL - 1}},
    {"mul wraps", KILN_I32, kiln_mul, NULL, 3, {1 << 20, -3, 6}, {1 << 12, 5, 7}, {0, -15, 42}},
    {"div towards zero",
     KILN_I32,
     kiln_div,
     NULL,
     6,
     {-7, 7, 7, LEAST, 9, 0},
     {2, -2, 0, -1, 3, 5},
     {-3, -3, 0, LEAST, 3, 0}},
    {"div, unsigned",
     KILN_U32,
     kiln_div,
     NULL,
     4,
     {ALL, ALL, 7, 3000000000},
     {2, 1, 0, 7},
     {MOST, ALL, 0, 428571428}},
    {"mod has the sign of b",
     KILN_I32,
     kiln_mod,
     NULL,
     8,
     {7, -7, 7, -7, 5, 6, LEAST, -8},
     {3, 3, -3, -3, 0, 3, -1, 4},
     {1, 2, -2, -1, 0, 0, 0, 0}},
    {"fmod has the sign of a",
     KILN_I32,
     kiln_fmod,
     NULL,
     8,
     {7, -7, 7, -7, 5, 6, LEAST, -8},
     {3, 3, -3, -3, 0, 3, -1, 5},
     {1, -1, 1, -1, 0, 0, 0, -3}},
    {"mod, unsigned", KILN_U32, kiln_mod, NULL, 3, {ALL, 10, 4}, {10, 0, 8}, {5, 0, 4}},
    {"max", KILN_I32, kiln_max, NULL, 3, {-1, 5, LEAST}, {1, 4, MOST}, {1, 5, MOST}},
    {"max, unsigned", KILN_U32, kiln_max, NULL, 3, {ALL, 5, 1}, {1, 4, 2147483648}, {ALL, 5, 2147483648}},
    {"min", KILN_I32, kiln_min, NULL, 3, {-1, 5, LEAST}, {1, 4, MOST}, {-1, 4, LEAST}},
    {"min, unsigned", KILN_U32, kiln_min, NULL, 3, {ALL, 5, 1}, {1, 4, 2147483648}, {1, 4, 1}},
    {"pow",
     KILN_I32,
     kiln_pow,
     NULL,
     8,
     {3, -2, 5, -1, -1, 1, 7, 10},
     {4, 5, 0, -3, -4, -9, -1, 10},
     {81, -32, 1, -1, 1, 1, 0, 1410065408}},
    {"and", KILN_I32, kiln_bit_and, NULL, 3, {12, -1, -8}, {10, 77, 12}, {8, 77, 8}},
    {"or", KILN_U32, kiln_bit_or, NULL, 3, {12, 0, 2147483648}, {10, 0, 1}, {14, 0, 2147483649}},
    {"xor", KILN_I32, kiln_bit_xor, NULL, 3, {12, -1, 5}, {10, 0, 5}, {6, -1, 0}},
    {"shift left",
     KILN_I32,
     kiln_shift_left,
     NULL,
     5,
     {1, 1, 1, -1, 3},
     {31, 32, 0, 4, 1000},
     {LEAST, 0, 1, -16, 0}},
    {"shift right keeps the sign",
     KILN_I32,
     kiln_shift_right,
     NULL,
     5,
     {-16, -16, 16, 5, -1},
     {2, 40, 2, 32, 31},
     {-4, -1, 4, 0, -1}},
    {"shift right, unsigned",
     KILN_U32,
     kiln_shift_right,
     NULL,
     4,
     {ALL, ALL, 16, 5},
     {28, 32, 2, 0},
     {15, 0, 4, 5}},
    {"less", KILN_I32, kiln_less, NULL, 3, {-1, 2, 2}, {1, 2, 1}, {1, 0, 0}},
    {"less, unsigned", KILN_U32, kiln_less, NULL, 3, {ALL, 1, 2}, {1, ALL, 2}, {0, 1, 0}},
    {"less or equal, unsigned", KILN_U64, kiln_less_equal, NULL, 3, {ALL, 1, 2}, {1, ALL, 2}, {0, 1, 1}},
    {"greater, unsigned", KILN_U8, kiln_greater, NULL, 3, {255, 1, 2}, {1, 255, 2}, {1, 0, 0}},
    {"equal", KILN_I64, kiln_equal, NULL, 3, {-1, 1, 2}, {-1, 0, 2}, {1, 0, 1}},
    {"not equal", KILN_BOOL, kiln_not_equal, NULL, 4, {0, 0, 1, 1}, {0, 1, 0, 1}, {0, 1, 1, 0}},
    {"xor of truth", KILN_BOOL, kiln_xor, NULL, 4, {0, 0, 1, 1}, {0, 1, 0, 1}, {0, 1, 1, 0}},
    {"and of truth", KILN_BOOL, kiln_and, NULL, 4, {0, 0, 1, 1}, {0, 1, 0, 1}, {0, 0, 0, 1}},
    {"or of truth", KILN_BOOL, kiln_or, NULL, 4, {0, 0, 1, 1}, {0, 1, 0, 1}, {0, 1, 1, 1}},
    {"not", KILN_BOOL, NULL, kiln_not, 2, {0, 1}, {0}, {1, 0}},
    {"neg wraps", KILN_I32, NULL, kiln_neg, 3, {LEAST, 5, 0}, {0}, {LEAST, -5, 0}},
    {"abs wraps", KILN_I32, NULL, kiln_abs, 3, {LEAST, -5, 6}, {0}, {LEAST, 5, 6}},
    {"abs, unsigned", KILN_U32, NULL, kiln_abs, 2, {ALL, 5}, {0}, {ALL, 5}},
    {"sign", KILN_I32, NULL, kiln_sign, 4, {LEAST, 0, 7, -1}, {0}, {-1, 0, 1, -1}},
    {"sign, unsigned", KILN_U32, NULL, kiln_sign, 2, {ALL, 0}, {0}, {1, 0}},
    {"square wraps", KILN_I32, NULL, kiln_square, 3, {65536, -3, 46341}, {0}, {0, 9, -2147479015}},
    {"bits turned", KILN_I32, NULL, kiln_bit_not, 3, {0, -1, 5}, {0}, {-1, 0, -6}},
    {"bits turned, unsigned", KILN_U32, NULL, kiln_bit_not, 2, {0, 5}, {0}, {ALL, ALL - 5}},
};

static kiln_tensor values(kiln_graph *g, const char *name, const struct integer_case *c)
{
    return kiln_input(g, name, c->type, KILN_SHAPE(c->count));
}

static void write(kiln_program *p, kiln_tensor to, const struct integer_case *c, const int64_t *value)
{
    int64_t own[ROOM];
    kiln_convert(own, c->type, value, KILN_I64, (size_t)c->count);
    const kiln_array array = {.data = own, .type = c->type, .shape = KILN_SHAPE(c->count)};
    cr_assert_eq(kiln_program_write(p, to, &array), KILN_OK, "%s", c->why);
}

static void expect_case(const struct integer_case *c, kiln_device *dev, bool f64)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    int64_t raw[ROOM], got[ROOM];
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor a = values(g, "a", c), b = c->two ? values(g, "b", c) : KILN_NONE;
    const kiln_tensor y = c->two ? c->two(g, a, b) : c->one(g, a);
    cr_assert_eq(kiln_graph_status(g), KILN_OK, "%s: %s", c->why, kiln_graph_error(g));
    const kiln_program_params params = {.run = (const kiln_tensor[]){y, KILN_NONE},
                                        .precision = f64 ? KILN_PRECISION_F64 : KILN_PRECISION_F32};
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &params), KILN_OK, "%s", c->why);
    write(p, a, c, c->a);
    if (c->two)
        write(p, b, c, c->b);
    cr_assert_eq(kiln_program_run(p), KILN_OK, "%s", c->why);
    kiln_array to = {.data = raw, .bytes = sizeof raw};
    cr_assert_eq(kiln_program_read(p, y, &to), KILN_OK, "%s", c->why);
    kiln_convert(got, KILN_I64, raw, to.type, (size_t)c->count);
    for (int i = 0; i < c->count; i++)
        cr_expect_eq(got[i], c->want[i], "%s: of %lld and %lld came %lld, wanted %lld", c->why,
                     (long long)c->a[i], (long long)c->b[i], (long long)got[i], (long long)c->want[i]);
    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(elementwise_integers, known_values_on_every_device)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        for (size_t i = 0; i < KILN_COUNT(cases); i++)
            expect_case(&cases[i], dev, false);
        kiln_test_close(&dev);
    }
}

Test(elementwise_integers, known_values_of_the_references)
{
    kiln_device *dev = kiln_test_open("cpu");
    for (size_t i = 0; i < KILN_COUNT(cases); i++)
        expect_case(&cases[i], dev, true);
    kiln_test_close(&dev);
}
