/* caps.c - KILN_LIMITS: what each part lowers, and what is refused. */
#include <criterion/criterion.h>

#include "base/lines.h"
#include "device/caps.h"

static const struct kiln_caps wide = {
    .backend = KILN_BACKEND_NULL,
    .max_binding = (uint64_t)4 << 30,
    .max_allocation = (uint64_t)4 << 30,
    .max_texels = 1 << 27,
    .alignment = 16,
    .max_groups = 1u << 31,
    .max_invocations = 1024,
    .max_shared = 65536,
    .max_bindings = 32,
    .subgroup = 32,
    .slice = 0.005,
    .subgroup_ops = 127,
    .storage16 = true,
    .storage8 = true,
    .half = true,
    .int64 = true,
    .dot = true,
    .nan = true,
    .timestamps = true,
};

Test(caps, no_text_changes_nothing)
{
    struct kiln_caps caps = wide;

    cr_assert_eq(kiln_caps_limit(&caps, NULL), KILN_OK);
    cr_assert_eq(kiln_caps_limit(&caps, ""), KILN_OK);
    cr_expect_eq(caps.max_binding, wide.max_binding);
    cr_expect_eq(caps.subgroup, 32);
}

Test(caps, floor_hides_every_option_and_lowers_every_limit)
{
    struct kiln_caps caps = wide;

    cr_assert_eq(kiln_caps_limit(&caps, "floor"), KILN_OK);
    cr_expect_eq(caps.max_binding, 128 << 20);
    cr_expect_eq(caps.max_allocation, 1 << 30);
    cr_expect_eq(caps.max_texels, 65536);
    cr_expect_eq(caps.alignment, 256);
    cr_expect_eq(caps.max_groups, 65535);
    cr_expect_eq(caps.max_invocations, 128);
    cr_expect_eq(caps.max_shared, 16384);
    cr_expect_eq(caps.max_bindings, 8);
    cr_expect_eq(caps.subgroup, 0);
    cr_expect_eq(caps.slice, wide.slice);
    cr_expect_eq(caps.subgroup_ops, 0);
    cr_expect_not(caps.storage16 || caps.storage8 || caps.half || caps.int64 || caps.dot || caps.nan ||
                  caps.timestamps);
}

Test(caps, a_mask_hides_what_it_names)
{
    struct kiln_caps caps = wide;

    cr_assert_eq(kiln_caps_mask(&caps, "KILN_MASK", "half, dot\tsubgroup\n"), KILN_OK);
    cr_expect_not(caps.half || caps.dot || caps.subgroup || caps.subgroup_ops);
    cr_expect(caps.storage16 && caps.storage8 && caps.timestamps);
    cr_assert_eq(kiln_caps_mask(&caps, "KILN_MASK", NULL), KILN_OK);
    cr_assert_eq(kiln_caps_mask(&caps, "KILN_MASK", " , "), KILN_OK);
    cr_expect(caps.storage16);
}

Test(caps, a_mask_of_what_is_no_feature_is_refused_by_name)
{
    struct kiln_caps caps = wide;

    catch_lines();
    cr_expect_eq(kiln_caps_mask(&caps, "KILN_MASK", "half,hlaf"), KILN_ERROR_ARGUMENT);
    cr_expect(strstr(lines.newest, "KILN_MASK") && strstr(lines.newest, "\"hlaf\""), "%s", lines.newest);
}

Test(caps, tiny_is_below_any_device)
{
    struct kiln_caps caps = wide;

    cr_assert_eq(kiln_caps_limit(&caps, "tiny"), KILN_OK);
    cr_expect_eq(caps.max_binding, 1 << 20);
    cr_expect_eq(caps.max_groups, 64);
    cr_expect_eq(caps.max_texels, 0);
    cr_expect_float_eq(caps.slice, 1e-4, 1e-12);
    cr_expect_eq(caps.max_shared, 16384);
}

Test(caps, pairs_add_to_a_profile_and_raise_nothing)
{
    struct kiln_caps caps = wide;

    cr_assert_eq(kiln_caps_limit(&caps, "floor,max_groups=100,max_shared=1G,slice_us=50,max_binding=2M"),
                 KILN_OK);
    cr_expect_eq(caps.max_groups, 100);
    cr_expect_eq(caps.max_shared, 16384);
    cr_expect_eq(caps.max_binding, 2 << 20);
    cr_expect_float_eq(caps.slice, 5e-5, 1e-12);
}

Test(caps, a_software_driver_can_pass_for_a_gpu)
{
    struct kiln_caps caps = wide;

    caps.software = true;
    cr_assert_eq(kiln_caps_limit(&caps, "gpu,max_groups=100"), KILN_OK);
    cr_expect(caps.unrolls && !caps.software);
    cr_expect_eq(caps.max_groups, 100);
    cr_expect_eq(caps.max_shared, wide.max_shared);
}

Test(caps, memory_bounds_what_was_unknown)
{
    struct kiln_caps caps = wide;

    cr_assert_eq(kiln_caps_limit(&caps, "memory=64K"), KILN_OK);
    cr_expect_eq(caps.memory, 65536);
    cr_expect_eq(caps.budget, 65536);
}

Test(caps, what_is_not_understood_is_named)
{
    static const struct {
        const char *text, *named;
    } cases[] = {
        {"flor", "flor"},
        {"floor,max_bindingz=4", "max_bindingz=4"},
        {"max_groups=", "max_groups="},
        {"max_groups=-4", "max_groups=-4"},
        {"max_groups=4x", "max_groups=4x"},
        {"max_groups=0", "max_groups=0"},
        {"max_binding=99999999999G", "max_binding=99999999999G"},
        {"a_name_that_is_longer_than_any_limit_could_ever_be_in_this_world_of_ours=1", "a_name_that_is"},
    };

    catch_lines();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kiln_caps caps = wide;
        cr_expect_eq(kiln_caps_limit(&caps, cases[i].text), KILN_ERROR_ARGUMENT, "%s", cases[i].text);
        cr_expect(strstr(lines.newest, cases[i].named), "%s: %s", cases[i].text, lines.newest);
    }
}
