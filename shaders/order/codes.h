/*
 * codes.h - how the words of a value become unsigned keys whose order is the wanted one, for C and GLSL.
 *
 * F: reals; -0 equals 0, and every NaN is one key above infinity. I and U: signed and unsigned words. INDEX: a place among
 * `range` ones, a negative one counted from the end, then clamped; KILN_INDEX_NOWHERE has the key `range`.
 */
#ifndef KILN_ORDER_CODES_H
#define KILN_ORDER_CODES_H

#define KILN_KEY_F 0u
#define KILN_KEY_I 1u
#define KILN_KEY_U 2u
#define KILN_KEY_INDEX 3u

/* An index that means no place at all: the least integer. */
#define KILN_INDEX_NOWHERE 0x80000000u

#endif
