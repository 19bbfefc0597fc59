/*
 * lists.h - command lists by hand, and a toy contract to put into them: y[i] = factor * x[i].
 *
 *   struct test_list l = {0};
 *   const int x = list_buffer(&l, "x", buffer);
 *   list_scale(&l, &twice, span(x, 0, 64), span(x, 64, 64));
 *   kiln_bake(dev, &l.list, &work);
 */
#ifndef KILN_TESTS_SUPPORT_LISTS_H
#define KILN_TESTS_SUPPORT_LISTS_H

#include <string.h>

#include "device/device.h"

struct test_list {
    struct kiln_commands list;
    struct kiln_command command[64];
    struct kiln_buffer *buffer[8];
    const char *name[8];
};

/* The toy contract --------------------------------------------------------------------------------------- */

struct scale_block {
    uint32_t count;
    float factor;
};

static inline uint64_t scale_units(const kiln_dispatch *d)
{
    return d->block.words[0];
}

static inline void scale_f32(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    const struct scale_block *p = block;
    const float *x = m->at[0];
    float *y = m->at[1];

    (void)constants;
    for (size_t i = first; i < first + count; i++)
        y[i] = p->factor * x[i];
}

static inline void scale_f64(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                             size_t count)
{
    const struct scale_block *p = block;
    const double *x = m->at[0];
    double *y = m->at[1];

    (void)constants;
    for (size_t i = first; i < first + count; i++)
        y[i] = p->factor * x[i];
}

static const kiln_variant scale_gpu = {.name = "plain"};
static const kiln_variant *const scale_gpu_list[] = {&scale_gpu, NULL};

static const kiln_kernel scale_kernel = {
    .name = "scale",
    .block_size = sizeof(struct scale_block),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = scale_units,
    .reference = scale_f32,
    .reference_f64 = scale_f64,
    .gpu = scale_gpu_list,
};

/* A dispatch of the toy over `count` elements. */
static inline kiln_dispatch scale_dispatch(const kiln_variant *variant, uint32_t count, float factor)
{
    const struct scale_block block = {count, factor};
    kiln_dispatch d = {.kernel = &scale_kernel, .variant = variant, .block_size = sizeof block};

    memcpy(d.block.bytes, &block, sizeof block);
    return d;
}

/* Lists -------------------------------------------------------------------------------------------------- */

static inline struct kiln_span span(int buffer, uint64_t offset, uint64_t bytes)
{
    return (struct kiln_span){buffer, offset, bytes};
}

static inline int list_buffer(struct test_list *l, const char *name, struct kiln_buffer *buffer)
{
    l->list.buffer = l->buffer;
    l->list.buffer_name = l->name;
    l->buffer[l->list.buffer_count] = buffer;
    l->name[l->list.buffer_count] = name;
    return l->list.buffer_count++;
}

static inline struct kiln_command *list_add(struct test_list *l, enum kiln_command_kind kind,
                                            const char *label)
{
    struct kiln_command *c = &l->command[l->list.count++];

    l->list.command = l->command;
    l->list.name = "body";
    *c = (struct kiln_command){.kind = kind, .label = label};
    return c;
}

/* Any dispatch, as many units as its kernel has, everything unbound; d must outlive the list. */
static inline struct kiln_dispatch_command *list_dispatch(struct test_list *l, const kiln_dispatch *d,
                                                          const char *label)
{
    struct kiln_dispatch_command *c = &list_add(l, KILN_COMMAND_DISPATCH, label)->as.dispatch;

    c->dispatch = d;
    c->count = d->kernel->units(d);
    c->groups[0] = (uint32_t)c->count;
    c->groups[1] = c->groups[2] = 1;
    for (int i = 0; i < KILN_MAX_BINDINGS; i++)
        c->bind[i].buffer = -1;
    c->scratch.buffer = -1;
    return c;
}

static inline struct kiln_dispatch_command *list_scale(struct test_list *l, const kiln_dispatch *d,
                                                       struct kiln_span x, struct kiln_span y)
{
    struct kiln_dispatch_command *c = list_dispatch(l, d, "scale");

    c->bind[0] = x;
    c->bind[1] = y;
    return c;
}

static inline void list_copy(struct test_list *l, struct kiln_span from, struct kiln_span to)
{
    struct kiln_command *c = list_add(l, KILN_COMMAND_COPY, "copy");

    c->as.copy.from = from;
    c->as.copy.to = to;
}

static inline void list_fill(struct test_list *l, struct kiln_span to, uint32_t value)
{
    struct kiln_command *c = list_add(l, KILN_COMMAND_FILL, "fill");

    c->as.fill.to = to;
    c->as.fill.value = value;
}

static inline void list_barrier(struct test_list *l)
{
    list_add(l, KILN_COMMAND_BARRIER, NULL);
}

/* What follows up to list_end is repeated. */
static inline struct kiln_command *list_repeat(struct test_list *l, uint64_t count)
{
    struct kiln_command *c = list_add(l, KILN_COMMAND_REPEAT, "repeat");

    c->as.repeat.count = count;
    return c;
}

static inline void list_end(struct test_list *l)
{
    list_add(l, KILN_COMMAND_END, NULL);
}

#endif
