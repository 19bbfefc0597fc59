/* choices.c - any bytes as a tuner's choices: read or refused; what is read is read back as it is printed. */
#include "device/choices.h"
#include "base/text.h"

#include "fuzz/fuzz.h"

static void print(const struct kiln_choices *choices, struct kiln_text *to)
{
    kiln_choices_print(choices, false, to);
    if (to->failed)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kiln_choices *choices = kiln_choices_create(), *again = kiln_choices_create();
    struct kiln_text first = {0}, second = {0};

    be_silent();
    if (kiln_choices_parse(choices, (const char *)data, size)) {
        print(choices, &first);
        if (!kiln_choices_parse(again, kiln_text_get(&first), first.count))
            abort();
        print(again, &second);
        if (first.count != second.count || strcmp(kiln_text_get(&first), kiln_text_get(&second)) != 0)
            abort();
    }
    kiln_text_finish(&first);
    kiln_text_finish(&second);
    kiln_choices_destroy(&choices);
    kiln_choices_destroy(&again);
    return 0;
}
