/* report_junit.c - a run's report in JUnit's XML. See report.h. */
#include "check/markup.h"
#include "check/report.h"

static void add_property(struct kiln_text *to, const char *name, const char *value)
{
    kiln_text_add(to, "    <property name=\"%s\" value=\"", name);
    check_add_escaped(to, value);
    kiln_text_add(to, "\"/>\n");
}

static void add_outcome(struct kiln_text *to, const struct check_report *r, const struct check_entry *e)
{
    char command[400];

    if (e->status == CHECK_FAILED) {
        check_repeat_command(r, e, command, sizeof command);
        kiln_text_add(to, "\n    <failure message=\"");
        check_add_escaped(to, e->what);
        kiln_text_add(to, "\">repeat: ");
        check_add_escaped(to, command);
        kiln_text_add(to, "</failure>\n  ");
    } else if (e->status != CHECK_PASSED) {
        kiln_text_add(to, "\n    <skipped message=\"");
        check_add_escaped(to, e->status == CHECK_UNCOUNTED ? "compared with itself alone" : e->what);
        kiln_text_add(to, "\"/>\n  ");
    }
}

static void add_case(struct kiln_text *to, const struct check_report *r, const struct check_entry *e)
{
    kiln_text_add(to, "  <testcase classname=\"%s.%s\" name=\"", e->one->op->name,
                  kiln_type_name(e->one->type));
    check_add_escaped(to, e->one->name);
    kiln_text_add(to, "\" time=\"%.6f\">", e->took);
    add_outcome(to, r, e);
    kiln_text_add(to, "</testcase>\n");
}

static void add_probe(struct kiln_text *to, const struct check_probe *p)
{
    kiln_text_add(to, "  <testcase classname=\"device\" name=\"%s\">", p->name);
    if (p->status != CHECK_PASSED) {
        kiln_text_add(to, p->status == CHECK_FAILED ? "<failure message=\"" : "<skipped message=\"");
        check_add_escaped(to, p->what);
        kiln_text_add(to, "\"/>");
    }
    kiln_text_add(to, "</testcase>\n");
}

kiln_status check_write_junit(const struct check_report *r, const char *path)
{
    struct kiln_text to = {0};

    kiln_text_add(&to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"kiln check\"");
    kiln_text_add(&to, " tests=\"%d\" failures=\"%d\" skipped=\"%d\" time=\"%.3f\">\n",
                  r->entry.count + r->probe.count, r->failed,
                  r->count[CHECK_UNCOUNTED] + r->count[CHECK_INAPPLICABLE], r->seconds);
    kiln_text_add(&to, "  <properties>\n");
    add_property(&to, "device", r->device.title);
    add_property(&to, "driver", r->device.driver);
    add_property(&to, "limits", r->limits ? r->limits : "");
    kiln_text_add(&to, "  </properties>\n");
    for (int i = 0; i < r->entry.count; i++)
        add_case(&to, r, &r->entry.data[i]);
    for (int i = 0; i < r->probe.count; i++)
        add_probe(&to, &r->probe.data[i]);
    kiln_text_add(&to, "</testsuite>\n");
    return check_save(&to, path);
}
