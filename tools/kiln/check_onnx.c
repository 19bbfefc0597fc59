/* check_onnx.c - see check_onnx.h. */
#include "check_onnx.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/threads.h"
#include "check/isolate.h"
#include "check/markup.h"
#include "check/onnx_case.h"
#include "check/report.h"
#include "config.h"
#include "json.h"

struct entry {
    const struct check_onnx_case *one;
    struct check_onnx_outcome outcome;
};

struct suite {
    const struct check_onnx_options *o;
    struct check_onnx_cases cases;
    kiln_device *dev; /* in the process that runs the cases */
    kiln_device_info info;
    KILN_VEC(struct entry) entry;
    int count[CHECK_INAPPLICABLE + 1];
    double seconds;
};

/* Running --------------------------------------------------------------------------------------------------------- */

static void print_entry(const struct entry *e)
{
    static const char *const verdicts[] = {
        [CHECK_PASSED] = "passed", [CHECK_FAILED] = "failed", [CHECK_INAPPLICABLE] = "n/a"};
    const struct check_onnx_outcome *o = &e->outcome;
    printf("%-6s  %s%s%s\n", verdicts[o->status], e->one->name, o->why[0] ? ": " : "", o->why);
}

/* In a process of its own: a driver may crash, and a fork of a process that holds a device has none. */
static kiln_status open_device(void *user, void *greeting)
{
    struct suite *s = user;
    const kiln_status status = kiln_device_open(&s->dev, &(kiln_device_params){.name = s->o->device});
    if (!status)
        memcpy(greeting, kiln_device_get_info(s->dev), sizeof(kiln_device_info));
    return status;
}

static void run_there(void *user, int index, void *answer)
{
    struct suite *s = user;
    check_onnx_run(answer, s->dev, &s->cases.item.data[index], NULL);
}

static void close_device(void *user)
{
    struct suite *s = user;
    kiln_device_close(&s->dev);
}

static kiln_status run_one(struct suite *s, struct check_isolated *p, int index)
{
    struct entry e = {.one = &s->cases.item.data[index]};
    const double start = kiln_seconds();
    if (!check_isolate_call(p, index, &e.outcome, e.outcome.why, sizeof e.outcome.why)) {
        e.outcome.status = CHECK_FAILED;
        e.outcome.took = kiln_seconds() - start;
    }
    s->count[e.outcome.status]++;
    if (!s->o->json)
        print_entry(&e);
    return kiln_vec_push(&s->entry, e) ? KILN_OK
                                       : kiln_fail(KILN_ERROR_MEMORY, "check: no memory for a report");
}

static kiln_status run_cases(struct suite *s, struct check_isolated *p)
{
    kiln_status status = KILN_OK;
    int wanted = 0;
    for (int i = 0; i < s->cases.item.count && !status; i++) {
        const struct check_filter *f = s->o->filter;
        if (!check_is_wanted(f, s->cases.item.data[i].name))
            continue;
        if (!f->parts || wanted % f->parts == f->part - 1)
            status = run_one(s, p, i);
        wanted++;
        if (s->o->fail_fast && s->count[CHECK_FAILED])
            break;
    }
    return status;
}

static kiln_status run_isolated(struct suite *s)
{
    const struct check_work work = {.begin = open_device,
                                    .call = run_there,
                                    .end = close_device,
                                    .user = s,
                                    .greeting_size = sizeof s->info,
                                    .answer_size = sizeof(struct check_onnx_outcome),
                                    .limit = s->o->limit};
    struct check_isolated p = {.work = &work};
    const double start = kiln_seconds();
    kiln_status status = check_isolate_begin(&p, &s->info);
    if (!status)
        status = run_cases(s, &p);
    check_isolate_end(&p);
    s->seconds = kiln_seconds() - start;
    return status;
}

/* Reports --------------------------------------------------------------------------------------------------------- */

static void print_json(const struct suite *s)
{
    struct json j = {0};
    json_open(&j, NULL, '{');
    json_open(&j, "device", '{');
    json_text(&j, "name", s->info.name);
    json_text(&j, "title", s->info.title);
    json_text(&j, "driver", s->info.driver);
    json_close(&j);
    json_text(&j, "kiln", KILN_VERSION);
    json_number(&j, "seconds", s->seconds);
    json_open(&j, "cases", '[');
    for (int i = 0; i < s->entry.count; i++) {
        const struct entry *e = &s->entry.data[i];
        json_open(&j, NULL, '{');
        json_text(&j, "name", e->one->name);
        json_text(&j, "path", e->one->path);
        json_text(&j, "status", check_status_text(e->outcome.status));
        json_number(&j, "took", e->outcome.took);
        if (e->outcome.why[0])
            json_text(&j, "why", e->outcome.why);
        json_close(&j);
    }
    json_close(&j);
    json_number(&j, "passed", s->count[CHECK_PASSED]);
    json_number(&j, "failed", s->count[CHECK_FAILED]);
    json_number(&j, "not_applicable", s->count[CHECK_INAPPLICABLE]);
    json_close(&j);
}

static void add_testcase(struct kiln_text *to, const struct entry *e)
{
    kiln_text_add(to, "  <testcase classname=\"onnx\" name=\"");
    check_add_escaped(to, e->one->name);
    kiln_text_add(to, "\" time=\"%.6f\">", e->outcome.took);
    if (e->outcome.status != CHECK_PASSED) {
        kiln_text_add(to, e->outcome.status == CHECK_FAILED ? "<failure message=\"" : "<skipped message=\"");
        check_add_escaped(to, e->outcome.why);
        kiln_text_add(to, "\"/>");
    }
    kiln_text_add(to, "</testcase>\n");
}

static kiln_status write_junit(const struct suite *s)
{
    struct kiln_text to = {0};
    kiln_text_add(&to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"kiln check --onnx\"");
    kiln_text_add(&to, " tests=\"%d\" failures=\"%d\" skipped=\"%d\" time=\"%.3f\">\n", s->entry.count,
                  s->count[CHECK_FAILED], s->count[CHECK_INAPPLICABLE], s->seconds);
    kiln_text_add(&to, "  <properties>\n    <property name=\"device\" value=\"");
    check_add_escaped(&to, s->info.title);
    kiln_text_add(&to, "\"/>\n    <property name=\"driver\" value=\"");
    check_add_escaped(&to, s->info.driver);
    kiln_text_add(&to, "\"/>\n  </properties>\n");
    for (int i = 0; i < s->entry.count; i++)
        add_testcase(&to, &s->entry.data[i]);
    kiln_text_add(&to, "</testsuite>\n");
    return check_save(&to, s->o->junit);
}

static kiln_status report(const struct suite *s)
{
    if (s->o->json)
        print_json(s);
    else
        printf("%d passed, %d failed, %d not applicable in %.0f s\n", s->count[CHECK_PASSED],
               s->count[CHECK_FAILED], s->count[CHECK_INAPPLICABLE], s->seconds);
    return s->o->junit ? write_junit(s) : KILN_OK;
}

int check_onnx(const struct check_onnx_options *options)
{
    struct suite s = {.o = options};
    kiln_status status = KILN_OK;
    int code = ARGS_FAILED;
    for (int i = 0; i < options->folders->count && !status; i++)
        status = check_onnx_find(&s.cases, options->folders->item[i]);
    if (!status)
        status = run_isolated(&s);
    if (!status && !s.entry.count)
        code = args_wrong("check", "no case of ONNX's in these folders is asked for");
    else if (!status)
        code = report(&s) || s.count[CHECK_FAILED] ? ARGS_FAILED : ARGS_DONE;
    kiln_vec_finish(&s.entry);
    check_onnx_finish(&s.cases);
    return code;
}
