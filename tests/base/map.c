/* map.c - names to numbers. */
#include <stdio.h>

#include <criterion/criterion.h>

#include "base/map.h"

Test(map, finds_nothing_in_an_empty_one)
{
    struct kiln_map m = {0};
    cr_expect_eq(kiln_map_find(&m, "weight"), -1);
    kiln_map_finish(&m);
}

Test(map, finds_each_of_many_names_and_no_other)
{
    struct kiln_map m = {0};
    char key[32];

    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "layer%d.weight", i);
        cr_assert(kiln_map_put(&m, key, i));
    }
    cr_expect_eq(m.count, 5000);
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof key, "layer%d.weight", i);
        cr_assert_eq(kiln_map_find(&m, key), i < 5000 ? i : -1, "%s", key);
    }
    kiln_map_finish(&m);
}

Test(map, gives_a_known_name_its_new_value)
{
    struct kiln_map m = {0};

    cr_assert(kiln_map_put(&m, "loss", 1) && kiln_map_put(&m, "loss", 2));
    cr_expect_eq(kiln_map_find(&m, "loss"), 2);
    cr_expect_eq(m.count, 1);
    kiln_map_finish(&m);
}

Test(map, keeps_its_own_copy_of_a_name)
{
    struct kiln_map m = {0};
    char key[] = "gate";

    cr_assert(kiln_map_put(&m, key, 0));
    key[0] = 'l';
    cr_expect_eq(kiln_map_find(&m, "gate"), 0);
    cr_expect_eq(kiln_map_find(&m, "late"), -1);
    cr_expect_eq(kiln_map_find(&m, ""), -1);
    kiln_map_finish(&m);
}
