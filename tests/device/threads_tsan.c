/*
 * threads_tsan.c - a device shared by many threads, for ThreadSanitizer: a plain program, as Criterion cannot
 * run under it.
 *
 * Each thread holds a reference, makes buffers, bakes a list and submits it; all of the lists add to one
 * buffer of plain words, so a submission that does not take its turn is a race.
 */
#include <pthread.h>
#include <stdio.h>

#include "support/lists.h"

enum { SUBMITTERS = 4, SUBMISSIONS = 100, WORDS = 1 << 12 };

struct submitter {
    kiln_device *dev;
    struct kiln_buffer *sum;
    kiln_status status;
};

static void increment(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)d, (void)worker;
    for (size_t i = first; i < first + count; i++)
        ((uint32_t *)m->at[1])[i]++;
}

static const kiln_variant variant = {.name = "increment", .run = increment};

static kiln_status submit_often(struct submitter *s, struct kiln_buffer *own)
{
    const kiln_dispatch d = scale_dispatch(&variant, WORDS, 0);
    struct test_list l = {0};
    struct kiln_baked *work;
    kiln_ticket ticket;
    kiln_status status;

    list_buffer(&l, "own", own);
    list_buffer(&l, "sum", s->sum);
    list_scale(&l, &d, span(0, 0, 4 * WORDS), span(1, 0, 4 * WORDS))->flops = 1e6;
    status = kiln_bake(s->dev, &l.list, &work);
    for (int i = 0; i < SUBMISSIONS && !status; i++)
        if ((status = kiln_submit(s->dev, &work, 1, &ticket)) == KILN_OK)
            status = kiln_wait(s->dev, ticket);
    kiln_unbake(s->dev, &work);
    return status;
}

static void *use_device(void *user)
{
    struct submitter *s = user;
    struct kiln_buffer *own;

    s->status = kiln_buffer_create(s->dev, &(struct kiln_buffer_params){.bytes = 4 * WORDS}, &own);
    if (!s->status)
        s->status = submit_often(s, own);
    kiln_buffer_destroy(s->dev, &own);
    return NULL;
}

/* Whether a thread failed or a word is not the number of all submissions. */
static int check(const uint32_t *words, const struct submitter *submitters)
{
    int wrong = 0;

    for (int i = 0; i < SUBMITTERS; i++)
        wrong += submitters[i].status != KILN_OK;
    for (int i = 0; i < WORDS; i++)
        wrong += words[i] != SUBMITTERS * SUBMISSIONS;
    printf("%d wrong words or threads\n", wrong);
    return wrong > 0;
}

int main(void)
{
    const struct kiln_buffer_params params = {.bytes = 4 * WORDS, .name = "sum"};
    struct submitter submitters[SUBMITTERS] = {0};
    pthread_t threads[SUBMITTERS];
    struct kiln_buffer *sum;
    kiln_device *dev;
    int failed;

    if (kiln_device_open(&dev, &(kiln_device_params){.name = "cpu", .threads = 3}))
        return 1;
    if (kiln_buffer_create(dev, &params, &sum)) {
        kiln_device_close(&dev);
        return 1;
    }
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){.dev = kiln_device_retain(dev), .sum = sum};
        pthread_create(&threads[i], NULL, use_device, &submitters[i]);
    }
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(threads[i], NULL);
        kiln_device_close(&submitters[i].dev);
    }
    failed = check(sum->map, submitters);
    kiln_buffer_destroy(dev, &sum);
    kiln_device_close(&dev);
    return failed;
}
