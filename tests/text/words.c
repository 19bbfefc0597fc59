/* words.c - where words are parted, and how they are set again. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/text.h>

#include "base/lines.h"

TestSuite(words, .init = catch_lines);

/* The words of a text, with | between them. */
static void split(const char *text, char *to)
{
    kiln_texts *words;

    cr_assert_eq(kiln_texts_create(&words), KILN_OK);
    cr_assert_eq(kiln_words_split(words, text), KILN_OK);
    *to = '\0';
    for (int64_t i = 0; i < kiln_texts_count(words); i++)
        strcat(strcat(to, i > 0 ? "|" : ""), kiln_texts_get(words, i));
    kiln_texts_destroy(&words);
}

Test(words, punctuation_stands_apart)
{
    static const char *const cases[][2] = {
        {"Two men, one dog.", "Two|men|,|one|dog|."},
        {"  spaces\tand\xC2\xA0more\n", "spaces|and|more"},
        {"L'ami d'en-haut paya 3.50 $...", "L'|ami|d'|en-haut|paya|3.50|$|..."},
        {"l\xE2\x80\x99\xC3\xA9t\xC3\xA9", "l\xE2\x80\x99|\xC3\xA9t\xC3\xA9"},
        {"don't 'quote' end-", "don'|t|'|quote|'|end|-"},
        {"1,000,000.", "1,000,000|."},
        {"snake_case (x)", "snake_case|(|x|)"},
        {"a--b a-1 1-a", "a|--|b|a|-|1|1|-|a"},
        {"Gr\xC3\xBC\xC3\x9F\x65!?!", "Gr\xC3\xBC\xC3\x9F\x65|!|?|!"},
        {"\xF0\x9F\x98\x80\xF0\x9F\x98\x80x", "\xF0\x9F\x98\x80\xF0\x9F\x98\x80|x"},
        {"", ""},
        {"-", "-"},
        {"a'", "a|'"},
    };
    char got[256];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        split(cases[i][0], got);
        cr_expect_str_eq(got, cases[i][1], "%s: %s", cases[i][0], got);
    }
}

Test(words, joining_sets_them_as_they_were)
{
    static const char *const texts[] = {
        "Two men, one dog.",
        "He said \"no\" (twice), then: \"yes!\"",
        "L'ami d'en-haut paya 3.50 $...",
        "\xC2\xAB\x42onjour\xC2\xBB, \xC2\xBFqu\xC3\xA9?",
        "don't [stop]",
        "",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        kiln_texts *words;
        char *text;

        cr_assert_eq(kiln_texts_create(&words), KILN_OK);
        cr_assert_eq(kiln_words_split(words, texts[i]), KILN_OK);
        cr_assert_eq(kiln_words_join(words, &text), KILN_OK);
        cr_expect_str_eq(text, texts[i]);
        free(text);
        kiln_texts_destroy(&words);
    }
}

Test(words, what_is_no_utf_8_has_no_words)
{
    kiln_texts *words;

    cr_assert_eq(kiln_texts_create(&words), KILN_OK);
    cr_expect_eq(kiln_words_split(words, "a \xC3("), KILN_ERROR_FILE);
    cr_expect_eq(kiln_texts_count(words), 0);
    kiln_texts_destroy(&words);
}
