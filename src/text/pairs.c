/*
 * pairs.c - byte pairs applied: a piece's characters are a linked list, its pairs with a rule a queue by rule and place.
 *
 * A merge outdates entries of the queue; they are recognised when they come up, by the tokens that are no longer there. So a piece
 * of n characters takes n log n steps, however long it is.
 */
#include "text/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "text/heap.h"

enum { MIDDLE_BYTES = 256 - 188 }; /* bytes that are not printable in Latin-1 */

/* Rules -------------------------------------------------------------------------------------------------- */

struct kiln_pair_slot {
    uint64_t key; /* left and right, plus 1 so that 0 is free */
    int rule;
};

static uint64_t key_of(int left, int right)
{
    return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
}

static struct kiln_pair_slot *probe(struct kiln_pair_slot *slots, int capacity, uint64_t key)
{
    const size_t mask = (size_t)capacity - 1;
    size_t at = (size_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 20) & mask;

    while (slots[at].key && slots[at].key != key)
        at = (at + 1) & mask;
    return &slots[at];
}

static bool grow(struct kiln_pairs *p)
{
    const int capacity = p->capacity ? p->capacity * 2 : 1024;
    struct kiln_pair_slot *slots = calloc((size_t)capacity, sizeof *slots);

    if (!slots)
        return false;
    for (int i = 0; i < p->capacity; i++)
        if (p->slots[i].key)
            *probe(slots, capacity, p->slots[i].key) = p->slots[i];
    free(p->slots);
    p->slots = slots;
    p->capacity = capacity;
    return true;
}

bool kiln_pairs_add(struct kiln_pairs *p, struct kiln_merge merge)
{
    struct kiln_pair_slot *slot;

    if (2 * (p->merges.count + 1) > p->capacity && !grow(p))
        return false;
    slot = probe(p->slots, p->capacity, key_of(merge.left, merge.right));
    if (!slot->key)
        *slot = (struct kiln_pair_slot){key_of(merge.left, merge.right), p->merges.count};
    return kiln_vec_push(&p->merges, merge);
}

int kiln_pairs_find(const struct kiln_pairs *p, int left, int right)
{
    const struct kiln_pair_slot *slot =
        p->capacity ? probe(p->slots, p->capacity, key_of(left, right)) : NULL;

    return slot && slot->key ? slot->rule : -1;
}

kiln_status kiln_pairs_create(kiln_tokenizer *t)
{
    struct kiln_pairs *p = t->pairs = calloc(1, sizeof *p);

    if (!p)
        return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: out of memory");
    p->bytes = t->kind == &kiln_tokens_byte_pairs;
    p->split = p->bytes ? kiln_split_byte_level : kiln_split_whitespace;
    if (!p->bytes)
        strcpy(p->suffix, "</w>");
    return KILN_OK;
}

void kiln_pairs_destroy(struct kiln_pairs **p)
{
    if (*p) {
        kiln_vec_finish(&(*p)->merges);
        free((*p)->slots);
    }
    free(*p);
    *p = NULL;
}

/* Bytes -------------------------------------------------------------------------------------------------- */

static bool is_printable(int byte)
{
    return (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
}

/* The i-th byte that is not printable: 0x00 .. 0x20, 0x7F .. 0xA0, 0xAD. */
static int unprintable(int i)
{
    return i < 33 ? i : i < 67 ? i - 33 + 0x7F : 0xAD;
}

int32_t kiln_byte_character(unsigned char byte)
{
    const int before = byte < 33 ? byte : byte < 0xAD ? byte - 0x7F + 33 : 67;

    return is_printable(byte) ? byte : 256 + before;
}

int kiln_character_byte(int32_t c)
{
    if (c >= 256 && c < 256 + MIDDLE_BYTES)
        return unprintable(c - 256);
    return c > 0 && c < 256 && is_printable(c) ? c : -1;
}

/* The pieces with each byte as its character. */
static kiln_status to_characters(kiln_texts *pieces, const kiln_texts *raw)
{
    char *piece = malloc(2 * raw->used + 1);
    kiln_status status =
        piece ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "tokenizer: no memory for %zu bytes", raw->used);

    for (size_t i = 0; i < raw->count && !status; i++) {
        const char *byte = raw->data + raw->first[i];
        char *to = piece;
        for (; *byte; byte++)
            to += kiln_utf8_write(to, kiln_byte_character((unsigned char)*byte));
        status = kiln_texts_put(pieces, piece, (size_t)(to - piece));
    }
    free(piece);
    return status;
}

static kiln_status split_spaced(const struct kiln_pairs *p, const char *text, kiln_texts *pieces)
{
    const size_t bytes = strlen(text);
    char *spaced;
    kiln_status status;

    if (!p->prefix_space || bytes == 0 || *text == ' ')
        return p->split(pieces, text);
    if (!(spaced = malloc(bytes + 2)))
        return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: no memory for %zu bytes", bytes);
    spaced[0] = ' ';
    memcpy(spaced + 1, text, bytes + 1);
    status = p->split(pieces, spaced);
    free(spaced);
    return status;
}

kiln_status kiln_pairs_split(const struct kiln_pairs *p, const char *text, kiln_texts *pieces)
{
    kiln_texts *raw = NULL;
    kiln_status status;

    if (!p->bytes)
        return split_spaced(p, text, pieces);
    if (!(status = kiln_texts_create(&raw)) && !(status = split_spaced(p, text, raw)))
        status = to_characters(pieces, raw);
    kiln_texts_destroy(&raw);
    return status;
}

/* Encoding ----------------------------------------------------------------------------------------------- */

struct symbol {
    int id; /* -1: merged into the one before */
    int previous, next;
};

/* What encoding works on; kept from piece to piece. */
struct work {
    KILN_VEC(struct symbol) symbols;
    struct kiln_heap queue;
};

static kiln_status no_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: out of memory");
}

/* Queue the pair that begins at a symbol, if it has a rule. */
static bool consider(const struct kiln_pairs *p, struct work *w, int at)
{
    const struct symbol *s = w->symbols.data;
    const int next = at < 0 ? -1 : s[at].next;
    const int rule = next < 0 ? -1 : kiln_pairs_find(p, s[at].id, s[next].id);

    return rule < 0 ||
           kiln_heap_push(&w->queue, (struct kiln_heap_item){(uint64_t)(uint32_t)rule << 32 | (uint32_t)at,
                                                             key_of(s[at].id, s[next].id)});
}

static bool merge_all(const struct kiln_pairs *p, struct work *w)
{
    struct symbol *s = w->symbols.data;
    struct kiln_heap_item item;
    bool fits = true;

    for (int i = 0; i < w->symbols.count && fits; i++)
        fits = consider(p, w, i);
    while (fits && kiln_heap_pop(&w->queue, &item)) {
        const int at = (int)(uint32_t)item.first, next = s[at].id < 0 ? -1 : s[at].next;

        if (next < 0 || key_of(s[at].id, s[next].id) != item.second)
            continue;
        s[at].id = p->merges.data[item.first >> 32].to;
        s[at].next = s[next].next;
        s[next].id = -1;
        if (s[at].next >= 0)
            s[s[at].next].previous = at;
        fits = consider(p, w, s[at].previous) && consider(p, w, at);
    }
    return fits;
}

static bool add_symbol(struct work *w, int id)
{
    const int at = w->symbols.count;

    if (at > 0)
        w->symbols.data[at - 1].next = at;
    return kiln_vec_push(&w->symbols, (struct symbol){id, at - 1, -1});
}

/* A piece's characters as symbols; what is unknown is <unk>, or nothing where there is none. */
static bool spell(const kiln_tokenizer *t, struct work *w, const char *piece)
{
    const struct kiln_pairs *p = t->pairs;
    const int unknown = kiln_vocabulary_special(t->vocabulary, KILN_SPECIAL_UNKNOWN);
    char token[4 + KILN_SUFFIX_ROOM];
    int32_t c;
    bool fits = true;

    w->symbols.count = 0;
    while (fits && (c = kiln_utf8_next(&piece)) > 0) {
        const size_t bytes = kiln_utf8_write(token, c);
        int id;

        strcpy(token + bytes, *piece ? "" : p->suffix);
        id = kiln_vocabulary_find(t->vocabulary, token);
        if (id >= 0)
            fits = add_symbol(w, id);
        else if (unknown >= 0 && !(p->fuse_unknown && w->symbols.count > 0 &&
                                   w->symbols.data[w->symbols.count - 1].id == unknown))
            fits = add_symbol(w, unknown);
    }
    return fits;
}

static bool encode_piece(const kiln_tokenizer *t, struct work *w, const char *piece, struct kiln_ids *ids)
{
    const int whole = t->pairs->whole_words ? kiln_vocabulary_find(t->vocabulary, piece) : -1;
    bool fits;

    if (whole >= 0)
        return kiln_vec_push(&ids->list, whole);
    fits = spell(t, w, piece) && merge_all(t->pairs, w);
    for (int i = 0; i < w->symbols.count && fits; i++)
        if (w->symbols.data[i].id >= 0)
            fits = kiln_vec_push(&ids->list, w->symbols.data[i].id);
    return fits;
}

static kiln_status encode_pairs(const kiln_tokenizer *t, const char *text, struct kiln_ids *ids)
{
    struct work w = {0};
    kiln_texts *pieces = NULL;
    kiln_status status = kiln_texts_create(&pieces);

    if (!status)
        status = kiln_pairs_split(t->pairs, text, pieces);
    for (int64_t i = 0; !status && i < kiln_texts_count(pieces); i++)
        status = encode_piece(t, &w, kiln_texts_get(pieces, i), ids) ? KILN_OK : no_memory();
    kiln_texts_destroy(&pieces);
    kiln_vec_finish(&w.symbols);
    kiln_vec_finish(&w.queue.items);
    return status;
}

/* Decoding ----------------------------------------------------------------------------------------------- */

/* Write the bytes that a token's characters stand for; one with others is written as it is. */
static char *put_bytes(char *to, const char *token)
{
    char *start = to;
    int32_t c;

    for (const char *at = token; (c = kiln_utf8_next(&at)) > 0;) {
        const int byte = kiln_character_byte(c);
        if (byte < 0) {
            memcpy(start, token, strlen(token));
            return start + strlen(token);
        }
        *to++ = (char)byte;
    }
    return to;
}

/* How many bytes, at least 1, began a character that they do not end: a first byte and what may follow it. */
static size_t fault_length(const char *from, size_t left)
{
    const unsigned char first = (unsigned char)from[0];
    char whole[4] = {from[0], (char)0x80, (char)0x80, (char)0x80};
    size_t bytes = 1;

    if (first == 0xE0 || first == 0xF0) /* these need a larger second byte */
        whole[1] = (char)0xBF;
    for (const size_t most = kiln_utf8_bytes(whole, 4); bytes + 1 < most && bytes < left; bytes++) {
        whole[bytes] = from[bytes];
        if (kiln_utf8_bytes(whole, 4) == 0)
            break;
    }
    return bytes;
}

/* Bytes as a text: what is no UTF-8 becomes U+FFFD, once for as many bytes as began a character. Needs 3 bytes a byte. */
static void repair(char *to, const char *from, size_t bytes)
{
    static const char replacement[] = "\xEF\xBF\xBD";

    for (const char *end = from + bytes; from < end;) {
        const char *next = from;

        if (kiln_utf8_next(&next) <= 0) {
            next = from + fault_length(from, (size_t)(end - from));
            memcpy(to, replacement, 3);
            to += 3;
        } else {
            memcpy(to, from, (size_t)(next - from));
            to += next - from;
        }
        from = next;
    }
    *to = '\0';
}

static kiln_status decode_bytes(const kiln_tokenizer *t, const kiln_texts *tokens, char **text)
{
    char *bytes = malloc(tokens->used + 1), *end = bytes;

    (void)t;
    *text = malloc(3 * tokens->used + 1);
    if (!bytes || !*text) {
        free(bytes);
        free(*text);
        *text = NULL;
        return no_memory();
    }
    for (size_t i = 0; i < tokens->count; i++)
        end = put_bytes(end, tokens->data + tokens->first[i]);
    *end = '\0';
    repair(*text, bytes, (size_t)(end - bytes));
    free(bytes);
    return KILN_OK;
}

/* Tokens side by side, a space for each suffix but the last token's; or spaces between all. */
static kiln_status decode_suffixes(const kiln_tokenizer *t, const kiln_texts *tokens, char **text)
{
    const char *suffix = t->pairs->suffix;
    const size_t length = strlen(suffix);
    char *to = *text = malloc(tokens->used + 1);

    if (!to)
        return no_memory();
    for (size_t i = 0; i < tokens->count; i++) {
        const char *token = tokens->data + tokens->first[i];
        size_t bytes = strlen(token);
        const bool ends =
            length > 0 && !t->pairs->spaced && bytes >= length && strcmp(token + bytes - length, suffix) == 0;

        bytes -= ends ? length : 0;
        memcpy(to, token, bytes);
        to += bytes;
        if ((ends || t->pairs->spaced) && i + 1 < tokens->count)
            *to++ = ' ';
    }
    *to = '\0';
    return KILN_OK;
}

const struct kiln_tokens_kind kiln_tokens_byte_pairs = {"byte pairs", kiln_pairs_train, encode_pairs,
                                                        decode_bytes};
const struct kiln_tokens_kind kiln_tokens_character_pairs = {"character pairs", kiln_pairs_train,
                                                             encode_pairs, decode_suffixes};
