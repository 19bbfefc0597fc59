/*
 * null.c - a device that takes everything within its limits and runs nothing.
 *
 * It stands for a GPU whose limits are generous unless KILN_LIMITS says otherwise: what plans and command
 * lists look like, and whether they keep to a limit, can be seen on any machine. Only mapped heaps have
 * memory. With a compiler it stands for that GPU, whose driver compiles all that is baked: what becomes of
 * shaders can be seen where the driver is, without the GPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "device/device.h"

struct null_device {
    struct kiln_device base;
    kiln_ticket ticket;
    kiln_device *compiler; /* NULL: none */
};

struct kiln_baked {
    int count; /* of commands: nothing else is worth keeping */
};

static void null_close(kiln_device *dev)
{
    kiln_device *compiler = ((struct null_device *)dev)->compiler;
    if (compiler)
        compiler->ops->close(compiler);
    free(dev);
}

static void null_buffer_destroy(kiln_device *dev, struct kiln_buffer *b)
{
    (void)dev;
    free(b->map);
    free(b);
}

static kiln_status null_buffer_create(kiln_device *dev, const struct kiln_buffer_params *params,
                                      struct kiln_buffer **out)
{
    struct kiln_buffer *b = calloc(1, sizeof *b);

    if (b && params->heap != KILN_HEAP_DEVICE && !(b->map = calloc(1, params->bytes))) {
        null_buffer_destroy(dev, b);
        b = NULL;
    }
    if (!b)
        return kiln_fail(KILN_ERROR_MEMORY, "buffer \"%s\": no memory for %llu bytes", params->name,
                         (unsigned long long)params->bytes);
    b->bytes = params->bytes;
    *out = b;
    return KILN_OK;
}

static kiln_status null_compile(kiln_device *dev, const kiln_dispatch *d, const struct kiln_compiled **out)
{
    kiln_device *compiler = ((struct null_device *)dev)->compiler;
    return compiler ? kiln_device_compile(compiler, d, out) : KILN_OK;
}

static kiln_status null_bake(kiln_device *dev, const struct kiln_commands *list, struct kiln_baked **out)
{
    kiln_status status = KILN_OK;

    for (int i = 0; i < list->count && !status; i++) {
        const struct kiln_command *c = &list->command[i];
        const struct kiln_compiled *compiled;
        if (c->kind == KILN_COMMAND_DISPATCH)
            status = null_compile(dev, c->as.dispatch.dispatch, &compiled);
    }
    if (status)
        return status;
    struct kiln_baked *work = malloc(sizeof *work);
    if (!work)
        return kiln_fail(KILN_ERROR_MEMORY, "segment \"%s\": no memory to bake it", list->name);
    work->count = list->count;
    *out = work;
    return KILN_OK;
}

static void null_unbake(kiln_device *dev, struct kiln_baked *work)
{
    (void)dev;
    free(work);
}

static kiln_status null_submit(kiln_device *dev, struct kiln_baked *const *work, int count,
                               kiln_ticket *ticket)
{
    (void)work, (void)count;
    *ticket = ++((struct null_device *)dev)->ticket;
    return KILN_OK;
}

static kiln_status null_wait(kiln_device *dev, kiln_ticket ticket)
{
    (void)dev, (void)ticket;
    return KILN_OK;
}

/* Every command took no time. */
static bool null_time(kiln_device *dev, struct kiln_baked *work, int index, double *begin, double *end)
{
    (void)dev;
    *begin = *end = 0;
    return index >= 0 && index < work->count;
}

static const struct kiln_device_ops null_ops = {
    .name = "null",
    .close = null_close,
    .buffer_create = null_buffer_create,
    .buffer_destroy = null_buffer_destroy,
    .bake = null_bake,
    .unbake = null_unbake,
    .submit = null_submit,
    .wait = null_wait,
    .compile = null_compile,
    .time = null_time,
};

/* A GPU that lacks little. */
static const struct kiln_caps generous = {
    .backend = KILN_BACKEND_NULL,
    .unrolls = true,
    .folds_constants = true,
    .max_binding = ((uint64_t)4 << 30) - 256,
    .max_allocation = (uint64_t)4 << 30,
    .max_texels = (uint64_t)1 << 27,
    .alignment = 256,
    .max_groups = 65535,
    .max_invocations = 1024,
    .max_shared = 32768,
    .max_bindings = 32,
    .max_rounds = UINT64_MAX,
    .slice = 0.005,
    .storage16 = true,
    .storage8 = true,
    .half = true,
    .dot = true,
    .nan = true,
};

static void describe(kiln_device *dev, const kiln_device *compiler)
{
    kiln_device_info *info = &dev->info;
    if (!compiler) {
        snprintf(info->title, sizeof info->title, "null (records, runs nothing)");
        snprintf(info->driver, sizeof info->driver, "none");
        return;
    }
    *info = compiler->info;
    snprintf(info->name, sizeof info->name, "compile%s", strchr(compiler->info.name, ':'));
}

kiln_status kiln_null_open(kiln_device *compiler, kiln_device **out)
{
    struct null_device *dev = calloc(1, sizeof *dev);

    if (!dev) {
        if (compiler)
            compiler->ops->close(compiler);
        return kiln_fail(KILN_ERROR_MEMORY, "no memory for the null device");
    }
    dev->compiler = compiler;
    dev->base.ops = &null_ops;
    dev->base.caps = compiler ? compiler->caps : generous;
    dev->base.caps.idle = true;
    describe(&dev->base, compiler);
    *out = &dev->base;
    return KILN_OK;
}
