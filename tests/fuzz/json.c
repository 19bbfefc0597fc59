/* json.c - any bytes as JSON: a tree of which every item answers every question, or refused. */
#include "base/json.h"

#include "fuzz/fuzz.h"

static void ask(const struct kiln_json *item)
{
    const char *text = kiln_json_text(item), *key = kiln_json_key(item);
    double number = 0;
    int64_t whole = 0;
    bool truth = false;

    if (text)
        touch(text, strlen(text));
    if (key)
        touch(key, strlen(key));
    if (kiln_json_whole(item, &whole) && (!kiln_json_number(item, &number) || number != (double)whole))
        abort();
    kiln_json_truth(item, &truth);
}

/* As deep as a tree may be nested: a thousand. */
static void walk(const struct kiln_json *item)
{
    ask(item);
    for (const struct kiln_json *i = kiln_json_first(item); i; i = kiln_json_next(i))
        walk(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kiln_json *root;

    be_silent();
    if (kiln_json_parse(&root, data, size, "fuzz"))
        return 0;
    walk(root);
    kiln_json_close(&root);
    return 0;
}
