/* tokenizer.h - tokenizers from inside: one struct, and a row of functions for each way to cut a text. */
#ifndef KILN_TEXT_TOKENIZER_H
#define KILN_TEXT_TOKENIZER_H

#include "base/vec.h"
#include "text/texts.h"
#include "text/vocabulary.h"

/** Numbers as they come. */
struct kiln_ids {
    KILN_VEC(int32_t) list;
};

struct kiln_tokens_kind {
    const char *name;
    /* Count what texts hold into the vocabulary, and order it. */
    kiln_status (*train)(kiln_tokenizer *t, const kiln_texts *texts, const kiln_tokenizer_params *params);
    /* Append the numbers of a text, which is UTF-8 and lowered if need be. */
    kiln_status (*encode)(const kiln_tokenizer *t, const char *text, struct kiln_ids *ids);
    /* The text that tokens make. */
    kiln_status (*decode)(const kiln_tokenizer *t, const kiln_texts *tokens, char **text);
};

struct kiln_tokenizer {
    const struct kiln_tokens_kind *kind;
    bool lower;
    kiln_vocabulary *vocabulary;
};

/** An empty tokenizer with no vocabulary. */
kiln_status kiln_tokenizer_create(kiln_tokenizer **out, const struct kiln_tokens_kind *kind);

/** Append a number. */
kiln_status kiln_ids_add(struct kiln_ids *ids, int32_t id);

/** A text in lower case. Owns: free() it. */
kiln_status kiln_text_lower(const char *text, char **out);

#endif
