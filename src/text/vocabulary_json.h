/* vocabulary_json.h - vocabularies as JSON objects of tokens and their numbers, in any order. */
#ifndef KILN_TEXT_VOCABULARY_JSON_H
#define KILN_TEXT_VOCABULARY_JSON_H

#include "base/json.h"
#include "text/tokenizer.h"

/** Tokens as they come, each with its number; their texts are the tree's. */
struct kiln_numbered_tokens {
    KILN_VEC(struct kiln_numbered_token {
        const char *text;
        int64_t id;
    })
    list;
};

kiln_status kiln_numbered_add(struct kiln_numbered_tokens *n, const char *text, int64_t id, const char *path);

/** Append the members of an object. */
kiln_status kiln_numbered_add_object(struct kiln_numbered_tokens *n, const struct kiln_json *object,
                                     const char *path);

/**
 * Make a vocabulary of them. Special tokens are those with a well-known name, and `unknown` (or NULL).
 * Errors: ERROR_FILE where a number from 0 to the last has no token or two, or a token two numbers.
 */
kiln_status kiln_numbered_make(kiln_vocabulary **out, struct kiln_numbered_tokens *n, const char *unknown,
                               const char *path);

/** Append {"token": number, ...}. */
void kiln_vocabulary_add_object(struct kiln_text *to, const kiln_vocabulary *v);

/** Learn a rule of two tokens' texts, of which `left` may be NULL: out of memory. Errors name the rule. */
kiln_status kiln_pairs_add_texts(kiln_tokenizer *t, const char *left, const char *right, const char *path,
                                 int number);

#endif
