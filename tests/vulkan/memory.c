/* memory.c - pieces of blocks: apart from each other, given back, joined; and what is refused, and how. */
#include "vulkan/probes.h"

static int blocks_of(const kiln_device *dev, enum kiln_heap heap)
{
    const struct vk_device *vk = (const struct vk_device *)dev;
    int count = 0;
    for (int type = 0; type < (int)VK_MAX_MEMORY_TYPES; type++)
        count += vk->memory.pool[heap][type].block_count;
    return count;
}

Test(vulkan_memory, small_buffers_share_blocks_and_never_overlap)
{
    enum { PIECES = 200 };
    struct rig r;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        struct kiln_buffer *b[PIECES] = {NULL};
        uint32_t random = 1;
        for (int round = 0; round < 2000; round++) {
            random = random * 1664525u + 1013904223u;
            const int i = (int)(random >> 8) % PIECES;
            if (!b[i]) {
                b[i] = rig_buffer(r.dev, 4 + random % 9000, KILN_HEAP_UPLOAD);
                memset(b[i]->map, i, b[i]->bytes);
                continue;
            }
            const unsigned char *bytes = b[i]->map;
            cr_assert(bytes[0] == i && bytes[b[i]->bytes - 1] == i &&
                      memcmp(bytes, bytes + 1, b[i]->bytes - 1) == 0);
            kiln_buffer_destroy(r.dev, &b[i]);
        }
        cr_expect_eq(blocks_of(r.dev, KILN_HEAP_UPLOAD), 1);
        for (int i = 0; i < PIECES; i++)
            kiln_buffer_destroy(r.dev, &b[i]);
        for (int type = 0; type < (int)VK_MAX_MEMORY_TYPES; type++) {
            const struct vk_block *block =
                ((struct vk_device *)r.dev)->memory.pool[KILN_HEAP_UPLOAD][type].block;
            if (block)
                cr_expect_eq(block->gaps.count, 1, "all joined again behind the rig's own");
        }
    }
}

Test(vulkan_memory, large_buffers_come_and_go_alone)
{
    struct rig r;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        const int before = blocks_of(r.dev, KILN_HEAP_DEVICE);
        struct kiln_buffer *large = rig_buffer(r.dev, 96 << 20, KILN_HEAP_DEVICE);
        cr_expect_eq(blocks_of(r.dev, KILN_HEAP_DEVICE), before + 1);
        cr_expect_eq(kiln_device_memory_used(r.dev), (96 << 20) + 4 * ROOM);
        kiln_buffer_destroy(r.dev, &large);
        cr_expect_eq(blocks_of(r.dev, KILN_HEAP_DEVICE), before);
    }
}

Test(vulkan_memory, too_much_is_refused_by_name)
{
    static const uint64_t sizes[] = {UINT64_C(1) << 40, UINT64_C(1) << 63};
    struct rig r;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        for (int i = 0; i < 2; i++) {
            struct kiln_buffer *b = NULL;
            const int logged = lines.count;
            const struct kiln_buffer_params params = {.bytes = sizes[i], .name = "the whole world"};
            cr_expect_eq(kiln_buffer_create(r.dev, &params, &b), KILN_ERROR_MEMORY);
            cr_expect_null(b);
            cr_expect_eq(lines.count, logged + 1);
            cr_expect_neq(strstr(lines.newest, "the whole world"), NULL, "%s", lines.newest);
        }
        struct vk_device *vk = (struct vk_device *)r.dev; /* as if others had taken all but a little */
        const uint64_t held = vk->memory.held[0];
        struct kiln_buffer *b = NULL;
        for (size_t heap = 0; heap < VK_MAX_MEMORY_HEAPS; heap++)
            vk->memory.held[heap] = vk->memory.types.memoryHeaps[heap].size;
        const struct kiln_buffer_params params = {.bytes = 80 << 20, .name = "last straw"};
        cr_expect_eq(kiln_buffer_create(r.dev, &params, &b), KILN_ERROR_MEMORY);
        cr_expect_neq(strstr(lines.newest, "\"last straw\": no 80.0 MiB of device memory left"), NULL, "%s",
                      lines.newest);
        vk->memory.held[0] = held;
    }
}

Test(vulkan_memory, memory_that_is_not_coherent_is_refreshed_before_it_is_read)
{
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        struct vk_device *vk = (struct vk_device *)r.dev;
        const kiln_dispatch twice = scale_dispatch(&scale_probe, COUNT, 2);
        for (size_t type = 0; type < VK_MAX_MEMORY_TYPES; type++)
            vk->memory.pool[KILN_HEAP_READBACK][type].coherent = false;
        rig_write(&r);
        rig_frame(&r, &l, &twice);
        rig_do(&r, &l);
        rig_expect(&r, 2, "treated as if it were not");
    }
}
