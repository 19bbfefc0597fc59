/* print.c - the text of a command list. */
#include <criterion/criterion.h>

#include "base/text.h"
#include "recorder/print.h"
#include "support/lists.h"

static void collect(void *user, const char *line)
{
    kiln_text_add(user, "%s", line);
}

Test(print, every_command_is_a_line)
{
    struct test_list l = {0};
    struct kiln_text text = {0};
    const kiln_dispatch cpu = scale_dispatch(&kiln_cpu_reference, 64, 0.1f);
    const kiln_dispatch gpu = scale_dispatch(&scale_gpu, 64, 0.1f);
    const int x = list_buffer(&l, "input.x", NULL), scratch = list_buffer(&l, "scratch", NULL);
    struct kiln_dispatch_command *c;

    list_fill(&l, span(scratch, 0, 256), 0x7fc00000);
    list_copy(&l, span(x, 0, 256), span(scratch, 256, 256));
    list_barrier(&l);
    list_scale(&l, &cpu, span(scratch, 256, 256), span(scratch, 512, 256));
    c = list_scale(&l, &gpu, span(x, 0, 256), span(-1, 0, 0));
    c->first = 24;
    c->count = 40;
    c->scratch = span(scratch, 1024, 64);
    kiln_commands_print(&l.list, collect, &text);
    cr_expect_str_eq(
        kiln_text_get(&text),
        "body: 2 dispatches, 1 copy, 1 fill, 1 barrier\n"
        "0 fill scratch+0:256 with 0x7fc00000 ; fill\n"
        "1 copy input.x+0:256 to scratch+256:256 ; copy\n"
        "2 barrier\n"
        "3 dispatch scale [reference] units 64 in scratch+256:256 out scratch+512:256 ; scale\n"
        "4 dispatch scale [plain] groups 40 from 24 in input.x+0:256 using scratch+1024:64 ; scale\n");
    kiln_text_finish(&text);
}

Test(print, what_is_repeated_is_indented)
{
    struct test_list l = {0};
    struct kiln_text text = {0};
    const kiln_dispatch gpu = scale_dispatch(&scale_gpu, 64, 0.1f);

    list_buffer(&l, "scratch", NULL);
    list_repeat(&l, 7)->as.repeat.flag = span(0, 0, 4);
    list_scale(&l, &gpu, span(0, 256, 256), span(0, 512, 256))->indirect = span(0, 16, 12);
    list_repeat(&l, 3);
    list_fill(&l, span(0, 768, 4), 0);
    list_end(&l);
    list_end(&l);
    kiln_commands_print(&l.list, collect, &text);
    cr_expect_str_eq(
        kiln_text_get(&text),
        "body: 1 dispatch, 0 copies, 1 fill, 0 barriers, 2 repeats\n"
        "0 repeat 7 while scratch+0:4 ; repeat\n"
        "1   dispatch_indirect scale [plain] groups 64 in scratch+256:256 out scratch+512:256 as many as "
        "scratch+16:12 ; scale\n"
        "2   repeat 3 ; repeat\n"
        "3     fill scratch+768:4 with 0x00000000 ; fill\n"
        "4   end\n"
        "5 end\n");
    kiln_text_finish(&text);
}

Test(print, buffers_without_names_are_numbered)
{
    struct test_list l = {0};
    struct kiln_text text = {0};

    list_fill(&l, span(3, 0, 4), 0);
    kiln_commands_print(&l.list, collect, &text);
    cr_expect(strstr(kiln_text_get(&text), "0 fill buffer3+0:4 with 0x00000000"));
    kiln_text_finish(&text);
}
