/* markup.c - see markup.h. */
#include "check/markup.h"

#include "base/file.h"
#include "base/log.h"

void check_add_escaped(struct kiln_text *to, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '<')
            kiln_text_add(to, "&lt;");
        else if (*c == '>')
            kiln_text_add(to, "&gt;");
        else if (*c == '&')
            kiln_text_add(to, "&amp;");
        else if (*c == '"')
            kiln_text_add(to, "&quot;");
        else
            kiln_text_add(to, "%c", *c < ' ' ? ' ' : *c);
    }
}

kiln_status check_save(struct kiln_text *text, const char *path)
{
    struct kiln_writer w = {0};
    kiln_status status =
        text->failed ? kiln_fail(KILN_ERROR_MEMORY, "check: no memory for %s", path) : KILN_OK;

    if (!status && !(status = kiln_writer_open(&w, path)) &&
        !(status = kiln_writer_add(&w, kiln_text_get(text), text->count)))
        status = kiln_writer_commit(&w);
    kiln_writer_abandon(&w);
    kiln_text_finish(text);
    return status;
}
