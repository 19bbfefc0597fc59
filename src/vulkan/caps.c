/*
 * caps.c - what a Vulkan device can do, and whether it meets the floor that kiln is built on.
 *
 * Limits are taken as the driver states them. Of the optional features those are asked for that add a
 * storage or a variant; of a lent device those count that the application enabled.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/coop.h"
#include "vulkan/vk.h"

#define MIB (UINT64_C(1) << 20)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Features ----------------------------------------------------------------------------------------------- */

bool kiln_vk_family(const struct vk_instance *instance, VkPhysicalDevice physical, uint32_t *family)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = 32;
    bool found = false;
    instance->GetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        const VkQueueFlags flags = families[i].queueFlags;
        if (!(flags & VK_QUEUE_COMPUTE_BIT) || (found && flags & VK_QUEUE_GRAPHICS_BIT))
            continue;
        *family = i;
        found = true;
        if (!(flags & VK_QUEUE_GRAPHICS_BIT))
            break;
    }
    return found;
}

static bool has_extension(const struct vk_device *dev, const char *name)
{
    VkExtensionProperties *list = NULL;
    uint32_t count = 0;
    bool found = false;
    if (dev->instance.EnumerateDeviceExtensionProperties(dev->physical, NULL, &count, NULL) < 0)
        return false;
    list = calloc(count + 1u, sizeof *list);
    if (list && dev->instance.EnumerateDeviceExtensionProperties(dev->physical, NULL, &count, list) >= 0)
        for (uint32_t i = 0; i < count; i++)
            found |= strcmp(list[i].extensionName, name) == 0;
    free(list);
    return found;
}

static bool keeps_nan(const struct vk_device *dev)
{
    VkPhysicalDeviceFloatControlsProperties controls = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FLOAT_CONTROLS_PROPERTIES,
    };
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &controls};
    dev->instance.GetPhysicalDeviceProperties2(dev->physical, &all);
    return controls.shaderSignedZeroInfNanPreserveFloat32;
}

static bool is_software(const struct vk_device *dev)
{
    return dev->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

/* What else cooperative matrices want is there: are they, and of which sizes? Drivers on the CPU have no units behind them, and
 * compile them for minutes. */
static void find_matrices(struct vk_device *dev, bool enabled)
{
    struct vk_features *f = &dev->features;
    f->no_coop = is_software(dev) ? "the driver runs on the CPU"
                 : !enabled       ? "VK_KHR_cooperative_matrix with VK_KHR_vulkan_memory_model is not there"
                 : !f->half       ? "there is no arithmetic on halves"
                                  : kiln_vk_coop_probe(dev, f->coop_size);
    f->coop = !f->no_coop;
}

static void probe_features(struct vk_device *dev)
{
    VkPhysicalDeviceShaderFloat16Int8Features half = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
    };
    VkPhysicalDevice8BitStorageFeatures storage8 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES,
    };
    VkPhysicalDevice16BitStorageFeatures storage16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
    };
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
    };
    VkPhysicalDeviceVulkanMemoryModelFeatures memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
    };
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .pNext = &memory,
    };
    VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                     .pNext = &storage16};
    if (has_extension(dev, VK_KHR_8BIT_STORAGE_EXTENSION_NAME))
        storage16.pNext = &storage8;
    if (has_extension(dev, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME)) {
        half.pNext = all.pNext;
        all.pNext = &half;
    }
    if (has_extension(dev, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
        dot.pNext = all.pNext;
        all.pNext = &dot;
    }
    if (has_extension(dev, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) &&
        has_extension(dev, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME)) {
        memory.pNext = all.pNext;
        all.pNext = &coop;
    }
    dev->instance.GetPhysicalDeviceFeatures2(dev->physical, &all);
    dev->features = (struct vk_features){
        .storage16 = storage16.storageBuffer16BitAccess,
        .storage8 = storage8.storageBuffer8BitAccess,
        .half = half.shaderFloat16 && storage16.storageBuffer16BitAccess,
        .int64 = all.features.shaderInt64,
        .dot = dot.shaderIntegerDotProduct,
        .nan = has_extension(dev, VK_KHR_SHADER_FLOAT_CONTROLS_EXTENSION_NAME) && keeps_nan(dev),
        .tells = dev->compiles && has_extension(dev, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME),
    };
    find_matrices(dev, coop.cooperativeMatrix && memory.vulkanMemoryModel);
}

/* What the application enabled, by the extensions' structs or by those of the core versions. */
static void borrow_features(struct vk_device *dev, const kiln_vulkan_borrow *borrow)
{
    struct vk_features f = {0};
    bool float16 = false, memory = false, coop = false;
    for (const VkBaseInStructure *s = borrow->features; s; s = s->pNext) {
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2) {
            f.int64 |= ((const VkPhysicalDeviceFeatures2 *)s)->features.shaderInt64;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES) {
            f.storage16 |= ((const VkPhysicalDevice16BitStorageFeatures *)s)->storageBuffer16BitAccess;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES) {
            f.storage16 |= ((const VkPhysicalDeviceVulkan11Features *)s)->storageBuffer16BitAccess;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES) {
            f.storage8 |= ((const VkPhysicalDevice8BitStorageFeatures *)s)->storageBuffer8BitAccess;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES) {
            float16 |= ((const VkPhysicalDeviceShaderFloat16Int8Features *)s)->shaderFloat16;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES) {
            memory |= ((const VkPhysicalDeviceVulkanMemoryModelFeatures *)s)->vulkanMemoryModel;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR) {
            coop |= ((const VkPhysicalDeviceCooperativeMatrixFeaturesKHR *)s)->cooperativeMatrix;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES) {
            memory |= ((const VkPhysicalDeviceVulkan12Features *)s)->vulkanMemoryModel;
            f.storage8 |= ((const VkPhysicalDeviceVulkan12Features *)s)->storageBuffer8BitAccess;
            float16 |= ((const VkPhysicalDeviceVulkan12Features *)s)->shaderFloat16;
            f.nan = keeps_nan(dev); /* of the core since 1.2 */
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES) {
            f.dot |= ((const VkPhysicalDeviceShaderIntegerDotProductFeatures *)s)->shaderIntegerDotProduct;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES) {
            f.dot |= ((const VkPhysicalDeviceVulkan13Features *)s)->shaderIntegerDotProduct;
        }
    }
    f.half = float16 && f.storage16;
    dev->features = f;
    find_matrices(dev, coop && memory);
}

/* Limits ------------------------------------------------------------------------------------------------- */

static VkPhysicalDeviceDriverProperties driver_of(const struct vk_device *dev)
{
    VkPhysicalDeviceDriverProperties driver = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &driver};
    if (has_extension(dev, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME))
        dev->instance.GetPhysicalDeviceProperties2(dev->physical, &all);
    return driver;
}

/* llvmpipe leaves a shader's loops for good after 65,535 rounds of all together; short ones, which nobody counts, get the rest. */
enum { LLVMPIPE_ROUNDS = 60000 };

static uint64_t most_rounds(const struct vk_device *dev)
{
    return driver_of(dev).driverID == VK_DRIVER_ID_MESA_LLVMPIPE ? LLVMPIPE_ROUNDS : UINT64_MAX;
}

static void describe_driver(const struct vk_device *dev, char *text, size_t bytes)
{
    const VkPhysicalDeviceDriverProperties driver = driver_of(dev);
    if (driver.driverName[0])
        (void)snprintf(text, bytes, "%.120s %.120s", driver.driverName, driver.driverInfo);
    else
        (void)snprintf(text, bytes, "version %" PRIu32, dev->properties.driverVersion);
}

static uint64_t local_memory(const struct vk_device *dev)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < dev->memory.types.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &dev->memory.types.memoryHeaps[i];
        if (heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT && heap->size > most)
            most = heap->size;
    }
    return most;
}

static void probe_timestamps(struct vk_device *dev)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = 32;
    dev->instance.GetPhysicalDeviceQueueFamilyProperties(dev->physical, &count, families);
    dev->timestamp_bits = dev->family < count ? families[dev->family].timestampValidBits : 0;
}

enum { EMULATED_SIDE = 16 }; /* the size that most matrix units have */

static void fill_caps(struct vk_device *dev, const VkPhysicalDeviceSubgroupProperties *subgroup,
                      const VkPhysicalDeviceMaintenance3Properties *allocation)
{
    const VkPhysicalDeviceLimits *l = &dev->properties.limits;
    uint64_t alignment = 256;
    if (l->minStorageBufferOffsetAlignment > alignment)
        alignment = l->minStorageBufferOffsetAlignment;
    if (l->minTexelBufferOffsetAlignment > alignment)
        alignment = l->minTexelBufferOffsetAlignment;
    if (l->minUniformBufferOffsetAlignment > alignment)
        alignment = l->minUniformBufferOffsetAlignment;

    dev->common.caps = (struct kiln_caps){
        .backend = KILN_BACKEND_VULKAN,
        .software = is_software(dev),
        .unrolls = !is_software(dev),
        .folds_constants = true, /* kiln_spirv_specialize */
        .vendor = dev->properties.vendorID,
        .max_binding =
            least(l->maxStorageBufferRange, allocation->maxMemoryAllocationSize) / alignment * alignment,
        .max_allocation = allocation->maxMemoryAllocationSize,
        .memory = local_memory(dev),
        .max_texels = l->maxTexelBufferElements,
        .alignment = (uint32_t)alignment,
        .max_groups = (uint32_t)least(least(l->maxComputeWorkGroupCount[0], l->maxComputeWorkGroupCount[1]),
                                      l->maxComputeWorkGroupCount[2]),
        .max_invocations = (uint32_t)least(l->maxComputeWorkGroupInvocations, l->maxComputeWorkGroupSize[0]),
        .max_shared = l->maxComputeSharedMemorySize,
        .max_bindings =
            (uint32_t)least(l->maxPerStageDescriptorStorageBuffers, l->maxDescriptorSetStorageBuffers),
        .max_rounds = most_rounds(dev),
        .subgroup = subgroup->subgroupSize,
        .subgroup_ops =
            subgroup->supportedStages & VK_SHADER_STAGE_COMPUTE_BIT ? subgroup->supportedOperations : 0,
        .threads = 1,
        .slice = 0.1,
        .storage16 = dev->features.storage16,
        .storage8 = dev->features.storage8,
        .half = dev->features.half,
        .int64 = dev->features.int64,
        .dot = dev->features.dot,
        .nan = dev->features.nan,
        .timestamps = dev->timestamp_bits > 0 && l->timestampPeriod > 0,
        .coop = dev->features.coop,
        .coop_emulated = is_software(dev) && dev->features.half,
    };
    for (int i = 0; i < 3; i++)
        dev->common.caps.coop_size[i] = dev->features.coop ? dev->features.coop_size[i] : EMULATED_SIDE;
}

static void describe_matrices(const struct vk_device *dev, char *text, size_t bytes)
{
    const struct vk_features *f = &dev->features;
    if (f->coop)
        (void)snprintf(text, bytes, "%" PRIu32 "x%" PRIu32 "x%" PRIu32 " of halves", f->coop_size[0],
                       f->coop_size[1], f->coop_size[2]);
    else
        (void)snprintf(text, bytes, "none: %s", f->no_coop ? f->no_coop : "Vulkan is older than 1.1");
}

static void fill_info(struct vk_device *dev)
{
    const struct kiln_caps *caps = &dev->common.caps;
    kiln_device_info *info = &dev->common.info;
    *info = (kiln_device_info){
        .backend = KILN_BACKEND_VULKAN,
        .software = caps->software,
        .discrete = dev->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
        .memory = caps->memory,
        .max_binding = caps->max_binding,
        .max_invocations = caps->max_invocations,
        .max_shared = caps->max_shared,
        .subgroup = caps->subgroup,
        .half = caps->half,
    };
    describe_matrices(dev, info->matrices, sizeof info->matrices);
    (void)snprintf(info->title, sizeof info->title, "%.255s", dev->properties.deviceName);
    describe_driver(dev, info->driver, sizeof info->driver);
}

void kiln_vk_probe(struct vk_device *dev, const kiln_vulkan_borrow *borrow)
{
    VkPhysicalDeviceMaintenance3Properties allocation = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
    };
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
        .pNext = &allocation,
    };
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &subgroup};
    dev->instance.GetPhysicalDeviceProperties(dev->physical, &dev->properties);
    dev->instance.GetPhysicalDeviceMemoryProperties(dev->physical, &dev->memory.types);
    if (dev->properties.apiVersion >= VK_API_VERSION_1_1) { /* else below the floor, and these unknown */
        dev->instance.GetPhysicalDeviceProperties2(dev->physical, &all);
        if (borrow)
            borrow_features(dev, borrow);
        else
            probe_features(dev);
    }
    probe_timestamps(dev);
    fill_caps(dev, &subgroup, &allocation);
    fill_info(dev);
}

kiln_status kiln_vk_check_floor(const struct vk_device *dev)
{
    const VkPhysicalDeviceLimits *l = &dev->properties.limits;
    const struct kiln_caps *caps = &dev->common.caps;
    const struct {
        const char *what;
        uint64_t has, wanted;
    } floor[] = {
        {"bytes of storage-buffer range", caps->max_binding, 128 * MIB - 256},
        {"bytes of one allocation", caps->max_allocation, 1024 * MIB},
        {"texel-buffer elements", caps->max_texels, 65536},
        {"workgroups an axis", caps->max_groups, 65535},
        {"invocations of a workgroup", caps->max_invocations, 128},
        {"bytes of shared memory", caps->max_shared, 16384},
        {"storage buffers a stage", caps->max_bindings, 8},
        {"bytes of push constants", l->maxPushConstantsSize, 128},
    };
    const uint32_t version = dev->properties.apiVersion;
    if (version < VK_API_VERSION_1_1)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "Vulkan: \"%s\" has version %d.%d, kiln needs 1.1",
                         dev->common.info.title, (int)VK_API_VERSION_MAJOR(version),
                         (int)VK_API_VERSION_MINOR(version));
    for (size_t i = 0; i < sizeof floor / sizeof *floor; i++)
        if (floor[i].has < floor[i].wanted)
            return kiln_fail(KILN_ERROR_UNSUPPORTED, "Vulkan: \"%s\" has %" PRIu64 " %s, kiln needs %" PRIu64,
                             dev->common.info.title, floor[i].has, floor[i].what, floor[i].wanted);
    if (caps->alignment > 256)
        return kiln_fail(KILN_ERROR_UNSUPPORTED,
                         "Vulkan: \"%s\" wants offsets at multiples of %" PRIu32 " bytes, kiln gives 256",
                         dev->common.info.title, caps->alignment);
    return KILN_OK;
}
