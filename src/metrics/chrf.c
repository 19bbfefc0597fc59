/*
 * chrf.c - chrF (Popovic 2015) and chrF++ (Popovic 2017), as sacreBLEU computes them.
 *
 *   chrF = 100 (1 + beta^2) P R / (beta^2 P + R)
 *
 * P and R are means over the orders of character n-grams (spaces left out), and of word n-grams, that guess and reference both have: the
 * share of the guess's n-grams that are in the reference, and the other way round. Counts are summed over all texts first; of several
 * references that counts which gives its text the best score.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "metrics/ngrams.h"
#include "metrics/sentence.h"

enum { MOST_ORDERS = 2 * KILN_MOST_NGRAM };

/* Of one order: how many n-grams the guess has, the reference, both. */
struct counts {
    int64_t own, other, both;
};

struct settings {
    int characters, words;
    double beta;
    bool lower;
};

/* Sentences ---------------------------------------------------------------------------------------------- */

/* A text as characters and as words, each word with the punctuation at one of its ends apart. */
struct sentence {
    struct kiln_items characters, words;
};

static bool is_punctuation(char c)
{
    return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool add_word(struct sentence *s, struct kiln_map *numbers, const char *word)
{
    const size_t bytes = strlen(word);
    char piece[2] = {0};
    bool fits;

    if (kiln_utf8_length(word) == 1 || !(is_punctuation(word[bytes - 1]) || is_punctuation(word[0])))
        return kiln_items_add_word(&s->words, numbers, word);
    if (is_punctuation(word[bytes - 1])) {
        char *start = kiln_sentence_copy(word, false);
        fits = start != NULL;
        if (fits)
            start[bytes - 1] = '\0';
        piece[0] = word[bytes - 1];
        fits = fits && kiln_items_add_word(&s->words, numbers, start) &&
               kiln_items_add_word(&s->words, numbers, piece);
        free(start);
    } else {
        piece[0] = word[0];
        fits = kiln_items_add_word(&s->words, numbers, piece) &&
               kiln_items_add_word(&s->words, numbers, word + 1);
    }
    return fits;
}

static kiln_status read_sentence(struct sentence *s, const char *text, const struct settings *set,
                                 struct kiln_map *numbers)
{
    char *copy = kiln_sentence_copy(text, set->lower);
    kiln_texts *words = NULL;
    bool fits = copy != NULL;
    int32_t c;
    kiln_status status = kiln_texts_create(&words);

    for (const char *at = copy; fits && (c = kiln_utf8_next(&at)) > 0;)
        fits = kiln_is_python_space(c) || kiln_vec_push(&s->characters.list, c);
    if (fits && !status && set->words > 0)
        status = kiln_sentence_split(words, copy);
    for (int64_t i = 0; fits && !status && i < kiln_texts_count(words); i++)
        fits = add_word(s, numbers, kiln_texts_get(words, i));
    free(copy);
    kiln_texts_destroy(&words);
    return status || fits ? status : kiln_fail(KILN_ERROR_MEMORY, "chrF: out of memory");
}

static void finish(struct sentence *s)
{
    kiln_vec_finish(&s->characters.list);
    kiln_vec_finish(&s->words.list);
}

/* Counting ----------------------------------------------------------------------------------------------- */

static bool count_order(struct counts *to, const struct kiln_items *a, const struct kiln_items *b, int n)
{
    struct kiln_ngrams own = {0}, other = {0};
    const bool fits = kiln_ngrams_make(&own, a->list.data, a->list.count, n) &&
                      kiln_ngrams_make(&other, b->list.data, b->list.count, n);

    if (fits)
        *to =
            (struct counts){other.count > 0 ? own.count : 0, other.count, kiln_ngrams_match(&own, &other, 1)};
    kiln_ngrams_free(&own);
    kiln_ngrams_free(&other);
    return fits;
}

static bool count_all(struct counts *to, const struct sentence *a, const struct sentence *b,
                      const struct settings *set)
{
    bool fits = true;

    for (int n = 1; n <= set->characters && fits; n++)
        fits = count_order(to++, &a->characters, &b->characters, n);
    for (int n = 1; n <= set->words && fits; n++)
        fits = count_order(to++, &a->words, &b->words, n);
    return fits;
}

static double score(const struct counts *counts, const struct settings *set)
{
    const double factor = set->beta * set->beta;
    double precision = 0, recall = 0;
    int orders = 0;

    for (int i = 0; i < set->characters + set->words; i++) {
        if (counts[i].own == 0 || counts[i].other == 0)
            continue;
        precision += (double)counts[i].both / (double)counts[i].own;
        recall += (double)counts[i].both / (double)counts[i].other;
        orders++;
    }
    if (precision + recall == 0)
        return 0;
    precision /= orders;
    recall /= orders;
    return 100 * (1 + factor) * precision * recall / (factor * precision + recall);
}

/* Add the counts of one text, by its best reference. */
static kiln_status add_text(struct counts *sum, const char *guess, const kiln_texts *const *references,
                            int count, int64_t row, const struct settings *set)
{
    struct counts best[MOST_ORDERS] = {{0}}, now[MOST_ORDERS];
    struct kiln_map numbers = {0};
    struct sentence own = {{{0}}, {{0}}}, other;
    double highest = -1;
    kiln_status status = read_sentence(&own, guess, set, &numbers);

    for (int i = 0; i < count && !status; i++) {
        memset(&other, 0, sizeof other);
        status = read_sentence(&other, kiln_texts_get(references[i], row), set, &numbers);
        if (!status && !count_all(now, &own, &other, set))
            status = kiln_fail(KILN_ERROR_MEMORY, "chrF: out of memory");
        const double here = status ? -1 : score(now, set);
        if (here > highest) {
            highest = here;
            memcpy(best, now, sizeof best);
        }
        finish(&other);
    }
    for (int i = 0; i < set->characters + set->words; i++) {
        sum[i].own += best[i].own;
        sum[i].other += best[i].other;
        sum[i].both += best[i].both;
    }
    finish(&own);
    kiln_map_finish(&numbers);
    return status;
}

/* Entry points ------------------------------------------------------------------------------------------- */

static kiln_status settings_of(struct settings *set, const kiln_chrf_params *params)
{
    const kiln_chrf_params p = params ? *params : (kiln_chrf_params){0};

    *set = (struct settings){p.characters ? p.characters : 6, p.words, kiln_real_or(p.beta, 2), p.lower};
    return set->characters >= 1 && set->characters <= KILN_MOST_NGRAM && p.words >= 0 &&
                   p.words <= KILN_MOST_NGRAM && set->beta >= 0
               ? KILN_OK
               : kiln_fail(KILN_ERROR_ARGUMENT,
                           "chrF: %d characters, %d words, beta %g; wanted at most %d, 0 or more",
                           set->characters, p.words, set->beta, (int)KILN_MOST_NGRAM);
}

kiln_status kiln_chrf_corpus(double *out, const kiln_texts *guesses, const kiln_texts *const *references,
                             int count, const kiln_chrf_params *params)
{
    struct counts sum[MOST_ORDERS] = {{0}};
    struct settings set;
    kiln_status status = settings_of(&set, params);

    *out = 0;
    if (!status)
        status = kiln_sentence_check("chrF", guesses, references, count);
    for (int64_t i = 0; !status && i < kiln_texts_count(guesses); i++)
        status = add_text(sum, kiln_texts_get(guesses, i), references, count, i, &set);
    if (!status)
        *out = score(sum, &set);
    return status;
}

kiln_status kiln_chrf_sentence(double *out, const char *guess, const char *const *references, int count,
                               const kiln_chrf_params *params)
{
    kiln_texts *own = NULL, *others[KILN_MOST_REFERENCES] = {NULL};
    kiln_status status = kiln_sentence_lists(guess, references, count, &own, others);

    *out = 0;
    if (!status)
        status = kiln_chrf_corpus(out, own, (const kiln_texts *const *)others, count, params);
    kiln_texts_destroy(&own);
    for (int i = 0; i < KILN_MOST_REFERENCES; i++)
        kiln_texts_destroy(&others[i]);
    return status;
}
