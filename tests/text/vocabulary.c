/* vocabulary.c - tokens are numbered, counted, ordered, saved and loaded; bad files are refused. */
#include <criterion/criterion.h>

#include <kiln/text.h>

#include "data/files.h"

TestSuite(vocabulary, .init = enter_folder, .fini = leave_folder);

static kiln_vocabulary *counted(void)
{
    static const char *const tokens[] = {"b", "a", "c", "b", "rare", "c", "c", "tab\t\\n\n\r"};
    kiln_vocabulary *v;

    cr_assert_eq(kiln_vocabulary_create(&v, false), KILN_OK);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(kiln_vocabulary_add(v, tokens[i], 1 + (i == 1) + 9 * (i == 7)), KILN_OK);
    return v;
}

Test(vocabulary, tokens_get_numbers_behind_the_special_ones)
{
    kiln_vocabulary *v = counted();

    cr_expect_eq(kiln_vocabulary_size(v), 9);
    cr_expect_str_eq(kiln_vocabulary_token(v, 0), "<pad>");
    cr_expect_eq(kiln_vocabulary_special(v, KILN_SPECIAL_END), 3);
    cr_expect_eq(kiln_vocabulary_find(v, "b"), 4);
    cr_expect_eq(kiln_vocabulary_count(v, 4), 2);
    cr_expect_eq(kiln_vocabulary_find(v, "none"), -1);
    cr_expect_null(kiln_vocabulary_token(v, 9));
    cr_expect_null(kiln_vocabulary_token(v, -1));
    kiln_vocabulary_destroy(&v);
    cr_expect_null(v);
}

Test(vocabulary, the_most_frequent_come_first_and_equal_ones_by_their_bytes)
{
    static const char *const wanted[] = {"<pad>", "<unk>", "<bos>", "<eos>", "tab\t\\n\n\r", "c", "a", "b"};
    kiln_vocabulary *v = counted();

    cr_assert_eq(kiln_vocabulary_order(v, 2, 0), KILN_OK);
    cr_assert_eq(kiln_vocabulary_size(v), 8);
    for (int i = 0; i < 8; i++) {
        cr_expect_str_eq(kiln_vocabulary_token(v, i), wanted[i]);
        cr_expect_eq(kiln_vocabulary_find(v, wanted[i]), i);
    }
    cr_expect_eq(kiln_vocabulary_find(v, "rare"), -1);
    cr_assert_eq(kiln_vocabulary_order(v, 0, 6), KILN_OK);
    cr_expect_eq(kiln_vocabulary_size(v), 6);
    cr_assert_eq(kiln_vocabulary_order(v, 0, 1), KILN_OK);
    cr_expect_eq(kiln_vocabulary_size(v), 4, "special tokens stay");
    kiln_vocabulary_destroy(&v);
}

Test(vocabulary, what_was_saved_is_loaded)
{
    kiln_vocabulary *v = counted(), *again;

    cr_assert_eq(kiln_vocabulary_set_special(v, KILN_SPECIAL_UNKNOWN, "rare"), KILN_OK);
    cr_assert_eq(kiln_vocabulary_save(v, in_folder("v")), KILN_OK);
    cr_assert_eq(kiln_vocabulary_load(&again, in_folder("v")), KILN_OK, "%s", lines.newest);
    cr_assert_eq(kiln_vocabulary_size(again), kiln_vocabulary_size(v));
    for (int i = 0; i < kiln_vocabulary_size(v); i++) {
        cr_expect_str_eq(kiln_vocabulary_token(again, i), kiln_vocabulary_token(v, i));
        cr_expect_eq(kiln_vocabulary_count(again, i), kiln_vocabulary_count(v, i));
    }
    for (int i = 0; i < KILN_SPECIALS; i++)
        cr_expect_eq(kiln_vocabulary_special(again, (kiln_special)i),
                     kiln_vocabulary_special(v, (kiln_special)i));
    kiln_vocabulary_destroy(&again);
    kiln_vocabulary_destroy(&v);
}

Test(vocabulary, bad_tokens_and_files_are_refused)
{
    static const char *const bad[][2] = {
        {"a\t1\nb\n", "line 2"},
        {"a\t1\n\t2\n", "line 2"},
        {"a\t-1\n", "line 1"},
        {"a\t1\na\t2\n", "is there twice"},
        {"a\\x\t1\n", "line 1"},
        {"a\\", "line 1"},
        {"a\t1\tking\n", "\"king\""},
        {"a\t1\tpad\nb\t1\tpad\n", "line 2"},
        {"a\t1x\n", "line 1"},
        {"a\t99999999999999999999\n", "line 1"},
        {"a\t1\n\xFF\t1\n", "line 2: byte 0xff at 0"},
    };
    kiln_vocabulary *v = counted();

    cr_expect_eq(kiln_vocabulary_add(v, "", 1), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_vocabulary_add(v, "x", -1), KILN_ERROR_ARGUMENT);
    cr_expect_eq(kiln_vocabulary_add(v, "\xFF", 1), KILN_ERROR_FILE);
    cr_expect_eq(kiln_vocabulary_size(v), 9);
    kiln_vocabulary_destroy(&v);
    lines.count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_file("bad", bad[i][0], strlen(bad[i][0]));
        expect_failure(kiln_vocabulary_load(&v, in_folder("bad")), KILN_ERROR_FILE, v, "bad", bad[i][1]);
    }
}
