/* pool.c - pooling on the CPU: the fast variants against the references, over windows of every kind. */
#include <math.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/rng.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "pool/pool.h"

enum { ROOM = 16384 };

static float x[ROOM], dy[ROOM], fast[ROOM], plain[ROOM];

static void draw(float *to, struct kiln_rng *rng)
{
    for (int i = 0; i < ROOM; i++)
        to[i] = (float)kiln_rng_below(rng, 7) / 3 - 1; /* with ties */
}

static uint32_t between(struct kiln_rng *rng, uint32_t low, uint32_t high)
{
    return low + kiln_rng_below(rng, high - low + 1);
}

/* A window along an axis of at most `most` elements that it fits: {size of x, of y, window, stride, pad, end, dilation}. */
static void draw_axis(struct kiln_rng *rng, uint32_t most, uint32_t *a)
{
    const uint32_t size = between(rng, 1, 4), stride = between(rng, 1, 3), dilation = between(rng, 1, 2);
    const uint32_t pad = between(rng, 0, size - 1), behind = between(rng, 0, size - 1),
                   reach = dilation * (size - 1) + 1;
    const uint32_t from = between(rng, reach, most);
    const uint32_t axis[] = {
        from, (from + pad + behind - reach) / stride + 1, size, stride, pad, from + behind, dilation};
    for (int i = 0; i < 7; i++)
        a[i] = axis[i];
}

/* Windows that fit planes of a random size; every other plane has a first axis. */
static struct kiln_params_pool draw_block(struct kiln_rng *rng, bool volume)
{
    uint32_t a[7] = {1, 1, 1, 1, 0, 1, 1}, i[7], j[7];
    if (volume)
        draw_axis(rng, 7, a);
    draw_axis(rng, 12, i);
    draw_axis(rng, 30, j);
    struct kiln_params_pool p = {
        .size_a = a[2],
        .size_i = i[2],
        .size_j = j[2],
        .stride_a = a[3],
        .stride_i = i[3],
        .stride_j = j[3],
        .pad_a = a[4],
        .pad_i = i[4],
        .pad_j = j[4],
        .end_a = a[5],
        .end_i = i[5],
        .end_j = j[5],
        .dilation_a = a[6],
        .dilation_i = i[6],
        .dilation_j = j[6],
    };
    KILN_DIVISOR_SET(&p, d, a[0]);
    KILN_DIVISOR_SET(&p, h, i[0]);
    KILN_DIVISOR_SET(&p, w, j[0]);
    KILN_DIVISOR_SET(&p, od, a[1]);
    KILN_DIVISOR_SET(&p, oh, i[1]);
    KILN_DIVISOR_SET(&p, ow, j[1]);
    return p;
}

static void expect_equal(size_t count, const char *what, int round)
{
    for (size_t i = 0; i < count; i++)
        cr_assert((isnan(fast[i]) && isnan(plain[i])) || fabsf(fast[i] - plain[i]) <= 1e-5f ||
                      fast[i] == plain[i],
                  "%s, round %d: element %zu is %g, wanted %g", what, round, i, fast[i], plain[i]);
}

/* As kiln_kernel_pool and its gradient take it: windows that hold nothing have no mean. */
static void compare(struct kiln_params_pool p, uint32_t mode, int round)
{
    const uint32_t planes = 3, from = p.d * p.h * p.w, to = p.od * p.oh * p.ow;
    kiln_dispatch d = {.constants = {mode, p.d > 1 ? KILN_POOL_VOLUME : 0}};

    p.results = planes * to;
    *(struct kiln_params_pool *)d.block.words = p;
    cr_assert(kiln_cpu_pool_planes.accepts(NULL, &d));
    kiln_cpu_pool_planes.run(&d, &(kiln_memory){.at = {x, fast}}, 0, planes, 0);
    kiln_reference_pool_f32(&p, d.constants, &(kiln_memory){.at = {x, plain}}, 0, p.results);
    expect_equal(p.results, "forward", round);

    void *given = mode == KILN_POOL_MAX ? x : NULL;
    p.results = planes * from;
    *(struct kiln_params_pool *)d.block.words = p;
    cr_assert(kiln_cpu_pool_grad_planes.accepts(NULL, &d));
    kiln_cpu_pool_grad_planes.run(&d, &(kiln_memory){.at = {given, dy, fast}}, 0, planes, 0);
    kiln_reference_pool_grad_f32(&p, d.constants, &(kiln_memory){.at = {given, dy, plain}}, 0, p.results);
    expect_equal(p.results, "backward", round);
}

Test(pool, fast_variants_agree_with_the_references)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 1);
    for (int round = 0; round < 800; round++) {
        const struct kiln_params_pool p = draw_block(&rng, round & 4);
        if (3 * p.d * p.h * p.w > ROOM || 3 * p.od * p.oh * p.ow > ROOM)
            continue;
        draw(x, &rng);
        draw(dy, &rng);
        compare(p, (uint32_t)round % 4, round);
    }
}
