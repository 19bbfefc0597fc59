/*
 * utf8.c - characters: UTF-8 read and written, what a character is, its lower case.
 *
 * A text ends with a zero, which continues no character, so a sequence that is cut off is a fault like any other and nothing
 * is read beyond the end.
 */
#include "text/texts.h"

#include "base/log.h"
#include "base/utf8.h"
#include "text/unicode_table.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

int32_t kiln_utf8_next(const char **text)
{
    const unsigned char *byte = (const unsigned char *)*text;
    const size_t bytes = kiln_utf8_bytes(*text, 4);
    int32_t c = bytes < 2 ? byte[0] : byte[0] & (0x7F >> bytes);

    if (bytes == 0)
        return -1;
    for (size_t i = 1; i < bytes; i++)
        c = c << 6 | (byte[i] & 0x3F);
    *text += c > 0 ? bytes : 0;
    return c;
}

size_t kiln_utf8_write(char to[4], int32_t c)
{
    const bool none = c <= 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000);

    return none ? 0 : kiln_utf8_put(to, (uint32_t)c);
}

unsigned kiln_kinds_at(const char *at)
{
    const int32_t c = kiln_utf8_next(&at);
    return c > 0 ? kiln_character_kinds(c) : 0;
}

int64_t kiln_utf8_length(const char *text)
{
    int64_t count = 0;

    while (kiln_utf8_next(&text) > 0)
        count++;
    return count;
}

kiln_status kiln_utf8_check_at(const char *text, const char *what, const char *where)
{
    const char *at = text;
    int32_t c;

    while ((c = kiln_utf8_next(&at)) > 0) {}
    return c == 0 ? KILN_OK
                  : kiln_fail(KILN_ERROR_FILE, "%s%s: byte 0x%02x at %zu begins no UTF-8 character", what,
                              where, (unsigned char)*at, (size_t)(at - text));
}

kiln_status kiln_utf8_check(const char *text, const char *what)
{
    return kiln_utf8_check_at(text, what, "");
}

unsigned kiln_character_kinds(int32_t c)
{
    size_t low = 0, high = COUNT(kinds);

    if (c < 0 || c > 0x10FFFF)
        return 0;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (kinds[middle] >> 8 <= (uint32_t)c)
            low = middle;
        else
            high = middle;
    }
    return kinds[low] & 0xFF;
}

int32_t kiln_character_lower(int32_t c)
{
    size_t low = 0, high = COUNT(lowers);

    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (lowers[middle].first <= c)
            low = middle;
        else
            high = middle;
    }
    const struct lowers *run = &lowers[low];
    return c >= run->first && c <= run->last && (c - run->first) % run->step == 0 ? c + run->delta : c;
}
