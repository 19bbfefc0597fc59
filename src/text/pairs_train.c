/*
 * pairs_train.c - byte pairs learned: the most frequent pair of neighbours becomes a token, again and again.
 *
 * Each different piece of the texts is kept once, as tokens, with how often it occurs. A pair knows its count and the pieces that
 * hold it, so a merge looks at those alone and changes the counts of the pairs it breaks and makes. The queue has an entry for
 * every count that a pair once reached by growing: what has shrunk since is put back with its true count when it comes up.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/heap.h"
#include "text/pairs.h"

enum { USUAL_SIZE = 8000 };

struct piece {
    int64_t count;
    int first, length; /* its tokens, in `tokens` */
};

struct pair {
    int left, right;
    int64_t count;
    int grown;            /* in which merge it last became more */
    KILN_VEC(int) pieces; /* that hold it, or did */
};

struct trainer {
    kiln_tokenizer *t;
    struct kiln_map known; /* pieces to their numbers */
    KILN_VEC(struct piece) pieces;
    KILN_VEC(int) tokens;
    KILN_VEC(struct pair) pairs;
    struct kiln_pairs index; /* pair of tokens to its number in `pairs` */
    KILN_VEC(int) grown;     /* pairs that became more in the present merge */
    struct kiln_heap queue;
};

static kiln_status no_memory(void)
{
    return kiln_fail(KILN_ERROR_MEMORY, "tokenizer: no memory to learn pairs");
}

/* Pieces ------------------------------------------------------------------------------------------------- */

static bool count_piece(struct trainer *r, const char *piece)
{
    const int at = kiln_map_find(&r->known, piece);

    if (at >= 0) {
        r->pieces.data[at].count++;
        return true;
    }
    return kiln_map_put(&r->known, piece, r->pieces.count) &&
           kiln_vec_push(&r->pieces, (struct piece){.count = 1});
}

/* Count the pieces of all texts; distinct ones go into `different`, in order of appearance. */
static kiln_status count_pieces(struct trainer *r, const kiln_texts *texts, kiln_texts *different)
{
    kiln_texts *pieces = NULL;
    kiln_status status = kiln_texts_create(&pieces);

    for (int64_t i = 0; i < kiln_texts_count(texts) && !status; i++) {
        kiln_texts_clear(pieces);
        status = kiln_pairs_split(r->t->pairs, kiln_texts_get(texts, i), pieces);
        for (int64_t k = 0; !status && k < kiln_texts_count(pieces); k++) {
            const char *piece = kiln_texts_get(pieces, k);
            const int before = r->pieces.count;
            if (!count_piece(r, piece))
                status = no_memory();
            else if (r->pieces.count > before)
                status = kiln_texts_put(different, piece, strlen(piece));
        }
    }
    kiln_texts_destroy(&pieces);
    return status;
}

/* Characters --------------------------------------------------------------------------------------------- */

/* Where a character occurs: at the end of a piece, elsewhere. */
enum { INSIDE = 1, AT_END = 2 };

static void mark(unsigned char *flags, const kiln_texts *pieces)
{
    int32_t c;

    for (int64_t i = 0; i < kiln_texts_count(pieces); i++)
        for (const char *at = kiln_texts_get(pieces, i); (c = kiln_utf8_next(&at)) > 0;)
            flags[c] |= *at ? INSIDE : AT_END;
}

static kiln_status add_character(kiln_vocabulary *v, int32_t c, const char *suffix)
{
    char token[4 + KILN_SUFFIX_ROOM];

    strcpy(token + kiln_utf8_write(token, c), suffix);
    return kiln_vocabulary_add(v, token, 0);
}

/* All that occur become tokens in their order, of bytes all 256; then those at ends, with the suffix. */
static kiln_status add_alphabet(struct trainer *r, const kiln_texts *pieces)
{
    const struct kiln_pairs *p = r->t->pairs;
    unsigned char *flags = calloc(0x110000, 1);
    kiln_status status = flags ? KILN_OK : no_memory();

    for (int byte = 0; flags && p->bytes && byte < 256; byte++)
        flags[kiln_byte_character((unsigned char)byte)] = INSIDE;
    if (flags)
        mark(flags, pieces);
    for (int32_t c = 1; c < 0x110000 && !status; c++)
        if (flags[c])
            status = add_character(r->t->vocabulary, c, "");
    for (int32_t c = 1; c < 0x110000 && !status && *p->suffix; c++)
        if (flags[c] & AT_END)
            status = add_character(r->t->vocabulary, c, p->suffix);
    free(flags);
    return status;
}

static bool spell(struct trainer *r, struct piece *piece, const char *text)
{
    char token[4 + KILN_SUFFIX_ROOM];
    int32_t c;

    piece->first = r->tokens.count;
    while ((c = kiln_utf8_next(&text)) > 0) {
        strcpy(token + kiln_utf8_write(token, c), *text ? "" : r->t->pairs->suffix);
        if (!kiln_vec_push(&r->tokens, kiln_vocabulary_find(r->t->vocabulary, token)))
            return false;
    }
    piece->length = r->tokens.count - piece->first;
    return true;
}

/* Pairs -------------------------------------------------------------------------------------------------- */

/* The pair of two tokens, made if it is not there; NULL when out of memory. */
static struct pair *pair_of(struct trainer *r, int left, int right)
{
    int at = kiln_pairs_find(&r->index, left, right);

    if (at < 0) {
        at = r->pairs.count;
        if (!kiln_vec_push(&r->pairs, (struct pair){.left = left, .right = right, .grown = -1}) ||
            !kiln_pairs_add(&r->index, (struct kiln_merge){left, right, at}))
            return NULL;
    }
    return &r->pairs.data[at];
}

/* So many more (or less) of a pair, in a piece. */
static bool change(struct trainer *r, int left, int right, int64_t by, int piece)
{
    struct pair *pair = pair_of(r, left, right);

    if (!pair)
        return false;
    pair->count += by;
    if (by > 0 && pair->grown != r->t->pairs->merges.count) {
        pair->grown = r->t->pairs->merges.count;
        if (!kiln_vec_push(&r->grown, (int)(pair - r->pairs.data)))
            return false;
    }
    if (by > 0 && (pair->pieces.count == 0 || pair->pieces.data[pair->pieces.count - 1] != piece))
        return kiln_vec_push(&pair->pieces, piece);
    return true;
}

static bool enqueue(struct trainer *r, const struct pair *pair)
{
    return kiln_heap_push(&r->queue,
                          (struct kiln_heap_item){UINT64_MAX - (uint64_t)pair->count,
                                                  (uint64_t)pair->left << 32 | (uint64_t)pair->right});
}

/* Queue what has grown. */
static bool enqueue_grown(struct trainer *r)
{
    bool fits = true;

    for (int i = 0; i < r->grown.count && fits; i++) {
        const struct pair *pair = &r->pairs.data[r->grown.data[i]];
        fits = pair->count < 1 || enqueue(r, pair);
    }
    r->grown.count = 0;
    return fits;
}

static bool count_pairs(struct trainer *r)
{
    bool fits = true;

    for (int i = 0; i < r->pieces.count && fits; i++) {
        const struct piece *piece = &r->pieces.data[i];
        for (int k = 0; k + 1 < piece->length && fits; k++) {
            const int *token = &r->tokens.data[piece->first + k];
            fits = change(r, token[0], token[1], piece->count, i);
        }
    }
    return fits && enqueue_grown(r);
}

/* The most frequent pair; NULL where none is left. */
static struct pair *best_pair(struct trainer *r, bool *fits)
{
    struct kiln_heap_item item;

    while (*fits && kiln_heap_pop(&r->queue, &item)) {
        struct pair *pair =
            &r->pairs.data[kiln_pairs_find(&r->index, (int)(item.second >> 32), (int)(uint32_t)item.second)];

        if (UINT64_MAX - item.first == (uint64_t)pair->count)
            return pair;
        if (pair->count > 0 && UINT64_MAX - item.first > (uint64_t)pair->count)
            *fits = enqueue(r, pair);
    }
    return NULL;
}

/* Merging ------------------------------------------------------------------------------------------------ */

/* Merge a pair in a piece, left to right, and change the counts of its neighbours' pairs. */
static bool merge_in(struct trainer *r, int left, int right, int to, int number)
{
    struct piece *piece = &r->pieces.data[number];
    int *token = r->tokens.data + piece->first;
    const int64_t count = piece->count;
    int length = 0;
    bool fits = true;

    for (int i = 0; i < piece->length && fits; i++) {
        if (i + 1 == piece->length || token[i] != left || token[i + 1] != right) {
            token[length++] = token[i];
            continue;
        }
        if (length > 0)
            fits = change(r, token[length - 1], left, -count, number) &&
                   change(r, token[length - 1], to, count, number);
        if (fits && i + 2 < piece->length)
            fits =
                change(r, right, token[i + 2], -count, number) && change(r, to, token[i + 2], count, number);
        token[length++] = to;
        i++;
    }
    piece->length = length;
    return fits;
}

static int add_token(struct trainer *r, int left, int right)
{
    kiln_vocabulary *v = r->t->vocabulary;
    const char *a = kiln_vocabulary_token(v, left), *b = kiln_vocabulary_token(v, right);
    char *token = malloc(strlen(a) + strlen(b) + 1);
    int to = -1;

    if (token) {
        strcpy(token, a);
        strcat(token, b);
        to = kiln_vocabulary_add(v, token, 0) ? -1 : kiln_vocabulary_find(v, token);
    }
    free(token);
    return to;
}

/* Make a token of a pair everywhere; the pairs that come up by it are queued. */
static kiln_status merge(struct trainer *r, struct pair *best)
{
    const int left = best->left, right = best->right, number = (int)(best - r->pairs.data);
    const int count = best->pieces.count, to = add_token(r, left, right);
    int *pieces = best->pieces.data;
    bool fits = to >= 0 && kiln_pairs_add(r->t->pairs, (struct kiln_merge){left, right, to});

    memset(&best->pieces, 0, sizeof best->pieces);
    best->count = 0;
    for (int i = 0; i < count && fits; i++)
        fits = merge_in(r, left, right, to, pieces[i]);
    free(pieces);
    if (r->pairs.data[number].count < 0) /* of three alike, two were merged */
        r->pairs.data[number].count = 0;
    return fits && enqueue_grown(r) ? KILN_OK : no_memory();
}

static kiln_status learn(struct trainer *r, int64_t size, int64_t minimum)
{
    bool fits = count_pairs(r);
    kiln_status status = fits ? KILN_OK : no_memory();

    while (!status && kiln_vocabulary_size(r->t->vocabulary) < size) {
        struct pair *best = best_pair(r, &fits);
        if (!fits)
            return no_memory();
        if (!best || best->count < minimum)
            break;
        status = merge(r, best);
    }
    return status;
}

static void finish(struct trainer *r)
{
    for (int i = 0; i < r->pairs.count; i++)
        kiln_vec_finish(&r->pairs.data[i].pieces);
    kiln_map_finish(&r->known);
    kiln_vec_finish(&r->pieces);
    kiln_vec_finish(&r->tokens);
    kiln_vec_finish(&r->pairs);
    kiln_vec_finish(&r->grown);
    kiln_vec_finish(&r->index.merges);
    free(r->index.slots);
    kiln_vec_finish(&r->queue.items);
}

/* The special tokens of a vocabulary are looked for in texts. */
static kiln_status add_specials(kiln_tokenizer *t)
{
    for (int id = 0; id < kiln_vocabulary_size(t->vocabulary); id++)
        if (!kiln_vec_push(&t->added, (struct kiln_added_token){.id = id, .special = true}))
            return no_memory();
    return KILN_OK;
}

kiln_status kiln_pairs_train(kiln_tokenizer *t, const kiln_texts *texts, const kiln_tokenizer_params *params)
{
    struct trainer r = {.t = t};
    kiln_texts *pieces = NULL;
    kiln_status status = kiln_pairs_create(t);

    if (!status)
        status = add_specials(t);
    if (!status)
        status = kiln_texts_create(&pieces);
    if (!status && !(status = count_pieces(&r, texts, pieces)))
        status = add_alphabet(&r, pieces);
    for (int i = 0; i < r.pieces.count && !status; i++)
        status = spell(&r, &r.pieces.data[i], kiln_texts_get(pieces, i)) ? KILN_OK : no_memory();
    if (!status)
        status = learn(&r, params->size > 0 ? params->size : USUAL_SIZE,
                       params->minimum > 1 ? params->minimum : 1);
    finish(&r);
    kiln_texts_destroy(&pieces);
    return status;
}
