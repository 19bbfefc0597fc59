/* half.c - half and bfloat16: every value there and back, and every halfway point between two of them. */
#include <float.h>
#include <math.h>

#include <criterion/criterion.h>

#include "base/half.h"

/* One of the two formats; both have their sign in bit 15. */
static const struct format {
    const char *name;
    uint16_t (*from)(float x);
    float (*to)(uint16_t bits);
    uint16_t infinity, quiet;
} formats[] = {
    {"half", kiln_half_from, kiln_half_to, 0x7c00, 0x0200},
    {"bf16", kiln_bf16_from, kiln_bf16_to, 0x7f80, 0x0040},
};

#define FOR_EACH_FORMAT(f) for (const struct format *f = formats; f < formats + 2; f++)

Test(half, all_65536_values_return_from_float_as_they_were)
{
    FOR_EACH_FORMAT(f)
        for (uint32_t bits = 0; bits < 65536; bits++) {
            const bool nan = (bits & 0x7fff) > f->infinity;
            const float x = f->to((uint16_t)bits);
            cr_assert_eq(!!isnan(x), nan, "%s %04x", f->name, bits);
            cr_assert_eq(f->from(x), nan ? bits | f->quiet : bits, "%s %04x", f->name, bits);
        }
}

Test(half, has_the_values_of_the_standard)
{
    cr_expect_eq(kiln_half_to(0x3c00), 1.0f);
    cr_expect_eq(kiln_half_to(0xc000), -2.0f);
    cr_expect_eq(kiln_half_to(0x7bff), 65504.0f);
    cr_expect_eq(kiln_half_to(0x0400), 0x1p-14f);
    cr_expect_eq(kiln_half_to(0x03ff), 0x1.ff8p-15f);
    cr_expect_eq(kiln_half_to(0x0001), 0x1p-24f);
    cr_expect_eq(kiln_half_to(0x3555), 0x1.554p-2f);
    cr_expect_eq(kiln_half_to(0xfc00), -INFINITY);
    cr_expect(kiln_half_to(0x8000) == 0 && signbit(kiln_half_to(0x8000)));
    cr_expect_eq(kiln_bf16_to(0x3f80), 1.0f);
    cr_expect_eq(kiln_bf16_to(0x0001), 0x1p-133f);
    cr_expect_eq(kiln_bf16_to(0xff80), -INFINITY);
}

/* Between a value and the next larger one, the middle goes to the even one, and all else to the nearer. */
Test(half, rounds_to_nearest_and_ties_to_even)
{
    FOR_EACH_FORMAT(f)
        for (uint16_t low = 0; low + 1 < f->infinity; low++)
            for (int sign = 0; sign < 2; sign++) {
                const uint16_t top = (uint16_t)(sign << 15), high = (uint16_t)(low + 1);
                const float a = f->to(low), b = f->to(high), s = sign ? -1.0f : 1.0f;
                const float middle = a + (b - a) / 2;
                cr_assert_eq(f->from(s * middle), top | (low & 1 ? high : low), "%s %04x", f->name, low);
                cr_assert_eq(f->from(s * nextafterf(middle, a)), top | low, "%s below %04x", f->name, low);
                cr_assert_eq(f->from(s * nextafterf(middle, b)), top | high, "%s above %04x", f->name, low);
            }
}

Test(half, overflows_to_infinity_halfway_past_the_largest)
{
    cr_expect_eq(kiln_half_from(nextafterf(65520.0f, 0)), 0x7bff);
    cr_expect_eq(kiln_half_from(65520.0f), 0x7c00);
    cr_expect_eq(kiln_half_from(-65520.0f), 0xfc00);
    cr_expect_eq(kiln_half_from(FLT_MAX), 0x7c00);
    cr_expect_eq(kiln_half_from(INFINITY), 0x7c00);
    cr_expect_eq(kiln_bf16_from(0x1.fefffep127f), 0x7f7f);
    cr_expect_eq(kiln_bf16_from(0x1.ffp127f), 0x7f80);
    cr_expect_eq(kiln_bf16_from(-FLT_MAX), 0xff80);
}

Test(half, underflows_to_a_zero_that_keeps_its_sign)
{
    cr_expect_eq(kiln_half_from(0x1p-25f), 0x0000);
    cr_expect_eq(kiln_half_from(0x1.000002p-25f), 0x0001);
    cr_expect_eq(kiln_half_from(-0x1p-26f), 0x8000);
    cr_expect_eq(kiln_half_from(-0x1p-149f), 0x8000);
    cr_expect_eq(kiln_bf16_from(-0x1p-149f), 0x8000);
}

Test(half, keeps_a_nan_one_whatever_its_payload)
{
    static const uint32_t nans[] = {0x7f800001, 0x7fffffff, 0xff800001, 0xffffffff, 0x7fc00000};

    FOR_EACH_FORMAT(f)
        for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
            const uint16_t bits = f->from(kiln_float_of(nans[i]));
            cr_expect((bits & 0x7fff) > f->infinity, "%s of %08x", f->name, nans[i]);
            cr_expect_eq(bits >> 15, nans[i] >> 31, "%s of %08x", f->name, nans[i]);
        }
}
