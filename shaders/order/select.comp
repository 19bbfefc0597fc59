#version 450
/*
 * select - order where few of many are kept: the last of them is found digit by digit, and what comes before it sorted.
 *
 * An element's digits are the four bytes of its key and the two of its place in the part, so that all differ. A round counts the
 * values of one digit among the elements that agree with the last one wanted so far, and goes on with the value where the number
 * that is kept is reached; it ends early where all with that value are kept.
 *
 * dispatch   a part of at most 65,536 elements a workgroup of 128; p.keep <= CAPACITY
 */
#include "order.glsl"

#define CAPACITY 512u

#include "bitonic.glsl"

#define DIGITS 256u
#define ROUNDS 6u

shared uint bins[DIGITS];
shared uint sums[DIGITS / 2u];
shared uint chosen, before, taken;

/* The 48 bits of an element from the top to digit `round`: high ones, and how many of the low ones count. */
bool agrees(uint k, uint c, uint round, uint prefix, uint last_key)
{
    if (round == 0u)
        return true;
    if (round < 4u)
        return k >> (32u - 8u * round) == prefix;
    return k == last_key && (round == 4u || c >> 8 == prefix);
}

uint digit_of(uint k, uint c, uint round)
{
    return (round < 4u ? k >> (24u - 8u * round) : c >> (40u - 8u * round)) & (DIGITS - 1u);
}

/* The value of the digit where `wanted` elements are reached, and how many come before that value. */
void choose(uint wanted)
{
    for (uint n = LANE; n < DIGITS / 2u; n += LANES)
        sums[n] = bins[2u * n] + bins[2u * n + 1u];
    for (uint step = 1u; step < DIGITS / 2u; step *= 2u) {
        barrier();
        const uint own = sums[LANE] + (LANE >= step ? sums[LANE - step] : 0u);
        barrier();
        sums[LANE] = own;
    }
    barrier();
    const uint end = sums[LANE], middle = end - bins[2u * LANE + 1u], begin = middle - bins[2u * LANE];
    if (begin < wanted && wanted <= end) {
        chosen = 2u * LANE + uint(middle < wanted);
        before = middle < wanted ? middle : begin;
    }
    barrier();
}

void main()
{
    KILN_GROUP(unit);
    const uint row = unit / p.parts, first = unit % p.parts * p.part;
    const uint count = min(p.part, p.cols - first), keep = min(p.keep, count);

    uint wanted = keep, prefix = 0u, last_key = 0u, round = 0u;
    for (bool more = count > keep; more; round++) {
        for (uint n = LANE; n < DIGITS; n += LANES)
            bins[n] = 0u;
        barrier();
        for (uint c = LANE; c < count; c += LANES) {
            const uint k = key_at(row, first + c);
            if (agrees(k, c, round, prefix, last_key))
                atomicAdd(bins[digit_of(k, c, round)], 1u);
        }
        barrier();
        choose(wanted);
        wanted -= before;
        prefix = round == 4u ? chosen : prefix << 8 | chosen;
        last_key = round == 3u ? prefix : last_key;
        more = bins[chosen] != wanted && round + 1u < ROUNDS;
        barrier();
    }

    if (LANE == 0u)
        taken = 0u;
    for (uint n = LANE; n < CAPACITY; n += LANES)
        key[n] = from[n] = 0xffffffffu;
    barrier();
    for (uint c = LANE; c < count; c += LANES) {
        const uint k = key_at(row, first + c);
        bool kept = true;
        if (round > 4u)
            kept = k < last_key || (k == last_key && c >> (48u - 8u * round) <= prefix);
        else if (round > 0u)
            kept = k >> (32u - 8u * round) <= prefix;
        if (kept) {
            const uint slot = atomicAdd(taken, 1u);
            key[slot] = k;
            from[slot] = c;
        }
    }
    uint padded = 1u;
    while (padded < keep)
        padded *= 2u;
    sort_keys(padded);
    for (uint place = LANE; place < keep; place += LANES)
        put(row, unit % p.parts * p.keep + place, first + from[place], key[place]);
}
