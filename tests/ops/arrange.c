/*
 * arrange.c - tile, repeat, flip, roll, diff, reverse sequence, places, counts and caches: known values, gradients, every device
 * alike.
 */
#include "support/support.h"

#include <math.h>
#include <string.h>

#define EXACT 1e-30

typedef kiln_tensor made(kiln_graph *g);

static kiln_tensor build(kiln_graph *g, const void *fn)
{
    return (*(made *const *)fn)(g);
}

static kiln_tensor six(kiln_graph *g)
{
    return kiln_test_values(g, KILN_SHAPE(2, 3), (const float[]){1, 2, 3, 4, 5, 6});
}

static kiln_tensor whole(kiln_graph *g, kiln_shape shape, const int32_t *values)
{
    return kiln_constant(g,
                         &(kiln_array){.data = (void *)(uintptr_t)values, .type = KILN_I32, .shape = shape});
}

#define MADE(name, ...)                    \
    static kiln_tensor name(kiln_graph *g) \
    {                                      \
        return __VA_ARGS__;                \
    }

MADE(tiled, kiln_tile(g, six(g), (const int64_t[]){2, 2}))
MADE(no_tiles, kiln_tile(g, kiln_test_input(g, KILN_SHAPE(2, 0, 3)), (const int64_t[]){2, 1, 2}))
MADE(repeated, kiln_repeat(g, six(g), 2, -1))
MADE(flipped, kiln_flip(g, six(g), 1))
MADE(rolled, kiln_roll(g, six(g), 1, 1))
MADE(rolled_back, kiln_roll(g, six(g), -4, 1))
MADE(differences, kiln_diff(g, kiln_square(g, six(g)), 1))
MADE(first_above, kiln_index_of_first(g, kiln_less(g, kiln_scalar(g, KILN_F32, 2), six(g)), 1))
MADE(last_below, kiln_index_of_last(g, kiln_less(g, six(g), kiln_scalar(g, KILN_F32, 4)), -1))
MADE(counts,
     kiln_bincount(g, whole(g, KILN_SHAPE(2, 4), (const int32_t[]){1, 4, 1, -1, 0, 9, 1, 4}), KILN_NONE, 5))
MADE(weighed, kiln_bincount(g, whole(g, KILN_SHAPE(2, 3), (const int32_t[]){1, 0, 1, 3, 0, 1}), six(g), 4))
MADE(histogram, kiln_histogram(g, six(g), 2, 5, 3))
MADE(turned, kiln_reverse_sequence(g, six(g), whole(g, KILN_SHAPE(2), (const int32_t[]){2, 3}), 1))
MADE(turned_first, kiln_reverse_sequence(g, six(g), whole(g, KILN_SHAPE(3), (const int32_t[]){1, 2, 0}), 0))

static const struct known {
    made *fn;
    double want[24];
    size_t count;
    bool gradient;
    const char *why;
} known[] = {
    {tiled, {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}, 24, true, "tile"},
    {no_tiles, {0}, 0, false, "tile of nothing"},
    {repeated, {1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}, 12, true, "repeat"},
    {flipped, {3, 2, 1, 6, 5, 4}, 6, true, "flip"},
    {rolled, {3, 1, 2, 6, 4, 5}, 6, true, "roll"},
    {rolled_back, {2, 3, 1, 5, 6, 4}, 6, true, "roll back"},
    {differences, {3, 5, 9, 11}, 4, true, "diff"},
    {first_above, {2, 0}, 2, false, "the first above"},
    {last_below, {2, -1}, 2, false, "the last below"},
    {counts, {1, 3, 0, 0, 2}, 5, false, "counts"},
    {weighed, {7, 10, 0, 4}, 4, true, "weights"},
    {histogram, {1, 1, 2}, 3, false, "histogram"},
    {turned, {2, 1, 3, 6, 5, 4}, 6, true, "sequences in rows"},
    {turned_first, {1, 5, 3, 4, 2, 6}, 6, true, "sequences in columns"},
};

Test(arrange, known_values)
{
    for (size_t i = 0; i < KILN_COUNT(known); i++) {
        kiln_expect_values(build, &known[i].fn, known[i].want, known[i].count, 1e-12, known[i].why);
        if (known[i].gradient)
            kiln_expect_gradient(build, &known[i].fn, known[i].why);
        kiln_expect_devices_agree(build, &known[i].fn, known[i].gradient, known[i].gradient ? 0 : EXACT,
                                  known[i].why);
    }
}

/* Larger ones -------------------------------------------------------------------------------------------- */

MADE(large_tiles, kiln_tile(g, kiln_test_input(g, KILN_SHAPE(5, 1, 33)), (const int64_t[]){3, 65, 2}))
MADE(large_turned, kiln_reverse_sequence(g, kiln_test_input(g, KILN_SHAPE(7, 40, 5)),
                                         kiln_test_index(g, KILN_SHAPE(7), 41), 1))
MADE(large_counts, kiln_bincount(g, kiln_test_index(g, KILN_SHAPE(5000), 97), KILN_NONE, 97))
MADE(large_histogram, kiln_histogram(g, kiln_test_input(g, KILN_SHAPE(5000)), -1, 1, 8))

Test(arrange, on_every_device)
{
    made *const large[] = {large_tiles, large_turned, large_counts, large_histogram};
    for (size_t i = 0; i < KILN_COUNT(large); i++)
        kiln_expect_devices_agree(build, &large[i], i < 2, 1e-6,
                                  "large"); /* sums of at most 390 in a tile's gradient */
}

/* Caches ------------------------------------------------------------------------------------------------- */

static kiln_tensor cached(kiln_graph *g, const void *circular)
{
    const kiln_tensor cache = kiln_test_input(g, KILN_SHAPE(2, 3, 5, 4)),
                      updates = kiln_test_input(g, KILN_SHAPE(2, 3, 2, 4));
    return kiln_tensor_scatter(g, cache, updates, whole(g, KILN_SHAPE(2), (const int32_t[]){1, 4}), 2,
                               *(const bool *)circular);
}

Test(arrange, a_cache_is_written_behind_what_it_holds)
{
    const bool no = false, yes = true;
    kiln_expect_gradient(cached, &no, "to the end");
    kiln_expect_gradient(cached, &yes, "circular");
    kiln_expect_devices_agree(cached, &no, true, EXACT, "to the end");
    kiln_expect_devices_agree(cached, &yes, true, EXACT, "circular");
}

static void count_copies(void *user, const char *text)
{
    for (const char *at = text; (at = strstr(at, "copy")); at++)
        ++*(int *)user;
}

/* A session's cache, a step a run: written where it lies, behind who wants the old one, before who wants the new. */
static void decode(kiln_device *dev, bool old_wanted)
{
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_session *s = NULL;
    kiln_program *p = NULL;
    cr_assert_eq(kiln_graph_create(&g, NULL), KILN_OK);
    const kiln_tensor step = kiln_input(g, "step", KILN_F32, KILN_SHAPE(1, 1, 3)),
                      at = kiln_input(g, "at", KILN_I32, KILN_SHAPE(1));
    const kiln_tensor cache = kiln_state(g, "cache", KILN_F32, KILN_SHAPE(1, 4, 3), KILN_STORE_SESSION);
    const kiln_tensor old = kiln_sum(g, cache, NULL);
    const kiln_tensor next = kiln_tensor_scatter(g, cache, step, at, 1, false);
    const kiln_tensor effect = kiln_assign(g, cache, next), sum = kiln_sum(g, next, NULL);
    const kiln_tensor run[] = {effect, sum, old_wanted ? old : KILN_NONE, KILN_NONE};
    cr_assert_eq(kiln_weights_create(&w, g, NULL), KILN_OK);
    cr_assert_eq(kiln_session_create(&s, g), KILN_OK);
    cr_assert_eq(kiln_program_create(&p, dev, g, w, &(kiln_program_params){.run = run, .session = s}),
                 KILN_OK);
    float total = 0;
    for (int t = 0; t < 4; t++) {
        const float values[] = {(float)t, 1, 2};
        const int32_t place = 3 - t;
        float got, before;
        cr_assert_eq(kiln_program_write(p, step,
                                        &(kiln_array){.data = (void *)(uintptr_t)values,
                                                      .shape = KILN_SHAPE(1, 1, 3)}),
                     KILN_OK);
        cr_assert_eq(kiln_program_write(p, at,
                                        &(kiln_array){.data = (void *)(uintptr_t)&place,
                                                      .type = KILN_I32,
                                                      .shape = KILN_SHAPE(1)}),
                     KILN_OK);
        cr_assert_eq(kiln_program_run(p), KILN_OK);
        cr_assert_eq(kiln_program_read(p, sum, &(kiln_array){.data = &got, .bytes = sizeof got}), KILN_OK);
        if (old_wanted) {
            cr_assert_eq(kiln_program_read(p, old, &(kiln_array){.data = &before, .bytes = sizeof before}),
                         KILN_OK);
            cr_expect_eq(before, total);
        }
        total += (float)t + 3;
        cr_expect_eq(got, total, "step %d: %g, wanted %g", t, (double)got, (double)total);
    }
    int copies = 0;
    cr_assert_eq(kiln_program_print(p, count_copies, &copies), KILN_OK);
    cr_expect_eq(copies, 0, "%d copies", copies);
    kiln_program_destroy(&p);
    kiln_session_destroy(&s);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
}

Test(arrange, a_cache_grows_in_place)
{
    for (int d = 0; kiln_test_device(d); d++) {
        kiln_device *dev = kiln_test_open(kiln_test_device(d));
        decode(dev, false);
        decode(dev, true);
        kiln_test_close(&dev);
    }
}
