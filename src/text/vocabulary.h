/* vocabulary.h - vocabularies from inside. */
#ifndef KILN_TEXT_VOCABULARY_H
#define KILN_TEXT_VOCABULARY_H

#include <kiln/text.h>

#include "base/file.h"
#include "base/map.h"
#include "base/vec.h"

struct kiln_token {
    const char *text; /* in the vocabulary's memory */
    int64_t count;
};

struct kiln_vocabulary {
    struct kiln_arena texts;
    struct kiln_map map; /* token to number */
    KILN_VEC(struct kiln_token) tokens;
    int special[KILN_SPECIALS]; /* -1: none */
};

/** Append the lines of kiln_vocabulary_save. Errors stick in the writer; ERROR_MEMORY. */
kiln_status kiln_vocabulary_write(const kiln_vocabulary *v, struct kiln_writer *w);

/** Read such lines, the first of which is line `line` of the file of that path. */
kiln_status kiln_vocabulary_parse(kiln_vocabulary **out, const char *data, size_t size, const char *path,
                                  int line);

#endif
