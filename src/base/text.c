/* text.c - the text builder, and names matched against patterns. */
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* Room for `bytes` more and the ending zero. */
static bool reserve(struct kiln_text *t, size_t bytes)
{
    size_t capacity = t->capacity ? t->capacity : 64, wanted;
    char *data;

    if (!kiln_size_add(t->count, bytes, &wanted) || wanted >= SIZE_MAX / 2)
        return false;
    if (wanted < t->capacity)
        return true;
    while (capacity <= wanted)
        capacity *= 2;
    if (!(data = realloc(t->data, capacity)))
        return false;
    t->data = data;
    t->capacity = capacity;
    return true;
}

void kiln_text_add(struct kiln_text *t, const char *format, ...)
{
    va_list args, again;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    t->failed = t->failed || length < 0 || !reserve(t, (size_t)length);
    if (!t->failed) {
        vsnprintf(t->data + t->count, (size_t)length + 1, format, again);
        t->count += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

const char *kiln_text_get(const struct kiln_text *t)
{
    return t->data ? t->data : "";
}

void kiln_text_finish(struct kiln_text *t)
{
    free(t->data);
    *t = (struct kiln_text){0};
}

/* Walks both at once; on a mismatch the last * takes one character more. Earlier ones need no second try. */
bool kiln_text_match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool kiln_text_has_word(const char *words, const char *word)
{
    const size_t length = strlen(word);

    for (const char *at = words; at && length && (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}
