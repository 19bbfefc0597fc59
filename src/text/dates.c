/*
 * dates.c - dates as people write them, in seven languages, and as ISO 8601 has them.
 *
 * A row draws a day of 1900 to 2099, a language, one of its forms, and now and then capitals or small letters alone. No text has
 * two readings: months and days stand as numbers side by side in one order for each separator, and years of two digits mean 1970
 * to 2069. One day in sixteen, by a hash of its number, is left out of all rows but the unseen ones.
 *
 * Every number is drawn from Philox by seed and row, so rows are the same everywhere.
 */
#include <kiln/text.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "base/rng.h"

#define DEFAULT_ROWS 10000

enum {
    FIRST_YEAR = 1900,
    DAYS = 73049, /* of 200 years */
    MAX_FORMS = 10,
    ROOM = 96
};

/*
 * What stands in a form:  d day, D of two digits, o ordinal;  m month, M of two digits, b its short name, B its name;
 * y year of two digits, Y of four;  w short weekday, W weekday. Anything else follows a backslash or is no letter.
 */
struct language {
    const char *month[12], *short_month[12];
    const char *day[7], *short_day[7]; /* from Monday */
    const char *form[MAX_FORMS];
};

/* clang-format off */
static const struct language languages[] = {
    {   {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
        {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
        {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"},
        {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"},
        {"B d, Y", "W, B o, Y", "\\t\\h\\e o \\o\\f B Y", "d B Y", "w, d b Y", "b d, 'y", "m/d/Y", "M/D/y", "D b Y", "B o Y"}},
    {   {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
        {"Jan.", "Feb.", "Mrz.", "Apr.", "Mai", "Jun.", "Jul.", "Aug.", "Sep.", "Okt.", "Nov.", "Dez."},
        {"Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"},
        {"Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"},
        {"d. B Y", "W, d. B Y", "W, \\d\\e\\n d. B Y", "D.M.Y", "d.m.Y", "d.m.y", "d. b Y", "w, D.M.Y", "\\a\\m d. B Y"}},
    {   {"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
        {"janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."},
        {"lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"},
        {"lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."},
        {"d B Y", "\\l\\e d B Y", "W d B Y", "d b Y", "w d b Y", "D.M.Y"}},
    {   {"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
        {"ene.", "feb.", "mar.", "abr.", "may.", "jun.", "jul.", "ago.", "sept.", "oct.", "nov.", "dic."},
        {"lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"},
        {"lun.", "mar.", "mié.", "jue.", "vie.", "sáb.", "dom."},
        {"d \\d\\e B \\d\\e Y", "W, d \\d\\e B \\d\\e Y", "\\e\\l d \\d\\e B \\d\\e Y", "d b Y", "d-m-Y"}},
    {   {"gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre"},
        {"gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"},
        {"lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"},
        {"lun", "mar", "mer", "gio", "ven", "sab", "dom"},
        {"d B Y", "W d B Y", "\\i\\l d B Y", "d b Y", "w d b y", "D.M.y"}},
    {   {"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"},
        {"jan.", "feb.", "mrt.", "apr.", "mei", "jun.", "jul.", "aug.", "sep.", "okt.", "nov.", "dec."},
        {"maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"},
        {"ma", "di", "wo", "do", "vr", "za", "zo"},
        {"d B Y", "W d B Y", "D-M-Y", "d-m-y", "\\o\\p d B Y", "w d b Y"}},
    {   {"janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro"},
        {"jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez."},
        {"segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"},
        {"seg.", "ter.", "qua.", "qui.", "sex.", "sáb.", "dom."},
        {"d \\d\\e B \\d\\e Y", "W, d \\d\\e B \\d\\e Y", "d b Y", "\\e\\m d \\d\\e B \\d\\e Y"}},
};
/* clang-format on */

struct date {
    int year, month, day, weekday; /* from 1, from 0: Monday */
};

/* Day 0 is 1 January 1900, a Monday. By whole eras of 400 years from 1 March 0000 (Hinnant, "chrono-compatible date algorithms"). */
static struct date date_of(int number)
{
    const int z = number + 693901, era = z / 146097, of_era = z % 146097;
    const int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int of_year = of_era - (365 * year + year / 4 - year / 100), m = (5 * of_year + 2) / 153;
    const int month = m < 10 ? m + 3 : m - 9;
    return (struct date){.year = year + era * 400 + (month <= 2),
                         .month = month,
                         .day = of_year - (153 * m + 2) / 5 + 1,
                         .weekday = number % 7};
}

static const char *ending(int day)
{
    if (day >= 11 && day <= 13)
        return "th";
    return day % 10 == 1 ? "st" : day % 10 == 2 ? "nd" : day % 10 == 3 ? "rd" : "th";
}

/* One letter of a form; how many bytes. */
static int put(char *to, size_t room, char code, const struct language *l, const struct date *d)
{
    switch (code) {
    case 'd':
        return snprintf(to, room, "%d", d->day);
    case 'D':
        return snprintf(to, room, "%02d", d->day);
    case 'o':
        return snprintf(to, room, "%d%s", d->day, ending(d->day));
    case 'm':
        return snprintf(to, room, "%d", d->month);
    case 'M':
        return snprintf(to, room, "%02d", d->month);
    case 'b':
        return snprintf(to, room, "%s", l->short_month[d->month - 1]);
    case 'B':
        return snprintf(to, room, "%s", l->month[d->month - 1]);
    case 'y':
        return snprintf(to, room, "%02d", d->year % 100);
    case 'Y':
        return snprintf(to, room, "%d", d->year);
    case 'w':
        return snprintf(to, room, "%s", l->short_day[d->weekday]);
    case 'W':
        return snprintf(to, room, "%s", l->day[d->weekday]);
    default:
        return snprintf(to, room, "%c", code);
    }
}

static void write_date(char text[ROOM], const char *form, const struct language *l, const struct date *d)
{
    int used = 0;
    for (; *form && used < ROOM - 16; form++) {
        if (*form == '\\')
            used += snprintf(text + used, (size_t)(ROOM - used), "%c", *++form);
        else
            used += put(text + used, (size_t)(ROOM - used), *form, l, d);
    }
    text[used] = '\0';
}

/* Now and then A to Z in small letters, or a to z in capitals; others stay. */
static void change_case(char text[ROOM], struct kiln_rng *rng)
{
    const uint32_t how = kiln_rng_below(rng, 16);
    for (char *c = text; how < 2 && *c; c++)
        *c = (char)(how == 0 && *c >= 'A' && *c <= 'Z'   ? *c - 'A' + 'a'
                    : how == 1 && *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A'
                                                         : *c);
}

static bool is_left_out(uint32_t day)
{
    return (day * 2654435761u) >> 28 == 0;
}

static struct date draw_date(struct kiln_rng *rng, bool unseen)
{
    uint32_t day;
    do
        day = kiln_rng_below(rng, DAYS);
    while (is_left_out(day) != unseen);
    return date_of((int)day);
}

static const char *draw_form(struct kiln_rng *rng, const struct language *l, const struct date *d)
{
    uint32_t count = 0;
    const char *form;
    while (count < MAX_FORMS && l->form[count])
        count++;
    do
        form = l->form[kiln_rng_below(rng, count)];
    while (strchr(form, 'y') && (d->year < 1970 || d->year > 2069));
    return form;
}

static kiln_status add_row(kiln_texts *written, kiln_texts *iso, struct kiln_rng *rng, bool unseen)
{
    const struct date d = draw_date(rng, unseen);
    const struct language *l = &languages[kiln_rng_below(rng, sizeof languages / sizeof *languages)];
    char text[ROOM];
    write_date(text, draw_form(rng, l, &d), l, &d);
    change_case(text, rng);
    kiln_status status = kiln_texts_add(written, text);
    snprintf(text, sizeof text, "%04d-%02d-%02d", d.year, d.month, d.day);
    return status ? status : kiln_texts_add(iso, text);
}

kiln_status kiln_dates_generate(kiln_texts *written, kiln_texts *iso, const kiln_dates_params *params)
{
    const kiln_dates_params none = {0}, *p = params ? params : &none;
    const int64_t rows = p->rows ? p->rows : DEFAULT_ROWS;
    const uint64_t stream = kiln_rng_stream("dates");
    kiln_status status = KILN_OK;
    if (rows < 0)
        return kiln_fail(KILN_ERROR_ARGUMENT, "dates: %lld rows", (long long)rows);
    for (int64_t i = 0; i < rows && !status; i++) {
        struct kiln_rng rng;
        kiln_rng_init(&rng, p->seed, stream + (uint64_t)i);
        status = add_row(written, iso, &rng, p->unseen);
    }
    return status;
}
