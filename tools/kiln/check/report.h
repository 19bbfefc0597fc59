/*
 * report.h - a run's report, for people and for programs.
 *
 * A JSON document is
 *
 *   {"device": {"name", "title", "driver"}, "kiln", "limits", "seed", "seconds",
 *    "cases": [{"name", "op", "type", "status": "pass" | "fail", "runs", "share", "error", "ulp", ..}],
 *    "not_applicable": [{"name", "why"}], "not_counted": ["name"], "not_reached": ["kernel variant"]}
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
void check_print_json(const struct check_report *r, struct json *j);

#endif
