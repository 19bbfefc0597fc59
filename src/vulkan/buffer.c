/*
 * buffer.c - buffers: a VkBuffer each, over a piece of memory.c's blocks, or an application's.
 *
 * Sizes are rounded up to 16 bytes, so that the last texel and the last word are always there.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "vulkan/vk.h"

static kiln_status create_handle(struct vk_device *dev, struct vk_buffer *b, const char *name)
{
    kiln_status status = KILN_OK;
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = b->bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                 VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                 VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT,
    };
    if (b->bytes > dev->common.caps.max_allocation)
        return kiln_fail(KILN_ERROR_MEMORY,
                         "buffer \"%s\": %" PRIu64 " bytes are more than the %" PRIu64
                         " that %s allocates at once; kiln holds %" PRIu64 " bytes there",
                         name, (uint64_t)b->bytes, dev->common.caps.max_allocation, dev->common.info.title,
                         (uint64_t)atomic_load(&dev->common.memory_used));
    VK(dev, dev->api.vkCreateBuffer(dev->handle, &info, NULL, &b->handle));
    return kiln_vk_memory_take(dev, b, name);

fail:
    return status;
}

kiln_status kiln_vk_buffer_create(kiln_device *device, const struct kiln_buffer_params *params,
                                  struct kiln_buffer **out)
{
    struct vk_device *dev = (struct vk_device *)device;
    kiln_status status = kiln_vk_alive(dev);
    struct vk_buffer *b = NULL;
    *out = NULL;
    if (status)
        return status;
    b = calloc(1, sizeof *b);
    if (!b)
        return kiln_fail(KILN_ERROR_MEMORY, "buffer \"%s\": no memory on the host", params->name);

    b->common.bytes = params->bytes;
    b->heap = params->heap;
    b->common.imported = params->import != NULL;
    b->start = params->import_offset;
    b->bytes = b->common.imported ? params->bytes : params->bytes ? (params->bytes + 15) / 16 * 16 : 16;
    if (b->common.imported)
        b->handle = (VkBuffer)(uintptr_t)params->import;
    else
        status = create_handle(dev, b, params->name);
    if (status) {
        kiln_vk_buffer_destroy(device, &b->common);
        return status;
    }
    *out = &b->common;
    return KILN_OK;
}

void kiln_vk_buffer_destroy(kiln_device *device, struct kiln_buffer *buffer)
{
    struct vk_device *dev = (struct vk_device *)device;
    struct vk_buffer *b = (struct vk_buffer *)buffer;
    if (!b->common.imported && b->handle)
        dev->api.vkDestroyBuffer(dev->handle, b->handle, NULL);
    kiln_vk_memory_give(dev, b);
    free(b);
}
