/*
 * mask.c - what a device failed at, remembered in a file: FOLDER/mask-VENDOR-DEVICE-UUID.txt.
 *
 *   driver VERSION
 *   half subgroup ...      names of kiln_caps_mask
 *
 * Another version of the driver gets another chance: a file that names another is ignored, and replaced when a test fails.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "vulkan/vk.h"

enum { MOST = 1024 }; /* bytes of a file */

/* The names in the file, if it is there and of this driver: malloced; NULL for none. */
static char *read_names(const struct vk_device *dev)
{
    struct kiln_file file = {0};
    char text[MOST + 1] = "", head[40];
    const char *names = NULL;
    if (!dev->mask_path || access(dev->mask_path, R_OK) || kiln_file_map(&file, dev->mask_path))
        return NULL;
    (void)snprintf(head, sizeof head, "driver %" PRIu32 "\n", dev->properties.driverVersion);
    if (file.size <= MOST)
        memcpy(text, file.data, file.size);
    kiln_file_unmap(&file);
    if (strncmp(text, head, strlen(head)) == 0)
        names = text + strlen(head);
    return names && names[strspn(names, " \n")] ? strdup(names) : NULL;
}

void kiln_vk_mask_open(struct vk_device *dev, const char *folder)
{
    dev->mask_path = kiln_vk_cache_path(dev, folder, "mask", ".txt");
    char *names = read_names(dev);
    if (!names)
        return;
    names[strcspn(names, "\n")] = 0;
    if (kiln_caps_mask(&dev->common.caps, dev->mask_path, names) == KILN_OK)
        kiln_warn("\"%s\" goes without %s, which failed a test; delete %s to try again",
                  dev->common.info.title, names, dev->mask_path);
    free(names);
}

bool kiln_vk_mask_names(struct vk_device *dev, const char *feature)
{
    dev->mask_path = kiln_vk_cache_path(dev, NULL, "mask", ".txt");
    char *names = read_names(dev);
    const bool named = names && strstr(names, feature);
    free(names);
    free(dev->mask_path);
    dev->mask_path = NULL;
    return named;
}

void kiln_vk_mask_add(kiln_device *device, const char *feature)
{
    struct vk_device *dev = (struct vk_device *)device;
    struct kiln_writer writer = {0};
    struct kiln_text text = {0};
    char *names = read_names(dev);
    if (!dev->mask_path || (names && strstr(names, feature)))
        goto cleanup;
    if (names)
        names[strcspn(names, "\n")] = 0;
    kiln_text_add(&text, "driver %" PRIu32 "\n%s%s%s\n", dev->properties.driverVersion, names ? names : "",
                  names ? " " : "", feature);
    if (!text.failed && kiln_writer_open(&writer, dev->mask_path) == KILN_OK) {
        (void)kiln_writer_add(&writer, text.data, text.count);
        (void)kiln_writer_commit(&writer);
    }
    kiln_writer_abandon(&writer);

cleanup:
    kiln_text_finish(&text);
    free(names);
}
