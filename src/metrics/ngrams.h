/* ngrams.h - runs of n neighbours in a sequence of numbers, sorted, so that those of two sequences can be matched. */
#ifndef KILN_METRICS_NGRAMS_H
#define KILN_METRICS_NGRAMS_H

#include <stdbool.h>
#include <stdint.h>

enum { KILN_MOST_NGRAM = 6 };

struct kiln_ngram {
    int32_t item[KILN_MOST_NGRAM]; /* 0 beyond n */
};

struct kiln_ngrams {
    struct kiln_ngram *list; /* sorted */
    int64_t count;
};

/** Those of n of a sequence; false when out of memory. Owns: kiln_ngrams_free(out). */
bool kiln_ngrams_make(struct kiln_ngrams *out, const int32_t *items, int64_t count, int n);
void kiln_ngrams_free(struct kiln_ngrams *g);

/** How many of a's are in b's, each as often as it is there; of several b's, in that which has it most often. */
int64_t kiln_ngrams_match(const struct kiln_ngrams *a, const struct kiln_ngrams *b, int b_count);

#endif
