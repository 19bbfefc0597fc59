/* rng.c - Philox against Random123's known answers; streams; the shapes of the distributions. */
#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/rng.h"

Test(rng, philox_gives_the_known_answers_of_random123)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
        const char *why;
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, "all zero"},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
         "all ones"},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
         "digits of pi"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t got[4];
        kiln_philox(cases[i].counter, cases[i].key, got);
        cr_expect_arr_eq(got, cases[i].want, sizeof got, "%s", cases[i].why);
    }
}

Test(rng, draws_the_blocks_of_its_stream_in_order)
{
    struct kiln_rng r;
    uint32_t got[8], want[8];
    const uint32_t key[2] = {0x89abcdef, 0x01234567};

    for (uint32_t block = 0; block < 2; block++)
        kiln_philox((const uint32_t[]){block, 0, 0x76543210, 0xfedcba98}, key, want + 4 * block);
    kiln_rng_init(&r, UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210));
    for (int i = 0; i < 8; i++)
        got[i] = kiln_rng_next(&r);
    cr_expect_arr_eq(got, want, sizeof got);
}

Test(rng, another_seed_or_stream_draws_other_numbers)
{
    enum { COUNT = 1000 };
    static const uint64_t places[][2] = {
        {0, 0}, {0, 1}, {1, 0}, {0, UINT64_C(1) << 32}, {UINT64_C(1) << 32, 0}};
    static uint32_t draws[5][COUNT];

    for (int p = 0; p < 5; p++) {
        struct kiln_rng r;
        kiln_rng_init(&r, places[p][0], places[p][1]);
        for (int i = 0; i < COUNT; i++)
            draws[p][i] = kiln_rng_next(&r);
    }
    for (int p = 0; p < 5; p++)
        for (int q = 0; q < p; q++) {
            int equal = 0;
            for (int i = 0; i < COUNT; i++)
                equal += draws[p][i] == draws[q][i];
            cr_expect_eq(equal, 0, "%d of %d draws are alike in places %d and %d", equal, COUNT, p, q);
        }
}

Test(rng, a_copy_in_the_middle_draws_on_alike)
{
    struct kiln_rng r, saved;
    double first[9];

    kiln_rng_init(&r, 7, kiln_rng_stream("dropout"));
    kiln_rng_next(&r);
    kiln_rng_normal(&r);
    saved = r;
    for (int i = 0; i < 9; i++)
        first[i] = kiln_rng_normal(&r);
    for (int i = 0; i < 9; i++)
        cr_expect_eq(kiln_rng_normal(&saved), first[i]);
}

Test(rng, uniform_is_in_its_range_with_the_right_moments)
{
    enum { COUNT = 200000 };
    struct kiln_rng r;
    double sum = 0, squares = 0;

    kiln_rng_init(&r, 1, 0);
    for (int i = 0; i < COUNT; i++) {
        const double x = kiln_rng_uniform(&r);
        cr_assert(x >= 0 && x < 1);
        sum += x;
        squares += x * x;
    }
    cr_expect_lt(fabs(sum / COUNT - 1.0 / 2), 0.004); /* 6 standard errors */
    cr_expect_lt(fabs(squares / COUNT - 1.0 / 3), 0.004);
}

Test(rng, normal_has_the_right_moments_and_tails)
{
    enum { COUNT = 400000 };
    struct kiln_rng r;
    double power[5] = {0}, last = 0, pairs = 0;
    int beyond = 0;

    kiln_rng_init(&r, 2, 0);
    for (int i = 0; i < COUNT; i++) {
        const double x = kiln_rng_normal(&r);
        cr_assert(isfinite(x));
        for (int p = 1; p <= 4; p++)
            power[p] += pow(x, p) / COUNT;
        beyond += fabs(x) > 3;
        pairs += x * last / COUNT;
        last = x;
    }
    cr_expect_lt(fabs(power[1]), 0.01); /* 6 standard errors each */
    cr_expect_lt(fabs(power[2] - 1), 0.0135);
    cr_expect_lt(fabs(power[3]), 0.037);
    cr_expect_lt(fabs(power[4] - 3), 0.094);
    cr_expect_lt(fabs(pairs), 0.01);
    cr_expect_lt(fabs((double)beyond / COUNT - 0.0026998), 0.0005);
}

Test(rng, below_reaches_every_number_equally_often)
{
    enum { COUNT = 210000 };
    struct kiln_rng r;
    int seen[7] = {0};

    kiln_rng_init(&r, 3, 0);
    for (int i = 0; i < COUNT; i++) {
        const uint32_t x = kiln_rng_below(&r, 7);
        cr_assert_lt(x, 7);
        seen[x]++;
    }
    for (int i = 0; i < 7; i++)
        cr_expect_lt(abs(seen[i] - COUNT / 7), 1000, "%d came %d times", i, seen[i]);
    cr_expect_eq(kiln_rng_below(&r, 1), 0);
    cr_expect_eq(kiln_rng_below(&r, 0), 0);
}

/* Of n = 3 * 2^30, the plain product would draw every third number twice as often as the others. */
Test(rng, below_is_fair_where_n_does_not_divide_the_range)
{
    enum { COUNT = 100000 };
    struct kiln_rng r;
    int seen[3] = {0};

    kiln_rng_init(&r, 4, 0);
    for (int i = 0; i < COUNT; i++)
        seen[kiln_rng_below(&r, 3u << 30) % 3]++;
    for (int i = 0; i < 3; i++)
        cr_expect_lt(abs(seen[i] - COUNT / 3), 900, "remainder %d came %d times", i, seen[i]);
}

Test(rng, shuffle_keeps_every_item_and_favours_no_order)
{
    enum { COUNT = 60000 };
    struct kiln_rng r;
    int seen[6] = {0};

    kiln_rng_init(&r, 5, 0);
    for (int i = 0; i < COUNT; i++) {
        uint32_t items[3] = {0, 1, 2};
        kiln_rng_shuffle(&r, items, 3);
        cr_assert_eq(1u << items[0] | 1u << items[1] | 1u << items[2], 7);
        seen[items[0] * 2 + (items[1] > items[2])]++;
    }
    for (int i = 0; i < 6; i++)
        cr_expect_lt(abs(seen[i] - COUNT / 6), 550, "order %d came %d times", i, seen[i]);
    kiln_rng_shuffle(&r, NULL, 0);
}

Test(rng, streams_of_different_names_differ)
{
    cr_expect_neq(kiln_rng_stream("conv1.weight"), kiln_rng_stream("conv2.weight"));
    cr_expect_eq(kiln_rng_stream("conv1.weight"), kiln_rng_stream("conv1.weight"));
}
