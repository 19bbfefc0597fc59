/* arena.c - memory that is freed whole. */
#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/arena.h"

Test(arena, gives_zeroed_aligned_memory_that_stays_apart)
{
    struct kiln_arena a = {0};
    unsigned char *given[200];

    for (size_t i = 0; i < 200; i++) {
        given[i] = kiln_arena_alloc(&a, i * i);
        cr_assert_not_null(given[i]);
        cr_expect_eq((uintptr_t)given[i] % 16, 0);
        for (size_t at = 0; at < i * i; at++)
            cr_assert_eq(given[i][at], 0, "byte %zu of %zu", at, i * i);
        memset(given[i], (int)i, i * i);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t at = 0; at < i * i; at++)
            cr_assert_eq(given[i][at], i, "a later one wrote into number %zu", i);
    kiln_arena_finish(&a);
}

Test(arena, gives_nothing_twice_even_when_it_is_empty)
{
    struct kiln_arena a = {0};
    cr_expect_neq(kiln_arena_alloc(&a, 0), kiln_arena_alloc(&a, 0));
    kiln_arena_finish(&a);
}

Test(arena, holds_what_is_larger_than_a_block)
{
    struct kiln_arena a = {0};
    char *small = kiln_arena_alloc(&a, 10), *large = kiln_arena_alloc(&a, 5 << 20);

    cr_assert(small && large);
    memset(large, 1, 5 << 20);
    cr_expect_eq(small[9], 0);
    cr_expect_not_null(kiln_arena_alloc(&a, 3000));
    kiln_arena_finish(&a);
}

Test(arena, refuses_sizes_that_would_wrap)
{
    struct kiln_arena a = {0};
    for (size_t less = 0; less < 48; less++)
        cr_expect_null(kiln_arena_alloc(&a, SIZE_MAX - less));
    kiln_arena_finish(&a);
}

Test(arena, copies_bytes_and_texts)
{
    struct kiln_arena a = {0};
    char text[] = "softmax";
    const int numbers[] = {3, 1, 4};
    const char *copy = kiln_arena_text(&a, text);
    const int *again = kiln_arena_copy(&a, numbers, sizeof numbers);

    text[0] = 'S';
    cr_expect_str_eq(copy, "softmax");
    cr_expect_arr_eq(again, numbers, sizeof numbers);
    cr_expect_null(kiln_arena_text(&a, NULL));
    cr_expect_not_null(kiln_arena_copy(&a, NULL, 0));
    kiln_arena_finish(&a);
}

Test(arena, is_empty_and_usable_after_it_was_finished)
{
    struct kiln_arena a = {0};

    kiln_arena_finish(&a);
    cr_expect_not_null(kiln_arena_alloc(&a, 1));
    kiln_arena_finish(&a);
    cr_expect_null(a.newest);
    cr_expect_not_null(kiln_arena_alloc(&a, 1));
    kiln_arena_finish(&a);
}
