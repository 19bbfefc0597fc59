/* single.c - one dispatch by itself, timed: each run finds the arrays as they were. */
#include <criterion/criterion.h>

#include "recorder/single.h"

static float largest; /* that a run of the kernel found */

static uint64_t one_unit(const kiln_dispatch *d)
{
    (void)d;
    return 1;
}

/* x = 2 x, in place. */
static void reference(const void *block, const uint32_t *constants, const kiln_memory *m, size_t first,
                      size_t count)
{
    float *x = m->at[0];
    (void)block, (void)constants, (void)first, (void)count;
    largest = *x > largest ? *x : largest;
    *x *= 2;
}

/* One element too many. */
static void run_far(const kiln_dispatch *d, const kiln_memory *m, size_t first, size_t count, int worker)
{
    (void)d, (void)first, (void)count, (void)worker;
    ((float *)m->at[0])[1] = 1;
}

static const kiln_variant far = {.name = "far", .run = run_far};
static const kiln_kernel doubled = {
    .name = "doubled", .bindings = 1, .access = {KILN_READ_WRITE}, .units = one_unit, .reference = reference};

Test(single, timed_runs_in_place_begin_with_the_same_arrays)
{
    float x = 1, again = 0;
    double seconds = 0;
    kiln_device *dev = NULL;
    const kiln_dispatch d = {.kernel = &doubled, .variant = &kiln_cpu_reference};
    const struct kiln_single arrays = {.data = {&x}, .bytes = {sizeof x}, .again = {&again}};

    cr_assert(kiln_device_open(&dev, &(kiln_device_params){.name = "cpu"}) == KILN_OK);
    cr_assert(kiln_single_run(dev, &d, &arrays, 5, &seconds) == KILN_OK);
    cr_expect(x == 2 && again == 2 && largest == 1, "%g, %g, from %g at most", x, again, largest);
    kiln_device_close(&dev);
}

Test(single, what_is_written_beyond_the_end_is_found)
{
    float x = 1;
    kiln_device *dev = NULL;
    const kiln_dispatch d = {.kernel = &doubled, .variant = &far};
    bool beyond[KILN_MAX_BINDINGS] = {0};
    const struct kiln_single arrays = {.data = {&x}, .bytes = {sizeof x}, .beyond = beyond};

    cr_assert(kiln_device_open(&dev, &(kiln_device_params){.name = "cpu"}) == KILN_OK);
    cr_assert(kiln_single_run(dev, &d, &arrays, 0, NULL) == KILN_OK);
    cr_expect(beyond[0]);
    kiln_device_close(&dev);
}
