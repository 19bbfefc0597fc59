/* characters.c - UTF-8 against what RFC 3629 allows and forbids; kinds and lower cases of some characters. */
#include <string.h>

#include <criterion/criterion.h>

#include <kiln/text.h>

#include "base/lines.h"

TestSuite(characters, .init = catch_lines);

Test(characters, every_character_is_read_back_as_it_was_written)
{
    for (int32_t c = 1; c <= 0x10FFFF; c++) {
        char text[5] = {0};
        const size_t bytes = kiln_utf8_write(text, c);
        const char *at = text;

        if (c >= 0xD800 && c < 0xE000) {
            cr_assert_eq(bytes, 0);
            continue;
        }
        cr_assert_eq(bytes, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        cr_assert_eq(kiln_utf8_next(&at), c);
        cr_assert_eq((size_t)(at - text), bytes);
        cr_assert_eq(kiln_utf8_next(&at), 0);
    }
}

Test(characters, what_is_no_utf_8_is_told_with_its_place)
{
    static const char *const bad[] = {
        "\x80",         "\xC0\xAF",         "\xC1\xBF",         "\xC3",         "\xC3(",
        "\xE0\x80\xAF", "\xE2\x82",         "\xED\xA0\x80",     "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF",
        "\xF0\x9F\x98", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",         "\xE0\xA0",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[16] = "a\xC3\xA9";
        const char *at = strcat(text, bad[i]);

        lines.count = 0;
        cr_expect_eq(kiln_utf8_check(text, "letter"), KILN_ERROR_FILE, "case %zu", i);
        cr_expect_eq(lines.count, 1);
        cr_expect(strstr(lines.newest, "letter: byte 0x") && strstr(lines.newest, " at 3 begins"), "%s",
                  lines.newest);
        while (kiln_utf8_next(&at) > 0) {}
        cr_expect_eq(at - text, 3);
        cr_expect_eq(kiln_utf8_length(text), 2);
    }
    cr_expect_eq(kiln_utf8_check("", "nothing"), KILN_OK);
    cr_expect_eq(kiln_utf8_check("gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80", "letter"), KILN_OK);
}

Test(characters, kinds_are_those_of_unicode)
{
    static const struct {
        int32_t c;
        unsigned kinds;
    } known[] = {
        {'A', KILN_LETTER | KILN_WORD},
        {'z', KILN_LETTER | KILN_WORD},
        {'7', KILN_NUMBER | KILN_WORD},
        {'_', KILN_PUNCTUATION | KILN_WORD},
        {'.', KILN_PUNCTUATION},
        {'+', KILN_SYMBOL},
        {' ', KILN_SPACE},
        {'\n', KILN_SPACE},
        {0, 0},
        {0x7F, 0},
        {0xA0, KILN_SPACE},
        {0xE9, KILN_LETTER | KILN_WORD},
        {0xBD, KILN_NUMBER},
        {0x301, KILN_MARK | KILN_WORD},
        {0x416, KILN_LETTER | KILN_WORD},
        {0x3000, KILN_SPACE},
        {0x4E2D, KILN_LETTER | KILN_WORD},
        {0x1F600, KILN_SYMBOL},
        {0x24B6, KILN_SYMBOL | KILN_WORD},
        {0x200D, KILN_WORD},
        {0x10FFFF, 0},
        {0x110000, 0},
        {-1, 0},
        {0x2163, KILN_NUMBER | KILN_WORD},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        cr_expect_eq(kiln_character_kinds(known[i].c), known[i].kinds, "U+%04X: %u", (unsigned)known[i].c,
                     kiln_character_kinds(known[i].c));
}

Test(characters, lower_cases_are_those_of_unicode)
{
    static const int32_t pairs[][2] = {
        {'A', 'a'},      {'Z', 'z'},       {'a', 'a'},      {'@', '@'},           {'[', '['},
        {0xC9, 0xE9},    {0xD7, 0xD7},     {0xDF, 0xDF},    {0x100, 0x101},       {0x101, 0x101},
        {0x178, 0xFF},   {0x1C4, 0x1C6},   {0x391, 0x3B1},  {0x3A3, 0x3C3},       {0x410, 0x430},
        {0x23A, 0x2C65}, {0x1E9E, 0xDF},   {0x2126, 0x3C9}, {0x10A0, 0x2D00},     {0x10400, 0x10428},
        {0x130, 0x130},  {0x4E2D, 0x4E2D}, {0, 0},          {0x10FFFF, 0x10FFFF}, {0x1E921, 0x1E943},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        cr_expect_eq(kiln_character_lower(pairs[i][0]), pairs[i][1], "U+%04X: U+%04X", (unsigned)pairs[i][0],
                     (unsigned)kiln_character_lower(pairs[i][0]));
}
