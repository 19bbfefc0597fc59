/*
 * words.c - texts cut into words, and words set as a text again.
 *
 * One pass over the characters: a word goes on over what KILN_WORD says, and over one joining sign if a character of the right kind
 * follows it. Anything else but a space stands alone, with its like beside it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/texts.h"

static bool is(int32_t c, unsigned kinds)
{
    return (kiln_character_kinds(c) & kinds) != 0;
}

static bool is_apostrophe(int32_t c)
{
    return c == '\'' || c == 0x2019;
}

/* Splitting ---------------------------------------------------------------------------------------------- */

/* Whether the sign c between two characters belongs to a word. */
static bool joins(int32_t before, int32_t c, int32_t after)
{
    if (c == '-' || c == 0x2010 || is_apostrophe(c))
        return is(before, KILN_LETTER | KILN_MARK) && is(after, KILN_LETTER);
    return (c == '.' || c == ',') && is(before, KILN_NUMBER) && is(after, KILN_NUMBER);
}

/* The end of the word that begins with c, before `at`. */
static const char *word_end(const char *at, int32_t c)
{
    for (;;) {
        const char *sign = at, *after;
        const int32_t next = kiln_utf8_next(&sign);
        int32_t last;

        if (next > 0 && is(next, KILN_WORD)) {
            at = sign;
            c = next;
            continue;
        }
        after = sign;
        if (next <= 0 || !joins(c, next, last = kiln_utf8_next(&after)))
            return at;
        if (is_apostrophe(next))
            return sign;
        at = after;
        c = last;
    }
}

/* The end of a run of the sign c. */
static const char *run_end(const char *at, int32_t c)
{
    const char *next = at;

    while (kiln_utf8_next(&next) == c)
        at = next;
    return at;
}

kiln_status kiln_words_split(kiln_texts *words, const char *text)
{
    kiln_status status = kiln_utf8_check(text, "text");
    int32_t c;

    for (const char *start = text; !status && (c = kiln_utf8_next(&text)) > 0; start = text) {
        if (is(c, KILN_SPACE))
            continue;
        text = is(c, KILN_WORD) ? word_end(text, c) : run_end(text, c);
        status = kiln_texts_put(words, start, (size_t)(text - start));
    }
    return status;
}

/* Joining ------------------------------------------------------------------------------------------------ */

/* How words stand to each other, by their first and last characters. */
struct seam {
    bool quoted; /* a " is open */
    bool tight;  /* no space follows */
};

static bool one_of(int32_t c, const char *signs)
{
    int32_t sign;

    while ((sign = kiln_utf8_next(&signs)) > 0)
        if (sign == c)
            return true;
    return false;
}

static bool closes(const struct seam *s, const char *word)
{
    const int32_t c = kiln_utf8_next(&word);

    return c == '"' ? s->quoted : one_of(c, ".,;:!?)]}%…»”’、。");
}

static bool opens(struct seam *s, const char *word)
{
    int32_t first = kiln_utf8_next(&word), c = first, before = 0, last = first;

    if (first == '"')
        return (s->quoted = !s->quoted);
    while ((c = kiln_utf8_next(&word)) > 0) {
        before = last;
        last = c;
    }
    return one_of(first, "([{«“‘¿¡") || (is_apostrophe(last) && is(before, KILN_LETTER | KILN_MARK));
}

kiln_status kiln_words_join(const kiln_texts *words, char **text)
{
    struct seam seam = {.tight = true};
    char *to;

    *text = to = malloc(words->used + 1); /* a space each in the place of its zero */
    if (!to)
        return kiln_fail(KILN_ERROR_MEMORY, "words: no memory to join %zu bytes", words->used);
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->data + words->first[i];
        const size_t bytes = strlen(word);

        if (!seam.tight && !closes(&seam, word))
            *to++ = ' ';
        seam.tight = opens(&seam, word);
        memcpy(to, word, bytes);
        to += bytes;
    }
    *to = '\0';
    return KILN_OK;
}
