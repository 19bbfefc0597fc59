/* scale.c - round numbers on axes, whatever the values. */
#include "draw/scale.h"

#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

/* The ticks of a scale, with spaces between. */
static const char *ticks(const struct kiln_scale *s)
{
    static char text[KILN_SCALE_TICKS * KILN_SCALE_TEXT];

    text[0] = '\0';
    for (int i = 0; i < s->count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, s->text[i]);
    }
    return text;
}

static const struct {
    struct kiln_scale_params params;
    const char *want, *why;
} cases[] = {
    {{0.03, 2.6, .wanted = 6}, "0 0.5 1.0 1.5 2.0 2.5 3.0", "a loss"},
    {{0.892, 0.9917, .wanted = 6}, "0.88 0.90 0.92 0.94 0.96 0.98 1.00", "an accuracy"},
    {{1, 3000, .tight = true, .whole = true, .wanted = 8}, "500 1000 1500 2000 2500 3000", "steps"},
    {{1, 3, .tight = true, .whole = true, .wanted = 8}, "1 2 3", "few epochs have no halves"},
    {{0, 20, .tight = true, .whole = true, .wanted = 8}, "0 5 10 15 20", "nor steps of two and a half"},
    {{0, 90000, .tight = true, .wanted = 8}, "0 20k 40k 60k 80k", "thousands"},
    {{0, 4.1e6, .tight = true, .wanted = 4}, "0 2M 4M", "millions"},
    {{-1.2, 0.4, .wanted = 4}, "-1.5 -1.0 -0.5 0 0.5", "both sides of zero"},
    {{0.5, 0.5, .wanted = 4}, "0.40 0.45 0.50 0.55 0.60", "one value"},
    {{1, 0, .wanted = 5}, "0 0.2 0.4 0.6 0.8 1.0", "no value"},
    {{0.03, 2.6, .log = true, .wanted = 6}, "0.02 0.05 0.1 0.2 0.5 1 2 5", "a loss by its logarithm"},
    {{1e-9, 1, .log = true, .wanted = 6}, "1e-9 1e-7 1e-5 0.001 0.1", "many powers: every second"},
    {{7, 7, .log = true, .wanted = 6}, "5 10", "one value by its logarithm"},
};

Test(scale, ticks_are_round)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct kiln_scale s = kiln_scale_of(&cases[i].params);
        cr_expect_str_eq(ticks(&s), cases[i].want, "%s: got \"%s\", wanted \"%s\"", cases[i].why, ticks(&s),
                         cases[i].want);
    }
}

Test(scale, places_run_from_0_to_1)
{
    const struct kiln_scale s = kiln_scale_of(&(struct kiln_scale_params){0, 10, .wanted = 5});
    const struct kiln_scale l = kiln_scale_of(&(struct kiln_scale_params){0.01, 1, .log = true, .wanted = 5});

    cr_expect_float_eq(kiln_scale_place(&s, 2.5), 0.25, 1e-12);
    cr_expect_float_eq(kiln_scale_place(&l, 0.1), 0.5, 1e-12);
}

Test(scale, extreme_values_do_no_harm)
{
    static const double values[] = {-1e308, -1, -1e-320, 0, 5e-324, 1e-300, 1, 1e16, 1e308};
    const int count = sizeof values / sizeof *values;

    for (int i = 0; i < count * count * 2; i++) {
        const double low = values[i / 2 % count], high = values[i / 2 / count];
        const bool log = i % 2;
        struct kiln_scale s;
        if (low > high || (log && low <= 0))
            continue;
        s = kiln_scale_of(&(struct kiln_scale_params){low, high, .log = log, .wanted = 6});
        cr_expect(s.count <= KILN_SCALE_TICKS && isfinite(s.low) && isfinite(s.high) && s.low < s.high,
                  "%g to %g", low, high);
    }
}
