/* cache.c - the pipeline cache's file: written, read, and ignored where damaged or foreign. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own_folder.h"
#include "vulkan/probes.h"

static char path[1024];

/* Open with the folder as cache, build one pipeline, close; returns the hash of the data that was read. */
static uint64_t use(const char *cache, int index)
{
    char name[32];
    kiln_device *dev = NULL;
    const kiln_dispatch twice = scale_dispatch(&scale_probe, COUNT, 2);
    struct vk_pipeline const *p;
    snprintf(name, sizeof name, "vulkan:%d", index);
    cr_assert_eq(kiln_device_open(&dev, &(kiln_device_params){.name = name, .cache = cache}), KILN_OK, "%s",
                 lines.newest);
    struct vk_device *vk = (struct vk_device *)dev;
    const uint64_t hash = vk->pipelines.cache_hash;
    cr_assert_eq(kiln_vk_pipeline_get(vk, &twice, &p), KILN_OK);
    snprintf(path, sizeof path, "%s", vk->pipelines.cache_path ? vk->pipelines.cache_path : "");
    kiln_device_close(&dev);
    return hash;
}

static void overwrite(size_t offset, size_t keep)
{
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    fseek(file, (long)offset, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, (long)offset, SEEK_SET);
    fputc(byte ^ 0x10, file);
    fclose(file);
    if (keep)
        cr_assert_eq(truncate(path, (off_t)keep), 0);
}

static void begin(void)
{
    catch_lines();
    open_folder();
}

TestSuite(vulkan_cache, .init = begin, .fini = leave_folder);

Test(vulkan_cache, damaged_and_foreign_files_are_ignored_and_replaced)
{
    static const struct {
        size_t offset, keep;
        const char *why;
    } cases[] = {
        {0, 0, "wrong magic"},      {8, 0, "another version"}, {20, 0, "another driver"},
        {30, 0, "another UUID"},    {64, 0, "a flipped byte"}, {0, 40, "cut in the header"},
        {0, 65, "cut in the data"}, {0, 1, "one byte"},
    };
    for (int index = 0; index < kiln_vulkan_list(NULL, 0); index++) {
        cr_expect_eq(use(folder, index), 0, "there is no file yet");
        const uint64_t hash = use(folder, index);
        cr_expect_neq(hash, 0, "the file is read");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            overwrite(cases[i].offset, cases[i].keep);
            cr_expect_eq(use(folder, index), 0, "%s", cases[i].why);
            cr_expect_eq(use(folder, index), hash, "%s: written anew", cases[i].why);
        }
        cr_assert_eq(unlink(path), 0);
    }
    cr_expect_eq(kiln_vulkan_messages(), 0);
}

Test(vulkan_cache, no_folder_is_no_error)
{
    struct kiln_writer writer = {0};
    char file[300], below[320], deep[320];
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(below, sizeof below, "%s/file/below", folder);
    snprintf(deep, sizeof deep, "%s/a/b", folder);
    cr_assert_eq(kiln_writer_open(&writer, file), KILN_OK);
    cr_assert_eq(kiln_writer_commit(&writer), KILN_OK);
    for (int index = 0; index < kiln_vulkan_list(NULL, 0); index++) {
        (void)use(deep, index);
        cr_expect_eq(access(path, R_OK), 0, "folders are made");
        (void)unlink(path);
        (void)use("", index);
        cr_expect_eq(path[0], 0);
        (void)use(below, index);
        cr_expect(lines.level != KILN_LOG_ERROR && lines.level != KILN_LOG_WARNING, "%s", lines.newest);
    }
    (void)rmdir(deep);
    *strrchr(deep, '/') = 0;
    (void)rmdir(deep);
    (void)unlink(file);
}
