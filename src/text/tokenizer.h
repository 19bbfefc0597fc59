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
    /* Append the numbers of a part of a text, which is UTF-8, lowered if need be, and holds no added token. */
    kiln_status (*encode)(const kiln_tokenizer *t, const char *text, struct kiln_ids *ids);
    /* The text that tokens make. */
    kiln_status (*decode)(const kiln_tokenizer *t, const kiln_texts *tokens, char **text);
};

/** A token that is found in a text before it is cut into pieces, as <mask>. */
struct kiln_added_token {
    int id;
    bool special;             /* for decoders that skip such ones */
    bool alone;               /* only where no word goes on at either side */
    bool eat_left, eat_right; /* spaces at that side belong to it */
    bool lowered;             /* it is looked for once the text is in lower case */
};

struct kiln_tokenizer {
    const struct kiln_tokens_kind *kind;
    bool lower;
    kiln_vocabulary *vocabulary;
    struct kiln_pairs *pairs; /* NULL unless it is of pairs */
    KILN_VEC(struct kiln_added_token) added;
};

/** An empty tokenizer with no vocabulary. */
kiln_status kiln_tokenizer_create(kiln_tokenizer **out, const struct kiln_tokens_kind *kind);

/** Append the numbers of a text: added tokens where they stand, and what the kind makes of the rest, lowered if need be. */
kiln_status kiln_tokenizer_encode_text(const kiln_tokenizer *t, const char *text, struct kiln_ids *ids);

/** Read a tokenizer.json, and write one. */
kiln_status kiln_tokenizer_parse_json(kiln_tokenizer **out, const char *data, size_t size, const char *path);
kiln_status kiln_tokenizer_write_json(const kiln_tokenizer *t, struct kiln_writer *w);

/** Append a number. */
kiln_status kiln_ids_add(struct kiln_ids *ids, int32_t id);

/** A text in lower case. Owns: free() it. */
kiln_status kiln_text_lower(const char *text, char **out);

#endif
