/* texts.h - lists of texts from inside, and pieces of texts. */
#ifndef KILN_TEXT_TEXTS_H
#define KILN_TEXT_TEXTS_H

#include <kiln/text.h>

struct kiln_texts {
    char *data; /* the texts, each with its zero */
    size_t used, room;
    size_t *first; /* where in data each begins */
    size_t count, places;
};

/** Append so many bytes, which are known to be UTF-8. */
kiln_status kiln_texts_put(kiln_texts *t, const char *text, size_t bytes);

/** Forget all texts; the memory stays. */
void kiln_texts_clear(kiln_texts *t);

/** The kinds of the character at `at`; 0 at the end. */
unsigned kiln_kinds_at(const char *at);

/** kiln_utf8_check, where the message begins with both. */
kiln_status kiln_utf8_check_at(const char *text, const char *what, const char *where);

#endif
