/* text.c - the text builder and the pattern matcher. */
#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/text.h"

Test(text, is_empty_before_the_first_piece)
{
    struct kiln_text t = {0};
    cr_expect_str_eq(kiln_text_get(&t), "");
    kiln_text_finish(&t);
}

Test(text, puts_pieces_together)
{
    struct kiln_text t = {0};

    kiln_text_add(&t, "%s: wanted %d", "conv", 3);
    kiln_text_add(&t, "%s", "");
    kiln_text_add(&t, ", got %d", 4);
    cr_expect_str_eq(kiln_text_get(&t), "conv: wanted 3, got 4");
    cr_expect_eq(t.count, strlen(t.data));
    kiln_text_finish(&t);
    cr_expect_str_eq(kiln_text_get(&t), "");
}

Test(text, grows_by_single_characters_and_by_long_pieces)
{
    struct kiln_text t = {0};
    static char long_piece[100001];

    memset(long_piece, 'x', sizeof long_piece - 1);
    for (int i = 0; i < 1000; i++)
        kiln_text_add(&t, "y");
    kiln_text_add(&t, "%s", long_piece);
    cr_expect_eq(t.count, 101000);
    cr_expect_eq(strlen(kiln_text_get(&t)), 101000);
    cr_expect_not(t.failed);
    kiln_text_finish(&t);
}

Test(text, remembers_a_failure_and_keeps_what_it_has)
{
    struct kiln_text t = {0};

    kiln_text_add(&t, "kept");
    t.failed = true;
    kiln_text_add(&t, "lost");
    cr_expect_str_eq(kiln_text_get(&t), "kept");
    kiln_text_finish(&t);
}

Test(text, matches_patterns)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"?", "", false},
        {"?", "a", true},
        {"conv?", "conv1", true},
        {"conv?", "conv12", false},
        {"*.weight", "layer.0.weight", true},
        {"*.weight", "layer.0.weights", false},
        {"layer.*.bias", "layer.0.bias", true},
        {"layer.*.bias", "layer.bias", false},
        {"*a*b*", "xxaxxbxx", true},
        {"*a*b*", "xxbxxaxx", false},
        {"*ab", "aab", true},
        {"*aab", "aaaab", true},
        {"a**b", "ab", true},
        {"a*?b", "ab", false},
        {"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(kiln_text_match(cases[i].pattern, cases[i].text), cases[i].match, "\"%s\" on \"%s\"",
                     cases[i].pattern, cases[i].text);
}

Test(text, words_are_found_whole)
{
    cr_expect(kiln_text_has_word("size", "size"));
    cr_expect(kiln_text_has_word("input size", "size"));
    cr_expect(kiln_text_has_word("sizes size", "size"));
    cr_expect_not(kiln_text_has_word("sizes resize", "size"));
    cr_expect_not(kiln_text_has_word("size", ""));
    cr_expect_not(kiln_text_has_word("", "size"));
    cr_expect_not(kiln_text_has_word(NULL, "size"));
}
