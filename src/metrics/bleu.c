/*
 * bleu.c - BLEU (Papineni et al. 2002), as sacreBLEU computes it (Post 2018).
 *
 *   BLEU = 100 min(1, exp(1 - R / L)) exp(mean over n = 1 .. 4 of log(hits_n / counts_n))
 *
 * L is the length of the guesses, R that of the references closest to them; hits are summed over all texts. Words are those of
 * mteval-v13a: its four regular expressions are four passes here, each over what the one before wrote.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "metrics/ngrams.h"
#include "metrics/sentence.h"

/* Words of mteval-v13a ----------------------------------------------------------------------------------- */

/* Replace a piece of a text by one that is no longer, everywhere. */
static void replace(char *text, const char *from, const char *by)
{
    const size_t length = strlen(from), other = strlen(by);
    char *to = text;

    while (*text) {
        if (strncmp(text, from, length) == 0) {
            memcpy(to, by, other);
            to += other;
            text += length;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_stop(char c)
{
    return c == '.' || c == ',';
}

static bool is_sign(char c)
{
    return c && strchr("{|}~[\\]^_` !\"#$%&()*+:;<=>?@/", c);
}

/* Where a pattern matches c, followed by `next`, and what is written then. Returns the bytes that matched. */
typedef int (*pattern)(char c, char next, char **to);

static int put(char **to, int matched, const char *text, size_t bytes)
{
    memcpy(*to, text, bytes);
    *to += bytes;
    return matched;
}

static int sign(char c, char next, char **to)
{
    (void)next;
    return is_sign(c) ? put(to, 1, (const char[]){' ', c, ' '}, 3) : 0;
}

static int stop_unless_digit_before(char c, char next, char **to)
{
    return !is_digit(c) && is_stop(next) ? put(to, 2, (const char[]){c, ' ', next, ' '}, 4) : 0;
}

static int stop_unless_digit_behind(char c, char next, char **to)
{
    return is_stop(c) && next && !is_digit(next) ? put(to, 2, (const char[]){' ', c, ' ', next}, 4) : 0;
}

static int dash_behind_digit(char c, char next, char **to)
{
    return is_digit(c) && next == '-' ? put(to, 2, (const char[]){c, ' ', next, ' '}, 4) : 0;
}

/* The text with a pattern's matches rewritten; takes `text`. NULL when out of memory. */
static char *rewrite(char *text, pattern matches)
{
    char *out = text ? malloc(3 * strlen(text) + 1) : NULL, *to = out;

    for (const char *c = text; out && *c;) {
        const int matched = matches(c[0], c[1], &to);
        if (matched == 0)
            *to++ = *c;
        c += matched > 0 ? matched : 1;
    }
    if (out)
        *to = '\0';
    free(text);
    return out;
}

/* The text between two spaces, without those at its end. Takes `text`. */
static char *between_spaces(char *text)
{
    size_t kept = 0;
    char *out;

    for (const char *at = text; text && *at;) {
        const int32_t c = kiln_utf8_next(&at);
        if (!kiln_is_python_space(c))
            kept = (size_t)(at - text);
    }
    if (text && (out = malloc(kept + 3))) {
        out[0] = ' ';
        memcpy(out + 1, text, kept);
        strcpy(out + 1 + kept, " ");
    } else {
        out = NULL;
    }
    free(text);
    return out;
}

static kiln_status split_13a(kiln_texts *words, const char *text, bool lower)
{
    static const pattern patterns[] = {sign, stop_unless_digit_before, stop_unless_digit_behind,
                                       dash_behind_digit};
    static const char *const pieces[][2] = {{"<skipped>", ""}, {"-\n", ""},   {"\n", " "},  {"&quot;", "\""},
                                            {"&amp;", "&"},    {"&lt;", "<"}, {"&gt;", ">"}};
    char *line = between_spaces(kiln_sentence_copy(text, lower));
    kiln_status status;

    for (size_t i = 0; line && i < sizeof pieces / sizeof *pieces; i++)
        replace(line, pieces[i][0], pieces[i][1]);
    for (size_t i = 0; line && i < sizeof patterns / sizeof *patterns; i++)
        line = rewrite(line, patterns[i]);
    status = line ? kiln_sentence_split(words, line) : kiln_fail(KILN_ERROR_MEMORY, "BLEU: out of memory");
    free(line);
    return status;
}

/* Counting ----------------------------------------------------------------------------------------------- */

static kiln_status words_of(const char *text, const kiln_bleu_params *p, struct kiln_map *numbers,
                            struct kiln_items *items)
{
    kiln_texts *words = NULL;
    char *lower = NULL;
    kiln_status status = kiln_texts_create(&words);

    if (!status && p->tokenized)
        status = (lower = kiln_sentence_copy(text, p->lower))
                     ? kiln_sentence_split(words, lower)
                     : kiln_fail(KILN_ERROR_MEMORY, "BLEU: out of memory");
    else if (!status)
        status = split_13a(words, text, p->lower);
    for (int64_t i = 0; !status && i < kiln_texts_count(words); i++)
        if (!kiln_items_add_word(items, numbers, kiln_texts_get(words, i)))
            status = kiln_fail(KILN_ERROR_MEMORY, "BLEU: out of memory");
    free(lower);
    kiln_texts_destroy(&words);
    return status;
}

/* The reference length closest to that of the guess, of equally close ones the smaller. */
static int64_t closest(const struct kiln_items *guess, const struct kiln_items *references, int count)
{
    int64_t best = references[0].list.count;

    for (int i = 1; i < count; i++) {
        const int64_t length = references[i].list.count;
        const int64_t far = llabs(length - guess->list.count), least = llabs(best - guess->list.count);
        if (far < least || (far == least && length < best))
            best = length;
    }
    return best;
}

static bool count_order(kiln_bleu *b, const struct kiln_items *guess, const struct kiln_items *references,
                        int count, int n)
{
    struct kiln_ngrams own = {0}, others[KILN_MOST_REFERENCES] = {{0}};
    bool fits = kiln_ngrams_make(&own, guess->list.data, guess->list.count, n);

    for (int i = 0; i < count && fits; i++)
        fits = kiln_ngrams_make(&others[i], references[i].list.data, references[i].list.count, n);
    if (fits) {
        b->counts[n - 1] += own.count;
        b->hits[n - 1] += kiln_ngrams_match(&own, others, count);
    }
    kiln_ngrams_free(&own);
    for (int i = 0; i < count; i++)
        kiln_ngrams_free(&others[i]);
    return fits;
}

static kiln_status count_text(kiln_bleu *b, const char *guess, const kiln_texts *const *references, int count,
                              int64_t row, const kiln_bleu_params *p)
{
    struct kiln_items own = {0}, others[KILN_MOST_REFERENCES] = {{{0}}};
    struct kiln_map numbers = {0};
    kiln_status status = words_of(guess, p, &numbers, &own);

    for (int i = 0; i < count && !status; i++)
        status = words_of(kiln_texts_get(references[i], row), p, &numbers, &others[i]);
    for (int n = 1; n <= KILN_BLEU_ORDER && !status; n++)
        if (!count_order(b, &own, others, count, n))
            status = kiln_fail(KILN_ERROR_MEMORY, "BLEU: out of memory");
    if (!status) {
        b->length += own.list.count;
        b->reference_length += closest(&own, others, count);
    }
    kiln_vec_finish(&own.list);
    for (int i = 0; i < count; i++)
        kiln_vec_finish(&others[i].list);
    kiln_map_finish(&numbers);
    return status;
}

/* The score ---------------------------------------------------------------------------------------------- */

static double precision_of(const kiln_bleu *b, int i, const kiln_bleu_params *p, double *halves)
{
    const double value = kiln_real_or(p->smoothing_value, p->smoothing == KILN_BLEU_FLOOR ? 0.1 : 1);
    const double added = p->smoothing == KILN_BLEU_ADD_K && i > 0 ? value : 0;
    const double hits = (double)b->hits[i] + added, counts = (double)b->counts[i] + added;

    if (counts == 0)
        return -1;
    if (hits > 0)
        return 100 * hits / counts;
    *halves *= 2;
    return p->smoothing == KILN_BLEU_EXP     ? 100 / (*halves * counts)
           : p->smoothing == KILN_BLEU_FLOOR ? 100 * value / counts
                                             : 0;
}

static void score(kiln_bleu *b, const kiln_bleu_params *p, bool sentence)
{
    double halves = 1, sum = 0;
    int order = sentence ? 0 : KILN_BLEU_ORDER;
    bool any = false;

    b->brevity = b->length >= b->reference_length ? 1
                 : b->length > 0                  ? exp(1 - (double)b->reference_length / (double)b->length)
                                                  : 0;
    for (int i = 0; i < KILN_BLEU_ORDER; i++)
        any = any || b->hits[i] > 0;
    for (int i = 0; i < KILN_BLEU_ORDER && any; i++) {
        const double precision = precision_of(b, i, p, &halves);
        if (precision < 0)
            break;
        b->precision[i] = precision;
        order = sentence ? i + 1 : order;
    }
    for (int i = 0; i < order; i++)
        sum += b->precision[i] > 0 ? log(b->precision[i]) : -9999999999;
    b->score = any && order > 0 ? b->brevity * exp(sum / order) : 0;
}

static kiln_status check(const kiln_bleu_params *p)
{
    return p->smoothing <= KILN_BLEU_NONE && p->smoothing_value >= 0
               ? KILN_OK
               : kiln_fail(KILN_ERROR_ARGUMENT, "BLEU: smoothing %d by %g", (int)p->smoothing,
                           p->smoothing_value);
}

static kiln_status bleu(kiln_bleu *out, const kiln_texts *guesses, const kiln_texts *const *references,
                        int count, const kiln_bleu_params *params, bool sentence)
{
    const kiln_bleu_params p = params ? *params : (kiln_bleu_params){0};
    kiln_bleu b = {0};
    kiln_status status = check(&p);

    *out = b;
    if (!status)
        status = kiln_sentence_check("BLEU", guesses, references, count);
    for (int64_t i = 0; !status && i < kiln_texts_count(guesses); i++)
        status = count_text(&b, kiln_texts_get(guesses, i), references, count, i, &p);
    if (status)
        return status;
    score(&b, &p, sentence);
    *out = b;
    return KILN_OK;
}

kiln_status kiln_bleu_corpus(kiln_bleu *out, const kiln_texts *guesses, const kiln_texts *const *references,
                             int count, const kiln_bleu_params *params)
{
    return bleu(out, guesses, references, count, params, false);
}

kiln_status kiln_bleu_sentence(kiln_bleu *out, const char *guess, const char *const *references, int count,
                               const kiln_bleu_params *params)
{
    kiln_texts *own = NULL, *others[KILN_MOST_REFERENCES] = {NULL};
    kiln_status status = kiln_sentence_lists(guess, references, count, &own, others);

    *out = (kiln_bleu){0};
    if (!status)
        status = bleu(out, own, (const kiln_texts *const *)others, count, params, true);
    kiln_texts_destroy(&own);
    for (int i = 0; i < KILN_MOST_REFERENCES; i++)
        kiln_texts_destroy(&others[i]);
    return status;
}
