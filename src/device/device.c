/*
 * device.c - which device, how long it lives, and the calls that the rooms above make: arguments are checked
 * here once, then the backend is called.
 *
 *   choice     the name given, else KILN_DEVICE, else the real GPUs from the best on, else the CPU
 *   rank       real before software drivers, memory of its own before shared, more before less, the loader's
 *              order
 *   lock       one submission at a time; waiting needs no lock
 *   memory     counted per live buffer before the backend allocates, and refused beyond the budget
 */
#include "device/device.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

#define MAX_GPUS 16

/* The machine's devices ---------------------------------------------------------------------------------- */

struct gpus {
    kiln_device_info info[MAX_GPUS];
    int index[MAX_GPUS]; /* best first: positions in the loader's order, as is info */
    int count;
};

static bool better(const kiln_device_info *a, const kiln_device_info *b)
{
    if (a->software != b->software)
        return b->software;
    if (a->discrete != b->discrete)
        return a->discrete;
    return a->memory > b->memory;
}

static void list_gpus(struct gpus *g)
{
    const int found = kiln_vulkan_list(g->info, MAX_GPUS);

    g->count = found < MAX_GPUS ? found : MAX_GPUS;
    for (int i = 0; i < g->count; i++) {
        int at = i;
        snprintf(g->info[i].name, sizeof g->info[i].name, "vulkan:%d", i);
        for (; at > 0 && better(&g->info[i], &g->info[g->index[at - 1]]); at--)
            g->index[at] = g->index[at - 1];
        g->index[at] = i;
    }
}

int kiln_device_list(kiln_device_info *info, int room)
{
    struct gpus gpus;
    kiln_device_info all[MAX_GPUS + 1];
    int count = 0;

    list_gpus(&gpus);
    for (int i = 0; i < gpus.count && !gpus.info[gpus.index[i]].software; i++)
        all[count++] = gpus.info[gpus.index[i]];
    kiln_cpu_describe(&all[count++]);
    for (int i = count - 1; i < gpus.count; i++)
        all[count++] = gpus.info[gpus.index[i]];

    if (info && room > 0)
        memcpy(info, all, sizeof *info * (size_t)(count < room ? count : room));
    return count;
}

/* Opening ------------------------------------------------------------------------------------------------ */

/* Fail with what was asked for and the names there are. */
static kiln_status refuse_name(const char *source, const char *name)
{
    kiln_device_info info[MAX_GPUS + 1];
    const int count = kiln_device_list(info, MAX_GPUS + 1);
    struct kiln_text there = {0};

    for (int i = 0; i < count; i++)
        kiln_text_add(&there, info[i].backend == KILN_BACKEND_CPU ? "%s, " : "%s (%s), ", info[i].name,
                      info[i].title);
    kiln_fail(KILN_ERROR_ARGUMENT, "%s \"%s\" is none of this machine; there are %snull", source, name,
              kiln_text_get(&there));
    kiln_text_finish(&there);
    return KILN_ERROR_ARGUMENT;
}

static bool contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

/* What stands behind "vulkan" or "compile": nothing, ":N" or ":TEXT". -1: no such GPU. */
static int find_gpu(const struct gpus *g, const char *rest)
{
    if (g->count == 0 || (rest[0] && !rest[1]))
        return -1;
    if (!*rest)
        return g->index[0];
    rest++;
    if (strspn(rest, "0123456789") == strlen(rest)) {
        const long index = strtol(rest, NULL, 10);
        return index < g->count ? (int)index : -1;
    }
    for (int i = 0; i < g->count; i++)
        if (contains(g->info[i].title, rest))
            return i;
    return -1;
}

/* A device that has a GPU's driver compile, and runs nothing. */
static kiln_status open_compiling(int index, kiln_device **out)
{
    kiln_device *compiler;
    const kiln_status status = kiln_vulkan_open_compiler(index, &compiler);
    return status ? status : kiln_null_open(compiler, out);
}

/* What stands behind a word at the beginning of a name: nothing, or from a colon on. NULL: it does not begin so. */
static const char *behind(const char *name, const char *word)
{
    const size_t length = strlen(word);
    const bool begins = strncmp(name, word, length) == 0 && (!name[length] || name[length] == ':');
    return begins ? name + length : NULL;
}

static kiln_status open_named(const kiln_device_params *params, const char *source, const char *name,
                              kiln_device **out)
{
    const char *const gpu = behind(name, "vulkan"), *const compiler = behind(name, "compile");
    struct gpus gpus;
    int index;

    if (strcmp(name, "cpu") == 0)
        return kiln_cpu_open(params, out);
    if (strcmp(name, "null") == 0)
        return kiln_null_open(NULL, out);
    if (!gpu && !compiler)
        return refuse_name(source, name);

    list_gpus(&gpus);
    index = find_gpu(&gpus, gpu ? gpu : compiler);
    if (index < 0)
        return refuse_name(source, name);
    return gpu ? kiln_vulkan_open(params, index, out) : open_compiling(index, out);
}

static kiln_status open_best(const kiln_device_params *params, kiln_device **out)
{
    struct gpus gpus;

    list_gpus(&gpus);
    for (int i = 0; i < gpus.count && !gpus.info[gpus.index[i]].software; i++) {
        if (kiln_vulkan_open(params, gpus.index[i], out) == KILN_OK)
            return KILN_OK;
        kiln_warn("%s cannot be used; trying the next device", gpus.info[gpus.index[i]].title);
    }
    return kiln_cpu_open(params, out);
}

static kiln_status open_backend(const kiln_device_params *params, kiln_device **out)
{
    const char *name = getenv("KILN_DEVICE");

    if (params->borrow && params->name && strncmp(params->name, "vulkan", 6) != 0)
        return kiln_fail(KILN_ERROR_ARGUMENT, "device \"%s\" and a borrowed VkDevice exclude each other",
                         params->name);
    if (params->borrow)
        return kiln_vulkan_open(params, -1, out);
    if (params->name)
        return open_named(params, "device", params->name, out);
    if (name && *name)
        return open_named(params, "KILN_DEVICE", name, out);
    return open_best(params, out);
}

/* The part of a device that is the same for every backend; dev is closed on failure. */
static kiln_status complete(kiln_device *dev, const kiln_device_params *params)
{
    const bool had_matrices = dev->caps.coop;
    kiln_status status = kiln_caps_limit(&dev->caps, getenv("KILN_LIMITS"));
    pthread_mutex_t *lock = malloc(sizeof *lock);

    if (!status)
        status = kiln_caps_mask(&dev->caps, "KILN_MASK", getenv("KILN_MASK"));
    if (!status && (!lock || !(dev->choices = kiln_choices_create()) || pthread_mutex_init(lock, NULL)))
        status = kiln_fail(KILN_ERROR_MEMORY, "no memory for the device's lock");
    if (status) {
        kiln_choices_destroy(&dev->choices);
        free(lock);
        dev->ops->close(dev);
        return status;
    }
    dev->lock = lock;
    atomic_init(&dev->references, 1);
    atomic_init(&dev->memory_used, 0);
    atomic_init(&dev->newest, 0);
    atomic_init(&dev->awaited, 0);
    atomic_init(&dev->submissions, 0);
    atomic_init(&dev->waits, 0);
    dev->info.backend = dev->caps.backend;
    dev->info.software = dev->caps.software;
    dev->info.memory = dev->caps.memory;
    dev->info.max_binding = dev->caps.max_binding;
    dev->info.max_invocations = dev->caps.max_invocations;
    dev->info.max_shared = dev->caps.max_shared;
    dev->info.subgroup = dev->caps.subgroup;
    dev->info.half = dev->caps.storage16;
    if (had_matrices && !dev->caps.coop)
        snprintf(dev->info.matrices, sizeof dev->info.matrices, "none: masked, or beyond KILN_LIMITS");
    if (!dev->info.name[0])
        snprintf(dev->info.name, sizeof dev->info.name, "%s", dev->ops->name);
    if (!dev->caps.idle) /* what takes no time has no best */
        dev->choices_path = kiln_choices_path(params->cache, &dev->info);
    kiln_choices_load(dev->choices, dev->choices_path, &dev->info);
    return KILN_OK;
}

kiln_status kiln_device_open(kiln_device **out, const kiln_device_params *params)
{
    const kiln_device_params defaults = {0};
    kiln_device *dev = NULL;
    kiln_status status;

    if (!out)
        return kiln_fail(KILN_ERROR_ARGUMENT, "kiln_device_open: nowhere to put the device");
    *out = NULL;
    params = params ? params : &defaults;
    if ((status = open_backend(params, &dev)) || (status = complete(dev, params)))
        return status;
    kiln_log_line(KILN_LOG_INFO, "device %s: %s (%s)", dev->info.name, dev->info.title, dev->info.driver);
    *out = dev;
    return KILN_OK;
}

kiln_device *kiln_device_retain(kiln_device *dev)
{
    if (dev)
        atomic_fetch_add(&dev->references, 1);
    return dev;
}

void kiln_device_close(kiln_device **dev)
{
    kiln_device *last = dev ? *dev : NULL;

    if (!last)
        return;
    *dev = NULL;
    if (atomic_fetch_sub(&last->references, 1) > 1)
        return;
    kiln_device_wait(last);
    pthread_mutex_destroy(last->lock);
    free(last->lock);
    free(last->choices_path);
    kiln_choices_destroy(&last->choices);
    last->ops->close(last);
}

const kiln_device_info *kiln_device_get_info(const kiln_device *dev)
{
    return dev ? &dev->info : NULL;
}

uint64_t kiln_device_memory_used(const kiln_device *dev)
{
    return dev ? atomic_load(&dev->memory_used) : 0;
}

kiln_device_counts kiln_device_get_counts(const kiln_device *dev)
{
    if (!dev)
        return (kiln_device_counts){0};
    return (kiln_device_counts){atomic_load(&dev->submissions), atomic_load(&dev->waits)};
}

kiln_status kiln_device_wait(kiln_device *dev)
{
    return dev ? kiln_wait(dev, atomic_load(&dev->newest)) : KILN_OK;
}

/* Buffers ------------------------------------------------------------------------------------------------ */

/* Count the bytes as used, or refuse them beyond the budget. */
static kiln_status take_memory(kiln_device *dev, const struct kiln_buffer_params *params)
{
    const uint64_t budget = dev->caps.budget;
    uint64_t used = atomic_load(&dev->memory_used);

    do {
        if (budget && (used > budget || params->bytes > budget - used))
            return kiln_fail(KILN_ERROR_MEMORY,
                             "buffer \"%s\" needs %" PRIu64 " bytes of %s, which holds %" PRIu64
                             " of at most %" PRIu64,
                             params->name, params->bytes, dev->info.name, used, budget);
    } while (!atomic_compare_exchange_weak(&dev->memory_used, &used, used + params->bytes));
    return KILN_OK;
}

kiln_status kiln_buffer_create(kiln_device *dev, const struct kiln_buffer_params *params,
                               struct kiln_buffer **out)
{
    struct kiln_buffer_params p = *params;
    kiln_status status;

    *out = NULL;
    if (!p.name)
        p.name = "unnamed";
    if (p.bytes == 0)
        return kiln_fail(KILN_ERROR_ARGUMENT, "buffer \"%s\" has no bytes", p.name);
    if (!p.import && (status = take_memory(dev, &p)))
        return status;
    if ((status = dev->ops->buffer_create(dev, &p, out))) {
        if (!p.import)
            atomic_fetch_sub(&dev->memory_used, p.bytes);
        *out = NULL;
        return status;
    }
    (*out)->bytes = p.bytes;
    (*out)->imported = p.import != NULL;
    return KILN_OK;
}

void kiln_buffer_destroy(kiln_device *dev, struct kiln_buffer **b)
{
    struct kiln_buffer *gone = *b;

    *b = NULL;
    if (!gone)
        return;
    if (!gone->imported)
        atomic_fetch_sub(&dev->memory_used, gone->bytes);
    dev->ops->buffer_destroy(dev, gone);
}

/* Compiling ---------------------------------------------------------------------------------------------- */

kiln_status kiln_device_compile(kiln_device *dev, const kiln_dispatch *d, const struct kiln_compiled **out)
{
    *out = NULL;
    return dev->ops->compile ? dev->ops->compile(dev, d, out) : KILN_OK;
}

/* Trust -------------------------------------------------------------------------------------------------- */

void kiln_device_distrust(kiln_device *dev, const char *feature)
{
    (void)kiln_caps_mask(&dev->caps, "a test", feature);
    if (dev->ops->distrust)
        dev->ops->distrust(dev, feature);
}

/* Work --------------------------------------------------------------------------------------------------- */

kiln_status kiln_bake(kiln_device *dev, const struct kiln_commands *list, struct kiln_baked **out)
{
    kiln_status status;

    *out = NULL;
    if ((status = kiln_commands_check(list, &dev->caps)) == KILN_OK)
        status = dev->ops->bake(dev, list, out);
    return status;
}

void kiln_unbake(kiln_device *dev, struct kiln_baked **work)
{
    if (*work)
        dev->ops->unbake(dev, *work);
    *work = NULL;
}

kiln_status kiln_submit(kiln_device *dev, struct kiln_baked *const *work, int count, kiln_ticket *ticket)
{
    kiln_status status;

    *ticket = 0;
    if (count <= 0)
        return KILN_OK;
    pthread_mutex_lock(dev->lock);
    if ((status = dev->ops->submit(dev, work, count, ticket)) == KILN_OK) {
        atomic_store(&dev->newest, *ticket);
        atomic_fetch_add(&dev->submissions, 1);
    }
    pthread_mutex_unlock(dev->lock);
    return status;
}

/* Tickets grow. Two threads that wait for one ticket at once may count as one or as two. */
static void count_wait(kiln_device *dev, kiln_ticket ticket)
{
    if (ticket <= atomic_load(&dev->awaited))
        return;
    atomic_store(&dev->awaited, ticket);
    atomic_fetch_add(&dev->waits, 1);
}

kiln_status kiln_wait(kiln_device *dev, kiln_ticket ticket)
{
    count_wait(dev, ticket);
    return ticket ? dev->ops->wait(dev, ticket) : KILN_OK;
}

/* Kernels ------------------------------------------------------------------------------------------------ */

const kiln_spirv *kiln_variant_spirv(const kiln_variant *v, const kiln_dispatch *d)
{
    return d->halves ? v->half : v->spirv;
}

/* Whether the variant has code for this device, and for halves and bytes where the dispatch has some. */
static bool runs_here(const kiln_caps *caps, const kiln_variant *v, const kiln_dispatch *d)
{
    const kiln_spirv *spirv = kiln_variant_spirv(v, d);
    switch (caps->backend) {
    case KILN_BACKEND_CPU:
        return v->run != NULL && !d->halves && (!d->bytes || v->bytes);
    case KILN_BACKEND_VULKAN:
        return spirv && spirv->words;
    case KILN_BACKEND_NULL:
        return spirv || !d->halves;
    }
    return false;
}

static bool ends_loops(const kiln_variant *v, const kiln_caps *caps, const kiln_dispatch *d)
{
    return v->rounds && v->rounds(d) > caps->max_rounds;
}

bool kiln_variant_accepts(const kiln_variant *v, const kiln_caps *caps, const kiln_dispatch *d)
{
    return runs_here(caps, v, d) && (!v->accepts || v->accepts(caps, d)) && !ends_loops(v, caps, d);
}

bool kiln_rounds_exceed(const kiln_device *dev, const kiln_dispatch *d)
{
    const kiln_variant *const *list = kiln_kernel_variants(dev, d->kernel);
    bool found = false;
    for (; list && *list && !d->f64; list++)
        found |= ends_loops(*list, &dev->caps, d);
    return found;
}

const kiln_variant *const *kiln_kernel_variants(const kiln_device *dev, const kiln_kernel *kernel)
{
    return dev->caps.backend == KILN_BACKEND_CPU ? kernel->cpu : kernel->gpu;
}

const kiln_variant *kiln_variant_named(const kiln_device *dev, const kiln_dispatch *d, const char *name)
{
    const kiln_variant *const *list = kiln_kernel_variants(dev, d->kernel);

    for (; name && list && *list && !d->f64; list++)
        if (!strcmp((*list)->name, name))
            return kiln_variant_accepts(*list, &dev->caps, d) ? *list : NULL;
    return NULL;
}

bool kiln_variant_pays(const kiln_variant *v, const kiln_caps *caps, const kiln_dispatch *d)
{
    return !v->pays || v->pays(caps, d);
}

static uint64_t scratch_where(bool here, const kiln_device *dev, const kiln_dispatch *d)
{
    return here && d->variant->scratch ? d->variant->scratch(&dev->caps, d) : 0;
}

uint64_t kiln_bound_scratch(const kiln_device *dev, const kiln_dispatch *d)
{
    return scratch_where(dev->caps.backend != KILN_BACKEND_CPU, dev, d);
}

uint64_t kiln_thread_scratch(const kiln_device *dev, const kiln_dispatch *d)
{
    return scratch_where(dev->caps.backend == KILN_BACKEND_CPU, dev, d);
}

const kiln_variant *kiln_choose(const kiln_device *dev, const kiln_dispatch *d)
{
    const bool cpu = dev->caps.backend == KILN_BACKEND_CPU;
    const kiln_variant *const *list = kiln_kernel_variants(dev, d->kernel);

    if (d->f64)
        return cpu && d->kernel->reference_f64 ? &kiln_cpu_reference : NULL;
    for (; list && *list; list++)
        if (kiln_variant_accepts(*list, &dev->caps, d) && kiln_variant_pays(*list, &dev->caps, d))
            return *list;
    return cpu && d->kernel->reference && !d->halves && !d->bytes ? &kiln_cpu_reference : NULL;
}
