/* print.c - a command list as text: one line a command. */
#include "recorder/print.h"

#include <inttypes.h>

#include "base/text.h"

static void add_span(struct kiln_text *t, const struct kiln_commands *list, const struct kiln_span *span)
{
    const char *name = list->buffer_name ? list->buffer_name[span->buffer] : NULL;

    if (name)
        kiln_text_add(t, " %s", name);
    else
        kiln_text_add(t, " buffer%d", span->buffer);
    kiln_text_add(t, "+%" PRIu64 ":%" PRIu64, span->offset, span->bytes);
}

/* The bindings of one access, after their word. */
static void add_bindings(struct kiln_text *t, const struct kiln_commands *list,
                         const struct kiln_dispatch_command *d, kiln_access access, const char *word)
{
    bool first = true;

    for (int i = 0; i < d->dispatch->kernel->bindings; i++) {
        if (d->dispatch->kernel->access[i] != access || d->bind[i].buffer < 0)
            continue;
        if (first)
            kiln_text_add(t, " %s", word);
        first = false;
        add_span(t, list, &d->bind[i]);
    }
}

static void add_dispatch(struct kiln_text *t, const struct kiln_commands *list,
                         const struct kiln_dispatch_command *d)
{
    const kiln_dispatch *dispatch = d->dispatch;
    const kiln_variant *variant = dispatch->variant;

    kiln_text_add(t, "%s %s [%s] %s %" PRIu64, d->indirect.bytes ? "dispatch_indirect" : "dispatch",
                  dispatch->kernel->name, variant ? variant->name : "none",
                  variant && variant->run ? "units" : "groups", d->count);
    if (d->first > 0)
        kiln_text_add(t, " from %" PRIu64, d->first);
    add_bindings(t, list, d, KILN_READ, "in");
    add_bindings(t, list, d, KILN_READ_WRITE, "inout");
    add_bindings(t, list, d, KILN_WRITE, "out");
    if (d->scratch.buffer >= 0) {
        kiln_text_add(t, " using");
        add_span(t, list, &d->scratch);
    }
    if (d->indirect.bytes) {
        kiln_text_add(t, " as many as");
        add_span(t, list, &d->indirect);
    }
}

static void add_command(struct kiln_text *t, const struct kiln_commands *list, const struct kiln_command *c)
{
    switch (c->kind) {
    case KILN_COMMAND_DISPATCH:
        add_dispatch(t, list, &c->as.dispatch);
        break;
    case KILN_COMMAND_COPY:
        kiln_text_add(t, "copy");
        add_span(t, list, &c->as.copy.from);
        kiln_text_add(t, " to");
        add_span(t, list, &c->as.copy.to);
        break;
    case KILN_COMMAND_FILL:
        kiln_text_add(t, "fill");
        add_span(t, list, &c->as.fill.to);
        kiln_text_add(t, " with 0x%08" PRIx32, c->as.fill.value);
        break;
    case KILN_COMMAND_BARRIER:
        kiln_text_add(t, "barrier");
        break;
    case KILN_COMMAND_REPEAT:
        kiln_text_add(t, "repeat %" PRIu64, c->as.repeat.count);
        if (c->as.repeat.flag.bytes) {
            kiln_text_add(t, " while");
            add_span(t, list, &c->as.repeat.flag);
        }
        break;
    case KILN_COMMAND_END:
        kiln_text_add(t, "end");
        break;
    }
    if (c->label && c->kind != KILN_COMMAND_BARRIER && c->kind != KILN_COMMAND_END)
        kiln_text_add(t, " ; %s", c->label);
    kiln_text_add(t, "\n");
}

static void add_counts(struct kiln_text *t, const struct kiln_commands *list)
{
    static const char *const words[][2] = {
        [KILN_COMMAND_DISPATCH] = {"dispatch", "dispatches"},
        [KILN_COMMAND_COPY] = {"copy", "copies"},
        [KILN_COMMAND_FILL] = {"fill", "fills"},
        [KILN_COMMAND_BARRIER] = {"barrier", "barriers"},
        [KILN_COMMAND_REPEAT] = {"repeat", "repeats"},
    };
    int count[KILN_COMMAND_KINDS] = {0};

    for (int i = 0; i < list->count; i++)
        count[list->command[i].kind]++;
    kiln_text_add(t, "%s:", list->name ? list->name : "commands");
    for (int i = 0; i < (count[KILN_COMMAND_REPEAT] ? 5 : 4); i++)
        kiln_text_add(t, "%s %d %s", i > 0 ? "," : "", count[i], words[i][count[i] != 1]);
    kiln_text_add(t, "\n");
}

void kiln_commands_print(const struct kiln_commands *list, void (*write)(void *user, const char *text),
                         void *user)
{
    struct kiln_text line = {0};
    int depth = 0; /* of repeats */

    add_counts(&line, list);
    write(user, kiln_text_get(&line));
    for (int i = 0; i < list->count; i++) {
        kiln_text_finish(&line);
        depth -= list->command[i].kind == KILN_COMMAND_END;
        kiln_text_add(&line, "%d %*s", i, 2 * depth, "");
        depth += list->command[i].kind == KILN_COMMAND_REPEAT;
        add_command(&line, list, &list->command[i]);
        write(user, kiln_text_get(&line));
    }
    kiln_text_finish(&line);
}
