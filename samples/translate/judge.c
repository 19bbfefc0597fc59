/* judge.c - translations of sentences whose right one is known: how many are exactly that, BLEU and chrF. */
#include "translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 50 };

static kiln_status judge_some(struct translator *t, const struct pairs *p, int64_t first, int64_t count,
                              struct score *score)
{
    const char *texts[AT_ONCE];
    char *out[AT_ONCE];
    for (int64_t i = 0; i < count; i++)
        texts[i] = kiln_texts_get(p->source, first + i);
    kiln_status status = translate(t, texts, count, out);
    for (int64_t i = 0; i < count; i++) {
        if (!status) {
            score->exact += !strcmp(out[i], kiln_texts_get(p->target, first + i));
            status = kiln_texts_add(score->found, out[i]);
        }
        free(out[i]);
    }
    score->rows += count;
    score->tokens += t->tokens;
    score->waits += t->waits;
    score->seconds += t->seconds;
    return status;
}

kiln_status judge(kiln_device *dev, struct trained *trained, const struct pairs *pairs,
                  const struct choice *choice, struct score *score)
{
    struct translator t;
    const kiln_texts *references = pairs->target;
    const int64_t rows = kiln_texts_count(pairs->source);
    *score = (struct score){0};
    kiln_status status = open_translator(&t, dev, trained, choice);
    if (!status)
        status = kiln_texts_create(&score->found);
    for (int64_t i = 0; i < rows && !status; i += AT_ONCE)
        status = judge_some(&t, pairs, i, rows - i < AT_ONCE ? rows - i : AT_ONCE, score);
    if (!status)
        status = kiln_bleu_corpus(&score->bleu, score->found, &references, 1, NULL);
    if (!status)
        status = kiln_chrf_corpus(&score->chrf, score->found, &references, 1, NULL);
    close_translator(&t);
    kiln_texts_destroy(&score->found);
    return status;
}

void print_score(const struct score *s)
{
    printf(
        "test: %.2f %% of %lld exact, BLEU %.2f, chrF %.2f; %.0f tokens a second, %lld waits for %lld tokens\n",
        100 * (double)s->exact / (double)s->rows, (long long)s->rows, s->bleu.score, s->chrf,
        (double)s->tokens / s->seconds, (long long)s->waits, (long long)s->tokens);
}
