/*
 * command.c - command lists to command buffers, once; and their submission, as often as wanted.
 *
 * bake     counts what the list needs; creates pools of that size; records. Descriptor sets are written
 *          here and never again. Parameter blocks too large to be pushed lie in one small buffer of the
 *          baked list, 256 bytes each; so do stand-ins for operands that a dispatch leaves unbound.
 * pieces   a list is cut into command buffers of about 5 ms by estimate, each beginning with a barrier
 *          against all that was submitted before; a submission takes as many as fit in the device's slice.
 * repeat   what is repeated has pieces of its own, which are submitted once a turn.
 * host     the last piece of a list that writes readback memory ends with a barrier towards the host.
 *
 * Estimates are arithmetic and bytes over typical rates, corrected by the queue's measured pace.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/vk.h"

enum {
    SLOT = KILN_MAX_BLOCK, /* bytes of a block or stand-in: also what offsets are multiples of */
    BATCH = 64,            /* command buffers a submission takes at most */
};
#define PIECE 5e-3 /* seconds */

/* What a submission consists of: a command buffer, or one of the ends of what is repeated. */
struct piece {
    VkCommandBuffer buffer; /* NULL: an end */
    double estimate;        /* seconds, at pace 1 */
    uint64_t count, turn;   /* of a repeat: turns, and the one that is being submitted */
    int repeat;             /* of an end: its repeat; -1: this is none */
};

struct kiln_baked {
    VkCommandPool pool;
    VkDescriptorPool sets;
    VkQueryPool queries;
    struct kiln_buffer *slots; /* blocks and stand-ins */
    KILN_VEC(VkBufferView) views;
    KILN_VEC(struct piece) piece;
    int count; /* of commands */
    kiln_ticket last;
};

/* What a list needs. */
struct needs {
    uint32_t sets, storage, texels, images, blocks, slots, indirect;
};

struct baker {
    struct vk_device *dev;
    const struct kiln_commands *list;
    struct kiln_baked *work;
    VkCommandBuffer now; /* being recorded */
    const struct vk_pipeline *bound;
    double estimate, limit; /* seconds of the piece so far, and how many it may have, at pace 1 */
    int open;               /* the innermost repeat among the pieces; -1: none */
    bool indirect;          /* the list has dispatches whose groups lie in memory */
    bool begun;             /* a command buffer */
    uint32_t next_slot;
    bool fresh; /* nothing was recorded since the last barrier */
    bool host;  /* the list writes what the host reads */
};

/* Estimates ---------------------------------------------------------------------------------------------- */

struct rates {
    double flops, bytes, start;
};

static struct rates rates_of(const struct vk_device *dev)
{
    static const struct rates software = {50e9, 5e9, 20e-6}, integrated = {300e9, 25e9, 5e-6},
                              discrete = {1e12, 100e9, 5e-6};
    switch (dev->properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return software;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return integrated;
    default:
        return discrete;
    }
}

static double seconds_of(const struct vk_device *dev, const struct kiln_command *c)
{
    const struct rates r = rates_of(dev);
    double bytes = 0, flops = 0;
    if (c->kind == KILN_COMMAND_DISPATCH) {
        flops = c->as.dispatch.flops;
        bytes = kiln_traffic(&c->as.dispatch);
    } else if (c->kind == KILN_COMMAND_COPY) {
        bytes = 2 * (double)c->as.copy.to.bytes;
    } else if (c->kind == KILN_COMMAND_FILL) {
        bytes = (double)c->as.fill.to.bytes;
    } else {
        return 0;
    }
    return r.start + flops / r.flops + bytes / r.bytes;
}

/* Spans, all checked by kiln_commands_check -------------------------------------------------------------- */

static bool is_bound(const struct kiln_span *s)
{
    return s->buffer >= 0;
}

static struct vk_buffer *buffer_of(const struct kiln_commands *list, const struct kiln_span *s)
{
    return (struct vk_buffer *)list->buffer[s->buffer];
}

/* Bytes of a texel where binding i is read as texels, else 0. */
static uint32_t texel_of(const kiln_dispatch *d, int i)
{
    const uint32_t element = d->halves >> i & 1 ? 2 : 4;
    return !(d->variant->texels >> i & 1) ? 0 : d->variant->fours >> i & 1 ? 4 * element : element;
}

/* Counting ----------------------------------------------------------------------------------------------- */

static void count_dispatch(struct needs *n, const struct kiln_dispatch_command *d)
{
    const kiln_kernel *kernel = d->dispatch->kernel;
    n->sets++;
    n->indirect += d->indirect.bytes > 0;
    for (int i = 0; i < kernel->bindings; i++) {
        if (kernel->access[i] == KILN_UNUSED)
            continue;
        ++*(texel_of(d->dispatch, i) ? &n->texels : &n->storage);
        n->slots += !is_bound(&d->bind[i]);
    }
    if (d->dispatch->variant->scratch) {
        ++*(d->dispatch->variant->scratch_fours ? &n->images : &n->storage);
        n->slots += !is_bound(&d->scratch);
    }
    if (kernel->block_size > KILN_PUSH_BYTES) {
        n->blocks++;
        n->slots++;
    }
}

static struct needs count_needs(const struct kiln_commands *list)
{
    struct needs n = {0};
    for (int i = 0; i < list->count; i++)
        if (list->command[i].kind == KILN_COMMAND_DISPATCH)
            count_dispatch(&n, &list->command[i].as.dispatch);
    return n;
}

/* Pools -------------------------------------------------------------------------------------------------- */

static kiln_status create_sets(struct vk_device *dev, struct kiln_baked *work, const struct needs *n)
{
    kiln_status status = KILN_OK;
    const VkDescriptorPoolSize wanted[] = {
        {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, n->storage},
        {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, n->texels},
        {VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, n->images},
        {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, n->blocks},
    };
    VkDescriptorPoolSize sizes[sizeof wanted / sizeof *wanted];
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (wanted[i].descriptorCount > 0)
            sizes[count++] = wanted[i];
    const VkDescriptorPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = n->sets,
        .poolSizeCount = count,
        .pPoolSizes = sizes,
    };
    if (count > 0)
        VK(dev, dev->api.vkCreateDescriptorPool(dev->handle, &info, NULL, &work->sets));

fail:
    return status;
}

static kiln_status create_pools(struct vk_device *dev, struct kiln_baked *work, const struct needs *n)
{
    kiln_status status = KILN_OK;
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = dev->family,
    };
    const VkQueryPoolCreateInfo queries = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2 * (uint32_t)work->count,
    };
    const struct kiln_buffer_params slots = {
        .bytes = (uint64_t)n->slots * SLOT,
        .heap = KILN_HEAP_UPLOAD,
        .name = "parameter blocks",
    };
    VK(dev, dev->api.vkCreateCommandPool(dev->handle, &pool, NULL, &work->pool));
    if (dev->common.profile && dev->common.caps.timestamps && work->count > 0)
        VK(dev, dev->api.vkCreateQueryPool(dev->handle, &queries, NULL, &work->queries));
    if (n->slots > 0 && (status = kiln_vk_buffer_create(&dev->common, &slots, &work->slots)))
        goto fail;
    return create_sets(dev, work, n);

fail:
    return status;
}

/* Descriptors -------------------------------------------------------------------------------------------- */

/* A dispatch's writes: one a binding. */
struct writes {
    VkWriteDescriptorSet write[VK_BINDING_SCRATCH + 1];
    VkDescriptorBufferInfo buffer[VK_BINDING_SCRATCH + 1];
    VkBufferView view[VK_BINDING_SCRATCH + 1];
    uint32_t count;
};

/* Where bytes lie: a VkBuffer, and a range of it that is a multiple of `unit` bytes. */
static VkDescriptorBufferInfo place(const struct vk_buffer *b, uint64_t offset, uint64_t bytes, uint64_t unit)
{
    const uint64_t rounded = (bytes + unit - 1) / unit * unit, room = b->bytes - offset;
    return (VkDescriptorBufferInfo){b->handle, b->start + offset, rounded < room ? rounded : room};
}

static VkDescriptorBufferInfo next_slot(struct baker *b)
{
    return place((const struct vk_buffer *)b->work->slots, (uint64_t)b->next_slot++ * SLOT, SLOT, 4);
}

/* One or four floats (halves): all of them formats that Vulkan demands of texel buffers. */
static VkFormat format_of(uint32_t texel, bool half)
{
    if (half)
        return texel == 8 ? VK_FORMAT_R16G16B16A16_SFLOAT : VK_FORMAT_R16_SFLOAT;
    return texel == 16 ? VK_FORMAT_R32G32B32A32_SFLOAT : VK_FORMAT_R32_SFLOAT;
}

static kiln_status create_view(struct baker *b, const VkDescriptorBufferInfo *at, uint32_t texel, bool half,
                               VkBufferView *out)
{
    struct vk_device *dev = b->dev;
    kiln_status status = KILN_OK;
    const VkBufferViewCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
        .buffer = at->buffer,
        .format = format_of(texel, half),
        .offset = at->offset,
        .range = at->range / texel * texel,
    };
    if (!kiln_vec_reserve(&b->work->views, b->work->views.count + 1))
        return kiln_fail(KILN_ERROR_MEMORY, "Vulkan: no memory for a view");
    VK(dev, dev->api.vkCreateBufferView(dev->handle, &info, NULL, out));
    (void)kiln_vec_push(&b->work->views, *out);

fail:
    return status;
}

static void add_write(struct writes *w, uint32_t binding, VkDescriptorType type, VkDescriptorBufferInfo at)
{
    w->buffer[w->count] = at;
    w->write[w->count] = (VkWriteDescriptorSet){
        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
        .dstBinding = binding,
        .descriptorCount = 1,
        .descriptorType = type,
        .pBufferInfo = &w->buffer[w->count],
        .pTexelBufferView = &w->view[w->count],
    };
    w->count++;
}

/* Binding i of a dispatch; one that is not bound gets a stand-in, as the shader may name it. */
static kiln_status add_binding(struct baker *b, struct writes *w, uint32_t binding, const struct kiln_span *s,
                               uint32_t texel, bool half)
{
    const VkDescriptorBufferInfo at =
        is_bound(s) ? place(buffer_of(b->list, s), s->offset, s->bytes, texel > 4 ? texel : 4) : next_slot(b);
    if (!texel) {
        add_write(w, binding, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, at);
        return KILN_OK;
    }
    const kiln_status status = create_view(b, &at, texel, half, &w->view[w->count]);
    add_write(w, binding, kiln_vk_texels(binding), at);
    return status;
}

static kiln_status add_bindings(struct baker *b, struct writes *w, const struct kiln_dispatch_command *d)
{
    const kiln_kernel *kernel = d->dispatch->kernel;
    const kiln_variant *variant = d->dispatch->variant;
    kiln_status status = KILN_OK;
    for (int i = 0; i < kernel->bindings && !status; i++)
        if (kernel->access[i] != KILN_UNUSED)
            status = add_binding(b, w, (uint32_t)i, &d->bind[i], texel_of(d->dispatch, i),
                                 d->dispatch->halves >> i & 1);
    if (variant->scratch && !status)
        status = add_binding(b, w, VK_BINDING_SCRATCH, &d->scratch, variant->scratch_fours ? 16 : 0, false);
    if (kernel->block_size > KILN_PUSH_BYTES && !status) {
        memcpy((unsigned char *)b->work->slots->map + b->next_slot * SLOT, d->dispatch->block.bytes,
               kernel->block_size);
        add_write(w, VK_BINDING_BLOCK, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, next_slot(b));
    }
    return status;
}

static kiln_status create_set(struct baker *b, const struct kiln_dispatch_command *d,
                              const struct vk_pipeline *p, VkDescriptorSet *out)
{
    struct vk_device *dev = b->dev;
    struct writes w = {.count = 0};
    kiln_status status = KILN_OK;
    const VkDescriptorSetAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = b->work->sets,
        .descriptorSetCount = 1,
        .pSetLayouts = &p->set_layout,
    };
    *out = VK_NULL_HANDLE;
    if (!b->work->sets) /* no dispatch of the list binds anything */
        return KILN_OK;
    VK(dev, dev->api.vkAllocateDescriptorSets(dev->handle, &info, out));
    if ((status = add_bindings(b, &w, d)))
        goto fail;
    for (uint32_t i = 0; i < w.count; i++)
        w.write[i].dstSet = *out;
    dev->api.vkUpdateDescriptorSets(dev->handle, w.count, w.write, 0, NULL);

fail:
    return status;
}

/* Recording ---------------------------------------------------------------------------------------------- */

enum {
    DISPATCHES = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
    KERNELS = DISPATCHES | VK_PIPELINE_STAGE_TRANSFER_BIT
};

/* Whether only dispatches lie between the barrier at `index` and its neighbours; a list's ends count as barriers. */
static bool between_dispatches(const struct kiln_commands *list, int index)
{
    for (int step = -1; step <= 1; step += 2)
        for (int i = index + step; i >= 0 && i < list->count; i += step) {
            if (list->command[i].kind == KILN_COMMAND_BARRIER)
                break;
            if (list->command[i].kind != KILN_COMMAND_DISPATCH)
                return false;
        }
    return true;
}

/* KERNELS, and where groups are read from memory, what reads them. */
static VkPipelineStageFlags stages(const struct baker *b, VkPipelineStageFlags side)
{
    return side == KERNELS && b->indirect ? side | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT : side;
}

static VkAccessFlags written_by(VkPipelineStageFlags side)
{
    return side == DISPATCHES ? VK_ACCESS_SHADER_WRITE_BIT
           : side == KERNELS  ? VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT
                              : VK_ACCESS_MEMORY_WRITE_BIT;
}

static VkAccessFlags touched_by(const struct baker *b, VkPipelineStageFlags side)
{
    const VkAccessFlags dispatches = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    const VkAccessFlags copies = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    if (side == VK_PIPELINE_STAGE_HOST_BIT)
        return VK_ACCESS_HOST_READ_BIT;
    if (side == DISPATCHES)
        return dispatches;
    if (side == KERNELS)
        return dispatches | copies | VK_ACCESS_UNIFORM_READ_BIT |
               (b->indirect ? VK_ACCESS_INDIRECT_COMMAND_READ_BIT : 0);
    return VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
}

static void barrier(struct baker *b, VkPipelineStageFlags from, VkPipelineStageFlags to)
{
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = written_by(from),
        .dstAccessMask = touched_by(b, to),
    };
    b->dev->api.vkCmdPipelineBarrier(b->now, stages(b, from), stages(b, to), 0, 1, &memory, 0, NULL, 0, NULL);
    b->fresh = true;
}

/* As narrow as the commands on both sides allow. */
static void barrier_between(struct baker *b, int index)
{
    const bool alone = !b->indirect && between_dispatches(b->list, index);
    const VkPipelineStageFlags side = alone ? DISPATCHES : KERNELS;
    barrier(b, side, side);
}

/* The stages that work of others on the queue may use: on an application's device, all. */
static VkPipelineStageFlags others(const struct baker *b)
{
    return b->dev->owned ? KERNELS : VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
}

static kiln_status begin_piece(struct baker *b)
{
    struct vk_device *dev = b->dev;
    struct kiln_baked *work = b->work;
    kiln_status status = KILN_OK;
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = work->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
    };
    if (!kiln_vec_reserve(&work->piece, work->piece.count + 1))
        return kiln_fail(KILN_ERROR_MEMORY, "Vulkan: no memory for a command buffer");
    VK(dev, dev->api.vkAllocateCommandBuffers(dev->handle, &info, &b->now));
    VK(dev, dev->api.vkBeginCommandBuffer(b->now, &begin));
    if (work->queries && !b->begun)
        dev->api.vkCmdResetQueryPool(b->now, work->queries, 0, 2 * (uint32_t)work->count);
    barrier(b, !b->begun ? others(b) : KERNELS, KERNELS);
    b->begun = true;
    b->bound = NULL;
    b->estimate = 0;

fail:
    return status;
}

static kiln_status end_piece(struct baker *b, bool last)
{
    struct vk_device *dev = b->dev;
    kiln_status status = KILN_OK;
    if (last && b->host)
        barrier(b, KERNELS, VK_PIPELINE_STAGE_HOST_BIT);
    if (last && !dev->owned)
        barrier(b, KERNELS, others(b));
    VK(dev, dev->api.vkEndCommandBuffer(b->now));
    (void)kiln_vec_push(&b->work->piece,
                        (struct piece){.buffer = b->now, .estimate = b->estimate, .repeat = -1});
    b->now = VK_NULL_HANDLE;

fail:
    return status;
}

static kiln_status record_dispatch(struct baker *b, const struct kiln_command *c)
{
    struct vk_device *dev = b->dev;
    const struct kiln_dispatch_command *d = &c->as.dispatch;
    const struct vk_pipeline *p;
    VkDescriptorSet set;
    uint32_t push[(8 + KILN_PUSH_BYTES) / 4] = {(uint32_t)d->first, (uint32_t)(d->first + d->count)};
    uint32_t pushed = 8;
    kiln_status status;
    if (d->first + d->count > UINT32_MAX)
        return kiln_fail(KILN_ERROR_UNSUPPORTED,
                         "%s: groups up to %" PRIu64 ", kernels count them in 32 bits",
                         d->dispatch->kernel->name, d->first + d->count);
    if ((status = kiln_vk_pipeline_get(dev, d->dispatch, &p)) || (status = create_set(b, d, p, &set)))
        return status;

    if (d->dispatch->kernel->block_size <= KILN_PUSH_BYTES) {
        memcpy(push + 2, d->dispatch->block.bytes, d->dispatch->kernel->block_size);
        pushed += (d->dispatch->kernel->block_size + 3) / 4 * 4;
    }
    if (p != b->bound)
        dev->api.vkCmdBindPipeline(b->now, VK_PIPELINE_BIND_POINT_COMPUTE, p->handle);
    b->bound = p;
    if (set)
        dev->api.vkCmdBindDescriptorSets(b->now, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &set, 0,
                                         NULL);
    dev->api.vkCmdPushConstants(b->now, p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, pushed, push);
    if (d->indirect.bytes) {
        const struct vk_buffer *table = buffer_of(b->list, &d->indirect);
        dev->api.vkCmdDispatchIndirect(b->now, table->handle, table->start + d->indirect.offset);
    } else {
        dev->api.vkCmdDispatch(b->now, d->groups[0], d->groups[1], d->groups[2]);
    }
    return KILN_OK;
}

static void note_written(struct baker *b, const struct kiln_span *s)
{
    b->host |= buffer_of(b->list, s)->heap == KILN_HEAP_READBACK;
}

static void record_copy(struct baker *b, const struct kiln_command *c)
{
    const struct kiln_span *from = &c->as.copy.from, *to = &c->as.copy.to;
    const struct vk_buffer *source = buffer_of(b->list, from), *target = buffer_of(b->list, to);
    const VkBufferCopy region = {source->start + from->offset, target->start + to->offset, to->bytes};
    b->dev->api.vkCmdCopyBuffer(b->now, source->handle, target->handle, 1, &region);
    note_written(b, to);
}

static void record_fill(struct baker *b, const struct kiln_command *c)
{
    const struct kiln_span *to = &c->as.fill.to;
    const struct vk_buffer *target = buffer_of(b->list, to);
    b->dev->api.vkCmdFillBuffer(b->now, target->handle, target->start + to->offset, to->bytes,
                                c->as.fill.value);
    note_written(b, to);
}

static kiln_status record_kind(struct baker *b, const struct kiln_command *c)
{
    switch (c->kind) {
    case KILN_COMMAND_DISPATCH:
        return record_dispatch(b, c);
    case KILN_COMMAND_COPY:
        record_copy(b, c);
        break;
    case KILN_COMMAND_FILL:
        record_fill(b, c);
        break;
    case KILN_COMMAND_BARRIER:
        if (!b->fresh)
            barrier_between(b, (int)(c - b->list->command));
        break;
    case KILN_COMMAND_REPEAT:
    case KILN_COMMAND_END:
        break;
    }
    return KILN_OK;
}

/* The ends of a repeat: the next command begins a piece, whose barrier is theirs. */
static kiln_status record_end(struct baker *b, const struct kiln_command *c)
{
    struct kiln_baked *work = b->work;
    const bool begins = c->kind == KILN_COMMAND_REPEAT;
    const int at = work->piece.count;
    if (!kiln_vec_push(&work->piece, (struct piece){.repeat = begins ? -1 : b->open,
                                                    .count = begins ? c->as.repeat.count : 0}))
        return kiln_fail(KILN_ERROR_MEMORY, "Vulkan: no memory for a repeat");
    if (begins) {
        work->piece.data[at].turn = (uint64_t)(b->open + 1); /* the one around it, until the end is found */
        b->open = at;
    } else {
        b->open = (int)work->piece.data[b->open].turn - 1;
    }
    return KILN_OK;
}

static void stamp(struct baker *b, int index, int end)
{
    if (b->work->queries && b->open >= 0 && !end) /* the turn before left its own */
        b->dev->api.vkCmdResetQueryPool(b->now, b->work->queries, 2 * (uint32_t)index, 2);
    if (b->work->queries)
        b->dev->api.vkCmdWriteTimestamp(b->now, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, b->work->queries,
                                        2 * (uint32_t)index + (uint32_t)end);
}

static kiln_status record(struct baker *b, int index)
{
    const struct kiln_command *c = &b->list->command[index];
    const double estimate = seconds_of(b->dev, c);
    kiln_status status = KILN_OK;
    const bool ends = c->kind == KILN_COMMAND_REPEAT || c->kind == KILN_COMMAND_END;
    const bool full = b->estimate > 0 && b->estimate + estimate > b->limit;
    if (b->now && (ends || full) && (status = end_piece(b, false)))
        return status;
    if (ends)
        return record_end(b, c);
    if (!b->now && (status = begin_piece(b)))
        return status;
    stamp(b, index, 0);
    status = record_kind(b, c);
    stamp(b, index, 1);
    b->fresh &= c->kind == KILN_COMMAND_BARRIER;
    b->estimate += estimate;
    return status;
}

/* Baked lists -------------------------------------------------------------------------------------------- */

kiln_status kiln_vk_bake(kiln_device *device, const struct kiln_commands *list, struct kiln_baked **out)
{
    struct vk_device *dev = (struct vk_device *)device;
    const struct needs needs = count_needs(list);
    const double slice = dev->common.caps.slice < PIECE ? dev->common.caps.slice : PIECE;
    struct baker b = {.dev = dev,
                      .list = list,
                      .limit = slice / kiln_vk_queue_pace(dev),
                      .open = -1,
                      .indirect = needs.indirect > 0};
    kiln_status status = kiln_vk_alive(dev);
    *out = NULL;
    if (status)
        return status;
    b.work = calloc(1, sizeof *b.work);
    if (!b.work)
        return kiln_fail(KILN_ERROR_MEMORY, "Vulkan: no memory for list \"%s\"",
                         list->name ? list->name : "");

    b.work->count = list->count;
    if ((status = create_pools(dev, b.work, &needs)))
        goto fail;
    for (int i = 0; i < list->count; i++)
        if ((status = record(&b, i)))
            goto fail;
    /* behind a repeat the last barrier has a command buffer of its own */
    if (!b.now && b.begun && (b.host || !dev->owned) && (status = begin_piece(&b)))
        goto fail;
    if (b.now && (status = end_piece(&b, true)))
        goto fail;
    *out = b.work;
    return KILN_OK;

fail:
    kiln_vk_unbake(device, b.work);
    return status;
}

void kiln_vk_unbake(kiln_device *device, struct kiln_baked *work)
{
    struct vk_device *dev = (struct vk_device *)device;
    if (!work)
        return;
    if (work->last && !atomic_load(&dev->lost))
        (void)kiln_vk_queue_wait(device, work->last);
    for (int i = 0; i < work->views.count; i++)
        dev->api.vkDestroyBufferView(dev->handle, work->views.data[i], NULL);
    dev->api.vkDestroyQueryPool(dev->handle, work->queries, NULL);
    dev->api.vkDestroyDescriptorPool(dev->handle, work->sets, NULL);
    dev->api.vkDestroyCommandPool(dev->handle, work->pool, NULL);
    if (work->slots)
        kiln_vk_buffer_destroy(device, work->slots);
    kiln_vec_finish(&work->views);
    kiln_vec_finish(&work->piece);
    free(work);
}

int kiln_vk_pieces(const struct kiln_baked *work)
{
    int count = 0;
    for (int i = 0; i < work->piece.count; i++)
        count += work->piece.data[i].buffer != VK_NULL_HANDLE;
    return count;
}

/* Command buffers that wait to be submitted together. */
struct batch {
    VkCommandBuffer buffer[BATCH];
    uint32_t count;
    double estimate;
};

static kiln_status flush(struct vk_device *dev, struct batch *batch, kiln_ticket *ticket)
{
    const kiln_status status =
        kiln_vk_queue_submit(dev, batch->buffer, batch->count, batch->estimate, ticket);
    batch->count = 0;
    batch->estimate = 0;
    return status;
}

/* The piece after an end: behind the repeat once all its turns are submitted. */
static int next_piece(struct kiln_baked *work, int at)
{
    struct piece *repeat = &work->piece.data[work->piece.data[at].repeat];
    return ++repeat->turn < repeat->count ? work->piece.data[at].repeat + 1 : at + 1;
}

static kiln_status submit_pieces(struct vk_device *dev, struct kiln_baked *work, double limit,
                                 struct batch *batch, kiln_ticket *ticket)
{
    kiln_status status = KILN_OK;
    for (int i = 0; i < work->piece.count && !status;) {
        struct piece *p = &work->piece.data[i];
        if (!p->buffer && p->repeat >= 0) {
            i = next_piece(work, i);
            continue;
        }
        i++;
        p->turn = 0;
        if (!p->buffer)
            continue;
        if (batch->count == BATCH || (batch->count > 0 && batch->estimate + p->estimate > limit))
            status = flush(dev, batch, ticket);
        batch->buffer[batch->count++] = p->buffer;
        batch->estimate += p->estimate;
    }
    return status;
}

kiln_status kiln_vk_submit(kiln_device *device, struct kiln_baked *const *work, int count,
                           kiln_ticket *ticket)
{
    struct vk_device *dev = (struct vk_device *)device;
    struct batch batch = {.count = 0};
    const double limit = dev->common.caps.slice / kiln_vk_queue_pace(dev);
    kiln_status status = kiln_vk_alive(dev);
    *ticket = dev->queue.issued;
    for (int w = 0; w < count && !status; w++)
        status = submit_pieces(dev, work[w], limit, &batch, ticket);
    if (batch.count > 0 && !status)
        status = flush(dev, &batch, ticket);
    for (int w = 0; w < count; w++)
        work[w]->last = *ticket;
    return status;
}

bool kiln_vk_time(kiln_device *device, struct kiln_baked *work, int index, double *begin, double *end)
{
    struct vk_device *dev = (struct vk_device *)device;
    uint64_t stamps[2];
    if (!work->queries || index < 0 || index >= work->count || !work->last)
        return false;
    if (dev->api.vkGetQueryPoolResults(dev->handle, work->queries, 2 * (uint32_t)index, 2, sizeof stamps,
                                       stamps, sizeof *stamps, VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
        return false;
    const uint64_t mask = dev->timestamp_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << dev->timestamp_bits) - 1;
    const double unit = (double)dev->properties.limits.timestampPeriod * 1e-9;
    *begin = (double)(stamps[0] & mask) * unit;
    *end = *begin + (double)((stamps[1] - stamps[0]) & mask) * unit;
    return true;
}
