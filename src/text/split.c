/* split.c - regular expressions, each as the few lines of C that match it. */
#include "text/split.h"

#include <string.h>

/* The end of the longest run of characters, each with one of the kinds `with` (0: any) and none of the kinds `without`. */
static const char *run_end(const char *at, unsigned with, unsigned without)
{
    int32_t c;
    for (const char *next = at; (c = kiln_utf8_next(&next)) > 0; at = next) {
        const unsigned kinds = kiln_character_kinds(c);
        if ((with && !(kinds & with)) || (kinds & without))
            break;
    }
    return at;
}

kiln_status kiln_split_nothing(kiln_texts *pieces, const char *text)
{
    return *text ? kiln_texts_put(pieces, text, strlen(text)) : KILN_OK;
}

/* ByteLevel ---------------------------------------------------------------------------------------------- */

/* The end of an English ending as 's or 're; NULL where there is none. */
static const char *ending(const char *at)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strncmp(at, endings[i], strlen(endings[i])) == 0)
            return at + strlen(endings[i]);
    return NULL;
}

/* The end of a run of letters, of numbers or of other signs; `at` where a space or the end is there. */
static const char *like_run_end(const char *at)
{
    const unsigned kinds = kiln_kinds_at(at);

    if (kinds & (KILN_LETTER | KILN_NUMBER))
        return run_end(at, kinds & (KILN_LETTER | KILN_NUMBER), 0);
    return run_end(at, 0, KILN_SPACE | KILN_LETTER | KILN_NUMBER);
}

/* The end of a run of spaces, of which the last is left to what follows it, if there is another. */
static const char *spaces_end(const char *at)
{
    const char *end = run_end(at, KILN_SPACE, 0), *last = at, *next = at;

    if (!*end)
        return end;
    while (kiln_utf8_next(&next) > 0 && next < end)
        last = next;
    return last > at ? last : end;
}

kiln_status kiln_split_byte_level(kiln_texts *pieces, const char *text)
{
    kiln_status status = KILN_OK;

    for (const char *end; *text && !status; text = end) {
        const char *run = text + (*text == ' ');

        if (!(end = ending(text)) && (end = like_run_end(run)) == run)
            end = spaces_end(text);
        status = kiln_texts_put(pieces, text, (size_t)(end - text));
    }
    return status;
}

/* Others ------------------------------------------------------------------------------------------------- */

kiln_status kiln_split_whitespace(kiln_texts *pieces, const char *text)
{
    kiln_status status = KILN_OK;

    for (const char *end; *text && !status; text = end) {
        const bool word = kiln_kinds_at(text) & KILN_WORD;

        end = word ? run_end(text, KILN_WORD, 0) : run_end(text, 0, KILN_WORD | KILN_SPACE);
        if (end == text)
            end = run_end(text, KILN_SPACE, 0);
        else
            status = kiln_texts_put(pieces, text, (size_t)(end - text));
    }
    return status;
}

kiln_status kiln_split_spaces(kiln_texts *pieces, const char *text)
{
    kiln_status status = KILN_OK;

    for (const char *end; *text && !status; text = end) {
        if ((end = run_end(text, 0, KILN_SPACE)) == text)
            end = run_end(text, KILN_SPACE, 0);
        else
            status = kiln_texts_put(pieces, text, (size_t)(end - text));
    }
    return status;
}
