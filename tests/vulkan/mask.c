/* mask.c - features that failed a test: remembered in a file of the device, and gone without when it is opened again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own_folder.h"
#include "vulkan/probes.h"

static char path[1024], warning[2048];

static void hear(void *user, kiln_log_level level, const char *line)
{
    (void)user;
    if (level == KILN_LOG_WARNING)
        (void)snprintf(warning, sizeof warning, "%s", line);
}

static kiln_device *open_device(int index)
{
    char name[32];
    kiln_device *dev = NULL;
    snprintf(name, sizeof name, "vulkan:%d", index);
    warning[0] = 0;
    cr_assert_eq(kiln_device_open(&dev, &(kiln_device_params){.name = name, .cache = folder}), KILN_OK);
    snprintf(path, sizeof path, "%s", ((struct vk_device *)dev)->mask_path);
    return dev;
}

static void begin(void)
{
    kiln_log_to(hear, NULL, KILN_LOG_WARNING);
    open_folder();
}

TestSuite(mask, .init = begin, .fini = leave_folder);

Test(mask, what_failed_is_gone_without_when_the_device_is_opened_again)
{
    for (int index = 0; index < kiln_vulkan_list(NULL, 0); index++) {
        kiln_device *dev = open_device(index);
        cr_expect_neq(dev->caps.subgroup, 0, "there is no mask yet");
        kiln_device_distrust(dev, "subgroup");
        cr_expect_eq(dev->caps.subgroup, 0, "at once");
        kiln_device_distrust(dev, "timestamps");
        kiln_device_close(&dev);

        dev = open_device(index);
        cr_expect(dev->caps.subgroup == 0 && dev->caps.subgroup_ops == 0 && !dev->caps.timestamps);
        cr_expect(strstr(warning, "subgroup timestamps") && strstr(warning, path), "%s", warning);
        kiln_device_close(&dev);
        cr_assert_eq(unlink(path), 0);

        dev = open_device(index);
        cr_expect_neq(dev->caps.subgroup, 0, "another chance");
        kiln_device_close(&dev);
    }
}

Test(mask, another_drivers_file_and_a_damaged_one_are_ignored)
{
    static const char *const texts[] = {"", "driver", "driver 4294967295\nsubgroup\n", "subgroup\n"};
    for (int index = 0; index < kiln_vulkan_list(NULL, 0); index++)
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            kiln_device *dev = open_device(index);
            kiln_device_close(&dev);
            FILE *file = fopen(path, "w");
            cr_assert_not_null(file);
            fputs(texts[i], file);
            fclose(file);
            dev = open_device(index);
            cr_expect_neq(dev->caps.subgroup, 0, "\"%s\" is obeyed", texts[i]);
            kiln_device_close(&dev);
            (void)unlink(path);
        }
}

Test(mask, the_environment_masks_too)
{
    for (int index = 0; index < kiln_vulkan_list(NULL, 0); index++) {
        cr_assert_eq(setenv("KILN_MASK", "subgroup,dot", 1), 0);
        kiln_device *dev = open_device(index);
        cr_expect(dev->caps.subgroup == 0 && !dev->caps.dot);
        kiln_device_close(&dev);
    }
}
