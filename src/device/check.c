/*
 * check.c - a command list against its own rules and against a device's limits, before a backend sees it.
 *
 * Backends rely on what is checked here and check nothing again. The limits of a grid, of bindings' alignment
 * and of a workgroup are a GPU's; the CPU has none of them.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "device/device.h"

struct check {
    const struct kiln_commands *list;
    const kiln_caps *caps;
    int at;    /* the command */
    int depth; /* of repeats around it */
};

/* Fail with the segment and the command in front. */
static kiln_status refuse(const struct check *c, kiln_status status, const char *format, ...)
    KILN_FORMAT(3, 4);

static kiln_status refuse(const struct check *c, kiln_status status, const char *format, ...)
{
    const struct kiln_command *command = &c->list->command[c->at];
    char reason[256];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return kiln_fail(status, "segment \"%s\", command %d (%s): %s", c->list->name ? c->list->name : "", c->at,
                     command->label ? command->label : "unnamed", reason);
}

static const char *name_of(const struct check *c, int buffer)
{
    const char *name = c->list->buffer_name ? c->list->buffer_name[buffer] : NULL;
    return name ? name : "buffer";
}

/* The span lies in a buffer of the list and is not empty. */
static kiln_status check_span(const struct check *c, const struct kiln_span *span)
{
    const struct kiln_commands *list = c->list;

    if (span->buffer < 0 || span->buffer >= list->buffer_count || !list->buffer[span->buffer])
        return refuse(c, KILN_ERROR_ARGUMENT, "buffer %d is none of the list's %d", span->buffer,
                      list->buffer_count);
    if (span->bytes == 0)
        return refuse(c, KILN_ERROR_ARGUMENT, "the range at %s+%" PRIu64 " is empty",
                      name_of(c, span->buffer), span->offset);

    const uint64_t room = list->buffer[span->buffer]->bytes;
    if (span->offset > room || span->bytes > room - span->offset)
        return refuse(c, KILN_ERROR_ARGUMENT,
                      "the range %s+%" PRIu64 ":%" PRIu64 " leaves the buffer of %" PRIu64 " bytes",
                      name_of(c, span->buffer), span->offset, span->bytes, room);
    return KILN_OK;
}

/* Index KILN_MAX_BINDINGS is the scratch. */
static kiln_status check_binding(const struct check *c, const struct kiln_span *span, int index,
                                 uint64_t texel)
{
    const kiln_caps *caps = c->caps;
    const kiln_status status = check_span(c, span);

    if (status)
        return status;
    if (texel && span->bytes / texel > caps->max_texels)
        return refuse(c, KILN_ERROR_UNSUPPORTED,
                      "binding %d reads %" PRIu64 " texels, the device has %" PRIu64, index,
                      span->bytes / texel, caps->max_texels);
    if (span->bytes > caps->max_binding)
        return refuse(c, KILN_ERROR_UNSUPPORTED,
                      "binding %d covers %" PRIu64 " bytes, the device binds %" PRIu64, index, span->bytes,
                      caps->max_binding);
    if (caps->backend != KILN_BACKEND_CPU && span->offset % caps->alignment != 0)
        return refuse(c, KILN_ERROR_UNSUPPORTED,
                      "binding %d begins at %" PRIu64 ", the device wants multiples of %u", index,
                      span->offset, caps->alignment);
    return KILN_OK;
}

static kiln_status check_bindings(const struct check *c, const struct kiln_dispatch_command *d)
{
    const kiln_variant *variant = d->dispatch->variant;
    uint32_t storage = d->scratch.buffer >= 0 && !variant->scratch_fours; /* buffers bound as such */
    kiln_status status;

    for (int i = 0; i < d->dispatch->kernel->bindings; i++) {
        const bool texels = variant->texels >> i & 1;
        if (d->bind[i].buffer < 0)
            continue;
        const uint64_t texel = (d->dispatch->halves >> i & 1 ? 2 : 4) * (variant->fours >> i & 1 ? 4 : 1);
        if ((status = check_binding(c, &d->bind[i], i, texels ? texel : 0)))
            return status;
        storage += !texels;
    }
    if (d->scratch.buffer >= 0 &&
        (status = check_binding(c, &d->scratch, KILN_MAX_BINDINGS, variant->scratch_fours ? 16 : 0)))
        return status;
    if (c->caps->backend != KILN_BACKEND_CPU && storage > c->caps->max_bindings)
        return refuse(c, KILN_ERROR_UNSUPPORTED, "it binds %u buffers, the device allows %u", storage,
                      c->caps->max_bindings);
    return KILN_OK;
}

static kiln_status check_grid(const struct check *c, const struct kiln_dispatch_command *d)
{
    const uint32_t lanes = d->dispatch->variant->lanes ? d->dispatch->variant->lanes : 64;

    for (int i = 0; i < 3; i++)
        if (d->groups[i] == 0 || d->groups[i] > c->caps->max_groups)
            return refuse(c, KILN_ERROR_UNSUPPORTED, "axis %d has %u groups, the device runs 1 to %u", i,
                          d->groups[i], c->caps->max_groups);
    if ((uint64_t)d->groups[0] * d->groups[1] * d->groups[2] < d->count)
        return refuse(c, KILN_ERROR_ARGUMENT, "a grid of %u x %u x %u holds no %" PRIu64 " groups",
                      d->groups[0], d->groups[1], d->groups[2], d->count);
    if (lanes > c->caps->max_invocations)
        return refuse(c, KILN_ERROR_UNSUPPORTED, "a workgroup has %u invocations, the device runs %u", lanes,
                      c->caps->max_invocations);
    return KILN_OK;
}

static kiln_status check_elements(const struct check *c, const struct kiln_span *span, uint32_t unit)
{
    const kiln_status status = check_span(c, span);

    if (!status && (span->bytes % unit || span->offset % unit))
        return refuse(c, KILN_ERROR_ARGUMENT,
                      "the range %s+%" PRIu64 ":%" PRIu64 " is not made of %u-byte elements",
                      name_of(c, span->buffer), span->offset, span->bytes, unit);
    return status;
}

static kiln_status check_dispatch(const struct check *c, const struct kiln_dispatch_command *d)
{
    const kiln_dispatch *dispatch = d->dispatch;
    kiln_status status;

    if (!dispatch || !dispatch->kernel || !dispatch->variant)
        return refuse(c, KILN_ERROR_ARGUMENT, "a dispatch without kernel or variant");
    if (dispatch->block_size > KILN_MAX_BLOCK || dispatch->constant_count > KILN_MAX_CONSTANTS)
        return refuse(c, KILN_ERROR_ARGUMENT, "a block of %u bytes and %d constants; %d and %d fit",
                      dispatch->block_size, dispatch->constant_count, KILN_MAX_BLOCK, KILN_MAX_CONSTANTS);
    if (d->count == 0)
        return refuse(c, KILN_ERROR_ARGUMENT, "a dispatch of no groups");
    if ((status = check_bindings(c, d)))
        return status;
    if (d->indirect.bytes && (status = check_elements(c, &d->indirect, 4)))
        return status;
    if (d->indirect.bytes && d->indirect.bytes != 12)
        return refuse(c, KILN_ERROR_ARGUMENT, "its groups are %" PRIu64 " bytes, wanted three words",
                      d->indirect.bytes);
    return c->caps->backend == KILN_BACKEND_CPU ? KILN_OK : check_grid(c, d);
}

static kiln_status check_copy(const struct check *c, const struct kiln_span *from, const struct kiln_span *to)
{
    kiln_status status;

    const uint32_t least = c->caps->backend == KILN_BACKEND_CPU ? 1 : 2; /* bytes of an element */
    if ((status = check_elements(c, from, least)) || (status = check_elements(c, to, least)))
        return status;
    if (from->bytes != to->bytes)
        return refuse(c, KILN_ERROR_ARGUMENT, "it copies %" PRIu64 " bytes to %" PRIu64, from->bytes,
                      to->bytes);
    if (c->list->buffer[from->buffer] == c->list->buffer[to->buffer] &&
        from->offset < to->offset + to->bytes && to->offset < from->offset + from->bytes)
        return refuse(c, KILN_ERROR_ARGUMENT, "it copies %s+%" PRIu64 ":%" PRIu64 " onto itself",
                      name_of(c, from->buffer), from->offset, from->bytes);
    return KILN_OK;
}

static kiln_status check_repeat(struct check *c, const struct kiln_command *command)
{
    c->depth++;
    if (command->as.repeat.count == 0)
        return refuse(c, KILN_ERROR_ARGUMENT, "a repeat of no turns");
    return command->as.repeat.flag.bytes ? check_elements(c, &command->as.repeat.flag, 4) : KILN_OK;
}

static kiln_status check_end(struct check *c)
{
    if (c->depth-- > 0)
        return KILN_OK;
    return refuse(c, KILN_ERROR_ARGUMENT, "the end of a repeat that never began");
}

static kiln_status check_command(struct check *c, const struct kiln_command *command)
{
    switch (command->kind) {
    case KILN_COMMAND_DISPATCH:
        return check_dispatch(c, &command->as.dispatch);
    case KILN_COMMAND_COPY:
        return check_copy(c, &command->as.copy.from, &command->as.copy.to);
    case KILN_COMMAND_FILL:
        return check_elements(c, &command->as.fill.to, 4);
    case KILN_COMMAND_BARRIER:
        return KILN_OK;
    case KILN_COMMAND_REPEAT:
        return check_repeat(c, command);
    case KILN_COMMAND_END:
        return check_end(c);
    }
    return refuse(c, KILN_ERROR_ARGUMENT, "%d is no kind of command", (int)command->kind);
}

kiln_status kiln_commands_check(const struct kiln_commands *list, const kiln_caps *caps)
{
    struct check c = {.list = list, .caps = caps};

    for (; c.at < list->count; c.at++) {
        const kiln_status status = check_command(&c, &list->command[c.at]);
        if (status)
            return status;
    }
    c.at--;
    return c.depth ? refuse(&c, KILN_ERROR_ARGUMENT, "%d repeats have no end", c.depth) : KILN_OK;
}

double kiln_traffic(const struct kiln_dispatch_command *c)
{
    const kiln_kernel *kernel = c->dispatch->kernel;
    double bytes = 0;

    if (kernel->traffic)
        return (double)kernel->traffic(c->dispatch);
    for (int i = 0; i < kernel->bindings; i++)
        bytes += c->bind[i].buffer < 0 ? 0 : (double)c->bind[i].bytes;
    return bytes;
}
