/*
 * probes.h - what the Vulkan tests share: the tests' own shaders as kernels, and a device with buffers.
 *
 * Every test runs on each Vulkan device in sight, and ends by asking the validation layers.
 */
#ifndef KILN_TESTS_VULKAN_PROBES_H
#define KILN_TESTS_VULKAN_PROBES_H

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/lines.h"
#include "support/lists.h"
#include "vulkan/vk.h"

/* Kernels ------------------------------------------------------------------------------------------------ */

static const uint32_t scale_words[] =
#include "vulkan/scale.inc"
    ;
static const kiln_spirv scale_spirv = {scale_words, sizeof scale_words / 4};
static const kiln_variant scale_probe = {.name = "probe", .spirv = &scale_spirv};

/* Devices ------------------------------------------------------------------------------------------------ */

enum { COUNT = 1000, BYTES = COUNT * 4, GROUPS = (COUNT + 63) / 64, ROOM = 64 << 10 };

/** A device, and buffers of ROOM bytes on it. */
struct rig {
    kiln_device *dev;
    struct kiln_buffer *upload, *x, *y, *readback;
};

static inline struct kiln_buffer *rig_buffer(kiln_device *dev, uint64_t bytes, enum kiln_heap heap)
{
    struct kiln_buffer *b = NULL;
    cr_assert_eq(kiln_buffer_create(
                     dev, &(struct kiln_buffer_params){.bytes = bytes, .heap = heap, .name = "rig"}, &b),
                 KILN_OK, "%s", lines.newest);
    return b;
}

/** Open device `index`; false where there is none. */
static inline bool rig_open(struct rig *r, int index)
{
    char name[32];
    kiln_device_info info[8];
    catch_lines();
    if (index >= kiln_vulkan_list(info, 8))
        return false;
    snprintf(name, sizeof name, "vulkan:%d", index);
    const kiln_device_params params = {.name = name, .cache = ""};
    cr_assert_eq(kiln_device_open(&r->dev, &params), KILN_OK, "%s", lines.newest);
    r->upload = rig_buffer(r->dev, ROOM, KILN_HEAP_UPLOAD);
    r->x = rig_buffer(r->dev, ROOM, KILN_HEAP_DEVICE);
    r->y = rig_buffer(r->dev, ROOM, KILN_HEAP_DEVICE);
    r->readback = rig_buffer(r->dev, ROOM, KILN_HEAP_READBACK);
    return true;
}

static inline void rig_close(struct rig *r)
{
    kiln_buffer_destroy(r->dev, &r->upload);
    kiln_buffer_destroy(r->dev, &r->x);
    kiln_buffer_destroy(r->dev, &r->y);
    kiln_buffer_destroy(r->dev, &r->readback);
    cr_expect_eq(kiln_device_memory_used(r->dev), 0);
    kiln_device_close(&r->dev);
    cr_expect_eq(kiln_vulkan_messages(), 0, "%s", lines.newest);
}

/** The rig's buffers as the first of a list: their numbers. */
enum { UPLOAD, X, Y, READBACK };

static inline void rig_list(const struct rig *r, struct test_list *l)
{
    *l = (struct test_list){.list.count = 0};
    list_buffer(l, "upload", r->upload);
    list_buffer(l, "x", r->x);
    list_buffer(l, "y", r->y);
    list_buffer(l, "readback", r->readback);
}

static inline struct kiln_baked *rig_bake(const struct rig *r, const struct test_list *l)
{
    struct kiln_baked *work = NULL;
    cr_assert_eq(kiln_bake(r->dev, &l->list, &work), KILN_OK, "%s", lines.newest);
    return work;
}

static inline void rig_run(const struct rig *r, struct kiln_baked *work)
{
    kiln_ticket ticket;
    cr_assert_eq(kiln_submit(r->dev, &work, 1, &ticket), KILN_OK, "%s", lines.newest);
    cr_assert_eq(kiln_wait(r->dev, ticket), KILN_OK, "%s", lines.newest);
}

/** Bake a list, run it once, and throw it away. */
static inline void rig_do(const struct rig *r, const struct test_list *l)
{
    struct kiln_baked *work = rig_bake(r, l);
    rig_run(r, work);
    kiln_unbake(r->dev, &work);
}

/** Groups of 64 lanes for COUNT elements, on one axis. */
static inline void one_axis(struct kiln_dispatch_command *c)
{
    c->count = c->groups[0] = GROUPS;
}

/** Upload to x, dispatch d from x to y, download; the dispatch comes back for changes. */
static inline struct kiln_dispatch_command *rig_frame(const struct rig *r, struct test_list *l,
                                                      const kiln_dispatch *d)
{
    rig_list(r, l);
    list_copy(l, span(UPLOAD, 0, BYTES), span(X, 0, BYTES));
    list_barrier(l);
    struct kiln_dispatch_command *c = list_scale(l, d, span(X, 0, BYTES), span(Y, 0, BYTES));
    one_axis(c);
    list_barrier(l);
    list_copy(l, span(Y, 0, BYTES), span(READBACK, 0, BYTES));
    return c;
}

static inline void rig_write(const struct rig *r)
{
    for (int i = 0; i < COUNT; i++)
        ((float *)r->upload->map)[i] = (float)i;
}

/** Every element read back is factor * i. */
static inline void rig_expect(const struct rig *r, float factor, const char *why)
{
    const float *y = r->readback->map;
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(y[i], factor * (float)i, "%s on %s: element %d is %g, not %g", why, r->dev->info.title,
                     i, (double)y[i], (double)(factor * (float)i));
}

#endif
