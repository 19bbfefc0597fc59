/*
 * backend.c - the CPU as a device: host memory, a thread pool, and command lists run where they are
 * submitted.
 *
 *   buffers    all heaps are mapped; zeroed, at multiples of 64 bytes; large ones in large pages where the system has them
 *   bake       one allocation: the commands with their pointers resolved, each dispatch with its copy of the
 *              block
 *   submit     runs the commands one after another on the calling thread and the pool, and returns when all
 *              is done
 *   scratch    a piece of each thread's own, as large as the most that a baked list wants: what a processor writes there stays in
 *              its caches from one dispatch to the next
 *   dispatch   one loop of the pool over the variant's units, in pieces of about PIECE seconds by estimate;
 *              one that is shorter than two of them stays on the calling thread. Pieces never depend on the
 *              number of threads, so neither does a result.
 *   repeat     the loop looks at its flag, which the list has written, before each turn
 *   shuffle    KILN_SHUFFLE=seed: the commands between two barriers run in random order, and buffers called
 *              "scratch" begin as NaN, so that a missing barrier or a read of what was never written shows in
 *              the numbers
 */
#define _DEFAULT_SOURCE 1 /* madvise */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "base/threads.h"
#include "cpu/cpu.h"
#include "device/device.h"

#define ALIGNMENT    64 /* of memory: a cache line, and the widest vector */
#define LARGE_PAGE   ((size_t)2 << 20)
#define NOT_A_NUMBER 0x7fc00000u
#define THREADS      "threads' scratch"
#define PAGE         ((size_t)4096)

/* Estimates for the size of pieces only. */
#define PIECE                15e-6 /* seconds */
#define BYTES_PER_SECOND     4e9
#define FLOPS_PER_SECOND     8e9 /* of fast variants */
#define REFERENCE_PER_SECOND 5e8 /* of references */

struct cpu_device {
    struct kiln_device base;
    struct kiln_pool *pool;
    pthread_mutex_t lock;        /* around runs, and around the growing of: */
    struct kiln_buffer *scratch; /* of the threads, `apart` bytes from one to the next; NULL: none yet */
    size_t apart;
    kiln_ticket ticket;
    bool shuffle;
    struct kiln_rng rng; /* of the shuffle; used under the device's lock */
};

struct cpu_buffer {
    struct kiln_buffer base;
    void *block; /* what free() wants */
};

struct step {
    enum kiln_command_kind kind;
    union {
        struct {
            kiln_dispatch dispatch;
            kiln_memory memory;
            size_t first, count, grain;
            bool alone;                   /* too short to share */
            const struct cpu_device *own; /* whose threads' scratch it takes; NULL: it takes none */
        } run;
        struct {
            const void *from;
            void *to;
            size_t bytes;
        } copy;
        struct {
            uint32_t *to;
            size_t words;
            uint32_t value;
        } fill;
        struct {
            uint64_t count, turn;
            const uint32_t *flag; /* NULL: none */
            int other;            /* of a repeat its end, of an end its repeat */
        } repeat;
    } as;
};

struct kiln_baked {
    struct step *step;
    uint32_t *order;    /* of the steps, while shuffled; NULL where they are not */
    double (*times)[2]; /* each step's begin and end in its last run; NULL unless the device profiles */
    int count;
};

/* The reference as a variant ----------------------------------------------------------------------------- */

static void run_reference(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count,
                          int worker)
{
    kiln_reference_fn *reference = d->f64 ? d->kernel->reference_f64 : d->kernel->reference;

    (void)worker;
    reference(d->block.bytes, d->constants, m, first, count);
}

const kiln_variant kiln_cpu_reference = {.name = "reference", .run = run_reference};

/* Buffers ------------------------------------------------------------------------------------------------ */

static void cpu_buffer_destroy(kiln_device *dev, struct kiln_buffer *b)
{
    (void)dev;
    free(((struct cpu_buffer *)b)->block);
    free(b);
}

static kiln_status no_memory(const kiln_device *dev, const struct kiln_buffer_params *params)
{
    return kiln_fail(KILN_ERROR_MEMORY,
                     "buffer \"%s\": the system gave no %" PRIu64 " bytes; it has %" PRIu64
                     " in all, %" PRIu64 " are held here",
                     params->name, params->bytes, dev->caps.memory,
                     atomic_load(&dev->memory_used) - params->bytes);
}

/* Fewer lookups of addresses, a few percent of a network's time; a system that has none of such pages loses nothing. */
static void prefer_large_pages(void *at, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    madvise(at, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#else
    (void)at, (void)bytes;
#endif
}

static kiln_status cpu_buffer_create(kiln_device *dev, const struct kiln_buffer_params *params,
                                     struct kiln_buffer **out)
{
    const struct cpu_device *cpu = (const struct cpu_device *)dev;
    struct cpu_buffer *b;

    if (params->import)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "buffer \"%s\": the CPU device takes no VkBuffer",
                         params->name);
    if (params->bytes > SIZE_MAX - 2 * LARGE_PAGE)
        return no_memory(dev, params);
    const size_t alignment = params->bytes < LARGE_PAGE ? ALIGNMENT : LARGE_PAGE;
    b = calloc(1, sizeof *b);
    /* calloc's large blocks are fresh pages, which take memory only when they are touched. */
    if (!b || !(b->block = calloc(1, (size_t)params->bytes + 2 * alignment))) {
        free(b);
        return no_memory(dev, params);
    }
    b->base.bytes = params->bytes;
    b->base.map = (void *)(((uintptr_t)b->block + alignment - 1) / alignment * alignment);
    if (alignment == LARGE_PAGE)
        prefer_large_pages(b->base.map, (size_t)params->bytes);
    if (cpu->shuffle && (strcmp(params->name, "scratch") == 0 || strcmp(params->name, THREADS) == 0))
        for (size_t i = 0; i < params->bytes / 4; i++)
            ((uint32_t *)b->base.map)[i] = NOT_A_NUMBER;
    *out = &b->base;
    return KILN_OK;
}

/* Scratch of the threads for a list that wants so much of each. Lists find it when they run, so it may move between runs. */
static kiln_status grow_scratch(struct cpu_device *cpu, uint64_t bytes)
{
    const size_t apart = ((size_t)bytes + PAGE - 1) / PAGE * PAGE;
    const struct kiln_buffer_params params = {.bytes = (uint64_t)kiln_pool_threads(cpu->pool) * apart,
                                              .heap = KILN_HEAP_DEVICE,
                                              .name = THREADS};
    struct kiln_buffer *larger = NULL;
    kiln_status status = KILN_OK;

    pthread_mutex_lock(&cpu->lock);
    if (apart > cpu->apart && !(status = kiln_buffer_create(&cpu->base, &params, &larger))) {
        kiln_buffer_destroy(&cpu->base, &cpu->scratch);
        cpu->scratch = larger;
        cpu->apart = apart;
    }
    pthread_mutex_unlock(&cpu->lock);
    return status;
}

/* Baking ------------------------------------------------------------------------------------------------- */

static void *resolve(const struct kiln_commands *list, const struct kiln_span *span)
{
    return span->buffer < 0 ? NULL : (char *)list->buffer[span->buffer]->map + span->offset;
}

/* Seconds that a dispatch takes on one thread, very roughly; the same on every machine. */
static double estimate(const struct kiln_dispatch_command *c)
{
    const double speed =
        c->dispatch->variant == &kiln_cpu_reference ? REFERENCE_PER_SECOND : FLOPS_PER_SECOND;

    return c->flops / speed + kiln_traffic(c) / BYTES_PER_SECOND;
}

/* Units in one piece: a multiple of what the variant wants at the least. */
static size_t grain_of(const struct kiln_dispatch_command *c, double seconds)
{
    const double wanted = (double)c->count * PIECE / seconds; /* infinite where the work is free */
    const size_t least = c->dispatch->variant->grain ? c->dispatch->variant->grain : 1;
    const size_t units = wanted < (double)c->count ? (size_t)wanted : (size_t)c->count;

    return units < least ? least : units / least * least;
}

static void bake_dispatch(const struct cpu_device *cpu, struct step *s, const struct kiln_commands *list,
                          const struct kiln_dispatch_command *c)
{
    const double seconds = estimate(c);

    s->as.run.dispatch = *c->dispatch;
    for (int i = 0; i < c->dispatch->kernel->bindings; i++) {
        s->as.run.memory.at[i] = resolve(list, &c->bind[i]);
        s->as.run.memory.bytes[i] = c->bind[i].buffer < 0 ? 0 : c->bind[i].bytes;
    }
    s->as.run.own = kiln_thread_scratch(&cpu->base, c->dispatch) ? cpu : NULL;
    s->as.run.first = c->first;
    s->as.run.count = c->count;
    s->as.run.grain = grain_of(c, seconds);
    s->as.run.alone = seconds < 2 * PIECE;
}

static void bake_step(const struct cpu_device *cpu, struct step *s, const struct kiln_commands *list,
                      const struct kiln_command *c)
{
    s->kind = c->kind;
    switch (c->kind) {
    case KILN_COMMAND_DISPATCH:
        bake_dispatch(cpu, s, list, &c->as.dispatch);
        break;
    case KILN_COMMAND_COPY:
        s->as.copy.from = resolve(list, &c->as.copy.from);
        s->as.copy.to = resolve(list, &c->as.copy.to);
        s->as.copy.bytes = c->as.copy.to.bytes;
        break;
    case KILN_COMMAND_FILL:
        s->as.fill.to = resolve(list, &c->as.fill.to);
        s->as.fill.words = c->as.fill.to.bytes / 4;
        s->as.fill.value = c->as.fill.value;
        break;
    case KILN_COMMAND_REPEAT:
        s->as.repeat.count = c->as.repeat.count;
        s->as.repeat.flag = c->as.repeat.flag.bytes ? resolve(list, &c->as.repeat.flag) : NULL;
        break;
    case KILN_COMMAND_END:
    case KILN_COMMAND_BARRIER:
        break;
    }
}

/* Let the ends of each repeat know each other. */
static void match_repeats(struct kiln_baked *work)
{
    int open = -1; /* the innermost repeat; `other` leads to the one around it */

    for (int i = 0; i < work->count; i++) {
        struct step *s = &work->step[i];
        if (s->kind == KILN_COMMAND_REPEAT) {
            s->as.repeat.other = open;
            open = i;
        } else if (s->kind == KILN_COMMAND_END) {
            const int outer = work->step[open].as.repeat.other;
            s->as.repeat.other = open;
            work->step[open].as.repeat.other = i;
            open = outer;
        }
    }
}

/* The list's dispatches have code for this device. */
static kiln_status check_code(const struct kiln_commands *list)
{
    for (int i = 0; i < list->count; i++) {
        const struct kiln_command *c = &list->command[i];
        const kiln_dispatch *d = c->kind == KILN_COMMAND_DISPATCH ? c->as.dispatch.dispatch : NULL;
        const char *missing = NULL;

        if (!d)
            continue;
        if (!d->variant->run)
            missing = "is no CPU code";
        if (d->variant == &kiln_cpu_reference && !(d->f64 ? d->kernel->reference_f64 : d->kernel->reference))
            missing = d->f64 ? "has no float64 build" : "has no float32 build";
        if (missing)
            return kiln_fail(KILN_ERROR_UNSUPPORTED,
                             "segment \"%s\", command %d (%s): variant %s of kernel %s %s", list->name, i,
                             c->label ? c->label : "unnamed", d->variant->name, d->kernel->name, missing);
    }
    return KILN_OK;
}

/* What the list's dispatches want of each thread, at the most. */
static uint64_t most_scratch(const kiln_device *dev, const struct kiln_commands *list)
{
    uint64_t most = 0;

    for (int i = 0; i < list->count; i++) {
        const struct kiln_command *c = &list->command[i];
        const uint64_t bytes =
            c->kind == KILN_COMMAND_DISPATCH ? kiln_thread_scratch(dev, c->as.dispatch.dispatch) : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static kiln_status cpu_bake(kiln_device *dev, const struct kiln_commands *list, struct kiln_baked **out)
{
    struct cpu_device *cpu = (struct cpu_device *)dev;
    const size_t count = (size_t)list->count;
    kiln_status status = check_code(list);
    struct kiln_baked *work;

    if (status || (status = grow_scratch(cpu, most_scratch(dev, list))))
        return status;
    work = calloc(1, sizeof *work + count * (sizeof *work->step + sizeof *work->times + sizeof *work->order));
    if (!work)
        return kiln_fail(KILN_ERROR_MEMORY, "segment \"%s\": no memory to bake %d commands", list->name,
                         list->count);

    work->count = list->count;
    work->step = (struct step *)(work + 1);
    for (size_t i = 0; i < count; i++)
        bake_step(cpu, &work->step[i], list, &list->command[i]);
    match_repeats(work);
    if (dev->profile)
        work->times = (double(*)[2])(work->step + count);
    if (cpu->shuffle)
        work->order = (uint32_t *)((double(*)[2])(work->step + count) + count);
    *out = work;
    return KILN_OK;
}

static void cpu_unbake(kiln_device *dev, struct kiln_baked *work)
{
    (void)dev;
    free(work);
}

/* Running ------------------------------------------------------------------------------------------------ */

static void run_piece(void *user, size_t first, size_t count, int worker)
{
    const struct step *s = user;
    const struct cpu_device *own = s->as.run.own;
    kiln_memory memory;

    if (own) {
        memory = s->as.run.memory;
        memory.scratch = (char *)own->scratch->map + (size_t)worker * own->apart;
    }
    s->as.run.dispatch.variant->run(&s->as.run.dispatch, own ? &memory : &s->as.run.memory,
                                    s->as.run.first + first, count, worker);
}

static void run_step(struct cpu_device *dev, struct step *s)
{
    static atomic_uint_fast64_t runs; /* of all devices */

    switch (s->kind) {
    case KILN_COMMAND_DISPATCH:
        s->as.run.memory.run = atomic_fetch_add_explicit(&runs, 1, memory_order_relaxed) + 1;
        if (s->as.run.alone)
            run_piece(s, 0, s->as.run.count, 0);
        else
            kiln_pool_run(dev->pool, s->as.run.count, s->as.run.grain, run_piece, s);
        break;
    case KILN_COMMAND_COPY:
        memcpy(s->as.copy.to, s->as.copy.from, s->as.copy.bytes);
        break;
    case KILN_COMMAND_FILL:
        for (size_t i = 0; i < s->as.fill.words; i++)
            s->as.fill.to[i] = s->as.fill.value;
        break;
    case KILN_COMMAND_REPEAT:
    case KILN_COMMAND_END:
    case KILN_COMMAND_BARRIER:
        break;
    }
}

static bool is_work(enum kiln_command_kind kind)
{
    return kind == KILN_COMMAND_DISPATCH || kind == KILN_COMMAND_COPY || kind == KILN_COMMAND_FILL;
}

/* A new random order of the steps in which none crosses a barrier. */
static void shuffle(struct cpu_device *dev, struct kiln_baked *work)
{
    int first = 0;

    for (int i = 0; i < work->count; i++)
        work->order[i] = (uint32_t)i;
    for (int i = 0; i <= work->count; i++) {
        if (i < work->count && is_work(work->step[i].kind))
            continue;
        kiln_rng_shuffle(&dev->rng, work->order + first, (size_t)(i - first));
        first = i + 1;
    }
}

/* The step after which to go on behind step `at`: at the ends of a repeat, its beginning if there is another turn, or its end. */
static int go_on(struct kiln_baked *work, int at)
{
    struct step *s = &work->step[at];

    if (s->kind == KILN_COMMAND_BARRIER)
        return at;
    if (s->kind == KILN_COMMAND_REPEAT)
        s->as.repeat.turn = 0;
    const int repeat = s->kind == KILN_COMMAND_REPEAT ? at : s->as.repeat.other;
    s = &work->step[repeat];
    const bool more = s->as.repeat.turn < s->as.repeat.count && (!s->as.repeat.flag || *s->as.repeat.flag);
    s->as.repeat.turn++;
    return more ? repeat : s->as.repeat.other;
}

static void run_list(struct cpu_device *dev, struct kiln_baked *work)
{
    if (work->order)
        shuffle(dev, work);
    for (int i = 0; i < work->count; i++) {
        const int at = work->order ? (int)work->order[i] : i;

        if (work->times)
            work->times[at][0] = kiln_seconds();
        run_step(dev, &work->step[at]);
        if (!is_work(work->step[at].kind))
            i = go_on(work, at);
        if (work->times)
            work->times[at][1] = kiln_seconds();
    }
}

static kiln_status cpu_submit(kiln_device *dev, struct kiln_baked *const *work, int count,
                              kiln_ticket *ticket)
{
    struct cpu_device *cpu = (struct cpu_device *)dev;

    pthread_mutex_lock(&cpu->lock);
    for (int i = 0; i < count; i++)
        run_list(cpu, work[i]);
    pthread_mutex_unlock(&cpu->lock);
    *ticket = ++cpu->ticket;
    return KILN_OK;
}

/* A ticket is given when its work is done. */
static kiln_status cpu_wait(kiln_device *dev, kiln_ticket ticket)
{
    (void)dev, (void)ticket;
    return KILN_OK;
}

static bool cpu_time(kiln_device *dev, struct kiln_baked *work, int index, double *begin, double *end)
{
    (void)dev;
    if (!work->times || index < 0 || index >= work->count)
        return false;
    *begin = work->times[index][0];
    *end = work->times[index][1];
    return true;
}

/* Opening ------------------------------------------------------------------------------------------------ */

static void cpu_close(kiln_device *dev)
{
    struct cpu_device *cpu = (struct cpu_device *)dev;

    kiln_pool_destroy(&cpu->pool);
    kiln_buffer_destroy(dev, &cpu->scratch);
    pthread_mutex_destroy(&cpu->lock);
    free(cpu);
}

static const struct kiln_device_ops cpu_ops = {
    .name = "cpu",
    .close = cpu_close,
    .buffer_create = cpu_buffer_create,
    .buffer_destroy = cpu_buffer_destroy,
    .bake = cpu_bake,
    .unbake = cpu_unbake,
    .submit = cpu_submit,
    .wait = cpu_wait,
    .time = cpu_time,
};

/* Bytes of memory of the machine; 0 where the system does not tell. */
static uint64_t physical_memory(void)
{
#ifdef _SC_PHYS_PAGES
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0)
        return (uint64_t)pages * (uint64_t)page;
#endif
    return 0;
}

/* Indices of elements are 32 bits wide in kernels, which bounds a binding even where memory does not. */
static const struct kiln_caps cpu_caps = {
    .backend = KILN_BACKEND_CPU,
    .folds_constants = true,
    .f64 = true,
    .max_binding = ((uint64_t)4 << 30) - 256,
    .max_allocation = INT64_MAX,
    .alignment = 256,
    .max_groups = UINT32_MAX,
    .max_invocations = 1,
    .max_bindings = KILN_MAX_BINDINGS + 1,
    .max_rounds = UINT64_MAX,
    .slice = 1e9,
    .storage8 = true,
};

void kiln_cpu_describe(kiln_device_info *info)
{
    const struct kiln_cpu_features *features = kiln_cpu_detect();

    *info = (kiln_device_info){
        .backend = KILN_BACKEND_CPU,
        .name = "cpu",
        .memory = physical_memory(),
        .max_binding = cpu_caps.max_binding,
        .max_invocations = cpu_caps.max_invocations,
    };
    snprintf(info->title, sizeof info->title, "CPU, %s", kiln_cpu_name(features));
    snprintf(info->driver, sizeof info->driver, "%s", kiln_cpu_name(features));
}

/* KILN_SHUFFLE=seed, where it is set. */
static kiln_status read_shuffle(struct cpu_device *dev)
{
    const char *text = getenv("KILN_SHUFFLE");
    char *end;
    uint64_t seed;

    if (!text || !*text)
        return KILN_OK;
    seed = strtoull(text, &end, 10);
    if (*end)
        return kiln_fail(KILN_ERROR_ARGUMENT, "KILN_SHUFFLE wants a number, got \"%s\"", text);
    kiln_rng_init(&dev->rng, seed, kiln_rng_stream("shuffle"));
    dev->shuffle = true;
    return KILN_OK;
}

kiln_status kiln_cpu_open(const kiln_device_params *params, kiln_device **out)
{
    struct cpu_device *dev = calloc(1, sizeof *dev);
    kiln_status status = KILN_ERROR_MEMORY;

    *out = NULL;
    if (!dev)
        return kiln_fail(status, "no memory for the CPU device");
    if (pthread_mutex_init(&dev->lock, NULL)) {
        free(dev);
        return kiln_fail(status, "no memory for the CPU device's lock");
    }
    if ((status = kiln_pool_create(&dev->pool, params->threads)) || (status = read_shuffle(dev)))
        goto fail;

    dev->base.ops = &cpu_ops;
    dev->base.caps = cpu_caps;
    dev->base.caps.threads = (uint32_t)kiln_pool_threads(dev->pool);
    dev->base.caps.dot = kiln_cpu_detect()->vnni;
    dev->base.caps.memory = dev->base.caps.budget = physical_memory();
    kiln_cpu_describe(&dev->base.info);
    *out = &dev->base;
    return KILN_OK;

fail:
    cpu_close(&dev->base);
    return status;
}
