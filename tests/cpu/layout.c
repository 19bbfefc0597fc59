/* layout.c - copy on the CPU: the tiled variant against the reference, over walks of every kind. */
#include <string.h>

#include <criterion/criterion.h>

#include "base/rng.h"
#include "device/variants.h"
#include "layout/copy.h"
#include "ops/kernels.h"

enum { ROOM = 1 << 16 };

static uint32_t x[ROOM], fast[ROOM], plain[ROOM];

/* Steps of axes that lie in a random order, possibly backwards; returns the elements they span. */
static uint32_t draw_steps(struct kiln_rng *rng, uint32_t rank, const uint32_t *size, uint32_t *step,
                           uint32_t *start)
{
    uint32_t order[KILN_COPY_RANK], below = 1 + (kiln_rng_below(rng, 4) == 0);
    *start = 0;
    for (uint32_t i = 0; i < rank; i++)
        order[i] = i;
    kiln_rng_shuffle(rng, order, rank);
    for (uint32_t i = 0; i < rank; i++) {
        const uint32_t axis = order[i];
        const bool back = kiln_rng_below(rng, 5) == 0;
        step[axis] = back ? -below : below;
        *start += back ? (size[axis] - 1) * below : 0;
        below *= size[axis];
    }
    return below;
}

Test(layout, tiles_agree_with_the_reference)
{
    struct kiln_rng rng;
    kiln_rng_init(&rng, 2, 2);
    for (uint32_t i = 0; i < ROOM; i++)
        x[i] = i;
    for (int round = 0; round < 400; round++) {
        kiln_dispatch d = {.kernel = &kiln_kernel_copy, .constants = {1, 2 + kiln_rng_below(&rng, 4)}};
        struct kiln_params_copy *p = (struct kiln_params_copy *)d.block.words;
        const uint32_t rank = d.constants[1];
        p->count = 1;
        for (uint32_t i = 0; i < rank; i++) {
            p->size[i] = 1 + kiln_rng_below(&rng, rank == 2 ? 150 : 7);
            p->count *= p->size[i];
        }
        cr_assert_leq(draw_steps(&rng, rank, p->size, p->x_step, &p->x_start), ROOM);
        cr_assert_leq(draw_steps(&rng, rank, p->size, p->y_step, &p->y_start), ROOM);
        if (round % 4 == 0)
            p->x_step[kiln_rng_below(&rng, rank)] = 0; /* repeated along an axis */

        memset(fast, 0, sizeof fast);
        memset(plain, 0, sizeof plain);
        kiln_cpu_copy_tiles.run(&d, &(kiln_memory){.at = {x, fast}}, 0,
                                (size_t)kiln_cpu_copy_tiles.groups(NULL, &d), 0);
        kiln_reference_copy_f32(p, d.constants, &(kiln_memory){.at = {x, plain}}, 0, p->count);
        cr_assert_eq(memcmp(fast, plain, sizeof fast), 0, "round %d, rank %u", round, rank);
    }
}
