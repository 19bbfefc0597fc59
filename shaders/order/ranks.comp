#version 450
/*
 * ranks - order for short parts: an element's place is the number of those before it.
 *
 * dispatch   a candidate a lane, which goes through its part
 */
#include "order.glsl"

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE, unit = e / p.part, c = e % p.part;
    const uint row = unit / p.parts, first = unit % p.parts * p.part, end = min(first + p.part, p.cols);
    if (row >= p.rows || first + c >= end)
        return;

    const uint own = first + c, key = key_at(row, own);
    uint rank = 0;
    for (uint other = first; other < end; other++) {
        const uint that = key_at(row, other);
        rank += uint(that < key || (that == key && other < own));
    }
    if (rank < p.keep)
        put(row, unit % p.parts * p.keep + rank, own, key);
}
