/* utf8.h - UTF-8 (RFC 3629): which bytes are a character. */
#ifndef KILN_BASE_UTF8_H
#define KILN_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/** Bytes of the character at s, of which `left` (at least 1) are there; 0 if it is none: too long, a surrogate, or beyond 10FFFF. */
static inline size_t kiln_utf8_bytes(const char *s, size_t left)
{
    static const struct {
        unsigned char lead, low, high; /* of the second byte */
    } narrow[] = {{0xe0, 0xa0, 0xbf}, {0xed, 0x80, 0x9f}, {0xf0, 0x90, 0xbf}, {0xf4, 0x80, 0x8f}};
    const unsigned char *u = (const unsigned char *)s, a = u[0];
    const size_t bytes = a < 0x80 ? 1 : a < 0xc2 ? 0 : a < 0xe0 ? 2 : a < 0xf0 ? 3 : a < 0xf5 ? 4 : 0;

    if (bytes > left)
        return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
        if (a == narrow[i].lead && (u[1] < narrow[i].low || u[1] > narrow[i].high))
            return 0;
    return bytes;
}

/** The first byte that is no UTF-8, or is zero; `bytes` where there is none. */
static inline size_t kiln_utf8_bad(const char *text, size_t bytes)
{
    size_t at = 0, length;

    while (at < bytes && text[at] != 0 && (length = kiln_utf8_bytes(text + at, bytes - at)) > 0)
        at += length;
    return at;
}

/** Write a character, at most 10FFFF; its bytes. */
static inline size_t kiln_utf8_put(char to[4], uint32_t code)
{
    const size_t bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = bytes; i-- > 1; code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(lead[bytes] | code);
    return bytes;
}

#endif
