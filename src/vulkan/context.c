/*
 * context.c - loader, instance, device and queue: kiln's own or an application's; failed calls.
 *
 * The loader is opened when the first instance is made, so the library starts where there is none. Each
 * device has an instance of its own: there is nothing shared to keep alive, and an application's instance
 * fits in the same place. volk's globals are touched under one lock, to find the loader and to fill a
 * device's table, and used for nothing else.
 *
 * Where the environment switches on the validation layers, their warnings and errors go to the log as
 * errors and are counted. What the loader itself says about layers is none of them.
 */
#define VOLK_IMPLEMENTATION
#include "vulkan/coop.h"
#include "vulkan/vk.h"

#include <stdlib.h>
#include <string.h>

static pthread_mutex_t volk_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int messages;

/* Results ------------------------------------------------------------------------------------------------ */

#define RESULTS(X)                    \
    X(VK_SUCCESS)                     \
    X(VK_NOT_READY)                   \
    X(VK_TIMEOUT)                     \
    X(VK_INCOMPLETE)                  \
    X(VK_ERROR_OUT_OF_HOST_MEMORY)    \
    X(VK_ERROR_OUT_OF_DEVICE_MEMORY)  \
    X(VK_ERROR_INITIALIZATION_FAILED) \
    X(VK_ERROR_DEVICE_LOST)           \
    X(VK_ERROR_MEMORY_MAP_FAILED)     \
    X(VK_ERROR_LAYER_NOT_PRESENT)     \
    X(VK_ERROR_EXTENSION_NOT_PRESENT) \
    X(VK_ERROR_FEATURE_NOT_PRESENT)   \
    X(VK_ERROR_INCOMPATIBLE_DRIVER)   \
    X(VK_ERROR_TOO_MANY_OBJECTS)      \
    X(VK_ERROR_FRAGMENTED_POOL)       \
    X(VK_ERROR_OUT_OF_POOL_MEMORY)    \
    X(VK_ERROR_INVALID_SHADER_NV)     \
    X(VK_ERROR_UNKNOWN)

const char *kiln_vk_result_name(VkResult result)
{
    switch (result) {
#define X(name) \
    case name:  \
        return #name;
        RESULTS(X)
#undef X
    default:
        return "an unknown result";
    }
}

static kiln_status status_of(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
        return KILN_ERROR_MEMORY;
    case VK_ERROR_EXTENSION_NOT_PRESENT:
    case VK_ERROR_FEATURE_NOT_PRESENT:
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return KILN_ERROR_UNSUPPORTED;
    default:
        return KILN_ERROR_DEVICE;
    }
}

/* Of "dev->api.vkCreateFence(dev->handle, ...)" the name. */
static kiln_status fail(const char *call, VkResult result)
{
    const int length = (int)strcspn(call, "(");
    int start = length;
    while (start > 0 && call[start - 1] != '.' && call[start - 1] != '>')
        start--;
    return kiln_fail(status_of(result), "Vulkan: %.*s gave %s", length - start, call + start,
                     kiln_vk_result_name(result));
}

kiln_status kiln_vk_fail(struct vk_device *dev, const char *call, VkResult result)
{
    if (dev && result == VK_ERROR_DEVICE_LOST)
        atomic_store(&dev->lost, true);
    return fail(call, result);
}

kiln_status kiln_vk_alive(struct vk_device *dev)
{
    if (!atomic_load(&dev->lost))
        return KILN_OK;
    return kiln_fail(KILN_ERROR_DEVICE, "Vulkan: %s was lost and can do nothing more; open it again",
                     dev->common.info.title);
}

/* Instance ----------------------------------------------------------------------------------------------- */

int kiln_vulkan_messages(void)
{
    return atomic_load(&messages);
}

static VKAPI_ATTR VkBool32 VKAPI_CALL hear(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                           VkDebugUtilsMessageTypeFlagsEXT type,
                                           const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    (void)severity, (void)type, (void)user;
    if (data->pMessageIdName && strcmp(data->pMessageIdName, "Loader Message") == 0)
        return VK_FALSE;
    atomic_fetch_add(&messages, 1);
    kiln_log_line(KILN_LOG_ERROR, "Vulkan validation: %s", data->pMessage);
    return VK_FALSE;
}

static const VkDebugUtilsMessengerCreateInfoEXT listener = {
    .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
    .messageSeverity =
        VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
    .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
    .pfnUserCallback = hear,
};

static bool validation_is_on(void)
{
    static const char *const names[] = {"VK_INSTANCE_LAYERS", "VK_LOADER_LAYERS_ENABLE"};
    for (int i = 0; i < 2; i++) {
        const char *value = getenv(names[i]);
        if (value && strstr(value, "validation"))
            return true;
    }
    return false;
}

/* The functions of an instance that is there. False where one is missing: an instance below 1.1. */
static bool load_instance(struct vk_instance *instance)
{
#define X(name)                                                                 \
    instance->name = (PFN_vk##name)instance->get(instance->handle, "vk" #name); \
    if (!instance->name)                                                        \
        return false;
    VK_INSTANCE_FUNCTIONS(X)
#undef X
    return true;
}

static void start_listening(struct vk_instance *instance)
{
    const PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)instance->get(instance->handle, "vkCreateDebugUtilsMessengerEXT");
    if (!create || create(instance->handle, &listener, NULL, &instance->messenger) != VK_SUCCESS)
        instance->messenger = VK_NULL_HANDLE;
}

static VkResult create_instance(struct vk_instance *instance, bool listen)
{
    static const char *const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pEngineName = "kiln",
        .apiVersion = VK_API_VERSION_1_1,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = listen ? &listener : NULL,
        .pApplicationInfo = &application,
        .enabledExtensionCount = listen ? 1 : 0,
        .ppEnabledExtensionNames = extensions,
    };
    const PFN_vkCreateInstance create = (PFN_vkCreateInstance)instance->get(NULL, "vkCreateInstance");
    return create ? create(&info, NULL, &instance->handle) : VK_ERROR_INITIALIZATION_FAILED;
}

/* The system's loader; NULL if there is none. */
static PFN_vkGetInstanceProcAddr find_loader(void)
{
    pthread_mutex_lock(&volk_lock);
    const PFN_vkGetInstanceProcAddr get =
        vkGetInstanceProcAddr || volkInitialize() == VK_SUCCESS ? vkGetInstanceProcAddr : NULL;
    pthread_mutex_unlock(&volk_lock);
    return get;
}

kiln_status kiln_vk_instance_create(struct vk_instance *instance, bool quiet)
{
    *instance = (struct vk_instance){.owned = true, .get = find_loader()};
    if (!instance->get)
        return quiet
                   ? KILN_ERROR_UNSUPPORTED
                   : kiln_fail(KILN_ERROR_UNSUPPORTED, "Vulkan: no loader (libvulkan.so.1) on this machine");

    const bool listen = validation_is_on();
    pthread_mutex_lock(&volk_lock);
    VkResult result = create_instance(instance, listen);
    pthread_mutex_unlock(&volk_lock);
    if (result == VK_SUCCESS && !load_instance(instance))
        result = VK_ERROR_INCOMPATIBLE_DRIVER;
    if (result != VK_SUCCESS) {
        kiln_vk_instance_destroy(instance);
        return quiet ? status_of(result) : fail("vkCreateInstance", result);
    }
    if (listen)
        start_listening(instance);
    return KILN_OK;
}

kiln_status kiln_vk_instance_borrow(struct vk_instance *instance, const kiln_vulkan_borrow *borrow)
{
    *instance = (struct vk_instance){.handle = borrow->instance};
    if (borrow->get_instance_proc) /* C keeps functions and objects apart, dlsym and its callers do not */
        memcpy(&instance->get, &borrow->get_instance_proc, sizeof instance->get);
    else
        instance->get = find_loader();
    if (!instance->get || !instance->handle || !load_instance(instance))
        return kiln_fail(KILN_ERROR_ARGUMENT, "Vulkan: the lent instance has no functions of Vulkan 1.1");
    return KILN_OK;
}

void kiln_vk_instance_destroy(struct vk_instance *instance)
{
    if (!instance->owned || !instance->handle)
        return;
    if (instance->messenger) {
        const PFN_vkDestroyDebugUtilsMessengerEXT destroy =
            (PFN_vkDestroyDebugUtilsMessengerEXT)instance->get(instance->handle,
                                                               "vkDestroyDebugUtilsMessengerEXT");
        destroy(instance->handle, instance->messenger, NULL);
    }
    const PFN_vkDestroyInstance destroy =
        (PFN_vkDestroyInstance)instance->get(instance->handle, "vkDestroyInstance");
    if (destroy) {
        pthread_mutex_lock(&volk_lock);
        destroy(instance->handle, NULL);
        pthread_mutex_unlock(&volk_lock);
    }
    instance->handle = NULL;
}

uint32_t kiln_vk_physical_devices(const struct vk_instance *instance, VkPhysicalDevice **out)
{
    uint32_t count = 0;
    *out = NULL;
    if (instance->EnumeratePhysicalDevices(instance->handle, &count, NULL) < 0 || count == 0)
        return 0;
    *out = calloc(count, sizeof **out);
    if (!*out || instance->EnumeratePhysicalDevices(instance->handle, &count, *out) < 0)
        count = 0;
    return count;
}

/* Device ------------------------------------------------------------------------------------------------- */

static void load_device(struct vk_device *dev)
{
    pthread_mutex_lock(&volk_lock);
    vkGetDeviceProcAddr = dev->instance.GetDeviceProcAddr;
    volkLoadDeviceTable(&dev->api, dev->handle);
    pthread_mutex_unlock(&volk_lock);
}

/* What a device is asked for beyond Vulkan 1.1. */
struct wishes {
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDevice8BitStorageFeatures storage8;
    VkPhysicalDeviceShaderFloat16Int8Features half;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics;
    VkBaseOutStructure *chain; /* of the structs above */
    const char *extension[8];
    uint32_t extensions;
};

/* Ask for an extension, and for the features that it has. */
static void wish(struct wishes *w, const char *extension, void *features)
{
    VkBaseOutStructure *link = features;

    w->extension[w->extensions++] = extension;
    if (!link)
        return;
    link->pNext = w->chain;
    w->chain = link;
}

static void make_wishes(struct wishes *w, const struct vk_features *f)
{
    *w = (struct wishes){
        .storage16 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
                      .storageBuffer16BitAccess = f->storage16},
        .storage8 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES,
                     .storageBuffer8BitAccess = VK_TRUE},
        .half = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
                 .shaderFloat16 = VK_TRUE},
        .dot = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
                .shaderIntegerDotProduct = VK_TRUE},
        .memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
                   .vulkanMemoryModel = VK_TRUE},
        .coop = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
                 .cooperativeMatrix = VK_TRUE},
        .statistics = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
                       .pipelineExecutableInfo = VK_TRUE},
    };
    w->chain = (VkBaseOutStructure *)&w->storage16; /* a part of Vulkan 1.1 */
    if (f->storage8)
        wish(w, VK_KHR_8BIT_STORAGE_EXTENSION_NAME, &w->storage8);
    if (f->half)
        wish(w, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, &w->half);
    if (f->dot)
        wish(w, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, &w->dot);
    if (f->nan)
        wish(w, VK_KHR_SHADER_FLOAT_CONTROLS_EXTENSION_NAME, NULL);
    if (f->coop) {
        wish(w, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, &w->memory);
        wish(w, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, &w->coop);
    }
    if (f->tells)
        wish(w, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, &w->statistics);
}

kiln_status kiln_vk_device_create(struct vk_device *dev)
{
    kiln_status status = KILN_OK;
    struct wishes wishes;
    make_wishes(&wishes, &dev->features);

    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = dev->family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = wishes.chain,
        .pEnabledFeatures = &(VkPhysicalDeviceFeatures){.shaderInt64 = dev->features.int64},
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = wishes.extensions,
        .ppEnabledExtensionNames = wishes.extension,
    };
    VK(dev, dev->instance.CreateDevice(dev->physical, &info, NULL, &dev->handle));
    dev->owned = true;
    load_device(dev);
    dev->api.vkGetDeviceQueue(dev->handle, dev->family, 0, &dev->queue_handle);

fail:
    return status;
}

kiln_status kiln_vk_device_borrow(struct vk_device *dev, const kiln_vulkan_borrow *borrow)
{
    if (!borrow->device || !borrow->queue)
        return kiln_fail(KILN_ERROR_ARGUMENT, "Vulkan: the lent device lacks its VkDevice or VkQueue handle");
    dev->handle = borrow->device;
    dev->queue_handle = borrow->queue;
    dev->lock = borrow->lock;
    dev->unlock = borrow->unlock;
    dev->user = borrow->user;
    load_device(dev);
    return KILN_OK;
}

void kiln_vk_device_destroy(struct vk_device *dev)
{
    if (dev->owned)
        dev->api.vkDestroyDevice(dev->handle, NULL);
    dev->handle = NULL;
}
