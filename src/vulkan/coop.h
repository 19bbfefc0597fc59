/*
 * coop.h - cooperative matrices: which sizes a device multiplies, and whether its driver is to be believed.
 *
 * VK_KHR_cooperative_matrix is younger than some headers that kiln is built with: what they lack is declared here.
 */
#ifndef KILN_VULKAN_COOP_H
#define KILN_VULKAN_COOP_H

#include <stdbool.h>
#include <stdint.h>

#include <volk.h>

#include "device/caps.h"

#ifndef VK_KHR_cooperative_matrix
#define VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME                          "VK_KHR_cooperative_matrix"
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR ((VkStructureType)1000506000)
#define VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR               ((VkStructureType)1000506001)

typedef enum VkComponentTypeKHR {
    VK_COMPONENT_TYPE_FLOAT16_KHR = 0,
    VK_COMPONENT_TYPE_FLOAT32_KHR = 1,
    VK_COMPONENT_TYPE_MAX_ENUM_KHR = 0x7fffffff
} VkComponentTypeKHR;

typedef enum VkScopeKHR { VK_SCOPE_SUBGROUP_KHR = 3, VK_SCOPE_MAX_ENUM_KHR = 0x7fffffff } VkScopeKHR;

typedef struct VkPhysicalDeviceCooperativeMatrixFeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrix;
    VkBool32 cooperativeMatrixRobustBufferAccess;
} VkPhysicalDeviceCooperativeMatrixFeaturesKHR;

typedef struct VkCooperativeMatrixPropertiesKHR {
    VkStructureType sType;
    void *pNext;
    uint32_t MSize, NSize, KSize;
    VkComponentTypeKHR AType, BType, CType, ResultType;
    VkBool32 saturatingAccumulation;
    VkScopeKHR scope;
} VkCooperativeMatrixPropertiesKHR;

typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(
    VkPhysicalDevice, uint32_t *, VkCooperativeMatrixPropertiesKHR *);
#endif

struct vk_device;

/**
 * Of the sizes in a driver's list the one to use: products of halves summed in floats by a subgroup, whose sides the tiles
 * (shaders/include/coop_tiled.glsl) are multiples of; 16 x 16 x 16 before others, else the largest. False: there is none.
 */
bool kiln_vk_coop_choose(const VkCooperativeMatrixPropertiesKHR *list, uint32_t count, uint32_t size[3]);

/**
 * Whether a driver that claims these sizes has matrix units behind them, as far as is known. Intel's before Xe2, whose fragments
 * are 8 wide, lose by them, and AMD's own driver claims them for GPUs that have none, which lack `mixed_dot`, dot products of bytes with
 * and without sign, too (the gates of llama.cpp's ggml-vulkan).
 */
bool kiln_vk_coop_trusted(uint32_t vendor, const uint32_t size[3], bool mixed_dot);

/** Find the sizes of dev->physical, which has the extension: NULL, or why they are not used. */
const char *kiln_vk_coop_probe(const struct vk_device *dev, uint32_t size[3]);

#endif
