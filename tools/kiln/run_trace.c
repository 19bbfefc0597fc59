/*
 * run_trace.c - the commands of the last run as Chrome's trace events, which Perfetto opens (ui.perfetto.dev): a track for the
 * host, one for the device, a slice a command.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "profile.h"
#include "run.h"

enum { PROCESS = 1, HOST = 1, DEVICE = 2 };

static void name_track(struct json *j, const char *what, int track, const char *name)
{
    json_open(j, NULL, '{');
    json_text(j, "name", what);
    json_text(j, "ph", "M");
    json_number(j, "pid", PROCESS);
    json_number(j, "tid", track);
    json_open(j, "args", '{');
    json_text(j, "name", name);
    json_close(j);
    json_close(j);
}

/* A slice that is left open for its args. */
static void open_slice(struct json *j, const char *name, const char *kind, int track, double begin,
                       double seconds)
{
    json_open(j, NULL, '{');
    json_text(j, "name", name);
    json_text(j, "cat", kind);
    json_text(j, "ph", "X");
    json_number(j, "pid", PROCESS);
    json_number(j, "tid", track);
    json_number(j, "ts", begin * 1e6);
    json_number(j, "dur", seconds * 1e6);
}

/* Commands of a wave may run at once; on one track each begins where the one before it ended. */
static void add_commands(struct json *j, const kiln_command_time *t, int count, double began)
{
    double free_from = 0;
    for (int i = 0; i < count; i++) {
        const double end = t[i].begin + t[i].seconds, begin = fmax(t[i].begin, free_from);
        if (!(t[i].seconds > 0))
            continue;
        open_slice(j, t[i].op ? t[i].op : t[i].kernel, t[i].kernel, DEVICE, began + begin,
                   fmax(end - begin, 0));
        json_open(j, "args", '{');
        json_text(j, "node", t[i].node);
        json_text(j, "kernel", t[i].kernel);
        json_text(j, "variant", t[i].variant);
        json_number(j, "bytes", (double)t[i].bytes);
        json_number(j, "flops", t[i].flops);
        json_close(j);
        json_close(j);
        free_from = fmax(free_from, end);
    }
}

static void write_events(const struct run *r, FILE *to, const kiln_command_time *t, int count)
{
    struct json j = {.to = to};
    json_open(&j, NULL, '{');
    json_text(&j, "displayTimeUnit", "ms");
    json_open(&j, "traceEvents", '[');
    name_track(&j, "process_name", HOST, r->o->model);
    name_track(&j, "thread_name", HOST, "host");
    name_track(&j, "thread_name", DEVICE, kiln_device_get_info(r->dev)->title);
    open_slice(&j, "load", "host", HOST, 0, r->load);
    json_close(&j);
    open_slice(&j, "first run", "host", HOST, r->load, r->first);
    json_close(&j);
    const double began = r->o->repeat ? r->load + r->first : r->load;
    if (r->o->repeat) {
        open_slice(&j, "last run", "host", HOST, began, r->last);
        json_close(&j);
    }
    add_commands(&j, t, count, began);
    json_close(&j);
    json_close(&j);
}

kiln_status run_write_trace(const struct run *r)
{
    int count;
    double seconds = 0;
    kiln_command_time *t = profile_read(r->program, &count);
    if (!t)
        return KILN_ERROR_MEMORY;
    for (int i = 0; i < count; i++)
        seconds += t[i].seconds;
    FILE *to = seconds > 0 ? fopen(r->o->profile, "w") : NULL;
    kiln_status status = KILN_OK;
    if (!(seconds > 0))
        status = run_wrong("%s cannot time its commands", kiln_device_get_info(r->dev)->title);
    else if (!to)
        status = run_wrong("%s: %s", r->o->profile, strerror(errno));
    if (to) {
        write_events(r, to, t, count);
        if (fclose(to))
            status = run_wrong("%s: %s", r->o->profile, strerror(errno));
    }
    free(t);
    return status;
}
