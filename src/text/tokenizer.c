/*
 * tokenizer.c - texts to numbers and back: what all tokenizers share, and those of words and of characters.
 *
 *   text - lower case - pieces, cut by the kind - numbers, by the vocabulary - <bos>, <eos>, cut to the most that is wanted
 */
#include "text/tokenizer.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/pairs.h"

kiln_status kiln_tokenizer_create(kiln_tokenizer **out, const struct kiln_tokens_kind *kind)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: out of memory");
    (*out)->kind = kind;
    return KILN_OK;
}

void kiln_tokenizer_destroy(kiln_tokenizer **t)
{
    if (*t) {
        kiln_vocabulary_destroy(&(*t)->vocabulary);
        kiln_pairs_destroy(&(*t)->pairs);
        kiln_vec_finish(&(*t)->added);
    }
    free(*t);
    *t = NULL;
}

const kiln_vocabulary *kiln_tokenizer_vocabulary(const kiln_tokenizer *t)
{
    return t->vocabulary;
}

kiln_status kiln_ids_add(struct kiln_ids *ids, int32_t id)
{
    return kiln_vec_push(&ids->list, id)
               ? KILN_OK
               : kiln_fail(KILN_ERROR_MEMORY, "tokenizer: no memory for %d numbers", ids->list.count);
}

kiln_status kiln_text_lower(const char *text, char **out)
{
    const size_t bytes = strlen(text);
    char *to = malloc(2 * bytes + 1); /* of two bytes may become three */
    int32_t c;

    if (!(*out = to))
        return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: no memory for a text of %zu bytes", bytes);
    while ((c = kiln_utf8_next(&text)) > 0)
        to += kiln_utf8_write(to, kiln_character_lower(c));
    *to = '\0';
    return KILN_OK;
}

/* Words and characters: pieces that are looked up -------------------------------------------------------- */

static kiln_status split_characters(kiln_texts *pieces, const char *text)
{
    kiln_status status = KILN_OK;

    for (const char *start = text; !status && kiln_utf8_next(&text) > 0; start = text)
        status = kiln_texts_put(pieces, start, (size_t)(text - start));
    return status;
}

static kiln_status count_pieces(kiln_vocabulary *v, const kiln_texts *pieces)
{
    kiln_status status = KILN_OK;

    for (int64_t i = 0; i < kiln_texts_count(pieces) && !status; i++)
        status = kiln_vocabulary_add(v, kiln_texts_get(pieces, i), 1);
    return status;
}

typedef kiln_status (*splitter)(kiln_texts *pieces, const char *text);

static kiln_status train_pieces(kiln_tokenizer *t, const kiln_texts *texts,
                                const kiln_tokenizer_params *params, splitter split)
{
    kiln_texts *pieces = NULL;
    kiln_status status = kiln_texts_create(&pieces);

    for (int64_t i = 0; i < kiln_texts_count(texts) && !status; i++) {
        kiln_texts_clear(pieces);
        if (!(status = split(pieces, kiln_texts_get(texts, i))))
            status = count_pieces(t->vocabulary, pieces);
    }
    kiln_texts_destroy(&pieces);
    return status ? status : kiln_vocabulary_order(t->vocabulary, params->minimum, params->size);
}

static kiln_status encode_pieces(const kiln_tokenizer *t, const char *text, struct kiln_ids *ids,
                                 splitter split)
{
    const int unknown = kiln_vocabulary_special(t->vocabulary, KILN_SPECIAL_UNKNOWN);
    kiln_texts *pieces;
    kiln_status status = kiln_texts_create(&pieces);

    if (!status)
        status = split(pieces, text);
    for (int64_t i = 0; !status && i < kiln_texts_count(pieces); i++) {
        const int found = kiln_vocabulary_find(t->vocabulary, kiln_texts_get(pieces, i));
        const int id = found >= 0 ? found : unknown;
        if (id >= 0)
            status = kiln_ids_add(ids, id);
    }
    kiln_texts_destroy(&pieces);
    return status;
}

static kiln_status train_words(kiln_tokenizer *t, const kiln_texts *texts,
                               const kiln_tokenizer_params *params)
{
    return train_pieces(t, texts, params, kiln_words_split);
}

static kiln_status encode_words(const kiln_tokenizer *t, const char *text, struct kiln_ids *ids)
{
    return encode_pieces(t, text, ids, kiln_words_split);
}

static kiln_status decode_words(const kiln_tokenizer *t, const kiln_texts *tokens, char **text)
{
    (void)t;
    return kiln_words_join(tokens, text);
}

static kiln_status train_characters(kiln_tokenizer *t, const kiln_texts *texts,
                                    const kiln_tokenizer_params *params)
{
    return train_pieces(t, texts, params, split_characters);
}

static kiln_status encode_characters(const kiln_tokenizer *t, const char *text, struct kiln_ids *ids)
{
    return encode_pieces(t, text, ids, split_characters);
}

static kiln_status decode_characters(const kiln_tokenizer *t, const kiln_texts *tokens, char **text)
{
    char *to = *text = malloc(tokens->used + 1);

    (void)t;
    if (!to)
        return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: no memory for a text of %zu bytes", tokens->used);
    for (size_t i = 0; i < tokens->count; i++) {
        const char *token = tokens->data + tokens->first[i];
        memcpy(to, token, strlen(token));
        to += strlen(token);
    }
    *to = '\0';
    return KILN_OK;
}

static const struct kiln_tokens_kind words = {"words", train_words, encode_words, decode_words},
                                     characters = {"characters", train_characters, encode_characters,
                                                   decode_characters};

static const struct kiln_tokens_kind *const kinds[] = {
    [KILN_TOKENS_WORDS] = &words,
    [KILN_TOKENS_CHARACTERS] = &characters,
    [KILN_TOKENS_BYTE_PAIRS] = &kiln_tokens_byte_pairs,
    [KILN_TOKENS_CHARACTER_PAIRS] = &kiln_tokens_character_pairs,
};

enum { KINDS = sizeof kinds / sizeof *kinds, PLAIN_KINDS = 2 /* those without pairs */ };

/* Training ----------------------------------------------------------------------------------------------- */

/* All texts in lower case. */
static kiln_status lower_all(kiln_texts **out, const kiln_texts *texts)
{
    kiln_status status = kiln_texts_create(out);

    for (int64_t i = 0; i < kiln_texts_count(texts) && !status; i++) {
        char *low = NULL;
        if (!(status = kiln_text_lower(kiln_texts_get(texts, i), &low)))
            status = kiln_texts_put(*out, low, strlen(low));
        free(low);
    }
    return status;
}

kiln_status kiln_tokenizer_train(kiln_tokenizer **out, const kiln_texts *texts,
                                 const kiln_tokenizer_params *params)
{
    const kiln_tokenizer_params p = params ? *params : (kiln_tokenizer_params){0};
    kiln_tokenizer *t = NULL;
    kiln_texts *low = NULL;
    kiln_status status;

    *out = NULL;
    if ((unsigned)p.by >= KINDS || p.size < 0 || p.minimum < 0)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "tokenizer: kind %d of %d, %" PRId64 " tokens, a minimum of %" PRId64, (int)p.by,
                         (int)KINDS, p.size, p.minimum);
    if ((status = kiln_tokenizer_create(&t, kinds[p.by])) ||
        (status = kiln_vocabulary_create(&t->vocabulary, p.bare)))
        goto out;
    t->lower = p.lower;
    if (p.lower)
        status = lower_all(&low, texts);
    if (!status)
        status = t->kind->train(t, low ? low : texts, &p);
out:
    kiln_texts_destroy(&low);
    if (status)
        kiln_tokenizer_destroy(&t);
    *out = t;
    return status;
}

/* Encoding ----------------------------------------------------------------------------------------------- */

static kiln_status check_ends(const kiln_tokenizer *t, const kiln_encode_params *p)
{
    static const char *const what[] = {"begin", "end"};
    const kiln_special which[] = {KILN_SPECIAL_BEGIN, KILN_SPECIAL_END};
    const bool wanted[] = {p->begin, p->end};

    for (int i = 0; i < 2; i++)
        if (wanted[i] && kiln_vocabulary_special(t->vocabulary, which[i]) < 0)
            return kiln_fail(KILN_ERROR_ARGUMENT, "tokenizer: it has no token to %s a text", what[i]);
    if (p->most < 0 || (p->most > 0 && p->most < p->begin + p->end))
        return kiln_fail(KILN_ERROR_ARGUMENT, "tokenizer: at most %" PRId64 " tokens, wanted %d or more",
                         p->most, p->begin + p->end);
    return KILN_OK;
}

/* Append a text's numbers. */
static kiln_status encode(const kiln_tokenizer *t, const char *text, const kiln_encode_params *p,
                          struct kiln_ids *ids)
{
    const int first = ids->list.count;
    kiln_status status = kiln_utf8_check(text, "tokenizer");

    if (!status && p->begin)
        status = kiln_ids_add(ids, kiln_vocabulary_special(t->vocabulary, KILN_SPECIAL_BEGIN));
    if (!status)
        status = kiln_tokenizer_encode_text(t, text, ids);
    if (p->most > 0 && ids->list.count - first > p->most - p->end)
        ids->list.count = first + (int)(p->most - p->end);
    if (!status && p->end)
        status = kiln_ids_add(ids, kiln_vocabulary_special(t->vocabulary, KILN_SPECIAL_END));
    return status;
}

kiln_status kiln_tokenizer_encode(const kiln_tokenizer *t, const char *text, const kiln_encode_params *params,
                                  kiln_array *ids)
{
    const kiln_encode_params p = params ? *params : (kiln_encode_params){0};
    struct kiln_ids list = {0};
    kiln_status status = check_ends(t, &p);

    *ids = (kiln_array){0};
    if (!status && !kiln_vec_reserve(&list.list, 1)) /* an empty text has memory of its own, too */
        status = kiln_fail(KILN_ERROR_MEMORY, "tokenizer: out of memory");
    if (!status)
        status = encode(t, text, &p, &list);
    if (status) {
        kiln_vec_finish(&list.list);
        return status;
    }
    *ids = (kiln_array){.data = list.list.data,
                        .bytes = (size_t)list.list.count * sizeof *list.list.data,
                        .type = KILN_I32,
                        .shape = KILN_SHAPE(list.list.count)};
    return KILN_OK;
}

kiln_status kiln_tokenizer_encode_all(const kiln_tokenizer *t, const kiln_texts *texts,
                                      const kiln_encode_params *params, kiln_sequences *out)
{
    const kiln_encode_params p = params ? *params : (kiln_encode_params){0};
    const int64_t rows = kiln_texts_count(texts);
    struct kiln_ids list = {0};
    int64_t *first = malloc(((size_t)rows + 1) * sizeof *first);
    kiln_status status = check_ends(t, &p);

    *out = (kiln_sequences){0};
    if (!status && (!first || !kiln_vec_reserve(&list.list, 1)))
        status = kiln_fail(KILN_ERROR_MEMORY, "tokenizer: no memory for %" PRId64 " texts", rows);
    for (int64_t i = 0; i < rows && !status; i++) {
        first[i] = list.list.count;
        status = encode(t, kiln_texts_get(texts, i), &p, &list);
    }
    if (status) {
        kiln_vec_finish(&list.list);
        free(first);
        return status;
    }
    first[rows] = list.list.count;
    *out = (kiln_sequences){.rows = rows, .ids = list.list.data, .first = first};
    return KILN_OK;
}

void kiln_sequences_free(kiln_sequences *s)
{
    free(s->ids);
    free(s->first);
    *s = (kiln_sequences){0};
}

/* Decoding ----------------------------------------------------------------------------------------------- */

static kiln_status gather(const kiln_vocabulary *v, const int32_t *ids, int64_t count, kiln_texts *tokens)
{
    kiln_status status = KILN_OK;

    for (int64_t i = 0; i < count && !status; i++) {
        const char *token = kiln_vocabulary_token(v, ids[i]);
        if (!token)
            return kiln_fail(KILN_ERROR_ARGUMENT,
                             "tokenizer: number %" PRId32 " at %" PRId64 ", wanted 0 to %d", ids[i], i,
                             kiln_vocabulary_size(v) - 1);
        if (ids[i] == kiln_vocabulary_special(v, KILN_SPECIAL_END))
            break;
        if (ids[i] != kiln_vocabulary_special(v, KILN_SPECIAL_PAD) &&
            ids[i] != kiln_vocabulary_special(v, KILN_SPECIAL_BEGIN))
            status = kiln_texts_put(tokens, token, strlen(token));
    }
    return status;
}

kiln_status kiln_tokenizer_decode(const kiln_tokenizer *t, const int32_t *ids, int64_t count, char **text)
{
    kiln_texts *tokens;
    kiln_status status = kiln_texts_create(&tokens);

    *text = NULL;
    if (!status && !(status = gather(t->vocabulary, ids, count, tokens)))
        status = t->kind->decode(t, tokens, text);
    kiln_texts_destroy(&tokens);
    return status;
}

/* Files -------------------------------------------------------------------------------------------------- */

static const char magic[] = "kiln tokenizer ";

static kiln_status write_plain(const kiln_tokenizer *t, struct kiln_writer *w)
{
    char line[64];
    const int bytes = snprintf(line, sizeof line, "%s%s%s\n", magic, t->kind->name, t->lower ? " lower" : "");
    const kiln_status status = kiln_writer_add(w, line, (size_t)bytes);

    return status ? status : kiln_vocabulary_write(t->vocabulary, w);
}

kiln_status kiln_tokenizer_save(const kiln_tokenizer *t, const char *path)
{
    struct kiln_writer w;
    kiln_status status = kiln_writer_open(&w, path);

    if (!status)
        status = t->pairs ? kiln_tokenizer_write_json(t, &w) : write_plain(t, &w);
    if (status) {
        kiln_writer_abandon(&w);
        return status;
    }
    return kiln_writer_commit(&w);
}

/* Whether the line, of so many bytes, is the first of a tokenizer: which. */
static bool parse_head(const char *line, size_t bytes, kiln_tokens *by, bool *lower)
{
    char wanted[64];

    for (int i = 0; i < 2 * PLAIN_KINDS; i++) {
        const int length =
            snprintf(wanted, sizeof wanted, "%s%s%s", magic, kinds[i / 2]->name, i % 2 ? " lower" : "");
        *by = (kiln_tokens)(i / 2);
        *lower = i % 2;
        if (bytes == (size_t)length && memcmp(line, wanted, bytes) == 0)
            return true;
    }
    return false;
}

static kiln_status parse(kiln_tokenizer **out, const char *data, size_t size, const char *path)
{
    const char *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    const size_t head = newline ? (size_t)(newline - data) : 0;
    kiln_tokens by;
    bool lower;
    kiln_status status;

    if (size > 0 && *data == '{')
        return kiln_tokenizer_parse_json(out, data, size, path);
    if (!newline || !parse_head(data, head, &by, &lower))
        return kiln_fail(KILN_ERROR_FILE, "%s: is no tokenizer; wanted \"%swords\" or the like at its head",
                         path, magic);
    if ((status = kiln_tokenizer_create(out, kinds[by])))
        return status;
    (*out)->lower = lower;
    return kiln_vocabulary_parse(&(*out)->vocabulary, newline + 1, size - head - 1, path, 2);
}

kiln_status kiln_tokenizer_load(kiln_tokenizer **out, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);

    *out = NULL;
    if (status)
        return status;
    if ((status = parse(out, file.data, file.size, path)))
        kiln_tokenizer_destroy(out);
    kiln_file_unmap(&file);
    return status;
}
