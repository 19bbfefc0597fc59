/*
 * queue.c - submissions, their tickets, and waiting.
 *
 * A ticket is the number of a submission. Submissions to one queue end in order, so when one has passed all
 * before it have. Each holds a fence of a small ring; who comes round the ring waits for the one that is
 * there. Nothing is allocated.
 *
 * Pace. A wait that had to wait shows how long the queue was busy and with how much estimated work. Their
 * ratio, averaged, corrects the estimates that bodies are cut by. It falls fast and rises slowly: a driver
 * that compiles at the first dispatch looks slow once.
 */
#include "base/threads.h"
#include "vulkan/vk.h"

#define FURTHEST 16.0 /* times that an estimate can be wrong */

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* The functions up to kiln_vk_queue_submit are called with the lock held. -------------------------------- */

static void note_passed(struct vk_queue *q, kiln_ticket ticket)
{
    if (ticket > q->passed)
        q->passed = ticket;
}

static void note_pace(struct vk_queue *q, double seconds, double estimate)
{
    if (seconds < 1e-3 || estimate < 1e-4) /* the calls themselves are what was measured */
        return;
    const double pace = clamp(seconds / estimate, 1 / FURTHEST, FURTHEST);
    q->pace += (pace - q->pace) * (pace < q->pace ? 0.5 : 0.0625);
}

/* Wait for a ticket that has not passed; the lock is let go meanwhile. */
static kiln_status wait_for(struct vk_device *dev, kiln_ticket ticket)
{
    struct vk_queue *q = &dev->queue;
    struct vk_fence *f = &q->fence[ticket % VK_FENCES];
    const double since = q->busy_since, estimate = f->estimate;
    f->waiters++;
    pthread_mutex_unlock(&q->lock);
    const bool early = dev->api.vkGetFenceStatus(dev->handle, f->handle) == VK_NOT_READY;
    const VkResult result = dev->api.vkWaitForFences(dev->handle, 1, &f->handle, VK_TRUE, UINT64_MAX);
    const double now = kiln_seconds();
    pthread_mutex_lock(&q->lock);
    if (--f->waiters == 0)
        pthread_cond_broadcast(&q->left);
    if (result != VK_SUCCESS)
        return kiln_vk_fail(dev, "vkWaitForFences", result);
    if (early && since == q->busy_since)
        note_pace(q, now - since, estimate);
    note_passed(q, ticket);
    return KILN_OK;
}

/* The fence of the next ticket, free and reset. */
static kiln_status claim(struct vk_device *dev, struct vk_fence **out)
{
    kiln_status status = KILN_OK;
    struct vk_queue *q = &dev->queue;
    struct vk_fence *f = &q->fence[(q->issued + 1) % VK_FENCES];
    *out = f;
    if (f->ticket > q->passed && (status = wait_for(dev, f->ticket)))
        return status;
    while (f->waiters > 0)
        pthread_cond_wait(&q->left, &q->lock);
    VK(dev, dev->api.vkResetFences(dev->handle, 1, &f->handle));

fail:
    return status;
}

/* Whether all that was submitted has run. */
static bool is_idle(struct vk_device *dev)
{
    struct vk_queue *q = &dev->queue;
    if (q->passed < q->issued &&
        dev->api.vkGetFenceStatus(dev->handle, q->fence[q->issued % VK_FENCES].handle) == VK_SUCCESS)
        note_passed(q, q->issued);
    return q->passed == q->issued;
}

static VkResult hand_over(struct vk_device *dev, const VkCommandBuffer *buffers, uint32_t count,
                          VkFence fence)
{
    const VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = count,
        .pCommandBuffers = buffers,
    };
    if (dev->lock)
        dev->lock(dev->user);
    const VkResult result = dev->api.vkQueueSubmit(dev->queue_handle, 1, &info, fence);
    if (dev->unlock)
        dev->unlock(dev->user);
    return result;
}

/* Submitting and waiting --------------------------------------------------------------------------------- */

static kiln_status submit(struct vk_device *dev, const VkCommandBuffer *buffers, uint32_t count,
                          double estimate, kiln_ticket *ticket)
{
    struct vk_queue *q = &dev->queue;
    struct vk_fence *f;
    kiln_status status;
    pthread_mutex_lock(&q->lock);
    if ((status = claim(dev, &f)))
        goto fail;
    if (is_idle(dev)) {
        q->busy_since = kiln_seconds();
        q->busy_estimate = 0;
    }
    VK(dev, hand_over(dev, buffers, count, f->handle));
    q->busy_estimate += estimate;
    f->estimate = q->busy_estimate;
    f->ticket = *ticket = ++q->issued;

fail:
    pthread_mutex_unlock(&q->lock);
    return status;
}

kiln_status kiln_vk_queue_submit(struct vk_device *dev, const VkCommandBuffer *buffers, uint32_t count,
                                 double estimate, kiln_ticket *ticket)
{
    const double start = kiln_seconds();
    kiln_status status = submit(dev, buffers, count, estimate, ticket);
    if (status || !dev->common.watched)
        return status;
    status = kiln_vk_queue_wait(&dev->common, *ticket);
    const double took = kiln_seconds() - start;
    dev->common.longest = took > dev->common.longest ? took : dev->common.longest;
    return status;
}

kiln_status kiln_vk_queue_wait(kiln_device *device, kiln_ticket ticket)
{
    struct vk_device *dev = (struct vk_device *)device;
    kiln_status status = KILN_OK;
    pthread_mutex_lock(&dev->queue.lock);
    if (ticket > dev->queue.issued)
        status = kiln_fail(KILN_ERROR_ARGUMENT, "Vulkan: ticket %llu was never given, the last was %llu",
                           (unsigned long long)ticket, (unsigned long long)dev->queue.issued);
    else if (ticket > dev->queue.passed && !(status = kiln_vk_alive(dev)))
        status = wait_for(dev, ticket);
    pthread_mutex_unlock(&dev->queue.lock);
    return status ? status : kiln_vk_memory_refresh(dev);
}

double kiln_vk_queue_pace(struct vk_device *dev)
{
    pthread_mutex_lock(&dev->queue.lock);
    const double pace = dev->queue.pace;
    pthread_mutex_unlock(&dev->queue.lock);
    return pace;
}

/* The whole ---------------------------------------------------------------------------------------------- */

kiln_status kiln_vk_queue_init(struct vk_device *dev)
{
    kiln_status status = KILN_OK;
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    dev->queue.pace = 1;
    for (int i = 0; i < VK_FENCES; i++)
        VK(dev, dev->api.vkCreateFence(dev->handle, &info, NULL, &dev->queue.fence[i].handle));

fail:
    return status;
}

void kiln_vk_queue_finish(struct vk_device *dev)
{
    for (int i = 0; i < VK_FENCES; i++)
        if (dev->queue.fence[i].handle)
            dev->api.vkDestroyFence(dev->handle, dev->queue.fence[i].handle, NULL);
}
