/*
 * memory.c - device memory: few large blocks from the driver, cut into pieces.
 *
 * One pool per heap (device, upload, readback) and memory type. A pool's first block has 64 MiB, each
 * further one twice as many, up to the largest allocation or 1 GiB; what would fill more than half a block
 * gets an allocation of its own. A block is a list of gaps in order: taking looks for the first that fits,
 * giving back joins neighbours. An empty block goes back to the driver unless it is its pool's first and
 * only one.
 *
 *   device     local to the device; not mapped, so that every device is fed alike
 *   upload     mapped and coherent, uncached where there is a choice: the host only writes
 *   readback   mapped, cached where possible; where that is not coherent, each wait refreshes it
 */
#include <stdlib.h>
#include <string.h>

#include "vulkan/vk.h"

#define MIB         (VkDeviceSize)(1 << 20)
#define FIRST_BLOCK (64 * MIB)

static double mib(uint64_t bytes)
{
    return (double)bytes / (double)MIB;
}

/* Memory types ------------------------------------------------------------------------------------------- */

/* How well a memory type suits a heap; negative: not at all. Flags beyond these four ask for features. */
static int score(VkMemoryPropertyFlags flags, enum kiln_heap heap)
{
    const bool local = flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const bool visible = flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    const bool coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const bool cached = flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    if (flags & ~(VkMemoryPropertyFlags)15)
        return -1;
    if (heap == KILN_HEAP_DEVICE)
        return local ? !visible : -1;
    if (heap == KILN_HEAP_UPLOAD)
        return visible && coherent ? 2 * !local + !cached : -1;
    return visible ? 4 * cached + 2 * coherent + !local : -1;
}

/* The best of the types whose bits are set; false if none suits. */
static bool best_type(const struct vk_memory *memory, uint32_t bits, enum kiln_heap heap, uint32_t *type)
{
    int best = -1;
    for (uint32_t i = 0; i < memory->types.memoryTypeCount; i++) {
        const int s = score(memory->types.memoryTypes[i].propertyFlags, heap);
        if (bits >> i & 1 && s > best) {
            best = s;
            *type = i;
        }
    }
    return best >= 0;
}

/* Blocks ------------------------------------------------------------------------------------------------- */

static void destroy_block(struct vk_device *dev, struct vk_block *b)
{
    struct vk_block **link = &b->pool->block;
    while (*link && *link != b)
        link = &(*link)->next;
    if (*link) {
        *link = b->next;
        b->pool->block_count--;
    }
    if (b->memory) {
        dev->api.vkFreeMemory(dev->handle, b->memory, NULL);
        dev->memory.allocations--;
        dev->memory.held[dev->memory.types.memoryTypes[b->pool->type].heapIndex] -= b->bytes;
    }
    kiln_vec_finish(&b->gaps);
    free(b);
}

/* Ask the driver. A heap is never overdrawn, as some drivers would let it be until the memory is touched. */
static VkResult allocate(struct vk_device *dev, struct vk_block *b)
{
    struct vk_memory *memory = &dev->memory;
    const uint32_t heap = memory->types.memoryTypes[b->pool->type].heapIndex;
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = b->bytes,
        .memoryTypeIndex = b->pool->type,
    };
    if (memory->allocations >= dev->properties.limits.maxMemoryAllocationCount)
        return VK_ERROR_TOO_MANY_OBJECTS;
    if (b->bytes > memory->types.memoryHeaps[heap].size - memory->held[heap])
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const VkResult result = dev->api.vkAllocateMemory(dev->handle, &info, NULL, &b->memory);
    if (result != VK_SUCCESS) {
        b->memory = VK_NULL_HANDLE;
        return result;
    }
    memory->allocations++;
    memory->held[heap] += b->bytes;
    return VK_SUCCESS;
}

static VkResult create_block(struct vk_device *dev, struct vk_pool *pool, VkDeviceSize bytes,
                             struct vk_block **out)
{
    struct vk_block *b = calloc(1, sizeof *b);
    VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;
    *out = NULL;
    if (!b)
        return result;
    b->pool = pool;
    b->bytes = bytes;
    if (!kiln_vec_push(&b->gaps, (struct vk_range){.bytes = bytes}))
        goto fail;
    if ((result = allocate(dev, b)))
        goto fail;
    if (pool->mapped) {
        void *map = NULL;
        result = dev->api.vkMapMemory(dev->handle, b->memory, 0, VK_WHOLE_SIZE, 0, &map);
        if (result != VK_SUCCESS)
            goto fail;
        b->map = map;
    }
    b->next = pool->block;
    pool->block = b;
    pool->block_count++;
    *out = b;
    return VK_SUCCESS;

fail:
    destroy_block(dev, b);
    return result;
}

/* Cut `bytes` from the first gap that has them. */
static bool cut(struct vk_block *b, VkDeviceSize bytes, VkDeviceSize alignment, struct vk_range *out)
{
    if (!kiln_vec_reserve(&b->gaps, b->pieces + 3))
        return false;
    for (int i = 0; i < b->gaps.count; i++) {
        struct vk_range *gap = &b->gaps.data[i];
        const VkDeviceSize start = (gap->offset + alignment - 1) / alignment * alignment;
        const VkDeviceSize end = gap->offset + gap->bytes;
        if (start >= end || end - start < bytes)
            continue;
        *out = (struct vk_range){start, bytes};
        gap->bytes = start - gap->offset;
        if (start + bytes < end) {
            memmove(gap + 2, gap + 1, (size_t)(b->gaps.count - i - 1) * sizeof *gap);
            gap[1] = (struct vk_range){start + bytes, end - start - bytes};
            b->gaps.count++;
        }
        if (gap->bytes == 0)
            memmove(gap, gap + 1, (size_t)(--b->gaps.count - i) * sizeof *gap);
        b->pieces++;
        return true;
    }
    return false;
}

static void join(struct vk_block *b, int i)
{
    struct vk_range *gap = &b->gaps.data[i];
    if (i < 0 || i + 1 >= b->gaps.count || gap->offset + gap->bytes != gap[1].offset)
        return;
    gap->bytes += gap[1].bytes;
    memmove(gap + 1, gap + 2, (size_t)(--b->gaps.count - i - 1) * sizeof *gap);
}

static void uncut(struct vk_block *b, struct vk_range range)
{
    int i = 0;
    while (i < b->gaps.count && b->gaps.data[i].offset < range.offset)
        i++;
    struct vk_range *gap = &b->gaps.data[i];
    memmove(gap + 1, gap, (size_t)(b->gaps.count++ - i) * sizeof *gap);
    *gap = range;
    b->pieces--;
    join(b, i);
    if (i > 0)
        join(b, i - 1);
}

/* Pieces ------------------------------------------------------------------------------------------------- */

/* Size of the pool's next block. */
static VkDeviceSize block_size(const struct vk_device *dev, const struct vk_pool *pool)
{
    const uint32_t heap = dev->memory.types.memoryTypes[pool->type].heapIndex;
    VkDeviceSize bytes = FIRST_BLOCK << (pool->block_count < 4 ? pool->block_count : 4);
    if (bytes > dev->common.caps.max_allocation)
        bytes = dev->common.caps.max_allocation;
    if (bytes > dev->memory.types.memoryHeaps[heap].size / 8)
        bytes = dev->memory.types.memoryHeaps[heap].size / 8;
    return bytes / MIB * MIB;
}

static VkResult take(struct vk_device *dev, struct vk_pool *pool, VkDeviceSize bytes, VkDeviceSize alignment,
                     struct vk_buffer *b)
{
    const VkDeviceSize usual = block_size(dev, pool);
    const bool large = bytes > usual / 2;
    for (b->block = large ? NULL : pool->block; b->block; b->block = b->block->next)
        if (cut(b->block, bytes, alignment, &b->range))
            return VK_SUCCESS;

    VkResult result = large ? VK_ERROR_OUT_OF_DEVICE_MEMORY : create_block(dev, pool, usual, &b->block);
    if (result != VK_SUCCESS)
        result = create_block(dev, pool, bytes, &b->block);
    if (result == VK_SUCCESS && !cut(b->block, bytes, alignment, &b->range)) {
        destroy_block(dev, b->block);
        result = VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    return result;
}

static struct vk_pool *pool_of(struct vk_memory *memory, enum kiln_heap heap, uint32_t type)
{
    const VkMemoryPropertyFlags flags = memory->types.memoryTypes[type].propertyFlags;
    struct vk_pool *pool = &memory->pool[heap][type];
    pool->type = type;
    pool->mapped = heap != KILN_HEAP_DEVICE;
    pool->coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    return pool;
}

static kiln_status refuse(struct vk_device *dev, const struct vk_buffer *b, const char *name, VkResult result)
{
    static const char *const heaps[] = {"device", "upload", "readback"};
    uint64_t held = 0, all = 0;
    for (uint32_t i = 0; i < dev->memory.types.memoryHeapCount; i++) {
        held += dev->memory.held[i];
        all += dev->memory.types.memoryHeaps[i].size;
    }
    return kiln_fail(KILN_ERROR_MEMORY,
                     "buffer \"%s\": no %.1f MiB of %s memory left: kiln holds %.1f of %.1f MiB in %u "
                     "allocations (%s)",
                     name, mib(b->bytes), heaps[b->heap], mib(held), mib(all),
                     (unsigned)dev->memory.allocations, kiln_vk_result_name(result));
}

kiln_status kiln_vk_memory_take(struct vk_device *dev, struct vk_buffer *b, const char *name)
{
    kiln_status status = KILN_OK;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkMemoryRequirements needs;
    dev->api.vkGetBufferMemoryRequirements(dev->handle, b->handle, &needs);
    VkDeviceSize alignment = dev->properties.limits.nonCoherentAtomSize; /* powers of two, both */
    if (alignment < needs.alignment)
        alignment = needs.alignment;

    pthread_mutex_lock(&dev->memory.lock);
    for (uint32_t type, bits = needs.memoryTypeBits; best_type(&dev->memory, bits, b->heap, &type);) {
        result = take(dev, pool_of(&dev->memory, b->heap, type), needs.size, alignment, b);
        if (result == VK_SUCCESS)
            break;
        bits &= ~(1u << type);
    }
    if (result != VK_SUCCESS) {
        b->block = NULL;
        status = refuse(dev, b, name, result);
    }
    pthread_mutex_unlock(&dev->memory.lock);
    if (status)
        return status;

    b->common.map = b->block->map ? b->block->map + b->range.offset : NULL;
    VK(dev, dev->api.vkBindBufferMemory(dev->handle, b->handle, b->block->memory, b->range.offset));

fail:
    return status;
}

void kiln_vk_memory_give(struct vk_device *dev, struct vk_buffer *b)
{
    if (!b->block)
        return;
    pthread_mutex_lock(&dev->memory.lock);
    uncut(b->block, b->range);
    if (b->block->pieces == 0 && (b->block->pool->block_count > 1 || b->block->bytes > FIRST_BLOCK))
        destroy_block(dev, b->block);
    b->block = NULL;
    pthread_mutex_unlock(&dev->memory.lock);
}

/* The whole ---------------------------------------------------------------------------------------------- */

kiln_status kiln_vk_memory_refresh(struct vk_device *dev)
{
    kiln_status status = KILN_OK;
    pthread_mutex_lock(&dev->memory.lock);
    for (uint32_t type = 0; type < dev->memory.types.memoryTypeCount; type++) {
        const struct vk_pool *pool = &dev->memory.pool[KILN_HEAP_READBACK][type];
        for (const struct vk_block *b = pool->coherent ? NULL : pool->block; b; b = b->next) {
            const VkMappedMemoryRange range = {
                .sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                .memory = b->memory,
                .size = VK_WHOLE_SIZE,
            };
            VK(dev, dev->api.vkInvalidateMappedMemoryRanges(dev->handle, 1, &range));
        }
    }

fail:
    pthread_mutex_unlock(&dev->memory.lock);
    return status;
}

void kiln_vk_memory_finish(struct vk_device *dev)
{
    for (int heap = 0; heap < VK_HEAPS; heap++)
        for (size_t type = 0; type < VK_MAX_MEMORY_TYPES; type++)
            while (dev->memory.pool[heap][type].block)
                destroy_block(dev, dev->memory.pool[heap][type].block);
}
