/* random_draw.c - draws: words of Philox, the same everywhere, of the distributions that they are said to have. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static const int32_t counter[2] = {0x1234567, 89};

/* Draws of a source and a stream that are known. */
static kiln_random_params known(kiln_graph *g)
{
    const kiln_array values = {.data = (void *)(uintptr_t)counter, .type = KILN_I32, .shape = KILN_SHAPE(2)};
    const kiln_tensor given = kiln_constant(g, &values);
    const kiln_tensor zeros = kiln_cast(g, kiln_scale(g, kiln_test_input(g, KILN_SHAPE(2)), 0), KILN_I32);
    return (kiln_random_params){.source = kiln_add(g, given, zeros),
                                .stream = "a stream"}; /* nothing folds */
}

/* Word i % 4 of Philox with counter {i / 4, 0, step, stream} and key {seed, 0}. */
static uint32_t word(uint32_t i)
{
    uint32_t block[4];
    kiln_philox((const uint32_t[]){i / 4, 0, (uint32_t)counter[1], (uint32_t)kiln_rng_stream("a stream")},
                (const uint32_t[]){(uint32_t)counter[0], 0}, block);
    return block[i % 4];
}

typedef kiln_tensor drawing(kiln_graph *g, int64_t count, const kiln_random_params *p);

static kiln_tensor unit(kiln_graph *g, int64_t count, const kiln_random_params *p)
{
    return kiln_random_uniform(g, KILN_SHAPE(count), 0, 1, p);
}

static kiln_tensor between(kiln_graph *g, int64_t count, const kiln_random_params *p)
{
    return kiln_random_uniform(g, KILN_SHAPE(count), -3.3, 7.1, p);
}

static kiln_tensor normal(kiln_graph *g, int64_t count, const kiln_random_params *p)
{
    return kiln_random_normal(g, KILN_SHAPE(count), 2, 0.5, p);
}

static kiln_tensor whole(kiln_graph *g, int64_t count, const kiln_random_params *p)
{
    return kiln_cast(g, kiln_random_whole(g, KILN_SHAPE(count), -7, 57, p), KILN_F32);
}

static kiln_tensor coins(kiln_graph *g, int64_t count, const kiln_random_params *p)
{
    return kiln_bernoulli(g, kiln_expand(g, kiln_scalar(g, KILN_F32, 0.3), KILN_SHAPE(count)), p);
}

static kiln_tensor order(kiln_graph *g, int64_t count, const kiln_random_params *p)
{
    return kiln_cast(g, kiln_random_permutation(g, count, p), KILN_F32);
}

static kiln_tensor shuffled(kiln_graph *g, int64_t count, const kiln_random_params *p)
{
    const kiln_tensor rows =
        kiln_expand(g, kiln_unsqueeze(g, kiln_cast(g, kiln_range(g, count), KILN_F32), 1),
                    KILN_SHAPE(count, 2));
    return kiln_shuffle(g, rows, 0, p);
}

struct draw_case {
    drawing *draw;
    int64_t count;
    const char *why;
};

static kiln_tensor drawn(kiln_graph *g, const void *one_case)
{
    const struct draw_case *c = one_case;
    const kiln_random_params p = known(g);
    return c->draw(g, c->count, &p);
}

/* In float32 on the CPU. */
static double *drawn_on(const struct draw_case *c, const char *device, size_t *count)
{
    kiln_shape shape;
    kiln_device *dev = kiln_test_open(device);
    double *y = kiln_test_eval(drawn, c, dev, &shape);
    kiln_test_close(&dev);
    *count = (size_t)kiln_shape_count(&shape);
    return y;
}

Test(random_draw, uniform_and_whole_numbers_are_the_words_of_philox)
{
    size_t count;
    for (int d = 0; kiln_test_device(d); d++) {
        double *u = drawn_on(&(struct draw_case){unit, 1027, ""}, kiln_test_device(d), &count);
        double *n = drawn_on(&(struct draw_case){whole, 1027, ""}, kiln_test_device(d), &count);
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_eq(u[i], (word(i) >> 8) * 0x1p-24, "%s, %u: %.9g", kiln_test_device(d), i, u[i]);
            cr_assert_eq(n[i], (double)((uint64_t)word(i) * 64 >> 32) - 7, "%s, %u: %g", kiln_test_device(d),
                         i, n[i]);
        }
        free(u);
        free(n);
    }
}

static kiln_tensor standard(kiln_graph *g, int64_t count, const kiln_random_params *p)
{
    return kiln_random_normal(g, KILN_SHAPE(count), 0, 1, p);
}

/* Two words are a pair of Box and Muller: a radius of the first one's leading 24 bits, an angle of the other's two
   bits, which are quarters of a turn, and 24 bits. What kernels are compared with computes that in double. */
Test(random_draw, normal_numbers_are_those_of_box_and_muller)
{
    kiln_shape shape;
    double *y = kiln_test_eval(drawn, &(struct draw_case){standard, 4099, ""}, NULL, &shape);
    for (uint32_t i = 0; i < 4099; i++) {
        const uint32_t first = word(i & ~1u), second = word(i | 1);
        int exponent;
        const double leading = floor(ldexp(frexp(first, &exponent), 24));
        const double radius = sqrt(-2 * (log(leading) + (exponent - 56) * log(2)));
        const double part = (second % (1u << 30) >> 6) / 16777216.0 - 0.5;
        const double angle = (second / (1u << 30) + part) * acos(0);
        const double want = radius * (i & 1 ? sin(angle) : cos(angle));
        cr_assert_float_eq(y[i], want, 1e-13, "%u: %.15g, not %.15g", i, y[i], want);
    }
    free(y);
}

Test(random_draw, every_device_draws_the_same)
{
    static const struct draw_case exact[] = {
        {unit, 1, "one"},           {between, 4099, "between"},    {whole, 130, "whole"},
        {coins, 777, "coins"},      {order, 1, "an order of one"}, {order, 5000, "an order"},
        {shuffled, 131, "shuffled"}};
    size_t count;
    for (size_t i = 0; i < KILN_COUNT(exact); i++) {
        double *want = drawn_on(&exact[i], "cpu", &count);
        for (int d = 0; kiln_test_device(d); d++) {
            double *got = drawn_on(&exact[i], kiln_test_device(d), &count);
            cr_expect_eq(memcmp(got, want, count * sizeof *got), 0, "%s on %s", exact[i].why,
                         kiln_test_device(d));
            free(got);
        }
        free(want);
    }
    /* logarithm, root, sine: a few ulps each of numbers up to 5 */
    kiln_expect_devices_agree(drawn, &(struct draw_case){normal, 4099, ""}, false, 1e-6, "normal");
}

/* Bounds of 6 standard errors, as in tests/base/rng.c; the seed is fixed. */
Test(random_draw, uniform_numbers_fill_their_range_evenly)
{
    enum { COUNT = 65536, BINS = 64 };
    const struct draw_case c = {between, COUNT, ""};
    int seen[BINS] = {0};
    double *y = kiln_test_eval(drawn, &c, NULL, NULL), chi = 0;
    for (int i = 0; i < COUNT; i++) {
        cr_assert(y[i] >= -3.3 && y[i] < 7.1);
        seen[(int)((y[i] + 3.3) / 10.4 * BINS)]++;
    }
    for (int i = 0; i < BINS; i++)
        chi += pow(seen[i] - COUNT / BINS, 2) / (COUNT / BINS);
    cr_expect(chi > 20 && chi < 130, "chi square of 63 degrees is %g", chi); /* 63 +- 6 sqrt(126) */
    free(y);
}

Test(random_draw, normal_numbers_have_their_moments_and_tails)
{
    enum { COUNT = 400000 };
    const struct draw_case c = {normal, COUNT, ""};
    for (int d = -1; d < 0 || kiln_test_device(d); d++) {
        size_t count;
        double *y = d < 0 ? kiln_test_eval(drawn, &c, NULL, NULL) : drawn_on(&c, kiln_test_device(d), &count);
        double power[5] = {0}, pairs = 0;
        int beyond = 0;
        for (int i = 0; i < COUNT; i++) {
            const double z = (y[i] - 2) / 0.5;
            for (int p = 1; p <= 4; p++)
                power[p] += pow(z, p) / COUNT;
            beyond += fabs(z) > 3;
            pairs += i % 2 ? z * (y[i - 1] - 2) / 0.5 / COUNT : 0;
        }
        cr_expect_lt(fabs(power[1]), 0.01);
        cr_expect_lt(fabs(power[2] - 1), 0.0135);
        cr_expect_lt(fabs(power[3]), 0.037);
        cr_expect_lt(fabs(power[4] - 3), 0.094);
        cr_expect_lt(fabs(pairs), 0.01);
        cr_expect_lt(fabs((double)beyond / COUNT - 0.0026998), 0.0005);
        free(y);
    }
}

Test(random_draw, coins_fall_by_their_probability_and_certain_ones_always)
{
    enum { COUNT = 40000 };
    const struct draw_case c = {coins, COUNT, ""};
    double *y = kiln_test_eval(drawn, &c, NULL, NULL), sum = 0;
    for (int i = 0; i < COUNT; i++) {
        cr_assert(y[i] == 0 || y[i] == 1);
        sum += y[i] / COUNT;
    }
    cr_expect_lt(fabs(sum - 0.3), 0.0138);
    free(y);
}

static kiln_tensor certain(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_tensor p = kiln_test_values(g, KILN_SHAPE(2, 1), (const float[]){0, 1});
    const kiln_tensor wide = kiln_expand(g, p, KILN_SHAPE(2, 500)), y = kiln_bernoulli(g, wide, NULL);
    return kiln_mean(g, y, &(kiln_reduce_params){.axes = KILN_AXES(1)});
}

Test(random_draw, what_is_certain_happens)
{
    kiln_expect_values(certain, NULL, (const double[]){0, 1}, 2, 1e-12, "certain");
}

Test(random_draw, an_order_has_every_number_once_and_favours_none)
{
    enum { COUNT = 3000 };
    const struct draw_case c = {order, COUNT, ""};
    bool seen[COUNT] = {false};
    double *y = kiln_test_eval(drawn, &c, NULL, NULL), apart = 0;
    for (int i = 0; i < COUNT; i++) {
        cr_assert(y[i] >= 0 && y[i] < COUNT && !seen[(int)y[i]]);
        seen[(int)y[i]] = true;
        apart += fabs(y[i] - i) / COUNT / COUNT;
    }
    cr_expect_lt(fabs(apart - 1.0 / 3), 0.026); /* 6 times sqrt(1 / 18 / COUNT) */
    free(y);
}

/* Nodes draw for themselves, unless they have one stream; and the gradient of a shuffle undoes it. */
static kiln_tensor streams(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_random_params one = {.stream = "one"};
    const kiln_tensor like = kiln_test_input(g, KILN_SHAPE(64));
    const kiln_tensor y[] = {kiln_random_uniform_like(g, like, 0, 1, NULL),
                             kiln_random_uniform_like(g, like, 0, 1, NULL),
                             kiln_random_uniform_like(g, like, 0, 1, &one),
                             kiln_random_uniform_like(g, like, 0, 1, &one)};
    return kiln_concat(g, y, 4, 0);
}

Test(random_draw, nodes_draw_for_themselves_unless_they_share_a_stream)
{
    double *y = kiln_test_eval(streams, NULL, NULL, NULL);
    cr_expect_neq(memcmp(y, y + 64, 64 * sizeof *y), 0);
    cr_expect_neq(memcmp(y, y + 128, 64 * sizeof *y), 0);
    cr_expect_eq(memcmp(y + 128, y + 192, 64 * sizeof *y), 0);
    free(y);
}

static kiln_tensor moved(kiln_graph *g, const void *one_case)
{
    (void)one_case;
    const kiln_random_params p = known(g); /* the weights' own source goes on from run to run */
    return kiln_shuffle(g, kiln_test_input(g, KILN_SHAPE(3, 7, 2)), 1, &p);
}

Test(random_draw, the_gradient_of_a_shuffle_goes_back)
{
    kiln_expect_gradient(moved, NULL, "shuffle");
    kiln_expect_devices_agree(moved, NULL, true, 0, "shuffle");
}

Test(random_draw, misfits_are_named)
{
    kiln_log_to(NULL, NULL, KILN_LOG_SILENT);
    for (int i = 0; i < 3; i++) {
        static const char *const says[] = {"wanted {seed, step}", "wanted a range", "wanted a real type"};
        kiln_graph *g = NULL;
        cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
        const kiln_random_params odd = {.source = kiln_input(g, "s", KILN_I32, KILN_SHAPE(3))},
                                 words = {.type = KILN_I32};
        const kiln_tensor y = i == 0   ? kiln_random_uniform(g, KILN_SHAPE(4), 0, 1, &odd)
                              : i == 1 ? kiln_random_whole(g, KILN_SHAPE(4), 3, 3, NULL)
                                       : kiln_random_normal(g, KILN_SHAPE(4), 0, 1, &words);
        cr_expect(y.id == 0 && strstr(kiln_graph_error(g), says[i]), "%s: %s", says[i], kiln_graph_error(g));
        kiln_graph_destroy(&g);
    }
}
