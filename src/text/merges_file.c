/*
 * merges_file.c - byte pairs in two files: vocab.json, an object of tokens and numbers, and merges.txt, a rule a line; and what that
 * form shares with tokenizer.json.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/pairs.h"
#include "text/vocabulary_json.h"

/* Vocabularies ------------------------------------------------------------------------------------------- */

kiln_status kiln_numbered_add(struct kiln_numbered_tokens *n, const char *text, int64_t id, const char *path)
{
    if (!*text || id < 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: token %d, \"%s\", wanted a text and a number from 0 up", path,
                         n->list.count, text);
    return kiln_vec_push(&n->list, (struct kiln_numbered_token){text, id})
               ? KILN_OK
               : kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", path);
}

kiln_status kiln_numbered_add_object(struct kiln_numbered_tokens *n, const struct kiln_json *object,
                                     const char *path)
{
    kiln_status status = KILN_OK;

    for (const struct kiln_json *i = kiln_json_first(object); i && !status; i = kiln_json_next(i)) {
        int64_t id = -1;
        kiln_json_whole(i, &id);
        status = kiln_numbered_add(n, kiln_json_key(i), id, path);
    }
    return status;
}

static int by_number(const void *a, const void *b)
{
    const struct kiln_numbered_token *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* The special tokens of a vocabulary, by the names that others give them; the first that is there counts. */
static void find_specials(kiln_vocabulary *v)
{
    static const char *const names[KILN_SPECIALS][6] = {
        [KILN_SPECIAL_PAD] = {"<pad>", "[PAD]", "<|pad|>"},
        [KILN_SPECIAL_UNKNOWN] = {"<unk>", "[UNK]", "<|unk|>"},
        [KILN_SPECIAL_BEGIN] = {"<bos>", "<s>", "[BOS]", "[CLS]", "<|startoftext|>", "<|endoftext|>"},
        [KILN_SPECIAL_END] = {"<eos>", "</s>", "[EOS]", "[SEP]", "<|endoftext|>"},
    };

    for (int i = 0; i < KILN_SPECIALS; i++)
        for (int k = 0; k < 6 && names[i][k] && v->special[i] < 0; k++)
            v->special[i] = kiln_vocabulary_find(v, names[i][k]);
}

kiln_status kiln_numbered_make(kiln_vocabulary **out, struct kiln_numbered_tokens *n, const char *unknown,
                               const char *path)
{
    kiln_status status = kiln_vocabulary_create(out, true);

    if (status)
        return status;
    if (n->list.count > 0)
        qsort(n->list.data, (size_t)n->list.count, sizeof *n->list.data, by_number);
    for (int i = 0; i < n->list.count && !status; i++) {
        const struct kiln_numbered_token *token = &n->list.data[i];
        const int size = kiln_vocabulary_size(*out), known = kiln_vocabulary_find(*out, token->text);

        if (known >= 0 && known == token->id) /* an added token that is in the model, too */
            continue;
        if (known >= 0 || token->id != size)
            return kiln_fail(KILN_ERROR_FILE,
                             "%s: \"%s\" has number %" PRId64 ", wanted %d: each number once", path,
                             token->text, token->id, known >= 0 ? known : size);
        status = kiln_vocabulary_add(*out, token->text, 0);
    }
    if (!status && unknown)
        status = kiln_vocabulary_find(*out, unknown) < 0
                     ? kiln_fail(KILN_ERROR_FILE, "%s: the unknown token \"%s\" has no number", path, unknown)
                     : kiln_vocabulary_set_special(*out, KILN_SPECIAL_UNKNOWN, unknown);
    find_specials(*out);
    return status;
}

void kiln_vocabulary_add_object(struct kiln_text *to, const kiln_vocabulary *v)
{
    kiln_text_add(to, "{");
    for (int id = 0; id < kiln_vocabulary_size(v); id++) {
        kiln_text_add(to, id > 0 ? ",\n      " : "\n      ");
        kiln_json_add_text(to, kiln_vocabulary_token(v, id));
        kiln_text_add(to, ": %d", id);
    }
    kiln_text_add(to, "\n    }");
}

/* Rules -------------------------------------------------------------------------------------------------- */

kiln_status kiln_pairs_add_texts(kiln_tokenizer *t, const char *left, const char *right, const char *path,
                                 int number)
{
    const size_t bytes = left ? strlen(left) + strlen(right) + 1 : 0;
    char *both = left ? malloc(bytes) : NULL;
    struct kiln_merge merge;
    kiln_status status = KILN_OK;

    if (!both)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", path);
    strcpy(both, left);
    strcat(both, right);
    merge = (struct kiln_merge){kiln_vocabulary_find(t->vocabulary, left),
                                kiln_vocabulary_find(t->vocabulary, right),
                                kiln_vocabulary_find(t->vocabulary, both)};
    if (merge.left < 0 || merge.right < 0 || merge.to < 0)
        status = kiln_fail(KILN_ERROR_FILE, "%s: merge %d, the token \"%s\" has no number", path, number,
                           merge.left < 0    ? left
                           : merge.right < 0 ? right
                                             : both);
    else if (!kiln_pairs_add(t->pairs, merge))
        status = kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", path);
    free(both);
    return status;
}

/* A line "left right", which is cut up. */
static kiln_status take_line(kiln_tokenizer *t, char *line, const char *path, int number)
{
    char *space = strchr(line, ' ');

    if (!space || strchr(space + 1, ' '))
        return kiln_fail(KILN_ERROR_FILE, "%s: line %d, wanted two tokens and a space between them", path,
                         number);
    *space = '\0';
    return kiln_pairs_add_texts(t, line, space + 1, path, number);
}

static kiln_status load_rules(kiln_tokenizer *t, const char *path)
{
    kiln_texts *rules;
    kiln_status status = kiln_texts_load(&rules, path, NULL);

    for (int64_t i = 0; !status && i < kiln_texts_count(rules); i++) {
        char *line = rules->data + rules->first[i];
        if ((i > 0 || strncmp(line, "#version", 8) != 0) && *line)
            status = take_line(t, line, path, (int)i + 1);
    }
    kiln_texts_destroy(&rules);
    return status;
}

static kiln_status load_vocabulary(kiln_tokenizer *t, const char *path)
{
    struct kiln_numbered_tokens list = {0};
    struct kiln_json *root;
    kiln_status status = kiln_json_open(&root, path);

    if (!status && !kiln_json_is_object(root))
        status = kiln_fail(KILN_ERROR_FILE, "%s: wanted an object of tokens and numbers", path);
    if (!status && !(status = kiln_numbered_add_object(&list, root, path)))
        status = kiln_numbered_make(&t->vocabulary, &list, NULL, path);
    kiln_vec_finish(&list.list);
    kiln_json_close(&root);
    return status;
}

/* The special tokens are looked for in texts. */
static kiln_status add_specials(kiln_tokenizer *t)
{
    for (int i = 0; i < KILN_SPECIALS; i++) {
        const int id = t->vocabulary->special[i];
        bool known = id < 0;
        for (int k = 0; k < t->added.count; k++)
            known = known || t->added.data[k].id == id;
        if (!known && !kiln_vec_push(&t->added, (struct kiln_added_token){.id = id, .special = true}))
            return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: out of memory");
    }
    return KILN_OK;
}

kiln_status kiln_tokenizer_load_merges(kiln_tokenizer **out, const char *vocabulary, const char *merges,
                                       kiln_tokens by)
{
    const struct kiln_tokens_kind *kind =
        by == KILN_TOKENS_BYTE_PAIRS ? &kiln_tokens_byte_pairs : &kiln_tokens_character_pairs;
    kiln_tokenizer *t;
    kiln_status status;

    *out = NULL;
    if (by != KILN_TOKENS_BYTE_PAIRS && by != KILN_TOKENS_CHARACTER_PAIRS)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: kind %d, wanted one of pairs", merges, (int)by);
    if ((status = kiln_tokenizer_create(&t, kind)) || (status = kiln_pairs_create(t)) ||
        (status = load_vocabulary(t, vocabulary)) || (status = add_specials(t)) ||
        (status = load_rules(t, merges)))
        kiln_tokenizer_destroy(&t);
    *out = t;
    return status;
}

/* Writing ------------------------------------------------------------------------------------------------ */

static kiln_status write_text(struct kiln_text *text, const char *path)
{
    struct kiln_writer w;
    kiln_status status = text->failed ? kiln_fail(KILN_ERROR_MEMORY, "%s: no memory to write it", path)
                                      : kiln_writer_open(&w, path);

    if (!status) {
        kiln_writer_add(&w, text->data, text->count);
        status = kiln_writer_commit(&w);
    }
    kiln_text_finish(text);
    return status;
}

kiln_status kiln_tokenizer_save_merges(const kiln_tokenizer *t, const char *vocabulary, const char *merges)
{
    struct kiln_text text = {0};
    kiln_status status;

    if (!t->pairs)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: a tokenizer of %s has no rules", merges, t->kind->name);
    kiln_vocabulary_add_object(&text, t->vocabulary);
    kiln_text_add(&text, "\n");
    if ((status = write_text(&text, vocabulary)))
        return status;
    kiln_text_add(&text, "#version: 0.2\n");
    for (int i = 0; i < t->pairs->merges.count; i++)
        kiln_text_add(&text, "%s %s\n", kiln_vocabulary_token(t->vocabulary, t->pairs->merges.data[i].left),
                      kiln_vocabulary_token(t->vocabulary, t->pairs->merges.data[i].right));
    return write_text(&text, merges);
}
