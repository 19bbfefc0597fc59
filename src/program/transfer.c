/*
 * transfer.c - see transfer.h. Where the host cannot reach a buffer, its bytes go through a staging buffer of at most 16 MiB,
 * piece by piece: loading and saving weights, not the path of a run.
 */
#include "program/transfer.h"

#include <string.h>

enum { STAGING_BYTES = 16 << 20 };

bool kiln_buffer_is_host(const kiln_device *dev, const struct kiln_buffer *b)
{
    return dev->caps.backend == KILN_BACKEND_CPU && b->map;
}

/* Run one command and wait for it. */
static kiln_status run_alone(kiln_device *dev, struct kiln_command command, struct kiln_buffer **buffers,
                             int count)
{
    static const char *const names[] = {"device", "staging"};
    const struct kiln_commands list = {.command = &command,
                                       .count = 1,
                                       .buffer = buffers,
                                       .buffer_name = names,
                                       .buffer_count = count,
                                       .name = "copy"};
    struct kiln_baked *work = NULL;
    kiln_ticket ticket;
    kiln_status status = kiln_bake(dev, &list, &work);
    if (!status)
        status = kiln_submit(dev, &work, 1, &ticket);
    if (!status)
        status = kiln_wait(dev, ticket);
    kiln_unbake(dev, &work);
    return status;
}

static kiln_status staged(kiln_device *dev, struct kiln_buffer *b, uint64_t offset, unsigned char *host,
                          uint64_t bytes, bool write)
{
    struct kiln_buffer *staging = NULL;
    const uint64_t piece = bytes < STAGING_BYTES ? bytes : STAGING_BYTES;
    kiln_status status = kiln_buffer_create(dev,
                                            &(struct kiln_buffer_params){.bytes = piece,
                                                                         .name = "staging",
                                                                         .heap = write ? KILN_HEAP_UPLOAD
                                                                                       : KILN_HEAP_READBACK},
                                            &staging);
    for (uint64_t done = 0; done < bytes && !status; done += piece) {
        const uint64_t size = bytes - done < piece ? bytes - done : piece;
        const struct kiln_span there = {0, offset + done, size}, here = {1, 0, size};
        struct kiln_command copy = {.kind = KILN_COMMAND_COPY, .label = "transfer"};
        copy.as.copy.from = write ? here : there;
        copy.as.copy.to = write ? there : here;
        if (write)
            memcpy(staging->map, host + done, (size_t)size);
        status = run_alone(dev, copy, (struct kiln_buffer *[]){b, staging}, 2);
        if (!write && !status)
            memcpy(host + done, staging->map, (size_t)size);
    }
    kiln_buffer_destroy(dev, &staging);
    return status;
}

kiln_status kiln_buffer_read(kiln_device *dev, struct kiln_buffer *b, uint64_t offset, void *to,
                             uint64_t bytes)
{
    if (!kiln_buffer_is_host(dev, b))
        return bytes ? staged(dev, b, offset, to, bytes, false) : KILN_OK;
    memcpy(to, (const char *)b->map + offset, (size_t)bytes);
    return KILN_OK;
}

kiln_status kiln_buffer_write(kiln_device *dev, struct kiln_buffer *b, uint64_t offset, const void *from,
                              uint64_t bytes)
{
    if (!kiln_buffer_is_host(dev, b))
        return bytes ? staged(dev, b, offset, (unsigned char *)(uintptr_t)from, bytes, true) : KILN_OK;
    memcpy((char *)b->map + offset, from, (size_t)bytes);
    return KILN_OK;
}

kiln_status kiln_buffer_clear(kiln_device *dev, struct kiln_buffer *b)
{
    if (kiln_buffer_is_host(dev, b)) {
        memset(b->map, 0, (size_t)b->bytes);
        return KILN_OK;
    }
    struct kiln_command fill = {.kind = KILN_COMMAND_FILL, .label = "clear"};
    fill.as.fill.to = (struct kiln_span){0, 0, b->bytes};
    return run_alone(dev, fill, &b, 1);
}
