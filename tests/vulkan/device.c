/* device.c - Vulkan devices: listed, opened, several at once, lent by an application, and none at all. */
#include "vulkan/probes.h"

Test(vulkan_device, all_that_are_listed_open)
{
    struct rig r;
    int opened = 0;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        const struct kiln_caps *caps = &r.dev->caps;
        cr_expect_neq(r.dev->info.title[0], 0);
        cr_expect_neq(r.dev->info.driver[0], 0);
        cr_expect_eq(caps->backend, KILN_BACKEND_VULKAN);
        cr_expect_geq(caps->max_binding, 1 << 20);
        cr_expect_eq(caps->max_binding % caps->alignment, 0);
        cr_expect_geq(caps->max_invocations, 128);
        opened++;
    }
    if (opened == 0)
        cr_skip_test("no Vulkan device in sight");
    cr_expect_eq(opened, kiln_vulkan_list(NULL, 0));
}

Test(vulkan_device, without_a_driver_there_is_one_clear_error)
{
    kiln_device *dev = NULL;
    setenv("VK_DRIVER_FILES", "/nowhere.json", 1);
    catch_lines();
    cr_expect_eq(kiln_vulkan_list(NULL, 0), 0);
    cr_expect_eq(lines.count, 0, "listing is silent, not \"%s\"", lines.newest);
    cr_expect_neq(kiln_vulkan_open(NULL, 0, &dev), KILN_OK);
    cr_expect_null(dev);
    cr_expect_eq(lines.count, 1, "%s", lines.newest);
}

Test(vulkan_device, two_in_one_process_work_side_by_side)
{
    struct rig r[2];
    struct test_list l[2];
    struct kiln_baked *work[2];
    kiln_ticket ticket[2];
    const kiln_dispatch d[2] = {scale_dispatch(&scale_probe, COUNT, 2),
                                scale_dispatch(&scale_probe, COUNT, 3)};
    for (int i = 0; i < 2; i++) {
        if (!rig_open(&r[i], i ? kiln_vulkan_list(NULL, 0) - 1 : 0))
            cr_skip_test("no Vulkan device in sight");
        rig_write(&r[i]);
        rig_frame(&r[i], &l[i], &d[i]);
        work[i] = rig_bake(&r[i], &l[i]);
    }
    for (int i = 0; i < 2; i++)
        cr_assert_eq(kiln_submit(r[i].dev, &work[i], 1, &ticket[i]), KILN_OK);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(kiln_wait(r[i].dev, ticket[i]), KILN_OK);
        rig_expect(&r[i], (float)(i + 2), "one of two");
        kiln_unbake(r[i].dev, &work[i]);
        rig_close(&r[i]);
    }
}

Test(vulkan_device, a_lost_one_fails_and_says_so)
{
    struct rig r;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        struct test_list l;
        struct kiln_baked *work, *none = NULL;
        kiln_ticket ticket;
        rig_list(&r, &l);
        list_fill(&l, span(X, 0, 16), 0);
        work = rig_bake(&r, &l);
        cr_expect_eq(kiln_vk_fail((struct vk_device *)r.dev, "dev->api.vkQueueSubmit(queue)",
                                  VK_ERROR_DEVICE_LOST),
                     KILN_ERROR_DEVICE);
        cr_expect_str_eq(lines.newest, "Vulkan: vkQueueSubmit gave VK_ERROR_DEVICE_LOST");
        cr_expect_eq(kiln_submit(r.dev, &work, 1, &ticket), KILN_ERROR_DEVICE);
        cr_expect_neq(strstr(lines.newest, "lost"), NULL, "%s", lines.newest);
        cr_expect_eq(kiln_bake(r.dev, &l.list, &none), KILN_ERROR_DEVICE);
        kiln_unbake(r.dev, &work);
    }
}

/* An application's device -------------------------------------------------------------------------------- */

struct application {
    struct vk_device vk; /* its handles, made by kiln's own means */
    VkBuffer buffer;
    VkDeviceMemory memory;
    int locks, unlocks;
};

static void lock(void *user)
{
    ((struct application *)user)->locks++;
}

static void unlock(void *user)
{
    ((struct application *)user)->unlocks++;
}

static void open_application(struct application *app, struct vk_device *own)
{
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = 2 * ROOM,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    };
    VkMemoryRequirements needs;
    cr_assert_eq(own->api.vkCreateBuffer(own->handle, &info, NULL, &app->buffer), VK_SUCCESS);
    own->api.vkGetBufferMemoryRequirements(own->handle, app->buffer, &needs);
    const VkMemoryAllocateInfo memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                         .allocationSize = needs.size};
    cr_assert_eq(own->api.vkAllocateMemory(own->handle, &memory, NULL, &app->memory), VK_SUCCESS);
    cr_assert_eq(own->api.vkBindBufferMemory(own->handle, app->buffer, app->memory, 0), VK_SUCCESS);
}

static void run_on_lent(kiln_device *dev, VkBuffer buffer)
{
    struct rig r = {.dev = dev};
    struct test_list l;
    const kiln_dispatch twice = scale_dispatch(&scale_probe, COUNT, 2);
    const struct kiln_buffer_params lent = {
        .bytes = ROOM, .name = "lent", .import = buffer, .import_offset = ROOM};
    r.upload = rig_buffer(dev, ROOM, KILN_HEAP_UPLOAD);
    r.x = rig_buffer(dev, ROOM, KILN_HEAP_DEVICE);
    r.readback = rig_buffer(dev, ROOM, KILN_HEAP_READBACK);
    cr_assert_eq(kiln_buffer_create(dev, &lent, &r.y), KILN_OK);
    rig_write(&r);
    rig_frame(&r, &l, &twice);
    rig_do(&r, &l);
    rig_expect(&r, 2, "a lent device and buffer");
    rig_close(&r);
}

Test(vulkan_device, an_application_lends_its_device_and_buffer)
{
    struct rig r;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        struct vk_device *own = (struct vk_device *)r.dev;
        struct application app = {.locks = 0};
        open_application(&app, own);
        const kiln_vulkan_borrow borrow = {
            .instance = own->instance.handle,
            .physical = own->physical,
            .device = own->handle,
            .queue = own->queue_handle,
            .family = own->family,
            .lock = lock,
            .unlock = unlock,
            .user = &app,
        };
        const kiln_device_params params = {.borrow = &borrow, .cache = ""};
        kiln_device *lent = NULL;
        cr_assert_eq(kiln_device_open(&lent, &params), KILN_OK, "%s", lines.newest);
        cr_expect_not(lent->caps.half || lent->caps.int64 || lent->caps.storage16 || lent->caps.storage8,
                      "none was enabled");
        run_on_lent(lent, app.buffer);
        cr_expect_gt(app.locks, 0);
        cr_expect_eq(app.locks, app.unlocks);
        own->api.vkDestroyBuffer(own->handle, app.buffer, NULL);
        own->api.vkFreeMemory(own->handle, app.memory, NULL);
    }
}

Test(vulkan_device, a_lent_device_without_handles_is_refused)
{
    const kiln_vulkan_borrow nothing = {.family = 0};
    kiln_device *dev = NULL;
    catch_lines();
    cr_expect_neq(kiln_device_open(&dev, &(kiln_device_params){.borrow = &nothing}), KILN_OK);
    cr_expect_null(dev);
}
