/*
 * statistics.c - what a driver's compiler says of a pipeline (VK_KHR_pipeline_executable_properties).
 *
 * Each driver counts other things by other names; one pipeline may be several programs, of which each
 * counts by itself. All are numbers to kiln, truths 0 and 1; hashes, which count nothing, are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/vk.h"

static double value_of(const VkPipelineExecutableStatisticKHR *s)
{
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        return s->value.b32;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        return (double)s->value.u64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
        return s->value.f64;
    default:
        return 0;
    }
}

/* Add those of one of the pipeline's programs. */
static kiln_status read_program(struct vk_device *dev, struct vk_pipeline *p, uint32_t index)
{
    const VkPipelineExecutableInfoKHR which = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
        .pipeline = p->handle,
        .executableIndex = index,
    };
    struct kiln_compiled *to = &p->compiled;
    struct kiln_statistic *more = NULL;
    VkPipelineExecutableStatisticKHR *all = NULL;
    kiln_status status = KILN_OK;
    uint32_t count = 0;
    VK(dev, dev->api.vkGetPipelineExecutableStatisticsKHR(dev->handle, &which, &count, NULL));
    all = calloc(count + 1u, sizeof *all);
    more = realloc(to->statistic, ((size_t)to->count + count + 1) * sizeof *more);
    to->statistic = more ? more : to->statistic;
    if (!all || !more) {
        status = kiln_fail(KILN_ERROR_MEMORY, "Vulkan: no memory for %u statistics", count);
        goto fail;
    }
    for (uint32_t i = 0; i < count; i++)
        all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    VK(dev, dev->api.vkGetPipelineExecutableStatisticsKHR(dev->handle, &which, &count, all));
    for (uint32_t i = 0; i < count; i++) {
        if (strstr(all[i].name, "hash") || strstr(all[i].name, "Hash"))
            continue;
        struct kiln_statistic *s = &to->statistic[to->count++];
        (void)snprintf(s->name, sizeof s->name, "%.60s", all[i].name);
        s->value = value_of(&all[i]);
    }

fail:
    free(all);
    return status;
}

kiln_status kiln_vk_read_statistics(struct vk_device *dev, struct vk_pipeline *p)
{
    const VkPipelineInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = p->handle};
    kiln_status status = KILN_OK;
    uint32_t count = 0;
    VK(dev, dev->api.vkGetPipelineExecutablePropertiesKHR(dev->handle, &which, &count, NULL));
    for (uint32_t i = 0; i < count && !status; i++)
        status = read_program(dev, p, i);

fail:
    return status;
}
