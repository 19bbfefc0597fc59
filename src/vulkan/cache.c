/*
 * cache.c - the driver's pipeline cache in a file: FOLDER/pipelines-VENDOR-DEVICE-UUID.bin.
 *
 *   header   magic, version, vendor, device, driver version, UUID, bytes and hash of what follows
 *   data     what vkGetPipelineCacheData gave
 *
 * A file that is not whole or not this driver's own is ignored, and so is a folder that cannot be written:
 * the cache saves time and nothing depends on it. The file is replaced in one step when the device closes,
 * if it has changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/text.h"
#include "vulkan/vk.h"

struct header {
    char magic[8];
    uint32_t version, vendor, device, driver;
    uint8_t uuid[VK_UUID_SIZE];
    uint64_t bytes, hash;
};

static struct header header_of(const struct vk_device *dev, const void *data, size_t bytes)
{
    struct header h = {
        .magic = "kilnpipe",
        .version = 1,
        .vendor = dev->properties.vendorID,
        .device = dev->properties.deviceID,
        .driver = dev->properties.driverVersion,
        .bytes = bytes,
        .hash = kiln_hash(KILN_HASH_START, data, bytes),
    };
    memcpy(h.uuid, dev->properties.pipelineCacheUUID, sizeof h.uuid);
    return h;
}

/* Where -------------------------------------------------------------------------------------------------- */

char *kiln_vk_cache_path(const struct vk_device *dev, const char *folder, const char *what,
                         const char *ending)
{
    struct kiln_text name = {0};
    kiln_text_add(&name, "%s-%04x-%04x-", what, (unsigned)dev->properties.vendorID,
                  (unsigned)dev->properties.deviceID);
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        kiln_text_add(&name, "%02x", (unsigned)dev->properties.pipelineCacheUUID[i]);
    kiln_text_add(&name, "%s", ending);
    char *path = name.failed ? NULL : kiln_cache_path(folder, name.data);
    kiln_text_finish(&name);
    if (path)
        kiln_folders_create(path);
    return path;
}

/* Reading and writing ------------------------------------------------------------------------------------ */

/* The data of a file that is whole and this driver's own; NULL otherwise. */
static const void *valid_data(const struct vk_device *dev, const struct kiln_file *file, size_t *bytes)
{
    struct header found, wanted;
    if (file->size < sizeof found)
        return NULL;
    memcpy(&found, file->data, sizeof found);
    const unsigned char *data = (const unsigned char *)file->data + sizeof found;
    *bytes = file->size - sizeof found;
    wanted = header_of(dev, data, *bytes);
    return memcmp(&found, &wanted, sizeof found) == 0 ? data : NULL;
}

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

kiln_status kiln_vk_cache_open(struct vk_device *dev, const char *folder)
{
    kiln_status status = KILN_OK;
    struct vk_pipelines *all = &dev->pipelines;
    struct kiln_file file = {0};
    const void *data = NULL;
    size_t bytes = 0;
    all->cache_path = kiln_vk_cache_path(dev, folder, "pipelines", ".bin");
    if (all->cache_path && is_file(all->cache_path) && kiln_file_map(&file, all->cache_path) == KILN_OK) {
        data = valid_data(dev, &file, &bytes);
        if (!data)
            kiln_log_line(KILN_LOG_INFO, "pipeline cache %s: damaged or another driver's, ignored",
                          all->cache_path);
    }
    if (data)
        all->cache_hash = kiln_hash(KILN_HASH_START, data, bytes);

    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = data ? bytes : 0,
        .pInitialData = data,
    };
    if (data && dev->api.vkCreatePipelineCache(dev->handle, &info, NULL, &all->cache) == VK_SUCCESS)
        goto fail;
    info.initialDataSize = 0;
    VK(dev, dev->api.vkCreatePipelineCache(dev->handle, &info, NULL, &all->cache));

fail:
    kiln_file_unmap(&file);
    return status;
}

/* Whether the path's folder takes new files. */
static bool is_writable(const char *path)
{
    struct kiln_text folder = {0};
    kiln_text_add(&folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    const bool writable = !folder.failed && access(kiln_text_get(&folder), W_OK | X_OK) == 0;
    kiln_text_finish(&folder);
    return writable;
}

static void save(struct vk_device *dev, const void *data, size_t bytes)
{
    struct kiln_writer writer = {0};
    const struct header h = header_of(dev, data, bytes);
    if (h.hash == dev->pipelines.cache_hash || !is_writable(dev->pipelines.cache_path))
        return;
    if (kiln_writer_open(&writer, dev->pipelines.cache_path) == KILN_OK) {
        (void)kiln_writer_add(&writer, &h, sizeof h);
        (void)kiln_writer_add(&writer, data, bytes);
        (void)kiln_writer_commit(&writer);
    }
    kiln_writer_abandon(&writer);
}

void kiln_vk_cache_close(struct vk_device *dev)
{
    struct vk_pipelines *all = &dev->pipelines;
    size_t bytes = 0;
    void *data = NULL;
    if (all->cache && all->cache_path && all->built > 0 && !atomic_load(&dev->lost) &&
        dev->api.vkGetPipelineCacheData(dev->handle, all->cache, &bytes, NULL) == VK_SUCCESS && bytes > 0 &&
        (data = malloc(bytes)) != NULL &&
        dev->api.vkGetPipelineCacheData(dev->handle, all->cache, &bytes, data) == VK_SUCCESS)
        save(dev, data, bytes);
    free(data);
    if (all->cache)
        dev->api.vkDestroyPipelineCache(dev->handle, all->cache, NULL);
    free(all->cache_path);
    all->cache = VK_NULL_HANDLE;
    all->cache_path = NULL;
}
