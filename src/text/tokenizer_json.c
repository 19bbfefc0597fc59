/*
 * tokenizer_json.c - tokenizer.json of Hugging Face's `tokenizers`: read and written, as far as byte pairs go.
 *
 *   { "added_tokens": [{"id", "content", "special", ...}], "normalizer", "pre_tokenizer", "decoder",
 *     "model": {"type": "BPE", "vocab": {token: number}, "merges": [["left", "right"] or "left right"], ...} }
 *
 * What would change the result and is not here is refused by name.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "text/pairs.h"
#include "text/vocabulary_json.h"

/* Reading: questions ------------------------------------------------------------------------------------- */

static const char *text_of(const struct kiln_json *object, const char *key, const char *otherwise)
{
    const char *text = kiln_json_text(kiln_json_find(object, key));
    return text ? text : otherwise;
}

static bool truth_of(const struct kiln_json *object, const char *key, bool otherwise)
{
    bool truth = otherwise;
    kiln_json_truth(kiln_json_find(object, key), &truth);
    return truth;
}

/* Steps: {"type": "Sequence", LIST: [...]} is several, null none. `take` sees one at a time. */
typedef kiln_status (*step_taker)(kiln_tokenizer *t, const struct kiln_json *step, const char *path);

static kiln_status each_step(kiln_tokenizer *t, const struct kiln_json *step, const char *list,
                             const char *path, step_taker take)
{
    kiln_status status = KILN_OK;

    if (!kiln_json_is_object(step))
        return KILN_OK;
    if (strcmp(text_of(step, "type", ""), "Sequence") != 0)
        return take(t, step, path);
    for (const struct kiln_json *i = kiln_json_first(kiln_json_find(step, list)); i && !status;
         i = kiln_json_next(i))
        status = take(t, i, path);
    return status;
}

/* Reading: steps ----------------------------------------------------------------------------------------- */

static kiln_status take_normalizer(kiln_tokenizer *t, const struct kiln_json *step, const char *path)
{
    const char *type = text_of(step, "type", "");

    if (strcmp(type, "Lowercase") != 0)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: the normalizer is \"%s\"; wanted Lowercase or none",
                         path, type);
    t->lower = true;
    return KILN_OK;
}

/* One of the pieces' cutters; ByteLevel may follow another one if it does not cut itself. */
static kiln_status take_splitter(kiln_tokenizer *t, const struct kiln_json *step, const char *path)
{
    const char *type = text_of(step, "type", "");
    const bool first = t->pairs->split == kiln_split_nothing;

    if (strcmp(type, "ByteLevel") == 0) {
        const bool cuts = truth_of(step, "use_regex", true);
        t->pairs->bytes = true;
        t->pairs->prefix_space = truth_of(step, "add_prefix_space", true);
        if (cuts && first)
            t->pairs->split = kiln_split_byte_level;
        if (first || (!cuts && !t->pairs->prefix_space))
            return KILN_OK;
    } else if (first && !t->pairs->bytes && strcmp(type, "Whitespace") == 0) {
        t->pairs->split = kiln_split_whitespace;
        return KILN_OK;
    } else if (first && !t->pairs->bytes && strcmp(type, "WhitespaceSplit") == 0) {
        t->pairs->split = kiln_split_spaces;
        return KILN_OK;
    }
    return kiln_fail(
        KILN_ERROR_UNSUPPORTED,
        "%s: the pre-tokenizer is \"%s\"%s; wanted one of ByteLevel, Whitespace, WhitespaceSplit", path, type,
        first ? "" : " behind another");
}

/* What puts tokens together again must be what the pieces say. */
static kiln_status take_decoder(kiln_tokenizer *t, const struct kiln_json *decoder, const char *path)
{
    const char *type = kiln_json_is_object(decoder) ? text_of(decoder, "type", "") : "none";
    const bool bytes = strcmp(type, "ByteLevel") == 0, suffix = strcmp(type, "BPEDecoder") == 0;

    t->pairs->spaced = strcmp(type, "none") == 0;
    if (t->pairs->bytes ? !bytes : !t->pairs->spaced && strcmp(type, "Fuse") != 0 && !suffix)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: the decoder is \"%s\", wanted %s", path, type,
                         t->pairs->bytes ? "ByteLevel" : "BPEDecoder, Fuse or none");
    return KILN_OK;
}

/* Reading: the model ------------------------------------------------------------------------------------- */

static kiln_status check_model(const struct kiln_json *model, const char *path)
{
    const char *type = text_of(model, "type", "BPE");
    double dropout = 0;

    if (!kiln_json_is_object(kiln_json_find(model, "vocab")) ||
        !kiln_json_is_array(kiln_json_find(model, "merges")))
        return kiln_fail(strcmp(type, "BPE") ? KILN_ERROR_UNSUPPORTED : KILN_ERROR_FILE,
                         "%s: the model is \"%s\", wanted BPE with \"vocab\" and \"merges\"", path, type);
    if (strcmp(type, "BPE") != 0)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: the model is \"%s\", wanted BPE", path, type);
    if (kiln_json_number(kiln_json_find(model, "dropout"), &dropout) && dropout > 0)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: the model drops merges out, at a rate of %g", path,
                         dropout);
    if (truth_of(model, "byte_fallback", false))
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: the model falls back on bytes as <0x00>", path);
    if (*text_of(model, "continuing_subword_prefix", ""))
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: inner tokens begin with \"%s\"", path,
                         text_of(model, "continuing_subword_prefix", ""));
    return KILN_OK;
}

static kiln_status take_settings(kiln_tokenizer *t, const struct kiln_json *model, const char *path)
{
    const char *suffix = text_of(model, "end_of_word_suffix", "");

    if (strlen(suffix) >= KILN_SUFFIX_ROOM)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s: the suffix of words has %zu bytes, wanted less than %d",
                         path, strlen(suffix), (int)KILN_SUFFIX_ROOM);
    strcpy(t->pairs->suffix, suffix);
    t->pairs->fuse_unknown = truth_of(model, "fuse_unk", false);
    t->pairs->whole_words = truth_of(model, "ignore_merges", false);
    return KILN_OK;
}

/* "left right", or ["left", "right"]: the two, with the first in `copy`, which is yours. */
static bool parse_merge(const struct kiln_json *item, char **copy, const char **right)
{
    const char *text = kiln_json_text(item), *space = text ? strchr(text, ' ') : NULL;
    const struct kiln_json *left = kiln_json_first(item), *second = kiln_json_next(left);

    if (space && !strchr(space + 1, ' ')) {
        *right = space + 1;
        if ((*copy = malloc((size_t)(space - text) + 1))) {
            memcpy(*copy, text, (size_t)(space - text));
            (*copy)[space - text] = '\0';
        }
        return true;
    }
    text = kiln_json_text(left);
    *right = kiln_json_text(second);
    if (!kiln_json_is_array(item) || !text || !*right || kiln_json_next(second))
        return false;
    if ((*copy = malloc(strlen(text) + 1)))
        strcpy(*copy, text);
    return true;
}

static kiln_status take_merges(kiln_tokenizer *t, const struct kiln_json *merges, const char *path)
{
    kiln_status status = KILN_OK;
    int number = 0;

    for (const struct kiln_json *i = kiln_json_first(merges); i && !status; i = kiln_json_next(i), number++) {
        const char *right = NULL;
        char *left = NULL;

        if (!parse_merge(i, &left, &right))
            status = kiln_fail(KILN_ERROR_FILE, "%s: merge %d, wanted two tokens", path, number);
        else
            status = kiln_pairs_add_texts(t, left, right, path, number);
        free(left);
    }
    return status;
}

/* Reading: added tokens ---------------------------------------------------------------------------------- */

static kiln_status take_added(kiln_tokenizer *t, const struct kiln_json *item, const char *path)
{
    const char *content = text_of(item, "content", "");
    const int id = kiln_vocabulary_find(t->vocabulary, content);
    const struct kiln_added_token added = {.id = id,
                                           .special = truth_of(item, "special", false),
                                           .alone = truth_of(item, "single_word", false),
                                           .eat_left = truth_of(item, "lstrip", false),
                                           .eat_right = truth_of(item, "rstrip", false),
                                           .lowered = truth_of(item, "normalized", false)};

    if (id < 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: the added token \"%s\" has no number", path, content);
    return kiln_vec_push(&t->added, added) ? KILN_OK
                                           : kiln_fail(KILN_ERROR_MEMORY, "%s: out of memory", path);
}

/* The number, and the text, of every token: the model's and the added ones. */
static kiln_status take_vocabulary(kiln_tokenizer *t, const struct kiln_json *root, const char *path)
{
    const struct kiln_json *model = kiln_json_find(root, "model"),
                           *added = kiln_json_find(root, "added_tokens");
    struct kiln_numbered_tokens list = {0};
    kiln_status status = kiln_numbered_add_object(&list, kiln_json_find(model, "vocab"), path);

    for (const struct kiln_json *i = kiln_json_first(added); i && !status; i = kiln_json_next(i)) {
        int64_t id = -1;
        kiln_json_whole(kiln_json_find(i, "id"), &id);
        status = kiln_numbered_add(&list, text_of(i, "content", ""), id, path);
    }
    if (!status)
        status = kiln_numbered_make(&t->vocabulary, &list, text_of(model, "unk_token", NULL), path);
    kiln_vec_finish(&list.list);
    for (const struct kiln_json *i = kiln_json_first(added); i && !status; i = kiln_json_next(i))
        status = take_added(t, i, path);
    return status;
}

static kiln_status take_root(kiln_tokenizer *t, const struct kiln_json *root, const char *path)
{
    const struct kiln_json *model = kiln_json_find(root, "model");
    kiln_status status = check_model(model, path);

    if (!status)
        status = kiln_pairs_create(t);
    if (status)
        return status;
    t->pairs->bytes = false;
    t->pairs->split = kiln_split_nothing;
    if ((status = take_settings(t, model, path)) ||
        (status = each_step(t, kiln_json_find(root, "normalizer"), "normalizers", path, take_normalizer)) ||
        (status =
             each_step(t, kiln_json_find(root, "pre_tokenizer"), "pretokenizers", path, take_splitter)) ||
        (status = take_decoder(t, kiln_json_find(root, "decoder"), path)) ||
        (status = take_vocabulary(t, root, path)))
        return status;
    t->kind = t->pairs->bytes ? &kiln_tokens_byte_pairs : &kiln_tokens_character_pairs;
    return take_merges(t, kiln_json_find(model, "merges"), path);
}

kiln_status kiln_tokenizer_parse_json(kiln_tokenizer **out, const char *data, size_t size, const char *path)
{
    struct kiln_json *root;
    kiln_status status = kiln_json_parse(&root, data, size, path);

    *out = NULL;
    if (!status)
        status = kiln_tokenizer_create(out, &kiln_tokens_byte_pairs);
    if (!status)
        status = take_root(*out, root, path);
    kiln_json_close(&root);
    return status;
}

/* Writing ------------------------------------------------------------------------------------------------ */

static const char *json_truth(bool truth)
{
    return truth ? "true" : "false";
}

static void add_added(struct kiln_text *to, const kiln_tokenizer *t)
{
    kiln_text_add(to, "  \"added_tokens\": [");
    for (int i = 0; i < t->added.count; i++) {
        const struct kiln_added_token *a = &t->added.data[i];
        kiln_text_add(to, "%s\n    {\"id\": %d, \"content\": ", i > 0 ? "," : "", a->id);
        kiln_json_add_text(to, kiln_vocabulary_token(t->vocabulary, a->id));
        kiln_text_add(
            to, ", \"single_word\": %s, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s, \"special\": %s}",
            json_truth(a->alone), json_truth(a->eat_left), json_truth(a->eat_right), json_truth(a->lowered),
            json_truth(a->special));
    }
    kiln_text_add(to, "\n  ],\n");
}

static void add_steps(struct kiln_text *to, const kiln_tokenizer *t)
{
    const struct kiln_pairs *p = t->pairs;
    const bool regular = p->split == kiln_split_byte_level;
    const char *cutter = p->split == kiln_split_whitespace ? "Whitespace"
                         : p->split == kiln_split_spaces   ? "WhitespaceSplit"
                                                           : NULL;

    kiln_text_add(to, "  \"normalizer\": %s,\n", t->lower ? "{\"type\": \"Lowercase\"}" : "null");
    kiln_text_add(to, "  \"pre_tokenizer\": ");
    if (cutter)
        kiln_text_add(to,
                      p->bytes ? "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"%s\"}, "
                               : "{\"type\": \"%s\"}",
                      cutter);
    if (p->bytes)
        kiln_text_add(
            to,
            "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": true, \"use_regex\": %s}%s",
            json_truth(p->prefix_space), json_truth(regular), cutter ? "]}" : "");
    kiln_text_add(to, "%s,\n  \"post_processor\": null,\n  \"decoder\": ", cutter || p->bytes ? "" : "null");
    if (p->bytes)
        kiln_text_add(
            to,
            "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true},\n");
    else if (p->spaced)
        kiln_text_add(to, "null,\n");
    else if (!*p->suffix)
        kiln_text_add(to, "{\"type\": \"Fuse\"},\n");
    else {
        kiln_text_add(to, "{\"type\": \"BPEDecoder\", \"suffix\": ");
        kiln_json_add_text(to, p->suffix);
        kiln_text_add(to, "},\n");
    }
}

static void add_quoted_or_null(struct kiln_text *to, const char *key, const char *text)
{
    kiln_text_add(to, "    \"%s\": ", key);
    if (text)
        kiln_json_add_text(to, text);
    kiln_text_add(to, text ? ",\n" : "null,\n");
}

static void add_model(struct kiln_text *to, const kiln_tokenizer *t)
{
    const struct kiln_pairs *p = t->pairs;
    const kiln_vocabulary *v = t->vocabulary;

    kiln_text_add(to, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n");
    add_quoted_or_null(to, "unk_token",
                       kiln_vocabulary_token(v, kiln_vocabulary_special(v, KILN_SPECIAL_UNKNOWN)));
    kiln_text_add(to, "    \"continuing_subword_prefix\": null,\n");
    add_quoted_or_null(to, "end_of_word_suffix", *p->suffix ? p->suffix : NULL);
    kiln_text_add(to, "    \"fuse_unk\": %s,\n    \"byte_fallback\": false,\n    \"ignore_merges\": %s,\n",
                  json_truth(p->fuse_unknown), json_truth(p->whole_words));
    kiln_text_add(to, "    \"vocab\": ");
    kiln_vocabulary_add_object(to, v);
    kiln_text_add(to, ",\n    \"merges\": [");
    for (int i = 0; i < p->merges.count; i++) {
        kiln_text_add(to, i > 0 ? ",\n      [" : "\n      [");
        kiln_json_add_text(to, kiln_vocabulary_token(v, p->merges.data[i].left));
        kiln_text_add(to, ", ");
        kiln_json_add_text(to, kiln_vocabulary_token(v, p->merges.data[i].right));
        kiln_text_add(to, "]");
    }
    kiln_text_add(to, "\n    ]\n  }\n}\n");
}

kiln_status kiln_tokenizer_write_json(const kiln_tokenizer *t, struct kiln_writer *w)
{
    struct kiln_text text = {0};
    kiln_status status;

    kiln_text_add(&text, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    add_added(&text, t);
    add_steps(&text, t);
    add_model(&text, t);
    status = text.failed ? kiln_fail(KILN_ERROR_MEMORY, "tokenizer: no memory to write it")
                         : kiln_writer_add(w, text.data, text.count);
    kiln_text_finish(&text);
    return status;
}
