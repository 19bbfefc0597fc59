/*
 * threads.c - the pool: one loop at a time, each worker with a share of its pieces.
 *
 * Shares are runs of neighbouring pieces, the same in every loop of as many: what a worker wrote in one loop it mostly reads in
 * the next, and of the same weights it reads the same part each time, from its own caches. Processors that share no cache pay
 * several times as much for what another one wrote. Who is done with his own share helps with the others', so nobody waits for
 * a worker that is late.
 *
 * The gate, one atomic word, says everything about the loop at hand:
 *
 *     63 .. 32  number of the loop      31  open      30  the caller sleeps      29 .. 0  workers inside
 *
 * The caller describes the loop, opens the gate and takes pieces like everyone. A worker enters by adding
 * itself while the gate is open, takes pieces until none is left, and leaves. The caller, out of pieces,
 * closes the gate and waits for those inside only: a worker that the system has not woken yet is not waited
 * for, so a short loop never costs more than doing it alone and a wake-up call.
 *
 * Waiting is spinning for a moment, as the next loop usually follows at once, then sleeping on a condition
 * variable. Where threads outnumber processors, spinning would only keep the working thread away, and is left
 * out.
 *
 * A sleeper first announces itself (sleepers, or the gate's caller bit) and then looks at the gate again; the
 * other side first changes the gate and then looks for the announcement. All four are sequentially
 * consistent, so one of them sees the other. Whoever wakes passes through the lock before, but does not hold
 * it, so that the woken thread need not wait for it again.
 */
#define _GNU_SOURCE

#include "base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/log.h"

#define MAX_THREADS  1024
#define APART        128    /* bytes between words of different workers: cache lines are fetched in pairs */
#define SPIN_SECONDS 200e-6 /* longer than a piece of a network takes: who sleeps is late for the next loop */

#define GATE_LOOP          ((uint64_t)1 << 32)
#define GATE_OPEN          ((uint64_t)1 << 31)
#define GATE_CALLER_SLEEPS ((uint64_t)1 << 30)
#define GATE_INSIDE        (GATE_CALLER_SLEEPS - 1)

struct loop {
    kiln_range_fn *fn;
    void *user;
    size_t total, grain, pieces;
};

struct worker {
    struct kiln_pool *pool;
    int number; /* 1 .. threads - 1; the caller is 0 */
    pthread_t thread;
};

/* The pieces of a loop that a worker takes first. */
struct share {
    _Alignas(APART) atomic_size_t next;
    size_t end;
};

struct kiln_pool {
    int threads, started; /* with the caller; workers running */
    bool spin;
    struct worker *workers;

    pthread_mutex_t turn; /* held by the thread whose loop it is */
    struct loop loop;     /* this and the shares are written while the gate is closed and nobody is inside */
    struct share *share;  /* of each thread */
    _Atomic uint64_t gate;

    pthread_mutex_t lock; /* around every sleep */
    pthread_cond_t opened, left;
    atomic_int sleepers; /* workers waiting for `opened` */
    atomic_bool stopping;
};

/* The loops that this thread is inside of, innermost first. */
struct frame {
    const struct kiln_pool *pool;
    int worker;
    const struct frame *outer;
};
static _Thread_local const struct frame *frames;

/* Waiting ----------------------------------------------------------------------------------------------- */

double kiln_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void pause_briefly(void)
{
    for (int i = 0; i < 16; i++) {
#if defined(__SSE2__)
        _mm_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
    }
}

typedef bool ready_fn(struct kiln_pool *pool, uint64_t seen);

/* Spin until ready or out of patience; tells which. */
static bool spin_until(ready_fn *ready, struct kiln_pool *pool, uint64_t seen)
{
    double end;

    if (ready(pool, seen))
        return true;
    if (!pool->spin)
        return false;
    end = kiln_seconds() + SPIN_SECONDS;
    do {
        pause_briefly();
        if (ready(pool, seen))
            return true;
    } while (kiln_seconds() < end);
    return false;
}

/* Afterwards nobody is between a look at the gate that was too early and the sleep that follows from it. */
static void pass_lock(struct kiln_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

/* Pieces ------------------------------------------------------------------------------------------------ */

static void do_piece(const struct loop *loop, size_t piece, int worker)
{
    const size_t first = piece * loop->grain, rest = loop->total - first;
    loop->fn(loop->user, first, rest < loop->grain ? rest : loop->grain, worker);
}

static void take_share(struct kiln_pool *pool, struct share *share, int worker)
{
    size_t piece;

    /* Looked at before it is counted up: the line of a share that is done stays where it is. */
    while (atomic_load_explicit(&share->next, memory_order_relaxed) < share->end &&
           (piece = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed)) < share->end)
        do_piece(&pool->loop, piece, worker);
}

static void take_pieces(struct kiln_pool *pool, int worker)
{
    const struct frame frame = {pool, worker, frames};

    frames = &frame;
    for (int i = 0; i < pool->threads; i++)
        take_share(pool, &pool->share[(worker + i) % pool->threads], worker);
    frames = frame.outer;
}

static void do_alone(struct kiln_pool *pool, const struct loop *loop, int worker)
{
    const struct frame frame = {pool, worker, frames};

    frames = &frame;
    for (size_t piece = 0; piece < loop->pieces; piece++)
        do_piece(loop, piece, worker);
    frames = frame.outer;
}

/* Workers ----------------------------------------------------------------------------------------------- */

/* A loop is open that this worker has not been in. */
static bool has_work(struct kiln_pool *pool, uint64_t seen)
{
    const uint64_t gate = atomic_load(&pool->gate);
    return atomic_load(&pool->stopping) || ((gate & GATE_OPEN) && gate / GATE_LOOP != seen);
}

static void wait_for_work(struct kiln_pool *pool, uint64_t seen)
{
    if (spin_until(has_work, pool, seen))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_work(pool, seen))
        pthread_cond_wait(&pool->opened, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

/* False where the gate closed before this worker came. */
static bool enter(struct kiln_pool *pool, uint64_t *seen)
{
    uint64_t gate = atomic_load(&pool->gate);

    while (gate & GATE_OPEN)
        if (atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1)) {
            *seen = gate / GATE_LOOP;
            return true;
        }
    return false;
}

static void leave(struct kiln_pool *pool)
{
    const uint64_t before = atomic_fetch_sub(&pool->gate, 1);

    if ((before & GATE_CALLER_SLEEPS) && (before & GATE_INSIDE) == 1) {
        pass_lock(pool);
        pthread_cond_signal(&pool->left);
    }
}

static void *work(void *argument)
{
    const struct worker *self = argument;
    struct kiln_pool *pool = self->pool;
    uint64_t seen = 0; /* loops are numbered from 1 */

    for (;;) {
        wait_for_work(pool, seen);
        if (atomic_load(&pool->stopping))
            return NULL;
        if (enter(pool, &seen)) {
            take_pieces(pool, self->number);
            leave(pool);
        }
    }
}

/* The caller -------------------------------------------------------------------------------------------- */

static bool is_empty(struct kiln_pool *pool, uint64_t seen)
{
    (void)seen;
    return (atomic_load(&pool->gate) & GATE_INSIDE) == 0;
}

/* Wake as many as there are pieces for. */
static void open_gate(struct kiln_pool *pool)
{
    const uint64_t number = (uint32_t)(atomic_load(&pool->gate) / GATE_LOOP + 1);
    size_t wanted = pool->loop.pieces - 1;

    atomic_store(&pool->gate, number * GATE_LOOP | GATE_OPEN);
    if (atomic_load(&pool->sleepers) == 0)
        return;
    pass_lock(pool);
    if (wanted >= (size_t)pool->started)
        pthread_cond_broadcast(&pool->opened);
    else
        while (wanted-- > 0)
            pthread_cond_signal(&pool->opened);
}

static void close_gate(struct kiln_pool *pool)
{
    atomic_fetch_and(&pool->gate, ~GATE_OPEN);
    if (spin_until(is_empty, pool, 0))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_or(&pool->gate, GATE_CALLER_SLEEPS);
    while (!is_empty(pool, 0))
        pthread_cond_wait(&pool->left, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

/* Shares that differ by one piece at most. */
static void deal(struct kiln_pool *pool)
{
    const size_t threads = (size_t)pool->threads, each = pool->loop.pieces / threads,
                 more = pool->loop.pieces % threads;
    size_t first = 0;

    for (size_t i = 0; i < threads; i++) {
        atomic_store_explicit(&pool->share[i].next, first, memory_order_relaxed);
        pool->share[i].end = first += each + (i < more);
    }
}

static void do_shared(struct kiln_pool *pool, const struct loop *loop)
{
    pool->loop = *loop;
    deal(pool);
    open_gate(pool);
    take_pieces(pool, 0);
    close_gate(pool);
}

/* The worker number under which this thread is inside a loop of the pool; -1 where it is not. */
static int worker_here(const struct kiln_pool *pool)
{
    for (const struct frame *f = frames; f; f = f->outer)
        if (f->pool == pool)
            return f->worker;
    return -1;
}

void kiln_pool_run(struct kiln_pool *pool, size_t total, size_t grain, kiln_range_fn *fn, void *user)
{
    const size_t step = grain ? grain : 1;
    const struct loop loop = {fn, user, total, step, total / step + (total % step != 0)};
    const int worker = worker_here(pool);

    if (worker >= 0) {
        do_alone(pool, &loop, worker);
        return;
    }
    pthread_mutex_lock(&pool->turn);
    if (loop.pieces <= 1 || pool->started == 0)
        do_alone(pool, &loop, 0);
    else
        do_shared(pool, &loop);
    pthread_mutex_unlock(&pool->turn);
}

/* Life -------------------------------------------------------------------------------------------------- */

int kiln_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        count = CPU_COUNT(&allowed);
#endif
    return count < 1 ? 1 : count > MAX_THREADS ? MAX_THREADS : (int)count;
}

static int default_threads(void)
{
    const char *text = getenv("KILN_THREADS");
    char *end;
    long count;

    if (!text || !*text)
        return kiln_processors();
    count = strtol(text, &end, 10);
    if (!*end && count >= 1 && count <= MAX_THREADS)
        return (int)count;
    kiln_warn("KILN_THREADS is \"%s\", wanted a number from 1 to %d: ignored", text, MAX_THREADS);
    return kiln_processors();
}

static kiln_status start(struct kiln_pool *pool)
{
    for (int i = 0; i < pool->threads - 1; i++) {
        struct worker *w = &pool->workers[i];
        int error;

        *w = (struct worker){.pool = pool, .number = i + 1};
        if ((error = pthread_create(&w->thread, NULL, work, w)))
            return kiln_fail(KILN_ERROR_MEMORY, "thread pool: wanted %d threads, thread %d did not start: %s",
                             pool->threads, i + 2, strerror(error));
        pool->started++;
    }
    return KILN_OK;
}

kiln_status kiln_pool_create(struct kiln_pool **out, int threads)
{
    struct kiln_pool *pool;
    kiln_status status;

    *out = NULL;
    if (threads < 0 || threads > MAX_THREADS)
        return kiln_fail(KILN_ERROR_ARGUMENT, "thread pool: %d threads, wanted 0 to %d", threads,
                         MAX_THREADS);
    if (!(pool = calloc(1, sizeof *pool)))
        return kiln_fail(KILN_ERROR_MEMORY, "thread pool: out of memory");
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->opened, NULL);
    pthread_cond_init(&pool->left, NULL);

    pool->threads = threads ? threads : default_threads();
    pool->spin = pool->threads <= kiln_processors();
    pool->workers = calloc((size_t)pool->threads, sizeof *pool->workers);
    pool->share = aligned_alloc(APART, (size_t)pool->threads * sizeof *pool->share);
    if (pool->workers && pool->share)
        status = start(pool);
    else
        status = kiln_fail(KILN_ERROR_MEMORY, "thread pool: no memory for %d threads", pool->threads);
    if (status)
        kiln_pool_destroy(&pool);
    *out = pool;
    return status;
}

void kiln_pool_destroy(struct kiln_pool **pool)
{
    struct kiln_pool *p = *pool;

    *pool = NULL;
    if (!p)
        return;
    atomic_store(&p->stopping, true);
    pass_lock(p);
    pthread_cond_broadcast(&p->opened);
    for (int i = 0; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);

    pthread_cond_destroy(&p->left);
    pthread_cond_destroy(&p->opened);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->turn);
    free(p->share);
    free(p->workers);
    free(p);
}

int kiln_pool_threads(const struct kiln_pool *pool)
{
    return pool->threads;
}
