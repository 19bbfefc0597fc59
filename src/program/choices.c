/* choices.c - which choices of a tuner a program uses, as text, and such a text instead of the device's choices. */
#include <stdlib.h>
#include <string.h>

#include <kiln/tune.h>

#include "base/log.h"
#include "base/text.h"
#include "program/program.h"

char *kiln_program_choices(const kiln_program *p)
{
    struct kiln_text text = {0};
    if (p->choices)
        kiln_choices_print(p->choices, false, &text);
    char *copy = text.failed ? NULL : strdup(kiln_text_get(&text));
    kiln_text_finish(&text);
    if (!copy)
        kiln_program_no_memory();
    return copy;
}

kiln_status kiln_program_choose(kiln_program *p, const char *choices)
{
    struct kiln_choices *own = kiln_choices_create();
    if (!own)
        return kiln_program_no_memory();
    if (!kiln_choices_parse(own, choices, strlen(choices))) {
        kiln_choices_destroy(&own);
        return kiln_fail(KILN_ERROR_ARGUMENT, "program: \"%.40s\" is no list of choices", choices);
    }
    kiln_program_forget(p);
    kiln_choices_destroy(&p->own_choices);
    p->own_choices = own;
    p->choices = own;
    return KILN_OK;
}
