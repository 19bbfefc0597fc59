/* dates.c - generated dates are dates, have one reading, and leave days for those that are unseen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/text.h>

enum { ROWS = 20000 };

struct rows {
    kiln_texts *written, *iso;
};

static struct rows generate(int64_t count, uint64_t seed, bool unseen)
{
    struct rows r;
    cr_assert_eq(kiln_texts_create(&r.written), KILN_OK);
    cr_assert_eq(kiln_texts_create(&r.iso), KILN_OK);
    cr_assert_eq(kiln_dates_generate(r.written, r.iso,
                                     &(kiln_dates_params){.rows = count, .seed = seed, .unseen = unseen}),
                 KILN_OK);
    cr_assert_eq(kiln_texts_count(r.written), count);
    cr_assert_eq(kiln_texts_count(r.iso), count);
    return r;
}

static void destroy(struct rows *r)
{
    kiln_texts_destroy(&r->written);
    kiln_texts_destroy(&r->iso);
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)));
}

/* From Monday (Sakamoto). */
static int weekday_of(int y, int m, int d)
{
    static const int t[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    y -= m < 3;
    return (y + y / 4 - y / 100 + y / 400 + t[m - 1] + d + 6) % 7;
}

Test(dates, are_days_of_two_centuries_with_their_weekdays)
{
    static const char *const days[][3] = {
        {"Monday", "Montag", "lunes"},         {"Tuesday", "Dienstag", "martes"},
        {"Wednesday", "Mittwoch", "mercredi"}, {"Thursday", "Donnerstag", "jueves"},
        {"Friday", "Freitag", "viernes"},      {"Saturday", "Samstag", "samedi"},
        {"Sunday", "Sonntag", "dimanche"}};
    struct rows r = generate(ROWS, 1, false);
    int seen = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        const char *written = kiln_texts_get(r.written, i), *iso = kiln_texts_get(r.iso, i);
        int y = 0, m = 0, d = 0;
        cr_assert(sscanf(iso, "%4d-%2d-%2d", &y, &m, &d) == 3 && strlen(iso) == 10, "%s", iso);
        cr_assert(y >= 1900 && y < 2100 && m >= 1 && m <= 12 && d >= 1 && d <= days_of(y, m), "%s", iso);
        for (int w = 0; w < 21; w++)
            if (strstr(written, days[w / 3][w % 3])) {
                cr_assert_eq(weekday_of(y, m, d), w / 3, "%s is no %s", iso, written);
                seen++;
            }
    }
    cr_expect_gt(seen, ROWS / 20);
    destroy(&r);
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    const int order = strcmp(x[0], y[0]);
    return order ? order : strcmp(x[1], y[1]);
}

Test(dates, have_one_reading_and_many_forms)
{
    static const char *pair[ROWS][2];
    struct rows r = generate(ROWS, 2, false);
    int same = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        pair[i][0] = kiln_texts_get(r.written, i);
        pair[i][1] = kiln_texts_get(r.iso, i);
    }
    qsort(pair, ROWS, sizeof *pair, by_text);
    for (int i = 1; i < ROWS; i++)
        if (strcmp(pair[i][0], pair[i - 1][0]) == 0) {
            same++;
            cr_expect_str_eq(pair[i][1], pair[i - 1][1], "%s has two readings", pair[i][0]);
        }
    cr_expect_lt(same, ROWS / 50);
    destroy(&r);
}

Test(dates, of_days_that_are_left_out_are_unseen)
{
    static char seen[200][13][32];
    struct rows r = generate(ROWS, 3, false), u = generate(2000, 3, true);
    int y, m, d;
    for (int64_t i = 0; i < ROWS && sscanf(kiln_texts_get(r.iso, i), "%4d-%2d-%2d", &y, &m, &d) == 3; i++)
        seen[y - 1900][m][d] = 1;
    for (int64_t i = 0; i < 2000; i++) {
        cr_assert_eq(sscanf(kiln_texts_get(u.iso, i), "%4d-%2d-%2d", &y, &m, &d), 3);
        cr_expect_not(seen[y - 1900][m][d], "%s is seen", kiln_texts_get(u.iso, i));
    }
    destroy(&r);
    destroy(&u);
}

Test(dates, rows_depend_on_seed_and_place_alone)
{
    struct rows few = generate(10, 4, false), many = generate(100, 4, false), other = generate(10, 5, false);
    int differ = 0;
    for (int64_t i = 0; i < 10; i++) {
        cr_expect_str_eq(kiln_texts_get(few.written, i), kiln_texts_get(many.written, i));
        cr_expect_str_eq(kiln_texts_get(few.iso, i), kiln_texts_get(many.iso, i));
        differ += strcmp(kiln_texts_get(few.written, i), kiln_texts_get(other.written, i)) != 0;
    }
    cr_expect_gt(differ, 7);
    destroy(&few);
    destroy(&many);
    destroy(&other);
}
