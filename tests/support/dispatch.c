/* dispatch.c - one kernel by itself: every variant that a device accepts against the float64 reference. */
#include "support/dispatch.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "recorder/single.h"
#include "support/support.h"

#define UNTOUCHED 12345.0               /* what outputs hold before */
#define ROUNDING  5.9604644775390625e-8 /* half an ulp of 1 */

/* The operands in both precisions, what should come out, and what did. */
struct arrays {
    float *single[KILN_MAX_BINDINGS];
    double *exact[KILN_MAX_BINDINGS];     /* outputs: the reference's result */
    double *magnitude[KILN_MAX_BINDINGS]; /* the same for absolute values */
};

static bool is_output(const kiln_dispatch *d, int i)
{
    return d->kernel->access[i] == KILN_WRITE;
}

static void create(struct arrays *a, const struct kiln_test_dispatch *t)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, kiln_rng_stream(t->dispatch.kernel->name));
    for (int i = 0; i < t->dispatch.kernel->bindings; i++) {
        if (t->count[i] == 0)
            continue;
        a->single[i] = malloc(t->count[i] * sizeof *a->single[i]);
        a->exact[i] = malloc(t->count[i] * sizeof *a->exact[i]);
        a->magnitude[i] = malloc(t->count[i] * sizeof *a->magnitude[i]);
        for (size_t k = 0; k < t->count[i]; k++) {
            a->single[i][k] =
                is_output(&t->dispatch, i) ? (float)UNTOUCHED : (float)(2 * kiln_rng_uniform(&rng) - 1);
            a->exact[i][k] = a->single[i][k];
            a->magnitude[i][k] = fabs(a->exact[i][k]);
        }
    }
}

static void destroy(struct arrays *a)
{
    for (int i = 0; i < KILN_MAX_BINDINGS; i++) {
        free(a->single[i]);
        free(a->exact[i]);
        free(a->magnitude[i]);
    }
}

static void run_reference(const struct kiln_test_dispatch *t, double *const *at)
{
    const kiln_dispatch *d = &t->dispatch;
    kiln_memory m = {0};
    for (int i = 0; i < d->kernel->bindings; i++)
        m.at[i] = at[i];
    d->kernel->reference_f64(d->block.bytes, d->constants, &m, 0, (size_t)d->kernel->units(d));
}

/* The first result that is off, in words; a NaN is off. */
static void compare(const struct kiln_test_dispatch *t, const struct arrays *a, const char *device,
                    const char *variant)
{
    for (int i = 0; i < t->dispatch.kernel->bindings; i++)
        for (size_t k = 0; is_output(&t->dispatch, i) && k < t->count[i]; k++) {
            const double got = a->single[i][k], want = a->exact[i][k];
            const double bound = t->roundings * ROUNDING * a->magnitude[i][k];
            if (fabs(got - want) <= bound)
                continue;
            cr_expect(false, "%s, %s %s on %s: element %zu is %.9g, not %.9g +- %.2g", t->why,
                      t->dispatch.kernel->name, variant, device, k, got, want, bound);
            return;
        }
}

static void run_variant(kiln_device *dev, const struct kiln_test_dispatch *t, const struct arrays *a,
                        const kiln_variant *variant)
{
    kiln_dispatch d = t->dispatch;
    struct kiln_single arrays = {0};
    d.variant = variant;
    for (int i = 0; i < d.kernel->bindings; i++) {
        arrays.data[i] = a->single[i];
        arrays.bytes[i] = t->count[i] * sizeof *a->single[i];
        for (size_t k = 0; is_output(&d, i) && k < t->count[i]; k++)
            a->single[i][k] = (float)UNTOUCHED;
    }
    const kiln_status status = kiln_single_run(dev, &d, &arrays, 0, NULL);
    cr_expect(status == KILN_OK, "%s: %s %s does not run on %s", t->why, d.kernel->name, variant->name,
              dev->info.title);
    if (status == KILN_OK)
        compare(t, a, dev->info.title, variant->name);
}

void kiln_expect_dispatch(kiln_device *dev, const struct kiln_test_dispatch *t)
{
    const bool cpu = dev->caps.backend == KILN_BACKEND_CPU;
    const kiln_variant *const *list = cpu ? t->dispatch.kernel->cpu : t->dispatch.kernel->gpu;
    struct arrays a = {0};

    create(&a, t);
    run_reference(t, a.exact);
    run_reference(t, a.magnitude);
    for (; list && *list; list++)
        if (kiln_variant_accepts(*list, &dev->caps, &t->dispatch))
            run_variant(dev, t, &a, *list);
    if (cpu)
        run_variant(dev, t, &a, &kiln_cpu_reference);
    destroy(&a);
}

void kiln_expect_dispatches(const struct kiln_test_dispatch *t, size_t count)
{
    const char *name;
    for (int i = 0; (name = kiln_test_device(i)); i++) {
        kiln_device *dev = kiln_test_open(name);
        for (size_t k = 0; dev && k < count; k++)
            kiln_expect_dispatch(dev, &t[k]);
        kiln_test_close(&dev);
    }
}
