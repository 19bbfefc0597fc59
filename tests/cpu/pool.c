/* pool.c - pooling on the CPU: the fast variants against the references, over windows of every kind. */
#include <math.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/rng.h"
#include "device/variants.h"
#include "ops/kernels.h"
#include "pool/pool2d.h"

enum { ROOM = 4096 };

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

/* A window that fits planes of a random size. */
static struct kiln_params_pool2d draw_block(struct kiln_rng *rng)
{
    struct kiln_params_pool2d p = {.planes = 3, .size_h = between(rng, 1, 3), .size_w = between(rng, 1, 4)};
    p.stride_h = between(rng, 1, 3), p.stride_w = between(rng, 1, 3);
    p.dilation_h = between(rng, 1, 2), p.dilation_w = between(rng, 1, 2);
    p.pad_h = between(rng, 0, p.size_h - 1), p.pad_w = between(rng, 0, p.size_w - 1);
    const uint32_t reach_h = p.dilation_h * (p.size_h - 1) + 1, reach_w = p.dilation_w * (p.size_w - 1) + 1;
    KILN_DIVISOR_SET(&p, height, between(rng, reach_h, 12));
    KILN_DIVISOR_SET(&p, width, between(rng, reach_w, 30));
    p.padded_h = p.height + 2 * p.pad_h, p.padded_w = p.width + 2 * p.pad_w;
    KILN_DIVISOR_SET(&p, out_height, (p.padded_h - reach_h) / p.stride_h + 1);
    KILN_DIVISOR_SET(&p, out_width, (p.padded_w - reach_w) / p.stride_w + 1);
    return p;
}

static void expect_equal(size_t count, const char *what, int round)
{
    for (size_t i = 0; i < count; i++)
        cr_assert(fabsf(fast[i] - plain[i]) <= 1e-5f, "%s, round %d: element %zu is %g, wanted %g", what,
                  round, i, fast[i], plain[i]);
}

Test(pool, fast_variants_agree_with_the_references)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 1, 1);
    for (int round = 0; round < 600; round++) {
        const struct kiln_params_pool2d p = draw_block(&rng);
        kiln_dispatch d = {.kernel = &kiln_kernel_pool2d, .constants = {(uint32_t)round % 3}};
        *(struct kiln_params_pool2d *)d.block.words = p;
        draw(x, &rng);
        draw(dy, &rng);

        const size_t in = (size_t)p.planes * p.height * p.width,
                     out = (size_t)p.planes * p.out_height * p.out_width;
        kiln_cpu_pool2d_planes.run(&d, &(kiln_memory){.at = {x, fast}}, 0, p.planes, 0);
        kiln_reference_pool2d_f32(&p, d.constants, &(kiln_memory){.at = {x, plain}}, 0, out);
        expect_equal(out, "forward", round);

        void *given = d.constants[0] == KILN_POOL_MAX ? x : dy;
        kiln_cpu_pool2d_grad_planes.run(&d, &(kiln_memory){.at = {given, dy, fast}}, 0, p.planes, 0);
        kiln_reference_pool2d_grad_f32(&p, d.constants, &(kiln_memory){.at = {given, dy, plain}}, 0, in);
        expect_equal(in, "backward", round);
    }
}
