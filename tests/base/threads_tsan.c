/*
 * threads_tsan.c - the pool under load, for ThreadSanitizer: a plain program, as Criterion cannot run under it.
 *
 * All memory that the loops touch is plain, so a missing order between caller, workers and later loops is a race.
 */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/threads.h"

enum { THREADS = 4, CALLERS = 3, LOOPS = 400, ITEMS = 64 };

struct job {
    struct kiln_pool *pool;
    long items[ITEMS], by_worker[THREADS], wrong;
};

static void add_inside(void *user, size_t first, size_t count, int worker)
{
    (void)first, (void)worker;
    *(long *)user += (long)count;
}

static void add_outside(void *user, size_t first, size_t count, int worker)
{
    struct job *job = user;

    for (size_t i = first; i < first + count; i++)
        job->items[i]++;
    kiln_pool_run(job->pool, count, 1, add_inside, &job->by_worker[worker]);
}

static void check(struct job *job, long loops)
{
    long sum = 0;

    for (int i = 0; i < ITEMS; i++)
        job->wrong += job->items[i] != loops;
    for (int i = 0; i < THREADS; i++)
        sum += job->by_worker[i];
    job->wrong += sum != loops * ITEMS;
}

/* Loops follow at once, while workers spin, or after a rest, when they sleep. */
static void *call(void *user)
{
    struct job *job = user;

    for (long loop = 1; loop <= LOOPS; loop++) {
        kiln_pool_run(job->pool, ITEMS, (size_t)(loop % 9), add_outside, job);
        check(job, loop);
        if (loop % 8 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return NULL;
}

static long load(int threads)
{
    static const struct job empty;
    static struct job jobs[CALLERS];
    struct kiln_pool *pool;
    pthread_t callers[CALLERS];
    long wrong = 0;

    if (kiln_pool_create(&pool, threads))
        return 1;
    for (int i = 0; i < CALLERS; i++) {
        jobs[i] = empty;
        jobs[i].pool = pool;
        if (pthread_create(&callers[i], NULL, call, &jobs[i]))
            return 1;
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i], NULL);
        wrong += jobs[i].wrong;
    }
    kiln_pool_destroy(&pool);
    return wrong;
}

int main(void)
{
    long wrong = 0;

    for (int threads = 1; threads <= THREADS; threads++)
        wrong += load(threads);
    printf("thread pool: %ld wrong results\n", wrong);
    return wrong != 0;
}
