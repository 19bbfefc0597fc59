/* hash.c - FNV-1a against its published values. */
#include <criterion/criterion.h>

#include "base/hash.h"

Test(hash, gives_the_published_values)
{
    cr_expect_eq(kiln_hash_text(""), UINT64_C(0xcbf29ce484222325));
    cr_expect_eq(kiln_hash_text("a"), UINT64_C(0xaf63dc4c8601ec8c));
    cr_expect_eq(kiln_hash_text("foobar"), UINT64_C(0x85944171f73967e8));
}

Test(hash, of_a_whole_is_that_of_its_parts_in_a_row)
{
    cr_expect_eq(kiln_hash(kiln_hash_text("foo"), "bar", 3), kiln_hash_text("foobar"));
}
