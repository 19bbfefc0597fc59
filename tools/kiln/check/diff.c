/* diff.c - see diff.h. */
#include "check/diff.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/vec.h"
#include "config.h"

#if KILN_HAVE_JSON
#include "check/document.h"

enum { SHOWN = 20 };             /* ratios at the most */
static const double notable = 4; /* times the error of the other */

struct ratio {
    const char *name;
    double a, b, times;
};

struct diff {
    struct check_document a, b;
    KILN_VEC(struct ratio) ratios;
    int changes;
};

/* Statuses --------------------------------------------------------------------------------------------------- */

static void print_change(struct diff *d, const char *name, const char *a, const char *b)
{
    if (!d->changes++)
        printf("\nstatus:\n");
    printf("  %-50s %-8s -> %s\n", name, a, b);
}

static const char *status_of(const struct check_document *doc, const char *name)
{
    const cJSON *one = check_document_case(doc, name);
    return one ? check_text_of(one, "status") : check_document_skips(doc, name) ? "n/a" : "absent";
}

static void compare_statuses(struct diff *d)
{
    for (int i = 0; i < d->a.cases.count; i++) {
        const char *name = check_text_of(d->a.cases.data[i], "name");
        const char *a = status_of(&d->a, name), *b = status_of(&d->b, name);
        if (strcmp(a, b))
            print_change(d, name, a, b);
    }
    for (int i = 0; i < d->b.cases.count; i++) {
        const char *name = check_text_of(d->b.cases.data[i], "name");
        if (!check_document_case(&d->a, name))
            print_change(d, name, status_of(&d->a, name), status_of(&d->b, name));
    }
}

/* Errors ----------------------------------------------------------------------------------------------------- */

static int by_times(const void *x, const void *y)
{
    const double a = ((const struct ratio *)x)->times, b = ((const struct ratio *)y)->times;
    return (a < b) - (a > b);
}

/* As a share of its bound, which tells half storage from float; a twentieth is as good as none. */
static double error_of(const cJSON *one)
{
    return fmax(0.05, check_number_of(one, "share"));
}

static bool collect_ratios(struct diff *d)
{
    for (int i = 0; i < d->a.cases.count; i++) {
        const cJSON *one = d->a.cases.data[i], *other;
        const char *name = check_text_of(one, "name");
        if (!(other = check_document_case(&d->b, name)))
            continue;
        const double a = error_of(one), b = error_of(other), times = a > b ? a / b : b / a;
        if (times >= notable && !kiln_vec_push(&d->ratios, (struct ratio){name, a, b, times}))
            return false;
    }
    if (d->ratios.count)
        qsort(d->ratios.data, (size_t)d->ratios.count, sizeof *d->ratios.data, by_times);
    return true;
}

static void print_ratios(const struct diff *d)
{
    if (d->ratios.count)
        printf("\nerrors that differ by %g times and more, as shares of their bounds:\n", notable);
    for (int i = 0; i < d->ratios.count && i < SHOWN; i++)
        printf("  %-50s %10.3g %10.3g  %.1f times\n", d->ratios.data[i].name, d->ratios.data[i].a,
               d->ratios.data[i].b, d->ratios.data[i].times);
    if (d->ratios.count > SHOWN)
        printf("  and %d more\n", d->ratios.count - SHOWN);
}

static void print_device(const char *which, const struct check_document *doc)
{
    const cJSON *device = cJSON_GetObjectItemCaseSensitive(doc->root, "device");
    printf("%s: %s, %s: %d cases\n", which, check_text_of(device, "title"), check_text_of(device, "driver"),
           doc->cases.count);
}

kiln_status check_diff(const char *a, const char *b, bool *same)
{
    struct diff d = {0};
    kiln_status status = check_document_load(&d.a, a);

    *same = true;
    if (!status)
        status = check_document_load(&d.b, b);
    if (!status) {
        print_device("A", &d.a);
        print_device("B", &d.b);
        compare_statuses(&d);
        status = collect_ratios(&d) ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "check: no memory to compare");
        print_ratios(&d);
        printf("\n%d cases have another status, %d another error\n", d.changes, d.ratios.count);
        *same = d.changes == 0;
    }
    kiln_vec_finish(&d.ratios);
    check_document_finish(&d.a);
    check_document_finish(&d.b);
    return status;
}

#else

kiln_status check_diff(const char *a, const char *b, bool *same)
{
    (void)a, (void)b;
    *same = false;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "check: this build has no cJSON to read reports with");
}

#endif
