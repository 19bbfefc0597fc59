/*
 * xml.c - elements, one after another: each tag opens a child of the present one or closes it. No recursion, so that depth costs
 * nothing but a count.
 */
#include "data/xml.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 64 };

struct reader {
    const char *at, *end;
    const char *name; /* of the file */
    struct kiln_arena *arena;
    struct kiln_xml *root, *open; /* the element whose end is awaited; NULL outside the root */
    struct kiln_text text;        /* of that element, up to here */
    int line, depth;
};

/* Characters --------------------------------------------------------------------------------------------- */

static kiln_status fail(const struct reader *r, const char *what)
{
    return kiln_fail(KILN_ERROR_FILE, "%s:%d: %s", r->name, r->line, what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (unsigned char)c >= 0x80 || (!first && ((c >= '0' && c <= '9') || c == '-' || c == '.'));
}

static bool looking_at(const struct reader *r, const char *text)
{
    const size_t bytes = strlen(text);
    return (size_t)(r->end - r->at) >= bytes && memcmp(r->at, text, bytes) == 0;
}

/* Go on by so many bytes, counting lines. */
static void step(struct reader *r, size_t bytes)
{
    for (; bytes > 0; bytes--)
        r->line += *r->at++ == '\n';
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && is_blank(*r->at))
        step(r, 1);
}

/* Go beyond the next `mark`; false, at the end, where there is none. */
static bool skip_beyond(struct reader *r, const char *mark)
{
    while (r->at < r->end && !looking_at(r, mark))
        step(r, 1);
    if (r->at == r->end)
        return false;
    step(r, strlen(mark));
    return true;
}

/* In the arena; NULL when out of memory. */
static const char *copy_of(struct reader *r, const char *from, size_t bytes)
{
    char *copy = kiln_arena_alloc(r->arena, bytes + 1);

    if (copy)
        memcpy(copy, from, bytes);
    return copy;
}

/* A name at this place; NULL where there is none, or out of memory. */
static const char *read_name(struct reader *r)
{
    const char *start = r->at;

    while (r->at < r->end && is_name(*r->at, r->at == start))
        r->at++;
    return r->at == start ? NULL : copy_of(r, start, (size_t)(r->at - start));
}

/* Text --------------------------------------------------------------------------------------------------- */

static void add_bytes(struct reader *r, const char *from, size_t bytes)
{
    if (r->open)
        kiln_text_add(&r->text, "%.*s", (int)bytes, from);
}

/* The number of a character in an entity: "#65", "#x41"; 0 where it is none. */
static uint32_t number_of(const char *digits, size_t bytes)
{
    const uint32_t base = bytes > 1 && digits[1] == 'x' ? 16 : 10;
    uint32_t code = 0;

    for (size_t i = base == 16 ? 2 : 1; i < bytes; i++) {
        const char c = digits[i];
        const uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                               : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                               : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                      : 16;
        code = code * base + digit;
        if (digit >= base || code > 0x10ffff)
            return 0;
    }
    return code >= 0xd800 && code <= 0xdfff ? 0 : code;
}

/* At an '&'. */
static kiln_status read_entity(struct reader *r)
{
    static const struct {
        const char *name, *text;
    } known[] = {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}, {"&quot;", "\""}, {"&apos;", "'"}};
    const size_t left = (size_t)(r->end - r->at);
    const char *end = memchr(r->at, ';', left < 12 ? left : 12);
    uint32_t code;
    char bytes[4];

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (looking_at(r, known[i].name)) {
            add_bytes(r, known[i].text, 1);
            step(r, strlen(known[i].name));
            return KILN_OK;
        }
    if (!end || r->at[1] != '#' || !(code = number_of(r->at + 1, (size_t)(end - r->at) - 1)))
        return fail(r, "an & that begins no entity of XML itself");
    add_bytes(r, bytes, kiln_utf8_put(bytes, code));
    step(r, (size_t)(end - r->at) + 1);
    return KILN_OK;
}

static kiln_status read_text(struct reader *r)
{
    const char *start = r->at;

    if (*r->at == '&')
        return r->open ? read_entity(r) : fail(r, "text outside the first element");
    while (r->at < r->end && *r->at != '<' && *r->at != '&') {
        if (!r->open && !is_blank(*r->at))
            return fail(r, r->root ? "text behind the first element's end" : "wanted XML, got other text");
        step(r, 1);
    }
    add_bytes(r, start, (size_t)(r->at - start));
    return KILN_OK;
}

static kiln_status read_cdata(struct reader *r)
{
    const char *start;

    step(r, strlen("<![CDATA["));
    start = r->at;
    if (!r->open || !skip_beyond(r, "]]>"))
        return fail(r, "a CDATA section that does not end, or lies outside the first element");
    add_bytes(r, start, (size_t)(r->at - start) - 3);
    return KILN_OK;
}

/* What was read of the present element's text becomes its own, if no child came before it. */
static kiln_status keep_text(struct reader *r)
{
    const char *from = kiln_text_get(&r->text);
    const bool failed = r->text.failed;
    size_t bytes;

    if (r->open && !r->open->first && !failed) {
        while (is_blank(*from))
            from++;
        for (bytes = strlen(from); bytes > 0 && is_blank(from[bytes - 1]);)
            bytes--;
        r->open->text = copy_of(r, from, bytes);
    }
    kiln_text_finish(&r->text);
    return failed || (r->open && !r->open->text)
               ? kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its texts", r->name)
               : KILN_OK;
}

/* Tags --------------------------------------------------------------------------------------------------- */

/* name = "value", up to the tag's end. */
static kiln_status skip_attributes(struct reader *r)
{
    for (;;) {
        const bool apart = r->at < r->end && is_blank(*r->at);
        char quote[2] = {0};

        skip_blanks(r);
        if (r->at == r->end || *r->at == '>' || *r->at == '/')
            return KILN_OK;
        if (!apart || !is_name(*r->at, true))
            return fail(r, "a tag with something else than a name and attributes");
        while (r->at < r->end && is_name(*r->at, false))
            r->at++;
        skip_blanks(r);
        if (!looking_at(r, "="))
            return fail(r, "an attribute without a value");
        step(r, 1);
        skip_blanks(r);
        if (!looking_at(r, "\"") && !looking_at(r, "'"))
            return fail(r, "an attribute whose value is not in quotes");
        quote[0] = *r->at;
        step(r, 1);
        if (!skip_beyond(r, quote))
            return fail(r, "an attribute that does not end");
    }
}

static void append(struct reader *r, struct kiln_xml *element)
{
    element->parent = r->open;
    if (!r->open)
        r->root = element;
    else if (r->open->last)
        r->open->last = r->open->last->next = element;
    else
        r->open->first = r->open->last = element;
    r->open = element;
    r->depth++;
}

static kiln_status close_element(struct reader *r)
{
    const kiln_status status = keep_text(r);

    r->open = r->open->parent;
    r->depth--;
    return status;
}

/* Behind the '<'. */
static kiln_status read_start(struct reader *r)
{
    struct kiln_xml *element = kiln_arena_alloc(r->arena, sizeof *element);
    kiln_status status = keep_text(r);

    if (status)
        return status;
    if (!r->open && r->root)
        return fail(r, "a second first element");
    if (r->depth == MAX_DEPTH)
        return fail(r, "elements in each other more than 64 deep");
    if (!element)
        return kiln_fail(KILN_ERROR_MEMORY, "%s: no memory for its elements", r->name);
    *element = (struct kiln_xml){.name = read_name(r), .text = "", .line = r->line};
    if (!element->name)
        return fail(r, "a < that begins no tag");
    append(r, element);
    if ((status = skip_attributes(r)))
        return status;
    if (looking_at(r, "/>")) {
        step(r, 2);
        return close_element(r);
    }
    if (!looking_at(r, ">"))
        return fail(r, "a tag that does not end");
    step(r, 1);
    return KILN_OK;
}

/* Behind the "</". */
static kiln_status read_end(struct reader *r)
{
    bool ends;

    if (!r->open)
        return fail(r, "an end of what has not begun");
    if ((ends = looking_at(r, r->open->name))) {
        step(r, strlen(r->open->name));
        skip_blanks(r);
        ends = looking_at(r, ">");
    }
    if (!ends)
        return kiln_fail(KILN_ERROR_FILE, "%s:%d: wanted the end of <%s>, which begins in line %d", r->name,
                         r->line, r->open->name, r->open->line);
    step(r, 1);
    return close_element(r);
}

static kiln_status read_piece(struct reader *r)
{
    if (*r->at != '<')
        return read_text(r);
    if (looking_at(r, "<!--"))
        return skip_beyond(r, "-->") ? KILN_OK : fail(r, "a comment that does not end");
    if (looking_at(r, "<![CDATA["))
        return read_cdata(r);
    if (looking_at(r, "<!"))
        return fail(r, "a document type, which is not read");
    if (looking_at(r, "<?"))
        return skip_beyond(r, "?>") ? KILN_OK : fail(r, "an instruction that does not end");
    if (looking_at(r, "</")) {
        step(r, 2);
        return read_end(r);
    }
    step(r, 1);
    return read_start(r);
}

/* The whole ---------------------------------------------------------------------------------------------- */

kiln_status kiln_xml_parse(const struct kiln_xml **root, struct kiln_arena *arena, const char *text,
                           size_t bytes, const char *name)
{
    struct reader r = {.at = text, .end = text + bytes, .name = name, .arena = arena, .line = 1};
    const size_t bad = kiln_utf8_bad(text, bytes);
    kiln_status status = KILN_OK;

    *root = NULL;
    if (bytes > INT32_MAX)
        return kiln_fail(KILN_ERROR_FILE, "%s: %zu bytes, wanted less than 2^31", name, bytes);
    if (bad < bytes) {
        step(&r, bad);
        return fail(&r, "a byte that is no UTF-8");
    }
    if (looking_at(&r, "\xef\xbb\xbf"))
        r.at += 3;
    while (r.at < r.end && !status)
        status = read_piece(&r);
    if (!status && r.open)
        status = kiln_fail(KILN_ERROR_FILE, "%s:%d: cut off: <%s> of line %d does not end", name, r.line,
                           r.open->name, r.open->line);
    else if (!status && !r.root)
        status = fail(&r, "wanted XML, got no element");
    kiln_text_finish(&r.text);
    *root = status ? NULL : r.root;
    return status;
}

kiln_status kiln_xml_open(const struct kiln_xml **root, struct kiln_arena *arena, const char *path)
{
    struct kiln_file file;
    kiln_status status = kiln_file_map(&file, path);

    *root = NULL;
    if (status)
        return status;
    status = kiln_xml_parse(root, arena, file.data, file.size, path);
    kiln_file_unmap(&file);
    return status;
}

static const struct kiln_xml *named(const struct kiln_xml *element, const char *name)
{
    while (element && strcmp(element->name, name) != 0)
        element = element->next;
    return element;
}

const struct kiln_xml *kiln_xml_find(const struct kiln_xml *element, const char *name)
{
    return element ? named(element->first, name) : NULL;
}

const struct kiln_xml *kiln_xml_next(const struct kiln_xml *element)
{
    return named(element->next, element->name);
}
