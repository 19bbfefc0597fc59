/*
 * single.c - one dispatch by itself: arrays are copied to the device, the dispatch runs, what it wrote is
 * copied back.
 *
 * Three lists over four buffers: the arrays lie one behind the other, at the same offsets on the host, on
 * the device, and on the way back. Behind each lies a guard that the dispatch sees as part of its binding: not a
 * number to what reads there, and what writes there is told.
 */
#include "recorder/single.h"

#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "base/threads.h"

enum { UPLOAD, ARRAYS, READBACK, SCRATCH, BUFFERS };

/* A binding may be as long as a device can take: long arrays have none. */
enum { GUARD = 64, GUARDED = 1 << 18 };

static const char *const names[BUFFERS] = {"upload", "arrays", "readback", "scratch"};
static const enum kiln_heap heaps[BUFFERS] = {KILN_HEAP_UPLOAD, KILN_HEAP_DEVICE, KILN_HEAP_READBACK,
                                              KILN_HEAP_DEVICE};

struct run {
    kiln_device *dev;
    kiln_dispatch dispatch;
    const struct kiln_single *arrays;
    uint64_t offset[KILN_MAX_BINDINGS];
    uint64_t scratch; /* bytes */
    struct kiln_buffer *buffer[BUFFERS];
    struct kiln_baked *in, *body, *out;
};

/* Of an array with what is behind it, in whole words, unless a texel buffer has room for the array alone. */
static uint64_t length_of(const struct run *r, int binding)
{
    const uint64_t bytes = r->arrays->bytes[binding], guarded = kiln_round_up(bytes, 4) + GUARD;
    const uint64_t texels = guarded / (r->dispatch.halves >> binding & 1 ? 2 : 4),
                   most = r->dev->caps.max_texels;
    return bytes > GUARDED || (most && texels > most) ? bytes : guarded;
}

/* Of every byte: no number to what reads floats there, and to what is written another than what may be read elsewhere. */
static unsigned char guard_of(const struct run *r, int binding)
{
    return r->dispatch.kernel->access[binding] < KILN_WRITE ? 0xff : 0xfe;
}

static struct kiln_span span_of(const struct run *r, int buffer, int binding)
{
    if (!r->arrays->data[binding])
        return (struct kiln_span){.buffer = -1};
    return (struct kiln_span){buffer, r->offset[binding], length_of(r, binding)};
}

/* Lay out the arrays and make the buffers. */
static kiln_status create_buffers(struct run *r)
{
    uint64_t bytes = 0;
    for (int i = 0; i < r->dispatch.kernel->bindings; i++) {
        r->offset[i] = bytes;
        if (r->arrays->data[i])
            bytes += kiln_round_up(length_of(r, i), r->dev->caps.alignment);
    }
    for (int i = 0; i < BUFFERS; i++) {
        const struct kiln_buffer_params params = {.bytes = i == SCRATCH ? r->scratch : bytes,
                                                  .heap = heaps[i],
                                                  .name = names[i]};
        kiln_status status;
        if (params.bytes && (status = kiln_buffer_create(r->dev, &params, &r->buffer[i])))
            return status;
    }
    return KILN_OK;
}

static kiln_status bake(struct run *r, const char *name, struct kiln_command *command, int count,
                        struct kiln_baked **out)
{
    const struct kiln_commands list = {
        .command = command,
        .count = count,
        .buffer = r->buffer,
        .buffer_name = names,
        .buffer_count = r->scratch ? BUFFERS : SCRATCH,
        .name = name,
    };
    return kiln_bake(r->dev, &list, out);
}

/* Copies of all arrays that have one of these accesses. */
static kiln_status bake_copies(struct run *r, const char *name, int from, int to, bool written,
                               struct kiln_baked **out)
{
    struct kiln_command command[KILN_MAX_BINDINGS];
    int count = 0;
    for (int i = 0; i < r->dispatch.kernel->bindings; i++) {
        const bool writes = r->dispatch.kernel->access[i] >= KILN_WRITE;
        if (r->arrays->data[i] && (!written || writes))
            command[count++] = (struct kiln_command){.kind = KILN_COMMAND_COPY,
                                                     .label = "array",
                                                     .as.copy = {span_of(r, from, i), span_of(r, to, i)}};
    }
    return bake(r, name, command, count, out);
}

/* The grid as x, y, z within the device's limit. */
static void fold(uint64_t count, uint32_t most, uint32_t groups[3])
{
    for (int i = 0; i < 3; i++) {
        groups[i] = count < most ? (uint32_t)count : most;
        count = (count + groups[i] - 1) / groups[i];
    }
}

static kiln_status bake_body(struct run *r)
{
    const kiln_dispatch *d = &r->dispatch;
    const kiln_caps *caps = &r->dev->caps;
    struct kiln_command command = {.kind = KILN_COMMAND_DISPATCH, .label = d->kernel->name};
    struct kiln_dispatch_command *c = &command.as.dispatch;
    c->dispatch = d;
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        c->bind[i] = i < d->kernel->bindings ? span_of(r, ARRAYS, i) : (struct kiln_span){.buffer = -1};
    c->scratch = (struct kiln_span){r->scratch ? SCRATCH : -1, 0, r->scratch};
    c->count = d->variant->groups ? d->variant->groups(caps, d) : d->kernel->units(d);
    c->flops = d->kernel->flops ? d->kernel->flops(d) : 0;
    fold(c->count, caps->max_groups, c->groups);
    return bake(r, "single", &command, 1, &r->body);
}

static kiln_status submit(struct run *r, struct kiln_baked *work)
{
    kiln_ticket ticket;
    const kiln_status status = kiln_submit(r->dev, &work, 1, &ticket);
    return status ? status : kiln_wait(r->dev, ticket);
}

static kiln_status copy_in(struct run *r)
{
    for (int i = 0; i < r->dispatch.kernel->bindings; i++)
        if (r->arrays->data[i]) {
            char *to = (char *)r->buffer[UPLOAD]->map + r->offset[i];
            const size_t bytes = r->arrays->bytes[i];
            memcpy(to, r->arrays->data[i], bytes);
            memset(to + bytes, guard_of(r, i), length_of(r, i) - bytes);
        }
    return submit(r, r->in);
}

/* Whether the guard behind an array that came back is not as it was. A last half shares its word. */
static bool is_beyond(const struct run *r, int binding)
{
    const unsigned char *at = (const unsigned char *)r->buffer[READBACK]->map + r->offset[binding];
    for (uint64_t i = kiln_round_up(r->arrays->bytes[binding], 4); i < length_of(r, binding); i++)
        if (at[i] != guard_of(r, binding))
            return true;
    return false;
}

static kiln_status copy_out(struct run *r, void *const *to)
{
    const kiln_status status = submit(r, r->out);
    for (int i = 0; i < r->dispatch.kernel->bindings && !status; i++)
        if (to[i] && r->arrays->data[i] && r->dispatch.kernel->access[i] >= KILN_WRITE) {
            memcpy(to[i], (char *)r->buffer[READBACK]->map + r->offset[i], r->arrays->bytes[i]);
            if (r->arrays->beyond)
                r->arrays->beyond[i] = is_beyond(r, i);
        }
    return status;
}

/* What the arrays held still lies in the upload buffer. */
static kiln_status run_again(struct run *r)
{
    kiln_status status = KILN_OK;
    bool wanted = false;
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        wanted |= r->arrays->again[i] != NULL;
    if (wanted && !(status = submit(r, r->in)) && !(status = submit(r, r->body)))
        status = copy_out(r, r->arrays->again);
    return status;
}

static bool works_in_place(const kiln_dispatch *d)
{
    bool some = false;
    for (int i = 0; i < d->kernel->bindings; i++)
        some |= d->kernel->access[i] == KILN_READ_WRITE;
    return some;
}

/* What works in place finds its arrays as they were each time: its own results may be none that it can take. */
static kiln_status run_timed(struct run *r, int repeat, double *seconds)
{
    for (int i = 0; i < repeat; i++) {
        kiln_status status = works_in_place(&r->dispatch) ? submit(r, r->in) : KILN_OK;
        const double start = kiln_seconds();
        if (!status)
            status = submit(r, r->body);
        const double took = kiln_seconds() - start;
        if (status)
            return status;
        *seconds = i == 0 || took < *seconds ? took : *seconds;
    }
    return KILN_OK;
}

kiln_status kiln_single_run(kiln_device *dev, const kiln_dispatch *d, const struct kiln_single *arrays,
                            int repeat, double *seconds)
{
    struct run r = {.dev = dev, .dispatch = *d, .arrays = arrays};
    kiln_status status;
    if (!r.dispatch.variant && !(r.dispatch.variant = kiln_choose(dev, d)))
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "kernel %s has no code for %s", d->kernel->name,
                         dev->info.name);
    r.scratch = kiln_bound_scratch(dev, &r.dispatch);

    if (!(status = create_buffers(&r)) && !(status = bake_copies(&r, "in", UPLOAD, ARRAYS, false, &r.in)) &&
        !(status = bake_body(&r)) && !(status = bake_copies(&r, "out", ARRAYS, READBACK, true, &r.out)) &&
        !(status = copy_in(&r)) && !(status = submit(&r, r.body)) && !(status = copy_out(&r, arrays->data)) &&
        !(status = run_again(&r)))
        status = run_timed(&r, repeat, seconds);

    kiln_unbake(dev, &r.out);
    kiln_unbake(dev, &r.body);
    kiln_unbake(dev, &r.in);
    for (int i = 0; i < BUFFERS; i++)
        kiln_buffer_destroy(dev, &r.buffer[i]);
    return status;
}
