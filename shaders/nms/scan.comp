#version 450
/*
 * nms_scan - the candidates that no kept one suppresses (nms.h).
 *
 * dispatch   a workgroup a row. It takes 32 boxes at a time: every lane goes through them one after the other, by the words of the
 *            mask that tell of these 32, then each lane marks, in words of its own, what the kept ones suppress further on.
 */
#include "kiln.glsl"
#include "nms.h"
#include "boxes.glsl"

KILN_IN(0, float, scores);
KILN_IN(1, uint, mask);
KILN_IN(2, int, order);
KILN_OUT(3, int, kept);
KILN_OUT(4, float, kept_scores);
KILN_OUT(5, uint, counts);

shared uint suppressed[KILN_NMS_WORDS];
shared uint among[32];                  /* whom each of the 32 suppresses among them ... */
shared bool candidate[32];

/* Box b of 32 is kept, unless one before it suppresses it. */
void keep(uint b, inout uint bits, inout uint gone)
{
    if (candidate[b] && (gone >> b & 1u) == 0u) {
        bits |= 1u << b;
        gone |= among[b];
    }
}

/* Those of 32 boxes that are kept; KILN_NMS_UNROLLED a round, as rounds are counted (kiln_caps.max_rounds). */
uint kept_of(uint gone)
{
    uint bits = 0u;
    for (uint b = 0u; b < 32u; b += KILN_NMS_UNROLLED) {
        keep(b, bits, gone);
        keep(b + 1u, bits, gone);
        keep(b + 2u, bits, gone);
        keep(b + 3u, bits, gone);
        keep(b + 4u, bits, gone);
        keep(b + 5u, bits, gone);
        keep(b + 6u, bits, gone);
        keep(b + 7u, bits, gone);
    }
    return bits;
}

/* Whom the first of the boxes `left` suppresses, whose masks begin at `from`, in word w; and no box is left where none was. */
uint next_of(inout uint left, uint from, uint w)
{
    if (left == 0u)
        return 0u;
    const uint word = mask[from + findLSB(left) * p.words + w];
    left &= left - 1u;
    return word;
}

/* Whom the 32 boxes suppress further on, in word w. */
uint suppressed_by(uint bits, uint from, uint w)
{
    uint word = 0u;
    for (uint left = bits; left != 0u;) {
        word |= next_of(left, from, w) | next_of(left, from, w);
        word |= next_of(left, from, w) | next_of(left, from, w);
        word |= next_of(left, from, w) | next_of(left, from, w);
        word |= next_of(left, from, w) | next_of(left, from, w);
    }
    return word;
}

void store(uint row, uint at, int box, float score)
{
    kept[p.first[3] + row * p.keep + at] = box;
    kept_scores[p.first[4] + row * p.keep + at] = score;
}

void main()
{
    KILN_GROUP(row);
    const uint before = row * p.count;
    uint total = 0u;
    bool more = true;                   /* no candidate comes after one that is none, NaN apart, which comes first */
    for (uint w = LANE; w < p.words; w += LANES)
        suppressed[w] = 0u;
    for (uint tile = 0u; tile < p.words && total < p.keep && more; tile++) {
        const uint box = 32u * tile + LANE;
        if (LANE < 32u) {
            candidate[LANE] = box < p.count && is_candidate(scores[p.first[0] + before + box]);
            among[LANE] = candidate[LANE] ? mask[p.first[1] + (before + box) * p.words + tile] : 0u;
        }
        barrier();
        const uint bits = kept_of(suppressed[tile]);
        const uint at = total + bitCount(bits & ((1u << (LANE & 31u)) - 1u));
        if (LANE < 32u && (bits >> LANE & 1u) != 0u && at < p.keep)
            store(row, at, order[p.first[2] + before + box], scores[p.first[0] + before + box]);
        for (uint w = tile + 1u + LANE; w < p.words; w += LANES)
            suppressed[w] |= suppressed_by(bits, p.first[1] + (before + 32u * tile) * p.words, w);
        total += bitCount(bits);
        const float last = scores[p.first[0] + before + min(32u * tile + 31u, p.count - 1u)];
        more = kiln_is_nan(last) || last > p.score;
        barrier();
    }

    total = min(total, p.keep);
    for (uint at = total + LANE; at < p.keep; at += LANES)
        store(row, at, int(0x80000000u), 0.0);
    if (LANE == 0u)
        counts[p.first[5] + row] = total;
}
