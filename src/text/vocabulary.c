/* vocabulary.c - tokens and their numbers: counted, ordered, kept in a text file. */
#include "text/vocabulary.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "text/texts.h"

static const struct {
    const char *token, *role;
} specials[KILN_SPECIALS] = {
    [KILN_SPECIAL_PAD] = {"<pad>", "pad"},
    [KILN_SPECIAL_UNKNOWN] = {"<unk>", "unk"},
    [KILN_SPECIAL_BEGIN] = {"<bos>", "bos"},
    [KILN_SPECIAL_END] = {"<eos>", "eos"},
};

kiln_status kiln_vocabulary_create(kiln_vocabulary **out, bool bare)
{
    kiln_vocabulary *v = calloc(1, sizeof *v);
    kiln_status status = v ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "vocabulary: out of memory");

    *out = NULL;
    for (int i = 0; v && i < KILN_SPECIALS; i++)
        v->special[i] = -1;
    for (int i = 0; i < KILN_SPECIALS && !bare && !status; i++)
        status = kiln_vocabulary_set_special(v, (kiln_special)i, specials[i].token);
    if (status)
        kiln_vocabulary_destroy(&v);
    *out = v;
    return status;
}

void kiln_vocabulary_destroy(kiln_vocabulary **v)
{
    if (*v) {
        kiln_arena_finish(&(*v)->texts);
        kiln_map_finish(&(*v)->map);
        kiln_vec_finish(&(*v)->tokens);
    }
    free(*v);
    *v = NULL;
}

int kiln_vocabulary_size(const kiln_vocabulary *v)
{
    return v->tokens.count;
}

int kiln_vocabulary_find(const kiln_vocabulary *v, const char *token)
{
    return kiln_map_find(&v->map, token);
}

const char *kiln_vocabulary_token(const kiln_vocabulary *v, int id)
{
    return id >= 0 && id < v->tokens.count ? v->tokens.data[id].text : NULL;
}

int64_t kiln_vocabulary_count(const kiln_vocabulary *v, int id)
{
    return id >= 0 && id < v->tokens.count ? v->tokens.data[id].count : 0;
}

int kiln_vocabulary_special(const kiln_vocabulary *v, kiln_special which)
{
    return which < KILN_SPECIALS ? v->special[which] : -1;
}

/* Adding ------------------------------------------------------------------------------------------------- */

/* Append a token that is not there. */
static kiln_status append(kiln_vocabulary *v, const char *token, int64_t count)
{
    const char *text = kiln_arena_text(&v->texts, token);
    const int id = v->tokens.count;

    if (!text || !kiln_vec_push(&v->tokens, (struct kiln_token){text, count}))
        return kiln_fail(KILN_ERROR_MEMORY, "vocabulary: no memory for token %d", id);
    if (!kiln_map_put(&v->map, text, id)) {
        kiln_vec_pop(&v->tokens);
        return kiln_fail(KILN_ERROR_MEMORY, "vocabulary: no memory for token %d", id);
    }
    return KILN_OK;
}

kiln_status kiln_vocabulary_add(kiln_vocabulary *v, const char *token, int64_t count)
{
    const int id = kiln_map_find(&v->map, token);
    kiln_status status;

    if (count < 0)
        return kiln_fail(KILN_ERROR_ARGUMENT,
                         "vocabulary: \"%s\" was counted %" PRId64 " times, wanted 0 or more", token, count);
    if (id >= 0) {
        v->tokens.data[id].count += count;
        return KILN_OK;
    }
    if (!*token)
        return kiln_fail(KILN_ERROR_ARGUMENT, "vocabulary: a token without a character");
    if ((status = kiln_utf8_check(token, "token")))
        return status;
    return append(v, token, count);
}

kiln_status kiln_vocabulary_set_special(kiln_vocabulary *v, kiln_special which, const char *token)
{
    const kiln_status status = kiln_vocabulary_add(v, token, 0);

    if (!status)
        v->special[which] = kiln_map_find(&v->map, token);
    return status;
}

/* Ordering ----------------------------------------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
    const struct kiln_token *x = a, *y = b;

    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : strcmp(x->text, y->text);
}

static bool is_special(const kiln_vocabulary *v, int id)
{
    bool special = false;

    for (int i = 0; i < KILN_SPECIALS; i++)
        special = special || v->special[i] == id;
    return special;
}

/* The tokens that stay, in their new order: special ones, then the others by count. How many are special. */
static int gather(const kiln_vocabulary *v, struct kiln_token *to, int64_t minimum, int *count)
{
    int first = 0, n;

    for (int id = 0; id < v->tokens.count; id++)
        if (is_special(v, id))
            to[first++] = v->tokens.data[id];
    n = first;
    for (int id = 0; id < v->tokens.count; id++)
        if (!is_special(v, id) && v->tokens.data[id].count >= minimum)
            to[n++] = v->tokens.data[id];
    qsort(to + first, (size_t)(n - first), sizeof *to, by_count);
    *count = n;
    return first;
}

kiln_status kiln_vocabulary_order(kiln_vocabulary *v, int64_t minimum, int64_t most)
{
    const int old = v->tokens.count;
    struct kiln_token *tokens = malloc((size_t)(old + 1) * sizeof *tokens);
    kiln_vocabulary *fresh = NULL, swap;
    int count, first;
    kiln_status status = kiln_vocabulary_create(&fresh, true);

    if (!status && !tokens)
        status = kiln_fail(KILN_ERROR_MEMORY, "vocabulary: no memory to order %d tokens", old);
    if (status)
        goto out;
    first = gather(v, tokens, minimum, &count);
    if (most > 0 && most < count)
        count = most < first ? first : (int)most;
    for (int i = 0; i < count && !status; i++)
        status = append(fresh, tokens[i].text, tokens[i].count);
    for (int i = 0; i < KILN_SPECIALS && !status; i++)
        if (v->special[i] >= 0)
            fresh->special[i] = kiln_map_find(&fresh->map, kiln_vocabulary_token(v, v->special[i]));
    if (!status) {
        swap = *v;
        *v = *fresh;
        *fresh = swap;
    }
out:
    kiln_vocabulary_destroy(&fresh);
    free(tokens);
    return status;
}

/* Files -------------------------------------------------------------------------------------------------- */

static const char escapes[] = "\tt\nn\rr\\\\"; /* what is written, and the letter that stands for it */

static void add_escaped(struct kiln_text *line, const char *token)
{
    for (; *token; token++) {
        const char *code = strchr(escapes, *token);
        const bool special = code && (code - escapes) % 2 == 0;
        kiln_text_add(line, special ? "\\%c" : "%c", special ? code[1] : *token);
    }
}

/* The other way, in place; false at a backslash before anything else. */
static bool unescape(char *text)
{
    char *to = text;

    for (; *text; text++, to++) {
        *to = *text;
        if (*text != '\\')
            continue;
        text++;
        *to = *text == 't' ? '\t' : *text == 'n' ? '\n' : *text == 'r' ? '\r' : '\\';
        if (!*text || !strchr("tnr\\", *text))
            return false;
    }
    *to = '\0';
    return true;
}

kiln_status kiln_vocabulary_write(const kiln_vocabulary *v, struct kiln_writer *w)
{
    struct kiln_text line = {0};
    kiln_status status = KILN_OK;

    for (int id = 0; id < v->tokens.count && !status; id++) {
        add_escaped(&line, v->tokens.data[id].text);
        kiln_text_add(&line, "\t%" PRId64, v->tokens.data[id].count);
        for (int i = 0; i < KILN_SPECIALS; i++)
            if (v->special[i] == id)
                kiln_text_add(&line, "\t%s", specials[i].role);
        kiln_text_add(&line, "\n");
        status = line.failed ? kiln_fail(KILN_ERROR_MEMORY, "vocabulary: no memory to write token %d", id)
                             : kiln_writer_add(w, line.data, line.count);
        line.count = 0;
    }
    kiln_text_finish(&line);
    return status;
}

kiln_status kiln_vocabulary_save(const kiln_vocabulary *v, const char *path)
{
    struct kiln_writer w;
    kiln_status status = kiln_writer_open(&w, path);

    if (!status && (status = kiln_vocabulary_write(v, &w)))
        kiln_writer_abandon(&w);
    return status ? status : kiln_writer_commit(&w);
}

/* Let the newest token be what the rest of its line says, "\tpad\tunk"; false for anything else. */
static bool take_roles(kiln_vocabulary *v, const char *rest)
{
    while (*rest == '\t') {
        const size_t length = strcspn(++rest, "\t");
        int i = 0;
        while (i < KILN_SPECIALS &&
               (strlen(specials[i].role) != length || memcmp(specials[i].role, rest, length) != 0))
            i++;
        if (i == KILN_SPECIALS || v->special[i] >= 0)
            return false;
        v->special[i] = v->tokens.count - 1;
        rest += length;
    }
    return *rest == '\0';
}

/* A line, which is cut up. */
static kiln_status parse_line(kiln_vocabulary *v, char *line, const char *path, int number)
{
    char *tab = strchr(line, '\t'), *rest = tab;
    long long count = -1;

    if (tab && tab[1] >= '0' && tab[1] <= '9') {
        *tab = '\0';
        count = strtoll(tab + 1, &rest, 10);
    }
    if (count < 0 || count == LLONG_MAX || !*line || !unescape(line))
        return kiln_fail(KILN_ERROR_FILE, "%s: line %d, wanted a token, a tab and a count", path, number);
    if (kiln_map_find(&v->map, line) >= 0)
        return kiln_fail(KILN_ERROR_FILE, "%s: line %d, the token \"%s\" is there twice", path, number, line);
    if (append(v, line, count))
        return KILN_ERROR_MEMORY;
    return take_roles(v, rest)
               ? KILN_OK
               : kiln_fail(KILN_ERROR_FILE,
                           "%s: line %d, behind the count is \"%s\"; wanted pad, unk, bos or eos", path,
                           number, rest + (*rest == '\t'));
}

kiln_status kiln_vocabulary_parse(kiln_vocabulary **out, const char *data, size_t size, const char *path,
                                  int line)
{
    const char *end = data + size, *newline;
    kiln_texts *one = NULL;
    kiln_vocabulary *v;
    char where[32];
    kiln_status status = kiln_vocabulary_create(&v, true);

    if (!status)
        status = kiln_texts_create(&one);
    for (; data < end && !status; data = newline + 1, line++) {
        newline = memchr(data, '\n', (size_t)(end - data));
        newline = newline ? newline : end;
        kiln_texts_clear(one);
        snprintf(where, sizeof where, ": line %d", line);
        if (!(status = kiln_texts_put(one, data, (size_t)(newline - data))) &&
            !(status = kiln_utf8_check_at(one->data, path, where)))
            status = parse_line(v, one->data, path, line);
    }
    kiln_texts_destroy(&one);
    if (status)
        kiln_vocabulary_destroy(&v);
    *out = v;
    return status;
}

kiln_status kiln_vocabulary_load(kiln_vocabulary **out, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);

    *out = NULL;
    if (status)
        return status;
    status = kiln_vocabulary_parse(out, file.data, file.size, path, 1);
    kiln_file_unmap(&file);
    return status;
}
