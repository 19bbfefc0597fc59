/*
 * device.h - where programs run: a Vulkan GPU, the CPU, or "null", which records and runs nothing; or where a GPU's
 * driver compiles them, "compile", which runs nothing either.
 */
#ifndef KILN_DEVICE_H
#define KILN_DEVICE_H

#include <kiln/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_device kiln_device;

typedef enum kiln_backend { KILN_BACKEND_CPU, KILN_BACKEND_VULKAN, KILN_BACKEND_NULL } kiln_backend;

/** What a device is. Text is always ended. */
typedef struct kiln_device_info {
    kiln_backend backend;
    bool software;            /* a Vulkan driver that runs on the CPU: used only when asked for by name */
    bool discrete;            /* a GPU with memory of its own: preferred to others */
    char name[96];            /* what kiln_device_params.name accepts: "cpu", "null", "vulkan:0" */
    char title[256];          /* what a person calls it: "AMD Radeon RX 7600 (RADV NAVI33)" */
    char driver[256];         /* driver name and version; the kernels' instruction set on the CPU */
    uint64_t memory;          /* bytes of device memory; 0 if unknown */
    uint64_t max_binding;     /* largest byte range one kernel binding may cover */
    uint32_t max_invocations; /* of one workgroup */
    uint32_t max_shared;      /* bytes of shared memory of one workgroup */
    uint32_t subgroup;        /* lanes that run together; 0 if unknown */
    bool half;                /* F16 is kept in 2 bytes an element; else, as all other types, in 4 */
    /* what matrix units multiply, "16x16x16 of halves", or "none: " and why; "" on the CPU */
    char matrices[96];
} kiln_device_info;

/** A VkDevice that the application owns and lends. Handles are passed as they are, so no Vulkan header is needed. */
typedef struct kiln_vulkan_borrow {
    void *instance;           /* VkInstance */
    void *physical;           /* VkPhysicalDevice */
    void *device;             /* VkDevice */
    void *queue;              /* VkQueue with compute */
    uint32_t family;          /* its queue family */
    void *get_instance_proc;  /* PFN_vkGetInstanceProcAddr; NULL: the system's loader */
    const void *features;     /* VkPhysicalDeviceFeatures2 chain enabled at creation, or NULL for none */
    void (*lock)(void *user); /* called around every use of the queue; NULL if it is kiln's alone */
    void (*unlock)(void *user);
    void *user;
} kiln_vulkan_borrow;

typedef struct kiln_device_params {
    /**
     * "cpu", "null", "vulkan" (the best one, software drivers included), "vulkan:1" (as listed), or "vulkan:TEXT"
     * (the first whose title contains TEXT, in whatever case); "compile", "compile:1" and "compile:TEXT" are these
     * GPUs' drivers, who compile and have nothing run. NULL means the environment's KILN_DEVICE, else the best
     * real GPU, else the CPU.
     */
    const char *name;
    int threads;                      /* of the CPU device; 0 means KILN_THREADS, else one a core */
    const kiln_vulkan_borrow *borrow; /* use this VkDevice; it must outlive the kiln_device */
    /* folder of what is kept of the device: pipelines, features that failed a test, choices of a tuner (tune.h); NULL:
     * $XDG_CACHE_HOME/kiln, or ~/.cache/kiln; "": none */
    const char *cache;
} kiln_device_params;

/**
 * Open a device.
 *
 * Owns:    programs and weights keep the device alive; close it whenever you like.
 * Threads: any number may use one device.
 * Errors:  ERROR_ARGUMENT for a name that fits no device (the line lists those there are), ERROR_UNSUPPORTED for a GPU
 *          below the floor (the line names the limit), ERROR_DEVICE.
 */
KILN_API kiln_status kiln_device_open(kiln_device **out, const kiln_device_params *params);

/** Give the device back; stores NULL. */
KILN_API void kiln_device_close(kiln_device **dev);

/** What the device is; a loan. */
KILN_API const kiln_device_info *kiln_device_get_info(const kiln_device *dev);

/** Fill up to `room` entries with the devices of this machine, best first, and return how many there are. */
KILN_API int kiln_device_list(kiln_device_info *info, int room);

/** Bytes of device memory that kiln holds on this device now. */
KILN_API uint64_t kiln_device_memory_used(const kiln_device *dev);

/** What a device was given since it was opened, and how often somebody stopped for it. */
typedef struct kiln_device_counts {
    uint64_t submissions;
    uint64_t waits; /* for work that nobody had waited for yet, whether or not it was over by then */
} kiln_device_counts;

/** Threads: any; each number is right by itself. */
KILN_API kiln_device_counts kiln_device_get_counts(const kiln_device *dev);

/** Wait until everything submitted to the device has run. */
KILN_API kiln_status kiln_device_wait(kiln_device *dev);

#ifdef __cplusplus
}
#endif
#endif
