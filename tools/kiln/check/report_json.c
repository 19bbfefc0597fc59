/* report_json.c - a run's report as one JSON document. See report.h. */
#include <stdio.h>

#include "check/report.h"
#include "config.h"

static void print_device(struct json *j, const kiln_device_info *info)
{
    json_open(j, "device", '{');
    json_text(j, "name", info->name);
    json_text(j, "title", info->title);
    json_text(j, "driver", info->driver);
    json_close(j);
}

static void print_reach(struct json *j, const struct check_report *r, const struct check_entry *e)
{
    json_open(j, "reached", '[');
    for (int i = 0; i < e->reached; i++) {
        const struct check_tally *t = &r->tally.data[r->reach.data[e->reach + i]];
        char text[120];
        snprintf(text, sizeof text, "%s %s", t->kernel->name, t->variant->name);
        json_text(j, NULL, text);
    }
    json_close(j);
}

static void print_case(struct json *j, const struct check_report *r, const struct check_entry *e)
{
    char command[400];

    json_open(j, NULL, '{');
    json_text(j, "name", e->one->name);
    json_text(j, "op", e->one->op->name);
    json_text(j, "type", kiln_type_name(e->one->type));
    json_text(j, "status", check_status_text(e->status));
    json_number(j, "runs", e->runs);
    json_number(j, "share", e->share);
    json_number(j, "error", e->error);
    json_number(j, "ulp", e->ulp);
    json_number(j, "took", e->took);
    print_reach(j, r, e);
    if (e->slopes) {
        json_number(j, "slopes", e->slopes);
        json_number(j, "slope_error", e->slope_error);
    }
    if (e->seconds > 0) {
        json_number(j, "seconds", e->seconds);
        json_number(j, "flops", e->flops);
        json_number(j, "bytes", e->bytes);
    }
    if (e->status == CHECK_FAILED) {
        check_repeat_command(r, e, command, sizeof command);
        json_text(j, "what", e->what);
        json_text(j, "repeat", command);
    }
    json_close(j);
}

static void print_cases(struct json *j, const struct check_report *r)
{
    json_open(j, "cases", '[');
    for (int i = 0; i < r->entry.count; i++)
        if (r->entry.data[i].status <= CHECK_FAILED)
            print_case(j, r, &r->entry.data[i]);
    json_close(j);
}

static void print_probes(struct json *j, const struct check_report *r)
{
    json_open(j, "probes", '[');
    for (int i = 0; i < r->probe.count; i++) {
        json_open(j, NULL, '{');
        json_text(j, "name", r->probe.data[i].name);
        json_text(j, "status", check_status_text(r->probe.data[i].status));
        json_text(j, "what", r->probe.data[i].what);
        json_close(j);
    }
    json_close(j);
}

/* Of a device that runs nothing: each variant, and the largest of each statistic. */
static void print_compiled(struct json *j, const struct check_report *r)
{
    json_open(j, "compiled", '[');
    for (int i = 0; i < r->tally.count; i++) {
        const struct check_tally *t = &r->tally.data[i];
        json_open(j, NULL, '{');
        json_text(j, "kernel", t->kernel->name);
        json_text(j, "variant", t->variant->name);
        json_number(j, "count", t->runs);
        json_number(j, "usual", t->usual);
        json_open(j, "statistics", '{');
        for (int k = 0; k < t->statistics; k++)
            json_number(j, t->statistic[k].name, t->statistic[k].value);
        json_close(j);
        json_close(j);
    }
    json_close(j);
}

static void print_others(struct json *j, const struct check_report *r)
{
    json_open(j, "not_applicable", '[');
    for (int i = 0; i < r->entry.count; i++) {
        const struct check_entry *e = &r->entry.data[i];
        if (e->status != CHECK_INAPPLICABLE)
            continue;
        json_open(j, NULL, '{');
        json_text(j, "name", e->one->name);
        json_text(j, "why", e->what);
        json_close(j);
    }
    json_close(j);
    json_open(j, "not_counted", '[');
    for (int i = 0; i < r->entry.count; i++)
        if (r->entry.data[i].status == CHECK_UNCOUNTED)
            json_text(j, NULL, r->entry.data[i].one->name);
    json_close(j);
    json_open(j, "not_reached", '[');
    for (int i = 0; i < r->unreached.count; i++) {
        char text[120];
        snprintf(text, sizeof text, "%s %s", r->unreached.data[i].kernel->name,
                 r->unreached.data[i].variant->name);
        json_text(j, NULL, text);
    }
    json_close(j);
}

void check_print_json(const struct check_report *r, struct json *j)
{
    json_open(j, NULL, '{');
    print_device(j, &r->device);
    json_text(j, "kiln", KILN_VERSION);
    if (r->limits)
        json_text(j, "limits", r->limits);
    json_number(j, "seed", (double)r->seed);
    json_number(j, "seconds", r->seconds);
    print_cases(j, r);
    print_probes(j, r);
    if (r->idle)
        print_compiled(j, r);
    print_others(j, r);
    json_close(j);
}
