/* backend.c - the CPU device runs what a list says, in an order that its barriers allow. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <criterion/criterion.h>

#include "base/lines.h"
#include "support/lists.h"

static kiln_device *dev;
static struct test_list l;

static void plain(void)
{
    unsetenv("KILN_LIMITS");
    unsetenv("KILN_SHUFFLE");
    catch_lines();
}

static void open_cpu(int threads)
{
    cr_assert_eq(kiln_device_open(&dev, &(kiln_device_params){.name = "cpu", .threads = threads}), KILN_OK,
                 "%s", lines.newest);
}

static struct kiln_buffer *buffer(const char *name, uint64_t bytes)
{
    struct kiln_buffer *b;

    cr_assert_eq(kiln_buffer_create(dev, &(struct kiln_buffer_params){.bytes = bytes, .name = name}, &b),
                 KILN_OK);
    list_buffer(&l, name, b);
    return b;
}

static struct kiln_baked *bake(void)
{
    struct kiln_baked *work;
    cr_assert_eq(kiln_bake(dev, &l.list, &work), KILN_OK, "%s", lines.newest);
    return work;
}

static void run(struct kiln_baked *work)
{
    kiln_ticket ticket;
    cr_assert_eq(kiln_submit(dev, &work, 1, &ticket), KILN_OK);
    cr_assert_eq(kiln_wait(dev, ticket), KILN_OK);
}

static void finish(struct kiln_baked *work)
{
    kiln_unbake(dev, &work);
    for (int i = 0; i < l.list.buffer_count; i++)
        kiln_buffer_destroy(dev, &l.buffer[i]);
    kiln_device_close(&dev);
}

TestSuite(backend, .init = plain);

Test(backend, memory_is_mapped_aligned_and_zeroed)
{
    open_cpu(1);
    const struct kiln_buffer *b = buffer("b", 1000);
    cr_assert_not_null(b->map);
    cr_expect_eq((uintptr_t)b->map % 64, 0);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(((char *)b->map)[i], 0);
    finish(NULL);
}

Test(backend, more_memory_than_the_machine_has_is_refused)
{
    struct kiln_buffer *b;

    open_cpu(1);
    cr_expect_eq(
        kiln_buffer_create(dev, &(struct kiln_buffer_params){.bytes = (uint64_t)1 << 62, .name = "vast"}, &b),
        KILN_ERROR_MEMORY);
    cr_expect(strstr(lines.newest, "vast") && strstr(lines.newest, "4611686018427387904"), "%s",
              lines.newest);
    finish(NULL);
}

Test(backend, fills_copies_and_dispatches_run_in_turn)
{
    open_cpu(1);
    const float *x = buffer("x", 768)->map;
    const kiln_dispatch thrice = scale_dispatch(&kiln_cpu_reference, 64, 3);

    list_fill(&l, span(0, 0, 256), 0x3f800000);
    list_barrier(&l);
    list_scale(&l, &thrice, span(0, 0, 256), span(0, 256, 256));
    list_barrier(&l);
    list_copy(&l, span(0, 256, 256), span(0, 512, 256));
    struct kiln_baked *work = bake();
    memset(l.command, 0xff, sizeof l.command); /* the list may go */
    run(work);
    for (int i = 0; i < 192; i++)
        cr_assert_eq(x[i], i < 64 ? 1 : 3, "%d: %g", i, (double)x[i]);
    finish(work);
}

Test(backend, a_long_dispatch_is_shared_and_every_unit_runs_once)
{
    enum { N = 1 << 20 };
    open_cpu(3);
    float *x = buffer("x", 4 * N)->map, *y = buffer("y", 4 * N)->map;
    const kiln_dispatch twice = scale_dispatch(&kiln_cpu_reference, N, 2);

    for (int i = 0; i < N; i++)
        x[i] = (float)i;
    list_scale(&l, &twice, span(0, 0, 4 * N), span(1, 0, 4 * N))->flops = N;
    struct kiln_baked *work = bake();
    run(work);
    for (int i = 0; i < N; i++)
        cr_assert_eq(y[i], 2 * x[i]);
    finish(work);
}

Test(backend, a_part_of_a_dispatch_touches_its_units_alone)
{
    open_cpu(2);
    float *x = buffer("x", 512)->map;
    const kiln_dispatch twice = scale_dispatch(&kiln_cpu_reference, 64, 2);
    struct kiln_dispatch_command *c = list_scale(&l, &twice, span(0, 0, 256), span(0, 256, 256));

    for (int i = 0; i < 64; i++)
        x[i] = 1;
    c->first = 10;
    c->count = 20;
    struct kiln_baked *work = bake();
    run(work);
    for (int i = 0; i < 64; i++)
        cr_expect_eq(x[64 + i], i >= 10 && i < 30 ? 2 : 0, "%d", i);
    finish(work);
}

Test(backend, float64_dispatches_run_the_double_build)
{
    open_cpu(1);
    double *x = buffer("x", 1024)->map;
    kiln_dispatch half = scale_dispatch(&kiln_cpu_reference, 64, 0.5f);

    half.f64 = true;
    x[63] = 1e300;
    list_scale(&l, &half, span(0, 0, 512), span(0, 512, 512));
    struct kiln_baked *work = bake();
    run(work);
    cr_expect_eq(x[127], 5e299);
    finish(work);
}

Test(backend, code_for_another_device_is_refused)
{
    struct kiln_baked *work;

    open_cpu(1);
    buffer("x", 512);
    const kiln_dispatch twice = scale_dispatch(&scale_gpu, 64, 2);
    list_scale(&l, &twice, span(0, 0, 256), span(0, 256, 256));
    cr_expect_eq(kiln_bake(dev, &l.list, &work), KILN_ERROR_UNSUPPORTED);
    cr_expect(strstr(lines.newest, "variant plain of kernel scale is no CPU code"), "%s", lines.newest);
    finish(NULL);
}

/* Threads' scratch --------------------------------------------------------------------------------------- */

enum { THREADS = 3 };
static char *scratch_of[THREADS]; /* where each thread's was in the last run */
static atomic_int seen, spoilt;

static uint64_t little(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps, (void)d;
    return 100;
}

static uint64_t much(const kiln_caps *caps, const kiln_dispatch *d)
{
    (void)caps, (void)d;
    return 10000;
}

/* Words of another unit there, when all threads have written theirs, are another thread's. A lone thread goes on after a while. */
static void keep_scratch(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    const size_t words = d->variant->scratch(NULL, d) / sizeof(uint32_t);
    volatile uint32_t *word = m->scratch;

    scratch_of[worker] = m->scratch;
    for (size_t i = 0; i < words; i++)
        word[i] = (uint32_t)first + 1;
    atomic_fetch_add(&seen, (int)count);
    for (int patience = 0; atomic_load(&seen) < THREADS && patience < 2000; patience++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    for (size_t i = 0; i < words; i++)
        if (word[i] != (uint32_t)first + 1)
            atomic_fetch_add(&spoilt, 1);
}

static const kiln_variant takes_little = {.name = "little", .scratch = little, .run = keep_scratch},
                          takes_much = {.name = "much", .scratch = much, .run = keep_scratch};

/* A list of one dispatch, of as many units as there are threads, each worth a piece. */
static struct kiln_baked *bake_alone(const kiln_dispatch *d)
{
    l.list.count = 0;
    list_scale(&l, d, span(0, 0, 256), span(0, 256, 256));
    l.command[0].as.dispatch.count = THREADS;
    l.command[0].as.dispatch.flops = 1e9;
    return bake();
}

static void run_seen(struct kiln_baked *work)
{
    atomic_store(&seen, 0);
    run(work);
    cr_expect_eq(atomic_load(&seen), THREADS);
    cr_expect_eq(atomic_load(&spoilt), 0);
}

Test(backend, each_thread_has_scratch_of_its_own)
{
    open_cpu(THREADS);
    buffer("x", 512);
    const uint64_t before = kiln_device_memory_used(dev);
    const kiln_dispatch d = scale_dispatch(&takes_little, 64, 0);
    struct kiln_baked *work = bake_alone(&d);

    run_seen(work);
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < i; k++)
            cr_expect(!scratch_of[i] || scratch_of[i] != scratch_of[k]);
    cr_expect_not_null(scratch_of[0]);
    cr_expect_geq(kiln_device_memory_used(dev), before + THREADS * 100);
    finish(work);
}

Test(backend, scratch_of_threads_grows_with_what_is_baked_and_is_shared)
{
    open_cpu(THREADS);
    buffer("x", 512);
    const uint64_t before = kiln_device_memory_used(dev);
    const kiln_dispatch first = scale_dispatch(&takes_little, 64, 0),
                        second = scale_dispatch(&takes_much, 64, 0);
    struct kiln_baked *small = bake_alone(&first), *large = bake_alone(&second);
    const uint64_t grown = kiln_device_memory_used(dev) - before;

    cr_expect(grown >= THREADS * 10000 && grown < THREADS * 3 * 10000);
    run_seen(small);
    run_seen(large);
    struct kiln_baked *again = bake_alone(&first);
    cr_expect_eq(kiln_device_memory_used(dev) - before, grown);
    run_seen(again);
    kiln_unbake(dev, &small);
    kiln_unbake(dev, &large);
    finish(again);
}

static uint64_t run_number;

static void note_run(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)d, (void)first, (void)count, (void)worker;
    run_number = m->run;
}

Test(backend, every_run_of_a_dispatch_has_a_number_of_its_own)
{
    static const kiln_variant notes = {.name = "notes", .run = note_run};
    uint64_t number[4];
    open_cpu(1);
    buffer("x", 512);
    const kiln_dispatch d = scale_dispatch(&notes, 64, 0);
    struct kiln_baked *first = bake_alone(&d), *second = bake_alone(&d);

    for (int i = 0; i < 4; i++) {
        run(i % 2 ? second : first);
        number[i] = run_number;
        cr_expect_neq(number[i], 0);
        for (int k = 0; k < i; k++)
            cr_expect_neq(number[i], number[k]);
    }
    kiln_unbake(dev, &first);
    finish(second);
}

Test(backend, times_are_told_only_when_asked_for)
{
    struct kiln_baked *plain_work, *timed;
    kiln_ticket ticket;
    double begin, end;

    open_cpu(1);
    buffer("x", 1 << 20);
    list_fill(&l, span(0, 0, 1 << 20), 1);
    plain_work = bake();
    dev->profile = true;
    timed = bake();
    cr_expect_eq(kiln_submit(dev, (struct kiln_baked *[]){plain_work, timed}, 2, &ticket), KILN_OK);
    cr_expect_not(dev->ops->time(dev, plain_work, 0, &begin, &end));
    cr_assert(dev->ops->time(dev, timed, 0, &begin, &end));
    cr_expect(end > begin && end - begin < 10);
    cr_expect_not(dev->ops->time(dev, timed, 1, &begin, &end));
    kiln_unbake(dev, &timed);
    finish(plain_work);
}

/* Shuffling ---------------------------------------------------------------------------------------------- */

static int ran[64], ran_count;

static void note(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)m, (void)first, (void)count, (void)worker;
    ran[ran_count++] = (int)d->constants[0];
}

Test(backend, shuffling_permutes_between_barriers_only)
{
    static const kiln_variant variant = {.name = "note", .run = note};
    kiln_dispatch d[40];
    int moved = 0, sum[2] = {0};

    setenv("KILN_SHUFFLE", "7", 1);
    open_cpu(2);
    buffer("x", 512);
    for (int i = 0; i < 40; i++) {
        d[i] = scale_dispatch(&variant, 64, 0);
        d[i].constants[0] = (uint32_t)i;
        if (i == 20)
            list_barrier(&l);
        list_scale(&l, &d[i], span(0, 0, 256), span(0, 256, 256));
    }
    struct kiln_baked *work = bake();
    run(work);
    cr_assert_eq(ran_count, 40);
    for (int i = 0; i < 40; i++) {
        moved += ran[i] != i;
        sum[i / 20] += ran[i];
        cr_expect_eq(ran[i] / 20, i / 20, "%d ran as number %d", ran[i], i);
    }
    cr_expect_gt(moved, 20);
    cr_expect_eq(sum[0], 190);
    cr_expect_eq(sum[1], 590);
    finish(work);
}

Test(backend, shuffling_starts_scratch_as_nan_and_leaves_the_rest_zero)
{
    setenv("KILN_SHUFFLE", "1", 1);
    open_cpu(1);
    const float *scratch = buffer("scratch", 256)->map, *weights = buffer("weights", 256)->map;
    for (int i = 0; i < 64; i++) {
        cr_expect(isnan(scratch[i]));
        cr_expect_eq(weights[i], 0);
    }
    finish(NULL);
}

Test(backend, a_seed_that_is_no_number_is_refused)
{
    setenv("KILN_SHUFFLE", "always", 1);
    cr_expect_eq(kiln_device_open(&dev, &(kiln_device_params){.name = "cpu"}), KILN_ERROR_ARGUMENT);
    cr_expect(strstr(lines.newest, "always"), "%s", lines.newest);
}

/* Repeats ------------------------------------------------------------------------------------------------ */

/* What is in `turns` counts the turns of the inner repeat; `flag` falls by one each time, and stops it at 0. */
static void count_down(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)d, (void)first, (void)count, (void)worker;
    --*(uint32_t *)m->at[0];
    ++*(uint32_t *)m->at[1];
}

Test(backend, a_repeat_runs_until_its_flag_is_0_or_its_turns_are_made)
{
    static const kiln_variant variant = {.name = "count_down", .run = count_down};
    static const struct {
        uint32_t flag, outer, inner, turns;
    } cases[] = {{5, 1, 9, 5}, {5, 1, 3, 3}, {0, 2, 3, 0}, {4, 2, 3, 4}, {20, 4, 3, 12}};
    const kiln_dispatch d = scale_dispatch(&variant, 1, 0);

    setenv("KILN_SHUFFLE", "2", 1);
    open_cpu(1);
    uint32_t *flag = buffer("flag", 64)->map, *turns = buffer("turns", 64)->map;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        l.list.count = 0;
        list_fill(&l, span(1, 4, 4), 1);
        list_repeat(&l, cases[i].outer);
        list_fill(&l, span(1, 8, 4), 2);
        list_repeat(&l, cases[i].inner)->as.repeat.flag = span(0, 0, 4);
        list_scale(&l, &d, span(0, 0, 4), span(1, 0, 4));
        list_end(&l);
        list_end(&l);
        list_fill(&l, span(1, 12, 4), 3);
        struct kiln_baked *work = bake();
        for (int again = 0; again < 2; again++) {
            *flag = cases[i].flag;
            memset(turns, 0, 16);
            run(work);
            cr_expect_eq(turns[0], cases[i].turns, "case %zu: %u turns", i, turns[0]);
            cr_expect(turns[1] == 1 && turns[2] == 2 && turns[3] == 3);
        }
        kiln_unbake(dev, &work);
    }
    finish(NULL);
}

/* Threads ------------------------------------------------------------------------------------------------ */

enum { SUBMITTERS = 4, SUBMISSIONS = 200, WORDS = 1 << 14 };

/* Not atomic: only turns keep the sum right. */
static void increment(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)d, (void)worker;
    for (size_t i = first; i < first + count; i++)
        ((uint32_t *)m->at[1])[i]++;
}

static void *submit_often(void *user)
{
    for (int i = 0; i < SUBMISSIONS; i++)
        run(user);
    return NULL;
}

Test(backend, submissions_of_many_threads_take_turns)
{
    static const kiln_variant variant = {.name = "increment", .run = increment};
    const kiln_dispatch d = scale_dispatch(&variant, WORDS, 0);
    pthread_t threads[SUBMITTERS];

    open_cpu(2);
    buffer("x", 4 * WORDS);
    const uint32_t *y = buffer("y", 4 * WORDS)->map;
    list_scale(&l, &d, span(0, 0, 4 * WORDS), span(1, 0, 4 * WORDS))->flops = 1e6;
    struct kiln_baked *work = bake();
    for (int i = 0; i < SUBMITTERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, submit_often, work), 0);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < WORDS; i++)
        cr_assert_eq(y[i], SUBMITTERS * SUBMISSIONS);
    cr_expect_eq(kiln_device_wait(dev), KILN_OK);
    finish(work);
}
