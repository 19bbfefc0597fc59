/* hazard.c - a missing barrier is found and named, and no barrier is asked for that is not needed. */
#include <criterion/criterion.h>

#include "base/lines.h"
#include "base/rng.h"
#include "recorder/hazard.h"
#include "support/lists.h"

static struct test_list l;
static kiln_dispatch a, b;

static void prepare(void)
{
    catch_lines();
    list_buffer(&l, "weights", NULL);
    list_buffer(&l, "scratch", NULL);
    a = scale_dispatch(&kiln_cpu_reference, 64, 1);
    b = a;
}

TestSuite(hazard, .init = prepare);

static void expect_hazard(const char *words)
{
    cr_expect_eq(kiln_hazard_check(&l.list), KILN_ERROR_DEVICE);
    cr_expect(strstr(lines.newest, words), "%s", lines.newest);
}

Test(hazard, an_empty_list_has_none)
{
    cr_expect_eq(kiln_hazard_check(&l.list), KILN_OK);
}

Test(hazard, a_dropped_barrier_is_found_and_named)
{
    list_fill(&l, span(0, 0, 256), 0);
    list_barrier(&l);
    list_scale(&l, &a, span(0, 0, 256), span(1, 0, 256));
    list_barrier(&l);
    list_scale(&l, &b, span(1, 128, 256), span(1, 512, 256));
    cr_expect_eq(kiln_hazard_check(&l.list), KILN_OK, "%s", lines.newest);

    l.command[3].kind = KILN_COMMAND_FILL; /* something else in the barrier's place */
    l.command[3].as.fill.to = span(0, 1024, 4);
    expect_hazard("no barrier between command 2 (scale), which writes, and command 4 (scale), which reads "
                  "scratch+128:128");
}

Test(hazard, reads_of_the_same_bytes_need_no_barrier)
{
    list_scale(&l, &a, span(0, 0, 256), span(1, 0, 256));
    list_scale(&l, &b, span(0, 0, 256), span(1, 256, 256));
    list_copy(&l, span(0, 128, 256), span(1, 512, 256));
    cr_expect_eq(kiln_hazard_check(&l.list), KILN_OK, "%s", lines.newest);
}

Test(hazard, a_write_over_what_is_read_is_found)
{
    list_scale(&l, &a, span(0, 0, 1024), span(1, 0, 256));
    list_copy(&l, span(1, 4096, 64), span(0, 960, 64));
    expect_hazard("command 0 (scale), which reads, and command 1 (copy), which writes weights+960:64");
}

Test(hazard, two_writes_are_found)
{
    list_fill(&l, span(0, 0, 64), 0);
    list_fill(&l, span(0, 60, 64), 0);
    expect_hazard("weights+60:4");
}

Test(hazard, neighbours_do_not_overlap)
{
    list_fill(&l, span(0, 0, 64), 0);
    list_fill(&l, span(0, 64, 64), 0);
    list_fill(&l, span(1, 0, 128), 0);
    cr_expect_eq(kiln_hazard_check(&l.list), KILN_OK, "%s", lines.newest);
}

Test(hazard, a_command_may_work_in_place)
{
    list_scale(&l, &a, span(0, 0, 256), span(0, 0, 256));
    cr_expect_eq(kiln_hazard_check(&l.list), KILN_OK, "%s", lines.newest);
}

Test(hazard, a_hazard_behind_a_commands_own_longer_range_is_found)
{
    list_scale(&l, &a, span(0, 0, 4096), span(0, 0, 4096));
    list_scale(&l, &b, span(0, 256, 64), span(1, 0, 64));
    expect_hazard("weights+256:64");
}

Test(hazard, parts_of_one_dispatch_are_one_work)
{
    list_scale(&l, &a, span(0, 0, 256), span(1, 0, 256))->count = 32;
    list_scale(&l, &a, span(0, 0, 256), span(1, 0, 256))->first = 32;
    cr_expect_eq(kiln_hazard_check(&l.list), KILN_OK, "%s", lines.newest);
    list_scale(&l, &b, span(0, 0, 256), span(1, 0, 256));
    expect_hazard("scratch+0:256");
}

Test(hazard, scratch_is_read_and_written)
{
    list_scale(&l, &a, span(0, 0, 256), span(1, 0, 256))->scratch = span(1, 1024, 256);
    list_scale(&l, &b, span(0, 0, 256), span(1, 256, 256))->scratch = span(1, 1024, 256);
    expect_hazard("scratch+1024:256");
}

Test(hazard, the_ends_of_a_repeat_are_barriers)
{
    list_fill(&l, span(0, 0, 256), 0);
    list_repeat(&l, 3);
    list_scale(&l, &a, span(0, 0, 256), span(1, 0, 256));
    list_barrier(&l);
    list_scale(&l, &b, span(1, 0, 256), span(0, 0, 256)); /* the next turn reads it */
    list_end(&l);
    list_copy(&l, span(0, 0, 256), span(1, 256, 256));
    cr_expect_eq(kiln_hazard_check(&l.list), KILN_OK, "%s", lines.newest);
}

Test(hazard, a_dropped_barrier_within_a_repeat_is_found)
{
    list_repeat(&l, 3);
    list_scale(&l, &a, span(0, 0, 256), span(1, 0, 256));
    list_repeat(&l, 2);
    list_scale(&l, &a, span(1, 0, 256), span(1, 256, 256));
    list_scale(&l, &b, span(1, 256, 256), span(0, 0, 256));
    list_end(&l);
    list_end(&l);
    expect_hazard(
        "no barrier between command 3 (scale), which writes, and command 4 (scale), which reads scratch+256:256");
}

Test(hazard, groups_that_lie_in_memory_are_read)
{
    list_fill(&l, span(1, 512, 12), 1);
    list_scale(&l, &a, span(0, 0, 256), span(1, 0, 256))->indirect = span(1, 512, 12);
    expect_hazard("scratch+512:12");
}

Test(hazard, one_buffer_under_two_names_is_one_buffer)
{
    struct kiln_buffer shared = {.bytes = 4096};

    l.buffer[0] = l.buffer[1] = &shared;
    list_fill(&l, span(0, 0, 64), 0);
    list_fill(&l, span(1, 0, 64), 0);
    expect_hazard("no barrier");
}

/* Whether any two commands of a list without barriers clash, by looking at every pair. */
static bool clashes(const struct test_list *list)
{
    for (int i = 0; i < list->list.count; i++)
        for (int j = i + 1; j < list->list.count; j++)
            for (int x = 0; x < 2; x++)
                for (int y = 0; y < 2; y++) {
                    const struct kiln_span *p = &list->command[i].as.dispatch.bind[x];
                    const struct kiln_span *q = &list->command[j].as.dispatch.bind[y];
                    if ((x || y) && p->buffer == q->buffer && p->offset < q->offset + q->bytes &&
                        q->offset < p->offset + p->bytes)
                        return true;
                }
    return false;
}

Test(hazard, the_sweep_agrees_with_looking_at_every_pair)
{
    struct kiln_rng rng;
    kiln_dispatch d[4];
    int found = 0;

    kiln_rng_init(&rng, 1, 1);
    for (int i = 0; i < 4; i++)
        d[i] = a;
    for (int trial = 0; trial < 5000; trial++) {
        l.list.count = 0;
        for (int i = 0; i < 4; i++) {
            struct kiln_span s[2];
            for (int k = 0; k < 2; k++)
                s[k] = span((int)kiln_rng_below(&rng, 2), kiln_rng_below(&rng, 60),
                            1 + kiln_rng_below(&rng, 12));
            list_scale(&l, &d[i], s[0], s[1]);
        }
        cr_assert_eq(kiln_hazard_check(&l.list) != KILN_OK, clashes(&l), "trial %d", trial);
        found += clashes(&l);
    }
    cr_expect(found > 500 && found < 4500, "%d", found);
}
