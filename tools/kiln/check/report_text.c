/* report_text.c - a run's report for people. See report.h. */
#include <inttypes.h>
#include <stdio.h>

#include "check/report.h"

void check_repeat_command(const struct check_report *r, const struct check_entry *e, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s%s%skiln check --device %s --case %s --seed %" PRIu64,
             r->limits ? "KILN_LIMITS=" : "", r->limits ? r->limits : "", r->limits ? " " : "",
             r->device.name, e->one->name, r->seed);
}

const char *check_status_text(enum check_status status)
{
    return status == CHECK_FAILED ? "fail" : status == CHECK_INAPPLICABLE ? "n/a" : "pass";
}

/* Of a device that runs nothing: what its compiler made of all its runs, at the worst. */
static void print_compiled(const struct check_tally *t)
{
    printf("%-22s %-18s %6d compiled", t->kernel->name, t->variant->name, t->runs);
    for (int i = 0; i < t->statistics; i++)
        if (t->statistic[i].value != 0)
            printf("%s%s %.10g", i ? ", " : "  ", t->statistic[i].name, t->statistic[i].value);
    putchar('\n');
}

static void print_tally(const struct check_tally *t, bool rates)
{
    printf("%-22s %-18s %6d runs", t->kernel->name, t->variant->name, t->runs);
    if (t->failed)
        printf(", %d FAILED", t->failed);
    printf("  error %.1e, %9.3g ulp, %3.0f %% of its bound", t->error, t->ulp, 100 * t->share);
    if (rates && t->gflops > 0)
        printf("  %8.2f GFLOP/s", t->gflops);
    if (rates)
        printf("  %8.2f GB/s", t->gbytes);
    putchar('\n');
}

static void print_entries(const struct check_report *r, enum check_status status, const char *as)
{
    for (int i = 0; i < r->entry.count; i++) {
        const struct check_entry *e = &r->entry.data[i];
        if (e->status == status)
            printf("%s: %s%s%s\n", as, e->one->name, e->what[0] ? ": " : "", e->what);
    }
}

/* Only a run of all cases can say. */
static void print_unreached(const struct check_report *r)
{
    for (int i = 0; i < r->unreached.count && r->whole; i++)
        printf("uncovered: %s %s\n", r->unreached.data[i].kernel->name, r->unreached.data[i].variant->name);
    if (r->whole && r->unreached.count)
        printf("uncovered variants: %d\n", r->unreached.count);
    else if (r->whole)
        printf("uncovered variants: none\n");
}

void check_print_text(const struct check_report *r, bool rates)
{
    for (int i = 0; i < r->tally.count; i++)
        if (r->idle)
            print_compiled(&r->tally.data[i]);
        else
            print_tally(&r->tally.data[i], rates);
    for (int i = 0; i < r->probe.count; i++)
        printf("%-40s %-4s  %s\n", r->probe.data[i].name, check_status_text(r->probe.data[i].status),
               r->probe.data[i].what);
    print_entries(r, CHECK_INAPPLICABLE, "does not apply");
    print_entries(r, CHECK_UNCOUNTED, "not counted");
    print_unreached(r);
    printf("%d passed, %d failed", r->count[CHECK_PASSED], r->count[CHECK_FAILED]);
    if (r->count[CHECK_UNCOUNTED])
        printf(", %d not counted", r->count[CHECK_UNCOUNTED]);
    if (r->count[CHECK_INAPPLICABLE])
        printf(", %d do not apply", r->count[CHECK_INAPPLICABLE]);
    printf(" in %.0f s\n", r->seconds);
}
