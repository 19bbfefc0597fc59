/* texts.c - lists of texts: what goes in comes out, lines and columns of files, and what is refused. */
#include <criterion/criterion.h>

#include <kiln/text.h>

#include "data/files.h"

TestSuite(texts, .init = enter_folder, .fini = leave_folder);

static void expect_texts(const kiln_texts *t, const char *const *wanted, int64_t count)
{
    cr_assert_eq(kiln_texts_count(t), count, "%lld texts", (long long)kiln_texts_count(t));
    for (int64_t i = 0; i < count; i++)
        cr_expect_str_eq(kiln_texts_get(t, i), wanted[i]);
    cr_expect_null(kiln_texts_get(t, count));
    cr_expect_null(kiln_texts_get(t, -1));
}

static kiln_texts *loaded(const char *content, const kiln_texts_params *params)
{
    kiln_texts *t;

    put_file("lines", content, strlen(content));
    cr_assert_eq(kiln_texts_load(&t, in_folder("lines"), params), KILN_OK, "%s", lines.newest);
    return t;
}

Test(texts, a_file_is_a_text_a_line)
{
    kiln_texts *t = loaded("\xEF\xBB\xBFone\r\n\n\xC3\xBC three\nlast", NULL);

    expect_texts(t, (const char *const[]){"one", "", "\xC3\xBC three", "last"}, 4);
    kiln_texts_destroy(&t);
    t = loaded("", NULL);
    expect_texts(t, NULL, 0);
    kiln_texts_destroy(&t);
    cr_expect_null(t);
    kiln_texts_destroy(&t);
}

Test(texts, a_column_is_taken_of_each_line)
{
    const char *table = "a\tb\tc\nd\te\nf\t\tg\n";

    for (int column = 1; column <= 2; column++) {
        kiln_texts *t = loaded(table, &(kiln_texts_params){.column = column});
        expect_texts(t,
                     column == 1 ? (const char *const[]){"a", "d", "f"} : (const char *const[]){"b", "e", ""},
                     3);
        kiln_texts_destroy(&t);
    }
}

Test(texts, a_file_may_be_one_text)
{
    kiln_texts *t = loaded("one\ntwo\n", &(kiln_texts_params){.whole = true});

    expect_texts(t, (const char *const[]){"one\ntwo\n"}, 1);
    kiln_texts_destroy(&t);
}

Test(texts, what_was_saved_is_loaded)
{
    kiln_texts *t, *again;
    char text[300];

    cr_assert_eq(kiln_texts_create(&t), KILN_OK);
    for (int i = 0; i < 1000; i++) {
        memset(text, 'a' + i % 26, (size_t)(i % 290));
        text[i % 290] = '\0';
        cr_assert_eq(kiln_texts_add(t, text), KILN_OK);
    }
    cr_assert_eq(kiln_texts_save(t, in_folder("many")), KILN_OK);
    cr_assert_eq(kiln_texts_load(&again, in_folder("many"), NULL), KILN_OK);
    cr_assert_eq(kiln_texts_count(again), 1000);
    for (int i = 0; i < 1000; i++)
        cr_expect_str_eq(kiln_texts_get(again, i), kiln_texts_get(t, i));
    kiln_texts_destroy(&again);
    kiln_texts_destroy(&t);
}

Test(texts, bad_files_end_in_one_line_that_says_where)
{
    kiln_texts *t = NULL;

    put_file("bad", "fine\nnot \xFFso\n", 14);
    expect_failure(kiln_texts_load(&t, in_folder("bad"), NULL), KILN_ERROR_FILE, t, "bad: line 2",
                   "byte 0xff at 4");
    put_file("bad", "a\tb\nc\n", 6);
    expect_failure(kiln_texts_load(&t, in_folder("bad"), &(kiln_texts_params){.column = 2}), KILN_ERROR_FILE,
                   t, "line 2", "no column 2");
    put_file("bad", "a\0b\n", 4);
    expect_failure(kiln_texts_load(&t, in_folder("bad"), NULL), KILN_ERROR_FILE, t, "line 1", "zero byte");
    expect_failure(kiln_texts_load(&t, in_folder("missing"), NULL), KILN_ERROR_FILE, t, "missing",
                   "No such file");
    expect_failure(kiln_texts_load(&t, in_folder("bad"), &(kiln_texts_params){.column = -1}),
                   KILN_ERROR_ARGUMENT, t, "column -1", "first is 1");
    cr_assert_eq(kiln_texts_create(&t), KILN_OK);
    cr_expect_eq(kiln_texts_add(t, "\xC3"), KILN_ERROR_FILE);
    cr_expect_eq(kiln_texts_count(t), 0);
    kiln_texts_destroy(&t);
}
