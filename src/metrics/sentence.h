/* sentence.h - what the metrics of translations share: texts as numbers, and how arguments must be. */
#ifndef KILN_METRICS_SENTENCE_H
#define KILN_METRICS_SENTENCE_H

#include <kiln/metrics.h>

#include "base/map.h"
#include "base/vec.h"

/** Numbers in place of words or characters. */
struct kiln_items {
    KILN_VEC(int32_t) list;
};

/** Append the number of a word, a new one if it is new. False when out of memory. */
bool kiln_items_add_word(struct kiln_items *items, struct kiln_map *words, const char *word);

/** What Python's str.split takes for a space. */
bool kiln_is_python_space(int32_t c);

/** A copy of a text, in lower case if wanted. Owns: free() it. NULL when out of memory. */
char *kiln_sentence_copy(const char *text, bool lower);

/** Append the words between spaces to a list. */
kiln_status kiln_sentence_split(kiln_texts *words, const char *text);

/** Errors: no reference, lists of other lengths: `what` names the metric. */
kiln_status kiln_sentence_check(const char *what, const kiln_texts *guesses,
                                const kiln_texts *const *references, int count);

/** One text, or several, as lists of one each. Owns: destroy them. */
kiln_status kiln_sentence_lists(const char *guess, const char *const *references, int count,
                                kiln_texts **guess_list, kiln_texts **reference_lists);

enum { KILN_MOST_REFERENCES = 16 };

#endif
