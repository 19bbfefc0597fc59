/* backend.c - Vulkan behind the seam: the table of functions; opening, listing and closing devices. */
#include <stdio.h>
#include <stdlib.h>

#include "vulkan/vk.h"

static void destroy_locks(struct vk_device *dev)
{
    pthread_cond_destroy(&dev->queue.left);
    pthread_mutex_destroy(&dev->queue.lock);
    pthread_mutex_destroy(&dev->pipelines.lock);
    pthread_mutex_destroy(&dev->memory.lock);
}

/* A device with nothing but its locks; NULL when out of memory. */
static struct vk_device *create_empty(void)
{
    struct vk_device *dev = calloc(1, sizeof *dev);
    if (!dev)
        return NULL;
    const int failed = pthread_mutex_init(&dev->memory.lock, NULL) |
                       pthread_mutex_init(&dev->pipelines.lock, NULL) |
                       pthread_mutex_init(&dev->queue.lock, NULL) | pthread_cond_init(&dev->queue.left, NULL);
    if (failed) {
        free(dev);
        return NULL;
    }
    return dev;
}

static void close_device(kiln_device *device)
{
    struct vk_device *dev = (struct vk_device *)device;
    if (dev->queue.issued > dev->queue.passed && !atomic_load(&dev->lost))
        (void)kiln_vk_queue_wait(device, dev->queue.issued);
    kiln_vk_pipelines_finish(dev);
    kiln_vk_cache_close(dev);
    kiln_vk_queue_finish(dev);
    kiln_vk_memory_finish(dev);
    kiln_vk_device_destroy(dev);
    kiln_vk_instance_destroy(&dev->instance);
    destroy_locks(dev);
    free(dev->mask_path);
    free(dev);
}

static const struct kiln_device_ops ops = {
    .name = "vulkan",
    .close = close_device,
    .buffer_create = kiln_vk_buffer_create,
    .buffer_destroy = kiln_vk_buffer_destroy,
    .bake = kiln_vk_bake,
    .unbake = kiln_vk_unbake,
    .submit = kiln_vk_submit,
    .wait = kiln_vk_queue_wait,
    .compile = kiln_vk_compile,
    .time = kiln_vk_time,
    .distrust = kiln_vk_mask_add,
};

/* Opening ------------------------------------------------------------------------------------------------ */

static kiln_status find_physical(struct vk_device *dev, int index)
{
    VkPhysicalDevice *all = NULL;
    const int count = (int)kiln_vk_physical_devices(&dev->instance, &all);
    if (index >= 0 && index < count)
        dev->physical = all[index];
    free(all);
    if (!dev->physical)
        return kiln_fail(KILN_ERROR_ARGUMENT, "Vulkan: there is no device %d, the drivers show %d", index,
                         count);
    if (!kiln_vk_family(&dev->instance, dev->physical, &dev->family))
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "Vulkan: device %d has no queue for compute", index);
    return KILN_OK;
}

static kiln_status open_own(struct vk_device *dev, int index)
{
    kiln_status status = kiln_vk_instance_create(&dev->instance, false);
    if (status || (status = find_physical(dev, index)))
        return status;
    kiln_vk_probe(dev, NULL);
    (void)snprintf(dev->common.info.name, sizeof dev->common.info.name, "vulkan:%d", index);
    if ((status = kiln_vk_check_floor(dev)))
        return status;
    return kiln_vk_device_create(dev);
}

static kiln_status open_borrowed(struct vk_device *dev, const kiln_vulkan_borrow *borrow)
{
    kiln_status status = kiln_vk_instance_borrow(&dev->instance, borrow);
    if (status)
        return status;
    dev->physical = borrow->physical;
    dev->family = borrow->family;
    kiln_vk_probe(dev, borrow);
    (void)snprintf(dev->common.info.name, sizeof dev->common.info.name, "vulkan");
    if ((status = kiln_vk_check_floor(dev)))
        return status;
    return kiln_vk_device_borrow(dev, borrow);
}

kiln_status kiln_vulkan_open(const kiln_device_params *params, int index, kiln_device **out)
{
    const kiln_device_params none = {0};
    const kiln_device_params *p = params ? params : &none;
    kiln_status status;
    *out = NULL;
    struct vk_device *dev = create_empty();
    if (!dev)
        return kiln_fail(KILN_ERROR_MEMORY, "Vulkan: no memory for a device");

    dev->common.ops = &ops;
    status = p->borrow ? open_borrowed(dev, p->borrow) : open_own(dev, index);
    if (status || (status = kiln_vk_queue_init(dev)) || (status = kiln_vk_cache_open(dev, p->cache))) {
        close_device(&dev->common);
        return status;
    }
    kiln_vk_mask_open(dev, p->cache);
    *out = &dev->common;
    return KILN_OK;
}

/* Without a queue, and so without what drivers want the hardware for. */
kiln_status kiln_vulkan_open_compiler(int index, kiln_device **out)
{
    *out = NULL;
    struct vk_device *dev = create_empty();
    if (!dev)
        return kiln_fail(KILN_ERROR_MEMORY, "Vulkan: no memory for a device");

    dev->common.ops = &ops;
    dev->compiles = true;
    const kiln_status status = open_own(dev, index);
    if (status) {
        close_device(&dev->common);
        return status;
    }
    *out = &dev->common;
    return KILN_OK;
}

/* Listing ------------------------------------------------------------------------------------------------ */

int kiln_vulkan_list(kiln_device_info *info, int room)
{
    VkPhysicalDevice *all = NULL;
    int count = 0;
    struct vk_device *dev = create_empty();
    if (!dev || kiln_vk_instance_create(&dev->instance, true) != KILN_OK)
        goto cleanup;
    count = (int)kiln_vk_physical_devices(&dev->instance, &all);
    for (int i = 0; i < count && i < room; i++) {
        dev->physical = all[i];
        (void)kiln_vk_family(&dev->instance, dev->physical, &dev->family);
        kiln_vk_probe(dev, NULL);
        info[i] = dev->common.info;
        if (dev->features.coop && kiln_vk_mask_names(dev, "coop"))
            (void)snprintf(info[i].matrices, sizeof info[i].matrices, "none: they failed a test");
        (void)snprintf(info[i].name, sizeof info[i].name, "vulkan:%d", i);
    }

cleanup:
    free(all);
    if (dev)
        close_device(&dev->common);
    return count;
}
