/*
 * run.h - cases run on a device, and what came of them: what every report is written from.
 */
#ifndef KILN_TOOLS_CHECK_RUN_H
#define KILN_TOOLS_CHECK_RUN_H

#include <signal.h>

#include "base/vec.h"
#include "check/case.h"
#include "device/device.h"

enum check_status {
    CHECK_PASSED,
    CHECK_FAILED,
    CHECK_UNCOUNTED,    /* passed, but compared with itself alone */
    CHECK_INAPPLICABLE, /* the device has no code for it */
};

/** A case and how it did. */
struct check_entry {
    const struct check_case *one;
    enum check_status status;
    int runs;            /* of a dispatch by a variant */
    int reach, reached;  /* which variants: so many of the report's reach, from this one on */
    double share;        /* of the bound, the largest; above 1 fails */
    double error, ulp;   /* as in compare.h, the largest */
    int slopes;          /* directions along which the gradient was compared with differences */
    double slope_error;  /* the worst of them */
    double took;         /* seconds that checking it took */
    double seconds;      /* of one run of each dispatch by its first variant; 0 where not timed */
    double flops, bytes; /* of it */
    char what[400];      /* why it failed, or does not apply; "" */
};

/** A variant of a kernel and how it did in all cases. */
struct check_tally {
    const kiln_kernel *kernel;
    const kiln_variant *variant;
    int runs, failed;
    int spared; /* times that it was there for a tuner alone */
    double share, error, ulp;
    double gflops, gbytes; /* the best rates seen */
    /* on a device that runs nothing: each statistic of its compiler, the largest, and so many of them */
    struct kiln_statistic *statistic;
    int statistics;
    int usual; /* runs in which it pays */
};

/** What is true of the device as a whole (probes.h). */
struct check_probe {
    char name[48];
    enum check_status status;
    char what[200];
};

struct check_options {
    const char *device;         /* as kiln_device_params.name */
    struct check_filter filter; /* its seed is that of the operands' values, too */
    bool bench;
    bool probe;     /* the device as a whole, too */
    bool fail_fast; /* end with the first case that fails */
    /* not 0: end with the case under way; NULL: nobody interrupts */
    const volatile sig_atomic_t *interrupted;
    /** Called as each case ends; may be NULL. */
    void (*tell)(void *user, const struct check_entry *entry);
    void *user;
};

/** What came of a run. Zero-initialise; check_report_finish. */
struct check_report {
    kiln_device_info device;
    bool idle;          /* it runs nothing: what has passed was compiled */
    const char *limits; /* KILN_LIMITS, or NULL */
    uint64_t seed;
    struct check_cases cases;
    KILN_VEC(struct check_entry) entry;
    KILN_VEC(struct check_probe) probe;
    KILN_VEC(struct check_tally) tally;
    KILN_VEC(int) reach; /* tallies: the variants of each entry */
    /* Variants that a device of another kind would run a dispatch by; others that no case of all, or of a part of all, reached. */
    KILN_VEC(struct check_tally) elsewhere, unreached;
    bool whole;                        /* all cases: what is unreached is uncovered */
    int count[CHECK_INAPPLICABLE + 1]; /* entries by status */
    int failed;                        /* entries and probes */
    double seconds;
};

/**
 * Run the cases. A case that fails is an entry, and no error.
 * Errors: the device's; ERROR_MEMORY.
 */
kiln_status check_run(struct check_report *report, const struct check_options *options);

void check_report_finish(struct check_report *report);

#endif
