/* threads.c - the pool: every item once, the same pieces for any number of threads, and who does what. */
#include "base/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include "lines.h"

static struct kiln_pool *pool_of(int threads)
{
    struct kiln_pool *pool;
    cr_assert_eq(kiln_pool_create(&pool, threads), KILN_OK);
    return pool;
}

static void rest(long microseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
}

static void count_items(void *user, size_t first, size_t count, int worker)
{
    unsigned char *done = user;
    (void)worker;
    for (size_t i = first; i < first + count; i++)
        done[i]++;
}

Test(threads, every_item_is_done_once)
{
    static const size_t totals[] = {0, 1, 2, 7, 64, 1000, 4097}, grains[] = {0, 1, 3, 64, 5000, SIZE_MAX};
    static unsigned char done[4098];

    for (int threads = 1; threads <= 5; threads++) {
        struct kiln_pool *pool = pool_of(threads);
        for (int c = 0; c < 7 * 6; c++) {
            const size_t total = totals[c / 6], grain = grains[c % 6];
            memset(done, 0, sizeof done);
            kiln_pool_run(pool, total, grain, count_items, done);
            for (size_t i = 0; i < sizeof done; i++)
                cr_assert_eq(done[i], i < total, "item %zu of %zu by %zu on %d", i, total, grain, threads);
        }
        kiln_pool_destroy(&pool);
    }
}

static void note_piece(void *user, size_t first, size_t count, int worker)
{
    size_t *pieces = user;
    (void)worker;
    pieces[first] = count;
}

Test(threads, the_pieces_do_not_depend_on_the_number_of_threads)
{
    for (int threads = 1; threads <= 4; threads++) {
        struct kiln_pool *pool = pool_of(threads);
        size_t pieces[100] = {0};
        kiln_pool_run(pool, 100, 32, note_piece, pieces);
        for (size_t i = 0; i < 100; i++)
            cr_expect_eq(pieces[i], i % 32 ? 0 : i == 96 ? 4 : 32, "at %zu on %d threads", i, threads);
        kiln_pool_destroy(&pool);
    }
}

/* More items than numbers: the last pieces end at SIZE_MAX. */
static void note_end(void *user, size_t first, size_t count, int worker)
{
    atomic_fetch_add((atomic_int *)user, first + count == SIZE_MAX);
    (void)worker;
}

Test(threads, a_loop_may_be_as_long_as_a_size)
{
    struct kiln_pool *pool = pool_of(2);
    atomic_int ends = 0;

    kiln_pool_run(pool, SIZE_MAX, SIZE_MAX / 3, note_end, &ends);
    cr_expect_eq(ends, 1);
    kiln_pool_destroy(&pool);
}

struct crowd {
    atomic_int busy[8], calls, clashes;
    int threads;
};

static void clash(void *user, size_t first, size_t count, int worker)
{
    struct crowd *crowd = user;

    (void)first, (void)count;
    if (worker < 0 || worker >= crowd->threads || atomic_fetch_add(&crowd->busy[worker], 1) != 0) {
        atomic_fetch_add(&crowd->clashes, 1);
        return;
    }
    rest(1);
    atomic_fetch_add(&crowd->calls, 1);
    atomic_fetch_sub(&crowd->busy[worker], 1);
}

struct caller {
    struct kiln_pool *pool;
    struct crowd *crowd;
};

static void *call_often(void *user)
{
    struct caller *c = user;
    for (size_t i = 0; i < 100; i++)
        kiln_pool_run(c->pool, i % 5, 1, clash, c->crowd);
    return NULL;
}

Test(threads, threads_take_turns_and_worker_numbers_are_never_shared)
{
    struct crowd crowd = {.threads = 3};
    struct caller caller = {pool_of(3), &crowd};
    pthread_t callers[4];

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&callers[i], NULL, call_often, &caller), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(callers[i], NULL);
    cr_expect_eq(crowd.clashes, 0);
    cr_expect_eq(crowd.calls, 4 * 20 * (0 + 1 + 2 + 3 + 4));
    kiln_pool_destroy(&caller.pool);
}

struct nest {
    struct kiln_pool *pool, *other;
    pthread_t thread;
    int worker;
    atomic_int inner, strays;
};

static void inside(void *user, size_t first, size_t count, int worker)
{
    struct nest *n = user;
    (void)first, (void)count;
    atomic_fetch_add(&n->inner, 1);
    if (worker != n->worker || !pthread_equal(n->thread, pthread_self()))
        atomic_fetch_add(&n->strays, 1);
}

static void between(void *user, size_t first, size_t count, int worker)
{
    struct nest *n = user;
    (void)first, (void)count, (void)worker;
    kiln_pool_run(n->pool, 5, 1, inside, n);
}

static void outside(void *user, size_t first, size_t count, int worker)
{
    const struct nest *shared = user;
    struct nest mine = {
        .pool = shared->pool, .other = shared->other, .thread = pthread_self(), .worker = worker};

    (void)first, (void)count;
    kiln_pool_run(mine.pool, 10, 1, inside, &mine);
    if (worker == 0) /* through another pool and back: still the same worker */
        kiln_pool_run(mine.other, 1, 1, between, &mine);
    atomic_fetch_add(&((struct nest *)user)->inner, mine.inner - (worker == 0) * 5);
    atomic_fetch_add(&((struct nest *)user)->strays, mine.strays);
}

Test(threads, a_loop_inside_a_piece_stays_on_its_thread)
{
    struct nest nest = {.pool = pool_of(3), .other = pool_of(2)};

    kiln_pool_run(nest.pool, 50, 1, outside, &nest);
    cr_expect_eq(nest.inner, 500);
    cr_expect_eq(nest.strays, 0);
    kiln_pool_destroy(&nest.pool);
    kiln_pool_destroy(&nest.other);
}

Test(threads, a_single_piece_is_done_by_the_caller)
{
    struct nest nest = {.pool = pool_of(4), .thread = pthread_self(), .worker = 0};

    for (int i = 0; i < 100; i++)
        kiln_pool_run(nest.pool, 8, 8, inside, &nest);
    cr_expect_eq(nest.inner, 100);
    cr_expect_eq(nest.strays, 0);
    kiln_pool_destroy(&nest.pool);
}

/* Each waits for the other, so both must come. */
static void meet(void *user, size_t first, size_t count, int worker)
{
    atomic_int *present = user;

    (void)first, (void)count, (void)worker;
    atomic_fetch_add(present, 1);
    while (atomic_load(present) < 3)
        rest(1);
}

Test(threads, sleeping_workers_wake_for_a_loop, .timeout = 30)
{
    struct kiln_pool *pool = pool_of(3);

    for (int i = 0; i < 50; i++) {
        atomic_int present = 0;
        rest(i % 2 ? 200 : 0);
        kiln_pool_run(pool, 3, 1, meet, &present);
        cr_assert_eq(present, 3);
    }
    kiln_pool_destroy(&pool);
}

static void add_up(void *user, size_t first, size_t count, int worker)
{
    long *sums = user;
    for (size_t i = first; i < first + count; i++)
        sums[worker * 16] += (long)i;
}

Test(threads, what_the_pieces_wrote_is_there_afterwards)
{
    struct kiln_pool *pool = pool_of(3);

    for (int i = 0; i < 20000; i++) {
        long sums[3 * 16] = {0};
        kiln_pool_run(pool, 10, 1, add_up, sums);
        cr_assert_eq(sums[0] + sums[16] + sums[32], 45, "in loop %d", i);
    }
    kiln_pool_destroy(&pool);
}

Test(threads, the_default_number_comes_from_the_environment)
{
    struct kiln_pool *pool;

    catch_lines();
    setenv("KILN_THREADS", "3", 1);
    pool = pool_of(0);
    cr_expect_eq(kiln_pool_threads(pool), 3);
    kiln_pool_destroy(&pool);
    pool = pool_of(2);
    cr_expect_eq(kiln_pool_threads(pool), 2);
    kiln_pool_destroy(&pool);
    cr_expect_eq(lines.count, 0);
}

Test(threads, a_senseless_environment_is_named_and_ignored)
{
    static const char *const senseless[] = {"0", "-1", "two", "3x", "1e9", "99999999999999999999"};
    struct kiln_pool *pool;
    int usual;

    catch_lines();
    setenv("KILN_THREADS", "", 1);
    pool = pool_of(0);
    usual = kiln_pool_threads(pool);
    kiln_pool_destroy(&pool);
    cr_expect_geq(usual, 1);
    for (int i = 0; i < 6; i++) {
        setenv("KILN_THREADS", senseless[i], 1);
        pool = pool_of(0);
        cr_expect_eq(kiln_pool_threads(pool), usual);
        cr_expect_eq(lines.count, i + 1);
        cr_expect(strstr(lines.newest, senseless[i]), "%s", lines.newest);
        kiln_pool_destroy(&pool);
    }
}

Test(threads, refuses_a_number_that_is_out_of_range)
{
    struct kiln_pool *pool = (struct kiln_pool *)&lines;

    catch_lines();
    cr_expect_eq(kiln_pool_create(&pool, -1), KILN_ERROR_ARGUMENT);
    cr_expect_null(pool);
    cr_expect_eq(kiln_pool_create(&pool, 1000000), KILN_ERROR_ARGUMENT);
    cr_expect(strstr(lines.newest, "1000000"));
    kiln_pool_destroy(&pool);
}

Test(threads, pools_come_and_go)
{
    for (int i = 0; i < 200; i++) {
        struct kiln_pool *pool = pool_of(1 + i % 4);
        atomic_int ends = 0;
        if (i % 3)
            kiln_pool_run(pool, SIZE_MAX, SIZE_MAX / 3, note_end, &ends);
        kiln_pool_destroy(&pool);
        cr_assert_null(pool);
    }
}

Test(threads, time_runs_forward)
{
    const double before = kiln_seconds();
    rest(2000);
    cr_expect_geq(kiln_seconds() - before, 0.002);
}
