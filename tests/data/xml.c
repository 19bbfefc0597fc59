/* xml.c - annotations in XML: the tree, its texts, and what is refused in which line. */
#include <string.h>

#include <criterion/criterion.h>

#include "base/lines.h"
#include "data/xml.h"

static const struct kiln_xml *parse(struct kiln_arena *arena, const char *text)
{
    const struct kiln_xml *root;

    cr_assert_eq(kiln_xml_parse(&root, arena, text, strlen(text), "a.xml"), KILN_OK, "%s", text);
    return root;
}

Test(xml, makes_a_tree_of_elements_and_their_texts)
{
    struct kiln_arena arena = {0};
    const struct kiln_xml *root =
        parse(&arena, "\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a > b -->\n<a k=\"1 > 0\" m = '2'>\n"
                      " <b> one\n </b>\n <c/><b x:y='z'>two</b >\n</a>\n<!-- end -->\n");
    const struct kiln_xml *b = kiln_xml_find(root, "b"), *c = kiln_xml_find(root, "c");

    cr_expect_str_eq(root->name, "a");
    cr_expect_str_eq(root->text, "");
    cr_expect(root->line == 3 && b->line == 4 && c->line == 6);
    cr_expect_str_eq(b->text, "one");
    cr_expect(c->first == NULL && c->text[0] == 0);
    cr_expect_str_eq(kiln_xml_next(b)->text, "two");
    cr_expect_null(kiln_xml_next(kiln_xml_next(b)));
    cr_expect_null(kiln_xml_find(root, "d"));
    cr_expect_null(kiln_xml_find(NULL, "d"));
    kiln_arena_finish(&arena);
}

Test(xml, resolves_entities_and_sections)
{
    struct kiln_arena arena = {0};
    const struct kiln_xml *root =
        parse(&arena, "<a>&lt;&amp;&gt;&quot;&apos;&#65;&#xe9;&#x1F600;<![CDATA[<&>]]></a>");

    cr_expect_str_eq(root->text, "<&>\"'A\xc3\xa9\xf0\x9f\x98\x80<&>");
    kiln_arena_finish(&arena);
}

Test(xml, refuses_what_is_not_well_formed_and_says_where)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "a.xml:1: wanted XML"},
        {"  \n ", "a.xml:2: wanted XML"},
        {"text", "a.xml:1: wanted XML"},
        {"<a>\n<b>\n</a>", "a.xml:3: wanted the end of <b>, which begins in line 2"},
        {"<a>\n</ab>", "a.xml:2: wanted the end of <a>"},
        {"<a>\n\n", "a.xml:3: cut off: <a> of line 1"},
        {"<a/>\n<b/>", "a.xml:2: a second"},
        {"<a/>\nmore", "a.xml:2: text behind"},
        {"</a>", "a.xml:1: an end"},
        {"<a", "a.xml:1: a tag that does not end"},
        {"<a /x>", "a.xml:1: a tag that does not end"},
        {"<a b>", "a.xml:1: an attribute without"},
        {"<a b=1>", "a.xml:1: an attribute whose value"},
        {"<a b='1>", "a.xml:1: an attribute that does not end"},
        {"<a b='1'c='2'/>", "a.xml:1: a tag with"},
        {"<1/>", "a.xml:1: a < that begins no tag"},
        {"<a>&nbsp;</a>", "a.xml:1: an &"},
        {"<a>&#0;</a>", "a.xml:1: an &"},
        {"<a>&#xd800;</a>", "a.xml:1: an &"},
        {"<a>&#x110000;</a>", "a.xml:1: an &"},
        {"<a>&", "a.xml:1: an &"},
        {"<a>\n\xff</a>", "a.xml:2: a byte that is no UTF-8"},
        {"<!DOCTYPE a>\n<a/>", "a.xml:1: a document type"},
        {"<a><!-- </a>", "a.xml:1: a comment"},
        {"<?xml <a/>", "a.xml:1: an instruction"},
        {"<a><![CDATA[</a>", "a.xml:1: a CDATA"},
    };

    catch_lines();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct kiln_arena arena = {0};
        const struct kiln_xml *root;

        cr_expect_eq(kiln_xml_parse(&root, &arena, bad[i].text, strlen(bad[i].text), "a.xml"),
                     KILN_ERROR_FILE, "%s", bad[i].text);
        cr_expect_null(root);
        cr_expect_not_null(strstr(lines.newest, bad[i].says), "%s: got \"%s\", wanted \"%s\"", bad[i].text,
                           lines.newest, bad[i].says);
        kiln_arena_finish(&arena);
    }
}

Test(xml, has_a_limit_to_depth)
{
    char text[65 * 7 + 1] = "";
    struct kiln_arena arena = {0};
    const struct kiln_xml *root;

    catch_lines();
    for (int i = 0; i < 64; i++)
        strcat(text, "<a>");
    for (int i = 0; i < 64; i++)
        strcat(text, "</a>");
    cr_expect_eq(kiln_xml_parse(&root, &arena, text, strlen(text), "a.xml"), KILN_OK);
    text[0] = 0;
    for (int i = 0; i < 65; i++)
        strcat(text, "<a>");
    cr_expect_eq(kiln_xml_parse(&root, &arena, text, strlen(text), "a.xml"), KILN_ERROR_FILE);
    cr_expect_not_null(strstr(lines.newest, "more than 64 deep"));
    kiln_arena_finish(&arena);
}
