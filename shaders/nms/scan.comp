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

/* Those of 32 boxes that are kept. */
uint kept_of(uint gone)
{
    uint bits = 0u;
    for (uint b = 0; b < 32u; b++)
        if (candidate[b] && (gone >> b & 1u) == 0u) {
            bits |= 1u << b;
            gone |= among[b];
        }
    return bits;
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
        for (uint w = tile + 1u + LANE; w < p.words; w += LANES) {
            uint word = suppressed[w];
            for (uint left = bits; left != 0u; left &= left - 1u)
                word |= mask[p.first[1] + (before + 32u * tile + findLSB(left)) * p.words + w];
            suppressed[w] = word;
        }
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
