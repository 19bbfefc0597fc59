/* report_html.c - a run's report as a page. See report.h. */
#include <inttypes.h>
#include <stdlib.h>

#include "check/markup.h"
#include "check/report.h"
#include "config.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>kiln check</title>\n<style>\n"
    "body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }\n"
    "table { border-collapse: collapse; margin: 1rem 0 2rem; width: 100%; }\n"
    "th, td { border-bottom: 1px solid #ddd; padding: .2rem .6rem; text-align: right; }\n"
    "th:first-child, td:first-child, td.text { text-align: left; }\n"
    "code { font: 13px/1.4 ui-monospace, monospace; }\n"
    ".failed { color: #b00020; font-weight: 600; } .passed { color: #1b7f3b; }\n"
    ".bar { background: #e8eef8; display: inline-block; height: .7em; }\n"
    "</style></head><body>\n";

static void add_identity(struct kiln_text *to, const struct check_report *r)
{
    const bool failed = r->count[CHECK_FAILED] > 0;

    kiln_text_add(to, "<h1>kiln check: <span class=\"%s\">%d passed, %d failed</span></h1>\n<p>",
                  failed ? "failed" : "passed", r->count[CHECK_PASSED], r->count[CHECK_FAILED]);
    check_add_escaped(to, r->device.title);
    kiln_text_add(to, "<br>");
    check_add_escaped(to, r->device.driver);
    kiln_text_add(to, "<br>kiln " KILN_VERSION ", seed %" PRIu64 "%s%s, %.0f s; %d cases do not apply, ",
                  r->seed, r->limits ? ", limits " : "", r->limits ? r->limits : "", r->seconds,
                  r->count[CHECK_INAPPLICABLE]);
    kiln_text_add(to, "%d are not counted</p>\n", r->count[CHECK_UNCOUNTED]);
}

static void add_failures(struct kiln_text *to, const struct check_report *r)
{
    char command[400];

    if (!r->count[CHECK_FAILED])
        return;
    kiln_text_add(to, "<h2>Failures</h2>\n<table><tr><th>case</th><th>what</th></tr>\n");
    for (int i = 0; i < r->entry.count; i++) {
        const struct check_entry *e = &r->entry.data[i];
        if (e->status != CHECK_FAILED)
            continue;
        check_repeat_command(r, e, command, sizeof command);
        kiln_text_add(to, "<tr><td>");
        check_add_escaped(to, e->one->name);
        kiln_text_add(to, "</td><td class=\"text\">");
        check_add_escaped(to, e->what);
        kiln_text_add(to, "<br><code>");
        check_add_escaped(to, command);
        kiln_text_add(to, "</code></td></tr>\n");
    }
    kiln_text_add(to, "</table>\n");
}

static void add_probes(struct kiln_text *to, const struct check_report *r)
{
    if (!r->probe.count)
        return;
    kiln_text_add(to, "<h2>The device</h2>\n<table><tr><th>probe</th><th>status</th><th>what</th></tr>\n");
    for (int i = 0; i < r->probe.count; i++) {
        const struct check_probe *p = &r->probe.data[i];
        kiln_text_add(to, "<tr><td>%s</td><td%s>%s</td><td class=\"text\">", p->name,
                      p->status == CHECK_FAILED ? " class=\"failed\"" : "", check_status_text(p->status));
        check_add_escaped(to, p->what);
        kiln_text_add(to, "</td></tr>\n");
    }
    kiln_text_add(to, "</table>\n");
}

static void add_share(struct kiln_text *to, double share)
{
    const double shown = share <= 1 ? share : 1;

    kiln_text_add(to, "<td class=\"text\"><span class=\"bar\" style=\"width:%.0fpx\"></span> %.0f %%</td>",
                  120 * shown, 100 * share);
}

static void add_groups(struct kiln_text *to, const struct check_report *r)
{
    int count = 0;
    struct check_group *groups = check_group_entries(r, &count);

    kiln_text_add(
        to, "<h2>Operators</h2>\n<table><tr><th>operator</th><th>type</th><th>shapes</th><th>passed</th>"
            "<th>failed</th><th>worst ulp</th><th>gradient checks</th><th>worst</th>"
            "<th class=\"text\">of the bound</th></tr>\n");
    for (int i = 0; i < count; i++) {
        const struct check_group *g = &groups[i];
        kiln_text_add(to, "<tr><td>%s</td><td>%s</td><td>%d</td><td>%d</td><td%s>%d</td><td>%.3g</td>",
                      g->op->name, kiln_type_name(g->type), g->shapes, g->count[CHECK_PASSED],
                      g->count[CHECK_FAILED] ? " class=\"failed\"" : "", g->count[CHECK_FAILED], g->ulp);
        if (g->slopes)
            kiln_text_add(to, "<td>%d</td><td>%.1e</td>", g->slopes, g->slope_error);
        else
            kiln_text_add(to, "<td></td><td></td>");
        add_share(to, g->share);
        kiln_text_add(to, "</tr>\n");
    }
    kiln_text_add(to, "</table>\n");
    free(groups);
}

static void add_tallies(struct kiln_text *to, const struct check_report *r)
{
    kiln_text_add(to,
                  "<h2>Kernels</h2>\n<table><tr><th>kernel</th><th>variant</th><th>runs</th><th>failed</th>"
                  "<th>worst error</th><th>ulp</th><th class=\"text\">of the bound</th></tr>\n");
    for (int i = 0; i < r->tally.count; i++) {
        const struct check_tally *t = &r->tally.data[i];
        kiln_text_add(to, "<tr><td>%s</td><td>%s</td><td>%d</td><td%s>%d</td><td>%.1e</td><td>%.3g</td>",
                      t->kernel->name, t->variant->name, t->runs, t->failed ? " class=\"failed\"" : "",
                      t->failed, t->error, t->ulp);
        add_share(to, t->share);
        kiln_text_add(to, "</tr>\n");
    }
    kiln_text_add(to, "</table>\n");
    for (int i = 0; i < r->unreached.count && r->whole; i++)
        kiln_text_add(to, "<p class=\"failed\">uncovered: %s %s</p>\n", r->unreached.data[i].kernel->name,
                      r->unreached.data[i].variant->name);
}

kiln_status check_write_html(const struct check_report *r, const char *path)
{
    struct kiln_text to = {0};

    kiln_text_add(&to, "%s", head);
    add_identity(&to, r);
    add_failures(&to, r);
    add_probes(&to, r);
    add_groups(&to, r);
    add_tallies(&to, r);
    kiln_text_add(&to, "</body></html>\n");
    return check_save(&to, path);
}
