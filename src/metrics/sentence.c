/* sentence.c - texts as the metrics of translations see them. */
#include "metrics/sentence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

bool kiln_is_python_space(int32_t c)
{
    return (kiln_character_kinds(c) & KILN_SPACE) || (c >= 0x1C && c <= 0x1F);
}

bool kiln_items_add_word(struct kiln_items *items, struct kiln_map *words, const char *word)
{
    int id = kiln_map_find(words, word);

    if (id < 0 && !kiln_map_put(words, word, id = words->count))
        return false;
    return kiln_vec_push(&items->list, id);
}

char *kiln_sentence_copy(const char *text, bool lower)
{
    char *copy = malloc(2 * strlen(text) + 1), *to = copy;
    int32_t c;

    while (copy && (c = kiln_utf8_next(&text)) > 0)
        to += kiln_utf8_write(to, lower ? kiln_character_lower(c) : c);
    if (copy)
        *to = '\0';
    return copy;
}

kiln_status kiln_sentence_split(kiln_texts *words, const char *text)
{
    char *word = malloc(strlen(text) + 1), *to = word;
    kiln_status status = word ? KILN_OK : kiln_fail(KILN_ERROR_MEMORY, "metric: out of memory");

    for (bool more = true; more && !status;) {
        const char *start = text;
        const int32_t c = kiln_utf8_next(&text);

        more = c > 0;
        if (more && !kiln_is_python_space(c)) {
            memcpy(to, start, (size_t)(text - start));
            to += text - start;
        } else if (to > word) {
            *to = '\0';
            status = kiln_texts_add(words, word);
            to = word;
        }
    }
    free(word);
    return status;
}

kiln_status kiln_sentence_check(const char *what, const kiln_texts *guesses,
                                const kiln_texts *const *references, int count)
{
    if (count < 1 || count > KILN_MOST_REFERENCES)
        return kiln_fail(KILN_ERROR_ARGUMENT, "%s: %d references a text, wanted 1 to %d", what, count,
                         (int)KILN_MOST_REFERENCES);
    for (int i = 0; i < count; i++)
        if (kiln_texts_count(references[i]) != kiln_texts_count(guesses))
            return kiln_fail(KILN_ERROR_SHAPE, "%s: %" PRId64 " texts, but %" PRId64 " references", what,
                             kiln_texts_count(guesses), kiln_texts_count(references[i]));
    return KILN_OK;
}

static kiln_status list_of_one(kiln_texts **out, const char *text)
{
    const kiln_status status = kiln_texts_create(out);
    return status ? status : kiln_texts_add(*out, text);
}

kiln_status kiln_sentence_lists(const char *guess, const char *const *references, int count,
                                kiln_texts **guess_list, kiln_texts **reference_lists)
{
    kiln_status status = list_of_one(guess_list, guess);

    for (int i = 0; i < count && i < KILN_MOST_REFERENCES && !status; i++)
        status = list_of_one(&reference_lists[i], references[i]);
    return status;
}
