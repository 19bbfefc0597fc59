/* number.c - arithmetic that cannot wrap. */
#include <criterion/criterion.h>

#include "base/number.h"

Test(number, multiplies_what_fits_and_refuses_what_does_not)
{
    const size_t half = (size_t)1 << (sizeof(size_t) * 4);
    size_t out = 1;

    cr_expect(kiln_size_mul(6, 7, &out) && out == 42);
    cr_expect(kiln_size_mul(0, SIZE_MAX, &out) && out == 0);
    cr_expect(kiln_size_mul(SIZE_MAX, 0, &out) && out == 0);
    cr_expect(kiln_size_mul(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    cr_expect(kiln_size_mul(half, half - 1, &out) && out == half * (half - 1));
    cr_expect(!kiln_size_mul(half, half, &out) && out == 0);
    cr_expect(!kiln_size_mul(2, SIZE_MAX / 2 + 1, &out) && out == 0);
}

Test(number, adds_what_fits_and_refuses_what_does_not)
{
    size_t out = 1;

    cr_expect(kiln_size_add(40, 2, &out) && out == 42);
    cr_expect(kiln_size_add(SIZE_MAX, 0, &out) && out == SIZE_MAX);
    cr_expect(kiln_size_add(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX);
    cr_expect(!kiln_size_add(SIZE_MAX, 1, &out) && out == 0);
    cr_expect(!kiln_size_add(1, SIZE_MAX, &out) && out == 0);
}

Test(number, rounds_up_to_any_multiple)
{
    cr_expect_eq(kiln_round_up(0, 256), 0);
    cr_expect_eq(kiln_round_up(1, 256), 256);
    cr_expect_eq(kiln_round_up(256, 256), 256);
    cr_expect_eq(kiln_round_up(257, 256), 512);
    cr_expect_eq(kiln_round_up(10, 3), 12);
    cr_expect_eq(kiln_round_up(10, 1), 10);
}
