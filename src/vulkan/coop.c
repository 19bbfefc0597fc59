/* coop.c - see coop.h. */
#include "vulkan/coop.h"

#include <stdlib.h>

#include "vulkan/vk.h"

enum { M, N, K, SIDES };
enum { STRIP = 32 }; /* what each side must divide: a strip's rows and columns, and the terms of a slab */

static bool is_usable(const VkCooperativeMatrixPropertiesKHR *x)
{
    const uint32_t side[SIDES] = {x->MSize, x->NSize, x->KSize};
    bool fits = x->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && x->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
                x->CType == VK_COMPONENT_TYPE_FLOAT32_KHR && x->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
                x->scope == VK_SCOPE_SUBGROUP_KHR && !x->saturatingAccumulation;
    for (int i = 0; i < SIDES; i++)
        fits = fits && side[i] >= 8 && STRIP % side[i] == 0;
    return fits && x->MSize * x->NSize <= 256;
}

/* How much work one operation does; more than anything for the usual one. */
static uint32_t rank_of(const VkCooperativeMatrixPropertiesKHR *x)
{
    return x->MSize == 16 && x->NSize == 16 && x->KSize == 16 ? UINT32_MAX : x->MSize * x->NSize * x->KSize;
}

bool kiln_vk_coop_choose(const VkCooperativeMatrixPropertiesKHR *list, uint32_t count, uint32_t size[3])
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_usable(&list[i]) || rank_of(&list[i]) <= best)
            continue;
        best = rank_of(&list[i]);
        size[M] = list[i].MSize, size[N] = list[i].NSize, size[K] = list[i].KSize;
    }
    return best > 0;
}

enum { AMD = 0x1002, INTEL = 0x8086 }; /* PCI ids */

bool kiln_vk_coop_trusted(uint32_t vendor, const uint32_t size[3], bool mixed_dot)
{
    return vendor == INTEL ? size[N] >= 16 : vendor == AMD ? mixed_dot : true;
}

static bool has_mixed_dot(const struct vk_device *dev)
{
    VkPhysicalDeviceShaderIntegerDotProductProperties dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES,
    };
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &dot};
    if (dev->features.dot)
        dev->instance.GetPhysicalDeviceProperties2(dev->physical, &all);
    return dot.integerDotProduct4x8BitPackedMixedSignednessAccelerated;
}

const char *kiln_vk_coop_probe(const struct vk_device *dev, uint32_t size[3])
{
    const PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)dev->instance.get(
            dev->instance.handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    uint32_t count = 0;
    if (!get || get(dev->physical, &count, NULL) < 0 || count == 0)
        return "the driver lists no sizes of them";
    VkCooperativeMatrixPropertiesKHR *list = calloc(count, sizeof *list);
    for (uint32_t i = 0; list && i < count; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    const bool found =
        list && get(dev->physical, &count, list) >= 0 && kiln_vk_coop_choose(list, count, size);
    free(list);
    return !found ? "no size that the driver lists fits"
           : !kiln_vk_coop_trusted(dev->properties.vendorID, size, has_mixed_dot(dev))
               ? "such drivers claim them where there are none, or lose by them"
               : NULL;
}
