/*
 * vk.h - what the files of the Vulkan backend share.
 *
 *   context.c    loader, instance, device and queue, own or borrowed; results to messages
 *   caps.c       what a device can do, and whether that is enough
 *   coop.c       sizes of cooperative matrices
 *   memory.c     blocks of device memory, cut into pieces
 *   buffer.c     buffers over those pieces, or imported
 *   spirv.c fold.c   constants written into SPIR-V words
 *   pipeline.c   one pipeline a shader and set of constants
 *   statistics.c what the driver's compiler says of a pipeline
 *   cache.c      the driver's pipeline cache on disk
 *   mask.c       features that failed a test, on disk
 *   command.c    command lists to command buffers
 *   queue.c      submissions, tickets, waiting
 *   backend.c    the table of functions, opening and closing
 *
 * Closing takes half-opened devices: what ends with _finish, _destroy and _close accepts a zeroed part.
 *
 * Locks: memory, pipelines and tickets have one each; no file takes two. What is baked belongs to one
 * thread at a time.
 */
#ifndef KILN_VULKAN_VK_H
#define KILN_VULKAN_VK_H

#include <pthread.h>
#include <volk.h>

#include "base/log.h"
#include "base/vec.h"
#include "device/device.h"

/* Binding numbers behind the kernel's own: see KILN_END_UNIFORM in interface.h for the first. */
enum { VK_BINDING_BLOCK = KILN_MAX_BINDINGS, VK_BINDING_SCRATCH };

/** What a binding is that goes through a view of texels: the scratch is written, too. */
static inline VkDescriptorType kiln_vk_texels(uint32_t binding)
{
    return binding == VK_BINDING_SCRATCH ? VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER
                                         : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
}

enum {
    VK_HEAPS = KILN_HEAP_READBACK + 1,
    VK_FENCES = 32,          /* submissions in flight */
    VK_PIPELINE_SLOTS = 256, /* of the hash table */
};

/* The functions of an instance, of which there may be several: applications lend their own. */
#define VK_INSTANCE_FUNCTIONS(X)          \
    X(CreateDevice)                       \
    X(DestroyInstance)                    \
    X(EnumerateDeviceExtensionProperties) \
    X(EnumeratePhysicalDevices)           \
    X(GetDeviceProcAddr)                  \
    X(GetPhysicalDeviceFeatures2)         \
    X(GetPhysicalDeviceMemoryProperties)  \
    X(GetPhysicalDeviceProperties)        \
    X(GetPhysicalDeviceProperties2)       \
    X(GetPhysicalDeviceQueueFamilyProperties)

struct vk_instance {
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger;
    bool owned;
    PFN_vkGetInstanceProcAddr get;
#define X(name) PFN_vk##name name;
    VK_INSTANCE_FUNCTIONS(X)
#undef X
};

/** Optional features, as the device has them and kiln enables them (or as the application enabled them). */
struct vk_features {
    bool storage16, storage8, half, int64, dot, nan, coop;
    uint32_t coop_size[3]; /* of kiln_caps */
    const char *no_coop;   /* why there is no coop */
    bool tells;            /* what its compiler made, of a device that only compiles */
};

struct vk_range {
    VkDeviceSize offset, bytes;
};

/** A VkDeviceMemory and its free ranges, in order, none adjoining another. */
struct vk_block {
    struct vk_block *next; /* in its pool */
    struct vk_pool *pool;
    VkDeviceMemory memory;
    VkDeviceSize bytes;
    unsigned char *map;             /* NULL where the host does not see it */
    int pieces;                     /* in use */
    KILN_VEC(struct vk_range) gaps; /* room for two more than pieces, so that giving back never fails */
};

/** The blocks of one heap in one memory type. */
struct vk_pool {
    uint32_t type;
    bool mapped, coherent;
    int block_count;
    struct vk_block *block;
};

struct vk_memory {
    pthread_mutex_t lock;
    VkPhysicalDeviceMemoryProperties types;
    uint32_t allocations;
    uint64_t held[VK_MAX_MEMORY_HEAPS]; /* bytes allocated from the driver */
    struct vk_pool pool[VK_HEAPS][VK_MAX_MEMORY_TYPES];
};

struct vk_buffer {
    struct kiln_buffer common;
    VkBuffer handle;
    VkDeviceSize start; /* where it begins in the handle: imported ones may lie inside */
    VkDeviceSize bytes; /* of the handle from start on: common.bytes rounded up, or as imported */
    enum kiln_heap heap;
    struct vk_block *block;
    struct vk_range range; /* of the block */
};

/** What a pipeline is known by. No padding: keys are compared as bytes. */
struct vk_pipeline_key {
    uint64_t code; /* hash that stands for the words and the tuning */
    uint32_t lanes, constant_count;
    uint32_t constants[KILN_MAX_CONSTANTS];
    uint32_t storage, texels; /* bit i: binding i is a storage buffer, a texel buffer */
    uint32_t block;           /* 1: there is a uniform block */
    uint32_t halves;          /* bit i: binding i holds halves */
};

struct vk_pipeline {
    struct vk_pipeline *next; /* in its slot */
    struct vk_pipeline_key key;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline handle;
    struct kiln_compiled compiled;
};

struct vk_pipelines {
    pthread_mutex_t lock;
    VkPipelineCache cache;
    char *cache_path;    /* NULL: no file */
    uint64_t cache_hash; /* of what the file held */
    struct vk_pipeline *slot[VK_PIPELINE_SLOTS];
    int built; /* by the driver: what tests count */
};

/** Submissions: ticket t holds fence t % VK_FENCES until t + VK_FENCES takes it. */
struct vk_fence {
    VkFence handle;
    kiln_ticket ticket;
    int waiters;
    double estimate; /* seconds of all work since the queue was last seen empty, this included */
};

struct vk_queue {
    pthread_mutex_t lock;
    pthread_cond_t left; /* a fence has lost its last waiter */
    kiln_ticket issued, passed;
    double busy_since, busy_estimate;
    double pace; /* measured over estimated seconds */
    struct vk_fence fence[VK_FENCES];
};

struct vk_device {
    struct kiln_device common;
    struct vk_instance instance;
    VkPhysicalDevice physical;
    VkPhysicalDeviceProperties properties;
    struct vk_features features;
    char *mask_path; /* NULL: no file */
    VkDevice handle;
    VkQueue queue_handle;
    uint32_t family;
    uint32_t timestamp_bits;
    bool owned;    /* the VkDevice is not borrowed */
    bool compiles; /* and does nothing else */
    atomic_bool lost;
    void (*lock)(void *user); /* around uses of the queue; NULL: it is kiln's alone */
    void (*unlock)(void *user);
    void *user;
    struct VolkDeviceTable api;
    struct vk_memory memory;
    struct vk_pipelines pipelines;
    struct vk_queue queue;
};

/* context.c ---------------------------------------------------------------------------------------------- */

/** Log a failed call, given as its text or in words; note the loss of the device; return the status. */
kiln_status kiln_vk_fail(struct vk_device *dev, const char *call, VkResult result);

/** "VK_ERROR_DEVICE_LOST" */
const char *kiln_vk_result_name(VkResult result);

/** Call, and on failure set `status` and go to `fail`. */
#define VK(dev, call)                                       \
    do {                                                    \
        const VkResult vk_result = (call);                  \
        if (vk_result != VK_SUCCESS) {                      \
            status = kiln_vk_fail((dev), #call, vk_result); \
            goto fail;                                      \
        }                                                   \
    } while (0)

/** ERROR_DEVICE and a log line once the device is lost. */
kiln_status kiln_vk_alive(struct vk_device *dev);

/** Create an instance through the system's loader; `quiet` logs nothing. Threads: any. */
kiln_status kiln_vk_instance_create(struct vk_instance *instance, bool quiet);
/** The functions of an application's instance. */
kiln_status kiln_vk_instance_borrow(struct vk_instance *instance, const kiln_vulkan_borrow *borrow);
void kiln_vk_instance_destroy(struct vk_instance *instance);

/** The physical devices, malloced; returns how many. */
uint32_t kiln_vk_physical_devices(const struct vk_instance *instance, VkPhysicalDevice **out);

/** Create the VkDevice of dev->physical, or take the borrowed one; loads dev->api. */
kiln_status kiln_vk_device_create(struct vk_device *dev);
kiln_status kiln_vk_device_borrow(struct vk_device *dev, const kiln_vulkan_borrow *borrow);
void kiln_vk_device_destroy(struct vk_device *dev);

/* caps.c ------------------------------------------------------------------------------------------------- */

/** A queue family with compute, one without graphics preferred; false if there is none. */
bool kiln_vk_family(const struct vk_instance *instance, VkPhysicalDevice physical, uint32_t *family);

/** Fill in properties, features (of a lent device those enabled), caps and info of dev->physical. */
void kiln_vk_probe(struct vk_device *dev, const kiln_vulkan_borrow *borrow);

/** ERROR_UNSUPPORTED, naming the limit, for a device below the floor. */
kiln_status kiln_vk_check_floor(const struct vk_device *dev);

/* memory.c ----------------------------------------------------------------------------------------------- */

void kiln_vk_memory_finish(struct vk_device *dev);

/** Find memory for the buffer, bind and map it. Errors: ERROR_MEMORY naming the buffer. Threads: any. */
kiln_status kiln_vk_memory_take(struct vk_device *dev, struct vk_buffer *b, const char *name);
void kiln_vk_memory_give(struct vk_device *dev, struct vk_buffer *b);

/** Let the host see what the device wrote to memory that is not coherent. */
kiln_status kiln_vk_memory_refresh(struct vk_device *dev);

/* buffer.c ----------------------------------------------------------------------------------------------- */

kiln_status kiln_vk_buffer_create(kiln_device *dev, const struct kiln_buffer_params *params,
                                  struct kiln_buffer **out);
void kiln_vk_buffer_destroy(kiln_device *dev, struct kiln_buffer *b);

/* pipeline.c, statistics.c, cache.c ---------------------------------------------------------------------- */

void kiln_vk_pipelines_finish(struct vk_device *dev);

/** The pipeline of a dispatch: a loan from the device. Threads: any. */
kiln_status kiln_vk_pipeline_get(struct vk_device *dev, const kiln_dispatch *d,
                                 const struct vk_pipeline **out);

/** kiln_device_ops.compile */
kiln_status kiln_vk_compile(kiln_device *dev, const kiln_dispatch *d, const struct kiln_compiled **out);

/** What the driver tells of a pipeline that was built so that it can. Errors: ERROR_MEMORY; the driver's. */
kiln_status kiln_vk_read_statistics(struct vk_device *dev, struct vk_pipeline *p);

/** FOLDER/WHAT-VENDOR-DEVICE-UUIDENDING, malloced, its folders made; folder as kiln_device_params.cache. NULL: no file. */
char *kiln_vk_cache_path(const struct vk_device *dev, const char *folder, const char *what,
                         const char *ending);
/** Read the cache's file, if it is there and this driver's own, and create the VkPipelineCache. */
kiln_status kiln_vk_cache_open(struct vk_device *dev, const char *folder);
/** Write the file if the cache has grown, and destroy the cache. */
void kiln_vk_cache_close(struct vk_device *dev);

/* mask.c ------------------------------------------------------------------------------------------------- */

/** Hide what the device's mask file names, with one warning. */
void kiln_vk_mask_open(struct vk_device *dev, const char *folder);

/** Whether the usual file of a device that is only listed names a feature. */
bool kiln_vk_mask_names(struct vk_device *dev, const char *feature);
/** Add a feature to the file; where that cannot be written it is not remembered. */
void kiln_vk_mask_add(kiln_device *dev, const char *feature);

/* queue.c ------------------------------------------------------------------------------------------------ */

kiln_status kiln_vk_queue_init(struct vk_device *dev);
void kiln_vk_queue_finish(struct vk_device *dev);

/** Submit command buffers, estimated to take so many seconds. Threads: the caller holds the device's lock. */
kiln_status kiln_vk_queue_submit(struct vk_device *dev, const VkCommandBuffer *buffers, uint32_t count,
                                 double estimate, kiln_ticket *ticket);
kiln_status kiln_vk_queue_wait(kiln_device *dev, kiln_ticket ticket);

/** Measured over estimated seconds, so far. Threads: any. */
double kiln_vk_queue_pace(struct vk_device *dev);

/* command.c ---------------------------------------------------------------------------------------------- */

kiln_status kiln_vk_bake(kiln_device *dev, const struct kiln_commands *list, struct kiln_baked **out);
void kiln_vk_unbake(kiln_device *dev, struct kiln_baked *work);
kiln_status kiln_vk_submit(kiln_device *dev, struct kiln_baked *const *work, int count, kiln_ticket *ticket);
/** How many command buffers a list became: what tests count. */
int kiln_vk_pieces(const struct kiln_baked *work);
bool kiln_vk_time(kiln_device *dev, struct kiln_baked *work, int index, double *begin, double *end);

#endif
