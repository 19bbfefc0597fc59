/* translation.c - BLEU and chrF against sacreBLEU: tests/golden/translation.json, written by tools/golden/translation.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/metrics.h>

#include "base/json.h"
#include "base/lines.h"
#include "config.h"

/* Sums of at most a few logarithms in another order: some units in the last place of a score up to 100. */
#define CLOSE 1e-9

static struct kiln_json *root;

static void enter(void)
{
    char path[512];

    catch_lines();
    if (!KILN_HAVE_JSON)
        cr_skip("kiln was built without JSON");
    snprintf(path, sizeof path, "%s/golden/translation.json", getenv("KILN_TEST_ROOT"));
    cr_assert_eq(kiln_json_open(&root, path), KILN_OK, "%s", lines.newest);
}

static void leave(void)
{
    kiln_json_close(&root);
}

TestSuite(translation, .init = enter, .fini = leave);

static kiln_texts *texts_of(const struct kiln_json *list)
{
    kiln_texts *t;

    cr_assert_eq(kiln_texts_create(&t), KILN_OK);
    for (const struct kiln_json *i = kiln_json_first(list); i; i = kiln_json_next(i))
        cr_assert_eq(kiln_texts_add(t, kiln_json_text(i)), KILN_OK);
    return t;
}

static double number(const struct kiln_json *object, const char *key)
{
    double value = NAN;
    cr_assert(kiln_json_number(kiln_json_find(object, key), &value), "%s", key);
    return value;
}

static const struct {
    const char *name;
    kiln_bleu_params params;
} ways[] = {
    {"exp", {0}},
    {"floor", {.smoothing = KILN_BLEU_FLOOR}},
    {"add-k", {.smoothing = KILN_BLEU_ADD_K}},
    {"none", {.smoothing = KILN_BLEU_NONE}},
    {"lower", {.lower = true}},
    {"tokenized", {.tokenized = true}},
};

static void expect_bleu(const char *name, const char *way, const kiln_bleu *got,
                        const struct kiln_json *wanted)
{
    const struct kiln_json *precision = kiln_json_first(kiln_json_find(wanted, "precision"));

    cr_expect_float_eq(got->score, number(wanted, "score"), CLOSE, "%s, %s: %.12g", name, way, got->score);
    cr_expect_float_eq(got->brevity, number(wanted, "brevity"), CLOSE);
    cr_expect_eq((double)got->length, number(wanted, "length"), "%s, %s: %d words", name, way,
                 (int)got->length);
    cr_expect_eq((double)got->reference_length, number(wanted, "reference_length"));
    for (int i = 0; i < KILN_BLEU_ORDER; i++, precision = kiln_json_next(precision)) {
        double value = NAN;
        cr_assert(kiln_json_number(precision, &value));
        cr_expect_float_eq(got->precision[i], value, CLOSE, "%s, %s: order %d is %.12g", name, way, i + 1,
                           got->precision[i]);
    }
}

static void expect_chrf(const char *name, const kiln_texts *guesses, const kiln_texts *const *references,
                        int count, const struct kiln_json *wanted)
{
    static const struct {
        const char *name;
        kiln_chrf_params params;
    } kinds[] = {{"chrf", {0}},
                 {"chrf++", {.words = 2}},
                 {"lower", {.lower = true, .beta = 1, .characters = 4}}};

    for (int i = 0; i < 3; i++) {
        double got;
        cr_assert_eq(kiln_chrf_corpus(&got, guesses, references, count, &kinds[i].params), KILN_OK);
        cr_expect_float_eq(got, number(wanted, kinds[i].name), CLOSE, "%s, %s: %.12g", name, kinds[i].name,
                           got);
    }
}

Test(translation, corpora_score_as_sacrebleu_says)
{
    int cases = 0;

    for (const struct kiln_json *i = kiln_json_first(kiln_json_find(root, "corpora")); i;
         i = kiln_json_next(i)) {
        const char *name = kiln_json_text(kiln_json_find(i, "name"));
        kiln_texts *guesses = texts_of(kiln_json_find(i, "guesses")), *references[2] = {NULL, NULL};
        int count = 0;

        for (const struct kiln_json *r = kiln_json_first(kiln_json_find(i, "references")); r;
             r = kiln_json_next(r))
            references[count++] = texts_of(r);
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
            kiln_bleu got;
            cr_assert_eq(kiln_bleu_corpus(&got, guesses, (const kiln_texts *const *)references, count,
                                          &ways[k].params),
                         KILN_OK, "%s", lines.newest);
            expect_bleu(name, ways[k].name, &got, kiln_json_find(kiln_json_find(i, "bleu"), ways[k].name));
        }
        expect_chrf(name, guesses, (const kiln_texts *const *)references, count, kiln_json_find(i, "chrf"));
        kiln_texts_destroy(&guesses);
        for (int r = 0; r < count; r++)
            kiln_texts_destroy(&references[r]);
        cases++;
    }
    cr_expect_eq(cases, 10);
}

Test(translation, sentences_score_as_sacrebleu_says)
{
    int cases = 0;

    for (const struct kiln_json *i = kiln_json_first(kiln_json_find(root, "sentences")); i;
         i = kiln_json_next(i)) {
        const char *guess = kiln_json_text(kiln_json_find(i, "guess")), *references[2];
        const struct kiln_json *r = kiln_json_first(kiln_json_find(i, "references"));
        double chrf;

        references[0] = kiln_json_text(r);
        references[1] = kiln_json_text(kiln_json_next(r));
        for (int k = 0; k < 4; k++) {
            kiln_bleu got;
            cr_assert_eq(kiln_bleu_sentence(&got, guess, references, 2, &ways[k].params), KILN_OK);
            cr_expect_float_eq(got.score, number(i, ways[k].name), CLOSE, "\"%s\", %s: %.12g", guess,
                               ways[k].name, got.score);
        }
        cr_assert_eq(kiln_chrf_sentence(&chrf, guess, references, 2, &(kiln_chrf_params){.words = 2}),
                     KILN_OK);
        cr_expect_float_eq(chrf, number(i, "chrf++"), CLOSE, "\"%s\": %.12g", guess, chrf);
        cases++;
    }
    cr_expect_eq(cases, 16);
}

Test(translation, bad_arguments_are_refused)
{
    kiln_texts *two, *one;
    kiln_bleu bleu;
    double chrf;

    cr_assert_eq(kiln_texts_create(&two), KILN_OK);
    cr_assert_eq(kiln_texts_create(&one), KILN_OK);
    kiln_texts_add(two, "a");
    kiln_texts_add(two, "b");
    kiln_texts_add(one, "a");
    cr_expect_eq(kiln_bleu_corpus(&bleu, two, (const kiln_texts *const[]){one}, 1, NULL), KILN_ERROR_SHAPE);
    cr_expect_not_null(strstr(lines.newest, "BLEU: 2 texts, but 1 references"));
    cr_expect_eq(kiln_bleu_corpus(&bleu, two, NULL, 0, NULL), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_chrf_corpus(&chrf, two, (const kiln_texts *const[]){two}, 1,
                                  &(kiln_chrf_params){.characters = 7}),
                 KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_bleu_sentence(&bleu, "\xFF", (const char *const[]){"a"}, 1, NULL), KILN_ERROR_FILE);
    cr_expect_eq(bleu.score, 0);
    kiln_texts_destroy(&two);
    kiln_texts_destroy(&one);
}
