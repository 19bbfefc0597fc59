/* stubs.c - a build without Vulkan: no GPUs, and a clear answer to who asks for one. */
#include "base/log.h"
#include "device/device.h"

int kiln_vulkan_list(kiln_device_info *info, int room)
{
    (void)info, (void)room;
    return 0;
}

int kiln_vulkan_messages(void)
{
    return 0;
}

static kiln_status refuse(kiln_device **out)
{
    *out = NULL;
    return kiln_fail(KILN_ERROR_UNSUPPORTED, "this kiln was built without Vulkan");
}

kiln_status kiln_vulkan_open(const kiln_device_params *params, int index, kiln_device **out)
{
    (void)params, (void)index;
    return refuse(out);
}

kiln_status kiln_vulkan_open_compiler(int index, kiln_device **out)
{
    (void)index;
    return refuse(out);
}
