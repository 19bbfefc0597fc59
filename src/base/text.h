/*
 * text.h - a text that is written piece by piece, for messages and dumps.
 *
 * {0} is an empty text. Memory that runs out is remembered (failed), so a writer checks once, at the end.
 */
#ifndef KILN_BASE_TEXT_H
#define KILN_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/format.h"

struct kiln_text {
    char *data;             /* NULL while empty, else ended by a zero */
    size_t count, capacity; /* bytes, without and with the zero */
    bool failed;            /* a piece is missing at the end */
};

/** Append a piece, formatted as by printf. After a failure nothing more is appended. */
void kiln_text_add(struct kiln_text *t, const char *format, ...) KILN_FORMAT(2, 3);

/** What was written so far; never NULL. Lent until the next call. */
const char *kiln_text_get(const struct kiln_text *t);

/** Free it; the text is empty again. */
void kiln_text_finish(struct kiln_text *t);

/** Whether the whole text fits the pattern, in which * is any run of characters and ? any one. */
bool kiln_text_match(const char *pattern, const char *text);

/** Whether a text of words, between spaces, has this one; it has no empty one, and NULL has none. */
bool kiln_text_has_word(const char *words, const char *word);

#endif
