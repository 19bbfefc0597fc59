/* commands.c - lists on Vulkan: every command, bindings of every kind, submissions, tickets, threads. */
#include <pthread.h>

#include "vulkan/probes.h"

static const uint32_t texels_words[] =
#include "vulkan/scale_texels.inc"
    ;
static const uint32_t quads_words[] =
#include "vulkan/scale_quads.inc"
    ;
static const uint32_t table_words[] =
#include "vulkan/table.inc"
    ;
static const kiln_spirv texels_spirv = {texels_words, sizeof texels_words / 4};
static const kiln_spirv quads_spirv = {quads_words, sizeof quads_words / 4};
static const kiln_spirv table_spirv = {table_words, sizeof table_words / 4};

struct table_block {
    uint32_t table[32], count, pad[3];
};

static const kiln_kernel table_kernel = {
    .name = "table",
    .block_size = sizeof(struct table_block),
    .bindings = 2,
    .access = {KILN_READ, KILN_WRITE},
    .units = scale_units,
};
static const kiln_variant table_probe = {.name = "probe", .spirv = &table_spirv};

TestSuite(vulkan_commands, .timeout = 60);

Test(vulkan_commands, a_list_runs_as_often_as_wanted)
{
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        const kiln_dispatch twice = scale_dispatch(&scale_probe, COUNT, 2);
        rig_frame(&r, &l, &twice);
        struct kiln_baked *work = rig_bake(&r, &l);
        for (int run = 0; run < 3; run++) {
            rig_write(&r);
            memset(r.readback->map, 0xff, BYTES);
            rig_run(&r, work);
            rig_expect(&r, 2, "a run");
        }
        kiln_unbake(r.dev, &work);
    }
}

/* x doubles five times, in turns of turns; those that take their groups from memory do so only if they say some. */
static void expect_turns(struct rig *r, uint32_t groups, double slice)
{
    const kiln_dispatch twice = scale_dispatch(&scale_probe, COUNT, 2),
                        once = scale_dispatch(&scale_probe, COUNT, 1);
    struct test_list l;
    r->dev->caps.slice = slice;
    rig_list(r, &l);
    list_copy(&l, span(UPLOAD, 0, BYTES), span(X, 0, BYTES));
    list_fill(&l, span(Y, 32768, 4), groups);
    list_fill(&l, span(Y, 32772, 8), 1);
    list_repeat(&l, 2);
    list_repeat(&l, 2);
    one_axis(list_scale(&l, &twice, span(X, 0, BYTES), span(Y, 0, BYTES)));
    list_barrier(&l);
    list_copy(&l, span(Y, 0, BYTES), span(X, 0, BYTES));
    list_end(&l);
    list_end(&l);
    list_repeat(&l, 1);
    one_axis(list_scale(&l, &once, span(X, 0, BYTES), span(Y, 0, BYTES)));
    list_end(&l);
    struct kiln_dispatch_command *c = list_scale(&l, &twice, span(X, 0, BYTES), span(Y, 0, BYTES));
    one_axis(c);
    c->indirect = span(Y, 32768, 12);
    list_barrier(&l);
    list_copy(&l, span(Y, 0, BYTES), span(READBACK, 0, BYTES));
    struct kiln_baked *work = rig_bake(r, &l);
    for (int again = 0; again < 2; again++) {
        rig_write(r);
        rig_run(r, work);
        rig_expect(r, groups ? 32 : 16, "turns");
    }
    kiln_unbake(r->dev, &work);
}

Test(vulkan_commands, what_is_repeated_runs_in_turns)
{
    struct rig r;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        const double slice = r.dev->caps.slice;
        expect_turns(&r, GROUPS, slice);
        expect_turns(&r, 0, slice);
        expect_turns(&r, GROUPS, 1e-9); /* a submission a piece */
    }
}

Test(vulkan_commands, a_list_may_end_with_a_repeat)
{
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        rig_list(&r, &l);
        list_repeat(&l, 3);
        list_copy(&l, span(UPLOAD, 0, BYTES), span(READBACK, 0, BYTES));
        list_end(&l);
        rig_write(&r);
        rig_do(&r, &l);
        rig_expect(&r, 1, "copied thrice");
    }
}

Test(vulkan_commands, fills_and_copies_touch_their_range_only)
{
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        uint32_t *y = r.readback->map;
        rig_list(&r, &l);
        list_fill(&l, span(X, 0, 64), 1);
        list_fill(&l, span(X, 64, 8), 2);
        list_barrier(&l);
        list_fill(&l, span(X, 4, 4), 3);
        list_barrier(&l);
        list_copy(&l, span(X, 0, 72), span(READBACK, 400, 72));
        list_fill(&l, span(READBACK, 472, 4), 9);
        list_fill(&l, span(READBACK, 396, 4), 8);
        rig_do(&r, &l);
        cr_expect_eq(y[99], 8);
        cr_expect_eq(y[100], 1);
        cr_expect_eq(y[101], 3);
        cr_expect_eq(y[102], 1);
        cr_expect_eq(y[116], 2);
        cr_expect_eq(y[117], 2);
        cr_expect_eq(y[118], 9);
    }
}

Test(vulkan_commands, lists_of_one_submission_follow_each_other)
{
    struct rig r;
    struct test_list in, body, out;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        const kiln_dispatch thrice = scale_dispatch(&scale_probe, COUNT, 3);
        struct kiln_baked *work[4];
        kiln_ticket ticket = 0, last = 0;
        rig_list(&r, &in);
        list_copy(&in, span(UPLOAD, 0, BYTES), span(X, 0, BYTES));
        rig_list(&r, &body);
        one_axis(list_scale(&body, &thrice, span(X, 0, BYTES), span(X, 0, BYTES)));
        rig_list(&r, &out);
        list_copy(&out, span(X, 0, BYTES), span(READBACK, 0, BYTES));
        rig_write(&r);
        work[0] = rig_bake(&r, &in);
        work[1] = work[2] = rig_bake(&r, &body);
        work[3] = rig_bake(&r, &out);
        for (int i = 0; i < 40; i++) { /* more than there are fences */
            cr_assert_eq(kiln_submit(r.dev, work, 4, &ticket), KILN_OK);
            cr_assert_gt(ticket, last);
            last = ticket;
        }
        cr_expect_eq(kiln_wait(r.dev, ticket), KILN_OK);
        cr_expect_eq(kiln_wait(r.dev, 1), KILN_OK, "a ticket may be waited for twice, and late");
        rig_expect(&r, 9, "four lists in a row");
        cr_expect_eq(kiln_wait(r.dev, ticket + 1), KILN_ERROR_ARGUMENT);
        kiln_unbake(r.dev, &work[0]);
        kiln_unbake(r.dev, &work[1]);
        kiln_unbake(r.dev, &work[3]);
    }
}

Test(vulkan_commands, operands_are_read_as_texels)
{
    static const kiln_variant variants[] = {
        {.name = "texels", .spirv = &texels_spirv, .texels = 1},
        {.name = "quads", .spirv = &quads_spirv, .texels = 1, .fours = 1},
    };
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        for (int i = 0; i < 2; i++) {
            const kiln_dispatch d = scale_dispatch(&variants[i], COUNT, 5);
            if (r.dev->caps.max_texels < COUNT)
                continue;
            rig_write(&r);
            rig_frame(&r, &l, &d);
            rig_do(&r, &l);
            rig_expect(&r, 5, variants[i].name);
        }
    }
}

Test(vulkan_commands, large_blocks_are_uniform_and_unbound_operands_harmless)
{
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        for (uint32_t biased = 0; biased < 2; biased++) {
            kiln_dispatch d = {
                .kernel = &table_kernel, .variant = &table_probe, .constants = {biased}, .constant_count = 1};
            struct table_block block = {.count = COUNT};
            const uint32_t *y = r.readback->map;
            for (uint32_t i = 0; i < 32; i++)
                block.table[i] = 1000 + i;
            d.block_size = sizeof block;
            memcpy(d.block.bytes, &block, sizeof block);
            for (uint32_t i = 0; i < COUNT; i++)
                ((uint32_t *)r.upload->map)[i] = 7;
            struct kiln_dispatch_command *c = rig_frame(&r, &l, &d);
            if (!biased)
                c->bind[0] = span(-1, 0, 0);
            rig_do(&r, &l);
            for (uint32_t i = 0; i < COUNT; i++)
                cr_assert_eq(y[i], 1000 + i % 32 + 7 * biased);
        }
    }
}

Test(vulkan_commands, grids_fold_and_begin_anywhere)
{
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        const kiln_dispatch twice = scale_dispatch(&scale_probe, COUNT, 2);
        rig_write(&r);
        struct kiln_dispatch_command *c = rig_frame(&r, &l, &twice);
        c->count = 5; /* groups 0 .. 4 of 3 x 2 x 1 */
        memcpy(c->groups, (uint32_t[]){3, 2, 1}, sizeof c->groups);
        struct kiln_command *last = &l.command[--l.list.count - 1];
        struct kiln_dispatch_command *rest = list_scale(&l, &twice, span(X, 0, BYTES), span(Y, 0, BYTES));
        *last = (struct kiln_command){.kind = KILN_COMMAND_BARRIER};
        rest->first = 5; /* and the others, of 2 x 3 x 2 */
        rest->count = GROUPS - 5;
        memcpy(rest->groups, (uint32_t[]){2, 3, 2}, sizeof rest->groups);
        list_barrier(&l);
        list_copy(&l, span(Y, 0, BYTES), span(READBACK, 0, BYTES));
        rig_do(&r, &l);
        rig_expect(&r, 2, "a folded grid");
    }
}

Test(vulkan_commands, long_lists_are_cut_by_time)
{
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        const kiln_dispatch negate = scale_dispatch(&scale_probe, COUNT, -1);
        rig_list(&r, &l);
        list_copy(&l, span(UPLOAD, 0, BYTES), span(X, 0, BYTES));
        for (int i = 0; i < 20; i++) {
            list_barrier(&l);
            struct kiln_dispatch_command *c = list_scale(&l, &negate, span(X, 0, BYTES), span(X, 0, BYTES));
            one_axis(c);
            c->flops = 1e9;
        }
        list_barrier(&l);
        list_copy(&l, span(X, 0, BYTES), span(READBACK, 0, BYTES));
        rig_write(&r);
        struct kiln_baked *work = rig_bake(&r, &l);
        cr_expect_gt(kiln_vk_pieces(work), r.dev->caps.software ? 18 : 2);
        const kiln_ticket before = ((struct vk_device *)r.dev)->queue.issued;
        rig_run(&r, work);
        cr_expect_gt(((struct vk_device *)r.dev)->queue.issued, before + 1, "several submissions");
        rig_expect(&r, 1, "twenty changes of sign");
        kiln_unbake(r.dev, &work);
    }
}

Test(vulkan_commands, commands_are_timed_where_profiling_is_on)
{
    struct rig r;
    struct test_list l;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        const kiln_dispatch twice = scale_dispatch(&scale_probe, COUNT, 2);
        double begin, end;
        rig_frame(&r, &l, &twice);
        r.dev->profile = true;
        struct kiln_baked *work = rig_bake(&r, &l);
        cr_expect_not(r.dev->ops->time(r.dev, work, 2, &begin, &end), "it has not run");
        rig_write(&r);
        rig_run(&r, work);
        cr_expect_eq(r.dev->ops->time(r.dev, work, 2, &begin, &end), r.dev->caps.timestamps);
        cr_expect(!r.dev->caps.timestamps || (end >= begin && end - begin < 10), "%g s", end - begin);
        cr_expect_not(r.dev->ops->time(r.dev, work, l.list.count, &begin, &end));
        kiln_unbake(r.dev, &work);
    }
}

/* Threads ------------------------------------------------------------------------------------------------ */

struct hand {
    struct rig rig;
    float factor;
    bool wrong;
};

static void *work_alone(void *user)
{
    struct hand *h = user;
    const kiln_dispatch d = scale_dispatch(&scale_probe, COUNT, h->factor);
    struct test_list l;
    rig_frame(&h->rig, &l, &d);
    struct kiln_baked *work = rig_bake(&h->rig, &l);
    rig_write(&h->rig);
    for (int run = 0; run < 20; run++) {
        memset(h->rig.readback->map, 0, BYTES);
        rig_run(&h->rig, work);
        h->wrong |= ((const float *)h->rig.readback->map)[COUNT - 1] != h->factor * (COUNT - 1);
    }
    kiln_unbake(h->rig.dev, &work);
    return NULL;
}

Test(vulkan_commands, threads_share_a_device)
{
    struct rig r;
    for (int at = 0; rig_open(&r, at); rig_close(&r), at++) {
        struct hand hands[4];
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) {
            hands[i] = (struct hand){.rig = {.dev = r.dev}, .factor = (float)(i + 2)};
            struct kiln_buffer **buffers[] = {&hands[i].rig.upload, &hands[i].rig.x, &hands[i].rig.y,
                                              &hands[i].rig.readback};
            static const enum kiln_heap heaps[] = {KILN_HEAP_UPLOAD, KILN_HEAP_DEVICE, KILN_HEAP_DEVICE,
                                                   KILN_HEAP_READBACK};
            for (int b = 0; b < 4; b++)
                *buffers[b] = rig_buffer(r.dev, ROOM, heaps[b]);
            cr_assert_eq(pthread_create(&threads[i], NULL, work_alone, &hands[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            cr_expect_not(hands[i].wrong);
            kiln_buffer_destroy(r.dev, &hands[i].rig.upload);
            kiln_buffer_destroy(r.dev, &hands[i].rig.x);
            kiln_buffer_destroy(r.dev, &hands[i].rig.y);
            kiln_buffer_destroy(r.dev, &hands[i].rig.readback);
        }
    }
}
