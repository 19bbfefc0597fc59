/* ngrams.c - n-grams by sorting: equal ones lie side by side, and their number in another list is a search. */
#include "metrics/ngrams.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct kiln_ngram *x = a, *y = b;

    for (int i = 0; i < KILN_MOST_NGRAM; i++)
        if (x->item[i] != y->item[i])
            return x->item[i] < y->item[i] ? -1 : 1;
    return 0;
}

bool kiln_ngrams_make(struct kiln_ngrams *out, const int32_t *items, int64_t count, int n)
{
    out->count = count >= n ? count - n + 1 : 0;
    if (!(out->list = calloc((size_t)out->count + 1, sizeof *out->list)))
        return false;
    for (int64_t i = 0; i < out->count; i++)
        memcpy(out->list[i].item, items + i, (size_t)n * sizeof *items);
    qsort(out->list, (size_t)out->count, sizeof *out->list, compare);
    return true;
}

void kiln_ngrams_free(struct kiln_ngrams *g)
{
    free(g->list);
    *g = (struct kiln_ngrams){0};
}

/* How many of g's come before x, or before what follows it. */
static int64_t below(const struct kiln_ngrams *g, const struct kiln_ngram *x, bool with_x)
{
    int64_t low = 0, high = g->count;

    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (compare(&g->list[middle], x) < (with_x ? 1 : 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t kiln_ngrams_match(const struct kiln_ngrams *a, const struct kiln_ngrams *b, int b_count)
{
    int64_t matches = 0;

    for (int64_t i = 0, end; i < a->count; i = end) {
        int64_t most = 0;

        end = below(a, &a->list[i], true);
        for (int k = 0; k < b_count; k++) {
            const int64_t there = below(&b[k], &a->list[i], true) - below(&b[k], &a->list[i], false);
            most = there > most ? there : most;
        }
        matches += most < end - i ? most : end - i;
    }
    return matches;
}
