/* null.c - the null device takes a list within its limits and names what exceeds them. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/lines.h"
#include "support/lists.h"

#define MIB (1u << 20)

static kiln_device *dev;
static struct kiln_buffer *big, *staging;
static struct test_list l;
static kiln_dispatch twice;

static void open_tiny(void)
{
    unsetenv("KILN_SHUFFLE");
    setenv("KILN_LIMITS", "tiny", 1);
    catch_lines();
    cr_assert_eq(kiln_device_open(&dev, &(kiln_device_params){.name = "null"}), KILN_OK);
    cr_assert_eq(kiln_buffer_create(dev, &(struct kiln_buffer_params){.bytes = 8 * MIB, .name = "big"}, &big),
                 KILN_OK);
    cr_assert_eq(kiln_buffer_create(
                     dev,
                     &(struct kiln_buffer_params){.bytes = 4096, .name = "staging", .heap = KILN_HEAP_UPLOAD},
                     &staging),
                 KILN_OK);
    list_buffer(&l, "big", big);
    list_buffer(&l, "staging", staging);
    twice = scale_dispatch(&scale_gpu, 64, 2);
}

static void close_it(void)
{
    kiln_buffer_destroy(dev, &big);
    kiln_buffer_destroy(dev, &staging);
    kiln_device_close(&dev);
}

TestSuite(null, .init = open_tiny, .fini = close_it);

static void expect_refused(kiln_status wanted, const char *reason)
{
    struct kiln_baked *work;

    cr_expect_eq(kiln_bake(dev, &l.list, &work), wanted);
    cr_expect_null(work);
    cr_expect(strstr(lines.newest, reason) && strstr(lines.newest, "segment \"body\", command 0"), "%s",
              lines.newest);
}

Test(null, only_mapped_heaps_have_memory)
{
    cr_expect_null(big->map);
    cr_assert_not_null(staging->map);
    memset(staging->map, 1, 4096);
}

Test(null, a_list_within_the_limits_is_taken_and_runs_nothing)
{
    struct kiln_baked *work;
    kiln_ticket first, second;

    list_copy(&l, span(1, 0, 256), span(0, 0, 256));
    list_barrier(&l);
    list_scale(&l, &twice, span(0, 0, 256), span(0, MIB, 256));
    list_fill(&l, span(1, 0, 256), 7);
    cr_assert_eq(kiln_bake(dev, &l.list, &work), KILN_OK, "%s", lines.newest);
    cr_expect_eq(kiln_submit(dev, &work, 1, &first), KILN_OK);
    cr_expect_eq(kiln_submit(dev, &work, 1, &second), KILN_OK);
    cr_expect_gt(second, first);
    cr_expect_eq(kiln_wait(dev, second), KILN_OK);
    cr_expect_eq(kiln_device_wait(dev), KILN_OK);
    cr_expect_eq(*(int *)staging->map, 0);
    kiln_unbake(dev, &work);
}

Test(null, a_range_beyond_a_binding_is_refused)
{
    list_scale(&l, &twice, span(0, 0, MIB + 4), span(0, 4 * MIB, 256));
    expect_refused(KILN_ERROR_UNSUPPORTED, "binding 0 covers 1048580 bytes, the device binds 1048576");
}

Test(null, a_misaligned_offset_is_refused)
{
    list_scale(&l, &twice, span(0, 0, 256), span(0, 4 * MIB + 128, 256));
    expect_refused(KILN_ERROR_UNSUPPORTED, "binding 1 begins at 4194432, the device wants multiples of 256");
}

Test(null, too_many_groups_on_an_axis_are_refused)
{
    list_scale(&l, &twice, span(0, 0, 256), span(0, 256, 256))->groups[1] = 65;
    expect_refused(KILN_ERROR_UNSUPPORTED, "axis 1 has 65 groups, the device runs 1 to 64");
}

Test(null, a_grid_that_holds_too_few_groups_is_refused)
{
    list_scale(&l, &twice, span(0, 0, 256), span(0, 256, 256))->groups[0] = 63;
    expect_refused(KILN_ERROR_ARGUMENT, "63 x 1 x 1");
}

Test(null, too_wide_a_workgroup_is_refused)
{
    static const kiln_variant wide = {.name = "wide", .lanes = 256};
    twice.variant = &wide;
    list_scale(&l, &twice, span(0, 0, 256), span(0, 256, 256));
    expect_refused(KILN_ERROR_UNSUPPORTED, "256 invocations, the device runs 128");
}

Test(null, a_texel_view_where_there_is_none_is_refused)
{
    static const kiln_variant texels = {.name = "texels", .texels = 1};
    twice.variant = &texels;
    list_scale(&l, &twice, span(0, 0, 256), span(0, 256, 256));
    expect_refused(KILN_ERROR_UNSUPPORTED, "binding 0 reads 64 texels, the device has 0");
}

Test(null, repeats_that_do_not_match_are_refused)
{
    list_end(&l);
    expect_refused(KILN_ERROR_ARGUMENT, "the end of a repeat that never began");
    l.list.count = 0;
    list_repeat(&l, 2);
    expect_refused(KILN_ERROR_ARGUMENT, "1 repeats have no end");
    l.list.count = 0;
    list_repeat(&l, 0);
    list_end(&l);
    expect_refused(KILN_ERROR_ARGUMENT, "a repeat of no turns");
    l.list.count = 0;
    list_repeat(&l, 1)->as.repeat.flag = span(1, 4096, 4);
    list_end(&l);
    expect_refused(KILN_ERROR_ARGUMENT, "leaves the buffer of 4096 bytes");
}

Test(null, groups_that_are_no_three_words_are_refused)
{
    list_scale(&l, &twice, span(0, 0, 256), span(0, 256, 256))->indirect = span(0, 1024, 16);
    expect_refused(KILN_ERROR_ARGUMENT, "its groups are 16 bytes, wanted three words");
}

Test(null, a_range_outside_its_buffer_is_refused)
{
    static const struct kiln_span spans[] = {{1, 4096, 4}, {1, 4000, 100}, {1, UINT64_MAX - 3, 8}};

    for (int i = 0; i < 3; i++) {
        l.list.count = 0;
        list_fill(&l, spans[i], 0);
        expect_refused(KILN_ERROR_ARGUMENT, "leaves the buffer of 4096 bytes");
    }
}

Test(null, a_buffer_that_is_none_of_the_lists_is_refused)
{
    list_fill(&l, span(2, 0, 4), 0);
    expect_refused(KILN_ERROR_ARGUMENT, "buffer 2 is none of the list's 2");
}

Test(null, copies_that_do_not_fit_are_refused)
{
    static const struct {
        struct kiln_span from, to;
        const char *reason;
    } cases[] = {
        {{1, 0, 256}, {0, 0, 128}, "it copies 256 bytes to 128"},
        {{1, 0, 255}, {0, 0, 255}, "2-byte elements"},
        {{1, 0, 256}, {1, 128, 256}, "onto itself"},
        {{1, 0, 0}, {0, 0, 0}, "is empty"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        l.list.count = 0;
        list_copy(&l, cases[i].from, cases[i].to);
        expect_refused(KILN_ERROR_ARGUMENT, cases[i].reason);
    }
}

Test(null, a_dispatch_without_code_or_work_is_refused)
{
    list_scale(&l, &twice, span(0, 0, 256), span(0, 256, 256))->count = 0;
    expect_refused(KILN_ERROR_ARGUMENT, "no groups");
    twice.variant = NULL;
    expect_refused(KILN_ERROR_ARGUMENT, "without kernel or variant");
}
