/* vec.c - growable arrays. */
#include <limits.h>
#include <stdint.h>

#include <criterion/criterion.h>

#include "base/vec.h"

struct point {
    int x, y;
};

Test(vec, keeps_what_is_pushed_in_order)
{
    KILN_VEC(int) v = {0};

    for (int i = 0; i < 10000; i++)
        cr_assert(kiln_vec_push(&v, i * 3));
    cr_expect_eq(v.count, 10000);
    cr_expect_geq(v.capacity, v.count);
    for (int i = 0; i < v.count; i++)
        cr_assert_eq(v.data[i], i * 3);
    kiln_vec_finish(&v);
    cr_expect(!v.data && v.count == 0 && v.capacity == 0);
}

Test(vec, takes_compound_literals_with_commas)
{
    KILN_VEC(struct point) v = {0};

    cr_assert(kiln_vec_push(&v, (struct point){.x = 1, .y = 2}));
    cr_expect(v.data[0].x == 1 && v.data[0].y == 2);
    kiln_vec_finish(&v);
}

Test(vec, pops_the_last_item)
{
    KILN_VEC(char) v = {0};

    cr_assert(kiln_vec_push(&v, 'a') && kiln_vec_push(&v, 'b'));
    kiln_vec_pop(&v);
    cr_expect(v.count == 1 && v.data[0] == 'a');
    kiln_vec_finish(&v);
}

Test(vec, does_not_move_within_what_was_reserved)
{
    KILN_VEC(int) v = {0};
    const int *before;

    cr_assert(kiln_vec_reserve(&v, 100));
    before = v.data;
    for (int i = 0; i < 100; i++)
        cr_assert(kiln_vec_push(&v, i));
    cr_expect_eq(v.data, before);
    cr_expect(kiln_vec_reserve(&v, 3) && v.capacity == 100);
    kiln_vec_finish(&v);
}

Test(vec, keeps_its_items_when_it_cannot_grow)
{
    int capacity = 1;
    char one = 'x';

    cr_expect_eq(kiln_vec_grow(&one, &capacity, INT_MAX, SIZE_MAX / 2), &one);
    cr_expect_eq(capacity, 1);
}
