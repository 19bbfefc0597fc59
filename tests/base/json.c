/* json.c - JSON texts: the tree, what is refused and where, and writing. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/json.h"
#include "base/lines.h"
#include "config.h"

static struct kiln_json *parse(const char *text)
{
    struct kiln_json *root;

    cr_assert_eq(kiln_json_parse(&root, text, strlen(text), "text"), KILN_OK, "%s", text);
    cr_assert_not_null(root);
    return root;
}

/* Refused with a line that begins so. */
static void refused(const char *text, size_t bytes, const char *begins)
{
    struct kiln_json *root;

    cr_expect_eq(kiln_json_parse(&root, text, bytes, "text"), KILN_ERROR_FILE, "%s", text);
    cr_expect_null(root);
    cr_expect_not_null(strstr(lines.newest, begins), "%s: got \"%s\", wanted \"%s\"", text, lines.newest,
                       begins);
}

static void need_json(void)
{
    if (!KILN_HAVE_JSON)
        cr_skip("this kiln has no cJSON");
    catch_lines();
}

Test(json, gives_members_in_their_order)
{
    need_json();
    struct kiln_json *root =
        parse("{\"b\": [1, 2.5, \"x\"], \"a\": {\"t\": true, \"f\": false, \"n\": null}}");
    const struct kiln_json *b = kiln_json_first(root), *a = kiln_json_next(b), *item = kiln_json_first(b);
    double number = 0;
    int64_t whole = 0;
    bool truth = false;

    cr_expect(kiln_json_is_object(root) && kiln_json_is_array(b) && kiln_json_is_object(a));
    cr_expect_str_eq(kiln_json_key(b), "b");
    cr_expect_str_eq(kiln_json_key(a), "a");
    cr_expect_null(kiln_json_next(a));
    cr_expect(kiln_json_whole(item, &whole) && whole == 1);
    item = kiln_json_next(item);
    cr_expect(kiln_json_number(item, &number) && number == 2.5);
    cr_expect_not(kiln_json_whole(item, &whole));
    cr_expect_str_eq(kiln_json_text(kiln_json_next(item)), "x");
    cr_expect(kiln_json_truth(kiln_json_find(a, "t"), &truth) && truth);
    cr_expect(kiln_json_truth(kiln_json_find(a, "f"), &truth) && !truth);
    cr_expect_not(kiln_json_truth(kiln_json_find(a, "n"), &truth));
    kiln_json_close(&root);
    cr_expect_null(root);
}

Test(json, has_nothing_to_say_of_what_is_not_there)
{
    need_json();
    struct kiln_json *root = parse("[7]");
    const struct kiln_json *gone = kiln_json_find(root, "key");
    double number = 5;
    int64_t whole = 5;
    bool truth = true;

    cr_expect_null(gone);
    cr_expect_null(kiln_json_find(gone, "key"));
    cr_expect_null(kiln_json_first(gone));
    cr_expect_null(kiln_json_next(gone));
    cr_expect_null(kiln_json_key(gone));
    cr_expect_null(kiln_json_text(gone));
    cr_expect_null(kiln_json_text(kiln_json_first(root)));
    cr_expect_not(kiln_json_is_array(gone) || kiln_json_is_object(gone));
    cr_expect_not(kiln_json_number(gone, &number) || kiln_json_whole(gone, &whole) ||
                  kiln_json_truth(gone, &truth));
    cr_expect(number == 5 && whole == 5 && truth);
    kiln_json_close(&root);
    kiln_json_close(&root);
}

Test(json, whole_numbers_are_those_that_are_exact)
{
    need_json();
    struct kiln_json *root = parse("[9007199254740992, 9007199254740994, -3, 1e999, 1e3]");
    const struct kiln_json *item = kiln_json_first(root);
    int64_t whole = 0;
    double number = 0;

    cr_expect(kiln_json_whole(item, &whole) && whole == INT64_C(9007199254740992));
    item = kiln_json_next(item);
    cr_expect_not(kiln_json_whole(item, &whole));
    item = kiln_json_next(item);
    cr_expect(kiln_json_whole(item, &whole) && whole == -3);
    item = kiln_json_next(item);
    cr_expect_not(kiln_json_number(item, &number));
    cr_expect(kiln_json_whole(kiln_json_next(item), &whole) && whole == 1000);
    kiln_json_close(&root);
}

Test(json, texts_are_utf8_with_escapes_resolved)
{
    need_json();
    struct kiln_json *root =
        parse("[\"\\u00e9\\n\\\"\", \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\", \"\\ud83d\\ude00\"]");
    const struct kiln_json *item = kiln_json_first(root);

    cr_expect_str_eq(kiln_json_text(item), "\xc3\xa9\n\"");
    item = kiln_json_next(item);
    cr_expect_str_eq(kiln_json_text(item), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    cr_expect_str_eq(kiln_json_text(kiln_json_next(item)), "\xf0\x9f\x98\x80");
    kiln_json_close(&root);
}

Test(json, says_line_and_column_of_what_it_refuses)
{
    static const struct {
        const char *text, *begins;
    } bad[] = {
        {"{\n  \"a\": 1,\n  \"b\": }\n", "text:3:8: "},
        {"[1, 2", "text:1:"},
        {"{} {}", "text:1:4: wanted the end"},
        {"[\"\n\xff\"]", "text:2:1: a byte that is no UTF-8"},
        {"[\"\xed\xa0\x80\"]", "text:1:3: a byte that is no UTF-8"},
        {"[\"\xc0\x80\"]", "text:1:3: a byte that is no UTF-8"},
        {"[\"\xf4\x90\x80\x80\"]", "text:1:3: a byte that is no UTF-8"},
        {"[\"\xe2\x82\"]", "text:1:3: a byte that is no UTF-8"},
        {"nonsense", "text:1:1: no JSON"},
    };

    need_json();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].text, strlen(bad[i].text), bad[i].begins);
    refused("", 0, "text: wanted JSON, got an empty text");
    refused("[1]\0[2]", 7, "text:1:4: a byte");
}

Test(json, refuses_what_is_nested_too_deep)
{
    static char deep[100000];

    need_json();
    memset(deep, '[', sizeof deep);
    refused(deep, sizeof deep, "text:1:");
}

Test(json, what_it_writes_reads_back)
{
    static const double numbers[] = {0, 1, -2.5, 0.1, 1e-300, 1.0 / 3, 123456789012345.0};
    struct kiln_text text = {0};
    struct kiln_json *root;
    const struct kiln_json *item;

    need_json();
    kiln_text_add(&text, "[");
    kiln_json_add_text(&text, "a\"\\\n\x01\xc3\xa9");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        kiln_text_add(&text, ",");
        kiln_json_add_number(&text, numbers[i]);
    }
    kiln_text_add(&text, ",");
    kiln_json_add_number(&text, (double)NAN);
    kiln_text_add(&text, "]");
    root = parse(kiln_text_get(&text));
    item = kiln_json_first(root);
    cr_expect_str_eq(kiln_json_text(item), "a\"\\\n\x01\xc3\xa9");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double number = -1;
        item = kiln_json_next(item);
        cr_expect(kiln_json_number(item, &number) && number == numbers[i], "%g became %g", numbers[i],
                  number);
    }
    cr_expect_null(kiln_json_text(kiln_json_next(item)));
    cr_expect_null(kiln_json_next(kiln_json_next(item)));
    kiln_json_close(&root);
    kiln_text_finish(&text);
}

Test(json, a_file_that_is_missing_is_named)
{
    struct kiln_json *root;

    catch_lines();
    cr_expect_eq(kiln_json_open(&root, "/nowhere/at/all.json"), KILN_ERROR_FILE);
    cr_expect_null(root);
    cr_expect_not_null(strstr(lines.newest, "/nowhere/at/all.json"));
}
