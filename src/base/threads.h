/*
 * threads.h - a fixed pool of threads that share loops, and a clock.
 */
#ifndef KILN_BASE_THREADS_H
#define KILN_BASE_THREADS_H

#include <stddef.h>

#include <kiln/base.h>

struct kiln_pool;

/**
 * Items first .. first + count - 1 of a loop. While a call runs, no other call in its pool has the same
 * worker number, which is below kiln_pool_threads(): an index for scratch memory.
 */
typedef void kiln_range_fn(void *user, size_t first, size_t count, int worker);

/**
 * Start a pool of so many threads, the caller of kiln_pool_run counted in; 0: as many as the environment
 * variable KILN_THREADS says, else one for each processor that this process may use.
 *
 * Threads: a pool does not survive fork() in the child.
 */
kiln_status kiln_pool_create(struct kiln_pool **out, int threads);

/** Stop the threads. No loop may be running. */
void kiln_pool_destroy(struct kiln_pool **pool);

int kiln_pool_threads(const struct kiln_pool *pool);

/** The processors that this process may use, at least 1. */
int kiln_processors(void);

/**
 * Call fn for the items 0 .. total - 1 in pieces of `grain` (0: 1; the last may be shorter); return when all
 * are done.
 *
 * The pieces depend on total and grain alone, never on the number of threads. Each thread begins with a run of
 * neighbouring pieces, the same in every loop of as many, and then helps with the others'. The caller works too, as
 * worker 0. A single piece, and a loop that is started from inside a piece, are done on the thread that asks (an inner
 * loop under its worker's number). What the pieces wrote is visible to the caller afterwards.
 *
 * Threads: any number may call this on one pool; they take turns.
 */
void kiln_pool_run(struct kiln_pool *pool, size_t total, size_t grain, kiln_range_fn *fn, void *user);

/** Seconds since some moment in the past, never running backwards. */
double kiln_seconds(void);

#endif
