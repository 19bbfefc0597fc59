/*
 * report.h - a run's report, for people and for programs.
 *
 * The JSON document is
 *
 *   {"device": {"name", "title", "driver"}, "kiln", "limits", "seed", "seconds",
 *    "cases": [{"name", "op", "type", "status": "pass" | "fail", "runs", "share", "error", "ulp",
 *               "took", "reached": ["kernel variant"], ..}],
 *    "probes": [{"name", "status": "pass" | "fail" | "n/a", "what"}],
 *    "compiled": [{"kernel", "variant", "count", "usual", "statistics": {"VGPRs": .., ..}}], of a device that runs nothing,
 *    "not_applicable": [{"name", "why"}], "not_counted": ["name"], "not_reached": ["kernel variant"]}
 *
 * where share is the largest part of its bound that an error took, error the largest over its result's largest
 * magnitude, ulp the largest in units of the last place of the element's magnitude (bounds.h).
 */
#ifndef KILN_TOOLS_CHECK_REPORT_H
#define KILN_TOOLS_CHECK_REPORT_H

#include "check/run.h"
#include "json.h"

/** The command that repeats one case. */
void check_repeat_command(const struct check_report *r, const struct check_entry *e, char *text,
                          size_t bytes);

/** Variants, what was not counted or reached, and the last line: how many passed and failed. To stdout. */
void check_print_text(const struct check_report *r, bool rates);
/** To stdout. */
void check_print_json(const struct check_report *r, struct json *j);
/** JUnit's XML, as build servers read it: a class an operator and type. Errors: ERROR_FILE, ERROR_MEMORY. */
kiln_status check_write_junit(const struct check_report *r, const char *path);
/** One page without scripts, to be read anywhere. Errors: as above. */
kiln_status check_write_html(const struct check_report *r, const char *path);

/** An operator's cases of one type. */
struct check_group {
    const struct check_op *op;
    kiln_type type;
    int shapes, count[CHECK_INAPPLICABLE + 1];
    double share, ulp;
    int slopes;
    double slope_error;
};

/** "pass", "fail" or "n/a". */
const char *check_status_text(enum check_status status);

/** The groups of a report in its order: malloc'ed, `*count` of them; NULL when out of memory. */
struct check_group *check_group_entries(const struct check_report *r, int *count);

#endif
