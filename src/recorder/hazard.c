/*
 * hazard.c - a sweep over the byte ranges that the commands between two barriers touch.
 *
 * The accesses of such a group are sorted by buffer and first byte. Walking them, it is enough to remember
 * how far the accesses so far reach: one that began earlier overlaps the one at hand exactly if it ends
 * behind its first byte. A write must meet no earlier access, a read no earlier write, of another command; so
 * for writes, and for accesses of either kind, the sweep keeps the one that reaches furthest and the one that
 * does so among other commands than that one's. n accesses take n log n steps.
 */
#include "recorder/hazard.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/vec.h"

struct access {
    int buffer, command;
    uint64_t begin, end; /* bytes [begin, end) */
    bool write;
};

typedef KILN_VEC(struct access) accesses;

/* The furthest-reaching access, and the furthest-reaching one of another command. */
struct reach {
    const struct access *first, *second;
};

struct hazard {
    const struct kiln_commands *list;
    accesses access; /* of the group at hand */
    bool failed;     /* out of memory */
};

/* The first index of the same buffer: a table may hold one buffer twice. */
static int identity(const struct kiln_commands *list, int buffer)
{
    if (list->buffer && list->buffer[buffer])
        for (int i = 0; i < buffer; i++)
            if (list->buffer[i] == list->buffer[buffer])
                return i;
    return buffer;
}

static void touch(struct hazard *h, int command, const struct kiln_span *span, bool write)
{
    if (span->buffer < 0 || span->bytes == 0)
        return;
    if (!kiln_vec_push(&h->access, (struct access){
                                       .buffer = identity(h->list, span->buffer),
                                       .command = command,
                                       .begin = span->offset,
                                       .end = span->offset + span->bytes,
                                       .write = write,
                                   }))
        h->failed = true;
}

static void collect(struct hazard *h, int index)
{
    const struct kiln_command *c = &h->list->command[index];

    switch (c->kind) {
    case KILN_COMMAND_DISPATCH:
        for (int i = 0; i < c->as.dispatch.dispatch->kernel->bindings; i++) {
            const kiln_access access = c->as.dispatch.dispatch->kernel->access[i];
            if (access != KILN_UNUSED)
                touch(h, index, &c->as.dispatch.bind[i], access != KILN_READ);
        }
        touch(h, index, &c->as.dispatch.scratch, true);
        if (c->as.dispatch.indirect.bytes)
            touch(h, index, &c->as.dispatch.indirect, false);
        break;
    case KILN_COMMAND_COPY:
        touch(h, index, &c->as.copy.from, false);
        touch(h, index, &c->as.copy.to, true);
        break;
    case KILN_COMMAND_FILL:
        touch(h, index, &c->as.fill.to, true);
        break;
    case KILN_COMMAND_BARRIER:
    case KILN_COMMAND_REPEAT:
    case KILN_COMMAND_END:
        break;
    }
}

static int by_place(const void *left, const void *right)
{
    const struct access *a = left, *b = right;

    if (a->buffer != b->buffer)
        return a->buffer < b->buffer ? -1 : 1;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->command > b->command) - (a->command < b->command);
}

/* Parts of one dispatch are one piece of work. */
static bool same_work(const struct kiln_commands *list, const struct access *a, const struct access *b)
{
    const struct kiln_command *x = &list->command[a->command], *y = &list->command[b->command];

    return a->command == b->command ||
           (x->kind == KILN_COMMAND_DISPATCH && y->kind == KILN_COMMAND_DISPATCH &&
            x->as.dispatch.dispatch == y->as.dispatch.dispatch);
}

static void extend(const struct kiln_commands *list, struct reach *r, const struct access *a)
{
    if (!r->first || a->end > r->first->end) {
        if (r->first && !same_work(list, r->first, a))
            r->second = r->first;
        r->first = a;
    } else if (!same_work(list, r->first, a) && (!r->second || a->end > r->second->end)) {
        r->second = a;
    }
}

/* An access of other work that reaches beyond the first byte of a; NULL: none. */
static const struct access *meets(const struct kiln_commands *list, const struct reach *r,
                                  const struct access *a)
{
    const struct access *other = r->first && same_work(list, r->first, a) ? r->second : r->first;
    return other && other->end > a->begin ? other : NULL;
}

static const char *label_of(const struct kiln_command *c)
{
    return c->label ? c->label : "unnamed";
}

static kiln_status report(const struct kiln_commands *list, const struct access *a, const struct access *b)
{
    const struct access *early = a->command < b->command ? a : b, *late = early == a ? b : a;
    const uint64_t begin = a->begin > b->begin ? a->begin : b->begin, end = a->end < b->end ? a->end : b->end;
    const char *name = list->buffer_name ? list->buffer_name[a->buffer] : NULL;

    return kiln_fail(KILN_ERROR_DEVICE,
                     "segment \"%s\": no barrier between command %d (%s), which %s, and command %d "
                     "(%s), which %s %s+%" PRIu64 ":%" PRIu64,
                     list->name ? list->name : "", early->command, label_of(&list->command[early->command]),
                     early->write ? "writes" : "reads", late->command,
                     label_of(&list->command[late->command]), late->write ? "writes" : "reads",
                     name ? name : "buffer", begin, end - begin);
}

static kiln_status check_group(struct hazard *h)
{
    struct reach writes = {0}, any = {0};

    if (h->failed)
        return kiln_fail(KILN_ERROR_MEMORY, "no memory to look for hazards");
    if (h->access.count > 1)
        qsort(h->access.data, (size_t)h->access.count, sizeof *h->access.data, by_place);
    for (int i = 0; i < h->access.count; i++) {
        const struct access *a = &h->access.data[i], *other;

        if (i > 0 && a[-1].buffer != a->buffer)
            writes = any = (struct reach){0};
        if ((other = meets(h->list, a->write ? &any : &writes, a)))
            return report(h->list, other, a);
        extend(h->list, &any, a);
        if (a->write)
            extend(h->list, &writes, a);
    }
    h->access.count = 0;
    return KILN_OK;
}

/* The ends of a repeat part the commands around it from those within, and the last of a turn from the first of the next. */
static bool is_barrier(enum kiln_command_kind kind)
{
    return kind == KILN_COMMAND_BARRIER || kind == KILN_COMMAND_REPEAT || kind == KILN_COMMAND_END;
}

kiln_status kiln_hazard_check(const struct kiln_commands *list)
{
    struct hazard h = {.list = list};
    kiln_status status = KILN_OK;

    for (int i = 0; i < list->count && !status; i++) {
        if (is_barrier(list->command[i].kind))
            status = check_group(&h);
        else
            collect(&h, i);
    }
    if (!status)
        status = check_group(&h);
    kiln_vec_finish(&h.access);
    return status;
}
