/*
 * radix.glsl - how often each of 16 digits occurs, a column a lane: digits d and d + 8 are the halves of one word.
 */
#include "kiln.glsl"
#include "radix.h"

#define DIGITS 16u
#define WORDS 8u

shared uint column[WORDS][LANES];

uint digit_of(uint key) { return (key >> p.shift) & (DIGITS - 1u); }

void clear_column()
{
    for (uint w = 0; w < WORDS; w++)
        column[w][LANE] = 0;
}

/* Count a digit in a lane's own column; returns how often it occurred there before. */
uint count_digit(uint digit)
{
    const uint shift = 16u * (digit / WORDS), before = column[digit % WORDS][LANE];
    column[digit % WORDS][LANE] = before + (1u << shift);
    return (before >> shift) & 0xffffu;
}

uint counted(uint digit, uint lane) { return (column[digit % WORDS][lane] >> (16u * (digit / WORDS))) & 0xffffu; }
