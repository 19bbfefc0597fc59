/*
 * added.c - tokens that stand in a text as they are, as <mask>: found before anything else is done with it.
 *
 * Two passes: what is looked for as written, in the text as it came; then, between those, what is looked for in lower case, in the text
 * so lowered. At each place the longest token counts. What is left between them is the kind's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/tokenizer.h"

/* A token in a text. */
struct found {
    const struct kiln_added_token *token;
    const char *from, *to; /* with the spaces that belong to it */
};

static const char *skip_spaces(const char *at)
{
    while (kiln_kinds_at(at) & KILN_SPACE)
        kiln_utf8_next(&at);
    return at;
}

/* The first byte of the character before `at`. */
static const char *before(const char *text, const char *at)
{
    while (at > text && (*--at & 0xC0) == 0x80) {}
    return at;
}

static bool stands_alone(const char *text, const char *from, const char *to)
{
    return !(from > text && (kiln_kinds_at(before(text, from)) & KILN_WORD)) &&
           !(kiln_kinds_at(to) & KILN_WORD);
}

static const char *without_spaces_left(const char *text, const char *from)
{
    while (from > text && (kiln_kinds_at(before(text, from)) & KILN_SPACE))
        from = before(text, from);
    return from;
}

/* The first token at or behind `at`, the longest at its place. */
static bool find(const kiln_tokenizer *t, const char *text, const char *start, bool lowered,
                 struct found *found)
{
    for (const char *at = start; *at && t->added.count > 0; at++) {
        size_t longest = 0;
        for (int i = 0; i < t->added.count; i++) {
            const struct kiln_added_token *a = &t->added.data[i];
            const char *token = kiln_vocabulary_token(t->vocabulary, a->id);
            const size_t bytes = *token == *at ? strlen(token) : 0;

            if (a->lowered != lowered || bytes <= longest || strncmp(at, token, bytes) != 0 ||
                (a->alone && !stands_alone(text, at, at + bytes)))
                continue;
            longest = bytes;
            *found = (struct found){a, a->eat_left ? without_spaces_left(start, at) : at,
                                    a->eat_right ? skip_spaces(at + bytes) : at + bytes};
        }
        if (longest > 0)
            return true;
    }
    return false;
}

typedef kiln_status (*part_encoder)(const kiln_tokenizer *t, const char *part, struct kiln_ids *ids);

static kiln_status encode_part(const kiln_tokenizer *t, const char *from, const char *to,
                               struct kiln_ids *ids, part_encoder encode)
{
    char *part;
    kiln_status status;

    if (from >= to)
        return KILN_OK;
    if (!*to)
        return encode(t, from, ids);
    if (!(part = malloc((size_t)(to - from) + 1)))
        return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: out of memory");
    memcpy(part, from, (size_t)(to - from));
    part[to - from] = '\0';
    status = encode(t, part, ids);
    free(part);
    return status;
}

/* The tokens of one pass, and what `encode` makes of the parts between them. */
static kiln_status pass(const kiln_tokenizer *t, const char *text, bool lowered, struct kiln_ids *ids,
                        part_encoder encode)
{
    const char *done = text;
    struct found f;
    kiln_status status = KILN_OK;

    while (!status && find(t, text, done, lowered, &f)) {
        status = encode_part(t, done, f.from, ids, encode);
        if (!status)
            status = kiln_ids_add(ids, f.token->id);
        done = f.to;
    }
    return status ? status : encode_part(t, done, done + strlen(done), ids, encode);
}

static kiln_status encode_plain(const kiln_tokenizer *t, const char *part, struct kiln_ids *ids)
{
    return t->kind->encode(t, part, ids);
}

static kiln_status encode_lowered(const kiln_tokenizer *t, const char *part, struct kiln_ids *ids)
{
    char *low = NULL;
    kiln_status status = t->lower ? kiln_text_lower(part, &low) : KILN_OK;

    if (!status)
        status = pass(t, low ? low : part, true, ids, encode_plain);
    free(low);
    return status;
}

kiln_status kiln_tokenizer_encode_text(const kiln_tokenizer *t, const char *text, struct kiln_ids *ids)
{
    return pass(t, text, false, ids, encode_lowered);
}
