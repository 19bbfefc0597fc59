/*
 * device.h - the seam between kiln and the machine. A backend is one table of functions over buffers and
 * command lists; it knows kernels' variants and never operators.
 */
#ifndef KILN_DEVICE_DEVICE_H
#define KILN_DEVICE_DEVICE_H

#include <stdatomic.h>

#include "device/caps.h"
#include "device/choices.h"
#include "device/commands.h"

/** Where a buffer's memory should lie. */
enum kiln_heap {
    KILN_HEAP_DEVICE,   /* fastest for kernels; not mapped on a discrete GPU */
    KILN_HEAP_UPLOAD,   /* mapped, written by the host, read by copies */
    KILN_HEAP_READBACK, /* mapped and cached, written by copies, read by the host */
};

struct kiln_buffer_params {
    uint64_t bytes;
    enum kiln_heap heap;
    const char *name; /* for messages */
    void *import;     /* an application's VkBuffer handle, already bound to memory; NULL: allocate */
    uint64_t import_offset;
};

/** A backend's buffer begins with this. */
struct kiln_buffer {
    uint64_t bytes;
    void *map;     /* host address; NULL where the heap is not mapped */
    bool imported; /* the application's memory, not counted as ours: set by device.c */
};

struct kiln_baked; /* a command list made ready to run; opaque to all but its backend */

/** What a driver's compiler says of the code it made: in its own words and units, "VGPRs" or "Spill count". */
struct kiln_statistic {
    char name[64];
    double value;
};
struct kiln_compiled {
    double seconds; /* that it took */
    int count;      /* 0 where the driver tells nothing */
    struct kiln_statistic *statistic;
};

typedef uint64_t kiln_ticket; /* grows with each submission to a device; 0 has always passed */

struct kiln_device_ops {
    const char *name;
    void (*close)(kiln_device *dev);

    /** Errors: ERROR_MEMORY with a log line that names the buffer, its size and what is free. */
    kiln_status (*buffer_create)(kiln_device *dev, const struct kiln_buffer_params *params,
                                 struct kiln_buffer **out);
    /** Not called on NULL; the device has finished with it. */
    void (*buffer_destroy)(kiln_device *dev, struct kiln_buffer *b);

    /** Make a list ready: pipelines, descriptors, command buffers. The list may be freed afterwards; what its
     *  dispatches point to (kernels, variants) is static, but blocks, constants and names are copied. */
    kiln_status (*bake)(kiln_device *dev, const struct kiln_commands *list, struct kiln_baked **out);
    void (*unbake)(kiln_device *dev, struct kiln_baked *work);

    /**
     * Run baked lists in order; everything submitted before is finished, as memory sees it, before the first
     * begins. Writes the ticket to wait for. Allocates nothing. Threads: the caller holds the device's lock.
     */
    kiln_status (*submit)(kiln_device *dev, struct kiln_baked *const *work, int count, kiln_ticket *ticket);
    /** Return when the ticket has passed. Threads: any. */
    kiln_status (*wait)(kiln_device *dev, kiln_ticket ticket);

    /** Compile what runs a dispatch. *out is a loan until the device closes. Optional. Threads: any. */
    kiln_status (*compile)(kiln_device *dev, const kiln_dispatch *d, const struct kiln_compiled **out);

    /** Remember, for the next time that the device is opened, that a feature failed its test (kiln_caps_mask). Optional. */
    void (*distrust)(kiln_device *dev, const char *feature);

    /** When command `index` of the list began and ended in its last run, in seconds on a clock of the device's, if it can tell.
     *  Optional. */
    bool (*time)(kiln_device *dev, struct kiln_baked *work, int index, double *begin, double *end);
};

/** A backend's device begins with this. */
struct kiln_device {
    const struct kiln_device_ops *ops;
    struct kiln_caps caps;
    kiln_device_info info;
    atomic_int references;
    atomic_uint_fast64_t memory_used;        /* bytes of live buffers: kept by device.c */
    atomic_uint_fast64_t newest;             /* the last ticket given: kept by device.c */
    atomic_uint_fast64_t awaited;            /* the newest ticket that was waited for, ... */
    atomic_uint_fast64_t submissions, waits; /* ... and counts: kept by device.c */
    void *lock;                              /* a mutex of device.c around submit */
    struct kiln_choices *choices;            /* what a tuner found on it, in this process or another ... */
    char *choices_path;                      /* ... and where that is kept; NULL: nowhere */
    uint32_t tried;                          /* features that were tried (recorder/truth.c), and its lock's */
    bool profile;                            /* timestamps are wanted: set before baking */
    bool watched;                            /* wait for each submission by itself, and keep ... */
    double longest;                          /* ... the seconds that the longest took */
};

/* Backends: fill *out, whose common part device.c completes (references, lock, KILN_LIMITS). */
kiln_status kiln_cpu_open(const kiln_device_params *params, kiln_device **out);
/** Describe the CPU device without opening it. */
void kiln_cpu_describe(kiln_device_info *info);
/** With a compiler, which it owns: has its caps and title, and has it compile what is baked. */
kiln_status kiln_null_open(kiln_device *compiler, kiln_device **out);
/** `index` counts the physical devices in the loader's order; -1 with params->borrow. */
kiln_status kiln_vulkan_open(const kiln_device_params *params, int index, kiln_device **out);
/** Such a device that only compiles, and tells what its driver tells: of what would run, nothing is there. */
kiln_status kiln_vulkan_open_compiler(int index, kiln_device **out);
/** Describe this machine's Vulkan devices in the loader's order; returns how many, 0 without a loader. Silent. */
int kiln_vulkan_list(kiln_device_info *info, int room);
/** How many warnings and errors the validation layers have sent in this process. Checks read it. */
int kiln_vulkan_messages(void);

/* The calls that the rooms above use: arguments checked once, then the backend. */
kiln_device *kiln_device_retain(kiln_device *dev); /* released by kiln_device_close */
kiln_status kiln_buffer_create(kiln_device *dev, const struct kiln_buffer_params *params,
                               struct kiln_buffer **out);
void kiln_buffer_destroy(kiln_device *dev, struct kiln_buffer **b);
kiln_status kiln_bake(kiln_device *dev, const struct kiln_commands *list, struct kiln_baked **out);
void kiln_unbake(kiln_device *dev, struct kiln_baked **work);
kiln_status kiln_submit(kiln_device *dev, struct kiln_baked *const *work, int count, kiln_ticket *ticket);
kiln_status kiln_wait(kiln_device *dev, kiln_ticket ticket);

/** Compile what runs a dispatch; *out is a loan until the device closes, NULL where it does not compile. Threads: any. */
kiln_status kiln_device_compile(kiln_device *dev, const kiln_dispatch *d, const struct kiln_compiled **out);

/** Go without a feature from now on, by its name in a mask, and remember that where the backend can. */
void kiln_device_distrust(kiln_device *dev, const char *feature);

/* Kernels on a device */
/** The first variant of the kernel's list for this device that accepts and pays; NULL if the device has no code for
 *  it. On the CPU a kernel without a fast variant that accepts yields kiln_cpu_reference. */
const kiln_variant *kiln_choose(const kiln_device *dev, const kiln_dispatch *d);
/** The variant of that name, if it accepts; NULL: there is none, or it does not. NULL for no name. */
const kiln_variant *kiln_variant_named(const kiln_device *dev, const kiln_dispatch *d, const char *name);
/** The kernel's list for a device, ended by NULL; NULL: there is none. */
const kiln_variant *const *kiln_kernel_variants(const kiln_device *dev, const kiln_kernel *kernel);
/** The shader of a variant that a dispatch runs: the one for halves where it has some. NULL: none. */
const kiln_spirv *kiln_variant_spirv(const kiln_variant *v, const kiln_dispatch *d);
/** Whether a variant has code for this dispatch, halves included, and accepts it. */
bool kiln_variant_accepts(const kiln_variant *v, const kiln_caps *caps, const kiln_dispatch *d);
/** Whether a variant has too long loops for the device, so that this is why none accepts. */
bool kiln_rounds_exceed(const kiln_device *dev, const kiln_dispatch *d);
/** Bytes of scratch that a dispatch binds: on the CPU none, as there each thread has its own. */
uint64_t kiln_bound_scratch(const kiln_device *dev, const kiln_dispatch *d);
/** Bytes of scratch that it takes of each of the CPU's threads. */
uint64_t kiln_thread_scratch(const kiln_device *dev, const kiln_dispatch *d);
/** Whether it is likely the fastest, of one that accepts it. */
bool kiln_variant_pays(const kiln_variant *v, const kiln_caps *caps, const kiln_dispatch *d);
/** The CPU variant that runs the contract's reference (float or, where d->f64, double build) in its own units. */
extern const kiln_variant kiln_cpu_reference;

#endif
